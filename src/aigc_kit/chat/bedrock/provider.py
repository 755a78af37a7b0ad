"""
Amazon Bedrock's dialect: Converse and ConverseStream through boto3.

Source: botocore's own model of the service, https://docs.aws.amazon.com/bedrock/latest/userguide/ (conversation inference,
structured output, model life cycle), read 2026-11-22.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit import errors, settings
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, ToolCallDelta, Usage, count
from aigc_kit.chat.converse import to_request
from aigc_kit.chat.request import Call, CallOptions
from aigc_kit.chat.stream import Assembler, ChatStream, cut_off, reason_of, settled
from aigc_kit.edge import Remade
from aigc_kit.errors import (
    ConfigurationError,
    ContentFilterError,
    InvalidInputError,
    InvalidReplyError,
    MissingCredentialError,
    ProviderError,
)
from aigc_kit.settings import Secret
from aigc_kit.transport import aws
from aigc_kit.transport.aws import AwsError, AwsSettings, BedrockDoor
from aigc_kit.transport.deadline import DRAIN_SECONDS, Deadline, WireError, next_chunk
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.replies import Asked, Verdict, error_from_body, failure_of

MODEL = "global.anthropic.claude-sonnet-4-6"
CURRENT_MODELS = (
    "global.anthropic.claude-sonnet-4-6, global.anthropic.claude-haiku-4-5-20251001-v1:0, amazon.nova-2-lite-v1:0"
)

_GONE = re.compile(
    r"end of (its )?life|marked by provider as legacy|no longer (available|supported)|deprecated", re.IGNORECASE
)
_STATUS = {
    "throttlingexception": 429, "modelnotreadyexception": 429, "toomanyrequestsexception": 429,
    "internalserverexception": 500, "serviceunavailableexception": 503, "modelstreamerrorexception": 424,
    "modelerrorexception": 424, "modeltimeoutexception": 408, "validationexception": 400, "accessdeniedexception": 403,
    "resourcenotfoundexception": 404, "servicequotaexceededexception": 400,
}  # fmt: skip


class BedrockProvider(Remade, ChatProvider):
    """Any model of Amazon Bedrock that Converse serves."""

    def __init__(
        self, *, api_key: str | Secret | None = None, model: str | None = None, base_url: str | None = None,
        endpoint_url: str | None = None, region: str | None = None, profile: str | None = None,
        aws_access_key_id: str | Secret | None = None, aws_secret_access_key: str | Secret | None = None,
        aws_session_token: str | Secret | None = None, timeout: float | None = None, max_retries: int = 2,
        first_chunk_timeout: float | None = None, chunk_timeout: float | None = None,
        structured_mode: str | None = None, max_repairs: int = 1, allow_private_hosts: bool = False, **unknown: Any,
    ) -> None:  # fmt: skip
        """
        Args:
            api_key: a Bedrock API key (bearer token); unset and without keys: ``AWS_BEARER_TOKEN_BEDROCK``.
            region: unset: ``AWS_REGION`` or ``AWS_DEFAULT_REGION``, then the profile's own.
            base_url: of a relay or VPC endpoint; ``endpoint_url`` is its other name.
            aws_access_key_id: both keys or none; none means the machine's chain of variables, profiles and roles.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        own = ["endpoint_url", "region", "profile", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"]
        settings.reject_unknown(unknown, known=[*CallOptions.NAMES, *own], what="bedrock")
        if (aws_access_key_id is None) != (aws_secret_access_key is None):
            raise ConfigurationError(
                "aws_access_key_id and aws_secret_access_key belong together: pass both or neither"
            )
        if api_key is not None and aws_access_key_id is not None:
            raise ConfigurationError("api_key and aws_access_key_id exclude each other: pass one of them")
        self._options = CallOptions.read(
            timeout=timeout, max_retries=max_retries, first_chunk_timeout=first_chunk_timeout, chunk_timeout=chunk_timeout,
            structured_mode=structured_mode, max_repairs=max_repairs,
        )  # fmt: skip
        bearer = None
        if aws_access_key_id is None:
            bearer = settings.optional_credential(api_key, "AWS_BEARER_TOKEN_BEDROCK", what="Bedrock's api_key")
        address = base_url if base_url is not None else endpoint_url
        where = settings.option(region, "AWS_REGION", "AWS_DEFAULT_REGION")
        if not where and not profile and not settings.variable("AWS_PROFILE", "AWS_CONFIG_FILE"):
            raise ConfigurationError("bedrock needs region: pass it, e.g. region='us-east-1', or set AWS_REGION")
        self.model = settings.option(model, "BEDROCK_MODEL", default=MODEL)
        self._door = BedrockDoor(
            AwsSettings(
                region=where,
                endpoint_url=settings.base_url(address) if address is not None else None,
                access_key_id=settings.optional_credential(aws_access_key_id, what="aws_access_key_id"),
                secret_access_key=settings.optional_credential(aws_secret_access_key, what="aws_secret_access_key"),
                session_token=settings.optional_credential(aws_session_token, what="aws_session_token"),
                profile=settings.text(profile, "profile"),
            ),
            bearer,
        )
        self._downloader = Downloader(allow_private_hosts=allow_private_hosts)

    @property
    def name(self) -> str:
        return "bedrock"

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        call = Call.read(messages, kwargs, self._options, self.model, "bedrock")
        return call.repaired(lambda turns: self._plain(call, turns))

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        call = Call.read(messages, kwargs, self._options, self.model, "bedrock")
        request, warnings = self._request(call, call.messages)
        assembler = self._assembler(call, warnings)
        return ChatStream(self._chunks(call, request, assembler), assembler, finish=call.checked_once)

    def close(self) -> None:
        self._door.close()
        self._downloader.close()

    def _request(self, call: Call, turns: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
        native = bool(call.format) and self._door.supports("outputConfig")
        return to_request(call, turns, self._downloader, native=native)

    def _assembler(self, call: Call, warnings: list[dict[str, str]]) -> Assembler:
        assembler = Assembler(provider="bedrock", model=call.model, schemas=call.schemas)
        assembler.warnings = warnings
        assembler.keeps_reasoning = False  # thinking_blocks carry it, with its signature
        return assembler

    def _asked(self, call: Call) -> Asked:
        return Asked("bedrock", call.model, judge=judge, secrets=self._door.secrets)

    def _plain(self, call: Call, turns: list[dict[str, Any]]) -> ChatResult:
        request, warnings = self._request(call, turns)
        asked = self._asked(call)

        def attempt(deadline: Deadline) -> ChatResult:
            reply = self._send(call, request, asked, deadline, stream=False)
            assembler = self._assembler(call, list(warnings))
            from_reply(reply, assembler)
            _blocked(assembler, asked)
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _send(self, call: Call, request: dict[str, Any], asked: Asked, deadline: Deadline, *, stream: bool) -> Any:
        until = deadline.sooner(call.options.first_chunk_timeout) if stream else deadline
        try:
            return self._door.converse(request, deadline=until, stream=stream, headers=call.headers)
        except AwsError as error:
            failed = error
        # Outside of the handler: a cause that repeats a key is left out, and must not come back as the context.
        raise translated(failed, asked, deadline) from asked.without_secrets(failed)

    def _chunks(self, call: Call, request: dict[str, Any], assembler: Assembler) -> Iterator[ChatChunk]:
        asked = self._asked(call)
        started: list[Deadline] = []

        def attempt(deadline: Deadline) -> Any:
            started[:] = [deadline]
            return self._send(call, request, asked, deadline, stream=True)

        reply, _ = call.options.policy.run(attempt)
        deadline = started[0]
        call.options.limit = deadline.sooner(call.options.first_chunk_timeout).at
        assembler.request_id = str(reply.get("ResponseMetadata", {}).get("RequestId") or "")
        source = reply.get("stream")
        if source is None:
            raise InvalidReplyError(
                "bedrock answered without a stream", provider="bedrock", model=call.model, status_code=200
            )
        reader, events, options = _Events(assembler), aws.events_of(source), call.options
        until = min(deadline.at, options.limit)
        try:
            while True:
                if assembler.usage is not None and assembler.is_complete():
                    until = min(until, time.monotonic() + DRAIN_SECONDS)
                try:
                    event = next_chunk(events, until)
                except aws.failures() as error:
                    if assembler.is_complete():  # nothing is missing but the end of the connection
                        break
                    cause = translated(aws.aws_error(error), asked, deadline)
                    raise cut_off(assembler, str(cause)) from cause
                if event is None:
                    break
                try:
                    chunk = reader.event(event)
                except (TypeError, AttributeError, KeyError, ValueError) as error:
                    raise cut_off(assembler, f"an event cannot be read: {type(error).__name__}") from error
                if chunk is not None:
                    yield chunk
                if options.is_timed:
                    options.heard()
                    until = min(deadline.at, options.limit)
        finally:
            source.close()
        if not assembler.finish_reason:
            raise cut_off(assembler, "it ended without a messageStop")
        reader.end()
        _blocked(assembler, asked)


def judge(status: int, code: str, message: str) -> Verdict | None:
    """What Bedrock's messages mean where status and code do not say it."""
    text = message.lower()
    if "on-demand throughput" in text or "model identifier is invalid" in text or _GONE.search(text):
        return Verdict(errors.NotFoundError)
    if "don't have access to the model" in text or "not authorized" in text:
        return Verdict(errors.PermissionDeniedError)
    if re.search(r"input is too long|exceed context limit|prompt is too long|too many total text bytes", text):
        return Verdict(errors.ContextLengthExceededError)
    if code.lower() in (
        "unrecognizedclientexception",
        "invalidsignatureexception",
        "expiredtokenexception",
        "incompletesignature",
    ):
        return Verdict(errors.AuthenticationError)
    if code.lower() == "servicequotaexceededexception":
        return Verdict(errors.QuotaExceededError)
    if code.lower() == "modelnotreadyexception":
        return Verdict(errors.RateLimitError, retryable=True)
    return None


def translated(
    error: AwsError, asked: Asked, deadline: Deadline
) -> ProviderError | ConfigurationError | InvalidInputError:
    """The typed error for what boto3 raised."""
    if error.usage and error.code == "ParamValidationError":
        return InvalidInputError(f"bedrock cannot take the request: {asked.redact(' '.join(str(error).split()))[:500]}",
                                 provider="bedrock", model=asked.model)  # fmt: skip
    if error.usage:
        kind = MissingCredentialError if "Credentials" in error.code else ConfigurationError
        return kind(
            f"bedrock: {error}; pass api_key, or aws_access_key_id and aws_secret_access_key, or set"
            " AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            provider="bedrock", model=asked.model,
        )  # fmt: skip
    if error.code == aws.INVALID_REPLY:
        return InvalidReplyError(
            f"bedrock answered with what cannot be read ({asked.redact(str(error))[:200]}); is base_url right?",
            provider="bedrock", model=asked.model, billed="unknown",
        )  # fmt: skip
    status = error.status or _STATUS.get(error.code.lower(), 0)
    if not status and error.code:
        status = 500
    if not status:
        return failure_of(asked, WireError(str(error), sent=error.sent, timed_out=error.timed_out), deadline)
    message = asked.redact(str(error))
    if "on-demand throughput" in message.lower():
        message += "; put a geography in front, e.g. 'us.', 'eu.', 'apac.' or 'global.'"
    elif _GONE.search(message) or "model identifier is invalid" in message.lower():
        message += f"; current models: {CURRENT_MODELS}"
    body = {"error": {"code": error.code, "message": message}}
    headers = {**error.headers, **({"x-amzn-requestid": error.request_id} if error.request_id else {})}
    found = error_from_body(asked, body, status=status, headers=headers)
    if isinstance(found, errors.NotFoundError) and "current models" not in message and "geography" not in message:
        found.args = (f"{found}; current models: {CURRENT_MODELS}",)
    return found


def from_reply(reply: Mapping[str, Any], assembler: Assembler) -> None:
    """
    Read a whole Converse reply.

    Raises:
        InvalidReplyError: there is no output in it, as when a proxy answers 200.
    """
    meta = reply.get("ResponseMetadata")
    assembler.request_id = assembler.id = str((meta or {}).get("RequestId") or "")
    assembler.raw = _as_json({name: value for name, value in reply.items() if name != "ResponseMetadata"})
    output = reply.get("output")
    message = output.get("message") if isinstance(output, Mapping) else None
    if not isinstance(message, Mapping):
        raise InvalidReplyError(
            "bedrock answered 200 without an output; is base_url right?", provider="bedrock", model=assembler.model,
            request_id=assembler.request_id, status_code=200, billed="unknown", body=assembler.raw,
        )  # fmt: skip
    reader = _Events(assembler)
    content = message.get("content")
    assembler.expect(content, list, "content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping):
            reader.block(block)
    assembler.finish_reason = str(reply.get("stopReason") or "")
    assembler.usage = usage_of(reply.get("usage"))
    reader.end()


class _Events:
    """Blocks and stream events read into the assembler; reasoning is kept block by block, with its signature."""

    def __init__(self, assembler: Assembler) -> None:
        self._assembler = assembler
        self._thoughts: list[_Thought] = []
        self._thought_of: dict[Any, _Thought] = {}
        self._call_of: dict[Any, int] = {}

    def block(self, block: Mapping[str, Any]) -> None:
        """A whole block of a plain reply."""
        self._assembler.expect(block.get("text"), str, "text")
        use, thought, cited = block.get("toolUse"), block.get("reasoningContent"), block.get("citationsContent")
        if isinstance(block.get("text"), str):
            self._assembler.content.append(block["text"])
        elif isinstance(use, Mapping):
            self._assembler.fragment(
                index=len(self._assembler.calls),
                id=use.get("toolUseId"),
                name=use.get("name"),
                arguments=use.get("input") or {},
            )
        elif isinstance(thought, Mapping):
            self._thought(len(self._thoughts), thought.get("reasoningText") or thought)
        elif isinstance(cited, Mapping):
            for part in cited.get("content") or ():
                if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                    self._assembler.content.append(part["text"])

    def event(self, event: Mapping[str, Any]) -> ChatChunk | None:
        """One event of a stream."""
        delta = event.get("contentBlockDelta")
        if delta is not None:
            piece = delta.get("delta") or {}
            text = piece.get("text")
            if text and isinstance(text, str):
                self._assembler.content.append(text)
                return ChatChunk(text)
            return self._delta(delta.get("contentBlockIndex"), piece)
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            use = (start.get("start") or {}).get("toolUse")
            if not use:
                return None
            index = self._call_of[start.get("contentBlockIndex")] = len(self._assembler.calls)
            call = self._assembler.fragment(index=index, id=use.get("toolUseId"), name=use.get("name"))
            return ChatChunk(tool_calls=[call])
        if "messageStop" in event:
            self._assembler.finish_reason = str(event["messageStop"].get("stopReason") or "")
            reason = reason_of(self._assembler.finish_reason)
            return ChatChunk(finish_reason=reason) if reason else None
        if "metadata" in event:
            usage = self._assembler.usage = usage_of(event["metadata"].get("usage"))
            return ChatChunk(usage=usage) if usage else None
        return None

    def end(self) -> None:
        blocks = [block for block in map(_Thought.block, self._thoughts) if block]
        if blocks:
            self._assembler.message_extra = {"thinking_blocks": blocks}

    def _delta(self, index: Any, piece: Mapping[str, Any]) -> ChatChunk | None:
        if "toolUse" in piece:
            at = self._call_of.get(index, max(len(self._assembler.calls) - 1, 0))
            text = piece["toolUse"].get("input") or ""
            self._assembler.fragment(index=at, arguments=text)
            return ChatChunk(tool_calls=[ToolCallDelta(at, "", "", text)])
        if "reasoningContent" in piece:
            thought = self._thought(index, piece["reasoningContent"])
            return ChatChunk("", thought) if thought else None
        return None

    def _thought(self, index: Any, piece: Mapping[str, Any]) -> str:
        thought = self._thought_of.get(index)
        if thought is None:
            thought = self._thought_of[index] = _Thought()
            self._thoughts.append(thought)
        text, signature, redacted = piece.get("text"), piece.get("signature"), piece.get("redactedContent")
        if isinstance(signature, str):
            thought.signature.append(signature)
        if isinstance(redacted, (bytes, str)):
            thought.redacted.append(base64.b64decode(redacted) if isinstance(redacted, str) else redacted)
        if not isinstance(text, str) or not text:
            return ""
        thought.text.append(text)
        self._assembler.reasoning.append(text)
        return text


@dataclass
class _Thought:
    """A reasoning block as it comes in pieces."""

    text: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    redacted: list[bytes] = field(default_factory=list[bytes])

    def block(self) -> dict[str, Any]:
        """What the history keeps; nothing of a block that came empty."""
        if self.redacted:
            data = base64.b64encode(b"".join(self.redacted)).decode("ascii")
            return {"type": "redacted_thinking", "data": data} if data else {}
        if not (self.text or self.signature):
            return {}
        block = {"type": "thinking", "thinking": "".join(self.text)}
        signature = "".join(self.signature)
        return {**block, "signature": signature} if signature else block


def _blocked(assembler: Assembler, asked: Asked) -> None:
    if assembler.finish_reason in ("guardrail_intervened", "content_filtered") and not (
        assembler.content or assembler.calls
    ):
        raise ContentFilterError(
            f"bedrock blocked the answer: {assembler.finish_reason}", reason=assembler.finish_reason,
            code=assembler.finish_reason, provider="bedrock", model=asked.model, request_id=assembler.request_id,
            status_code=200, billed="yes" if assembler.usage else "unknown",
        )  # fmt: skip


def usage_of(value: Any) -> Usage | None:
    """Tokens; Bedrock's ``inputTokens`` leave out what the cache served."""
    if not isinstance(value, Mapping):
        return None

    read = count(value, "cacheReadInputTokens")
    prompt, answer = (
        count(value, "inputTokens") + read + count(value, "cacheWriteInputTokens"),
        count(value, "outputTokens"),
    )
    return Usage(prompt, answer, prompt + answer, read, 0)


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _as_json(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
