"""
OpenTelemetry: spans and metrics by the GenAI semantic conventions (``aigc-kit[otel]``).

The conventions are in development and left the main repository in 2026, so their names are written
down here. Source: open-telemetry/semantic-conventions-genai, opentelemetry-util-genai 1.3b0, read
2026-11-25.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from aigc_kit import log, settings, tracing

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""``true``, ``span_only`` or ``span_and_event``: prompts and answers go into spans."""

_PROVIDERS = {
    "bedrock": "aws.bedrock",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
    "mistral": "mistral_ai",
    # Not in the conventions' list yet: semantic-conventions-genai#47.
    "dashscope": "alibaba",
    "glm": "zhipu",
}
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "reasoning_effort": "gen_ai.request.reasoning.level",
    "stream": "gen_ai.request.stream",
    "size": "aigc_kit.image.size",
    "n": "aigc_kit.image.count",
    "references": "aigc_kit.image.reference_count",
    "tool_call_id": "gen_ai.tool.call.id",
    "dimensions": "gen_ai.embeddings.dimension.count",
    "texts": "aigc_kit.embeddings.count",
    "key": "aigc_kit.storage.key",
    "bytes": "aigc_kit.storage.bytes",
}
_CLIENT = frozenset({"chat", "embeddings", "rerank", "image_generation"})
"""Operations of a vendor; all others are the application's or this package's own."""


def instrument(
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    content: bool | None = None,
) -> None:
    """
    Write spans and metrics of every call of this process from now on.

    Args:
        tracer_provider, meter_provider: unset: OpenTelemetry's global ones.
        content: whether prompts, answers and the arguments of tools go into spans; unset:
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``, else no. Images never do.
    """
    if content is None:
        content = settings.variable(CONTENT_VARIABLE).lower() in (
            "true",
            "span_only",
            "span_and_event",
        )
    tracing.watch(
        _Observer(
            trace.get_tracer("aigc_kit", tracer_provider=tracer_provider),
            metrics.get_meter("aigc_kit", meter_provider=meter_provider),
            content=content,
        )
    )


def uninstrument() -> None:
    """Watch nothing any more."""
    tracing.watch(None)


_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4.0**power for power in range(14)]
_FIRST_SECONDS = [
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
]
"""Bounds of the conventions' histograms: without them all chats of less than five seconds are one."""


class _Observer:
    def __init__(self, tracer: Any, meter: Any, *, content: bool) -> None:
        self.tracer = tracer
        self.content = content
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of an operation.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens that were used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time until the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=_FIRST_SECONDS,
        )

    def span(
        self, operation: str, provider: Any, model: str, facts: Mapping[str, Any], messages: Any
    ) -> _Span:
        return _Span(self, operation, provider, model, facts, messages)


