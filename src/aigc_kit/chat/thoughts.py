"""
``<think>...</think>`` at the head of an answer: back ends without a reasoning parser put reasoning
into the content.
"""

from __future__ import annotations

from collections.abc import Sequence

TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("<mm:think>", "</mm:think>"),
    ("<seed:think>", "</seed:think>"),
)
"""Qwen, DeepSeek and MiniMax; Claude's prompts; Gemini's compatible endpoint; Magistral; MiniMax M3;
Seed-OSS. Source: langchain-ai/langchain#35530, the vendors' model cards and vLLM's reasoning
parsers, read 2026-11-27."""

THINK = TAGS[:1]
"""Where other tags are the answer's own: Nova writes ``<thinking>`` into its text on Bedrock."""


def without_start(text: str, tags: Sequence[tuple[str, str]]) -> tuple[str, str, str] | None:
    """
    (start tag, reasoning, answer) of a text whose reasoning has an end alone, else None.

    Chat templates of DeepSeek-R1 and QwQ put the start into the prompt. The end stands at the end of
    its line and outside of a code block; anything else is an answer that speaks of tags. Source: ggml-org/llama.cpp#11861,
    deepseek-ai/DeepSeek-R1#526, read 2026-11-26.
    """
    for start, end in tags:
        before, found, behind = text.partition(end)
        is_quoted = start in before or before.count("```") % 2 == 1
        if found and not is_quoted and behind[:1] in ("", "\n", "\r"):
            return start, before, behind.lstrip()
    return None


class ThoughtSplitter:
    """
    Content in pieces -> what is reasoning and what is the answer. A tag anywhere but at the head is
    text.
    """

    def __init__(self, tags: Sequence[tuple[str, str]] = TAGS) -> None:
        self._tags = tags
        self.start = ""
        """The tag that was found."""
        self._held = ""
        self._end = ""  # the tag that ends the reasoning; "" outside of it
        self._after = False  # behind the reasoning, before the answer's first letter
        self.is_done = False
        """Whether everything from here on is the answer."""

    @property
    def is_reading(self) -> bool:
        """Whether a tag was found."""
        return bool(self._end) or self._after

    def feed(self, piece: str) -> tuple[str, str]:
        """(answer, reasoning) that are certain by now."""
        self._held += piece
        if not self._end and not self._after and not self._opened():
            return self._plain()
        if self._end:
            return "", self._reasoning()
        return self._answer(), ""

    def rest(self) -> tuple[str, str]:
        """(answer, reasoning) that was held back, at the end of the content."""
        held, self._held = self._held, ""
        self.is_done = True
        if self._end:
            return "", held
        return ("" if self._after else held), ""

    def pieces(self, piece: str) -> tuple[str, str]:
        """
        Like ``feed``, also when one piece holds the end of the reasoning and the beginning of the
        answer.
        """
        answer, reasoning = self.feed(piece)
        if self._after and not self.is_done:
            answer = self._answer()
        return answer, reasoning

    def _opened(self) -> bool:
        """Whether a tag stands at the head; it is taken away."""
        head = self._held.lstrip()
        for start, end in self._tags:
            if head.startswith(start):
                self.start = start
                self._held = head[len(start) :]
                self._end = end
                return True
        return False

    def _plain(self) -> tuple[str, str]:
        head = self._held.lstrip()
        if any(start.startswith(head) for start, _ in self._tags):
            return "", ""  # it may still become a tag
        held, self._held = self._held, ""
        self.is_done = True
        split = without_start(held, self._tags)
        if split is None:
            return held, ""
        self.start, reasoning, answer = split
        return answer, reasoning

    def _reasoning(self) -> str:
        before, found, behind = self._held.partition(self._end)
        if found:
            self._held, self._end, self._after = behind, "", True
            return before
        keep = next(
            (
                size
                for size in range(len(self._end) - 1, 0, -1)
                if self._held.endswith(self._end[:size])
            ),
            0,
        )
        cut = len(self._held) - keep
        ready, self._held = self._held[:cut], self._held[cut:]
        return ready

    def _answer(self) -> str:
        answer = self._held.lstrip()
        self._held = ""
        self.is_done = bool(answer)
        return answer
