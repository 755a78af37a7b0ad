"""A checked request -> the body of a FLUX model. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image import sizes
from aigc_kit.image.bfl.models import Model
from aigc_kit.image.grids import Ratios, fit, fit_ratio
from aigc_kit.image.references import Reference
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import merged

_SAFETY = range(7)


@dataclass(frozen=True)
class Sized:
    """``fields``: as the model takes it; ``told``: for the result's metadata."""

    fields: dict[str, Any]
    told: str
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


def sized(size: str, model: Model, *, policy: str) -> Sized:
    """
    Raises:
        InvalidInputError: not a size, or ``policy`` is ``"exact"`` and the model does not take it.
    """
    parsed = sizes.parse(size)
    if isinstance(model.size, Ratios):
        ratio, _, warnings = fit_ratio(parsed, model.size, policy=policy)
        return Sized({"aspect_ratio": ratio} if ratio else {}, ratio, warnings)
    sent, warnings = fit(parsed, model.size, policy=policy)
    if not sent:
        return Sized({}, "", warnings)
    wide, _, high = sent.partition("x")
    return Sized({"width": int(wide), "height": int(high)}, sent, warnings)


def to_body(
    prompt: str,
    *,
    model: Model,
    size: Sized,
    references: Sequence[Reference] | None,
    options: Mapping[str, Any],
    extra: Any = None,
) -> dict[str, Any]:
    """
    Raises:
        InvalidInputError: an option that FLUX is known to refuse.
        ConfigurationError: ``extra`` is not a dict.
    """
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra_body must be a dict, got {type(extra).__name__}")
    given = {name: value for name, value in options.items() if value is not None}
    safety = given.get("safety_tolerance")
    if safety is not None and (type(safety) is not int or safety not in _SAFETY):
        raise InvalidInputError(
            f"safety_tolerance must be a whole number from 0 (strict) to 6, got {spelled(safety)}"
        )
    body = {"prompt": prompt, **size.fields, **_images(references or (), model), **given}
    return merged(body, extra or {})


def _images(references: Sequence[Reference], model: Model) -> dict[str, Any]:
    texts = [one.address or b64encode(one.data).decode("ascii") for one in references]
    if model.fields == "images":
        return {"images": texts} if texts else {}
    return {
        "input_image" if place == 1 else f"input_image_{place}": text
        for place, text in enumerate(texts, 1)
    }
