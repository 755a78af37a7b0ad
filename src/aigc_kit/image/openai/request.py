"""A checked request -> the body that a vendor of OpenAI's kind takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image import sizes
from aigc_kit.image.grids import Ratios, fit, fit_ratio, matches
from aigc_kit.image.openai.models import Model
from aigc_kit.image.openai.vendors import Vendor
from aigc_kit.image.references import Reference
from aigc_kit.media.sniff import extension
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import merged
from aigc_kit.transport.multipart import File, Form

Warnings = list[dict[str, str]]


@dataclass(frozen=True)
class Inputs:
    """
    Images that go with a request, checked.

    ``references``: None for an image from text alone. ``mask``: transparent where to repaint.
    ``markup``: laid over the first reference.
    """

    references: Sequence[Reference] | None = None
    mask: Reference | None = None
    markup: Reference | None = None


@dataclass(frozen=True)
class Sized:
    """``fields``: what is sent about the size. ``sent``: the same in one text."""

    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sent: str = ""
    warnings: Warnings = field(default_factory=Warnings)


def sized(
    size: str, vendor: Vendor, known: Model | None, model: str, *, policy: str, editing: bool
) -> Sized:
    """
    The size in the vendor's words.

    Raises:
        InvalidInputError: not a size, or ``policy`` is ``"exact"`` and the model does not take it.
    """
    parsed = sizes.parse(size)
    if editing and matches(vendor.unsized, model):
        note = sizes.warning(size, "nothing", f"{model} takes the size of the reference image")
        return Sized(warnings=[] if parsed.tier else [note])
    if vendor.size == "image_config":
        return _in_config(parsed, model, policy)
    grid = known.grid if known is not None else vendor.grid_of(model)
    if isinstance(grid, Ratios):
        ratio, tier, warnings = fit_ratio(parsed, grid, policy=policy)
        named = {"aspect_ratio": ratio, "resolution": tier.lower()}
        return Sized(_given(named), "/".join(filter(None, (ratio, tier))), warnings)
    sent, warnings = fit(parsed, grid, policy=policy)
    return Sized(_given({vendor.size: sent}), sent, warnings)


def _in_config(size: sizes.Size, model: str, policy: str) -> Sized:
    """OpenRouter's ``image_config``, which has Gemini's words for any model."""
    ratio, tier, warnings = sizes.fit_gemini(size, sizes.canvas_of(model), policy=policy)
    config = _given({"aspect_ratio": ratio, "image_size": tier})
    return Sized(_given({"image_config": config}), "/".join(config.values()), warnings)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def checked_options(
    options: Mapping[str, Any], vendor: Vendor, known: Model | None, *, editing: bool
) -> tuple[dict[str, Any], Warnings]:
    """
    The vendor's fields of a call, and what was left out.

    Raises:
        InvalidInputError: OpenAI is known to refuse one of them.
    """
    renamed = dict(vendor.renamed)
    made = {
        renamed.get(name, name): value
        for name, value in options.items()
        if value is not None and name != "extra_body"
    }
    warnings: Warnings = []
    if known is None or not vendor.rules_of_openai:
        return made, warnings
    _check_quality(made, known)
    _check_output(made)
    _check_number(made, "partial_images", 0, 3)
    _check_number(made, "output_compression", 0, 100)
    if editing and "moderation" in made:  # openai 3.57 image_edit_params.py: not a field of edits
        del made["moderation"]
        warnings.append({"feature": "moderation", "details": "left out: edits have no such field"})
    if "input_fidelity" in made and not known.fidelity:
        del made["input_fidelity"]
        warnings.append(
            {
                "feature": "input_fidelity",
                "details": f"left out: {known.name} always keeps the references in high fidelity",
            }
        )
    return made, warnings


def _check_quality(made: Mapping[str, Any], known: Model) -> None:
    quality = made.get("quality")
    if quality is not None and quality not in known.qualities:
        raise InvalidInputError(
            f"quality must be one of {', '.join(map(repr, known.qualities))} for {known.name}, got"
            f" {spelled(quality)}"
        )


def _check_output(made: Mapping[str, Any]) -> None:
    form = made.get("output_format", "png")
    if made.get("background") == "transparent" and form not in ("png", "webp"):
        raise InvalidInputError(
            f"background='transparent' needs output_format='png' or 'webp', got {spelled(form)}"
        )
    if "output_compression" in made and form not in ("jpeg", "webp"):
        raise InvalidInputError(
            f"output_compression needs output_format='jpeg' or 'webp', got {spelled(form)}"
        )


def _check_number(made: Mapping[str, Any], name: str, least: int, most: int) -> None:
    value = made.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInputError(
            f"{name} must be a whole number from {least} to {most}, got {spelled(value)}"
        )


def to_body(
    prompt: str,
    *,
    model: str,
    vendor: Vendor,
    size: Mapping[str, Any],
    n: int = 1,
    inputs: Inputs = Inputs(),
    options: Mapping[str, Any],
    extra: Any = None,
) -> tuple[str, dict[str, Any] | Form]:
    """
    (path, body): JSON, or a form where the vendor takes references as files.

    Args:
        size: fields of ``sized``.
        options: fields of the vendor; they win over the size.
        extra: ``extra_body`` of the call, merged in last.

    Raises:
        ConfigurationError: ``extra`` is not a dict.
    """
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra_body must be a dict, got {type(extra).__name__}")
    body: dict[str, Any] = {"model": model} if vendor.sends_model else {}
    body["prompt"] = prompt
    if n > 1:
        body[vendor.count] = n
    body |= {**size, **options}
    if vendor.edits == "chat":
        return vendor.path, merged(_as_chat(body, inputs.references or ()), extra or {})
    if inputs.references is None:
        return vendor.path, merged(body, extra or {})
    made = _EDITS[vendor.edits](merged(body, extra or {}), inputs)
    return vendor.edits_path, made


def _as_chat(body: dict[str, Any], references: Sequence[Reference]) -> dict[str, Any]:
    rest = dict(body)
    content: list[dict[str, Any]] = [{"type": "text", "text": rest.pop("prompt")}]
    for one in references:
        content.append({"type": "image_url", "image_url": {"url": _url(one)}})
    message = {"role": "user", "content": content}
    return {"messages": [message], "modalities": ["image", "text"], **rest}


def _as_form(body: dict[str, Any], inputs: Inputs) -> Form:
    references = inputs.references or ()
    # openai 3.57 _client.py: one file is "image", a list has brackets.
    name = "image" if len(references) == 1 else "image[]"
    files = [_file(name, f"image_{place}", one) for place, one in enumerate(references)]
    for part, image in (("mask", inputs.mask), ("markup", inputs.markup)):
        if image is not None:
            files.append(_file(part, part, image))
    return Form(body, tuple(files))


def _file(part: str, stem: str, image: Reference) -> File:
    # A part without a name and a type is application/octet-stream, which older models refuse.
    return File(part, stem + extension(image.mime_type), image.mime_type, image.data)


def _as_objects(body: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
    objects = [{"url": _url(one)} for one in inputs.references or ()]
    return {**body, "image": objects[0]} if len(objects) == 1 else {**body, "images": objects}


def _as_fields(body: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
    """``image``, ``image2``, ``image3``."""
    for place, one in enumerate(inputs.references or (), 1):
        body["image" if place == 1 else f"image{place}"] = _url(one)
    return body


_EDITS: dict[str, Callable[[dict[str, Any], Inputs], dict[str, Any] | Form]] = {
    "form": _as_form,
    "objects": _as_objects,
    "fields": _as_fields,
}
"""How each vendor takes references."""


def _url(image: Reference) -> str:
    return image.address or image.data_uri()
