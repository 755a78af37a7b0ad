"""
A schema as Bedrock's grammar takes it, or the reason why the grammar cannot say it.

Source: docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html and notes of live calls
in pydantic-ai and strands-agents, read 2026-11-22.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import schemas

_LEFT_OUT = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "maxItems",
        "$schema",
        "$id",
        "default",
        "title",
        "examples",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "$comment",
    }
)
"""
Bounds and notes: the answer is validated against the whole schema here, so nothing is lost without
them.
"""

_NOT_SAID = frozenset(
    {
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "propertyNames",
        "dependentSchemas",
        "dependentRequired",
        "dependencies",
        "contains",
        "prefixItems",
        "additionalItems",
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)
"""Keywords without which the schema means something else."""


def narrowed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Every object closed, bounds that the grammar refuses left out."""
    made = copy.deepcopy(dict(schema))
    for part in schemas.walk(made):
        for name in _LEFT_OUT & set(part):
            del part[name]
        if part.get("type") == "object" or "properties" in part:
            part["additionalProperties"] = False
        if isinstance(part.get("minItems"), int) and part["minItems"] > 1:
            del part["minItems"]
        if "const" in part and "enum" not in part:
            part["enum"] = [part.pop("const")]
    return made


def unsayable(schema: Mapping[str, Any]) -> str:
    """
    Why the grammar cannot say the schema, ``""`` when it can.

    Every object must be closed: an object with free keys could only be written as ``{}``, which is
    valid and wrong. Source: stdapi-ai/stdapi.ai#96, als-apg/osprey#204.
    """
    if schemas.is_recursive(schema):
        return "it refers to itself"
    for part in schemas.reachable(schema):
        missing = sorted(_NOT_SAID & set(part))
        if missing:
            return f"it has {', '.join(missing)}"
        if isinstance(part.get("items"), list):
            return "it has a tuple"
        if _has_free_keys(part):
            return "it has an object with free keys"
        if _is_composed(part):
            return "it puts an object together from several schemas"
        reference = part.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return f"it refers to {reference[:60]!r}"
    if any(_is_anything(part) for part in _leaves(schema)):
        return "it has a value of any type"
    return ""


def _has_free_keys(part: Mapping[str, Any]) -> bool:
    rest = part.get("additionalProperties")
    if rest is True or isinstance(rest, Mapping):
        return True
    kinds = part.get("type")
    is_object = kinds == "object" or (isinstance(kinds, list) and "object" in kinds)
    return (
        is_object
        and not part.get("properties")
        and rest is not False
        and "$ref" not in part
        and "anyOf" not in part
    )


def _is_composed(part: Mapping[str, Any]) -> bool:
    """
    Whether an object's properties stand in several schemas: closed one by one, they would refuse
    each other's.
    """
    others = [name for name in ("allOf", "anyOf", "$ref") if name in part]
    all_of = part.get("allOf")
    return ("properties" in part and bool(others)) or (
        isinstance(all_of, list) and len(all_of) + len(others) > 2
    )


def _leaves(schema: Mapping[str, Any]) -> list[Any]:
    """The schemas of values: those of properties and of items."""
    found: list[Any] = []
    for part in schemas.reachable(schema):
        properties = part.get("properties")
        found += properties.values() if isinstance(properties, Mapping) else ()
        if "items" in part:
            found.append(part["items"])
    return found


def _is_anything(part: Any) -> bool:
    if part is True:
        return True
    said = {"type", "$ref", "enum", "const", "anyOf", "allOf", "properties", "items"}
    return isinstance(part, Mapping) and not (said & set(part))
