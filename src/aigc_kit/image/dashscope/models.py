"""DashScope's image models: how each is asked, and what it takes. Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aigc_kit.errors import ConfigurationError
from aigc_kit.image.grids import Grid, matches
from aigc_kit.settings import spelled

Protocol = Literal["sync", "task", "old task"]

# https://www.alibabacloud.com/help/en/model-studio/qwen-image-generation-and-editing-api-reference:
# two upper limits are published; the lower one is safe. Read 2026-11-25.
QWEN = Grid("Qwen-Image", step=16, least=262_144, most=4_194_304, max_ratio=8, area=1328 * 1328)
Z_IMAGE = Grid("z-image-turbo", step=16, least=262_144, most=4_194_304, max_ratio=8)
# https://www.alibabacloud.com/help/en/model-studio/wan-image-generation-and-editing-api-reference,
# read 2026-11-25; the pixels of 2.6 and 2.7 are unverified, so the tiers are preferred there.
WAN_27 = Grid("Wan 2.7", step=16, least=589_824, most=4_194_304, max_ratio=8, area=2048 * 2048)
WAN_26 = Grid("Wan 2.6", step=16, least=589_824, most=2_073_600, max_ratio=4, area=1280 * 1280)
WAN_25 = Grid("Wan 2.5", step=16, least=589_824, most=2_073_600, max_ratio=4, area=1280 * 1280)
WAN_22 = Grid("Wan 2.2 and before", step=16, min_side=512, max_side=1440)


@dataclass(frozen=True)
class Model:
    """
    A family. ``names``: a pattern of its ids.

    - ``protocol``: ``"sync"`` answers at once; ``"task"`` and ``"old task"`` give a task that is
      asked for until it is done.
    - ``group``: images of one request at most; ``set``: of an image set.
    - ``references``: at most; 0: it draws from text alone.
    - ``tiers``: sizes by name, and those of text alone.
    - ``ended``: the day since which it is offline.
    """

    names: str
    protocol: Protocol
    grid: Grid
    group: int = 1
    references: int = 0
    tiers: tuple[str, ...] = ()
    tiers_of_text: tuple[str, ...] = ()
    set: int = 0
    ended: str = ""


DEFAULT = "qwen-image-3.0"
CURRENT = ("qwen-image-3.0", "qwen-image-3.0-pro", "wan2.7-image", "wan2.7-image-pro")
MODELS = (
    Model(r"qwen-image-3\.0(-pro)?(-\d.*)?", "sync", QWEN, group=6, references=3),
    Model(r"qwen-image-2\.1(-pro)?(-\d.*)?", "sync", QWEN, group=6, references=10),
    Model(r"qwen-image-2\.0(-pro)?(-\d.*)?", "sync", QWEN, group=6, references=3),
    # Alibaba moved their pages to "legacy models" on 2026-09-02; the notice that ends them was not
    # found: unverified, so that a call is sent, with a warning.
    Model(
        r"qwen-image(-(plus|max|edit|edit-plus|edit-max))?(-\d.*)?",
        "sync",
        QWEN,
        references=3,
        ended="2026-10-10",
    ),
    Model(
        r"wan2\.7-image-pro(-\d.*)?",
        "task",
        WAN_27,
        group=4,
        references=9,
        tiers=("1K", "2K"),
        tiers_of_text=("1K", "2K", "4K"),
        set=12,
    ),
    Model(
        r"wan2\.7-image(-\d.*)?",
        "task",
        WAN_27,
        group=4,
        references=9,
        tiers=("1K", "2K"),
        tiers_of_text=("1K", "2K"),
        set=12,
    ),
    Model(r"wan2\.6-t2i(-\d.*)?", "task", WAN_26, group=4),
    Model(r"wan2\.6-image(-\d.*)?", "task", WAN_26, group=4, references=4),
    Model(r"wan2\.5-t2i.*", "old task", WAN_25, group=4),
    Model(r"wan2\.2-t2i.*|wanx2.*", "old task", WAN_22, group=4),
    Model(r"z-image-turbo(-\d.*)?", "sync", Z_IMAGE),
)
UNKNOWN = Model("", "sync", Grid("the model"), group=6, references=3)
"""A model that came later: as the newest one, sizes unchecked."""


def model_of(name: str, family: str | None = None) -> Model:
    """
    The rules of a model.

    Args:
        family: a model whose rules hold, where the name does not say it.

    Raises:
        ConfigurationError: ``family`` names none.
    """
    found = next((model for model in MODELS if matches(model.names, family or name)), None)
    if found is None and family is not None:
        raise ConfigurationError(
            f"family must be one of {', '.join(map(repr, CURRENT))} or another model of DashScope,"
            f" got {spelled(family)}"
        )
    return found or UNKNOWN
