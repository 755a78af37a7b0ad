"""Splitting, order, and responses that are not what was asked for."""

from __future__ import annotations

import base64
import json
import random
import struct
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import EmbeddingClient, errors
from aigc_kit.embedding import estimate, vectors
from aigc_kit.embedding.batches import Part, embed_all, in_order, plan
from aigc_kit.embedding.call import Call, CallOptions
from aigc_kit.embedding.rows import Model
from aigc_kit.sandbox import Sandbox
from tests.wire import AMPLE, Wire, body_of, http

TEXT = st.text(min_size=1, max_size=40).filter(lambda text: text.strip())


def call_of(texts: list[str], facts: Model, **options: Any) -> Call:
    call = Call.read(dict(options), CallOptions.read(), "m", "acme")
    call.take(texts, facts)
    return call


def vector(text: str) -> list[float]:
    return [float(sum(map(ord, text)) % 997) + 1, float(len(text)), 0.5]


def client_of(wire: Wire, **options: Any) -> EmbeddingClient:
    given = {"model": "m", "base_url": wire.url, "timeout": AMPLE, **options}
    return EmbeddingClient("openai_compat", **given)


@given(
    texts=st.lists(TEXT, max_size=40),
    limits=st.tuples(st.integers(1, 50), st.integers(0, 60), st.integers(1, 8)),
    batch_size=st.none() | st.integers(1, 50),
)
def test_any_split_gives_the_same_result(
    texts: list[str], limits: tuple[int, int, int], batch_size: int | None
) -> None:
    """Whatever the limits and the concurrency are, each text has its own vector in its own place."""
    most, tokens, concurrency = limits
    facts = Model(".*", 3, texts=most, tokens=tokens)
    call = call_of(texts, facts, concurrency=concurrency, batch_size=batch_size)

    def ask(portion: list[str], deadline: Any) -> Part:
        part = Part([array("d", vector(text)) for text in portion])
        part.usage.total_tokens = len(portion)
        return part

    result = embed_all(call, facts, ask)
    assert result.vectors == [vector(text) for text in texts]
    assert result.usage.total_tokens == len(texts)


@given(texts=st.lists(TEXT, max_size=60), most=st.integers(1, 9), tokens=st.integers(1, 60))
def test_requests_keep_the_limits(texts: list[str], most: int, tokens: int) -> None:
    """All places once and in order; no request above a limit, but for a single long text."""
    facts = Model(".*", 3, texts=most, tokens=tokens)
    batches = plan(texts, facts, call_of(texts, facts))
    assert [place for batch in batches for place in batch] == list(range(len(texts)))
    for batch in batches:
        spent = sum(estimate.at_most(texts[place]) for place in batch)
        assert len(batch) <= most
        assert spent <= tokens or len(batch) == 1


@pytest.mark.parametrize(
    ("places", "believed"),
    [
        ([0, 1, 2], [0, 1, 2]),
        ([2, 0, 1], [0, 1, 2]),
        ([None, None, None], [0, 1, 2]),
        ([0, 0, 2], [2]),
        ([0, 0, 0], []),
        ([0, 2], [0, 2]),
        ([None, None], []),
        ([0, 1, 2, 2], []),
        ([0, 1, 2, 3], []),
        ([0, 1, 5], [0, 1]),
        ([0, True, -1], [0]),
        ([0, "1", 2.0], [0]),
        ([0, {}, []], [0]),
        ([None, 1, 2], [1, 2]),
        ([1, 2, 3], [0, 1, 2]),
        ([3, 1, 2], [0, 1, 2]),
        ([1, 3], []),
        ([2, 3, 3], []),
        ([], []),
    ],
)
def test_a_place_is_believed_only_when_it_is_certain(
    places: list[Any], believed: list[int]
) -> None:
    """Doubled, foreign and missing places give no vector rather than another text's."""
    entries = [(place, [float(number), 1.0]) for number, place in enumerate(places)]
    found = in_order(entries, 3)
    assert [place for place, each in enumerate(found) if each is not None] == believed
    for first in (0, 1):
        if sorted(map(repr, places)) == [repr(first + place) for place in range(3)]:
            assert [each[0] for each in found if each is not None] == [
                float(places.index(first + place)) for place in range(3)
            ]


