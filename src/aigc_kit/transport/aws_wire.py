"""
urllib3 under boto3, with one deadline for a whole call.

botocore signs and decodes. Its own sender knows only timeouts for each read, which a server that drips bytes outlasts for
hours, and keeps ten connections; this one takes its place.
"""

from __future__ import annotations

import http.client
import io
import socket
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.awsrequest import AWSResponse
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from aigc_kit.transport import names
from aigc_kit.transport.pool import (
    CONNECT_SECONDS,
    MAX_REPLY_BYTES,
    WRITE_BYTES,
    WireError,
    count_send,
    inflate,
    seconds_left,
)

_PIECE = 65536


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
        self.fp = io.BufferedReader(_Reader(sock, plain.detach()), _PIECE)

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


class _PlainConnection(_Timed, HTTPConnection):
    pass


class _TlsConnection(_Timed, HTTPSConnection):
    pass


_BLOCK = 1 << 20
"""Bytes that urllib3 hands to ``send`` at once."""


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Sender:
    """In the place of botocore's ``URLLib3Session``: sends within the thread's deadline. Shared by threads."""

    def __init__(self, *, pool_size: int, ca_file: str, proxies: dict[str, str] | None) -> None:
        """
        Args:
            pool_size: idle connections that are kept for one host.
            ca_file: path of the certificates to trust.
            proxies: scheme -> address; None are the machine's own.
        """
        self._options: dict[str, Any] = {
            "num_pools": 16,
            "blocksize": _BLOCK,
            "maxsize": pool_size,
            "ca_certs": ca_file,
        }
        self._proxies = proxies
        self._managers: dict[str, Any] = {"": self._shaped(urllib3.PoolManager(**self._options))}

    def send(self, request: Any) -> AWSResponse:
        """
        The reply to a signed request; its body is still on the wire.

        Raises:
            WireError: no reply came.
        """
        url = str(request.url)
        proxy = self._proxy_for(url)
        manager = self._manager(proxy)
        target = url if proxy and url.startswith("http:") else _target(url)
        left = seconds_left()
        if left is not None and left <= 0:
            raise WireError("the deadline passed", sent=False, timed_out=True)
        timeout = urllib3.Timeout(connect=min(left or CONNECT_SECONDS, CONNECT_SECONDS), read=left)
        count_send()
        try:
            reply = manager.connection_from_url(url).urlopen(
                request.method, target, body=request.body, headers=dict(request.headers), retries=False, redirect=False,
                assert_same_host=False, preload_content=False, decode_content=False, timeout=timeout,
                chunked=request.headers.get("Transfer-Encoding", "").lower() == "chunked",
            )  # fmt: skip
        except (exceptions.HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            raise _wire_error(error) from error
        return AWSResponse(url, reply.status, reply.headers, _Body(reply))

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, proxy: str) -> Any:
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers.setdefault(proxy, self._shaped(urllib3.ProxyManager(proxy, **self._options)))
        return manager

    @staticmethod
    def _shaped(manager: Any) -> Any:
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        return manager

    def _proxy_for(self, url: str) -> str:
        parts = urlsplit(url)
        found = self._proxies
        if found is None:
            found = urllib.request.getproxies()
            if found and urllib.request.proxy_bypass(parts.hostname or ""):
                return ""
        proxy = found.get(parts.scheme) or found.get("all") or ""
        return proxy if not proxy or "://" in proxy else f"http://{proxy}"


class _Body:
    """The body as botocore reads it: handed on as it comes, each piece within the thread's deadline."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    def stream(self, amt: int = _PIECE, decode_content: bool | None = None) -> Iterator[bytes]:
        """
        Raises:
            WireError: cut, reset, too slow or endless.
        """
        raw = self._raw()
        coding = str(self._reply.headers.get("content-encoding", "")).strip().lower()
        return inflate(raw, MAX_REPLY_BYTES) if coding in ("gzip", "x-gzip", "deflate") else raw

    def _raw(self) -> Iterator[bytes]:
        total = 0
        try:
            for piece in self._pieces():
                total += len(piece)
                if total > MAX_REPLY_BYTES:
                    self._reply.close()
                    raise WireError(f"the reply is longer than {MAX_REPLY_BYTES} bytes", sent=True, too_large=True)
                yield piece
        except (exceptions.HTTPError, OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            self._reply.close()
            raise _wire_error(error) from error
        self._reply.release_conn()

    def _pieces(self) -> Iterator[bytes]:
        if getattr(self._reply, "chunked", False):
            chunks: Iterator[bytes] = self._reply.read_chunked(_PIECE, decode_content=False)  # each as it comes
            return chunks
        # ``read1`` gives what is there; ``read`` would wait for a full buffer while a stream trickles.
        return iter(partial(getattr(self._reply, "read1", None) or self._reply.read, _PIECE), b"")

    def close(self) -> None:
        self._reply.close()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _wire_error(error: Exception) -> WireError:
    """
    Whether the request may have arrived, told from the exception.

    A failed TLS handshake and a refused connection did not carry it; everything later may have.
    """
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
