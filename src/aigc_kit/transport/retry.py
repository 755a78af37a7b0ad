"""When a request is sent again: one mechanism for every dialect."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from aigc_kit import errors, log
from aigc_kit.errors import AIGCError, InvalidInputError, ProviderError, StorageError
from aigc_kit.transport.deadline import Deadline

T = TypeVar("T")

FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
"""Seconds of the exponential back-off, minus up to a quarter of jitter."""


class CallTerms(Protocol):
    """What one call may say of it."""

    @property
    def timeout(self) -> float | None: ...
    @property
    def max_retries(self) -> int | None: ...
    @property
    def retry_ambiguous(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class Policy:
    """
    How long, how often, and what may be repeated.

    ``timeout``: seconds for all attempts and waits together. ``paid``: repeat only what the vendor
    certainly did not run (never connected, or 429). ``retry_ambiguous``: the user's wish to repeat
    a paid request whose outcome is unknown.
    """

    timeout: float
    max_retries: int = 2
    paid: bool = False
    retry_ambiguous: bool = False

    def for_call(self, call: CallTerms) -> Policy:
        """This policy with what one call says otherwise."""
        return replace(
            self,
            timeout=self.timeout if call.timeout is None else call.timeout,
            max_retries=self.max_retries if call.max_retries is None else call.max_retries,
            retry_ambiguous=self.retry_ambiguous or call.retry_ambiguous,
        )

    def may_repeat(self, error: ProviderError | StorageError) -> bool:
        if isinstance(error, StorageError):
            return error.retryable
        if isinstance(error, errors.OutcomeUnknownError):
            return self.retry_ambiguous
        if not error.retryable or isinstance(
            error, (errors.StreamInterruptedError, errors.InvalidReplyError)
        ):
            return False
        if not self.paid:
            return True
        unsent = isinstance(error, errors.ConnectionFailedError) and error.billed == "no"
        limited = isinstance(error, errors.RateLimitError) and (
            error.status_code in (None, 429) or error.billed == "no"
        )
        return unsent or limited or self.retry_ambiguous

    def run(
        self, attempt: Callable[[Deadline], T], deadline: Deadline | None = None
    ) -> tuple[T, int]:
        """
        Call ``attempt`` until it succeeds, and say how often it was called.

        Args:
            deadline: of an operation that began before; unset: ``timeout`` from now.

        Raises:
            ProviderError, StorageError: the last failure, when it may not be repeated or the time
                or the number is spent.
        """
        deadline = deadline or Deadline.after(self.timeout)
        tries, ran = 0, False
        while True:
            tries += 1
            try:
                return attempt(deadline), tries
            except (ProviderError, StorageError) as error:
                error.tries = tries
                if isinstance(error, ProviderError):
                    ran = ran or error.billed != "no"
                    if (
                        ran and error.billed == "no"
                    ):  # this try was not, but one before it may have been
                        error.billed = "unknown"
                context = error.retry_after
                wait = back_off(tries) if context is None else context
                if (
                    tries > self.max_retries
                    or not self.may_repeat(error)
                    or wait >= deadline.left()
                ):
                    raise
                log.retried(error, tries, wait)
            time.sleep(wait)


def certainly_unbilled(error: AIGCError) -> bool:
    """Whether the failed request certainly costs nothing, so that another vendor may be asked."""
    if error.result is not None:
        return False
    if isinstance(error, (errors.ConfigurationError, InvalidInputError)):
        return True
    return isinstance(error, ProviderError) and error.billed == "no"


def back_off(tries: int) -> float:
    """Seconds to wait after the ``tries``-th failure, which begins with 1."""
    import random  # not needed by a call that succeeds

    return min(FIRST_WAIT * 2.0 ** (tries - 1), LONGEST_WAIT) * (1 - 0.25 * random.random())  # noqa: S311 - jitter
