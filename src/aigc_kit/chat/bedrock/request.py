"""
A chat call as Bedrock's Converse takes it: what each model family accepts, and the conversion. Pure, but for fetching pictures.

Source: botocore's own model of the service, https://docs.aws.amazon.com/bedrock/latest/userguide/ (conversation inference,
structured output), read 2026-11-22.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.base import warning
from aigc_kit.chat.messages import arguments_object, chosen_tool, has_tool_turns, image_address, text_of
from aigc_kit.chat.pictures import picture_bytes
from aigc_kit.chat.request import Call
from aigc_kit.chat.structured import with_instruction
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, decode_base64
from aigc_kit.transport.policy import to_json

MAX_IMAGE_BYTES = 3_932_160
"""3.75 MB of one picture. Source: the Message type of the service model."""

_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

# Model families by what their ids contain; pydantic-ai's and AWS's own notes, verified there by live calls, 2026.
_CLAUDE = re.compile(r".*(anthropic|claude).*", re.IGNORECASE)
_NOVA = re.compile(r".*nova.*", re.IGNORECASE)
_MISTRAL = re.compile(r".*mistral.*", re.IGNORECASE)
_ALONE = re.compile(r".*(llama|mistral|writer|palmyra).*", re.IGNORECASE)
"""Models that take nothing beside a tool's result."""
_NO_CHOICE = re.compile(r".*(llama|mistral|qwen|deepseek|gpt-oss|cohere|titan|ai21|jamba).*", re.IGNORECASE)
_NO_FORCED = re.compile(r".*claude-(fable|mythos)-5|.*claude-(opus|sonnet)-5-5.*", re.IGNORECASE)
_NO_SAMPLING = re.compile(r".*claude-(opus-(4-7|4-8|5)|sonnet-5|haiku-5-5|fable|mythos).*", re.IGNORECASE)
_ONE_SAMPLING = re.compile(r".*claude-(sonnet-4-[56]|haiku-4-5|opus-4-[56]).*", re.IGNORECASE)
_BUDGET = re.compile(r".*claude-(3-7|(opus|sonnet)-4(-1|-5)?-20\d{6}|(opus|sonnet|haiku)-4-5).*", re.IGNORECASE)
_ADAPTIVE = re.compile(r".*claude-((opus|sonnet)-4-[6-8]|(opus|sonnet|haiku)-5|fable|mythos).*", re.IGNORECASE)
_ALWAYS = re.compile(r".*claude-(opus-5-5|fable|mythos).*", re.IGNORECASE)
_NATIVE = re.compile(
    r".*(claude-(sonnet|haiku)-4-5|claude-opus-4-[5-8]|claude-sonnet-4-6|claude-(opus|sonnet|haiku)-5|qwen3|gemma-3-(12|27)b"
    r"|ministral-3|mistral-large-3|magistral-small|minimax-m2|nemotron-nano|kimi|glm).*",
    re.IGNORECASE,
)
"""Models with ``outputConfig.textFormat``. Source: AWS's structured output page and live notes, 2026-11-22."""


