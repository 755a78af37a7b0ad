"""
A chat call as Bedrock's Converse takes it. Pure, but for fetching images.

Source: botocore's own model of the service, https://docs.aws.amazon.com/bedrock/latest/userguide/
(conversation inference, structured output, prompt caching), read 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.bedrock.draft import Draft
from aigc_kit.chat.bedrock.schema import narrowed, unsayable
from aigc_kit.chat.bedrock.thinking import (
    ANSWER_TOKENS,
    THINKING_TOKENS,
    think,
    thinking_wish,
    without_novas_limits,
)
from aigc_kit.chat.bedrock.tools import add_tools
from aigc_kit.chat.bedrock.turns import to_converse_messages, without_old_cache_points
from aigc_kit.chat.call import Call
from aigc_kit.chat.structured import with_instruction
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.settings import spelled
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, merged, to_json

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_THINKS_BY_DEFAULT = r".*claude-((opus|sonnet|haiku)-5|fable|mythos).*"
"""
Without a limit Bedrock stops them at 4,096 tokens, thinking included. Source:
danny-avila/LibreChat#14058.
"""

_TOP_LEVEL = frozenset(
    {
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "additionalModelResponseFieldPaths",
        "serviceTier",
        "outputConfig",
        "inferenceConfig",
        "toolConfig",
        "projectIdentifier",
        "system",
    }
)
"""Members of a Converse request. Source: botocore 1.44.8."""

_SAID_ANYWAY = frozenset({"stream_options", "n"})
_OF_OTHERS = frozenset(
    {
        "user",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "store",
        "prediction",
        "verbosity",
        "safety_identifier",
        "prompt_cache_key",
        "modalities",
        "audio",
        "web_search_options",
        "functions",
        "function_call",
        "enable_thinking",
        "thinking_budget",
        "http_options",
    }
)
"""
OpenAI's parameters that Converse has nothing like; in additionalModelRequestFields they are a 400.
"""


def to_request(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, native: bool
) -> Draft:
    """
    The request; its ``body`` are the keyword arguments of ``converse``.

    Args:
        native: whether the installed botocore knows structured output and strict tools.

    Raises:
        InvalidInputError: a part that Bedrock cannot take.
        UnsupportedFeatureError: the model would refuse it, and nothing else means the same.
    """
    functions = [tool for tool in call.tools or () if isinstance(tool.get("function"), Mapping)]
    request = Draft(
        call, ToolNames.of(functions, turns, _TOOL_NAME), downloader, {"modelId": call.model}
    )
    request.has_grammar = native and request.fits(models.CONVERSE_GRAMMAR)
    if call.format:
        turns = _response_format(request, turns)
    system, messages = to_converse_messages(request, turns)
    request.body["messages"] = messages
    if system:
        request.body["system"] = system
    extra = dict(call.extra)
    thinking = thinking_wish(extra, request)
    add_tools(request, turns, thinking)
    _inference(request, extra)
    think(request, thinking)
    if request.fits(_THINKS_BY_DEFAULT) and not (thinking and thinking.off):
        request.inference.setdefault("maxTokens", THINKING_TOKENS + ANSWER_TOKENS)
    _top_k(request, extra)
    for name, value in extra.items():
        _place(request, name, value)
    for name, value in call.extra_body.items():
        _place_as_is(request, name, value)
    _finish(request)
    return request


def _finish(request: Draft) -> None:
    body = request.body
    without_novas_limits(request)
    without_old_cache_points(request)
    if request.inference:
        body["inferenceConfig"] = {**request.inference, **body.get("inferenceConfig", {})}
    if request.fields:
        body["additionalModelRequestFields"] = request.fields
    # botocore would write NaN, and fails in its own way over what is not JSON.
    inputs = [
        block["toolUse"]["input"]
        for turn in body["messages"]
        for block in turn["content"]
        if "toolUse" in block
    ]
    given = {
        name: value for name, value in body.items() if name not in ("modelId", "messages", "system")
    }
    if given or inputs:
        to_json({"fields": given, "inputs": inputs})


def _place(request: Draft, name: str, value: Any) -> None:
    """Put an option of the vendor's where Converse reads it."""
    own = name if name in _TOP_LEVEL else camel(name)
    if name in _SAID_ANYWAY:
        return
    if name == "parallel_tool_calls":
        _parallel(request, value)
    elif name == "metadata" and isinstance(value, Mapping):
        request.body["requestMetadata"] = {str(key): str(inner) for key, inner in value.items()}
    elif own == "serviceTier" and isinstance(value, str):
        request.body["serviceTier"] = {"type": value}
    elif own in _TOP_LEVEL:
        request.body[own] = value
    elif name in _OF_OTHERS:
        if value not in (0, False):
            request.warn(name, "Converse has nothing like it; it was left out")
    else:
        request.fields[name] = value


