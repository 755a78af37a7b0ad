"""
The coordinator: takes jobs from the source, gives them to workers at the vendors' pace, and writes
down their outcomes.

It runs in the caller's thread and holds a bounded number of jobs, however many the source has.
Whatever ends it, calls that were begun are waited for and recorded: they may have been paid for.
"""

from __future__ import annotations

import contextlib
import math
import queue
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from typing import Any, Literal

from aigc_kit.batch.circuit import FAILURES, Circuit
from aigc_kit.batch.clock import Clock
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.lanes import Lanes, Later, Ticket
from aigc_kit.batch.line import Line
from aigc_kit.batch.progress import Progress, Quiet, Shown
from aigc_kit.batch.routes import Routes, load_of
from aigc_kit.batch.stops import Stopped, Stops
from aigc_kit.batch.worker import Outcome, Terms, failed, lost, work
from aigc_kit.errors import InvalidInputError, StorageError

WINDOW = 1000
"""Jobs that are read ahead at least: of a slow vendor's, so many wait before they hold up others."""

MOST_LATER = 10_000
"""Failed jobs that wait for the end of the queue; with more of them no new job is begun."""

MOST_LIMITED = 100
"""429s that a job takes before it counts as failed; they cost nothing and do not count as tries."""

FIRST_WAIT = 2.0
LONGEST_WAIT = 120.0
"""Seconds before a failed job may be tried again, twice as long after each try."""

_TICK = 1.0
"""Seconds at most between two looks at the clock."""

Left = Literal["nothing", "done", "open"]
"""
What an earlier run left of a job. ``open``: something that may have been paid for, and must not be
paid for again without being told to.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    How a run is done.

    ``concurrency``: calls at the same time. ``max_attempts``: tries of one job. ``carry``: what is
    done to a job before it leaves for a worker. ``record``: writes down what became of a job.
    ``left``: what an earlier run left of it.
    """

    concurrency: int
    max_attempts: int
    retry_ambiguous: bool
    carry: Callable[[Job], Job]
    record: Callable[[Job, Outcome, int], Line]
    left: Callable[[Job], Left]
    on_line: Callable[[Line], object] | None = None


@dataclass
class Counts:
    """
    What a run did. ``not_run``: jobs that were begun with and have no line of this run;
    ``at_vendor``: of these, those in batches at a vendor.
    """

    tries: int = 0
    repeats: int = 0
    not_run: int = 0
    at_vendor: int = 0
    exhausted: bool = False
    interrupted: int = 0
    stopped: str = ""
    cause: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list[str])
    progress: Progress = field(default_factory=Progress)


