"""The shared HTTP clients: one for each generation of httpx in a process, with one TLS context."""

from __future__ import annotations

import ipaddress
import os
import threading
import urllib.request
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.transport.exchange import Backend, Transport
from aigc_kit.transport.handle import importing


def flavor_of(distribution: str) -> str:
    """``"httpx2"`` or ``"httpx"``: what the installed release of this SDK is built on."""
    from importlib import metadata

    requirements = metadata.requires(distribution) or []
    return "httpx2" if any(line.split(";")[0].strip().startswith("httpx2") for line in requirements) else "httpx"


@dataclass(eq=False)
class _Shared:
    client: Any
    transports: list[Transport]
    users: int = 0


_shared: dict[tuple[int, str, bool], _Shared] = {}
_contexts: dict[tuple[str, str, str], Any] = {}
_lock = threading.Lock()


def _forget_parent() -> None:
    """In a forked child: the parent's connections are not its own, and its lock may be held by a thread that is gone."""
    global _lock
    _lock = threading.Lock()
    _shared.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


class Lease:
    """A share in a client of this process. The client is closed with its last share."""

    def __init__(self, flavor: str, *, reuse: bool = True) -> None:
        """
        Args:
            flavor: ``"httpx"`` or ``"httpx2"``.
            reuse: keep idle connections. Off for paid requests: over a connection that the server closes in the same
                moment nobody can tell whether the request arrived.
        """
        self._key = (os.getpid(), flavor, reuse)
        with _lock:
            shared = _shared.get(self._key)
            if shared is None:
                shared = _shared[self._key] = _Shared(*_make_client(flavor, reuse))
            shared.users += 1
        self.client = shared.client
        self._open = True

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        with _lock:
            shared = _shared.get(self._key)
            if shared is None:
                return
            shared.users -= 1
            if shared.users == 0:
                del _shared[self._key]
                for transport in shared.transports:
                    transport.close()


def _make_client(flavor: str, reuse: bool) -> tuple[Any, list[Transport]]:
    """A client that is never closed itself, for SDKs close what they are given, and the transports under it."""
    with importing():
        httpx = import_module(flavor)
        core = import_module(flavor.replace("httpx", "httpcore"))
    context = ssl_context(flavor)
    limits: dict[str, Any] = {
        "ssl_context": context,
        "max_connections": 1000,
        "max_keepalive_connections": 100 if reuse else 0,
        "keepalive_expiry": 5.0,
        "network_backend": Backend(core),
    }
    mounts = {
        pattern: proxy and Transport(httpx, core, _proxy_pool(httpx, core, proxy, limits))
        for pattern, proxy in proxies().items()
    }
    kept = type("Client", (httpx.Client,), {"close": lambda self: None})
    direct = Transport(httpx, core, core.ConnectionPool(**limits))
    client = kept(
        transport=direct,
        mounts=mounts,
        timeout=None,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        trust_env=False,
    )
    return client, [direct, *(mount for mount in mounts.values() if isinstance(mount, Transport))]


def ssl_context(flavor: str) -> Any:
    """One TLS context per process and trust setting: making one costs more than a whole call."""
    key = (flavor, os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))
    if key not in _contexts:
        _contexts[key] = import_module(flavor).create_ssl_context()
    return _contexts[key]


def proxies() -> dict[str, str | None]:
    """
    The machine's proxy settings as httpx mount patterns; None means direct.

    Source: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, or the system's own settings.
    """
    found = urllib.request.getproxies()
    patterns: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if found.get(scheme):
            patterns[f"{scheme}://"] = found[scheme] if "://" in found[scheme] else f"http://{found[scheme]}"
    for host in (part.strip() for part in found.get("no", "").split(",")):
        if host == "*":
            return {}
        if host:
            patterns[_no_proxy_pattern(host)] = None
    return patterns if any(patterns.values()) else {}


def _no_proxy_pattern(host: str) -> str:
    if "://" in host:
        return host
    try:
        address = ipaddress.ip_address(host.split("/")[0])
    except ValueError:
        return "all://localhost" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://[{address}]" if address.version == 6 else f"all://{address}"


def _proxy_pool(httpx: Any, core: Any, proxy: str, limits: dict[str, Any]) -> Any:
    settings = httpx.Proxy(proxy)
    url = settings.url
    address = core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    if url.scheme in ("http", "https"):
        return core.HTTPProxy(proxy_url=address, proxy_auth=settings.raw_auth, **limits)
    try:
        return core.SOCKSProxy(proxy_url=address, proxy_auth=settings.raw_auth, **limits)
    except (ImportError, RuntimeError) as error:
        raise ConfigurationError(
            f"the proxy setting asks for {url.scheme!r}, which needs one more package: install 'httpx[socks]'"
        ) from error
