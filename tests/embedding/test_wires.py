"""Each form's two conversions, with plain dicts."""

from __future__ import annotations

from typing import Any

import pytest

from aigc_kit.embedding.bedrock import FORMS
from aigc_kit.embedding.bedrock import usage_of as bedrock_usage
from aigc_kit.embedding.call import Call, CallOptions
from aigc_kit.embedding.gemini import config_of, from_response, told
from aigc_kit.embedding.rows import BEDROCK, GEMINI, ROWS, VERTEX, Model, model_of
from aigc_kit.embedding.wires import WIRES


def call_of(**options: Any) -> Call:
    return Call.read(options, CallOptions.read(), "m", "acme")


BODIES: list[tuple[str, list[str], dict[str, Any], dict[str, Any]]] = [
    (
        "openai",
        ["a", "b"],
        {"dimensions": 8, "user": "u"},
        {
            "model": "m",
            "input": ["a", "b"],
            "encoding_format": "float",
            "dimensions": 8,
            "user": "u",
        },
    ),
    (
        "openai",
        ["a"],
        {"extra_body": {"encoding_format": None, "truncate": True}},
        {"model": "m", "input": ["a"], "truncate": True},
    ),
    (
        "ark multimodal",
        ["a"],
        {"dimensions": 1024, "instructions": "i"},
        {
            "model": "m",
            "encoding_format": "float",
            "input": [{"type": "text", "text": "a"}],
            "dimensions": 1024,
            "instructions": "i",
        },
    ),
    (
        "dashscope",
        ["a"],
        {"dimensions": 64, "input_type": "clustering", "instruct": "i"},
        {
            "model": "m",
            "input": {"texts": ["a"]},
            "parameters": {"dimension": 64, "text_type": "document", "instruct": "i"},
        },
    ),
    (
        "dashscope multimodal",
        ["a"],
        {"dimensions": 64},
        {"model": "m", "input": {"contents": [{"text": "a"}]}, "parameters": {"dimension": 64}},
    ),
]


@pytest.mark.parametrize(("wire", "texts", "options", "body"), BODIES)
def test_a_call_becomes_the_vendors_body(
    wire: str, texts: list[str], options: dict[str, Any], body: dict[str, Any]
) -> None:
    """Over HTTP."""
    assert WIRES[wire].to_body(texts, call_of(**options)) == body


INVOKED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("titan", {"dimensions": 256}, {"inputText": "a", "normalize": True, "dimensions": 256}),
    ("titan fixed", {}, {"inputText": "a"}),
    (
        "titan image",
        {"dimensions": 256},
        {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 256}},
    ),
    ("cohere", {}, {"texts": ["a"], "input_type": "search_document", "truncate": "NONE"}),
    (
        "cohere v4",
        {"dimensions": 256, "input_type": "query", "truncate": "END"},
        {
            "embedding_types": ["float"],
            "output_dimension": 256,
            "texts": ["a"],
            "input_type": "search_query",
            "truncate": "END",
        },
    ),
    (
        "nova",
        {"dimensions": 256, "input_type": "query"},
        {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {
                "embeddingPurpose": "TEXT_RETRIEVAL",
                "text": {"value": "a", "truncationMode": "NONE"},
                "embeddingDimension": 256,
            },
        },
    ),
]


@pytest.mark.parametrize(("form", "options", "body"), INVOKED)
def test_a_call_becomes_the_body_of_its_maker(
    form: str, options: dict[str, Any], body: dict[str, Any]
) -> None:
    """On Bedrock."""
    assert FORMS[form].to_body(["a"], call_of(**options)) == body


RESPONSES: list[tuple[str, dict[str, Any], int]] = [
    ("openai", {"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": 3}}, 3),
    ("openai", {"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"total_tokens": 3}}, 3),
    ("openai", {"data": [{"embedding": [1, 2]}]}, 0),
    ("openai", {"data": [{"embedding": [1, 2]}], "usage": {"prompt_tokens": -1}}, 0),
    ("openai", {"data": [{"embedding": "AACAPwAAAEA="}], "usage": None}, 0),
    ("ark multimodal", {"data": {"embedding": [1, 2]}, "usage": {"total_tokens": 4}}, 4),
    (
        "dashscope",
        {
            "output": {"embeddings": [{"text_index": 0, "embedding": [1, 2]}]},
            "usage": {"total_tokens": 5},
        },
        5,
    ),
    (
        "dashscope multimodal",
        {
            "output": {"embeddings": [{"index": 0, "embedding": [1, 2], "type": "text"}]},
            "usage": {"input_tokens": 6},
        },
        6,
    ),
]


@pytest.mark.parametrize(("wire", "body", "spent"), RESPONSES)
def test_a_response_becomes_vectors_and_tokens(wire: str, body: dict[str, Any], spent: int) -> None:
    """Also without usage, and with only one of its two numbers."""
    part = WIRES[wire].from_response(body, 1)
    assert [None if each is None else each.tolist() for each in part.vectors] == [[1.0, 2.0]]
    assert (part.usage.prompt_tokens, part.usage.total_tokens) == (spent, spent)


GEMINIS: list[tuple[dict[str, Any], int]] = [
    ({"embeddings": [{"values": [1, 2]}], "usageMetadata": {"promptTokenCount": 3}}, 3),
    ({"embedding": {"values": [1, 2]}}, 0),
    (
        {"predictions": [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 7}}}]},
        7,
    ),
]


@pytest.mark.parametrize(("body", "spent"), GEMINIS)
def test_every_method_of_gemini_is_read(body: dict[str, Any], spent: int) -> None:
    """Which one the SDK uses depends on the model and its release."""
    part = from_response(body, 1)
    assert [None if each is None else each.tolist() for each in part.vectors] == [[1.0, 2.0]]
    assert part.usage.total_tokens == spent


def test_a_task_goes_where_the_model_reads_it() -> None:
    """In a field for 001, in the text for 2; only Vertex AI has ``auto_truncate``."""
    call = call_of(input_type="query")
    old, new = model_of(GEMINI, "gemini-embedding-001"), model_of(VERTEX, "gemini-embedding-2")
    assert old is not None
    assert new is not None
    assert config_of(call, old, on_vertex=False) == {"task_type": "RETRIEVAL_QUERY"}
    assert told(["{text}"], call, old) == ["{text}"]
    assert config_of(call, new, on_vertex=True) == {"auto_truncate": False}
    assert told(["{text}"], call, new) == ["task: search result | query: {text}"]


@pytest.mark.parametrize(
    ("headers", "body", "spent"),
    [
        ({"x-amzn-bedrock-input-token-count": "9"}, {}, 9),
        ({"x-amzn-bedrock-input-token-count": "many"}, {"inputTextTokenCount": 4}, 4),
        ({"x-amzn-bedrock-input-token-count": "9" * 5000}, {}, 0),
        ({}, {}, 0),
    ],
)
def test_the_tokens_of_bedrock(headers: dict[str, str], body: dict[str, Any], spent: int) -> None:
    """In a header for every model, in the body for Titan."""
    assert bedrock_usage(body, headers).total_tokens == spent


@pytest.mark.parametrize(
    "models", [*(row.models for row in ROWS.values()), GEMINI, VERTEX, BEDROCK]
)
def test_the_rows_make_sense(models: tuple[Model, ...]) -> None:
    """A default size is one that may be asked for; a wire exists."""
    for model in models:
        assert not model.sizes or model.size in model.sizes
        assert model.wire in {**WIRES, **FORMS}
        assert model.is_unit in ("yes", "full size", "unknown")
