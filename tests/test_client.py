"""Clients in other processes: pickled, forked, left open; and what an error takes along."""

from __future__ import annotations

import base64
import contextlib
import inspect
import logging
import multiprocessing
import os
import pickle
import traceback
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from google.oauth2.credentials import Credentials

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.image.volcengine.provider import VolcengineProvider
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage, S3Storage
from tests.images import make
from tests.wire import AMPLE

CANARY = "canary-7f3a91c2d4"
CHATS = [
    "openai",
    "deepseek",
    "glm",
    "volcengine",
    "moonshot",
    "dashscope",
    "openai_compat",
    "gemini",
    "bedrock",
]
ASK = [{"role": "user", "content": "hello"}]


def chat_client(sandbox: Sandbox, name: str, **options: Any) -> ChatClient:
    own = {"model": "local"} if name == "openai_compat" else {}
    return ChatClient(name, **{**sandbox.chat_options(name), **own, "timeout": AMPLE, **options})


# ---- pickle


@pytest.mark.parametrize("name", CHATS)
def test_chat_clients_are_pickled(sandbox: Sandbox, name: str) -> None:
    """The copy works, also when the original was used and closed."""
    with chat_client(sandbox, name) as client:
        client.chat(ASK)
        stored = pickle.dumps(client)
    with pickle.loads(stored) as copy:
        assert copy.chat(ASK).content == "You said: hello"


