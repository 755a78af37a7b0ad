"""
Volcengine Seedream: one POST to ``{base}/images/generations``, for text and for references alike.

Source: https://www.volcengine.com/docs/82379/1541523 (China),
https://docs.byteplus.com/en/docs/ModelArk/1541523.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import (
    AIGCError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    InvalidInputError,
    InvalidReplyError,
    ProviderError,
)
from aigc_kit.image import references, sizes, unusual
from aigc_kit.image.base import ImageGroup, ImageResult, VendorProvider
from aigc_kit.image.request import ImageRequest
from aigc_kit.media import sniff
from aigc_kit.settings import Secret
from aigc_kit.transport import codes, json_images, sse
from aigc_kit.transport.answers import body_of, checked_object, json_of
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.download import Downloader, is_public_url
from aigc_kit.transport.encoding import decode_base64
from aigc_kit.transport.failures import RequestContext, error_from_body, failure_of, request_id_of
from aigc_kit.transport.http import Response
from aigc_kit.transport.retry import Policy

BASE_URL = "https://ark.cn-beijing.volces.com/api/v3"
INTERNATIONAL = "https://ark.ap-southeast.bytepluses.com/api/v3"
"""BytePlus ModelArk. Source: byteplussdkarkruntime's constants, read 2026-11-22."""

MODEL = "doubao-seedream-4-5-251128"
INTERNATIONAL_MODEL = "seedream-4-5-251128"
LINK_LIFETIME = timedelta(hours=24)
"""How long a link to a generated image lives. Source: the reference page, "valid for 24 hours"."""

MAX_GROUP = 15
"""References and generated images together, in one request."""

_UNKNOWN_FAMILY = replace(sizes.FAMILIES["4.5"], name="")
"""Its limits of references hold for an endpoint that does not say its model."""

_OPTIONS = [
    "api_key",
    "base_url",
    "region",
    "model",
    "timeout",
    "family",
    "watermark",
    "size_policy",
    "max_retries",
    "inline_references",
]

_HINTS = {
    "ModelNotOpen": "activate the model in the Ark console first",
    "InvalidEndpointOrModel": f"use a full versioned id such as {MODEL!r}, or an endpoint id 'ep-...'",
    "AccountOverdueError": "the account is in arrears; top it up",
}


