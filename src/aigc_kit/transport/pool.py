"""The shared HTTP clients: one for each generation of httpx in a process, with one TLS context."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import import_module
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.exchange import Backend, Connections, httpx_transport
from aigc_kit.transport.handle import importing
from aigc_kit.transport.proxies import Proxies, variable_of


def flavor_of(distribution: str) -> str:
    """``"httpx2"`` or ``"httpx"``: what the installed release of this SDK is built on."""
    from importlib import metadata

    requirements = metadata.requires(distribution) or []
    return "httpx2" if any(line.split(";")[0].strip().startswith("httpx2") for line in requirements) else "httpx"


@dataclass(eq=False)
class _Shared:
    client: Any
    routes: _Routes
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
                shared.routes.close()


def _make_client(flavor: str, reuse: bool) -> tuple[Any, _Routes]:
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
    kept = type("Client", (httpx.Client,), {"close": lambda self: None})
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # one jar would be shared by all keys of a process
    routes = _Routes(httpx, core, limits)
    client = kept(
        transport=httpx_transport(httpx, context, routes),
        timeout=None,
        follow_redirects=False,
        cookies=no_cookies,
        headers={"accept-encoding": "identity", "user-agent": USER_AGENT},
        trust_env=False,
    )
    return client, routes


class _Routes:
    """Connections: directly, or over the proxy that the machine's settings name. Each pool is made at first use."""

    def __init__(self, httpx: Any, core: Any, limits: dict[str, Any]) -> None:
        self._httpx = httpx
        self._core = core
        self._limits = limits
        self._proxies = Proxies.read()
        self._direct = Connections(core, core.ConnectionPool(**limits))
        self._over: dict[str, Connections] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: Any) -> Any:
        return self._connections(request.url).handle_request(request)

    def _connections(self, url: Any) -> Connections:
        scheme = url.scheme.decode("ascii")
        proxy = self._proxies.proxy_for(scheme, url.host.decode("ascii"), url.port)
        if not proxy:
            return self._direct
        with self._lock:
            if proxy not in self._over:
                pool = proxy_pool(self._httpx, self._core, proxy, self._limits, variable_of(scheme, proxy))
                self._over[proxy] = Connections(self._core, pool)
            return self._over[proxy]

    def close(self) -> None:
        for connections in (self._direct, *self._over.values()):
            connections.close()

    def __enter__(self) -> _Routes:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def ssl_context(flavor: str) -> Any:
    """One TLS context per process and trust setting: making one costs more than a whole call."""
    key = (flavor, os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))
    if key not in _contexts:
        _contexts[key] = import_module(flavor).create_ssl_context()
    return _contexts[key]


def proxy_pool(httpx: Any, core: Any, proxy: str, limits: dict[str, Any], variable: str) -> Any:
    try:
        settings = httpx.Proxy(proxy)
    except (ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"{variable} is not the URL of a proxy: {error}") from None
    url = settings.url
    address = core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    if url.scheme in ("http", "https"):
        return core.HTTPProxy(proxy_url=address, proxy_auth=settings.raw_auth, **limits)
    try:
        return core.SOCKSProxy(proxy_url=address, proxy_auth=settings.raw_auth, **limits)
    except (ImportError, RuntimeError) as error:
        raise ConfigurationError(
            f"{variable} asks for a {url.scheme} proxy, which needs one more package: install 'httpx[socks]'"
        ) from error
