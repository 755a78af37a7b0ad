"""``chat.completion`` and its chunks, of any vendor, read into the assembler. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.assembler import Assembler, reason_of
from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCallDelta, Usage, count
from aigc_kit.chat.openai_compat import origin
from aigc_kit.errors import ContentFilterError, InvalidReplyError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.answers import vendor_error
from aigc_kit.transport.error_bodies import is_error
from aigc_kit.transport.failures import RequestContext

_READ = frozenset(
    {
        "role",
        "content",
        "reasoning_content",
        "reasoning",
        "refusal",
        "tool_calls",
        "function_call",
        "name",
    }
)
"""Fields of a message that have a place of their own."""

_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs", "usage", "message"})
"""Fields of a choice that have a place of their own."""

_NOTHING: dict[str, Any] = {}
_CONTENT = ["content"]
_CALLS = ["tool_calls"]

_FRAME = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "request_id",
        "obfuscation",
        "provider",
    }
)
"""Fields of a chunk that say nothing of the answer."""

_NOT_RETURNED = frozenset(
    {
        "images",
        "annotations",
        "citations",
        "search_results",
        "token_ids",
        "stop_reason",
        "parsed",
        "logprobs",
        "moderation_hit_type",
        "flag",
    }
)
"""
Fields about an answer. Every other one may be state that its back end wants back
(``reasoning_details``, ``audio``).
"""


_SHORTEST_SUMMARY = 16
"""Characters; a shorter last piece that equals all before it may be a word said twice."""


class CompletionReader:
    """
    Reads a whole completion, or one chunk after the other.

    Fields without a place of their own are kept in ``raw``, and those that the vendor wants back in
    ``message``.
    """

    def __init__(
        self,
        assembler: Assembler,
        context: RequestContext,
        own_origin: str = "",
        *,
        marks_reasoning: bool = True,
    ) -> None:
        """
        Args:
            own_origin: the back end's mark on what it wants back.
            marks_reasoning: off for models whose reasoning is sent back wherever it came from.
        """
        self._assembler = assembler
        self._context = context
        self._origin = own_origin
        self._marks_reasoning = marks_reasoning
        self._has_deltas = False
        self._choice = _ChoiceFollower()
        self._reasoning_field = ""
        self._texts: list[str] = []  # of the content as they came, tags included
        self._message: dict[str, Any] = {}
        self._choice_extra: dict[str, Any] = {}
        self._body_extra: dict[str, Any] = {}
        self._usage: Any = None

    def whole(self, body: Mapping[str, Any]) -> None:
        """A whole response; ``raw`` is the response itself."""
        assembler = self._assembler
        _head(body, assembler)
        choices = body.get("choices")
        choice = self._choice.of(choices)
        message = choice.get("message")
        if not isinstance(message, dict):
            message = choice.get("delta") if isinstance(choice.get("delta"), dict) else None
        if message is not None:
            self._take(message, whole=True)
        elif choice:
            assembler.oddities.append(
                f"a choice without a message ({type(choice.get('message')).__name__})"
            )
        if isinstance(choices, list) and len(choices) > 1:
            assembler.warnings.append(
                {
                    "feature": "choices",
                    "details": f"{len(choices)} answers came; the others are in raw",
                }
            )
        self._tail(body, choice)
        assembler.raw = dict(body)
        self.end()

    def salvaged(self, body: Mapping[str, Any]) -> ChatResult | None:
        """What of an answer stands beside the vendor's error; it was paid for."""
        message = self._choice.of(body.get("choices")).get("message")
        if isinstance(message, dict):
            self._take(message, whole=True)
        return self._assembler.result(complete=False) if self._assembler.has_answer() else None

    def event(self, event: dict[str, Any]) -> ChatChunk | None:
        """
        One chunk of a stream, or a whole response where a stream was asked for.

        Raises:
            ProviderError: it is the vendor's error.
        """
        chunk: ChatChunk | None = None
        plain = self._plain_delta(event)
        filled = [name for name, value in plain.items() if value and name != "role"]
        if filled == _CONTENT and type(plain["content"]) is str:
            return self._text_chunk(plain["content"])
        if filled == _CALLS:
            chunk = self._arguments_chunk(plain["tool_calls"])
        if chunk is not None:
            return chunk
        assembler = self._assembler
        choices = event.get("choices")
        if not choices and is_error(event):
            raise vendor_error(self._context, event, {})
        if not assembler.id:
            _head(event, assembler)
        choice = self._choice.of(choices)
        if choice.get("error") or event.get("error"):
            raise vendor_error(self._context, event, {})
        delta = choice.get("delta")
        if delta and isinstance(delta, dict):
            self._has_deltas = True
            chunk = self._take(delta, reason=choice.get("finish_reason"))
        message = choice.get("message")
        if message and isinstance(message, dict):
            chunk = self._snapshot(message, chunk, event)
        extra = self._extras(event, choice)
        reason, usage = self._tail(event, choice)
        if extra or reason or usage:
            chunk = chunk or ChatChunk()
            chunk.extra.update(extra)
            chunk.usage = usage
            chunk.finish_reason = reason_of(reason) if reason else None
        return chunk

    def _plain_delta(self, event: dict[str, Any]) -> dict[str, Any]:
        """
        The delta of a chunk with nothing beside it, of the choice that is followed, else nothing.

        Nearly every chunk is such a one, and reading it as if it could be any other costs twice.
        """
        choices = event.get("choices")
        if type(choices) is not list or len(choices) != 1 or not event.keys() <= _FRAME:
            return _NOTHING
        choice = choices[0]
        if type(choice) is not dict or event.get("usage") or not choice.keys() <= _CHOICE:
            return _NOTHING
        get = choice.get
        if get("finish_reason") or get("logprobs") or get("usage") or get("message"):
            return _NOTHING
        delta = get("delta")
        if type(delta) is not dict or not self._choice.is_followed(get("index")):
            return _NOTHING
        return delta

    def _text_chunk(self, text: str) -> ChatChunk | None:
        self._has_deltas = True
        self._texts.append(text)
        answer, reasoning = self._assembler.text(text)
        return ChatChunk(answer, reasoning) if answer or reasoning else None

    def _arguments_chunk(self, calls: Any) -> ChatChunk | None:
        """The chunk of a piece that goes on with the arguments of one call, else None."""
        piece = _only_arguments(calls)
        more = self._assembler.more_arguments(*piece) if piece else None
        return ChatChunk(tool_calls=[more]) if more is not None else None

    def end(self) -> None:
        """
        After the last event.

        Raises:
            ContentFilterError: the answer was blocked, and there is nothing of it.
        """
        assembler = self._assembler
        returned = {
            name: value
            for name, value in self._message.items()
            if value and name not in _NOT_RETURNED
        }
        if "audio" in returned:
            returned["audio"] = _reference(returned["audio"])
        reasoning = ""
        if assembler.reasoning and self._marks_reasoning:
            reasoning = self._reasoning_field or assembler.thought_tag or "<think>"
        assembler.message_extra = origin.marked(self._origin, fields=returned, reasoning=reasoning)
        assembler.has_more = bool(self._message.get("audio")) or assembler.has_more
        assembler.raw = assembler.raw or self._gathered()
        self._refuse_blocked()

    def _gathered(self) -> dict[str, Any]:
        """The pieces of a stream in the shape of a whole response."""
        assembler = self._assembler
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts),
            **self._message,
        }
        if self._reasoning_field in origin.REASONING_FIELDS:
            message[self._reasoning_field] = "".join(assembler.reasoning)
        if assembler.refusal:
            message["refusal"] = "".join(assembler.refusal)
        calls = assembler.raw_calls()
        if calls:
            message["tool_calls"] = calls
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": assembler.finish_reason or None,
            **self._choice_extra,
        }
        body: dict[str, Any] = {
            "id": assembler.id,
            "object": "chat.completion",
            "model": assembler.reply_model,
        }
        body |= {"choices": [choice], **self._body_extra}
        if self._usage is not None:
            body["usage"] = self._usage
        return body

    def _refuse_blocked(self) -> None:
        assembler, context = self._assembler, self._context
        if assembler.finish_reason not in ("content_filter", "sensitive") or assembler.has_answer():
            return
        raise ContentFilterError(
            f"{context.provider} blocked the answer: {assembler.finish_reason}",
            reason=assembler.finish_reason,
            code=assembler.finish_reason,
            provider=context.provider,
            model=context.model,
            request_id=assembler.request_id,
            status_code=200,
            billed="unknown",
            body=assembler.raw,
        )

    def _take(
        self, message: dict[str, Any], *, whole: bool = False, reason: Any = None
    ) -> ChatChunk | None:
        """
        Read a message or a delta; returns the chunk that it makes, or None when there is nothing in
        it.
        """
        assembler = self._assembler
        text = message.get("content")
        images: list[ImageResult] = []
        thought = ""
        if text is None:
            text = ""
        elif not isinstance(text, str):
            text, thought, images = self._parts(text)
        reasoning = self._reasoning(message) or thought
        if reason and text and self._is_summary(text):
            reasoning = "" if reasoning == "".join(assembler.reasoning) else reasoning
            text = ""
        if reasoning:
            assembler.reasoning.append(reasoning)
        if text:
            self._texts.append(text)
            text, split = assembler.text(text)
            reasoning += split
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            assembler.refusal.append(refusal)
        if message.keys() - _READ:
            images += self._more(message)
        deltas = self._calls(message, whole=whole)
        if text or reasoning or deltas or images:
            return ChatChunk(text, reasoning, deltas, images=images)
        return None

    def _is_summary(self, text: str) -> bool:
        """
        Whether the last piece is all the text once more. Source: agno-agi/agno#2336,
        vercel/ai#3953.
        """
        return len(text) >= _SHORTEST_SUMMARY and text == "".join(self._texts)

    def _reasoning(self, message: dict[str, Any]) -> str:
        for name in origin.REASONING_FIELDS:
            value = message.get(name)
            if isinstance(value, str) and value:
                self._reasoning_field = self._reasoning_field or name
                return value
        return ""

    def _parts(self, content: Any) -> tuple[str, str, list[ImageResult]]:
        """
        (text, reasoning, images) of a content that is a list of parts, or JSON where text should
        be.
        """
        assembler = self._assembler
        if isinstance(content, dict):
            return _as_json(content), "", []
        assembler.expect(content, list, "content")
        if not isinstance(content, list):
            return "", "", []
        texts, thoughts, images = [], [], list[ImageResult]()
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict) and part.get("type") == "thinking":
                thoughts.append(_thinking_text(part))
                self._reasoning_field = "thinking"
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif isinstance(part, dict):
                images += self._image_of(part)
        return "".join(texts), "".join(thoughts), images

    def _image_of(self, part: Mapping[str, Any]) -> list[ImageResult]:
        url = _image_url(part)
        made = self._assembler.image(url=url, once=True) if url else None
        return [made] if made is not None else []

    def _more(self, message: Mapping[str, Any]) -> list[ImageResult]:
        """Fields without a place: kept, and the images among them read."""
        images: list[ImageResult] = []
        for name, value in message.items():
            if name in _READ or value is None:
                continue
            self._message[name] = _joined(self._message.get(name), value)
            if name == "images" and isinstance(value, list):
                for part in value:
                    images += self._image_of(part) if isinstance(part, Mapping) else []
        return images

    def _calls(self, message: dict[str, Any], *, whole: bool) -> list[ToolCallDelta]:
        calls = message.get("tool_calls")
        legacy = message.get("function_call")
        if calls is None and legacy is None:
            return []
        assembler = self._assembler
        assembler.expect(calls, list, "tool_calls")
        listed = (
            [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        )
        if not listed and isinstance(legacy, dict):
            listed = [{"index": 0, "function": legacy}]
        deltas = [self._fragment(number, call, whole=whole) for number, call in enumerate(listed)]
        return [delta for delta in deltas if delta is not None]

    def _fragment(self, number: int, call: dict[str, Any], *, whole: bool) -> ToolCallDelta | None:
        """One call or a piece of it; ``number`` is the index of a whole call that has none."""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        extra = call.get("extra_content")
        extra = extra if isinstance(extra, dict) else None
        index = call.get("index")
        if whole and index is None:
            index = number
        return self._assembler.fragment(
            index=index,
            id=call.get("id"),
            name=function.get("name"),
            arguments=function.get("arguments"),
            extra=extra,
            whole=whole,
        )

    def _snapshot(
        self, message: dict[str, Any], chunk: ChatChunk | None, event: Mapping[str, Any]
    ) -> ChatChunk | None:
        """
        A ``message`` inside of a stream: all of the answer (so far), of which only what is new is
        taken.

        Some back ends stream with ``message`` in place of ``delta``, whole or piece by piece.
        """
        assembler = self._assembler
        assembler.is_whole = assembler.is_whole or event.get("object") == "chat.completion"
        fresh = dict(message)
        for name in message.keys() & self._message.keys():
            self._message[name] = _owned(fresh.pop(name))  # as a whole, in place of its pieces
        for name, have in (("content", self._texts), ("reasoning_content", assembler.reasoning)):
            value, came = message.get(name), "".join(have)
            if isinstance(value, str) and value.startswith(came):
                fresh[name] = value[len(came) :]
            elif self._has_deltas:
                fresh.pop(name, None)
        if assembler.calls and self._has_deltas:
            fresh.pop("tool_calls", None)
            fresh.pop("function_call", None)
        made = self._take(fresh, whole=True)
        if chunk is None or made is None:
            return chunk or made
        return ChatChunk(
            chunk.delta_content + made.delta_content,
            chunk.delta_reasoning + made.delta_reasoning,
            [*chunk.tool_calls, *made.tool_calls],
            images=[*chunk.images, *made.images],
        )

    def _extras(self, event: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
        """What a chunk has that has no field of its own."""
        found: dict[str, Any] = {}
        if event.keys() - _FRAME:
            body = {
                name: value
                for name, value in event.items()
                if name not in _FRAME and value is not None
            }
            for name, value in body.items():
                self._body_extra[name] = _latest(self._body_extra.get(name), value)
            found |= body
        for name in choice.keys() - _CHOICE:
            if choice[name] is not None:
                self._choice_extra[name] = found[name] = choice[name]
        if choice.get("logprobs"):
            joined = _joined(self._choice_extra.get("logprobs"), choice["logprobs"])
            self._choice_extra["logprobs"] = joined
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta.keys() - _READ:
            found |= {
                name: value
                for name, value in delta.items()
                if name not in _READ and value is not None
            }
            found.pop("images", None)
        return found

    def _tail(
        self, body: Mapping[str, Any], choice: Mapping[str, Any]
    ) -> tuple[str | None, Usage | None]:
        reason = choice.get("finish_reason")
        reason = reason if isinstance(reason, str) and reason else None
        if reason:
            self._assembler.finish_reason = reason
        raw = body.get("usage") or choice.get("usage")
        usage = usage_of(raw) if raw else None
        if usage:
            self._usage = raw
            self._assembler.usage = usage
        return reason, usage


def _only_arguments(calls: Any) -> tuple[int, str] | None:
    """(index, piece) of a list with a piece of one call's arguments and nothing else."""
    if type(calls) is not list or len(calls) != 1:
        return None
    call = calls[0]
    if type(call) is not dict or call.get("id"):
        return None
    function, index = call.get("function"), call.get("index")
    if type(function) is not dict or type(index) is not int or "extra_content" in call:
        return None
    piece = function.get("arguments")
    return None if type(piece) is not str or function.get("name") else (index, piece)


class _ChoiceFollower:
    """
    Which of several choices is the answer: the one whose index came first.

    A server that counts its tokens in ``index`` (huggingface/text-generation-inference#1648) sends
    one choice a chunk and never the same index twice; there, every chunk belongs to the answer.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0
        self._repeated = False
        self._counted = False

    def of(self, choices: Any) -> Mapping[str, Any]:
        if type(choices) is list and len(choices) == 1:
            choice = choices[0]
            if type(choice) is dict and self.is_followed(choice.get("index")):
                return self._followed(choice)
        listed = (
            [choice for choice in choices if isinstance(choice, dict)]
            if isinstance(choices, list)
            else []
        )
        if not listed:
            return {}
        if len(listed) > 1:
            self._repeated = True
        index = _index_of(listed[0])
        if self._first is None:
            self._first = self._last = index
            return self._followed(listed[0])
        own = next((choice for choice in listed if _index_of(choice) == self._first), None)
        if own is not None:
            if self._counted:
                raise InvalidReplyError(
                    "several answers came mixed, though one was asked for", billed="unknown"
                )
            self._repeated = True
            return self._followed(own)
        if not self._repeated and index > self._last:
            self._counted, self._last = True, index
            return self._followed(listed[0])
        return {}

    def is_followed(self, index: object) -> bool:
        """Whether this is the index of the answer, and has been seen before."""
        return self._repeated and not self._counted and index == self._first

    def _followed(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        if choice.get("finish_reason"):  # an index that is new after the end is another answer
            self._repeated = True
        return choice


def _index_of(choice: Mapping[str, Any]) -> int:
    """A choice's index; 0 where there is none, as of a server that knows one choice alone."""
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _head(body: Mapping[str, Any], assembler: Assembler) -> None:
    mark, model = body.get("id"), body.get("model")
    if not assembler.id and isinstance(mark, str):
        assembler.id = mark
    if not assembler.reply_model and isinstance(model, str):
        assembler.reply_model = model


def _as_json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _thinking_text(part: Mapping[str, Any]) -> str:
    """
    Mistral's reasoning: a part that holds text, or parts. Source: https://docs.mistral.ai,
    2026-11-25.
    """
    inner = part.get("thinking")
    if isinstance(inner, str):
        return inner
    items = inner if isinstance(inner, list) else []
    return "".join(
        item["text"]
        for item in items
        if isinstance(item, dict) and isinstance(item.get("text"), str)
    )


def _image_url(part: Mapping[str, Any]) -> str:
    """Where an image part of a gateway has its URL or its bytes."""
    holder = part.get("image_url") or part.get("url") or part.get("image")
    if isinstance(holder, Mapping):
        holder = holder.get("url") or holder.get("data")
    if isinstance(holder, str) and holder:
        return holder
    data = part.get("b64_json") or part.get("data")
    inline = part.get("inline_data") or part.get("inlineData")
    kind = part.get("mime_type") or part.get("media_type")
    if isinstance(inline, Mapping):
        data, kind = inline.get("data"), inline.get("mime_type") or inline.get("mimeType")
    return f"data:{kind or 'image/png'};base64,{data}" if isinstance(data, str) and data else ""


def _reference(audio: Any) -> Any:
    """Of an answer in sound, what the history keeps."""
    if not isinstance(audio, Mapping):
        return audio
    return {name: audio[name] for name in ("id", "transcript") if audio.get(name)}


_LABELS = frozenset(
    {
        "id",
        "type",
        "format",
        "object",
        "index",
        "signature",
        "role",
        "mime_type",
        "language",
        "name",
    }
)
"""Members that come again as they were, in contrast to text that grows."""


def _joined(before: Any, value: Any) -> Any:
    """
    Pieces of an unknown field put together: text and lists grow, objects are merged, anything else
    is the last.
    """
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    if isinstance(before, list) and isinstance(value, list):
        return _joined_lists(before, value)
    if isinstance(before, dict) and isinstance(value, dict):
        return _merged(before, value)
    return _owned(value)


def _owned(value: Any) -> Any:
    """A copy whose lists may grow; the chunk keeps its own."""
    if isinstance(value, list):
        return [_owned(item) for item in value]
    if isinstance(value, dict):
        return {name: _owned(item) for name, item in value.items()}
    return value


def _latest(before: Any, value: Any) -> Any:
    """
    A field beside ``choices``: the last one, but lists that come in pieces are one.

    Perplexity repeats ``citations`` and ``search_results`` on every chunk. Source:
    https://docs.perplexity.ai, 2026-11-26.
    """
    if (
        not isinstance(before, list)
        or not isinstance(value, list)
        or value[: len(before)] == before
    ):
        return value
    return before + [item for item in value if item not in before]


def _merged(before: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    inner = {
        name: item if name in _LABELS else _joined(before.get(name), item)
        for name, item in value.items()
    }
    return {**before, **inner}


def _joined_lists(before: list[Any], value: list[Any]) -> list[Any]:
    """
    Items that go on with the last one (``reasoning_details`` in pieces: same type and index) are
    one with it.
    """
    for item in value:
        last = before[-1] if before else None
        if isinstance(item, dict) and isinstance(last, dict) and _goes_on(last, item):
            before[-1] = _merged(last, item)
        else:
            before.append(_owned(item))
    return before  # not a copy: with log probabilities there is a list item for each token


def _goes_on(last: dict[str, Any], item: dict[str, Any]) -> bool:
    if not isinstance(item.get("type"), str) or not item["type"].startswith("reasoning."):
        return False
    return last.get("type") == item["type"] and last.get("index") == item.get("index")


def usage_of(value: Any) -> Usage | None:
    """Tokens from OpenAI's shape and its neighbours', or None."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = count(value, "prompt_tokens"), count(value, "completion_tokens")
    details, more = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    cached = (
        count(details, "cached_tokens")
        or count(value, "prompt_cache_hit_tokens")
        or count(value, "cached_tokens")
    )
    reasoning = count(more, "reasoning_tokens")
    if reasoning and count(value, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI counts it apart. Source: litellm 1.110.2, fold_reasoning_tokens_into_completion
    return Usage(prompt, completion, prompt + completion, cached, reasoning)
