"""
JSON schemas: which draft judges them, what of them can be checked here, and what a vendor's grammar
can say. Pure.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.errors import InvalidInputError

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)


def children(schema: Any) -> Iterator[Any]:
    """
    The schemas directly inside of a schema. ``const``, ``enum``, ``default`` and ``examples`` are
    data.
    """
    if not isinstance(schema, Mapping):
        return
    for name in _MAPS:
        inner = schema.get(name)
        if isinstance(inner, Mapping):
            yield from inner.values()
    for name in (*_LISTS, "items"):
        inner = schema.get(name)
        if isinstance(inner, list):
            yield from inner
    for name in _SINGLE:
        inner = schema.get(name)
        if isinstance(inner, Mapping):
            yield inner


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and every schema inside of it."""
    pending = [schema]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            yield current
            pending += children(current)


def reachable(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """
    The schema and every schema that a value can meet: definitions only where a ``$ref`` leads to
    them.
    """
    pending: list[Any] = [schema]
    seen: set[str] = set()
    while pending:
        current = pending.pop()
        if not isinstance(current, dict):
            continue
        yield current
        pending += [
            child
            for name, child in _named_children(current)
            if name not in ("$defs", "definitions")
        ]
        reference = current.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            pending.append(pointed(schema, reference))


@dataclass
class Checked:
    """
    A schema that some draft accepts.

    ``schema``: a copy as given. ``notes``: what of it cannot be checked here.
    """

    schema: dict[str, Any]
    notes: list[str] = field(default_factory=list[str])
    _validator: Any = None

    def violations(self, value: Any) -> list[str]:
        """
        One line for each breach, ten at the most.

        Raises:
            InvalidInputError: the schema cannot be applied.
        """
        try:
            found = sorted(
                self._validator.iter_errors(value), key=lambda error: list(map(str, error.path))
            )
        except Exception as error:  # noqa: BLE001 - jsonschema and referencing raise many kinds
            raise InvalidInputError(
                f"response_format has a schema that cannot be applied: {str(error)[:200]}"
            ) from None
        return [f"at {error.json_path}: {error.message[:200]}" for error in found[:10]]


def checked(schema: Mapping[str, Any]) -> Checked:
    """
    The schema, judged by the draft that ``$schema`` names, else by the newest draft that accepts
    it.

    Raises:
        InvalidInputError: it is not a schema in any draft, or a ``$ref`` leads nowhere or in a
            circle.
    """
    try:
        plain = copy.deepcopy(dict(schema))
        json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
        draft = _draft_of(plain)
        _check_references(plain, draft)
        checkable, notes = _checkable(plain)
    except (TypeError, ValueError, RecursionError) as error:
        reason = getattr(error, "message", str(error))
        raise InvalidInputError(
            f"response_format has a schema that is not a JSON schema: {str(reason)[:200]}"
        ) from None
    from referencing import Registry

    # A registry of its own: jsonschema's default one would fetch what it does not know.
    return Checked(plain, notes, draft(checkable, registry=Registry()))


def _draft_of(schema: dict[str, Any]) -> Any:
    import jsonschema
    from jsonschema.validators import validator_for

    named = validator_for(schema, default=None) if isinstance(schema.get("$schema"), str) else None
    drafts = (
        [named]
        if named
        else [
            jsonschema.Draft202012Validator,
            jsonschema.Draft7Validator,
            jsonschema.Draft4Validator,
        ]
    )
    failure: Exception | None = None
    for draft in drafts:
        try:
            # Without its format checker, which would refuse every pattern that Python's re does not
            # know.
            draft.check_schema(schema, format_checker=None)
        except jsonschema.SchemaError as error:
            failure = failure or error
        else:
            return draft
    raise ValueError(getattr(failure, "message", str(failure)))


def _check_references(schema: dict[str, Any], draft: Any) -> None:
    """Every ``$ref`` leads to a place inside of the schema, and not in a circle."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012, specification_with

    dialect = draft.META_SCHEMA.get("$schema", "")
    specification = specification_with(dialect, default=DRAFT202012)
    resource = specification.create_resource(schema)
    _check_resource(resource, Registry().resolver_with_root(resource))


def _check_resource(resource: Any, resolver: Any) -> None:
    from referencing.exceptions import Unresolvable

    part, seen = resource.contents, list[str]()
    while isinstance(part, dict) and isinstance(part.get("$ref"), str):
        if part["$ref"] in seen:
            raise ValueError(f"$ref {part['$ref']!r} leads in a circle")
        seen.append(part["$ref"])
        try:
            part = resolver.lookup(part["$ref"]).contents
        except Unresolvable:
            raise ValueError(f"$ref {part['$ref']!r} leads nowhere inside of the schema") from None
    for inner in resource.subresources():
        _check_resource(inner, resolver.in_subresource(inner))


_NAMED_GROUP = r"\(\?<(?=[A-Za-z_])"
_ECMA_ONLY = (
    (r"\\[pP]\{[^}]*\}", r"\\w"),  # a Unicode property
    (r"\\u\{[0-9a-fA-F]+\}", "x"),
    (r"\\k<(\w+)>", r"(?P=\1)"),
    (r"\(\?<[=!]", "(?:"),  # a look-behind of any width
    (r"\[\^\]", "."),
    (r"\\c[A-Za-z]", "x"),
)
"""
Constructs of ECMA-262 that Python's re lacks, and what stands for them when a pattern is only
looked at.
"""


def _checkable(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(a copy whose patterns Python can apply, what had to be left unchecked)."""
    made = copy.deepcopy(schema)
    notes: list[str] = []
    for part in walk(made):
        if isinstance(part.get("pattern"), str):
            pattern = _python_pattern(part["pattern"])
            if pattern is None:
                notes.append(f"the pattern {part['pattern'][:80]!r} cannot be checked here")
                del part["pattern"]
            else:
                part["pattern"] = pattern
        if isinstance(part.get("patternProperties"), dict):
            for pattern in list(part["patternProperties"]):
                if _python_pattern(pattern) is None:
                    notes.append(f"patternProperties {pattern[:80]!r} cannot be checked here")
                    del part["patternProperties"][pattern]
    return made, notes


def _python_pattern(pattern: str) -> str | None:
    """
    The pattern of ECMA-262 in Python's dialect; None when Python has nothing like it.

    Raises:
        ValueError: it is not a pattern in either dialect.
    """
    named = re.sub(_NAMED_GROUP, "(?P<", pattern)
    for candidate in (pattern, named):
        if _compiles(candidate):
            return candidate
    for construct, stand_in in _ECMA_ONLY:
        named = re.sub(construct, stand_in, named)
    if not _compiles(named):
        raise ValueError(f"the pattern {pattern[:80]!r} is not a regular expression")
    return None


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a ``$ref`` leads back to a schema around it."""
    return _leads_back(schema, schema, {})


def _leads_back(part: Any, root: Mapping[str, Any], open_: dict[str, bool]) -> bool:
    """
    Args:
        open_: reference -> whether the walk is behind it; each is followed once.
    """
    if not isinstance(part, Mapping):
        return False
    reference = part.get("$ref")
    if isinstance(reference, str):
        if reference == "#" or open_.get(reference):
            return True
        if reference not in open_:
            open_[reference] = True
            if _leads_back(pointed(root, reference), root, open_):
                return True
            open_[reference] = False
    inner = [child for name, child in _named_children(part) if name not in ("$defs", "definitions")]
    return any(_leads_back(child, root, open_) for child in inner)


def _named_children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in schema:
        for child in children({name: schema[name]}):
            yield name, child


def pointed(root: Any, reference: str) -> Any:
    """What a local ``$ref`` (``#/$defs/a``) points to, or None."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/"):
        if step:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _reference_alone(part: dict[str, Any], root: dict[str, Any], *, inline: bool) -> None:
    """
    What stands beside a ``$ref`` is laid over a copy of its target, or left out where the schema
    refers to itself.
    """
    siblings = set(part) - {"$ref", "$defs", "definitions"}
    if not isinstance(part.get("$ref"), str) or not siblings:
        return
    target = pointed(root, part["$ref"])
    if inline and isinstance(target, dict):
        del part["$ref"]
        for name, value in copy.deepcopy(target).items():
            part.setdefault(name, value)
        return
    for name in siblings:
        del part[name]


def mfjs(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema in Moonshot's dialect: no keyword beside ``$ref``, ``type`` inside of ``anyOf``'s
    members, tuples as ``prefixItems``, no ``$schema``.

    Source: MoonshotAI/walle docs/mfjs-spec.md, vercel/ai#18921, lidge-jun/opencodex#2673, read
    2026-11-26.
    """
    made = copy.deepcopy({name: value for name, value in schema.items() if name != "$schema"})
    recursive = is_recursive(made)
    for part in walk(made):
        _reference_alone(part, made, inline=not recursive)
        kind = part.get("type")
        if kind is not None and isinstance(part.get("anyOf"), list):
            del part["type"]
            for member in part["anyOf"]:
                if isinstance(member, dict) and "$ref" not in member:
                    member.setdefault("type", kind)
        if isinstance(part.get("items"), list):
            part["prefixItems"] = part.pop("items")
    return made


_MOST_PARTS = 5000
"""Schemas inside of one that was inlined: references of references grow without end."""


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema with the target of each local ``$ref`` in its place; as it is where it refers to
    itself, or would become very large.
    """
    made = copy.deepcopy(dict(schema))
    if is_recursive(made):
        return made
    for count, part in enumerate(walk(made)):
        if count > _MOST_PARTS:
            return dict(schema)
        # A target may be a reference itself.
        while isinstance(target := pointed(made, str(part.get("$ref"))), dict):
            del part["$ref"]
            for name, value in copy.deepcopy(target).items():
                part.setdefault(name, value)
    if not any("$ref" in part for part in walk(made)):
        made = {name: value for name, value in made.items() if name not in ("$defs", "definitions")}
    return made


def in_dialect(schema: Mapping[str, Any], dialect: str) -> Mapping[str, Any]:
    """The schema as a back end takes it: ``"mfjs"``, ``"inlined"``, or ``""`` as it is."""
    if dialect == "mfjs":
        return mfjs(schema)
    return inlined(schema) if dialect == "inlined" else schema
