"""
A chat call as Bedrock's Converse takes it. Pure, but for fetching images.

Source: botocore's own model of the service, https://docs.aws.amazon.com/bedrock/latest/userguide/
(conversation inference, structured output, prompt caching), read 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.base import warning
from aigc_kit.chat.bedrock.schema import narrowed, unsayable
from aigc_kit.chat.call import Call
from aigc_kit.chat.messages import arguments_object, chosen_tool, has_tool_turns
from aigc_kit.chat.parts import audio_of, file_of, hoisted, image_of, image_url, text_of
from aigc_kit.chat.structured import with_instruction
from aigc_kit.chat.thinking import Thinking
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, decode_base64, merged, sha256_of, to_json

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
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

# Families by what their ids contain; pydantic-ai's and AWS's own notes, verified there by live
# calls, 2026.
_ALONE = r".*(llama|mistral|writer|palmyra).*"
"""Models that take nothing beside a tool's result."""
_NO_CHOICE = r".*(llama|mistral|qwen|deepseek|gpt-oss|cohere|titan|ai21|jamba).*"
_NO_TOOL_IMAGES = r".*(mistral|qwen|kimi|llama|deepseek|cohere|writer|palmyra|gpt-oss).*"
"""Models that take no image inside of a tool's result."""
_NATIVE = (
    r".*(claude-(sonnet|haiku)-4-5|claude-opus-4-[5-8]|claude-sonnet-4-6|claude-(opus|sonnet|haiku)-5|qwen3|gemma-3-(12|27)b"
    r"|ministral-3|mistral-large-3|magistral-small|minimax-m2|nemotron-nano|kimi|glm).*"
)
"""
Models with ``outputConfig.textFormat``. Source: AWS's structured output page and live notes,
2026-11-22.
"""
_EFFORT_FIELD = r".*(gpt-oss|deepseek|glm).*"
"""Models that read OpenAI's ``reasoning_effort`` itself."""
_HEARS = r".*(nova.*(omni|sonic)|voxtral).*"
"""Models that take audio. Source: AWS's model cards; unverified for the others, 2026-11-22."""
_OPAQUE = r"arn:.*:(application-inference-profile|provisioned-model|custom-model.*|imported-model|prompt.*|default-prompt-router)/.*"
"""ARNs that do not tell the model's family."""
_CACHES = r".*(claude|anthropic|nova).*"
"""Models with prompt caching. Source: AWS's prompt caching page, 2026-11-22."""

_CONTINUE = "(continue)"
_ANSWER_TOKENS = 4096
"""Room for the answer above a thinking budget where the caller sets no limit."""
_THINKING_TOKENS = 16_384
"""Room for thinking where neither a limit nor a budget is given."""
_THINKS_BY_DEFAULT = r".*claude-((opus|sonnet|haiku)-5|fable|mythos).*"
"""
Without a limit Bedrock stops them at 4,096 tokens, thinking included. Source:
danny-avila/LibreChat#14058.
"""
_EFFORT_BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}

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


