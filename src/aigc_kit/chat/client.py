"""``ChatClient``: the registry of providers, and one interface over them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from aigc_kit import settings, tracing
from aigc_kit.chat import chain
from aigc_kit.chat import options as names
from aigc_kit.chat import tools as loop
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.base import ChatChunk, ChatProvider, ChatResult, Message
from aigc_kit.chat.messages import narrowed
from aigc_kit.chat.streaming import ChatStream
from aigc_kit.chat.vendors import VENDORS
from aigc_kit.client import Client, constructor, public
from aigc_kit.errors import (
    ConfigurationError,
    InvalidReplyError,
    ProviderTimeoutError,
)
from aigc_kit.registry import Registry
from aigc_kit.transport.deadline import Deadline
from aigc_kit.vendors import ALIASES

ENTRY_POINTS = "aigc_kit.chat_providers"

compat_providers = {*VENDORS, *ALIASES}
"""
Names that ``OpenAICompatProvider`` serves. Add a name, and ``ChatClient(name, base_url=...)`` is a
relay of that name.
"""

_COMPAT = "aigc_kit.chat.endpoints:OpenAIProvider"

ProviderFactory = Callable[..., ChatProvider]

registry = Registry(
    "chat provider",
    ENTRY_POINTS,
    {
        "{name!r} draws but does not chat: use ImageClient({name!r})": (
            "aigc_kit.image.client:provider_names"
        )
    },
)


def register_provider(name: str, provider: ProviderFactory, *, aliases: Iterable[str] = ()) -> None:
    """
    Make ``ChatClient(name)`` build this provider. A name that exists is replaced.

    Args:
        provider: a subclass of ``ChatProvider``, or a function that makes one from the client's
            options.
    """
    _ensure_registered()
    registry.add((name, *aliases), provider)


def _ensure_registered() -> None:
    """Fill the registry with the dialects of this package. Loads none of them."""
    registry.fill(
        [
            (_compat_names(), _COMPAT),
            (("gemini", "google"), "aigc_kit.chat.gemini:GeminiProvider"),
            (("bedrock",), "aigc_kit.chat.bedrock:BedrockProvider"),
        ]
    )


def provider_names() -> dict[str, list[str]]:
    """Every provider that chats, installed ones too: name -> aliases. Loads none of them."""
    _ensure_registered()
    added = _compat_names()
    found = {
        name: sorted(alias for alias, meant in ALIASES.items() if meant == name)
        for name in sorted(added - set(ALIASES))
    }
    for name, aliases in registry.families().items():
        if name not in added:
            found[name] = aliases
    return found


def _compat_names() -> set[str]:
    return {name.lower() for name in compat_providers}


_OF_ONE = ("api_key", "base_url", "model", "profile", "family", "region")
"""Options that mean another thing for each vendor."""


def _in_a_row(items: Sequence[Any], options: dict[str, Any]) -> ChatProvider:
    """The chain of these names, (name, options) pairs and instances."""
    if not items:
        raise ConfigurationError("provider is an empty list: name at least one")
    entries: list[tuple[Any, dict[str, Any], frozenset[str]]] = []
    for item in items:
        pair = isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[1], dict)
        entry, own = (item[0], dict(item[1])) if pair else (item, {})
        if isinstance(entry, str):
            entry, colon, named = entry.partition(":")
            own |= {"model": named} if colon else {}
        entries.append((entry, own, _names_of(entry)))
    everyone = frozenset[str]().union(*(known for _, _, known in entries))
    common = {name: value for name, value in options.items() if name not in everyone}
    for name in _OF_ONE:
        if name in common and len(entries) > 1:
            example = min(entries[0][2])
            raise ConfigurationError(
                f"option {name!r} would mean another thing for each provider: say whose it is, e.g. {example}={{{name!r}: ...}}"
            )
    links: list[chain.Link] = []
    for entry, own, known in entries:
        for name in sorted(known & options.keys()):
            own = {**chain.options_under(name, options[name]), **own}
        made = _made(entry, {**common, **own}) if isinstance(entry, str) else entry
        if not isinstance(made, ChatProvider):
            raise ConfigurationError(
                f"provider must be a name or a ChatProvider, got {type(made).__name__}"
            )
        links.append(chain.Link(made, known, owned=isinstance(entry, str)))
    return chain.Chain(links, options.get("timeout"))


def _names_of(entry: Any) -> frozenset[str]:
    """The name of a provider and its aliases."""
    name = entry.strip().lower() if isinstance(entry, str) else str(getattr(entry, "name", ""))
    meant = ALIASES.get(name, name)
    aliases = [alias for alias, other in ALIASES.items() if other == meant]
    return frozenset({name, meant, *aliases})


def _made(name: str, options: dict[str, Any]) -> ChatProvider:
    _ensure_registered()
    key, added = name.strip().lower(), _compat_names()
    found = _COMPAT if key in added and key not in registry.names() else registry.get(key)
    if found == _COMPAT:
        options = {"vendor": key, **options}
    factory = registry.load(name, more=added, found=found)
    provider: ChatProvider = factory(**settings.for_factory(factory, options))
    return provider


class ChatClient(Client):
    """
    Chat with one vendor.

    Shared by threads; close it, or use it as a context manager.
    """

    provider: ChatProvider
    _log_area = "chat"

    @constructor
    def __init__(
        self,
        provider: str | ChatProvider | Sequence[Any],
        *,
        api_key: Any = None,
        model: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        **provider_options: Any,
    ) -> None:
        """
        Args:
            provider: a name, ``"name:model"``, or an instance; a list of them, or of (name,
                options), asks the next when one fails (``aigc_kit.chat.chain.NEXT_AFTER``).
                Options of one of them stand under its name: ``deepseek={"api_key": ...}``.
            api_key: text, pydantic's ``SecretStr``, or a function that returns the key of the
                moment (called for each request); unset: the vendor's variables.
            base_url: where the vendor's API is; unset: the vendor's variable, then its own URL.
            timeout: seconds for one call, tries, waits and the whole stream included; unset: the
                vendor's ``<VENDOR>_TIMEOUT_SECS`` variable, then 600.
            max_retries: how often a call is sent again after connection failures, 408, 409, 429 and
                5xx.
            provider_options: the dialect's own; all dialects know ``first_chunk_timeout`` and
                ``chunk_timeout`` (seconds), ``max_repairs`` (rounds for an answer that breaks
                ``response_format``) and ``structured_mode`` (``"json_schema"``, ``"json_object"``
                or ``"prompt"``; unset: what the model is known to take), ``default_headers`` (sent
                with every request) and ``family`` (the model's name for the rules that go by it,
                where its real name does not tell: a deployment, an ARN). OpenAI-compatible back
                    ends know ``profile``
                (a dict of the facts in ``aigc_kit.chat.vendors.Vendor``, or the name of another
                row), ``split_think_tags=True`` (``<think>`` at the head of the content becomes
                ``reasoning_content``) and ``api`` (``"chat"`` or ``"responses"``, also of a call;
                unset: what the model needs).

        Raises:
            ConfigurationError: an unknown provider, a missing credential or an option that makes no
                sense.
        """
        self._own_provider = isinstance(provider, (str, list, tuple))
        given = {"api_key": api_key, "base_url": base_url, "timeout": timeout}
        options = {
            **{name: value for name, value in given.items() if value is not None},
            **provider_options,
        }
        if max_retries != 2:
            options["max_retries"] = max_retries
        if isinstance(provider, str):
            name, colon, named_model = provider.partition(":")
            if colon and model is not None and model != named_model:
                raise ConfigurationError(
                    f"two models: {named_model!r} in the provider's name and model={model!r}"
                )
            model = model or named_model or None
            if model is not None:
                options["model"] = model
            self.provider = _made(name, options)
        elif isinstance(provider, (list, tuple)):
            if model is not None:
                options["model"] = model
            self.provider = _in_a_row(provider, options)
        else:
            if options or model is not None:
                raise ConfigurationError(
                    f"a provider instance has its options already: {', '.join([*options, 'model'][:5])}"
                )
            self.provider = provider  # type: ignore[assignment]
        if not isinstance(self.provider, ChatProvider):
            raise ConfigurationError(
                f"provider must be a name or a ChatProvider, got {type(self.provider).__name__}"
            )
        self._closed = False

    def _described(self) -> str:
        return f"ChatClient({self.provider.name!r}, model={getattr(self.provider, 'model', '')!r})"

    @public
    def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Any = None,
        tool_choice: Any = None,
        response_format: Any = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: Any = None,
        seed: int | None = None,
        timeout: float | None = None,
        extra_body: dict[str, Any] | None = None,
        extra_headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """
        A whole answer.

        Args:
            messages: OpenAI chat messages; never changed. They may hold SDK objects and results
                too; content may have bytes, paths, PIL images and ``ImageResult``.
            tools: OpenAI tools, Python functions, or pydantic models; ``tool_choice``: ``"auto"``,
                ``"none"``, ``"required"``, a named function, or ``allowed_tools``.
            response_format: OpenAI's dict, a pydantic class, or a type like ``list[Model]``; the
                value is in ``result.parsed``.
            max_tokens: tokens of the answer at most, under the name that the vendor reads.
            timeout: seconds for this call.
            kwargs: the vendor's own fields;
                ``thinking={"type": "enabled" | "disabled", "budget_tokens": n}`` is understood by
                every dialect that can think. ``extra_body`` is merged in last.

        Raises:
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed.
            StructuredOutputError: the answer breaks ``response_format`` after the last repair.
        """
        given = _given(
            model=model,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            stop=stop,
            seed=seed,
            timeout=timeout,
            extra_body=extra_body,
            extra_headers=extra_headers,
            **kwargs,
        )
        names.refuse_stream(given, "chat_stream")
        return self._whole(messages, given)

    def _whole(self, messages: Sequence[Message], given: dict[str, Any]) -> ChatResult:
        names.refuse_misspelt(given)
        given.pop("stream", None)
        with tracing.span("chat", self.provider, given.get("model"), given, messages) as span:
            result = self.provider.chat(messages, **given)
            if not isinstance(result, ChatResult):
                raise InvalidReplyError(
                    f"provider {self.provider.name!r} returned {type(result).__name__}, not a ChatResult"
                )
            span.told(result)
        return result

    @public
    def chat_stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Any = None,
        tool_choice: Any = None,
        response_format: Any = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: Any = None,
        seed: int | None = None,
        timeout: float | None = None,
        extra_body: dict[str, Any] | None = None,
        extra_headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> ChatStream:
        """
        An answer in pieces; see ``chat``. Nothing is sent before the first piece is asked for.

        Raises, while iterating:
            StreamInterruptedError: it failed after its head; ``partial`` is what was received.
            AIGCError: see ``chat``.
        """
        given = _given(
            model=model,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            stop=stop,
            seed=seed,
            timeout=timeout,
            extra_body=extra_body,
            extra_headers=extra_headers,
            **kwargs,
        )
        return self._stream(messages, given)

    def _stream(self, messages: Sequence[Message], given: dict[str, Any]) -> ChatStream:
        names.refuse_misspelt(given)
        given.pop("stream", None)
        model = given.get("model")
        stream = self.provider.chat_stream(messages, **given)
        facts = {**given, "stream": True}
        span = tracing.span("chat", self.provider, model, facts, messages)
        if isinstance(stream, ChatStream):
            return stream.watched(span)
        assembler = Assembler(
            provider=self.provider.name,
            model=str(model or getattr(self.provider, "model", "") or ""),
        )
        return ChatStream(iter(stream), assembler, feeds=True).watched(span)

    @public
    def chat_with_tools(
        self,
        messages: Sequence[Message],
        tools: Any,
        *,
        tool_executor: loop.ToolExecutor | None = None,
        max_iterations: int = 10,
        on_tool_error: str = "tell",
        **options: Any,
    ) -> ChatResult:
        """
        The answer after all the tools that the model wanted were run.

        Args:
            tools: OpenAI tools, or Python functions, which run themselves.
            tool_executor: ``(name, args_json) -> Any``; text goes back to the model as it is,
                images as images, anything else as JSON. Needed for tools that are not functions.
            max_iterations: calls of the model at most.
            on_tool_error: ``"tell"``: a tool's exception goes back to the model as
                ``{"error": ...}`` and into ``warnings``; ``"raise"``: it comes out.
            options: those of ``chat``; ``timeout`` is for the whole loop, the tools' own time
                included.

        Raises:
            ToolLoopLimitError: the limit is reached; ``messages`` and ``result`` are in it.
            OutputTruncatedError: an answer was cut in the middle of its calls.
            AIGCError: see ``chat``.
        """
        names.refuse_stream(options, "chat_with_tools_stream")
        names.refuse_misspelt(options, names.OURS + names.OF_THE_LOOP)
        checked = loop.Loop.checked(tools, tool_executor, max_iterations, on_tool_error)
        turn = _LoopTurn(self, checked.tools, options)
        return loop.run(turn.plain, messages, checked)

    @public
    def chat_with_tools_stream(
        self,
        messages: Sequence[Message],
        tools: Any,
        *,
        tool_executor: loop.ToolExecutor | None = None,
        max_iterations: int = 10,
        on_tool_error: str = "tell",
        **options: Any,
    ) -> loop.ToolLoopStream:
        """
        ``chat_with_tools`` in pieces: the chunks of all turns; ``chunk.tool`` tells when a tool
        starts and what it returned.

        Nothing is sent before the first piece is asked for. ``.result`` is the final answer, after
        the last piece.

        Raises, while iterating:
            StreamInterruptedError: a turn failed after its head.
            AIGCError: see ``chat_with_tools``.
        """
        names.refuse_misspelt(options, names.OURS + names.OF_THE_LOOP)
        checked = loop.Loop.checked(tools, tool_executor, max_iterations, on_tool_error)
        turn = _LoopTurn(self, checked.tools, options)
        return loop.ToolLoopStream(loop.turns_of(turn.streamed, messages, checked))


class _LoopTurn:
    """Asks the model once for each turn of a tool loop, within one deadline."""

    def __init__(
        self, client: ChatClient, tools: list[dict[str, Any]] | None, options: dict[str, Any]
    ) -> None:
        self._client = client
        self._options = {
            name: value for name, value in options.items() if name not in ("timeout", "tool_choice")
        }
        self._choice, self._tools = narrowed(options.get("tool_choice"), tools)
        self._timeout = options.get("timeout")
        self._deadline: Deadline | None = None
        if self._timeout is not None:
            self._deadline = Deadline.after(settings.seconds(self._timeout, default=0))

    def plain(self, turns: loop.Turns) -> Generator[ChatChunk, None, ChatResult]:
        yield from ()
        return self._client._whole(turns, self._given())

    def streamed(self, turns: loop.Turns) -> Generator[ChatChunk, None, ChatResult]:
        with self._client._stream(turns, self._given()) as stream:
            yield from stream
            return stream.result

    def _given(self) -> dict[str, Any]:
        given = _given(**self._options, tools=self._tools, tool_choice=self._choice)
        if self._choice not in ("auto", "none"):
            self._choice = None  # a forced choice is for the first turn: forced again, the model could never answer
        if self._deadline is not None:
            if self._deadline.left() <= 0:
                raise ProviderTimeoutError(
                    f"the tool loop was not over after {self._timeout} s", retryable=True
                )
            given["timeout"] = self._deadline.left()
        return given


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
