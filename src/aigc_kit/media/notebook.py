"""How results look in a notebook: no request of ours, and no large base64 in its file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from aigc_kit.transport.addresses import scheme_of, shown

if TYPE_CHECKING:
    from aigc_kit.media.result import ImageResult

SIDE = 512
"""Pixels of the longer side of a preview; some ten kilobytes as WebP."""


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
    if result.has_base64:
        data = _thumbnail(result.data)
        if data:
            return _img(f"data:image/webp;base64,{base64.b64encode(data).decode()}")
    if scheme_of(result.url) in ("http", "https"):
        return _img(result.url)
    return escape(shown(result.url)) if result.url else "<em>no image</em>"


def _img(source: str) -> str:
    return f'<img alt="" style="max-width:min(100%, {SIDE}px)" src="{escape(source, quote=True)}">'


def _thumbnail(data: bytes) -> bytes:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.thumbnail((SIDE, SIDE))
            out = io.BytesIO()
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(
                out, "WEBP", quality=75
            )
    except (OSError, ValueError, Image.DecompressionBombError):
        return b""
    return out.getvalue()


def _caption(result: ImageResult) -> str:
    known = result.metadata
    size = f"{known['width']} x {known['height']}" if known.get("width") else ""
    facts = [result.provider, str(known.get("model") or ""), size, str(result.cost or "")]
    told = " · ".join(escape(fact) for fact in facts if fact)
    warned = "".join(
        f"<br>{escape(str(entry.get('feature')))}: {escape(str(entry.get('details')))}"
        for entry in known.get("warnings") or ()
        if isinstance(entry, dict)
    )
    return f"<figcaption style='font-size:small'>{told}{warned}</figcaption>"
