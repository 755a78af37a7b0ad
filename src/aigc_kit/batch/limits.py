"""
Rate limits: what one vendor and model may be asked, and when the next request may leave.

The coordinator asks before it hands a job to a worker, so one limit holds for all workers of a run.
No limiter library is used: pyrate-limiter 4.5, limits 5.8 and throttled-py 3.5 (read 2026-11-26)
count against fixed rates on the machine's own clock; here one answer comes from several limits at
once, a rate changes while it is in use, and "when" is asked without sleeping.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import spelled

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)?\s*([a-z]+)\s*")
_MINUTES = {
    **dict.fromkeys(("s", "sec", "second"), 1 / 60),
    **dict.fromkeys(("m", "min", "minute"), 1.0),
    **dict.fromkeys(("h", "hour"), 60.0),
    **dict.fromkeys(("d", "day"), 1440.0),
}
_EXPECTED = "expected '60/min', '2/s', '500/h', '2000/day', a number per minute, or a Limit"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """
    What a vendor allows, each None where it sets no limit.

    ``requests``, ``images``, ``tokens``: per minute. ``concurrency``: requests at the same time.
    """

    requests: float | None = None
    images: float | None = None
    tokens: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise ConfigurationError(
                    f"{each.name} of a Limit must be a number above 0, got {spelled(value)}"
                )
        if self.concurrency is not None and self.concurrency != int(self.concurrency):
            raise ConfigurationError(
                f"concurrency of a Limit must be a whole number, got {self.concurrency!r}"
            )

    @classmethod
    def of(cls, value: Any) -> Limit:
        """
        From ``"60/min"``, a number of requests per minute, a dict of the fields, or a ``Limit``.

        Raises:
            ConfigurationError: none of these.
        """
        if isinstance(value, Limit):
            return value
        if isinstance(value, Mapping):
            unknown = sorted(set(map(str, value)) - {each.name for each in fields(cls)})
            if unknown:
                raise ConfigurationError(f"a limit has no {unknown[0]!r}; {_EXPECTED}")
            return cls(**{str(name): _per_minute(each) for name, each in value.items()})
        return cls(requests=_per_minute(value))


def _per_minute(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    found = _RATE.fullmatch(value.lower()) if isinstance(value, str) else None
    if found is None or found[3] not in _MINUTES:
        raise ConfigurationError(f"a limit cannot be read from {spelled(value)}: {_EXPECTED}")
    return float(found[1]) / (float(found[2] or 1) * _MINUTES[found[3]])


SLACK = 0.25
"""
Seconds by which a request may leave before its turn when those before it left late.

Without it each late wake-up of the coordinator is lost for good: 5 ms of 100 are 5 % of 600 a
minute. In any window of a minute it lets 0.4 % more pass than the limit.
"""


class Bucket:
    """
    One limit as a generic cell rate algorithm: a turn for each unit, at even distances.

    Source: ITU-T I.371 (virtual scheduling); https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm,
    read 2026-11-26.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self.per_second = per_minute / 60
        self._turn = now + SLACK  # no burst at the start

    def ready(self) -> float:
        """When the next one may leave."""
        return self._turn - SLACK

    def take(self, units: float, now: float) -> None:
        """``units`` left now; negative ones come back."""
        self._turn = max(self._turn, now) + units / self.per_second

    def change(self, per_second: float, now: float) -> None:
        """Another rate from now on; turns that were given stay."""
        wait = max(self._turn - now - SLACK, 0.0)
        self._turn = now + SLACK + min(wait, 1 / per_second)
        self.per_second = per_second


@dataclass(frozen=True)
class Load:
    """What one request takes of the limits."""

    images: float = 0
    tokens: float = 0


DECREASE = 0.5
"""What is left of the present rate after a 429, ..."""
FLOOR = 0.9
"""... but no less than this part of what the vendor accepted in the last minute."""
INCREASE = 0.03
"""Of the rate before the 429, added for each ``STEP`` without another one."""
STEP = 30.0
_YOUNG_STEP = 5.0
_YOUNG_GROWTH = 1.5
"""
A 429 of the first minute says little about the rate: what was learned from it grows by this factor
for each step, as TCP starts slowly and then doubles.
"""
_HOLD = 10.0
"""Seconds in which further 429s tell of the same overload."""
_FADE = 0.98
_FAR = 0.1
"""The best rate fades by this factor with each 429; the rate does not fall below this part of it."""
_LEAST = 1 / 60
"""Requests a second that a learned rate does not go below."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
"""Seconds after a 429 that does not say how long to wait, twice as long after each in a row."""
RARE = 0.05
"""Of the last minute's requests, the part of 429s below which the pace does not change."""
_MANY = 20
_MINUTE = 60.0
_ENOUGH = 3
"""Requests of the last minute from which its rate is known."""
_MOST = 10_000
"""Requests of the last minute that are counted; more are a rate that no vendor has."""


