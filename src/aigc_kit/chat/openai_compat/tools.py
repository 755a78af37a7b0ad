"""Tools and the choice among them, as chat/completions takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import schemas
from aigc_kit.chat.messages import (
    chosen_tool,
)
from aigc_kit.chat.openai_compat.draft import Draft
from aigc_kit.chat.openai_compat.thinking import switch_off, thinks
from aigc_kit.chat.thinking import Thinking
from aigc_kit.settings import spelled


def add_tools(request: Draft, thinking: Thinking | None) -> None:
    call, vendor = request.call, request.vendor
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        return
    if request.fits(vendor.no_tools):
        raise request.unsupported(
            f"{call.model} takes tools only through the Responses API; use 'gpt-6-luna' or 'gpt-6-sol' here"
        )
    if request.fits(vendor.tools_without_effort) and request.extra.get("reasoning_effort") is None:
        request.extra["reasoning_effort"] = "none"
        request.warn(
            "reasoning_effort",
            f"sent as 'none': {call.model} takes tools on chat completions only so",
        )
    request.body["tools"] = [_to_tool(request, tool) for tool in call.tools]
    if call.tool_choice is not None:
        _tool_choice(request, choice, thinking)


def _to_tool(request: Draft, tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool  # the vendor's own
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    parameters = schemas.in_dialect(parameters, request.vendor.schema_dialect)
    plain = dict(function)
    if not request.vendor.strict_tools:
        plain.pop("strict", None)
        parameters = {k: v for k, v in parameters.items() if k != "additionalProperties"}
    return {
        **tool,
        "function": {
            **plain,
            "name": request.names.sent(function["name"]),
            "parameters": parameters,
        },
    }


def _tool_choice(request: Draft, choice: str, thinking: Thinking | None) -> None:
    call, vendor, body = request.call, request.vendor, request.body
    forced = choice not in (":auto", ":none")
    if vendor.forced_choice == "auto only" and choice == ":none":
        del body["tools"]
        request.warn(
            "tool_choice", f"{vendor.name} knows only 'auto': for 'none' the tools were left out"
        )
        return
    if vendor.forced_choice in ("auto only", "auto or none") and forced:
        request.warn(
            "tool_choice",
            f"{vendor.name} knows only 'auto': {spelled(call.tool_choice)} was sent as 'auto'",
        )
        body["tool_choice"] = "auto"
        return
    if forced and request.fits(vendor.no_forced_choice):
        raise request.unsupported(
            f"{call.model} refuses a forced tool_choice; use 'auto', or another model"
        )
    if forced and vendor.forced_choice == "not while thinking":
        _no_thinking_beside_a_forced_tool(request, thinking)
    body["tool_choice"] = call.tool_choice
    if not choice.startswith(":"):
        body["tool_choice"] = {"type": "function", "function": {"name": request.names.sent(choice)}}


def _no_thinking_beside_a_forced_tool(request: Draft, thinking: Thinking | None) -> None:
    name = request.vendor.name
    if thinks(request, thinking):
        raise request.unsupported(
            f"{name} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
            " tool_choice='auto'"
        )
    if thinking is None and request.fits(request.vendor.thinks_by_default):
        switch_off(request, f"{name} refuses a forced tool_choice while it thinks")
