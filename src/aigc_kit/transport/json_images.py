"""
JSON with images in it, read in one pass: the long base64 of a ``"data"`` member is decoded while it
arrives.

An 8 MB image is 11 MB of base64; parsing that as JSON text and decoding it afterwards holds it six
times.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aigc_kit.transport import sse
from aigc_kit.transport.encoding import BROKEN, loaded
from aigc_kit.transport.http import Gathered

PREFIX = "\x00blob:"
"""How a placeholder begins; the number behind it is the place in the list of blobs."""

_MEMBER = re.compile(rb'"data"\s*:\s*"')
_SHORT = 4096
"""Strings up to this many characters stay in the JSON."""

_ESCAPES = (
    (rb"\/", b"/"),
    (rb"\u003d", b"="),
    (rb"\u003D", b"="),
    (rb"\u002b", b"+"),
    (rb"\u002B", b"+"),
    (rb"\u002f", b"/"),
    (rb"\u002F", b"/"),
    (rb"\n", b""),
    (rb"\r", b""),
)


@dataclass(frozen=True)
class Unread:
    """The characters of a string that is not base64."""

    text: str


def read(chunks: Iterable[bytes], *, length: int = 0) -> tuple[bytes, list[bytes | Unread]]:
    """
    The JSON with placeholders instead of long ``"data"`` strings, and what was decoded from them. A
    ``data:`` URI's head and white space are passed over.

    Args:
        length: bytes of the whole JSON; 0 when it is not known.
    """
    left = length or -1
    skeleton = bytearray()
    blobs: list[bytes | Unread] = []
    window = b""  # read, but not yet known to be skeleton
    blob: _Blob | None = None
    for chunk in chunks:
        left = max(left - len(chunk), 0) if left >= 0 else left
        window = window + chunk if window else chunk
        while True:
            if blob is None:
                found = _MEMBER.search(window)
                if not found:
                    keep = len(window) - min(len(window), 64)  # the member's name may be cut
                    skeleton += window[:keep]
                    window = window[keep:]
                    break
                skeleton += window[: found.end()]
                window = window[found.end() :]
                blob = _Blob()
            end = window.find(b'"')
            if end < 0:
                blob.feed(window, left)
                window = b""
                break
            blob.feed(window[:end], 0)
            window = window[end:]
            short = blob.finish()
            if short is None:
                skeleton += (json.dumps(PREFIX)[1:-1] + str(len(blobs))).encode()
                blobs.append(blob.taken())
            else:
                skeleton += short
            blob = None
    if blob is not None:  # cut inside of the string: the JSON is broken anyway
        blob.finish()
    return bytes(skeleton + window), blobs


def documents(raw: bytes) -> list[Any] | None:
    """
    The JSON values of a body, whatever frame they came in: one, the items of a list, the events of
    a stream, or one in each line. None when it is not JSON.
    """
    text = raw.lstrip(b"\xef\xbb\xbf \t\r\n")
    value = loaded(text)
    if value is not BROKEN:
        return value if isinstance(value, list) else [value]
    if text.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        pieces = [event for event in sse.events([raw]) if event.strip() not in (b"", b"[DONE]")]
    else:
        pieces = [line for line in text.splitlines() if line.strip()]
    values = [loaded(piece) for piece in pieces]
    whole = [value for value in values if value is not BROKEN]
    return whole if whole and (len(whole) == len(values) or text[:1] != b"{") else None


def blob_of(value: Any, blobs: Sequence[bytes | Unread]) -> bytes | Unread | None:
    """What a placeholder stands for, or None when ``value`` is none."""
    if isinstance(value, str) and value.startswith(PREFIX):
        number = value[len(PREFIX) :]
        if number.isascii() and number.isdigit() and int(number) < len(blobs):
            return blobs[int(number)]
    return None


class _Blob:
    """One string's characters, decoded as they come."""

    def __init__(self) -> None:
        self._raw = bytearray()  # characters not yet decoded
        self._out = Gathered()
        self._decode: Callable[[bytes], bytes] | None = None
        self._begun = False  # the head of a data: URI was passed over
        self._broken: list[bytes] | None = None  # the characters from the first fault on

    def feed(self, text: bytes, left: int) -> None:
        """
        Args:
            left: characters that may follow; below 0: unknown.
        """
        self._raw += text
        if self._decode is None:
            if len(self._raw) <= _SHORT:
                return
            self._decode = _decoder()
        self._step(left)

    def finish(self) -> bytes | None:
        """The characters themselves when they are few, else None: ``taken`` has the bytes."""
        if self._decode is None:
            return bytes(self._raw)
        self._step(0, final=True)
        return None

    def taken(self) -> bytes | Unread:
        data = self._out.taken()
        if self._broken is None:
            return data
        return Unread(
            (binascii.b2a_base64(data, newline=False) + b"".join(self._broken)).decode(
                "utf-8", "replace"
            )
        )

    def _step(self, left: int, *, final: bool = False) -> None:
        raw, decode = self._raw, self._decode
        held = b""
        if not final and b"\\" in raw[-6:]:  # an escape may be cut
            cut = raw.rindex(b"\\")
            held, raw = bytes(raw[cut:]), raw[:cut]
        if b"\\" in raw:
            for escape, plain in _ESCAPES:
                raw = raw.replace(escape, plain)
        if not self._begun:
            raw = _without_head(raw)
            self._begun = True
        if self._broken is not None:
            self._broken.append(bytes(raw))
            raw = bytearray()
        usable = len(raw) if final else len(raw) - len(raw) % 4
        if usable and decode:
            try:
                self._out.add(decode(bytes(raw[:usable])), left * 3 // 4)
            except ValueError:
                self._spaced(raw, final, left)
                self._raw += held
                return
        self._raw = bytearray(raw[usable:]) + held

    def _spaced(self, raw: bytearray, final: bool, left: int) -> None:
        """Once more without white space; what is not base64 then is saved as it is."""
        plain = raw.translate(None, b" \t\r\n")
        usable = len(plain) if final else len(plain) - len(plain) % 4
        self._raw = bytearray(plain[usable:])
        try:
            if self._decode and len(plain) < len(raw):
                self._out.add(self._decode(bytes(plain[:usable])), left * 3 // 4)
                return
        except ValueError:
            pass
        self._broken = [bytes(raw)]
        self._raw = bytearray()


def _without_head(raw: bytearray) -> bytearray:
    """Without ``data:image/png;base64,``."""
    start = raw[:256].lstrip()
    comma = start.find(b",")
    if start[:5].lower() != b"data:" or comma < 0:
        return raw
    return raw[len(raw[:256]) - len(start) + comma + 1 :]


def _decoder() -> Callable[[bytes], bytes]:
    """
    pydantic-core's decoder, which the SDKs bring along and which is four times as fast, else the
    standard one.
    """
    try:
        from pydantic_core import SchemaValidator, core_schema

        validate = SchemaValidator(
            core_schema.bytes_schema(), config={"val_json_bytes": "base64"}
        ).validate_json
    except Exception:  # noqa: BLE001 - whatever a future release changes, the standard library is there
        return _standard
    return lambda text: validate(b'"' + text + b'"')


def _standard(text: bytes) -> bytes:
    text = text.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
