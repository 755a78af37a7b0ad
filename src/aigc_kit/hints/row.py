"""What a row of the table is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    What one failure means.

    - ``vendor``: whose code it is: a provider's name, a dialect of ``lookup.DIALECTS``, ``"s3"`` for
      every store that speaks its protocol, or ``"any"``.
    - ``codes``: the vendor's codes, with ``*`` for any rest; case does not matter.
    - ``words``: a pattern that the message must have too, or alone where there are no codes.
    - ``kind``: instead of both, the class of ``aigc_kit.errors`` that this is for, where no other
      row fits.
    - ``cause`` and ``remedy``, each with its Chinese.
    - ``source`` and ``date``: where that was read, and when. A source that ends with
      ``(unverified)`` was not the vendor's own page.
    """

    vendor: str
    codes: tuple[str, ...] = ()
    words: str = ""
    kind: str = ""
    cause: str
    remedy: str
    cause_zh: str
    remedy_zh: str
    source: str
    date: str
