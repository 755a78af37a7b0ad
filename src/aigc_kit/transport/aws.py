"""boto3: sessions, clients, and one shape for its many errors."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit import log
from aigc_kit.settings import Secret, variable
from aigc_kit.transport.deadline import (
    CONNECT_SECONDS,
    Deadline,
    Exchange,
    WireError,
    deadline_of,
)
from aigc_kit.transport.interrupts import let_out, without_frames
from aigc_kit.transport.sdks import importing

INVALID_REPLY = "InvalidReply"
"""``AwsError.code`` of a response that botocore cannot read."""

_sessions_lock = threading.Lock()  # boto3 sessions are not safe to use from two threads at once


def _in_child() -> None:
    global _sessions_lock
    _sessions_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=_in_child
    )  # a thread of the parent may hold it, and is not here


_TELLING = (
    "auth",
    "awsrequest",
    "client",
    "compress",
    "endpoint",
    "eventstream",
    "handlers",
    "hooks",
    "httpchecksum",
    "httpsession",
    "parsers",
    "retries.standard",
    "retryhandler",
    "serialize",
    "signers",
    "tokens",
    "utils",
    "validate",
)
"""Loggers of botocore whose DEBUG lines have bodies, headers, signatures or keys in them."""


class _Quiet(threading.local):
    inside = False


_quiet = _Quiet()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """
    No DEBUG line of botocore about the call that this thread makes: it would hold the prompt, the
    key id and the signature.

    urllib3's own line, with URL and status, is still written, and so is all that the application's
    own clients log.
    """
    before, _quiet.inside = _quiet.inside, True
    try:
        yield
    finally:
        _quiet.inside = before


def _tells_nothing(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG or not _quiet.inside


def _silence() -> None:
    for name in _TELLING:
        logger = logging.getLogger(f"botocore.{name}")
        if _tells_nothing not in logger.filters:
            logger.addFilter(_tells_nothing)


class AwsError(Exception):
    """
    What botocore or urllib3 raised.

    ``status`` is 0 when there was no response; then ``sent`` tells whether the request may have
    arrived, and ``timed_out`` whether time ran out. ``code`` is AWS's word, ``usage`` marks a call
    that botocore refused to send, ``sign_in`` one for which this machine's credentials could not be
    had, ``is_frame`` an error inside of an event stream.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        sent: bool = True,
        timed_out: bool = False,
        usage: bool = False,
        sign_in: bool = False,
        is_frame: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.headers = dict(headers or {})
        self.sent = sent
        self.timed_out = timed_out
        self.usage = usage
        self.sign_in = sign_in
        self.is_frame = is_frame

    @property
    def missing(self) -> bool:
        """Whether the server says that there is no such object."""
        return self.status == 404 and self.code in ("404", "NoSuchKey", "NotFound")


@dataclass(frozen=True)
class AwsSettings:
    """
    What makes one client. Without explicit keys the machine's own chain is used: variables,
    profiles, roles.

    With explicit keys no profile and no config file of the machine leaks in; its proxies are used
    all the same.
    """

    region: str
    endpoint_url: str | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    proxies: tuple[tuple[str, str], ...] | None = None
    pool_size: int = 1000
    virtual: bool = False
    checksum: bool = True
    ca_file: str = ""


