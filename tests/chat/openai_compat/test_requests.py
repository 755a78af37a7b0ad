"""
What OpenAI-compatible back ends refuse or need, as users reported it: histories, thinking, hosts,
options.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from aigc_kit import errors
from tests.vendor import (
    ASK,
    TOOLS,
    Response,
    Vendor,
    assistant_call,
    calling,
    completion,
    converse_response,
    delta,
    error,
    events,
    json_response,
    refused,
    tool_result,
    unless_refused,
)

# ---- what goes back in a history


def _demands_reasoning(body: Any, number: int) -> Response:
    if number == 0:
        return calling(content="", reasoning_content="think")
    turns = [message for message in body["messages"] if message["role"] == "assistant"]
    if all("reasoning_content" in turn for turn in turns):
        return completion("done")
    refusal = "The `reasoning_content` in the thinking mode must be passed back to the API."
    return json_response({"code": 20015, "message": refusal, "data": None}, status=400)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai_compat", "deepseek-ai/DeepSeek-V4-Pro"),
        ("openai_compat", "deepseek/deepseek-v4-flash"),
        ("volcengine", "deepseek-v3-2-251201"),
        ("qwen", "deepseek-v4-pro"),
        ("deepseek", None),
    ],
)
def test_a_deepseek_model_gets_its_reasoning_back_wherever_it_is_served(
    provider: str, model: str | None
) -> None:
    """
    Source: https://github.com/danny-avila/LibreChat/issues/13366,
    https://github.com/earendil-works/pi/issues/4047 and
    https://github.com/bytedance/deer-flow/issues/3050
    """
    with Vendor(_demands_reasoning) as vendor:
        chat = vendor.client(provider, **({"model": model} if model else {}))
        result = chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, arguments: "22")
    assert result.content == "done"


def _refuses_empty_turns(body: Any, number: int) -> Response:
    if number == 0:
        return completion("", reasoning_content="long thinking", finish="length")
    for place, message in enumerate(body["messages"]):
        if (
            message["role"] == "assistant"
            and not message.get("content")
            and not message.get("tool_calls")
        ):
            refusal = f"Invalid request: the message at position {place} with role 'assistant' must not be empty"
            return error(400, refusal)
    return completion("ok")


def test_a_turn_cut_while_it_was_thinking_can_be_appended() -> None:
    """
    The empty turn is left out or padded.

    Source: https://github.com/AstrBotDevs/AstrBot/issues/7200,
    https://github.com/lobehub/lobehub/pull/8419 and
    https://github.com/labring/FastGPT/issues/3575
    """
    with Vendor(_refuses_empty_turns) as vendor:
        chat = vendor.client("kimi")
        first = chat.chat(ASK, max_tokens=100)
        result = chat.chat([*ASK, first.message, {"role": "user", "content": "go on"}])
    assert result.content == "ok"


PARTS = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]


def _takes_only_texts(body: Any, number: int) -> Response:
    for place, message in enumerate(body["messages"]):
        if isinstance(message.get("content"), list):
            return error(
                400,
                f"Failed to deserialize the JSON body into the target type: messages[{place}]: invalid type: sequence,"
                " expected a string",
                code="invalid_request_error",
            )
    return completion("ok")


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([{"role": "user", "content": PARTS}], id="user"),
        pytest.param([{"role": "system", "content": PARTS}, *ASK], id="system"),
        pytest.param([*ASK, assistant_call(), tool_result(content=PARTS)], id="tool"),
    ],
)
def test_text_parts_are_joined_for_deepseek(messages: list[Any]) -> None:
    """
    Source: https://github.com/BerriAI/litellm/issues/6642,
    https://github.com/cline/cline/issues/230 and
    https://github.com/CherryHQ/cherry-studio/issues/3474
    """
    with Vendor(_takes_only_texts) as vendor:
        result = vendor.client("deepseek").chat(messages)
    assert result.content == "ok"
    assert "one two" in [message["content"] for message in vendor.body["messages"]]


@pytest.mark.parametrize(
    ("provider", "field", "path"),
    [("deepseek", "prefix", "/beta"), ("kimi", "partial", "/v1"), ("qwen", "partial", "/v1")],
)
def test_the_beginning_of_an_answer_is_marked_as_each_vendor_wants_it(
    provider: str, field: str, path: str
) -> None:
    """
    Source: https://github.com/vercel/ai/issues/19383,
    https://github.com/SillyTavern/SillyTavern/issues/3233 and
    https://github.com/northes/go-moonshot/issues/14
    """
    turn = {"role": "assistant", "content": "```python\n", field: True}
    with Vendor(completion("ok")) as vendor:
        vendor.client(provider, base_url=vendor.url + path).chat([*ASK, turn], stop=["```"])
    assert vendor.body["messages"][-1].get(field) is True


# ---- thinking


def _no_json_mode(body: Any, number: int) -> Response:
    if body.get("response_format") and body.get("enable_thinking") is True:
        return error(
            400,
            "Json mode response is not supported when enable_thinking is true",
            code="invalid_parameter_error",
        )
    return completion('{"a": 1}')


def _no_forced_tool(body: Any, number: int) -> Response:
    if (
        body.get("tool_choice") not in (None, "auto", "none")
        and body.get("enable_thinking") is not False
    ):
        return error(
            400,
            "The tool_choice parameter does not support being set to required or object in thinking mode",
            code="invalid_parameter_error",
        )
    return calling()


ONE_TOOL = {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.parametrize(
    ("script", "options"),
    [
        pytest.param(
            _no_json_mode,
            {
                "model": "qwen-plus",
                "response_format": {"type": "json_object"},
                "thinking": {"type": "enabled"},
            },
            id="JSON mode",
        ),
        pytest.param(_no_forced_tool, {"tools": TOOLS, "tool_choice": "required"}, id="any tool"),
        pytest.param(_no_forced_tool, {"tools": TOOLS, "tool_choice": ONE_TOOL}, id="one tool"),
    ],
)
def test_qwen_is_not_asked_for_what_it_refuses_while_it_thinks(
    script: Any, options: dict[str, Any]
) -> None:
    """
    One of the two is left out with a warning, or the call is refused before sending.

    Source: https://github.com/cloudwego/eino/issues/994,
    https://github.com/agentscope-ai/agentscope/issues/1608 and
    https://github.com/presenton/presenton/issues/184
    """
    with Vendor(script) as vendor:
        messages = [{"role": "user", "content": "answer in JSON"}]
        result = unless_refused(lambda: vendor.client("qwen").chat(messages, **options))
    assert refused(result, vendor) or (not isinstance(result, Exception) and result.warnings)


def test_qwen_thinks_when_asked_to() -> None:
    """Source: https://github.com/cloudwego/eino/issues/994"""
    with Vendor(completion("ok")) as vendor:
        vendor.client("qwen", model="qwen-plus").chat(ASK, thinking={"type": "enabled"})
    assert vendor.body["enable_thinking"] is True


