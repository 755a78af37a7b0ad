"""The JSON of a response."""

from __future__ import annotations

from typing import Any

import pytest

from aigc_kit import errors
from aigc_kit.transport.encoding import to_json


@pytest.mark.parametrize("bad", [{"a": {1}}, {"a": float("inf")}, {"a": "\ud800"}, {"a": b"x"}])
def test_what_is_no_json(bad: Any) -> None:
    """Refused with words instead of a TypeError from below."""
    with pytest.raises(errors.InvalidInputError):
        to_json(bad)


def test_deep_nesting_is_refused() -> None:
    """A request that would exhaust the stack."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(errors.InvalidInputError):
        to_json({"a": deep})
