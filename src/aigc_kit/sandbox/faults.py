"""What goes wrong on the wire: a finished response, sent in a way that no vendor promises."""

from __future__ import annotations

import gzip
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
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
    "gzip": "the body is compressed without being asked for",
    "endless": "the body never ends",
    "bad checksum": "one bit of the body is another one",
}
"""The kinds of ``Sandbox.fail``, and what each does."""

_BIT_AT = 0.6  # of the body's length: behind the framing of the first event


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    ``kind``: a key of ``KINDS``. ``at``: bytes, negative counts from the end. ``seconds``: between
    two bytes that drip.
    """

    kind: str
    at: int = 0
    seconds: float = 0.02

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")


def play(
    fault: Fault, connection: socket.socket, head: bytes, body: bytes, closing: threading.Event
) -> None:
    """
    Send ``head`` (without its framing fields) and ``body`` as the fault wants it; the connection
    cannot be used afterwards.

    Args:
        closing: set when the server goes down; nothing here outlasts it or the client's disconnect.
    """
    body = _changed(fault.kind, body)
    head = _framed(fault.kind, head, len(body))
    _SENDERS.get(fault.kind, _whole)(Spoiled(fault, connection, head, body, closing))
    if fault.kind == "reset body":
        time.sleep(0.05)  # a reset throws away what the peer has not read
    if fault.kind.startswith("reset"):
        reset(connection)


def _changed(kind: str, body: bytes) -> bytes:
    if kind == "gzip":
        return gzip.compress(body)
    if kind == "bad checksum" and body:
        place = min(int(len(body) * _BIT_AT), len(body) - 1)
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    return body


def _framed(kind: str, head: bytes, length: int) -> bytes:
    """The head with the length that the fault claims."""
    if kind == "gzip":
        head += b"content-encoding: gzip\r\n"
    claimed = {"too long": length + 100, "too short": max(length // 2, 1), "endless": 1 << 40}
    if kind != "no length":
        head += b"content-length: %d\r\n" % claimed.get(kind, length)
    return head + b"connection: close\r\n\r\n"


@dataclass(frozen=True)
class Spoiled:
    """A response on its way out; ``cut`` is where the fault strikes in its body."""

    fault: Fault
    connection: socket.socket
    head: bytes
    body: bytes
    closing: threading.Event

    @property
    def cut(self) -> int:
        if self.fault.at >= 0:
            return self.fault.at
        return max(len(self.body) + self.fault.at, 0)


def _nothing(sent: Spoiled) -> None:
    """The connection ends without a byte."""


def _hang(sent: Spoiled) -> None:
    _wait(sent.connection, sent.closing)


def _drip_head(sent: Spoiled) -> None:
    _drip(sent.connection, _for_ever(sent.head), sent.fault.seconds, sent.closing)


def _drip_body(sent: Spoiled) -> None:
    sent.connection.sendall(sent.head)
    _drip(sent.connection, iter(sent.body), sent.fault.seconds, sent.closing)


def _hang_in_body(sent: Spoiled) -> None:
    _cut_body(sent)
    _wait(sent.connection, sent.closing)


def _cut_anywhere(sent: Spoiled) -> None:
    sent.connection.sendall((sent.head + sent.body)[: sent.fault.at])


def _cut_body(sent: Spoiled) -> None:
    sent.connection.sendall(sent.head + sent.body[: sent.cut])


def _endless(sent: Spoiled) -> None:
    _whole(sent)
    while not sent.closing.is_set():
        sent.connection.sendall(b" " * 65536)


def _whole(sent: Spoiled) -> None:
    sent.connection.sendall(sent.head + sent.body)


_SENDERS: dict[str, Callable[[Spoiled], None]] = {
    "reset unread": _nothing,
    "reset": _nothing,
    "close": _nothing,
    "hang": _hang,
    "drip head": _drip_head,
    "hang body": _hang_in_body,
    "drip": _drip_body,
    "cut": _cut_anywhere,
    "cut body": _cut_body,
    "reset body": _cut_body,
    "endless": _endless,
}
"""How each kind is sent; the others change the head or the body, and are sent whole."""


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _for_ever(head: bytes) -> Iterator[int]:
    yield from head[:-2]
    while True:
        yield from b"x-more: 1\r\n"


def _drip(
    connection: socket.socket, source: Iterator[int], seconds: float, closing: threading.Event
) -> None:
    for byte in source:
        connection.sendall(bytes([byte]))
        if closing.wait(seconds):
            return


def _wait(connection: socket.socket, closing: threading.Event) -> None:
    """Until the client disconnects or the server goes down."""
    while not closing.is_set():
        readable, _, _ = select.select([connection], [], [], 0.05)
        if readable and not connection.recv(65536):
            return
