"""
Amazon Bedrock's Converse, ConverseStream and InvokeModel, with the binary event stream and its checksums.

Source: botocore's model of the service and https://docs.aws.amazon.com/bedrock/latest/userguide/,
read 2026-11-22.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from aigc_kit.sandbox import bedrock_invoke, model
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.sigv4 import is_right, signature_of
from aigc_kit.sandbox.state import State

_PATH = re.compile(r"/model/(.+)/(converse|converse-stream|invoke)")
SIGNATURE = "c2FuZGJveA=="
"""The signature of every thought that this model has; it takes no other."""
_GONE = ("anthropic.claude-sonnet-4-20250514-v1:0",)


def handle(request: Request, state: State) -> Answer | None:
    """The response of Bedrock, or None for a path that is not Bedrock's."""
    found = _PATH.fullmatch(request.path)
    if not found:
        return None
    name, operation = found.groups()
    authorization = request.headers.get("authorization", "")
    signature = signature_of(request)
    known = signature is not None and signature.access_key == state.api_key
    if state.api_key and not known and authorization != f"Bearer {state.api_key}":
        return _error(
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    if (
        state.api_key
        and signature is not None
        and not is_right(request, signature, state.secret, twice=True)
    ):
        return _error(
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided."
            " Check your AWS Secret Access Key and signing method.",
        )
    if any(name.endswith(gone) for gone in _GONE):
        return _error(
            404, "ResourceNotFoundException", "This model version has reached the end of its life."
        )
    if re.match(r"anthropic\.claude-(sonnet|opus|haiku)-[45]", name):
        return _error(
            400,
            "ValidationException",
            f"Invocation of model ID {name} with on-demand throughput isn’t supported."
            " Retry your request with the ID or ARN of an inference profile that contains this model.",
        )
    try:
        body = request.json()
    except ValueError:
        body = {}
    if operation == "invoke":
        return _invoked(body, name)
    problem = _problem(body, name)
    if problem:
        return _error(400, "ValidationException", problem)
    completion = state.complete(_prompt(body), request.path)
    headers = {"x-amzn-requestid": "req-1"}
    if operation == "converse":
        return Answer(200, _whole(body, completion), headers)
    return Answer(
        200,
        _events(body, completion),
        {**headers, "content-type": "application/vnd.amazon.eventstream"},
    )


def _invoked(body: dict[str, Any], name: str) -> Answer:
    found = bedrock_invoke.respond(body, name)
    if isinstance(found, str):
        return _error(400, "ValidationException", found)
    made, spent = found
    counted = {"x-amzn-bedrock-input-token-count": str(spent), "x-amzn-requestid": "req-1"}
    return Answer(200, made, counted)


def _problem(body: dict[str, Any], name: str) -> str:
    """What Converse would refuse, in its words, or ``""``."""
    messages = body.get("messages") or []
    if not messages or messages[0]["role"] != "user":
        return (
            "A conversation must start with a user message."
            " Try again with a conversation that starts with a user message."
        )
    return _history_problem(body, name) or _config_problem(body)


def _history_problem(body: dict[str, Any], name: str) -> str:
    messages = body["messages"]
    waiting: list[str] = []
    for place, message in enumerate(messages):
        problem = (
            _turn_problem(messages, place)
            or _results_problem(message["content"], place, waiting, name)
            or _blocks_problem(message["content"], place, name)
        )
        if problem:
            return problem
        waiting = [
            block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block
        ]
    if waiting:
        return "Expected toolResult blocks for every toolUse"
    return _thinking_problem(body, name)


def _turn_problem(messages: list[dict[str, Any]], place: int) -> str:
    if not messages[place].get("content"):
        return f"The content field in the Message object at messages.{place} is empty."
    if place and messages[place]["role"] == messages[place - 1]["role"]:
        return "A conversation must alternate between user and assistant roles."
    return ""


def _results_problem(
    blocks: list[dict[str, Any]], place: int, waiting: list[str], name: str
) -> str:
    """
    Every call of the message before has one result; Llama and Mistral take no other block beside
    results.
    """
    results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    if set(waiting) != set(results) or len(results) != len(set(results)):
        return f"Expected toolResult blocks at messages.{place}.content for the following Ids: {sorted(set(waiting))}"
    if results and len(results) != len(blocks) and re.search("llama|mistral", name):
        return "Conversation blocks and tool result blocks cannot be provided in the same turn."
    return ""


def _blocks_problem(blocks: list[dict[str, Any]], place: int, name: str) -> str:
    reasoned = False
    for at, block in enumerate(blocks):
        if "text" in block and not block["text"].strip():
            return f"The text field in the ContentBlock object at messages.{place}.content.{at} is blank."
        if "reasoningContent" in block:
            thought = block["reasoningContent"].get("reasoningText", {})
            if (at and not reasoned) or thought.get("signature", SIGNATURE) != SIGNATURE:
                return f"messages.{place}.content.{at}: Invalid `signature` in `thinking` block"
            reasoned = True
        if "toolUse" in block and not _is_call(block["toolUse"], name):
            return f"Value at 'messages.{place}.member.content.{at}.member.toolUse' failed to satisfy constraint"
    return ""


def _is_call(use: dict[str, Any], name: str) -> bool:
    pattern = r"[a-zA-Z0-9]{9}" if "mistral" in name else r"[a-zA-Z0-9_.:-]{1,64}"
    return bool(re.fullmatch(pattern, use["toolUseId"])) and isinstance(use["input"], dict)


def _thinking_problem(body: dict[str, Any], name: str) -> str:
    """A Claude that thinks wants its thoughts back with the calls that are answered now."""
    if len(body["messages"]) < 2 or not _thinks(body) or "claude" not in name:
        return ""
    place = len(body["messages"]) - 2
    blocks = body["messages"][place]["content"]
    called = any("toolUse" in block for block in blocks)
    if called and not any("reasoningContent" in block for block in blocks):
        return f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    return ""


def _thinks(body: dict[str, Any]) -> bool:
    fields = body.get("additionalModelRequestFields") or {}
    return fields.get("thinking", {}).get("type") in ("enabled", "adaptive")


def _config_problem(body: dict[str, Any]) -> str:
    called = any("toolUse" in block for message in body["messages"] for block in message["content"])
    if called and not body.get("toolConfig"):
        return (
            "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        )
    if not 0 <= (body.get("inferenceConfig") or {}).get("temperature", 0) <= 1:
        return (
            "Value at 'inferenceConfig.temperature' failed to satisfy constraint: must be at most 1"
        )
    return ""


def _prompt(body: dict[str, Any]) -> model.Prompt:
    messages = body["messages"]
    fields = body.get("additionalModelRequestFields") or {}
    config = body.get("toolConfig") or {}
    tools = [
        (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"])
        for tool in config.get("tools") or ()
    ]
    forced = config.get("toolChoice") or {}
    choice = "any" if "any" in forced else forced.get("tool", {}).get("name", "")
    if fields.get("tool_choice", {}).get("type") == "none":
        choice = "none"
    texts = [
        "".join(block.get("text", "") for block in message["content"])
        for message in messages
        if message["role"] == "user"
    ]
    last = messages[-1]["content"]
    results = [
        part.get("text", "")
        for block in last
        if "toolResult" in block
        for part in block["toolResult"]["content"]
    ]
    wanted = (
        ((body.get("outputConfig") or {}).get("textFormat") or {})
        .get("structure", {})
        .get("jsonSchema", {})
        .get("schema")
    )
    return model.Prompt(
        text=next((text for text in reversed(texts) if text), ""),
        results=results if not texts[-1] else [],
        tools=tools,
        choice=choice,
        schema=json.loads(wanted) if wanted else None,
        system="\n".join(block.get("text", "") for block in body.get("system") or ()),
        turns=len(messages),
        thinks=_thinks(body),
    )


_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "guardrail_intervened",
}


def _usage(body: dict[str, Any], completion: model.Completion) -> dict[str, int]:
    prompt = len(json.dumps(body["messages"])) // 8
    answer = len(completion.content) // 4 + len(completion.reasoning) // 4 + 1
    return {
        "inputTokens": prompt,
        "outputTokens": answer,
        "totalTokens": 2 * prompt + answer,
        "cacheReadInputTokens": prompt,
    }


def _whole(body: dict[str, Any], completion: model.Completion) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    if completion.reasoning:
        blocks.append(
            {
                "reasoningContent": {
                    "reasoningText": {"text": completion.reasoning, "signature": SIGNATURE}
                }
            }
        )
    if completion.content:
        blocks.append({"text": completion.content})
    blocks += [
        {"toolUse": {"toolUseId": mark, "name": name, "input": value}}
        for mark, name, value in completion.calls
    ]
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": _REASONS[completion.reason],
        "usage": _usage(body, completion),
        "metrics": {"latencyMs": 1},
    }


def _events(body: dict[str, Any], completion: model.Completion) -> Iterator[bytes]:
    yield frame("messageStart", {"role": "assistant"})
    block = 0
    if completion.reasoning:
        for word in model.words(completion.reasoning):
            yield frame(
                "contentBlockDelta",
                {"contentBlockIndex": block, "delta": {"reasoningContent": {"text": word}}},
            )
        yield frame(
            "contentBlockDelta",
            {"contentBlockIndex": block, "delta": {"reasoningContent": {"signature": SIGNATURE}}},
        )
        yield frame("contentBlockStop", {"contentBlockIndex": block})
        block += 1
    if completion.content:
        for word in model.words(completion.content):
            yield frame(
                "contentBlockDelta",
                {"contentBlockIndex": block, "delta": {"text": word}, "p": "abcd"},
            )
        yield frame("contentBlockStop", {"contentBlockIndex": block})
        block += 1
    for mark, name, value in completion.calls:
        yield frame(
            "contentBlockStart",
            {"contentBlockIndex": block, "start": {"toolUse": {"toolUseId": mark, "name": name}}},
        )
        text = json.dumps(value)
        for at in range(0, len(text), 7):
            yield frame(
                "contentBlockDelta",
                {"contentBlockIndex": block, "delta": {"toolUse": {"input": text[at : at + 7]}}},
            )
        yield frame("contentBlockStop", {"contentBlockIndex": block})
        block += 1
    yield frame("messageStop", {"stopReason": _REASONS[completion.reason]})
    yield frame("metadata", {"usage": _usage(body, completion), "metrics": {"latencyMs": 1}})


def frame(event: str, payload: dict[str, Any] | bytes, *, kind: str = "event") -> bytes:
    """
    One message of ``vnd.amazon.eventstream``: lengths, headers, payload, and a CRC-32 after each
    half.
    """
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    names = {f":{kind}-type": event, ":content-type": "application/json", ":message-type": kind}
    head = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack("!H", len(value))
        + value.encode()
        for name, value in names.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(body), len(head))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + head + body
    return message + struct.pack("!I", zlib.crc32(message))


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(
        status, {"message": message}, {"x-amzn-errortype": code, "x-amzn-requestid": "req-1"}
    )
