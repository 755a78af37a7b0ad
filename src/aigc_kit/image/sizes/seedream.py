"""
The sizes that Seedream's model families accept. Pure.

Ark answers an illegal size with 400 and never enlarges by itself, so the legal size is worked out
here. Source: https://docs.byteplus.com/en/docs/ModelArk/1541523 and probes published by third
parties, read 2026-11-22.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image.sizes.size import Size, tier_side, warning
from aigc_kit.media.sniff import HEIC
from aigc_kit.settings import spelled

# ---- Seedream


@dataclass(frozen=True)
class Family:
    """
    What one Seedream family accepts.

    ``min_pixels .. max_pixels``: the product of the sides. ``max_ratio``: the longer side over the
    shorter.
    ``side_floor``: the shorter side that a "WIDTHxHEIGHT" is enlarged to. ``references``: images at
    most.
    ``reference_bytes``: of one image. ``group``: whether one request can make several images.
    """

    name: str
    min_pixels: int
    max_pixels: int
    tiers: tuple[str, ...] = ()
    max_ratio: int = 16
    min_side: int = 15
    max_side: int = 1 << 20
    side_floor: int = 0
    references: int = 14
    reference_bytes: int = 10_000_000
    reference_types: frozenset[str] = frozenset(
        {"image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "image/gif"}
    )
    group: bool = False
    output_format: bool = False
    wide_1k: bool = field(default=False, repr=False)


_TYPES = Family("", 1, 1).reference_types
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "3.0", 512 * 512, 2048 * 2048, max_ratio=4, min_side=512, max_side=2048, references=0
        ),
        Family(
            "seededit-3.0",
            512 * 512,
            2048 * 2048,
            tiers=("adaptive",),
            max_ratio=3,
            references=1,
            reference_types=frozenset({"image/jpeg", "image/png"}),
        ),
        Family("4.0", 1280 * 720, 4096 * 4096, ("1K", "2K", "4K"), group=True),
        Family("4.5", 2560 * 1440, 4096 * 4096, ("2K", "4K"), side_floor=2048, group=True),
        Family(
            "5.0-lite",
            2560 * 1440,
            4096 * 4096,
            ("2K", "3K", "4K"),
            side_floor=2048,
            group=True,
            output_format=True,
        ),
        Family(
            "5.0-pro",
            1280 * 720,
            4_624_220,
            ("1K", "1.5K", "2K"),
            references=10,
            reference_bytes=30_000_000,
            reference_types=_TYPES | HEIC,
            output_format=True,
            wide_1k=True,
        ),
        Family(
            "5.0-flash",
            1280 * 720,
            4_624_220,
            ("1K", "1.5K", "2K"),
            references=10,
            output_format=True,
            wide_1k=True,
        ),
    )
}

# Recommended pixels for a ratio in a tier; the mirrored ratio has the mirrored size.
_PRESETS = {
    "1K": "1024x1024 1152x864 1312x736 1248x832 1568x672",
    "1K wide": "1024x1024 1152x864 1424x800 1248x832 1568x672",
    "1.5K": "1536x1536 1792x1344 2048x1152 1872x1248 2352x1008",
    "2K": "2048x2048 2304x1728 2848x1600 2496x1664 3136x1344",
    "2K wide": "2048x2048 2368x1776 2816x1584 2496x1664 3136x1344",
    "3K": "3072x3072 3456x2592 4096x2304 3744x2496 4704x2016",
    "4K": "4096x4096 4704x3520 5504x3040 4992x3328 6240x2656",
}
_PRESET_RATIOS = (Fraction(1), Fraction(4, 3), Fraction(16, 9), Fraction(3, 2), Fraction(21, 9))


def family_of(model: str, explicit: str | None = None) -> Family | None:
    """
    The family of a Seedream id, however a relay spells it; None when it cannot be told.

    Raises:
        ConfigurationError: ``explicit`` names no family.
    """
    if explicit is not None:
        if not isinstance(explicit, str) or explicit not in FAMILIES:
            raise ConfigurationError(
                f"family must be one of {', '.join(map(repr, FAMILIES))}, got {spelled(explicit)}"
            )
        return FAMILIES[explicit]
    found = _SEEDREAM.search(model.lower())
    if found is None:
        return None
    kind, major, minor, line = (
        found["kind"],
        found["major"],
        found["minor"] or "0",
        found["line"] or "",
    )
    if kind == "seededit":
        return FAMILIES.get(f"seededit-{major}.{minor}")
    number = f"{major}.{minor}"
    return FAMILIES.get(f"5.0-{line or 'lite'}" if number == "5.0" else number)


_SEEDREAM = re.compile(
    r"(?P<kind>seedream|seededit)[-_/ ]?v?(?P<major>\d)(?!\d)(?:[-._](?P<minor>\d)(?!\d))?(?:[-_](?P<line>lite|pro|flash))?"
)
"""
Ark's own ids, and how relays spell them: ``seedream-4.5``, ``bytedance/seedream/v4``,
``volcengine/doubao-seedream-4-5-251128``.

