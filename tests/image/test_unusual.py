"""
Paid images in responses of an unusual shape: read where that is safe, else in ``error.result``.

https://github.com/CookSleep/gpt_image_playground/issues/133 https://github.com/awsl-project/maxx/issues/821
https://github.com/Bliveren/CrossGen/issues/110 https://github.com/MODSetter/SurfSense/issues/1496
https://github.com/open-webui/open-webui/issues/8209
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.image.unusual import look
from aigc_kit.storage import LocalStorage
from tests.images import make
from tests.wire import Wire, http

IMAGE = make(size=(40, 30)) + os.urandom(9000)
TEXT = base64.b64encode(IMAGE).decode()
URI = "data:image/png;base64," + TEXT
LINK = "https://files.example.com/a.png"


def gemini_body(*parts: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 1299},
    }


def inline(text: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": text}}


def lines(text: str, end: str = "\n") -> str:
    return end.join(text[at : at + 76] for at in range(0, len(text), 76))


def client(server: Wire, vendor: str, **options: Any) -> ImageClient:
    return ImageClient(
        vendor, api_key="k-123456", base_url=server.url, max_retries=0, timeout=20, **options
    )


def sse(*bodies: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


READ: list[tuple[str, Any]] = [
    ("gemini", gemini_body(inline(TEXT))),
    ("gemini", gemini_body(inline(URI))),
    ("gemini", gemini_body(inline(lines(TEXT)))),
    ("gemini", gemini_body(inline(lines(TEXT, " ")))),
    ("gemini", gemini_body(inline("data:image/png;base64,\r\n" + lines(TEXT, "\r\n")))),
    ("gemini", gemini_body({"text": f"Here it is\n![image]({URI})\nas you wished"})),
    ("gemini", [gemini_body(inline(TEXT))]),
    ("gemini", sse(gemini_body({"text": "Here"}), gemini_body(inline(TEXT)))),
    (
        "gemini",
        b"\n".join(
            json.dumps(gemini_body(part)).encode() for part in ({"text": "x"}, inline(TEXT))
        ),
    ),
    ("gemini", {"created": 1, "data": [{"b64_json": TEXT}]}),
    ("gemini", {"images": [{"image_url": {"url": URI}}]}),
    ("gemini", {"predictions": [{"bytesBase64Encoded": TEXT, "mimeType": "image/png"}]}),
    (
        "gemini",
        {"choices": [{"message": {"content": "", "images": [{"image_url": {"url": URI}}]}}]},
    ),
    ("gemini", {"choices": [{"message": {"content": f"![x]({URI})"}}]}),
    ("gemini", IMAGE),
    ("volcengine", {"data": [{"url": URI}]}),
    ("volcengine", {"data": [{"b64_json": URI}]}),
    ("volcengine", {"data": [{"b64_json": lines(TEXT)}]}),
    ("volcengine", {"data": [{"image_url": URI}]}),
    ("volcengine", {"data": [URI]}),
    ("volcengine", {"data": {"b64_json": TEXT}}),
    ("volcengine", {"data": {"images": [{"base64": TEXT}]}}),
    ("volcengine", {"images": [URI]}),
    ("volcengine", {"images": [{"b64_json": TEXT}]}),
    ("volcengine", {"output": [{"b64_json": TEXT}]}),
    ("volcengine", [{"data": [{"b64_json": TEXT}]}]),
    ("volcengine", [{"b64_json": TEXT}]),
    ("volcengine", sse({"data": [{"b64_json": TEXT}]})),
    (
        "volcengine",
        sse({"type": "image_generation.partial_succeeded", "image_index": 0, "b64_json": TEXT}),
    ),
    ("volcengine", {"choices": [{"message": {"content": f"![x]({URI})"}}]}),
    ("volcengine", IMAGE),
]


@pytest.mark.parametrize(("vendor", "body"), READ)
def test_an_image_is_read_whatever_its_frame(wire: Wire, vendor: str, body: Any) -> None:
    wire.script(http(200, body if isinstance(body, bytes) else json.dumps(body).encode()))
    with client(wire, vendor) as made:
        result = made.text_to_image("a cat")
    assert result.data == IMAGE
    assert (result.width, result.height) == (40, 30)
    json.dumps(result.metadata)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_content_type_may_lie(wire: Wire, streamed: bool) -> None:
    """Events where JSON was asked for, and the reverse."""
    body = {"data": [{"b64_json": TEXT}]}
    kind = "text/event-stream" if streamed else "application/json"
    wire.script(
        http(
            200,
            sse(body) if streamed else json.dumps(body).encode(),
            headers={"content-type": kind},
        )
    )
    with client(wire, "volcengine") as made:
        assert made.text_to_image("a cat", stream=not streamed).data == IMAGE


@pytest.mark.parametrize(
    "url",
    ["HTTP{0}/a.png", " http{0}/a.png\n", "/a.png"],
)
@pytest.mark.parametrize("name", ["data", "images"])
def test_a_link_is_understood_however_it_is_written(
    wire: Wire, tmp_path: Path, url: str, name: str
) -> None:
    link = url.format(wire.url.removeprefix("http"))
    wire.scripts.append(
        lambda request: [
            http(200, IMAGE)
            if request.startswith(b"GET /a.png")
            else http(200, {name: [{"url": link}]})
        ]
    )
    with client(wire, "volcengine", storage=LocalStorage(tmp_path), keep_urls=True) as made:
        assert made.text_to_image("a cat").data == IMAGE


def test_every_image_of_an_unusual_group_is_there(wire: Wire) -> None:
    images = [make(size=(20 + place, 20)) for place in range(3)]
    wire.script(http(200, {"images": [base64.b64encode(data).decode() for data in images]}))
    with client(wire, "volcengine") as made:
        group = made.text_to_images("cats", n=3)
    assert [image.data for image in group] == images


CARRIED: list[tuple[str, bytes]] = [
    ("gemini", json.dumps(gemini_body({"text": f"Here it is\n![image]({LINK})"})).encode()),
    ("gemini", b"data: {broken\n\nHere: " + URI.encode()),
    (
        "gemini",
        json.dumps({"error": {"message": "late", "code": 1}, "image": {"url": LINK}}).encode()[:-1],
    ),
    ("volcengine", json.dumps({"status": "done", "url": LINK}).encode()),
    ("volcengine", b"<html>" + URI.encode()),
    ("volcengine", json.dumps({"error": {"message": "late"}, "images": [URI]}).encode()),
]


@pytest.mark.parametrize(("vendor", "body"), CARRIED)
def test_what_is_not_certain_travels_in_the_error(
    wire: Wire, tmp_path: Path, vendor: str, body: bytes
) -> None:
    """Not retryable, no base64 in the message, and known as perhaps paid."""
    wire.script(http(200, body))
    options: dict[str, Any] = {
        "storage": LocalStorage(tmp_path / "store"),
        "spool_dir": tmp_path / "spool",
    }
    with client(wire, vendor, **options) as made, pytest.raises(errors.ProviderError) as caught:
        made.text_to_image("a cat", idempotency_key="k")
    error = caught.value
    assert isinstance(error.result, ImageResult)
    assert error.result.url == LINK or error.result.data == IMAGE
    assert (error.retryable, error.billed == "no") == (False, False)
    assert TEXT[:60] not in str(error)


@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_a_cut_response_gives_what_had_come(wire: Wire, vendor: str) -> None:
    whole = json.dumps(
        gemini_body(inline(TEXT)) if vendor == "gemini" else {"data": [{"b64_json": TEXT}]}
    ).encode()
    wire.script(http(200, whole[:-2], length=len(whole)), 0.0)
    wire.scripts.append([http(200, whole[:-2], length=len(whole) + 9)])
    with client(wire, vendor) as made, pytest.raises(errors.OutcomeUnknownError) as caught:
        made.text_to_image("a cat", timeout=2)
    assert caught.value.result.data == IMAGE


@pytest.mark.parametrize("text", ["@" * 9000, "@" * 100, TEXT + "@@@@", URI[:5000] + "\u00e9" * 20])
@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_what_is_not_base64_keeps_its_characters(
    wire: Wire, vendor: str, head: str, text: str
) -> None:
    body = (
        gemini_body(inline(head + text))
        if vendor == "gemini"
        else {"data": [{"b64_json": head + text}]}
    )
    wire.script(http(200, json.dumps(body, ensure_ascii=False).encode()))
    with client(wire, vendor) as made, pytest.raises(errors.InvalidReplyError) as caught:
        made.text_to_image("a cat")
    assert text[-20:] in caught.value.result.base64
    assert len(caught.value.result.base64) >= len(text) - 30
    assert ("@@@@" in str(caught.value), caught.value.retryable) == (False, False)


@pytest.mark.parametrize(
    "text", ["I cannot. See [the rules](https://example.com/rules).", "https://example.com/help"]
)
def test_a_text_without_an_image_stays_one(wire: Wire, text: str) -> None:
    wire.script(http(200, gemini_body({"text": text})))
    with client(wire, "gemini") as made, pytest.raises(errors.NoImageError) as caught:
        made.text_to_image("a cat")
    assert (caught.value.result, caught.value.billed, caught.value.retryable) == (
        None,
        "yes",
        False,
    )


def test_a_gs_url_is_told(wire: Wire, tmp_path: Path) -> None:
    part = {"fileData": {"fileUri": "gs://bucket/cat.png", "mimeType": "image/png"}}
    wire.script(http(200, gemini_body(part)))
    with (
        client(wire, "gemini") as made,
        client(wire, "gemini", storage=LocalStorage(tmp_path), keep_urls=True) as keeping,
    ):
        result = made.text_to_image("a cat")
        assert result.url == "gs://bucket/cat.png"
        assert [entry["feature"] for entry in result.metadata["warnings"]] == ["url"]
        with pytest.raises(errors.StorageError, match="gs://") as caught:
            keeping.text_to_image("a cat")
        assert caught.value.result.url == "gs://bucket/cat.png"


def test_a_link_that_is_served_compressed_is_kept(wire: Wire, tmp_path: Path) -> None:
    packed = http(200, gzip.compress(IMAGE), headers={"content-encoding": "gzip"})
    wire.scripts.append(
        lambda request: [
            packed
            if request.startswith(b"GET")
            else http(200, {"data": [{"url": wire.url + "/a.png"}]})
        ]
    )
    with client(wire, "volcengine", storage=LocalStorage(tmp_path), keep_urls=True) as made:
        assert made.text_to_image("a cat").data == IMAGE


def test_ctrl_c_while_a_link_is_fetched_carries_the_image(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.script(http(200, {"data": [{"url": LINK}]}))

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with client(wire, "volcengine", storage=LocalStorage(tmp_path), keep_urls=True) as made:
        monkeypatch.setattr("aigc_kit.transport.download.Downloader.fetch", interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            made.text_to_image("a cat")
    assert caught.value.result.url == LINK  # type: ignore[attr-defined]


@pytest.mark.parametrize(("size", "warned"), [((2048, 2048), False), ((1024, 1024), True)])
def test_pixels_that_were_not_asked_for_are_told(
    wire: Wire, size: tuple[int, int], warned: bool
) -> None:
    wire.script(http(200, {"data": [{"b64_json": base64.b64encode(make(size=size)).decode()}]}))
    with client(wire, "volcengine") as made:
        result = made.text_to_image("a cat", size="2048x2048")
    details = [
        entry["details"] for entry in result.metadata["warnings"] if entry["feature"] == "size"
    ]
    assert bool(details) is warned
    assert all("1024x1024 came" in text for text in details)


@pytest.mark.parametrize(
    ("status", "code", "billed"),
    [
        (200, "OutputImageSensitiveContentDetected", "no"),
        (200, "RateLimitExceeded", "unknown"),
        (200, "InternalServiceError", "unknown"),
        (444, "x", "unknown"),
        (460, "x", "unknown"),
        (499, "x", "unknown"),
        (429, "RateLimitExceeded", "no"),
        (400, "InvalidParameter", "no"),
    ],
)
def test_what_a_refusal_costs(wire: Wire, status: int, code: str, billed: str) -> None:
    """Nothing where the vendor says so; unknown elsewhere."""
    wire.script(http(status, {"error": {"code": code, "message": "no"}}))
    with client(wire, "volcengine") as made, pytest.raises(errors.ProviderError) as caught:
        made.text_to_image("a cat")
    assert caught.value.billed == billed


def test_an_error_has_every_image_that_was_found() -> None:
    links = [f"https://x.example/{n}.png" for n in (1, 2)]
    found = look({"text": " ".join(f"![a]({link})" for link in links)})
    assert found.images == []
    assert [image.url for image in found.any()] == links
    assert look({"text": f"![a]({links[0]})"}).any().url == links[0]
