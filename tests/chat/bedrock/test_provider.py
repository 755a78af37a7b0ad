"""Bedrock: what leaves for each family, errors in AWS's words, and streams that break."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser
from botocore.session import Session
from urllib3 import HTTPResponse

from aigc_kit import ChatClient, errors
from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.bedrock.response import ConverseReader
from aigc_kit.chat.bedrock.schema import narrowed
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.bedrock import frame
from aigc_kit.transport import bedrock_sdk
from aigc_kit.transport.failures import RequestContext
from tests.vendor import Vendor, ask, block_delta, converse_stream
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, body_of, http, timeout_for

ASK = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "", "parameters": {"properties": {}}},
}
OK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
    "stopReason": "end_turn",
    "usage": {},
}
CLAUDE = "global.anthropic.claude-sonnet-4-6"


def client(wire: Wire, **options: Any) -> ChatClient:
    base = {
        "region": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
        "base_url": wire.url,
    }
    return ChatClient("bedrock", **{**base, "timeout": AMPLE, "max_retries": 0, **options})


def sent(
    wire: Wire, model: str, messages: Any = ASK, **options: Any
) -> tuple[dict[str, Any], list[str]]:
    wire.scripts[:] = [(http(200, OK),)]
    with client(wire, model=model) as chat:
        result = chat.chat(messages, **options)
    return body_of(wire.requests[-1]), [entry["feature"] for entry in result.warnings]


def test_the_request(wire: Wire) -> None:
    """The model in the path, system apart, limits under Converse's names."""
    messages = [{"role": "system", "content": "a"}, *ASK, {"role": "developer", "content": "b"}]
    body, warnings = sent(
        wire, "amazon.nova-lite-v1:0", messages, max_tokens=5, temperature=0.5, stop="x", top_k=3
    )
    assert wire.requests[0].startswith(b"POST /model/amazon.nova-lite-v1%3A0/converse HTTP/1.1")
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": [{"text": "a"}, {"text": "b"}],
        "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["x"]},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 3}},
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("model", "options", "expected", "warned"),
    [
        (CLAUDE, {"temperature": 1.5}, {"inferenceConfig": {"temperature": 1}}, ["temperature"]),
        (
            CLAUDE,
            {"temperature": 0.5, "top_p": 0.5},
            {"inferenceConfig": {"temperature": 0.5}},
            ["top_p"],
        ),
        ("global.anthropic.claude-opus-4-8", {"temperature": 0.5}, {}, ["temperature"]),
        (CLAUDE, {"seed": 1}, {}, ["seed"]),
        (
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 20000}},
            {
                "additionalModelRequestFields": {
                    "thinking": {"type": "adaptive"},
                    "output_config": {"effort": "high"},
                },
                "inferenceConfig": {"maxTokens": 24096},
            },
            ["thinking"],
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0.5},
            {
                "inferenceConfig": {"maxTokens": 6096},
                "additionalModelRequestFields": {
                    "thinking": {"type": "enabled", "budget_tokens": 2000}
                },
            },
            ["max_tokens", "temperature"],
        ),
        (
            "global.anthropic.claude-sonnet-5-5",
            {"thinking": {"type": "disabled"}},
            {"additionalModelRequestFields": {"thinking": {"type": "between_tools"}}},
            ["thinking"],
        ),
        (
            "amazon.nova-2-lite-v1:0",
            {"thinking": {"type": "enabled"}},
            {
                "additionalModelRequestFields": {
                    "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}
                }
            },
            [],
        ),
        ("us.meta.llama4-x", {"thinking": {"type": "enabled"}}, {}, ["thinking"]),
        (
            CLAUDE,
            {"tools": [TOOL]},
            {
                "toolConfig": {
                    "tools": [
                        {
                            "toolSpec": {
                                "name": "f",
                                "inputSchema": {"json": {"type": "object", "properties": {}}},
                            }
                        }
                    ]
                }
            },
            [],
        ),
        (CLAUDE, {"tools": [TOOL], "tool_choice": "none"}, {}, []),
        (
            "us.meta.llama4-x",
            {"tools": [TOOL], "tool_choice": "required"},
            {
                "toolConfig": {
                    "tools": [
                        {
                            "toolSpec": {
                                "name": "f",
                                "inputSchema": {"json": {"type": "object", "properties": {}}},
                            }
                        }
                    ]
                }
            },
            ["tool_choice"],
        ),
    ],
)
def test_parameters_are_what_each_family_reads(
    wire: Wire, model: str, options: dict[str, Any], expected: dict[str, Any], warned: list[str]
) -> None:
    """Mapped, or left out with a warning."""
    body, warnings = sent(wire, model, **options)
    assert {name: value for name, value in body.items() if name != "messages"} == expected
    assert warnings == warned


