"""When a request is sent again, how a reply is read, and what an error body becomes."""

from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import ChatClient, errors
from aigc_kit.settings import Secret
from aigc_kit.transport import answers, codes, failures, json_images, sse
from aigc_kit.transport import http as transport_http
from aigc_kit.transport.clients import HttpTransport, Lease
from aigc_kit.transport.deadline import DRAIN_SECONDS, Deadline, Exchange, WireError
from aigc_kit.transport.encoding import to_json
from aigc_kit.transport.error_bodies import code_and_message
from aigc_kit.transport.failures import RequestContext, error_from_body, retry_after_of
from aigc_kit.transport.retry import Policy
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, http

CONTEXT = RequestContext("vendor", "model")


@pytest.mark.parametrize(
    ("error", "paid", "again"),
    [
        (errors.ServerError("x", retryable=True, billed="unknown"), False, True),
        (errors.ServerError("x", retryable=True, billed="unknown"), True, False),
        (errors.RateLimitError("x", retryable=True), True, True),
        (errors.ConnectionFailedError("x", retryable=True, billed="no"), True, True),
        (errors.ConnectionFailedError("x", retryable=True, billed="unknown"), True, False),
        (errors.OutcomeUnknownError("x"), True, False),
        (errors.OutcomeUnknownError("x"), False, False),
        (errors.BadRequestError("x"), False, False),
        (errors.InvalidReplyError("x", retryable=True), False, False),
        (errors.StreamInterruptedError("x"), False, False),
        (errors.StorageError("x", retryable=True), False, True),
        (errors.StorageError("x"), False, False),
    ],
)
def test_what_may_be_repeated(error: Any, paid: bool, again: bool) -> None:
    """A paid request only when it surely did not run."""
    assert Policy(1, paid=paid).may_repeat(error) is again


def test_attempts_are_counted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two more tries after the first, with growing waits; what asks for a longer wait than is left
    ends at once.
    """
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    tries: list[Deadline] = []

    def fail(deadline: Deadline) -> None:
        tries.append(deadline)
        raise errors.RateLimitError("x", retryable=True)

    with pytest.raises(errors.RateLimitError):
        Policy(60).run(fail)
    assert len(tries) == 3
    assert 0.375 <= waits[0] <= 0.5
    assert 0.75 <= waits[1] <= 1.0
    assert len({deadline.at for deadline in tries}) == 1

    def wait_long(deadline: Deadline) -> None:
        raise errors.RateLimitError("x", retryable=True, retry_after=61)

    with pytest.raises(errors.RateLimitError):
        Policy(60).run(wait_long)
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, None, 7),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250"}, None, 0.25),
        ({"x-amz-retry-after": "100"}, None, 0.1),
        ({"retry-after": "-5"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "99999999999999"}, None, 1e9),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, 0),
        ({}, {"error": {"details": [{"retryDelay": "7.5s"}]}}, 7.5),
        ({}, [{"error": {"details": [{}, 5, {"retryDelay": "39s"}]}}], 39),
        ({}, {"error": {"details": [{"retryDelay": "x"}]}}, None),
        ({}, {"error": "x"}, None),
    ],
)
def test_waits_that_vendors_ask_for(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    """Seconds, milliseconds, a date, or Google's duration."""
    assert retry_after_of(headers, body) == seconds


def test_a_date_in_the_future() -> None:
    """RFC 9110's other form of Retry-After."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    found = retry_after_of({"retry-after": then})
    assert found is not None
    assert 3000 < found <= 3600


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "A.B", "message": "m"}}, "A.B", "m"),
        ({"error": {"code": 429, "status": "EXHAUSTED", "message": "m"}}, "EXHAUSTED", "m"),
        ([{"error": {"code": 5, "message": "m"}}], "5", "m"),
        ({"error": "text"}, "", "text"),
        ({"code": "1302", "msg": "m"}, "1302", "m"),
        ({"message": "m"}, "", "m"),
        ({"error": {"type": "t", "message": None}}, "t", ""),
        ({"error": {"message": {"a": 1}}}, "", '{"a": 1}'),
        ("<html><title> Bad Gateway </title>", "", "an HTML page (Bad Gateway) instead of JSON"),
        ("  <!DOCTYPE html>", "", "an HTML page instead of JSON"),
        (None, "", ""),
        ([], "", "[]"),
        ({"error": {"code": True}}, "", ""),
    ],
)
def test_error_bodies_of_every_shape(body: Any, code: str, message: str) -> None:
    """Code and words are found wherever vendors put them."""
    assert code_and_message(body) == (code, message)


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_is_an_error(status: int) -> None:
    """No status is a surprise; 5xx may have been billed."""
    error = error_from_body(CONTEXT, {}, status=status, headers={})
    assert isinstance(error, errors.ProviderError)
    assert type(error) is not errors.ProviderError
    assert error.status_code == status
    ran = isinstance(error, errors.ServerError) or status in (409, 425, 444, 460, 499)
    assert error.billed == ("unknown" if ran else "no")


def test_messages_are_short_and_clean() -> None:
    """No key, no base64, no endless text."""
    asked = RequestContext("vendor", secrets=(Secret("canary-key"),))
    raw = (
        b'{"error": {"message": "key canary-key, picture '
        + b"A" * 500
        + b" "
        + b"word " * 500
        + b'"}}'
    )
    error = failures.error_of(asked, 400, {}, raw)
    assert "canary" not in str(error) + repr(error.body)
    assert "A" * 120 not in str(error)
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invalid_request_error", errors.BadRequestError),
        ("authentication_error", errors.AuthenticationError),
        ("overloaded_error", errors.ServerError),
        ("Forbidden", errors.PermissionDeniedError),
        ("new", errors.ServerError),
    ],
)
def test_errors_in_a_200_are_told_by_their_type(kind: str, status: type[Exception]) -> None:
    """Where neither status nor code says anything."""
    body = {"error": {"type": kind, "message": "m"}}
    with pytest.raises(status):
        answers.checked_object(CONTEXT, body, {})


def test_googles_words() -> None:
    """A few that differ from their status."""
    assert codes.google(429, "RESOURCE_EXHAUSTED", "per minute") is None
    found = codes.google(400, "FAILED_PRECONDITION", "billing is disabled")
    assert found is not None
    assert found.kind is errors.QuotaExceededError


@pytest.mark.parametrize("bad", [{"a": {1}}, {"a": float("inf")}, {"a": "\ud800"}, {"a": b"x"}])
def test_what_is_no_json(bad: Any) -> None:
    """Refused with words instead of a TypeError from below."""
    with pytest.raises(errors.InvalidInputError):
        to_json(bad)


def test_deep_nesting_is_refused() -> None:
    """A request that would exhaust the stack."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(errors.InvalidInputError):
        to_json({"a": deep})


