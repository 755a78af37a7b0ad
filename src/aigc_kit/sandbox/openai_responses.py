"""
OpenAI's ``/v1/responses`` with its rules: pairs of reasoning and items, state that is not stored,
and a stream that ends with a terminal event and no ``[DONE]``.

Source: ``openai/types/responses`` of openai 3.54 and the errors quoted in continuedev/continue#8933,
vercel/ai#7543 and langchain-ai/langchain#37777, read 2026-11-25.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from aigc_kit.sandbox import model
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

_PATHS = ("/openai/v1/responses", "/azure/openai/v1/responses")
ENCRYPTED = "gAAA-sandbox"
_UNKNOWN = (
    "messages",
    "stop",
    "seed",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "reasoning_effort",
    "presence_penalty",
    "frequency_penalty",
)


def handle(request: Request, state: State) -> Answer | None:
    """The response to ``POST /v1/responses``, or None for another path."""
    if request.path not in _PATHS:
        return None
    if state.api_key and request.headers.get("authorization") != f"Bearer {state.api_key}":
        return _refused(401, "Incorrect API key provided.", "invalid_api_key")
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return _refused(400, "We could not parse the JSON body of your request.", None)
    problem = _problem(body)
    if problem:
        return _refused(400, problem, None)
    response = _response(body, partial(state.complete, path=request.path))
    if not body.get("stream"):
        return Answer(
            200,
            json.dumps(response, ensure_ascii=False).encode(),
            {"content-type": "application/json", "x-request-id": "req-1"},
        )
    return Answer(
        200, _events(response), {"content-type": "text/event-stream", "x-request-id": "req-1"}
    )


def _refused(status: int, message: str, code: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, {"error": error})


def _problem(body: dict[str, Any]) -> str:
    """What OpenAI would refuse, in its words, or ``""``."""
    for name in _UNKNOWN:
        if name in body:
            return f"Unknown parameter: '{name}'."
    if not body.get("input"):
        return "Missing required parameter: 'input'."
    for tool in body.get("tools") or ():
        if tool["type"] == "function" and not {"name", "parameters", "strict"} <= tool.keys():
            return "Missing required parameter: 'tools[0].name'."
    if isinstance(body["input"], str):
        return ""
    return _history_problem(body["input"]) or _format_problem(body)


def _format_problem(body: dict[str, Any]) -> str:
    wanted = ((body.get("text") or {}).get("format") or {}).get("type")
    if wanted == "json_object" and "json" not in json.dumps(body["input"]).lower():
        return "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    return ""


def _history_problem(items: list[dict[str, Any]]) -> str:
    waiting: set[str] = set()
    for place, item in enumerate(items):
        kind = item.get("type", "message")
        after = items[place + 1] if place + 1 < len(items) else {}
        if kind == "reasoning":
            if "summary" not in item:
                return f"Missing required parameter: 'input[{place}].summary'."
            if item.get("encrypted_content") != ENCRYPTED:
                return f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
            follows = after.get("role") == "assistant" or after.get("type") in (
                "function_call",
                "reasoning",
            )
            if not follows:
                return f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
        if kind == "function_call":
            waiting.add(item["call_id"])
        if kind == "function_call_output":
            if item["call_id"] not in waiting:
                return (
                    f"No tool call found for function call output with call_id {item['call_id']}."
                )
            waiting.discard(item["call_id"])
        if kind == "message" and not _has_right_parts(item):
            return f"Invalid value: 'input[{place}].content'."
    return f"No tool output found for function call {min(waiting)}." if waiting else ""


def _has_right_parts(item: dict[str, Any]) -> bool:
    if isinstance(item["content"], str):
        return True
    legal = {"input_text", "input_image", "input_file"}
    if item["role"] == "assistant":
        legal = {"output_text", "refusal"}
    parts = item["content"]
    images = [part for part in parts if part["type"] == "input_image" and "image_url" in part]
    return {part["type"] for part in parts} <= legal and all(
        isinstance(part["image_url"], str) for part in images
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


def _response(
    body: dict[str, Any], complete: Callable[[model.Prompt], model.Completion]
) -> dict[str, Any]:
    items = body["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    results: list[str] = []
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            break
        results.insert(0, _text(item["output"]))
    wanted = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice")
    effort = (body.get("reasoning") or {}).get("effort")
    named = (
        {"none": "none", "required": "any"}.get(choice or "", "")
        if not isinstance(choice, dict)
        else choice["name"]
    )
    tools = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    done = complete(
        model.Prompt(
            text=_text(
                next((i["content"] for i in reversed(items) if i.get("role") == "user"), "")
            ),
            results=results,
            tools=[(tool["name"], tool["parameters"]) for tool in tools],
            choice=named,
            schema=wanted.get("schema"),
            wants_json=wanted.get("type") == "json_object",
            system="\n".join(
                _text(i["content"]) for i in items if i.get("role") in ("system", "developer")
            ),
            turns=len(items),
            thinks=effort != "none",
        )
    )
    thought, answer = len(done.reasoning) // 4, len(done.content) // 4 + 1
    prompt = len(json.dumps(items)) // 4
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(done.reason)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _output(done),
        "parallel_tool_calls": True,
        "tool_choice": choice or "auto",
        "tools": body.get("tools") or [],
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": prompt // 2, "cache_write_tokens": 0},
            "output_tokens": answer + thought,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": prompt + answer + thought,
        },
    }


def _output(done: model.Completion) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if done.reasoning:
        items.append(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": done.reasoning}],
                "encrypted_content": ENCRYPTED,
            }
        )
    if done.content:
        phase = "commentary" if done.calls else "final_answer"
        part = {"type": "output_text", "text": done.content, "annotations": []}
        items.append(
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [part],
                "phase": phase,
            }
        )
    for at, (mark, name, value) in enumerate(done.calls):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{at}",
                "call_id": mark,
                "name": name,
                "arguments": json.dumps(value, ensure_ascii=False),
                "status": "completed",
            }
        )
    return items


def _events(response: dict[str, Any]) -> Iterator[bytes]:
    number = -1

    def event(kind: str, **data: Any) -> bytes:
        nonlocal number
        number += 1
        body = json.dumps({"type": kind, "sequence_number": number, **data}, ensure_ascii=False)
        return f"event: {kind}\ndata: {body}\n\n".encode()

    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for at, item in enumerate(response["output"]):
        empty: dict[str, Any] = (
            {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        )
        yield event("response.output_item.added", output_index=at, item={**item, **empty})
        for kind, data in _inside(item):
            yield event(kind, item_id=item["id"], output_index=at, **data)
        yield event("response.output_item.done", output_index=at, item=item)
    yield event(f"response.{response['status']}", response=response)


def _inside(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    The events between the beginning and the end of an item. Source: openai 3.57
    types/responses/response_stream_event.py, read 2026-11-27.
    """
    if item["type"] == "function_call":
        yield from _texts(
            "response.function_call_arguments", {}, "arguments", _cut(item["arguments"])
        )
        return
    if item["type"] == "reasoning":
        part, where, name = item["summary"][0], {"summary_index": 0}, "reasoning_summary"
        begun, text = f"response.{name}_part", f"response.{name}_text"
    else:
        part, where = item["content"][0], {"content_index": 0}
        begun, text = "response.content_part", "response.output_text"
    yield f"{begun}.added", {**where, "part": {**part, "text": ""}}
    yield from _texts(text, where, "text", model.words(part["text"]))
    yield f"{begun}.done", {**where, "part": part}


def _texts(
    kind: str, where: dict[str, Any], name: str, pieces: Iterable[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    whole = ""
    more: dict[str, Any] = {"logprobs": []} if kind == "response.output_text" else {}
    for piece in pieces:
        whole += piece
        yield f"{kind}.delta", {**where, "delta": piece, **more}
    yield f"{kind}.done", {**where, name: whole, **more}


def _cut(text: str) -> Iterator[str]:
    return (text[at : at + 7] for at in range(0, len(text), 7))