class _Span:
    """One OpenTelemetry span and its metrics."""

    def __init__(
        self,
        observer: _Observer,
        operation: str,
        provider: Any,
        model: str,
        facts: Mapping[str, Any],
        messages: Any,
    ) -> None:
        self._observer = observer
        self._started = time.monotonic()
        own = {"gen_ai.operation.name": operation} if "." not in operation else {}
        if provider is not None:
            own["gen_ai.provider.name"] = _provider_name(provider)
        if operation == "execute_tool":
            own |= {"gen_ai.tool.name": model, "gen_ai.tool.type": "function"}
        elif model:
            own["gen_ai.request.model"] = model
        if operation == "image_generation":
            own["gen_ai.output.type"] = "image"
        self._labels = dict(own)
        attributes = {**own, **_place(provider), **_parameters(facts)}
        name = f"{operation} {model}" if model else operation
        kind = SpanKind.CLIENT if operation in _CLIENT else SpanKind.INTERNAL
        self._span = observer.tracer.start_span(
            name if "." not in operation else f"aigc_kit.{operation}",
            kind=kind,
            attributes=attributes,
        )
        self._is_call = operation in _CLIENT
        self._current: Any = None
        if observer.content and messages is not None:
            self._content("gen_ai.input.messages", _messages(messages))

    def __enter__(self) -> Self:
        self._current = trace.use_span(
            self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        )
        self._current.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace_back: Any) -> None:
        self._current.__exit__(None, None, None)
        if error is not None:
            self.failed(error)
        self.end()

    def told(self, result: Any) -> None:
        for name, value in _answerer_of(result).items():  # the tokens are those of who answered
            self._span.set_attribute(name, value)
            self._labels[name] = value
        for name, value in _facts_of(result).items():
            self._span.set_attribute(name, value)
        usage = getattr(result, "usage", None)
        for kind, count in (("input", _input(usage)), ("output", _output(usage))):
            if count:
                self._observer.tokens.record(count, {**self._labels, "gen_ai.token.type": kind})
        if self._observer.content and hasattr(result, "content"):
            self._content("gen_ai.output.messages", _answer(result))

    def first_chunk(self) -> None:
        seconds = time.monotonic() - self._started
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
        self._observer.first_chunk.record(seconds, self._labels)

    def failed(self, error: BaseException) -> None:
        """The message is left out: a vendor's may repeat the prompt."""
        self._labels["error.type"] = type(error).__name__
        self._span.set_attribute("error.type", type(error).__name__)
        self._span.set_status(Status(StatusCode.ERROR, log.named(error)))
        facts = {
            "aigc_kit.billed": getattr(error, "billed", None),
            "aigc_kit.attempts": getattr(error, "tries", None),
            "http.response.status_code": getattr(error, "status_code", None),
            "aigc_kit.request_id": getattr(error, "request_id", None),
            **_cost(getattr(error, "cost", None)),
        }
        for name, value in facts.items():
            if value:
                self._span.set_attribute(name, value)

    def end(self) -> None:
        if self._is_call:
            self._observer.duration.record(time.monotonic() - self._started, self._labels)
        self._span.end()

    def _content(self, name: str, value: Any) -> None:
        self._span.set_attribute(name, json.dumps(value, ensure_ascii=False, default=str))


def _provider_name(provider: Any) -> str:
    name = str(getattr(provider, "name", "") or "")
    if name == "gemini":
        return "gcp.gemini" if getattr(provider, "is_developer_api", False) else "gcp.vertex_ai"
    if name == "openai" and "azure.com" in str(getattr(provider, "base_url", "")):
        return "azure.ai.openai"
    return _PROVIDERS.get(name, name)


def _place(provider: Any) -> dict[str, Any]:
    url = urlsplit(str(getattr(provider, "base_url", "") or ""))
    if not url.hostname:
        return {}
    default = 443 if url.scheme == "https" else 80
    return {"server.address": url.hostname, "server.port": url.port or default}


def _parameters(facts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        _PARAMETERS[name]: value
        for name, value in facts.items()
        if name in _PARAMETERS and isinstance(value, (str, int, float))
    }
    stop = facts.get("stop")
    sequences = [stop] if isinstance(stop, str) else _listed(stop)
    if sequences:
        found["gen_ai.request.stop_sequences"] = [str(each) for each in sequences]
    return found


def _listed(value: Any) -> Sequence[Any]:
    """
    A list, or nothing of it: a span begins before the call is checked, and the error of a bad call
    is the same with and without an observer.
    """
    return value if isinstance(value, (list, tuple)) else ()


def _answerer_of(result: Any) -> dict[str, str]:
    """Who answered in the place of who was asked first; nothing where that is the same."""
    images = getattr(result, "images", None)
    first = images[0] if isinstance(images, list) and images else result
    known = getattr(first, "metadata", None)
    attempts = getattr(result, "attempts", None) or (known or {}).get("attempts")
    provider = str(getattr(first, "provider", "") or "")
    asked = [entry.get("provider") for entry in _listed(attempts) if isinstance(entry, dict)]
    if not provider or not asked or asked[0] == provider:
        return {}
    model = str((known or {}).get("model") or getattr(result, "model", "") or "")
    return {
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        **({"gen_ai.request.model": model} if model else {}),
    }


