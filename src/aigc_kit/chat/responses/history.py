"""
Chat messages as input items, and the way back to the items that a turn was made from. Pure.

A turn keeps its reasoning items verbatim in ``message["reasoning_items"]``, and their place among
its text and its calls in ``message["extra_content"]["aigc_kit"]["output"]``. They go back to the
back end and model that made them: ``encrypted_content`` is bound to both. Source:
``openai/types/responses`` of openai 3.54, pydantic-ai-slim 2.68, langchain-ai/langchain#39278, read
2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aigc_kit.chat.messages import arguments_object, arguments_text, plain_json
from aigc_kit.chat.parts import image_url, text_of
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.errors import InvalidInputError

FIELD = "reasoning_items"


def marked(
    origin: str, model: str, output: list[dict[str, Any]], reasoning: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a turn's message keeps of the items that it was made from."""
    if not reasoning and not any(entry.get("phase") for entry in output):
        return {}
    mark = {"origin": origin, "model": model, "fields": [FIELD], "output": output}
    extra = {"extra_content": {"aigc_kit": mark}}
    return {FIELD: reasoning, **extra} if reasoning else extra


def items_of(
    turn: Mapping[str, Any], names: ToolNames, *, origin: str, model: str, keeps_ids: bool
) -> list[dict[str, Any]]:
    """The input items of one turn."""
    role = turn["role"]
    if role == "tool":
        output = _output(turn.get("content"))
        return [{"type": "function_call_output", "call_id": turn["tool_call_id"], "output": output}]
    if role != "assistant":
        return [{"type": "message", "role": role, "content": _content(turn.get("content"))}]
    own = _own_items(turn, names, origin=origin, model=model, keeps_ids=keeps_ids)
    return own if own is not None else list(_plain_items(turn, names))


def _plain_items(turn: Mapping[str, Any], names: ToolNames) -> Iterator[dict[str, Any]]:
    """The items of a turn that came from elsewhere."""
    text, refusal = text_of(turn.get("content")), turn.get("refusal")
    if text or refusal:
        yield _message(text, refusal)
    for call in turn.get("tool_calls") or ():
        yield _call(call, names)


def _own_items(
    turn: Mapping[str, Any], names: ToolNames, *, origin: str, model: str, keeps_ids: bool
) -> list[dict[str, Any]] | None:
    """The items in the order in which this back end made them; None when it did not, or when the turn was edited."""
    extra = turn.get("extra_content")
    mark = extra.get("aigc_kit") if isinstance(extra, Mapping) else None
    if not isinstance(mark, Mapping) or (mark.get("origin"), mark.get("model")) != (origin, model):
        return None
    output, text = mark.get("output"), text_of(turn.get("content"))
    if not isinstance(output, list) or not all(isinstance(entry, Mapping) for entry in output):
        return None
    calls = list(turn.get("tool_calls") or ())
    kept = turn.get(FIELD)
    reasoning = list(kept) if isinstance(kept, list) else []
    if not _is_untouched(output, text, calls, reasoning):
        return None
    made: list[dict[str, Any]] = []
    at = 0
    for entry in output:
        kind = entry.get("type")
        if kind == "reasoning":
            item = _reasoning(reasoning.pop(0), keeps_ids=keeps_ids)
            made += [item] if item else []
        elif kind == "function_call":
            made.append(_call(calls.pop(0), names))
        else:
            end = at + entry["chars"]
            made.append(_message(text[at:end], entry.get("refusal"), entry.get("phase")))
            at = end
    return _paired(made)


def _is_untouched(output: list[Any], text: str, calls: list[Any], reasoning: list[Any]) -> bool:
    """Whether the turn still has the text, the calls and the reasoning that it came with."""
    counts = {
        kind: sum(entry.get("type") == kind for entry in output)
        for kind in ("reasoning", "function_call", "message")
    }
    messages = [entry for entry in output if entry.get("type") == "message"]
    if not all(type(entry.get("chars")) is int and entry["chars"] >= 0 for entry in messages):
        return False
    return (
        sum(counts.values()) == len(output)
        and counts["reasoning"] == len(reasoning)
        and counts["function_call"] == len(calls)
        and sum(entry["chars"] for entry in messages) == len(text)
        and all(isinstance(item, Mapping) for item in reasoning)
    )


def _reasoning(item: Mapping[str, Any], *, keeps_ids: bool) -> dict[str, Any] | None:
    """
    A reasoning item as it goes back; None without ``encrypted_content``: nothing is stored, so the
    id alone is a 404 (vercel/ai#7543). ``status`` and ``content`` are refused by Azure (litellm's
    azure transformation), a missing ``summary`` by OpenAI.
    """
    if not item.get("encrypted_content"):
        return None
    left_out = ("status", "content") if keeps_ids else ("status", "content", "id")
    kept = {name: value for name, value in item.items() if name not in left_out}
    return {**kept, "type": "reasoning", "summary": item.get("summary") or []}


def _paired(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Reasoning at the very end led to nothing that can be sent: "provided without its required
    following item" (continuedev/continue#8933).
    """
    while items and items[-1]["type"] == "reasoning":
        items.pop()
    return items


def _message(text: str, refusal: Any = None, phase: Any = None) -> dict[str, Any]:
    """An assistant's message. No id: it would bind the message to its reasoning."""
    content = [{"type": "output_text", "text": text}] if text or not refusal else []
    if isinstance(refusal, str) and refusal:
        content.append({"type": "refusal", "refusal": refusal})
    made: dict[str, Any] = {"type": "message", "role": "assistant", "content": content}
    if phase:
        made["phase"] = phase
    return made


def _call(call: Mapping[str, Any], names: ToolNames) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    if not isinstance(arguments, str) or not isinstance(plain_json(arguments), dict):
        arguments = arguments_text(arguments_object(arguments))
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": names.sent(function["name"]),
        "arguments": arguments,
    }


def _output(content: Any) -> Any:
    """A tool's result: text, or parts, which may be images."""
    if isinstance(content, str) or content is None:
        return content or ""
    if all(part["type"] == "text" for part in content):
        return text_of(content)
    return [_part(part) for part in content]


def _content(content: Any) -> Any:
    if isinstance(content, str) or content is None:
        return content or ""
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """
    Raises:
        InvalidInputError: the Responses API has no part of this type.
    """
    kind = part["type"]
    if kind == "text":
        return {"type": "input_text", "text": part["text"]}
    if kind == "image_url":
        holder = part["image_url"]
        detail = holder.get("detail") if isinstance(holder, Mapping) else None
        return {"type": "input_image", "image_url": image_url(part), "detail": detail or "auto"}
    if kind == "file":
        names = ("file_data", "filename", "file_id", "file_url")
        file = {name: part["file"][name] for name in names if part["file"].get(name)}
        if "file_data" in file:
            file.setdefault("filename", "file.pdf")
        return {"type": "input_file", **file}
    if kind.startswith("input_") and kind != "input_audio":
        return dict(part)
    raise InvalidInputError(
        f"the Responses API takes no {kind!r} parts, only text, images and files; use api='chat'"
    )
