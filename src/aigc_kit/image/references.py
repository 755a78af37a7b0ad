"""
Reference pictures: whatever an application has at hand -> checked bytes with a sniffed type.

Names and headers are never trusted. Pillow sees a file only when its first bytes are of an allowed format, with our
own pixel limit, and decodes it once to find out whether it is whole.
"""

from __future__ import annotations

import base64
import io
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_kit.errors import AIGCError, ReferenceImageError
from aigc_kit.image.base import ImageResult
from aigc_kit.media.decoding import FORMATS, MAX_PIXELS, ImageFault, decode
from aigc_kit.transport import sniff
from aigc_kit.transport.encoding import decode_base64

if TYPE_CHECKING:
    import PIL.Image

MAX_BYTES = 64 * 1024 * 1024
_OPAQUE = frozenset({"image/heic", "image/heif"})
"""Formats that Pillow cannot read by itself; they are passed on where the vendor can."""


@dataclass(frozen=True)
class Limits:
    """
    What a vendor takes as references.

    ``count``: pictures at most. ``types``: mime types it reads. ``bytes``: of one picture. ``public_addresses``: it
    fetches public https addresses by itself.
    """

    count: int
    types: frozenset[str]
    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS
    min_side: int = 1
    max_ratio: float = 1e9
    public_addresses: bool = False
    what: str = "the model"


@dataclass(frozen=True)
class Reference:
    """A reference as it will be sent: an ``address`` the vendor fetches, or ``data`` of type ``mime_type``."""

    address: str = ""
    data: bytes = b""
    mime_type: str = ""

    def data_uri(self) -> str:
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode('ascii')}"


Fetch = Callable[[str], bytes]
"""address -> bytes; raises ``AIGCError``."""


def listed(references: Any) -> list[Any]:
    """One or a list of references, as a list."""
    if isinstance(references, (str, bytes, bytearray, memoryview, os.PathLike, ImageResult)) or hasattr(
        references, "tobytes"
    ):
        return [references]
    if isinstance(references, Iterable):
        return list(references)
    raise ReferenceImageError(
        f"reference_images must be a picture or a list of pictures, got {type(references).__name__}"
    )


def resolve(
    references: Any, limits: Limits, fetch: Fetch, *, is_public: Callable[[str], bool] = lambda _: False
) -> list[Reference]:
    """
    Checked references, in order.

    Args:
        references: one or a list of http(s) address, ``data:`` URI, bytes, path, PIL picture or ``ImageResult``.
        is_public: whether an https address can be reached from anywhere; only such are passed on as addresses.

    Raises:
        ReferenceImageError: none, too many, or one that is unreachable, refused, too large, or no picture.
    """
    items = listed(references)
    if not items:
        raise ReferenceImageError("reference_images is empty: image_to_image needs at least one picture")
    if len(items) > limits.count:
        raise ReferenceImageError(
            f"{len(items)} reference pictures, and {limits.what} takes {limits.count or 'none'}"
            + (" at most" if limits.count else "; use text_to_image")
        )
    resolved: list[Reference] = []
    for index, item in enumerate(items):
        try:
            resolved.append(_resolve(item, limits, fetch, is_public))
        except (ImageFault, AIGCError) as error:
            raise ReferenceImageError(f"reference picture {index}: {error}", index=index) from error
    return resolved


