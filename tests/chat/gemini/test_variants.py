"""
Siblings of what users met on Gemini: other spellings, other model names, streams, and the image
client.
"""

from __future__ import annotations

import base64
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from PIL import Image

from aigc_kit import ChatClient, ImageClient, errors
from tests.chat.gemini.test_wire import GENERATION_FIELDS, KEY
from tests.vendor import (
    ASK,
    GEMINI_USAGE,
    IMAGE_PART,
    PNG,
    PNG_BASE64,
    TOOLS,
    Vendor,
    ask,
    assistant_call,
    completion,
    converse_response,
    error,
    features,
    function_call,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    json_response,
    kept,
    outcome,
    read,
    refused,
    sent_parts,
    tool,
    tool_result,
    unless_refused,
)

OK = gemini_response("ok")


def body_for(model: str, messages: Any = ASK, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """(the request, the features that were warned of)."""
    with Vendor(OK) as vendor:
        result = vendor.client("gemini", model=model).chat(messages, **options)
    return vendor.body, features(result)


# ---- zero and empty are values: siblings of a budget of zero


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gemini-2.5-flash", {"reasoning_effort": "none"}),
        ("gemini-2.5-flash", {"thinking_config": {"thinking_budget": 0}}),
        ("gemini-2.5-flash", {"thinking": {"type": "disabled"}}),
        ("gemini-2.5-flash-lite", {"thinking": {"type": "enabled", "budget_tokens": 0}}),
        ("models/gemini-2.5-flash", {"thinking": {"type": "enabled", "budget_tokens": 0}}),
    ],
)
def test_every_way_to_say_no_thinking_is_a_budget_of_zero(
    model: str, options: dict[str, Any]
) -> None:
    body, _ = body_for(model, **options)
    config = body["generationConfig"]["thinkingConfig"]
    assert config["thinkingBudget"] == 0


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3.8-flash"])
def test_a_budget_of_zero_is_never_more_than_the_least_where_thinking_cannot_stop(
    model: str,
) -> None:
    """
    Refused, or the least with a warning. Source: ai.google.dev, thinking: "Budget 0 is invalid" on
    2.5 Pro.
    """
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini", model=model)
        result = unless_refused(
            lambda: chat.chat(ASK, thinking={"type": "enabled", "budget_tokens": 0})
        )
    config = vendor.body.get("generationConfig", {}).get("thinkingConfig", {})
    least = config.get("thinkingBudget") == 128 or config.get("thinkingLevel") in ("LOW", "MINIMAL")
    assert refused(result, vendor) or (least and result.warnings)


def test_a_budget_of_zero_is_not_thousands_of_tokens_on_bedrock() -> None:
    with Vendor(converse_response("ok")) as vendor:
        chat = vendor.client("bedrock", model="us.anthropic.claude-sonnet-4-5-20250929-v1:0")
        result = unless_refused(
            lambda: chat.chat(ASK, thinking={"type": "enabled", "budget_tokens": 0})
        )
    thinking = vendor.body.get("additionalModelRequestFields", {}).get("thinking", {})
    assert refused(result, vendor) or thinking.get("type") == "disabled"


def test_a_budget_of_zero_is_sent_or_refused_at_dashscope() -> None:
    with Vendor(completion("ok")) as vendor:
        chat = vendor.client("qwen", model="qwen-plus")
        result = unless_refused(
            lambda: chat.chat(ASK, thinking={"type": "enabled", "budget_tokens": 0})
        )
    quiet = vendor.body.get("enable_thinking") is False or vendor.body.get("thinking_budget") == 0
    assert refused(result, vendor) or quiet


def test_the_budget_without_a_limit_is_sent_as_it_is() -> None:
    body, _ = body_for("gemini-2.5-flash", thinking={"type": "enabled", "budget_tokens": -1})
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == -1


@pytest.mark.parametrize(
    ("provider", "response", "places"),
    [
        ("gemini", OK, {"temperature": 0, "topP": 0, "seed": 0}),
        ("openai_compat", completion("ok"), {"temperature": 0, "top_p": 0, "seed": 0}),
        ("bedrock", converse_response("ok"), {"temperature": 0}),
    ],
    ids=["gemini", "chat", "bedrock"],
)
def test_parameters_that_are_zero_are_sent(
    provider: str, response: Any, places: dict[str, int]
) -> None:
    with Vendor(response) as vendor:
        vendor.client(provider).chat(ASK, temperature=0, top_p=0, seed=0)
    sent = {
        **vendor.body,
        **vendor.body.get("generationConfig", {}),
        **vendor.body.get("inferenceConfig", {}),
    }
    assert {name: sent.get(name) for name in places} == places


