"""
Siblings of the requests that back ends refused: other vendors, spellings and places of the same
roots.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    IMAGE_PART,
    TOOLS,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    assistant_call,
    call_delta,
    calling,
    completion,
    converse_response,
    converse_text,
    delta,
    error,
    events,
    features,
    function_call,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    outcome,
    read,
    refused,
    tool,
    tool_call,
    tool_result,
    unless_refused,
)


def turns_of(body: Any) -> list[dict[str, Any]]:
    """The assistant turns of a request."""
    return [message for message in body["messages"] if message["role"] == "assistant"]


def run_tools(vendor: Vendor, provider: str = "openai_compat", **options: Any) -> Any:
    chat = vendor.client(provider, **options)
    return chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "22")


# ---- reasoning that is demanded back

NOT_PASSED_BACK = "The `reasoning_content` in the thinking mode must be passed back to the API."


def demanding(first: Response) -> Any:
    """A back end that refuses an assistant turn without ``reasoning_content``."""

    def script(body: Any, number: int) -> Response:
        if number == 0:
            return first
        passed = all("reasoning_content" in turn for turn in turns_of(body))
        return (
            completion("done")
            if passed
            else error(400, NOT_PASSED_BACK, type="invalid_request_error")
        )

    return script


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai_compat", "Pro/deepseek-ai/DeepSeek-V3.2"),
        ("openai_compat", "accounts/fireworks/models/deepseek-v4-pro"),
        ("openai_compat", "moonshotai/Kimi-K2.6"),
        ("openai_compat", "kimi-k3"),
        ("volcengine", "deepseek-v4-pro-260425"),
        ("qwen", "kimi-k2.6"),
    ],
)
def test_a_model_that_demands_its_reasoning_gets_it_under_any_name(
    provider: str, model: str
) -> None:
    """
    DeepSeek and Kimi refuse a tool turn without it. Source: pydantic-ai and litellm, read
    2026-11-22.
    """
    first = calling(content="", reasoning_content="think")
    with Vendor(demanding(first)) as vendor:
        result = run_tools(vendor, provider, model=model)
    assert result.content == "done"
    assert turns_of(vendor.body)[0]["reasoning_content"] == "think"


def test_the_field_is_there_even_when_the_answer_had_no_reasoning() -> None:
    """Source: pydantic-ai 2.68.0, litellm 1.109.1: the key is demanded also where it is empty."""
    with Vendor(demanding(calling(content=""))) as vendor:
        result = run_tools(vendor, model="deepseek-ai/DeepSeek-V4-Pro")
    assert result.content == "done"


def test_streamed_reasoning_goes_back_too() -> None:
    chunks = [
        delta(reasoning_content="thi"),
        delta(reasoning_content="nk"),
        delta(tool_calls=[{"index": 0, **tool_call()}]),
        delta("tool_calls"),
    ]
    with Vendor(demanding(events(*chunks))) as vendor:
        chat = vendor.client(model="deepseek-ai/DeepSeek-V4-Pro")
        first = read(chat.chat_stream(ASK, tools=TOOLS))
        history = [*ASK, first.message, tool_result(first.tool_calls[0].id)]
        assert chat.chat(history, tools=TOOLS).content == "done"
    assert turns_of(vendor.body)[0]["reasoning_content"] == "think"


def test_a_profile_says_what_stands_behind_an_opaque_model() -> None:
    """The name of another row."""
    with Vendor(demanding(calling(content="", reasoning_content="think"))) as vendor:
        result = run_tools(vendor, model="ep-20261101-x", profile="deepseek")
    assert result.content == "done"


def test_a_profile_may_be_a_dict_of_facts() -> None:
    with Vendor(completion("ok")) as vendor:
        chat = vendor.client(model="my-model", profile={"max_tokens": "max_completion_tokens"})
        chat.chat(ASK, max_tokens=50)
    assert {name: vendor.body[name] for name in vendor.body if "tokens" in name} == {
        "max_completion_tokens": 50
    }


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with (
        Vendor(completion("ok")) as vendor,
        pytest.raises(errors.ConfigurationError, match="deepseek"),
    ):
        vendor.client(profile="nonsense")


def test_reasoning_returns_in_the_one_field_it_came_in() -> None:
    """
    New vLLM says ``reasoning``; two fields are never sent. Source: pydantic-ai-slim 2.68.0, read
    2026-11-25
    """
    with Vendor(calling(content="", reasoning="think"), completion("done")) as vendor:
        run_tools(vendor, model="deepseek-ai/DeepSeek-V4-Pro")
    turn = turns_of(vendor.body)[0]
    assert [turn[name] for name in ("reasoning", "reasoning_content") if turn.get(name)] == [
        "think"
    ]


DETAILS = [
    {
        "type": "reasoning.text",
        "text": "think",
        "signature": "SIG",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.encrypted", "data": "ENC", "format": "openai-responses-v1", "index": 1},
]


def test_reasoning_details_go_back_unmodified_and_in_order() -> None:
    """OpenRouter and MiniMax. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens"""
    with Vendor(
        calling(content="", reasoning="think", reasoning_details=DETAILS), completion("done")
    ) as vendor:
        run_tools(vendor, model="anthropic/claude-sonnet-4.6")
    assert turns_of(vendor.body)[0].get("reasoning_details") == DETAILS


def test_streamed_reasoning_details_are_put_together() -> None:
    """Pieces with one index are one entry."""
    pieces = [
        delta(reasoning_details=[{**DETAILS[0], "text": "thi", "signature": None}]),
        delta(reasoning_details=[{**DETAILS[0], "text": "nk"}]),
        delta(reasoning_details=[DETAILS[1]]),
        delta(tool_calls=[{"index": 0, **tool_call()}]),
        delta("tool_calls"),
    ]
    with Vendor(events(*pieces), completion("done")) as vendor:
        chat = vendor.client(model="anthropic/claude-sonnet-4.6")
        first = read(chat.chat_stream(ASK, tools=TOOLS))
        chat.chat([*ASK, first.message, tool_result(first.tool_calls[0].id)], tools=TOOLS)
    found = turns_of(vendor.body)[0].get("reasoning_details")
    assert [(each.get("text", ""), each.get("data", "")) for each in found] == [
        ("think", ""),
        ("", "ENC"),
    ]
    assert found[0]["signature"] == "SIG"


def test_an_unknown_field_of_a_turn_returns_to_its_owner() -> None:
    with Vendor(calling(content="", opaque_state={"a": [1]}), completion("done")) as vendor:
        run_tools(vendor)
    assert turns_of(vendor.body)[0].get("opaque_state") == {"a": [1]}


@pytest.mark.parametrize("provider", ["openai", "deepseek", "glm", "kimi", "qwen", "volcengine"])
def test_no_other_back_end_sees_the_state_of_a_turn(provider: str) -> None:
    state = {"opaque_state": {"a": [1]}, "reasoning_details": DETAILS}
    with Vendor(completion("hello", **state)) as vendor:
        first = vendor.client().chat(ASK)
    with Vendor(completion("ok")) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        vendor.client(provider, **model).chat([*ASK, first.message, *ASK])
    assert {"opaque_state", "reasoning_details"}.intersection(turns_of(vendor.body)[0]) == set()


# ---- empty turns


def refusing_empty_turns(body: Any, number: int) -> Response:
    """Kimi's rule."""
    for place, message in enumerate(body["messages"]):
        text = message.get("content")
        said = text.strip() if isinstance(text, str) else text
        if message["role"] == "assistant" and not said and not message.get("tool_calls"):
            return error(
                400,
                f"Invalid request: the message at position {place} with role 'assistant' must not be empty",
            )
    return completion("ok")


