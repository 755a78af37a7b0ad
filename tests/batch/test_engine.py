"""The coordinator, in simulated time: repetitions, fallback, circuits, memory, and how it ends."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aigc_kit.batch.clients import Spec
from aigc_kit.batch.engine import MOST_LATER, WINDOW
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.line import Line
from aigc_kit.batch.worker import Outcome, Terms, lost
from aigc_kit.errors import InvalidInputError
from tests.batch.simulated import Simulation, Vendor, fails, works

ROOT = Path(__file__).parents[2]

DOWN = fails("ConnectionFailedError", "down")


def one_vendor_is(outcome: Callable[[], Outcome], name: str = "a") -> Vendor:
    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        return outcome() if spec.provider == name else works(job, spec, terms, now)

    return vendor


def asked(run: Simulation, provider: str) -> int:
    return sum(name.startswith(f"{provider}:") for name in run.workers.asked)


def test_what_failed_and_cost_nothing_comes_again_at_the_end() -> None:
    """Ten jobs fail at their first try; all others end before they are tried again."""
    order: list[str] = []

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        order.append(job.id)
        first = order.count(job.id) == 1 and int(job.id) < 10
        return fails("ServerError", "other") if first else works(job, spec, terms, now)

    run = Simulation(200, vendor).run()
    assert run.statuses() == ["done"]
    assert sorted(map(int, order[-10:])) == list(range(10))
    assert {line.attempts for line in run.lines.values()} == {1, 2}


def test_a_job_is_tried_as_often_as_it_was_said() -> None:
    run = Simulation(3, lambda *_: fails("ServerError", "other"), max_attempts=4).run()
    assert run.statuses() == ["failed"]
    assert len(run.workers.sent) == 12
    assert {line.attempts for line in run.lines.values()} == {4}


@pytest.mark.parametrize("billed", ["unknown", "yes"])
def test_an_image_that_may_have_been_paid_for_is_not_sent_again(billed: str) -> None:
    run = Simulation(5, lambda *_: fails("X", "other", billed=billed)).run()
    assert len(run.workers.sent) == 5
    assert run.statuses() == ["unknown" if billed == "unknown" else "failed"]


def test_it_is_sent_again_when_told_so() -> None:
    """And the worker is told that it may pay."""
    told: list[bool] = []

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        told.append(terms.retry_ambiguous)
        if terms.retry_ambiguous:
            return works(job, spec, terms, now)
        return fails("X", "other", billed="unknown")

    assert Simulation(1, vendor, retry_ambiguous=True).run().statuses() == ["done"]
    assert told == [False, True]


def test_a_chat_that_may_have_been_billed_is_sent_again() -> None:
    """A chat may be repeated, an image not."""
    answers = iter([replace(fails("X", "other", billed="unknown"), status="failed")])

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        return next(answers, None) or works(job, spec, terms, now)

    rows = [{"id": "1", "kind": "chat", "prompt": "hi"}]
    assert Simulation(rows, vendor).run().statuses() == ["done"]


def test_a_vendor_that_is_down_opens_its_circuit_and_the_fallback_takes_over() -> None:
    run = Simulation(300, one_vendor_is(lambda: DOWN), providers=("a", "b")).run()
    assert run.statuses() == ["done"]
    assert {line.provider for line in run.lines.values()} == {"b"}
    assert asked(run, "a") < 40  # those in flight when it broke, and a probe now and then


def test_a_vendor_that_comes_back_is_asked_again() -> None:
    """Without a fallback the jobs wait for it."""

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        return DOWN if now < 1000 + 600 else works(job, spec, terms, now)

    run = Simulation(100, vendor, seconds=1.0).run()
    assert run.statuses() == ["done"]
    assert len(run.workers.sent) < 100 + 16 + 20
    assert run.clock.time < 1000 + 600 + 400


def test_a_request_that_the_vendor_refuses_goes_to_the_next_one_once() -> None:
    bad = fails("BadRequestError", "other", retryable=False)
    run = Simulation(20, one_vendor_is(lambda: bad), providers=("a", "b")).run()
    assert run.statuses() == ["done"]
    assert (asked(run, "a"), asked(run, "b")) == (20, 20)
    run = Simulation(20, lambda *_: bad, providers=("a", "b")).run()
    assert run.statuses() == ["failed"]
    assert len(run.workers.sent) == 40


def test_an_account_that_is_refused_ends_the_run_with_the_jobs_untouched() -> None:
    """Ten thousand jobs do not fail one by one over a wrong key."""
    refusal = fails("AuthenticationError", "refused", retryable=False)
    run = Simulation(1000, lambda *_: refusal, concurrency=4).run()
    assert len(run.workers.sent) < 10
    assert "acme refused several jobs in a row (AuthenticationError" in run.engine.counts.stopped
    assert len(run.lines) < 10


def test_with_a_fallback_the_others_go_on() -> None:
    refusal = fails("QuotaExceededError", "refused", retryable=False)
    run = Simulation(200, one_vendor_is(lambda: refusal), providers=("a", "b")).run()
    assert run.statuses() == ["done"]
    assert run.engine.counts.stopped == ""
    assert asked(run, "a") < 40


def test_of_two_vendors_one_ends_and_the_jobs_of_the_other_do_not() -> None:
    refusal = fails("AuthenticationError", "refused", retryable=False)
    rows = [{"id": str(n), "prompt": "x", "provider": "ab"[n % 2]} for n in range(100)]
    run = Simulation(rows, one_vendor_is(lambda: refusal)).run()
    done = [line for line in run.lines.values() if line.status == "done"]
    assert len(done) == 50
    assert "a refused" in run.engine.counts.stopped


def test_a_store_that_takes_nothing_ends_the_buying() -> None:
    """Every image more would be paid for and lie in the journal."""
    full = fails("StorageError", "store", billed="yes", retryable=False)
    full.paid = True
    run = Simulation(1000, lambda *_: full, concurrency=4).run()
    assert len(run.workers.sent) < 12
    assert "could not be stored" in run.engine.counts.stopped


def test_a_store_that_is_away_for_a_while_is_waited_for() -> None:
    """The paid images are stored when it is back; few are bought meanwhile."""
    paid: set[str] = set()

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        if now >= 1000 + 300:
            return works(job, spec, terms, now)
        paid.add(job.id)
        away = fails("StorageError", "store", billed="yes")
        away.paid = True
        return away

    run = Simulation(200, vendor, seconds=1.0, max_attempts=10).run()
    assert run.statuses() == ["done"]
    assert len(paid) < 16 + 12


def test_a_lost_worker_s_job_is_given_to_another_one() -> None:
    """What the first one did is decided by the journal, which the second one asks."""
    answers = iter([fails("KilledWorker", "lost", billed="unknown")] * 2)

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        return next(answers, None) or works(job, spec, terms, now)

    run = Simulation(1, vendor).run()
    assert [line.attempts for line in run.lines.values()] == [3]
    run = Simulation(1, lambda *_: fails("KilledWorker", "lost", billed="unknown")).run()
    assert run.statuses() == ["unknown"]


def test_an_unknown_outcome_of_an_earlier_run_says_nothing_about_the_vendor() -> None:
    """A hundred of them do not open the circuit."""
    before = fails("OutcomeUnknownError", "before", billed="unknown")
    rows = [{"id": str(n), "prompt": "x"} for n in range(100)]
    run = Simulation(rows, lambda job, *rest: before if int(job.id) < 50 else works(job, *rest))
    run.run()
    assert run.clock.time < 1000 + 100


def test_open_jobs_are_looked_up_and_not_paid_for() -> None:
    """Three of an earlier run: found, still unknown, unknown and paid again because it was told."""

    def vendor(job: Job, spec: Spec, terms: Terms, now: float) -> Outcome:
        if terms.recall and job.id != "found":
            return fails("OutcomeUnknownError", "before", billed="unknown")
        return works(job, spec, terms, now)

    rows = [{"id": name, "prompt": "x"} for name in ("found", "open", "new", "done")]
    left = {"found": "open", "open": "open", "new": "nothing", "done": "done"}
    run = Simulation(rows, vendor, left=lambda job: left[job.id]).run()
    assert sorted(run.lines) == ["found", "new"]
    assert (run.engine.counts.progress.unknown, run.engine.counts.progress.skipped) == (1, 1)
    run = Simulation(rows, vendor, left=lambda job: left[job.id], retry_ambiguous=True).run()
    assert sorted(run.lines) == ["found", "new", "open"]


def test_a_million_rows_are_not_read_ahead() -> None:
    read = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for n in range(10**9):
            read += 1
            yield {"id": str(n), "prompt": "x"}

    def stop(line: Line) -> None:
        raise RuntimeError("enough")

    run = Simulation(rows(), on_line=stop)
    with pytest.raises(RuntimeError, match="enough"):
        run.run()
    assert read <= WINDOW + 16


def test_failures_that_wait_are_bounded() -> None:
    """With a vendor that fails for ever, no more jobs than that wait in memory."""
    run = Simulation(MOST_LATER + 500, lambda *_: fails("ServerError", "other"), concurrency=500)
    most = 0
    decide = run.engine._put_off

    def watched(*args: Any) -> None:
        nonlocal most
        decide(*args)
        most = max(most, len(run.engine._later))

    run.engine._put_off = watched  # type: ignore[method-assign]
    run.run()
    assert len(run.lines) == MOST_LATER + 500
    assert most <= MOST_LATER + 500 + WINDOW


def peak(count: int) -> int:
    """Bytes that a run of so many jobs holds at most."""
    rows = ({"id": str(n), "prompt": "a cat"} for n in range(count))
    run = Simulation(rows, seconds=1.0)
    run._record = lambda job, outcome, attempts: Line(id=job.id)  # type: ignore[method-assign]
    run.workers.sent = run.workers.asked = _Forgetful()
    run.engine._plan = run.engine._plan.__class__(
        **{**vars(run.engine._plan), "record": run._record}
    )
    tracemalloc.start()
    run.run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_number_of_jobs() -> None:
    """In a process of its own: threads of other tests would be counted too."""
    code = "from tests.batch.test_engine import peak\npeak(100)\nprint(peak(2_000), peak(10_000))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    few, many = map(int, done.stdout.split())
    assert many < few * 1.2 + 200_000


class _Forgetful(list[Any]):
    def append(self, value: Any) -> None:
        """Nothing stays."""


def test_a_wrong_job_of_an_iterator_ends_the_run_after_what_was_begun() -> None:
    rows = iter([{"id": "1", "prompt": "a"}, {"id": "2", "prompt": "b"}, {"id": "3"}])
    run = Simulation(rows)
    with pytest.raises(InvalidInputError, match="prompt is missing"):
        run.run()
    assert sorted(run.lines) == ["1", "2"]


def test_what_is_in_flight_is_recorded_when_the_application_fails() -> None:
    """An exception of ``on_line`` leaves the other calls' lines in the manifest."""

    def fail(line: Line) -> None:
        raise ValueError("of the application")

    run = Simulation(100, on_line=fail)
    with pytest.raises(ValueError, match="of the application"):
        run.run()
    assert len(run.lines) == 16


