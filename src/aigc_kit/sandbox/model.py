"""
The sandbox's model, the same behind every dialect: an echo, tool calls, what the tools said, or an
instance. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.sandbox.instances import instance


@dataclass
class Prompt:
    """
    A conversation in no vendor's format.

    ``text``: the last user text. ``results``: texts of tool results, where they come last.
    ``tools``: (name, schema).
    ``choice``: ``""``, ``"none"``, ``"any"`` or a name. ``schema``: of structured output, where the
    vendor has it natively. ``system``: all system text.
    """

    text: str
    results: list[str] = field(default_factory=list[str])
    tools: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    choice: str = ""
    schema: Any = None
    wants_json: bool = False
    system: str = ""
    turns: int = 1
    thinks: bool = False


@dataclass
class Completion:
    """
    ``reason``: ``stop``, ``length``, ``tool_calls`` or ``content_filter``. ``calls``: (id, name,
    arguments).
    """

    content: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])
    reason: str = "stop"


def complete(prompt: Prompt) -> Completion:
    """
    ``[blocked]``, ``[cut]`` and ``[all tools]`` in the user's text make it refuse, stop early, or
    call every tool.
    """
    reasoning = "Let me think about it." if prompt.thinks else ""
    if "[blocked]" in prompt.text:
        return Completion(reason="content_filter")
    if "[cut]" in prompt.text:
        return Completion('{"na', reasoning, reason="length")
    if prompt.results:
        return Completion(f"The tools said: {'; '.join(prompt.results)}", reasoning)
    if prompt.tools and prompt.choice != "none":
        return Completion("", reasoning, _calls(prompt), "tool_calls")
    schema = _schema(prompt)
    if schema is None:
        return Completion(f"You said: {prompt.text}", reasoning)
    return Completion(json.dumps(instance(schema), ensure_ascii=False), reasoning)


def _calls(prompt: Prompt) -> list[tuple[str, str, Any]]:
    """Calls of every tool, of the one that was chosen, or of the first."""
    picked = prompt.tools
    if "[all tools]" not in prompt.text:
        chosen = prompt.tools[0][0] if prompt.choice in ("", "any") else prompt.choice
        picked = [tool for tool in prompt.tools if tool[0] == chosen]
    return [
        (f"call_{prompt.turns}_{at}", name, instance(schema or {}))
        for at, (name, schema) in enumerate(picked)
    ]


def _schema(prompt: Prompt) -> Any:
    """
    The schema of the request, or the one that the system text describes for a vendor without
    schemas.
    """
    if prompt.schema is not None:
        return prompt.schema
    if found := re.search(r"JSON schema.*?\n(\{.*\})", prompt.system, re.DOTALL):
        return json.loads(found[1])
    if prompt.wants_json or "one JSON object" in prompt.system:
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    return None


def words(text: str) -> list[str]:
    """A text in the pieces in which it is streamed."""
    return re.findall(r"\S+\s*|\s+", text)
