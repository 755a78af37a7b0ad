"""Paid pictures as an order of the spool has them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from aigc_kit.errors import InvalidReplyError, StorageError
from aigc_kit.image.base import ImageResult
from aigc_kit.storage.spool import Order


def write(order: Order, results: Sequence[ImageResult], size: Any, key: str, facts: dict[str, Any]) -> None:
    """
    Raises:
        StorageError: the spool's disk failed.
    """
    pictures: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for result in results:
        if not isinstance(result, ImageResult):
            continue
        try:
            data = result.data
        except InvalidReplyError:  # no base64: what came is kept as it came
            data = result.base64.encode("utf-8", "replace")
        pictures.append({
            "url": result.url, "mime_type": result.mime_type, "provider": result.provider, "metadata": result.metadata,
            "keyed": result.__dict__.get("_keyed", ""), "place": result.__dict__.get("_place", len(pictures)),
            "blob": len(blobs) if data else None,
        })  # fmt: skip
        blobs += [data] if data else []
    order.write(
        {**facts, "state": "paid", "at": time.time(), "size": str(size), "key": key, "pictures": pictures}, blobs
    )


def forget(order: Order, held: tuple[dict[str, Any], list[bytes]], place: int) -> None:
    """Take one picture out of an order, which goes with its last."""
    facts, blobs = held
    rest = [entry for entry in facts.get("pictures", ()) if entry.get("place", 0) != place]
    if not rest:
        order.remove()
        return
    kept = [blobs[entry["blob"]] for entry in rest if entry.get("blob") is not None]
    places = iter(range(len(kept)))
    pictures = [{**entry, "blob": next(places) if entry.get("blob") is not None else None} for entry in rest]
    with contextlib.suppress(StorageError):
        order.write({**facts, "pictures": pictures}, kept)


def restored(facts: dict[str, Any], blobs: list[bytes]) -> list[ImageResult]:
    """The pictures that ``write`` wrote."""
    results: list[ImageResult] = []
    for entry in facts.get("pictures", ()):
        place = entry.get("blob")
        data = b"" if place is None else blobs[place]
        result = ImageResult.from_bytes(data, mime_type=entry["mime_type"], metadata=entry["metadata"])
        result.url, result.provider = entry["url"], entry["provider"]
        if entry.get("keyed"):
            result.__dict__["_keyed"] = entry["keyed"]
        result.__dict__["_place"] = entry.get("place", len(results))
        results.append(result)
    return results