@pytest.mark.parametrize(
    "content", ["", "  \n", None, []], ids=["empty", "blank", "null", "no parts"]
)
def test_an_empty_turn_of_the_callers_own_history_is_left_out_or_padded_for_kimi(
    content: Any,
) -> None:
    history = [
        *ASK,
        {"role": "assistant", "content": content},
        {"role": "user", "content": "go on"},
    ]
    with Vendor(refusing_empty_turns) as vendor:
        assert vendor.client("kimi").chat(history).content == "ok"


def test_an_empty_turn_is_left_out_or_padded_for_a_kimi_model_elsewhere() -> None:
    history = [*ASK, {"role": "assistant", "content": ""}, {"role": "user", "content": "go on"}]
    with Vendor(refusing_empty_turns) as vendor:
        assert vendor.client(model="moonshotai/Kimi-K2.6").chat(history).content == "ok"


def test_a_streamed_turn_cut_while_it_was_thinking_can_be_appended() -> None:
    thinking = events(delta(reasoning_content="long"), delta("length"), USAGE_CHUNK)

    def script(body: Any, number: int) -> Response:
        return refusing_empty_turns(body, number) if number else thinking

    with Vendor(script) as vendor:
        chat = vendor.client("kimi")
        first = read(chat.chat_stream(ASK))
        assert (
            chat.chat([*ASK, first.message, {"role": "user", "content": "go on"}]).content == "ok"
        )


def test_an_empty_turn_makes_no_blank_text_on_bedrock() -> None:
    """Source: https://github.com/NousResearch/hermes-agent/pull/60628"""
    history = [*ASK, {"role": "assistant", "content": " "}, {"role": "user", "content": "go on"}]
    with Vendor(converse_response("ok")) as vendor:
        vendor.client("bedrock").chat(history)
    texts = [block["text"] for message in vendor.body["messages"] for block in message["content"]]
    assert all(text.strip() for text in texts)


def test_an_empty_turn_makes_no_empty_parts_on_gemini() -> None:
    history = [*ASK, {"role": "assistant", "content": ""}, {"role": "user", "content": "go on"}]
    with Vendor(gemini_response("ok")) as vendor:
        vendor.client("gemini").chat(history)
    assert all(content["parts"] for content in vendor.body["contents"])
    assert all(
        part.get("text", "x") for content in vendor.body["contents"] for part in content["parts"]
    )


# ---- contents as lists of parts

PARTS = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]


