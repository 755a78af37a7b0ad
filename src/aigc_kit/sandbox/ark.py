"""
Volcengine Ark's image endpoint: its paths, size rules, limits, error bodies and links that die.

Source: https://www.volcengine.com/docs/82379/1541523 and .../1299023, probes by third parties, read
2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from typing import Any, NamedTuple

from aigc_kit.sandbox.drawing import draw
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

_MOST = 15  # images of one request, references included


class _Model(NamedTuple):
    """
    ``presets``: size names with the pixels they give. ``references``: how many at most. ``groups``:
    several images.
    """

    name: str
    least_pixels: int
    most_pixels: int
    presets: dict[str, str]
    references: int
    groups: bool


_MODELS = (
    _Model("seedream-3-0", 262144, 4194304, {}, 0, False),
    _Model("seededit-3-0", 262144, 4194304, {"adaptive": "1024x1024"}, 1, False),
    _Model(
        "seedream-4-0",
        921600,
        16777216,
        {"1k": "1024x1024", "2k": "2048x2048", "4k": "4096x4096"},
        14,
        True,
    ),
    _Model("seedream-4-5", 3686400, 16777216, {"2k": "2048x2048", "4k": "4096x4096"}, 14, True),
    _Model(
        "seedream-5-0-pro",
        921600,
        4624220,
        {"1k": "1024x1024", "1.5k": "1536x1536", "2k": "2048x2048"},
        10,
        False,
    ),
    _Model(
        "seedream-5-0-flash",
        921600,
        4624220,
        {"1k": "1024x1024", "1.5k": "1536x1536", "2k": "2048x2048"},
        10,
        False,
    ),
    _Model(
        "seedream-5-0",
        3686400,
        16777216,
        {"2k": "2048x2048", "3k": "3072x3072", "4k": "4096x4096"},
        14,
        True,
    ),
)
_OWN_ENDPOINT = _Model(
    "ep-", 1, 1 << 40, {"1k": "1024x1024", "2k": "2048x2048", "4k": "4096x4096"}, 14, True
)
_BLOCKED = re.compile(r"\[blocked\]|\[违规\]")
_ANSWER_BLOCKED = re.compile(r"\[blocked (?:picture|image) ?(\d*)\]")


def handle(request: Request, state: State) -> Answer | None:
    """The response of Ark, or None for a path that is not Ark's."""
    if request.path.startswith("/ark-content/"):
        return _file(request, state)
    if request.path != "/api/v3/images/generations":
        return None
    if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
        return _error(401, "AuthenticationError", "The API key doesn't exist", kind="Unauthorized")
    try:
        body = request.json()
    except ValueError:
        return _error(400, "InvalidParameter", "The request body is not valid JSON")
    if not isinstance(body, dict):
        return _error(400, "InvalidParameter", "The request body must be an object")
    return _generate(body, state)


def _generate(body: dict[str, Any], state: State) -> Answer:
    for name in ("model", "prompt"):
        if not isinstance(body.get(name), str) or not body[name]:
            return _error(
                400,
                "MissingParameter",
                f"missing one or multiple required parameters: {name}",
                param=name,
            )
    row = _row(body["model"])
    if row is None:
        message = f"The model or endpoint {body['model']} does not exist"
        return _error(404, "InvalidEndpointOrModel.NotFound", message, kind="NotFound")
    if _BLOCKED.search(body["prompt"]):
        message = "The request failed because the input text may contain sensitive information."
        return _error(400, "InputTextSensitiveContentDetected", message)
    if refused := _references_problem(body, row):
        return refused
    if "sequential_image_generation" in body and not row.groups:
        message = f"sequential_image_generation is not supported for {body['model']}"
        name = "sequential_image_generation"
        return _error(400, "InvalidParameter.UnsupportedParameter", message, param=name)
    size = _pixels(body.get("size", "2048x2048"), row)
    if isinstance(size, Answer):
        return size
    count = _count(body)
    if not 1 <= count <= _MOST or (_wants_group(body) and count + len(_references(body)) > _MOST):
        name = "sequential_image_generation_options"
        return _error(400, "InvalidParameter", "max_images and references exceed 15", param=name)
    return _drawn(body, state, size, count)


def _row(name: str) -> _Model | None:
    """
    The rules of a model, whose name ends with its date, or of an endpoint of the customer's own.
    """
    model = re.sub(r"^(doubao-|dola-)", "", name)
    if model.startswith("ep-"):
        return _OWN_ENDPOINT
    return next(
        (row for row in _MODELS if re.fullmatch(row.name + r"(-lite|-t2i|-i2i)?-\d{6}", model)),
        None,
    )


def _references(body: dict[str, Any]) -> list[Any]:
    images = body.get("image") or []
    return images if isinstance(images, list) else [images]


def _references_problem(body: dict[str, Any], row: _Model) -> Answer | None:
    images = _references(body)
    if len(images) > row.references:
        message = f"number of reference images cannot exceed {row.references}"
        return _error(400, "InvalidParameter", message, param="image")
    problem = next(filter(None, map(_reference_problem, images)), "")
    return _error(400, "InvalidImageURL.InvalidFormat", problem, param="image") if problem else None


