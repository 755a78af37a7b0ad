"""The wish to think, as each back end reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aigc_kit.chat.openai_compat.draft import Draft
from aigc_kit.chat.thinking import EFFORTS, Thinking, nearest
from aigc_kit.errors import InvalidInputError


def thinks(request: Draft, thinking: Thinking | None) -> bool:
    """Whether the model certainly thinks: it was told to, or cannot do otherwise."""
    switch = request.call.extra_body.get("enable_thinking", request.extra.get("enable_thinking"))
    if switch is not None:
        return bool(switch)
    told = thinking is not None and not thinking.off
    return told or request.fits(request.vendor.always_thinks)


def switch_off(request: Draft, why: str) -> None:
    way = request.vendor.thinking
    if way == "enable_thinking":
        if request.extra.setdefault("enable_thinking", False):
            return
    elif way in _SWITCHES:
        request.extra.update(_SWITCHES[way](Thinking(True, None, "disabled")))
    else:
        request.extra["thinking"] = {"type": "disabled"}
    request.warn("thinking", f"switched off: {why}")


def think(request: Draft, *, stream: bool) -> Thinking | None:
    """Send the wish as this vendor reads it; returns it."""
    vendor, model = request.vendor, request.call.model
    if vendor.thinking == "reasoning":
        _effort_as_reasoning(request)
    if vendor.thinking == "passed" and vendor.passes_fields:
        return _loosely(request.extra.get("thinking"))
    _check_effort(request)
    wish = request.extra.get("thinking")
    thinking = Thinking.read(wish)
    if thinking is None:
        if not stream and vendor.thinking == "enable_thinking":
            _quiet_outside_of_streams(request)
        return None
    if thinking.off and request.fits(vendor.always_thinks):
        raise request.unsupported(
            f"{model} always thinks; use reasoning_effort='low', or another model"
        )
    if vendor.thinking == "enable_thinking":
        _enable_thinking(request, thinking, stream=stream)
    elif vendor.thinking == "effort":
        _effort(request, thinking)
    elif vendor.thinking in _SWITCHES:
        _switch(request, thinking)
    elif request.fits(vendor.always_thinks):
        del request.extra["thinking"]
        request.warn("thinking", f"{model} always thinks; the switch was left out")
    else:
        _typed(request, wish, thinking)
    return thinking


def _check_effort(request: Draft) -> None:
    """
    Raises:
        UnsupportedFeatureError: no effort at all, of a model that always thinks.
    """
    vendor, effort = request.vendor, request.extra.get("reasoning_effort")
    known = next((levels for models, levels in vendor.efforts if request.fits(models)), ())
    if vendor.thinking == "effort" or not known or effort in known or effort not in EFFORTS:
        return
    if effort == "none" and request.fits(vendor.always_thinks):
        raise request.unsupported(
            f"{request.call.model} always thinks; use reasoning_effort={known[0]!r}, or another model"
        )
    request.extra["reasoning_effort"] = sent = nearest(effort, known)
    request.warn("reasoning_effort", f"{effort!r} was sent as {sent!r}: the model has no other")


def _loosely(wish: Any) -> Thinking | None:
    """The wish to a back end that nothing is known of: whatever it is, it is passed on."""
    try:
        return Thinking.read(wish)
    except InvalidInputError:
        return None


def _typed(request: Draft, wish: Any, thinking: Thinking) -> None:
    """``{"type": ...}`` without a budget."""
    if request.vendor.thinking == "adaptive" and not thinking.off:
        request.extra["thinking"] = {"type": "adaptive"}
        if thinking.budget is not None:
            request.warn("thinking", f"{request.vendor.name} has no budget_tokens; it was left out")
        return
    if thinking.budget is None:
        return
    request.extra["thinking"] = {
        name: value for name, value in wish.items() if name != "budget_tokens"
    }
    if thinking.off:
        request.extra["thinking"]["type"] = "disabled"
        return
    request.warn("thinking", f"{request.vendor.name} has no budget_tokens; it was left out")


def _enable_thinking(request: Draft, thinking: Thinking, *, stream: bool) -> None:
    del request.extra["thinking"]
    if not thinking.off and not stream and request.fits(request.vendor.thinks_streaming_only):
        raise request.unsupported(
            f"{request.call.model} thinks only while it streams: use chat_stream"
        )
    request.extra["enable_thinking"] = not thinking.off
    if thinking.budget and thinking.budget > 0:
        request.extra["thinking_budget"] = thinking.budget


def _quiet_outside_of_streams(request: Draft) -> None:
    vendor = request.vendor
    if request.fits(vendor.thinks_streaming_only) and not request.fits(vendor.always_thinks):
        switch_off(request, f"{request.call.model} thinks only while it streams")


def _effort_as_reasoning(request: Draft) -> None:
    """OpenRouter has one field for all; its highest effort is ``xhigh``."""
    effort = request.extra.pop("reasoning_effort", None)
    if effort is None:
        return
    given = request.extra.get("reasoning")
    own = {"effort": "xhigh" if effort == "max" else effort}
    request.extra["reasoning"] = {**own, **given} if isinstance(given, Mapping) else own


def _reasoning(thinking: Thinking) -> dict[str, Any]:
    """OpenRouter's own field."""
    if thinking.off:
        return {"reasoning": {"enabled": False}}
    if thinking.budget and thinking.budget > 0:
        return {"reasoning": {"max_tokens": thinking.budget}}
    return {"reasoning": {"effort": thinking.effort}}