class VolcengineProvider(Rebuilt, VendorProvider):
    """Seedream on Volcengine Ark, or on BytePlus ModelArk (``region="intl"``)."""

    @constructor
    def __init__(
        self,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        region: str | None = None,
        model: str | None = None,
        timeout: float | None = None,
        family: str | None = None,
        watermark: bool = False,
        size_policy: str = "nearest",
        max_retries: int = 2,
        inline_references: bool = False,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: unset: ``VOLCENGINE_API_KEY`` or ``ARK_API_KEY``.
            base_url: unset: ``VOLCENGINE_BASE_URL``, then Ark in Beijing.
            region: ``"intl"`` is BytePlus ModelArk, with keys of its own; ``base_url`` wins over it.
            model: a full versioned id, or an endpoint ``ep-...``; unset:
                ``VOLCENGINE_IMAGE_MODEL``.
            timeout: seconds for one call, tries included; unset: ``VOLCENGINE_TIMEOUT_SECS``, then
                300.
            family: what an ``ep-...`` id cannot tell: one of ``aigc_kit.image.sizes.FAMILIES``.
            watermark: Ark's own default is on; here it is off.
            size_policy: ``"nearest"`` makes a size legal and a reference small enough, ``"exact"``
                refuses one that is not.
            inline_references: fetch public references here and send their bytes, instead of leaving
                that to Ark.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=_OPTIONS, what="volcengine")
        key = settings.credential(
            api_key, "VOLCENGINE_API_KEY", "ARK_API_KEY", what="Volcengine's api_key"
        )
        variables = () if region else ("VOLCENGINE_BASE_URL", "ARK_BASE_URL")
        self.base_url = settings.base_url(
            base_url,
            *variables,
            default=settings.in_region(region, BASE_URL, INTERNATIONAL, what="volcengine"),
        )
        own_model = INTERNATIONAL_MODEL if region == "intl" else MODEL
        self.model = settings.option(model, "VOLCENGINE_IMAGE_MODEL", default=own_model)
        self.family = family
        sizes.family_of(self.model, family)
        self.watermark = watermark
        self.size_policy = sizes.check_policy(size_policy)
        self.inline_references = bool(inline_references)
        self._policy = Policy(
            settings.seconds(timeout, "VOLCENGINE_TIMEOUT_SECS", default=300.0),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._secrets = (key,)
        self._transport = HttpTransport(self.base_url, key)
        self._downloader = Downloader()

    fields = frozenset(
        {
            "watermark",
            "seed",
            "guidance_scale",
            "sequential_image_generation",
            "sequential_image_generation_options",
            "stream",
            "response_format",
            "output_format",
            "optimize_prompt_options",
            "optimize_prompt",
            "tools",
            "background",
            "layer_decomposition",
            "family",
            "size_policy",
            "inline_references",
        }
    )
    """Source: https://docs.byteplus.com/en/docs/ModelArk/1541523, read 2026-11-22."""

    @property
    def name(self) -> str:
        return "volcengine"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.base_url,)

    def makes_groups(self, **kwargs: Any) -> bool:
        """4.0, 4.5, 5.0-lite, and unknown models."""
        family = sizes.family_of(
            str(kwargs.get("model") or self.model), kwargs.get("family", self.family)
        )
        return family is None or family.group

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        call = self._call(request)
        found = self._references(request, call, inline=call.inline)
        try:
            sent, answer, request_id, requests = self._send(request, call, found)
        except AIGCError as error:
            if not _could_not_fetch(error, found):
                raise _with_hint(error) from error.__cause__
            found = self._fetched_here(error, request, call)
            call.warnings.append(_INLINED)
            sent, answer, request_id, requests = self._send(request, call, found)
            requests += error.tries
        facts = {
            "model": call.model,
            "requested_size": request.size,
            "sent_size": call.size,
            "warnings": [*call.warnings, *references.warnings_of(found or ())],
            "attempts": [
                {
                    "provider": "volcengine",
                    "model": call.model,
                    "requests": requests,
                    "outcome": "ok",
                }
            ],
        }
        return from_response(
            answer,
            context=call.context,
            request_id=request_id,
            facts=facts,
            sent=sent,
            base=self.base_url,
        )

    def _call(self, request: ImageRequest) -> _Call:
        options = dict(request.options)
        model = request.model or self.model
        family = sizes.family_of(model, options.pop("family", self.family))
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = settings.headers(options.pop("extra_headers", None))
        inline = bool(options.pop("inline_references", self.inline_references))
        options = {"watermark": self.watermark, **options}
        if request.n > 1:
            options = {**self._group_options(request), **options}
        own = model.lower().startswith("ep-")
        size, warnings = sizes.fit_seedream(
            sizes.parse(request.size), family, policy=policy, own_endpoint=own
        )
        run = self._policy.for_call(request)
        context = RequestContext(
            "volcengine", model, paid=True, judge=codes.ark, secrets=self._secrets
        )
        return _Call(
            model,
            family,
            policy,
            size,
            warnings,
            options,
            headers,
            inline,
            context,
            run,
            Deadline.after(run.timeout),
        )

    def _send(
        self, request: ImageRequest, call: _Call, found: list[references.Reference] | None
    ) -> tuple[dict[str, Any], dict[str, Any], str, int]:
        """(the body that was sent, the answer, the request id, how often it was sent)."""
        options = dict(call.options)
        watermark = options.pop("watermark")
        images = None if found is None else [one.address or one.data_uri() for one in found]
        body = to_body(
            request.prompt,
            model=call.model,
            size=call.size,
            watermark=watermark,
            images=images,
            options=options,
        )

        def attempt(deadline: Deadline) -> tuple[dict[str, Any], str]:
            path = "/images/generations"
            response = self._transport.post(
                path, body, context=call.context, deadline=deadline, headers=call.headers
            )
            return _read(response, call.context, deadline)

        (answer, request_id), requests = call.run.run(attempt, call.deadline)
        return body, answer, request_id, requests

    def _fetched_here(
        self, error: AIGCError, request: ImageRequest, call: _Call
    ) -> list[references.Reference] | None:
        """
        The references as bytes, after Ark could not fetch them: a refusal costs nothing, so it is
        sent once more.
        """
        try:
            return self._references(request, call, inline=True)
        except AIGCError as unreachable:
            text = f"{error}; it cannot be fetched here either ({unreachable}): pass the bytes, a file or a data: URI instead"
            error.args = (text,)
            raise error from error.__cause__

    @staticmethod
    def _group_options(request: ImageRequest) -> dict[str, Any]:
        count = (
            0
            if request.reference_images is None
            else len(references.listed(request.reference_images))
        )
        if request.n + count > MAX_GROUP:
            raise InvalidInputError(
                f"n={request.n} with {count} reference images: together they may be {MAX_GROUP} at most in one group"
            )
        return {
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": request.n},
        }

    def _references(
        self, request: ImageRequest, call: _Call, *, inline: bool
    ) -> list[references.Reference] | None:
        if request.reference_images is None:
            return None
        family, deadline = call.family or _UNKNOWN_FAMILY, call.deadline
        limits = references.Limits(
            count=family.references,
            types=family.reference_types,
            bytes=family.reference_bytes,
            min_side=15,
            max_ratio=family.max_ratio,
            public_addresses=not inline,
            shrink=call.policy == "nearest",
            what=f"Seedream {family.name}".rstrip(),
        )

        def fetch(url: str) -> bytes:
            return self._downloader.fetch(url, timeout=min(deadline.left(), 60)).data

        return references.resolve(request.reference_images, limits, fetch, is_public=is_public_url)


