"""A call's options -> the body of ``generateContent``. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import (
    ConfigurationError,
    InvalidInputError,
)
from aigc_kit.image import references, turns
from aigc_kit.media.result import Turn
from aigc_kit.transport.encoding import camel, merged

_TOP_LEVEL = frozenset(
    {"safety_settings", "system_instruction", "tools", "tool_config", "labels", "cached_content"}
)
_IMAGE_CONFIG = frozenset(
    {"aspect_ratio", "image_size", "person_generation", "prominent_people", "image_output_options"}
)
_DICTS = frozenset({"image_config", "image_output_options"})
_OUTPUT_OPTIONS = {
    "output_mime_type": "mimeType",
    "output_compression_quality": "compressionQuality",
}


FIELDS = frozenset(
    {
        *_TOP_LEVEL,
        *_IMAGE_CONFIG,
        *_OUTPUT_OPTIONS,
        "image_config",
        "size_policy",
        "temperature",
        "top_p",
        "top_k",
        "candidate_count",
        "max_output_tokens",
        "stop_sequences",
        "seed",
        "response_modalities",
        "response_mime_type",
        "media_resolution",
        "thinking_config",
        "presence_penalty",
        "frequency_penalty",
        "response_format",
        "automatic_function_calling",
        "model_selection_config",
        "audio_timestamp",
        "speech_config",
        "http_options",
    }
)
"""Fields of google-genai's ``GenerateContentConfig`` and ``ImageConfig`` 3.4.0."""


def checked_body(prompt: str, **made_of: Any) -> dict[str, Any]:
    try:
        return to_body(prompt, **made_of)
    except RecursionError:
        raise InvalidInputError("an option of the call is nested too deeply") from None


def to_body(
    prompt: str,
    *,
    ratio: str,
    tier: str,
    images: list[references.Reference],
    options: Mapping[str, Any],
    earlier: Sequence[Turn] = (),
) -> dict[str, Any]:
    """
    The REST body of ``generateContent``.

    ``options``: fields of ``GenerateContentConfig`` or of its ``image_config``, in snake_case; they
    win. ``extra_body`` in them is merged in last.
    """
    fields = _Fields(_canvas(ratio, tier))
    for name, value in options.items():
        if value is not None and name != "extra_body":
            fields.place(name, _plain(value))
    asked = {"role": "user", "parts": [{"text": prompt}, *map(_inlined, images)]}
    contents = [*turns.contents_of(earlier), asked]
    body = {"contents": contents, "generationConfig": fields.generation_config(), **fields.body}
    return merged(body, _extra_body(options))


@dataclass
class _Fields:
    """
    Options where the API reads them.

    ``image``: fields of ``imageConfig``. ``generation``: of ``generationConfig``.
    ``body``: beside both.
    """

    image: dict[str, Any]
    generation: dict[str, Any] = field(default_factory=lambda: {"responseModalities": ["IMAGE"]})
    body: dict[str, Any] = field(default_factory=dict[str, Any])

    def place(self, name: str, value: Any) -> None:
        if name in _DICTS and not isinstance(value, Mapping):
            raise InvalidInputError(f"{name} must be a dict, got {type(value).__name__}")
        if name == "image_config":
            self.image |= _camel_keys(value)
        elif name in _IMAGE_CONFIG:
            self.image[camel(name)] = _camel_keys(value)
        elif name in _OUTPUT_OPTIONS:
            self.image.setdefault("imageOutputOptions", {})[_OUTPUT_OPTIONS[name]] = value
        elif name == "system_instruction":
            self.body["systemInstruction"] = _instruction(value)
        elif name in _TOP_LEVEL:
            self.body[camel(name)] = value
        elif name == "thinking_config":
            self.generation["thinkingConfig"] = _camel_keys(value)
        else:
            self.generation[camel(name)] = value

    def generation_config(self) -> dict[str, Any]:
        if not self.image:
            return self.generation
        return {**self.generation, "imageConfig": self.image}


def _canvas(ratio: str, tier: str) -> dict[str, Any]:
    fields = {"aspectRatio": ratio, "imageSize": tier}
    return {name: value for name, value in fields.items() if value}


def _instruction(value: Any) -> Any:
    if isinstance(value, str):
        return {"parts": [{"text": value}]}
    return value


def _inlined(image: references.Reference) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode("ascii")
    return {"inlineData": {"mimeType": image.mime_type, "data": data}}


def _extra_body(options: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = options.get("extra_body")
    if extra is None:
        return {}
    if not isinstance(extra, Mapping) or not all(isinstance(name, str) for name in extra):
        raise ConfigurationError(
            f"extra_body must be a dict with texts as keys, got {type(extra).__name__}"
        )
    return extra


def _plain(value: Any) -> Any:
    """Pydantic models of the SDK as plain dicts."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _camel_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {camel(str(name)): _camel_keys(inner) for name, inner in value.items()}
    return value
