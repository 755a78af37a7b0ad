"""What a chat provider is, and what it returns."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from aigc_kit.errors import StructuredOutputError
from aigc_kit.media.result import ImageResult
from aigc_kit.transport.rate_limits import rate_limits

if TYPE_CHECKING:
    from aigc_kit.prices import Cost

Message = Mapping[str, Any]


@dataclass(slots=True)
class Usage:
    """
    Tokens, 0 where the vendor says nothing.

    ``prompt_tokens`` include what was read from a cache (``cached_tokens``) or written to one
    (``cache_write_tokens``, of which ``cache_write_long_tokens`` for its longer lifetime: OpenAI's 12
    hours, Claude's hour), ``completion_tokens`` include reasoning; ``total_tokens`` is their sum.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0

    def updated(self, later: Usage) -> Usage:
        """
        What a later report of the same answer adds: relays of Claude give the prompt's tokens first
        and the answer's at the end. Source: deepset-ai/haystack-core-integrations#1992.
        """
        prompt = later.prompt_tokens or self.prompt_tokens
        completion = later.completion_tokens or self.completion_tokens
        return Usage(
            prompt,
            completion,
            prompt + completion,
            later.cached_tokens or self.cached_tokens,
            later.reasoning_tokens or self.reasoning_tokens,
            later.cache_write_tokens or self.cache_write_tokens,
            later.cache_write_long_tokens or self.cache_write_long_tokens,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_write_long_tokens + other.cache_write_long_tokens,
        )


@dataclass(slots=True)
class Spent:
    """
    One request that was paid for.

    ``base_url``: prices differ by the vendor's region. ``at``: seconds since 1970 when it began.
    ``tier``: the service tier that the response names. ``reported``: the amount that a gateway
    gives with the usage. ``model``: as the response names it, ``asked``: as the request did.
    ``is_partial``: the answer has text, and the usage no tokens of it.
    """

    provider: str
    model: str
    usage: Usage
    base_url: str = ""
    at: float = field(default=0.0, compare=False)
    tier: str = ""
    reported: Any = None
    asked: str = ""
    is_partial: bool = False

    @property
    def cost(self) -> Cost | None:
        """By the model that answered, else by the one that was asked: some relays name neither."""
        return self._cost_of(self.model) or self._cost_of(self.asked)

    def _cost_of(self, model: str) -> Cost | None:
        from aigc_kit.prices import cost_of_tokens  # a table that few programs read

        used = self.usage
        if self.reported is None and (not used.prompt_tokens or self.is_partial):
            return None
        return cost_of_tokens(
            self.provider,
            model,
            prompt=used.prompt_tokens,
            completion=used.completion_tokens,
            cached=used.cached_tokens,
            written=used.cache_write_tokens,
            written_long=used.cache_write_long_tokens,
            base_url=self.base_url,
            at=datetime.fromtimestamp(self.at, UTC) if self.at else None,
            tier=self.tier,
            reported=self.reported,
        )


@dataclass(slots=True)
class ToolCall:
    """A call that the model asks for. ``arguments``: JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str

    def parse(self) -> dict[str, Any]:
        """
        The arguments as a dict.

        Raises:
            StructuredOutputError: they are not a JSON object.
        """
        try:
            value = json.loads(self.arguments)
        except (ValueError, RecursionError) as error:
            raise StructuredOutputError(
                f"the arguments of {self.name!r} are not JSON: {error}",
                content=self.arguments,
                violations=[str(error)],
            ) from None
        if not isinstance(value, dict):
            found = f"a JSON object was expected, got {type(value).__name__}"
            raise StructuredOutputError(
                f"the arguments of {self.name!r} are not a JSON object: {found}",
                content=self.arguments,
                violations=[found],
            )
        return value


@dataclass(slots=True)
class ToolCallDelta:
    """
    A piece of a call. ``index`` counts calls from 0; ``id`` and ``name`` come once; ``arguments``
    is a fragment.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ToolEvent:
    """
    A tool that ``chat_with_tools_stream`` runs.

    ``kind``: ``"start"`` before the tool runs, ``"result"`` after it. ``output``: the text that the
    model is given.
    ``error``: what went wrong, ``""`` when nothing did.
    """

    kind: Literal["start", "result"]
    call: ToolCall
    output: str = ""
    error: str = ""


@dataclass(slots=True)
class ChatChunk:
    """
    A piece of an answer as it comes.

    ``images``: whole images, each once. ``extra``: fields of this piece that have no name here
    (audio, citations, annotations), under the vendor's own names. ``tool``: set only by
    ``chat_with_tools_stream``.
    """

    delta_content: str = ""
    delta_reasoning: str = ""
    tool_calls: list[ToolCallDelta] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    images: list[ImageResult] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    tool: ToolEvent | None = None


@dataclass
class ChatResult:
    """
    An answer.

    ``message``: append it to the messages; plain JSON with everything the vendor needs back.
    ``finish_reason``: ``stop``, ``length``, ``tool_calls``, ``content_filter``, or the vendor's own
    word in lower case. ``parsed``: what ``response_format`` asked for. ``messages``: the whole
    history (``chat_with_tools``). ``raw``: the vendor's response; for a stream, its pieces put
    together in the shape of a plain response. ``images``: images in the answer.
    ``headers``: of the response, lower-case names. ``attempts``: the vendors of a fallback that were
    asked before this one, with the outcome. ``requests``: those that were paid for.
    """

    content: str = ""
    reasoning_content: str = ""
    refusal: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    provider: str = ""
    model: str = ""
    id: str = ""
    message: dict[str, Any] = field(default_factory=dict[str, Any])
    parsed: Any | None = None
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    request_id: str = ""
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    images: list[ImageResult] = field(default_factory=list[ImageResult])
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    requests: list[Spent] = field(default_factory=list[Spent], repr=False)

    @property
    def cost(self) -> Cost | None:
        """
        What all requests of this answer cost together, repairs and the turns of a tool loop
        included: ``{"amount", "currency", "source", "as_of"}``; ``.amount`` is exact.

        None where a price or the usage is not known, and where requests are billed in several
        currencies; ``requests`` has each one's ``cost``. See ``aigc_kit.prices``.
        """
        from aigc_kit.prices import summed

        return summed(request.cost for request in self.requests)

    def _repr_markdown_(self) -> str:
        """In a notebook: the answer as markdown."""
        from aigc_kit.media.notebook import chat_markdown

        return chat_markdown(self)

    @property
    def has_tool_calls(self) -> bool:
        """Whether the model wants tools to be run before it answers."""
        return bool(self.tool_calls)

    @property
    def rate_limits(self) -> dict[str, float]:
        """
        What the response's ``x-ratelimit-*`` headers say, e.g.
        ``{"remaining_requests": 59, "reset_requests": 1.5}``.

        Names: ``limit``, ``remaining`` or ``reset``, and the header's own unit (``requests``,
        ``tokens``). Resets are seconds. Empty when the vendor sends none.
        """
        return rate_limits(self.headers)


class ChatProvider(ABC):
    """
    One wire dialect. Subclass it for a vendor that speaks its own.

    Methods are called from several threads, with OpenAI messages and the keywords of
    ``ChatClient.chat`` that were given; ``chat_stream`` may return any iterator of ``ChatChunk``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The registry's name."""

    @abstractmethod
    def chat(self, messages: Sequence[Message], **kwargs: Any) -> ChatResult:
        """A whole answer."""

    @abstractmethod
    def chat_stream(self, messages: Sequence[Message], **kwargs: Any) -> Iterator[ChatChunk]:
        """An answer in pieces."""

    def close(self) -> None:  # noqa: B027 - a provider may have nothing to close
        """Give connections back."""


def count(holder: Any, name: str, default: int = 0) -> int:
    """A number of tokens in a vendor's JSON: ``default`` where there is none that makes sense."""
    value = holder.get(name) if isinstance(holder, dict) else None
    if value is None:
        return default
    if type(value) is int and 0 <= value < 10**15:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        return default
    return int(value)


def warning(feature: str, details: str) -> dict[str, str]:
    return {"feature": feature, "details": details}
