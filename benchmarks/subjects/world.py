"""
What every client gets: where the upstream is, and the same conversation in each vendor's own shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

KEY = "benchmark-key"
OPENAI_MODEL = "gpt-6-luna"
GEMINI_MODEL = "gemini-3.5-flash"
GEMINI_PICTURE_MODEL = "gemini-3-pro-image"
BEDROCK_MODEL = "global.anthropic.claude-sonnet-4-6"
ARK_MODEL = "doubao-seedream-4-5-251128"
PROMPT = "A lighthouse in the fog"
BUCKET = "pictures"
REGION = "us-east-1"

Json = dict[str, Any]
T = TypeVar("T")

SIDES = (1024, 512, 256)
"""Of the thumbnails, in pixels."""


def photo() -> bytes:
    """A PNG of 2048 x 2048, smooth with a little grain, like a photo."""
    import io

    from PIL import Image

    grain = Image.effect_noise((2048, 2048), 12)
    bands = [
        Image.effect_noise((24 + band, 24), 160).resize((2048, 2048), Image.Resampling.BICUBIC)
        for band in range(3)
    ]
    picture = Image.merge("RGB", [Image.blend(band, grain, 0.15) for band in bands])
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


_TEXT = "The quick brown fox jumps over the lazy dog, and the dog considers an answer. " * 3


def for_each_vendor(work: Callable[[str, World], T]) -> tuple[Callable[[World], T], ...]:
    """The same work for OpenAI, Gemini and Bedrock."""
    return tuple(functools.partial(work, vendor) for vendor in ("openai", "gemini", "bedrock"))


@dataclass(frozen=True)
class World:
    """
    ``http`` ends in the scenario; ``https`` is the object store; ``references``: pictures that a
    request carries.
    """

    http: str
    https: str = ""
    messages: int = 2
    tools: int = 0
    references: int = 0

    def conversation(self) -> list[Json]:
        """OpenAI messages: a system message, then turns of user and assistant, the user's last."""
        turns = [
            {
                "role": "user" if place % 2 == 0 else "assistant",
                "content": f"{place}: {_TEXT if self.messages > 2 else 'Hello'}",
            }
            for place in range(self.messages - 1)
        ]
        if turns[-1]["role"] == "assistant":
            turns.append({"role": "user", "content": "Go on."})
        return [{"role": "system", "content": "You are brief."}, *turns][-max(self.messages, 2) :]

    def functions(self) -> list[Json]:
        return [
            {
                "name": f"tool_{place}",
                "description": "Looks something up.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string", "description": "What to look up."},
                        "limit": {"type": "integer"},
                    },
                    "required": ["text"],
                },
            }
            for place in range(self.tools)
        ]

    def openai_tools(self) -> list[Json]:
        return [{"type": "function", "function": function} for function in self.functions()]

    def gemini(self) -> tuple[list[Json], Json]:
        """(contents, config) of google-genai."""
        first, *rest = self.conversation()
        roles = {"user": "user", "assistant": "model"}
        contents = [
            {"role": roles[turn["role"]], "parts": [{"text": turn["content"]}]} for turn in rest
        ]
        config: Json = {"system_instruction": first["content"]}
        if self.tools:
            config["tools"] = [{"function_declarations": self.functions()}]
        return contents, config

    def converse(self) -> Json:
        """The request of Converse."""
        first, *rest = self.conversation()
        request: Json = {
            "modelId": BEDROCK_MODEL,
            "system": [{"text": first["content"]}],
            "messages": [
                {"role": turn["role"], "content": [{"text": turn["content"]}]} for turn in rest
            ],
        }
        if self.tools:
            specs = [
                {
                    "toolSpec": {
                        "name": function["name"],
                        "description": function["description"],
                        "inputSchema": {"json": function["parameters"]},
                    }
                }
                for function in self.functions()
            ]
            request["toolConfig"] = {"tools": specs}
        return request
