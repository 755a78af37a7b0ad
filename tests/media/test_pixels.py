"""
One conversion for references and renditions: upright, 8 bits, with transparency, and without labels
that do not fit.
"""

from __future__ import annotations

import array
import io
import struct
from typing import Any

import pytest
from PIL import Image, ImageStat

from aigc_kit.media import pixels
from aigc_kit.media.decoding import ImageFault, can_decode, decode, first_jpeg
from tests.images import make

COLOURS = {
    "red": (220, 20, 20),
    "green": (20, 180, 20),
    "blue": (20, 20, 220),
    "white": (255, 255, 255),
}


def quadrants(width: int, height: int) -> Image.Image:
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), COLOURS["white"])
    image.paste(COLOURS["red"], (0, 0, width // 2, height // 2))
    image.paste(COLOURS["green"], (width // 2, 0, width, height // 2))
    image.paste(COLOURS["blue"], (0, height // 2, width // 2, height))
    return image


def corners(image: Image.Image) -> str:
    image = image.convert("RGB")
    wide, high = image.size
    places = [(x, y) for y in (high // 4, 3 * high // 4) for x in (wide // 4, 3 * wide // 4)]

    def nearest(place: tuple[int, int]) -> str:
        here: Any = image.getpixel(place)
        return min(
            COLOURS,
            key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], here, strict=True)),
        )

    return " ".join(map(nearest, places))


def cmyk_profile() -> bytes:
    """A small valid profile: a table with the colours of the 16 corners of CMYK."""
    table = b""
    for number in range(16):
        ink = [number >> shift & 1 for shift in (3, 2, 1, 0)]
        light = 1 - 0.35 * min(2, sum(ink[:3])) if not ink[3] else 0.05
        table += bytes(
            [round(255 * light), 128 + 30 * (ink[1] - ink[0]), 128 + 30 * (ink[2] - ink[1] // 2)]
        )
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if n % 4 == 0 else 0 for n in range(9)))
    data = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + straight * 4 + table + straight * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    words = b"desc" + bytes(4) + struct.pack(">I", 6) + b"drawn\0" + bytes(78)
    tags, body, at = b"", b"", 128 + 4 + 12 * 4
    for name, piece in (
        (b"desc", words),
        (b"cprt", b"text" + bytes(4) + b"x\0"),
        (b"wtpt", white),
        (b"A2B0", data),
    ):
        tags += name + struct.pack(">II", at + len(body), len(piece))
        body += piece + bytes(-len(piece) % 4)
    body = struct.pack(">I", 4) + tags + body
    head = (
        struct.pack(">I", 128 + len(body)) + bytes(4) + bytes.fromhex("02400000") + b"prtrCMYKLab "
    )
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", 63190, 65536, 54061)
    )
    return head + bytes(48) + body


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_every_type_alike(form: str, orientation: int) -> None:
    """The given image stays as it is."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    quadrants(64, 96).transpose(TURNS[orientation]).save(out, form, exif=exif)
    opened = Image.open(io.BytesIO(out.getvalue()))
    size = opened.size
    made = pixels.plain(opened)
    assert (made.size, corners(made)) == ((64, 96), "red green blue white")
    assert made.getexif().get(0x0112, 1) == 1
    assert opened.size == size


def deep(mode: str, kind: str, scale: float) -> Image.Image:
    values = [(n % 256) * scale for n in range(65536)]
    data = array.array(kind, [int(v) for v in values] if kind != "f" else values).tobytes()
    return Image.frombytes(mode, (256, 256), data)


@pytest.mark.parametrize(
    "image",
    [
        deep("I;16", "H", 257),
        deep("I", "i", 257),
        deep("I", "i", 1),
        deep("I", "i", 100_000),
        deep("F", "f", 1 / 255),
        deep("F", "f", 1),
        deep("F", "f", 257),
    ],
    ids=["I;16", "I to 65535", "I to 255", "I beyond", "F to 1", "F to 255", "F to 65535"],
)
def test_deep_values_are_scaled_instead_of_clipped(image: Image.Image) -> None:
    """https://github.com/python-pillow/Pillow/issues/3011"""
    made = pixels.plain(image)
    assert made.mode == "L"
    assert made.getextrema() == (0, 255)
    assert 126 < ImageStat.Stat(made).mean[0] < 129


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_mean_nothing_are_refused(bad: float) -> None:
    image = deep("F", "f", 1 / 255)
    image.putpixel((3, 3), bad)
    with pytest.raises(ImageFault, match="finite"):
        pixels.plain(image)


def test_cmyk_goes_through_its_profile() -> None:
    """An RGB image never carries a CMYK profile. https://github.com/cgwire/zou/issues/1188"""
    photo = quadrants(64, 64).convert("CMYK")
    photo.info["icc_profile"] = cmyk_profile()
    made = pixels.plain(photo)
    assert (made.mode, made.info.get("icc_profile")) == ("RGB", None)
    broken = quadrants(64, 64).convert("CMYK")
    broken.info["icc_profile"] = cmyk_profile()[:140]
    assert corners(pixels.plain(broken)) == "red green blue white"
    assert "icc_profile" not in pixels.plain(broken).info


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_profile_of_other_colours_is_dropped(mode: str) -> None:
    image = Image.new(mode, (8, 8))
    image.info["icc_profile"] = cmyk_profile()
    made = pixels.plain(image)
    assert "icc_profile" not in made.info
    assert "icc_profile" in image.info


@pytest.mark.parametrize(
    ("mode", "transparent"),
    [("RGB", (255, 0, 0)), ("L", 0), ("P", 0)],
)
def test_a_transparent_colour_becomes_transparency(mode: str, transparent: Any) -> None:
    """PNG's tRNS."""
    image = Image.new(mode, (8, 8), transparent if mode != "P" else 0)
    out = io.BytesIO()
    image.save(out, "PNG", transparency=transparent)
    made = pixels.plain(decode(out.getvalue()))
    assert made.mode == "RGBA"
    assert made.getpixel((1, 1))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    "mode", ["1", "LA", "La", "PA", "P", "RGBa", "RGBX", "YCbCr", "HSV", "LAB", "CMYK", "I;16B"]
)
def test_every_mode_has_a_plain_one(mode: str) -> None:
    image = Image.new(mode, (8, 8))
    assert pixels.plain(image).mode in pixels.PLAIN


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": Image.Exif()}])
def test_the_first_of_several_jpegs_is_what_it_was(options: dict[str, Any]) -> None:
    """MPO, and gain maps behind a photo."""
    first = make("JPEG", (200, 100), **options)
    assert first_jpeg(first + make("JPEG", (20, 10))) == first
    assert first_jpeg(first) == first
    assert first_jpeg(first[:-30]) == first[:-30]


def test_what_pillow_reads() -> None:
    assert can_decode("image/png")
    assert not can_decode("image/svg+xml")
