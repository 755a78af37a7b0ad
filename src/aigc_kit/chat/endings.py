"""The end of an answer: checked when it is whole, an error with what had come when it is not."""

from __future__ import annotations

from typing import Any

from aigc_kit import log
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatResult
from aigc_kit.chat.reasons import BROKEN_OFF, FAILURES, is_failure, reason_of
from aigc_kit.errors import (
    AIGCError,
    InvalidReplyError,
    ServerError,
    StreamInterruptedError,
)


def settled(assembler: Assembler) -> ChatResult:
    """
    The whole answer, checked.

    Raises:
        ServerError: the finish reason says that the vendor failed; ``error.result`` is what was received.
        InvalidReplyError: there is nothing in it.
    """
    result = assembler.result()
    failure = vendor_failure(assembler)
    if failure is not None:
        raise failure
    reason, empty = result.finish_reason, assembler.is_empty()
    odd = ", ".join(dict.fromkeys([*assembler.oddities, *_nameless(assembler)]))
    if empty and (odd or not reason):
        raise InvalidReplyError(
            f"{assembler.provider} answered 200 with {odd or 'nothing in it'}",
            billed="unknown",
            body=assembler.raw,
            **_context(assembler),
        )
    warn = result.warnings.append
    if reason in BROKEN_OFF and not empty:
        warn(
            {
                "feature": "finish_reason",
                "details": f"{reason}: {assembler.finish_message or 'no message'}",
            }
        )
    if reason == "stop" and not (
        result.content or result.refusal or result.images or assembler.has_more
    ):
        warn({"feature": "content", "details": "the answer is empty"})
    if not assembler.finish_reason:
        result.finish_reason = reason or "unknown"
        warn(
            {
                "feature": "finish_reason",
                "details": "the vendor gave no reason for the answer's end",
            }
        )
    if odd:
        warn({"feature": "response", "details": f"the vendor sent {odd}; it was left out"})
    if result.warnings:
        log.warnings("chat", result.provider, result.model, result.warnings)
    return result


def vendor_failure(assembler: Assembler) -> AIGCError | None:
    """The error of an answer that ended with the vendor's own failure."""
    reason, empty = reason_of(assembler.finish_reason), assembler.is_empty()
    explained = assembler.finish_message and reason != "length"
    if is_failure(reason) or (empty and (reason in BROKEN_OFF or explained)):
        return _failed(assembler, assembler.result())
    return None


def _nameless(assembler: Assembler) -> list[str]:
    lost = any(not call.name and call.text().strip() not in ("", "{}") for call in assembler.calls)
    return ["a tool call without a name"] if lost else []


def _context(assembler: Assembler) -> dict[str, Any]:
    return {
        "provider": assembler.provider,
        "model": assembler.model,
        "request_id": assembler.request_id,
        "status_code": 200,
    }


def _failed(assembler: Assembler, result: ChatResult) -> AIGCError:
    reason = result.finish_reason or assembler.finish_reason or "no reason was given"
    detail = f": {assembler.finish_message}" if assembler.finish_message else ""
    again = reason in FAILURES
    error = ServerError(
        f"{assembler.provider} failed in the middle of the answer: {reason}{detail}",
        code=reason,
        retryable=again,
        billed="unknown",
        **_context(assembler),
    )
    error.result = result
    return error


def cut_off(
    assembler: Assembler, why: str, cause: AIGCError | None = None
) -> StreamInterruptedError:
    """The error of a stream that failed after its head, with everything that had come."""
    details = {
        name: getattr(cause, name)
        for name in ("status_code", "code", "body", "retryable", "retry_after")
        if cause is not None and hasattr(cause, name)
    }
    return StreamInterruptedError(
        f"{assembler.provider}'s stream was interrupted: {why}",
        partial=assembler.result(complete=False),
        provider=assembler.provider,
        model=assembler.model,
        request_id=assembler.request_id or getattr(cause, "request_id", ""),
        **details,
    )


def nothing_came(assembler: Assembler, why: str) -> InvalidReplyError:
    """The error of a stream that ended in order, before any content."""
    return InvalidReplyError(why, billed="unknown", **_context(assembler))
