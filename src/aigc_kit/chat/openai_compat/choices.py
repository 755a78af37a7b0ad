"""Where the answer is: in which choice, and in which of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.reasons import stated
from aigc_kit.errors import InvalidReplyError

_WRAPPERS = ("data", "result", "response", "body")


def unwrapped(body: dict[str, Any]) -> dict[str, Any]:
    """What a gateway has put into a response of its own (``{"code": 0, "data": {...}}``)."""
    if "choices" in body:
        return body
    inner = (body.get(name) for name in _WRAPPERS)
    return next((each for each in inner if isinstance(each, dict) and "choices" in each), body)


def message_in(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message of a choice, also where it is a text alone, or came as a delta."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            return dict(choice[name])
    for name in ("message", "text"):  # text: of the older completions API
        if isinstance(choice.get(name), str):
            return {"content": choice[name]}
    return None


def delta_in(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The delta of a choice; of the older completions API its text."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    text = choice.get("text")
    return {"content": text} if isinstance(text, str) and text else {}


def is_split(choices: Any) -> bool:
    """Whether several entries are pieces of one choice: they have one index."""
    if type(choices) is not list or len(choices) < 2:
        return False
    marks = [choice.get("index") if isinstance(choice, dict) else None for choice in choices]
    return type(marks[0]) is int and marks.count(marks[0]) == len(marks)


def parts_of_answer(choices: Any, first: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    The messages of other entries that belong to the first: Copilot's relays of Claude put the text
    and the tool calls of one answer into choices of their own. Source: zeroclaw-labs/zeroclaw#2136.
    """
    rest = [choice for choice in choices if isinstance(choice, dict)][1:]
    found = [message for message in map(message_in, rest) if message is not None]
    if is_split(choices):
        return found
    message = message_in(first) or {}
    if first.get("finish_reason") != "tool_calls" or message.get("tool_calls"):
        return []
    return [{"tool_calls": part["tool_calls"]} for part in found if part.get("tool_calls")][:1]


class ChoiceFollower:
    """
    Which of several choices is the answer: the one whose index came first.

    A server that counts its tokens in ``index`` (huggingface/text-generation-inference#1648) sends
    one choice a chunk and never the same index twice; there, every chunk belongs to the answer.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0
        self._repeated = False
        self._counted = False

    def of(self, choices: Any) -> Mapping[str, Any]:
        if type(choices) is list and len(choices) == 1:
            choice = choices[0]
            if type(choice) is dict and self.is_followed(choice.get("index")):
                return self._followed(choice)
        listed = (
            [choice for choice in choices if isinstance(choice, dict)]
            if isinstance(choices, list)
            else []
        )
        if not listed:
            return {}
        if len(listed) > 1:
            self._repeated = True
        index = _index_of(listed[0])
        if self._first is None:
            if any(value for name, value in delta_in(listed[0]).items() if name != "role"):
                self._first = self._last = index
            return self._followed(listed[0])
        own = next((choice for choice in listed if _index_of(choice) == self._first), None)
        if own is not None:
            if self._counted:
                raise InvalidReplyError(
                    "several answers came mixed, though one was asked for", billed="unknown"
                )
            self._repeated = True
            return self._followed(own)
        if not self._repeated and index > self._last:
            self._counted, self._last = True, index
            return self._followed(listed[0])
        return {}

    def is_followed(self, index: object) -> bool:
        """Whether this is the index of the answer, and has been seen before."""
        return self._repeated and not self._counted and index == self._first

    def _followed(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        if stated(
            choice.get("finish_reason")
        ):  # an index that is new after the end is another answer
            self._repeated = True
        return choice


def _index_of(choice: Mapping[str, Any]) -> int:
    """A choice's index; 0 where there is none, as of a server that knows one choice alone."""
    index = choice.get("index")
    return index if isinstance(index, int) else 0
