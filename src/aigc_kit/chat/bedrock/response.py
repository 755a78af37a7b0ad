"""Converse responses and the events of ConverseStream, read into the assembler. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, Usage, count
from aigc_kit.chat.messages import arguments_object
from aigc_kit.chat.reasons import reason_of
from aigc_kit.errors import ContentFilterError, InvalidReplyError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.failures import RequestContext

_BLOCKED = ("guardrail_intervened", "content_filtered")
_RUN_BY_AWS = "server_tool_use"
"""
``toolUse.type`` of a call that AWS has run itself. Source: the service model, maximhq/bifrost#3435.
"""


class ConverseReader:
    """Blocks and stream events; reasoning is kept block by block, with its signature."""

    def __init__(self, assembler: Assembler, context: RequestContext) -> None:
        self._assembler = assembler
        self._context = context
        self._thoughts: list[_Thought] = []
        self._thought_of: dict[Any, _Thought] = {}
        self._call_of: dict[Any, int] = {}
        self._images: dict[Any, _Image] = {}
        self._blocks: list[dict[str, Any]] = []
        self._raw: dict[str, Any] = {}
        self.has_stopped = False
        """Whether messageStop came."""
        self.has_ended = False
        """Whether messageStop and metadata came, after which nothing follows."""

    def whole(self, response: Mapping[str, Any]) -> None:
        """
        A whole response.

        Raises:
            InvalidReplyError: there is no output in it, as when a proxy answers 200.
        """
        assembler = self._assembler
        assembler.raw = as_json(
            {name: value for name, value in response.items() if name != "ResponseMetadata"}
        )
        output = response.get("output")
        message = output.get("message") if isinstance(output, Mapping) else None
        if not isinstance(message, Mapping):
            raise InvalidReplyError(
                "bedrock answered 200 without an output; is base_url right?",
                provider="bedrock",
                model=assembler.model,
                request_id=assembler.request_id,
                status_code=200,
                billed="unknown",
                body=assembler.raw,
            )
        content = message.get("content")
        assembler.expect(content, list, "content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, Mapping):
                self._block(block)
        assembler.finish_reason = str(response.get("stopReason") or "")
        assembler.usage = usage_of(response.get("usage"))
        self.end()

    def _block(self, block: Mapping[str, Any]) -> None:
        assembler = self._assembler
        assembler.expect(block.get("text"), str, "text")
        use, thought, cited = (
            block.get("toolUse"),
            block.get("reasoningContent"),
            block.get("citationsContent"),
        )
        if isinstance(block.get("text"), str):
            assembler.text(block["text"])
        elif isinstance(use, Mapping):
            self._use(use)
        elif isinstance(thought, Mapping):
            self._thought(len(self._thoughts), thought.get("reasoningText") or thought)
        elif isinstance(cited, Mapping):
            for part in cited.get("content") or ():
                if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                    assembler.text(part["text"])
        elif isinstance(block.get("image"), Mapping):
            self._whole_image(block["image"])
        elif (
            "SDK_UNKNOWN_MEMBER" in block
        ):  # newer than the installed botocore, which hides its content
            assembler.oddities.append(
                f"a block that botocore does not know ({block['SDK_UNKNOWN_MEMBER']})"
            )
        elif any(
            isinstance(value, Mapping) and value for name, value in block.items() if name != "text"
        ):
            assembler.has_more = True

    def _use(self, use: Mapping[str, Any]) -> None:
        if use.get("type") == _RUN_BY_AWS:
            self._assembler.has_more = True
            return
        self._assembler.calls.fragment(
            index=len(self._assembler.calls),
            id=use.get("toolUseId"),
            name=use.get("name"),
            arguments=use.get("input") or {},
            whole=True,
        )

    def _whole_image(self, image: Mapping[str, Any]) -> ImageResult | None:
        source = image.get("source")
        found = _Image(str(image.get("format") or "png"))
        if isinstance(source, Mapping):
            found.add(source)
        return found.added_to(self._assembler)

    def event(self, event: Mapping[str, Any]) -> ChatChunk | None:
        """One event of a stream."""
        delta = event.get("contentBlockDelta")
        if delta is not None:
            piece = delta.get("delta") or {}
            text = piece.get("text")
            if text and isinstance(text, str):
                answer, reasoning = self._assembler.text(text)
                return ChatChunk(answer, reasoning) if answer or reasoning else None
            return self._delta(delta.get("contentBlockIndex"), piece)
        if "contentBlockStart" in event:
            return self._start(event["contentBlockStart"])
        if "contentBlockStop" in event:
            return self._stop(event["contentBlockStop"].get("contentBlockIndex"))
        if "messageStop" in event:
            return self._message_stop(event["messageStop"])
        if "metadata" in event:
            return self._metadata(event["metadata"])
        return None

    def _start(self, event: Mapping[str, Any]) -> ChatChunk | None:
        index, start = event.get("contentBlockIndex"), event.get("start") or {}
        image = start.get("image")
        if isinstance(image, Mapping):
            self._images[index] = _Image(str(image.get("format") or "png"))
        use = start.get("toolUse")
        if not use:
            return None
        if use.get("type") == _RUN_BY_AWS:
            self._call_of[index] = -1
            self._blocks.append({"toolUse": dict(use)})
            self._assembler.has_more = True
            return None
        at = self._call_of[index] = len(self._assembler.calls)
        call = self._assembler.calls.fragment(
            index=at, id=use.get("toolUseId"), name=use.get("name")
        )
        return ChatChunk(tool_calls=[call]) if call is not None else None

    def _stop(self, index: Any) -> ChatChunk | None:
        image = self._images.pop(index, None)
        made = image.added_to(self._assembler) if image is not None else None
        return ChatChunk(images=[made]) if made is not None else None

    def _message_stop(self, event: Mapping[str, Any]) -> ChatChunk | None:
        self.has_stopped = True
        self.has_ended = self._assembler.usage is not None
        self._assembler.finish_reason = str(event.get("stopReason") or "")
        self._raw |= {name: value for name, value in event.items() if name != "p"}
        reason = reason_of(self._assembler.finish_reason)
        return ChatChunk(finish_reason=reason) if reason else None

    def _metadata(self, event: Mapping[str, Any]) -> ChatChunk | None:
        self.has_ended = self.has_stopped
        self._raw |= {name: value for name, value in event.items() if name != "p"}
        usage = self._assembler.usage = usage_of(event.get("usage"))
        extra = {name: event[name] for name in ("trace",) if event.get(name)}
        return ChatChunk(usage=usage, extra=extra) if usage or extra else None

    def end(self) -> None:
        """
        After the last block or event.

        Raises:
            ContentFilterError: all of the answer was blocked.
        """
        assembler = self._assembler
        for image in self._images.values():
            image.added_to(assembler)
        blocks = [block for block in map(_Thought.block, self._thoughts) if block]
        if blocks:
            assembler.message_extra = {"thinking_blocks": blocks}
        assembler.raw = assembler.raw or self._gathered()
        if assembler.finish_reason in _BLOCKED and not assembler.has_answer():
            raise ContentFilterError(
                f"bedrock blocked the answer: {assembler.finish_reason}",
                reason=assembler.finish_reason,
                code=assembler.finish_reason,
                provider="bedrock",
                model=self._context.model,
                request_id=assembler.request_id,
                status_code=200,
                billed="yes" if assembler.usage else "unknown",
                body=assembler.raw,
            )

    def _gathered(self) -> dict[str, Any]:
        """The events of a stream in the shape of a whole response."""
        text = "".join(self._assembler.content)
        content = [block for block in map(_Thought.raw, self._thoughts) if block]
        content += [{"text": text}] if text else []
        content += [{"toolUse": _raw_use(call)} for call in self._assembler.calls.raw()]
        message = {"role": "assistant", "content": [*content, *self._blocks]}
        return dict(as_json({"output": {"message": message}, **self._raw}))

    def _delta(self, index: Any, piece: Mapping[str, Any]) -> ChatChunk | None:
        if "toolUse" in piece:
            at = self._call_of.get(index, max(len(self._assembler.calls) - 1, 0))
            if at < 0:
                return None
            delta = self._assembler.calls.fragment(
                index=at, arguments=piece["toolUse"].get("input") or ""
            )
            return ChatChunk(tool_calls=[delta]) if delta is not None else None
        if "reasoningContent" in piece:
            thought = self._thought(index, piece["reasoningContent"])
            return ChatChunk("", thought) if thought else None
        image = piece.get("image")
        if isinstance(image, Mapping) and isinstance(image.get("source"), Mapping):
            self._images.setdefault(index, _Image("png")).add(image["source"])
            return None
        rest = {name: value for name, value in piece.items() if name != "text"}
        if not rest:
            return None
        self._blocks.append(rest)
        return ChatChunk(extra=dict(as_json(rest)))

    def _thought(self, index: Any, piece: Mapping[str, Any]) -> str:
        thought = self._thought_of.get(index)
        if thought is None:
            thought = self._thought_of[index] = _Thought()
            self._thoughts.append(thought)
        text, signature, redacted = (
            piece.get("text"),
            piece.get("signature"),
            piece.get("redactedContent"),
        )
        if isinstance(signature, str):
            thought.signature.append(signature)
        if isinstance(redacted, (bytes, str)):
            thought.redacted.append(
                base64.b64decode(redacted) if isinstance(redacted, str) else redacted
            )
        if not isinstance(text, str) or not text:
            return ""
        thought.text.append(text)
        self._assembler.reasoning.append(text)
        return text


@dataclass
class _Thought:
    """A reasoning block as it comes in pieces."""

    text: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    redacted: list[bytes] = field(default_factory=list[bytes])

    def raw(self) -> dict[str, Any]:
        """The block in Converse's shape."""
        kept = self.block()
        if "data" in kept:
            return {"reasoningContent": {"redactedContent": kept["data"]}}
        inner = {"text": kept.get("thinking", ""), "signature": kept.get("signature")}
        told = {name: value for name, value in inner.items() if value}
        return {"reasoningContent": {"reasoningText": told}} if told else {}

    def block(self) -> dict[str, Any]:
        """What the history keeps; nothing of a block that came empty."""
        if self.redacted:
            data = base64.b64encode(b"".join(self.redacted)).decode("ascii")
            return {"type": "redacted_thinking", "data": data} if data else {}
        if not (self.text or self.signature):
            return {}
        block = {"type": "thinking", "thinking": "".join(self.text)}
        signature = "".join(self.signature)
        return {**block, "signature": signature} if signature else block


