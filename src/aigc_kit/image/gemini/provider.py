"""
Gemini's image models, on Vertex AI or the Developer API, through google-genai.

Source: https://ai.google.dev/gemini-api/docs/image-generation and the model cards of Vertex AI,
read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aigc_kit import errors, settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.image import references, sizes, turns
from aigc_kit.image.base import ImageGroup, VendorProvider
from aigc_kit.image.gemini.received import Blob, read
from aigc_kit.image.gemini.request import FIELDS, checked_body
from aigc_kit.image.gemini.response import answered, from_response
from aigc_kit.image.request import ImageRequest
from aigc_kit.media.result import Turn
from aigc_kit.settings import Secret
from aigc_kit.transport import codes
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.failures import RequestContext, request_id_of
from aigc_kit.transport.genai_sdk import GenaiTransport
from aigc_kit.transport.google_auth import GenaiSettings
from aigc_kit.transport.retry import Policy

MODEL = "gemini-3-pro-image"
CURRENT_MODELS = (
    "gemini-3-pro-image",
    "gemini-3.1-flash-image",
    "gemini-3.1-flash-lite-image",
    "gemini-nano-banana-2.1",
)
"""Served in November 2026. ``gemini-3-pro-image-preview`` was shut down on 2026-06-25."""

REFERENCE_BYTES = 7_000_000
"""Of one inlined image. Source: the Vertex AI model cards."""

VERTEX_BYTES, DEVELOPER_BYTES = 500_000_000 * 3 // 4, 100_000_000 * 3 // 4
"""
Of all inlined images of one request, before base64. Source: the Vertex AI model cards; for the
Developer API
https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits/, since
January 2026.
"""

_OPTIONS = [
    "model",
    "project",
    "location",
    "credentials",
    "api_key",
    "base_url",
    "timeout",
    "vertexai",
    "size_policy",
    "max_retries",
]


class GeminiImageProvider(Rebuilt, VendorProvider):
    """Gemini's image models."""

    fields = FIELDS

    @constructor
    def __init__(
        self,
        *,
        model: str | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        vertexai: bool | None = None,
        size_policy: str = "nearest",
        max_retries: int = 2,
        **unknown: Any,
    ) -> None:
        """
        Args:
            model: unset: ``GEMINI_IMAGE_MODEL``, then ``gemini-3-pro-image``.
            project: of Vertex AI; unset: ``GOOGLE_CLOUD_PROJECT``, then the credentials' own.
            location: unset: ``GOOGLE_CLOUD_LOCATION``, then ``"global"``, where the image models
                are.
            credentials: a google.auth object or the path of a service account file; unset: the
                machine's own, first of all ``GOOGLE_APPLICATION_CREDENTIALS``.
            api_key: instead of the three above; unset: ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``.
            base_url: of a relay.
            timeout: seconds for one call, tries included (default 300).
            size_policy: ``"nearest"`` takes the nearest ratio and tier, ``"exact"`` refuses a size
                the model lacks.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=_OPTIONS, what="gemini")
        self.model = settings.option(model, "GEMINI_IMAGE_MODEL", default=MODEL)
        self.size_policy = sizes.check_policy(size_policy)
        self._policy = Policy(
            settings.seconds(timeout, "GEMINI_TIMEOUT_SECS", default=300.0),
            settings.whole_number(max_retries, name="max_retries"),
            paid=True,
        )
        self._settings = GenaiSettings.found(
            project=project,
            location=location,
            credentials=credentials,
            api_key=api_key,
            base_url=base_url,
            vertexai=vertexai,
        )
        self._transport = GenaiTransport(self._settings, reuse=False)
        self._transport.checked_model(self.model)
        self._downloader = Downloader()

    @property
    def is_developer_api(self) -> bool:
        """Whether it asks the Gemini Developer API, and not Vertex AI."""
        return not self._settings.vertexai

    @property
    def name(self) -> str:
        return "gemini"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self._settings.base_url,) if self._settings.base_url else ()

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        call = self._call(request)
        earlier = turns.earlier_than(
            request.previous, call.home, images=call.canvas.references, total=self._most_bytes
        )
        if earlier:
            try:
                return self._drawn(request, call, [], earlier)
            except errors.BadRequestError as error:
                if not turns.is_refused(error):
                    raise
                call.warnings.append(turns.REFUSED)
        given = request.reference_images
        images = [] if given is None else self._references(given, call)
        return self._drawn(request, call, images, ())

    def _call(self, request: ImageRequest) -> _Call:
        options = dict(request.options)
        model = request.model or self.model
        canvas = sizes.canvas_of(model)
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = settings.headers(options.pop("extra_headers", None))
        ratio, tier, warnings = sizes.fit_gemini(sizes.parse(request.size), canvas, policy=policy)
        run = self._policy.for_call(request)
        context = RequestContext(
            "gemini", model, paid=True, judge=codes.google, secrets=self._transport.secrets
        )
        home = f"{'vertex' if self._settings.vertexai else 'developer'}/{model}"
        deadline = Deadline.after(run.timeout)
        return _Call(
            model,
            home,
            canvas,
            policy,
            ratio,
            tier,
            warnings,
            options,
            headers,
            context,
            run,
            deadline,
        )

    def _drawn(
        self,
        request: ImageRequest,
        call: _Call,
        images: list[references.Reference],
        earlier: tuple[Turn, ...],
    ) -> ImageGroup:
        """One request, after a conversation or from references."""
        body = checked_body(
            request.prompt,
            ratio=call.ratio,
            tier=call.tier,
            images=images,
            options=call.options,
            earlier=earlier,
        )

        def attempt(deadline: Deadline) -> tuple[dict[str, Any], list[Blob], str]:
            response = self._transport.generate(
                call.model, body, context=call.context, deadline=deadline, headers=call.headers
            )
            return *read(response, call.context, deadline), request_id_of(response.headers)

        try:
            (answer, found, request_id), requests = call.run.run(attempt, call.deadline)
        except errors.NotFoundError as error:
            error.args = (f"{error}; image models served today: {', '.join(CURRENT_MODELS)}",)
            raise
        config = body.get("generationConfig", {}).get("imageConfig", {})
        sent_size = "/".join(
            str(config[name]) for name in ("aspectRatio", "imageSize") if config.get(name)
        )
        facts = {
            "model": call.model,
            "requested_size": request.size,
            "sent_size": sent_size,
            "warnings": [*call.warnings, *references.warnings_of(images)],
            "attempts": [
                {"provider": "gemini", "model": call.model, "requests": requests, "outcome": "ok"}
            ],
        }
        group = from_response(
            answer, found, context=call.context, request_id=request_id, facts=facts
        )
        last = turns.turn_of(call.home, request.prompt, images, answered(answer, found))
        if last is not None:
            for image in group.images:
                image.continues((*earlier, last))
        return group

    @property
    def _most_bytes(self) -> int:
        return VERTEX_BYTES if self._settings.vertexai else DEVELOPER_BYTES

    def _references(self, given: Any, call: _Call) -> list[references.Reference]:
        canvas = call.canvas
        limits = references.Limits(
            count=canvas.references,
            types=canvas.reference_types,
            bytes=REFERENCE_BYTES,
            pixels=references.MAX_DECODED,
            total=self._most_bytes,
            shrink=call.policy == "nearest",
            what=call.model,
        )

        def fetch(url: str) -> bytes:
            return self._downloader.fetch(url, timeout=min(call.deadline.left(), 60)).data

        return references.resolve(given, limits, fetch)


@dataclass(frozen=True)
class _Call:
    """One call, as it is sent. ``home``: where signatures of its answer hold."""

    model: str
    home: str
    canvas: sizes.Canvas
    policy: str
    ratio: str
    tier: str
    warnings: list[dict[str, str]]
    options: dict[str, Any]
    headers: settings.Headers | None
    context: RequestContext
    run: Policy
    deadline: Deadline
