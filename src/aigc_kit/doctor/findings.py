"""What a check finds, and the registry of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

Level = Literal["ok", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """
    One fact about this setup.

    ``code``: of ``texts.TEXTS``, stable. ``subject``: the provider, store or file that it is about.
    ``values``: what the text names; never a secret.
    """

    level: Level
    code: str
    subject: str = ""
    values: Mapping[str, str] = field(default_factory=dict[str, str])

    def text(self, language: str) -> str:
        """What was found."""
        from aigc_kit.doctor.texts import TEXTS

        return TEXTS[self.code].said(language).format_map(self._shown())

    def fix(self, language: str) -> str:
        """What to do about it, ``""`` when there is nothing to do."""
        from aigc_kit.doctor.texts import TEXTS

        return TEXTS[self.code].fix(language).format_map(self._shown())

    def _shown(self) -> dict[str, str]:
        return {"subject": self.subject, **self.values}


@dataclass
class Context:
    """
    What the checks look at. ``providers``: own names; ``chosen``: whether the user named them.
    ``dotenv``: what a ``.env`` file has, which the environment may shadow. ``store``: a store to
    test, or None. ``journal``: the directory of the journal, ``""`` for none.
    """

    providers: list[str]
    chosen: bool = False
    dotenv: Mapping[str, str] = field(default_factory=dict[str, str])
    store: Any = None
    journal: str = ""
    timeout: float = 20.0
    today: date = field(default_factory=date.today)


Check = Callable[[Context], Iterable[Finding]]

OFFLINE: dict[str, Check] = {}
ONLINE: dict[str, Check] = {}


def offline(name: str) -> Callable[[Check], Check]:
    """Register a check that sends nothing."""
    return lambda function: OFFLINE.setdefault(name, function)


def online(name: str) -> Callable[[Check], Check]:
    """Register a check that sends requests that cost nothing."""
    return lambda function: ONLINE.setdefault(name, function)


def path_at(text: str) -> Path | None:
    """The path that a variable names, None where no path can be like that."""
    try:
        found = Path(text).expanduser()
        found.exists()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, an unknown user's home
        return None
    return found


def masked(value: str) -> str:
    """A secret as a person may see it: its last four characters, of a short one none."""
    return f"***{value[-4:]}" if len(value) >= 20 else "***"
