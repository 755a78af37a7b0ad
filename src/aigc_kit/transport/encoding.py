"""Base64 as it is found in the wild, names in the other spelling, and bodies merged. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from aigc_kit.errors import InvalidInputError

if TYPE_CHECKING:
    import hashlib


def decode_base64(text: str) -> bytes:
    """
    The bytes of base64 in either alphabet, padded or not, wrapped or not, or inside of a ``data:``
    URI.

    Raises:
        ValueError: ``text`` is not base64, or a ``data:`` URI that is not base64.
    """
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise ValueError("a data: URI must be base64: 'data:image/png;base64,...'")
    compact = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{len(text)} characters are not base64: {error}") from None


def sha256_of(data: bytes | bytearray | memoryview) -> hashlib._Hash:
    """The hash object; ``hashlib`` loads OpenSSL, so it is imported when first needed."""
    import hashlib

    return hashlib.sha256(data)


def valid(text: str) -> str:
    """
    The text as Unicode: halves of a character that came in two pieces are one again, what has no
    other half is replaced.
    """
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def camel(name: str) -> str:
    """``snake_case`` as ``camelCase``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def snake(name: str) -> str:
    """``camelCase`` as ``snake_case``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    ``extra`` laid over ``base``, objects inside of objects too; None takes a field away. Neither is
    changed.
    """
    result = dict(base)
    for name, value in extra.items():
        if value is None:
            result.pop(name, None)
            continue
        inner = result.get(name)
        result[name] = (
            merged(inner, value)
            if isinstance(inner, dict) and isinstance(value, Mapping)
            else value
        )
    return result


def to_json(body: dict[str, Any]) -> bytes:
    """
    The body as the wire takes it.

    Raises:
        InvalidInputError: something in it is not JSON, a number is not finite, or a text is not
            valid Unicode.
    """
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"the request has a text that is not valid Unicode: a lone surrogate {error.object[error.start]!r}"
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"the request is not JSON: {error}") from None


BROKEN = object()


def quick_decoder() -> Callable[[bytes], Any]:
    """
    A decoder of JSON for many small values, twice as fast as ``json``; imported when first needed.

    It refuses some texts that ``json`` takes (half a character): after its ``ValueError`` ask
    ``loaded``.
    """
    from pydantic_core import from_json

    return cast(Callable[[bytes], Any], from_json)


def loaded(raw: bytes) -> Any:
    """
    The JSON value, or ``BROKEN``; not an exception, which would carry the whole text along as its
    context.

    Relays that split by bytes leave invalid UTF-8 and raw line breaks inside strings. Such a
    response is still read; U+FFFD replaces the invalid bytes.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        pass
    if raw.lstrip()[:1] not in (b"{", b"["):
        return BROKEN
    try:
        return json.loads(raw.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return BROKEN
