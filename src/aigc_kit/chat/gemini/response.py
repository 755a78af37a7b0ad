"""``GenerateContentResponse`` objects, one or many, read into the assembler. Pure."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCallDelta, Usage, count
from aigc_kit.chat.reasons import stated
from aigc_kit.errors import ContentFilterError
from aigc_kit.transport.answers import vendor_error
from aigc_kit.transport.encoding import decode_base64
from aigc_kit.transport.error_bodies import is_error
from aigc_kit.transport.failures import RequestContext

_BLOCKED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "JAILBREAK",
    }
)
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}

_READ = frozenset(
    {"text", "thought", "thoughtSignature", "thought_signature", "functionCall", "function_call"}
)
_FRAME = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "trafficType"}
)
"""Fields of a response that say nothing of the answer."""

_BARE = frozenset({"content", "index"})

_NOTES = frozenset(
    {"content", "finishReason", "finishMessage", "index", "tokenCount", "avgLogprobs"}
)


class ResponseReader:
    """Reads one response after the other; a plain answer is one, a stream is many."""

    def __init__(self, assembler: Assembler, context: RequestContext, backend: str) -> None:
        """
        Args:
            backend: who made the answer; signatures go back to it alone.
        """
        self._assembler = assembler
        self._context = context
        self._backend = backend
        self._segments: list[dict[str, Any]] = []
        self._block: dict[str, Any] = {}
        self._partial: dict[str, _PartialCall] = {}
        self._index: Any = None
        self._raw_parts: list[dict[str, Any]] = []
        self._raw_candidate: dict[str, Any] = {}
        self._raw: dict[str, Any] = {}

    def whole(self, body: dict[str, Any]) -> None:
        """A whole response; ``raw`` is the response itself."""
        self.event(body)
        candidates = body.get("candidates")
        if isinstance(candidates, list) and len(candidates) > 1:
            details = f"{len(candidates)} answers came; the others are in raw"
            self._assembler.warnings.append({"feature": "choices", "details": details})
        self._assembler.raw = body
        self.end()

    def salvaged(self, body: Mapping[str, Any]) -> ChatResult | None:
        """What of an answer stands beside the vendor's error; Gemini gives none."""
        return None

    def event(self, event: dict[str, Any]) -> ChatChunk | None:
        """
        One response.

        Raises:
            ProviderError: it is the vendor's error.
        """
        text = self._only_text(event)
        if text:
            return self._text_chunk(event, text)
        assembler = self._assembler
        if (event.get("error") or not event.get("candidates")) and is_error(event):
            raise vendor_error(self._context, event, {})
        if not assembler.id and isinstance(event.get("responseId"), str):
            assembler.id = event["responseId"]
        if not assembler.reply_model and isinstance(event.get("modelVersion"), str):
            assembler.reply_model = event["modelVersion"]
        self._block = _dict(event.get("promptFeedback")) or self._block
        candidate = self._candidate(event.get("candidates"))
        chunk = ChatChunk()
        assembler.expect(candidate.get("content"), dict, "content")
        parts = _dict(candidate.get("content")).get("parts")
        if isinstance(parts, dict):
            parts = [parts]
        self._is_last = bool(
            stated(candidate.get("finishReason") or candidate.get("finish_reason"))
        )
        assembler.expect(parts, list, "parts")
        for part in parts if isinstance(parts, list) else ():
            self._part(_dict(part), chunk)
        self._reason(candidate, chunk)
        usage = usage_of(event.get("usageMetadata"), assembler.usage)
        if usage:
            assembler.usage = chunk.usage = usage
            assembler.tier = tier_of(event.get("usageMetadata")) or assembler.tier
        self._note(event, candidate, chunk)
        return chunk if _says_something(chunk) else None

    def _only_text(self, event: dict[str, Any]) -> str:
        """
        The text of a response that has nothing but text in it and goes on with the text before it,
        else ``""``.

        Nearly every response of a stream is such a one, and reading it as if it could be any other
        costs twice.
        """
        candidates = event.get("candidates")
        if type(candidates) is not list or len(candidates) != 1 or not event.keys() <= _FRAME:
            return ""
        candidate = candidates[0]
        if type(candidate) is not dict or not candidate.keys() <= _BARE or not self._goes_on:
            return ""
        content = candidate.get("content")
        if type(content) is not dict or candidate.get("index", 0) != self._index:
            return ""
        parts = content.get("parts")
        if type(parts) is not list or len(parts) != 1 or type(parts[0]) is not dict:
            return ""
        text = parts[0].get("text")
        return text if type(text) is str and len(parts[0]) == 1 else ""

    def _text_chunk(self, event: dict[str, Any], text: str) -> ChatChunk:
        assembler = self._assembler
        assembler.content.append(text)
        self._segments[-1]["text"].append(text)
        self._raw_parts[-1]["text"].append(text)
        self._raw.update(event)
        usage = usage_of(event.get("usageMetadata"), assembler.usage)
        if usage:
            assembler.usage = usage
        return ChatChunk(text, usage=usage)

    @property
    def _goes_on(self) -> bool:
        """Whether the last part was text without a signature, so that more text belongs to it."""
        if not (self._segments and self._raw_parts) or self._partial:
            return False
        last, raw = self._segments[-1], self._raw_parts[-1]
        return (
            len(last) == 1 and "text" in last and len(raw) == 1 and type(raw.get("text")) is _Text
        )

    def end(self) -> None:
        """
        After the last response.

        Raises:
            ContentFilterError: the prompt or all of the answer was blocked.
        """
        assembler = self._assembler
        if any(segment.keys() - {"text"} for segment in self._segments):
            assembler.message_extra = {"extra_content": {"google": self._kept()}}
        assembler.raw = assembler.raw or self._gathered()
        blocked = self._block.get("blockReason")
        if isinstance(blocked, str) and blocked and not assembler.finish_reason:
            self._refuse(
                f"blocked the prompt: {blocked}", blocked, self._block.get("blockReasonMessage")
            )
        if assembler.finish_reason == "content_filter" and not assembler.has_answer():
            self._refuse("blocked the answer", "content_filter", assembler.finish_message)

    def _kept(self) -> dict[str, Any]:
        """The turn as Gemini made it, for the next request."""
        parts = []
        for segment in self._segments:
            texts = segment.get("text")
            parts.append(
                {**segment, "text": "".join(texts)} if isinstance(texts, list) else segment
            )
        kept: dict[str, Any] = {"parts": parts, "backend": self._backend}
        signed = [part["thought_signature"] for part in parts if part.get("thought_signature")]
        return {"thought_signature": signed[-1], **kept} if signed else kept

    def _gathered(self) -> dict[str, Any]:
        """The pieces of a stream in the shape of a whole response."""
        parts = [
            {**part, "text": "".join(part["text"])} if isinstance(part.get("text"), _Text) else part
            for part in self._raw_parts
        ]
        candidate = {"content": {"role": "model", "parts": parts}, **self._raw_candidate}
        return {**self._raw, "candidates": [candidate]}

    def _candidate(self, candidates: Any) -> dict[str, Any]:
        """The candidate that is the answer: the one whose index came first."""
        listed = (
            [item for item in candidates if isinstance(item, dict)]
            if isinstance(candidates, list)
            else []
        )
        for candidate in listed:
            index = candidate.get("index", 0)
            if self._index is None:
                self._index = index
            if index == self._index:
                return candidate
        return {}

    def _reason(self, candidate: dict[str, Any], chunk: ChatChunk) -> None:
        assembler = self._assembler
        message = candidate.get("finishMessage")
        assembler.finish_message = message if isinstance(message, str) else ""
        reason = stated(candidate.get("finishReason"))
        if not reason:
            return
        for mark in list(self._partial):
            self._end_partial(mark, chunk)
        blocked = "content_filter" if reason in _BLOCKED else reason.lower()
        assembler.finish_reason = chunk.finish_reason = _REASONS.get(reason, blocked)

    def _note(self, event: dict[str, Any], candidate: dict[str, Any], chunk: ChatChunk) -> None:
        """Keep what has no field of its own: grounding, citations, log probabilities, feedback."""
        for name, value in event.items():
            if name != "candidates":
                self._raw[name] = value
        for name, value in candidate.items():
            if name == "content":
                continue
            self._raw_candidate[name] = _longer(self._raw_candidate.get(name), value)
            if name not in _NOTES:
                chunk.extra[name] = value

    def _refuse(self, what: str, reason: str, message: Any) -> None:
        usage = self._assembler.usage
        explained = f" ({message})" if message else ""
        raise ContentFilterError(
            f"gemini {what}{explained}",
            reason=reason,
            code=reason,
            provider="gemini",
            model=self._context.model,
            request_id=self._assembler.request_id or self._assembler.id,
            status_code=200,
            billed="yes" if usage and usage.total_tokens else "unknown",
        )

    def _part(self, part: dict[str, Any], chunk: ChatChunk) -> None:
        assembler = self._assembler
        part = _given(part)
        self._keep_raw(part)
        assembler.expect(part.get("text"), str, "text")
        signature = part.get("thoughtSignature") or part.get("thought_signature")
        signature = signature if isinstance(signature, str) else ""
        call = part.get("functionCall", part.get("function_call"))
        text = part.get("text")
        if isinstance(call, dict):
            self._call(call, signature, chunk)
        elif isinstance(text, str) and part.get("thought"):
            assembler.reasoning.append(text)
            chunk.delta_reasoning += text
        elif isinstance(text, str):
            self._text(text, signature, chunk)
        elif part.get("thought"):
            return  # an interim image
        elif any(
            isinstance(value, dict) and value for name, value in part.items() if name not in _READ
        ):
            self._other(part, signature, chunk)

    def _text(self, text: str, signature: str, chunk: ChatChunk) -> None:
        if self._is_last and self._assembler.is_summary(text, self._assembler.content):
            text = ""
        if text:
            self._assembler.content.append(text)
            chunk.delta_content += text
        last = self._segments[-1] if self._segments else {}
        if isinstance(last.get("text"), list) and "thought_signature" not in last and not signature:
            last["text"].append(text)
        elif text or signature:
            self._segments.append(_signed({"text": [text]}, signature))

    def _other(self, part: dict[str, Any], signature: str, chunk: ChatChunk) -> None:
        """An image, or a part that only Gemini understands (executed code)."""
        assembler = self._assembler
        image = self._image(part)
        if image is not None:
            chunk.images.append(image)
            self._segments.append(_signed({"image": len(assembler.images) - 1}, signature))
            return
        bare = {
            name: value
            for name, value in part.items()
            if name not in ("thoughtSignature", "thought_signature")
        }
        self._segments.append(_signed({"part": bare}, signature))
        assembler.has_more = True
        for name, value in bare.items():
            chunk.extra[name] = value

    def _image(self, part: dict[str, Any]) -> Any:
        inline = _dict(part.get("inlineData") or part.get("inline_data"))
        linked = _dict(part.get("fileData") or part.get("file_data"))
        kind = str(
            _either(inline, "mimeType", "mime_type")
            or _either(linked, "mimeType", "mime_type")
            or ""
        )
        if not kind.startswith("image/"):
            return None
        uri = _either(linked, "fileUri", "file_uri")
        if isinstance(uri, str):
            return self._assembler.image(url=uri, mime_type=kind)
        data = inline.get("data")
        if not isinstance(data, str):
            return None
        try:
            return self._assembler.image(data=decode_base64(data), mime_type=kind)
        except ValueError:
            return self._assembler.image(url=f"data:{kind};base64,{data}")

    def _keep_raw(self, part: dict[str, Any]) -> None:
        """Parts as they came; pieces of one text are one."""
        last = self._raw_parts[-1] if self._raw_parts else None
        plain = set(part) <= {"text", "thought"} and isinstance(part.get("text"), str)
        if (
            plain
            and last is not None
            and isinstance(last.get("text"), _Text)
            and set(last) == set(part)
            and last.get("thought") == part.get("thought")
        ):
            last["text"].append(part["text"])
        elif plain:
            self._raw_parts.append({**part, "text": _Text([part["text"]])})
        else:
            self._raw_parts.append(part)

    def _call(self, call: dict[str, Any], signature: str, chunk: ChatChunk) -> None:
        own: dict[str, Any] = (
            {"thought_signature": signature, "backend": self._backend} if signature else {}
        )
        call = _given(call)
        mark = call["id"] if isinstance(call.get("id"), str) else ""
        if isinstance(call.get("name"), str) and call["name"] and not self._is_open(mark):
            self._end_partial("", chunk)
            if mark:
                own |= {"id": mark, "backend": self._backend}
            index = len(self._assembler.calls)
            whole = not (call.get("willContinue") or "partialArgs" in call)
            google = {"google": own} if own else None
            delta = self._assembler.calls.fragment(
                index=index,
                id=mark or self._assembler.calls.minted(index),
                name=call["name"],
                arguments=_arguments(call) if whole else None,
                extra=google,
                whole=whole,
            )
            if delta is not None:
                chunk.tool_calls.append(delta)
            if not whole:
                self._partial[mark] = _PartialCall(index)
        elif own and self._assembler.calls:
            self._assembler.calls[-1].extra.setdefault("google", {}).update(own)
        if not self._is_open(mark):
            # A piece without an id is the last call's; one with an id may be of a call without.
            mark = "" if mark else next(reversed(self._partial), "")
        if not self._is_open(mark):
            return
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            self._partial[mark].add(_dict(piece))
        if not call.get("willContinue"):
            self._end_partial(mark, chunk)

    def _is_open(self, mark: str) -> bool:
        """Whether the call of this id has arguments that come member by member."""
        return mark in self._partial

    def _end_partial(self, mark: str, chunk: ChatChunk) -> None:
        partial = self._partial.pop(mark, None)
        if partial is not None:
            text = json.dumps(partial.value, ensure_ascii=False)
            self._assembler.calls.fragment(index=partial.index, arguments=text, whole=True)
            chunk.tool_calls.append(ToolCallDelta(partial.index, "", "", text))


