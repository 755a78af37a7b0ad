"""
The ratios and tiers that Gemini's image models accept. Pure.

Source: https://ai.google.dev/gemini-api/docs/image-generation, live values where they differ, read
2026-11-22.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from math import log, sqrt
from typing import Any

from aigc_kit.errors import InvalidInputError
from aigc_kit.image.sizes.size import PIXELS, Size, tier_side, warning
from aigc_kit.media.sniff import HEIC

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
_ALL_TYPES = _BASIC_TYPES | HEIC
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
            else min(tiers, key=lambda t: abs(tier_side(t or "1K") - tier_side(size.tier)))
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
    if found := PIXELS.fullmatch(ratio):
        return int(found[1]), int(found[2])
    canvas = canvas_of(model)
    known = ratio in canvas.ratios and (tier in canvas.tiers or not (tier or canvas.tiers))
    return gemini_pixels(ratio, tier, canvas) if known else None
