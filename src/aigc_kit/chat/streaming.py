"""
Streams: opening one with retries, reading it to its true end, and the iterator that applications
hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol

from aigc_kit import log
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatResult
from aigc_kit.chat.call import Call
from aigc_kit.chat.endings import cut_off, nothing_came, settled, vendor_failure
from aigc_kit.chat.halves import Halves
from aigc_kit.errors import AIGCError, ContentFilterError, ProviderError, StreamInterruptedError
from aigc_kit.tracing import NOTHING, Span
from aigc_kit.transport import sse
from aigc_kit.transport.answers import body_of, checked_object, decoded, not_json, vendor_error
from aigc_kit.transport.deadline import Deadline, WireError, next_chunk
from aigc_kit.transport.encoding import BROKEN, loaded, quick_decoder
from aigc_kit.transport.error_bodies import is_error
from aigc_kit.transport.failures import RequestContext, failure_of, request_id_of
from aigc_kit.transport.http import Response

_END = b"[DONE]"
_LONGEST_END = 32
"""Bytes of an end mark with white space around it."""

_KEEP_ALIVE = frozenset(
    {
        "",
        "ping",
        "[ping]",
        "keep-alive",
        "keepalive",
        "heartbeat",
        "processing",
        "openrouter processing",
    }
)
"""
Data of events that say only that the connection lives. Source: OpenRouter's and new-api's
documentation, 2026-11.
"""


class Reader(Protocol):
    """A dialect's way to read events into its assembler."""

    def event(self, event: dict[str, Any]) -> ChatChunk | None:
        """
        One decoded event; the chunk that it makes, or None.

        Raises:
            ProviderError: the event is the vendor's error.
        """

    def salvaged(self, body: dict[str, Any]) -> ChatResult | None:
        """What of an answer stands in a body that is the vendor's error."""

    def end(self) -> None:
        """After the last event; may raise."""


def open_stream(
    call: Call,
    context: RequestContext,
    assembler: Assembler,
    send: Callable[[Deadline], Response],
    reader: Callable[[], Reader],
) -> Iterator[ChatChunk]:
    """
    The chunks of one answer.

    Until the first content has come, an error is the plain call's error and is retried like one.

    Raises:
        StreamInterruptedError: it failed after that.
        ProviderError: the error of a plain call.
    """

    def attempt(deadline: Deadline) -> tuple[Iterator[ChatChunk], list[ChatChunk]]:
        assembler.clear()
        response = send(deadline.sooner(call.options.first_chunk_timeout))
        if response.status != 200:
            body_of(context, response, deadline)
        call.options.limit = deadline.sooner(call.options.first_chunk_timeout).at
        chunks = _chunks(response, deadline, call, context, assembler, reader())
        return chunks, opened(chunks, assembler)

    (chunks, head), _ = call.options.policy.run(attempt)
    yield from head
    yield from after_content(chunks, assembler)


def until_content(chunks: Iterator[ChatChunk]) -> list[ChatChunk]:
    """The chunks up to the first that has content, or all."""
    head: list[ChatChunk] = []
    for chunk in chunks:
        head.append(chunk)
        if chunk.delta_content or chunk.delta_reasoning or chunk.tool_calls or chunk.images:
            break
    return head


def opened(chunks: Iterator[ChatChunk], assembler: Assembler) -> list[ChatChunk]:
    """
    The chunks up to the first that has content.

    Raises:
        ServerError: the answer ended before that, with the vendor's failure for a reason.
        ConnectionFailedError, InvalidReplyError: it was cut before that, or ended in order; as those
            of a plain call.
    """
    try:
        head = until_content(chunks)
    except StreamInterruptedError as error:
        cause = error.__cause__
        if assembler.has_answer():
            raise
        if isinstance(cause, ProviderError):
            raise cause from cause.__cause__
        raise nothing_came(assembler, str(error)) from None
    failure = None if assembler.has_answer() or assembler.reasoning else vendor_failure(assembler)
    if failure is not None:
        raise failure
    return head


def after_content(chunks: Iterator[ChatChunk], assembler: Assembler) -> Iterator[ChatChunk]:
    """The rest of the chunks; a vendor's error among them is an interruption."""
    try:
        yield from chunks
    except StreamInterruptedError:
        raise
    except ContentFilterError as cause:
        if assembler.finish_reason and not assembler.has_answer():
            raise  # the answer ended, and all of it was blocked: nothing but reasoning had come
        raise cut_off(assembler, str(cause), cause) from cause
    except ProviderError as cause:
        raise cut_off(assembler, str(cause), cause) from cause


