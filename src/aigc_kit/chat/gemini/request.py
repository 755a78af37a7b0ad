"""
A chat call as Gemini's ``generateContent`` takes it. Pure, but for fetching images.

Source: https://ai.google.dev/api/generate-content, .../thought-signatures, .../function-calling,
read 2026-11-22.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import models, schemas
from aigc_kit.chat.call import Call
from aigc_kit.chat.gemini.draft import DEVELOPER, VERTEX, Draft, plain_value
from aigc_kit.chat.gemini.thinking import think
from aigc_kit.chat.gemini.tools import add_tools
from aigc_kit.chat.gemini.turns import to_contents
from aigc_kit.chat.structured import with_instruction
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, merged, snake

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

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


def to_body(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, backend: str = VERTEX
) -> Draft:
    """
    The request; its ``body`` is the REST body of ``generateContent``.

    Raises:
        InvalidInputError: a part that Gemini cannot take.
        UnsupportedFeatureError: thinking that the model cannot do.
    """
    names = ToolNames.of(call.tools or (), turns, _NAME)
    request = Draft(call, backend, names, downloader)
    generation: dict[str, Any] = {}
    if call.format:
        turns = _response_format(request, generation, turns)
    extra = {snake(name): value for name, value in call.extra.items()}
    instruction = _instruction_texts(plain_value(extra.pop("system_instruction", None)))
    turns = [*({"role": "system", "content": text} for text in instruction), *turns]
    system, contents = to_contents(request, turns)
    request.body["contents"] = contents
    add_tools(request)
    _parameters(request, generation)
    think(request, generation, extra)
    for name, value in extra.items():
        _place(request, generation, name, plain_value(value))
    if system:
        request.body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if generation:
        request.body["generationConfig"] = generation
    request.body = merged(request.body, call.extra_body)
    _cached_content_alone(request)
    return request


def _place(request: Draft, generation: dict[str, Any], name: str, value: Any) -> None:
    """Put an option of the vendor's where the API reads it."""
    if _asks_for_nothing(name, value):
        return
    if name in _OF_OTHERS:
        request.warn(name, "Gemini has nothing like it; it was left out")
    elif name in _PENALTIES:
        # "Penalty is not enabled for this model": 2.5 and all later models, quoted 2026-11-25.
        request.warn(name, f"{request.call.model} refuses it; it was left out")
    elif name == "service_tier":
        _service_tier(request, value)
    elif name in _TOP_LEVEL:
        request.body[camel(name)] = value
    else:
        own, sent = _generation_field(name, value)
        generation[own] = sent


_PENALTIES = ("presence_penalty", "frequency_penalty")


def _asks_for_nothing(name: str, value: Any) -> bool:
    """Whether the option asks for what happens anyway."""
    if name == "parallel_tool_calls":
        return value is not False
    if name in _PENALTIES:
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


def _service_tier(request: Draft, value: Any) -> None:
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


def _cached_content_alone(request: Draft) -> None:
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


def _parameters(request: Draft, generation: dict[str, Any]) -> None:
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
    request: Draft, generation: dict[str, Any], turns: list[dict[str, Any]]
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
