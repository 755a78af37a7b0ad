"""What an object is stored with beside its bytes, checked before anything is paid for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import spelled, suggestion

_OURS = frozenset(
    {"Bucket", "Key", "Body", "ContentType", "Metadata", "ChecksumSHA256", "IfNoneMatch"}
)

CANNED = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "default",
)
"""ACLs; ``default`` is Tencent COS'."""

TEXTS = frozenset(
    {
        "ACL",
        "ContentDisposition",
        "ContentEncoding",
        "ContentLanguage",
        "ExpectedBucketOwner",
        "GrantFullControl",
        "GrantRead",
        "GrantReadACP",
        "GrantWriteACP",
        "ObjectLockLegalHoldStatus",
        "ObjectLockMode",
        "RequestPayer",
        "SSECustomerAlgorithm",
        "SSECustomerKey",
        "SSECustomerKeyMD5",
        "SSEKMSEncryptionContext",
        "SSEKMSKeyId",
        "ServerSideEncryption",
        "StorageClass",
        "Tagging",
        "WebsiteRedirectLocation",
    }
)
OTHERS = frozenset({"BucketKeyEnabled", "Expires", "ObjectLockRetainUntilDate"})
"""Arguments of boto3's ``put_object`` that are for the application; ``TEXTS`` are of type str."""


def extra_arguments(acl: Any, extra_args: Any) -> dict[str, Any]:
    """
    The arguments of ``put_object`` that the application adds.

    Raises:
        ConfigurationError: one that boto3 does not have, that is of another type, or that the
            storage sets itself.
    """
    if extra_args is not None and not isinstance(extra_args, Mapping):
        raise ConfigurationError(
            f"extra_args must be a dict of put_object's arguments, got {spelled(extra_args)}"
        )
    if acl is not None and (not isinstance(acl, str) or not acl):
        raise ConfigurationError(
            f"acl must be a canned ACL such as 'public-read', got {spelled(acl)}"
        )
    given = dict(extra_args or {}) | ({"ACL": acl} if acl else {})
    if "CacheControl" in given:
        raise ConfigurationError("extra_args has CacheControl: pass it as cache_control")
    if taken := sorted(map(str, _OURS & given.keys())):
        raise ConfigurationError(
            f"extra_args has {', '.join(taken)}, which the storage sets itself"
        )
    for name, value in given.items():
        _check(name, value)
    return given


def _check(name: Any, value: Any) -> None:
    """boto3 would refuse it at each upload, behind the payment."""
    if name not in TEXTS and name not in OTHERS:
        raise ConfigurationError(
            f"extra_args has {spelled(name)}, which put_object does not have"
            f"{suggestion(str(name), (*TEXTS, *OTHERS))}"
        )
    if name in TEXTS and not isinstance(value, str):
        raise ConfigurationError(f"extra_args[{name!r}] must be a text, got {spelled(value)}")
    if name == "ACL" and value not in CANNED:
        raise ConfigurationError(
            f"acl must be one of {', '.join(map(repr, CANNED))}, got {spelled(value)}"
        )
