"""
``chat/completions`` as the vendors speak it, each with its rules, its words of refusal and its way
to stream.

Source: the vendors' API references and published probes, read 2026-11-22.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aigc_kit.sandbox import model
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State


@dataclass(frozen=True)
class _Vendor:
    """
    ``thinks``: reasons before it answers. ``wants_reasoning``: demands ``reasoning_content`` back
    on ``"every"`` assistant turn of a conversation with tools, or on its ``"calls"``. ``pieces``:
    how calls are cut when streamed. ``lists``: whether there is a list of models, ``models``: what
    it has. ``known``: a pattern of the models that it serves, ``gone``: of those that it served. ``always_usage``: a
    stream ends with it unasked.
    """

    prefix: str
    thinks: bool = False
    wants_reasoning: str = ""
    wants_word: bool = False
    has_schema: bool = True
    pieces: str = "split"
    comment: bool = False
    always_usage: bool = False
    lists: bool = True
    models: tuple[str, ...] = ()
    known: str = ".*"
    gone: str = ""


_VENDORS = {
    "openai": _Vendor(
        "/openai/v1",
        wants_word=True,
        models=("gpt-6-luna", "gpt-6-sol"),
        known=r"(ft:)?(gpt|o\d|chatgpt|codex)[-\w.:]*",
        gone=r"gpt-(3\.5|4-turbo|4\.1-nano).*|o1.*|o[34]-mini.*",
    ),
    "deepseek": _Vendor(
        "/deepseek",
        True,
        "every",
        True,
        False,
        "split",
        comment=True,
        models=("deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"),
        known=r"deepseek-[-\w.]+",
        gone=r"deepseek-(chat|reasoner)",
    ),
    "glm": _Vendor(
        "/api/paas/v4",
        True,
        has_schema=False,
        pieces="whole",
        lists=False,
        known=r"(glm|chatglm|charglm|codegeex|autoglm)[-\w.]+",
    ),
    "volcengine": _Vendor(
        "/api/v3", True, lists=False, known=r"(doubao|ep|bot|deepseek|kimi|glm|qwen|seed)[-\w.]+"
    ),
    "moonshot": _Vendor(
        "/moonshot/v1",
        True,
        "calls",
        pieces="no index",
        models=("kimi-k3", "kimi-k2.6"),
        known=r"(kimi|moonshot)-[-\w.]+",
        gone=r"kimi-k2\.5.*|moonshot-v1-.*",
    ),
    "dashscope": _Vendor(
        "/compatible-mode/v1",
        wants_word=True,
        pieces="late id",
        lists=False,
        known=r"(qwen|qwq|qvq|deepseek|kimi|glm|llama|tongyi|farui)[-\w.]*",
    ),
    # Those that serve any model, with what tells them apart.
    "siliconflow": _Vendor("/siliconflow/v1", has_schema=False),
    "openrouter": _Vendor("/openrouter/v1", comment=True),
    "xai": _Vendor("/xai/v1", known=r"grok-[-\w.]+"),
    "azure": _Vendor("/azure/openai/v1"),
    "ollama": _Vendor("/ollama/v1", pieces="whole"),
    "vllm": _Vendor("/vllm/v1"),
    "lmstudio": _Vendor("/lmstudio/v1", pieces="whole"),
    "minimax": _Vendor("/minimax/v1", has_schema=False),
    "hunyuan": _Vendor("/hunyuan/v1"),
    "qianfan": _Vendor("/qianfan/v2", pieces="whole"),
    "stepfun": _Vendor("/stepfun/v1"),
    "mistral": _Vendor(
        "/mistral/v1",
        pieces="whole",
        always_usage=True,
        known=r"(ministral|mistral|magistral|codestral|pixtral|devstral|voxtral|open)[-\w.]*",
    ),
    "groq": _Vendor("/groq/openai/v1", has_schema=False, pieces="whole"),
    "together": _Vendor("/together/v1"),
    "modelscope": _Vendor("/modelscope/v1", has_schema=False, pieces="no index"),
    "openai_compat": _Vendor("/local/v1", pieces="repeated id", models=("local-model",)),
}
_KEY = "/openrouter/v1/key"
_WITHOUT_KEY = frozenset({"openai_compat", "ollama", "vllm", "lmstudio"})


def base_url(vendor: str, root: str) -> str:
    return root + _VENDORS[vendor].prefix


def handle(request: Request, state: State) -> Answer | None:
    """The response of the vendor whose path it is, or None."""
    listed = _list(request, state)
    if listed is not None:
        return listed
    name = next(
        (n for n, v in _VENDORS.items() if request.path == f"{v.prefix}/chat/completions"), None
    )
    if name is None:
        return None
    vendor = _VENDORS[name]
    if (
        name not in _WITHOUT_KEY
        and state.api_key
        and request.headers.get("authorization") != f"Bearer {state.api_key}"
    ):
        return _refused(name, 401, "Incorrect API key provided.", "invalid_api_key", glm="1001")
    try:
        body = request.json()
    except ValueError:
        body = None
    if (
        not isinstance(body, dict)
        or not isinstance(body.get("messages"), list)
        or not body["messages"]
    ):
        return _refused(name, 400, "'messages' is required.", "invalid_request_error", glm="1214")
    unknown = _unknown(str(body.get("model") or ""), name, vendor)
    if unknown is not None:
        return unknown
    problem = _problem(body, name, vendor)
    if problem:
        return _refused(name, 400, problem, "invalid_request_error", glm="1210")
    completion = state.complete(_prompt(body, vendor), request.path)
    if not body.get("stream"):
        raw = json.dumps(_whole(body, completion), ensure_ascii=False).encode()
        return Answer(
            200,
            (b"\n\n" if vendor.comment else b"") + raw,
            {"content-type": "application/json", "x-request-id": "req-1"},
        )
    return Answer(
        200,
        _events(body, completion, vendor),
        {"content-type": "text/event-stream", "x-request-id": "req-1"},
    )


def _list(request: Request, state: State) -> Answer | None:
    """
    ``GET /models``, and OpenRouter's ``GET /key``.

    Source: https://platform.openai.com/docs/api-reference/models/list and
    https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key, read 2026-11-26.
    """
    paths = {f"{v.prefix}/models": n for n, v in _VENDORS.items() if v.lists}
    name = {**paths, _KEY: "openrouter"}.get(request.path)
    if name is None or request.method != "GET":
        return None
    vendor = _VENDORS[name]
    key = request.headers.get("authorization")
    if name not in _WITHOUT_KEY and state.api_key and key != f"Bearer {state.api_key}":
        return _refused(name, 401, "Incorrect API key provided.", "invalid_api_key", glm="1001")
    if request.path == _KEY:
        return Answer(200, {"data": {"label": "sandbox", "limit": None, "usage": 0}})
    entries = [{"id": model, "object": "model", "owned_by": name} for model in vendor.models]
    return Answer(200, {"object": "list", "data": entries})


def _refused(name: str, status: int, message: str, code: str, *, glm: str) -> Answer:
    if name == "glm":
        return Answer(status, {"error": {"code": glm, "message": message}})
    if name == "volcengine":
        code = "AuthenticationError" if status == 401 else "InvalidParameter"
    return Answer(
        status,
        {
            "error": {
                "message": message,
                "type": "invalid_request_error",
                "param": None,
                "code": code,
            }
        },
    )


def _unknown(model: str, name: str, vendor: _Vendor) -> Answer | None:
    """The refusal of a model that the vendor does not serve, or no longer; None where it does."""
    if re.fullmatch(vendor.known, model) and not re.fullmatch(vendor.gone, model):
        return None
    if name == "deepseek":
        return _refused(name, 400, "Model Not Exist", "invalid_request_error", glm="")
    if name == "volcengine":
        message = f"The model or endpoint {model} does not exist or you do not have access to it."
        code = "InvalidEndpointOrModel.NotFound"
        return Answer(404, {"error": {"code": code, "message": message, "type": "NotFound"}})
    if name == "moonshot":
        message = f"Not found the model {model} or Permission denied"
        return Answer(404, {"error": {"message": message, "type": "resource_not_found_error"}})
    was = re.fullmatch(vendor.gone, model) is not None
    message = f"The model `{model}` " + (
        "has been deprecated" if was else "does not exist or you do not have access to it."
    )
    return _refused(name, 400 if name == "glm" else 404, message, "model_not_found", glm="1211")


def _problem(body: dict[str, Any], name: str, vendor: _Vendor) -> str:
    """What the vendor would refuse, in its words, or ``""``."""
    if body.get("tools") == []:
        return "[] is too short - 'tools'"
    problem = _history_problem(
        body["messages"], bool(body.get("tools")), vendor
    ) or _format_problem(body, vendor)
    if problem:
        return problem
    own = _OWN_RULES.get(name)
    return own(body) if own else ""


def _format_problem(body: dict[str, Any], vendor: _Vendor) -> str:
    wanted = (body.get("response_format") or {}).get("type")
    if wanted == "json_schema" and not vendor.has_schema:
        return "This response_format type is unavailable now"
    messages = json.dumps(body["messages"], ensure_ascii=False).lower()
    if wanted == "json_object" and vendor.wants_word and "json" not in messages:
        return "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    return ""


def _deepseek_problem(body: dict[str, Any]) -> str:
    thinking = (body.get("thinking") or {}).get("type", "enabled")
    if thinking == "enabled" and body.get("tool_choice") not in (None, "auto", "none"):
        return "Thinking mode does not support this tool_choice"
    return ""


def _glm_problem(body: dict[str, Any]) -> str:
    if body.get("tool_choice") not in (None, "auto"):
        return "tool_choice only supports auto"
    if any(not 0 < body.get(field, 0.5) < 1 for field in ("temperature", "top_p")):
        return "temperature must be in (0,1)"
    return ""


def _moonshot_problem(body: dict[str, Any]) -> str:
    if body.get("temperature", 1) != 1 or body.get("top_p", 1) != 1:
        return "invalid temperature: only 1 is allowed for this model"
    return ""


def _volcengine_problem(body: dict[str, Any]) -> str:
    if "max_tokens" in body and "max_completion_tokens" in body:
        return "max_tokens and max_completion_tokens cannot be set at the same time"
    return ""


def _history_problem(messages: list[Any], tools: bool, vendor: _Vendor) -> str:
    with_tools = tools or any(message.get("tool_calls") for message in messages)
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            return "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] != "assistant" or not with_tools:
            continue
        demanded = vendor.wants_reasoning == "every" or (
            vendor.wants_reasoning == "calls" and message.get("tool_calls")
        )
        if demanded and "reasoning_content" not in message:
            return "The `reasoning_content` in the thinking mode must be passed back to the API."
    return "insufficient tool messages following tool_calls message" if waiting else ""


def _openai_problem(body: dict[str, Any]) -> str:
    if any(
        "reasoning_content" in message or "thinking_blocks" in message
        for message in body["messages"]
    ):
        return "Unknown parameter: 'messages[1].reasoning_content'."
    model = str(body.get("model", ""))
    if not re.match(r"gpt-[56]|o\d", model):
        return ""
    if "max_tokens" in body:
        return "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    effort = body.get("reasoning_effort")
    if effort != "none" and body.get("temperature", 1) != 1:
        return "Unsupported value: 'temperature' does not support this value with this model."
    if effort != "none" and body.get("tools") and model.startswith("gpt-6"):
        return f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions."
    return ""


def _mistral_problem(body: dict[str, Any]) -> str:
    """litellm 1.110.2 llms/mistral, read 2026-11-25."""
    for name in ("stream_options", "logprobs", "max_completion_tokens", "seed"):
        if name in body:
            return f"Extra inputs are not permitted: {name}"
    turns = body["messages"]
    for before, after in pairwise(turns):
        if before["role"] == "tool" and after["role"] not in ("tool", "assistant"):
            return f"Unexpected role '{after['role']}' after role 'tool'"
    if any("name" in turn for turn in turns if turn["role"] != "tool"):
        return "Extra inputs are not permitted: name"
    last = turns[-1]
    if last["role"] == "assistant" and not last.get("prefix"):
        return "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
    for message in body["messages"]:
        marks = [call["id"] for call in message.get("tool_calls") or ()]
        marks += [message["tool_call_id"]] if "tool_call_id" in message else []
        if any(not re.fullmatch(r"[a-zA-Z0-9]{9}", mark) for mark in marks):
            return "Tool call id must be a-z, A-Z, 0-9, with a length of 9."
    return ""


def _groq_problem(body: dict[str, Any]) -> str:
    if (body.get("response_format") or {}).get("type") and (
        body.get("tools") or body.get("stream")
    ):
        return "json mode cannot be combined with tool/function calling or streaming"
    return ""


def _vllm_problem(body: dict[str, Any]) -> str:
    """https://github.com/pydantic/pydantic-ai/issues/5812, read 2026-11-25."""
    if any(turn["role"] == "system" for turn in body["messages"][1:]):
        return "System message must be at the beginning."
    return ""


