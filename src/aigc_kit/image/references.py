"""
Reference images: whatever an application has at hand -> checked bytes with a sniffed type.

Names and headers are never trusted. Pillow sees a file only when its first bytes are of an allowed
format, with our own pixel limit, and decodes it once to find out whether it is whole. What a vendor
cannot read is converted; what is too large for it is encoded again, and made smaller where nothing
else helps.
"""

from __future__ import annotations

import base64
import io
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_kit.errors import AIGCError, ReferenceImageError
from aigc_kit.image.base import ImageResult
from aigc_kit.media import pixels, sniff
from aigc_kit.media.decoding import FORMATS, MAX_PIXELS, ImageFault, can_decode, decode, first_jpeg
from aigc_kit.transport.encoding import decode_base64

if TYPE_CHECKING:
    import PIL.Image

MAX_BYTES = 64 * 1024 * 1024
MAX_DECODED = 4 * MAX_PIXELS
"""Pixels that are decoded to make them fewer."""

_LOSSLESS = frozenset({"image/png", "image/bmp", "image/tiff", "image/gif"})
_SMALL = 4_000_000
"""Bytes of pixels that PNG holds without much ado, whatever they came from."""

_QUALITIES = (92, 85)
_WAY_OUT = "convert it to JPEG or PNG first"


@dataclass(frozen=True)
class Limits:
    """
    What a vendor takes as references.

    ``count``: images at most. ``types``: mime types it reads. ``bytes``: of one image. ``total``:
    bytes of all of them together. ``public_addresses``: it fetches public https URLs by itself.
    ``shrink``: make what is too large smaller.
    """

    count: int
    types: frozenset[str]
    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS
    min_side: int = 1
    max_ratio: float = 1e9
    total: int = 1 << 40
    public_addresses: bool = False
    shrink: bool = False
    what: str = "the model"


@dataclass(frozen=True)
class Reference:
    """
    A reference as it will be sent: an ``address`` the vendor fetches, or ``data`` of type
    ``mime_type``.

    ``notes``: what was changed, beyond a type that the vendor cannot read.
    """

    address: str = ""
    data: bytes = b""
    mime_type: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

    def data_uri(self) -> str:
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode('ascii')}"


Fetch = Callable[[str], bytes]
"""address -> bytes; raises ``AIGCError``."""


def listed(references: Any) -> list[Any]:
    """One or a list of references, as a list."""
    if isinstance(
        references, (str, bytes, bytearray, memoryview, os.PathLike, ImageResult)
    ) or hasattr(references, "tobytes"):
        return [references]
    if isinstance(references, Iterable) and not hasattr(references, "read"):
        return list(references)
    if hasattr(references, "read"):
        raise ReferenceImageError(
            f"reference_images must be an image or a list of images, got a {type(references).__name__}: pass the bytes,"
            " .read(), or the path"
        )
    raise ReferenceImageError(
        f"reference_images must be an image or a list of images, got {type(references).__name__}"
    )


