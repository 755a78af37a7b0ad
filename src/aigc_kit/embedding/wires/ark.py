"""
Ark's ``/embeddings/multimodal``: all parts of a request give one vector. Pure conversions.

Source: volcengine-ark-runtime 5.0.54 ``resources/multimodal_embeddings.py``, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

from aigc_kit.embedding.batches import Part, in_order
from aigc_kit.embedding.call import Call
from aigc_kit.embedding.wires.openai import usage_of
from aigc_kit.transport.encoding import merged


def to_body(texts: list[str], call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": call.model,
        "encoding_format": call.options.encoding_format or "float",
        "input": [{"type": "text", "text": text} for text in texts],
    }
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    body |= call.extra
    return merged(body, call.extra_body)


def from_response(body: dict[str, Any], count: int) -> Part:
    data = body.get("data")
    entries = data if isinstance(data, list) else [data]
    found = [
        (entry.get("index"), entry.get("embedding")) for entry in entries if isinstance(entry, dict)
    ]
    model = body.get("model")
    return Part(
        in_order(found, count),
        usage_of(body.get("usage")),
        model if isinstance(model, str) else "",
    )
