"""Calls whose request is taken, and calls that get a response from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from aigc_kit.transport.offline import answered, request_of
from tests.vendor import ASK, completion

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("name", ["openai", "deepseek", "gemini", "bedrock"])
def test_a_chats_request_is_taken_and_not_sent(name: str, sandbox: Sandbox) -> None:
    with ChatClient(name, **sandbox.chat_options(name)) as chat:
        taken = request_of(lambda: chat.chat(ASK, max_tokens=5))
        assert sandbox.requests == []
        assert taken.url.startswith(sandbox.url)
        assert "hello" in taken.body.decode()
        assert "authorization" not in taken.headers
        if name != "bedrock":  # which signs each request
            assert sandbox.api_key in next(iter(taken.secrets.values())).reveal()
        assert chat.chat(ASK).content  # the next one goes out again


def test_an_image_is_made_of_a_response_that_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    options = sandbox.image_options("gemini")
    with ImageClient("gemini", **options, storage=LocalStorage(tmp_path)) as client:
        client.text_to_image("a cat", size="1K")
        body = json.dumps(_said(sandbox, client)).encode()
        sandbox.requests.clear()
        result = answered(
            lambda: client.text_to_image("a cat", size="1K", idempotency_key="one"),
            status=200,
            headers=JSON,
            body=body,
        )
        assert sandbox.requests == []
        assert Path(result.url.removeprefix("file://")).is_file()
        assert client.text_to_image("a cat", size="1K", idempotency_key="one").url == result.url
        assert sandbox.requests == []


def _said(sandbox: Sandbox, client: ImageClient) -> object:
    """The vendor's response to this image, asked for without the library."""
    import httpx

    taken = request_of(lambda: client.text_to_image("a cat", size="1K"))
    secrets = {name: value.reveal() for name, value in taken.secrets.items()}
    return httpx.post(taken.url, content=taken.body, headers={**JSON, **secrets}).json()


def test_bedrock_reads_a_response_that_is_there(sandbox: Sandbox) -> None:
    said = {
        "output": {"message": {"role": "assistant", "content": [{"text": "good day"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    }
    with ChatClient("bedrock", **sandbox.chat_options("bedrock")) as chat:
        body = json.dumps(said).encode()
        result = answered(lambda: chat.chat(ASK), status=200, headers=JSON, body=body)
        assert (result.content, result.usage.total_tokens) == ("good day", 5)
        with pytest.raises(errors.RateLimitError):
            answered(
                lambda: chat.chat(ASK, max_retries=0),
                status=429,
                headers={**JSON, "x-amzn-errortype": "ThrottlingException"},
                body=b'{"message": "Too many requests"}',
            )
    assert sandbox.requests == []


def test_an_error_that_is_there_is_typed(sandbox: Sandbox) -> None:
    with (
        ChatClient("openai", **sandbox.chat_options("openai")) as chat,
        pytest.raises(errors.QuotaExceededError),
    ):
        answered(
            lambda: chat.chat(ASK, max_retries=0),
            status=429,
            headers=JSON,
            body=b'{"error": {"code": "insufficient_quota", "message": "no money"}}',
        )


def test_a_second_request_of_the_call_is_not_sent(sandbox: Sandbox) -> None:
    """A repair of structured output, say."""
    body = completion("not json").body
    with (
        ChatClient("openai", **sandbox.chat_options("openai")) as chat,
        pytest.raises(errors.AIGCError),
    ):
        answered(
            lambda: chat.chat(ASK, response_format={"type": "json_object"}, max_repairs=1),
            status=200,
            headers=JSON,
            body=body,
        )
    assert sandbox.requests == []


def test_what_fails_before_it_sends_fails_as_ever(sandbox: Sandbox) -> None:
    with (
        ChatClient("openai", **sandbox.chat_options("openai")) as chat,
        pytest.raises(errors.InvalidInputError),
    ):
        request_of(lambda: chat.chat([]))
