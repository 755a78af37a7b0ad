"""Decoding pictures of strangers with Pillow: few formats, few pixels, no half files."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from aigc_kit.transport import sniff

if TYPE_CHECKING:
    import PIL.Image

MAX_PIXELS = 36_000_000
"""Ark's limit for one reference; the largest that any vendor here takes."""

MAX_FRAMES = 1000

FORMATS = {
    "image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF", "image/bmp": "BMP",
    "image/tiff": "TIFF", "image/avif": "AVIF",
}  # fmt: skip


class ImageFault(Exception):
    """What is wrong with a picture, as the end of a sentence that begins with what it is."""


def decode(data: bytes, *, max_pixels: int = 4 * MAX_PIXELS, at_least: int | None = None) -> PIL.Image.Image:
    """
    The decoded first frame.

    Args:
        at_least: pixels of the longer side that are enough; a JPEG is decoded no larger than needed for them.

    Raises:
        ImageFault: no picture, cut, broken, or more pixels than ``max_pixels``.
    """
    from PIL import Image

    mime = sniff.mime_type(data)
    if mime not in FORMATS:
        raise ImageFault("is no picture that can be decoded")
    width, height = sniff.dimensions(data)
    if width * height > max_pixels:  # before Pillow would warn about it, process-wide
        raise ImageFault(f"has {width}x{height} pixels; {max_pixels} in all are the limit")
    try:
        picture = Image.open(io.BytesIO(data), formats=(FORMATS[mime],))
        if picture.width * picture.height > max_pixels:
            raise ImageFault(f"has {picture.width}x{picture.height} pixels; {max_pixels} in all are the limit")
        if int(getattr(picture, "n_frames", 1)) > MAX_FRAMES:
            raise ImageFault(f"has more than {MAX_FRAMES} frames")
        if at_least and max(picture.size) > at_least:
            picture.draft(None, (at_least, at_least))  # the mode stays
        picture.load()
    except ImageFault:
        raise
    except Exception as error:
        if not isinstance(error, _decoding_failures()):
            raise
        raise ImageFault(f"cannot be decoded, it is cut or broken: {type(error).__name__}: {error}") from error
    if mime == "image/png" and b"IEND" not in data[-64:] and not _png_ends(data):
        raise ImageFault("is cut: the end of the PNG is missing")
    return picture


def _decoding_failures() -> tuple[type[Exception], ...]:
    from PIL import Image, UnidentifiedImageError

    return (
        UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError, MemoryError,
        struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError, OverflowError, EOFError, Warning,
        RuntimeError, ZeroDivisionError, AssertionError,
    )  # fmt: skip


def _png_ends(data: bytes) -> bool:
    """Whether an IEND chunk follows the others; data behind it does no harm."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False
