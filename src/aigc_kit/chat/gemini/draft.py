"""A generateContent request in the making."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader

VERTEX, DEVELOPER = "vertex", "developer"
"""
The two back ends; each refuses the other's signatures. Source: pydantic-ai, verified by live calls
2026-10-27.
"""


@dataclass
class Draft:
    """
    A request in the making.

    ``backend``: ``VERTEX`` or ``DEVELOPER``. ``names``: tool names as Gemini takes them.
    ``headers``: sent beside the body.
    ``vendor_ids``: call id -> the id that Gemini gave it.
    """

    call: Call
    backend: str
    names: ToolNames
    downloader: Downloader
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    vendor_ids: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def deadline(self) -> Deadline:
        return self.call.deadline

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return models.matches(pattern, self.call.rules)


def plain_value(value: Any) -> Any:
    """An object of the SDK as the JSON that it stands for."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value
