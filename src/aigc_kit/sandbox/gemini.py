"""
Gemini's ``generateContent`` for image models, on Vertex AI's and the Developer API's paths.

Source: https://ai.google.dev/gemini-api/docs/image-generation and Vertex AI's discovery document,
read 2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from aigc_kit.sandbox import gemini_chat, gemini_embeddings
from aigc_kit.sandbox.drawing import draw
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.model import Completion, Prompt
from aigc_kit.sandbox.state import State

_VERTEX = re.compile(
    r"/v1(?:beta1)?/projects/([^/]+)/locations/([^/]+)/publishers/google/models/([^/:]+):(\w+)"
)
_EXPRESS = re.compile(r"/v1(?:beta1)?/publishers/google/models/([^/:]+):(\w+)")
_DEVELOPER = re.compile(r"/v1(?:beta)?/models/([^/:]+):(\w+)")

_RETIRED = ("gemini-3-pro-image-preview", "gemini-3.1-flash-image-preview")
# ratio -> pixels of the 1K tier on 3.x, pixels on 2.5
_RATIOS = {
    "1:1": ("1024x1024", "1024x1024"),
    "2:3": ("848x1264", "832x1248"),
    "3:2": ("1264x848", "1248x832"),
    "3:4": ("896x1200", "864x1184"),
    "4:3": ("1200x896", "1184x864"),
    "4:5": ("928x1152", "896x1152"),
    "5:4": ("1152x928", "1152x896"),
    "9:16": ("768x1376", "768x1344"),
    "16:9": ("1376x768", "1344x768"),
    "21:9": ("1584x672", "1536x672"),
    "1:4": ("512x2064", ""),
    "4:1": ("2064x512", ""),
    "1:8": ("352x2928", ""),
    "8:1": ("2928x352", ""),
}
_WIDE = ("1:4", "4:1", "1:8", "8:1")
_SCALES = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}
_BLOCKED_IMAGE = re.compile(r"\[blocked (?:picture|image)\]")
_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")


def handle(request: Request, state: State) -> Answer | None:
    """The response of Gemini, or None for a path that is not Gemini's."""
    on_vertex = _VERTEX.fullmatch(request.path)
    other = _EXPRESS.fullmatch(request.path) or _DEVELOPER.fullmatch(request.path)
    if on_vertex:
        project, location, model, method = on_vertex.groups()
        if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        where = f"projects/{project}/locations/{location}/publishers/google/models/{model}"
    elif other:
        model, method = other.groups()
        if state.api_key and request.headers.get("x-goog-api-key") != state.api_key:
            reason = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
            }
            return _error(
                400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [reason]
            )
        where = f"models/{model}"
    else:
        return None
    if method in gemini_embeddings.METHODS:
        return _embedded(request, model, method, on_vertex=on_vertex is not None)
    if model in _RETIRED or not model.startswith("gemini-"):
        return _error(
            404,
            "NOT_FOUND",
            f"Publisher Model `{where}` was not found or your project does not have access to it.",
        )
    return _generated(request, state, model, method)


def _generated(request: Request, state: State, model: str, method: str) -> Answer:
    try:
        body = normal(request.json())
    except (ValueError, RecursionError):
        return _error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
    if "image" not in model and "banana" not in model:
        return _chat(body, model, method, partial(state.complete, path=request.path))
    if method != "generateContent":
        return _error(404, "NOT_FOUND", f"method {method} is not found")
    return _image(body, model)


def _chat(
    body: dict[str, Any], model: str, method: str, complete: Callable[[Prompt], Completion]
) -> Answer:
    """A text model, or its count of tokens. Source: https://ai.google.dev/api/tokens, read 2026-11-26."""
    if method == "countTokens":
        return Answer(200, {"totalTokens": 1})
    if method not in ("generateContent", "streamGenerateContent"):
        return _error(404, "NOT_FOUND", f"method {method} is not found")
    problem = gemini_chat.problem_of(body, model)
    if problem:
        return _invalid(problem)
    return gemini_chat.respond(body, model, complete, stream=method.startswith("stream"))


def _embedded(request: Request, model: str, method: str, *, on_vertex: bool) -> Answer:
    try:
        body = normal(request.json())
    except (ValueError, RecursionError):
        return _error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
    return gemini_embeddings.respond(body, model, method, on_vertex=on_vertex)


_FREE = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema"})
"""Fields whose value is any JSON: its keys are the application's own."""