https://github.com/AFreeCoder/apipool-v2/issues/140
"""


def is_legal(width: int, height: int, family: Family) -> bool:
    """Whether the family takes these pixels as they are."""
    return (
        family.min_pixels <= width * height <= family.max_pixels
        and width <= family.max_ratio * height
        and height <= family.max_ratio * width
        and min(width, height) >= family.min_side
        and max(width, height) <= family.max_side
    )


def nearest_legal(width: int, height: int, family: Family) -> tuple[int, int]:
    """
    The legal size nearest to this one: untouched when legal, else the nearest ratio, then the
    nearest area.

    Rounding the scaled sides would miss: it falls a row below the minimum or above the maximum.
    """
    if is_legal(width, height, family):
        return width, height
    limit = Fraction(family.max_ratio)
    ratio = min(max(Fraction(width, height), 1 / limit), limit)
    steep = float(max(ratio, 1 / ratio))
    area = float(min(max(width * height, family.min_pixels), family.max_pixels))
    area = max(min(area, family.max_side**2 / steep), family.min_side**2 * steep)
    ideal_width, ideal_height = sqrt(area * float(ratio)), sqrt(area / float(ratio))
    candidates = [
        (2 * (int(ideal_width) // 2 + i), 2 * (int(ideal_height) // 2 + j))
        for i in range(-3, 5)
        for j in range(-3, 5)
    ]

    def distance(pair: tuple[int, int]) -> tuple[float, float, int]:
        wide, high = pair
        off = abs(wide * ratio.denominator - high * ratio.numerator) / (ratio.numerator * high)
        return round(off, 4), abs(wide * high - area), -wide

    return min(
        (pair for pair in candidates if min(pair) > 0 and is_legal(*pair, family)), key=distance
    )


def with_floor(width: int, height: int, family: Family) -> tuple[int, int]:
    """
    The size enlarged, ratio kept, until both sides reach the family's floor; then made legal.

    Where the model's limits do not let both sides reach it, the limits alone decide.
    """
    shorter = min(width, height)
    if shorter < family.side_floor:
        ratio = Fraction(max(width, height), shorter)
        longer = round(family.side_floor * ratio)
        wide, high = (longer, family.side_floor) if width >= height else (family.side_floor, longer)
        if is_legal(wide, high, family):
            return wide, high
    return nearest_legal(width, height, family)


def _unknown_rules(requested: str) -> dict[str, str]:
    details = f"{requested} was sent as it is: no rules are known for this model; family='4.5' (or another) names them"
    return {"feature": "size", "details": details}


def fit_seedream(
    size: Size, family: Family | None, *, policy: str = "nearest", own_endpoint: bool = True
) -> tuple[str, list[dict[str, str]]]:
    """
    What to send as Ark's ``size``, and warnings. Without a family the size is sent as it was asked.

    Args:
        own_endpoint: an ``ep-...`` whose model cannot be known; no warning is needed.

    Raises:
        InvalidInputError: ``policy`` is ``"exact"`` and the family does not take the size; names
            the nearest.
    """
    requested = f"{size.width}x{size.height}" if size.width else size.text
    if family is None:
        return requested, [] if own_endpoint else [_unknown_rules(size.text)]
    sent = _seedream_size(size, family, policy)
    if policy == "exact" and size.width and not is_legal(size.width, size.height, family):
        wide, high = nearest_legal(size.width, size.height, family)
        raise InvalidInputError(
            f"size {size.text!r} is not legal for Seedream {family.name} ({_limits(family)}); the"
            f" nearest legal size is '{wide}x{high}'"
        )
    changed = sent != requested and (bool(size.width) or (bool(size.tier) and sent != size.tier))
    if changed and policy == "exact":
        raise InvalidInputError(
            f"size {size.text!r} does not exist for Seedream {family.name}, which has"
            f" {', '.join(family.tiers) or 'no tiers'}; the nearest is {sent!r}"
        )
    return sent, [
        warning(size.text, sent, f"Seedream {family.name} takes {_limits(family)}")
    ] if changed else []


def _seedream_size(size: Size, family: Family, policy: str) -> str:
    if family.tiers == ("adaptive",):
        return "adaptive"
    if size.width:
        if policy == "exact":
            return f"{size.width}x{size.height}"
        wide, high = with_floor(size.width, size.height, family)
        return f"{wide}x{high}"
    if size.tier:
        if size.tier in family.tiers:
            return size.tier
        if not family.tiers or size.tier in ("adaptive", "auto"):
            side = {"1K": 1024, "1.5K": 1536}.get(size.tier, 1024 if size.tier == "512" else 2048)
            wide, high = nearest_legal(side, side, family)
            return (family.tiers and "2K") or f"{wide}x{high}"
        return min(family.tiers, key=lambda tier: abs(tier_side(tier) - tier_side(size.tier)))
    ratio = size.ratio or Fraction(1)
    if policy == "exact" and not Fraction(1, family.max_ratio) <= ratio <= family.max_ratio:
        raise InvalidInputError(
            f"ratio {size.text!r} is not legal for Seedream {family.name}: at most {family.max_ratio}:1 either way"
        )
    tier = "2K" if "2K" in family.tiers else "1K"
    row = _PRESETS.get(f"{tier} wide" if family.wide_1k else tier, "").split()
    if family.tiers and max(ratio, 1 / ratio) in _PRESET_RATIOS:
        wide, high = map(int, row[_PRESET_RATIOS.index(max(ratio, 1 / ratio))].split("x"))
        return f"{wide}x{high}" if ratio >= 1 else f"{high}x{wide}"
    area = tier_side(tier) ** 2
    wide, high = round(sqrt(area * ratio)), round(sqrt(area / ratio))
    wide, high = nearest_legal(max(wide, 1), max(high, 1), family)
    return f"{wide}x{high}"


def _limits(family: Family) -> str:
    if family.tiers == ("adaptive",):
        return "only 'adaptive', the size of the reference image"
    sides = f", sides {family.min_side} to {family.max_side}" if family.max_side < 1 << 20 else ""
    floor = (
        f"; smaller sizes are enlarged until both sides have {family.side_floor}"
        if family.side_floor
        else ""
    )
    return f"{family.min_pixels} to {family.max_pixels} pixels in all, ratio up to {family.max_ratio}:1{sides}{floor}"