def taking_only_texts(body: Any, number: int) -> Response:
    if any(isinstance(message.get("content"), list) for message in body["messages"]):
        return error(400, "invalid type: sequence, expected a string", code="invalid_request_error")
    return events(delta("stop", content="ok")) if body.get("stream") else completion("ok")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([*ASK, {"role": "assistant", "content": PARTS}, *ASK], id="assistant"),
        pytest.param([{"role": "developer", "content": PARTS}, *ASK], id="developer"),
        pytest.param([{"role": "user", "content": tuple(PARTS)}], id="a tuple"),
    ],
)
def test_text_parts_of_every_role_are_joined_for_deepseek(
    messages: list[Any], stream: bool
) -> None:
    with Vendor(taking_only_texts) as vendor:
        result = ask(vendor.client("deepseek"), stream=stream, messages=messages)
    assert result.content == "ok"
    assert "one two" in [message["content"] for message in vendor.body["messages"]]


def test_text_beside_an_image_is_not_joined_away() -> None:
    """``deepseek-v4-flash-vision-exp`` takes images."""
    with Vendor(completion("ok")) as vendor:
        chat = vendor.client("deepseek", model="deepseek-v4-flash-vision-exp")
        chat.chat([{"role": "user", "content": [*PARTS, IMAGE_PART]}])
    assert [part["type"] for part in vendor.body["messages"][0]["content"]] == [
        "text",
        "text",
        "image_url",
    ]


def test_a_mark_on_a_text_part_is_not_joined_away_at_a_relay() -> None:
    """
    ``cache_control`` for Claude behind OpenRouter. Source:
    https://openrouter.ai/docs/features/prompt-caching
    """
    marked = {"type": "text", "text": "a long prefix", "cache_control": {"type": "ephemeral"}}
    with Vendor(completion("ok")) as vendor:
        vendor.client(model="anthropic/claude-sonnet-4.6").chat(
            [{"role": "user", "content": [marked, PARTS[0]]}]
        )
    assert vendor.body["messages"][0]["content"][0] == marked


# ---- the beginning of an answer


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("kimi", "prefix"),
        ("qwen", "prefix"),
        ("deepseek", "partial"),
        ("glm", "prefix"),
        ("openai", "partial"),
        ("volcengine", "prefix"),
    ],
)
def test_another_vendors_mark_is_mapped_warned_of_or_refused(provider: str, given: str) -> None:
    """Never left out in silence."""
    turn = {"role": "assistant", "content": "```python\n", given: True}
    with Vendor(completion("ok")) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        chat = vendor.client(provider, base_url=f"{vendor.url}/beta", **model)
        result = unless_refused(lambda: chat.chat([*ASK, turn]))
    last = (vendor.body.get("messages") or [{}])[-1]
    assert (
        refused(result, vendor)
        or result.warnings
        or True in (last.get("prefix"), last.get("partial"))
    )


def test_the_name_beside_kimis_partial_is_sent() -> None:
    """
    It begins the answer in the voice of a character. Source:
    https://github.com/northes/go-moonshot/issues/14
    """
    turn = {"role": "assistant", "content": "", "name": "Kelsier", "partial": True}
    with Vendor(completion("ok")) as vendor:
        vendor.client("kimi").chat([*ASK, turn])
    last = vendor.body["messages"][-1]
    assert (last.get("name"), last.get("partial")) == ("Kelsier", True)


def test_a_streamed_answer_begins_with_the_callers_words_too() -> None:
    turn = {"role": "assistant", "content": "```", "partial": True}
    with Vendor(events(delta("stop", content="ok"))) as vendor:
        read(vendor.client("qwen").chat_stream([*ASK, turn]))
    assert vendor.body["messages"][-1].get("partial") is True


# ---- Qwen while it thinks


class Answer(BaseModel):
    a: int


