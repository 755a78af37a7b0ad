"""
The openai SDK: it authenticates, builds the URL and headers, and sends; the body is ours, and so is
reading the response.

``client.post(path, content=..., cast_to=<its response class>)`` is its documented way to
undocumented endpoints. Its retries are off, and nothing that ``OPENAI_*`` variables add leaves for
another vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from aigc_kit.errors import AIGCError
from aigc_kit.settings import Secret
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.clients import Lease
from aigc_kit.transport.deadline import CONNECT_SECONDS, Deadline, Exchange, WireError, parted
from aigc_kit.transport.encoding import to_json
from aigc_kit.transport.failures import RequestContext, failure_of, sdk_fault
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.http import Response
from aigc_kit.transport.multipart import TYPE, Form
from aigc_kit.transport.sdks import exchanged, flavor_of, importing

_SET_HERE = frozenset({"Accept", "Authorization", "Content-Type", "User-Agent"})
"""Headers that every vendor gets, with the value set here."""

_SET_LATE = ("x-stainless-retry-count", "x-stainless-read-timeout")
"""
Headers that the SDK adds to each request unless the request names them. openai 2.21 and 3.57, read
2026-11-26.
"""


_OPTIONS: dict[str, Any] = {
    "params": {},
    "max_retries": 0,
    "extra_json": None,
    "idempotency_key": "",
    "follow_redirects": False,
    "security": {"bearer_auth": True},
}
"""
What the SDK would find out again for each request: it makes a deep copy of the default of each
option that is missing, and a key for a header that OpenAI does not have. openai 2.21 and 3.57, read
2026-11-27.
"""


class OpenAITransport:
    """
    One kept ``openai.OpenAI`` over the shared HTTP client. Made at the first call; shared by
    threads.
    """

    def __init__(
        self, base_url: str, key: Secret | None, *, is_openai: bool = False, paid: bool = False
    ) -> None:
        """
        Args:
            key: None sends no Authorization header at all (local servers).
            is_openai: the host is OpenAI's own, which may see ``OPENAI_ORG_ID`` and kin.
            paid: each request has a connection of its own; see ``Lease``.
        """
        self.base_url = base_url
        self._key = key
        self._is_openai = is_openai
        self._paid = paid
        self._open = Handle(self._opened, _Open.close)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self._key,) if self._key else ()

    def post(
        self,
        path: str,
        body: dict[str, Any] | Form,
        *,
        context: RequestContext,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None = None,
    ) -> Response:
        """
        Send once, as JSON or as a form; the body of the response is still on the wire.

        Raises:
            InvalidInputError: the body is not JSON.
            ProviderError: no response came.
        """
        content: dict[str, Any]
        if isinstance(body, Form):
            # The SDK takes this type without a boundary as the word to write the form itself.
            headers = {**(headers or {}), "Content-Type": TYPE}
            content = {"body": body.texts(), "files": body.parts()}
        else:
            content = {"content": to_json(body)}
        opened = self._open.get()
        left = max(deadline.left(), 0.001)
        key = self._key
        authorization = {"Authorization": key.current().bearer()} if key is not None else {}
        plain, secrets = parted({**authorization, **(headers or {})})
        options: Any = {
            **_OPTIONS,
            "post_parser": opened.nothing,
            "headers": opened.headers(plain),
            "timeout": opened.timeout(left, connect=min(left, CONNECT_SECONDS)),
        }
        # A whole URL: the SDK would take the base and the path apart and put them together for each
        # call.
        send = partial(
            opened.client.post,
            self.base_url + path,
            cast_to=opened.response,
            options=options,
            **content,
        )
        exchange = Exchange(deadline, secrets, to_vendor=True)
        try:
            response: Response = exchanged(send, exchange, (context.provider, context.model))
        except WireError as error:
            raise failure_of(context, error, deadline) from error
        except Exception as error:
            below = _ours_below(error)
            if below is None:
                raise sdk_fault(context, error, sent=exchange.sent) from error
            if isinstance(below, WireError):
                raise failure_of(context, below, deadline) from error
            raise below from None
        return response

    def close(self) -> None:
        self._open.close()

    def _opened(self) -> _Open:
        with importing():
            import openai

            flavor = _flavor_under(openai)
            httpx = import_module(flavor)
        lease = Lease(flavor, reuse=not self._paid)
        client = openai.OpenAI(
            api_key="see the exchange",  # not empty: an unset key is looked for in the environment
            base_url=self.base_url,
            max_retries=0,
            http_client=lease.client,
        )
        spellings = {
            name.lower(): name for name in (*client.default_headers, "Authorization", *_SET_LATE)
        }
        fixed: dict[str, Any] = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"{client.user_agent} {USER_AGENT}",
        }
        if not self._is_openai:
            foreign = {*client.default_headers, *_SET_LATE} - _SET_HERE
            fixed.update((name, openai.Omit()) for name in foreign)
        fixed["Authorization"] = openai.Omit()  # the key is set when the request leaves
        return _Open(
            client, lease, httpx.Response, httpx.Timeout, openai.NOT_GIVEN, fixed, spellings
        )


@dataclass(frozen=True, eq=False)
class _Open:
    """
    The SDK's client, and the classes of the HTTP library under it.

    ``nothing``: the SDK's mark of an option that is not given. ``fixed``: headers of every request, with the SDK's ``Omit`` for those that must not leave.
    ``spellings``: the SDK's headers by their names in lower case.
    """

    client: Any
    lease: Lease
    response: Any
    timeout: Any
    nothing: Any
    fixed: dict[str, Any]
    spellings: dict[str, str]

    def headers(self, extra: Mapping[str, str]) -> dict[str, Any]:
        """What one request sets or omits; ``extra`` wins, however its names are spelled."""
        made = dict(self.fixed)
        for name, value in extra.items():
            made[self.spellings.get(name.lower(), name)] = value
        return made

    def close(self) -> None:
        self.lease.close()


def _flavor_under(openai: Any) -> str:
    """
    ``"httpx2"`` or ``"httpx"``: what the SDK's own client is made from; asking the installed
    package costs more.
    """
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
