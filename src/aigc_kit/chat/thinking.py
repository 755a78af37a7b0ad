"""``thinking={"type": ..., "budget_tokens": n}``: one wish, understood by every dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled

_LOW, _MEDIUM = 2048, 12_000
"""
Budgets in tokens up to which an effort counts as low or medium, for models that have efforts
instead of budgets.
"""

_TYPES = ("enabled", "disabled", "adaptive", "auto", "between_tools")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From the least to the most."""


@dataclass(frozen=True)
class Thinking:
    """
    What the caller wants.

    ``off``: disabled, or a budget of 0. ``budget``: tokens, -1 for the model's own choice, None
    when not given.
    ``kind``: the wish's ``type`` as given. ``level``: the effort, where that was given.
    """

    off: bool
    budget: int | None
    kind: str
    level: str = ""

    @classmethod
    def read(cls, wish: Any) -> Thinking | None:
        """
        Raises:
            InvalidInputError: it is not ``{"type": ..., "budget_tokens": n}``.
        """
        if wish is None:
            return None
        if not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str):
            raise InvalidInputError(
                f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
            )
        if wish["type"] not in _TYPES:
            raise InvalidInputError(
                f"thinking's type must be one of {', '.join(map(repr, _TYPES))}, got {spelled(wish['type'])};"
                " extra_body={'thinking': ...} sends any other"
            )
        for name in wish:
            if name not in ("type", "budget_tokens") and ("budget" in str(name)):
                raise InvalidInputError(
                    f"thinking has no {spelled(name)}; did you mean 'budget_tokens'?"
                )
        budget = wish.get("budget_tokens")
        if budget is not None and (
            isinstance(budget, bool) or not isinstance(budget, int) or budget < -1
        ):
            raise InvalidInputError(
                f"thinking's budget_tokens must be a whole number of tokens, or -1 for the model's own choice; got {spelled(budget)}"
            )
        return cls(wish["type"] == "disabled" or budget == 0, budget, wish["type"])

    @property
    def effort(self) -> str:
        """The effort as it was given, else the one that stands for the budget."""
        if self.level:
            return self.level
        if self.budget is None or self.budget < 0:
            return "medium"
        if self.budget <= _LOW:
            return "low"
        return "medium" if self.budget <= _MEDIUM else "high"


def nearest(effort: str, known: Sequence[str]) -> str:
    """The effort among those that a model has which comes next to the one that is wanted; the higher of two."""
    if effort in known:
        return effort
    rank = {each: place for place, each in enumerate(EFFORTS)}
    return min(known, key=lambda each: (abs(rank[each] - rank[effort]), -rank[each]))
