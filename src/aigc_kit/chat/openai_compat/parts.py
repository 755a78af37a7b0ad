"""What stands in the parts of a message's content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


THOUGHTS = ("thinking", "reasoning")
"""Types of parts that hold reasoning: Mistral's, and those of relays of the Responses API."""


def thinking_text(part: Mapping[str, Any]) -> str:
    """
    Mistral's reasoning: a part that holds text, or parts. Source: https://docs.mistral.ai,
    2026-11-25.
    """
    inner = part.get("thinking") or part.get("reasoning") or part.get("text") or part.get("summary")
    if isinstance(inner, str):
        return inner
    items = inner if isinstance(inner, list) else []
    return "".join(
        item["text"]
        for item in items
        if isinstance(item, dict) and isinstance(item.get("text"), str)
    )


def image_url(part: Mapping[str, Any]) -> str:
    """Where an image part of a gateway has its URL or its bytes."""
    holder = part.get("image_url") or part.get("url") or part.get("image")
    if isinstance(holder, Mapping):
        holder = holder.get("url") or holder.get("data")
    if isinstance(holder, str) and holder:
        return holder
    data = part.get("b64_json") or part.get("data")
    inline = part.get("inline_data") or part.get("inlineData")
    kind = part.get("mime_type") or part.get("media_type")
    if isinstance(inline, Mapping):
        data, kind = inline.get("data"), inline.get("mime_type") or inline.get("mimeType")
    return f"data:{kind or 'image/png'};base64,{data}" if isinstance(data, str) and data else ""
