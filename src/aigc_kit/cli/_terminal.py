"""What commands share: the session, output and progress."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from aigc_kit.settings import variable


@dataclass
class Session:
    """
    What the group's options say. ``dotenv``: what the ``.env`` file has; ``language``: as asked.
    """

    debug: bool = False
    language: str | None = None
    dotenv: dict[str, str] = field(default_factory=dict[str, str])

    def read_env(self, path: str | None) -> None:
        """
        Read a ``.env`` file into the environment; variables that are set win.

        Raises:
            click.UsageError: a file that was named does not exist.
        """
        if path is not None and not os.path.isfile(path):
            raise click.UsageError(f"--env-file {path!r} is not a file")
        if path is None and not _env_is_near():
            return
        import dotenv

        from aigc_kit.settings import load_dotenv

        found = path or dotenv.find_dotenv(usecwd=True)
        self.dotenv = {k: v for k, v in dotenv.dotenv_values(found).items() if v is not None}
        load_dotenv(found)

    def chosen_language(self) -> str:
        from aigc_kit.hints import language

        return language(self.language)


def _env_is_near() -> bool:
    """Whether there is a ``.env`` here or above; looking is cheaper than importing dotenv."""
    with contextlib.suppress(OSError):
        folder = os.getcwd()
        while True:
            if os.path.isfile(os.path.join(folder, ".env")):
                return True
            parent = os.path.dirname(folder)
            if parent == folder:
                return False
            folder = parent
    return False


session = click.make_pass_decorator(Session, ensure=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def prepare() -> None:
    """
    Make the streams carry any text: a terminal or a pipe with an old encoding must not stop an
    answer that was paid for.
    """
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if encoding in ("ascii", "latin1", "iso88591", "ansi_x3.41968"):
            reconfigure(encoding="utf-8", errors="backslashreplace")
        elif stream is not sys.stdin:
            reconfigure(errors="backslashreplace")


def plain_text(value: str) -> str:
    """An argument as it was typed: with ``LANG=C`` Python may have taken its UTF-8 for bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return os.fsencode(value).decode("utf-8", errors="replace")
    return value


def answer(text: str, *, end: str = "\n") -> None:
    """To stdout, where only answers go."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def note(text: str) -> None:
    """To stderr."""
    click.echo(text, err=True)


def document(value: Any) -> None:
    """One JSON document, on one line where it is one of several (``records``)."""
    answer(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def record(value: Any) -> None:
    """One line of JSONL."""
    answer(json.dumps(value, ensure_ascii=False, default=str))


def broken_pipe() -> int:
    """The reader is gone (``| head``): end quietly, and let the interpreter flush to nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the block runs, a line on stderr says so, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_tick, args=(what, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


_FRAMES = "|/-\\"


def _tick(what: str, over: threading.Event) -> None:
    start, turn = time.monotonic(), 0
    while not over.wait(0.2):
        seconds = int(time.monotonic() - start)
        sys.stderr.write(f"\r{_FRAMES[turn % 4]} {what} {seconds} s ")
        sys.stderr.flush()
        turn += 1
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()


def width(text: str) -> int:
    """Columns on a terminal; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns with two blanks between them, the last one as long as it is."""
    lines = [heads, *rows]
    sizes = [max(width(line[place]) for line in lines) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell + " " * (size - width(cell)) for cell, size in zip(line, sizes, strict=True)
        ).rstrip()
        for line in lines
    )


def styled(text: str, **style: Any) -> str:
    """The text in a color, where stderr is a terminal that wants one."""
    wanted = sys.stderr.isatty() and not variable("NO_COLOR")
    return click.style(text, **style) if wanted else text


_OWN = {
    "size": "use --size",
    "n": "use --n",
    "prompt": "it is the argument",
    "messages": "the prompt is the argument",
    "reference_images": "use --ref",
    "tools": "use --tool",
    "response_format": "use --schema",
    "idempotency_key": "use --key",
}
"""What the commands themselves pass."""


def pairs(values: Sequence[str]) -> Mapping[str, Any]:
    """
    ``key=value`` options: the value is JSON where it is, else text.

    Raises:
        click.UsageError: one has no ``=``.
    """
    found: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--option must be key=value, got {value!r}")
        if name in _OWN:
            raise click.UsageError(
                f"--option {name}=... is not an option of the call: {_OWN[name]}"
            )
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = plain_text(text)
    return found
