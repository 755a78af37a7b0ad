"""Cloudflare R2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aigc_kit import settings
from aigc_kit.client import constructor
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.storage.s3 import S3Storage, one_secret


class R2Storage(S3Storage):
    """
    A bucket of Cloudflare R2, read by the public through a domain connected to it.

    Unset options come from ``R2_ACCESS_KEY_ID``, ``R2_ACCESS_KEY_SECRET``, ``R2_ENDPOINT``,
    ``R2_BUCKET_NAME`` and ``R2_PUBLIC_DOMAIN``.
    """

    _secret_positions = 2
    _public_name = "public_domain"
    _signs = True

    @constructor
    def __init__(
        self,
        access_key_id: str | Secret | None = None,
        access_key_secret: str | Secret | None = None,
        endpoint: str | None = None,
        bucket: str | None = None,
        public_domain: str | None = None,
        *,
        cache_control: str | None = "public, max-age=31536000, immutable",
        timeout: float | None = None,
        max_retries: int = 2,
        max_pool_connections: int = 1000,
        proxies: Mapping[str, str] | None = None,
        addressing_style: str = "auto",
        verify: str | os.PathLike[str] | None = None,
        extra_args: Mapping[str, Any] | None = None,
        secret_access_key: str | Secret | None = None,
    ) -> None:
        """
        Args:
            endpoint: ``https://<account>.r2.cloudflarestorage.com``; the bucket is taken off where
                it is at its end.
            public_domain: with or without ``https://``, port and path. The S3 endpoint itself is
                never public. Without one URLs are presigned and live for a week.
            secret_access_key: AWS's name of ``access_key_secret``.
            cache_control: see ``S3Storage``; so are the other options.

        Raises:
            MissingCredentialError: a key is neither given nor set.
            ConfigurationError: another option is missing or makes no sense.
        """
        super().__init__(
            bucket=_required(bucket, "R2_BUCKET_NAME", "bucket"),
            endpoint_url=_required(endpoint, "R2_ENDPOINT", "endpoint"),
            region="auto",
            public_base_url=settings.option(public_domain, "R2_PUBLIC_DOMAIN") or None,
            access_key_id=settings.credential(
                access_key_id, "R2_ACCESS_KEY_ID", what="access_key_id"
            ),
            secret_access_key=settings.credential(
                one_secret(access_key_secret, secret_access_key),
                "R2_ACCESS_KEY_SECRET",
                "R2_SECRET_ACCESS_KEY",
                what="access_key_secret",
            ),
            cache_control=cache_control,
            timeout=timeout,
            max_retries=max_retries,
            max_pool_connections=max_pool_connections,
            proxies=proxies,
            addressing_style=addressing_style,
            verify=verify,
            extra_args=extra_args,
        )


def _required(value: str | None, variable: str, name: str) -> str:
    found = settings.option(value, variable)
    if not found:
        raise ConfigurationError(f"R2Storage needs {name}: pass it or set {variable}")
    return found
