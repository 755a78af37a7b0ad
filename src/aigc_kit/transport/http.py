"""
One HTTP exchange under an SDK, for httpx and for httpx2 (the SDKs of 2026 use the second).

What both generations lack is added at the socket: one deadline for a whole call, however slowly
bytes drip. The SDK and whatever observes it see the true status line and headers. The body of a
success is taken over before the SDK decodes it; that of an error is read here, within its bound,
and shown to both.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from aigc_kit.transport.deadline import (
    DRAIN_SECONDS,
    Deadline,
    WireError,
    current_exchange,
    deadline_of,
    mark_sent,
    stand_in_of_this_thread,
)
from aigc_kit.transport.interrupts import without_frames
from aigc_kit.transport.network import WRITE_BYTES, failures_of, wire_error_of

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""
Largest response that is read: four 4K images in base64 with room to spare. Looked up at each call.
"""

MAX_ERROR_BYTES = 1024 * 1024
"""Largest error body that is read."""

_SLACK = 64 * 1024


class Response:
    """
    An HTTP response whose body is still on the wire.

    ``headers`` has lower-case names; of a repeated header the last value. Exhaust or close it.
    """

    __slots__ = (
        "_core",
        "_ended",
        "_response",
        "_source",
        "_stream",
        "headers",
        "held",
        "size",
        "status",
    )

    def __init__(self, core: Any, response: Any, ended: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            response: httpcore's.
            ended: called once, when the response is closed.
        """
        self._core = core
        self._response = response
        self._ended: Callable[[], None] | None = ended
        self.status: int = response.status
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        self._stream = response.stream
        self._source: Iterator[bytes] | None = None
        self.size = 0
        """Bytes of the body that were read, content coding undone."""
        self.held: bytes | None = None
        """The body, where it was read already, content coding undone."""

    def ended_with(self, told: Callable[[Response], None]) -> None:
        """Call this with the response too, when it is closed."""
        before = self._ended
        if before is None:  # closed already, as after an error
            told(self)
            return

        def ended() -> None:
            before()
            told(self)

        self._ended = ended

    def shown(self) -> Any:
        """The response as httpcore has it: the true head, and the body where it was read."""
        headers, extensions = self._response.headers, self._response.extensions
        if self.held and self.headers.get("content-encoding"):
            coded = (b"content-encoding", b"content-length")
            headers = [(name, value) for name, value in headers if name.lower() not in coded]
        return self._core.Response(
            self.status, headers=headers, content=self.held or b"", extensions=extensions
        )

    def hold(self, limit: int) -> None:
        """
        Read the body within this thread's deadline and keep it; of one that is cut or too long,
        what came.
        """
        body = Gathered()
        try:
            for chunk in self.chunks(limit=limit, inflated=limit):
                body.add(chunk, -1)
        except WireError:
            pass
        finally:
            self.close()
        self.held = body.taken()

    @property
    def length(self) -> int:
        """
        Bytes of the body as its head says; 0 when it says nothing, or nothing that can be meant.
        """
        text = self.headers.get("content-length", "")
        length = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        return length if length <= MAX_RESPONSE_BYTES else 0

    def chunks(self, *, limit: int | None = None, inflated: int | None = None) -> Iterator[bytes]:
        """
        The body as it comes, content coding undone. Set the deadline around each step with
        ``deadline_of``.

        Args:
            limit: bytes; None is ``MAX_REPLY_BYTES``.

        Raises:
            WireError: cut, reset, too slow, longer than ``limit`` bytes (``inflated`` where it came
                compressed without a request for it), or in a coding that is not known.
        """
        limit = MAX_RESPONSE_BYTES if limit is None else min(limit, MAX_RESPONSE_BYTES)
        if self.held is not None:
            self.size = len(self.held)
            yield self.held
            return
        raw = self._raw()
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in ("", "identity"):
            source = raw
        elif coding in ("gzip", "x-gzip", "deflate"):
            limit = limit if inflated is None else min(limit, inflated)
            source = inflate(raw, limit)
        else:
            raise WireError(
                f"the response has content coding {coding!r}, which was not asked for", sent=True
            )
        total = 0
        for chunk in source:
            self.size = total = total + len(chunk)
            if total > limit:
                raise WireError(
                    f"the response is longer than {limit} bytes", sent=True, too_large=True
                )
            yield chunk

    def file(self) -> Iterator[bytes]:
        """
        A body for the disk as it comes, however long it is. Set the deadline around each step.

        Raises:
            WireError: cut, reset, too slow, or in a content coding.
        """
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            raise WireError(f"the file has content coding {coding!r}", sent=True)
        return self._raw()

    def read(
        self, deadline: Deadline, *, limit: int | None = None, inflated: int | None = None
    ) -> bytes:
        """
        The whole body; the connection goes back to the pool.

        Args:
            limit: bytes; None is ``MAX_REPLY_BYTES``.

        Raises:
            WireError: see ``chunks``; ``came`` is what had come.
        """
        body, left = Gathered(), self.length or -1
        try:
            with deadline_of(deadline):
                for chunk in self.chunks(limit=limit, inflated=inflated):
                    left = max(left - len(chunk), 0) if left >= 0 else left
                    body.add(chunk, left)
            return body.taken()
        except WireError as error:
            error.came = b"" if error.too_large else body.taken()
            raise
        finally:
            self.close()

    def drain(self) -> None:
        """Read to the end if it comes at once, which saves the connection; otherwise drop it."""
        try:
            with deadline_of(Deadline.after(DRAIN_SECONDS)):
                spent = 0
                for chunk in self._raw():
                    spent += len(chunk)
                    if spent > WRITE_BYTES:
                        break
        except WireError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """
        Give the connection back when the body was read to its end and nothing lies behind it, else
        close it.

        Bytes behind a response would be the answer to the next request. RFC 9112 6.3,
        https://github.com/benoitc/hackney/pull/885
        """
        try:
            socket = self._response.extensions.get("network_stream")
            if _has_more(self._stream) and socket is not None:
                socket.close()
            self._stream.close()
        except (OSError, RuntimeError):
            pass
        except Exception as error:
            if not isinstance(error, failures_of(self._core)):
                raise
        finally:
            ended, self._ended = self._ended, None
            if ended is not None:
                ended()

    def _raw(self) -> Iterator[bytes]:
        if self._source is None:
            self._source = self._read()
        return self._source

    def _read(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except failures_of(self._core) as error:
            raise wire_error_of(self._core, error, sent=True) from without_frames(error)


def _has_more(stream: Any) -> bool:
    """
    Whether bytes were read that do not belong to this response.

    h11 holds them and would take them for the next one; httpcore does not expose it, so this goes
    through private attributes. Where they are not there, it looks at nothing, as httpcore itself
    does.
    """
    connection = getattr(getattr(stream, "_stream", None), "_connection", None)
    state = getattr(connection, "_h11_state", None)
    held = getattr(state, "trailing_data", None)
    return bool(held and held[0])


class Gathered:
    """
    A body, or an image in one, as it comes; in memory once.

    Memory that grows while it is filled would be there twice whenever it has to move. So room for
    all of it is made as soon as a sixteenth is there: an announced length alone is not a reason to
    believe it. A little more than needed is asked for, and given back at the end: glibc takes a
    block from the heap when one of its size was freed before, where whatever small thing comes to
    lie behind it keeps the hole from fitting the next image, and a busy process grew to five times
    its images. A block larger than any that was freed is mapped, and goes back whole.
    """

    __slots__ = ("_out", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._out: io.BytesIO | None = None

    def add(self, piece: bytes, left: int) -> None:
        """
        Args:
            left: bytes that are announced to follow; below 0: unknown.
        """
        if self._out is None:
            self._pieces.append(piece)
            self._size += len(piece)
            if left >= 0 and (left <= _SLACK or left > 16 * self._size):
                return
            self._out = io.BytesIO()
            if left > 0:
                self._out.seek(self._size + left + _SLACK)
                self._out.write(b"\0")
                self._out.seek(0)
            for earlier in self._pieces:
                self._out.write(earlier)
            self._pieces.clear()
        else:
            self._out.write(piece)

    def taken(self) -> bytes:
        """All of it; the buffer itself, not a copy."""
        if self._out is None:
            return b"".join(self._pieces)
        self._out.truncate()
        return self._out.getvalue()


def inflate(raw: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """
    Undo gzip or zlib in bounded steps; one 64 KiB read of a bomb would otherwise become 67 MB at
    once.
    """
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    total = 0
    try:
        for chunk in raw:
            rest = chunk
            while rest:
                piece = decoder.decompress(rest, 1 << 20)
                total += len(piece)
                if total > limit:
                    raise WireError(
                        f"the response is longer than {limit} bytes", sent=True, too_large=True
                    )
                yield piece
                rest = decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as error:
        raise WireError(f"the compressed response is broken: {error}", sent=True) from error
    if not decoder.eof:
        raise WireError("the compressed response was cut", sent=True)


class Connections:
    """
    The connections of one pool of httpcore, used as an ``HTTPTransport`` of httpx uses its pool.
    """

    def __init__(self, core: Any, pool: Any) -> None:
        self._core = core
        self._pool = pool
        # A set and a flag instead of a lock: what an application lets strike between taking a lock
        # and giving it back (a worker's time limit) would stop every later call.
        self._running: set[object] = set()
        self._closing = False

    def handle_request(self, request: Any) -> Any:
        """
        The response as httpcore has it: its true head, and the body of an error.

        The body of a success belongs to the exchange of this thread; without one it is read here.
        """
        exchange = current_exchange()
        if exchange is not None and exchange.secrets:
            names = {name.lower().encode() for name in exchange.secrets}
            request.headers = [pair for pair in request.headers if pair[0].lower() not in names]
            request.headers += [
                (name.encode(), value.reveal().encode()) for name, value in exchange.secrets.items()
            ]
        response = self._send(request)
        if exchange is not None:
            exchange.answered(response)
        if not 200 <= response.status < 300:
            response.hold(MAX_ERROR_BYTES)
        elif exchange is None:
            response.hold(MAX_RESPONSE_BYTES)
        return response.shown()

    def _send(self, request: Any) -> Response:
        if stand_in_of_this_thread() is not None:
            from aigc_kit.transport.offline import response_to  # vendor batches alone

            made = response_to(request, self._core)
            if made is not None:
                return Response(self._core, made)
        mark_sent()
        call = object()
        self._running.add(call)
        try:
            response = self._pool.handle_request(request)
        except BaseException as error:
            self._ended(call)
            if isinstance(error, failures_of(self._core)):
                raise wire_error_of(self._core, error, sent=True) from without_frames(error)
            raise
        return Response(self._core, response, partial(self._ended, call))

    def _ended(self, call: object) -> None:
        self._running.discard(call)
        if self._closing and not self._running:
            self._pool.close()

    def close(self) -> None:
        """Close the connections, or let the last call that runs close them: it may be paid for."""
        self._closing = True
        if not self._running:
            self._pool.close()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def httpx_transport(httpx: Any, context: Any, connections: Any) -> Any:
    """
    A transport of httpx over these connections.

    httpx has no public way to give its own transport a network backend, and what observes httpx
    (OpenTelemetry's instrumentation) watches that class alone. So its pool is replaced, a private
    attribute in httpx 0.28 and httpx2 2.16; where it is not there, a transport of ours does the
    same, unobserved.
    """
    made = httpx.HTTPTransport(verify=context, trust_env=False)
    if hasattr(made, "_pool"):
        made.close()
        made._pool = connections
        return made
    return _own_transport(httpx, connections)


def _own_transport(httpx: Any, connections: Any) -> Any:
    core = import_module(httpx.__name__.replace("httpx", "httpcore"))

    class Transport(httpx.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            url = request.url
            response = connections.handle_request(
                core.Request(
                    method=request.method,
                    url=core.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=httpx.ByteStream(response.read()),
                extensions=response.extensions,
            )

        def close(self) -> None:
            connections.close()

    return Transport()
