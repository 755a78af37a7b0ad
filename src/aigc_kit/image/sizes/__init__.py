"""
Sizes: what an application asks for, and what each model family accepts. Pure.
"""

from aigc_kit.image.sizes.gemini import (
    CANVASES,
    COMMON_CANVAS,
    Canvas,
    canvas_of,
    fit_gemini,
    gemini_pixels,
    pixels_of,
)
from aigc_kit.image.sizes.seedream import (
    FAMILIES,
    Family,
    family_of,
    fit_seedream,
    is_legal,
    nearest_legal,
    with_floor,
)
from aigc_kit.image.sizes.size import MAX_SIDE, POLICIES, Size, check_policy, parse, warning

__all__ = [
    "CANVASES",
    "COMMON_CANVAS",
    "FAMILIES",
    "MAX_SIDE",
    "POLICIES",
    "Canvas",
    "Family",
    "Size",
    "canvas_of",
    "check_policy",
    "family_of",
    "fit_gemini",
    "fit_seedream",
    "gemini_pixels",
    "is_legal",
    "nearest_legal",
    "parse",
    "pixels_of",
    "warning",
    "with_floor",
]
