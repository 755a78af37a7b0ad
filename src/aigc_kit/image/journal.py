"""
The journal on disk.

An entry is one file: a line of JSON, then the bytes it describes. It is replaced in one step, so
after a crash it is the old one or the new one, never half of either. Whoever works on an entry
holds its lock file, which the operating system takes back when the process dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc_kit.errors import ConfigurationError, StorageError
from aigc_kit.image.entries import DONE_SECONDS, Entry, Raw
from aigc_kit.image.locks import LONGEST_WAIT, alone, busy, lock_file, unlock_file
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.encoding import sha256_of

ENTRY = ".order"
"""How entries are named since the first release: a directory of entries outlives an upgrade."""
DONE = ".done"

_POLL = 0.02
"""Seconds between two looks at a lock that someone else holds."""

_SWEEP = 3600.0
"""Seconds between two searches for old ``done`` marks."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_SAFE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A symbolic link is not followed."""


class Journal:
    """A directory of entries, shared by threads and processes of one machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """
        Raises:
            ConfigurationError: the directory cannot be made or written.
        """
        import tempfile  # slow to import, and most clients have no journal

        self._swept = time.monotonic()
        if root == "":  # Path("") would be the current directory
            raise ConfigurationError(
                "spool_dir must be a directory, got '': name one, or pass None for no journal"
            )
        try:
            self.root = Path(root).expanduser().resolve()
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except (OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"spool_dir must be a directory that can be written, got {root!r}: {error}"
            ) from error

    def names(self) -> list[str]:
        """The unfinished entries that are here, the oldest first. Old marks go."""
        self._sweep()
        found: dict[str, float] = {}
        for path in (*self.root.glob(f"*{ENTRY}"), *self.root.glob("*.part")):
            with contextlib.suppress(OSError):  # finished by someone else in this moment
                found.setdefault(path.stem, path.lstat().st_mtime)
        for path in self.root.glob("*.lock"):
            if path.stem not in found:  # left by a process that died before it wrote anything
                entry = self.take(path.stem)
                if entry is not None:
                    entry.close()
        return sorted(found, key=found.__getitem__)

    @contextmanager
    def claim(self, name: str, wait: float) -> Iterator[Entry]:
        """
        The entry of this name, locked, whether it exists or not; a new one for ``""``.

        Raises:
            StorageError: someone else holds it for ``wait`` seconds, or the directory cannot be
                written.
        """
        if not name:
            entry = self.take(os.urandom(16).hex(), new=True)
            if entry is None:  # pragma: no cover - 128 random bits do not collide
                raise busy(0.0)
            with entry:
                yield entry
            return
        file_name = "key-" + sha256_of(name.encode()).hexdigest()[:32]
        with alone(name, wait), self._required(file_name, wait, wait, key=name) as entry:
            yield entry

    def take(self, name: str, *, wait: float = 0.0, new: bool = False) -> Entry | None:
        """
        The entry of that file name, locked, whether it exists or not; None when someone else holds
        it for ``wait`` seconds.

        Raises:
            StorageError: the directory cannot be written.
        """
        if not _NAME.fullmatch(name):
            return None
        path = self.root / f"{name}.lock"
        end = time.monotonic() + min(wait, LONGEST_WAIT)
        while True:
            lock = self._locked(path)
            if lock is not None:
                return _FileEntry(self, name, lock, new=new)
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL)

    def named(self, result: ImageResult) -> str:
        """
        The entry that an image with these bytes waits in, found by them: "" when there is none.
        """
        if not result.has_base64:
            return ""
        digest = ""
        for path in self.root.glob(f"*{ENTRY}"):
            with contextlib.suppress(OSError, ValueError, TypeError), path.open("rb") as file:
                digests = [found[1] for found in json.loads(file.readline()).get("blobs", ())]
                if not digests:
                    continue
                digest = digest or sha256_of(result.data).hexdigest()
                if digest in digests:
                    return path.stem
        return ""

    def _required(self, name: str, wait: float, told: float, key: str = "") -> Entry:
        entry = self.take(name, wait=wait)
        if entry is None:
            raise busy(told, key)
        return entry

    def _locked(self, path: Path) -> int | None:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
        except OSError as error:
            raise StorageError(
                f"the journal {str(self.root)!r} cannot be written: {error}"
            ) from error
        try:
            lock_file(lock)
            # The holder before may have removed the file after it was opened here: that lock is
            # nobody's.
            if os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        except OSError:
            pass
        os.close(lock)
        return None

    def mark_written(self) -> None:
        """Once in a while, look for old marks."""
        if time.monotonic() - self._swept > _SWEEP:
            self._sweep()

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        oldest = time.time() - DONE_SECONDS
        for path in self.root.glob(f"*{DONE}"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    path.unlink()


class _FileEntry(Entry):
    """An entry with nothing in it leaves no file."""

    def __init__(self, journal: Journal, name: str, lock: int, *, new: bool) -> None:
        super().__init__(new=new)
        self.name = name
        self._journal = journal
        self._path = journal.root / f"{name}{ENTRY}"
        self._part = journal.root / f"{name}.part"
        self._mark_path = journal.root / f"{name}{DONE}"
        self._lock_path = journal.root / f"{name}.lock"
        self._lock = lock

    def _load(self) -> Raw | None:
        try:
            if self._part.exists():
                # A process died before the last step of ``_save``: take that step when the bytes
                # are whole.
                with contextlib.suppress(ValueError):
                    _parsed(_content(self._part))
                    os.replace(self._part, self._path)
                self._part.unlink(missing_ok=True)
            return _parsed(_content(self._path))
        except FileNotFoundError:
            return self._marked()
        except OSError as error:
            raise StorageError(
                f"the journal entry {str(self._path)!r} cannot be read: {error}"
            ) from error
        except ValueError as error:
            raise StorageError(
                f"the journal entry {str(self._path)!r} is damaged: {error}"
            ) from error

    def _marked(self) -> Raw | None:
        """The ``done`` mark; one that is old or cannot be read is none: the store has the image."""
        try:
            facts, _ = _parsed(_content(self._mark_path))
        except (OSError, ValueError):
            return None
        return (facts, []) if time.time() - float(facts.get("at") or 0) < DONE_SECONDS else None

    def _save(self, facts: dict[str, Any], blobs: list[bytes]) -> None:
        """Put this in the place of what was there; it is on the disk when this returns."""
        try:
            self._write(self._path, facts, blobs, last=True)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
            raise StorageError(
                f"the journal entry {str(self._path)!r} cannot be written: {error}"
            ) from error

    def _mark_done(self, facts: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._write(self._mark_path, facts, [], last=False)
            self._journal.mark_written()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, path: Path, facts: dict[str, Any], blobs: list[bytes], *, last: bool) -> None:
        digests = [(len(blob), sha256_of(blob).hexdigest()) for blob in blobs]
        head = json.dumps({**facts, "blobs": digests}, default=str, skipkeys=True).encode() + b"\n"
        with open(self._made(), "wb") as file:
            file.write(head)
            for blob in blobs:
                file.write(blob)
            file.flush()
            if last:
                os.fsync(file.fileno())
        os.replace(self._part, path)
        if last:
            _sync(path.parent)

    def _made(self) -> int:
        """
        The file to write into, new: one that was left by a crash or by another program goes
        first.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE
        try:
            return os.open(self._part, flags, 0o600)
        except FileExistsError:
            self._part.unlink()
            return os.open(self._part, flags, 0o600)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
            if not self._new:
                self._part.unlink(missing_ok=True)
                self._mark_path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._lock < 0:
            return
        if not self._path.exists():
            with contextlib.suppress(OSError):
                self._lock_path.unlink(missing_ok=True)
        lock, self._lock = self._lock, -1
        unlock_file(lock)
        os.close(lock)

    def __del__(self) -> None:
        # An exception of the application may strike between taking the lock and the ``with`` that
        # gives it back.
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                unlock_file(self._lock)
                os.close(self._lock)


def _content(path: Path) -> bytes:
    """The bytes of a regular file that is not behind a link."""
    handle = os.open(path, os.O_RDONLY | _SAFE | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        return file.read()


def _parsed(raw: bytes) -> Raw:
    """Raises ``ValueError`` when these are not the bytes that were written."""
    head, _, rest = raw.partition(b"\n")
    try:
        facts = json.loads(head)
        blobs: list[bytes] = []
        at = 0
        for size, digest in facts.pop("blobs"):
            blobs.append(rest[at : at + size])
            at += size
            if sha256_of(blobs[-1]).hexdigest() != digest:
                raise ValueError("an image's bytes are not those that were written")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its first line is not what was written: {error}") from None
    return facts, blobs


def _sync(folder: Path) -> None:
    """Make a rename last; not every system lets a directory be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