@dataclass(frozen=True)
class _Call:
    """One call, as it is sent."""

    model: str
    family: sizes.Family | None
    policy: str
    size: str
    warnings: list[dict[str, str]]
    options: dict[str, Any]
    headers: settings.Headers | None
    inline: bool
    context: RequestContext
    run: Policy
    deadline: Deadline


_INLINED = {
    "feature": "reference_images",
    "details": "Ark could not fetch a reference by itself: it was fetched here and sent inline",
}

_NOT_FETCHED = re.compile(
    r"download|fetch|InvalidImageURL|(access|load|retrieve|open|read|request)\w*.{0,40}\b(image|url)",
    re.IGNORECASE,
)
"""
Ark's words for a reference that its own fetcher could not get.
https://github.com/pollinations/pollinations/issues/5143
"""


def _could_not_fetch(error: AIGCError, sent: list[references.Reference] | None) -> bool:
    """Whether the same request may succeed, free of charge, with the bytes instead of the URLs."""
    refused = (
        isinstance(error, BadRequestError) and error.billed == "no" and error.status_code == 400
    )
    linked = any(reference.address for reference in sent or ())
    return refused and linked and bool(_NOT_FETCHED.search(f"{getattr(error, 'code', '')} {error}"))


def to_body(
    prompt: str,
    *,
    model: str,
    size: str,
    watermark: bool,
    images: list[str] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """
    The JSON that Ark takes.

    ``images``: addresses or ``data:`` URIs; one goes as a bare string. ``options`` win over
    everything but these. ``extra_body`` in them is merged in last.
    """
    fields = {
        name: value for name, value in options.items() if name != "extra_body" and value is not None
    }
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "size": size,
        "response_format": "url",
        "watermark": watermark,
        **fields,
    }
    if images is not None:
        body["image"] = images[0] if len(images) == 1 else images
    extra = options.get("extra_body")
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra_body must be a dict, got {type(extra).__name__}")
    return {**body, **(extra or {})}


def _read(
    response: Response, context: RequestContext, deadline: Deadline
) -> tuple[dict[str, Any], str]:
    """
    (answer, request id): a JSON object, or the events of a stream gathered into the same shape.
    """
    kind = response.headers.get("content-type", "")
    if response.status == 200 and "event-stream" in kind:
        answer = _gathered(response, context, deadline)
    else:
        answer = _answer(_body(context, response, deadline), context, response.headers)
    return answer, request_id_of(response.headers)


def _body(context: RequestContext, response: Response, deadline: Deadline) -> bytes:
    try:
        return body_of(context, response, deadline)
    except AIGCError as error:
        came = getattr(error.__cause__, "came", b"")
        error.result = unusual.salvaged(came) if came else None
        raise


def _answer(raw: bytes, context: RequestContext, headers: Mapping[str, str]) -> dict[str, Any]:
    """
    The response as one object with ``data``, whatever a relay has made of it.

    Raises:
        ProviderError: an error in a 200, or nothing that can be read; ``result`` has what was found
            in it.
    """
    if sniff.mime_type(raw):  # the image itself
        return {"data": [{"b64_json": base64.b64encode(raw).decode("ascii")}]}
    documents = json_images.documents(raw)
    try:
        if documents is None:
            return json_of(context, raw, headers)
        if len(documents) != 1 or raw.lstrip()[:1] == b"[":
            documents = (
                [_of_several(documents, context)]
                if all(isinstance(one, dict) for one in documents)
                else documents
            )
        return checked_object(context, documents[0] if documents else [], headers, paid_in="data")
    except ProviderError as error:
        error.result = unusual.salvaged(raw) if documents is None else unusual.look(documents).any()
        if isinstance(error, ContentFilterError) and error.result is None:
            error.billed = "no"  # "failed images are not billed", the reference page says
        raise


