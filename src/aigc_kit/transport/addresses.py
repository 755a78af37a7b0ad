"""What an address is: whether its host may be reached, where it leads, how a message shows it. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from urllib.parse import unquote, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Ranges that ``ipaddress`` of Python 3.11 calls global, and metadata services outside of private
# ranges. Source: IANA special-purpose registries; Azure's and Alibaba's metadata addresses, read
# 2026-11-22.
_FORBIDDEN = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "100::/64",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "64:ff9b:1::/48",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
_METADATA = (
    # Link-local holds one in every cloud: AWS, Google, Azure, OpenStack, Oracle, Tencent
    # (169.254.0.23), Scaleway (42.42).
    "169.254.0.0/16",
    "fe80::/10",
    "168.63.129.16",  # Azure's WireServer
    "100.100.100.200",  # Alibaba
    "100.96.0.96",  # Volcengine; github.com/volcengine/volcengine-go-sdk, read 2026-11-25
    "192.0.0.192",  # Oracle
    "fd00:ec2::254",
    "fd00:ec2::23",  # AWS
    "fd20:ce::254",  # Google
    "fd00:42::42",  # Scaleway
    "fd00:c1::a9fe:a9fe",  # Oracle; docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm, read 2026-11-25
)
_NAT64 = (
    "64:ff9b::/96",
    "64:ff9b:1::/48",
)  # RFC 6052; RFC 8215, where a local prefix may be as short as /48


@cache
def _networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Read at the first use: most calls fetch nothing."""
    return tuple(map(ipaddress.ip_network, texts))


def _in_one_of(address: Address, texts: tuple[str, ...]) -> bool:
    return any(
        address in network for network in _networks(texts) if network.version == address.version
    )


_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet")


def embedded(address: Address) -> list[Address]:
    """
    The address and every IPv4 address that it carries inside (mapped, 6to4, NAT64, Teredo, ISATAP,
    ...).
    """
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv4Address):
        return found
    packed = address.packed
    if address.ipv4_mapped:
        found.append(address.ipv4_mapped)
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found.extend(address.teredo)
    if _in_one_of(address, _NAT64) or packed[:12] == bytes(12):
        found.append(ipaddress.IPv4Address(packed[12:]))
    if _in_one_of(address, _NAT64[1:]):  # RFC 6052 2.2: the octet 64 to 71 is passed over
        found.append(ipaddress.IPv4Address(packed[6:8] + packed[9:11]))
        found.append(ipaddress.IPv4Address(packed[7:8] + packed[9:12]))
        found.append(ipaddress.IPv4Address(packed[9:13]))
    if packed[:8] == bytes(8) and packed[8:12] == b"\xff\xff\x00\x00":  # ::ffff:0:a.b.c.d, RFC 2765
        found.append(ipaddress.IPv4Address(packed[12:]))
    if packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"):
        found.append(ipaddress.IPv4Address(packed[12:]))
    return found


def forbidden(text: str, *, private_allowed: bool = False) -> str:
    """
    Why this numeric address must not be reached, or ``""``. Metadata services are never reachable.
    """
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return "no IP address"
    for inner in embedded(address):
        if _in_one_of(inner, _METADATA):
            return "a cloud metadata service"
        if private_allowed:
            continue
        if _in_one_of(inner, _FORBIDDEN):
            return "a private, loopback or reserved address"
        if not inner.is_global and not (inner is address and len(embedded(address)) > 1):
            return "a private, loopback or reserved address"
    return ""


_NAME = r"(?i)(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}\.?"


def is_plain_name(host: str) -> bool:
    """
    Whether the host is an IPv6 address or a name of plain letters: whoever reads it reads the same.
    """
    return ":" in host or re.fullmatch(_NAME, host) is not None


def is_plainly_private(host: str) -> bool:
    """Whether the host's very name says that it is not public; asks no resolver."""
    host = host.rstrip(".").lower()
    if "." not in host and ":" not in host:
        return True
    if any(host == name.lstrip(".") or host.endswith(name) for name in _LOCAL_NAMES):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        import socket

        try:
            host = socket.inet_ntoa(
                socket.inet_aton(host)
            )  # 127.1, 0x7f000001, 2130706433, 0177.0.0.1
        except (OSError, UnicodeError):
            return False
    return bool(forbidden(host))


def scheme_of(url: str) -> str:
    """In lower case: RFC 3986 3.1 does not tell ``HTTPS`` from ``https``."""
    return url.partition(":")[0].lower()


def is_below(url: str, base: str) -> bool:
    """Whether the URL is the base or below it, with no way out of it."""
    if not base or origin(url) != origin(base) or scheme_of(url) != scheme_of(base):
        return False
    path, below = unquote(urlsplit(url).path), urlsplit(base).path.rstrip("/") + "/"
    escapes = (
        "\\" in path or "%" in path or any(segment in (".", "..") for segment in path.split("/"))
    )
    return path.startswith(unquote(below)) and not escapes


def origin(url: str) -> tuple[str, int] | None:
    """(host, port) of an http(s) address, or None."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
        return parts.hostname.rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None


def shown(url: str) -> str:
    """
    The address as a message may show it: no query (signatures live there), no credentials, not too
    long.
    """
    head = url.split("?")[0].split("#")[0]
    scheme, sep, rest = head.partition("://")
    if sep and "@" in rest.split("/")[0]:
        head = f"{scheme}://***@{rest.rpartition('@')[2]}"
    return repr(head if len(head) <= 120 else head[:117] + "...")
