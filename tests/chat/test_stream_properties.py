"""
Any stream, split, delayed, repeated or cut at any place: the same result, or an error that says so.

Whole calls through the public client against a loopback vendor, in the three wire dialects.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    CONVERSE_USAGE,
    EVENTS,
    FRAMES,
    GEMINI_USAGE,
    USAGE,
    USAGE_CHUNK,
    Response,
    Vendor,
    block_delta,
    block_start,
    block_stop,
    call_delta,
    delta,
    frame,
    function_call,
    gemini_chunk,
    outcome,
    sse,
    tool,
    tool_call,
)

DIALECTS = ["openai_compat", "gemini", "bedrock"]
SLOW = 0.07
"""Seconds; longer than the drain after an end."""
FEW = settings().max_examples // 6
"""For a property whose examples wait."""


# ---- answers, and how each dialect streams them

said = st.text(
    alphabet=st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12
)
arguments = st.dictionaries(
    st.sampled_from("abc"), st.one_of(st.integers(-9, 9), said, st.booleans()), max_size=2
)
calls = st.lists(st.tuples(st.sampled_from(["f", "g"]), arguments), max_size=3)


@dataclass(frozen=True)
class Answer:
    """
    ``texts`` and ``thoughts`` are the pieces in which they come; ``calls`` are (name, arguments).
    """

    texts: list[str]
    thoughts: list[str]
    calls: list[tuple[str, dict[str, Any]]]

    @property
    def seen(self) -> tuple[Any, ...]:
        """What must be read of it."""
        made = [(f"id{number}", name, values) for number, (name, values) in enumerate(self.calls)]
        reason = "tool_calls" if self.calls else "stop"
        return "".join(self.texts), "".join(self.thoughts), made, reason


answers = st.builds(Answer, st.lists(said, max_size=4), st.lists(said, max_size=2), calls).filter(
    lambda answer: bool("".join(answer.texts).strip() or answer.calls)
)


def seen(result: Any) -> tuple[Any, ...]:
    made = [(call.id, call.name, call.parse()) for call in result.tool_calls]
    return result.content, result.reasoning_content, made, result.finish_reason


def openai_chunks(answer: Answer, cut: int) -> list[dict[str, Any]]:
    """``cut``: where the arguments of each call are cut in two."""
    chunks = [delta(role="assistant", content="")]
    chunks += [delta(reasoning_content=thought) for thought in answer.thoughts]
    chunks += [delta(content=text) for text in answer.texts]
    for number, (name, values) in enumerate(answer.calls):
        text = json.dumps(values)
        at = 1 + cut % max(len(text) - 1, 1)
        chunks.append(call_delta(text[:at], index=number, id=f"id{number}", name=name))
        chunks.append(call_delta(text[at:], index=number))
    return chunks


def openai_body(answer: Answer, cut: int, style: str) -> list[bytes]:
    """``style``: on which chunks a finish reason and the usage stand."""
    reason = answer.seen[3]
    chunks = openai_chunks(answer, cut)
    if style == "every chunk":
        marked = [{**chunk, "usage": USAGE} for chunk in chunks]
        for chunk in marked:
            chunk["choices"] = [{**chunk["choices"][0], "finish_reason": reason}]
        return [*_bytes(sse(marked)), b"data: [DONE]\n\n"]
    if style == "first chunk":
        chunks[0] = {**delta(reason, role="assistant", content=""), "usage": USAGE}
        return [*_bytes(sse(chunks)), b"data: [DONE]\n\n"]
    return [*_bytes(sse([*chunks, delta(reason), USAGE_CHUNK])), b"data: [DONE]\n\n"]


def _bytes(steps: list[Any]) -> list[bytes]:
    return [bytes(step) for step in steps]


def gemini_body(answer: Answer, cut: int, style: str) -> list[bytes]:
    parts: list[Any] = [{"text": thought, "thought": True} for thought in answer.thoughts]
    parts += answer.texts
    for number, (name, values) in enumerate(answer.calls):
        parts.append(
            function_call(values, name=name, id=f"id{number}", signature="" if number else "UzE=")
        )
    marks: dict[str, Any] = {"reason": "STOP", "usage": GEMINI_USAGE}
    if style == "every chunk":
        chunks = [gemini_chunk(part, **marks) for part in parts]
    elif style == "first chunk":
        chunks = [gemini_chunk("", **marks), *map(gemini_chunk, parts)]
    else:
        chunks = [*map(gemini_chunk, parts), gemini_chunk(**marks)]
    return _bytes(sse(chunks, end=b"\r\n\r\n"))


def bedrock_body(answer: Answer, cut: int, style: str) -> list[bytes]:
    frames = [frame("messageStart", {"role": "assistant"})]
    frames += [block_delta(0, reasoningContent={"text": thought}) for thought in answer.thoughts]
    frames += [block_stop(0)] if answer.thoughts else []
    frames += [block_delta(1, text=text) for text in answer.texts]
    frames += [block_stop(1)]
    for number, (name, values) in enumerate(answer.calls):
        text, place = json.dumps(values), 2 + number
        at = 1 + cut % max(len(text) - 1, 1)
        frames.append(block_start(place, toolUse={"toolUseId": f"id{number}", "name": name}))
        frames += [block_delta(place, toolUse={"input": piece}) for piece in (text[:at], text[at:])]
        frames.append(block_stop(place))
    stop = "tool_use" if answer.calls else "end_turn"
    return [
        *frames,
        frame("messageStop", {"stopReason": stop}),
        frame("metadata", {"usage": CONVERSE_USAGE}),
    ]


BODIES: dict[str, Callable[[Answer, int, str], list[bytes]]] = {
    "openai_compat": openai_body,
    "gemini": gemini_body,
    "bedrock": bedrock_body,
}
TYPES = {"openai_compat": EVENTS, "gemini": EVENTS, "bedrock": FRAMES}
TOOLSET = [tool(name, {"type": "object", "properties": {}}) for name in "fg"]
STYLES = st.sampled_from(["last chunk", "every chunk", "first chunk"])


# ---- one vendor for all examples


class Bench:
    """A vendor, and one client for each dialect, made when it is first needed."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._clients: dict[str, ChatClient] = {}

    def read(self, dialect: str, pieces: list[Any], *, cut: bool = False) -> tuple[Any, list[Any]]:
        """(the result, the chunks) of a stream that comes in these pieces."""
        if dialect not in self._clients:
            self._clients[dialect] = self._vendor.client(dialect)
        self._vendor.reset(Response(content_type=TYPES[dialect], pieces=pieces, cut=cut))
        with self._clients[dialect].chat_stream(ASK, tools=TOOLSET) as stream:
            chunks = list(stream)
            return stream.result, chunks


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Vendor() as vendor:
        yield Bench(vendor)


