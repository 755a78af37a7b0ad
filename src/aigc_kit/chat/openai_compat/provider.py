"""The dialect of ``chat/completions``, and every quirk of those who speak it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aigc_kit import settings
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, ToolCallDelta, Usage, count
from aigc_kit.chat.completions import Made, to_body
from aigc_kit.chat.request import Call, CallOptions, sse_chunks
from aigc_kit.chat.stream import Assembler, ChatStream, cut_off, reason_of, settled
from aigc_kit.chat.vendors import ALIASES, VENDORS
from aigc_kit.edge import Remade
from aigc_kit.errors import ConfigurationError, ContentFilterError, InvalidInputError
from aigc_kit.settings import Secret
from aigc_kit.transport import sniff
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, DownloadError
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.openai_sdk import OpenAIDoor
from aigc_kit.transport.replies import Asked, body_of, error_from_body, json_of, request_id_of


class OpenAICompatProvider(Remade, ChatProvider):
    """Every back end that speaks OpenAI's ``chat/completions``: a row of ``aigc_kit.chat.vendors``, or any ``base_url``."""

    def __init__(
        self,
        *,
        vendor: str = "openai_compat",
        api_key: str | Secret | None = None,
        model: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        first_chunk_timeout: float | None = None,
        chunk_timeout: float | None = None,
        structured_mode: str | None = None,
        max_repairs: int = 1,
        allow_private_hosts: bool = False,
        **unknown: Any,
    ) -> None:
        """
        Args:
            vendor: a name of ``vendors.VENDORS`` or an alias.
            api_key: unset: the vendor's variables; ``openai_compat`` works without one.
            base_url: unset: the vendor's variable, then its own address. ``openai_compat`` needs one.
            timeout: seconds for one call, tries and the whole stream included (default 600).
            first_chunk_timeout: seconds until a stream's first piece.
            chunk_timeout: seconds between two pieces of a stream.
            structured_mode: see ``ChatClient``.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=CallOptions.NAMES, what=vendor)
        self.vendor = VENDORS[ALIASES.get(vendor, vendor)]
        self._options = CallOptions.read(
            timeout=timeout, max_retries=max_retries, first_chunk_timeout=first_chunk_timeout,
            chunk_timeout=chunk_timeout, structured_mode=structured_mode, max_repairs=max_repairs,
        )  # fmt: skip
        row = self.vendor
        self.model = model or row.model
        if row.name == "openai_compat":
            key = settings.optional_credential(api_key, *row.variables, what="api_key")
            if not settings.option(base_url, *row.base_url_variables):
                raise ConfigurationError(
                    "openai_compat needs base_url, the address of the API, e.g. 'http://localhost:8000/v1'"
                )
        else:
            key = settings.credential(api_key, *row.variables, what=f"{row.name}'s api_key")
        self.base_url = settings.base_url(base_url, *row.base_url_variables, default=row.base_url)
        self._door = OpenAIDoor(self.base_url, key, is_openai=row.name == "openai")
        self._downloader = Downloader(allow_private_hosts=allow_private_hosts)

    @property
    def name(self) -> str:
        return self.vendor.name

    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        call = Call.read(messages, kwargs, self._options, self.model, self.name)
        return call.repaired(lambda turns: self._plain(call, turns))

    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> ChatStream:
        call = Call.read(messages, kwargs, self._options, self.model, self.name)
        made = self._made(call, call.messages, stream=True)
        assembler, asked = self._assembler(call, made), self._asked(call)
        chunks = sse_chunks(
            call, asked, assembler, lambda deadline: self._send(made, call, asked, deadline), _Events(assembler, asked)
        )
        return ChatStream(chunks, assembler, finish=call.checked_once)

    def close(self) -> None:
        self._door.close()
        self._downloader.close()

    def _plain(self, call: Call, turns: list[dict[str, Any]]) -> ChatResult:
        made = self._made(call, turns, stream=False)
        asked = self._asked(call)

        def attempt(deadline: Deadline) -> ChatResult:
            reply = self._send(made, call, asked, deadline)
            body = json_of(asked, body_of(asked, reply, deadline), reply.headers)
            assembler = self._assembler(call, made)
            assembler.request_id = request_id_of(reply.headers, body=body)
            from_reply(body, assembler)
            _blocked(assembler, asked)
            return settled(assembler)

        return call.options.policy.run(attempt, call.deadline)[0]

    def _send(self, made: Made, call: Call, asked: Asked, deadline: Deadline) -> Reply:
        return self._door.post("/chat/completions", made.body, asked=asked, deadline=deadline, headers=call.headers)

    def _asked(self, call: Call) -> Asked:
        return Asked(self.name, call.model, judge=self.vendor.judge, secrets=self._door.secrets)

    def _assembler(self, call: Call, made: Made) -> Assembler:
        assembler = Assembler(provider=self.name, model=call.model, schemas=call.schemas)
        assembler.warnings = list(made.warnings)
        return assembler

    def _made(self, call: Call, turns: list[dict[str, Any]], *, stream: bool) -> Made:
        if not call.model:
            raise ConfigurationError("model is missing: openai_compat has no default, pass model=")
        return to_body(call, turns, self.vendor, stream=stream, fetch=lambda url: self._image(url, call.deadline))

    def _image(self, url: str, deadline: Deadline) -> str:
        try:
            data = self._downloader.fetch(url, timeout=min(deadline.left(), 60)).data
        except DownloadError as error:
            raise InvalidInputError(f"the picture of a message cannot be fetched: {error}") from error
        kind = sniff.mime_type(data)
        if not kind:
            raise InvalidInputError(f"the picture of a message is none: {len(data)} bytes came from its address")
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def from_reply(body: Mapping[str, Any], assembler: Assembler) -> None:
    """
    Read a whole ``chat.completion`` of any vendor into the assembler.

    Content as text or list of parts, ``reasoning_content`` or ``reasoning``, calls or the legacy ``function_call``, usage at
    the top or inside of the choice.
    """
    assembler.raw = dict(body)
    _head(body, assembler)
    choice = _first(body.get("choices"))
    message = choice.get("message")
    if isinstance(message, dict):
        _take(message, assembler)
    elif choice:
        assembler.oddities.append(f"a choice without a message ({type(message).__name__})")
    _tail(body, choice, assembler)


def _first(choices: Any) -> Mapping[str, Any]:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _head(body: Mapping[str, Any], assembler: Assembler) -> None:
    mark, model = body.get("id"), body.get("model")
    if not assembler.id and isinstance(mark, str):
        assembler.id = mark
    if not assembler.reply_model and isinstance(model, str):
        assembler.reply_model = model


def _take(message: dict[str, Any], assembler: Assembler) -> ChatChunk | None:
    """Read a message or a delta; gives back the chunk it makes, or None when there is nothing in it."""
    text = message.get("content")
    if text is None:
        text = ""
    elif not isinstance(text, str):
        assembler.expect(text, list, "content")
        text = _parts(text)
    reasoning = message.get("reasoning_content")
    if not isinstance(reasoning, str) or not reasoning:
        reasoning = message.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, str) else ""
    if text:
        assembler.content.append(text)
    if reasoning:
        assembler.reasoning.append(reasoning)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        assembler.refusal.append(refusal)
    deltas = []
    calls = message.get("tool_calls")
    if calls is not None:
        assembler.expect(calls, list, "tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                function = call.get("function")
                function = function if isinstance(function, dict) else {}
                extra = call.get("extra_content")
                deltas.append(
                    assembler.fragment(
                        index=call.get("index"), id=call.get("id"), name=function.get("name"),
                        arguments=function.get("arguments"), extra=extra if isinstance(extra, dict) else None,
                    )
                )  # fmt: skip
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and not calls:
        deltas.append(assembler.fragment(index=0, name=legacy.get("name"), arguments=legacy.get("arguments")))
    if text or reasoning or deltas:
        return ChatChunk(text, reasoning, deltas)
    return None


def _parts(content: Any) -> str:
    if not isinstance(content, list):
        return ""
    texts = (
        part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else "" for part in content
    )
    return "".join(text for text in texts if isinstance(text, str))


def _tail(body: Mapping[str, Any], choice: Mapping[str, Any], assembler: Assembler) -> tuple[str | None, Usage | None]:
    reason = choice.get("finish_reason")
    reason = reason if isinstance(reason, str) and reason else None
    if reason:
        assembler.finish_reason = reason
    usage = usage_of(body.get("usage") or choice.get("usage"))
    if usage:
        assembler.usage = usage
    return reason, usage


def usage_of(value: Any) -> Usage | None:
    """Tokens from OpenAI's shape and its neighbours', or None."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = count(value, "prompt_tokens"), count(value, "completion_tokens")
    details, more = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    cached = count(details, "cached_tokens") or count(value, "prompt_cache_hit_tokens") or count(value, "cached_tokens")
    return Usage(prompt, completion, prompt + completion, cached, count(more, "reasoning_tokens"))


