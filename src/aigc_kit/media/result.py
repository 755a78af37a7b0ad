"""One image as a result: what both wings hand to applications."""

from __future__ import annotations

import base64 as b64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from weakref import ReferenceType, ref

from aigc_kit.errors import ConfigurationError, InvalidReplyError, NoImageError
from aigc_kit.media import sniff
from aigc_kit.transport.encoding import decode_base64

if TYPE_CHECKING:
    import PIL.Image

    from aigc_kit.prices import Cost


@dataclass(frozen=True)
class Access:
    """
    What ``ImageResult.download`` may reach beside the public internet.

    ``trusted``: origins, (host, port), that need no check. ``roots``: directories whose ``file://``
    URLs may be read.
    ``proxy``: what downloads go through.
    """

    allow_private_hosts: bool = False
    trusted: frozenset[tuple[str, int]] = frozenset()
    proxy: str = ""
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Part:
    """A text or an image of a turn, with the vendor's ``signature`` of it."""

    text: str = ""
    data: bytes = b""
    mime_type: str = ""
    signature: str = ""


@dataclass(frozen=True, repr=False)
class Turn:
    """
    A request and its response, for a vendor that goes on from them.

    ``home``: where the signatures hold. ``asked`` and ``answered``: the parts of both, in order.
    """

    home: str
    asked: tuple[Part, ...]
    answered: tuple[Part, ...]


class Editor(Protocol):
    """What ``ImageResult.edit`` asks: an ``ImageClient``."""

    def edit(self, image: ImageResult, prompt: str, /, **options: Any) -> ImageResult: ...