def qwen(body: Any, number: int) -> Response:
    """DashScope's two rules, by the thinking that is on by request."""
    thinks = body.get("enable_thinking") is True
    if thinks and body.get("response_format"):
        return error(400, "Json mode response is not supported when enable_thinking is true")
    if thinks and body.get("tool_choice") not in (None, "auto", "none"):
        return error(
            400,
            "The tool_choice parameter does not support being set to required or object in thinking mode",
        )
    if body.get("stream"):
        return events(delta("stop", content='{"a": 1}'))
    return completion('{"a": 1}')


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {"response_format": {"type": "json_object"}, "enable_thinking": True},
            id="its own option",
        ),
        pytest.param({"response_format": Answer, "thinking": {"type": "enabled"}}, id="a class"),
        pytest.param(
            {
                "tools": TOOLS,
                "tool_choice": "required",
                "thinking": {"type": "enabled", "budget_tokens": 100},
            },
            id="a forced tool",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_every_way_to_make_qwen_think_knows_its_rules(
    options: dict[str, Any], stream: bool
) -> None:
    messages = [{"role": "user", "content": "answer in JSON"}]
    with Vendor(qwen) as vendor:
        chat = vendor.client("qwen", model="qwen-plus")
        result = unless_refused(lambda: ask(chat, stream=stream, messages=messages, **options))
    assert refused(result, vendor) or result.warnings


def streaming_only_while_it_thinks(body: Any, number: int) -> Response:
    """Qwen3's open weights think unless told not to, and think in streams alone."""
    if body.get("stream"):
        return events(delta("stop", content="ok"))
    if body.get("enable_thinking") is False:
        return completion("ok")
    return error(400, "parameter.enable_thinking must be set to false for non-streaming calls")


@pytest.mark.parametrize(
    "options", [{}, {"thinking": {"type": "enabled"}}], ids=["by default", "by request"]
)
def test_a_plain_call_of_qwens_open_weights_does_not_think_or_is_refused(
    options: dict[str, Any],
) -> None:
    """
    Source: https://github.com/coze-dev/coze-studio/issues/324 and
    https://github.com/langchain4j/langchain4j/issues/3974
    """
    with Vendor(streaming_only_while_it_thinks) as vendor:
        chat = vendor.client("qwen", model="qwen3-32b")
        result = unless_refused(lambda: chat.chat(ASK, **options))
    assert refused(result, vendor) or (result.content == "ok" and result.warnings)


def test_a_stream_of_qwens_open_weights_may_think() -> None:
    """Source: https://github.com/coze-dev/coze-studio/issues/324"""
    with Vendor(streaming_only_while_it_thinks) as vendor:
        chat = vendor.client("qwen", model="qwen3-32b")
        result = read(chat.chat_stream(ASK, thinking={"type": "enabled"}))
    assert (vendor.body.get("enable_thinking"), result.warnings) == (True, [])


def test_a_forced_tool_of_qwen_is_sent_when_thinking_is_off() -> None:
    with Vendor(calling()) as vendor:
        result = vendor.client("qwen").chat(
            ASK, tools=TOOLS, tool_choice="required", thinking={"type": "disabled"}
        )
    assert (vendor.body["tool_choice"], vendor.body["enable_thinking"]) == ("required", False)
    assert result.warnings == []


def test_a_choice_that_forces_nothing_leaves_qwens_thinking_alone() -> None:
    with Vendor(calling()) as vendor:
        result = vendor.client("qwen").chat(
            ASK, tools=TOOLS, tool_choice="auto", thinking={"type": "enabled"}
        )
    assert (vendor.body["tool_choice"], vendor.body["enable_thinking"]) == ("auto", True)
    assert result.warnings == []


def test_the_first_turn_of_a_loop_with_a_forced_tool_knows_qwens_rule() -> None:
    def script(body: Any, number: int) -> Response:
        if body.get("tool_choice") == "required" and body.get("enable_thinking") is not False:
            return error(
                400,
                "The tool_choice parameter does not support being set to required in thinking mode",
            )
        return completion("done") if number else calling()

    with Vendor(script) as vendor:
        chat = vendor.client("qwen")
        result = unless_refused(
            lambda: chat.chat_with_tools(
                ASK, TOOLS, tool_executor=lambda name, text: "1", tool_choice="required"
            )
        )
    assert refused(result, vendor) or (result.content == "done" and result.warnings)


# ---- thinking off, by model

EFFORTS = {
    "gpt-5-nano": ("minimal", "low", "medium", "high"),
    "gpt-5-2025-08-07": ("minimal", "low", "medium", "high"),
    "gpt-5-mini-2025-08-07": ("minimal", "low", "medium", "high"),
    "o3-mini": ("low", "medium", "high"),
    "o1": ("low", "medium", "high"),
    "gpt-5.2": ("none", "low", "medium", "high", "xhigh"),
    "gpt-5.4-nano": ("none", "low", "medium", "high", "xhigh"),
    "gpt-6-luna": ("none", "low", "medium", "high", "xhigh"),
}


def knowing_its_efforts(body: Any, number: int) -> Response:
    effort = body.get("reasoning_effort")
    if effort not in (None, *EFFORTS[body["model"]]):
        return error(
            400,
            f"Unsupported value: '{effort}' is not supported with this model.",
            code="unsupported_value",
        )
    return events(delta("stop", content="ok")) if body.get("stream") else completion("ok")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("model", EFFORTS)
def test_thinking_off_is_known_for_each_generation(model: str, stream: bool) -> None:
    with Vendor(knowing_its_efforts) as vendor:
        chat = vendor.client("openai", model=model)
        result = unless_refused(lambda: ask(chat, stream=stream, thinking={"type": "disabled"}))
    quiet = vendor.body.get("reasoning_effort") == "none"
    assert refused(result, vendor) or (result.content == "ok" and (quiet or result.warnings))
    assert quiet or "none" not in EFFORTS[model]


@pytest.mark.parametrize("model", ["gpt-5-chat-latest", "gpt-5-chat", "gpt-4o", "gpt-4.1-mini"])
def test_a_model_that_does_not_reason_gets_no_effort(model: str) -> None:
    """It refuses the field."""
    with Vendor(completion("ok")) as vendor:
        vendor.client("openai", model=model).chat(
            ASK, thinking={"type": "disabled"}, temperature=0.2
        )
    assert "reasoning_effort" not in vendor.body
    assert vendor.body["temperature"] == 0.2


# ---- the host decides


@pytest.fixture
def openai_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: 1")


@pytest.mark.usefixtures("openai_variables")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_relay_named_by_a_variable_sees_no_header_of_openai(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = events(delta("stop", content="ok")) if stream else completion("ok")
    with Vendor(response) as vendor:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")
        result = ask(
            vendor.client("openai", model="gpt-4o", base_url=None), stream=stream, max_tokens=50
        )
    own = {"openai-organization", "openai-project", "x-mine"}
    assert own.intersection(vendor.headers[0]) == set()
    assert vendor.body.get("max_tokens") == 50 or result.warnings


@pytest.mark.usefixtures("openai_variables")
@pytest.mark.parametrize("provider", ["openai_compat", "deepseek", "qwen"])
def test_no_other_vendor_sees_a_header_of_openai(provider: str) -> None:
    with Vendor(completion("ok")) as vendor:
        vendor.client(provider).chat(ASK)
    own = {"openai-organization", "openai-project", "x-mine"}
    assert own.intersection(vendor.headers[0]) == set()


# ---- proxy variables

ANSWERS = {
    "openai_compat": (completion("direct"), completion("proxy"), "/v1"),
    "gemini": (gemini_response("direct"), gemini_response("proxy"), ""),
    "bedrock": (converse_response("direct"), converse_response("proxy"), ""),
}


@pytest.mark.parametrize("provider", ANSWERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:7891/"),
        ("all_proxy", "socks://127.0.0.1:7891"),
        ("ALL_PROXY", "socks5://127.0.0.1:7891"),
        ("ALL_PROXY", "socks5h://127.0.0.1:7891"),
        ("NO_PROXY", "[::1],127.0.0.1"),
        ("NO_PROXY", "localhost, 127.0.0.1 ,.internal"),
        ("no_proxy", "127.0.0.1"),
    ],
)
def test_an_excepted_host_is_reached_whatever_the_variables_look_like(
    provider: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a ConfigurationError names the variable."""
    direct, proxied, path = ANSWERS[provider]
    with Vendor(direct) as vendor, Vendor(proxied) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        if "NO" not in name.upper():
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv(name, value)
        result = outcome(lambda: vendor.client(provider, base_url=vendor.url + path).chat(ASK))
    named = type(result) is errors.ConfigurationError and name.upper() in str(result).upper()
    assert named or getattr(result, "content", "") == "direct"


@pytest.mark.parametrize("provider", ANSWERS)
def test_a_proxy_without_a_scheme_is_used_or_named(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """curl takes ``host:port``."""
    direct, proxied, path = ANSWERS[provider]
    with Vendor(direct) as vendor, Vendor(proxied) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        result = outcome(
            lambda: vendor.client(provider, base_url="http://vendor.invalid" + path).chat(ASK)
        )
    named = type(result) is errors.ConfigurationError and "HTTP_PROXY" in str(result)
    assert named or getattr(result, "content", "") == "proxy"


@pytest.mark.parametrize("provider", ANSWERS)
def test_the_proxy_of_the_environment_is_used(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explicit AWS keys keep files and profiles of the machine out, not its way to the network."""
    direct, proxied, path = ANSWERS[provider]
    with Vendor(direct) as vendor, Vendor(proxied) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        result = outcome(
            lambda: vendor.client(provider, base_url="http://vendor.invalid" + path).chat(ASK)
        )
    assert getattr(result, "content", "") == "proxy"
    assert proxy.paths[0].startswith("http://vendor.invalid/")


# ---- options that change what comes back, and misspelt ones

BY_DIALECT = {
    "openai_compat": (completion("ok"), events(delta("stop", content="ok"))),
    "gemini": (gemini_response("ok"), gemini_stream(gemini_chunk("ok", reason="STOP"))),
    "bedrock": (converse_response("ok"), converse_text("ok")),
}


@pytest.mark.parametrize("provider", BY_DIALECT)
def test_stream_true_in_a_plain_call_is_refused_by_every_dialect(provider: str) -> None:
    """Before anything is sent, with the right method's name."""
    with Vendor(BY_DIALECT[provider][0]) as vendor:
        result = outcome(lambda: vendor.client(provider).chat(ASK, stream=True))
    assert refused(result, vendor)
    assert "chat_stream" in str(result)


def test_stream_true_in_extra_body_is_refused_or_answered() -> None:
    def script(body: Any, number: int) -> Response:
        return events(delta("stop", content="ok")) if body.get("stream") else completion("ok")

    with Vendor(script) as vendor:
        result = unless_refused(lambda: vendor.client().chat(ASK, extra_body={"stream": True}))
    assert refused(result, vendor) or result.content == "ok"


@pytest.mark.parametrize("provider", BY_DIALECT)
def test_a_stream_with_stream_false_is_refused_or_streamed(provider: str) -> None:
    with Vendor(BY_DIALECT[provider][1]) as vendor:
        result = unless_refused(
            lambda: read(vendor.client(provider).chat_stream(ASK, stream=False))
        )
    assert refused(result, vendor) or result.content == "ok"


@pytest.mark.parametrize("provider", BY_DIALECT)
@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("time_out", 5, "timeout"),
        ("max_token", 50, "max_tokens"),
        ("maxtokens", 50, "max_tokens"),
        ("temprature", 0.5, "temperature"),
        ("tool_choise", "auto", "tool_choice"),
        ("respone_format", {"type": "json_object"}, "response_format"),
        ("max_retry", 1, "max_retries"),
        ("extra_header", {"a": "b"}, "extra_headers"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_right_name(
    provider: str, option: str, value: Any, right: str
) -> None:
    with Vendor(BY_DIALECT[provider][0]) as vendor:
        result = outcome(lambda: vendor.client(provider).chat(ASK, **{option: value}))
    assert refused(result, vendor)
    assert right in str(result)
    assert option in str(result)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min_tokens", 5),
        ("top_k", 5),
        ("min_p", 0.1),
        ("stop_token_ids", [1]),
        ("tool_stream", True),
        ("top_a", 0.2),
        ("models", ["a/b", "c/d"]),
        ("logit_bias", {"1": 1}),
        ("user", "u"),
        ("store", False),
    ],
)
def test_a_vendors_own_option_is_not_taken_for_a_misspelt_one(option: str, value: Any) -> None:
    """vLLM's ``min_tokens`` and OpenRouter's ``top_a`` are a letter or two away from ours."""
    with Vendor(completion("ok")) as vendor:
        vendor.client().chat(ASK, **{option: value})
    assert vendor.body[option] == value


def test_a_misspelt_option_of_the_tool_loop_is_refused_before_sending() -> None:
    with Vendor(completion("ok")) as vendor:
        chat = vendor.client()
        result = outcome(
            lambda: chat.chat_with_tools(
                ASK, TOOLS, tool_executor=lambda name, text: "1", max_iteration=3
            )
        )
    assert refused(result, vendor)
    assert "max_iterations" in str(result)


# ---- variables of each row


@pytest.mark.parametrize(
    ("provider", "vendor_name"),
    [
        ("openai", "OPENAI"),
        ("deepseek", "DEEPSEEK"),
        ("kimi", "MOONSHOT"),
        ("qwen", "DASHSCOPE"),
        ("doubao", "VOLCENGINE"),
    ],
)
def test_every_row_reads_its_model_from_a_variable(
    provider: str, vendor_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{vendor_name}_MODEL", "my-model")
    with Vendor(completion("ok")) as vendor:
        vendor.client(provider).chat(ASK)
    assert vendor.body["model"] == "my-model"


@pytest.mark.parametrize(
    ("provider", "vendor_name"),
    [
        ("openai", "OPENAI"),
        ("deepseek", "DEEPSEEK"),
        ("doubao", "VOLCENGINE"),
        ("kimi", "MOONSHOT"),
    ],
)
def test_every_row_reads_its_timeout_from_a_variable(
    provider: str, vendor_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{vendor_name}_TIMEOUT_SECS", "0.1")
    with Vendor(Response(pieces=[0.4, completion("late").body])) as vendor:
        result = outcome(lambda: vendor.client(provider, timeout=None).chat(ASK))
    assert isinstance(result, errors.ProviderTimeoutError)


def test_bedrock_reads_its_region_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDROCK_REGION", "eu-west-3")
    with Vendor(converse_response("ok")) as vendor:
        vendor.client("bedrock", region=None).chat(ASK)
    assert "/eu-west-3/" in vendor.headers[0]["authorization"]


# ---- what the warnings say


ROWS = ["openai_compat", "deepseek", "glm", "kimi", "qwen", "volcengine"]


@pytest.mark.parametrize("provider", ROWS)
def test_nothing_is_warned_of_where_nothing_was_changed(provider: str) -> None:
    with Vendor(completion("ok")) as vendor:
        result = vendor.client(provider).chat(
            [*ASK, assistant_call(), tool_result(), *ASK], tools=TOOLS
        )
    assert features(result) == []


@pytest.mark.parametrize("provider", ROWS)
def test_a_history_is_never_changed_by_a_call(provider: str) -> None:
    turn = {
        "role": "assistant",
        "content": [{"type": "text", "text": ""}],
        "partial": True,
        "reasoning_content": "r",
    }
    history = [
        {"role": "user", "content": PARTS},
        assistant_call(),
        tool_result(content=PARTS),
        *ASK,
        turn,
    ]
    before = json.dumps(history)
    with Vendor(completion("ok")) as vendor:
        outcome(lambda: vendor.client(provider).chat(history))
    assert json.dumps(history) == before


# ---- options of a client


@pytest.mark.parametrize(
    "option", ["api_key", "base_url", "default_headers", "profile", "allow_private_hosts"]
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_option_of_the_client_is_never_sent_with_a_call(option: str, stream: bool) -> None:
    """A key in a request's body would be logged by the vendor."""
    with Vendor(completion("ok")) as vendor:
        result = unless_refused(
            lambda: ask(vendor.client(), stream=stream, **{option: "sk-other-123456"})
        )
    assert refused(result, vendor)
    assert "ChatClient(" in str(result)
    assert "sk-other" not in str(result)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_think_tags_are_left_alone_for_one_call(stream: bool) -> None:
    text = "<think>why</think>It rains."
    chunks = events(delta("stop", content=text), USAGE_CHUNK)
    with Vendor(chunks if stream else completion(text)) as vendor:
        result = ask(vendor.client(), stream=stream, split_think_tags=False)
    assert (result.content, result.reasoning_content) == (text, "")
    assert "split_think_tags" not in vendor.body


@pytest.mark.parametrize(
    "profile",
    [
        {"json_schema": True},
        {"json_schema": "("},
        {"thinking": "on"},
        {"forced_choice": "never"},
        {"ranges": [0, 1]},
        {"refused": "temperature"},
        {"stream_usage": "no"},
        {"max_tokens": "max_output"},
    ],
    ids=str,
)
def test_a_fact_that_makes_no_sense_is_refused_with_its_name(profile: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match=next(iter(profile))):
        ChatClient("openai_compat", base_url="http://localhost:1", profile=profile)


def test_a_profile_read_from_json_has_lists_in_place_of_tuples() -> None:
    with Vendor(completion("ok")) as vendor:
        vendor.client(profile={"refused": [[".*", ["temperature"]]]}).chat(ASK, temperature=0.5)
    assert "temperature" not in vendor.body


# ---- what LiteLLM and relays of Claude and Gemini want back

SIGNED = {"type": "thinking", "thinking": "ab", "signature": "S"}
CLAUDE_PIECES = [
    delta(thinking_blocks=[{"type": "thinking", "thinking": "a", "signature": ""}]),
    delta(thinking_blocks=[{"type": "thinking", "thinking": "b", "signature": ""}]),
    delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "S"}]),
    delta(thinking_blocks=[{"type": "thinking", "thinking": "c", "signature": "T"}]),
    call_delta('{"city": "Paris"}', id="c1", name="get_weather"),
    delta("tool_calls"),
]


def second_request(first: Response, *, stream: bool = False, host: str = "") -> tuple[Any, Any]:
    """(the first result, the assistant's turn as the next request has it)."""
    with Vendor(first, completion("next")) as vendor, Vendor(completion("next")) as other:
        chat = vendor.client(model="claude-sonnet-4-5")
        result = ask(chat, stream=stream, tools=TOOLS)
        results = [tool_result(call.id, "22") for call in result.tool_calls]
        asked = (other if host else vendor).client(model="claude-sonnet-4-5")
        asked.chat([*ASK, result.message, *results], tools=TOOLS)
        return result, (other if host else vendor).body["messages"][1]


def test_signed_thoughts_return_to_their_owner() -> None:
    first = calling(tool_call(), thinking_blocks=[SIGNED])
    result, turn = second_request(first)
    assert (result.reasoning_content, turn["thinking_blocks"]) == ("ab", [SIGNED])
    assert "thinking_blocks" not in second_request(first, host="other")[1]


def test_streamed_thoughts_are_whole_blocks() -> None:
    result, turn = second_request(events(*CLAUDE_PIECES), stream=True)
    last = {"type": "thinking", "thinking": "c", "signature": "T"}
    assert turn["thinking_blocks"] == [SIGNED, last]
    assert result.reasoning_content == "abc"


def test_thoughts_are_not_read_twice() -> None:
    blocks = [{"type": "thinking", "thinking": "ab", "signature": "S"}]
    chunks = [delta(reasoning_content="ab"), delta(thinking_blocks=blocks), delta("stop")]
    with Vendor(events(*chunks)) as vendor:
        result = ask(vendor.client(), stream=True)
    assert result.reasoning_content == "ab"


@pytest.mark.parametrize("stream", [False, True])
def test_fields_of_a_call_return_to_their_owner(stream: bool) -> None:
    fields = {"provider_specific_fields": {"thought_signature": "SIG"}}
    if stream:
        begun = call_delta("", id="c1", name="get_weather")
        begun["choices"][0]["delta"]["tool_calls"][0] |= fields
        first = events(begun, call_delta('{"city": "Paris"}'), delta("tool_calls"))
    else:
        first = calling({**tool_call(), **fields})
    _, turn = second_request(first, stream=stream)
    (call,) = turn["tool_calls"]
    assert call["provider_specific_fields"] == fields["provider_specific_fields"]
    assert "extra_content" not in call
    (call,) = second_request(first, stream=stream, host="other")[1]["tool_calls"]
    assert call.keys() == {"id", "type", "function"}


@pytest.mark.parametrize("provider", ["openai_compat", "openai", "openrouter"])
def test_signatures_of_geminis_own_api_go_to_no_stranger(provider: str) -> None:
    call = function_call({"city": "Paris"}, signature="SIG", id="g1")
    with Vendor(gemini_response(call)) as vendor:
        result = vendor.client("gemini").chat(ASK, tools=TOOLS)
    history = [*ASK, result.message, tool_result(result.tool_calls[0].id, "22")]
    with Vendor(completion("ok")) as vendor:
        vendor.client(provider, model="m").chat(history, tools=TOOLS)
    assert "SIG" not in json.dumps(vendor.body)
    assert "extra_content" not in vendor.body["messages"][1]["tool_calls"][0]


# ---- the wish to think, misspelt


@pytest.mark.parametrize("provider", ["dashscope", "openai", "volcengine", "gemini", "bedrock"])
@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"type": "disable"}, "'disable'"),
        ({"type": "off"}, "'off'"),
        ({"type": "enabled", "budget_token": 512}, "did you mean 'budget_tokens'"),
        ({"type": "enabled", "budget": 512}, "did you mean 'budget_tokens'"),
    ],
)
def test_a_misspelt_wish_to_think_is_refused(
    provider: str, wish: dict[str, Any], says: str
) -> None:
    """``disable`` would switch it on."""
    with Vendor(completion("ok")) as vendor:
        found = outcome(lambda: vendor.client(provider).chat(ASK, thinking=wish))
        assert vendor.requests == []
    assert isinstance(found, errors.InvalidInputError)
    assert says in str(found)


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_a_misspelt_effort_is_refused(model: str) -> None:
    with Vendor(gemini_response("ok")) as vendor:
        chat = vendor.client("gemini", model=model)
        found = outcome(lambda: chat.chat(ASK, reasoning_effort="meduim"))
        assert vendor.requests == []
        assert isinstance(found, errors.InvalidInputError)
        assert chat.chat(ASK, reasoning_effort="max").content == "ok"