def _lmstudio_problem(body: dict[str, Any]) -> str:
    if (body.get("response_format") or {}).get("type") == "json_object":
        return "'response_format.type' must be 'json_schema' or 'text'"
    return ""


def _xai_problem(body: dict[str, Any]) -> str:
    reasons = re.match(r"grok-(3-mini|4|5|code)(?!.*non-reasoning)", body["model"])
    for tool in body.get("tools") or ():
        if "strict" in tool["function"]:
            return "Argument not supported: strict"
    for name in ("stop", "presence_penalty", "frequency_penalty"):
        if reasons and name in body:
            return f"Argument not supported on this model: {name}"
    return ""


def _minimax_problem(body: dict[str, Any]) -> str:
    if body.get("tool_choice") not in (None, "auto", "none"):
        return "invalid params, tool_choice"
    return ""


def _ollama_problem(body: dict[str, Any]) -> str:
    if '"url": "http' in json.dumps(body["messages"]):
        return "invalid image input"
    return ""


_OWN_RULES: dict[str, Callable[[dict[str, Any]], str]] = {
    "deepseek": _deepseek_problem,
    "glm": _glm_problem,
    "moonshot": _moonshot_problem,
    "volcengine": _volcengine_problem,
    "openai": _openai_problem,
    "mistral": _mistral_problem,
    "groq": _groq_problem,
    "xai": _xai_problem,
    "minimax": _minimax_problem,
    "ollama": _ollama_problem,
    "vllm": _vllm_problem,
    "lmstudio": _lmstudio_problem,
}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or () if isinstance(part, dict))


