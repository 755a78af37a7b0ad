"""Whatever goes wrong on the wire: the right vectors or an error of this library, never another one."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from aigc_kit import errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.faults import KINDS
from tests.embedding.test_contract import made
from tests.wire import AMPLE, SHORT

ROWS = ("openai", "volcengine", "gemini developer", "bedrock titan")
SILENT = ("hang", "drip head", "hang body", "endless")
BODIES: list[Any] = [
    b"",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"<html>oops</html>",
    b"\xff\xfe",
    b'{"data":',
    {},
    {"data": None, "embedding": None, "embeddings": None, "output": None},
    {"data": 5, "embedding": 5, "embeddings": 5},
    {"data": [5], "embedding": {"values": 5}, "embeddings": [5]},
    {"data": [{"embedding": {"a": 1}}], "embeddings": [{"values": "x"}], "embedding": [[1]]},
    {"error": {"message": "no", "code": "x"}},
    {"code": 20015, "message": "no", "data": None},
    b"[" * 100_000,
    b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_mended_or_typed(sandbox: Sandbox, row: str, kind: str) -> None:
    """One that passes is tried again; one that lasts is an error in time."""
    with made(row, sandbox, timeout=AMPLE, max_retries=3) as client:
        expected = client.embed(["a"]).vectors
        options: dict[str, Any] = {"timeout": SHORT, "max_retries": 0} if kind in SILENT else {}
        sandbox.fail(kind, at=30, seconds=0.0, times=1)
        found: Any = None
        with contextlib.suppress(errors.ProviderError):
            found = client.embed(["a"], **options).vectors
        assert found is None or len(found[0]) == len(expected[0])
        assert found in (None, expected) or kind in (*SILENT, "bad checksum")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_that_makes_no_sense_is_typed(sandbox: Sandbox, row: str, body: Any) -> None:
    """With a 200 in front of it, for one text and for several, and for rerank."""
    with made(row, sandbox, max_retries=0) as client:
        sandbox.answer(200, body, headers={"content-type": "application/json"}, times=99)
        for texts in (["a"], ["a", "b", "c"]):
            with pytest.raises(errors.ProviderError):
                client.embed(texts)
        if row == "bedrock titan":
            with pytest.raises(errors.ProviderError):
                client.rerank("a", ["b", "c"])


@pytest.mark.parametrize(
    "results",
    [
        [{"index": 9, "relevance_score": 1}],
        [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 1}],
        [{"index": True, "relevance_score": 1}, {"index": 0, "relevance_score": 1}],
        [{"index": 0, "relevance_score": "high"}],
        [{"index": 0, "relevance_score": float("nan")}],
        [{"index": 0}],
        [{"index": 0, "relevance_score": 10**400}],
        [None],
        [],
    ],
)
def test_a_ranking_that_cannot_be_true_is_an_error(sandbox: Sandbox, results: list[Any]) -> None:
    """Places that no document has, doubled ones, scores that are not numbers, too few."""
    with made("glm", sandbox) as client:
        sandbox.answer(200, {"results": results}, path="/rerank")
        with pytest.raises(errors.InvalidReplyError):
            client.rerank("a", ["b", "c"])
