"""
Gemini's chat: what is sent, thinking for each generation, responses of every shape, streams that
break.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from aigc_kit import ChatClient, errors
from aigc_kit.sandbox import Sandbox
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, body_of, http, timeout_for

ASK = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
    },
}


def reply(*parts: Any, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": list(parts)},
        **({"finishReason": reason} if reason else {}),
    }
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
        **more,
    }


def client(wire: Wire, **options: Any) -> ChatClient:
    base = {
        "project": "p",
        "location": "global",
        "credentials": Credentials(token="t"),
        "base_url": wire.url,
    }
    return ChatClient("gemini", **{**base, "timeout": AMPLE, "max_retries": 0, **options})


def sent(
    wire: Wire, model: str = "gemini-3.8-flash", messages: Any = ASK, **options: Any
) -> tuple[dict[str, Any], list[str]]:
    wire.scripts[:] = [(http(200, reply({"text": "ok"})),)]
    with client(wire, model=model) as chat:
        result = chat.chat(messages, **options)
    return body_of(wire.requests[-1]), [entry["feature"] for entry in result.warnings]


def test_the_request(wire: Wire) -> None:
    """Path, system, tools as plain JSON schema, and Gemini's own names."""
    messages = [{"role": "system", "content": "a"}, *ASK, {"role": "user", "content": "more"}]
    body, _ = sent(
        wire,
        "gemini-3.8-flash",
        messages,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "f"}},
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        stop="x",
        seed=7,
        top_k=40,
        presence_penalty=0.0,
        safety_settings=[{"category": "c", "threshold": "OFF"}],
        extra_body={"labels": {"a_b": "c"}},
    )
    assert wire.requests[0].startswith(
        b"POST /v1beta1/projects/p/locations/global/publishers/google/models/gemini-3.8-flash:generateContent "
    )
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}, {"text": "more"}]}],
        "systemInstruction": {"parts": [{"text": "a"}]},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "parametersJsonSchema": TOOL["function"]["parameters"],
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 5,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["x"],
            "seed": 7,
            "topK": 40,
        },
        "safetySettings": [{"category": "c", "threshold": "OFF"}],
        "labels": {"a_b": "c"},
    }


@pytest.mark.parametrize(
    ("model", "options", "config", "warned"),
    [
        (
            "gemini-2.5-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 99}},
            {"thinkingBudget": 99, "includeThoughts": True},
            [],
        ),
        ("gemini-2.5-flash", {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}, []),
        (
            "gemini-2.5-flash",
            {"reasoning_effort": "low"},
            {"thinkingBudget": 1024, "includeThoughts": True},
            [],
        ),
        ("gemini-3.8-flash", {"thinking": {"type": "enabled"}}, {"includeThoughts": True}, []),
        (
            "gemini-3.8-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 99999}},
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            ["thinking"],
        ),
        (
            "gemini-3.8-flash",
            {"thinking": {"type": "disabled"}},
            {"thinkingLevel": "LOW"},
            ["thinking"],
        ),
        (
            "gemini-3.8-flash",
            {"reasoning_effort": "medium"},
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
            [],
        ),
        (
            "gemini-3.8-flash",
            {"thinking_config": {"thinking_level": "HIGH"}},
            {"thinkingLevel": "HIGH"},
            [],
        ),
    ],
)
def test_thinking_for_each_generation(
    wire: Wire, model: str, options: Any, config: Any, warned: list[str]
) -> None:
    """A budget for 2.5, a level for 3.x."""
    body, warnings = sent(wire, model, **options)
    assert body["generationConfig"]["thinkingConfig"] == config
    assert warnings == warned


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gemini-2.5-pro", {"thinking": {"type": "disabled"}}),
        ("m", {"thinking": "on"}),
        ("m", {"tool_choice": "required"}),
        ("m", {"tools": [{"type": "function", "function": {"name": ""}}]}),
        ("../m", {}),
    ],
)
def test_what_cannot_be_meant_is_refused_before(wire: Wire, model: str, options: Any) -> None:
    """Nothing is sent."""
    with client(wire) as chat, pytest.raises(ValueError):
        chat.chat(ASK, model=model, **options)
    assert wire.requests == []


