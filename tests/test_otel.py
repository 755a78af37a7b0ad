"""OpenTelemetry: what spans and metrics say, read with the SDK's in-memory exporters."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from aigc_kit import ChatClient, EmbeddingClient, ImageClient, errors, otel
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.vendor import (
    ASK,
    TOOLS,
    USAGE,
    USAGE_CHUNK,
    Vendor,
    ask,
    calling,
    completion,
    delta,
    error,
    events,
    gemini_response,
    read,
)

SECRET = "canary-4711"


class Watched:
    """What was exported."""

    def __init__(self, *, content: bool | None = None) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._meters = MeterProvider([self._metrics])
        otel.instrument(tracer_provider=tracers, meter_provider=self._meters, content=content)

    @property
    def spans(self) -> list[Any]:
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time)

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def metric(self, name: str) -> list[Any]:
        data = self._metrics.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def close(self) -> None:
        otel.uninstrument()
        self._meters.shutdown()

    @property
    def text(self) -> str:
        return "\n".join(span.to_json() for span in self.spans)


@pytest.fixture
def watched() -> Iterator[Watched]:
    seen = Watched()
    yield seen
    seen.close()


def test_a_chat_is_one_span_with_its_usage_and_cost(watched: Watched) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    with Vendor(completion("ok", usage=usage)) as vendor:
        vendor.client("deepseek", model="deepseek-flash").chat(ASK, top_p=0.5, max_tokens=9)
    [span] = watched.spans
    assert (span.name, span.kind) == ("chat deepseek-flash", SpanKind.CLIENT)
    told = dict(span.attributes)
    assert told.pop("server.port") > 0
    assert told.pop("aigc_kit.cost.amount") > 0
    assert told.pop("aigc_kit.cost.currency") == "USD"
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "deepseek",
        "gen_ai.request.model": "deepseek-flash",
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 9,
        "server.address": "127.0.0.1",
        "gen_ai.response.id": "c1",
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "aigc_kit.attempts": 1,
        "aigc_kit.warnings": 1,
    }
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in watched.metric("gen_ai.client.token.usage")
    }
    assert tokens == {"input": 100, "output": 10}
    [duration] = watched.metric("gen_ai.client.operation.duration")
    assert (duration.count, duration.attributes["gen_ai.provider.name"]) == (1, "deepseek")


@pytest.mark.parametrize(
    ("options", "name"), [({}, "gcp.vertex_ai"), ({"api_key": "k-123456"}, "gcp.gemini")]
)
def test_gemini_is_named_by_the_api_that_is_asked(
    watched: Watched, options: dict[str, Any], name: str
) -> None:
    with Vendor(gemini_response("ok")) as vendor:
        vendor.client("gemini", **options).chat(ASK)
    assert watched.spans[0].attributes["gen_ai.provider.name"] == name


def test_a_stream_is_one_span_until_its_end(watched: Watched) -> None:
    with Vendor(events(delta(content="o"), delta("stop", content="k"), USAGE_CHUNK)) as vendor:
        stream = vendor.client().chat_stream(ASK)
        next(stream)
        assert watched.spans == []
        read(stream)
    [span] = watched.spans
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.response.time_to_first_chunk"] >= 0
    assert span.attributes["gen_ai.usage.output_tokens"] == 4
    assert len(watched.metric("gen_ai.client.operation.time_to_first_chunk")) == 1


def test_a_stream_that_is_left_early_ends_its_span_once(watched: Watched) -> None:
    with Vendor(events(delta(content="a"), delta("stop"))) as vendor:
        with vendor.client().chat_stream(ASK) as stream:
            next(stream)
        stream.close()
    assert watched.names == ["chat m"]


def test_a_stream_that_is_cut_is_an_error(watched: Watched) -> None:
    cut = pytest.raises(errors.StreamInterruptedError)
    with Vendor(events(delta(content="half"), done=False)) as vendor, cut:
        ask(vendor.client(), stream=True)
    [span] = watched.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "StreamInterruptedError"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_is_its_turns_and_its_tools(watched: Watched, stream: bool) -> None:
    with Vendor(calling(), completion("done")) as vendor:
        client = vendor.client()
        if stream:
            read(client.chat_with_tools_stream(ASK, TOOLS, tool_executor=lambda name, args: "22"))
        else:
            client.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, args: "22")
    assert watched.names == ["chat m", "execute_tool get_weather", "chat m"]
    tool = watched.spans[1]
    assert tool.kind is SpanKind.INTERNAL
    assert tool.attributes["gen_ai.tool.name"] == "get_weather"
    assert tool.attributes["gen_ai.tool.call.id"] == "call_1"


def test_a_tool_that_fails_is_an_error_without_its_message(watched: Watched) -> None:
    def broken(name: str, arguments: dict[str, Any]) -> str:
        raise ValueError(SECRET)

    with Vendor(calling(), completion("done")) as vendor:
        vendor.client().chat_with_tools(ASK, TOOLS, tool_executor=broken)
    assert watched.spans[1].status.status_code is StatusCode.ERROR
    assert watched.spans[1].attributes["error.type"] == "ValueError"
    assert SECRET not in watched.text


def test_an_error_has_its_status_and_no_message(watched: Watched) -> None:
    refused = pytest.raises(errors.RateLimitError)
    with Vendor(error(429, f"no more of {SECRET}", code="limit")) as vendor, refused:
        vendor.client().chat(ASK)
    [span] = watched.spans
    assert span.status.description == "RateLimitError 429 limit"
    assert span.attributes["error.type"] == "RateLimitError"
    assert span.attributes["http.response.status_code"] == 429
    assert SECRET not in watched.text
    [duration] = watched.metric("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "RateLimitError"


def client_in(sandbox: Sandbox, folder: Path, provider: str = "gemini") -> ImageClient:
    store = LocalStorage(folder / "store", base_url="https://cdn.example.com")
    return ImageClient(
        provider,
        storage=store,
        spool_dir=folder / "spool",
        max_retries=0,
        **sandbox.image_options(provider),
    )


def test_an_image_has_spans_of_its_store_and_its_journal(
    watched: Watched, sandbox: Sandbox, tmp_path: Path
) -> None:
    with client_in(sandbox, tmp_path) as client:
        client.text_to_image(f"a cat with {SECRET}")
    assert watched.names == [
        "image_generation gemini-3-pro-image",
        "aigc_kit.journal.asked",
        "aigc_kit.journal.paid",
        "aigc_kit.storage.upload",
        "aigc_kit.journal.done",
    ]
    image, *inner = watched.spans
    assert all(span.parent.span_id == image.context.span_id for span in inner)
    told = image.attributes
    assert (told["gen_ai.output.type"], told["aigc_kit.image.delivered"]) == ("image", 1)
    assert told["aigc_kit.billed"] == "yes"
    assert told["aigc_kit.cost.currency"] == "USD"
    assert SECRET not in watched.text


def test_an_unknown_outcome_says_what_it_may_have_cost(
    watched: Watched, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.fail("close")
    unknown = pytest.raises(errors.OutcomeUnknownError)
    with client_in(sandbox, tmp_path, "volcengine") as client, unknown:
        client.text_to_image("a cat")
    told = watched.spans[0].attributes
    assert told["aigc_kit.billed"] == "unknown"
    assert (told["aigc_kit.cost.amount"], told["aigc_kit.cost.upper_bound"]) == (0.25, True)


def test_embeddings_are_a_span(watched: Watched, sandbox: Sandbox) -> None:
    with EmbeddingClient("openai", **sandbox.embedding_options("openai")) as client:
        client.embed(["a", "b"])
    [span] = watched.spans
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["aigc_kit.embeddings.count"] == 2
    assert span.attributes["gen_ai.usage.input_tokens"] > 0


@pytest.mark.parametrize(
    ("content", "variable", "shown"),
    [(None, "", False), (True, "", True), (None, "span_only", True), (False, "true", False)],
)
def test_content_is_written_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, content: bool | None, variable: str, shown: bool
) -> None:
    monkeypatch.setenv(otel.CONTENT_VARIABLE, variable)
    seen = Watched(content=content)
    try:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        asked = [{"role": "user", "content": [{"type": "text", "text": SECRET}, picture]}]
        with Vendor(completion("the answer")) as vendor:
            vendor.client().chat(asked)
        told = seen.spans[0].attributes
        assert (SECRET in seen.text) is shown
        assert "base64" not in seen.text
        if shown:
            parts = json.loads(told["gen_ai.input.messages"])[0]["parts"]
            assert parts == [
                {"type": "text", "content": SECRET},
                {"type": "blob", "modality": "image"},
            ]
            [answer] = json.loads(told["gen_ai.output.messages"])
            assert answer["parts"] == [{"type": "text", "content": "the answer"}]
            assert answer["finish_reason"] == "stop"
    finally:
        seen.close()


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for() -> None:
    script = (
        "import sys; from aigc_kit import ChatClient, ImageClient\n"
        "ChatClient('deepseek', api_key='k-123456').close()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "bad",
    [
        {"messages": [{"role": "user", "content": "hi"}], "stop": 5},
        {"messages": 5},
        {"messages": [{"role": "assistant", "tool_calls": 5}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": None}]}]},
    ],
)
def test_a_bad_call_fails_alike_whether_it_is_watched_or_not(bad: dict[str, Any]) -> None:
    with Sandbox() as box, ChatClient("deepseek", **box.chat_options("deepseek")) as client:
        with pytest.raises(errors.AIGCError) as alone:
            client.chat(**bad)
        watched = Watched(content=True)
        try:
            with pytest.raises(errors.AIGCError) as seen:
                client.chat(**bad)
        finally:
            watched.close()
    assert (seen.type, str(seen.value)) == (alone.type, str(alone.value))
    assert watched.names == ["chat deepseek-flash"]


def test_a_stream_that_is_dropped_has_a_span_with_what_is_known(watched: Watched) -> None:
    with Vendor(events(delta(content="a"), delta("stop"), USAGE_CHUNK)) as vendor:
        for _ in vendor.client().chat_stream(ASK):
            break
        gc.collect()
    [span] = watched.spans
    assert (span.name, span.attributes["aigc_kit.attempts"]) == ("chat m", 1)
    assert len(watched.metric("gen_ai.client.operation.duration")) == 1


def test_histograms_have_the_bounds_of_the_conventions(watched: Watched) -> None:
    with Vendor(completion("ok", usage=USAGE)) as vendor:
        vendor.client().chat(ASK)
    [duration] = watched.metric("gen_ai.client.operation.duration")
    assert duration.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert round(duration.explicit_bounds[-1], 2) == 81.92
    assert watched.metric("gen_ai.client.token.usage")[0].explicit_bounds[-1] == 67108864


def test_a_rerank_names_its_own_model(watched: Watched, sandbox: Sandbox) -> None:
    with EmbeddingClient("dashscope", **sandbox.chat_options("dashscope")) as client:
        result = client.rerank("q", ["a", "b"])
    [span] = watched.spans
    assert span.name == f"rerank {result.model}"
    assert "embedding" not in span.attributes["gen_ai.request.model"]


def test_tokens_are_those_of_the_vendor_that_answered(watched: Watched) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    with Vendor(error(500, "down")) as first, Vendor(completion("ok", usage=usage)) as second:
        chain = [
            (name, {"api_key": "k" * 20, "base_url": f"{vendor.url}/v1", "max_retries": 0})
            for name, vendor in (("deepseek", first), ("kimi", second))
        ]
        with ChatClient(chain) as chat:
            chat.chat(ASK)
    [span] = watched.spans
    assert span.attributes["gen_ai.provider.name"] == "moonshot_ai"
    assert span.attributes["gen_ai.request.model"] == "m"
    found = {
        point.attributes["gen_ai.provider.name"]
        for point in watched.metric("gen_ai.client.token.usage")
    }
    assert found == {"moonshot_ai"}
