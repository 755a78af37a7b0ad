"""
What every registered chat provider does, over real sockets against the sandbox speaking its wire.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

from aigc_kit import ChatClient, errors
from aigc_kit.chat import client as registry
from aigc_kit.sandbox import Sandbox
from aigc_kit.vendors import ALIASES
from tests.wire import AMPLE

# provider -> options beside those that the sandbox gives
PROVIDERS: dict[str, dict[str, Any]] = {
    "openai": {},
    "deepseek": {},
    "glm": {},
    "volcengine": {},
    "moonshot": {},
    "dashscope": {},
    "openrouter": {"model": "openai/gpt-6-luna"},
    "siliconflow": {"model": "Qwen/Qwen3.8-72B"},
    "azure": {"model": "my-deployment", "family": "gpt-6-luna"},
    "ollama": {"model": "qwen3:8b"},
    "vllm": {"model": "Qwen/Qwen3-8B"},
    "lmstudio": {"model": "qwen3-8b"},
    "minimax": {"model": "MiniMax-M3"},
    "hunyuan": {"model": "hy4"},
    "qianfan": {"model": "ernie-5.0"},
    "stepfun": {"model": "step-3"},
    "xai": {"model": "grok-4.1-fast"},
    "mistral": {"model": "mistral-medium-latest"},
    "groq": {"model": "openai/gpt-oss-120b"},
    "together": {"model": "meta-llama/Llama-4"},
    "modelscope": {"model": "Qwen/Qwen3-8B"},
    "openai_compat": {"model": "local-model"},
    "gemini": {},
    "bedrock": {},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "d",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "get_time")
]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
ASK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "你好"}]


class Person(BaseModel):
    name: str
    age: int


def test_no_provider_is_without_a_row() -> None:
    """A registered provider is in this table."""
    registry._ensure_registered()
    own = {
        name
        for name, home in registry.registry.items()
        if isinstance(home, str) and home.startswith("aigc_kit.")
    }
    assert {{"google": "gemini", **ALIASES}.get(name, name) for name in own} == set(PROVIDERS)


@pytest.fixture(params=PROVIDERS)
def chat(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[ChatClient]:
    options = {**sandbox.chat_options(request.param), **PROVIDERS[request.param]}
    with ChatClient(request.param, timeout=AMPLE, **options) as client:
        yield client


def test_chat(chat: ChatClient, sandbox: Sandbox) -> None:
    """A whole answer, with everything about it; the messages are not touched."""
    before = copy.deepcopy(ASK)
    result = chat.chat(ASK)
    assert before == ASK
    assert (result.content, result.finish_reason) == ("You said: 你好", "stop")
    assert result.provider == chat.provider.name
    assert (
        result.usage.total_tokens == result.usage.prompt_tokens + result.usage.completion_tokens > 0
    )
    assert result.usage.cached_tokens > 0
    assert result.message["role"] == "assistant"
    assert result.message["content"] == result.content
    assert json.loads(json.dumps(result.message)) == result.message
    assert result.id
    assert result.raw
    assert not result.has_tool_calls


def test_a_conversation_goes_on(chat: ChatClient) -> None:
    """``result.message`` is what to append."""
    messages: list[Any] = list(ASK)
    for _ in range(3):
        messages.append(chat.chat(messages).message)
        messages.append({"role": "user", "content": "and now?"})
    assert chat.chat(messages).content == "You said: and now?"


def test_streaming(chat: ChatClient) -> None:
    """The chunks add up to the same result as a plain response."""
    whole = chat.chat(ASK)
    stream = chat.chat_stream(ASK)
    chunks = list(stream)
    assert (
        "".join(chunk.delta_content for chunk in chunks) == whole.content == stream.result.content
    )
    assert (
        "".join(chunk.delta_reasoning for chunk in chunks)
        == whole.reasoning_content
        == stream.result.reasoning_content
    )
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert stream.result.usage == whole.usage
    assert stream.result.message == whole.message


def test_tool_calls(chat: ChatClient) -> None:
    """Whole and streamed, one and several: ids, names, arguments."""
    for text, names in (
        ("weather?", ["get_weather"]),
        ("[all tools]", ["get_weather", "get_time"]),
    ):
        messages = [{"role": "user", "content": text}]
        whole = chat.chat(messages, tools=TOOLS)
        stream = chat.chat_stream(messages, tools=TOOLS)
        deltas = [delta for chunk in stream for delta in chunk.tool_calls]
        for result in (whole, stream.result):
            assert [call.name for call in result.tool_calls] == names
            assert all(call.parse() == {"city": "text"} for call in result.tool_calls)
            assert len({call.id for call in result.tool_calls}) == len(names)
            assert result.finish_reason == "tool_calls"
        for index, call in enumerate(stream.result.tool_calls):
            own = [delta for delta in deltas if delta.index == index]
            assert "".join(delta.arguments for delta in own) == call.arguments
            assert [delta.name for delta in own if delta.name] == [call.name]


def test_the_tool_loop(chat: ChatClient) -> None:
    """
    The executor's answer reaches the model; the history is complete, JSON, and ready for the next
    call.
    """
    asked: list[tuple[str, Any]] = []

    def execute(name: str, args_json: str) -> Any:
        asked.append((name, json.loads(args_json)))
        return {"temperature": 22}

    result = chat.chat_with_tools(
        [{"role": "user", "content": "[all tools]"}], TOOLS, tool_executor=execute
    )
    assert asked == [("get_weather", {"city": "text"}), ("get_time", {"city": "text"})]
    assert result.content == 'The tools said: {"temperature": 22}; {"temperature": 22}'
    assert [message["role"] for message in result.messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    history = json.loads(json.dumps(result.messages))
    assert history == result.messages
    assert chat.chat(
        [*history, {"role": "user", "content": "thanks"}], tools=TOOLS, tool_choice="none"
    ).content
    assert (
        chat.chat([*history, {"role": "user", "content": "thanks"}]).content == "You said: thanks"
    )


@pytest.mark.parametrize("wanted", [FORMAT, Person], ids=["dict", "pydantic"])
def test_structured_output(chat: ChatClient, wanted: Any) -> None:
    """The same value with every vendor; the warnings say which mode was used."""
    result = chat.chat(ASK, response_format=wanted)
    parsed = result.parsed.model_dump() if isinstance(result.parsed, Person) else result.parsed
    assert parsed == {"name": "text", "age": 1}
    assert any(entry["feature"] == "response_format" for entry in result.warnings)
    stream = chat.chat_stream(ASK, response_format=wanted)
    list(stream)
    assert stream.result.parsed == result.parsed


def test_any_json_object(chat: ChatClient) -> None:
    """``json_object`` without the word in the prompt."""
    assert isinstance(chat.chat(ASK, response_format={"type": "json_object"}).parsed, dict)


def test_a_cut_answer_is_reported_before_its_json(chat: ChatClient) -> None:
    """Tokens ran out: that is the error, not the broken JSON."""
    messages = [{"role": "user", "content": "[cut]"}]
    with pytest.raises(errors.OutputTruncatedError) as caught:
        chat.chat(messages, response_format=FORMAT)
    assert caught.value.content == '{"na'
    assert chat.chat(messages).finish_reason == "length"


def test_a_blocked_answer(chat: ChatClient) -> None:
    """Without any text it is an error, whole and streamed."""
    messages = [{"role": "user", "content": "[blocked]"}]
    with pytest.raises(errors.ContentFilterError):
        chat.chat(messages)
    with pytest.raises(errors.ContentFilterError):
        list(chat.chat_stream(messages))


def test_a_wrong_key(request: pytest.FixtureRequest, sandbox: Sandbox) -> None:
    """``AuthenticationError`` from every vendor that wants a key."""
    for name in set(PROVIDERS) - {"openai_compat", "ollama", "vllm", "lmstudio"}:
        options = {**sandbox.chat_options(name), **PROVIDERS[name]}
        if name == "bedrock":
            options["aws_access_key_id"] = "wrong-canary-key"
        elif name == "gemini":
            options["credentials"] = Credentials(token="wrong-canary-key")
        else:
            options["api_key"] = "wrong-canary-key"
        with (
            ChatClient(name, **options) as client,
            pytest.raises(errors.AuthenticationError) as caught,
        ):
            client.chat(ASK)
        assert caught.value.provider == name
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 429, 500, 502, 503, 504, 529]
)
def test_statuses(chat: ChatClient, sandbox: Sandbox, status: int) -> None:
    """One typed error each, with the status, and the number of tries that the policy allows."""
    sandbox.answer(status, {}, headers={"retry-after": "0"}, times=9)
    sandbox.requests.clear()
    with pytest.raises(errors.ProviderError) as caught:
        chat.chat(ASK)
    assert caught.value.status_code == status
    again = status in (408, 409, 429) or status >= 500
    assert len(sandbox.requests) == (3 if again else 1)


def test_errors_before_a_stream_are_those_of_a_call(chat: ChatClient, sandbox: Sandbox) -> None:
    """And tried again like one."""
    sandbox.answer(503, {}, headers={"retry-after": "0"}, times=2)
    assert "".join(chunk.delta_content for chunk in chat.chat_stream(ASK)) == "You said: 你好"
    sandbox.answer(400, {}, times=1)
    with pytest.raises(errors.BadRequestError):
        list(chat.chat_stream(ASK))


def test_leaving_a_stream_early(chat: ChatClient) -> None:
    """A closed stream has no result, and the client still works."""
    with chat.chat_stream(ASK) as stream:
        next(stream)
    assert list(stream) == []
    with pytest.raises(errors.StreamInterruptedError) as caught:
        stream.result  # noqa: B018
    assert caught.value.partial is not None
    assert chat.chat(ASK).content


def test_images_in_messages(chat: ChatClient) -> None:
    """An inlined image is sent in the vendor's shape."""
    image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
    content = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    assert chat.chat([{"role": "user", "content": content}]).content == "You said: what is it?"
