"""
Streams of OpenAI-compatible back ends as users reported them: where one ends, what is in it, what
repeats.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit import errors
from tests.vendor import (
    ASK,
    EVENTS,
    JSON,
    TOOLS,
    USAGE,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    call_delta,
    completion,
    delta,
    error,
    events,
    kept,
    outcome,
    read,
    refused,
    tool,
    unless_refused,
)

PAUSE = 0.2
"""Seconds; longer than any drain after an end that was only supposed."""


# ---- the end of a stream


def test_a_reason_and_usage_on_every_chunk_do_not_end_the_stream() -> None:
    """
    Source: https://github.com/BerriAI/litellm/issues/2195 and
    https://github.com/songquanpeng/one-api/issues/1477
    """
    words = ["one ", "two ", "three ", "four"]
    items = [item for word in words for item in (delta("stop", content=word, usage=USAGE), PAUSE)]
    with Vendor(events(*items)) as vendor:
        result = read(vendor.client().chat_stream(ASK))
    assert result.content == "one two three four"


def test_an_end_mark_without_a_finish_reason_is_complete_and_unknown() -> None:
    """
    Source: https://github.com/databricks/unity-gateway/issues/215 and
    https://github.com/sgl-project/sglang/issues/4550
    """
    with Vendor(events(delta(content="hello"), delta(content=" world"), USAGE_CHUNK)) as vendor:
        result = read(vendor.client().chat_stream(ASK))
    assert (result.content, result.finish_reason) == ("hello world", "unknown")
    assert result.warnings


def test_a_plain_answer_without_a_finish_reason_reads_the_same() -> None:
    """Source: https://github.com/databricks/unity-gateway/issues/215"""
    with Vendor(completion("hello world", finish=None)) as vendor:
        result = vendor.client().chat(ASK)
    assert (result.content, result.finish_reason) == ("hello world", "unknown")
    assert result.warnings


def test_neither_an_end_mark_nor_a_finish_reason_is_an_interrupted_stream() -> None:
    """Source: https://github.com/sgl-project/sglang/issues/4550"""
    with Vendor(
        events(delta(content="hello"), delta(content=" world"), USAGE_CHUNK, done=False)
    ) as vendor:
        result = outcome(lambda: read(vendor.client().chat_stream(ASK)))
    assert type(result) is errors.StreamInterruptedError
    assert result.partial.content == "hello world"


# ---- several choices


def test_two_streamed_choices_are_never_mixed() -> None:
    """
    One choice's text alone, or ``n`` refused before sending.

    Source: https://github.com/openai/openai-agents-python/issues/3313
    """
    chunks = [
        delta(index=0, content="Paris "),
        delta(index=1, content="Rome "),
        delta(index=0, content="is in France."),
        delta(index=1, content="is in Italy."),
        delta("stop", index=0),
        delta("stop", index=1),
    ]
    with Vendor(events(*chunks, USAGE_CHUNK)) as vendor:
        result = unless_refused(lambda: read(vendor.client().chat_stream(ASK, n=2)))
    assert refused(result, vendor) or result.content == "Paris is in France."


def test_an_index_that_counts_tokens_is_still_one_choice() -> None:
    """Source: https://github.com/huggingface/text-generation-inference/issues/1648"""
    chunks = [
        delta(index=0, content="a"),
        delta(index=1, content="b"),
        delta("stop", index=2, content="c"),
    ]
    with Vendor(events(*chunks, USAGE_CHUNK)) as vendor:
        result = read(vendor.client().chat_stream(ASK))
    assert result.content == "abc"


# ---- repeats

PAY = [tool("pay", {"type": "object", "properties": {"yuan": {"type": "integer"}}})]
PAYING = [call_delta("", id="X", name="pay"), call_delta('{"yuan":'), call_delta(" 100}")]


@pytest.mark.parametrize("index", [1, 0], ids=["another index", "its own index"])
def test_a_finished_call_streamed_once_more_is_one_call(index: int) -> None:
    """
    A tool with an effect must not run twice.

    Source: https://github.com/QuantumNous/new-api/issues/6278,
    https://github.com/agno-agi/agno/issues/2336 and
    https://github.com/vercel/ai/issues/3953
    """
    again = call_delta('{"yuan": 100}', index=index, id="X", name="pay")
    with Vendor(events(*PAYING, again, delta("tool_calls"), USAGE_CHUNK)) as vendor:
        result = read(vendor.client().chat_stream(ASK, tools=PAY))
    assert [call.parse() for call in result.tool_calls] == [{"yuan": 100}]


def test_the_same_arguments_under_another_id_are_two_calls() -> None:
    """Source: https://github.com/QuantumNous/new-api/issues/6278"""
    other = call_delta('{"yuan": 100}', index=1, id="Y", name="pay")
    with Vendor(events(*PAYING, other, delta("tool_calls"), USAGE_CHUNK)) as vendor:
        result = read(vendor.client().chat_stream(ASK, tools=PAY))
    assert [(call.id, call.parse()) for call in result.tool_calls] == [
        ("X", {"yuan": 100}),
        ("Y", {"yuan": 100}),
    ]


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        pytest.param(['{"city":', '"x"}'], {"city": "x"}, id="then the real ones"),
        pytest.param([], {}, id="and nothing more"),
    ],
)
def test_an_empty_object_before_the_arguments_is_no_part_of_them(
    pieces: list[str], arguments: dict[str, Any]
) -> None:
    """
    Source: https://github.com/BerriAI/litellm/issues/4537 and
    https://github.com/envoyproxy/ai-gateway/issues/1465
    """
    chunks = [call_delta("{}", id="a", name="get_weather"), *map(call_delta, pieces)]
    with Vendor(events(*chunks, delta("tool_calls"), USAGE_CHUNK)) as vendor:
        result = read(vendor.client().chat_stream(ASK, tools=TOOLS))
    assert [call.parse() for call in result.tool_calls] == [arguments]


