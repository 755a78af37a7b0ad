"""Decoding untrusted images with Pillow: few formats, few pixels, no half files."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from aigc_kit.media import sniff

if TYPE_CHECKING:
    import PIL.Image

MAX_PIXELS = 36_000_000
"""Ark's limit for one reference; the largest that any vendor here takes."""

MAX_FRAMES = 1000

FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
}


def can_decode(mime: str) -> bool:
    """
    Whether Pillow reads this type here: HEIC with ``pillow-heif``, AVIF where it was built in.
    """
    from PIL import Image

    name = FORMATS.get(mime, "")
    if name in ("AVIF", "HEIF") and name not in Image.OPEN:
        Image.init()
        if name not in Image.OPEN:
            _register_heif()
    return name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF") or name in Image.OPEN


def _register_heif() -> None:
    """Let Pillow read HEIC where the application has installed pillow-heif (``aigc-kit[heif]``)."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


_WAY_OUT = "install pillow-heif (aigc-kit[heif]) or convert it to JPEG or PNG first"


class ImageFault(Exception):
    """What is wrong with an image, as the end of a sentence that begins with what it is."""


def decode(
    data: bytes, *, max_pixels: int = 4 * MAX_PIXELS, at_least: int | None = None
) -> PIL.Image.Image:
    """
    The decoded first frame.

    Args:
        at_least: pixels of the longer side that are enough; a JPEG is decoded no larger than needed
            for them.

    Raises:
        ImageFault: no image, cut, broken, or more pixels than ``max_pixels``.
    """
    mime = sniff.mime_type(data)
    if mime not in FORMATS:
        raise ImageFault("is not an image that can be decoded")
    if not can_decode(mime):
        raise ImageFault(f"is {mime}, which Pillow cannot read here; {_WAY_OUT}")
    _check_pixels(
        sniff.dimensions(data), max_pixels
    )  # before Pillow would warn about it, process-wide
    try:
        image = _loaded(data, FORMATS[mime], max_pixels, at_least)
    except ImageFault:
        raise
    except Exception as error:
        if not isinstance(error, _decoding_failures()):
            raise
        raise ImageFault(
            f"cannot be decoded, it is cut or broken: {type(error).__name__}: {error}"
        ) from error
    if mime == "image/png" and b"IEND" not in data[-64:] and not _png_ends(data):
        raise ImageFault("is cut: the end of the PNG is missing")
    return image


def frames_of(data: bytes) -> int:
    """How many frames an animation has; 1 for everything else, and for what cannot be read."""
    mime = sniff.mime_type(data)
    if mime == "image/jpeg" or mime not in FORMATS or not can_decode(mime):
        return 1  # an MPO file is a JPEG with extra images, not an animation
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=(FORMATS[mime],)) as head:
            return int(getattr(head, "n_frames", 1))
    except Exception as error:
        if not isinstance(error, _decoding_failures()):
            raise
        return 1


def _loaded(data: bytes, form: str, max_pixels: int, at_least: int | None) -> PIL.Image.Image:
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=(form,))
    _check_pixels(image.size, max_pixels)
    if int(getattr(image, "n_frames", 1)) > MAX_FRAMES:
        raise ImageFault(f"has more than {MAX_FRAMES} frames")
    if at_least and max(image.size) > at_least:
        image.draft(None, (at_least, at_least))  # the mode stays
    image.load()
    return image


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageFault(f"has {width}x{height} pixels; {max_pixels} in all are the limit")


def first_jpeg(data: bytes) -> bytes:
    """
    The first of several JPEGs in one file (MPO, Ultra HDR's gain map behind it), as it is.

    Source: ITU T.81, B.1.1: segments tell their length, a scan ends with the next marker that is
    not RST or a stuffed byte.
    """
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return data
        marker = data[at + 1]
        if marker == 0xD9:
            return data[: at + 2]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            at = _end_of_scan(data, at)
    return data


def _end_of_scan(data: bytes, at: int) -> int:
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2


def _decoding_failures() -> tuple[type[Exception], ...]:
    from PIL import Image, UnidentifiedImageError

    return (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        MemoryError,
        struct.error,
        zlib.error,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        EOFError,
        Warning,
        RuntimeError,
        ZeroDivisionError,
        AssertionError,
    )


def _png_ends(data: bytes) -> bool:
    """Whether an IEND chunk follows the others; data behind it does no harm."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False
