"""A vendor that is down is not asked by every job."""

from __future__ import annotations

from typing import Any

FAILURES = 5
"""Failures in a row that open a circuit."""
FIRST_SECONDS = 15.0
LONGEST_SECONDS = 300.0
"""How long it stays open; twice as long after each probe that fails."""

REFUSALS = 3
"""Refusals of the account in a row, after which the vendor is not asked again in this run."""


class Circuit:
    """
    Closed: requests pass. Open: none does. When its time is over one request probes the vendor.

    ``dead``: the error that ended it for this run: a key, a permission or a balance, which no
    waiting mends.
    """

    def __init__(self) -> None:
        self.dead: dict[str, Any] | None = None
        self._failures = 0
        self._refusals = 0
        self._seconds = FIRST_SECONDS
        self._until = 0.0
        self._probing = False

    def wait(self, now: float) -> float:
        """Seconds until a request may pass, 0 for now; inf: not before another one has ended."""
        if self.dead is not None or self._probing:
            return float("inf")
        if self._failures < FAILURES:
            return 0.0
        return max(self._until - now, 0.0)

    @property
    def is_open(self) -> bool:
        return self.dead is not None or self._failures >= FAILURES

    def left(self) -> None:
        """A request passes."""
        self._probing = self.is_open

    def worked(self) -> None:
        """The vendor answered, also with a refusal of this one request."""
        self._failures = self._refusals = 0
        self._seconds = FIRST_SECONDS
        self._probing = False

    def failed(self, now: float) -> None:
        """It is unreachable or broken."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._probing:
            self._seconds = min(self._seconds * 2, LONGEST_SECONDS)
        self._probing = False
        self._until = now + self._seconds

    def refused(self, error: dict[str, Any]) -> None:
        """It refuses the account."""
        self._probing = False
        self._refusals += 1
        if self._refusals >= REFUSALS:
            self.dead = error

    def passed(self) -> None:
        """A request ended that tells nothing of the vendor."""
        self._probing = False
