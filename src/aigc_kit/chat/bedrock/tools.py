"""Tools and the choice among them, as Converse takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.bedrock.draft import Draft
from aigc_kit.chat.bedrock.schema import narrowed, unsayable
from aigc_kit.chat.bedrock.turns import cache_point
from aigc_kit.chat.messages import chosen_tool, has_tool_turns
from aigc_kit.chat.thinking import Thinking
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled

_NO_CHOICE = r".*(llama|mistral|qwen|deepseek|gpt-oss|cohere|titan|ai21|jamba).*"


def add_tools(request: Draft, turns: list[dict[str, Any]], thinking: Thinking | None) -> None:
    call = request.call
    choice = chosen_tool(call.tool_choice)
    in_history = has_tool_turns(turns)
    specs = [spec for tool in call.tools or () for spec in _specs(request, tool)]
    if not specs and in_history:
        # Converse refuses a history with tools in it unless the request describes some.
        names = dict.fromkeys(
            request.names.sent(made["function"]["name"])
            for turn in turns
            for made in turn.get("tool_calls") or ()
        )
        specs = [_undescribed(name) for name in names]
        choice = ":none" if choice in ("", ":auto") else choice
    if not specs:
        return
    if choice == ":none":
        _no_calls(request, specs, in_history=in_history)
        return
    config: dict[str, Any] = {"tools": specs}
    forced = bool(choice) and choice != ":auto"
    if choice and request.fits(_NO_CHOICE):
        if forced:
            request.warn(
                "tool_choice",
                f"{call.model} takes no toolChoice; {spelled(call.tool_choice)} was left out",
            )
    elif forced:
        _check_forced(request, thinking)
        config["toolChoice"] = (
            {"any": {}} if choice == ":required" else {"tool": {"name": request.names.sent(choice)}}
        )
    elif choice == ":auto":
        config["toolChoice"] = {"auto": {}}
    request.body["toolConfig"] = config


def _check_forced(request: Draft, thinking: Thinking | None) -> None:
    """
    Raises:
        UnsupportedFeatureError: the model refuses a forced choice, always or while it thinks with a
            budget.
    """
    model = request.call.model
    if request.fits(models.CLAUDE_NO_FORCED_TOOL):
        raise request.unsupported(
            f"{model} refuses a forced tool_choice; use 'auto', or global.anthropic.claude-sonnet-4-6"
        )
    thinks = thinking is not None and not thinking.off
    if thinks and request.fits(models.CLAUDE_BUDGET):
        raise request.unsupported(
            f"{model} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
            " tool_choice='auto'"
        )


def _no_calls(request: Draft, specs: list[dict[str, Any]], *, in_history: bool) -> None:
    if not in_history:
        return
    if request.fits(models.CLAUDE):
        request.fields["tool_choice"] = {"type": "none"}
    elif request.call.tools:
        request.warn(
            "tool_choice",
            "Converse has no 'none', and the history needs its tools: the model may call",
        )
    request.body["toolConfig"] = {"tools": specs}


def _undescribed(name: str) -> dict[str, Any]:
    return {
        "toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}
    }


def _specs(request: Draft, tool: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The Converse tool, and a cache point behind it where it is marked."""
    function = tool.get("function")
    if not isinstance(function, Mapping):
        yield _own_tool(tool)
        return
    schema = dict(function.get("parameters") or {"type": "object", "properties": {}})
    schema.setdefault("type", "object")
    spec: dict[str, Any] = {
        "name": request.names.sent(function["name"]),
        "inputSchema": {"json": schema},
    }
    description = function.get("description")
    if description and not isinstance(description, str):
        raise InvalidInputError(
            f"tool {function['name']!r} has a description that is not text: {spelled(description)}"
        )
    if description:
        spec["description"] = description
    if function.get("strict"):
        _make_strict(request, spec, schema)
    yield {"toolSpec": spec}
    yield from cache_point(request, tool) or cache_point(request, function)


def _make_strict(request: Draft, spec: dict[str, Any], schema: dict[str, Any]) -> None:
    why = f"{request.call.model} is not known to have it"
    if request.has_grammar:
        why = unsayable(schema)
        why = f"Bedrock's grammar cannot say its schema, {why}" if why else ""
    if why:
        request.warn("strict", f"left out of tool {spec['name']!r}: {why}")
        return
    spec["inputSchema"] = {"json": narrowed(schema)}
    spec["strict"] = True


def _own_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that AWS runs: ``{"type": "systemTool", "systemTool": {"name": ...}}``."""
    kind = tool.get("type")
    name = {"system_tool": "systemTool"}.get(str(kind), str(kind))
    inner = tool.get("systemTool") or tool.get("system_tool")
    if name == "systemTool" and isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
        return {"systemTool": {"name": inner["name"]}}
    raise InvalidInputError(
        f"Bedrock takes function tools and {{'type': 'systemTool', 'systemTool': {{'name': 'nova_grounding'}}}}, got type {kind!r}"
    )
