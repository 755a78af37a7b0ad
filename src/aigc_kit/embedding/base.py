"""What an embedding provider is, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aigc_kit.errors import UnsupportedFeatureError
from aigc_kit.transport.rate_limits import rate_limits

if TYPE_CHECKING:
    from aigc_kit.prices import Cost


@dataclass(slots=True)
class EmbeddingUsage:
    """Tokens of all requests of a call together, 0 where the vendor says nothing."""

    prompt_tokens: int = 0
    total_tokens: int = 0

    def add(self, other: EmbeddingUsage) -> None:
        self.prompt_tokens += other.prompt_tokens
        self.total_tokens += other.total_tokens


@dataclass
class EmbeddingResult:
    """
    One vector for each text, in the order of the texts.

    ``vectors``: lists of floats, or with ``as_numpy=True`` a float32 array of shape
    ``(len(texts), dimensions)``. Only in ``error.result`` may one be None: that text has no vector
    yet; ``missing`` has its place.
    ``model``: as the vendor names it, else as it was asked. ``request_ids``: of the requests that
    gave the vectors, in the order of the texts. ``attempts``: how often anything was sent.
    ``headers``: of the last response, lower-case names. ``warnings``: what was changed or could not
    be honoured. ``base_url``: of the vendor; prices differ by its region.
    """

    vectors: Any = field(default_factory=list[Any], repr=False)
    dimensions: int = 0
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    model: str = ""
    provider: str = ""
    request_ids: list[str] = field(default_factory=list[str])
    attempts: int = 0
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    base_url: str = field(default="", repr=False)
    spent: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]], repr=False)
    """(model, tokens) of each request."""

    @property
    def cost(self) -> Cost | None:
        """
        ``{"amount", "currency", "source", "as_of"}``; ``.amount`` is exact. None where the price or
        the usage of a request is not known. See ``aigc_kit.prices``.
        """
        if not self.spent:
            return _cost(self)
        from aigc_kit.prices import cost_of_tokens, summed  # a table that few programs read

        return summed(
            cost_of_tokens(
                self.provider, model or self.model, prompt=tokens, base_url=self.base_url
            )
            for model, tokens in self.spent
        )

    @property
    def missing(self) -> list[int]:
        """The places of the texts that have no vector; empty in a result that was returned."""
        return [place for place, vector in enumerate(self.vectors) if vector is None]

    @property
    def request_id(self) -> str:
        """The vendor's id of the first request."""
        return self.request_ids[0] if self.request_ids else ""

    @property
    def rate_limits(self) -> dict[str, float]:
        """What the last response's ``x-ratelimit-*`` headers say; see ``ChatResult.rate_limits``."""
        return rate_limits(self.headers)

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """
    A document and how well it answers the query.

    ``index``: its place in ``documents``. ``score``: higher is better; scores of different models
    are not comparable.
    """

    index: int
    score: float
    document: str


@dataclass
class RerankResult:
    """Documents, the best first; ``top_n`` of them at most. Other fields: see ``EmbeddingResult``."""

    results: list[RankedDocument] = field(default_factory=list[RankedDocument])
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    model: str = ""
    provider: str = ""
    request_id: str = ""
    attempts: int = 0
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    base_url: str = field(default="", repr=False)

    @property
    def cost(self) -> Cost | None:
        """
        ``{"amount", "currency", "source", "as_of"}``; ``.amount`` is exact. None where the price or
        the usage is not known. See ``aigc_kit.prices``.
        """
        return _cost(self)

    def __len__(self) -> int:
        return len(self.results)


def _cost(result: EmbeddingResult | RerankResult) -> Cost | None:
    from aigc_kit.prices import cost_of_tokens  # a table that few programs read

    spent = max(result.usage.prompt_tokens, result.usage.total_tokens)
    return cost_of_tokens(result.provider, result.model, prompt=spent, base_url=result.base_url)


class EmbeddingProvider(ABC):
    """
    One wire dialect. Subclass it for a vendor that speaks its own.

    Methods are called from several threads, with the keywords that were given to the client's.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The registry's name."""

    @abstractmethod
    def embed(self, texts: Sequence[str], **kwargs: Any) -> EmbeddingResult:
        """One vector for each text, in order."""

    def rerank(self, query: str, documents: Sequence[str], **kwargs: Any) -> RerankResult:
        """
        The documents by how well they answer the query.

        Raises:
            UnsupportedFeatureError: the vendor has no rerank; nothing was sent.
        """
        raise UnsupportedFeatureError(
            f"{self.name} has no rerank; dashscope, glm, siliconflow, bedrock and openai_compat have it"
        )

    def close(self) -> None:  # noqa: B027 - a provider may have nothing to close
        """Give connections back."""


def tokens(holder: Any, *names: str) -> int:
    """The first of these fields that is a number of tokens; 0 where none makes sense."""
    if not isinstance(holder, dict):
        return 0
    for name in names:
        value = holder.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e15:
            return int(value)
    return 0


def warning(feature: str, details: str) -> dict[str, str]:
    return {"feature": feature, "details": details}
