"""Time as the engine sees it: a simulated hour needs no sleeping."""

from __future__ import annotations

import queue
import time
from typing import Any


class Clock:
    """The machine's own time."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def wait(self, events: queue.SimpleQueue[Any], seconds: float | None) -> Any:
        """
        The next event, or None when ``seconds`` are over first.

        Args:
            seconds: None waits until there is one.
        """
        try:
            return events.get(timeout=seconds)
        except queue.Empty:
            return None
