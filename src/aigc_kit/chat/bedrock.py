"""
Amazon Bedrock's dialect: Converse and ConverseStream through boto3.

Source: botocore's own model of the service, https://docs.aws.amazon.com/bedrock/latest/userguide/ (conversation inference,
structured output, model life cycle), read 2026-11-22.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit import errors, settings
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, ToolCallDelta, Usage, count, warning
from aigc_kit.chat.messages import arguments_object, chosen_tool, has_tool_turns, image_address, text_of
from aigc_kit.chat.pictures import picture_bytes
from aigc_kit.chat.request import Call, CallOptions
from aigc_kit.chat.stream import Assembler, ChatStream, cut_off, reason_of, settled
from aigc_kit.chat.structured import with_instruction
from aigc_kit.edge import Remade
from aigc_kit.errors import (
    ConfigurationError,
    ContentFilterError,
    InvalidInputError,
    InvalidReplyError,
    MissingCredentialError,
    ProviderError,
    UnsupportedFeatureError,
)
from aigc_kit.settings import Secret, spelled
from aigc_kit.transport import aws
from aigc_kit.transport.aws import AwsError, AwsSettings, BedrockDoor
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.encoding import camel, decode_base64
from aigc_kit.transport.policy import to_json
from aigc_kit.transport.pool import DRAIN_SECONDS, Deadline, WireError, next_chunk
from aigc_kit.transport.replies import Asked, Verdict, error_from_body, failure_of

MODEL = "global.anthropic.claude-sonnet-4-6"
CURRENT_MODELS = (
    "global.anthropic.claude-sonnet-4-6, global.anthropic.claude-haiku-4-5-20251001-v1:0, amazon.nova-2-lite-v1:0"
)

MAX_IMAGE_BYTES = 3_932_160
"""3.75 MB of one picture. Source: the Message type of the service model."""

_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

# Model families by what their ids contain; pydantic-ai's and AWS's own notes, verified there by live calls, 2026.
_CLAUDE = re.compile(r".*(anthropic|claude).*", re.IGNORECASE)
_NOVA = re.compile(r".*nova.*", re.IGNORECASE)
_MISTRAL = re.compile(r".*mistral.*", re.IGNORECASE)
_ALONE = re.compile(r".*(llama|mistral|writer|palmyra).*", re.IGNORECASE)
"""Models that take nothing beside a tool's result."""
_NO_CHOICE = re.compile(r".*(llama|mistral|qwen|deepseek|gpt-oss|cohere|titan|ai21|jamba).*", re.IGNORECASE)
_NO_FORCED = re.compile(r".*claude-(fable|mythos)-5|.*claude-(opus|sonnet)-5-5.*", re.IGNORECASE)
_NO_SAMPLING = re.compile(r".*claude-(opus-(4-7|4-8|5)|sonnet-5|haiku-5-5|fable|mythos).*", re.IGNORECASE)
_ONE_SAMPLING = re.compile(r".*claude-(sonnet-4-[56]|haiku-4-5|opus-4-[56]).*", re.IGNORECASE)
_BUDGET = re.compile(r".*claude-(3-7|(opus|sonnet)-4(-1|-5)?-20\d{6}|(opus|sonnet|haiku)-4-5).*", re.IGNORECASE)
_ADAPTIVE = re.compile(r".*claude-((opus|sonnet)-4-[6-8]|(opus|sonnet|haiku)-5|fable|mythos).*", re.IGNORECASE)
_ALWAYS = re.compile(r".*claude-(opus-5-5|fable|mythos).*", re.IGNORECASE)
_NATIVE = re.compile(
    r".*(claude-(sonnet|haiku)-4-5|claude-opus-4-[5-8]|claude-sonnet-4-6|claude-(opus|sonnet|haiku)-5|qwen3|gemma-3-(12|27)b"
    r"|ministral-3|mistral-large-3|magistral-small|minimax-m2|nemotron-nano|kimi|glm).*",
    re.IGNORECASE,
)
"""Models with ``outputConfig.textFormat``. Source: AWS's structured output page and live notes, 2026-11-22."""

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


# ---- what leaves


