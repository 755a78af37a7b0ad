"""
One small interface to image generation, chat, embeddings and storage across vendors.

Names are loaded when they are first used: ``import aigc_kit`` loads no vendor's SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc_kit import chat, embedding, errors, image, sandbox, storage
    from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, ToolCall, Usage
    from aigc_kit.chat.client import ChatClient
    from aigc_kit.chat.streaming import ChatStream
    from aigc_kit.embedding.base import EmbeddingProvider, EmbeddingResult, RerankResult
    from aigc_kit.embedding.client import EmbeddingClient
    from aigc_kit.errors import AIGCError
    from aigc_kit.image.base import ImageGroup, ImageProvider
    from aigc_kit.image.client import ImageClient
    from aigc_kit.media.result import ImageResult

__version__ = "0.1.0"

_HOMES = {
    "AIGCError": "errors",
    "ChatChunk": "chat.base",
    "ChatClient": "chat.client",
    "ChatProvider": "chat.base",
    "ChatResult": "chat.base",
    "ChatStream": "chat.streaming",
    "EmbeddingClient": "embedding.client",
    "EmbeddingProvider": "embedding.base",
    "EmbeddingResult": "embedding.base",
    "ImageClient": "image.client",
    "ImageGroup": "image.base",
    "ImageProvider": "image.base",
    "ImageResult": "media.result",
    "RerankResult": "embedding.base",
    "ToolCall": "chat.base",
    "Usage": "chat.base",
}
_ROOMS = ("chat", "embedding", "errors", "image", "sandbox", "storage")

__all__ = [
    "AIGCError",
    "ChatChunk",
    "ChatClient",
    "ChatProvider",
    "ChatResult",
    "ChatStream",
    "EmbeddingClient",
    "EmbeddingProvider",
    "EmbeddingResult",
    "ImageClient",
    "ImageGroup",
    "ImageProvider",
    "ImageResult",
    "RerankResult",
    "ToolCall",
    "Usage",
    "chat",
    "embedding",
    "errors",
    "image",
    "sandbox",
    "storage",
]


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
