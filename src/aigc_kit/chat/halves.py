"""
Characters that come in two pieces: back ends in Java and JavaScript cut text between the halves of
an emoji, and no application can print or send one half.
"""

from __future__ import annotations

from aigc_kit.chat.base import ChatChunk, ToolCallDelta
from aigc_kit.transport.encoding import valid


class Halves:
    """The first halves at the end of one stream's pieces, each held until its second half comes."""

    def __init__(self) -> None:
        self._content = self._reasoning = ""
        self._arguments: dict[int, str] = {}

    def joined(self, chunk: ChatChunk) -> ChatChunk:
        """The chunk in whole characters; a half that stays alone becomes U+FFFD."""
        text, thought = chunk.delta_content, chunk.delta_reasoning
        if self._content or (text and not text.isascii()):
            chunk.delta_content, self._content = _split(self._content + text)
        if self._reasoning or (thought and not thought.isascii()):
            chunk.delta_reasoning, self._reasoning = _split(self._reasoning + thought)
        for call in chunk.tool_calls:
            held = self._arguments.pop(call.index, "")
            if held or not call.arguments.isascii():
                call.arguments, half = _split(held + call.arguments)
                if half:
                    self._arguments[call.index] = half
        return chunk

    def rest(self) -> ChatChunk | None:
        """After the last chunk: what never got its second half, None where there is nothing."""
        if not (self._content or self._reasoning or self._arguments):
            return None
        calls = [ToolCallDelta(at, arguments=valid(half)) for at, half in self._arguments.items()]
        text, thought = valid(self._content), valid(self._reasoning)
        self._content = self._reasoning = ""
        self._arguments = {}
        return ChatChunk(text, thought, calls)


def _split(text: str) -> tuple[str, str]:
    """Whole characters, and the first half of one that begins at the end."""
    try:
        text.encode()
    except UnicodeEncodeError:
        half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        return valid(text.removesuffix(half) if half else text), half
    return text, ""
