"""What a picture provider is, and what it answers."""

from __future__ import annotations

import base64 as b64
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_kit import errors
from aigc_kit.errors import AIGCError, InvalidReplyError, NoImageError, UnsupportedFeatureError
from aigc_kit.transport import sniff
from aigc_kit.transport.encoding import decode_base64

if TYPE_CHECKING:
    import PIL.Image

    from aigc_kit.transport.download import Downloader


class _Base64:
    """The field ``base64``: text when somebody set text, otherwise encoded from the bytes when it is read."""

    def __get__(self, result: ImageResult | None, owner: type[ImageResult]) -> str:
        if result is None:
            return ""  # the dataclass default
        text: str = result.__dict__.get("_text") or ""
        if text:
            return text
        data: bytes | None = result.__dict__.get("_data")
        return b64.b64encode(data).decode("ascii") if data else ""

    def __set__(self, result: ImageResult, value: str) -> None:
        result.__dict__["_text"] = value
        result.__dict__["_data"] = None


@dataclass(repr=False)
class ImageResult:
    """
    One picture.

    ``url``: its address, ``""`` when it has none yet. ``base64``: its bytes as standard base64, encoded when read;
    ``""`` when only an address is there. ``mime_type``: told from the bytes where they are there. ``provider``: the
    registry's name. ``metadata``: JSON; ``model, requested_size, sent_size, width, height, request_id, usage,
    warnings, attempts`` and, where they apply, ``text, source_url, expires_at, storage_key``.
    """

    url: str = ""
    base64: str = _Base64()  # type: ignore[assignment]  # a descriptor: the bytes are held once, as bytes
    mime_type: str = ""
    provider: str = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def from_bytes(
        cls, data: bytes, *, mime_type: str = "", provider: str = "", metadata: dict[str, Any] | None = None
    ) -> ImageResult:
        """A result that holds ``data`` itself; no base64 is made until somebody reads it."""
        result = cls(mime_type=mime_type or sniff.mime_type(data), provider=provider, metadata=metadata or {})
        result.__dict__["_data"] = data
        return result

    @property
    def has_url(self) -> bool:
        return bool(self.url)

    @property
    def has_base64(self) -> bool:
        return bool(self.__dict__.get("_text") or self.__dict__.get("_data"))

    @property
    def data(self) -> bytes:
        """
        The picture's bytes, or ``b""`` when only an address is there.

        Raises:
            InvalidReplyError: ``base64`` is no base64.
        """
        data = self.__dict__.get("_data")
        if data is None:
            try:
                data = decode_base64(self.__dict__.get("_text") or "")
            except (ValueError, TypeError) as error:
                raise InvalidReplyError(
                    f"the picture's base64 cannot be decoded: {error}", provider=self.provider, billed="unknown"
                ) from None
            self.__dict__["_data"] = data
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
        The picture's bytes; fetched from ``url`` when they are not here, and kept.

        The address is guarded like any other: private hosts are refused unless the client that made this result
        allows them.

        Raises:
            NoImageError: there is neither an address nor bytes, or the address does not give a picture.
        """
        if self.has_base64:
            return self.data
        if not self.url:
            raise NoImageError("the result has neither an address nor bytes", provider=self.provider)
        data = self._fetch(timeout)
        if not sniff.mime_type(data):
            raise NoImageError(
                f"{len(data)} bytes came from the address, and they are no picture", provider=self.provider
            )
        self.__dict__["_data"] = data
        self.mime_type = sniff.mime_type(data)
        return data

    def _fetch(self, timeout: float) -> bytes:
        from aigc_kit.transport.download import Downloader, DownloadError

        downloader = Downloader(**self.__dict__.get("_guard", {}))
        try:
            return downloader.fetch(self.url, timeout=timeout).data
        except DownloadError as error:
            raise NoImageError(str(error), provider=self.provider, retryable=error.retryable) from error
        finally:
            downloader.close()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the picture to ``path``; a path without suffix gets the one of its type. Returns the path written.

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
        The decoded picture.

        Raises:
            NoImageError: see ``download``.
            InvalidReplyError: the bytes cannot be decoded.
        """
        from aigc_kit.image.decoding import ImageFault, decode

        try:
            return decode(self.download())
        except ImageFault as error:
            raise InvalidReplyError(f"the picture {error}", provider=self.provider, billed="yes") from error

    def _repr_html_(self) -> str:
        """For notebooks."""
        source = self.url if self.url.startswith(("http://", "https://")) else ""
        if not source and self.has_base64:
            source = f"data:{self.mime_type or 'image/png'};base64,{self.base64}"
        size = f"{self.width}x{self.height}" if self.width else ""
        return f'<img src="{escape(source, quote=True)}" alt="{escape(self.provider)}" title="{size}" width="320"/>'

    def __repr__(self) -> str:
        known = self.__dict__.get("_data")
        size = f"{self.width}x{self.height}" if known or self.metadata.get("width") else "?"
        held = f"{len(known)} bytes" if known else "base64" if self.has_base64 else "no bytes"
        url = self.url.split("?")[0]
        return f"ImageResult(url={url!r}, {held}, {self.mime_type or '?'}, {size}, provider={self.provider!r})"


