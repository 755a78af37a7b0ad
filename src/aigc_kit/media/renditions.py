"""
Smaller and lighter copies of an image: WebP, thumbnails. Bytes in, bytes out, with Pillow.

One decode for all of them; each is scaled from the smallest one before it that is still at least
twice as large, which is what Pillow's own ``reducing_gap`` does within one image. Nothing is
enlarged, and what needs no change is not encoded again.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.media import pixels, sniff
from aigc_kit.media.decoding import FORMATS, MAX_PIXELS, ImageFault, decode
from aigc_kit.settings import spelled

if TYPE_CHECKING:
    import PIL.Image

TYPES = ("image/webp", "image/jpeg", "image/png")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_GAP = 2.0
"""
How much larger than the result the image is that Lanczos works on; more looks no better and costs
more.
"""

_WEBP_SIDE = 16383
"""Pixels of one side that WebP can hold: libwebp 1.6.0 refuses one more, tried on 2026-11-25."""


_EXIF = b"Exif\0\0"
_JPEG_LABEL = 65_000
"""Bytes of Exif or XMP: one marker of a JPEG holds 65,533 (ITU T.81), its head included."""


@dataclass(frozen=True)
class Rendition:
    """
    A copy to make of each image.

    ``name``: 1 to 40 letters, digits, ``-`` and ``_``; its place in keys and in
    ``metadata["renditions"]``. ``side``: pixels of the longer side at most; None keeps the size.
    ``mime_type``: WebP, JPEG or PNG. ``quality``: 1 to 100, not for PNG.
    ``method``: WebP's effort, 0 (fast) to 6 (small); 1 costs a quarter to a half of Pillow's own 4,
    for a smooth image's file about a seventh larger and a grainy one's no larger (2 is neither: it
    makes grain much larger).

    Raises:
        ConfigurationError: one of them makes no sense.
    """

    name: str
    side: int | None = None
    mime_type: str = "image/webp"
    quality: int = 80
    method: int = 1

    def __post_init__(self) -> None:
        problem = ""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            problem = f"name must be 1 to 40 letters, digits, '-' and '_', got {spelled(self.name)}"
        elif self.side is not None and not _within(self.side, 1, _WEBP_SIDE):
            problem = f"side must be None or 1 to {_WEBP_SIDE} pixels, got {spelled(self.side)}"
        elif self.mime_type not in TYPES:
            problem = f"mime_type must be one of {', '.join(map(repr, TYPES))}, got {spelled(self.mime_type)}"
        elif not _within(self.quality, 1, 100):
            problem = f"quality must be 1 to 100, got {spelled(self.quality)}"
        elif not _within(self.method, 0, 6):
            problem = f"method must be 0 to 6, got {spelled(self.method)}"
        if problem:
            raise ConfigurationError(f"rendition {spelled(self.name)}: {problem}")

    @property
    def suffix(self) -> str:
        """What its storage key has in the place of the image's own ``.png``."""
        return f".{self.name}{sniff.extension(self.mime_type)}"


@dataclass(frozen=True)
class Rendered:
    """``data`` is the image's own bytes where nothing had to change."""

    rendition: Rendition
    data: bytes
    width: int
    height: int


def checked(renditions: Any) -> tuple[Rendition, ...]:
    """
    Raises:
        ConfigurationError: no sequence of ``Rendition``, or two of one name.
    """
    if isinstance(renditions, (str, bytes)) or not isinstance(renditions, Sequence):
        raise ConfigurationError(
            f"renditions must be a list like [Rendition('thumb', side=512)], got {spelled(renditions)}"
        )
    for found in renditions:
        if not isinstance(found, Rendition):
            raise ConfigurationError(
                f"renditions must be of aigc_kit.image.Rendition, got {spelled(found)}"
            )
    names = [found.name for found in renditions]
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise ConfigurationError(f"two renditions are called {sorted(double)[0]!r}")
    return tuple(renditions)


def render(data: bytes, renditions: Sequence[Rendition]) -> list[Rendered]:
    """
    Every rendition of the image, in the order asked for. Colours, transparency and the labels in
    Exif and XMP are kept.

    JPEG has no transparency: it is laid on white. Of an animation the first frame.

    Raises:
        InvalidInputError: ``data`` is not an image that can be decoded, or one of them cannot be
            made of it.
        ConfigurationError: ``renditions`` are none.
    """
    made, faults = attempted(data, checked(renditions))
    for fault in faults.values():
        raise InvalidInputError(f"the image {fault}")
    return made


