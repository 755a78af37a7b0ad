"""The dialect of ``chat/completions``, and every quirk of those who speak it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc_kit import settings
from aigc_kit.chat import vendors
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message, ToolCallDelta, Usage, count, warning
from aigc_kit.chat.messages import arguments_text, chosen_tool, has_tool_turns, image_address
from aigc_kit.chat.request import Call, CallOptions, sse_chunks
from aigc_kit.chat.stream import Assembler, ChatStream, cut_off, reason_of, settled
from aigc_kit.chat.structured import Format, with_instruction
from aigc_kit.chat.vendors import ALIASES, VENDORS, Vendor
from aigc_kit.edge import Remade
from aigc_kit.errors import ConfigurationError, ContentFilterError, InvalidInputError, UnsupportedFeatureError
from aigc_kit.settings import Secret, spelled
from aigc_kit.transport import sniff
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, DownloadError
from aigc_kit.transport.exchange import Reply
from aigc_kit.transport.openai_sdk import OpenAIDoor
from aigc_kit.transport.replies import Asked, body_of, error_from_body, json_of, request_id_of

_MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_call_id", "refusal"})


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


@dataclass
class Made:
    """A finished body, and what had to be changed on the way."""

    body: dict[str, Any]
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


def to_body(
    call: Call, turns: list[dict[str, Any]], vendor: Vendor, *, stream: bool, fetch: Callable[[str], str]
) -> Made:
    """
    The JSON of ``chat/completions`` for this vendor.

    Raises:
        UnsupportedFeatureError: the vendor or model would refuse it, and nothing else means the same.
        InvalidInputError: a picture cannot be fetched.
    """
    warnings: list[dict[str, str]] = []
    given = dict(call.parameters)
    extra = dict(call.extra)
    body: dict[str, Any] = {"model": call.model}
    if call.format:
        mode = mode_of(call, vendor)
        turns = with_instruction(turns, call.format, mode=mode)
        body |= _response_format(call.format, mode, vendor)
        wanted = "json_schema" if call.format.schema is not None else "json_object"
        if mode != wanted or call.format.schema is not None:
            warnings.append(warning("response_format", f"mode {mode}" + (
                "" if mode == wanted else f": {vendor.name} does not offer {wanted} for {call.model}, so the schema is in the"
                " system prompt and the answer is validated here")))  # fmt: skip
    with_tools = bool(call.tools) or has_tool_turns(turns)
    body["messages"] = to_messages(turns, vendor, call.model, with_tools=with_tools, fetch=fetch)
    _tools(body, given, extra, call, vendor, warnings)
    _thinking(given, extra, call, vendor, warnings, bool(call.tools))
    _max_tokens(body, given, extra, vendor, warnings)
    _sampling(given, extra, call.model, vendor, warnings)
    body |= given | extra
    if stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return Made({**body, **call.extra_body}, warnings)


def mode_of(call: Call, vendor: Vendor) -> str:
    """How this model is asked for JSON."""
    if call.options.structured_mode:
        return call.options.structured_mode
    if call.format and call.format.schema is not None and vendor.matches(vendor.json_schema, call.model):
        return "json_schema"
    return "json_object"


def _response_format(wanted: Format, mode: str, vendor: Vendor) -> dict[str, Any]:
    if mode == "prompt":
        return {}
    if mode == "json_object" or wanted.schema is None:
        return {"response_format": {"type": "json_object"}}
    schema = {name: value for name, value in wanted.schema.items() if name != "$schema"}
    inner: dict[str, Any] = {"name": wanted.name, "schema": schema}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


def to_messages(
    turns: list[dict[str, Any]], vendor: Vendor, model: str, *, with_tools: bool, fetch: Callable[[str], str]
) -> list[dict[str, Any]]:
    """The history in this vendor's shape: its own state kept, a stranger's left out, padded where it is demanded."""
    echo = with_tools and vendor.matches(vendor.echo_reasoning, model)
    return [_to_message(turn, vendor, echo, fetch) for turn in turns]


def _to_message(turn: dict[str, Any], vendor: Vendor, echo: bool, fetch: Callable[[str], str]) -> dict[str, Any]:
    message = {name: value for name, value in turn.items() if name in _MESSAGE_FIELDS and value is not None}
    role = turn["role"]
    if role == "developer" and not vendor.keeps_developer:
        message["role"] = "system"
    if isinstance(turn.get("content"), (list, tuple)):
        message["content"] = [_to_part(part, vendor, fetch) for part in turn["content"]]
    if role == "tool" and not message.get("content"):
        message["content"] = vendor.empty_tool_result
    if role != "assistant":
        return message
    message.setdefault("content", "")
    if turn.get("tool_calls"):
        message["tool_calls"] = [_to_call(call, vendor) for call in turn["tool_calls"]]
    if echo:
        foreign = "thinking_blocks" in turn or (
            isinstance(turn.get("extra_content"), Mapping) and "google" in turn["extra_content"]
        )
        own = "" if foreign else turn.get("reasoning_content")
        message["reasoning_content"] = own if isinstance(own, str) and own else vendor.reasoning_pad
    return message


def _to_call(call: Mapping[str, Any], vendor: Vendor) -> dict[str, Any]:
    function = call["function"]
    made: dict[str, Any] = {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments_text(function.get("arguments"))},
    }
    if vendor.name == "openai_compat" and isinstance(call.get("extra_content"), Mapping):
        made["extra_content"] = call["extra_content"]  # Gemini's own compatible endpoint demands its signature back
    return made


def _to_part(part: Mapping[str, Any], vendor: Vendor, fetch: Callable[[str], str]) -> dict[str, Any]:
    if part["type"] != "image_url":
        return dict(part)
    image = part["image_url"]
    rest = {name: value for name, value in image.items() if name != "url"} if isinstance(image, Mapping) else {}
    url = image_address(part)
    if not vendor.image_addresses and url.startswith(("http://", "https://")):
        url = fetch(url)
    if vendor.bare_base64 and url.startswith("data:"):
        url = url.partition(",")[2]
    return {"type": "image_url", "image_url": {"url": url, **rest}}


def _tools(
    body: dict[str, Any], given: dict[str, Any], extra: dict[str, Any], call: Call, vendor: Vendor,
    warnings: list[dict[str, str]],
) -> None:  # fmt: skip
    choice = chosen_tool(call.tool_choice)
    if not call.tools:
        if choice not in ("", ":auto", ":none"):
            raise InvalidInputError(f"tool_choice {spelled(call.tool_choice)} needs tools")
        return
    if vendor.name == "openai":
        if vendor.matches(vendors.OPENAI_NO_TOOLS, call.model):
            raise UnsupportedFeatureError(
                f"{call.model} takes tools only through the Responses API; use 'gpt-6-luna' or 'gpt-6-sol' here",
                provider="openai", model=call.model,
            )  # fmt: skip
        effort = given.get("reasoning_effort", extra.get("reasoning_effort"))
        if vendor.matches(vendors.OPENAI_TOOLS_WITHOUT_EFFORT, call.model) and effort is None:
            extra["reasoning_effort"] = "none"
            warnings.append(
                warning("reasoning_effort", f"sent as 'none': {call.model} takes tools on chat completions only so")
            )
    body["tools"] = call.tools
    forced = choice not in ("", ":auto", ":none")
    if vendor.forced_choice == "auto only" and choice in (":none",):
        del body["tools"]
        warnings.append(warning("tool_choice", f"{vendor.name} knows only 'auto': for 'none' the tools were left out"))
        return
    if vendor.forced_choice == "auto only" and forced:
        warnings.append(
            warning("tool_choice", f"{vendor.name} knows only 'auto': {spelled(call.tool_choice)} was sent as 'auto'")
        )
        body["tool_choice"] = "auto"
        return
    if vendor.forced_choice == "not while thinking" and forced:
        thinking = extra.get("thinking")
        if isinstance(thinking, Mapping) and thinking.get("type") == "enabled":
            raise UnsupportedFeatureError(
                f"{vendor.name} refuses a forced tool_choice while it thinks: pass thinking={{'type': 'disabled'}}, or"
                " tool_choice='auto'", provider=vendor.name, model=call.model,
            )  # fmt: skip
        if thinking is None:
            extra["thinking"] = {"type": "disabled"}
            warnings.append(
                warning("thinking", f"switched off: {vendor.name} refuses a forced tool_choice while it thinks")
            )
    if "kimi" in vendor.forced_choice and forced and call.model.startswith(("kimi-k2.6", "kimi-k2.7")):
        raise UnsupportedFeatureError(
            f"{call.model} refuses a forced tool_choice; use 'auto' or kimi-k3", provider=vendor.name, model=call.model
        )
    if call.tool_choice is not None:
        body["tool_choice"] = call.tool_choice


def _thinking(
    given: dict[str, Any],
    extra: dict[str, Any],
    call: Call,
    vendor: Vendor,
    warnings: list[dict[str, str]],
    tools: bool,
) -> None:
    wish = extra.get("thinking")
    if wish is None or vendor.name == "openai_compat":
        return
    if not isinstance(wish, Mapping) or not isinstance(wish.get("type"), str):
        raise InvalidInputError(
            f"thinking must be {{'type': 'enabled' | 'disabled', 'budget_tokens': n}}, got {spelled(wish)}"
        )
    off, budget = wish["type"] == "disabled", wish.get("budget_tokens")
    if off and vendor.matches(vendor.always_thinks, call.model):
        raise UnsupportedFeatureError(
            f"{call.model} always thinks; use reasoning_effort='low', or another model",
            provider=vendor.name,
            model=call.model,
        )
    if vendor.thinking == "enable_thinking":
        del extra["thinking"]
        extra["enable_thinking"] = not off
        if budget is not None and not off:
            extra["thinking_budget"] = budget
        return
    if vendor.thinking == "effort":
        del extra["thinking"]
        if not vendor.matches(vendors.OPENAI_REASONING, call.model):
            if not off:
                raise UnsupportedFeatureError(f"{call.model} does not think", provider=vendor.name, model=call.model)
            return
        if "reasoning_effort" not in extra or off:
            level = "none" if off else _effort(budget)
            if tools and not off and extra.get("reasoning_effort") == "none":
                return
            extra["reasoning_effort"] = level
            warnings.append(warning("thinking", f"sent as reasoning_effort={level!r}"))
        return
    if vendor.always_thinks and vendor.matches(vendor.always_thinks, call.model):
        del extra["thinking"]
        warnings.append(warning("thinking", f"{call.model} always thinks; the switch was left out"))
    elif budget is not None:
        extra["thinking"] = {name: value for name, value in wish.items() if name != "budget_tokens"}
        warnings.append(warning("thinking", f"{vendor.name} has no budget_tokens; it was left out"))


def _effort(budget: Any) -> str:
    if not isinstance(budget, (int, float)):
        return "medium"
    return "low" if budget <= 2048 else "medium" if budget <= 12_000 else "high"


def _max_tokens(
    body: dict[str, Any], given: dict[str, Any], extra: dict[str, Any], vendor: Vendor, warnings: list[dict[str, str]]
) -> None:
    own = vendor.max_tokens
    other = "max_completion_tokens" if own == "max_tokens" else "max_tokens"
    limit = given.pop("max_tokens", None)
    named = extra.get(other)
    if limit is not None:
        body[own] = limit
    if named is not None and not vendor.both_max_tokens:
        del extra[other]
        if limit is None:
            body[own] = named
        warnings.append(warning(other, f"sent as {own}, which is what {vendor.name} reads"))
    if named is not None and limit is not None and vendor.both_max_tokens:
        raise InvalidInputError("max_tokens and max_completion_tokens exclude each other: pass one of them")


def _sampling(
    given: dict[str, Any], extra: dict[str, Any], model: str, vendor: Vendor, warnings: list[dict[str, str]]
) -> None:
    refused = [name for pattern, names in vendor.refused if vendor.matches(pattern, model) for name in names]
    why = f"{vendor.name} fixes it for {model}"
    reasons = extra.get("reasoning_effort") != "none" and vendor.matches(vendors.OPENAI_REASONING, model)
    if vendor.name == "openai" and reasons:
        refused, why = [*vendors.SAMPLING], f"{model} refuses it while it reasons"
    for holder in (given, extra):
        for name in refused:
            if holder.get(name) is not None:
                warnings.append(warning(name, f"{spelled(holder.pop(name))} was left out: {why}"))
        for name, (least, most) in vendor.ranges.items():
            value = holder.get(name)
            if isinstance(value, (int, float)) and not least <= value <= most:
                holder[name] = min(max(value, least), most)
                warnings.append(
                    warning(
                        name,
                        f"{spelled(value)} was sent as {spelled(holder[name])}: {vendor.name} takes {least} to {most}",
                    )
                )
        thinking = extra.get("thinking")
        thinks = not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")
        for name in vendor.ignored_while_thinking if thinks else ():
            if holder.get(name) is not None:
                warnings.append(
                    warning(
                        name,
                        f"{vendor.name} ignores it while it thinks; thinking={{'type': 'disabled'}} gives it effect",
                    )
                )


# ---- replies


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
