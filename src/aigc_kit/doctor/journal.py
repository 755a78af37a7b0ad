"""The journal of paid images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from aigc_kit.doctor.findings import Context, Finding, offline, path_at
from aigc_kit.errors import AIGCError

ROOM_BYTES = 200 * 1024 * 1024
"""A few groups of 4K images."""


@offline("journal")
def journal(context: Context) -> Iterator[Finding]:
    """Whether the directory can be written, and what waits in it."""
    if not context.journal:
        return
    from aigc_kit.image.journal import Journal

    path = path_at(context.journal)
    values = {"path": context.journal[:200]}
    if path is None:
        yield Finding("error", "journal_unwritable", "journal", {**values, "problem": "-"})
        return
    if not path.exists():
        try:
            nearest = next(parent for parent in path.absolute().parents if parent.exists())
            Journal(path)
            path.rmdir()
        except (AIGCError, OSError, StopIteration) as error:
            yield Finding(
                "error", "journal_unwritable", "journal", {**values, "problem": _said(error)}
            )
            return
        yield Finding("ok", "journal", "journal", values)
        yield from _room(nearest, values)
        return
    try:
        waiting = len(Journal(path).names())
    except (AIGCError, OSError) as error:
        yield Finding("error", "journal_unwritable", "journal", {**values, "problem": _said(error)})
        return
    yield Finding("ok", "journal", "journal", values)
    yield from _room(path, values)
    if waiting:
        yield Finding("warning", "journal_waiting", "journal", {**values, "count": str(waiting)})


def _room(path: Path, values: dict[str, str]) -> Iterator[Finding]:
    free = shutil.disk_usage(path).free
    if free < ROOM_BYTES:
        yield Finding(
            "warning", "journal_room", "journal", {**values, "free": f"{free // 2**20} MB"}
        )


def _said(error: BaseException) -> str:
    return str(error)[:200]
