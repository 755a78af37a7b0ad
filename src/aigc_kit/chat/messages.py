"""Checking a history before anything is sent, and looking into it. Pure; nothing is ever changed in place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled

DEEPEST = 100
"""Levels of arguments and results that go out as JSON values; what is deeper goes out as its text. Python's own limit would
be another in each version, and the request around them has levels too."""

ROLES = ("system", "developer", "user", "assistant", "tool")


def checked(messages: Any) -> list[dict[str, Any]]:
    """
    The messages as plain dicts of their own (shallow copies).

    Raises:
        InvalidInputError: they are no OpenAI chat history; says which message and why.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise InvalidInputError(
            "messages must be a list like [{'role': 'user', 'content': 'hello'}], got " + type(messages).__name__
        )
    found = [_checked(message, place) for place, message in enumerate(messages)]
    if not found:
        raise InvalidInputError("messages is empty: there must be at least one")
    _check_calls(found)
    return found


def _checked(message: Any, place: int) -> dict[str, Any]:
    where = f"message {place}"
    if not isinstance(message, Mapping):
        raise InvalidInputError(f"{where} must be a dict with 'role' and 'content', got {type(message).__name__}")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise InvalidInputError(f"{where} has role {spelled(role)}; expected one of {', '.join(ROLES)}")
    if isinstance(content, (list, tuple)):
        for part in content:
            _check_part(part, where)
    elif content is not None and not isinstance(content, str):
        raise InvalidInputError(
            f"{where} has content of type {type(content).__name__}; expected a text or a list of parts"
        )
    if content is None and role != "assistant":
        raise InvalidInputError(f"{where} ({role}) has no content")
    if isinstance(content, str):
        check_text(content, where)
    calls = message.get("tool_calls")
    if calls is not None:
        if role != "assistant" or not isinstance(calls, (list, tuple)):
            raise InvalidInputError(f"{where} ({role}) has tool_calls; only assistant messages have a list of them")
        for call in calls:
            _check_call(call, where)
    if role == "tool" and not (isinstance(message.get("tool_call_id"), str) and message["tool_call_id"]):
        raise InvalidInputError(f"{where} (tool) needs tool_call_id, the id of the call it answers")
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            check_text(message[name], where)
    return dict(message)


def _check_part(part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(kind, str):
        raise InvalidInputError(f"{where} has a part that is no dict with 'type': {spelled(part)[:60]}")
    if kind in ("text", "refusal"):
        if not isinstance(part.get(kind), str):
            raise InvalidInputError(f"{where} has a {kind} part without a text")
        check_text(part[kind], where)
    elif kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        if not isinstance(url, str) or url.partition(":")[0].lower() not in ("https", "http", "data", "gs", "s3", "ms"):
            raise InvalidInputError(
                f"{where} has an image_url part without an address; expected {{'url': 'https://...'}} or a data: address"
            )


def _check_call(call: Any, where: str) -> None:
    function = call.get("function") if isinstance(call, Mapping) else None
    if (
        not isinstance(function, Mapping)
        or not isinstance(function.get("name"), str)
        or not function["name"]
        or not isinstance(function.get("arguments", ""), (str, Mapping))
        or not isinstance(call.get("id"), str)
    ):
        raise InvalidInputError(
            f"{where} has a tool call that is not"
            " {'id': ..., 'type': 'function', 'function': {'name': ..., 'arguments': '<JSON>'}}"
        )
    arguments = function.get("arguments", "")
    for text in (call["id"], function["name"], arguments if isinstance(arguments, str) else ""):
        check_text(text, where)


def check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{where} is no valid Unicode: a lone surrogate {text[error.start]!r}") from None


def _check_calls(messages: Sequence[Mapping[str, Any]]) -> None:
    """Every result answers a call of the turn before it, and every call is answered before the next turn."""
    open_calls: dict[str, str] = {}
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise InvalidInputError(
                    f"message {place} (tool) answers call {message['tool_call_id']!r}, which the assistant's turn before it"
                    " did not make"
                )
            open_calls[message["tool_call_id"]] = ""
            continue
        missing = [name for name in open_calls.values() if name]
        if missing:
            raise InvalidInputError(
                f"message {place} ({message['role']}) comes before the results of {', '.join(map(repr, missing))}: each"
                " tool call needs a message {'role': 'tool', 'tool_call_id': ..., 'content': ...}"
            )
        open_calls = {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
    missing = [name for name in open_calls.values() if name]
    if missing:
        raise InvalidInputError(f"the history ends before the results of {', '.join(map(repr, missing))}")


def text_of(content: Any) -> str:
    """The text of a message's content: the text itself, or its text parts joined with nothing between."""
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return "".join(
            part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    return ""


def has_tool_turns(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(message["role"] == "tool" or message.get("tool_calls") for message in messages)


def arguments_text(value: Any) -> str:
    """Arguments of a call as JSON text; ``{}`` for none."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    try:
        return json.dumps(dict(value) if value is not None else {}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"the arguments of a tool call are no JSON: {str(error)[:200]}") from None


def arguments_object(value: Any, field: str = "arguments") -> dict[str, Any]:
    """Arguments of a call as an object; what is none is kept in a field of one, so that nothing is lost."""
    if isinstance(value, Mapping):
        return dict(value)
    text = arguments_text(value)
    found = plain_json(text)
    return {field: text} if found is None else found if isinstance(found, dict) else {field: found}


def plain_json(text: str) -> Any:
    """The value of JSON text, or None when it is none, has infinite numbers, or is deeper than ``DEEPEST``."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if _is_flat(value) else None


def _is_flat(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for holder in level
            if isinstance(holder, (dict, list))
            for inner in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return True
    return False


def image_address(part: Mapping[str, Any]) -> str:
    image = part["image_url"]
    return str(image.get("url") if isinstance(image, Mapping) else image)


def checked_tools(tools: Any) -> list[dict[str, Any]] | None:
    """
    Tools in OpenAI's shape, or None for none.

    Raises:
        InvalidInputError: they are not; says which.
    """
    if tools is None:
        return None
    if not isinstance(tools, (list, tuple)):
        raise InvalidInputError(f"tools must be a list, got {type(tools).__name__}")
    names: set[str] = set()
    for place, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(tool, Mapping) and isinstance(tool.get("type"), str) and tool["type"] != "function":
            continue  # a vendor's own tool (web search, ...)
        name = function.get("name") if isinstance(function, Mapping) else None
        parameters = function.get("parameters") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(
                f"tool {place} is not {{'type': 'function', 'function': {{'name': ..., 'parameters': {{...}}}}}}"
            )
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InvalidInputError(
                f"tool {name!r} has parameters of type {type(parameters).__name__}; expected a JSON schema"
            )
        if name in names:
            raise InvalidInputError(f"two tools are called {name!r}")
        names.add(name)
    return [dict(tool) for tool in tools] or None


def chosen_tool(choice: Any) -> str:
    """
    The function that ``tool_choice`` names, ``"auto"``, ``"none"``, ``"required"`` with a leading colon, or ``""``.

    Raises:
        InvalidInputError: it is none of OpenAI's forms.
    """
    if choice is None:
        return ""
    if choice in ("auto", "none", "required"):
        return f":{choice}"
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if isinstance(name, str) and name:
        return name
    raise InvalidInputError(
        f"tool_choice must be 'auto', 'none', 'required' or {{'type': 'function', 'function': {{'name': ...}}}}, got {spelled(choice)}"
    )
