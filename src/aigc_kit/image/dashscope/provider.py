"""
``dashscope``: Qwen-Image, Wan and Z-Image of Alibaba's Model Studio.

Source: https://www.alibabacloud.com/help/en/model-studio/, dashscope 2.0.2, read 2026-11-25.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    ProviderError,
)
from aigc_kit.image import references, sizes, tasks
from aigc_kit.image.base import ImageGroup, NoGroupError, VendorProvider
from aigc_kit.image.dashscope.models import CURRENT, DEFAULT, Model, model_of
from aigc_kit.image.dashscope.request import ASYNC, Sized, sized, to_body
from aigc_kit.image.dashscope.response import (
    LIFETIME,
    billed_rightly,
    from_response,
    refused,
    task_in,
)
from aigc_kit.image.dashscope.uploads import RESOLVE, uploaded
from aigc_kit.image.request import ImageRequest
from aigc_kit.settings import Secret
from aigc_kit.transport import codes
from aigc_kit.transport.answers import answer_of, json_of
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, is_public_url
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.retry import Policy
from aigc_kit.vendors import ACCOUNTS, prefixes_of

_ACCOUNT = ACCOUNTS["dashscope"]
_OPTIONS = [
    "api_key",
    "base_url",
    "region",
    "model",
    "timeout",
    "family",
    "size_policy",
    "upload_references",
    "max_retries",
    "default_headers",
]
_FIELDS = frozenset(
    {
        "negative_prompt",
        "prompt_extend",
        "prompt_extend_mode",
        "watermark",
        "thinking_mode",
        "enable_sequential",
        "bbox_list",
        "color_palette",
        "size_policy",
        "family",
        "upload_references",
        "on_progress",
    }
)
_REFERENCE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/bmp"})
_REFERENCE_BYTES = 10_000_000
_READ = partial(json_of, paid_in="output")


class DashScopeProvider(Rebuilt, VendorProvider):
    """Images of DashScope, synchronous or as a task, as the model has it."""

    fields = _FIELDS

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
        upload_references: bool = False,
        max_retries: int = 2,
        default_headers: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: unset: ``DASHSCOPE_API_KEY``. Key, model and URL are of one region.
            base_url: ``https://dashscope.aliyuncs.com/api/v1``, a workspace's own host, or the URL
                of the chat (``.../compatible-mode/v1``); unset: ``DASHSCOPE_BASE_URL``.
            region: ``"intl"`` is Singapore; ``base_url`` wins over it.
            model: unset: ``DASHSCOPE_IMAGE_MODEL``, then ``qwen-image-3.0``.
            timeout: seconds for one call, the whole task included; unset:
                ``DASHSCOPE_TIMEOUT_SECS``, then 600.
            family: a model whose rules hold, where the name does not say it.
            upload_references: put references into the vendor's temporary storage (48 hours) instead
                of the request, where large ones make it slow.
            size_policy: ``"nearest"`` makes a size legal, ``"exact"`` refuses one that is not.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=_OPTIONS, what="dashscope")
        home = settings.in_region(
            region, _ACCOUNT.base_url, _ACCOUNT.international, what="dashscope"
        )
        variables = () if region else _ACCOUNT.base_url_variables
        self.base_url = native(settings.base_url(base_url, *variables, default=home))
        prefixes = prefixes_of(_ACCOUNT)
        self.model = settings.option(
            model, *(f"{prefix}_IMAGE_MODEL" for prefix in prefixes), default=DEFAULT
        )
        self.family = family
        model_of(self.model, family)
        self.size_policy = sizes.check_policy(size_policy)
        self.upload_references = settings.switch(upload_references, "upload_references")
        self._policy = Policy(
            settings.seconds(
                timeout, *(f"{prefix}_TIMEOUT_SECS" for prefix in prefixes), default=600.0
            ),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._headers = settings.headers(default_headers, "default_headers") or {}
        key = settings.credential(
            api_key, *_ACCOUNT.variables, what="dashscope's api_key", rotating=True
        )
        self._key = key
        self._transport = HttpTransport(self.base_url, key)
        self._downloader = Downloader()

    @property
    def name(self) -> str:
        return "dashscope"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.base_url,)

    def makes_groups(self, **kwargs: Any) -> bool:
        return model_of(str(kwargs.get("model") or self.model), self.family).group > 1

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        call = self._call(request)
        if call.options.get("enable_sequential"):
            if request.n > call.model.set > 0:
                raise InvalidInputError(
                    f"n={request.n}: an image set of {call.name} has at most {call.model.set} images"
                )
        elif request.n > call.model.group:
            raise NoGroupError(f"{call.name} makes {call.model.group} images in one request")
        found = self._references(request, call)
        uploads = bool(found) and call.uploads
        if uploads:
            found = [self._uploaded(one, call) for one in found or ()]
        path, body = to_body(
            request.prompt,
            name=call.name,
            model=call.model,
            size=call.size,
            n=request.n,
            references=found,
            options=call.options,
            extra=request.options.get("extra_body"),
        )
        facts = {
            "asked": request.n,
            "model": call.name,
            "requested_size": request.size,
            "sent_size": call.size.told,
            "warnings": [*call.warnings, *references.warnings_of(found or ())],
        }
        is_task = call.model.protocol != "sync"
        headers = {
            **call.headers,
            **(ASYNC if is_task else {}),
            **(RESOLVE if uploads else {}),
        }

        def attempt(deadline: Deadline) -> dict[str, Any]:
            response = self._transport.post(
                path, body, context=call.context, deadline=deadline, headers=headers
            )
            try:
                answer: dict[str, Any] = answer_of(call.context, response, deadline, _READ).json
            except ProviderError as error:
                raise billed_rightly(error) from error.__cause__
            return answer

        try:
            answer, tries = call.run.run(attempt, call.deadline)
        except AIGCError as error:
            raise _with_models(error) from error.__cause__
        facts["attempts"] = [
            {"provider": self.name, "model": call.name, "requests": tries, "outcome": "ok"}
        ]
        task_id = task_in(answer)
        if not task_id:  # of a model that is a task, a relay may have waited for it
            return from_response(answer, call.context, facts)
        expires = time.time() + LIFETIME.total_seconds()
        receipt = {"task_id": task_id, "model": call.name, "facts": facts, "expires": expires}
        if request.on_receipt is not None:
            request.on_receipt(receipt)
        return self._collected(receipt, call.context, call.deadline, call.on_progress)

    def collect(self, receipt: Mapping[str, Any], *, timeout: float) -> ImageGroup:
        """
        The images of a task that was paid for before. Pays nothing.

        Raises:
            OutcomeUnknownError: it is still running, or nothing is known of it any more.
            ProviderError: it failed, and was not billed.
        """
        context = self._context(str(receipt.get("model") or self.model))
        return self._collected(receipt, context, Deadline.after(timeout), None)

    def _collected(
        self, receipt: Mapping[str, Any], context: RequestContext, deadline: Deadline, watch: Any
    ) -> ImageGroup:
        task_id = str(receipt["task_id"])

        def look(until: Deadline) -> dict[str, Any]:
            response = self._transport.get(
                f"/tasks/{task_id}",
                context=_free(context),
                deadline=until.sooner(60),
                headers=self._headers,
            )
            found: dict[str, Any] = answer_of(_free(context), response, until, _READ).json
            return found

        body = tasks.finished(task_id, look, _status, context, deadline, watch)
        output = body.get("output")
        output = output if isinstance(output, Mapping) else {}
        status = output.get("task_status")
        if status in ("FAILED", "CANCELED"):
            raise refused({"code": output.get("code") or status, **output}, context)
        if status == "UNKNOWN":
            raise tasks.unknown(task_id, context)
        facts = receipt.get("facts")
        return from_response(body, context, facts if isinstance(facts, Mapping) else {})

    def _call(self, request: ImageRequest) -> _Call:
        options = dict(request.options)
        name = request.model or self.model
        model = model_of(name, options.pop("family", self.family))
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = {
            **self._headers,
            **(settings.headers(options.pop("extra_headers", None)) or {}),
        }
        options.pop("extra_body", None)
        watch = options.pop("on_progress", None)
        uploads = bool(options.pop("upload_references", self.upload_references))
        if watch is not None and not callable(watch):
            raise ConfigurationError(
                f"on_progress must be a function that takes a Progress, got {settings.spelled(watch)}"
            )
        size = sized(
            request.size, model, policy=policy, editing=request.reference_images is not None
        )
        warnings = list(size.warnings)
        if model.ended:
            warnings.append(
                {
                    "feature": "model",
                    "details": f"{name} is offline since {model.ended}; use {CURRENT[0]!r}",
                }
            )
        run = self._policy.for_call(request)
        return _Call(
            name,
            model,
            policy,
            size,
            warnings,
            options,
            headers,
            watch,
            uploads,
            self._context(name),
            run,
            Deadline.after(run.timeout),
        )

    def _context(self, model: str) -> RequestContext:
        return RequestContext(self.name, model, paid=True, judge=codes.openai, secrets=(self._key,))

    def _references(self, request: ImageRequest, call: _Call) -> list[references.Reference] | None:
        if request.reference_images is None:
            return None
        limits = references.Limits(
            count=call.model.references,
            types=_REFERENCE_TYPES,
            bytes=_REFERENCE_BYTES,
            # Links to hosts outside of China time out there: QwenLM/Qwen-VL#431. Bytes never do.
            public_addresses=False,
            shrink=call.policy == "nearest",
            what=call.name,
        )
        fetch = partial(self._fetch, deadline=call.deadline)
        return references.resolve(request.reference_images, limits, fetch, is_public=is_public_url)

    def _uploaded(self, one: references.Reference, call: _Call) -> references.Reference:
        if one.address:
            return one
        return uploaded(
            one,
            self._transport,
            call.name,
            context=_free(call.context),
            deadline=call.deadline,
            headers=call.headers,
        )

    def _fetch(self, url: str, deadline: Deadline) -> bytes:
        return self._downloader.fetch(url, timeout=min(deadline.left(), 60)).data


_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"})


def _status(body: Mapping[str, Any]) -> tuple[str, bool]:
    output = body.get("output")
    status = str((output.get("task_status") if isinstance(output, Mapping) else None) or "")
    return status, status in _ENDED


@dataclass(frozen=True)
class _Call:
    """One call, as it is sent."""

    name: str
    model: Model
    policy: str
    size: Sized
    warnings: list[dict[str, str]]
    options: dict[str, Any]
    headers: settings.Headers
    on_progress: Any
    uploads: bool
    context: RequestContext
    run: Policy
    deadline: Deadline


def native(url: str) -> str:
    """The URL of DashScope's own API, also from that of its compatible chat."""
    url = url.rstrip("/")
    for end in ("/compatible-mode/v1", "/compatible-mode", "/api/v1"):
        url = url.removesuffix(end)
    return url + "/api/v1"


def _free(context: RequestContext) -> RequestContext:
    """The context of a request that costs nothing: its failures are not failed payments."""
    return RequestContext(
        context.provider, context.model, judge=context.judge, secrets=context.secrets
    )


def _with_models(error: AIGCError) -> AIGCError:
    if getattr(error, "status_code", None) == 404:
        error.args = (f"{error}; image models served today: {', '.join(CURRENT)}",)
    return error
