"""Tools as users met them: ids, names, broken calls, and what an executor may return."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from aigc_kit.chat import schemas
from aigc_kit.errors import InvalidInputError
from tests.vendor import (
    ASK,
    TOOLS,
    Response,
    Vendor,
    ask,
    assistant_call,
    calling,
    completion,
    converse_response,
    delta,
    error,
    events,
    features,
    function_call,
    gemini_response,
    refused,
    sent_calls,
    sent_parts,
    tool,
    tool_call,
    tool_result,
    tool_use,
    unless_refused,
)

# ---- ids


def _refuses_repeated_ids(body: Any, number: int) -> Response:
    ids = [call["id"] for call in sent_calls(body)]
    if len(set(ids)) < len(ids):
        return error(400, "Duplicate value for 'tool_call_id'")
    if number:
        return completion("done")
    return calling(
        *(tool_call(arguments=json.dumps({"city": city}), id="X") for city in ("Paris", "Rome"))
    )


def test_two_calls_with_one_id_both_run_and_keep_their_own_results() -> None:
    """
    Source: https://github.com/xorbitsai/inference/issues/4237,
    https://github.com/HKUDS/nanobot/issues/3943 and
    https://github.com/openclaw/openclaw/issues/40897
    """
    with Vendor(_refuses_repeated_ids) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: text)
    assert result.content == "done"
    results = {
        m["tool_call_id"]: m["content"] for m in vendor.body["messages"] if m["role"] == "tool"
    }
    calls = {call["id"]: call["function"]["arguments"] for call in sent_calls(vendor.body)}
    assert len(results) == 2
    assert {mark: json.loads(text) for mark, text in results.items()} == {
        mark: json.loads(text) for mark, text in calls.items()
    }


# ---- calls that are none

NOTHING = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}


def test_a_nameless_call_beside_a_text_is_no_call() -> None:
    """
    Source: https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/830 and
    https://github.com/deepset-ai/haystack/issues/9581
    """
    with Vendor(completion("The answer is 4.", tool_calls=[NOTHING])) as vendor:
        result = vendor.client().chat(ASK, tools=TOOLS)
    assert (result.content, result.tool_calls, result.finish_reason) == (
        "The answer is 4.",
        [],
        "stop",
    )


@pytest.mark.parametrize(
    "call", [NOTHING, {"id": "", "type": "function"}], ids=["empty", "without a function"]
)
def test_a_nameless_call_beside_a_text_ends_the_tool_loop(call: dict[str, Any]) -> None:
    """Source: https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/830"""
    with Vendor(completion("The answer is 4.", tool_calls=[call])) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "1")
    assert result.content == "The answer is 4."
    assert len(vendor.requests) == 1


# ---- names


def _takes_plain_names(body: Any, number: int) -> Response:
    names = [each["function"]["name"] for each in body["tools"]]
    if len(set(names)) < len(names) or not all(
        re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names
    ):
        return error(
            400,
            "Invalid 'tools[0].function.name': string does not match pattern.",
            code="invalid_value",
        )
    return completion("done") if number else calling(tool_call(names[0], "{}"))


@pytest.mark.parametrize("names", [["calendar.read"], ["calendar.read", "calendar_read"]], ids=len)
def test_dots_in_a_tools_name_are_mapped_there_and_back_or_refused(names: list[str]) -> None:
    """
    Source: https://github.com/langgenius/dify/issues/22867,
    https://github.com/CherryHQ/cherry-studio/issues/2895 and
    https://github.com/openai/codex/issues/8174
    """
    ran: list[str] = []

    def execute(name: str, arguments: str) -> str:
        ran.append(name)
        return "ok"

    with Vendor(_takes_plain_names) as vendor:
        chat = vendor.client("deepseek")
        result = unless_refused(
            lambda: chat.chat_with_tools(ASK, [tool(name) for name in names], tool_executor=execute)
        )
    assert refused(result, vendor) or (result.content, ran) == ("done", ["calendar.read"])


def test_a_foreign_name_in_a_history_is_one_that_gemini_takes() -> None:
    """
    The call and its result have the same. Source: https://github.com/RooCodeInc/Roo-Code/pull/10152
    """
    history = [*ASK, assistant_call(name="1c_reload"), tool_result(), *ASK]
    with Vendor(gemini_response("ok")) as vendor:
        vendor.client("gemini").chat(history)
    kinds = ("functionCall", "functionResponse")
    names = [
        part[kind]["name"] for part in sent_parts(vendor.body) for kind in kinds if kind in part
    ]
    assert len(names) == 2
    assert len(set(names)) == 1
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", names[0])


def test_dots_in_a_tools_name_are_mapped_there_and_back_on_bedrock() -> None:
    """Source: https://github.com/kagent-dev/kagent/issues/1473"""
    ran: list[str] = []

    def execute(name: str, arguments: str) -> str:
        ran.append(name)
        return "ok"

    def script(body: Any, number: int) -> Response:
        name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
        return (
            converse_response("done")
            if number
            else converse_response(tool_use({}, name=name), stop="tool_use")
        )

    with Vendor(script) as vendor:
        result = vendor.client("bedrock").chat_with_tools(
            ASK, [tool("docs.find")], tool_executor=execute
        )
    assert (result.content, ran) == ("done", ["docs.find"])


