"""
Pieces -> a whole answer: one assembler for all dialects, and the iterator that applications hold.

Vendors number, name and cut tool calls in many ways: indexes that are missing, constant or collide, ids that come late,
again or never, two fragments in one chunk, whole calls, arguments as objects. A fragment is routed by its id first, then
by its index, then to the call before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCall, ToolCallDelta, Usage
from aigc_kit.edge import forget_locals
from aigc_kit.errors import AIGCError, InvalidReplyError, ServerError, StreamInterruptedError

_REASONS = {
    "end_turn": "stop", "stop_sequence": "stop", "eos": "stop", "tool_use": "tool_calls", "function_call": "tool_calls",
    "max_tokens": "length", "model_context_window_exceeded": "length", "sensitive": "content_filter",
    "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
}  # fmt: skip
_FAILURES = frozenset({"network_error", "insufficient_system_resource", "error"})


def reason_of(word: str) -> str:
    """A vendor's finish reason in OpenAI's words where there is one, else the word itself in lower case."""
    lower = word.lower()
    return _REASONS.get(lower, lower)


class _Call:
    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra: dict[str, Any] = {}

    def text(self) -> str:
        if len(self.arguments) > 1:
            self.arguments = ["".join(self.arguments)]
        return self.arguments[0] if self.arguments else ""

    def is_complete(self) -> bool:
        try:
            return isinstance(json.loads(self.text()), dict)
        except (ValueError, RecursionError):
            return False


class Assembler:
    """
    Gathers what a dialect reads.

    Dialects call ``text``, ``reasoning``, ``fragment`` and set the other fields; ``result`` makes the answer.
    """

    def __init__(self, *, provider: str, model: str, schemas: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            schemas: tool name -> its parameters' JSON schema; arguments that a vendor encoded twice are mended by it.
        """
        self.provider = provider
        self.model = model
        self.schemas = schemas or {}
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: list[_Call] = []
        self.finish_reason = ""
        self.finish_message = ""
        self.usage: Usage | None = None
        self.id = ""
        self.request_id = ""
        self.reply_model = ""
        self.message_extra: dict[str, Any] = {}
        self.keeps_reasoning = True
        self.warnings: list[dict[str, str]] = []
        self.raw: dict[str, Any] = {}
        self.oddities: list[str] = []
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}

    def fragment(
        self, *, index: Any = None, id: Any = None, name: Any = None, arguments: Any = None,
        extra: Mapping[str, Any] | None = None,
    ) -> ToolCallDelta:  # fmt: skip
        """Add a piece of a call; gives it back with the index, id and name that are sure."""
        if type(index) is int and 0 <= index < 1_000_000:
            place: int | None = index
        else:
            place = int(index) if isinstance(index, str) and re.fullmatch(r"[0-9]{1,6}", index) else None
        mark = id if isinstance(id, str) else ""
        word = name if isinstance(name, str) else ""
        if isinstance(arguments, str):
            text = arguments
        else:
            text = json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, (dict, list)) else ""
        at = self._route(place, mark, word, text)
        call = self.calls[at]
        if place is not None:
            self._by_index[place] = at
        delta = ToolCallDelta(at, "", "", text)
        if mark and not call.id:
            call.id = delta.id = mark
            self._by_id[mark] = at
        if word and not call.name:
            call.name = delta.name = word
        if text:
            call.arguments.append(text)
        if extra:
            call.extra.update(extra)
        return delta

    def _route(self, place: int | None, mark: str, word: str, text: str) -> int:
        if mark and mark in self._by_id:
            at = self._by_id[mark]
            # The same id for two whole calls: told apart by name and by arguments that begin again.
            if not (word and self._begins_again(at, word, text)):
                return at
            return self._new()
        known = self._by_index.get(place) if place is not None else None
        if known is None and self.calls and (place is None or not (mark or word)):
            known = len(self.calls) - 1
        if known is None:
            return self._new()
        call = self.calls[known]
        if mark:
            late = not call.id and (
                not word or not call.name or (word == call.name and not self._begins_again(known, word, text))
            )
            return known if late else self._new()
        if word and call.name and (word != call.name or self._begins_again(known, word, text)):
            return self._new()
        return known

    def _begins_again(self, at: int, word: str, text: str) -> bool:
        call = self.calls[at]
        return bool(call.name) and (word != call.name or (text.lstrip().startswith("{") and call.is_complete()))

    def _new(self) -> int:
        self.calls.append(_Call())
        return len(self.calls) - 1

    def expect(self, value: Any, kinds: type | tuple[type, ...], what: str) -> None:
        """Note what is there and of the wrong type: an answer that is empty for that reason is no success."""
        if value is not None and not isinstance(value, kinds):
            self.oddities.append(f"{what} of type {type(value).__name__}")

    def is_complete(self) -> bool:
        """Whether reason and usage are there: no vendor sends anything after both."""
        return self.usage is not None and bool(self.finish_reason)

    def is_empty(self) -> bool:
        return not (self.content or self.reasoning or self.refusal or self.calls)

    def result(self, *, complete: bool = True) -> ChatResult:
        """The answer so far. ``complete``: it ended with a finish reason."""
        reason = reason_of(self.finish_reason)
        calls = [
            self._whole(call, number, cut=reason == "length" or not complete) for number, call in enumerate(self.calls)
        ]
        if calls and complete and reason not in ("length", "content_filter") and not is_failure(reason):
            reason = "tool_calls"
        result = ChatResult(
            content=valid("".join(self.content)),
            reasoning_content=valid("".join(self.reasoning)),
            refusal=valid("".join(self.refusal)),
            tool_calls=calls,
            finish_reason=reason,
            usage=self.usage or Usage(),
            provider=self.provider,
            model=self.reply_model or self.model,
            id=self.id,
            warnings=self.warnings,
            request_id=self.request_id,
            raw=self.raw,
        )
        result.message = self._message(result)
        return result

    def _whole(self, call: _Call, number: int, *, cut: bool) -> ToolCall:
        if not call.id:
            taken = {other.id for other in self.calls}
            call.id = next(
                mark for mark in (f"call_{n}" for n in range(number, number + len(taken) + 1)) if mark not in taken
            )
        text = call.text()
        if not text.strip() and not cut:
            text = "{}"
        return ToolCall(valid(call.id), valid(call.name), mended(valid(text), self.schemas.get(call.name)))

    def _message(self, result: ChatResult) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": result.content}
        if result.refusal:
            message["refusal"] = result.refusal
        if result.reasoning_content and self.keeps_reasoning:
            message["reasoning_content"] = result.reasoning_content
        if result.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                    **({"extra_content": kept.extra} if kept.extra else {}),
                }
                for call, kept in zip(result.tool_calls, self.calls, strict=True)
            ]
        return {**message, **self.message_extra}


