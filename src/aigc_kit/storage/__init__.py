"""Stores that give bytes a URL. Names are loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc_kit.storage.base import Storage, StoredObject
    from aigc_kit.storage.filesystems import FsspecStorage
    from aigc_kit.storage.local import LocalStorage
    from aigc_kit.storage.presets import COSStorage, MinIOStorage, OSSStorage, TOSStorage
    from aigc_kit.storage.r2 import R2Storage
    from aigc_kit.storage.s3 import S3Storage

_HOMES = {
    "COSStorage": "presets",
    "FsspecStorage": "filesystems",
    "LocalStorage": "local",
    "MinIOStorage": "presets",
    "OSSStorage": "presets",
    "R2Storage": "r2",
    "S3Storage": "s3",
    "Storage": "base",
    "StoredObject": "base",
    "TOSStorage": "presets",
}

__all__ = [
    "COSStorage",
    "FsspecStorage",
    "LocalStorage",
    "MinIOStorage",
    "OSSStorage",
    "R2Storage",
    "S3Storage",
    "Storage",
    "StoredObject",
    "TOSStorage",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
