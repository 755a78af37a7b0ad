"""What a response, a connection, a resolver and a log may do to a process."""

from __future__ import annotations

import base64
import io
import json
import logging
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.transport import addresses, network
from aigc_kit.transport.download import Downloader, DownloadError
from tests.images import make
from tests.wire import Wire, http, until

ASK = [{"role": "user", "content": "hello"}]
KEY = "sk-test/key+0123456789=="


def chat_body(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }


def chat(server: Wire, provider: str = "openai_compat", **options: Any) -> ChatClient:
    own = {
        "gemini": {"model": "gemini-3.8-flash"},
        "bedrock": {"model": "global.anthropic.claude-sonnet-4-6"},
    }
    given = {"api_key": KEY, "base_url": server.url, "model": "m", "max_retries": 0, "timeout": 20}
    region = {"region": "us-east-1"} if provider == "bedrock" else {}
    return ChatClient(provider, **{**given, **own.get(provider, {}), **region, **options})


def packed(size: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [squeeze.compress(b'{"choices":[')]
    pieces += [squeeze.compress(b"[]," * 333_333) for _ in range(size)]
    return b"".join([*pieces, squeeze.compress(b"[]]}"), squeeze.flush()])


@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_chats_response_has_a_limit_that_fits_it(
    wire: Wire, provider: str, compressed: bool
) -> None:
    """38 KB of unrequested compression hold 40 MB."""
    if compressed:
        wire.script(
            http(
                200,
                packed(40),
                headers={"content-encoding": "gzip", "content-type": "application/json"},
            )
        )
    else:
        body = b'{"choices":[' + b"[]," * 6_000_000 + b"[]]}"
        wire.script(http(200, body, headers={"content-type": "application/json"}))
    with (
        chat(wire, provider) as client,
        pytest.raises(errors.InvalidReplyError, match="longer than"),
    ):
        client.chat(ASK)


def test_a_compressed_chat_of_ordinary_size_is_read(wire: Wire) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = squeeze.compress(json.dumps(chat_body("hi")).encode()) + squeeze.flush()
    wire.script(
        http(200, body, headers={"content-encoding": "gzip", "content-type": "application/json"})
    )
    with chat(wire) as client:
        assert client.chat(ASK).content == "hi"


# ---- bytes behind a response


def answer(provider: str, text: str) -> dict[str, Any]:
    if provider == "gemini":
        return {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}
            ]
        }
    if provider == "bedrock":
        message = {"role": "assistant", "content": [{"text": text}]}
        return {
            "output": {"message": message},
            "stopReason": "end_turn",
            "usage": {},
            "metrics": {"latencyMs": 1},
        }
    return chat_body(text)


@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
@pytest.mark.parametrize(
    "kind", ["second response", "longer body", "behind the last chunk", "while idle"]
)
def test_each_caller_gets_its_own_answer(wire: Wire, provider: str, kind: str) -> None:
    """https://github.com/benoitc/hackney/pull/885"""
    foreign = http(200, answer(provider, "for somebody else"))

    def reply(request: bytes) -> list[Any]:
        name = next(name for name in ("alice", "bob", "carol") if name in request.decode())
        mine = answer(provider, f"for {name}")
        text = json.dumps(mine).encode()
        if len(wire.requests) > 1:
            return [http(200, mine)]
        if kind == "second response":
            return [http(200, mine) + foreign]
        if kind == "longer body":
            return [http(200, mine) + b"x" * 50 + foreign]
        if kind == "while idle":
            return [http(200, mine), 0.1, foreign]
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        return [head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text) + foreign]

    wire.scripts.append(reply)
    with chat(wire, provider) as client:
        for name in ("alice", "bob", "carol"):
            assert client.chat([{"role": "user", "content": name}]).content == f"for {name}"
            if kind == "while idle":
                time.sleep(0.25)


