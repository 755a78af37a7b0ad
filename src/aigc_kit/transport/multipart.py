"""``multipart/form-data`` (RFC 7578): fields as texts, and files with a name and a type. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import InvalidInputError

TYPE = "multipart/form-data"


@dataclass(frozen=True)
class File:
    """One part with bytes. ``field``: the form's name for it, ``"image[]"`` for one of several."""

    field: str
    name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """``fields``: JSON values; objects are written as ``outer[inner]``. ``files`` keep their order."""

    fields: Mapping[str, Any]
    files: tuple[File, ...] = ()

    def texts(self) -> dict[str, str | list[str]]:
        """
        The fields as a form has them: ``svg[model]``, ``tags[]``; None is left out.

        Raises:
            InvalidInputError: a field is not a JSON value, or not valid Unicode.
        """
        made: dict[str, str | list[str]] = {}
        for name, value in _flat(self.fields):
            _check(name + value)
            if name.endswith("[]"):
                known = made.setdefault(name, [])
                if isinstance(known, list):
                    known.append(value)
            else:
                made[name] = value
        return made

    def parts(self) -> list[tuple[str, tuple[str, bytes, str]]]:
        """The files as HTTP clients take them."""
        return [(file.field, (file.name, file.data, file.mime_type)) for file in self.files]


def _flat(fields: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        yield from _named(f"{within}[{key}]" if within else str(key), value)


def _named(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from _flat(value, name)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _named(f"{name}[]", inner)
    elif isinstance(value, str):
        yield name, value
    elif value is not None:
        yield name, _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    """true, false and plain numbers."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{name} cannot be sent as a form field: {type(value).__name__} is not a JSON value"
        ) from None


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"the request has a text that is not valid Unicode: a lone surrogate {text[error.start]!r}"
        ) from None
