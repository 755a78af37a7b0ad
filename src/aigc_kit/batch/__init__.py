"""
Batches: many images, chats and embeddings, with a manifest that survives a crash.

Names are loaded when they are first used: reading a manifest loads no client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc_kit.batch.gallery import write_gallery
    from aigc_kit.batch.limits import Limit
    from aigc_kit.batch.line import Line
    from aigc_kit.batch.manifest import Manifest, read_manifest
    from aigc_kit.batch.progress import Progress
    from aigc_kit.batch.run import run_batch
    from aigc_kit.batch.summary import Summary

_HOMES = {
    "Limit": "limits",
    "Line": "line",
    "Manifest": "manifest",
    "Progress": "progress",
    "Summary": "summary",
    "read_manifest": "manifest",
    "run_batch": "run",
    "write_gallery": "gallery",
}

__all__ = [
    "Limit",
    "Line",
    "Manifest",
    "Progress",
    "Summary",
    "read_manifest",
    "run_batch",
    "write_gallery",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
