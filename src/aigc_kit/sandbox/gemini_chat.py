"""
Gemini's chat on ``generateContent`` and ``streamGenerateContent``: roles, calls and results,
signatures.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures and .../function-calling, read
2026-11-22.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from aigc_kit.sandbox import model
from aigc_kit.sandbox.http import Answer

SIGNATURE = "c2FuZGJveC1nZW1pbmk="
SKIP = "skip_thought_signature_validator"
_REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def problem_of(body: dict[str, Any], name: str) -> str:
    """What Gemini would refuse, in its words, or ``""``."""
    contents = body.get("contents") or []
    if not contents:
        return "contents is not specified"
    generation = body.get("generationConfig") or {}
    old = name.startswith(("gemini-1", "gemini-2"))
    if old and body.get("tools") and generation.get("responseMimeType"):
        return "Function calling with a response mime type: 'application/json' is unsupported"
    turn = max(
        (
            at
            for at, content in enumerate(contents)
            if content.get("role") == "user"
            and any("functionResponse" not in part for part in content.get("parts") or ())
        ),
        default=0,
    )
    calls: list[str] = []
    for place, content in enumerate(contents):
        parts = content.get("parts") or []
        if content.get("role") not in ("user", "model"):
            return "Please use a valid role: user, model."
        if not parts or any(
            not part or (part.get("text") == "" and "thoughtSignature" not in part)
            for part in parts
        ):
            return "Unable to submit request because it must have a text parameter. required oneof field 'data' must be set"
        answers = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
        if answers != calls or (answers and len(answers) != len(parts)):
            return (
                "Please ensure that the number of function response parts is equal to the number of function call parts of"
                " the function call turn."
            )
        calls = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        first = next((part for part in parts if "functionCall" in part), None)
        if (
            first is not None
            and not old
            and place >= turn
            and first.get("thoughtSignature") not in (SIGNATURE, SKIP)
        ):
            return f"function call `default_api:{calls[0]}` in the {place}. content block is missing a `thought_signature`."
    return (
        "Please ensure that function call turn comes before a function response turn."
        if calls
        else ""
    )


def respond(
    body: dict[str, Any],
    name: str,
    complete: Callable[[model.Prompt], model.Completion],
    *,
    stream: bool,
) -> Answer:
    """A whole ``GenerateContentResponse``, or one for each piece."""
    completion = complete(_prompt(body))
    if completion.reason == "content_filter":
        feedback = {"blockReason": "PROHIBITED_CONTENT"}
        blocked = {
            "promptFeedback": feedback,
            "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
            "modelVersion": name,
        }
        return Answer(200, [_event(blocked)] if stream else blocked)
    signed = not name.startswith(("gemini-1", "gemini-2"))
    if not stream:
        parts = [
            part
            for piece in _pieces(completion, signed, [completion.reasoning], [completion.content])
            for part in piece
        ]
        parts += _trailing(completion, signed)
        return Answer(200, _response(parts, _REASONS[completion.reason], body, completion, name))
    return Answer(200, _stream(body, completion, name, signed))


def _prompt(body: dict[str, Any]) -> model.Prompt:
    contents = body["contents"]
    generation = body.get("generationConfig") or {}
    tools = [
        (tool["name"], tool.get("parametersJsonSchema") or tool.get("parameters"))
        for group in body.get("tools") or ()
        for tool in group.get("functionDeclarations") or ()
    ]
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    named = config.get("allowedFunctionNames") or [""]
    choice = {"NONE": "none", "ANY": named[0] or "any"}.get(config.get("mode", "AUTO"), "")
    texts = [
        "".join(part.get("text", "") for part in content["parts"])
        for content in contents
        if content["role"] == "user"
    ]
    results = [
        part["functionResponse"]["response"]
        for part in contents[-1]["parts"]
        if "functionResponse" in part
    ]
    shown = [
        value["output"] if set(value) == {"output"} else json.dumps(value, ensure_ascii=False)
        for value in results
    ]
    system = "\n".join(
        part.get("text", "") for part in (body.get("systemInstruction") or {}).get("parts") or ()
    )
    return model.Prompt(
        text=next((text for text in reversed(texts) if text), ""),
        results=shown,
        tools=tools,
        choice=choice,
        schema=generation.get("responseJsonSchema")
        or _in_lower_case(generation.get("responseSchema")),
        wants_json=generation.get("responseMimeType") == "application/json",
        system=system,
        turns=len(contents),
        thinks=bool((generation.get("thinkingConfig") or {}).get("includeThoughts")),
    )


def _in_lower_case(schema: Any) -> Any:
    """Gemini's own form of a schema, whose types are ``OBJECT`` and ``STRING``."""
    if isinstance(schema, list):
        return [_in_lower_case(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _in_lower_case(each) for name, each in schema.items()}
    if isinstance(schema.get("type"), str):
        made["type"] = schema["type"].lower()
    return made


def _pieces(
    completion: model.Completion, signed: bool, thoughts: list[str], words: list[str]
) -> Iterator[list[dict[str, Any]]]:
    for thought in thoughts:
        if thought:
            yield [{"text": thought, "thought": True}]
    for word in words:
        if word:
            yield [{"text": word}]
    for at, (_, name, value) in enumerate(completion.calls):
        part: dict[str, Any] = {"functionCall": {"name": name, "args": value}}
        if at == 0 and signed:
            part["thoughtSignature"] = SIGNATURE
        yield [part]


def _trailing(completion: model.Completion, signed: bool) -> list[dict[str, Any]]:
    return [{"text": "", "thoughtSignature": SIGNATURE}] if signed and not completion.calls else []


def _stream(
    body: dict[str, Any], completion: model.Completion, name: str, signed: bool
) -> Iterator[bytes]:
    for parts in _pieces(
        completion, signed, model.words(completion.reasoning), model.words(completion.content)
    ):
        yield _event(_response(parts, "", body, completion, name))
    yield _event(
        _response(
            _trailing(completion, signed), _REASONS[completion.reason], body, completion, name
        )
    )


def _response(
    parts: list[dict[str, Any]],
    reason: str,
    body: dict[str, Any],
    completion: model.Completion,
    name: str,
) -> dict[str, Any]:
    prompt = len(json.dumps(body["contents"])) // 4
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": prompt // 2,
        "candidatesTokenCount": len(completion.content) // 4 + 1,
        "thoughtsTokenCount": len(completion.reasoning) // 4,
    }
    usage["totalTokenCount"] = prompt + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    candidate: dict[str, Any] = (
        {"content": {"role": "model", "parts": parts}} if parts else {"content": {}}
    )
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": name,
        "responseId": "resp-1",
    }


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"
