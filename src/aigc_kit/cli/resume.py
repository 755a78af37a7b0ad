"""``aigc-kit resume``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from aigc_kit.cli import _images, _stores, _terminal
from aigc_kit.cli._failures import FAILED, PAID, PARTIAL, Finished, code_of, document_of, say


@click.command("resume", short_help="Finish images that were paid for.")
@click.option(
    "--out",
    default=".",
    metavar="DIR",
    show_default=True,
    help="Where images go with --store local.",
)
@click.option(
    "--store",
    default="local",
    metavar="STORE",
    show_default=True,
    help="local, r2, oss, cos, tos, minio, or s3://BUCKET.",
)
@click.option("--endpoint", metavar="URL", help="The endpoint of --store.")
@click.option("--public-domain", metavar="URL", help="Where the public reads --store.")
@click.option(
    "--spool", metavar="DIR", help="The journal; unset: AIGC_KIT_SPOOL_DIR, then the user's."
)
@click.option(
    "--forget", is_flag=True, help="Drop what can never be finished: unknown outcomes, dead links."
)
@_terminal.json_option
@_terminal.session
def command(
    session: _terminal.Session,
    /,
    out: str,
    store: str,
    endpoint: str | None,
    public_domain: str | None,
    spool: str | None,
    forget: bool,
    as_json: bool,
) -> int:
    """Finish images that were paid for and not saved, after a crash or Ctrl-C. Never pays."""
    from aigc_kit import ImageClient

    held = _stores.store_of(store, folder=out, endpoint=endpoint, public=public_domain)
    journal = spool or _stores.journal_dir()
    with (
        ExitStack() as stack,
        held,
        ImageClient(
            [_images.placeholder(), *_collectors(journal, stack)],
            storage=held,
            storage_key_prefix="",
            keep_urls=True,
            spool_dir=journal,
        ) as client,
        _terminal.waiting("resuming"),
    ):
        group = client.resume_spool(forget=forget)
    language = session.chosen_language()
    if as_json:
        _terminal.document(
            {
                "ok": not group.errors,
                "images": [_images.document_of(result) for result in group.images],
                "errors": [
                    document_of(error, code_of(error, paid=True), language)["error"]
                    for error in group.errors
                ],
            }
        )
    else:
        for result in group.images:
            _terminal.answer(_images.place_of(result))
    for error in group.errors:
        say(error, language)
    if not group.errors:
        if not group.images:
            _terminal.note("nothing to resume")
        return 0
    raise Finished(_code(group))


def _collectors(journal: str, stack: ExitStack) -> list[Any]:
    """The vendors that have tasks of this journal, with the keys of the environment."""
    from aigc_kit import ImageClient
    from aigc_kit.errors import AIGCError

    found: list[Any] = []
    for vendor, base_url in _images.open_tasks(journal):
        try:
            found.append(stack.enter_context(ImageClient(vendor, base_url=base_url)).provider)
        except AIGCError as error:
            _terminal.note(f"{vendor} has a task at {base_url}, and cannot be asked: {error}")
    return found


def _code(group: Any) -> int:
    if group.images:
        return PARTIAL
    return PAID if any(code_of(error, paid=True) == PAID for error in group.errors) else FAILED