# ---- arguments

COUNTED = tool(
    "get_weather",
    {"type": "object", "properties": {"n": {"type": "integer"}, "x": {"type": "number"}}},
)
FLOATS = {"n": 120000.0, "x": 2.0}


@pytest.mark.parametrize(
    ("provider", "response"),
    [
        ("gemini", gemini_response(function_call(FLOATS, signature="S"))),
        ("bedrock", converse_response(tool_use(FLOATS), stop="tool_use")),
    ],
    ids=["gemini", "bedrock"],
)
def test_a_whole_number_written_as_a_float_is_an_integer_where_the_schema_says_so(
    provider: str, response: Response
) -> None:
    """Source: https://github.com/langchain-ai/langchain-google/pull/1110"""
    with Vendor(response) as vendor:
        result = vendor.client(provider).chat(ASK, tools=[COUNTED])
    arguments = result.tool_calls[0].parse()
    assert arguments == FLOATS
    assert isinstance(arguments["n"], int)


# ---- what an executor returns


@dataclasses.dataclass
class Weather:
    degrees: int


class Place(BaseModel):
    name: str


async def _sunny(name: str, arguments: str) -> str:
    return "sunny"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_an_async_executor_is_awaited_or_refused_before_sending() -> None:
    """
    The model never gets the ``repr`` of a coroutine.

    Source: https://github.com/crewAIInc/crewAI/issues/7474
    """
    with Vendor(calling(), completion("done")) as vendor:
        result = unless_refused(
            lambda: vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=_sunny)
        )
    assert refused(result, vendor) or vendor.body["messages"][-1]["content"] == "sunny"


def test_objects_inside_a_result_go_out_as_their_json() -> None:
    """
    Source: https://github.com/ag2ai/ag2/issues/2219 and
    https://github.com/strands-agents/harness-sdk/issues/4410
    """
    value = {"weather": Weather(3), "places": [Place(name="x")], "ratio": float("nan")}
    with Vendor(calling(), completion("done")) as vendor:
        vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: value)
    told = json.loads(vendor.body["messages"][-1]["content"])
    assert told == {"weather": {"degrees": 3}, "places": [{"name": "x"}], "ratio": None}


NESTED = {
    "type": "allowed_tools",
    "allowed_tools": {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": "b"}}],
    },
}
FLAT = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}


@pytest.mark.parametrize("choice", [NESTED, FLAT])
@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
def test_allowed_tools_are_the_only_ones_that_a_vendor_sees(provider: str, choice: Any) -> None:
    answers = {
        "openai_compat": completion("ok"),
        "gemini": gemini_response("ok"),
        "bedrock": converse_response("ok"),
    }
    with Vendor(answers[provider]) as vendor, vendor.client(provider) as chat:
        chat.chat(ASK, tools=[tool("a"), tool("b")], tool_choice=choice)
    sent = json.dumps(vendor.body)
    assert re.findall(r'"name": "(\w)"', sent) == ["b"]
    assert '"required"' in sent or '"ANY"' in sent or '"any"' in sent


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "allowed_tools"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        {**FLAT, "mode": "sometimes"},
        {**FLAT, "tools": [{"type": "function", "name": "c"}]},
        {**FLAT, "tools": ["b"]},
    ],
)
def test_allowed_tools_that_mean_nothing_are_refused_before_sending(choice: Any) -> None:
    with (
        Vendor(completion("ok")) as vendor,
        vendor.client("openai_compat") as chat,
        pytest.raises(InvalidInputError, match="tool_choice"),
    ):
        chat.chat(ASK, tools=[tool("a"), tool("b")], tool_choice=choice)
    assert not vendor.bodies


def test_a_tool_loop_keeps_to_the_allowed_tools_in_every_turn() -> None:
    choice = {**FLAT, "mode": "auto"}
    with (
        Vendor(
            lambda body, number: completion("ok") if number else calling(tool_call("b"))
        ) as vendor,
        vendor.client("openai_compat") as chat,
    ):
        chat.chat_with_tools(
            ASK,
            [tool("a"), tool("b")],
            tool_executor=lambda name, args: name,
            tool_choice=choice,
        )
    assert [[tool["function"]["name"] for tool in body["tools"]] for body in vendor.bodies] == [
        ["b"],
        ["b"],
    ]


STRICT = tool(
    "a", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}, strict=True
)
FREE = tool("a", {"type": "object", "additionalProperties": {"type": "string"}}, strict=True)


