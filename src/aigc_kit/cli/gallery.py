"""``aigc-kit gallery``: the page of a run."""

from __future__ import annotations

import click

from aigc_kit.cli import _failures, _terminal


@click.command("gallery", short_help="Write the page of a run.")
@click.argument("folder", metavar="DIR")
@click.option("--title", help="Unset: the directory's name.")
@click.option("--inline", is_flag=True, help="Put the thumbnails into the page, to send it on.")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@_terminal.json_option
@_terminal.session
def command(
    session: _terminal.Session,
    /,
    folder: str,
    title: str | None,
    inline: bool,
    opened: bool,
    as_json: bool,
) -> None:
    """Write gallery.html of a run's directory, and print its path."""
    from aigc_kit.batch.gallery import write_gallery
    from aigc_kit.errors import AIGCError

    try:
        page = write_gallery(folder, title=title, inline=inline)
    except AIGCError as error:
        raise _failures.failed(error, session, in_json=as_json) from None
    if as_json:
        _terminal.document({"gallery": str(page)})
    else:
        _terminal.answer(_terminal.plain_text(str(page)))
    if opened:
        click.launch(page.as_uri())
