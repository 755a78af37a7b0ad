"""
``chat_with_tools_stream``: the chunks of all turns, the events of its tools, and the same rules as
the plain loop's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit import ChatClient, ChatResult, ToolCall, errors
from aigc_kit.chat.base import ChatChunk
from tests.vendor import (
    ASK,
    PNG,
    TOOLS,
    USAGE,
    USAGE_CHUNK,
    Response,
    Vendor,
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
    tool,
    tool_call,
    tool_use,
    unless_refused,
)
from tests.wire import Reset

DIALECTS = ["openai_compat", "gemini", "bedrock"]
GEMINI_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}


def turns(dialect: str, *, stream: bool) -> list[Response]:
    """A text and two calls, one more call, and the answer."""
    cities = ("Paris", "Rome", "Oslo")
    args = [json.dumps({"city": city}) for city in cities]
    if dialect == "openai_compat" and not stream:
        calls = [tool_call(arguments=text, id=f"c{at}") for at, text in enumerate(args)]
        return [calling(*calls[:2], content="let me see"), calling(calls[2]), completion("done")]
    if dialect == "openai_compat":
        calls = [
            call_delta(text, index=at % 2, id=f"c{at}", name="get_weather")
            for at, text in enumerate(args)
        ]
        end = [delta("tool_calls"), USAGE_CHUNK]
        return [
            events(delta(content="let me "), delta(content="see"), *calls[:2], *end),
            events(call_delta(args[2], id="c2", name="get_weather"), *end),
            events(delta(content="do"), delta("stop", content="ne"), USAGE_CHUNK),
        ]
    if dialect == "gemini":
        parts = [
            function_call({"city": city}, id=f"c{at}", signature="s")
            for at, city in enumerate(cities)
        ]
        if not stream:
            return [
                gemini_response("let me see", *parts[:2]),
                gemini_response(parts[2]),
                gemini_response("done"),
            ]
        return [
            gemini_stream(
                gemini_chunk("let me "),
                gemini_chunk("see", *parts[:2], reason="STOP", usage=GEMINI_USAGE),
            ),
            gemini_stream(gemini_chunk(parts[2], reason="STOP", usage=GEMINI_USAGE)),
            gemini_stream(
                gemini_chunk("do"), gemini_chunk("ne", reason="STOP", usage=GEMINI_USAGE)
            ),
        ]
    uses = [tool_use({"city": city}, id=f"c{at}") for at, city in enumerate(cities)]
    if not stream:
        return [
            converse_response("let me see", *uses[:2], stop="tool_use"),
            converse_response(uses[2], stop="tool_use"),
            converse_response("done"),
        ]
    frames = [
        converse_call("get_weather", text, id=f"c{at}", index=1 + at % 2)
        for at, text in enumerate(args)
    ]
    text = [block_delta(0, text="let me "), block_delta(0, text="see"), block_stop(0)]
    return [
        converse_stream(*text, *frames[0], *frames[1], stop="tool_use"),
        converse_stream(*frames[2], stop="tool_use"),
        converse_stream(block_delta(0, text="do"), block_delta(0, text="ne"), block_stop(0)),
    ]


def weather(name: str, text: str) -> Any:
    return {"Paris": "sun", "Rome": {"degrees": 30}, "Oslo": "snow"}[json.loads(text)["city"]]


def call_of(*texts: str, id: str = "c1", name: str = "get_weather") -> Response:
    """One streamed call."""
    first, *more = texts
    return events(
        call_delta(first, id=id, name=name),
        *map(call_delta, more),
        delta("tool_calls"),
        USAGE_CHUNK,
    )


DONE = events(delta("stop", content="done"), USAGE_CHUNK)


# ---- all turns


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_streamed_loop_has_the_result_of_the_plain_one(dialect: str) -> None:
    found: list[ChatResult] = []
    bodies = []
    for stream in (False, True):
        with Vendor(*turns(dialect, stream=stream)) as vendor:
            client = vendor.client(dialect)
            if stream:
                found.append(read(client.chat_with_tools_stream(ASK, TOOLS, tool_executor=weather)))
            else:
                found.append(client.chat_with_tools(ASK, TOOLS, tool_executor=weather))
            bodies.append([body.get("messages") or body["contents"] for body in vendor.bodies])
    plain, streamed = found
    assert (
        (streamed.content, streamed.finish_reason)
        == (plain.content, plain.finish_reason)
        == ("done", "stop")
    )
    assert streamed.usage == plain.usage
    assert streamed.usage.total_tokens == 3 * (7 if dialect == "openai_compat" else 8)
    assert streamed.messages == plain.messages
    assert streamed.warnings == plain.warnings
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_chunks_of_all_turns_come_in_order_with_the_events_of_the_tools(dialect: str) -> None:
    seen: list[str] = []

    def execute(name: str, text: str) -> Any:
        seen.append(f"run {json.loads(text)['city']}")
        return weather(name, text)

    with Vendor(*turns(dialect, stream=True)) as vendor:
        for chunk in vendor.client(dialect).chat_with_tools_stream(
            ASK, TOOLS, tool_executor=execute
        ):
            seen += described(chunk)
    assert seen == [
        "let me ",
        "see",
        "start Paris",
        "run Paris",
        "result sun",
        "start Rome",
        "run Rome",
        'result {"degrees": 30}',
        "start Oslo",
        "run Oslo",
        "result snow",
        "do",
        "ne",
    ]


def described(chunk: ChatChunk) -> list[str]:
    if chunk.tool is not None:
        event = chunk.tool
        assert isinstance(event.call, ToolCall)
        assert event.call.id
        assert event.error == ""
        return [
            f"start {event.call.parse()['city']}"
            if event.kind == "start"
            else f"result {event.output}"
        ]
    return [chunk.delta_content] if chunk.delta_content else []


def test_the_deltas_of_a_turn_come_before_its_tools_run() -> None:
    with Vendor(call_of('{"city":', ' "Paris"}'), DONE) as vendor:
        client = vendor.client()
        chunks = list(client.chat_with_tools_stream(ASK, TOOLS, tool_executor=weather))
    texts = [piece.arguments for chunk in chunks for piece in chunk.tool_calls]
    kinds = [chunk.tool.kind for chunk in chunks if chunk.tool]
    reasons = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert "".join(texts) == '{"city": "Paris"}'
    assert kinds == ["start", "result"]
    assert reasons == ["tool_calls", "stop"]


def test_nothing_is_sent_before_the_first_piece_is_asked_for() -> None:
    with Vendor(DONE) as vendor:
        stream = vendor.client().chat_with_tools_stream(ASK, TOOLS, tool_executor=weather)
        assert vendor.requests == []
        assert read(stream).content == "done"


def test_an_image_of_a_tool_is_named_in_its_event_and_sent() -> None:
    with Vendor(call_of('{"city": "x"}'), DONE) as vendor:
        events_ = [
            chunk.tool
            for chunk in vendor.client().chat_with_tools_stream(
                ASK, TOOLS, tool_executor=lambda name, text: PNG
            )
            if chunk.tool
        ]
        assert "data:image/png" in json.dumps(vendor.body)
    assert [event.kind for event in events_] == ["start", "result"]


def test_functions_run_in_a_streamed_loop() -> None:
    def get_weather(city: str) -> str:
        return f"sun in {city}"

    with Vendor(call_of('{"city": "Paris"}'), DONE) as vendor:
        result = read(vendor.client().chat_with_tools_stream(ASK, [get_weather]))
    assert result.messages[-2]["content"] == "sun in Paris"


def test_a_forced_choice_is_for_the_first_turn() -> None:
    with Vendor(call_of('{"city": "Paris"}'), DONE) as vendor:
        client = vendor.client()
        read(
            client.chat_with_tools_stream(ASK, TOOLS, tool_executor=weather, tool_choice="required")
        )
        assert [body.get("tool_choice") for body in vendor.bodies] == ["required", None]


# ---- errors and limits


def both(*responses: tuple[Response, Response], **options: Any) -> tuple[Any, Any]:
    """What the plain and the streamed loop give for the same (plain, streamed) turns."""
    found = []
    for place in (0, 1):
        with Vendor(*(each[place] for each in responses)) as vendor:
            client = vendor.client()
            given = {"tool_executor": weather, **options}
            loop = client.chat_with_tools_stream if place else client.chat_with_tools

            def ran(loop: Any = loop, given: Any = given, place: int = place) -> Any:
                made = loop(ASK, TOOLS, **given)
                return read(made) if place else made

            found.append(outcome(ran))
    return found[0], found[1]


CALL = (calling(tool_call(id="c1")), call_of('{"city": "Paris"}'))
END = (completion("done"), DONE)


def test_the_limit_of_turns_is_an_error_with_the_history() -> None:
    plain, streamed = both(CALL, max_iterations=2)
    assert type(streamed) is type(plain) is errors.ToolLoopLimitError
    assert streamed.messages == plain.messages
    assert streamed.result.has_tool_calls


def test_calls_that_were_cut_are_not_run() -> None:
    cut = (
        completion(None, finish="length", tool_calls=[tool_call(arguments='{"city": "Pa')]),
        events(
            call_delta('{"city": "Pa', id="call_1", name="get_weather"),
            delta("length"),
            USAGE_CHUNK,
        ),
    )
    plain, streamed = both(cut)
    assert type(streamed) is type(plain) is errors.OutputTruncatedError


def test_an_error_of_a_later_turn_has_the_history() -> None:
    refusal = error(400, "no")
    plain, streamed = both(CALL, (refusal, refusal))
    assert type(streamed) is type(plain) is errors.BadRequestError
    assert streamed.messages == plain.messages
    assert streamed.messages[-1]["content"] == "sun"


def test_a_turn_that_breaks_off_is_interrupted_with_what_came() -> None:
    broken = events(delta(content="half"), Reset(), done=False)
    with Vendor(CALL[1], broken) as vendor:
        client = vendor.client()
        found = outcome(
            lambda: read(client.chat_with_tools_stream(ASK, TOOLS, tool_executor=weather))
        )
    assert isinstance(found, errors.StreamInterruptedError)
    assert found.partial.content == "half"
    assert found.messages[-1]["content"] == "sun"


def fails(name: str, text: str) -> str:
    raise KeyError("no such city")


def test_a_tools_exception_is_told_to_the_model_and_in_its_event() -> None:
    with Vendor(CALL[1], DONE) as vendor:
        stream = vendor.client().chat_with_tools_stream(ASK, TOOLS, tool_executor=fails)
        found = [chunk.tool for chunk in stream if chunk.tool]
    assert "no such city" in found[1].error
    assert "no such city" in json.loads(found[1].output)["error"]
    assert [entry["feature"] for entry in stream.result.warnings] == ["tool"]


def test_a_tools_exception_comes_out_where_it_was_asked_for() -> None:
    with Vendor(CALL[1], DONE) as vendor:
        stream = vendor.client().chat_with_tools_stream(
            ASK, TOOLS, tool_executor=fails, on_tool_error="raise"
        )
        with pytest.raises(KeyError, match="no such city"):
            list(stream)
        assert list(stream) == []
        with pytest.raises(errors.StreamInterruptedError):
            _ = stream.result
        assert len(vendor.requests) == 1


def test_a_call_of_a_tool_that_is_not_there_or_with_broken_arguments_is_answered() -> None:
    calls = (call_of("{}", name="other"), call_of("{broken", id="c2"), DONE)
    with Vendor(*calls) as vendor:
        stream = vendor.client().chat_with_tools_stream(ASK, TOOLS, tool_executor=weather)
        found = [chunk.tool.error for chunk in stream if chunk.tool and chunk.tool.kind == "result"]
    assert len(found) == 2
    assert all(found)
    assert stream.result.content == "done"


def test_the_timeout_is_for_all_turns_and_tools() -> None:
    import time

    def slow(name: str, text: str) -> str:
        time.sleep(0.6)
        return "sun"

    with Vendor(CALL[1], DONE) as vendor:
        stream = vendor.client().chat_with_tools_stream(ASK, TOOLS, tool_executor=slow, timeout=0.5)
        with pytest.raises(errors.ProviderTimeoutError):
            list(stream)
        assert len(vendor.requests) <= 1


async def later(name: str, text: str) -> str:
    return "sun"


@pytest.mark.parametrize(
    "options",
    [
        {"tool_executor": later},
        {"tool_executor": None},
        {"tool_executor": 5},
        {"max_iterations": 0},
        {"on_tool_error": "ignore"},
        {"max_iteration": 3},
        {"time_out": 3},
        {"n": 2},
        {"tools": []},
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(options: dict[str, Any]) -> None:
    given = {"tools": TOOLS, "tool_executor": weather, **options}
    with Vendor(DONE) as vendor:
        made = vendor.client()
        result = unless_refused(lambda: read(made.chat_with_tools_stream(ASK, **given)))
        assert refused(result, vendor)


# ---- leaving early


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("after", [1, 3], ids=["in the first turn", "at a tool"])
def test_a_loop_that_is_left_early_runs_and_asks_nothing_more(dialect: str, after: int) -> None:
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(text)
        return "sun"

    with Vendor(*turns(dialect, stream=True)) as vendor:
        client: ChatClient = vendor.client(dialect)
        with client.chat_with_tools_stream(ASK, TOOLS, tool_executor=execute) as stream:
            for _, _chunk in zip(range(after), stream, strict=False):
                pass
        assert list(stream) == []
        with pytest.raises(errors.StreamInterruptedError):
            _ = stream.result
        assert len(vendor.requests) == 1
        assert ran == []
        vendor.reset(*turns(dialect, stream=True))
        assert (
            read(client.chat_with_tools_stream(ASK, TOOLS, tool_executor=weather)).content == "done"
        )


def test_usage_is_that_of_all_turns_and_the_last_chunk_has_that_of_its_own() -> None:
    with Vendor(CALL[1], DONE) as vendor:
        stream = vendor.client().chat_with_tools_stream(ASK, [tool()], tool_executor=weather)
        found = [chunk.usage.total_tokens for chunk in stream if chunk.usage]
    assert found == [USAGE["total_tokens"]] * 2
    assert stream.result.usage.total_tokens == 2 * USAGE["total_tokens"]
