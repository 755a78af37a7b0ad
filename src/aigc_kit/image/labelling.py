"""The label of a paid image: written before it gets its URL, into its copies too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aigc_kit.errors import ConfigurationError, StorageError
from aigc_kit.image.base import ImageResult, warn
from aigc_kit.image.entries import Item
from aigc_kit.media import sniff
from aigc_kit.media.decoding import ImageFault
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.renditions import Rendered
from aigc_kit.transport.interrupts import callers_own

if TYPE_CHECKING:
    from aigc_kit.storage.base import Storage


def write(
    item: Item, facts: dict[str, Any], fetch: Callable[[ImageResult], None], *, stored: bool
) -> bytes:
    """
    Write the label of a purchase into its image; the bytes before it where they are to be kept,
    else b"".

    Args:
        fetch: brings the bytes of an image that came as a URL.
        stored: whether the image gets another URL.

    Raises:
        StorageError: it cannot carry the label; ``result`` has the image as it came.
    """
    label, result = ContentLabel.from_dict(facts.get("label")), item.result
    if label is None or result.metadata.get("label"):
        return b""
    from aigc_kit.media.labels.writing import labelled  # few programs label

    if not result.has_base64:
        fetch(result)
    before = result.data
    name = str(result.metadata.get("request_id") or "")
    try:
        made = labelled(before, label, produce_id=name and f"{name}-{item.place}")
    except (ImageFault, ConfigurationError) as error:
        failure = StorageError(f"the label could not be written: the image {error}")
        failure.result = result
        raise failure from error
    result.hold(made.data)
    result.mime_type = sniff.mime_type(made.data)
    if not stored:
        result.url = ""  # the vendor's has no label
    result.metadata["label"] = {"aigc": made.aigc, "visible": label.text}
    for warning in made.warnings:
        warn(result, "label", warning)
    return before if label.keep_original else b""


def undo(result: ImageResult, original: bytes) -> None:
    """Put the original image back, without a label."""
    result.hold(original)
    result.mime_type = sniff.mime_type(original)
    del result.metadata["label"]


def keep_original(result: ImageResult, data: bytes, storage: Storage) -> None:
    """Store the image as the vendor gave it; what fails is a warning."""
    kind = sniff.mime_type(data)
    base = str(result.metadata["storage_key"]).removesuffix(sniff.extension(result.mime_type))
    key = f"{base}.original{sniff.extension(kind)}"
    try:
        stored = storage.upload_bytes(data, key, content_type=kind)
        result.metadata["original"] = {"url": stored.url, "key": stored.key, "mime_type": kind}
        if stored.expires_at:
            result.metadata["original"]["expires_at"] = stored.expires_at
    except Exception as error:
        if callers_own(error, inside_of=storage):
            raise
        warn(result, "label", f"the original was not stored: {type(error).__name__}: {error}")


def copied(result: ImageResult, copy: Rendered | None) -> Rendered | None:
    """A rendition with the label of its image, whatever its encoder kept."""
    known = result.metadata.get("label")
    if copy is None or not isinstance(known, dict) or copy.data is result.data:
        return copy
    from aigc_kit.media.labels.containers import is_signed
    from aigc_kit.media.labels.writing import relabelled

    if is_signed(result.data) and not is_signed(copy.data):
        name = copy.rendition.name
        warn(result, "label", f"{name} has no manifest of C2PA: it was encoded again")
    return replace(copy, data=relabelled(copy.data, known["aigc"]))
