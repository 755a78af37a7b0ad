"""
What a back end gives out to have it back: fields of an assistant's turn that go to their owner and
to no one else.

A turn that has such fields is marked with its origin,
``message["extra_content"]["aigc_kit"]["origin"]``: the host and the row that made it. Fields that
the caller wrote go where the vendor has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.chat.vendors import Vendor

PLACED = frozenset({"role", "content", "name", "tool_call_id", "refusal", "tool_calls"})
"""Placed by the request itself."""

_HANDLED = frozenset(
    {
        "reasoning_content",
        "reasoning",
        "thinking",
        "thinking_blocks",
        "extra_content",
        "images",
        "function_call",
        "parsed",
        "annotations",
        "provider_specific_fields",
    }
)
"""State of some vendor that is never sent as an unknown field."""

_RETURNED = frozenset({"thinking_blocks", "provider_specific_fields"})
"""Of these, what LiteLLM wants back. Source: https://docs.litellm.ai/docs/reasoning_content, read 2026-11-27."""

REASONING_FIELDS = ("reasoning_content", "reasoning")
_STATE = ("reasoning_details", "audio")
"""Fields that only their maker understands."""


def of(base_url: str, vendor: Vendor) -> str:
    """The mark of a back end."""
    parts = urlsplit(base_url)
    return f"{vendor.name}@{parts.netloc}"


def mark_of(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a turn says of its origin; empty when it says nothing."""
    extra = turn.get("extra_content")
    if extra is None:
        return {}
    mark = extra.get("aigc_kit") if isinstance(extra, Mapping) else None
    return mark if isinstance(mark, Mapping) else {}


def own_fields(
    turn: Mapping[str, Any], origin: str, vendor: Vendor, warn: Callable[[str, str], None]
) -> dict[str, Any]:
    """The fields beside the usual ones that go to this vendor."""
    mark = mark_of(turn)
    is_own = bool(mark) and mark.get("origin") == origin
    kept: dict[str, Any] = {}
    for name, value in turn.items():
        if name in PLACED or value is None:
            continue
        state = name in mark.get("fields", ()) or name in _STATE
        if name in _HANDLED and not (is_own and state and name in _RETURNED):
            continue
        if state:
            if is_own or (not mark and vendor.passes_fields):
                kept[name] = _state_of(name, value, vendor)
            continue
        if vendor.passes_fields or name in vendor.message_fields:
            kept[name] = value
        elif name not in ("index", "logprobs", "id", "type"):
            warn(name, f"{vendor.name} has no field {name!r} in a message; it was left out")
    if is_own and turn.get("audio") is None and "audio" in mark:
        kept["audio"] = mark["audio"]
    return kept


def _state_of(name: str, value: Any, vendor: Vendor) -> Any:
    if name == "audio":
        return _audio_id(value)
    if name == "reasoning_details" and not vendor.reasoning_ids and isinstance(value, list):
        return [_without_id(item) for item in value]
    return value


def _without_id(item: Any) -> Any:
    """Ids of OpenAI's own store are refused elsewhere: langchain-ai/langchain#37777."""
    if not isinstance(item, Mapping) or not str(item.get("id") or "").startswith("rs_"):
        return item
    return {name: value for name, value in item.items() if name != "id"}


def _audio_id(value: Any) -> Any:
    """The reference to an answer in sound; its bytes are not sent again."""
    return {"id": value["id"]} if isinstance(value, Mapping) and value.get("id") else value


def marked_call(origin: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a call that its back end wants back, for ``extra_content``."""
    return {"aigc_kit": {"origin": origin, "fields": dict(fields)}}


def call_fields(call: Mapping[str, Any], origin: str, vendor: Vendor) -> dict[str, Any]:
    """What of a call goes to this back end beside its name and arguments."""
    extra = call.get("extra_content")
    if not isinstance(extra, Mapping):
        return {}
    mark = extra.get("aigc_kit")
    is_own = isinstance(mark, Mapping) and mark.get("origin") == origin
    kept = {name: value for name, value in extra.items() if name != "aigc_kit"}
    google = kept.get("google")
    if isinstance(google, Mapping) and "backend" in google:  # of Gemini's own API
        del kept["google"]
    made = dict(mark["fields"]) if isinstance(mark, Mapping) and is_own else {}
    # Gemini's compatible endpoint demands its signature back.
    return {**made, "extra_content": kept} if kept and vendor.passes_fields else made


def reasoning_field(turn: Mapping[str, Any], origin: str) -> str:
    """The field in which reasoning goes back to a back end that demands it."""
    mark = mark_of(turn)
    came_in = mark.get("reasoning") if mark.get("origin") == origin else None
    return came_in if came_in in REASONING_FIELDS else "reasoning_content"


def own_reasoning(turn: Mapping[str, Any], message: dict[str, Any], origin: str) -> None:
    """Send reasoning back to the back end that made it, in the field in which it came."""
    mark = mark_of(turn)
    text = turn.get("reasoning_content")
    if not mark or mark.get("origin") != origin or not isinstance(text, str) or not text:
        return
    came_in = mark.get("reasoning")
    if came_in in REASONING_FIELDS:
        message[came_in] = text
    elif came_in == "thinking" and isinstance(message.get("content"), str):  # Mistral's parts
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        message["content"] = [thought, {"type": "text", "text": message["content"]}]
    elif (
        isinstance(came_in, str)
        and came_in.startswith(("<", "["))
        and isinstance(message.get("content"), str)
    ):
        end = f"{came_in[0]}/{came_in[1:]}"
        message["content"] = f"{came_in}{text}{end}\n\n{message['content']}"


def marked(origin: str, *, fields: Mapping[str, Any], reasoning: str) -> dict[str, Any]:
    """What goes into a message: the fields themselves, and the mark that names their owner."""
    if not fields and not reasoning:
        return {}
    mark: dict[str, Any] = {"origin": origin}
    if fields:
        mark["fields"] = list(fields)
    if reasoning:
        mark["reasoning"] = reasoning
    return {**fields, "extra_content": {"aigc_kit": mark}}
