"""
Receipts: what collects the images of a task that was paid for, recorded before anybody waits for
them. With one the outcome of a payment can be had later, without a second one.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from aigc_kit.errors import AIGCError, OutcomeUnknownError, ProviderError, StorageError
from aigc_kit.image.base import (
    TASK_ELSEWHERE,
    TASK_RUNNING,
    TASK_UNKNOWN,
    ImageGroup,
    ImageProvider,
    places_of,
)
from aigc_kit.image.chain import Chain
from aigc_kit.image.entries import Entry, Item, Record
from aigc_kit.image.request import ImageRequest

COLLECT_SECONDS = 300.0
"""How long a task is waited for when its images are collected later."""


@runtime_checkable
class Collector(Protocol):
    """
    A provider with tasks. Its receipts are JSON; ``expires``, seconds since the epoch, is when the
    vendor forgets the task.
    """

    def collect(self, receipt: Mapping[str, Any], *, timeout: float) -> ImageGroup:
        """
        Raises:
            OutcomeUnknownError: with the code ``TASK_RUNNING`` or ``TASK_UNKNOWN``.
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


def receipt_of(record: Record) -> Mapping[str, Any] | None:
    """The receipt of an entry whose outcome is open."""
    receipt = record.facts.get("receipt")
    return receipt if record.state == "asked" and isinstance(receipt, Mapping) else None


def collect(chain: Chain, record: Record, *, timeout: float) -> ImageGroup:
    """
    The images of a task that was paid for. Pays nothing.

    A task is known to the service and the account that took it. Only providers with the recorded
    name and base URL are asked, each until one has it.

    Raises:
        OutcomeUnknownError: ``code`` is ``TaskRunning``, ``TaskElsewhere`` (no provider of this
            client talks to that service) or ``TaskUnknown``, the only one that may be dropped.
        ProviderError: the task failed, and was not billed.
    """
    receipt = receipt_of(record)
    if receipt is None:
        raise ValueError("the entry has no receipt")
    unknown: OutcomeUnknownError = _elsewhere(record, receipt)
    for provider in chain.providers:
        if not isinstance(provider, Collector) or not _took(provider, record):
            continue
        try:
            return provider.collect(receipt, timeout=timeout)
        except OutcomeUnknownError as error:
            if unknown.code != TASK_RUNNING:
                unknown = error
    raise unknown


def has_ended(error: AIGCError) -> bool:
    """Whether this says of a task that its images will never come to this account."""
    lives = (TASK_RUNNING, TASK_ELSEWHERE)
    return isinstance(error, ProviderError) and error.code not in lives


def base_url_of(provider: ImageProvider) -> str:
    """Where a provider sends its requests; empty where it does not say."""
    return str(getattr(provider, "base_url", "") or "")


def _took(provider: ImageProvider, record: Record) -> bool:
    facts = record.facts
    return provider.name == facts.get("provider") and base_url_of(provider) == facts.get("base_url")


def _elsewhere(record: Record, receipt: Mapping[str, Any]) -> OutcomeUnknownError:
    vendor, url = str(record.facts.get("provider") or ""), str(record.facts.get("base_url") or "")
    told = receipt.get("expires")
    expired = time.time() > (told if isinstance(told, (int, float)) and told else math.inf)
    return OutcomeUnknownError(
        f"{vendor} at {url} has a task that may be billed, and no provider of this client is"
        f" {vendor} with that base_url: resume_spool() of a client that has it collects the images"
        + (", if they still exist; resume_spool(forget=True) drops the entry" if expired else ""),
        provider=vendor,
        model=str(record.facts.get("model") or ""),
        code=TASK_UNKNOWN if expired else TASK_ELSEWHERE,
    )


def items_of(group: ImageGroup, record: Record) -> list[Item]:
    """The images that were collected, under the names that they would have had."""
    receipt = record.facts.get("receipt")
    names = receipt.get("names", []) if isinstance(receipt, Mapping) else []
    return [
        Item(place, result, str(names[place]) if place < len(names) else "")
        for place, result in zip(places_of(group), group.images, strict=True)
    ]
