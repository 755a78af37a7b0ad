"""
A claim in the store: two machines without a common journal do not buy with one idempotency key at
the same time.

It is an object that is put only where none is (``If-None-Match: *``), for stores that can do that.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import AIGCError, OutcomeUnknownError, UnsupportedFeatureError
from aigc_kit.image.locks import busy
from aigc_kit.storage.base import Storage, StoredObject

LIFETIME = 600.0
"""Seconds after which whoever made a claim is taken for dead."""

_POLL = 0.5
_SUFFIX = ".claim"
_AT, _BY = "aigc-at", "aigc-by"


@dataclass
class Claim:
    """
    ``waited``: whether someone else held it before. ``free``: whether it may go when the purchase
    ends.
    """

    waited: bool = False
    free: bool = False


class Claims:
    """Claims in one store; nothing happens where the store cannot make them."""

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage

    @contextmanager
    def held(self, facts: dict[str, Any], wait: float, *, again: bool) -> Iterator[Claim]:
        """
        The claim for the idempotency key of a purchase.

        Args:
            again: take it over from whoever has it.

        Raises:
            OutcomeUnknownError: whoever had it died.
            StorageError: someone else held it for ``wait`` seconds, or the store failed.
        """
        storage = self._storage
        if not facts["key"] or not isinstance(storage, Storage) or not storage.claims:
            yield Claim()
            return
        key = facts["key"] + _SUFFIX
        try:
            claim = self._taken(storage, key, facts, wait, again=again)
        except UnsupportedFeatureError:
            yield Claim()
            return
        try:
            yield claim
        finally:
            if claim.free:
                self._drop(storage, key)

    def forget(self, facts: dict[str, Any]) -> None:
        """The purchase is over, or given up."""
        storage = self._storage
        if facts.get("key") and isinstance(storage, Storage) and storage.claims:
            self._drop(storage, str(facts["key"]) + _SUFFIX)

    @staticmethod
    def _taken(
        storage: Storage, key: str, facts: dict[str, Any], wait: float, *, again: bool
    ) -> Claim:
        body = json.dumps({"fingerprint": facts.get("fingerprint", {})}).encode()
        end = time.monotonic() + wait
        waited = False
        me = os.urandom(12).hex()
        while True:
            told = {_AT: f"{time.time():.0f}", _BY: me}
            if storage.create(body, key, content_type="application/json", metadata=told):
                return Claim(waited)
            if again:
                storage.upload_described(body, key, content_type="application/json", metadata=told)
                return Claim(waited=True)
            held = storage.exists(key)
            if held is not None and held.metadata.get(_BY) == me:
                return Claim(waited)  # made by a request whose response was lost
            waited = True
            age = _age(held)
            if age > LIFETIME:
                raise OutcomeUnknownError(
                    f"another machine claimed this idempotency_key {age:.0f} s ago and did not finish: it may have been"
                    " billed. It is not bought again unless you pass retry_ambiguous=True; look at the vendor's console first",
                    elapsed=age,
                )
            if time.monotonic() >= end:
                raise busy(wait, key)
            time.sleep(_POLL)

    @staticmethod
    def _drop(storage: Storage, key: str) -> None:
        with contextlib.suppress(
            AIGCError
        ):  # it is an object of a few bytes; it ends by its age too
            storage.discard(key)


def _age(held: StoredObject | None) -> float:
    """Seconds since the claim was made; 0 when it is gone or does not tell."""
    try:
        return max(0.0, time.time() - float(held.metadata[_AT])) if held is not None else 0.0
    except (KeyError, ValueError):
        return 0.0
