"""
A chat call as Gemini's ``generateContent`` takes it. Pure, but for fetching images.

Source: https://ai.google.dev/api/generate-content, .../thought-signatures, .../function-calling,
read 2026-11-22.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models, schemas
from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.messages import arguments_object, chosen_tool, plain_json
from aigc_kit.chat.parts import audio_of, file_of, hoisted, image_of, image_url, text_of
from aigc_kit.chat.structured import with_instruction
from aigc_kit.chat.thinking import Thinking
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, merged, snake

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""
For calls that another vendor made. Source: the thought-signatures page, section on foreign
histories.
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

_CONTINUE = "(continue)"

_TOP_LEVEL = frozenset(
    {
        "safety_settings",
        "labels",
        "cached_content",
        "tool_config",
        "model_armor_config",
        "output_config",
        "continuation_token",
        "store",
    }
)
"""
Fields beside ``generationConfig``. Source: the service's discovery document, revision 20261106.
"""

_OF_OTHERS = frozenset(
    {
        "user",
        "metadata",
        "logit_bias",
        "prediction",
        "verbosity",
        "safety_identifier",
        "prompt_cache_key",
        "audio",
        "web_search_options",
        "functions",
        "function_call",
        "http_options",
        "automatic_function_calling",
        "automatic_continuation",
        "enable_thinking",
        "thinking_budget",
        "extra_query",
        "parallel_tool_calls",
    }
)
"""
Options of OpenAI's API and of the vendor's SDK that ``generateContent`` has no field for; the API
answers 400 to them.
"""

_SAID_ANYWAY = frozenset({"stream_options", "n", "candidate_count"})
"""Options that ask for what happens anyway: usage in every stream, one answer."""

_NOT_IN_SCHEMAS = frozenset(
    {
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "dependentSchemas",
        "dependentRequired",
        "dependencies",
        "propertyNames",
        "contains",
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)
"""
Keywords that change what is valid and that ``responseJsonSchema`` does not have. Source:
google-genai 3.4.0, types.py.
"""

_URI_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jfif": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
}

VERTEX, DEVELOPER = "vertex", "developer"
"""
The two back ends; each refuses the other's signatures. Source: pydantic-ai, verified by live calls
2026-10-27.
"""


@dataclass
class Request:
    """
    A request in the making.

    ``backend``: ``VERTEX`` or ``DEVELOPER``. ``names``: tool names as Gemini takes them.
    ``headers``: sent beside the body.
    ``vendor_ids``: call id -> the id that Gemini gave it.
    """

    call: Call
    backend: str
    names: ToolNames
    downloader: Downloader
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    vendor_ids: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def deadline(self) -> Deadline:
        return self.call.deadline

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return models.matches(pattern, self.call.rules)


def to_body(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, backend: str = VERTEX
) -> Request:
    """
    The request; its ``body`` is the REST body of ``generateContent``.

    Raises:
        InvalidInputError: a part that Gemini cannot take.
        UnsupportedFeatureError: thinking that the model cannot do.
    """
    names = ToolNames.of(call.tools or (), turns, _NAME)
    request = Request(call, backend, names, downloader)
    generation: dict[str, Any] = {}
    if call.format:
        turns = _response_format(request, generation, turns)
    extra = {snake(name): value for name, value in call.extra.items()}
    instruction = _instruction_texts(_plain(extra.pop("system_instruction", None)))
    turns = [*({"role": "system", "content": text} for text in instruction), *turns]
    system, contents = to_contents(request, turns)
    request.body["contents"] = contents
    _tools(request)
    _parameters(request, generation)
    _thinking(request, generation, extra)
    for name, value in extra.items():
        _place(request, generation, name, _plain(value))
    if system:
        request.body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if generation:
        request.body["generationConfig"] = generation
    request.body = merged(request.body, call.extra_body)
    _cached_content_alone(request)
    return request


def _plain(value: Any) -> Any:
    """An object of the SDK as the JSON that it stands for."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


