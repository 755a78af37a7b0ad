"""Fields that this library does not know, put together from the pieces of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

READ = frozenset(
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

CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs", "usage", "message"})
"""Fields of a choice that have a place of their own."""

FRAME = frozenset(
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


class Unknown:
    """What has no place of its own, of an answer: in its message, in its choice and beside it."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.choice: dict[str, Any] = {}
        self.body: dict[str, Any] = {}

    def add_message(self, message: Mapping[str, Any]) -> None:
        for name, value in message.items():
            if name not in READ and value is not None:
                self.message[name] = joined(self.message.get(name), value)

    def replace(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Fields that come as a whole after their pieces; returns the others."""
        for name in message.keys() & self.message.keys():
            self.message[name] = owned(message[name])
        return {name: value for name, value in message.items() if name not in self.message}

    def add_chunk(self, event: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
        """What this chunk has, but its images."""
        found = self._beside(event)
        for name, value in choice.items():
            if name not in CHOICE and value is not None:
                self.choice[name] = found[name] = value
        if choice.get("logprobs"):
            self.choice["logprobs"] = joined(self.choice.get("logprobs"), choice["logprobs"])
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta.keys() - READ:
            found |= {
                name: value
                for name, value in delta.items()
                if name not in READ and value is not None
            }
            found.pop("images", None)
        return found

    def _beside(self, event: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            name: value for name, value in event.items() if name not in FRAME and value is not None
        }
        for name, value in found.items():
            self.body[name] = latest(self.body.get(name), value)
        return found

    def returned(self) -> dict[str, Any]:
        """What the back end wants back with the history."""
        kept = {
            name: value
            for name, value in self.message.items()
            if value and name not in _NOT_RETURNED
        }
        if "audio" in kept:
            kept["audio"] = audio_reference(kept["audio"])
        return kept


def audio_reference(audio: Any) -> Any:
    """Of an answer in sound, what the history keeps."""
    if not isinstance(audio, Mapping):
        return audio
    return {name: audio[name] for name in ("id", "transcript") if audio.get(name)}


def joined(before: Any, value: Any) -> Any:
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
    return owned(value)


def owned(value: Any) -> Any:
    """A copy whose lists may grow; the chunk keeps its own."""
    if isinstance(value, list):
        return [owned(item) for item in value]
    if isinstance(value, dict):
        return {name: owned(item) for name, item in value.items()}
    return value


def latest(before: Any, value: Any) -> Any:
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
        name: item or before.get(name) if name in _LABELS else joined(before.get(name), item)
        for name, item in value.items()
        if item is not None or name not in before  # a later piece takes nothing back
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
            before.append(owned(item))
    return before  # not a copy: with log probabilities there is a list item for each token


def _goes_on(last: dict[str, Any], item: dict[str, Any]) -> bool:
    if item.get("type") == last.get("type") == "thinking":  # LiteLLM: the signature ends a block
        return not last.get("signature")
    if not isinstance(item.get("type"), str) or not item["type"].startswith("reasoning."):
        return False
    if last.get("type") != item["type"] or last.get("index") != item.get("index"):
        return False
    ids = last.get("id"), item.get("id")
    if all(ids):
        return ids[0] == ids[1]
    return "data" not in item or item.get("index") is not None