def respond(change: Any) -> Any:
    """A server whose responses to several texts are changed."""

    def script(request: bytes) -> list[bytes]:
        texts = body_of(request)["input"]
        data = [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
        if len(texts) > 1:
            data = change(data)
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return [http(200, {"data": data, "usage": usage})]

    return script


SHUFFLED = random.Random(7)
CHANGES = {
    "reordered": lambda data: SHUFFLED.sample(data, len(data)),
    "dropped": lambda data: data[:-2],
    "doubled": lambda data: [*data, data[0]],
    "merged": lambda data: data[:1],
    "all at place 0": lambda data: [{**entry, "index": 0} for entry in data],
    "no places": lambda data: [{"embedding": entry["embedding"]} for entry in data],
    "no places, one lost": lambda data: [{"embedding": e["embedding"]} for e in data[1:]],
    "a null": lambda data: [{**data[0], "embedding": None}, *data[1:]],
    "an empty vector": lambda data: [{**data[0], "embedding": []}, *data[1:]],
    "text for numbers": lambda data: [{**data[0], "embedding": ["a", "b", "c"]}, *data[1:]],
    "not a number": lambda data: [{**data[0], "embedding": [float("nan"), 1, 2]}, *data[1:]],
    "infinity": lambda data: [{**data[0], "embedding": [float("inf"), 1, 2]}, *data[1:]],
    "nothing": lambda data: [],
    "no list": lambda data: {"embedding": [1.0]},
    "other things": lambda data: [None, 5, "x", *data],
}


@pytest.mark.parametrize("change", CHANGES)
def test_servers_that_lose_or_mix_vectors(wire: Wire, change: str) -> None:
    """The right vectors all the same; where texts were sent again, a warning says so."""
    wire.scripts.append(respond(CHANGES[change]))
    texts = [f"text {number * 31}" for number in range(9)]
    with client_of(wire) as client:
        result = client.embed(texts)
    assert result.vectors == [vector(text) for text in texts]
    again = len(wire.requests) > 1
    assert (
        again == bool(result.warnings) == (change not in ("reordered", "no places", "other things"))
    )
    assert result.usage.total_tokens == sum(len(body_of(r)["input"]) for r in wire.requests)


@pytest.mark.parametrize(
    "embedding", [[], None, "!!!", "AAA=", ["a"], {}, [[1.0]], [float("nan")], [10**400]]
)
def test_a_single_text_without_a_vector_is_an_error(wire: Wire, embedding: Any) -> None:
    """With its place, and never a made-up vector."""
    raw = json.dumps({"data": [{"index": 0, "embedding": embedding}]}).encode()
    wire.script(http(200, raw))
    with client_of(wire) as client, pytest.raises(errors.InvalidReplyError) as caught:
        client.embed(["a"])
    assert caught.value.index == 0
    assert caught.value.result is None


def test_another_size_than_was_asked_for_is_an_error(wire: Wire) -> None:
    """Old models ignore ``dimensions`` without a word."""
    wire.scripts.append(respond(lambda data: data))
    with client_of(wire) as client, pytest.raises(errors.InvalidReplyError, match="dimensions=2"):
        client.embed(["a", "b"], dimensions=2)


def test_vectors_of_different_sizes_are_an_error(wire: Wire) -> None:
    """What came is in the error."""
    wire.scripts.append(respond(lambda data: [{**data[0], "embedding": [1.0]}, *data[1:]]))
    with (
        client_of(wire) as client,
        pytest.raises(errors.InvalidReplyError, match="different") as caught,
    ):
        client.embed(["a", "b"])
    assert caught.value.result.vectors[1] == vector("b")


def test_a_refused_size_is_halved(wire: Wire) -> None:
    """A server that takes fewer texts than its row says gets smaller requests."""

    def script(request: bytes) -> list[bytes]:
        texts = body_of(request)["input"]
        if len(texts) > 3:
            words = "batch size is invalid, it should not be larger than 3.: input.contents"
            return [http(400, {"error": {"message": words, "code": "InvalidParameter"}})]
        return list(respond(lambda data: data)(request))

    wire.scripts.append(script)
    texts = [f"t{number}" for number in range(17)]
    with client_of(wire) as client:
        result = client.embed(texts)
    assert result.vectors == [vector(text) for text in texts]
    assert {entry["feature"] for entry in result.warnings} == {"batch_size"}


def test_a_failure_carries_the_vectors_that_came(wire: Wire) -> None:
    """Those before it; the places without one are named, and a later call can ask for them alone."""

    def script(request: bytes) -> list[bytes]:
        if "bad" in body_of(request)["input"]:
            return [http(400, {"error": {"message": "no", "code": "x"}})]
        return list(respond(lambda data: data)(request))

    wire.scripts.append(script)
    texts = ["a", "b", "bad", "d"]
    with client_of(wire, batch_size=1, concurrency=1) as client:
        with pytest.raises(errors.BadRequestError) as caught:
            client.embed(texts)
        partial = caught.value.result
        assert partial.missing == [2, 3]
        assert partial.vectors[:2] == [vector("a"), vector("b")]
        assert caught.value.index == 2
        assert client.embed(["d"]).vectors == [vector("d")]


@pytest.mark.parametrize("concurrency", [1, 6])
def test_ten_thousand_texts_through_faults(sandbox: Sandbox, concurrency: int) -> None:
    """429, 500, resets and cut or slow bodies on the way: all come, each in its place."""
    texts = [f"text number {number}" for number in range(10_000)]
    options = {**sandbox.embedding_options("openai"), "model": "text-embedding-3-small"}
    with EmbeddingClient(
        "openai",
        timeout=AMPLE * 5,
        dimensions=8,
        batch_size=100,
        max_retries=30,
        concurrency=concurrency,
        **options,
    ) as client:
        for _ in range(4):
            sandbox.answer(429, {}, headers={"retry-after": "0"}, path="/embeddings", times=3)
            sandbox.answer(500, {}, headers={"retry-after": "0"}, path="/embeddings", times=2)
        for kind in ("cut body", "reset", "reset body", "close", "no length"):
            sandbox.fail(kind, at=100, path="/embeddings")
        result = client.embed(texts)
        assert (len(result), result.missing, result.dimensions) == (10_000, [], 8)
        assert result.attempts >= 100 + 20
        places = [0, 99, 100, 4_999, 9_999]
        alone = client.embed([texts[place] for place in places])
    assert alone.vectors == [result.vectors[place] for place in places]
    assert len({tuple(vector) for vector in result.vectors}) == 10_000


@pytest.mark.parametrize("form", ["plain", "unpadded", "wrapped", "url-safe"])
def test_base64_in_any_spelling(form: str) -> None:
    """The same numbers; a text that is not whole numbers is no vector."""
    numbers = [0.5, -1.25, 3e-5, 255.996]
    raw = struct.pack("<4f", *numbers)
    text = base64.b64encode(raw).decode()
    spelled = {
        "plain": text,
        "unpadded": text.rstrip("="),
        "wrapped": f"{text[:8]}\n{text[8:]}",
        "url-safe": base64.urlsafe_b64encode(raw).decode(),
    }[form]
    found = vectors.vector_of(spelled)
    assert found is not None
    assert found.tolist() == pytest.approx(numbers, rel=1e-6)
    assert vectors.vector_of(base64.b64encode(raw[:-1]).decode()) is None


def test_two_vectors_for_one_text_are_an_error(wire: Wire) -> None:
    """The first may be another text's."""
    data = [{"index": place, "embedding": [1.0, 2.0]} for place in (0, 1)]
    wire.script(http(200, {"data": data}))
    with client_of(wire) as client, pytest.raises(errors.InvalidReplyError, match="several"):
        client.embed(["a"])


@pytest.mark.parametrize("name", ["input", "texts", "inputText", "query", "documents"])
def test_texts_come_in_one_way_only(wire: Wire, name: str) -> None:
    """Others in ``extra_body`` would get the vectors of the call's texts."""
    wire.script(http(200, {}))
    with client_of(wire) as client, pytest.raises(errors.ConfigurationError, match=name):
        client.embed(["a"], extra_body={name: ["x", "y"]})
    assert wire.requests == []


def test_many_long_texts_are_one_warning(sandbox: Sandbox) -> None:
    """It names the first and says how many."""
    with EmbeddingClient("openai", **sandbox.embedding_options("openai")) as client:
        (warning,) = client.embed(["ok", *["word " * 5000] * 40]).warnings
    assert warning["details"].startswith(
        "texts[1] and 39 others may have more than the 8192 tokens"
    )


def test_a_failure_carries_lists_where_arrays_were_wanted(wire: Wire) -> None:
    """An array has no room for a vector that is missing."""
    wire.scripts.append(respond(lambda data: data))
    wire.script(http(400, {"error": {"message": "no"}}))
    with (
        client_of(wire, batch_size=1, concurrency=1) as client,
        pytest.raises(errors.BadRequestError) as caught,
    ):
        client.embed(["a", "b"], as_numpy=True)
    assert caught.value.result.vectors == [vector("a"), None]


# ---- what several responses came to


def numbered(*answers: tuple[str, int | None]) -> Any:
    """Answers of one vector each: (model, tokens, None where nothing is told)."""
    left = list(answers)

    def answer(request: Any) -> dict[str, Any]:
        model, tokens = left.pop(0)
        usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens}}
        return {"model": model, "data": [{"index": 0, "embedding": [0.5, 0.5]}], **usage}

    return answer


