"""What a purchase came to: its errors, its attempts, its cost. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from aigc_kit.errors import (
    AIGCError,
    OutcomeUnknownError,
    ProviderError,
    ProviderTimeoutError,
)
from aigc_kit.image.base import (
    ImageGroup,
    ImageResult,
    warn,
)


def images_of(error: BaseException) -> list[ImageResult]:
    """The images that an exception carries."""
    result = getattr(error, "result", None)
    if isinstance(result, ImageGroup):
        return list(result)
    if isinstance(result, ImageResult):
        return [result]
    return []


def perhaps_paid(error: AIGCError) -> None:
    """
    An error that carries an image is about something that was paid for: the same request would pay
    again.
    """
    if error.result is None or not isinstance(error, ProviderError):
        return
    error.retryable = False
    if error.billed == "no":
        error.billed = "unknown"


def attempt_of(error: AIGCError, model: str) -> dict[str, Any]:
    return {
        "provider": error.provider,
        "model": error.model or model,
        "requests": error.tries,
        "outcome": type(error).__name__,
        "billed": getattr(error, "billed", "no"),
        "status_code": getattr(error, "status_code", None),
    }


def tell_attempts(group: ImageGroup, attempts: list[dict[str, Any]]) -> None:
    for result in group.images:
        if attempts:
            result.metadata["attempts"] = [*attempts, *result.metadata.get("attempts", [])]
        for entry in attempts:
            warn(
                result,
                "fallback",
                f"{entry['provider']} was asked first and answered with {entry['outcome']}; it charged nothing",
            )


def late(timeout: float, place: int) -> ProviderTimeoutError:
    late = ProviderTimeoutError(
        f"{timeout} s were over before image {place} was asked for", retryable=True, billed="no"
    )
    late.index = place
    return late


def foreign(error: BaseException) -> ProviderError:
    """An application's provider may raise anything; what was bought before must come out."""
    failure = ProviderError(
        f"the provider failed: {type(error).__name__}: {str(error)[:300]}", billed="unknown"
    )
    failure.__cause__ = error
    return failure


def count(references: Any) -> int:
    """How many references an application gave: none, one, or a list."""
    if references is None:
        return 0
    return len(references) if isinstance(references, (list, tuple)) else 1


def price(group: ImageGroup, asked: dict[str, Any]) -> None:
    """What each image cost, where a vendor does not say so itself. Nothing here ends a paid call."""
    try:
        _price(group, asked)
    except Exception as error:  # noqa: BLE001 - an application's provider may give any metadata
        for result in group.images:
            warn(result, "cost", f"it could not be reckoned: {type(error).__name__}: {error}")


def bound(group: ImageGroup, asked: dict[str, Any]) -> None:
    """The most that each image of a group cost which did not come, and may have been billed."""
    for error in group.errors:
        if getattr(error, "billed", "no") == "unknown" and error.cost is None:
            error.cost = at_most(asked, 1)


def _price(group: ImageGroup, asked: dict[str, Any]) -> None:
    from aigc_kit.prices import cost_of_image  # a table that is not needed before a payment

    for result in group.images:
        known = result.metadata
        usage = known.get("usage")
        cost = cost_of_image(
            str(asked["provider"]),
            str(known.get("model") or asked["model"]),
            pixels=int(known.get("width") or 0) * int(known.get("height") or 0),
            references=int(asked.get("references") or 0),
            usage=usage,
            images=len(group.images),
            base_url=str(asked.get("base_url") or ""),
            reported=usage.get("cost") if isinstance(usage, dict) else None,
        )
        if cost is not None:
            known.setdefault("cost", dict(cost))


def at_most(asked: dict[str, Any], images: int) -> Any:
    """
    What was perhaps paid: no more than this.

    Some vendors name the price of a task when they take it; it is in the receipt then.
    """
    from aigc_kit.prices import cost_of_image, summed

    receipt = asked.get("receipt")
    told = receipt.get("facts") if isinstance(receipt, Mapping) else None
    usage = told.get("usage") if isinstance(told, Mapping) else None
    cost = cost_of_image(
        str(asked.get("provider") or ""),
        str(asked.get("model") or ""),
        references=int(asked.get("references") or 0),
        base_url=str(asked.get("base_url") or ""),
        reported=usage.get("cost") if isinstance(usage, Mapping) else None,
        upper_bound=True,
    )
    return summed([cost] * max(images, 1))


def unknown(facts: dict[str, Any], different: Sequence[str] = ()) -> OutcomeUnknownError:
    """
    A vendor was asked, and the outcome is not known.

    Args:
        different: in what the request of now is another one.
    """
    elapsed = max(0.0, time.time() - float(facts.get("at") or 0))
    error = OutcomeUnknownError(
        f"{facts.get('provider') or 'the vendor'} was asked for an image {elapsed:.0f} s ago, and no response was recorded: it"
        " may have been billed. It is not asked again for the same idempotency_key unless you pass retry_ambiguous=True; look"
        " at the vendor's console before you do"
        + (
            f". This request is another one; it differs in the {' and the '.join(different)}"
            if different
            else ""
        ),
        elapsed=elapsed,
        provider=str(facts.get("provider") or ""),
        model=str(facts.get("model") or ""),
    )
    error.cost = at_most(facts, 1)
    return error
