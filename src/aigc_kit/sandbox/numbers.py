"""Vectors and scores that a text always has, for models that only hash. Pure."""

from __future__ import annotations

import hashlib
import math
import random
from typing import Any


def tokens(text: str) -> int:
    """Tokens of a text: four ASCII characters or one other."""
    other = sum(not character.isascii() for character in text)
    return max((len(text) - other) // 4 + other, 1)


def vector(text: str, salt: str, size: int, *, of: int = 0) -> list[float]:
    """
    The vector of a text: always the same one, and another for another text or model.

    Args:
        of: numbers of the whole vector, whose length is 1; a part of it is shorter. 0: this many,
            so that its own length is 1.
    """
    seed = hashlib.sha256(f"{salt}\0{text}".encode()).digest()
    source = random.Random(seed)  # noqa: S311 - the same numbers each time are the purpose
    made = [source.random() - 0.5 for _ in range(max(size, of))]
    length = math.hypot(*made)
    return [number / length for number in made[:size]]


def ranked(query: Any, documents: Any, top_n: Any) -> list[tuple[int, float]] | None:
    """
    (place, score) of the documents that share the most words with the query, the best first; None
    where there is nothing to rank.
    """
    good = isinstance(documents, list) and documents and all(isinstance(d, str) for d in documents)
    if not isinstance(query, str) or not query or not good:
        return None
    scores = [(place, _score(query, document)) for place, document in enumerate(documents)]
    best = sorted(scores, key=lambda entry: -entry[1])
    return best[: top_n or len(best)]


def _score(query: str, document: str) -> float:
    wanted = _words(query)
    return round(len(wanted & _words(document)) / len(wanted | {""}), 6)


def _words(text: str) -> set[str]:
    """Words, and the characters of scripts without spaces."""
    return {*text.lower().split(), *(letter for letter in text if not letter.isascii())}
