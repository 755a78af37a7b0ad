"""
urllib3 with one deadline for a whole call.

Timeouts of its own are for each read, which a server that drips bytes outlasts for hours.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from aigc_kit.transport import names
from aigc_kit.transport.deadline import CONNECT_SECONDS, WireError, mark_sent, seconds_left
from aigc_kit.transport.exchange import WRITE_BYTES
from aigc_kit.transport.interrupts import let_out

FAILURES = (exceptions.HTTPError, OSError, http.client.HTTPException, ValueError)
"""What urllib3 and the standard library under it raise while they connect and send."""

POOLS = 16
"""Origins whose connections are kept."""

PIECE = 65536
"""Bytes of one read."""


class _Reader(io.RawIOBase):
    """The reading side of a socket; each read ends by the thread's deadline."""

    def __init__(self, sock: Any, raw: Any) -> None:
        self._socket = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = seconds_left()
        if left is not None:
            if left <= 0:
                raise TimeoutError("the deadline passed")
            self._socket.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        plain: Any = self.fp
        self.fp = io.BufferedReader(_Reader(sock, plain.detach()), PIECE)

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            # http.client passes over 100 alone and would take a 103 for the reply.
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Timed:
    """What both connection classes add."""

    response_class: Any = _Response

    def connect(self: Any) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except TimeoutError as error:  # in the middle of the TLS handshake
            raise exceptions.ConnectTimeoutError(self, "the handshake was not over in time") from error

    def _new_conn(self: Any) -> socket.socket:
        """What urllib3 opens a connection with; its own tries each address of a name for the whole time."""
        try:
            found = names.addresses(self.host.strip("[]"), self.port or 0, _connect_seconds())
        except TimeoutError as error:
            raise exceptions.ConnectTimeoutError(self, str(error)) from error
        except (OSError, UnicodeError) as error:
            raise exceptions.NewConnectionError(self, f"the name {self.host!r} cannot be resolved") from error
        failure: Exception | None = None
        for address in found:
            try:
                made = socket.create_connection((address, self.port), timeout=_connect_seconds())
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise exceptions.ConnectTimeoutError(self, "the connection was not open in time") from failure
        raise exceptions.NewConnectionError(self, f"no connection: {failure}") from failure

    def send(self: Any, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            super().send(data)  # type: ignore[misc]
            return
        view = memoryview(data)
        for start in range(0, len(view), WRITE_BYTES):
            left = seconds_left()
            if left is not None:
                if left <= 0:
                    raise TimeoutError("the deadline passed")
                self.sock.settimeout(left)
            self.sock.sendall(view[start : start + WRITE_BYTES])


def _connect_seconds() -> float:
    left = seconds_left()
    return CONNECT_SECONDS if left is None else max(min(left, CONNECT_SECONDS), 0.001)


_BLOCK = 1 << 20
"""Bytes that urllib3 hands to ``send`` at once."""


class _PlainConnection(_Timed, HTTPConnection):
    pass


class _TlsConnection(_Timed, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def manager(proxy: str = "", **options: Any) -> Any:
    """A ``PoolManager`` or ``ProxyManager`` whose connections keep the thread's deadline."""
    options = {"num_pools": POOLS, "blocksize": _BLOCK, **options}
    made: Any = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    made.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return made


def opened(pool: Any, method: str, url: str, *, target: str = "", **options: Any) -> Any:
    """
    The reply to one request, its body still on the wire. Never sent twice, never redirected, never decoded.

    Args:
        pool: of a ``manager``, for the origin of ``url``.
        target: what stands in the request line; unset: the path and query of ``url``, byte for byte.

    Raises:
        WireError: the deadline was over before.
        FAILURES: no reply came.
    """
    left = seconds_left()
    if left is not None and left <= 0:
        raise WireError("the deadline passed", sent=False, timed_out=True)
    mark_sent()
    return pool.urlopen(
        method, target or target_of(url), retries=False, redirect=False, assert_same_host=False, preload_content=False,
        decode_content=False, timeout=urllib3.Timeout(connect=_connect_seconds(), read=left), **options,
    )  # fmt: skip


def pieces(reply: Any) -> Iterator[bytes]:
    """The body as it comes."""
    if getattr(reply, "chunked", False):
        chunks: Iterator[bytes] = reply.read_chunked(PIECE, decode_content=False)
        return chunks
    # ``read1`` gives what is there; ``read`` would wait for a full buffer while a stream trickles.
    return iter(partial(getattr(reply, "read1", None) or reply.read, PIECE), b"")


def target_of(url: str) -> str:
    """What stands in the request line."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def wire_error(error: Exception) -> WireError:
    """
    Whether the request may have arrived, told from the exception.

    A failed TLS handshake and a refused connection did not carry it; everything later may have.
    """
    let_out(error)
    refused = isinstance(error, exceptions.NewConnectionError)  # for urllib3 a kind of ConnectTimeoutError
    unsent = (
        exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.NameResolutionError,
        exceptions.ProxyError, exceptions.SSLError, exceptions.LocationValueError,
    )  # fmt: skip
    timed_out = isinstance(error, (exceptions.TimeoutError, TimeoutError)) or isinstance(
        error.__cause__ or error.__context__, TimeoutError
    )
    left = seconds_left()
    return WireError(
        f"{type(error).__name__}: {error}", sent=not isinstance(error, unsent),
        timed_out=(timed_out and not refused) or (left is not None and left <= 0),
    )  # fmt: skip
