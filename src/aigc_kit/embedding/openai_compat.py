"""Vendors over HTTP with a bearer token: OpenAI's ``/embeddings``, and the forms that are near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.embedding import ranking
from aigc_kit.embedding.base import EmbeddingProvider, EmbeddingResult, RerankResult
from aigc_kit.embedding.batches import Part, embed_all
from aigc_kit.embedding.call import CONCURRENCY, Call, CallOptions
from aigc_kit.embedding.rows import QWEN_QUERY, ROWS, Model, model_of
from aigc_kit.embedding.wires import WIRES, Wire
from aigc_kit.embedding.wires.dashscope import NATIVE_FIELDS
from aigc_kit.embedding.wires.openai import usage_of
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.transport.answers import Answer, answer_of
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.openai_sdk import OpenAITransport
from aigc_kit.vendors import ACCOUNTS, ALIASES, is_openai_host, prefixes_of

_COMPATIBLE = "/compatible-mode/v1"
"""How DashScope's OpenAI-compatible URL ends; its other services stand beside it."""


class OpenAICompatProvider(Rebuilt, EmbeddingProvider):
    """A row of ``aigc_kit.embedding.rows``, or any ``base_url``."""

    @constructor
    def __init__(
        self,
        *,
        vendor: str = "openai_compat",
        api_key: Any = None,
        model: str | None = None,
        dimensions: int | None = None,
        base_url: str | None = None,
        region: str | None = None,
        timeout: float | None = None,
        max_retries: int = 2,
        batch_size: int | None = None,
        concurrency: int = CONCURRENCY,
        encoding_format: str | None = None,
        family: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        **unknown: Any,
    ) -> None:
        """
        Args:
            vendor: a name of ``rows.ROWS``, or an alias.
            api_key: text, pydantic's ``SecretStr`` or a function that returns the key of the
                moment; unset: the vendor's variables. ``openai_compat`` works without one.
            model: unset: ``<VENDOR>_EMBEDDING_MODEL``, then the row's.
            base_url: unset: the vendor's variable, then its own URL. ``openai_compat`` needs one.
            region: ``"intl"`` is the vendor's API outside of China.
            timeout: seconds for one call, all requests and retries included; unset:
                ``<VENDOR>_TIMEOUT_SECS``, then 600.
            encoding_format: ``"base64"`` (a third of the bytes) or ``"float"``; unset: base64 on
                OpenAI's own host, float elsewhere, where many servers refuse the other.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        settings.reject_unknown(unknown, known=[*CallOptions.NAMES, "region"], what=vendor)
        name = ALIASES.get(vendor, vendor)
        if name not in ROWS:
            raise ConfigurationError(
                f"vendor {vendor!r} has no embeddings; there are: {', '.join(ROWS)}"
            )
        self._row, account = ROWS[name], ACCOUNTS[name]
        prefixes = prefixes_of(account)
        self._options = CallOptions.read(
            timeout=timeout,
            max_retries=max_retries,
            batch_size=batch_size,
            concurrency=concurrency,
            dimensions=dimensions,
            encoding_format=encoding_format,
            family=family,
            default_headers=default_headers,
            variables=[f"{prefix}_TIMEOUT_SECS" for prefix in prefixes],
        )
        self.model = settings.option(
            model, *(f"{prefix}_EMBEDDING_MODEL" for prefix in prefixes), default=self._row.model
        )
        key = _key(api_key, account.variables, name, wanted=bool(account.base_url))
        home = settings.in_region(region, account.base_url, account.international, what=name)
        variables = () if region else account.base_url_variables
        if not home and not settings.option(base_url, *variables):
            raise ConfigurationError(
                f"{name} needs base_url, the URL of the API, e.g. 'http://localhost:8000/v1'"
            )
        url = settings.base_url(base_url, *variables, default=home)
        self.base_url = url.removesuffix("/embeddings")
        is_own = name == "openai" and is_openai_host(self.base_url)
        if self._options.encoding_format is None and self._row.base64 and is_own:
            self._options = replace(self._options, encoding_format="base64")
        self._transport = OpenAITransport(self.base_url, key, is_openai=is_own)
        self._native = OpenAITransport(self.base_url.removesuffix(_COMPATIBLE), key)

    @property
    def rerank_model(self) -> str:
        """The model of ``rerank`` where a call names none."""
        return self._row.rerank_model

    @property
    def name(self) -> str:
        return self._row.name

    def embed(self, texts: Sequence[str], **kwargs: Any) -> EmbeddingResult:
        call = Call.read(kwargs, self._options, self.model, self.name)
        facts = model_of(self._row.models, call.rules) or Model("")
        call.take(texts, facts)
        if facts.cuts_here and call.dimensions and call.dimensions != facts.size:
            call.warn("dimensions", f"vectors of {facts.size} numbers were cut and normalised here")
        if facts.kinds == "instruction" and call.input_type not in ("", "query", "document"):
            call.warn("input_type", f"{call.model} knows queries and documents only: left out")
        if facts.kinds == "text_type" and call.input_type not in ("", "query", "document"):
            call.warn("input_type", f"{call.model} has no {call.input_type!r}: sent as 'document'")
        wire = _wire_of(facts, call)

        def ask(portion: list[str], deadline: Deadline) -> Part:
            body = wire.to_body(_told(portion, call, facts), _asked(call, facts))
            answer = self._post(wire.path, body, call, deadline, native=wire.native)
            part = wire.from_response(answer.json, len(portion))
            part.request_id = answer.request_id
            part.headers = dict(answer.headers)
            return part

        return embed_all(call, facts, ask)

    def rerank(self, query: str, documents: Sequence[str], **kwargs: Any) -> RerankResult:
        if not self._row.rerank_path:
            return super().rerank(query, documents, **kwargs)
        ranking.refuse_options_of_embed(kwargs)
        query, texts, top_n = ranking.checked(query, documents, kwargs.pop("top_n", None))
        call = Call.read(
            kwargs, replace(self._options, dimensions=None), self._row.rerank_model, self.name
        )
        if not texts:
            return RerankResult(model=call.model, provider=self.name)
        body = ranking.to_body(query, texts, top_n, call)
        path = self._row.rerank_path

        def attempt(deadline: Deadline) -> Answer:
            return self._post(path, body, call, deadline, native=path.startswith("/compatible-api"))

        answer, tries = call.options.policy.run(attempt, call.deadline)
        model = answer.json.get("model")
        return RerankResult(
            ranking.from_response(answer.json, texts, top_n, call),
            usage_of(answer.json.get("usage")),
            model if isinstance(model, str) else call.model,
            self.name,
            answer.request_id,
            tries,
            call.warnings,
            dict(answer.headers),
        )

    def close(self) -> None:
        self._transport.close()
        self._native.close()

    def _post(
        self, path: str, body: dict[str, Any], call: Call, deadline: Deadline, *, native: bool
    ) -> Answer:
        transport = self._native if native else self._transport
        context = RequestContext(
            self.name,
            call.model,
            judge=self._row.judge,
            secrets=(*transport.secrets, *call.secrets),
        )
        response = transport.post(
            path, body, context=context, deadline=deadline, headers=call.headers
        )
        return answer_of(context, response, deadline)


def _key(given: Any, variables: tuple[str, ...], name: str, *, wanted: bool) -> Secret | None:
    if wanted:
        return settings.credential(given, *variables, what=f"{name}'s api_key", rotating=True)
    return settings.optional_credential(given, *variables, what="api_key", rotating=True)


def _wire_of(facts: Model, call: Call) -> Wire:
    """The model's form; DashScope's own service where only that one knows what is asked."""
    if facts.kinds == "text_type" and (call.input_type or NATIVE_FIELDS & set(call.extra)):
        return WIRES["dashscope"]
    return WIRES[facts.wire]


def _told(texts: list[str], call: Call, facts: Model) -> list[str]:
    """The texts with the instruction that a query has for some models."""
    if facts.kinds != "instruction" or call.input_type != "query":
        return texts
    return [QWEN_QUERY.format(text=text) for text in texts]


def _asked(call: Call, facts: Model) -> Call:
    """The call as it is sent: what is cut here is not asked of the vendor."""
    if not facts.cuts_here:
        return call
    return replace(call, options=replace(call.options, dimensions=None))