def to_request(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, native: bool
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """
    (keyword arguments of ``converse``, warnings).

    Raises:
        InvalidInputError: a tool's name or a picture that Bedrock cannot take.
        UnsupportedFeatureError: the model would refuse it, and nothing else means the same.
    """
    warnings: list[dict[str, str]] = []
    request: dict[str, Any] = {"modelId": call.model}
    if call.format:
        wanted = call.options.structured_mode
        mode = wanted or (
            "json_schema" if native and call.format.schema is not None and _NATIVE.fullmatch(call.model) else "prompt"
        )
        if mode == "json_schema" and call.format.schema is not None:
            inner = {"schema": json.dumps(closed(call.format.schema), ensure_ascii=False), "name": call.format.name}
            request["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}}
        else:
            turns = with_instruction(turns, call.format, mode="prompt")
        why = f": {call.model} is not known to have outputConfig; the schema is in the system prompt, the answer validated here"
        how = "" if mode == "json_schema" else why
        warnings.append(warning("response_format", f"mode {mode}{how}"))
    system, messages = to_converse_messages(turns, call.model, downloader, call.deadline)
    request["messages"] = messages
    if system:
        request["system"] = [{"text": text} for text in system]
    extra = dict(call.extra)
    fields: dict[str, Any] = {}
    _tools(request, fields, call, turns, warnings)
    inference = _inference(call, extra, warnings)
    _thinking(inference, fields, extra, call.model, warnings)
    if inference:
        request["inferenceConfig"] = inference
    for name in ("guardrail_config", "performance_config", "request_metadata", "service_tier"):
        if name in extra:
            request[camel(name)] = extra.pop(name)
    fields = {**fields, **extra, **call.extra_body}
    if fields:
        request["additionalModelRequestFields"] = fields
    # botocore would write NaN, and fails in its own way over what is no JSON.
    inputs = [block["toolUse"]["input"] for message in messages for block in message["content"] if "toolUse" in block]
    given = {name: value for name, value in request.items() if name not in ("modelId", "messages", "system")}
    if given or inputs:
        to_json({"fields": given, "inputs": inputs})
    return request, warnings


def to_converse_messages(
    turns: list[dict[str, Any]], model: str, downloader: Downloader, deadline: Deadline
) -> tuple[list[str], list[dict[str, Any]]]:
    """
    (system texts, messages): user and assistant in turn, the results of a turn together in one user message.

    Reasoning with its signature comes first and unchanged, for Claude only; ids that Bedrock refuses are made anew, the
    same on both sides.
    """
    system: list[str] = []
    messages: list[dict[str, Any]] = []

    def add(role: str, blocks: list[dict[str, Any]]) -> None:
        if messages and messages[-1]["role"] == role:
            before = messages[-1]["content"]
            results = any("toolResult" in block for block in before)
            if results != any("toolResult" in block for block in blocks) and _ALONE.fullmatch(model):
                messages.append({"role": "assistant", "content": [{"text": "."}]})
                messages.append({"role": role, "content": blocks})
            else:
                before += blocks
        else:
            messages.append({"role": role, "content": blocks})

    for turn in turns:
        if turn["role"] in ("system", "developer"):
            text = text_of(turn["content"])
            if text.strip():
                system.append(text)
        elif turn["role"] == "tool":
            text = text_of(turn["content"])
            result = {
                "toolUseId": tool_id(turn["tool_call_id"], model),
                "content": [{"text": text if text.strip() else "(empty)"}],
            }
            add("user", [{"toolResult": result}])
        elif turn["role"] == "assistant":
            add("assistant", _assistant_blocks(turn, model) or [{"text": "."}])
        else:
            add("user", _user_blocks(turn["content"], downloader, deadline))
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"text": "."}]})
    last = messages[-1]
    if last["role"] == "assistant" and "text" in last["content"][-1]:
        last["content"][-1] = {"text": last["content"][-1]["text"].rstrip() or "."}
    return system, messages


def tool_id(mark: str, model: str) -> str:
    """A call's id as the model takes it; the same id always gives the same."""
    if _MISTRAL.fullmatch(model):
        return mark if re.fullmatch(r"[a-zA-Z0-9]{9}", mark) else hashlib.sha256(mark.encode()).hexdigest()[:9]
    return mark if _TOOL_ID.fullmatch(mark) else "call_" + hashlib.sha256(mark.encode()).hexdigest()[:40]


def _assistant_blocks(turn: dict[str, Any], model: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    thoughts = turn.get("thinking_blocks")
    for thought in thoughts if isinstance(thoughts, list) and _CLAUDE.fullmatch(model) else ():
        if not isinstance(thought, Mapping):
            continue
        if thought.get("type") == "redacted_thinking" and isinstance(thought.get("data"), str):
            try:
                blocks.append({"reasoningContent": {"redactedContent": decode_base64(thought["data"])}})
            except ValueError as error:
                raise InvalidInputError(f"thinking_blocks has redacted thinking that is no base64: {error}") from None
        elif isinstance(thought.get("signature"), str) and thought["signature"]:
            inner = {"text": str(thought.get("thinking") or ""), "signature": thought["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": inner}})
    text = text_of(turn.get("content"))
    if text.strip():
        blocks.append({"text": text})
    for call in turn.get("tool_calls") or ():
        use = {
            "toolUseId": tool_id(call["id"], model),
            "name": tool_name(call["function"]["name"]),
            "input": arguments_object(call["function"].get("arguments")),
        }
        blocks.append({"toolUse": use})
    return blocks


