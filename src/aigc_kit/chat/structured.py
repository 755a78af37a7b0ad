"""
``response_format``: native where the model has it, else the schema in the system prompt; always validated here.

The word "JSON" is in the prompt because OpenAI, DeepSeek and Qwen refuse ``json_object`` without it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat.base import ChatResult
from aigc_kit.chat.messages import text_of
from aigc_kit.errors import InvalidInputError, OutputTruncatedError, StructuredOutputError
from aigc_kit.settings import spelled

MODES = ("json_schema", "json_object", "prompt")
"""Native schema; native JSON with the schema in the system prompt; the system prompt alone."""

_FENCE = re.compile(r"\s*```[a-zA-Z]*\s*\n?(.*?)\n?\s*```\s*", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Format:
    """
    What the answer must be.

    ``schema``: a JSON schema, or None for any JSON object. ``build``: makes ``parsed`` from the decoded value.
    """

    name: str
    schema: dict[str, Any] | None
    description: str = ""
    strict: bool | None = None
    build: Callable[[Any], Any] | None = field(default=None, compare=False)

    @classmethod
    def read(cls, given: Any) -> Format | None:
        """
        From OpenAI's dict (``json_schema``, ``json_object``, ``text``) or a pydantic class; None for free text.

        Raises:
            InvalidInputError: it is none of them, or the schema is no JSON schema.
        """
        if given is None:
            return None
        if isinstance(given, type) and hasattr(given, "model_json_schema") and hasattr(given, "model_validate"):
            kind: Any = given
            try:
                schema = kind.model_json_schema()
            except Exception as error:
                raise InvalidInputError(
                    f"response_format is a class without a JSON schema: {str(error)[:200]}"
                ) from error
            return cls(kind.__name__, _checked(schema), build=kind.model_validate)
        kind = given.get("type") if isinstance(given, Mapping) else None
        if kind == "text":
            return None
        if kind == "json_object":
            return cls("object", None)
        inner = given.get("json_schema") if isinstance(given, Mapping) else None
        if kind == "json_schema" and isinstance(inner, Mapping) and isinstance(inner.get("schema"), Mapping):
            strict = inner.get("strict")
            return cls(
                _text_of(inner, "name") or "answer", _checked(inner["schema"]), _text_of(inner, "description"),
                strict if isinstance(strict, bool) else None,
            )  # fmt: skip
        raise InvalidInputError(
            "response_format must be {'type': 'json_schema', 'json_schema': {'name': ..., 'schema': {...}}},"
            f" {{'type': 'json_object'}}, {{'type': 'text'}} or a pydantic model class, got {spelled(given)[:120]}"
        )

    def instruction(self) -> str:
        """What goes into the system prompt where the vendor has no schema."""
        if self.schema is None:
            return "Answer with one JSON object and nothing else."
        schema = json.dumps(self.schema, ensure_ascii=False)
        return (
            "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON schema"
            f" ({self.name}{': ' + self.description if self.description else ''}):\n{schema}"
        )

    def read_answer(self, text: str) -> tuple[Any, list[str]]:
        """(the value, violations) of an answer; with violations the value is None."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return None, [f"it is no JSON: {error}"]
        if self.schema is None:
            if not isinstance(value, dict):
                return None, [f"it is no JSON object but {type(value).__name__}"]
            return value, []
        violations = _violations(value, self.schema)
        if violations:
            return None, violations
        if self.build is None:
            return value, []
        try:
            return self.build(value), []
        except Exception as error:
            if type(error).__name__ != "ValidationError" and not isinstance(error, ValueError):
                raise
            return None, [" ".join(str(error).split())[:500]]


def _text_of(inner: Mapping[str, Any], name: str) -> str:
    value = inner.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInputError(f"response_format has a {name} of type {type(value).__name__}; expected a text")
    return value or ""


def _checked(schema: Mapping[str, Any]) -> dict[str, Any]:
    import jsonschema

    try:
        plain = copy.deepcopy(dict(schema))
        json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
        jsonschema.Draft202012Validator.check_schema(plain)
        _check_references(plain)
    except (jsonschema.SchemaError, TypeError, ValueError, RecursionError) as error:
        reason = getattr(error, "message", str(error))
        raise InvalidInputError(f"response_format has a schema that is no JSON schema: {str(reason)[:200]}") from None
    return plain


