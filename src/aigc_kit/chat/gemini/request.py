"""
A chat call as Gemini's ``generateContent`` takes it. Pure, but for fetching pictures.

Source: https://ai.google.dev/api/generate-content, .../thought-signatures, .../function-calling, read 2026-11-22.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat.base import warning
from aigc_kit.chat.messages import arguments_object, chosen_tool, image_address, plain_json, text_of
from aigc_kit.chat.pictures import picture_bytes
from aigc_kit.chat.request import Call
from aigc_kit.chat.structured import with_instruction
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, merged

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""For calls that another vendor made. Source: the thought-signatures page, section on foreign histories."""

_OLD = re.compile(r"gemini-(1|2)\..*")
"""Models with a thinking budget, without validated signatures, and without JSON output beside tools."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

_TOP_LEVEL = frozenset({"safety_settings", "labels", "cached_content", "tool_config"})


def to_body(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """
    (the REST body of ``generateContent``, warnings).

    Raises:
        InvalidInputError: a tool's name or a picture that Gemini cannot take.
        UnsupportedFeatureError: thinking that the model cannot do.
    """
    warnings: list[dict[str, str]] = []
    generation: dict[str, Any] = {}
    if call.format:
        mode = call.options.structured_mode or (
            "prompt" if call.tools and _OLD.fullmatch(call.model) else "json_schema"
        )
        turns = with_instruction(turns, call.format, mode=mode) if mode != "json_schema" else turns
        if mode != "prompt":
            generation["responseMimeType"] = "application/json"
            if mode == "json_schema" and call.format.schema is not None:
                generation["responseJsonSchema"] = call.format.schema
        warnings.append(warning("response_format", f"mode {mode}"))
    system, contents = to_contents(turns, call.model, downloader, call.deadline)
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    _tools(body, call)
    names = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxOutputTokens", "seed": "seed"}
    for name, own in names.items():
        if name in call.parameters:
            generation[own] = call.parameters[name]
    if "stop" in call.parameters:
        stop = call.parameters["stop"]
        generation["stopSequences"] = [stop] if isinstance(stop, str) else stop
    extra = dict(call.extra)
    for name in ("max_completion_tokens", "max_output_tokens"):
        if name in extra:
            generation["maxOutputTokens"] = extra.pop(name)
    _thinking(generation, extra, call.model, warnings)
    for name, value in extra.items():
        if hasattr(value, "model_dump") and not isinstance(value, type):
            value = value.model_dump(mode="json", by_alias=True, exclude_none=True)
        if name in ("presence_penalty", "frequency_penalty") and not value:
            continue
        if name == "parallel_tool_calls":
            warnings.append(warning(name, "Gemini has nothing like it; it was left out"))
        else:
            (body if name in _TOP_LEVEL else generation)[camel(name)] = value
    if generation:
        body["generationConfig"] = generation
    return merged(body, call.extra_body), warnings


def to_contents(
    turns: list[dict[str, Any]], model: str, downloader: Downloader, deadline: Deadline
) -> tuple[list[str], list[dict[str, Any]]]:
    """
    (system texts, contents): roles ``user`` and ``model``; results of one turn together, in the order of its calls.

    Signatures stay on their part; ids go back only when Gemini issued them.
    """
    system: list[str] = []
    contents: list[dict[str, Any]] = []
    calls: list[Mapping[str, Any]] = []
    results: dict[str, str] = {}
    for turn in [*turns, None]:
        if results and (turn is None or turn["role"] != "tool"):
            contents.append(
                {"role": "user", "parts": [_to_response(call, results) for call in calls if call["id"] in results]}
            )
            results = {}
        if turn is None:
            break
        if turn["role"] in ("system", "developer"):
            text = text_of(turn["content"])
            if text.strip():
                system.append(text)
        elif turn["role"] == "tool":
            results[turn["tool_call_id"]] = text_of(turn["content"])
        elif turn["role"] == "assistant":
            calls = turn.get("tool_calls") or []
            parts = _model_parts(turn)
            if parts:
                contents.append({"role": "model", "parts": parts})
        else:
            parts = _user_parts(turn["content"], downloader, deadline)
            before = contents[-1] if contents else None
            if before and before["role"] == "user" and not any("functionResponse" in part for part in before["parts"]):
                before["parts"] += parts
            else:
                contents.append({"role": "user", "parts": parts})
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, {"role": "user", "parts": [{"text": "."}]})
    if not _OLD.fullmatch(model):
        _sign_strangers(contents)
    return system, contents


def _user_parts(content: Any, downloader: Downloader, deadline: Deadline) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    parts: list[dict[str, Any]] = []
    for part in content:
        if part["type"] == "image_url":
            address = image_address(part)
            if address.startswith("gs://"):
                kind = (
                    "image/jpeg"
                    if address.lower().endswith((".jpg", ".jpeg"))
                    else "image/" + address.rpartition(".")[2].lower()
                )
                parts.append({"fileData": {"fileUri": address, "mimeType": kind}})
            else:
                data, kind = picture_bytes(address, downloader, deadline)
                parts.append({"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode("ascii")}})
        elif part["type"] == "text":
            if part["text"].strip():
                parts.append({"text": part["text"]})
        else:
            raise InvalidInputError(
                f"Gemini cannot take a part of type {part['type']!r}; text and image_url are understood"
            )
    return parts or [{"text": "(empty)"}]


def _google(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = holder.get("extra_content")
    for name in ("google", "vertex"):
        own = extra.get(name) if isinstance(extra, Mapping) else None
        if isinstance(own, Mapping):
            return own
    return {}


def _model_parts(turn: dict[str, Any]) -> list[dict[str, Any]]:
    text = text_of(turn.get("content"))
    kept = _google(turn)
    segments = kept.get("parts")
    parts: list[dict[str, Any]] = []
    if (
        isinstance(segments, list)
        and all(isinstance(s, Mapping) and isinstance(s.get("text", ""), str) for s in segments)
        and "".join(str(segment.get("text", "")) for segment in segments) == text
    ):
        for segment in segments:
            signature = segment.get("thought_signature")
            if segment.get("text") or signature:
                parts.append(
                    {"text": segment.get("text", ""), **({"thoughtSignature": signature} if signature else {})}
                )
    elif text.strip():
        signature = kept.get("thought_signature")
        parts.append({"text": text, **({"thoughtSignature": signature} if isinstance(signature, str) else {})})
    for call in turn.get("tool_calls") or ():
        own = _google(call)
        function = {"name": call["function"]["name"], "args": arguments_object(call["function"].get("arguments"))}
        if own.get("id") == call["id"]:
            function = {"id": call["id"], **function}
        part: dict[str, Any] = {"functionCall": function}
        if isinstance(own.get("thought_signature"), str):
            part["thoughtSignature"] = own["thought_signature"]
        parts.append(part)
    return parts


def _to_response(call: Mapping[str, Any], results: Mapping[str, str]) -> dict[str, Any]:
    text = results[call["id"]]
    value = plain_json(text)
    # The API reads "$ref" inside of a response as a reference of its own.
    response = value if isinstance(value, dict) and '"$ref"' not in text else {"output": text}
    mark = {"id": call["id"]} if _google(call).get("id") == call["id"] else {}
    return {"functionResponse": {**mark, "name": call["function"]["name"], "response": response}}


def _sign_strangers(contents: list[dict[str, Any]]) -> None:
    """Give the first call of each step of the current turn the skip signature where it has none."""
    start = max(
        (place for place, content in enumerate(contents)
         if content["role"] == "user" and any("functionResponse" not in part for part in content["parts"])), default=0,
    )  # fmt: skip
    for content in contents[start:]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if content["role"] == "model" and first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = SKIP_SIGNATURE


def _tools(body: dict[str, Any], call: Call) -> None:
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    declarations: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for tool in call.tools:
        function = tool.get("function")
        if not isinstance(function, Mapping):
            own.append({name: value for name, value in tool.items() if name != "type"})
            continue
        if not _NAME.fullmatch(function["name"]):
            raise InvalidInputError(
                f"tool {function['name']!r}: Gemini takes names of letters, digits and _ . : -, beginning with a letter or _"
            )
        declaration: dict[str, Any] = {"name": function["name"]}
        if function.get("description"):
            declaration["description"] = function["description"]
        if (function.get("parameters") or {}).get("properties"):
            declaration["parametersJsonSchema"] = function["parameters"]
        declarations.append(declaration)
    body["tools"] = [*([{"functionDeclarations": declarations}] if declarations else []), *own]
    modes = {":auto": "AUTO", ":none": "NONE", ":required": "ANY"}
    if choice and declarations:
        config: dict[str, Any] = {"mode": modes.get(choice, "ANY")}
        if choice not in modes:
            config["allowedFunctionNames"] = [choice]
        body["toolConfig"] = {"functionCallingConfig": config}


def _thinking(generation: dict[str, Any], extra: dict[str, Any], model: str, warnings: list[dict[str, str]]) -> None:
    wish, effort = extra.pop("thinking", None), extra.pop("reasoning_effort", None)
    config = extra.pop("thinking_config", None)
    if config is not None:
        plain = (
            config.model_dump(mode="json", exclude_none=True)
            if hasattr(config, "model_dump") and not isinstance(config, type)
            else config
        )
        if not isinstance(plain, Mapping) or not all(isinstance(name, str) for name in plain):
            raise InvalidInputError("thinking_config must be a dict of the SDK's fields")
        generation["thinkingConfig"] = {camel(name): value for name, value in plain.items()}
        return
    if wish is None and effort is None:
        return
    if wish is not None and (not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str)):
        raise InvalidInputError(
            f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
        )
    off = (wish or {}).get("type") == "disabled" or (wish is None and effort == "none")
    budget = (wish or {}).get("budget_tokens")
    if _OLD.fullmatch(model):
        if off and "pro" in model:
            raise UnsupportedFeatureError(
                f"{model} always thinks; its least budget is 128 tokens", provider="gemini", model=model
            )
        budget = budget or {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}.get(str(effort), -1)
        generation["thinkingConfig"] = {
            "thinkingBudget": 0 if off else budget,
            **({} if off else {"includeThoughts": True}),
        }
        return
    level = str(effort or "").upper()
    if off:
        level = "LOW"
        warnings.append(warning("thinking", f"{model} cannot stop thinking; it was sent as level LOW"))
    elif isinstance(budget, int):
        level = "LOW" if budget <= 2048 else "MEDIUM" if budget <= 12_000 else "HIGH"
        warnings.append(
            warning("thinking", f"{model} has levels instead of a budget; {budget} tokens were sent as {level}")
        )
    generation["thinkingConfig"] = {
        **({"thinkingLevel": level} if level else {}),
        **({} if off else {"includeThoughts": True}),
    }
