"""When a failed request is sent again."""

from __future__ import annotations

from typing import Any

import pytest

from aigc_kit import errors
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.retry import Policy


@pytest.mark.parametrize(
    ("error", "paid", "again"),
    [
        (errors.ServerError("x", retryable=True, billed="unknown"), False, True),
        (errors.ServerError("x", retryable=True, billed="unknown"), True, False),
        (errors.RateLimitError("x", retryable=True), True, True),
        (errors.ConnectionFailedError("x", retryable=True, billed="no"), True, True),
        (errors.ConnectionFailedError("x", retryable=True, billed="unknown"), True, False),
        (errors.OutcomeUnknownError("x"), True, False),
        (errors.OutcomeUnknownError("x"), False, False),
        (errors.BadRequestError("x"), False, False),
        (errors.InvalidReplyError("x", retryable=True), False, False),
        (errors.StreamInterruptedError("x"), False, False),
        (errors.StorageError("x", retryable=True), False, True),
        (errors.StorageError("x"), False, False),
    ],
)
def test_what_may_be_repeated(error: Any, paid: bool, again: bool) -> None:
    """A paid request only when it certainly did not run."""
    assert Policy(1, paid=paid).may_repeat(error) is again


def test_attempts_are_counted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two more tries after the first, with growing waits; what asks for a longer wait than is left
    ends at once.
    """
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    tries: list[Deadline] = []

    def fail(deadline: Deadline) -> None:
        tries.append(deadline)
        raise errors.RateLimitError("x", retryable=True)

    with pytest.raises(errors.RateLimitError):
        Policy(60).run(fail)
    assert len(tries) == 3
    assert 0.375 <= waits[0] <= 0.5
    assert 0.75 <= waits[1] <= 1.0
    assert len({deadline.at for deadline in tries}) == 1

    def wait_long(deadline: Deadline) -> None:
        raise errors.RateLimitError("x", retryable=True, retry_after=61)

    with pytest.raises(errors.RateLimitError):
        Policy(60).run(wait_long)
    assert len(waits) == 2


def test_an_ambiguous_try_is_not_forgotten() -> None:
    """A refusal after a try that may have run is no proof that nothing was billed."""
    failures = iter([errors.OutcomeUnknownError("cut"), errors.BadRequestError("no")])

    def attempt(_: Deadline) -> None:
        raise next(failures)

    with pytest.raises(errors.BadRequestError) as caught:
        Policy(60, paid=True, retry_ambiguous=True).run(attempt)
    assert (caught.value.billed, caught.value.tries) == ("unknown", 2)
