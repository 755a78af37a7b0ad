"""
google-genai: it signs in, builds the address and sends; the body is ours, and so is the reading of the reply.

``HttpOptions(extra_body=...)`` puts the finished REST body into its request, and an HTTP client of our own hands the
raw reply over, so that nothing is turned into models and back. Both are public.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, get_args

from aigc_kit import errors, settings
from aigc_kit.errors import ConfigurationError, InvalidInputError, MissingCredentialError
from aigc_kit.settings import Secret
from aigc_kit.transport import USER_AGENT
from aigc_kit.transport.deadline import Deadline, Exchange, WireError, parted
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.handle import Handle, exchanged, importing
from aigc_kit.transport.interrupts import without_frames
from aigc_kit.transport.policy import to_json
from aigc_kit.transport.pool import Lease, flavor_of
from aigc_kit.transport.replies import Asked, failure_of

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SHORTEST_SERVER_TIMEOUT = 10
"""Seconds; the Developer API refuses a shorter ``X-Server-Timeout``. Source: livekit/agents#3723."""

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]*")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
_VARIABLES = (
    "GOOGLE_CLOUD_PROJECT with GOOGLE_APPLICATION_CREDENTIALS for Vertex AI, or GEMINI_API_KEY (GOOGLE_API_KEY) for the"
    " Developer API"
)


@dataclass(frozen=True)
class GenaiSettings:
    """
    How to reach Gemini: on Vertex AI by project and credentials, or on the Developer API by key.

    ``credentials``: a google.auth object, or the path of a service account file; None is the machine's own.
    """

    vertexai: bool
    project: str = ""
    location: str = ""
    api_key: Secret | None = None
    credentials: Any = None
    base_url: str = ""
    api_version: str = ""

    @classmethod
    def found(
        cls,
        *,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        vertexai: bool | None = None,
        api_version: str | None = None,
    ) -> GenaiSettings:
        """
        What was given, completed from the environment.

        With ``vertexai`` unset an explicit key alone means the Developer API; a project, location or credentials mean
        Vertex AI; then ``GOOGLE_GENAI_USE_VERTEXAI`` decides, then what the environment has.

        Raises:
            MissingCredentialError: neither a key nor a way into Vertex AI.
            ConfigurationError: options that contradict each other.
        """
        for name, value in (("credentials", credentials), ("project", project)):
            if value is not None and api_key is not None:
                raise ConfigurationError(
                    f"{name} and api_key exclude each other: a key brings its own project; pass one of them"
                )
        key = settings.optional_credential(api_key, what="Gemini's api_key", rotating=True)
        on_vertex = _on_vertex(vertexai, key, project or location or credentials)
        names = ("GOOGLE_VERTEX_BASE_URL",) if on_vertex else ("GOOGLE_GEMINI_BASE_URL",)
        url = settings.option(base_url, *names)
        address = settings.base_url(url) if url or base_url is not None else ""
        address, version = _version_of(address, settings.text(api_version, "api_version"))
        if not on_vertex:
            if project or location or credentials:
                raise ConfigurationError(
                    "project, location and credentials belong to Vertex AI; with vertexai=False pass api_key"
                )
            key = key or settings.optional_credential(None, "GOOGLE_API_KEY", "GEMINI_API_KEY", what="Gemini's api_key")
            if key is None:
                raise MissingCredentialError(f"Gemini's api_key is missing: pass it or set {_VARIABLES}")
            return cls(False, api_key=key, base_url=address, api_version=version)
        if key is not None:
            return cls(True, api_key=key, base_url=address, api_version=version)
        held, own_project = _credentials(credentials)
        where = settings.option(project, "GOOGLE_CLOUD_PROJECT") or own_project
        if not where:
            raise MissingCredentialError(f"Gemini on Vertex AI needs project: pass it or set {_VARIABLES}")
        region = settings.option(location, "GOOGLE_CLOUD_LOCATION", default="global")
        for name, value in (("project", where), ("location", region)):
            if not isinstance(value, str) or not _PLACE.fullmatch(value):
                raise ConfigurationError(f"{name} {settings.spelled(value)} is no {name}'s name")
        return cls(True, where, region, None, held, address, version)


