"""The providers of a client, in the order in which they are asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from aigc_kit import settings
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, warning
from aigc_kit.chat.streaming import ChatStream
from aigc_kit.errors import (
    AIGCError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidReplyError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)

T = TypeVar("T")

NEXT_AFTER = (
    AuthenticationError,
    ConnectionFailedError,
    InvalidReplyError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
"""
Failures of one vendor or one account. A request that is refused for what it says (a bad request, a
blocked prompt, too long a history) is not sent elsewhere: the answer would be the same, or the
application would not learn of its fault.
"""


@dataclass(frozen=True)
class Link:
    """
    One provider. ``names``: under which a call's options may address it. ``owned``: whether the
    client closes it.
    """

    provider: ChatProvider
    names: frozenset[str]
    owned: bool = True

    @property
    def model(self) -> str:
        return str(getattr(self.provider, "model", "") or "")


class Chain(ChatProvider):
    """
    Several providers: the next is asked after a failure in ``NEXT_AFTER``, and never once a piece
    of an answer has come. ``timeout`` of a call is for all of them together.
    """

    def __init__(self, links: Sequence[Link], timeout: Any = None) -> None:
        self.links = list(links)
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self.links[0].provider.name

    @property
    def model(self) -> str:
        return self.links[0].model

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        def ask(link: Link, options: dict[str, Any]) -> ChatResult:
            return link.provider.chat(messages, **options)

        result, attempts = self._first(ask, kwargs)
        return _told(result, attempts)

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        self._shared_out(kwargs)  # wrong options are refused before the first piece is asked for

        def ask(link: Link, options: dict[str, Any]) -> tuple[Any, ChatChunk | None]:
            stream = link.provider.chat_stream(messages, **options)
            return stream, next(stream, None)

        return _ChainStream(lambda: self._first(ask, kwargs), self.name, self.model)

    def close(self) -> None:
        for link in self.links:
            if link.owned:
                link.provider.close()

    def _first(
        self, ask: Callable[[Link, dict[str, Any]], T], given: dict[str, Any]
    ) -> tuple[T, list[dict[str, Any]]]:
        """The first answer, and the failures before it."""
        timeout = given.get("timeout", self._timeout)
        end = float("inf")
        if timeout is not None:
            end = time.monotonic() + settings.seconds(timeout, default=0)
        attempts: list[dict[str, Any]] = []
        for place, (link, options) in enumerate(self._shared_out(given)):
            if timeout is not None:
                options["timeout"] = max(end - time.monotonic(), 0.001)
            try:
                return ask(link, options), attempts
            except AIGCError as error:
                error.provider = error.provider or link.provider.name
                attempts.append(_attempt(error, str(options.get("model") or link.model)))
                error.attempts = attempts
                last = place + 1 == len(self.links) or time.monotonic() >= end
                if last or not isinstance(error, NEXT_AFTER):
                    raise
        raise AssertionError("a chain has providers")

    def _shared_out(self, given: Mapping[str, Any]) -> list[tuple[Link, dict[str, Any]]]:
        """
        A call's options as each provider gets them: the common ones, and those under its name.

        Raises:
            ConfigurationError: an option that cannot be meant for all of them.
        """
        if given.get("model") is not None:
            raise ConfigurationError(
                f"model={given['model']!r} is for one vendor: say whose, e.g. {self.name}={{'model': {given['model']!r}}}"
            )
        everyone = frozenset[str]().union(*(link.names for link in self.links))
        common = {name: value for name, value in given.items() if name not in everyone}
        made = []
        for link in self.links:
            own: dict[str, Any] = {}
            for name in sorted(link.names & given.keys()):
                own |= options_under(name, given[name])
            made.append((link, {**common, **own}))
        return made


def options_under(name: str, value: Any) -> dict[str, Any]:
    """
    Raises:
        ConfigurationError: they are not a dict.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{name} must be a dict of options for {name}, got {type(value).__name__}"
        )
    return dict(value)


class _ChainStream(ChatStream):
    """The stream of the first provider that gives a piece."""

    def __init__(self, open_first: Callable[[], Any], provider: str, model: str) -> None:
        super().__init__(iter(()), Assembler(provider=provider, model=model))
        self._open_first = open_first
        self._stream: Any = None
        self._attempts: list[dict[str, Any]] = []
        self._is_told = False

    def __next__(self) -> ChatChunk:
        if self._closed:
            raise StopIteration
        if self._stream is not None:
            chunk: ChatChunk = next(self._stream)
            return chunk
        (self._stream, first), self._attempts = self._open_first()
        if first is None:
            raise StopIteration
        return first  # type: ignore[no-any-return]

    @property
    def result(self) -> ChatResult:
        if self._stream is None:
            return super().result
        result: ChatResult = self._stream.result
        if not self._is_told:
            self._is_told = True
            _told(result, self._attempts)
        return result

    def close(self) -> None:
        super().close()
        if self._stream is not None:
            self._stream.close()


def _told(result: ChatResult, attempts: list[dict[str, Any]]) -> ChatResult:
    result.attempts = [*attempts, *result.attempts]
    for entry in attempts:
        details = f"{entry['provider']} was asked first and answered with {entry['outcome']}"
        result.warnings.append(warning("fallback", details))
    return result


def _attempt(error: AIGCError, model: str) -> dict[str, Any]:
    """What is told of a failure; ``usage``: of an answer that was paid for and is of no use."""
    attempt = {
        "provider": error.provider,
        "model": error.model or model,
        "requests": error.tries,
        "outcome": type(error).__name__,
        "billed": getattr(error, "billed", "no"),
        "status_code": getattr(error, "status_code", None),
    }
    if isinstance(error.result, ChatResult):
        spent = error.result
        usage = {name: value for name, value in asdict(spent.usage).items() if value}
        attempt |= {"billed": "yes", "usage": usage}
        attempt["requests"] = max(error.tries, len(spent.requests))
    return attempt