_SWITCHES: dict[str, Callable[[Thinking], dict[str, Any]]] = {
    "reasoning": _reasoning,
    "reasoning switch": lambda thinking: {"reasoning": {"enabled": not thinking.off}},
    "prompt mode": lambda thinking: {} if thinking.off else {"prompt_mode": "reasoning"},
    "template": lambda thinking: {"chat_template_kwargs": {"enable_thinking": not thinking.off}},
}


def _switch(request: Draft, thinking: Thinking) -> None:
    """The wish as a field of the vendor's, unless that is there already."""
    del request.extra["thinking"]
    way = request.vendor.thinking
    if thinking.off:
        request.extra.pop("reasoning", None)
        if way == "reasoning switch":
            request.extra.pop("reasoning_effort", None)
    for name, value in _SWITCHES[way](thinking).items():
        given = request.extra.get(name)
        request.extra[name] = {**value, **given} if isinstance(given, Mapping) else value
    if way != "reasoning" and thinking.budget and thinking.budget > 0:
        request.warn("thinking", f"{request.vendor.name} has no budget_tokens; it was left out")


def _without_effort(request: Draft, thinking: Thinking) -> None:
    """A model that has no efforts where others have."""
    request.extra.pop("reasoning_effort", None)
    if request.fits(request.vendor.always_thinks):
        request.warn("thinking", f"{request.call.model} always thinks; the switch was left out")
    elif not thinking.off:
        raise request.unsupported(f"{request.call.model} does not think")


def _effort(request: Draft, thinking: Thinking) -> None:
    del request.extra["thinking"]
    model = request.call.model
    reasoners = request.vendor.refused_while_reasoning
    if reasoners and not request.fits(reasoners):
        if not thinking.off:
            raise request.unsupported(f"{model} does not think")
        return
    if request.extra.get("reasoning_effort") is not None and not thinking.off:
        return
    vendor = request.vendor
    known = next((levels for models, levels in vendor.efforts if request.fits(models)), ())
    if vendor.efforts and not known and not reasoners:
        _without_effort(request, thinking)
        return
    level = thinking.effort
    if thinking.off:
        level = known[0] if known else "none"
    elif "default" in known:
        level = "default"
    elif known and level not in known:
        level = min(known, key=lambda each: abs(EFFORTS.index(each) - EFFORTS.index(level)))
    request.extra["reasoning_effort"] = level
    request.warn("thinking", f"sent as reasoning_effort={level!r}")
