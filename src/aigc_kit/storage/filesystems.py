"""Any file system of fsspec as a store: Google Cloud Storage, Azure Blob, SFTP, HDFS and others."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.settings import spelled
from aigc_kit.storage.base import (
    Storage,
    StoredObject,
    address_of,
    check_content_type,
    check_key,
    public_base,
    type_of_name,
)
from aigc_kit.transport.interrupts import callers_own

_WEEK = 604_800
_SHORTEST_SECRET = 6
# Object stores put an object in one step; on others a file is written beside it and moved.
# Source: gcsfs 2026.9, s3fs 2026.9, adlfs, ossfs, tosfs, read 2026-11-26.
_IN_ONE_STEP = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "tos", "memory"})
_AZURE = frozenset({"abfs", "abfss", "az"})
_TYPE_NAMES = ("content_type", "ContentType")


class FsspecStorage(Rebuilt, Storage):
    """
    A directory of a file system that fsspec knows. Needs ``aigc-kit[fsspec]``, and the package of
    the file system (``gcsfs``, ``adlfs``, ``ossfs`` ...).

    The content type is sent where the file system takes one; others serve what the name of the key
    says. For S3 services use ``S3Storage`` and the presets: they check the bytes.
    """

    @constructor
    def __init__(
        self,
        root: str,
        *,
        public_base_url: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        expires: int = _WEEK,
    ) -> None:
        """
        Args:
            root: ``"gs://bucket/pictures"``; with ``filesystem`` a path on it.
            public_base_url: where the public reads ``root``; None signs URLs.
            storage_options: of the file system, its credentials among them.
            filesystem: an ``AbstractFileSystem`` of your own.
            expires: seconds that signed URLs live, 1 to 604,800.

        Raises:
            ConfigurationError: fsspec or the file system's package is missing, or has no signed
                URLs and there is no public one.
        """
        if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= _WEEK:
            raise ConfigurationError(
                f"expires must be 1 to {_WEEK} seconds, got {spelled(expires)}"
            )
        self._expires = expires
        self._public = (
            None
            if public_base_url is None
            else public_base(public_base_url, what="public_base_url")
        )
        given = settings.revealed(storage_options)
        self._hidden = tuple(_texts(given))
        try:
            self._fs, self._root = _opened(root, given, filesystem)
        except ConfigurationError as error:
            raise ConfigurationError(self._masked(str(error))) from None
        if getattr(self._fs, "asynchronous", False):
            raise ConfigurationError("FsspecStorage needs a file system with asynchronous=False")
        protocol = self._fs.protocol
        self._protocol = protocol if isinstance(protocol, str) else protocol[0]
        self._type_option = _type_option(self._fs)
        if self._public is None and not _signs(self._fs):
            raise ConfigurationError(
                f"FsspecStorage: {self._protocol!r} has no signed URLs: pass public_base_url"
            )

    def _described(self) -> str:
        return f"FsspecStorage({self._protocol + '://' + self._root!r})"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self._public,) if self._public else ()

    @property
    def public_bases(self) -> tuple[str, ...]:
        return self.origins

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        key = check_key(key)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidInputError(f"data must be bytes, got {type(data).__name__}")
        check_content_type(content_type)
        path, plain = self._path(key), bytes(data)
        options: dict[str, Any] = {}
        if self._protocol in _AZURE:
            options["content_settings"] = {"content_type": content_type}
        elif self._type_option:
            options[self._type_option] = content_type
        try:
            if self._protocol in _IN_ONE_STEP:
                self._fs.pipe_file(path, plain, **options)
            else:
                self._moved_in(path, plain)
        except Exception as error:
            if callers_own(error, inside_of=self._fs):
                raise
            raise self._failed("written", key, error) from error
        found = self.exists(key)
        if found is None or found.size not in (len(plain), -1):
            raise StorageError(
                f"{key!r} was written to {self._described()} and is not there",
                key=key,
                retryable=True,
            )
        return StoredObject(
            found.url, key, len(plain), content_type, found.etag, expires_at=found.expires_at
        )

    def exists(self, key: str) -> StoredObject | None:
        key = check_key(key)
        path = self._path(key)
        try:
            self._fs.invalidate_cache(self._fs._parent(path))
            facts = self._fs.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            if callers_own(error, inside_of=self._fs):
                raise
            raise self._failed("read", key, error) from error
        if facts.get("type") != "file":
            return None
        told = facts.get("ContentType") or facts.get("contentType") or facts.get("content_type")
        kind = told or type_of_name(key)
        etag = facts.get("ETag") or facts.get("etag") or facts.get("mtime") or ""
        url = self.url_of(key)
        return StoredObject(
            url,
            key,
            -1 if facts.get("size") is None else int(facts["size"]),
            str(kind),
            str(etag).strip('"'),
            expires_at=self._expiry(),
        )

    def url_of(self, key: str) -> str:
        """
        The public URL of a key, or a signed one.

        Raises:
            StorageError: the file system cannot sign, for want of a key perhaps.
        """
        key = check_key(key)
        if self._public:
            return address_of(self._public, key)
        try:
            signed = self._fs.sign(self._path(key), expiration=self._expires)
            if not isinstance(signed, str):
                raise TypeError(f"sign() gave {type(signed).__name__} instead of a URL")
            return signed
        except Exception as error:
            if callers_own(error, inside_of=self._fs):
                raise
            raise self._failed("signed", key, error) from error

    def _expiry(self) -> str:
        if self._public:
            return ""
        end = datetime.now(UTC) + timedelta(seconds=self._expires)
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def discard(self, key: str) -> None:
        """Delete an object, which need not be there."""
        try:
            self._fs.rm_file(self._path(check_key(key)))
        except FileNotFoundError:
            return
        except Exception as error:
            if callers_own(error, inside_of=self._fs):
                raise
            raise self._failed("deleted", key, error) from error

    def _path(self, key: str) -> str:
        if not self._root:
            return key
        return f"{self._root.rstrip('/')}/{key}"

    def _moved_in(self, path: str, data: bytes) -> None:
        parent = self._fs._parent(path)
        self._fs.makedirs(parent, exist_ok=True)
        beside = f"{parent}/.upload-{secrets.token_hex(8)}"
        try:
            self._fs.pipe_file(beside, data)
            self._fs.mv(beside, path)
        except BaseException:
            if self._fs.exists(beside):
                self._fs.rm_file(beside)
            raise

    def _masked(self, text: str) -> str:
        for value in self._hidden:
            text = text.replace(value, "***")
        return text

    def _failed(self, what: str, key: str, error: Exception) -> StorageError:
        return StorageError(
            f"{key!r} cannot be {what} at {self._described()}: {type(error).__name__}:"
            f" {self._masked(str(error)[:300])}",
            key=key,
            retryable=isinstance(error, (TimeoutError, ConnectionError)),
        )


def _opened(
    root: str, storage_options: Mapping[str, Any] | None, filesystem: Any
) -> tuple[Any, str]:
    """
    The file system, and ``root`` as a path on it.

    Raises:
        ConfigurationError: there is no such file system, or its package is missing.
    """
    if not isinstance(root, str):
        raise ConfigurationError(
            f"root must be a URL such as 'gs://bucket/dir', got {spelled(root)}"
        )
    if filesystem is not None:
        if storage_options is not None:
            raise ConfigurationError("storage_options belong to the filesystem that you pass")
        return filesystem, str(filesystem._strip_protocol(root))
    try:
        import fsspec
    except ImportError:
        raise ConfigurationError("FsspecStorage needs fsspec: install aigc-kit[fsspec]") from None
    if "://" not in root:
        raise ConfigurationError(
            f"root must be a URL such as 'gs://bucket/dir', got {_without_user(root)!r}; LocalStorage keeps files in a directory"
        )
    try:
        made, path = fsspec.core.url_to_fs(root, **(storage_options or {}))
    except Exception as error:  # noqa: BLE001 - what its constructor raises may show a password
        raise ConfigurationError(
            f"root {_without_user(root)!r}: {type(error).__name__}: {str(error)[:300]}"
        ) from None
    return made, str(path)


def _signs(filesystem: Any) -> bool:
    """Whether it makes URLs; one that needs a network or a key for it is believed."""
    try:
        return isinstance(filesystem.sign("aigc-kit/probe", expiration=60), str)
    except (NotImplementedError, AttributeError, TypeError):
        return False
    except Exception:  # noqa: BLE001 - whatever the file system raises, it has tried
        return True


def _without_user(root: str) -> str:
    """A URL without the user name and the password in it."""
    head, mark, rest = root.partition("://")
    host, slash, path = rest.partition("/")
    return f"{head}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _texts(value: Any) -> Iterator[str]:
    """Every text that may be a credential."""
    if isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def _type_option(filesystem: Any) -> str:
    """What its ``pipe_file`` calls the content type, "" where it takes none."""
    method = getattr(filesystem, "_pipe_file", None) or filesystem.pipe_file
    names = inspect.signature(method).parameters
    if "s3" in filesystem.protocol:
        return "ContentType"  # any argument of put_object
    return next((name for name in _TYPE_NAMES if name in names), "")
