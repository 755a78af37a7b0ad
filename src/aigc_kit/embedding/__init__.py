"""Embeddings and rerank: one client, one file for each wire dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigc_kit.embedding.base import (
    EmbeddingProvider,
    EmbeddingResult,
    EmbeddingUsage,
    RankedDocument,
    RerankResult,
)

if TYPE_CHECKING:
    from aigc_kit.embedding.client import EmbeddingClient, register_provider

_HOMES = {"EmbeddingClient": "client", "register_provider": "client"}

__all__ = [
    "EmbeddingClient",
    "EmbeddingProvider",
    "EmbeddingResult",
    "EmbeddingUsage",
    "RankedDocument",
    "RerankResult",
    "register_provider",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
