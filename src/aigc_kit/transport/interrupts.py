"""
Whose exception is it: the library's own failure, or one that the application let strike in the
middle of a call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

_LIBRARIES = frozenset(
    {
        "aigc_kit",
        "openai",
        "google",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "h11",
        "boto3",
        "botocore",
        "urllib3",
        "requests",
        "pydantic",
        "pydantic_core",
        "pydantic_settings",
        "tenacity",
        "PIL",
        "pillow_heif",
        "jsonschema",
        "anyio",
        "socksio",
        "certifi",
        "idna",
        "cachetools",
        "rsa",
        "pyasn1",
        "cryptography",
        "charset_normalizer",
        "jmespath",
        "s3transfer",
        "dateutil",
        "distro",
        "jiter",
        "referencing",
        "rpds",
        "attr",
        "attrs",
    }
)
"""Packages whose exceptions are failures of a call."""
_SDKS = _LIBRARIES - {"aigc_kit", "pydantic", "pydantic_core"}
"""Those that fail by themselves; pydantic and json fail over the caller's input."""


def callers_own(error: BaseException, *, inside_of: object = None) -> bool:
    """
    Whether an exception is the application's wish to end the call: Ctrl-C, a worker's time limit, a
    cancellation.

    Such a one comes out as it is. RQ, Celery and others raise theirs from a signal handler,
    gevent's is not an ``Exception``, and a class that neither Python nor a library that is used
    here has is the application's.

    Args:
        inside_of: an object of the application that was at work (its store, its provider): then a
            class of the application may as well be that object's failure, and only what a signal
            handler raised is known to be a wish.
    """
    if not isinstance(error, Exception) or is_from_a_signal(error):
        return True
    if _package(type(inside_of)) not in _LIBRARIES | {"builtins"}:
        return False
    package = _package(type(error))
    return (
        package not in _LIBRARIES
        and package not in sys.stdlib_module_names
        and package != "builtins"
    )


def is_from_a_library(error: BaseException) -> bool:
    """
    Whether the exception was raised inside of an SDK or a library under it.

    Not so when this library, or an object of the application in its hands, raised it.
    """
    trace, found = error.__traceback__, False
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if package == "aigc_kit":
            found = False
        elif package in _SDKS:
            found = True
        trace = trace.tb_next
    return found


def without_frames(error: BaseException) -> BaseException:
    """
    The error and what caused it, without the frames of the libraries that raised them.

    Below the SDKs headers are plain bytes: httpcore, h11 and botocore show keys, tokens and
    signatures in their locals.
    """
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def let_out(error: BaseException) -> None:
    """
    Raise what a signal handler raised, where a library has taken it for a failure of its own.

    A ``TimeoutError`` of a worker's alarm in the middle of a read becomes httpcore's
    ``ReadTimeout``.
    """
    handlers = set(_handlers())
    seen: set[int] = set()
    link: BaseException | None = error if handlers else None
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if _passed(link, handlers):
            raise link
        link = link.__cause__ or link.__context__


def _package(kind: type) -> str:
    package = str(getattr(kind, "__module__", "")).partition(".")[0]
    return "" if package == "__main__" else package


def is_from_a_signal(error: BaseException) -> bool:
    return _passed(error, set(_handlers()))


def _passed(error: BaseException, handlers: set[CodeType]) -> bool:
    """Whether the exception came through one of these functions."""
    trace = error.__traceback__ if handlers else None
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _handlers() -> Iterator[CodeType]:
    """The code of every signal handler that is installed now."""
    import signal  # only when a call has failed

    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        if not callable(handler) or handler is signal.default_int_handler:
            continue
        handler = getattr(handler, "func", handler)  # functools.partial
        method = getattr(handler, "__func__", handler)
        caller: Any = vars(type(handler)).get("__call__")  # an object that is called
        code = getattr(method, "__code__", None) or getattr(caller, "__code__", None)
        if isinstance(code, CodeType):
            yield code
