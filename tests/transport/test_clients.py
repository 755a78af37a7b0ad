"""Shared clients, and the proxies that they use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.settings import Secret
from aigc_kit.transport import clients
from aigc_kit.transport.clients import HttpTransport, Lease
from aigc_kit.transport.deadline import Deadline, Exchange
from aigc_kit.transport.failures import RequestContext
from tests.wire import AMPLE, Wire, http

CONTEXT = RequestContext("vendor", "model")


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


def test_a_share_is_given_back_while_its_own_thread_holds_the_lock() -> None:
    """As the garbage collector does it, which may run in the middle of making another client."""
    first, kept = Lease("httpx", reuse=False), Lease("httpx", reuse=False)
    with clients._lock:
        kept.close()
        first.close()
    last = Lease("httpx", reuse=False)
    assert clients._shared[last._key].users == 1
    last.close()
    assert last._key not in clients._shared


@pytest.mark.parametrize("flavor", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    "given",
    [
        {"content": b"{}", "headers": {"Content-Type": "application/json", "User-Agent": "mine"}},
        {"content": b"", "headers": [("ACCEPT", "image/png"), ("x-a", "1"), ("x-b", "2")]},
        {"content": iter([b"a", b"b"]), "headers": None},
        {"data": {"a": "b"}, "headers": {"x-a": "1"}},
        {"files": {"image": ("a.png", b"bytes", "image/png")}, "headers": {}},
        {"params": {"page": "2"}, "cookies": {"a": "b"}},
    ],
)
def test_a_request_is_built_as_httpx_builds_it(flavor: str, given: dict[str, Any]) -> None:
    httpx = import_module(flavor)
    lease = Lease(flavor)
    plain = httpx.Client(headers=lease.client.headers, trust_env=False)
    url, limit = "https://例子.example:8443/v1/chat?key=a%20b", httpx.Timeout(3.0, connect=1.0)
    given = {**given, "timeout": limit}
    ours, theirs = (client.build_request("post", url, **given) for client in (lease.client, plain))
    assert (ours.method, ours.url, ours.extensions) == (
        theirs.method,
        theirs.url,
        theirs.extensions,
    )
    boundary = {"content-type"} if "files" in given else set()
    assert {k: v for k, v in ours.headers.items() if k not in boundary} == {
        k: v for k, v in theirs.headers.items() if k not in boundary
    }
    lease.close()


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