# ---- server-sent events

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


# ---- pictures in JSON

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


# ---- the shared clients


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


def test_leases_share_a_client_and_close_it_last(wire: Wire) -> None:
    """
    One client for all shares of a kind; closing twice is closing once; its connections go with the
    last share.
    """
    first, second, other = Lease("httpx"), Lease("httpx"), Lease("httpx", reuse=False)
    assert first.client is second.client is not other.client
    first.close()
    first.close()
    with Exchange(Deadline.after(AMPLE)) as one:
        wire.script(http(200, b"{}"))
        second.client.get(wire.url)
    kept = one.response
    assert kept.read(Deadline.after(AMPLE)) == b"{}"
    third = Lease("httpx")
    assert third.client is second.client
    third.close()
    second.close()
    other.close()
    fourth = Lease("httpx")
    assert fourth.client is not second.client
    fourth.close()


def test_closing_waits_for_calls_that_run(wire: Wire) -> None:
    """A paid call is not cut by the close of another thread; its connection goes when it ends."""
    wire.script(http(200, b"12345678", length=8)[:-4], 0.3, b"5678")
    lease = Lease("httpx", reuse=False)
    with Exchange(Deadline.after(AMPLE)) as one:
        lease.client.get(wire.url)
    lease.close()
    assert one.response.read(Deadline.after(AMPLE)) == b"12345678"


def test_requests_go_through_the_proxy(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API is reached through the machine's proxy."""
    monkeypatch.setenv("HTTP_PROXY", wire.url)
    wire.script(http(200, b"{}"))
    door = HttpTransport("http://api.example.com/v1", Secret("k"))
    reply = door.post("/x", {}, context=CONTEXT, deadline=Deadline.after(AMPLE), headers=None)
    assert reply.read(Deadline.after(AMPLE)) == b"{}"
    door.close()
    assert wire.requests[0].startswith(b"POST http://api.example.com/v1/x HTTP/1.1")


def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and what to install, for our own requests and under the SDK."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    door = HttpTransport("http://api.example.com/v1", Secret("k"))
    with pytest.raises(errors.ConfigurationError, match=r"ALL_PROXY .* 'httpx\[socks\]'"):
        door.post("/x", {}, context=CONTEXT, deadline=Deadline.after(2), headers=None)
    door.close()
    with (
        ChatClient("openai_compat", base_url="http://api.example.com/v1", model="m") as chat,
        pytest.raises(errors.ConfigurationError, match="ALL_PROXY"),
    ):
        chat.chat([{"role": "user", "content": "hi"}])


def test_interim_bodies_of_errors_are_bounded(wire: Wire) -> None:
    """An error whose body never ends is still that error."""
    wire.script(http(404, b'{"error"', length=500), Reset)
    with pytest.raises(errors.NotFoundError):
        answers.body_of(CONTEXT, send(wire), Deadline.after(AMPLE))


def test_an_ambiguous_try_is_not_forgotten() -> None:
    """A refusal after a try that may have run is no proof that nothing was billed."""
    failures = iter([errors.OutcomeUnknownError("cut"), errors.BadRequestError("no")])

    def attempt(_: Deadline) -> None:
        raise next(failures)

    with pytest.raises(errors.BadRequestError) as caught:
        Policy(60, paid=True, retry_ambiguous=True).run(attempt)
    assert (caught.value.billed, caught.value.tries) == ("unknown", 2)
