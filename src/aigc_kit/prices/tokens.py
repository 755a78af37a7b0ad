"""
Prices of tokens, as read on 2026-11-25.

A comment names what is not certain; there the number is the best that could be found.
"""

from __future__ import annotations

from datetime import date

from aigc_kit.prices.price import Number, Peak, Price, Rates

_AS_OF = "2026-11-25"
_OPENAI = "https://developers.openai.com/api/docs/pricing"
_DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"
_GLM = "https://docs.bigmodel.cn/cn/guide/start/pricing"
_ZAI = "https://docs.z.ai"
_ARK = "https://www.volcengine.com/docs/82379/1544106"
_KIMI = "https://platform.kimi.ai/docs"
_QWEN = "https://www.alibabacloud.com/help/en/model-studio/models"
_GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"
_AWS = "https://aws.amazon.com/bedrock/pricing/"

_TIERS: dict[str, Number] = {"batch": "0.5", "flex": "0.5", "priority": 2}
_LONG = 272_000
# Monday to Friday, 09:00 to 12:00 and 14:00 to 18:00 in Beijing.
_WORKING_HOURS = Peak(hours=((1, 4), (6, 10)))


def _openai(models: str, rates: Rates, long: Rates) -> Price:
    return Price(
        provider="openai",
        models=models,
        rates=rates,
        long=(_LONG, long),
        factors=_TIERS,
        source=_OPENAI,
        as_of=_AS_OF,
    )


def _deepseek(models: str, low: Rates, high: Rates) -> Price:
    return Price(
        provider="deepseek",
        models=models,
        rates=low,
        peak=(_WORKING_HOURS, high),
        source=_DEEPSEEK,
        as_of=_AS_OF,
    )


def _glm(models: str, home: Rates, abroad: Rates | None = None) -> tuple[Price, ...]:
    own = Price(
        provider="glm",
        models=models,
        rates=home,
        currency="CNY",
        region="home",
        source=_GLM,
        as_of="2026-10-27",
    )
    if abroad is None:
        return (own,)
    return (
        own,
        Price(
            provider="glm", models=models, rates=abroad, region="intl", source=_ZAI, as_of=_AS_OF
        ),
    )


def _ark(models: str, rates: Rates) -> Price:
    # The price map gives dollars at 6.957; the yuan were computed back, unverified.
    return Price(
        provider="volcengine",
        models=models,
        rates=rates,
        currency="CNY",
        region="home",
        source=_ARK,
        as_of=_AS_OF,
    )


def _kimi(models: str, rates: Rates) -> Price:
    return Price(provider="moonshot", models=models, rates=rates, source=_KIMI, as_of="2026-10-15")


def _qwen(models: str, rates: Rates, long: tuple[int, Rates] | None = None) -> Price:
    # In dollars, outside of China; the list in yuan differs and is not known.
    return Price(
        provider="dashscope",
        models=models,
        rates=rates,
        long=long,
        region="intl",
        source=_QWEN,
        as_of=_AS_OF,
    )


