"""
Siblings of the streams that users reported: the same roots in other dialects, spellings and places.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from aigc_kit import errors
from tests.vendor import (
    ASK,
    EVENTS,
    GEMINI_USAGE,
    IMAGE_PART,
    JSON,
    PNG,
    TOOLS,
    USAGE,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    block_delta,
    block_start,
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
    features,
    frame,
    function_call,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    json_response,
    kept,
    outcome,
    read,
    refused,
    tool,
    tool_call,
    tool_use,
    unless_refused,
)
from tests.wire import Reset

PAUSE = 0.2
"""Seconds; longer than any drain after an end that was only supposed."""


def paused(*chunks: Any) -> list[Any]:
    return [item for chunk in chunks for item in (chunk, PAUSE)]


def streamed(response: Response, provider: str = "openai_compat", **options: Any) -> Any:
    """The result of a stream."""
    with Vendor(response) as vendor:
        return read(vendor.client(provider).chat_stream(ASK, **options))


# ---- the end of a stream: siblings of a reason and usage on every chunk


def test_gemini_with_a_reason_and_usage_on_every_chunk_is_read_to_its_end() -> None:
    chunks = [
        gemini_chunk(word, reason="STOP", usage=GEMINI_USAGE) for word in ("one ", "two ", "three")
    ]
    assert streamed(gemini_stream(*paused(*chunks)), "gemini").content == "one two three"


def test_gemini_with_a_reason_on_its_first_chunk_is_read_to_its_end() -> None:
    chunks = [
        gemini_chunk("one ", reason="STOP", usage=GEMINI_USAGE),
        gemini_chunk("two "),
        gemini_chunk("three"),
    ]
    assert streamed(gemini_stream(*paused(*chunks)), "gemini").content == "one two three"


def test_a_reason_and_usage_on_the_first_chunk_alone_do_not_end_the_stream() -> None:
    chunks = [
        delta("stop", content="one ", usage=USAGE),
        delta(content="two "),
        delta(content="three"),
    ]
    assert streamed(events(*paused(*chunks))).content == "one two three"


def test_a_call_that_comes_after_reason_and_usage_is_not_lost() -> None:
    chunks = [
        call_delta('{"city": "Paris"}', index=0, id="a", name="get_weather"),
        delta("tool_calls", usage=USAGE),
        call_delta('{"city": "Rome"}', index=1, id="b", name="get_weather"),
    ]
    result = streamed(events(*paused(*chunks)), tools=TOOLS)
    assert [call.parse()["city"] for call in result.tool_calls] == ["Paris", "Rome"]


@pytest.mark.parametrize(
    ("provider", "response"),
    [
        pytest.param(
            "openai_compat",
            events(delta("stop", content="half", usage=USAGE), 0.1, Reset, done=False),
            id="chat/completions",
        ),
        pytest.param(
            "gemini",
            gemini_stream(gemini_chunk("half", reason="STOP", usage=GEMINI_USAGE), 0.1, Reset),
            id="gemini",
        ),
        pytest.param(
            "bedrock",
            Response(
                content_type="application/vnd.amazon.eventstream",
                pieces=[
                    block_delta(0, text="half"),
                    frame("messageStop", {"stopReason": "end_turn"}),
                    0.1,
                    Reset,
                ],
            ),
            id="bedrock before its metadata",
        ),
    ],
)
def test_a_reset_before_the_end_is_a_cut_whatever_came_before(
    provider: str, response: Response
) -> None:
    with pytest.raises(errors.StreamInterruptedError) as caught:
        streamed(response, provider)
    assert caught.value.partial.content == "half"


@pytest.mark.parametrize(
    ("provider", "response"),
    [
        pytest.param(
            "openai_compat",
            events(delta("stop", content="half", usage=USAGE), done=False, cut=True),
            id="chat",
        ),
        pytest.param(
            "gemini",
            gemini_stream(gemini_chunk("half", reason="STOP", usage=GEMINI_USAGE), cut=True),
            id="gemini",
        ),
    ],
)
def test_a_chunked_body_without_its_end_is_a_cut_whatever_came_before(
    provider: str, response: Response
) -> None:
    with pytest.raises(errors.StreamInterruptedError) as caught:
        streamed(response, provider)
    assert caught.value.partial.content == "half"


def test_a_body_that_ends_cleanly_after_its_reason_needs_no_end_mark() -> None:
    result = streamed(events(delta(content="hello"), delta("stop"), done=False))
    assert (result.content, result.finish_reason, result.warnings) == ("hello", "stop", [])


def test_a_connection_kept_open_after_the_end_mark_costs_no_wait() -> None:
    open_end = events(
        delta(content="hello"), delta("stop"), USAGE_CHUNK, b"data: [DONE]\n\n", 30.0, done=False
    )
    began = time.monotonic()
    assert streamed(open_end).content == "hello"
    assert time.monotonic() - began < 10


def test_the_usage_in_late_metadata_of_bedrock_is_read() -> None:
    usage = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}
    pieces = [
        frame("messageStart", {"role": "assistant"}),
        block_delta(0, text="hello"),
        frame("messageStop", {"stopReason": "end_turn"}),
        PAUSE,
        frame("metadata", {"usage": usage}),
    ]
    result = streamed(
        Response(content_type="application/vnd.amazon.eventstream", pieces=pieces), "bedrock"
    )
    assert (result.content, result.usage.total_tokens) == ("hello", 8)


# ---- no finish reason: siblings of an end mark without one


def test_whole_calls_before_an_end_mark_without_a_reason_are_calls() -> None:
    chunks = [call_delta('{"city": "x"}', id="a", name="get_weather"), USAGE_CHUNK]
    result = streamed(events(*chunks), tools=TOOLS)
    assert [call.parse() for call in result.tool_calls] == [{"city": "x"}]
    assert result.finish_reason == "tool_calls"


def test_an_empty_finish_reason_reads_unknown() -> None:
    result = streamed(events(delta("", content="hello"), delta("", content=" world"), USAGE_CHUNK))
    assert (result.content, result.finish_reason) == ("hello world", "unknown")
    assert result.warnings


def test_an_end_mark_with_nothing_before_it_is_an_error() -> None:
    with pytest.raises(errors.ProviderError):
        streamed(events(USAGE_CHUNK))


def test_structured_output_is_read_from_a_stream_without_a_reason() -> None:
    result = streamed(events(delta(content='{"a": 1}')), response_format={"type": "json_object"})
    assert (result.parsed, result.finish_reason) == ({"a": 1}, "unknown")


def test_a_gemini_stream_that_ends_without_a_reason_is_interrupted() -> None:
    """It has no end mark. Source: google-genai 3.4.0 ends silently here, tested 2026-11-22."""
    with pytest.raises(errors.StreamInterruptedError):
        streamed(gemini_stream(gemini_chunk("half")), "gemini")


# ---- several choices and candidates


def choices_chunk(*texts: str, reason: str | None = None) -> dict[str, Any]:
    """All choices in one chunk."""
    made = [
        {"index": at, "delta": {"content": text}, "finish_reason": reason}
        for at, text in enumerate(texts)
    ]
    return {"id": "c1", "object": "chat.completion.chunk", "choices": made}


@pytest.mark.parametrize(
    "options", [{"n": 2}, {"extra_body": {"n": 2}}], ids=["option", "extra_body"]
)
def test_two_choices_in_one_chunk_are_never_mixed(options: dict[str, Any]) -> None:
    chunks = [
        choices_chunk("Paris ", "Rome "),
        choices_chunk("is here.", "is there.", reason="stop"),
    ]
    with Vendor(events(*chunks, USAGE_CHUNK)) as vendor:
        result = unless_refused(lambda: read(vendor.client().chat_stream(ASK, **options)))
    assert refused(result, vendor) or result.content == "Paris is here."


def test_two_choices_of_a_plain_answer_are_never_mixed() -> None:
    """The second stays reachable."""
    messages = [{"role": "assistant", "content": text} for text in ("Paris", "Rome")]
    choices = [
        {"index": at, "message": each, "finish_reason": "stop"} for at, each in enumerate(messages)
    ]
    with Vendor(json_response({"id": "c1", "choices": choices, "usage": USAGE})) as vendor:
        result = unless_refused(lambda: vendor.client().chat(ASK, n=2))
    assert refused(result, vendor) or (result.content == "Paris" and "Rome" in kept(result))


def test_the_calls_of_two_choices_are_never_mixed() -> None:
    """Both choices call a tool with an effect: it runs for one of them."""
    calls = [
        delta(
            index=at,
            tool_calls=[
                {"index": 0, **tool_call(arguments=json.dumps({"city": city}), id=f"c{at}")}
            ],
        )
        for at, city in enumerate(["Paris", "Rome"])
    ]
    chunks = [*calls, delta("tool_calls", index=0), delta("tool_calls", index=1), USAGE_CHUNK]
    with Vendor(events(*chunks)) as vendor:
        result = unless_refused(lambda: read(vendor.client().chat_stream(ASK, tools=TOOLS, n=2)))
    assert refused(result, vendor) or [call.parse() for call in result.tool_calls] == [
        {"city": "Paris"}
    ]


def test_a_stream_follows_the_choice_that_it_saw_first() -> None:
    """``n=2``, and the second choice begins."""
    chunks = [
        delta(index=1, content="Rome "),
        delta(index=0, content="Paris "),
        delta(index=1, content="is there."),
        delta(index=0, content="is here."),
        delta("stop", index=1),
        delta("stop", index=0),
    ]
    with Vendor(events(*chunks, USAGE_CHUNK)) as vendor:
        result = unless_refused(lambda: read(vendor.client().chat_stream(ASK, n=2)))
    assert refused(result, vendor) or result.content in ("Rome is there.", "Paris is here.")


def test_an_index_that_counts_tokens_is_one_choice_with_tool_calls_too() -> None:
    """Source: https://github.com/huggingface/text-generation-inference/issues/1648"""
    pieces = ['{"city"', ": ", '"x"}']
    chunks = [
        delta(
            index=at,
            tool_calls=[
                {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": piece}}
            ],
        )
        for at, piece in enumerate(pieces)
    ]
    result = streamed(events(*chunks, delta("tool_calls", index=3), USAGE_CHUNK), tools=TOOLS)
    assert [call.parse() for call in result.tool_calls] == [{"city": "x"}]


def test_an_answer_that_begins_after_the_end_of_the_first_is_not_added_to_it() -> None:
    """``n=2``, one answer after the other; a counted index would come before the finish reason."""
    chunks = [delta("stop", content="Paris"), delta("stop", index=1, content="Rome")]
    assert streamed(events(*chunks, USAGE_CHUNK)).content == "Paris"


@pytest.mark.parametrize("indexes", [(0, None), (None, 0), (None, None)], ids=str)
def test_a_choice_without_an_index_belongs_to_the_answer(indexes: tuple[Any, Any]) -> None:
    chunks = [
        {"choices": [{"index": at, "delta": {"content": text}, "finish_reason": reason}]}
        for at, text, reason in zip(indexes, ("Pa", "ris"), (None, "stop"), strict=True)
    ]
    assert streamed(events(*chunks, USAGE_CHUNK)).content == "Paris"


@pytest.mark.parametrize("option", ["candidate_count", "n"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_two_candidates_of_gemini_are_never_mixed(option: str, stream: bool) -> None:
    """
    From Gemini 3 on more than one is refused by the API. Source:
    https://ai.google.dev/api/generate-content
    """
    both = [
        gemini_chunk("Paris", reason="STOP", index=0),
        gemini_chunk("Rome", reason="STOP", index=1),
    ]
    plain = {
        **both[0],
        "candidates": [each["candidates"][0] for each in both],
        "usageMetadata": GEMINI_USAGE,
    }
    response = (
        gemini_stream(*both, gemini_chunk(usage=GEMINI_USAGE)) if stream else json_response(plain)
    )
    with Vendor(response) as vendor:
        chat = vendor.client("gemini", model="gemini-2.5-flash")
        result = unless_refused(lambda: ask(chat, stream=stream, **{option: 2}))
    assert refused(result, vendor) or (
        result.content == "Paris" and (stream or "Rome" in kept(result))
    )


def test_several_answers_of_bedrock_are_refused_or_warned_of() -> None:
    """Converse has no ``n``."""
    with Vendor(converse_response("ok")) as vendor:
        result = unless_refused(lambda: vendor.client("bedrock").chat(ASK, n=2))
    assert refused(result, vendor) or (
        result.warnings and "n" not in vendor.body.get("additionalModelRequestFields", {})
    )


# ---- repeats: siblings of a finished call that is streamed once more

PAY = [tool("pay", {"type": "object", "properties": {"yuan": {"type": "integer"}}})]
PAYMENT = tool_call("pay", '{"yuan": 100}', "X")
USE = tool_use({"yuan": 100}, id="X", name="pay")


def run_pay(vendor: Vendor, provider: str = "openai_compat", **options: Any) -> list[str]:
    """The arguments with which the tool ran."""
    ran: list[str] = []

    def execute(name: str, text: str) -> str:
        ran.append(text)
        return "paid"

    result = vendor.client(provider).chat_with_tools(ASK, PAY, tool_executor=execute, **options)
    assert result.content == "done"
    return ran


@pytest.mark.parametrize(
    ("provider", "first", "last"),
    [
        pytest.param(
            "openai_compat",
            completion(None, finish="tool_calls", tool_calls=[PAYMENT, PAYMENT]),
            completion("done"),
            id="chat/completions",
        ),
        pytest.param(
            "openai_compat",
            completion(
                None,
                finish="tool_calls",
                tool_calls=[PAYMENT, tool_call("pay", '"{\\"yuan\\":100}"', "X")],
            ),
            completion("done"),
            id="encoded twice",
        ),
        pytest.param(
            "openai_compat",
            completion(
                None,
                finish="tool_calls",
                tool_calls=[PAYMENT, tool_call("pay", {"yuan": 100}, "X")],
            ),
            completion("done"),
            id="as an object",
        ),
        pytest.param(
            "bedrock",
            converse_response(USE, USE, stop="tool_use"),
            converse_response("done"),
            id="bedrock",
        ),
        pytest.param(
            "gemini",
            gemini_response(*[function_call({"yuan": 100}, name="pay", id="X", signature="S")] * 2),
            gemini_response("done"),
            id="gemini",
        ),
    ],
)
def test_a_tool_runs_once_when_a_plain_answer_holds_its_call_twice(
    provider: str, first: Response, last: Response
) -> None:
    with Vendor(first, last) as vendor:
        ran = run_pay(vendor, provider)
    assert [json.loads(text) for text in ran] == [{"yuan": 100}]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(
            call_delta('{"yuan":100}', index=1, id="X", name="pay"), id="other whitespace"
        ),
        pytest.param(
            call_delta('"{\\"yuan\\": 100}"', index=1, id="X", name="pay"), id="encoded twice"
        ),
        pytest.param(
            {"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [PAYMENT]}}]},
            id="in a whole message",
        ),
        pytest.param(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "message": {"role": "assistant", "tool_calls": [PAYMENT]},
                        "finish_reason": "tool_calls",
                    }
                ]
            },
            id="beside an empty delta",
        ),
    ],
)
def test_a_call_that_comes_once_more_in_any_encoding_is_one_call(again: dict[str, Any]) -> None:
    chunks = [call_delta("", id="X", name="pay"), call_delta('{"yuan":'), call_delta(" 100}")]
    result = streamed(events(*chunks, again, delta("tool_calls"), USAGE_CHUNK), tools=PAY)
    assert [call.parse() for call in result.tool_calls] == [{"yuan": 100}]


