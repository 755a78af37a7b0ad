"""
A call without its vendor: its request is taken instead of sent, or a response that is there already is
given to it; by the thread that makes the call. What it fetches and stores goes over the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import (
    WireError,
    current_exchange,
    mark_sent,
    stand_in_of_this_thread,
    standing_in,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """A request that was not sent. ``secrets``: headers with credentials; ``body``: its bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    secrets: Mapping[str, Secret]
    body: bytes


@dataclass(frozen=True)
class Held:
    """A response that is there already."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Took(BaseException):
    """Ends the call. SDKs and clients catch ``Exception`` alone."""

    def __init__(self, taken: Taken) -> None:
        super().__init__("the request was taken")
        self.taken = taken


def request_of(call: Callable[[], object]) -> Taken:
    """
    The request of a call to its vendor; the call ends there. References are fetched before.

    Raises:
        AIGCError: the call fails before it sends anything.
        RuntimeError: the call sends nothing.
    """
    with standing_in(_take):
        try:
            call()
        except _Took as took:
            return took.taken
    raise RuntimeError("the call sent no request")


def _take(taken: Taken) -> Held:
    raise _Took(taken)


def answered(call: Callable[[], T], *, status: int, headers: Mapping[str, str], body: bytes) -> T:
    """
    The result of a call whose request gets this response; another request of it fails.

    Raises:
        AIGCError: the response is an error, or what the call makes of it fails.
    """
    left = [Held(status, headers, body)]

    def respond(taken: Taken) -> Held:
        if not left:
            raise WireError("there is a response to one request of this call alone", sent=False)
        mark_sent()
        return left.pop()

    with standing_in(respond):
        return call()


def held_for(
    method: str, url: str, headers: Mapping[str, str], body: Callable[[], bytes]
) -> Held | None:
    """
    What stands in for the network of this thread makes of a request; None: nothing does.

    Args:
        headers: those with credentials among them are found in the exchange.
    """
    stand_in = stand_in_of_this_thread()
    exchange = current_exchange()
    if stand_in is None or exchange is None or not exchange.to_vendor:
        return None
    secrets = dict(exchange.secrets)
    hidden = {name.lower() for name in secrets}
    shown = {name.lower(): value for name, value in headers.items()}
    shown = {name: value for name, value in shown.items() if name not in hidden}
    found: Held = stand_in(Taken(method, url, shown, secrets, body()))
    return found


def response_to(request: Any, core: Any) -> Any:
    """``held_for`` a request of httpcore, as its response."""
    url = request.url
    origin = f"{url.scheme.decode('ascii')}://{url.host.decode('ascii')}"
    if url.port:
        origin += f":{url.port}"
    held = held_for(
        request.method.decode("ascii"),
        origin + url.target.decode("ascii"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers},
        lambda: b"".join(request.stream),
    )
    if held is None:
        return None
    pairs = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in held.headers.items()
    ]
    return core.Response(held.status, headers=pairs, content=_Body(held.body))


class _Body:
    """A body that is there, as a stream of httpcore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""
