"""Ark's responses -> images, and the errors of those that did not come. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aigc_kit.errors import (
    AIGCError,
    InvalidInputError,
    InvalidReplyError,
)
from aigc_kit.image import sizes, unusual
from aigc_kit.image.base import ImageGroup, ImageResult
from aigc_kit.transport.answers import checked_object
from aigc_kit.transport.encoding import decode_base64
from aigc_kit.transport.failures import RequestContext, error_from_body

LINK_LIFETIME = timedelta(hours=24)
"""How long a link to a generated image lives. Source: the reference page, "valid for 24 hours"."""


def from_response(
    answer: dict[str, Any],
    *,
    context: RequestContext,
    request_id: str,
    facts: dict[str, Any],
    sent: Mapping[str, Any],
    base: str = "",
) -> ImageGroup:
    """
    Every image and every error of a response, in order.

    Reads ``{"model", "created", "data": [{"url" | "b64_json", "size"} | {"error": {"code", "message"}}], "usage"}``, and
    where that is not there, images in whatever shape they came.

    Raises:
        ProviderError: the response is an error as a whole, or has nothing in it; ``result`` has
            what was found.
    """
    checked_object(context, answer, {}, paid_in="data")
    items = answer.get("data")
    group = ImageGroup()
    if not isinstance(items, list) or not items:
        items = []
        group.images = _found(answer, answer, base)
    if not items and not group.images:
        raise _nothing(
            f"volcengine answered 200 without an image and without an error; its fields: {sorted(answer)}",
            answer,
            context,
            request_id,
            unusual.look(answer, base=base).any(),
        )
    usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}
    for index, item in enumerate(items):
        place = item.get("image_index", index) if isinstance(item, dict) else index
        try:
            came = _images(item, answer, context, request_id, base)
        except AIGCError as error:
            error.index = place if isinstance(place, int) else index
            group.errors.append(error)
            continue
        for result in came:
            result.mime_type = result.mime_type or _mime_type(item, sent)
        group.images += came
    for result in group.images:
        own = result.metadata
        result.metadata = {**facts, "request_id": request_id, "usage": usage, **own}
        result.metadata["warnings"] = [*facts["warnings"], *own.get("warnings", [])]
        result.mime_type = result.mime_type or _mime_type({}, sent)
    if answer.get("cut"):
        group.errors += _missing(answer["cut"], len(items), sent)
    return group


def _missing(cut: AIGCError, came: int, sent: Mapping[str, Any]) -> Iterator[AIGCError]:
    """An error for each image that was asked for and stood behind the cut."""
    options = sent.get("sequential_image_generation_options")
    asked = options.get("max_images") if isinstance(options, Mapping) else None
    for place in range(came, max(asked if isinstance(asked, int) else 1, came + 1)):
        error = cut if place == came else copy.copy(cut)
        error.index = place
        yield error


def _nothing(
    text: str,
    body: Any,
    context: RequestContext,
    request_id: str,
    found: ImageResult | ImageGroup | None,
) -> InvalidReplyError:
    error = InvalidReplyError(
        text,
        provider="volcengine",
        model=context.model,
        request_id=request_id,
        status_code=200,
        body=body,
        billed="unknown",
    )
    error.result = found
    return error


def _found(value: Any, answer: Mapping[str, Any], base: str) -> list[ImageResult]:
    """Images in a place where Ark has none."""
    images = unusual.look(value, base=base).images
    for image in images:
        image.provider = "volcengine"
        image.metadata["warnings"] = [
            {"feature": "response", "details": "the image was in an unusual place"}
        ]
        if image.url:
            image.metadata |= {"source_url": image.url, "expires_at": _expiry({}, answer)}
        image.metadata |= {"width": image.width, "height": image.height}
    return images


def _images(
    item: Any, answer: dict[str, Any], context: RequestContext, request_id: str, base: str
) -> list[ImageResult]:
    if not isinstance(item, dict):
        return _found_or_nothing(item, answer, context, request_id, base)
    text, url = item.get("b64_json"), item.get("url")
    link = unusual.usable_url(url, base)
    if isinstance(text, str) and text:
        result = _of_base64(text, context, request_id)
    elif link:
        result = ImageResult(url=link, provider="volcengine")
        result.metadata |= {"source_url": link, "expires_at": _expiry(item, answer)}
    elif item.get("error"):
        error = error_from_body(
            context, {"error": item["error"]}, status=200, headers={"x-request-id": request_id}
        )
        error.billed = "no"  # "failed images are not billed", the reference page says
        raise error
    else:
        return _found_or_nothing(item, answer, context, request_id, base)
    known = {
        "url",
        "b64_json",
        "size",
        "type",
        "model",
        "created",
        "image_index",
        "error",
        "object",
    }
    try:
        size = sizes.parse(item.get("size"))
        result.metadata |= {
            "width": size.width or result.width,
            "height": size.height or result.height,
        }
    except InvalidInputError:
        result.metadata |= {"width": result.width, "height": result.height}
    extra = {name: value for name, value in item.items() if name not in known}
    if extra:
        result.metadata["layer"] = extra
    return [result]


def _found_or_nothing(
    item: Any, answer: Mapping[str, Any], context: RequestContext, request_id: str, base: str
) -> list[ImageResult]:
    images = _found(item, answer, base) or _found({"data": item}, answer, base)
    if not images:
        raise _nothing(
            "volcengine sent an entry that is neither an image nor an error",
            item,
            context,
            request_id,
            unusual.look({"data": item}, base=base).any(),
        )
    return images


def _of_base64(text: str, context: RequestContext, request_id: str) -> ImageResult:
    try:
        return ImageResult.from_bytes(decode_base64(text), provider="volcengine")
    except ValueError as error:
        failure = InvalidReplyError(
            f"volcengine sent an image whose base64 is broken: {error}",
            provider="volcengine",
            model=context.model,
            request_id=request_id,
            status_code=200,
            billed="yes",
        )
        failure.result = ImageResult(base64=text, provider="volcengine")
        raise failure from None


def _expiry(item: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    created = item.get("created") or answer.get("created")
    now = datetime.now(UTC)
    try:
        born = datetime.fromtimestamp(float(created), UTC) if created else now
    except (TypeError, ValueError, OverflowError, OSError):
        born = now
    return (min(born, now) + LINK_LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mime_type(item: Mapping[str, Any], sent: Mapping[str, Any]) -> str:
    """What Ark says the format is; it makes JPEG unless it was asked for something else."""
    word = str(item.get("output_format") or sent.get("output_format") or "jpeg").lower()
    return "image/jpeg" if word in ("jpg", "jpeg") else f"image/{word}"
