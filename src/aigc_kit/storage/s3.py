"""Amazon S3, and every server that speaks its protocol."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import (
    ConfigurationError,
    InvalidInputError,
    StorageError,
    UnsupportedFeatureError,
)
from aigc_kit.settings import Secret, spelled
from aigc_kit.storage.arguments import extra_arguments
from aigc_kit.storage.base import (
    Storage,
    StoredObject,
    address_of,
    check_content_type,
    check_key,
    public_base,
)
from aigc_kit.storage.endpoints import Place, Service, check_public, place_of
from aigc_kit.transport import aws
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.encoding import sha256_of
from aigc_kit.transport.failures import RequestContext, retry_after_of
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.interrupts import without_frames
from aigc_kit.transport.retry import Policy

# Codes that a second try may cure though their status does not say so.
# Source: https://developers.cloudflare.com/r2/api/error-codes/ read 2026-11-22.
_RETRYABLE_CODES = frozenset(
    {"IncompleteBody", "ClientDisconnect", "BadDigest", "RequestTimeout", "SlowDown"}
)

_NO_CONDITIONS = frozenset(
    {"NotImplemented", "UnsupportedOperation", "InvalidArgument", "InvalidRequest"}
)
"""What servers answer that know no conditional PUT."""


class S3Storage(Rebuilt, Storage):
    """
    A bucket behind the S3 protocol.

    An upload is one PUT with the SHA-256 of its bytes, which the server checks; it is repeated
    after connection failures, 429 and 5xx (a repeated PUT changes nothing). ``cache_control`` is
    right for keys made from content hashes, as ``ImageClient`` makes them; pass ``None`` for keys
    that change their content.
    """

    _public_name = "public_base_url"
    _own_service: ClassVar[Service | None] = None
    """The service that the class is for; others tell it by the endpoint."""
    _signs: ClassVar[bool] = False
    """Whether URLs are presigned where there is no public one."""

    @constructor
    def __init__(
        self,
        bucket: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        public_base_url: str | None = None,
        access_key_id: str | Secret | None = None,
        secret_access_key: str | Secret | None = None,
        session_token: str | Secret | None = None,
        session_expires: datetime | None = None,
        profile: str | None = None,
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
            bucket: its name; not part of the endpoint, but taken off where it is at its end.
            endpoint_url: of a compatible server; None is AWS.
            public_base_url: where the public reads objects; None is the bucket's own URL.
            access_key_id: both keys or none; none means the machine's chain of variables, profiles
                and roles.
            access_key_secret: another name of ``secret_access_key``.
            session_expires: when temporary credentials end, with a time zone; presigned URLs end
                with them.
            addressing_style: ``"virtual"`` puts the bucket into the host, ``"path"`` behind it;
                ``"auto"`` knows Aliyun OSS, Tencent COS, Volcengine TOS and Huawei OBS, which
                refuse the second.
            verify: path of the certificates to trust (a CA of your own).
            acl: a canned ACL for each object, ``"public-read"``. R2 and newer buckets of AWS have
                none and refuse it.
            extra_args: more arguments of boto3's ``put_object``, e.g.
                ``{"StorageClass": "STANDARD_IA"}``.
            timeout: seconds for one operation, tries included (default 120).
            max_pool_connections: idle connections that are kept.
            proxies: ``{"https": "http://host:port"}``; with explicit keys the machine's own are not
                used.

        Raises:
            ConfigurationError: an option is missing or makes no sense.
        """
        if not isinstance(bucket, str) or not bucket.strip() or "/" in bucket:
            raise ConfigurationError(f"bucket must be the name of a bucket, got {bucket!r}")
        secret_access_key = one_secret(secret_access_key, access_key_secret)
        if (access_key_id is None) != (secret_access_key is None):
            raise ConfigurationError(
                "access_key_id and secret_access_key belong together: pass both or neither"
            )
        self.bucket = bucket.strip()
        self.cache_control = _header(cache_control)
        self._session_expires = _moment(session_expires)
        self._place = place_of(self.bucket, endpoint_url, addressing_style, self._own_service)
        self._extra = extra_arguments(acl, extra_args)
        if "ACL" in self._extra and not self._place.service.acls:
            raise ConfigurationError(
                f"{self._place.service.name} has no ACLs of objects: leave out acl={spelled(self._extra['ACL'])} and"
                " make the bucket public in its console"
            )
        self._policy = Policy(
            settings.seconds(timeout, default=120.0),
            settings.whole_number(max_retries, name="max_retries"),
        )
        self._settings = aws.AwsSettings(
            region=settings.option(region)
            or self._place.region
            or _region_of_the_machine(self._place),
            endpoint_url=self._place.url or None,
            virtual=self._place.virtual,
            checksum=self._place.service.checksum,
            ca_file=_ca_file(verify),
            access_key_id=settings.optional_credential(access_key_id, what="access_key_id"),
            secret_access_key=settings.optional_credential(
                secret_access_key, what="secret_access_key"
            ),
            session_token=settings.optional_credential(session_token, what="session_token"),
            profile=profile,
            # With explicit keys nothing of the machine leaks in, its proxies neither.
            proxies=None
            if proxies is None and access_key_id is None
            else tuple((proxies or {}).items()),
            pool_size=settings.whole_number(
                max_pool_connections, name="max_pool_connections", minimum=1
            ),
        )
        self._public = (
            None
            if public_base_url is None
            else public_base(public_base_url, what=self._public_name)
        )
        if self._public is not None:
            check_public(self._public, self._place, self._public_name)
        if self._is_signed and session_token is not None and session_expires is None:
            raise ConfigurationError(
                f"{type(self).__name__}: a presigned URL dies with the session token: pass session_expires, or"
                f" {self._public_name}"
            )
        self._conditional = self._place.service.conditional
        self._client = Handle(lambda: aws.s3_client(self._settings), aws.AwsClient.close)

    @property
    def _is_signed(self) -> bool:
        """Whether URLs are presigned."""
        return self._public is None and (self._signs or not self._place.service.inline)

    def _described(self) -> str:
        return f"{type(self).__name__}(bucket={self.bucket!r}, endpoint={self._settings.endpoint_url!r})"

    @property
    def origins(self) -> tuple[str, ...]:
        """The URLs that the user named: the endpoint and the public one."""
        return tuple(url for url in (self._settings.endpoint_url, self._public) if url)

    @property
    def public_bases(self) -> tuple[str, ...]:
        return (self._public,) if self._public else ()

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        key = check_key(key)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidInputError(f"data must be bytes, got {type(data).__name__}")
        check_content_type(content_type)
        data = bytes(data) if isinstance(data, memoryview) else data
        return self._put(data, key, content_type, sha256_of(data).digest())

    def upload_hashed(
        self, data: bytes, key: str, *, content_type: str, sha256: bytes
    ) -> StoredObject:
        if (
            getattr(self.upload_bytes, "__func__", None) is not _UPLOAD_BYTES
        ):  # a subclass that does its own work
            return self.upload_bytes(data, key, content_type=content_type)
        return self._put(data, check_key(key), check_content_type(content_type), sha256)

    def upload_described(
        self, data: bytes, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> StoredObject:
        if getattr(self.upload_bytes, "__func__", None) is not _UPLOAD_BYTES:
            return self.upload_bytes(data, key, content_type=content_type)
        sha256 = sha256_of(data).digest()
        return self._put(
            data,
            check_key(key),
            check_content_type(content_type),
            sha256,
            {"Metadata": dict(metadata)},
        )

    @property
    def claims(self) -> bool:
        """Until the service is known, or says, to have no ``If-None-Match`` for a PUT."""
        return self._conditional

    def create(
        self, data: bytes, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> bool:
        """
        One conditional PUT. AWS has it since 2024-08-20, R2 and MinIO have it too.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html,
        https://developers.cloudflare.com/r2/api/s3/api/, read 2026-11-25.

        Raises:
            UnsupportedFeatureError: the store has no conditional PUT; nothing was stored.
            StorageError: the store refused, or cannot be reached.
        """
        more = {"Metadata": dict(metadata), "IfNoneMatch": "*", "CacheControl": "no-store"}
        try:
            self._put(data, check_key(key), content_type, sha256_of(data).digest(), more)
        except StorageError as error:
            cause = error.__cause__
            status, code = getattr(cause, "status", 0), getattr(cause, "code", "")
            if status == 412 or code in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            if status == 501 or code in _NO_CONDITIONS:
                self._conditional = False
                raise UnsupportedFeatureError(
                    f"{self._where()} cannot put an object only where there is none"
                ) from error
            raise
        return True

    def discard(self, key: str) -> None:
        self._call("delete_object", key, {"Bucket": self.bucket, "Key": check_key(key)})

    def _put(
        self,
        data: bytes,
        key: str,
        content_type: str,
        sha256: bytes,
        more: Mapping[str, Any] | None = None,
    ) -> StoredObject:
        digest = base64.b64encode(sha256).decode()
        request: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": data,
            "ContentType": content_type,
        }
        if self._settings.checksum:  # else the signature covers the digest
            request["ChecksumSHA256"] = digest
        if self.cache_control:
            request["CacheControl"] = self.cache_control
        request |= self._extra
        request |= more or {}
        response = self._call("put_object", key, request)
        stored = response.get("ChecksumSHA256")
        if stored and stored != digest:
            raise StorageError(
                f"{key!r} arrived changed: the server counted another SHA-256",
                key=key,
                retryable=True,
            )
        etag = str(response.get("ETag", "")).strip('"')
        if not etag:  # every S3 server sends one: something else said 200
            there = self.exists(key)
            if there is None or there.size != len(data):
                raise StorageError(
                    f"{self._where()} answered 200 to {key!r} like no S3 server does, and the object is not there",
                    key=key,
                    retryable=True,
                )
        return StoredObject(
            self.url_of(key),
            key,
            len(data),
            content_type,
            etag,
            self.bucket,
            expires_at=self._expiry(),
        )

    def exists(self, key: str) -> StoredObject | None:
        key = check_key(key)
        response = self._call(
            "head_object", key, {"Bucket": self.bucket, "Key": key}, missing_is_none=True
        )
        if response is None:
            return None
        etag = str(response.get("ETag", "")).strip('"')
        kind = str(response.get("ContentType", ""))
        told = {
            str(name).lower(): str(value)
            for name, value in (response.get("Metadata") or {}).items()
        }
        size = int(response.get("ContentLength", 0))
        return StoredObject(
            self.url_of(key), key, size, kind, etag, self.bucket, told, self._expiry()
        )

    def url_of(self, key: str) -> str:
        """
        The public URL of a key; sends no request. Where there is none, it is presigned for a week,
        or for as long as the credentials live, by R2, by the presets, and where the service's own
        hosts show no images.
        """
        if not self._is_signed:
            return address_of(self._public or self._own_address(), check_key(key))
        return self.presigned_url(key, expires=LONGEST_SIGNATURE)

    def presigned_url(self, key: str, *, expires: int = 3600) -> str:
        """
        A URL that reads an object of a private bucket for a while.

        Args:
            expires: seconds, 1 to 604,800 (a week): no store signs for longer, and boto3 does not
                check it.

        Raises:
            InvalidInputError: the key breaks the rules, or ``expires`` is out of range.
            StorageError: there are no credentials.
        """
        key = check_key(key)
        if (
            isinstance(expires, bool)
            or not isinstance(expires, int)
            or not 1 <= expires <= LONGEST_SIGNATURE
        ):
            raise InvalidInputError(
                f"expires must be 1 to {LONGEST_SIGNATURE} seconds, got {spelled(expires)}"
            )
        expires = min(expires, self._lifetime())
        if expires < 1:
            raise StorageError(
                f"the credentials of bucket {self.bucket!r} ended at {self._session_expires}: no URL can be signed with"
                " them",
                key=key,
            )
        try:
            return str(self._client.get().presigned(self.bucket, key, expires))
        except aws.failures() as error:
            raise self._translated(aws.aws_error(error), key, "presigned_url") from error

    def _expiry(self) -> str:
        """When the URLs that are made now die, "" where they do not."""
        if not self._is_signed:
            return ""
        end = datetime.now(UTC) + timedelta(seconds=self._lifetime())
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _lifetime(self) -> int:
        """Seconds that a presigned URL can live from now on."""
        if self._session_expires is None:
            return LONGEST_SIGNATURE
        left = int((self._session_expires - datetime.now(UTC)).total_seconds())
        return min(left, LONGEST_SIGNATURE)

    def close(self) -> None:
        self._client.close()

    def _own_address(self) -> str:
        if self._place.url:
            return self._place.base
        region = self._settings.region or "us-east-1"
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        if "." in self.bucket:  # the wildcard certificate does not cover a bucket with dots
            return f"https://s3.{region}.{suffix}/{self.bucket}"
        return f"https://{self.bucket}.s3.{region}.{suffix}"

    def _call(
        self, operation: str, key: str, request: dict[str, Any], *, missing_is_none: bool = False
    ) -> Any:
        def attempt(deadline: Deadline) -> Any:
            try:
                return self._client.get().call(operation, request, deadline)
            except aws.AwsError as error:
                raise self._translated(error, key, operation) from error
            except aws.failures() as error:  # from making the client
                raise self._translated(aws.aws_error(error), key, operation) from without_frames(
                    error
                )

        try:
            return self._policy.run(attempt)[0]
        except StorageError as error:
            if (
                missing_is_none
                and error.__cause__ is not None
                and getattr(error.__cause__, "missing", False)
            ):
                return None
            raise

    def _translated(self, error: aws.AwsError, key: str, operation: str) -> StorageError:
        retryable = error.status in (408, 429) or (error.status >= 500 and error.status != 501)
        retryable = retryable or error.code in _RETRYABLE_CODES
        retryable = retryable or (error.status == 0 and not error.usage)
        secrets = (
            self._settings.access_key_id,
            self._settings.secret_access_key,
            self._settings.session_token,
        )
        redact = RequestContext(
            "s3", secrets=tuple(secret for secret in secrets if secret is not None)
        ).redact
        said = " ".join(
            dict.fromkeys(str(part) for part in (error.status or "", error.code) if part)
        )
        from aigc_kit.hints import explained  # texts that only a failure needs

        hint = explained("s3", error.code) if error.code else ""
        return StorageError(
            f"{operation} of {key!r} to bucket {self.bucket!r} at {self._where()} failed: {said or 'no answer'} ({redact(str(error))})"
            + (f". {hint}" if hint else ""),
            key=key,
            code=redact(error.code),
            retryable=retryable,
            retry_after=retry_after_of(error.headers),
            request_id=redact(error.request_id),
        )

    def _where(self) -> str:
        return (
            urlsplit(self._settings.endpoint_url).netloc
            if self._settings.endpoint_url
            else "AWS S3"
        )


_UPLOAD_BYTES = S3Storage.upload_bytes

LONGEST_SIGNATURE = 604_800


def one_secret(*given: str | Secret | None) -> str | Secret | None:
    """
    The secret key, under whichever of its names it was given.

    Raises:
        ConfigurationError: under two names.
    """
    found = [one for one in given if one is not None]
    if len(found) > 1:
        raise ConfigurationError(
            "secret_access_key and access_key_secret are two names of one option: pass one of them"
        )
    return found[0] if found else None


def _region_of_the_machine(place: Place) -> str:
    """
    Raises:
        ConfigurationError: AWS's variables mean nothing to the service.
    """
    if place.service.name not in ("", "Amazon S3"):
        raise ConfigurationError(
            f"{place.service.name} needs region: {place.url!r} does not say it, and the signature has it"
        )
    return settings.variable("AWS_REGION", "AWS_DEFAULT_REGION")


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(
            f"session_expires must be a datetime with a time zone, got {spelled(value)}"
        )
    if value <= datetime.now(UTC):
        raise ConfigurationError(f"session_expires is over: {value.isoformat()}")
    return value


def _header(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.isprintable()):
        return value or None
    raise ConfigurationError(
        f"cache_control must be a header's text such as 'no-cache', or None; got {spelled(value)}"
    )


def _ca_file(verify: Any) -> str:
    if verify is None or verify is True:
        return ""
    if not isinstance(verify, (str, os.PathLike)):
        raise ConfigurationError(
            f"verify must be the path of the certificates to trust, got {spelled(verify)}"
        )
    path = os.fspath(verify)
    if not os.path.exists(path):
        raise ConfigurationError(f"verify={path!r}: no such file")
    return path
