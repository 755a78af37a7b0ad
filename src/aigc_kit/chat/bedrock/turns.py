"""A history as Converse takes it: system blocks and messages. Pure, but for fetching images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.bedrock.draft import Draft
from aigc_kit.chat.messages import arguments_object
from aigc_kit.chat.parts import audio_of, file_of, hoisted, image_of, image_url, spoken, text_of
from aigc_kit.errors import InvalidInputError
from aigc_kit.transport.encoding import decode_base64, sha256_of

MAX_IMAGE_BYTES = 3_932_160
"""3.75 MB of one image. Source: the Message type of the service model."""
MAX_CACHE_POINTS = 4
"""Cache points of one request."""
MAX_DOCUMENT_BYTES = 4_718_592
"""4.5 MB of one document; five in a request. Source: as above."""

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/opus": "opus",
}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

# Families by what their ids contain; pydantic-ai's and AWS's own notes, verified there by live
# calls, 2026.
_ALONE = r".*(llama|mistral|writer|palmyra).*"
"""Models that take nothing beside a tool's result."""
_NO_TOOL_IMAGES = r".*(mistral|qwen|kimi|llama|deepseek|cohere|writer|palmyra|gpt-oss).*"
"""Models that take no image inside of a tool's result."""
_HEARS = r".*(nova.*(omni|sonic)|voxtral).*"
"""Models that take audio. Source: AWS's model cards; unverified for the others, 2026-11-22."""
_OPAQUE = r"arn:.*:(application-inference-profile|provisioned-model|custom-model.*|imported-model|prompt.*|default-prompt-router)/.*"
"""ARNs that do not tell the model's family."""
_CACHES = r".*(claude|anthropic|nova).*"
"""Models with prompt caching. Source: AWS's prompt caching page, 2026-11-22."""

_CONTINUE = "(continue)"


def without_old_cache_points(request: Draft) -> None:
    """
    Claude takes four; the last ones cover the longest prefixes. Source: AWS's prompt caching page,
    2026-11-22.
    """
    places = [request.body.get("toolConfig", {}).get("tools", []), request.body.get("system", [])]
    places += [turn["content"] for turn in request.body["messages"]]
    found = [(blocks, block) for blocks in places for block in blocks if "cachePoint" in block]
    surplus = found[: max(len(found) - MAX_CACHE_POINTS, 0)]
    for blocks, block in surplus:
        place = next(at for at, other in enumerate(blocks) if other is block)
        del blocks[place]
    if surplus:
        request.warn(
            "cache_control",
            f"{len(found)} marks; the last {MAX_CACHE_POINTS} were sent, which is the limit",
        )


def to_converse_messages(
    request: Draft, turns: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    (system blocks, messages): user and assistant in turn, the results of a turn together in one
    user message.

    Reasoning with its signature comes first and unchanged, for Claude only; ids that Bedrock
    refuses are made again, the same on both sides.
    """
    turns = spoken(turns, request.warn, "bedrock")
    turns, moved = hoisted(turns, from_tools=request.fits(_NO_TOOL_IMAGES), from_assistant=True)
    if moved:
        request.warn(
            "images",
            f"{moved} images or files of tool results or answers were sent in the user turn behind them",
        )
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn["role"] in ("system", "developer"):
            blocks = _system_blocks(request, turn["content"])
            system += [*blocks, *(cache_point(request, turn) if blocks else ())]
        elif turn["role"] == "tool":
            _add(
                request,
                messages,
                "user",
                [_tool_result(request, turn), *_cache_points_of_result(request, turn)],
            )
        elif turn["role"] == "assistant":
            blocks = _assistant_blocks(request, turn) or [{"text": "."}]
            _add(request, messages, "assistant", [*blocks, *cache_point(request, turn)])
        else:
            _add(
                request,
                messages,
                "user",
                [*_user_blocks(request, turn["content"]), *cache_point(request, turn)],
            )
    return _finished(request, system, messages)


def _add(
    request: Draft, messages: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]
) -> None:
    if not messages or messages[-1]["role"] != role:
        messages.append({"role": role, "content": blocks})
        return
    before = messages[-1]["content"]
    results = any("toolResult" in block for block in before)
    # Claude takes text and images beside results, and refuses documents and videos: pydantic-ai,
    # read 2026-11-25.
    bulky = any("document" in block or "video" in block for block in (*before, *blocks))
    alone = request.fits(_ALONE) or (bulky and request.fits(models.CLAUDE))
    if results != any("toolResult" in block for block in blocks) and alone:
        messages.append({"role": "assistant", "content": [{"text": "."}]})
        messages.append({"role": role, "content": blocks})
        return
    before += blocks


def _finished(
    request: Draft, system: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The history with what the service demands at its ends."""
    model = request.call.model
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"text": "."}]})
    if system and request.fits(models.NO_SYSTEM_TEXT):
        messages[0]["content"][:0] = [block for block in system if "text" in block]
        request.warn(
            "messages", f"{model} takes no system text; it stands in front of the first user turn"
        )
        system = []
    last = messages[-1]
    if last["role"] == "assistant":
        wish = request.call.extra.get("thinking")
        thinks = (
            isinstance(wish, Mapping)
            and wish.get("type") != "disabled"
            and request.fits(models.CLAUDE)
        )
        if request.fits(models.CLAUDE_NO_PREFILL) or thinks:
            messages.append({"role": "user", "content": [{"text": _CONTINUE}]})
            request.warn(
                "messages",
                f"{model} refuses a history that ends with the assistant; a user turn was added",
            )
        elif "text" in last["content"][-1]:
            last["content"][-1] = {"text": last["content"][-1]["text"].rstrip() or "."}
    return system, messages


