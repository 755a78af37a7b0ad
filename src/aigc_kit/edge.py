"""The edge of the library: what every client does when it is pickled, closed, or left by an error."""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError, InvalidReplyError, ProviderError
from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Exchange
from aigc_kit.whose import callers_own

F = TypeVar("F", bound=Callable[..., Any])

_SECRET_NAME = re.compile(r"key|secret|token|password|authorization|cookie", re.IGNORECASE)
_PUBLIC_NAME = re.compile(r"prefix|max_tokens|idempotency", re.IGNORECASE)
_HELD = frozenset({
    "aigc_kit", "openai", "google", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "boto3", "botocore", "urllib3",
    "requests", "http", "json", "pydantic", "tenacity",
})  # fmt: skip
"""Packages whose frames hold keys, headers and bodies while a call runs."""


_SDKS = _HELD - {"aigc_kit", "http", "json", "pydantic"}


def masked(value: Any, name: str = "", depth: int = 0) -> Any:
    """The value with the credentials in it masked, told by their names; ``name`` is its own."""
    if isinstance(value, (str, bytes, bytearray)):  # a key of a wrong type is hidden too, until it is refused
        return Secret(cast(str, value)) if _SECRET_NAME.search(name) and not _PUBLIC_NAME.search(name) else value
    if depth > 4:  # options are not that deep; what is, may be a circle
        return value
    if isinstance(value, dict):
        return {key: masked(inner, str(key), depth + 1) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(masked(inner, depth=depth + 1) for inner in value)
    return value


class _Signature:
    """``inspect.signature`` of a class reads ``__new__`` before ``__init__``; this leads it to the second."""

    def __get__(self, instance: object, owner: type) -> Any:
        import inspect

        found = inspect.signature(owner.__init__)  # type: ignore[misc]
        return found.replace(parameters=list(found.parameters.values())[1:])


class Remade:
    """
    Pickled as the arguments it was made with, and made from them again where it is unpickled.

    A key that came from a variable is read there anew; one that was passed explicitly travels in the pickle.
    """

    _made_from: tuple[tuple[Any, ...], dict[str, Any]]
    __signature__ = _Signature()
    _secret_positions = 0
    """How many of the first positional arguments are credentials."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        count = cls._secret_positions
        first = tuple(masked(value, "key") for value in args[:count])
        made._made_from = ((*first, *map(masked, args[count:])), masked(options))
        return made

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = _without_trace(cls.__init__)  # type: ignore[method-assign]
        if "__repr__" in cls.__dict__:
            cls.__repr__ = _always_shown(cls.__repr__)  # type: ignore[method-assign]

    def __reduce__(self) -> Any:
        return _made_again, (type(self), *self._made_from)


def _made_again(kind: type, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return kind(*args, **options)


def forget_locals(error: BaseException) -> None:
    """
    Empty the frames that the error left behind: their locals have keys, headers and pictures.

    Only frames of this library and of what it sends with; an application's own frames stay as a debugger wants them.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        trace = current.__traceback__
        while trace is not None:
            if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] in _HELD:
                with contextlib.suppress(RuntimeError):  # it still runs
                    trace.tb_frame.clear()
            trace = trace.tb_next
        pending += [current.__cause__, current.__context__]


def _always_shown(shown: Callable[[Any], str]) -> Callable[[Any], str]:
    """A ``repr`` that works for an object whose constructor failed: error reporters show the locals of its frames."""

    @functools.wraps(shown)
    def made(self: Any) -> str:
        try:
            return shown(self)
        except AttributeError:
            return f"<{type(self).__name__} that was not made>"

    return made


def _without_trace(constructor: F) -> F:
    """A constructor whose failure takes no keys along."""

    @functools.wraps(constructor)
    def made(self: Any, /, *args: Any, **options: Any) -> None:
        try:
            constructor(self, *args, **options)
        except BaseException as error:
            del args, options
            forget_locals(error)
            if isinstance(error, AIGCError) or not isinstance(error, Exception):
                raise
            raise ConfigurationError(
                f"{type(self).__name__} cannot be made of these options: {_said(error)}"
            ) from error

    return cast(F, made)


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:200]}"
    except Exception:  # noqa: BLE001 - an object of the application that cannot be shown
        return type(error).__name__


def _is_ours(error: BaseException) -> bool:
    """
    Whether the exception was raised by this library's own code, or by an object of the application in its hands.

    A fault inside of an SDK is never the caller's input.
    """
    trace, is_ours = error.__traceback__, True
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if package == "aigc_kit":
            is_ours = True
        elif package in _SDKS:
            is_ours = False
        trace = trace.tb_next
    return is_ours


def public(method: F) -> F:
    """A client's method: its errors say who was asked, and take no secrets along."""

    @functools.wraps(method)
    def called(self: Client, /, *args: Any, **kwargs: Any) -> Any:
        exchange = Exchange()
        self._check_open()
        try:
            with exchange:
                return method(self, *args, **kwargs)
        except BaseException as error:
            del args, kwargs
            own_wish = callers_own(error)  # reads the frames
            forget_locals(error)
            if isinstance(error, AIGCError):
                self.completed(error)
                raise
            # The application's own provider or tool raised it, its worker's time limit, Ctrl-C.
            if own_wish or not self._own_provider or getattr(error, "from_tool", False):
                raise
            failure: AIGCError = InvalidInputError(f"the call cannot be made of this: {_said(error)}")
            if exchange.sent:
                failure = InvalidReplyError(f"the response cannot be read: {_said(error)}", billed="unknown")
            elif not _is_ours(error):
                failure = ProviderError(f"a library under this one failed before anything was sent: {_said(error)}")
            raise self.completed(failure) from error

    return cast(F, called)


def published(group: str) -> dict[str, str]:
    """What installed packages offer under this entry point: name in lower case -> ``module:attribute``. Loads none of them."""
    from importlib.metadata import entry_points

    return {point.name.lower(): point.value for point in entry_points(group=group)}


class Client(Remade):
    """Closing, pickling and naming, the same for pictures and chat."""

    provider: Any
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
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"{type(self).__name__} was not closed", ResourceWarning, stacklevel=2, source=self)
            self.close()
