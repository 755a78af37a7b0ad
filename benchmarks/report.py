"""Figures -> ratios, verdicts and tables. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cases import Row
from environments import OURS, PEERS, RAW
from measure import Figures, Outcome

LINEAR = 1.15
"""Largest exponent that passes for linear: a tenth more cost over a step of four is 0.07."""

_PEERS = frozenset(peer.name for peer in PEERS)


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{_short(self.middle)} [{_short(self.low)}-{_short(self.high)}]"


@dataclass(frozen=True)
class Verdict:
    """What one row says. ``spreads``: each client's own figure, in the row's unit."""

    row: Row
    case: str
    spreads: dict[str, Spread]
    ratio: Spread | None
    met: bool | None
    best_peer: str = ""
    peer_ratio: Spread | None = None
    peer_met: bool | None = None

    def as_json(self) -> dict[str, Any]:
        def plain(spread: Spread | None) -> list[float] | None:
            return None if spread is None else [spread.low, spread.middle, spread.high]

        return {
            "case": self.case,
            "work": self.row.work,
            "unit": self.row.unit_name,
            "target": self.row.target,
            "absolute": self.row.absolute,
            "figures": {name: plain(spread) for name, spread in self.spreads.items()},
            "ratio": plain(self.ratio),
            "met": self.met,
            "best_peer": self.best_peer,
            "peer_ratio": plain(self.peer_ratio),
            "peer_target": self.row.peer,
            "peer_met": self.peer_met,
        }


def verdict(case: str, row: Row, outcome: Outcome) -> Verdict:
    series = {
        name: [None if figures is None else figures[row.figure] / row.unit for figures in rounds]
        for name, rounds in outcome.rounds.items()
    }
    spreads = {name: Spread.of(_known(values)) for name, values in series.items() if _known(values)}
    if OURS.name not in spreads:
        return Verdict(row, case, spreads, None, None)
    ours = series[OURS.name]
    ratio = _paired(ours, series[RAW.name]) if RAW.name in spreads else None
    judged = spreads[OURS.name] if row.absolute else ratio
    met = None if judged is None else _meets(judged.middle, row.target, row.at_least)
    peers = {name: spread.middle for name, spread in spreads.items() if name in _PEERS}
    if row.peer is None or not peers:
        return Verdict(row, case, spreads, ratio, met)
    best = (max if row.at_least else min)(peers, key=lambda name: peers[name])
    against = _paired(ours, series[best])
    peer_met = None if against is None else _meets(against.middle, row.peer, row.at_least)
    if against is None and peers[best] == spreads[OURS.name].middle:
        peer_met = True
    return Verdict(row, case, spreads, ratio, met, best, against, peer_met)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _paired(ours: Sequence[float | None], other: Sequence[float | None]) -> Spread | None:
    """Ours by the other's, round by round."""
    ratios = [one / two for one, two in zip(ours, other, strict=True) if one is not None and two]
    return Spread.of(ratios) if ratios else None


def _meets(value: float, target: float, at_least: bool) -> bool:
    return value >= target if at_least else value <= target


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """A Markdown table."""
    lines = [
        "| work | ours | raw SDK | ours / raw SDK [quartiles] | target | met? | ours / best peer | target | met? | best peer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for found in verdicts:
        row, spreads = found.row, found.spreads
        sign = "≥" if row.at_least else "≤"
        target = f"{sign} {row.target:g}" + (f" {row.unit_name}".rstrip() if row.absolute else "")
        cells = [
            row.work,
            _amount(spreads.get(OURS.name), row),
            _amount(spreads.get(RAW.name), row),
            str(found.ratio or ""),
            target,
            _word(found.met),
            str(found.peer_ratio or ""),
            "" if row.peer is None else "ahead" if row.peer == 1.0 else f"≤ {row.peer:g}",
            _word(found.peer_met),
            f"{found.best_peer} ({_amount(spreads[found.best_peer], row)})"
            if found.best_peer
            else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _amount(spread: Spread | None, row: Row) -> str:
    return "" if spread is None else f"{_short(spread.middle)} {row.unit_name}".rstrip()


def _word(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "**no**"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


@dataclass(frozen=True)
class Exponent:
    """
    Of the growth above the cost of the smallest size; 1 is linear.

    ``fitted`` on a double logarithmic scale to the sizes whose cost is at least half as much again
    as the smallest one's; ``last``: of the step to the largest size, where what is not linear shows
    first.
    """

    fitted: float
    last: float

    @classmethod
    def of(cls, points: Sequence[Figures]) -> Exponent | None:
        """None when fewer than two sizes cost so much."""
        fixed, least = points[0]["cpu"], points[0]["n"]
        above = [
            (math.log(point["n"] - least), math.log(point["cpu"] - fixed))
            for point in points[1:]
            if point["cpu"] >= 1.5 * fixed
        ]
        if len(above) < 2:
            return None
        (x, y), (right, top) = above[-2:]
        fit = statistics.linear_regression([x for x, _ in above], [y for _, y in above])
        return cls(fit.slope, (top - y) / (right - x))

    @property
    def is_linear(self) -> bool:
        return max(self.fitted, self.last) <= LINEAR

    def __str__(self) -> str:
        return f"{self.fitted:.2f}, last step {self.last:.2f}"
