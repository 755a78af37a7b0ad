"""One exchange: content codings, caps, deadlines, draining."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from aigc_kit import errors
from aigc_kit.settings import Secret
from aigc_kit.transport import answers
from aigc_kit.transport import http as transport_http
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import DRAIN_SECONDS, Deadline, WireError
from aigc_kit.transport.failures import RequestContext
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, http

CONTEXT = RequestContext("vendor", "model")


def send(wire: Wire, *, timeout: float = AMPLE, body: Any = None) -> transport_http.Response:
    door = HttpTransport(wire.url, Secret("k"))
    try:
        return door.post(
            "/x", body or {}, context=CONTEXT, deadline=Deadline.after(timeout), headers=None
        )
    finally:
        door.close()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_replies_are_read_though_nobody_asked(wire: Wire, coding: str) -> None:
    """Some gateways compress anyway."""
    raw = gzip.compress(b'{"a":1}') if coding == "gzip" else zlib.compress(b'{"a":1}')
    wire.script(http(200, raw, headers={"content-encoding": coding}))
    assert send(wire).read(Deadline.after(AMPLE)) == b'{"a":1}'


@pytest.mark.parametrize(
    ("raw", "coding", "match"),
    [
        (gzip.compress(b"\0" * 10**8, mtime=0), "gzip", "longer than"),
        (gzip.compress(b"abc" * 1000, mtime=0)[:-10], "gzip", "cut"),
        (b"no gzip at all", "gzip", "broken"),
        (b"x", "br", "not asked for"),
    ],
)
def test_compressed_replies_that_are_refused(
    wire: Wire, raw: bytes, coding: str, match: str
) -> None:
    """Bombs stop at the limit, cuts and unknown codings are errors."""
    wire.script(http(200, raw, headers={"content-encoding": coding}))
    with pytest.raises(WireError, match=match):
        send(wire).read(Deadline.after(AMPLE), limit=10**6)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_the_cap_of_a_response_is_looked_up_at_each_call(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    """Lowering ``MAX_RESPONSE_BYTES`` lowers it for a client that is already open."""
    body = b"x" * 2000 if coding == "identity" else gzip.compress(b"x" * 2000)
    wire.script(http(200, body, headers={"content-encoding": coding}))
    assert len(send(wire).read(Deadline.after(AMPLE))) == 2000
    monkeypatch.setattr(transport_http, "MAX_RESPONSE_BYTES", 1000)
    with pytest.raises(WireError, match="longer than 1000 bytes") as caught:
        send(wire).read(Deadline.after(AMPLE))
    assert caught.value.too_large


def test_large_requests_leave_within_the_deadline(wire: Wire) -> None:
    """20 MB go out in pieces; a peer that takes nothing is left when the time is over."""
    wire.script(http(200, b"{}"))
    assert send(wire, body={"a": "x" * 20_000_000}).read(Deadline.after(AMPLE)) == b"{}"


def test_drain_gives_up_on_endless_bodies(wire: Wire) -> None:
    """Fifty milliseconds, then the connection is dropped."""

    wire.script(http(200, b"x", length=10_000), 3600.0)
    reply = send(wire)
    with within(AMPLE) as waits:
        reply.drain()
    assert waits.timeouts
    assert max(waits.timeouts) <= DRAIN_SECONDS


def test_interim_bodies_of_errors_are_bounded(wire: Wire) -> None:
    """An error whose body never ends is still that error."""
    wire.script(http(404, b'{"error"', length=500), Reset)
    with pytest.raises(errors.NotFoundError):
        answers.body_of(CONTEXT, send(wire), Deadline.after(AMPLE))