WHOLE_MESSAGE = {"role": "assistant", "content": "hello world", "reasoning_content": "why"}


@pytest.mark.parametrize(
    "summary",
    [
        pytest.param(
            {"choices": [{"index": 0, "message": WHOLE_MESSAGE, "finish_reason": "stop"}]},
            id="no delta",
        ),
        pytest.param(
            {
                "choices": [
                    {"index": 0, "delta": None, "message": WHOLE_MESSAGE, "finish_reason": "stop"}
                ]
            },
            id="null delta",
        ),
        pytest.param(
            {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": WHOLE_MESSAGE, "finish_reason": "stop"}],
                "usage": USAGE,
            },
            id="MiniMax's last event",
        ),
    ],
)
def test_a_summary_of_the_whole_message_is_not_added_to_what_came(summary: dict[str, Any]) -> None:
    chunks = [
        delta(reasoning_content="why"),
        delta(content="hello"),
        delta(content=" world"),
        summary,
    ]
    result = streamed(events(*chunks, USAGE_CHUNK))
    assert (result.content, result.reasoning_content) == ("hello world", "why")


@pytest.mark.parametrize(
    ("before", "last"),
    [
        pytest.param(
            [{"content": "It rains in Paris."}],
            {"content": "It rains in Paris."},
            id="one piece before",
        ),
        pytest.param(
            [
                {"reasoning_content": "w"},
                {"reasoning_content": "hy"},
                {"content": "It rains "},
                {"content": "in Paris."},
            ],
            {"content": "It rains in Paris.", "reasoning_content": "why"},
            id="reasoning too",
        ),
        pytest.param(
            [{"content": "<think>wh"}, {"content": "y</think>It rains "}, {"content": "in Paris."}],
            {"content": "<think>why</think>It rains in Paris."},
            id="tags too",
        ),
    ],
)
def test_a_summary_in_the_last_delta_is_not_added_to_what_came(
    before: list[dict[str, Any]], last: dict[str, Any]
) -> None:
    """Source: https://github.com/agno-agi/agno/issues/2336"""
    result = streamed(
        events(*(delta(**piece) for piece in before), delta("stop", **last), USAGE_CHUNK)
    )
    assert result.content == "It rains in Paris."
    assert result.reasoning_content in ("why", "")


