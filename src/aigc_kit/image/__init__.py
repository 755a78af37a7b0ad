"""Images: one client, one file for each vendor's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult

if TYPE_CHECKING:
    from aigc_kit.image.client import ImageClient, register_provider
    from aigc_kit.media.renditions import Rendered, Rendition, render

__all__ = [
    "ImageClient",
    "ImageGroup",
    "ImageProvider",
    "ImageResult",
    "Rendered",
    "Rendition",
    "register_provider",
    "render",
]


def __getattr__(name: str) -> object:
    if name in ("ImageClient", "register_provider"):
        from aigc_kit.image import client

        return getattr(client, name)
    if name in ("Rendered", "Rendition", "render"):
        from aigc_kit.media import renditions

        return getattr(renditions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
