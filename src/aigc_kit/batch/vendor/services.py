"""
Whose batches there are, and what each takes. Data.

Source: the vendors' pages and SDKs as in the two forms, help.aliyun.com model-studio batch, prices of
litellm 1.110.2 and genai-prices 0.2.3, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aigc_kit.batch.line import Kind
from aigc_kit.batch.vendor.gemini_form import GeminiForm
from aigc_kit.batch.vendor.openai_form import OpenAIForm
from aigc_kit.batch.vendor.service import Service
from aigc_kit.transport.offline import Taken

_MB = 1_000_000


@dataclass(frozen=True)
class Offer:
    """
    One vendor's batches. ``most``: jobs of one batch by kind; ``bytes``: of its file; ``price``: what
    a live price is multiplied with, None where that is not verified.
    """

    open: Callable[[str, Taken], Service]
    most: dict[Kind, int]
    bytes: int
    price: str | None = "0.5"


def _form(prefix: str, *ends: str) -> Callable[[str, Taken], Service]:
    return partial(OpenAIForm, prefix=prefix, ends=ends)


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
    # 150 images of 2K in one job could not be fetched, 122 could: discuss.ai.google.dev/t/174261.
    "gemini": Offer(GeminiForm, {"chat": 10_000, "image": 50}, 400 * _MB),
}

INSTEAD = {
    "volcengine": "Ark has batches of chats and embeddings, whose calls wait for hours: in a run without other vendors",
    "bedrock": "Bedrock's batches read and write your own S3 bucket by a role of your account",
}
"""What is said of vendors whose batches are of another kind."""
