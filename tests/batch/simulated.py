"""An hour of a run in a second: a clock that jumps, and workers that answer by it."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from aigc_kit.batch.clients import Spec
from aigc_kit.batch.clock import Clock
from aigc_kit.batch.engine import Engine, Plan
from aigc_kit.batch.jobs import Defaults, Job, job_of
from aigc_kit.batch.limits import limits_of
from aigc_kit.batch.line import Line
from aigc_kit.batch.progress import Quiet
from aigc_kit.batch.record import Places, line_of
from aigc_kit.batch.routes import Routes
from aigc_kit.batch.worker import Outcome, Terms

Vendor = Callable[[Job, Spec, Terms, float], Outcome]
"""What a vendor answers to a job at a time."""


class SimulatedClock(Clock):
    """Time passes only while the engine waits."""

    def __init__(self, *, lateness: float = 0.0) -> None:
        """
        Args:
            lateness: seconds by which every wake-up is late.
        """
        self.time = 1000.0
        self._lateness = lateness
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def now(self) -> float:
        return self.time

    def at(self, time: float, do: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._due, (time, self._count, do))

    def wait(self, events: queue.SimpleQueue[Any], seconds: float | None) -> Any:
        end = float("inf") if seconds is None else self.time + seconds
        while events.empty():
            if not self._due or self._due[0][0] > end:
                assert end < float("inf"), "the engine waits for nothing"
                self.time = end + self._lateness
                return None
            time, _, do = heapq.heappop(self._due)
            self.time = max(self.time, time)
            do()
        return events.get_nowait()


class SimulatedWorkers(Executor):
    """Each call takes ``seconds`` by the clock; ``sent`` has when each left."""

    def __init__(self, clock: SimulatedClock, vendor: Vendor, *, seconds: float = 10.0) -> None:
        self.sent: list[float] = []
        self.asked: list[str] = []
        self.most = 0
        self._now = 0
        self._clock, self._vendor, self._seconds = clock, vendor, seconds

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        spec, job, terms = args
        future: Future[Any] = Future()
        self.sent.append(self._clock.time)
        self.asked.append(f"{spec.provider}:{terms.model}")
        self._now += 1
        self.most = max(self.most, self._now)
        outcome = self._vendor(job, spec, terms, self._clock.time)
        self._clock.at(self._clock.time + self._seconds, lambda: self._end(future, outcome))
        return future

    def _end(self, future: Future[Any], outcome: Outcome) -> None:
        self._now -= 1
        future.set_result(outcome)


def works(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
    return Outcome(status="done", provider=spec.provider)


def fails(
    kind: str,
    trouble: Any,
    *,
    billed: str = "no",
    retryable: bool = True,
    after: float | None = None,
) -> Outcome:
    error = {
        "type": kind,
        "code": "",
        "message": kind,
        "hint": "",
        "retryable": retryable,
        "billed": billed,
    }
    status: Any = "unknown" if billed == "unknown" else "failed"
    return Outcome(status=status, error=error, trouble=trouble, retry_after=after)


class Simulation:
    """A run whose lines are counted and not written."""

    def __init__(
        self,
        jobs: Iterable[dict[str, Any]] | int,
        vendor: Vendor = works,
        *,
        providers: tuple[str, ...] = ("acme",),
        limits: Any = None,
        concurrency: int = 16,
        seconds: float = 10.0,
        lateness: float = 0.0,
        max_attempts: int = 5,
        retry_ambiguous: bool = False,
        on_line: Callable[[Line], object] | None = None,
        left: Any = lambda job: "nothing",
    ) -> None:
        self.clock = SimulatedClock(lateness=lateness)
        self.workers = SimulatedWorkers(self.clock, vendor, seconds=seconds)
        self.lines: dict[str, Line] = {}
        rows = (
            ({"id": f"{n}", "prompt": "a"} for n in range(jobs)) if isinstance(jobs, int) else jobs
        )
        self.routes = Routes(
            limits_of(limits),
            lambda kind, name: Spec(key=name, kind=kind, provider=name),
            lambda kind, name: name,
            self.clock.now,
        )
        self.engine = Engine(
            self._jobs(rows, Defaults(providers=providers)),
            self.routes,
            self.workers,
            Plan(
                concurrency=concurrency,
                max_attempts=max_attempts,
                retry_ambiguous=retry_ambiguous,
                carry=lambda job: job,
                record=self._record,
                left=left,
                on_line=on_line,
            ),
            clock=self.clock,
            shown=Quiet(),
        )

    def _jobs(self, rows: Iterable[dict[str, Any]], defaults: Defaults) -> Iterator[Job]:
        for row in rows:
            yield job_of(row, defaults, Path())

    def _record(self, job: Job, outcome: Outcome, attempts: int) -> Line:
        line = line_of(job, outcome, attempts, Places(Path(), None))
        assert job.id not in self.lines, "a job has two lines"
        self.lines[job.id] = line
        return line

    def run(self) -> Simulation:
        self.engine.run()
        return self

    def statuses(self) -> list[str]:
        return sorted({line.status for line in self.lines.values()})

    def most_in(self, seconds: float) -> int:
        """The most departures in any window of this length."""
        sent, first, most = self.workers.sent, 0, 0
        for last, at in enumerate(sent):
            while sent[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most
