"""
Receipts: what collects the images of a task that was paid for, recorded before anybody waits for
them. With one the outcome of a payment can be had later, without a second one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from aigc_kit.errors import StorageError
from aigc_kit.image.base import ImageGroup, places_of
from aigc_kit.image.chain import Chain
from aigc_kit.image.journal import Entry, Item, Record
from aigc_kit.image.request import ImageRequest

COLLECT_SECONDS = 300.0
"""How long a task is waited for when its images are collected later."""


@runtime_checkable
class Collector(Protocol):
    """A provider whose receipts give the images again."""

    name: str

    def collect(self, receipt: Mapping[str, Any], *, timeout: float) -> ImageGroup:
        """
        Raises:
            OutcomeUnknownError: the task is not done, or nothing is known of it any more.
            ProviderError: it failed, and was not billed.
        """


def recorded(
    request: ImageRequest, entry: Entry, asked: dict[str, Any], names: Sequence[str]
) -> ImageRequest:
    """
    The request, with its receipt written into the entry as soon as there is one.

    Args:
        names: storage keys, without their type, of the images in order.
    """

    def keep(receipt: dict[str, Any]) -> None:
        asked["receipt"] = {**receipt, "names": list(names)}
        # The task runs already: a journal that cannot be written must not lose what this call gets.
        with contextlib.suppress(StorageError):
            entry.asked(asked)

    return replace(request, on_receipt=keep)


def collector_of(chain: Chain, record: Record) -> Callable[[float], ImageGroup] | None:
    """What gets the images of an entry whose outcome is open; None where there is no receipt."""
    receipt = record.facts.get("receipt")
    if record.state != "asked" or not isinstance(receipt, Mapping):
        return None
    for provider in chain.providers:
        if provider.name == record.facts.get("provider") and isinstance(provider, Collector):
            collector: Collector = provider
            return lambda timeout: collector.collect(receipt, timeout=timeout)
    return None


def items_of(group: ImageGroup, record: Record) -> list[Item]:
    """The images that were collected, under the names that they would have had."""
    receipt = record.facts.get("receipt")
    names = receipt.get("names", []) if isinstance(receipt, Mapping) else []
    return [
        Item(place, result, str(names[place]) if place < len(names) else "")
        for place, result in zip(places_of(group), group.images, strict=True)
    ]
