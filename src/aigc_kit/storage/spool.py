"""
Paid bytes on disk until their address exists.

An order is one file, ``<name>.order``: a line of JSON, then the bytes it describes. It is replaced in one step, so after a
crash it is the old one or the new one, never half of either. Who works on an order holds the lock ``<name>.lock``, which
the operating system takes back when the process dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from aigc_kit.errors import ConfigurationError, StorageError

_POLL = 0.02
"""Seconds between two looks at a lock that somebody else holds."""


class Spool:
    """A directory of orders, shared by threads and processes of one machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """
        Raises:
            ConfigurationError: the directory cannot be made or written.
        """
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
        """The orders that lie here, the oldest first."""
        found: dict[str, float] = {}
        for path in (*self.root.glob("*.order"), *self.root.glob("*.part")):
            with contextlib.suppress(OSError):  # finished by somebody else in this moment
                found.setdefault(path.stem, path.stat().st_mtime)
        for path in self.root.glob("*.lock"):
            if path.stem not in found:  # left by a process that died before it wrote anything
                order = self.take(path.stem)
                if order is not None:
                    order.close()
        return sorted(found, key=found.__getitem__)

    def new(self) -> Order:
        """An order of its own, locked."""
        order = self.take(secrets.token_hex(16))
        if order is None:  # pragma: no cover - 128 random bits are nobody else's
            raise StorageError("a random name was taken")
        return order

    def take(self, name: str, *, wait: float = 0.0) -> Order | None:
        """
        The order of that name, locked, whether it exists or not; None when somebody else holds it for ``wait`` seconds.

        Raises:
            StorageError: the directory cannot be written.
        """
        path = self.root / f"{name}.lock"
        end = time.monotonic() + wait
        while True:
            lock = self._locked(path)
            if lock is not None:
                return Order(self.root, name, lock)
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL)

    def _locked(self, path: Path) -> int | None:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StorageError(f"the spool {str(self.root)!r} cannot be written: {error}") from error
        try:
            _lock(lock)
            # The holder before may have removed the file after it was opened here: that lock is nobody's.
            if os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        except OSError:
            pass
        os.close(lock)
        return None


class Order:
    """One locked order; a context manager that gives the lock back. An order with nothing in it leaves no file."""

    def __init__(self, root: Path, name: str, lock: int) -> None:
        self.name = name
        self._path = root / f"{name}.order"
        self._part = root / f"{name}.part"
        self._lock_path = root / f"{name}.lock"
        self._lock = lock

    def read(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """
        (facts, blobs), or None when there is nothing.

        Raises:
            StorageError: the file is damaged or cannot be read; it stays where it is.
        """
        try:
            if self._part.exists():
                # A process died before the last step of ``write``: take that step when the bytes are whole.
                with contextlib.suppress(ValueError):
                    _parsed(self._part.read_bytes())
                    os.replace(self._part, self._path)
                self._part.unlink(missing_ok=True)
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"the order {str(self._path)!r} cannot be read: {error}") from error
        try:
            return _parsed(raw)
        except ValueError as error:
            raise StorageError(f"the order {str(self._path)!r} is damaged: {error}") from error

    def write(self, facts: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """
        Put this in the place of what was there; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written; what was there before stays.
        """
        digests = [(len(blob), hashlib.sha256(blob).hexdigest()) for blob in blobs]
        head = json.dumps({**facts, "blobs": digests}, default=str, skipkeys=True).encode() + b"\n"
        try:
            with open(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(head)
                for blob in blobs:
                    file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._part, self._path)
            _sync(self._path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
            raise StorageError(f"the order {str(self._path)!r} cannot be written: {error}") from error

    def remove(self) -> None:
        """The address exists, or nothing was paid: forget it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the lock back."""
        if self._lock < 0:
            return
        if not self._path.exists():
            with contextlib.suppress(OSError):
                self._lock_path.unlink(missing_ok=True)
        _unlock(self._lock)
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Order:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parsed(raw: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Raises ``ValueError`` when these are not the bytes that were written."""
    head, _, rest = raw.partition(b"\n")
    try:
        facts = json.loads(head)
        blobs: list[bytes] = []
        at = 0
        for size, digest in facts.pop("blobs"):
            blobs.append(rest[at : at + size])
            at += size
            if hashlib.sha256(blobs[-1]).hexdigest() != digest:
                raise ValueError("a picture's bytes are not those that were written")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its first line is not what was written: {error}") from None
    return facts, blobs


def _lock(file: int) -> None:
    """Take the lock at once, or raise ``OSError``."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(file: int) -> None:
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
