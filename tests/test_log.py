"""What is logged: every attempt, what was delivered, what is unknown; and what never is."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ChatClient, EmbeddingClient, ImageClient, errors
from aigc_kit.media.renditions import Rendition
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, StoredObject
from tests.vendor import (
    ASK,
    Response,
    Vendor,
    ask,
    completion,
    delta,
    error,
    events,
    gemini_response,
    outcome,
)

PROMPT = "一只写着 canary-4711 的橘猫"


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, logger="aigc_kit"):
        yield


def lines(caplog: pytest.LogCaptureFixture, name: str = "", level: int = 0) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(f"aigc_kit.{name}") and (not level or record.levelno == level)
    ]


class FullFor(LocalStorage):
    """A store that takes nothing whose key has this word in it."""

    word = "thumb"

    def upload_bytes(self, data: bytes, key: str, **options: Any) -> StoredObject:
        if self.word in key:
            raise errors.StorageError("full")
        return super().upload_bytes(data, key, **options)


def store_in(tmp_path: Path) -> FullFor:
    return FullFor(tmp_path / "store", base_url="https://cdn.example.com")


def image_client(sandbox: Sandbox, tmp_path: Path, **options: Any) -> ImageClient:
    given = {**sandbox.image_options("gemini"), "max_retries": 0, "storage": store_in(tmp_path)}
    return ImageClient("gemini", spool_dir=tmp_path / "spool", **{**given, **options})


@pytest.mark.parametrize("provider", ["deepseek", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
def test_each_attempt_of_a_chat_is_one_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, provider: str, stream: bool
) -> None:
    with ChatClient(provider, **sandbox.chat_options(provider)) as client:
        result = ask(client, stream=stream)
        model = client.provider.model
    [line] = lines(caplog, "http")
    size = "-" if provider == "bedrock" else r"\d+"
    assert re.fullmatch(
        rf"{provider} {re.escape(model)}: 200, request id \S+, \d+\.\d{{3}} s, {size} bytes", line
    )
    if provider != "gemini":
        assert f"request id {result.request_id}," in line


def test_a_retry_is_a_warning_and_both_attempts_are_lines(caplog: pytest.LogCaptureFixture) -> None:
    limited = error(429, "slow down", code="rate_limit_exceeded", type="rate_limit_error")
    with Vendor(limited, completion("ok")) as vendor:
        vendor.client(max_retries=1).chat(ASK)
    assert [line.split(",")[0] for line in lines(caplog, "http")] == [
        "openai_compat m: 429",
        "openai_compat m: 200",
    ]
    [line] = lines(caplog, "retry", logging.WARNING)
    assert line.startswith("openai_compat m: try 1 failed with RateLimitError 429 rate_limit_exc")


def test_a_request_without_a_response_is_a_line(
    closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{closed_port}/v1"
    client = ChatClient("openai_compat", api_key="k", base_url=url, model="m", max_retries=0)
    with client, pytest.raises(errors.ConnectionFailedError):
        client.chat(ASK)
    [line] = lines(caplog, "http")  # openai 2.21 has an error of its own around ours
    assert line.split(",")[0].removeprefix("openai_compat m: ") in (
        "WireError",
        "APIConnectionError",
    )
    assert lines(caplog, "chat") == [
        "openai_compat m: failed with ConnectionFailedError, billed: no"
    ]


def test_a_stream_that_is_cut_is_told(caplog: pytest.LogCaptureFixture) -> None:
    cut = pytest.raises(errors.StreamInterruptedError)
    with Vendor(events(delta(content="half"), done=False)) as vendor, cut:
        ask(vendor.client(), stream=True)
    [line] = lines(caplog, "chat", logging.WARNING)
    assert line.startswith("openai_compat m: failed with StreamInterruptedError")


def test_what_was_not_done_as_asked_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with Vendor(gemini_response("ok")) as vendor:
        vendor.client("gemini").chat(ASK, parallel_tool_calls=False, tools=[])
        vendor.client("gemini").chat(ASK, logit_bias={"1": 1})
    assert any(": logit_bias: " in line for line in lines(caplog, "chat", logging.WARNING))


def test_a_delivered_image_is_told_with_its_place(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with image_client(sandbox, tmp_path) as client:
        result = client.text_to_image(PROMPT)
    [line] = lines(caplog, "image", logging.INFO)
    model, key = result.metadata["model"], result.metadata["storage_key"]
    assert line == f"gemini {model}: stored as {key}"


def test_an_unknown_outcome_is_a_warning(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fail("close")
    with image_client(sandbox, tmp_path) as client, pytest.raises(errors.OutcomeUnknownError):
        client.text_to_image(PROMPT)
    [line] = lines(caplog, "image", logging.WARNING)
    assert line.endswith("billed: unknown")


def test_a_resumed_image_is_told(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_in(tmp_path)
    store.word = ""
    with image_client(sandbox, tmp_path, storage=store) as client:
        with pytest.raises(errors.StorageError):
            client.text_to_image(PROMPT)
        store.word = "thumb"
        client.resume_spool()
    [line] = lines(caplog, "image", logging.INFO)
    assert ": resumed, stored as " in line


def test_a_rendition_that_fails_is_a_warning(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with image_client(sandbox, tmp_path, renditions=[Rendition("thumb", side=64)]) as client:
        client.text_to_image(PROMPT)
    assert any(": renditions: " in line for line in lines(caplog, "image", logging.WARNING))


def test_no_key_prompt_answer_or_base64_is_in_any_line(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "sk-canary-0123456789abcdef"
    box = Sandbox(api_key=secret)
    with box:
        with image_client(box, tmp_path) as images:
            image = images.text_to_image(PROMPT)
            box.answer(400, {"error": {"code": 400, "message": f"{PROMPT} {secret}"}})
            with pytest.raises(errors.BadRequestError):
                images.text_to_image(PROMPT)
        for provider in ("deepseek", "gemini", "bedrock"):
            with ChatClient(provider, **box.chat_options(provider)) as chat:
                answer = ask(chat, stream=True, messages=[{"role": "user", "content": PROMPT}])
                assert answer.content
        with EmbeddingClient("openai", **box.embedding_options("openai")) as texts:
            texts.embed([PROMPT])
    said = "\n".join(lines(caplog))
    assert "stored as" in said
    assert secret not in said
    assert "canary" not in said
    assert base64.b64encode(image.data)[:24].decode() not in said
    assert not re.search(r"[A-Za-z0-9+/]{80}", said)


def test_nothing_is_printed_where_logging_is_not_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    with Vendor(error(429, "slow down"), completion("ok")) as vendor:
        vendor.client(max_retries=1).chat(ASK)
    assert logging.getLogger("aigc_kit").handlers
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_character_of_a_vendor_can_be_logged(
    caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """A handler that writes UTF-8 would fail, and say so in the middle of a paid call."""
    caplog.set_level(logging.DEBUG, "aigc_kit")
    body = {"error": {"code": "quota \ud800", "message": "too \udfff much"}}
    said = {
        "model": "m\ud800",
        "choices": [{"message": {"content": "x"}, "finish_reason": "\ud83d"}],
    }
    broken = Response(json.dumps(body).encode(), status=500)
    with Vendor(broken, Response(json.dumps(said).encode())) as vendor:
        found = outcome(lambda: ask(vendor.client(), stream=stream))
        result = vendor.client().chat(ASK)
    assert f"{found} {found.code} {found.body}".encode()
    assert result.model.encode()
    assert caplog.text.encode()
