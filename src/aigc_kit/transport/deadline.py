"""
The deadline of a call: kept at the socket, for every read, write and handshake of the thread that
makes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from aigc_kit.settings import Secret

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""Longest wait for one TCP or TLS handshake; the rest of the deadline is for trying again."""

DRAIN_SECONDS = 0.05
"""
Longest wait for the end of a body whose content is complete, so that its connection can be used
again.
"""


class WireError(Exception):
    """
    The exchange failed below HTTP.

    ``sent``: whether the vendor may have received the request. ``timed_out``: whether the deadline
    was the cause.
    ``came``: the bytes of the body that had come.
    """

    came = b""

    def __init__(
        self, detail: str, *, sent: bool, timed_out: bool = False, too_large: bool = False
    ) -> None:
        super().__init__(detail)
        self.sent = sent
        self.timed_out = timed_out
        self.too_large = too_large


@dataclass(slots=True)
class Deadline:
    """A point of time on the monotonic clock."""

    at: float
    started: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        now = time.monotonic()
        return cls(now + seconds, now)

    def left(self) -> float:
        return self.at - time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def sooner(self, seconds: float | None) -> Deadline:
        """This deadline, or ``seconds`` from now where that is earlier."""
        if seconds is None:
            return self
        return Deadline(min(self.at, time.monotonic() + seconds), self.started)


class _Thread(threading.local):
    """
    What the network layer knows of the call that its thread makes.

    Thread-local, because nothing else reaches it: httpcore and urllib3 pass a timeout for each read
    down to the socket, and google-genai and botocore pass nothing of the caller at all.
    """

    deadline: float | None = None
    exchange: Exchange | None = None
    stand_in: Any = None


_thread = _Thread()


class Exchange:
    """
    One request of this thread, below an SDK: deadline and credentials go down to the socket, what
    happened comes back.

    ``secrets``: headers that no SDK sees, set when the request leaves. ``sent``: whether a request
    began to leave. ``response``: the open response to it; the SDK may see its head alone.
    """

    __slots__ = ("_at", "_before", "_outer", "response", "secrets", "sent", "to_vendor")

    def __init__(
        self,
        deadline: Deadline | None = None,
        secrets: Mapping[str, Secret] | None = None,
        *,
        to_vendor: bool = False,
    ) -> None:
        """
        Args:
            deadline: None leaves the one of an exchange around this one.
            to_vendor: it asks a model, and fetches or stores nothing: ``standing_in`` is for these.
        """
        self._at = None if deadline is None else deadline.at
        self._before: float | None = None
        self._outer: Exchange | None = None
        self.secrets = secrets or {}
        self.to_vendor = to_vendor
        self.sent = False
        self.response: Any = None

    def __enter__(self) -> Self:
        self._outer, _thread.exchange = _thread.exchange, self
        self._before = _thread.deadline
        if self._at is not None:
            _thread.deadline = self._at
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        _thread.exchange, _thread.deadline = self._outer, self._before
        if self._outer is not None and self.sent:
            self._outer.sent = True
        self._outer = None
        if kind is not None and self.response is not None:
            self.response.close()

    def answered(self, response: Any) -> None:
        """Take over a response; one before it (a redirect, an SDK's own retry) is closed."""
        if self.response is not None:
            self.response.close()
        self.response = response


class deadline_of:
    """Every read, write and handshake of this thread inside ends by ``deadline``."""

    __slots__ = ("_at", "_before")

    def __init__(self, deadline: Deadline) -> None:
        self._at = deadline.at
        self._before: float | None = None

    def __enter__(self) -> None:
        self._before, _thread.deadline = _thread.deadline, self._at

    def __exit__(self, *_: object) -> None:
        _thread.deadline = self._before


def parted(headers: Mapping[str, str | Secret]) -> tuple[dict[str, str], dict[str, Secret]]:
    """
    The headers that an SDK may see, and those that it may not; of one name in two spellings the
    last counts.
    """
    named = {name.lower(): (name, value) for name, value in headers.items()}
    plain = {name: value for name, value in named.values() if isinstance(value, str)}
    return plain, {name: value for name, value in named.values() if isinstance(value, Secret)}


def mark_sent() -> None:
    """This thread begins to send a request."""
    if _thread.exchange is not None:
        _thread.exchange.sent = True


def current_exchange() -> Exchange | None:
    """The innermost exchange of this thread."""
    return _thread.exchange


class standing_in:
    """This thread's requests to vendors go to a function of ``Taken`` instead of the network."""

    __slots__ = ("_before", "_stand_in")

    def __init__(self, stand_in: Any) -> None:
        self._stand_in = stand_in
        self._before: Any = None

    def __enter__(self) -> None:
        self._before, _thread.stand_in = _thread.stand_in, self._stand_in

    def __exit__(self, *_: object) -> None:
        _thread.stand_in = self._before


def stand_in_of_this_thread() -> Any:
    """The innermost ``standing_in``, None where there is none."""
    return _thread.stand_in


def seconds_left() -> float | None:
    """Until this thread's deadline; None when it has none."""
    at = _thread.deadline
    return None if at is None else at - time.monotonic()


def next_chunk(source: Iterator[T], at: float) -> T | None:
    """
    The next piece of a response, or None at its end; like ``deadline_of`` for one step, without its
    cost.

    Raises:
        WireError: cut, reset, or not there by ``at`` on the monotonic clock.
    """
    _thread.deadline = at
    try:
        return next(source, None)
    finally:
        _thread.deadline = None
