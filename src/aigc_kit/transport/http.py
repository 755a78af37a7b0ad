"""httpx for our own JSON requests: the paid POST that is never sent twice by accident."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Deadline, Exchange, WireError, parted
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.handle import Handle, exchanged
from aigc_kit.transport.policy import to_json
from aigc_kit.transport.pool import Lease
from aigc_kit.transport.replies import Asked, failure_of


class HttpDoor:
    """One vendor's API over httpx, with a bearer token. Shared by threads; ``close`` it."""

    def __init__(self, base_url: str, key: Secret) -> None:
        self.base_url = base_url
        self._key = key
        self._lease = Handle(lambda: Lease("httpx", reuse=False), Lease.close)

    def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        asked: Asked,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None,
    ) -> Reply:
        """
        Send once; the reply's body is still on the wire.

        Raises:
            InvalidInputError: the body is no JSON.
            ProviderError: no reply came.
        """
        content = to_json(body)
        client = self._lease.get().client
        plain, secrets = parted({"authorization": self._key.bearer(), **(headers or {})})
        try:
            request = client.build_request(
                "POST",
                self.base_url + path,
                content=content,
                headers={**plain, "content-type": "application/json"},
                timeout=timeouts(deadline),
            )
            return cast(Reply, exchanged(partial(client.send, request), Exchange(deadline, secrets)))
        except WireError as error:
            raise failure_of(asked, error, deadline) from error

    def close(self) -> None:
        self._lease.close()


def timeouts(deadline: Deadline) -> Any:
    """Limits of one step each; the deadline itself is kept at the socket."""
    import httpx

    from aigc_kit.transport.deadline import CONNECT_SECONDS

    left = max(deadline.left(), 0.001)
    return httpx.Timeout(left, connect=min(left, CONNECT_SECONDS))
