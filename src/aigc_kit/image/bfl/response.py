"""Answers of Black Forest Labs -> an image, or the error of the one that did not come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aigc_kit.errors import (
    ContentFilterError,
    InvalidReplyError,
    ProviderError,
    ServerError,
)
from aigc_kit.image import unusual
from aigc_kit.image.base import ImageGroup, ImageResult
from aigc_kit.transport.failures import RequestContext

LINK_LIFETIME = timedelta(minutes=10)
"""Of a finished image. Source: https://docs.bfl.ai, read 2026-11-25."""

_BLOCKED = frozenset({"request moderated", "content moderated"})
_SAMPLES = ("sample", "samples", "url", "urls", "image", "images")
GONE = "task not found"
_READY = frozenset({"ready", "succeeded", "success", "completed"})
"""The first is the vendor's word, the others are relays'; those are unverified, 2026-11-27."""
_ENDED = _BLOCKED | _READY | {"error", "failed", GONE}


def status_of(body: Mapping[str, Any]) -> tuple[str, bool]:
    """(the vendor's word, whether the task has ended)."""
    status = str(body.get("status") or "")
    return status, status.lower() in _ENDED


def from_response(
    body: Mapping[str, Any], context: RequestContext, facts: Mapping[str, Any]
) -> ImageGroup:
    """
    The image of a finished task, or of a response that begins none.

    Raises:
        ProviderError: it failed or was held back. ``billed`` is unknown there: the documents do not
            say whether the credits come back.
        InvalidReplyError: the response has neither an image nor a task id.
    """
    status, _ = status_of(body)
    if status and status.lower() not in _READY:
        raise _failed(status, body, context)
    given = body.get("result")
    result = given if isinstance(given, Mapping) else {}
    image = _image_in(result if status else body)
    if image is None:
        what = (
            "task is ready, but its result has no sample" if status else "response has no task id"
        )
        error = InvalidReplyError(
            f"{context.provider}'s {what}; its fields:"
            f" {', '.join(sorted(map(str, result if status else body))) or 'none'}",
            provider=context.provider,
            model=context.model,
            status_code=200,
            billed="unknown",
            body=context.clean(dict(body)),
        )
        error.result = unusual.look(dict(body)).any()
        raise error
    image.provider = context.provider
    image.metadata = {
        **facts,
        "request_id": str(body.get("id") or facts.get("request_id") or ""),
        "warnings": list(facts.get("warnings") or ()),
    }
    if image.url:
        dies = (datetime.now(UTC) + LINK_LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
        image.metadata |= {"source_url": image.url, "expires_at": dies}
    if isinstance(result.get("prompt"), str):
        image.metadata["revised_prompt"] = result["prompt"]
    return ImageGroup([image])


def _image_in(result: Mapping[str, Any]) -> ImageResult | None:
    """``sample`` is a link; relays give a data URI, a list, or another name."""
    link = unusual.usable_url(result.get("sample"), "")
    if link:
        return ImageResult(url=link)
    given = [result[name] for name in _SAMPLES if result.get(name)]
    found = unusual.look({"images": given} if given else dict(result))
    return next(iter(found.images), None)


def _failed(status: str, body: Mapping[str, Any], context: RequestContext) -> ProviderError:
    details = context.clean(body.get("details"))
    kind = ContentFilterError if status.lower() in _BLOCKED else ServerError
    more: dict[str, Any] = {"reason": status} if kind is ContentFilterError else {}
    return kind(
        f"{context.provider}'s task ended with {status!r}"
        + (f": {str(details)[:300]}" if details else ""),
        provider=context.provider,
        model=context.model,
        request_id=str(body.get("id") or ""),
        status_code=200,
        code=status,
        billed="unknown",
        body=context.clean(dict(body)),
        **more,
    )


def usage_of(submitted: Mapping[str, Any]) -> dict[str, Any]:
    """
    What the submission said of its price: credits, and megapixels in and out.

    A credit is 0.01 USD (unverified; celeste ``bfl/client.py``, read 2026-11-25).
    """
    found = {
        name: submitted[name]
        for name in ("input_mp", "output_mp")
        if type(submitted.get(name)) in (int, float)
    }
    credits = submitted.get("cost")
    if isinstance(credits, (int, float)) and not isinstance(credits, bool):
        found |= {"credits": credits, "cost": round(credits / 100, 6)}
    return found
