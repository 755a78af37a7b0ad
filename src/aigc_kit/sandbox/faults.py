"""What goes wrong on the wire: a finished reply, sent in a way that no vendor promises."""

from __future__ import annotations

import gzip
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = {
    "reset unread": "the connection is reset before the request is read",
    "reset": "the connection is reset after the request was read",
    "close": "the connection is closed after the request was read",
    "hang": "nothing comes after the request was read",
    "drip head": "the head comes byte by byte, for ever",
    "hang body": "the body stops after `at` bytes, and the connection stays",
    "drip": "the body comes byte by byte",
    "cut": "the connection is closed after `at` bytes of head and body",
    "cut body": "the connection is closed after `at` bytes of the body",
    "reset body": "the connection is reset after `at` bytes of the body",
    "too long": "content-length names more bytes than come",
    "too short": "content-length names fewer bytes than come",
    "no length": "neither content-length nor chunks; the body ends where the connection does",
    "gzip": "the body is compressed though nobody asked",
    "endless": "the body never ends",
    "bad checksum": "one bit of the body is another one",
}
"""The kinds of ``Sandbox.fail``, and what each does."""

_BIT_AT = 0.6  # of the body's length: behind the framing of the first event


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    ``kind``: a key of ``KINDS``. ``at``: bytes, negative counts from the end. ``seconds``: between two bytes that drip.
    """

    kind: str
    at: int = 0
    seconds: float = 0.02

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")


def play(fault: Fault, connection: socket.socket, head: bytes, body: bytes, closing: threading.Event) -> None:
    """
    Send ``head`` (without its framing fields) and ``body`` as the fault wants it; the connection is of no use afterwards.

    Args:
        closing: set when the server goes down; nothing here outlasts it or the client's leaving.
    """
    kind = fault.kind
    if kind == "gzip":
        head, body = head + b"content-encoding: gzip\r\n", gzip.compress(body)
    if kind == "bad checksum" and body:
        place = min(int(len(body) * _BIT_AT), len(body) - 1)
        body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    length = {"too long": len(body) + 100, "too short": max(len(body) // 2, 1), "endless": 1 << 40}.get(kind, len(body))
    if kind != "no length":
        head += b"content-length: %d\r\n" % length
    head += b"connection: close\r\n\r\n"
    at = fault.at if fault.at >= 0 else max(len(body) + fault.at, 0)
    if kind in ("reset", "close", "reset unread"):
        pass
    elif kind == "hang":
        _wait(connection, closing)
    elif kind == "drip head":
        _drip(connection, _for_ever(head), fault.seconds, closing)
    elif kind == "drip":
        connection.sendall(head)
        _drip(connection, iter(body), fault.seconds, closing)
    elif kind == "hang body":
        connection.sendall(head + body[:at])
        _wait(connection, closing)
    elif kind == "cut":
        connection.sendall((head + body)[: fault.at if fault.at >= 0 else fault.at or None])
    elif kind in ("cut body", "reset body"):
        connection.sendall(head + body[:at])
    elif kind == "endless":
        connection.sendall(head + body)
        while not closing.is_set():
            connection.sendall(b" " * 65536)
    else:
        connection.sendall(head + body)
    if kind.startswith("reset"):
        if kind == "reset body":
            time.sleep(0.05)  # a reset throws away what the peer has not read
        reset(connection)


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _for_ever(head: bytes) -> Iterator[int]:
    yield from head[:-2]
    while True:
        yield from b"x-more: 1\r\n"


def _drip(connection: socket.socket, source: Iterator[int], seconds: float, closing: threading.Event) -> None:
    for byte in source:
        connection.sendall(bytes([byte]))
        if closing.wait(seconds):
            return


def _wait(connection: socket.socket, closing: threading.Event) -> None:
    """Until the client leaves or the server goes down."""
    while not closing.is_set():
        readable, _, _ = select.select([connection], [], [], 0.05)
        if readable and not connection.recv(65536):
            return
