"""
Values that no caller means, and the rule for every call: errors of the library, and nothing sent
for a bad input.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from aigc_kit import errors
from aigc_kit.sandbox import Sandbox

REFUSED = (errors.InvalidInputError, errors.ConfigurationError)
CHATS = [
    "openai",
    "deepseek",
    "glm",
    "volcengine",
    "moonshot",
    "dashscope",
    "openai_compat",
    "gemini",
    "bedrock",
]


class NoRepr:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


def deep(levels: int = 20_000) -> list[Any]:
    """Lists in lists, deeper than the interpreter can follow."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def loop_list() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def loop_dict() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


# Made again for each use: some can be read only once.
ODD: dict[str, Callable[[], Any]] = {
    "true": lambda: True,
    "zero": lambda: 0,
    "minus one": lambda: -1,
    "int beyond float": lambda: 10**400,
    "float": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "1e300": lambda: 1e300,
    "decimal": lambda: Decimal("1.5"),
    "empty text": lambda: "",
    "text": lambda: "x",
    "surrogate": lambda: "a\ud800b",
    "nul": lambda: "a\x00b",
    "crlf": lambda: "a\r\nX-Injected: 1",
    "unicode": lambda: "名前 \U0001f600 \u202e",
    "bytes": lambda: b"\xff\x00",
    "bytearray": lambda: bytearray(b"x"),
    "empty list": list,
    "list": lambda: [1],
    "list of none": lambda: [None],
    "list of texts": lambda: ["x", "y"],
    "empty dict": dict,
    "dict": lambda: {"a": 1},
    "dict of int keys": lambda: {1: 2},
    "dict of tuple keys": lambda: {(1, 2): 3},
    "dict of nan": lambda: {"a": float("nan")},
    "dict of object": lambda: {"a": object()},
    "dict of surrogate": lambda: {"a": "\ud800"},
    "dict with surrogate key": lambda: {"\ud800": 1},
    "set": lambda: {1},
    "generator": lambda: (x for x in "ab"),
    "object": object,
    "class": lambda: dict,
    "function": lambda: len,
    "exception": lambda: ValueError("x"),
    "date": lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "loop list": loop_list,
    "loop dict": loop_dict,
}

# Showing them fails: the message of an error must not.
EXTREME: dict[str, Callable[[], Any]] = {
    "huge int": lambda: 10**5000,
    "huge negative int": lambda: -(10**5000),
    "deep": deep,
    "no repr": NoRepr,
}

TEXTS = st.text(st.characters(), max_size=12)  # surrogates too
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=4)
    | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            TEXTS
            | st.sampled_from(
                ["type", "text", "url", "id", "name", "role", "function", "image_url"]
            ),
            inner,
            max_size=3,
        )
        | st.tuples(inner)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=6,
)


def outcome(sandbox: Sandbox, call: Callable[[], Any]) -> str:
    """
    ``"ok"`` or the name of the error of the library that was raised; any other exception fails the
    test.

    A bad input sends nothing, nothing sent means a bad input, and what is sent is strict JSON.
    """
    sandbox.reset()
    failed: errors.AIGCError | None = None
    try:
        call()
    except errors.AIGCError as error:
        failed = error
    sent = len(sandbox.requests)
    name = "ok" if failed is None else type(failed).__name__
    assert isinstance(failed, REFUSED) == (sent == 0), (
        f"{name} after {sent} requests: {str(failed)[:200]}"
    )
    assert repr(failed)
    for request in sandbox.requests:
        json.dumps(None if isinstance(request.body, bytes) else request.body, allow_nan=False)
    return name


def complaint(sandbox: Sandbox, call: Callable[[], Any], *, refused: bool = False) -> str:
    """
    What breaks the rule of ``outcome``, ``""`` for nothing. ``refused``: it must be refused before
    anything is sent.
    """
    try:
        name = outcome(sandbox, call)
    except Exception as error:
        try:
            return f"{type(error).__name__}: {error}"[:160]
        except Exception:
            return type(error).__name__
    return f"came out as {name}" if refused and sandbox.requests != [] else ""
