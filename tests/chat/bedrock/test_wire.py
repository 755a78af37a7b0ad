"""
Bedrock as users met it: parameters, families, sign-in, caching, and what its grammar cannot
express.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aigc_kit import ChatClient
from tests.vendor import (
    ASK,
    IMAGE_PART,
    PNG_BASE64,
    TOOLS,
    Vendor,
    assistant_call,
    converse_response,
    converse_text,
    kept,
    read,
    refused,
    sent_blocks,
    tool_result,
    unless_refused,
)

OK = converse_response("ok")


def bedrock(
    vendor: Vendor, model: str = "global.anthropic.claude-sonnet-4-6", **options: Any
) -> ChatClient:
    return vendor.client("bedrock", model=model, **options)


def fields_of(vendor: Vendor) -> dict[str, Any]:
    found: dict[str, Any] = vendor.body.get("additionalModelRequestFields", {})
    return found


# ---- parameters

GUARDRAIL = {"guardrailIdentifier": "g", "guardrailVersion": "1"}


@pytest.mark.parametrize(
    ("options", "usual"),
    [
        pytest.param({"parallel_tool_calls": False, "tools": TOOLS}, False, id="no parallel calls"),
        pytest.param({"parallel_tool_calls": True, "tools": TOOLS}, True, id="parallel calls"),
        pytest.param({"user": "u"}, False, id="user"),
        pytest.param({"n": 1}, True, id="n"),
        pytest.param({"frequency_penalty": 0}, True, id="no penalty"),
        pytest.param({"stream_options": {"include_usage": True}}, True, id="stream_options"),
        pytest.param({"reasoning_effort": "low"}, False, id="effort"),
    ],
)
def test_openais_parameters_are_mapped_or_left_out_with_a_warning(
    options: dict[str, Any], usual: bool
) -> None:
    """
    As they are, Claude answers 400 "Extra inputs are not permitted"; ``usual`` is what Converse
    does anyway.

    Source: https://github.com/BerriAI/litellm/issues/29668
    """
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(ASK, **options))
    fields = fields_of(vendor)
    assert next(iter(options)) not in fields
    assert refused(result, vendor) or (
        result.content == "ok" and (fields or result.warnings or usual)
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"extra_body": {"guardrailConfig": GUARDRAIL}}, "guardrailConfig"),
        (
            {"additional_model_response_field_paths": ["/stop_sequence"]},
            "additionalModelResponseFieldPaths",
        ),
    ],
    ids=["extra_body", "option"],
)
def test_converses_own_fields_stand_at_the_top_of_the_request(
    options: dict[str, Any], field: str
) -> None:
    """
    A guardrail in additionalModelRequestFields is ignored.

    Source: https://github.com/epam/ai-dial-adapter-bedrock/issues/276
    """
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(ASK, **options)
    assert field in vendor.body
    assert field not in fields_of(vendor)


@pytest.mark.parametrize(
    "choice",
    ["required", {"type": "function", "function": {"name": "get_weather"}}],
    ids=["any tool", "one tool"],
)
@pytest.mark.parametrize(
    "model",
    ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-opus-4-1-20250805-v1:0"],
)
def test_a_tool_is_not_forced_while_claude_thinks_with_a_budget(model: str, choice: Any) -> None:
    """
    One of the two is left out with a warning, or the call is refused.

    Source: https://github.com/vercel/ai/pull/17729,
    https://github.com/pydantic/pydantic-ai/issues/3092 and
    https://github.com/langchain-ai/langchain-aws/issues/926
    """
    thinking = {"type": "enabled", "budget_tokens": 2000}
    with Vendor(OK) as vendor:
        chat = bedrock(vendor, model)
        result = unless_refused(
            lambda: chat.chat(ASK, tools=TOOLS, tool_choice=choice, thinking=thinking)
        )
    thinks = fields_of(vendor).get("thinking", {}).get("type") == "enabled"
    forced = {"any", "tool"}.intersection(vendor.body.get("toolConfig", {}).get("toolChoice", {}))
    assert refused(result, vendor) or (result.warnings and not (thinks and forced))


@pytest.mark.parametrize(
    "model",
    [
        "us.anthropic.claude-opus-4-8",
        "us.anthropic.claude-opus-5",
        "global.anthropic.claude-sonnet-4-6",
    ],
)
def test_thinking_without_a_limit_leaves_room_for_the_answer(model: str) -> None:
    """
    Bedrock's own limit of 4096 tokens includes the thinking and cuts answers that are paid for.

    Source: https://github.com/danny-avila/LibreChat/pull/14058 and
    https://github.com/openclaw/openclaw/issues/97176
    """
    with Vendor(OK) as vendor:
        bedrock(vendor, model).chat(ASK, thinking={"type": "enabled", "budget_tokens": 20000})
    assert vendor.body.get("inferenceConfig", {}).get("maxTokens", 0) > 20000


def test_the_callers_own_limit_stays_while_the_model_thinks() -> None:
    """Source: https://github.com/danny-avila/LibreChat/pull/14058"""
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(ASK, thinking={"type": "enabled"}, max_tokens=9000)
    assert vendor.body["inferenceConfig"]["maxTokens"] == 9000


