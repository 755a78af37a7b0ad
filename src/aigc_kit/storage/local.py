"""A directory as a store."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.storage.base import (
    Storage,
    StoredObject,
    address_of,
    check_content_type,
    check_key,
    public_base,
    type_of_name,
)

_MIME_ATTRIBUTE = "user.mime_type"  # https://www.freedesktop.org/wiki/CommonExtendedAttributes/
_METADATA_ATTRIBUTE = "user.aigc_kit.metadata"
_NAME_BYTES = 200
"""
Longest piece of a segment on disk; file systems stop at 255 bytes and temporary names need room.
"""


class LocalStorage(Storage):
    """
    Files below ``root``, written atomically: a reader sees the old object or the new one, never
    half of one.

    ``base_url``: the public address that a web server gives ``root``; None makes ``file://``
    addresses.
    """

    def __init__(self, root: str | os.PathLike[str], *, base_url: str | None = None) -> None:
        """
        Raises:
            ConfigurationError: ``root`` is a file, or ``base_url`` is not an http(s) address.
        """
        try:
            self.root = Path(root).expanduser().resolve()
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            raise ConfigurationError(f"root must be a directory: {error}") from None
        if self.root.exists() and not self.root.is_dir():
            raise ConfigurationError(f"root must be a directory, and {str(root)!r} is a file")
        self.base_url = None if base_url is None else public_base(base_url, what="base_url")

    def __repr__(self) -> str:
        return f"LocalStorage({str(self.root)!r})"

    @property
    def origins(self) -> tuple[str, ...]:
        return (self.base_url,) if self.base_url else ()

    @property
    def public_bases(self) -> tuple[str, ...]:
        return self.origins

    @property
    def roots(self) -> tuple[str, ...]:
        return () if self.base_url else (str(self.root),)

    def upload_described(
        self, data: bytes, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> StoredObject:
        stored = self.upload_bytes(data, key, content_type=content_type)
        _remember(self._path(check_key(key)), _METADATA_ATTRIBUTE, json.dumps(dict(metadata)))
        return stored

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        key = check_key(key)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidInputError(f"data must be bytes, got {type(data).__name__}")
        check_content_type(content_type)
        data = bytes(data) if isinstance(data, memoryview) else data
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".upload-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(name, 0o644)  # mkstemp's 0600 would hide the image from the web server
                _remember(name, _MIME_ATTRIBUTE, content_type)
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StorageError(
                f"{key!r} cannot be written below {str(self.root)!r}: {error}", key=key
            ) from error
        return self._object(key, path, content_type)

    def exists(self, key: str) -> StoredObject | None:
        key = check_key(key)
        path = self._path(key)
        try:
            if not path.is_file():
                return None
            return replace(self._object(key, path, _type_of(path)), metadata=_metadata_of(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(
                f"{key!r} cannot be read below {str(self.root)!r}: {error}", key=key
            ) from error

    def _path(self, key: str) -> Path:
        for segment in key.split("/"):
            if _refused_by_windows(segment):
                raise InvalidInputError(
                    f"storage key {key[:60]!r} has {segment[:60]!r}, which Windows takes for no file name; use another one"
                )
        path = self.root.joinpath(
            *(piece for segment in key.split("/") for piece in _pieces(segment))
        )
        # A link inside the root must not lead out of it.
        try:
            parent = path.parent.resolve()
        except (OSError, RuntimeError) as error:  # links that lead in a circle
            raise StorageError(
                f"{key!r} cannot be reached below {str(self.root)!r}: {error}", key=key
            ) from error
        if parent != self.root and self.root not in parent.parents:
            raise InvalidInputError(f"storage key {key[:60]!r} leads out of {str(self.root)!r}")
        return path

    def _object(self, key: str, path: Path, content_type: str) -> StoredObject:
        try:
            facts = path.stat()
        except OSError as error:
            raise StorageError(
                f"{key!r} is gone right after it was written: {error}", key=key
            ) from error
        relative = path.relative_to(self.root).as_posix()
        url = path.as_uri() if self.base_url is None else address_of(self.base_url, relative)
        return StoredObject(
            url, key, facts.st_size, content_type, f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
        )


_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE
)
"""Source: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file, read 2026-11-25."""


def _refused_by_windows(segment: str, *, here: bool = os.name == "nt") -> bool:
    """
    A device's name, or an end that Windows cuts off: refused everywhere, as a directory may move.
    Letters that only Windows refuses are refused there.

    Args:
        here: whether this is Windows.
    """
    if _DEVICES.fullmatch(segment) or segment.endswith((" ", ".")):
        return True
    return here and any(char in '<>:"|?*' for char in segment)


def _pieces(segment: str) -> list[str]:
    """
    A segment as names that a file system takes.

    All but the last piece end in a backslash, which no key has, so two keys never meet in one file.
    """
    pieces, current, size = [], "", 0
    for char in segment:
        width = len(char.encode())
        if size + width > _NAME_BYTES:
            pieces.append(current + "\\")
            current, size = "", 0
        current += char
        size += width
    return [*pieces, current]


def _remember(path: str | Path, attribute: str, value: str) -> None:
    # Not every file system has attributes; the extension tells the type then, and nothing tells the
    # metadata.
    with contextlib.suppress(OSError, AttributeError):
        os.setxattr(path, attribute, value.encode())


def _metadata_of(path: Path) -> dict[str, str]:
    try:
        found = json.loads(os.getxattr(path, _METADATA_ATTRIBUTE))
    except (OSError, AttributeError, ValueError):
        return {}
    return (
        {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    )


def _type_of(path: Path) -> str:
    try:
        return os.getxattr(path, _MIME_ATTRIBUTE).decode()
    except (OSError, AttributeError, UnicodeDecodeError):
        return type_of_name(path.name)