def test_json_beside_tools_on_old_models(wire: Wire) -> None:
    """2.5 refuses it, so the schema goes into the system prompt there."""
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    wire.script(http(200, reply({"text": "{}"})))
    with client(wire, model="gemini-2.5-flash") as chat:
        chat.chat(ASK, tools=[TOOL], response_format=wanted)
        chat.chat(ASK, response_format=wanted)
    first, second = map(body_of, wire.requests)
    assert not first.get("generationConfig")
    assert "JSON schema" in first["systemInstruction"]["parts"][0]["text"]
    assert second["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }


def test_a_response_with_everything(wire: Wire) -> None:
    """Thoughts, text, calls with and without ids, signatures, tokens."""
    wire.script(
        http(
            200,
            reply(
                {"text": "hm", "thought": True},
                {"text": "a"},
                {"text": "b", "thoughtSignature": "czE="},
                {
                    "functionCall": {"name": "f", "args": {"x": 1}, "id": "srv"},
                    "thoughtSignature": "czI=",
                },
                {"functionCall": {"name": "g"}},
                responseId="r",
                modelVersion="v",
            )
            | {
                "usageMetadata": {
                    "promptTokenCount": 9,
                    "cachedContentTokenCount": 4,
                    "candidatesTokenCount": 3,
                    "thoughtsTokenCount": 5,
                }
            },
        )
    )
    with client(wire) as chat:
        result = chat.chat(ASK)
    assert (
        result.content,
        result.reasoning_content,
        result.finish_reason,
        result.id,
        result.model,
    ) == (
        "ab",
        "hm",
        "tool_calls",
        "r",
        "v",
    )
    assert [(call.id, call.name, call.arguments) for call in result.tool_calls] == [
        ("srv", "f", '{"x": 1}'),
        ("call_1", "g", "{}"),
    ]
    assert result.message["tool_calls"][0]["extra_content"] == {
        "google": {"thought_signature": "czI=", "id": "srv", "backend": "vertex"}
    }
    assert "extra_content" not in result.message["tool_calls"][1]
    assert result.message["extra_content"]["google"]["thought_signature"] == "czE="
    usage = result.usage
    assert (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    ) == (9, 8, 17, 4, 5)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, errors.ContentFilterError),
        (reply(reason="PROHIBITED_CONTENT"), errors.ContentFilterError),
        (reply(reason="MALFORMED_FUNCTION_CALL"), errors.ServerError),
        ({"candidates": []}, errors.InvalidReplyError),
        ({}, errors.InvalidReplyError),
        ({"candidates": [5]}, errors.InvalidReplyError),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}, errors.ServerError),
        (b"<html>", errors.InvalidReplyError),
    ],
)
def test_responses_that_are_no_success(
    wire: Wire, body: Any, kind: type[errors.ProviderError]
) -> None:
    """Blocked, malformed, empty."""
    if (
        isinstance(body, dict)
        and body.get("candidates")
        and isinstance(body["candidates"][0], dict)
    ):
        body["candidates"][0]["finishMessage"] = "Malformed function call: empty"
    wire.script(http(200, body))
    with client(wire) as chat, pytest.raises(errors.ProviderError) as caught:
        chat.chat(ASK)
    assert type(caught.value) is kind
    if kind is errors.ServerError and "error" not in body:
        assert "Malformed function call: empty" in str(caught.value)
        assert not caught.value.retryable


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def stream(*events: bytes, length: int | None = None) -> bytes:
    return http(200, b"".join(events), headers={"content-type": "text/event-stream"}, length=length)


PART = event(reply({"text": "par"}, reason=None))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((stream(PART),), id="clean early end"),
        pytest.param((stream(PART, length=9999), Reset), id="reset"),
        pytest.param((stream(PART, b"data: {nonsense\r\n\r\n"),), id="no JSON"),
        pytest.param((stream(PART, event({"error": {"code": 500, "message": "m"}})),), id="error"),
        pytest.param(
            (stream(PART, event([{"error": {"code": 500, "message": "m"}}])),), id="error in a list"
        ),
        pytest.param((stream(PART, length=9999), 3600.0), id="silence"),
    ],
)
def test_streams_that_break_keep_what_came(wire: Wire, script: tuple[Any, ...]) -> None:
    """Each is one typed error; no foreign exception, no silent end."""
    wire.script(http(200, reply({"text": "ok"})))
    wire.script(*script)
    timeout = timeout_for(script)
    with client(wire) as chat:
        chat.chat(ASK)  # makes the SDK's client, which the timeout is not about
        with within(timeout), pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream(ASK, timeout=timeout))
    assert caught.value.partial.content == "par"


def test_comments_and_markers_that_the_sdk_chokes_on(wire: Wire) -> None:
    """Relays send pings, event lines and [DONE]."""
    wire.script(
        stream(
            b": ping\n\n",
            b"event: message\n",
            PART,
            event(reply({"text": "t"})),
            b"data: [DONE]\n\n",
        )
    )
    with client(wire) as chat:
        answer = chat.chat_stream(ASK)
        assert "".join(chunk.delta_content for chunk in answer) == "part"
    assert b"alt=sse" in wire.requests[0]


def test_arguments_that_come_member_by_member(wire: Wire) -> None:
    """Strings that go on, numbers, lists, and an end that is or is not marked."""
    calls = [
        {"name": "f", "willContinue": True},
        {
            "partialArgs": [{"jsonPath": "$.a.b[0]", "stringValue": "x", "willContinue": True}],
            "willContinue": True,
        },
        {
            "partialArgs": [
                {"jsonPath": "$.a.b[0]", "stringValue": "y"},
                {"jsonPath": "$.n", "numberValue": 2},
                {"jsonPath": "$['q r']", "boolValue": True},
            ],
            "willContinue": True,
        },
        {},
    ]
    for ending in (calls, calls[:-1]):
        events = [event(reply({"functionCall": call}, reason=None)) for call in ending]
        wire.scripts[:] = [(stream(*events, event(reply())),)]
        with client(wire) as chat:
            answer = chat.chat_stream(ASK)
            list(answer)
        assert answer.result.tool_calls[0].parse() == {"a": {"b": ["xy"]}, "n": 2, "q r": True}


def test_the_sandbox_keeps_the_names_of_the_application(sandbox: Sandbox) -> None:
    """Keys in schemas, arguments and results are not fields of the API."""
    tool = {
        "type": "function",
        "function": {
            "name": "greet",
            "parameters": {
                "type": "object",
                "properties": {"user_name": {"type": "string"}},
                "required": ["user_name"],
            },
        },
    }
    with ChatClient("gemini", **sandbox.chat_options("gemini")) as chat:
        result = chat.chat(
            [{"role": "user", "content": "hello"}], tools=[tool], tool_choice="required"
        )
    assert list(result.tool_calls[0].parse()) == ["user_name"]
