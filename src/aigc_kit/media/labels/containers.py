"""
Where PNG, JPEG and WebP have their XMP: read and written without touching the image itself.

Source: PNG 3 (W3C, 11.3.3.4), XMP part 3 (Adobe, 1.1.2 PNG, 1.1.3 JPEG), the WebP container
(developers.google.com/speed/webp/docs/riff_container), C2PA 2.4 embedding, read 2026-11-25.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from aigc_kit.media import sniff
from aigc_kit.media.decoding import ImageFault

_XMP_IN_PNG = b"XML:com.adobe.xmp"
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_PACKET = 65_502
"""Bytes of XMP that one segment of a JPEG holds, its head left out."""

_MOST_TEXT = 4_000_000


@dataclass(frozen=True)
class Piece:
    """A chunk of a PNG or WebP, or a segment of a JPEG: its name, its data, and where it is."""

    name: bytes
    data: bytes
    start: int
    end: int


def xmp_of(data: bytes) -> str:
    """The image's packet of XMP, "" where it has none or cannot be read."""
    kind = sniff.mime_type(data)
    for piece in pieces(data, kind):
        found = _xmp_in(piece, kind)
        if found is not None:
            return found.decode("utf-8", "replace")
    return ""


def with_xmp(data: bytes, text: str) -> bytes:
    """
    The image with this packet in the place of its own; every other byte stays.

    Raises:
        ImageFault: its type takes none, it is damaged, or the packet is too long for it.
    """
    kind = sniff.mime_type(data)
    packet = text.encode("utf-8", "replace")
    if kind == "image/png":
        return _png_with(data, packet)
    if kind == "image/jpeg":
        return _jpeg_with(data, packet)
    if kind == "image/webp":
        return _webp_with(data, packet)
    raise ImageFault(f"is {kind or 'of an unknown type'}, which takes no label")


def is_signed(data: bytes) -> bool:
    """Whether it has a manifest of C2PA: ``caBX`` of PNG, ``APP11`` of JPEG, ``C2PA`` of WebP."""
    kind = sniff.mime_type(data)
    return any(
        piece.name in (b"caBX", b"C2PA")
        or (piece.name == b"\xff\xeb" and b"jumb" in piece.data[:64])
        for piece in pieces(data, kind)
    )


def pieces(data: bytes, kind: str) -> Iterator[Piece]:
    """The pieces of the file up to where it is damaged."""
    if kind == "image/png":
        return _chunks(data)
    if kind == "image/jpeg":
        return _segments(data)
    return _riff(data) if kind == "image/webp" else iter(())


def _xmp_in(piece: Piece, kind: str) -> bytes | None:
    if kind == "image/png" and piece.name == b"iTXt":
        key, _, rest = piece.data.partition(b"\0")
        return _text_of(rest) if key == _XMP_IN_PNG else None
    if kind == "image/jpeg" and piece.name == b"\xff\xe1" and piece.data.startswith(_XMP_IN_JPEG):
        return piece.data[len(_XMP_IN_JPEG) :]
    return piece.data if kind == "image/webp" and piece.name == b"XMP " else None


def _text_of(rest: bytes) -> bytes:
    """The text of an ``iTXt`` behind its keyword: two flags, a language and a translated keyword."""
    packed = rest[:1] == b"\x01"
    *_, text = rest[2:].split(b"\0", 2)
    if not packed:
        return text
    try:
        return zlib.decompressobj().decompress(text, _MOST_TEXT)
    except zlib.error:
        return b""


# ---- PNG


def _chunks(data: bytes) -> Iterator[Piece]:
    at = 8
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        end = at + 12 + size
        if end > len(data):
            return
        yield Piece(data[at + 4 : at + 8], data[at + 8 : at + 8 + size], at, end)
        at = end


def _png_with(data: bytes, packet: bytes) -> bytes:
    body = _XMP_IN_PNG + b"\0\0\0\0\0" + packet
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"iTXt" + body))
    old = [
        piece
        for piece in _chunks(data)
        if piece.name == b"iTXt" and piece.data.startswith(_XMP_IN_PNG + b"\0")
    ]
    first = next((piece for piece in _chunks(data) if piece.name == b"IDAT"), None)
    if first is None:
        raise ImageFault("is a PNG without image data")
    kept = _without(data, old)
    moved = sum(piece.end - piece.start for piece in old if piece.start < first.start)
    return kept[: first.start - moved] + chunk + kept[first.start - moved :]


# ---- JPEG


def _segments(data: bytes) -> Iterator[Piece]:
    """Up to the image data."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:
            at += 2
            continue
        size = struct.unpack_from(">H", data, at + 2)[0]
        end = at + 2 + size
        if size < 2 or end > len(data):
            return
        yield Piece(data[at : at + 2], data[at + 4 : end], at, end)
        at = end


def _jpeg_with(data: bytes, packet: bytes) -> bytes:
    if len(packet) > JPEG_PACKET:
        raise ImageFault(
            f"has {len(packet):,} bytes of XMP, and a JPEG holds {JPEG_PACKET:,} of them"
        )
    segment = b"\xff\xe1" + struct.pack(">H", len(_XMP_IN_JPEG) + len(packet) + 2)
    segment += _XMP_IN_JPEG + packet
    old = [piece for piece in _segments(data) if _xmp_in(piece, "image/jpeg") is not None]
    kept = _without(data, old)
    at = 2
    for piece in _segments(kept):  # behind JFIF and Exif, which come first
        is_exif = piece.name == b"\xff\xe1" and piece.data.startswith(b"Exif\0")
        if piece.name != b"\xff\xe0" and not is_exif:
            break
        at = piece.end
    return kept[:at] + segment + kept[at:]


# ---- WebP


def _riff(data: bytes) -> Iterator[Piece]:
    at, whole = 12, min(len(data), int.from_bytes(data[4:8], "little") + 8)
    while at + 8 <= whole:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if at + 8 + size > whole:
            return
        yield Piece(data[at : at + 4], data[at + 8 : at + 8 + size], at, min(end, whole))
        at = end


def _webp_with(data: bytes, packet: bytes) -> bytes:
    found = list(_riff(data))
    image = next((piece for piece in found if piece.name in (b"VP8 ", b"VP8L", b"ANMF")), None)
    if image is None:
        raise ImageFault("is a WebP without image data")
    head = next((piece for piece in found if piece.name == b"VP8X"), None)
    flags = head.data[0] if head is not None else _alpha_of(image)
    width, height = sniff.dimensions(data)
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = bytes([flags | 0x04, 0, 0, 0]) + canvas
    kept = [piece for piece in found if piece.name not in (b"VP8X", b"XMP ")]
    body = _piece(b"VP8X", extended)
    body += b"".join(_piece(piece.name, piece.data) for piece in kept)
    body += _piece(b"XMP ", packet)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _alpha_of(image: Piece) -> int:
    """The flag of transparency, which a simple lossless file has in its own head."""
    if image.name != b"VP8L" or len(image.data) < 5:
        return 0
    return 0x10 if struct.unpack_from("<I", image.data, 1)[0] >> 28 & 1 else 0


def _piece(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def _without(data: bytes, old: list[Piece]) -> bytes:
    if not old:
        return data
    edges = [0, *(edge for piece in old for edge in (piece.start, piece.end)), len(data)]
    return b"".join(data[a:b] for number, (a, b) in enumerate(pairwise(edges)) if number % 2 == 0)
