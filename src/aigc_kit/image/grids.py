"""Sizes of vendors that take pixels or ratios: what a model takes, and the nearest of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf, log, sqrt

from aigc_kit.errors import InvalidInputError
from aigc_kit.image.sizes import Size, warning


@dataclass(frozen=True)
class Grid:
    """
    Pixels that a model takes.

    ``step``: both sides are multiples of it. ``least .. most``: the product of the sides.
    ``max_ratio``: the longer side over the shorter. ``only``: the only sizes, where there are few.
    ``auto``: the model can choose by itself. ``area``: pixels for a ratio. ``tidy``: what sides are
    multiples of where only a ratio or a tier was asked for.
    """

    what: str
    step: int = 1
    min_side: int = 1
    max_side: int = 1 << 20
    least: int = 1
    most: int = 1 << 40
    max_ratio: float = inf
    only: tuple[tuple[int, int], ...] = ()
    auto: bool = False
    area: int = 1024 * 1024
    tidy: int = 16

    def takes(self, width: int, height: int) -> bool:
        if self.only:
            return (width, height) in self.only
        return (
            width % self.step == height % self.step == 0
            and self.min_side <= min(width, height)
            and max(width, height) <= self.max_side
            and self.least <= width * height <= self.most
            and max(width, height) <= self.max_ratio * min(width, height)
        )

    def limits(self) -> str:
        if self.only:
            return ", ".join(f"{wide}x{high}" for wide, high in self.only)
        ratio = f", ratio up to {self.max_ratio:g}:1" if self.max_ratio < inf else ""
        return (
            f"sides {self.min_side} to {self.max_side} in multiples of {self.step},"
            f" {self.least} to {self.most} pixels in all{ratio}"
        )


@dataclass(frozen=True)
class Ratios:
    """A vendor that takes a ratio and a tier instead of pixels."""

    what: str
    ratios: tuple[str, ...]
    tiers: tuple[str, ...] = ()


ANY = Grid("the model")
"""A model without a known rule: pixels are sent as they were asked for."""


def fit(size: Size, grid: Grid, *, policy: str) -> tuple[str, list[dict[str, str]]]:
    """
    (``"WIDTHxHEIGHT"``, or ``"auto"``, or ``""`` where nothing is to be sent; warnings).

    Raises:
        InvalidInputError: ``policy`` is ``"exact"`` and the model does not take the size; names the
            nearest.
    """
    if size.tier in ("auto", "adaptive"):
        return ("auto" if grid.auto else ""), []
    if size.width and grid.takes(size.width, size.height):
        return f"{size.width}x{size.height}", []
    wide, high = nearest(size, grid)
    sent = f"{wide}x{high}"
    ratio = Fraction(wide, high)
    close = size.ratio is None or abs(log(float(ratio / size.ratio))) < _CLOSE
    if not size.width and close and _is_tier(size, wide, high):
        return sent, []
    if policy == "exact":
        raise InvalidInputError(
            f"size {size.text!r} is not legal for {grid.what} ({grid.limits()}); the nearest legal"
            f" size is {sent!r}"
        )
    return sent, [warning(size.text, sent, f"{grid.what} takes {grid.limits()}")]


_CLOSE = 0.02
"""A ratio that is met this closely, as a logarithm, is met: sides are multiples of 16 or 32."""


def _is_tier(size: Size, wide: int, high: int) -> bool:
    return not size.tier or wide * high >= 0.9 * _side(size.tier) ** 2


def nearest(size: Size, grid: Grid) -> tuple[int, int]:
    """The legal pixels nearest to a size: of a ratio with the grid's area, of a tier a square."""
    wide, high = _ideal(size, grid)
    if grid.only:
        return min(grid.only, key=lambda pair: _off(pair, wide, high))
    if size.width:
        near = (pair for pair in _around(wide, high, grid.step, 4) if grid.takes(*pair))
        return min(near, key=lambda pair: _off(pair, wide, high))
    # A ratio has no pixels of its own: exact sides within a quarter of the area count for more.
    step = max(grid.step, grid.tidy)
    legal = [
        pair for pair in _around(wide, high, step, 4 + int(wide / 8 / step)) if grid.takes(*pair)
    ]
    ratio = wide / high
    return min(
        legal,
        key=lambda pair: (
            round(abs(log(pair[0] / pair[1] / ratio)), 3),
            abs(pair[0] * pair[1] - wide * high),
            -pair[0],
        ),
    )


