"""
Journal entries: what a purchase leaves behind until its images have their URL.

An entry is ``asked`` (a request may have been sent; the outcome is unknown), ``paid`` (these images
wait to be stored) or ``done`` (a small mark that stays for a while, for a store that does not show
yet what was put there).
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aigc_kit import errors
from aigc_kit.errors import AIGCError, InvalidReplyError, ProviderError, StorageError
from aigc_kit.media.result import ImageResult

DONE_SECONDS = 86_400.0
"""How long a ``done`` mark stays."""

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
    "label",
    "bought_for",
)
"""The metadata that a ``done`` mark keeps."""

_LONGEST = 300
"""Characters of an error's message that the journal keeps."""


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
    if result.cost is not None:  # found again it costs nothing
        known["bought_for"] = dict(result.cost)
    return {
        "url": result.url,
        "mime_type": result.mime_type,
        "provider": result.provider,
        "metadata": known,
        "name": item.name,
        "place": item.place,
    }


def failure_facts(failures: Iterable[AIGCError]) -> list[dict[str, Any]]:
    """Errors of single images, for the journal."""
    return [
        {
            "type": type(error).__name__,
            "message": str(error)[:_LONGEST],
            "index": error.index,
            "code": getattr(error, "code", ""),
            "billed": getattr(error, "billed", None),
            "provider": error.provider,
            "model": error.model,
        }
        for error in failures
        if error.result is None and error.index is not None
    ]


def failures_of(facts: dict[str, Any]) -> list[AIGCError]:
    """The errors that ``failure_facts`` was given."""
    found: list[AIGCError] = []
    known = facts.get("failures")
    for entry in known if isinstance(known, list) else ():
        named: Any = getattr(errors, str(entry.get("type")), None)
        is_known = isinstance(named, type) and issubclass(named, ProviderError)
        kind: Any = named if is_known else ProviderError
        error = kind(
            str(entry.get("message") or ""),
            code=str(entry.get("code") or ""),
            billed=entry.get("billed") or "unknown",
            provider=str(entry.get("provider") or ""),
            model=str(entry.get("model") or ""),
        )
        error.index = entry.get("index")
        found.append(error)
    return found
