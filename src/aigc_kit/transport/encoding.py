"""Base64 as it is found in the wild: either alphabet, padded or not, wrapped or not, or inside of a ``data:`` URI."""

from __future__ import annotations

import base64
import binascii


def decode_base64(text: str) -> bytes:
    """
    Raises:
        ValueError: ``text`` is no base64, or a ``data:`` URI that is not base64.
    """
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise ValueError("a data: URI must be base64: 'data:image/png;base64,...'")
    compact = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{len(text)} characters are no base64: {error}") from None
