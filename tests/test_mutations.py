"""
True responses, mutated at random: every vendor and operation gives a result or one of the library's
errors.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.bedrock import frame
from tests.images import make
from tests.wire import AMPLE

TRIES = int(os.environ.get("MUTATIONS", "80"))
IMAGE = base64.b64encode(make()).decode()
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    float("inf"),
    "",
    "x",
    [],
    [1],
    {},
    {"a": 1},
    "9" * 50,
    [[[]]],
    {"error": "x"},
    3.7,
    "data:x",
    10**30,
]
USAGE = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 3}
GEMINI_PARTS = [
    {"text": "h", "thought": True},
    {"text": "t", "thoughtSignature": "eA=="},
    {"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}, "thoughtSignature": "eA=="},
]
CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REPLIES: dict[str, Any] = {
    "ark": {
        "model": "m",
        "created": 1,
        "data": [
            {"url": "https://a/x.jpeg", "size": "2x2"},
            {"b64_json": IMAGE},
            {"error": {"code": "X", "message": "m"}},
        ],
        "usage": {"generated_images": 1},
    },
    "gemini image": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "t"},
                        {"inlineData": {"mimeType": "image/png", "data": IMAGE}},
                    ]
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": USAGE,
        "promptFeedback": {"blockReason": "x"},
    },
    "openai": {
        "id": "c",
        "model": "m",
        "choices": [
            {
                "message": {"content": "x", "reasoning_content": "r", "tool_calls": [CALL]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"parts": GEMINI_PARTS}, "finishReason": "STOP"}],
        "usageMetadata": USAGE,
    },
    "bedrock": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "x", "signature": "y"}}},
                    {"text": "t"},
                    {"toolUse": {"toolUseId": "a", "name": "f", "input": {"a": 1}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1},
    },
    "openai stream": [
        {"id": "c", "choices": [{"delta": {"content": "x", "tool_calls": [CALL]}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}},
    ],
    "gemini stream": [
        {"candidates": [{"content": {"parts": GEMINI_PARTS}}], "usageMetadata": USAGE},
        {
            "candidates": [
                {
                    "content": {
                        "parts": [
                            {
                                "functionCall": {
                                    "partialArgs": [{"jsonPath": "$.a[0]", "stringValue": "x"}]
                                }
                            }
                        ]
                    },
                    "finishReason": "STOP",
                }
            ]
        },
    ],
    "bedrock stream": [
        {
            "contentBlockStart": {
                "contentBlockIndex": 0,
                "start": {"toolUse": {"toolUseId": "a", "name": "f"}},
            }
        },
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "x"}}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": {"inputTokens": 1}}},
    ],
}


def mutated(value: Any, dice: random.Random) -> Any:
    value = copy.deepcopy(value)
    for _ in range(dice.choice([1, 1, 2, 3])):
        places: list[tuple[Any, Any]] = []
        pending = [value]
        while pending:
            holder = pending.pop()
            keys = (
                list(holder)
                if isinstance(holder, dict)
                else list(range(len(holder)))
                if isinstance(holder, list)
                else []
            )
            places += [(holder, key) for key in keys]
            pending += [holder[key] for key in keys]
        if places:
            holder, key = dice.choice(places)
            if dice.random() < 0.2:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(dice.choice(JUNK))
    return value


def raw(kind: str, value: Any) -> tuple[Any, str]:
    if kind == "bedrock stream":
        return [
            frame(str(name), inner)
            for event in value
            if isinstance(event, dict)
            for name, inner in event.items()
        ], "x/event"
    if kind.endswith("stream"):
        return [
            b"data: " + json.dumps(event).encode() + b"\n\n" for event in value
        ], "text/event-stream"
    return json.dumps(value).encode(), "application/json"


@pytest.mark.parametrize("kind", REPLIES)
def test_no_response_gets_a_foreign_exception_out(sandbox: Sandbox, kind: str) -> None:
    """Wrong types, missing fields, infinities, nonsense: in every field, one to three at a time."""
    name = {"ark": "volcengine", "gemini image": "gemini"}.get(kind, kind.split()[0])
    client: Any
    call: Callable[[], Any]
    if kind in ("ark", "gemini image"):
        client = ImageClient(name, max_retries=0, timeout=AMPLE, **sandbox.image_options(name))
        call = lambda: client.text_to_image("x")  # noqa: E731
    else:
        client = ChatClient(name, max_retries=0, timeout=AMPLE, **sandbox.chat_options(name))
        messages = [{"role": "user", "content": "x"}]

        def call() -> Any:
            if kind.endswith("stream"):
                return list(client.chat_stream(messages))
            return client.chat(messages)

    dice = random.Random(kind)
    outcomes = set()
    with client:
        for _ in range(TRIES):
            body, content_type = raw(kind, mutated(REPLIES[kind], dice))
            sandbox.answer(200, body or b"", headers={"content-type": content_type})
            try:
                result = call()
            except errors.AIGCError as error:
                outcomes.add(type(error).__name__)
            else:
                outcomes.add("ok")
                json.dumps(getattr(result, "message", getattr(result, "metadata", None)))
            sandbox.reset()
    assert "ok" in outcomes
    assert len(outcomes) > 1