@pytest.mark.parametrize(
    ("model", "options", "match"),
    [
        (
            "global.anthropic.claude-opus-5-5",
            {"tools": [TOOL], "tool_choice": "required"},
            "forced tool_choice",
        ),
        ("global.anthropic.claude-opus-5-5", {"thinking": {"type": "disabled"}}, "always thinks"),
        (CLAUDE, {"tools": [{"type": "web_search"}]}, "takes function tools"),
        (CLAUDE, {"tool_choice": "required"}, "needs tools"),
        (CLAUDE, {"thinking": 5}, "thinking must be"),
    ],
)
def test_what_would_be_refused_is_refused_before(
    wire: Wire, model: str, options: dict[str, Any], match: str
) -> None:
    """A clear error, and nothing is sent."""
    with client(wire, model=model) as chat, pytest.raises(ValueError, match=match):
        chat.chat(ASK, **options)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "hint"),
    [
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn’t supported.",
            errors.NotFoundError,
            "'global.'",
        ),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            errors.NotFoundError,
            "claude-sonnet-4-6",
        ),
        (
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life.",
            errors.NotFoundError,
            "claude-sonnet-4-6",
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            errors.ContextLengthExceededError,
            "",
        ),
        (400, "ValidationException", "nope", errors.BadRequestError, ""),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model",
            errors.PermissionDeniedError,
            "",
        ),
        (403, "UnrecognizedClientException", "bad token", errors.AuthenticationError, ""),
        (429, "ThrottlingException", "Too many requests", errors.RateLimitError, ""),
        (
            429,
            "ThrottlingException",
            "Too many tokens per day, please wait before trying again.",
            errors.QuotaExceededError,
            "",
        ),
        (400, "ServiceQuotaExceededException", "quota", errors.QuotaExceededError, ""),
        (404, "FTUFormNotFilled", "x", errors.PermissionDeniedError, ""),
        (
            404,
            "ResourceNotFoundException",
            "Model use case details have not been submitted for this account.",
            errors.PermissionDeniedError,
            "",
        ),
        (500, "InternalServerException", "x", errors.ServerError, ""),
        (424, "ModelErrorException", "x", errors.ServerError, ""),
        (408, "ModelTimeoutException", "x", errors.ServerError, ""),
    ],
)
def test_errors(
    wire: Wire, status: int, code: str, message: str, kind: type[Exception], hint: str
) -> None:
    """AWS's codes and words, with the request id and what to do."""
    wire.script(
        http(
            status,
            {"message": message},
            headers={"x-amzn-errortype": code, "x-amzn-requestid": "r-1"},
        )
    )
    with client(wire) as chat, pytest.raises(errors.ProviderError) as caught:
        chat.chat(ASK)
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.request_id) == (status, "r-1")
    assert hint in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", {"output": {}}, {"output": {"message": 5}}])
def test_responses_without_an_output(wire: Wire, body: Any) -> None:
    """A proxy's 200 is not a success."""
    wire.script(http(200, body))
    with client(wire) as chat, pytest.raises(errors.ProviderError):
        chat.chat(ASK)


