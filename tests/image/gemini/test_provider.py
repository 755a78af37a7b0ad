"""Gemini's picture models through the real google-genai: wire, replies, blocks, faults, options."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from aigc_kit import ImageClient, errors
from aigc_kit.image.gemini.request import to_body
from aigc_kit.media import sniff
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.images import animated, make
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, body_of, http, timeout_for

PNG = make()
B64 = base64.b64encode(PNG).decode()


def reply(*parts: dict[str, Any], reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 1123},
        **more,
    }


def picture(data: str = B64, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


def client(server: Sandbox | Wire, **options: Any) -> ImageClient:
    if isinstance(server, Sandbox):
        return ImageClient("gemini", **{**server.image_options("gemini"), **options})
    base = {
        "project": "p",
        "location": "global",
        "credentials": Credentials(token="t"),
        "base_url": server.url,
    }
    return ImageClient("gemini", **{**base, "timeout": AMPLE, **options})


def test_the_wire_on_vertex(sandbox: Sandbox) -> None:
    """Vertex's path, a bearer token, a picture asked for with ratio and tier."""
    with client(sandbox) as images:
        result = images.text_to_image("一只橘猫", size="1024x1024")
    (sent,) = sandbox.requests
    assert sent.path == (
        "/v1beta1/projects/sandbox/locations/global/publishers/google/models/gemini-3-pro-image:generateContent"
    )
    assert sent.body == {
        "contents": [{"role": "user", "parts": [{"text": "一只橘猫"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "1K"},
        },
    }
    assert sent.headers["authorization"] == "***"
    assert int(sent.headers["x-server-timeout"]) >= 10
    assert (result.width, result.height, result.mime_type) == (1024, 1024, "image/jpeg")
    assert result.metadata["sent_size"] == "1:1/1K"
    assert result.metadata["usage"]["candidatesTokenCount"] == 1120
    assert json.loads(json.dumps(result.metadata)) == result.metadata


def test_api_key_mode(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key alone means the Developer API, even where the environment speaks of Vertex."""
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    with ImageClient("google", api_key=sandbox.api_key, base_url=sandbox.url) as images:
        images.text_to_image("x")
    assert (
        sandbox.requests[0].path.removeprefix("/v1beta").removeprefix("/v1")
        == "/models/gemini-3-pro-image:generateContent"
    )
    assert sandbox.requests[0].headers["x-goog-api-key"] == "***"
    assert "authorization" not in sandbox.requests[0].headers


def test_express_mode(sandbox: Sandbox) -> None:
    """A key together with ``vertexai=True``."""
    with ImageClient(
        "gemini", api_key=sandbox.api_key, vertexai=True, base_url=sandbox.url
    ) as images:
        images.text_to_image("x")
    assert sandbox.requests[0].path.endswith(
        "/publishers/google/models/gemini-3-pro-image:generateContent"
    )


def test_the_environment_supplies_everything(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    The document's five variables, with a service account file whose token comes from the sandbox.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = tmp_path / "account.json"
    account.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "from-file",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "a@b.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"{sandbox.url}/token",
            }
        )
    )
    sandbox.answer(
        200,
        {"access_token": sandbox.api_key, "expires_in": 3600, "token_type": "Bearer"},
        path="/token",
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", sandbox.url)
    monkeypatch.setenv("GEMINI_IMAGE_MODEL", "gemini-2.5-flash-image")
    with ImageClient("gemini") as images:
        result = images.text_to_image("x", size="1920x1080")
    sent = sandbox.requests[-1]
    assert (
        "/projects/from-file/locations/europe-west4/publishers/google/models/gemini-2.5-flash-image:"
        in sent.path
    )
    assert sent.body["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9"}
    assert (result.mime_type, result.width) == ("image/png", 1344)


def test_the_path_of_a_service_account_file(tmp_path: Path) -> None:
    """``credentials`` may be a path; one that cannot be used is refused when the client is made."""
    broken = tmp_path / "account.json"
    broken.write_text("{}")
    for path in (broken, str(tmp_path / "missing.json")):
        with pytest.raises(errors.MissingCredentialError, match="cannot be used"):
            ImageClient("gemini", project="p", credentials=path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "GOOGLE_CLOUD_PROJECT.*GEMINI_API_KEY"),
        ({"vertexai": False}, "api_key is missing"),
        ({"api_key": "k", "credentials": "x"}, "exclude each other"),
        ({"vertexai": False, "project": "p", "api_key": "k"}, "exclude each other"),
        ({"credentials": 5, "project": "p"}, "google.auth object"),
        ({"credentials": Credentials(token="t")}, "needs project"),
        ({"api_key": "k", "modle": "x"}, "no option 'modle'"),
        ({"api_key": "k", "size_policy": "x"}, "size_policy"),
        ({"api_key": "k", "model": "../x"}, "not a model's name"),
        ({"api_key": "k", "base_url": "x"}, "base_url"),
    ],
)
def test_bad_options_are_refused_when_the_client_is_made(
    options: dict[str, Any], match: str
) -> None:
    """Each says what to pass or set."""
    with pytest.raises(ValueError, match=match):
        ImageClient("gemini", **options)


def test_thoughts_are_skipped_and_text_is_kept(sandbox: Sandbox) -> None:
    """
    The interim picture of a thought is not the answer; what the model says is in the metadata.
    """
    with client(sandbox) as images:
        result = images.text_to_image("x", response_modalities=["TEXT", "IMAGE"])
    assert (result.width, result.height) == (1024, 1024)
    assert result.metadata["text"] == "Here is your image:"


def test_only_thought_pictures(sandbox: Sandbox) -> None:
    """When the last thought is all there is, and the model says it is done, it is the answer."""
    sandbox.answer(200, reply(picture(thought=True)))
    with client(sandbox) as images:
        assert images.text_to_image("x").data == PNG


def test_the_type_is_sniffed(sandbox: Sandbox) -> None:
    """JPEG labelled as PNG is JPEG."""
    sandbox.answer(200, reply(picture(base64.b64encode(make("JPEG")).decode())))
    with client(sandbox) as images:
        assert images.text_to_image("x").mime_type == "image/jpeg"


@pytest.mark.parametrize("spelling", ["standard", "url-safe", "unpadded", "wrapped", "snake"])
def test_every_spelling_of_base64(sandbox: Sandbox, spelling: str) -> None:
    """Either alphabet, padded or not, wrapped in lines, in a snake_case member; short and long."""
    for data in (PNG, make("PNG", (300, 300), "RGB", compress_level=0)):
        text = base64.b64encode(data).decode()
        part = picture(text)
        if spelling == "url-safe":
            part = picture(base64.urlsafe_b64encode(data).decode())
        elif spelling == "unpadded":
            part = picture(text.rstrip("="))
        elif spelling == "wrapped":
            part = picture("\n".join(text[at : at + 76] for at in range(0, len(text), 76)))
        elif spelling == "snake":
            part = {"inline_data": {"mime_type": "image/png", "data": text}}
        sandbox.answer(200, reply(part))
        with client(sandbox) as images:
            assert images.text_to_image("x").data == data


def test_escaped_base64(wire: Wire) -> None:
    """JSON may escape ``=``, ``+`` and ``/``, anywhere, also across reads."""
    data = make("PNG", (200, 200), "RGB", compress_level=0)
    text = (
        base64.b64encode(data)
        .decode()
        .replace("/", "\\/")
        .replace("=", "\\u003d")
        .replace("+", "\\u002B")
    )
    raw = json.dumps(reply(picture("@"))).replace("@", text).encode()
    head, body = http(200, raw).split(b"\r\n\r\n", 1)
    wire.script(head + b"\r\n\r\n", *(body[at : at + 1001] for at in range(0, len(body), 1001)))
    with client(wire) as images:
        assert images.text_to_image("x").data == data


BLOCKED_PROMPT = {
    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}
}


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "text"),
    [
        (BLOCKED_PROMPT, errors.ContentFilterError, "PROHIBITED_CONTENT", ""),
        ({"promptFeedback": {"blockReason": "OTHER"}}, errors.ContentFilterError, "OTHER", ""),
        (
            {"candidates": [{"finishReason": "IMAGE_SAFETY", "finishMessage": "Unable"}]},
            errors.ContentFilterError,
            "IMAGE_SAFETY",
            "",
        ),
        (
            {"candidates": [{"finishReason": "SAFETY", "content": {}}]},
            errors.ContentFilterError,
            "SAFETY",
            "",
        ),
        (
            reply({"text": "no."}, reason="PROHIBITED_CONTENT"),
            errors.ContentFilterError,
            "PROHIBITED_CONTENT",
            "no.",
        ),
        (
            reply({"text": "I would rather talk."}),
            errors.NoImageError,
            "STOP",
            "I would rather talk.",
        ),
        (reply(reason="NO_IMAGE"), errors.NoImageError, "NO_IMAGE", ""),
        ({"candidates": [{"finishReason": "BRAND_NEW"}]}, errors.NoImageError, "BRAND_NEW", ""),
        ({"candidates": []}, errors.NoImageError, "", ""),
        ({"candidates": [None, 5]}, errors.NoImageError, "", ""),
        ({"candidates": "x"}, errors.NoImageError, "", ""),
        ({"candidates": [{"content": {"parts": "x"}}]}, errors.NoImageError, "", ""),
        ({"candidates": None}, errors.NoImageError, "", ""),
        (reply(picture(thought=True), reason="MAX_TOKENS"), errors.NoImageError, "MAX_TOKENS", ""),
    ],
)
def test_answers_without_a_picture(
    sandbox: Sandbox, answer: Any, kind: type[errors.ProviderError], reason: str, text: str
) -> None:
    """
    Never an empty success: blocked or no picture, with the vendor's word and what the model said.
    """
    sandbox.answer(200, answer)
    with client(sandbox) as images, pytest.raises(errors.ProviderError) as caught:
        images.text_to_image("x")
    error: Any = caught.value
    assert type(error) is kind
    assert (error.reason, error.text) == (reason, text)
    assert error.billed == ("yes" if "usageMetadata" in answer else "unknown")
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("data", ["!!!!", "aGVsbG8=", "A" * 9000, "!" * 9000])
def test_pictures_that_are_none(sandbox: Sandbox, data: str) -> None:
    """Broken base64 and bytes that are no picture are paid for, and no success."""
    sandbox.answer(200, reply(picture(data)))
    with client(sandbox) as images, pytest.raises(errors.InvalidReplyError) as caught:
        images.text_to_image("x")
    assert caught.value.billed == "yes"


def test_several_pictures_in_one_reply(sandbox: Sandbox) -> None:
    """The first is the result, the others are kept."""
    sandbox.answer(200, reply(picture(), {"text": "and"}, picture()))
    with client(sandbox) as images:
        result = images.text_to_image("x")
    assert result.metadata["others"][0]["base64"] == B64


def test_a_group_is_one_request_each(sandbox: Sandbox) -> None:
    """Gemini 3 makes one picture a request; a blocked one does not cost the others."""
    sandbox.answer(200, {"candidates": [{"finishReason": "IMAGE_SAFETY"}]})
    with client(sandbox) as images:
        group = images.text_to_images("x", n=3)
    assert (len(group.images), [error.index for error in group.errors], len(sandbox.requests)) == (
        2,
        [0],
        3,
    )


def test_a_hopeless_group_stops(sandbox: Sandbox) -> None:
    """A wrong key fails the next request as well: one is enough, and the error is raised."""
    with (
        client(sandbox, credentials=Credentials(token="wrong")) as images,
        pytest.raises(errors.AuthenticationError),
    ):
        images.text_to_images("x", n=3)
    assert len(sandbox.requests) == 1


def test_references_are_inlined_and_converted(sandbox: Sandbox) -> None:
    """PNG, JPEG and WebP as they are, with their real type; what Gemini cannot read becomes PNG."""
    given = [
        make("PNG"),
        make("JPEG"),
        make("WEBP"),
        make("GIF"),
        make("BMP"),
        make("TIFF"),
        animated("WEBP"),
    ]
    with client(sandbox) as images:
        images.image_to_image("x", reference_images=given)
    parts = sandbox.requests[0].body["contents"][0]["parts"]
    assert parts[0] == {"text": "x"}
    types = [part["inlineData"]["mimeType"] for part in parts[1:]]
    assert types == ["image/png", "image/jpeg", "image/webp", *["image/png"] * 4]
    assert all(
        sniff.mime_type(base64.b64decode(part["inlineData"]["data"])) == kind
        for part, kind in zip(parts[1:], types, strict=True)
    )


def test_references_are_counted_before_anything_is_sent(sandbox: Sandbox) -> None:
    """Three on 2.5, fourteen on 3.x."""
    for model, count in (("gemini-2.5-flash-image", 4), ("gemini-3-pro-image", 15)):
        with (
            client(sandbox, model=model) as images,
            pytest.raises(errors.ReferenceImageError, match=model),
        ):
            images.image_to_image("x", reference_images=[PNG] * count)
    assert sandbox.requests == []


def test_large_references_are_made_smaller(sandbox: Sandbox) -> None:
    """7 MB is the limit of one inlined image."""
    noise = make("BMP", (1700, 1700))
    assert len(noise) > 7_000_000
    with client(sandbox) as images:
        images.image_to_image("x", reference_images=noise)  # as PNG it is small
        images.image_to_image("x", reference_images=make("PNG", (1700, 1700), compress_level=0))
    for request in sandbox.requests:
        assert len(request.body["contents"][0]["parts"][1]["inlineData"]["data"]) < 7_000_000


@pytest.mark.parametrize("model", ["gemini-3-pro-image-preview", "veo-1"])
def test_retired_models_name_the_current_ones(sandbox: Sandbox, model: str) -> None:
    """The name passes through; the 404 says what is served today."""
    with (
        client(sandbox, model=model) as images,
        pytest.raises(errors.NotFoundError, match=r"gemini-3\.1-flash-image"),
    ):
        images.text_to_image("x")
    assert f"/{model}:" in sandbox.requests[0].path


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            {"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}},
            errors.BadRequestError,
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            errors.AuthenticationError,
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (9) exceeds the maximum number of tokens allowed (1).",
                }
            },
            errors.ContextLengthExceededError,
        ),
        (
            401,
            {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "m"}},
            errors.AuthenticationError,
        ),
        (
            403,
            {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "m"}},
            errors.PermissionDeniedError,
        ),
        (
            404,
            {"error": {"code": 404, "status": "NOT_FOUND", "message": "m"}},
            errors.NotFoundError,
        ),
        (
            429,
            {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota per day"}},
            errors.QuotaExceededError,
        ),
        (
            503,
            [{"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}],
            errors.ServerError,
        ),
        (500, b"<html><title>Oops</title>", errors.ServerError),
        (418, b"", errors.BadRequestError),
        (
            200,
            {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "m"}},
            errors.PermissionDeniedError,
        ),
        (204, b"", errors.InvalidReplyError),
        (302, b"", errors.InvalidReplyError),
    ],
)
def test_errors(sandbox: Sandbox, status: int, body: Any, kind: type[errors.ProviderError]) -> None:
    """google.rpc.Status by status and word; each sent once."""
    sandbox.answer(status, body, headers={"location": "/elsewhere"}, times=5)
    with client(sandbox) as images, pytest.raises(errors.ProviderError) as caught:
        images.text_to_image("x")
    assert type(caught.value) is kind
    assert caught.value.status_code == status
    assert len(sandbox.requests) == 1


def test_a_rate_limit_is_waited_for(sandbox: Sandbox) -> None:
    """RetryInfo in the body is obeyed."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.05s"}
    sandbox.answer(
        429,
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [info]}},
    )
    with client(sandbox) as images:
        assert images.text_to_image("x").metadata["attempts"][0]["requests"] == 2


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((3600.0,), id="hang"),
        pytest.param((Reset,), id="reset"),
        pytest.param((http(200, reply(picture()))[:-20], Reset), id="cut"),
        pytest.param(
            tuple(x for b in http(200, reply(picture())) for x in (bytes([b]), 0.05)), id="drip"
        ),
        pytest.param(
            (http(200, reply(picture("A" * 200_000)))[:150_000], 3600.0), id="hang in the picture"
        ),
    ],
)
def test_a_paid_request_without_an_answer_is_never_sent_again(
    wire: Wire, steps: tuple[Any, ...]
) -> None:
    """One POST and ``OutcomeUnknownError``, within the deadline."""
    wire.script(http(200, reply(picture())))
    wire.script(*steps)
    timeout = timeout_for(steps)
    with client(wire) as images:
        images.text_to_image("x")  # makes the SDK's client, which the timeout is not about
        with within(timeout), pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("x", timeout=timeout)
    assert len(wire.requests) == 2