class _Text(list[str]):
    """Pieces of a text."""


def _longer(before: Any, value: Any) -> Any:
    """
    Of lists that come in pieces or grow, and of objects that hold them, what is known at the end.
    """
    if isinstance(before, dict) and isinstance(value, dict):
        return {
            **before,
            **{name: _longer(before.get(name), inner) for name, inner in value.items()},
        }
    if isinstance(before, list) and isinstance(value, list) and value[: len(before)] != before:
        return before + value
    return value


def _signed(segment: dict[str, Any], signature: str) -> dict[str, Any]:
    return {**segment, "thought_signature": signature} if signature else segment


def _says_something(chunk: ChatChunk) -> bool:
    return bool(
        chunk.delta_content
        or chunk.delta_reasoning
        or chunk.tool_calls
        or chunk.images
        or chunk.finish_reason
        or chunk.usage
        or chunk.extra
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _given(value: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls of relays that write an SDK's objects out again."""
    if None not in value.values():
        return value
    return {name: each for name, each in value.items() if each is not None}


def _either(holder: dict[str, Any], one: str, other: str) -> Any:
    return holder.get(one) or holder.get(other)


class _PartialCall:
    """
    Arguments that come member by member:
    ``{"jsonPath": "$.a.b[0]", "stringValue": "...", "willContinue": true}``.
    """

    _STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]{1,4})\]|\['((?:[^'\\]|\\.)*)'\]")
    _MOST_STEPS = 100
    _VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")

    def __init__(self, index: int) -> None:
        self.index = index
        self.value: Any = {}

    def add(self, piece: dict[str, Any]) -> None:
        steps = [
            int(at) if at else name or quoted
            for name, at, quoted in self._STEP.findall(str(piece.get("jsonPath", "")))
        ]
        kind = next((kind for kind in self._VALUES if kind in piece), None)
        if len(steps) > self._MOST_STEPS or not steps or kind is None:
            return
        value = None if kind == "nullValue" else piece[kind]
        holder: Any = self.value
        for step, following in itertools.pairwise(steps):
            holder = self._child(holder, step, [] if isinstance(following, int) else {})
        before = self._child(holder, steps[-1], None)
        joined = before + value if isinstance(before, str) and isinstance(value, str) else value
        self._put(holder, steps[-1], joined)

    def _child(self, holder: Any, step: Any, empty: Any) -> Any:
        try:
            found = holder[step]
        except (KeyError, IndexError, TypeError):
            found = None
        if found is None and empty is not None:
            found = empty
            self._put(holder, step, found)
        return found

    @staticmethod
    def _put(holder: Any, step: Any, value: Any) -> None:
        if isinstance(holder, list) and isinstance(step, int):
            holder.extend([None] * (min(step, 10_000) + 1 - len(holder)))
            holder[min(step, 10_000)] = value
        elif isinstance(holder, dict):
            holder[step] = value