def s3_client(settings: AwsSettings) -> AwsClient:
    """
    An S3 client that R2 and other compatible servers understand.

    Checksum trailers are off (R2 answers them with ``Unauthorized``), signatures are v4 (R2 refuses
    the older one), the wait for a 100 that Cloudflare never sends is off, and botocore's own
    retries are off. Over TLS the payload's digest travels as a signed ``x-amz-checksum-sha256``, so
    the payload itself is not signed too. Source:
    https://developers.cloudflare.com/r2/examples/aws/boto3/ and the S3 compatibility page, read
    2026-11-22.
    """
    ready()
    from botocore.handlers import add_expect_header

    made = make_client(
        "s3",
        settings,
        signature_version="s3v4",
        s3={
            "addressing_style": "virtual" if settings.virtual else "path",
            "payload_signing_enabled": not settings.checksum
            or (settings.endpoint_url or "").startswith("http:"),
        },
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    made.client.meta.events.unregister("before-call.s3", add_expect_header)
    made.client.meta.events.register("before-call.s3.HeadBucket", _no_head_bucket)
    return made


def _no_head_bucket(**_: Any) -> None:
    """
    End botocore's search for a bucket's region, which asks HeadBucket.

    A server that answers everything with 301 would otherwise be asked until the recursion limit.
    """
    from botocore.exceptions import ClientError

    raise ClientError(
        {"Error": {"Code": "301"}, "ResponseMetadata": {"HTTPHeaders": {}}}, "HeadBucket"
    )


def ready() -> None:
    """Import all of botocore that is used here, one thread at a time."""
    if _loaded:
        return
    with importing():
        import botocore.docs
        import botocore.eventstream
        import botocore.handlers
        import botocore.httpsession
        import botocore.parsers
        import botocore.session

        import aigc_kit.transport.aws_network

        _loaded.extend((botocore, aigc_kit.transport.aws_network))


_loaded: list[Any] = []


def make_client(service: str, settings: AwsSettings, **extra: Any) -> AwsClient:
    """A client whose requests leave through ``aws_wire``."""
    ready()
    _silence()
    import botocore.session
    from botocore.config import Config
    from botocore.httpsession import get_cert_path

    from aigc_kit.transport.aws_network import Sender

    explicit = settings.access_key_id is not None
    config = Config(
        region_name=settings.region or None,
        connect_timeout=CONNECT_SECONDS,
        max_pool_connections=settings.pool_size,
        retries={"total_max_attempts": 1, "mode": "standard"},
        **extra,
    )
    with _sessions_lock:
        # A file that does not exist is an empty configuration.
        closed = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        session = botocore.session.Session(
            session_vars=closed if explicit else None, profile=settings.profile
        )
        signs = isinstance(extra.get("signature_version", ""), str)  # not UNSIGNED
        credentials = _credentials(session) if signs and not explicit else None
        import boto3

        # boto3 is what talks to AWS; its session is made of ours, which knows what must not leak in
        # from the machine.
        client: Any = boto3.session.Session(botocore_session=session).client(
            service,
            region_name=settings.region or None,
            endpoint_url=settings.endpoint_url,
            aws_access_key_id=settings.access_key_id and settings.access_key_id.reveal(),
            aws_secret_access_key=settings.secret_access_key
            and settings.secret_access_key.reveal(),
            aws_session_token=settings.session_token and settings.session_token.reveal(),
            config=config,
        )
        trusted = (
            session.get_config_variable("ca_bundle")
            or variable("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
            or True
        )
    proxies = None if settings.proxies is None else dict(settings.proxies)
    sender = Sender(
        pool_size=settings.pool_size,
        ca_file=settings.ca_file or get_cert_path(trusted),
        proxies=proxies,
    )
    endpoint: Any = getattr(client, "_endpoint", None)
    if hasattr(endpoint, "http_session"):
        # The public way, an answer to the ``before-send`` event, would send although a stub of the
        # application's tests has answered already. Without this attribute botocore's own sender
        # does it, with a timeout for each read.
        endpoint.http_session.close()
        endpoint.http_session = sender
    return AwsClient(client, credentials)


def region_of(profile: str | None) -> str:
    """
    The region of the profile (unset: ``AWS_PROFILE``, then the default one), ``""`` when it names
    none.
    """
    ready()
    import botocore.session
    from botocore.exceptions import BotoCoreError

    with _sessions_lock:
        try:
            return str(
                botocore.session.Session(profile=profile).get_config_variable("region") or ""
            )
        except BotoCoreError:  # no such profile, a broken file: told when the client is made
            return "" if profile is None else "us-east-1"


def _credentials(session: Any) -> Any:
    """
    The machine's credentials, or None where it has none.

    Raises:
        AwsError: they cannot be had.
    """
    try:
        return session.get_credentials()
    except Exception as error:
        # The chain runs programs, reads files and asks servers; each fails in its own way.
        raise sign_in_error(error) from error


def sign_in_error(error: Exception) -> AwsError:
    """
    What went wrong while this machine's credentials were fetched: nothing of the request had left.
    """
    from botocore import exceptions

    known = aws_error(error)
    if known.usage or isinstance(error, (exceptions.HTTPClientError, WireError)):
        known.sent = False
        return known
    code = known.code if isinstance(error, exceptions.ClientError) else type(error).__name__
    return AwsError(f"{type(error).__name__}: {error}", code=code, sent=False, sign_in=True)


_ADVICE = (
    ("SSO", "run 'aws sso login', with --profile where one is used"),
    ("Token", "run 'aws sso login', with --profile where one is used"),
    ("Login", "run 'aws login'"),
    ("FileNotFound", "does the file that the profile or AWS_WEB_IDENTITY_TOKEN_FILE names exist?"),
    ("CredentialRetrieval", "does the profile's credential_process run in a shell?"),
)


def advice_for(code: str) -> str:
    """What to do about a failed sign-in."""
    found = next(
        (advice for word, advice in _ADVICE if word in code),
        "check the profile with 'aws sts get-caller-identity'",
    )
    return f"{found}; or pass keys"


@dataclass(frozen=True)
class AwsClient:
    """
    A boto3 client, called within a deadline. ``credentials``: of the machine's chain, None for
    explicit keys.
    """

    client: Any
    credentials: Any = None

    def call(
        self,
        operation: str,
        request: dict[str, Any],
        deadline: Deadline,
        headers: Mapping[str, Secret] | None = None,
    ) -> Any:
        """
        The response as botocore decodes it.

        Args:
            headers: added when the request leaves.

        Raises:
            AwsError: it failed, or could not be sent.
        """
        self._sign_in(deadline)
        exchange = Exchange(deadline, headers, to_vendor="modelId" in request)
        started = time.monotonic()
        try:
            with exchange, quiet():
                answer = getattr(self.client, operation)(**request)
            if log.logger("http").isEnabledFor(log.DEBUG):
                _log(operation, request, answer, started)
            return answer
        except failures() as error:
            _log_failure(operation, request, error, started)
            if isinstance(error, RecursionError) and not exchange.sent:
                raise AwsError(
                    "it is too deep", sent=False, usage=True, code="ParamValidationError"
                ) from None
            raise aws_error(error) from without_frames(error)

    def _sign_in(self, deadline: Deadline) -> None:
        """
        Fetch or refresh the machine's credentials, so that their faults are told from the
        request's.
        """
        if self.credentials is None:
            return
        try:
            with deadline_of(deadline):
                self.credentials.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - the chain runs programs, reads files and asks servers
            raise sign_in_error(error) from without_frames(error)

    def presigned(self, bucket: str, key: str, expires: int) -> Any:
        """A signed GET URL; sends no request."""
        with quiet():
            return self.client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires
            )

    def close(self) -> None:
        self.client.close()


def _who(operation: str, request: Mapping[str, Any]) -> tuple[str, str]:
    """(provider, model) of a call of Bedrock, (``s3``, operation) of any other."""
    model = request.get("modelId")
    return ("s3", operation) if model is None else ("bedrock", str(model))


def _log(operation: str, request: Mapping[str, Any], answer: Any, started: float) -> None:
    meta = answer.get("ResponseMetadata", {})
    log.attempt(
        _who(operation, request),
        status=int(meta.get("HTTPStatusCode") or 0),
        request_id=str(meta.get("RequestId") or ""),
        seconds=time.monotonic() - started,
        size=None,
    )


def _log_failure(
    operation: str, request: Mapping[str, Any], error: Exception, started: float
) -> None:
    if not log.logger("http").isEnabledFor(log.DEBUG):
        return
    answer = getattr(error, "response", None)
    if isinstance(answer, Mapping):
        _log(operation, request, answer, started)
    else:
        log.unanswered(_who(operation, request), error, time.monotonic() - started)


def failures() -> tuple[type[Exception], ...]:
    """
    Everything that a boto3 call or its stream raises. Nothing but these is an answer of AWS or of
    the way to it.
    """
    ready()
    from botocore.eventstream import ParserError
    from botocore.exceptions import BotoCoreError, ClientError

    return (WireError, BotoCoreError, ClientError, OSError, *_unreadable(), ParserError)


def _unreadable() -> tuple[type[Exception], ...]:
    """What botocore's parsers raise over bytes that are not what the service's model promises."""
    from botocore.parsers import ResponseParserError

    return (
        ResponseParserError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        IndexError,
        RecursionError,
        ArithmeticError,
    )


def aws_error(error: Exception) -> AwsError:
    """One shape for whatever ``failures`` names."""
    let_out(error)
    from botocore import exceptions

    if isinstance(error, WireError):
        return AwsError(
            str(error),
            sent=error.sent,
            timed_out=error.timed_out,
            code=INVALID_REPLY if error.too_large else "",
        )
    if isinstance(error, exceptions.ClientError):
        answer: Any = error.response
        meta = answer.get("ResponseMetadata", {})
        inner = answer.get("Error", {})
        return AwsError(
            str(inner.get("Message") or inner.get("Code") or "no message"),
            status=int(meta.get("HTTPStatusCode") or 0),
            code=str(inner.get("Code") or ""),
            request_id=str(meta.get("RequestId") or ""),
            headers=meta.get("HTTPHeaders"),
            is_frame=isinstance(error, exceptions.EventStreamError),
        )
    detail = f"{type(error).__name__}: {error}"
    usage = (
        exceptions.ParamValidationError,
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.NoRegionError,
        exceptions.ProfileNotFound,
        exceptions.InvalidEndpointConfigurationError,
        exceptions.UnknownServiceError,
        exceptions.ConfigParseError,
    )
    if isinstance(error, usage):
        return AwsError(detail, sent=False, usage=True, code=type(error).__name__)
    bad_reply = isinstance(error, _unreadable()) and not isinstance(error, OSError)
    return AwsError(
        detail,
        code=INVALID_REPLY if bad_reply else "",
        # botocore's own connections are those of the credentials chain: nothing of ours had left.
        sent=not isinstance(error, exceptions.BotoCoreError),
        timed_out=isinstance(
            error, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError)
        ),
    )


def is_no_event_stream(error: Exception) -> bool:
    """Whether the bytes of a stream are not frames at all."""
    from botocore.eventstream import ParserError

    return isinstance(error, ParserError)
