"""What OpenAI's image models take, wherever they are served. Data."""

from __future__ import annotations

from dataclasses import dataclass

from aigc_kit.errors import ConfigurationError
from aigc_kit.image.grids import Grid, matches
from aigc_kit.image.openai.sizes import GPT_IMAGE, GPT_IMAGE_1
from aigc_kit.settings import spelled


@dataclass(frozen=True)
class Model:
    """
    One generation of models. ``pattern``: its ids. ``ends``: the day on which OpenAI shuts it down,
    or did, as ``YYYY-MM-DD``. ``markup``: a transparent PNG laid over the first reference.
    ``fidelity``: whether ``input_fidelity`` may be sent.
    """

    name: str
    pattern: str
    grid: Grid
    qualities: tuple[str, ...]
    ends: str = ""
    markup: bool = False
    fidelity: bool = False


_THREE = ("low", "medium", "high", "auto")
_FIVE = ("low", "medium", "high", "xhigh", "max", "auto")

MODELS = {
    model.name: model
    for model in (
        # openai 3.57 types/image_model.py and image_generate_params.py;
        # https://developers.openai.com/api/docs/deprecations, read 2026-11-25.
        Model("gpt-image-2.6", r"gpt-image-2\.6-.+", GPT_IMAGE, _FIVE, markup=True),
        Model("gpt-image-2.5", r"gpt-image-2\.5-.+", GPT_IMAGE, _FIVE, markup=True),
        Model("gpt-image-2", r"gpt-image-2(-\d{4}-\d\d-\d\d)?", GPT_IMAGE, _THREE),
        Model(
            "gpt-image-1.5",
            r"gpt-image-1\.5(-.+)?|chatgpt-image-latest",
            GPT_IMAGE_1,
            _THREE,
            ends="2026-12-01",
            fidelity=True,
        ),
        Model(
            "gpt-image-1-mini",
            r"gpt-image-1-mini(-.+)?",
            GPT_IMAGE_1,
            _THREE,
            ends="2026-12-01",
            fidelity=True,
        ),
        Model("gpt-image-1", r"gpt-image-1", GPT_IMAGE_1, _THREE, ends="2026-10-23", fidelity=True),
    )
}

CURRENT = (
    "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2",
)
"""Served in November 2026, without an announced end."""


def model_of(name: str, family: str | None = None) -> Model | None:
    """
    The row of a model, however a relay prefixes it; None for one that is not OpenAI's.

    Args:
        family: the name of a row, for a deployment whose name does not tell.

    Raises:
        ConfigurationError: ``family`` names no row.
    """
    if family is not None:
        if not isinstance(family, str) or family not in MODELS:
            raise ConfigurationError(
                f"family must be one of {', '.join(map(repr, MODELS))}, got {spelled(family)}"
            )
        return MODELS[family]
    return next((row for row in MODELS.values() if matches(row.pattern, name)), None)
