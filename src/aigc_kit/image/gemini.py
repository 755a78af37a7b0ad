"""
Gemini's picture models, on Vertex AI or the Developer API, through google-genai.

Source: https://ai.google.dev/gemini-api/docs/image-generation and the model cards of Vertex AI, read 2026-11-22.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from aigc_kit import errors, settings
from aigc_kit.edge import Remade
from aigc_kit.errors import (
    Billed,
    ConfigurationError,
    ContentFilterError,
    InvalidInputError,
    InvalidReplyError,
    NoImageError,
)
from aigc_kit.image import references, sizes
from aigc_kit.image.base import ImageGroup, ImageResult, VendorProvider
from aigc_kit.image.request import ImageRequest
from aigc_kit.settings import Secret
from aigc_kit.transport import blobs, codes, sniff
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, decode_base64, merged
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.genai_sdk import GenaiDoor, GenaiSettings
from aigc_kit.transport.policy import Policy
from aigc_kit.transport.replies import Asked, body_of, failure_of, json_of, request_id_of, whole_json

MODEL = "gemini-3-pro-image"
CURRENT_MODELS = (
    "gemini-3-pro-image",
    "gemini-3.1-flash-image",
    "gemini-3.1-flash-lite-image",
    "gemini-nano-banana-2.1",
)
"""Served in November 2026. ``gemini-3-pro-image-preview`` was shut down on 2026-06-25."""

REFERENCE_BYTES = 7_000_000
"""Of one inlined picture. Source: the Vertex AI model cards."""

_OPTIONS = [
    "model", "project", "location", "credentials", "api_key", "base_url", "timeout", "vertexai", "size_policy",
    "max_retries",
]  # fmt: skip

# https://ai.google.dev/api/generate-content#FinishReason, read 2026-11-22. PROHIBITED_CONTENT and kin are moderation;
# NO_IMAGE, IMAGE_OTHER and OTHER are a model that did not deliver.
BLOCKED = frozenset(
    {
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "JAILBREAK", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR",
    }
)  # fmt: skip

_TOP_LEVEL = frozenset({"safety_settings", "system_instruction", "tools", "tool_config", "labels", "cached_content"})
_IMAGE_CONFIG = frozenset(
    {"aspect_ratio", "image_size", "person_generation", "prominent_people", "image_output_options"}
)
_OUTPUT_OPTIONS = {"output_mime_type": "mimeType", "output_compression_quality": "compressionQuality"}


class GeminiImageProvider(Remade, VendorProvider):
    """Gemini's picture models."""

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
            location: unset: ``GOOGLE_CLOUD_LOCATION``, then ``"global"``, where the picture models are.
            credentials: a google.auth object or the path of a service account file; unset: the machine's own, first of
                all ``GOOGLE_APPLICATION_CREDENTIALS``.
            api_key: instead of the three above; unset: ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``.
            base_url: of a relay.
            timeout: seconds for one call, tries included (default 300).
            size_policy: ``"nearest"`` takes the nearest ratio and tier, ``"exact"`` refuses a size the model lacks.

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
            project=project, location=location, credentials=credentials, api_key=api_key, base_url=base_url,
            vertexai=vertexai,
        )  # fmt: skip
        self._door = GenaiDoor(self._settings, reuse=False)
        self._door.checked_model(self.model)
        self._downloader = Downloader()

    fields = frozenset({
        *_TOP_LEVEL, *_IMAGE_CONFIG, *_OUTPUT_OPTIONS, "image_config", "size_policy", "temperature", "top_p", "top_k",
        "candidate_count", "max_output_tokens", "stop_sequences", "seed", "response_modalities", "response_mime_type",
        "media_resolution", "thinking_config", "presence_penalty", "frequency_penalty", "response_format",
        "automatic_function_calling", "model_selection_config", "audio_timestamp", "speech_config", "http_options",
    })  # fmt: skip
    """Fields of google-genai's ``GenerateContentConfig`` and ``ImageConfig`` 3.4.0."""

    @property
    def name(self) -> str:
        return "gemini"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self._settings.base_url,) if self._settings.base_url else ()

    def use_downloader(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def close(self) -> None:
        self._door.close()
        self._downloader.close()

    def generate(self, request: ImageRequest) -> ImageGroup:
        options = dict(request.options)
        model = request.model or self.model
        canvas = sizes.canvas_of(model)
        policy = sizes.check_policy(options.pop("size_policy", self.size_policy))
        headers = settings.headers(options.pop("extra_headers", None))
        ratio, tier, warnings = sizes.fit_gemini(sizes.parse(request.size), canvas, policy=policy)
        run = self._policy.for_call(request)
        deadline = Deadline.after(run.timeout)
        given = request.reference_images
        pictures = [] if given is None else self._references(given, canvas, model, deadline)
        try:
            body = to_body(request.prompt, ratio=ratio, tier=tier, pictures=pictures, options=options)
        except RecursionError:
            raise InvalidInputError("an option of the call is nested too deeply") from None
        asked = Asked("gemini", model, paid=True, judge=codes.google, secrets=self._door.secrets)

        def attempt(deadline: Deadline) -> tuple[dict[str, Any], list[bytes], str]:
            reply = self._door.generate(model, body, asked=asked, deadline=deadline, headers=headers)
            return *_read(reply, asked, deadline), request_id_of(reply.headers)

        try:
            (answer, found, request_id), requests = run.run(attempt, deadline)
        except errors.NotFoundError as error:
            error.args = (f"{error}; picture models served today: {', '.join(CURRENT_MODELS)}",)
            raise
        config = body.get("generationConfig", {}).get("imageConfig", {})
        sent_size = "/".join(str(config[name]) for name in ("aspectRatio", "imageSize") if config.get(name))
        facts = {
            "model": model,
            "requested_size": request.size,
            "sent_size": sent_size,
            "warnings": warnings,
            "attempts": [{"provider": "gemini", "model": model, "requests": requests, "outcome": "ok"}],
        }
        return from_reply(answer, found, asked=asked, request_id=request_id, facts=facts)

    def _references(
        self, given: Any, canvas: sizes.Canvas, model: str, deadline: Deadline
    ) -> list[references.Reference]:
        limits = references.Limits(
            count=canvas.references, types=canvas.reference_types, bytes=REFERENCE_BYTES, what=model
        )

        def fetch(url: str) -> bytes:
            return self._downloader.fetch(url, timeout=min(deadline.left(), 60)).data

        return references.resolve(given, limits, fetch)


def _read(reply: Reply, asked: Asked, deadline: Deadline) -> tuple[dict[str, Any], list[bytes]]:
    if reply.status != 200:
        return json_of(asked, body_of(asked, reply, deadline), reply.headers), []
    cut: list[WireError] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from reply.chunks()
        except WireError as error:
            cut.append(error)

    try:
        with deadline_of(deadline):
            raw, found = blobs.read(chunks(), length=reply.length)
    finally:
        reply.close()
    if cut and not whole_json(raw):
        raise failure_of(asked, cut[0], deadline, reply.headers) from cut[0]
    return json_of(asked, raw, reply.headers), found


def to_body(
    prompt: str, *, ratio: str, tier: str, pictures: list[references.Reference], options: Mapping[str, Any]
) -> dict[str, Any]:
    """
    The REST body of ``generateContent``.

    ``options``: fields of ``GenerateContentConfig`` or of its ``image_config``, in snake_case; they win.
    ``extra_body`` in them is merged in last.
    """
    image: dict[str, Any] = {}
    if ratio:
        image["aspectRatio"] = ratio
    if tier:
        image["imageSize"] = tier
    generation: dict[str, Any] = {"responseModalities": ["IMAGE"]}
    body: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or name == "extra_body":
            continue
        value = _plain(value)
        if name in ("image_config", "image_output_options") and not isinstance(value, Mapping):
            raise InvalidInputError(f"{name} must be a dict, got {type(value).__name__}")
        if name == "image_config":
            image |= _camel_keys(value)
        elif name in _IMAGE_CONFIG:
            image[camel(name)] = _camel_keys(value)
        elif name in _OUTPUT_OPTIONS:
            image.setdefault("imageOutputOptions", {})[_OUTPUT_OPTIONS[name]] = value
        elif name == "system_instruction":
            body["systemInstruction"] = {"parts": [{"text": value}]} if isinstance(value, str) else value
        elif name in _TOP_LEVEL:
            body[camel(name)] = value
        else:
            generation[camel(name)] = _camel_keys(value) if name == "thinking_config" else value
    if image:
        generation["imageConfig"] = image
    parts: list[dict[str, Any]] = [{"text": prompt}]
    for picture in pictures:
        data = base64.b64encode(picture.data).decode("ascii")
        parts.append({"inlineData": {"mimeType": picture.mime_type, "data": data}})
    body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": generation, **body}
    extra = options.get("extra_body")
    if extra is not None and not (isinstance(extra, Mapping) and all(isinstance(name, str) for name in extra)):
        raise ConfigurationError(f"extra_body must be a dict with texts as keys, got {type(extra).__name__}")
    return merged(body, extra or {})


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


def from_reply(
    answer: dict[str, Any], found: list[bytes], *, asked: Asked, request_id: str, facts: dict[str, Any]
) -> ImageGroup:
    """
    Every picture of a ``GenerateContentResponse``; thoughts are skipped, text is kept.

    ``found``: the bytes that placeholders in ``inlineData.data`` stand for.

    Raises:
        ContentFilterError: the prompt or the picture was blocked.
        NoImageError: the model answered without a picture.
    """
    answer_id = answer.get("responseId")
    request_id = request_id or (answer_id if isinstance(answer_id, str) else "")
    usage = _dict(answer.get("usageMetadata"))
    said, pictures, thought_pictures, reason, explained, broken = _gather(answer, found)
    context: dict[str, Any] = {
        "provider": "gemini", "model": asked.model, "request_id": request_id, "status_code": 200,
        "billed": _billed(usage), "text": said,
    }  # fmt: skip
    feedback = _dict(answer.get("promptFeedback"))
    if not pictures and thought_pictures and reason == "STOP":
        pictures = thought_pictures[-1:]
    for error in broken:
        error.model, error.request_id = asked.model, request_id
    if not pictures and broken:
        raise broken[0]
    if not pictures:
        blocked = feedback.get("blockReason")
        if isinstance(blocked, str) and blocked and not answer.get("candidates"):
            detail = feedback.get("blockReasonMessage") or "no explanation"
            raise ContentFilterError(
                f"gemini blocked the prompt: {blocked} ({_short(detail)})", reason=blocked, code=blocked,
                body=_slim(answer), **context,
            )  # fmt: skip
        detail = _short(explained or said or "no explanation")
        if reason in BLOCKED:
            raise ContentFilterError(
                f"gemini blocked the picture: {reason} ({detail})", reason=reason, code=reason, body=_slim(answer),
                **context,
            )  # fmt: skip
        raise NoImageError(
            f"gemini answered without a picture: {reason or 'no candidates'} ({detail})", reason=reason, code=reason,
            retryable=True, body=_slim(answer), **context,
        )  # fmt: skip
    group = ImageGroup(errors=list(broken))
    for data in pictures:
        if isinstance(data, str):
            result = ImageResult(url=data, provider="gemini")
        else:
            result = ImageResult.from_bytes(data, provider="gemini")
        result.metadata = {
            **facts, "warnings": list(facts["warnings"]), "width": result.width, "height": result.height,
            "request_id": request_id, "usage": usage,
        }  # fmt: skip
        if said:
            result.metadata["text"] = said
        group.images.append(result)
    return group


def _gather(
    answer: dict[str, Any], found: list[bytes]
) -> tuple[str, list[bytes | str], list[bytes | str], str, str, list[InvalidReplyError]]:
    """(text, pictures, pictures of thoughts, finish reason, finish message, what cannot be read) over all candidates."""
    broken: list[InvalidReplyError] = []
    text: list[str] = []
    pictures: list[bytes | str] = []
    thoughts: list[bytes | str] = []
    reason = explained = ""
    candidates = answer.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else []:
        candidate = _dict(candidate)
        word = candidate.get("finishReason")
        reason = reason or (word if isinstance(word, str) else "")
        message = candidate.get("finishMessage")
        explained = explained or (message if isinstance(message, str) else "")
        parts = _dict(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else []:
            part = _dict(part)
            try:
                picture = _picture(part, found)
            except InvalidReplyError as error:
                broken.append(error)
                continue
            if picture is not None:
                (thoughts if part.get("thought") else pictures).append(picture)
            elif isinstance(part.get("text"), str) and not part.get("thought"):
                text.append(part["text"])
    return "".join(text), pictures, thoughts, reason, explained, broken


def _picture(part: dict[str, Any], found: list[bytes]) -> bytes | str | None:
    inline = _dict(part.get("inlineData") or part.get("inline_data"))
    value = inline.get("data")
    if isinstance(value, str) and value:
        data = blobs.blob_of(value, found)
        if data is None:
            try:
                data = decode_base64(value)
            except ValueError:
                data = b""
        mime = str(inline.get("mimeType") or inline.get("mime_type") or "")
        if not sniff.mime_type(data):
            if mime and not mime.startswith("image/"):
                return None  # audio and other media
            unread = InvalidReplyError(
                f"gemini sent {len(data)} bytes as {mime or 'a picture'}, and they are none that is known here",
                provider="gemini", status_code=200, billed="yes",
            )  # fmt: skip
            if data:
                unread.result = ImageResult.from_bytes(data, mime_type=mime, provider="gemini")
            raise unread
        return data
    address = _dict(part.get("fileData") or part.get("file_data"))
    uri = address.get("fileUri") or address.get("file_uri")
    return uri if isinstance(uri, str) and uri else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _billed(usage: dict[str, Any]) -> Billed:
    """Tokens that were counted are tokens that are charged."""
    return "yes" if usage.get("totalTokenCount") or usage.get("promptTokenCount") else "unknown"


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:200]


def _slim(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("promptFeedback", "usageMetadata", "modelVersion") if name in answer}