def split(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges) if start < end]


places = st.lists(st.integers(0, 1_000_000), max_size=8)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(answer=answers, style=STYLES, cut=st.integers(0, 99), at=places)
def test_any_split_of_the_bytes_gives_the_same_result(
    bench: Bench, dialect: str, answer: Answer, style: str, cut: int, at: list[int]
) -> None:
    """And the chunks say, put together, what the result says."""
    body = b"".join(BODIES[dialect](answer, cut, style))
    result, chunks = bench.read(dialect, split(body, at))
    assert seen(result) == answer.seen
    assert "".join(chunk.delta_content for chunk in chunks) == result.content
    assert "".join(chunk.delta_reasoning for chunk in chunks) == result.reasoning_content


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=FEW)
@given(answer=answers, style=STYLES, cut=st.integers(0, 99), at=st.integers(0, 1_000_000))
def test_a_pause_at_any_place_gives_the_same_result(
    bench: Bench, dialect: str, answer: Answer, style: str, cut: int, at: int
) -> None:
    body = b"".join(BODIES[dialect](answer, cut, style))
    head, *tail = split(body, [at])
    result, _ = bench.read(dialect, [head, SLOW, *tail])
    assert seen(result) == answer.seen


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("clean", [False, True], ids=["broken off", "ended"])
@given(answer=answers, cut=st.integers(0, 99), at=st.integers(0, 1_000_000))
def test_a_cut_at_any_place_gives_the_same_result_or_an_error(
    bench: Bench, dialect: str, clean: bool, answer: Answer, cut: int, at: int
) -> None:
    """
    The connection breaks, or the body ends as if it were whole; never another text, never half a
    call.
    """
    pieces = BODIES[dialect](answer, cut, "last chunk")
    body = b"".join(pieces)
    kept = body[: at % (len(body) + 1)]
    found = outcome(lambda: bench.read(dialect, [kept] if kept else [], cut=not clean)[0])
    if isinstance(found, errors.StreamInterruptedError):
        assert answer.seen[0].startswith(found.partial.content)
        assert answer.seen[1].startswith(found.partial.reasoning_content)
    elif isinstance(found, errors.ProviderError):
        assert len(kept) < first_content(pieces)  # the error of a plain call: nothing had come
    else:
        assert seen(found) == answer.seen