def stream_of(*frames: bytes, length: int | None = None) -> bytes:
    """Chunked, as AWS sends it; with a ``length`` the end is missing."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
    return (
        head
        + b"".join(b"%x\r\n%b\r\n" % (len(f), f) for f in frames)
        + (b"" if length else b"0\r\n\r\n")
    )


TEXT = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "par"}})
STOP = frame("messageStop", {"stopReason": "end_turn"})


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((stream_of(TEXT),), id="clean early end"),
        pytest.param((stream_of(TEXT, length=9999), Reset), id="reset"),
        pytest.param((stream_of(TEXT, STOP[:-6]),), id="half a frame"),
        pytest.param((stream_of(TEXT, STOP[:-1] + b"!"),), id="wrong checksum"),
        pytest.param(
            (stream_of(TEXT, frame("throttlingException", {"message": "slow"}, kind="exception")),),
            id="exception",
        ),
        pytest.param(
            (stream_of(TEXT, frame("brandNewException", {"message": "x"}, kind="exception")),),
            id="unknown exception",
        ),
        pytest.param((stream_of(TEXT, length=9999), 3600.0), id="silence"),
    ],
)
def test_streams_that_break_keep_what_came(wire: Wire, script: tuple[Any, ...]) -> None:
    """Each is one typed error with the part that came; no foreign exception, no silent end."""
    wire.script(http(200, OK))
    wire.script(*script)
    timeout = timeout_for(script)
    with client(wire) as chat:
        chat.chat(ASK)  # makes the SDK's client, which the timeout is not about
        with within(timeout), pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream(ASK, timeout=timeout))
    assert caught.value.partial.content == "par"


EVENTS = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "h"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "m"}}}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2ln"}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "AAEC"}}},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "Aw=="}}},
    ),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city": "北'}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '京"}'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"text": "时"}}),
    ("brandNewEvent", {"what": [1]}),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {
            "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
            "metrics": {"latencyMs": 5},
        },
    ),
]


def test_events_read_as_botocore_reads_them() -> None:
    """Our decoding of the frames gives the same chunks and the same result as botocore's."""
    shape = (
        Session()
        .get_service_model("bedrock-runtime")
        .operation_model("ConverseStream")
        .output_shape
    )
    answers: list[Any] = []
    for ours in (True, False):
        raw = HTTPResponse(
            io.BytesIO(b"".join(frame(*event) for event in EVENTS)), preload_content=False
        )
        stream = EventStream(
            raw, shape.members["stream"], EventStreamJSONParser(), "ConverseStream"
        )
        assembler = Assembler(provider="bedrock", model="m")
        reader = ConverseReader(assembler, RequestContext("bedrock", "m"))
        # A plain iterator is what a botocore without its stream of bytes would be.
        chunks = [
            reader.event(event) for event in bedrock_sdk.events_of(stream if ours else iter(stream))
        ]
        reader.end()
        answers.append(([chunk for chunk in chunks if chunk], assembler.result()))
    assert answers[0] == answers[1]
    assert answers[0][1].message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "AAECAw=="},
    ]