EFFORTS = {
    "gpt-5.1": ("none", "low", "medium", "high"),
    "gpt-5": ("minimal", "low", "medium", "high"),
    "gpt-5-mini": ("minimal", "low", "medium", "high"),
    "o3": ("low", "medium", "high"),
    "o4-mini": ("low", "medium", "high"),
}


def _knows_its_efforts(body: Any, number: int) -> Response:
    effort = body.get("reasoning_effort")
    if effort in (None, *EFFORTS[body["model"]]):
        return completion("ok")
    return error(
        400,
        f"Unsupported value: '{effort}' is not supported with this model.",
        code="unsupported_value",
    )


@pytest.mark.parametrize("model", EFFORTS)
def test_thinking_off_is_an_effort_that_the_model_has(model: str) -> None:
    """
    ``none`` where it exists; else the lowest or none at all, with a warning; or refused before
    sending.

    Source: https://github.com/openai/openai-dotnet/issues/877 and
    https://github.com/anomalyco/opencode/issues/4451
    """
    with Vendor(_knows_its_efforts) as vendor:
        result = unless_refused(
            lambda: vendor.client("openai", model=model).chat(ASK, thinking={"type": "disabled"})
        )
    answered = getattr(result, "content", "") == "ok"
    quiet = vendor.body.get("reasoning_effort") == "none"
    assert type(result) is errors.UnsupportedFeatureError or (
        answered and (quiet or result.warnings)
    )


def test_a_chat_model_of_a_reasoning_generation_keeps_its_temperature() -> None:
    """Source: https://github.com/openai/openai-dotnet/issues/877"""
    with Vendor(completion("ok")) as vendor:
        vendor.client("openai", model="gpt-5-chat-latest").chat(ASK, temperature=0.2)
    assert vendor.body.get("temperature") == 0.2


@pytest.mark.parametrize(
    ("provider", "model", "options", "left_out"),
    [
        ("openai", "gpt-5.4", {}, set()),
        ("openai", "gpt-5.1-2025-11-13", {"reasoning_effort": "none"}, set()),
        ("openai", "gpt-5.4", {"reasoning_effort": "low"}, {"temperature", "logprobs"}),
        ("openai", "gpt-5.2-pro", {"api": "chat"}, {"temperature", "logprobs"}),
        ("openai", "gpt-5.5", {}, {"temperature", "logprobs"}),
        ("openai", "gpt-6-luna", {"reasoning_effort": "none"}, set()),
        ("openai", "gpt-6-astra", {}, {"temperature", "logprobs", "stop"}),
        ("openai_compat", "openai/gpt-5.3", {}, set()),
        ("volcengine", "doubao-seed-2-1-pro-260915", {}, {"logprobs", "stop"}),
        ("volcengine", "deepseek-v3-2-251201", {}, set()),
    ],
)
def test_sampling_is_left_out_where_the_model_refuses_it(
    provider: str, model: str, options: dict[str, Any], left_out: set[str]
) -> None:
    """
    Source: pydantic-ai-slim 2.68 ``profiles/openai.py`` (5.1 to 5.4 reason when asked to),
    docs.apiyi.com gpt-6-astra, volcengine.com/docs/82379/1494384.
    """
    wishes = {"temperature": 0.2, "logprobs": True, "stop": ["END"]}
    with Vendor(completion("ok")) as vendor:
        result = vendor.client(provider, model=model).chat(ASK, **wishes, **options)
    assert set(wishes) - set(vendor.body) == left_out
    assert {entry["feature"] for entry in result.warnings} >= left_out


