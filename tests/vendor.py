"""
A chat vendor on loopback whose nth request gets the nth response, and builders for three wire
dialects.

A test writes down what the vendor sends, makes a client of it, and looks at what the client sent::

    with Vendor(completion("hello")) as vendor:
    result = vendor.client("deepseek").chat(ASK)
    assert vendor.bodies[0]["messages"] == ASK
"""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit import ChatClient, errors
from aigc_kit.errors import AIGCError
from tests.wire import Step, Wire

JSON, EVENTS, FRAMES = "application/json", "text/event-stream", "application/vnd.amazon.eventstream"
ASK = [{"role": "user", "content": "hello"}]
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PNG_BASE64 = base64.b64encode(PNG).decode()
PNG_URL = f"data:image/png;base64,{PNG_BASE64}"
IMAGE_PART = {"type": "image_url", "image_url": {"url": PNG_URL}}


@dataclass(frozen=True)
class Response:
    """
    What the vendor sends.

    ``pieces``: the chunks of a chunked body; a float is a pause in seconds, ``wire.Reset`` a reset.
    ``cut``: the connection
    closes after the last piece, without the end of the body.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Sequence[Step] | None = None
    cut: bool = False

    def steps(self) -> list[Step]:
        lines = [f"HTTP/1.1 {self.status} X", f"content-type: {self.content_type}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.pieces is None:
            head = "\r\n".join([*lines, f"content-length: {len(self.body)}", "", ""])
            return [head.encode() + self.body]
        head = "\r\n".join([*lines, "transfer-encoding: chunked", "", ""])
        end = [] if self.cut else [b"0\r\n\r\n"]
        return [head.encode(), *map(_chunk, self.pieces), *end]


def _chunk(step: Step) -> Step:
    return b"%x\r\n%b\r\n" % (len(step), step) if isinstance(step, bytes) else step


def json_response(body: Any, **options: Any) -> Response:
    """Any JSON as a response."""
    return Response(json.dumps(body, ensure_ascii=False).encode(), **options)


Script = Response | Callable[[Any, int], Response]
"""A response, or a function of (the request's JSON, the number of requests before it)."""


class Vendor(Wire):
    """The vendor. The last response repeats; clients made with ``client`` are closed with it."""

    def __init__(self, *responses: Script) -> None:
        super().__init__()
        self.responses = responses
        self.scripts = [self._script]
        self._lock = threading.Lock()
        self._clients = contextlib.ExitStack()
        self._served = 0

    def _script(self, request: bytes) -> list[Step]:
        with self._lock:
            number, self._served = self._served, self._served + 1
        response = self.responses[min(number, len(self.responses) - 1)]
        if not isinstance(response, Response):
            response = response(_json_of(request), number)
        return response.steps()

    def reset(self, *responses: Script) -> None:
        """Begin again with these responses; for tests that try many."""
        self.responses = responses
        self._served = 0
        self.requests.clear()

    @property
    def bodies(self) -> list[Any]:
        """The JSON of each request; bytes where it is not JSON."""
        return [_json_of(request) for request in self.requests]

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the last request, ``{}`` when there was none."""
        return self.bodies[-1] if self.requests else {}

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ", 2)[1].decode() for request in self.requests]

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of each request, with lower-case names."""
        return [_headers_of(request) for request in self.requests]

    def client(self, provider: str = "openai_compat", **options: Any) -> ChatClient:
        """
        A client of this vendor that sends once. ``gemini`` is Vertex AI unless an ``api_key`` is
        given.
        """
        made = ChatClient(provider, **{**self._options(provider, options), **options})
        return self._clients.enter_context(made)

    def _options(self, provider: str, given: dict[str, Any]) -> dict[str, Any]:
        common = {"base_url": self.url, "max_retries": 0, "timeout": 15.0}
        if provider == "bedrock":
            keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
            return {**common, **keys, "region": "us-east-1"}
        if provider == "gemini":
            return common if "api_key" in given else {**common, **_vertex()}
        compat = {"model": "m"} if provider == "openai_compat" else {}
        return {**common, **compat, "api_key": "sk-test-123456", "base_url": f"{self.url}/v1"}

    def __exit__(self, *exc: object) -> None:
        self._clients.close()
        super().__exit__(*exc)


def _vertex() -> dict[str, Any]:
    from google.oauth2.credentials import Credentials

    return {"project": "p", "location": "global", "credentials": Credentials(token="t")}


def _json_of(request: bytes) -> Any:
    body = request.partition(b"\r\n\r\n")[2]
    try:
        return json.loads(body)
    except ValueError:
        return body


def _headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def outcome(call: Callable[[], Any]) -> Any:
    """
    What the call returned, or the library's own error that it raised; any other exception is a
    failure.
    """
    try:
        return call()
    except AIGCError as error:
        return error


def unless_refused(call: Callable[[], Any]) -> Any:
    """
    What the call returned, or the error that refused it as bad input; an error of the vendor is a
    failure.
    """
    try:
        return call()
    except (errors.ConfigurationError, errors.InvalidInputError) as error:
        return error


def read(stream: Any) -> Any:
    """A stream's result, after reading it to its end."""
    with stream:
        for _ in stream:
            pass
        return stream.result


def ask(client: ChatClient, *, stream: bool, messages: Any = None, **options: Any) -> Any:
    """The result of a plain or a streamed call."""
    messages = ASK if messages is None else messages
    return (
        read(client.chat_stream(messages, **options))
        if stream
        else client.chat(messages, **options)
    )


def refused(result: Any, vendor: Vendor, *, requests: int = 0) -> bool:
    """Whether the call was refused before anything (more than ``requests``) was sent."""
    return (
        isinstance(result, errors.ConfigurationError | errors.InvalidInputError)
        and len(vendor.requests) == requests
    )


def features(result: Any) -> list[str]:
    """What the result's warnings are about."""
    return [entry["feature"] for entry in result.warnings]


def kept(result: Any) -> str:
    """Everything of a result that an application can store: its ``message`` and ``raw`` as JSON."""
    return json.dumps([result.message, result.raw], ensure_ascii=False)


# ---- OpenAI's chat/completions


def completion(
    content: Any = "ok", *, finish: str | None = "stop", usage: Any = USAGE, **message: Any
) -> Response:
    """A complete answer; more keywords are fields of its message."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish,
    }
    return json_response(
        {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
    )


def tool_call(
    name: str = "get_weather", arguments: Any = '{"city": "Paris"}', id: str = "call_1"
) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], content: Any = None, **message: Any) -> Response:
    """An answer that calls tools."""
    return completion(
        content, finish="tool_calls", tool_calls=list(calls) or [tool_call()], **message
    )


def delta(
    finish: str | None = None, *, index: int = 0, usage: Any = None, **fields: Any
) -> dict[str, Any]:
    """A chunk of a stream; more keywords are fields of its delta."""
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return {**chunk, "usage": usage} if usage else chunk


def call_delta(
    arguments: str | None = None, *, index: int | None = 0, **call: Any
) -> dict[str, Any]:
    """A chunk with one fragment of a call; ``id`` and ``name`` begin one."""
    function = {
        name: value
        for name, value in (("name", call.pop("name", None)), ("arguments", arguments))
        if value is not None
    }
    place = {} if index is None else {"index": index}
    kind = {"type": "function"} if "id" in call else {}
    return delta(tool_calls=[{**place, **call, **kind, "function": function}])


USAGE_CHUNK = {
    "id": "c1",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [],
    "usage": USAGE,
}


def sse(items: Iterable[Any], *, end: bytes = b"\n\n") -> list[Step]:
    """Dicts and lists become events; bytes and pauses stay as they are."""
    return [
        b"data: " + _dumped(item) + end if isinstance(item, dict | list) else item for item in items
    ]


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def events(
    *items: Any, done: bool = True, content_type: str = EVENTS, cut: bool = False
) -> Response:
    """A stream of server-sent events; ``done``: with ``[DONE]`` at its end."""
    mark = [b"data: [DONE]\n\n"] if done else []
    return Response(content_type=content_type, pieces=[*sse(items), *mark], cut=cut)


def error(status: int, message: str, **fields: Any) -> Response:
    return json_response({"error": {"message": message, **fields}}, status=status)


def tool(name: str = "get_weather", parameters: Any = None, **function: Any) -> dict[str, Any]:
    if parameters is None:
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    described = {"name": name, "description": "a tool", "parameters": parameters, **function}
    return {"type": "function", "function": described}


TOOLS = [tool()]


def assistant_call(
    id: str = "c1", name: str = "get_weather", arguments: Any = "{}", **more: Any
) -> dict[str, Any]:
    """An assistant turn of a history with one call."""
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [tool_call(name, arguments, id)],
        **more,
    }


def tool_result(id: str = "c1", content: Any = "22") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def sent_calls(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls in the assistant turns of a request."""
    return [call for message in body["messages"] for call in message.get("tool_calls") or ()]


# ---- Gemini's generateContent


def gemini_parts(parts: Iterable[Any]) -> list[dict[str, Any]]:
    return [part if isinstance(part, dict) else {"text": part} for part in parts]


def gemini_chunk(
    *parts: Any,
    reason: str | None = None,
    usage: Any = None,
    index: int | None = None,
    **candidate: Any,
) -> dict[str, Any]:
    """
    A ``GenerateContentResponse``; texts become text parts, more keywords fields of its candidate.
    """
    found: dict[str, Any] = (
        {"content": {"role": "model", "parts": gemini_parts(parts)}} if parts else {}
    )
    found |= candidate
    if reason:
        found["finishReason"] = reason
    if index is not None:
        found["index"] = index
    chunk = {"candidates": [found], "modelVersion": "gemini-3.8-flash", "responseId": "r1"}
    return {**chunk, "usageMetadata": usage} if usage else chunk


GEMINI_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}


