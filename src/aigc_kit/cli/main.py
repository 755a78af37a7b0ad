"""The group of commands, and what a failure of any of them becomes."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from typing import Any

import click

import aigc_kit.cli
from aigc_kit.cli import _failures, _terminal
from aigc_kit.settings import suggestion, variable

_PROGRAM = "aigc-kit"
_HELPERS = ("main",)


class Commands(click.Group):
    """The files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = (module.name for module in pkgutil.iter_modules(aigc_kit.cli.__path__))
        return [name for name in found if not name.startswith("_") and name not in _HELPERS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"aigc_kit.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            said = suggestion(args[0], self.list_commands(ctx)) if args else ""
            raise click.UsageError(f"{error.message.rstrip('.')}{said}", ctx) from None


_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a part failed, 4 key or quota, 5 blocked by a"
    " filter, 6 paid or perhaps paid without an image, 130 interrupted."
)


@click.command(
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--env-file",
    metavar="FILE",
    help="Read variables from this file instead of the nearest .env; what is set already wins.",
)
@click.option("--no-env", is_flag=True, help="Read no .env file.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of hints and findings.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="aigc-kit", prog_name=_PROGRAM)
@click.pass_context
def group(
    ctx: click.Context, env_file: str | None, no_env: bool, lang: str | None, debug: bool
) -> None:
    """Images and chat from many vendors, on the command line."""
    ctx.obj = _terminal.Session(debug=debug, language=lang)
    if not no_env and not ctx.resilient_parsing:
        ctx.obj.read_env(env_file)


def run(arguments: list[str] | None = None) -> int:
    """The exit code of the command that ``arguments`` (unset: the process's) name."""
    _terminal.prepare()
    session = _terminal.Session()
    given = sys.argv[1:] if arguments is None else arguments
    session.debug = "--debug" in given
    try:
        result: Any = group.main(
            args=arguments,
            prog_name=_PROGRAM,
            standalone_mode=False,
            color=False if variable("NO_COLOR") else None,
        )
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        return _terminal.broken_pipe()
    except BaseException as error:  # noqa: BLE001 - every way out of a program is one exit code
        return _failures.told(error, debug=session.debug, in_json="--json" in given)
