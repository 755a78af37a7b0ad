"""
The options of one call by their names: those of ours, those that other libraries have, and those of
the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError, InvalidInputError, ReferenceImageError
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.result import ImageResult
from aigc_kit.settings import spelled


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


def drop_n(rest: dict[str, Any], fields: Fields) -> None:
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
