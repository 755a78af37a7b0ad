"""
``bfl``: FLUX of Black Forest Labs. Every image is a task; its id is the receipt, and the price comes
with it.

Source: https://docs.bfl.ai, celeste ``bfl/client.py``, read 2026-11-25.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import ConfigurationError
from aigc_kit.image import references, sizes, tasks
from aigc_kit.image.base import ImageGroup, NoGroupError, VendorProvider
from aigc_kit.image.bfl.models import DEFAULT, Model, model_of
from aigc_kit.image.bfl.request import Sized, sized, to_body
from aigc_kit.image.bfl.response import GONE, from_response, status_of, usage_of
from aigc_kit.image.request import ImageRequest
from aigc_kit.image.tasks import id_in
from aigc_kit.settings import Secret
from aigc_kit.transport import codes
from aigc_kit.transport.answers import answer_of, json_of
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, is_public_url
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.retry import Policy
from aigc_kit.vendors import ACCOUNTS

_ACCOUNT = ACCOUNTS["bfl"]
_OPTIONS = [
    "api_key",
    "base_url",
    "model",
    "timeout",
    "size_policy",
    "max_retries",
    "default_headers",
]
_FIELDS = frozenset(
    {
        "safety_tolerance",
        "output_format",
        "prompt_upsampling",
        "raw",
        "steps",
        "guidance",
        "size_policy",
        "on_progress",
    }
)
_REFERENCE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_REFERENCE_BYTES = 20_000_000
_LIFETIME = 86_400.0
"""Seconds that a task is asked for again; how long the vendor keeps one is not documented."""

_HOST = re.compile(r"(.+\.)?bfl\.(ai|ml)", re.IGNORECASE)


class BFLProvider(Rebuilt, VendorProvider):
    """Images of Black Forest Labs."""

    fields = _FIELDS

    @constructor
    def __init__(
        self,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        model: str | None = None,
        timeout: float | None = None,
        size_policy: str = "nearest",
        max_retries: int = 2,
        default_headers: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: unset: ``BFL_API_KEY``.
            base_url: ``https://api.bfl.ai/v1``, or a region's (``https://api.eu.bfl.ai/v1``); unset:
                ``BFL_BASE_URL``.
            model: unset: ``BFL_IMAGE_MODEL``, then ``flux-3-image``.
            timeout: seconds for one call, the whole task included; unset: ``BFL_TIMEOUT_SECS``,
                then 300.
            size_policy: ``"nearest"`` makes a size legal, ``"exact"`` refuses one that is not.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=_OPTIONS, what="bfl")
        self.base_url = settings.base_url(
            base_url, *_ACCOUNT.base_url_variables, default=_ACCOUNT.base_url
        )
        self.model = settings.option(model, "BFL_IMAGE_MODEL", default=DEFAULT)
        self.size_policy = sizes.check_policy(size_policy)
        self._policy = Policy(
            settings.seconds(timeout, "BFL_TIMEOUT_SECS", default=300.0),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._headers = settings.headers(default_headers, "default_headers") or {}
        self._key = settings.credential(
            api_key, *_ACCOUNT.variables, what="bfl's api_key", rotating=True
        )
        self._transport = HttpTransport(self.base_url)
        self._downloader = Downloader()

    @property
    def name(self) -> str:
        return "bfl"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.base_url,)

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        if request.n > 1:
            raise NoGroupError("bfl makes one image in one request")
        call = self._call(request)
        found = self._references(request, call)
        body = to_body(
            request.prompt,
            model=call.model,
            size=call.size,
            references=found,
            options=call.options,
            extra=request.options.get("extra_body"),
        )
        facts: dict[str, Any] = {
            "model": call.name,
            "requested_size": request.size,
            "sent_size": call.size.told,
            "warnings": [*call.size.warnings, *references.warnings_of(found or ())],
        }

        def attempt(deadline: Deadline) -> dict[str, Any]:
            response = self._transport.post(
                f"/{quote(call.name, safe='.-_')}",
                body,
                context=call.context,
                deadline=deadline,
                headers=call.headers,
            )
            answer: dict[str, Any] = answer_of(call.context, response, deadline, json_of).json
            return answer

        answer, tries = call.run.run(attempt, call.deadline)
        facts["attempts"] = [
            {"provider": self.name, "model": call.name, "requests": tries, "outcome": "ok"}
        ]
        facts["usage"] = usage_of(answer)
        task_id = id_in(answer.get("id") or answer.get("task_id"))
        if not task_id or status_of(answer)[1]:  # a relay may have waited for the task
            return from_response(answer, call.context, facts)
        receipt = {
            "task_id": task_id,
            "polling_url": self._polling_url(answer.get("polling_url"), task_id),
            "model": call.name,
            "facts": facts,
            "expires": time.time() + _LIFETIME,
        }
        if request.on_receipt is not None:
            request.on_receipt(receipt)
        return self._collected(receipt, call.context, call.deadline, call.on_progress)

    def collect(self, receipt: Mapping[str, Any], *, timeout: float) -> ImageGroup:
        """
        The image of a task that was paid for before. Pays nothing.

        Raises:
            OutcomeUnknownError: it is still running, or nothing is known of it any more.
            ProviderError: it failed.
        """
        context = self._context(str(receipt.get("model") or self.model))
        return self._collected(receipt, context, Deadline.after(timeout), None)

    def _polling_url(self, given: Any, task_id: str) -> str:
        """
        Where the task is asked for: the region that has it. The key goes to no other host than
        those of Black Forest Labs and the configured one.
        """
        own = f"{self.base_url}/get_result?id={quote(task_id, safe='')}"
        if not isinstance(given, str):
            return own
        there, here = urlsplit(given), urlsplit(self.base_url)
        is_ours = there.netloc == here.netloc and there.scheme == here.scheme
        is_theirs = there.scheme == "https" and _HOST.fullmatch(there.hostname or "")
        return given if is_ours or is_theirs else own

    def _collected(
        self, receipt: Mapping[str, Any], context: RequestContext, deadline: Deadline, watch: Any
    ) -> ImageGroup:
        task_id, url = str(receipt["task_id"]), str(receipt["polling_url"])
        free = RequestContext(
            context.provider, context.model, judge=context.judge, secrets=context.secrets
        )

        def look(until: Deadline) -> dict[str, Any]:
            response = self._transport.get(
                url, context=free, deadline=until.sooner(60), headers=self._signed(self._headers)
            )
            found: dict[str, Any] = answer_of(free, response, until, json_of).json
            return found

        body = tasks.finished(task_id, look, status_of, context, deadline, watch)
        if status_of(body)[0].lower() == GONE:
            raise tasks.unknown(task_id, context)
        facts = receipt.get("facts")
        return from_response(body, context, facts if isinstance(facts, Mapping) else {})

    def _signed(self, headers: settings.Headers) -> settings.Headers:
        return {**headers, "x-key": self._key.current()}

    def _call(self, request: ImageRequest) -> _Call:
        options = dict(request.options)
        name = request.model or self.model
        model = model_of(name)
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = self._signed(
            {**self._headers, **(settings.headers(options.pop("extra_headers", None)) or {})}
        )
        options.pop("extra_body", None)
        watch = options.pop("on_progress", None)
        if watch is not None and not callable(watch):
            raise ConfigurationError(
                f"on_progress must be a function that takes a Progress, got {settings.spelled(watch)}"
            )
        run = self._policy.for_call(request)
        return _Call(
            name,
            model,
            policy,
            sized(request.size, model, policy=policy),
            options,
            headers,
            watch,
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
            public_addresses=True,
            shrink=call.policy == "nearest",
            what=call.name,
        )
        fetch = partial(self._fetch, deadline=call.deadline)
        return references.resolve(request.reference_images, limits, fetch, is_public=is_public_url)

    def _fetch(self, url: str, deadline: Deadline) -> bytes:
        return self._downloader.fetch(url, timeout=min(deadline.left(), 60)).data


@dataclass(frozen=True)
class _Call:
    """One call, as it is sent."""

    name: str
    model: Model
    policy: str
    size: Sized
    options: dict[str, Any]
    headers: settings.Headers
    on_progress: Any
    context: RequestContext
    run: Policy
    deadline: Deadline
