"""Server-sent events, however they are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.transport import sse

EVENTS = b'\xef\xbb\xbf: hello\r\n\r\ndata: {"a":1}\r\n\r\nevent: x\ndata:{"b":\ndata: 2}\n\nid: 5\n\ndata\n\ndata: \xe7\x8c\xab\r\rdata: [DONE]'
EXPECTED = [b'{"a":1}', b'{"b":\n2}', b"", "猫".encode(), b"[DONE]"]


@given(st.lists(st.integers(0, len(EVENTS)), max_size=12))
def test_events_however_they_are_cut(cuts: list[int]) -> None:
    """Mark, comments, every line ending, no space, no final blank line, cut at any byte."""
    edges = sorted({0, len(EVENTS), *cuts})
    pieces = [EVENTS[a:b] for a, b in itertools.pairwise(edges)]
    assert list(sse.events(pieces)) == EXPECTED
    assert list(sse.events([EVENTS[at : at + 1] for at in range(len(EVENTS))])) == EXPECTED


def test_no_events() -> None:
    """Nothing, and almost nothing."""
    for raw in (b"", b"\n\n\n", b": ping\n\n", b"\xef\xbb\xbf", b"event: x\n\n", b"retry: 5"):
        assert list(sse.events([raw])) == []
