"""``ImageRequest``: what an application asks for, checked once and passed down unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError, InvalidInputError, ReferenceImageError
from aigc_kit.image.fingerprint import digest, identity
from aigc_kit.image.watching import Watcher
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.result import ImageResult
from aigc_kit.settings import spelled

DEFAULT_SIZE = "1024x1024"
"""EXIF's tag."""


class CallOptions(TypedDict, total=False):
    """
    Options of one call. A type checker knows these; any other field of a vendor goes into
    ``extra_body``.

    ``idempotency_key``: the same key gives the stored image again instead of a second payment.
    ``timeout``: seconds, retries and waits included. ``max_retries``: how often a request that
    certainly did not run is sent again.
    ``retry_ambiguous``: send again what may have been paid for.
    ``mask``: of ``image_to_image``, a PNG whose transparent area is painted again. ``on_image``:
    called with each partial and each finished image. ``label``: of this image, in the place of the
    client's.
    """

    idempotency_key: str | None
    timeout: float | None
    max_retries: int | None
    retry_ambiguous: bool
    model: str | None
    size_policy: Literal["nearest", "exact"]
    aspect_ratio: str | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None
    seed: int | None
    mask: Any
    on_image: Callable[[ImageResult], object] | None
    label: ContentLabel | None
    # OpenAI and the services that speak its API
    quality: str | None
    output_compression: int | None
    moderation: Literal["auto", "low"] | None
    complexity: Literal["low", "medium", "high"] | None
    partial_images: int | None
    safety_identifier: str | None
    user: str | None
    input_fidelity: Literal["low", "high"] | None
    markup: Any
    frame_count: int | None
    frame_duration_ms: int | None
    svg: Mapping[str, Any] | None
    negative_prompt: str | None
    num_inference_steps: int | None
    cfg: float | None
    resolution: str | None
    user_id: str | None
    request_id: str | None
    # Seedream
    family: str | None
    watermark: bool
    inline_references: bool
    output_format: str | None
    response_format: str | None
    stream: bool
    guidance_scale: float | None
    sequential_image_generation: str | None
    sequential_image_generation_options: Mapping[str, Any] | None
    optimize_prompt_options: Mapping[str, Any] | None
    tools: list[Any] | None
    background: str | None
    layer_decomposition: Any
    # Gemini
    image_size: str | None
    image_config: Mapping[str, Any] | Any
    image_output_options: Mapping[str, Any] | Any
    person_generation: str | None
    prominent_people: str | None
    output_mime_type: str | None
    output_compression_quality: int | None
    temperature: float | None
    top_p: float | None
    top_k: float | None
    response_modalities: list[str] | None
    safety_settings: list[Any] | None
    system_instruction: Any
    thinking_config: Mapping[str, Any] | Any
    labels: Mapping[str, str] | None
    # DashScope
    upload_references: bool
    prompt_extend: bool
    prompt_extend_mode: str | None
    thinking_mode: bool
    enable_sequential: bool
    bbox_list: list[Any] | None
    color_palette: list[Any] | None
    on_progress: Callable[[Any], object] | None
    # options of one vendor, for a client of several
    volcengine: Mapping[str, Any] | None
    doubao: Mapping[str, Any] | None
    seedream: Mapping[str, Any] | None
    ark: Mapping[str, Any] | None
    gemini: Mapping[str, Any] | None
    google: Mapping[str, Any] | None
    dashscope: Mapping[str, Any] | None
    qwen: Mapping[str, Any] | None
    wan: Mapping[str, Any] | None
    openai: Mapping[str, Any] | None
    openai_compat: Mapping[str, Any] | None
    glm: Mapping[str, Any] | None
    zhipu: Mapping[str, Any] | None
    zai: Mapping[str, Any] | None
    siliconflow: Mapping[str, Any] | None
    openrouter: Mapping[str, Any] | None
    xai: Mapping[str, Any] | None
    bfl: Mapping[str, Any] | None
    flux: Mapping[str, Any] | None
    # FLUX
    safety_tolerance: int | None
    prompt_upsampling: bool
    raw: bool
    steps: int | None
    guidance: float | None