def test_a_whole_message_alone_in_a_stream_is_the_answer() -> None:
    """Nothing came before it, so it is not a summary."""
    summary = {"choices": [{"index": 0, "message": WHOLE_MESSAGE, "finish_reason": "stop"}]}
    result = streamed(events(summary, USAGE_CHUNK))
    assert (result.content, result.reasoning_content) == ("hello world", "why")


def test_a_word_said_twice_is_a_word_said_twice() -> None:
    """Equal deltas are text, not a repeat."""
    result = streamed(events(delta(content="ha"), delta(content="ha"), delta("stop"), USAGE_CHUNK))
    assert result.content == "haha"


def test_a_call_of_bedrock_that_is_streamed_once_more_is_one_call() -> None:
    frames = [
        *converse_call("pay", '{"yuan": 100}', id="X"),
        *converse_call("pay", '{"yuan": 100}', id="X", index=1),
    ]
    result = streamed(converse_stream(*frames, stop="tool_use"), "bedrock", tools=PAY)
    assert [call.parse() for call in result.tool_calls] == [{"yuan": 100}]


def test_a_call_of_gemini_that_is_streamed_once_more_is_one_call() -> None:
    part = function_call({"yuan": 100}, name="pay", id="X", signature="S")
    chunks = [gemini_chunk(part), gemini_chunk(part, reason="STOP", usage=GEMINI_USAGE)]
    result = streamed(gemini_stream(*chunks), "gemini", tools=PAY)
    assert [call.parse() for call in result.tool_calls] == [{"yuan": 100}]