def _place(request: Request, generation: dict[str, Any], name: str, value: Any) -> None:
    """Put an option of the vendor's where the API reads it."""
    if _asks_for_nothing(name, value):
        return
    if name in _OF_OTHERS:
        request.warn(name, "Gemini has nothing like it; it was left out")
    elif name == "service_tier":
        _service_tier(request, value)
    elif name in _TOP_LEVEL:
        request.body[camel(name)] = value
    else:
        own, sent = _generation_field(name, value)
        generation[own] = sent


def _asks_for_nothing(name: str, value: Any) -> bool:
    """Whether the option asks for what happens anyway."""
    if name == "parallel_tool_calls":
        return value is not False
    if name in ("presence_penalty", "frequency_penalty"):
        return not value
    return name in _SAID_ANYWAY


def _generation_field(name: str, value: Any) -> tuple[str, Any]:
    """The field of ``generationConfig`` for an option, OpenAI's names included, and its value."""
    if name == "logprobs" and isinstance(value, bool):
        return "responseLogprobs", value
    if name == "top_logprobs":
        return "logprobs", value
    if name == "modalities" and isinstance(value, list):
        return "responseModalities", [str(item).upper() for item in value]
    return camel(name), value


def _instruction_texts(value: Any) -> list[str]:
    """The texts of a system instruction in any form that the SDK takes."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        parts = value.get("parts", [value])
        return [
            part["text"]
            for part in parts
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        ]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _instruction_texts(item)]
    raise InvalidInputError(f"system_instruction must be text, got {spelled(value)}")


def _service_tier(request: Request, value: Any) -> None:
    """
    A field of the body on the Developer API, headers on Vertex AI.

    Source: docs.cloud.google.com, flex and priority pay-as-you-go, read 2026-11-22.
    """
    if request.backend == DEVELOPER:
        request.body["serviceTier"] = value
        return
    tier = str(value).lower()
    request.headers["X-Vertex-AI-LLM-Request-Type"] = (
        "dedicated" if tier == "dedicated" else "shared"
    )
    if tier in ("flex", "priority"):
        request.headers["X-Vertex-AI-LLM-Shared-Request-Type"] = tier


def _cached_content_alone(request: Request) -> None:
    """
    What belongs into the cache is refused beside it. Source: 567-labs/instructor#2580,
    langchain-google#978.
    """
    if not request.body.get("cachedContent"):
        return
    for name in ("systemInstruction", "tools", "toolConfig"):
        if request.body.pop(name, None) is not None:
            request.warn(
                "cached_content",
                f"{name} was left out: with cached_content it must be part of the cache",
            )


def _parameters(request: Request, generation: dict[str, Any]) -> None:
    given = request.call.parameters
    names = {
        "temperature": "temperature",
        "top_p": "topP",
        "max_tokens": "maxOutputTokens",
        "seed": "seed",
    }
    for name, own in names.items():
        if name in given:
            generation[own] = given[name]
    for name in ("max_completion_tokens", "max_output_tokens"):
        if name in request.call.extra:
            generation["maxOutputTokens"] = request.call.extra[name]
    if "stop" in given:
        stop = given["stop"]
        generation["stopSequences"] = [stop] if isinstance(stop, str) else stop


# ---- response_format


def _response_format(
    request: Request, generation: dict[str, Any], turns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Ask for JSON in the way that this model takes it; returns the history with what it adds."""
    call = request.call
    wanted = call.format
    if wanted is None:
        return turns
    default = "prompt" if call.tools and request.fits(models.GEMINI_BUDGET) else "json_schema"
    mode = call.options.structured_mode or default
    reason = ""
    if mode == "json_schema" and wanted.plain is not None:
        missing = sorted(
            {name for part in schemas.walk(wanted.plain.schema) for name in part} & _NOT_IN_SCHEMAS
        )
        if missing:
            mode = "json_object"
            reason = f": Gemini's schemas have no {', '.join(missing)}; the schema is in the system prompt"
    if mode != "prompt":
        generation["responseMimeType"] = "application/json"
    if mode == "json_schema" and wanted.plain is not None:
        generation["responseJsonSchema"] = _with_enums(wanted.plain.schema)
    request.warn("response_format", f"mode {mode}{reason}")
    return turns if mode == "json_schema" else with_instruction(turns, wanted, mode=mode)