_SWITCHES = frozenset(
    {
        "watermark",
        "inline_references",
        "stream",
        "upload_references",
        "prompt_extend",
        "thinking_mode",
        "enable_sequential",
        "prompt_upsampling",
        "raw",
    }
)
_OURS = (
    "idempotency_key",
    "timeout",
    "max_retries",
    "retry_ambiguous",
    "model",
    "size",
    "size_policy",
    "reference_images",
    "extra_body",
    "extra_headers",
    "inline_references",
    "prompt",
    "watermark",
    "family",
    "aspect_ratio",
    "mask",
    "on_image",
    "label",
)
_OF_THE_CLIENT = frozenset(
    {
        "storage",
        "storage_key_prefix",
        "keep_urls",
        "allow_private_hosts",
        "spool_dir",
        "renditions",
        "api_key",
        "base_url",
        "project",
        "location",
        "credentials",
        "vertexai",
        "proxies",
    }
)
_PER_CALL = frozenset(_OURS) - {"size", "prompt", "reference_images"}
_ALIKE = 0.77
"""
``difflib``'s ratio from which a name is taken for a misspelling of one of ours: ``max_retry``,
``time_out``.
"""

_SEVERAL = "text_to_images(prompt, n=...) or image_to_images(..., n=...) makes several images"
_REFERENCE = "reference images go to image_to_image(prompt, reference_images=...)"
_SIZE = "say it with size='1024x1024', a ratio size='16:9' or a tier size='2K'"
_PEERS = {
    **dict.fromkeys(
        (
            "num_images",
            "number_of_images",
            "num_outputs",
            "num_images_per_prompt",
            "sample_count",
            "batch_size",
            "max_images",
        ),
        _SEVERAL,
    ),
    **dict.fromkeys(
        (
            "image",
            "images",
            "image_url",
            "image_urls",
            "input_image",
            "input_images",
            "init_image",
            "reference_image",
            "reference_images",
            "references",
            "ref_images",
            "image_prompt",
        ),
        _REFERENCE,
    ),
    **dict.fromkeys(("width", "height", "resolution", "image_size", "aspectRatio", "ratio"), _SIZE),
    "quality": "there is no such field; ask for a larger size or a tier such as size='4K'",
    "negative_prompt": "there is no such field; say in the prompt what must not be in the image",
    "negativePrompt": "there is no such field; say in the prompt what must not be in the image",
    "style": "there is no such field; say it in the prompt",
    "async_": "calls are synchronous; use an executor of your own",
}
"""
What other libraries call it -> how it is said here. Names that a vendor has are not looked up.
"""

_AS_REFERENCES = (
    "image",
    "images",
    "reference_image",
    "input_image",
    "input_images",
    "image_url",
    "image_urls",
)


@dataclass(frozen=True)
class Fields:
    """
    What the providers of a client take beside our own options.

    ``names``: of their fields. ``vendors``: names under which the options of one of them are
    addressed. ``open``: whether one of them is an application's, whose options are not known here.
    """

    names: frozenset[str] = frozenset()
    vendors: frozenset[str] = frozenset()
    open: bool = True


