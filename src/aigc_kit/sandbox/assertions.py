"""What a test expects of the requests that arrived, and what it is told when they are others."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aigc_kit.sandbox.http import Recorded

_LONGEST = 200
"""Characters of one text in a message: images are long."""


def matching(
    requests: Sequence[Recorded], path: str, method: str, body: Any, headers: Mapping[str, str]
) -> list[Recorded]:
    """The requests that are as expected; of a body and of headers only what is named counts."""
    return [
        request
        for request in requests
        if path in request.path
        and method in ("", request.method)
        and holds(request.body, body)
        and all(request.headers.get(name.lower()) == value for name, value in headers.items())
    ]


def holds(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; objects may have more members."""
    if wanted is None:
        return True
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(name in found and holds(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)


def report(
    requests: Sequence[Recorded],
    matched: int,
    times: int | None,
    path: str,
    method: str,
    body: Any,
) -> str:
    """Why the expectation does not hold: what was received, and how the nearest one differs."""
    wanted = "at least one" if times is None else str(times)
    asked = " ".join(part for part in (method, path or "any path") if part)
    lines = [f"{wanted} request(s) to {asked} expected, {matched} as described came"]
    lines += ["requests:"] + [
        f"  {number}. {line(each)}" for number, each in enumerate(requests, 1)
    ]
    if not requests:
        lines[-1] = "no request came at all: does the application use box.environment()?"
    near = [request for request in requests if path in request.path]
    if body is not None and near and not matched:
        lines += ["the last of them differs:", *_difference(near[-1].body, body)]
    return "\n".join(lines)


def line(request: Recorded) -> str:
    model = request.body.get("model", "") if isinstance(request.body, Mapping) else ""
    return f"{request.method} {request.path}" + (f" model={model}" if model else "")


def _difference(found: Any, wanted: Any) -> list[str]:
    had = _text(_as_wanted(found, wanted))
    return list(difflib.unified_diff(_text(wanted), had, "expected", "came", lineterm="", n=2))


def _as_wanted(found: Any, wanted: Any) -> Any:
    """Only the members that were named: the others are not what is wrong."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return {name: _as_wanted(found[name], wanted[name]) for name in wanted if name in found}
    return found


def _text(value: Any) -> list[str]:
    return json.dumps(_short(value), ensure_ascii=False, indent=2, default=repr).splitlines()


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _short(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner) for inner in value]
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]!r}... ({len(value)})"
    return value
