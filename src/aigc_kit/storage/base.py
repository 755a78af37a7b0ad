"""What a store is, the rules for keys, and public addresses."""

from __future__ import annotations

import mimetypes
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType
from urllib.parse import quote, urlsplit

from aigc_kit.errors import ConfigurationError, InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import decode_base64

MAX_KEY_BYTES = 1024


@dataclass(frozen=True)
class StoredObject:
    """
    An object that lies in a store.

    ``url`` is its public URL, ``size`` its length in bytes, ``etag`` the store's own mark of this
    content, ``metadata`` what was stored with it (names in lower case), as far as the store tells.
    ``expires_at``: when a signed URL dies, "" for others.
    """

    url: str
    key: str
    size: int
    content_type: str
    etag: str = ""
    bucket: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str], compare=False, repr=False)
    expires_at: str = field(default="", compare=False)


class Storage(ABC):
    """
    A place for bytes that gives them an address. Shared by threads.

    Keys are 1 to 1024 bytes of UTF-8, normalised to NFC. Refused: a leading or trailing ``/``,
    ``//``, ``.`` and ``..`` segments, backslashes, control characters.
    """

    @abstractmethod
    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        """
        Store ``data`` under ``key``, whole or not at all; an object of that key is replaced.

        Raises:
            InvalidInputError: the key breaks the rules.
            StorageError: the store failed.
        """

    @abstractmethod
    def exists(self, key: str) -> StoredObject | None:
        """
        The object under ``key``, or None. S3 servers cannot tell a missing bucket from a missing
        key here.

        Raises:
            InvalidInputError: the key breaks the rules.
            StorageError: the store failed.
        """

    def upload_hashed(
        self, data: bytes, key: str, *, content_type: str, sha256: bytes
    ) -> StoredObject:
        """
        ``upload_bytes`` for who knows the digest of ``data`` already: a store that sends it need
        not count again.

        Raises:
            InvalidInputError: the key breaks the rules.
            StorageError: the store failed.
        """
        return self.upload_bytes(data, key, content_type=content_type)

    def upload_described(
        self, data: bytes, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> StoredObject:
        """
        ``upload_bytes`` with facts that ``exists`` tells again, where the store can hold them:
        short ASCII texts.

        Raises:
            InvalidInputError: the key breaks the rules.
            StorageError: the store failed.
        """
        return self.upload_bytes(data, key, content_type=content_type)

    @property
    def claims(self) -> bool:
        """Whether ``create`` works here."""
        return False

    def create(
        self, data: bytes, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> bool:
        """
        Store it only where nothing is under that key; False when something is. Of two at the same
        time one gets True.

        Raises:
            UnsupportedFeatureError: the store cannot do this.
            StorageError: the store failed.
        """
        raise UnsupportedFeatureError(
            f"{type(self).__name__} cannot put an object only where there is none"
        )

    def discard(self, key: str) -> None:  # noqa: B027 - only who creates discards
        """
        Remove what ``create`` made.

        Raises:
            StorageError: the store failed.
        """

    def upload_base64(self, data: str, key: str, *, content_type: str) -> StoredObject:
        """
        Like ``upload_bytes``, from base64: standard or URL-safe, padded or not, or a whole
        ``data:`` URI.

        Raises:
            InvalidInputError: ``data`` is not base64, or the key breaks the rules.
            StorageError: the store failed.
        """
        if not isinstance(data, str):
            raise InvalidInputError(f"data must be base64 text, got {type(data).__name__}")
        try:
            raw = decode_base64(data)
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidInputError(f"data must be base64 text: {error}") from None
        return self.upload_bytes(raw, key, content_type=content_type)

    @property
    def origins(self) -> tuple[str, ...]:
        """
        URLs that the user named for this store; a result that is in it may be fetched from there
        without a guard.
        """
        return ()

    @property
    def public_bases(self) -> tuple[str, ...]:
        """
        URLs below which the public reads its objects: an end user's reference may come from there
        without a guard.
        """
        return ()

    @property
    def roots(self) -> tuple[str, ...]:
        """Directories whose ``file://`` URLs are its objects."""
        return ()

    def close(self) -> None:  # noqa: B027 - a store may have nothing to close
        """Give connections back. The store can still be used; it opens new ones."""

    def __enter__(self) -> Storage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_key(key: str) -> str:
    """
    The key in its normal form.

    Raises:
        InvalidInputError: it breaks the rules; the message says which.
    """
    if not isinstance(key, str):
        raise InvalidInputError(f"a storage key must be a str, got {type(key).__name__}")
    key = unicodedata.normalize("NFC", key)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInputError(f"storage key {key[:60]!r} is not valid Unicode") from None
    problem = ""
    if not 1 <= size <= MAX_KEY_BYTES:
        problem = f"must have 1 to {MAX_KEY_BYTES} bytes of UTF-8, it has {size}"
    elif "\\" in key:
        problem = "must not have a backslash; use '/'"
    elif any(unicodedata.category(char) == "Cc" for char in key):
        problem = "must not have control characters"
    elif key.startswith("/") or key.endswith("/") or "//" in key:
        problem = "must not begin or end with '/' or have '//' in it"
    elif any(segment in (".", "..") for segment in key.split("/")):
        problem = "must not have '.' or '..' as a segment"
    if problem:
        raise InvalidInputError(f"storage key {key[:60]!r} {problem}")
    return key


# Containers without a mime.types file do not know these.
_KNOWN = {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
}


def type_of_name(name: str) -> str:
    """The content type that the extension says."""
    suffix = PurePosixPath(name).suffix.lower()
    return _KNOWN.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0] or "application/octet-stream"


def check_content_type(content_type: str) -> str:
    """
    Raises:
        InvalidInputError: no header can carry it.
    """
    if (
        not isinstance(content_type, str)
        or not content_type
        or not (content_type.isascii() and content_type.isprintable())
    ):
        raise InvalidInputError(
            f"content_type must be a type like 'image/png', got {spelled(content_type)}"
        )
    return content_type


def public_base(domain: str, *, what: str) -> str:
    """
    A public address without trailing slash from ``cdn.example.com``, with or without scheme, port
    and path.

    Raises:
        ConfigurationError: it has a query, a fragment, credentials or white space, or no host.
    """
    if not isinstance(domain, str):
        raise ConfigurationError(f"{what} must be a text, got {type(domain).__name__}")
    text = domain.strip()
    address = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(address)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not (parts.query or parts.fragment or parts.username or parts.password)
            and text.isprintable()
            and not any(char.isspace() or char in "?#\\" for char in text)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"{what} must be a domain or http(s) address like 'https://assets.example.com', without query, fragment"
            f" or credentials; got {domain.split('@')[-1][:80]!r}"
        )
    return address.rstrip("/")


def address_of(base: str, key: str) -> str:
    """The public address of a key: percent-encoded once, ``/`` kept."""
    return f"{base}/{quote(key, safe='/~')}"
