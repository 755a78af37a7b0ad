"""
The dialect of ``chat/completions``: what leaves for each vendor, what comes back in every shape,
and streams.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat.vendors import VENDORS
from aigc_kit.sandbox import Sandbox
from aigc_kit.transport.deadline import DRAIN_SECONDS
from tests.images import make
from tests.waits import within
from tests.wire import AMPLE, SHORT, Reset, Wire, body_of, http, timeout_for

ASK = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


def reply(message: Any = None, reason: Any = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "ok"} if message is None else message
    return {
        "id": "c1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        **more,
    }


def sse(*events: Any, done: bool = True, end: bytes = b"\n\n") -> bytes:
    lines = [
        event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode()
        for event in events
    ]
    return b"".join(line + end for line in [*lines, *([b"data: [DONE]"] if done else [])])


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


def client(wire: Wire, provider: str = "openai_compat", **options: Any) -> ChatClient:
    base = {
        "api_key": "k-123456",
        "model": "m",
        "base_url": wire.url + "/v1",
        "timeout": AMPLE,
        "max_retries": 0,
    }
    return ChatClient(provider, **{**base, **options})


def stream_reply(raw: bytes, **options: Any) -> bytes:
    return http(200, raw, headers={"content-type": "text/event-stream"}, **options)


def sent(
    wire: Wire, provider: str, model: str, *args: Any, **options: Any
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """(the body that left, the warnings)."""
    wire.scripts[:] = [(http(200, reply()),)]
    with client(wire, provider, model=model) as chat:
        result = chat.chat(args[0] if args else ASK, **options)
    return body_of(wire.requests[-1]), result.warnings


# ---- what leaves


def test_the_request(wire: Wire) -> None:
    """One POST to ``chat/completions`` with a bearer token and only the requested fields."""
    body, warnings = sent(
        wire,
        "openai_compat",
        "m",
        temperature=0.5,
        stop=["x"],
        seed=7,
        brand_new=[1],
        extra_body={"x": 1},
    )
    assert wire.requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: bearer k-123456" in wire.requests[0].lower()
    assert body == {
        "model": "m",
        "messages": ASK,
        "temperature": 0.5,
        "stop": ["x"],
        "seed": 7,
        "brand_new": [1],
        "x": 1,
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("provider", "model", "options", "expected", "warned"),
    [
        ("openai", "gpt-6-luna", {"max_tokens": 9}, {"max_completion_tokens": 9}, ""),
        ("openai", "gpt-6-luna", {"temperature": 0.3}, {}, "temperature"),
        (
            "openai",
            "gpt-6-luna",
            {"temperature": 0.3, "reasoning_effort": "none"},
            {"temperature": 0.3, "reasoning_effort": "none"},
            "",
        ),
        ("openai", "gpt-4o", {"temperature": 0.3}, {"temperature": 0.3}, ""),
        (
            "openai",
            "gpt-6-luna",
            {"thinking": {"type": "enabled", "budget_tokens": 20000}},
            {"reasoning_effort": "high"},
            "thinking",
        ),
        (
            "openai",
            "gpt-6-luna",
            {"thinking": {"type": "disabled"}},
            {"reasoning_effort": "none"},
            "thinking",
        ),
        (
            "openai",
            "gpt-6-luna",
            {"tools": [TOOL]},
            {"tools": [TOOL], "reasoning_effort": "none"},
            "reasoning_effort",
        ),
        ("openai", "gpt-5", {"tools": [TOOL]}, {"tools": [TOOL]}, ""),
        ("deepseek", "deepseek-chat", {"max_tokens": 9}, {"max_tokens": 9}, ""),
        (
            "deepseek",
            "deepseek-flash",
            {"max_completion_tokens": 9},
            {"max_tokens": 9},
            "max_completion_tokens",
        ),
        ("deepseek", "deepseek-flash", {"temperature": 0.5}, {"temperature": 0.5}, "temperature"),
        (
            "deepseek",
            "deepseek-flash",
            {"temperature": 0.5, "thinking": {"type": "disabled"}},
            {"temperature": 0.5, "thinking": {"type": "disabled"}},
            "",
        ),
        (
            "deepseek",
            "deepseek-flash",
            {"tools": [TOOL], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": "required", "thinking": {"type": "disabled"}},
            "thinking",
        ),
        (
            "deepseek",
            "deepseek-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            {"thinking": {"type": "enabled"}},
            "thinking",
        ),
        ("glm", "glm-5.1", {"temperature": 0}, {"temperature": 0.01}, "temperature"),
        ("glm", "glm-5.1", {"temperature": 1.5}, {"temperature": 0.99}, "temperature"),
        (
            "glm",
            "glm-5.1",
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}},
            "",
        ),
        (
            "glm",
            "glm-5.1",
            {"tools": [TOOL], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": "auto"},
            "tool_choice",
        ),
        ("glm", "glm-5.1", {"tools": [TOOL], "tool_choice": "none"}, {}, "tool_choice"),
        (
            "volcengine",
            "ep-1",
            {"thinking": {"type": "enabled"}},
            {"thinking": {"type": "enabled"}},
            "",
        ),
        ("volcengine", "ep-1", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}, ""),
        (
            "moonshot",
            "kimi-k3",
            {"max_tokens": 9, "temperature": 0.5},
            {"max_completion_tokens": 9},
            "temperature",
        ),
        (
            "moonshot",
            "kimi-k2.6",
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}},
            "",
        ),
        (
            "dashscope",
            "qwen3.8-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 50}},
            {"enable_thinking": True, "thinking_budget": 50},
            "",
        ),
        (
            "dashscope",
            "qwen3.8-flash",
            {"thinking": {"type": "disabled"}},
            {"enable_thinking": False},
            "",
        ),
        ("dashscope", "qwen3.8-flash", {"temperature": 2}, {"temperature": 1.99}, "temperature"),
        ("dashscope", "qwen3.8-flash", {"frequency_penalty": 1}, {}, "frequency_penalty"),
        (
            "openai_compat",
            "m",
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            "",
        ),
    ],
)
def test_parameters_are_what_each_vendor_reads(
    wire: Wire,
    provider: str,
    model: str,
    options: dict[str, Any],
    expected: dict[str, Any],
    warned: str,
) -> None:
    """Mapped, or left out with a warning; never dropped unsaid."""
    body, warnings = sent(wire, provider, model, **options)
    assert {
        name: value for name, value in body.items() if name not in ("model", "messages")
    } == expected
    assert [entry["feature"] for entry in warnings] == ([warned] if warned else [])


@pytest.mark.parametrize(
    ("provider", "model", "options", "match"),
    [
        ("openai", "gpt-4o", {"thinking": {"type": "enabled"}}, "does not think"),
        (
            "deepseek",
            "deepseek-flash",
            {"tools": [TOOL], "tool_choice": "required", "thinking": {"type": "enabled"}},
            "while it thinks",
        ),
        ("glm", "glm-5.3", {"thinking": {"type": "disabled"}}, "always thinks"),
        ("moonshot", "kimi-k3", {"thinking": {"type": "disabled"}}, "always thinks"),
        (
            "moonshot",
            "kimi-k2.6",
            {"tools": [TOOL], "tool_choice": "required"},
            "forced tool_choice",
        ),
        ("volcengine", "ep-1", {"max_tokens": 1, "max_completion_tokens": 1}, "exclude each other"),
        ("glm", "glm-5", {"thinking": True}, "thinking must be"),
        ("openai", "gpt-5", {"tool_choice": "required"}, "needs tools"),
    ],
)
def test_what_a_vendor_would_refuse_is_refused_before(
    wire: Wire, provider: str, model: str, options: dict[str, Any], match: str
) -> None:
    """A clear error, and nothing is sent."""
    with client(wire, provider, model=model) as chat, pytest.raises(ValueError, match=match):
        chat.chat(ASK, **options)
    assert wire.requests == []


CALLED = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "hm",
    "thinking": "x",
    "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}, "index": 0}
    ],
}
HISTORY = [
    {"role": "developer", "content": "be kind"},
    {"role": "user", "content": "x"},
    CALLED,
    {"role": "tool", "tool_call_id": "c", "content": ""},
    {"role": "assistant", "content": "done"},
    {"role": "user", "content": "y"},
]


@pytest.mark.parametrize(
    ("provider", "echo", "pad", "role", "empty"),
    [
        ("openai", None, None, "developer", ""),
        ("deepseek", "hm", "", "system", "(empty)"),
        ("glm", "hm", "", "system", ""),
        ("volcengine", None, None, "system", ""),
        ("moonshot", "hm", " ", "system", ""),
        ("dashscope", None, None, "system", ""),
        ("openai_compat", None, None, "system", ""),
    ],
)
def test_histories_with_tools(
    wire: Wire, provider: str, echo: Any, pad: Any, role: str, empty: str
) -> None:
    """
    Reasoning goes back where it is demanded, padded where there is none, and stays away elsewhere.
    """
    body, _ = sent(wire, provider, "m", HISTORY)
    first, _, called, told, done, _ = body["messages"]
    assert first["role"] == role
    assert called.get("reasoning_content") == echo
    assert done.get("reasoning_content") == pad
    assert called["content"] == ""
    assert called["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert told["content"] == empty
    assert not {"thinking", "thinking_blocks"} & set(called)


def test_foreign_state_is_not_sent(wire: Wire) -> None:
    """Signatures and blocks of other dialects are not sent; the turn is padded."""
    foreign = {
        **CALLED,
        "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
        "tool_calls": [
            {**CALLED["tool_calls"][0], "extra_content": {"google": {"thought_signature": "s"}}}
        ],
    }
    body, _ = sent(
        wire,
        "deepseek",
        "m",
        [ASK[0], foreign, {"role": "tool", "tool_call_id": "c", "content": "1"}],
    )
    assert body["messages"][1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }


def test_without_tools_reasoning_stays_away(wire: Wire) -> None:
    """Also from vendors that require it with tools."""
    history = [ASK[0], {"role": "assistant", "content": "a", "reasoning_content": "r"}, ASK[0]]
    body, _ = sent(wire, "deepseek", "m", history)
    assert "reasoning_content" not in body["messages"][1]


def test_images(wire: Wire) -> None:
    """Kimi takes no URLs, GLM no data: prefix; details are sent."""
    part = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}
    body, _ = sent(wire, "openai", "gpt-4o", [{"role": "user", "content": [part]}])
    assert body["messages"][0]["content"] == [part]
    body, _ = sent(wire, "glm", "glm-5v-turbo", [{"role": "user", "content": [data]}])
    assert body["messages"][0]["content"][0]["image_url"]["url"] == "aaaa"
    image = make()
    wire.scripts[:] = [(http(200, image),), (http(200, reply()),)]
    wire.requests.clear()
    local = {"type": "image_url", "image_url": {"url": wire.url + "/a.png"}}
    with (
        client(wire, "moonshot", model="kimi-k3") as chat,
        pytest.raises(errors.InvalidInputError, match="refused"),
    ):
        chat.chat([{"role": "user", "content": [local]}])
    with client(wire, "moonshot", model="kimi-k3", allow_private_hosts=True) as chat:
        chat.chat([{"role": "user", "content": [local]}])
    assert body_of(wire.requests[1])["messages"][0]["content"][0]["image_url"]["url"].startswith(
        "data:image/png;base64,"
    )


def test_nothing_of_openai_leaks_to_others(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, organisation, project, base URL and custom headers of ``OPENAI_*`` are not sent."""
    for name, value in {
        "OPENAI_API_KEY": "sk-canary",
        "OPENAI_ORG_ID": "org-canary",
        "OPENAI_PROJECT_ID": "proj-canary",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/canary",
        "OPENAI_CUSTOM_HEADERS": "X-Canary: canary\nAuthorization: Bearer canary\nuser-agent: canary\nACCEPT: canary",
    }.items():
        monkeypatch.setenv(name, value)
    sent(wire, "deepseek", "m", extra_headers={"X-Mine": "1"})
    head = wire.requests[0].lower()
    assert b"canary" not in head
    assert b"openai-" not in head
    assert b"x-mine: 1" in head
    assert b"authorization: bearer k-123456" in head
    wire.scripts[:] = [(http(200, reply()),)]
    with ChatClient("openai_compat", model="m", base_url=wire.url) as local:
        local.chat(ASK)
    assert b"authorization" not in wire.requests[-1].lower()


