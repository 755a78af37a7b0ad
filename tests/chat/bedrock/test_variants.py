"""
Siblings of what users met on Bedrock: other families, spellings and streams of the same roots.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from aigc_kit import ChatClient, errors
from tests.chat.bedrock.test_wire import GUARDRAIL, NOVA, OK, PROFILE, bedrock, fields_of
from tests.vendor import (
    ASK,
    FRAMES,
    IMAGE_PART,
    PNG,
    PNG_BASE64,
    TOOLS,
    Response,
    Vendor,
    ask,
    assistant_call,
    block_delta,
    block_start,
    block_stop,
    completion,
    converse_response,
    converse_stream,
    converse_text,
    features,
    frame,
    gemini_response,
    kept,
    outcome,
    read,
    refused,
    sent_blocks,
    tool,
    tool_result,
    unless_refused,
)

CLAUDE_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
THINKING = {"type": "enabled", "budget_tokens": 2000}


# ---- parameters: siblings of OpenAI's


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("global.anthropic.claude-sonnet-4-6", {"logprobs": True}),
        ("global.anthropic.claude-sonnet-4-6", {"logit_bias": {"1": 1}}),
        ("global.anthropic.claude-sonnet-4-6", {"presence_penalty": 0.5}),
        ("global.anthropic.claude-sonnet-4-6", {"frequency_penalty": 0.5}),
        ("global.anthropic.claude-sonnet-4-6", {"store": True}),
        ("global.anthropic.claude-sonnet-4-6", {"verbosity": "low"}),
        ("us.amazon.nova-pro-v1:0", {"parallel_tool_calls": False, "tools": TOOLS}),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", {"user": "u"}),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", {"top_k": 5}),
        ("mistral.mistral-large-3", {"reasoning_effort": "low"}),
    ],
)
def test_what_a_model_would_refuse_is_mapped_warned_of_or_refused(
    model: str, options: dict[str, Any]
) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor, model).chat(ASK, **options))
    assert next(iter(options)) not in fields_of(vendor)
    assert refused(result, vendor) or result.warnings or fields_of(vendor)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"guardrailConfig": GUARDRAIL}, "guardrailConfig"),
        ({"guardrail_config": GUARDRAIL}, "guardrailConfig"),
        ({"performanceConfig": {"latency": "optimized"}}, "performanceConfig"),
        ({"performance_config": {"latency": "optimized"}}, "performanceConfig"),
        ({"extra_body": {"performanceConfig": {"latency": "optimized"}}}, "performanceConfig"),
        ({"promptVariables": {"a": {"text": "b"}}}, "promptVariables"),
        ({"prompt_variables": {"a": {"text": "b"}}}, "promptVariables"),
        ({"requestMetadata": {"team": "x"}}, "requestMetadata"),
        ({"request_metadata": {"team": "x"}}, "requestMetadata"),
        (
            {"additionalModelResponseFieldPaths": ["/stop_sequence"]},
            "additionalModelResponseFieldPaths",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_field_of_converse_stands_at_the_top_in_either_spelling(
    options: dict[str, Any], field: str, stream: bool
) -> None:
    """Source: botocore 1.44.5, the input of ``Converse``"""
    with Vendor(converse_text("ok") if stream else OK) as vendor:
        ask(bedrock(vendor), stream=stream, **options)
    assert field in vendor.body
    assert fields_of(vendor) == {}


def test_extra_body_is_parted_by_what_converse_knows() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(ASK, extra_body={"guardrailConfig": GUARDRAIL, "top_k": 5})
    assert vendor.body["guardrailConfig"] == GUARDRAIL
    assert fields_of(vendor) == {"top_k": 5}


def test_a_tier_is_written_as_converse_reads_it_or_refused() -> None:
    """``{"type": "flex"}``; OpenAI's is the word alone."""
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(ASK, service_tier="flex"))
    assert (
        refused(result, vendor)
        or vendor.body.get("serviceTier") == {"type": "flex"}
        or result.warnings
    )


def test_top_k_is_claudes_own_field() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, CLAUDE_45).chat(ASK, top_k=5)
    assert fields_of(vendor) == {"top_k": 5}


