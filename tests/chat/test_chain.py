"""``ChatClient`` of several vendors: who is asked next, with what, and what is recorded of it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.sandbox import Sandbox
from tests.test_contract import ASK, TOOLS, Person
from tests.vendor import Vendor, completion, json_response


@pytest.fixture
def chat(sandbox: Sandbox) -> Iterator[ChatClient]:
    own = {name: sandbox.chat_options(meant) for name, meant in NAMES.items()}
    with ChatClient(["deepseek", "qwen"], max_retries=0, **own) as client:
        yield client


NAMES = {"deepseek": "deepseek", "qwen": "dashscope"}


def test_the_next_vendor_answers(chat: ChatClient, sandbox: Sandbox) -> None:
    """After a failure of the first, plain and streamed; ``attempts`` tells it."""
    sandbox.answer(503, {"error": {"message": "busy"}})
    result = chat.chat(ASK)
    assert (result.provider, result.content) == ("dashscope", "You said: 你好")
    assert [entry["outcome"] for entry in result.attempts] == ["ServerError"]
    sandbox.answer(401, {"error": {"message": "no"}})
    with chat.chat_stream(ASK) as stream:
        assert "".join(chunk.delta_content for chunk in stream) == "You said: 你好"
        assert stream.result.attempts[0]["status_code"] == 401
    assert chat.chat(ASK).attempts == []


def test_a_request_that_is_wrong_goes_nowhere_else(chat: ChatClient, sandbox: Sandbox) -> None:
    """A bad request is the application's to know."""
    sandbox.answer(400, {"error": {"message": "bad"}})
    with pytest.raises(errors.BadRequestError) as caught:
        chat.chat(ASK)
    assert len(sandbox.requests) == len(caught.value.attempts) == 1


def test_a_stream_that_began_is_not_begun_again(chat: ChatClient, sandbox: Sandbox) -> None:
    """What was received is in ``partial``; no other provider is asked."""
    event = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    raw = f"data: {json.dumps(event)}\n\n".encode()
    sandbox.answer(200, raw, headers={"content-type": "text/event-stream"})
    with pytest.raises(errors.StreamInterruptedError) as caught:
        list(chat.chat_stream(ASK))
    assert caught.value.partial.content == "Hi"
    assert len(sandbox.requests) == 1


def test_a_tool_loop_goes_on_elsewhere(chat: ChatClient, sandbox: Sandbox) -> None:
    """Each turn asks in order; the history is translated."""
    sandbox.answer(503, {"error": {"message": "busy"}})
    result = chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, args: "22")
    assert (result.provider, result.content) == ("deepseek", "The tools said: 22")
    assert chat.chat(ASK, response_format=Person).parsed


def test_options_are_of_one_vendor_or_of_all(chat: ChatClient, sandbox: Sandbox) -> None:
    """Under a vendor's name they are its own; a model alone is refused."""
    chat.chat(ASK, deepseek={"model": "deepseek-v4-pro"}, qwen={"model": "qwen3-max"})
    assert sandbox.requests[-1].body["model"] == "deepseek-v4-pro"
    with pytest.raises(errors.ConfigurationError, match="is for one vendor"):
        chat.chat(ASK, model="x")
    with pytest.raises(errors.ConfigurationError, match="say whose"):
        ChatClient(["deepseek", "qwen"], api_key="k")


def test_a_client_of_several_is_pickled(chat: ChatClient) -> None:
    """It is made again from its options."""
    with pickle.loads(pickle.dumps(chat)) as again:
        assert again.chat(ASK).content == "You said: 你好"


def test_what_was_paid_for_in_vain_is_told() -> None:
    """A vendor whose answers broke the schema, and one that failed at the repair."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    busy = json_response({"error": {"message": "busy"}}, status=503)
    with (
        Vendor(lambda body, number: busy if number else completion("nope")) as first,
        Vendor(completion('{"a": 1}')) as second,
    ):
        links: list[Any] = [
            ("openai_compat", {"base_url": first.url, "model": "m", "max_retries": 0}),
            ("deepseek", {"base_url": second.url, "api_key": "k" * 20}),
        ]
        with ChatClient(links) as chat:
            result = chat.chat(ASK, response_format=form)
    (attempt,) = result.attempts
    assert (attempt["requests"], attempt["billed"], attempt["outcome"]) == (2, "yes", "ServerError")
    assert attempt["usage"]["total_tokens"] == 7
