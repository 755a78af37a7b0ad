"""Pieces -> a whole answer: one assembler for all dialects, plain and streamed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aigc_kit.chat import json_text
from aigc_kit.chat.base import ChatChunk, ChatResult, Spent, ToolCall, Usage
from aigc_kit.chat.reasons import is_failure, reason_of
from aigc_kit.chat.thoughts import ThoughtSplitter, without_start
from aigc_kit.chat.tool_calls import Call, ToolCalls
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.encoding import decode_base64, valid

_SHORTEST_SUMMARY = 16
"""
Characters; a shorter last piece that equals the only one before it may be a word said twice. Half of
it is enough where there were several.
"""

_NO_ARGUMENTS = ("", "null", '""')
"""What chat templates of tools without parameters make of them."""


class Assembler:
    """
    Gathers what a dialect reads.

    Dialects call ``text``, ``image`` and ``calls.fragment`` and set the other fields; ``result``
    makes the answer.
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
        self.base_url = ""
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
        self.calls = ToolCalls(self._names, self._taken, self.schemas)
        self.finish_reason = ""
        self.finish_message = ""
        self.usage: Usage | None = None
        self.at = time.time()
        self.tier = ""
        self.id = ""
        self.reply_model = ""
        self.message_extra: dict[str, Any] = {}
        self.raw: dict[str, Any] = {}
        self.oddities: list[str] = []
        self.has_more = False
        """Whether something came that has no field of its own (audio, executed code)."""
        self.is_whole = False
        """Whether a whole response came where a stream was asked for."""
        self._seen_images: set[Any] = set()
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

    def _move_reasoning(self) -> None:
        """Reasoning without a start tag is told from the answer only when its end has come."""
        if self.reasoning or self.thought_tag or not self._thought_tags:
            return
        split = without_start("".join(self.content), self._thought_tags)
        if split is None:
            return
        self.thought_tag, reasoning, answer = split
        self.reasoning, self.content = [reasoning], [answer] if answer else []
        self.warnings.append(
            {
                "feature": "reasoning",
                "details": "the reasoning came without a start tag, as pieces of the content",
            }
        )

    def custom_call(self, name: Any) -> None:
        """A call of a tool with free text for its input, which has no place in a ``ToolCall``."""
        self.has_more = True
        details = f"the answer calls the custom tool {name!r}: its input is in result.raw alone"
        self.warnings.append({"feature": "tools", "details": details})

    def is_summary(self, text: str, before: Sequence[str]) -> bool:
        """
        Whether the last piece of a text is all that came before it once more, maybe without the
        white space around it and the reasoning at its head. Source: agno-agi/agno#2336,
        vercel/ai#3953.
        """
        if len(text) < _SHORTEST_SUMMARY / min(len(before) or 1, 2):
            return False
        return text.strip() in ("".join(before).strip(), "".join(self.content).strip())

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
        self._move_reasoning()
        deltas = self.calls.finish()
        if answer or reasoning or deltas:
            return ChatChunk(answer, reasoning, deltas)
        return None

    def result(self, *, complete: bool = True) -> ChatResult:
        """The answer so far. ``complete``: it ended with a finish reason."""
        self.flush()
        reason = reason_of(self.finish_reason)
        kept = self.calls.kept
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
            finish_reason=valid(reason),
            usage=self.usage or Usage(),
            provider=self.provider,
            model=valid(self.reply_model or self.model),
            id=valid(self.id),
            warnings=self.warnings,
            request_id=self.request_id,
            raw=self.raw,
            images=list(self.images),
            headers=self.headers,
            requests=[self._spent()],
        )
        result.message = self._message(result, kept)
        return result

    def _spent(self) -> Spent:
        usage = self.raw.get("usage")
        return Spent(
            self.provider,
            self.reply_model or self.model,
            self.usage or Usage(),
            self.base_url,
            self.at,
            self.tier,
            usage.get("cost") if isinstance(usage, dict) else None,
            self.model,
            isinstance(usage, dict) and self.has_answer() and not _tells_output(usage),
        )

    def _whole(self, call: Call, *, cut: bool) -> ToolCall:
        text = json_text.one_object(call.text())
        if text.strip() in _NO_ARGUMENTS and not cut:
            text = "{}"
        return ToolCall(
            valid(call.id),
            valid(call.name),
            json_text.mended(json_text.readable(valid(text)), self.schemas.get(call.name)),
        )

    def _message(self, result: ChatResult, kept: list[Call]) -> dict[str, Any]:
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
                    **({"extra_content": json_text.finite(source.extra)} if source.extra else {}),
                }
                for call, source in zip(result.tool_calls, kept, strict=True)
            ]
        if result.images:
            message["images"] = [_image_part(image) for image in result.images]
        # JSON of a vendor may hold 1e999; the history must be JSON for every vendor.
        return {**message, **json_text.finite(self.message_extra)}


def _tells_output(usage: Mapping[str, Any]) -> bool:
    names = ("completion_tokens", "output_tokens", "outputTokens")
    return any(isinstance(usage.get(name), int) for name in names)


def _image_part(image: ImageResult) -> dict[str, Any]:
    url = image.url or f"data:{image.mime_type or 'image/png'};base64,{image.base64}"
    return {"type": "image_url", "image_url": {"url": url}}
