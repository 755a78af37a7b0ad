"""
JSON with pictures in it, read in one pass: the long base64 of a ``"data"`` member is decoded while it arrives.

An 8 MB picture is 11 MB of base64; parsing that as JSON text and decoding it afterwards holds it six times.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from aigc_kit.transport.exchange import Gathered

PREFIX = "\x00blob:"
"""How a placeholder begins; the number behind it is the place in the list of blobs."""

_MEMBER = re.compile(rb'"data"\s*:\s*"')
_SHORT = 4096
"""Strings up to this many characters stay in the JSON."""

_ESCAPES = ((rb"\/", b"/"), (rb"\u003d", b"="), (rb"\u003D", b"="), (rb"\u002b", b"+"), (rb"\u002B", b"+"),
            (rb"\u002f", b"/"), (rb"\u002F", b"/"), (rb"\n", b""), (rb"\r", b""))  # fmt: skip


def read(chunks: Iterable[bytes], *, length: int = 0) -> tuple[bytes, list[bytes]]:
    """
    The JSON with placeholders instead of long ``"data"`` strings, and what was decoded from them; of a string that is no
    base64, what stood before the fault.

    Args:
        length: bytes of the whole JSON; 0 when it is not known.
    """
    left = length or -1
    skeleton = bytearray()
    blobs: list[bytes] = []
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


def blob_of(value: Any, blobs: list[bytes]) -> bytes | None:
    """The decoded bytes that a placeholder stands for, or None when ``value`` is none."""
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
        self._broken = False

    def feed(self, text: bytes, left: int) -> None:
        """
        Args:
            left: characters that may follow; below 0: nobody knows.
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

    def taken(self) -> bytes:
        return self._out.taken()

    def _step(self, left: int, *, final: bool = False) -> None:
        raw, decode = self._raw, self._decode
        held = b""
        if not final and b"\\" in raw[-6:]:  # an escape may be cut
            cut = raw.rindex(b"\\")
            held, raw = bytes(raw[cut:]), raw[:cut]
        if b"\\" in raw:
            for escape, plain in _ESCAPES:
                raw = raw.replace(escape, plain)
        usable = len(raw) if final else len(raw) - len(raw) % 4
        if usable and decode and not self._broken:
            try:
                self._out.add(decode(bytes(raw[:usable])), left * 3 // 4)
            except ValueError:
                self._broken = True
        self._raw = bytearray(raw[usable:]) + held


def _decoder() -> Callable[[bytes], bytes]:
    """pydantic-core's decoder, which the SDKs bring along and which is four times as fast, else the standard one."""
    try:
        from pydantic_core import SchemaValidator, core_schema

        validate = SchemaValidator(core_schema.bytes_schema(), config={"val_json_bytes": "base64"}).validate_json
    except Exception:  # noqa: BLE001 - whatever a future release changes, the standard library is there
        return _standard
    return lambda text: validate(b'"' + text + b'"')


def _standard(text: bytes) -> bytes:
    text = text.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