def normal(value: Any) -> Any:
    """The body with camelCase keys; proto JSON takes both spellings."""
    if isinstance(value, dict):
        named = {
            re.sub(r"_([a-z])", lambda found: found[1].upper(), name): item
            for name, item in value.items()
        }
        return {name: item if name in _FREE else normal(item) for name, item in named.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return value


def _image(body: dict[str, Any], model: str) -> Answer:
    parts = [part for content in body.get("contents") or [] for part in content.get("parts") or []]
    prompt = " ".join(part["text"] for part in parts if part.get("text"))
    if not parts:
        return _invalid("contents is not specified")
    if problem := _turns_problem(body, model):
        return _invalid(problem)
    inputs = [part["inlineData"] for part in parts if "inlineData" in part]
    if problem := _input_problem(inputs, model):
        return _invalid(problem)
    generation = body.get("generationConfig") or {}
    size = _size(generation.get("imageConfig") or {}, model)
    if isinstance(size, str):
        return _invalid(size)
    if "thinkingConfig" in generation and model.startswith("gemini-2.5"):
        return _invalid("Thinking is not supported by this model")
    if int(generation.get("candidateCount", 1)) > 1 and not model.startswith("gemini-2.5"):
        return _invalid("Multiple candidates is not enabled for this model")
    usage: dict[str, Any] = {"promptTokenCount": len(prompt) // 4 + 258 * len(inputs) + 1}
    common = {"modelVersion": model, "responseId": hashlib.sha256(prompt.encode()).hexdigest()[:22]}
    if "[blocked]" in prompt:
        usage["totalTokenCount"] = usage["promptTokenCount"]
        feedback = {
            "blockReason": "PROHIBITED_CONTENT",
            "blockReasonMessage": "The prompt was blocked.",
        }
        return Answer(200, {"promptFeedback": feedback, "usageMetadata": usage, **common})
    if _BLOCKED_IMAGE.search(prompt):
        usage["totalTokenCount"] = usage["promptTokenCount"]
        candidate = {
            "finishReason": "IMAGE_SAFETY",
            "finishMessage": "Unable to show the generated image.",
        }
        return Answer(200, {"candidates": [candidate], "usageMetadata": usage, **common})
    if "[text only]" in prompt or "IMAGE" not in generation.get(
        "responseModalities", ["TEXT", "IMAGE"]
    ):
        usage |= {"candidatesTokenCount": 12, "totalTokenCount": usage["promptTokenCount"] + 12}
        content = {"role": "model", "parts": [{"text": "I would rather describe it in words."}]}
        return Answer(
            200,
            {
                "candidates": [{"content": content, "finishReason": "STOP"}],
                "usageMetadata": usage,
                **common,
            },
        )
    usage |= {"candidatesTokenCount": 1120, "totalTokenCount": usage["promptTokenCount"] + 1120}
    content = {"role": "model", "parts": _parts(prompt, size, model, generation)}
    return Answer(
        200,
        {
            "candidates": [{"content": content, "finishReason": "STOP"}],
            "usageMetadata": usage,
            **common,
        },
    )


def _parts(
    prompt: str, size: tuple[int, int], model: str, generation: dict[str, Any]
) -> list[dict[str, Any]]:
    """2.5 answers with PNG; 3.x thinks first, draws interim images, and answers with JPEG."""
    if model.startswith("gemini-2.5"):
        return [
            {
                "inlineData": {
                    "mimeType": "image/png",
                    "data": _base64(draw(prompt, *size, salt="gemini")),
                }
            }
        ]
    interim = draw(prompt, 64, 64, form="JPEG", salt="thought")
    final = {
        "inlineData": {
            "mimeType": "image/jpeg",
            "data": _base64(draw(prompt, *size, form="JPEG", salt="gemini")),
        },
        "thoughtSignature": _base64(hashlib.sha256(prompt.encode()).digest()),
    }
    parts: list[dict[str, Any]] = [
        {"text": "**Planning the image**", "thought": True},
        {"inlineData": {"mimeType": "image/jpeg", "data": _base64(interim)}, "thought": True},
    ]
    if "TEXT" in generation.get("responseModalities", ["TEXT", "IMAGE"]):
        parts.append({"text": "Here is your image:"})
    return [*parts, final]


def _turns_problem(body: dict[str, Any], model: str) -> str:
    """An image of the model comes back with its signature. 2.5 signs nothing."""
    for place, content in enumerate(body["contents"]):
        if content.get("role") != "model" or model.startswith("gemini-2.5"):
            continue
        for number, part in enumerate(content.get("parts") or []):
            if "inlineData" in part and not part.get("thoughtSignature"):
                return (
                    "Image part is missing a thought_signature in content position"
                    f" {place + 1}, part position {number + 1}"
                )
    return ""


def _input_problem(inputs: list[dict[str, Any]], model: str) -> str:
    most = 3 if model.startswith("gemini-2.5") else 14
    if len(inputs) > most:
        return f"Please use fewer than {most + 1} images in your request to {model}."
    for item in inputs:
        if item.get("mimeType") not in _TYPES:
            return f"Unsupported MIME type: {item.get('mimeType')}"
        text = str(item.get("data", "")).replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            return "Invalid value at inline_data.data, Base64 decoding failed"
        if not data or len(data) > 7 * 1024 * 1024:
            return "Unable to process input image."
    return ""


def _size(config: dict[str, Any], model: str) -> tuple[int, int] | str:
    """Pixels, or what is wrong."""
    ratio, tier = config.get("aspectRatio", "1:1"), config.get("imageSize")
    old = model.startswith("gemini-2.5")
    wide = model.startswith(("gemini-3.1", "gemini-nano"))
    if ratio not in _RATIOS or (ratio in _WIDE and not wide):
        return f"aspect_ratio must be one of the supported values, got {ratio}"
    if old and tier is not None:
        return "image_size is not supported by this model"
    allowed = (
        ("1K",)
        if "lite" in model
        else ("512", "1K", "2K", "4K")
        if "3.1-flash" in model
        else ("1K", "2K", "4K")
    )
    if tier is not None and tier not in allowed:
        return f"image_size must be one of {', '.join(allowed)}"
    width, height = map(int, _RATIOS[ratio][1 if old else 0].split("x"))
    scale = _SCALES[tier or "1K"]
    return int(width * scale), int(height * scale)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _invalid(message: str) -> Answer:
    return _error(400, "INVALID_ARGUMENT", message)


def _error(
    code: int, status: str, message: str, details: list[dict[str, Any]] | None = None
) -> Answer:
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = details
    return Answer(code, {"error": error})
