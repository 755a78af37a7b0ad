"""``aigc-kit sandbox``."""

from __future__ import annotations

import contextlib
import shlex
import threading
from typing import Any

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
        variables = environment(box)
        if as_json:
            _terminal.record({"ok": True, "url": box.url, "environment": variables})
        else:
            _terminal.answer(
                "\n".join(_line(form, name, value) for name, value in variables.items())
            )
        _terminal.note(f"serving on {box.url}; Ctrl-C ends it")
        threading.Event().wait()
    return 0


def _line(form: str, name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}" if form == "shell" else f"{name}={value}"


def environment(box: Any) -> dict[str, str]:
    """The variables that point every vendor of this package, and R2, at the sandbox."""
    own = getattr(box, "environment", None)
    if callable(own):
        return dict(own())
    from aigc_kit.doctor.vendors import facts_of, wings

    # A vendor that does both has one key and one URL for them.
    pointing = {"images": box.image_options, "chat": box.chat_options}
    found: dict[str, str] = {}
    for wing, vendors in wings().items():
        for name in vendors:
            facts = facts_of(name)
            if facts.keys and facts.base_urls and name != "openai_compat":
                options = pointing[wing](name)
                found[facts.keys[0]] = options["api_key"]
                found[facts.base_urls[0]] = options["base_url"]
    found |= {"GEMINI_API_KEY": box.api_key, "GOOGLE_GEMINI_BASE_URL": box.url}
    storage = box.storage_options()
    names = ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "ENDPOINT", "BUCKET_NAME", "PUBLIC_DOMAIN")
    return found | {
        f"R2_{name}": value for name, value in zip(names, storage.values(), strict=True)
    }
