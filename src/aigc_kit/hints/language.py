"""Which language texts for people are in."""

from __future__ import annotations

import os

LANGUAGES = ("en", "zh")

_VARIABLES = ("AIGC_KIT_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""
The first that is set decides. POSIX gives the order of the last three; ``LANGUAGE`` is gettext's own
and lists several. Source: https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html.
"""


def language(explicit: str | None = None) -> str:
    """
    ``"en"`` or ``"zh"``: as given, else by ``AIGC_KIT_LANG``, else by the locale. Anything that is
    not Chinese is English.
    """
    if explicit is not None:
        return _of(explicit)
    for name in _VARIABLES:
        value = os.environ.get(name, "").strip()
        if value:
            return _of(value)
    return "en"


def _of(name: str) -> str:
    word = str(name).strip().lower()
    return "zh" if word.startswith(("zh", "cn", "chinese")) else "en"
