"""
Hostile responses: whatever a server sends, only errors of the library are raised, and half a stream
never looks complete.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.bedrock import frame
from tests.images import make
from tests.odd import CHATS
from tests.wire import AMPLE, Wire

ASK = [{"role": "user", "content": "hello"}]
PICTURE = base64.b64encode(make()).decode()
COMPAT = [name for name in CHATS if name not in ("gemini", "bedrock")]

# ---- responses as the vendors send them, shortened

CALLS = [
    {
        "index": 0,
        "id": "call_00_pGo",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
    },
    {
        "index": 1,
        "id": "call_01_qXc",
        "type": "function",
        "function": {"name": "get_time", "arguments": '{"zone": {"name": "CET"}}'},
    },
]
OPENAI = {
    "id": "5fb2e4a1",
    "object": "chat.completion",
    "created": 1757396757,
    "model": "deepseek-v4-pro",
    "system_fingerprint": "fp_x",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "It is \U0001f600 cold.",
                "reasoning_content": "Let me see.",
                "refusal": None,
                "tool_calls": CALLS,
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 338,
        "completion_tokens": 92,
        "total_tokens": 430,
        "prompt_tokens_details": {"cached_tokens": 320},
        "completion_tokens_details": {"reasoning_tokens": 43},
        "prompt_cache_hit_tokens": 320,
        "prompt_cache_miss_tokens": 18,
    },
}


def openai_event(delta: Any, reason: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "5fb2e4a1",
        "object": "chat.completion.chunk",
        "created": 1757396757,
        "model": "deepseek-v4-pro",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        **more,
    }


OPENAI_STREAM = [
    openai_event({"role": "assistant", "content": None, "reasoning_content": ""}),
    openai_event({"content": None, "reasoning_content": "Let me"}),
    openai_event({"content": "It is ", "reasoning_content": None}),
    openai_event({"content": "\U0001f600 cold."}),
    openai_event(
        {"tool_calls": [{**CALLS[0], "function": {"name": "get_weather", "arguments": ""}}]}
    ),
    openai_event({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
    openai_event({"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
    openai_event({"tool_calls": [CALLS[1]]}),
    openai_event({"content": ""}, "tool_calls", usage=None),
    {
        "id": "5fb2e4a1",
        "object": "chat.completion.chunk",
        "model": "deepseek-v4-pro",
        "choices": [],
        "usage": OPENAI["usage"],
    },
]
GEMINI_USAGE = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 7,
    "totalTokenCount": 60,
    "thoughtsTokenCount": 41,
    "trafficType": "ON_DEMAND",
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "I should look.", "thought": True},
                    {"text": "It is \U0001f600 cold.", "thoughtSignature": "eA=="},
                    {
                        "functionCall": {
                            "name": "get_weather",
                            "args": {"city": "Oslo", "days": 3.0},
                            "id": "x1",
                        },
                        "thoughtSignature": "eXk=",
                    },
                ],
            },
            "finishReason": "STOP",
            "finishMessage": "done",
            "avgLogprobs": -0.1,
            "safetyRatings": [{"category": "HARM", "probability": "LOW"}],
        }
    ],
    "promptFeedback": {"safetyRatings": []},
    "usageMetadata": GEMINI_USAGE,
    "modelVersion": "gemini-3.8-flash",
    "responseId": "r-1",
}


def gemini_event(*parts: Any, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, **more}
    return {
        "candidates": [candidate],
        "usageMetadata": GEMINI_USAGE,
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r-1",
    }


GEMINI_STREAM = [
    gemini_event({"text": "I should look.", "thought": True}),
    gemini_event({"text": "It is "}, {"text": "cold.", "thoughtSignature": "eA=="}),
    gemini_event({"functionCall": {"name": "get_time", "willContinue": True}}),
    gemini_event(
        {
            "functionCall": {
                "partialArgs": [
                    {"jsonPath": "$.zone.name", "stringValue": "C", "willContinue": True}
                ],
                "willContinue": True,
            }
        }
    ),
    gemini_event(
        {
            "functionCall": {
                "partialArgs": [
                    {"jsonPath": "$.zone.name", "stringValue": "ET"},
                    {"jsonPath": "$.days[1]", "numberValue": 3},
                ]
            }
        }
    ),
    gemini_event(
        {
            "functionCall": {"name": "get_weather", "args": {"city": "Oslo"}},
            "thoughtSignature": "eXk=",
        }
    ),
    gemini_event({"text": ""}, finishReason="STOP", finishMessage="done"),
]
BEDROCK = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {
                    "reasoningContent": {
                        "reasoningText": {"text": "Let me see.", "signature": "eA=="}
                    }
                },
                {"reasoningContent": {"redactedContent": "eXk="}},
                {"text": "It is \U0001f600 cold."},
                {
                    "toolUse": {
                        "toolUseId": "tooluse_1",
                        "name": "get_weather",
                        "input": {"city": "Oslo", "days": [1, None]},
                    }
                },
                {"citationsContent": {"content": [{"text": " Source."}]}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 12, "outputTokens": 30, "totalTokens": 42, "cacheReadInputTokens": 3},
    "metrics": {"latencyMs": 900},
}
BEDROCK_STREAM: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant", "p": "ab"}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Let me see."}}},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "eA=="}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "It is cold."}}),
    (
        "contentBlockStart",
        {
            "contentBlockIndex": 2,
            "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather"}},
        },
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city": "Oslo"}'}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": BEDROCK["usage"], "metrics": {"latencyMs": 900}}),
]
ARK = {
    "model": "doubao-seedream-4-5-251128",
    "created": 1757321139,
    "data": [
        {
            "url": "https://ark-content.example.com/a.jpeg?X-Tos-Expires=86400",
            "size": "3104x1312",
            "output_format": "jpeg",
        },
        {"b64_json": PICTURE, "size": "24x16"},
        {
            "error": {
                "code": "OutputImageSensitiveContentDetected",
                "message": "The request failed.",
            }
        },
    ],
    "usage": {"generated_images": 2, "output_tokens": 15_912, "total_tokens": 15_912},
}
ARK_STREAM = [
    {
        "type": "image_generation.partial_succeeded",
        "model": "m",
        "created": 1757396757,
        "image_index": 0,
        "url": "https://a.example.com/0.jpeg",
        "size": "2496x1664",
    },
    {
        "type": "image_generation.partial_failed",
        "model": "m",
        "image_index": 1,
        "error": {"code": "OutputImageSensitiveContentDetected", "message": "x"},
    },
    {
        "type": "image_generation.partial_succeeded",
        "model": "m",
        "created": 1757396785,
        "image_index": 2,
        "b64_json": PICTURE,
        "size": "24x16",
    },
    {
        "type": "image_generation.completed",
        "model": "m",
        "created": 1757396825,
        "usage": {"generated_images": 2, "output_tokens": 48_672},
    },
]
GEMINI_IMAGE = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Thinking.", "thought": True},
                    {"inlineData": {"mimeType": "image/png", "data": PICTURE}, "thought": True},
                    {"text": "Here it is."},
                    {
                        "inlineData": {"mimeType": "image/png", "data": PICTURE},
                        "thoughtSignature": "eA==",
                    },
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": GEMINI_USAGE,
    "modelVersion": "gemini-3-pro-image",
    "responseId": "r-1",
}
ERRORS: dict[str, tuple[int, Any]] = {
    "openai": (
        429,
        {
            "error": {
                "message": "Rate limit reached. Request id: abcdef0123",
                "type": "requests",
                "param": None,
                "code": "rate_limit_exceeded",
            }
        },
    ),
    "glm": (
        400,
        {
            "error": {"code": "1214", "message": "incorrect"},
            "contentFilter": [{"role": "user", "level": 0}],
        },
    ),
    "google": (
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "Resource exhausted.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [
                        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
                        {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"a": "b"}},
                    ],
                }
            }
        ],
    ),
    "aws": (
        400,
        {"message": "The model returned the following errors: x", "__type": "ValidationException"},
    ),
    "ark": (
        403,
        {
            "error": {
                "code": "AccountOverdueError",
                "message": "The request failed because your account has an overdue balance. Request id: 0217",
                "param": "",
                "type": "Forbidden",
            }
        },
    ),
}

WHOLE: dict[str, Any] = {
    "openai": OPENAI,
    "gemini": GEMINI,
    "bedrock": BEDROCK,
    "ark image": ARK,
    "gemini image": GEMINI_IMAGE,
}
STREAMS: dict[str, Any] = {
    "openai": OPENAI_STREAM,
    "gemini": GEMINI_STREAM,
    "bedrock": BEDROCK_STREAM,
    "ark image": ARK_STREAM,
}


def encoded(kind: str, value: Any, *, stream: bool) -> tuple[bytes, str]:
    """(body, content type) as the vendor sends it."""
    if not stream:
        return json.dumps(value, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        ), "application/json"
    if kind == "bedrock":
        return b"".join(
            frame(str(name), inner) for name, inner in value
        ), "application/vnd.amazon.eventstream"
    raw = b"".join(
        b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n" for event in value
    )
    return raw + (b"" if kind == "gemini" else b"data: [DONE]\n\n"), "text/event-stream"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


Use = Callable[[bool], Any]


@pytest.fixture(scope="module")
def uses(server: Sandbox) -> Iterator[dict[str, Use]]:
    """Kind of response -> a call that reads it (streamed: True) and returns the result."""
    with contextlib.ExitStack() as stack:

        def chat(name: str) -> Use:
            own = {"model": "m"} if name == "openai_compat" else {}
            client = stack.enter_context(
                ChatClient(name, timeout=AMPLE, max_retries=0, **server.chat_options(name), **own)
            )
            return use_of(client)

        def image_use(name: str) -> Use:
            client = stack.enter_context(
                ImageClient(name, timeout=AMPLE, max_retries=0, **server.image_options(name))
            )
            return use_of(client)

        yield {
            **{name: chat(name) for name in CHATS},
            "ark image": image_use("volcengine"),
            "gemini image": image_use("gemini"),
        }


def use_of(client: ChatClient | ImageClient) -> Use:
    if isinstance(client, ImageClient):
        return lambda stream: client.text_to_image("x", **({"stream": True} if stream else {}))
    return lambda stream: streamed(client) if stream else client.chat(ASK)


def streamed(client: ChatClient) -> Any:
    with client.chat_stream(ASK) as stream:
        for chunk in stream:
            assert isinstance(chunk.delta_content, str)
        return stream.result


def read(use: Use, stream: bool) -> Any:
    """The result after its promises were looked at, or the error of the library."""
    try:
        result = use(stream)
    except errors.AIGCError as error:
        str(error), repr(error)
        partial = getattr(error, "partial", None)
        if partial is not None:
            json.dumps(partial.message)
        return error
    if hasattr(result, "message"):
        json.dumps(result.message, allow_nan=False)
        assert isinstance(result.finish_reason, str)
        assert result.finish_reason
        for call in result.tool_calls:
            assert all(isinstance(text, str) for text in (call.id, call.name, call.arguments))
            with contextlib.suppress(errors.StructuredOutputError):
                call.parse()
        for number in vars_of(result.usage):
            assert isinstance(number, int)
            assert number >= 0
    else:
        json.dumps(result.metadata)
        assert isinstance(result.width, int)
        assert isinstance(result.url, str)
        assert isinstance(result.mime_type, str)
        assert result.has_base64 or result.has_url
        repr(result), result._repr_html_()
    return result


def vars_of(usage: Any) -> list[Any]:
    return [getattr(usage, name) for name in type(usage).__slots__]


def replied(
    server: Sandbox,
    use: Use,
    body: bytes,
    kind: str,
    *,
    stream: bool,
    status: int = 200,
    **headers: str,
) -> Any:
    server.reset()
    server.answer(status, [body] if stream else body, headers={"content-type": kind, **headers})
    return read(use, stream)


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        (kind, stream)
        for kind in (*WHOLE, *COMPAT[1:])
        for stream in (False, True)
        if not stream or ("openai" if kind in COMPAT else kind) in STREAMS
    ],
)
def test_responses_are_read(server: Sandbox, uses: dict[str, Use], kind: str, stream: bool) -> None:
    """Before they are changed: the mutations below begin from what works."""
    base = "openai" if kind in COMPAT else kind
    body, content_type = encoded(base, (STREAMS if stream else WHOLE)[base], stream=stream)
    result = replied(server, uses[kind], body, content_type, stream=stream)
    assert not isinstance(result, errors.AIGCError), result
    if base in CHATS:
        assert result.finish_reason == "tool_calls"
        assert "cold." in result.content


# ---- bytes

EDITS = st.lists(
    st.tuples(
        st.integers(0, 10**5),
        st.sampled_from(["flip", "delete", "insert", "cut", "double", "swap"]),
        st.binary(min_size=1, max_size=3)
        | st.sampled_from(
            [
                b"\r\n",
                b"\n\n",
                b"\x00",
                b"\xff\xfe",
                b'"',
                b"{",
                b"}",
                b"\\ud83d",
                b"data:",
                b"1e999",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    changed = bytearray(data)
    for place, how, piece in edits:
        at = place % (len(changed) + 1)
        if how == "flip" and at < len(changed):
            changed[at] ^= piece[0] or 1
        elif how == "delete":
            del changed[at : at + piece[0]]
        elif how == "insert":
            changed[at:at] = piece
        elif how == "cut":
            del changed[at:]
        elif how == "double":
            changed[at:at] = changed[at : at + 8 * piece[0]]
        elif how == "swap":
            changed[at : at + 2] = changed[at : at + 2][::-1]
    return bytes(changed)


@given(kind=st.sampled_from([*WHOLE, *COMPAT]), edits=EDITS)
def test_mutated_bytes_of_responses(
    server: Sandbox, uses: dict[str, Use], kind: str, edits: Any
) -> None:
    """Flipped, deleted, inserted, doubled, cut."""
    base = "openai" if kind in COMPAT else kind
    body, content_type = encoded(base, WHOLE[base], stream=False)
    replied(server, uses[kind], edited(body, edits), content_type, stream=False)


@given(kind=st.sampled_from([*STREAMS, *COMPAT]), edits=EDITS)
def test_mutated_bytes_of_streams(
    server: Sandbox, uses: dict[str, Use], kind: str, edits: Any
) -> None:
    """The same for server-sent events and AWS's binary frames."""
    base = "openai" if kind in COMPAT else kind
    body, content_type = encoded(base, STREAMS[base], stream=True)
    replied(server, uses[kind], edited(body, edits), content_type, stream=True)