# ---- names of tools, words of refusals, names of speakers


@pytest.mark.parametrize("provider", ["openai_compat", "deepseek", "gemini", "bedrock"])
def test_chinese_names_of_tools_are_told_apart(provider: str) -> None:
    """``____`` and ``__`` tell a model nothing."""
    tools = [tool("查询天气"), tool("查询"), tool("查询weather")]
    responses = {"gemini": gemini_response("ok"), "bedrock": converse_response({"text": "ok"})}
    with Vendor(responses.get(provider, completion("ok"))) as vendor:
        vendor.client(provider).chat(ASK, tools=tools)
    names = re.findall(r'"name": ?"([^"]+)"', json.dumps(vendor.body))
    assert len([name for name in names if re.fullmatch(r"tool_[0-9a-f]{8}", name)]) == 2
    assert "__weather" in names


REFUSED = [
    {"role": "user", "content": "help"},
    {"role": "assistant", "content": "", "refusal": "I cannot do that"},
    {"role": "user", "content": "why?"},
]
REFUSED_PART = [
    REFUSED[0],
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot do that"}]},
    REFUSED[2],
]


@pytest.mark.parametrize("provider", ["openai", "deepseek", "glm", "gemini", "bedrock"])
@pytest.mark.parametrize("history", [REFUSED, REFUSED_PART], ids=["field", "part"])
def test_the_words_of_a_refusal_go_everywhere(provider: str, history: list[dict[str, Any]]) -> None:
    responses = {"gemini": gemini_response("ok"), "bedrock": converse_response({"text": "ok"})}
    with Vendor(responses.get(provider, completion("ok"))) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        vendor.client(provider, **model).chat(history)
    turns = vendor.body.get("messages") or vendor.body["contents"]
    assert len(turns) == 3
    assert "I cannot do that" in json.dumps(turns[1])
    assert ("refusal" in json.dumps(turns[1])) == (provider == "openai")


