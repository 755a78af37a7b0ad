"""
The shared HTTP clients, one for each generation of httpx in a process, and our own JSON requests
over them.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, cast

from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.deadline import Deadline, Exchange, WireError, parted
from aigc_kit.transport.encoding import to_json
from aigc_kit.transport.failures import RequestContext, failure_of
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.http import Connections, Response, httpx_transport
from aigc_kit.transport.network import Backend
from aigc_kit.transport.proxies import Proxies, variable_of
from aigc_kit.transport.sdks import exchanged, importing


@dataclass(eq=False)
class _Shared:
    client: Any
    routes: _Routes
    users: int = 0


_shared: dict[tuple[int, str, bool], _Shared] = {}
_released: deque[tuple[int, str, bool]] = deque()
_contexts: dict[tuple[str, str, str], Any] = {}
_lock = threading.Lock()


def _forget_parent() -> None:
    """
    In a forked child: the parent's connections are not its own, and its lock may be held by a
    thread that is gone.
    """
    global _lock
    _lock = threading.Lock()
    _shared.clear()
    _released.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


class Lease:
    """A share in a client of this process. The client is closed with its last share."""

    def __init__(self, flavor: str, *, reuse: bool = True) -> None:
        """
        Args:
            flavor: ``"httpx"`` or ``"httpx2"``.
            reuse: keep idle connections. Off for paid requests: over a connection that the server
                closes in the same moment it is unknown whether the request arrived.
        """
        self._key = (os.getpid(), flavor, reuse)
        with _lock:
            shared = _shared.get(self._key)
            if shared is None:
                shared = _shared[self._key] = _Shared(*_make_client(flavor, reuse))
            shared.users += 1
        self.client = shared.client
        self._open = True
        _close_released()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        _released.append(self._key)
        _close_released()


def _close_released() -> None:
    """
    Give back the shares in ``_released``. Never waits: a finalizer may run while its own thread
    holds the lock, and the holder then does this when it is done.
    """
    while _released and _lock.acquire(blocking=False):
        unused = []
        try:
            while _released:
                key = _released.popleft()
                shared = _shared.get(key)
                if shared is None:
                    continue
                shared.users -= 1
                if shared.users == 0:
                    unused.append(_shared.pop(key))
        finally:
            _lock.release()
        for shared in unused:
            shared.routes.close()


def _make_client(flavor: str, reuse: bool) -> tuple[Any, _Routes]:
    """
    A client that is never closed itself, for SDKs close what they are given, and the transports
    under it.
    """
    with importing():
        httpx = import_module(flavor)
        core = import_module(flavor.replace("httpx", "httpcore"))
    tls = ssl_context(flavor)
    limits: dict[str, Any] = {
        "ssl_context": tls,
        "max_connections": 1000,
        "max_keepalive_connections": 100 if reuse else 0,
        "keepalive_expiry": 5.0,
        "network_backend": Backend(core),
    }
    routes = _Routes(httpx, core, limits)
    client = _client_class(httpx)(
        transport=httpx_transport(httpx, tls, routes),
        timeout=None,
        follow_redirects=False,
        headers=_HEADERS,
        trust_env=False,
    )
    return client, routes


_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "keep-alive",
    "user-agent": USER_AGENT,
}
"""Of a request that has none of these names itself."""


def _client_class(httpx: Any) -> Any:
    """
    A client that stays open, without cookies: one jar would be shared by all keys of the process.

    It takes the URLs of endpoints apart once, and does not merge what it does not have: in
    ``httpx.Client`` that is a tenth of a short call.
    """
    no_cookies = type("Cookies", (httpx.Cookies,), {"extract_cookies": lambda self, response: None})
    parsed = lru_cache(maxsize=128)(httpx.URL)

    class Client(httpx.Client):  # type: ignore[misc]
        cookies = property(lambda self: no_cookies())

        def close(self) -> None: ...

        def build_request(
            self,
            method: str,
            url: Any,
            *,
            content: Any = None,
            headers: Any = None,
            timeout: Any = None,
            **rarely: Any,
        ) -> Any:
            if any(rarely.values()) or not isinstance(timeout, (httpx.Timeout, int, float)):
                rarely.update(content=content, headers=headers, timeout=timeout)
                return super().build_request(method, url, **rarely)
            given = list(headers.items() if isinstance(headers, Mapping) else headers or ())
            names = {name.lower() for name, _ in given}
            own = [pair for pair in _HEADERS.items() if pair[0] not in names]
            return httpx.Request(
                method,
                parsed(url) if isinstance(url, str) else url,
                headers=own + given,
                content=content,
                extensions={"timeout": httpx.Timeout(timeout).as_dict()},
            )

    return Client


class _Routes:
    """
    Connections: directly, or over the proxy that the machine's settings name. Each pool is made at
    first use.
    """

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
                pool = proxy_pool(
                    self._httpx, self._core, proxy, self._limits, variable_of(scheme, proxy)
                )
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
    """One TLS tls per process and trust setting: making one costs more than a whole call."""
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


class HttpTransport:
    """One vendor's API over httpx, with a bearer token. Shared by threads; ``close`` it."""

    def __init__(self, base_url: str, key: Secret | None = None) -> None:
        """
        Args:
            key: the bearer token; None: each request's own headers have the credentials.
        """
        self.base_url = base_url
        self._key = key
        self._lease = Handle(lambda: Lease("httpx", reuse=False), Lease.close)

    def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        context: RequestContext,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None,
    ) -> Response:
        """
        Send once; the response's body is still on the wire.

        Raises:
            InvalidInputError: the body is not JSON.
            ProviderError: no response came.
        """
        return self.send("POST", path, to_json(body), context, deadline, headers)

    def get(
        self,
        path: str,
        *,
        context: RequestContext,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None,
    ) -> Response:
        """
        Ask once; the response's body is still on the wire.

        Raises:
            ProviderError: no response came.
        """
        return self.send("GET", path, None, context, deadline, headers)

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        context: RequestContext,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None,
        kind: str = "application/json",
    ) -> Response:
        """
        Send these bytes once; the response's body is still on the wire.

        Args:
            path: or a whole URL.
            kind: the content type.

        Raises:
            ProviderError: no response came.
        """
        client = self._lease.get().client
        key = {} if self._key is None else {"authorization": self._key.current().bearer()}
        plain, secrets = parted({**key, **(headers or {})})
        typed = {"content-type": kind} if content is not None else {}
        try:
            request = client.build_request(
                method,
                path if "://" in path else self.base_url + path,
                content=content,
                headers={**plain, **typed},
                timeout=timeouts(deadline),
            )
            send = partial(client.send, request)
            exchange = Exchange(deadline, secrets, to_vendor=True)
            return cast(Response, exchanged(send, exchange, (context.provider, context.model)))
        except WireError as error:
            raise failure_of(context, error, deadline) from error

    def close(self) -> None:
        self._lease.close()


def timeouts(deadline: Deadline) -> Any:
    """Limits of one step each; the deadline itself is kept at the socket."""
    import httpx

    from aigc_kit.transport.deadline import CONNECT_SECONDS

    left = max(deadline.left(), 0.001)
    return httpx.Timeout(left, connect=min(left, CONNECT_SECONDS))