def _check_references(schema: dict[str, Any]) -> None:
    """Every ``$ref`` leads to a place inside of the schema, and not in a circle."""
    from referencing.exceptions import Unresolvable

    resolver = _registry(schema).resolver(_HERE)
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        seen: list[str] = []
        while isinstance(part, dict) and isinstance(part.get("$ref"), str):
            if part["$ref"] in seen:
                raise ValueError(f"$ref {part['$ref']!r} leads in a circle")
            seen.append(part["$ref"])
            try:
                part = resolver.lookup(part["$ref"]).contents
            except Unresolvable:
                raise ValueError(f"$ref {part['$ref']!r} leads nowhere inside of the schema") from None


_HERE = "urn:schema"


def _registry(schema: dict[str, Any]) -> Any:
    """Knows this schema alone; jsonschema's own would fetch what it does not know."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    return (
        Registry()
        .with_resource(_HERE, DRAFT202012.create_resource(schema))
        .with_resource("", DRAFT202012.create_resource(schema))
    )


def _violations(value: Any, schema: dict[str, Any]) -> list[str]:
    import jsonschema

    try:
        found = sorted(
            jsonschema.Draft202012Validator(schema, registry=_registry(schema)).iter_errors(value),
            key=lambda error: list(map(str, error.path)),
        )
    except Exception as error:  # noqa: BLE001 - a reference inside of the schema that leads nowhere
        raise InvalidInputError(f"response_format has a schema that cannot be applied: {str(error)[:200]}") from None
    return [f"at {error.json_path}: {error.message[:200]}" for error in found[:10]]


def with_instruction(messages: list[dict[str, Any]], wanted: Format, *, mode: str) -> list[dict[str, Any]]:
    """
    The messages with what the mode needs in the system prompt; the user's own system message stays in front.

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
            merged = {**message, "content": f"{text_of(message.get('content'))}\n\n{text}"}
            return [*messages[:place], merged, *messages[place + 1 :]]
    return [{"role": "system", "content": text}, *messages]


def stripped(text: str) -> str:
    """The answer without a code fence around it."""
    found = _FENCE.fullmatch(text)
    return found.group(1) if found else text


def parse(result: ChatResult, wanted: Format) -> list[str]:
    """
    Fill ``result.parsed``; gives back the violations, none when all is well.

    Raises:
        OutputTruncatedError: the model ran out of tokens.
    """
    if result.tool_calls or result.refusal or result.finish_reason == "content_filter":
        return []
    if result.finish_reason == "length":
        error = OutputTruncatedError(
            f"the answer was cut after {result.usage.completion_tokens} tokens, before its JSON was complete: allow more"
            " max_tokens, or less thinking",
            content=result.content, provider=result.provider, model=result.model, request_id=result.request_id,
        )  # fmt: skip
        error.result = result
        raise error
    clean = stripped(result.content)
    result.parsed, violations = wanted.read_answer(clean)
    if not violations and clean != result.content:
        result.content = clean
        result.message = {**result.message, "content": clean}
    return violations


def repair_turns(result: ChatResult, violations: list[str]) -> list[dict[str, Any]]:
    """What is said to the model that broke the schema."""
    listed = "\n".join(f"- {violation}" for violation in violations)
    return [
        {**result.message, "content": result.content or "(empty)"},
        {"role": "user", "content": f"That answer does not satisfy the JSON schema:\n{listed}\nAnswer again with the corrected JSON only."},
    ]  # fmt: skip


def broken(result: ChatResult, violations: list[str]) -> StructuredOutputError:
    error = StructuredOutputError(
        f"the answer of {result.provider} does not satisfy response_format: {'; '.join(violations[:3])[:400]}",
        content=result.content, violations=violations, provider=result.provider, model=result.model,
        request_id=result.request_id,
    )  # fmt: skip
    error.result = result
    return error
