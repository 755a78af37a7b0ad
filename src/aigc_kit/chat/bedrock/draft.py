"""A Converse request in the making."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.base import warning
from aigc_kit.chat.call import Call
from aigc_kit.chat.tool_names import ToolNames
from aigc_kit.errors import UnsupportedFeatureError
from aigc_kit.transport.download import Downloader


@dataclass
class Draft:
    """
    A request in the making.

    ``body``: keyword arguments of ``converse``. ``fields``: additionalModelRequestFields.
    ``names``: tool names as Bedrock takes them. ``has_grammar``: Bedrock can hold the model to a
    schema.
    """

    call: Call
    names: ToolNames
    downloader: Downloader
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    inference: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    documents: set[str] = field(default_factory=set[str])
    has_grammar: bool = False

    def warn(self, feature: str, details: str) -> None:
        entry = warning(feature, details)
        if entry not in self.warnings:
            self.warnings.append(entry)

    def fits(self, pattern: str) -> bool:
        """Whether the model is one of these."""
        return models.matches(pattern, self.call.rules)

    def unsupported(self, message: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(message, provider="bedrock", model=self.call.model)
