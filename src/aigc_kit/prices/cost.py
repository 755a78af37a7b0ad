"""An amount of money that says where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from math import isfinite
from typing import Any

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[])
"""Money is reckoned in this one: the application's own may round to six digits, or raise."""

_DECIMALS = 12


class Cost(dict[str, Any]):
    """
    JSON: ``{"amount": 0.0123, "currency": "CNY", "source": "https://...", "as_of": "2026-11-25"}``,
    and ``"upper_bound": True`` where it may be less.

    ``amount`` as an attribute is the exact ``Decimal``: add those, not the floats. ``as_of``: when
    the price was read.
    """

    def __init__(
        self,
        amount: Decimal,
        currency: str,
        *,
        source: str,
        as_of: str,
        upper_bound: bool = False,
    ) -> None:
        super().__init__(
            amount=round(float(amount), _DECIMALS),
            currency=currency,
            source=source,
            as_of=as_of,
        )
        self._amount = amount
        if upper_bound:
            self["upper_bound"] = True

    @classmethod
    def read(cls, known: Any) -> Cost | None:
        """A cost from its JSON, or None."""
        if isinstance(known, Cost):
            return known
        amount = finite(known.get("amount")) if isinstance(known, Mapping) else None
        if amount is None:
            return None
        return cls(
            amount,
            str(known.get("currency", "")),
            source=str(known.get("source", "")),
            as_of=str(known.get("as_of", "")),
            upper_bound=bool(known.get("upper_bound")),
        )

    @property
    def amount(self) -> Decimal:
        """Exact, in units of ``currency``."""
        return self._amount

    @property
    def currency(self) -> str:
        """ISO 4217: ``CNY`` or ``USD``."""
        return str(self["currency"])

    @property
    def source(self) -> str:
        """The URL of the price list, or who else named the price."""
        return str(self["source"])

    @property
    def as_of(self) -> str:
        """The day on which the price was read: ``YYYY-MM-DD``."""
        return str(self["as_of"])

    @property
    def upper_bound(self) -> bool:
        """Whether it may have been less, as where the outcome is unknown."""
        return bool(self.get("upper_bound"))

    def __reduce__(self) -> Any:
        return _made, (self._amount, dict(self))

    def __str__(self) -> str:
        most = "at most " if self.upper_bound else ""
        return f"{most}{EXACT.normalize(self._amount):f} {self.currency}"


def finite(amount: Any) -> Decimal | None:
    """A number of JSON as money; None where it is none: Python's JSON also reads NaN and Infinity."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, Decimal)):
        return None
    number = Decimal(str(amount)) if isinstance(amount, float) else Decimal(amount)
    return number if number.is_finite() and isfinite(float(number)) else None


def _made(amount: Decimal, known: dict[str, Any]) -> Cost:
    bound = bool(known.get("upper_bound"))
    return Cost(
        amount, known["currency"], source=known["source"], as_of=known["as_of"], upper_bound=bound
    )


def summed(costs: Iterable[Cost | None]) -> Cost | None:
    """
    All of them together; None when one is unknown, or when they are in several currencies: nothing
    is converted silently.
    """
    found = list(costs)
    known = [cost for cost in found if cost is not None]
    if not known or len(known) < len(found) or len({cost.currency for cost in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    with localcontext(EXACT):
        total = sum((cost.amount for cost in known), Decimal(0))
    return Cost(
        total,
        known[0].currency,
        source=", ".join(dict.fromkeys(cost.source for cost in known)),
        as_of=min(cost.as_of for cost in known),
        upper_bound=any(cost.upper_bound for cost in known),
    )
