"""``aigc-kit`` and ``python -m aigc_kit``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its extra say how to install it."""
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        sys.stderr.write("The command line needs an extra: pip install 'aigc-kit[cli]'\n")
        sys.exit(2)
    from aigc_kit.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
