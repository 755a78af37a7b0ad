"""The server under all sandbox vendors: the standard library's threading server, scripts and a record of requests."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from aigc_kit.sandbox.faults import Fault, play, reset

T = TypeVar("T")

_CLOSE_SECONDS = 5.0
_SECRET_HEADERS = frozenset({"authorization", "x-goog-api-key", "x-amz-security-token", "api-key", "cookie"})


@dataclass(frozen=True)
class Recorded:
    """A request that arrived. Credentials in ``headers`` (lower-case names) are masked; ``body`` is JSON where it is."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """
    A reply.

    ``body``: bytes, text, JSON, or an iterable of bytes for a chunked reply. ``delay``: seconds before the head.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    fault: Fault | None = None


@dataclass
class Request:
    """A request as the vendors' rules see it, credentials included."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    def json(self) -> Any:
        """Raises ``ValueError`` when the body is no JSON."""
        return json.loads(self.raw)


class Sandbox:
    """
    A loopback server that stands in for the vendors; a context manager.

    ``url`` is its address, ``requests`` what arrived, ``connections`` how many were opened. ``answer`` scripts the next
    replies; without a script the vendor's rules make them from the request. ``fail`` spoils the next replies on the wire.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, api_key: str = "sandbox-key", link_lifetime: float = 86400.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            port: 0 takes a free one.
            api_key: what the vendors accept as key or token; ``""`` accepts any.
            link_lifetime: seconds that Ark's download links live.
            tls: serve https with this context.
        """
        self.api_key = api_key
        self.link_lifetime = link_lifetime
        self.requests: list[Recorded] = []
        self.files: dict[str, tuple[bytes, str, float]] = {}
        self.described: dict[str, dict[str, str]] = {}
        self.connections = 0
        self.closing = threading.Event()
        self._scripts: list[tuple[str, Answer]] = []
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()
        self._server = _Server((host, port), _Handler)
        self._server.sandbox = self
        if tls is not None:
            # The handshake is the serving thread's: in the accepting one, a client that says nothing holds up all others.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if tls is not None else "http"
        self.url = f"{scheme}://{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=f"sandbox {self._server.server_port}", daemon=True
        )
        self._thread.start()

    @property
    def ark_url(self) -> str:
        """``base_url`` for Volcengine."""
        return f"{self.url}/api/v3"

    def image_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``ImageClient(provider, ...)`` here."""
        if provider in ("gemini", "google"):
            from google.oauth2.credentials import Credentials

            return {
                "project": "sandbox",
                "location": "global",
                "credentials": Credentials(token=self.api_key),
                "base_url": self.url,
            }
        return {"api_key": self.api_key, "base_url": self.ark_url}

    def chat_options(self, provider: str) -> dict[str, Any]:
        """Provider options that point ``ChatClient(provider, ...)`` here."""
        from aigc_kit.sandbox import openai_chat

        if provider in ("gemini", "google"):
            return self.image_options("gemini")
        if provider == "bedrock":
            keys = {"aws_access_key_id": self.api_key, "aws_secret_access_key": "secret"}
            return {"region": "us-east-1", "base_url": self.url, **keys}
        return {"api_key": self.api_key, "base_url": openai_chat.base_url(provider, self.url)}

    def answer(
        self, status: int = 200, body: Any = b"", *, headers: dict[str, str] | None = None, delay: float = 0.0,
        path: str = "", times: int = 1,
    ) -> None:  # fmt: skip
        """Answer the next ``times`` requests whose path contains ``path`` with this instead of by the rules."""
        with self._lock:
            self._scripts += [(path, Answer(status, body, dict(headers or {}), delay))] * times

    def fail(self, kind: str, *, at: int = 0, seconds: float = 0.02, path: str = "", times: int = 1) -> None:
        """
        Spoil the next ``times`` replies to requests whose path contains ``path``.

        Args:
            kind: a key of ``aigc_kit.sandbox.faults.KINDS``. ``"reset unread"`` takes the next connection, whatever its path.
            at: after how many bytes, where the kind says so; negative counts from the end.
            seconds: between two bytes that drip.
        """
        with self._lock:
            self._faults += [(path, Fault(kind, at, seconds))] * times

    def reset(self) -> None:
        """Forget requests, scripts and faults."""
        with self._lock:
            self.requests.clear()
            self._scripts.clear()
            self._faults.clear()
            self.connections = 0

    def storage_options(self, bucket: str = "pictures") -> dict[str, Any]:
        """Options that point ``R2Storage(...)`` here."""
        return {
            "access_key_id": self.api_key, "access_key_secret": "secret", "endpoint": f"{self.url}/s3", "bucket": bucket,
            "public_domain": "assets.example.com",
        }  # fmt: skip

    def close(self) -> None:
        """Hang up on everybody. A reply whose body is being made may take up to five seconds more."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_CLOSE_SECONDS)
        self._server.hang_up(_CLOSE_SECONDS)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def handle(self, request: Request) -> Answer:
        """The reply to a request: scripted, or by the rules of the vendor whose path it has; with its fault."""
        with self._lock:
            self.requests.append(_recorded(request))
            script = _taken(self._scripts, request.path)
            fault = _taken(self._faults, request.path)
        answer = script or self._by_rules(request)
        return replace(answer, fault=fault) if fault else answer

    def accepts(self) -> bool:
        """Count a connection; whether it may be read from."""
        with self._lock:
            self.connections += 1
            for place, (_, fault) in enumerate(self._faults):
                if fault.kind == "reset unread":
                    del self._faults[place]
                    return False
        return True

    def _by_rules(self, request: Request) -> Answer:
        from aigc_kit.sandbox import ark, bedrock, gemini, openai_chat, s3

        for vendor in (ark, openai_chat, gemini, bedrock, s3):
            reply: Answer | None = vendor.handle(request, self)
            if reply is not None:
                return reply
        kept = self.files.get(request.path.lstrip("/"))
        if kept is not None and time.monotonic() <= kept[2]:
            return Answer(200, kept[0], {"content-type": kept[1]})
        return Answer(404, {"error": {"message": f"the sandbox has nothing at {request.path}", "code": "404"}})

    def keep(self, name: str, data: bytes, content_type: str) -> None:
        """Let ``GET /name`` answer with these bytes while the link lives."""
        with self._lock:
            self.files[name] = (data, content_type, time.monotonic() + self.link_lifetime)


def _taken(waiting: list[tuple[str, T]], path: str) -> T | None:
    for place, (part, thing) in enumerate(waiting):
        if part in path and getattr(thing, "kind", "") != "reset unread":
            del waiting[place]
            return thing
    return None


def _recorded(request: Request) -> Recorded:
    headers = {name: "***" if name in _SECRET_HEADERS else value for name, value in request.headers.items()}
    try:
        body = request.json()
    except (ValueError, RecursionError):
        body = request.raw
    return Recorded(request.method, request.path, request.query, headers, body)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    sandbox: Sandbox

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._serving: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that ``hang_up`` knows."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name=f"sandbox {self.server_port}", daemon=True
        )
        with self._lock:
            self._serving[thread] = request
        thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._serving[threading.current_thread()]

    def hang_up(self, seconds: float) -> None:
        """Shut every connection down, and wait for the threads that serve them."""
        with self._lock:
            serving = dict(self._serving)
        for connection in serving.values():
            with contextlib.suppress(OSError):
                # The plain socket's shutdown: that of an SSLSocket would pull TLS from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        end = time.monotonic() + seconds
        for thread in serving:
            thread.join(max(end - time.monotonic(), 0.0))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up; that is their right and no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        if self.server.sandbox.accepts():
            super().handle()
        else:
            select.select([self.connection], [], [], 5)  # when bytes lie there unread, the client has surely sent them
            reset(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(url.path),
            {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()},
            {name.lower(): value for name, value in self.headers.items()},
            self._read(),
        )
        self._reply(self.server.sandbox.handle(request))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, answer: Answer) -> None:
        if answer.delay:
            self.server.sandbox.closing.wait(answer.delay)
        body, kind = _encoded(answer.body)
        headers = {"content-type": kind, **{name.lower(): value for name, value in answer.headers.items()}}
        if answer.fault is not None:
            self.close_connection = True
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {answer.status} X\r\n{lines}".encode("latin-1")
            whole = body if isinstance(body, bytes) else b"".join(body)
            play(answer.fault, self.connection, head, whole, self.server.sandbox.closing)
            return
        if isinstance(body, bytes):
            headers.setdefault("content-length", str(len(body)))
        else:
            headers.setdefault("transfer-encoding", "chunked")
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(body, bytes):
            self.wfile.write(body)
            return
        for piece in body:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _encoded(body: Any) -> tuple[bytes | Iterator[bytes], str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    pieces = isinstance(body, list) and bool(body) and all(isinstance(piece, bytes) for piece in body)
    if isinstance(body, (dict, list)) and not pieces:
        return json.dumps(body, ensure_ascii=False).encode(), "application/json"
    return iter(body), "text/event-stream"
