"""The visible label: a line of text in a corner, at least a twentieth of the shorter side high."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

from aigc_kit import fonts
from aigc_kit.errors import ConfigurationError
from aigc_kit.media import pixels, sniff
from aigc_kit.media.decoding import FORMATS, MAX_PIXELS, ImageFault, decode, frames_of
from aigc_kit.media.labels.label import Corner

if TYPE_CHECKING:
    import PIL.Image

SHARE = 0.05
"""Of the shorter side: the least height of the letters. GB 45438-2025, 4.3."""

_QUALITY = {"image/jpeg": {"quality": 95, "subsampling": 0}, "image/webp": {"quality": 95}}
_WORD = re.compile(r"[!-~]+\s*|\s+|.[，。；：、！？）]*", re.DOTALL)
"""What stays in one line: a word of Latin letters, a Chinese letter with its punctuation."""
_MARGIN = 0.6
"""Of the text's height, to the edges."""


def check_font() -> None:
    """
    Raises:
        ConfigurationError: there is no font with Chinese letters.
    """
    if fonts.cjk_font(24) is None:
        raise ConfigurationError(
            "label: a visible label needs a font with Chinese letters, which this machine does not have: install aigc-kit[fonts]"
        )


def marked(data: bytes, text: str, corner: Corner) -> bytes:
    """
    The image with the text drawn into it, in its own format; Exif, XMP and color profile stay.

    Raises:
        ImageFault: it cannot be decoded or encoded, or is animated.
        ConfigurationError: there is no font.
    """
    check_font()
    kind = sniff.mime_type(data)
    form = FORMATS.get(kind, "")
    if form not in ("PNG", "JPEG", "WEBP"):
        raise ImageFault(f"is {kind or 'of an unknown type'}, which takes no label")
    if frames_of(data) > 1:
        raise ImageFault("is animated: the visible label would be in its first frame alone")
    image = pixels.plain(decode(data, max_pixels=MAX_PIXELS), own=True)
    kept: dict[str, Any] = {
        name: image.info[name] for name in ("exif", "icc_profile") if image.info.get(name)
    }
    drawn = _drawn(image, text, corner)
    out = io.BytesIO()
    try:
        drawn.save(out, form, **kept, **_QUALITY.get(kind, {}))
    except Exception as error:
        raise ImageFault(f"cannot be written as {kind}: {error}") from error
    return out.getvalue()


def _drawn(image: PIL.Image.Image, text: str, corner: Corner) -> PIL.Image.Image:
    from PIL import Image, ImageDraw

    tall = math.ceil(SHARE * min(image.size))
    font = _font_of(text, tall)
    outline = max(1, tall // 14)
    margin = math.ceil(tall * _MARGIN)
    whole, text = text, _in_lines(text, font, image.width - 2 * margin)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
        (0, 0), text, font=font, stroke_width=outline
    )
    wide, high = math.ceil(right - left), math.ceil(bottom - top)
    if high + 2 * margin > image.height:
        raise ImageFault(f"is too small for the visible label: {whole!r} does not fit into it")
    x = margin if "left" in corner else image.width - wide - margin
    y = margin if "top" in corner else image.height - high - margin
    page = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    layer = Image.new("RGBA", page.size, (0, 0, 0, 0))
    ImageDraw.Draw(layer).text(
        (x - left, y - top),
        text,
        font=font,
        fill=(255, 255, 255, 235),
        stroke_width=outline,
        stroke_fill=(0, 0, 0, 160),
    )
    made = Image.alpha_composite(page.convert("RGBA"), layer)
    return made if page.mode == "RGBA" else made.convert("RGB")


def _font_of(text: str, tall: int) -> Any:
    """
    A font in which the letters themselves, not their line, are at least ``tall`` high.

    Punctuation and flat letters (一) are as low in every font, and do not count.
    """
    size = max(tall, 8)
    while True:
        font = fonts.cjk_font(size)
        if font is None:
            raise ConfigurationError("label: a visible label needs aigc-kit[fonts]")
        heights = [_height(font, letter) for letter in text if letter.isalnum()]
        full = max(heights)
        if min(height for height in heights if 2 * height > full) >= tall:
            return font
        size += max(1, size // 20)


def _in_lines(text: str, font: Any, width: float) -> str:
    """
    The text broken into lines of at most this width, at spaces or between Chinese letters.

    Raises:
        ImageFault: a word is wider.
    """
    lines = [""]
    for word in _WORD.findall(text):
        if lines[-1] and font.getlength((lines[-1] + word).rstrip()) > width:
            lines.append("")
        lines[-1] += word if lines[-1] else word.lstrip()
        if font.getlength(lines[-1].rstrip()) > width:
            raise ImageFault(f"is too small for the visible label: {text!r} does not fit into it")
    return "\n".join(line.rstrip() for line in lines)


def _height(font: Any, letter: str) -> float:
    _, top, _, bottom = font.getbbox(letter)
    return float(bottom - top)
