"""
Volcengine Seedream: one POST to ``{base}/images/generations``, for text and for references alike.

Source: https://www.volcengine.com/docs/82379/1541523 (China),
https://docs.byteplus.com/en/docs/ModelArk/1541523.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import (
    AIGCError,
    BadRequestError,
    InvalidInputError,
)
from aigc_kit.image import references, sizes
from aigc_kit.image.base import ImageGroup, VendorProvider
from aigc_kit.image.request import ImageRequest
from aigc_kit.image.volcengine.received import read
from aigc_kit.image.volcengine.request import FIELDS, to_body
from aigc_kit.image.volcengine.response import from_response
from aigc_kit.settings import Secret
from aigc_kit.transport import codes
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, is_public_url
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.retry import Policy

BASE_URL = "https://ark.cn-beijing.volces.com/api/v3"
INTERNATIONAL = "https://ark.ap-southeast.bytepluses.com/api/v3"
"""BytePlus ModelArk. Source: byteplussdkarkruntime's constants, read 2026-11-22."""

MODEL = "doubao-seedream-4-5-251128"
INTERNATIONAL_MODEL = "seedream-4-5-251128"

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

    fields = FIELDS

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
        self.watermark = settings.switch(watermark, "watermark")
        self.size_policy = sizes.check_policy(size_policy)
        self.inline_references = settings.switch(inline_references, "inline_references")
        self._policy = Policy(
            settings.seconds(timeout, "VOLCENGINE_TIMEOUT_SECS", default=300.0),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._secrets = (key,)
        self._transport = HttpTransport(self.base_url, key)
        self._downloader = Downloader()

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
            return read(response, call.context, deadline)

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


def _with_hint(error: AIGCError) -> AIGCError:
    code = getattr(error, "code", "")
    hint: Iterable[str] = (
        text for stem, text in _HINTS.items() if code and code.split(".")[0] == stem
    )
    for text in hint:
        error.args = (f"{error}; {text}",)
    return error
