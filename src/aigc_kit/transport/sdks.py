"""What the transports to all SDKs share: importing one, and sending a request through it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from typing import Any

from aigc_kit import log
from aigc_kit.transport.deadline import Exchange
from aigc_kit.transport.failures import request_id_of
from aigc_kit.transport.interrupts import callers_own, let_out

_imports = threading.RLock()


def importing() -> AbstractContextManager[bool]:
    """
    Held while an SDK is imported for the first time.

    Two threads that enter botocore by different modules meet in its import circles: one of them
    sees half a module.
    """
    return _imports


_WATCHED = ("httpx", "requests")
"""
Modules that the SDKs look for in ``sys.modules``, where a half-loaded one stands while another
thread imports it.
"""


def exchanged(
    send: Callable[[], object], exchange: Exchange, who: tuple[str, str] | None = None
) -> Any:
    """
    The open response to the request that ``send`` makes through an SDK.

    Args:
        who: (provider, model) for the log; None: it is not logged.

    An SDK raises its own errors for a status of 400 and above, and may fail over what it reads;
    where a response came, that is the answer all the same.

    openai and google-genai ask a module in ``sys.modules`` for its classes; of one that another
    thread is still importing they get an AttributeError. Where nothing was sent by then, the module
    is waited for and the request is sent.
    """
    if not log.logger("http").isEnabledFor(log.DEBUG):
        who = None
    started = time.monotonic()
    with exchange:
        try:
            _through_imports(send, exchange)
        except Exception as error:
            let_out(error)  # a worker's time limit that the SDK has wrapped
            if exchange.response is None or callers_own(error):
                if who is not None:
                    log.unanswered(who, error, time.monotonic() - started)
                raise
        if exchange.response is None:
            raise RuntimeError("the SDK answered without sending the request")
        if who is not None:
            exchange.response.ended_with(partial(_log, who, started))
        return exchange.response


def _log(who: tuple[str, str], started: float, response: Any) -> None:
    log.attempt(
        who,
        status=response.status,
        request_id=request_id_of(response.headers),
        seconds=time.monotonic() - started,
        size=response.size,
    )


def _through_imports(send: Callable[[], object], exchange: Exchange) -> None:
    try:
        send()
    except AttributeError:
        if exchange.sent or not _was_loading():
            raise
        send()


def _was_loading() -> bool:
    """Wait for the watched modules that are loaded or being loaded; whether there is one."""
    found = [name for name in _WATCHED if name in sys.modules]
    for name in found:
        import_module(name)  # blocks while another thread executes it
    return bool(found)


def _in_child() -> None:
    global _imports
    _imports = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def flavor_of(distribution: str) -> str:
    """``"httpx2"`` or ``"httpx"``: what the installed release of this SDK is built on."""
    from importlib import metadata

    requirements = metadata.requires(distribution) or []
    return (
        "httpx2"
        if any(line.split(";")[0].strip().startswith("httpx2") for line in requirements)
        else "httpx"
    )