NOVA = "us.amazon.nova-2-lite-v1:0"


def test_nova_at_high_effort_gets_no_limits() -> None:
    """
    They are left out with a warning, the effort is lower, or the call is refused.

    Source: https://github.com/UKGovernmentBEIS/inspect_ai/issues/3767
    """
    thinking = {"type": "enabled", "budget_tokens": 20000}
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor, NOVA).chat(
                ASK, thinking=thinking, temperature=0.2, max_tokens=500
            )
        )
    high = "high" in str(fields_of(vendor))
    assert (
        refused(result, vendor)
        or not high
        or (not vendor.body.get("inferenceConfig") and result.warnings)
    )


def test_novas_top_k_stands_where_nova_reads_it() -> None:
    """Source: https://github.com/promptfoo/promptfoo/pull/6531"""
    with Vendor(OK) as vendor:
        bedrock(vendor, "us.amazon.nova-pro-v1:0").chat(ASK, top_k=5)
    assert fields_of(vendor) == {"inferenceConfig": {"topK": 5}}


# ---- histories


def test_a_history_that_ends_with_the_assistant_is_refused_or_closed() -> None:
    """
    Claude 4.6 and later refuse a prefilled answer. Source:
    https://github.com/crewAIInc/crewAI/pull/6973
    """
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor).chat([*ASK, {"role": "assistant", "content": "{"}])
        )
    assert refused(result, vendor) or (
        vendor.body["messages"][-1]["role"] == "user" and result.warnings
    )


def test_claude_4_5_takes_a_prefilled_answer_as_it_is() -> None:
    """Source: https://github.com/crewAIInc/crewAI/pull/6973"""
    with Vendor(OK) as vendor:
        chat = bedrock(vendor, "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
        chat.chat([*ASK, {"role": "assistant", "content": "{"}])
    assert [message["role"] for message in vendor.body["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    "model", ["mistral.mistral-7b-instruct-v0:2", "amazon.titan-text-express-v1"]
)
def test_a_model_without_a_system_text_gets_it_before_the_first_user_turn_or_is_refused(
    model: str,
) -> None:
    """
    Source: https://github.com/danny-avila/LibreChat/issues/6456 and
    https://github.com/567-labs/instructor/issues/1753
    """
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: bedrock(vendor, model).chat([{"role": "system", "content": "be short"}, *ASK])
        )
    moved = "system" not in vendor.body and "be short" in json.dumps(vendor.body)
    assert refused(result, vendor) or (moved and result.warnings)


HISTORIES = {
    "a tool result with text": [
        *ASK,
        assistant_call(),
        tool_result(content=[{"type": "text", "text": "see:"}, IMAGE_PART]),
    ],
    "a tool result": [*ASK, assistant_call(), tool_result(content=[IMAGE_PART])],
    "an assistant turn": [
        *ASK,
        {"role": "assistant", "content": [{"type": "text", "text": "I drew"}, IMAGE_PART]},
        *ASK,
    ],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_an_image_in_any_turn_reaches_the_model_or_is_refused(history: list[Any]) -> None:
    """
    Source: https://github.com/NousResearch/hermes-agent/issues/55134,
    https://github.com/langchain-ai/langchainjs/issues/10297 and
    https://github.com/BerriAI/litellm/issues/23712
    """
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(history))
    assert refused(result, vendor) or PNG_BASE64 in json.dumps(vendor.body)


def test_marked_blocks_get_a_cache_point_or_a_warning() -> None:
    """
    Ignored in silence, every turn is paid in full.

    Source: https://github.com/cline/cline/pull/12928,
    https://github.com/UKGovernmentBEIS/inspect_ai/pull/5131 and
    https://github.com/TanStack/ai/pull/1306
    """
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "a long prefix", **mark}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a long document", **mark},
                {"type": "text", "text": "q"},
            ],
        },
    ]
    with Vendor(OK) as vendor:
        result = bedrock(vendor).chat(messages)
    system, user = vendor.body["system"], vendor.body["messages"][0]["content"]
    marked = ["cachePoint" in json.dumps(blocks[1:2]) for blocks in (system, user)]
    assert marked == [True, True] or result.warnings