# ---- first fragments: siblings of an empty object before the arguments


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        pytest.param(["{}", '{"city": "x"}'], {"city": "x"}, id="then whole"),
        pytest.param(["{ }", '{"city":', '"x"}'], {"city": "x"}, id="with a space"),
        pytest.param(["", '{"city":', '"x"}'], {"city": "x"}, id="nothing first"),
        pytest.param(["{}", "", '{"city":"x"}'], {"city": "x"}, id="nothing between"),
        pytest.param(["{}", "{}"], {}, id="twice"),
        pytest.param(["{", "}"], {}, id="in two pieces"),
        pytest.param(['{"a": ', "{}", ', "city": "x"}'], {"a": {}, "city": "x"}, id="inside"),
    ],
)
def test_an_empty_object_counts_only_when_nothing_follows_it(
    pieces: list[str], arguments: dict[str, Any]
) -> None:
    first, *rest = pieces
    chunks = [call_delta(first, id="a", name="get_weather"), *map(call_delta, rest)]
    result = streamed(events(*chunks, delta("tool_calls"), USAGE_CHUNK), tools=TOOLS)
    assert [call.parse() for call in result.tool_calls] == [arguments]


def test_empty_objects_before_the_arguments_of_two_calls_mix_nothing() -> None:
    chunks = [
        call_delta("{}", index=0, id="a", name="get_weather"),
        call_delta("{}", index=1, id="b", name="get_weather"),
        call_delta('{"city":"x"}', index=0),
        call_delta('{"city":"y"}', index=1),
    ]
    result = streamed(events(*chunks, delta("tool_calls"), USAGE_CHUNK), tools=TOOLS)
    assert [(call.id, call.parse()["city"]) for call in result.tool_calls] == [
        ("a", "x"),
        ("b", "y"),
    ]


def test_an_empty_object_as_json_before_the_arguments_is_no_part_of_them() -> None:
    """Not its text: ``"arguments": {}``."""
    first = delta(
        tool_calls=[{"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": {}}}]
    )
    chunks = [first, call_delta('{"city":'), call_delta('"x"}')]
    result = streamed(events(*chunks, delta("tool_calls"), USAGE_CHUNK), tools=TOOLS)
    assert [call.parse() for call in result.tool_calls] == [{"city": "x"}]


# ---- what a body is: siblings of a content type that is wrong

HELLO = [delta(role="assistant", content="hel"), delta(content="lo"), delta("stop"), USAGE_CHUNK]
GEMINI_HELLO = [gemini_chunk("hel"), gemini_chunk("lo", reason="STOP", usage=GEMINI_USAGE)]


