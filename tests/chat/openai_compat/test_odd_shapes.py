"""Answers of back ends whose shape is nearly the documented one: what is there is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vendor import (
    EVENTS,
    TOOLS,
    USAGE,
    Response,
    Vendor,
    ask,
    call_delta,
    completion,
    delta,
    events,
    features,
    json_response,
    tool_call,
)

THINKING = "The capital is asked.\n</think>\n\nParis"


def answer(response: Response, *, stream: bool = False, **options: Any) -> Any:
    with Vendor(response) as vendor:
        return ask(vendor.client(), stream=stream, **options)


@pytest.mark.parametrize("wrapper", ["data", "result", "response"])
def test_an_answer_inside_a_gateways_own_response_is_read(wrapper: str) -> None:
    inner = json.loads(completion("hello").body)
    result = answer(json_response({"code": 0, "msg": "ok", wrapper: inner}))
    assert (result.content, result.usage.total_tokens) == ("hello", 7)
    assert result.raw["code"] == 0


@pytest.mark.parametrize(
    "choice",
    [
        {"message": "hello", "finish_reason": "stop"},
        {"text": "hello", "finish_reason": "stop"},
        {"delta": {"content": "hello"}, "finish_reason": "stop"},
    ],
)
def test_a_choice_without_a_message_object_is_read(choice: dict[str, Any]) -> None:
    assert answer(json_response({"choices": [choice], "usage": USAGE})).content == "hello"


def test_a_stream_of_texts_is_read() -> None:
    pieces = [{"choices": [{"index": 0, "text": text}]} for text in ("hel", "lo")]
    end = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    assert answer(events(*pieces, end), stream=True).content == "hello"


@pytest.mark.parametrize(("value", "text"), [(42, "42"), (2.5, "2.5"), (True, "true")])
def test_a_content_that_is_another_json_value_is_its_text(value: Any, text: str) -> None:
    assert answer(completion(value)).content == text


def test_one_tool_call_outside_of_a_list_is_a_call() -> None:
    result = answer(completion(None, finish="tool_calls", tool_calls=tool_call()), tools=TOOLS)
    assert [call.name for call in result.tool_calls] == ["get_weather"]


@pytest.mark.parametrize("field", ["text", "reasoning"])
def test_parts_of_reasoning_are_not_the_answer(field: str) -> None:
    result = answer(
        completion([{"type": "reasoning", field: "hm"}, {"type": "text", "text": "hi"}])
    )
    assert (result.content, result.reasoning_content) == ("hi", "hm")


def test_a_refusal_in_a_part_is_a_refusal() -> None:
    result = answer(completion([{"type": "refusal", "refusal": "no"}]))
    assert (result.content, result.refusal) == ("", "no")


@pytest.mark.parametrize("word", ["eos", "eos_token", "COMPLETE", "end_turn", "stop_sequence"])
def test_other_words_for_the_end_are_stop(word: str) -> None:
    assert answer(completion("hi", finish=word)).finish_reason == "stop"


def test_reasoning_with_an_end_tag_alone_is_no_answer() -> None:
    result = answer(completion(THINKING))
    assert (result.content, result.reasoning_content) == ("Paris", "The capital is asked.\n")
    assert result.warnings == []


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_reasoning_with_an_end_tag_alone_leaves_the_streamed_answer(size: int) -> None:
    pieces = [THINKING[at : at + size] for at in range(0, len(THINKING), size)]
    result = answer(events(*(delta(content=piece) for piece in pieces), delta("stop")), stream=True)
    assert (result.content, result.reasoning_content) == ("Paris", "The capital is asked.\n")
    assert features(result) == ([] if size > len(THINKING) else ["reasoning"])


@pytest.mark.parametrize(
    "text",
    [
        "The tag </think> ends it.",
        "First <think>, then </think>\nis the order.",
        "It ends so:\n\n```\n</think>\n```\n\nSplit there.",
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_speaks_of_tags_stays_whole(text: str, stream: bool) -> None:
    response = events(delta(content=text), delta("stop")) if stream else completion(text)
    result = answer(response, stream=stream)
    assert (result.content, result.reasoning_content) == (text, "")


@pytest.mark.parametrize("end", [b"[done]", b"[DONE]", b" [DONE] "])
def test_events_without_blank_lines_between_them_are_events(end: bytes) -> None:
    lines = [json.dumps(piece).encode() for piece in (delta(content="hel"), delta(content="lo"))]
    body = b"".join(b"data: " + line + b"\n" for line in [*lines, end])
    result = answer(Response(body, content_type=EVENTS), stream=True)
    assert (result.content, result.finish_reason) == ("hello", "unknown")


def test_one_event_over_several_lines_is_one_event() -> None:
    text = json.dumps(delta("stop", content="hello"), indent=1).encode()
    body = b"".join(b"data: " + line + b"\n" for line in text.split(b"\n")) + b"\n"
    assert answer(Response(body, content_type=EVENTS), stream=True).content == "hello"


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"city"', '{"city": "Par', '{"city": "Paris"}'],
        ["{", '{"city": ', '{"city": "Paris"', '{"city": "Paris"}'],
        ['{"city": "Paris"}', '{"city": "Paris"}'],
    ],
)
def test_arguments_that_are_sent_anew_in_each_piece_are_read_once(pieces: list[str]) -> None:
    first = call_delta(pieces[0], id="a", name="get_weather")
    rest = [call_delta(piece) for piece in pieces[1:]]
    result = answer(events(first, *rest, delta("tool_calls")), stream=True, tools=TOOLS)
    assert [json.loads(call.arguments) for call in result.tool_calls] == [{"city": "Paris"}]


@pytest.mark.parametrize(
    "pieces", [['{"a": ', '{"a": 1}}'], ['{"a":', ' {"a"', ": {}", "}}"], ["{", '"a": {"a": 1}}']]
)
def test_arguments_that_hold_their_own_beginning_stay_whole(pieces: list[str]) -> None:
    first = call_delta(pieces[0], id="a", name="get_weather")
    rest = [call_delta(piece) for piece in pieces[1:]]
    result = answer(events(first, *rest, delta("tool_calls")), stream=True, tools=TOOLS)
    assert [call.arguments for call in result.tool_calls] == ["".join(pieces)]


@pytest.mark.parametrize("ids", [["a", None, None], ["a", "a", "a"], [None, None, None]])
def test_a_name_in_pieces_is_one_name(ids: list[str | None]) -> None:
    marks = [{"id": mark} if mark else {} for mark in ids]
    first = call_delta("", name="get_", **marks[0])
    second = call_delta("", name="weather", **marks[1])
    third = call_delta('{"city": "Paris"}', **marks[2])
    result = answer(events(first, second, third, delta("tool_calls")), stream=True, tools=TOOLS)
    assert [(call.name, call.arguments) for call in result.tool_calls] == [
        ("get_weather", '{"city": "Paris"}')
    ]
