"""Prices of embeddings, as read on 2026-11-25."""

from __future__ import annotations

from aigc_kit.prices.price import Number, Price, Rates

_AS_OF = "2026-11-25"
_OPENAI = "https://developers.openai.com/api/docs/pricing"
_QWEN = "https://help.aliyun.com/zh/model-studio/text-embedding-synchronous-api"
_GLM = "https://docs.bigmodel.cn/cn/guide/start/pricing"
_GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"
_AWS = "https://aws.amazon.com/bedrock/pricing/"


def _row(
    provider: str,
    models: str,
    price: Number,
    source: str,
    *,
    currency: str = "USD",
    region: str = "",
) -> Price:
    return Price(
        provider=provider,
        models=models,
        rates=Rates(price),
        currency=currency,
        region=region,
        factors={"batch": "0.5"},
        source=source,
        as_of=_AS_OF,
    )


EMBEDDINGS: tuple[Price, ...] = (
    _row("openai", r"text-embedding-3-small", "0.02", _OPENAI),
    _row("openai", r"text-embedding-3-large", "0.13", _OPENAI),
    _row("openai", r"text-embedding-ada-002", "0.10", _OPENAI),
    _row("dashscope", r"text-embedding-v4", "0.5", _QWEN, currency="CNY", region="home"),
    _row("dashscope", r"text-embedding-v4", "0.07", _QWEN, region="intl"),
    _row("glm", r"embedding-3", "0.5", _GLM, currency="CNY", region="home"),  # unverified
    _row("gemini", r"gemini-embedding-001", "0.15", _GOOGLE),
    _row("gemini", r"gemini-embedding-2(-preview)?", "0.20", _GOOGLE),
    _row("bedrock", r"amazon\.titan-embed-text-v2:0", "0.02", _AWS),
    _row("bedrock", r"cohere\.embed-(english|multilingual)-v3", "0.10", _AWS),
    _row("bedrock", r"cohere\.embed-v4:0", "0.12", _AWS),
    _row("bedrock", r"amazon\.nova-2-multimodal-embeddings-v1:0", "0.135", _AWS),
)
