"""
``response_format``: native where the model has it, else the schema in the system prompt; always
validated here.

The word "JSON" is in the prompt because OpenAI, DeepSeek and Qwen refuse ``json_object`` without
it.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aigc_kit.chat import json_text, schemas
from aigc_kit.chat.base import ChatResult
from aigc_kit.chat.parts import text_of
from aigc_kit.errors import InvalidInputError, OutputTruncatedError, StructuredOutputError
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import sha256_of

MODES = ("json_schema", "json_object", "prompt")
"""Native schema; native JSON with the schema in the system prompt; the system prompt alone."""

WRAPPER = "value"
"""
The property that holds an answer whose schema is not an object: OpenAI and others take only objects
at the root.
"""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Answer(NamedTuple):
    """
    An answer that was read. ``text``: its JSON alone. With ``violations`` the value means nothing.
    """

    value: Any
    text: str
    violations: list[str]


@dataclass(frozen=True, eq=False)
class Format:
    """
    What the answer must be.

    ``plain``: the schema as the caller means it, None for any JSON object. ``schema``: the same
    with an object at the root. ``build``: (JSON text, decoded value) -> ``parsed``.
    """

    name: str
    plain: schemas.Checked | None
    description: str = ""
    strict: bool | None = None
    build: Callable[[str, Any], Any] | None = field(default=None, compare=False)

    @classmethod
    def read(cls, given: Any) -> Format | None:
        """
        From OpenAI's dict (``json_schema``, ``json_object``, ``text``), a pydantic model class, or
        any type that pydantic describes (``list[Model]``, a dataclass); None for free text.

        Raises:
            InvalidInputError: it is none of them, or the schema is not a JSON schema.
        """
        if given is None:
            return None
        if isinstance(given, type) or typing.get_origin(given) is not None:
            return _of_type(cls, given)
        kind = given.get("type") if isinstance(given, Mapping) else None
        if kind == "text":
            return None
        if kind == "json_object":
            return cls("object", None)
        inner = given.get("json_schema") if isinstance(given, Mapping) else None
        if (
            kind == "json_schema"
            and isinstance(inner, Mapping)
            and isinstance(inner.get("schema"), Mapping)
        ):
            strict = inner.get("strict")
            return cls(
                legal_name(_text(inner, "name") or "answer"),
                schemas.checked(inner["schema"]),
                _text(inner, "description"),
                strict if isinstance(strict, bool) else None,
            )
        raise InvalidInputError(
            "response_format must be {'type': 'json_schema', 'json_schema': {'name': ..., 'schema': {...}}},"
            f" {{'type': 'json_object'}}, {{'type': 'text'}} or a pydantic model class, got {spelled(given)[:120]}"
        )

    @property
    def is_wrapped(self) -> bool:
        return self.plain is not None and not _is_object(self.plain.schema)

    @property
    def schema(self) -> dict[str, Any] | None:
        if self.plain is None:
            return None
        schema = self.plain.schema
        if not self.is_wrapped:
            return _without_root_reference(schema)
        inner = {
            name: value
            for name, value in schema.items()
            if name not in ("$defs", "definitions", "$schema")
        }
        kept = {
            name: value
            for name, value in schema.items()
            if name in ("$defs", "definitions", "$schema")
        }
        wrapped = {"type": "object", "properties": {WRAPPER: inner}, "required": [WRAPPER]}
        return {**wrapped, "additionalProperties": False, **kept}

    def instruction(self) -> str:
        """What goes into the system prompt where the vendor has no schema."""
        if self.schema is None:
            return "Answer with one JSON object and nothing else."
        schema = json.dumps(self.schema, ensure_ascii=False)
        return (
            "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON schema"
            f" ({self.name}{': ' + self.description if self.description else ''}):\n{schema}"
        )

    def read_answer(self, text: str) -> Answer:
        """The one JSON value in the answer that fits, whatever stands around it."""
        found = [self._checked(source, value) for source, value in json_text.values_in(text)]
        if not found:
            return Answer(None, text, [f"it is not JSON: {_why_not(text)}"])
        fitting = {
            json_text.canonical(answer.value): answer for answer in found if not answer.violations
        }
        if not fitting:
            return found[-1]
        if len(fitting) > 1:
            return Answer(None, text, [f"it has {len(fitting)} different JSON values that fit"])
        answer = next(iter(fitting.values()))
        if self.build is None:
            return answer
        try:
            return answer._replace(value=self.build(answer.text, answer.value))
        except Exception as error:
            if type(error).__name__ != "ValidationError" and not isinstance(error, ValueError):
                raise
            return Answer(None, text, [" ".join(str(error).split())[:500]])

    def _checked(self, source: str, value: Any) -> Answer:
        if self.plain is None:
            wrong = (
                []
                if isinstance(value, dict)
                else [f"it is not a JSON object but {type(value).__name__}"]
            )
            return Answer(value, source, wrong)
        if self.is_wrapped and isinstance(value, dict) and set(value) == {WRAPPER}:
            value = value[WRAPPER]
            source = json.dumps(value, ensure_ascii=False)
        return Answer(value, source, self.plain.violations(value))


def _of_type(cls: type[Format], given: Any) -> Format:
    name = getattr(given, "__name__", "") or "answer"
    own_schema = hasattr(given, "model_json_schema") and hasattr(given, "model_validate")
    try:
        if own_schema:
            schema, from_text = (
                given.model_json_schema(),
                getattr(given, "model_validate_json", None),
            )
        else:
            from pydantic import TypeAdapter

            adapter: Any = TypeAdapter(given)
            schema, from_text = adapter.json_schema(), adapter.validate_json
    except Exception as error:
        raise InvalidInputError(
            f"response_format is a {spelled(given)[:60]} without a JSON schema: {str(error)[:200]}"
        ) from error

    def build(text: str, value: Any) -> Any:
        # As JSON: a strict model takes text for a date there, and refuses it from Python.
        return from_text(text) if from_text else given.model_validate(value)

    return cls(legal_name(name), schemas.checked(schema), build=build)


def legal_name(name: str) -> str:
    """
    The name in the letters that vendors take: 1 to 64 of ``a-z A-Z 0-9 _ -``.

    Source: https://platform.openai.com/docs/guides/structured-outputs, read 2026-11-22.
    """
    if _NAME.fullmatch(name):
        return name
    plain = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")
    mark = sha256_of(name.encode()).hexdigest()[:8]
    if not plain:
        return f"answer_{mark}"
    return plain if len(plain) <= 64 else f"{plain[:55]}_{mark}"


def _is_object(schema: Mapping[str, Any]) -> bool:
    root = _without_root_reference(schema)
    kind = root.get("type")
    if kind is not None:
        return bool(kind == "object")
    return "properties" in root or not (
        {"anyOf", "oneOf", "enum", "const", "items", "prefixItems"} & set(root)
    )


def _without_root_reference(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its root's ``$ref`` resolved: vendors want ``"type": "object"`` there."""
    target = (
        schemas.pointed(schema, schema["$ref"]) if isinstance(schema.get("$ref"), str) else None
    )
    if not isinstance(target, Mapping):
        return dict(schema)
    rest = {name: value for name, value in schema.items() if name != "$ref"}
    return {**target, **rest}


