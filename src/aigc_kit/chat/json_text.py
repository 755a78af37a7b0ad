"""JSON as models write it: between words, in fences, twice, or encoded a second time. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
_THOUGHT = re.compile(
    r"\A\s*(?:<(think|thinking|thought|reasoning)>.*?</\1>|.*</think>)", re.DOTALL
)
_BROKEN = re.compile(r"\{\s*[\"'}]|\[\s*[\[{\"']")
"""The beginning of JSON or of a Python literal, in contrast to a brace or bracket in a sentence."""
_LOOSE = re.compile(r"\{\s*(//|/\*|#|[A-Za-z_$][\w$]*\s*:)")
"""The beginning of JavaScript: a comment or a bare name."""
_BRACKET = re.compile(r"[\[\]{}]")

_TWO_OBJECTS = re.compile(r"\}\s*\{")
_SPACES = re.compile(r"\s*")

_TRIES = 2000
"""
Places in a text where a value may begin that are tried; a text of braces alone would cost its
length squared.
"""


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refused)


def loads(text: str) -> Any:
    """
    Strict JSON: NaN and Infinity are not.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    return json.loads(text, parse_constant=_refused)


def values_in(text: str) -> Iterator[tuple[str, Any]]:
    """
    (source, value) of every object and array in a text, in order: the whole text, else the content
    of its fences, else whatever begins with a brace or bracket and parses.
    """
    whole = _parsed(text)
    if whole is not None:
        yield whole
        inner = _parsed(whole[1]) if isinstance(whole[1], str) else None
        if inner is not None:  # encoded a second time
            yield inner
        return
    body = text[_thought_ends(text) :]
    whole = _parsed(body)
    if whole is not None:
        yield whole
        return
    fenced = [found for found in map(_parsed, _FENCE.findall(body)) if found is not None]
    yield from fenced or _scanned(body)


def _thought_ends(text: str) -> int:
    thought = _THOUGHT.match(text)
    return thought.end() if thought else 0


def _parsed(text: str) -> tuple[str, Any] | None:
    stripped = text.strip()
    try:
        return stripped, loads(stripped)
    except (ValueError, RecursionError):
        pass
    if stripped[:1] not in ("{", "["):
        return None
    try:  # with line breaks inside of texts
        value = json.loads(stripped, strict=False, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return json.dumps(value, ensure_ascii=False), value


def _scanned(text: str) -> Iterator[tuple[str, Any]]:
    at, tries = 0, 0
    while tries < _TRIES:
        found = min(
            (place for place in (text.find("{", at), text.find("[", at)) if place >= 0), default=-1
        )
        if found < 0:
            return
        tries += 1
        try:
            value, end = _DECODER.raw_decode(text, found)
        except (ValueError, RecursionError):
            if _BROKEN.match(
                text, found
            ):  # cut or broken JSON: an object inside of it is not the answer
                return
            # An object inside of JavaScript is not the answer either; JSON behind it may be.
            at = _closed(text, found) if _LOOSE.match(text, found) else found + 1
            continue
        yield text[found:end], value
        at = end


def _closed(text: str, start: int) -> int:
    """Behind the bracket that closes the one at ``start``; the end of the text when none does."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket.group() in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def canonical(value: Any) -> str:
    """Equal for equal JSON values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def one_object(text: str) -> str:
    """
    Arguments of a call without what was written twice: ``{"a":1}{"a":1}`` and ``{}{"a":1}`` are
    ``{"a":1}``.

    Text that is anything else stays as it is, to the letter.
    """
    if not _TWO_OBJECTS.search(text):
        return text
    found: list[tuple[str, Any]] = []
    at = 0
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return text
        found.append((text[at:end], value))
        at = _SPACES.match(text, end).end()  # type: ignore[union-attr]
    filled = {canonical(value): source for source, value in found if value}
    if len(found) < 2 or len(filled) > 1:
        return text
    return next(iter(filled.values()), "{}")


def readable(text: str) -> str:
    """
    Arguments that are JSON but for line breaks inside of texts, or in a fence, as JSON; anything
    else stays as it is, to the letter.
    """
    stripped = text.strip()
    if not (stripped.startswith("```") or any(mark in stripped for mark in "\n\r\t")):
        return text
    try:
        json.loads(text)
        return text
    except (ValueError, RecursionError):
        fenced = _FENCE.fullmatch(stripped)
    try:
        value = json.loads(fenced[1] if fenced else stripped, strict=False)
    except (ValueError, RecursionError):
        return text
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else text


def mended(text: str, schema: Any) -> str:
    """
    Arguments without the second encoding that some models give them, and with integers where the
    schema asks for them.

    ``'"{\\\\"a\\\\": 1}"'`` becomes ``'{"a": 1}'``; a member whose schema is an object and whose
    value is its JSON text becomes that object; ``120000.0`` becomes ``120000`` where the schema
    says integer. Everything else stays as it was.
    """
    if '\\"' not in text and not text.startswith('"') and not _WHOLE_FLOAT.search(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    changed = False
    if isinstance(value, str):
        inner = _decoded(value, ("object",))
        if inner is None:
            return text
        value, changed = inner, True
    value, touched = _fitted(value, schema, schema, 0)
    return json.dumps(value, ensure_ascii=False) if changed or touched else text


_WHOLE_FLOAT = re.compile(r"\d\.0+(?!\d)|\d[eE]\+?\d")


def _fitted(value: Any, schema: Any, root: Any, depth: int) -> tuple[Any, bool]:
    """(the value as its schema wants it, whether anything changed)."""
    if depth > 50:
        return value, False
    schema = _resolved(schema, root)
    wanted = _types(schema)
    if isinstance(value, str) and wanted and "string" not in wanted:
        inner = _decoded(value, wanted)
        return (value, False) if inner is None else (inner, True)
    if (
        isinstance(value, float)
        and "integer" in wanted
        and "number" not in wanted
        and value.is_integer()
    ):
        return int(value), True
    changed = False
    if isinstance(value, dict) and isinstance(schema, Mapping):
        members = schema.get("properties")
        rest = schema.get("additionalProperties")
        for name, member in value.items():
            inner = members.get(name, rest) if isinstance(members, Mapping) else rest
            value[name], touched = _fitted(member, inner, root, depth + 1)
            changed = changed or touched
    if isinstance(value, list) and isinstance(schema, Mapping):
        for place, member in enumerate(value):
            value[place], touched = _fitted(member, schema.get("items"), root, depth + 1)
            changed = changed or touched
    return value, changed


def _resolved(schema: Any, root: Any) -> Any:
    for _ in range(10):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            break
        found = root
        for step in schema["$ref"].lstrip("#/").split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        schema = found
    if isinstance(schema, Mapping) and isinstance(schema.get("anyOf"), list):
        kinds = [
            each
            for each in (_resolved(each, root) for each in schema["anyOf"])
            if _types(each) != ("null",)
        ]
        return kinds[0] if len(kinds) == 1 else schema
    return schema


def _types(schema: Any) -> tuple[str, ...]:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, str):
        return (kind,)
    return tuple(kind) if isinstance(kind, list) else ()


def _decoded(text: str, wanted: tuple[str, ...]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    right = ("object" in wanted and isinstance(value, dict)) or (
        "array" in wanted and isinstance(value, list)
    )
    return value if right else None


def finite(value: Any) -> Any:
    """The value with None for every number that JSON cannot say."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
