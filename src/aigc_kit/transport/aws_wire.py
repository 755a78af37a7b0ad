"""
urllib3 under boto3, with one deadline for a whole call.

botocore signs and decodes. Its own sender knows only timeouts for each read, and keeps ten connections; this one takes its
place.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse

from aigc_kit.transport import exchange, wire
from aigc_kit.transport.deadline import WireError
from aigc_kit.transport.proxies import Proxies


class Sender:
    """In the place of botocore's ``URLLib3Session``: sends within the thread's deadline. Shared by threads."""

    def __init__(self, *, pool_size: int, ca_file: str, proxies: dict[str, str] | None) -> None:
        """
        Args:
            pool_size: idle connections that are kept for one host.
            ca_file: path of the certificates to trust.
            proxies: scheme -> address; None are the machine's own.
        """
        self._options: dict[str, Any] = {"maxsize": pool_size, "ca_certs": ca_file}
        self._proxies = proxies
        self._managers: dict[str, Any] = {"": wire.manager(**self._options)}
        self._pools: dict[tuple[str, str], Any] = {}

    def send(self, request: Any) -> AWSResponse:
        """
        The reply to a signed request; its body is still on the wire.

        Raises:
            WireError: no reply came.
        """
        url = str(request.url)
        proxy = self._proxy_for(url)
        try:
            reply = wire.opened(
                self._pool(url, proxy), request.method, url, target=url if proxy and url.startswith("http:") else "",
                body=_at_hand(request.body), headers=dict(request.headers),
                chunked=request.headers.get("Transfer-Encoding", "").lower() == "chunked",
            )  # fmt: skip
        except wire.FAILURES as error:
            raise wire.wire_error(error) from error
        return AWSResponse(url, reply.status, reply.headers, _Body(reply))

    def close(self) -> None:
        self._pools.clear()
        for manager in self._managers.values():
            manager.clear()

    def _pool(self, url: str, proxy: str) -> Any:
        """The connections to the origin of ``url``; found by its text, as urllib3 takes it apart for each call."""
        key = (url[: url.find("/", 8)], proxy)
        found = self._pools.get(key)
        if found is None:
            if proxy not in self._managers:
                self._managers.setdefault(proxy, wire.manager(proxy, **self._options))
            if len(self._pools) >= wire.POOLS:  # the manager drops the oldest too
                self._pools.clear()
            found = self._pools[key] = self._managers[proxy].connection_from_url(url)
        return found

    def _proxy_for(self, url: str) -> str:
        if self._proxies is None:
            return Proxies.read().proxy_for_url(url)
        found = self._proxies.get(urlsplit(url).scheme) or self._proxies.get("all") or ""
        return found if not found or "://" in found else f"http://{found}"


_LARGEST = 16 * 1024 * 1024
_INFLATED = 4 * 1024 * 1024
"""Bytes of a chat's response, and of one that came compressed though nobody asked for that."""


def _at_hand(body: Any) -> Any:
    """The bytes themselves of a body that botocore has wrapped into a file: not copied once more to be sent."""
    return body.getvalue() if type(body) is io.BytesIO and body.tell() == 0 else body


class _Body:
    """The body as botocore reads it: handed on as it comes, each piece within the thread's deadline."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    def stream(self, amt: int = 0, decode_content: bool | None = None) -> Iterator[bytes]:
        """
        Raises:
            WireError: cut, reset, too slow or endless.
        """
        raw = self._raw()
        coding = str(self._reply.headers.get("content-encoding", "")).strip().lower()
        return exchange.inflate(raw, _INFLATED) if coding in ("gzip", "x-gzip", "deflate") else raw

    def _raw(self) -> Iterator[bytes]:
        total, limit = 0, min(_LARGEST, exchange.MAX_REPLY_BYTES)
        try:
            for piece in wire.pieces(self._reply):
                total += len(piece)
                if total > limit:
                    self._reply.close()
                    raise WireError(f"the response is longer than {limit} bytes", sent=True, too_large=True)
                yield piece
        except (*wire.FAILURES, AttributeError) as error:
            self._reply.close()
            raise wire.wire_error(error) from error
        self._reply.release_conn()

    def close(self) -> None:
        self._reply.close()