def _chunks(
    response: Response,
    deadline: Deadline,
    call: Call,
    context: RequestContext,
    assembler: Assembler,
    reader: Reader,
) -> Iterator[ChatChunk]:
    """The chunks of an open response, read to ``[DONE]`` or to the end of its body."""
    assembler.request_id = request_id_of(response.headers)
    assembler.headers = response.headers
    ended = False
    decode, timed = quick_decoder(), call.options.is_timed
    try:
        pieces = _bytes(response, deadline, call, context, assembler)
        for raw in context.all_masked(sse.events(pieces)):
            if len(raw) < _LONGEST_END and raw.strip().upper() == _END:
                ended = True
                break
            event = _event(raw, decode, context, assembler)
            if type(event) is dict:
                chunk = reader.event(event)
                if chunk is not None:
                    yield chunk
            elif event is not None:
                yield from _of_list(event, reader, assembler)
            else:
                continue
            if timed:
                call.options.heard()
    finally:
        if ended:
            response.drain()
        else:
            response.close()
    last = assembler.flush()
    if last is not None:
        yield last
    reader.end()
    if not (ended or assembler.is_whole or assembler.finish_reason):
        said = f": {assembler.finish_message}" if assembler.finish_message else ""
        raise cut_off(assembler, f"it ended without a finish reason{said}")


def _of_list(event: Any, reader: Reader, assembler: Assembler) -> Iterator[ChatChunk]:
    """The chunks of an event that is a list of events, as relays of Gemini send them."""
    for part in event if isinstance(event, list) else (event,):
        if not isinstance(part, dict):
            raise cut_off(assembler, f"an event is not an object but {type(part).__name__}")
        chunk = reader.event(part)
        if chunk is not None:
            yield chunk


def _bytes(
    response: Response,
    deadline: Deadline,
    call: Call,
    context: RequestContext,
    assembler: Assembler,
) -> Iterator[bytes]:
    """
    The bytes of a stream, each within its deadline.

    Raises:
        StreamInterruptedError: cut, reset or silent.
    """
    source, options = response.chunks(), call.options
    at = min(deadline.at, options.limit)
    try:
        while True:
            chunk = next_chunk(source, at)
            if chunk is None:
                return
            yield chunk
            if options.is_timed:
                at = min(deadline.at, options.limit)
    except WireError as error:
        cause = failure_of(context, error, deadline, response.headers)
        raise cut_off(assembler, context.redact(str(error)), cause) from cause


def _event(
    raw: bytes, decode: Callable[[bytes], Any], context: RequestContext, assembler: Assembler
) -> Any:
    """The decoded event; None for one that says nothing."""
    try:
        return decode(raw)
    except ValueError:
        event = loaded(raw)
    if event is not BROKEN:
        return event
    text = raw.strip()
    if text.startswith(b"data:"):  # a finished line that was framed again: sysid/sse-starlette#106
        return _event(text[5:], decode, context, assembler) if text[5:].strip() != _END else None
    if text.decode("utf-8", "replace").lower().strip(": ") in _KEEP_ALIVE:
        return None
    if text.startswith((b"{", b"[")):
        raise cut_off(assembler, f"an event is not JSON: {raw[:80]!r}")
    raise not_json(context, raw, request_id=assembler.request_id)


def read_body(
    context: RequestContext, raw: bytes, headers: Mapping[str, str], reader: Reader
) -> dict[str, Any] | None:
    """
    A whole body: the JSON object, or None when it was a stream, which ``reader`` has read.

    The body decides, not its content type. Source: openclaw/openclaw#97454, unslothai/unsloth#6570.

    Raises:
        InvalidReplyError: it is neither.
        ProviderError: it is an error in a 200.
    """
    body = decoded(raw)
    if (
        isinstance(body, list)
        and body
        and not is_error(body)
        and all(isinstance(item, dict) for item in body)
    ):
        _read_all(body, reader)
        return None
    if isinstance(body, dict) and is_error(body):
        error = vendor_error(context, body, headers)
        error.result = reader.salvaged(body)
        raise error
    if isinstance(body, dict):
        return body
    if body is not None:
        return checked_object(context, body, headers)
    found = _events_in(raw)
    if not found:
        raise not_json(context, raw, request_id=request_id_of(headers))
    _read_all(found, reader)
    return None


