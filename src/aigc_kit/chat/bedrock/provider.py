"""Amazon Bedrock's dialect: Converse and ConverseStream through boto3."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from aigc_kit import settings
from aigc_kit.chat import thoughts
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message
from aigc_kit.chat.bedrock.draft import Draft
from aigc_kit.chat.bedrock.request import to_request
from aigc_kit.chat.bedrock.response import ConverseReader
from aigc_kit.chat.call import Call, CallOptions
from aigc_kit.chat.endings import cut_off, settled
from aigc_kit.chat.streaming import ChatStream, after_content, opened
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.errors import InvalidReplyError
from aigc_kit.settings import Secret
from aigc_kit.transport import aws, bedrock_sdk
from aigc_kit.transport.aws import AwsError
from aigc_kit.transport.bedrock_failures import judge, translated
from aigc_kit.transport.bedrock_sdk import opened_with
from aigc_kit.transport.deadline import DRAIN_SECONDS, Deadline, next_chunk
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.failures import RequestContext

MODEL = "global.anthropic.claude-sonnet-4-6"
CURRENT_MODELS = "global.anthropic.claude-sonnet-4-6, global.anthropic.claude-haiku-4-5-20251001-v1:0, amazon.nova-2-lite-v1:0"


class BedrockProvider(Rebuilt, ChatProvider):
    """Any model of Amazon Bedrock that Converse serves."""

    @constructor
    def __init__(
        self,
        *,
        api_key: Any = None,
        model: str | None = None,
        base_url: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        aws_access_key_id: str | Secret | None = None,
        aws_secret_access_key: str | Secret | None = None,
        aws_session_token: str | Secret | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        first_chunk_timeout: float | None = None,
        chunk_timeout: float | None = None,
        structured_mode: str | None = None,
        max_repairs: int = 1,
        allow_private_hosts: bool = False,
        default_headers: Mapping[str, str] | None = None,
        family: str | None = None,
        split_think_tags: bool = True,
        **unknown: Any,
    ) -> None:
        """
        Args:
            api_key: a Bedrock API key (bearer token); unset and without keys:
                ``AWS_BEARER_TOKEN_BEDROCK``.
            region: unset: ``BEDROCK_REGION``, ``AWS_REGION`` or ``AWS_DEFAULT_REGION``, then the
                profile's own.
            base_url: of a relay or VPC endpoint; ``endpoint_url`` is its other name.
            aws_access_key_id: both keys or none; none means the machine's chain of variables,
                profiles and roles.
            timeout: seconds for one call; unset: ``BEDROCK_TIMEOUT_SECS``, then 600.
            family: what stands behind an opaque ARN, e.g. ``"anthropic.claude-sonnet-4-6"``.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        own = [
            "endpoint_url",
            "region",
            "profile",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
        ]
        settings.reject_unknown(unknown, known=[*CallOptions.NAMES, *own], what="bedrock")
        self._options = CallOptions.read(
            timeout=timeout,
            max_retries=max_retries,
            first_chunk_timeout=first_chunk_timeout,
            chunk_timeout=chunk_timeout,
            structured_mode=structured_mode,
            max_repairs=max_repairs,
            family=family,
            default_headers=default_headers,
            split_think_tags=split_think_tags,
            variables=["BEDROCK_TIMEOUT_SECS"],
        )
        self.model = settings.option(model, "BEDROCK_MODEL", default=MODEL)
        self._transport = opened_with(
            api_key=api_key,
            base_url=base_url if base_url is not None else endpoint_url,
            region=region,
            profile=profile,
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
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
        request = self._request(call, call.messages)
        assembler = self._assembler(call, request)
        return ChatStream(
            self._chunks(call, request, assembler), assembler, finish=call.checked_once
        )

    def probe(self, deadline: Deadline) -> None:
        """
        Send a conversation without messages. Nobody pays for it: AWS refuses it, after it has
        checked the signature, the rights and the model.

        Raises:
            BadRequestError: the request itself was refused: everything else is right.
            AIGCError: the key, the rights or the model are not.
        """
        context = RequestContext(
            "bedrock", self.model, judge=judge, secrets=self._transport.secrets
        )
        try:
            self._transport.converse(
                {"modelId": self.model, "messages": []},
                deadline=deadline,
                stream=False,
                headers=None,
            )
            return
        except AwsError as error:
            failure, cause = (
                translated(error, context, deadline, current_models=CURRENT_MODELS),
                context.without_secrets(error),
            )
        raise failure from cause

    def close(self) -> None:
        self._transport.close()
        self._downloader.close()

    def _request(self, call: Call, turns: list[dict[str, Any]]) -> Draft:
        # botocore learned of both in one release, 1.42.42.
        native = _asks_for_a_grammar(call) and self._transport.supports("outputConfig")
        return to_request(call, turns, self._downloader, native=native)

    def _assembler(self, call: Call, request: Draft) -> Assembler:
        assembler = Assembler(
            provider="bedrock",
            model=call.model,
            schemas=call.schemas,
            names=request.names.own,
            taken=call.taken,
            thought_tags=thoughts.THINK if call.options.split_think_tags else (),
        )
        assembler.warnings = list(request.warnings)
        assembler.keeps_reasoning = False  # thinking_blocks carry it, with its signature
        return assembler

    def _context(self, call: Call) -> RequestContext:
        return RequestContext(
            "bedrock", call.model, judge=judge, secrets=(*self._transport.secrets, *call.secrets)
        )

    def _plain(self, call: Call, turns: list[dict[str, Any]]) -> ChatResult:
        request = self._request(call, turns)
        context = self._context(call)

        def attempt(deadline: Deadline) -> ChatResult:
            response = self._send(call, request, context, deadline, stream=False)
            assembler = self._assembler(call, request)
            _head(response, assembler)
            ConverseReader(assembler, context).whole(response)
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _send(
        self,
        call: Call,
        request: Draft,
        context: RequestContext,
        deadline: Deadline,
        *,
        stream: bool,
    ) -> Any:
        until = deadline.sooner(call.options.first_chunk_timeout) if stream else deadline
        try:
            return self._transport.converse(
                request.body, deadline=until, stream=stream, headers=call.headers
            )
        except AwsError as error:
            failure, cause = (
                translated(error, context, deadline, current_models=CURRENT_MODELS),
                context.without_secrets(error),
            )
        # Outside of the handler: a cause that repeats a key is left out, and must not come back as
        # the context.
        raise failure from cause

    def _chunks(self, call: Call, request: Draft, assembler: Assembler) -> Iterator[ChatChunk]:
        context = self._context(call)
        attempt = partial(self._opened, call, request, assembler, context)
        (chunks, head), _ = call.options.policy.run(attempt)
        yield from head
        yield from after_content(chunks, assembler)

    def _opened(
        self,
        call: Call,
        request: Draft,
        assembler: Assembler,
        context: RequestContext,
        deadline: Deadline,
    ) -> tuple[Iterator[ChatChunk], list[ChatChunk]]:
        """The chunks, read up to the first content: until there an error is the plain call's."""
        assembler.clear()
        response = self._send(call, request, context, deadline, stream=True)
        call.options.limit = deadline.sooner(call.options.first_chunk_timeout).at
        _head(response, assembler)
        source = response.get("stream")
        if source is None:
            raise InvalidReplyError(
                "bedrock answered without a stream",
                provider="bedrock",
                model=call.model,
                status_code=200,
            )
        chunks = _read(source, deadline, call, context, assembler)
        return chunks, opened(chunks, assembler)


def _head(response: Mapping[str, Any], assembler: Assembler) -> None:
    meta = response.get("ResponseMetadata") or {}
    assembler.request_id = assembler.id = str(meta.get("RequestId") or "")
    headers = meta.get("HTTPHeaders")
    assembler.headers = {str(name).lower(): str(value) for name, value in (headers or {}).items()}


def _no_events(assembler: Assembler) -> InvalidReplyError:
    kind = assembler.headers.get("content-type", "something")
    what = "HTML" if "html" in kind else kind
    return InvalidReplyError(
        f"bedrock answered a stream request with {what} in place of an event stream; is base_url right?",
        provider="bedrock",
        model=assembler.model,
        request_id=assembler.request_id,
        status_code=200,
        billed="unknown",
    )


def _read(
    source: Any, deadline: Deadline, call: Call, context: RequestContext, assembler: Assembler
) -> Iterator[ChatChunk]:
    """
    The chunks of an open event stream, read to messageStop and metadata, or to the end of its body.

    Raises:
        ProviderError: an exception frame.
        StreamInterruptedError: cut, reset or silent, whatever came before.
    """
    reader = ConverseReader(assembler, context)
    events = bedrock_sdk.events_of(source, context.all_masked)
    options = call.options
    until = min(deadline.at, options.limit)
    heard = False
    try:
        while True:
            if reader.has_ended:
                until = min(until, time.monotonic() + DRAIN_SECONDS)
            try:
                event = next_chunk(events, until)
            except aws.failures() as error:
                if reader.has_ended:  # nothing is missing but the end of the connection
                    break
                _raise_failure(error, deadline, context, assembler, heard=heard)
            if event is None:
                break
            heard = True
            chunk = _chunk_of(event, reader, assembler)
            if chunk is not None:
                yield chunk
            if options.is_timed:
                options.heard()
                until = min(deadline.at, options.limit)
    finally:
        source.close()
    last = assembler.flush()
    if last is not None:
        yield last
    if not assembler.finish_reason:
        raise cut_off(assembler, "it ended without a messageStop")
    reader.end()


def _raise_failure(
    error: Exception,
    deadline: Deadline,
    context: RequestContext,
    assembler: Assembler,
    *,
    heard: bool,
) -> NoReturn:
    """
    What ended an event stream before its time, as our own error.

    Args:
        heard: an event came before.
    """
    failed = aws.aws_error(error)
    cause = translated(failed, context, deadline, current_models=CURRENT_MODELS)
    if failed.is_frame:  # the vendor's own error
        raise cause from context.without_secrets(error)
    if not heard and aws.is_no_event_stream(error):
        raise _no_events(assembler) from error
    raise cut_off(assembler, str(cause), cause) from cause


def _chunk_of(event: Any, reader: ConverseReader, assembler: Assembler) -> ChatChunk | None:
    try:
        return reader.event(event)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise cut_off(assembler, f"an event cannot be read: {type(error).__name__}") from error


def _asks_for_a_grammar(call: Call) -> bool:
    functions = (tool.get("function") for tool in call.tools or ())
    strict = any(isinstance(each, Mapping) and each.get("strict") for each in functions)
    return strict or call.format is not None
