"""
Siblings of the tools that users reported: ids over several turns, broken calls, names and results
in every dialect.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import json
import pathlib
import re
import uuid
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel

from aigc_kit import ImageResult, errors
from tests.vendor import (
    ASK,
    PNG_BASE64,
    TOOLS,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    assistant_call,
    block_delta,
    block_stop,
    call_delta,
    calling,
    completion,
    converse_call,
    converse_response,
    converse_stream,
    delta,
    error,
    events,
    function_call,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    outcome,
    read,
    refused,
    sent_blocks,
    sent_calls,
    sent_parts,
    tool,
    tool_call,
    tool_result,
    tool_use,
    unless_refused,
)


def city(name: str, id: str | None = "X") -> dict[str, Any]:
    """A call of ``chat/completions``; ``id`` None leaves it out."""
    made = tool_call(arguments=json.dumps({"city": name}), id=id or "")
    return made if id is not None else {name: value for name, value in made.items() if name != "id"}


def echo(name: str, text: str) -> str:
    """A tool that says for which city it ran."""
    return "of " + json.loads(text)["city"]


def check_pairs(body: dict[str, Any]) -> list[str]:
    """Ids are unique and each result stands under its own call; the cities in order."""
    calls = {
        call["id"]: json.loads(call["function"]["arguments"])["city"] for call in sent_calls(body)
    }
    results = {m["tool_call_id"]: m["content"] for m in body["messages"] if m["role"] == "tool"}
    assert len(calls) == len(sent_calls(body))
    assert results == {mark: f"of {name}" for mark, name in calls.items()}
    return list(calls.values())


def check_bedrock_pairs(body: dict[str, Any]) -> list[str]:
    uses = [block["toolUse"] for block in sent_blocks(body) if "toolUse" in block]
    results = [block["toolResult"] for block in sent_blocks(body) if "toolResult" in block]
    calls = {use["toolUseId"]: use["input"]["city"] for use in uses}
    assert len(calls) == len(uses)
    assert {r["toolUseId"]: r["content"] for r in results} == {
        m: [{"text": f"of {n}"}] for m, n in calls.items()
    }
    return list(calls.values())


def check_gemini_pairs(body: dict[str, Any]) -> list[str]:
    """Gemini pairs by position, and by id where ids are there."""
    calls = [part["functionCall"] for part in sent_parts(body) if "functionCall" in part]
    results = [part["functionResponse"] for part in sent_parts(body) if "functionResponse" in part]
    names = [call["args"]["city"] for call in calls]
    assert all(
        f"of {name}" in json.dumps(result["response"])
        for name, result in zip(names, results, strict=True)
    )
    ids = [call["id"] for call in calls if "id" in call]
    assert len(set(ids)) == len(ids)
    return names


# ---- ids: siblings of two calls with one id


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([[city("a"), city("b")]], id="one turn"),
        pytest.param([[city("a")], [city("b")]], id="two turns"),
        pytest.param([[city("a", None)], [city("b", None)]], id="missing in two turns"),
        pytest.param([[city("a", ""), city("b", "")], [city("c", "")]], id="empty"),
        pytest.param(
            [[city("a", "call_1"), city("b", "")], [city("c", ""), city("d", "call_0")]],
            id="like ours",
        ),
        pytest.param([[city("a"), city("b"), city("c")], [city("d"), city("e")]], id="many"),
        pytest.param([[city("a")], [city("a")]], id="the same call in another turn"),
    ],
)
def test_ids_are_unique_over_all_turns(turns: list[list[dict[str, Any]]]) -> None:
    responses = [calling(*calls) for calls in turns]
    with Vendor(*responses, completion("done")) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=echo)
    expected = [
        json.loads(call["function"]["arguments"])["city"] for calls in turns for call in calls
    ]
    assert result.content == "done"
    assert check_pairs(vendor.body) == expected


def test_two_streamed_calls_with_one_id_are_two_calls() -> None:
    chunks = [
        call_delta('{"city": "a"}', index=0, id="X", name="get_weather"),
        call_delta('{"city": "b"}', index=1, id="X", name="get_weather"),
    ]
    with Vendor(events(*chunks, delta("tool_calls"), USAGE_CHUNK), completion("done")) as vendor:
        chat = vendor.client()
        first = read(chat.chat_stream(ASK, tools=TOOLS))
        results = [tool_result(call.id, f"of {call.parse()['city']}") for call in first.tool_calls]
        chat.chat([*ASK, first.message, *results], tools=TOOLS)
    assert check_pairs(vendor.body) == ["a", "b"]


def test_the_ids_of_a_result_are_those_of_its_message() -> None:
    with Vendor(calling(city("a"), city("b"), city("c", ""))) as vendor:
        result = vendor.client().chat(ASK, tools=TOOLS)
    assert [call.id for call in result.tool_calls] == [
        call["id"] for call in result.message["tool_calls"]
    ]
    assert len({call.id for call in result.tool_calls}) == 3


def test_an_id_that_is_made_avoids_those_of_the_history() -> None:
    history = [*ASK, {"role": "assistant", "content": "", "tool_calls": [city("a", "call_0")]}]
    history += [tool_result("call_0", "of a"), *ASK]
    with Vendor(calling(city("b", None)), completion("done")) as vendor:
        vendor.client().chat_with_tools(history, TOOLS, tool_executor=echo)
    assert check_pairs(vendor.body) == ["a", "b"]


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(
            [
                {"role": "assistant", "content": "", "tool_calls": [city("a"), city("b")]},
                tool_result("X", "of a"),
                tool_result("X", "of b"),
            ],
            id="one turn",
        ),
        pytest.param(
            [
                {"role": "assistant", "content": "", "tool_calls": [city("a")]},
                tool_result("X", "of a"),
                {"role": "assistant", "content": "", "tool_calls": [city("b")]},
                tool_result("X", "of b"),
            ],
            id="two turns",
        ),
    ],
)
@pytest.mark.parametrize(
    ("provider", "response", "check"),
    [
        ("openai_compat", completion("ok"), check_pairs),
        ("bedrock", converse_response("ok"), check_bedrock_pairs),
        ("gemini", gemini_response("ok"), check_gemini_pairs),
    ],
    ids=["chat", "bedrock", "gemini"],
)
def test_the_callers_own_history_with_repeated_ids_is_mended(
    history: list[Any], provider: str, response: Response, check: Any
) -> None:
    """Results pair with calls by position."""
    with Vendor(response) as vendor:
        vendor.client(provider).chat([*ASK, *history, *ASK], tools=TOOLS)
    assert check(vendor.body) == ["a", "b"]


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([[("a", "X"), ("b", "X")]], id="one turn"),
        pytest.param([[("a", "X")], [("b", "X")]], id="two turns"),
        pytest.param([[("a", "")], [("b", "")]], id="empty"),
    ],
)
def test_ids_are_unique_on_bedrock(turns: list[list[tuple[str, str]]]) -> None:
    responses = [
        converse_response(
            *(tool_use({"city": name}, id=mark) for name, mark in calls), stop="tool_use"
        )
        for calls in turns
    ]
    with Vendor(*responses, converse_response("done")) as vendor:
        vendor.client("bedrock").chat_with_tools(ASK, TOOLS, tool_executor=echo)
    assert check_bedrock_pairs(vendor.body) == ["a", "b"]


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([[("a", "X"), ("b", "X")]], id="one turn"),
        pytest.param([[("a", "X")], [("b", "X")]], id="two turns"),
        pytest.param([[("a", ""), ("b", "")], [("c", "")]], id="none"),
    ],
)
def test_results_stay_under_their_calls_on_gemini(turns: list[list[tuple[str, str]]]) -> None:
    responses = [
        gemini_response(
            *(function_call({"city": name}, id=mark, signature="S") for name, mark in calls)
        )
        for calls in turns
    ]
    with Vendor(*responses, gemini_response("done")) as vendor:
        result = vendor.client("gemini").chat_with_tools(ASK, TOOLS, tool_executor=echo)
    assert check_gemini_pairs(vendor.body) == [name for calls in turns for name, _ in calls]
    marks = [call["id"] for message in result.messages for call in message.get("tool_calls") or ()]
    assert len(set(marks)) == len(marks)


# ---- calls that are none: siblings of a nameless call beside a text


def nameless(name: Any = "", **more: Any) -> dict[str, Any]:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": "{}"}, **more}


NAMELESS = [
    pytest.param(
        "openai_compat", completion("The answer is 4.", tool_calls=[nameless(None)]), id="null"
    ),
    pytest.param(
        "openai_compat", completion("The answer is 4.", tool_calls=[nameless("  ")]), id="blank"
    ),
    pytest.param(
        "openai_compat", completion("The answer is 4.", tool_calls=[{}]), id="an empty object"
    ),
    pytest.param(
        "openai_compat",
        completion("The answer is 4.", tool_calls=[{"id": "x", "function": None}]),
        id="no function",
    ),
    pytest.param(
        "openai_compat",
        completion("The answer is 4.", function_call={"name": ""}),
        id="the old field",
    ),
    pytest.param(
        "bedrock", converse_response("The answer is 4.", tool_use({}, name="")), id="bedrock"
    ),
    pytest.param(
        "gemini", gemini_response("The answer is 4.", function_call({}, name="")), id="gemini"
    ),
]


@pytest.mark.parametrize(("provider", "response"), NAMELESS)
def test_a_nameless_call_of_any_form_is_no_call(provider: str, response: Response) -> None:
    with Vendor(response) as vendor:
        result = vendor.client(provider).chat_with_tools(
            ASK, TOOLS, tool_executor=lambda name, text: "1"
        )
    assert (result.content, result.tool_calls, result.finish_reason) == (
        "The answer is 4.",
        [],
        "stop",
    )
    assert len(vendor.requests) == 1
    assert not result.message.get("tool_calls")


@pytest.mark.parametrize(
    ("provider", "response"),
    [
        pytest.param(
            "openai_compat",
            events(
                delta(content="4"), call_delta("", id="", name=""), delta("tool_calls"), USAGE_CHUNK
            ),
            id="chat",
        ),
        pytest.param(
            "gemini",
            gemini_stream(
                gemini_chunk("4"), gemini_chunk(function_call({}, name=""), reason="STOP")
            ),
            id="gemini",
        ),
        pytest.param(
            "bedrock",
            converse_stream(block_delta(0, text="4"), *converse_call("", "", index=1)),
            id="bedrock",
        ),
    ],
)
def test_a_streamed_nameless_call_is_no_call(provider: str, response: Response) -> None:
    with Vendor(response) as vendor:
        result = read(vendor.client(provider).chat_stream(ASK, tools=TOOLS))
    assert (result.content, result.tool_calls) == ("4", [])


def test_a_nameless_call_beside_a_real_one_is_left_out() -> None:
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(name)
        return "22"

    with Vendor(calling(nameless(), city("a", "c1")), completion("done")) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=execute)
    assert (result.content, ran) == ("done", ["get_weather"])
    assert [call["function"]["name"] for call in sent_calls(vendor.body)] == ["get_weather"]


@pytest.mark.parametrize("provider", ["openai_compat", "bedrock", "gemini"])
def test_a_nameless_call_alone_is_never_the_callers_fault(provider: str) -> None:
    responses = {
        "openai_compat": completion("", tool_calls=[nameless()], finish="tool_calls"),
        "bedrock": converse_response(tool_use({}, name=""), stop="tool_use"),
        "gemini": gemini_response(function_call({}, name="")),
    }
    with Vendor(responses[provider]) as vendor:
        chat = vendor.client(provider)
        result = outcome(
            lambda: chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "1")
        )
    assert not isinstance(result, errors.InvalidInputError)


# ---- broken arguments


def refusing_broken_arguments(body: Any, number: int) -> Response:
    """Many back ends parse the arguments of a history."""
    for call in sent_calls(body):
        try:
            whole = isinstance(json.loads(call["function"]["arguments"]), dict)
        except ValueError:
            whole = False
        if not whole:
            return error(400, "Invalid tool call arguments: not a JSON object")
    return completion("done")


@pytest.mark.parametrize(
    "arguments", ['{"city": "Par', "not JSON", '["Paris"]', '"Paris"', "{'city': 'x'}"]
)
def test_broken_arguments_are_answered_without_poisoning_the_history(arguments: str) -> None:
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(text)
        return "22"

    def script(body: Any, number: int) -> Response:
        return (
            refusing_broken_arguments(body, number)
            if number
            else calling(tool_call(arguments=arguments))
        )

    with Vendor(script) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=execute)
    assert result.content == "done"
    assert ran == []
    assert "error" in vendor.body["messages"][-1]["content"].lower()


def test_a_number_that_is_not_json_does_not_poison_the_history() -> None:
    def script(body: Any, number: int) -> Response:
        for call in sent_calls(body):
            json.loads(call["function"]["arguments"], parse_constant=faults.append)
        return completion("done") if number else calling(tool_call(arguments='{"city": NaN}'))

    faults: list[str] = []
    with Vendor(script) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "22")
    assert (result.content, faults) == ("done", [])


@pytest.mark.parametrize("provider", ["gemini", "bedrock", "deepseek"])
def test_a_history_with_broken_arguments_goes_on_elsewhere(provider: str) -> None:
    answers = {
        "gemini": gemini_response("ok"),
        "bedrock": converse_response("ok"),
        "deepseek": refusing_broken_arguments,
    }
    with Vendor(calling(tool_call(arguments='{"city": "Par'))) as vendor:
        first = vendor.client().chat(ASK, tools=TOOLS)
    history = [*ASK, first.message, tool_result(first.tool_calls[0].id, "error"), *ASK]
    with Vendor(answers[provider]) as vendor:
        result = vendor.client(provider).chat(history, tools=TOOLS)
    assert result.content in ("ok", "done")


# ---- names: siblings of a dot

ODD_NAMES = ["calendar.read", "files/read", "读取日历", "a b", "x" * 80, "ns::tool", "1st"]
PLAIN_NAME = r"[a-zA-Z0-9_-]{1,64}"


def taking_plain_names(body: Any, number: int) -> Response:
    names = [each["function"]["name"] for each in body["tools"]]
    names += [call["function"]["name"] for call in sent_calls(body)]
    if not all(re.fullmatch(PLAIN_NAME, name) for name in names):
        return error(
            400,
            "Invalid 'tools[0].function.name': string does not match pattern.",
            code="invalid_value",
        )
    return (
        completion("done")
        if number
        else calling(tool_call(body["tools"][0]["function"]["name"], "{}"))
    )


def taking_plain_names_on_bedrock(body: Any, number: int) -> Response:
    names = [each["toolSpec"]["name"] for each in body["toolConfig"]["tools"]]
    names += [block["toolUse"]["name"] for block in sent_blocks(body) if "toolUse" in block]
    if not all(re.fullmatch(PLAIN_NAME, name) for name in names):
        return Response(
            b'{"message": "bad name"}',
            status=400,
            headers={"x-amzn-errortype": "ValidationException"},
        )
    return (
        converse_response("done")
        if number
        else converse_response(tool_use({}, name=names[0]), stop="tool_use")
    )


def taking_gemini_names(body: Any, number: int) -> Response:
    names = [each["name"] for each in body["tools"][0]["functionDeclarations"]]
    names += [
        part[kind]["name"]
        for part in sent_parts(body)
        for kind in ("functionCall", "functionResponse")
        if kind in part
    ]
    if not all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", name) for name in names):
        body = b'{"error": {"code": 400, "message": "Invalid function name", "status": "INVALID_ARGUMENT"}}'
        return Response(body, status=400)
    return (
        gemini_response("done")
        if number
        else gemini_response(function_call({}, name=names[0], signature="S"))
    )


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    ("provider", "script"),
    [
        ("openai", taking_plain_names),
        ("deepseek", taking_plain_names),
        ("bedrock", taking_plain_names_on_bedrock),
        ("gemini", taking_gemini_names),
    ],
    ids=["openai", "deepseek", "bedrock", "gemini"],
)
def test_an_odd_name_is_mapped_there_and_back_or_refused(
    provider: str, script: Any, name: str
) -> None:
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(name)
        return "ok"

    with Vendor(script) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        chat = vendor.client(provider, **model)
        result = unless_refused(
            lambda: chat.chat_with_tools(ASK, [tool(name)], tool_executor=execute)
        )
    assert refused(result, vendor) or (result.content, ran) == ("done", [name])


@pytest.mark.parametrize(
    ("provider", "script"),
    [("deepseek", taking_plain_names), ("bedrock", taking_plain_names_on_bedrock)],
    ids=["deepseek", "bedrock"],
)
def test_names_that_would_become_one_stay_apart_or_are_refused(provider: str, script: Any) -> None:
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(name)
        return "ok"

    tools = [tool(name) for name in ("a.b", "a_b", "a/b", "a-b")]
    with Vendor(script) as vendor:
        chat = vendor.client(provider)
        result = unless_refused(lambda: chat.chat_with_tools(ASK, tools, tool_executor=execute))
    assert refused(result, vendor) or (result.content, ran) == ("done", ["a.b"])


def test_gemini_gets_a_dot_as_it_is() -> None:
    with Vendor(gemini_response("ok")) as vendor:
        vendor.client("gemini").chat(ASK, tools=[tool("calendar.read")])
    assert vendor.body["tools"][0]["functionDeclarations"][0]["name"] == "calendar.read"


def test_a_streamed_call_has_the_callers_own_name() -> None:
    def script(body: Any, number: int) -> Response:
        name = body["tools"][0]["function"]["name"]
        return events(call_delta("{}", id="a", name=name), delta("tool_calls"), USAGE_CHUNK)

    with Vendor(script) as vendor:
        chat = vendor.client("deepseek")
        stream = unless_refused(lambda: chat.chat_stream(ASK, tools=[tool("calendar.read")]))
        if not isinstance(stream, Exception):
            chunks = list(stream)
            assert [call.name for call in stream.result.tool_calls] == ["calendar.read"]
            assert [call.name for chunk in chunks for call in chunk.tool_calls if call.name] == [
                "calendar.read"
            ]
            assert stream.result.message["tool_calls"][0]["function"]["name"] == "calendar.read"


def test_a_choice_names_the_tool_as_it_was_sent() -> None:
    choice = {"type": "function", "function": {"name": "calendar.read"}}
    with Vendor(calling()) as vendor:
        chat = vendor.client("deepseek")
        result = unless_refused(
            lambda: chat.chat(ASK, tools=[tool("calendar.read")], tool_choice=choice)
        )
    if not refused(result, vendor):
        assert (
            vendor.body["tool_choice"]["function"]["name"]
            == vendor.body["tools"][0]["function"]["name"]
        )


@pytest.mark.parametrize(
    "tools", [None, [tool("calendar.read")]], ids=["without tools", "with tools"]
)
def test_a_history_with_an_odd_name_goes_on_at_deepseek(tools: Any) -> None:
    def script(body: Any, number: int) -> Response:
        names = [call["function"]["name"] for call in sent_calls(body)]
        names += [each["function"]["name"] for each in body.get("tools") or ()]
        plain = all(re.fullmatch(PLAIN_NAME, name) for name in names) and len(set(names)) == 1
        return (
            completion("ok")
            if plain
            else error(400, "string does not match pattern", code="invalid_value")
        )

    history = [*ASK, assistant_call(name="calendar.read"), tool_result(), *ASK]
    with Vendor(script) as vendor:
        result = unless_refused(lambda: vendor.client("deepseek").chat(history, tools=tools))
    assert refused(result, vendor) or result.content == "ok"


# ---- schemas of tools for Kimi


class Place(BaseModel):
    name: str


class Trip(BaseModel):
    """A class whose schema has a ``$ref`` with a description beside it."""

    start: Place


def kimis_schemas(body: Any, number: int) -> Response:
    """Kimi's dialect: parameters are required, and nothing stands beside a ``$ref``."""

    def faults(node: Any) -> bool:
        if isinstance(node, list):
            return any(map(faults, node))
        if not isinstance(node, dict):
            return False
        return ("$ref" in node and len(node) > 1) or any(map(faults, node.values()))

    for each in body["tools"]:
        parameters = each["function"].get("parameters")
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            return error(400, "Invalid request: function parameters must be an object schema")
        if faults(parameters):
            return error(400, "Invalid request: $ref must not have siblings")
    return completion("ok")


