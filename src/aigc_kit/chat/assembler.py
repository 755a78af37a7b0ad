"""
Pieces -> a whole answer: one assembler for all dialects, plain and streamed.

Vendors number, name and cut tool calls in many ways: indexes that are missing, constant or collide,
ids that come late, again or never, two fragments in one chunk, whole calls, arguments as objects. A
fragment is routed by its id first, then by its index, then to the call before it. A call that comes
a second time is dropped, wherever it comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aigc_kit.chat import json_text
from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCall, ToolCallDelta, Usage
from aigc_kit.chat.ids import fresh
from aigc_kit.chat.thoughts import ThoughtSplitter
from aigc_kit.errors import AIGCError, InvalidReplyError, ServerError, StreamInterruptedError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.encoding import decode_base64

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_FAILURES = frozenset({"network_error", "insufficient_system_resource", "error"})
_BROKEN_OFF = frozenset(
    {
        "unexpected_tool_call",
        "too_many_tool_calls",
        "missing_thought_signature",
        "language",
        "other",
        "escalation",
        "pup_limited_disabled",
        "image_other",
        "no_image",
        "finish_reason_unspecified",
    }
)
"""
Gemini's reasons that are not an end. Source: https://ai.google.dev/api/generate-content
(FinishReason), 2026-11-22.
"""


def reason_of(word: str) -> str:
    """
    A vendor's finish reason in OpenAI's words where there is one, else the word itself in lower
    case.
    """
    lower = word.lower()
    return _REASONS.get(lower, lower)


class _Call:
    __slots__ = (
        "arguments",
        "extra",
        "id",
        "index",
        "is_dropped",
        "is_empty_object",
        "name",
        "original",
        "repeats",
        "size",
    )

    def __init__(self) -> None:
        self.id = ""
        self.original = ""  # the vendor's id, which another call may have too
        self.name = ""
        self.arguments: list[str] = []
        self.size = 0  # characters in them
        self.extra: dict[str, Any] = {}
        self.index = -1  # in the deltas; -1 while it is not certain that this is a call of its own
        self.is_empty_object = False  # "{}" came, and nothing else yet
        self.repeats: _Call | None = None  # the finished call with the same id
        self.is_dropped = False

    def text(self) -> str:
        if len(self.arguments) > 1:
            self.arguments = ["".join(self.arguments)]
        return self.arguments[0] if self.arguments else ""

    def value(self) -> Any:
        """
        The arguments as an object, also when they are encoded twice; None while they are not one.
        """
        return _object_in(self.text())

    def is_complete(self) -> bool:
        return self.value() is not None


class Assembler:
    """
    Gathers what a dialect reads.

    Dialects call ``text``, ``fragment`` and ``image`` and set the other fields; ``result`` makes
    the answer.
    """

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        schemas: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
        taken: Collection[str] = (),
        thought_tags: Sequence[tuple[str, str]] = (),
    ) -> None:
        """
        Args:
            schemas: tool name -> its parameters' JSON schema; arguments that a vendor encoded twice
                are mended by it.
            names: tool names as sent -> the application's own.
            taken: ids of the calls in the history.
            thought_tags: (start, end) of reasoning at the head of the content (``thoughts.TAGS``).
        """
        self.provider = provider
        self.model = model
        self.schemas = schemas or {}
        self._names = names or {}
        self._taken = taken
        self._thought_tags = thought_tags
        self.keeps_reasoning = True
        self.warnings: list[dict[str, str]] = []
        self.request_id = ""
        self.headers: dict[str, str] = {}
        self.clear()

    def clear(self) -> None:
        """Discard what arrived: the request is sent again."""
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.images: list[ImageResult] = []
        self.calls: list[_Call] = []
        self.finish_reason = ""
        self.finish_message = ""
        self.usage: Usage | None = None
        self.id = ""
        self.reply_model = ""
        self.message_extra: dict[str, Any] = {}
        self.raw: dict[str, Any] = {}
        self.oddities: list[str] = []
        self.has_more = False
        """Whether something came that has no field of its own (audio, executed code)."""
        self.is_whole = False
        """Whether a whole response came where a stream was asked for."""
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._seen_images: set[Any] = set()
        self._used = set(self._taken)
        self._shown = 0
        self.thought_tag = ""
        """The tag in which reasoning stood at the head of the content."""
        self._splitter = ThoughtSplitter(self._thought_tags) if self._thought_tags else None

    def text(self, piece: str) -> tuple[str, str]:
        """Add a piece of the content; returns (answer, reasoning) that it gives."""
        splitter = self._splitter
        if splitter is None:
            self.content.append(piece)
            return piece, ""
        if self.reasoning and not splitter.is_reading:
            self._splitter = None  # the vendor separates them itself
            return self.text(splitter.rest()[0] + piece)
        return self._kept(splitter.pieces(piece))

    def _kept(self, split: tuple[str, str]) -> tuple[str, str]:
        answer, reasoning = split
        if self._splitter is not None:
            self.thought_tag = self._splitter.start
        if self._splitter is not None and self._splitter.is_done:
            self._splitter = None
        if answer:
            self.content.append(answer)
        if reasoning:
            self.reasoning.append(reasoning)
        return split

    def image(
        self, *, url: str = "", data: bytes = b"", mime_type: str = "", once: bool = False
    ) -> ImageResult | None:
        """
        Add an image by its bytes, ``data:`` URI or URL.

        Args:
            once: None for one that is there already: gateways give the same image in several
                fields.
        """
        if url.startswith("data:"):
            try:
                data = decode_base64(url)
            except ValueError:
                return self._unreadable_image(url)
            url, mime_type = "", url[5:].partition(";")[0]
        key = url or (len(data), hash(data))
        if once and key in self._seen_images:
            return None
        self._seen_images.add(key)
        metadata = {"model": self.reply_model or self.model}
        if data:
            made = ImageResult.from_bytes(
                data, mime_type=mime_type, provider=self.provider, metadata=metadata
            )
        else:
            made = ImageResult(
                url=url, mime_type=mime_type, provider=self.provider, metadata=metadata
            )
        self.images.append(made)
        return made

    def _unreadable_image(self, url: str) -> ImageResult:
        """Everything in a ``data:`` URI was paid for, so it is saved unchanged."""
        head, _, text = url.partition(",")
        made = ImageResult(
            base64=text, mime_type=head[5:].partition(";")[0], provider=self.provider
        )
        self.images.append(made)
        return made

    def fragment(
        self,
        *,
        index: Any = None,
        id: Any = None,
        name: Any = None,
        arguments: Any = None,
        extra: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> ToolCallDelta | None:
        """
        Add a piece of a call; returns what of it is certain, None when nothing is.

        Args:
            whole: the arguments are complete; else ``{}`` may stand before the real ones.
        """
        place = _place(index)
        mark = id if isinstance(id, str) else ""
        word = name.strip() if isinstance(name, str) else ""
        word = self._names.get(word, word)
        if isinstance(arguments, str):
            text = arguments
        else:
            text = (
                json.dumps(arguments, ensure_ascii=False)
                if isinstance(arguments, (dict, list))
                else ""
            )
        at = self._route(place, mark, word, text)
        call = self.calls[at]
        if place is not None:
            self._by_index[place] = at
        if mark and not call.original:
            self._named(call, at, mark)
        if extra:
            call.extra.update(extra)
        named = word if word and not call.name else ""
        call.name = call.name or word
        return self._added(call, text, mark, named, whole=whole)

    def more_arguments(self, index: int, piece: str) -> ToolCallDelta | None:
        """
        ``fragment`` for a piece that goes on with the arguments of a call; None when it may be
        anything else.
        """
        at = self._by_index.get(index)
        if at is None or not piece:
            return None
        call = self.calls[at]
        if not call.arguments or call.index < 0 or call.repeats or _may_repeat(call, piece):
            return None
        call.arguments.append(piece)
        call.size += len(piece)
        return ToolCallDelta(call.index, "", "", piece)

    def _added(
        self, call: _Call, text: str, mark: str, named: str, *, whole: bool
    ) -> ToolCallDelta | None:
        if text and not whole and not call.arguments and text.strip() == "{}":
            call.is_empty_object = True
            text = ""
        if call.is_empty_object and not call.arguments and not text.strip():
            text = ""
        if text and call.arguments and _may_repeat(call, text) and _same(call.value(), text):
            text = ""  # the finished arguments once more
        if text:
            call.arguments.append(text)
            call.size += len(text)
        if call.repeats is not None:
            return self._judged(call)
        if call.index < 0:
            return self._released(call) if call.name else None
        late_id = call.id if mark and call.original == mark and named else ""
        if text or named or late_id:
            return ToolCallDelta(call.index, late_id, named, text)
        return None

    def _judged(self, call: _Call) -> ToolCallDelta | None:
        """
        A call with the id of a finished one, once its arguments are complete: the same again, or
        another call.
        """
        first = call.repeats
        value = call.value()
        if first is None or value is None:
            return None
        if call.name == first.name and json_text.canonical(value) == json_text.canonical(
            first.value()
        ):
            call.is_dropped = True
            return None
        return self._released(call)

    def _released(self, call: _Call) -> ToolCallDelta:
        call.repeats = None
        call.index, self._shown = self._shown, self._shown + 1
        return ToolCallDelta(call.index, call.id, call.name, call.text())

    def _named(self, call: _Call, at: int, mark: str) -> None:
        call.original = mark
        self._by_id[mark] = at
        call.id = mark if mark not in self._used else fresh(mark, self._used)
        self._used.add(call.id)

    def _route(self, place: int | None, mark: str, word: str, text: str) -> int:
        if mark and mark in self._by_id:
            at = self._by_id[mark]
            if word and self._begins_again(at, word, text):
                return self._repeated(at)
            return at
        known = self._by_index.get(place) if place is not None else None
        if known is None and self.calls and (place is None or not (mark or word)):
            known = len(self.calls) - 1
        if known is None:
            return self._new()
        call = self.calls[known]
        if mark:
            late = not call.original and (
                not word
                or not call.name
                or (word == call.name and not self._begins_again(known, word, text))
            )
            return known if late else self._new()
        if word and call.name and (word != call.name or self._begins_again(known, word, text)):
            return self._new()
        return known

    def _begins_again(self, at: int, word: str, text: str) -> bool:
        call = self.calls[at]
        if not call.name or word != call.name:
            return bool(call.name)
        if call.is_empty_object and not call.arguments:
            return False  # "{}" before the real arguments
        return (not text or text.lstrip().startswith(("{", '"'))) and call.is_complete()

    def _repeated(self, at: int) -> int:
        first = self.calls[at]
        new = self._new()
        self.calls[new].repeats = first if self.calls[new] is not first else None
        return new

    def _new(self) -> int:
        self.calls.append(_Call())
        return len(self.calls) - 1

    def expect(self, value: Any, kinds: type | tuple[type, ...], what: str) -> None:
        """
        Note what is there and of the wrong type: an answer that is empty for that reason is not a
        success.
        """
        if value is not None and not isinstance(value, kinds):
            self.oddities.append(f"{what} of type {type(value).__name__}")

    def is_empty(self) -> bool:
        named = any(call.name for call in self.calls)
        return not (
            self.content or self.reasoning or self.refusal or self.images or self.has_more or named
        )

    def has_answer(self) -> bool:
        """Whether something of the answer itself is there, beside reasoning."""
        return bool(
            self.content or self.images or self.has_more or any(call.name for call in self.calls)
        )

    def flush(self) -> ChatChunk | None:
        """
        At the end of the answer: the chunk of everything that was held back, None when nothing was.
        """
        answer, reasoning = "", ""
        if self._splitter is not None:
            answer, reasoning = self._kept(self._splitter.rest())
        deltas = [delta for delta in map(self._finished, self.calls) if delta is not None]
        if answer or reasoning or deltas:
            return ChatChunk(answer, reasoning, deltas)
        return None

    def _finished(self, call: _Call) -> ToolCallDelta | None:
        if call.repeats is not None and not call.is_dropped:
            if call.text().strip():
                return self._released(call)
            call.is_dropped = True
        if call.is_dropped or not call.name:
            return None
        minted = ""
        if not call.id:
            minted = call.id = self.minted(call.index)
            self._used.add(minted)
        text = "{}" if call.is_empty_object and not call.arguments else ""
        return ToolCallDelta(call.index, minted, "", text) if minted or text else None

    def minted(self, number: int) -> str:
        """An id for a call that came without one, unique in the conversation."""
        made = f"call_{number}"
        return made if made not in self._used else fresh("call", self._used)

    def result(self, *, complete: bool = True) -> ChatResult:
        """The answer so far. ``complete``: it ended with a finish reason."""
        self.flush()
        reason = reason_of(self.finish_reason)
        kept = [call for call in self.calls if call.name and not call.is_dropped]
        calls = [self._whole(call, cut=reason == "length" or not complete) for call in kept]
        if (
            calls
            and complete
            and reason not in ("length", "content_filter")
            and not is_failure(reason)
        ):
            reason = "tool_calls"
        elif reason == "tool_calls" and not calls:
            reason = "stop"
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
            images=list(self.images),
            headers=self.headers,
        )
        result.message = self._message(result, kept)
        return result

    def raw_calls(self) -> list[dict[str, Any]]:
        """The calls in OpenAI's shape, with the vendor's own ids and arguments."""
        return [
            {
                "id": call.original,
                "type": "function",
                "function": {"name": call.name, "arguments": call.text()},
            }
            for call in self.calls
            if call.name and not call.is_dropped
        ]

    def _whole(self, call: _Call, *, cut: bool) -> ToolCall:
        text = json_text.one_object(call.text())
        if not text.strip() and not cut:
            text = "{}"
        return ToolCall(
            valid(call.id),
            valid(call.name),
            json_text.mended(valid(text), self.schemas.get(call.name)),
        )

    def _message(self, result: ChatResult, kept: list[_Call]) -> dict[str, Any]:
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
                    **({"extra_content": source.extra} if source.extra else {}),
                }
                for call, source in zip(result.tool_calls, kept, strict=True)
            ]
        if result.images:
            message["images"] = [_image_part(image) for image in result.images]
        return {**message, **self.message_extra}


def _place(index: Any) -> int | None:
    if type(index) is int and 0 <= index < 1_000_000:
        return index
    return int(index) if isinstance(index, str) and re.fullmatch(r"[0-9]{1,6}", index) else None


def _may_repeat(call: _Call, text: str) -> bool:
    """
    Whether the text can be all of the call's arguments again; cheap, for it is asked of every
    piece.
    """
    return text[:1] in '{ "\n' and text.rstrip()[-1:] in ("}", '"') and 2 * len(text) >= call.size


def _same(value: Any, text: str) -> bool:
    other = _object_in(text)
    return (
        value is not None
        and other is not None
        and json_text.canonical(other) == json_text.canonical(value)
    )


def _object_in(text: str) -> Any:
    """The object that arguments stand for, None when they stand for none."""
    value: Any = text
    for _ in range(2):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, str):
            break
    return value if isinstance(value, dict) else None


def _image_part(image: ImageResult) -> dict[str, Any]:
    url = image.url or f"data:{image.mime_type or 'image/png'};base64,{image.base64}"
    return {"type": "image_url", "image_url": {"url": url}}


def valid(text: str) -> str:
    """
    The text as Unicode: halves of a character that came in two pieces are one again, what has no
    other half is replaced.
    """
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def is_failure(reason: str) -> bool:
    """Whether the finish reason says that the vendor failed."""
    return reason in _FAILURES or reason.startswith("malformed_")


def settled(assembler: Assembler) -> ChatResult:
    """
    The whole answer, checked.

    Raises:
        ServerError: the finish reason says that the vendor failed; ``error.result`` is what came.
        InvalidReplyError: there is nothing in it.
    """
    result = assembler.result()
    reason, empty = result.finish_reason, assembler.is_empty()
    if is_failure(reason) or (empty and (reason in _BROKEN_OFF or assembler.finish_message)):
        raise _failed(assembler, result)
    odd = ", ".join(dict.fromkeys([*assembler.oddities, *_nameless(assembler)]))
    if empty and (odd or not reason):
        raise InvalidReplyError(
            f"{assembler.provider} answered 200 with {odd or 'nothing in it'}",
            billed="unknown",
            body=assembler.raw,
            **_context(assembler),
        )
    warn = result.warnings.append
    if reason in _BROKEN_OFF and not empty:
        warn(
            {
                "feature": "finish_reason",
                "details": f"{reason}: {assembler.finish_message or 'no message'}",
            }
        )
    if reason == "stop" and not (
        result.content or result.refusal or result.images or assembler.has_more
    ):
        warn({"feature": "content", "details": "the answer is empty"})
    if not assembler.finish_reason:
        result.finish_reason = reason or "unknown"
        warn(
            {
                "feature": "finish_reason",
                "details": "the vendor gave no reason for the answer's end",
            }
        )
    if odd:
        warn({"feature": "response", "details": f"the vendor sent {odd}; it was left out"})
    return result


def _nameless(assembler: Assembler) -> list[str]:
    lost = any(not call.name and call.text().strip() not in ("", "{}") for call in assembler.calls)
    return ["a tool call without a name"] if lost else []


def _context(assembler: Assembler) -> dict[str, Any]:
    return {
        "provider": assembler.provider,
        "model": assembler.model,
        "request_id": assembler.request_id,
        "status_code": 200,
    }


def _failed(assembler: Assembler, result: ChatResult) -> AIGCError:
    reason = result.finish_reason
    detail = f": {assembler.finish_message}" if assembler.finish_message else ""
    again = reason in _FAILURES
    error = ServerError(
        f"{assembler.provider} failed in the middle of the answer: {reason}{detail}",
        code=reason,
        retryable=again,
        billed="unknown",
        **_context(assembler),
    )
    error.result = result
    return error


def cut_off(
    assembler: Assembler, why: str, cause: AIGCError | None = None
) -> StreamInterruptedError:
    """The error of a stream that failed after its head, with everything that had come."""
    details = {
        name: getattr(cause, name)
        for name in ("status_code", "code", "body", "retryable", "retry_after")
        if cause is not None and hasattr(cause, name)
    }
    return StreamInterruptedError(
        f"{assembler.provider}'s stream was interrupted: {why}",
        partial=assembler.result(complete=False),
        provider=assembler.provider,
        model=assembler.model,
        request_id=assembler.request_id or getattr(cause, "request_id", ""),
        **details,
    )
