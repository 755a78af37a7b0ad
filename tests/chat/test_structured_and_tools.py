"""
Structured output and the tool loop: repairs, fences, limits, tools that misbehave, providers of
applications.
"""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from aigc_kit import ChatChunk, ChatClient, ChatProvider, ChatResult, errors
from aigc_kit.chat import Usage, register_provider
from aigc_kit.chat.base import ToolCall, ToolCallDelta
from aigc_kit.sandbox import Sandbox
from tests.wire import body_of

ASK = [{"role": "user", "content": "make one"}]
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "character",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    },
}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


def says(content: str, reason: str = "stop", calls: list[Any] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = calls
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


def calls(*given: tuple[str, str]) -> dict[str, Any]:
    return says(
        "",
        "tool_calls",
        [
            {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": text}}
            for at, (name, text) in enumerate(given)
        ],
    )


@pytest.fixture
def chat(sandbox: Sandbox) -> Iterator[ChatClient]:
    with ChatClient("deepseek", **sandbox.chat_options("deepseek")) as client:
        yield client


def test_the_downgrade_keeps_the_users_own_system_message(
    chat: ChatClient, sandbox: Sandbox
) -> None:
    """Schema and the word JSON are added to it; json_schema is never sent to deepseek."""
    messages = [{"role": "system", "content": "Speak like a pirate."}, *ASK]
    result = chat.chat(messages, response_format=FORMAT)
    body = sandbox.requests[0].body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("Speak like a pirate.\n\nAnswer with one JSON")
    assert json.dumps(FORMAT["json_schema"]["schema"]) in body["messages"][0]["content"]
    assert len(body["messages"]) == 2
    assert messages[0]["content"] == "Speak like a pirate."
    assert "does not offer json_schema" in result.warnings[0]["details"]
    assert result.parsed == {"name": "text"}


def test_native_where_the_table_says_so(sandbox: Sandbox) -> None:
    """
    The schema as the vendor takes it, without its dialect marker; another mode by the user's wish.
    """
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FORMAT["json_schema"]["schema"],
    }
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "c", "schema": schema, "strict": False, "description": "d"},
    }
    with ChatClient("kimi", **sandbox.chat_options("moonshot")) as chat:
        result = chat.chat(ASK, response_format=wanted)
        chat.chat(ASK, response_format=wanted, structured_mode="prompt")
    inner = sandbox.requests[0].body["response_format"]["json_schema"]
    assert inner == {
        "name": "c",
        "schema": FORMAT["json_schema"]["schema"],
        "strict": False,
        "description": "d",
    }
    assert sandbox.requests[0].body["messages"] == ASK
    assert result.warnings == [{"feature": "response_format", "details": "mode json_schema"}]
    assert "response_format" not in sandbox.requests[1].body


@pytest.mark.parametrize(
    "answer", ['```json\n{"name": "x"}\n```', '```\n{"name": "x"}```', ' {"name": "x"} ']
)
def test_fences_are_stripped(chat: ChatClient, sandbox: Sandbox, answer: str) -> None:
    """Without a second round."""
    sandbox.answer(200, says(answer))
    result = chat.chat(ASK, response_format=FORMAT)
    assert result.parsed == {"name": "x"}
    assert json.loads(result.content) == result.parsed
    assert len(sandbox.requests) == 1


def test_one_repair_that_shows_the_violations(chat: ChatClient, sandbox: Sandbox) -> None:
    """The model gets the violations; tokens of both rounds are counted; a warning says so."""
    sandbox.answer(200, says('{"name": 5}'))
    sandbox.answer(200, says('{"name": "x"}'))
    result = chat.chat(ASK, response_format=FORMAT)
    assert result.parsed == {"name": "x"}
    told = sandbox.requests[1].body["messages"]
    assert told[-2]["content"] == '{"name": 5}'
    assert "$.name" in told[-1]["content"]
    assert "5 is not of type 'string'" in told[-1]["content"]
    assert result.usage.total_tokens == 30
    assert "repair 1" in result.warnings[-1]["details"]


def test_repairs_are_bounded(chat: ChatClient, sandbox: Sandbox) -> None:
    """One by default, none or more by option; then an error with content and violations."""
    for repairs in (None, 0, 2):
        sandbox.reset()
        sandbox.answer(200, says("no json"), times=9)
        with pytest.raises(errors.StructuredOutputError) as caught:
            chat.chat(ASK, response_format=FORMAT, max_repairs=repairs)
        assert len(sandbox.requests) == 1 + (1 if repairs is None else repairs)
        assert caught.value.content == "no json"
        assert "not JSON" in caught.value.violations[0]
        assert caught.value.result.content == "no json"