def _why_not(text: str) -> str:
    try:
        json_text.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)[:200]
    return "nothing in it"


def _text(inner: Mapping[str, Any], name: str) -> str:
    value = inner.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInputError(
            f"response_format has a {name} of type {type(value).__name__}; expected text"
        )
    return value or ""


def with_instruction(
    messages: list[dict[str, Any]], wanted: Format, *, mode: str
) -> list[dict[str, Any]]:
    """
    The messages with what the mode needs in the system prompt; the user's own system message stays
    in front.

    For plain ``json_object`` nothing is added when the word is there already.
    """
    if mode == "json_schema":
        return messages
    if (
        wanted.schema is None
        and mode == "json_object"
        and any("json" in text_of(m.get("content")).lower() for m in messages)
    ):
        return messages
    text = wanted.instruction()
    for place, message in enumerate(messages):
        if message["role"] in ("system", "developer"):
            content = message.get("content")
            merged = {**message, "content": f"{text_of(content)}\n\n{text}"}
            if isinstance(content, list) and any("cache_control" in part for part in content):
                # What is behind the mark is not cached.
                merged["content"] = [*content, {"type": "text", "text": f"\n\n{text}"}]
            return [*messages[:place], merged, *messages[place + 1 :]]
    return [{"role": "system", "content": text}, *messages]


def parse(result: ChatResult, wanted: Format) -> list[str]:
    """
    Fill ``result.parsed``; returns the violations, none when all is well.

    Raises:
        OutputTruncatedError: the model ran out of tokens.
    """
    if result.tool_calls or result.refusal or result.finish_reason == "content_filter":
        return []
    if result.finish_reason == "length":
        error = OutputTruncatedError(
            f"the answer was cut after {result.usage.completion_tokens} tokens, before its JSON was complete: allow more"
            " max_tokens, or less thinking",
            content=result.content,
            provider=result.provider,
            model=result.model,
            request_id=result.request_id,
        )
        error.result = result
        raise error
    answer = wanted.read_answer(result.content)
    if answer.violations:
        result.parsed = None
        return answer.violations
    result.parsed = answer.value
    if answer.text != result.content:
        result.content = answer.text
        result.message = {**result.message, "content": answer.text}
    for note in wanted.plain.notes if wanted.plain else ():
        result.warnings.append({"feature": "response_format", "details": note})
    return []


def repair_turns(result: ChatResult, violations: list[str]) -> list[dict[str, Any]]:
    """What is said to the model that broke the schema."""
    listed = "\n".join(f"- {violation}" for violation in violations)
    return [
        {**result.message, "content": result.content or "(empty)"},
        {
            "role": "user",
            "content": f"That answer does not satisfy the JSON schema:\n{listed}\nAnswer again with the corrected JSON only.",
        },
    ]


def broken(result: ChatResult, violations: list[str]) -> StructuredOutputError:
    error = StructuredOutputError(
        f"the answer of {result.provider} does not satisfy response_format: {'; '.join(violations[:3])[:400]}",
        content=result.content,
        violations=violations,
        provider=result.provider,
        model=result.model,
        request_id=result.request_id,
    )
    error.result = result
    return error
