"""One thread of this process after the other, by name."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 1e6
"""Seconds that anybody waits for a turn."""


class _Turn:
    """A lock with a weak reference."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_turns: weakref.WeakValueDictionary[str, _Turn] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def _in_child() -> None:
    """After a fork: the parent's threads, which held turns, are not here."""
    global _lock
    _lock = threading.Lock()
    _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@contextmanager
def turn(name: str, wait: float) -> Iterator[bool]:
    """Nobody else has this name's turn inside; False when it did not come within ``wait`` seconds."""
    with _lock:
        mine = _turns.setdefault(name, _Turn())
    came = mine.lock.acquire(timeout=min(wait, LONGEST))
    try:
        yield came
    finally:
        if came:
            mine.lock.release()
