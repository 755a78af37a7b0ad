"""A small value that satisfies a JSON schema, for a model that only echoes. Pure."""

from __future__ import annotations

from typing import Any

_DEEPEST = 12  # a schema may refer to itself


def instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """The simplest instance: first choices, shortest lengths, every property that is named."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {} if depth == 0 else "text"
    root = schema if root is None else root
    if isinstance(schema.get("$ref"), str):
        return instance(_target(schema["$ref"], root), root, depth + 1)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return instance(schema[word][0], root, depth + 1)
    return _of_type(_type(schema, depth), schema, root, depth)


def _target(reference: str, root: Any) -> Any:
    """What ``#/a/b`` refers to; ``{}`` where there is nothing."""
    target = root
    for step in reference.lstrip("#/").split("/"):
        target = target.get(step, {}) if isinstance(target, dict) else {}
    return target


def _type(schema: dict[str, Any], depth: int) -> Any:
    implied = "object" if "properties" in schema or depth == 0 else "string"
    kind = schema.get("type", implied)
    return kind[0] if isinstance(kind, list) else kind


def _of_type(kind: Any, schema: dict[str, Any], root: Any, depth: int) -> Any:
    if kind == "object":
        named = schema.get("properties") or {}
        return {name: instance(inner, root, depth + 1) for name, inner in named.items()}
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), 1)
        return [instance(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return "text" + "x" * max(int(schema.get("minLength", 0)) - 4, 0)