def _prompt(body: dict[str, Any], vendor: _Vendor) -> model.Prompt:
    messages = body["messages"]
    wanted = body.get("response_format") or {}
    choice = body.get("tool_choice")
    tools = [tool["function"] for tool in body.get("tools") or () if "function" in tool]
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, _text(message.get("content")))
    return model.Prompt(
        text=_text(next((m.get("content") for m in reversed(messages) if m["role"] == "user"), "")),
        results=results,
        tools=[(tool["name"], tool.get("parameters")) for tool in tools],
        choice=choice["function"]["name"]
        if isinstance(choice, dict)
        else {"none": "none", "required": "any"}.get(choice or "", ""),
        schema=wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None,
        wants_json=wanted.get("type") == "json_object",
        system="\n".join(_text(m.get("content")) for m in messages if m["role"] == "system"),
        turns=len(messages),
        thinks=vendor.thinks and (body.get("thinking") or {}).get("type", "enabled") != "disabled",
    )


def _usage(body: dict[str, Any], completion: model.Completion) -> dict[str, Any]:
    prompt = len(json.dumps(body["messages"])) // 4
    answer = len(completion.content) // 4 + 1
    thought = len(completion.reasoning) // 4
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer + thought,
        "total_tokens": prompt + answer + thought,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _whole(body: dict[str, Any], completion: model.Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.content or None}
    if completion.reasoning:
        message["reasoning_content"] = completion.reasoning
    if completion.calls:
        message["tool_calls"] = [
            {
                "id": mark,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(value, ensure_ascii=False)},
            }
            for mark, name, value in completion.calls
        ]
    choice = {"message": message, "finish_reason": completion.reason}
    several = body.get("n") or 1
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": index, **choice} for index in range(several)],
        "usage": _usage(body, completion),
    }