@pytest.mark.parametrize("name", ["volcengine", "gemini"])
def test_image_clients_are_pickled(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    """With their storage and spool."""
    options = sandbox.image_options(name)
    client = ImageClient(
        name, storage=LocalStorage(tmp_path), spool_dir=tmp_path / "spool", **options
    )
    with client, pickle.loads(pickle.dumps(client)) as copy:
        assert copy.text_to_image("a cat").url


def test_keys_of_the_environment_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickle has the variables' work to do again, not their values."""
    for name in (
        "ARK_API_KEY",
        "DEEPSEEK_API_KEY",
        "R2_ACCESS_KEY_ID",
        "R2_ACCESS_KEY_SECRET",
        "AWS_BEARER_TOKEN_BEDROCK",
    ):
        monkeypatch.setenv(name, f"{CANARY}-1")
    storage = R2Storage(
        endpoint="https://r2.example.com", bucket="b", public_domain="a.example.com"
    )
    with (
        ImageClient("volcengine", storage=storage) as images,
        ChatClient("deepseek") as deepseek,
        ChatClient("bedrock", region="us-east-1") as bedrock,
    ):
        raw = pickle.dumps([images, deepseek, bedrock])
    assert CANARY.encode() not in raw
    monkeypatch.setenv("ARK_API_KEY", "another")
    for copy in pickle.loads(raw):
        if isinstance(copy, ImageClient):
            assert isinstance(copy.provider, VolcengineProvider)
            assert copy.provider._secrets[0].reveal() == "another"
        copy.close()


def test_signatures_are_those_of_the_constructors() -> None:
    """Editors and ``help`` show the parameters."""
    assert list(inspect.signature(R2Storage).parameters)[:3] == [
        "access_key_id",
        "access_key_secret",
        "endpoint",
    ]
    assert "storage" in inspect.signature(ImageClient).parameters
    assert "messages" in inspect.signature(ChatClient.chat).parameters


# ---- fork


def in_fork(work: Any) -> str:
    """What the work gives back in a forked child, or how it failed."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # threads beside a fork: that is the test
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("name", ["openai", "gemini", "bedrock"])
def test_clients_survive_a_fork(sandbox: Sandbox, name: str) -> None:
    """Parent and child go on with the same client, each over connections of its own."""
    with chat_client(sandbox, name) as client:
        assert client.chat(ASK).content
        for number in range(3):
            said = in_fork(lambda: client.chat([{"role": "user", "content": "child"}]).content)
            assert said == "You said: child"
            assert (
                client.chat([{"role": "user", "content": f"parent {number}"}]).content
                == f"You said: parent {number}"
            )


def test_a_storage_survives_a_fork(s3_server: str) -> None:
    """So do S3 clients."""
    boto3.client(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    ).create_bucket(Bucket="forked")
    storage = S3Storage(
        "forked",
        endpoint_url=s3_server,
        region="us-east-1",
        access_key_id="a",
        secret_access_key="b",
    )
    storage.upload_bytes(b"parent", "one", content_type="text/plain")
    assert (
        in_fork(lambda: storage.upload_bytes(b"child", "two", content_type="text/plain").size)
        == "5"
    )
    assert storage.exists("two")
    storage.close()


def _square(client: ChatClient, text: str) -> str:
    return client.chat([{"role": "user", "content": text}]).content


def test_clients_travel_to_spawned_processes(sandbox: Sandbox) -> None:
    """As ``ProcessPoolExecutor`` sends them."""
    with (
        chat_client(sandbox, "deepseek") as client,
        multiprocessing.get_context("spawn").Pool(1) as pool,
    ):
        assert pool.apply(_square, (client, "far")) == "You said: far"


# ---- left open


@pytest.mark.parametrize("kind", [ChatClient, ImageClient])
def test_open_clients_warn(kind: Any) -> None:
    """``ResourceWarning``, and the connections are closed all the same."""
    made = [kind("volcengine", api_key="k")]
    with pytest.warns(ResourceWarning, match="was not closed"):
        made.clear()


# ---- secrets


@pytest.fixture
def everything_said(capfd: Any, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """All that is logged at the lowest level, warned or printed."""
    said: list[str] = []
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [record.getMessage() for record in caplog.records if record.name.startswith("aigc_kit")]
    said += [str(warning.message) for warning in caught]
    captured = capfd.readouterr()
    said += [captured.out, captured.err]
    for text in said:
        assert CANARY not in text


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it carries along."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__]


def said(error: BaseException) -> str:
    """The messages and the fields."""
    return "\n".join(f"{each} {each!r} {vars(each)!r}" for each in chain(error))


def shown(error: BaseException) -> str:
    """
    What tools show of an error: messages, fields, and the locals of every frame but the test's own.
    """
    texts = [said(error)]
    for each in chain(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "/tests/" in frame.f_code.co_filename:
                continue
            for name, value in frame.f_locals.items():
                with contextlib.suppress(Exception):
                    texts.append(f"{frame.f_code.co_name} {name}={value!r}")
    return "\n".join(texts)


FAILURES: list[tuple[int, Any]] = [
    (
        401,
        {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": "invalid_api_key"}},
    ),
    (400, {"error": {"message": "picture " + "QUJD" * 80}}),
    (200, b"<html>" + CANARY.encode()),
    (500, CANARY.encode()),
    (200, {"error": CANARY}),
]


@pytest.mark.parametrize(("status", "body"), FAILURES)
@pytest.mark.parametrize("name", CHATS)
def test_no_chat_error_shows_a_secret(
    sandbox: Sandbox, everything_said: list[str], name: str, status: int, body: Any
) -> None:
    """Neither the key nor the image in a message, even if the vendor repeats them."""
    options: dict[str, Any] = {"api_key": CANARY}
    if name == "gemini":
        options = {"credentials": Credentials(token=CANARY)}
    if name == "bedrock":
        options = {
            "aws_access_key_id": "AKIAX",
            "aws_secret_access_key": CANARY,
            "aws_session_token": CANARY,
        }
    image = base64.b64encode(make(side=90)).decode()
    content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}]
    with chat_client(sandbox, name, max_retries=0, **options) as client:
        assert CANARY not in repr(client) + repr(client.provider) + repr(vars(client.provider))
        for call in (client.chat, lambda messages: list(client.chat_stream(messages))):
            sandbox.answer(status, body)
            with pytest.raises(errors.AIGCError) as caught:
                call([{"role": "user", "content": content}])
            text = shown(caught.value)
            assert CANARY not in text
            assert image[:200] not in said(caught.value)


@pytest.mark.parametrize(("status", "body"), FAILURES)
@pytest.mark.parametrize("name", ["volcengine", "gemini"])
def test_no_image_error_shows_a_secret(
    sandbox: Sandbox, everything_said: list[str], tmp_path: Path, name: str, status: int, body: Any
) -> None:
    """Neither key nor reference, in memory, in the spool, or in what the sandbox wrote down."""
    options: dict[str, Any] = {**sandbox.image_options(name), "max_retries": 0}
    options |= (
        {"credentials": Credentials(token=CANARY)} if name == "gemini" else {"api_key": CANARY}
    )
    reference = make(side=90)
    coded = base64.b64encode(reference).decode()
    with ImageClient(
        name, storage=LocalStorage(tmp_path), spool_dir=tmp_path / "spool", **options
    ) as client:
        sandbox.answer(status, body)
        with pytest.raises(errors.AIGCError) as caught:
            client.image_to_image("a cat", reference_images=reference)
        text = shown(caught.value)
        assert CANARY not in text
        assert coded[:200] not in said(caught.value)
        assert CANARY not in repr(client) + repr(vars(client)) + repr(vars(client.provider))
    assert CANARY not in repr(sandbox.requests)


@pytest.mark.parametrize(
    "make_client",
    [
        lambda: ImageClient("volcengine", api_key=CANARY, timeout=-1),
        lambda: ImageClient("volcengine", api_key=CANARY, api_kye=CANARY),
        lambda: ImageClient("gemini", api_key=CANARY, project="p", credentials="x"),
        lambda: ImageClient(
            ["gemini", "ark"], ark={"api_key": CANARY, "timeout": -1}, gemini={"api_key": CANARY}
        ),
        lambda: ChatClient("deepseek", api_key=CANARY, timeout=-1),
        lambda: ChatClient(
            "bedrock",
            region="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key=CANARY,
            timeout=-1,
        ),
        lambda: ChatClient("nobody", api_key=CANARY),
        lambda: ChatClient("deepseek", api_key=CANARY + "\x00"),
        lambda: ChatClient("openai", api_key="k", base_url=f"https://user:{CANARY}@host"),
        lambda: R2Storage("id", CANARY, "no address", "b", "d"),
        lambda: S3Storage("b", access_key_id="a", secret_access_key=CANARY, timeout=-1),
        lambda: VolcengineProvider(api_key=CANARY, size_policy="x"),
    ],
)
def test_no_constructor_shows_a_secret(make_client: Any) -> None:
    """Options that make no sense, next to a key that does."""
    with pytest.raises(errors.AIGCError) as caught:
        make_client().close()
    assert CANARY not in shown(caught.value)


def test_a_failed_upload_shows_no_secret(closed_port: int, everything_said: list[str]) -> None:
    """Keys, bytes and signatures stay inside."""
    storage = R2Storage(
        "AKIAX", CANARY, f"http://127.0.0.1:{closed_port}", "b", "assets.example.com", max_retries=0
    )
    with pytest.raises(errors.StorageError) as caught:
        storage.upload_bytes(b"data", "key", content_type="text/plain")
    assert CANARY not in shown(caught.value) + repr(storage)
    storage.close()


def test_presigned_queries_are_not_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    """A vendor's link that failed is named without its signature."""
    with ImageClient(
        "volcengine",
        storage=LocalStorage(tmp_path),
        keep_urls=True,
        **sandbox.image_options("volcengine"),
    ) as client:
        link = f"{sandbox.url}/ark-content/gone.png?X-Tos-Signature={CANARY}"
        sandbox.answer(200, {"data": [{"url": link}]})
        with pytest.raises(errors.StorageError) as caught:
            client.text_to_image("a cat")
        assert CANARY not in str(caught.value) + repr(caught.value) + repr(caught.value.result)
        with pytest.raises(errors.ReferenceImageError) as refused:
            client.image_to_image(
                "a cat", reference_images=f"http://169.254.169.254/x?sig={CANARY}"
            )
        assert CANARY not in str(refused.value)


@pytest.mark.parametrize("name", [*CHATS, "volcengine images"])
def test_a_failed_connection_shows_no_key_in_any_frame(name: str, closed_port: int) -> None:
    """Below the SDKs headers are plain bytes."""
    where = {"base_url": f"http://127.0.0.1:{closed_port}/v1", "max_retries": 0}
    options: dict[str, Any] = {"api_key": CANARY}
    if name == "gemini":
        options = {"credentials": Credentials(token=CANARY), "project": "p"}
    if name == "bedrock":
        options = {
            "aws_access_key_id": "AKIAX",
            "aws_secret_access_key": CANARY,
            "aws_session_token": CANARY,
        }
        options["region"] = "us-east-1"
    headers = {"X-Api-Token": CANARY}
    if name == "volcengine images":
        client: Any = ImageClient("volcengine", **where, **options)
        call = partial(client.text_to_image, "a cat", extra_headers=headers)
    else:
        client = ChatClient(name, model="m", **where, **options)
        call = partial(client.chat, ASK, extra_headers=headers)
    with client, pytest.raises(errors.ConnectionFailedError) as caught:
        call()
    assert CANARY not in shown(caught.value)


def test_tracebacks_keep_their_locals(sandbox: Sandbox) -> None:
    """Debuggers and error reporters see what a call was made with."""
    with chat_client(sandbox, "deepseek", max_retries=0) as client:
        sandbox.answer(500, {"error": {"message": "down"}})
        with pytest.raises(errors.ServerError) as caught:
            client.chat(ASK, temperature=0.5)
    held = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert any("deadline" in names for names in held)
    assert all(names for names in held)


def test_a_client_whose_constructor_failed_can_be_shown() -> None:
    """Error reporters show ``self`` of each frame."""
    for kind in (ImageClient, ChatClient, S3Storage):
        assert repr(kind.__new__(kind)) == f"<{kind.__name__} that was not made>"


class Branded(ChatClient):
    """An application's subclass with a constructor of its own."""

    def __init__(self, brand: str, url: str) -> None:
        super().__init__("openai_compat", model="m", base_url=url)
        self.brand = brand


def test_a_subclass_of_an_application_is_pickled(sandbox: Sandbox) -> None:
    """With what its constructor has added."""
    with Branded("acme", sandbox.url) as client, pickle.loads(pickle.dumps(client)) as copy:
        assert (type(copy), copy.brand) == (Branded, "acme")
