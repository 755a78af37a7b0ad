"""
One small interface to picture generation, chat and storage across vendors.

Names are loaded when they are first used: ``import aigc_kit`` loads no vendor's SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc_kit import errors, image, sandbox, storage
    from aigc_kit.errors import AIGCError
    from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult
    from aigc_kit.image.client import ImageClient

__version__ = "0.1.0"

_HOMES = {
    "AIGCError": "errors",
    "ImageClient": "image.client",
    "ImageGroup": "image.base",
    "ImageProvider": "image.base",
    "ImageResult": "image.base",
}
_ROOMS = ("errors", "image", "sandbox", "storage")

__all__ = ["AIGCError", "ImageClient", "ImageGroup", "ImageProvider", "ImageResult", "errors", "image", "sandbox", "storage"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