def _read_all(found: list[dict[str, Any]], reader: Reader) -> None:
    for event in found:
        reader.event(event)
    reader.end()


def _events_in(raw: bytes) -> list[dict[str, Any]]:
    """The events of a body that is a stream although none was asked for; empty when it has none."""
    found: list[dict[str, Any]] = []
    for data in sse.events([raw]):
        if data.strip().upper() == _END:
            break
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            continue
        found += [
            part
            for part in (event if isinstance(event, list) else [event])
            if isinstance(part, dict)
        ]
    return found


class ChatStream(Iterator[ChatChunk]):
    """
    An answer as it comes: iterate it, then read ``result``. Close it, or use it as a context
    manager, to leave early.

    Raises, while iterating:
        StreamInterruptedError: it ended before its end; ``partial`` is what was received.
    """

    def __init__(
        self,
        source: Iterator[ChatChunk],
        assembler: Assembler,
        *,
        finish: Callable[[ChatResult], ChatResult] | None = None,
        feeds: bool = False,
    ) -> None:
        """
        Args:
            finish: the last step on the whole answer (validation).
            feeds: the source's chunks are all there is; gather the answer from them.
        """
        self._source = source
        self._assembler = assembler
        self._finish = finish
        self._feeds = feeds
        self._result: ChatResult | None = None
        self._closed = False
        self._halves = Halves()
        self._span: Span | None = None
        """While it is watched."""
        self._awaited: Span | None = None
        """The same until the first chunk has come."""

    def watched(self, span: Span) -> ChatStream:
        """Tell this span what becomes of the stream."""
        if span is not NOTHING:
            self._span = self._awaited = span
        return self

    def __iter__(self) -> ChatStream:
        return self

    def __next__(self) -> ChatChunk:
        if self._closed or self._result is not None:
            raise StopIteration
        try:
            chunk = self._halves.joined(next(self._source))
        except StopIteration:
            rest = self._halves.rest()
            if rest is None:
                self._end()
                raise
            chunk = rest
        except BaseException as error:
            if self._span is not None:
                self._span.failed(error)
            self.close()
            if isinstance(error, AIGCError):
                log.failed("chat", error)
            if isinstance(error, AIGCError) or not isinstance(error, Exception) or self._feeds:
                raise
            raise cut_off(self._assembler, f"it cannot be read: {type(error).__name__}") from error
        if self._feeds:
            _take(self._assembler, chunk)
        if self._awaited is not None:
            self._awaited.first_chunk()
            self._awaited = None
        return chunk

    @property
    def result(self) -> ChatResult:
        """
        The whole answer, after the last chunk.

        Raises:
            StreamInterruptedError: the stream has not ended, or was closed early; ``partial`` is
                what came.
        """
        if self._result is None:
            raise StreamInterruptedError(
                "the stream has not ended yet: iterate it to its end first",
                partial=self._assembler.result(complete=False),
                provider=self._assembler.provider,
                model=self._assembler.model,
            )
        return self._result

    def _end(self) -> None:
        assembler = self._assembler
        if self._feeds and not assembler.finish_reason:
            self.close()
            raise cut_off(assembler, "the provider's stream ended without a finish reason")
        result = settled(assembler)
        self._result = self._finish(result) if self._finish else result
        if self._span is not None:
            self._span.told(self._result)
            self._ended()

    def close(self) -> None:
        """Return the connection, or drop it when the answer is not at its end."""
        if not self._closed:
            self._closed = True
            if self._span is not None and self._result is None:
                self._span.told(self._assembler.result(complete=False))
            self._ended()
            close = getattr(self._source, "close", None)
            if close:
                close()

    def _ended(self) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.end()

    def __del__(self) -> None:
        """One that was left by ``break`` has a span too."""
        if getattr(self, "_span", None) is not None:
            self.close()

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _take(assembler: Assembler, chunk: ChatChunk) -> None:
    if chunk.delta_content:
        assembler.content.append(chunk.delta_content)
    if chunk.delta_reasoning:
        assembler.reasoning.append(chunk.delta_reasoning)
    for call in chunk.tool_calls:
        assembler.calls.fragment(
            index=call.index, id=call.id, name=call.name, arguments=call.arguments
        )
    assembler.images += chunk.images
    if chunk.finish_reason:
        assembler.finish_reason = chunk.finish_reason
    if chunk.usage:
        assembler.usage = chunk.usage
