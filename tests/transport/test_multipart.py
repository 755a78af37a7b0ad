"""Forms: fields as texts, files with their names."""

from __future__ import annotations

import pytest

from aigc_kit.errors import InvalidInputError
from aigc_kit.transport.multipart import File, Form


def test_fields_are_written_as_forms_have_them() -> None:
    """Numbers and truth values as JSON, objects with brackets, lists repeated, None left out."""
    form = Form({"n": 2, "stream": True, "svg": {"model": "m"}, "tags": ["a", "b"], "user": None})
    assert form.texts() == {"n": "2", "stream": "true", "svg[model]": "m", "tags[]": ["a", "b"]}


def test_files_keep_their_order_and_types() -> None:
    form = Form({}, (File("image[]", "a.png", "image/png", b"1"), File("mask", "m", "t/x", b"2")))
    assert form.parts() == [
        ("image[]", ("a.png", b"1", "image/png")),
        ("mask", ("m", b"2", "t/x")),
    ]


@pytest.mark.parametrize("value", [object(), float("nan"), {"a": {1, 2}}, "\ud800"])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError):
        Form({"field": value}).texts()