def to_request(
    call: Call, turns: list[dict[str, Any]], downloader: Downloader, *, native: bool
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """
    (keyword arguments of ``converse``, warnings).

    Raises:
        InvalidInputError: a tool's name or a picture that Bedrock cannot take.
        UnsupportedFeatureError: the model would refuse it, and nothing else means the same.
    """
    warnings: list[dict[str, str]] = []
    request: dict[str, Any] = {"modelId": call.model}
    if call.format:
        wanted = call.options.structured_mode
        mode = wanted or (
            "json_schema" if native and call.format.schema is not None and _NATIVE.fullmatch(call.model) else "prompt"
        )
        if mode == "json_schema" and call.format.schema is not None:
            inner = {"schema": json.dumps(closed(call.format.schema), ensure_ascii=False), "name": call.format.name}
            request["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}}
        else:
            turns = with_instruction(turns, call.format, mode="prompt")
        why = f": {call.model} is not known to have outputConfig; the schema is in the system prompt, the answer validated here"
        how = "" if mode == "json_schema" else why
        warnings.append(warning("response_format", f"mode {mode}{how}"))
    system, messages = to_converse_messages(turns, call.model, downloader, call.deadline)
    request["messages"] = messages
    if system:
        request["system"] = [{"text": text} for text in system]
    extra = dict(call.extra)
    fields: dict[str, Any] = {}
    _tools(request, fields, call, turns, warnings)
    inference = _inference(call, extra, warnings)
    _thinking(inference, fields, extra, call.model, warnings)
    if inference:
        request["inferenceConfig"] = inference
    for name in ("guardrail_config", "performance_config", "request_metadata", "service_tier"):
        if name in extra:
            request[camel(name)] = extra.pop(name)
    fields = {**fields, **extra, **call.extra_body}
    if fields:
        request["additionalModelRequestFields"] = fields
    # botocore would write NaN, and fails in its own way over what is no JSON.
    inputs = [block["toolUse"]["input"] for message in messages for block in message["content"] if "toolUse" in block]
    to_json({"fields": {name: value for name, value in request.items() if name != "messages"}, "inputs": inputs})
    return request, warnings


def to_converse_messages(
    turns: list[dict[str, Any]], model: str, downloader: Downloader, deadline: Deadline
) -> tuple[list[str], list[dict[str, Any]]]:
    """
    (system texts, messages): user and assistant in turn, the results of a turn together in one user message.

    Reasoning with its signature comes first and unchanged, for Claude only; ids that Bedrock refuses are made anew, the
    same on both sides.
    """
    system: list[str] = []
    messages: list[dict[str, Any]] = []

    def add(role: str, blocks: list[dict[str, Any]]) -> None:
        if messages and messages[-1]["role"] == role:
            before = messages[-1]["content"]
            results = any("toolResult" in block for block in before)
            if results != any("toolResult" in block for block in blocks) and _ALONE.fullmatch(model):
                messages.append({"role": "assistant", "content": [{"text": "."}]})
                messages.append({"role": role, "content": blocks})
            else:
                before += blocks
        else:
            messages.append({"role": role, "content": blocks})

    for turn in turns:
        if turn["role"] in ("system", "developer"):
            text = text_of(turn["content"])
            if text.strip():
                system.append(text)
        elif turn["role"] == "tool":
            text = text_of(turn["content"])
            result = {
                "toolUseId": tool_id(turn["tool_call_id"], model),
                "content": [{"text": text if text.strip() else "(empty)"}],
            }
            add("user", [{"toolResult": result}])
        elif turn["role"] == "assistant":
            add("assistant", _assistant_blocks(turn, model) or [{"text": "."}])
        else:
            add("user", _user_blocks(turn["content"], downloader, deadline))
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"text": "."}]})
    last = messages[-1]
    if last["role"] == "assistant" and "text" in last["content"][-1]:
        last["content"][-1] = {"text": last["content"][-1]["text"].rstrip() or "."}
    return system, messages


def tool_id(mark: str, model: str) -> str:
    """A call's id as the model takes it; the same id always gives the same."""
    if _MISTRAL.fullmatch(model):
        return mark if re.fullmatch(r"[a-zA-Z0-9]{9}", mark) else hashlib.sha256(mark.encode()).hexdigest()[:9]
    return mark if _TOOL_ID.fullmatch(mark) else "call_" + hashlib.sha256(mark.encode()).hexdigest()[:40]