def _with_enums(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with ``const`` as ``enum`` and tuples as ``prefixItems``, which Gemini has."""
    made = copy.deepcopy(dict(schema))
    for part in schemas.walk(made):
        if "const" in part and isinstance(part["const"], str):
            part["enum"] = [part.pop("const")]
        if isinstance(part.get("items"), list):
            part["prefixItems"] = part.pop("items")
    return made


# ---- messages


def to_contents(
    request: Request, turns: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """
    (system texts, contents): roles ``user`` and ``model``; results of one turn together, in the
    order of its calls.

    Signatures stay on their part and go back only to the back end that made them; ids go back only
    when Gemini issued them.
    """
    request.vendor_ids = _vendor_ids(request, turns)
    turns = _without_images_in_results(request, turns)
    system: list[str] = []
    history = _History(request)
    for turn in turns:
        if turn["role"] in ("system", "developer"):
            history.end_results()
            system += _said(turn["content"])
        else:
            history.add(turn)
    history.end_results()
    return _finished(request, system, history.contents)


def _without_images_in_results(
    request: Request, turns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Older models take no images inside of function responses; a user turn behind has them."""
    if not request.fits(models.GEMINI_BUDGET):
        return turns
    turns, moved = hoisted(turns, from_tools=True, from_assistant=False)
    if moved:
        request.warn(
            "images",
            f"{moved} images or files of tool results were sent in the user turn behind them",
        )
    return turns


def _said(content: Any) -> list[str]:
    """The text of a system turn, unless it is blank."""
    text = text_of(content)
    return [text] if text.strip() else []


@dataclass
class _History:
    """
    The contents, turn by turn.

    ``calls``: of the last assistant turn.
    ``results``: call id -> content, gathered until the next turn that is not a result.
    """

    request: Request
    contents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    calls: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    results: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, turn: dict[str, Any]) -> None:
        """A turn of the user, the assistant or a tool."""
        if turn["role"] == "tool":
            self.results[turn["tool_call_id"]] = turn["content"]
            return
        self.end_results()
        if turn["role"] != "assistant":
            _add_user_parts(self.contents, _parts(self.request, turn["content"]))
            return
        self.calls = turn.get("tool_calls") or []
        parts = _model_parts(self.request, turn)
        if parts:
            self.contents.append({"role": "model", "parts": parts})

    def end_results(self) -> None:
        """The gathered results as one turn, in the order of the calls."""
        if not self.results:
            return
        answered = [call for call in self.calls if call["id"] in self.results]
        parts = [_to_response(self.request, call, self.results) for call in answered]
        self.contents.append({"role": "user", "parts": parts})
        self.results = {}


def _add_user_parts(contents: list[dict[str, Any]], parts: list[dict[str, Any]]) -> None:
    before = contents[-1] if contents else None
    if (
        before
        and before["role"] == "user"
        and not any("functionResponse" in part for part in before["parts"])
    ):
        before["parts"] += parts
    else:
        contents.append({"role": "user", "parts": parts})


def _finished(
    request: Request, system: list[str], contents: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """The history with what the API demands at its ends."""
    model = request.call.model
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, {"role": "user", "parts": [{"text": "."}]})
    if system and request.fits(models.NO_SYSTEM_TEXT):
        contents[0]["parts"][:0] = [{"text": text} for text in system]
        request.warn(
            "messages", f"{model} takes no system text; it stands in front of the first user turn"
        )
        system = []
    if contents[-1]["role"] == "model" and request.fits(models.GEMINI_NO_PREFILL):
        contents.append({"role": "user", "parts": [{"text": _CONTINUE}]})
        request.warn(
            "messages",
            f"{model} refuses a history that ends with the assistant; a user turn was added",
        )
    if not request.fits(models.GEMINI_BUDGET):
        _sign_foreign_calls(contents)
    return system, contents