def test_the_progress_knows_the_limit_and_the_time_that_is_left() -> None:
    run = Simulation(600, limits="60/min", seconds=5.0)
    run.engine.counts.progress.total = 600
    seen: list[float | None] = []
    update = run.engine._shown.update

    def watched(progress: Any) -> None:
        update(progress)
        seen.append(progress.seconds_left)

    run.engine._shown.update = watched  # type: ignore[method-assign]
    run.run()
    told = [left for left in seen if left is not None]
    assert told[0] == pytest.approx(600, rel=0.05)
    assert told[len(told) // 2] == pytest.approx(300, rel=0.1)


def test_a_reference_that_is_gone_fails_its_job_alone() -> None:
    """It was there when the jobs were checked."""
    run = Simulation(3)

    def carry(job: Job) -> Job:
        if job.id == "1":
            raise InvalidInputError("reference 'cat.png' cannot be read")
        return job

    run.engine._plan = replace(run.engine._plan, carry=carry)
    run.run()
    assert {name: line.status for name, line in run.lines.items()} == {
        "0": "done",
        "2": "done",
        "1": "failed",
    }


def test_what_cannot_be_pickled_was_never_sent() -> None:
    job = next(iter(Simulation(1).engine._jobs))
    for error in (pickle.PicklingError("x"), TypeError("cannot pickle '_thread.lock' object")):
        outcome = lost(error, job)
        assert (outcome.status, outcome.unbilled, outcome.retryable) == ("failed", True, False)
    assert lost(TypeError("of another kind"), job).status == "unknown"