def _wants_group(body: dict[str, Any]) -> bool:
    return bool(body.get("sequential_image_generation") == "auto")


def _count(body: dict[str, Any]) -> int:
    """This model makes as many images of a group as it may."""
    if not _wants_group(body):
        return 1
    return int((body.get("sequential_image_generation_options") or {}).get("max_images", _MOST))


def _pixels(size: Any, row: _Model) -> tuple[int, int] | Answer:
    _, least, most, presets, _, _ = row
    text = str(size)
    if text.lower() in presets:
        text = presets[text.lower()]
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or (set(presets) == {"adaptive"} and size != "adaptive"):
        return _size_error(f"size must be one of 'WIDTHxHEIGHT', {', '.join(map(repr, presets))}")
    width, height = int(found[1]), int(found[2])
    if width * height < least:
        return _size_error(f"image size must be at least {least} pixels")
    if width * height > most:
        return _size_error(f"image size must be at most {most} pixels")
    if width > 16 * height or height > 16 * width:
        return _size_error("image aspect ratio must be between 1/16 and 16")
    return width, height


def _reference_problem(image: Any) -> str:
    if not isinstance(image, str) or not image:
        return "image must be a URL or a data URI"
    if image.startswith("https://"):
        return ""
    found = re.match(r"data:image/[a-z0-9+.-]+;base64,", image)
    if not found:
        return "image must be a public https URL or data:image/<lower case format>;base64,..."
    try:
        data = base64.b64decode(image[found.end() :], validate=True)
    except ValueError:
        return "image is not valid base64"
    return "" if len(data) <= 30_000_000 else "image is too large"


def _drawn(body: dict[str, Any], state: State, size: tuple[int, int], count: int) -> Answer:
    width, height = size
    form = "PNG" if body.get("output_format") == "png" else "JPEG"
    blocked = _ANSWER_BLOCKED.search(body["prompt"])
    at_fault = int(blocked[1] or 0) if blocked else -1
    data: list[dict[str, Any]] = []
    for index in range(count):
        if index == at_fault:
            data.append(
                {
                    "error": {
                        "code": "OutputImageSensitiveContentDetected",
                        "message": "The request failed because"
                        f" the output image may contain sensitive information. Request id: {_id(body)}",
                    }
                }
            )
            continue
        note = "AI生成" if body.get("watermark", True) else ""
        image = draw(body["prompt"], width, height, form=form, note=note, salt=f"ark{index}")
        entry: dict[str, Any] = {"size": f"{width}x{height}"}
        if body.get("response_format") == "b64_json":
            entry["b64_json"] = base64.b64encode(image).decode()
        else:
            entry["url"] = _link(image, form, state)
        data.append(entry)
    good = sum("error" not in entry for entry in data)
    if not good:
        return Answer(200, {"error": data[0]["error"]}, {"x-request-id": _id(body)})
    tokens = good * width * height // 256
    return Answer(
        200,
        {
            "model": body["model"],
            "created": int(time.time()),
            "data": data,
            "usage": {"generated_images": good, "output_tokens": tokens, "total_tokens": tokens},
        },
        {"x-request-id": _id(body)},
    )


def _link(image: bytes, form: str, state: State) -> str:
    mark = hashlib.sha256(image).hexdigest()
    name = f"ark-content/{mark[:24]}.{form.lower()}"
    state.keep(name, image, f"image/{form.lower()}")
    return f"{state.url}/{name}?X-Tos-Expires=86400&X-Tos-Signature={mark[24:]}%2F{mark[:8]}"


def _file(request: Request, state: State) -> Answer:
    """
    A signed link: for GET only, without credentials, while it lives, with its query byte for byte.
    """
    entry = state.files.get(request.path.lstrip("/"))
    if entry is None:
        return Answer(
            404, "<Error><Code>NoSuchKey</Code></Error>", {"content-type": "application/xml"}
        )
    data, kind, dies = entry
    mark = hashlib.sha256(data).hexdigest()
    signed = request.query.get("X-Tos-Signature") == f"{mark[24:]}/{mark[:8]}"
    if (
        request.method != "GET"
        or not signed
        or "authorization" in request.headers
        or time.monotonic() > dies
    ):
        return Answer(
            403, "<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"}
        )
    return Answer(200, data, {"content-type": kind})


def _id(body: dict[str, Any]) -> str:
    return (
        "02176"
        + hashlib.sha256(
            repr(sorted(body)).encode() + str(time.monotonic_ns()).encode()
        ).hexdigest()[:40]
    )


def _size_error(why: str) -> Answer:
    return _error(
        400,
        "InvalidParameter",
        f"The parameter `size` specified in the request is not valid: {why}",
        param="size",
    )


def _error(
    status: int, code: str, message: str, *, param: str = "", kind: str = "BadRequest"
) -> Answer:
    mark = _id({"error": code})
    body = {
        "error": {
            "code": code,
            "message": f"{message}. Request id: {mark}",
            "param": param,
            "type": kind,
        }
    }
    return Answer(status, body, {"x-request-id": mark})