def resolve(
    references: Any,
    limits: Limits,
    fetch: Fetch,
    *,
    is_public: Callable[[str], bool] = lambda _: False,
) -> list[Reference]:
    """
    Checked references, in order.

    Args:
        references: one or a list of http(s) address, ``data:`` URI, bytes, path, PIL image or
            ``ImageResult``.
        is_public: whether an https address can be reached from anywhere; only such are passed on as
            addresses.

    Raises:
        ReferenceImageError: none, too many, or one that is unreachable, refused, too large, or no
            image.
    """
    items = listed(references)
    if not items:
        raise ReferenceImageError(
            "reference_images is empty: image_to_image needs at least one image"
        )
    if len(items) > limits.count:
        raise ReferenceImageError(
            f"{len(items)} reference images, and {limits.what} takes {limits.count or 'none'}"
            + (" at most" if limits.count else "; use text_to_image")
        )
    if limits.shrink:
        limits = replace(limits, bytes=min(limits.bytes, limits.total // len(items)))
    resolved: list[Reference] = []
    for index, item in enumerate(items):
        try:
            resolved.append(_resolve(item, limits, fetch, is_public))
        except (ImageFault, AIGCError) as error:
            raise ReferenceImageError(f"reference image {index}: {error}", index=index) from error
    together = sum(len(reference.data) for reference in resolved)
    if together > limits.total:
        raise ReferenceImageError(
            f"the reference images have {together} bytes together; {limits.what} takes {limits.total} in one request: pass"
            " fewer or smaller ones"
        )
    return resolved


def overlay(given: Any, limits: Limits, fetch: Fetch, *, over: Reference, what: str) -> Reference:
    """
    An image that lies over the first reference: PNG, of its size, with transparency.

    Args:
        over: the first reference, as it will be sent.
        what: the option's name.

    Raises:
        ReferenceImageError: several, no image, not transparent anywhere or of another size.
    """
    try:
        if isinstance(given, Iterable) and len(listed(given)) != 1:
            raise ImageFault(f"is {len(listed(given))} images: pass one")
        found = _resolve(
            listed(given)[0],
            replace(limits, types=frozenset({"image/png"})),
            fetch,
            lambda _: False,
        )
        _check_overlay(found, over)
    except (ImageFault, AIGCError) as error:
        raise ReferenceImageError(f"{what}: {error}") from error
    return found


def _check_overlay(found: Reference, over: Reference) -> None:
    image = decode(found.data)
    alpha = image.convert("RGBA").getchannel("A").getextrema()
    if alpha[0] == 255:
        raise ImageFault(
            "the image is opaque everywhere: make the area that is to be painted transparent"
            " (alpha 0), or leave the option out"
        )
    if not over.data:
        return
    size = decode(over.data).size
    if image.size != size:
        raise ImageFault(
            f"the image has {image.width}x{image.height} pixels, and the first reference image has"
            f" {size[0]}x{size[1]}: make them equal"
        )


def warnings_of(found: Iterable[Reference]) -> list[dict[str, str]]:
    """What was changed, as entries of a result's ``warnings``."""
    return [
        {"feature": "reference_images", "details": f"reference image {index} {note}"}
        for index, reference in enumerate(found)
        for note in reference.notes
    ]


def _resolve(
    item: Any, limits: Limits, fetch: Fetch, is_public: Callable[[str], bool]
) -> Reference:
    if isinstance(item, ImageResult):
        item = _content_of(item)
    if isinstance(item, str):
        return _from_text(item.strip(), limits, fetch, is_public)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return checked(bytes(item), limits, "the data")
    if isinstance(item, os.PathLike):
        return checked(_from_file(Path(item)), limits, f"the file {os.fspath(item)!r}")
    if hasattr(item, "tobytes") and hasattr(item, "save"):
        return _of_pil(item, limits)
    raise ImageFault(
        f"{type(item).__name__} is none of: http(s) URL, data: URI, bytes, pathlib.Path, PIL image, ImageResult"
    )


def _content_of(result: ImageResult) -> bytes | str:
    """The bytes of a result, or its URL where it has none."""
    if result.has_base64:
        return result.data
    if isinstance(result.url, str) and result.url:
        return result.url
    raise ImageFault("the ImageResult has neither bytes nor a URL")


def _from_text(
    text: str, limits: Limits, fetch: Fetch, is_public: Callable[[str], bool]
) -> Reference:
    """The reference behind a ``data:`` URI or an http(s) URL."""
    if text[:5].lower() == "data:":
        return checked(_from_data_uri(text), limits, "the data: URI")
    scheme = text.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise ImageFault(
            f"{text[:60]!r} is not an http(s) URL or a data: URI;"
            " pass a file as pathlib.Path, not as text"
        )
    if limits.public_addresses and scheme == "https" and is_public(text):
        return Reference(address=text)
    return checked(fetch(text), limits, "what the URL gave")


def _from_file(path: Path) -> bytes:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would hang, a device never end
            raise ImageFault(f"the file {str(path)!r} cannot be read: it is not a regular file")
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


def _of_pil(image: Any, limits: Limits) -> Reference:
    what = "the PIL image"
    try:
        made = pixels.plain(image)
        _check_sides(made, limits, what)
        return _fitted(made, limits, what, lossless=True)
    except ImageFault:
        raise
    except (OSError, ValueError, AttributeError, TypeError, SyntaxError) as error:
        raise ImageFault(f"{what} cannot be written as PNG: {error}") from error


def checked(data: bytes, limits: Limits, what: str) -> Reference:
    """
    The bytes as a reference that the vendor can read: as they are where it can, else converted or
    made smaller.

    Raises:
        ImageFault: not an image, broken, or beyond the limits.
    """
    if not data:
        raise ImageFault(f"{what} has 0 bytes")
    mime = sniff.mime_type(data)
    if mime not in FORMATS:
        raise ImageFault(
            f"{what} is not an image of a known type ({len(data)} bytes beginning with {data[:8]!r}); {_WAY_OUT}"
        )
    if mime in sniff.HEIC and mime in limits.types and len(data) <= limits.bytes:
        return Reference(data=data, mime_type=mime)
    if not can_decode(mime):
        raise ImageFault(
            f"{what} is {mime}, which {limits.what} does not read and Pillow cannot convert here; install pillow-heif"
            " (aigc-kit[heif]), or convert it to JPEG or PNG"
        )
    try:
        image = decode(data, max_pixels=MAX_DECODED if limits.shrink else limits.pixels)
        _check_sides(image, limits, what)
        single = mime == "image/jpeg" or int(getattr(image, "n_frames", 1)) == 1
        if mime in limits.types and single and image.mode != "CMYK" and not pixels.is_turned(image):
            whole = first_jpeg(data) if getattr(image, "n_frames", 1) > 1 else data
            if len(whole) <= limits.bytes and image.width * image.height <= limits.pixels:
                return Reference(data=whole, mime_type=mime)
        return _fitted(
            pixels.plain(image, own=True), limits, what, lossless=mime in _LOSSLESS, size=len(data)
        )
    except ImageFault as error:
        text = str(error)
        raise ImageFault(text if text.startswith(what) else f"{what} {text}") from error


def _check_sides(image: PIL.Image.Image, limits: Limits, what: str) -> None:
    width, height = image.size
    if min(width, height) < limits.min_side:
        raise ImageFault(
            f"{what} is {width}x{height}; {limits.what} needs at least {limits.min_side} pixels a side"
        )
    if max(width, height) > limits.max_ratio * min(width, height):
        raise ImageFault(
            f"{what} is {width}x{height}; {limits.what} takes ratios up to {limits.max_ratio:g}:1"
        )
    if width * height > limits.pixels and not limits.shrink:
        raise ImageFault(
            f"{what} has {width}x{height} pixels; {limits.pixels} in all are the limit of {limits.what}"
        )


def _fitted(
    image: PIL.Image.Image, limits: Limits, what: str, *, lossless: bool, size: int = 0
) -> Reference:
    """
    Encoded within the limits: without loss where that is small enough, then as JPEG or WebP, then
    with fewer pixels.

    Args:
        size: bytes of the file that it was read from.
    """
    first = image.size
    image = _scaled(image, math.sqrt(limits.pixels / (first[0] * first[1])))
    least = 0
    for data, mime, lossy in _encodings(image, limits, lossless=lossless):
        least = least or len(data)
        if len(data) <= limits.bytes:
            changed = image.size != first or (lossy and lossless) or (size > limits.bytes)
            note = f"was sent as {mime} of {image.width}x{image.height}: {limits.what} takes {limits.bytes} bytes"
            return Reference(data=data, mime_type=mime, notes=(note,) if changed else ())
        least = min(least, len(data))
    if not limits.shrink:
        raise ImageFault(
            f"{what} has {size or least} bytes; {limits.what} takes {limits.bytes} at most: make it smaller first"
        )
    while min(image.size) > max(limits.min_side, 16):
        image = _scaled(image, max(0.3, min(0.9, 0.95 * math.sqrt(limits.bytes / least))))
        data, mime, _ = list(_encodings(image, limits, lossless=False))[-1]
        least = len(data)
        if least <= limits.bytes:
            note = f"was made smaller, from {first[0]}x{first[1]} to {image.width}x{image.height}"
            return Reference(
                data=data,
                mime_type=mime,
                notes=(f"{note}: {limits.what} takes {limits.bytes} bytes",),
            )
    raise ImageFault(
        f"{what} cannot be made small enough; {limits.what} takes {limits.bytes} at most"
    )


def _scaled(image: PIL.Image.Image, factor: float) -> PIL.Image.Image:
    from PIL import Image

    if factor >= 1:
        return image
    size = max(1, int(image.width * factor)), max(1, int(image.height * factor))
    made = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    made.info = dict(image.info)
    return made


def _encodings(
    image: PIL.Image.Image, limits: Limits, *, lossless: bool
) -> Iterator[tuple[bytes, str, bool]]:
    """(bytes, type, whether something is lost), the best first."""
    raw = image.width * image.height * len(image.getbands())
    if raw <= _SMALL or (lossless and raw <= 16 * limits.bytes):
        yield _written(image, "PNG", compress_level=1), "image/png", False
        if not limits.shrink and lossless:
            return
    if image.mode == "RGBA" and "image/webp" not in limits.types:
        if raw > _SMALL and not (lossless and raw <= 16 * limits.bytes):
            yield _written(image, "PNG", compress_level=6), "image/png", False
        return
    for quality in _QUALITIES:
        if image.mode == "RGBA":
            yield _written(image, "WEBP", quality=quality, method=2), "image/webp", True
        else:
            yield _written(image, "JPEG", quality=quality), "image/jpeg", True


def _written(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    profile = image.info.get("icc_profile")
    image.save(out, form, icc_profile=profile, exif=b"", **options)
    return out.getvalue()