# ---- options: siblings of those that are not generation fields


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"a": "b"}},
        {"store": True},
        {"logit_bias": {"1": 1}},
        {"prediction": {"type": "content", "content": "x"}},
        {"web_search_options": {}},
        {"verbosity": "low"},
        {"prompt_cache_key": "k"},
        {"safety_identifier": "u"},
        {"modalities": ["text"]},
        {"automatic_function_calling": {"disable": True}},
        {"automatic_continuation": False},
        {"top_logprobs": 3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_no_option_of_another_api_ends_in_the_generation_config(options: dict[str, Any]) -> None:
    """
    It is mapped, left out with a warning, or refused; what only steers Google's own SDK may go in
    silence.
    """
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(ASK, **options))
    generation = vendor.body.get("generationConfig", {})
    assert set(generation) - set(GENERATION_FIELDS.split()) == set()
    mapped = generation or set(vendor.body) - {"contents", "generationConfig"}
    steering = next(iter(options)).startswith("automatic_")
    assert refused(result, vendor) or result.warnings or mapped or steering


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"systemInstruction": "be short"}, "systemInstruction"),
        ({"safetySettings": [{"category": "c", "threshold": "OFF"}]}, "safetySettings"),
        ({"safety_settings": [{"category": "c", "threshold": "OFF"}]}, "safetySettings"),
        ({"labels": {"a": "b"}}, "labels"),
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_field_of_the_request_stands_at_its_top_in_either_spelling(
    options: dict[str, Any], field: str
) -> None:
    body, _ = body_for("gemini-3.8-flash", **options)
    assert field in body
    assert field not in body.get("generationConfig", {})


def test_a_system_instruction_beside_a_system_message_loses_neither() -> None:
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini")
        messages = [{"role": "system", "content": "be kind"}, *ASK]
        result = unless_refused(lambda: chat.chat(messages, system_instruction="be short"))
    text = json.dumps(vendor.body.get("systemInstruction", {}))
    assert refused(result, vendor) or ("be kind" in text and "be short" in text)


def test_openais_logprobs_are_geminis() -> None:
    """Source: https://ai.google.dev/api/generate-content"""
    body, _ = body_for("gemini-2.5-flash", logprobs=True, top_logprobs=3)
    generation = body["generationConfig"]
    assert (generation.get("responseLogprobs"), generation.get("logprobs")) == (True, 3)


def test_the_priority_of_a_request_is_what_each_api_reads() -> None:
    """
    A field on the Developer API, headers on Vertex. Source: https://ai.google.dev/gemini-api/docs
    and docs.cloud.google.com
    """
    with Vendor(OK) as vendor:
        vendor.client("gemini", **KEY).chat(ASK, service_tier="flex")
    assert vendor.body.get("serviceTier") == "flex"
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(ASK, service_tier="flex"))
    headers = vendor.headers[0] if vendor.headers else {}
    sent = (
        headers.get("x-vertex-ai-llm-shared-request-type") == "flex" or "serviceTier" in vendor.body
    )
    assert refused(result, vendor) or sent or result.warnings


# ---- cached content


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([{"role": "system", "content": "be short"}, *ASK], {"cached_content": "cachedContents/x"}),
        (
            [{"role": "developer", "content": "be short"}, *ASK],
            {"cachedContent": "cachedContents/x"},
        ),
        (ASK, {"cached_content": "cachedContents/x", "tools": TOOLS}),
        (ASK, {"extra_body": {"cachedContent": "cachedContents/x"}, "tools": TOOLS}),
        (ASK, {"cached_content": "cachedContents/x", "system_instruction": "be short"}),
    ],
    ids=["system", "camel case", "tools", "extra_body", "an option"],
)
def test_each_field_that_a_cache_excludes_is_left_out_or_refused(
    messages: Any, options: dict[str, Any]
) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(messages, **options))
    clash = {"systemInstruction", "tools", "toolConfig"}.intersection(vendor.body)
    assert refused(result, vendor) or (
        result.warnings and (not clash or "cachedContent" not in vendor.body)
    )


def test_cached_content_alone_is_sent_in_peace() -> None:
    body, warned = body_for("gemini-3.8-flash", cached_content="cachedContents/x")
    assert body["cachedContent"] == "cachedContents/x"
    assert warned == []


# ---- schemas of tools: siblings of a map

RECURSIVE = {
    "type": "object",
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    "$ref": "#/$defs/Node",
}
SCHEMAS = {
    "anyOf": {
        "anyOf": [
            {"type": "object", "properties": {"only_here": {"type": "string"}}},
            {"type": "object"},
        ]
    },
    "oneOf": {"type": "object", "oneOf": [{"properties": {"only_here": {"type": "string"}}}]},
    "allOf": {"type": "object", "allOf": [{"properties": {"only_here": {"type": "string"}}}]},
    "patternProperties": {
        "type": "object",
        "patternProperties": {"^x": {"description": "only_here"}},
    },
    "a reference": {
        "$ref": "#/$defs/Only",
        "$defs": {"Only": {"type": "object", "properties": {"only_here": {"type": "string"}}}},
    },
    "no properties": {
        "type": "object",
        "properties": {},
        "additionalProperties": {"type": "integer", "description": "only_here"},
    },
    "one that names itself": {**RECURSIVE, "description": "only_here"},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_without_properties_at_its_top_reaches_gemini_or_is_refused(
    schema: dict[str, Any],
) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: vendor.client("gemini").chat(ASK, tools=[tool("f", schema)])
        )
    assert refused(result, vendor) or "only_here" in json.dumps(vendor.body["tools"])


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"type": "object", "properties": {}}], ids=str
)
def test_a_tool_that_takes_nothing_is_still_taken(schema: dict[str, Any]) -> None:
    body, _ = body_for("gemini-3.8-flash", tools=[tool("f", schema)])
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "f"


