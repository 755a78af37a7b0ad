"""
A chat call as ``chat/completions`` takes it, with every quirk of those who speak it. Pure, but for
fetching images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import schemas
from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.ids import fresh
from aigc_kit.chat.messages import (
    arguments_object,
    arguments_text,
    chosen_tool,
    has_tool_turns,
    plain_json,
)
from aigc_kit.chat.openai_compat.origin import PLACED, own_fields, own_reasoning
from aigc_kit.chat.parts import hoisted, image_url, text_of
from aigc_kit.chat.structured import Format, with_instruction
from aigc_kit.chat.thinking import Thinking
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.chat.vendors import Vendor
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import sha256_of

_CONTINUE = "(continue)"


@dataclass
class Request:
    """
    A body in the making.

    ``given``: parameters with a name of their own that are still to be placed; ``extra``: the
    caller's other fields.
    ``names``: tool names as this vendor takes them.
    """

    call: Call
    vendor: Vendor
    names: ToolNames
    origin: str = ""
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def unsupported(self, message: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(message, provider=self.vendor.name, model=self.call.model)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return self.vendor.matches(pattern, self.call.rules)


def to_body(
    call: Call,
    turns: list[dict[str, Any]],
    vendor: Vendor,
    *,
    stream: bool,
    fetch: Callable[[str], str],
    origin: str = "",
) -> Request:
    """
    The request for this vendor; its ``body`` is the JSON of ``chat/completions``.

    Args:
        fetch: an http(s) URL -> a ``data:`` URI, for vendors that fetch no images.
        origin: the back end's own mark on the turns that it made (``origin.of``).

    Raises:
        UnsupportedFeatureError: the vendor or model would refuse it, and nothing else means the
            same.
        InvalidInputError: an image cannot be fetched.
    """
    names = ToolNames.of(call.tools or (), turns, re.compile(vendor.tool_name))
    request = Request(
        call, vendor, names, origin, {"model": call.model}, dict(call.parameters), dict(call.extra)
    )
    thinking = _thinking(request, stream=stream)
    if call.format:
        turns = _response_format(request, turns, thinking)
    with_tools = bool(call.tools) or has_tool_turns(turns)
    request.body["messages"] = to_messages(request, turns, with_tools=with_tools, fetch=fetch)
    _tools(request, thinking)
    _max_tokens(request)
    _sampling(request)
    request.body |= request.given | request.extra
    if stream:
        request.body["stream"] = True
        if vendor.stream_usage:
            request.body.setdefault("stream_options", {"include_usage": True})
    request.body = {
        name: value
        for name, value in {**request.body, **call.extra_body}.items()
        if value is not None
    }
    return request


# ---- response_format


def _response_format(
    request: Request, turns: list[dict[str, Any]], thinking: Thinking | None
) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    wanted = request.call.format
    if wanted is None:
        return turns
    mode = _mode(request, wanted, thinking)
    native = "json_schema" if wanted.schema is not None else "json_object"
    if mode != native or wanted.schema is not None:
        reason = ""
        if mode != native:
            reason = (
                f": {request.vendor.name} does not offer {native} for {request.call.model} here, so the schema is in the"
                " system prompt and the answer is validated here"
            )
        request.warn("response_format", f"mode {mode}{reason}")
    request.body |= _format_field(wanted, mode, request.vendor)
    return with_instruction(turns, wanted, mode=mode)


def _mode(request: Request, wanted: Format, thinking: Thinking | None) -> str:
    """How this model is asked for JSON."""
    vendor = request.vendor
    chosen = request.call.options.structured_mode
    mode = chosen or "json_object"
    if not chosen and wanted.schema is not None and request.fits(vendor.json_schema):
        mode = "json_schema"
    if vendor.json_while_thinking or mode == "prompt":
        return mode
    if _thinks(request, thinking):
        request.warn(
            "response_format",
            f"{vendor.name} has no JSON mode while it thinks; the answer is asked for in words",
        )
        return "prompt"
    if thinking is None and request.fits(vendor.thinks_by_default):
        _switch_off(request, f"{vendor.name} has no JSON mode while it thinks")
    return mode


def _format_field(wanted: Format, mode: str, vendor: Vendor) -> dict[str, Any]:
    if mode == "prompt":
        return {}
    if mode == "json_object" or wanted.schema is None:
        return {"response_format": {"type": "json_object"}}
    schema = {name: value for name, value in wanted.schema.items() if name != "$schema"}
    if vendor.schema_dialect == "mfjs":
        schema = schemas.mfjs(schema)
    inner: dict[str, Any] = {"name": wanted.name, "schema": schema}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


# ---- messages


def to_messages(
    request: Request, turns: list[dict[str, Any]], *, with_tools: bool, fetch: Callable[[str], str]
) -> list[dict[str, Any]]:
    """
    The history in this vendor's shape: its own state kept, foreign state left out, padded where it
    is demanded.
    """
    turns, moved = hoisted(turns, from_tools=True, from_assistant=True)
    if moved:
        request.warn(
            "images",
            f"{moved} images or files of tool results or answers were sent in the user turn behind them",
        )
    messages = [_to_message(request, turn, with_tools=with_tools, fetch=fetch) for turn in turns]
    messages = [message for message in messages if not _says_nothing(message)]
    if request.vendor.call_id:
        messages = _with_short_ids(messages, re.compile(request.vendor.call_id))
    last = messages[-1] if messages else {}
    if (
        last.get("role") == "assistant"
        and not last.get("tool_calls")
        and request.fits(request.vendor.no_prefill)
    ):
        messages.append({"role": "user", "content": _CONTINUE})
        request.warn(
            "messages",
            f"{request.call.model} refuses a history that ends with the assistant; a user turn was added",
        )
    return messages


def _says_nothing(message: Mapping[str, Any]) -> bool:
    """
    An assistant's turn that was cut while it thought: Kimi, Claude and others refuse it.
    AstrBotDevs/AstrBot#7200.
    """
    if message["role"] != "assistant":
        return False
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        return False
    filled = {
        name
        for name, value in message.items()
        if (value.strip() if isinstance(value, str) else value)
    }
    return not filled - {"role", "reasoning_content", "name"}


def _to_message(
    request: Request, turn: dict[str, Any], *, with_tools: bool, fetch: Callable[[str], str]
) -> dict[str, Any]:
    vendor, role = request.vendor, turn["role"]
    message: dict[str, Any] = {"role": role}
    if role == "developer" and not vendor.keeps_developer:
        message["role"] = "system"
    if turn.get("content") is not None:
        message["content"] = _content(request, turn["content"], fetch)
    for name in ("name", "tool_call_id", "refusal"):
        if name in turn and turn[name] is not None:
            message[name] = turn[name]
    if role == "tool":
        message["content"] = message.get("content") or vendor.empty_tool_result
    if not turn.keys() <= PLACED:
        message |= own_fields(turn, request.origin, vendor, request.warn)
    if role == "assistant":
        _assistant(request, turn, message, with_tools=with_tools)
    return message


def _assistant(
    request: Request, turn: dict[str, Any], message: dict[str, Any], *, with_tools: bool
) -> None:
    vendor = request.vendor
    message.setdefault("content", "")
    if not message["content"] and "audio" not in message:
        message["content"] = _transcript(turn)
    if turn.get("tool_calls"):
        message["tool_calls"] = [_to_call(request, call) for call in turn["tool_calls"]]
    if not with_tools:
        return
    if request.fits(vendor.echo_reasoning):
        own = "" if _is_foreign(turn) else turn.get("reasoning_content")
        message["reasoning_content"] = own if isinstance(own, str) and own else vendor.reasoning_pad
    else:
        own_reasoning(turn, message, request.origin)


def _transcript(turn: Mapping[str, Any]) -> str:
    """The words of an answer in sound, for a back end that does not have the sound."""
    audio = turn.get("audio")
    words = audio.get("transcript") if isinstance(audio, Mapping) else None
    return words if isinstance(words, str) else ""


def _is_foreign(turn: Mapping[str, Any]) -> bool:
    """Whether Bedrock or Gemini made the turn: their reasoning means nothing to this vendor."""
    if "thinking_blocks" in turn:
        return True
    extra = turn.get("extra_content")
    return extra is not None and isinstance(extra, Mapping) and "google" in extra


def _to_call(request: Request, call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    made: dict[str, Any] = {
        "id": call["id"],
        "type": "function",
        "function": {
            "name": request.names.sent(function["name"]),
            "arguments": _arguments(function.get("arguments")),
        },
    }
    if request.vendor.passes_fields and isinstance(call.get("extra_content"), Mapping):
        made["extra_content"] = call[
            "extra_content"
        ]  # Gemini's own compatible endpoint demands its signature back
    return made


def _arguments(value: Any) -> str:
    """
    Arguments as JSON of an object, whatever a model wrote: vLLM, Mistral and others refuse a
    history with less.
    """
    if isinstance(value, str) and isinstance(plain_json(value), dict):
        return value
    return arguments_text(arguments_object(value))


def _with_short_ids(messages: list[dict[str, Any]], legal: re.Pattern[str]) -> list[dict[str, Any]]:
    """The history with ids that this model takes, the same on calls and results."""
    taken: set[str] = set()
    short: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            mark = call["id"]
            if not legal.fullmatch(mark):
                mark = sha256_of(mark.encode()).hexdigest()[:9]
            short[call["id"]] = mark if mark not in taken else fresh(mark, taken)[-9:]
            taken.add(short[call["id"]])
    made = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [{**call, "id": short[call["id"]]} for call in message["tool_calls"]]
            message = {**message, "tool_calls": calls}
        elif message.get("tool_call_id") in short:
            message = {**message, "tool_call_id": short[message["tool_call_id"]]}
        made.append(message)
    return made


def _content(request: Request, content: Any, fetch: Callable[[str], str]) -> Any:
    """
    Text as it is; parts as this vendor takes them. Parts that are all text become one text: many
    take no list.
    """
    if isinstance(content, str):
        return content
    marked = any("cache_control" in part for part in content)
    if marked and not request.vendor.cache_control:
        request.warn(
            "cache_control", f"{request.vendor.name} has no marks for its cache; they were left out"
        )
        marked = False
    if not marked and all(part["type"] == "text" for part in content):
        return text_of(content)
    return [_to_part(request, part, fetch) for part in content]


def _to_part(
    request: Request, part: Mapping[str, Any], fetch: Callable[[str], str]
) -> dict[str, Any]:
    vendor = request.vendor
    made = dict(part)
    if not vendor.cache_control:
        made.pop("cache_control", None)
    if part["type"] != "image_url":
        return made
    image = part["image_url"]
    rest = (
        {name: value for name, value in image.items() if name != "url"}
        if isinstance(image, Mapping)
        else {}
    )
    url = image_url(part)
    if not vendor.image_addresses and url.startswith(("http://", "https://")):
        url = fetch(url)
    if vendor.bare_base64 and url.startswith("data:"):
        url = url.partition(",")[2]
    return {**made, "image_url": {"url": url, **rest}}


# ---- tools


def _tools(request: Request, thinking: Thinking | None) -> None:
    call, vendor = request.call, request.vendor
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
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


def _to_tool(request: Request, tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool  # the vendor's own
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if request.vendor.schema_dialect == "mfjs":
        parameters = schemas.mfjs(parameters)
    return {
        **tool,
        "function": {
            **function,
            "name": request.names.sent(function["name"]),
            "parameters": parameters,
        },
    }


def _tool_choice(request: Request, choice: str, thinking: Thinking | None) -> None:
    call, vendor, body = request.call, request.vendor, request.body
    forced = choice not in (":auto", ":none")
    if vendor.forced_choice == "auto only" and choice == ":none":
        del body["tools"]
        request.warn(
            "tool_choice", f"{vendor.name} knows only 'auto': for 'none' the tools were left out"
        )
        return
    if vendor.forced_choice == "auto only" and forced:
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


def _no_thinking_beside_a_forced_tool(request: Request, thinking: Thinking | None) -> None:
    name = request.vendor.name
    if _thinks(request, thinking):
        raise request.unsupported(
            f"{name} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
            " tool_choice='auto'"
        )
    if thinking is None and request.fits(request.vendor.thinks_by_default):
        _switch_off(request, f"{name} refuses a forced tool_choice while it thinks")


# ---- thinking


def _thinks(request: Request, thinking: Thinking | None) -> bool:
    """Whether the model certainly thinks: it was told to, or cannot do otherwise."""
    switch = request.call.extra_body.get("enable_thinking", request.extra.get("enable_thinking"))
    if switch is not None:
        return bool(switch)
    told = thinking is not None and not thinking.off
    return told or request.fits(request.vendor.always_thinks)


def _switch_off(request: Request, why: str) -> None:
    if request.vendor.thinking == "enable_thinking":
        if request.extra.setdefault("enable_thinking", False):
            return
    else:
        request.extra["thinking"] = {"type": "disabled"}
    request.warn("thinking", f"switched off: {why}")


def _thinking(request: Request, *, stream: bool) -> Thinking | None:
    """Send the wish as this vendor reads it; returns it."""
    vendor, model = request.vendor, request.call.model
    if vendor.thinking == "passed" and vendor.passes_fields:
        return _loosely(request.extra.get("thinking"))
    wish = request.extra.get("thinking")
    thinking = Thinking.read(wish)
    if thinking is None:
        if not stream and vendor.thinking == "enable_thinking":
            _quiet_outside_of_streams(request)
        return None
    if thinking.off and request.fits(vendor.always_thinks):
        raise request.unsupported(
            f"{model} always thinks; use reasoning_effort='low', or another model"
        )
    if vendor.thinking == "enable_thinking":
        _enable_thinking(request, thinking, stream=stream)
    elif vendor.thinking == "effort":
        _effort(request, thinking)
    elif request.fits(vendor.always_thinks):
        del request.extra["thinking"]
        request.warn("thinking", f"{model} always thinks; the switch was left out")
    else:
        _typed(request, wish, thinking)
    return thinking


def _loosely(wish: Any) -> Thinking | None:
    """The wish to a back end that nothing is known of: whatever it is, it is passed on."""
    try:
        return Thinking.read(wish)
    except InvalidInputError:
        return None


def _typed(request: Request, wish: Any, thinking: Thinking) -> None:
    """``{"type": ...}`` without a budget."""
    if thinking.budget is None:
        return
    request.extra["thinking"] = {
        name: value for name, value in wish.items() if name != "budget_tokens"
    }
    if thinking.off:
        request.extra["thinking"]["type"] = "disabled"
        return
    request.warn("thinking", f"{request.vendor.name} has no budget_tokens; it was left out")


def _enable_thinking(request: Request, thinking: Thinking, *, stream: bool) -> None:
    del request.extra["thinking"]
    if not thinking.off and not stream and request.fits(request.vendor.thinks_streaming_only):
        raise request.unsupported(
            f"{request.call.model} thinks only while it streams: use chat_stream"
        )
    request.extra["enable_thinking"] = not thinking.off
    if thinking.budget and thinking.budget > 0:
        request.extra["thinking_budget"] = thinking.budget


def _quiet_outside_of_streams(request: Request) -> None:
    vendor = request.vendor
    if request.fits(vendor.thinks_streaming_only) and not request.fits(vendor.always_thinks):
        _switch_off(request, f"{request.call.model} thinks only while it streams")


def _effort(request: Request, thinking: Thinking) -> None:
    del request.extra["thinking"]
    model = request.call.model
    if not request.fits(request.vendor.refused_while_reasoning):
        if not thinking.off:
            raise request.unsupported(f"{model} does not think")
        return
    if request.extra.get("reasoning_effort") is not None and not thinking.off:
        return
    level = thinking.effort
    if thinking.off:
        level = next(
            (levels[0] for models, levels in request.vendor.efforts if request.fits(models)), "none"
        )
    request.extra["reasoning_effort"] = level
    request.warn("thinking", f"sent as reasoning_effort={level!r}")


# ---- limits and sampling


def _max_tokens(request: Request) -> None:
    vendor, extra = request.vendor, request.extra
    own = vendor.max_tokens
    other = "max_completion_tokens" if own == "max_tokens" else "max_tokens"
    limit = request.given.pop("max_tokens", None)
    named = extra.get(other)
    if limit is not None:
        request.body[own] = limit
    if named is None:
        return
    if vendor.both_max_tokens:
        if limit is not None:
            raise InvalidInputError(
                "max_tokens and max_completion_tokens exclude each other: pass one of them"
            )
        return
    del extra[other]
    if limit is None:
        request.body[own] = named
    request.warn(other, f"sent as {own}, which is what {vendor.name} reads")


def _sampling(request: Request) -> None:
    vendor, model = request.vendor, request.call.model
    refused = [name for pattern, names in vendor.refused if request.fits(pattern) for name in names]
    why = f"{vendor.name} fixes it for {model}"
    if request.extra.get("reasoning_effort") != "none" and request.fits(
        vendor.refused_while_reasoning
    ):
        refused = [
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
            "logprobs",
            "top_logprobs",
        ]
        why = f"{model} refuses it while it reasons"
    for holder in (request.given, request.extra):
        for name in refused:
            if holder.get(name) is not None:
                request.warn(name, f"{spelled(holder.pop(name))} was left out: {why}")
        _within_ranges(request, holder)
    both = request.given.get("temperature") is not None and request.given.get("top_p") is not None
    if both and request.fits(vendor.one_sampling):
        request.warn(
            "top_p",
            f"{spelled(request.given.pop('top_p'))} was left out: {model} takes temperature or top_p",
        )
    _say_what_is_ignored(request)


def _within_ranges(request: Request, holder: dict[str, Any]) -> None:
    for name, (least, most) in request.vendor.ranges.items():
        value = holder.get(name)
        if isinstance(value, (int, float)) and not least <= value <= most:
            holder[name] = min(max(value, least), most)
            request.warn(
                name,
                f"{spelled(value)} was sent as {spelled(holder[name])}: {request.vendor.name} takes {least} to {most}",
            )


def _say_what_is_ignored(request: Request) -> None:
    thinking = request.extra.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") == "disabled":
        return
    for name in request.vendor.ignored_while_thinking:
        if request.given.get(name) is not None or request.extra.get(name) is not None:
            request.warn(
                name,
                f"{request.vendor.name} ignores it while it thinks; thinking={{'type': 'disabled'}} gives it effect",
            )
