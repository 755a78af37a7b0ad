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
    read on the endpoint; ``inline``: whether browsers show images there, and not only download
    them or are refused. ``acls``: whether objects have any. ``region``: what is signed for where
    neither the host nor the user says.
    ``conditional``: whether it knows ``If-None-Match`` for a PUT; others have headers of their own.
    """

    name: str
    host: re.Pattern[str]
    virtual: bool = False
    checksum: bool = True
    public: bool = True
    inline: bool = True
    acls: bool = True
    region: str = ""
    conditional: bool = True


def _host(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


SERVICES = (
    # https://developers.cloudflare.com/r2/api/s3/api/: the S3 endpoint answers the public with 400
    Service(
        "Cloudflare R2",
        _host(r"[0-9a-z]+(\.(eu|fedramp|us))?\.r2\.cloudflarestorage\.com"),
        public=False,
        inline=False,
        acls=False,
        region="auto",
    ),
    Service(
        "Amazon S3", _host(r"s3([.-](?P<region>[a-z]{2}(-[a-z]+)+-\d))?\.amazonaws\.com(\.cn)?")
    ),
    # https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3:
    # path style is refused
    Service(
        "Aliyun OSS",
        _host(
            r"(s3\.)?oss-((?P<region>[a-z]{2}-[a-z0-9-]+?)(-internal)?|accelerate(-overseas)?)\.aliyuncs\.com"
            r"|[a-z]{2}-[a-z0-9-]+\.oss\.aliyuncs\.com"
        ),
        True,
        False,
        inline=False,
        conditional=False,
    ),
    # https://cloud.tencent.com/document/product/436/102489: path style is refused since 2024
    Service(
        "Tencent COS",
        _host(
            r"cos(-internal)?\.((dualstack\.)?(?P<region>[a-z]{2}-[a-z]+(-\d|-fsi)?)|accelerate)\.(myqcloud|tencentcos)\.c(om|n)"
        ),
        True,
        checksum=False,
        inline=False,
        conditional=False,
    ),
    # https://www.volcengine.com/docs/6349/147050; the S3 face has a host of its own
    Service(
        "Volcengine TOS",
        _host(r"tos-s3-(?P<region>[a-z]{2}-[a-z]+(-\d)?)\.i?volces\.com"),
        True,
        checksum=False,
        inline=False,
        conditional=False,
    ),
    Service(
        "Huawei OBS",
        _host(r"obs\.(?P<region>[a-z]{2}-[a-z]+-\d)\.myhuaweicloud\.com"),
        True,
        checksum=False,
        inline=False,
        conditional=False,
    ),
    Service(
        "Qiniu Kodo",
        _host(r"s3[.-](?P<region>[a-z]{2}-[a-z]+-\d)\.qiniucs\.com"),
        checksum=False,
        inline=False,
        conditional=False,
    ),
    # https://www.backblaze.com/docs/cloud-storage-s3-compatible-api: x-amz-checksum-sha256 is
    # refused
    Service(
        "Backblaze B2",
        _host(r"s3\.(?P<region>[a-z]{2}-[a-z]+-\d{3})\.backblazeb2\.com"),
        checksum=False,
        acls=False,
        conditional=False,
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


_DOT = re.compile(r"^(https?://[^/:]+?)\.(?=[/:]|$)", re.IGNORECASE)
"""The dot at the end of a whole host name, which no certificate has."""
_TOS_OWN = re.compile(
    r"(://(?:[^/]+\.)?)tos-(?!s3-)([a-z]{2}-[a-z]+(-\d)?\.i?volces\.com)", re.IGNORECASE
)
"""
The endpoint of TOS's own protocol, which its SDK and its console name.
https://www.volcengine.com/docs/6349/107356, read 2026-11-25.
"""


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


def service_named(name: str) -> Service | None:
    """The row of a service, None where there is none."""
    return next((service for service in SERVICES if service.name == name), None)


def is_internal(url: str) -> bool:
    """Whether only the service's own network reaches it."""
    host = urlsplit(url).hostname or ""
    return "-internal." in host or host.endswith(".ivolces.com")


def place_of(bucket: str, endpoint: str | None, style: str, own: Service | None = None) -> Place:
    """
    The endpoint as it is meant, with the bucket taken off where it is in its path or its host.

    Args:
        own: the service that the caller named: its rules hold at any host that is nobody's.

    Raises:
        ConfigurationError: it is not an endpoint, or it cannot be told what is meant.
    """
    if style not in STYLES:
        raise ConfigurationError(
            f"addressing_style must be one of {', '.join(map(repr, STYLES))}, got {style!r}"
        )
    if endpoint is None:
        return Place(bucket, "", OTHER, style != "path")
    if "://" not in endpoint and service_of(endpoint.strip().partition("/")[0]) is not OTHER:
        endpoint = f"https://{endpoint.strip()}"  # as consoles show it
    url = settings.base_url(endpoint)
    check_no_console(url, "endpoint")
    if (urlsplit(url).hostname or "").endswith(".r2.dev"):
        raise ConfigurationError(
            f"endpoint {url!r} is what the public reads of an R2 bucket, its public_domain: the S3 endpoint is"
            " 'https://<account>.r2.cloudflarestorage.com'"
        )
    url = _TOS_OWN.sub(r"\1tos-s3-\2", url)
    url = _DOT.sub(r"\1", url)
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
    if own is not None:
        found = _owned(found, own, style)
    told = service.host.fullmatch(urlsplit(found.url).hostname or "")
    region = told.groupdict().get("region") if told else None
    found = replace(found, region=region or found.service.region)
    _check_virtual(found)
    return found


def _owned(place: Place, own: Service, style: str) -> Place:
    """
    The place with the rules of the service that the caller named.

    Raises:
        ConfigurationError: it is another service's.
    """
    if place.service is own:
        return place
    if place.service is not OTHER:
        raise ConfigurationError(
            f"endpoint {place.url!r} is {place.service.name}, and this store is for {own.name}"
        )
    host = urlsplit(place.url).hostname or ""
    on_this_machine = host == "localhost" or ":" in host or re.fullmatch(r"[\d.]+", host)
    virtual = style == "virtual" or (style == "auto" and own.virtual and not on_this_machine)
    return replace(place, service=own, virtual=virtual)


def _check_virtual(place: Place) -> None:
    """
    Raises:
        ConfigurationError: the bucket cannot be a part of the host.
    """
    if not place.virtual:
        return
    host = urlsplit(place.url).hostname or ""
    if ":" in host or re.fullmatch(r"[\d.]+", host):
        raise ConfigurationError(
            f"addressing_style='virtual' puts the bucket before the host, and {host!r} is an IP address: use 'path'"
        )
    if "." in place.bucket and place.url.startswith("https:") and place.service is not OTHER:
        raise ConfigurationError(
            f"{place.service.name} takes the bucket in the host only, where its certificate does not cover a name with"
            f" dots: {place.bucket!r}; use a bucket without dots"
        )


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
    parts = urlsplit(_TOS_OWN.sub(r"\1tos-s3-\2", base))
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
