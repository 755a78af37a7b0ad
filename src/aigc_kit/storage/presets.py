"""
The object stores of Aliyun, Tencent Cloud and Volcengine, and MinIO, over the one S3 store.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3,
https://cloud.tencent.com/document/product/436/57456, https://www.volcengine.com/docs/6349/147050,
oss2 2.19.1, alibabacloud-oss-v2 1.4.1, tos 2.9.3 and minio 7.2.20, read 2026-11-25.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from aigc_kit import settings
from aigc_kit.client import constructor
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.storage.endpoints import is_internal, place_of, service_named
from aigc_kit.storage.s3 import S3Storage, one_secret


@dataclass(frozen=True)
class Preset:
    """
    One service. ``endpoint``: with ``{region}``; "" where it is the user's own. The variables are
    those of its SDKs, in order; ``keys``: of the key, the secret and the token, which belong
    together. ``bucket``: a pattern of its names, and ``example`` one. ``service``: its row in
    ``endpoints``.
    """

    endpoint: str
    regions: str
    example_region: str
    keys: tuple[tuple[str, str, str], ...]
    region: tuple[str, ...]
    url: tuple[str, ...]
    name: tuple[str, ...]
    public: str
    service: str = ""
    bucket: str = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
    example: str = "pictures"
    prefix: str = ""
    default_region: str = ""


class PresetStorage(S3Storage):
    """
    What the presets share.

    Without ``public_base_url`` URLs are presigned, and live for a week: the default hosts of OSS,
    COS and TOS make browsers download, or serve nobody at all.
    """

    _preset: ClassVar[Preset]
    _signs = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_preset" in vars(cls):
            cls._own_service = service_named(cls._preset.service)

    @constructor
    def __init__(
        self,
        bucket: str | None = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        public_base_url: str | None = None,
        access_key_id: str | Secret | None = None,
        secret_access_key: str | Secret | None = None,
        session_token: str | Secret | None = None,
        session_expires: datetime | None = None,
        cache_control: str | None = "public, max-age=31536000, immutable",
        timeout: float | None = None,
        max_retries: int = 2,
        max_pool_connections: int = 1000,
        proxies: Mapping[str, str] | None = None,
        addressing_style: str = "auto",
        verify: str | os.PathLike[str] | None = None,
        acl: str | None = None,
        extra_args: Mapping[str, Any] | None = None,
        access_key_secret: str | Secret | None = None,
    ) -> None:
        """
        Args:
            region: as the service writes it. The endpoint follows from it.
            endpoint_url: instead: an internal one, an accelerated one, or a server of your own.
            public_base_url: the domain that is connected to the bucket; None presigns URLs.
            session_token: of temporary credentials (STS).
            session_expires: when they end, with a time zone: no presigned URL lives longer.
            acl: see ``S3Storage``; so are the other options.

        Raises:
            MissingCredentialError: a key is neither given nor set.
            ConfigurationError: another option is missing or makes no sense.
        """
        preset, kind = self._preset, type(self).__name__
        bucket = settings.option(bucket, *preset.name)
        if not bucket or settings.is_placeholder(bucket):
            raise ConfigurationError(f"{kind} needs bucket: pass it or set {preset.name[0]}")
        if not re.fullmatch(preset.bucket, bucket):
            raise ConfigurationError(
                f"{kind}: bucket must be like {preset.example!r}, got {bucket!r}"
            )
        url = settings.option(endpoint_url, *(() if region else preset.url))
        region = self._checked_region(region)
        public = settings.option(public_base_url, preset.public) or None
        url = self._endpoint(url, region or settings.option(None, *preset.region))
        told = place_of(bucket, url, addressing_style, self._own_service).region
        if region and told and region != told:
            raise ConfigurationError(f"{kind}: region {region!r} is not that of {url!r}")
        if public is None and is_internal(url):
            raise ConfigurationError(
                f"{kind}: URLs at {url!r} open inside of the service's network alone: pass public_base_url"
            )
        key, secret, token = self._keys(
            access_key_id, one_secret(secret_access_key, access_key_secret), session_token
        )
        super().__init__(
            bucket,
            endpoint_url=url,
            region=region
            or told
            or self._checked_region(settings.option(None, *preset.region))
            or preset.default_region
            or None,
            public_base_url=public,
            access_key_id=key,
            secret_access_key=secret,
            session_token=token,
            session_expires=session_expires,
            cache_control=cache_control,
            timeout=timeout,
            max_retries=max_retries,
            max_pool_connections=max_pool_connections,
            proxies=proxies,
            addressing_style=addressing_style,
            verify=verify,
            acl=acl,
            extra_args=extra_args,
        )

    @classmethod
    def is_configured(cls) -> bool:
        """Whether the environment has a key and a bucket of this service."""
        preset = cls._preset
        keys = [each[0] for each in preset.keys]
        return bool(settings.variable(*keys) and settings.variable(*preset.name))

    def _checked_region(self, region: str | None) -> str:
        preset = self._preset
        found = (region or "").strip().removeprefix(preset.prefix)
        if found and not re.fullmatch(preset.regions, found):
            raise ConfigurationError(
                f"{type(self).__name__}: region must be like {preset.example_region!r}, got {found!r}"
            )
        return found

    def _keys(self, key: Any, secret: Any, token: Any) -> tuple[Secret, Secret, Secret | None]:
        """
        Key, secret and token of one source: those that were passed, or the variables of one SDK.

        Raises:
            MissingCredentialError: one of them is missing.
        """
        families = self._preset.keys
        if key is not None or secret is not None:
            names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        else:
            chosen = next((each for each in families if all(map(_is_set, each[:2]))), None)
            chosen = chosen or next(
                (each for each in families if any(map(_is_set, each[:2]))), None
            )
            chosen = chosen or families[0]
            names = ((chosen[0],), (chosen[1],))
            token = token or settings.optional_credential(None, chosen[2], what="session_token")
        return (
            settings.credential(key, *names[0], what="access_key_id"),
            settings.credential(secret, *names[1], what="secret_access_key"),
            settings.optional_credential(token, what="session_token"),
        )

    def _endpoint(self, url: str, region: str) -> str:
        preset, kind = self._preset, type(self).__name__
        if url and "://" not in url:
            if not preset.endpoint:
                raise ConfigurationError(
                    f"{kind}: endpoint_url must begin with http:// or https://, got {url!r}"
                )
            return f"https://{url}"  # as its SDK takes it
        if url:
            return url
        if not preset.endpoint:
            raise ConfigurationError(
                f"{kind} needs endpoint_url, e.g. 'http://127.0.0.1:9000': pass it or set {preset.url[0]}"
            )
        region = self._checked_region(region)
        if not region:
            raise ConfigurationError(
                f"{kind} needs region, e.g. {preset.example_region!r}: pass it or set {preset.region[0]}"
            )
        return preset.endpoint.format(region=region)


def _is_set(name: str) -> bool:
    value = settings.variable(name)
    return bool(value) and not settings.is_placeholder(value)


class OSSStorage(PresetStorage):
    """
    A bucket of Aliyun OSS. Variables: ``OSS_ACCESS_KEY_ID``, ``OSS_ACCESS_KEY_SECRET``,
    ``OSS_SESSION_TOKEN``, ``OSS_REGION``, ``OSS_ENDPOINT``, ``OSS_BUCKET``,
    ``OSS_PUBLIC_BASE_URL``.

    Customers since 2025-03-20 read and write buckets on the mainland through a domain of their own
    only, from outside of Aliyun's network: pass it as ``public_base_url``.
    """

    _preset = Preset(
        "https://oss-{region}.aliyuncs.com",
        r"[a-z]{2}-(?!.*internal)[a-z0-9-]+",
        "cn-hangzhou",
        (("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),),
        ("OSS_REGION",),
        ("OSS_ENDPOINT",),
        ("OSS_BUCKET", "OSS_BUCKET_NAME"),
        "OSS_PUBLIC_BASE_URL",
        "Aliyun OSS",
        prefix="oss-",
    )


class COSStorage(PresetStorage):
    """
    A bucket of Tencent COS; its name ends with the APPID. Variables: ``COS_SECRET_ID`` and
    ``COS_SECRET_KEY`` (or ``TENCENTCLOUD_SECRET_ID`` and ``_KEY``), ``COS_SESSION_TOKEN``,
    ``COS_REGION``, ``COS_ENDPOINT``, ``COS_BUCKET``, ``COS_PUBLIC_BASE_URL``.

    Buckets since 2024 make browsers download from the default host, whatever the request says.
    """

    _preset = Preset(
        "https://cos.{region}.myqcloud.com",
        r"[a-z]{2}-[a-z]+(-\d|-fsi)?",
        "ap-guangzhou",
        (
            ("COS_SECRET_ID", "COS_SECRET_KEY", "COS_SESSION_TOKEN"),
            ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SESSION_TOKEN"),
        ),
        ("COS_REGION", "TENCENTCLOUD_REGION"),
        ("COS_ENDPOINT",),
        ("COS_BUCKET", "COS_BUCKET_NAME"),
        "COS_PUBLIC_BASE_URL",
        "Tencent COS",
        bucket=r"[a-z0-9][a-z0-9-]*-\d{8,12}",
        example="pictures-1250000000",
    )


class TOSStorage(PresetStorage):
    """
    A bucket of Volcengine TOS. Variables: ``TOS_ACCESS_KEY``, ``TOS_SECRET_KEY``,
    ``TOS_SECURITY_TOKEN``, ``TOS_REGION``, ``TOS_ENDPOINT``, ``TOS_BUCKET``,
    ``TOS_PUBLIC_BASE_URL``. The endpoint of its own protocol is replaced by the one for S3.
    """

    _preset = Preset(
        "https://tos-s3-{region}.volces.com",
        r"[a-z]{2}-[a-z]+(-\d)?",
        "cn-beijing",
        (("TOS_ACCESS_KEY", "TOS_SECRET_KEY", "TOS_SECURITY_TOKEN"),),
        ("TOS_REGION",),
        ("TOS_ENDPOINT",),
        ("TOS_BUCKET", "TOS_BUCKET_NAME"),
        "TOS_PUBLIC_BASE_URL",
        "Volcengine TOS",
    )


class MinIOStorage(PresetStorage):
    """
    A bucket of MinIO, or of another server of your own. Variables: ``MINIO_ACCESS_KEY`` and
    ``MINIO_SECRET_KEY`` (or ``MINIO_ROOT_USER`` and ``MINIO_ROOT_PASSWORD``),
    ``MINIO_SESSION_TOKEN``, ``MINIO_REGION``, ``MINIO_ENDPOINT``, ``MINIO_BUCKET``,
    ``MINIO_PUBLIC_BASE_URL``.

    ``public_base_url`` of a bucket with an anonymous policy is ``<endpoint>/<bucket>``.
    """

    _preset = Preset(
        "",
        r".+",
        "us-east-1",
        (
            ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_SESSION_TOKEN"),
            ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_SESSION_TOKEN"),
        ),
        ("MINIO_REGION",),
        ("MINIO_ENDPOINT",),
        ("MINIO_BUCKET", "MINIO_BUCKET_NAME"),
        "MINIO_PUBLIC_BASE_URL",
        bucket=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        default_region="us-east-1",
    )
