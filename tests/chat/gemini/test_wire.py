"""
Gemini as users met it: options outside of generationConfig, images, signatures, answers that were
broken off.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    IMAGE_PART,
    PNG_BASE64,
    TOOLS,
    Vendor,
    assistant_call,
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
KEY = {"api_key": "AIza-test"}
"""Options of a client of the Developer API."""


# ---- what leaves


@pytest.mark.parametrize("budget", [0, 1024])
def test_a_thinking_budget_is_sent_as_it_is_even_when_it_is_zero(budget: int) -> None:
    """
    Zero is a value, not "unset": -1 is unlimited, and billed.

    Source: https://github.com/diegosouzapw/OmniRoute/pull/6821
    """
    thinking = {"type": "enabled", "budget_tokens": budget}
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini", model="gemini-2.5-flash")
        result = unless_refused(lambda: chat.chat(ASK, thinking=thinking))
    refusal = refused(result, vendor) and not budget
    assert refusal or vendor.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == budget


GENERATION_FIELDS = (
    "temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs presencePenalty"
    " frequencyPenalty seed responseMimeType responseSchema responseJsonSchema routingConfig audioTimestamp"
    " responseModalities mediaResolution speechConfig thinkingConfig imageConfig enableAffectiveDialog modelConfig"
    " enableEnhancedCivicAnswers responseFormat"
)
"""Of ``GenerationConfig``. Source: https://ai.google.dev/api/generate-content, read 2026-11-22."""


