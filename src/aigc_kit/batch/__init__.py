"""Batches: many images, chats and embeddings, with a manifest that survives a crash."""

from __future__ import annotations

from aigc_kit.batch.line import Line
from aigc_kit.batch.manifest import Manifest, read_manifest

__all__ = ["Line", "Manifest", "read_manifest"]
