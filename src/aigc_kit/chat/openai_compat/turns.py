"""A history as chat/completions takes it, with every quirk of those who speak it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aigc_kit.chat.messages import (
    arguments_object,
    arguments_text,
    plain_json,
)
from aigc_kit.chat.openai_compat.draft import Draft
from aigc_kit.chat.openai_compat.origin import (
    PLACED,
    call_fields,
    mark_of,
    own_fields,
    own_reasoning,
    reasoning_field,
)
from aigc_kit.chat.parts import hoisted, image_url, text_of, with_refusal
from aigc_kit.chat.vendors import Vendor
from aigc_kit.transport.encoding import sha256_of

_CONTINUE = "(continue)"


def to_messages(
    request: Draft, turns: list[dict[str, Any]], *, with_tools: bool, fetch: Callable[[str], str]
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
    if request.vendor.one_system:
        messages = _with_one_system(request, messages)
    if request.vendor.ends_tools:
        messages = _with_ends_of_tools(request, messages)
    if request.vendor.call_id:
        messages = _with_short_ids(messages, re.compile(request.vendor.call_id))
    last = messages[-1] if messages else {}
    if (
        last.get("role") == "assistant"
        and not last.get("tool_calls")
        and not last.get("prefix")
        and request.fits(request.vendor.no_prefill)
    ):
        messages.append({"role": "user", "content": _CONTINUE})
        request.warn(
            "messages",
            f"{request.call.model} refuses a history that ends with the assistant; a user turn was added",
        )
    return messages


def _with_one_system(request: Draft, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All system messages as one at the front."""
    places = [place for place, each in enumerate(messages) if each["role"] == "system"]
    if places in ([], [0]):
        return messages
    if places != list(range(len(places))):
        request.warn(
            "messages",
            f"{request.vendor.name} takes one system message: later ones went to the front",
        )
    texts = [text_of(messages[place].get("content")) for place in places]
    rest = [each for each in messages if each["role"] != "system"]
    return [{"role": "system", "content": "\n\n".join(filter(None, texts))}, *rest]


def _with_ends_of_tools(request: Draft, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An assistant turn between the results of tools and the next question."""
    made: list[dict[str, Any]] = []
    for message in messages:
        if made and made[-1]["role"] == "tool" and message["role"] not in ("tool", "assistant"):
            made.append({"role": "assistant", "content": _CONTINUE})
            request.warn(
                "messages",
                f"{request.vendor.name} wants an assistant turn behind the results of tools; one was added",
            )
        made.append(message)
    return made


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
    request: Draft, turn: dict[str, Any], *, with_tools: bool, fetch: Callable[[str], str]
) -> dict[str, Any]:
    vendor, role = request.vendor, turn["role"]
    if turn.get("refusal") and not _has_refusals(vendor):
        turn = {**with_refusal(turn), "refusal": None}
    message: dict[str, Any] = {"role": role}
    if role == "developer" and not vendor.keeps_developer:
        message["role"] = "system"
    if turn.get("content") is not None:
        message["content"] = _content(request, turn["content"], fetch)
    for name in ("name", "tool_call_id", "refusal"):
        if not vendor.names and (name == "refusal" or (name == "name" and role != "tool")):
            continue
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
    request: Draft, turn: dict[str, Any], message: dict[str, Any], *, with_tools: bool
) -> None:
    vendor = request.vendor
    message.setdefault("content", "")
    if not message["content"] and "audio" not in message:
        message["content"] = _transcript(turn)
    if turn.get("tool_calls"):
        message["tool_calls"] = [_to_call(request, call) for call in turn["tool_calls"]]
    if not with_tools:
        return
    if message.get("reasoning_details"):
        return  # they have the text; a back end takes one of the two
    if request.fits(vendor.echo_reasoning):
        own = "" if _is_foreign(turn, request.origin) else turn.get("reasoning_content")
        name = reasoning_field(turn, request.origin)
        message[name] = own if isinstance(own, str) and own else vendor.reasoning_pad
    else:
        own_reasoning(turn, message, request.origin)


def _has_refusals(vendor: Vendor) -> bool:
    """Whether the vendor speaks OpenAI's own dialect, or nothing is known of it."""
    return vendor.keeps_developer or vendor.passes_fields


def _transcript(turn: Mapping[str, Any]) -> str:
    """The words of an answer in sound, for a back end that does not have the sound."""
    audio = turn.get("audio")
    words = audio.get("transcript") if isinstance(audio, Mapping) else None
    return words if isinstance(words, str) else ""


def _is_foreign(turn: Mapping[str, Any], origin: str) -> bool:
    """Whether Bedrock or Gemini made the turn: their reasoning means nothing to this vendor."""
    if mark_of(turn).get("origin") == origin:
        return False
    if "thinking_blocks" in turn:
        return True
    extra = turn.get("extra_content")
    return extra is not None and isinstance(extra, Mapping) and "google" in extra


def _to_call(request: Draft, call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    made: dict[str, Any] = {
        "id": call["id"],
        "type": "function",
        "function": {
            "name": request.names.sent(function["name"]),
            "arguments": _arguments(function.get("arguments")),
        },
    }
    own = call_fields(call, request.origin, request.vendor) if "extra_content" in call else {}
    return {**own, **made}


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
            while mark in taken or not legal.fullmatch(mark):
                mark = sha256_of(mark.encode()).hexdigest()[:9]
            short[call["id"]] = mark
            taken.add(mark)
    made = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [{**call, "id": short[call["id"]]} for call in message["tool_calls"]]
            message = {**message, "tool_calls": calls}
        elif message.get("tool_call_id") in short:
            message = {**message, "tool_call_id": short[message["tool_call_id"]]}
        made.append(message)
    return made


def _content(request: Draft, content: Any, fetch: Callable[[str], str]) -> Any:
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
    texts = ("text",) if _has_refusals(request.vendor) else ("text", "refusal")
    if not marked and all(part["type"] in texts for part in content):
        return text_of(content)
    return [_to_part(request, part, fetch) for part in content]


def _to_part(
    request: Draft, part: Mapping[str, Any], fetch: Callable[[str], str]
) -> dict[str, Any]:
    vendor = request.vendor
    made = dict(part)
    if part["type"] == "refusal" and not _has_refusals(vendor):
        return {"type": "text", "text": part["refusal"]}
    if not vendor.cache_control:
        made.pop("cache_control", None)
    if part["type"] == "file" and not vendor.files:
        raise request.unsupported(
            f"{vendor.name} takes no files in chat: send the text, or images of the pages"
        )
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
