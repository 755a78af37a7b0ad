"""
FLUX models: how each takes references and sizes. Data.

Source: https://docs.bfl.ai, celeste ``bfl/client.py``, read 2026-11-25. Sides of FLUX.3 are unverified
beyond "768 squared to 4K".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aigc_kit.image.grids import Grid, Ratios, matches

FLUX_3 = Grid("FLUX.3", step=16, min_side=256, max_side=4096, least=589_824, most=8_294_400)
FLUX_2 = Grid("FLUX.2", step=16, min_side=64, max_side=2048, most=4_194_304)
FLUX_1 = Grid("FLUX 1.1", step=32, min_side=256, max_side=1440)
RATIOS = Ratios(
    "FLUX 1.1 Ultra and Kontext",
    ("21:9", "16:9", "3:2", "4:3", "1:1", "3:4", "2:3", "9:16", "9:21"),
)


@dataclass(frozen=True)
class Model:
    """
    A family. ``names``: a pattern of its ids. ``fields``: ``"images"`` is one list of references,
    ``"numbered"`` has ``input_image``, ``input_image_2`` and so on. ``references``: at most. ``size``:
    what it takes.
    """

    names: str
    size: Grid | Ratios
    references: int = 0
    fields: Literal["images", "numbered"] = "numbered"


DEFAULT = "flux-3-image"
MODELS = (
    Model(r"flux-3-image.*", FLUX_3, 10, "images"),
    Model(r"flux-2-.*", FLUX_2, 8),
    Model(r"flux-kontext-.*", RATIOS, 4),
    Model(r"flux-pro-1\.1-ultra.*", RATIOS, 1),
    Model(r"flux-(pro-1\.1|dev).*", FLUX_1, 1),
)


def model_of(name: str) -> Model:
    """The family of a model; one that is not known yet is taken for the newest."""
    return next((model for model in MODELS if matches(model.names, name)), MODELS[0])