class _Held:
    """What an ``ImageResult`` holds beside its fields."""

    _text: str = ""
    """base64 that was set explicitly."""
    _bytes: bytes | None = None
    _access: Access = Access()
    _turns: tuple[Turn, ...] = ()
    _editor: ReferenceType[Editor] | None = None
    """Weak, and in no pickle: a result keeps no client and its connections alive."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_editor", None)
        return state


class _Base64:
    """
    The field ``base64``: text when it was set as text, otherwise encoded from the bytes when it is
    read.
    """

    def __get__(self, result: ImageResult | None, owner: type[ImageResult]) -> str:
        if result is None:
            return ""  # the dataclass default
        if result._text:
            return result._text
        return b64.b64encode(result._bytes).decode("ascii") if result._bytes else ""

    def __set__(self, result: ImageResult, value: str) -> None:
        # base64.b64encode gives bytes.
        result._text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        result._bytes = None


@dataclass(repr=False)
class ImageResult(_Held):
    """
    One image.

    ``url``: its URL, ``""`` when it has none yet. ``base64``: its bytes as standard base64, encoded
    when read; ``""`` when only a URL is there. ``mime_type``: detected from the bytes where they
    are there.
    ``provider``: the registry's name. ``metadata``: JSON; ``model, requested_size, sent_size,
    width, height, request_id, usage, cost, warnings, attempts`` and, where they apply, ``text,
    source_url, expires_at, storage_key, renditions, revised_prompt``; ``pending`` while a paid
    image waits to be stored.
    """

    url: str = ""
    base64: str = _Base64()  # type: ignore[assignment]  # a descriptor: the bytes are held once, as bytes
    mime_type: str = ""
    provider: str = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def usage(self) -> dict[str, Any]:
        """The vendor's own words in ``metadata["usage"]``, ``{}`` where it says nothing."""
        told = self.metadata.get("usage")
        return told if isinstance(told, dict) else {}

    @property
    def cost(self) -> Cost | None:
        """
        ``metadata["cost"]``: ``{"amount", "currency", "source", "as_of"}``; ``.amount`` is exact.

        None where the price is not known, and for an image that was found again: nothing was paid
        for it this time. See ``aigc_kit.prices``.
        """
        from aigc_kit.prices import Cost  # a table that few programs read

        return Cost.read(self.metadata.get("cost"))

    def _repr_html_(self) -> str:
        """
        In a notebook: a preview of the bytes (WebP, at most 512 pixels), else the URL, without its
        signature. Fetches nothing: ``download()`` does.
        """
        from aigc_kit.media.notebook import image_html

        return image_html(self)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        mime_type: str = "",
        provider: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> ImageResult:
        """A result that holds ``data`` itself; no base64 is made until it is read."""
        result = cls(
            mime_type=mime_type or sniff.mime_type(data), provider=provider, metadata=metadata or {}
        )
        result._bytes = data
        return result

    def hold(self, data: bytes) -> None:
        """Take these bytes as the image's own."""
        self._text, self._bytes = "", data

    def allow(self, access: Access) -> None:
        """Let ``download`` reach this."""
        self._access = access

    def made_by(self, editor: Editor) -> None:
        """Let ``edit`` ask this client while it lives."""
        self._editor = ref(editor)

    def continues(self, turns: tuple[Turn, ...]) -> None:
        """Remember the conversation that led here."""
        self._turns = turns

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation that led here, where its vendor can go on from it; else empty."""
        return self._turns

    def edit(self, prompt: str, *, client: Editor | None = None, **options: Any) -> ImageResult:
        """
        Another image, made from this one: ``result.edit("make it night")``.

        Gemini goes on with the conversation; other vendors get this image as the reference.

        Args:
            client: who makes it; unset: the client that made this one, while it lives. A result
                that was pickled has none.
            options: those of ``ImageClient.image_to_image``; ``size`` is this image's where it is
                unset.

        Raises:
            ConfigurationError: there is no client.
            AIGCError: see ``ImageClient.image_to_image``.
        """
        found = client
        if found is None and self._editor is not None:
            found = self._editor()
        if found is None:
            raise ConfigurationError(
                "edit needs a client: the one that made this image is gone, or the image comes from"
                " a pickle; pass client=ImageClient(...)"
            )
        return found.edit(self, prompt, **options)

    @property
    def has_url(self) -> bool:
        """Whether the image has a URL; it may have expired (``metadata["expires_at"]``)."""
        return bool(self.url)

    @property
    def has_base64(self) -> bool:
        """Whether the bytes are here: ``data`` and ``base64`` give them without a request."""
        return bool(self._text or self._bytes)

    @property
    def data(self) -> bytes:
        """
        The image's bytes, or ``b""`` when only an address is there.

        Raises:
            InvalidReplyError: ``base64`` is not base64.
        """
        data = self._bytes
        if data is None:
            try:
                data = decode_base64(self._text or "")
            except (ValueError, TypeError) as error:
                raise InvalidReplyError(
                    f"the image's base64 cannot be decoded: {error}",
                    provider=self.provider,
                    billed="unknown",
                ) from None
            self._bytes = data
        return data

    @property
    def width(self) -> int:
        """Pixels; 0 when unknown. Asks no network."""
        return self._side("width", 0)

    @property
    def height(self) -> int:
        """Pixels; 0 when unknown. Asks no network."""
        return self._side("height", 1)

    def _side(self, name: str, place: int) -> int:
        known = self.metadata.get(name)
        if isinstance(known, int) and known > 0:
            return known
        return sniff.dimensions(self.data)[place] if self.has_base64 else 0

    def download(self, *, timeout: float = 120.0) -> bytes:
        """
        The image's bytes; fetched from ``url`` when they are not here, and kept.

        The address is guarded like any other: private hosts are refused unless the client that made
        this result allows them.

        Raises:
            NoImageError: there is neither an address nor bytes, or the address does not give an
                image.
        """
        if self.has_base64:
            return self.data
        if not self.url:
            raise NoImageError(
                "the result has neither an address nor bytes", provider=self.provider
            )
        data = self._fetch(timeout)
        if not sniff.mime_type(data):
            raise NoImageError(
                f"{len(data)} bytes came from the URL, and they are not an image",
                provider=self.provider,
            )
        self._bytes = data
        self.mime_type = sniff.mime_type(data)
        return data

    def _fetch(self, timeout: float) -> bytes:
        from aigc_kit.transport.download import Downloader, DownloadError

        if self.url.lower().startswith("file:"):
            return self._read()
        access = self._access
        downloader = Downloader(
            allow_private_hosts=access.allow_private_hosts,
            trusted=access.trusted,
            proxy=access.proxy,
        )
        try:
            return downloader.fetch(self.url, timeout=timeout, inflate=True).data
        except DownloadError as error:
            raise NoImageError(
                str(error), provider=self.provider, retryable=error.retryable, billed="yes"
            ) from error
        finally:
            downloader.close()

    def _read(self) -> bytes:
        """The file behind a ``file://`` URL of the client's own ``LocalStorage``."""
        from urllib.request import url2pathname

        path = Path(url2pathname(urlsplit(self.url).path)).resolve()
        if not any(path.is_relative_to(root) for root in self._access.roots):
            raise NoImageError(
                f"the file {str(path)!r} is not in the client's storage", provider=self.provider
            )
        try:
            return path.read_bytes()
        except OSError as error:
            raise NoImageError(
                f"the file {str(path)!r} cannot be read: {error}", provider=self.provider
            ) from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the image to ``path``; a path without suffix gets the one of its type. Returns the
        path written.

        Raises:
            NoImageError: see ``download``.
            OSError: the file cannot be written.
        """
        data = self.download()
        target = Path(path)
        if not target.suffix:
            target = target.with_suffix(sniff.extension(self.mime_type or sniff.mime_type(data)))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def to_pil(self) -> PIL.Image.Image:
        """
        The decoded image.

        Raises:
            NoImageError: see ``download``.
            InvalidReplyError: the bytes cannot be decoded.
        """
        from aigc_kit.media.decoding import ImageFault, decode

        try:
            return decode(self.download())
        except ImageFault as error:
            raise InvalidReplyError(
                f"the image {error}", provider=self.provider, billed="yes"
            ) from error

    def __repr__(self) -> str:
        known = self._bytes
        size = f"{self.width}x{self.height}" if known or self.metadata.get("width") else "?"
        held = f"{len(known)} bytes" if known else "base64" if self.has_base64 else "no bytes"
        url = self.url.split("?")[0]
        return f"ImageResult(url={url!r}, {held}, {self.mime_type or '?'}, {size}, provider={self.provider!r})"
