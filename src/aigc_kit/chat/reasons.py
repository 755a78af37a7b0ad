"""Why an answer ended: the vendors' words for it in OpenAI's, and which of them are failures."""

from __future__ import annotations

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_NONE = frozenset({"", "null", "none", "finish_reason_unspecified"})
FAILURES = frozenset({"network_error", "insufficient_system_resource", "error"})
BROKEN_OFF = frozenset(
    {
        "unexpected_tool_call",
        "too_many_tool_calls",
        "missing_thought_signature",
        "language",
        "other",
        "escalation",
        "pup_limited_disabled",
        "image_other",
        "no_image",
    }
)
"""
Gemini's reasons that are not an end. Source: https://ai.google.dev/api/generate-content
(FinishReason), 2026-11-22.
"""


def stated(value: object) -> str:
    """
    The finish reason that a vendor gives, "" while it gives none.

    DashScope and its relays write ``"null"``, relays of Gemini the default of the enumeration.
    Source: https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope, read 2026-11-27.
    """
    return value if isinstance(value, str) and value.lower() not in _NONE else ""


def reason_of(word: str) -> str:
    """
    A vendor's finish reason in OpenAI's words where there is one, else the word itself in lower
    case.
    """
    lower = word.lower()
    return _REASONS.get(lower, lower)


def is_failure(reason: str) -> bool:
    """Whether the finish reason says that the vendor failed."""
    return reason in FAILURES or reason.startswith("malformed_")
