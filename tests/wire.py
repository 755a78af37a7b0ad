"""
A TCP server that sends exact bytes, pauses, cuts and resets, which no HTTP framework lets a test
do.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Reset(Exception):
    """Raised by a script: reset the connection now."""


Step = bytes | float | type[Reset]
"""Bytes to send, seconds to wait, or ``Reset``."""


def http(
    status: int,
    body: Any = b"",
    *,
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> bytes:
    """A complete HTTP response. ``length``: what Content-Length claims; -1 leaves it out."""
    kind = "application/octet-stream"
    if isinstance(body, (dict, list)):
        body, kind = json.dumps(body, ensure_ascii=False).encode(), "application/json"
    fields = {
        "content-type": kind,
        "content-length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    if length == -1:
        del fields["content-length"]
        fields["connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


class Wire:
    """
    Each request takes the next script (the last one repeats); ``requests`` has what arrived, raw.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.scripts: list[Sequence[Step] | Callable[[bytes], Sequence[Step]]] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def script(self, *steps: Step) -> None:
        self.scripts.append(steps)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody; no thread is left."""
        if self._closing.is_set():
            return
        self._closing.set()
        # Closing a listening socket does not wake a thread in its ``accept``; a connection does, on
        # every system.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        self._threads[0].join()
        self._socket.close()
        with self._lock:
            for connection in self._open:
                _hang_up(connection)
        for thread in self._threads[1:]:
            thread.join()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, name=f"wire {self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except ConnectionAbortedError:
                continue
            if self._closing.is_set():
                connection.close()
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as held, self._held(held):
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if isinstance(held, ssl.SSLSocket):
                held.do_handshake()
            while self._answer(held):
                pass

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    @contextlib.contextmanager
    def _held(self, connection: socket.socket) -> Iterator[None]:
        """``close`` hangs up on this connection."""
        with self._lock:
            self._open.add(connection)
        if self._closing.is_set():
            _hang_up(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket) -> bool:
        """Whether the connection may serve another request."""
        request = _read(connection)
        if not request or self._closing.is_set():
            return False
        self.requests.append(request)
        place = min(len(self.requests), len(self.scripts)) - 1
        script = self.scripts[place]
        return self._play(connection, script(request) if callable(script) else script)

    def _play(self, connection: socket.socket, steps: Sequence[Step]) -> bool:
        """Whether the connection may serve another request."""
        for step in steps:
            if step is Reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(step, float):
                if self._closing.wait(step):
                    return False
            elif isinstance(step, bytes):
                connection.sendall(step)
        last = next((step for step in steps if isinstance(step, bytes)), b"").lower()
        return b"connection: close" not in last and _is_whole(
            b"".join(s for s in steps if isinstance(s, bytes))
        )


def _hang_up(connection: socket.socket) -> None:
    """Wake the thread that reads or writes here; it closes the connection."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(
            connection, socket.SHUT_RDWR
        )  # an SSLSocket's own would pull TLS from under that thread


def _is_whole(reply: bytes) -> bool:
    head, _, body = reply.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    # What a script sends behind the last chunk does not end the connection.
    return b"\r\n0\r\n\r\n" in body or body == b"0\r\n\r\n"


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


def body_of(request: bytes) -> Any:
    return json.loads(request.partition(b"\r\n\r\n")[2])


AMPLE = 60.0
"""Timeout of a call that gets a response: no machine is that slow."""
SHORT = 2.0
"""
Timeout of a call that never gets a response and uses all of it: long enough to send the request on
a slow machine.
"""


def timeout_for(steps: Sequence[Step]) -> float:
    """``SHORT`` where a script falls silent, otherwise ``AMPLE``."""
    return SHORT if any(isinstance(step, float) for step in steps) else AMPLE


def until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Wait for another thread's work; the bound only ends what would never end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
