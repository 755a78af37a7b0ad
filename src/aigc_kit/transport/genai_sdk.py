"""
google-genai: it signs in, builds the address and sends; the body is ours, and so is the reading of
the response.

``HttpOptions(extra_body=...)`` puts the finished REST body into its request, and an HTTP client of
our own hands the raw response over, so that nothing is turned into models and back. Both are
public.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import Any, get_args

from aigc_kit import errors, settings
from aigc_kit.errors import InvalidInputError
from aigc_kit.settings import Secret
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.clients import Lease
from aigc_kit.transport.deadline import Deadline, Exchange, WireError, parted
from aigc_kit.transport.encoding import to_json
from aigc_kit.transport.failures import RequestContext, failure_of
from aigc_kit.transport.google_auth import GenaiSettings, SignIn, Token
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.http import Response
from aigc_kit.transport.interrupts import without_frames
from aigc_kit.transport.sdks import exchanged, flavor_of, importing

_SHORTEST_SERVER_TIMEOUT = 10
"""
Seconds; the Developer API refuses a shorter ``X-Server-Timeout``. Source: livekit/agents#3723.
"""

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]*")


class GenaiTransport:
    """
    One kept ``genai.Client`` with the shared HTTP client under it. Made at the first call; shared
    by threads.
    """

    def __init__(self, found: GenaiSettings, *, reuse: bool = True) -> None:
        self._settings = found
        self._reuse = reuse
        self._open = Handle(self._opened, _Open.close)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        held = self._settings
        return (
            (held.api_key,)
            if held.api_key
            else (Token(held.credentials),)
            if held.credentials
            else ()
        )

    def generate(
        self,
        model: str,
        body: dict[str, Any],
        *,
        context: RequestContext,
        deadline: Deadline,
        stream: bool = False,
        headers: Mapping[str, str | Secret] | None = None,
    ) -> Response:
        """
        Send a ``generateContent`` (or ``streamGenerateContent``) once; the body of the response is
        still on the wire.

        Raises:
            InvalidInputError: the model's name or the body cannot be sent.
            ProviderError: no response came, or signing in failed.
        """
        to_json(body)
        name = self.checked_model(model)
        opened = self._open.get()
        try:
            self._sign_in(opened, deadline, context)
            plain, secrets = parted({**self._credential(), **(headers or {})})
            request = {
                "model": name,
                "contents": opened.nothing,
                "config": opened.config_for(body, plain, deadline, stream, self._version_for(name)),
            }
            models = opened.client.models
            send = (
                partial(_streamed, models, request)
                if stream
                else partial(models.generate_content, **request)
            )
            response: Response = exchanged(
                send, Exchange(deadline, secrets, to_vendor=True), (context.provider, context.model)
            )
        except WireError as error:
            raise failure_of(context, error, deadline) from error
        return response

    def embed(
        self,
        model: str,
        texts: Sequence[str],
        fields: Mapping[str, Any],
        *,
        context: RequestContext,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None = None,
    ) -> Response:
        """
        Send texts to be embedded once; the body of the response is still on the wire.

        The SDK builds the body: which method a model has, and its form, depend on the SDK's release.
        Each text is a ``Content`` of its own, because the SDK joins a list of texts to one.
        Source: googleapis/python-genai#2523, read 2026-11-25.

        Args:
            fields: of ``EmbedContentConfig``.

        Raises:
            InvalidInputError: the model's name or a text cannot be sent.
            ProviderError: no response came, or signing in failed.
        """
        to_json({"texts": list(texts)})
        name = self.checked_model(model)
        opened = self._open.get()
        try:
            self._sign_in(opened, deadline, context)
            plain, secrets = parted({**self._credential(), **(headers or {})})
            send = partial(
                opened.client.models.embed_content,
                model=name,
                contents=opened.contents(texts),
                config=opened.embedding(fields, plain, deadline),
            )
            exchange = Exchange(deadline, secrets, to_vendor=True)
            response: Response = exchanged(send, exchange, (context.provider, context.model))
        except WireError as error:
            raise failure_of(context, error, deadline) from error
        return response

    def _credential(self) -> dict[str, Secret]:
        """The header that signs a request: the key, or the token of the moment."""
        key = self._settings.api_key
        if key is not None:
            return {"x-goog-api-key": key.current()}
        return {"authorization": Token(self._settings.credentials).bearer()}

    def checked_model(self, model: str) -> str:
        """
        The name as the SDK takes it.

        Raises:
            InvalidInputError: no model's name looks like this.
        """
        if not isinstance(model, str) or not _MODEL.fullmatch(model) or ".." in model:
            raise InvalidInputError(
                f"model {settings.spelled(model)} is not a model's name; expected one like 'gemini-3-pro-image'"
            )
        if self._settings.vertexai:
            return model.removeprefix("models/")
        return model.removeprefix("publishers/").removeprefix("google/").removeprefix("models/")

    def _version_for(self, model: str) -> str:
        """
        The version of the API for one request, "" for the client's own.

        ``gemini-*-latest`` are names of v1beta alone, and 3.x of the SDK asks v1. google-genai
        3.4, read 2026-11-22.
        """
        said = self._settings.api_version or settings.variable("GOOGLE_GENAI_API_VERSION")
        if said or self._settings.vertexai or not model.endswith("-latest"):
            return ""
        return "v1beta"

    def close(self) -> None:
        self._open.close()

    def _sign_in(self, opened: _Open, deadline: Deadline, context: RequestContext) -> None:
        """
        Refresh a token that is due, within the deadline; the SDK itself would wait for two minutes,
        and three times.

        Raises:
            WireError: the token endpoint cannot be reached in time.
            AuthenticationError: it refused.
        """
        held = self._settings.credentials
        if held is None or getattr(held, "valid", True):
            return
        if not opened.signing_in.acquire(timeout=max(deadline.left(), 0.0)):
            raise WireError("signing in took too long", sent=False, timed_out=True)
        try:
            if not held.valid:
                held.refresh(SignIn(opened.lease, deadline))
            settings.optional_credential(
                getattr(held, "token", None), what="the token of Vertex AI"
            )
        except WireError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a token endpoint sends, and whosever credentials these are
            raise _sign_in_failure(error, context, deadline) from without_frames(error)
        finally:
            opened.signing_in.release()

    def _opened(self) -> _Open:
        with importing():
            from google import genai
            from google.genai import types

        flavor = _flavor_of(types)
        lease = Lease(flavor, reuse=self._reuse)
        return _Open(
            self._made(genai, types, lease, flavor),
            lease,
            types,
            types.Content(role="user", parts=[]),
            types.HttpOptions(),
            _config_of(types),
        )

    def _made(self, genai: Any, types: Any, lease: Lease, flavor: str) -> Any:
        httpx = import_module(flavor)
        options: dict[str, Any] = {
            "httpx_client": lease.client,
            "headers": {"user-agent": USER_AGENT},  # the SDK appends its own
            # Never used; without it the SDK builds an asynchronous client and two TLS contexts of
            # its own.
            "httpx_async_client": httpx.AsyncClient(
                transport=httpx.AsyncBaseTransport(), trust_env=False
            ),
            "async_client_args": {"ssl": True},
        }
        known = types.HttpOptions.model_fields
        options = {name: value for name, value in options.items() if name in known}
        found = self._settings
        if found.base_url:
            options["base_url"] = found.base_url
        if found.api_version:
            options["api_version"] = found.api_version
        if found.vertexai:
            access = (
                {"api_key": _PLACEHOLDER}
                if found.api_key
                else {
                    "project": found.project,
                    "location": found.location,
                    "credentials": _bare(found.credentials),
                }
            )
            return genai.Client(vertexai=True, http_options=types.HttpOptions(**options), **access)
        return genai.Client(
            vertexai=False, api_key=_PLACEHOLDER, http_options=types.HttpOptions(**options)
        )


def _streamed(models: Any, request: dict[str, Any]) -> None:
    """The SDK sends when the first chunk is asked for."""
    for _ in models.generate_content_stream(**request):
        pass


def _flavor_of(types: Any) -> str:
    """
    ``"httpx2"`` or ``"httpx"``: what the SDK takes as its client; asking the installed package
    costs more.
    """
    field = types.HttpOptions.model_fields.get("httpx_client")
    taken = (
        {kind.__module__.partition(".")[0] for kind in get_args(field.annotation)}
        if field
        else set()
    )
    if "httpx2" in taken:
        return "httpx2"
    return "httpx" if "httpx" in taken else flavor_of("google-genai")


@cache  # pydantic builds the schema of a class once, which takes longer than a call
def _config_of(types: Any) -> Any:
    """
    What every ``GenerateContentConfig`` has: no call is repeated or continued by the SDK.

    The SDK looks for 45 fields with ``name in config``, which pydantic answers by walking over all
    fields, and then by the attribute, which is enough. google-genai 3.6, read 2026-11-26.
    """

    class Config(types.GenerateContentConfig):  # type: ignore[misc]
        def __contains__(self, name: object) -> bool:
            return False

    options: dict[str, Any] = {
        "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True)
    }
    if "automatic_continuation" in types.GenerateContentConfig.model_fields:  # 3.x
        options["automatic_continuation"] = False
    return Config(**options)


@dataclass(frozen=True)
class _Open:
    """
    The SDK's client and what belongs to it.

    ``nothing``: contents, which ``extra_body`` replaces. ``options``, ``config``: what requests
    have in common, to be copied; the SDK checks each model that is made from scratch.
    """

    client: Any
    lease: Lease
    types: Any
    nothing: Any
    options: Any
    config: Any
    signing_in: threading.Lock = field(default_factory=threading.Lock)

    def config_for(
        self,
        body: dict[str, Any],
        headers: Mapping[str, str],
        deadline: Deadline,
        stream: bool,
        version: str,
    ) -> Any:
        """One request's ``GenerateContentConfig``: its body, headers and timeout."""
        seconds = max(deadline.left(), 0.001)
        server_seconds = max(_SHORTEST_SERVER_TIMEOUT, math.ceil(seconds))
        options = self.options.model_copy(
            update={
                "timeout": math.ceil(seconds * 1000),
                "headers": {**headers, "X-Server-Timeout": str(server_seconds)},
                "extra_body": body,
                **({"api_version": version} if version else {}),
            }
        )
        # The raw response spares the SDK the decoding.
        raw = {} if stream else {"should_return_http_response": True}
        return self.config.model_copy(update={"http_options": options, **raw})

    def contents(self, texts: Sequence[str]) -> list[Any]:
        types = self.types
        return [types.Content(role="user", parts=[types.Part(text=text)]) for text in texts]

    def embedding(
        self, fields: Mapping[str, Any], headers: Mapping[str, str], deadline: Deadline
    ) -> Any:
        """One request's ``EmbedContentConfig``: its fields, headers and timeout."""
        seconds = max(deadline.left(), 0.001)
        options = self.types.HttpOptions(timeout=math.ceil(seconds * 1000), headers=dict(headers))
        return self.types.EmbedContentConfig(http_options=options, **fields)

    def close(self) -> None:
        self.client.close()
        self.lease.close()


def _sign_in_failure(
    error: Exception, context: RequestContext, deadline: Deadline
) -> errors.ProviderError:
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        broken = WireError(f"signing in: {error}", sent=False, timed_out=deadline.left() <= 0)
        return failure_of(context, broken, deadline)
    said = context.redact(f"{type(error).__name__}: {str(error)[:200]}")
    return errors.AuthenticationError(
        f"{context.provider}: signing in to Vertex AI failed ({said})",
        provider=context.provider,
        model=context.model,
    )


_PLACEHOLDER = "see-the-exchange"
"""
What the SDK gets for a key: the credential is set when the request leaves, and stands in no frame
of the SDK.
"""


def _bare(held: Any) -> Any:
    """
    Credentials that never refresh themselves: the SDK would, without our deadline, for a token that
    lives shortly.
    """
    from google.auth.credentials import Credentials

    class Bare(Credentials):  # type: ignore[misc]
        token = property(lambda self: _PLACEHOLDER, lambda self, value: None)
        expired = property(lambda self: False)
        valid = property(lambda self: True)
        quota_project_id = property(lambda self: getattr(held, "quota_project_id", None))

        def refresh(self, request: Any) -> None:
            """The transport does it."""

    return Bare()
