"""Which provider a command asks."""

from __future__ import annotations

from typing import Any

import click

from aigc_kit.errors import MissingCredentialError
from aigc_kit.settings import variable


def complete(wing: str) -> Any:
    """Shell completion of a provider's name."""

    def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from aigc_kit.doctor.vendors import wings

        found = wings()[wing]
        listed = [*found, *(alias for aliases in found.values() for alias in aliases)]
        return sorted(name for name in listed if name.startswith(incomplete.lower()))

    return names


def provider_or_default(given: str | None, wing: str, other: str) -> str:
    """
    As given, else by ``AIGC_KIT_IMAGE_PROVIDER`` or ``AIGC_KIT_CHAT_PROVIDER``, else the first that
    has a key.

    Raises:
        MissingCredentialError: no provider has one.
    """
    chosen = given or variable(other)
    if chosen:
        return chosen
    from aigc_kit.doctor.vendors import first_configured

    found = first_configured(wing)
    if not found:
        raise MissingCredentialError(
            f"no provider for {wing} has a key: set one (see 'aigc-kit providers'), in the shell or in .env"
        )
    return found
