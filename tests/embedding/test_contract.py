"""
What every embedding provider does, over real sockets against the sandbox speaking its wire: a row
for each vendor and form, a test for each capability.
"""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy
import pytest
from google.oauth2.credentials import Credentials

from aigc_kit import EmbeddingClient, errors
from aigc_kit.embedding import client as registry
from aigc_kit.sandbox import Sandbox
from aigc_kit.vendors import ALIASES
from tests.wire import AMPLE


@dataclass(frozen=True)
class Row:
    """
    ``size``: of a vector when nothing is asked; ``shorter``: one that may be asked, 0 for none.
    ``tells_kinds``: a query has another vector than a document. ``ranks``: it has rerank.
    """

    provider: str
    size: int
    shorter: int = 0
    tells_kinds: bool = False
    ranks: bool = False
    options: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "openai": Row("openai", 1536, 256),
    "openai large": Row("openai", 3072, 256, options={"model": "text-embedding-3-large"}),
    "openai base64": Row("openai", 1536, 256, options={"encoding_format": "base64"}),
    "openai ada": Row("openai", 1536, options={"model": "text-embedding-ada-002"}),
    "dashscope": Row("dashscope", 1024, 256, tells_kinds=True, ranks=True),
    "dashscope vl": Row(
        "dashscope", 1024, 256, ranks=True, options={"model": "qwen3-vl-embedding"}
    ),
    "volcengine": Row("volcengine", 2048, 1024),
    "volcengine text": Row(
        "volcengine", 2048, 512, options={"model": "doubao-embedding-large-text-250515"}
    ),
    "glm": Row("glm", 2048, 256, ranks=True),
    "glm 2": Row("glm", 1024, ranks=True, options={"model": "embedding-2"}),
    "siliconflow": Row("siliconflow", 4096, 256, tells_kinds=True, ranks=True),
    "siliconflow bge": Row("siliconflow", 1024, ranks=True, options={"model": "BAAI/bge-m3"}),
    "openai_compat": Row("openai_compat", 384, options={"model": "local"}),
    "gemini vertex": Row("gemini", 3072, 768, tells_kinds=True),
    "gemini vertex 2": Row(
        "gemini", 3072, 768, tells_kinds=True, options={"model": "gemini-embedding-2"}
    ),
    "gemini vertex 005": Row("gemini", 768, 256, True, options={"model": "text-embedding-005"}),
    "gemini developer": Row("gemini", 3072, 768, tells_kinds=True),
    "gemini developer 2": Row(
        "gemini", 3072, 768, tells_kinds=True, options={"model": "gemini-embedding-2"}
    ),
    "bedrock titan": Row("bedrock", 1024, 256, ranks=True),
    "bedrock cohere": Row(
        "bedrock", 1536, 256, True, True, options={"model": "us.cohere.embed-v4:0"}
    ),
    "bedrock cohere 3": Row(
        "bedrock", 1024, 0, True, True, options={"model": "cohere.embed-multilingual-v3"}
    ),
    "bedrock nova": Row(
        "bedrock",
        3072,
        256,
        True,
        True,
        options={"model": "amazon.nova-2-multimodal-embeddings-v1:0"},
    ),
}
NAMES = {"openai_compat": {"model": "any-rerank"}}
TEXTS = [f"text {number}, 第{number}段" for number in range(23)]


def options_of(name: str, sandbox: Sandbox) -> dict[str, Any]:
    row = ROWS[name]
    if "developer" in name:
        return {"api_key": sandbox.api_key, "base_url": sandbox.url, **row.options}
    return {**sandbox.embedding_options(row.provider), **row.options}


def made(name: str, sandbox: Sandbox, **options: Any) -> EmbeddingClient:
    given = {"timeout": AMPLE, **options_of(name, sandbox), **options}
    return EmbeddingClient(ROWS[name].provider, **given)


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(row: str, sandbox: Sandbox) -> Iterator[EmbeddingClient]:
    with made(row, sandbox) as client:
        yield client


def test_no_provider_is_without_a_row() -> None:
    """A registered provider is in this table."""
    registry._ensure_registered()
    own = {
        name
        for name, home in registry.registry.items()
        if isinstance(home, str) and home.startswith("aigc_kit.")
    }
    named = {{"google": "gemini", **ALIASES}.get(name, name) for name in own}
    assert named == {each.provider for each in ROWS.values()}


