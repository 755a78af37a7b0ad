"""One small request that costs nothing, for a diagnosis: over the library's own proxies and certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aigc_kit.settings import Secret
from aigc_kit.transport.clients import Lease, timeouts
from aigc_kit.transport.deadline import Deadline, Exchange, WireError, parted
from aigc_kit.transport.http import MAX_ERROR_BYTES
from aigc_kit.transport.sdks import exchanged


@dataclass(frozen=True)
class Answered:
    """``status``, headers with lower-case names, and the JSON of the body, None where it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any
    size: int


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str | Secret] | None = None,
    body: str = "",
    timeout: float = 20.0,
) -> Answered:
    """
    Send once, without a retry.

    Raises:
        WireError: no response came.
    """
    lease = Lease("httpx", reuse=False)
    deadline = Deadline.after(timeout)
    plain, secrets = parted(dict(headers or {}))
    kind = {"content-type": "application/json"} if body else {}
    try:
        request = lease.client.build_request(
            method,
            url,
            content=body.encode() if body else None,
            headers={**plain, **kind},
            timeout=timeouts(deadline),
        )
        response = exchanged(partial(lease.client.send, request), Exchange(deadline, secrets))
        data = response.read(deadline, limit=MAX_ERROR_BYTES * 8)
        return Answered(response.status, response.headers, _json(data), len(data))
    finally:
        lease.close()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def as_wire_error(error: Exception) -> WireError:
    """The same shape for whatever a URL or a proxy can be wrong with before anything is sent."""
    return error if isinstance(error, WireError) else WireError(str(error)[:200], sent=False)
