"""What an idempotency key has bought before: in the journal, by a receipt, in the storage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from aigc_kit.errors import (
    AIGCError,
    IdempotencyConflictError,
    ProviderError,
    StorageError,
)
from aigc_kit.image import outcomes, receipts
from aigc_kit.image.base import (
    TASK_RUNNING,
    ImageGroup,
    ImageResult,
    places_of,
    warn,
)
from aigc_kit.image.chain import Chain
from aigc_kit.image.claims import Claims
from aigc_kit.image.delivery import Delivery
from aigc_kit.image.entries import Entry, Item, Record, failures_of
from aigc_kit.image.request import ImageRequest
from aigc_kit.transport.encoding import sha256_of
from aigc_kit.transport.retry import certainly_unbilled

LAG_SECONDS = 600.0
"""How long a store may not show yet what was put there."""


class Lookup:
    """The purchases of one client by their key. Pays nothing."""

    def __init__(self, chain: Chain, delivery: Delivery, claims: Claims) -> None:
        self._chain = chain
        self._delivery = delivery
        self._claims = claims

    def name(self, key: str, place: int, extra: int = 0) -> str:
        """
        The storage key, without its type, of the image that is bought with this idempotency key.

        Args:
            extra: an image that came beside the one that was asked for at this place.
        """
        where = f"{place}.{extra}" if extra else str(place)
        digest = sha256_of(f"{where}:{key}".encode()).hexdigest()
        return f"{self._delivery.prefix}/{digest}".lstrip("/")

    def names(self, request: ImageRequest) -> Iterator[str]:
        """The storage keys of the images of a request, in their order, without end."""
        key = request.idempotency_key or ""
        number = 0
        while True:
            if not key:
                yield ""
            elif request.n > 1:
                yield self.name(key, request.place + number)
            else:
                yield self.name(key, request.place, number)
            number += 1

    def found(
        self, entry: Entry, request: ImageRequest, facts: dict[str, Any]
    ) -> ImageGroup | None:
        """What was bought with the key before, in its places; None when it must be paid for."""
        if not facts["key"]:
            return None
        record = entry.read()
        different = [] if record is None else _differing(record.fingerprint, facts)
        if record is not None and different and record.state == "asked":
            if not request.retry_ambiguous:
                raise outcomes.unknown(record.facts, different)
            return None  # what was asked for may come or not; this is another image
        if different:
            raise _conflict(different)
        kept, gone = ImageGroup(), None
        if record is not None:
            kept, gone = self._kept(entry, record, request.timeout)
        there = self._stored(record, request, facts, kept)
        if there or kept.errors:
            if record is not None and record.state == "asked" and not kept:  # by someone else
                entry.remove()
            known = [] if record is None else failures_of(record.facts)
            return _with_gaps(there, kept, facts["key"], request.n, known)
        if record is None or request.retry_ambiguous:
            return None
        if record.state == "done":
            raise StorageError(
                "what was bought with this idempotency_key is not in the storage any more; retry_ambiguous=True buys it again",
                key=facts["key"],
            )
        raise gone or outcomes.unknown(record.facts)

    def _kept(
        self, entry: Entry, record: Record, timeout: float | None
    ) -> tuple[ImageGroup, ProviderError | None]:
        """
        What the journal has, or what its receipt collects, delivered; and why a receipt collects
        nothing.

        Raises:
            OutcomeUnknownError: the task goes on. Its images will come, so nothing buys them again.
            ProviderError: the task failed and was not billed.
        """
        if record.state == "paid":  # and not all of it is stored
            return self._delivery.deliver(entry, record.items, record.facts, again=True), None
        if receipts.receipt_of(record) is None:
            return ImageGroup(), None
        try:
            return self.collected(entry, record, timeout), None
        except ProviderError as error:
            if certainly_unbilled(error) or error.code == TASK_RUNNING:
                raise
            return ImageGroup(), error

    def collected(
        self,
        entry: Entry,
        record: Record,
        timeout: float | None,
    ) -> ImageGroup:
        """
        The images of a task that was paid for, delivered. Pays nothing.

        Raises:
            OutcomeUnknownError: the images did not come; the entry stays.
            ProviderError: the task failed and was not billed; the entry is gone.
        """
        try:
            wait = min(timeout or receipts.COLLECT_SECONDS, receipts.COLLECT_SECONDS)
            group = receipts.collect(self._chain, record, timeout=wait)
        except AIGCError as error:
            if certainly_unbilled(error):
                entry.remove()
                self._claims.forget(record.facts)
            raise
        outcomes.price(group, record.facts)
        items = receipts.items_of(group, record)
        with contextlib.suppress(StorageError):  # the receipt is still there
            entry.paid(items, record.facts)
        done = self._delivery.deliver(entry, items, record.facts, group.errors, again=True)
        if not any(isinstance(error, StorageError) for error in done.errors):
            self._claims.forget(record.facts)
        return done

    def _stored(
        self, record: Record | None, request: ImageRequest, facts: dict[str, Any], kept: ImageGroup
    ) -> dict[int, ImageResult]:
        """
        The images of this key by their place: just delivered, in the store, or in the mark of an
        earlier purchase.
        """
        missing = {error.index for error in kept.errors}
        there = dict(zip(places_of(kept), kept.images, strict=True))
        marks = (
            {item.place: item for item in record.items} if record and record.state == "done" else {}
        )
        names = self.names(request)
        for place in range(max(request.n, len(marks))):
            name = next(names)
            mark = marks.get(place)
            if place in there or place in missing:
                continue
            found = self._delivery.found(mark.name if mark and mark.name else name)
            if found is not None:
                result, fingerprint = found
                _check_request(fingerprint, facts)
                there[place] = self._delivery.completed(_told(result, mark), name)
                if not fingerprint and record is None:
                    warn(
                        result,
                        "idempotency",
                        "the storage does not tell whether it was made for the same request",
                    )
            elif mark is not None and record is not None and time.time() - record.at < LAG_SECONDS:
                there[place] = self._delivery.completed(_told(mark.result, mark), name)
                warn(mark.result, "storage", "the storage does not show the image yet")
        return there


def _differing(known: dict[str, str], facts: dict[str, Any]) -> list[str]:
    """The parts in which this request is another than the one of these digests."""
    mine = facts["fingerprint"]
    names = {*known, *mine} if known else ()
    return sorted(name for name in names if known.get(name) != mine.get(name))


def _check_request(known: dict[str, str], facts: dict[str, Any]) -> None:
    """
    Raises:
        IdempotencyConflictError: these are the digests of another request.
    """
    different = _differing(known, facts)
    if different:
        raise _conflict(different)


def _conflict(different: list[str]) -> IdempotencyConflictError:
    return IdempotencyConflictError(
        f"this idempotency_key belongs to another request; it differs in the {' and the '.join(different)}. The same key repeats"
        " a request; for another image take another key"
    )


def _told(result: ImageResult, mark: Item | None) -> ImageResult:
    """A result that was found again, with what is known of its purchase."""
    known = mark.result.metadata if mark is not None else {}
    result.provider = result.provider or (mark.result.provider if mark is not None else "")
    attempt = {
        "provider": result.provider,
        "model": result.metadata.get("model") or known.get("model", ""),
        "requests": 0,
        "outcome": "stored",
    }
    result.metadata = {**known, **result.metadata, "warnings": [], "attempts": [attempt]}
    return result


def _with_gaps(
    there: dict[int, ImageResult],
    kept: ImageGroup,
    key: str,
    n: int,
    known: list[AIGCError],
) -> ImageGroup:
    """
    An image or an error for each place.

    Args:
        known: what the journal has of the images that did not come.
    """
    errors = [*kept.errors, *(error for error in known if error.index not in there)]
    missing = {error.index for error in errors}
    for place in set(range(max(n, max(there, default=-1) + 1))) - set(there) - missing:
        gap = StorageError(
            f"image {place} of this idempotency_key is not in the storage, and nothing tells why: it did not come, or its"
            " upload failed and only the error of that call has it",
            key=key,
        )
        gap.index = place
        errors.append(gap)
    return ImageGroup([there[place] for place in sorted(there)], errors)
