"""Pictures in messages, for dialects that want their bytes."""

from __future__ import annotations

from aigc_kit.errors import InvalidInputError
from aigc_kit.transport import sniff
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, DownloadError
from aigc_kit.transport.encoding import decode_base64


def picture_bytes(address: str, downloader: Downloader, deadline: Deadline) -> tuple[bytes, str]:
    """
    (bytes, mime type) of a ``data:`` or http(s) address; the type is told from the bytes.

    Raises:
        InvalidInputError: it cannot be fetched or decoded, or is no picture.
    """
    try:
        if address.startswith("data:"):
            data = decode_base64(address)
        else:
            data = downloader.fetch(address, timeout=min(deadline.left(), 60)).data
    except (DownloadError, ValueError) as error:
        raise InvalidInputError(f"the picture of a message cannot be used: {error}") from error
    kind = sniff.mime_type(data)
    if not kind:
        raise InvalidInputError(f"the picture of a message is none: {len(data)} bytes beginning with {data[:8]!r}")
    return data, kind
