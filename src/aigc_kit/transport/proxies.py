"""
The machine's proxy settings, for every client of this library.

Source: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` in either case, or the
system's own settings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Proxies:
    """
    Which proxy a request takes.

    ``by_scheme``: ``http``, ``https`` or ``all`` -> the proxy's URL. ``excepted``: the entries of
    ``NO_PROXY``.
    """

    by_scheme: tuple[tuple[str, str], ...] = ()
    excepted: tuple[str, ...] = ()

    @classmethod
    def read(cls) -> Proxies:
        """The settings of this moment."""
        from urllib.request import getproxies

        found = getproxies()
        schemes = {
            name: _complete(found[name]) for name in ("http", "https", "all") if found.get(name)
        }
        if not schemes:
            return cls()
        listed = (
            entry.strip().lower() for entry in found.get("no", "").replace(" ", ",").split(",")
        )
        return cls(tuple(schemes.items()), tuple(entry for entry in listed if entry))

    def proxy_for(self, scheme: str, host: str, port: int | None) -> str:
        """The URL of the proxy, ``""`` for a direct connection."""
        if not self.by_scheme or any(
            _covers(entry, host.lower().strip("[]"), port) for entry in self.excepted
        ):
            return ""
        found = dict(self.by_scheme)
        return found.get(scheme) or found.get("all") or ""

    def proxy_for_url(self, url: str) -> str:
        if not self.by_scheme:
            return ""
        parts = urlsplit(url)
        return self.proxy_for(parts.scheme.lower(), parts.hostname or "", parts.port)


def _complete(proxy: str) -> str:
    """
    Clash and GNOME write ``socks://`` for SOCKS 5. Source: openai/openai-python#1054,
    QuantaAlpha/RepoMaster#13.
    """
    scheme, separator, rest = proxy.partition("://")
    if not separator:
        return f"http://{proxy}"
    return f"socks5://{rest}" if scheme.lower() == "socks" else proxy


def _covers(entry: str, host: str, port: int | None) -> bool:
    """
    Whether an entry of ``NO_PROXY`` means this host: a name and what is under it, an address, or a
    network.
    """
    if entry == "*":
        return True
    name, own_port = _parted(entry)
    if own_port is not None and own_port != port:
        return False
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        bare = name.removeprefix("*").lstrip(".")
        return bool(bare) and (host == bare or host.endswith(f".{bare}"))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _parted(entry: str) -> tuple[str, int | None]:
    """
    (host, port) of an entry: ``host``, ``host:8080``, ``[::1]``, ``[::1]:8080``, ``10.0.0.0/8``.
    """
    entry = entry.partition("://")[2] or entry
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, int(rest[1:]) if rest[1:].isdigit() else None
    host, colon, port = entry.rpartition(":")
    if colon and ":" not in host and port.isdigit():
        return host, int(port)
    return entry, None


def variable_of(scheme: str, proxy: str) -> str:
    """The variable that names this proxy, for an error's sake."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if os.environ.get(variable) and _complete(os.environ[variable]) == proxy:
                return variable
    return "the system's proxy setting"
