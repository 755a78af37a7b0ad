"""Chat: one client, one file for each wire dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, ToolCall, ToolCallDelta, Usage

if TYPE_CHECKING:
    from aigc_kit.chat.client import ChatClient, register_provider
    from aigc_kit.chat.openai_compat import OpenAICompatProvider
    from aigc_kit.chat.streaming import ChatStream

_HOMES = {
    "ChatClient": "client",
    "register_provider": "client",
    "ChatStream": "streaming",
    "OpenAICompatProvider": "openai_compat",
}

__all__ = [
    "ChatChunk",
    "ChatClient",
    "ChatProvider",
    "ChatResult",
    "ChatStream",
    "OpenAICompatProvider",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "register_provider",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