def lines(*items: Any) -> list[bytes]:
    return [json.dumps(item).encode() + b"\n" for item in items]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(
            Response(content_type="application/x-ndjson", pieces=lines(*HELLO)), id="JSON lines"
        ),
        pytest.param(
            Response(content_type=EVENTS, pieces=lines(*HELLO)), id="JSON lines named events"
        ),
        pytest.param(
            Response(completion("hello").body, content_type=EVENTS), id="JSON named events"
        ),
        pytest.param(
            Response(b"\n\n\n" + completion("hello").body, content_type=EVENTS),
            id="blank lines first",
        ),
        pytest.param(
            events(b": PING\n\n", HELLO[0], b'event: ping\ndata: {"type": "ping"}\n\n', *HELLO[1:]),
            id="pings",
        ),
        pytest.param(events(HELLO[0], b"data:\n\n", *HELLO[1:]), id="an empty event"),
        pytest.param(events(b"\xef\xbb\xbf", *HELLO), id="a byte order mark"),
        pytest.param(
            events(*HELLO, content_type="application/octet-stream"), id="events named bytes"
        ),
    ],
)
def test_a_streams_body_is_read_whatever_it_is_called(response: Response) -> None:
    result = streamed(response)
    assert (result.content, result.finish_reason) == ("hello", "stop")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(events(*HELLO, content_type=JSON), id="events named JSON"),
        pytest.param(
            Response(content_type="application/x-ndjson", pieces=lines(*HELLO)), id="JSON lines"
        ),
        pytest.param(events(b": keep-alive\n\n", *HELLO, done=False), id="no end mark"),
        pytest.param(Response(b"\n\n" + completion("hello").body), id="blank lines first"),
    ],
)
def test_a_plain_answers_body_is_read_whatever_it_is_called(response: Response) -> None:
    with Vendor(response) as vendor:
        result = vendor.client().chat(ASK)
    assert (result.content, result.finish_reason) == ("hello", "stop")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(
            json_response(GEMINI_HELLO), id="the JSON array that the API sends without alt=sse"
        ),
        pytest.param(
            Response(content_type=JSON, pieces=gemini_stream(*GEMINI_HELLO).pieces), id="named JSON"
        ),
        pytest.param(gemini_response("hello"), id="a whole response"),
        pytest.param(
            gemini_stream(GEMINI_HELLO[0], b": ping\r\n\r\n", GEMINI_HELLO[1]), id="a comment"
        ),
        pytest.param(gemini_stream(*GEMINI_HELLO, b"data: [DONE]\r\n\r\n"), id="OpenAI's end mark"),
    ],
)
def test_a_gemini_streams_body_is_read_whatever_it_is_called(response: Response) -> None:
    result = streamed(response, "gemini")
    assert (result.content, result.finish_reason) == ("hello", "stop")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(gemini_stream(*GEMINI_HELLO), id="events"),
        pytest.param(json_response(GEMINI_HELLO), id="an array"),
    ],
)
def test_a_plain_gemini_answer_that_comes_in_chunks_is_read_whole(response: Response) -> None:
    with Vendor(response) as vendor:
        result = vendor.client("gemini").chat(ASK)
    assert (result.content, result.finish_reason) == ("hello", "stop")


@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_web_page_is_never_an_answer_and_never_retried(provider: str, stream: bool) -> None:
    page = Response(
        b"<!DOCTYPE html><html><title>Login</title></html>", content_type="text/html; charset=utf-8"
    )
    with Vendor(page) as vendor:
        chat = vendor.client(provider, max_retries=2)
        result = outcome(lambda: ask(chat, stream=stream))
    assert type(result) is errors.InvalidReplyError
    assert not result.retryable
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_web_page_of_a_relay_hints_at_the_missing_v1(stream: bool) -> None:
    page = Response(b"<!doctype html><html><title>New API</title></html>", content_type="text/html")
    with Vendor(page) as vendor:
        chat = vendor.client(base_url=vendor.url)
        result = outcome(lambda: ask(chat, stream=stream))
    assert "html" in str(result).lower()
    assert "/v1" in str(result)


# ---- fields that are sent by default: siblings of stream_options


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_none_in_extra_body_leaves_a_field_out(stream: bool) -> None:
    """Null is not sent: back ends refuse it."""
    response = events(*HELLO) if stream else completion("hello")
    with Vendor(response) as vendor:
        ask(
            vendor.client("deepseek"),
            stream=stream,
            extra_body={"stream_options": None, "top_k": None},
        )
    assert {"stream_options", "top_k"}.intersection(vendor.body) == set()


# ---- what has no field of its own: siblings of audio and extras


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_images_of_a_gateway_are_images_of_the_result(stream: bool) -> None:
    """
    OpenRouter's field. Source: https://openrouter.ai/docs/features/multimodal/image-generation
    """
    chunks = events(delta(content="here"), delta(images=[IMAGE_PART]), delta("stop"), USAGE_CHUNK)
    response = chunks if stream else completion("here", images=[IMAGE_PART])
    with Vendor(response) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert result.content == "here"
    assert [(image.data, image.mime_type) for image in result.images] == [(PNG, "image/png")]


def test_an_image_beside_no_text_is_not_an_empty_answer() -> None:
    with Vendor(completion("", images=[IMAGE_PART])) as vendor:
        result = vendor.client().chat(ASK)
    assert len(result.images) == 1
    assert result.warnings == []


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_image_among_the_parts_of_the_content_is_an_image_of_the_result(stream: bool) -> None:
    parts = [{"type": "text", "text": "here"}, IMAGE_PART]
    chunks = events(delta(content=parts), delta("stop"), USAGE_CHUNK)
    with Vendor(chunks if stream else completion(parts)) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert result.content == "here"
    assert [image.data for image in result.images] == [PNG]


