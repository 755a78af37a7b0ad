"""Every result says what it cost: chat, streams, tool loops, images, embeddings."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aigc_kit import ChatClient, EmbeddingClient, ImageClient, errors
from aigc_kit.prices import cost_of_image
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.vendor import (
    ASK,
    TOOLS,
    USAGE_CHUNK,
    Vendor,
    ask,
    calling,
    completion,
    converse_response,
    delta,
    events,
    json_response,
)
from tests.wire import Wire, http

TOKENS = {"prompt_tokens": 1000, "completion_tokens": 100}


def priced(model: str, usage: Any = None, **fields: Any) -> Any:
    response = completion("ok", usage={**TOKENS, **(usage or {})})
    body = json.loads(response.body) | {"model": model, **fields}
    return type(response)(json.dumps(body).encode())


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_says_what_it_cost(stream: bool) -> None:
    named = {"model": "gpt-6-sol", "service_tier": "flex"}
    last = {**USAGE_CHUNK, **named, "usage": TOKENS}
    streamed = events({**delta(content="ok"), **named}, {**delta("stop"), **named}, last)
    with Vendor(streamed if stream else priced(**named)) as vendor:
        result = ask(vendor.client("openai", model="gpt-6-sol", api="chat"), stream=stream)
    assert result.cost.amount == Decimal("0.0015")


def test_cached_and_written_tokens_have_their_own_price() -> None:
    details = {"cached_tokens": 400, "cache_write_tokens": 500}
    with Vendor(priced("gpt-6-sol", {"prompt_tokens_details": details})) as vendor:
        result = vendor.client("openai", model="gpt-6-sol", api="chat").chat(ASK)
    assert (result.usage.cached_tokens, result.usage.cache_write_tokens) == (400, 500)
    # 100 x 2 + 400 x 0.20 + 500 x 2.5 + 100 x 10, for a million
    assert result.cost.amount == Decimal("0.00253")
    assert (result.cost.currency, result.cost.as_of) == ("USD", "2026-11-25")
    assert json.loads(json.dumps(result.cost))["amount"] == 0.00253


@pytest.mark.parametrize(
    ("provider", "usage"),
    [
        ("openai", {"cache_write_tokens_details": {"ttl_30m_tokens": 200, "ttl_12h_tokens": 300}}),
        ("openai", {"cache_write_tokens_details": "odd"}),
    ],
)
def test_a_cache_of_the_longer_lifetime_costs_more(provider: str, usage: dict[str, Any]) -> None:
    details = {"cached_tokens": 400, "cache_write_tokens": 500, **usage}
    with Vendor(priced("gpt-6-sol", {"prompt_tokens_details": details})) as vendor:
        result = vendor.client(provider, model="gpt-6-sol", api="chat").chat(ASK)
    long = result.usage.cache_write_long_tokens
    assert long == (300 if isinstance(usage["cache_write_tokens_details"], dict) else 0)
    assert result.cost.amount == Decimal("0.00253") + long * Decimal("0.0000025")


def test_bedrock_counts_its_cache_apart() -> None:
    usage = {
        "inputTokens": 100,
        "outputTokens": 0,
        "cacheReadInputTokens": 1000,
        "cacheWriteInputTokens": 1000,
        "totalTokens": 2100,
    }
    with Vendor(converse_response("ok", usage=usage)) as vendor:
        result = vendor.client("bedrock").chat(ASK)
    assert result.usage.prompt_tokens == 2100
    assert result.cost.amount == Decimal("0.00435")


def test_a_tool_loop_costs_all_of_its_turns() -> None:
    called = calling(usage=TOKENS)
    body = json.loads(called.body) | {"model": "gpt-6-sol"}
    first = type(called)(json.dumps(body).encode())
    with Vendor(first, priced("gpt-6-sol")) as vendor:
        client = vendor.client("openai", model="gpt-6-sol", api="chat")
        result = client.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, args: "sunny")
    assert [request.cost.amount for request in result.requests] == [Decimal("0.003")] * 2
    assert result.cost.amount == Decimal("0.006")


class Person(BaseModel):
    name: str


def test_a_repair_is_paid_for_too() -> None:
    right = json.loads(priced("gpt-6-sol").body)
    right["choices"][0]["message"]["content"] = '{"name": "A"}'
    wrong = priced("gpt-6-sol")
    with Vendor(wrong, type(wrong)(json.dumps(right).encode())) as vendor:
        client = vendor.client("openai", model="gpt-6-sol", api="chat")
        result = client.chat(ASK, response_format=Person)
    assert result.cost.amount == Decimal("0.006")


def test_no_usage_is_no_cost_and_a_reported_one_is_taken() -> None:
    with Vendor(completion("ok", usage=None), completion("ok", usage={"cost": 0.5})) as vendor:
        client = vendor.client("openai", model="gpt-6-sol", api="chat")
        assert client.chat(ASK).cost is None
        assert client.chat(ASK).cost.amount == Decimal("0.5")


def image_client(sandbox: Sandbox, provider: str, tmp_path: Path, **options: Any) -> ImageClient:
    store = LocalStorage(tmp_path / "store", base_url="https://cdn.example.com")
    given = {**sandbox.image_options(provider), "storage": store, "max_retries": 0, **options}
    return ImageClient(provider, **given)


def test_an_image_says_what_it_cost(sandbox: Sandbox, tmp_path: Path) -> None:
    with image_client(sandbox, "volcengine", tmp_path) as client:
        result = client.text_to_image("猫")
    assert result.metadata["cost"] == {
        "amount": 0.25,
        "currency": "CNY",
        "source": "https://www.volcengine.com/docs/82379/1544106",
        "as_of": "2026-11-25",
    }
    assert result.cost.amount == Decimal("0.25")
    assert result.usage["generated_images"] == 1


def test_an_image_that_is_found_again_costs_nothing_now(sandbox: Sandbox, tmp_path: Path) -> None:
    with image_client(sandbox, "gemini", tmp_path) as client:
        paid = client.text_to_image("cat", idempotency_key="k")
        found = client.text_to_image("cat", idempotency_key="k")
    assert paid.cost is not None
    assert found.cost is None


def test_the_journal_knows_what_an_image_was_bought_for(sandbox: Sandbox, tmp_path: Path) -> None:
    with image_client(sandbox, "gemini", tmp_path, spool_dir=tmp_path / "spool") as client:
        paid = client.text_to_image("cat", idempotency_key="k")
        found = client.text_to_image("cat", idempotency_key="k")
    assert found.cost is None
    assert found.metadata["bought_for"] == paid.cost


def test_without_a_usage_an_image_of_tokens_has_an_upper_bound() -> None:
    cost = cost_of_image("openai", "gpt-image-2", pixels=1024 * 1024)
    assert str(cost) == "at most 0.211 USD"
    assert str(cost_of_image("glm", "glm-image", pixels=1024 * 1024)) == "0.1 CNY"


def test_an_unknown_outcome_may_have_cost_so_much(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("close", times=2)
    with image_client(sandbox, "volcengine", tmp_path, spool_dir=tmp_path / "spool") as client:
        with pytest.raises(errors.OutcomeUnknownError) as first:
            client.text_to_image("cat", idempotency_key="k")
        with pytest.raises(errors.OutcomeUnknownError) as again:
            client.text_to_image("cat", idempotency_key="k")
    for failure in (first.value, again.value):
        assert str(failure.cost) == "at most 0.25 CNY"


@pytest.mark.parametrize("end", [{"status": "Content Moderated"}, {"status": "Pending"}])
def test_a_price_known_at_submission_is_the_bound_of_an_open_task(
    wire: Wire, end: dict[str, Any]
) -> None:
    wire.script(http(200, {"id": "t1", "cost": 4, "polling_url": f"{wire.url}/get_result?id=t1"}))
    wire.script(http(200, end))
    options = {"api_key": "k" * 20, "base_url": wire.url, "max_retries": 0, "timeout": 0.9}
    with ImageClient("bfl", **options) as client, pytest.raises(errors.ProviderError) as failure:
        client.text_to_image("cat")
    assert str(failure.value.cost) == "at most 0.04 USD"


def test_what_was_refused_has_no_cost(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.answer(400, {"error": {"code": "InvalidParameter", "message": "no"}})
    refused = pytest.raises(errors.BadRequestError)
    with image_client(sandbox, "volcengine", tmp_path) as client, refused as failure:
        client.text_to_image("cat")
    assert failure.value.cost is None


def test_embeddings_say_what_they_cost(sandbox: Sandbox) -> None:
    with EmbeddingClient("openai", **sandbox.embedding_options("openai")) as client:
        result = client.embed(["a", "b"])
    assert result.cost.amount == Decimal(result.usage.total_tokens) * Decimal("0.02") / 1_000_000


def test_a_vendor_that_nobody_knows_has_no_cost(sandbox: Sandbox) -> None:
    with ChatClient("openai_compat", model="m", **sandbox.chat_options("openai_compat")) as client:
        assert client.chat(ASK).cost is None


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10},
        {"prompt_tokens": 10, "completion_tokens": None},
        {"completion_tokens": 10},
        {},
    ],
)
def test_half_a_usage_is_no_cost(usage: dict[str, Any]) -> None:
    """The answer has text, whose tokens nobody counted; they are the dear half."""
    body = json.loads(completion("a long answer", usage=usage).body) | {"model": "gpt-6-sol"}
    with Vendor(json_response(body)) as vendor:
        assert vendor.client("openai", model="gpt-6-sol", api="chat").chat(ASK).cost is None


def test_a_cost_that_cannot_be_reckoned_ends_no_paid_call(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("my table")

    monkeypatch.setattr("aigc_kit.prices.cost_of_image", broken)
    options = {**sandbox.image_options("gemini"), "storage": LocalStorage(tmp_path)}
    with ImageClient("gemini", **options) as client:
        result = client.text_to_image("a cat")
    assert result.url
    assert [each["feature"] for each in result.metadata["warnings"]] == ["cost"]