def test_pydantic_validates_too(chat: ChatClient, sandbox: Sandbox) -> None:
    """What the schema cannot say, the class does."""

    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even")
            return value

    sandbox.answer(200, says('{"number": 1}'))
    sandbox.answer(200, says('{"number": 2}'))
    result = chat.chat(ASK, response_format=Even)
    assert result.parsed == Even(number=2)
    assert "must be even" in sandbox.requests[1].body["messages"][-1]["content"]


def test_a_stream_is_validated_at_its_end(chat: ChatClient, sandbox: Sandbox) -> None:
    """No second round, but an error."""
    events = [
        b'data: {"choices":[{"delta":{"content":"oops"},"finish_reason":"stop"}]}\n\n',
        b"data: [DONE]\n\n",
    ]
    sandbox.answer(200, events)
    with pytest.raises(errors.StructuredOutputError):
        list(chat.chat_stream(ASK, response_format=FORMAT))


def test_schemas_that_lead_nowhere(chat: ChatClient) -> None:
    """A broken reference is the caller's mistake."""
    wanted = {
        "type": "json_schema",
        "json_schema": {
            "name": "x",
            "schema": {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "required": ["a"]},
        },
    }
    with pytest.raises(errors.InvalidInputError):
        chat.chat(ASK, response_format=wanted)


# ---- tools


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("text", "text"),
        ("", "(empty)"),
        ({"a": "猫"}, '{"a": "猫"}'),
        ([1], "[1]"),
        (None, "null"),
        (b"bytes", "bytes"),
        (b"\xff", '{"base64": "/w=="}'),
        ({1}, "[1]"),
        (5, "5"),
    ],
)
def test_what_tools_return(chat: ChatClient, sandbox: Sandbox, returned: Any, told: str) -> None:
    """A text as it is, anything else as JSON."""
    chat.chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: returned)
    assert sandbox.requests[1].body["messages"][-1]["content"] == told


def test_reasoning_goes_back_in_the_loop(chat: ChatClient, sandbox: Sandbox) -> None:
    """DeepSeek refuses the next turn otherwise; the sandbox does too."""
    chat.chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: "1")
    assert sandbox.requests[1].body["messages"][1]["reasoning_content"] == "Let me think about it."


def test_a_tool_that_raises(chat: ChatClient, sandbox: Sandbox) -> None:
    """The model gets the error and the result has a warning; or the error is raised."""

    def fail(name: str, args: str) -> Any:
        raise LookupError("no such city")

    result = chat.chat_with_tools(ASK, [TOOL], tool_executor=fail)
    assert json.loads(sandbox.requests[1].body["messages"][-1]["content"]) == {
        "error": "LookupError: no such city"
    }
    assert "no such city" in next(
        entry["details"] for entry in result.warnings if entry["feature"] == "tool"
    )
    with pytest.raises(LookupError):
        chat.chat_with_tools(ASK, [TOOL], tool_executor=fail, on_tool_error="raise")


def test_tools_that_are_invented_and_arguments_that_are_no_json(
    chat: ChatClient, sandbox: Sandbox
) -> None:
    """Neither reaches the executor; the model gets the error."""
    sandbox.answer(200, calls(("ghost", "{}"), ("f", "{broken"), ("f", "[1]")))
    ran: list[str] = []
    chat.chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: ran.append(name))
    ghost, broken, no_object = (
        json.loads(m["content"])["error"] for m in sandbox.requests[1].body["messages"][-3:]
    )
    assert "unknown tool 'ghost'; known tools: f" in ghost
    assert "not a JSON object" in broken
    assert "not a JSON object" in no_object
    assert ran == []


def test_the_limit(chat: ChatClient, sandbox: Sandbox) -> None:
    """It counts calls of the model; history and last result are in the error."""
    sandbox.answer(200, calls(("f", "{}")), times=9)
    with pytest.raises(errors.ToolLoopLimitError, match="after 2 calls") as caught:
        chat.chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: "1", max_iterations=2)
    assert len(sandbox.requests) == 2
    assert [message["role"] for message in caught.value.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert caught.value.result.has_tool_calls


def test_calls_that_were_cut_are_not_run(chat: ChatClient, sandbox: Sandbox) -> None:
    """Half an argument is not an argument."""
    sandbox.answer(
        200, says("", "length", [{"id": "c", "function": {"name": "f", "arguments": '{"a": 1'}}])
    )
    ran: list[str] = []
    with pytest.raises(errors.OutputTruncatedError):
        chat.chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: ran.append(name))
    assert ran == []


