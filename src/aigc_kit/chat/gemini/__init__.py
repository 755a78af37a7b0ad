"""Gemini on Vertex AI and the Developer API."""

from aigc_kit.chat.gemini.provider import GeminiProvider

__all__ = ["GeminiProvider"]
