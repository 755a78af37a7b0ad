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


def nobody() -> Any:
    """A provider that draws nothing: finishing a journal asks no vendor."""
    from aigc_kit.errors import UnsupportedFeatureError
    from aigc_kit.image.base import ImageProvider

    class Nobody(ImageProvider):
        @property
        def name(self) -> str:
            return ""

        def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> Any:
            raise UnsupportedFeatureError("resume draws nothing")

        def image_to_image(
            self, prompt: str, *, reference_images: Any, size: str = "", **kwargs: Any
        ) -> Any:
            raise UnsupportedFeatureError("resume draws nothing")

    return Nobody()


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
        self.names = [] if is_folder else self._names(given, n)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(
                f"--out {out!r}: the directory cannot be made: {error}"
            ) from None
        if not os.access(self.folder, os.W_OK):
            raise click.UsageError(f"--out {out!r}: {str(self.folder)!r} cannot be written")
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
        Give the stored file its name; a note where its type is not what the name said, else ``""``.
        """
        path = path_of(result.url)
        if path is None or place >= len(self.names):
            return ""
        wanted = self.folder / self.names[place]
        note = ""
        if not _same_type(wanted.suffix, path.suffix):
            wanted = self._free(wanted.with_suffix(path.suffix))
            note = f"the image is {result.mime_type}: saved as {_terminal.plain_text(wanted.name)}"
        if self._keep:
            shutil.copyfile(path, wanted)
        else:
            os.replace(path, wanted)
        result.url = wanted.absolute().as_uri()
        return note

    def _free(self, wanted: Path) -> Path:
        """This name, or one with a number where a file has it that may not be replaced."""
        number = 1
        found = wanted
        while found.exists() and not self._force:
            number += 1
            found = wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
        return found


def _same_type(one: str, other: str) -> bool:
    alike = {".jpeg": ".jpg", ".tif": ".tiff"}
    return alike.get(one.lower(), one.lower()) == alike.get(other.lower(), other.lower())