def attempted(
    data: bytes, renditions: Sequence[Rendition]
) -> tuple[list[Rendered], dict[str, str]]:
    """(those that could be made, by name why the others could not)."""
    try:
        made, faults = _made(data, renditions)
    except ImageFault as error:
        return [], dict.fromkeys((one.name for one in renditions), str(error))
    except Exception as error:  # noqa: BLE001 - Pillow's conversions raise what they like
        said = f"cannot be scaled: {type(error).__name__}: {str(error)[:200]}"
        return [], dict.fromkeys((one.name for one in renditions), said)
    return [made[one.name] for one in renditions if one.name in made], faults


def _within(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _made(
    data: bytes, renditions: Sequence[Rendition]
) -> tuple[dict[str, Rendered], dict[str, str]]:
    from PIL import Image

    made: dict[str, Rendered] = {}
    faults: dict[str, str] = {}
    same = _same(data, renditions)
    for one in same:
        made[one.name] = Rendered(one, data, *sniff.dimensions(data))
    left = sorted(
        (one for one in renditions if one not in same), key=lambda one: -(one.side or _WEBP_SIDE)
    )
    if not left:
        return made, faults
    largest = left[0].side
    source = pixels.plain(
        decode(data, max_pixels=MAX_PIXELS, at_least=largest and int(largest * _GAP)), own=True
    )
    labels = _labels(source)
    source.info.clear()  # some formats would write what is left there
    scaled: list[PIL.Image.Image] = [source]
    for one in left:
        size = _fitted(source.size, one.side)
        base = min(
            (big for big in scaled if _covers(big.size, size)),
            key=lambda big: big.width,
            default=source,
        )
        image = base
        if size != base.size:
            image = base.resize(size, Image.Resampling.LANCZOS, reducing_gap=_GAP)
            scaled.append(image)
        try:
            made[one.name] = Rendered(one, _encoded(image, one, labels), *size)
        except ImageFault as error:
            faults[one.name] = str(error)
    return made, faults


def _same(data: bytes, renditions: Sequence[Rendition]) -> list[Rendition]:
    """Those that the image itself is: of its type, no smaller, neither turned nor animated."""
    from PIL import Image

    kind, size = sniff.mime_type(data), sniff.dimensions(data)
    found = [
        one
        for one in renditions
        if one.mime_type == kind and max(size) and _fitted(size, one.side) == size
    ]
    if found:
        with contextlib.suppress(Exception):  # what cannot be opened is for the decoder to tell
            head = Image.open(io.BytesIO(data), formats=(FORMATS[kind],))
            if int(getattr(head, "n_frames", 1)) == 1 and not pixels.is_turned(head):
                return found
    return []


def _labels(image: PIL.Image.Image) -> dict[str, Any]:
    labels = {
        name: image.info[name] for name in ("exif", "xmp", "icc_profile") if image.info.get(name)
    }
    if "exif" in labels and not labels["exif"].startswith(
        _EXIF
    ):  # WebP has it without, JPEG needs it
        labels["exif"] = _EXIF + labels["exif"]
    return labels


def _fitted(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    """The size with its longer side at most ``side``, in the same proportions."""
    longer = max(size)
    if side is None or longer <= side:
        return size
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def _covers(big: tuple[int, int], small: tuple[int, int]) -> bool:
    return big == small or (big[0] >= _GAP * small[0] and big[1] >= _GAP * small[1])


def _encoded(image: PIL.Image.Image, rendition: Rendition, labels: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = dict(labels)
    if rendition.mime_type == "image/webp":
        if max(image.size) > _WEBP_SIDE:
            raise ImageFault(
                f"has {image.width}x{image.height} pixels; WebP holds {_WEBP_SIDE} on a side"
            )
        options |= {"quality": rendition.quality, "method": rendition.method}
    elif rendition.mime_type == "image/jpeg":
        image = _on_white(image)
        options = {
            name: value
            for name, value in options.items()
            if name == "icc_profile" or len(value) <= _JPEG_LABEL
        }
        options |= {"quality": rendition.quality}
    elif "xmp" in options:
        options["pnginfo"] = _xmp_chunk(options.pop("xmp"))
    try:
        image.save(out, FORMATS[rendition.mime_type], **options)
    except Exception as error:
        raise ImageFault(
            f"cannot be written as {rendition.mime_type}: {type(error).__name__}: {error}"
        ) from error
    return out.getvalue()


def _on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import Image

    if image.mode != "RGBA":
        return image
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page


def _xmp_chunk(xmp: Any) -> Any:
    from PIL.PngImagePlugin import PngInfo

    chunk = PngInfo()
    with contextlib.suppress(UnicodeDecodeError):
        chunk.add_itxt("XML:com.adobe.xmp", xmp.decode() if isinstance(xmp, bytes) else str(xmp))
    return chunk