# ---- content types

HELLO = [delta(role="assistant", content="hel"), delta(content="lo"), delta("stop"), USAGE_CHUNK]
WHOLE = completion("hello").body


@pytest.mark.parametrize(
    ("response", "stream"),
    [
        pytest.param(events(*HELLO), False, id="events in a plain call"),
        pytest.param(
            Response(WHOLE + b"\n\ndata: [DONE]\n\n", content_type=EVENTS),
            False,
            id="JSON and an end mark, plain",
        ),
        pytest.param(events(*HELLO, content_type=JSON), True, id="events named JSON"),
        pytest.param(events(*HELLO, content_type="text/plain"), True, id="events named text"),
        pytest.param(Response(WHOLE, content_type="text/plain"), True, id="JSON named text"),
        pytest.param(Response(WHOLE), True, id="JSON where a stream was requested"),
    ],
)
def test_the_body_decides_whether_it_is_events_or_json(response: Response, stream: bool) -> None:
    """
    Source: https://github.com/openclaw/openclaw/issues/97454,
    https://github.com/unslothai/unsloth/issues/6570 and
    https://github.com/decolua/9router/issues/3492
    """
    with Vendor(response) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert (result.content, result.finish_reason) == ("hello", "stop")


PAGE = Response(
    b"<!doctype html><html><head><title>API</title></head></html>", content_type="text/html"
)


def test_a_web_page_instead_of_a_stream_is_named_html_and_not_retried() -> None:
    """Source: https://github.com/unslothai/unsloth/issues/6570"""
    with Vendor(PAGE) as vendor:
        result = outcome(lambda: read(vendor.client().chat_stream(ASK)))
    assert type(result) is errors.InvalidReplyError
    assert "html" in str(result).lower()
    assert not result.retryable


# ---- stream_options


def _refuses_stream_options(body: Any, number: int) -> Response:
    if "stream_options" in body:
        return error(400, "Validation error at #/stream_options: Extra inputs are not permitted")
    return events(delta(content="ok"), delta("stop"))


def _streamed_with(options: dict[str, Any]) -> Any:
    with Vendor(_refuses_stream_options) as vendor:
        return outcome(lambda: read(vendor.client().chat_stream(ASK, **options)))


def test_stream_options_can_be_left_out() -> None:
    """
    By ``None``, by ``extra_body`` or by itself: at least one way works.

    Source: https://github.com/gpustack/gpustack/issues/429 and
    https://github.com/microsoft/semantic-kernel/issues/10510
    """
    ways: list[dict[str, Any]] = [
        {"stream_options": None},
        {"extra_body": {"stream_options": None}},
        {},
    ]
    assert "ok" in [getattr(_streamed_with(options), "content", "") for options in ways]


def test_usage_is_requested_of_every_stream_by_default() -> None:
    """Source: https://github.com/gpustack/gpustack/issues/429"""
    with Vendor(events(delta(content="ok"), delta("stop"), USAGE_CHUNK)) as vendor:
        read(vendor.client().chat_stream(ASK))
    assert vendor.body["stream_options"] == {"include_usage": True}


# ---- what has no field of its own

AUDIO = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


def test_the_audio_of_a_stream_is_kept() -> None:
    """
    In the chunks, or in ``raw`` or ``message`` of the result.

    Source: https://github.com/QwenLM/Qwen2.5-Omni/issues/263
    """
    chunks = [
        delta(content="", audio={"transcript": "he"}),
        delta(audio={"data": "QUJD"}),
        delta("stop"),
        USAGE_CHUNK,
    ]
    with Vendor(events(*chunks)) as vendor:
        stream = vendor.client("qwen", model="qwen3-omni-flash").chat_stream(ASK, **AUDIO)
        came = list(stream)
        everything = repr(came) + kept(stream.result)
    assert "QUJD" in everything


SPOKEN = {"id": "audio_1", "data": "QUJD", "expires_at": 1, "transcript": "hello"}


def test_an_answer_in_audio_is_not_called_empty() -> None:
    """Source: https://github.com/BerriAI/litellm/issues/6299"""
    with Vendor(completion(None, audio=SPOKEN)) as vendor:
        result = vendor.client("openai", model="gpt-audio").chat(ASK, **AUDIO)
    assert result.warnings == []


def test_the_id_of_an_audio_answer_goes_back_in_the_next_turn() -> None:
    """Source: https://github.com/BerriAI/litellm/issues/6299"""
    with Vendor(completion(None, audio=SPOKEN), completion("ok")) as vendor:
        chat = vendor.client("openai", model="gpt-audio")
        first = chat.chat(ASK, **AUDIO)
        chat.chat([*ASK, first.message, *ASK])
    assert vendor.body["messages"][1].get("audio") == {"id": "audio_1"}


def test_citations_annotations_images_and_search_results_of_a_stream_are_kept() -> None:
    """Source: https://github.com/laravel/ai/issues/910"""
    first = {
        **delta(
            content="hi", annotations=[{"type": "url_citation"}], images=[{"type": "image_url"}]
        ),
        "citations": ["https://x"],
    }
    last = {**delta("stop"), "search_info": {"search_results": [{"url": "https://y"}]}}
    with Vendor(events(first, last, USAGE_CHUNK)) as vendor:
        stream = vendor.client().chat_stream(ASK)
        list(stream)
        stored = json.dumps([stream.result.raw, stream.result.message])
    assert [
        word
        for word in ("https://x", "url_citation", "image_url", "https://y")
        if word not in stored
    ] == []
