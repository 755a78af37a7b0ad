"""Prices: exact, dated, in the bill's own currency; None where it is unknown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import prices
from aigc_kit.errors import ConfigurationError
from aigc_kit.prices import Cost, ImagePrice, Price, Rates, cost_of_image, cost_of_tokens, summed
from aigc_kit.prices.embeddings import EMBEDDINGS
from aigc_kit.prices.images import IMAGES
from aigc_kit.prices.price import check
from aigc_kit.prices.tokens import TOKENS

MILLION = 1_000_000
MONDAY_MORNING = datetime(2026, 11, 23, 2, tzinfo=UTC)
SATURDAY_MORNING = datetime(2026, 11, 28, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def none_is_added() -> Iterator[None]:
    yield
    prices.forget_added()


def amount(provider: str, model: str, **options: Any) -> tuple[Decimal, str] | None:
    cost = cost_of_tokens(provider, model, **options)
    return None if cost is None else (cost.amount, cost.currency)


@pytest.mark.parametrize(
    ("provider", "model", "spent", "expected"),
    [
        ("openai", "gpt-6-luna", {"prompt": MILLION // 10}, ("0.01", "USD")),
        ("openai", "gpt-6-luna", {"prompt": 0, "completion": MILLION}, ("0.50", "USD")),
        # 300,000 tokens: the whole request is at the higher rate.
        ("openai", "gpt-6-luna", {"prompt": 300_000}, ("0.06", "USD")),
        ("openai", "gpt-6.1-sol", {"prompt": 1000, "cached": 1000}, ("0.0001", "USD")),
        ("openai", "gpt-6-sol", {"prompt": 1000, "written": 1000}, ("0.0025", "USD")),
        ("openai", "gpt-6-sol-2026-10-01", {"prompt": 1000}, ("0.002", "USD")),
        ("glm", "glm-5.3", {"prompt": MILLION, "completion": MILLION}, ("36", "CNY")),
        ("zhipu", "GLM-5.3", {"prompt": MILLION}, ("8", "CNY")),
        ("doubao", "doubao-seed-2-1-pro-260915", {"prompt": MILLION}, ("6", "CNY")),
        ("kimi", "kimi-k3", {"prompt": MILLION, "written": MILLION}, ("3", "USD")),
        ("bedrock", "global.anthropic.claude-sonnet-4-6", {"prompt": MILLION}, ("3", "USD")),
        ("bedrock", "us.anthropic.claude-sonnet-4-6", {"prompt": MILLION}, ("3.3", "USD")),
        ("bedrock", "anthropic.claude-haiku-4-5-v1:0", {"prompt": MILLION}, ("1.1", "USD")),
        ("google", "models/gemini-3.5-flash", {"prompt": MILLION}, ("1.5", "USD")),
    ],
)
def test_tokens_cost_what_the_list_says(
    provider: str, model: str, spent: dict[str, int], expected: tuple[str, str]
) -> None:
    assert amount(provider, model, **spent) == (Decimal(expected[0]), expected[1])


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://open.bigmodel.cn/api/paas/v4", (Decimal(8), "CNY")),
        ("https://api.z.ai/api/paas/v4", (Decimal("1.4"), "USD")),
    ],
)
def test_the_region_decides_the_currency(base_url: str, expected: tuple[Decimal, str]) -> None:
    assert amount("glm", "glm-5.3", prompt=MILLION, base_url=base_url) == expected
    assert amount("openai_compat", "glm-5.3", prompt=MILLION, base_url=base_url) == expected


def test_a_relay_without_a_name_has_no_price() -> None:
    assert amount("openai_compat", "gpt-6-luna", prompt=9, base_url="https://relay.cn/v1") is None


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (MONDAY_MORNING, "0.30"),
        (MONDAY_MORNING.replace(hour=4), "0.15"),
        (MONDAY_MORNING.replace(hour=6), "0.30"),
        (MONDAY_MORNING.replace(hour=10), "0.15"),
        (SATURDAY_MORNING, "0.15"),
    ],
)
def test_the_moment_of_the_request_decides_at_peak_hours(at: datetime, price: str) -> None:
    assert amount("deepseek", "deepseek-flash", prompt=MILLION, at=at) == (Decimal(price), "USD")


def test_a_price_that_changes_holds_from_its_day_on() -> None:
    last, first = datetime(2026, 12, 31, 12, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert amount("gemini", "gemini-3.8-flash", prompt=MILLION, at=last) == (Decimal("0.75"), "USD")
    assert amount("gemini", "gemini-3.8-flash", prompt=MILLION, at=first) == (Decimal("1.5"), "USD")


@pytest.mark.parametrize(
    ("tier", "price"), [("flex", "1"), ("batch", "1"), ("priority", "4"), ("default", "2")]
)
def test_the_tier_of_the_response_counts(tier: str, price: str) -> None:
    cost = amount("openai", "gpt-6-sol", prompt=100_000, tier=tier)
    assert cost == (Decimal(price) / 10, "USD")


@pytest.mark.parametrize(
    ("provider", "model", "spent"),
    [
        ("openai", "a-model-of-tomorrow", {"prompt": 5}),
        ("my-vendor", "m", {"prompt": 5}),
        ("openai", "gpt-6-luna", {"prompt": 0}),
        ("openai", "gpt-6-luna", {"prompt": 5, "tier": "a-tier-of-tomorrow"}),
        ("deepseek", "deepseek-flash", {"prompt": 5, "tier": "priority"}),
        ("bedrock", "anthropic.claude-haiku-4-5", {"prompt": 5, "written": 5, "written_long": 5}),
        ("dashscope", "qwen3.8-max", {"prompt": 5}),
    ],
)
def test_what_nobody_knows_is_none_and_not_zero(
    provider: str, model: str, spent: dict[str, int]
) -> None:
    assert amount(provider, model, **spent) is None


def test_what_a_gateway_reports_comes_first() -> None:
    cost = cost_of_tokens("openrouter", "openai/gpt-6-luna", prompt=5, reported=0.00123)
    assert cost is not None
    assert (cost.amount, cost.currency, cost.source) == (
        Decimal("0.00123"),
        "USD",
        "reported by openrouter",
    )


def test_an_application_adds_and_replaces_prices() -> None:
    prices.add(Price(provider="my-vendor", models="m.*", rates=Rates(10, 20), currency="CNY"))
    prices.add(Price(provider="openai", models="gpt-6-luna", rates=Rates(1), source="contract"))
    assert amount("my-vendor", "m1", prompt=MILLION, completion=MILLION) == (Decimal(30), "CNY")
    assert amount("openai", "gpt-6-luna", prompt=MILLION) == (Decimal(1), "USD")
    prices.add(Price(provider="openai", models="gpt-6-luna", rates=Rates(2)))
    assert amount("openai", "gpt-6-luna", prompt=MILLION) == (Decimal(2), "USD")
    with pytest.raises(ConfigurationError, match="Price or an ImagePrice"):
        prices.add({"provider": "x"})  # type: ignore[arg-type]


TOKEN = {"provider": "p", "models": "m", "rates": Rates("1")}
IMAGE = {"provider": "p", "models": "m", "each": ((None, "0.2"),)}


@pytest.mark.parametrize(
    ("kind", "row", "says"),
    [
        (Price, {**TOKEN, "models": "m(4|5"}, "models must be a regular expression"),
        (ImagePrice, {**IMAGE, "models": None}, "models must be a regular expression"),
        (Price, {**TOKEN, "rates": {"input": "2"}}, "rates must be Rates"),
        (Price, {**TOKEN, "rates": Rates("2,5")}, "rates.input must be a number"),
        (Price, {**TOKEN, "rates": Rates("-2")}, "rates.input must be a number"),
        (Price, {**TOKEN, "rates": Rates("1", 0.1)}, "rates.output must be a number"),
        (Price, {**TOKEN, "long": (5, Rates("nan"))}, "long.input must be a number"),
        (Price, {**TOKEN, "factors": {"flex": "half"}}, "factors"),
        (Price, {**TOKEN, "currency": "cny"}, "currency must be three letters"),
        (Price, {**TOKEN, "provider": " "}, "provider must be the name"),
        (ImagePrice, {**IMAGE, "each": ((None, "x"),)}, "each must be a number"),
        (ImagePrice, {**IMAGE, "most": "-1"}, "most must be a number"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_when_it_is_added(
    kind: Any, row: dict[str, Any], says: str
) -> None:
    """It would be looked at behind a payment."""
    with pytest.raises(ConfigurationError, match=says):
        prices.add(kind(**row))


def test_every_row_of_this_package_makes_sense() -> None:
    for row in (*TOKENS, *IMAGES, *EMBEDDINGS):
        check(row)


def test_a_library_knows_models_that_this_package_does_not() -> None:
    cost = cost_of_tokens("openai", "gpt-4o", prompt=1000, completion=10)
    assert cost is not None
    assert cost.source.startswith("genai-prices ")
    assert cost.amount > 0


def image(provider: str, model: str, **options: Any) -> Decimal | None:
    cost = cost_of_image(provider, model, **options)
    return None if cost is None else cost.amount


@pytest.mark.parametrize(
    ("provider", "model", "facts", "price"),
    [
        ("volcengine", "doubao-seedream-4-5-251128", {"pixels": 2048 * 2048}, "0.25"),
        ("doubao", "bytedance/seedream-4.5", {}, "0.25"),
        ("volcengine", "doubao-seedream-5-5-261101", {"pixels": 1024 * 1024}, "0.020"),
        ("volcengine", "doubao-seedream-5-5-261101", {"pixels": 2048 * 2048}, "0.035"),
        ("volcengine", "doubao-seedream-5-5", {"pixels": 9, "references": 2}, "0.036"),
        ("volcengine", "doubao-seedream-5-0-pro", {"pixels": 9, "references": 3}, "0.051"),
        ("gemini", "gemini-3-pro-image", {"pixels": 1024 * 1024}, "0.134"),
        ("gemini", "gemini-3-pro-image", {}, "0.77"),
        ("gemini", "gemini-3-pro-image", {"pixels": 4096 * 4096}, "0.77"),
        ("openai", "gpt-image-2", {"pixels": 1024 * 1024}, "0.211"),
        ("openai", "gpt-image-2", {"pixels": 2048 * 2048}, "1.84"),
        (
            "gemini",
            "gemini-3-pro-image",
            {"usage": {"promptTokenCount": 1000, "candidatesTokenCount": 1120}},
            "0.1364",
        ),
        (
            "openai",
            "gpt-image-2.6-flare",
            {
                "usage": {
                    "input_tokens": 1100,
                    "output_tokens": 1000,
                    "input_tokens_details": {"text_tokens": 100, "image_tokens": 1000},
                }
            },
            "0.0385",
        ),
        ("openai", "gpt-image-2", {"usage": {"output_tokens": 2000}, "images": 2}, "0.03"),
        ("glm", "glm-image", {}, "0.1"),
    ],
)
def test_images_cost_what_the_list_says(
    provider: str, model: str, facts: dict[str, Any], price: str
) -> None:
    assert image(provider, model, **facts) == Decimal(price)


def test_an_image_of_unknown_size_costs_the_most() -> None:
    assert image("volcengine", "doubao-seedream-5-5") == Decimal("0.035")


def test_an_image_without_a_price_is_none() -> None:
    assert image("siliconflow", "Qwen/Qwen-Image") is None
    prices.add(ImagePrice(provider="siliconflow", models="qwen-image", each=((None, "0.3"),)))
    assert image("siliconflow", "Qwen/Qwen-Image") == Decimal("0.3")


def test_a_cost_is_json_and_exact() -> None:
    cost = Cost(Decimal("0.0123"), "CNY", source="s", as_of="2026-11-25", upper_bound=True)
    assert json.loads(json.dumps(cost)) == {
        "amount": 0.0123,
        "currency": "CNY",
        "source": "s",
        "as_of": "2026-11-25",
        "upper_bound": True,
    }
    for copy in (Cost.read(json.loads(json.dumps(cost))), pickle.loads(pickle.dumps(cost))):
        assert copy == cost
        assert copy is not None
        assert (copy.amount, copy.upper_bound, str(copy)) == (
            Decimal("0.0123"),
            True,
            "at most 0.0123 CNY",
        )


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_sums_do_not_drift(parts: list[int]) -> None:
    costs = [Cost(Decimal(part) / MILLION, "USD", source="s", as_of="d") for part in parts]
    total = summed(costs)
    assert total is not None
    assert total.amount * MILLION == sum(parts)


def test_nothing_is_converted_and_an_unknown_part_makes_the_sum_unknown() -> None:
    yuan = Cost(Decimal(1), "CNY", source="s", as_of="d")
    dollars = Cost(Decimal(1), "USD", source="s", as_of="d")
    assert summed([yuan, dollars]) is None
    assert summed([yuan, None]) is None
    assert summed([]) is None


def test_every_row_has_a_source_and_a_day() -> None:
    for row in (*TOKENS, *IMAGES):
        assert row.source
        assert date.fromisoformat(row.as_of) <= date(2026, 11, 26)


@pytest.mark.parametrize("own", [Context(prec=4), Context(traps=[Inexact])])
def test_the_applications_decimal_context_changes_no_cost(own: Context) -> None:
    with localcontext(own):
        tokens = cost_of_tokens("openai", "gpt-6-sol", prompt=123_457, completion=779)
        image = cost_of_image("openai", "gpt-image-2", usage={"output_tokens": 4163}, images=3)
        total = summed([tokens, tokens])
    assert tokens is not None
    assert tokens.amount == Decimal("0.254704")
    assert total is not None
    assert total.amount == Decimal("0.509408")
    assert str(total) == "0.509408 USD"
    assert image is not None
    assert image["amount"] == 0.04163


@pytest.mark.parametrize("amount", [True, float("nan"), float("inf"), 10**400, Decimal("sNaN"), -1])
def test_a_reported_amount_that_is_no_money_is_not_believed(amount: Any) -> None:
    assert cost_of_tokens("openrouter", "unheard-of", prompt=1, reported=amount) is None


def test_an_amount_beyond_reason_is_json_or_none() -> None:
    huge = cost_of_tokens("openai", "gpt-6-sol", prompt=10**25)
    assert huge is not None
    assert json.loads(json.dumps(huge, allow_nan=False))["amount"] > 10**19
    assert cost_of_tokens("openai", "gpt-6-sol", prompt=10**400) is None
    assert cost_of_tokens("openai", "gpt-6-sol", prompt=5, completion=-9) is None
    assert Cost.read({"amount": True}) is None
    assert Cost.read({"amount": float("nan")}) is None


@pytest.mark.parametrize("alias", ["doubao", "ark", "google", "qwen", "kimi"])
def test_an_own_price_may_name_the_vendor_by_an_alias(alias: str) -> None:
    prices.add(Price(provider=alias, models="mine", rates=Rates(2)))
    assert amount(alias, "mine", prompt=MILLION) == (Decimal(2), "USD")


def test_words_and_thoughts_beside_an_image_cost_what_text_costs() -> None:
    usage: dict[str, Any] = {"candidatesTokenCount": 1620, "thoughtsTokenCount": 2000}
    usage["candidatesTokensDetails"] = [
        {"modality": "IMAGE", "tokenCount": 1120},
        {"modality": "TEXT", "tokenCount": 500},
        "unheard-of",
    ]
    cost = cost_of_image("gemini", "gemini-3-pro-image", usage=usage)
    assert cost is not None
    assert cost.amount == Decimal("0.1344") + Decimal("0.006") + Decimal("0.024")


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        # 3840x2160 at "max", three partial images, sixteen references
        ("openai", "gpt-image-2.5-flare", {"input_tokens": 30_000, "output_tokens": 55_900}),
        ("openai", "gpt-image-1.5", {"input_tokens": 30_000, "output_tokens": 6_500}),
        ("openai", "gpt-image-1-mini", {"input_tokens": 30_000, "output_tokens": 6_500}),
        # 4K, and thoughts up to the limit of an answer
        (
            "gemini",
            "gemini-3-pro-image",
            {
                "promptTokenCount": 9_000,
                "candidatesTokenCount": 2_000,
                "thoughtsTokenCount": 30_000,
            },
        ),
        (
            "gemini",
            "gemini-3.1-flash-image",
            {
                "promptTokenCount": 16_000,
                "candidatesTokenCount": 2_520,
                "thoughtsTokenCount": 30_000,
            },
        ),
        (
            "gemini",
            "gemini-2.5-flash-image",
            {"promptTokenCount": 30_000, "candidatesTokenCount": 32_768},
        ),
        (
            "gemini",
            "gemini-3.1-flash-lite-image",
            {"promptTokenCount": 30_000, "candidatesTokenCount": 4_096},
        ),
    ],
)
def test_an_unknown_outcome_costs_no_less_than_the_dearest_image(
    provider: str, model: str, usage: dict[str, Any]
) -> None:
    dearest = prices.cost_of_image(provider, model, usage=usage)
    bound = prices.cost_of_image(provider, model, upper_bound=True)
    assert dearest is not None
    assert bound is not None
    assert bound.upper_bound
    assert dearest.amount <= bound.amount <= 3 * dearest.amount
    more = prices.cost_of_image(provider, model, references=16, upper_bound=True)
    assert more is not None
    assert more.amount >= bound.amount


@pytest.mark.parametrize(
    ("model", "home", "price", "currency"),
    [
        ("doubao-seedream-5-0-260128", True, "0.22", "CNY"),
        ("seedream-5-0-260128", False, "0.035", "USD"),
        ("dola-seedream-5-0-pro-260628", False, "0.09", "USD"),
        ("dola-seedream-5-0-flash-260915", False, "0.018", "USD"),
    ],
)
def test_ids_of_seedream_have_their_price(
    model: str, home: bool, price: str, currency: str
) -> None:
    host = "ark.cn-beijing.volces.com" if home else "ark.ap-southeast.bytepluses.com"
    cost = cost_of_image("volcengine", model, pixels=2048 * 2048, base_url=f"https://{host}/api/v3")
    assert cost is not None
    assert (cost.amount, cost.currency) == (Decimal(price), currency)


def test_text_beside_an_image_of_openai_has_its_own_rate() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 0},
        "output_tokens": 1100,
        "output_tokens_details": {"text_tokens": 1000, "image_tokens": 100},
    }
    cost = cost_of_image("openai", "gpt-image-1.5", usage=usage)
    assert cost is not None
    assert cost.amount == Decimal("0.0137")


@pytest.mark.parametrize("place", ["us", "ca", "in", "au"])
def test_a_regional_profile_of_bedrock_has_the_price_of_its_model(place: str) -> None:
    model = "anthropic.claude-sonnet-4-6"
    regional = cost_of_tokens("bedrock", f"{place}.{model}", prompt=1000)
    world = cost_of_tokens("bedrock", f"global.{model}", prompt=1000)
    assert regional is not None
    assert world is not None
    assert regional.amount == world.amount * Decimal("1.1")
