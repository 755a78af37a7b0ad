"""
A chat call as ``/responses`` takes it. Pure.

Source: https://developers.openai.com/api/docs/guides/migrate-to-responses and
``openai/types/responses`` of openai 3.54, read 2026-11-25.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.messages import chosen_tool
from aigc_kit.chat.parts import hoisted
from aigc_kit.chat.responses.history import items_of
from aigc_kit.chat.structured import Format, with_instruction
from aigc_kit.chat.thinking import EFFORTS, Thinking, nearest
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.chat.vendor import SAMPLING
from aigc_kit.chat.vendors import Vendor
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled

_ENCRYPTED = "reasoning.encrypted_content"
_ABSENT = (
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "modalities",
    "audio",
    "prediction",
)
"""Parameters of chat completions that ``/responses`` does not have."""


@dataclass
class Request:
    """
    A body in the making. ``names``: tool names as this vendor takes them; ``given`` and ``extra``:
    fields that are still to be placed.
    """

    call: Call
    vendor: Vendor
    names: ToolNames
    body: dict[str, Any]
    given: dict[str, Any]
    extra: dict[str, Any]
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def warn(self, feature: str, details: str) -> None:
        self.warnings.append(warning(feature, details))

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return self.vendor.matches(pattern, self.call.rules)

    def unsupported(self, message: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(message, provider=self.vendor.name, model=self.call.model)


def to_body(
    call: Call, turns: list[dict[str, Any]], vendor: Vendor, *, stream: bool, origin: str
) -> Request:
    """
    The request; its ``body`` is the JSON of ``/responses``.

    Args:
        origin: the back end's own mark on the turns that it made.

    Raises:
        UnsupportedFeatureError: the model would refuse it, and nothing else means the same.
        InvalidInputError: something in it cannot be meant.
    """
    names = ToolNames.of(call.tools or (), turns, re.compile(vendor.tool_name))
    given, extra = dict(call.parameters), dict(call.extra)
    # OpenAI stores responses for 30 days unless it is told not to.
    request = Request(call, vendor, names, {"model": call.model, "store": False}, given, extra)
    _thinking(request)
    if call.format:
        turns = _format(request, turns, call.format)
    if any(turn.get("name") and turn["role"] != "tool" for turn in turns):
        request.warn("name", "/responses has no names of speakers; they were left out")
    turns, moved = hoisted(turns, from_tools=False, from_assistant=True)
    if moved:
        request.warn("images", f"{moved} images of answers were sent in the user turn behind them")
    request.body["input"] = [
        item
        for turn in turns
        for item in items_of(
            turn,
            names,
            origin=origin,
            model=call.model,
            keeps_ids=vendor.reasoning_ids,
        )
    ]
    _tools(request)
    _max_tokens(request)
    _sampling(request)
    _logprobs(request)
    request.body |= request.given | request.extra
    if vendor.encrypted_reasoning and not request.body.get("background"):
        asked = request.body.get("include") or []
        request.body["include"] = list(dict.fromkeys([*asked, _ENCRYPTED]))
    if stream:
        request.body["stream"] = True
    whole = {**request.body, **call.extra_body}
    request.body = {name: value for name, value in whole.items() if value is not None}
    return request


def _format(request: Request, turns: list[dict[str, Any]], wanted: Format) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    mode = request.call.options.structured_mode or "json_schema"
    if wanted.schema is None and mode == "json_schema":
        mode = "json_object"
    if wanted.schema is not None:
        request.warn("response_format", f"mode {mode}")
    if mode == "json_object":
        _text_option(request, "format", {"type": "json_object"})
    if mode == "json_schema":
        schema = {name: value for name, value in (wanted.schema or {}).items() if name != "$schema"}
        made: dict[str, Any] = {"type": "json_schema", "name": wanted.name, "schema": schema}
        if wanted.description:
            made["description"] = wanted.description
        _text_option(request, "format", {**made, "strict": bool(wanted.strict)})
    return with_instruction(turns, wanted, mode=mode)


def _text_option(request: Request, name: str, value: Any) -> None:
    text = request.extra.pop("text", None)
    if text is not None and not isinstance(text, Mapping):
        raise InvalidInputError(f"text must be a dict, got {spelled(text)}")
    request.body["text"] = {**request.body.get("text", {}), **(text or {}), name: value}


def _tools(request: Request) -> None:
    call = request.call
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        return
    request.body["tools"] = [_tool(request, tool) for tool in call.tools]
    if call.tool_choice is None:
        return
    request.body["tool_choice"] = call.tool_choice
    if not choice.startswith(":"):
        request.body["tool_choice"] = {"type": "function", "name": request.names.sent(choice)}


def _tool(request: Request, tool: dict[str, Any]) -> dict[str, Any]:
    """
    A flat tool. ``strict`` is always said: without it the API makes a schema strict by its own
    rules.
    """
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool  # the vendor's own
    return {
        "type": "function",
        **function,
        "name": request.names.sent(function["name"]),
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
        "strict": bool(function.get("strict")),
    }


def _thinking(request: Request) -> None:
    """``thinking`` and ``reasoning_effort`` as ``reasoning``."""
    extra = request.extra
    thinking = Thinking.read(extra.pop("thinking", None))
    effort = extra.pop("reasoning_effort", None)
    verbosity = extra.pop("verbosity", None)
    if verbosity is not None:
        _text_option(request, "verbosity", verbosity)
    reasoning = extra.pop("reasoning", None)
    if reasoning is not None and not isinstance(reasoning, Mapping):
        raise InvalidInputError(f"reasoning must be a dict, got {spelled(reasoning)}")
    if thinking is not None and request.vendor.thinking == "type":  # Ark's own field
        request.body["thinking"] = {"type": "disabled" if thinking.off else thinking.kind}
        effort = None if thinking.off else effort
    elif thinking is not None and (thinking.off or effort is None):
        effort = _effort(request, thinking)
    effort = _known_effort(request, effort)
    made = {**(reasoning or {}), **({"effort": effort} if effort is not None else {})}
    if made:
        request.body["reasoning"] = made


def _levels(request: Request) -> tuple[str, ...]:
    return next((levels for names, levels in request.vendor.efforts if request.fits(names)), ())


def _known_effort(request: Request, effort: Any) -> Any:
    """
    An effort that the model has. OpenAI's are passed on: ``/responses`` takes more of them than
    chat completions, whose levels the rows have.
    """
    levels = _levels(request)
    own = request.vendor.thinking == "effort"
    if own or not levels or effort in levels or effort not in EFFORTS:
        return effort
    sent = nearest(effort, levels)
    request.warn("reasoning_effort", f"{effort!r} was sent as {sent!r}: the model has no other")
    return sent


def _effort(request: Request, thinking: Thinking) -> str:
    model = request.call.model
    if not thinking.off:
        request.warn("thinking", f"sent as reasoning effort {thinking.effort!r}")
        return thinking.effort
    levels = _levels(request) or ("none",)
    if levels[0] != "none":
        raise request.unsupported(
            f"{model} always thinks; use reasoning_effort={levels[0]!r}, or another model"
        )
    request.warn("thinking", "sent as reasoning effort 'none'")
    return "none"


def _max_tokens(request: Request) -> None:
    named = {
        name: holder.pop(name)
        for name, holder in (
            ("max_tokens", request.given),
            ("max_completion_tokens", request.extra),
            ("max_output_tokens", request.extra),
        )
        if name in holder
    }
    if len(named) > 1:
        raise InvalidInputError(f"{' and '.join(named)} exclude each other: pass one of them")
    for value in named.values():
        request.body["max_output_tokens"] = value


def _sampling(request: Request) -> None:
    effort = request.body.get("reasoning", {}).get("effort")
    refused = [(name, "the Responses API does not have it") for name in _ABSENT]
    if request.vendor.refuses_sampling(request.call.rules, effort, models.OPENAI_REASONING):
        refused += [
            (name, f"{request.call.model} refuses it while it reasons") for name in SAMPLING
        ]
    options = request.extra.pop("stream_options", None)
    if isinstance(options, Mapping) and set(options) - {"include_usage"}:
        rest = {name: value for name, value in options.items() if name != "include_usage"}
        request.extra["stream_options"] = rest
    for holder in (request.given, request.extra):
        for name, why in refused:
            if holder.get(name) is not None:
                request.warn(name, f"{spelled(holder.pop(name))} was left out: {why}")


def _logprobs(request: Request) -> None:
    """``logprobs=True`` is a value of ``include``."""
    if request.extra.pop("logprobs", None):
        asked = request.extra.get("include") or []
        request.extra["include"] = [*asked, "message.output_text.logprobs"]