@given(
    kind=st.sampled_from([*WHOLE, *COMPAT]),
    body=st.binary(max_size=80),
    stream=st.booleans(),
    status=st.sampled_from([200, 200, 201, 400, 401, 404, 429, 500, 529]),
    content_type=st.sampled_from(
        [
            "application/json",
            "text/event-stream",
            "application/vnd.amazon.eventstream",
            "text/html",
            "",
            "\xff",
        ]
    ),
)
def test_any_bytes_of_any_type(
    server: Sandbox,
    uses: dict[str, Use],
    kind: str,
    body: bytes,
    stream: bool,
    status: int,
    content_type: str,
) -> None:
    """A server that is not a vendor."""
    replied(server, uses[kind], body, content_type, stream=stream, status=status)


HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 429 Slow\r\nretry-after: 1\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n",
    b"HTTP/1.1 101 Up\r\n\r\n",
    b"HTTP/1.0 200\r\n",
]


class Blunt(Wire):
    """Sends the given bytes and closes the connection."""

    def _play(self, connection: socket.socket, steps: Any) -> bool:
        connection.sendall(steps[0])
        return False


@pytest.fixture(scope="module")
def raw() -> Iterator[Wire]:
    with Blunt() as wire:
        yield wire


@pytest.fixture(scope="module")
def raw_uses(raw: Wire) -> Iterator[dict[str, Use]]:
    fake = Sandbox.__new__(Sandbox)
    fake.url, fake.api_key = raw.url, "sandbox-key"
    with contextlib.ExitStack() as stack:
        chats = {
            name: stack.enter_context(
                ChatClient(name, timeout=3, max_retries=0, **fake.chat_options(name))
            )
            for name in ("openai", "gemini", "bedrock")
        }
        image_clients = {
            f"{label} image": stack.enter_context(
                ImageClient(name, timeout=3, max_retries=0, **fake.image_options(name))
            )
            for label, name in (("ark", "volcengine"), ("gemini", "gemini"))
        }
        found = {name: use_of(client) for name, client in chats.items()}
        yield found | {name: use_of(client) for name, client in image_clients.items()}