# ---- documents, audio, and files in the cloud


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "q"}, *parts]}]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


MP3, TEXT, PDF = (
    encoded(b"ID3\x04\x00\x00\x00\x00\x00\x00"),
    encoded(b"a,b\n1,2\n"),
    encoded(b"%PDF-1.4\n"),
)


@pytest.mark.parametrize(
    ("part", "data", "mime_types"),
    [
        (
            {"type": "input_audio", "input_audio": {"format": "mp3", "data": MP3}},
            MP3,
            {"audio/mp3", "audio/mpeg"},
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{TEXT}"},
            },
            TEXT,
            {"text/plain"},
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.csv", "file_data": f"data:text/csv;base64,{TEXT}"},
            },
            TEXT,
            {"text/csv"},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            PDF,
            {"application/pdf"},
        ),
    ],
    ids=["mp3", "text", "csv", "a name alone"],
)
def test_other_documents_and_sounds_are_sent_with_their_type_or_refused(
    part: Any, data: str, mime_types: set[str]
) -> None:
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(user(part)))
    inline = [
        each["inlineData"]
        for each in sent_parts(vendor.body or {"contents": []})
        if "inlineData" in each
    ]
    assert refused(result, vendor) or (
        inline[0]["data"] == data and inline[0]["mimeType"] in mime_types
    )


@pytest.mark.parametrize(
    ("uri", "mime_types"),
    [
        ("gs://b/cat.png", {"image/png"}),
        ("gs://b/CAT.JPG", {"image/jpeg"}),
        ("gs://b/report.pdf", {"application/pdf"}),
        ("gs://b/talk.mp3", {"audio/mp3", "audio/mpeg"}),
        ("gs://b/film.mp4", {"video/mp4"}),
        ("gs://b/notes.txt", {"text/plain"}),
    ],
)
def test_a_file_in_cloud_storage_has_its_true_type(uri: str, mime_types: set[str]) -> None:
    body, _ = body_for("gemini-3.8-flash", user({"type": "image_url", "image_url": {"url": uri}}))
    file = next(part["fileData"] for part in sent_parts(body) if "fileData" in part)
    assert file["fileUri"] == uri
    assert file["mimeType"] in mime_types


def test_a_file_in_cloud_storage_without_a_type_is_refused_or_given_one() -> None:
    """``image/`` without a subtype is not a type."""
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini")
        result = unless_refused(
            lambda: chat.chat(user({"type": "image_url", "image_url": {"url": "gs://b/photo"}}))
        )
    files = [
        part["fileData"]
        for part in sent_parts(vendor.body or {"contents": []})
        if "fileData" in part
    ]
    assert refused(result, vendor) or files[0]["mimeType"].split("/")[1] in ("png", "jpeg", "webp")


# ---- images in histories


def test_an_old_model_gets_the_image_of_a_result_in_a_content_of_its_own() -> None:
    """
    ``functionResponse.parts`` exists from Gemini 3 on. Source:
    https://ai.google.dev/gemini-api/docs/function-calling
    """
    history = [*ASK, assistant_call(), tool_result(content=[IMAGE_PART])]
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: vendor.client("gemini", model="gemini-2.5-flash").chat(history)
        )
    parts = sent_parts(vendor.body or {"contents": []})
    inside = [
        part for part in parts if "functionResponse" in part and PNG_BASE64 in json.dumps(part)
    ]
    assert refused(result, vendor) or (not inside and any("inlineData" in part for part in parts))


def test_each_call_has_one_response_beside_images() -> None:
    """
    Their numbers must be equal. Source: https://ai.google.dev/gemini-api/docs/function-calling
    """
    calls = [*assistant_call("c1")["tool_calls"], *assistant_call("c2")["tool_calls"]]
    turn = {"role": "assistant", "content": "", "tool_calls": calls}
    history = [*ASK, turn, tool_result("c1", [IMAGE_PART]), tool_result("c2", "22"), *ASK]
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(history))
    responses = [
        part for part in sent_parts(vendor.body or {"contents": []}) if "functionResponse" in part
    ]
    assert refused(result, vendor) or len(responses) == 2


@pytest.mark.parametrize("provider", ["openai", "deepseek", "glm", "qwen"])
def test_an_image_in_a_tool_result_reaches_an_openai_compatible_model_or_is_refused(
    provider: str,
) -> None:
    history = [
        *ASK,
        assistant_call(),
        tool_result(content=[{"type": "text", "text": "see:"}, IMAGE_PART]),
    ]
    with Vendor(completion("ok")) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        result = unless_refused(lambda: vendor.client(provider, **model).chat(history))
    assert refused(result, vendor) or PNG_BASE64 in json.dumps(vendor.body)


# ---- turns and system texts


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("model", ["gemini-3.6-flash", "models/gemini-3.8-flash", "gemini-4-argon"])
def test_no_new_model_gets_a_history_that_ends_with_its_own_turn(model: str, stream: bool) -> None:
    """400 from 3.6 on. Source: https://ai.google.dev/gemini-api/docs/whats-new-gemini-3.6"""
    response = gemini_stream(gemini_chunk("ok", reason="STOP")) if stream else OK
    with Vendor(response) as vendor:
        chat = vendor.client("gemini", model=model)
        messages = [*ASK, {"role": "assistant", "content": "{"}]
        result = unless_refused(lambda: ask(chat, stream=stream, messages=messages))
    assert refused(result, vendor) or (
        vendor.body["contents"][-1]["role"] == "user" and result.warnings
    )


