"""OpenAI's Responses API behind ``ChatClient``: requests, responses, streams and what is replayed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat import vendors
from aigc_kit.chat.call import Call, CallOptions
from aigc_kit.chat.responses.request import to_body
from aigc_kit.chat.wire import api_of
from aigc_kit.sandbox import Sandbox
from tests.test_contract import ASK, FORMAT, PROVIDERS, TOOLS, Person

OPENAI = "https://api.openai.com/v1"
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


@pytest.fixture
def chat(sandbox: Sandbox) -> Iterator[ChatClient]:
    with ChatClient("openai", api="responses", **sandbox.chat_options("openai")) as client:
        yield client


def call_of(messages: list[Any], model: str = "gpt-6-luna", **given: Any) -> Call:
    return Call.read(messages, given, CallOptions.read(), model, "openai")


def body_of(messages: list[Any], **given: Any) -> dict[str, Any]:
    call = call_of(messages, **given)
    return to_body(
        call, call.messages, vendors.VENDORS["openai"], stream=False, origin="responses:o@h"
    ).body


def scripted(sandbox: Sandbox, *events: dict[str, Any], tail: bytes = b"") -> None:
    text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    sandbox.answer(200, text.encode() + tail, headers={"content-type": "text/event-stream"})


def done(at: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": at, "item": item}


COMPLETED = {
    "type": "response.completed",
    "response": {"id": "r", "status": "completed", "output": []},
}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("gpt-5.2", {"tools": TOOLS}, "chat"),
        ("gpt-5.4", {"tools": TOOLS}, "chat"),
        ("gpt-5.4", {"tools": TOOLS, "reasoning_effort": "low"}, "responses"),
        ("gpt-5.5", {"tools": TOOLS}, "responses"),
        ("gpt-6-luna", {}, "chat"),
        ("gpt-6-luna", {"tools": TOOLS}, "responses"),
        ("gpt-6-luna", {"tools": TOOLS, "reasoning_effort": "none"}, "chat"),
        ("gpt-6-luna", {"reasoning_effort": "max"}, "responses"),
        ("gpt-6.2-sol", {"tools": TOOLS, "reasoning_effort": "none"}, "responses"),
        ("gpt-6.2-sol", {}, "chat"),
        ("gpt-5-pro", {}, "responses"),
        ("gpt-5.3-codex", {}, "responses"),
    ],
)
def test_the_model_table_chooses_the_endpoint(
    model: str, given: dict[str, Any], expected: str
) -> None:
    """At OpenAI's own host, by what chat completions refuse; a gateway keeps chat."""
    call = call_of(ASK, model, **given)
    row = vendors.VENDORS["openai"]
    assert api_of(call, vendors.facts(row, base_url=OPENAI, model=model), None) == expected
    assert api_of(call, vendors.facts(row, base_url="http://h/v1", model=model), None) == "chat"


def test_a_whole_answer(chat: ChatClient, sandbox: Sandbox) -> None:
    """Same messages in, same result out; nothing is stored, and reasoning can be sent back."""
    before = copy.deepcopy(ASK)
    result = chat.chat(ASK, max_tokens=50)
    assert before == ASK
    assert (result.content, result.finish_reason) == ("You said: 你好", "stop")
    assert result.usage.reasoning_tokens > 0 < result.usage.cached_tokens
    body = sandbox.requests[-1].body
    assert sandbox.requests[-1].path.endswith("/responses")
    assert (body["store"], body["max_output_tokens"]) == (False, 50)
    assert body["include"] == ["reasoning.encrypted_content"]
    assert json.loads(json.dumps(result.message)) == result.message


def test_a_stream_is_the_same_answer(chat: ChatClient) -> None:
    """Chunks, message and usage of a stream equal those of a plain response."""
    for options in ({}, {"tools": TOOLS}):
        whole, stream = chat.chat(ASK, **options), chat.chat_stream(ASK, **options)
        chunks = list(stream)
        assert "".join(chunk.delta_content for chunk in chunks) == whole.content
        assert "".join(chunk.delta_reasoning for chunk in chunks) == whole.reasoning_content
        assert stream.result.message == whole.message
        assert stream.result.usage == whole.usage
        assert stream.result.finish_reason == whole.finish_reason