class Pace:
    """
    The pace of one vendor or model: its limits, and what its 429s teach.

    A 429 pauses the pace for ``Retry-After`` and sets a learned rate below the present one; then it
    grows by a fixed step up to the limit that was given (additive increase, multiplicative
    decrease).
    """

    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self.in_flight = 0
        given = (("requests", limit.requests), ("images", limit.images), ("tokens", limit.tokens))
        self._buckets = {name: Bucket(rate, now) for name, rate in given if rate is not None}
        self._learned: Bucket | None = None
        self._before = 0.0
        self._decreased = now
        self._grown = now
        self._paused = now
        self._pauses = 0
        self._is_young = True
        self._sent = 0
        self._began: float | None = None
        self._accepted: deque[float] = deque(maxlen=_MOST)
        self._refused: deque[float] = deque(maxlen=_MOST)

    @property
    def learned(self) -> float | None:
        """Requests per minute that the vendor's 429s leave, None while it never refused."""
        return None if self._learned is None else self._learned.per_second * 60

    @property
    def per_minute(self) -> float | None:
        """Requests per minute that may leave, None without a limit; tokens are not in it."""
        known = [self.limit.requests, self.limit.images, self.learned]
        return min((rate for rate in known if rate is not None), default=None)

    def ready(self, now: float) -> float:
        """Seconds until the next one may leave, 0 for now; inf while too many are in flight."""
        if self.limit.concurrency is not None and self.in_flight >= self.limit.concurrency:
            return math.inf
        at = max((bucket.ready() for bucket in self._all()), default=now)
        return max(at, self._paused, now) - now

    def left(self, load: Load, now: float) -> None:
        """One request leaves now."""
        self.in_flight += 1
        self._sent += 1
        if self._began is None:
            self._began = now
        units = {"requests": 1.0, "images": load.images, "tokens": load.tokens}
        for name, bucket in self._buckets.items():
            bucket.take(units[name], now)
        if self._learned is not None:
            self._learned.take(1.0, now)

    def came(self, load: Load, used: Load, now: float) -> None:
        """It was accepted, and is over; what it did not use comes back."""
        self.in_flight -= 1
        self._pauses = 0
        self._accepted.append(now)
        bucket = self._buckets.get("tokens")
        if bucket is not None and used.tokens:
            bucket.take(used.tokens - load.tokens, now)
        self._grow(now)

    def refused(self, load: Load, sent_at: float, retry_after: float | None, now: float) -> None:
        """A 429 to a request that left at ``sent_at``."""
        self.in_flight -= 1
        bucket = self._buckets.get("tokens")
        if bucket is not None:
            bucket.take(-load.tokens, now)
        self._refused.append(now)
        accepted = self._accepted_rate(now)
        self._pause(sent_at, retry_after, now)
        if self._is_rare() or (self._learned is not None and now - self._decreased < _HOLD):
            return
        age = now - (now if self._began is None else self._began)
        was_young, self._is_young = self._is_young, age < _MINUTE
        present = self._sent / max(age, 1.0) if self._is_young else accepted
        if self._learned is not None:
            present = self._learned.per_second
        if not self._is_young and len(self._accepted) >= _ENOUGH:
            present = min(present, accepted / DECREASE)
        self._before = present if was_young else max(present, self._before * _FADE)
        self._decreased = self._grown = now
        least = max(accepted * FLOOR, self._before * _FAR, _LEAST)
        self._set(max(present * DECREASE, least), now)

    def _pause(self, sent_at: float, retry_after: float | None, now: float) -> None:
        wait = min(_FIRST_PAUSE * 2.0**self._pauses, _LONGEST_PAUSE)
        if retry_after is None and self._is_rare():
            return
        if sent_at >= self._paused:
            self._pauses += 1
        self._paused = max(self._paused, now + (wait if retry_after is None else retry_after))

    def _accepted_rate(self, now: float) -> float:
        """Requests a second that the vendor took in the last minute."""
        for times in (self._accepted, self._refused):
            while times and times[0] <= now - _MINUTE:
                times.popleft()
        since = _MINUTE if self._began is None else min(now - self._began, _MINUTE)
        return max(len(self._accepted), 1) / max(since, 1.0)

    def _is_rare(self) -> bool:
        """
        Whether few of many requests are refused. A vendor that is short of machines refuses some at
        any rate; a pace that falls each time would end at nothing.
        """
        total = len(self._accepted) + len(self._refused)
        return total >= _MANY and len(self._refused) < total * RARE

    def _grow(self, now: float) -> None:
        if self._learned is None:
            return
        if self._is_young:
            if now - self._grown >= _YOUNG_STEP:
                self._grown = now
                self._set(self._learned.per_second * _YOUNG_GROWTH, now)
            return
        if now - self._grown < STEP:
            return
        steps = (now - self._grown) // STEP
        self._grown += steps * STEP
        self._set(self._learned.per_second + steps * INCREASE * self._before, now)

    def _set(self, per_second: float, now: float) -> None:
        """Learn this rate; the limit that was given needs no second bucket."""
        given = [rate for rate in (self.limit.requests, self.limit.images) if rate is not None]
        if given and per_second * 60 >= min(given):
            self._learned = None
        elif self._learned is None:
            self._learned = Bucket(per_second * 60, now)
        else:
            self._learned.change(per_second, now)

    def _all(self) -> list[Bucket]:
        learned = [] if self._learned is None else [self._learned]
        return [*self._buckets.values(), *learned]


def limits_of(given: Any) -> dict[str, Limit]:
    """
    ``{"volcengine": "60/min", "gemini:gemini-3-pro-image": Limit(...), "*": ...}``, or one limit
    for each vendor.

    Raises:
        ConfigurationError: one of them is not a limit.
    """
    if given is None:
        return {}
    names = {each.name for each in fields(Limit)}
    if isinstance(given, Mapping) and not names & set(map(str, given)):
        return {str(name).strip().lower(): Limit.of(value) for name, value in given.items()}
    return {"*": Limit.of(given)}
