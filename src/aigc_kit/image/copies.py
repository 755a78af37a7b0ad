"""Renditions beside their picture in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigc_kit.errors import StorageError
from aigc_kit.image.base import ImageResult, warn
from aigc_kit.image.renditions import Rendered, Rendition, attempted
from aigc_kit.storage.base import Storage, StoredObject
from aigc_kit.transport import sniff


def add(result: ImageResult, renditions: Sequence[Rendition], storage: Storage) -> None:
    """
    Store what ``metadata["renditions"]`` lacks; of a picture without bytes, look it up.

    What fails is a warning: the picture itself is paid for and has its address.
    """
    found = result.metadata.get("renditions")
    found = found if isinstance(found, dict) else {}
    wanted = [one for one in renditions if one.name not in found]
    if not wanted:
        return
    result.metadata["renditions"] = found
    warnings = result.metadata.get("warnings")
    if isinstance(warnings, list):  # those of an earlier try
        warnings[:] = [old for old in warnings if not (isinstance(old, dict) and old.get("feature") == "renditions")]
    key = str(result.__dict__.get("_asked_key") or result.metadata["storage_key"])
    base = key.removesuffix(sniff.extension(result.mime_type))
    data = result.data if result.has_base64 else b""
    made, faults = attempted(data, wanted) if data else ([], dict[str, str]())
    copies = {copy.rendition.name: copy for copy in made}
    for rendition in wanted:
        name, copy = rendition.name, copies.get(rendition.name)
        if name in faults:
            warn(result, "renditions", f"{name} was not made: the picture {faults[name]}")
            continue
        try:
            found[name] = _entry(_stored(result, base + rendition.suffix, rendition, copy, storage), rendition, copy)
        except Exception as error:  # noqa: BLE001 - an application's own store may raise anything
            warn(result, "renditions", f"{name}: {type(error).__name__}: {str(error)[:300]}")


def _stored(result: ImageResult, key: str, rendition: Rendition, copy: Rendered | None, storage: Storage) -> Any:
    """The rendition as it lies in the store; one that keeps everything is the picture itself."""
    keeps_all = rendition.side is None and rendition.mime_type == result.mime_type
    if keeps_all and (copy is None or copy.data is result.data):
        size = len(copy.data) if copy else 0
        return StoredObject(result.url, str(result.metadata["storage_key"]), size, result.mime_type)
    if copy is None:
        return storage.exists(key)
    return storage.upload_bytes(copy.data, key, content_type=rendition.mime_type)


def _entry(stored: Any, rendition: Rendition, copy: Rendered | None) -> dict[str, Any]:
    """What ``metadata`` says of it: JSON. Sizes of one that was looked up are not known."""
    if not isinstance(stored, StoredObject) or not stored.url:
        raise StorageError("it has no address in the store")
    entry: dict[str, Any] = {"url": str(stored.url), "key": str(stored.key), "mime_type": rendition.mime_type}
    if stored.size:
        entry["size"] = int(stored.size)
    return entry | ({"width": copy.width, "height": copy.height} if copy else {})
