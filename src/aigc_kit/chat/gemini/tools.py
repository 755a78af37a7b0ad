"""Tools and the choice among them, as Gemini takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aigc_kit.chat.gemini.draft import Draft
from aigc_kit.chat.messages import chosen_tool
from aigc_kit.transport.encoding import camel


def add_tools(request: Draft) -> None:
    call = request.call
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        return
    declarations: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for tool in call.tools:
        function = tool.get("function")
        if isinstance(function, Mapping):
            declarations.append(_declaration(request, function))
        else:
            rest = {name: value for name, value in tool.items() if name != "type"}
            own.append(rest or {camel(tool["type"]): {}})
    request.body["tools"] = [
        *([{"functionDeclarations": declarations}] if declarations else []),
        *own,
    ]
    modes = {":auto": "AUTO", ":none": "NONE", ":required": "ANY"}
    if choice in ("", ":auto") and _is_any_strict(call.tools):
        # The nearest to strict that there is, for all tools at once; ANY does the same.
        # https://ai.google.dev/gemini-api/docs/function-calling, read 2026-11-22
        choice, modes = ":auto", {":auto": "VALIDATED"}
        request.warn("strict", "sent as mode VALIDATED, which is for all tools")
    if choice and declarations:
        config: dict[str, Any] = {"mode": modes.get(choice, "ANY")}
        if choice not in modes:
            config["allowedFunctionNames"] = [request.names.sent(choice)]
        request.body["toolConfig"] = {"functionCallingConfig": config}


def _is_any_strict(tools: Sequence[Mapping[str, Any]]) -> bool:
    functions = (tool.get("function") for tool in tools)
    return any(isinstance(each, Mapping) and each.get("strict") for each in functions)


def _declaration(request: Draft, function: Mapping[str, Any]) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": request.names.sent(function["name"])}
    if function.get("description"):
        declaration["description"] = function["description"]
    parameters = function.get("parameters") or {}
    if _takes_something(parameters):
        declaration["parametersJsonSchema"] = parameters
    return declaration


def _takes_something(parameters: Mapping[str, Any]) -> bool:
    """
    Whether the schema lets any argument in; a function without parameters is declared without a
    schema.
    """
    said = {name for name, value in parameters.items() if value not in ({}, [], False)}
    return bool(said - {"type", "title", "description", "$schema"})
