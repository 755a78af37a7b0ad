"""Converse, ConverseStream and InvokeModel over boto3."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.transport.aws import (
    AwsClient,
    AwsError,
    AwsSettings,
    aws_error,
    failures,
    make_client,
    region_of,
)
from aigc_kit.transport.deadline import (
    Deadline,
    WireError,
    current_exchange,
    deadline_of,
    parted,
)
from aigc_kit.transport.encoding import quick_decoder
from aigc_kit.transport.handle import Handle
from aigc_kit.transport.interrupts import without_frames

_EVENTS = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    }
)
"""
The members of ``ConverseStreamOutput`` that are not errors. Source: botocore's service model,
1.44.8, 2026-11-25.
"""


def events_of(
    source: Any, masked: Callable[[Iterator[bytes]], Iterator[bytes]] = iter
) -> Iterator[dict[str, Any]]:
    """
    The events of a ConverseStream response, each ``{name: value}``; blobs are base64 text.

    botocore's framing and checksums, without its walk over the service model for each event, which
    costs more than all the rest. Where the stream's bytes cannot be reached, botocore's own events
    (blobs are bytes).
    """
    raw: Any = getattr(source, "_raw_stream", None)
    if not hasattr(raw, "stream"):
        yield from source
        return
    from botocore.eventstream import EventStreamBuffer

    buffer, decode = EventStreamBuffer(), quick_decoder()
    for piece in masked(raw.stream()):
        buffer.add_data(piece)
        for message in buffer:
            headers = message.headers
            if headers.get(":message-type") in ("error", "exception"):
                raise _event_error(headers, message.payload)
            name = headers.get(":event-type")
            if name in _EVENTS:  # botocore passes over the others too, whatever is in them
                yield {name: _value(message.payload, decode) if message.payload else {}}


def _value(payload: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(payload)
    except ValueError:
        return json.loads(payload)


def _event_error(headers: Mapping[str, Any], payload: bytes) -> Exception:
    from botocore.exceptions import EventStreamError

    text = headers.get(":error-message")
    with contextlib.suppress(ValueError, AttributeError):
        inner = json.loads(payload)
        text = inner.get("message") or inner.get("Message") or text
    code = headers.get(":exception-type") or headers.get(":error-code") or ""
    error: Exception = EventStreamError(
        {"Error": {"Code": code, "Message": text or ""}}, "ConverseStream"
    )
    return error


MAX_INVOKED_BYTES = 16 * 1024 * 1024
"""Largest response of InvokeModel that is read: 96 vectors of 1536 numbers take a tenth of it."""


def whole_body(source: Any) -> bytes:
    """
    The whole body; our own sender has a stream under botocore's, which knows the deadline.

    Raises:
        WireError: cut, reset, too slow or too long.
    """
    raw: Any = getattr(source, "_raw_stream", None)
    pieces = raw.stream() if hasattr(raw, "stream") else source.iter_chunks()
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_INVOKED_BYTES:
            raise WireError(
                f"the response is longer than {MAX_INVOKED_BYTES} bytes", sent=True, too_large=True
            )
    return bytes(body)


_MADE_HERE = frozenset(
    {"modelId", "messages", "system", "toolConfig", "additionalModelRequestFields"}
)
"""
Members of a Converse request that cannot have a wrong type; the others may be passed through from
the application.
"""


class BedrockTransport:
    """
    Converse, ConverseStream and InvokeModel: one boto3 client for each read timeout, made at the first call;
    shared by threads.
    """

    def __init__(self, found: AwsSettings, bearer: Secret | None) -> None:
        self._settings = found
        self._bearer = bearer
        self._open = Handle(self._opened, AwsClient.close)

    @property
    def signs(self) -> AwsSettings | None:
        """What requests are signed with, None where a bearer token stands in the place of keys."""
        return None if self._bearer is not None else self._settings

    @property
    def secrets(self) -> tuple[Secret, ...]:
        held = (
            self._bearer,
            self._settings.access_key_id,
            self._settings.secret_access_key,
            self._settings.session_token,
        )
        return tuple(secret for secret in held if secret is not None)

    def converse(
        self,
        request: dict[str, Any],
        *,
        deadline: Deadline,
        stream: bool,
        headers: Mapping[str, str | Secret] | None,
    ) -> Any:
        """
        The response as botocore decodes it; a stream's events are still on the wire.

        Raises:
            AwsError: it failed, or could not be sent.
        """
        added = self._added(headers)
        try:
            self._check(request, stream)
            return self._open.get().call(
                "converse_stream" if stream else "converse", request, deadline, added
            )
        except AwsError:
            raise
        except failures() as error:  # from making the client
            raise aws_error(error) from without_frames(error)

    def invoke(
        self,
        model: str,
        body: bytes,
        *,
        deadline: Deadline,
        headers: Mapping[str, str | Secret] | None,
    ) -> tuple[bytes, dict[str, str]]:
        """
        What InvokeModel answers: the body, and the headers with lower-case names.

        Raises:
            AwsError: it failed, could not be sent, or could not be read to its end.
        """
        request = {
            "modelId": model,
            "body": body,
            "contentType": "application/json",
            "accept": "application/json",
        }
        try:
            response = self._open.get().call(
                "invoke_model", request, deadline, self._added(headers)
            )
            with deadline_of(deadline), contextlib.closing(response["body"]) as source:
                raw = whole_body(source)
        except AwsError:
            raise
        except failures() as error:
            raise aws_error(error) from without_frames(error)
        found = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
        return raw, {str(name).lower(): str(value) for name, value in found.items()}

    def _added(self, headers: Mapping[str, str | Secret] | None) -> dict[str, Secret]:
        """The headers that are set when the request leaves."""
        signed = {"Authorization": self._bearer.bearer()} if self._bearer is not None else {}
        plain, secrets = parted({**signed, **(headers or {})})
        return {**{name: Secret(value) for name, value in plain.items()}, **secrets}

    def supports(self, member: str) -> bool:
        """Whether the installed botocore knows this member of a Converse request."""
        return member in self._shape(stream=False).members

    def _shape(self, *, stream: bool) -> Any:
        model = self._open.get().client.meta.service_model
        return model.operation_model("ConverseStream" if stream else "Converse").input_shape

    def _check(self, request: dict[str, Any], stream: bool) -> None:
        """
        What botocore would check before it sends, but for what the dialect has made of checked
        values: in a long history that is most of the work of a call.
        """
        if _MADE_HERE.issuperset(request):
            return
        from botocore.exceptions import ParamValidationError
        from botocore.validate import ParamValidator

        given = {name: value for name, value in request.items() if name not in _MADE_HERE}
        found = ParamValidator().validate(
            {"modelId": request["modelId"], "messages": [], **given}, self._shape(stream=stream)
        )
        if found.has_errors():
            raise ParamValidationError(report=found.generate_report())

    def close(self) -> None:
        self._open.close()

    def _opened(self) -> AwsClient:
        from botocore import UNSIGNED

        explicit = self._settings.access_key_id is not None
        # A bearer token of the environment would win over explicit keys, and botocore refuses one
        # over http.
        version: Any = UNSIGNED if self._bearer else "v4" if explicit else None
        extra = {"signature_version": version} if version is not None else {}
        made = make_client("bedrock-runtime", self._settings, parameter_validation=False, **extra)

        def add(request: Any, **_: Any) -> None:
            exchange = current_exchange()
            for name, value in (exchange.secrets if exchange is not None else {}).items():
                request.headers[name] = value.reveal()

        made.client.meta.events.register_first("before-send.bedrock-runtime.*", add)
        return made


def opened_with(
    *,
    api_key: Any,
    base_url: str | None,
    region: str | None,
    profile: str | None,
    aws_access_key_id: Any,
    aws_secret_access_key: Any,
    aws_session_token: Any,
) -> BedrockTransport:
    """
    A transport with a provider's options, completed from the environment.

    Raises:
        ConfigurationError: options that contradict each other, or no region.
    """
    if (aws_access_key_id is None) != (aws_secret_access_key is None):
        raise ConfigurationError(
            "aws_access_key_id and aws_secret_access_key belong together: pass both or neither"
        )
    if api_key is not None and aws_access_key_id is not None:
        raise ConfigurationError(
            "api_key and aws_access_key_id exclude each other: pass one of them"
        )
    bearer = None
    if aws_access_key_id is None:
        bearer = settings.optional_credential(
            api_key, "AWS_BEARER_TOKEN_BEDROCK", what="Bedrock's api_key", rotating=True
        )
    found = AwsSettings(
        region=_region(region, profile),
        endpoint_url=settings.base_url(base_url) if base_url is not None else None,
        access_key_id=settings.optional_credential(aws_access_key_id, what="aws_access_key_id"),
        secret_access_key=settings.optional_credential(
            aws_secret_access_key, what="aws_secret_access_key"
        ),
        session_token=settings.optional_credential(aws_session_token, what="aws_session_token"),
        profile=settings.text(profile, "profile"),
    )
    return BedrockTransport(found, bearer)


def _region(region: str | None, profile: str | None) -> str:
    found = settings.option(
        region, "BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"
    ) or region_of(profile)
    if not found:
        raise ConfigurationError(
            "bedrock needs region: pass it, e.g. region='us-east-1', set AWS_REGION, or add it to the profile"
        )
    return found
