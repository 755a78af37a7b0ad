"""Gemini's embedding models on the Developer API or Vertex AI, through google-genai."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aigc_kit import settings
from aigc_kit.client import Rebuilt, constructor
from aigc_kit.embedding.base import EmbeddingProvider, EmbeddingResult, EmbeddingUsage, tokens
from aigc_kit.embedding.batches import Part, embed_all, in_order
from aigc_kit.embedding.call import CONCURRENCY, Call, CallOptions, check_encoding
from aigc_kit.embedding.rows import GEMINI, TASKS, TASKS_IN_TEXT, VERTEX, Model, model_of
from aigc_kit.errors import ConfigurationError
from aigc_kit.transport import codes
from aigc_kit.transport.answers import answer_of
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.genai_sdk import GenaiTransport
from aigc_kit.transport.google_auth import GenaiSettings

MODEL = "gemini-embedding-001"

_FIELDS = frozenset({"task_type", "title", "mime_type", "auto_truncate"})
"""Options of a call that ``EmbedContentConfig`` has."""


class GeminiProvider(Rebuilt, EmbeddingProvider):
    """Gemini on Vertex AI (project and credentials) or the Developer API (key)."""

    @constructor
    def __init__(
        self,
        *,
        api_key: Any = None,
        model: str | None = None,
        dimensions: int | None = None,
        base_url: str | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        vertexai: bool | None = None,
        api_version: str | None = None,
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
            api_key, project, location, credentials, vertexai, api_version: as in
                ``ChatClient("gemini")``.
            model: unset: ``GEMINI_EMBEDDING_MODEL``, then ``gemini-embedding-001``.
            timeout: seconds for one call, all requests and retries included; unset:
                ``GEMINI_TIMEOUT_SECS``, then 600.

        Raises:
            ConfigurationError: an option is missing, unknown or makes no sense.
        """
        own = ["project", "location", "credentials", "vertexai", "api_version"]
        settings.reject_unknown(unknown, known=[*CallOptions.NAMES, *own], what="gemini")
        check_encoding(encoding_format, "gemini")
        self._options = CallOptions.read(
            timeout=timeout,
            max_retries=max_retries,
            batch_size=batch_size,
            concurrency=concurrency,
            dimensions=dimensions,
            family=family,
            default_headers=default_headers,
            variables=["GEMINI_TIMEOUT_SECS"],
        )
        self.model = settings.option(model, "GEMINI_EMBEDDING_MODEL", default=MODEL)
        found = GenaiSettings.found(
            project=project,
            location=location,
            credentials=credentials,
            api_key=api_key,
            base_url=base_url,
            vertexai=vertexai,
            api_version=api_version,
        )
        self._on_vertex = found.vertexai
        self._models = VERTEX if found.vertexai else GEMINI
        self._transport = GenaiTransport(found)
        self._transport.checked_model(self.model)

    @property
    def is_developer_api(self) -> bool:
        """Whether it asks the Gemini Developer API, and not Vertex AI."""
        return not self._on_vertex

    @property
    def name(self) -> str:
        return "gemini"

    def embed(self, texts: Sequence[str], **kwargs: Any) -> EmbeddingResult:
        call = Call.read(kwargs, self._options, self.model, "gemini")
        check_encoding(call.options.encoding_format, "gemini")
        facts = model_of(self._models, call.rules) or Model("")
        call.take(texts, facts)
        fields = config_of(call, facts, on_vertex=self._on_vertex)
        context = RequestContext(
            "gemini",
            call.model,
            judge=codes.google,
            secrets=(*self._transport.secrets, *call.secrets),
        )

        def ask(portion: list[str], deadline: Deadline) -> Part:
            response = self._transport.embed(
                call.model,
                told(portion, call, facts),
                fields,
                context=context,
                deadline=deadline,
                headers=call.headers,
            )
            answer = answer_of(context, response, deadline)
            part = from_response(answer.json, len(portion))
            part.request_id = answer.request_id
            part.headers = dict(answer.headers)
            return part

        return embed_all(call, facts, ask)

    def close(self) -> None:
        self._transport.close()


def config_of(call: Call, facts: Model, *, on_vertex: bool) -> dict[str, Any]:
    """
    Fields of ``EmbedContentConfig``.

    Vertex AI cuts long texts without a word unless ``auto_truncate`` is false; the Developer API has
    no such field. Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api,
    read 2026-11-25.

    Raises:
        ConfigurationError: a field that there is not.
    """
    if call.extra_body:
        raise ConfigurationError(
            f"extra_body: gemini's requests are made by its SDK; options of a call are {', '.join(sorted(_FIELDS))}"
        )
    settings.reject_unknown(call.extra, known=sorted(_FIELDS), what="gemini's embed")
    fields: dict[str, Any] = {}
    if call.dimensions is not None:
        fields["output_dimensionality"] = call.dimensions
    if facts.kinds == "task_type" and call.input_type:
        fields["task_type"] = TASKS[call.input_type]
    if on_vertex:
        fields["auto_truncate"] = False
    return fields | call.extra


def told(texts: list[str], call: Call, facts: Model) -> list[str]:
    """The texts with the task in them, for models that read it there."""
    if facts.kinds != "task in text" or not call.input_type:
        return texts
    form = TASKS_IN_TEXT[call.input_type]
    return [form.replace("{text}", text) for text in texts]


def from_response(body: dict[str, Any], count: int) -> Part:
    """
    ``embeddings`` of batchEmbedContents, ``embedding`` of embedContent, or ``predictions`` of
    predict; which one comes depends on the model and the SDK's release. They have no places: their
    order counts.
    """
    values: list[Any] = []
    spent = 0
    for entry in _entries(body):
        held = entry.get("embeddings")
        inner = held if isinstance(held, dict) else entry
        values.append(inner.get("values"))
        spent += tokens(inner.get("statistics"), "token_count", "tokenCount")
    usage = body.get("usageMetadata")
    prompt = tokens(usage, "promptTokenCount", "totalTokenCount") or spent
    total = tokens(usage, "totalTokenCount", "promptTokenCount") or spent
    found = [(None, value) for value in values]
    return Part(in_order(found, count), EmbeddingUsage(prompt, total))


def _entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    for name in ("embeddings", "predictions"):
        if isinstance(body.get(name), list):
            return [entry for entry in body[name] if isinstance(entry, dict)]
    entry = body.get("embedding")
    return [entry] if isinstance(entry, dict) else []