def test_a_tool_without_parameters_gets_some_for_kimi() -> None:
    bare = {"type": "function", "function": {"name": "now", "description": "the time"}}
    with Vendor(kimis_schemas) as vendor:
        assert vendor.client("kimi").chat(ASK, tools=[bare]).content == "ok"


def test_nothing_stands_beside_a_ref_for_kimi() -> None:
    schema = Trip.model_json_schema()
    schema["properties"]["start"] = {
        **schema["properties"]["start"],
        "description": "where it begins",
    }
    with Vendor(kimis_schemas) as vendor:
        assert vendor.client("kimi").chat(ASK, tools=[tool("plan", schema)]).content == "ok"
    assert "where it begins" in json.dumps(vendor.body["tools"])


# ---- arguments: siblings of a whole number that is written as a float

NUMBERS = {
    "type": "object",
    "$defs": {"Size": {"type": "object", "properties": {"width": {"type": "integer"}}}},
    "properties": {
        "n": {"type": "integer"},
        "maybe": {"type": ["integer", "null"]},
        "optional": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "list": {"type": "array", "items": {"type": "integer"}},
        "size": {"$ref": "#/$defs/Size"},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
WRITTEN = {
    "n": 120000.0,
    "maybe": 3.0,
    "optional": 4.0,
    "list": [1.0, 2.0],
    "size": {"width": 5.0},
    "map": {"a": 6.0},
}
MEANT = '{"n": 120000, "maybe": 3, "optional": 4, "list": [1, 2], "size": {"width": 5}, "map": {"a": 6}}'


@pytest.mark.parametrize(
    ("provider", "response", "stream"),
    [
        ("gemini", gemini_response(function_call(WRITTEN, signature="S")), False),
        (
            "gemini",
            gemini_stream(gemini_chunk(function_call(WRITTEN, signature="S"), reason="STOP")),
            True,
        ),
        ("bedrock", converse_response(tool_use(WRITTEN), stop="tool_use"), False),
        (
            "bedrock",
            converse_stream(*converse_call("get_weather", json.dumps(WRITTEN)), stop="tool_use"),
            True,
        ),
        ("openai_compat", calling(tool_call(arguments=json.dumps(WRITTEN))), False),
    ],
    ids=["gemini", "gemini, streamed", "bedrock", "bedrock, streamed", "chat"],
)
def test_whole_numbers_are_integers_wherever_the_schema_says_so(
    provider: str, response: Response, stream: bool
) -> None:
    with Vendor(response) as vendor:
        result = ask(vendor.client(provider), stream=stream, tools=[tool("get_weather", NUMBERS)])
    assert json.dumps(result.tool_calls[0].parse()) == MEANT


def test_what_is_no_whole_number_stays_as_it_was() -> None:
    given = {"n": 1.5, "maybe": None, "list": [0.25]}
    with Vendor(gemini_response(function_call(given, signature="S"))) as vendor:
        result = vendor.client("gemini").chat(ASK, tools=[tool("get_weather", NUMBERS)])
    assert result.tool_calls[0].parse() == given


# ---- what an executor returns: siblings of objects and coroutines


@dataclasses.dataclass
class Point:
    x: int


@dataclasses.dataclass
class Line:
    points: list[Point]


class Color(enum.Enum):
    RED = "red"


VALUES = {
    "a set": ({1}, [1]),
    "a tuple": ((1, 2), [1, 2]),
    "a dataclass": (Point(1), {"x": 1}),
    "dataclasses inside": ([Line([Point(1), Point(2)])], [{"points": [{"x": 1}, {"x": 2}]}]),
    "pydantic inside": ({"a": [Place(name="x")]}, {"a": [{"name": "x"}]}),
    "pydantic in a dataclass": ([Line([Place(name="x")])], [{"points": [{"name": "x"}]}]),
    "an enum": ({"color": Color.RED}, {"color": "red"}),
    "a date": ({"day": datetime.date(2026, 11, 26)}, {"day": "2026-11-26"}),
    "a UUID": ({"id": uuid.UUID(int=1)}, {"id": "00000000-0000-0000-0000-000000000001"}),
    "a path": ({"path": pathlib.PurePosixPath("/a/b")}, {"path": "/a/b"}),
    "infinity": ({"a": float("inf"), "b": [float("-inf")]}, {"a": None, "b": [None]}),
    "NaN alone": (float("nan"), None),
    "numbers as keys": ({1: "a"}, {"1": "a"}),
    "nothing": (None, None),
    "a truth": (True, True),
}


def told(value: Any) -> str:
    """What the model gets from a tool that returned this."""
    with Vendor(calling(), completion("done")) as vendor:
        result = vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: value)
    assert result.content == "done"
    return next(
        str(message["content"]) for message in vendor.body["messages"] if message["role"] == "tool"
    )


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_whatever_a_tool_returns_goes_out_as_its_json(value: Any, expected: Any) -> None:
    assert json.loads(told(value), parse_constant=pytest.fail) == expected


def test_a_decimal_goes_out_as_its_number() -> None:
    assert json.loads(told({"price": decimal.Decimal("1.50")}))["price"] in (1.5, "1.50", "1.5")


class Opaque:
    pass


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    "value", [Opaque(), {"a": [Opaque()]}, circle()], ids=["an object", "inside", "a circle"]
)
def test_the_model_never_gets_the_address_of_an_object(value: Any) -> None:
    assert " at 0x" not in told(value)


