"""
The assembler: tool calls in every shape that vendors stream them, and any splitting of any call
list.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.json_text import mended, one_object
from aigc_kit.chat.reasons import reason_of

Piece = dict[str, Any]


def gathered(*pieces: Piece) -> list[tuple[str, str, Any]]:
    assembler = Assembler(provider="p", model="m")
    for piece in pieces:
        assembler.calls.fragment(**piece)
    assembler.finish_reason = "tool_calls"
    return [
        (call.id, call.name, json.loads(call.arguments)) for call in assembler.result().tool_calls
    ]


A, B = ("a", "f", {"x": 1}), ("b", "g", {"y": [1, 2]})
FIRST, SECOND = '{"x"', ": 1}"
THIRD, FOURTH = '{"y": [1', ", 2]}"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f"},
                {"index": 0, "arguments": FIRST},
                {"index": 0, "arguments": SECOND},
                {"index": 1, "id": "b", "name": "g"},
                {"index": 1, "arguments": THIRD},
                {"index": 1, "arguments": FOURTH},
            ],
            id="as specified",
        ),
        pytest.param(
            [
                {"id": "a", "name": "f", "arguments": FIRST},
                {"arguments": SECOND},
                {"id": "b", "name": "g", "arguments": THIRD},
                {"arguments": FOURTH, "extra": {"google": {"thought_signature": "s"}}},
            ],
            id="no index",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": FIRST + SECOND},
                {"index": 0, "id": "b", "name": "g"},
                {"index": 1, "arguments": THIRD},
                {"index": 1, "arguments": FOURTH},
            ],
            id="head at one index, tail at another",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": ""},
                {"index": 0, "arguments": FIRST},
                {"index": 0, "arguments": SECOND},
                {"index": 1, "id": "b", "name": "g", "arguments": THIRD},
                {"index": 1, "arguments": FOURTH},
            ],
            id="two fragments in one chunk",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": FIRST + SECOND},
                {"index": 0, "id": "b", "name": "g", "arguments": THIRD},
                {"index": 0, "arguments": FOURTH},
            ],
            id="all at index 0",
        ),
        pytest.param(
            [
                {"index": 0, "name": "f"},
                {"index": 0, "id": "a", "arguments": FIRST},
                {"index": 0, "arguments": SECOND},
                {"index": 1, "name": "g"},
                {"index": 1, "id": "b", "arguments": THIRD + FOURTH},
            ],
            id="late ids",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": FIRST},
                {"index": 0, "id": "a", "name": "f", "arguments": SECOND},
                {"index": 1, "id": "b", "name": "g", "arguments": THIRD},
                {"index": 1, "id": "b", "name": "", "arguments": FOURTH},
            ],
            id="repeated ids and names",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": FIRST},
                {"index": 0, "id": "", "name": None, "arguments": SECOND},
                {"index": 1, "id": "b", "name": "g", "arguments": THIRD},
                {"index": 1, "id": None, "arguments": FOURTH},
            ],
            id="empty ids",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "name": "f", "arguments": FIRST},
                {"index": 1, "id": "b", "name": "g", "arguments": THIRD},
                {"index": 0, "arguments": SECOND},
                {"index": 1, "arguments": FOURTH},
            ],
            id="interleaved",
        ),
        pytest.param(
            [
                {"id": "a", "name": "f", "arguments": FIRST},
                {"id": "b", "name": "g", "arguments": THIRD},
                {"id": "a", "arguments": SECOND},
                {"id": "b", "arguments": FOURTH},
            ],
            id="interleaved by id",
        ),
        pytest.param(
            [
                {"index": "0", "id": "a", "name": "f", "arguments": {"x": 1}},
                {"index": "1", "id": "b", "name": "g", "arguments": {"y": [1, 2]}},
            ],
            id="whole calls with objects",
        ),
    ],
)
def test_every_shape(pieces: list[Piece]) -> None:
    """Both calls come out whole."""
    assert gathered(*pieces) == [A, B]


def test_whole_calls_without_ids() -> None:
    """At one index, the same function twice: ids are made, and none is lost."""
    whole = [
        {"index": 0, "name": "f", "arguments": '{"x": 1}'},
        {"index": 0, "name": "f", "arguments": '{"x": 2}'},
    ]
    assert gathered(*whole) == [("call_0", "f", {"x": 1}), ("call_1", "f", {"x": 2})]
    assert gathered({"name": "f", "arguments": "{}"}, {"name": "g", "arguments": "{}"}) == [
        ("call_0", "f", {}),
        ("call_1", "g", {}),
    ]


def test_ids_that_are_made_collide_with_none() -> None:
    """A vendor that calls its own call ``call_1``."""
    assert [
        mark
        for mark, _, _ in gathered(
            {"index": 0, "id": "call_1", "name": "f"}, {"index": 1, "name": "g"}
        )
    ] == [
        "call_1",
        "call_2",
    ]


def test_late_signatures_stay_with_their_call() -> None:
    """On the delta of the call, or on a trailing one without index."""
    assembler = Assembler(provider="p", model="m")
    assembler.calls.fragment(id="a", name="f", arguments="{}")
    assembler.calls.fragment(extra={"google": {"thought_signature": "sig"}})
    assembler.finish_reason = "stop"
    message = assembler.result().message
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}


arguments = st.dictionaries(
    st.text(max_size=8),
    st.one_of(st.integers(), st.text(max_size=20), st.lists(st.integers(), max_size=4)),
    max_size=4,
)
call_lists = st.lists(st.tuples(st.sampled_from("fgh"), arguments), min_size=1, max_size=5)


@given(call_lists, st.data())
def test_any_splitting_comes_back_whole(calls: list[tuple[str, Any]], data: st.DataObject) -> None:
    """However the arguments are cut and the ids, indexes and names are given or left out."""
    style = data.draw(
        st.sampled_from(["plain", "no index", "constant index", "repeated", "late id", "by id"])
    )
    pieces: list[Piece] = []
    for number, (name, value) in enumerate(calls):
        text = json.dumps(value, ensure_ascii=False)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        edges = [0, *cuts, len(text)]
        mark = f"id{number}"
        head: Piece = {"id": mark, "name": name, "index": number}
        rest: Piece = {"index": number}
        if style == "no index":
            head, rest = {"id": mark, "name": name}, {}
        elif style == "constant index":
            head, rest = {**head, "index": 0}, {"index": 0}
        elif style == "repeated":
            rest = {**head, "name": ""}
        elif style == "late id":
            head = {"name": name, "index": number}
        elif style == "by id":
            head, rest = {"id": mark, "name": name}, {"id": mark}
        pieces.append(head)
        for place, (start, end) in enumerate(itertools.pairwise(edges)):
            late = {"id": mark} if style == "late id" and place == 0 else {}
            pieces.append({**rest, **late, "arguments": text[start:end]})
    assert gathered(*pieces) == [
        (f"id{number}", name, value) for number, (name, value) in enumerate(calls)
    ]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "index": st.one_of(
                    st.none(), st.integers(-2, 5), st.text(max_size=3), st.booleans(), st.floats()
                ),
                "id": st.one_of(st.none(), st.text(max_size=3), st.integers()),
                "name": st.one_of(st.none(), st.text(max_size=3), st.integers()),
                "arguments": st.one_of(
                    st.none(),
                    st.text(max_size=9),
                    st.dictionaries(st.text(max_size=2), st.integers()),
                    st.integers(),
                ),
            },
        ),
        max_size=12,
    )
)
@example([{"index": "²"}, {"index": True}, {"index": "9" * 50}])
def test_no_nonsense_breaks_it(pieces: list[Piece]) -> None:
    """Any fragments give calls with distinct ids, and no exception."""
    assembler = Assembler(provider="p", model="m")
    for piece in pieces:
        assembler.calls.fragment(**piece)
    calls = assembler.result().tool_calls
    assert all(call.id for call in calls)


def test_reasons() -> None:
    """OpenAI's words where there is one, else the vendor's own in lower case."""
    assert [
        reason_of(word) for word in ("END_TURN", "tool_use", "max_tokens", "function_call", "Weird")
    ] == [
        "stop",
        "tool_calls",
        "length",
        "tool_calls",
        "weird",
    ]


@given(st.text(max_size=40))
def test_mending_leaves_good_arguments_alone(text: str) -> None:
    """What is not encoded twice stays as it is, to the letter."""
    value = json.dumps({"note": text}, ensure_ascii=False)
    assert mended(value, {"type": "object", "properties": {"note": {"type": "string"}}}) == value
    assert mended(text if not text.startswith('"') else "", None) == (
        text if not text.startswith('"') else ""
    )


def test_arguments_written_twice_with_any_space_between_are_one_object() -> None:
    for space in ("", " ", "\n", "\r\n", "\t"):
        assert one_object(f'{{"a": 1}}{space}{{"a": 1}}') == '{"a": 1}'
