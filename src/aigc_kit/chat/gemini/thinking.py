"""The wish to think, as a budget or a level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.gemini.draft import Draft, plain_value
from aigc_kit.chat.thinking import EFFORTS, Thinking
from aigc_kit.errors import InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import camel

_NO_MINIMAL = r"gemini-(3-pro|3\.1-pro|3\.[78]-flash|4-).*"
"""Source: the thinking page of ai.google.dev, quoted 2026-11-25."""


def think(request: Draft, generation: dict[str, Any], extra: dict[str, Any]) -> None:
    for name in ("max_completion_tokens", "max_output_tokens"):
        extra.pop(name, None)
    wish, effort = extra.pop("thinking", None), extra.pop("reasoning_effort", None)
    config = extra.pop("thinking_config", None)
    if config is not None:
        plain = plain_value(config)
        if not isinstance(plain, Mapping) or not all(isinstance(name, str) for name in plain):
            raise InvalidInputError("thinking_config must be a dict of the SDK's fields")
        generation["thinkingConfig"] = {camel(name): value for name, value in plain.items()}
        return
    thinking = Thinking.read(wish)
    if thinking is None and effort is None:
        return
    if effort is not None and effort not in EFFORTS:
        raise InvalidInputError(
            f"reasoning_effort must be one of {', '.join(EFFORTS)}, got {spelled(effort)}"
        )
    off = thinking.off if thinking else effort == "none"
    if request.fits(models.GEMINI_BUDGET):
        generation["thinkingConfig"] = _budget(request, thinking, effort, off=off)
    else:
        generation["thinkingConfig"] = _level(request, thinking, effort, off=off)


def _budget(request: Draft, thinking: Thinking | None, effort: Any, *, off: bool) -> dict[str, Any]:
    if off:
        if "pro" in models.bare(request.call.rules):
            raise UnsupportedFeatureError(
                f"{request.call.model} always thinks; its least budget is 128 tokens",
                provider="gemini",
                model=request.call.model,
            )
        return {"thinkingBudget": 0}
    budget = thinking.budget if thinking else None
    if budget is None:
        budget = {
            "minimal": 512,
            "low": 1024,
            "medium": 8192,
            "high": 24576,
            "xhigh": 24576,
            "max": 24576,
        }.get(str(effort), -1)
    return {"thinkingBudget": budget, "includeThoughts": True}


def _level(request: Draft, thinking: Thinking | None, effort: Any, *, off: bool) -> dict[str, Any]:
    model = request.call.model
    least = "LOW" if request.fits(_NO_MINIMAL) else "MINIMAL"
    if off:
        request.warn("thinking", f"{model} cannot stop thinking; it was sent as level {least}")
        return {"thinkingLevel": least}
    level = str(effort or "").upper()
    if level == "MINIMAL" and least != level:
        request.warn("reasoning_effort", f"{model} has no level MINIMAL; it was sent as LOW")
        level = "LOW"
    if thinking is not None and thinking.budget is not None and thinking.budget > 0:
        level = thinking.effort.upper()
        request.warn(
            "thinking",
            f"{model} has levels instead of a budget; {thinking.budget} tokens were sent as {level}",
        )
    if level in ("XHIGH", "MAX"):
        request.warn("reasoning_effort", f"{model} has no level {level}; it was sent as HIGH")
        level = "HIGH"
    config: dict[str, Any] = {"thinkingLevel": level} if level else {}
    return {**config, "includeThoughts": True}