@pytest.mark.parametrize(
    "options",
    [
        {"system_instruction": "be short"},
        {"service_tier": "flex"},
        {"model_armor_config": {"promptTemplateName": "x"}},
        {"n": 1},
        {"user": "u1"},
        {"logprobs": True, "top_logprobs": 3},
        {"stream_options": {"include_usage": True}},
        {"http_options": {"timeout": 5}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_that_is_not_a_generation_field_is_not_sent_as_one(
    options: dict[str, Any],
) -> None:
    """
    At its own place, left out with a warning, or refused: inside of generationConfig the API
    answers 400 "Unknown name".

    Source: https://ai.google.dev/api/generate-content
    """
    with Vendor(OK) as vendor:
        result = unless_refused(lambda: vendor.client("gemini").chat(ASK, **options))
    generation = vendor.body.get("generationConfig", {})
    assert refused(result, vendor) or result.content == "ok"
    assert set(generation) - set(GENERATION_FIELDS.split()) == set()
    assert generation.get("logprobs") is not True


def test_cached_content_excludes_what_belongs_into_the_cache() -> None:
    """
    System, tools and tool_choice are left out with a warning, or the call is refused.

    Source: https://github.com/567-labs/instructor/issues/2580 and
    https://github.com/langchain-ai/langchain-google/issues/978
    """
    messages = [{"role": "system", "content": "be short"}, *ASK]
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini")
        result = unless_refused(
            lambda: chat.chat(
                messages, tools=TOOLS, tool_choice="auto", cached_content="cachedContents/x"
            )
        )
    clash = {"systemInstruction", "tools", "toolConfig"}.intersection(vendor.body)
    assert refused(result, vendor) or (
        result.warnings and (not clash or "cachedContent" not in vendor.body)
    )


def test_a_tool_whose_parameters_are_a_map_keeps_its_schema() -> None:
    """
    Or it is refused: without its schema the function seems to take nothing.

    Source: https://github.com/nodetool-ai/nodetool/pull/4388
    """
    headers = {
        "type": "object",
        "additionalProperties": {"type": "string", "description": "a header's value"},
    }
    with Vendor(OK) as vendor:
        result = unless_refused(
            lambda: vendor.client("gemini").chat(ASK, tools=[tool("f", headers)])
        )
    assert refused(result, vendor) or "a header's value" in json.dumps(vendor.body["tools"])


PDF_PART = {
    "type": "file",
    "file": {
        "filename": "my report.v2.pdf",
        "file_data": "data:application/pdf;base64,JVBERi0xLjQK",
    },
}
WAV_PART = {"type": "input_audio", "input_audio": {"format": "wav", "data": "UklGRiQAAABXQVZF"}}


@pytest.mark.parametrize(
    ("part", "data", "mime_types"),
    [
        pytest.param(PDF_PART, "JVBERi0xLjQK", {"application/pdf"}, id="PDF"),
        pytest.param(WAV_PART, "UklGRiQAAABXQVZF", {"audio/wav", "audio/x-wav"}, id="audio"),
    ],
)
def test_documents_and_audio_are_sent_as_inline_data(
    part: Any, data: str, mime_types: set[str]
) -> None:
    """
    Source: https://github.com/run-llama/llama_index/issues/18789 and
    https://github.com/pydantic/pydantic-ai/issues/3621
    """
    with Vendor(OK) as vendor:
        vendor.client("gemini").chat(
            [{"role": "user", "content": [{"type": "text", "text": "q"}, part]}]
        )
    inline = [each["inlineData"] for each in sent_parts(vendor.body) if "inlineData" in each]
    assert [each["data"] for each in inline] == [data]
    assert inline[0]["mimeType"] in mime_types


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
        result = unless_refused(lambda: vendor.client("gemini").chat(history))
    assert refused(result, vendor) or PNG_BASE64 in json.dumps(vendor.body)


def test_a_history_that_ends_with_the_assistant_is_refused_or_closed() -> None:
    """
    Requests that end with a model turn answer 400 from Gemini 3.6 on.

    Source: https://github.com/crewAIInc/crewAI/pull/6973
    """
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini")
        result = unless_refused(lambda: chat.chat([*ASK, {"role": "assistant", "content": "{"}]))
    assert refused(result, vendor) or (
        vendor.body["contents"][-1]["role"] == "user" and result.warnings
    )


def test_a_system_text_for_gemma_stands_before_the_first_user_turn_or_is_refused() -> None:
    """
    Source: https://github.com/567-labs/instructor/issues/1753 and
    https://github.com/CherryHQ/cherry-studio/issues/3242
    """
    with Vendor(OK) as vendor:
        chat = vendor.client("gemini", model="gemma-3-27b-it", **KEY)
        result = unless_refused(
            lambda: chat.chat([{"role": "system", "content": "be short"}, *ASK])
        )
    moved = "systemInstruction" not in vendor.body and "be short" in json.dumps(vendor.body)
    assert refused(result, vendor) or (moved and result.warnings)


# ---- ids and signatures


def test_results_of_two_calls_with_one_id_stay_under_their_own_calls() -> None:
    """
    Source: https://github.com/double16/Cyber-AutoAgent-ng/issues/27,
    https://github.com/strands-agents/harness-sdk/issues/1201
    and https://github.com/TanStack/ai/pull/199
    """
    calls = [
        function_call({"city": "a"}, id="get_weather", signature="S"),
        function_call({"city": "b"}, id="get_weather"),
    ]
    with Vendor(gemini_response(*calls), gemini_response("done")) as vendor:
        vendor.client("gemini").chat_with_tools(
            ASK, TOOLS, tool_executor=lambda name, text: "of " + json.loads(text)["city"]
        )
    results = [
        part["functionResponse"]["response"]
        for part in sent_parts(vendor.body)
        if "functionResponse" in part
    ]
    assert ["of a" in str(results[0]), "of b" in str(results[1]), len(results)] == [True, True, 2]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        pytest.param(KEY, {}, False, id="Developer API to Vertex"),
        pytest.param({}, KEY, False, id="Vertex to Developer API"),
        pytest.param({}, {}, True, id="Vertex to Vertex"),
    ],
)
def test_a_signature_returns_only_to_the_back_end_that_made_it(
    first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    """
    Elsewhere the signature that skips the check is sent, as for a foreign turn.

    Source: https://github.com/BerriAI/litellm/issues/32140 and
    https://github.com/google-gemini/gemini-cli/issues/13467
    """
    with Vendor(gemini_response(function_call({"city": "a"}, signature="SIGNED"))) as vendor:
        answer = vendor.client("gemini", **first).chat(ASK, tools=TOOLS)
    history = [*ASK, answer.message, tool_result(answer.tool_calls[0].id)]
    with Vendor(OK) as vendor:
        vendor.client("gemini", **second).chat(history, tools=TOOLS)
    sent = vendor.body["contents"][1]["parts"][0].get("thoughtSignature")
    assert sent == "SIGNED" if same else sent not in (None, "SIGNED")


# ---- what comes back

IMAGE = {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}


def test_a_streamed_image_is_kept() -> None:
    """
    Source: https://github.com/maximhq/bifrost/pull/7032,
    https://github.com/mozilla-ai/any-llm/pull/1333 and
    https://github.com/langchain4j/langchain4j/issues/3635
    """
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 1290}
    chunks = [gemini_chunk("here"), gemini_chunk(IMAGE), gemini_chunk(reason="STOP", usage=usage)]
    with Vendor(gemini_stream(*chunks)) as vendor:
        chat = vendor.client("gemini", model="gemini-3-pro-image")
        result = read(chat.chat_stream(ASK, response_modalities=["TEXT", "IMAGE"]))
    assert PNG_BASE64 in kept(result)


def test_an_answer_that_is_an_image_is_in_the_message_and_not_called_empty() -> None:
    """Source: https://github.com/BerriAI/litellm/issues/10094"""
    with Vendor(gemini_response(IMAGE)) as vendor:
        chat = vendor.client("gemini", model="gemini-3-pro-image")
        result = chat.chat(ASK, response_modalities=["IMAGE"])
    assert PNG_BASE64 in json.dumps(result.message)
    assert result.warnings == []


COUNTS = {"promptTokenCount": 1, "candidatesTokenCount": 1}


def test_the_grounding_of_a_stream_is_kept() -> None:
    """
    Its suggestions must be shown, by Google's terms.

    Source: https://github.com/BerriAI/litellm/issues/10237
    """
    grounding = {"groundingChunks": [{"web": {"uri": "https://x", "title": "t"}}]}
    chunk = gemini_chunk("grounded", reason="STOP", usage=COUNTS, groundingMetadata=grounding)
    with Vendor(gemini_stream(chunk)) as vendor:
        result = read(vendor.client("gemini").chat_stream(ASK))
    assert "https://x" in kept(result)


def test_code_that_gemini_ran_in_a_stream_is_kept_with_its_output() -> None:
    """
    Source: https://github.com/langchain4j/langchain4j/issues/6231 and
    https://github.com/BerriAI/litellm/pull/34802
    """
    code = {"executableCode": {"language": "PYTHON", "code": "print(2+2)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4\n"}}
    chunks = [
        gemini_chunk(code),
        gemini_chunk(output),
        gemini_chunk("it is 4", reason="STOP", usage=COUNTS),
    ]
    with Vendor(gemini_stream(*chunks)) as vendor:
        tools = [{"type": "code_execution", "code_execution": {}}]
        result = read(vendor.client("gemini").chat_stream(ASK, tools=tools))
    assert "print(2+2)" in kept(result)
    assert "OUTCOME_OK" in kept(result)


@pytest.mark.parametrize(
    "reason", ["UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "OTHER"]
)
def test_an_answer_that_gemini_broke_off_is_not_a_final_empty_answer(reason: str) -> None:
    """
    An error or a warning, with the vendor's message.

    Source: https://github.com/agentjido/req_llm/issues/944 and
    https://github.com/mozilla-ai/any-llm/pull/1202
    """
    candidate = {"finishReason": reason, "finishMessage": "why it stopped"}
    with Vendor(
        json_response({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9}})
    ) as vendor:
        chat = vendor.client("gemini")
        result = outcome(
            lambda: chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "1")
        )
    said = str(result) if isinstance(result, Exception) else str(result.warnings)
    assert "why it stopped" in said


