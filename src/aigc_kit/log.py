"""
What is logged, and where: children of ``logging.getLogger("aigc_kit")``.

No line has a key, a prompt, an answer or base64 at any level: errors are named by their class,
status and code, for a vendor's message may repeat what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

DEBUG = 10
"""``logging.DEBUG``."""

if TYPE_CHECKING:
    import logging


@cache
def logger(area: str) -> logging.Logger:
    """
    The logger of an area: ``http``, ``retry``, ``chat``, ``image`` or ``storage``.

    ``logging`` is imported here and not above: a process that only makes clients would pay for it,
    and the SDKs import it before the first request anyway.
    """
    import logging

    root = logging.getLogger("aigc_kit")
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        # https://docs.python.org/3/howto/logging.html#configuring-logging-for-a-library
        root.addHandler(logging.NullHandler())
    return root.getChild(area)


def named(error: BaseException) -> str:
    """An error without its message: ``RateLimitError 429 rate_limit_exceeded``."""
    parts = [type(error).__name__]
    parts += [str(value) for value in (getattr(error, "status_code", None),) if value]
    code = getattr(error, "code", "")
    if isinstance(code, str) and code and code not in parts:
        parts.append(code[:80])
    return _printable(" ".join(parts))


def _printable(text: Any) -> str:
    """Text that every handler can write: half a character in a vendor's word cannot be encoded."""
    return str(text).encode("utf-8", "replace").decode()


def _who(error: BaseException, otherwise: str) -> tuple[str, str]:
    """(provider, model) of an error."""
    provider, model = getattr(error, "provider", ""), getattr(error, "model", "")
    return _printable(provider or otherwise), _printable(model or "-")


def attempt(
    who: tuple[str, str], *, status: int, request_id: str, seconds: float, size: int | None
) -> None:
    """
    One request that was answered.

    Args:
        who: (provider, model).
        size: bytes of the response's body that were read; None where an SDK reads them.
    """
    logger("http").debug(
        "%s %s: %d, request id %s, %.3f s, %s bytes",
        who[0],
        who[1] or "-",
        status,
        request_id or "-",
        seconds,
        "-" if size is None else size,
    )


def unanswered(who: tuple[str, str], error: BaseException, seconds: float) -> None:
    """One request to which no response came."""
    logger("http").debug("%s %s: %s, %.3f s", who[0], who[1] or "-", type(error).__name__, seconds)


def retried(error: BaseException, tries: int, wait: float) -> None:
    logger("retry").warning(
        "%s %s: try %d failed with %s, again in %.1f s",
        *_who(error, "storage"),
        tries,
        named(error),
        wait,
    )


def failed(area: str, error: BaseException) -> None:
    """A call that failed; as a warning where it may have been paid for."""
    billed = getattr(error, "billed", "no")
    write = logger(area).debug if billed == "no" else logger(area).warning
    write(
        "%s %s: failed with %s, billed: %s",
        *_who(error, "-"),
        named(error),
        billed,
    )


def warnings(area: str, provider: str, model: str, found: Iterable[Any]) -> None:
    """What was not done as it was asked for."""
    for entry in found:
        if not isinstance(entry, Mapping):  # an application's own provider
            continue
        told = (provider, model or "-", entry.get("feature"), entry.get("details"))
        logger(area).warning("%s %s: %s: %s", *map(_printable, told))


def delivered(provider: str, model: str, storage_key: str, url: bool, *, resumed: bool) -> None:
    """An image that was paid for and is there."""
    logger("image").info(
        "%s %s: %s%s%s",
        provider or "-",
        model or "-",
        "resumed, " if resumed else "",
        f"stored as {storage_key}" if storage_key else "not stored",
        "" if url else ", without a URL",
    )