def _events(body: dict[str, Any], completion: model.Completion, vendor: _Vendor) -> Iterator[bytes]:
    def event(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
        data = {
            "id": "chat-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            **more,
        }
        return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"

    if vendor.comment:
        yield b": keep-alive\n\n"
    yield event({"role": "assistant", "content": ""})
    for word in re.findall(r"\S+\s*", completion.reasoning):
        yield event({"reasoning_content": word})
    for word in re.findall(r"\S+\s*|\s+", completion.content):
        yield event({"content": word})
    for index, call in enumerate(completion.calls):
        mark, name, value = call
        for piece in _cut(index, mark, name, json.dumps(value, ensure_ascii=False), vendor.pieces):
            yield event({"tool_calls": [piece]})
    yield event({}, completion.reason)
    if (body.get("stream_options") or {}).get("include_usage") or vendor.always_usage:
        yield event(None, usage=_usage(body, completion))
    yield b"data: [DONE]\n\n"


def _cut(index: int, mark: str, name: str, arguments: str, how: str) -> Iterator[dict[str, Any]]:
    """A call in the pieces that different vendors make of it."""
    if how == "whole":
        yield {
            "index": index,
            "id": mark,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        return
    if how == "late id":
        yield {"index": index, "function": {"name": name, "arguments": ""}}
    else:
        yield {
            "index": index,
            "id": mark,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
    for at in range(0, len(arguments), 7):
        piece: dict[str, Any] = {"index": index, "function": {"arguments": arguments[at : at + 7]}}
        if how == "no index":
            del piece["index"]
        if how == "repeated id" or (how == "late id" and at == 0):
            piece["id"] = mark
        yield piece
