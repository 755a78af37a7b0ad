"""``aigc-kit sandbox``."""

from __future__ import annotations

import contextlib
import threading

import click

from aigc_kit.cli import _terminal


@click.command("sandbox", short_help="Serve the vendors' APIs on this machine.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option(
    "--api-key", default="sandbox-key", show_default=True, help="The key that it accepts."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["shell", "dotenv"]),
    default="shell",
    show_default=True,
    help="How the variables are printed.",
)
@_terminal.json_option
def command(host: str, port: int, api_key: str, form: str, as_json: bool) -> int:
    """Serve the vendors' APIs on this machine, without keys, until Ctrl-C.

    The variables that point an application there are printed on stdout.
    """
    from aigc_kit.sandbox import Sandbox

    try:
        box = Sandbox(host=host, port=port, api_key=api_key)
    except OSError as error:
        raise click.UsageError(
            f"port {port} on {host} cannot be used: {error.strerror or error}"
        ) from None
    with box, contextlib.suppress(KeyboardInterrupt):
        variables = box.environment()
        if as_json:
            told = {"url": box.url, "environment": variables, "unset": list(variables.removed)}
            _terminal.record({"ok": True, **told})
        else:
            _terminal.answer(variables.shell() if form == "shell" else variables.dotenv())
        _terminal.note(f"serving on {box.url}; Ctrl-C ends it")
        threading.Event().wait()
    return 0