EMPTY = (
    b'"delta": {"role": "assistant", "content": ""}',
    b'"content": ""',
    b'"reasoning_content": ""',
    b'"text": ""',
)


def first_content(pieces: list[bytes]) -> int:
    """How many bytes there are up to the end of the first event with something in it."""
    marks = (b'"delta": {', b'"parts"', b"contentBlockDelta", b"contentBlockStart")
    length = 0
    for piece in pieces:
        length += len(piece)
        if any(mark in piece for mark in marks) and not any(empty in piece for empty in EMPTY):
            break
    return length


# ---- repeats


def summary(answer: Answer, texts: int, done: int) -> dict[str, Any]:
    """A chunk with the whole message as far as it has come: so many texts and so many calls."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.texts[:texts])}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if done:
        message["tool_calls"] = [
            tool_call(name, json.dumps(values), f"id{number}")
            for number, (name, values) in enumerate(answer.calls[:done])
        ]
    return {"id": "c1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}


@given(answer=answers, cut=st.integers(0, 99), at=st.integers(0, 99), times=st.integers(1, 2))
def test_a_summary_of_what_came_adds_nothing_at_any_place(
    bench: Bench, answer: Answer, cut: int, at: int, times: int
) -> None:
    chunks = openai_chunks(answer, cut)
    before = 1 + len(answer.thoughts)
    ends = [before + number for number in range(len(answer.texts) + 1)]
    ends += [ends[-1] + 2 * (number + 1) for number in range(len(answer.calls))]
    place = at % len(ends)
    texts, done = min(place, len(answer.texts)), max(place - len(answer.texts), 0)
    again = [summary(answer, texts, done)] * times
    body = [
        *chunks[: ends[place]],
        *again,
        *chunks[ends[place] :],
        delta(answer.seen[3]),
        USAGE_CHUNK,
    ]
    check_repeat(bench, body, answer)


numbers = st.integers(0, 9)


@given(
    answer=answers.filter(lambda answer: bool(answer.calls)),
    cut=numbers,
    which=numbers,
    later=numbers,
    form=numbers,
    under=numbers,
)
def test_a_whole_call_that_comes_again_is_one_call_at_any_place(
    bench: Bench, answer: Answer, cut: int, which: int, later: int, form: int, under: int
) -> None:
    """
    At once or behind later calls, as its text, as shorter text or encoded twice, under its own
    index, a new one or the first.
    """
    number = which % len(answer.calls)
    name, values = answer.calls[number]
    text = json.dumps(values)
    texts = [text, json.dumps(values, separators=(",", ":")), json.dumps(text)]
    indexes = [number, len(answer.calls), 0]
    again = call_delta(texts[form % 3], index=indexes[under % 3], id=f"id{number}", name=name)
    chunks = openai_chunks(answer, cut)
    whole = len(chunks) - 2 * (len(answer.calls) - 1 - number)
    place = whole + 2 * (later % (len(answer.calls) - number))
    check_repeat(
        bench, [*chunks[:place], again, *chunks[place:], delta("tool_calls"), USAGE_CHUNK], answer
    )


def check_repeat(bench: Bench, chunks: list[dict[str, Any]], answer: Answer) -> None:
    """The same result or an interrupted stream, never another text and never another call."""
    try:
        result, shown = bench.read("openai_compat", [*_bytes(sse(chunks)), b"data: [DONE]\n\n"])
    except errors.StreamInterruptedError:
        return
    assert seen(result) == answer.seen
    assert "".join(chunk.delta_content for chunk in shown) == result.content


@given(texts=st.lists(said.filter(bool), min_size=1, max_size=3))
def test_equal_deltas_are_never_taken_for_a_repeat(bench: Bench, texts: list[str]) -> None:
    """A model may say the same thing twice."""
    doubled = [text for text in texts for _ in range(2)]
    chunks = [*(delta(content=text) for text in doubled), delta("stop"), USAGE_CHUNK]
    result, _ = bench.read("openai_compat", [*_bytes(sse(chunks)), b"data: [DONE]\n\n"])
    assert result.content == "".join(doubled)
