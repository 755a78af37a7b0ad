"""
A decoded image as everybody here works on it: upright, 8 bits, RGB, RGBA or L. One conversion for
references and renditions.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from aigc_kit.media.decoding import ImageFault

if TYPE_CHECKING:
    import PIL.Image

PLAIN = ("RGB", "RGBA", "L")
_ORIENTATION = 0x0112
_LARGEST_PROFILE = 1_000_000
"""
Bytes of a colour profile: Pillow opens no PNG with one above ``PngImagePlugin.MAX_TEXT_CHUNK``, a
mebibyte.
"""


def plain(image: PIL.Image.Image, *, own: bool = False) -> PIL.Image.Image:
    """
    The image upright and in one of ``PLAIN``, with its transparency.

    Its ``info`` keeps the labels (Exif, XMP) and a colour profile that fits the pixels.

    Args:
        own: the given image was decoded here and may be changed.

    Raises:
        ImageFault: its values mean nothing: not a number, or infinite.
    """
    made = _in_plain_mode(_upright(image))
    profile = made.info.get("icc_profile")
    if not profile or _fits(profile, made.mode):
        return made
    if made is image and not own:
        made = image.copy()
    made.info = {name: value for name, value in made.info.items() if name != "icc_profile"}
    return made


def is_turned(image: PIL.Image.Image) -> bool:
    """Whether its Exif says that the pixels have to be turned."""
    try:
        return image.getexif().get(_ORIENTATION, 1) not in (0, 1)
    except Exception:  # noqa: BLE001 - broken Exif makes no broken image
        return False


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import ImageOps

    if not is_turned(image):
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - broken Exif makes no broken image
        turned = image.copy()
        turned.info.pop("exif", None)
        return turned


def _in_plain_mode(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode in PLAIN and "transparency" not in image.info:
        return image
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.mode == "LAB":
        return _converted(image, "RGB", keep_profile=False)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    bands = image.getbands()
    if "A" in bands or "a" in bands or "transparency" in image.info:
        return _converted(image, "RGBA")
    return _converted(image, "L" if image.mode == "1" else "RGB")


def _converted(image: PIL.Image.Image, mode: str, *, keep_profile: bool = True) -> PIL.Image.Image:
    source = (
        image.convert("LA") if image.mode == "La" else image
    )  # Pillow converts it to nothing else
    made = source.convert(mode)
    dropped = {"transparency"} if keep_profile else {"transparency", "icc_profile"}
    made.info = {name: value for name, value in image.info.items() if name not in dropped}
    return made


def _from_deep(image: PIL.Image.Image) -> PIL.Image.Image:
    """
    More than 8 bits: scaled, where Pillow's own conversion clips.

    ``I;16`` is 0 to 65,535. ``I`` and ``F`` do not tell their range: 0 to 1 (``F``), to 255 or to
    65,535, whichever holds the largest value; another range is stretched.
    https://github.com/python-pillow/Pillow/issues/3011
    """
    values = image.convert("F") if image.mode == "F" else image.convert("I").convert("F")
    low, high = _range(values)
    top = 65_535.0 if image.mode.startswith("I;16") else _top(low, high, image.mode)
    start = 0.0 if top else low
    scale = 255.0 / (top or (high - low) or 1.0)
    made = values.point(lambda value: value * scale - start * scale + 0.5).convert("L")
    made.info = {
        name: value
        for name, value in image.info.items()
        if name not in ("transparency", "icc_profile")
    }
    return made


def _range(values: PIL.Image.Image) -> tuple[float, float]:
    low, high = (float(value) for value in values.getextrema())  # type: ignore[arg-type]
    total = sum(values.resize((1, 1), 4).getextrema())  # type: ignore[arg-type]  # one NaN is in the mean of all
    if not math.isfinite(low) or not math.isfinite(high) or not math.isfinite(float(total)):
        raise ImageFault("has values that are not finite numbers; convert it to 8 bits first")
    return low, high


def _top(low: float, high: float, mode: str) -> float:
    if low < 0 or high > 65_535:
        return 0.0
    if mode == "F" and high <= 1.0:
        return 1.0
    return 255.0 if high <= 255 else 65_535.0


def _from_cmyk(image: PIL.Image.Image) -> PIL.Image.Image:
    """Through its profile where it has a usable one; what comes is sRGB and carries none."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile[16:20] == b"CMYK":
        try:
            from PIL import ImageCms

            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except Exception:  # noqa: BLE001 - a broken profile, or a Pillow without colour management
            made = None
        if made is not None:
            made.info = {name: value for name, value in image.info.items() if name != "icc_profile"}
            return made
    return _converted(image, "RGB", keep_profile=False)


def _fits(profile: Any, mode: str) -> bool:
    wanted = b"GRAY" if mode == "L" else b"RGB "
    return (
        isinstance(profile, bytes) and profile[16:20] == wanted and len(profile) <= _LARGEST_PROFILE
    )
