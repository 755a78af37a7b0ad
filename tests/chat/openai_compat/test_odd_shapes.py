"""Answers of back ends whose shape is nearly the documented one: what is there is read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.vendor import (
    EVENTS,
    PNG_BASE64,
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


@pytest.mark.parametrize("tag", ["mm:think", "seed:think"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_tags_of_minimax_and_seed_hold_reasoning(tag: str, stream: bool) -> None:
    text = f"<{tag}>hmm</{tag}>Paris"
    pieces = [delta(content=text[:9]), delta(content=text[9:]), delta("stop")]
    result = answer(events(*pieces) if stream else completion(text), stream=stream)
    assert (result.content, result.reasoning_content) == ("Paris", "hmm")


@pytest.mark.parametrize(
    ("usage", "prompt", "cached"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, 3, 0),
        (
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 6,
            },
            14,
            5,
        ),
    ],
)
def test_usage_in_anthropics_words_is_read(usage: dict[str, Any], prompt: int, cached: int) -> None:
    found = answer(completion("x", usage=usage)).usage
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == (
        prompt,
        4,
        cached,
    )
    assert found.total_tokens == prompt + 4


CLAUDES = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("x", {"images": [f"data:image/png;base64,{PNG_BASE64}"]}),
        ("x", {"images": [PNG_BASE64]}),
        ([{"type": "image", "source": CLAUDES}], {}),
        ([{"type": "text", "text": "x"}, {"type": "image", "source": CLAUDES}], {}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_images_of_other_shapes_are_images(
    content: Any, more: dict[str, Any], stream: bool
) -> None:
    chunks = [delta(content=content, **more), delta("stop")]
    result = answer(events(*chunks) if stream else completion(content, **more), stream=stream)
    assert [image.data for image in result.images] == [base64.b64decode(PNG_BASE64)]
    assert features(result) == []


BROKEN = [
    (b"a\xe4\xb8 b", "a\ufffd b"),  # half a character
    (b"a\nb", "a\nb"),  # a line break that is not escaped
]


@pytest.mark.parametrize(("raw", "text"), BROKEN, ids=["half", "break"])
def test_one_wrong_byte_does_not_lose_an_answer(raw: bytes, text: str) -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"%s"},"finish_reason":"stop"}]}' % raw
    assert answer(Response(body)).content == text
    if b"\n" in raw:
        return  # a line of a stream ends there
    event = body.replace(b"message", b"delta")
    pieces = [b"data: " + event + b"\n\n", b"data: [DONE]\n\n"]
    result = answer(Response(content_type=EVENTS, pieces=pieces), stream=True)
    assert result.content == text


def test_lines_that_were_framed_twice_are_events() -> None:
    chunks = [json.dumps(chunk).encode() for chunk in (delta(content="hi"), delta("stop"))]
    pieces = [b"data: data: " + chunk + b"\n\n" for chunk in [*chunks, b"[DONE]"]]
    result = answer(Response(content_type=EVENTS, pieces=pieces), stream=True)
    assert (result.content, result.finish_reason) == ("hi", "stop")


@pytest.mark.parametrize("key", ["sk-no-key-required", "your_api_key_here", "0" * 20])
@pytest.mark.parametrize("stream", [False, True])
def test_a_placeholder_in_an_answer_stays(key: str, stream: bool) -> None:
    text = f'OpenAI(api_key="{key}")'
    response = events(delta(content=text), delta("stop")) if stream else completion(text)
    with Vendor(response) as vendor:
        assert ask(vendor.client(api_key=key), stream=stream).content == text


@pytest.mark.parametrize(
    "empty",
    [
        {"message": "", "type": "", "param": "", "code": None},
        {"code": 0, "message": ""},
        {"code": "0"},
        {},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_says_nothing_is_none(empty: dict[str, Any], stream: bool) -> None:
    """one-api writes one beside each answer that it makes again."""
    choice = {"index": 0, "finish_reason": "stop"}
    said = {"choices": [{**choice, "message": {"role": "assistant", "content": "a"}}]}
    pieces = [
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{**choice, "delta": {}}]},
    ]
    reply = (
        events(*({**piece, "error": empty} for piece in pieces))
        if stream
        else json_response({**said, "error": empty})
    )
    assert answer(reply, stream=stream).content == "a"
    inside = json_response({"choices": [{**said["choices"][0], "error": empty}]})
    assert answer(inside, stream=False).content == "a"


WHOLE = "It rains in Paris."


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ([delta(content=WHOLE), delta("stop"), delta(content=WHOLE)], WHOLE),
        (
            [delta(content="Hello "), delta(content="you"), delta("stop", content="Hello you")],
            "Hello you",
        ),
        (
            [
                delta(content="<think>abc</think>"),
                delta(content=WHOLE),
                delta("stop", content=WHOLE),
            ],
            WHOLE,
        ),
        ([delta(content="no"), delta("stop", content="no")], "nono"),
        ([delta(content="1"), delta(content="0"), delta("stop", content="10")], "1010"),
        ([delta("stop", content="It rains "), delta("stop", content="in Paris.")], WHOLE),
    ],
)
def test_a_summary_is_told_from_a_word_said_twice(chunks: list[Any], content: str) -> None:
    assert answer(events(*chunks), stream=True).content == content
