"""How results look in a notebook: no request by anybody, no signature and no large base64 in its file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aigc_kit.errors import InvalidReplyError
from aigc_kit.media.decoding import ImageFault, decode
from aigc_kit.media.pixels import plain
from aigc_kit.transport.addresses import shown

if TYPE_CHECKING:
    from aigc_kit.media.result import ImageResult

SIDE = 512
"""Pixels of the longer side of a preview, some ten kilobytes as WebP."""

LIMIT = 100_000
"""Bytes of a preview: noise, which compresses badly, is made coarser and smaller."""


def image_html(result: ImageResult) -> str:
    """A preview where the bytes are here, else the link; and what is known of the image."""
    return f"<figure style='margin:0'>{_preview(result)}{_caption(result)}</figure>"


def group_html(images: Iterable[ImageResult], errors: Iterable[BaseException]) -> str:
    shown_ones = "".join(map(image_html, images))
    failed = "".join(
        f"<li>{escape(type(error).__name__)}: {escape(str(error)[:300])}</li>" for error in errors
    )
    listed = f"<ul>{failed}</ul>" if failed else ""
    return f"<div style='display:flex;flex-wrap:wrap;gap:12px'>{shown_ones}</div>{listed}"


def chat_markdown(result: Any) -> str:
    """
    The answer as the markdown that it is, without HTML of its own; reasoning folded, calls listed.
    """
    parts = []
    if result.reasoning_content:
        thought = escape(result.reasoning_content)
        parts.append(f"<details><summary>reasoning</summary>\n\n{thought}\n\n</details>")
    parts.append(without_html(result.content or result.refusal))
    parts += [f"- `{call.name}({_inline(call.arguments)})`" for call in result.tool_calls]
    parts += [f"\n{image_html(image)}\n" for image in result.images]
    return "\n\n".join(part for part in parts if part)


def without_html(text: str) -> str:
    """Markdown whose tags are text; code stays as it is."""
    pieces = re.split(r"(```.*?(?:```|\Z)|`[^`\n]*`)", text, flags=re.DOTALL)
    return "".join(
        piece if at % 2 else re.sub(r"<(?=[A-Za-z/!?])", "&lt;", piece)
        for at, piece in enumerate(pieces)
    )


def _inline(text: str) -> str:
    short = text if len(text) <= 200 else text[:197] + "..."
    return short.replace("`", "'")


def _preview(result: ImageResult) -> str:
    data = _thumbnail(result)
    if data:
        return _img(f"data:image/webp;base64,{base64.b64encode(data).decode()}")
    if not result.url:
        return "<em>no image</em>"
    return _link(result.url)


def _img(source: str) -> str:
    return f'<img alt="" style="max-width:min(100%, {SIDE}px)" src="{source}">'


def _link(url: str) -> str:
    """
    A link to click, not an ``<img>``: a notebook that is opened fetches nothing.

    A query or a user is a signature or a password, and a notebook is saved and shared: such a URL is
    shown without them, as text.
    """
    text = escape(shown(url))
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[": no address at all
        return text
    if parts.query or parts.username is not None:
        return f"{text} <em>(signed URL; download() brings the image)</em>"
    if parts.scheme not in ("http", "https"):
        return text
    href = escape(url, quote=True)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{text}</a>'


def _thumbnail(result: ImageResult) -> bytes:
    """WebP of at most ``SIDE`` pixels, upright; ``b""`` without image bytes."""
    if not result.has_base64:
        return b""
    try:
        image = plain(decode(result.data, at_least=SIDE), own=True)
        image.info = {}  # labels and profiles may be larger than the preview
        for side, quality in ((SIDE, 75), (SIDE, 40), (SIDE // 2, 30)):
            image.thumbnail((side, side))
            out = io.BytesIO()
            image.save(out, "WEBP", quality=quality, alpha_quality=quality)
            if out.tell() <= LIMIT:
                return out.getvalue()
    except (ImageFault, InvalidReplyError, OSError, ValueError):
        pass  # what is displayed never fails: the result is still there
    return b""


def _caption(result: ImageResult) -> str:
    known = result.metadata
    sides = known.get("width"), known.get("height")
    size = f"{sides[0]} x {sides[1]}" if all(sides) else ""
    facts = [result.provider, known.get("model"), size, result.cost]
    told = " · ".join(escape(str(fact)) for fact in facts if fact)
    warnings = known.get("warnings")
    warned = "".join(
        f"<br>{escape(str(entry.get('feature')))}: {escape(str(entry.get('details')))}"
        for entry in (warnings if isinstance(warnings, list) else [])
        if isinstance(entry, dict)
    )
    return f"<figcaption style='font-size:small'>{told}{warned}</figcaption>"
