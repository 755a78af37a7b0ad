"""
What vendors' error codes mean and what to do about them, in English and Chinese.

Nothing here is imported until a hint is read.
"""

from __future__ import annotations

from aigc_kit.hints.language import LANGUAGES, language
from aigc_kit.hints.lookup import Hint, explained, hint_for
from aigc_kit.hints.table import ROWS

__all__ = ["LANGUAGES", "ROWS", "Hint", "explained", "hint_for", "language"]