# ---- what goes with thinking


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"tool_choice": "required"}),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", {"tool_choice": "required"}),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", {"tool_choice": "required"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_no_claude_with_a_budget_is_forced_to_call(
    model: str, options: dict[str, Any], stream: bool
) -> None:
    with Vendor(converse_text("ok") if stream else OK) as vendor:
        chat = bedrock(vendor, model)
        result = unless_refused(
            lambda: ask(chat, stream=stream, tools=TOOLS, thinking=THINKING, **options)
        )
    thinks = fields_of(vendor).get("thinking", {}).get("type") == "enabled"
    forced = {"any", "tool"}.intersection(vendor.body.get("toolConfig", {}).get("toolChoice", {}))
    assert refused(result, vendor) or (
        not (thinks and forced) and "thinking" in str(features(result)) + str(result.warnings)
    )


def test_the_first_turn_of_a_loop_is_not_forced_while_claude_thinks() -> None:
    with Vendor(OK) as vendor:
        chat = bedrock(vendor, CLAUDE_45)
        result = unless_refused(
            lambda: chat.chat_with_tools(
                ASK,
                TOOLS,
                tool_executor=lambda name, text: "1",
                tool_choice="required",
                thinking=THINKING,
            )
        )
    thinks = fields_of(vendor).get("thinking", {}).get("type") == "enabled"
    forced = {"any", "tool"}.intersection(vendor.body.get("toolConfig", {}).get("toolChoice", {}))
    assert refused(result, vendor) or not (thinks and forced)


def test_a_choice_that_forces_nothing_goes_with_thinking() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, CLAUDE_45).chat(ASK, tools=TOOLS, tool_choice="auto", thinking=THINKING)
    assert vendor.body["toolConfig"]["toolChoice"] == {"auto": {}}
    assert fields_of(vendor)["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.2}, {"top_k": 5}, {"temperature": 0.2, "top_p": 0.9}],
    ids=lambda o: "+".join(o),
)
@pytest.mark.parametrize("model", ["global.anthropic.claude-sonnet-4-6", CLAUDE_45])
def test_sampling_is_left_out_or_refused_while_claude_thinks(
    model: str, options: dict[str, Any]
) -> None:
    """
    With a budget and with adaptive thinking. Source: docs.aws.amazon.com,
    claude-messages-adaptive-thinking
    """
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor, model).chat(ASK, thinking=THINKING, **options)
        )
    inference = vendor.body.get("inferenceConfig", {})
    free = inference.get("temperature", 1) == 1 and "top_k" not in fields_of(vendor)
    assert refused(result, vendor) or (free and result.warnings)


def test_a_prefilled_answer_does_not_go_with_thinking() -> None:
    """Source: docs.aws.amazon.com, extended thinking: prefill is incompatible with it."""
    messages = [*ASK, {"role": "assistant", "content": "{"}]
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor, CLAUDE_45).chat(messages, thinking=THINKING)
        )
    ends = (vendor.body.get("messages") or [{}])[-1].get("role")
    thinks = fields_of(vendor).get("thinking", {}).get("type") == "enabled"
    assert refused(result, vendor) or (result.warnings and (ends == "user" or not thinks))


# ---- room for the answer


@pytest.mark.parametrize(
    "thinking", [{"type": "enabled"}, {"type": "adaptive"}], ids=["enabled", "adaptive"]
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_adaptive_thinking_without_a_budget_leaves_room(
    thinking: dict[str, str], stream: bool
) -> None:
    """Bedrock's own limit is 4096 tokens, the thinking included. Source: pydantic-ai-slim 2.68.0"""
    with Vendor(converse_text("ok") if stream else OK) as vendor:
        ask(bedrock(vendor, "us.anthropic.claude-opus-4-8"), stream=stream, thinking=thinking)
    assert vendor.body.get("inferenceConfig", {}).get("maxTokens", 0) > 4096


def test_a_model_that_always_thinks_has_room_by_default() -> None:
    """
    Opus 5.5 was measured to stop at 4096 tokens, thinking included. Source: pydantic-ai-slim 2.68.0
    """
    with Vendor(OK) as vendor:
        bedrock(vendor, "global.anthropic.claude-opus-5-5").chat(ASK)
    assert vendor.body.get("inferenceConfig", {}).get("maxTokens", 0) > 4096


# ---- Nova


@pytest.mark.parametrize(
    "options",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 20000}, "top_p": 0.5},
        {"thinking": {"type": "enabled", "budget_tokens": 20000}, "max_tokens": 500},
        {"reasoning_effort": "high", "temperature": 0.2},
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}, "max_tokens": 500},
    ],
    ids=["top_p", "max_tokens", "effort", "its own field"],
)
@pytest.mark.parametrize("model", [NOVA, "us.amazon.nova-2-premier-v1:0"])
def test_no_limit_goes_with_novas_high_effort(model: str, options: dict[str, Any]) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor, model).chat(ASK, **options))
    high = "high" in str(fields_of(vendor))
    assert refused(result, vendor) or (
        not (high and vendor.body.get("inferenceConfig")) and result.warnings
    )


def test_novas_low_effort_keeps_its_limits() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, NOVA).chat(
            ASK, thinking={"type": "enabled", "budget_tokens": 1000}, max_tokens=500
        )
    assert vendor.body["inferenceConfig"] == {"maxTokens": 500}


def test_novas_top_k_stands_beside_its_other_fields() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, NOVA).chat(
            ASK, top_k=5, thinking={"type": "enabled", "budget_tokens": 1000}
        )
    assert fields_of(vendor)["inferenceConfig"] == {"topK": 5}
    assert fields_of(vendor)["reasoningConfig"]["type"] == "enabled"


