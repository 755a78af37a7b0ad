"""Gemini's responses -> images, and the errors of those that did not come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import (
    Billed,
    ContentFilterError,
    InvalidReplyError,
    NoImageError,
)
from aigc_kit.image import turns, unusual
from aigc_kit.image.base import ImageGroup, ImageResult
from aigc_kit.image.gemini.received import Blob
from aigc_kit.media import sniff
from aigc_kit.media.result import Part
from aigc_kit.transport import json_images
from aigc_kit.transport.encoding import decode_base64
from aigc_kit.transport.failures import RequestContext

# https://ai.google.dev/api/generate-content#FinishReason, read 2026-11-22. PROHIBITED_CONTENT and
# kin are moderation; NO_IMAGE, IMAGE_OTHER and OTHER are a model that did not deliver.
BLOCKED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "JAILBREAK",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)


def from_response(
    answer: dict[str, Any],
    found: Sequence[Blob],
    *,
    context: RequestContext,
    request_id: str,
    facts: dict[str, Any],
) -> ImageGroup:
    """
    Every image of a ``GenerateContentResponse``; thoughts are skipped, text is kept. Where Gemini
    has none, images in whatever shape they came.

    ``found``: what placeholders in ``inlineData.data`` stand for.

    Raises:
        ContentFilterError: the prompt or the image was blocked.
        NoImageError: the model answered without an image.
        InvalidReplyError: it is not a response of Gemini.
    """
    answer_id = answer.get("responseId")
    request_id = request_id or (answer_id if isinstance(answer_id, str) else "")
    usage = _dict(answer.get("usageMetadata"))
    came = _gather(answer, found)
    images = came.images
    if not images and came.thoughts and came.reason == "STOP":
        images = came.thoughts[-1:]
    notes: list[dict[str, str]] = []
    if not images and not came.broken and came.reason not in BLOCKED:
        images = unusual.look(_without_thoughts(answer), found).images
        notes = [{"feature": "response", "details": "the image was in an unusual place"}]
    for error in came.broken:
        error.model, error.request_id = context.model, request_id
    if not images:
        failure = (
            came.broken[0]
            if came.broken
            else _without_image(answer, came, context, request_id, usage)
        )
        failure.result = failure.result or unusual.look(answer, found).any()
        raise failure
    group = ImageGroup(images, list(came.broken))
    for result in images:
        result.provider = "gemini"
        result.metadata = {
            **facts,
            "warnings": [*facts["warnings"], *notes],
            "width": result.width,
            "height": result.height,
            "request_id": request_id,
            "usage": usage,
        }
        if came.text:
            result.metadata["text"] = came.text
        if result.url.startswith("gs://"):
            details = "the image is in Google Cloud Storage, which is not fetched here: read it with your Google credentials"
            result.metadata["warnings"].append({"feature": "url", "details": details})
    return group


def _without_image(
    answer: dict[str, Any],
    came: _Came,
    context: RequestContext,
    request_id: str,
    usage: dict[str, Any],
) -> NoImageError | ContentFilterError | InvalidReplyError:
    """What it means that there is no image."""
    details: dict[str, Any] = {
        "provider": "gemini",
        "model": context.model,
        "request_id": request_id,
        "status_code": 200,
        "body": _slim(answer),
    }
    feedback = _dict(answer.get("promptFeedback"))
    if not {"candidates", "promptFeedback", "usageMetadata", "modelVersion"} & answer.keys():
        return InvalidReplyError(
            f"gemini answered 200 with something that is not its response; its fields: {sorted(answer)}",
            billed="unknown",
            **details,
        )
    details |= {"billed": _billed(usage), "text": came.text}
    blocked = feedback.get("blockReason")
    if isinstance(blocked, str) and blocked and not answer.get("candidates"):
        detail = feedback.get("blockReasonMessage") or "no explanation"
        return ContentFilterError(
            f"gemini blocked the prompt: {blocked} ({_short(detail)})",
            reason=blocked,
            code=blocked,
            **details,
        )
    reason, detail = came.reason, _short(came.explained or came.text or "no explanation")
    if reason in BLOCKED:
        return ContentFilterError(
            f"gemini blocked the image: {reason} ({detail})", reason=reason, code=reason, **details
        )
    said = f"gemini answered without an image: {reason or 'no candidates'} ({detail})"
    return NoImageError(said, reason=reason, code=reason, **details)


@dataclass
class _Came:
    """
    What is in all candidates. ``explained``: the finish message; ``broken``: images that cannot be
    read.
    """

    text: str = ""
    images: list[ImageResult] = field(default_factory=list[ImageResult])
    thoughts: list[ImageResult] = field(default_factory=list[ImageResult])
    reason: str = ""
    explained: str = ""
    broken: list[InvalidReplyError] = field(default_factory=list[InvalidReplyError])


def _gather(answer: dict[str, Any], found: Sequence[Blob]) -> _Came:
    came = _Came()
    for candidate in _dicts(answer.get("candidates")):
        came.reason = came.reason or _text(candidate.get("finishReason"))
        came.explained = came.explained or _text(candidate.get("finishMessage"))
        for part in _dicts(_dict(candidate.get("content")).get("parts")):
            try:
                image = _image(part, found)
            except InvalidReplyError as error:
                came.broken.append(error)
                continue
            if image is not None:
                (came.thoughts if part.get("thought") else came.images).append(image)
            elif not part.get("thought"):
                came.text += _text(part.get("text"))
    return came


def answered(answer: dict[str, Any], found: Sequence[Blob]) -> list[Part]:
    """The parts of the first candidate, with their signatures; thoughts need not come back."""
    parts: list[Part] = []
    for candidate in _dicts(answer.get("candidates"))[:1]:
        for part in _dicts(_dict(candidate.get("content")).get("parts")):
            if part.get("thought"):
                continue
            try:
                image = _image(part, found)
            except InvalidReplyError:
                return []
            signature = part.get("thoughtSignature") or part.get("thought_signature")
            kept = turns.part_of(_text(part.get("text")), image, signature)
            parts += [kept] if kept is not None else []
    return parts


def _without_thoughts(answer: dict[str, Any]) -> dict[str, Any]:
    candidates = [
        {
            **candidate,
            "content": {
                "parts": [
                    part
                    for part in _dicts(_dict(candidate.get("content")).get("parts"))
                    if not part.get("thought")
                ]
            },
        }
        for candidate in _dicts(answer.get("candidates"))
    ]
    return {**answer, "candidates": candidates}


def _image(part: dict[str, Any], found: Sequence[Blob]) -> ImageResult | None:
    inline = _dict(part.get("inlineData") or part.get("inline_data"))
    value = inline.get("data")
    if isinstance(value, str) and value:
        return _inline(value, str(inline.get("mimeType") or inline.get("mime_type") or ""), found)
    file = _dict(part.get("fileData") or part.get("file_data"))
    uri = file.get("fileUri") or file.get("file_uri")
    mime = str(file.get("mimeType") or file.get("mime_type") or "")
    if not isinstance(uri, str) or not uri or (mime and not mime.startswith("image/")):
        return None
    return ImageResult(url=uri.strip(), mime_type=mime)


def _inline(value: str, mime: str, found: Sequence[Blob]) -> ImageResult | None:
    blob: Blob | None = json_images.blob_of(value, found)
    if blob is None:
        try:
            blob = decode_base64(value)
        except ValueError:
            blob = json_images.Unread(value)
    data = b"" if isinstance(blob, json_images.Unread) else blob
    if sniff.mime_type(data):
        return ImageResult.from_bytes(data)
    if mime and not mime.startswith("image/"):
        return None  # audio and other media
    unread = InvalidReplyError(
        f"gemini sent {len(data) or len(value)} bytes as {mime or 'an image'}, and they are none that is known here",
        provider="gemini",
        status_code=200,
        billed="yes",
    )
    unread.result = (
        ImageResult(base64=blob.text, mime_type=mime, provider="gemini")
        if isinstance(blob, json_images.Unread)
        else ImageResult.from_bytes(data, mime_type=mime, provider="gemini")
    )
    raise unread


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _billed(usage: dict[str, Any]) -> Billed:
    """Tokens that were counted are tokens that are charged."""
    return "yes" if usage.get("totalTokenCount") or usage.get("promptTokenCount") else "unknown"


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:200]


def _slim(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: answer[name]
        for name in ("promptFeedback", "usageMetadata", "modelVersion")
        if name in answer
    }
