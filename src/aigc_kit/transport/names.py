"""Looking names up within a time: ``getaddrinfo`` itself knows none, and a resolver that hangs would hang a call for ever."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time


def addresses(host: str, port: int, seconds: float | None) -> list[str]:
    """
    The numeric addresses of a host, each once, in the system's order.

    Args:
        seconds: how long to wait; None waits as long as the system does.

    Raises:
        TimeoutError: no answer in time. The look-up itself goes on in a thread that ends with it.
        OSError, UnicodeError: the name cannot be resolved.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if seconds is None:
        return _look_up(host, port)
    deadline = time.monotonic() + max(seconds, 0.0)
    search = _search(host, port, deadline)
    if not search.over.wait(max(deadline - time.monotonic(), 0.0)):
        raise TimeoutError(f"the name {host!r} was not resolved in time")
    if search.error is not None:
        raise search.error
    return list(search.found)


MOST = 8
"""Look-ups that run at the same time. A resolver that hangs would otherwise collect a thread for each call."""


class _Search:
    """One look-up, for everybody who waits for the same name."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.found: list[str] = []
        self.error: Exception | None = None


_running: dict[tuple[str, int], _Search] = {}
_places = threading.Semaphore(MOST)


def _in_child() -> None:
    """After a fork: the parent's threads are not here."""
    global _places
    _places = threading.Semaphore(MOST)
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _search(host: str, port: int, deadline: float) -> _Search:
    """
    The look-up that runs for this name, or a new one.

    Raises:
        TimeoutError: all places are taken by look-ups that hang.
    """
    running = _running.get((host, port))
    if running is not None:
        return running
    if not _places.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
        raise TimeoutError(f"the name {host!r} was not resolved in time: the resolver hangs over others")
    mine = _Search()
    search = _running.setdefault((host, port), mine)
    if search is mine:
        threading.Thread(target=_work, args=(host, port, mine), name=f"resolve {host}", daemon=True).start()
    else:
        _places.release()
    return search


def _work(host: str, port: int, search: _Search) -> None:
    try:
        search.found = _look_up(host, port)
    except (OSError, UnicodeError) as error:
        search.error = error
    finally:
        _running.pop((host, port), None)
        _places.release()
        search.over.set()


def _look_up(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
