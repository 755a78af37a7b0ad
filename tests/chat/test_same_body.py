"""
What leaves is what the SDK itself would have sent for the same conversation, on every supported
major of it.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from aigc_kit import ChatClient
from aigc_kit.sandbox.bedrock import frame
from aigc_kit.sandbox.gemini import normal
from tests.images import make
from tests.wire import Wire, body_of, http

PNG = make()
SCHEMA = {
    "type": "object",
    "properties": {"user_name": {"type": "string"}},
    "required": ["user_name"],
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"user_name": "\u6a58"}'},
}
HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": "You are brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Who is this? \u6a58\u732b"},
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
            },
        ],
    },
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    {"role": "user", "content": "Go on."},
]
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA},
}
WISHES: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "stop": ["END"]}


def head(request: bytes) -> bytes:
    return request.split(b"\r\n")[0]


def ask(chat: ChatClient, stream: bool, **options: Any) -> None:
    with chat:
        if stream:
            list(chat.chat_stream(HISTORY, tools=[TOOL], **WISHES, **options))
        else:
            chat.chat(HISTORY, tools=[TOOL], **WISHES, **options)


@pytest.mark.parametrize("stream", [False, True])
def test_openai(wire: Wire, stream: bool) -> None:
    """The same JSON to the same URL with the same key."""
    from openai import OpenAI

    whole = {
        "id": "c",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        ],
    }
    events = b'data: {"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    reply = (
        http(200, events, headers={"content-type": "text/event-stream"})
        if stream
        else http(200, whole)
    )
    wire.script(reply)
    ask(ChatClient("openai_compat", api_key="k", base_url=f"{wire.url}/v1", model="m"), stream)
    extra: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with OpenAI(api_key="k", base_url=f"{wire.url}/v1", max_retries=0) as raw:
        answer: Any = raw.chat.completions.create(
            model="m", messages=HISTORY, tools=[TOOL], **WISHES, **extra
        )  # type: ignore[call-overload]
        if stream:
            list(answer)
    ours, theirs = wire.requests
    assert body_of(ours) == body_of(theirs)
    assert head(ours) == head(theirs)
    for line in (b"authorization: bearer k\r\n", b"content-type: application/json\r\n"):
        assert line in ours.lower()
        assert line in theirs.lower()


@pytest.mark.parametrize("stream", [False, True])
def test_gemini(wire: Wire, stream: bool) -> None:
    """The same JSON, in one casing and alphabet, to the same URL with the same key."""
    from google import genai
    from google.genai import types

    reply = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}
        ]
    }
    if stream:
        event = b'data: {"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}\r\n\r\n'
        wire.script(http(200, event, headers={"content-type": "text/event-stream"}))
    else:
        wire.script(http(200, reply))
    # Of a family that demands no signature on a call that another vendor made.
    ask(ChatClient("gemini", api_key="k", base_url=wire.url, model="gemini-2.5-pro"), stream)
    raw = genai.Client(
        vertexai=False, api_key="k", http_options=types.HttpOptions(base_url=wire.url)
    )
    contents: Any = [
        {
            "role": "user",
            "parts": [
                {"text": "Who is this? \u6a58\u732b"},
                {"inline_data": {"mime_type": "image/png", "data": PNG}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"function_call": {"name": "look", "args": {"user_name": "\u6a58"}}},
            ],
        },
        {
            "role": "user",
            "parts": [{"function_response": {"name": "look", "response": {"output": "a cat"}}}],
        },
        {"role": "user", "parts": [{"text": "Go on."}]},
    ]
    config: Any = {
        "system_instruction": {"parts": [{"text": "You are brief."}]},
        "tools": [
            {
                "function_declarations": [
                    {"name": "look", "description": "Looks.", "parameters_json_schema": SCHEMA}
                ]
            }
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "stop_sequences": ["END"],
    }
    if stream:
        list(
            raw.models.generate_content_stream(
                model="gemini-2.5-pro", contents=contents, config=config
            )
        )
    else:
        raw.models.generate_content(model="gemini-2.5-pro", contents=contents, config=config)
    raw.close()
    ours, theirs = (normal(body_of(request)) for request in wire.requests)
    for body in (ours, theirs):
        inline = body["contents"][0]["parts"][1]["inlineData"]
        inline["data"] = base64.b64decode(inline["data"].replace("-", "+").replace("_", "/"))
    assert ours == theirs
    assert head(wire.requests[0]) == head(wire.requests[1])
    assert all(b"x-goog-api-key: k\r\n" in request.lower() for request in wire.requests)


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock(wire: Wire, stream: bool) -> None:
    """The same JSON to the same URL, though the history is not validated by botocore here."""
    from botocore.session import Session

    whole = {
        "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    }
    events = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "ok"}})
    events += frame("messageStop", {"stopReason": "end_turn"})
    wire.script(http(200, events if stream else whole))
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    model = "amazon.nova-2-lite-v1:0"
    ask(ChatClient("bedrock", **keys, region="us-east-1", base_url=wire.url, model=model), stream)
    raw: Any = Session().create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=wire.url, **keys
    )
    request: dict[str, Any] = {
        "modelId": model,
        "system": [{"text": "You are brief."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "Who is this? \u6a58\u732b"},
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"text": "I look."},
                    {
                        "toolUse": {
                            "toolUseId": "call_1",
                            "name": "look",
                            "input": {"user_name": "\u6a58"},
                        }
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "call_1", "content": [{"text": "a cat"}]}},
                    {"text": "Go on."},
                ],
            },
        ],
        "inferenceConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "maxTokens": 100,
            "stopSequences": ["END"],
        },
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "Looks.",
                        "inputSchema": {"json": SCHEMA},
                    }
                }
            ]
        },
    }
    if stream:
        list(raw.converse_stream(**request)["stream"])
    else:
        raw.converse(**request)
    raw.close()
    ours, theirs = wire.requests
    assert body_of(ours) == body_of(theirs)
    assert head(ours) == head(theirs)
