"""One line of a manifest: what became of one job."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from aigc_kit.errors import InvalidInputError

Kind = Literal["image", "chat", "embedding"]
Status = Literal["done", "failed", "unknown"]

KINDS: tuple[Kind, ...] = ("image", "chat", "embedding")
STATUSES: tuple[Status, ...] = ("done", "failed", "unknown")


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    What became of one job.

    Args:
        id: the job's id, which is also the idempotency key of its image.
        kind: ``"image"``, ``"chat"`` or ``"embedding"``.
        status: ``"done"``; ``"failed"``: see ``error``; ``"unknown"``: a request left, and no
            response tells whether it ran. It is sent again only when you say so.
        provider, model: who made it, or was asked last; ``""`` when no provider was asked.
        prompt: the text that was asked for; of a chat, the last message of the user.
        size: as it was asked for; ``""`` for chat and embeddings.
        url: of the image; ``""`` without one.
        storage_key: of the image in the store.
        file: path of the result relative to the run's directory, with ``/``, when the store is on
            this machine; None otherwise.
        thumbnail: a small copy: such a path, or a URL; None without one.
        cost: ``{"amount": float, "currency": "USD"}`` and what else is known of it, or None.
        error: ``{"type", "code", "message", "hint", "retryable", "billed"}``, or None.
        attempts: how often the job was given to a worker.
        metadata: JSON: the result's own metadata, the chat's ``content``, and under ``job`` the
            metadata that came with the job.
        started: UTC in ISO 8601: when the last attempt began.
        seconds: how long it took.
    """

    id: str
    kind: Kind = "image"
    status: Status = "done"
    provider: str = ""
    model: str = ""
    prompt: str = ""
    size: str = ""
    url: str = ""
    storage_key: str = ""
    file: str | None = None
    thumbnail: str | None = None
    cost: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempts: int = 1
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    started: str = ""
    seconds: float = 0.0

    def to_json(self) -> str:
        """One line of JSON, without its newline."""
        raw = dict(vars(self))  # asdict() would copy what is in it, and not end in a circle
        try:
            return _encoded(raw)
        except (TypeError, ValueError):  # NaN, keys that are not strings, cycles
            return _encoded(plain(raw))

    @classmethod
    def from_json(cls, text: str | bytes) -> Line:
        """
        Fields that this version does not know are left out, and missing ones have their defaults.

        Raises:
            InvalidInputError: it is not a line of a manifest.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise InvalidInputError(f"a line of the manifest is not JSON: {error}") from None
        if not isinstance(raw, Mapping) or not isinstance(raw.get("id"), str):
            raise InvalidInputError("a line of the manifest must be an object with an id")
        if raw.get("kind", "image") not in KINDS or raw.get("status", "done") not in STATUSES:
            raise InvalidInputError(
                f"a line of the manifest has kind {raw.get('kind')!r} and status"
                f" {raw.get('status')!r}; expected {KINDS} and {STATUSES}"
            )
        for name in ("error", "cost", "metadata"):
            if raw.get(name) is not None and not isinstance(raw[name], Mapping):
                raise InvalidInputError(f"a line of the manifest has a {name} that is no object")
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in raw.items() if name in known})

    @property
    def billed(self) -> str:
        """``"no"``, ``"yes"`` or ``"unknown"``: whether the job may have cost money."""
        if self.status == "unknown":
            return "unknown"
        if self.error is None:
            return "yes"
        return str(self.error.get("billed") or "unknown")


def _encoded(raw: Any) -> str:
    # Without NaN: readers in other languages do not take it.
    return json.dumps(raw, ensure_ascii=False, default=str, separators=(",", ":"), allow_nan=False)


_DEEPEST = 50


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it; what it cannot hold is its text."""
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {str(name): plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def utc(seconds: float) -> str:
    """Unix time as the manifest has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