def gemini_response(
    *parts: Any, reason: str | None = "STOP", usage: Any = GEMINI_USAGE, **candidate: Any
) -> Response:
    return json_response(gemini_chunk(*parts, reason=reason, usage=usage, **candidate))


def gemini_stream(*items: Any, cut: bool = False) -> Response:
    """Chunks as Gemini's server-sent events, which have no end mark."""
    return Response(content_type=EVENTS, pieces=sse(items, end=b"\r\n\r\n"), cut=cut)


def function_call(
    args: Any, *, name: str = "get_weather", signature: str = "", id: str = ""
) -> dict[str, Any]:
    call = {"name": name, "args": args, **({"id": id} if id else {})}
    return {"functionCall": call, **({"thoughtSignature": signature} if signature else {})}


def sent_parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a Gemini request, in order."""
    return [part for content in body["contents"] for part in content["parts"]]


# ---- Bedrock's Converse


def converse_response(*blocks: Any, stop: str = "end_turn", **more: Any) -> Response:
    """A Converse response; texts become text blocks."""
    message = {"role": "assistant", "content": gemini_parts(blocks)}
    body = {
        "output": {"message": message},
        "stopReason": stop,
        "usage": CONVERSE_USAGE,
        "metrics": {"latencyMs": 7},
    }
    return json_response({**body, **more}, headers={"x-amzn-RequestId": "req-1"})


CONVERSE_USAGE = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}


def tool_use(
    input: Any, *, id: str = "t1", name: str = "get_weather", **more: Any
) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id, "name": name, "input": input, **more}}


def frame(name: str, payload: Any, *, kind: str = "event") -> bytes:
    """One frame of AWS's event stream; ``kind`` is ``event`` or ``exception``."""
    fields = {f":{kind}-type": name, ":content-type": JSON, ":message-type": kind}
    head = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in fields.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", len(head) + len(body) + 16, len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return whole + struct.pack(">I", zlib.crc32(whole))