# ---- turns and system texts


@pytest.mark.parametrize(
    "model",
    [
        "global.anthropic.claude-opus-4-6",
        "global.anthropic.claude-opus-5",
        "global.anthropic.claude-haiku-5-5",
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_no_new_claude_gets_a_history_that_ends_with_its_own_turn(model: str, stream: bool) -> None:
    """Source: https://github.com/langchain-ai/deepagents/issues/1585"""
    with Vendor(converse_text("ok") if stream else OK) as vendor:
        chat = bedrock(vendor, model)
        messages = [*ASK, {"role": "assistant", "content": "{"}]
        result = unless_refused(lambda: ask(chat, stream=stream, messages=messages))
    assert refused(result, vendor) or (
        vendor.body["messages"][-1]["role"] == "user" and result.warnings
    )


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("mistral.mixtral-8x7b-instruct-v0:1", [{"role": "system", "content": "be short"}, *ASK]),
        ("amazon.titan-text-premier-v1:0", [{"role": "developer", "content": "be short"}, *ASK]),
        (
            "amazon.titan-text-lite-v1",
            [{"role": "system", "content": "a"}, {"role": "system", "content": "be short"}, *ASK],
        ),
        (
            "mistral.mistral-7b-instruct-v0:2",
            [
                {"role": "system", "content": "be short"},
                {"role": "assistant", "content": "hi"},
                *ASK,
            ],
        ),
    ],
    ids=["mixtral", "developer", "two", "an assistant's turn first"],
)
def test_no_model_without_a_system_text_gets_one(model: str, messages: Any) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor, model).chat(messages))
    moved = "system" not in vendor.body and "be short" in json.dumps(vendor.body)
    assert refused(result, vendor) or (moved and result.warnings)


def test_the_schema_in_a_prompt_reaches_a_model_without_a_system_text() -> None:
    with Vendor(converse_response('{"a": 1}')) as vendor:
        chat = bedrock(vendor, "mistral.mistral-7b-instruct-v0:2")
        result = unless_refused(lambda: chat.chat(ASK, response_format={"type": "json_object"}))
    assert refused(result, vendor) or (
        "system" not in vendor.body and "JSON" in json.dumps(vendor.body["messages"])
    )


# ---- images, documents and caching


@pytest.mark.parametrize(
    "model", ["mistral.mistral-large-3", "qwen.qwen3-vl-235b-a22b", "moonshotai.kimi-k2.6"]
)
def test_an_image_stands_behind_the_result_where_a_result_takes_none(model: str) -> None:
    """Source: pydantic-ai-slim 2.68.0 and langchain-aws 1.9.1"""
    history = [
        *ASK,
        assistant_call(),
        tool_result(content=[{"type": "text", "text": "see:"}, IMAGE_PART]),
    ]
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor, model).chat(history))
    blocks = sent_blocks(vendor.body or {"messages": []})
    inside = [
        block for block in blocks if "toolResult" in block and PNG_BASE64 in json.dumps(block)
    ]
    assert refused(result, vendor) or (not inside and PNG_BASE64 in json.dumps(blocks))


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def file_part(name: str, kind: str, data: bytes = b"%PDF-1.4\n") -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{kind};base64,{text}"}}


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "<x/>")
    return out.getvalue()


def documents(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["document"] for block in sent_blocks(body) if "document" in block]


@pytest.mark.parametrize(
    ("name", "kind", "data", "format"),
    [
        ("a.csv", "text/csv", b"a,b\n1,2\n", "csv"),
        ("a.txt", "text/plain", b"hello\n", "txt"),
        ("a.md", "text/markdown", b"# hello\n", "md"),
        ("a.html", "text/html", b"<!doctype html><p>hello", "html"),
        (
            "a.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            zipped("word/document.xml"),
            "docx",
        ),
        (
            "a.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            zipped("xl/workbook.xml"),
            "xlsx",
        ),
    ],
    ids=["csv", "txt", "md", "html", "docx", "xlsx"],
)
def test_every_kind_of_document_has_its_format(
    name: str, kind: str, data: bytes, format: str
) -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(user({"type": "text", "text": "q"}, file_part(name, kind, data)))
    assert documents(vendor.body)[0]["format"] == format


def test_documents_of_one_name_get_different_ones() -> None:
    """ "Messages can not contain duplicate document names". Source: litellm 1.109.1"""
    part = file_part("report.pdf", "application/pdf")
    messages = [
        *user({"type": "text", "text": "q"}, part, part),
        {"role": "assistant", "content": "a"},
    ]
    with Vendor(OK) as vendor:
        bedrock(vendor).chat([*messages, *user({"type": "text", "text": "q"}, part)])
    names = [document["name"] for document in documents(vendor.body)]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    "name", ["a__b  c.d.pdf", "报告.pdf", "x" * 300 + ".pdf", "", "../../etc/passwd"]
)
def test_every_file_name_becomes_a_legal_document_name(name: str) -> None:
    """
    Letters, digits, single spaces, hyphens, parentheses and brackets, up to 200. Source: botocore's
    service model
    """
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(
            user({"type": "text", "text": "q"}, file_part(name, "application/pdf"))
        )
    found = documents(vendor.body)[0]["name"]
    assert 1 <= len(found) <= 200
    assert all(letter.isascii() and (letter.isalnum() or letter in " -()[]") for letter in found)
    assert "  " not in found