def valid(text: str) -> str:
    """
    The text as Unicode: halves of a character that came in two pieces are one again, what has no other half is replaced.
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_failure(reason: str) -> bool:
    """Whether the finish reason says that the vendor failed."""
    return reason in _FAILURES or reason.startswith("malformed_")


def settled(assembler: Assembler) -> ChatResult:
    """
    The answer of a plain (not streamed) reply.

    Raises:
        ServerError: the finish reason says that the vendor failed; ``error.result`` is what came.
        InvalidReplyError: there is nothing in it.
    """
    result = assembler.result()
    context: dict[str, Any] = {
        "provider": assembler.provider, "model": assembler.model, "request_id": assembler.request_id, "status_code": 200,
    }  # fmt: skip
    if is_failure(result.finish_reason):
        detail = f": {assembler.finish_message}" if assembler.finish_message else ""
        error: AIGCError = ServerError(
            f"{assembler.provider} failed in the middle of the answer: {result.finish_reason}{detail}",
            code=result.finish_reason, retryable=not result.finish_reason.startswith("malformed_"), billed="unknown", **context,
        )  # fmt: skip
        error.result = result
        raise error
    odd = ", ".join(dict.fromkeys(assembler.oddities))
    if assembler.is_empty() and (odd or not result.finish_reason):
        raise InvalidReplyError(
                f"{assembler.provider} answered 200 with {odd or 'nothing in it'}", billed="unknown",
                body=assembler.raw, **context,
            )  # fmt: skip
    if result.finish_reason == "stop" and not (result.content or result.refusal):
        result.warnings.append({"feature": "content", "details": "the answer is empty"})
    if not result.finish_reason:
        result.finish_reason = "unknown"
        result.warnings.append(
            {"feature": "finish_reason", "details": "the vendor gave no reason for the answer's end"}
        )
    if odd:
        result.warnings.append({"feature": "reply", "details": f"the vendor sent {odd}; it was left out"})
    return result


def mended(text: str, schema: Any) -> str:
    """
    Arguments without the second encoding that some models give them, where the schema asks for an object or array.

    ``'"{\\\\"a\\\\": 1}"'`` becomes ``'{"a": 1}'``; a member whose schema is an object and whose value is its JSON text
    becomes that object. Everything else stays as it was, to the letter.
    """
    if '\\"' not in text and not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    changed = False
    if isinstance(value, str):
        inner = _decoded(value, ("object",))
        if inner is None:
            return text
        value, changed = inner, True
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(value, dict) and isinstance(properties, Mapping):
        for name, member in value.items():
            wanted = _types(properties.get(name), schema)
            if isinstance(member, str) and wanted and "string" not in wanted:
                inner = _decoded(member, wanted)
                if inner is not None:
                    value[name], changed = inner, True
    return json.dumps(value, ensure_ascii=False) if changed else text


def _types(schema: Any, root: Any) -> tuple[str, ...]:
    if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        for step in schema["$ref"].lstrip("#/").split("/"):
            root = root.get(step) if isinstance(root, Mapping) else None
        schema = root
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return (kind,) if isinstance(kind, str) else tuple(kind) if isinstance(kind, list) else ()


def _decoded(text: str, wanted: tuple[str, ...]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    right = ("object" in wanted and isinstance(value, dict)) or ("array" in wanted and isinstance(value, list))
    return value if right else None


class ChatStream(Iterator[ChatChunk]):
    """
    An answer as it comes: iterate it, then read ``result``. Close it, or use it as a context manager, to leave early.

    Raises, while iterating:
        StreamInterruptedError: it ended before its finish reason; ``partial`` is what came.
    """

    def __init__(
        self, source: Iterator[ChatChunk], assembler: Assembler, *,
        finish: Callable[[ChatResult], ChatResult] | None = None, feeds: bool = False,
    ) -> None:  # fmt: skip
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

    def __iter__(self) -> ChatStream:
        return self

    def __next__(self) -> ChatChunk:
        if self._closed or self._result is not None:
            raise StopIteration
        try:
            chunk = next(self._source)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self.close()
            forget_locals(error)
            if isinstance(error, AIGCError) or not isinstance(error, Exception) or self._feeds:
                raise
            raise cut_off(self._assembler, f"it cannot be read: {type(error).__name__}") from error
        if self._feeds:
            _take(self._assembler, chunk)
        return chunk

    @property
    def result(self) -> ChatResult:
        """
        The whole answer, after the last chunk.

        Raises:
            StreamInterruptedError: the stream has not ended, or was closed early; ``partial`` is what came.
        """
        if self._result is None:
            raise StreamInterruptedError(
                "the stream has not ended yet: iterate it to its end first", partial=self._assembler.result(complete=False),
                provider=self._assembler.provider, model=self._assembler.model,
            )  # fmt: skip
        return self._result

    def _end(self) -> None:
        assembler = self._assembler
        if self._feeds and not assembler.finish_reason:
            self.close()
            raise cut_off(assembler, "the provider's stream ended without a finish reason")
        result = settled(assembler)
        self._result = self._finish(result) if self._finish else result

    def close(self) -> None:
        """Give the connection back, or drop it when the answer is not at its end."""
        if not self._closed:
            self._closed = True
            close = getattr(self._source, "close", None)
            if close:
                close()

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take(assembler: Assembler, chunk: ChatChunk) -> None:
    if chunk.delta_content:
        assembler.content.append(chunk.delta_content)
    if chunk.delta_reasoning:
        assembler.reasoning.append(chunk.delta_reasoning)
    for call in chunk.tool_calls:
        assembler.fragment(index=call.index, id=call.id, name=call.name, arguments=call.arguments)
    if chunk.finish_reason:
        assembler.finish_reason = chunk.finish_reason
    if chunk.usage:
        assembler.usage = chunk.usage


def cut_off(assembler: Assembler, why: str) -> StreamInterruptedError:
    """The error of a stream that failed after its head, with everything that had come."""
    return StreamInterruptedError(
        f"{assembler.provider}'s stream was interrupted: {why}", partial=assembler.result(complete=False),
        provider=assembler.provider, model=assembler.model, request_id=assembler.request_id,
    )  # fmt: skip
