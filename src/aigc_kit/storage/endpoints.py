"""
Where S3 services have their endpoints, and what each wants. A table, read from vendors' pages on
2026-11-25.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError

STYLES = ("auto", "path", "virtual")


@dataclass(frozen=True)
class Service:
    """
    One service. ``host``: its endpoints, with the region in the group ``region``. ``virtual``: the
    bucket goes into the host.
    ``checksum``: whether it takes ``x-amz-checksum-sha256``. ``public``: whether the public can
    read on the endpoint.
    """

    name: str
    host: re.Pattern[str]
    virtual: bool = False
    checksum: bool = True
    public: bool = True


def _host(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


SERVICES = (
    # https://developers.cloudflare.com/r2/api/s3/api/: the S3 endpoint answers the public with 400
    Service(
        "Cloudflare R2",
        _host(r"[0-9a-z]+(\.(eu|fedramp|us))?\.r2\.cloudflarestorage\.com"),
        public=False,
    ),
    Service(
        "Amazon S3", _host(r"s3([.-](?P<region>[a-z]{2}(-[a-z]+)+-\d))?\.amazonaws\.com(\.cn)?")
    ),
    # https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3:
    # path style is refused
    Service(
        "Aliyun OSS",
        _host(r"(s3\.)?oss-(?P<region>[a-z]{2}-[a-z0-9-]+?)(-internal)?\.aliyuncs\.com"),
        True,
        False,
    ),
    # https://cloud.tencent.com/document/product/436/102489: path style is refused since 2024
    Service(
        "Tencent COS",
        _host(
            r"cos(-internal)?\.(?P<region>[a-z]{2}-[a-z]+(-\d)?)\.(myqcloud|tencentcos)\.c(om|n)"
        ),
        True,
    ),
    # https://www.volcengine.com/docs/6349/147050; the S3 face has a host of its own
    Service(
        "Volcengine TOS", _host(r"tos-s3-(?P<region>[a-z]{2}-[a-z]+(-\d)?)\.i?volces\.com"), True
    ),
    Service("Huawei OBS", _host(r"obs\.(?P<region>[a-z]{2}-[a-z]+-\d)\.myhuaweicloud\.com"), True),
    Service("Qiniu Kodo", _host(r"s3[.-](?P<region>[a-z]{2}-[a-z]+-\d)\.qiniucs\.com")),
    # https://www.backblaze.com/docs/cloud-storage-s3-compatible-api: x-amz-checksum-sha256 is
    # refused
    Service(
        "Backblaze B2",
        _host(r"s3\.(?P<region>[a-z]{2}-[a-z]+-\d{3})\.backblazeb2\.com"),
        checksum=False,
    ),
)
OTHER = Service("", _host(r".*"))

_CONSOLES = re.compile(
    r"(dash\.cloudflare\.com|([a-z0-9-]+\.)*console\.(aws\.amazon\.com|amazonaws\.cn|aliyun\.com|alibabacloud\.com)"
    r"|console\.(volcengine\.com|cloud\.tencent\.com|huaweicloud\.com|intl\.cloud\.tencent\.com|byteplus\.com|cloud\.google\.com)"
    r"|portal\.qiniu\.com|secure\.backblaze\.com)",
    re.IGNORECASE,
)
"""Where people look at their buckets."""


@dataclass(frozen=True)
class Place:
    """
    Where a bucket is. ``url``: the endpoint without the bucket, "" for AWS. ``virtual``: the bucket
    goes into the host.
    """

    bucket: str
    url: str
    service: Service
    virtual: bool
    region: str = ""

    @property
    def base(self) -> str:
        """The bucket's own URL."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{self.bucket}.{rest}" if self.virtual else f"{self.url}/{self.bucket}"


def place_of(bucket: str, endpoint: str | None, style: str) -> Place:
    """
    The endpoint as it is meant, with the bucket taken off where it is in its path or its host.

    Raises:
        ConfigurationError: it is not an endpoint, or it cannot be told what is meant.
    """
    if style not in STYLES:
        raise ConfigurationError(
            f"addressing_style must be one of {', '.join(map(repr, STYLES))}, got {style!r}"
        )
    if endpoint is None:
        return Place(bucket, "", OTHER, style != "path")
    url = settings.base_url(endpoint)
    check_no_console(url, "endpoint")
    head, _, last = url.rpartition("/")
    if last == bucket and "://" in head and not head.endswith("/"):
        url = head
    host = urlsplit(url).hostname or ""
    service = service_of(host)
    inner = host.removeprefix(f"{bucket.lower()}.")
    if inner != host and service is OTHER and style != "path":
        service = service_of(inner)
        if service is OTHER and style != "virtual":
            raise ConfigurationError(
                f"the endpoint {url!r} begins with the bucket's name: pass it without {bucket + '.'!r} and"
                " addressing_style='virtual'; addressing_style='path' when the host itself is called so"
            )
        at = url.lower().index("://") + 3
        found = Place(bucket, url[:at] + url[at + len(bucket) + 1 :], service, True)
    else:
        found = Place(
            bucket, url, service, service.virtual if style == "auto" else style == "virtual"
        )
    told = service.host.fullmatch(urlsplit(found.url).hostname or "")
    region = told.groupdict().get("region") if told else None
    return replace(found, region=region or "")


def service_of(host: str) -> Service:
    return next((service for service in SERVICES if service.host.fullmatch(host)), OTHER)


def check_public(base: str, place: Place, name: str) -> None:
    """
    Refuse a public URL that cannot serve the objects.

    Raises:
        ConfigurationError: it is a dashboard, an endpoint that the public cannot read, or one
            without the bucket.
    """
    check_no_console(base, name)
    parts = urlsplit(base)
    host = (parts.hostname or "").lower()
    inner = host.removeprefix(f"{place.bucket.lower()}.")
    service = service_of(inner)
    if not service.public:
        raise ConfigurationError(
            f"{name} {base!r} is {service.name}'s S3 endpoint, which the public cannot read: pass the domain that is"
            " connected to the bucket"
        )
    own = service is not OTHER or (
        place.url and parts.netloc.lower() == urlsplit(place.url).netloc.lower()
    )
    if own and inner == host and place.bucket not in parts.path.split("/"):
        raise ConfigurationError(
            f"{name} {base!r} is the S3 endpoint without the bucket: objects are not there; expected {place.base!r} or a"
            " domain that is connected to the bucket"
        )


def check_no_console(url: str, name: str) -> None:
    """
    Raises:
        ConfigurationError: it is where people look at a bucket in their browser.
    """
    host = urlsplit(url).hostname or ""
    if _CONSOLES.fullmatch(host):
        raise ConfigurationError(
            f"{name} {url!r} is a dashboard: pass the S3 endpoint, such as 'https://<account>.r2.cloudflarestorage.com', and"
            " the domain that the public reads as the public one"
        )