def tool_name(name: str) -> str:
    """A tool's name of another vendor in the letters that Bedrock takes."""
    return name if _TOOL_NAME.fullmatch(name) else re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]


def _user_blocks(content: Any, downloader: Downloader, deadline: Deadline) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    blocks: list[dict[str, Any]] = []
    for part in content:
        if part["type"] == "text":
            if part["text"].strip():
                blocks.append({"text": part["text"]})
        elif part["type"] == "image_url":
            data, kind = picture_bytes(image_address(part), downloader, deadline)
            if kind not in _FORMATS or len(data) > MAX_IMAGE_BYTES:
                raise InvalidInputError(
                    f"the picture of a message is {kind} of {len(data)} bytes; Bedrock takes png, jpeg, gif and webp up to"
                    f" {MAX_IMAGE_BYTES} bytes"
                )
            blocks.append({"image": {"format": _FORMATS[kind], "source": {"bytes": data}}})
        else:
            raise InvalidInputError(
                f"Bedrock cannot take a part of type {part['type']!r}; text and image_url are understood"
            )
    return blocks or [{"text": "(empty)"}]


def _tools(
    request: dict[str, Any],
    fields: dict[str, Any],
    call: Call,
    turns: list[dict[str, Any]],
    warnings: list[dict[str, str]],
) -> None:
    choice = chosen_tool(call.tool_choice)
    in_history = has_tool_turns(turns)
    specs = [_spec(tool, warnings) for tool in call.tools or ()]
    if not specs and in_history:
        # Converse refuses a history with tools in it unless the request describes some.
        names = dict.fromkeys(
            tool_name(made["function"]["name"]) for turn in turns for made in turn.get("tool_calls") or ()
        )
        specs = [
            {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}
            for name in names
        ]
        choice = ":none" if choice in ("", ":auto") else choice
    if not specs:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    if choice == ":none":
        if not in_history:
            return
        if _CLAUDE.fullmatch(call.model):
            fields["tool_choice"] = {"type": "none"}
        elif call.tools:
            warnings.append(
                warning("tool_choice", "Converse has no 'none', and the history needs its tools: the model may call")
            )
        request["toolConfig"] = {"tools": specs}
        return
    config: dict[str, Any] = {"tools": specs}
    if choice and _NO_CHOICE.fullmatch(call.model):
        if choice != ":auto":
            warnings.append(
                warning("tool_choice", f"{call.model} takes no toolChoice; {spelled(call.tool_choice)} was left out")
            )
    elif choice in (":required",) or (choice and not choice.startswith(":")):
        if _NO_FORCED.fullmatch(call.model):
            raise UnsupportedFeatureError(
                f"{call.model} refuses a forced tool_choice; use 'auto', or global.anthropic.claude-sonnet-4-6",
                provider="bedrock", model=call.model,
            )  # fmt: skip
        config["toolChoice"] = {"any": {}} if choice == ":required" else {"tool": {"name": choice}}
    elif choice == ":auto":
        config["toolChoice"] = {"auto": {}}
    request["toolConfig"] = config


