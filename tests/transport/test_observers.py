"""
What watches the HTTP libraries sees what the vendor sent: the status, the headers, the body of an
error.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.image.base import ImageResult
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.clients import Lease
from aigc_kit.transport.deadline import Deadline, Exchange
from tests.wire import AMPLE, Wire, http

ASK = [{"role": "user", "content": "hi"}]
LIMITED = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
FLAVORS = ("httpx", "httpx2")


def ask(provider: str, wire: Wire) -> Any:
    with ChatClient(
        provider, model="m", base_url=wire.url, api_key="k-123456", max_retries=0
    ) as client:
        return client.chat(ASK)


def draw(wire: Wire) -> ImageResult:
    with ImageClient("volcengine", base_url=wire.url, api_key="k-123456", max_retries=0) as client:
        return client.text_to_image("a cat")


CALLS: dict[str, Callable[[Wire], Any]] = {
    "openai_compat": lambda wire: ask("openai_compat", wire),
    "gemini": lambda wire: ask("gemini", wire),
    "volcengine": draw,
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The lines that httpx logs, of either generation."""
    with caplog.at_level(logging.INFO):
        yield lambda: [record.getMessage() for record in caplog.records if record.name in FLAVORS]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [429, 503, 404])
def test_a_log_of_httpx_has_the_status_of_an_error(
    name: str, status: int, wire: Wire, logged: Callable[[], list[str]]
) -> None:
    wire.script(http(status, LIMITED))
    with pytest.raises(errors.ProviderError) as caught:
        CALLS[name](wire)
    assert caught.value.status_code == status
    assert [re.search(r'"HTTP/1.1 (.+)"', line).group(1) for line in logged()] == [f"{status} X"]  # type: ignore[union-attr]


def test_a_log_of_httpx_has_the_status_of_a_success(
    wire: Wire, logged: Callable[[], list[str]]
) -> None:
    wire.script(
        http(200, {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]})
    )
    assert ask("openai_compat", wire).content == "hello"
    assert '"HTTP/1.1 200 X"' in logged()[0]


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_what_wraps_the_transport_sees_status_headers_and_the_body_of_an_error(
    flavor: str, status: int, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's instrumentation wraps this method of this class."""
    httpx = importlib.import_module(flavor)
    seen: list[Any] = []
    plain = httpx.HTTPTransport.handle_request

    def watched(self: Any, request: Any) -> Any:
        seen.append(plain(self, request))
        return seen[-1]

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", watched)
    wire.script(
        http(
            status, b"the body", headers={"x-request-id": "r-1", "location": "http://127.0.0.1:1/x"}
        )
    )
    lease = Lease(flavor)
    with Exchange(Deadline.after(AMPLE)) as one:
        lease.client.post(wire.url, content=b"{}")
    lease.close()
    assert [(response.status_code, response.headers["x-request-id"]) for response in seen] == [
        (status, "r-1")
    ]
    assert seen[0].read() == (b"" if status == 200 else b"the body")
    assert one.response.read(Deadline.after(AMPLE)) == b"the body"


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_httpx_without_its_private_pool_sends_all_the_same(
    flavor: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next release may keep its pool elsewhere."""
    httpx = importlib.import_module(flavor)

    class Other:
        def __init__(self, **options: Any) -> None:
            """Has no pool."""

    monkeypatch.setattr(httpx, "HTTPTransport", Other)
    wire.script(http(429, b"slow"))
    lease = Lease(flavor)
    with Exchange(Deadline.after(AMPLE)) as one:
        assert lease.client.post(wire.url, content=b"{}").status_code == 429
    lease.close()
    assert one.response.read(Deadline.after(AMPLE)) == b"slow"


def test_a_redirect_to_nowhere_is_still_that_redirect(wire: Wire) -> None:
    """httpx itself fails over such a Location."""
    wire.script(http(302, b"", headers={"location": "http://[bad"}))
    with pytest.raises(errors.ProviderError) as caught:
        draw(wire)
    assert caught.value.status_code == 302


@pytest.mark.parametrize("name", CALLS)
def test_requests_carry_the_name_and_version_beside_the_sdks(name: str, wire: Wire) -> None:
    wire.script(http(404, LIMITED))
    with pytest.raises(errors.ProviderError):
        CALLS[name](wire)
    agent = re.search(rb"user-agent: (.+)\r\n", wire.requests[0], re.IGNORECASE)
    assert agent is not None
    assert USER_AGENT in agent.group(1).decode()
    sdk = {
        "openai_compat": "OpenAI/Python",
        "gemini": "google-genai-sdk/",
        "volcengine": USER_AGENT,
    }[name]
    assert sdk in agent.group(1).decode()


def test_cookies_of_one_call_are_not_sent_with_another(wire: Wire) -> None:
    """The HTTP client is shared by every key of the process."""
    wire.script(
        http(
            200,
            {"choices": [{"message": {"content": "a"}}]},
            headers={"set-cookie": "session=1; Path=/"},
        )
    )
    ask("openai_compat", wire)
    ask("openai_compat", wire)
    assert b"session" not in wire.requests[1]