def test_reasoning_is_replayed_as_it_came(chat: ChatClient, sandbox: Sandbox) -> None:
    """Id, summary, encrypted content, order and phase; the sandbox refuses anything less."""
    result = chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, args: "22")
    assert result.content == "The tools said: 22"
    sent = sandbox.requests[-1].body["input"]
    assert [item["type"] for item in sent[2:]] == [
        "reasoning", "function_call", "function_call_output",
    ]  # fmt: off
    assert sent[2]["id"] == "rs_1"
    assert "id" not in sent[3]
    chat.chat([*result.messages, {"role": "user", "content": "go on"}])
    assert sandbox.requests[-1].body["input"][-2]["phase"] == "final_answer"


@pytest.mark.parametrize("change", ["model", "text", "calls"])
def test_an_edited_turn_or_another_model_gets_no_reasoning(
    chat: ChatClient, sandbox: Sandbox, change: str
) -> None:
    """Encrypted content is bound to its model, and to the items that it led to."""
    called = json.loads(json.dumps(chat.chat(ASK, tools=TOOLS).message))
    mark = called["tool_calls"][0]["id"]
    options = {"model": "gpt-6-sol"} if change == "model" else {}
    if change == "text":
        called["content"] = "edited"
    if change == "calls":
        called["tool_calls"].append({**called["tool_calls"][0], "id": "call_other"})
    results = [
        {"role": "tool", "tool_call_id": each["id"], "content": "22"}
        for each in called["tool_calls"]
    ]
    assert "22" in chat.chat([*ASK, called, *results], tools=TOOLS, **options).content
    items = sandbox.requests[-1].body["input"]
    assert not any(item["type"] == "reasoning" for item in items)
    assert any(item.get("call_id") == mark for item in items)


def test_a_conversation_goes_everywhere_and_back(chat: ChatClient, sandbox: Sandbox) -> None:
    """Chat, responses, Gemini, Bedrock, DeepSeek and back, with tools and images."""
    history: list[Any] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": PNG}},
            ],
        }
    ]
    for name in (
        "openai",
        "responses",
        "gemini",
        "bedrock",
        "deepseek",
        "bedrock",
        "gemini",
        "responses",
        "openai",
    ):
        api = {"api": "responses"} if name == "responses" else {}
        vendor = "openai" if name == "responses" else name
        if vendor == "deepseek":  # it sees no images
            history = [{"role": "user", "content": "what is it?"}, *history[1:]]
        with ChatClient(
            vendor, **sandbox.chat_options(vendor), **PROVIDERS[vendor], **api
        ) as client:
            result = client.chat_with_tools(
                history, TOOLS, tool_executor=lambda name, args: "a cat"
            )
        assert result.content == "The tools said: a cat", name
        history = json.loads(json.dumps(result.messages))
        history.append({"role": "user", "content": "again"})


def test_structured_output(chat: ChatClient, sandbox: Sandbox) -> None:
    """A schema is ``text.format``; JSON without one, and the downgrade, work as on chat."""
    assert isinstance(chat.chat(ASK, response_format=Person).parsed, Person)
    assert sandbox.requests[-1].body["text"]["format"]["type"] == "json_schema"
    assert chat.chat(ASK, response_format={"type": "json_object"}).parsed
    assert chat.chat(ASK, response_format=FORMAT, structured_mode="prompt").parsed


def test_a_tool_returns_an_image() -> None:
    """Function output takes images itself; no user turn is made up."""
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "see", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": [
            {"type": "image_url", "image_url": {"url": PNG}}]},
    ]  # fmt: off
    items = body_of(turns)["input"]
    assert items[1]["arguments"] == "{}"
    assert items[2]["output"] == [{"type": "input_image", "image_url": PNG, "detail": "auto"}]


