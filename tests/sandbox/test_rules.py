"""The vendors' rules without a server: a request and a state in, an answer out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit.sandbox import ark, gemini, s3
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.instances import instance
from aigc_kit.sandbox.model import Completion, Prompt, complete
from aigc_kit.sandbox.state import State

WEATHER = ("weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = ("time", {})


@pytest.fixture
def state() -> State:
    return State(api_key="", link_lifetime=60.0)


def post(path: str, body: dict[str, Any]) -> Request:
    return Request("POST", path, {}, {}, json.dumps(body).encode())


@pytest.mark.parametrize("word", ["picture", "image"])
def test_an_image_is_blocked_in_either_word(state: State, word: str) -> None:
    """``[blocked image N]`` is what the documents say; the older word goes on working."""
    body = {
        "model": "doubao-seedream-4-0-250828",
        "prompt": f"a cat [blocked {word} 0]",
        "size": "1k",
    }
    answer = ark.handle(post("/api/v3/images/generations", body), state)
    assert isinstance(answer, Answer)
    assert answer.body["error"]["code"] == "OutputImageSensitiveContentDetected"
    path = "/v1/models/gemini-3-pro-image:generateContent"
    answer = gemini.handle(
        post(path, {"contents": [{"parts": [{"text": f"[blocked {word}]"}]}]}), state
    )
    assert isinstance(answer, Answer)
    assert answer.body["candidates"][0]["finishReason"] == "IMAGE_SAFETY"


def test_a_path_of_another_vendor_is_left_to_it(state: State) -> None:
    request = post("/elsewhere", {})
    assert [handle(request, state) for handle in (ark.handle, gemini.handle, s3.handle)] == [
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        (Prompt("hi"), Completion("You said: hi")),
        (Prompt("hi [blocked]", thinks=True), Completion(reason="content_filter")),
        (Prompt("hi [cut]"), Completion('{"na', reason="length")),
        (Prompt("", results=["sunny", "12:00"]), Completion("The tools said: sunny; 12:00")),
        (Prompt("hi", tools=[WEATHER], choice="none"), Completion("You said: hi")),
        (Prompt("hi", schema={"type": "integer", "minimum": 3}), Completion("3")),
        (Prompt("hi", wants_json=True), Completion('{"answer": "text"}')),
        (Prompt("hi", system='JSON schema:\n{"const": 5}'), Completion("5")),
    ],
)
def test_a_prompt_has_one_completion(prompt: Prompt, completion: Completion) -> None:
    completion.reasoning = "Let me think about it." if prompt.thinks and completion.content else ""
    assert complete(prompt) == completion


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("hi", "", ["weather"]),
        ("hi", "any", ["weather"]),
        ("hi", "time", ["time"]),
        ("[all tools]", "", ["weather", "time"]),
    ],
)
def test_tools_are_called_by_choice(text: str, choice: str, called: list[str]) -> None:
    completion = complete(Prompt(text, tools=[WEATHER, TIME], choice=choice))
    assert [name for _, name, _ in completion.calls] == called
    assert completion.reason == "tool_calls"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["null", "string"]}, None),
        ({"type": "boolean"}, True),
        (
            {"type": "array", "items": {"type": "string", "minLength": 6}, "minItems": 2},
            ["textxx", "textxx"],
        ),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, 1),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"default": 7}}}, {"a": 7}),
        ({"$ref": "#/nowhere/at/all"}, "text"),
    ],
)
def test_an_instance_satisfies_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert instance(schema) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    depth = 0
    value = instance(schema)
    while isinstance(value, dict):
        value, depth = value.get("next"), depth + 1
    assert 0 < depth < 20
