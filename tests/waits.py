"""
How long a call is ready to wait, judged by the timeouts that it gives to sockets, sleeps and joins.

A clock around a call measures the machine as much as the library. A timeout is what the library
decided.
"""

from __future__ import annotations

import functools
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 0.8
"""
How far beyond the limit a wait may end, as a part of the limit.

Between the moment when the library looks at its clock and the wait itself the machine may be busy
with other things. A deadline that starts again after a timeout is off by the whole limit.
"""


class Overdue(BaseException):
    """
    A wait would end too late. Not an ``Exception``, so that no code takes it for a network failure
    and retries.
    """


@dataclass
class Waits:
    """The waits of one thread. ``timeouts``: the seconds that each was given, in order."""

    limit: float
    started: float = field(default_factory=time.monotonic)
    timeouts: list[float] = field(default_factory=list)
    latest: float = 0.0
    """Seconds after the start at which the last of them would have ended."""

    def begins(self, timeout: float | None) -> None:
        seconds = math.inf if timeout is None else timeout
        end = time.monotonic() - self.started + seconds
        self.timeouts.append(seconds)
        self.latest = max(self.latest, end)
        if seconds > self.limit or end > self.limit * (1 + TOLERANCE):
            raise Overdue(
                f"a wait of {seconds:.2f} s would end after {end:.2f} s, although {self.limit} s were allowed"
            )


class _Thread(threading.local):
    waits: Waits | None = None


_thread = _Thread()


@contextmanager
def within(seconds: float) -> Iterator[Waits]:
    """
    Every wait of this thread inside ends within ``seconds``, however slow the machine is.

    Raises:
        Overdue: at the beginning of one that would not.
    """
    before, waits = _thread.waits, Waits(seconds)
    _thread.waits = waits
    try:
        yield waits
    finally:
        _thread.waits = before


def _watched(
    method: Callable[..., Any], timeout_of: Callable[..., float | None]
) -> Callable[..., Any]:
    @functools.wraps(method)
    def watched(*args: Any, **options: Any) -> Any:
        if _thread.waits is not None:
            _thread.waits.begins(timeout_of(*args, **options))
        return method(*args, **options)

    return watched


def _watch_sockets() -> None:
    for kind in (socket.socket, ssl.SSLSocket):
        for name in ("connect", "recv", "recv_into", "send", "sendall"):
            setattr(
                kind, name, _watched(getattr(kind, name), lambda sock, *args: sock.gettimeout())
            )
    handshake = _watched(
        ssl.SSLSocket.do_handshake, lambda sock, *args, **options: sock.gettimeout()
    )
    ssl.SSLSocket.do_handshake = handshake  # type: ignore[method-assign]


_watch_sockets()
time.sleep = _watched(time.sleep, lambda seconds: seconds)
threading.Thread.join = _watched(threading.Thread.join, lambda thread, timeout=None: timeout)  # type: ignore[method-assign]