def test_a_streamed_image_is_in_a_chunk() -> None:
    response = events(delta(images=[IMAGE_PART]), delta("stop"), USAGE_CHUNK)
    with Vendor(response) as vendor, vendor.client().chat_stream(ASK) as stream:
        found = [image for chunk in stream for image in chunk.images]
    assert [image.data for image in found] == [PNG]


@pytest.mark.parametrize(
    ("chunk", "word"),
    [
        pytest.param(
            {**delta(content="a"), "citations": ["https://x"]},
            "https://x",
            id="Perplexity's citations",
        ),
        pytest.param(
            delta(content="a", annotations=[{"url": "https://y"}]), "https://y", id="annotations"
        ),
        pytest.param(delta(content="a", audio={"id": "audio_1"}), "audio_1", id="audio"),
        pytest.param(
            {**delta(content="a"), "moderation_hit_type": "violence"},
            "violence",
            id="Ark's moderation",
        ),
        pytest.param(
            {**delta(content="a"), "web_search": [{"link": "https://z"}]},
            "https://z",
            id="GLM's search",
        ),
        pytest.param(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": "a"},
                        "logprobs": {"content": [{"logprob": -0.5}]},
                    }
                ]
            },
            "-0.5",
            id="logprobs",
        ),
        pytest.param(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": "a"},
                        "content_filter_results": {"hate": "safe"},
                    }
                ]
            },
            "hate",
            id="Azure's filter results",
        ),
        pytest.param(
            {**USAGE_CHUNK, "usage": {**USAGE, "cost": 0.0125}}, "0.0125", id="OpenRouter's cost"
        ),
    ],
)
def test_what_a_stream_has_no_field_for_is_kept_in_raw(chunk: dict[str, Any], word: str) -> None:
    result = streamed(events(chunk, delta("stop", content="b")))
    assert result.content in ("ab", "b")
    assert word in json.dumps([result.raw, result.message])


def test_what_a_chunk_has_no_field_for_is_in_its_extra() -> None:
    first = {**delta(content="a"), "citations": ["https://x"]}
    with (
        Vendor(events(first, delta("stop"), USAGE_CHUNK)) as vendor,
        vendor.client().chat_stream(ASK) as stream,
    ):
        extras = [chunk.extra for chunk in stream]
    assert "https://x" in json.dumps(extras)


def test_lists_that_come_in_pieces_are_kept_whole() -> None:
    chunks = [
        delta(content="a", annotations=[{"url": "https://1"}]),
        delta(annotations=[{"url": "https://2"}]),
    ]
    text = kept(streamed(events(*chunks, delta("stop"), USAGE_CHUNK)))
    assert "https://1" in text
    assert "https://2" in text


def test_what_every_chunk_repeats_is_kept_once() -> None:
    """Perplexity's citations, and words that stay the same."""
    more = {"citations": ["https://x"], "search_results": [{"url": "https://x"}], "region": "eu"}
    chunks = [
        {**delta(content="a"), **more},
        {**delta(content="b"), **more},
        {**delta("stop"), **more},
    ]
    raw = streamed(events(*chunks, USAGE_CHUNK)).raw
    assert {name: raw[name] for name in more} == more


def test_what_a_summary_repeats_is_kept_once() -> None:
    """Reasoning goes back to its owner as it came: twice, its signature would be wrong."""
    details = [{"type": "reasoning.text", "text": "why", "signature": "S", "index": 0}]
    message = {"role": "assistant", "content": "ok", "reasoning_details": details}
    summary = {"choices": [{"index": 0, "delta": {}, "message": message, "finish_reason": "stop"}]}
    chunks = [delta(reasoning_details=details), delta(content="ok"), summary]
    assert streamed(events(*chunks, USAGE_CHUNK)).message["reasoning_details"] == details


def test_a_message_that_grows_in_a_stream_keeps_its_tags_apart() -> None:
    texts = ["<think>why", "<think>why</think>", "<think>why</think>It rains."]
    chunks = [
        {"choices": [{"index": 0, "message": {"content": text}, "finish_reason": None}]}
        for text in texts
    ]
    result = streamed(events(*chunks, delta("stop"), USAGE_CHUNK))
    assert (result.content, result.reasoning_content) == ("It rains.", "why")


def test_the_extra_of_a_chunk_does_not_grow_with_the_stream() -> None:
    chunks = [
        delta(content="a", annotations=[{"url": "https://1"}]),
        delta(annotations=[{"url": "https://2"}]),
    ]
    with (
        Vendor(events(*chunks, delta("stop"), USAGE_CHUNK)) as vendor,
        vendor.client().chat_stream(ASK) as stream,
    ):
        extras = [chunk.extra for chunk in stream if chunk.extra]
    assert extras == [
        {"annotations": [{"url": "https://1"}]},
        {"annotations": [{"url": "https://2"}]},
    ]


def test_the_raw_of_a_stream_has_the_shape_of_a_plain_answer() -> None:
    plain = calling(tool_call(), content="ok", reasoning_content="why")
    begun = call_delta('{"city":', id="call_1", name="get_weather")
    chunks = [
        delta(reasoning_content="why"),
        delta(content="ok"),
        begun,
        call_delta(' "Paris"}'),
        delta("tool_calls"),
    ]
    with Vendor(plain, events(*chunks, USAGE_CHUNK)) as vendor:
        one, other = (ask(vendor.client(), stream=stream, tools=TOOLS) for stream in (False, True))
    assert other.raw == one.raw


