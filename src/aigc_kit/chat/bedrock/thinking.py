"""The wish to think, as each family of models on Bedrock takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.bedrock.draft import Draft
from aigc_kit.chat.thinking import Thinking, nearest
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import spelled

_EFFORT_FIELD = r".*(gpt-oss|deepseek|glm).*"
"""Models that read OpenAI's ``reasoning_effort`` itself."""
_CLAUDES = ("low", "medium", "high", "max")
ANSWER_TOKENS = 4096
"""Room for the answer above a thinking budget where the caller sets no limit."""
THINKING_TOKENS = 16_384
"""Room for thinking where neither a limit nor a budget is given."""
_EFFORT_BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}


def thinking_wish(extra: dict[str, Any], request: Draft) -> Thinking | None:
    """What the caller wants, by ``thinking`` or by OpenAI's ``reasoning_effort``."""
    wish, effort = extra.pop("thinking", None), extra.get("reasoning_effort")
    thinking = Thinking.read(wish)
    if thinking is not None or effort is None:
        if thinking is not None:
            extra.pop("reasoning_effort", None)
        if (
            isinstance(wish, Mapping)
            and thinking is not None
            and thinking.kind not in ("enabled", "disabled")
        ):
            request.fields["thinking"] = dict(
                wish
            )  # the vendor's own words ("adaptive", "between_tools")
        return thinking
    if request.fits(_EFFORT_FIELD):
        return None  # passed on as it is
    del extra["reasoning_effort"]
    if effort == "none":
        return Thinking(True, None, "disabled")
    if not isinstance(effort, str) or effort not in _EFFORT_BUDGETS:
        raise InvalidInputError(
            f"reasoning_effort must be one of none, {', '.join(_EFFORT_BUDGETS)}, got {spelled(effort)}"
        )
    return Thinking(False, _EFFORT_BUDGETS[effort], "enabled", effort)


def think(request: Draft, thinking: Thinking | None) -> None:
    if thinking is None:
        return
    model = request.call.model
    if "thinking" in request.fields:
        _without_sampling(request)
        if thinking.kind == "adaptive":
            request.inference.setdefault("maxTokens", THINKING_TOKENS + ANSWER_TOKENS)
    elif thinking.off and request.fits(models.CLAUDE_ALWAYS_THINKS):
        raise request.unsupported(f"{model} always thinks")
    elif thinking.off and request.fits(r".*sonnet-5[.-]5.*"):
        request.fields["thinking"] = {"type": "between_tools"}
        request.warn("thinking", f"sent as 'between_tools', the least that {model} takes")
    elif request.fits(models.CLAUDE_ADAPTIVE):
        _adaptive(request, thinking)
    elif request.fits(models.CLAUDE_BUDGET):
        _budget(request, thinking)
    elif request.fits(r".*nova-2.*"):
        _nova(request, thinking)
    elif not _by_table(request, thinking):
        request.warn("thinking", f"{model} is not known to take a switch; it was left out")


@dataclass(frozen=True)
class _Field:
    """Where models read an effort. ``off``: what switches it off, "" where nothing does."""

    models: str
    name: str
    efforts: tuple[str, ...]
    off: str = "none"
    is_inside: bool = False


_FIELDS = (
    _Field(r".*gpt-oss.*", "reasoning_effort", ("low", "medium", "high"), off=""),
    _Field(r".*glm-5[.-]3.*", "reasoning_effort", ("low", "high", "max"), off=""),
    _Field(r".*(deepseek\.v3|glm).*", "reasoning_effort", ("high",)),
    _Field(r".*qwen3.*", "reasoning_config", ("low", "high")),
    _Field(r"(.*\.)?openai\..*", "reasoning", ("low", "medium", "high"), is_inside=True),
    _Field(r".*grok.*", "reasoning", ("low", "medium", "high"), off="", is_inside=True),
)
"""Source: pydantic-ai and litellm 1.110.2, read 2026-11-25; the AWS user guide."""


def _by_table(request: Draft, thinking: Thinking) -> bool:
    """Send the wish to a model of the table; whether there is one."""
    field = next((each for each in _FIELDS if request.fits(each.models)), None)
    if field is None:
        return False
    if thinking.off and not field.off:
        request.warn(
            "thinking", f"{request.call.model} always thinks: sent as {field.efforts[0]!r}"
        )
    effort = field.off if thinking.off else nearest(thinking.effort, field.efforts)
    effort = effort or field.efforts[0]
    request.fields[field.name] = {"effort": effort} if field.is_inside else effort
    return True


def _without_sampling(request: Draft) -> None:
    """
    Claude takes neither while it thinks. Source: Anthropic's extended thinking page, 2026-11-22.
    """
    if not request.fits(models.CLAUDE):
        return
    for name in ("temperature", "topP"):
        if request.inference.pop(name, None) is not None:
            request.warn(name, f"left out: {request.call.model} takes none while it thinks")


def _adaptive(request: Draft, thinking: Thinking) -> None:
    request.fields["thinking"] = {"type": "disabled" if thinking.off else "adaptive"}
    if thinking.off:
        return
    _without_sampling(request)
    budget = thinking.budget or 0
    if thinking.level:
        efforts = _CLAUDES if request.fits(r".*4[.-]6.*") else (*_CLAUDES, "xhigh")
        request.fields["output_config"] = {"effort": nearest(thinking.level, efforts)}
    elif budget > 0:
        request.fields["output_config"] = {"effort": thinking.effort}
        request.warn(
            "thinking",
            f"{request.call.model} has efforts instead of a budget; {budget} tokens were sent as {thinking.effort!r}",
        )
    request.inference.setdefault("maxTokens", max(budget, THINKING_TOKENS) + ANSWER_TOKENS)


def _budget(request: Draft, thinking: Thinking) -> None:
    if thinking.off:
        request.fields["thinking"] = {"type": "disabled"}
        return
    budget = thinking.budget if thinking.budget is not None and thinking.budget > 0 else 4096
    tokens = max(budget, 1024)
    request.fields["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    limit = request.inference.get("maxTokens")
    if limit is None or limit <= tokens:
        request.inference["maxTokens"] = tokens + ANSWER_TOKENS
        request.warn(
            "max_tokens", f"sent as {tokens + ANSWER_TOKENS}: it must exceed the thinking budget"
        )
    _without_sampling(request)


def _nova(request: Draft, thinking: Thinking) -> None:
    if thinking.off:
        request.fields["reasoningConfig"] = {"type": "disabled"}
        return
    effort = nearest(thinking.effort, ("low", "medium", "high"))
    request.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}


def without_novas_limits(request: Draft) -> None:
    """Nova 2 takes none of them at high effort. Source: UKGovernmentBEIS/inspect_ai#3767."""
    config = request.fields.get("reasoningConfig")
    if not isinstance(config, Mapping) or config.get("maxReasoningEffort") != "high":
        return
    for name in ("maxTokens", "temperature", "topP"):
        if request.inference.pop(name, None) is not None:
            request.warn(name, f"left out: {request.call.model} takes none at high effort")
