"""The sandbox itself: scripts, records, and that it is as strict as the vendors."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.drawing import draw
from tests.tls import certificate
from tests.wire import until

HEADERS = {"authorization": "Bearer sandbox-key"}
GEMINI = "/v1beta1/projects/p/locations/global/publishers/google/models/"


def ark(sandbox: Sandbox, **body: Any) -> httpx.Response:
    body = {"model": "doubao-seedream-4-5-251128", "prompt": "x", **body}
    return httpx.post(
        f"{sandbox.ark_url}/images/generations", headers=HEADERS, json=body, trust_env=False
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"size": "1024x1024"}, 400, "InvalidParameter"),
        ({"size": "1K"}, 400, "InvalidParameter"),
        ({"size": "5000x5000"}, 400, "InvalidParameter"),
        ({"size": "20000x400"}, 400, "InvalidParameter"),
        ({"size": "adaptive"}, 400, "InvalidParameter"),
        ({"model": "doubao-seedream-4-5"}, 404, "InvalidEndpointOrModel.NotFound"),
        ({"model": ""}, 400, "MissingParameter"),
        ({"prompt": None}, 400, "MissingParameter"),
        ({"image": ["https://x/y.png"] * 15}, 400, "InvalidParameter"),
        ({"image": "http://x/y.png"}, 400, "InvalidImageURL.InvalidFormat"),
        ({"image": "data:image/PNG;base64,aaaa"}, 400, "InvalidImageURL.InvalidFormat"),
        ({"image": "data:image/png;base64,???"}, 400, "InvalidImageURL.InvalidFormat"),
        ({"image": [5]}, 400, "InvalidImageURL.InvalidFormat"),
        ({"prompt": "[违规]"}, 400, "InputTextSensitiveContentDetected"),
        (
            {
                "model": "doubao-seedream-5-0-pro-260628",
                "size": "2K",
                "sequential_image_generation": "disabled",
            },
            400,
            "InvalidParameter.UnsupportedParameter",
        ),
        (
            {
                "sequential_image_generation": "auto",
                "sequential_image_generation_options": {"max_images": 16},
            },
            400,
            "InvalidParameter",
        ),
    ],
)
def test_ark_refuses_what_ark_refuses(
    sandbox: Sandbox, body: dict[str, Any], status: int, code: str
) -> None:
    """In Ark's words, with a request id in message and header."""
    reply = ark(sandbox, **body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert f"Request id: {reply.headers['x-request-id']}" in error["message"]


def test_ark_wants_its_key(sandbox: Sandbox) -> None:
    """401 without it, and JSON or nothing."""
    url = f"{sandbox.ark_url}/images/generations"
    assert httpx.post(url, json={}, trust_env=False).status_code == 401
    assert (
        httpx.post(url, headers=HEADERS, content=b"{", trust_env=False).json()["error"]["code"]
        == "InvalidParameter"
    )
    assert httpx.post(url, headers=HEADERS, json=[], trust_env=False).status_code == 400


def test_arks_links(sandbox: Sandbox) -> None:
    """GET with the whole query and without credentials; nothing else."""
    url = ark(sandbox).json()["data"][0]["url"]
    assert httpx.get(url, trust_env=False).headers["content-type"] == "image/jpeg"
    assert httpx.head(url, trust_env=False).status_code == 403
    assert httpx.get(url.split("?")[0], trust_env=False).status_code == 403
    assert httpx.get(url, headers=HEADERS, trust_env=False).status_code == 403
    assert httpx.get(f"{sandbox.url}/ark-content/none.jpeg", trust_env=False).status_code == 404


def test_the_watermark_is_on_unless_switched_off(sandbox: Sandbox) -> None:
    """As Ark does."""
    with_mark, without = (
        httpx.get(ark(sandbox, watermark=mark).json()["data"][0]["url"], trust_env=False).content
        for mark in (True, False)
    )
    assert with_mark != without


def gemini(sandbox: Sandbox, model: str, body: Any, **options: Any) -> httpx.Response:
    url = f"{sandbox.url}{GEMINI}{model}:generateContent"
    return httpx.post(
        url, **{"headers": HEADERS, "trust_env": False, "content": json.dumps(body), **options}
    )


ASK = [{"role": "user", "parts": [{"text": "x"}]}]
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        ("gemini-3-pro-image", {"contents": []}, 400),
        (
            "gemini-3-pro-image",
            {"contents": ASK, "generationConfig": {"imageConfig": {"aspectRatio": "5:3"}}},
            400,
        ),
        (
            "gemini-3-pro-image",
            {"contents": ASK, "generationConfig": {"imageConfig": {"aspectRatio": "1:8"}}},
            400,
        ),
        (
            "gemini-3-pro-image",
            {"contents": ASK, "generationConfig": {"imageConfig": {"imageSize": "2k"}}},
            400,
        ),
        ("gemini-3-pro-image", {"contents": ASK, "generationConfig": {"candidateCount": 2}}, 400),
        (
            "gemini-2.5-flash-image",
            {"contents": ASK, "generationConfig": {"imageConfig": {"imageSize": "1K"}}},
            400,
        ),
        (
            "gemini-2.5-flash-image",
            {"contents": ASK, "generationConfig": {"thinking_config": {}}},
            400,
        ),
        ("gemini-2.5-flash-image", {"contents": [{"parts": [{"text": "x"}, *[IMAGE] * 4]}]}, 400),
        (
            "gemini-3-pro-image",
            {
                "contents": [
                    {"parts": [{"inline_data": {"mime_type": "image/gif", "data": "aaaa"}}]}
                ]
            },
            400,
        ),
        (
            "gemini-3-pro-image",
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]},
            400,
        ),
        (
            "gemini-3-pro-image",
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}]},
            400,
        ),
        ("gemini-3-pro-image-preview", {"contents": ASK}, 404),
        (
            "gemini-3.1-flash-image",
            {
                "contents": ASK,
                "generationConfig": {"imageConfig": {"aspectRatio": "1:8", "imageSize": "512"}},
            },
            200,
        ),
    ],
)
def test_gemini_refuses_what_gemini_refuses(
    sandbox: Sandbox, model: str, body: Any, status: int
) -> None:
    """With a google.rpc.Status."""
    reply = gemini(sandbox, model, body)
    assert reply.status_code == status
    if status != 200:
        assert reply.json()["error"]["code"] == status


