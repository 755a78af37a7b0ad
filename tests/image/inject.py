"""
Raise an exception at every line that the library runs after a paid request has arrived.

What a worker's time limit does, raised from a signal handler; Ctrl-C; an allocation that fails.
Sources: https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits,
https://github.com/rq/rq/blob/master/rq/timeouts.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import aigc_kit

ROOT = os.path.dirname(aigc_kit.__file__) + os.sep
ASIDE = (os.path.join(ROOT, "sandbox"),)


class JobTimeout(Exception):
    """An application's own."""


class Trace:
    """Raises ``kind`` at the ``at``-th line of the library that runs when ``begun()`` is true."""

    def __init__(self, kind: type[BaseException], at: int, begun: Callable[[], bool]) -> None:
        self.kind = kind
        self.left = at
        self.begun = begun
        self.where = ""

    def __enter__(self) -> Trace:
        self.before = sys.gettrace()  # coverage's own
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return self._line if name.startswith(ROOT) and not name.startswith(ASIDE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and not self.where and self.begun():
            self.left -= 1
            if self.left == 0:
                self.where = f"{os.path.relpath(frame.f_code.co_filename, ROOT)}:{frame.f_lineno}"
                raise self.kind("the time is over")
        return self._line