# ---- the host decides


@pytest.fixture
def openai_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: 1")


@pytest.mark.usefixtures("openai_variables")
def test_openais_own_headers_do_not_reach_another_host() -> None:
    """Source: https://github.com/langchain-ai/langchain/issues/29954"""
    with Vendor(completion("ok")) as vendor:
        vendor.client("openai", model="deepseek-v4-flash").chat(ASK)
    own = {"openai-organization", "openai-project", "x-mine"}
    assert own.intersection(vendor.headers[0]) == set()


def test_the_output_limit_at_another_host_is_the_one_it_reads() -> None:
    """
    ``max_tokens`` for a model that is not OpenAI's, or a warning that it may be ignored.

    Source: https://github.com/deepseek-ai/DeepSeek-V3/issues/303
    """
    with Vendor(completion("ok")) as vendor:
        result = vendor.client("openai", model="deepseek-v4-flash").chat(ASK, max_tokens=50)
    assert vendor.body.get("max_tokens") == 50 or result.warnings


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [("", "direct"), ("http://vendor.invalid/v1", "proxy")],
    ids=["excepted", "proxied"],
)
def test_a_socks_variable_beside_http_proxies_works_or_is_named(
    base_url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As Clash and GNOME set it.

    Source: https://github.com/QuantaAlpha/RepoMaster/issues/13 and
    https://github.com/openai/openai-python/issues/1054
    """
    with Vendor(completion("direct")) as vendor, Vendor(completion("proxy")) as proxy:
        monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:7891/")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        result = unless_refused(
            lambda: vendor.client(base_url=base_url or f"{vendor.url}/v1").chat(ASK)
        )
    named = type(result) is errors.ConfigurationError and "ALL_PROXY" in str(result)
    assert named or getattr(result, "content", "") == expected


# ---- options that change what comes back


def _streams_when_asked(body: Any, number: int) -> Response:
    if body.get("stream"):
        return events(delta(content="hi"), delta("stop"))
    return completion("ok")


@pytest.mark.parametrize("method", ["chat", "chat_with_tools"])
def test_stream_true_in_a_plain_call_is_refused_before_sending_or_answered(method: str) -> None:
    """
    A habit of the openai SDK's users. Source:
    https://platform.openai.com/docs/api-reference/chat/create
    """
    extra = (
        {} if method == "chat" else {"tools": TOOLS, "tool_executor": lambda name, arguments: "1"}
    )
    with Vendor(_streams_when_asked) as vendor:
        call = getattr(vendor.client(), method)
        result = unless_refused(lambda: call(ASK, stream=True, **extra))
    assert refused(result, vendor) or not isinstance(result, Exception)


@pytest.mark.parametrize("provider", ["openai", "openai_compat", "deepseek"])
def test_two_limits_of_tokens_exclude_each_other(provider: str) -> None:
    with (
        Vendor(completion("ok")) as vendor,
        vendor.client(provider, model="m") as chat,
        pytest.raises(errors.InvalidInputError, match="exclude each other"),
    ):
        chat.chat(ASK, max_tokens=5, max_completion_tokens=6)
    assert not vendor.bodies


@pytest.mark.parametrize(("word", "requests"), [("false", 1), ("true", 2), ("", 2)])
def test_a_vendor_may_forbid_a_retry(word: str, requests: int) -> None:
    """Source: openai 3.57 ``_base_client._should_retry``."""
    headers = {"x-should-retry": word} if word else {}
    failed = json_response({"error": {"message": "busy"}}, status=503, headers=headers)
    with Vendor(lambda body, number: completion("ok") if number else failed) as vendor:
        client = vendor.client("openai_compat", max_retries=1)
        with contextlib.suppress(errors.ServerError):
            client.chat(ASK)
    assert len(vendor.bodies) == requests


MARKED = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}


def test_the_schema_in_the_prompt_stands_behind_a_cache_mark() -> None:
    """Else all of the prompt is paid for each time."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    turns = [{"role": "system", "content": [MARKED]}, *ASK]
    with Vendor(completion('{"a": 1}')) as vendor, vendor.client("openai_compat") as chat:
        chat.chat(turns, response_format=form, structured_mode="prompt")
    first, second = vendor.body["messages"][0]["content"]
    assert first == MARKED
    assert "schema" in second["text"]
    with (
        Vendor(converse_response('{"a": 1}')) as vendor,
        vendor.client("bedrock", model="us.amazon.nova-pro-v1:0") as chat,
    ):
        chat.chat(turns, response_format=form)
    assert [next(iter(block)) for block in vendor.body["system"]] == ["text", "cachePoint", "text"]
