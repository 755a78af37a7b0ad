"""
OpenAI's ``/images/generations`` and ``/images/edits``, and the services that copied them: each with
its fields, its rules and its words of refusal.

Source: openai 3.57's types, the vendors' references and published probes, read 2026-11-25.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any

from aigc_kit.sandbox.drawing import draw
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

_PREFIXES = {
    "openai": "/openai/v1",
    "openai_compat": "/local/v1",
    "glm": "/api/paas/v4",
    "siliconflow": "/siliconflow/v1",
    "openrouter": "/openrouter/v1",
    "xai": "/xai/v1",
}
VENDORS = frozenset(_PREFIXES)
WITH_MODEL = VENDORS - {"openai_compat", "openrouter"}
"""Those that a client needs no ``model`` for."""

_AZURE = re.compile(r"/openai/deployments/[\w.-]+/images/(generations|edits)")
_MODELS = re.compile(
    r"gpt-image-2(-2026-04-21)?|gpt-image-2\.[56]-(flare|sunburst)(-\d{4}-\d\d-\d\d)?"
    r"|gpt-image-1\.5(-2025-12-16)?|gpt-image-1-mini|chatgpt-image-latest"
)
_OLD = re.compile(r"gpt-image-1.*|chatgpt-image-latest")
_FIELDS = frozenset(
    {
        "model",
        "prompt",
        "n",
        "size",
        "quality",
        "background",
        "output_format",
        "output_compression",
        "complexity",
        "safety_identifier",
        "user",
        "stream",
        "partial_images",
        "frame_count",
        "frame_duration_ms",
        "svg",
    }
)
_BLOCKED = "[blocked]"


@dataclass
class _Asked:
    """One request: ``fields`` as JSON values, ``files`` by the name of their part."""

    vendor: str
    fields: dict[str, Any]
    files: dict[str, list[bytes]]
    edit: bool


def base_url(vendor: str, root: str) -> str:
    return root + _PREFIXES[vendor]


def handle(request: Request, state: State) -> Answer | None:
    """The response of the vendor whose path it is, or None."""
    vendor = _vendor(request.path)
    if not vendor:
        return None
    azure = bool(_AZURE.fullmatch(request.path))
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if azure:
        key = request.headers.get("api-key", "")
    if state.api_key and key != state.api_key and vendor != "openai_compat":
        return _refused(vendor, 401, "Incorrect API key provided.", "invalid_api_key")
    if azure and "api-version" not in request.query:
        return _refused(vendor, 404, "Resource not found", "404")
    try:
        asked = _read(request, vendor)
    except ValueError as error:
        return _refused(vendor, 400, str(error), "invalid_request_error")
    if vendor == "openrouter" and "image" not in (asked.fields.get("modalities") or ()):
        return None  # a chat
    if azure and "model" in asked.fields:
        return _refused(vendor, 400, "Unknown parameter: 'model'.", "unknown_parameter")
    if azure:
        asked.fields["model"] = "gpt-image-2"
    return _RULES[vendor](asked, state)


def _vendor(path: str) -> str:
    if _AZURE.fullmatch(path):
        return "openai"
    for name, prefix in _PREFIXES.items():
        ends: tuple[str, ...] = ("/images/generations", "/images/edits")
        if name == "openrouter":
            ends = ("/chat/completions",)
        if name in ("glm", "siliconflow"):
            ends = ("/images/generations",)
        if path in [prefix + end for end in ends]:
            return name
    return ""


def _read(request: Request, vendor: str) -> _Asked:
    kind = request.headers.get("content-type", "")
    edit = request.path.endswith("/edits")
    if not kind.startswith("multipart/form-data"):
        if edit and vendor != "xai":
            raise ValueError("Unsupported content type: use multipart/form-data")
        body = request.json()
        if not isinstance(body, dict):
            raise ValueError("The body must be a JSON object")
        return _Asked(vendor, body, {}, edit)
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.raw)
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes):
            continue
        if part.get_filename() is None:
            fields[name] = _scalar(data.decode())
        elif part.get_content_type() in ("image/png", "image/jpeg", "image/webp"):
            files.setdefault(name, []).append(data)
        else:
            raise ValueError(f"Invalid file: unsupported mimetype ('{part.get_content_type()}')")
    return _Asked(vendor, fields, files, edit)


def _scalar(text: str) -> Any:
    """A form has texts: true, false and numbers are read as such."""
    if text in ("true", "false") or re.fullmatch(r"\d+", text):
        return json.loads(text)
    return text


# ---- OpenAI and relays


def _openai(asked: _Asked, state: State) -> Answer:
    fields = asked.fields
    model, prompt = str(fields.get("model", "")), fields.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        return _invalid("Missing required parameter: 'prompt'.", "prompt")
    if asked.vendor == "openai":
        refused = _model_problem(model) or _field_problem(asked, model)
        if refused:
            return refused
    if _BLOCKED in prompt:
        return _moderated()
    refused = _files_problem(asked)
    if refused:
        return refused
    size = _size(fields.get("size", "auto"), model)
    if isinstance(size, Answer):
        return size
    return _drawn(asked, size)


def _model_problem(model: str) -> Answer | None:
    if _MODELS.fullmatch(model):
        return None
    return _refused(
        "openai",
        404,
        f"The model '{model}' does not exist or you do not have access to it.",
        "model_not_found",
    )


def _field_problem(asked: _Asked, model: str) -> Answer | None:
    fields = asked.fields
    known = _FIELDS | ({"input_fidelity"} if asked.edit else {"moderation"})
    for name in fields:
        if name.partition("[")[0] not in known:
            return _refused("openai", 400, f"Unknown parameter: '{name}'.", "unknown_parameter")
    levels = ["low", "medium", "high", "auto"]
    if "2.5" in model or "2.6" in model:
        levels += ["xhigh", "max"]
    if fields.get("quality", "auto") not in levels:
        return _invalid(f"Invalid value: '{fields['quality']}'.", "quality")
    n = fields.get("n", 1)
    if not isinstance(n, int) or not 1 <= n <= 10:
        return _invalid("Invalid 'n': expected a value between 1 and 10.", "n")
    form = fields.get("output_format", "png")
    if form not in ("png", "jpeg", "webp"):
        return _invalid(f"Invalid value: '{form}'.", "output_format")
    if fields.get("background") == "transparent" and form == "jpeg":
        return _invalid("Transparent background is not supported for jpeg.", "background")
    if "output_compression" in fields and form == "png":
        return _invalid("Compression less than 100 is not supported for png.", "output_compression")
    return None


def _files_problem(asked: _Asked) -> Answer | None:
    if not asked.edit:
        return None
    images = asked.files.get("image", []) + asked.files.get("image[]", [])
    if not images:
        return _invalid("Missing required parameter: 'image'.", "image")
    if len(images) > 16 or (len(images) > 1 and "image[]" not in asked.files):
        return _invalid("Too many images.", "image")
    for mask in asked.files.get("mask", []):
        if _picture(mask) != ("PNG", *_picture(images[0])[1:]):
            return _invalid(
                "Invalid mask image format - mask size does not match image size.", "mask"
            )
    return None


def _picture(data: bytes) -> tuple[str | None, int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return image.format, image.width, image.height


def _size(size: Any, model: str) -> tuple[int, int] | Answer:
    if size == "auto":
        return 1024, 1024
    found = re.fullmatch(r"(\d+)x(\d+)", str(size))
    if not found:
        return _invalid(f"Invalid size '{size}'.", "size")
    wide, high = int(found[1]), int(found[2])
    if _OLD.fullmatch(model):
        if (wide, high) in ((1024, 1024), (1536, 1024), (1024, 1536)):
            return wide, high
        return _invalid(f"Invalid value: '{size}'. Supported values are: '1024x1024'.", "size")
    if wide % 16 or high % 16:
        said = "Width and height must both be divisible by 16."
        return _invalid(f"Invalid size '{size}'. {said}", "size")
    legal = 655_360 <= wide * high <= 8_294_400 and max(wide, high) <= 3840
    if not legal or max(wide, high) > 3 * min(wide, high):
        return _invalid(f"Invalid size '{size}'.", "size")
    return wide, high


def _drawn(asked: _Asked, size: tuple[int, int]) -> Answer:
    fields = asked.fields
    form = str(fields.get("output_format", "png"))
    n = int(fields.get("n", 1))
    images = [
        draw(fields["prompt"], *size, form=form.upper(), salt=f"openai{place}")
        for place in range(n)
    ]
    tokens = {"low": 196, "medium": 439}.get(str(fields.get("quality")), 1756) * n
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"text_tokens": 12, "image_tokens": 0},
        "output_tokens": tokens,
        "total_tokens": 12 + tokens,
    }
    facts = {
        "created": int(time.time()),
        "background": fields.get("background", "opaque"),
        "output_format": form,
        "quality": fields.get("quality", "high"),
        "size": f"{size[0]}x{size[1]}",
    }
    head = {"x-request-id": _id(fields)}
    if fields.get("stream"):
        events = _events(asked, images, {**facts, "usage": usage}, size)
        return Answer(200, events, {"content-type": "text/event-stream", **head})
    data = [{"b64_json": base64.b64encode(image).decode()} for image in images]
    return Answer(200, {**facts, "data": data, "usage": usage}, head)


def _events(
    asked: _Asked, images: list[bytes], facts: dict[str, Any], size: tuple[int, int]
) -> Iterator[bytes]:
    kind = "image_edit" if asked.edit else "image_generation"
    usage = facts.pop("usage")
    for number in range(int(asked.fields.get("partial_images", 0))):
        rough = draw(asked.fields["prompt"], *size, form="PNG", salt=f"partial{number}")
        yield _event(f"{kind}.partial_image", rough, facts, {"partial_image_index": number})
    for image in images:
        yield _event(f"{kind}.completed", image, facts, {"usage": usage})


def _event(kind: str, image: bytes, facts: dict[str, Any], more: dict[str, Any]) -> bytes:
    data = {"type": kind, "b64_json": base64.b64encode(image).decode(), **facts, **more}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _moderated() -> Answer:
    message = (
        "Your request was rejected by the safety system. If you believe this is an error, contact"
        " us at help.openai.com and include the request ID req_1. safety_violations=[violence]."
    )
    body = {
        "message": message,
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
    }
    return Answer(400, {"error": body}, {"x-request-id": "req_1"})


def _invalid(message: str, param: str) -> Answer:
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": "invalid_value",
    }
    return Answer(400, {"error": error}, {"x-request-id": "req_1"})


# ---- Zhipu, SiliconFlow


def _glm(asked: _Asked, state: State) -> Answer:
    fields = asked.fields
    if not fields.get("prompt"):
        return _refused("glm", 400, "prompt 参数缺失", "1214")
    if "image" in fields or "n" in fields:
        return _refused("glm", 400, "image 参数不支持", "1210")
    if _BLOCKED in fields["prompt"]:
        return _refused("glm", 400, "系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")
    wide, high = map(int, str(fields.get("size", "1280x1280")).split("x"))
    step, least, most = (
        (32, 1024, 1 << 22) if fields.get("model") == "glm-image" else (16, 512, 1 << 21)
    )
    if wide % step or high % step or min(wide, high) < least or max(wide, high) > 2048:
        return _refused("glm", 400, "size 参数非法", "1210")
    if wide * high > most:
        return _refused("glm", 400, "size 参数非法", "1210")
    image = draw(fields["prompt"], wide, high, note="AI生成", salt="glm")
    body = {
        "created": int(time.time()),
        "data": [{"url": _link(image, state)}],
        "content_filter": [{"role": "assistant", "level": 3}],
    }
    return Answer(200, body, {"x-request-id": _id(fields)})


def _siliconflow(asked: _Asked, state: State) -> Answer:
    fields = asked.fields
    unknown = {"size", "n", "images"} & fields.keys()
    if not fields.get("prompt") or unknown:
        return Answer(400, {"code": 20015, "message": "The parameter is invalid.", "data": None})
    if "Edit" in str(fields.get("model")) and ("image_size" in fields or "image" not in fields):
        return Answer(400, {"code": 20015, "message": "The parameter is invalid.", "data": None})
    if _BLOCKED in fields["prompt"]:
        message = "prompt contains sensitive content"
        return Answer(451, {"code": 50603, "message": message, "data": None})
    wide, high = map(int, str(fields.get("image_size", "1024x1024")).split("x"))
    found = [
        {"url": _link(draw(fields["prompt"], wide, high, salt=f"silicon{place}"), state)}
        for place in range(int(fields.get("batch_size", 1)))
    ]
    body = {"images": found, "data": found, "timings": {"inference": 1.5}, "seed": 7}
    return Answer(200, body, {"x-siliconcloud-trace-id": _id(fields)})


# ---- xAI, OpenRouter


def _xai(asked: _Asked, state: State) -> Answer:
    fields = asked.fields
    for name in ("size", "image_size", "quality"):
        if name in fields:
            return _xai_error(f"Argument not supported: {name}")
    if asked.edit and not (fields.get("image") or fields.get("images")):
        return _xai_error("image is required")
    if not asked.edit and ("image" in fields or "images" in fields):
        return _xai_error("Argument not supported: image")
    if fields.get("resolution", "1k") not in ("1k", "1.5k", "2k"):
        return _xai_error("Invalid resolution")
    wide, _, high = str(fields.get("aspect_ratio", "1:1")).partition(":")
    ratio = float(wide) / float(high)
    side = 1024 * float(fields.get("resolution", "1k")[:-1])
    width, height = round(side * ratio**0.5), round(side / ratio**0.5)
    data: list[dict[str, Any]] = []
    for place in range(int(fields.get("n", 1))):
        image = draw(str(fields.get("prompt")), width, height, form="JPEG", salt=f"xai{place}")
        shown = {"url": _link(image, state)}
        if fields.get("response_format") == "b64_json":
            shown = {"b64_json": base64.b64encode(image).decode()}
        data.append({} if _BLOCKED in str(fields.get("prompt")) else shown)
    usage = {"cost_in_usd_ticks": 400_000_000}
    return Answer(200, {"data": data, "usage": usage}, {"x-request-id": _id(fields)})


def _xai_error(message: str) -> Answer:
    code = "Client specified an invalid argument"
    return Answer(400, {"code": code, "error": message})


def _openrouter(asked: _Asked, state: State) -> Answer:
    fields = asked.fields
    if fields.get("modalities") != ["image", "text"]:
        return Answer(404, {"error": {"message": "No endpoints found.", "code": 404}})
    parts = fields["messages"][-1]["content"]
    prompt = "".join(part.get("text", "") for part in parts)
    if _BLOCKED in prompt:
        said = "Provider returned error"
        raw = json.dumps({"error": {"code": "moderation_blocked", "message": "blocked"}})
        metadata = {"raw": raw, "provider_name": "OpenAI"}
        return Answer(400, {"error": {"message": said, "code": 400, "metadata": metadata}})
    image = base64.b64encode(draw(prompt, 1024, 1024, salt="openrouter")).decode()
    link = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    message = {"role": "assistant", "content": "Here it is.", "images": [link]}
    body = {
        "id": "gen-1",
        "model": fields.get("model"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1290, "cost": 0.0387},
    }
    return Answer(200, body, {"x-request-id": _id(fields)})


_RULES: dict[str, Callable[[_Asked, State], Answer]] = {
    "openai": _openai,
    "openai_compat": _openai,
    "glm": _glm,
    "siliconflow": _siliconflow,
    "openrouter": _openrouter,
    "xai": _xai,
}


def _refused(vendor: str, status: int, message: str, code: str) -> Answer:
    if vendor == "glm":
        named = {"invalid_api_key": "1001", "invalid_request_error": "1210"}
        return Answer(status, {"error": {"code": named.get(code, code), "message": message}})
    if vendor == "siliconflow":
        return Answer(status, "Invalid token" if status == 401 else message)
    if vendor == "xai":
        return Answer(status, {"code": "The caller is not authorized", "error": message})
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, {"error": error}, {"x-request-id": "req_1"})


def _link(image: bytes, state: State) -> str:
    name = f"vendor-files/{hashlib.sha256(image).hexdigest()[:24]}.png"
    state.keep(name, image, "image/png")
    return f"{state.url}/{name}"


def _id(fields: dict[str, Any]) -> str:
    mark = repr(sorted(fields)) + str(time.monotonic_ns())
    return f"req_{hashlib.sha256(mark.encode()).hexdigest()[:32]}"
