"""
OpenAI's ``/embeddings`` and ``/rerank`` as Cohere and Jina made it: pure conversions.

Source: https://platform.openai.com/docs/api-reference/embeddings and openai 3.54, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

from aigc_kit.embedding.base import EmbeddingUsage, tokens
from aigc_kit.embedding.batches import Part, in_order
from aigc_kit.embedding.call import Call
from aigc_kit.transport.encoding import merged


def to_body(texts: list[str], call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"model": call.model, "input": texts}
    # Always said: the SDK's own default is base64, which many servers refuse.
    body["encoding_format"] = call.options.encoding_format or "float"
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    body |= call.extra
    return merged(body, call.extra_body)


def from_response(body: dict[str, Any], count: int) -> Part:
    data = body.get("data")
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    found = [(entry.get("index"), entry.get("embedding")) for entry in entries]
    model = body.get("model")
    return Part(
        in_order(found, count),
        usage_of(body.get("usage")),
        model if isinstance(model, str) else "",
    )


def usage_of(usage: Any) -> EmbeddingUsage:
    """The tokens of a response; some servers say only one of the two numbers."""
    prompt = tokens(usage, "prompt_tokens", "input_tokens", "total_tokens")
    return EmbeddingUsage(prompt, tokens(usage, "total_tokens", "prompt_tokens", "input_tokens"))