# ---- how it is reached

AUTHORIZED_USER = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "r",
}


def test_the_path_of_an_authorized_user_file_is_accepted_as_credentials(tmp_path: Path) -> None:
    """Source: https://github.com/BerriAI/litellm/issues/11175"""
    path = tmp_path / "user.json"
    path.write_text(json.dumps(AUTHORIZED_USER))
    ChatClient("gemini", project="p", credentials=str(path)).close()


def test_a_dict_is_accepted_as_credentials() -> None:
    """Source: https://github.com/crewAIInc/crewAI/issues/3064"""
    ChatClient("gemini", project="p", credentials=AUTHORIZED_USER).close()


def test_a_key_beside_a_project_is_used_or_refused_and_never_replaced() -> None:
    """Source: https://github.com/googleapis/dotnet-genai/issues/305"""
    options = {"vertexai": True, "api_key": "K-vertex", "project": "p", "location": "us-central1"}
    with Vendor(OK) as vendor:
        result = outcome(lambda: vendor.client("gemini", **options).chat(ASK))
    used = [headers.get("x-goog-api-key") for headers in vendor.headers] == ["K-vertex"]
    named = (
        type(result) is errors.ConfigurationError
        and "api_key" in str(result)
        and refused(result, vendor)
    )
    assert used or named


@pytest.mark.parametrize("ending", ["/v1beta", "/v1beta/"])
def test_the_version_at_the_end_of_base_url_is_not_doubled(ending: str) -> None:
    """Source: https://github.com/hugohe3/ppt-master/issues/24"""
    with Vendor(OK) as vendor:
        result = outcome(
            lambda: vendor.client("gemini", base_url=vendor.url + ending, **KEY).chat(ASK)
        )
    right = [path.startswith("/v1beta/models/") for path in vendor.paths] == [True]
    assert right or type(result) is errors.ConfigurationError


def test_an_option_names_the_version_of_the_api() -> None:
    """Source: https://github.com/vybestack/llxprt-code/pull/1693"""
    with Vendor(OK) as vendor:
        vendor.client("gemini", api_version="v1beta", **KEY).chat(ASK)
    assert vendor.paths[0].startswith("/v1beta/models/")