def _spec(tool: Mapping[str, Any], warnings: list[dict[str, str]]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise InvalidInputError(f"Bedrock takes only function tools, got type {tool.get('type')!r}")
    if not _TOOL_NAME.fullmatch(function["name"]):
        raise InvalidInputError(f"tool {function['name']!r}: Bedrock takes names of 1 to 64 letters, digits, _ and -")
    schema = dict(function.get("parameters") or {"type": "object", "properties": {}})
    schema.setdefault("type", "object")
    spec: dict[str, Any] = {"name": function["name"], "inputSchema": {"json": schema}}
    description = function.get("description")
    if description and not isinstance(description, str):
        raise InvalidInputError(f"tool {function['name']!r} has a description that is no text: {spelled(description)}")
    if description:
        spec["description"] = description
    return {"toolSpec": spec}


def _inference(call: Call, extra: dict[str, Any], warnings: list[dict[str, str]]) -> dict[str, Any]:
    given, found = dict(call.parameters), dict[str, Any]()
    limit = given.pop("max_tokens", None) or extra.pop("max_completion_tokens", None)
    if limit is not None:
        found["maxTokens"] = limit
    if "stop" in given:
        stop = given.pop("stop")
        found["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if given.pop("seed", None) is not None:
        warnings.append(warning("seed", "Converse has none; it was left out"))
    for name, own in (("temperature", "temperature"), ("top_p", "topP")):
        value = given.pop(name, None)
        if value is None:
            continue
        if _NO_SAMPLING.fullmatch(call.model):
            warnings.append(warning(name, f"{value!r} was left out: {call.model} refuses it"))
        elif own == "topP" and "temperature" in found and _ONE_SAMPLING.fullmatch(call.model):
            warnings.append(warning(name, f"{value!r} was left out: {call.model} takes temperature or top_p, not both"))
        else:
            found[own] = min(value, 1)
            if value > 1:
                warnings.append(warning(name, f"{value!r} was sent as 1: Converse takes 0 to 1"))
    return found


def _thinking(
    inference: dict[str, Any], fields: dict[str, Any], extra: dict[str, Any], model: str, warnings: list[dict[str, str]]
) -> None:
    wish = extra.pop("thinking", None)
    if wish is None:
        return
    if not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str):
        raise InvalidInputError(
            f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
        )
    off, budget = wish["type"] == "disabled", wish.get("budget_tokens")
    if wish["type"] not in ("enabled", "disabled"):
        fields["thinking"] = dict(wish)
    elif off and _ALWAYS.fullmatch(model):
        raise UnsupportedFeatureError(f"{model} always thinks", provider="bedrock", model=model)
    elif off and "sonnet-5-5" in model:
        fields["thinking"] = {"type": "between_tools"}
        warnings.append(warning("thinking", f"sent as 'between_tools', the least that {model} takes"))
    elif _ADAPTIVE.fullmatch(model):
        fields["thinking"] = {"type": "disabled" if off else "adaptive"}
        if isinstance(budget, int) and not off:
            level = "low" if budget <= 2048 else "medium" if budget <= 12_000 else "high"
            fields["output_config"] = {"effort": level}
            warnings.append(
                warning("thinking", f"{model} has efforts instead of a budget; {budget} tokens were sent as {level!r}")
            )
    elif _BUDGET.fullmatch(model):
        if off:
            fields["thinking"] = {"type": "disabled"}
            return
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int)):
            raise InvalidInputError(f"thinking's budget_tokens must be a whole number, got {spelled(budget)}")
        tokens = max(budget or 4096, 1024)
        fields["thinking"] = {"type": "enabled", "budget_tokens": tokens}
        if inference.get("maxTokens", 0) <= tokens:
            inference["maxTokens"] = tokens + 4096
            warnings.append(warning("max_tokens", f"sent as {tokens + 4096}: it must exceed the thinking budget"))
        for name in ("temperature", "topP"):
            if inference.pop(name, None) is not None:
                warnings.append(warning(name, f"left out: {model} takes none while it thinks"))
    elif _NOVA.fullmatch(model) and "nova-2" in model:
        effort = (
            "low"
            if isinstance(budget, int) and budget <= 2048
            else "high"
            if isinstance(budget, int) and budget > 12_000
            else "medium"
        )
        fields["reasoningConfig"] = {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": effort}
    elif not off:
        warnings.append(warning("thinking", f"{model} is not known to take a switch; it was left out"))


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema as Bedrock's grammar takes it: every object closed, bounds that it refuses left out.

    The answer is validated against the whole schema here, so nothing is lost.
    """
    refused = {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "maxItems",
        "$schema",
        "default",
        "title",
    }

    def close(value: Any, *, names: bool = False) -> Any:
        if isinstance(value, list):
            return [close(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        made = {
            name: close(inner, names=name in ("properties", "$defs", "definitions") and not names)
            for name, inner in value.items()
            if names or name not in refused
        }
        if not names and (made.get("type") == "object" or "properties" in made):
            made["additionalProperties"] = False
        if not names and isinstance(made.get("minItems"), int) and made["minItems"] > 1:
            del made["minItems"]
        return made

    result: dict[str, Any] = close(copy.deepcopy(dict(schema)))
    return result