def tool_id(mark: str, model: str) -> str:
    """A call's id as the model takes it; the same id always gives the same."""
    if models.matches(models.MISTRAL, model):
        return (
            mark
            if re.fullmatch(r"[a-zA-Z0-9]{9}", mark)
            else sha256_of(mark.encode()).hexdigest()[:9]
        )
    return mark if _TOOL_ID.fullmatch(mark) else "call_" + sha256_of(mark.encode()).hexdigest()[:40]


def _system_blocks(request: Draft, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content}] if content.strip() else []
    if not any("cache_control" in part for part in content):
        text = text_of(content)
        return [{"text": text}] if text.strip() else []
    blocks: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part.get("text"), str) and part["text"].strip():
            blocks += [{"text": part["text"]}, *cache_point(request, part)]
    return blocks


def cache_point(request: Draft, holder: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    What stands behind a block that is marked with ``cache_control``. Source: cline/cline#12928.
    """
    mark = holder.get("cache_control")
    if mark is None or not isinstance(mark, Mapping):
        return []
    if not request.fits(_CACHES) and "arn:" not in request.call.rules:
        request.warn(
            "cache_control",
            f"{request.call.model} has no prompt cache on Bedrock; the marks were left out",
        )
        return []
    point: dict[str, Any] = {"type": "default"}
    if mark.get("ttl") in ("5m", "1h"):
        point["ttl"] = mark["ttl"]
    return [{"cachePoint": point}]


def _cache_points_of_result(request: Draft, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    A mark on a result, or on a part of it, stands behind the result: there is no cache point inside
    of one.
    """
    holders = [turn, *(turn["content"] if isinstance(turn["content"], (list, tuple)) else ())]
    return next((point for holder in holders if (point := cache_point(request, holder))), [])


def _tool_result(request: Draft, turn: Mapping[str, Any]) -> dict[str, Any]:
    text = text_of(turn["content"])
    content: list[dict[str, Any]] = [{"text": text}] if text.strip() else []
    if isinstance(turn["content"], (list, tuple)):
        for part in turn["content"]:
            if part["type"] not in ("text", "refusal"):
                content += _media_block(request, part)
    mark = tool_id(turn["tool_call_id"], request.call.rules)
    return {"toolResult": {"toolUseId": mark, "content": content or [{"text": "(empty)"}]}}


def _assistant_blocks(request: Draft, turn: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = _thoughts(request, turn)
    text = text_of(turn.get("content"))
    if text.strip():
        blocks.append({"text": text})
    for call in turn.get("tool_calls") or ():
        use = {
            "toolUseId": tool_id(call["id"], request.call.rules),
            "name": request.names.sent(call["function"]["name"]),
            "input": arguments_object(call["function"].get("arguments")),
        }
        blocks.append({"toolUse": use})
    return blocks


def _thoughts(request: Draft, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Claude's reasoning, unchanged.

    Only Claude signs its blocks: a signed one goes back to a model whose name tells nothing (an
    application inference profile) too. Source: anthropics/claude-code#51711.
    """
    thoughts = turn.get("thinking_blocks")
    if not isinstance(thoughts, list) or not (request.fits(models.CLAUDE) or request.fits(_OPAQUE)):
        return []
    blocks: list[dict[str, Any]] = []
    for thought in thoughts:
        if not isinstance(thought, Mapping):
            continue
        if thought.get("type") == "redacted_thinking" and isinstance(thought.get("data"), str):
            try:
                blocks.append(
                    {"reasoningContent": {"redactedContent": decode_base64(thought["data"])}}
                )
            except ValueError as error:
                raise InvalidInputError(
                    f"thinking_blocks has redacted thinking that is not base64: {error}"
                ) from None
        elif isinstance(thought.get("signature"), str) and thought["signature"]:
            inner = {"text": str(thought.get("thinking") or ""), "signature": thought["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": inner}})
    return blocks


def _user_blocks(request: Draft, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    blocks: list[dict[str, Any]] = []
    for part in content:
        if part["type"] in ("text", "refusal"):
            if part[part["type"]].strip():
                blocks.append({"text": part[part["type"]]})
        else:
            blocks += _media_block(request, part)
        blocks += cache_point(request, part)
    if any("document" in block for block in blocks) and not any(
        "text" in block for block in blocks
    ):
        blocks.append(
            {"text": "See the document."}
        )  # "A text block must be included when using documents"
    return blocks or [{"text": "(empty)"}]


def _media_block(request: Draft, part: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind = part["type"]
    if kind == "image_url":
        return [_image_block(request, image_url(part))]
    if kind == "file":
        return [_document_block(request, part)]
    if kind == "input_audio":
        if not request.fits(_HEARS):
            raise request.unsupported(
                f"{request.call.model} takes no audio on Bedrock; use Gemini or gpt-audio"
            )
        audio = audio_of(part)
        if audio.mime_type not in _AUDIO:
            raise InvalidInputError(
                f"the audio of a message is {audio.mime_type}; Bedrock takes {', '.join(_AUDIO)}"
            )
        return [{"audio": {"format": _AUDIO[audio.mime_type], "source": {"bytes": audio.data}}}]
    raise InvalidInputError(
        f"Bedrock cannot take a part of type {kind!r}; text, image_url, file and input_audio are understood"
    )


def _image_block(request: Draft, url: str) -> dict[str, Any]:
    if url.startswith("s3://"):
        ending = url.rpartition(".")[2].lower()
        name = {"jpg": "jpeg"}.get(ending, ending)
        if name not in _IMAGES.values():
            raise InvalidInputError(
                f"the image {url[:120]!r} must end with its type: .png, .jpg, .gif or .webp"
            )
        return {"image": {"format": name, "source": {"s3Location": {"uri": url}}}}
    image = image_of(url, request.downloader, request.call.deadline)
    if image.mime_type not in _IMAGES or len(image.data) > MAX_IMAGE_BYTES:
        raise InvalidInputError(
            f"the image of a message is {image.mime_type} of {len(image.data)} bytes; Bedrock takes png, jpeg, gif and webp up"
            f" to {MAX_IMAGE_BYTES} bytes"
        )
    return {"image": {"format": _IMAGES[image.mime_type], "source": {"bytes": image.data}}}


def _document_block(request: Draft, part: Mapping[str, Any]) -> dict[str, Any]:
    file = part["file"]
    uri = file.get("file_url") or file.get("file_id") or file.get("file_data")
    if isinstance(uri, str) and uri.startswith("s3://"):
        kind, source = uri.rpartition(".")[2].lower(), dict[str, Any](s3Location={"uri": uri})
        name = str(file.get("filename") or uri.rpartition("/")[2])
    else:
        document = file_of(part, request.downloader, request.call.deadline)
        if len(document.data) > MAX_DOCUMENT_BYTES:
            raise InvalidInputError(
                f"the document {document.name!r} has {len(document.data)} bytes; Bedrock takes {MAX_DOCUMENT_BYTES}"
            )
        kind, source, name = (
            _DOCUMENTS.get(document.mime_type, document.mime_type),
            {"bytes": document.data},
            document.name,
        )
    if kind not in _DOCUMENTS.values():
        raise InvalidInputError(
            f"a document of type {kind!r}; Bedrock takes {', '.join(sorted(_DOCUMENTS.values()))}"
        )
    return {"document": {"format": kind, "name": _document_name(request, name), "source": source}}


def _document_name(request: Draft, name: str) -> str:
    """Letters, digits, single spaces, hyphens, parentheses and brackets; unique in the request."""
    stem = name.rpartition(".")[0] or name or "document"
    plain = (
        re.sub(r"\s+", " ", re.sub(r"[^a-zA-Z0-9\s\-()\[\]]", " ", stem)).strip()[:190]
        or "document"
    )
    numbered = (plain, *(f"{plain} {number}" for number in range(2, 10_000)))
    own = next(candidate for candidate in numbered if candidate not in request.documents)
    request.documents.add(own)
    return own