PDF_PART = {
    "type": "file",
    "file": {
        "filename": "my report.v2.pdf",
        "file_data": "data:application/pdf;base64,JVBERi0xLjQK",
    },
}


def test_a_pdf_is_sent_as_a_document_with_a_legal_name() -> None:
    """
    Names have letters, digits, single spaces, hyphens, parentheses and brackets.

    Source: https://github.com/run-llama/llama_index/issues/18789
    """
    with Vendor(OK) as vendor:
        bedrock(vendor).chat(
            [{"role": "user", "content": [{"type": "text", "text": "q"}, PDF_PART]}]
        )
    document = next(block["document"] for block in sent_blocks(vendor.body) if "document" in block)
    assert document["format"] == "pdf"
    assert document["source"] == {"bytes": "JVBERi0xLjQK"}
    assert "." not in document["name"]


def test_an_image_on_s3_is_sent_as_its_location() -> None:
    """Source: https://github.com/vercel/ai/issues/15792"""
    part = {"type": "image_url", "image_url": {"url": "s3://bucket/cat.png"}}
    with Vendor(OK) as vendor:
        bedrock(vendor).chat([{"role": "user", "content": [{"type": "text", "text": "q"}, part]}])
    image = next(block["image"] for block in sent_blocks(vendor.body) if "image" in block)
    assert image == {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/cat.png"}}}


# ---- families

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123xyz"


def test_signed_thinking_goes_back_to_an_opaque_profile() -> None:
    """
    A block with a signature can only be Claude's.

    Source: https://github.com/anthropics/claude-code/issues/51711
    """
    signed = [{"type": "thinking", "thinking": "hm", "signature": "SIG"}]
    history = [*ASK, assistant_call("t1", thinking_blocks=signed), tool_result("t1")]
    with Vendor(OK) as vendor:
        bedrock(vendor, PROFILE).chat(history, tools=TOOLS, thinking={"type": "adaptive"})
    assert "SIG" in json.dumps(vendor.body["messages"][1])


def test_an_option_names_the_family_behind_an_opaque_profile() -> None:
    """
    Claude 4.5 takes temperature or top_p. Source:
    https://github.com/The-PR-Agent/pr-agent/issues/3216
    """
    with Vendor(OK) as vendor:
        chat = bedrock(vendor, PROFILE, family="anthropic.claude-sonnet-4-5")
        chat.chat(ASK, temperature=0.5, top_p=0.9)
    assert len(vendor.body["inferenceConfig"]) == 1


# ---- structured output


class Report(BaseModel):
    city: str
    scores: dict[str, int]


class Loose(BaseModel):
    city: str
    extra: dict[str, Any]


@pytest.mark.parametrize(("kind", "field"), [(Report, "scores"), (Loose, "extra")])
def test_a_map_field_is_never_closed(kind: type[BaseModel], field: str) -> None:
    """
    Bedrock's grammar closes every object, and a closed map can only be empty: the schema goes into
    the prompt, or the call is refused.

    Source: https://github.com/stdapi-ai/stdapi.ai/issues/96,
    https://github.com/als-apg/osprey/issues/204 and
    https://github.com/googleapis/python-genai/issues/2889
    """
    with Vendor(converse_response(json.dumps({"city": "a", field: {}}))) as vendor:
        result = unless_refused(lambda: bedrock(vendor).chat(ASK, response_format=kind))
    text = vendor.body.get("outputConfig", {}).get("textFormat", {})
    schema = json.loads(text.get("structure", {}).get("jsonSchema", {}).get("schema", "{}"))
    closed = schema.get("properties", {}).get(field, {}).get("additionalProperties") is False
    assert not closed
    assert refused(result, vendor) or isinstance(result.parsed, kind)


# ---- what comes back


def test_the_trace_of_a_guardrail_is_kept_in_a_stream() -> None:
    """Source: https://github.com/pydantic/pydantic-ai/issues/7561"""
    assessment = {"contentPolicy": {"filters": [{"type": "HATE"}]}}
    trace = {"guardrail": {"inputAssessment": {"g": assessment}}}
    with Vendor(converse_text("Blocked.", stop="guardrail_intervened", trace=trace)) as vendor:
        guardrail = {**GUARDRAIL, "trace": "enabled"}
        result = read(bedrock(vendor).chat_stream(ASK, guardrail_config=guardrail))
    assert "HATE" in kept(result)


def test_a_call_that_aws_ran_is_not_run_again() -> None:
    """Source: https://github.com/maximhq/bifrost/pull/3435"""
    used = {
        "toolUse": {
            "toolUseId": "t1",
            "name": "nova_grounding",
            "input": {},
            "type": "server_tool_use",
        }
    }
    found = {"toolResult": {"toolUseId": "t1", "content": [{"text": "r"}]}}
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(name)
        return "1"

    with Vendor(converse_response(used, found, "answer")) as vendor:
        result = bedrock(vendor, NOVA).chat_with_tools(ASK, TOOLS, tool_executor=execute)
    assert (result.content, ran, len(vendor.requests)) == ("answer", [], 1)


def test_a_tool_that_aws_runs_is_requested_as_it_is() -> None:
    """Source: https://github.com/stdapi-ai/stdapi.ai/issues/3"""
    system_tool = {"type": "systemTool", "systemTool": {"name": "nova_grounding"}}
    with Vendor(OK) as vendor:
        bedrock(vendor, NOVA).chat(ASK, tools=[system_tool])
    assert vendor.body["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]


# ---- signing in


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty ``.aws``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws/sso/cache").mkdir(parents=True)
    return tmp_path / ".aws"


PROFILES = """
[profile sso]
sso_session = my
sso_account_id = 123456789012
sso_role_name = R
region = us-east-1
[sso-session my]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
[profile web]
role_arn = arn:aws:iam::123456789012:role/x
web_identity_token_file = /nonexistent
region = us-east-1
[profile process]
credential_process = /bin/false
region = us-east-1
"""
EXPIRED = {
    "startUrl": "https://x.awsapps.com/start",
    "region": "us-east-1",
    "accessToken": "t",
    "expiresAt": "2020-01-01T00:00:00Z",
}


SIGN_IN = """
from aigc_kit import ChatClient, errors
with ChatClient("bedrock", profile="{profile}", base_url="http://127.0.0.1:{port}", timeout=20.0) as chat:
    try:
        chat.chat([{{"role": "user", "content": "hi"}}])
    except errors.AIGCError as error:
        print(type(error).__name__, getattr(error, "retryable", False), getattr(error, "tries", 0))
"""


@pytest.mark.parametrize("profile", ["sso", "web", "process"])
def test_a_sign_in_that_fails_on_this_machine_is_not_a_failed_connection(
    profile: str, home: Path, closed_port: int
) -> None:
    """
    In a fresh interpreter: botocore reads the home directory once, when it is imported.

    Source: https://github.com/RooCodeInc/Roo-Code/issues/9106,
    https://github.com/anthropics/claude-code/issues/28032 and
    https://github.com/anomalyco/opencode/issues/29106
    """
    (home / "config").write_text(PROFILES)
    token = hashlib.sha1(b"my").hexdigest()
    (home / f"sso/cache/{token}.json").write_text(json.dumps(EXPIRED))
    code = SIGN_IN.format(profile=profile, port=closed_port)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kind, retryable, tries = done.stdout.split()
    assert kind in ("AuthenticationError", "MissingCredentialError")
    assert retryable == "False"
    assert int(tries) <= 1


def test_the_region_of_the_default_profile_is_read(home: Path) -> None:
    """Source: https://github.com/anthropics/anthropic-bedrock-python/issues/130"""
    (home / "config").write_text("[default]\nregion = us-west-2\n")
    (home / "credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = S\n"
    )
    with Vendor(OK) as vendor, ChatClient("bedrock", base_url=vendor.url, max_retries=0) as chat:
        assert chat.chat(ASK).content == "ok"
    assert "/us-west-2/" in vendor.headers[0]["authorization"]
