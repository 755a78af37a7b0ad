"""
The openai SDK: it authenticates, builds the address and sends; the body is ours, and so is the reading of the reply.

``client.post(path, content=..., cast_to=<its response class>)`` is its documented way to undocumented endpoints. Its
retries are off, and nothing that ``OPENAI_*`` variables add leaves for another vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from aigc_kit.errors import AIGCError
from aigc_kit.settings import RotatingSecret, Secret
from aigc_kit.transport.deadline import CONNECT_SECONDS, Deadline, WireError, sends
from aigc_kit.transport.exchange import HeaderRule, Reply, capture
from aigc_kit.transport.handle import Handle, importing, through_imports
from aigc_kit.transport.policy import to_json
from aigc_kit.transport.pool import Lease, flavor_of
from aigc_kit.transport.replies import Asked, failure_of, sdk_fault

_PLAIN = frozenset(
    {b"host", b"connection", b"content-type", b"content-length", b"transfer-encoding", b"accept", b"accept-encoding",
     b"user-agent"}
)  # fmt: skip


class OpenAIDoor:
    """One kept ``openai.OpenAI`` over the shared HTTP client. Made at the first call; shared by threads."""

    def __init__(self, base_url: str, key: Secret | None, *, is_openai: bool = False) -> None:
        """
        Args:
            key: None sends no Authorization header at all (local servers).
            is_openai: the host is OpenAI's own, which may see ``OPENAI_ORG_ID`` and kin.
        """
        self.base_url = base_url
        self._key = key
        self._is_openai = is_openai
        self._open = Handle(self._opened, _Open.close)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self._key,) if self._key else ()

    def post(
        self, path: str, body: dict[str, Any], *, asked: Asked, deadline: Deadline,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """
        Send once; the reply's body is still on the wire.

        Raises:
            InvalidInputError: the body is no JSON.
            ProviderError: no reply came.
        """
        content = to_json(body)
        opened = self._open.get()
        left = max(deadline.left(), 0.001)
        options: Any = {
            "headers": {**(headers or {}), "Content-Type": "application/json"},
            "timeout": opened.timeout(left, connect=min(left, CONNECT_SECONDS)),
        }

        def send() -> None:
            # A whole URL: the SDK would take the base and the path apart and put them together for each call.
            opened.client.post(self.base_url + path, content=content, cast_to=opened.response, options=options)

        before = sends()
        try:
            with capture(deadline, self._rule(headers)) as replies:
                through_imports(send, replies)
        except WireError as error:
            raise failure_of(asked, error, deadline) from error
        except Exception as error:
            below = _ours_below(error)
            if below is None:
                raise sdk_fault(asked, error, sent=sends() > before) from error
            if isinstance(below, WireError):
                raise failure_of(asked, below, deadline) from error
            raise below from None
        return replies[0]

    def close(self) -> None:
        self._open.close()

    def _rule(self, extra: Mapping[str, str] | None) -> HeaderRule | None:
        if self._is_openai and not isinstance(self._key, RotatingSecret):
            return None
        own = [(name.lower().encode(), value.encode()) for name, value in (extra or {}).items()]
        if self._key is not None and not any(name == b"authorization" for name, _ in own):
            own.append((b"authorization", b"Bearer " + self._key.reveal().encode()))
        mine = {name for name, _ in own}
        if self._is_openai:
            return lambda made: [*((name, value) for name, value in made if name.lower() not in mine), *own]

        def rule(made: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
            kept = [(name, value) for name, value in made if name.lower() in _PLAIN and name.lower() not in mine]
            return kept + own

        return rule

    def _opened(self) -> _Open:
        with importing():
            import openai

            flavor = _flavor_under(openai)
            httpx = import_module(flavor)
        lease = Lease(flavor)
        client = openai.OpenAI(
            api_key=_first_key(self._key), base_url=self.base_url, max_retries=0,
            http_client=lease.client,
        )  # fmt: skip
        return _Open(client, lease, httpx.Response, httpx.Timeout)


def _first_key(key: Secret | None) -> str:
    """What the SDK is made with; a rotating key, or none, is set in each request instead."""
    return "none" if key is None or isinstance(key, RotatingSecret) else key.reveal()


@dataclass(frozen=True, eq=False)
class _Open:
    """The SDK's client, and the classes of the HTTP library under it."""

    client: Any
    lease: Lease
    response: Any
    timeout: Any

    def close(self) -> None:
        self.lease.close()


def _flavor_under(openai: Any) -> str:
    """``"httpx2"`` or ``"httpx"``: what the SDK's own client is made from; asking the installed package costs more."""
    bases = getattr(getattr(openai, "DefaultHttpxClient", None), "__mro__", ())
    found = {base.__module__.partition(".")[0] for base in bases} & {"httpx", "httpx2"}
    return found.pop() if len(found) == 1 else flavor_of("openai")


def _ours_below(error: BaseException) -> WireError | AIGCError | None:
    """The failure of the wire, or the error of ours, that the SDK wrapped."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (WireError, AIGCError)):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