_VERSION = re.compile(r"(.*?)/(v\d+(?:(?:alpha|beta)\d*)?)(?:/(?:models|publishers|projects)(?:/.*)?)?/?")


def _version_of(base_url: str, version: str | None) -> tuple[str, str]:
    """
    (the URL without the API's version, the version): relays print it as part of their URL.

    Raises:
        ConfigurationError: the option and the URL say different versions.
    """
    found = _VERSION.fullmatch(base_url)
    if found is None:
        return base_url, version or ""
    if version and version != found.group(2):
        raise ConfigurationError(
            f"api_version={version!r} and base_url {base_url!r} say different versions; leave one of them out"
        )
    return found.group(1), found.group(2)


def _on_vertex(vertexai: bool | None, key: Secret | None, vertex_options: Any) -> bool:
    if vertexai is not None:
        return bool(vertexai)
    if vertex_options:
        return True
    if key is not None:
        return False
    wish = settings.variable("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI").lower()
    if wish:
        return wish in ("true", "1")
    if settings.variable("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"):
        return True
    return not settings.variable("GOOGLE_API_KEY", "GEMINI_API_KEY")


def _credentials(given: Any) -> tuple[Any, str]:
    """(google.auth credentials, the project they name)."""
    path = given if isinstance(given, (str, os.PathLike)) else None
    with importing():
        import google.auth
        from google.auth import exceptions
        from google.auth.credentials import with_scopes_if_required

    try:
        if path is not None:
            with open(path, encoding="utf-8") as file:
                held, project = _from_info(json.load(file))
        elif isinstance(given, Mapping):
            held, project = _from_info(dict(given))
        elif given is None:
            held, project = google.auth.default(scopes=[_SCOPE])
        else:
            if not hasattr(given, "refresh") or not hasattr(given, "token"):
                raise ConfigurationError(
                    "credentials must be a google.auth object, the path of a credentials file, or its content as a dict; got"
                    f" {type(given).__name__}"
                )
            held, project = with_scopes_if_required(given, [_SCOPE]), getattr(given, "project_id", "")
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        variable = settings.variable("GOOGLE_APPLICATION_CREDENTIALS")
        where = "the machine's own credentials" + (f" in {variable!r}" if variable else "")
        if path is not None:
            where = f"the file {os.fspath(path)!r}"
        raise MissingCredentialError(
            f"Gemini on Vertex AI: {where} cannot be used ({type(error).__name__}: {str(error)[:200]}); pass credentials"
            f" or set {_VARIABLES}"
        ) from error
    return held, project or ""


def _from_info(info: Any) -> tuple[Any, str]:
    """
    (credentials, project) from the content of a credentials file of any kind.

    By google.auth's loader of each kind: its general one is deprecated. Source:
    https://cloud.google.com/docs/authentication/external/externally-sourced-credentials, read 2026-11-26.
    """
    from google.oauth2 import credentials, service_account

    kind = info.get("type") if isinstance(info, dict) else None
    if kind == "service_account":
        held = service_account.Credentials.from_service_account_info(info, scopes=[_SCOPE])
        return held, str(held.project_id or "")
    if kind == "authorized_user":
        held = credentials.Credentials.from_authorized_user_info(info, scopes=[_SCOPE])
        return held, str(info.get("quota_project_id") or "")
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials

        return impersonated_credentials.Credentials.from_impersonated_service_account_info(info, scopes=[_SCOPE]), ""
    if kind == "external_account_authorized_user":
        from google.auth import external_account_authorized_user

        return external_account_authorized_user.Credentials.from_info(info), ""
    if kind == "external_account":
        return _external_account(info), ""
    raise ValueError(f"type {settings.spelled(kind)} is not a kind of Google credentials")


def _external_account(info: dict[str, Any]) -> Any:
    """Workload identity federation: of AWS, of a program, or of a file or URL."""
    from google.auth import aws, identity_pool, pluggable

    source = info.get("credential_source")
    if info.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        return aws.Credentials.from_info(info, scopes=[_SCOPE])
    if isinstance(source, dict) and "executable" in source:
        return pluggable.Credentials.from_info(info, scopes=[_SCOPE])
    return identity_pool.Credentials.from_info(info, scopes=[_SCOPE])


