"""
urllib3 under boto3, with one deadline for a whole call.

botocore signs and decodes. Its own sender knows only timeouts for each read, which a server that
drips bytes outlasts for hours; this one takes its place.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from functools import partial
from http.client import SWITCHING_PROTOCOLS, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.awsrequest import AWSResponse
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from aigc_kit.transport import http, network
from aigc_kit.transport.deadline import CONNECT_SECONDS, WireError, mark_sent, seconds_left
from aigc_kit.transport.interrupts import let_out
from aigc_kit.transport.network import WRITE_BYTES
from aigc_kit.transport.offline import held_for
from aigc_kit.transport.proxies import Proxies

FAILURES = (exceptions.HTTPError, OSError, HTTPException, ValueError)
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


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        plain: Any = self.fp
        self.fp = io.BufferedReader(_Reader(sock, plain.detach()), PIECE)

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            # HTTPResponse passes over 100 alone and would take a 103 for the response.
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Timed:
    """What both connection classes add."""

    response_class: Any = _Response

    def connect(self: Any) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except TimeoutError as error:  # in the middle of the TLS handshake
            raise exceptions.ConnectTimeoutError(
                self, "the handshake was not over in time"
            ) from error

    def _new_conn(self: Any) -> socket.socket:
        """
        What urllib3 opens a connection with; its own tries each address of a name for the whole
        time.
        """
        try:
            found = network.addresses(self.host.strip("[]"), self.port or 0, _connect_seconds())
        except TimeoutError as error:
            raise exceptions.ConnectTimeoutError(self, str(error)) from error
        except (OSError, UnicodeError) as error:
            raise exceptions.NewConnectionError(
                self, f"the name {self.host!r} cannot be resolved"
            ) from error
        failure: Exception | None = None
        for address in found:
            try:
                made = socket.create_connection((address, self.port), timeout=_connect_seconds())
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise exceptions.ConnectTimeoutError(
                self, "the connection was not open in time"
            ) from failure
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
    The response to one request, its body still on the wire. Never sent twice, never redirected,
    never decoded.

    Args:
        pool: of a ``manager``, for the origin of ``url``.
        target: what stands in the request line; unset: the path and query of ``url``, byte for
            byte.

    Raises:
        WireError: the deadline was over before.
        FAILURES: no response came.
    """
    left = seconds_left()
    if left is not None and left <= 0:
        raise WireError("the deadline passed", sent=False, timed_out=True)
    mark_sent()
    return pool.urlopen(
        method,
        target or target_of(url),
        retries=False,
        redirect=False,
        assert_same_host=False,
        preload_content=False,
        decode_content=False,
        timeout=urllib3.Timeout(connect=_connect_seconds(), read=left),
        **options,
    )


def pieces(response: Any) -> Iterator[bytes]:
    """The body as it comes."""
    if getattr(response, "chunked", False):
        chunks: Iterator[bytes] = response.read_chunked(PIECE, decode_content=False)
        return chunks
    # ``read1`` gives what is there; ``read`` would wait for a full buffer while a stream trickles.
    return iter(partial(getattr(response, "read1", None) or response.read, PIECE), b"")


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
    refused = isinstance(
        error, exceptions.NewConnectionError
    )  # for urllib3 a kind of ConnectTimeoutError
    unsent = (
        exceptions.NewConnectionError,
        exceptions.ConnectTimeoutError,
        exceptions.NameResolutionError,
        exceptions.ProxyError,
        exceptions.SSLError,
        exceptions.LocationValueError,
    )
    timed_out = isinstance(error, (exceptions.TimeoutError, TimeoutError)) or isinstance(
        error.__cause__ or error.__context__, TimeoutError
    )
    left = seconds_left()
    return WireError(
        f"{type(error).__name__}: {error}",
        sent=not isinstance(error, unsent),
        timed_out=(timed_out and not refused) or (left is not None and left <= 0),
    )


