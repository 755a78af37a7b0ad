"""Server-sent events, and what comes in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit.transport import sse


@pytest.mark.parametrize(
    ("body", "most"), [(b"<html>\n" + b"a {\n b: c\n}\n" * 100, 2), (b"words\n" * 100, 2)]
)
def test_a_page_is_not_tried_as_json_at_each_of_its_lines(
    body: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a megabyte would cost minutes: each try reads all the lines before it."""
    tried: list[Any] = []
    loads = json.loads

    def counted(text: Any) -> Any:
        tried.append(text)
        return loads(text)

    monkeypatch.setattr(json, "loads", counted)
    assert list(sse.events([body])) == [body.strip()]
    assert len(tried) <= most


def test_json_over_many_lines_is_one_event() -> None:
    value = {"error": {"code": 429, "details": [{"a": [1, 2]}]}}
    body = json.dumps(value, indent=2).encode()
    assert [json.loads(event) for event in sse.events([body, b"\n", body])] == [value, value]


@pytest.mark.parametrize("head", [b"error: ", b"error:", b"Error: "])
def test_an_error_that_is_a_field_of_its_own_is_an_error(head: bytes) -> None:
    said = {"code": 400, "message": "too long", "type": "exceed_context_size_error"}
    body = head + json.dumps(said).encode() + b"\n\ndata: [DONE]\n\n"
    found = list(sse.events([body]))
    assert [json.loads(found[0]), *found[1:]] == [{"error": said}, b"[DONE]"]
    assert list(sse.events([b"error: no JSON\n"])) == [b"error: no JSON"]


def test_an_event_without_data_gives_its_name_to_no_other() -> None:
    assert list(sse.events([b'event: error\n\ndata: {"a": 1}\n\n'])) == [b'{"a": 1}']
    assert list(sse.events([b'event: error\ndata: {"a": 1}\n\n'])) == [b'{"error":{"a": 1}}']