@pytest.mark.parametrize("provider", ["gemini", "bedrock"])
def test_names_of_speakers_are_missed_with_a_warning(provider: str) -> None:
    response = gemini_response("ok") if provider == "gemini" else converse_response({"text": "ok"})
    with Vendor(response) as vendor:
        result = vendor.client(provider).chat([{"role": "user", "name": "Alice", "content": "hi"}])
    assert features(result) == ["name"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": "http://user:pw@127.0.0.1:1/v1"}, "base_url must not contain a user name"),
        ({"base_url": 5}, "base_url must be a printable text, got 5"),
        ({"model": 5}, "model must be a printable text, got 5"),
        ({"split_think_tags": "no"}, "split_think_tags must be True or False"),
    ],
)
def test_the_message_names_the_option(options: dict[str, Any], says: str) -> None:
    given = {"api_key": "k", "base_url": "http://127.0.0.1:1/v1", **options}
    with pytest.raises(errors.ConfigurationError, match=says):
        ChatClient("openai_compat", **given)


@pytest.mark.parametrize("provider", ["openai_compat", "openai"])
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-6.2-sol"])
def test_a_relay_gets_tools_as_they_are(provider: str, model: str) -> None:
    """What OpenAI's own endpoint refuses, a gateway translates."""
    with Vendor(completion("ok")) as vendor:
        result = vendor.client(provider, model=model).chat(ASK, tools=TOOLS)
    assert len(vendor.body["tools"]) == 1
    assert "reasoning_effort" not in vendor.body
    assert features(result) == []


@pytest.mark.parametrize(("provider", "model"), [("moonshot", "kimi-k3"), ("glm", "glm-5.3")])
def test_an_effort_is_one_that_the_model_has(provider: str, model: str) -> None:
    with Vendor(completion("ok")) as vendor:
        chat = vendor.client(provider, model=model)
        found = outcome(lambda: chat.chat(ASK, reasoning_effort="none"))
        assert isinstance(found, errors.UnsupportedFeatureError)
        assert "reasoning_effort='low'" in str(found)
        assert vendor.requests == []
        result = chat.chat(ASK, reasoning_effort="medium")
    assert vendor.body["reasoning_effort"] == "high"
    assert features(result) == ["reasoning_effort"]