@pytest.mark.parametrize(
    ("models", "amount"),
    [
        (["small", "small"], "0.04"),
        (["small", "large"], "0.15"),
        (["small", None], None),
    ],
)
def test_each_request_has_its_own_price(
    sandbox: Sandbox, models: list[str | None], amount: str | None
) -> None:
    answers = [
        (f"text-embedding-3-{model or 'small'}", 1_000_000 if model else None) for model in models
    ]
    sandbox.answer(200, numbered(*answers), path="/embeddings", times=2)
    with EmbeddingClient(
        "openai", batch_size=1, concurrency=1, **sandbox.chat_options("openai")
    ) as client:
        cost = client.embed(["a", "b"]).cost
    assert (None if cost is None else str(cost.amount.normalize())) == amount


def test_one_wrong_vector_does_not_lose_those_behind_it(sandbox: Sandbox) -> None:
    data = [{"index": at, "embedding": [0.1] * size} for at, size in enumerate((4, 3, 4))]
    sandbox.answer(200, {"model": "m", "data": data}, path="/embeddings")
    with (
        EmbeddingClient("openai", dimensions=4, **sandbox.chat_options("openai")) as client,
        pytest.raises(errors.InvalidReplyError, match="with 3 numbers") as caught,
    ):
        client.embed(["a", "b", "c"])
    assert (caught.value.index, caught.value.result.missing) == (1, [1])


