"""A file of lines that only grows, and whose lines are whole whatever happens to the process."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from aigc_kit.errors import StorageError

_BLOCK = 1 << 16


class Appender:
    """
    Lines of bytes at the end of a file, each in one write.

    ``repaired``: bytes of a torn last line that were cut off when it was opened.
    """

    def __init__(
        self, path: Path, *, is_whole: Callable[[bytes], bool], sync_seconds: float
    ) -> None:
        """
        Args:
            is_whole: whether a last line without its newline was written to its end.
            sync_seconds: how long a line may wait for its ``fsync``.

        Raises:
            OSError: the file cannot be written.
        """
        self.path = path
        self._sync_seconds = sync_seconds
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise OSError("it is not a regular file")
            self.repaired = self._repair(is_whole)
        except OSError:
            os.close(self._file)
            raise
        self._synced = time.monotonic()
        self._dirty = False

    def append(self, line: bytes) -> None:
        """
        Args:
            line: without its newline.

        Raises:
            StorageError: it cannot be written; nothing of it stays in the file.
        """
        try:
            before = os.fstat(self._file).st_size
            try:
                _write(self._file, line + b"\n")
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, before)
                raise
            self._dirty = True
        except OSError as error:
            raise self._failure(error) from error

    @property
    def is_due(self) -> bool:
        """Whether a line has waited long enough for its ``fsync``."""
        return self._dirty and time.monotonic() - self._synced >= self._sync_seconds

    def sync(self) -> None:
        """
        Have the disk take what was written.

        Raises:
            StorageError: it did not.
        """
        if not self._dirty:
            return
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._failure(error) from error
        self._synced = time.monotonic()
        self._dirty = False

    def close(self) -> None:
        """Sync and close."""
        if self._file < 0:
            return
        with contextlib.suppress(StorageError):
            self.sync()
        file, self._file = self._file, -1
        os.close(file)

    def _failure(self, error: OSError) -> StorageError:
        return StorageError(f"{str(self.path)!r} cannot be written: {error}")

    def _repair(self, is_whole: Callable[[bytes], bool]) -> int:
        """End the file with a newline: a whole last line gets it, and a torn one goes."""
        size = os.fstat(self._file).st_size
        start = _start_of_last(self._file, size)
        tail = _read(self._file, start, size)
        if not tail:
            return 0
        if is_whole(tail):
            _write(self._file, b"\n")
            return 0
        os.ftruncate(self._file, start)
        return len(tail)


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of each line that has its newline."""
    at = 0
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            if raw.strip():
                yield at, raw
            at += len(raw)


def _start_of_last(file: int, size: int) -> int:
    """Where the line begins that has no newline at its end; ``size`` where there is none."""
    end = size
    while end > 0:
        begin = max(end - _BLOCK, 0)
        place = _read(file, begin, end).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0


def _read(file: int, begin: int, end: int) -> bytes:
    # Not os.pread: Windows has none.
    os.lseek(file, begin, os.SEEK_SET)
    parts = []
    while begin < end:
        part = os.read(file, end - begin)
        if not part:
            break
        parts.append(part)
        begin += len(part)
    return b"".join(parts)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
