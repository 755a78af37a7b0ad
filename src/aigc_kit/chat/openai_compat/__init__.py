"""Back ends that speak OpenAI's ``chat/completions``."""

from aigc_kit.chat.openai_compat.provider import OpenAICompatProvider

__all__ = ["OpenAICompatProvider"]