@pytest.mark.parametrize(
    "passed_over",
    [
        ("ping", b""),
        ("ping", b"\xff\x00"),
        ("initial-response", b""),
        ("contentBlockStop", b""),
        ("x", b"no JSON"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_frames_that_botocore_passes_over(
    wire: Wire, passed_over: tuple[str, bytes], place: int
) -> None:
    """Unknown ones whatever is in them, known ones with nothing in them."""
    frames = [
        TEXT,
        STOP,
        frame("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
    ]
    frames.insert(place, frame(*passed_over))
    wire.script(stream_of(*frames))
    with client(wire) as chat, chat.chat_stream(ASK) as stream:
        list(stream)
    assert stream.result.content == "par"


def test_a_member_of_streams_alone(wire: Wire) -> None:
    """The model of the operation that is called decides."""
    config = {"guardrailIdentifier": "g", "guardrailVersion": "1", "streamProcessingMode": "async"}
    wire.script(stream_of(TEXT, STOP))
    with client(wire) as chat:
        list(chat.chat_stream(ASK, guardrail_config=config))
        with pytest.raises(errors.InvalidInputError, match="streamProcessingMode"):
            chat.chat(ASK, guardrail_config=config)
    assert body_of(wire.requests[0])["guardrailConfig"] == config


@pytest.mark.parametrize(
    "option",
    [
        {"guardrail_config": {"guardrailVersion": 1}},
        {"service_tier": ["fast"]},
        {"request_metadata": {"a": 1}},
    ],
    ids=str,
)
def test_fields_passed_through_are_checked_before(wire: Wire, option: dict[str, Any]) -> None:
    """By the service model, though the history is not checked by it again."""
    with (
        client(wire) as chat,
        pytest.raises(errors.InvalidInputError, match=r"Invalid type|Missing required"),
    ):
        chat.chat(ASK, **option)
    assert wire.requests == []


def test_a_long_stream_is_read_to_its_end() -> None:
    """Longer than a whole response may be: it is read piece by piece."""
    text = "x" * 60_000
    piece = block_delta(0, text=text)
    count = 17 * 1024 * 1024 // len(piece) + 1
    with Vendor(converse_stream(*[piece] * count)) as vendor:
        result = ask(vendor.client("bedrock"), stream=True)
    assert len(result.content) == count * len(text)


def test_what_is_no_event_stream(wire: Wire) -> None:
    """JSON or HTML where frames should be."""
    wire.script(http(200, b"<html>not an event stream at all, but long enough</html>"))
    with client(wire) as chat, pytest.raises(errors.ProviderError):
        list(chat.chat_stream(ASK))


def test_reasoning_and_redacted_reasoning(wire: Wire) -> None:
    """Saved block by block, replayed first and byte for byte."""
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}},
    ]
    wire.script(
        http(
            200,
            {
                **OK,
                "output": {"message": {"role": "assistant", "content": blocks}},
                "stopReason": "tool_use",
            },
        )
    )
    wire.script(http(200, OK))
    with client(wire) as chat:
        result = chat.chat(ASK, tools=[TOOL])
        stored = json.loads(json.dumps(result.message))
        chat.chat(
            [*ASK, stored, {"role": "tool", "tool_call_id": "t", "content": "1"}], tools=[TOOL]
        )
    assert (result.reasoning_content, result.tool_calls[0].arguments, result.finish_reason) == (
        "hm",
        "{}",
        "tool_calls",
    )
    assert body_of(wire.requests[1])["messages"][1]["content"] == blocks


def test_tools_of_the_history_are_described(wire: Wire) -> None:
    """Converse refuses tool turns without a toolConfig; Claude is told not to call."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]
    body, _ = sent(wire, CLAUDE, history)
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "f"
    assert body["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c", "content": [{"text": "(empty)"}]}}
    ]


def test_structured_output_natively(wire: Wire) -> None:
    """
    The schema as a text, closed, without the bounds that the grammar refuses; validated in full
    here.
    """
    schema = {
        "type": "object",
        "title": "T",
        "properties": {"title": {"type": "string"}, "n": {"type": "integer", "minimum": 3}},
        "$defs": {"x": {"type": "object", "properties": {}}},
    }
    assert narrowed(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "n": {"type": "integer"}},
        "additionalProperties": False,
        "$defs": {"x": {"type": "object", "properties": {}, "additionalProperties": False}},
    }
    low = {**OK, "output": {"message": {"role": "assistant", "content": [{"text": '{"n": 1}'}]}}}
    wire.script(http(200, low))
    with (
        client(wire, max_repairs=0) as chat,
        pytest.raises(errors.StructuredOutputError, match="minimum"),
    ):
        chat.chat(
            ASK,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        )
    config = body_of(wire.requests[0])["outputConfig"]["textFormat"]
    assert json.loads(config["structure"]["jsonSchema"]["schema"]) == narrowed(schema)


def test_ways_to_sign_in(wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """
    A bearer token, explicit keys that win over one of the environment, the machine's chain, and
    none at all.
    """
    wire.script(http(200, OK))

    def head(**options: Any) -> bytes:
        with ChatClient(
            "bedrock", region="us-east-1", base_url=wire.url, timeout=AMPLE, **options
        ) as chat:
            chat.chat(ASK, extra_headers={"X-Mine": "1"})
        return wire.requests[-1].lower()

    assert b"authorization: bearer token-1\r\n" in head(api_key="token-1")
    assert b"x-mine: 1" in head(api_key="token-1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "token-2")
    assert b"authorization: bearer token-2\r\n" in head()
    assert b"credential=a/" in head(aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert b"credential=from-env/" in head()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(errors.MissingCredentialError, match="AWS_BEARER_TOKEN_BEDROCK"):
        head()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "AWS_REGION"),
        ({"region": "x", "aws_access_key_id": "a"}, "belong together"),
        ({"region": "x", "colour": 1}, "no option"),
        (
            {"region": "x", "api_key": "a", "aws_access_key_id": "a", "aws_secret_access_key": "b"},
            "exclude",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], match: str) -> None:
    """Refused when the client is made."""
    with pytest.raises(errors.ConfigurationError, match=match):
        ChatClient("bedrock", **options)


def test_a_model_that_is_gone_or_needs_a_profile(sandbox: Sandbox) -> None:
    """The document's own model reached its end; the error names a current one or the prefix."""
    for model, hint in (
        ("anthropic.claude-sonnet-4-20250514-v1:0", "global.anthropic.claude-sonnet-4-6"),
        ("anthropic.claude-sonnet-4-6", "'us.'"),
    ):
        with (
            ChatClient("bedrock", model=model, **sandbox.chat_options("bedrock")) as chat,
            pytest.raises(errors.NotFoundError, match=hint),
        ):
            chat.chat(ASK)


def test_images_that_bedrock_cannot_take(wire: Wire) -> None:
    """Types and sizes are checked before anything is sent."""
    from tests.images import make

    for data in (make("BMP"), make("PNG", (1300, 1300), compress_level=0), b"not an image"):
        import base64

        url = "data:image/png;base64," + base64.b64encode(data).decode()
        with client(wire) as chat, pytest.raises(errors.InvalidInputError, match="image"):
            chat.chat(
                [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
            )
    assert wire.requests == []