def test_a_forced_choice_is_for_the_first_turn(sandbox: Sandbox) -> None:
    """Otherwise the model could never answer."""
    with ChatClient("openai", **sandbox.chat_options("openai")) as chat:
        result = chat.chat_with_tools(
            ASK, [TOOL], tool_executor=lambda name, args: "1", tool_choice="required"
        )
    assert [request.body.get("tool_choice") for request in sandbox.requests] == ["required", None]
    assert result.content.startswith("The tools said")


@pytest.mark.parametrize(
    "options",
    [
        {"max_iterations": 0},
        {"max_iterations": 1.5},
        {"on_tool_error": "x"},
        {"tool_executor": 5},
        {"tools": []},
        {"tools": None},
    ],
)
def test_bad_loops_are_refused(chat: ChatClient, sandbox: Sandbox, options: dict[str, Any]) -> None:
    """Before anything is sent."""
    given = {"tools": [TOOL], "tool_executor": lambda name, args: "1", **options}
    with pytest.raises(ValueError):
        chat.chat_with_tools(ASK, **given)
    assert sandbox.requests == []


def test_arguments_as_a_dict() -> None:
    """``parse`` gives a dict or says why not."""
    assert ToolCall("i", "f", '{"a": 1}').parse() == {"a": 1}
    for bad in ("{", "[1]", ""):
        with pytest.raises(errors.StructuredOutputError) as caught:
            ToolCall("i", "f", bad).parse()
        assert caught.value.content == bad


# ---- providers of applications


class Parrot(ChatProvider):
    def __init__(self, **options: Any) -> None:
        self.options = options
        self.seen: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return "parrot"

    def chat(self, messages: Any, **kwargs: Any) -> ChatResult:
        self.seen.append(kwargs)
        return ChatResult(content=messages[-1]["content"], finish_reason="stop")

    def chat_stream(self, messages: Any, **kwargs: Any) -> Iterator[ChatChunk]:
        yield ChatChunk("a", "r")
        yield ChatChunk("b", tool_calls=[ToolCallDelta(0, "i", "f", "{}")])
        if messages[-1]["content"] != "cut":
            yield ChatChunk(finish_reason="stop", usage=Usage(1, 2, 3))


def test_an_applications_own_provider() -> None:
    """Registered, or as an instance; only what was given reaches it; its chunks are gathered."""
    register_provider("parrot", Parrot, aliases=["bird"])
    with ChatClient("bird:grey", color="green") as chat:
        assert chat.provider.options == {"model": "grey", "color": "green"}  # type: ignore[attr-defined]
        assert chat.chat(ASK, top_k=3).content == "make one"
        assert chat.provider.seen == [{"top_k": 3}]  # type: ignore[attr-defined]
        stream = chat.chat_stream(ASK)
        assert len(list(stream)) == 3
        assert (
            stream.result.content,
            stream.result.reasoning_content,
            stream.result.usage.total_tokens,
        ) == (
            "ab",
            "r",
            3,
        )
        assert stream.result.tool_calls[0].name == "f"
        with pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream([{"role": "user", "content": "cut"}]))
        assert caught.value.partial.content == "ab"
    with pytest.raises(errors.ConfigurationError):
        ChatClient(Parrot(), model="x")
    with pytest.raises(errors.UnknownProviderError, match="deepseek"):
        ChatClient("nobody")
    with pytest.raises(errors.ConfigurationError, match="no option"):
        ChatClient("deepseek", api_key="k", colour="x")
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        ChatClient("openai_compat")
    with (
        ChatClient("openai_compat", base_url="http://127.0.0.1:1") as chat,
        pytest.raises(errors.ConfigurationError, match="model"),
    ):
        chat.chat(ASK)
    with pytest.raises(errors.ConfigurationError, match="name or a ChatProvider"):
        ChatClient(5)  # type: ignore[arg-type]


def test_an_open_client_is_told() -> None:
    """A client that was not closed warns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ChatClient(Parrot())
        gc.collect()
    assert [entry.category for entry in caught] == [ResourceWarning]
    assert body_of(b"x\r\n\r\n1") == 1