def _raw_use(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call in Converse's shape."""
    function = call["function"]
    return {
        "toolUseId": call["id"],
        "name": function["name"],
        "input": arguments_object(function["arguments"]),
    }


@dataclass
class _Image:
    """An image as it comes in pieces. ``format``: Bedrock's word (``png``)."""

    format: str
    data: list[bytes] = field(default_factory=list[bytes])
    uri: str = ""

    def add(self, source: Mapping[str, Any]) -> None:
        piece = source.get("bytes")
        if isinstance(piece, (bytes, bytearray)):
            self.data.append(bytes(piece))
        elif isinstance(piece, str):
            self.data.append(base64.b64decode(piece))
        location = source.get("s3Location")
        if isinstance(location, Mapping):
            self.uri = str(location.get("uri") or "")

    def added_to(self, assembler: Assembler) -> ImageResult | None:
        if not self.data and not self.uri:
            return None
        return assembler.image(
            url=self.uri, data=b"".join(self.data), mime_type=f"image/{self.format}"
        )


def usage_of(value: Any) -> Usage | None:
    """Tokens; Bedrock's ``inputTokens`` leave out what the cache served."""
    if not isinstance(value, Mapping):
        return None
    read = count(value, "cacheReadInputTokens")
    written = count(value, "cacheWriteInputTokens")
    prompt = count(value, "inputTokens") + read + written
    answer = count(value, "outputTokens")
    details = value.get("cacheDetails")
    kept = (
        [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []
    )
    long = sum(count(each, "inputTokens") for each in kept if each.get("ttl") == "1h")
    return Usage(prompt, answer, prompt + answer, read, 0, written, long)


def as_json(value: Any) -> Any:
    """The value as JSON: bytes as base64, anything else that is not JSON as its text."""
    if isinstance(value, Mapping):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