def _parts(request: Request, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    parts = [made for made in (_part(request, part) for part in content) if made is not None]
    return parts or [{"text": "(empty)"}]


def _part(request: Request, part: Mapping[str, Any]) -> dict[str, Any] | None:
    if "cache_control" in part:
        request.warn(
            "cache_control",
            "Gemini caches by itself, or by cached_content; the marks were left out",
        )
    kind = part["type"]
    if kind in ("text", "refusal"):
        return {"text": part[kind]} if part[kind].strip() else None
    if kind in ("image_url", "video_url"):
        return _linked(request, part, kind)
    if kind == "input_audio":
        return _inline(audio_of(part))
    if kind == "file":
        uri = (
            part["file"].get("file_url")
            or part["file"].get("file_id")
            or part["file"].get("file_data")
        )
        if isinstance(uri, str) and uri.startswith("gs://"):
            return _file_data(request, uri, part["file"])
        return _inline(file_of(part, request.downloader, request.deadline))
    raise InvalidInputError(
        f"Gemini cannot take a part of type {kind!r}; text, image_url, video_url, input_audio and file are understood"
    )


def _inline(media: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media.mime_type, "data": media.base64}}


def _linked(request: Request, part: Mapping[str, Any], kind: str) -> dict[str, Any]:
    holder = part[kind]
    url = image_url(part) if kind == "image_url" else _video_url(holder)
    if url.startswith("gs://"):
        return _file_data(request, url, holder if isinstance(holder, Mapping) else {})
    if kind == "image_url":
        return _inline(image_of(url, request.downloader, request.deadline))
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        return {"inlineData": {"mimeType": head[5:].partition(";")[0], "data": data}}
    return {"fileData": {"fileUri": url, "mimeType": _type_of_uri(url, {})}}


def _video_url(holder: Any) -> str:
    if isinstance(holder, Mapping):
        return str(holder.get("url"))
    return str(holder)


def _file_data(request: Request, uri: str, holder: Mapping[str, Any]) -> dict[str, Any]:
    if request.backend == DEVELOPER:
        raise InvalidInputError(
            f"the Developer API cannot read {uri[:80]!r}; gs:// belongs to Vertex AI: pass the bytes"
        )
    return {"fileData": {"fileUri": uri, "mimeType": _type_of_uri(uri, holder)}}


def _type_of_uri(uri: str, holder: Mapping[str, Any]) -> str:
    told = holder.get("mime_type") or holder.get("format")
    if isinstance(told, str) and "/" in told:
        return told
    ending = uri.partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()
    if ending not in _URI_TYPES:
        raise InvalidInputError(
            f"the type of {uri[:120]!r} is unknown; say it beside the URL: {{'url': ..., 'mime_type': 'image/png'}}"
        )
    return _URI_TYPES[ending]


def _own(holder: Mapping[str, Any], request: Request) -> Mapping[str, Any]:
    """What this back end left on a turn or a call; nothing of the other one's."""
    extra = holder.get("extra_content")
    if extra is None or not isinstance(extra, Mapping):
        return {}
    for name, backend in (("google", ""), ("vertex", VERTEX)):
        own = extra.get(name)
        if (
            isinstance(own, Mapping)
            and (own.get("backend") or backend or request.backend) == request.backend
        ):
            return own
    return {}


def _signed(part: dict[str, Any], signature: Any) -> dict[str, Any]:
    return (
        {**part, "thoughtSignature": signature}
        if isinstance(signature, str) and signature
        else part
    )


