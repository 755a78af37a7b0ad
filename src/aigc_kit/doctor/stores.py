"""R2 and S3: what is missing, what was never filled in, and URLs that cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.doctor.findings import Context, Finding, masked, offline
from aigc_kit.doctor.vendors import R2, r2_is_set
from aigc_kit.errors import AIGCError
from aigc_kit.settings import is_placeholder, variable

_DOMAIN = "R2_PUBLIC_DOMAIN"


@offline("r2")
def r2(context: Context) -> Iterator[Finding]:
    """The five variables of ``R2Storage()``."""
    if not r2_is_set():
        return
    bad = False
    for names in (*R2, (_DOMAIN,)):
        name = next((name for name in names if variable(name)), names[0])
        value = variable(name)
        if value and _unfilled(value):
            bad = True
            yield Finding("error", "r2_placeholder", "r2", {"variable": name, "value": value})
        elif not value and name != _DOMAIN:
            bad = True
            yield Finding("error", "r2_missing", "r2", {"variable": name})
    if bad:
        return
    yield from _made()


def _unfilled(value: str) -> bool:
    return (
        is_placeholder(value) or value.startswith("https://xxx.") or "assets.example.com" in value
    )


def _made() -> Iterator[Finding]:
    from aigc_kit.storage import R2Storage

    try:
        store = R2Storage()
    except AIGCError as error:
        yield Finding("error", "store_refused", "r2", {"problem": str(error)})
        return
    key = masked(variable("R2_ACCESS_KEY_ID"))
    yield Finding(
        "ok", "r2", "r2", {"bucket": store.bucket, "endpoint": variable("R2_ENDPOINT"), "key": key}
    )
    host = urlsplit(variable("R2_ENDPOINT")).hostname or ""
    if not host.endswith(".r2.cloudflarestorage.com"):
        yield Finding("warning", "r2_endpoint", "r2", {"endpoint": variable("R2_ENDPOINT")})
    yield from _domain(variable("R2_ENDPOINT").rstrip("/"))
    store.close()


def _domain(endpoint: str) -> Iterator[Finding]:
    domain = variable(_DOMAIN)
    if not domain:
        yield Finding("warning", "r2_no_domain", "r2")
    elif ".r2.dev" in domain:
        yield Finding("warning", "r2_dev", "r2", {"domain": domain})
    elif "r2.cloudflarestorage.com" in domain or f"{domain}/".startswith(f"{endpoint}/"):
        yield Finding("error", "r2_domain_is_endpoint", "r2", {"domain": domain})
    else:
        yield Finding("ok", "r2_domain", "r2", {"domain": domain})


_CLOSED = frozenset({"Aliyun OSS", "Tencent COS", "Volcengine TOS", "Huawei OBS", "Qiniu Kodo"})
"""
Whose own domains make browsers download an image instead of showing it, or refuse it for new
buckets. Source: cloud.tencent.com/document/product/436/57456, alibabacloud.com/help oss
download-object, read 2026-11-25.
"""


@offline("s3")
def s3(context: Context) -> Iterator[Finding]:
    """The store that was named for the test."""
    yield from _of_service(context.store)


@offline("presets")
def presets(context: Context) -> Iterator[Finding]:
    """OSS, COS, TOS and MinIO, where the variables of their SDKs are set."""
    from aigc_kit import storage

    for name, kind in (
        ("oss", storage.OSSStorage),
        ("cos", storage.COSStorage),
        ("tos", storage.TOSStorage),
        ("minio", storage.MinIOStorage),
    ):
        if not kind.is_configured():
            continue
        try:
            store = kind()
        except AIGCError as error:
            yield Finding("error", "store_refused", name, {"problem": str(error)})
            continue
        yield from _of_service(store)
        store.close()


def _of_service(store: Any) -> Iterator[Finding]:
    place: Any = getattr(store, "_place", None)
    if place is None:
        return
    subject = f"s3://{place.bucket}"
    yield Finding(
        "ok",
        "s3",
        subject,
        {
            "service": place.service.name or "S3",
            "endpoint": place.url or "AWS",
            "style": "virtual" if place.virtual else "path",
        },
    )
    if place.service.name in _CLOSED and not store.public_bases:
        yield Finding("warning", "s3_default_domain", subject, {"service": place.service.name})