@given(
    kind=st.sampled_from(["openai", "gemini", "bedrock", "ark image", "gemini image"]),
    head=st.sampled_from(HEADS),
    edits=EDITS,
    stream=st.booleans(),
    headers=st.lists(
        st.sampled_from(
            [
                b"content-encoding: gzip",
                b"content-encoding: br",
                b"transfer-encoding: chunked",
                b"content-length: 5",
                b"content-length: -1",
                b"content-length: 99999999999999999999",
                b"content-type: text/event-stream",
                b"content-type: application/json",
                b"x-request-id: \xff\xfe",
                b"retry-after: Tue, 99 Foo 99999 99:99:99 XYZ",
                b"retry-after: nan",
                b"retry-after-ms: 1e999",
                b"retry-after: -5",
                b"set-cookie: " + b"x" * 5000,
                b"x-amzn-errortype: \x01",
                b": empty",
                b"no colon",
                b"x" * 70_000 + b": 1",
            ]
        ),
        max_size=4,
    ),
)
def test_mutated_heads(
    raw: Wire,
    raw_uses: dict[str, Use],
    kind: str,
    head: bytes,
    headers: list[bytes],
    edits: Any,
    stream: bool,
) -> None:
    """Status lines and headers that break the rules of HTTP, over a socket that then closes."""
    base = encoded(kind, WHOLE[kind], stream=False)[0]
    reply = edited(head + b"\r\n".join([*headers, b"connection: close", b"", b""]), edits) + base
    raw.scripts[:] = [lambda request: [reply]]
    try:
        read(raw_uses[kind], stream)
    finally:
        raw.requests.clear()


