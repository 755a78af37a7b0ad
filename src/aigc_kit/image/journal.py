"""
What a purchase leaves behind until its images have their URL, and the locks around it.

On disk an entry is one file: a line of JSON, then the bytes it describes. It is replaced in one
step, so after a crash it is the old one or the new one, never half of either. Whoever works on an
entry holds its lock file, which the operating system takes back when the process dies. Without a
directory one client remembers the purchases that have an idempotency key.

An entry is ``asked`` (a request may have been sent; the outcome is unknown), ``paid`` (these images wait to be
stored) or ``done`` (a small mark that stays for a while, for a store that does not show yet what
was put there).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import tempfile
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidReplyError, StorageError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.encoding import sha256_of

ENTRY = ".order"
"""How entries are named since the first release: a directory of entries outlives an upgrade."""
DONE = ".done"

DONE_SECONDS = 86_400.0
"""How long a ``done`` mark stays."""

LONGEST_WAIT = 1e6
"""Seconds that anybody waits for a lock."""

_POLL = 0.02
"""Seconds between two looks at a lock that someone else holds."""

_SWEEP = 3600.0
"""Seconds between two searches for old ``done`` marks."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_SAFE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A symbolic link is not followed."""

_KNOWN = (
    "model",
    "requested_size",
    "sent_size",
    "width",
    "height",
    "request_id",
    "source_url",
    "expires_at",
    "storage_key",
    "revised_prompt",
)
"""The metadata that a ``done`` mark keeps."""


@dataclass
class Item:
    """
    One image of a purchase. ``name``: its storage key without the type, "" where the key is its
    content's digest.
    """

    place: int
    result: ImageResult
    name: str = ""


@dataclass
class Record:
    """An entry as it was read. ``facts``: who was asked for what."""

    state: str
    facts: dict[str, Any]
    items: list[Item] = field(default_factory=list[Item])

    @property
    def at(self) -> float:
        """Unix time of its last change."""
        at = self.facts.get("at")
        return float(at) if isinstance(at, (int, float)) else 0.0

    @property
    def fingerprint(self) -> dict[str, str]:
        found = self.facts.get("fingerprint")
        return found if isinstance(found, dict) else {}

    @property
    def keyed(self) -> bool:
        return bool(self.facts.get("key"))


Raw = tuple[dict[str, Any], list[bytes]]


class Entry(ABC):
    """
    One locked entry. Somebody who holds it changes it by what happened: asked, refused, paid,
    stored.
    """

    name = ""

    def __init__(self, *, new: bool = False) -> None:
        """
        Args:
            new: nothing can be in it.
        """
        self._facts: dict[str, Any] = {}
        self._before: Raw | None = None
        self._new = new

    def read(self) -> Record | None:
        """
        Raises:
            StorageError: it is damaged or cannot be read; it stays where it is.
        """
        raw = self._load()
        if raw is None:
            return None
        facts, blobs = raw
        state = str(facts.get("state", ""))
        try:
            return Record(state, facts, list(_restored(facts, blobs)))
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise StorageError(
                f"the journal entry {self.name!r} is damaged: {type(error).__name__}: {error}"
            ) from None

    def asked(self, facts: dict[str, Any]) -> None:
        """
        On disk before the request leaves: this one is asked now.

        Raises:
            StorageError: it cannot be written.
        """
        if not self._facts and not self._new:
            self._before = self._load()
        self._facts = facts
        self._save({**facts, "state": "asked", "at": time.time()}, [])

    def refused(self) -> None:
        """Nothing was charged for what was asked last; what was known before stays."""
        if self._before is None:
            self.remove()
        else:
            self._save(*self._before)

    def paid(self, items: Sequence[Item], facts: dict[str, Any] | None = None) -> None:
        """
        On disk before anything else happens to them.

        Raises:
            StorageError: it cannot be written; what was there before stays.
        """
        self._facts = facts or self._facts
        images, blobs = _written(items)
        self._save({**self._facts, "state": "paid", "at": time.time(), "images": images}, blobs)

    def done(self, items: Sequence[Item], facts: dict[str, Any] | None = None) -> None:
        """Every image has its URL. With an idempotency key a small mark stays."""
        facts = facts or self._facts
        if not facts.get("key"):
            self.remove()
            return
        images = [_mark(item) for item in items]
        with contextlib.suppress(StorageError):
            self._mark_done({**facts, "state": "done", "at": time.time(), "images": images})

    @abstractmethod
    def _load(self) -> Raw | None: ...

    @abstractmethod
    def _save(self, facts: dict[str, Any], blobs: list[bytes]) -> None: ...

    @abstractmethod
    def _mark_done(self, facts: dict[str, Any]) -> None: ...

    @abstractmethod
    def remove(self) -> None:
        """Forget it."""

    @abstractmethod
    def close(self) -> None:
        """Give the lock back."""

    def __enter__(self) -> Entry:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _written(items: Iterable[Item]) -> tuple[list[dict[str, Any]], list[bytes]]:
    images: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for item in items:
        result = item.result
        try:
            data = result.data
        except InvalidReplyError:  # not base64: saved as received
            data = result.base64.encode("utf-8", "replace")
        images.append(
            {
                "url": result.url,
                "mime_type": result.mime_type,
                "provider": result.provider,
                "metadata": result.metadata,
                "name": item.name,
                "place": item.place,
                "blob": len(blobs) if data else None,
            }
        )
        blobs += [data] if data else []
    return images, blobs