def _blocked(assembler: Assembler, asked: Asked) -> None:
    """A blocked answer without any text is an error."""
    if assembler.finish_reason in ("content_filter", "sensitive") and not (assembler.content or assembler.calls):
        raise ContentFilterError(
            f"{asked.provider} blocked the answer: {assembler.finish_reason}", reason=assembler.finish_reason,
            code=assembler.finish_reason, provider=asked.provider, model=asked.model, request_id=assembler.request_id,
            status_code=200, billed="unknown", body=assembler.raw,
        )  # fmt: skip


class _Events:
    """One streamed answer of this dialect, read event by event into the assembler."""

    def __init__(self, assembler: Assembler, asked: Asked) -> None:
        self._assembler = assembler
        self._asked = asked

    def event(self, event: Any) -> ChatChunk | None:
        assembler = self._assembler
        if not isinstance(event, dict):
            raise cut_off(assembler, f"an event is no object but {type(event).__name__}")
        if event.get("error"):
            cause = error_from_body(self._asked, event, status=200, headers={})
            raise cut_off(assembler, str(cause)) from cause
        if not assembler.id:
            _head(event, assembler)
        choices = event.get("choices")
        choice = _first(choices)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message") if isinstance(choice.get("message"), dict) else None
        chunk = _take(delta, assembler) if delta else None
        if choice.get("finish_reason") or event.get("usage") or choice.get("usage"):
            reason, usage = _tail(event, choice, assembler)
            if reason or usage:
                chunk = chunk or ChatChunk()
                chunk.finish_reason, chunk.usage = reason_of(reason) if reason else None, usage
        return chunk

    def whole(self, body: dict[str, Any]) -> Iterator[ChatChunk]:
        """A back end that answers a stream request with a whole reply."""
        assembler = self._assembler
        from_reply(body, assembler)
        _blocked(assembler, self._asked)
        result = settled(assembler)
        assembler.finish_reason = result.finish_reason
        pieces = ChatChunk(result.content, result.reasoning_content, [], result.finish_reason, assembler.usage)
        for index, call in enumerate(result.tool_calls):
            pieces.tool_calls.append(ToolCallDelta(index, call.id, call.name, call.arguments))
        yield pieces

    def end(self) -> None:
        _blocked(self._assembler, self._asked)
