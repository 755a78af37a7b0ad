"""
A request and an answer as the vendors' rules see them, and what the sandbox records of a request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.sandbox.faults import Fault

_SECRET_HEADERS = frozenset(
    {"authorization", "x-goog-api-key", "x-amz-security-token", "api-key", "x-key", "cookie"}
)


@dataclass(frozen=True)
class Recorded:
    """
    A request that arrived. Credentials in ``headers`` (lower-case names) are masked; ``body`` is
    parsed JSON, or bytes.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """
    A response.

    ``body``: bytes, text, JSON, an iterable of bytes for a chunked response, or a function of the
    ``Recorded`` request that gives one of these or another ``Answer``. ``delay``: seconds before the
    head.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    fault: Fault | None = None


@dataclass
class Request:
    """A request as the vendors' rules see it, credentials included."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    def json(self) -> Any:
        """Raises ``ValueError`` when the body is not JSON."""
        return json.loads(self.raw)

    def recorded(self) -> Recorded:
        """The request without its credentials."""
        headers = {
            name: "***" if name in _SECRET_HEADERS else value
            for name, value in self.headers.items()
        }
        try:
            body = self.json()
        except (ValueError, RecursionError):
            body = self.raw
        return Recorded(self.method, self.path, self.query, headers, body)
