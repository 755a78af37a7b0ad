"""
Whose batches there are, and what each takes. Data.

Source: the vendors' pages and SDKs as in the two forms, help.aliyun.com model-studio batch, prices of
litellm 1.110.2 and genai-prices 0.2.3, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit.batch.line import Kind
from aigc_kit.batch.vendor.gemini_form import GeminiForm
from aigc_kit.batch.vendor.openai_form import OpenAIForm
from aigc_kit.batch.vendor.service import Service
from aigc_kit.transport.offline import Taken

_MB = 1_000_000


Opener = Callable[[str, Taken, Mapping[str, Any]], Service]


@dataclass(frozen=True)
class Offer:
    """
    One vendor's batches.

    ``open``: of the provider, a request that was taken, and ``client_options``; ``most``: jobs of one
    batch by kind; ``bytes``: of its file; ``price``: what a live price is multiplied with, None
    where that is not verified.
    """

    open: Opener
    most: dict[Kind, int]
    bytes: int
    price: str | None = "0.5"


def _form(prefix: str, *ends: str) -> Opener:
    return lambda provider, taken, _: OpenAIForm(provider, taken, prefix=prefix, ends=ends)


def _gemini(provider: str, taken: Taken, _: Mapping[str, Any]) -> Service:
    return GeminiForm(provider, taken)


def _bedrock(provider: str, taken: Taken, options: Mapping[str, Any]) -> Service:
    from aigc_kit.batch.vendor.bedrock_form import BedrockForm  # botocore is slow to import

    return BedrockForm(provider, taken, options)


_TEXT = ("/chat/completions", "/embeddings")

OFFERS: dict[str, Offer] = {
    # 50,000 requests and 200 MB; images are limited here, as their results are 4 MB each.
    "openai": Offer(
        _form("/v1", *_TEXT, "/responses", "/images/generations"),
        {"chat": 50_000, "embedding": 25_000, "image": 500},
        190 * _MB,
    ),
    "dashscope": Offer(_form("/v1", *_TEXT), {"chat": 50_000, "embedding": 50_000}, 400 * _MB),
    # The discount is unverified.
    "glm": Offer(_form("/v4", *_TEXT), {"chat": 50_000, "embedding": 50_000}, 95 * _MB, price=None),
    # AWS takes 1 GB, which would stand in memory; it also wants at least 100 records (unverified).
    "bedrock": Offer(_bedrock, {"chat": 50_000}, 190 * _MB),
    # 150 images of 2K in one job could not be fetched, 122 could: discuss.ai.google.dev/t/174261.
    "gemini": Offer(_gemini, {"chat": 10_000, "image": 50}, 400 * _MB),
}

INSTEAD = {
    "volcengine": "Ark has batches of chats and embeddings, whose calls wait for hours: in a run without other vendors",
}
"""What is said of vendors whose batches are of another kind."""
