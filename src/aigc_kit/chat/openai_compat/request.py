"""
A chat call as ``chat/completions`` takes it, with every quirk of those who speak it. Pure, but for
fetching images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aigc_kit.chat import schemas
from aigc_kit.chat.call import Call
from aigc_kit.chat.messages import (
    has_tool_turns,
)
from aigc_kit.chat.openai_compat.draft import Draft
from aigc_kit.chat.openai_compat.thinking import switch_off, think, thinks
from aigc_kit.chat.openai_compat.tools import add_tools
from aigc_kit.chat.openai_compat.turns import to_messages
from aigc_kit.chat.structured import Format, with_instruction
from aigc_kit.chat.thinking import Thinking
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.chat.vendor import SAMPLING
from aigc_kit.chat.vendors import Vendor
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled


def to_body(
    call: Call,
    turns: list[dict[str, Any]],
    vendor: Vendor,
    *,
    stream: bool,
    fetch: Callable[[str], str],
    origin: str = "",
) -> Draft:
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
    request = Draft(
        call, vendor, names, origin, {"model": call.model}, dict(call.parameters), dict(call.extra)
    )
    thinking = think(request, stream=stream)
    if call.format:
        turns = _response_format(request, turns, thinking, stream=stream)
    with_tools = bool(call.tools) or has_tool_turns(turns)
    request.body["messages"] = to_messages(request, turns, with_tools=with_tools, fetch=fetch)
    add_tools(request, thinking)
    _max_tokens(request)
    _sampling(request)
    request.body |= request.given | request.extra
    for name, own in vendor.renamed:
        if name in request.body:
            request.body[own] = request.body.pop(name)
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
    request: Draft, turns: list[dict[str, Any]], thinking: Thinking | None, *, stream: bool
) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    wanted = request.call.format
    if wanted is None:
        return turns
    mode = _mode(request, wanted, thinking, stream=stream)
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
    said = "json_object" if request.vendor.schema_in_prompt and mode == "json_schema" else mode
    return with_instruction(turns, wanted, mode=said)


def _mode(request: Draft, wanted: Format, thinking: Thinking | None, *, stream: bool) -> str:
    """How this model is asked for JSON."""
    vendor = request.vendor
    chosen = request.call.options.structured_mode
    mode = chosen or "json_object"
    if not chosen and wanted.schema is not None and request.fits(vendor.json_schema):
        mode = "json_schema"
    if mode == "json_object" and not vendor.json_object:
        request.warn(
            "response_format",
            f"{vendor.name} has no JSON mode without a schema; the answer is asked for in words",
        )
        return "prompt"
    if mode != "prompt" and not vendor.json_with_tools and (stream or request.call.tools):
        why = "with tools" if request.call.tools else "in a stream"
        request.warn(
            "response_format",
            f"{vendor.name} has no JSON mode {why}; the answer is asked for in words",
        )
        return "prompt"
    if vendor.json_while_thinking or mode == "prompt":
        return mode
    if thinks(request, thinking):
        request.warn(
            "response_format",
            f"{vendor.name} has no JSON mode while it thinks; the answer is asked for in words",
        )
        return "prompt"
    if thinking is None and request.fits(vendor.thinks_by_default):
        switch_off(request, f"{vendor.name} has no JSON mode while it thinks")
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


# ---- limits and sampling


def _max_tokens(request: Draft) -> None:
    vendor, extra = request.vendor, request.extra
    own = vendor.max_tokens
    other = "max_completion_tokens" if own == "max_tokens" else "max_tokens"
    limit = request.given.pop("max_tokens", None)
    named = extra.get(other)
    if limit is not None:
        if extra.get("max_completion_tokens") is not None:
            raise InvalidInputError(
                "max_tokens and max_completion_tokens exclude each other: pass one of them"
            )
        request.body[own] = limit
    if named is None or vendor.both_max_tokens:
        return
    del extra[other]
    if limit is None:
        request.body[own] = named
    request.warn(other, f"sent as {own}, which is what {vendor.name} reads")


def _sampling(request: Draft) -> None:
    vendor, model = request.vendor, request.call.model
    refused = [name for pattern, names in vendor.refused if request.fits(pattern) for name in names]
    left_out = dict.fromkeys(refused, f"{vendor.name} does not take it for {model}")
    if vendor.refuses_sampling(request.call.rules, request.extra.get("reasoning_effort")):
        left_out |= dict.fromkeys(SAMPLING, f"{model} refuses it while it reasons")
    for holder in (request.given, request.extra):
        for name, why in left_out.items():
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


def _within_ranges(request: Draft, holder: dict[str, Any]) -> None:
    for name, (least, most) in request.vendor.ranges.items():
        value = holder.get(name)
        if isinstance(value, (int, float)) and not least <= value <= most:
            holder[name] = min(max(value, least), most)
            request.warn(
                name,
                f"{spelled(value)} was sent as {spelled(holder[name])}: {request.vendor.name} takes {least} to {most}",
            )


def _say_what_is_ignored(request: Draft) -> None:
    thinking = request.extra.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") == "disabled":
        return
    for name in request.vendor.ignored_while_thinking:
        if request.given.get(name) is not None or request.extra.get(name) is not None:
            request.warn(
                name,
                f"{request.vendor.name} ignores it while it thinks; thinking={{'type': 'disabled'}} gives it effect",
            )
