"""
Images in responses of an unusual shape.

Services that speak a vendor's API answer with shapes of their own, and the image in them was paid
for: data URIs, other names of the list, OpenAI's and chat's shapes, markdown. Sources:
https://github.com/CookSleep/gpt_image_playground/issues/133,
https://github.com/awsl-project/maxx/issues/821, https://github.com/MODSetter/SurfSense/issues/1496,
https://openrouter.ai/docs/features/multimodal/image-generation, read 2026-11-25.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from aigc_kit.image.base import ImageGroup
from aigc_kit.media import sniff
from aigc_kit.media.result import ImageResult
from aigc_kit.transport import json_images
from aigc_kit.transport.encoding import decode_base64

_LINKS = frozenset(
    {
        "image_url",
        "imageurl",
        "image",
        "images",
        "output",
        "outputs",
        "image_urls",
        "imageurls",
        "fileuri",
        "file_uri",
        "output_url",
        "urls",
    }
)
"""Members whose texts are URLs of images; so is a ``url`` in one of these or in ``data``."""

_PERHAPS = frozenset({"url", "uri", "link", "src", "download_url", "result"})
"""Members whose texts may be URLs of something else."""

_BASE64 = frozenset(
    {
        "b64_json",
        "base64",
        "b64",
        "data",
        "image_base64",
        "imagebase64",
        "bytesbase64encoded",
        "image_b64",
        "image",
        "images",
        "result",
        "output",
        "bytes",
        "binary_data_base64",
        "content",
        "inline_data",
        "partial_image_b64",
    }
)
"""Members whose texts may be base64 of an image."""

_DATA_URI = re.compile(
    r"data:image/[\w.+-]+(?:;[\w.+=-]+)*;base64,(?P<data>[A-Za-z0-9+/_=\s\\-]+)", re.IGNORECASE
)
_MARKDOWN = re.compile(r"!\[[^\]]*\]\(\s*<?(https?://[^\s)>]+)>?[^)]*\)", re.IGNORECASE)
_IMAGE_LINK = re.compile(
    r"https?://[^\s\"'<>()]+\.(?:png|jpe?g|webp|gif|avif)(?:\?[^\s\"'<>()]*)?", re.IGNORECASE
)

_LEAST = 64
"""Characters of base64 below which nothing is taken for an image."""

_DEEPEST = 12
_MOST = 64


@dataclass
class Found:
    """
    ``images``: what certainly is one, by its bytes or because a member for it holds its URL.
    ``mentioned``: links in running text, which a model may have made up. ``unread``: texts where an
    image should be, and that cannot be read.
    """

    images: list[ImageResult] = field(default_factory=list[ImageResult])
    mentioned: list[ImageResult] = field(default_factory=list[ImageResult])
    unread: list[ImageResult] = field(default_factory=list[ImageResult])

    def any(self) -> ImageResult | ImageGroup | None:
        """What an error carries: the best that was found, a group where there are several."""
        best = self.images or self.mentioned or self.unread
        return ImageGroup(list(best)) if len(best) > 1 else next(iter(best), None)


def look(
    value: Any, decoded: Sequence[bytes | json_images.Unread] = (), *, base: str = ""
) -> Found:
    """
    Every image in a JSON value, in order, each once.

    Args:
        decoded: what the placeholders of ``json_images.read`` stand for.
        base: of the API; relative URLs begin there.
    """
    found = Found()
    seen: set[Any] = set()
    for name, text in _texts(value, "", 0):
        if len(found.images) >= _MOST:
            break
        _add(found, seen, name, text, decoded, base)
    return found


def _texts(value: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """(the name of the member that it is in, text) for every text."""
    if isinstance(value, str):
        yield name, value
    elif depth < _DEEPEST and isinstance(value, dict):
        for key, inner in value.items():
            own = str(key).lower()
            inherits = own in ("url", "data", "uri") and (name in _LINKS or name == "data")
            yield from _texts(inner, "images" if inherits else own, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name, depth + 1)


def _add(
    found: Found,
    seen: set[Any],
    name: str,
    text: str,
    decoded: Sequence[bytes | json_images.Unread],
    base: str,
) -> None:
    blob = json_images.blob_of(text, decoded)
    if isinstance(blob, json_images.Unread):
        found.unread.append(ImageResult(base64=blob.text))
        return
    data = blob if blob is not None else _bytes_of(name, text)
    if data is not None and sniff.mime_type(data):
        _add_image(found, seen, data)
        return
    if blob is not None:
        return
    if name in _LINKS:
        _add_link(found.images, seen, usable_url(text, base))
        return
    if name in _PERHAPS:
        _add_link(found.mentioned, seen, usable_url(text, base))
        return
    _add_from_prose(found, seen, text)


def _add_from_prose(found: Found, seen: set[Any], text: str) -> None:
    """The data URIs and the links in running text."""
    for match in _DATA_URI.finditer(text):
        _add_inline(found, seen, match["data"])
    for match in _MARKDOWN.finditer(text):
        _add_link(found.mentioned, seen, match[1])
    for match in _IMAGE_LINK.finditer(text):
        _add_link(found.mentioned, seen, match[0])


def _add_inline(found: Found, seen: set[Any], text: str) -> None:
    data = _decoded(text)
    if data is None:
        found.unread.append(ImageResult(base64=text))
    elif sniff.mime_type(data):
        _add_image(found, seen, data)


def _add_image(found: Found, seen: set[Any], data: bytes) -> None:
    mark = _mark(data)
    if mark in seen:
        return
    seen.add(mark)
    found.images.append(ImageResult.from_bytes(data))


def _add_link(listed: list[ImageResult], seen: set[Any], url: str) -> None:
    if not url or url in seen:
        return
    seen.add(url)
    listed.append(ImageResult(url=url))


def _mark(data: bytes) -> tuple[int, bytes, bytes]:
    """What tells one image from another, without reading all of it."""
    return len(data), data[:256], data[-256:]


def _bytes_of(name: str, text: str) -> bytes | None:
    """The bytes of a text that is base64 or a data URI as a whole."""
    head = text.lstrip()[:11].lower()
    if head.startswith("data:"):
        return _decoded(text.strip())
    if name in _BASE64 and len(text) >= _LEAST and "://" not in head:
        return _decoded(text)
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return decode_base64(text)
    except ValueError:
        return None


def salvaged(raw: bytes, decoded: Sequence[bytes | json_images.Unread] = ()) -> ImageResult | None:
    """A whole image in a body that cannot be read: cut, or not JSON."""
    for blob in decoded:
        if isinstance(blob, bytes) and sniff.mime_type(blob) and sniff.is_whole(blob):
            return ImageResult.from_bytes(blob)
    text = raw.decode("utf-8", "replace")
    for pattern in (_DATA_URI, _MEMBER):
        for match in pattern.finditer(text):
            data = _decoded(match["data"].replace("\\/", "/"))
            if data and sniff.mime_type(data) and sniff.is_whole(data):
                return ImageResult.from_bytes(data)
    link = _MARKDOWN.search(text) or _LINK_MEMBER.search(text)
    return ImageResult(url=link[1].replace("\\/", "/").replace("\\u0026", "&")) if link else None


_MEMBER = re.compile(r'"(?:b64_json|base64|data)"\s*:\s*"(?P<data>[A-Za-z0-9+/_=\s\\-]{64,})"')
_LINK_MEMBER = re.compile(r'"(?:url|image_url|fileUri)"\s*:\s*"(https?:[^"\s]+)"', re.IGNORECASE)


def usable_url(text: Any, base: str = "") -> str:
    """
    An http(s) URL as it can be fetched: without blanks around it, a relative one below ``base``;
    else "".
    """
    if not isinstance(text, str):
        return ""
    url = text.strip()
    if not url or any(char.isspace() or ord(char) < 33 for char in url):
        return ""
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return f"{scheme.lower()}://{rest}"
    if base and url.startswith("/"):
        return urljoin(base, url)
    return ""