# ---- JSON

TOKENS = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "1.5",
    "1e-400",
    "9" * 400,
    "9" * 5000,
    "-0.0",
    '""',
    '"x"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    "[]",
    "{}",
    "[null]",
    "[[[]]]",
    '{"a": 1}',
    '{"error": "x"}',
    '{"error": {"code": 1e999, "message": ["x"]}}',
    '"data:image/png;base64,eA=="',
    '"[DONE]"',
    "[" * 900 + "]" * 900,
    '{"a":' * 900 + "1" + "}" * 900,
    "[" * 100_000 + "]" * 100_000,
    '"' + "x" * 100_000 + '"',
    '{"":{"":null}}',
    '{"a":1,"a":2}',
    '"$.' + "a" * 50 + '"',
    '"' + "[0]" * 3000 + '"',
    '"' + ".a" * 3000 + '"',
    '"[' + "9" * 5000 + ']"',
    '"[٣]"',
    '"[99999999]"',
    "[1,2",
    '"\\x"',
]


def places_of(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
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
        found += [(holder, key) for key in keys]
        pending += [holder[key] for key in keys]
    return found


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 10**4), st.sampled_from([*range(len(TOKENS)), "drop", "twice", "rename"])
    ),
    min_size=1,
    max_size=3,
)


def mutated(value: Any, mutations: list[tuple[int, Any]]) -> str:
    """The value as JSON text, with members replaced by tokens that ``json.dumps`` cannot write."""
    value = copy.deepcopy(value)
    tokens: dict[str, str] = {}
    for place, how in mutations:
        places = places_of(value)
        if not places:
            break
        holder, key = places[place % len(places)]
        if how == "drop":
            del holder[key]
        elif how == "twice" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif how == "rename" and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        elif isinstance(how, int):
            mark = f"@token{len(tokens)}@"
            tokens[f'"{mark}"'] = TOKENS[how]
            holder[key] = mark
    text = json.dumps(value, ensure_ascii=False)
    for mark, token in tokens.items():
        text = text.replace(mark, token)
    return text


