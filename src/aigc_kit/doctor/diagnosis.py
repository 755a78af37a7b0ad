"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aigc_kit.doctor import amazon, google, journal, keys, models, network, online, stores, vendors
from aigc_kit.doctor.findings import LEVELS, OFFLINE, ONLINE, Check, Context, Finding, Level
from aigc_kit.errors import UnknownProviderError
from aigc_kit.settings import suggestion

_CHECKS = (keys, models, google, amazon, network, stores, journal, online)
"""Importing them registers their checks; they run in this order."""


def diagnose(
    providers: Iterable[str] = (),
    *,
    is_online: bool = False,
    dotenv: Mapping[str, str] | None = None,
    store: Any = None,
    journal: str = "",
    timeout: float = 20.0,
) -> Iterator[Finding]:
    """
    What is right and wrong with the environment of this process. Sends nothing unless asked.

    Args:
        providers: names or aliases; none is all of them.
        is_online: send one free request to each configured provider, and store, read and delete a
            small object.
        dotenv: what a ``.env`` file has, to tell what the environment shadows.
        store: an ``S3Storage`` to look at; unset: R2, where its variables are set.
        journal: the directory of the journal.
        timeout: seconds of one request.

    Raises:
        UnknownProviderError: a name that no provider has.
    """
    known = vendors.providers()
    chosen = [vendors.canonical(name.strip().lower()) for name in providers]
    for name in chosen:
        if name not in known:
            raise UnknownProviderError(
                f"no provider {name!r}; there are: {', '.join(sorted(known))}{suggestion(name, known)}"
            )
    context = Context(
        providers=chosen or known,
        chosen=bool(chosen),
        dotenv=dict(dotenv or {}),
        store=store,
        journal=journal,
        timeout=timeout,
    )
    places = [module.__name__ for module in _CHECKS]
    offline = sorted(OFFLINE.values(), key=lambda check: places.index(check.__module__))
    for check in [*offline, *(ONLINE.values() if is_online else ())]:
        yield from _guarded(check, context)


def _guarded(check: Check, context: Context) -> Iterator[Finding]:
    """What it finds; its own failure is a finding too: the other checks go on."""
    try:
        yield from check(context)
    except Exception as error:  # noqa: BLE001 - setups are broken in ways that no list has
        values = {"check": check.__name__, "problem": type(error).__name__}
        yield Finding("error", "check_failed", check.__name__, values)


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level, ``"ok"`` where nothing was found."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
