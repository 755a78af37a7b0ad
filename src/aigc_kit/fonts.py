"""A font with Chinese letters: of an installed package, or of the system. Pillow's own has none."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_FILE = "NotoSansCJK-VF.otf.ttc"
"""Of ``aigc-kit[fonts]``: Noto Sans CJK under the SIL Open Font License, 20 MB."""
_SIMPLIFIED = 2
"""The place of simplified Chinese in the collection: JP, KR, SC, TC, HK."""

# Where common systems keep one.
_SYSTEM = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "STHeiti Light.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "unifont.otf",
)


@lru_cache(maxsize=64)
def cjk_font(size: int) -> FreeTypeFont | None:
    """
    A font of ``size`` pixels in which Chinese can be written, None where there is none.

    ``pip install "aigc-kit[fonts]"`` brings one to a machine without.
    """
    from PIL import ImageFont

    packaged = _packaged()
    if packaged is not None:
        font = ImageFont.truetype(str(packaged), size, index=_SIMPLIFIED)
        font.set_variation_by_axes([400])  # the file begins with its thinnest weight
        return font
    for name in _SYSTEM:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


@cache
def _packaged() -> Path | None:
    try:
        import manimgx_fonts_cjk
    except ImportError:
        return None
    path = Path(str(manimgx_fonts_cjk.__file__)).with_name(_FILE)
    return path if path.is_file() else None
