"""
Vectors as the wire has them, checked, normalised and turned into what the caller wants. Pure but for
the import of numpy.

Inside of the wing a vector is an ``array`` of floats: a tenth of a list's memory, and its checks run
in C.
"""

from __future__ import annotations

import math
import sys
from array import array
from binascii import a2b_base64
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.transport.encoding import decode_base64


def vector_of(value: Any) -> array[float] | None:
    """
    The vector in a response: numbers, or base64 of little-endian float32. None when it is neither,
    is empty, or has a number that is not finite.

    Source: https://platform.openai.com/docs/api-reference/embeddings and openai 3.54
    ``lib/_parsing/_embeddings.py``, read 2026-11-25.
    """
    found = _packed(value) if isinstance(value, str) else _plain(value)
    # A sum with an infinity or a NaN in it is not finite: one pass, in C.
    if not found or not math.isfinite(sum(found)):
        return None
    return found


def _packed(text: str) -> array[float] | None:
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError:
        # Wrapped, url-safe or unpadded; what looks for that copies the text four times.
        try:
            raw = decode_base64(text)
        except ValueError:
            return None
    if len(raw) % 4:
        return None
    found = array("f", raw)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _plain(value: Any) -> array[float] | None:
    if not isinstance(value, list) or any(isinstance(number, bool) for number in value[:1]):
        return None
    try:
        return array("d", value)
    except (TypeError, OverflowError):
        return None


def length_of(vector: array[float]) -> float:
    """The Euclidean length."""
    return math.hypot(*vector)


def normalised(vector: array[float]) -> array[float]:
    """
    The vector with length 1; zeros stay zeros.

    In double precision: the square of a small float32 is zero.
    """
    length = length_of(vector)
    if not length:
        return vector
    return array("d", [number / length for number in vector])


def cut(vector: array[float], dimensions: int) -> array[float]:
    """The first numbers of a vector; meaningful for models that were trained for it."""
    return vector[:dimensions]


def lists(vectors: Sequence[array[float] | None]) -> list[list[float] | None]:
    return [None if vector is None else vector.tolist() for vector in vectors]


def checked_numpy() -> Any:
    """
    numpy, where it is installed.

    Raises:
        ConfigurationError: it is not.
    """
    try:
        return import_module("numpy")
    except ImportError as error:
        raise ConfigurationError(
            "as_numpy=True needs numpy: install 'aigc-kit[numpy]', or leave as_numpy out for lists"
        ) from error


def matrix(vectors: Sequence[array[float]], numpy: Any, dimensions: int) -> Any:
    """A float32 array with a row for each vector."""
    made = numpy.empty((len(vectors), dimensions), dtype=numpy.float32)
    for place, vector in enumerate(vectors):
        made[place] = vector
    return made
