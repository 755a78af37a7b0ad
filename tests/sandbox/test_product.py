"""The sandbox as applications use it: their own clients and SDKs go there by the environment."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import BaseModel

from aigc_kit import ChatClient, EmbeddingClient, ImageClient, errors
from aigc_kit.chat import client as chat_wing
from aigc_kit.embedding import client as embedding_wing
from aigc_kit.fonts import cjk_font
from aigc_kit.image import client as image_wing
from aigc_kit.media import sniff
from aigc_kit.sandbox import Answer, Completion, Prompt, Recorded, Sandbox
from aigc_kit.storage import OSSStorage, R2Storage
from tests.vendor import ASK, TOOLS, ask

WITH_A_MODEL = frozenset(
    {"openai", "deepseek", "glm", "volcengine", "moonshot", "dashscope", "gemini", "bedrock"}
)
DIALECTS = ["deepseek", "gemini", "bedrock", "openai"]


@pytest.fixture
def box(sandbox: Sandbox) -> Iterator[Sandbox]:
    with sandbox.environment():
        yield sandbox


@pytest.mark.parametrize("name", sorted(chat_wing.provider_names()))
def test_every_vendor_chats_without_an_option(box: Sandbox, name: str) -> None:
    models = {"xai": "grok-4.1-fast", "mistral": "mistral-large-latest"}
    own = {} if name in WITH_A_MODEL else {"model": models.get(name, "m")}
    with ChatClient(name, **own) as client:
        assert client.chat(ASK).content == "You said: hello"


@pytest.mark.parametrize("name", sorted(image_wing.provider_names()))
def test_every_vendor_draws_without_an_option(box: Sandbox, name: str, tmp_path: Path) -> None:
    own = {"model": "gpt-image-2"} if name in ("openai_compat", "openrouter") else {}
    with ImageClient(name, **own) as client:
        result = client.text_to_image("猫")
    assert result.url or result.data


@pytest.mark.parametrize("name", sorted(embedding_wing.provider_names()))
def test_every_vendor_embeds_without_an_option(box: Sandbox, name: str) -> None:
    own = {"model": "m"} if name == "openai_compat" else {}
    with EmbeddingClient(name, **own) as client:
        assert len(client.embed(["a"])) == 1


def test_the_environment_is_put_back(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    before = dict(os.environ)
    with sandbox.environment() as variables:
        assert os.environ["OPENAI_API_KEY"] == sandbox.api_key
        assert "HTTPS_PROXY" not in os.environ
        assert variables["DEEPSEEK_BASE_URL"].startswith(sandbox.url)
    assert dict(os.environ) == before


def test_variables_are_for_a_shell_and_for_dotenv(sandbox: Sandbox) -> None:
    variables = sandbox.environment()
    script = f'{variables.shell()}\nprintf %s "$DEEPSEEK_BASE_URL|$HTTPS_PROXY"'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"HTTPS_PROXY": "http://proxy.example.com"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{sandbox.url}/deepseek|"
    assert f"R2_ENDPOINT={sandbox.url}/s3" in variables.dotenv().splitlines()


@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_scripted_reply_comes_in_every_dialect(box: Sandbox, provider: str, stream: bool) -> None:
    box.reply("Here you are: 图", reasoning="hm")
    with ChatClient(provider) as client:
        assert ask(client, stream=stream).content == "Here you are: 图"
        assert ask(client, stream=stream).content == "You said: hello"


@pytest.mark.parametrize("provider", DIALECTS)
def test_scripted_tool_calls_drive_a_loop(box: Sandbox, provider: str) -> None:
    box.reply(tool_calls=[("get_weather", {"city": "北京"})])
    box.reply(lambda prompt: f"It is {prompt.results[0]} there.")
    seen: list[Any] = []

    def weather(name: str, arguments: str) -> str:
        seen.append((name, json.loads(arguments)))
        return "sunny"

    with ChatClient(provider) as client:
        result = client.chat_with_tools(ASK, TOOLS, tool_executor=weather)
    assert seen == [("get_weather", {"city": "北京"})]
    assert result.content == "It is sunny there."


def test_a_reply_may_be_for_one_path_and_for_ever(box: Sandbox) -> None:
    box.reply(lambda prompt: Completion(prompt.text.upper()), path="/deepseek", times=None)
    with ChatClient("deepseek") as one, ChatClient("openai") as other:
        assert [one.chat(ASK).content for _ in range(3)] == ["HELLO"] * 3
        assert other.chat(ASK).content == "You said: hello"
        box.reset()
        assert one.chat(ASK).content == "You said: hello"


def test_a_prompt_tells_what_was_asked(box: Sandbox) -> None:
    seen: list[Prompt] = []
    box.reply(lambda prompt: seen.append(prompt) or "ok")  # type: ignore[func-returns-value]
    with ChatClient("gemini") as client:
        client.chat([{"role": "system", "content": "be brief"}, *ASK], tools=TOOLS)
    assert (seen[0].text, seen[0].system, seen[0].tools[0][0]) == (
        "hello",
        "be brief",
        "get_weather",
    )


def test_an_answer_may_be_a_function_of_the_request(box: Sandbox) -> None:
    def refuse(request: Recorded) -> Any:
        if request.body["model"] == "deepseek-flash":
            return Answer(429, {"error": {"message": "slow down"}}, {"retry-after": "0"})
        return {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}

    box.answer(200, refuse, path="/chat/completions", times=None)
    with ChatClient("deepseek", max_retries=0) as client:
        with pytest.raises(errors.RateLimitError):
            client.chat(ASK)
        assert client.chat(ASK, model="deepseek-v4-pro").content == "ok"


def test_latency_comes_before_every_response() -> None:
    with Sandbox(latency=0.2) as box, box.environment(), ChatClient("deepseek") as client:
        started = time.monotonic()
        client.chat(ASK)
    assert time.monotonic() - started >= 0.2


def test_an_expectation_that_holds_gives_the_requests(box: Sandbox) -> None:
    with ChatClient("deepseek") as client:
        client.chat(ASK, max_tokens=5)
    wanted = {"model": "deepseek-flash", "messages": [{"content": "hello"}]}
    [request] = box.assert_requested("/chat/completions", method="POST", body=wanted, times=1)
    assert request.body["max_tokens"] == 5


def test_an_expectation_that_fails_shows_how_the_request_differs(box: Sandbox) -> None:
    with ChatClient("deepseek") as client:
        client.chat(ASK, max_tokens=5)
    with pytest.raises(AssertionError) as failure:
        box.assert_requested("/chat/completions", body={"max_tokens": 50, "stop": ["x"]})
    text = str(failure.value)
    assert "1. POST /deepseek/chat/completions model=deepseek-flash" in text
    assert '-  "max_tokens": 50,' in text
    assert '+  "max_tokens": 5' in text
    with pytest.raises(AssertionError, match="0 request"):
        box.assert_nothing_requested()
    box.reset()
    box.assert_nothing_requested()
    with pytest.raises(AssertionError, match=r"box\.environment\(\)"):
        box.assert_requested()


@pytest.mark.parametrize(
    ("provider", "model", "kind"),
    [
        ("openai", "claude-3", errors.NotFoundError),
        ("openai", "gpt-3.5-turbo", errors.NotFoundError),
        ("deepseek", "deepseek-chat", errors.BadRequestError),
        ("glm", "gpt-4", errors.NotFoundError),
        ("volcengine", "gpt-4", errors.NotFoundError),
        ("moonshot", "moonshot-v1-8k", errors.NotFoundError),
        ("dashscope", "gpt-4", errors.NotFoundError),
        ("gemini", "gpt-4", errors.NotFoundError),
    ],
)
def test_a_model_that_a_vendor_does_not_serve_is_refused(
    box: Sandbox, provider: str, model: str, kind: type[Exception]
) -> None:
    refused = pytest.raises(errors.ProviderError)
    with ChatClient(provider, max_retries=0) as client, refused as failure:
        client.chat(ASK, model=model)
    assert isinstance(failure.value, kind)


def test_what_is_stored_can_be_read_in_public_and_by_a_signature(box: Sandbox) -> None:
    with R2Storage() as store:
        stored = store.upload_bytes(b"picture", "图 片/a+b.png", content_type="image/png")
        with urllib.request.urlopen(stored.url) as response:
            assert (response.read(), response.headers["content-type"]) == (b"picture", "image/png")
        with urllib.request.urlopen(store.presigned_url("图 片/a+b.png", expires=60)) as response:
            assert response.read() == b"picture"


def s3(**options: Any) -> Any:
    return boto3.client(
        "s3", config=boto3.session.Config(request_checksum_calculation="when_required"), **options
    )


def test_boto3_stores_reads_lists_and_deletes(box: Sandbox) -> None:
    client = s3()
    client.put_object(Bucket="pictures", Key="a/1.txt", Body=b"one", Metadata={"who": "me"})
    client.put_object(Bucket="pictures", Key="b.txt", Body=b"two")
    found = client.get_object(Bucket="pictures", Key="a/1.txt")
    assert (found["Body"].read(), found["Metadata"]) == (b"one", {"who": "me"})
    listed = client.list_objects_v2(Bucket="pictures", Prefix="a/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["a/1.txt"]
    client.delete_object(Bucket="pictures", Key="a/1.txt")
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="pictures", Key="a/1.txt")


@pytest.mark.parametrize(
    ("options", "bucket", "code"),
    [
        ({}, "no-such-bucket", "NoSuchBucket"),
        ({"aws_access_key_id": "other", "aws_secret_access_key": "x"}, "pictures", "InvalidAcc"),
        (
            {"aws_access_key_id": "sandbox-key", "aws_secret_access_key": "x"},
            "pictures",
            "SignatureDoesNotMatch",
        ),
    ],
)
def test_a_wrong_bucket_or_secret_is_refused(
    box: Sandbox, options: dict[str, str], bucket: str, code: str
) -> None:
    with pytest.raises(ClientError, match=code):
        s3(**options).put_object(Bucket=bucket, Key="k", Body=b"x")


def test_a_wrong_secret_of_bedrock_is_refused(box: Sandbox) -> None:
    keys = {"aws_access_key_id": "sandbox-key", "aws_secret_access_key": "x"}
    refused = pytest.raises(errors.ProviderError, match="signature")
    with ChatClient("bedrock", max_retries=0, **keys) as client, refused:
        client.chat(ASK)


def test_the_openai_sdk_finds_the_sandbox_by_itself(box: Sandbox) -> None:
    box.reply("scripted")
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(model="gpt-6-luna", messages=ASK)  # type: ignore[call-overload]
        assert answer.choices[0].message.content == "scripted"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nope", messages=ASK)  # type: ignore[call-overload]


def test_the_google_sdk_finds_the_sandbox_by_itself(box: Sandbox) -> None:
    from google import genai

    box.reply("scripted")
    client = genai.Client()
    assert (
        client.models.generate_content(model="gemini-3.8-flash", contents="hi").text == "scripted"
    )
    client.close()


def test_boto3_finds_bedrock_by_itself(box: Sandbox) -> None:
    box.reply("scripted")
    answer = boto3.client("bedrock-runtime").converse(
        modelId="global.anthropic.claude-sonnet-4-6",
        messages=[{"role": "user", "content": [{"text": "hi"}]}],
    )
    assert answer["output"]["message"]["content"][-1]["text"] == "scripted"


def test_threads_share_one_sandbox(box: Sandbox) -> None:
    box.reply(lambda prompt: prompt.text, times=None)
    said: list[str] = []
    with ChatClient("deepseek") as client:

        def talk(number: int) -> None:
            messages = [{"role": "user", "content": str(number)}]
            said.append(client.chat(messages).content)

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(map(int, said)) == list(range(16))


def test_it_starts_without_the_vendors_sdks() -> None:
    script = (
        "import sys\nfrom aigc_kit.sandbox import Sandbox\n"
        "with Sandbox() as box:\n    box.environment()\n"
        "print([n for n in ('openai', 'google.genai', 'boto3', 'httpx', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_chinese_prompt_is_drawn_as_chinese(box: Sandbox) -> None:
    """The letters of two prompts of equal length differ, so they are not boxes or escapes."""
    font = cjk_font(40)
    assert font is not None
    glyphs = {bytes(font.getmask(letter)) for letter in "橘猫熊鱼"}
    assert len(glyphs) == 4
    with ImageClient("gemini") as client:
        image = client.text_to_image("一只橘猫")
    assert sniff.mime_type(image.data)


def test_the_command_prints_what_environment_has(sandbox: Sandbox) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "aigc_kit", "sandbox", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    ports = re.compile(r":\d+")
    printed = {name: ports.sub(":P", value) for name, value in told["environment"].items()}
    own = {name: ports.sub(":P", value) for name, value in sandbox.environment().items()}
    assert printed == own


# ---- the SDKs as against the vendors


def store() -> Any:
    return boto3.client("s3", config=Config(signature_version="s3v4"))


def test_boto3_copies_ranges_and_lists(box: Sandbox) -> None:
    s3, bucket = store(), "pictures"
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", CacheControl="max-age=1")
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"})
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"hello"
    for wanted, text in (("bytes=-2", b"lo"), ("bytes=1-", b"ello"), ("bytes=1-2", b"el")):
        assert s3.get_object(Bucket=bucket, Key="k", Range=wanted)["Body"].read() == text
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["CacheControl"] == "max-age=1"
    assert head["LastModified"]
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"m/{number}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    assert [each["Key"] for page in pages for each in page["Contents"]] == [
        *("c", "k", "m/0", "m/1", "m/2")
    ]
    folded = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["m/"]


def test_what_s3_here_cannot_do_changes_nothing(box: Sandbox) -> None:
    s3, bucket = store(), "pictures"
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    for call, more in (
        (s3.put_object_acl, {"ACL": "public-read"}),
        (s3.put_object_tagging, {"Tagging": {"TagSet": []}}),
    ):
        with pytest.raises(ClientError, match="NotImplemented"):
            call(Bucket=bucket, Key="k", **more)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_large_uploads_of_boto3_come_in_parts(box: Sandbox) -> None:
    s3, data = store(), bytes(range(256)) * 40_000
    s3.upload_fileobj(io.BytesIO(data), "pictures", "big")
    assert s3.get_object(Bucket="pictures", Key="big")["Body"].read() == data
    begun = s3.create_multipart_upload(Bucket="pictures", Key="gone")
    where = {"Bucket": "pictures", "Key": "gone", "UploadId": begun["UploadId"]}
    s3.abort_multipart_upload(**where)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": []})


def test_the_stream_helper_of_openai_reads_responses(box: Sandbox) -> None:
    with openai.OpenAI().responses.stream(model="gpt-6-luna", input="hi there") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "You said: hi there"
    assert "response.content_part.done" in kinds


def test_a_schema_of_google_is_filled(box: Sandbox) -> None:
    from google import genai

    class Person(BaseModel):
        name: str
        age: int

    config = genai.types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Person
    )
    client = genai.Client()
    found = client.models.generate_content(model="gemini-3.8-flash", contents="hi", config=config)
    assert isinstance(found.parsed, Person)


@pytest.mark.parametrize("value", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_are_embedded(box: Sandbox, value: Any) -> None:
    found = openai.OpenAI().embeddings.create(model="text-embedding-3-small", input=value)
    assert len(found.data) == (1 if type(value[0]) is int else 2)


def test_a_completion_has_a_time_and_as_many_choices_as_were_asked_for(box: Sandbox) -> None:
    found = openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=ASK, n=2)
    assert [choice.index for choice in found.choices] == [0, 1]
    assert found.created > 1_700_000_000


def test_a_slip_in_a_tests_own_function_is_told(
    box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def slips(prompt: Prompt) -> str:
        raise ValueError("my bug")

    box.reply(slips)
    with (
        ChatClient("deepseek", max_retries=0) as client,
        pytest.raises(errors.ServerError, match="ValueError: my bug"),
    ):
        client.chat(ASK)
    assert "my bug" in caplog.text


def test_no_store_of_the_developer_is_reached(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in ("OSS", "COS", "TOS", "MINIO"):
        monkeypatch.setenv(f"{store}_BUCKET", "prod-images-1250000000")
        monkeypatch.setenv(f"{store}_REGION", "cn-hangzhou")
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "real")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://real.openai.azure.com")
    with sandbox.environment():
        with pytest.raises(errors.ConfigurationError):
            OSSStorage()
        azure = openai.AzureOpenAI(api_version="2025-01-01")
        assert azure.base_url.host == "127.0.0.1"
    assert os.environ["OSS_BUCKET"] == "prod-images-1250000000"
