"""
What both clients and their providers share: closing, pickling, hidden credentials, and errors that
name the vendor.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from aigc_kit import log
from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    InvalidReplyError,
    ProviderError,
)
from aigc_kit.settings import hidden
from aigc_kit.transport.deadline import Exchange
from aigc_kit.transport.interrupts import callers_own, is_from_a_library

F = TypeVar("F", bound=Callable[..., Any])


def constructor(method: F) -> F:
    """
    The ``__init__`` of a ``Rebuilt`` class.

    Its credentials are hidden by type before anything else sees them, and its arguments are
    remembered for pickling.
    """

    @functools.wraps(method)
    def made(self: Rebuilt, /, *args: Any, **options: Any) -> None:
        count = self._secret_positions
        args = tuple(
            hidden(value, "key" if place < count else "") for place, value in enumerate(args)
        )
        options = hidden(options)
        try:
            method(self, *args, **options)
        except AIGCError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"{type(self).__name__} cannot be made of these options: {_said(error)}"
            ) from error
        # The outermost constructor ends last, so its arguments are the ones that stay.
        self._made_from = (args, options)
        self._own_names = frozenset(vars(self))

    made.remembers = True  # type: ignore[attr-defined]
    return cast(F, made)


class Rebuilt:
    """
    Pickled as the arguments it was made with, and made from them again where it is unpickled.

    A key that came from a variable is read again there; one that was passed explicitly travels in
    the pickle.
    """

    _made_from: tuple[tuple[Any, ...], dict[str, Any]]
    _own_names: frozenset[str]
    _secret_positions = 0
    """How many of the first positional arguments are credentials."""

    def __repr__(self) -> str:
        """
        Also of an object whose constructor failed: error reporters show the locals of its frames.
        """
        try:
            return self._described()
        except AttributeError:
            return f"<{type(self).__name__} that was not made>"

    def _described(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce__(self) -> Any:
        args, options = self._made_from
        home = _home(type(self))
        added: dict[str, Any] = {}
        if home is not type(self):  # an application's subclass with a constructor of its own
            added = {
                name: value for name, value in vars(self).items() if name not in self._own_names
            }
            added.pop("_own_names", None)
        return _rebuilt, (type(self), args, options, added)


def _rebuilt(
    kind: type[Rebuilt], args: tuple[Any, ...], options: dict[str, Any], added: dict[str, Any]
) -> Any:
    """
    Args:
        added: what the constructor of an application's subclass has set beside its base.
    """
    made = kind.__new__(kind)
    _home(kind).__init__(made, *args, **options)  # type: ignore[misc]
    vars(made).update(added)
    return made


def _home(kind: type) -> type:
    """The class whose constructor remembers its arguments."""
    return next(
        base for base in kind.__mro__ if hasattr(base.__dict__.get("__init__"), "remembers")
    )


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:200]}"
    except Exception:  # noqa: BLE001 - an object of the application that cannot be shown
        return type(error).__name__


def public(method: F) -> F:
    """A client's method: its errors name the provider and the model."""

    @functools.wraps(method)
    def called(self: Client, /, *args: Any, **kwargs: Any) -> Any:
        self._check_open()
        if "extra_headers" in kwargs and type(self.provider).__module__.startswith("aigc_kit."):
            kwargs["extra_headers"] = hidden(kwargs["extra_headers"])
        exchange = Exchange()
        try:
            with exchange:
                return method(self, *args, **kwargs)
        except AIGCError as error:
            log.failed(self._log_area, self.completed(error))
            raise
        except Exception as error:
            # The application's own provider or tool raised it, or its worker's time limit.
            if callers_own(error) or not self._own_provider or getattr(error, "from_tool", False):
                raise
            raise self.completed(_failure(error, sent=exchange.sent)) from error

    return cast(F, called)


def _failure(error: Exception, *, sent: bool) -> AIGCError:
    """The error of ours for one that nothing has translated."""
    if sent:
        return InvalidReplyError(f"the response cannot be read: {_said(error)}", billed="unknown")
    if is_from_a_library(error):
        return ProviderError(
            f"a library under this one failed before anything was sent: {_said(error)}"
        )
    return InvalidInputError(f"the call cannot be made of this: {_said(error)}")


class Client(Rebuilt):
    """Closing, pickling and naming, the same for images and chat."""

    provider: Any
    _log_area = ""
    _own_provider = False
    _closed = True

    def completed(self, error: AIGCError) -> AIGCError:
        """The error with the provider's and the model's name where it lacks them."""
        error.provider = error.provider or self.provider.name
        error.model = error.model or str(getattr(self.provider, "model", "") or "")
        return error

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError(f"this {type(self).__name__} was closed: make a new one")

    def close(self) -> None:
        """Give connections back. A provider or storage that was passed in stays open."""
        if not self._closed:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._own_provider:
            self.provider.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(
                f"{type(self).__name__} was not closed", ResourceWarning, stacklevel=2, source=self
            )
            self.close()
