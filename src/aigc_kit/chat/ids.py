"""Ids of tool calls: unique over a conversation, the same on a call and on its result."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import InvalidInputError


def fresh(wanted: str, taken: Collection[str]) -> str:
    """``wanted`` (``"call"`` when empty) with the first number that makes it new."""
    stem = (wanted or "call")[:56]
    number = 2 if wanted else 0
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


def ids_of(messages: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of every call in a history."""
    return {
        call["id"]
        for message in messages
        if message.get("tool_calls")
        for call in message["tool_calls"]
    }


@dataclass
class _Open:
    """A call whose result has not come."""

    given: str
    sent: str
    name: str
    answered: bool = False


def paired(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The history with unique ids, each result under its own call.

    Missing and repeated ids are replaced; results that share an id belong to the calls with that id
    in the same order.

    Raises:
        InvalidInputError: a result answers no call of the turn before it, or a call has no result.
    """
    taken: set[str] = set()
    open_calls: list[_Open] = []
    found: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            found.append(_answered(message, place, open_calls))
            continue
        missing = _missing(open_calls) if open_calls else ""
        if missing:
            raise InvalidInputError(
                f"message {place} ({message['role']}) comes before the results of {missing}: each tool call needs a"
                " message {'role': 'tool', 'tool_call_id': ..., 'content': ...}"
            )
        open_calls = []
        found.append(_called(message, open_calls, taken) if message.get("tool_calls") else message)
    missing = _missing(open_calls)
    if missing:
        raise InvalidInputError(f"the history ends before the results of {missing}")
    return found


def _missing(open_calls: list[_Open]) -> str:
    return ", ".join(repr(call.name) for call in open_calls if not call.answered)


def _called(message: dict[str, Any], open_calls: list[_Open], taken: set[str]) -> dict[str, Any]:
    calls = []
    for call in message["tool_calls"]:
        given = call.get("id") or ""
        sent = given
        if not given or given in taken:
            sent = fresh(given, taken)
            call = {**call, "id": sent}
        taken.add(sent)
        open_calls.append(_Open(given, sent, call["function"]["name"]))
        calls.append(call)
    return {**message, "tool_calls": calls}


def _answered(message: dict[str, Any], place: int, open_calls: list[_Open]) -> dict[str, Any]:
    given = message.get("tool_call_id") or ""
    matching = [call for call in open_calls if given in (call.given, call.sent)]
    if not matching:
        raise InvalidInputError(
            f"message {place} (tool) answers call {given!r}, which the assistant's turn before it did not make"
        )
    call = next((call for call in matching if not call.answered), matching[-1])
    call.answered = True
    return message if call.sent == given else {**message, "tool_call_id": call.sent}
