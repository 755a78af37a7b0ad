"""Amazon Bedrock's embedding and rerank models: InvokeModel through boto3, a form for each maker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.embedding import ranking
from aigc_kit.embedding.base import (
    EmbeddingProvider,
    EmbeddingResult,
    EmbeddingUsage,
    RerankResult,
    tokens,
)
from aigc_kit.embedding.batches import Part, embed_all, in_order
from aigc_kit.embedding.call import CONCURRENCY, Call, CallOptions, check_encoding
from aigc_kit.embedding.rows import BEDROCK, COHERE_TYPES, NOVA_PURPOSES, model_of
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import Secret
from aigc_kit.transport.answers import json_of
from aigc_kit.transport.aws import AwsError
from aigc_kit.transport.bedrock_failures import judge, translated
from aigc_kit.transport.bedrock_sdk import opened_with
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.encoding import merged, to_json
from aigc_kit.transport.failures import RequestContext, request_id_of

MODEL = "amazon.titan-embed-text-v2:0"
RERANK_MODEL = "cohere.rerank-v3-5:0"
CURRENT_MODELS = f"{MODEL}, cohere.embed-v4:0, amazon.nova-2-multimodal-embeddings-v1:0; for rerank {RERANK_MODEL}, amazon.rerank-v1:0"

_COUNT = "x-amzn-bedrock-input-token-count"
"""Header with the tokens of a request; only Titan says them in the body too."""


class BedrockProvider(Rebuilt, EmbeddingProvider):
    """Titan, Nova and Cohere on Amazon Bedrock."""

    @constructor
    def __init__(
        self,
        *,
        api_key: Any = None,
        model: str | None = None,
        dimensions: int | None = None,
        base_url: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        aws_access_key_id: str | Secret | None = None,
        aws_secret_access_key: str | Secret | None = None,
        aws_session_token: str | Secret | None = None,
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
            api_key, region, profile, base_url and the keys: as in ``ChatClient("bedrock")``.
            model: unset: ``BEDROCK_EMBEDDING_MODEL``, then ``amazon.titan-embed-text-v2:0``.
            timeout: seconds for one call, all requests and retries included; unset:
                ``BEDROCK_TIMEOUT_SECS``, then 600.
            family: what stands behind an opaque ARN, e.g. ``"cohere.embed-v4"``.

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
        check_encoding(encoding_format, "bedrock")
        self._options = CallOptions.read(
            timeout=timeout,
            max_retries=max_retries,
            batch_size=batch_size,
            concurrency=concurrency,
            dimensions=dimensions,
            family=family,
            default_headers=default_headers,
            variables=["BEDROCK_TIMEOUT_SECS"],
        )
        self.model = settings.option(model, "BEDROCK_EMBEDDING_MODEL", default=MODEL)
        self._transport = opened_with(
            api_key=api_key,
            base_url=base_url if base_url is not None else endpoint_url,
            region=region,
            profile=profile,
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
        )

    @property
    def rerank_model(self) -> str:
        """The model of ``rerank`` where a call names none."""
        return RERANK_MODEL

    @property
    def name(self) -> str:
        return "bedrock"

    def embed(self, texts: Sequence[str], **kwargs: Any) -> EmbeddingResult:
        call = Call.read(kwargs, self._options, self.model, "bedrock")
        check_encoding(call.options.encoding_format, "bedrock")
        facts = model_of(BEDROCK, call.rules)
        if facts is None:
            raise ConfigurationError(
                f"the form of requests to {call.model!r} is not known; pass family, e.g. family='cohere.embed-v4' (known: {CURRENT_MODELS})"
            )
        call.take(texts, facts)
        form = FORMS[facts.wire]

        def ask(portion: list[str], deadline: Deadline) -> Part:
            body, headers = self._invoke(form.to_body(portion, call), call, deadline)
            return Part(
                in_order(form.vectors(body), len(portion)),
                usage_of(body, headers),
                request_id=request_id_of(headers),
                headers=headers,
            )

        return embed_all(call, facts, ask)

    def rerank(self, query: str, documents: Sequence[str], **kwargs: Any) -> RerankResult:
        ranking.refuse_options_of_embed(kwargs)
        query, texts, top_n = ranking.checked(query, documents, kwargs.pop("top_n", None))
        call = Call.read(kwargs, replace(self._options, dimensions=None), RERANK_MODEL, "bedrock")
        if not texts:
            return RerankResult(model=call.model, provider="bedrock")
        body: dict[str, Any] = {"query": query, "documents": texts, "top_n": top_n}
        if "cohere" in call.rules:
            body["api_version"] = 2
        body = merged(body | call.extra, call.extra_body)
        (answer, headers), tries = call.options.policy.run(
            lambda deadline: self._invoke(body, call, deadline), call.deadline
        )
        return RerankResult(
            ranking.from_response(answer, texts, top_n, call),
            usage_of(answer, headers),
            model=call.model,
            provider="bedrock",
            request_id=request_id_of(headers),
            attempts=tries,
            warnings=call.warnings,
            headers=headers,
        )

    def close(self) -> None:
        self._transport.close()

    def _invoke(
        self, body: dict[str, Any], call: Call, deadline: Deadline
    ) -> tuple[dict[str, Any], dict[str, str]]:
        context = RequestContext(
            "bedrock", call.model, judge=judge, secrets=(*self._transport.secrets, *call.secrets)
        )
        try:
            raw, headers = self._transport.invoke(
                call.model, to_json(body), deadline=deadline, headers=call.headers
            )
        except AwsError as error:
            failure = translated(error, context, deadline, current_models=CURRENT_MODELS)
            cause = context.without_secrets(error)
        else:
            return json_of(context, context.masked(raw), headers), headers
        # Outside of the handler: a cause that repeats a key must not come back as the context.
        raise failure from cause


def usage_of(body: dict[str, Any], headers: Mapping[str, str]) -> EmbeddingUsage:
    told = headers.get(_COUNT, "")
    is_number = told.isascii() and told.isdigit() and len(told) < 16
    spent = int(told) if is_number else tokens(body, "inputTextTokenCount")
    return EmbeddingUsage(spent, spent)


@dataclass(frozen=True)
class Form:
    """``to_body``: texts to a body. ``vectors``: (place, vector) of a response."""

    to_body: Callable[[list[str], Call], dict[str, Any]]
    vectors: Callable[[dict[str, Any]], list[tuple[Any, Any]]]


def _titan(texts: list[str], call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"inputText": texts[0], "normalize": True}
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    return merged(body | call.extra, call.extra_body)


def _titan_fixed(texts: list[str], call: Call) -> dict[str, Any]:
    return merged({"inputText": texts[0], **call.extra}, call.extra_body)


def _titan_image(texts: list[str], call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"inputText": texts[0]}
    if call.dimensions is not None:
        body["embeddingConfig"] = {"outputEmbeddingLength": call.dimensions}
    return merged(body | call.extra, call.extra_body)


def _one(body: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(None, body["embedding"])] if "embedding" in body else []


def _cohere(texts: list[str], call: Call) -> dict[str, Any]:
    """``input_type`` is obligatory; a text that is too long is refused, not cut."""
    if call.input_type == "similarity":
        call.warn("input_type", "cohere has no 'similarity': sent as 'clustering'")
    kind = COHERE_TYPES.get(call.input_type or "document", "clustering")
    body = {"texts": texts, "input_type": kind, "truncate": "NONE"}
    return merged(body | call.extra, call.extra_body)


def _cohere_v4(texts: list[str], call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"embedding_types": ["float"]}
    if call.dimensions is not None:
        body["output_dimension"] = call.dimensions
    return {**body, **_cohere(texts, call)}


def _many(body: dict[str, Any]) -> list[tuple[Any, Any]]:
    """A list, or with ``embedding_types`` an object of lists."""
    found = body.get("embeddings")
    if isinstance(found, dict):
        found = found.get("float")
    return [(None, vector) for vector in found] if isinstance(found, list) else []


def _nova(texts: list[str], call: Call) -> dict[str, Any]:
    purpose = NOVA_PURPOSES.get(call.input_type, "GENERIC_INDEX")
    if call.input_type == "similarity":
        call.warn("input_type", "nova has no 'similarity': sent as 'GENERIC_INDEX'")
    parameters: dict[str, Any] = {
        "embeddingPurpose": purpose,
        "text": {"value": texts[0], "truncationMode": "NONE"},
    }
    if call.dimensions is not None:
        parameters["embeddingDimension"] = call.dimensions
    body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": parameters}
    return merged(body | call.extra, call.extra_body)


def _named(body: dict[str, Any]) -> list[tuple[Any, Any]]:
    found = body.get("embeddings")
    entries = found if isinstance(found, list) else []
    return [(None, entry.get("embedding")) for entry in entries if isinstance(entry, dict)]


FORMS = {
    "titan": Form(_titan, _one),
    "titan fixed": Form(_titan_fixed, _one),
    "titan image": Form(_titan_image, _one),
    "cohere": Form(_cohere, _many),
    "cohere v4": Form(_cohere_v4, _many),
    "nova": Form(_nova, _named),
}
"""
By ``Model.wire``. Source: pydantic-ai 2.68 ``embeddings/bedrock.py`` and the model parameters in
docs.aws.amazon.com/bedrock, read 2026-11-25.
"""