def test_a_document_alone_gets_a_text_beside_it() -> None:
    """ "A text block must be included when using documents"."""
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(user(file_part("a.pdf", "application/pdf")))
    assert any(block.get("text", "").strip() for block in sent_blocks(vendor.body))


def test_a_kind_of_file_that_bedrock_does_not_take_is_refused_before_sending() -> None:
    part = file_part("a.zip", "application/zip", zipped("a.txt"))
    with Vendor(OK) as vendor:
        result = outcome(lambda: bedrock(vendor).chat(user({"type": "text", "text": "q"}, part)))
    assert refused(result, vendor)


@pytest.mark.parametrize(
    ("uri", "format"),
    [("s3://b/a.jpg", "jpeg"), ("s3://b/A.JPEG", "jpeg"), ("s3://b/a.webp", "webp")],
)
def test_the_format_of_an_image_on_s3_is_bedrocks_word(uri: str, format: str) -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(
            user({"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": "q"})
        )
    image = next(block["image"] for block in sent_blocks(vendor.body) if "image" in block)
    assert image["format"] == format


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        pytest.param(ASK, {"tools": [{**tool(), **MARK}]}, id="a tool"),
        pytest.param(
            ASK,
            {"tools": [{"type": "function", "function": {**tool()["function"], **MARK}}]},
            id="its function",
        ),
        pytest.param(
            [{"role": "system", "content": "a long prefix", **MARK}, *ASK], {}, id="a message"
        ),
        pytest.param(
            user({**IMAGE_PART, **MARK}, {"type": "text", "text": "q"}), {}, id="an image"
        ),
        pytest.param(
            [
                *ASK,
                assistant_call(),
                {**tool_result(content=[{"type": "text", "text": "22", **MARK}])},
            ],
            {},
            id="a result",
        ),
        pytest.param(
            user(
                {
                    "type": "text",
                    "text": "long",
                    "cache_control": {"type": "ephemeral", "ttl": "1h"},
                }
            ),
            {},
            id="an hour",
        ),
    ],
)
def test_a_mark_for_the_cache_is_never_ignored_in_silence(
    messages: Any, options: dict[str, Any]
) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(messages, **options))
    assert refused(result, vendor) or "cachePoint" in json.dumps(vendor.body) or result.warnings


@pytest.mark.parametrize(
    "model", ["us.meta.llama4-maverick-17b-instruct-v1:0", "mistral.mistral-large-3"]
)
def test_a_model_without_a_cache_gets_no_cache_point_but_a_warning(model: str) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor, model).chat(user({"type": "text", "text": "long", **MARK}))
        )
    assert "cachePoint" not in json.dumps(vendor.body)
    assert refused(result, vendor) or result.warnings


def test_no_more_cache_points_are_sent_than_claude_takes() -> None:
    """Four in one request. Source: docs.aws.amazon.com, prompt caching"""
    parts = [{"type": "text", "text": f"part {number}", **MARK} for number in range(7)]
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(user(*parts)))
    assert refused(result, vendor) or json.dumps(vendor.body).count("cachePoint") <= 4


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_mark_for_the_cache_is_warned_of_where_it_means_nothing(provider: str) -> None:
    response = gemini_response("ok") if provider == "gemini" else completion("ok")
    with Vendor(response) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        chat = vendor.client(provider, **model)
        result = unless_refused(lambda: chat.chat(user({"type": "text", "text": "long", **MARK})))
    assert refused(result, vendor) or result.warnings or "cache_control" in json.dumps(vendor.body)


# ---- families behind other names


@pytest.mark.parametrize(
    ("family", "options", "expected"),
    [
        ("anthropic.claude-opus-4-8", {"temperature": 0.5}, {}),
        ("anthropic.claude-sonnet-4-5", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}),
        ("amazon.nova-pro", {"temperature": 0.5}, {"temperature": 0.5}),
    ],
)
def test_a_family_brings_its_rules(
    family: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, PROFILE, family=family).chat(ASK, **options)
    assert vendor.body.get("inferenceConfig", {}) == expected


def test_a_family_brings_its_thinking() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, PROFILE, family="anthropic.claude-opus-4-8").chat(
            ASK, thinking={"type": "enabled"}
        )
    assert fields_of(vendor)["thinking"] == {"type": "adaptive"}


def test_a_family_brings_its_own_fields() -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, PROFILE, family="amazon.nova-pro").chat(ASK, top_k=5)
    assert fields_of(vendor) == {"inferenceConfig": {"topK": 5}}


