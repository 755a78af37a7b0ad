"""``EmbeddingClient``: the registry of providers, and one interface over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aigc_kit import settings, tracing
from aigc_kit.client import Client, constructor, public
from aigc_kit.embedding.base import EmbeddingProvider, EmbeddingResult, RerankResult
from aigc_kit.errors import ConfigurationError, InvalidReplyError
from aigc_kit.registry import Registry
from aigc_kit.vendors import ALIASES

ENTRY_POINTS = "aigc_kit.embedding_providers"

_COMPAT = "aigc_kit.embedding.openai_compat:OpenAICompatProvider"
_COMPATIBLE = ("openai", "dashscope", "volcengine", "glm", "siliconflow", "openai_compat")
"""The rows of ``aigc_kit.embedding.rows``."""

ProviderFactory = Callable[..., EmbeddingProvider]

registry = Registry(
    "embedding provider",
    ENTRY_POINTS,
    {
        "{name!r} chats but has no embeddings: use ChatClient({name!r})": (
            "aigc_kit.chat.client:provider_names"
        )
    },
)


def register_provider(name: str, provider: ProviderFactory, *, aliases: Iterable[str] = ()) -> None:
    """
    Make ``EmbeddingClient(name)`` build this provider. A name that exists is replaced.

    Args:
        provider: a subclass of ``EmbeddingProvider``, or a function that makes one from the
            client's options.
    """
    _ensure_registered()
    registry.add((name, *aliases), provider)


def _ensure_registered() -> None:
    """Fill the registry with the dialects of this package. Loads none of them."""
    aliases = [alias for alias, name in ALIASES.items() if name in _COMPATIBLE]
    registry.fill(
        [
            ((*_COMPATIBLE, *aliases), _COMPAT),
            (("gemini", "google"), "aigc_kit.embedding.gemini:GeminiProvider"),
            (("bedrock",), "aigc_kit.embedding.bedrock:BedrockProvider"),
        ]
    )


def provider_names() -> dict[str, list[str]]:
    """Every provider of embeddings, installed ones too: name -> aliases. Loads none of them."""
    _ensure_registered()
    found = {
        name: sorted(alias for alias, meant in ALIASES.items() if meant == name)
        for name in sorted(_COMPATIBLE)
    }
    taken = {*found, *ALIASES}
    families = registry.families().items()
    return found | {name: aliases for name, aliases in families if name not in taken}


def _made(name: str, options: dict[str, Any]) -> EmbeddingProvider:
    _ensure_registered()
    key = name.strip().lower()
    found = registry.get(key)
    if found == _COMPAT:
        options = {"vendor": key, **options}
    factory = registry.load(name, found=found)
    provider: EmbeddingProvider = factory(**settings.for_factory(factory, options))
    return provider


class EmbeddingClient(Client):
    """
    Embeddings and rerank of one vendor.

    Shared by threads; close it, or use it as a context manager.
    """

    provider: EmbeddingProvider
    _log_area = "embedding"

    @constructor
    def __init__(
        self,
        provider: str | EmbeddingProvider,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        api_key: Any = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        **provider_options: Any,
    ) -> None:
        """
        Args:
            provider: a name, ``"name:model"``, or an instance.
            dimensions: numbers of a vector; unset: the model's own.
            api_key: text, pydantic's ``SecretStr``, or a function that returns the key of the
                moment (called for each request); unset: the vendor's variables.
            base_url: where the vendor's API is; unset: the vendor's variable, then its own URL.
            timeout: seconds for one call, all its requests, tries and waits included; unset: the
                vendor's ``<VENDOR>_TIMEOUT_SECS`` variable, then 600.
            max_retries: how often each request is sent again after connection failures, 408, 409,
                429 and 5xx.
            provider_options: the dialect's own; all dialects know ``batch_size`` (texts of one
                request at most; unset: what the model takes), ``concurrency`` (requests of one call
                at the same time, 1 to 64, 4 unless set), ``encoding_format`` (``"float"`` or
                ``"base64"``), ``family`` (the model's name for the rules that go by it, where its
                real name does not tell: a deployment, an ``ep-`` id, an ARN) and
                ``default_headers``.

        Raises:
            ConfigurationError: an unknown provider, a missing credential or an option that makes no
                sense.
        """
        self._own_provider = isinstance(provider, str)
        given = {
            "dimensions": dimensions,
            "api_key": api_key,
            "base_url": base_url,
            "timeout": timeout,
        }
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
        else:
            if options or model is not None:
                raise ConfigurationError(
                    f"a provider instance has its options already: {', '.join([*options, 'model'][:5])}"
                )
            self.provider = provider
        if not isinstance(self.provider, EmbeddingProvider):
            raise ConfigurationError(
                f"provider must be a name or an EmbeddingProvider, got {type(self.provider).__name__}"
            )
        self._closed = False

    def _described(self) -> str:
        model = getattr(self.provider, "model", "")
        return f"EmbeddingClient({self.provider.name!r}, model={model!r})"

    @public
    def embed(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        input_type: str | None = None,
        normalize: bool = False,
        as_numpy: bool = False,
        timeout: float | None = None,
        extra_body: dict[str, Any] | None = None,
        extra_headers: dict[str, str] | None = None,
        **options: Any,
    ) -> EmbeddingResult:
        """
        One vector for each text, in the order of the texts.

        Any number of texts: they are sent in as many requests as the vendor's limits demand, some
        at the same time. Nothing is stored and nothing is drawn, so every request may be sent again.

        Args:
            texts: none of them blank. An empty list gives an empty result and sends nothing.
            dimensions: numbers of a vector, where the model can shorten it.
            input_type: what the texts are for: ``"query"``, ``"document"``, ``"classification"``,
                ``"clustering"`` or ``"similarity"``. Each vendor gets its own word, or the task in
                the text; a model that makes no difference is a warning.
            normalize: make every vector's length 1. Shortened vectors of gemini-embedding-001 need
                it.
            as_numpy: ``vectors`` is a float32 array of shape (texts, dimensions); needs
                ``aigc-kit[numpy]``.
            timeout: seconds for this call.
            options: those of the client (``batch_size``, ``concurrency``, ``max_retries``, ...) and
                the vendor's own fields. ``extra_body`` is merged in last.

        Raises:
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed; ``result`` has the vectors that came before, with None
                for the others, ``index`` the text that is to blame, where one is.
        """
        given = _given(
            model=model,
            dimensions=dimensions,
            input_type=input_type,
            normalize=normalize or None,
            as_numpy=as_numpy or None,
            timeout=timeout,
            extra_body=extra_body,
            extra_headers=extra_headers,
            **options,
        )
        facts = {**given, "texts": len(texts) if hasattr(texts, "__len__") else None}
        with tracing.span("embeddings", self.provider, given.get("model"), facts) as span:
            result = self.provider.embed(texts, **given)
            span.told(result)
        if not isinstance(result, EmbeddingResult):
            raise InvalidReplyError(
                f"provider {self.provider.name!r} returned {type(result).__name__}, not an EmbeddingResult"
            )
        result.base_url = result.base_url or str(getattr(self.provider, "base_url", "") or "")
        return result

    @public
    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        model: str | None = None,
        timeout: float | None = None,
        extra_body: dict[str, Any] | None = None,
        extra_headers: dict[str, str] | None = None,
        **options: Any,
    ) -> RerankResult:
        """
        The documents by how well they answer the query, the best first.

        One request; documents are not split, for scores of two requests may not be comparable.

        Args:
            documents: none of them blank. An empty list gives an empty result and sends nothing.
            top_n: how many to return; unset: all.
            model: a rerank model; unset: the vendor's (the client's ``model`` is for vectors).

        Raises:
            UnsupportedFeatureError: the vendor has no rerank.
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed.
        """
        given = _given(
            top_n=top_n,
            model=model,
            timeout=timeout,
            extra_body=extra_body,
            extra_headers=extra_headers,
            **options,
        )
        asked = given.get("model") or getattr(self.provider, "rerank_model", None)
        with tracing.span("rerank", self.provider, asked, given) as span:
            result = self.provider.rerank(query, documents, **given)
            span.told(result)
        if not isinstance(result, RerankResult):
            raise InvalidReplyError(
                f"provider {self.provider.name!r} returned {type(result).__name__}, not a RerankResult"
            )
        result.base_url = result.base_url or str(getattr(self.provider, "base_url", "") or "")
        return result


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