def _place_as_is(request: Draft, name: str, value: Any) -> None:
    """
    ``extra_body``: members of Converse at the top, everything else in additionalModelRequestFields;
    None takes away.
    """
    own = name if name in _TOP_LEVEL else camel(name)
    target, key = (request.body, own) if own in _TOP_LEVEL else (request.fields, name)
    if name == "additionalModelRequestFields" and isinstance(value, Mapping):
        request.fields = merged(request.fields, value)
        return
    changed = merged({key: target[key]} if key in target else {}, {key: value})
    target.pop(key, None)
    target.update(changed)


def _parallel(request: Draft, value: Any) -> None:
    if value is not False:
        return
    if not request.fits(models.CLAUDE):
        request.warn(
            "parallel_tool_calls", f"{request.call.model} has no such switch; it was left out"
        )
    elif request.call.tools:
        request.fields.setdefault("tool_choice", {})["disable_parallel_tool_use"] = True


def _top_k(request: Draft, extra: dict[str, Any]) -> None:
    if extra.get("top_k") is None:
        return
    value = extra.pop("top_k")
    thinks = request.fields.get("thinking", {}).get("type", "disabled") != "disabled"
    if request.fits(models.NOVA):
        request.fields["inferenceConfig"] = {"topK": value}
    elif request.fits(models.CLAUDE) and not thinks and not request.fits(models.CLAUDE_NO_SAMPLING):
        request.fields["top_k"] = value
    else:
        request.warn(
            "top_k",
            f"{spelled(value)} was left out: {request.call.model} refuses it, or is not known to take it",
        )


def _response_format(request: Draft, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    wanted = request.call.format
    if wanted is None:
        return turns
    chosen = request.call.options.structured_mode
    schema = wanted.schema
    why = f": {request.call.model} is not known to have outputConfig"
    mode = chosen or "prompt"
    if not chosen and request.has_grammar and schema is not None:
        mode = "json_schema"
    if mode == "json_schema" and schema is not None:
        reason = unsayable(schema)
        if reason and chosen:
            raise request.unsupported(
                f"structured_mode='json_schema': Bedrock's grammar cannot say this schema, {reason}; leave structured_mode out"
            )
        if reason:
            mode, why = "prompt", f": Bedrock's grammar cannot say this schema, {reason}"
    if mode != "json_schema" or schema is None:
        request.warn(
            "response_format",
            f"mode prompt{why}; the schema is in the system prompt, the answer validated here",
        )
        return with_instruction(turns, wanted, mode="prompt")
    request.warn("response_format", "mode json_schema")
    inner = {"schema": json.dumps(narrowed(schema), ensure_ascii=False), "name": wanted.name}
    request.body["outputConfig"] = {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}
    }
    return turns


# ---- limits and sampling


def _inference(request: Draft, extra: dict[str, Any]) -> None:
    given, found = dict(request.call.parameters), request.inference
    limit = given.pop("max_tokens", None) or extra.pop("max_completion_tokens", None)
    if limit is not None:
        found["maxTokens"] = limit
    stop = given.pop("stop", None) or extra.pop("stop_sequences", None)
    if stop:
        found["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if given.pop("seed", None) is not None:
        request.warn("seed", "Converse has none; it was left out")
    model = request.call.model
    for name, own in (("temperature", "temperature"), ("top_p", "topP")):
        value = given.pop(name, None)
        if value is None:
            continue
        if request.fits(models.CLAUDE_NO_SAMPLING) or request.fits(models.CONVERSE_NO_SAMPLING):
            request.warn(name, f"{value!r} was left out: {model} refuses it")
        elif own == "topP" and "temperature" in found and request.fits(models.CLAUDE_ONE_SAMPLING):
            request.warn(
                name, f"{value!r} was left out: {model} takes temperature or top_p, not both"
            )
        else:
            found[own] = min(value, 1)
            if value > 1:
                request.warn(name, f"{value!r} was sent as 1: Converse takes 0 to 1")