@pytest.mark.parametrize(
    "model",
    [
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "US.Anthropic.Claude-Sonnet-4-5-20250929-v1:0",
    ],
)
def test_a_name_that_tells_its_family_needs_no_option(model: str) -> None:
    with Vendor(OK) as vendor:
        bedrock(vendor, model).chat(ASK, temperature=0.5, top_p=0.9)
    assert len(vendor.body["inferenceConfig"]) == 1


@pytest.mark.parametrize(
    "model",
    [
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123xyz",
        "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123xyz",
        "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc123xyz",
    ],
)
def test_signed_thinking_goes_back_to_every_opaque_name(model: str) -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "SIG"}]
    history = [*ASK, assistant_call("t1", thinking_blocks=signed), tool_result("t1")]
    with Vendor(OK) as vendor:
        bedrock(vendor, model).chat(history, tools=TOOLS)
    assert "SIG" in json.dumps(vendor.body["messages"][1])


def test_signed_thinking_goes_to_no_model_that_is_known_to_be_another() -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "SIG"}]
    history = [*ASK, assistant_call("t1", thinking_blocks=signed), tool_result("t1")]
    with Vendor(OK) as vendor:
        bedrock(vendor, PROFILE, family="amazon.nova-pro").chat(history, tools=TOOLS)
    assert "SIG" not in json.dumps(vendor.body)


def test_an_unknown_family_is_refused_or_passes_through() -> None:
    with Vendor(OK) as vendor:
        result = outcome(lambda: bedrock(vendor, PROFILE, family="no-such-family").chat(ASK))
    assert refused(result, vendor) or getattr(result, "content", "") == "ok"


# ---- structured output: siblings of a map


class Inner(BaseModel):
    scores: dict[str, int]


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    city: str


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Nested(BaseModel):
    inner: Inner


class Many(BaseModel):
    items: list[Inner]


class Maybe(BaseModel):
    scores: dict[str, int] | None = None


class Lists(BaseModel):
    by_name: dict[str, list[Inner]]


class Anything(BaseModel):
    value: Any


class Pair(BaseModel):
    pair: tuple[int, str]


class Pet(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


FORMATS = {
    "nested": (Nested, {"inner": {"scores": {"a": 1}}}),
    "in a list": (Many, {"items": [{"scores": {"a": 1}}]}),
    "optional": (Maybe, {"scores": {"a": 1}}),
    "of lists": (Lists, {"by_name": {"a": [{"scores": {"b": 1}}]}}),
    "anything": (Anything, {"value": {"a": 1}}),
    "extra fields": (Open, {"city": "a", "more": 1}),
    "one that names itself": (Node, {"value": 1, "children": [{"value": 2, "children": []}]}),
    "a tuple": (Pair, {"pair": [1, "a"]}),
}


def open_places(schema: Any) -> list[Any]:
    """Objects that their own schema leaves open, references that lead in a circle, and tuples."""
    found: list[Any] = []
    pending = [schema]
    while pending:
        node = pending.pop()
        pending += (
            list(node.values())
            if isinstance(node, dict)
            else node
            if isinstance(node, list)
            else []
        )
        if isinstance(node, dict) and (
            node.get("additionalProperties") not in (None, False) or "prefixItems" in node
        ):
            found.append(node)
    return found


@pytest.mark.parametrize(("kind", "value"), FORMATS.values(), ids=FORMATS)
def test_what_bedrocks_grammar_cannot_say_goes_into_the_prompt(
    kind: type[BaseModel], value: Any
) -> None:
    """Never a grammar that forbids what the schema allows."""
    with Vendor(converse_response(json.dumps(value))) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(ASK, response_format=kind))
    assert "outputConfig" not in vendor.body
    assert refused(result, vendor) or (
        result.parsed == kind.model_validate(value) and result.warnings
    )


def test_a_union_is_written_as_the_grammar_takes_it_or_prompted() -> None:
    """``oneOf`` is refused, ``anyOf`` taken. Source: docs.aws.amazon.com, structured output"""
    with Vendor(converse_response('{"pet": {"kind": "dog"}}')) as vendor:
        result = bedrock(vendor).chat(ASK, response_format=Pet)
    assert isinstance(result.parsed.pet, Dog)
    assert "oneOf" not in json.dumps(vendor.body.get("outputConfig", {}))


def test_a_plain_schema_is_still_sent_as_a_grammar() -> None:
    with Vendor(converse_response('{"kind": "cat"}')) as vendor:
        result = bedrock(vendor).chat(ASK, response_format=Cat)
    schema = json.loads(
        vendor.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    )
    assert schema["additionalProperties"] is False
    assert result.parsed == Cat(kind="cat")


