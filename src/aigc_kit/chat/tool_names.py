"""Names of tools in the letters that a vendor takes, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aigc_kit.transport.encoding import sha256_of

ANY_VENDOR = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""
OpenAI, DeepSeek, Claude, Bedrock. Source:
https://platform.openai.com/docs/api-reference/chat/create, read 2026-11-22.
"""

_LONGEST = 64


class ToolNames:
    """
    Every name of a conversation, mapped one to one.

    A name that the vendor takes stays as it is. Another name (MCP's ``calendar.read``) gets a legal
    one that depends on the names alone, so that it stays the same from turn to turn.
    """

    def __init__(self, names: Iterable[str], legal: re.Pattern[str] = ANY_VENDOR) -> None:
        self._sent: dict[str, str] = {}
        self._own: dict[str, str] = {}
        known = dict.fromkeys(names)
        if not known:
            return
        taken = {name for name in known if legal.fullmatch(name)}
        for name in known:
            if name not in taken:
                self._sent[name] = _legal_name(name, taken, legal)
                taken.add(self._sent[name])
        self._own = {sent: name for name, sent in self._sent.items()}

    @classmethod
    def of(
        cls,
        tools: Iterable[Mapping[str, Any]],
        turns: Iterable[Mapping[str, Any]],
        legal: re.Pattern[str] = ANY_VENDOR,
    ) -> ToolNames:
        """The names of these tools, and those that a history's calls have."""
        declared = [
            tool["function"]["name"] for tool in tools if isinstance(tool.get("function"), Mapping)
        ]
        called = [
            call["function"]["name"]
            for turn in turns
            if turn.get("tool_calls")
            for call in turn["tool_calls"]
        ]
        return cls([*declared, *called], legal)

    def sent(self, name: str) -> str:
        """The name as the vendor gets it."""
        return self._sent.get(name, name)

    @property
    def own(self) -> Mapping[str, str]:
        """Names that the vendor was given -> the application's own; only those that differ."""
        return self._own


def _legal_name(name: str, taken: set[str], legal: re.Pattern[str]) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    mark = sha256_of(name.encode()).hexdigest()[:8]
    if not plain.strip("_-"):  # Chinese: "____" could be anything
        plain = f"tool_{mark}"
    if not legal.match(plain[:1]):
        plain = f"f_{plain}"
    if len(plain) <= _LONGEST and plain not in taken and legal.fullmatch(plain):
        return plain
    return f"{plain[: _LONGEST - 9]}_{mark}"