def test_the_raw_of_a_bedrock_stream_has_the_shape_of_a_plain_answer() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "SIG"}}}
    plain = converse_response(thought, "ok", tool_use({"city": "x"}), stop="tool_use")
    frames = [
        block_delta(0, reasoningContent={"text": "hm"}),
        block_delta(0, reasoningContent={"signature": "SIG"}),
        block_delta(1, text="ok"),
        *converse_call("get_weather", '{"city": "x"}', index=2),
    ]
    with Vendor(plain, converse_stream(*frames, stop="tool_use")) as vendor:
        one, other = (
            ask(vendor.client("bedrock"), stream=stream, tools=TOOLS) for stream in (False, True)
        )
    assert other.raw == one.raw


def test_audio_that_comes_in_pieces_is_kept_whole() -> None:
    chunks = [delta(audio={"id": "a1", "data": "QUJD"}), delta(audio={"data": "REVG"})]
    result = streamed(events(*chunks, delta("stop"), USAGE_CHUNK))
    text = kept(result)
    assert "QUJDREVG" in text or ("QUJD" in text and "REVG" in text)
    assert result.warnings == []


def test_the_reasoning_blocks_of_a_bedrock_stream_still_come_back() -> None:
    """What has a field of its own stays where it was."""
    frames = [
        block_delta(0, reasoningContent={"text": "hm"}),
        block_delta(0, reasoningContent={"signature": "SIG"}),
        block_stop(0),
        block_start(1),
        block_delta(1, text="ok"),
        block_stop(1),
    ]
    result = streamed(converse_stream(*frames), "bedrock")
    assert (result.content, result.reasoning_content) == ("ok", "hm")
    assert "SIG" in json.dumps(result.message)


def test_usage_is_asked_of_models_that_give_it_beside_one_that_refuses() -> None:
    """A relay serves both."""

    def script(body: Any, number: int) -> Response:
        asks = "stream_options" in body
        if body["model"] == "old" and asks:
            return error(400, "Unknown field: stream_options")
        return events(delta("stop", content="ok"), *([USAGE_CHUNK] if asks else []))

    with Vendor(script) as vendor:
        client = vendor.client()
        found = [
            read(client.chat_stream(ASK, model=model)).usage.total_tokens
            for model in ("old", "new", "old")
        ]
    assert found == [0, 7, 0]
    assert len(vendor.requests) == 4  # the refusal is remembered