def test_gemini_wants_its_credentials(sandbox: Sandbox) -> None:
    """A token on Vertex, a key elsewhere, JSON, a method that exists."""
    assert (
        gemini(sandbox, "gemini-3-pro-image", {}, headers={}).json()["error"]["status"]
        == "UNAUTHENTICATED"
    )
    assert gemini(sandbox, "gemini-3-pro-image", {}, content=b"{").status_code == 400
    developer = f"{sandbox.url}/v1/models/gemini-3-pro-image"
    reply = httpx.post(f"{developer}:generateContent", json={}, trust_env=False)
    assert reply.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    reply = httpx.post(
        f"{developer}:embed", json={}, headers={"x-goog-api-key": "sandbox-key"}, trust_env=False
    )
    assert reply.status_code == 404


def test_unknown_paths(sandbox: Sandbox) -> None:
    """404 in JSON."""
    assert httpx.get(sandbox.url + "/x", trust_env=False).json()["error"]["code"] == "404"


def test_scripts_and_records(sandbox: Sandbox) -> None:
    """
    Replies in order, by path; credentials are masked in what is kept; chunked requests are read.
    """
    sandbox.answer(503, "busy", path="/images", times=1)
    sandbox.answer(200, [b"da", b"", b"ta"], headers={"X-A": "1"})
    assert httpx.get(sandbox.url + "/any", trust_env=False).content == b"data"
    assert ark(sandbox).text == "busy"
    assert sandbox.requests[1].headers["authorization"] == "***"
    httpx.post(sandbox.url + "/c?a=b", content=iter([b"x", b"y"]), trust_env=False)
    assert (sandbox.requests[2].body, sandbox.requests[2].query) == (b"xy", {"a": "b"})
    sandbox.reset()
    assert sandbox.requests == []


def threads_of(sandbox: Sandbox) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread.name == f"sandbox {urlsplit(sandbox.url).port}"
    ]


@pytest.mark.parametrize("secure", [False, True])
def test_a_closed_sandbox_leaves_no_thread(tmp_path: Path, secure: bool) -> None:
    """
    Not those that accept, wait for a request or a handshake, wait before the head, or send a body
    without an end.
    """
    tls, _ = certificate(tmp_path)
    with contextlib.ExitStack() as clients, Sandbox(tls=tls if secure else None) as sandbox:
        sandbox.answer(200, delay=3600, path="/late")
        sandbox.fail("endless", path="/endless")
        sandbox.fail("drip head", path="/drip")
        for path in ("", "/late", "/endless", "/drip"):
            client = clients.enter_context(
                socket.create_connection(("127.0.0.1", urlsplit(sandbox.url).port))
            )
            if path and not secure:
                client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        assert until(lambda: len(threads_of(sandbox)) == 5)
        assert secure or until(lambda: len(sandbox.requests) == 3)
        sandbox.close()
        assert threads_of(sandbox) == []


def test_drawings_are_deterministic() -> None:
    """
    The same words give the same bytes in every format; others do not; any size and script can be
    drawn.
    """
    assert draw("猫 cat", 300, 200) == draw("猫 cat", 300, 200) != draw("dog", 300, 200)
    for form in ("PNG", "JPEG", "WEBP"):
        assert Image.open(io.BytesIO(draw("x" * 900, 64, 900, form=form))).size == (64, 900)
    assert draw("", 16, 16)
    assert draw("\ud800", 16, 16)