@dataclass(frozen=True)
class ImageRequest:
    """
    One request for ``n`` images.

    ``reference_images``: as the application gave them, None for an image from text alone.
    ``options``: fields of the vendor and per-call options that a dialect reads. ``timeout``,
    ``max_retries`` and ``model`` are None where the provider's own hold. ``place``: of its first
    image among those that were asked for. ``mask``: as the application gave it. ``on_image``: told
    of images as they come. ``previous``: the only reference, when it is to be edited in a
    conversation. ``on_receipt``: told of what collects the images of a task, before anybody waits
    for it.
    """

    prompt: str
    size: str = DEFAULT_SIZE
    reference_images: Any = None
    n: int = 1
    model: str | None = None
    timeout: float | None = None
    max_retries: int | None = None
    retry_ambiguous: bool = False
    idempotency_key: str | None = None
    place: int = 0
    mask: Any = None
    label: ContentLabel | None = None
    on_image: Watcher | None = field(default=None, compare=False)
    previous: ImageResult | None = field(default=None, compare=False)
    on_receipt: Callable[[dict[str, Any]], None] | None = field(default=None, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def checked(
        cls,
        prompt: Any,
        *,
        size: Any = DEFAULT_SIZE,
        reference_images: Any = None,
        n: Any = 1,
        options: Mapping[str, Any],
        fields: Fields | None = None,
    ) -> ImageRequest:
        """
        Args:
            fields: what the providers take beside our own options.

        Raises:
            InvalidInputError, ConfigurationError: something in it cannot be meant.
        """
        check_prompt(prompt)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
            raise InvalidInputError(f"n must be a whole number from 1 to 100, got {spelled(n)}")
        if not isinstance(size, str):
            raise InvalidInputError(
                f"size must be a str like '1024x1024', got {type(size).__name__}"
            )
        known = fields or Fields()
        rest = dict(options)
        mask, on_image = rest.pop("mask", None), rest.pop("on_image", None)
        label = checked_label(rest.pop("label", None))
        if mask is not None and reference_images is None:
            raise InvalidInputError(
                "mask says which part of a reference image changes: pass it to image_to_image"
            )
        if on_image is not None and not isinstance(on_image, Watcher):
            on_image = Watcher(on_image)
        _drop_n(rest, known)
        check_names(rest, known)
        for name in known.vendors & rest.keys():
            if isinstance(rest[name], Mapping):
                check_names(rest[name], known, inside=name)
        if isinstance(reference_images, Iterator) and not hasattr(reference_images, "read"):
            reference_images = list(reference_images)
        key = rest.pop("idempotency_key", None)
        if key is not None and (not isinstance(key, str) or not key.strip()):
            raise InvalidInputError(
                f"idempotency_key must be a text that is not blank, got {spelled(key)}"
            )
        return cls(
            prompt,
            size,
            reference_images,
            n,
            idempotency_key=_encodable(key),
            mask=mask,
            label=label,
            on_image=on_image,
            **_terms(rest),
            options=rest,
        )

    def kwargs(self) -> dict[str, Any]:
        """The options as an application's provider gets them."""
        terms = {"model": self.model, "timeout": self.timeout, "max_retries": self.max_retries}
        given = {name: value for name, value in terms.items() if value is not None}
        if self.retry_ambiguous:
            given["retry_ambiguous"] = True
        if self.mask is not None:
            given["mask"] = self.mask
        return {**self.options, **given}

    def within(self, timeout: float | None) -> ImageRequest:
        """The same, with this many seconds left."""
        return self if timeout is None else replace(self, timeout=max(timeout, 0.001))

    def one(self, place: int) -> ImageRequest:
        """A request for one of the images."""
        return replace(self, n=1, place=place)

    def fingerprint(
        self, asked: Iterable[tuple[str, str]], n: int, label: ContentLabel | None = None
    ) -> dict[str, str]:
        """
        What tells this request from another one: a digest of each part. It holds none of them.

        Args:
            asked: (provider, model) of everybody who may be asked.
            n: how many images were asked for together.
            label: that the images get.
        """
        options = {
            name: value
            for name, value in self.options.items()
            if name not in ("extra_headers", "on_progress")
        }
        parts: dict[str, Any] = {
            "prompt": self.prompt,
            "size": self.size,
            "model": list(asked),
            "options": options,
        }
        if self.reference_images is not None:
            parts["reference_images"] = identity(self.reference_images)
        if self.mask is not None:
            parts["mask"] = identity(self.mask)
        if n > 1:
            parts["n"] = n
        if label is not None:
            parts["label"] = [
                label.producer,
                label.text,
                label.corner,
                label.kind,
                label.propagator,
            ]
        return {name: digest(value) for name, value in parts.items()}


def checked_label(label: Any) -> ContentLabel | None:
    """
    Raises:
        ConfigurationError: it is not a label, or cannot be drawn on this machine.
    """
    if label is None:
        return None
    if not isinstance(label, ContentLabel):
        raise ConfigurationError(
            f"label must be a ContentLabel(producer='...'), got {spelled(label)}"
        )
    if label.text:
        from aigc_kit.media.labels.mark import check_font

        check_font()
    return label


def _terms(rest: dict[str, Any]) -> dict[str, Any]:
    """The options that mean the same for every vendor, taken out of ``rest``."""
    timeout, retries, model = (
        rest.pop("timeout", None),
        rest.pop("max_retries", None),
        rest.pop("model", None),
    )
    if model is not None and (not isinstance(model, str) or model.isspace()):
        raise InvalidInputError(f"model must be the name of one, got {spelled(model)}")
    if timeout is not None:
        timeout = settings.seconds(timeout, default=0)
    if retries is not None:
        retries = settings.whole_number(retries, name="max_retries")
    return {
        "timeout": timeout,
        "max_retries": retries,
        "model": model or None,
        "retry_ambiguous": settings.switch(rest.pop("retry_ambiguous", False), "retry_ambiguous"),
    }


def addressed(
    request: ImageRequest, everyone: frozenset[str], own_names: frozenset[str], fields: Fields
) -> ImageRequest:
    """
    The request as one of several vendors gets it: the common options, and those under its own name.

    Raises:
        ConfigurationError: options that are not a dict, or make no sense.
    """
    options = {name: value for name, value in request.options.items() if name not in everyone}
    own: dict[str, Any] = {}
    for name in own_names:
        given = request.options.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise ConfigurationError(
                f"{name} must be a dict of options for {name}, got {type(given).__name__}"
            )
        own |= given
    if "idempotency_key" in own:
        raise ConfigurationError(
            "idempotency_key is for the whole call: pass it beside the vendors' options"
        )
    terms = {name: value for name, value in _terms(own).items() if value}
    options |= own
    size = _size_of(options, request.size, fields)
    return replace(request, size=size, options=options, **terms)


def _size_of(options: dict[str, Any], size: str, fields: Fields) -> str:
    """
    ``aspect_ratio``, which other libraries have, as the size of a vendor without such a field.
    """
    ratio = options.get("aspect_ratio")
    if ratio is None or fields.open or "aspect_ratio" in fields.names:
        return size
    if size not in (DEFAULT_SIZE, ratio):
        raise InvalidInputError(
            f"size={size!r} and aspect_ratio={spelled(ratio)} contradict each other: pass size alone"
        )
    del options["aspect_ratio"]
    if not isinstance(ratio, str):
        raise InvalidInputError(f"aspect_ratio must be a str like '16:9', got {spelled(ratio)}")
    return ratio


def check_names(options: Mapping[str, Any], fields: Fields, *, inside: str = "") -> None:
    """
    Refuse what is certainly not meant for a vendor.

    Raises:
        ConfigurationError: a misspelt option of ours, an option of the client, or another library's
            name.
    """
    where = f" in {inside}" if inside else ""
    for name in options:
        if (
            name in _SWITCHES
            and (name in _PER_CALL or name in fields.names)
            and options[name] is not None
        ):
            settings.switch(options[name], f"{name}{where}")
        if (
            not isinstance(name, str)
            or name in _PER_CALL
            or name in fields.names
            or name in fields.vendors
        ):
            continue
        instead = f"extra_body={{{name!r}: ...}} sends a vendor's own field of that name"
        if name == "reference_images":
            raise ConfigurationError(f"no option {name!r}{where}: {_REFERENCE}")
        if not fields.open and name in _OF_THE_CLIENT:
            raise ConfigurationError(
                f"{name!r}{where} is an option of ImageClient(...), not of one call"
            )
        if not fields.open and name in _PEERS:
            raise ConfigurationError(f"no option {name!r}{where}: {_PEERS[name]}; {instead}")
        meant = _misspelt(name)
        if meant:
            raise ConfigurationError(
                f"no option {name!r}{where}; did you mean {meant!r}? {instead}"
            )


def _misspelt(name: str) -> str:
    import difflib

    plain = {own.replace("_", ""): own for own in _OURS}
    found = difflib.get_close_matches(
        name.replace("_", "").replace("-", "").lower(), plain, n=1, cutoff=_ALIKE
    )
    return plain[found[0]] if found else ""


def _drop_n(rest: dict[str, Any], fields: Fields) -> None:
    """``n=1``, which other libraries have, says what these calls do anyway."""
    number = rest.get("n")
    if number is None or "n" in fields.names:
        return
    if isinstance(number, bool) or number != 1:
        raise InvalidInputError(f"this call makes one image, got n={spelled(number)}: {_SEVERAL}")
    del rest["n"]


def given_references(references: Any, options: dict[str, Any], what: str) -> Any:
    """
    The reference images of a call, under whatever name they were given.

    Raises:
        ReferenceImageError: there are none.
    """
    for name in _AS_REFERENCES:
        if references is None and options.get(name) is not None:
            references = options.pop(name)
    if references is None:
        raise ReferenceImageError(f"reference_images is None: {what} needs at least one image")
    return references


def check_prompt(prompt: Any) -> None:
    """
    Raises:
        InvalidInputError: not a text, blank, or not valid Unicode.
    """
    if not isinstance(prompt, str):
        raise InvalidInputError(f"prompt must be a str, got {type(prompt).__name__}")
    if not prompt.strip():
        raise InvalidInputError(f"prompt must say something, got {prompt[:20]!r}")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"prompt is not valid Unicode: a lone surrogate {prompt[error.start]!r} at {error.start}"
        ) from None


def _encodable(key: str | None) -> str | None:
    if key is not None:
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(
                f"idempotency_key must be valid Unicode, got {spelled(key)}"
            ) from None
    return key
