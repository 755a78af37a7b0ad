"""Locks by name: between threads of one process, and on files between processes."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from aigc_kit.errors import StorageError

LONGEST_WAIT = 1e6
"""Seconds that anybody waits for a lock."""


def busy(wait: float, key: str = "") -> StorageError:
    """Someone else holds the lock."""
    return StorageError(
        f"another call has been buying with this idempotency_key for {wait:.0f} s",
        key=key,
        retryable=True,
    )


class _Lock:
    """A lock with a weak reference."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_locks: weakref.WeakValueDictionary[str, _Lock] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def _in_child() -> None:
    """After a fork: the parent's threads, which held locks, are not here."""
    global _guard
    _guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@contextmanager
def alone(name: str, wait: float) -> Iterator[None]:
    """
    No other thread of this process is inside with the same name.

    Raises:
        StorageError: another one was for ``wait`` seconds.
    """
    with _guard:
        mine = _locks.setdefault(name, _Lock())
    if not mine.lock.acquire(timeout=min(wait, LONGEST_WAIT)):
        raise busy(wait, name)
    try:
        yield
    finally:
        mine.lock.release()


def lock_file(file: int) -> None:
    """Take the lock at once, or raise ``OSError``."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock_file(file: int) -> None:
    """Give the lock back by itself: a forked child may hold the same file open."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
