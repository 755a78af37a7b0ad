"""
A call without a network: its request is taken instead of sent, or a response that is there already is
given to it. Of calls over httpx, by the thread that makes them.
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


class _Took(BaseException):
    """Ends the call. SDKs and clients catch ``Exception`` alone."""

    def __init__(self, taken: Taken) -> None:
        super().__init__("the request was taken")
        self.taken = taken


def request_of(call: Callable[[], object]) -> Taken:
    """
    The first request of a call, which ends there. References are fetched.

    Raises:
        AIGCError: the call fails before it sends anything.
        RuntimeError: the call sends nothing over httpx.
    """
    with standing_in(_take):
        try:
            call()
        except _Took as took:
            return took.taken
    raise RuntimeError("the call sent no request")


def answered(call: Callable[[], T], *, status: int, headers: Mapping[str, str], body: bytes) -> T:
    """
    The result of a call whose request gets this response; another request of it fails.

    Raises:
        AIGCError: the response is an error, or what the call makes of it fails.
    """
    left = [True]

    def respond(request: Any, core: Any) -> Any:
        if not left:
            raise WireError("there is a response to one request of this call alone", sent=False)
        left.clear()
        mark_sent()
        pairs = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
        ]
        return core.Response(status, headers=pairs, content=_Held(body))

    with standing_in(respond):
        return call()


def response_to(request: Any, core: Any) -> Any:
    """What stands in for the network of this thread makes of a request; None: nothing does."""
    stand_in = stand_in_of_this_thread()
    return None if stand_in is None else stand_in(request, core)


def _take(request: Any, core: Any) -> Any:
    exchange = current_exchange()
    secrets = dict(exchange.secrets) if exchange is not None else {}
    shown = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers
    }
    for name in secrets:
        shown.pop(name.lower(), None)
    url = request.url
    origin = f"{url.scheme.decode('ascii')}://{url.host.decode('ascii')}"
    if url.port:
        origin += f":{url.port}"
    raise _Took(
        Taken(
            request.method.decode("ascii"),
            origin + url.target.decode("ascii"),
            shown,
            secrets,
            b"".join(request.stream),
        )
    )


class _Held:
    """A body that is there, as a stream of httpcore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""