class AsyncTool:
    async def __call__(self, name: str, text: str) -> str:
        return "sunny"


async def _weather(place: str, name: str, text: str) -> str:
    return "sunny"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize(
    "executor",
    [
        AsyncTool(),
        functools.partial(_weather, "here"),
        lambda name, text: _weather("here", name, text),
    ],
    ids=["an object", "a partial", "a lambda"],
)
def test_every_kind_of_async_executor_is_awaited_or_refused(executor: Any) -> None:
    """
    A lambda shows its coroutine only when it is called: the model then gets an error, or what it
    returned.
    """
    with Vendor(calling(), completion("done")) as vendor:
        result = outcome(
            lambda: vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=executor)
        )
    said = vendor.body["messages"][-1]["content"] if len(vendor.requests) > 1 else ""
    assert (
        isinstance(result, errors.ConfigurationError | errors.InvalidInputError)
        or "coroutine object" not in said
    )


def image() -> Image.Image:
    return Image.new("RGB", (2, 2), "red")


@pytest.mark.parametrize(
    ("provider", "first", "last", "mark"),
    [
        ("openai_compat", calling(), completion("done"), '"image_url"'),
        (
            "gemini",
            gemini_response(function_call({"city": "a"}, signature="S")),
            gemini_response("done"),
            "inlineData",
        ),
        (
            "bedrock",
            converse_response(tool_use({}), stop="tool_use"),
            converse_response("done"),
            '"image"',
        ),
    ],
    ids=["chat", "gemini", "bedrock"],
)
@pytest.mark.parametrize(
    "value",
    [image(), ImageResult(base64=PNG_BASE64, mime_type="image/png"), {"image": image()}],
    ids=["PIL", "ImageResult", "inside"],
)
def test_an_image_that_a_tool_returns_reaches_the_model_as_an_image(
    value: Any, provider: str, first: Response, last: Response, mark: str
) -> None:
    with Vendor(first, last) as vendor:
        result = vendor.client(provider).chat_with_tools(
            ASK, TOOLS, tool_executor=lambda name, text: value
        )
    assert result.content == "done"
    sent = json.dumps(vendor.body)
    assert mark in sent
    assert "PIL." not in sent
    assert "ImageResult(" not in sent


