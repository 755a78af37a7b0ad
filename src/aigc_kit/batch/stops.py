"""Ctrl-C and SIGTERM: the first one ends a run in order, the second one at once."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_WATCHED = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""Only where they have no handler: an application's own handlers stay."""


class Stopped(BaseException):
    """The first signal came while a source was read, which may wait for ever."""


class Stops:
    """
    While inside, the first signal is noted and wakes the loop; ``signal`` is its number, 0 before.

    An exception in the middle of the loop could strike between a paid response and its line.
    """

    def __init__(self, events: queue.SimpleQueue[Any]) -> None:
        self.signal = 0
        self._events = events
        self._before: dict[int, Any] = {}
        self._at_once = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal raises ``Stopped``: nothing is paid for there."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        self._events.put((None, None))
        if self._at_once:
            raise Stopped

    def __enter__(self) -> Stops:
        if threading.current_thread() is threading.main_thread():
            for number, usual in _WATCHED.items():
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._noted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
