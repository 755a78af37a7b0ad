"""Small pictures of every kind."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def make(
    form: str = "PNG", size: tuple[int, int] = (24, 16), mode: str = "RGB", **options: Any
) -> bytes:
    picture = Image.new(
        mode, size, 120 if mode in ("L", "P", "I;16") else (200, 120, 40, 255)[: len(mode)]
    )
    buffer = io.BytesIO()
    picture.save(buffer, format=form, **options)
    return buffer.getvalue()


def animated(form: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (24, 16), (shade, 0, 0)) for shade in (10, 90, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format=form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()
