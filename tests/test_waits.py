"""The judge of waits can say no."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.waits import Overdue, within
from tests.wire import Wire, http


def test_waits_that_fit_are_recorded(wire: Wire) -> None:
    """Of a connection, a request, its response, and a sleep."""
    wire.script(http(200))
    with (
        within(60) as waits,
        socket.create_connection(("127.0.0.1", wire.port), timeout=50) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        connection.settimeout(40)
        assert connection.recv(100)
        time.sleep(0.01)
    assert waits.timeouts == [50, 50, 40, 0.01]
    assert waits.latest >= 50


@pytest.mark.parametrize("timeout", [None, 61.0])
def test_waits_that_would_be_too_long_are_refused(wire: Wire, timeout: float | None) -> None:
    """Before they begin, whether or not something comes in time."""
    with socket.create_connection(("127.0.0.1", wire.port)) as connection:
        connection.settimeout(timeout)
        with within(60), pytest.raises(Overdue):
            connection.recv(1)
    with within(60), pytest.raises(Overdue):
        threading.Thread().join(timeout)


def test_a_deadline_does_not_start_again_with_each_wait(wire: Wire) -> None:
    """One that has 60 seconds of its own, 50 seconds later, would end too late."""
    wire.script(http(200))
    with (
        socket.create_connection(("127.0.0.1", wire.port), timeout=60) as connection,
        within(60) as waits,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        waits.started -= 50
        with pytest.raises(Overdue):
            connection.recv(1)