def test_nothing_open_is_ever_closed_in_a_dict_format() -> None:
    schema = {
        "type": "object",
        "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}},
        "required": ["labels"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "labels", "schema": schema}}
    with Vendor(converse_response('{"labels": {"a": "b"}}')) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(ASK, response_format=wanted))
    assert open_places(schema)
    assert "outputConfig" not in vendor.body
    assert refused(result, vendor) or result.parsed == {"labels": {"a": "b"}}


# ---- what comes back


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_image_block_is_an_image_of_the_result(stream: bool) -> None:
    block = {"image": {"format": "png", "source": {"bytes": PNG_BASE64}}}
    frames = [
        block_delta(0, text="here"),
        block_stop(0),
        block_start(1, image={"format": "png"}),
        block_delta(1, image={"source": {"bytes": PNG_BASE64}}),
        block_stop(1),
    ]
    with Vendor(converse_stream(*frames) if stream else converse_response("here", block)) as vendor:
        result = ask(bedrock(vendor, "us.amazon.nova-2-omni-v1:0"), stream=stream)
    assert result.content == "here"
    assert [image.data for image in result.images] == [PNG]


def test_the_citations_of_a_stream_are_kept() -> None:
    citation = {"title": "the source", "location": {"web": {"url": "https://x"}}}
    frames = [block_delta(0, text="cited"), block_delta(0, citation=citation), block_stop(0)]
    with Vendor(converse_stream(*frames)) as vendor:
        result = read(bedrock(vendor).chat_stream(ASK))
    assert result.content == "cited"
    assert "https://x" in kept(result)


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"performanceConfig": {"latency": "optimized"}}, "optimized"),
        ({"serviceTier": {"type": "flex"}}, "flex"),
        ({"trace": {"promptRouter": {"invokedModelId": "the-model"}}}, "the-model"),
    ],
)
def test_the_metadata_of_a_stream_is_kept(metadata: dict[str, Any], word: str) -> None:
    with Vendor(converse_text("hello", **metadata)) as vendor:
        result = read(bedrock(vendor).chat_stream(ASK))
    assert word in kept(result)


def test_the_response_fields_of_a_streams_end_are_kept() -> None:
    frames = [
        block_delta(0, text="a"),
        frame(
            "messageStop",
            {
                "stopReason": "stop_sequence",
                "additionalModelResponseFields": {"stop_sequence": "END"},
            },
        ),
        frame("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}}),
    ]
    with Vendor(Response(content_type=FRAMES, pieces=frames)) as vendor:
        result = read(bedrock(vendor).chat_stream(ASK))
    assert "END" in kept(result)


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
def test_a_broken_off_answer_of_bedrock_is_not_a_final_answer(stop: str) -> None:
    with Vendor(converse_response(stop=stop)) as vendor:
        chat = bedrock(vendor)
        result = outcome(
            lambda: chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "1")
        )
    assert isinstance(result, errors.ProviderError) or result.warnings


# ---- signing in: siblings of faults on this machine