class GenaiDoor:
    """One kept ``genai.Client`` with the shared HTTP client under it. Made at the first call; shared by threads."""

    def __init__(self, found: GenaiSettings, *, reuse: bool = True) -> None:
        self._settings = found
        self._reuse = reuse
        self._open = Handle(self._opened, _Open.close)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        held = self._settings
        return (held.api_key,) if held.api_key else (_Token(held.credentials),) if held.credentials else ()

    def generate(
        self,
        model: str,
        body: dict[str, Any],
        *,
        asked: Asked,
        deadline: Deadline,
        stream: bool = False,
        headers: Mapping[str, str | Secret] | None = None,
    ) -> Reply:
        """
        Send a ``generateContent`` (or ``streamGenerateContent``) once; the body of the response is still on the wire.

        Raises:
            InvalidInputError: the model's name or the body cannot be sent.
            ProviderError: no response came, or signing in failed.
        """
        to_json(body)
        name = self.checked_model(model)
        opened = self._open.get()
        try:
            self._sign_in(opened, deadline, asked)
            plain, secrets = parted({**self._credential(), **(headers or {})})
            request = {
                "model": name,
                "contents": opened.nothing,
                "config": opened.config(body, plain, deadline, stream),
            }
            models = opened.client.models
            send = partial(_streamed, models, request) if stream else partial(models.generate_content, **request)
            reply: Reply = exchanged(send, Exchange(deadline, secrets))
        except WireError as error:
            raise failure_of(asked, error, deadline) from error
        return reply

    def _credential(self) -> dict[str, Secret]:
        """The header that signs a request: the key, or the token of the moment."""
        key = self._settings.api_key
        if key is not None:
            return {"x-goog-api-key": key.current()}
        return {"authorization": _Token(self._settings.credentials).bearer()}

    def checked_model(self, model: str) -> str:
        """
        The name as the SDK takes it.

        Raises:
            InvalidInputError: no model's name looks like this.
        """
        if not isinstance(model, str) or not _MODEL.fullmatch(model) or ".." in model:
            raise InvalidInputError(
                f"model {settings.spelled(model)} is no model's name; expected one like 'gemini-3-pro-image'"
            )
        if self._settings.vertexai:
            return model.removeprefix("models/")
        return model.removeprefix("publishers/").removeprefix("google/").removeprefix("models/")

    def close(self) -> None:
        self._open.close()

    def _sign_in(self, opened: _Open, deadline: Deadline, asked: Asked) -> None:
        """
        Refresh a token that is due, within the deadline; the SDK itself would wait for two minutes, and three times.

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
                held.refresh(_SignIn(opened.lease, deadline))
            settings.optional_credential(getattr(held, "token", None), what="the token of Vertex AI")
        except WireError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a token endpoint sends, and whosever credentials these are
            raise _sign_in_failure(error, asked, deadline) from without_frames(error)
        finally:
            opened.signing_in.release()

    def _opened(self) -> _Open:
        with importing():
            from google import genai
            from google.genai import types

        flavor = _flavor_of(types)
        lease = Lease(flavor, reuse=self._reuse)
        return _Open(self._made(genai, types, lease, flavor), lease, types, types.Content(role="user", parts=[]))

    def _made(self, genai: Any, types: Any, lease: Lease, flavor: str) -> Any:
        httpx = import_module(flavor)
        options: dict[str, Any] = {
            "httpx_client": lease.client,
            "headers": {"user-agent": USER_AGENT},  # the SDK appends its own
            # Never used; without it the SDK builds an asynchronous client and two TLS contexts of its own.
            "httpx_async_client": httpx.AsyncClient(transport=httpx.AsyncBaseTransport(), trust_env=False),
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
                else {"project": found.project, "location": found.location, "credentials": _bare(found.credentials)}
            )
            return genai.Client(vertexai=True, http_options=types.HttpOptions(**options), **access)
        return genai.Client(vertexai=False, api_key=_PLACEHOLDER, http_options=types.HttpOptions(**options))


def _streamed(models: Any, request: dict[str, Any]) -> None:
    """The SDK sends when the first chunk is asked for."""
    for _ in models.generate_content_stream(**request):
        pass


def _flavor_of(types: Any) -> str:
    """``"httpx2"`` or ``"httpx"``: what the SDK takes as its client; asking the installed package costs more."""
    field = types.HttpOptions.model_fields.get("httpx_client")
    taken = {kind.__module__.partition(".")[0] for kind in get_args(field.annotation)} if field else set()
    if "httpx2" in taken:
        return "httpx2"
    return "httpx" if "httpx" in taken else flavor_of("google-genai")


@dataclass(frozen=True)
class _Open:
    """The SDK's client and what belongs to it; ``nothing`` are contents, which ``extra_body`` replaces."""

    client: Any
    lease: Lease
    types: Any
    nothing: Any
    signing_in: threading.Lock = field(default_factory=threading.Lock)

    def config(self, body: dict[str, Any], headers: Mapping[str, str], deadline: Deadline, stream: bool) -> Any:
        """One request's ``GenerateContentConfig``: its body, headers and timeout."""
        seconds = max(deadline.left(), 0.001)
        server_seconds = max(_SHORTEST_SERVER_TIMEOUT, math.ceil(seconds))
        options: dict[str, Any] = {
            "http_options": self.types.HttpOptions(
                timeout=math.ceil(seconds * 1000),
                headers={**headers, "X-Server-Timeout": str(server_seconds)},
                extra_body=body,
            ),
            "automatic_function_calling": self.types.AutomaticFunctionCallingConfig(disable=True),
        }
        if "automatic_continuation" in self.types.GenerateContentConfig.model_fields:  # google-genai 3.x
            options["automatic_continuation"] = False
        if not stream:
            options["should_return_http_response"] = True  # spares the SDK the decoding
        return self.types.GenerateContentConfig(**options)

    def close(self) -> None:
        self.client.close()
        self.lease.close()


