"""
The other side of every benchmark: a loopback server whose answers are bytes made in advance.

``python upstream.py FOLDER`` prints one line of JSON,
``{"http": ..., "https": ..., "authority": ...}``, and serves until its standard input ends. The
first segment of a path is a scenario, ``[wait<milliseconds>.]<shape>[-<number>]``:

- ``plain``: a small text; streamed, five chunks.
- ``text-1000``, ``tools-1000``: a text or one tool call, streamed in so many chunks, all in one
    write.
- ``limited``: a 429 for each request.
- ``paced-100``: a text of so many chunks, one write every two milliseconds.
- ``endless-20``: like ``text-20``, but the body is never ended. ``stall-5``: five chunks, then
    silence.
- ``picture``: an 8.4 MB picture (``picture-64``: one of 64 pixels square); in base64 from Gemini,
    by address from Ark.

PUT and HEAD are an object store. ``/control/reset`` and ``/control/stats`` tell what arrived since
the last reset.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import functools
import ipaddress
import json
import random
import re
import ssl
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PICTURE_SIDE = 1672
"""Pixels; as noise 8.39 MB."""

PACE = 0.002
"""Seconds between two writes of a paced stream."""

_SCENARIO = re.compile(r"(?:wait(\d+)\.)?([a-z]+)(?:-(\d+))?")
_CREATED = 1_790_000_000


@dataclass
class Stats:
    """
    What arrived since the last reset; ``busy`` counts connections that have not got their whole
    answer.
    """

    connections: int = 0
    requests: int = 0
    busy: int = 0


@dataclass(frozen=True)
class Answer:
    """``parts`` are written one after the other; ``held``: the connection then stays as it is."""

    parts: list[bytes]
    wait: float = 0.0
    paced: bool = False
    held: bool = False


@dataclass(frozen=True)
class Scenario:
    shape: str
    number: int = 5
    wait: float = 0.0

    @classmethod
    def read(cls, text: str) -> Scenario:
        found = _SCENARIO.fullmatch(text)
        if not found:
            raise ValueError(f"no scenario: {text!r}")
        wait, shape, number = found.groups()
        return cls(
            shape, int(number or (PICTURE_SIDE if shape == "picture" else 5)), int(wait or 0) / 1000
        )


# ---- bodies


def words(number: int) -> list[str]:
    """Texts of which no two are equal."""
    return [f" word{place:x} and" for place in range(number)]


@functools.cache
def noise(side: int = PICTURE_SIDE) -> bytes:
    """A valid PNG, ``side`` pixels square, that no compression makes smaller."""
    rows = random.Random(1)
    raw = b"".join(b"\x00" + rows.randbytes(3 * side) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw, 0))
        + chunk(b"IEND", b"")
    )


def frame(event: str, payload: dict[str, Any]) -> bytes:
    """One message of ``vnd.amazon.eventstream``."""
    body = json.dumps(payload).encode()
    names = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack("!H", len(value))
        + value.encode()
        for name, value in names.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(body), len(head))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + head + body
    return message + struct.pack("!I", zlib.crc32(message))


def whole(body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nx-request-id: req-1\r\n{extra}\r\n"
    return head.encode() + body


def chunked(events: list[bytes], kind: str, scenario: Scenario) -> Answer:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nx-request-id: req-1\r\n\r\n"
    parts = [head.encode(), *(b"%x\r\n%b\r\n" % (len(event), event) for event in events)]
    held = scenario.shape in ("endless", "stall")
    if not held:
        parts.append(b"0\r\n\r\n")
    paced = scenario.shape == "paced"
    return Answer(parts if paced else [b"".join(parts)], scenario.wait, paced=paced, held=held)


def plain(body: dict[str, Any], scenario: Scenario) -> Answer:
    return Answer([whole(json.dumps(body).encode())], scenario.wait)


def limited() -> Answer:
    error = {"code": "rate_limit_exceeded", "message": "slow down", "status": "RESOURCE_EXHAUSTED"}
    made = whole(json.dumps({"error": error}).encode(), extra="retry-after-ms: 1\r\n")
    return Answer([made.replace(b"200 OK", b"429 Too Many Requests", 1)])


def sse(events: list[dict[str, Any]], ending: bytes = b"\n\n") -> list[bytes]:
    return [
        b"data: " + json.dumps(event, separators=(",", ":")).encode() + ending for event in events
    ]


_OPENAI_USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def openai(scenario: Scenario) -> Answer:
    message = {
        "role": "assistant",
        "content": "".join(words(5)),
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "gpt-6-luna",
        "choices": [choice],
        "usage": _OPENAI_USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
    return plain(body, scenario)


def openai_stream(scenario: Scenario) -> Answer:
    def event(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": "gpt-6-luna",
            "service_tier": "default",
            "system_fingerprint": "fp_1",
            "choices": [choice],
            "usage": None,
        }

    if scenario.shape == "tools":
        pieces = ['{"text": "', *words(scenario.number - 2), '"}']
        first = {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "tool_0", "arguments": ""},
        }
        events = [event({"role": "assistant", "content": None, "tool_calls": [first]})]
        events += [
            event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            for piece in pieces
        ]
        events.append(event({}, "tool_calls"))
    else:
        events = [event({"role": "assistant", "content": "", "refusal": None})]
        events += [event({"content": word}) for word in words(scenario.number)]
        events.append(event({}, "stop"))
    events.append({**event({}), "choices": [], "usage": _OPENAI_USAGE})
    if scenario.shape == "stall":
        return chunked(sse(events[:-2]), "text/event-stream", scenario)
    return chunked([*sse(events), b"data: [DONE]\n\n"], "text/event-stream", scenario)


def _gemini(parts: list[dict[str, Any]], reason: str | None, tokens: int = 10) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {
        "promptTokenCount": 19,
        "candidatesTokenCount": tokens,
        "totalTokenCount": 19 + tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 19}],
    }
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-3.5-flash",
        "responseId": "reply-1",
    }


def gemini(scenario: Scenario) -> Answer:
    if scenario.shape == "picture":
        data = base64.b64encode(noise(scenario.number)).decode()
        parts = [{"text": "Here it is."}, {"inlineData": {"mimeType": "image/png", "data": data}}]
        return plain(_gemini(parts, "STOP"), scenario)
    return plain(_gemini([{"text": "".join(words(5))}], "STOP"), scenario)


def gemini_stream(scenario: Scenario) -> Answer:
    texts = words(scenario.number)
    events = [_gemini([{"text": text}], None, place) for place, text in enumerate(texts[:-1])]
    if scenario.shape != "stall":
        events.append(_gemini([{"text": texts[-1]}], "STOP", len(texts)))
    return chunked(sse(events, b"\r\n\r\n"), "text/event-stream", scenario)


_BEDROCK_USAGE = {"inputTokens": 19, "outputTokens": 10, "totalTokens": 29}


def bedrock(scenario: Scenario) -> Answer:
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": "".join(words(5))}]}},
        "stopReason": "end_turn",
        "usage": _BEDROCK_USAGE,
        "metrics": {"latencyMs": 1},
    }
    return plain(body, scenario)


def bedrock_stream(scenario: Scenario) -> Answer:
    events = [frame("messageStart", {"role": "assistant"})]
    events += [
        frame(
            "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}, "p": "abcdefgh"}
        )
        for word in words(scenario.number)
    ]
    if scenario.shape != "stall":
        events.append(frame("contentBlockStop", {"contentBlockIndex": 0}))
        events.append(frame("messageStop", {"stopReason": "end_turn"}))
        events.append(frame("metadata", {"usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 1}}))
    return chunked(events, "application/vnd.amazon.eventstream", scenario)


def picture_file(scenario: Scenario) -> Answer:
    return Answer([whole(noise(scenario.number), "image/png")], scenario.wait)


def embeddings(scenario: Scenario) -> Answer:
    """As OpenAI sends them to its own SDK: base64 of float32, 1536 numbers for each of 200 texts."""
    packed = base64.b64encode(struct.pack("<1536f", *(n / 7 for n in range(1536)))).decode()
    data = [{"object": "embedding", "index": n, "embedding": packed} for n in range(200)]
    usage = {"prompt_tokens": 400, "total_tokens": 400}
    return plain(
        {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage},
        scenario,
    )


_ROUTES: dict[str, Callable[[Scenario], Answer]] = {
    ":generateContent": gemini,
    ":streamGenerateContent": gemini_stream,
    "/converse": bedrock,
    "/converse-stream": bedrock_stream,
    "/picture.png": picture_file,
    "/embeddings": embeddings,
}


@functools.lru_cache(maxsize=64)
def answer_of(path: str, streamed: bool, host: str) -> Answer:
    """The answer to a path without its query."""
    _, first, rest = path.split("/", 2)
    scenario = Scenario.read(first)
    if scenario.shape == "limited":
        return limited()
    if rest.endswith("chat/completions"):
        return openai_stream(scenario) if streamed else openai(scenario)
    if rest.endswith("images/generations"):
        item = {
            "url": f"http://{host}/{first}/picture.png",
            "size": f"{PICTURE_SIDE}x{PICTURE_SIDE}",
        }
        usage = {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384}
        return plain(
            {
                "model": "doubao-seedream-4-5-251128",
                "created": _CREATED,
                "data": [item],
                "usage": usage,
            },
            scenario,
        )
    for ending, make in _ROUTES.items():
        if path.endswith(ending):
            return make(scenario)
    raise ValueError(f"no such path: {path}")


# ---- the server


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    stats: Stats
    buffer: bytearray = field(default_factory=bytearray)
    transport: Any = None
    skipped: int = 0  # bytes of an upload that are still to come
    counted: bool = False
    busy: bool = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        self.transport = None

    def data_received(self, data: bytes) -> None:
        if self.skipped:
            taken = min(self.skipped, len(data))
            self.skipped -= taken
            if not self.skipped:
                self._send(_STORED)
            data = data[taken:]
        self.buffer += data
        while not self.skipped and self._request():
            pass

    def _request(self) -> bool:
        """Answer the request at the head of the buffer if it is whole."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end])
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        length = _number(head, b"content-length")
        if method == b"PUT":
            self._count()
            if b"100-continue" in head:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            here = min(length, len(self.buffer) - end - 4)
            del self.buffer[: end + 4 + here]
            self.skipped = length - here
            if not self.skipped:
                self._send(_STORED)
            return True
        if len(self.buffer) < end + 4 + length:
            return False
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        path = target.split(b"?")[0].decode()
        if path.startswith("/control/"):
            self._control(path)
            return True
        self._count()
        if method == b"HEAD":
            self._send(_STORED)
            return True
        try:
            streamed = b'"stream":true' in body or b'"stream": true' in body
            self._send(answer_of(path, streamed, _text(head, b"host")))
        except ValueError as error:
            self._send(
                Answer(
                    [
                        whole(str(error).encode(), "text/plain").replace(
                            b"200 OK", b"404 Not Found", 1
                        )
                    ]
                )
            )
        return True

    def _control(self, path: str) -> None:
        if path.endswith("reset"):
            self.stats.connections = self.stats.requests = 0
        body = json.dumps(vars(self.stats)).encode()
        self.transport.write(whole(body))

    def _count(self) -> None:
        self.stats.requests += 1
        self.stats.busy += not self.busy
        self.busy = True
        if not self.counted:
            self.counted = True
            self.stats.connections += 1

    def _settle(self) -> None:
        self.stats.busy -= self.busy
        self.busy = False

    def _send(self, answer: Answer) -> None:
        if answer.wait:
            asyncio.get_running_loop().call_later(answer.wait, self._write, answer, 0)
        else:
            self._write(answer, 0)

    def _write(self, answer: Answer, place: int) -> None:
        if self.transport is None:
            return
        if answer.paced and place < len(answer.parts):
            self.transport.write(answer.parts[place])
            asyncio.get_running_loop().call_later(PACE, self._write, answer, place + 1)
            return
        if not answer.paced:
            for part in answer.parts:
                self.transport.write(part)
        if not answer.held:
            self._settle()


_STORED = Answer(
    [
        b'HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: "0123456789abcdef"\r\nx-amz-request-id: req-1\r\n\r\n'
    ]
)


def _text(head: bytes, name: bytes) -> str:
    found = re.search(rb"\r\n" + name + rb":[ \t]*([^\r]*)", head, re.IGNORECASE)
    return found.group(1).decode() if found else ""


def _number(head: bytes, name: bytes) -> int:
    return int(_text(head, name) or 0)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """(the server's context, the file that clients must trust); good for 127.0.0.1 and one day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aigc-kit benchmark")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "authority.pem", folder / "key.pem"
    authority.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority


async def serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    stats = Stats()
    context, authority = certificate(folder)
    ports = []
    for tls in (None, context):
        server = await loop.create_server(
            lambda: Connection(stats), "127.0.0.1", 0, ssl=tls, backlog=512
        )
        ports.append(server.sockets[0].getsockname()[1])
    where = {
        "http": f"http://127.0.0.1:{ports[0]}",
        "https": f"https://127.0.0.1:{ports[1]}",
        "authority": str(authority),
    }
    print(json.dumps(where), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(folder))
    else:
        uvloop.run(serve(folder))


if __name__ == "__main__":
    main()
