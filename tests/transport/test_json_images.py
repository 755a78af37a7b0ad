"""Images in base64 inside of JSON, decoded while they arrive."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.settings import Secret
from aigc_kit.transport import http as transport_http
from aigc_kit.transport import json_images
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.failures import RequestContext
from tests.wire import AMPLE, Reset, Wire, http

CONTEXT = RequestContext("vendor", "model")


Peak = Callable[[], int]


@pytest.fixture
def traced() -> Iterator[Peak]:
    """Tells the most bytes of memory at once since it was asked before."""

    def peak() -> int:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        return most

    tracemalloc.start()
    yield peak
    tracemalloc.stop()


@given(
    st.integers(4000, 9000), st.integers(1, 5000), st.sampled_from([0, 10, 5_400, 40_000, "right"])
)
def test_blobs_however_they_are_cut(size: int, step: int, length: int | str) -> None:
    """
    The JSON without the picture, and the picture, cut at any byte, whatever length was announced.
    """
    import base64

    data = bytes(range(256)) * (size // 256)
    raw = json.dumps(
        {"a": [{"data": base64.b64encode(data).decode()}, {"data": "short"}], "datas": "x"}
    ).encode()
    said = len(raw) if isinstance(length, str) else length
    skeleton, found = json_images.read(
        (raw[at : at + step] for at in range(0, len(raw), step)), length=said
    )
    body = json.loads(skeleton)
    value = body["a"][0]["data"]
    assert (json_images.blob_of(value, found) or base64.b64decode(value)) == data
    assert body["a"][1] == {"data": "short"}
    assert len(skeleton) < 5700


def test_two_blobs_share_the_announced_length() -> None:
    """Each has its own bytes and no others."""
    raw = b'[{"data": "' + b"QUJD" * 3000 + b'"}, {"data": "' + b"REVG" * 2500 + b'"}]'
    assert json_images.read([raw], length=len(raw))[1] == [b"ABC" * 3000, b"DEF" * 2500]


def test_blobs_that_are_none() -> None:
    """
    Broken base64 keeps its characters; a placeholder that the vendor sent points nowhere; a cut is
    broken JSON.
    """
    for text in (b"!" * 5000, b"A" * 4097, b"QUJD" * 2000 + b"!" * 10):
        skeleton, found = json_images.read(
            [b'{"data": "' + text + b'", "b": {"data": "' + b"QUJD" * 2000 + b'"}}']
        )
        assert found == [json_images.Unread(text.decode()), b"ABC" * 2000]
        assert skeleton.endswith(b"}}")
    assert json_images.blob_of(json_images.PREFIX + "0", []) is None
    assert json_images.blob_of(json_images.PREFIX + "x", [b""]) is None
    skeleton, _ = json_images.read([b'{"data": "' + b"A" * 5000])
    assert skeleton == b'{"data": "'
    assert json_images._standard(b"-_-_") == b"\xfb\xff\xbf"


def test_room_is_made_for_what_has_come(traced: Peak) -> None:
    """
    Not for all that is announced: of many small pictures each would pay for all, and a lie would
    cost its length.
    """
    body = transport_http.Gathered()
    body.add(b"x" * 3300, 50_000_000)
    assert traced() < 1_000_000
    body.add(b"x" * 4_000_000, 46_000_000)
    assert 50_000_000 < traced() < 60_000_000
    body.add(b"y", 0)
    assert body.taken() == b"x" * 4_003_300 + b"y"


def test_many_blobs() -> None:
    """Each is whole, and so is the JSON around them."""
    part = b'{"data": "' + b"QUJD" * 1100 + b'"},'
    raw = b"[" + part * 400 + b"{}]"
    skeleton, found = json_images.read(
        (raw[at : at + 65536] for at in range(0, len(raw), 65536)), length=len(raw)
    )
    assert found == [b"ABC" * 1100] * 400
    assert len(json.loads(skeleton)) == 401


def test_an_announced_length_is_not_believed_before_some_of_it_came(
    wire: Wire, traced: Peak
) -> None:
    """Four bytes and a lie cost no memory."""
    wire.script(http(200, b"abcd", length=200_000_000), Reset)
    reply = send(wire)
    assert reply.length == 200_000_000
    with pytest.raises(WireError) as caught:
        reply.read(Deadline.after(AMPLE))
    assert traced() < 20_000_000
    assert caught.value.came == b"abcd"
    absurd = httpcore.Response(200, headers=[(b"Content-Length", str(10**12).encode())])
    assert transport_http.Response(httpcore, absurd).length == 0


def send(wire: Wire, *, timeout: float = AMPLE, body: Any = None) -> transport_http.Response:
    door = HttpTransport(wire.url, Secret("k"))
    try:
        return door.post(
            "/x", body or {}, context=CONTEXT, deadline=Deadline.after(timeout), headers=None
        )
    finally:
        door.close()