def test_an_older_model_takes_a_history_that_ends_with_its_own_turn() -> None:
    body, _ = body_for("gemini-2.5-flash", [*ASK, {"role": "assistant", "content": "{"}])
    assert body["contents"][-1] == {"role": "model", "parts": [{"text": "{"}]}


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("gemma-3n-e4b-it", [{"role": "system", "content": "be short"}, *ASK]),
        ("models/gemma-3-27b-it", [{"role": "developer", "content": "be short"}, *ASK]),
        (
            "gemma-3-12b-it",
            [
                {"role": "system", "content": "be kind"},
                {"role": "system", "content": "be short"},
                *ASK,
            ],
        ),
        (
            "gemma-3-27b-it",
            [
                *ASK,
                {"role": "assistant", "content": "a"},
                {"role": "system", "content": "be short"},
                *ASK,
            ],
        ),
    ],
    ids=["3n", "developer", "two", "later"],
)
def test_no_gemma_gets_a_system_instruction(model: str, messages: Any) -> None:
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini", model=model, **KEY)
        result = unless_refused(lambda: chat.chat(messages))
    moved = "systemInstruction" not in vendor.body and "be short" in json.dumps(vendor.body)
    assert refused(result, vendor) or (moved and result.warnings)


def test_the_schema_in_a_prompt_reaches_gemma_without_a_system_instruction() -> None:
    with Vendor(gemini_response('{"a": 1}')) as vendor:
        chat = vendor.client("gemini", model="gemma-3-27b-it", structured_mode="prompt", **KEY)
        result = unless_refused(lambda: chat.chat(ASK, response_format={"type": "json_object"}))
    assert refused(result, vendor) or "systemInstruction" not in vendor.body


# ---- names of models: a name has more than one form


@pytest.mark.parametrize(
    ("model", "options", "path"),
    [
        ("models/gemini-2.5-flash", KEY, "/v1/models/gemini-2.5-flash:generateContent"),
        ("google/gemini-2.5-flash", KEY, "/v1/models/gemini-2.5-flash:generateContent"),
        (
            "models/gemini-2.5-flash",
            {},
            "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
        ),
        (
            "google/gemini-2.5-flash",
            {},
            "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
        ),
        (
            "publishers/google/models/gemini-2.5-flash",
            {},
            "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
        ),
    ],
)
def test_a_prefix_changes_neither_the_model_nor_its_rules(
    model: str, options: dict[str, Any], path: str
) -> None:
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini", model=model, **options)
        chat.chat(ASK, thinking={"type": "enabled", "budget_tokens": 1024})
    # google-genai 2 asks for v1beta unless it is told a version.
    assert [sent.replace("/v1beta/", "/v1/") for sent in vendor.paths] == [path]
    assert vendor.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 1024


# ---- signatures


