"""Images on the command line: where they are, and how they are called."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

import click

from aigc_kit.cli import _terminal
from aigc_kit.errors import StorageError


def placeholder() -> Any:
    """A provider that draws nothing: finishing a journal asks no vendor."""
    from aigc_kit.errors import UnsupportedFeatureError
    from aigc_kit.image.base import ImageProvider

    class Placeholder(ImageProvider):
        @property
        def name(self) -> str:
            return ""

        def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> Any:
            raise UnsupportedFeatureError("resume draws nothing")

        def image_to_image(
            self, prompt: str, *, reference_images: Any, size: str = "", **kwargs: Any
        ) -> Any:
            raise UnsupportedFeatureError("resume draws nothing")

    return Placeholder()


def open_tasks(spool: str) -> list[tuple[str, str]]:
    """(vendor, base URL) of the tasks that the journal has receipts of."""
    from aigc_kit.image.journal import Journal
    from aigc_kit.image.receipts import receipt_of

    found: dict[tuple[str, str], None] = {}
    journal = Journal(spool)
    for name in journal.names():
        entry = journal.take(name)
        if entry is None:  # in use
            continue
        with entry, contextlib.suppress(StorageError):  # damaged: told when it is resumed
            record = entry.read()
            if record is not None and receipt_of(record) is not None:
                facts = record.facts
                found[str(facts.get("provider")), str(facts.get("base_url"))] = None
    return list(found)


def path_of(url: str) -> Path | None:
    """The file behind a ``file:`` URL."""
    if not url.startswith("file:"):
        return None
    if os.name == "nt":
        return Path(url2pathname(urlsplit(url).path))
    # Not as text: with an old locale Python writes other bytes for it than those in the URL.
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(url).path)))


def place_of(result: Any) -> str:
    """The path of a file, else the URL."""
    path = path_of(result.url)
    return _near(path) if path is not None else str(result.url)


def _near(path: Path) -> str:
    """Relative to here where it is below here, as a person would write it."""
    with contextlib.suppress(ValueError, OSError):  # the working directory may be gone
        path = path.relative_to(Path.cwd())
    return _terminal.plain_text(str(path))


def document_of(result: Any) -> dict[str, Any]:
    """The image as a document with stable keys."""
    path = path_of(result.url)
    meta = result.metadata
    return {
        "path": None if path is None else _terminal.plain_text(str(path)),
        "url": None if path is not None else result.url,
        "provider": result.provider,
        "model": str(meta.get("model") or ""),
        "mime_type": result.mime_type,
        "width": result.width,
        "height": result.height,
        "requested_size": meta.get("requested_size"),
        "sent_size": meta.get("sent_size"),
        "usage": meta.get("usage"),
        "cost": meta.get("cost"),
        "warnings": meta.get("warnings") or [],
    }


_LONGEST_NAME = 240
"""Bytes of a file's name, with room for a number: 255 on every file system in use."""


class Target:
    """
    Where images go on the disk.

    ``--out`` is a directory where it exists as one, ends in a separator or has no suffix; else it is
    a file's name, and of several images ``name-1.png``, ``name-2.png``.
    """

    def __init__(self, out: str, n: int, *, force: bool, keep: bool = False) -> None:
        """
        Args:
            keep: leave the image under the store's own name too, where a later call with the same
                idempotency key looks for it.

        Raises:
            click.UsageError: a file is there already, or the directory cannot be made. Nothing was
                paid for.
        """
        given = Path(os.path.expanduser(out))
        is_folder = given.is_dir() or out.endswith(("/", os.sep)) or not given.suffix
        self.folder = given if is_folder else given.parent
        self._force = force
        self._keep = keep
        self._moved: dict[Path, Path] = {}  # a file in the store -> its first name
        self.has_failed = False
        """Whether an image could not be given its name and is still under the store's."""
        self.names = [] if is_folder else self._names(given, n)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(
                f"--out {out!r}: the directory cannot be made: {error}"
            ) from None
        if not os.access(self.folder, os.W_OK):
            raise click.UsageError(f"--out {out!r}: {str(self.folder)!r} cannot be written")
        long = [name for name in self.names if len(os.fsencode(name)) > _LONGEST_NAME]
        if long:
            raise click.UsageError(
                f"--out {long[0]!r}: the name is longer than {_LONGEST_NAME} bytes"
            )
        there = [name for name in self.names if (self.folder / name).exists()]
        if there and not force:
            raise click.UsageError(
                f"--out {str(self.folder / there[0])!r} exists: choose another name, or pass --force"
            )

    @staticmethod
    def _names(given: Path, n: int) -> list[str]:
        if n == 1:
            return [given.name]
        return [f"{given.stem}-{place}{given.suffix}" for place in range(1, n + 1)]

    def name(self, result: Any, place: int) -> str:
        """
        Give the stored file its name; a note where it has another one, else ``""``.
        """
        path = path_of(result.url)
        if path is None or place >= len(self.names):
            return ""
        wanted = self.folder / self.names[place]
        why = ""
        if not _same_type(wanted.suffix, path.suffix):
            wanted = wanted.with_suffix(path.suffix)
            why = f"the image is {result.mime_type}"
        try:
            named = self._put(path, wanted)
        except OSError as error:  # it is paid for, and in the store
            self.has_failed = True
            return f"the image could not be saved as {_terminal.plain_text(str(wanted))}: {error}"
        if named != wanted:
            why = why or f"{_terminal.plain_text(wanted.name)} exists"
        result.url = named.absolute().as_uri()
        return f"{why}: saved as {_terminal.plain_text(named.name)}" if why else ""

    def _put(self, path: Path, wanted: Path) -> Path:
        """
        Where the file is now. Another process may make a file of that name in any moment.
        """
        source = self._moved.get(path, path)  # one image may come twice
        named = wanted if self._force else self._copied(source, wanted)
        if self._force and (self._keep or source != path):
            shutil.copyfile(source, named)
        elif self._force:
            os.replace(source, named)
        elif source == path and not self._keep:
            source.unlink()
        if not self._keep:
            self._moved[path] = named
        return named

    def _copied(self, source: Path, wanted: Path) -> Path:
        """A new file of this name, or of one with a number."""
        while True:
            named = self._free(wanted)
            with contextlib.suppress(FileExistsError), named.open("xb") as file:
                try:
                    with source.open("rb") as data:
                        shutil.copyfileobj(data, file)
                except OSError:
                    named.unlink()
                    raise
                return named

    def _free(self, wanted: Path) -> Path:
        """This name, or one with a number where a file has it that may not be replaced."""
        number = 1
        found = wanted
        while found.exists():
            number += 1
            found = wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
        return found


def _same_type(one: str, other: str) -> bool:
    alike = {".jpeg": ".jpg", ".tif": ".tiff"}
    return alike.get(one.lower(), one.lower()) == alike.get(other.lower(), other.lower())