@given(kind=st.sampled_from([*WHOLE, *COMPAT]), mutations=MUTATIONS)
def test_mutated_json_of_responses(
    server: Sandbox, uses: dict[str, Use], kind: str, mutations: Any
) -> None:
    """
    Every member replaced by what JSON can and cannot say: infinities, huge numbers, depths, half
    characters.
    """
    base = "openai" if kind in COMPAT else kind
    text = mutated(WHOLE[base], mutations)
    replied(server, uses[kind], text.encode(), "application/json", stream=False)


@given(kind=st.sampled_from([*STREAMS, *COMPAT]), mutations=MUTATIONS, event=st.integers(0, 20))
def test_mutated_json_of_streams(
    server: Sandbox, uses: dict[str, Use], kind: str, mutations: Any, event: int
) -> None:
    """The same in one event of a stream."""
    base = "openai" if kind in COMPAT else kind
    events = STREAMS[base]
    pieces = []
    for number, value in enumerate(events):
        changed = number == event % len(events)
        if base == "bedrock":
            name, inner = value
            pieces.append(
                raw_frame(name, mutated(inner, mutations)) if changed else frame(name, inner)
            )
        else:
            text = mutated(value, mutations) if changed else json.dumps(value)
            pieces.append(b"data: " + text.encode() + b"\n\n")
    content_type = (
        "application/vnd.amazon.eventstream" if base == "bedrock" else "text/event-stream"
    )
    replied(server, uses[kind], b"".join(pieces), content_type, stream=True)


