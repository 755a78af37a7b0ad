"""What labels a file has, in any of the forms in use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.media import sniff
from aigc_kit.media.labels import xmp
from aigc_kit.media.labels.containers import is_signed, pieces, xmp_of

_BARE = re.compile(rb'"?AIGC"?\s*:?\s*(\{[^{}]*\})')
_LOOKED_AT = 65_536


@dataclass(frozen=True, kw_only=True)
class Labels:
    """
    ``aigc``: the members of China's implicit label, ``{}`` where there is none; ``form``: where it
    was: ``"xmp"``, ``"png text"``, ``"exif"`` or ``"segment"``. ``source_type``: IPTC's digital source
    type, a URL. ``c2pa``: whether there is a manifest; whether it is valid is for C2PA's own tools.
    """

    aigc: dict[str, str] = field(default_factory=dict[str, str])
    form: str = ""
    source_type: str = ""
    c2pa: bool = False

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def read_labels(data: bytes) -> Labels:
    """
    The labels of an image file: those that ``ContentLabel`` writes, and those that vendors write.

    Source: TC260 practice guides, and files of Doubao, Jimeng, PicWish and Tencent as
    remove_ai_watermarks describes them, read 2026-11-25.
    """
    packet = xmp_of(data)
    aigc, form = _members(xmp.label_in(packet)), "xmp"
    for other, text in _elsewhere(data):
        if aigc:
            break
        aigc, form = _members(text), other
    return Labels(
        aigc=aigc,
        form=form if aigc else "",
        source_type=xmp.source_type_in(packet),
        c2pa=is_signed(data),
    )


def _elsewhere(data: bytes) -> Iterator[tuple[str, str]]:
    kind = sniff.mime_type(data)
    for piece in pieces(data, kind):
        name, body = piece.name, piece.data[:_LOOKED_AT]
        if name in (b"tEXt", b"iTXt") and body.startswith(b"AIGC\0"):
            yield "png text", body.rpartition(b"\0")[2].decode("utf-8", "replace")
        is_exif = name in (b"eXIf", b"EXIF") or (name == b"\xff\xe1" and body[:4] == b"Exif")
        is_segment = name[:1] == b"\xff" and 0xE0 <= name[1] <= 0xEF and not is_exif
        if is_exif or is_segment:
            for found in _BARE.findall(body.replace(b"\0", b"")):
                yield "exif" if is_exif else "segment", found.decode("utf-8", "replace")


def _members(text: str) -> dict[str, str]:
    """The label's members; of one inside of another object those of the inner one."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, dict) and isinstance(value.get("AIGC"), dict):
        value = value["AIGC"]
    if not isinstance(value, dict) or "Label" not in value:
        return {}
    return {str(name): str(member) for name, member in value.items()}