class Sender:
    """
    In the place of botocore's ``URLLib3Session``: sends within the thread's deadline. Shared by
    threads.
    """

    def __init__(self, *, pool_size: int, ca_file: str, proxies: dict[str, str] | None) -> None:
        """
        Args:
            pool_size: idle connections that are kept for one host.
            ca_file: path of the certificates to trust.
            proxies: scheme -> address; None are the machine's own.
        """
        self._options: dict[str, Any] = {"maxsize": pool_size, "ca_certs": ca_file}
        self._proxies = proxies
        # Read once, as httpx does: going through all the variables costs a tenth of a call.
        self._of_machine = Proxies.read() if proxies is None else Proxies()
        self._managers: dict[str, Any] = {"": manager(**self._options)}
        self._pools: dict[tuple[str, str], Any] = {}

    def send(self, request: Any) -> AWSResponse:
        """
        The response to a signed request; its body is still on the wire.

        Raises:
            WireError: no response came.
        """
        url = str(request.url)
        held = held_for(
            request.method, url, _texts(request.headers), lambda: _bytes_of(request.body)
        )
        if held is not None:
            return AWSResponse(url, held.status, dict(held.headers), _There(held.body))
        proxy = self._proxy_for(url)
        try:
            response = opened(
                self._pool(url, proxy),
                request.method,
                url,
                target=url if proxy and url.startswith("http:") else "",
                body=_at_hand(request.body),
                headers=dict(request.headers),
                chunked=request.headers.get("Transfer-Encoding", "").lower() == "chunked",
            )
        except FAILURES as error:
            raise wire_error(error) from error
        return AWSResponse(url, response.status, response.headers, _Body(response))

    def close(self) -> None:
        self._pools.clear()
        for manager in self._managers.values():
            manager.clear()

    def _pool(self, url: str, proxy: str) -> Any:
        """
        The connections to the origin of ``url``; found by its text, as urllib3 takes it apart for
        each call.
        """
        key = (url[: url.find("/", 8)], proxy)
        found = self._pools.get(key)
        if found is None:
            if proxy not in self._managers:
                self._managers.setdefault(proxy, manager(proxy, **self._options))
            if len(self._pools) >= POOLS:  # the manager drops the oldest too
                self._pools.clear()
            found = self._pools[key] = self._managers[proxy].connection_from_url(url)
        return found

    def _proxy_for(self, url: str) -> str:
        if self._proxies is None:
            return self._of_machine.proxy_for_url(url)
        found = self._proxies.get(urlsplit(url).scheme) or self._proxies.get("all") or ""
        return found if not found or "://" in found else f"http://{found}"


_LARGEST = 16 * 1024 * 1024
_INFLATED = 4 * 1024 * 1024
"""
Bytes of a chat's whole response, and of one that came compressed without being asked for. A stream
is read piece by piece: 128,000 tokens of one are 30 MB of frames.
"""
_STREAM = "application/vnd.amazon.eventstream"


def _at_hand(body: Any) -> Any:
    """
    The bytes themselves of a body that botocore has wrapped into a file: not copied once more to be
    sent.
    """
    return body.getvalue() if type(body) is io.BytesIO and body.tell() == 0 else body


_SIGNED = frozenset({"authorization", "x-amz-security-token"})


def _texts(headers: Any) -> dict[str, str]:
    """Without the signature, which is good for this request alone."""
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
        if name.lower() not in _SIGNED
    }


def _bytes_of(body: Any) -> bytes:
    return body.read() if hasattr(body, "read") else body or b""


class _There:
    """A body that is there, as botocore reads one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, amt: int = 0, decode_content: bool | None = None) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""


class _Body:
    """
    The body as botocore reads it: handed on as it comes, each piece within the thread's deadline.
    """

    def __init__(self, response: Any) -> None:
        self._reply = response

    def stream(self, amt: int = 0, decode_content: bool | None = None) -> Iterator[bytes]:
        """
        Raises:
            WireError: cut, reset, too slow or endless.
        """
        raw = self._raw()
        coding = str(self._reply.headers.get("content-encoding", "")).strip().lower()
        return http.inflate(raw, _INFLATED) if coding in ("gzip", "x-gzip", "deflate") else raw

    def _raw(self) -> Iterator[bytes]:
        kind = str(self._reply.headers.get("content-type", ""))
        whole = http.MAX_RESPONSE_BYTES
        total, limit = 0, whole if kind.startswith(_STREAM) else min(_LARGEST, whole)
        try:
            for piece in pieces(self._reply):
                total += len(piece)
                if total > limit:
                    self._reply.close()
                    raise WireError(
                        f"the response is longer than {limit} bytes", sent=True, too_large=True
                    )
                yield piece
        except (*FAILURES, AttributeError) as error:
            self._reply.close()
            raise wire_error(error) from error
        self._reply.release_conn()

    def close(self) -> None:
        self._reply.close()
