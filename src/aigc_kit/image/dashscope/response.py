"""DashScope's answers -> images, and the errors of those that did not come. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aigc_kit.errors import AIGCError, InvalidReplyError, ProviderError
from aigc_kit.image import unusual
from aigc_kit.image.base import ImageGroup, ImageResult
from aigc_kit.image.tasks import id_in
from aigc_kit.transport.failures import RequestContext, error_from_body

LIFETIME = timedelta(hours=24)
"""
Of a link, and of what is known of a task. Source:
https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks, read 2026-11-25.
"""


def from_response(
    body: Mapping[str, Any], context: RequestContext, facts: Mapping[str, Any]
) -> ImageGroup:
    """
    Every image and every error of a finished answer, in order: all choices and all their parts, or
    the results of an older task.

    Raises:
        ProviderError: the vendor's error; a failed call or task is not billed.
        InvalidReplyError: there is nothing in it; it may have been billed.
    """
    output = body.get("output")
    output = output if isinstance(output, Mapping) else {}
    group, texts = ImageGroup(), list[str]()
    for place, entry in enumerate(_entries(output)):
        image = _image_in(entry)
        prompt = entry.get("actual_prompt")
        if image is not None:
            if isinstance(prompt, str) and prompt:
                image.metadata["revised_prompt"] = prompt
            group.images.append(image)
        elif isinstance(entry.get("text"), str):
            texts.append(entry["text"])
        elif entry.get("code"):
            group.errors.append(_placed(refused(entry, context), place))
        elif "image" in entry or "url" in entry:
            group.errors.append(_placed(_nothing(entry, context), place))
    if not group.images and not group.errors:
        raise _nothing(body, context)
    facts = dict(facts)
    asked = facts.pop("asked", 0)
    came = len(group.images) + len(group.errors)
    lacking = [_fewer(asked, came)] if isinstance(asked, int) and came < asked else []
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    for image in group.images:
        image.provider = context.provider
        image.metadata = {
            **facts,
            "request_id": str(body.get("request_id") or ""),
            "usage": dict(usage),
            "expires_at": (datetime.now(UTC) + LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **_pixels(usage),
            **image.metadata,
            "warnings": [*(facts.get("warnings") or ()), *lacking],
        }
        if texts:
            image.metadata.setdefault("revised_prompt", " ".join(texts))
    return group


def _image_in(entry: Mapping[str, Any]) -> ImageResult | None:
    """A link; relays give a data URI or base64 in its place."""
    given = entry.get("image") or entry.get("url")
    link = unusual.usable_url(given, "")
    if link:
        image = ImageResult(url=link)
        image.metadata["source_url"] = link
        return image
    return next(iter(unusual.look({"image": given}).images), None) if given else None


def task_in(body: Mapping[str, Any]) -> str:
    """The id of the task that a response begins; "" where its images are in it, or nothing is."""
    output = body.get("output")
    if not isinstance(output, Mapping) or next(_entries(output), None) is not None:
        return ""
    return id_in(output.get("task_id"))


def _placed(error: AIGCError, place: int) -> AIGCError:
    error.index = place
    return error


def _fewer(asked: int, came: int) -> dict[str, str]:
    return {"feature": "n", "details": f"{asked} images were asked for, {came} came"}


def _entries(output: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for choice in _dicts(output.get("choices")):
        message = choice.get("message")
        yield from _dicts(message.get("content") if isinstance(message, Mapping) else None)
    yield from _dicts(output.get("results"))


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _pixels(usage: Mapping[str, Any]) -> dict[str, int]:
    wide = usage.get("width") or usage.get("output_width")
    high = usage.get("height") or usage.get("output_height")
    return {"width": wide, "height": high} if type(wide) is int and type(high) is int else {}


def refused(body: Mapping[str, Any], context: RequestContext) -> ProviderError:
    """
    The error that a body names. Only images that were made are billed. Source:
    https://help.aliyun.com/zh/model-studio/error-code, read 2026-11-25.
    """
    error = error_from_body(context, dict(body), status=200, headers={})
    return billed_rightly(error)


def billed_rightly(error: ProviderError) -> ProviderError:
    """An error that the vendor put into a 200 is a failed call, and not billed."""
    if error.status_code == 200 and error.code:
        error.billed = "no"
    return error


def _nothing(body: Mapping[str, Any], context: RequestContext) -> AIGCError:
    if body.get("code"):
        return refused(body, context)
    found = unusual.look(dict(body))
    error = InvalidReplyError(
        f"{context.provider} answered 200 without an image and without an error; it may have been"
        f" billed. Its fields: {', '.join(sorted(map(str, body)))}",
        provider=context.provider,
        model=context.model,
        request_id=str(body.get("request_id") or ""),
        status_code=200,
        billed="unknown",
        body=context.clean(dict(body)),
    )
    error.result = found.any()
    return error