def _model_parts(request: Request, turn: dict[str, Any]) -> list[dict[str, Any]]:
    kept = _own(turn, request)
    parts = _kept_parts(request, turn, kept.get("parts"))
    if parts is None:
        parts = []
        text = text_of(turn.get("content"))
        if text.strip():
            parts.append(_signed({"text": text}, kept.get("thought_signature")))
        parts += _images_of(request, turn)
    for call in turn.get("tool_calls") or ():
        own = _own(call, request)
        function: dict[str, Any] = {
            "name": request.names.sent(call["function"]["name"]),
            "args": arguments_object(call["function"].get("arguments")),
        }
        if request.vendor_ids.get(call["id"]):
            function = {"id": request.vendor_ids[call["id"]], **function}
        parts.append(_signed({"functionCall": function}, own.get("thought_signature")))
    return parts


def _images_of(request: Request, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The images of an assistant's turn, in its content or under ``images``."""
    content, own = turn.get("content"), turn.get("images")
    if own is None and isinstance(content, str):
        return []
    listed = [*content] if isinstance(content, (list, tuple)) else []
    listed += own if isinstance(own, list) else []
    found = [
        part
        for part in listed
        if isinstance(part, Mapping) and part.get("type") not in ("text", "refusal")
    ]
    return [made for made in (_part(request, part) for part in found) if made is not None]


def _kept_parts(
    request: Request, turn: Mapping[str, Any], segments: Any
) -> list[dict[str, Any]] | None:
    """
    The turn's parts as Gemini made them; None where the turn was changed since, or is not Gemini's.
    """
    if not isinstance(segments, list) or not all(
        isinstance(segment, Mapping) for segment in segments
    ):
        return None
    texts = [segment["text"] for segment in segments if isinstance(segment.get("text"), str)]
    if "".join(texts) != text_of(turn.get("content")):
        return None
    images = turn.get("images")
    parts: list[dict[str, Any]] = []
    for segment in segments:
        signature = segment.get("thought_signature")
        place = segment.get("image")
        if isinstance(place, int) and isinstance(images, list) and 0 <= place < len(images):
            made = _part(request, images[place])
        elif isinstance(segment.get("part"), Mapping):
            made = dict(segment["part"])
        else:
            made = {"text": segment.get("text", "")} if segment.get("text") or signature else None
        if made is not None:
            parts.append(_signed(made, signature))
    return parts


def _to_response(
    request: Request, call: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, Any]:
    content = results[call["id"]]
    text = text_of(content)
    value = plain_json(text)
    # The API reads "$ref" inside of a response as a reference of its own.
    response = value if isinstance(value, dict) and '"$ref"' not in text else {"output": text}
    made: dict[str, Any] = {
        "name": request.names.sent(call["function"]["name"]),
        "response": response,
    }
    if isinstance(content, (list, tuple)):
        found = [
            _part(request, part) for part in content if part["type"] not in ("text", "refusal")
        ]
        media = [part for part in found if part is not None]
        if media:
            made["parts"] = media
    own = request.vendor_ids.get(call["id"])
    if own:
        made = {"id": own, **made}
    return {"functionResponse": made}


def _vendor_ids(request: Request, turns: list[dict[str, Any]]) -> dict[str, str]:
    """
    Call id -> the id that Gemini itself gave, where that is unique in the conversation; other calls
    are paired by order.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for turn in turns:
        calls = turn.get("tool_calls")
        if not calls:
            continue
        own = [_own(call, request).get("id") for call in calls]
        for call, mark in zip(calls, own, strict=True):
            if isinstance(mark, str) and mark and mark not in seen and own.count(mark) == 1:
                found[call["id"]] = mark
        seen |= {mark for mark in own if isinstance(mark, str)}
    return found


def _sign_foreign_calls(contents: list[dict[str, Any]]) -> None:
    """Give the first call of each step of the current turn the skip signature where it has none."""
    start = max(
        (
            place
            for place, content in enumerate(contents)
            if content["role"] == "user"
            and any("functionResponse" not in part for part in content["parts"])
        ),
        default=0,
    )
    for content in contents[start:]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if content["role"] == "model" and first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = SKIP_SIGNATURE


# ---- tools


def _tools(request: Request) -> None:
    call = request.call
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    declarations: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for tool in call.tools:
        function = tool.get("function")
        if isinstance(function, Mapping):
            declarations.append(_declaration(request, function))
        else:
            rest = {name: value for name, value in tool.items() if name != "type"}
            own.append(rest or {camel(tool["type"]): {}})
    request.body["tools"] = [
        *([{"functionDeclarations": declarations}] if declarations else []),
        *own,
    ]
    modes = {":auto": "AUTO", ":none": "NONE", ":required": "ANY"}
    if choice and declarations:
        config: dict[str, Any] = {"mode": modes.get(choice, "ANY")}
        if choice not in modes:
            config["allowedFunctionNames"] = [request.names.sent(choice)]
        request.body["toolConfig"] = {"functionCallingConfig": config}


def _declaration(request: Request, function: Mapping[str, Any]) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": request.names.sent(function["name"])}
    if function.get("description"):
        declaration["description"] = function["description"]
    parameters = function.get("parameters") or {}
    if _takes_something(parameters):
        declaration["parametersJsonSchema"] = parameters
    return declaration


def _takes_something(parameters: Mapping[str, Any]) -> bool:
    """
    Whether the schema lets any argument in; a function without parameters is declared without a
    schema.
    """
    said = {name for name, value in parameters.items() if value not in ({}, [], False)}
    return bool(said - {"type", "title", "description", "$schema"})


# ---- thinking


def _thinking(request: Request, generation: dict[str, Any], extra: dict[str, Any]) -> None:
    for name in ("max_completion_tokens", "max_output_tokens"):
        extra.pop(name, None)
    wish, effort = extra.pop("thinking", None), extra.pop("reasoning_effort", None)
    config = extra.pop("thinking_config", None)
    if config is not None:
        plain = _plain(config)
        if not isinstance(plain, Mapping) or not all(isinstance(name, str) for name in plain):
            raise InvalidInputError("thinking_config must be a dict of the SDK's fields")
        generation["thinkingConfig"] = {camel(name): value for name, value in plain.items()}
        return
    thinking = Thinking.read(wish)
    if thinking is None and effort is None:
        return
    off = thinking.off if thinking else effort == "none"
    if request.fits(models.GEMINI_BUDGET):
        generation["thinkingConfig"] = _budget(request, thinking, effort, off=off)
    else:
        generation["thinkingConfig"] = _level(request, thinking, effort, off=off)


def _budget(
    request: Request, thinking: Thinking | None, effort: Any, *, off: bool
) -> dict[str, Any]:
    if off:
        if "pro" in models.bare(request.call.rules):
            raise UnsupportedFeatureError(
                f"{request.call.model} always thinks; its least budget is 128 tokens",
                provider="gemini",
                model=request.call.model,
            )
        return {"thinkingBudget": 0}
    budget = thinking.budget if thinking else None
    if budget is None:
        budget = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}.get(str(effort), -1)
    return {"thinkingBudget": budget, "includeThoughts": True}


def _level(
    request: Request, thinking: Thinking | None, effort: Any, *, off: bool
) -> dict[str, Any]:
    model = request.call.model
    if off:
        request.warn("thinking", f"{model} cannot stop thinking; it was sent as level LOW")
        return {"thinkingLevel": "LOW"}
    level = str(effort or "").upper()
    if thinking is not None and thinking.budget is not None and thinking.budget > 0:
        level = thinking.effort.upper()
        request.warn(
            "thinking",
            f"{model} has levels instead of a budget; {thinking.budget} tokens were sent as {level}",
        )
    config: dict[str, Any] = {"thinkingLevel": level} if level else {}
    return {**config, "includeThoughts": True}
