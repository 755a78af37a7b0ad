"""
The manifest: an append-only JSONL file with a line for each finished job.

A line goes to the system in one write, so a killed process loses none that was written; ``fsync``
follows at most ``sync_seconds`` later and at the end. What a power cut takes is not lost: the job
is taken again with the same id, and its image is found in the store or in the journal. A last line
that was torn is repaired when the file is opened. Of several lines with one id the last counts.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from aigc_kit.batch.line import Line
from aigc_kit.batch.seen import Seen
from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.image.journal import lock_file, unlock_file

FILE = "manifest.jsonl"
_LOCK = "manifest.lock"
_BLOCK = 1 << 16

SYNC_SECONDS = 1.0


class Manifest:
    """
    The manifest of a run, open for writing by this process alone; a context manager.

    ``repaired``: bytes of a torn last line that were cut off. ``damaged``: lines that cannot be
    read, whose jobs are taken again.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, sync_seconds: float = SYNC_SECONDS
    ) -> None:
        """
        Args:
            folder: the run's directory; it is made.
            sync_seconds: how long a line may wait for its ``fsync``; 0: it does not wait.

        Raises:
            ConfigurationError: the directory cannot be written, or another process writes this
                manifest.
        """
        self.folder = Path(folder).expanduser().resolve()
        self.path = self.folder / FILE
        self.repaired = 0
        self.damaged = 0
        self._sync_seconds = sync_seconds
        self._lock = self._taken()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self.repaired = _repair(self._file)
        except OSError as error:
            self._unlock()
            raise ConfigurationError(
                f"the manifest {str(self.path)!r} cannot be written: {error}"
            ) from error
        self._synced = time.monotonic()
        self._dirty = False

    def _taken(self) -> int:
        path = self.folder / _LOCK
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigurationError(
                f"the run's directory must be one that can be written, got {str(self.folder)!r}:"
                f" {error}"
            ) from error
        try:
            lock_file(lock)
        except OSError:
            os.close(lock)
            raise ConfigurationError(
                f"another process works on {str(self.folder)!r}: wait until it ends, or choose"
                " another directory"
            ) from None
        return lock

    def append(self, line: Line) -> None:
        """
        Write one line.

        Raises:
            StorageError: it cannot be written; nothing of it stays in the file.
        """
        data = line.to_json().encode("utf-8", "surrogatepass") + b"\n"
        try:
            before = os.fstat(self._file).st_size
            try:
                _write(self._file, data)
            except OSError:
                os.ftruncate(self._file, before)
                raise
            self._dirty = True
            if time.monotonic() - self._synced >= self._sync_seconds:
                self.sync()
        except OSError as error:
            raise StorageError(
                f"the manifest {str(self.path)!r} cannot be written: {error}"
            ) from error

    def sync(self) -> None:
        """
        Have the disk take what was written.

        Raises:
            OSError: it did not.
        """
        self._synced = time.monotonic()
        if self._dirty:
            os.fsync(self._file)
            self._dirty = False

    def lines(self) -> Iterator[Line]:
        """Every line that is here now, the older ones of a job too."""
        for _, line in self._numbered():
            yield line

    def seen(self) -> Seen:
        """What is known of each job: its last line's status. The caller closes it."""
        seen = Seen()
        self.damaged = 0
        for _, line in self._numbered():
            seen.put(line.id, _word(line))
        return seen

    def _numbered(self) -> Iterator[tuple[int, Line]]:
        for at, raw in _raw_lines(self.path):
            try:
                line = Line.from_json(raw)
            except (InvalidInputError, TypeError):
                self.damaged += 1
                continue
            yield at, line

    def close(self) -> None:
        """Sync, and let others write."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            self.sync()
        os.close(self._file)
        self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, -1
        unlock_file(lock)
        os.close(lock)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_manifest(folder: str | os.PathLike[str]) -> Iterator[Line]:
    """
    The last line of every job of a run, in the order of the file; also while the run goes on.

    Memory does not grow with the run. Lines that cannot be read are left out.

    Raises:
        InvalidInputError: there is no manifest in this directory.
    """
    path = Path(folder).expanduser() / FILE
    if not path.is_file():
        raise InvalidInputError(f"{str(folder)!r} has no {FILE}: it is not the directory of a run")
    return _last_lines(path)


def _last_lines(path: Path) -> Iterator[Line]:
    with Seen() as seen:
        end = 0
        for at, raw in _raw_lines(path):
            with contextlib.suppress(InvalidInputError, TypeError):
                seen.put(Line.from_json(raw).id, str(at))
            end = at
        for at, raw in _raw_lines(path):
            if at > end:  # written since
                break
            with contextlib.suppress(InvalidInputError, TypeError):
                line = Line.from_json(raw)
                if seen.get(line.id) == str(at):
                    yield line


def _word(line: Line) -> str:
    """The status, and for a failure whether its job may be sent again without a second payment."""
    if line.status != "failed":
        return line.status
    return "failed" if line.billed == "no" else "paid"


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of each whole line."""
    at = 0
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            if raw.strip():
                yield at, raw
            at += len(raw)


def _repair(file: int) -> int:
    """
    Make the file end with a newline: a last line that is whole gets it, and one that was torn goes.
    The number of bytes that went.
    """
    size = os.fstat(file).st_size
    start = _start_of_last(file, size)
    tail = _read(file, start, size)
    if not tail:
        return 0
    try:
        Line.from_json(tail)
    except (InvalidInputError, TypeError):
        os.ftruncate(file, start)
        return len(tail)
    _write(file, b"\n")
    return 0


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