class Engine:
    """One run; used once."""

    def __init__(
        self,
        jobs: Iterator[Job],
        routes: Routes,
        executor: Executor,
        plan: Plan,
        *,
        clock: Clock,
        shown: Shown,
        total: int | None = None,
    ) -> None:
        self.counts = Counts(progress=Progress(total=total))
        self._jobs = jobs
        self._routes = routes
        self._executor = executor
        self._plan = plan
        self._clock = clock
        self._shown = shown
        self._on_line = plan.on_line
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._store = Circuit()
        self._unstored = 0
        self._lanes = Lanes(self._store)
        self._later = Later()
        self._in_flight = 0
        self._halted = False
        self._window = max(2 * plan.concurrency, WINDOW)
        self._ends: deque[float] = deque(maxlen=200)

    def run(self) -> None:
        """
        Until every job has its line, or the run is stopped.

        Raises:
            StorageError: the manifest cannot be written.
            InvalidInputError: the source has something that is not a job.
            KeyboardInterrupt: a second Ctrl-C; what is in flight is in the journal alone.
        """
        with Stops(self._events) as stops:
            try:
                self._run(stops)
            except BaseException as error:
                if not (stops.signal and isinstance(error, KeyboardInterrupt)):
                    self._drain()
                self._unshow()
                raise
            finally:
                self.counts.interrupted = stops.signal
                self._leave()

    # ---- the loop

    def _run(self, stops: Stops) -> None:
        told = False
        while True:
            wait = _TICK
            if not stops.signal and not self._halted:
                wait = min(self._fill(stops), _TICK)
            elif stops.signal and not told:
                told = True
                self._shown.stopping(self._in_flight)
            if not self._in_flight and (self._is_over() or stops.signal or self._halted):
                return
            event = self._clock.wait(self._events, wait)
            if event is not None:
                self._take(*event)
            self._shown.update(self._measured())

    def _is_over(self) -> bool:
        return self.counts.exhausted and not self._lanes.waiting and not self._later

    def _drain(self) -> None:
        """Wait for what is in flight and record it, as far as that is possible."""
        self._on_line = None
        while self._in_flight:
            event = self._clock.wait(self._events, _TICK)
            if event is not None:
                with contextlib.suppress(StorageError):
                    self._take(*event)

    def _unshow(self) -> None:
        """A callback of the application may be what failed."""
        shown, self._shown = self._shown, Quiet()
        with contextlib.suppress(Exception):
            shown.close()

    def _leave(self) -> None:
        """Of a run that ended early: failures are told, and the rest was not run."""
        self._on_line = None
        for ticket in self._later.emptied():
            if ticket.outcome is None or ticket.recall or ticket.outcome.trouble == "lost":
                self.counts.not_run += 1
                continue
            with contextlib.suppress(StorageError):
                self._write(ticket, ticket.outcome)
        self.counts.not_run += self._lanes.waiting
        self._shown.update(self._measured())
        self._shown.close()

    # ---- giving out

    def _fill(self, stops: Stops) -> float:
        """Give out everything that may leave now; seconds until the next may."""
        while self._in_flight < self._plan.concurrency and not (self._halted or stops.signal):
            if not self._events.empty():
                return 0.0  # what is done is recorded before a slow source is read on
            now = self._clock.now()
            ticket, wait = self._lanes.next(now)
            self._give_up()
            if ticket is not None:
                self._submit(ticket, now)
                continue
            more = self._read_on(now, stops)
            if more > 0:
                return min(wait, more)
        return math.inf

    def _read_on(self, now: float, stops: Stops) -> float:
        """Line up one more job; 0 when it did something, else seconds until there may be one."""
        if self._lanes.waiting >= self._window:
            return math.inf
        if self._later and (self.counts.exhausted or len(self._later) >= MOST_LATER):
            wait = self._later.wait(now)
            if wait <= 0:
                self._lanes.add(self._later.pop())
            return wait
        if self.counts.exhausted:
            return math.inf
        self._begin(stops)
        return 0.0

    def _begin(self, stops: Stops) -> None:
        """Take the next job of the source, unless it is done already."""
        try:
            with stops.at_once():
                job = next(self._jobs, None)
        except Stopped:
            return
        if job is None:
            self.counts.exhausted = True
            return
        left = self._plan.left(job)
        if left == "done":
            self.counts.progress.skipped += 1
            return
        routes = self._routes.of(job)
        self._lanes.add(Ticket(job, routes, load_of(job), recall=left == "open"))

    def _give_up(self) -> None:
        """Jobs without a vendor left; the run ends when no vendor is left."""
        if not self._lanes.given_up:
            return
        while self._lanes.given_up:
            ticket = self._lanes.given_up.pop()
            error = ticket.route.circuit.dead or {}
            self._note(
                f"{ticket.route.name} refused several jobs in a row ({error.get('type')}:"
                f" {error.get('message')}), and no other provider is left",
                error,
            )
            if ticket.outcome is not None:
                self._write(ticket, ticket.outcome)
            else:
                self.counts.not_run += 1
        self._halted = self._halted or all(
            route.circuit.dead is not None for route in self._routes.all()
        )

    def _submit(self, ticket: Ticket, now: float) -> None:
        route = ticket.route
        others = [other for other in ticket.routes if other is not route]
        terms = Terms(
            route.model,
            recall=ticket.recall,
            retry_ambiguous=ticket.again,
            others=tuple((other.spec, other.model) for other in others),
        )
        try:
            job = self._plan.carry(ticket.job)
        except InvalidInputError as error:  # a reference is gone since it was checked
            self._write(ticket, failed(error, ticket.job, route.spec))
            return
        try:
            future = self._executor.submit(work, route.spec, job, terms)
        except Exception as error:  # noqa: BLE001 - shut down, broken, or its cluster is away
            self._broke(error)
            self._lanes.add(ticket)
            return
        if job.kind == "image":
            self._store.left()
        if not ticket.recall:
            route.left(ticket.load, now)
            self.counts.tries += 1
            self.counts.repeats += ticket.given > 0
            ticket.given += 1
        ticket.sent_at = now
        self._in_flight += 1
        future.add_done_callback(lambda done: self._events.put((ticket, done)))

    def _broke(self, error: BaseException) -> None:
        self._halt(
            f"the executor takes no more work ({type(error).__name__}: {str(error)[:200]});"
            " nothing is lost: run it again with resume=True"
        )

    def _halt(self, why: str, cause: dict[str, Any] | None = None) -> None:
        self._halted = True
        self._note(why, cause)

    def _note(self, why: str, cause: dict[str, Any] | None) -> None:
        """The first reason is told."""
        if not self.counts.stopped:
            self.counts.stopped, self.counts.cause = why, cause

    # ---- taking back

    def _take(self, ticket: Ticket | None, future: Future[Outcome] | None) -> None:
        """One future is done; (None, None) only wakes the loop."""
        if ticket is None or future is None:
            return
        self._in_flight -= 1
        now = self._clock.now()
        outcome = self._outcome_of(ticket, future)
        if not ticket.recall:
            ticket.route.came(outcome, ticket.load, ticket.sent_at, now)
        if ticket.job.kind == "image":
            self._stored(outcome, now)
        ticket.outcome = outcome
        self._decide(ticket, outcome, now)

    def _outcome_of(self, ticket: Ticket, future: Future[Outcome]) -> Outcome:
        try:
            return future.result()
        except BrokenExecutor as error:
            self._broke(error)
            return lost(error, ticket.job)
        except BaseException as error:  # noqa: BLE001 - a scheduler's own: KilledWorker, cancelled
            return lost(error, ticket.job)

    def _stored(self, outcome: Outcome, now: float) -> None:
        """A store that takes nothing ends the buying."""
        if outcome.trouble != "store":
            self._unstored = 0
            if outcome.status == "done":
                self._store.worked()
            self._store.passed()
            return
        self._store.failed(now)
        self._unstored += not outcome.retryable
        if self._unstored >= FAILURES:
            error = outcome.error or {}
            self._halt(
                f"{self._unstored} images in a row could not be stored: {error.get('message')}",
                error,
            )

    def _decide(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        if outcome.status == "done":
            self._write(ticket, outcome)
        elif self._goes_on(ticket, outcome):
            ticket.barred.add(ticket.place)
            ticket.leave_for(next(ticket.others()))
            self._lanes.add(ticket)
        elif self._comes_again(ticket, outcome):
            self._put_off(ticket, outcome, now)
        elif ticket.recall and outcome.status == "unknown":
            self.counts.progress.unknown += 1  # its line says so already
        else:
            self._write(ticket, outcome)

    def _goes_on(self, ticket: Ticket, outcome: Outcome) -> bool:
        """Whether the next vendor is asked: this one charged nothing, and would refuse it again."""
        if ticket.recall or not outcome.unbilled or next(ticket.others(), None) is None:
            return False
        if outcome.trouble == "refused":
            return True
        spent = ticket.tries + 1 >= self._plan.max_attempts
        return spent or not outcome.retryable

    def _comes_again(self, ticket: Ticket, outcome: Outcome) -> bool:
        """Whether the same job may be sent again, and should be."""
        if outcome.trouble == "limited":
            ticket.limited += 1
            return ticket.limited < MOST_LIMITED
        ticket.tries += 1
        if ticket.tries >= self._plan.max_attempts:
            return False
        if outcome.trouble in ("lost", "refused"):
            # The journal entry says what a lost worker did. A refusal of the account may be one of
            # this job alone; the circuit finds out.
            return True
        if outcome.status == "unknown":
            ticket.again = self._plan.retry_ambiguous
            ticket.recall = ticket.recall and not ticket.again
            return ticket.again
        safe = outcome.unbilled or outcome.paid or ticket.job.kind != "image"
        return outcome.retryable and safe

    def _put_off(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """To the end of the queue."""
        wait = outcome.retry_after
        if wait is None:
            wait = min(FIRST_WAIT * 2.0 ** min(ticket.tries - 1, 10), LONGEST_WAIT)
        if outcome.trouble in ("limited", "refused", "before"):
            wait = 0.0  # the pace and the circuit know when; no provider was asked
        self._later.add(ticket, now + wait)

    def _write(self, ticket: Ticket, outcome: Outcome) -> None:
        line = self._plan.record(ticket.job, outcome, max(ticket.given, 1))
        progress = self.counts.progress
        setattr(progress, line.status, getattr(progress, line.status) + 1)
        self._ends.append(self._clock.now())
        if self._on_line is not None:
            self._on_line(line)

    def _measured(self) -> Progress:
        progress = self.counts.progress
        progress.in_flight = self._in_flight
        progress.waits = len(self._later)
        if len(self._ends) > 1:
            span = self._clock.now() - self._ends[0]
            progress.per_minute = (len(self._ends) - 1) / span * 60 if span > 0 else 0.0
        routes = self._lanes.routes()
        known = [pace.per_minute for pace in routes[0].paces] if len(routes) == 1 else []
        progress.limit = min((rate for rate in known if rate is not None), default=None)
        return progress
