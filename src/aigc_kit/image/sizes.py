"""
Sizes: what an application asks for, and what each model family accepts. Pure.

Ark answers an illegal size with 400 and never enlarges by itself, so the legal size is worked out
here. Source: https://docs.byteplus.com/en/docs/ModelArk/1541523 and probes published by third
parties, read 2026-11-22; Gemini: https://ai.google.dev/gemini-api/docs/image-generation, live
values where they differ, read 2026-11-22.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import log, sqrt
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.settings import spelled

POLICIES = ("nearest", "exact")
MAX_SIDE = 100_000
"""Larger sides are typing errors, not sizes."""


@dataclass(frozen=True)
class Size:
    """
    A parsed size: pixels (``width`` and ``height``), a ratio, or a tier such as ``"2K"``. ``text``
    is as asked.
    """

    text: str
    width: int = 0
    height: int = 0
    ratio: Fraction | None = None
    tier: str = ""


_PIXELS = re.compile(r"(\d{1,6})\s*[xX*×]\s*(\d{1,6})", re.ASCII)
_RATIO = re.compile(r"(\d{1,4})\s*[::]\s*(\d{1,4})", re.ASCII)
_TIER = re.compile(r"(0\.5|1|1\.5|2|3|4)[kK]|512|adaptive|auto", re.ASCII)


def _tier(text: str) -> str:
    """The tier as the tables spell it."""
    if text in ("0.5K", "0.5k"):
        return "512"
    return text.upper() if text[0].isdigit() else text


def parse(size: Any) -> Size:
    """
    Read ``"WIDTHxHEIGHT"`` (also ``X * ×``), a ratio ``"16:9"``, a tier ``"2K"``, ``"adaptive"`` or
    ``"auto"``.

    Raises:
        InvalidInputError: it is none of them.
    """
    text = size.strip() if isinstance(size, str) else ""
    if found := _PIXELS.fullmatch(text):
        width, height = int(found[1]), int(found[2])
        if 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE:
            return Size(text, width, height, Fraction(width, height))
    elif found := _RATIO.fullmatch(text):
        if int(found[1]) and int(found[2]):
            return Size(text, ratio=Fraction(int(found[1]), int(found[2])))
    elif _TIER.fullmatch(text):
        return Size(text, tier=_tier(text))
    raise InvalidInputError(
        f"size {spelled(size)} is not understood: expected 'WIDTHxHEIGHT' in pixels like '1024x1024', a ratio like '16:9',"
        " or a tier like '2K'"
    )


def check_policy(policy: Any) -> str:
    """
    Raises:
        ConfigurationError: not one of ``POLICIES``.
    """
    if not isinstance(policy, str) or policy not in POLICIES:
        raise ConfigurationError(f"size_policy must be 'nearest' or 'exact', got {spelled(policy)}")
    return str(policy)


def warning(requested: str, sent: str, why: str) -> dict[str, str]:
    return {"feature": "size", "details": f"{requested} was sent as {sent}: {why}"}


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


_HEIC = frozenset({"image/heic", "image/heif"})
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
            reference_types=_TYPES | _HEIC,
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
        return min(family.tiers, key=lambda tier: abs(_tier_side(tier) - _tier_side(size.tier)))
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
    area = _tier_side(tier) ** 2
    wide, high = round(sqrt(area * ratio)), round(sqrt(area / ratio))
    wide, high = nearest_legal(max(wide, 1), max(high, 1), family)
    return f"{wide}x{high}"


def _tier_side(tier: str) -> float:
    return 512 if tier == "512" else float(tier.rstrip("K")) * 1024


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


# ---- Gemini


@dataclass(frozen=True)
class Canvas:
    """What one line of Gemini image models offers. ``references``: images at most in one prompt."""

    ratios: tuple[str, ...]
    tiers: tuple[str, ...]
    references: int
    reference_types: frozenset[str]


_TEN = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_FOURTEEN = (*_TEN, "1:4", "4:1", "1:8", "8:1")
_BASIC_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
_ALL_TYPES = _BASIC_TYPES | _HEIC
CANVASES = {  # the most telling name first
    "gemini-2.5-flash-image": Canvas(_TEN, (), 3, _BASIC_TYPES),
    "gemini-3.1-flash-lite-image": Canvas(_FOURTEEN, ("1K",), 14, _ALL_TYPES),
    "gemini-3.1-flash-image": Canvas(_FOURTEEN, ("512", "1K", "2K", "4K"), 14, _ALL_TYPES),
    "gemini-3-pro-image": Canvas(_TEN, ("1K", "2K", "4K"), 14, _ALL_TYPES),
    "gemini-nano-banana-2.1": Canvas(_FOURTEEN, ("1K", "2K", "4K"), 14, _ALL_TYPES),
}
COMMON_CANVAS = Canvas(_TEN, ("1K", "2K", "4K"), 14, _ALL_TYPES)
"""For models without a row of their own."""

_PIXELS_25 = dict(
    zip(
        _TEN,
        [
            "1024x1024",
            "832x1248",
            "1248x832",
            "864x1184",
            "1184x864",
            "896x1152",
            "1152x896",
            "768x1344",
            "1344x768",
            "1536x672",
        ],
        strict=True,
    )
)
_PIXELS_1K = dict(
    zip(
        _FOURTEEN,
        [
            "1024x1024",
            "848x1264",
            "1264x848",
            "896x1200",
            "1200x896",
            "928x1152",
            "1152x928",
            "768x1376",
            "1376x768",
            "1584x672",
            "512x2064",
            "2064x512",
            "352x2928",
            "2928x352",
        ],
        strict=True,
    )
)
_PIXELS_512 = dict(
    zip(
        _FOURTEEN,
        [
            "512x512",
            "424x632",
            "632x424",
            "448x600",
            "600x448",
            "464x576",
            "576x464",
            "384x688",
            "688x384",
            "784x336",
            "256x1024",
            "1024x256",
            "176x1456",
            "1456x176",
        ],
        strict=True,
    )
)
_ALIASES = {  # documented sizes that differ from what comes, and the old Imagen shapes
    "792x168": ("21:9", "512"),
    "168x792": ("9:16", "512"),
    "512x2048": ("1:4", "1K"),
    "2048x512": ("4:1", "1K"),
    "1024x4096": ("1:4", "2K"),
    "4096x1024": ("4:1", "2K"),
    "2048x8192": ("1:4", "4K"),
    "8192x2048": ("4:1", "4K"),
    "192x1536": ("1:8", "512"),
    "1536x192": ("8:1", "512"),
    "384x3072": ("1:8", "1K"),
    "3072x384": ("8:1", "1K"),
    "768x6144": ("1:8", "2K"),
    "6144x768": ("8:1", "2K"),
    "1536x12288": ("1:8", "4K"),
    "12288x1536": ("8:1", "4K"),
    "896x1280": ("3:4", "1K"),
    "1280x896": ("4:3", "1K"),
}
_SCALES = {"1K": 1, "2K": 2, "4K": 4}


@functools.lru_cache(maxsize=256)
def canvas_of(model: str) -> Canvas:
    """
    What a Gemini model offers, however a relay spells it; the common set for ids that are not
    known.
    """
    name = re.split(r"[:@]", model.lower())[0].rsplit("/", 1)[-1].replace(".", "-")
    name = next((full for alias, full in _NICKNAMES.items() if re.fullmatch(alias, name)), name)
    for stem, canvas in CANVASES.items():
        known = stem.replace(".", "-")
        if name == known or name.startswith(known + "-"):
            return canvas
    return COMMON_CANVAS


_NICKNAMES = {
    r"nano-banana(-1)?": "gemini-2-5-flash-image",
    r"nano-banana-pro(-.*)?": "gemini-3-pro-image",
    r"nano-banana-2(-(?!1).*)?": "gemini-3-1-flash-image",
    r"nano-banana-2-1(-.*)?": "gemini-nano-banana-2-1",
}
"""What relays call them."""


def gemini_pixels(ratio: str, tier: str, canvas: Canvas) -> tuple[int, int]:
    """The pixels that come for a ratio and a tier (``""``: a model without tiers)."""
    if not canvas.tiers:
        text, scale = _PIXELS_25[ratio], 1
    elif tier == "512":
        text, scale = _PIXELS_512[ratio], 1
    else:
        text, scale = _PIXELS_1K[ratio], _SCALES[tier or "1K"]
    width, height = map(int, text.split("x"))
    return width * scale, height * scale


def fit_gemini(
    size: Size, canvas: Canvas, *, policy: str = "nearest"
) -> tuple[str, str, list[dict[str, str]]]:
    """
    (aspect ratio, tier, warnings) for a size; either is ``""`` where nothing is to be sent.

    Raises:
        InvalidInputError: ``policy`` is ``"exact"`` and the model does not make just this; names
            the nearest.
    """
    if size.tier in ("auto", "adaptive"):
        return "", "", []
    if size.tier:
        tiers = canvas.tiers or ("",)
        tier = (
            size.tier
            if size.tier in tiers
            else min(tiers, key=lambda t: abs(_tier_side(t or "1K") - _tier_side(size.tier)))
        )
        if tier != size.tier:
            return "", *_changed(size, tier or "the model's only size", policy, canvas, tier)
        return "", tier, []
    if size.width == 0:
        ratio = _nearest_ratio(size.ratio or Fraction(1), canvas)
        if Fraction(*map(int, ratio.split(":"))) != size.ratio:
            _, warnings = _changed(size, ratio, policy, canvas, "")
            return ratio, "", warnings
        return ratio, "", []
    ratio, tier = (
        _exact_match(size, canvas)
        or _alias(size, canvas)
        or (_nearest_ratio(Fraction(size.width, size.height), canvas), "")
    )
    if canvas.tiers and not tier:
        tier = _nearest_tier(size, ratio, canvas)
    width, height = gemini_pixels(ratio, tier, canvas)
    if (width, height) == (size.width, size.height):
        return ratio, tier, []
    if policy == "exact":
        raise InvalidInputError(
            f"size {size.text!r} is not one that the model makes; the nearest is '{width}x{height}'"
        )
    sent = f"{ratio}/{tier}" if tier else ratio
    return ratio, tier, [warning(size.text, sent, f"the model makes {width}x{height} of it")]


def _changed(
    size: Size, sent: str, policy: str, canvas: Canvas, tier: str
) -> tuple[str, list[dict[str, str]]]:
    has = f"the model has ratios {', '.join(canvas.ratios)} and tiers {', '.join(canvas.tiers) or 'none'}"
    if policy == "exact":
        raise InvalidInputError(
            f"size {size.text!r} does not exist there: {has}; the nearest is {sent!r}"
        )
    return tier, [warning(size.text, sent, has)]


def _exact_match(size: Size, canvas: Canvas) -> tuple[str, str] | None:
    for tier in canvas.tiers or ("",):
        for ratio in canvas.ratios:
            if gemini_pixels(ratio, tier, canvas) == (size.width, size.height):
                return ratio, tier
    return None


def _alias(size: Size, canvas: Canvas) -> tuple[str, str] | None:
    ratio, tier = _ALIASES.get(f"{size.width}x{size.height}", ("", ""))
    if ratio not in canvas.ratios or (canvas.tiers and tier not in canvas.tiers):
        return None
    return ratio, tier if canvas.tiers else ""


def _nearest_ratio(wanted: Fraction, canvas: Canvas) -> str:
    def distance(text: str) -> tuple[float, float]:
        ratio = log(Fraction(*map(int, text.split(":"))))
        return round(abs(ratio - log(wanted)), 9), abs(ratio)

    return min(canvas.ratios, key=distance)


def _nearest_tier(size: Size, ratio: str, canvas: Canvas) -> str:
    """The smallest tier that is not noticeably smaller than asked: 0.8 of the side, by area."""
    wanted = 0.8 * sqrt(size.width * size.height)
    for tier in canvas.tiers:
        width, height = gemini_pixels(ratio, tier, canvas)
        if sqrt(width * height) >= wanted:
            return tier
    return canvas.tiers[-1]


def pixels_of(sent: Any, model: str) -> tuple[int, int] | None:
    """
    The pixels that are due for what was sent as a size, or None where the model itself decides.
    """
    ratio, _, tier = str(sent or "").partition("/")
    if not ratio:
        return None
    if found := _PIXELS.fullmatch(ratio):
        return int(found[1]), int(found[2])
    canvas = canvas_of(model)
    known = ratio in canvas.ratios and (tier in canvas.tiers or not (tier or canvas.tiers))
    return gemini_pixels(ratio, tier, canvas) if known else None
