"""``aigc-kit doctor``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from aigc_kit.cli import _stores, _terminal
from aigc_kit.cli._failures import CREDENTIAL, FAILED, Finished, failed

_MARKS = {
    "ok": ("ok", "green"),
    "info": ("--", "blue"),
    "warning": ("!!", "yellow"),
    "error": ("XX", "red"),
}


@click.command("doctor", short_help="Say what is wrong with this setup.")
@click.argument("providers", nargs=-1)
@click.option(
    "--online",
    is_flag=True,
    help="Send requests that cost nothing; store, read and delete a small object.",
)
@click.option(
    "--store",
    "store_name",
    metavar="STORE",
    help="Look at this store too: r2, oss, cos, tos, minio, or s3://BUCKET.",
)
@click.option("--endpoint", metavar="URL", help="The endpoint of --store.")
@click.option("--public-domain", metavar="URL", help="Where the public reads --store.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of the findings.")
@click.option("--all", "show_all", is_flag=True, help="Show what is in order too.")
@click.option(
    "--timeout", type=float, default=20.0, show_default=True, help="Seconds for one request."
)
@_terminal.json_option
@_terminal.session
def command(
    session: _terminal.Session,
    /,
    providers: tuple[str, ...],
    online: bool,
    store_name: str | None,
    endpoint: str | None,
    public_domain: str | None,
    lang: str | None,
    show_all: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Say what is wrong with this setup, and how to mend it.

    Without names all vendors are looked at. Nothing is sent without --online. The exit code is 0
    where nothing is wrong, 4 where a key or a quota is, otherwise 1; warnings do not count.
    """
    from aigc_kit.doctor import diagnose
    from aigc_kit.errors import AIGCError
    from aigc_kit.hints import language

    chosen = language(lang or session.language)
    found: list[Any] = []
    try:
        with ExitStack() as stack:
            store = None
            if store_name:
                made = _stores.store_of(store_name, endpoint=endpoint, public=public_domain)
                store = stack.enter_context(made)
            stack.enter_context(_terminal.waiting("looking"))
            found += diagnose(
                providers,
                is_online=online,
                dotenv=session.dotenv,
                store=store,
                journal=_stores.journal_dir(),
                timeout=timeout,
            )
    except AIGCError as error:
        raise failed(error, session, in_json=as_json) from None
    wrong = [finding for finding in found if finding.level == "error"]
    if as_json:
        _terminal.document(
            {
                "ok": not wrong,
                "findings": [
                    {
                        "level": finding.level,
                        "code": finding.code,
                        "subject": finding.subject,
                        "text": finding.text(chosen),
                        "fix": finding.fix(chosen),
                    }
                    for finding in found
                ],
            }
        )
    else:
        _print(found, chosen, show_all=show_all)
    if not wrong:
        return 0
    keys = all(
        finding.code in ("refused", "key_missing", "placeholder", "key_characters")
        for finding in wrong
    )
    raise Finished(CREDENTIAL if keys else FAILED)


def _print(found: list, language: str, *, show_all: bool) -> None:  # type: ignore[type-arg]
    import sys

    colored = sys.stdout.isatty()
    for finding in found:
        if finding.level == "ok" and not show_all and finding.code not in _PROOFS:
            continue
        mark, color = _MARKS[finding.level]
        head = click.style(mark, fg=color, bold=True) if colored else mark
        subject = f"{finding.subject}: " if finding.subject else ""
        click.echo(f"{head} {subject}{finding.text(language)}")
        fix = finding.fix(language)
        if fix:
            click.echo(f"   -> {fix}")
    counts = {
        level: sum(finding.level == level for finding in found)
        for level in ("ok", "warning", "error")
    }
    words = _WORDS[language]
    click.echo(words.format(**counts))


_PROOFS = frozenset({"key", "reached", "public", "uploaded", "r2"})
"""What one wants to see confirmed."""

_WORDS = {
    "en": "in order: {ok}, warnings: {warning}, errors: {error}",
    "zh": "正常 {ok} 项，警告 {warning} 项，错误 {error} 项",
}
