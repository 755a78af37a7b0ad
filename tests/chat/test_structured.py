"""
Structured output as users met it: what models write around the JSON, and schemas that vendors do
not take.
"""

from __future__ import annotations

import json
import re
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, RootModel

from aigc_kit import errors
from tests.vendor import (
    ASK,
    Response,
    Vendor,
    completion,
    delta,
    error,
    events,
    outcome,
    read,
    refused,
    unless_refused,
)


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name": "Ada", "age": 36}'
PERSON = Person(name="Ada", age=36)


def split_events(text: str, at: int) -> Response:
    """The text as two pieces of a stream."""
    return events(delta(content=text[:at]), delta(content=text[at:]), delta("stop"))


# ---- <think> tags


def test_json_behind_a_think_tag_is_parsed_in_one_request() -> None:
    """
    Source: https://github.com/mem0ai/mem0/pull/3626 and
    https://github.com/langchain-ai/langchain/pull/35530
    """
    with Vendor(completion("<think>\nhm {x}\n</think>\n\n" + ADA)) as vendor:
        result = vendor.client().chat(ASK, response_format=Person)
    assert result.parsed == PERSON
    assert len(vendor.requests) == 1


def test_json_behind_a_streamed_think_tag_is_parsed() -> None:
    """Source: https://github.com/ollama/ollama/issues/8529"""
    with Vendor(split_events("<think>hm</think>\n" + ADA, len("<think>hm</th"))) as vendor:
        result = read(vendor.client().chat_stream(ASK, response_format=Person))
    assert result.parsed == PERSON


def test_a_think_tag_at_the_head_becomes_reasoning() -> None:
    """Source: https://github.com/langchain-ai/langchain/pull/35530"""
    with Vendor(completion("<think>why</think>\n\nHello")) as vendor:
        result = vendor.client().chat(ASK)
    assert (result.content.strip(), result.reasoning_content.strip()) == ("Hello", "why")


def test_a_think_tag_inside_a_sentence_is_text() -> None:
    """Source: https://github.com/langchain-ai/langchain/pull/35530"""
    text = "Write <think> in your template."
    with Vendor(completion(text)) as vendor:
        result = vendor.client().chat(ASK)
    assert (result.content, result.reasoning_content) == (text, "")


# ---- words around the JSON

WRAPPED = {
    "words and a fence": f"Here is the JSON:\n```json\n{ADA}\n```",
    "a fence and words": f"```json\n{ADA}\n```\nHope this helps!",
    "a sentence after it": f"{ADA}\n\nLet me know!",
    "twice the same": ADA + ADA,
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_the_one_json_value_is_taken_out_of_the_words_around_it(text: str) -> None:
    """
    No second paid request for a value that is there.

    Source: https://github.com/giuseppe99barchetta/SuggestArr/issues/266 and
    https://github.com/langchain4j/langchain4j/issues/1446
    """
    with Vendor(completion(text)) as vendor:
        result = vendor.client("deepseek").chat(ASK, response_format=Person)
    assert result.parsed == PERSON
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_the_one_json_value_is_taken_out_of_a_stream(text: str) -> None:
    """Source: https://github.com/langchain4j/langchain4j/issues/1446"""
    with Vendor(split_events(text, 9)) as vendor:
        result = read(vendor.client("deepseek").chat_stream(ASK, response_format=Person))
    assert result.parsed == PERSON


def test_two_different_json_values_are_not_guessed_between() -> None:
    """Source: https://github.com/langchain4j/langchain4j/issues/1446"""
    with Vendor(completion(ADA + '{"name": "Bob", "age": 1}')) as vendor:
        result = outcome(lambda: vendor.client("deepseek").chat(ASK, response_format=Person))
    assert isinstance(result, errors.StructuredOutputError)


# ---- a list as the answer


class Someone(BaseModel):
    name: str


class People(RootModel[list[Someone]]):
    pass


def _takes_only_objects(body: Any, number: int) -> Response:
    schema = body["response_format"].get("json_schema", {}).get("schema", {})
    if schema.get("type") != "object":
        return error(
            400, "Invalid schema for response_format: schema must be of 'type: \"object\"'."
        )
    field = next(iter(schema["properties"]))
    return completion(json.dumps({field: [{"name": "x"}]}))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(People, People([Someone(name="x")])), (list[Someone], [Someone(name="x")])],
    ids=["RootModel", "list"],
)
def test_a_list_is_wrapped_and_unwrapped_or_refused(kind: Any, expected: Any) -> None:
    """
    Source: https://github.com/langgenius/dify/issues/19102,
    https://github.com/ollama/ollama/issues/8000 and
    https://github.com/Gitlawb/openclaude/issues/1256
    """
    with Vendor(_takes_only_objects) as vendor:
        result = unless_refused(lambda: vendor.client("openai").chat(ASK, response_format=kind))
    assert refused(result, vendor) or result.parsed == expected


# ---- names of schemas

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    data: T


def _takes_legal_names(body: Any, number: int) -> Response:
    name = body["response_format"].get("json_schema", {}).get("name", "")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        refusal = "Invalid 'response_format.json_schema.name': string does not match pattern."
        return error(400, refusal, code="invalid_value")
    return completion('{"name": "x", "data": {"name": "x"}}')


def renamed(name: str) -> type[Someone]:
    return type(name, (Someone,), {"__module__": __name__})


@pytest.mark.parametrize(
    "kind",
    [Page[Someone], renamed("角色"), renamed("A" * 70)],
    ids=["generic", "Chinese", "too long"],
)
def test_any_class_name_becomes_a_legal_schema_name(kind: Any) -> None:
    """
    Source: https://github.com/microsoft/semantic-kernel/issues/9416 and
    https://github.com/pydantic/pydantic-ai/issues/2271
    """
    with Vendor(_takes_legal_names) as vendor:
        result = vendor.client("openai").chat(ASK, response_format=kind)
    assert isinstance(result.parsed, kind)