def _assistant_blocks(turn: dict[str, Any], model: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    thoughts = turn.get("thinking_blocks")
    for thought in thoughts if isinstance(thoughts, list) and _CLAUDE.fullmatch(model) else ():
        if not isinstance(thought, Mapping):
            continue
        if thought.get("type") == "redacted_thinking" and isinstance(thought.get("data"), str):
            try:
                blocks.append({"reasoningContent": {"redactedContent": decode_base64(thought["data"])}})
            except ValueError as error:
                raise InvalidInputError(f"thinking_blocks has redacted thinking that is no base64: {error}") from None
        elif isinstance(thought.get("signature"), str) and thought["signature"]:
            inner = {"text": str(thought.get("thinking") or ""), "signature": thought["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": inner}})
    text = text_of(turn.get("content"))
    if text.strip():
        blocks.append({"text": text})
    for call in turn.get("tool_calls") or ():
        use = {
            "toolUseId": tool_id(call["id"], model),
            "name": tool_name(call["function"]["name"]),
            "input": arguments_object(call["function"].get("arguments")),
        }
        blocks.append({"toolUse": use})
    return blocks


def tool_name(name: str) -> str:
    """A tool's name of another vendor in the letters that Bedrock takes."""
    return name if _TOOL_NAME.fullmatch(name) else re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]


def _user_blocks(content: Any, downloader: Downloader, deadline: Deadline) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    blocks: list[dict[str, Any]] = []
    for part in content:
        if part["type"] == "text":
            if part["text"].strip():
                blocks.append({"text": part["text"]})
        elif part["type"] == "image_url":
            data, kind = picture_bytes(image_address(part), downloader, deadline)
            if kind not in _FORMATS or len(data) > MAX_IMAGE_BYTES:
                raise InvalidInputError(
                    f"the picture of a message is {kind} of {len(data)} bytes; Bedrock takes png, jpeg, gif and webp up to"
                    f" {MAX_IMAGE_BYTES} bytes"
                )
            blocks.append({"image": {"format": _FORMATS[kind], "source": {"bytes": data}}})
        else:
            raise InvalidInputError(
                f"Bedrock cannot take a part of type {part['type']!r}; text and image_url are understood"
            )
    return blocks or [{"text": "(empty)"}]


def _tools(
    request: dict[str, Any],
    fields: dict[str, Any],
    call: Call,
    turns: list[dict[str, Any]],
    warnings: list[dict[str, str]],
) -> None:
    choice = chosen_tool(call.tool_choice)
    in_history = has_tool_turns(turns)
    specs = [_spec(tool, warnings) for tool in call.tools or ()]
    if not specs and in_history:
        # Converse refuses a history with tools in it unless the request describes some.
        names = dict.fromkeys(
            tool_name(made["function"]["name"]) for turn in turns for made in turn.get("tool_calls") or ()
        )
        specs = [
            {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}
            for name in names
        ]
        choice = ":none" if choice in ("", ":auto") else choice
    if not specs:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    if choice == ":none":
        if not in_history:
            return
        if _CLAUDE.fullmatch(call.model):
            fields["tool_choice"] = {"type": "none"}
        elif call.tools:
            warnings.append(
                warning("tool_choice", "Converse has no 'none', and the history needs its tools: the model may call")
            )
        request["toolConfig"] = {"tools": specs}
        return
    config: dict[str, Any] = {"tools": specs}
    if choice and _NO_CHOICE.fullmatch(call.model):
        if choice != ":auto":
            warnings.append(
                warning("tool_choice", f"{call.model} takes no toolChoice; {spelled(call.tool_choice)} was left out")
            )
    elif choice in (":required",) or (choice and not choice.startswith(":")):
        if _NO_FORCED.fullmatch(call.model):
            raise UnsupportedFeatureError(
                f"{call.model} refuses a forced tool_choice; use 'auto', or global.anthropic.claude-sonnet-4-6",
                provider="bedrock", model=call.model,
            )  # fmt: skip
        config["toolChoice"] = {"any": {}} if choice == ":required" else {"tool": {"name": choice}}
    elif choice == ":auto":
        config["toolChoice"] = {"auto": {}}
    request["toolConfig"] = config


