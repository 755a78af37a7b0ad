"""
Python functions and pydantic models as tools: pydantic makes the schema and checks the arguments.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.settings import spelled

_GOOGLE_ARGS = r"^\s*(?:Args|Arguments|Parameters):\s*$"
_GOOGLE_ARG = r"^\s+(\w+)(?:\s*\([^)]*\))?:\s*(.+)$"
_REST_ARG = r"^\s*:param(?:\s+[^:]+?)?\s+(\w+):\s*(.+)$"
_SECTION = r"^\s*(?:Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?):\s*$"


@dataclass(frozen=True)
class FunctionTool:
    """A tool made of a Python function. ``run``: called with the arguments as JSON text."""

    tool: dict[str, Any]
    run: Callable[[str], Any]


class ArgumentsError(ValueError):
    """
    The model gave arguments that the function does not take: news for the model, not a fault of the
    tool.
    """


def _violations(error: Any) -> str:
    """What is wrong with the arguments, a place and a reason for each."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in found[:10]
    )


def as_tool(value: Any) -> dict[str, Any] | FunctionTool | None:
    """
    The tool for a function or a pydantic model class; None for anything else.

    A function's name, docstring, annotations and defaults become the tool's; a model's fields
    become its parameters.

    Raises:
        InvalidInputError: the function cannot be described (no name, ``*args``, ``async def``, a
            type without a schema).
    """
    if isinstance(value, type):
        return _model_tool(value) if hasattr(value, "model_json_schema") else None
    if isinstance(value, Mapping) or not callable(value):
        return None
    return _function_tool(value)


def _model_tool(model: Any) -> dict[str, Any]:
    documented = model.__dict__.get("__doc__")
    return _tool(model.__name__, inspect.cleandoc(documented or ""), _schema(model, model.__name__))


def _function_tool(function: Callable[..., Any]) -> FunctionTool:
    written = _written(function)
    name = getattr(written, "__name__", "")
    if name == "__call__":  # of an object
        name = getattr(function, "__name__", "") or type(function).__name__
    if not name.isidentifier():
        raise InvalidInputError(
            f"tool {spelled(function)} has no name of its own; define it with def"
        )
    refuse_async(function, f"tool {name!r}")
    from pydantic import ValidationError

    text = inspect.getdoc(written) or inspect.getdoc(function) or ""
    model, names = _arguments_model(function, name, _described(text))

    def run(arguments: str) -> Any:
        try:
            parsed = model.model_validate_json(arguments or "{}")
        except ValidationError as error:
            raise ArgumentsError(_violations(error)) from error
        given = {
            own: getattr(parsed, field)
            for own, field in names.items()
            if field in parsed.model_fields_set
        }
        return function(**given)

    return FunctionTool(_tool(name, _summary(text), _schema(model, name)), run)


def _written(function: Any) -> Any:
    """The function with the annotations: behind a ``functools.partial``, or an object's ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    is_plain = inspect.isroutine(function) or hasattr(function, "__wrapped__")
    return function if is_plain else type(function).__call__


def refuse_async(function: Any, what: str) -> None:
    """
    Raises:
        InvalidInputError: calling it would give a coroutine, which this library does not await.
    """
    inner = inspect.unwrap(function)
    inner = getattr(inner, "func", inner)  # functools.partial
    for candidate in (inner, vars(type(inner)).get("__call__")):
        if inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise InvalidInputError(
                f"{what} is async; this library is synchronous. Pass a plain function, e.g. one that calls asyncio.run(...)"
            )


def _arguments_model(
    function: Callable[..., Any], name: str, described: Mapping[str, str]
) -> tuple[Any, dict[str, str]]:
    """(a pydantic model of the arguments, parameter -> the model's field)."""
    from pydantic import ConfigDict, Field, create_model

    try:
        signature = inspect.signature(function)
        annotations = typing.get_type_hints(_written(function), include_extras=True)
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError) as error:
        raise InvalidInputError(
            f"tool {name!r} has a signature that cannot be read: {error}"
        ) from error
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for number, parameter in enumerate(signature.parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidInputError(
                f"tool {name!r} takes {str(parameter)!r}; a model can only name parameters that are passed by keyword"
            )
        # Fields have names of their own: "schema" or "_x" as a field's name clashes with
        # pydantic's.
        own = f"p{number}"
        names[parameter.name] = own
        default = ... if parameter.default is parameter.empty else parameter.default
        kind = annotations.get(parameter.name, Any)
        told: dict[str, Any] = (
            {"description": described[parameter.name]} if parameter.name in described else {}
        )
        fields[own] = (kind, Field(default, alias=parameter.name, **told))
    try:
        return create_model(
            name, __config__=ConfigDict(arbitrary_types_allowed=False), **fields
        ), names
    except Exception as error:
        # pydantic has one class for each way in which a type can have no schema.
        raise InvalidInputError(
            f"tool {name!r} has a parameter without a JSON schema: {str(error)[:200]}"
        ) from error


def _schema(model: Any, name: str) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = model.model_json_schema()
    except Exception as error:
        raise InvalidInputError(f"tool {name!r} has no JSON schema: {str(error)[:200]}") from error
    schema.pop("title", None)
    schema.pop("description", None)
    for field in schema.get("properties", {}).values():
        if isinstance(field, dict):
            field.pop("title", None)
    schema.setdefault("properties", {})
    return schema


def _tool(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "parameters": parameters}
    if description:
        function["description"] = description
    return {"type": "function", "function": function}


def _summary(text: str) -> str:
    """The docstring up to its first section."""
    kept = []
    for line in text.splitlines():
        if (
            re.match(_SECTION, line, re.IGNORECASE)
            or re.match(_REST_ARG, line)
            or line.strip().startswith(":return")
        ):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def _described(text: str) -> dict[str, str]:
    """Parameter -> what the docstring says of it (Google's ``Args:`` or reST's ``:param:``)."""
    found: dict[str, str] = {}
    inside, name, depth = False, "", 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        entry = re.match(_REST_ARG, line)
        if entry is None and re.match(_SECTION, line, re.IGNORECASE):
            inside, name = bool(re.match(_GOOGLE_ARGS, line, re.IGNORECASE)), ""
            continue
        if name and line.strip() and indent > depth and entry is None:  # the entry goes on
            found[name] += f" {line.strip()}"
            continue
        if entry is None and inside:
            entry = re.match(_GOOGLE_ARG, line)
        name, depth = (entry.group(1), indent) if entry else ("", 0)
        if entry:
            found[name] = entry.group(2).strip()
    return found


def split(tools: Any) -> tuple[Any, dict[str, Callable[[str], Any]]]:
    """
    (the tools with every function and model described, name -> what runs it).

    Raises:
        ConfigurationError: two functions have the same name.
    """
    if not isinstance(tools, (list, tuple)):
        tools = [tools] if callable(tools) else tools
    if not isinstance(tools, (list, tuple)):
        return tools, {}
    made: list[Any] = []
    runners: dict[str, Callable[[str], Any]] = {}
    for value in tools:
        tool = as_tool(value)
        if isinstance(tool, FunctionTool):
            name = tool.tool["function"]["name"]
            if name in runners:
                raise ConfigurationError(f"two tools are called {name!r}")
            runners[name] = tool.run
            made.append(tool.tool)
        else:
            made.append(value if tool is None else tool)
    return made, runners
