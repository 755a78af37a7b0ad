"""Where a command puts images: a directory, or a bucket of any service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from aigc_kit.settings import variable


def journal_dir() -> str:
    """
    The journal of paid images: ``AIGC_KIT_SPOOL_DIR``, else below the user's state directory.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/.
    """
    own = variable("AIGC_KIT_SPOOL_DIR")
    if own:
        return own
    home = variable("XDG_STATE_HOME") or variable("LOCALAPPDATA")
    base = Path(home) if home else Path.home() / ".local" / "state"
    return str(base / "aigc-kit" / "spool")


def store_of(
    name: str, *, folder: str = ".", endpoint: str | None = None, public: str | None = None
) -> Any:
    """
    Args:
        name: ``"local"``, ``"r2"``, ``"oss"``, ``"cos"``, ``"tos"`` or ``"minio"`` with the
            bucket of their variables; ``"s3://BUCKET"``, ``"oss://BUCKET"`` and so on; or the URL of
            a file system of fsspec, ``"gs://BUCKET/DIR"``.
        folder: the directory of ``"local"``.

    Raises:
        click.UsageError: another name.
        ConfigurationError: the store's settings are missing.
    """
    from aigc_kit import storage

    if name == "local":
        return storage.LocalStorage(os.path.expanduser(folder))
    if name == "r2":
        return storage.R2Storage(endpoint=endpoint, public_domain=public)
    parts = urlsplit(name)
    scheme, bucket = (parts.scheme, parts.netloc) if "://" in name else (name, None)
    if "://" in name and parts.path.strip("/") and scheme in ("s3", "oss", "cos", "tos", "minio"):
        raise click.UsageError(f"--store {name!r} names a directory: pass the bucket alone")
    if scheme == "s3" and bucket:
        return storage.S3Storage(bucket, endpoint_url=endpoint, public_base_url=public)
    presets: dict[str, Any] = {
        "oss": storage.OSSStorage,
        "cos": storage.COSStorage,
        "tos": storage.TOSStorage,
        "minio": storage.MinIOStorage,
    }
    if scheme in presets:
        return presets[scheme](bucket, endpoint_url=endpoint, public_base_url=public)
    if bucket and scheme not in ("http", "https"):
        return storage.FsspecStorage(name, public_base_url=public)
    raise click.UsageError(
        "--store must be 'local', 'r2', 'oss', 'cos', 'tos', 'minio', 's3://BUCKET', 'oss://BUCKET' and so on, or a URL"
        f" that fsspec knows such as 'gs://BUCKET/DIR'; got {name!r}"
    )
