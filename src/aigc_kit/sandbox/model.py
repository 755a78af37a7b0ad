"""What the sandbox's model says, whatever wire asks: an echo, calls of tools, what the tools said, an instance. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.sandbox.instances import instance


@dataclass
class Asked:
    """
    A conversation in no vendor's words.

    ``said``: the last user text. ``results``: texts of tool results, where they come last. ``tools``: (name, schema).
    ``choice``: ``""``, ``"none"``, ``"any"`` or a name. ``schema``: of the answer, natively; ``system``: all system text.
    """

    said: str
    results: list[str] = field(default_factory=list[str])
    tools: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    choice: str = ""
    schema: Any = None
    wants_json: bool = False
    system: str = ""
    turns: int = 1
    thinks: bool = False


@dataclass
class Said:
    """``reason``: ``stop``, ``length``, ``tool_calls`` or ``content_filter``. ``calls``: (id, name, arguments)."""

    content: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])
    reason: str = "stop"


def answer(asked: Asked) -> Said:
    """``[blocked]``, ``[cut]`` and ``[all tools]`` in the user's text make it refuse, stop early, or call every tool."""
    reasoning = "Let me think about it." if asked.thinks else ""
    if "[blocked]" in asked.said:
        return Said(reason="content_filter")
    if "[cut]" in asked.said:
        return Said('{"na', reasoning, reason="length")
    if asked.results:
        return Said(f"The tools said: {'; '.join(asked.results)}", reasoning)
    if asked.tools and asked.choice != "none":
        named = asked.choice if asked.choice not in ("", "any") else asked.tools[0][0]
        picked = asked.tools if "[all tools]" in asked.said else [tool for tool in asked.tools if tool[0] == named]
        calls = [(f"call_{asked.turns}_{at}", name, instance(schema or {})) for at, (name, schema) in enumerate(picked)]
        return Said("", reasoning, calls, "tool_calls")
    schema = asked.schema
    if schema is None:
        found = re.search(r"JSON schema.*?\n(\{.*\})", asked.system, re.DOTALL)
        schema = json.loads(found[1]) if found else None
    if schema is None and (asked.wants_json or "one JSON object" in asked.system):
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    if schema is not None:
        return Said(json.dumps(instance(schema), ensure_ascii=False), reasoning)
    return Said(f"You said: {asked.said}", reasoning)


def words(text: str) -> list[str]:
    """A text in the pieces in which it is streamed."""
    return re.findall(r"\S+\s*|\s+", text)