def block_delta(index: int, **piece: Any) -> bytes:
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": piece})


def block_start(index: int, **start: Any) -> bytes:
    return frame("contentBlockStart", {"contentBlockIndex": index, "start": start})


def block_stop(index: int) -> bytes:
    return frame("contentBlockStop", {"contentBlockIndex": index})


def converse_stream(
    *frames: Step, stop: str = "end_turn", cut: bool = False, **metadata: Any
) -> Response:
    """
    A ConverseStream response: these frames between ``messageStart`` and ``messageStop`` with its
    metadata.
    """
    usage = {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 7}}
    end = [frame("messageStop", {"stopReason": stop}), frame("metadata", {**usage, **metadata})]
    pieces = [frame("messageStart", {"role": "assistant"}), *frames, *end]
    return Response(
        content_type=FRAMES, headers={"x-amzn-RequestId": "req-1"}, pieces=pieces, cut=cut
    )


def converse_text(text: str, *, stop: str = "end_turn", **metadata: Any) -> Response:
    """A ConverseStream response with one text."""
    return converse_stream(block_delta(0, text=text), block_stop(0), stop=stop, **metadata)


def converse_call(
    name: str, arguments: str, *, id: str = "t1", index: int = 0, **start: Any
) -> list[bytes]:
    """The frames of one streamed call."""
    use = {"toolUseId": id, "name": name, **start}
    return [
        block_start(index, toolUse=use),
        block_delta(index, toolUse={"input": arguments}),
        block_stop(index),
    ]


def sent_blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a Converse request's messages, in order."""
    return [block for message in body["messages"] for block in message["content"]]