def _off(pair: tuple[int, int], wide: float, high: float) -> tuple[float, float]:
    sides = abs(log(pair[0] / wide)), abs(log(pair[1] / high))
    return abs(log(pair[0] / pair[1] / (wide / high))) + max(sides), -pair[0]


def _around(wide: float, high: float, step: int, reach: int) -> Iterator[tuple[int, int]]:
    for i in range(-reach, reach + 1):
        width = (round(wide / step) + i) * step
        if width <= 0:
            continue
        middle = round(width * high / wide / step)
        for j in (-1, 0, 1):
            if middle + j > 0:
                yield width, (middle + j) * step


def _ideal(size: Size, grid: Grid) -> tuple[float, float]:
    """Real sides within the limits, the ratio kept where they allow it."""
    ratio = float(size.ratio or 1)
    ratio = min(max(ratio, 1 / grid.max_ratio), grid.max_ratio)
    steep = max(ratio, 1 / ratio)
    if not grid.only:  # sides of at least one step, and of both limits
        steep = min(steep, grid.max_side / grid.min_side)
        ratio = steep if ratio >= 1 else 1 / steep
    area = float(size.width * size.height or _area(size, grid))
    area = min(max(area, grid.least, grid.min_side**2 * steep), grid.most, grid.max_side**2 / steep)
    return sqrt(area * ratio), sqrt(area / ratio)


def _area(size: Size, grid: Grid) -> float:
    return _side(size.tier) ** 2 if size.tier else grid.area


def _side(tier: str) -> float:
    return 512 if tier == "512" else float(tier.rstrip("K")) * 1024


def fit_ratio(size: Size, known: Ratios, *, policy: str) -> tuple[str, str, list[dict[str, str]]]:
    """
    (ratio, tier, warnings); either is ``""`` where nothing is to be sent.

    Pixels that a vendor of ratios makes are not known beforehand: only the ratio is compared.

    Raises:
        InvalidInputError: ``policy`` is ``"exact"`` and the ratio or the tier does not exist.
    """
    if size.tier in ("auto", "adaptive"):
        return "", "", []
    tier = _tier(size, known)
    ratio = ""
    if size.ratio is not None:
        wanted = log(size.ratio)
        ratio = min(known.ratios, key=lambda text: abs(_log(text) - wanted))
    same_ratio = not ratio or abs(_log(ratio) - log(size.ratio or 1)) < _CLOSE
    if same_ratio and (not size.tier or tier == size.tier):
        return ratio, tier, []
    sent = "/".join(filter(None, (ratio, tier)))
    has = f"{known.what} has the ratios {', '.join(known.ratios)} and the tiers {', '.join(known.tiers) or 'none'}"
    if policy == "exact":
        raise InvalidInputError(
            f"size {size.text!r} does not exist there: {has}; the nearest is {sent!r}"
        )
    return ratio, tier, [warning(size.text, sent, has)]


def _tier(size: Size, known: Ratios) -> str:
    if not known.tiers or not (size.tier or size.width):
        return ""
    side = _side(size.tier) if size.tier else sqrt(size.width * size.height)
    return min(known.tiers, key=lambda tier: abs(log(_side(tier) / side)))


def _log(ratio: str) -> float:
    wide, _, high = ratio.partition(":")
    return log(float(wide) / float(high))


def matches(pattern: str, model: str) -> bool:
    """Whether the model, without a relay's prefix (``openai/``), is one of a pattern."""
    return re.fullmatch(pattern, model.rsplit("/", 1)[-1], re.IGNORECASE) is not None