def _gemini(
    models: str,
    rates: Rates,
    *,
    long: tuple[int, Rates] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Price:
    factors = {"batch": "0.5", "flex": "0.5", "priority": "1.8"}
    return Price(
        provider="gemini",
        models=models,
        rates=rates,
        long=long,
        factors=factors,
        since=since,
        until=until,
        source=_GOOGLE,
        as_of=_AS_OF,
    )


def _claude(models: str, rates: Rates, long: tuple[int, Rates] | None = None) -> Price:
    return Price(
        provider="bedrock",
        models=models,
        rates=rates,
        long=long,
        factors={"batch": "0.5"},
        source=_AWS,
        as_of=_AS_OF,
    )


_NEW_YEAR = date(2027, 1, 1)
_FLASH = r"gemini-3\.[678]-flash"

TOKENS: tuple[Price, ...] = (
    # Writing to a cache: for 30 minutes and for 12 hours at OpenAI, for 5 minutes and for an hour at
    # Moonshot and Anthropic.
    _openai(
        r"gpt-6-luna(-\d.*)?",
        Rates("0.10", "0.50", "0.01", "0.125", "0.25"),
        Rates("0.20", "0.75", "0.02", "0.25", "0.50"),
    ),
    _openai(r"gpt-6-sol(-\d.*)?", Rates(2, 10, "0.20", "2.5", 5), Rates(4, 15, "0.40", 5, 10)),
    _openai(r"gpt-6\.1-sol(-\d.*)?", Rates(2, 10, "0.10", "2.5", 5), Rates(4, 15, "0.20", 5, 10)),
    _openai(
        r"gpt-6\.1-terra(-\d.*)?",
        Rates(1, 5, "0.05", "1.25", "2.5"),
        Rates(2, "7.5", "0.10", "2.5", 5),
    ),
    _openai(r"gpt-6-astra(-\d.*)?", Rates(10, 50, 1, "12.5", 25), Rates(20, 75, 2, 25, 50)),
    Price(
        provider="openai",
        models=r"gpt-5\.6-sol(-\d.*)?",
        rates=Rates(4, 20, "0.4", 5),
        since=date(2026, 8, 21),
        factors=_TIERS,
        source=_OPENAI,
        as_of=_AS_OF,
    ),
    Price(
        provider="openai",
        models=r"gpt-5\.6-luna(-\d.*)?",
        rates=Rates("0.2", "1.2", "0.02", "0.25"),
        since=date(2026, 7, 30),
        factors=_TIERS,
        source=_OPENAI,
        as_of=_AS_OF,
    ),
    _deepseek(
        r"deepseek-(flash|v4-flash|v4\.1-flash)",
        Rates("0.15", "0.6", "0.003"),
        Rates("0.30", "1.2", "0.006"),
    ),
    _deepseek(r"deepseek-v4-pro", Rates("0.66", "1.98", "0.022"), Rates("1.32", "3.96", "0.044")),
    *_glm(r"glm-5\.3", Rates(8, 28, 2, 0), Rates("1.4", "4.4", "0.26", 0)),
    *_glm(r"glm-5\.3-flash", Rates("0.8", "2.8", "0.23"), Rates("0.15", "0.5", "0.03")),
    *_glm(r"glm-5\.3-flashx", Rates(2, 7, "0.57")),
    _ark(r"doubao-seed-2[-.]1-pro(-\d+)?", Rates(6, 30, "1.2")),
    _ark(r"doubao-seed-2[-.]1-lite(-\d+)?", Rates("0.8", "2.7", "0.16")),
    _ark(r"doubao-seed-2[-.]1-turbo(-\d+)?", Rates(3, 15, "0.6")),
    _kimi(r"kimi-k3", Rates(3, 15, "0.30", 3, 6)),
    _kimi(r"kimi-k3\.1-pro", Rates(2, 10, "0.2", 2, 4)),
    _kimi(r"kimi-k3\.1-pro-highspeed|kimi-k3\.1-highspeed", Rates(4, 20, "0.2", 4, 8)),
    _kimi(r"kimi-k2\.6", Rates("0.95", 4, "0.16")),
    _kimi(r"kimi-k2\.7-code", Rates("0.95", 4, "0.19")),
    _qwen(r"qwen3\.8-max(-\d.*)?", Rates(2, 6, "0.25", "2.5")),
    _qwen(r"qwen3\.8-flash(-\d.*)?", Rates("0.15", "0.47", "0.016", "0.2")),
    _qwen(
        r"qwen3\.7-plus(-\d.*)?",
        Rates("0.4", "1.6", "0.08"),
        (256_000, Rates("1.2", "4.8", "0.24")),
    ),
    _gemini(_FLASH, Rates("0.75", "3.75", "0.075"), until=_NEW_YEAR),
    _gemini(_FLASH, Rates("1.50", "7.50", "0.15"), since=_NEW_YEAR),
    _gemini(r"gemini-3\.5-flash", Rates("1.5", 9, "0.15")),
    _gemini(r"gemini-3\.5-flash-lite", Rates("0.3", "2.5", "0.03")),
    _gemini(r"gemini-3\.1-flash-lite", Rates("0.25", "1.5", "0.025")),
    _gemini(r"gemini-3\.1-pro-preview", Rates(2, 12, "0.2"), long=(200_000, Rates(4, 18, "0.4"))),
    _claude(r"claude-sonnet-4-6.*", Rates(3, 15, "0.30", "3.75", 6)),
    _claude(r"claude-opus-4-6.*", Rates(5, 25, "0.5", "6.25", 10)),
    _claude(r"claude-haiku-4-5.*", Rates(1, 5, "0.1", "1.25")),
    _claude(r"claude-sonnet-5-5.*", Rates(2, 10, "0.1", "2.5")),
    _claude(r"claude-opus-5-5.*", Rates(4, 20, "0.2", 5)),
    _claude(
        r"claude-haiku-5-5.*",
        Rates("0.1", "0.5", "0.01", "0.125"),
        (100_000, Rates("0.5", "2.5", "0.05", "0.625")),
    ),
)
