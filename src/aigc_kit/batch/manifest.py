"""
The manifest: an append-only JSONL file with a line for each finished job.

A line goes to the system in one write, so a killed process loses none that was written; ``fsync``
follows at most ``sync_seconds`` later and at the end. What a power cut takes is not lost: the job
is taken again with the same id, and its image is found in the store or in the journal. A last line
that was torn is repaired when the file is opened. Of several lines with one id the last counts.

The vectors of embeddings are in a file beside it, ``{"id", "vectors"}`` a line; a line is there
before the manifest says that its job is done.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from aigc_kit.batch.appender import Appender, whole_lines
from aigc_kit.batch.line import Line
from aigc_kit.batch.seen import Seen
from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image.locks import lock_file, unlock_file

FILE = "manifest.jsonl"
VECTORS = "vectors.jsonl"
_LOCK = "manifest.lock"

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
        self.damaged = 0
        self._sync_seconds = sync_seconds
        self._vectors: Appender | None = None
        self._lock = self._taken()
        try:
            self._lines = Appender(self.path, is_whole=_is_line, sync_seconds=sync_seconds)
        except OSError as error:
            self._unlock()
            raise ConfigurationError(
                f"the manifest {str(self.path)!r} cannot be written: {error}"
            ) from error

    @property
    def repaired(self) -> int:
        return self._lines.repaired

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
        self._lines.append(line.to_json().encode("utf-8", "backslashreplace"))
        if self._lines.is_due:
            self.sync()

    def append_vectors(self, name: str, vectors: Any) -> None:
        """
        Write the vectors of a job, before its line.

        Raises:
            StorageError: they cannot be written.
        """
        if self._vectors is None:
            path = self.folder / VECTORS
            try:
                self._vectors = Appender(path, is_whole=_is_json, sync_seconds=self._sync_seconds)
            except OSError as error:
                raise ConfigurationError(f"{str(path)!r} cannot be written: {error}") from error
        text = json.dumps({"id": name, "vectors": vectors}, separators=(",", ":"))
        self._vectors.append(text.encode())

    def sync(self) -> None:
        """
        Have the disk take what was written: vectors before the lines that name them.

        Raises:
            StorageError: it did not.
        """
        if self._vectors is not None:
            self._vectors.sync()
        self._lines.sync()

    def lines(self) -> Iterator[Line]:
        """Every line that is here now, the older ones of a job too."""
        for _, raw in whole_lines(self.path):
            try:
                yield Line.from_json(raw)
            except (InvalidInputError, TypeError):
                self.damaged += 1

    def seen(self) -> Seen:
        """
        What is known of each job: the status of its last line, ``"paid"`` for a failure that may
        have cost money, and the digest of what was asked for. The caller closes it.
        """
        seen = Seen()
        self.damaged = 0
        for line in self.lines():
            seen.put(line.id, f"{_word(line)} {line.metadata.get('digest', '')}")
        return seen

    def close(self) -> None:
        """Sync, and let others write."""
        if self._lock < 0:
            return
        if self._vectors is not None:
            self._vectors.close()
        self._lines.close()
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
        for at, raw in whole_lines(path):
            with contextlib.suppress(InvalidInputError, TypeError):
                seen.put(Line.from_json(raw).id, str(at))
            end = at
        for at, raw in whole_lines(path):
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


def _is_line(raw: bytes) -> bool:
    try:
        Line.from_json(raw)
    except (InvalidInputError, TypeError):
        return False
    return True


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True
