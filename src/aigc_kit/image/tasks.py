"""
Tasks: asked for until they are done. The id of a task is the receipt of a payment: whoever has it
gets the images, while the vendor keeps them, and pays nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aigc_kit.errors import (
    AIGCError,
    InvalidReplyError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitError,
)
from aigc_kit.image.base import TASK_RUNNING, TASK_UNKNOWN
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.failures import RequestContext

FIRST_WAIT, LONGEST_WAIT, EACH = 1.0, 5.0, 3
"""
Seconds between two looks: doubled after every third, as dashscope 2.0.2 does. DashScope allows 20 looks
a second for an account. Source:
https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks, read 2026-11-25.
"""


_MISSING = 3
"""Polls answered with 404 after which the vendor counts as not knowing the task."""


class Status(Protocol):
    """Reads what an answer about a task says."""

    def __call__(self, body: Mapping[str, Any]) -> tuple[str, bool]:
        """
        (the vendor's word, "" where it says none; whether the task has ended). A word that is not
        known yet means that it goes on.
        """


@dataclass(frozen=True)
class Progress:
    """
    How far a task is. ``status``: the vendor's word. ``seconds``: since it was begun or found.
    """

    task_id: str
    status: str
    seconds: float


def finished(
    task_id: str,
    look: Callable[[Deadline], Mapping[str, Any]],
    status_of: Status,
    context: RequestContext,
    deadline: Deadline,
    on_progress: Callable[[Progress], object] | None,
    *,
    first_wait: float = FIRST_WAIT,
) -> Mapping[str, Any]:
    """
    The answer about a task that is not running any more.

    A look that fails or says nothing of the task is repeated: it costs nothing, and the task goes
    on.

    Raises:
        OutcomeUnknownError: time ran out, or nothing is known of the task any more.
        ProviderError: the vendor refuses to tell.
    """
    started, wait, looks, missing = time.monotonic(), first_wait, 0, 0
    last: AIGCError | None = None
    while True:
        try:
            body = look(deadline)
            status, has_ended = status_of(body)
            if has_ended:
                return body
            last = None if status else _no_status(body, context)
            if on_progress is not None and status:
                on_progress(Progress(task_id, status, time.monotonic() - started))
        except NotFoundError as error:  # perhaps not yet: a task is made behind a queue
            missing += 1
            if missing >= _MISSING:
                raise unknown(task_id, context) from error
            last = error
        except ProviderError as error:
            if not (error.retryable or isinstance(error, RateLimitError)):
                raise running(task_id, context, time.monotonic() - started, error) from error
            last = error
        looks += 1
        if looks % EACH == 0:
            wait = min(wait * 2, LONGEST_WAIT)
        if wait >= deadline.left():
            raise running(task_id, context, time.monotonic() - started, last) from last
        time.sleep(wait)


def _no_status(body: Mapping[str, Any], context: RequestContext) -> InvalidReplyError:
    return InvalidReplyError(
        "the response about the task has no status; its fields:"
        f" {', '.join(sorted(map(str, body))) or 'none'}",
        provider=context.provider,
        model=context.model,
        status_code=200,
    )


def running(
    task_id: str, context: RequestContext, elapsed: float, cause: AIGCError | None
) -> OutcomeUnknownError:
    """The task goes on, and its images can be had."""
    why = f" ({type(cause).__name__}: {str(cause)[:200]})" if cause is not None else ""
    return OutcomeUnknownError(
        f"{context.provider}'s task {task_id} was not done after {elapsed:.0f} s{why}. It goes on and"
        " may be billed; nothing is paid twice for it: with spool_dir, client.resume_spool() or the"
        " same idempotency_key collects its images",
        elapsed=elapsed,
        provider=context.provider,
        model=context.model,
        code=TASK_RUNNING,
    )


def id_in(value: Any) -> str:
    """The id of a task, however it is written; "" where there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def unknown(task_id: str, context: RequestContext) -> OutcomeUnknownError:
    """The vendor does not know the task, or not any more."""
    return OutcomeUnknownError(
        f"{context.provider} knows nothing of the task {task_id}: it is too old, or it"
        " belongs to another account than api_key. It may be billed. With the right key resume_spool()"
        " collects its images; resume_spool(forget=True) drops it, and retry_ambiguous=True pays again"
        " for the same idempotency_key",
        provider=context.provider,
        model=context.model,
        code=TASK_UNKNOWN,
    )
