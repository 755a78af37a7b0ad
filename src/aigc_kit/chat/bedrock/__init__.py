"""Amazon Bedrock's Converse API."""

from aigc_kit.chat.bedrock.provider import BedrockProvider

__all__ = ["BedrockProvider"]
