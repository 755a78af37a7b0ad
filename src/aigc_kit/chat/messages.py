"""
Checking a history before anything is sent, and looking into it. Pure; nothing is ever changed in
place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aigc_kit.chat.ids import paired
from aigc_kit.chat.parts import as_content, check_text
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled, suggestion

DEEPEST = 100
"""Levels of arguments and results that go out as JSON values; what is deeper goes out as its text.
Python's own limit would be another in each version, and the request around them has levels too."""

ROLES = ("system", "developer", "user", "assistant", "tool")

_TEXT_ALONE = frozenset({"role", "content"})


def checked(messages: Any) -> list[dict[str, Any]]:
    """
    The messages as plain dicts of their own (shallow copies), with ids that are unique over the
    conversation.

    Messages may be dicts, objects of an SDK (anything with ``model_dump``) or a ``ChatResult``.

    Raises:
        InvalidInputError: they are not an OpenAI chat history; says which message and why.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise InvalidInputError(
            "messages must be a list like [{'role': 'user', 'content': 'hello'}], got "
            + type(messages).__name__
        )
    found = [
        dict(message) if _is_text_alone(message) else _checked(message, place)
        for place, message in enumerate(messages)
    ]
    if not found:
        raise InvalidInputError("messages is empty: there must be at least one")
    return paired(found)


def _checked(message: Any, place: int) -> dict[str, Any]:
    where = f"message {place}"
    message = _plain(message)
    if not isinstance(message, Mapping):
        raise InvalidInputError(
            f"{where} must be a dict with 'role' and 'content', got {type(message).__name__}"
        )
    role = message.get("role")
    if role not in ROLES:
        raise InvalidInputError(
            f"{where} has role {spelled(role)}; expected one of {', '.join(ROLES)}"
        )
    content = as_content(message.get("content"), where)
    if content is None and role != "assistant":
        raise InvalidInputError(f"{where} ({role}) has no content")
    if isinstance(content, str):
        check_text(content, where)
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            check_text(message[name], where)
    made = dict(message)
    if "content" in made:
        made["content"] = content
    if message.get("tool_calls") is not None:
        made["tool_calls"] = _calls(message["tool_calls"], role, where)
    if role == "tool" and not isinstance(message.get("tool_call_id", ""), (str, type(None))):
        raise InvalidInputError(f"{where} (tool) needs tool_call_id, the id of the call it answers")
    return made


def _is_text_alone(message: Any) -> bool:
    """Whether nothing in it needs a check: nearly every message, and there may be thousands."""
    if type(message) is not dict or not message.keys() <= _TEXT_ALONE:
        return False
    content, role = message.get("content"), message.get("role")
    return type(content) is str and type(role) is str and role in ROLES and content.isascii()


def _plain(message: Any) -> Any:
    """A message object of an SDK, or a result, as a dict."""
    if type(message) is dict:
        return message
    own = getattr(message, "message", None)
    if isinstance(own, dict) and "role" in own and not isinstance(message, Mapping):
        return own
    if hasattr(message, "model_dump") and not isinstance(message, (type, Mapping)):
        return message.model_dump(mode="json", exclude_none=True)
    return message


def _calls(calls: Any, role: str, where: str) -> list[dict[str, Any]]:
    if role != "assistant" or not isinstance(calls, (list, tuple)):
        raise InvalidInputError(
            f"{where} ({role}) has tool_calls; only assistant messages have a list of them"
        )
    plain = [_plain(call) for call in calls]
    for call in plain:
        _check_call(call, where)
    return [dict(call) for call in plain]


def _check_call(call: Any, where: str) -> None:
    function = call.get("function") if isinstance(call, Mapping) else None
    if (
        not isinstance(function, Mapping)
        or not isinstance(function.get("name"), str)
        or not function["name"]
        or not isinstance(function.get("arguments", ""), (str, Mapping))
        or not isinstance(call.get("id", ""), (str, type(None)))
    ):
        raise InvalidInputError(
            f"{where} has a tool call that is not"
            " {'id': ..., 'type': 'function', 'function': {'name': ..., 'arguments': '<JSON>'}}"
        )
    arguments = function.get("arguments", "")
    for text in (
        call.get("id") or "",
        function["name"],
        arguments if isinstance(arguments, str) else "",
    ):
        check_text(text, where)


def has_tool_turns(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(message["role"] == "tool" or message.get("tool_calls") for message in messages)


def arguments_text(value: Any) -> str:
    """Arguments of a call as JSON text; ``{}`` for none."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    try:
        return json.dumps(
            dict(value) if value is not None else {}, ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"the arguments of a tool call are not JSON: {str(error)[:200]}"
        ) from None


