"""What one client remembers of its purchases without a journal on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aigc_kit.image.entries import DONE_SECONDS, Entry, Raw
from aigc_kit.image.locks import alone
from aigc_kit.media.result import ImageResult


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
