"""A chat call as ``chat/completions`` takes it, with every quirk of those who speak it. Pure, but for fetching pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import vendors
from aigc_kit.chat.base import warning
from aigc_kit.chat.messages import arguments_text, chosen_tool, has_tool_turns, image_address
from aigc_kit.chat.request import Call
from aigc_kit.chat.structured import Format, with_instruction
from aigc_kit.chat.vendors import Vendor
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled

_MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_call_id", "refusal"})


@dataclass
class Made:
    """A finished body, and what had to be changed on the way."""

    body: dict[str, Any]
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


def to_body(
    call: Call, turns: list[dict[str, Any]], vendor: Vendor, *, stream: bool, fetch: Callable[[str], str]
) -> Made:
    """
    The JSON of ``chat/completions`` for this vendor.

    Raises:
        UnsupportedFeatureError: the vendor or model would refuse it, and nothing else means the same.
        InvalidInputError: a picture cannot be fetched.
    """
    warnings: list[dict[str, str]] = []
    given = dict(call.parameters)
    extra = dict(call.extra)
    body: dict[str, Any] = {"model": call.model}
    if call.format:
        mode = mode_of(call, vendor)
        turns = with_instruction(turns, call.format, mode=mode)
        body |= _response_format(call.format, mode, vendor)
        wanted = "json_schema" if call.format.schema is not None else "json_object"
        if mode != wanted or call.format.schema is not None:
            warnings.append(warning("response_format", f"mode {mode}" + (
                "" if mode == wanted else f": {vendor.name} does not offer {wanted} for {call.model}, so the schema is in the"
                " system prompt and the answer is validated here")))  # fmt: skip
    with_tools = bool(call.tools) or has_tool_turns(turns)
    body["messages"] = to_messages(turns, vendor, call.model, with_tools=with_tools, fetch=fetch)
    _tools(body, given, extra, call, vendor, warnings)
    _thinking(given, extra, call, vendor, warnings, bool(call.tools))
    _max_tokens(body, given, extra, vendor, warnings)
    _sampling(given, extra, call.model, vendor, warnings)
    body |= given | extra
    if stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return Made({**body, **call.extra_body}, warnings)


def mode_of(call: Call, vendor: Vendor) -> str:
    """How this model is asked for JSON."""
    if call.options.structured_mode:
        return call.options.structured_mode
    if call.format and call.format.schema is not None and vendor.matches(vendor.json_schema, call.model):
        return "json_schema"
    return "json_object"


def _response_format(wanted: Format, mode: str, vendor: Vendor) -> dict[str, Any]:
    if mode == "prompt":
        return {}
    if mode == "json_object" or wanted.schema is None:
        return {"response_format": {"type": "json_object"}}
    schema = {name: value for name, value in wanted.schema.items() if name != "$schema"}
    inner: dict[str, Any] = {"name": wanted.name, "schema": schema}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


def to_messages(
    turns: list[dict[str, Any]], vendor: Vendor, model: str, *, with_tools: bool, fetch: Callable[[str], str]
) -> list[dict[str, Any]]:
    """The history in this vendor's shape: its own state kept, a stranger's left out, padded where it is demanded."""
    echo = with_tools and vendor.matches(vendor.echo_reasoning, model)
    return [_to_message(turn, vendor, echo, fetch) for turn in turns]


def _to_message(turn: dict[str, Any], vendor: Vendor, echo: bool, fetch: Callable[[str], str]) -> dict[str, Any]:
    message = {name: value for name, value in turn.items() if name in _MESSAGE_FIELDS and value is not None}
    role = turn["role"]
    if role == "developer" and not vendor.keeps_developer:
        message["role"] = "system"
    if isinstance(turn.get("content"), (list, tuple)):
        message["content"] = [_to_part(part, vendor, fetch) for part in turn["content"]]
    if role == "tool" and not message.get("content"):
        message["content"] = vendor.empty_tool_result
    if role != "assistant":
        return message
    message.setdefault("content", "")
    if turn.get("tool_calls"):
        message["tool_calls"] = [_to_call(call, vendor) for call in turn["tool_calls"]]
    if echo:
        foreign = "thinking_blocks" in turn or (
            isinstance(turn.get("extra_content"), Mapping) and "google" in turn["extra_content"]
        )
        own = "" if foreign else turn.get("reasoning_content")
        message["reasoning_content"] = own if isinstance(own, str) and own else vendor.reasoning_pad
    return message


def _to_call(call: Mapping[str, Any], vendor: Vendor) -> dict[str, Any]:
    function = call["function"]
    made: dict[str, Any] = {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments_text(function.get("arguments"))},
    }
    if vendor.name == "openai_compat" and isinstance(call.get("extra_content"), Mapping):
        made["extra_content"] = call["extra_content"]  # Gemini's own compatible endpoint demands its signature back
    return made


def _to_part(part: Mapping[str, Any], vendor: Vendor, fetch: Callable[[str], str]) -> dict[str, Any]:
    if part["type"] != "image_url":
        return dict(part)
    image = part["image_url"]
    rest = {name: value for name, value in image.items() if name != "url"} if isinstance(image, Mapping) else {}
    url = image_address(part)
    if not vendor.image_addresses and url.startswith(("http://", "https://")):
        url = fetch(url)
    if vendor.bare_base64 and url.startswith("data:"):
        url = url.partition(",")[2]
    return {"type": "image_url", "image_url": {"url": url, **rest}}


def _tools(
    body: dict[str, Any], given: dict[str, Any], extra: dict[str, Any], call: Call, vendor: Vendor,
    warnings: list[dict[str, str]],
) -> None:  # fmt: skip
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    if vendor.name == "openai":
        if vendor.matches(vendors.OPENAI_NO_TOOLS, call.model):
            raise UnsupportedFeatureError(
                f"{call.model} takes tools only through the Responses API; use 'gpt-6-luna' or 'gpt-6-sol' here",
                provider="openai", model=call.model,
            )  # fmt: skip
        effort = given.get("reasoning_effort", extra.get("reasoning_effort"))
        if vendor.matches(vendors.OPENAI_TOOLS_WITHOUT_EFFORT, call.model) and effort is None:
            extra["reasoning_effort"] = "none"
            warnings.append(
                warning("reasoning_effort", f"sent as 'none': {call.model} takes tools on chat completions only so")
            )
    body["tools"] = call.tools
    forced = choice not in ("", ":auto", ":none")
    if vendor.forced_choice == "auto only" and choice in (":none",):
        del body["tools"]
        warnings.append(warning("tool_choice", f"{vendor.name} knows only 'auto': for 'none' the tools were left out"))
        return
    if vendor.forced_choice == "auto only" and forced:
        warnings.append(
            warning("tool_choice", f"{vendor.name} knows only 'auto': {spelled(call.tool_choice)} was sent as 'auto'")
        )
        body["tool_choice"] = "auto"
        return
    if vendor.forced_choice == "not while thinking" and forced:
        thinking = extra.get("thinking")
        if isinstance(thinking, Mapping) and thinking.get("type") == "enabled":
            raise UnsupportedFeatureError(
                f"{vendor.name} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
                " tool_choice='auto'", provider=vendor.name, model=call.model,
            )  # fmt: skip
        if thinking is None:
            extra["thinking"] = {"type": "disabled"}
            warnings.append(
                warning("thinking", f"switched off: {vendor.name} refuses a forced tool_choice while it thinks")
            )
    if "kimi" in vendor.forced_choice and forced and call.model.startswith(("kimi-k2.6", "kimi-k2.7")):
        raise UnsupportedFeatureError(
            f"{call.model} refuses a forced tool_choice; use 'auto' or kimi-k3", provider=vendor.name, model=call.model
        )
    if call.tool_choice is not None:
        body["tool_choice"] = call.tool_choice


def _thinking(
    given: dict[str, Any],
    extra: dict[str, Any],
    call: Call,
    vendor: Vendor,
    warnings: list[dict[str, str]],
    tools: bool,
) -> None:
    wish = extra.get("thinking")
    if wish is None or vendor.name == "openai_compat":
        return
    if not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str):
        raise InvalidInputError(
            f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
        )
    off, budget = wish["type"] == "disabled", wish.get("budget_tokens")
    if off and vendor.matches(vendor.always_thinks, call.model):
        raise UnsupportedFeatureError(
            f"{call.model} always thinks; use reasoning_effort='low', or another model",
            provider=vendor.name,
            model=call.model,
        )
    if vendor.thinking == "enable_thinking":
        del extra["thinking"]
        extra["enable_thinking"] = not off
        if budget is not None and not off:
            extra["thinking_budget"] = budget
        return
    if vendor.thinking == "effort":
        del extra["thinking"]
        if not vendor.matches(vendors.OPENAI_REASONING, call.model):
            if not off:
                raise UnsupportedFeatureError(f"{call.model} does not think", provider=vendor.name, model=call.model)
            return
        if "reasoning_effort" not in extra or off:
            level = "none" if off else _effort(budget)
            if tools and not off and extra.get("reasoning_effort") == "none":
                return
            extra["reasoning_effort"] = level
            warnings.append(warning("thinking", f"sent as reasoning_effort={level!r}"))
        return
    if vendor.always_thinks and vendor.matches(vendor.always_thinks, call.model):
        del extra["thinking"]
        warnings.append(warning("thinking", f"{call.model} always thinks; the switch was left out"))
    elif budget is not None:
        extra["thinking"] = {name: value for name, value in wish.items() if name != "budget_tokens"}
        warnings.append(warning("thinking", f"{vendor.name} has no budget_tokens; it was left out"))


def _effort(budget: Any) -> str:
    if not isinstance(budget, (int, float)):
        return "medium"
    return "low" if budget <= 2048 else "medium" if budget <= 12_000 else "high"


def _max_tokens(
    body: dict[str, Any], given: dict[str, Any], extra: dict[str, Any], vendor: Vendor, warnings: list[dict[str, str]]
) -> None:
    own = vendor.max_tokens
    other = "max_completion_tokens" if own == "max_tokens" else "max_tokens"
    limit = given.pop("max_tokens", None)
    named = extra.get(other)
    if limit is not None:
        body[own] = limit
    if named is not None and not vendor.both_max_tokens:
        del extra[other]
        if limit is None:
            body[own] = named
        warnings.append(warning(other, f"sent as {own}, which is what {vendor.name} reads"))
    if named is not None and limit is not None and vendor.both_max_tokens:
        raise InvalidInputError("max_tokens and max_completion_tokens exclude each other: pass one of them")


def _sampling(
    given: dict[str, Any], extra: dict[str, Any], model: str, vendor: Vendor, warnings: list[dict[str, str]]
) -> None:
    refused = [name for pattern, names in vendor.refused if vendor.matches(pattern, model) for name in names]
    why = f"{vendor.name} fixes it for {model}"
    reasons = extra.get("reasoning_effort") != "none" and vendor.matches(vendors.OPENAI_REASONING, model)
    if vendor.name == "openai" and reasons:
        refused, why = [*vendors.SAMPLING], f"{model} refuses it while it reasons"
    for holder in (given, extra):
        for name in refused:
            if holder.get(name) is not None:
                warnings.append(warning(name, f"{spelled(holder.pop(name))} was left out: {why}"))
        for name, (least, most) in vendor.ranges.items():
            value = holder.get(name)
            if isinstance(value, (int, float)) and not least <= value <= most:
                holder[name] = min(max(value, least), most)
                warnings.append(
                    warning(
                        name,
                        f"{spelled(value)} was sent as {spelled(holder[name])}: {vendor.name} takes {least} to {most}",
                    )
                )
        thinking = extra.get("thinking")
        thinks = not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")
        for name in vendor.ignored_while_thinking if thinks else ():
            if holder.get(name) is not None:
                warnings.append(
                    warning(
                        name,
                        f"{vendor.name} ignores it while it thinks; thinking={{'type': 'disabled'}} gives it effect",
                    )
                )
