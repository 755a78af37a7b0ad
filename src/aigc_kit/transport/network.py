"""
httpcore with one deadline for a whole call: every connection, handshake, read and write ends by it.

The one patched layer under httpx and httpx2. Names are looked up within a time, which
``getaddrinfo`` itself does not know.
"""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from aigc_kit.transport.deadline import (
    WireError,
    seconds_left,
)
from aigc_kit.transport.interrupts import let_out


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
"""
Look-ups that run at the same time. A resolver that hangs would otherwise collect a thread for each
call.
"""


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
        raise TimeoutError(
            f"the name {host!r} was not resolved in time: the resolver hangs over others"
        )
    mine = _Search()
    search = _running.setdefault((host, port), mine)
    if search is mine:
        threading.Thread(
            target=_work, args=(host, port, mine), name=f"resolve {host}", daemon=True
        ).start()
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
    import socket

    return list(
        dict.fromkeys(
            str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    )


READ_BYTES = 128 * 1024
"""Read at once, at most."""

WRITE_BYTES = 128 * 1024
"""Written at once; a slow peer takes less, and the deadline is looked at between two pieces."""


def failures_of(core: Any) -> tuple[type[Exception], ...]:
    return (
        core.TimeoutException,
        core.NetworkError,
        core.ProtocolError,
        core.ProxyError,
        core.UnsupportedProtocol,
        OSError,
        UnicodeError,
        ValueError,
    )


def wire_error_of(core: Any, error: Exception, *, sent: bool) -> WireError:
    let_out(error)
    if isinstance(
        error,
        (
            core.ConnectError,
            core.ConnectTimeout,
            core.PoolTimeout,
            core.UnsupportedProtocol,
            core.LocalProtocolError,
            core.ProxyError,
        ),
    ):
        sent = False
    timed_out = isinstance(error, (core.TimeoutException, TimeoutError))
    return WireError(
        f"{type(error).__name__}: {error}".rstrip(": "), sent=sent, timed_out=timed_out
    )


class Backend:
    """A network backend of httpcore that keeps the thread's deadline."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._sockets = core.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> Stream:
        try:
            answers = addresses(host, port, _within(timeout, self._core.ConnectTimeout))
        except TimeoutError as error:
            raise self._core.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise self._core.ConnectError(f"the name {host!r} cannot be resolved") from error
        return self.connect_any(answers, port, timeout, local_address, socket_options)

    def connect_any(
        self,
        answers: list[str],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Any,
    ) -> Stream:
        """To the first of these numeric addresses that takes the connection."""
        failure: Exception | None = None
        for answer in answers:
            try:
                within = _within(timeout, self._core.ConnectTimeout)
                return Stream(
                    self._core,
                    self._sockets.connect_tcp(answer, port, within, local_address, socket_options),
                )
            except (self._core.ConnectError, self._core.ConnectTimeout) as error:
                failure = error
        raise failure or self._core.ConnectError("the name has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> Stream:
        timeout = _within(timeout, self._core.ConnectTimeout)
        return Stream(self._core, self._sockets.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Stream:
    """
    A network stream of httpcore that keeps the thread's deadline.

    httpcore writes the head of a request, its body and its end one by one. The head waits for the
    next write: head and body leave in one packet, or in one record of TLS.
    """

    def __init__(self, core: Any, inner: Any) -> None:
        self._core = core
        self._inner = inner
        self._size = 0
        self._begun = False
        self._held = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._begun:
            self._send(b"", timeout)
            self._begun = False
        # A body that comes faster than it is read is read in larger pieces: each costs httpcore as
        # much as a small one.
        size = max(self._size, max_bytes)
        data: bytes = self._inner.read(size, _within(timeout, self._core.ReadTimeout))
        self._size = min(2 * size, READ_BYTES) if len(data) >= max_bytes else 0
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._begun:
            self._send(buffer, timeout)
        else:
            self._begun, self._held = True, buffer

    def _send(self, buffer: bytes, timeout: float | None) -> None:
        held, self._held = self._held, b""
        if len(held) + len(buffer) <= WRITE_BYTES:
            buffer, held = held + buffer, b""
        if held:
            self._inner.write(held, _within(timeout, self._core.WriteTimeout))
        if len(buffer) <= WRITE_BYTES:
            if buffer:
                self._inner.write(buffer, _within(timeout, self._core.WriteTimeout))
            return
        # In pieces: one timeout for 50 MB would start again with each packet a slow peer takes.
        for start in range(0, len(buffer), WRITE_BYTES):
            piece = buffer[start : start + WRITE_BYTES]
            self._inner.write(piece, _within(timeout, self._core.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        timeout = _within(timeout, self._core.ConnectTimeout)
        return Stream(self._core, self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _within(timeout: float | None, expired: Callable[[str], Exception]) -> float | None:
    left = seconds_left()
    if left is None:
        return timeout
    if left <= 0:
        raise expired("the deadline passed")
    return left if timeout is None else min(timeout, left)
