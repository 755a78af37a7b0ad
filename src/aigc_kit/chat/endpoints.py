"""The OpenAI-compatible provider with both of its endpoints."""

from __future__ import annotations

from typing import ClassVar

from aigc_kit.chat.openai_compat.provider import OpenAICompatProvider
from aigc_kit.chat.responses.provider import RESPONSES
from aigc_kit.chat.wire import Wire


class OpenAIProvider(OpenAICompatProvider):
    """
    ``OpenAICompatProvider`` that also speaks ``/responses``, where the model or ``api=`` asks for
    it.
    """

    wires: ClassVar[dict[str, Wire]] = {**OpenAICompatProvider.wires, "responses": RESPONSES}