def _spec(tool: Mapping[str, Any], warnings: list[dict[str, str]]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise InvalidInputError(f"Bedrock takes only function tools, got type {tool.get('type')!r}")
    if not _TOOL_NAME.fullmatch(function["name"]):
        raise InvalidInputError(f"tool {function['name']!r}: Bedrock takes names of 1 to 64 letters, digits, _ and -")
    schema = dict(function.get("parameters") or {"type": "object", "properties": {}})
    schema.setdefault("type", "object")
    spec: dict[str, Any] = {"name": function["name"], "inputSchema": {"json": schema}}
    description = function.get("description")
    if description and not isinstance(description, str):
        raise InvalidInputError(f"tool {function['name']!r} has a description that is no text: {spelled(description)}")
    if description:
        spec["description"] = description
    return {"toolSpec": spec}


def _inference(call: Call, extra: dict[str, Any], warnings: list[dict[str, str]]) -> dict[str, Any]:
    given, found = dict(call.parameters), dict[str, Any]()
    limit = given.pop("max_tokens", None) or extra.pop("max_completion_tokens", None)
    if limit is not None:
        found["maxTokens"] = limit
    if "stop" in given:
        stop = given.pop("stop")
        found["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if given.pop("seed", None) is not None:
        warnings.append(warning("seed", "Converse has none; it was left out"))
    for name, own in (("temperature", "temperature"), ("top_p", "topP")):
        value = given.pop(name, None)
        if value is None:
            continue
        if _NO_SAMPLING.fullmatch(call.model):
            warnings.append(warning(name, f"{value!r} was left out: {call.model} refuses it"))
        elif own == "topP" and "temperature" in found and _ONE_SAMPLING.fullmatch(call.model):
            warnings.append(warning(name, f"{value!r} was left out: {call.model} takes temperature or top_p, not both"))
        else:
            found[own] = min(value, 1)
            if value > 1:
                warnings.append(warning(name, f"{value!r} was sent as 1: Converse takes 0 to 1"))
    return found


def _thinking(
    inference: dict[str, Any], fields: dict[str, Any], extra: dict[str, Any], model: str, warnings: list[dict[str, str]]
) -> None:
    wish = extra.pop("thinking", None)
    if wish is None:
        return
    if not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str):
        raise InvalidInputError(
            f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
        )
    off, budget = wish["type"] == "disabled", wish.get("budget_tokens")
    if wish["type"] not in ("enabled", "disabled"):
        fields["thinking"] = dict(wish)
    elif off and _ALWAYS.fullmatch(model):
        raise UnsupportedFeatureError(f"{model} always thinks", provider="bedrock", model=model)
    elif off and "sonnet-5-5" in model:
        fields["thinking"] = {"type": "between_tools"}
        warnings.append(warning("thinking", f"sent as 'between_tools', the least that {model} takes"))
    elif _ADAPTIVE.fullmatch(model):
        fields["thinking"] = {"type": "disabled" if off else "adaptive"}
        if isinstance(budget, int) and not off:
            level = "low" if budget <= 2048 else "medium" if budget <= 12_000 else "high"
            fields["output_config"] = {"effort": level}
            warnings.append(
                warning("thinking", f"{model} has efforts instead of a budget; {budget} tokens were sent as {level!r}")
            )
    elif _BUDGET.fullmatch(model):
        if off:
            fields["thinking"] = {"type": "disabled"}
            return
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int)):
            raise InvalidInputError(f"thinking's budget_tokens must be a whole number, got {spelled(budget)}")
        tokens = max(budget or 4096, 1024)
        fields["thinking"] = {"type": "enabled", "budget_tokens": tokens}
        if inference.get("maxTokens", 0) <= tokens:
            inference["maxTokens"] = tokens + 4096
            warnings.append(warning("max_tokens", f"sent as {tokens + 4096}: it must exceed the thinking budget"))
        for name in ("temperature", "topP"):
            if inference.pop(name, None) is not None:
                warnings.append(warning(name, f"left out: {model} takes none while it thinks"))
    elif _NOVA.fullmatch(model) and "nova-2" in model:
        effort = (
            "low"
            if isinstance(budget, int) and budget <= 2048
            else "high"
            if isinstance(budget, int) and budget > 12_000
            else "medium"
        )
        fields["reasoningConfig"] = {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": effort}
    elif not off:
        warnings.append(warning("thinking", f"{model} is not known to take a switch; it was left out"))


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The schema as Bedrock's grammar takes it: every object closed, bounds that it refuses left out.

    The answer is validated against the whole schema here, so nothing is lost.
    """
    refused = {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "maxItems",
        "$schema",
        "default",
        "title",
    }

    def close(value: Any, *, names: bool = False) -> Any:
        if isinstance(value, list):
            return [close(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        made = {
            name: close(inner, names=name in ("properties", "$defs", "definitions") and not names)
            for name, inner in value.items()
            if names or name not in refused
        }
        if not names and (made.get("type") == "object" or "properties" in made):
            made["additionalProperties"] = False
        if not names and isinstance(made.get("minItems"), int) and made["minItems"] > 1:
            del made["minItems"]
        return made

    result: dict[str, Any] = close(copy.deepcopy(dict(schema)))
    return result


# ---- what comes back


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
            use = start.get("start", {}).get("toolUse")
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
