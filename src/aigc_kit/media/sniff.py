"""What bytes are, told from their first bytes: type and pixels, without decoding. Pure."""

from __future__ import annotations

import struct

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
}

HEIC = frozenset({"image/heic", "image/heif"})

_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}


def mime_type(data: bytes | bytearray | memoryview) -> str:
    """The image type of these bytes, or ``""`` when they are not a known image type."""
    head = bytes(data[:32])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    if (
        head[:2] == b"BM"
        and len(head) >= 26
        and struct.unpack_from("<I", head, 14)[0] in (12, 40, 52, 56, 64, 108, 124)
    ):
        return "image/bmp"
    return ""


def extension(mime: str) -> str:
    """A file suffix for an image type, ``.bin`` for others."""
    return _EXTENSIONS.get(mime, ".bin")


def dimensions(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels from the header; (0, 0) when it cannot be told."""
    try:
        reader = _READERS.get(mime_type(data))
        return reader(data) if reader else (0, 0)
    except (struct.error, IndexError):
        return 0, 0


def is_whole(data: bytes) -> bool:
    """
    Whether the end of the file is there, as far as its format marks one. Cheap; decodes nothing.
    """
    kind = mime_type(data)
    if kind == "image/png":
        return b"IEND\xaeB`\x82" in data[-65536:]
    if kind == "image/jpeg":
        return b"\xff\xd9" in data[-65536:]
    if kind == "image/webp":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    return bool(kind)


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return 0, 0


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if data[at] != 0xFF:
            return 0, 0
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if 0xD0 <= marker <= 0xD9 or marker == 0x01:
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        at += struct.unpack_from(">H", data, at)[0]


def _tiff(data: bytes) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack_from(order + "I", data, 4)[0]
    sides = {256: 0, 257: 0}
    for entry in range(struct.unpack_from(order + "H", data, at)[0]):
        tag, kind = struct.unpack_from(order + "HH", data, at + 2 + 12 * entry)
        if tag in sides:
            sides[tag] = struct.unpack_from(
                order + ("H" if kind == 3 else "I"), data, at + 10 + 12 * entry
            )[0]
    return sides[256], sides[257]


def _heif(data: bytes) -> tuple[int, int]:
    """The largest ``ispe`` box: a file has one for each tile and one for the whole."""
    best, at = (0, 0), data.find(b"ispe")
    while 0 <= at < 65536:
        width, height = struct.unpack_from(">II", data, at + 8)
        best = max(best, (width, height), key=lambda sides: sides[0] * sides[1])
        at = data.find(b"ispe", at + 4)
    return best


_READERS = {
    "image/png": _png,
    "image/gif": _gif,
    "image/bmp": _bmp,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
    "image/tiff": _tiff,
    "image/avif": _heif,
    "image/heic": _heif,
    "image/heif": _heif,
}
