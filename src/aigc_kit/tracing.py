"""
Where calls can be watched: one observer for the process, none by default.

Whatever watches implements ``Observer``; ``aigc_kit.otel`` does it for OpenTelemetry. Without one,
``span`` gives an object that does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self


class Span(Protocol):
    """One operation. As a context manager it is current inside, and ends with it."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: Any) -> None: ...

    def told(self, result: Any) -> None:
        """What came of it: a result of this package."""

    def first_chunk(self) -> None:
        """The first piece of a stream has come."""

    def failed(self, error: BaseException) -> None:
        """It failed; ``end`` follows."""

    def end(self) -> None:
        """It is over, where it was not used as a context manager."""


class Observer(Protocol):
    def span(
        self, operation: str, provider: Any, model: str, facts: Mapping[str, Any], messages: Any
    ) -> Span: ...


class _Nothing:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        return None

    def told(self, result: Any) -> None:
        pass

    def first_chunk(self) -> None:
        pass

    def failed(self, error: BaseException) -> None:
        pass

    def end(self) -> None:
        pass


NOTHING: Span = _Nothing()
_observer: Observer | None = None


def watch(observer: Observer | None) -> None:
    """The observer of this process from now on; None: no observer."""
    global _observer
    _observer = observer


def span(
    operation: str,
    provider: Any = None,
    model: str | None = None,
    facts: Mapping[str, Any] | None = None,
    messages: Any = None,
) -> Span:
    """
    An operation that begins now.

    Args:
        operation: ``chat``, ``execute_tool``, ``image_generation``, ``embeddings``, ``rerank``,
            or one of storage and journal (``storage.upload``, ``journal.paid``, ...).
        provider: the object that is asked; None for what happens here.
        model: unset: the provider's own.
        facts: parameters of the request.
        messages: of a chat; the prompt of an image.
    """
    if _observer is None:
        return NOTHING
    name = model or str(getattr(provider, "model", "") or "")
    return _observer.span(operation, provider, name, facts or {}, messages)
