"""
OpenAI's image models, and those of the services that speak its API.

Source: https://developers.openai.com/api/docs/api-reference/images and openai 3.57, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from aigc_kit import errors, settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError
from aigc_kit.image import references, sizes
from aigc_kit.image.base import ImageGroup, NoGroupError, VendorProvider
from aigc_kit.image.grids import matches
from aigc_kit.image.openai.models import CURRENT, Model, model_of
from aigc_kit.image.openai.request import Inputs, Sized, checked_options, sized, to_body
from aigc_kit.image.openai.response import Answer, from_response, read
from aigc_kit.image.openai.vendors import VENDORS, Vendor, facts_of
from aigc_kit.image.request import ImageRequest
from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, is_public_url
from aigc_kit.transport.failures import RequestContext, Verdict
from aigc_kit.transport.multipart import Form
from aigc_kit.transport.openai_sdk import OpenAITransport
from aigc_kit.transport.retry import Policy
from aigc_kit.vendors import is_openai_host, prefixes_of

_OPTIONS = [
    "api_key",
    "base_url",
    "region",
    "model",
    "timeout",
    "family",
    "size_policy",
    "max_retries",
    "api_version",
    "profile",
    "default_headers",
]
MASK_BYTES = 4_000_000
"""Of a mask. Source: openai 3.57 types/image_edit_params.py, read 2026-11-25."""


class OpenAIImageProvider(Rebuilt, VendorProvider):
    """OpenAI's image models; on Azure by ``base_url``."""

    row: ClassVar[Vendor] = VENDORS["openai"]

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
        size_policy: str = "nearest",
        max_retries: int = 2,
        api_version: str | None = None,
        profile: Mapping[str, Any] | None = None,
        default_headers: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: unset: the vendor's variables. ``openai_compat`` works without one.
            base_url: unset: the vendor's variable, then its own URL. For Azure
                ``https://<resource>.openai.azure.com/openai/v1`` with the deployment's name as
                ``model``, or ``.../openai/deployments/<deployment>`` with ``api_version``.
            region: ``"intl"`` is the vendor's API outside of China; ``base_url`` wins over it.
            model: unset: ``<VENDOR>_IMAGE_MODEL``, then the vendor's default.
            timeout: seconds for one call, tries included; unset: ``<VENDOR>_TIMEOUT_SECS``, then
                600. Large images of high quality take minutes.
            family: what the name of a deployment cannot tell: one of
                ``aigc_kit.image.openai.models.MODELS``.
            size_policy: ``"nearest"`` makes a size legal, ``"exact"`` refuses one that is not.
            api_version: of an Azure deployment's own URL, such as ``"2025-04-01-preview"``.
            profile: what is different at an unknown back end: fields of
                ``aigc_kit.image.openai.vendors.Vendor``.
            default_headers: sent with every request; a call's ``extra_headers`` win over them.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        row = self.row
        settings.reject_unknown(unknown, known=_OPTIONS, what=row.name)
        prefixes = prefixes_of(row)
        home = settings.in_region(region, row.base_url, row.international, what=row.name)
        variables = () if region else row.base_url_variables
        if not home and not settings.option(base_url, *variables):
            raise ConfigurationError(
                f"{row.name} needs base_url, the URL of the API, e.g. 'https://relay.example.com/v1'"
            )
        url = settings.base_url(base_url, *variables, default=home)
        self.base_url = url.removesuffix(row.path).removesuffix(row.edits_path)
        self.vendor = facts_of(row, self.base_url, profile)
        self.model = settings.option(
            model, *(f"{prefix}_IMAGE_MODEL" for prefix in prefixes), default=row.model
        )
        if not self.model and self.vendor.sends_model:
            raise ConfigurationError(f"{row.name} needs model, the id of an image model")
        self.family = family
        model_of(self.model, family)
        self.size_policy = sizes.check_policy(size_policy)
        self._policy = Policy(
            settings.seconds(
                timeout, *(f"{prefix}_TIMEOUT_SECS" for prefix in prefixes), default=600.0
            ),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._headers = settings.headers(default_headers, "default_headers") or {}
        self._query = self._checked_version(api_version)
        self._secrets, key = self._keys(api_key)
        self._transport = OpenAITransport(
            self.base_url,
            key,
            is_openai=row.name == "openai" and is_openai_host(self.base_url),
            paid=True,
        )
        self._downloader = Downloader()

    def _checked_version(self, version: str | None) -> str:
        settings.text(version, "api_version")
        if self.vendor.api_version and not version:
            raise ConfigurationError(
                "the URL of an Azure deployment needs api_version, e.g. '2025-04-01-preview'; the"
                " URL https://<resource>.openai.azure.com/openai/v1 needs none"
            )
        if version and not self.vendor.api_version:
            raise ConfigurationError(
                f"api_version={version!r} is for the URL of an Azure deployment"
                " (.../openai/deployments/<name>): leave it out"
            )
        return f"?api-version={version}" if version else ""

    def _keys(self, api_key: Any) -> tuple[tuple[Secret, ...], Secret | None]:
        """(what is masked in errors, the bearer token); the key may have a header of its own."""
        row = self.row
        find = settings.credential if row.base_url else settings.optional_credential
        what = f"{row.name}'s api_key"
        key: Secret | None = find(api_key, *row.variables, what=what, rotating=True)
        if key is None:
            return (), None
        if self.vendor.key_header:
            self._headers = {**self._headers, self.vendor.key_header: key}
            return (key,), None
        return (key,), key

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def fields(self) -> frozenset[str]:  # type: ignore[override]  # a row's fields, not a constant
        return self.vendor.fields | {"size_policy", "family"}

    @property
    def takes_mask(self) -> bool:  # type: ignore[override]
        return self.vendor.mask

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.base_url,)

    def makes_groups(self, **kwargs: Any) -> bool:
        model = str(kwargs.get("model") or self.model)
        return self.vendor.group > 1 and matches(self.vendor.groups, model)

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        if request.n > self.vendor.group:
            raise NoGroupError(
                f"{self.name} makes {self.vendor.group} images in one request at most"
            )
        call = self._call(request)
        inputs = self._inputs(request, call)
        path, body = to_body(
            request.prompt,
            model=call.model,
            vendor=self.vendor,
            size=call.size.fields,
            n=request.n,
            inputs=inputs,
            options=call.options,
            extra=request.options.get("extra_body"),
        )
        answer, requests = self._sent(path + self._query, body, call, request)
        facts = {
            "model": call.model,
            "requested_size": request.size,
            "sent_size": call.size.sent,
            "warnings": [
                *call.warnings,
                *references.warnings_of(inputs.references or ()),
            ],
            "attempts": [
                {
                    "provider": self.name,
                    "model": call.model,
                    "requests": requests,
                    "outcome": "ok",
                }
            ],
        }
        return from_response(
            answer,
            vendor=self.vendor,
            context=call.context,
            facts=facts,
            base=self.base_url,
            n=request.n,
        )

    def _call(self, request: ImageRequest) -> _Call:
        options = dict(request.options)
        model = request.model or self.model
        known = model_of(model, options.pop("family", self.family))
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = {
            **self._headers,
            **(settings.headers(options.pop("extra_headers", None)) or {}),
        }
        markup = options.pop("markup", None)
        editing = request.reference_images is not None
        if markup is not None and not (known and known.markup and editing and not request.mask):
            raise InvalidInputError(
                "markup is for image_to_image with gpt-image-2.5 or later, and not together with mask"
            )
        size = sized(request.size, self.vendor, known, model, policy=policy, editing=editing)
        options, warnings = checked_options(options, self.vendor, known, editing=editing)
        if request.on_image is not None and self.vendor.streams and request.n == 1:
            options.setdefault("stream", True)
        run = self._policy.for_call(request)
        context = RequestContext(
            self.name, model, paid=True, judge=self._judge, secrets=self._secrets
        )
        if known is not None and known.ends and self.vendor.rules_of_openai:
            warnings.append(_ends(known))
        return _Call(
            model,
            known,
            policy,
            size,
            [*size.warnings, *warnings],
            options,
            headers,
            markup,
            context,
            run,
            Deadline.after(run.timeout),
        )

    def _judge(self, status: int, code: str, message: str) -> Verdict | None:
        # Azure blocks a whole resource: not a moderation of this prompt (pollinations#12067).
        if status == 403 and "resource has been temporarily blocked" in message:
            return Verdict(errors.PermissionDeniedError)
        return self.vendor.judge(status, code, message)

    def _sent(
        self, path: str, body: dict[str, Any] | Form, call: _Call, request: ImageRequest
    ) -> tuple[Answer, int]:
        """(the answer, how often the request was sent)."""

        def attempt(deadline: Deadline) -> Answer:
            response = self._transport.post(
                path, body, context=call.context, deadline=deadline, headers=call.headers
            )
            return read(response, call.context, deadline, request.on_image)

        try:
            return call.run.run(attempt, call.deadline)
        except AIGCError as error:
            raise self._with_hint(error) from error.__cause__

    def _with_hint(self, error: AIGCError) -> AIGCError:
        if not self.vendor.rules_of_openai:
            return error
        if isinstance(error, errors.NotFoundError):
            error.args = (f"{error}; image models served today: {', '.join(CURRENT)}",)
        elif isinstance(error, errors.PermissionDeniedError) and "must be verified" in str(error):
            # https://community.openai.com/t/1361163, read 2026-11-25.
            error.args = (f"{error}; after the verification it may take 15 minutes",)
        return error

    def _inputs(self, request: ImageRequest, call: _Call) -> Inputs:
        if request.reference_images is None:
            return Inputs()
        vendor = self.vendor
        limits = references.Limits(
            count=vendor.references,
            types=vendor.reference_types,
            bytes=vendor.reference_bytes,
            public_addresses=vendor.links,
            shrink=call.policy == "nearest",
            what=call.model or self.name,
        )

        def fetch(url: str) -> bytes:
            return self._downloader.fetch(url, timeout=min(call.deadline.left(), 60)).data

        found = references.resolve(request.reference_images, limits, fetch, is_public=is_public_url)
        overlay = replace(limits, bytes=MASK_BYTES, shrink=False)
        mask, markup = (
            None
            if given is None
            else references.overlay(given, overlay, fetch, over=found[0], what=what)
            for given, what in ((request.mask, "mask"), (call.markup, "markup"))
        )
        return Inputs(found, mask, markup)


