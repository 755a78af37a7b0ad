"""
Gemini's image models, on Vertex AI or the Developer API, through google-genai.

Source: https://ai.google.dev/gemini-api/docs/image-generation and the model cards of Vertex AI,
read 2026-11-22.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit import errors, settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import (
    Billed,
    ConfigurationError,
    ContentFilterError,
    InvalidInputError,
    InvalidReplyError,
    NoImageError,
    ProviderError,
)
from aigc_kit.image import references, sizes, turns, unusual
from aigc_kit.image.base import ImageGroup, ImageResult, VendorProvider
from aigc_kit.image.request import ImageRequest
from aigc_kit.media import sniff
from aigc_kit.media.result import Part, Turn
from aigc_kit.settings import Secret
from aigc_kit.transport import codes, json_images
from aigc_kit.transport.answers import answer_of, checked_object, json_of
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, decode_base64, merged
from aigc_kit.transport.failures import RequestContext, failure_of, request_id_of
from aigc_kit.transport.genai_sdk import GenaiTransport
from aigc_kit.transport.google_auth import GenaiSettings
from aigc_kit.transport.http import Response
from aigc_kit.transport.retry import Policy

Blob = bytes | json_images.Unread

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

_TOP_LEVEL = frozenset(
    {"safety_settings", "system_instruction", "tools", "tool_config", "labels", "cached_content"}
)
_IMAGE_CONFIG = frozenset(
    {"aspect_ratio", "image_size", "person_generation", "prominent_people", "image_output_options"}
)
_DICTS = frozenset({"image_config", "image_output_options"})
_OUTPUT_OPTIONS = {
    "output_mime_type": "mimeType",
    "output_compression_quality": "compressionQuality",
}


class GeminiImageProvider(Rebuilt, VendorProvider):
    """Gemini's image models."""

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

    fields = frozenset(
        {
            *_TOP_LEVEL,
            *_IMAGE_CONFIG,
            *_OUTPUT_OPTIONS,
            "image_config",
            "size_policy",
            "temperature",
            "top_p",
            "top_k",
            "candidate_count",
            "max_output_tokens",
            "stop_sequences",
            "seed",
            "response_modalities",
            "response_mime_type",
            "media_resolution",
            "thinking_config",
            "presence_penalty",
            "frequency_penalty",
            "response_format",
            "automatic_function_calling",
            "model_selection_config",
            "audio_timestamp",
            "speech_config",
            "http_options",
        }
    )
    """Fields of google-genai's ``GenerateContentConfig`` and ``ImageConfig`` 3.4.0."""

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
        body = _checked_body(
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
            return *_read(response, call.context, deadline), request_id_of(response.headers)

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
        last = turns.turn_of(call.home, request.prompt, images, _answered(answer, found))
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


def _checked_body(prompt: str, **made_of: Any) -> dict[str, Any]:
    try:
        return to_body(prompt, **made_of)
    except RecursionError:
        raise InvalidInputError("an option of the call is nested too deeply") from None


def _read(
    response: Response, context: RequestContext, deadline: Deadline
) -> tuple[dict[str, Any], list[Blob]]:
    if response.status != 200:
        return answer_of(context, response, deadline).json, []
    cut: list[WireError] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from response.chunks()
        except WireError as error:
            cut.append(error)

    try:
        with deadline_of(deadline):
            raw, found = json_images.read(chunks(), length=response.length)
            raw = context.masked(raw)
    finally:
        response.close()
    documents = json_images.documents(raw)
    if cut and (documents is None or not unusual.look(documents, found).images):
        failure = failure_of(context, cut[0], deadline, response.headers)
        failure.result = unusual.salvaged(raw, found)
        raise failure from cut[0]
    return _answer(raw, documents, found, context, response.headers), found


def _answer(
    raw: bytes,
    documents: list[Any] | None,
    found: list[Blob],
    context: RequestContext,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """
    The response as one object, whatever a relay has made of it: a list, events of a stream,
    OpenAI's shape.

    Raises:
        ProviderError: an error in a 200, or nothing that can be read; ``result`` has what was found
            in it.
    """
    if sniff.mime_type(raw):  # the image itself
        return {
            "candidates": [
                {
                    "content": {
                        "parts": [{"inlineData": {"data": base64.b64encode(raw).decode("ascii")}}]
                    }
                }
            ]
        }
    try:
        if documents is None:
            return json_of(context, raw, headers)
        whole = _merged(documents)
        if isinstance(whole, dict) and whole.get("error") and unusual.look(whole, found).images:
            return dict(whole)
        return checked_object(context, whole if documents else [], headers)
    except ProviderError as error:
        error.result = (
            unusual.salvaged(raw, found)
            if documents is None
            else unusual.look(documents, found).any()
        )
        raise


def _merged(documents: list[Any]) -> Any:
    """Several responses as one: candidates follow each other, of the rest the last word counts."""
    if len(documents) == 1:
        return documents[0]
    if not all(isinstance(one, dict) for one in documents):
        return {"images": documents}
    whole: dict[str, Any] = {}
    for one in documents:
        for name, value in one.items():
            if isinstance(value, list) and isinstance(whole.get(name), list):
                whole[name] = [*whole[name], *value]
            else:
                whole[name] = value
    return whole


def to_body(
    prompt: str,
    *,
    ratio: str,
    tier: str,
    images: list[references.Reference],
    options: Mapping[str, Any],
    earlier: Sequence[Turn] = (),
) -> dict[str, Any]:
    """
    The REST body of ``generateContent``.

    ``options``: fields of ``GenerateContentConfig`` or of its ``image_config``, in snake_case; they
    win. ``extra_body`` in them is merged in last.
    """
    fields = _Fields(_canvas(ratio, tier))
    for name, value in options.items():
        if value is not None and name != "extra_body":
            fields.place(name, _plain(value))
    asked = {"role": "user", "parts": [{"text": prompt}, *map(_inlined, images)]}
    contents = [*turns.contents_of(earlier), asked]
    body = {"contents": contents, "generationConfig": fields.generation_config(), **fields.body}
    return merged(body, _extra_body(options))


@dataclass
class _Fields:
    """
    Options where the API reads them.

    ``image``: fields of ``imageConfig``. ``generation``: of ``generationConfig``.
    ``body``: beside both.
    """

    image: dict[str, Any]
    generation: dict[str, Any] = field(default_factory=lambda: {"responseModalities": ["IMAGE"]})
    body: dict[str, Any] = field(default_factory=dict[str, Any])

    def place(self, name: str, value: Any) -> None:
        if name in _DICTS and not isinstance(value, Mapping):
            raise InvalidInputError(f"{name} must be a dict, got {type(value).__name__}")
        if name == "image_config":
            self.image |= _camel_keys(value)
        elif name in _IMAGE_CONFIG:
            self.image[camel(name)] = _camel_keys(value)
        elif name in _OUTPUT_OPTIONS:
            self.image.setdefault("imageOutputOptions", {})[_OUTPUT_OPTIONS[name]] = value
        elif name == "system_instruction":
            self.body["systemInstruction"] = _instruction(value)
        elif name in _TOP_LEVEL:
            self.body[camel(name)] = value
        elif name == "thinking_config":
            self.generation["thinkingConfig"] = _camel_keys(value)
        else:
            self.generation[camel(name)] = value

    def generation_config(self) -> dict[str, Any]:
        if not self.image:
            return self.generation
        return {**self.generation, "imageConfig": self.image}


def _canvas(ratio: str, tier: str) -> dict[str, Any]:
    fields = {"aspectRatio": ratio, "imageSize": tier}
    return {name: value for name, value in fields.items() if value}


def _instruction(value: Any) -> Any:
    if isinstance(value, str):
        return {"parts": [{"text": value}]}
    return value


def _inlined(image: references.Reference) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode("ascii")
    return {"inlineData": {"mimeType": image.mime_type, "data": data}}


def _extra_body(options: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = options.get("extra_body")
    if extra is None:
        return {}
    if not isinstance(extra, Mapping) or not all(isinstance(name, str) for name in extra):
        raise ConfigurationError(
            f"extra_body must be a dict with texts as keys, got {type(extra).__name__}"
        )
    return extra


def _plain(value: Any) -> Any:
    """Pydantic models of the SDK as plain dicts."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _camel_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {camel(str(name)): _camel_keys(inner) for name, inner in value.items()}
    return value


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


def _answered(answer: dict[str, Any], found: Sequence[Blob]) -> list[Part]:
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
