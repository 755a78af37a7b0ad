"""``chat.completion`` and its chunks, of any vendor, read into the assembler. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatResult, ToolCallDelta, Usage, count
from aigc_kit.chat.openai_compat import origin
from aigc_kit.chat.openai_compat.choices import (
    ChoiceFollower,
    delta_in,
    is_split,
    message_in,
    parts_of_answer,
    unwrapped,
)
from aigc_kit.chat.openai_compat.parts import THOUGHTS, as_json, image_url, thinking_text
from aigc_kit.chat.openai_compat.unknown import CHOICE, FRAME, READ, Unknown
from aigc_kit.chat.reasons import reason_of, stated
from aigc_kit.errors import ContentFilterError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.answers import vendor_error
from aigc_kit.transport.error_bodies import is_error, is_said
from aigc_kit.transport.failures import RequestContext

_NOTHING: dict[str, Any] = {}
_CONTENT = ["content"]
_CALLS = ["tool_calls"]
_PIECE = frozenset({"id", "index", "type", "function"})
_FUNCTION = ("name", "arguments", "parameters")
_CALL = frozenset({"id", "index", "type", "function", "extra_content"})


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
        self._choice = ChoiceFollower()
        self._reasoning_field = ""
        self._texts: list[str] = []  # of the content as they came, tags included
        self._unknown = Unknown()
        self._usage: Any = None

    def whole(self, body: Mapping[str, Any]) -> None:
        """A whole response; ``raw`` is the response itself."""
        assembler = self._assembler
        whole, body = body, unwrapped(dict(body))
        _head(body, assembler)
        choices = body.get("choices")
        choice = self._choice.of(choices)
        more: list[dict[str, Any]] = []
        message = message_in(choice)
        if message is not None:
            self._take(message, whole=True)
            more = parts_of_answer(choices, choice)
            for part in more:
                self._take(part, whole=True)
        elif choice:
            assembler.oddities.append(
                f"a choice without a message ({type(choice.get('message')).__name__})"
            )
        if isinstance(choices, list) and len(choices) > 1 and not more:
            assembler.warnings.append(
                {
                    "feature": "choices",
                    "details": f"{len(choices)} answers came; the others are in raw",
                }
            )
        self._tail(body, choice)
        assembler.raw = dict(whole)
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
        event = unwrapped(event)
        choices = event.get("choices")
        if isinstance(choices, list) and is_split(choices):
            return _together([self._event({**event, "choices": [part]}) for part in choices])
        return self._event(event)

    def _event(self, event: dict[str, Any]) -> ChatChunk | None:
        """Any chunk of one choice."""
        chunk: ChatChunk | None = None
        assembler, choices = self._assembler, event.get("choices")
        if (not choices or event.get("base_resp")) and is_error(event):
            raise vendor_error(self._context, event, {})
        if not assembler.id:
            _head(event, assembler)
        choice = self._choice.of(choices)
        if is_said(choice.get("error")) or is_said(event.get("error")):
            raise vendor_error(self._context, event, {})
        delta = delta_in(choice)
        if delta:
            self._has_deltas = True
            reason = stated(choice.get("finish_reason")) or assembler.finish_reason
            chunk = self._take(delta, reason=reason)
        message = choice.get("message")
        if message and isinstance(message, dict):
            chunk = self._snapshot(message, chunk, event)
        extra = self._unknown.add_chunk(event, choice)
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
        if type(choices) is not list or len(choices) != 1 or not event.keys() <= FRAME:
            return _NOTHING
        if self._assembler.finish_reason:  # the whole text once more, perhaps
            return _NOTHING
        choice = choices[0]
        if type(choice) is not dict or event.get("usage") or not choice.keys() <= CHOICE:
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
        more = self._assembler.calls.more_arguments(*piece) if piece else None
        return ChatChunk(tool_calls=[more]) if more is not None else None

    def end(self) -> None:
        """
        After the last event.

        Raises:
            ContentFilterError: the answer was blocked, and there is nothing of it.
        """
        assembler = self._assembler
        reasoning = ""
        if assembler.reasoning and (self._marks_reasoning or self._reasoning_field == "reasoning"):
            reasoning = self._reasoning_field or assembler.thought_tag or "<think>"
        assembler.message_extra = origin.marked(
            self._origin, fields=self._unknown.returned(), reasoning=reasoning
        )
        assembler.has_more = bool(self._unknown.message.get("audio")) or assembler.has_more
        assembler.raw = assembler.raw or self._gathered()
        self._refuse_blocked()

    def _gathered(self) -> dict[str, Any]:
        """The pieces of a stream in the shape of a whole response."""
        assembler = self._assembler
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts),
            **self._unknown.message,
        }
        if self._reasoning_field in origin.REASONING_FIELDS:
            message[self._reasoning_field] = "".join(assembler.reasoning)
        if assembler.refusal:
            message["refusal"] = "".join(assembler.refusal)
        calls = assembler.calls.raw()
        if calls:
            message["tool_calls"] = calls
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": assembler.finish_reason or None,
            **self._unknown.choice,
        }
        body: dict[str, Any] = {
            "id": assembler.id,
            "object": "chat.completion",
            "model": assembler.reply_model,
        }
        body |= {"choices": [choice], **self._unknown.body}
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
        if reason and text and assembler.is_summary(text, self._texts):
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
        if message.keys() - READ:
            images += self._more(message)
        deltas = self._calls(message, whole=whole)
        if text or reasoning or deltas or images:
            return ChatChunk(text, reasoning, deltas, images=images)
        return None

    def _reasoning(self, message: dict[str, Any]) -> str:
        for name in origin.REASONING_FIELDS:
            value = message.get(name)
            if isinstance(value, str) and value:
                self._reasoning_field = self._reasoning_field or name
                return value
        details = _details_text(message.get("reasoning_details"))
        if details or self._reasoning_field or "thinking_blocks" not in message:
            return details
        blocks = message["thinking_blocks"]
        listed = blocks if isinstance(blocks, list) else ()
        return "".join(thinking_text(block) for block in listed if isinstance(block, dict))

    def _parts(self, content: Any) -> tuple[str, str, list[ImageResult]]:
        """
        (text, reasoning, images) of a content that is a list of parts, or JSON where text should
        be.
        """
        assembler = self._assembler
        if isinstance(content, dict | int | float):
            return as_json(content), "", []
        assembler.expect(content, list, "content")
        if not isinstance(content, list):
            return "", "", []
        texts, thoughts, images = [], [], list[ImageResult]()
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict) and part.get("type") in THOUGHTS:
                thoughts.append(thinking_text(part))
                self._reasoning_field = "thinking"
            elif isinstance(part, dict) and isinstance(part.get("refusal"), str):
                assembler.refusal.append(part["refusal"])
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif isinstance(part, dict):
                images += self._image_of(part)
        return "".join(texts), "".join(thoughts), images

    def _image_of(self, part: Any) -> list[ImageResult]:
        url = _address_of(part)
        made = self._assembler.image(url=url, once=True) if url else None
        return [made] if made is not None else []

    def _more(self, message: Mapping[str, Any]) -> list[ImageResult]:
        """Fields without a place: kept, and the images among them read."""
        self._unknown.add_message(message)
        listed = message.get("images")
        images: list[ImageResult] = []
        for part in listed if isinstance(listed, list) else ():
            images += self._image_of(part)
        return images

    def _calls(self, message: dict[str, Any], *, whole: bool) -> list[ToolCallDelta]:
        calls = message.get("tool_calls")
        legacy = message.get("function_call")
        if calls is None and legacy is None:
            return []
        assembler = self._assembler
        if isinstance(calls, dict):
            calls = [calls]
        assembler.expect(calls, list, "tool_calls")
        listed = (
            [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        )
        if not listed and isinstance(legacy, dict):
            listed = [{"index": 0, "function": legacy}]
        for call in [call for call in listed if call.get("type") == "custom"]:
            custom = call.get("custom")
            assembler.custom_call(custom.get("name") if isinstance(custom, dict) else None)
            listed.remove(call)
        deltas = [self._fragment(number, call, whole=whole) for number, call in enumerate(listed)]
        return [delta for delta in deltas if delta is not None]

    def _fragment(self, number: int, call: dict[str, Any], *, whole: bool) -> ToolCallDelta | None:
        """One call or a piece of it; ``number`` is the index of a whole call that has none."""
        call, function = _parted(call)
        extra = call.get("extra_content")
        extra = extra if isinstance(extra, dict) else None
        if not call.keys() <= _CALL and self._origin:
            own = {n: v for n, v in call.items() if n not in _CALL and v is not None}
            extra = {**(extra or {}), **(origin.marked_call(self._origin, own) if own else {})}
        index = call.get("index")
        if whole and index is None:
            index = number
        return self._assembler.calls.fragment(
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
        fresh = self._unknown.replace(message)
        for name, have in (("content", self._texts), ("reasoning_content", assembler.reasoning)):
            value, came = message.get(name), "".join(have)
            if isinstance(value, str) and value.startswith(came):
                fresh[name] = value[len(came) :]
            elif self._has_deltas:
                fresh.pop(name, None)
        if assembler.calls and self._has_deltas:
            fresh.pop("tool_calls", None)
            fresh.pop("function_call", None)
        return _together([chunk, self._take(fresh, whole=True)])

    def _tail(self, body: Mapping[str, Any], choice: Mapping[str, Any]) -> tuple[str, Usage | None]:
        reason = stated(choice.get("finish_reason"))
        if reason:
            self._assembler.finish_reason = reason
        raw = body.get("usage") or choice.get("usage") or _groq_usage(body)
        usage = usage_of(raw) if raw else None
        if usage:
            self._usage = _later(self._usage, raw)
            before = self._assembler.usage
            usage = self._assembler.usage = usage if before is None else before.updated(usage)
        return reason, usage


def _together(chunks: Iterable[ChatChunk | None]) -> ChatChunk | None:
    """The pieces of one event as one chunk."""
    made = [chunk for chunk in chunks if chunk is not None]
    if len(made) < 2:
        return made[0] if made else None
    whole = ChatChunk()
    for chunk in made:
        whole.delta_content += chunk.delta_content
        whole.delta_reasoning += chunk.delta_reasoning
        whole.tool_calls = [*whole.tool_calls, *chunk.tool_calls]
        whole.images = [*whole.images, *chunk.images]
        whole.extra |= chunk.extra
        whole.usage = chunk.usage or whole.usage
        whole.finish_reason = chunk.finish_reason or whole.finish_reason
    return whole


def _later(before: Any, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The vendor's report of the tokens, with what an earlier one told and this one does not."""
    if before is None:
        return raw
    merged = {**before, **{name: value for name, value in raw.items() if value}}
    tokens = [merged.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if merged != raw and "total_tokens" in merged and all(type(each) is int for each in tokens):
        merged["total_tokens"] = sum(tokens)
    return merged


def _address_of(part: Any) -> str:
    """
    The URL of an image: OpenAI's part, Claude's ``source``, or a text alone, which is Ollama's
    base64 or an address.
    """
    if isinstance(part, Mapping) and isinstance(part.get("source"), Mapping):
        source = part["source"]
        kind = source.get("media_type") or "image/png"
        return str(source.get("url") or f"data:{kind};base64,{source.get('data') or ''}")
    if isinstance(part, Mapping):
        return image_url(part)
    if not isinstance(part, str) or part.startswith(("data:", "http://", "https://")):
        return part if isinstance(part, str) else ""
    return f"data:image/png;base64,{part}"


def _groq_usage(body: Mapping[str, Any]) -> Any:
    own = body.get("x_groq")
    return own.get("usage") if isinstance(own, Mapping) else None


def _details_text(details: Any) -> str:
    """The words of ``reasoning_details`` where they stand there alone (OpenRouter)."""
    texts = (
        item.get("text") or item.get("summary")
        for item in (details if isinstance(details, list) else ())
        if isinstance(item, Mapping)
    )
    return "".join(text for text in texts if isinstance(text, str))


def _parted(call: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    A call without its function, and the function. Local servers write the function's fields into
    the call itself, and templates of Llama ``parameters`` for ``arguments``; unverified, 2026-11-27.
    """
    function = call.get("function")
    if not isinstance(function, dict):
        function = {name: call[name] for name in _FUNCTION if name in call}
        call = {name: value for name, value in call.items() if name not in function}
    if "arguments" not in function and isinstance(function.get("parameters"), dict):
        function = {**function, "arguments": function["parameters"]}
    return call, function


def _only_arguments(calls: Any) -> tuple[int, str] | None:
    """(index, piece) of a list with a piece of one call's arguments and nothing else."""
    if type(calls) is not list or len(calls) != 1:
        return None
    call = calls[0]
    if type(call) is not dict or call.get("id"):
        return None
    function, index = call.get("function"), call.get("index")
    if type(function) is not dict or type(index) is not int or not call.keys() <= _PIECE:
        return None
    piece = function.get("arguments")
    return None if type(piece) is not str or function.get("name") else (index, piece)


def _head(body: Mapping[str, Any], assembler: Assembler) -> None:
    mark, model = body.get("id"), body.get("model")
    if not assembler.id and isinstance(mark, str):
        assembler.id = mark
    if not assembler.reply_model and isinstance(model, str):
        assembler.reply_model = model
    tier = body.get("service_tier")
    if isinstance(tier, str):
        assembler.tier = tier


def usage_of(value: Any) -> Usage | None:
    """Tokens from OpenAI's shape and its neighbours', or None."""
    if not isinstance(value, Mapping):
        return None
    if "prompt_tokens" not in value and "input_tokens" in value:
        return _claudes_usage(value)
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
    written = count(details, "cache_write_tokens") or count(details, "cache_creation_input_tokens")
    kept = details.get("cache_write_tokens_details") if isinstance(details, Mapping) else None
    long = count(kept, "ttl_12h_tokens")
    return Usage(prompt, completion, prompt + completion, cached, reasoning, written, long)


def _claudes_usage(value: Mapping[str, Any]) -> Usage:
    """
    Anthropic's words, which relays pass on; what was read from a cache or written to one is not in
    ``input_tokens``.
    """
    read, written = (
        count(value, "cache_read_input_tokens"),
        count(value, "cache_creation_input_tokens"),
    )
    prompt = count(value, "input_tokens") + read + written
    completion = count(value, "output_tokens")
    return Usage(prompt, completion, prompt + completion, read, 0, written)