def _facts_of(result: Any) -> dict[str, Any]:
    """The attributes of a response, of whatever wing it is."""
    images = getattr(result, "images", None)
    first = images[0] if isinstance(images, list) and images else None
    known = getattr(first, "metadata", None) or {}
    usage = getattr(result, "usage", None)
    reason = getattr(result, "finish_reason", "")
    found = {
        "gen_ai.response.id": getattr(result, "id", ""),
        "gen_ai.response.model": getattr(result, "model", "") or known.get("model"),
        "gen_ai.response.finish_reasons": [reason] if reason else None,
        "gen_ai.usage.input_tokens": _input(usage),
        "gen_ai.usage.output_tokens": _output(usage),
        "gen_ai.usage.cache_read.input_tokens": getattr(usage, "cached_tokens", 0),
        "gen_ai.usage.cache_write.input_tokens": getattr(usage, "cache_write_tokens", 0),
        "gen_ai.usage.reasoning.output_tokens": getattr(usage, "reasoning_tokens", 0),
        "aigc_kit.request_id": getattr(result, "request_id", "") or known.get("request_id"),
        "aigc_kit.attempts": _attempts(result),
        "aigc_kit.warnings": len(getattr(result, "warnings", ()) or known.get("warnings", ())),
    }
    if first is not None and not hasattr(result, "content"):
        found["aigc_kit.image.delivered"] = len(images or ())
        found["aigc_kit.billed"] = "yes" if first.cost is not None else None
        found |= _cost(first.cost)
    else:
        found |= _cost(getattr(result, "cost", None))
    return {name: value for name, value in found.items() if value}


def _attempts(result: Any) -> int | None:
    told = getattr(result, "attempts", None)
    return told if isinstance(told, int) else len(told) + 1 if isinstance(told, list) else None


def _input(usage: Any) -> int:
    return int(getattr(usage, "prompt_tokens", 0) or 0)


def _output(usage: Any) -> int:
    return int(getattr(usage, "completion_tokens", 0) or 0)


def _cost(cost: Any) -> dict[str, Any]:
    if cost is None:
        return {}
    found = {"aigc_kit.cost.amount": cost["amount"], "aigc_kit.cost.currency": cost["currency"]}
    return {**found, **({"aigc_kit.cost.upper_bound": True} if cost.get("upper_bound") else {})}


def _messages(messages: Any) -> list[dict[str, Any]]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return [_message(each) for each in _listed(messages) if isinstance(each, Mapping)]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        told = {
            "type": "tool_call_response",
            "id": message.get("tool_call_id"),
            "response": message.get("content"),
        }
        return {"role": "tool", "parts": [told]}
    parts = _parts(message.get("content"))
    for call in _listed(message.get("tool_calls")):
        known = call if isinstance(call, Mapping) else {}
        function = known.get("function")
        named = function if isinstance(function, Mapping) else {}
        parts.append(
            {
                "type": "tool_call",
                "id": known.get("id"),
                "name": named.get("name"),
                "arguments": named.get("arguments"),
            }
        )
    return {"role": message.get("role"), "parts": parts}


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    return [_part(part) for part in _listed(content)]


def _part(part: Any) -> dict[str, Any]:
    """Of media only what it is: no image goes into a span."""
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    kind = str(part.get("type", "")) if isinstance(part, Mapping) else type(part).__name__
    return {"type": "blob", "modality": kind.removesuffix("_url")}


def _answer(result: Any) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if result.reasoning_content:
        parts.append({"type": "reasoning", "content": result.reasoning_content})
    parts += _parts(result.content)
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call in result.tool_calls
    ]
    return [{"role": "assistant", "parts": parts, "finish_reason": result.finish_reason}]
