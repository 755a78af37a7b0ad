"""``aigc-kit providers``."""

from __future__ import annotations

from typing import Any

import click

from aigc_kit.cli import _terminal


@click.command("providers", short_help="List the vendors and their keys.")
@click.argument("names", nargs=-1)
@_terminal.json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the vendors, their keys, and which of them are ready."""
    from aigc_kit.doctor import vendors
    from aigc_kit.errors import UnknownProviderError
    from aigc_kit.settings import suggestion

    known = vendors.providers()
    chosen = [vendors.canonical(name.lower()) for name in names] or known
    for name in chosen:
        if name not in known:
            raise UnknownProviderError(
                f"no provider {name!r}; there are: {', '.join(sorted(known))}{suggestion(name, known)}"
            )
    found = [_described(name) for name in chosen]
    if as_json:
        _terminal.document({"ok": True, "providers": found})
        return
    heads = ("provider", "aliases", "does", "ready", "key", "default model")
    rows = [
        (
            entry["name"],
            ", ".join(entry["aliases"]) or "-",
            ", ".join(entry["does"]),
            "yes" if entry["ready"] else "no",
            entry["key_variable"] or next(iter(entry["key_variables"]), "-"),
            ", ".join(dict.fromkeys(model for model in entry["models"].values() if model)) or "-",
        )
        for entry in found
    ]
    _terminal.answer(_terminal.table(heads, rows))


def _described(name: str) -> dict[str, Any]:
    from aigc_kit.doctor import vendors

    facts = vendors.facts_of(name)
    wings = {wing: names for wing, names in vendors.wings().items() if name in names}
    aliases = dict.fromkeys(alias for names in wings.values() for alias in names[name])
    return {
        "name": name,
        "aliases": list(aliases),
        "does": list(wings),
        "ready": facts.configured,
        "key_variables": [*facts.keys],
        "key_variable": facts.key_variable,
        "base_url": facts.base_url,
        "models": {wing: facts.model_for(wing) for wing in wings},
        "console": facts.console,
    }