CODE = """
from aigc_kit import ChatClient, errors
options = {options!r}
try:
    with ChatClient("bedrock", base_url="http://127.0.0.1:9", timeout=20.0, **options) as chat:
        {call}
except errors.AIGCError as error:
    print(type(error).__name__, getattr(error, "retryable", False), getattr(error, "tries", 0))
"""
CALLS = {
    "plain": 'chat.chat([{"role": "user", "content": "hi"}])',
    "streamed": 'list(chat.chat_stream([{"role": "user", "content": "hi"}]))',
}
CONFIG = """
[profile never]
sso_session = my
sso_account_id = 123456789012
sso_role_name = R
region = us-east-1
[sso-session my]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
[profile old]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = R
region = us-east-1
[profile garbage]
credential_process = /bin/echo not-json
region = us-east-1
[profile absent]
credential_process = /nonexistent/helper
region = us-east-1
[profile source]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = nowhere
region = us-east-1
[profile half]
aws_access_key_id = A
region = us-east-1
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(CONFIG)
    return tmp_path / ".aws"


def sign_in(options: dict[str, Any], call: str) -> list[str]:
    """(class, retryable, tries) of the error, in a fresh interpreter."""
    code = CODE.format(options=options, call=CALLS[call])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


SIGN_IN_ERRORS = ("AuthenticationError", "MissingCredentialError")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "profile", ["never", "old", "garbage", "absent", "source", "half", "nonexistent"]
)
def test_every_fault_of_a_profile_is_a_fault_of_signing_in(profile: str) -> None:
    kind, retryable, tries = sign_in({"profile": profile, "region": "us-east-1"}, "plain")
    assert kind in SIGN_IN_ERRORS
    assert (retryable, int(tries) <= 1) == ("False", True)


@pytest.mark.usefixtures("home")
def test_a_stream_that_cannot_sign_in_says_the_same() -> None:
    kind, retryable, _ = sign_in({"profile": "garbage"}, "streamed")
    assert (kind in SIGN_IN_ERRORS, retryable) == (True, "False")


@pytest.mark.usefixtures("home")
def test_a_web_identity_of_the_environment_that_fails_is_a_fault_of_signing_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    kind, retryable, _ = sign_in({"region": "us-east-1"}, "plain")
    assert (kind in SIGN_IN_ERRORS, retryable) == (True, "False")


@pytest.mark.usefixtures("home")
def test_a_missing_profile_of_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with ChatClient(
        "bedrock", region="us-east-1", base_url=f"http://127.0.0.1:{closed_port}"
    ) as chat:
        result = outcome(lambda: chat.chat(ASK))
    assert isinstance(result, errors.AuthenticationError | errors.ConfigurationError)
    assert "no-such-profile" in str(result)


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"]
)
def test_a_sign_in_that_aws_refuses_is_not_retried(code: str) -> None:
    refusal = Response(b'{"message": "no"}', status=403, headers={"x-amzn-errortype": code})
    with Vendor(refusal) as vendor:
        result = outcome(lambda: bedrock(vendor, max_retries=2).chat(ASK))
    assert type(result) is errors.AuthenticationError
    assert len(vendor.requests) == 1


# ---- the region


@pytest.fixture
def profiles(home: Path) -> Path:
    (home / "config").write_text(
        "[default]\nregion = us-west-2\n[profile work]\nregion = eu-west-1\n"
    )
    keys = "aws_access_key_id = A\naws_secret_access_key = S\n"
    (home / "credentials").write_text(f"[default]\n{keys}[work]\n{keys}")
    return home


def region_of(**options: Any) -> str:
    """The region that a request is signed for."""
    with (
        Vendor(OK) as vendor,
        ChatClient("bedrock", base_url=vendor.url, max_retries=0, **options) as chat,
    ):
        chat.chat(ASK)
    return vendor.headers[0]["authorization"].split("/")[2]


@pytest.mark.usefixtures("profiles")
def test_the_region_of_each_source_is_found_in_boto3s_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert region_of() == "us-west-2"
    assert region_of(profile="work") == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert region_of() == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert region_of() == "ap-south-1"
    assert region_of(region="sa-east-1") == "sa-east-1"


def test_a_config_file_elsewhere_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").write_text(
        "[default]\nregion = ca-central-1\naws_access_key_id = A\naws_secret_access_key = S\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "mine"))
    assert region_of() == "ca-central-1"


def test_no_region_anywhere_is_refused_with_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Vendor(OK) as vendor:
        result = outcome(lambda: vendor.client("bedrock", region=None).chat(ASK))
    assert refused(result, vendor)
    assert "region" in str(result)


# ---- text that looks like reasoning


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_thinking_that_nova_writes_into_its_text_stays_text(stream: bool) -> None:
    """
    Nova's own style, and what a prompt asked for; Bedrock gives real reasoning in blocks of its
    own.
    """
    text = "<thinking> I have both cities.</thinking>\n\nIt rains."
    with Vendor(converse_text(text) if stream else converse_response(text)) as vendor:
        result = ask(vendor.client("bedrock"), stream=stream)
    assert (result.content, result.reasoning_content) == (text, "")


def test_think_tags_at_the_head_of_a_bedrock_answer_are_reasoning() -> None:
    with Vendor(converse_response("<think>hm</think>\n\nIt rains.")) as vendor:
        result = vendor.client("bedrock").chat(ASK)
    assert (result.content, result.reasoning_content) == ("It rains.", "hm")


@pytest.mark.parametrize(
    "place",
    [
        {
            "allOf": [
                {"type": "object", "properties": {"x": {"type": "integer"}}},
                {"$ref": "#/$defs/Y"},
            ]
        },
        {
            "type": "object",
            "properties": {"x": {"type": "integer"}},
            "anyOf": [{"$ref": "#/$defs/Y"}],
        },
        {"allOf": [{"$ref": "#/$defs/Y"}], "anyOf": [{"$ref": "#/$defs/Y"}, {"type": "null"}]},
    ],
    ids=["allOf", "anyOf beside properties", "allOf beside anyOf"],
)
def test_an_object_put_together_from_several_schemas_is_asked_for_in_words(
    place: dict[str, Any],
) -> None:
    """Closed one by one, the schemas would refuse each other's properties."""
    definitions = {
        "Y": {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]}
    }
    schema = {
        "type": "object",
        "properties": {"place": place},
        "required": ["place"],
        "$defs": definitions,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    with Vendor(converse_response('{"place": {"x": 1, "y": 2}}')) as vendor:
        result = vendor.client("bedrock").chat(ASK, response_format=wanted)
    assert result.parsed == {"place": {"x": 1, "y": 2}}
    assert "outputConfig" not in vendor.body
    assert "response_format" in features(result)


def test_one_schema_in_all_of_still_goes_to_bedrocks_grammar() -> None:
    """Older versions of pydantic write a described field so."""
    definitions = {
        "Y": {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]}
    }
    place = {"allOf": [{"$ref": "#/$defs/Y"}], "description": "where"}
    schema = {
        "type": "object",
        "properties": {"place": place},
        "required": ["place"],
        "$defs": definitions,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    with Vendor(converse_response('{"place": {"y": 2}}')) as vendor:
        vendor.client("bedrock").chat(ASK, response_format=wanted)
    assert "outputConfig" in vendor.body


BROKEN = frame("modelStreamErrorException", {"message": "try again"}, kind="exception")


def test_an_error_while_streaming_is_sent_again_before_the_first_content() -> None:
    """ "Retry your request", says the API reference of ConverseStream."""
    with Vendor(converse_stream(BROKEN), converse_stream(block_delta(0, text="ok"))) as vendor:
        assert read(vendor.client("bedrock", max_retries=2).chat_stream(ASK)).content == "ok"


def test_an_error_while_streaming_may_be_tried_again_after_it() -> None:
    with Vendor(converse_stream(block_delta(0, text="half"), BROKEN)) as vendor:
        found = outcome(lambda: read(vendor.client("bedrock").chat_stream(ASK)))
    assert isinstance(found, errors.StreamInterruptedError)
    assert (found.retryable, found.partial.content) == (True, "half")


# ---- efforts, sampling and documents, by family

TERSE = [{"role": "user", "content": "hi"}]


def fields_sent(model: str, **options: Any) -> tuple[dict[str, Any], list[str]]:
    with Vendor(OK) as vendor:
        result = vendor.client("bedrock", model=model).chat(TERSE, **options)
    return vendor.body.get("additionalModelRequestFields", {}), features(result)


@pytest.mark.parametrize(
    ("model", "options", "fields", "warned"),
    [
        (
            "deepseek.v3.2-v1:0",
            {"thinking": {"type": "disabled"}},
            {"reasoning_effort": "none"},
            [],
        ),
        ("zai.glm-5", {"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}, []),
        ("zai.glm-5", {"thinking": {"type": "enabled"}}, {"reasoning_effort": "high"}, []),
        (
            "qwen.qwen3-235b-a22b-2507-v1:0",
            {"thinking": {"type": "disabled"}},
            {"reasoning_config": "none"},
            [],
        ),
        (
            "qwen.qwen3-235b-a22b-2507-v1:0",
            {"reasoning_effort": "low"},
            {"reasoning_config": "low"},
            [],
        ),
        (
            "openai.gpt-oss-120b-1:0",
            {"thinking": {"type": "enabled"}},
            {"reasoning_effort": "medium"},
            [],
        ),
        (
            "openai.gpt-oss-120b-1:0",
            {"thinking": {"type": "disabled"}},
            {"reasoning_effort": "low"},
            ["thinking"],
        ),
        (
            "openai.gpt-6-sol",
            {"reasoning_effort": "low"},
            {"reasoning": {"effort": "low"}},
            [],
        ),
        ("mistral.mistral-large", {"thinking": {"type": "disabled"}}, {}, ["thinking"]),
    ],
)
def test_each_family_has_its_own_field_of_effort(
    model: str, options: dict[str, Any], fields: dict[str, Any], warned: list[str]
) -> None:
    assert fields_sent(model, **options) == (fields, warned)


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("global.anthropic.claude-opus-4-6", "max", "max"),
        ("global.anthropic.claude-opus-4-6", "xhigh", "max"),
        ("global.anthropic.claude-opus-4-8", "xhigh", "xhigh"),
        ("global.anthropic.claude-opus-4-8", "minimal", "low"),
    ],
)
def test_an_effort_is_no_budget(model: str, effort: str, sent: str) -> None:
    fields, warned = fields_sent(model, reasoning_effort=effort)
    assert fields["output_config"] == {"effort": sent}
    assert "thinking" not in warned


@pytest.mark.parametrize("model", ["openai.gpt-6-sol", "xai.grok-4-5"])
def test_models_that_refuse_sampling_are_not_given_it(model: str) -> None:
    with Vendor(OK) as vendor:
        result = vendor.client("bedrock", model=model).chat(TERSE, temperature=0.5, top_p=0.5)
    assert "temperature" not in vendor.body.get("inferenceConfig", {})
    assert features(result) == ["temperature", "top_p"]


def test_a_document_does_not_stand_beside_a_result() -> None:
    pdf = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4 x").decode()
    file = {"type": "file", "file": {"file_data": pdf, "filename": "a.pdf"}}
    history = [
        {"role": "user", "content": "q"},
        assistant_call(),
        tool_result("c1", "r"),
        {"role": "user", "content": [{"type": "text", "text": "see"}, file]},
    ]
    with Vendor(OK) as vendor:
        model = "global.anthropic.claude-sonnet-4-6"
        vendor.client("bedrock", model=model).chat(history, tools=[tool()])
    kinds = [[next(iter(block)) for block in turn["content"]] for turn in vendor.body["messages"]]
    assert kinds[2:] == [["toolResult"], ["text"], ["text", "document"]]