@dataclass
class Request:
    """
    A request in the making.

    ``body``: keyword arguments of ``converse``. ``fields``: additionalModelRequestFields.
    ``names``: tool names as Bedrock takes them.
    """

    call: Call
    names: ToolNames
    downloader: Downloader
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    inference: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    documents: set[str] = field(default_factory=set[str])

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return models.matches(pattern, self.call.rules)

    def unsupported(self, message: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(message, provider="bedrock", model=self.call.model)


def to_request(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, native: bool
) -> Request:
    """
    The request; its ``body`` are the keyword arguments of ``converse``.

    Args:
        native: whether the installed botocore knows structured output.

    Raises:
        InvalidInputError: a part that Bedrock cannot take.
        UnsupportedFeatureError: the model would refuse it, and nothing else means the same.
    """
    functions = [tool for tool in call.tools or () if isinstance(tool.get("function"), Mapping)]
    request = Request(
        call, ToolNames.of(functions, turns, _TOOL_NAME), downloader, {"modelId": call.model}
    )
    if call.format:
        turns = _response_format(request, turns, native=native)
    system, messages = to_converse_messages(request, turns)
    request.body["messages"] = messages
    if system:
        request.body["system"] = system
    extra = dict(call.extra)
    thinking = _thinking_wish(extra, request)
    _tools(request, turns, thinking)
    _inference(request, extra)
    _thinking(request, thinking)
    if request.fits(_THINKS_BY_DEFAULT) and not (thinking and thinking.off):
        request.inference.setdefault("maxTokens", _THINKING_TOKENS + _ANSWER_TOKENS)
    _top_k(request, extra)
    for name, value in extra.items():
        _place(request, name, value)
    for name, value in call.extra_body.items():
        _place_as_is(request, name, value)
    _finish(request)
    return request


def _finish(request: Request) -> None:
    body = request.body
    _without_novas_limits(request)
    _without_old_cache_points(request)
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


def _without_old_cache_points(request: Request) -> None:
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


def _place(request: Request, name: str, value: Any) -> None:
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


def _place_as_is(request: Request, name: str, value: Any) -> None:
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


def _parallel(request: Request, value: Any) -> None:
    if value is not False:
        return
    if not request.fits(models.CLAUDE):
        request.warn(
            "parallel_tool_calls", f"{request.call.model} has no such switch; it was left out"
        )
    elif request.call.tools:
        request.fields.setdefault("tool_choice", {})["disable_parallel_tool_use"] = True


def _top_k(request: Request, extra: dict[str, Any]) -> None:
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


def _response_format(
    request: Request, turns: list[dict[str, Any]], *, native: bool
) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    wanted = request.call.format
    if wanted is None:
        return turns
    chosen = request.call.options.structured_mode
    schema = wanted.schema
    why = f": {request.call.model} is not known to have outputConfig"
    mode = chosen or "prompt"
    if not chosen and native and schema is not None and request.fits(_NATIVE):
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


# ---- messages


def to_converse_messages(
    request: Request, turns: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    (system blocks, messages): user and assistant in turn, the results of a turn together in one
    user message.

    Reasoning with its signature comes first and unchanged, for Claude only; ids that Bedrock
    refuses are made again, the same on both sides.
    """
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
            system += [*blocks, *(_cache_point(request, turn) if blocks else ())]
        elif turn["role"] == "tool":
            _add(
                request,
                messages,
                "user",
                [_tool_result(request, turn), *_cache_points_of_result(request, turn)],
            )
        elif turn["role"] == "assistant":
            blocks = _assistant_blocks(request, turn) or [{"text": "."}]
            _add(request, messages, "assistant", [*blocks, *_cache_point(request, turn)])
        else:
            _add(
                request,
                messages,
                "user",
                [*_user_blocks(request, turn["content"]), *_cache_point(request, turn)],
            )
    return _finished(request, system, messages)


def _add(
    request: Request, messages: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]
) -> None:
    if not messages or messages[-1]["role"] != role:
        messages.append({"role": role, "content": blocks})
        return
    before = messages[-1]["content"]
    results = any("toolResult" in block for block in before)
    if results != any("toolResult" in block for block in blocks) and request.fits(_ALONE):
        messages.append({"role": "assistant", "content": [{"text": "."}]})
        messages.append({"role": role, "content": blocks})
        return
    before += blocks


def _finished(
    request: Request, system: list[dict[str, Any]], messages: list[dict[str, Any]]
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


def _system_blocks(request: Request, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content}] if content.strip() else []
    if not any("cache_control" in part for part in content):
        text = text_of(content)
        return [{"text": text}] if text.strip() else []
    blocks: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part.get("text"), str) and part["text"].strip():
            blocks += [{"text": part["text"]}, *_cache_point(request, part)]
    return blocks


def _cache_point(request: Request, holder: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _cache_points_of_result(request: Request, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    A mark on a result, or on a part of it, stands behind the result: there is no cache point inside
    of one.
    """
    holders = [turn, *(turn["content"] if isinstance(turn["content"], (list, tuple)) else ())]
    return next((point for holder in holders if (point := _cache_point(request, holder))), [])


def _tool_result(request: Request, turn: Mapping[str, Any]) -> dict[str, Any]:
    text = text_of(turn["content"])
    content: list[dict[str, Any]] = [{"text": text}] if text.strip() else []
    if isinstance(turn["content"], (list, tuple)):
        for part in turn["content"]:
            if part["type"] not in ("text", "refusal"):
                content += _media_block(request, part)
    mark = tool_id(turn["tool_call_id"], request.call.rules)
    return {"toolResult": {"toolUseId": mark, "content": content or [{"text": "(empty)"}]}}


def _assistant_blocks(request: Request, turn: dict[str, Any]) -> list[dict[str, Any]]:
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


def _thoughts(request: Request, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _user_blocks(request: Request, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    blocks: list[dict[str, Any]] = []
    for part in content:
        if part["type"] in ("text", "refusal"):
            if part[part["type"]].strip():
                blocks.append({"text": part[part["type"]]})
        else:
            blocks += _media_block(request, part)
        blocks += _cache_point(request, part)
    if any("document" in block for block in blocks) and not any(
        "text" in block for block in blocks
    ):
        blocks.append(
            {"text": "See the document."}
        )  # "A text block must be included when using documents"
    return blocks or [{"text": "(empty)"}]


def _media_block(request: Request, part: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _image_block(request: Request, url: str) -> dict[str, Any]:
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


def _document_block(request: Request, part: Mapping[str, Any]) -> dict[str, Any]:
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


def _document_name(request: Request, name: str) -> str:
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


# ---- tools


def _tools(request: Request, turns: list[dict[str, Any]], thinking: Thinking | None) -> None:
    call = request.call
    choice = chosen_tool(call.tool_choice)
    in_history = has_tool_turns(turns)
    specs = [spec for tool in call.tools or () for spec in _specs(request, tool)]
    if not specs and in_history:
        # Converse refuses a history with tools in it unless the request describes some.
        names = dict.fromkeys(
            request.names.sent(made["function"]["name"])
            for turn in turns
            for made in turn.get("tool_calls") or ()
        )
        specs = [_undescribed(name) for name in names]
        choice = ":none" if choice in ("", ":auto") else choice
    if not specs:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    if choice == ":none":
        _no_calls(request, specs, in_history=in_history)
        return
    config: dict[str, Any] = {"tools": specs}
    forced = bool(choice) and choice != ":auto"
    if choice and request.fits(_NO_CHOICE):
        if forced:
            request.warn(
                "tool_choice",
                f"{call.model} takes no toolChoice; {spelled(call.tool_choice)} was left out",
            )
    elif forced:
        _check_forced(request, thinking)
        config["toolChoice"] = (
            {"any": {}} if choice == ":required" else {"tool": {"name": request.names.sent(choice)}}
        )
    elif choice == ":auto":
        config["toolChoice"] = {"auto": {}}
    request.body["toolConfig"] = config


def _check_forced(request: Request, thinking: Thinking | None) -> None:
    """
    Raises:
        UnsupportedFeatureError: the model refuses a forced choice, always or while it thinks with a
            budget.
    """
    model = request.call.model
    if request.fits(models.CLAUDE_NO_FORCED_TOOL):
        raise request.unsupported(
            f"{model} refuses a forced tool_choice; use 'auto', or global.anthropic.claude-sonnet-4-6"
        )
    thinks = thinking is not None and not thinking.off
    if thinks and request.fits(models.CLAUDE_BUDGET):
        raise request.unsupported(
            f"{model} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
            " tool_choice='auto'"
        )


def _no_calls(request: Request, specs: list[dict[str, Any]], *, in_history: bool) -> None:
    if not in_history:
        return
    if request.fits(models.CLAUDE):
        request.fields["tool_choice"] = {"type": "none"}
    elif request.call.tools:
        request.warn(
            "tool_choice",
            "Converse has no 'none', and the history needs its tools: the model may call",
        )
    request.body["toolConfig"] = {"tools": specs}


def _undescribed(name: str) -> dict[str, Any]:
    return {
        "toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}
    }


def _specs(request: Request, tool: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The Converse tool, and a cache point behind it where it is marked."""
    function = tool.get("function")
    if not isinstance(function, Mapping):
        yield _own_tool(tool)
        return
    schema = dict(function.get("parameters") or {"type": "object", "properties": {}})
    schema.setdefault("type", "object")
    spec: dict[str, Any] = {
        "name": request.names.sent(function["name"]),
        "inputSchema": {"json": schema},
    }
    description = function.get("description")
    if description and not isinstance(description, str):
        raise InvalidInputError(
            f"tool {function['name']!r} has a description that is not text: {spelled(description)}"
        )
    if description:
        spec["description"] = description
    yield {"toolSpec": spec}
    yield from _cache_point(request, tool) or _cache_point(request, function)


def _own_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that AWS runs: ``{"type": "systemTool", "systemTool": {"name": ...}}``."""
    kind = tool.get("type")
    name = {"system_tool": "systemTool"}.get(str(kind), str(kind))
    inner = tool.get("systemTool") or tool.get("system_tool")
    if name == "systemTool" and isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
        return {"systemTool": {"name": inner["name"]}}
    raise InvalidInputError(
        f"Bedrock takes function tools and {{'type': 'systemTool', 'systemTool': {{'name': 'nova_grounding'}}}}, got type {kind!r}"
    )


# ---- limits and sampling


def _inference(request: Request, extra: dict[str, Any]) -> None:
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
        if request.fits(models.CLAUDE_NO_SAMPLING):
            request.warn(name, f"{value!r} was left out: {model} refuses it")
        elif own == "topP" and "temperature" in found and request.fits(models.CLAUDE_ONE_SAMPLING):
            request.warn(
                name, f"{value!r} was left out: {model} takes temperature or top_p, not both"
            )
        else:
            found[own] = min(value, 1)
            if value > 1:
                request.warn(name, f"{value!r} was sent as 1: Converse takes 0 to 1")


# ---- thinking


def _thinking_wish(extra: dict[str, Any], request: Request) -> Thinking | None:
    """What the caller wants, by ``thinking`` or by OpenAI's ``reasoning_effort``."""
    wish, effort = extra.pop("thinking", None), extra.get("reasoning_effort")
    thinking = Thinking.read(wish)
    if thinking is not None or effort is None:
        if thinking is not None:
            extra.pop("reasoning_effort", None)
        if (
            isinstance(wish, Mapping)
            and thinking is not None
            and thinking.kind not in ("enabled", "disabled")
        ):
            request.fields["thinking"] = dict(
                wish
            )  # the vendor's own words ("adaptive", "between_tools")
        return thinking
    if request.fits(_EFFORT_FIELD):
        return None  # passed on as it is
    del extra["reasoning_effort"]
    if effort == "none":
        return Thinking(True, None, "disabled")
    if not isinstance(effort, str) or effort not in _EFFORT_BUDGETS:
        raise InvalidInputError(
            f"reasoning_effort must be one of none, {', '.join(_EFFORT_BUDGETS)}, got {spelled(effort)}"
        )
    return Thinking(False, _EFFORT_BUDGETS[effort], "enabled")


def _thinking(request: Request, thinking: Thinking | None) -> None:
    if thinking is None:
        return
    model = request.call.model
    if "thinking" in request.fields:
        _without_sampling(request)
        if thinking.kind == "adaptive":
            request.inference.setdefault("maxTokens", _THINKING_TOKENS + _ANSWER_TOKENS)
    elif thinking.off and request.fits(models.CLAUDE_ALWAYS_THINKS):
        raise request.unsupported(f"{model} always thinks")
    elif thinking.off and request.fits(r".*sonnet-5[.-]5.*"):
        request.fields["thinking"] = {"type": "between_tools"}
        request.warn("thinking", f"sent as 'between_tools', the least that {model} takes")
    elif request.fits(models.CLAUDE_ADAPTIVE):
        _adaptive(request, thinking)
    elif request.fits(models.CLAUDE_BUDGET):
        _budget(request, thinking)
    elif request.fits(r".*nova-2.*"):
        _nova(request, thinking)
    elif not thinking.off:
        request.warn("thinking", f"{model} is not known to take a switch; it was left out")


def _without_sampling(request: Request) -> None:
    """
    Claude takes neither while it thinks. Source: Anthropic's extended thinking page, 2026-11-22.
    """
    if not request.fits(models.CLAUDE):
        return
    for name in ("temperature", "topP"):
        if request.inference.pop(name, None) is not None:
            request.warn(name, f"left out: {request.call.model} takes none while it thinks")


def _adaptive(request: Request, thinking: Thinking) -> None:
    request.fields["thinking"] = {"type": "disabled" if thinking.off else "adaptive"}
    if thinking.off:
        return
    _without_sampling(request)
    budget = thinking.budget or 0
    if budget > 0:
        request.fields["output_config"] = {"effort": thinking.effort}
        request.warn(
            "thinking",
            f"{request.call.model} has efforts instead of a budget; {budget} tokens were sent as {thinking.effort!r}",
        )
    request.inference.setdefault("maxTokens", max(budget, _THINKING_TOKENS) + _ANSWER_TOKENS)


def _budget(request: Request, thinking: Thinking) -> None:
    if thinking.off:
        request.fields["thinking"] = {"type": "disabled"}
        return
    budget = thinking.budget if thinking.budget is not None and thinking.budget > 0 else 4096
    tokens = max(budget, 1024)
    request.fields["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    limit = request.inference.get("maxTokens")
    if limit is None or limit <= tokens:
        request.inference["maxTokens"] = tokens + _ANSWER_TOKENS
        request.warn(
            "max_tokens", f"sent as {tokens + _ANSWER_TOKENS}: it must exceed the thinking budget"
        )
    _without_sampling(request)


def _nova(request: Request, thinking: Thinking) -> None:
    if thinking.off:
        request.fields["reasoningConfig"] = {"type": "disabled"}
        return
    request.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": thinking.effort}


def _without_novas_limits(request: Request) -> None:
    """Nova 2 takes none of them at high effort. Source: UKGovernmentBEIS/inspect_ai#3767."""
    config = request.fields.get("reasoningConfig")
    if not isinstance(config, Mapping) or config.get("maxReasoningEffort") != "high":
        return
    for name in ("maxTokens", "temperature", "topP"):
        if request.inference.pop(name, None) is not None:
            request.warn(name, f"left out: {request.call.model} takes none at high effort")