# ---- calls that the vendor runs: siblings of Nova's own tools

NOVA = "us.amazon.nova-2-lite-v1:0"
GROUNDING = {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}
FOUND = {"toolResult": {"toolUseId": "s1", "content": [{"text": "r"}]}}


def test_a_streamed_call_that_aws_ran_is_not_the_clients_to_run() -> None:
    frames = [
        *converse_call("nova_grounding", "{}", id="s1", type="server_tool_use"),
        block_delta(1, text="answer"),
        block_stop(1),
    ]
    with Vendor(converse_stream(*frames)) as vendor:
        result = read(vendor.client("bedrock", model=NOVA).chat_stream(ASK, tools=TOOLS))
    assert (result.content, result.tool_calls, result.finish_reason) == ("answer", [], "stop")


def test_a_call_of_the_clients_beside_one_that_aws_ran_is_run_alone() -> None:
    first = converse_response(
        {"toolUse": {**GROUNDING, "input": {}}}, FOUND, tool_use({"city": "a"}), stop="tool_use"
    )
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(name)
        return "of a"

    with Vendor(first, converse_response("done")) as vendor:
        result = vendor.client("bedrock", model=NOVA).chat_with_tools(
            ASK, TOOLS, tool_executor=execute
        )
    assert (result.content, ran) == ("done", ["get_weather"])
    results = [block["toolResult"] for block in sent_blocks(vendor.body) if "toolResult" in block]
    assert [each["content"] for each in results if each["toolUseId"] == "t1"] == [
        [{"text": "of a"}]
    ]
    assert all(each["content"] == [{"text": "r"}] for each in results if each["toolUseId"] == "s1")


def test_a_turn_with_a_call_that_aws_ran_can_be_continued() -> None:
    first = converse_response({"toolUse": {**GROUNDING, "input": {}}}, FOUND, "answer")
    with Vendor(first, converse_response("ok")) as vendor:
        chat = vendor.client("bedrock", model=NOVA)
        turn = chat.chat(ASK, tools=TOOLS).message
        assert chat.chat([*ASK, turn, *ASK], tools=TOOLS).content == "ok"
    used = [
        block["toolUse"]["toolUseId"] for block in sent_blocks(vendor.body) if "toolUse" in block
    ]
    answered = [
        block["toolResult"]["toolUseId"]
        for block in sent_blocks(vendor.body)
        if "toolResult" in block
    ]
    assert used == answered


@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_choice_that_names_no_tool_is_refused(provider: str, stream: bool) -> None:
    choice = {"type": "function", "function": {"name": "get_wether"}}
    with Vendor(completion("ok")) as vendor:
        client = vendor.client(provider)
        result = outcome(lambda: ask(client, stream=stream, tools=TOOLS, tool_choice=choice))
        assert refused(result, vendor)
    assert "did you mean 'get_weather'" in str(result)