def test_one_vector_for_each_text_in_order(client: EmbeddingClient, row: str) -> None:
    """Each alone has the same vector as among the others; nothing is lost, mixed or merged."""
    result = client.embed(TEXTS)
    assert len(result) == len(TEXTS)
    assert result.missing == []
    assert {len(vector) for vector in result.vectors} == {result.dimensions} == {ROWS[row].size}
    assert len({tuple(vector) for vector in result.vectors}) == len(TEXTS)
    for place in (0, 11, 22):
        alone = client.embed([TEXTS[place]])
        assert alone.vectors[0] == pytest.approx(result.vectors[place], abs=1e-6)


def test_what_a_result_says(client: EmbeddingClient, row: str) -> None:
    """Usage is the sum of the requests; the provider and the model are named."""
    result = client.embed(TEXTS)
    assert result.provider == ROWS[row].provider == client.provider.name
    assert result.model
    one = sum(client.embed([text]).usage.total_tokens for text in TEXTS[:3])
    assert client.embed(TEXTS[:3]).usage.total_tokens == one > 0
    assert result.usage.prompt_tokens == result.usage.total_tokens
    assert result.attempts == result.metadata["requests"] >= 1
    assert result.warnings == []


def test_shorter_vectors(client: EmbeddingClient, row: str) -> None:
    """The size that was asked for, or an error before anything is sent."""
    shorter = ROWS[row].shorter
    if shorter:
        result = client.embed(TEXTS[:2], dimensions=shorter)
        assert result.dimensions == shorter == len(result.vectors[1])
        return
    with pytest.raises((errors.UnsupportedFeatureError, errors.InvalidReplyError)):
        client.embed(TEXTS[:2], dimensions=7)


def test_normalized_vectors(client: EmbeddingClient, row: str) -> None:
    """Length 1, also of shortened ones."""
    shorter = ROWS[row].shorter or None
    for vector in client.embed(TEXTS[:3], dimensions=shorter, normalize=True).vectors:
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-9)


def test_numpy_arrays(client: EmbeddingClient) -> None:
    """Float32, a row for each text; the same numbers as the lists."""
    lists = client.embed(TEXTS[:4])
    arrays = client.embed(TEXTS[:4], as_numpy=True).vectors
    assert isinstance(arrays, numpy.ndarray)
    assert (arrays.dtype, arrays.shape) == (numpy.float32, (4, lists.dimensions))
    assert numpy.allclose(arrays, lists.vectors, atol=1e-6)
    assert client.embed([], as_numpy=True).vectors.shape[0] == 0


def test_queries_and_documents(client: EmbeddingClient, row: str) -> None:
    """Another vector where the model makes a difference, a warning where it makes none."""
    query = client.embed(TEXTS[:1], input_type="query")
    document = client.embed(TEXTS[:1], input_type="document")
    if ROWS[row].tells_kinds:
        assert query.vectors != document.vectors
        assert query.warnings == []
    else:
        assert query.vectors == document.vectors
        assert [entry["feature"] for entry in query.warnings] == ["input_type"]


@pytest.mark.parametrize("kind", ["classification", "clustering", "similarity"])
def test_other_kinds_are_sent_or_a_warning(client: EmbeddingClient, kind: str) -> None:
    """No vendor refuses a word of ours."""
    assert len(client.embed(TEXTS[:2], input_type=kind)) == 2


def test_no_texts(client: EmbeddingClient, sandbox: Sandbox) -> None:
    """Nothing is sent."""
    sandbox.requests.clear()
    result = client.embed([])
    assert (result.vectors, result.usage.total_tokens, sandbox.requests) == ([], 0, [])


@pytest.mark.parametrize(
    "texts", ["one text", b"x", 5, None, {"a": 1}, ["a", ""], ["a", " \n"], ["a", 5], ["\ud800"]]
)
def test_bad_texts_are_refused_before_anything_is_sent(
    client: EmbeddingClient, sandbox: Sandbox, texts: Any
) -> None:
    """With the place of the one that is wrong."""
    sandbox.requests.clear()
    with pytest.raises(errors.InvalidInputError, match="texts"):
        client.embed(texts)
    assert sandbox.requests == []


def test_rerank(client: EmbeddingClient, row: str) -> None:
    """The best first with their places and texts, or a clear error."""
    documents = ["cats sleep", "dogs bark at night", "the cats of rome"]
    options = NAMES.get(ROWS[row].provider, {})
    if not ROWS[row].ranks and not options:
        with pytest.raises(errors.UnsupportedFeatureError, match="has no rerank"):
            client.rerank("cats of rome", documents)
        return
    result = client.rerank("cats of rome", documents, top_n=2, **options)
    assert [ranked.index for ranked in result.results] == [2, 0]
    assert [ranked.document for ranked in result.results] == [documents[2], documents[0]]
    assert result.results[0].score > result.results[1].score
    assert result.usage.total_tokens > 0
    assert len(client.rerank("cats of rome", documents, **options)) == 3
    assert client.rerank("cats", [], **options).results == []


