"""
DashScope's own embedding services: pure conversions.

They know what the OpenAI-compatible one does not: ``text_type``, ``instruct`` and multimodal models.

Source: dashscope 2.0.2 ``embeddings/``, help.aliyun.com text-embedding-synchronous-api, read
2026-11-25.
"""

from __future__ import annotations

from typing import Any

from aigc_kit.embedding.base import EmbeddingUsage, tokens
from aigc_kit.embedding.batches import Part, in_order
from aigc_kit.embedding.call import Call
from aigc_kit.transport.encoding import merged

NATIVE_FIELDS = frozenset({"instruct", "output_type"})
"""Options of a call that only the native service reads."""

_TEXT_TYPES = {"query": "query"}
"""Everything but a query is stored: classification and clustering are documents to this vendor."""


def to_text_body(texts: list[str], call: Call) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if call.dimensions is not None:
        parameters["dimension"] = call.dimensions
    if call.input_type:
        parameters["text_type"] = _TEXT_TYPES.get(call.input_type, "document")
    parameters |= call.extra
    body = {"model": call.model, "input": {"texts": texts}, "parameters": parameters}
    return merged(body, call.extra_body)


def to_multimodal_body(texts: list[str], call: Call) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if call.dimensions is not None:
        parameters["dimension"] = call.dimensions
    parameters |= call.extra
    body = {
        "model": call.model,
        "input": {"contents": [{"text": text} for text in texts]},
        "parameters": parameters,
    }
    return merged(body, call.extra_body)


def from_response(body: dict[str, Any], count: int) -> Part:
    output = body.get("output")
    entries = output.get("embeddings") if isinstance(output, dict) else None
    found = [
        (entry.get("text_index", entry.get("index")), entry.get("embedding"))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    usage = body.get("usage")
    spent = tokens(usage, "total_tokens", "input_tokens")
    return Part(
        in_order(found, count),
        EmbeddingUsage(tokens(usage, "input_tokens", "total_tokens"), spent),
    )
