"""How to reach Gemini, and Google's credentials in whatever form they are given."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError, MissingCredentialError
from aigc_kit.settings import Secret
from aigc_kit.transport.clients import Lease
from aigc_kit.transport.deadline import Deadline, Exchange, WireError
from aigc_kit.transport.http import Response
from aigc_kit.transport.sdks import importing

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
VARIABLES = (
    "GOOGLE_CLOUD_PROJECT with GOOGLE_APPLICATION_CREDENTIALS for Vertex AI, or GEMINI_API_KEY (GOOGLE_API_KEY) for the"
    " Developer API"
)


@dataclass(frozen=True)
class GenaiSettings:
    """
    How to reach Gemini: on Vertex AI by project and credentials, or on the Developer API by key.

    ``credentials``: a google.auth object, or the path of a service account file; None is the
    machine's own.
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

        With ``vertexai`` unset an explicit key alone means the Developer API; a project, location
        or credentials mean Vertex AI; then ``GOOGLE_GENAI_USE_VERTEXAI`` decides, then what the
        environment has.

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
            key = key or settings.optional_credential(
                None, "GOOGLE_API_KEY", "GEMINI_API_KEY", what="Gemini's api_key"
            )
            if key is None:
                raise settings.missing_credential(
                    f"Gemini's api_key is missing: pass it or set {VARIABLES}",
                    "GOOGLE_API_KEY",
                    "GEMINI_API_KEY",
                )
            return cls(False, api_key=key, base_url=address, api_version=version)
        if key is not None:
            return cls(True, api_key=key, base_url=address, api_version=version)
        held, own_project = _credentials(credentials)
        where = settings.option(project, "GOOGLE_CLOUD_PROJECT") or own_project
        if not where:
            raise MissingCredentialError(
                f"Gemini on Vertex AI needs project: pass it or set {VARIABLES}"
            )
        region = settings.option(location, "GOOGLE_CLOUD_LOCATION", default="global")
        for name, value in (("project", where), ("location", region)):
            if not isinstance(value, str) or not _PLACE.fullmatch(value):
                raise ConfigurationError(f"{name} {settings.spelled(value)} is not a {name} name")
        return cls(True, where, region, None, held, address, version)


_VERSION = re.compile(
    r"(.*?)/(v\d+(?:(?:alpha|beta)\d*)?)(?:/(?:models|publishers|projects)(?:/.*)?)?/?"
)


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
        return settings.switch(vertexai, "vertexai")
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
    given = given.reveal() if isinstance(given, Secret) else given
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
            held, project = google.auth.default(scopes=[SCOPE])
        else:
            if not hasattr(given, "refresh") or not hasattr(given, "token"):
                raise ConfigurationError(
                    "credentials must be a google.auth object, the path of a credentials file, or its content as a dict; got"
                    f" {type(given).__name__}"
                )
            held, project = (
                with_scopes_if_required(given, [SCOPE]),
                getattr(given, "project_id", ""),
            )
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        variable = settings.variable("GOOGLE_APPLICATION_CREDENTIALS")
        where = "the machine's own credentials" + (f" in {variable!r}" if variable else "")
        if path is not None:
            where = f"the file {os.fspath(path)!r}"
        raise MissingCredentialError(
            f"Gemini on Vertex AI: {where} cannot be used ({type(error).__name__}: {str(error)[:200]}); pass credentials"
            f" or set {VARIABLES}"
        ) from error
    return held, project or ""


def _from_info(info: Any) -> tuple[Any, str]:
    """
    (credentials, project) from the content of a credentials file of any kind.

    By google.auth's loader of each kind: its general one is deprecated. Source:
    https://cloud.google.com/docs/authentication/external/externally-sourced-credentials, read
    2026-11-26.
    """
    from google.oauth2 import credentials, service_account

    kind = info.get("type") if isinstance(info, dict) else None
    if kind == "service_account":
        held = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        return held, str(held.project_id or "")
    if kind == "authorized_user":
        held = credentials.Credentials.from_authorized_user_info(info, scopes=[SCOPE])
        return held, str(info.get("quota_project_id") or "")
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials

        return impersonated_credentials.Credentials.from_impersonated_service_account_info(
            info, scopes=[SCOPE]
        ), ""
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
        return aws.Credentials.from_info(info, scopes=[SCOPE])
    if isinstance(source, dict) and "executable" in source:
        return pluggable.Credentials.from_info(info, scopes=[SCOPE])
    return identity_pool.Credentials.from_info(info, scopes=[SCOPE])


class Token(Secret):
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


class SignIn:
    """
    A ``google.auth.transport.Request`` over the shared client, with the deadline of the call that
    needs the token.
    """

    def __init__(self, lease: Lease, deadline: Deadline) -> None:
        self._client = lease.client
        self._deadline = deadline

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Any:
        from google.auth import exceptions

        until = self._deadline.sooner(timeout)
        try:
            with Exchange(until) as exchange:
                self._client.send(
                    self._client.build_request(
                        method, url, content=body, headers=dict(headers or {})
                    )
                )
            response: Response = exchange.response
            return _SignedIn(response.status, response.headers, response.read(until))
        except WireError as error:
            raise exceptions.TransportError(error) from error


@dataclass(frozen=True)
class _SignedIn:
    """A ``google.auth.transport.Response``."""

    status: int
    headers: Mapping[str, str]
    data: bytes
