"""Images: one client, one file for each vendor's dialect."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult

if TYPE_CHECKING:
    from aigc_kit.image.client import ImageClient, register_provider
    from aigc_kit.media.labels.label import ContentLabel
    from aigc_kit.media.labels.reading import Labels, read_labels
    from aigc_kit.media.labels.writing import Labelled, label_image
    from aigc_kit.media.renditions import Rendered, Rendition, render

__all__ = [
    "ContentLabel",
    "ImageClient",
    "ImageGroup",
    "ImageProvider",
    "ImageResult",
    "Labelled",
    "Labels",
    "Rendered",
    "Rendition",
    "label_image",
    "read_labels",
    "register_provider",
    "render",
]

_HOMES = {
    "ContentLabel": "aigc_kit.media.labels.label",
    "ImageClient": "aigc_kit.image.client",
    "Labelled": "aigc_kit.media.labels.writing",
    "Labels": "aigc_kit.media.labels.reading",
    "Rendered": "aigc_kit.media.renditions",
    "Rendition": "aigc_kit.media.renditions",
    "label_image": "aigc_kit.media.labels.writing",
    "read_labels": "aigc_kit.media.labels.reading",
    "register_provider": "aigc_kit.image.client",
    "render": "aigc_kit.media.renditions",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
