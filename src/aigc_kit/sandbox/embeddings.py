"""
Embeddings and rerank as the vendors serve them over HTTP with a bearer token: paths, limits and
words of refusal.

Source: the vendors' API references and SDKs (openai 3.54, dashscope 2.0.2, volcengine-ark-runtime
5.0.54, zai-sdk 0.2.3), read 2026-11-25.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aigc_kit.sandbox import numbers
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State


@dataclass(frozen=True)
class _Vendor:
    """
    ``models``: (pattern, size, texts of a request, tokens of a text). ``takes``: whether any smaller
    size may be asked, or which. ``ignores``: models that ignore ``dimensions`` without a word.
    ``tokens``: of a whole request, 0 for any.
    """

    prefix: str
    models: tuple[tuple[str, int, int, int], ...]
    sizes: tuple[int, ...] = ()
    ignores: str = ""
    tokens: int = 0
    needs_key: bool = True
    rerank: str = ""


_QWEN = (("text-embedding-v[34]", 1024, 10, 8192), ("text-embedding-v[12]", 1536, 25, 2048))
_QWEN_SIZES = (2048, 1536, 1024, 768, 512, 256, 128, 64)

VENDORS = {
    "openai": _Vendor(
        "/openai/v1",
        (
            ("text-embedding-3-small", 1536, 2048, 8192),
            ("text-embedding-3-large", 3072, 2048, 8192),
            ("text-embedding-ada-002", 1536, 2048, 8192),
        ),
        tokens=300_000,
    ),
    "dashscope": _Vendor(
        "/compatible-mode/v1",
        _QWEN,
        _QWEN_SIZES,
        ignores="text-embedding-v[12]",
    ),
    "volcengine": _Vendor(
        "/api/v3",
        (
            ("doubao-embedding-large-text.*", 2048, 256, 4096),
            ("doubao-embedding-text.*", 2560, 256, 4096),
        ),
        ignores=".*",
    ),
    "glm": _Vendor(
        "/api/paas/v4",
        (("embedding-3", 2048, 64, 3072), ("embedding-2", 1024, 64, 512)),
        (256, 512, 1024, 2048),
        ignores="embedding-2",
        rerank="/rerank",
    ),
    "siliconflow": _Vendor(
        "/siliconflow/v1",
        (
            (".*Qwen3-Embedding-8B", 4096, 32, 32_000),
            (".*bge-m3", 1024, 32, 8192),
        ),
        ignores=".*bge.*",
        rerank="/rerank",
    ),
    "openai_compat": _Vendor(
        "/local/v1", ((".*", 384, 32, 512),), ignores=".*", needs_key=False, rerank="/rerank"
    ),
}

_NATIVE = "/api/v1/services/embeddings/"
_RERANK_OF_DASHSCOPE = "/compatible-api/v1/reranks"


def base_url(vendor: str, root: str) -> str:
    return root + VENDORS[vendor].prefix


def handle(request: Request, state: State) -> Answer | None:
    """The response of the vendor whose path it is, or None."""
    found = _found(request.path)
    if found is None:
        return None
    name, respond = found
    authorized = request.headers.get("authorization") == f"Bearer {state.api_key}"
    if VENDORS[name].needs_key and state.api_key and not authorized:
        return _refused(name, 401, "Incorrect API key provided.", "invalid_api_key")
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return _refused(name, 400, "'model' is required.", "invalid_parameter_error")
    answer = respond(body, name)
    answer.headers.setdefault("x-request-id", "req-embed-1")
    return answer


def _found(path: str) -> tuple[str, Callable[[dict[str, Any], str], Answer]] | None:
    for name, vendor in VENDORS.items():
        if path == f"{vendor.prefix}/embeddings":
            return name, _embeddings
        if vendor.rerank and path == vendor.prefix + vendor.rerank:
            return name, _rerank
    if path == "/api/v3/embeddings/multimodal":
        return "volcengine", _ark_multimodal
    if path == _RERANK_OF_DASHSCOPE:
        return "dashscope", _rerank
    if path == f"{_NATIVE}text-embedding/text-embedding":
        return "dashscope", _native_text
    if path == f"{_NATIVE}multimodal-embedding/multimodal-embedding":
        return "dashscope", _native_multimodal
    return None


def _embeddings(body: dict[str, Any], name: str) -> Answer:
    texts = _texts_of(body.get("input"))
    problem = _problem(texts, body["model"], body.get("dimensions"), name)
    if problem is not None:
        return problem
    size = _size(body, name, body.get("dimensions"))
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": _written(body, numbers.vector(text, body["model"], size)),
        }
        for place, text in enumerate(texts)
    ]
    spent = sum(map(numbers.tokens, texts))
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    if name == "glm":
        usage["completion_tokens"] = 0
    return Answer(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})


def _texts_of(value: Any) -> Any:
    """One text for each input; tokens, which ``langchain-openai`` sends, are a text of their own."""
    if isinstance(value, str):
        return [value]
    if _are_tokens(value):
        return [_of_tokens(value)]
    if isinstance(value, list):
        return [_of_tokens(each) if _are_tokens(each) else each for each in value]
    return value


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def _of_tokens(value: list[int]) -> str:
    return " ".join(f"token{each}" for each in value)


def _written(body: dict[str, Any], vector: list[float]) -> Any:
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _row(model: str, name: str) -> tuple[str, int, int, int] | None:
    rows = VENDORS[name].models
    return next((row for row in rows if re.fullmatch(row[0], model)), None)


def _problem(texts: Any, model: str, dimensions: Any, name: str) -> Answer | None:
    row = _row(model, name)
    if row is None:
        words = f"The model `{model}` does not exist or you do not have access to it."
        return _refused(name, 404, words, "model_not_found")
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        return _refused(name, 400, "'$.input' is invalid.", "invalid_request_error")
    _, size, most, longest = row
    vendor = VENDORS[name]
    if any(not text for text in texts):
        return _refused(name, 400, "'$.input' cannot be an empty string.", "invalid_request_error")
    if len(texts) > most:
        return _refused(name, 400, _too_many(name, most), "InvalidParameter")
    if any(numbers.tokens(text) > longest for text in texts):
        words = (
            f"This model's maximum context length is {longest} tokens, however you requested more."
        )
        return _refused(name, 400, words, "context_length_exceeded")
    if vendor.tokens and sum(map(numbers.tokens, texts)) > vendor.tokens:
        words = f"Requested more tokens, max {vendor.tokens} tokens per request"
        return _refused(name, 400, words, "max_tokens_per_request")
    if dimensions is None or re.fullmatch(vendor.ignores, model):
        return None
    good = dimensions in vendor.sizes if vendor.sizes else 0 < dimensions <= size
    if good and not model.endswith("ada-002"):
        return None
    return _refused(name, 400, f"Invalid value for 'dimensions': {dimensions}.", "invalid_value")


def _too_many(name: str, most: int) -> str:
    if name == "dashscope":
        return f"Value error, batch size is invalid, it should not be larger than {most}.: input.contents"
    if name == "openai_compat":  # text-embeddings-inference
        return f"batch size 64 > maximum allowed batch size {most}"
    return f"Invalid 'input': array too long. Expected an array with maximum length {most}."


def _size(body: dict[str, Any], name: str, dimensions: Any) -> int:
    row = _row(body["model"], name)
    size = row[1] if row else 1024
    if dimensions is None or re.fullmatch(VENDORS[name].ignores, body["model"]):
        return size
    return int(dimensions)


def _ark_multimodal(body: dict[str, Any], name: str) -> Answer:
    """All parts together give one vector; ``data`` is an object."""
    parts = body.get("input")
    if not body["model"].startswith(("doubao-embedding-vision", "ep-")):
        return _refused(
            name,
            404,
            f"The model or endpoint {body['model']} does not exist",
            "InvalidEndpointOrModel.NotFound",
        )
    if not isinstance(parts, list) or not parts:
        return _refused(name, 400, "`input` is required.", "MissingParameter")
    text = "\n".join(str(part.get("text", "")) for part in parts)
    size = body.get("dimensions", 2048)
    if size not in (1024, 2048):
        words = "The parameter `dimensions` specified in the request is not valid."
        return _refused(name, 400, words, "InvalidParameter")
    spent = numbers.tokens(text)
    return Answer(
        200,
        {
            "id": "021",
            "model": body["model"],
            "object": "list",
            "data": {
                "object": "embedding",
                "embedding": _written(body, numbers.vector(text, body["model"], size)),
            },
            "usage": {
                "prompt_tokens": spent,
                "total_tokens": spent,
                "prompt_tokens_details": {"text_tokens": spent, "image_tokens": 0},
            },
        },
    )


def _native_text(body: dict[str, Any], name: str) -> Answer:
    texts: Any = (body.get("input") or {}).get("texts")
    parameters = body.get("parameters") or {}
    problem = _problem(texts, body["model"], parameters.get("dimension"), name)
    if problem is not None:
        return problem
    kind = parameters.get("text_type", "document")
    if kind not in ("query", "document"):
        return _refused(name, 400, "text_type must be query or document.", "InvalidParameter")
    size = _size(body, name, parameters.get("dimension"))
    salt = f"{body['model']} query" if kind == "query" else body["model"]
    entries = [
        {"text_index": place, "embedding": numbers.vector(text, salt, size)}
        for place, text in enumerate(texts)
    ]
    spent = sum(map(numbers.tokens, texts))
    return Answer(
        200,
        {
            "output": {"embeddings": entries},
            "usage": {"total_tokens": spent},
            "request_id": "req-embed-1",
        },
    )


def _native_multimodal(body: dict[str, Any], name: str) -> Answer:
    contents = (body.get("input") or {}).get("contents")
    if not isinstance(contents, list) or not contents:
        return _refused(name, 400, "input.contents is required.", "InvalidParameter")
    size = (body.get("parameters") or {}).get("dimension", 1024)
    entries = [
        {
            "index": place,
            "type": "text",
            "embedding": numbers.vector(str(part.get("text")), body["model"], size),
        }
        for place, part in enumerate(contents)
    ]
    spent = sum(numbers.tokens(str(part.get("text"))) for part in contents)
    return Answer(
        200,
        {
            "output": {"embeddings": entries},
            "usage": {"input_tokens": spent, "image_tokens": 0},
            "request_id": "req-embed-1",
        },
    )


def _rerank(body: dict[str, Any], name: str) -> Answer:
    if not re.search("rerank", body["model"], re.IGNORECASE):
        words = f"The model `{body['model']}` does not exist."
        return _refused(name, 404, words, "model_not_found")
    ranked = numbers.ranked(body.get("query"), body.get("documents"), body.get("top_n"))
    if ranked is None:
        return _refused(name, 400, "query and documents are required.", "InvalidParameter")
    results: list[dict[str, Any]] = [
        {"index": place, "relevance_score": score} for place, score in ranked
    ]
    if body.get("return_documents"):
        for entry in results:
            entry["document"] = {"text": body["documents"][entry["index"]]}
    spent = numbers.tokens(body["query"]) + sum(map(numbers.tokens, body["documents"]))
    return Answer(
        200,
        {
            "id": "rerank-1",
            "model": body["model"],
            "results": results,
            "usage": {"total_tokens": spent},
        },
    )


_GLM_CODES = {401: "1001", 404: "1211"}


def _refused(name: str, status: int, message: str, code: str) -> Answer:
    """The vendor's own error body."""
    if name == "glm":
        glm = "1261" if code == "context_length_exceeded" else _GLM_CODES.get(status, "1210")
        return Answer(status, {"error": {"code": glm, "message": message}})
    if name == "siliconflow" and status == 401:
        return Answer(401, '"Invalid token"', {"content-type": "application/json"})
    if name == "siliconflow":
        return Answer(
            status, {"code": 20012 if status == 404 else 20015, "message": message, "data": None}
        )
    if name == "volcengine" and status == 401:
        code = "AuthenticationError"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, {"error": error})