def _resolve(item: Any, limits: Limits, fetch: Fetch, is_public: Callable[[str], bool]) -> Reference:
    if isinstance(item, ImageResult):
        if item.has_base64:
            item = item.data
        elif isinstance(item.url, str) and item.url:
            item = item.url
        else:
            raise ImageFault("the ImageResult has neither bytes nor an address")
    if isinstance(item, str):
        if item.startswith("data:"):
            return checked(_from_data_uri(item), limits, "the data: URI")
        scheme = item.partition("://")[0].lower()
        if scheme not in ("http", "https"):
            raise ImageFault(
                f"{item[:60]!r} is no http(s) address and no data: URI; pass a file as pathlib.Path, not as text"
            )
        if limits.public_addresses and scheme == "https" and is_public(item):
            return Reference(address=item)
        return checked(fetch(item), limits, "what the address gave")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return checked(bytes(item), limits, "the data")
    if isinstance(item, os.PathLike):
        return checked(_from_file(Path(item)), limits, f"the file {os.fspath(item)!r}")
    if hasattr(item, "tobytes") and hasattr(item, "save"):
        return checked(_from_pil(item), limits, "the PIL picture")
    raise ImageFault(
        f"{type(item).__name__} is none of: http(s) address, data: URI, bytes, pathlib.Path, PIL picture, ImageResult"
    )


def _from_file(path: Path) -> bytes:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would hang, a device never end
            raise ImageFault(f"the file {str(path)!r} cannot be read: it is no regular file")
        if facts.st_size > MAX_BYTES:
            raise ImageFault(f"the file {str(path)!r} has more than {MAX_BYTES} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageFault(f"the file {str(path)!r} cannot be read: {error}") from error


def _from_data_uri(uri: str) -> bytes:
    try:
        return decode_base64(uri)
    except ValueError as error:
        raise ImageFault(str(error)) from error


def _from_pil(picture: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        _plain_mode(picture).save(buffer, format="PNG")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ImageFault(f"the PIL picture cannot be written as PNG: {error}") from error
    return buffer.getvalue()


def checked(data: bytes, limits: Limits, what: str) -> Reference:
    """
    The bytes as a reference that the vendor can read, converted to PNG where it cannot.

    Raises:
        ImageFault: no picture, broken, or beyond the limits.
    """
    if not data:
        raise ImageFault(f"{what} has 0 bytes")
    mime = sniff.mime_type(data)
    if mime in _OPAQUE:
        if mime not in limits.types:
            raise ImageFault(f"{what} is {mime}, which {limits.what} does not read; convert it to JPEG or PNG")
        return _within_bytes(Reference(data=data, mime_type=mime), limits, what)
    if mime not in FORMATS:
        raise ImageFault(f"{what} is no picture of a known type ({len(data)} bytes beginning with {data[:8]!r})")
    try:
        picture = decode(data, max_pixels=limits.pixels)
    except ImageFault as error:
        raise ImageFault(f"{what} {error}") from error
    width, height = picture.size
    if min(width, height) < limits.min_side:
        raise ImageFault(f"{what} is {width}x{height}; {limits.what} needs at least {limits.min_side} pixels a side")
    if max(width, height) > limits.max_ratio * min(width, height):
        raise ImageFault(f"{what} is {width}x{height}; {limits.what} takes ratios up to {limits.max_ratio:g}:1")
    animated = int(getattr(picture, "n_frames", 1)) > 1
    if mime in limits.types and not animated and picture.mode != "CMYK":
        return _within_bytes(Reference(data=data, mime_type=mime), limits, what)
    return _within_bytes(Reference(data=_converted(picture), mime_type="image/png"), limits, what)


def _within_bytes(reference: Reference, limits: Limits, what: str) -> Reference:
    if len(reference.data) > limits.bytes:
        raise ImageFault(
            f"{what} has {len(reference.data)} bytes; {limits.what} takes {limits.bytes} at most, make it smaller first"
        )
    return reference


def _converted(picture: PIL.Image.Image) -> bytes:
    """PNG of the first frame, turned as its EXIF says (the tag itself is lost with the conversion)."""
    from PIL import ImageOps

    buffer = io.BytesIO()
    _plain_mode(ImageOps.exif_transpose(picture)).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _plain_mode(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode in ("RGB", "RGBA", "L", "LA"):
        return picture
    alpha = picture.mode in ("PA", "RGBa", "La") or "transparency" in picture.info
    return picture.convert("RGBA" if alpha else "RGB")