def test_keys_come_from_the_vendors_own_variables(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is set; a missing one is named."""
    for name, vendor in VENDORS.items():
        if name == "openai_compat":
            continue
        if vendor.needs_key:
            with pytest.raises(errors.MissingCredentialError, match=vendor.variables[-1]):
                ChatClient(name)
        monkeypatch.setenv(vendor.variables[-1], f"key-of-{name}")
        wire.scripts[:] = [(http(200, reply()),)]
        model = vendor.model or "m"
        with ChatClient(name, base_url=wire.url, model=model) as chat:
            result = chat.chat(ASK)
        assert f"bearer key-of-{name}".encode() in wire.requests[-1].lower()
        assert result.provider == name
        assert body_of(wire.requests[-1])["model"] == model


def test_models_in_the_providers_name(wire: Wire) -> None:
    """``"deepseek:deepseek-v4-pro"``; an alias; two different models are a mistake."""
    wire.script(http(200, reply()))
    with ChatClient("kimi:kimi-k2.6", api_key="k", base_url=wire.url) as chat:
        chat.chat(ASK)
    assert body_of(wire.requests[0])["model"] == "kimi-k2.6"
    with pytest.raises(errors.ConfigurationError, match="two models"):
        ChatClient("kimi:a", api_key="k", model="b")


@pytest.mark.parametrize(
    "messages",
    [
        "hi",
        b"hi",
        {"role": "user", "content": "x"},
        None,
        5,
        [],
        ["hi"],
        [{}],
        [{"role": "robot", "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": [5]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "nope"}}]}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "tool", "content": "x"}],
        [{"role": "tool", "tool_call_id": "lost", "content": "x"}],
        [{"role": "user", "content": "x", "tool_calls": []}],
        [{"role": "assistant", "tool_calls": "x"}],
        [{"role": "assistant", "tool_calls": [{"id": "a"}]}],
        [CALLED],
        [CALLED, {"role": "user", "content": "x"}],
    ],
)
def test_wrong_messages_are_refused(wire: Wire, messages: Any) -> None:
    """Of every wrong shape, before anything is sent."""
    with client(wire) as chat:
        with pytest.raises(errors.InvalidInputError):
            chat.chat(messages)
        with pytest.raises(errors.InvalidInputError):
            chat.chat_stream(messages)
    assert wire.requests == []


@pytest.mark.parametrize(
    "options",
    [
        {"tools": "x"},
        {"tools": [5]},
        {"tools": [{"type": "function"}]},
        {"tools": [TOOL, TOOL]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]},
        {"tools": [TOOL], "tool_choice": "always"},
        {"temperature": "hot"},
        {"temperature": -1},
        {"top_p": True},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"stop": 5},
        {"stop": [""]},
        {"seed": "x"},
        {"timeout": 0},
        {"extra_body": 5},
        {"extra_headers": {"a": 1}},
        {"model": 5},
        {"response_format": "json"},
        {"response_format": {"type": "json_schema"}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "nonsense"}},
            }
        },
        {"custom": {1, 2}},
        {"max_repairs": -1},
        {"structured_mode": "x"},
        {"chunk_timeout": -1},
    ],
)
def test_wrong_options_are_refused(wire: Wire, options: dict[str, Any]) -> None:
    """Each before anything is sent."""
    with client(wire) as chat, pytest.raises(ValueError):
        chat.chat(ASK, **options)
    assert wire.requests == []


# ---- what comes back


@pytest.mark.parametrize(
    ("body", "content", "calls", "reason"),
    [
        (reply({"content": [{"type": "text", "text": "a"}, "b", 5]}), "ab", [], "stop"),
        (
            reply({"content": "x", "function_call": {"name": "f", "arguments": "{}"}}),
            "x",
            [("f", "{}")],
            "tool_calls",
        ),
        (
            reply(
                {
                    "content": None,
                    "tool_calls": [{"id": "", "function": {"name": "f", "arguments": {"a": 1}}}],
                }
            ),
            "",
            [("f", '{"a": 1}')],
            "tool_calls",
        ),
        (
            reply(
                {
                    "content": None,
                    "tool_calls": [{"function": {"name": "f", "arguments": None}}, 5],
                },
                "stop",
            ),
            "",
            [("f", "{}")],
            "tool_calls",
        ),
        (reply({"content": "x"}, "brand_NEW"), "x", [], "brand_new"),
        (reply({"content": "x"}, "sensitive"), "x", [], "content_filter"),
        (reply({"content": "x"}, "model_context_window_exceeded"), "x", [], "length"),
        (reply({"content": "x"}, None), "x", [], "unknown"),
        (reply({"content": "x", "tool_calls": "nonsense"}, 5), "x", [], "unknown"),
    ],
)
def test_responses_of_every_shape(
    wire: Wire, body: Any, content: str, calls: list[Any], reason: str
) -> None:
    """Content as list, legacy calls, arguments as objects, unknown reasons."""
    wire.script(http(200, body))
    with client(wire) as chat:
        result = chat.chat(ASK)
    assert (result.content, result.finish_reason) == (content, reason)
    assert [(call.name, call.arguments) for call in result.tool_calls] == calls
    assert all(call.id for call in result.tool_calls)
    if reason == "unknown":
        assert result.warnings[0]["feature"] == "finish_reason"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", errors.InvalidReplyError),
        (b"<html><title>Oops</title></html>", errors.InvalidReplyError),
        (b"\xff\xfe", errors.InvalidReplyError),
        (b"[]", errors.InvalidReplyError),
        (b"null", errors.InvalidReplyError),
        (b"{}", errors.InvalidReplyError),
        (b'{"choices": []}', errors.InvalidReplyError),
        (b'{"choices": [{"message": null, "finish_reason": null}]}', errors.InvalidReplyError),
        (
            b'{"error": {"message": "no money", "type": "insufficient_quota"}}',
            errors.QuotaExceededError,
        ),
        (b'{"error": "busy"}', errors.ServerError),
        (json.dumps(reply({"content": ""}, "content_filter")).encode(), errors.ContentFilterError),
        (
            json.dumps(reply({"content": "x"}, "insufficient_system_resource")).encode(),
            errors.ServerError,
        ),
        (json.dumps(reply({"content": "x"}, "network_error")).encode(), errors.ServerError),
    ],
)
def test_responses_that_are_no_success(
    wire: Wire, raw: bytes, kind: type[errors.ProviderError]
) -> None:
    """An error in a 200, HTML in a 200, nothing in a 200."""
    wire.script(http(200, raw))
    with client(wire) as chat, pytest.raises(errors.ProviderError) as caught:
        chat.chat(ASK)
    assert type(caught.value) is kind


def test_blank_lines_before_the_json(wire: Wire) -> None:
    """DeepSeek sends them while a request waits."""
    wire.script(http(200, b"\n\n\n" + json.dumps(reply()).encode()))
    with client(wire) as chat:
        assert chat.chat(ASK).content == "ok"


def test_reasoning_refusal_and_usage(wire: Wire) -> None:
    """Under either name; usage inside of the choice; a refusal is not content."""
    body = reply({"content": "x", "reasoning": "r"})
    body["choices"][0]["usage"] = {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "prompt_cache_hit_tokens": 4,
    }
    wire.script(http(200, body))
    wire.script(http(200, reply({"content": None, "refusal": "no"})))
    with client(wire) as chat:
        first, second = chat.chat(ASK), chat.chat(ASK)
    assert first.reasoning_content == first.message["reasoning_content"] == "r"
    assert (first.usage.total_tokens, first.usage.cached_tokens) == (8, 4)
    assert (second.content, second.refusal, second.message["refusal"]) == ("", "no", "no")


def test_arguments_encoded_twice(wire: Wire) -> None:
    """Mended where the schema says object; a text that looks like JSON stays a text."""
    schema = {
        "type": "object",
        "properties": {
            "place": {"$ref": "#/$defs/place"},
            "tags": {"type": "array"},
            "note": {"type": "string"},
        },
        "$defs": {"place": {"type": "object"}},
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    inner = {"place": '{"a": 1}', "tags": "[1]", "note": '{"b": 2}'}
    wire.script(
        http(
            200,
            reply(
                {
                    "tool_calls": [
                        {
                            "id": "c",
                            "function": {"name": "f", "arguments": json.dumps(json.dumps(inner))},
                        }
                    ]
                }
            ),
        )
    )
    with client(wire) as chat:
        (call,) = chat.chat(ASK, tools=[tool]).tool_calls
    assert call.parse() == {"place": {"a": 1}, "tags": [1], "note": '{"b": 2}'}


def test_calls_are_tried_again_plain_and_timed(wire: Wire) -> None:
    """Cuts and resets of a chat call are repeated within the deadline; a hang ends it."""
    wire.script(Reset)
    wire.script(http(200, reply())[:-5], Reset)
    wire.script(http(200, reply()))
    with client(wire, max_retries=2) as chat:
        assert chat.chat(ASK).content == "ok"
        wire.scripts[:] = [(3600.0,)]
        with within(SHORT), pytest.raises(errors.ProviderTimeoutError) as caught:
            chat.chat(ASK, timeout=SHORT, max_retries=0)
    assert caught.value.billed == "unknown"


# ---- streams


def test_streams_of_every_spelling(wire: Wire) -> None:
    """Comments, CRLF, a mark, no space, no final blank line, no [DONE], cut at any byte."""
    raw = (
        b"\xef\xbb\xbf: hi\r\n\r\n"
        + b"".join(
            b"data:" + json.dumps(event).encode() + b"\r\n\r\n"
            for event in (delta(content="猫"), delta(content="!"))
        )
        + b"data: "
        + json.dumps(delta("stop")).encode()
    )
    for step in (1, 7, 10_000):
        head, body = stream_reply(raw).split(b"\r\n\r\n", 1)
        wire.scripts[:] = [
            (head + b"\r\n\r\n", *(body[at : at + step] for at in range(0, len(body), step)))
        ]
        with client(wire) as chat:
            stream = chat.chat_stream(ASK)
            assert "".join(chunk.delta_content for chunk in stream) == "猫!"
            assert stream.result.finish_reason == "stop"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (sse(delta(content="par"), done=False), "without a finish reason"),
        (sse(delta(content="par"), {"error": {"message": "busy", "code": 500}}), "busy"),
        (sse(delta(content="par"), b"data: {nonsense"), "not JSON"),
        (sse(delta(content="par"), b"data: [1]"), "not an object"),
    ],
)
def test_streams_that_end_early_keep_what_came(wire: Wire, raw: bytes, why: str) -> None:
    """An error with everything so far, never a silent end."""
    wire.script(stream_reply(raw))
    with client(wire) as chat:
        stream = chat.chat_stream(ASK)
        with pytest.raises(errors.StreamInterruptedError, match=why) as caught:
            list(stream)
    assert caught.value.partial.content == "par"
    assert caught.value.request_id == ""


@pytest.mark.parametrize("tail", [(Reset,), (3600.0,), ()])
def test_streams_that_are_cut_or_fall_silent(wire: Wire, tail: tuple[Any, ...]) -> None:
    """A reset, silence, a body shorter than announced; the error has its cause."""
    wire.script(http(200, reply()))
    wire.script(stream_reply(sse(delta(content="par"), done=False), length=9999), *tail)
    timeout = timeout_for(tail)
    with client(wire) as chat:
        chat.chat(ASK)  # makes the SDK's client, which the timeout is not about
        with within(timeout), pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream(ASK, timeout=timeout))
    assert caught.value.partial.content == "par"
    assert isinstance(caught.value.__cause__, errors.ConnectionFailedError)


def test_json_where_a_stream_was_asked_for(wire: Wire) -> None:
    """
    A plain response becomes one chunk; an error is the plain call's error; HTML is not a stream.
    """
    wire.script(http(200, reply(usage={"prompt_tokens": 1, "completion_tokens": 1})))
    wire.script(http(200, {"error": {"message": "no", "type": "authentication_error"}}))
    wire.script(http(200, b"<html>", headers={"content-type": "text/html"}))
    with client(wire) as chat:
        stream = chat.chat_stream(ASK)
        assert [chunk.delta_content for chunk in stream] == ["ok"]
        assert stream.result.usage.total_tokens == 2
        with pytest.raises(errors.AuthenticationError):
            list(chat.chat_stream(ASK))
        with pytest.raises(errors.InvalidReplyError, match="HTML") as caught:
            list(chat.chat_stream(ASK))
    assert not caught.value.retryable


def test_deadlines_of_a_stream(wire: Wire) -> None:
    """Until the first chunk and between chunks; comments are not chunks."""
    event = b"data: " + json.dumps(delta(content="x")).encode() + b"\n\n"
    head = stream_reply(b"", length=99999)
    wire.script(http(200, reply()))
    wire.script(head, *[b": keep-alive\n\n", 0.1] * 10_000)
    wire.script(head, event, *[b": keep-alive\n\n", 0.1] * 10_000)
    with client(wire, timeout=600.0) as chat:
        chat.chat(ASK)  # makes the SDK's client, which the timeouts are not about
        # Not cut: the server would go on.
        with within(600.0) as waits, pytest.raises(errors.ProviderTimeoutError):
            list(chat.chat_stream(ASK, first_chunk_timeout=SHORT, max_retries=0))
        assert waits.timeouts[-1] <= SHORT
        with within(600.0) as waits, pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream(ASK, chunk_timeout=SHORT))
        assert isinstance(caught.value.__cause__, errors.ProviderTimeoutError)
        assert waits.timeouts[-1] <= SHORT


ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n'


@pytest.mark.parametrize("before", [b"", b": keep-alive\n\n", ROLE])
def test_a_stream_that_is_cut_before_its_content_is_asked_for_again(
    wire: Wire, before: bytes
) -> None:
    """As a plain call is. One that ends in order, with nothing in it, is no answer."""
    wire.script(stream_reply(before, length=9999), Reset)
    wire.script(stream_reply(sse(delta("stop", content="x"))))
    wire.script(stream_reply(before))
    with client(wire, max_retries=1) as chat:
        assert "".join(c.delta_content for c in chat.chat_stream(ASK)) == "x"
        with pytest.raises(errors.InvalidReplyError):
            list(chat.chat_stream(ASK))
    assert len(wire.requests) == 3


def test_a_finished_stream_gives_its_connection_back(sandbox: Sandbox, wire: Wire) -> None:
    """
    Twenty streams, one connection; one that is left early is closed at once; an endless one costs
    little.
    """
    chunked = (
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in [sse(delta("stop", content="x"))])
        + b"0\r\n\r\n"
    )
    wire.script(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunked
    )
    with client(wire) as chat:
        for _ in range(20):
            list(chat.chat_stream(ASK))
        assert wire.connections == 1
        wire.scripts[:] = [(stream_reply(sse(delta("stop", content="x")), length=9999), 3600.0)]
        with within(AMPLE) as waits:
            list(chat.chat_stream(ASK))
        assert waits.timeouts[-1] <= DRAIN_SECONDS


def test_usage_snapshots_are_not_added(wire: Wire) -> None:
    """The last one counts; null and empty choices are passed over."""
    events = [
        {**delta(content="x"), "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {**delta("stop"), "usage": None},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"choices": []},
    ]
    wire.script(stream_reply(sse(*events)))
    with client(wire) as chat:
        stream = chat.chat_stream(ASK)
        list(stream)
    assert stream.result.usage.total_tokens == 5


def test_a_failure_word_at_the_end_of_a_stream(wire: Wire) -> None:
    """``insufficient_system_resource`` is a vendor's failure, with what was received."""
    wire.script(stream_reply(sse(delta("insufficient_system_resource", content="par"))))
    with client(wire) as chat, pytest.raises(errors.ServerError) as caught:
        list(chat.chat_stream(ASK))
    assert caught.value.result.content == "par"
