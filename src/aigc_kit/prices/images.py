"""
Prices of images, as read on 2026-11-25: list prices without discounts.

A comment names what is not certain; there the number is the best that could be found.
"""

from __future__ import annotations

from aigc_kit.prices.price import ImagePrice, Number

_AS_OF = "2026-11-25"
_OPENAI = "https://developers.openai.com/api/docs/pricing"
_GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"
_ARK = "https://www.volcengine.com/docs/82379/1544106"
_MAP = "price map of litellm 1.110.2"
_CARD = "BytePlus' rate card, quoted by https://docs.apiyi.com/seedream-5-5-pricing"
_QWEN = "https://www.alibabacloud.com/help/en/model-studio/model-pricing"
_GLM = "https://docs.bigmodel.cn/cn/guide/start/pricing"


def _seedream(models: str, yuan: Number, dollars: Number) -> tuple[ImagePrice, ...]:
    # The yuan of Seedream 3.0 to 5.0 lite are unverified.
    return (
        ImagePrice(
            provider="volcengine",
            models=models,
            currency="CNY",
            region="home",
            each=((None, yuan),),
            source=_ARK,
            as_of=_AS_OF,
        ),
        ImagePrice(
            provider="volcengine",
            models=models,
            region="intl",
            each=((None, dollars),),
            source=_MAP,
            as_of=_AS_OF,
        ),
    )


def _gemini(
    models: str,
    each: Number,
    output: Number,
    text: Number,
    wrote: Number | None = None,
    *,
    most: Number,
) -> ImagePrice:
    # most: an image of 4K, 32,768 tokens of text and thoughts (4,096 of lite), the longest prompt,
    # in which the references are.
    return ImagePrice(
        provider="gemini",
        models=models,
        most=most,
        each=((1_600_000, each),),  # 1K, in any ratio
        input=text,
        output=output,
        output_text=wrote,
        source=_GOOGLE,
        as_of=_AS_OF,
    )


def _qwen(models: str, dollars: Number, yuan: Number | None = None) -> tuple[ImagePrice, ...]:
    # The yuan are those of a reseller that says it verified them.
    abroad = ImagePrice(
        provider="dashscope",
        models=models,
        region="intl",
        each=((None, dollars),),
        source=_QWEN,
        as_of=_AS_OF,
    )
    if yuan is None:
        return (abroad,)
    return (
        abroad,
        ImagePrice(
            provider="dashscope",
            models=models,
            currency="CNY",
            region="home",
            each=((None, yuan),),
            source=_QWEN,
            as_of=_AS_OF,
        ),
    )


IMAGES: tuple[ImagePrice, ...] = (
    ImagePrice(
        provider="openai",
        models=r"gpt-image-2(\.[56]-(flare|sunburst|.*))?(-\d.*)?",
        input=5,
        input_image=8,
        output=30,
        # One image of 1024x1024 at the highest quality, where a response has no usage.
        each=((1_048_576, "0.211"),),
        # 7,024 tokens for that, in proportion for 3840x2160, and a prompt of 32,000 tokens.
        most="1.84",
        most_reference="0.05",
        source=_OPENAI,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="openai",
        models=r"gpt-image-1\.5(-\d.*)?",
        input=5,
        input_image=8,
        output=32,
        output_text=10,
        each=((1_048_576, "0.133"),),
        most="0.37",
        most_reference="0.05",
        source=_OPENAI,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="openai",
        models=r"gpt-image-1-mini(-\d.*)?",
        input=2,
        input_image="2.5",
        output=8,
        each=((1_048_576, "0.042"),),
        most="0.12",
        most_reference="0.02",
        source=_OPENAI,
        as_of=_AS_OF,
    ),
    _gemini(r"gemini-2\.5-flash-image(-preview)?", "0.039", 30, "0.3", most="1.00"),
    _gemini(r"gemini-3\.1-flash-image", "0.0672", 60, "0.5", 3, most="0.32"),
    _gemini(r"gemini-3\.1-flash-lite-image", "0.0336", 30, "0.25", "1.5", most="0.14"),
    _gemini(r"gemini-3-pro-image", "0.134", 120, 2, 12, most="0.77"),
    _gemini(r"gemini-nano-banana-2\.1", "0.0336", 30, "1.5", most="1.20"),
    *_seedream(r"(doubao-)?seedream-3[-.]0.*", "0.259", "0.03"),
    *_seedream(r"(doubao-)?seedream-4[-.]0.*", "0.2", "0.03"),
    *_seedream(r"(doubao-)?seedream-4[-.]5.*", "0.25", "0.04"),
    *_seedream(r"(doubao-)?seedream-5[-.]0(-lite)?(-\d.*)?", "0.22", "0.035"),
    ImagePrice(
        provider="volcengine",
        models=r"((doubao|dola)-)?seedream-5[-.]0-pro.*",
        # Up to 1.5K, then 2K; the lower one is unverified.
        each=((2_601_123, "0.045"), (None, "0.09")),
        reference="0.003",
        free_references=1,
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="volcengine",
        models=r"((doubao|dola)-)?seedream-5[-.]0-flash.*",
        each=((None, "0.018"),),
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="volcengine",
        models=r"(doubao-)?seedream-5[-.]5.*",
        each=((2_601_123, "0.020"), (None, "0.035")),
        reference="0.008",
        source=_CARD,
        as_of=_AS_OF,
    ),
    *_qwen(r"qwen-image-3\.0(-\d.*)?", "0.03"),
    *_qwen(r"qwen-image-2\.0(-\d.*)?", "0.035", "0.20"),
    *_qwen(r"qwen-image-2\.0-pro(-\d.*)?", "0.075", "0.50"),
    *_qwen(r"wan2\.7-image(-\d.*)?", "0.03", "0.20"),
    *_qwen(r"wan2\.7-image-pro(-\d.*)?", "0.075", "0.50"),
    ImagePrice(
        provider="glm",
        models=r"glm-image",
        currency="CNY",
        region="home",
        each=((None, "0.1"),),  # unverified
        source=_GLM,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="xai",
        models=r"grok-imagine-image",
        each=((None, "0.02"),),
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="xai",
        models=r"grok-imagine-image-2\.0",
        each=((1_600_000, "0.04"), (None, "0.06")),
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="bfl",
        models=r"flux-kontext-pro|flux-pro-1\.1",
        each=((None, "0.04"),),
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="bfl",
        models=r"flux-kontext-max",
        each=((None, "0.08"),),
        source=_MAP,
        as_of=_AS_OF,
    ),
    ImagePrice(
        provider="bfl",
        models=r"flux-pro-1\.1-ultra",
        each=((None, "0.06"),),
        source=_MAP,
        as_of=_AS_OF,
    ),
)
