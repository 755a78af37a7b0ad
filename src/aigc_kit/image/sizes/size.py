"""Sizes as an application asks for them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
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


PIXELS = re.compile(r"(\d{1,6})\s*[xX*×]\s*(\d{1,6})", re.ASCII)
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
    if found := PIXELS.fullmatch(text):
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


def tier_side(tier: str) -> float:
    return 512 if tier == "512" else float(tier.rstrip("K")) * 1024