@pytest.mark.parametrize(
    ("usage", "completion_tokens"),
    [
        (
            {
                "completion_tokens": 5,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            15,
        ),
        (
            {
                "completion_tokens": 15,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            15,
        ),
        ({"completion_tokens": 5, "total_tokens": 8}, 5),
    ],
    ids=["xAI", "OpenAI", "without reasoning"],
)
def test_completion_tokens_include_reasoning_that_was_counted_apart(
    usage: dict[str, Any], completion_tokens: int
) -> None:
    result = streamed(events(delta("stop", content="ok", usage={"prompt_tokens": 3, **usage})))
    assert (result.usage.completion_tokens, result.usage.total_tokens) == (
        completion_tokens,
        3 + completion_tokens,
    )


def test_the_deltas_of_an_empty_object_with_space_behind_it_are_json() -> None:
    chunks = [
        call_delta("{}", id="a", name="get_weather"),
        call_delta(" "),
        delta("tool_calls"),
        USAGE_CHUNK,
    ]
    with Vendor(events(*chunks)) as vendor, vendor.client().chat_stream(ASK, tools=TOOLS) as stream:
        text = "".join(piece.arguments for chunk in stream for piece in chunk.tool_calls)
        assert json.loads(text) == stream.result.tool_calls[0].parse() == {}


# ---- halves, repeats and ends that are none


def arguments_of(*chunks: Any) -> list[tuple[str, str]]:
    result = streamed(events(*chunks, delta("tool_calls")), tools=TOOLS)
    return [(call.name, call.arguments) for call in result.tool_calls]


@pytest.mark.parametrize("index", [0, None])
def test_a_new_id_for_each_piece_is_one_call(index: int | None) -> None:
    found = arguments_of(
        call_delta("", index=index, id="a", name="get_weather"),
        call_delta('{"city":', index=index, id="b"),
        call_delta(' "Paris"}', index=index, id="c"),
    )
    assert found == [("get_weather", '{"city": "Paris"}')]


def test_two_calls_with_a_new_id_for_each_piece_stay_two() -> None:
    found = arguments_of(
        call_delta("", id="a", name="get_weather"),
        call_delta('{"city": "Paris"}', id="b"),
        call_delta("", index=1, id="c", name="get_weather"),
        call_delta('{"city": ', index=1, id="d"),
        call_delta('"Rome"}', index=1, id="e"),
    )
    assert found == [
        ("get_weather", '{"city": "Paris"}'),
        ("get_weather", '{"city": "Rome"}'),
    ]


@pytest.mark.parametrize("mark", [{}, {"id": ""}, {"id": None}])
@pytest.mark.parametrize("more", [[], [call_delta("")]])
def test_a_name_in_the_closing_piece_makes_no_second_call(
    mark: dict[str, Any], more: list[Any]
) -> None:
    found = arguments_of(
        call_delta("", id="c1", name="get_weather"),
        call_delta('{"city":', name="get_weather", **mark),
        call_delta(' "Paris"}', name="get_weather", **mark),
        call_delta("", name="get_weather", **mark),
        *more,
    )
    assert found == [("get_weather", '{"city": "Paris"}')]


def test_a_second_call_that_begins_without_arguments_is_a_call() -> None:
    found = arguments_of(
        call_delta('{"city": "Paris"}', name="get_weather"),
        call_delta("", name="get_weather"),
        call_delta('{"city": "Rome"}'),
    )
    assert [text for _, text in found] == ['{"city": "Paris"}', '{"city": "Rome"}']


@pytest.mark.parametrize("word", ["null", "None", ""])
@pytest.mark.parametrize("done", [False, True])
def test_the_word_null_is_no_finish_reason(word: str, done: bool) -> None:
    response = events(delta(word, content="Hel"), delta(word, content="lo"), done=done)
    with Vendor(response) as vendor:
        chunks = vendor.client().chat_stream(ASK)
        if done:
            assert [chunk.finish_reason for chunk in chunks] == [None, None]
            assert chunks.result.finish_reason == "unknown"
            assert features(chunks.result) == ["finish_reason"]
        else:
            with pytest.raises(errors.StreamInterruptedError):
                list(chunks)


def halves(*usages: tuple[int, int]) -> list[dict[str, Any]]:
    return [
        delta(
            "stop" if at == len(usages) - 1 else None,
            content="a",
            usage={"prompt_tokens": one, "completion_tokens": two, "total_tokens": one + two},
        )
        for at, (one, two) in enumerate(usages)
    ]


@pytest.mark.parametrize(
    "usages",
    [[(10, 0), (0, 5)], [(10, 5), (0, 0)], [(10, 1), (10, 5)], [(10, 0), (0, 2), (0, 5)]],
)
def test_usage_that_comes_in_halves_is_whole(usages: list[tuple[int, int]]) -> None:
    result = streamed(events(*halves(*usages)))
    usage = result.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 5, 15)
    raw = result.raw["usage"]
    assert (raw["prompt_tokens"], raw["completion_tokens"], raw["total_tokens"]) == (10, 5, 15)


def escaped(*pieces: dict[str, Any]) -> Response:
    lines = [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces]
    return Response(content_type=EVENTS, pieces=[*lines, b"data: [DONE]\n\n"])


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_a_character_in_two_pieces_is_given_whole(field: str) -> None:
    pieces = [delta(**{field: text}) for text in ("好\ud83d", "\ude00 and \ud83d", " alone \ud83d")]
    with Vendor(escaped(*pieces, delta("stop", content="end"))) as vendor:
        chunks = list(vendor.client().chat_stream(ASK))
    texts = [chunk.delta_content + chunk.delta_reasoning for chunk in chunks]
    assert all(text.encode() for text in texts if text)
    assert sorted("".join(texts)) == sorted("好😀 and \ufffd alone \ufffdend")


def test_a_character_in_two_pieces_of_arguments_is_given_whole() -> None:
    pieces = [
        call_delta('{"city": "\ud83d', id="a", name="get_weather"),
        call_delta('\ude00"}'),
        delta("tool_calls"),
    ]
    with Vendor(escaped(*pieces)) as vendor:
        chunks = vendor.client().chat_stream(ASK, tools=TOOLS)
        text = "".join(call.arguments for chunk in chunks for call in chunk.tool_calls)
    assert json.loads(text) == chunks.result.tool_calls[0].parse() == {"city": "😀"}


@pytest.mark.parametrize(
    ("last", "more"), [("Hello there, how are you today?", ""), (" Another end.", " Another end.")]
)
def test_a_summary_without_the_space_around_it_is_no_text(last: str, more: str) -> None:
    pieces = ["\n\nHello there, how are ", "you today? "]
    chunks = [delta(content=piece) for piece in pieces]
    result = streamed(events(*chunks, delta("stop", content=last)))
    assert result.content == "".join(pieces) + more


@pytest.mark.parametrize("text", ["null", '""', " "])
@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_are_none_are_an_empty_object(text: str, stream: bool) -> None:
    chunks = [call_delta(text, id="a", name="now"), delta("tool_calls")]
    response = events(*chunks) if stream else calling(tool_call("now", text, "a"))
    with Vendor(response) as vendor:
        result = ask(vendor.client(), stream=stream, tools=[tool("now")])
    assert [call.arguments for call in result.tool_calls] == ["{}"]


# ---- one answer in several choices


def split_answer(second: int) -> Response:
    says = {"role": "assistant", "content": "I'll check."}
    calls = {"role": "assistant", "content": None, "tool_calls": [tool_call()]}
    choices = [
        {"index": place, "message": message, "finish_reason": "tool_calls"}
        for place, message in ((0, says), (second, calls))
    ]
    return json_response({"id": "c", "model": "m", "choices": choices, "usage": USAGE})


@pytest.mark.parametrize("second", [0, 1])
def test_text_and_calls_in_choices_of_their_own_are_one_answer(second: int) -> None:
    with Vendor(split_answer(second)) as vendor:
        result = vendor.client().chat(ASK, tools=TOOLS)
    assert (result.content, result.finish_reason) == ("I'll check.", "tool_calls")
    assert [call.name for call in result.tool_calls] == ["get_weather"]
    assert result.warnings == []


def test_two_pieces_of_one_choice_in_a_chunk_are_both_read() -> None:
    pieces = [{"index": 0, "delta": {"content": text}} for text in "ab"]
    assert streamed(events({"choices": pieces}, delta("stop"))).content == "ab"


def test_the_index_of_a_chunk_that_says_nothing_decides_nothing() -> None:
    chunks = [delta(role="assistant", content="", index=0)]
    chunks += [delta(content=text, index=1) for text in "ab"]
    result = streamed(events(*chunks, delta("stop", content="c", index=1)))
    assert (result.content, result.finish_reason) == ("abc", "stop")