@pytest.mark.parametrize("name", ["apikey", "base_ur", "default_header"])
def test_a_misspelt_option_of_the_client_is_not_sent(sandbox: Sandbox, name: str) -> None:
    with (
        EmbeddingClient("openai", **sandbox.chat_options("openai")) as client,
        pytest.raises(errors.ConfigurationError, match="did you mean"),
    ):
        client.embed(["a"], **{name: "sk-live-secret"})
    assert sandbox.requests == []


@pytest.mark.parametrize("provider", ["gemini", "bedrock"])
def test_base64_of_a_vendor_without_it_is_refused_for_a_call_too(
    sandbox: Sandbox, provider: str
) -> None:
    with (
        EmbeddingClient(provider, **sandbox.chat_options(provider)) as client,
        pytest.raises(errors.UnsupportedFeatureError, match="encoding_format='base64'"),
    ):
        client.embed(["a"], encoding_format="base64")
    assert sandbox.requests == []


def test_one_vector_for_several_texts_is_nobodys(sandbox: Sandbox) -> None:
    """A gateway of Gemini merges the texts of a request, and says ``index: 0``."""

    def merged(request: Any) -> dict[str, Any]:
        count = len(request.body["input"])
        data = [{"index": 0, "embedding": [float(count), 1.0]}]
        return {"model": "m", "data": data, "usage": {"prompt_tokens": 2}}

    sandbox.answer(200, merged, path="/embeddings", times=None)
    with EmbeddingClient("openai", **sandbox.chat_options("openai")) as client:
        assert client.embed(["a", "b", "c"]).vectors == [[1.0, 1.0]] * 3
