"""Where a command puts images: a directory, R2, or a bucket."""

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
        name: ``"local"``, ``"r2"`` or ``"s3://BUCKET"``.
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
    if parts.scheme == "s3" and parts.netloc:
        return storage.S3Storage(parts.netloc, endpoint_url=endpoint, public_base_url=public)
    raise click.UsageError(f"--store must be 'local', 'r2' or 's3://BUCKET', got {name!r}")
