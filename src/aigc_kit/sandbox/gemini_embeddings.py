"""
Gemini's ``embedContent`` and ``batchEmbedContents``, and ``predict`` of Vertex AI's own models.

Source: https://ai.google.dev/api/embeddings, google-genai 3.6.1 against a loopback server, read
2026-11-25.
"""

from __future__ import annotations

from typing import Any

from aigc_kit.sandbox import numbers
from aigc_kit.sandbox.http import Answer

METHODS = ("embedContent", "batchEmbedContents", "predict")

_LONGEST = {"gemini-embedding-001": 2048, "gemini-embedding-2": 8192}
_MOST = 100
_TASKS = frozenset(
    {
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "CODE_RETRIEVAL_QUERY",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
    }
)


def respond(body: dict[str, Any], model: str, method: str, *, on_vertex: bool) -> Answer:
    """The response to a request with the keys of proto JSON in camelCase."""
    known = _LONGEST if not on_vertex else {**_LONGEST, "text-embedding-005": 2048}
    if model not in known:
        return _error(404, "NOT_FOUND", f"models/{model} is not found for API version v1beta")
    if method == "predict":
        return _predict(body, model)
    if method == "embedContent":
        return _single(body, model)
    return _batch(body, model, on_vertex=on_vertex)


def _single(body: dict[str, Any], model: str) -> Answer:
    vector = _vector(body, model)
    if isinstance(vector, Answer):
        return vector
    return Answer(200, {"embedding": {"values": vector}, **_usage([body])})


def _batch(body: dict[str, Any], model: str, *, on_vertex: bool) -> Answer:
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        return _invalid("requests is required")
    if on_vertex:
        return _invalid("Only one content is supported for online requests to this model.")
    if len(requests) > _MOST:
        return _invalid(f"at most {_MOST} requests can be in one batch")
    made = [_vector(request, model) for request in requests]
    wrong = next((each for each in made if isinstance(each, Answer)), None)
    if wrong is not None:
        return wrong
    return Answer(200, {"embeddings": [{"values": vector} for vector in made], **_usage(requests)})


def _text(request: dict[str, Any]) -> str:
    parts = (request.get("content") or {}).get("parts") or []
    return "\n".join(str(part.get("text", "")) for part in parts)


def _vector(request: dict[str, Any], model: str) -> list[float] | Answer:
    config = {**request, **(request.get("embedContentConfig") or {})}
    text = _text(request)
    if not text:
        return _invalid("content contains an empty Part.")
    if numbers.tokens(text) > _LONGEST[model] and config.get("autoTruncate") is False:
        return _invalid(
            f"The input token count exceeds the maximum number of tokens allowed {_LONGEST[model]}."
        )
    task = config.get("taskType")
    if task is not None and task not in _TASKS:
        return _invalid(f"Invalid value at 'task_type': {task}")
    size = config.get("outputDimensionality", 3072)
    if not 128 <= size <= 3072:
        return _invalid("output_dimensionality must be from 128 to 3072")
    salt = f"{model} {task}" if task and model.endswith("001") else model
    of = 3072 if model.endswith("001") else 0
    return numbers.vector(text[: _LONGEST[model] * 4], salt, size, of=of)


def _predict(body: dict[str, Any], model: str) -> Answer:
    instances = body.get("instances")
    if not isinstance(instances, list) or not instances:
        return _invalid("instances is required")
    if len(instances) > (1 if model.startswith("gemini-") else 250):
        return _invalid("too many instances in the request")
    whole = 3072 if model.startswith("gemini-") else 768
    size = (body.get("parameters") or {}).get("outputDimensionality", whole)
    predictions = []
    for instance in instances:
        text = str(instance.get("content", ""))
        task = instance.get("task_type") or instance.get("taskType")
        values = numbers.vector(text, f"{model} {task}" if task else model, size, of=whole)
        statistics = {"token_count": numbers.tokens(text), "truncated": False}
        predictions.append({"embeddings": {"values": values, "statistics": statistics}})
    return Answer(200, {"predictions": predictions})


def _usage(requests: list[dict[str, Any]]) -> dict[str, Any]:
    spent = sum(numbers.tokens(_text(request)) for request in requests)
    return {"usageMetadata": {"promptTokenCount": spent, "totalTokenCount": spent}}


def _invalid(message: str) -> Answer:
    return _error(400, "INVALID_ARGUMENT", message)


def _error(code: int, status: str, message: str) -> Answer:
    return Answer(code, {"error": {"code": code, "message": message, "status": status}})