# ---- names


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that hangs over every ``.example`` until the event is set."""
    real, go_on = socket.getaddrinfo, threading.Event()

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith(".example"):
            go_on.wait(20)
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield go_on
    go_on.set()
    assert until(lambda: not network._running)


@pytest.mark.parametrize("same", [True, False])
def test_a_hung_resolver_does_not_pile_up_threads(hung: threading.Event, same: bool) -> None:
    before = threading.active_count()
    for number in range(40):
        with pytest.raises(TimeoutError):
            network.addresses("hung.example" if same else f"hung-{number}.example", 80, 0.01)
    assert threading.active_count() - before <= (1 if same else network.MOST)
    hung.set()
    assert until(lambda: not network._running)
    assert "127.0.0.1" in network.addresses("localhost", 80, 5.0)


def test_other_names_are_found_meanwhile(hung: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        network.addresses("hung.example", 80, 0.01)
    assert "127.0.0.1" in network.addresses("localhost", 80, 5.0)


# ---- what is said


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "api_key": None,
            "aws_access_key_id": "AKIDTEST12345678",
            "aws_secret_access_key": "secret/secret+01",
        },
    ],
)
def test_botocores_debug_log_holds_no_secret(wire: Wire, options: dict[str, Any]) -> None:
    """The application logs everything; URL and status are still logged."""
    prompt, image = "a very private wish " * 6, base64.b64encode(make(size=(64, 64))).decode()
    content = [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
    ]
    wire.script(http(200, answer("bedrock", "ok")))
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with chat(wire, "bedrock", **options) as client:
            client.chat([{"role": "user", "content": content}])
        logging.getLogger("botocore.endpoint").debug("of the application's own")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    signature = wire.requests[0].decode("latin-1").partition("Signature=")[2][:64] or "\0"
    for secret in (
        prompt.strip(),
        image[:60],
        KEY,
        "AKIDTEST12345678",
        "secret/secret+01",
        signature,
    ):
        assert secret not in said.getvalue()
    assert "of the application's own" in said.getvalue()


@pytest.mark.parametrize(
    "written",
    [KEY, KEY.replace("/", "\\/"), KEY.replace("/", "\\u002f"), "sk-test%2Fkey%2B0123456789%3D%3D"],
)
@pytest.mark.parametrize("place", ["message", "code", "a name", "request id", "text", "nested"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_an_error_repeats_is_not_shown(
    wire: Wire, written: str, place: str, status: int
) -> None:
    """However it was written. https://www.php.net/manual/en/function.json-encode.php"""
    headers = {"x-request-id": KEY} if place == "request id" else {}
    body = {
        "message": '{"error": {"message": "bad key %s", "code": "x"}}',
        "code": '{"error": {"message": "bad", "code": "%s"}}',
        "a name": '{"error": {"message": "bad", "code": "x"}, "%s": 1}',
        "request id": '{"error": {"message": "bad %s", "code": "x"}}',
        "text": "bad key %s",
        "nested": '{"error": {"message": "bad", "details": [{"a": ["%s"]}]}}',
    }[place] % written
    wire.script(http(status, body.encode(), headers=headers))
    with (
        ImageClient("volcengine", api_key=KEY, base_url=wire.url, max_retries=0) as images,
        pytest.raises(errors.ProviderError) as caught,
    ):
        images.text_to_image("x")
    error: BaseException | None = caught.value
    while error is not None:
        shown = f"{error} {error!r} {vars(error)}"
        assert KEY not in shown
        assert "sk-test%2Fkey" not in shown
        error = error.__cause__ or error.__context__


# ---- whom downloads reach


@pytest.mark.parametrize(
    "address",
    [
        "100.96.0.96",
        "::ffff:100.96.0.96",
        "64:ff9b::6460:60",
        "64:ff9b:1::6460:60",
        "2002:6460:60::1",
        "::6460:60",
        "100.100.100.200",
        "169.254.169.254",
        "169.254.0.23",
        "fe80::a9fe:a9fe",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "168.63.129.16",
        "::ffff:0:a9fe:a9fe",
    ],
)
def test_no_metadata_service_is_ever_reached(address: str) -> None:
    """https://github.com/volcengine/volcengine-go-sdk"""
    assert addresses.forbidden(address, private_allowed=True)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.1.1", "fd12::1", "100.64.0.1", "127.0.0.1"]
)
def test_an_intranet_is_reached_when_it_is_allowed(address: str) -> None:
    assert addresses.forbidden(address)
    assert not addresses.forbidden(address, private_allowed=True)


@pytest.mark.parametrize(
    ("path", "fetched"),
    [
        ("/b/a.png", True),
        ("/b/aigc/%E7%8C%AB.png", True),
        ("/b", False),
        ("/bb/a.png", False),
        ("/b/../secret", False),
        ("/b/%2e%2e/secret", False),
        ("/b/..%2fsecret", False),
        ("/b/%252e%252e/x", False),
        ("/minio/metrics", False),
        ("/", False),
    ],
)
def test_a_trusted_base_opens_what_is_below_it_alone(wire: Wire, path: str, fetched: bool) -> None:
    wire.script(http(200, make()))
    downloader = Downloader(bases=[wire.url + "/b"])
    try:
        if fetched:
            assert downloader.fetch(wire.url + path, timeout=5).data
            with pytest.raises(
                DownloadError, match="refused"
            ):  # not over the connection that is open
                downloader.fetch(wire.url + "/other", timeout=5)
        else:
            with pytest.raises(DownloadError, match="refused"):
                downloader.fetch(wire.url + path, timeout=5)
            assert wire.requests == []
    finally:
        downloader.close()


def test_downloads_go_through_a_proxy_when_told_to(wire: Wire) -> None:
    """The proxy looks the name up; what is known here is refused here."""
    wire.script(http(200, make()))
    downloader = Downloader(proxy=wire.url, resolve=lambda host, port: ["8.8.8.8"])
    inside = Downloader(proxy=wire.url, resolve=lambda host, port: ["169.254.169.254"])
    try:
        assert downloader.fetch("http://images.example.com/a.png", timeout=5).data == make()
        assert wire.requests[0].startswith(b"GET http://images.example.com/a.png ")
        with pytest.raises(DownloadError, match="refused"):
            inside.fetch("http://metadata.example.com/a.png", timeout=5)
    finally:
        downloader.close()
        inside.close()
    assert len(wire.requests) == 1