def _restored(facts: dict[str, Any], blobs: list[bytes]) -> Iterator[Item]:
    for number, entry in enumerate(facts.get("images", ())):
        at = entry.get("blob")
        metadata = {**entry["metadata"]}
        result = ImageResult.from_bytes(
            b"" if at is None else blobs[at], mime_type=entry["mime_type"], metadata=metadata
        )
        result.url, result.provider = entry["url"], entry["provider"]
        yield Item(int(entry.get("place", number)), result, str(entry.get("name") or ""))


def _mark(item: Item) -> dict[str, Any]:
    result = item.result
    known = {name: result.metadata[name] for name in _KNOWN if name in result.metadata}
    return {
        "url": result.url,
        "mime_type": result.mime_type,
        "provider": result.provider,
        "metadata": known,
        "name": item.name,
        "place": item.place,
    }


class Journal:
    """A directory of entries, shared by threads and processes of one machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """
        Raises:
            ConfigurationError: the directory cannot be made or written.
        """
        self._swept = time.monotonic()
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
            entry = self.take(secrets.token_hex(16), new=True)
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


class Memory:
    """
    What one client remembers without a directory: purchases with an idempotency key, until they are
    stored.
    """

    def __init__(self) -> None:
        self._held: dict[str, Raw] = {}

    @contextmanager
    def claim(self, name: str, wait: float) -> Iterator[Entry]:
        """
        The entry of this name, locked; one that remembers nothing for ``""``.

        Raises:
            StorageError: another thread holds it for ``wait`` seconds.
        """
        if not name:
            yield _MemoryEntry({}, name)
            return
        with alone(name, wait):
            yield _MemoryEntry(self._held, name)

    def take(self, name: str, *, wait: float = 0.0) -> Entry | None:
        """The entry of this name; the caller has the image in hand and needs no lock."""
        return _MemoryEntry(self._held, name)

    def named(self, result: ImageResult) -> str:
        return ""

    def sweep(self) -> None:
        """Forget old marks."""
        oldest = time.time() - DONE_SECONDS
        for name, (facts, _) in list(self._held.items()):
            if facts.get("state") == "done" and facts.get("at", 0) < oldest:
                self._held.pop(name, None)


_MOST_MARKS = 10_000
"""``done`` marks of one client before the old ones are looked for."""


class _MemoryEntry(Entry):
    def __init__(self, held: dict[str, Raw], name: str) -> None:
        super().__init__()
        self.name = name
        self._held = held

    def _load(self) -> Raw | None:
        raw = self._held.get(self.name)
        if (
            raw is not None
            and raw[0].get("state") == "done"
            and time.time() - raw[0]["at"] > DONE_SECONDS
        ):
            return None
        return raw

    def _save(self, facts: dict[str, Any], blobs: list[bytes]) -> None:
        if self.name:
            self._held[self.name] = (facts, list(blobs))

    def _mark_done(self, facts: dict[str, Any]) -> None:
        self._held.pop(self.name, None)  # the newest last
        self._save(facts, [])
        while len(self._held) > _MOST_MARKS:
            oldest = next(
                (name for name, raw in self._held.items() if raw[0].get("state") == "done"), None
            )
            if oldest is None:
                break
            self._held.pop(oldest, None)

    def remove(self) -> None:
        self._held.pop(self.name, None)

    def close(self) -> None:
        """There is not a lock of its own."""


def busy(wait: float, key: str = "") -> StorageError:
    """Someone else holds the lock."""
    return StorageError(
        f"another call has been buying with this idempotency_key for {wait:.0f} s",
        key=key,
        retryable=True,
    )


# ---- one thread of this process after the other, by name


class _Lock:
    """A lock with a weak reference."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_locks: weakref.WeakValueDictionary[str, _Lock] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def _in_child() -> None:
    """After a fork: the parent's threads, which held locks, are not here."""
    global _guard
    _guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@contextmanager
def alone(name: str, wait: float) -> Iterator[None]:
    """
    No other thread of this process is inside with the same name.

    Raises:
        StorageError: another one was for ``wait`` seconds.
    """
    with _guard:
        mine = _locks.setdefault(name, _Lock())
    if not mine.lock.acquire(timeout=min(wait, LONGEST_WAIT)):
        raise busy(wait, name)
    try:
        yield
    finally:
        mine.lock.release()


# ---- files


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


def lock_file(file: int) -> None:
    """Take the lock at once, or raise ``OSError``."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock_file(file: int) -> None:
    """Give the lock back by itself: a forked child may hold the same file open."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


def _sync(folder: Path) -> None:
    """Make a rename last; not every system lets a directory be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
