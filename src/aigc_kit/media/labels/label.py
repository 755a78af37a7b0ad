"""
What a label says: the implicit label of GB 45438-2025, and whether a visible one is drawn.

Source: GB 45438-2025 (annex E), TC260 practice guide of 2025-08-28, the Measures of 2025-03-14
(cac.gov.cn c_1743654684782215), read 2026-11-25. Not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import spelled

Corner = Literal["bottom right", "bottom left", "top right", "top left"]
CORNERS: tuple[Corner, ...] = ("bottom right", "bottom left", "top right", "top left")
TEXT = "AI生成"

_LONGEST = 500
_VISIBLE = re.compile(r"(?=.*(AI|人工智能))(?=.*(生成|合成))", re.IGNORECASE | re.DOTALL)
_KINDS = {"generated": "1", "possibly": "2", "suspected": "3"}


@dataclass(frozen=True, kw_only=True)
class ContentLabel:
    """
    The label of an image that was generated.

    ``producer``: the service that offers the image to the public: its name, or its code
    (``001191110102MACQD9K64010000``). ``produce_id``: the producer's own id of this image; None: the
    vendor's request id, or the digest of the image. ``visible``: draw ``"AI生成"`` into the image;
    a text draws that one. ``corner``: where. ``kind``: ``"generated"``, ``"possibly"`` or
    ``"suspected"``. ``propagator``, ``propagate_id``: the platform that publishes it.
    ``reserved_1``, ``reserved_2``: security fields of both. ``keep_original``: store the image as the
    vendor gave it too: a label makes the signature of C2PA invalid.

    Raises:
        ConfigurationError: one of them makes no sense, or the visible text breaks the standard.
    """

    producer: str
    produce_id: str | None = None
    visible: bool | str = False
    corner: Corner = "bottom right"
    kind: Literal["generated", "possibly", "suspected"] = "generated"
    propagator: str = ""
    propagate_id: str = ""
    reserved_1: str = ""
    reserved_2: str = ""
    keep_original: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.producer, str) or not self.producer.strip():
            raise ConfigurationError(
                f"label: producer must be the name or the code of your service, got {spelled(self.producer)}"
            )
        for name in (
            "producer",
            "produce_id",
            "propagator",
            "propagate_id",
            "reserved_1",
            "reserved_2",
        ):
            value = getattr(self, name)
            if value is None and name == "produce_id":
                continue
            if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
                raise ConfigurationError(
                    f"label: {name} must be a text of at most {_LONGEST} printable characters, got {spelled(value)}"
                )
        if self.kind not in _KINDS:
            raise ConfigurationError(
                f"label: kind must be one of {', '.join(map(repr, _KINDS))}, got {spelled(self.kind)}"
            )
        if self.corner not in CORNERS:
            raise ConfigurationError(
                f"label: corner must be one of {', '.join(map(repr, CORNERS))}, got {spelled(self.corner)}"
            )
        self._check_visible()

    def _check_visible(self) -> None:
        if isinstance(self.visible, bool):
            return
        if (
            not isinstance(self.visible, str)
            or not _VISIBLE.match(self.visible)
            or len(self.visible) > 40
        ):
            raise ConfigurationError(
                f"label: visible must be True or a text with AI or 人工智能, and 生成 or 合成, such as {TEXT!r}"
                f" (GB 45438-2025, 4.3); got {spelled(self.visible)}"
            )

    @property
    def text(self) -> str:
        """What is drawn, "" where nothing is."""
        return TEXT if self.visible is True else self.visible or ""

    def fields(self, produce_id: str) -> dict[str, str]:
        """
        The members of the implicit label, all of them texts.

        Args:
            produce_id: of this image, where the label has none of its own.
        """
        return {
            "Label": _KINDS[self.kind],
            "ContentProducer": self.producer.strip(),
            "ProduceID": self.produce_id or produce_id,
            "ReservedCode1": self.reserved_1,
            "ContentPropagator": self.propagator,
            "PropagateID": self.propagate_id,
            "ReservedCode2": self.reserved_2,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON for the journal."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, known: Any) -> ContentLabel | None:
        """What ``to_dict`` made, None where it is not that."""
        if not isinstance(known, Mapping):
            return None
        names = cls.__dataclass_fields__
        try:
            return cls(**{name: known[name] for name in known if name in names})
        except (ConfigurationError, TypeError):
            return None