@pytest.mark.parametrize("body", [b"{", b"", b"<html>", b"[1]", b"\xff", b'{"a":' * 3000])
def test_replies_that_are_no_json(sandbox: Sandbox, body: bytes) -> None:
    """No foreign exception, and nothing is sent again."""
    sandbox.answer(200, body)
    with client(sandbox) as images, pytest.raises(errors.InvalidReplyError) as caught:
        images.text_to_image("x")
    assert caught.value.billed == "unknown"
    assert len(sandbox.requests) == 1


def test_an_unreachable_vendor(closed_port: int) -> None:
    """Not billed, and tried again."""
    with (
        ImageClient(
            "gemini", api_key="k", base_url=f"http://127.0.0.1:{closed_port}", timeout=AMPLE
        ) as images,
        pytest.raises(errors.ConnectionFailedError) as caught,
    ):
        images.text_to_image("x")
    assert caught.value.billed == "no"


def test_credentials_that_cannot_be_refreshed(wire: Wire) -> None:
    """google.auth's own errors do not leak."""
    with (
        client(wire, credentials=Credentials(token=None)) as images,
        pytest.raises(errors.AuthenticationError),
    ):
        images.text_to_image("x")
    assert wire.requests == []


def test_bytes_get_an_address(sandbox: Sandbox, tmp_path: Path) -> None:
    """Base64 goes through the storage; it stays in the result."""
    with client(
        sandbox, storage=LocalStorage(tmp_path, base_url="https://cdn.example.com/p")
    ) as images:
        result = images.text_to_image("x")
    assert result.url.startswith("https://cdn.example.com/p/aigc/images/")
    assert result.url.endswith(".jpg")
    assert base64.b64decode(result.base64) == result.data


