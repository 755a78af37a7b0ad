"""A chat/completions request in the making."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.chat.vendors import Vendor
from aigc_kit.errors import UnsupportedFeatureError


@dataclass
class Draft:
    """
    A body in the making.

    ``given``: parameters with a name of their own that are still to be placed; ``extra``: the
    caller's other fields.
    ``names``: tool names as this vendor takes them.
    """

    call: Call
    vendor: Vendor
    names: ToolNames
    origin: str = ""
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def unsupported(self, message: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(message, provider=self.vendor.name, model=self.call.model)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return self.vendor.matches(pattern, self.call.rules)
