"""A checked request -> DashScope's body. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image import sizes
from aigc_kit.image.dashscope.models import UNKNOWN, Model
from aigc_kit.image.grids import fit
from aigc_kit.image.references import Reference
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import merged

Warnings = list[dict[str, str]]

SYNC = "/services/aigc/multimodal-generation/generation"
TASK = "/services/aigc/image-generation/generation"
OLD_TASK = "/services/aigc/text2image/image-synthesis"
ASYNC = {"X-DashScope-Async": "enable"}
_PATHS = {"sync": SYNC, "task": TASK, "old task": OLD_TASK}
_LONGEST_NEGATIVE = 500
_MOST_SEED = 2_147_483_647


@dataclass(frozen=True)
class Sized:
    """``sent``: as DashScope takes it, ``""`` where the model chooses; ``told``: with an ``x``."""

    sent: str = ""
    told: str = ""
    warnings: Warnings = field(default_factory=Warnings)


def sized(size: str, model: Model, *, policy: str, editing: bool) -> Sized:
    """
    The size in DashScope's words: an asterisk between the sides, or a tier.

    Raises:
        InvalidInputError: not a size, or ``policy`` is ``"exact"`` and the model does not take it.
    """
    parsed = sizes.parse(size)
    tiers = model.tiers if editing else model.tiers_of_text
    if parsed.tier in tiers and parsed.ratio is None:
        return Sized(parsed.tier, parsed.tier)
    if model is UNKNOWN and parsed.width:
        plain = f"{parsed.width}x{parsed.height}"
        return Sized(plain.replace("x", "*"), plain)
    sent, warnings = fit(parsed, model.grid, policy=policy)
    return Sized(sent.replace("x", "*"), sent, warnings)


def to_body(
    prompt: str,
    *,
    name: str,
    model: Model,
    size: Sized,
    n: int,
    references: Sequence[Reference] | None,
    options: Mapping[str, Any],
    extra: Any = None,
) -> tuple[str, dict[str, Any]]:
    """
    (path, body).

    Raises:
        InvalidInputError: an option that DashScope is known to refuse.
        ConfigurationError: ``extra`` is not a dict.
    """
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra_body must be a dict, got {type(extra).__name__}")
    # n is always sent: without one the older Wan models draw, and bill, four images.
    parameters: dict[str, Any] = {"n": n, **({"size": size.sent} if size.sent else {})}
    parameters |= {key: value for key, value in options.items() if value is not None}
    _check(parameters, model)
    own: dict[str, Any]
    if model.protocol == "old task":
        own = {"prompt": prompt}
        if "negative_prompt" in parameters:
            own["negative_prompt"] = parameters.pop("negative_prompt")
    else:
        content: list[dict[str, Any]] = [
            {"image": one.address or one.data_uri()} for one in references or ()
        ]
        own = {"messages": [{"role": "user", "content": [*content, {"text": prompt}]}]}
    body = {"model": name, "input": own, "parameters": parameters}
    return _PATHS[model.protocol], merged(body, extra or {})


def _check(parameters: Mapping[str, Any], model: Model) -> None:
    negative = parameters.get("negative_prompt")
    if negative is not None and (
        not isinstance(negative, str) or len(negative) > _LONGEST_NEGATIVE
    ):
        raise InvalidInputError(
            f"negative_prompt must be a text of at most {_LONGEST_NEGATIVE} characters, got"
            f" {spelled(negative)}"
        )
    seed = parameters.get("seed")
    if seed is not None and (type(seed) is not int or not 0 <= seed <= _MOST_SEED):
        raise InvalidInputError(
            f"seed must be a whole number from 0 to {_MOST_SEED}, got {spelled(seed)}"
        )
    if parameters.get("enable_sequential") and not model.set:
        raise InvalidInputError(
            "enable_sequential is for image sets of Wan 2.7: use model='wan2.7-image'"
        )
