"""The forms of requests and responses over HTTP: each a pair of pure conversions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aigc_kit.embedding.batches import Part
from aigc_kit.embedding.call import Call
from aigc_kit.embedding.wires import ark, dashscope, openai


@dataclass(frozen=True)
class Wire:
    """
    ``path``: behind the URL of the API. ``native``: that URL is without what
    makes it the OpenAI-compatible one.
    ``to_body``: texts of one request to its body. ``from_response``: a response to as many vectors
    as there were texts.
    """

    path: str
    to_body: Callable[[list[str], Call], dict[str, Any]]
    from_response: Callable[[dict[str, Any], int], Part]
    native: bool = False


WIRES = {
    "openai": Wire("/embeddings", openai.to_body, openai.from_response),
    "ark multimodal": Wire("/embeddings/multimodal", ark.to_body, ark.from_response),
    "dashscope": Wire(
        "/api/v1/services/embeddings/text-embedding/text-embedding",
        dashscope.to_text_body,
        dashscope.from_response,
        native=True,
    ),
    "dashscope multimodal": Wire(
        "/api/v1/services/embeddings/multimodal-embedding/multimodal-embedding",
        dashscope.to_multimodal_body,
        dashscope.from_response,
        native=True,
    ),
}
