"""Things that are opened at first use, once in each process, and shared by its threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Slot(Generic[T]):
    """What one process holds."""

    __slots__ = ("lock", "pid", "value")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.value: T | None = None


class Handle(Generic[T]):
    """
    One open thing.

    After a fork the child opens its own: sockets must not be shared, and the parent's lock may be
    held for ever.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], None]) -> None:
        self._make = make
        self._close = close
        self._slot: _Slot[T] = _Slot()

    def get(self) -> T:
        """The thing, opened at the first call."""
        slot = self._mine()
        value = slot.value
        if value is None:
            with slot.lock:
                value = slot.value
                if value is None:
                    value = slot.value = self._make()
        return value

    def close(self) -> None:
        """Close what this process opened; the next ``get`` opens again."""
        slot = self._mine()
        with slot.lock:
            value, slot.value = slot.value, None
        if value is not None:
            self._close(value)

    def _mine(self) -> _Slot[T]:
        slot = self._slot
        if slot.pid != os.getpid():
            slot = self._slot = _Slot()
        return slot