@pytest.mark.parametrize(
    ("model", "given", "is_strict"),
    [
        ("global.anthropic.claude-sonnet-4-6", STRICT, True),
        ("global.anthropic.claude-sonnet-4-6", FREE, False),
        ("us.amazon.nova-pro-v1:0", STRICT, False),
    ],
)
def test_bedrock_has_strict_tools_where_its_grammar_can_say_them(
    model: str, given: dict[str, Any], is_strict: bool
) -> None:
    """Source: AWS's structured output page: the models of outputConfig, closed objects."""
    with Vendor(converse_response("ok")) as vendor, vendor.client("bedrock", model=model) as chat:
        result = chat.chat(ASK, tools=[given])
    spec = vendor.body["toolConfig"]["tools"][0]["toolSpec"]
    assert spec.get("strict", False) is is_strict
    schema = spec["inputSchema"]["json"]
    if is_strict:
        assert schema["additionalProperties"] is False
        assert schema["properties"] == {"n": {"type": "integer"}}
    else:
        assert schema == given["function"]["parameters"]
    assert features(result) == ([] if is_strict else ["strict"])


@pytest.mark.parametrize(
    ("choice", "mode"),
    [(None, "VALIDATED"), ("auto", "VALIDATED"), ("required", "ANY"), ("none", "NONE")],
)
def test_gemini_validates_strict_tools(choice: Any, mode: str) -> None:
    """Source: https://ai.google.dev/gemini-api/docs/function-calling, read 2026-11-22."""
    with Vendor(gemini_response("ok")) as vendor, vendor.client("gemini") as chat:
        chat.chat(ASK, tools=[STRICT], tool_choice=choice)
    assert vendor.body["toolConfig"]["functionCallingConfig"] == {"mode": mode}


PLACE = {"type": "object", "properties": {"city": {"type": "string"}}}
REFERRING = {
    "type": "object",
    "properties": {
        "at": {"$ref": "#/$defs/Where", "description": "of it"},
        "all": {"type": "array", "items": {"$ref": "#/$defs/Where"}},
    },
    "$defs": {"Where": {"$ref": "#/$defs/Place"}, "Place": PLACE},
}
RECURSIVE = {
    "type": "object",
    "properties": {"next": {"$ref": "#"}, "at": {"$ref": "#/$defs/Place"}},
    "$defs": {"Place": PLACE},
}


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        (
            "glm-5.3",
            REFERRING,
            {
                "type": "object",
                "properties": {
                    "at": {**PLACE, "description": "of it"},
                    "all": {"type": "array", "items": PLACE},
                },
            },
        ),
        ("zai-org/GLM-5.3-FP8", PLACE, PLACE),
        ("glm-5.3", RECURSIVE, RECURSIVE),
        ("glm-4.7", REFERRING, REFERRING),
    ],
)
def test_glm_gets_schemas_without_references(model: str, given: Any, expected: Any) -> None:
    """Source: https://github.com/pydantic/pydantic-ai/issues/10243"""
    with Vendor(completion("ok")) as vendor, vendor.client("openai_compat", model=model) as chat:
        chat.chat(ASK, tools=[tool("a", given)])
    assert vendor.body["tools"][0]["function"]["parameters"] == expected


def test_references_that_would_grow_without_end_stay() -> None:
    names = [f"D{number}" for number in range(30)]
    twice = {
        name: {
            "type": "object",
            "properties": {side: {"$ref": f"#/$defs/{after}"} for side in "ab"},
        }
        for name, after in itertools.pairwise(names)
    }
    schema = {"$ref": "#/$defs/D0", "$defs": {**twice, names[-1]: PLACE}}
    assert schemas.inlined(schema) == schema


@pytest.mark.parametrize(
    "call",
    [
        {"id": "1", "type": "function", "function": {"name": "f", "parameters": {"a": 1}}},
        {"id": "1", "name": "f", "arguments": '{"a": 1}'},
        {"id": "1", "type": "function", "name": "f", "arguments": {"a": 1}},
        {
            "id": "1",
            "type": "function",
            "function": {"name": "f", "arguments": '```json\n{"a": 1}\n```'},
        },
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_in_another_shape_is_a_call(call: dict[str, Any], stream: bool) -> None:
    reply = (
        events(delta(tool_calls=[{**call, "index": 0}]), delta("tool_calls"))
        if stream
        else calling(call)
    )
    with Vendor(reply) as vendor:
        result = ask(vendor.client(), stream=stream, tools=[tool("f")])
    (found,) = result.tool_calls
    assert (found.name, found.parse()) == ("f", {"a": 1})
    assert set(result.message["tool_calls"][0]) == {"id", "type", "function"}


def test_a_line_break_in_an_argument_is_read() -> None:
    with Vendor(calling(tool_call(arguments='{"city": "a\nb"}'))) as vendor:
        (call,) = vendor.client().chat(ASK, tools=TOOLS).tool_calls
    assert call.parse() == {"city": "a\nb"}
    with Vendor(calling(tool_call(arguments='{"city": a\nb}'))) as vendor:
        (call,) = vendor.client().chat(ASK, tools=TOOLS).tool_calls
    assert call.arguments == '{"city": a\nb}'


def test_a_custom_tools_call_is_told() -> None:
    call = {"id": "1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    with Vendor(calling(call)) as vendor:
        result = vendor.client().chat(ASK, tools=[{"type": "custom", "custom": {"name": "sql"}}])
    assert result.tool_calls == []
    assert any("'sql'" in entry["details"] for entry in result.warnings)
    assert "select 1" in json.dumps(result.raw)
