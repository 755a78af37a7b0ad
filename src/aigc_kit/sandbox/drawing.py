"""
Deterministic images: the same prompt and size give the same bytes, and the image shows its prompt.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

from aigc_kit.fonts import cjk_font


def draw(
    prompt: str, width: int, height: int, *, form: str = "PNG", note: str = "", salt: str = ""
) -> bytes:
    """
    An image of ``width`` x ``height`` pixels as ``"PNG"``, ``"JPEG"`` or ``"WEBP"``.

    ``note``: a line at the foot. ``salt``: makes another image of the same prompt.
    """
    from PIL import Image, ImageDraw

    seed = hashlib.sha256(f"{prompt}\0{salt}".encode(errors="replace")).digest()
    top, foot = (tuple(64 + value // 2 for value in seed[at : at + 3]) for at in (0, 3))
    strip = Image.new("RGB", (1, 64))
    for row in range(64):
        strip.putpixel(
            (0, row), tuple(a + (b - a) * row // 63 for a, b in zip(top, foot, strict=True))
        )
    image = strip.resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    reach = min(width, height)
    for at in range(6, 24, 3):
        x, y = width * seed[at] // 255, height * seed[at + 1] // 255
        radius = reach * (seed[at + 2] + 32) // 1600
        shade = tuple(255 - value for value in top) if at % 2 else foot
        pen.ellipse(
            (x - radius, y - radius, x + radius, y + radius),
            outline=shade,
            width=max(reach // 160, 1),
        )
    _write(pen, prompt, note, width, height)
    buffer = io.BytesIO()
    options: dict[str, Any] = (
        {"quality": 90} if form == "JPEG" else {"compress_level": 1} if form == "PNG" else {}
    )
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def _write(pen: Any, prompt: str, note: str, width: int, height: int) -> None:
    size = max(min(width, height) // 18, 8)
    font, has_all = _font(size)
    text = " ".join(prompt[:400].split())
    if not has_all:
        text = text.encode("latin-1", "backslashreplace").decode("latin-1")
    lines, line = [], ""
    for char in text:
        if line and pen.textlength(line + char, font=font) > width * 0.84:
            lines.append(line)
            line = ""
        line += char
    lines = [*lines, line][:8]
    y = (height - len(lines) * size * 1.35) / 2
    for entry in lines:
        _line(pen, (width * 0.08, y), entry, font)
        y += size * 1.35
    _line(pen, (width * 0.08, height - size * 1.6), note or f"{width} x {height}", font)


def _line(pen: Any, at: tuple[float, float], text: str, font: Any) -> None:
    pen.text((at[0] + 1, at[1] + 1), text, font=font, fill=(0, 0, 0))
    pen.text(at, text, font=font, fill=(255, 255, 255))


def _font(size: int) -> tuple[Any, bool]:
    """(a font, whether it has Chinese letters); without one they are written as escapes."""
    from PIL import ImageFont

    font = cjk_font(size)
    return (font, True) if font is not None else (ImageFont.load_default(size), False)
