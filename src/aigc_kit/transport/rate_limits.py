"""Rate-limit numbers in response headers, and waits written as text."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping

_HEADER = re.compile(r"(?:x-|modelscope-|anthropic-)?ratelimit-(.+)")
_WORDS = ("limit", "remaining", "reset")
_SPAN = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|h|d)(?![a-z])"
)
_UNITS = {"ms": 0.001, "mi": 60.0, "m": 60.0, "s": 1.0, "h": 3600.0, "d": 86400.0}
_ASKED = (
    r"(?i)(?:try again|retry|wait|reset)[^.\d]{0,40}?((?:\d+(?:\.\d+)?\s*[a-z]+\s*(?:and\s*)?)+)"
)


def seconds_in(text: str) -> float | None:
    """
    Seconds of a span like ``"2.5s"``, ``"1m30s"``, ``"20ms"`` or ``"3 minutes"``; a bare number is
    seconds.

    Source: https://platform.openai.com/docs/guides/rate-limits (``x-ratelimit-reset-*``), read
    2026-11-22.
    """
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return max(number, 0.0) if math.isfinite(number) else None
    found = _SPAN.findall(text.lower())
    if not found:
        return None
    return sum(float(number) * _seconds(unit) for number, unit in found)


def _seconds(unit: str) -> float:
    if unit in ("ms", "m"):
        return _UNITS[unit]
    if unit.startswith(("millisecond", "min")):
        return 0.001 if unit.startswith("milli") else 60.0
    return _UNITS[unit[0]]


def wait_in(message: str) -> float | None:
    """Seconds that an error message asks to wait ("Please try again in 2.5s"), or None."""
    context = re.search(_ASKED, message)
    if context is None:
        return None
    found = _SPAN.findall(context.group(1).lower())
    if not found:
        return None
    return sum(float(number) * _seconds(unit) for number, unit in found)


def rate_limits(headers: Mapping[str, str]) -> dict[str, float]:
    """
    ``x-ratelimit-remaining-requests: 59`` as ``{"remaining_requests": 59.0}``; resets in seconds.
    """
    limits: dict[str, float] = {}
    for name, value in headers.items():
        found = _HEADER.fullmatch(name.lower())
        number = seconds_in(value.strip()) if found else None
        if found is None or number is None:
            continue
        words = found.group(1).split("-")
        kind = next((word for word in words if word in _WORDS), None)
        if kind is None:
            continue
        rest = [word for word in words if word != kind]
        limits["_".join([kind, *rest])] = _from_now(number) if kind == "reset" else number
    return limits


_EPOCH = 1e9
"""
A reset above it is a point of time, not a span: seconds since 1970, or OpenRouter's milliseconds.
"""


def _from_now(reset: float) -> float:
    """Source: https://openrouter.ai/docs/api-reference/limits, read 2026-11-26."""
    if reset < _EPOCH:
        return reset
    at = reset / 1000 if reset >= _EPOCH * 1000 else reset
    return max(at - time.time(), 0.0)