def _of_several(documents: list[dict[str, Any]], context: RequestContext) -> dict[str, Any]:
    """Events of a stream, objects with ``data`` each, or entries without anything around them."""
    if any(str(one.get("type", "")).startswith("image_generation") for one in documents):
        answer, cut, _ = _of_events(documents, context, {})
        return answer if answer["data"] or cut is None else {"error": documents[-1].get("error")}
    if len(documents) == 1 and ("data" in documents[0] or "error" in documents[0]):
        return documents[0]
    lists = [one["data"] for one in documents if isinstance(one.get("data"), list)]
    return {"data": [entry for entries in lists for entry in entries] if lists else documents}


def _of_events(
    events: Iterable[dict[str, Any]], context: RequestContext, headers: Mapping[str, str]
) -> tuple[dict[str, Any], AIGCError | None, bool]:
    """(what was received, the error that ended it, whether the stream said that it is complete)."""
    answer: dict[str, Any] = {"data": []}
    cut: AIGCError | None = None
    finished = False
    for event in events:
        kind = str(event.get("type", ""))
        if kind.endswith(("partial_succeeded", "partial_failed")):
            answer["data"].append(event)
        elif kind.endswith("completed"):
            finished = True
            answer["usage"] = event.get("usage")
            if event.get("b64_json") or event.get(
                "url"
            ):  # OpenAI's events have the image in the last one
                answer["data"].append(event)
        elif event.get("error"):
            cut = error_from_body(context, event, status=200, headers=headers)
        for name in ("model", "created"):
            if event.get(name):
                answer.setdefault(name, event[name])
        if (
            not kind
            and not event.get("error")
            and (found := event.get("data") or event.get("choices"))
        ):
            answer["data"] += found if isinstance(found, list) else [found]
    answer["data"] = _in_their_places(answer["data"])
    return answer, cut, finished


def _in_their_places(entries: list[Any]) -> list[Any]:
    """In the order of their ``image_index``, where every one has its own."""
    places = [entry.get("image_index") if isinstance(entry, dict) else None for entry in entries]
    if all(isinstance(place, int) for place in places) and len(set(places)) == len(places):
        return sorted(entries, key=lambda entry: entry["image_index"])
    return entries


def _gathered(response: Response, context: RequestContext, deadline: Deadline) -> dict[str, Any]:
    """
    The events of ``stream=true`` as one response: what was received before a cut is kept, and the cut is
    its last error.

    Source: https://www.volcengine.com/docs/82379/1824137, read 2026-11-22.
    """
    events: list[dict[str, Any]] = []
    finished = False
    broken: WireError | None = None
    try:
        with deadline_of(deadline):
            for raw in map(context.masked, sse.events(response.chunks())):
                if raw.strip() == b"[DONE]":
                    finished = True
                    break
                events.append(_event(raw))
    except WireError as error:
        broken = error
    finally:
        response.drain()
    answer, cut, complete = _of_events(events, context, response.headers)
    if cut is None and broken is not None:
        cut = failure_of(context, broken, deadline, response.headers)
    if cut is None and not (finished or complete):
        when = "it was complete" if answer["data"] else "anything came"
        cut = failure_of(
            context,
            WireError(f"the stream ended before {when}", sent=True),
            deadline,
            response.headers,
        )
    if cut is not None and not answer["data"]:
        cut.result = unusual.look(events).any()
        raise cut
    answer["cut"] = cut
    return answer


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


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
        answer["cut"].index = len(items)
        group.errors.append(answer["cut"])
    return group


def _nothing(
    text: str, body: Any, context: RequestContext, request_id: str, found: ImageResult | None
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


def _with_hint(error: AIGCError) -> AIGCError:
    code = getattr(error, "code", "")
    hint: Iterable[str] = (
        text for stem, text in _HINTS.items() if code and code.split(".")[0] == stem
    )
    for text in hint:
        error.args = (f"{error}; {text}",)
    return error