@pytest.mark.parametrize(
    ("first", "second"), [(KEY, {}), ({}, KEY)], ids=["from Developer API", "from Vertex"]
)
def test_a_streamed_signature_is_bound_to_its_back_end_through_storage(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    chunks = [
        gemini_chunk(function_call({"city": "a"}, signature="SIGNED")),
        gemini_chunk(reason="STOP"),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        answer = read(vendor.client("gemini", **first).chat_stream(ASK, tools=TOOLS))
    history = json.loads(json.dumps([*ASK, answer.message, tool_result(answer.tool_calls[0].id)]))
    sent = []
    for options in (first, second):
        with Vendor(OK) as vendor:
            vendor.client("gemini", **options).chat(history, tools=TOOLS)
        sent.append(vendor.body["contents"][1]["parts"][0].get("thoughtSignature"))
    assert sent[0] == "SIGNED"
    assert sent[1] not in (None, "SIGNED")


@pytest.mark.parametrize(
    ("first", "second"), [(KEY, {}), ({}, KEY)], ids=["from Developer API", "from Vertex"]
)
def test_the_signature_of_a_text_stays_at_its_back_end(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    with Vendor(gemini_response({"text": "hello", "thoughtSignature": "SIGNED"})) as vendor:
        answer = vendor.client("gemini", **first).chat(ASK)
    sent = []
    for options in (first, second):
        with Vendor(OK) as vendor:
            vendor.client("gemini", **options).chat([*ASK, answer.message, *ASK])
        sent.append(json.dumps(vendor.body))
    assert ["SIGNED" in text for text in sent] == [True, False]
    assert "hello" in sent[1]


# ---- what comes back


def image(data: str = PNG_BASE64, mime_type: str = "image/png", **part: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}, **part}


def png(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2, 2), color).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_images_of_an_answer_are_images_of_the_result(stream: bool) -> None:
    red, blue = png("red"), png("blue")
    parts = ["here", image(encoded(red)), "and", image(encoded(blue))]
    chunks = gemini_stream(
        *map(gemini_chunk, parts), gemini_chunk(reason="STOP", usage=GEMINI_USAGE)
    )
    with Vendor(chunks if stream else gemini_response(*parts)) as vendor:
        chat = vendor.client("gemini", model="gemini-3-pro-image")
        result = ask(chat, stream=stream, response_modalities=["TEXT", "IMAGE"])
    assert [each.data for each in result.images] == [red, blue]
    assert [each.mime_type for each in result.images] == ["image/png", "image/png"]
    assert result.content == "hereand"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_image_of_a_thought_is_not_the_answers(stream: bool) -> None:
    """Source: https://ai.google.dev/gemini-api/docs/image-generation, interim images."""
    parts = [image(encoded(png("red")), thought=True), image()]
    chunks = gemini_stream(
        *map(gemini_chunk, parts), gemini_chunk(reason="STOP", usage=GEMINI_USAGE)
    )
    with Vendor(chunks if stream else gemini_response(*parts)) as vendor:
        result = ask(vendor.client("gemini", model="gemini-3-pro-image"), stream=stream)
    assert [each.data for each in result.images] == [PNG]


def test_a_streamed_image_is_in_a_chunk_of_gemini() -> None:
    chunks = [gemini_chunk(image()), gemini_chunk(reason="STOP", usage=GEMINI_USAGE)]
    with (
        Vendor(gemini_stream(*chunks)) as vendor,
        vendor.client("gemini").chat_stream(ASK) as stream,
    ):
        found = [each for chunk in stream for each in chunk.images]
    assert [each.data for each in found] == [PNG]


def test_an_image_goes_back_to_gemini_in_its_own_part_with_its_signature() -> None:
    """
    The API answers 400 without it. Source: https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    with Vendor(gemini_response("here", image(thoughtSignature="SIGNED")), OK) as vendor:
        chat = vendor.client("gemini", model="gemini-3-pro-image")
        first = chat.chat(ASK)
        chat.chat([*ASK, json.loads(json.dumps(first.message)), *ASK])
    part = next(part for part in sent_parts(vendor.body) if "inlineData" in part)
    assert part["inlineData"]["data"] == PNG_BASE64
    assert part.get("thoughtSignature", part.get("thought_signature")) == "SIGNED"


def test_an_image_in_the_cloud_is_kept() -> None:
    """With ``outputConfig`` on Vertex the response carries ``fileData``."""
    file = {"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/out.png"}}
    with Vendor(gemini_response(file)) as vendor:
        result = vendor.client("gemini", model="gemini-3-pro-image").chat(ASK)
    assert "gs://bucket/out.png" in json.dumps(result.message)
    assert result.warnings == []


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("urlContextMetadata", {"urlMetadata": [{"retrievedUrl": "https://u"}]}, "https://u"),
        ("citationMetadata", {"citations": [{"uri": "https://c"}]}, "https://c"),
        (
            "safetyRatings",
            [{"category": "HARM_CATEGORY_X", "probability": "LOW"}],
            "HARM_CATEGORY_X",
        ),
        ("logprobsResult", {"chosenCandidates": [{"token": "tok"}]}, "tok"),
        (
            "groundingMetadata",
            {"searchEntryPoint": {"renderedContent": "<b>search</b>"}},
            "<b>search</b>",
        ),
    ],
)
def test_what_a_candidate_has_besides_its_content_is_kept_in_a_stream(
    field: str, value: Any, word: str
) -> None:
    """Also when it comes before the last chunk."""
    chunks = [
        gemini_chunk("a", **{field: value}),
        gemini_chunk("b", reason="STOP", usage=GEMINI_USAGE),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        result = read(vendor.client("gemini").chat_stream(ASK))
    assert result.content == "ab"
    assert word in kept(result)


def test_grounding_that_comes_in_pieces_is_kept_whole() -> None:
    chunks = [
        gemini_chunk("a", groundingMetadata={"webSearchQueries": ["who"]}),
        gemini_chunk(
            "b",
            reason="STOP",
            groundingMetadata={"groundingChunks": [{"web": {"uri": "https://x"}}]},
        ),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        text = kept(read(vendor.client("gemini").chat_stream(ASK)))
    assert "who" in text
    assert "https://x" in text


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_code_that_gemini_ran_goes_back_in_the_next_turn(stream: bool) -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(2+2)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4\n"}},
        "it is 4",
    ]
    chunks = gemini_stream(
        *map(gemini_chunk, parts), gemini_chunk(reason="STOP", usage=GEMINI_USAGE)
    )
    tools = [{"type": "code_execution", "code_execution": {}}]
    with Vendor(chunks if stream else gemini_response(*parts), OK) as vendor:
        chat = vendor.client("gemini")
        first = ask(chat, stream=stream, tools=tools)
        chat.chat([*ASK, first.message, *ASK], tools=tools)
    sent = json.dumps(vendor.body)
    assert "print(2+2)" in sent
    assert "OUTCOME_OK" in sent


@pytest.mark.parametrize(
    "reason",
    [
        "MALFORMED_RESPONSE",
        "LANGUAGE",
        "UNEXPECTED_TOOL_CALL",
        "SOMETHING_NEW_IN_2027",
        "FINISH_REASON_UNSPECIFIED",
    ],
)
def test_a_stream_that_gemini_broke_off_says_why(reason: str) -> None:
    chunk = gemini_chunk(
        reason=reason, usage={"promptTokenCount": 9}, finishMessage="why it stopped"
    )
    with Vendor(gemini_stream(chunk)) as vendor:
        result = outcome(lambda: read(vendor.client("gemini").chat_stream(ASK, tools=TOOLS)))
    said = str(result) if isinstance(result, Exception) else str(result.warnings)
    assert "why it stopped" in said


@pytest.mark.parametrize("reason", ["OTHER", "UNEXPECTED_TOOL_CALL", "LANGUAGE"])
def test_what_had_come_before_gemini_broke_off_is_kept(reason: str) -> None:
    with Vendor(
        gemini_response("half an answer", reason=reason, finishMessage="why it stopped")
    ) as vendor:
        result = outcome(lambda: vendor.client("gemini").chat(ASK))
    came = result.result if isinstance(result, Exception) else result
    assert came.content == "half an answer"
    assert came.finish_reason not in ("stop", "")


def test_an_answer_that_only_thought_to_its_limit_is_a_result() -> None:
    with Vendor(gemini_response("", reason="MAX_TOKENS", finishMessage="too long")) as vendor:
        assert vendor.client("gemini").chat(ASK).finish_reason == "length"


@pytest.mark.parametrize(
    ("traffic", "cost"),
    [
        ("ON_DEMAND", "0.75"),
        ("ON_DEMAND_PRIORITY", "1.35"),
        ("ON_DEMAND_FLEX", "0.375"),
        ("PROVISIONED_THROUGHPUT", None),
    ],
)
def test_the_tier_that_gemini_served_is_priced(traffic: str, cost: str | None) -> None:
    usage = {"promptTokenCount": 1_000_000, "totalTokenCount": 1_000_000, "trafficType": traffic}
    plain = gemini_response("x", usage=usage)
    streamed = gemini_stream(gemini_chunk("x", reason="STOP", usage=usage))
    with Vendor(plain, streamed) as vendor:
        client = vendor.client("gemini", model="gemini-3.8-flash")
        results = [client.chat(ASK), read(client.chat_stream(ASK))]
    assert [result.cost and result.cost.amount for result in results] == [
        cost and Decimal(cost),
    ] * 2


# ---- credentials and URLs


def service_account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "named",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "a@named.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/oidc",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {"file": "/var/run/token"},
}
AUTHORIZED_USER = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "r",
}


@pytest.mark.parametrize("form", ["dict", "path", "Path"])
@pytest.mark.parametrize("kind", ["authorized_user", "external_account", "service_account"])
def test_every_kind_of_credentials_is_accepted_in_every_form(
    kind: str, form: str, tmp_path: Path
) -> None:
    found = {"authorized_user": AUTHORIZED_USER, "external_account": EXTERNAL}.get(
        kind
    ) or service_account()
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(found))
    given: Any = {"dict": found, "path": str(path), "Path": path}[form]
    ChatClient("gemini", project="p", credentials=given).close()


def test_the_image_client_takes_the_same_credentials() -> None:
    ImageClient("gemini", project="p", credentials=AUTHORIZED_USER).close()


@pytest.mark.parametrize(
    "text", ["{", '{"type": "magic"}', "[]", ""], ids=["broken", "unknown", "a list", "empty"]
)
def test_credentials_that_are_none_are_refused_clearly(text: str, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    with pytest.raises(errors.ConfigurationError, match=r"credentials\.json|credentials"):
        ChatClient("gemini", project="p", credentials=str(path))


def test_a_missing_file_of_credentials_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="nowhere"):
        ChatClient("gemini", project="p", credentials=str(tmp_path / "nowhere.json"))


def test_no_secret_of_a_dict_is_told(tmp_path: Path) -> None:
    broken = {
        **service_account(),
        "private_key": "-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----",
    }
    with pytest.raises(errors.ConfigurationError) as caught:
        ChatClient("gemini", project="p", credentials=broken)
    assert "TOPSECRET" not in str(caught.value)


def test_a_key_is_not_replaced_by_the_project_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    with Vendor(OK) as vendor:
        vendor.client("gemini", api_key="K-mine").chat(ASK)
    assert vendor.headers[0].get("x-goog-api-key") == "K-mine"


@pytest.mark.parametrize(
    ("ending", "options", "begins"),
    [
        ("/v1", KEY, "/v1/models/"),
        ("/v1alpha", KEY, "/v1alpha/models/"),
        ("/gemini/v1beta", KEY, "/gemini/v1beta/models/"),
        ("/gemini", KEY, "/gemini/v1"),  # v1beta of google-genai 2
        ("/v1beta1", {}, "/v1beta1/projects/p/"),
        ("/v1/", {}, "/v1/projects/p/"),
    ],
)
def test_the_version_in_a_base_url_is_asked_for_once(
    ending: str, options: dict[str, Any], begins: str
) -> None:
    with Vendor(OK) as vendor:
        result = outcome(
            lambda: vendor.client("gemini", base_url=vendor.url + ending, **options).chat(ASK)
        )
    right = [path.startswith(begins) for path in vendor.paths] == [True]
    assert right or type(result) is errors.ConfigurationError


def test_the_version_in_a_variable_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Vendor(OK) as vendor:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"{vendor.url}/v1beta")
        result = outcome(lambda: vendor.client("gemini", base_url=None, **KEY).chat(ASK))
    right = [path.startswith("/v1beta/models/") for path in vendor.paths] == [True]
    assert right or type(result) is errors.ConfigurationError


def test_an_option_names_the_version_of_vertex_too() -> None:
    with Vendor(OK) as vendor:
        vendor.client("gemini", api_version="v1").chat(ASK)
    assert vendor.paths[0].startswith("/v1/projects/p/")


def test_a_version_in_the_url_and_another_in_the_option_are_not_mixed() -> None:
    with Vendor(OK) as vendor:
        base_url = f"{vendor.url}/v1beta"
        result = outcome(
            lambda: vendor.client("gemini", base_url=base_url, api_version="v1alpha", **KEY).chat(
                ASK
            )
        )
    paths = [path.split("/models/")[0] for path in vendor.paths]
    assert type(result) is errors.ConfigurationError or paths in (["/v1beta"], ["/v1alpha"])


def test_the_image_client_reads_the_version_of_a_base_url_as_chat_does() -> None:
    drawn = gemini_response({"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}})
    with Vendor(drawn) as vendor:
        options = {"api_key": "AIza-test", "base_url": f"{vendor.url}/v1beta", "max_retries": 0}
        result = outcome(lambda: draw(options))
    right = [path.startswith("/v1beta/models/") for path in vendor.paths] == [True]
    assert right or type(result) is errors.ConfigurationError


def draw(options: dict[str, Any]) -> Any:
    with ImageClient("gemini", **options) as images:
        return images.text_to_image("a cat")


def test_a_response_without_candidates_is_still_an_error() -> None:
    with Vendor(json_response({"usageMetadata": {"promptTokenCount": 9}})) as vendor:
        result = outcome(lambda: vendor.client("gemini").chat(ASK))
    assert isinstance(result, errors.ProviderError)


def test_citations_of_several_chunks_are_all_kept() -> None:
    chunks = [
        gemini_chunk("a", citationMetadata={"citationSources": [{"uri": "https://1"}]}),
        gemini_chunk(
            "b", reason="STOP", citationMetadata={"citationSources": [{"uri": "https://2"}]}
        ),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        raw = read(vendor.client("gemini").chat_stream(ASK)).raw
    sources = raw["candidates"][0]["citationMetadata"]["citationSources"]
    assert [source["uri"] for source in sources] == ["https://1", "https://2"]


def test_a_list_that_every_chunk_repeats_is_kept_once() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "https://1"}}]}
    more = {"groundingChunks": [*grounding["groundingChunks"], {"web": {"uri": "https://2"}}]}
    chunks = [gemini_chunk("a", groundingMetadata=each) for each in (grounding, grounding, more)]
    with Vendor(gemini_stream(*chunks, gemini_chunk("b", reason="STOP"))) as vendor:
        raw = read(vendor.client("gemini").chat_stream(ASK)).raw
    assert raw["candidates"][0]["groundingMetadata"] == more


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_a_relay_sends_as_text_are_read(stream: bool) -> None:
    call = function_call('{"city": "Paris"}')
    response = gemini_stream(gemini_chunk(call, reason="STOP")) if stream else gemini_response(call)
    with Vendor(response) as vendor:
        result = ask(vendor.client("gemini"), stream=stream, tools=TOOLS)
    assert [json.loads(each.arguments) for each in result.tool_calls] == [{"city": "Paris"}]


def test_a_part_outside_of_a_list_is_a_part() -> None:
    content = {"role": "model", "parts": {"text": "hello"}}
    with Vendor(gemini_response(content=content)) as vendor:
        assert vendor.client("gemini").chat(ASK).content == "hello"


def test_a_last_chunk_with_all_of_the_text_adds_nothing() -> None:
    pieces = [gemini_chunk("Hello, "), gemini_chunk("beautiful world")]
    whole = gemini_chunk("Hello, beautiful world", reason="STOP")
    with Vendor(gemini_stream(*pieces, whole)) as vendor:
        result = read(vendor.client("gemini").chat_stream(ASK))
    assert (result.content, result.message["content"]) == ("Hello, beautiful world",) * 2


# ---- relays that write an SDK's objects out again


def test_parts_of_null_are_no_parts() -> None:
    parts = [{"text": None}, {"text": "o", "thought": None, "functionCall": None}, {"text": None}]
    with Vendor(gemini_response(*parts, "k")) as vendor:
        assert vendor.client("gemini").chat(ASK).content == "ok"
    chunks = [gemini_chunk("a"), gemini_chunk({"text": None}), gemini_chunk("b", reason="STOP")]
    with Vendor(gemini_stream(*chunks)) as vendor:
        assert read(vendor.client("gemini").chat_stream(ASK)).content == "ab"


def test_a_call_with_fields_of_null_is_whole() -> None:
    call = {"name": "get_weather", "args": {"city": "Paris"}, "partialArgs": None, "id": None}
    with Vendor(gemini_response({"functionCall": {**call, "willContinue": None}})) as vendor:
        result = vendor.client("gemini").chat(ASK, tools=TOOLS)
    assert [call.parse() for call in result.tool_calls] == [{"city": "Paris"}]


def test_the_default_of_the_enumeration_is_no_finish_reason() -> None:
    unspecified = "FINISH_REASON_UNSPECIFIED"
    chunks = [gemini_chunk(text, reason=unspecified) for text in "ab"]
    with Vendor(gemini_stream(*chunks)) as vendor:
        found = outcome(lambda: read(vendor.client("gemini").chat_stream(ASK)))
    assert isinstance(found, errors.StreamInterruptedError)
    assert found.partial.content == "ab"
    with Vendor(gemini_response("ab", reason=unspecified)) as vendor:
        assert vendor.client("gemini").chat(ASK).finish_reason == "unknown"


def begun(name: str, id: str = "") -> dict[str, Any]:
    call = {"name": name, "willContinue": True}
    return {"functionCall": {**call, "id": id} if id else call}


def piece_of(path: str, value: str, id: str = "", *, more: bool = False) -> dict[str, Any]:
    call = {"partialArgs": [{"jsonPath": path, "stringValue": value}], "willContinue": more}
    return {"functionCall": {**call, "id": id} if id else call}


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_arguments_in_pieces_belong_to_the_call_of_their_id(order: list[int]) -> None:
    pieces = [piece_of("$.a", "x", "1"), piece_of("$.b", "y", "2")]
    chunks = [
        gemini_chunk(begun("f", "1"), begun("g", "2")),
        gemini_chunk(piece_of("$.c", "of g", "2", more=True)),
        *(gemini_chunk(pieces[at]) for at in order),
        gemini_chunk(reason="STOP"),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        stream = vendor.client("gemini").chat_stream(ASK, tools=[tool("f"), tool("g")])
        deltas = {call.index: call.arguments for chunk in stream for call in chunk.tool_calls}
    found = {call.name: call.parse() for call in stream.result.tool_calls}
    assert found == {"f": {"a": "x"}, "g": {"c": "of g", "b": "y"}}
    assert json.loads(deltas[0]) == {"a": "x"}


def test_arguments_in_pieces_without_ids_are_the_last_calls() -> None:
    chunks = [
        gemini_chunk(begun("f")),
        gemini_chunk(piece_of("$.a", "x")),
        gemini_chunk(begun("g")),
        gemini_chunk(piece_of("$.b", "y", "of nobody"), reason="STOP"),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        result = read(vendor.client("gemini").chat_stream(ASK, tools=[tool("f"), tool("g")]))
    assert [call.parse() for call in result.tool_calls] == [{"a": "x"}, {"b": "y"}]


@pytest.mark.parametrize(
    ("model", "effort", "level", "warned"),
    [
        ("gemini-3.8-flash", "minimal", "LOW", ["reasoning_effort"]),
        ("gemini-3.1-pro-preview", "minimal", "LOW", ["reasoning_effort"]),
        ("gemini-3.5-flash", "minimal", "MINIMAL", []),
        ("gemini-3.5-flash", "none", "MINIMAL", ["thinking"]),
        ("gemini-3.8-flash", "none", "LOW", ["thinking"]),
    ],
)
def test_levels_are_those_of_the_model(
    model: str, effort: str, level: str, warned: list[str]
) -> None:
    with Vendor(OK) as vendor:
        result = vendor.client("gemini", model=model).chat(ASK, reasoning_effort=effort)
    assert vendor.body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == level
    assert features(result) == warned


def test_penalties_are_left_out() -> None:
    with Vendor(OK) as vendor:
        result = vendor.client("gemini").chat(ASK, presence_penalty=0.5, frequency_penalty=1)
    assert "presencePenalty" not in vendor.body.get("generationConfig", {})
    assert sorted(features(result)) == ["frequency_penalty", "presence_penalty"]


def test_a_relays_words_count_as_they_do_in_the_other_dialect() -> None:
    """new-api: no channel has the model. It does not pass by itself."""
    with (
        Vendor(error(503, "no available channel", code="model_not_found")) as vendor,
        pytest.raises(errors.NotFoundError),
    ):
        vendor.client("gemini", max_retries=2).chat(ASK)
    assert len(vendor.bodies) == 1


def test_a_second_candidate_is_told() -> None:
    said = {"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}
    body = {"candidates": [said, {**said, "index": 1}]}
    with Vendor(json_response(body)) as vendor:
        result = vendor.client("gemini").chat(ASK)
    assert result.content == "a"
    assert features(result) == ["choices"]


@pytest.mark.parametrize(
    ("model", "options", "version"),
    [
        ("gemini-flash-latest", {}, "v1beta"),
        ("gemini-flash-latest", {"api_version": "v1alpha"}, "v1alpha"),
        ("gemini-3.5-flash", {"api_version": "v1"}, "v1"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_aliases_are_asked_for_where_they_are(
    model: str, options: dict[str, Any], version: str, stream: bool
) -> None:
    """Source: README of google-genai 3.4: ``gemini-*-latest`` exist on v1beta alone."""
    reply = gemini_stream(gemini_chunk("ok", reason="STOP")) if stream else gemini_response("ok")
    with Vendor(reply) as vendor:
        ask(vendor.client("gemini", api_key="k" * 20, model=model, **options), stream=stream)
    assert f"/{version}/models/{model}:" in vendor.paths[0]