def arguments_object(value: Any, field: str = "arguments") -> dict[str, Any]:
    """
    Arguments of a call as an object; what is none is kept in a field of one, so that nothing is
    lost.
    """
    if isinstance(value, Mapping):
        return dict(value)
    text = arguments_text(value)
    found = plain_json(text)
    if found is None:
        return {field: text}
    if isinstance(found, dict):
        return found
    return {field: found}


def plain_json(text: str) -> Any:
    """
    The value of JSON text, or None when it is none, has infinite numbers, or is deeper than
    ``DEEPEST``.
    """
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
        if (
            isinstance(tool, Mapping)
            and isinstance(tool.get("type"), str)
            and tool["type"] != "function"
        ):
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
    The function that ``tool_choice`` names, ``"auto"``, ``"none"``, ``"required"`` with a leading
    colon, or ``""``.

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


def narrowed(
    choice: Any, tools: list[dict[str, Any]] | None
) -> tuple[Any, list[dict[str, Any]] | None]:
    """
    OpenAI's ``allowed_tools`` as a plain choice among fewer tools, which every vendor understands.

    ``{"type": "allowed_tools", "allowed_tools": {"mode": ..., "tools": [...]}}``; in the Responses
    API without the inner dict. Anything else comes back as it is.

    Raises:
        InvalidInputError: it is broken, or names a function that is not among the tools.
    """
    if not isinstance(choice, Mapping) or choice.get("type") != "allowed_tools":
        return choice, tools
    inner = choice.get("allowed_tools", choice)
    listed = inner.get("tools") if isinstance(inner, Mapping) else None
    mode = inner.get("mode", "auto") if isinstance(inner, Mapping) else None
    if not isinstance(listed, (list, tuple)) or not listed or mode not in ("auto", "required"):
        raise InvalidInputError(
            "tool_choice of type 'allowed_tools' needs a mode, 'auto' or 'required', and a list of tools,"
            f" got {spelled(choice)}"
        )
    kept: list[dict[str, Any]] = []
    for wanted in listed:
        found = [tool for tool in tools or () if _is_named(tool, wanted)]
        if not found:
            raise InvalidInputError(
                f"tool_choice allows {spelled(wanted)}, which is not among the tools"
            )
        kept += [tool for tool in found if tool not in kept]
    return mode, kept


def _is_named(tool: Mapping[str, Any], wanted: Any) -> bool:
    """Whether an entry of ``allowed_tools`` means this tool; the vendor's own by their type."""
    if not isinstance(wanted, Mapping):
        return False
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool.get("type") == wanted.get("type")
    name = wanted.get("name") or (wanted.get("function") or {}).get("name")
    return bool(name == function["name"])


def check_choice(choice: Any, tools: Sequence[Mapping[str, Any]] | None) -> None:
    """
    Raises:
        InvalidInputError: ``choice`` is not a tool_choice, or names a function that is not among the
            tools.
    """
    chosen = chosen_tool(choice)
    if chosen in ("", ":auto", ":none"):
        return
    if not tools:
        raise InvalidInputError(f"tool_choice {spelled(choice)} needs tools")
    functions = (tool.get("function") for tool in tools)
    names = [each["name"] for each in functions if isinstance(each, Mapping)]
    if not chosen.startswith(":") and chosen not in names:
        raise InvalidInputError(
            f"tool_choice names {chosen!r}, which is not among the tools: {', '.join(names)}"
            f"{suggestion(chosen, names)}"
        )