def _sign_in_failure(error: Exception, asked: Asked, deadline: Deadline) -> errors.ProviderError:
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        broken = WireError(f"signing in: {error}", sent=False, timed_out=deadline.left() <= 0)
        return failure_of(asked, broken, deadline)
    said = asked.redact(f"{type(error).__name__}: {str(error)[:200]}")
    return errors.AuthenticationError(
        f"{asked.provider}: signing in to Vertex AI failed ({said})", provider=asked.provider, model=asked.model
    )


_PLACEHOLDER = "see-the-exchange"
"""What the SDK gets for a key: the credential is set when the request leaves, and stands in no frame of the SDK."""


def _bare(held: Any) -> Any:
    """Credentials that never refresh themselves: the SDK would, without our deadline, for a token that lives shortly."""
    from google.auth.credentials import Credentials

    class Bare(Credentials):  # type: ignore[misc]
        token = property(lambda self: _PLACEHOLDER, lambda self, value: None)
        expired = property(lambda self: False)
        valid = property(lambda self: True)
        quota_project_id = property(lambda self: getattr(held, "quota_project_id", None))

        def refresh(self, request: Any) -> None:
            """The door does it."""

    return Bare()


class _Token(Secret):
    """The token that credentials have at the moment."""

    __slots__ = ("_held",)

    def __init__(self, held: Any) -> None:
        super().__init__("")
        self._held = held

    def reveal(self) -> str:
        token = getattr(self._held, "token", None)
        return token if isinstance(token, str) else ""

    def shown(self) -> tuple[str, ...]:
        return (self.reveal(),)


class _SignIn:
    """A ``google.auth.transport.Request`` over the shared client, with the deadline of the call that needs the token."""

    def __init__(self, lease: Lease, deadline: Deadline) -> None:
        self._client = lease.client
        self._deadline = deadline

    def __call__(
        self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: float | None = None, **_: Any
    ) -> Any:  # fmt: skip
        from google.auth import exceptions

        until = self._deadline.sooner(timeout)
        try:
            with Exchange(until) as exchange:
                self._client.send(self._client.build_request(method, url, content=body, headers=dict(headers or {})))
            reply: Reply = exchange.response
            return _SignedIn(reply.status, reply.headers, reply.read(until))
        except WireError as error:
            raise exceptions.TransportError(error) from error


@dataclass(frozen=True)
class _SignedIn:
    """A ``google.auth.transport.Response``."""

    status: int
    headers: Mapping[str, str]
    data: bytes