def raw_frame(name: str, text: str) -> bytes:
    """An AWS frame whose payload is this text."""

    whole = frame(name, {})
    head_length = struct.unpack_from("!I", whole, 4)[0]
    head, body = whole[12 : 12 + head_length], text.encode()
    prelude = struct.pack("!II", 16 + head_length + len(body), head_length)
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + head + body
    return message + struct.pack("!I", zlib.crc32(message))


@given(
    kind=st.sampled_from([*WHOLE, *COMPAT]),
    shape=st.sampled_from(sorted(ERRORS)),
    mutations=MUTATIONS,
    stream=st.booleans(),
    hidden=st.booleans(),
)
def test_mutated_errors(
    server: Sandbox,
    uses: dict[str, Use],
    kind: str,
    shape: str,
    mutations: Any,
    stream: bool,
    hidden: bool,
) -> None:
    """Error bodies of every vendor, from every vendor, with their status or hidden in a 200."""
    status, body = ERRORS[shape]
    server.reset()
    server.answer(
        200 if hidden else status,
        mutated(body, mutations).encode(),
        headers={"content-type": "application/json"},
    )
    read(uses[kind], stream and kind != "gemini image")


DEEP = {
    "lists": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "open": b"[" * 100_000,
    "digits": b"9" * 100_000,
    "900 lists": b"[" * 900 + b"]" * 900,
    "in error": b'{"error": {"message": ' + b"[" * 900 + b"]" * 900 + b"}}",
    "deep in error": b'{"error": {"message": ' + b"[" * 90_000 + b"]" * 90_000 + b"}}",
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("shape", DEEP)
@pytest.mark.parametrize("kind", ["openai", "gemini", "bedrock", "ark image", "gemini image"])
def test_deep_responses(
    server: Sandbox, uses: dict[str, Use], kind: str, shape: str, status: int
) -> None:
    """JSON deeper than the interpreter can follow, whole and as an event of a stream."""
    result = replied(
        server, uses[kind], DEEP[shape], "application/json", stream=False, status=status
    )
    assert isinstance(result, errors.ProviderError)
    if kind in STREAMS and kind != "bedrock":
        body = b"data: " + DEEP[shape] + b"\n\n"
        assert isinstance(
            replied(server, uses[kind], body, "text/event-stream", stream=True, status=status),
            errors.ProviderError,
        )
    if kind == "bedrock":
        body = raw_frame("contentBlockDelta", DEEP[shape].decode())
        assert isinstance(
            replied(
                server,
                uses[kind],
                body,
                "application/vnd.amazon.eventstream",
                stream=True,
                status=status,
            ),
            errors.ProviderError,
        )


PATHS = [
    "$." + "a" * 10,
    "$" + ".a" * 2000,
    "$" + "[0]" * 2000,
    "$.a[" + "9" * 5000 + "]",
    "$.a[٣]",
    "$.a[-1]",
    "$['" + "x" * 100_000 + "']",
    "",
    "$",
    "$..a",
    "$.a[",
    "$.a['\\",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_of_partial_arguments(server: Sandbox, uses: dict[str, Use], path: str) -> None:
    """Gemini's piecemeal arguments, with paths that lead nowhere or too far."""
    events = [
        gemini_event({"functionCall": {"name": "f", "willContinue": True}}),
        gemini_event({"functionCall": {"partialArgs": [{"jsonPath": path, "stringValue": "x"}]}}),
        gemini_event(finishReason="STOP"),
    ]
    body, content_type = encoded("gemini", events, stream=True)
    replied(server, uses["gemini"], body, content_type, stream=True)


# ---- what was lost


@pytest.mark.parametrize("kind", [*STREAMS, "deepseek", "moonshot"])
def test_half_a_stream_is_not_an_answer(server: Sandbox, uses: dict[str, Use], kind: str) -> None:
    """
    Wherever it ends, with a proper end of the body: before its finish reason it is interrupted.
    """
    base = "openai" if kind in COMPAT else kind
    events = STREAMS[base]
    body, content_type = encoded(base, events, stream=True)
    ends = {
        "openai": b'"tool_calls", "',
        "gemini": b'"STOP"',
        "bedrock": b"messageStop",
        "ark image": b"image_generation.completed",
    }
    if base == "openai":
        last = body.rindex(b'"finish_reason": "tool_calls"')
    else:
        last = body.rindex(ends[base])
    for length in sorted({*range(0, last, 37), *range(last - 30, last)}):
        result = replied(server, uses[kind], body[:length], content_type, stream=True)
        if base == "ark image":
            assert isinstance(result, errors.AIGCError) or result.metadata["warnings"], length
        else:
            assert isinstance(result, errors.ProviderError), length


@pytest.mark.parametrize("kind", ["openai", "gemini", "bedrock"])
def test_a_stream_without_one_event_is_not_another_answer(
    server: Sandbox, uses: dict[str, Use], kind: str
) -> None:
    """
    A finish reason that never came is missed, whatever else came: an error, or a warning behind
    ``[DONE]``.
    """
    events = [
        event
        for event in STREAMS[kind]
        if not any(
            word in json.dumps(event) for word in ('"finish_reason": "tool', "STOP", "messageStop")
        )
    ]
    body, content_type = encoded(kind, events, stream=True)
    result = replied(server, uses[kind], body, content_type, stream=True)
    if kind == "openai":
        assert "finish_reason" in [entry["feature"] for entry in result.warnings]
    else:
        assert isinstance(result, errors.StreamInterruptedError)


@pytest.mark.parametrize("name", ["openai", "deepseek", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["\\ud83d", "\\ude00 x", "a\\ud83d\\ud83d"])
def test_half_characters_do_not_end_a_conversation(
    server: Sandbox, uses: dict[str, Use], name: str, stream: bool, text: str
) -> None:
    """A vendor's lone surrogate: the message can be sent back."""
    own = {"model": "m"} if name == "openai_compat" else {}
    kind = "openai" if name in COMPAT else name
    value = {
        ("openai", False): {"choices": [{"message": {"content": "@@"}, "finish_reason": "stop"}]},
        ("openai", True): [openai_event({"content": "@@"}), openai_event({}, "stop")],
        ("gemini", False): {
            "candidates": [{"content": {"parts": [{"text": "@@"}]}, "finishReason": "STOP"}]
        },
        ("gemini", True): [gemini_event({"text": "@@"}), gemini_event(finishReason="STOP")],
        ("bedrock", False): {
            "output": {"message": {"content": [{"text": "@@"}]}},
            "stopReason": "end_turn",
        },
        ("bedrock", True): [
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "@@"}}),
            ("messageStop", {"stopReason": "end_turn"}),
        ],
    }[kind, stream]
    if (kind, stream) == ("bedrock", True):
        body = raw_frame("contentBlockDelta", json.dumps(value[0][1]).replace("@@", text)) + frame(
            *value[1]
        )
        content_type = "application/vnd.amazon.eventstream"
    else:
        body, content_type = encoded(kind, value, stream=stream)
        body = body.replace(b"@@", text.encode())
    result = replied(server, uses[name], body, content_type, stream=stream)
    assert not isinstance(result, errors.AIGCError)
    with ChatClient(
        name, timeout=AMPLE, max_retries=0, **server.chat_options(name), **own
    ) as client:
        assert client.chat([*ASK, result.message, *ASK]).content


@pytest.mark.parametrize("name", ["openai", "deepseek", "gemini"])
def test_a_character_cut_in_two_is_one_again(
    server: Sandbox, uses: dict[str, Use], name: str
) -> None:
    """Its halves came in two events of a stream."""
    kind = "openai" if name in COMPAT else name
    events = {
        "openai": [
            openai_event({"content": "@1"}),
            openai_event({"content": "@2"}),
            openai_event({}, "stop"),
        ],
        "gemini": [
            gemini_event({"text": "@1"}),
            gemini_event({"text": "@2"}),
            gemini_event(finishReason="STOP"),
        ],
    }[kind]
    body, content_type = encoded(kind, events, stream=True)
    body = body.replace(b"@1", b"\\ud83d").replace(b"@2", b"\\ude00")
    assert replied(server, uses[name], body, content_type, stream=True).content == "\U0001f600"
