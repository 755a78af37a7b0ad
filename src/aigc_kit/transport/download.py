"""
Fetching an address that an untrusted source gave.

The guard stands where the connection is made: the name is resolved once, every answer is checked,
and the socket goes to a checked answer. A redirect, a second look-up (rebinding) or a literal in
any spelling passes the same gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from aigc_kit.errors import AIGCError
from aigc_kit.settings import switch
from aigc_kit.transport import USER_AGENT, network
from aigc_kit.transport.addresses import (
    forbidden,
    is_below,
    is_plain_name,
    is_plainly_private,
    origin,
    scheme_of,
    shown,
)
from aigc_kit.transport.clients import proxy_pool, ssl_context
from aigc_kit.transport.deadline import CONNECT_SECONDS, Deadline, Exchange, WireError, seconds_left
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.http import Connections, Response, httpx_transport
from aigc_kit.transport.network import Backend, Stream
from aigc_kit.transport.retry import back_off
from aigc_kit.transport.sdks import exchanged, importing

MAX_REDIRECTS = 4
MAX_BYTES = 64 * 1024 * 1024
"""
Largest image that is fetched; Ark takes references of 30 MB at most, its own 4K PNGs stay below 60
MB.
"""

Resolver = Callable[[str, int], list[str]]


class DownloadError(AIGCError):
    """
    The address could not be fetched. ``refused``: by the guard, before anything was sent to it.
    """

    def __init__(self, message: str, *, refused: bool = False, retryable: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.retryable = retryable


def _resolve(host: str, port: int) -> list[str]:
    return network.addresses(host, port, seconds_left())


class _Refused(Exception):
    pass


class _Guard(Backend):
    """Connects only to addresses that were checked."""

    def __init__(self, core: Any, downloader: Downloader, *, open_to_all: bool) -> None:
        """
        Args:
            open_to_all: for URLs that the user named; nothing is checked.
        """
        super().__init__(core)
        self._downloader = downloader
        self._open = open_to_all

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> Stream:
        try:
            answers = self._downloader.resolve(host, port)
        except TimeoutError as error:
            raise self._core.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise self._core.ConnectError(f"the name {host!r} cannot be resolved") from error
        if not self._open:
            self._downloader.check(host, answers)
        return self.connect_any(answers, port, timeout, local_address, socket_options)


@dataclass(frozen=True, eq=False)
class Fetched:
    data: bytes
    content_type: str
    url: str


class Downloader:
    """
    Fetches images by URL: http(s) only, no credentials, capped and timed.

    ``trusted``: (host, port) pairs that the user named (an API) and that need no check. ``bases``:
    URLs below which nothing is checked (a store's public base). ``proxy``: what requests go
    through; the machine's own proxies are not used. Shared by threads; ``close`` it.
    """

    def __init__(
        self,
        *,
        allow_private_hosts: bool = False,
        trusted: Iterable[tuple[str, int]] = (),
        bases: Iterable[str] = (),
        proxy: str = "",
        resolve: Resolver = _resolve,
    ) -> None:
        self.allow_private_hosts = switch(allow_private_hosts, "allow_private_hosts")
        self.resolve = resolve
        self._trusted = frozenset(trusted)
        self._bases = tuple(bases)
        self._proxy = proxy
        self._guarded: Handle[Any] = Handle(
            partial(self._opened, False), lambda client: client.close()
        )
        self._free: Handle[Any] = Handle(partial(self._opened, True), lambda client: client.close())

    def trusts(self, url: str) -> bool:
        """Whether the user named this host, or a base that the URL is below."""
        return origin(url) in self._trusted or any(is_below(url, base) for base in self._bases)

    def check(self, host: str, answers: list[str]) -> None:
        """
        Raises:
            _Refused: one of the host's addresses must not be reached.
        """
        for answer in answers:
            why = forbidden(answer, private_allowed=self.allow_private_hosts)
            if why:
                raise _Refused(f"{host} is {answer}, {why}")

    def fetch(
        self,
        url: str,
        *,
        timeout: float,
        limit: int = MAX_BYTES,
        retries: int = 2,
        problem: Callable[[bytes], str] = lambda data: "",
        inflate: bool = False,
    ) -> Fetched:
        """
        The bytes behind ``url``.

        Args:
            timeout: seconds, tries and waits included.
            retries: how often it is tried again after a failure that may pass.
            problem: what is wrong with the bytes, as the end of a sentence; ``""`` when nothing is.
            inflate: undo unrequested compression: what is behind the URL was paid for.

        Raises:
            DownloadError: not http(s), refused by the guard, unreachable, not a 200, too long or
                too slow.
        """
        deadline = Deadline.after(timeout)
        tries = 0
        while True:
            tries += 1
            try:
                fetched = self._fetch(url, deadline, limit, inflate)
                wrong = problem(fetched.data)
                if wrong:
                    raise DownloadError(
                        f"{shown(url)} gave {len(fetched.data)} bytes {wrong}", retryable=True
                    )
                return fetched
            except DownloadError as error:
                wait = back_off(tries)
                if tries > retries or not error.retryable or wait >= deadline.left():
                    raise
            time.sleep(wait)

    def _fetch(self, url: str, deadline: Deadline, limit: int, inflate: bool) -> Fetched:
        address, hops = url, 0
        while True:
            response = self._get(address, deadline)
            if response.status not in (301, 302, 303, 307, 308):
                return self._body(response, address, deadline, limit, inflate)
            target = response.headers.get("location", "")
            response.close()
            hops += 1
            if hops > MAX_REDIRECTS:
                raise DownloadError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times")
            try:
                following = urljoin(address, target)
            except ValueError:
                raise DownloadError(
                    f"{shown(url)} redirects to what is not an address", refused=True
                ) from None
            if not target or (scheme_of(address) == "https" and scheme_of(following) != "https"):
                raise DownloadError(
                    f"{shown(url)} redirects to {shown(following)}, which is not followed",
                    refused=True,
                )
            address = following

    def _get(self, url: str, deadline: Deadline) -> Response:
        import httpx

        check_address(url)
        left = max(deadline.left(), 0.001)
        try:
            client = (self._free if self.trusts(url) else self._guarded).get()
            if self._proxy and not self.trusts(url):
                self._check_name(url)
            request = client.build_request(
                "GET",
                url,
                headers={"accept": "image/*,*/*;q=0.5", "accept-encoding": "identity"},
                timeout=httpx.Timeout(left, connect=min(left, CONNECT_SECONDS)),
            )
            return cast(Response, exchanged(partial(client.send, request), Exchange(deadline)))
        except _Refused as error:
            raise DownloadError(
                f"{shown(url)} is refused: {error}. allow_private_hosts=True lets images come from an intranet",
                refused=True,
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise DownloadError(
                f"{shown(url)} is not a usable address ({error})", refused=True
            ) from error
        except WireError as error:
            raise DownloadError(
                f"{shown(url)} cannot be reached ({error})", retryable=True
            ) from error

    def _body(
        self, response: Response, url: str, deadline: Deadline, limit: int, inflate: bool
    ) -> Fetched:
        if response.status != 200:
            response.close()
            raise DownloadError(
                f"{shown(url)} answered {response.status}",
                retryable=response.status in (408, 429) or response.status >= 500,
            )
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > limit:
            response.close()
            raise DownloadError(f"{shown(url)} has {int(length)} bytes, the limit is {limit}")
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity") and not inflate:
            response.close()
            raise DownloadError(f"{shown(url)} came compressed although that was not asked for")
        try:
            data = response.read(deadline, limit=limit)
        except WireError as error:
            retryable = not error.too_large
            raise DownloadError(
                f"{shown(url)} could not be read to its end ({error})", retryable=retryable
            ) from error
        return Fetched(
            data, response.headers.get("content-type", "").split(";")[0].strip().lower(), url
        )

    def _check_name(self, url: str) -> None:
        """Through a proxy the name is looked up there; what can be told here is checked here."""
        host, port = origin(url) or ("", 0)
        try:
            answers = self.resolve(host, port)
        except (OSError, UnicodeError):  # names of the world may be known to the proxy alone
            answers = []
        if is_plainly_private(host) and not answers and not self.allow_private_hosts:
            raise _Refused(f"{host} is a private name")
        self.check(host, answers)

    def _opened(self, open_to_all: bool) -> Any:
        with importing():
            import httpcore
            import httpx
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        context = ssl_context("httpx")
        options: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": 1000,
            "max_keepalive_connections": 100,
            "keepalive_expiry": 5.0,
        }
        if self._proxy:
            pool = proxy_pool(
                httpx,
                httpcore,
                self._proxy,
                {**options, "network_backend": Backend(httpcore)},
                "download_proxy",
            )
        else:
            guard = _Guard(httpcore, self, open_to_all=open_to_all)
            pool = httpcore.ConnectionPool(network_backend=guard, **options)
        transport = httpx_transport(httpx, context, Connections(httpcore, pool))
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return httpx.Client(
            transport=transport,
            trust_env=False,
            cookies=cookies,
            headers={"user-agent": USER_AGENT},
        )

    def close(self) -> None:
        self._guarded.close()
        self._free.close()


def is_public_url(url: str) -> bool:
    """Whether a vendor may be left to fetch the URL itself; asks no resolver."""
    try:
        check_address(url)
    except DownloadError:
        return False
    where = origin(url)
    return where is not None and is_plain_name(where[0]) and not is_plainly_private(where[0])


def check_address(url: str) -> None:
    """
    Refuse what is not a plain http(s) address.

    Raises:
        DownloadError: another scheme, no host, credentials inside, or characters that have no place
            in an address.
    """
    if any(ord(char) < 33 or ord(char) == 127 for char in url):
        raise DownloadError(f"{shown(url)} has white space or control characters", refused=True)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DownloadError(f"{shown(url)} is not an address ({error})", refused=True) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise DownloadError(f"{shown(url)} is not an http(s) address", refused=True)
    if not host or port == 0 or "\\" in parts.netloc:
        raise DownloadError(f"{shown(url)} has no usable host", refused=True)
    if parts.username is not None or parts.password is not None:
        raise DownloadError(f"{shown(url)} carries credentials", refused=True)
