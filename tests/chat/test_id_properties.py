"""
Over any generated conversation the ids of calls are unique in what is sent, and each result stands
under its own call.

Vendors leave ids out, send empty ones, and send the same one twice in a turn or in the next. Whole
calls through the public client against a loopback vendor, in the three wire dialects, plain and
streamed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_kit import ChatClient
from tests.vendor import (
    ASK,
    GEMINI_USAGE,
    TOOLS,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    calling,
    completion,
    converse_call,
    converse_response,
    converse_stream,
    delta,
    events,
    function_call,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    sent_blocks,
    sent_calls,
    sent_parts,
    tool_call,
    tool_use,
)

DIALECTS = ["openai_compat", "gemini", "bedrock"]
FEW = settings().max_examples // 4
"""For a property that is tried in nine ways."""

ids = st.sampled_from([None, "", "X", "Y", "call_0", "call_1", "call_2"])
"""
What the vendor says; None leaves it out. ``call_0`` and kin are what a client would make itself.
"""


@dataclass(frozen=True)
class Turn:
    """``marks``: the vendor's ids of its calls; ``stream``: whether the answer is streamed."""

    marks: list[str | None]
    stream: bool


turns = st.lists(
    st.builds(Turn, st.lists(ids, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=4
)
Calls = list[tuple[str, str | None]]
"""(city, the vendor's id); cities are unique in a conversation."""


# ---- what each dialect answers


def openai_answer(calls: Calls, stream: bool) -> Response:
    made = []
    for number, (city, mark) in enumerate(calls):
        call = {"index": number, **tool_call(arguments=json.dumps({"city": city}), id=mark or "")}
        made.append(
            call
            if mark is not None
            else {name: value for name, value in call.items() if name != "id"}
        )
    if not stream:
        return calling(*made)
    return events(*(delta(tool_calls=[call]) for call in made), delta("tool_calls"), USAGE_CHUNK)


def gemini_answer(calls: Calls, stream: bool) -> Response:
    parts = [
        function_call({"city": city}, id=mark or "", signature="" if number else "UzE=")
        for number, (city, mark) in enumerate(calls)
    ]
    if not stream:
        return gemini_response(*parts)
    return gemini_stream(*map(gemini_chunk, parts), gemini_chunk(reason="STOP", usage=GEMINI_USAGE))


def bedrock_answer(calls: Calls, stream: bool) -> Response:
    if not stream:
        return converse_response(
            *(tool_use({"city": city}, id=mark or "") for city, mark in calls), stop="tool_use"
        )
    frames = [
        converse_call("get_weather", json.dumps({"city": city}), id=mark or "", index=number)
        for number, (city, mark) in enumerate(calls)
    ]
    return converse_stream(*itertools.chain.from_iterable(frames), stop="tool_use")


ANSWERS = {"openai_compat": openai_answer, "gemini": gemini_answer, "bedrock": bedrock_answer}
LAST = {
    "openai_compat": completion("done"),
    "gemini": gemini_response("done"),
    "bedrock": converse_response("done"),
}


# ---- what each dialect was sent


def openai_pairs(body: dict[str, Any]) -> list[str]:
    calls = sent_calls(body)
    results = [message for message in body["messages"] if message["role"] == "tool"]
    assert [result["tool_call_id"] for result in results] == [call["id"] for call in calls]
    check_ids([call["id"] for call in calls])
    cities = [json.loads(call["function"]["arguments"])["city"] for call in calls]
    assert [result["content"] for result in results] == [f"of {city}" for city in cities]
    return cities


def bedrock_pairs(body: dict[str, Any]) -> list[str]:
    uses = [block["toolUse"] for block in sent_blocks(body) if "toolUse" in block]
    results = [block["toolResult"] for block in sent_blocks(body) if "toolResult" in block]
    assert [result["toolUseId"] for result in results] == [use["toolUseId"] for use in uses]
    check_ids([use["toolUseId"] for use in uses])
    cities = [use["input"]["city"] for use in uses]
    assert [result["content"] for result in results] == [
        [{"text": f"of {city}"}] for city in cities
    ]
    return cities


def gemini_pairs(body: dict[str, Any]) -> list[str]:
    """Gemini pairs by position; where ids are sent, they are on both sides."""
    calls = [part["functionCall"] for part in sent_parts(body) if "functionCall" in part]
    results = [part["functionResponse"] for part in sent_parts(body) if "functionResponse" in part]
    assert [result.get("id") for result in results] == [call.get("id") for call in calls]
    check_ids([call["id"] for call in calls if "id" in call])
    cities = [call["args"]["city"] for call in calls]
    assert [result["response"] for result in results] == [
        {"output": f"of {city}"} for city in cities
    ]
    return cities


def check_ids(marks: list[str]) -> None:
    assert all(marks)
    assert len(set(marks)) == len(marks)


PAIRS = {"openai_compat": openai_pairs, "gemini": gemini_pairs, "bedrock": bedrock_pairs}


# ---- one vendor for all examples


class Bench:
    """A vendor, and one client for each dialect, made when it is first needed."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self._clients: dict[str, ChatClient] = {}

    def client(self, dialect: str) -> ChatClient:
        if dialect not in self._clients:
            self._clients[dialect] = self.vendor.client(dialect)
        return self._clients[dialect]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Vendor() as vendor:
        yield Bench(vendor)


def with_cities(conversation: list[Turn]) -> list[Calls]:
    cities = map(str, itertools.count())
    return [[(next(cities), mark) for mark in turn.marks] for turn in conversation]


def echo(name: str, text: str) -> str:
    return "of " + json.loads(text)["city"]


def talk(bench: Bench, dialect: str, conversation: list[Turn]) -> list[dict[str, Any]]:
    """The history of a conversation that an application stores as JSON after each turn."""
    history: list[dict[str, Any]] = list(ASK)
    for turn, calls in zip(conversation, with_cities(conversation), strict=True):
        bench.vendor.reset(ANSWERS[dialect](calls, turn.stream))
        result = ask(bench.client(dialect), stream=turn.stream, messages=history, tools=TOOLS)
        assert [call.id for call in result.tool_calls] == [
            call["id"] for call in result.message["tool_calls"]
        ]
        history.append(result.message)
        for call in result.tool_calls:
            history.append(
                {
                    "role": "tool",
                    "tool_call_id": call.id,
                    "content": echo(call.name, call.arguments),
                }
            )
        history = json.loads(json.dumps(history))
    return history


@pytest.mark.parametrize("dialect", DIALECTS)
@given(conversation=turns)
def test_ids_are_unique_in_what_an_application_sends_back(
    bench: Bench, dialect: str, conversation: list[Turn]
) -> None:
    history = talk(bench, dialect, conversation)
    bench.vendor.reset(LAST[dialect])
    assert bench.client(dialect).chat([*history, *ASK], tools=TOOLS).content == "done"
    expected = [city for calls in with_cities(conversation) for city, _ in calls]
    assert PAIRS[dialect](bench.vendor.body) == expected


@pytest.mark.parametrize("second", DIALECTS)
@pytest.mark.parametrize("first", DIALECTS)
@settings(max_examples=FEW)
@given(conversation=turns)
def test_ids_stay_unique_when_another_vendor_goes_on(
    bench: Bench, first: str, second: str, conversation: list[Turn]
) -> None:
    history = talk(bench, first, conversation)
    bench.vendor.reset(LAST[second])
    assert bench.client(second).chat([*history, *ASK], tools=TOOLS).content == "done"
    expected = [city for calls in with_cities(conversation) for city, _ in calls]
    assert PAIRS[second](bench.vendor.body) == expected


@pytest.mark.parametrize("dialect", DIALECTS)
@given(conversation=turns)
def test_ids_are_unique_in_every_request_of_the_tool_loop(
    bench: Bench, dialect: str, conversation: list[Turn]
) -> None:
    calls = with_cities(conversation)
    bench.vendor.reset(*(ANSWERS[dialect](each, stream=False) for each in calls), LAST[dialect])
    result = bench.client(dialect).chat_with_tools(ASK, TOOLS, tool_executor=echo)
    assert result.content == "done"
    for number, body in enumerate(bench.vendor.bodies):
        assert PAIRS[dialect](body) == [city for each in calls[:number] for city, _ in each]
    check_ids(
        [call["id"] for message in result.messages for call in message.get("tool_calls") or ()]
    )


given_histories = st.lists(
    st.lists(st.sampled_from(["X", "Y", "call_0", "call_1"]), min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(marks=given_histories)
def test_the_callers_own_history_is_sent_with_unique_ids(
    bench: Bench, dialect: str, marks: list[list[str]]
) -> None:
    """Results pair with calls by position where ids collide."""
    cities = map(str, itertools.count())
    history: list[dict[str, Any]] = list(ASK)
    for turn in marks:
        made = [(next(cities), mark) for mark in turn]
        calls = [tool_call(arguments=json.dumps({"city": city}), id=mark) for city, mark in made]
        history.append({"role": "assistant", "content": "", "tool_calls": calls})
        history += [
            {"role": "tool", "tool_call_id": mark, "content": f"of {city}"} for city, mark in made
        ]
    bench.vendor.reset(LAST[dialect])
    assert bench.client(dialect).chat([*history, *ASK], tools=TOOLS).content == "done"
    assert PAIRS[dialect](bench.vendor.body) == [
        str(number) for number in range(sum(map(len, marks)))
    ]