def tier_of(usage: Any) -> str:
    """
    Vertex AI's ``ON_DEMAND_PRIORITY`` is ``priority``; ``""`` where nothing is said. Source:
    ``TrafficType`` of google-genai.
    """
    traffic = _dict(usage).get("trafficType")
    return traffic.lower().removeprefix("on_demand_") if isinstance(traffic, str) else ""


def usage_of(value: Any, before: Usage | None) -> Usage | None:
    """Tokens of a snapshot; a field that it leaves out keeps what the one before said."""
    if not isinstance(value, dict):
        return None
    old = before or Usage()
    prompt = count(value, "promptTokenCount", old.prompt_tokens)
    if "toolUsePromptTokenCount" in value:
        prompt += count(value, "toolUsePromptTokenCount")
    thoughts = count(value, "thoughtsTokenCount", old.reasoning_tokens)
    answer = count(value, "candidatesTokenCount", old.completion_tokens - old.reasoning_tokens)
    cached = count(value, "cachedContentTokenCount", old.cached_tokens)
    return Usage(prompt, answer + thoughts, prompt + answer + thoughts, cached, thoughts)


def _arguments(call: dict[str, Any]) -> dict[str, Any] | str:
    """An object; some relays send it as JSON in a text."""
    args = call.get("args")
    return args if isinstance(args, dict) or (isinstance(args, str) and args.strip()) else {}
