"""A small value that satisfies a JSON schema, for models that are none. Pure."""

from __future__ import annotations

from typing import Any


def instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """The simplest instance: first choices, least lengths, every property that is named."""
    if not isinstance(schema, dict) or depth > 12:
        return {} if depth == 0 else "text"
    root = schema if root is None else root
    if isinstance(schema.get("$ref"), str):
        target: Any = root
        for step in schema["$ref"].lstrip("#/").split("/"):
            target = target.get(step, {}) if isinstance(target, dict) else {}
        return instance(target, root, depth + 1)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return instance(schema[word][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema or depth == 0 else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        named = schema.get("properties") or {}
        return {name: instance(inner, root, depth + 1) for name, inner in named.items()}
    if kind == "array":
        return [
            instance(schema.get("items", {}), root, depth + 1) for _ in range(max(int(schema.get("minItems", 1)), 1))
        ]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return "text" + "x" * max(int(schema.get("minLength", 0)) - 4, 0)
