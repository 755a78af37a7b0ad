"""
Amazon Bedrock's InvokeModel for embeddings and rerank: a body for each maker of models.

Source: https://docs.aws.amazon.com/bedrock, model parameters, and pydantic-ai 2.68
``embeddings/bedrock.py``, read 2026-11-25.
"""

from __future__ import annotations

import re
from typing import Any

from aigc_kit.sandbox import numbers

Refusal = str
"""What is said with a ValidationException."""

_COHERE_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
_UNKNOWN = "The provided model identifier is invalid."


def respond(body: dict[str, Any], name: str) -> tuple[dict[str, Any], int] | Refusal:
    """The response and its tokens, or why there is none."""
    plain = re.sub(r"^(us|eu|apac|global)\.", "", name)
    for pattern, made in _MAKERS:
        if re.match(pattern, plain):
            return made(body, plain)
    return _UNKNOWN


def _titan(body: dict[str, Any], name: str) -> tuple[dict[str, Any], int] | Refusal:
    text = body.get("inputText")
    if not isinstance(text, str) or not text:
        return "Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again."
    spent = numbers.tokens(text)
    if spent > 8192:
        return f"400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: {spent}"
    size = body.get("dimensions", 1024)
    if size not in (256, 512, 1024):
        return f"Malformed input request: {size} is not a valid enum value"
    return {
        "embedding": numbers.vector(text, name, size),
        "inputTextTokenCount": spent,
    }, spent


def _cohere(body: dict[str, Any], name: str) -> tuple[dict[str, Any], int] | Refusal:
    texts = body.get("texts")
    if body.get("input_type") not in _COHERE_TYPES:
        return "Malformed input request: #: required key [input_type] not found, please reformat your input and try again."
    if not isinstance(texts, list) or not texts:
        return "Malformed input request: #: required key [texts] not found"
    if len(texts) > 96:
        return f"Malformed input request: #/texts: expected maximum item count: 96, found: {len(texts)}"
    is_v4 = "v4" in name
    longest = 128_000 if is_v4 else 512
    if body.get("truncate", "NONE") == "NONE" and any(numbers.tokens(t) > longest for t in texts):
        return f"too many tokens: size limit exceeded by text; max {longest}"
    size = body.get("output_dimension", 1536) if is_v4 else 1024
    salt = f"{name} {body['input_type']}"
    vectors = [numbers.vector(text, salt, size) for text in texts]
    found: Any = {"float": vectors} if body.get("embedding_types") else vectors
    spent = sum(map(numbers.tokens, texts))
    return {
        "id": "1",
        "embeddings": found,
        "texts": texts,
        "response_type": "embeddings_by_type" if is_v4 else "embeddings_floats",
    }, spent


def _nova(body: dict[str, Any], name: str) -> tuple[dict[str, Any], int] | Refusal:
    parameters = body.get("singleEmbeddingParams") or {}
    text = (parameters.get("text") or {}).get("value")
    if body.get("taskType") != "SINGLE_EMBEDDING" or not text:
        return "Malformed input request: taskType"
    size = parameters.get("embeddingDimension", 3072)
    spent = numbers.tokens(text)
    vector = numbers.vector(text, f"{name} {parameters.get('embeddingPurpose')}", size)
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": vector}]}, spent


def _rerank(body: dict[str, Any], name: str) -> tuple[dict[str, Any], int] | Refusal:
    if name.startswith("cohere") and body.get("api_version") != 2:
        return "Malformed input request: api_version"
    found = numbers.ranked(body.get("query"), body.get("documents"), body.get("top_n"))
    if found is None:
        return "Malformed input request: documents"
    return {
        "results": [{"index": place, "relevance_score": score} for place, score in found]
    }, numbers.tokens(body["query"])


_MAKERS = (
    (r"amazon\.titan-embed-text-v2", _titan),
    (r"cohere\.embed-", _cohere),
    (r"amazon\.nova-.*embed", _nova),
    (r"(cohere|amazon)\.rerank-", _rerank),
)
