"""What a vendor of OpenAI's kind answers -> images, and the errors of those that did not come."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aigc_kit.errors import AIGCError, ContentFilterError, InvalidReplyError, ProviderError
from aigc_kit.image import unusual
from aigc_kit.image.base import ImageGroup, ImageResult
from aigc_kit.image.openai.vendors import Vendor
from aigc_kit.media import sniff
from aigc_kit.transport import json_images, sse
from aigc_kit.transport.answers import body_of, checked_object, json_of
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.encoding import BROKEN, decode_base64, loaded
from aigc_kit.transport.failures import RequestContext, error_from_body, failure_of, request_id_of
from aigc_kit.transport.http import Response

OnPartial = Callable[[ImageResult], None]


@dataclass
class Answer:
    """
    One response, whole or streamed. ``body``: as JSON, with what a stream brought under ``data``.
    ``cut``: the error that ended a stream after something had come. ``finished``: an image or the
    end had come before it.
    """

    body: dict[str, Any]
    request_id: str = ""
    cut: AIGCError | None = None
    finished: bool = False


def read(
    response: Response, context: RequestContext, deadline: Deadline, on_partial: OnPartial | None
) -> Answer:
    """
    The response, whatever a relay has made of it.

    Raises:
        ProviderError: an error, or nothing that can be read; ``result`` has what was found in it.
    """
    request_id = request_id_of(response.headers)
    if response.status == 200 and "event-stream" in response.headers.get("content-type", ""):
        return _streamed(response, context, deadline, on_partial)
    try:
        raw = body_of(context, response, deadline)
    except AIGCError as error:
        came = getattr(error.__cause__, "came", b"")
        error.result = unusual.salvaged(came) if came else None
        raise _explained(error) from error.__cause__
    return Answer(_object(raw, context, response.headers), request_id)


def _object(raw: bytes, context: RequestContext, headers: Mapping[str, str]) -> dict[str, Any]:
    if sniff.mime_type(raw):  # the image itself
        return {"data": [{"b64_json": base64.b64encode(raw).decode("ascii")}]}
    documents = json_images.documents(raw)
    try:
        if documents is None:
            return json_of(context, raw, headers)
        if len(documents) == 1 and raw.lstrip()[:1] != b"[":
            return checked_object(context, documents[0], headers, paid_in="data")
        if not documents or not all(isinstance(one, dict) for one in documents):
            return checked_object(context, documents, headers)
        gathered = _Gathered(context, headers, None)
        for event in documents:
            gathered.add(event)
        return gathered.whole(None).body
    except ProviderError as error:
        error.result = error.result or (
            unusual.salvaged(raw) if documents is None else unusual.look(documents).any()
        )
        raise _explained(error) from error.__cause__


def _streamed(
    response: Response, context: RequestContext, deadline: Deadline, on_partial: OnPartial | None
) -> Answer:
    gathered = _Gathered(context, response.headers, on_partial)
    broken: WireError | None = None
    try:
        with deadline_of(deadline):
            for raw in map(context.masked, sse.events(response.chunks())):
                if raw.strip() == b"[DONE]":
                    gathered.finished = True
                    break
                event = loaded(raw)
                if event is not BROKEN and isinstance(event, dict):
                    gathered.add(event)
    except WireError as error:
        broken = error
    finally:
        response.drain()
    cut = gathered.failed
    if cut is None and broken is None and not gathered.finished:
        broken = WireError("the stream ended before it was complete", sent=True)
    if cut is None and broken is not None:
        cut = failure_of(context, broken, deadline, response.headers)
    return gathered.whole(cut)


@dataclass
class _Gathered:
    """
    The events of a stream so far.

    Source: openai 3.57 types/image_gen_stream_event.py and image_edit_stream_event.py, read
    2026-11-25. Gateways end with an ``error`` event or ``response.incomplete``, and a completed
    event may have a URL: Wei-Shaw/sub2api#3381.
    """

    context: RequestContext
    headers: Mapping[str, str]
    on_partial: OnPartial | None
    data: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    last: dict[str, Any] | None = None
    failed: AIGCError | None = None
    finished: bool = False

    def add(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type", ""))
        if kind.endswith("partial_image"):
            self.last = event
            self._tell(event)
        elif event.get("error") or kind in ("error", "response.incomplete", "response.failed"):
            inner = event if event.get("error") else {"error": event}
            self.failed = error_from_body(self.context, inner, status=200, headers=self.headers)
        elif event.get("b64_json") or event.get("url"):
            self.data.append(event)
            self.finished = self.finished or kind.endswith("completed")
        elif found := event.get("data") or event.get("images") or event.get("choices"):
            self.data += [one for one in _listed(found) if isinstance(one, dict)]
            self.finished = True
        for name in ("usage", "created", "created_at", "model"):
            if event.get(name):
                self.facts[name] = event[name]

    def _tell(self, event: dict[str, Any]) -> None:
        image = _partial(event)
        if self.on_partial is not None and image is not None:
            self.on_partial(image)

    def whole(self, cut: AIGCError | None) -> Answer:
        """
        Raises:
            AIGCError: nothing came before the end; ``result`` has the last partial image.
        """
        cut = cut or self.failed
        if not self.data and cut is not None:
            cut.result = _partial(self.last) if self.last else None
            raise _explained(cut)
        body = {**self.facts, "data": self.data}
        return Answer(body, request_id_of(self.headers), cut, self.finished)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _partial(event: Mapping[str, Any]) -> ImageResult | None:
    """A partial image; ``metadata["partial"]`` is its number. None when it cannot be read."""
    try:
        data = decode_base64(str(event.get("b64_json") or ""))
    except ValueError:
        return None
    if not sniff.mime_type(data):
        return None
    number = event.get("partial_image_index")
    image = ImageResult.from_bytes(data)
    image.metadata = {
        "partial": number if isinstance(number, int) else 0,
        "width": image.width,
        "height": image.height,
    }
    return image


def from_response(
    answer: Answer,
    *,
    vendor: Vendor,
    context: RequestContext,
    facts: dict[str, Any],
    base: str = "",
    n: int = 1,
) -> ImageGroup:
    """
    Every image and every error of a response, in order.

    Reads ``data`` or ``images``, each entry with ``b64_json``, ``url`` (a ``data:`` URI too) or
    ``error``; and where that is not there, images in whatever shape they came.

    Raises:
        ContentFilterError: the vendor leaves a moderated image out, and nothing is left.
        InvalidReplyError: there is nothing in it; it may have been billed.
    """
    reader = _Reader(answer, vendor, context, base)
    group = ImageGroup()
    entries = reader.entries()
    for index, entry in enumerate(entries):
        try:
            group.images.append(reader.image(entry))
        except AIGCError as error:
            error.index = index
            group.errors.append(error)
    if not entries:
        group.images = reader.elsewhere()
    if answer.cut is not None and not (answer.finished and len(entries) >= n):
        answer.cut.index = len(entries)
        group.errors.append(answer.cut)
    if not group.images and not group.errors:
        raise reader.nothing()
    usage = answer.body.get("usage")
    for image in group.images:
        notes = [*facts["warnings"], *image.metadata.pop("warnings", [])]
        if not group.errors and len(entries) < n and len(group.images) < n:
            notes.append(_fewer(n, len(group.images)))
        image.provider = context.provider
        image.metadata = {
            **facts,
            "request_id": answer.request_id or _id_of(answer.body),
            "usage": usage if isinstance(usage, dict) else {},
            **image.metadata,
            "warnings": notes,
        }
    return group


def _fewer(n: int, came: int) -> dict[str, str]:
    return {"feature": "n", "details": f"{n} images were asked for in one request, {came} came"}


def _id_of(body: Mapping[str, Any]) -> str:
    found = body.get("request_id") or body.get("id")
    return found if isinstance(found, str) else ""


@dataclass
class _Reader:
    """One response being read."""

    answer: Answer
    vendor: Vendor
    context: RequestContext
    base: str

    def entries(self) -> list[Any]:
        for name in ("data", "images"):
            found = self.answer.body.get(name)
            if isinstance(found, list) and found:
                return found
        return []

    def image(self, entry: Any) -> ImageResult:
        if not isinstance(entry, dict):
            return self._anywhere(entry)
        text, url = entry.get("b64_json"), entry.get("url")
        link = unusual.usable_url(url, self.base)
        if isinstance(url, str) and url[:5].lower() == "data:":
            text = url
        if isinstance(text, str) and text:
            image = self._of_base64(text)
        elif link:
            image = ImageResult(url=link, mime_type=str(entry.get("mime_type") or ""))
            image.metadata |= {"source_url": link, **self._expiry()}
        elif entry.get("error"):
            error = error_from_body(self.context, entry, status=200, headers={})
            raise _explained(error)
        else:
            return self._anywhere(entry)
        image.metadata |= {"width": image.width, "height": image.height}
        prompt = entry.get("revised_prompt")
        if isinstance(prompt, str) and prompt:
            image.metadata["revised_prompt"] = prompt
        return image

    def _anywhere(self, entry: Any) -> ImageResult:
        found = unusual.look({"data": entry}, base=self.base)
        if found.images:
            return _unusually_placed(found.images[0])
        if self.vendor.blocked_is_empty:
            raise self._blocked()
        error = self.nothing()
        error.result = found.any()
        raise error

    def elsewhere(self) -> list[ImageResult]:
        images = unusual.look(self.answer.body, base=self.base).images
        for image in images:
            if image.url:
                image.metadata |= {"source_url": image.url, **self._expiry()}
            image.metadata |= {"width": image.width, "height": image.height}
            if self.vendor.edits != "chat":
                _unusually_placed(image)
        return images

    def nothing(self) -> ProviderError:
        body = self.answer.body
        if self.vendor.blocked_is_empty and isinstance(body.get("data"), list):
            return self._blocked()
        text = _text_of(body)
        said = f" It says: {self.context.redact(text)[:300]!r}" if text else ""
        error = InvalidReplyError(
            f"{self.context.provider} answered 200 without an image and without an error; it may"
            f" have been billed. Its fields: {', '.join(sorted(map(str, body)))}.{said}",
            **self._details(),
        )
        error.result = unusual.look(body, base=self.base).any()
        return error

    def _blocked(self) -> ContentFilterError:
        return ContentFilterError(
            f"{self.context.provider} left the image out: it did not pass moderation",
            reason="moderation",
            **self._details(),
        )

    def _details(self) -> dict[str, Any]:
        return {
            "provider": self.context.provider,
            "model": self.context.model,
            "request_id": self.answer.request_id,
            "status_code": 200,
            "body": self.context.clean(self.answer.body),
            "billed": "unknown",
        }

    def _of_base64(self, text: str) -> ImageResult:
        try:
            data = decode_base64(text)
        except ValueError as error:
            failure = InvalidReplyError(
                f"{self.context.provider} sent an image whose base64 is broken: {error}",
                **{**self._details(), "body": None, "billed": "yes"},
            )
            failure.result = ImageResult(base64=text, provider=self.context.provider)
            raise failure from None
        return ImageResult.from_bytes(data)

    def _expiry(self) -> dict[str, str]:
        if self.vendor.lifetime is None:
            return {}
        now = datetime.now(UTC)
        created = self.answer.body.get("created")
        try:
            born = datetime.fromtimestamp(float(created), UTC) if created else now
        except (TypeError, ValueError, OverflowError, OSError):
            born = now
        dies = min(born, now) + self.vendor.lifetime
        return {"expires_at": dies.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _unusually_placed(image: ImageResult) -> ImageResult:
    image.metadata["warnings"] = [
        {"feature": "response", "details": "the image was in an unusual place"}
    ]
    image.metadata |= {"width": image.width, "height": image.height}
    return image


def _text_of(body: Mapping[str, Any]) -> str:
    """What a chat model said instead of drawing."""
    texts: Iterable[Any] = (
        choice["message"].get("content")
        for choice in _listed(body.get("choices") or [])
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict)
    )
    return " ".join(text for text in texts if isinstance(text, str)).strip()


_VIOLATIONS = re.compile(r"safety_violations=\[([^\]]*)\]")
"""Which class of content it was. Source: jeffstric/ZJT#480, 2026-07."""


def _explained(error: AIGCError) -> AIGCError:
    """The error with what its message says about the content, or how to mend it."""
    if isinstance(error, ContentFilterError) and (found := _VIOLATIONS.search(str(error))):
        error.reason = found[1] or error.reason
    return error