@dataclass
class ImageGroup:
    """Pictures of one request. ``images``: what came, in order; ``errors``: what did not, each with ``.index``."""

    images: list[ImageResult] = field(default_factory=list[ImageResult])
    errors: list[AIGCError] = field(default_factory=list[AIGCError])

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageResult]:
        return iter(self.images)

    def __getitem__(self, place: int) -> ImageResult:
        return self.images[place]


class ImageProvider(ABC):
    """
    One vendor's dialect. Subclass it to add a vendor; ``ImageClient`` does storage, checks and warnings around it.

    Methods are called from several threads. Options that the signature does not name arrive in ``kwargs``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The registry's name."""

    @abstractmethod
    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **kwargs: Any) -> ImageResult:
        """A picture from a text."""

    @abstractmethod
    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **kwargs: Any
    ) -> ImageResult:
        """A picture from a text and reference pictures (see ``aigc_kit.image.references``)."""

    def makes_groups(self, **kwargs: Any) -> bool:
        """Whether one request of these options can give several pictures; then ``image_group`` makes it."""
        return False

    def image_group(self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any) -> ImageGroup:
        """Up to ``n`` pictures of one request; only asked of a provider whose ``makes_groups`` says so."""
        raise UnsupportedFeatureError(f"{self.name} makes one picture a request")

    @property
    def origins(self) -> tuple[str, ...]:
        """Addresses the user named (``base_url``): pictures may be fetched from there without a guard."""
        return ()

    def use_downloader(self, downloader: Downloader) -> None:  # noqa: B027 - only who fetches needs it
        """Fetch references with this one, which knows what the user allows."""

    def close(self) -> None:  # noqa: B027 - a provider may have nothing to close
        """Give connections back."""


class NoGroupError(UnsupportedFeatureError):
    """Whoever would make the group makes one picture a request: ask for them one by one."""


def only_picture(group: ImageGroup) -> ImageResult:
    """The first picture of a reply to a request for one; others that came with it stay in its metadata."""
    if not group.images:
        raise group.errors[0]
    first, *more = group.images
    if more or group.errors:
        first.__dict__["_others"] = more
        first.metadata["others"] = [as_json(picture) for picture in more]
        first.metadata["warnings"].append(
            {
                "feature": "group",
                "details": f"{len(group.images)} pictures and {len(group.errors)} errors came; this is the first, the"
                " rest is in metadata['others']. Use text_to_images or image_to_images for all of them",
            }
        )
        if group.errors:
            first.metadata["errors"] = [f"{type(error).__name__}: {error}" for error in group.errors]
    return first


def warn(result: Any, feature: str, details: str) -> None:
    """Say so in the result's ``warnings``, once."""
    entry = {"feature": feature, "details": details}
    if isinstance(result, ImageResult) and entry not in result.metadata.setdefault("warnings", []):
        result.metadata["warnings"].append(entry)


def as_json(picture: ImageResult) -> dict[str, Any]:
    """A picture as an entry of another one's ``metadata["others"]``."""
    entry: dict[str, Any] = {"url": picture.url, "mime_type": picture.mime_type}
    if picture.has_base64:
        entry["base64"] = picture.base64
    return {**entry, **{name: picture.metadata[name] for name in ("width", "height", "expires_at", "layer")
                        if name in picture.metadata}}  # fmt: skip


def next_may_succeed(error: AIGCError) -> bool:
    """Whether the same request may fare better, seen from the one before it."""
    hopeless = (
        errors.ConfigurationError, errors.InvalidInputError, errors.AuthenticationError, errors.PermissionDeniedError, errors.NotFoundError,
        errors.QuotaExceededError, errors.BadRequestError, errors.ConnectionFailedError,
    )  # fmt: skip
    return not isinstance(error, hopeless)