def test_options_reach_their_place() -> None:
    """Fields of the config, of its image part, SDK objects, and ``extra_body`` last."""
    from google.genai import types

    body = to_body(
        "p",
        ratio="1:1",
        tier="1K",
        images=[],
        options={
            "temperature": 0.5,
            "top_p": None,
            "aspect_ratio": "4:3",
            "output_mime_type": "image/png",
            "safety_settings": [
                types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")
            ],
            "system_instruction": "be kind",
            "thinking_config": {"thinking_level": "HIGH"},
            "image_config": {"person_generation": "ALLOW_ALL"},
            "labels": {"a_b": "c"},
            "extra_body": {"generationConfig": {"seed": 1}, "x": 1},
        },
    )
    assert body["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "temperature": 0.5,
        "thinkingConfig": {"thinkingLevel": "HIGH"},
        "seed": 1,
        "imageConfig": {
            "aspectRatio": "4:3",
            "imageSize": "1K",
            "personGeneration": "ALLOW_ALL",
            "imageOutputOptions": {"mimeType": "image/png"},
        },
    }
    assert body["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    assert body["systemInstruction"] == {"parts": [{"text": "be kind"}]}
    assert (body["labels"], body["x"]) == ({"a_b": "c"}, 1)


def test_the_body_is_what_the_sdk_would_send(wire: Wire) -> None:
    """
    For the same wish the SDK's own conversion sends the same JSON, in one casing and alphabet.
    """
    from google import genai
    from google.genai import types

    from aigc_kit.sandbox.gemini import normal

    wire.script(http(200, reply(picture())))
    with client(wire) as images:
        images.image_to_image("x", reference_images=PNG, size="1920x1080", temperature=0.5)
    raw = genai.Client(
        vertexai=True,
        project="p",
        location="global",
        credentials=Credentials(token="t"),
        http_options=types.HttpOptions(base_url=wire.url),
    )
    raw.models.generate_content(
        model="gemini-3-pro-image",
        contents=["x", types.Part.from_bytes(data=PNG, mime_type="image/png")],
        config=types.GenerateContentConfig(
            response_modalities=["IMAGE"],
            temperature=0.5,
            image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
        ),
    )
    raw.close()
    ours, theirs = (normal(body_of(request)) for request in wire.requests)
    for body in (ours, theirs):
        inline = body["contents"][0]["parts"][1]["inlineData"]
        inline["data"] = base64.b64decode(inline["data"].replace("-", "+").replace("_", "/"))
    assert ours == theirs
    heads = [request.split(b"\r\n")[0] for request in wire.requests]
    assert heads[0] == heads[1]


@pytest.mark.parametrize(
    "reply", [b"hello", b"[]", b"null", b"\xff", b'{"access_token": "\xc3\xbc", "expires_in": 9}']
)
def test_a_strange_token_endpoint_is_an_authentication_error(wire: Wire, reply: bytes) -> None:
    """Whatever it says, no exception of Google's library comes out, and nothing was billed."""
    from google.oauth2.credentials import Credentials as Refreshing

    wire.script(http(200, reply, headers={"content-type": "application/json"}))
    held = Refreshing(
        token=None,
        refresh_token="r",
        client_id="i",
        client_secret="s",
        token_uri=f"{wire.url}/token",
    )
    with (
        ImageClient(
            "gemini", project="p", credentials=held, base_url=wire.url, timeout=AMPLE
        ) as client,
        pytest.raises(errors.AuthenticationError) as caught,
    ):
        client.text_to_image("a cat")
    assert caught.value.billed == "no"
    assert len(wire.requests) == 1


def test_a_short_lived_token_is_refreshed_by_the_door_alone(wire: Wire) -> None:
    """The SDK does not refresh behind our deadline."""
    from google.oauth2.credentials import Credentials as Refreshing

    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(make()).decode()}}
    wire.script(http(200, {"access_token": "t", "expires_in": 100}))
    wire.script(
        http(200, {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP"}]})
    )
    held = Refreshing(
        token=None,
        refresh_token="r",
        client_id="i",
        client_secret="s",
        token_uri=f"{wire.url}/token",
    )
    with ImageClient(
        "gemini", project="p", credentials=held, base_url=wire.url, timeout=AMPLE
    ) as client:
        assert client.text_to_image("a cat").has_base64
    assert [b"/token" in request.split(b"\r\n")[0] for request in wire.requests] == [True, False]
    assert b"uthorization: Bearer t\r\n" in wire.requests[1]
