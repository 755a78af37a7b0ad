"""
The HTTP server below the sandbox: the standard library's, with threads that end when it closes.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from aigc_kit.sandbox.faults import Fault, play, reset
from aigc_kit.sandbox.http import Answer, Request

_UNREAD_SECONDS = 5.0


class Backend(Protocol):
    """What answers the requests that arrive."""

    closing: threading.Event

    def accepts(self) -> bool:
        """Whether a new connection may be read from."""

    def handle(self, request: Request) -> Answer:
        """The answer to a request."""


class Listener(ThreadingHTTPServer):
    """One thread for each connection, all of which ``hang_up`` ends."""

    request_queue_size = 256

    def __init__(self, place: tuple[str, int], backend: Backend) -> None:
        super().__init__(place, _Handler)
        self.backend = backend
        self._serving: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that ``hang_up`` knows."""
        thread = threading.Thread(
            target=self._serve,
            args=(request, client_address),
            name=f"sandbox {self.server_port}",
            daemon=True,
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
                # The plain socket's shutdown: that of an SSLSocket would remove TLS while the other
                # thread reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        end = time.monotonic() + seconds
        for thread in serving:
            thread.join(max(end - time.monotonic(), 0.0))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not an error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def handle(self) -> None:
        if self.server.backend.accepts():
            super().handle()
            return
        # Once bytes lie unread, the client has certainly sent its request.
        select.select([self.connection], [], [], _UNREAD_SECONDS)
        reset(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(url.path),
            {
                name: values[-1]
                for name, values in parse_qs(url.query, keep_blank_values=True).items()
            },
            {name.lower(): value for name, value in self.headers.items()},
            self._read(),
        )
        self._reply(self.server.backend.handle(request))

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
            self.server.backend.closing.wait(answer.delay)
        body, kind = _encoded(answer.body)
        headers = {
            "content-type": kind,
            **{name.lower(): value for name, value in answer.headers.items()},
        }
        if answer.fault is not None:
            self._spoil(answer.fault, answer.status, headers, body)
            return
        if isinstance(body, bytes):
            headers.setdefault("content-length", str(len(body)))
        else:
            headers.setdefault("transfer-encoding", "chunked")
        self._send_head(answer.status, headers)
        if self.command != "HEAD":
            self._send_body(body)

    def _spoil(
        self, fault: Fault, status: int, headers: dict[str, str], body: bytes | Iterator[bytes]
    ) -> None:
        self.close_connection = True
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\n{lines}".encode("latin-1")
        whole = body if isinstance(body, bytes) else b"".join(body)
        play(fault, self.connection, head, whole, self.server.backend.closing)

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, body: bytes | Iterator[bytes]) -> None:
        if isinstance(body, bytes):
            self.wfile.write(body)
            return
        for piece in body:
            if piece:  # an empty chunk would end the body
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _encoded(body: Any) -> tuple[bytes | Iterator[bytes], str]:
    """The body on the wire, and its content type unless the answer names one."""
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    pieces = (
        isinstance(body, list) and bool(body) and all(isinstance(piece, bytes) for piece in body)
    )
    if isinstance(body, (dict, list)) and not pieces:
        return json.dumps(body, ensure_ascii=False).encode(), "application/json"
    return iter(body), "text/event-stream"
