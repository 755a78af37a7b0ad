"""
The purchase: claim, look up, record who is asked, pay, record, deliver.

Whatever is raised between "asked" and "paid" leaves a journal entry that says "unknown"; only an
error that proves that nothing was charged removes it.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import replace
from typing import Any

from aigc_kit import tracing
from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidReplyError,
    StorageError,
)
from aigc_kit.image import outcomes, receipts, references
from aigc_kit.image.base import (
    ImageGroup,
    ImageProvider,
    ImageResult,
    NoGroupError,
    generated,
    next_may_succeed,
    places_of,
    warn,
)
from aigc_kit.image.chain import Chain, Link, model_of
from aigc_kit.image.claims import Claim, Claims
from aigc_kit.image.delivery import Delivery, carry, is_lost
from aigc_kit.image.entries import Entry, Item, Record
from aigc_kit.image.journal import Journal
from aigc_kit.image.lookup import Lookup
from aigc_kit.image.memory import Memory
from aigc_kit.image.request import ImageRequest
from aigc_kit.transport.interrupts import callers_own
from aigc_kit.transport.retry import certainly_unbilled

LONGEST_CLAIM = 600.0
"""
Seconds that a call waits for another one with the same idempotency key, unless it has a
``timeout``.
"""


class Purchases:
    """The purchases of one client. Shared by threads."""

    def __init__(self, chain: Chain, journal: Journal | None, delivery: Delivery) -> None:
        """
        Args:
            journal: None: purchases with an idempotency key are remembered by this object alone.
        """
        self.chain = chain
        self.delivery = delivery
        self.journal: Journal | Memory = Memory() if journal is None else journal
        self._on_disk = journal
        self._claims = Claims(delivery.storage)
        self._lookup = Lookup(chain, delivery, self._claims)

    def buy(self, request: ImageRequest, *, together: int = 0) -> ImageGroup:
        """
        One request, paid for once; ``on_image`` is called with each image that is delivered.

        Args:
            together: how many images were asked for, where this request is for one of them.

        Raises:
            IdempotencyConflictError: the key belongs to another request. Nothing was paid for.
            OutcomeUnknownError: the key may have been paid for, and ``retry_ambiguous`` is not set.
            StorageError: the look-up or the journal failed. Nothing was paid for.
            AIGCError: what the last provider raised.
        """
        facts = {
            "size": request.size,
            "n": request.n,
            "references": outcomes.count(request.reference_images),
        }
        first = self.chain.links[0].provider
        with tracing.span(
            "image_generation", first, request.model or model_of(first), facts, request.prompt
        ) as span:
            group = self._bought(request, together)
            span.told(group)
        try:
            _announce(group, request)
        except BaseException as error:
            carry(error, group.images, group.errors)
            raise
        return group

    def _bought(self, request: ImageRequest, together: int) -> ImageGroup:
        started = time.monotonic()
        wait = LONGEST_CLAIM if request.timeout is None else request.timeout
        facts = self._facts(request, together or request.n)
        with self.journal.claim(facts["key"], wait) as entry:
            found = self._lookup.found(entry, request, facts)
            if found is not None:
                return found
            if request.timeout is not None:  # the wait for the lock is a part of it
                request = request.within(wait - (time.monotonic() - started))
            with self._claims.held(facts, wait, again=request.retry_ambiguous) as claim:
                found = self._lookup.found(entry, request, facts) if claim.waited else None
                if found is not None:
                    claim.free = True
                    return found
                group, facts = self._pay(entry, request, facts, claim)
                done = self.delivery.deliver(
                    entry, self._items(group, request), facts, group.errors
                )
                claim.free = not any(isinstance(error, StorageError) for error in done.errors)
                return done

    def buy_group(self, request: ImageRequest) -> ImageGroup:
        """
        ``request.n`` images: in one request where the first provider makes groups, else one request
        each.

        Raises:
            AIGCError: see ``buy``; a ``ProviderError`` only when not a single image came.
        """
        if request.n > 1 and self.chain.makes_groups(request):
            with contextlib.suppress(NoGroupError):
                return self.buy(request)
        return self._one_by_one(request)

    def recall(self, request: ImageRequest) -> ImageGroup | None:
        """
        What was bought with the request's key before, or None. Never pays.

        Raises:
            IdempotencyConflictError, OutcomeUnknownError, StorageError: see ``buy``.
        """
        facts = self._facts(request, request.n)
        wait = LONGEST_CLAIM if request.timeout is None else request.timeout
        with self.journal.claim(facts["key"], wait) as entry:
            return self._lookup.found(entry, request, facts)

    def resume(self, *, forget: bool) -> ImageGroup:
        """
        Finish every entry on the disk that is not in use. Never pays.

        Args:
            forget: drop what can never be finished: payments of which nothing is known, dead links,
                damaged entries.
        """
        done = ImageGroup()
        if self._on_disk is None:
            return done
        for name in self._on_disk.names():
            entry = self._on_disk.take(name)
            if entry is None:
                continue
            with entry:
                part = self._resumed(entry, forget=forget)
            done.images += part.images
            done.errors += part.errors
        return done

    def store(self, result: ImageResult) -> ImageResult:
        """
        Finish what a failed upload left.

        Raises:
            StorageError: it failed again; ``error.result`` is the result.
        """
        pending = result.metadata.get("pending")
        pending = pending if isinstance(pending, dict) else {}
        keyed = str(pending.get("name") or "")
        name = str(pending.get("entry") or "") or self.journal.named(result)
        label = pending.get("label")
        told = {"label": label} if label else {}
        if not name:
            return self.delivery.store(result, keyed, told)
        entry = self.journal.take(name, wait=60.0)
        if entry is None:
            failure = StorageError(
                "another process is storing this image right now", retryable=True
            )
            failure.result = result
            raise failure
        with entry:
            record = entry.read()
            item = _waiting(record, result, pending)
            if item is not None:
                keyed = item.name
            done = self.delivery.store(
                result, keyed, record.facts if record else told, again=item is None
            )
            if record is not None and item is not None:
                left = [other for other in record.items if other.place != item.place]
                if left:
                    entry.paid(left, record.facts)
                else:
                    entry.done([replace(item, result=done)], record.facts)
                    self._claims.forget(record.facts)
            return done

    # ---- before the payment

    def _facts(self, request: ImageRequest, together: int) -> dict[str, Any]:
        """What the journal says of a purchase before anybody is asked."""
        key = request.idempotency_key
        label = request.label or self.delivery.label
        told = {} if label is None else {"label": label.to_dict()}
        if key is None:
            return {"key": "", "requested_size": request.size, **told}
        if self.delivery.storage is None:
            raise ConfigurationError(
                "idempotency_key finds an image in the storage: pass storage to the client"
            )
        return {
            "key": self._lookup.name(key, request.place),
            "requested_size": request.size,
            "fingerprint": request.fingerprint(self.chain.asked(request), together, label),
            **told,
        }

    # ---- the payment

    def _pay(
        self, entry: Entry, request: ImageRequest, facts: dict[str, Any], claim: Claim
    ) -> tuple[ImageGroup, dict[str, Any]]:
        """
        Ask one provider after the other until one delivers; (the images, the facts of the provider that was asked).
        """
        requests = self.chain.requests(request)
        end = time.monotonic() + (request.timeout or float("inf"))
        attempts: list[dict[str, Any]] = []
        for place, (link, own) in enumerate(zip(self.chain.links, requests, strict=True)):
            if place and request.timeout is not None:
                own = own.within(end - time.monotonic())
            model = own.model or model_of(link.provider)
            asked = {
                **facts,
                "provider": link.provider.name,
                "model": model,
                "base_url": receipts.base_url_of(link.provider),
                "references": outcomes.count(own.reference_images),
            }
            with tracing.span("journal.asked"):
                entry.asked(asked)
            claim.free = False
            names = list(itertools.islice(self._lookup.names(own), max(own.n, 1)))
            own = receipts.recorded(own, entry, asked, names)
            try:
                group = self._generated(link, own, is_labelled=bool(facts.get("label")))
                outcomes.tell_attempts(group, attempts)
                outcomes.price(group, asked)
                outcomes.bound(group, asked)
                self._record(entry, group, request, asked)
                return group, asked
            except AIGCError as error:
                outcomes.perhaps_paid(error)
                _keep_label(error, facts)
                unbilled = certainly_unbilled(error)
                if unbilled:
                    entry.refused()
                    claim.free = True
                if isinstance(error, NoGroupError):
                    raise
                error.provider = error.provider or link.provider.name
                error.model = error.model or model
                if getattr(error, "billed", "no") != "no" and error.result is None:
                    error.cost = outcomes.at_most(asked, own.n)
                if len(self.chain.links) == 1:
                    raise
                attempts.append(outcomes.attempt_of(error, model))
                error.attempts = attempts
                if not unbilled or place + 1 == len(requests) or time.monotonic() >= end:
                    raise
        raise AssertionError("a chain has providers")

    def _generated(self, link: Link, request: ImageRequest, *, is_labelled: bool) -> ImageGroup:
        group = generated(link.provider, request)
        if not isinstance(group, ImageGroup) or not all(
            isinstance(result, ImageResult) for result in group.images
        ):
            came = type(
                group.images[0] if isinstance(group, ImageGroup) and group.images else group
            ).__name__
            raise InvalidReplyError(
                f"the provider returned {came} instead of an ImageResult", billed="unknown"
            )
        for image in group.images if is_labelled else ():
            image.metadata.pop(
                "label", None
            )  # of another image, or the application's: it has none yet
        if group.images:
            return group
        if not group.errors:
            raise InvalidReplyError(
                "the provider returned a group without an image or an error", billed="unknown"
            )
        raise next(
            (error for error in group.errors if not certainly_unbilled(error)), group.errors[0]
        )

    def _record(
        self, entry: Entry, group: ImageGroup, request: ImageRequest, facts: dict[str, Any]
    ) -> None:
        """Paid: from here on the disk has it, when there is a journal."""
        try:
            with tracing.span("journal.paid"):
                entry.paid(self._items(group, request), facts)
        except AIGCError as error:  # nothing that fails here may lose what the memory has
            for result in group.images:
                warn(
                    result,
                    "spool",
                    f"the image is not in the journal: {type(error).__name__}: {str(error)[:200]}",
                )
        except BaseException as error:
            carry(error, group.images, group.errors)
            raise

    def _items(self, group: ImageGroup, request: ImageRequest) -> list[Item]:
        places = places_of(group)
        names = list(itertools.islice(self._lookup.names(request), max(places, default=-1) + 1))
        return [
            Item(place, result, names[place])
            for place, result in zip(places, group.images, strict=True)
        ]

    # ---- several

    def _one_by_one(self, request: ImageRequest) -> ImageGroup:
        """
        ``n`` requests, each stored before the next; after an error that the next would meet as
        well, no more.
        """
        if request.reference_images is not None:
            request = replace(request, reference_images=references.listed(request.reference_images))
        group = ImageGroup()
        end = time.monotonic() + (request.timeout or float("inf"))
        for place in range(request.n):
            one = request.one(place)
            if request.timeout is not None and place:
                left = end - time.monotonic()
                if left <= 0:
                    group.errors.append(outcomes.late(request.timeout, place))
                    break
                one = one.within(left)
            part = self._next(one, group, together=request.n)
            for failure in part.errors:
                failure.index = place
            group.images += part.images
            group.errors += part.errors
            if part.errors and not part.images and not next_may_succeed(part.errors[0]):
                break
        if not group.images and group.errors and not any(error.result for error in group.errors):
            raise group.errors[0]
        return group

    def _next(self, request: ImageRequest, group: ImageGroup, *, together: int) -> ImageGroup:
        """One more image, or its error; the caller's own exception carries the ``group`` so far."""
        try:
            return self.buy(request, together=together)
        except AIGCError as error:
            return ImageGroup(errors=[error])
        except BaseException as error:
            self._interrupted(error, group)
            if callers_own(error, inside_of=self._own_provider()) or not group.images:
                raise
            return ImageGroup(errors=[outcomes.foreign(error)])

    def _own_provider(self) -> ImageProvider | None:
        """One that the application brought along."""
        return next((link.provider for link in self.chain.links if link.fields.open), None)

    @staticmethod
    def _interrupted(error: BaseException, group: ImageGroup) -> None:
        """What was paid for until then comes out with the exception."""
        images = [*group.images, *outcomes.images_of(error)]
        with contextlib.suppress(AttributeError, TypeError):
            error.result = ImageGroup(images, list(group.errors))  # type: ignore[attr-defined]

    # ---- afterwards

    def _resumed(self, entry: Entry, *, forget: bool) -> ImageGroup:
        try:
            record = entry.read()
        except StorageError as error:
            if forget:
                entry.remove()
            return ImageGroup(errors=[error])
        if record is None:
            return ImageGroup()
        if record.state == "asked":
            return self._resumed_open(entry, record, forget=forget)
        if record.state == "done":
            entry.done(record.items, record.facts)
            return ImageGroup()
        if record.state != "paid":
            return self._strange(entry, record, forget=forget)
        return self._resumed_paid(entry, record, forget=forget)

    @staticmethod
    def _strange(entry: Entry, record: Record, *, forget: bool) -> ImageGroup:
        """An entry of another version: what was paid for may be in it."""
        if forget:
            entry.remove()
        error = StorageError(
            f"the journal entry {entry.name!r} is in the state {record.state!r}, which this version does not know: resume"
            " it with the version that wrote it"
        )
        return ImageGroup(errors=[error])

    def _resumed_paid(self, entry: Entry, record: Record, *, forget: bool) -> ImageGroup:
        group = self.delivery.deliver(entry, record.items, record.facts, again=True)
        lost = {error.index for error in group.errors if is_lost(error)}
        if lost and forget:
            left = [
                item
                for item in record.items
                if item.place not in lost
                and any(error.index == item.place for error in group.errors)
            ]
            if left:
                entry.paid(left, record.facts)
            else:
                entry.remove()
        if not group.errors or (lost and forget):
            self._claims.forget(record.facts)
        return group

    def _resumed_open(self, entry: Entry, record: Record, *, forget: bool) -> ImageGroup:
        """An entry whose outcome is open: its images where there is a receipt, else what is known."""
        if receipts.receipt_of(record) is None:
            if forget or not record.keyed:
                self._dropped(entry, record)
            return ImageGroup(errors=[outcomes.unknown(record.facts)])
        try:
            return self._lookup.collected(entry, record, None)
        except AIGCError as error:
            if forget and receipts.has_ended(error):
                self._dropped(entry, record)
            return ImageGroup(errors=[error])

    def _dropped(self, entry: Entry, record: Record) -> None:
        entry.remove()
        self._claims.forget(record.facts)


def _keep_label(error: AIGCError, facts: dict[str, Any]) -> None:
    """Let ``store`` label the images of an error that has no journal entry."""
    for result in outcomes.images_of(error) if facts.get("label") else ():
        result.metadata.setdefault("pending", {"label": facts["label"]})


def _announce(group: ImageGroup, request: ImageRequest) -> None:
    watcher = request.on_image
    if watcher is None:
        return
    for image in group.images:
        watcher(image)
    for image in group.images:
        if watcher.failure:
            warn(image, "on_image", watcher.failure)


def _waiting(record: Record | None, result: ImageResult, pending: dict[str, Any]) -> Item | None:
    """The image of an entry that this result is."""
    if record is None or record.state != "paid":
        return None
    for item in record.items:
        if "place" in pending and item.place == pending["place"]:
            return item
    if "place" in pending or not result.has_base64:
        return None
    return next(
        (
            item
            for item in record.items
            if item.result.has_base64 and item.result.data == result.data
        ),
        None,
    )
