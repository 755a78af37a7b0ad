"""The server that misbehaves byte by byte: it leaves nothing behind."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from tests.tls import certificate
from tests.wire import Wire, http, until


def threads_of(wire: Wire) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"wire {wire.port}"]


@pytest.mark.parametrize("connections", [0, 3])
def test_a_closed_wire_leaves_no_thread(connections: int) -> None:
    """
    Neither the accepting thread nor those that wait for a request, are silent, or send to a client
    that does not read.
    """
    with contextlib.ExitStack() as clients:
        with Wire() as wire:
            wire.script(http(200)[:10], 3600.0)
            wire.script(http(200, b"x" * 50_000_000))
            for number in range(connections):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", wire.port)))
                if number:
                    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    assert until(lambda number=number: len(wire.requests) == number)
            assert until(lambda: len(threads_of(wire)) == 1 + connections)
        assert threads_of(wire) == []


def test_a_closed_wire_leaves_no_handshake(tmp_path: Path) -> None:
    """A client that never sends a TLS hello does not hold its thread."""
    context, _ = certificate(tmp_path)
    with Wire(tls=context) as wire, socket.create_connection(("127.0.0.1", wire.port)):
        assert until(lambda: len(threads_of(wire)) == 2)
        wire.close()
        assert threads_of(wire) == []


def test_a_wire_closes_once_and_for_all() -> None:
    """Closing again is allowed; nothing listens on its port afterwards."""
    with Wire() as wire:
        wire.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", wire.port), timeout=5)