@dataclass(frozen=True)
class _Call:
    """One call, as it is sent."""

    model: str
    known: Model | None
    policy: str
    size: Sized
    warnings: list[dict[str, str]]
    options: dict[str, Any]
    headers: settings.Headers
    markup: Any
    context: RequestContext
    run: Policy
    deadline: Deadline


def _ends(known: Model) -> dict[str, str]:
    return {
        "feature": "model",
        "details": f"{known.name} is shut down on {known.ends}; its successor is {CURRENT[0]}",
    }


class CompatImageProvider(OpenAIImageProvider):
    """Any service that speaks ``/images/generations``, by ``base_url``."""

    row = VENDORS["openai_compat"]


class GLMImageProvider(OpenAIImageProvider):
    """Zhipu's GLM-Image and CogView: the key and the URL of its chat."""

    row = VENDORS["glm"]


class SiliconFlowImageProvider(OpenAIImageProvider):
    """Images of SiliconFlow's models."""

    row = VENDORS["siliconflow"]


class OpenRouterImageProvider(OpenAIImageProvider):
    """Images of the chat models that OpenRouter serves."""

    row = VENDORS["openrouter"]


class XAIImageProvider(OpenAIImageProvider):
    """xAI's Grok Imagine."""

    row = VENDORS["xai"]