def test_a_wrong_key(row: str, sandbox: Sandbox) -> None:
    """``AuthenticationError`` from every vendor that wants a key, without the key in it."""
    if row == "openai_compat":
        return
    options: dict[str, Any] = {"api_key": "wrong-canary-key"}
    if row.startswith("bedrock"):
        options = {"aws_access_key_id": "wrong-canary-key"}
    if row.startswith("gemini vertex"):
        options = {"credentials": Credentials(token="wrong-canary-key")}
    with (
        made(row, sandbox, **options) as client,
        pytest.raises(errors.AuthenticationError) as caught,
    ):
        client.embed(TEXTS[:2])
    assert caught.value.provider == ROWS[row].provider
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529])
def test_statuses(client: EmbeddingClient, sandbox: Sandbox, status: int) -> None:
    """One typed error each, and as many tries as the policy allows: a text may be sent again."""
    sandbox.answer(status, {}, headers={"retry-after": "0"}, times=99)
    sandbox.requests.clear()
    with pytest.raises(errors.ProviderError) as caught:
        client.embed(TEXTS[:1])
    assert caught.value.status_code == status
    again = status in (408, 409, 429) or status >= 500
    assert len(sandbox.requests) == (3 if again else 1)


def test_an_unknown_model(row: str, sandbox: Sandbox) -> None:
    """``NotFoundError``, or for Bedrock an error that says how its form is told."""
    if row == "openai_compat" or "vl" in row:
        return
    with (
        made(row, sandbox, model="no-such-model") as client,
        pytest.raises((errors.NotFoundError, errors.ConfigurationError)),
    ):
        client.embed(["a"])


def test_pickled_and_forked_clients_work(client: EmbeddingClient) -> None:
    """Where they are unpickled, and in a child process."""
    expected = client.embed(TEXTS[:1]).vectors
    with pickle.loads(pickle.dumps(client)) as copy:
        assert copy.embed(TEXTS[:1]).vectors == expected
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.embed(TEXTS[:1]).vectors == expected else 3)
        except BaseException:
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_client_in_several_threads(client: EmbeddingClient) -> None:
    """Each gets its own vectors."""
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        found[number] = client.embed(TEXTS[number : number + 3]).vectors

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = client.embed(TEXTS[:8]).vectors
    assert all(found[number] == whole[number : number + 3] for number in range(6))


def test_a_vendor_without_embeddings_is_told_from_a_slip() -> None:
    """One that chats, and a name that nothing has."""
    with pytest.raises(errors.UnknownProviderError, match="chats but has no embeddings"):
        EmbeddingClient("deepseek")
    with pytest.raises(errors.UnknownProviderError, match="did you mean 'openai'"):
        EmbeddingClient("opnai")
    names = registry.provider_names()
    assert names["dashscope"] == ["qwen"]
    assert names["gemini"] == ["google"]


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 0},
        {"dimensions": True},
        {"dimensions": "256"},
        {"batch_size": 0},
        {"concurrency": 0},
        {"concurrency": 1000},
        {"encoding_format": "int8"},
        {"input_type": "question"},
        {"timeout": -1},
        {"dimension": 256},
        {"normalise": True},
        {"api_key": "k"},
        {"extra_body": 5},
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    sandbox: Sandbox, options: dict[str, Any]
) -> None:
    """Before anything is sent, with the option's name."""
    name = next(iter(options))
    with made("openai", sandbox) as client, pytest.raises(ValueError, match=name):
        client.embed(["a"], **options)
    assert sandbox.requests == []


@pytest.mark.parametrize("size", [1536, 2048])
def test_a_vendor_with_a_list_of_sizes_takes_the_largest(size: int, sandbox: Sandbox) -> None:
    """Larger than the default, which is not the limit here."""
    options = sandbox.chat_options("dashscope")
    with EmbeddingClient("dashscope", model="text-embedding-v4", **options) as client:
        assert len(client.embed(["a"], dimensions=size).vectors[0]) == size


def test_the_only_size_of_a_model_may_be_said(sandbox: Sandbox) -> None:
    """ada-002 refuses the field itself, with its own size too."""
    with EmbeddingClient(
        "openai", model="text-embedding-ada-002", dimensions=1536, **sandbox.chat_options("openai")
    ) as client:
        assert client.embed(["a"]).dimensions == 1536
        with pytest.raises(errors.UnsupportedFeatureError, match="1536 numbers only"):
            client.embed(["a"], dimensions=256)
