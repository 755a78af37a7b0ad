"""
Digests that tell one request from another, the same in every process: of plain values, and of
reference images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aigc_kit.media.result import ImageResult
from aigc_kit.transport.encoding import sha256_of

_ORIENTATION = 0x0112


def digest(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, default=_stable, skipkeys=True)
    )
    return sha256_of(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _stable(value: Any) -> Any:
    """
    What JSON does not know, the same in every process: no ``repr``, which has addresses of the
    memory.
    """
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(name): inner for name, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return sha256_of(value).hexdigest()
    return type(value).__name__


def identity(references: Any) -> list[str]:
    """
    A digest of each reference: of its bytes where they are here, of its URL or path where not.
    """
    single = isinstance(
        references, (str, bytes, bytearray, memoryview, os.PathLike, ImageResult)
    ) or hasattr(references, "read")
    items = [references] if single or not isinstance(references, Iterable) else list(references)
    return [_identity_of(item) for item in items]


def _identity_of(item: Any) -> str:
    if isinstance(item, ImageResult):
        item = item.data if item.has_base64 else item.url
    if isinstance(item, (bytes, bytearray, memoryview)):
        return sha256_of(bytes(item) if isinstance(item, memoryview) else item).hexdigest()
    if isinstance(item, os.PathLike):
        return _identity_of_file(Path(item))
    if isinstance(item, str):
        return item
    return _identity_of_pixels(item) if hasattr(item, "tobytes") else type(item).__name__


def _identity_of_pixels(image: Any) -> str:
    """Of a PIL image or an array: its bytes, and what says what they mean."""
    try:
        digest = sha256_of(image.tobytes())
    except (OSError, ValueError):  # cut or closed: told when it is read to be sent
        return type(image).__name__
    facts = [getattr(image, name, None) for name in ("mode", "size", "shape", "dtype")]
    if hasattr(image, "getpalette"):
        info = image.info
        facts += [image.getpalette(), info.get("transparency"), image.getexif().get(_ORIENTATION)]
        digest.update(info.get("icc_profile") or b"")
    digest.update(repr(facts).encode())
    return digest.hexdigest()


def _identity_of_file(path: Path) -> str:
    try:
        return sha256_of(path.read_bytes()).hexdigest() if path.is_file() else str(path)
    except (OSError, ValueError):  # told when it is read to be sent
        return str(path)
