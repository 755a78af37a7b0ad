"""``aigc-kit completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from aigc_kit.cli import _terminal

_WHERE = {
    "bash": 'eval "$(aigc-kit completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(aigc-kit completion zsh)"   # in ~/.zshrc',
    "fish": "aigc-kit completion fish > ~/.config/fish/completions/aigc-kit.fish",
}


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: bash (4.4 or newer), zsh or fish."""
    kind = get_completion_class(shell)
    root = ctx.find_root().command
    assert_kind = kind or get_completion_class("bash")
    if assert_kind is None:
        raise click.UsageError(f"no completion for {shell!r}")
    made = assert_kind(root, {}, "aigc-kit", "_AIGC_KIT_COMPLETE")
    _terminal.answer(made.source_template % made.source_vars())
