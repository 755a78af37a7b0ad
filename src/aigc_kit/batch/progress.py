"""How far a run is: on a terminal, for a callback, or not shown."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_REDRAW = 0.2
"""Seconds between two looks at a terminal."""


_STOPPING = (
    "stopping: {} calls are under way and may be paid for, so they are finished first; Ctrl-C again"
    " stops at once"
)


@dataclass
class Progress:
    """
    Where a run is.

    ``total``: jobs of the source, None where it cannot be counted. ``skipped``: done before.
    ``per_minute``: how many end in a minute now, as far as it is known. ``limit``: requests per
    minute that may leave, None without a limit. ``waits``: jobs that failed and come again at the
    end.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    in_flight: int = 0
    waits: int = 0
    per_minute: float = 0.0
    limit: float | None = None

    @property
    def finished(self) -> int:
        return self.done + self.failed + self.unknown + self.skipped

    @property
    def seconds_left(self) -> float | None:
        """
        From the rate limit or from what ends in a minute, whichever is slower; None where neither
        is known.
        """
        rates = [rate for rate in (self.per_minute, self.limit) if rate]
        if self.total is None or not rates:
            return None
        return max(self.total - self.finished, 0) / min(rates) * 60


class Shown(Protocol):
    """What receives the progress."""

    def update(self, progress: Progress) -> None: ...
    def stopping(self, in_flight: int) -> None: ...
    def close(self) -> None: ...


class Quiet:
    """It is not shown."""

    def update(self, progress: Progress) -> None:
        """Nothing."""

    def stopping(self, in_flight: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Called:
    """A function of the application, which is called at most five times a second and at the end."""

    def __init__(self, function: Callable[[Progress], object]) -> None:
        self._function = function
        self._last = -math.inf
        self._progress: Progress | None = None

    def update(self, progress: Progress) -> None:
        self._progress = progress
        now = time.monotonic()
        if now - self._last >= _REDRAW:
            self._last = now
            self._function(progress)

    def stopping(self, in_flight: int) -> None:
        """The application raised the signal, or sees it too."""

    def close(self) -> None:
        if self._progress is not None:
            self._function(self._progress)


class Bar:
    """tqdm's bar on stderr."""

    def __init__(self, make: Any) -> None:
        self._bar = make(
            unit="job",
            dynamic_ncols=True,
            mininterval=_REDRAW,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        )

    def update(self, progress: Progress) -> None:
        bar = self._bar
        bar.total = progress.total
        bar.set_postfix_str(text_of(progress), refresh=False)
        bar.update(progress.finished - bar.n)

    def stopping(self, in_flight: int) -> None:
        self._bar.write(_STOPPING.format(in_flight), file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


class Text:
    """One line on stderr, where tqdm is not installed."""

    def __init__(self) -> None:
        self._last = -math.inf

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < _REDRAW:
            return
        self._last = now
        total = "?" if progress.total is None else progress.total
        sys.stderr.write(f"\r\x1b[K{progress.finished}/{total} jobs, {text_of(progress)}")
        sys.stderr.flush()

    def stopping(self, in_flight: int) -> None:
        sys.stderr.write(f"\r\x1b[K{_STOPPING.format(in_flight)}\n")

    def close(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def text_of(progress: Progress) -> str:
    """What the bar says beside its count."""
    parts = [f"{progress.in_flight} in flight"]
    parts += [f"{progress.failed} failed"] * bool(progress.failed)
    parts += [f"{progress.unknown} unknown"] * bool(progress.unknown)
    parts += [f"{progress.waits} again later"] * bool(progress.waits)
    if progress.per_minute:
        parts.append(f"{progress.per_minute:.0f}/min")
    left = progress.seconds_left
    if left is not None:
        parts.append(f"{_span(left)} left")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def shown(wanted: Any) -> Shown:
    """
    Args:
        wanted: None: a bar where stderr is a terminal; False: nothing; True: a bar anyhow; a
            function: it is called.
    """
    if callable(wanted):
        return Called(wanted)
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        return Quiet()
    try:
        from tqdm import tqdm
    except ImportError:
        return Text()
    return Bar(tqdm)