def test_what_the_api_does_not_have_is_left_out_with_a_warning(chat: ChatClient) -> None:
    """``stop``, ``seed`` and sampling while it reasons."""
    result = chat.chat(ASK, stop="x", seed=1, temperature=0.5)
    assert {entry["feature"] for entry in result.warnings} >= {"stop", "seed", "temperature"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, {"thinking": {"type": "disabled"}}),
        ({"thinking": {"type": "auto"}}, {"thinking": {"type": "auto"}}),
        ({"reasoning_effort": "none"}, {"reasoning": {"effort": "minimal"}}),
        ({"reasoning_effort": "max"}, {"reasoning": {"effort": "high"}}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
            {"thinking": {"type": "enabled"}, "reasoning": {"effort": "low"}},
        ),
    ],
)
def test_ark_has_a_thinking_switch_and_efforts_of_its_own(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Source: volcengine-ark-runtime 5.0.54, volcengine.com/docs/82379/1494384."""
    call = call_of(ASK, "doubao-seed-2-1-pro-260915", **given)
    row = vendors.VENDORS["volcengine"]
    body = to_body(call, call.messages, row, stream=False, origin="responses:o@h").body
    assert {name: body[name] for name in ("thinking", "reasoning") if name in body} == expected


def test_a_stream_without_a_terminal_event_is_broken(chat: ChatClient, sandbox: Sandbox) -> None:
    """Neither the end of the body nor ``[DONE]`` is an end."""
    for tail in (b"", b"data: [DONE]\n\n"):
        scripted(sandbox, DELTA, tail=tail)
        with pytest.raises(errors.StreamInterruptedError) as caught:
            list(chat.chat_stream(ASK))
        assert caught.value.partial.content == "Hi"


@pytest.mark.parametrize(
    "end",
    [
        {"type": "error", "code": "server_error", "message": "boom"},
        {
            "type": "error",
            "error": {"type": "server_error", "code": "server_error", "message": "b"},
        },
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_error", "message": "b"}},
        },
        {"type": "response.cancelled", "response": {"status": "cancelled"}},
    ],
)
def test_a_failure_in_a_stream_is_an_interruption(
    chat: ChatClient, sandbox: Sandbox, end: dict[str, Any]
) -> None:
    """Flat and nested errors, ``failed`` and ``cancelled``; what was received is in ``partial``."""
    scripted(sandbox, DELTA, end)
    with pytest.raises(errors.StreamInterruptedError) as caught:
        list(chat.chat_stream(ASK))
    assert caught.value.partial.content == "Hi"


def test_items_that_come_only_at_their_end(chat: ChatClient, sandbox: Sandbox) -> None:
    """Text, arguments and summary of ``output_item.done``; an empty ``output`` in the last event."""
    reasoning = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "e",
    }
    call = {
        "type": "function_call",
        "id": "fc",
        "call_id": "c1",
        "name": "get_time",
        "arguments": '{"city":"x"}',
    }
    text = {
        "type": "message",
        "content": [{"type": "output_text", "text": "Looking."}],
        "phase": "commentary",
    }
    unknown = {"type": "quantum_call", "id": "q"}
    scripted(
        sandbox,
        {"type": "response.new"},
        done(0, reasoning),
        done(1, text),
        done(2, call),
        done(3, unknown),
        COMPLETED,
    )
    stream = chat.chat_stream(ASK, tools=TOOLS)
    list(stream)
    result = stream.result
    assert (result.content, result.reasoning_content) == ("Looking.", "hm")
    assert result.tool_calls[0].arguments == '{"city":"x"}'
    assert result.finish_reason == "tool_calls"
    assert result.message["reasoning_items"] == [reasoning]


def test_incomplete_is_length(chat: ChatClient) -> None:
    """``max_output_tokens`` is ``length``, plain and streamed; a blocked answer is an error."""
    cut = [{"role": "user", "content": "[cut]"}]
    assert chat.chat(cut).finish_reason == "length"
    with pytest.raises(errors.ContentFilterError):
        chat.chat([{"role": "user", "content": "[blocked]"}])


def test_a_failed_response_in_a_200(chat: ChatClient, sandbox: Sandbox) -> None:
    """``status: failed`` raises what its code means."""
    error = {"code": "invalid_prompt", "message": "no"}
    sandbox.answer(200, {"object": "response", "status": "failed", "error": error, "output": []})
    with pytest.raises(errors.ProviderError) as caught:
        chat.chat(ASK)
    assert caught.value.code == "invalid_prompt"


def test_api_is_of_a_client_or_a_call(sandbox: Sandbox) -> None:
    """A call's ``api`` wins; another word is refused."""
    with ChatClient("openai", **sandbox.chat_options("openai")) as client:
        client.chat(ASK, api="responses")
        assert sandbox.requests[-1].path.endswith("/responses")
        client.chat(ASK)
        assert sandbox.requests[-1].path.endswith("/chat/completions")
        with pytest.raises(errors.ConfigurationError, match="api must be"):
            client.chat(ASK, api="batch")


def test_the_raw_sdk_works_against_the_sandbox(sandbox: Sandbox) -> None:
    """Plain and streamed."""
    options = sandbox.chat_options("openai")
    with openai.OpenAI(api_key=options["api_key"], base_url=options["base_url"]) as client:
        assert client.responses.create(model="gpt-6-luna", input="hi").output_text == "You said: hi"
        events = list(client.responses.create(model="gpt-6-luna", input="hi", stream=True))
    assert events[-1].type == "response.completed"


def test_items_without_an_index_are_all_there(chat: ChatClient, sandbox: Sandbox) -> None:
    """A gateway may leave ``output_index`` out; no call is lost."""
    calls = [
        {"type": "function_call", "call_id": f"c{at}", "name": "get_time", "arguments": "{}"}
        for at in range(2)
    ]
    events = [{"type": "response.output_item.done", "item": call} for call in calls]
    scripted(sandbox, *events, COMPLETED)
    stream = chat.chat_stream(ASK, tools=TOOLS)
    list(stream)
    assert [call.id for call in stream.result.tool_calls] == ["c0", "c1"]


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error"])
def test_a_failed_response_is_asked_for_again(
    chat: ChatClient, sandbox: Sandbox, code: str
) -> None:
    error = {"code": code, "message": "Please try again in 0.01s"}
    response = {"id": "r", "status": "failed", "output": [], "error": error}
    scripted(sandbox, {"type": "response.failed", "response": response})
    stream = chat.chat_stream(ASK, max_retries=1)
    assert list(stream)
    assert stream.result.finish_reason == "stop"


@pytest.mark.parametrize("body", [{}, {"message": "hello"}, {"id": "r", "object": "response"}])
def test_an_object_without_an_output_is_no_answer(
    chat: ChatClient, sandbox: Sandbox, body: dict[str, Any]
) -> None:
    sandbox.answer(200, body)
    with pytest.raises(errors.InvalidReplyError, match="nothing in it"):
        chat.chat(ASK)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_that_is_still_made_says_so(
    chat: ChatClient, sandbox: Sandbox, status: str
) -> None:
    sandbox.answer(200, {"id": "r", "object": "response", "status": status, "output": []})
    result = chat.chat(ASK)
    assert (result.finish_reason, result.id) == (status, "r")
    assert [warning["feature"] for warning in result.warnings] == ["background"]


def test_a_chat_completion_in_its_place_is_kept_in_the_error(
    chat: ChatClient, sandbox: Sandbox
) -> None:
    message = {"role": "assistant", "content": "paid"}
    sandbox.answer(200, {"choices": [{"message": message, "finish_reason": "stop"}]})
    with pytest.raises(errors.InvalidReplyError, match="api='chat'") as caught:
        chat.chat(ASK)
    assert (caught.value.result.content, caught.value.retryable) == ("paid", False)


def test_a_stream_of_chat_completions_in_its_place_is_told_at_once(
    chat: ChatClient, sandbox: Sandbox
) -> None:
    chunk = {"type": "", "object": "chat.completion.chunk", "choices": [{"delta": {}}]}
    scripted(sandbox, chunk)
    with pytest.raises(errors.InvalidReplyError, match="api='chat'") as caught:
        list(chat.chat_stream(ASK))
    assert not caught.value.retryable


def text(at: Any, piece: str, item: str = "") -> dict[str, Any]:
    event = {"type": "response.output_text.delta", "content_index": 0, "delta": piece}
    return {
        **event,
        **({"output_index": at} if at is not None else {}),
        **({"item_id": item} if item else {}),
    }


def ended(*output: dict[str, Any]) -> dict[str, Any]:
    response = {"id": "r", "status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


def message(mark: str, said: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": said}]
    return {"type": "message", "id": mark, "role": "assistant", "content": content}


REASONING = {"type": "reasoning", "id": "rs", "summary": []}


@pytest.mark.parametrize(
    ("events", "content"),
    [
        ([text(0, "ab", "m1"), ended(REASONING, message("m1", "ab"))], "ab"),
        ([text(0, "ab"), ended(REASONING, message("m1", "ab"))], "ab"),
        ([text(None, "a"), text(None, "b"), ended(REASONING, message("m1", "ab"))], "ab"),
        ([text(None, "ab", "x"), ended(REASONING, message("m1", "ab"))], "ab"),
        (
            [
                text(0, "a", "m1"),
                text(0, "b", "m2"),
                ended(message("m1", "a"), message("m2", "b")),
            ],
            "ab",
        ),
        ([text(0, "a"), text(0, "b"), ended(message("m1", "a"), message("m2", "b"))], "ab"),
        ([text(0, "a", "m1"), ended(message("m1", "a"), message("m2", "b"))], "ab"),
        (
            [
                done(0, REASONING),
                text(0, "ab", "m1"),
                done(0, message("m1", "ab")),
                ended(REASONING, message("m1", "ab")),
            ],
            "ab",
        ),
        ([{"type": "response.output_text.done", "item_id": "m1", "text": "ab"}, ended()], "ab"),
        (
            [
                text(0, "ab", "m1"),
                {"type": "response.output_text.done", "item_id": "m1", "text": "ab"},
                {"type": "response.content_part.done", "item_id": "m1", "part": {"text": "ab"}},
                ended(message("m1", "ab")),
            ],
            "ab",
        ),
    ],
)
def test_a_text_is_there_once_however_its_item_is_named(
    chat: ChatClient, sandbox: Sandbox, events: list[dict[str, Any]], content: str
) -> None:
    scripted(sandbox, *events)
    with chat.chat_stream(ASK, api="responses") as stream:
        assert "".join(chunk.delta_content for chunk in stream) == content
    assert stream.result.content == content


def call_item(mark: str, arguments: str = "") -> dict[str, Any]:
    made = {"type": "function_call", "id": f"fc{mark}", "call_id": f"c{mark}"}
    return {**made, "name": "get_weather", "arguments": arguments}


def begun(at: int, mark: str) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": at, "item": call_item(mark)}


def piece(at: int, mark: str, text: str) -> dict[str, Any]:
    event = {"type": "response.function_call_arguments.delta", "delta": text}
    return {**event, "output_index": at, **({"item_id": f"fc{mark}"} if mark else {})}


PARIS, ROME = '{"city":"Paris"}', '{"city":"Rome"}'


@pytest.mark.parametrize(
    "events",
    [
        [
            begun(0, "1"),
            begun(0, "2"),
            piece(0, "1", PARIS[:8]),
            piece(0, "2", ROME[:8]),
            piece(0, "1", PARIS[8:]),
            piece(0, "2", ROME[8:]),
        ],
        [begun(0, "1"), piece(0, "", PARIS), begun(0, "2"), piece(0, "", ROME)],
        [begun(0, "1"), begun(1, "2"), piece(1, "", ROME), piece(0, "", PARIS)],
        [piece(3, "1", PARIS)],
        [
            begun(0, "1"),
            {
                "type": "response.function_call_arguments.done",
                "item_id": "fc1",
                "arguments": PARIS,
            },
        ],
        [],
    ],
)
def test_arguments_go_to_the_call_that_they_name(
    chat: ChatClient, sandbox: Sandbox, events: list[dict[str, Any]]
) -> None:
    scripted(sandbox, *events, ended(call_item("1", PARIS), call_item("2", ROME)))
    with chat.chat_stream(ASK, tools=TOOLS, api="responses") as stream:
        list(stream)
    found = [(call.id, call.arguments) for call in stream.result.tool_calls]
    assert found == [("c1", PARIS), ("c2", ROME)]


def test_an_envelope_is_opened(chat: ChatClient, sandbox: Sandbox) -> None:
    sandbox.answer(200, {"code": 0, "data": ended(message("m", "hi"))["response"]})
    assert chat.chat(ASK, api="responses").content == "hi"


def test_a_custom_tools_call_is_told(chat: ChatClient, sandbox: Sandbox) -> None:
    call = {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"}
    sandbox.answer(200, ended(call)["response"])
    result = chat.chat(ASK, tools=[{"type": "custom", "name": "sql"}], api="responses")
    assert any("'sql'" in entry["details"] for entry in result.warnings)
    assert result.raw["output"] == [call]
