"""The row of the table that fits an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from aigc_kit.hints.language import language as chosen
from aigc_kit.hints.table import ROWS, Row

DIALECTS = {
    "volcengine": "ark",
    "doubao": "ark",
    "seedream": "ark",
    "ark": "ark",
    "gemini": "google",
    "google": "google",
    "glm": "glm",
    "zhipu": "glm",
    "zai": "glm",
    "bedrock": "aws",
}
"""
Whose codes a provider has, where they are not OpenAI's. A relay passes on the codes of others, so
any provider that is not named here may have those of ``OPENAI``.
"""

_LONGEST = 2000
"""Characters of a message that patterns look at: a relay may put a whole page into it."""


@dataclass(frozen=True)
class Hint:
    """
    What a failure means. ``cause`` and ``remedy``: a sentence or two each, in ``language``.
    ``source``: where the vendor says so; ``date``: when that was read.
    """

    cause: str
    remedy: str
    language: str
    source: str
    date: str

    def __str__(self) -> str:
        gap = "" if self.language == "zh" else " "
        return f"{self.cause}{gap}{self.remedy}"


def hint_for(error: Any, language: str | None = None) -> Hint | None:
    """
    What is known about this error, or None.

    Args:
        error: an ``AIGCError``.
        language: ``"en"`` or ``"zh"``; unset: ``AIGC_KIT_LANG``, then the locale.
    """
    row = row_for(
        str(getattr(error, "provider", "")),
        str(getattr(error, "code", "") or ""),
        f"{getattr(error, 'reason', '')} {error}"[:_LONGEST],
        [kind.__name__ for kind in type(error).__mro__],
    )
    return None if row is None else told(row, chosen(language))


def explained(vendor: str, code: str) -> str:
    """What a vendor's code means, as the end of an English message; ``""`` when it is not known."""
    row = next((row for row in ROWS if row.vendor == vendor and _fits(row, code, "")), None)
    return "" if row is None else f"{row.cause} {row.remedy}".rstrip(".")


def told(row: Row, language: str) -> Hint:
    """The row in one language."""
    cause, remedy = (row.cause_zh, row.remedy_zh) if language == "zh" else (row.cause, row.remedy)
    return Hint(cause, remedy, language, row.source, row.date)


def row_for(provider: str, code: str, message: str, kinds: list[str]) -> Row | None:
    """
    The first row of the vendor's own that fits, else the first for anybody, else the class's.

    Args:
        kinds: names of the error's classes, its own first.
    """
    name = provider.lower()
    dialect = DIALECTS.get(name, "openai")
    if "StorageError" in kinds:
        name = dialect = "s3"
    for own in ((name, dialect), ("any",)):
        for row in ROWS:
            if row.vendor in own and _fits(row, code, message):
                return row
    by_kind = {row.kind: row for row in ROWS if row.kind}
    return next((by_kind[kind] for kind in kinds if kind in by_kind), None)


def _fits(row: Row, code: str, message: str) -> bool:
    if row.kind or not (row.codes or row.words):
        return False
    if row.codes and not any(fnmatchcase(code.lower(), known.lower()) for known in row.codes):
        return False
    return not row.words or re.search(row.words, message, re.IGNORECASE) is not None
