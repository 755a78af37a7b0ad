"""
``gallery.html``: what a run made, as a page that needs no network.

The page is one file with its style and script. Thumbnails are files of the run's directory, or are
in the page itself (``inline``). It loads nothing else: a policy in the page forbids it.
"""

from __future__ import annotations

import base64
import html
import json
import os
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from aigc_kit.batch.line import Line
from aigc_kit.batch.manifest import read_manifest
from aigc_kit.errors import ConfigurationError, StorageError
from aigc_kit.settings import spelled

FILE = "gallery.html"

LINES_OF_A_PAGE = 20_000
"""More than a browser should hold at once; the rest is on pages of its own."""

_LONGEST_TEXT = 4000
_LANGUAGES = ("en", "zh")


def write_gallery(
    folder: str | os.PathLike[str],
    *,
    title: str | None = None,
    language: str | None = None,
    inline: bool = False,
) -> Path:
    """
    Write ``folder/gallery.html`` from the manifest, also while the run goes on.

    A run of more than 20,000 jobs gets more pages, ``gallery-2.html`` and so on. Thumbnails in a
    store on another machine are not fetched: such an image is a link.

    Args:
        folder: the run's directory.
        title: unset: the directory's name.
        language: ``"en"`` or ``"zh"``; unset: the reader's browser decides.
        inline: put the thumbnails of this machine into the page, so that it can be sent on.

    Returns:
        The path of the first page.

    Raises:
        InvalidInputError: there is no manifest in this directory.
        ConfigurationError: the language is another one.
        StorageError: the page cannot be written.
    """
    if language is not None and language not in _LANGUAGES:
        raise ConfigurationError(f"language must be 'en' or 'zh', got {spelled(language)}")
    where = Path(folder).expanduser().resolve()
    total = sum(1 for _ in read_manifest(where))
    pages = [FILE]
    pages += [f"gallery-{number}.html" for number in range(2, _pages(total) + 1)]
    template = files("aigc_kit.batch").joinpath(FILE).read_text("utf-8")
    head = {
        "title": where.name if title is None else title,
        "language": language,
        "total": total,
        "pages": pages if len(pages) > 1 else [],
    }
    lines = read_manifest(where)
    for page in pages:
        part = islice(lines, LINES_OF_A_PAGE)
        _write(where / page, _page(template, {**head, "page": page}, part, where, inline=inline))
    return where / FILE


def _pages(total: int) -> int:
    return max(1, -(-total // LINES_OF_A_PAGE))


def _page(
    template: str, head: dict[str, Any], lines: Iterator[Line], where: Path, *, inline: bool
) -> Iterator[str]:
    """The text of a page in pieces: a million lines are never in memory."""
    before, _, after = template.partition("/*DATA*/")
    yield before.replace("<title></title>", f"<title>{html.escape(str(head['title']))}</title>")
    yield _json(head)[:-1] + ',"lines":['
    for number, line in enumerate(lines):
        yield ("," if number else "") + _json(_shown(line, where, inline=inline))
    yield "]}" + after


def _json(value: Any) -> str:
    """JSON that cannot end the script that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode("utf-8")


def _shown(line: Line, where: Path, *, inline: bool) -> dict[str, Any]:
    """What the page has of a line, without what is empty."""
    thumbnail = line.thumbnail or line.file
    if inline and line.kind == "image":
        thumbnail = _inlined(where, thumbnail) or thumbnail
    content = line.metadata.get("content")
    entry = {
        "id": line.id,
        "kind": line.kind,
        "status": line.status,
        "provider": line.provider,
        "model": line.model,
        "prompt": line.prompt[:_LONGEST_TEXT],
        "size": line.size,
        "file": line.file if line.kind == "image" else None,
        "thumbnail": thumbnail if line.kind == "image" else None,
        "url": line.url,
        "expires": line.metadata.get("expires_at"),
        "cost": line.cost and {name: line.cost.get(name) for name in ("amount", "currency")},
        "error": line.error
        and {name: line.error.get(name) for name in ("type", "code", "message", "hint", "billed")},
        "content": content[:_LONGEST_TEXT] if isinstance(content, str) else None,
        "attempts": line.attempts,
        "seconds": line.seconds,
        "started": line.started[:19].replace("T", " "),
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


_TYPES = {
    b"RIFF": "image/webp",
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def _inlined(where: Path, path: str | None) -> str:
    """The image as a ``data:`` URI; "" where it is not a file of this machine."""
    if not path or "://" in path:
        return ""
    try:
        data = (where / path).read_bytes()
    except OSError:
        return ""
    kind = next((kind for head, kind in _TYPES.items() if data.startswith(head)), "")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if kind else ""


def _write(path: Path, pieces: Iterator[str]) -> None:
    """
    The whole page or the old one: a browser may look at it.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".gallery-", suffix=".html")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for piece in pieces:
                    file.write(piece)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"{str(path)!r} cannot be written: {error}") from error
