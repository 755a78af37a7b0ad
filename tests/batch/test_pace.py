"""Rate limits over simulated hours: kept, used up, and learned from 429s."""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import Any

import pytest

from aigc_kit.batch import Limit
from aigc_kit.batch.clients import Spec
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.limits import Load, Pace, limits_of
from aigc_kit.batch.worker import Outcome, Terms
from aigc_kit.errors import ConfigurationError
from tests.batch.simulated import Simulation, fails, works


@pytest.mark.parametrize(
    ("per_minute", "hours", "lateness"),
    [(1, 1, 0.0), (7, 1, 0.01), (60, 1, 0.0), (60, 1, 0.01), (200, 1, 0.01), (3000, 0.05, 0.01)],
)
def test_a_limit_is_kept_and_used_up_within_two_percent(
    per_minute: int, hours: float, lateness: float
) -> None:
    """Over an hour, whatever the latency and however late the coordinator wakes."""
    count = round(per_minute * 60 * hours)
    run = Simulation(
        count, limits=per_minute, concurrency=2000, seconds=10.0, lateness=lateness
    ).run()
    took = run.workers.sent[-1] - run.workers.sent[0]
    assert len(run.lines) == count
    assert (count - 1) / took * 60 == pytest.approx(per_minute, rel=0.02)
    assert run.most_in(60.0) <= max(per_minute * 1.02, per_minute + 1)


def test_one_limit_holds_for_all_models_of_a_vendor_and_a_model_has_its_own() -> None:
    rows = [
        {"prompt": f"{n}", "model": ("m1", "m2")[n % 2], "provider": ("a", "b")[n % 4 // 2]}
        for n in range(2000)
    ]
    limits = {"a": "60/min", "b": "120/min", "b:m1": "10/min"}
    run = Simulation(rows, limits=limits, concurrency=100).run()
    sent: dict[str, int] = {}
    for at, name in zip(run.workers.sent, run.workers.asked, strict=True):
        if at < 1000 + 180:
            sent[name] = sent.get(name, 0) + 1
    assert sent["a:m1"] + sent["a:m2"] == pytest.approx(180, abs=2)
    assert sent["b:m1"] == pytest.approx(30, abs=1)
    assert sent["b:m2"] == pytest.approx(330, abs=2)  # not held up by m1


def test_concurrency_of_a_vendor_is_kept() -> None:
    run = Simulation(100, limits=Limit(concurrency=3), concurrency=16).run()
    assert run.workers.most == 3
    assert Simulation(100, concurrency=16).run().workers.most == 16


def test_tokens_are_reserved_and_corrected_by_the_usage() -> None:
    """500 tokens of answer are reserved; 100 are used; the limit is 6000 a minute."""

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        return Outcome(status="done", tokens=100)

    rows = [{"id": str(n), "kind": "chat", "prompt": "hi"} for n in range(600)]
    run = Simulation(rows, vendor, limits={"tokens": 6000}, seconds=1.0).run()
    minutes = (run.workers.sent[-1] - run.workers.sent[0]) / 60
    assert 600 * 100 / minutes == pytest.approx(6000, rel=0.1)


class Window:
    """A vendor that counts what it accepted in the last minute, and refuses the rest."""

    def __init__(self, per_minute: int, *, tells: bool) -> None:
        self.per_minute, self.tells = per_minute, tells
        self.accepted: deque[float] = deque()
        self.times: list[float] = []
        self.refused = 0

    def __call__(self, job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        while self.accepted and self.accepted[0] <= now - 60:
            self.accepted.popleft()
        if len(self.accepted) < self.per_minute:
            self.accepted.append(now)
            self.times.append(now)
            return works(job, spec, terms, now)
        self.refused += 1
        wait = self.accepted[0] + 60 - now if self.tells else None
        return fails("RateLimitError", "limited", after=wait)


@pytest.mark.parametrize("per_minute", [6, 60, 200])
@pytest.mark.parametrize("tells", [True, False])
def test_an_unknown_limit_is_learned_from_429s(per_minute: int, tells: bool) -> None:
    """No job fails, the vendor's limit is used for the most part, and few requests are refused."""
    vendor = Window(per_minute, tells=tells)
    count = per_minute * 60
    run = Simulation(count, vendor, seconds=1.0, concurrency=64).run()
    assert run.statuses() == ["done"]
    hours = (vendor.times[-1] - vendor.times[0]) / 3600
    assert 0.85 < 1 / hours <= 1.01
    assert vendor.refused < 250 + count * 0.06


def test_a_429_tells_once_of_one_overload() -> None:
    """Sixteen refusals of requests that left together halve the pace once."""
    pace = Pace(Limit(), 0.0)
    for _ in range(136):
        pace.left(Load(), 0.0)
    for _ in range(120):
        pace.came(Load(), Load(), 59.0)
    for _ in range(16):
        pace.refused(Load(), 0.0, None, 60.0)
    assert pace.learned == pytest.approx(120 * 0.9)
    pace.refused(Load(), 119.0, None, 120.0)
    assert pace.learned == pytest.approx(120 * 0.9 * 0.5)


def test_a_vendor_that_refuses_some_at_any_rate_is_not_left_alone() -> None:
    """Two in a hundred, whatever the pace: it stays; half of all for ten minutes: it comes back."""
    dice = random.Random(3)

    def overloaded(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        bad = 1000 + 600 < now < 1000 + 1200
        if dice.random() < (0.5 if bad else 0.02):
            return fails("RateLimitError", "limited")
        return works(job, spec, terms, now)

    run = Simulation(20_000, overloaded, limits=600, seconds=2.0, concurrency=64).run()
    assert run.statuses() == ["done"]
    per_minute = Counter(int(at - 1000) // 60 for at in run.workers.sent)
    assert per_minute[9] > 400
    assert min(per_minute[minute] for minute in range(12, 20)) > 5
    assert per_minute[45] > 300


def test_retry_after_pauses_everybody() -> None:
    pace = Pace(Limit(), 0.0)
    pace.refused(Load(), 0.0, 30.0, 1.0)
    assert pace.ready(1.0) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("given", "per_minute"),
    [
        ("60/min", 60),
        ("2/s", 120),
        ("500 / h", 500 / 60),
        ("1440/day", 1),
        (90, 90),
        ("5/2min", 2.5),
    ],
)
def test_a_limit_is_read_from_a_text(given: Any, per_minute: float) -> None:
    assert Limit.of(given).requests == pytest.approx(per_minute)


@pytest.mark.parametrize(
    "given",
    [
        *("60", "60/fortnight", "-1/min", "0/min", 0, -5, float("nan"), float("inf"), True, []),
        *({"requests": 1, "rpm": 5}, {"images": "many"}, {"concurrency": 1.5}, {"acme": "fast"}),
    ],
)
def test_what_is_not_a_limit_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"limit|Limit"):
        limits_of(given)
