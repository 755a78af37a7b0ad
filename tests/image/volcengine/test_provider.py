"""Seedream: what leaves, what comes back, and every way it can go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.media import sniff
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.images import make
from tests.waits import within
from tests.wire import AMPLE, Reset, Wire, body_of, http, timeout_for

OK: dict[str, Any] = {
    "model": "doubao-seedream-4-5",
    "created": 1763770000,
    "data": [
        {"url": "https://ark-content.example.com/x.jpeg?X-Tos-Signature=a%2Fb", "size": "2560x1440"}
    ],
    "usage": {"generated_images": 1, "output_tokens": 14400, "total_tokens": 14400},
}


def client(server: Sandbox | Wire, **options: Any) -> ImageClient:
    if isinstance(server, Sandbox):
        options = {**server.image_options("volcengine"), **options}
    else:
        options = {
            "api_key": "k-123456",
            "base_url": server.url + "/api/v3",
            "timeout": AMPLE,
            **options,
        }
    return ImageClient("volcengine", **options)


def test_one_post_for_text(sandbox: Sandbox) -> None:
    """The path, the key, and a body of Ark's fields: watermark off, an address asked for."""
    with client(sandbox) as images:
        result = images.text_to_image("一只橘猫", size="1024x1024")
    assert [entry["feature"] for entry in result.metadata["warnings"]] == ["size"]
    (sent,) = sandbox.requests
    assert (sent.method, sent.path) == ("POST", "/api/v3/images/generations")
    assert sent.body == {
        "model": "doubao-seedream-4-5-251128",
        "prompt": "一只橘猫",
        "size": "2048x2048",
        "response_format": "url",
        "watermark": False,
    }
    assert (result.width, result.height, result.mime_type, result.provider) == (
        2048,
        2048,
        "image/jpeg",
        "volcengine",
    )
    assert result.metadata["requested_size"] == "1024x1024"
    assert result.metadata["sent_size"] == "2048x2048"
    assert result.metadata["usage"]["generated_images"] == 1
    assert result.metadata["request_id"].startswith("02176")
    assert result.metadata["source_url"] == result.url
    assert not result.has_base64
    assert json.loads(json.dumps(result.metadata)) == result.metadata


def test_any_field_of_ark_passes_through(sandbox: Sandbox) -> None:
    """Unknown options reach the body as they are, ``extra_body`` last."""
    with client(sandbox) as images:
        images.text_to_image(
            "x",
            optimize_prompt_options={"mode": "fast"},
            watermark=True,
            extra_body={"brand_new": [1]},
            model="ep-1",
            size="640x480",
            extra_headers={"x-trace": "t1"},
        )
    body = sandbox.requests[0].body
    assert body["optimize_prompt_options"] == {"mode": "fast"}
    assert body["watermark"] is True
    assert body["brand_new"] == [1]
    assert (body["model"], body["size"]) == ("ep-1", "640x480")
    assert sandbox.requests[0].headers["x-trace"] == "t1"


def test_references_use_the_same_path(sandbox: Sandbox) -> None:
    """
    A public https address goes as it is, bytes are inlined with their real type; one goes bare,
    several as a list.
    """
    with client(sandbox) as images:
        images.image_to_image("x", reference_images="https://assets.example.com/a.png")
        images.image_to_image(
            "x", reference_images=["https://assets.example.com/a.png", make("JPEG")]
        )
    first, second = (request.body["image"] for request in sandbox.requests)
    assert first == "https://assets.example.com/a.png"
    assert second[0] == "https://assets.example.com/a.png"
    assert second[1].startswith("data:image/jpeg;base64,/9j/")


def test_a_group_keeps_good_pictures_and_errors(sandbox: Sandbox) -> None:
    """One request; the filtered picture is an error with its place, the others are results."""
    with client(sandbox) as images:
        group = images.text_to_images("four seasons [blocked picture 1]", n=3)
    assert len(sandbox.requests) == 1
    assert sandbox.requests[0].body["sequential_image_generation"] == "auto"
    assert sandbox.requests[0].body["sequential_image_generation_options"] == {"max_images": 3}
    assert len(group) == 2
    (error,) = group.errors
    assert isinstance(error, errors.ContentFilterError)
    assert (error.index, error.billed, error.provider) == (1, "no", "volcengine")


def test_families_without_groups_get_single_requests(sandbox: Sandbox) -> None:
    """5.0-pro answers ``sequential_image_generation`` with 400, so it is never sent there."""
    with client(sandbox, model="doubao-seedream-5-0-pro-260628") as images:
        group = images.text_to_images("x", n=2)
    assert len(group) == len(sandbox.requests) == 2
    assert "sequential_image_generation" not in sandbox.requests[0].body


def test_groups_and_references_share_fifteen(sandbox: Sandbox) -> None:
    """Refused before anything is sent."""
    with client(sandbox) as images, pytest.raises(errors.InvalidInputError, match="15 at most"):
        images.image_to_images("x", n=14, reference_images=[make(), make()])
    assert sandbox.requests == []


def test_several_pictures_for_a_call_for_one_are_not_lost(sandbox: Sandbox) -> None:
    """
    Group fields passed through ``text_to_image``: the first is the result, the rest is told and
    kept.
    """
    with client(sandbox) as images:
        result = images.text_to_image(
            "x [blocked picture 2]",
            sequential_image_generation="auto",
            sequential_image_generation_options={"max_images": 3},
        )
    assert len(result.metadata["others"]) == 1
    assert result.metadata["others"][0]["url"].startswith(sandbox.url)
    assert "ContentFilterError" in result.metadata["errors"][0]
    assert result.metadata["warnings"][-1]["feature"] == "group"


def test_base64_replies(sandbox: Sandbox) -> None:
    """``response_format="b64_json"`` gives bytes, and the storage gives them an address."""
    with client(sandbox) as images:
        result = images.text_to_image("x", response_format="b64_json")
    assert sniff.mime_type(result.data) == "image/jpeg"
    assert result.url == ""
    assert result.metadata["warnings"][-1]["feature"] == "storage"


def test_keep_urls_stores_the_vendors_picture(sandbox: Sandbox, tmp_path: Path) -> None:
    """
    Downloaded without the key from a link that accepts none, stored; address and expiry stay in the
    metadata.
    """
    with client(sandbox, storage=LocalStorage(tmp_path), keep_urls=True) as images:
        result = images.text_to_image("x", size="2K")
    assert result.url.startswith("file://")
    assert sniff.dimensions(Path(result.url.removeprefix("file://")).read_bytes()) == (2048, 2048)
    assert result.metadata["source_url"].startswith(sandbox.url)
    assert result.metadata["expires_at"].endswith("Z")
    assert result.metadata["storage_key"].startswith("aigc/images/")
    fetched = sandbox.requests[1]
    assert fetched.method == "GET"
    assert "authorization" not in fetched.headers


def test_a_copy_that_cannot_be_made_carries_the_result(tmp_path: Path) -> None:
    """The link is dead: the paid result is in the error, and ``store`` can try again."""
    with (
        Sandbox(link_lifetime=0.0) as dead,
        client(dead, storage=LocalStorage(tmp_path), keep_urls=True) as images,
    ):
        with pytest.raises(errors.StorageError, match="answered 403") as caught:
            images.text_to_image("x")
        result = caught.value.result
        assert isinstance(result, ImageResult)
        assert result.url.startswith(dead.url)
        posts = [request for request in dead.requests if request.method == "POST"]
        with pytest.raises(errors.StorageError):
            images.store(result)
    assert len(posts) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (400, "InvalidParameter", errors.BadRequestError, False),
        (
            400,
            "InputTextSensitiveContentDetected.PolicyViolation",
            errors.ContentFilterError,
            False,
        ),
        (400, "OutputImageRiskDetection", errors.ContentFilterError, False),
        (400, "ContentSecurityDetectionError", errors.ServerError, True),
        (400, "InvalidSubscription", errors.QuotaExceededError, False),
        (401, "AuthenticationError", errors.AuthenticationError, False),
        (403, "AccessDenied", errors.PermissionDeniedError, False),
        (403, "OperationDenied.ServiceNotOpen", errors.PermissionDeniedError, False),
        (403, "AccountOverdueError", errors.QuotaExceededError, False),
        (404, "ModelNotOpen", errors.NotFoundError, False),
        (404, "InvalidEndpointOrModel.NotFound", errors.NotFoundError, False),
        (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", errors.NotFoundError, False),
        (429, "RateLimitExceeded.EndpointRPMExceeded", errors.RateLimitError, True),
        (429, "ModelAccountIpmRateLimitExceeded", errors.RateLimitError, True),
        (429, "QuotaExceeded", errors.QuotaExceededError, False),
        (429, "SetLimitExceeded", errors.QuotaExceededError, False),
        (500, "InternalServiceError", errors.ServerError, True),
        (400, "OutofContextError", errors.ContextLengthExceededError, False),
    ],
)
def test_error_codes(
    sandbox: Sandbox, status: int, code: str, kind: type[errors.ProviderError], retryable: bool
) -> None:
    """Each code is its leaf, with status, code, request id, ``retryable`` and ``billed``."""
    body = {
        "error": {"code": code, "message": "No. Request id: 0217aaaabbbb", "param": "", "type": "X"}
    }
    sandbox.answer(status, body, times=3)
    with client(sandbox, max_retries=0) as images, pytest.raises(errors.ProviderError) as caught:
        images.text_to_image("x")
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.request_id) == (status, code, "0217aaaabbbb")
    assert error.retryable is retryable
    assert error.billed == ("unknown" if kind is errors.ServerError else "no")
    assert error.provider == "volcengine"
    assert error.model == "doubao-seedream-4-5-251128"


def test_an_error_in_a_200(sandbox: Sandbox) -> None:
    """Zero pictures: the error body comes with status 200, and is an error all the same."""
    with client(sandbox) as images, pytest.raises(errors.ContentFilterError) as caught:
        images.text_to_image("x [blocked picture]")
    assert caught.value.billed == "no"
    assert caught.value.code == "OutputImageSensitiveContentDetected"


@pytest.mark.parametrize(
    "reply",
    [
        {"data": []},
        {},
        {"data": "x"},
        {"data": [{}]},
        {"data": [5]},
        {"data": [{"url": "ftp://x"}]},
        {"data": [{"url": ""}]},
        [],
        [1],
        b"<!DOCTYPE html><title>Gateway</title>",
        b"",
        b"{",
        b"\xff\xfe",
    ],
)
def test_replies_that_make_no_sense(sandbox: Sandbox, reply: Any) -> None:
    """A 200 without a picture is never a success, and never sent again."""
    sandbox.answer(200, reply)
    with client(sandbox) as images, pytest.raises(errors.InvalidReplyError) as caught:
        images.text_to_image("x")
    assert caught.value.billed == "unknown"
    assert len(sandbox.requests) == 1


def test_a_broken_base64_picture_is_billed(sandbox: Sandbox) -> None:
    """The vendor made it, we cannot read it."""
    sandbox.answer(200, {"data": [{"b64_json": "!!!"}]})
    with client(sandbox) as images, pytest.raises(errors.InvalidReplyError) as caught:
        images.text_to_image("x")
    assert caught.value.billed == "yes"


def test_bytes_that_are_no_picture_come_out_with_the_error(sandbox: Sandbox) -> None:
    """What was paid is in ``error.result`` whatever it is."""
    sandbox.answer(200, {"data": [{"b64_json": "aGVsbG8="}]})
    with (
        client(sandbox) as images,
        pytest.raises(errors.InvalidReplyError, match="not an image") as caught,
    ):
        images.text_to_image("x")
    assert caught.value.result.data == b"hello"


def test_a_server_error_is_not_sent_again(sandbox: Sandbox) -> None:
    """A 5xx may have been billed."""
    for status in (500, 502, 503, 504, 529):
        sandbox.reset()
        sandbox.answer(status, {"error": {"code": "X", "message": "m"}}, times=5)
        with client(sandbox) as images, pytest.raises(errors.ServerError) as caught:
            images.text_to_image("x")
        assert caught.value.billed == "unknown"
        assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "ServerOverloaded"),
        (500, "RateLimitExceeded"),
        (502, "QuotaExceeded"),
        (500, "OutputImageRiskDetection"),
        (409, "Conflict"),
        (408, "X"),
        (200, "ServerOverloaded"),
    ],
)
def test_no_code_makes_a_paid_request_safe_to_repeat(
    sandbox: Sandbox, status: int, code: str
) -> None:
    """
    Only an unsent request and a 429 are; a 5xx is a ``ServerError`` that may be billed, whatever
    its code says.
    """
    sandbox.answer(
        status, {"error": {"code": code, "message": "m"}}, headers={"retry-after": "0"}, times=5
    )
    with client(sandbox) as images, pytest.raises(errors.ProviderError) as caught:
        images.text_to_image("x")
    assert len(sandbox.requests) == 1
    if status >= 500:
        assert type(caught.value) is errors.ServerError
        assert caught.value.billed == "unknown"


def test_a_rate_limit_is_waited_for(sandbox: Sandbox) -> None:
    """429 certainly did not run: it is sent again after the wait that the vendor names."""
    sandbox.answer(
        429,
        {"error": {"code": "RequestBurstTooFast", "message": "m"}},
        headers={"Retry-After": "0"},
    )
    with client(sandbox) as images:
        result = images.text_to_image("x")
    assert len(sandbox.requests) == 2
    assert result.metadata["attempts"][0]["requests"] == 2


def test_a_wait_beyond_the_timeout_is_not_waited_for(sandbox: Sandbox) -> None:
    """``Retry-After`` is obeyed while it fits the timeout, and told in the error."""
    sandbox.answer(
        429,
        {"error": {"code": "RateLimitExceeded", "message": "m"}},
        headers={"Retry-After": "3600"},
    )
    with client(sandbox) as images, pytest.raises(errors.RateLimitError) as caught:
        images.text_to_image("x")
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((3600.0,), id="hang before the head"),
        pytest.param((Reset,), id="reset after the request"),
        pytest.param((http(200, OK)[:120], Reset), id="cut in the head"),
        pytest.param((http(200, OK)[:-10], Reset), id="cut in the body"),
        pytest.param((http(200, OK, length=5000)[:-1], Reset), id="shorter than promised"),
        pytest.param((http(200, OK)[:-10], 3600.0), id="hang in the body"),
        pytest.param(tuple(x for b in http(200, OK) for x in (bytes([b]), 0.05)), id="drip"),
    ],
)
def test_a_paid_request_without_an_answer_is_never_sent_again(
    wire: Wire, steps: tuple[Any, ...]
) -> None:
    """
    It may have run: one POST, ``OutcomeUnknownError``, and the deadline holds however slowly bytes
    drip.
    """
    wire.script(http(200, OK))
    wire.script(*steps)
    timeout = timeout_for(steps)
    with client(wire) as images:
        images.text_to_image("x")  # makes the SDK's client, which the timeout is not about
        with within(timeout), pytest.raises(errors.OutcomeUnknownError) as caught:
            images.text_to_image("x", timeout=timeout)
    assert len(wire.requests) == 2
    assert caught.value.billed == "unknown"
    assert caught.value.elapsed > 0
    assert caught.value.__cause__ is not None


def test_retry_ambiguous_is_the_users_own_wish(wire: Wire) -> None:
    """Only then a request with an unknown outcome leaves twice."""
    wire.script(Reset)
    wire.script(http(200, OK))
    with client(wire) as images:
        images.text_to_image("x", retry_ambiguous=True)
    assert len(wire.requests) == 2


def test_an_unreachable_vendor_is_tried_again_and_not_billed(closed_port: int) -> None:
    """Nothing was sent: a connection error, with ``billed="no"``."""
    with (
        ImageClient(
            "volcengine", api_key="k", base_url=f"http://127.0.0.1:{closed_port}", timeout=AMPLE
        ) as images,
        pytest.raises(errors.ConnectionFailedError) as caught,
    ):
        images.text_to_image("x")
    assert (caught.value.billed, caught.value.retryable) == ("no", True)


def test_a_stream_is_gathered(wire: Wire) -> None:
    """
    ``stream=True``: server-sent events become the same group, with the failed picture in its place.
    """
    events = (
        b'event: image_generation.partial_succeeded\ndata: {"type":"image_generation.partial_succeeded","created":1757396757,'
        b'"image_index":0,"url":"https://a.example/0.jpeg","size":"2496x1664"}\n\n'
        b'event: image_generation.partial_failed\ndata: {"type":"image_generation.partial_failed","image_index":1,'
        b'"error":{"code":"OutputImageSensitiveContentDetected","message":"no"}}\n\n'
        b'data: {"type":"image_generation.partial_succeeded","image_index":2,"url":"https://a.example/2.jpeg"}\n\n'
        b'data: {"type":"image_generation.completed","usage":{"generated_images":2}}\n\ndata: [DONE]\n\n'
    )
    wire.script(http(200, events, headers={"content-type": "text/event-stream"}))
    with client(wire) as images:
        group = images.text_to_images("x", n=3, stream=True)
    assert [image.url for image in group.images] == [
        "https://a.example/0.jpeg",
        "https://a.example/2.jpeg",
    ]
    assert [error.index for error in group.errors] == [1]
    assert group.images[0].metadata["usage"] == {"generated_images": 2}


def test_a_cut_stream_keeps_what_came(wire: Wire) -> None:
    """The picture that came is kept; the cut is an error of the group."""
    event = b'data: {"type":"image_generation.partial_succeeded","image_index":0,"url":"https://a.example/0.jpeg"}\n\n'
    reply = http(200, event, headers={"content-type": "text/event-stream"}, length=5000)
    wire.script(reply, Reset)
    with client(wire) as images:
        group = images.text_to_images("x", n=3, stream=True)
    assert len(group.images) == 1
    assert [type(error) for error in group.errors] == [errors.OutcomeUnknownError] * 2
    assert [error.index for error in group.errors] == [1, 2]
    assert [str(error.cost) for error in group.errors] == ["at most 0.25 CNY"] * 2


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        (b"", errors.OutcomeUnknownError),
        (b'data: {"error":{"code":"InternalServiceError","message":"m"}}\n\n', errors.ServerError),
        (b"data: nonsense\n\ndata: [DONE]\n\n", errors.InvalidReplyError),
    ],
)
def test_streams_with_nothing_in_them(
    wire: Wire, events: bytes, kind: type[errors.ProviderError]
) -> None:
    """No picture, no success."""
    wire.script(http(200, events, headers={"content-type": "text/event-stream"}))
    with client(wire) as images, pytest.raises(kind):
        images.text_to_image("x", stream=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"modell": "x"}, "no option 'modell'"),
        ({"family": "9"}, "family must be"),
        ({"size_policy": "x"}, "size_policy"),
        ({"timeout": -1}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"base_url": "nope"}, "base_url"),
    ],
)
def test_bad_options_are_refused_when_the_client_is_made(
    options: dict[str, Any], match: str
) -> None:
    """Not at the first call."""
    with pytest.raises(errors.ConfigurationError, match=match):
        ImageClient("volcengine", **{"api_key": "k", **options})


def test_missing_credentials_name_their_variables() -> None:
    """Both names that would supply the key."""
    with pytest.raises(errors.MissingCredentialError, match="VOLCENGINE_API_KEY or ARK_API_KEY"):
        ImageClient("volcengine")


def test_the_environment_supplies_everything(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """The document's four variables."""
    monkeypatch.setenv("VOLCENGINE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("VOLCENGINE_BASE_URL", sandbox.ark_url + "/")
    monkeypatch.setenv("VOLCENGINE_IMAGE_MODEL", "doubao-seedream-4-0-250828")
    monkeypatch.setenv("VOLCENGINE_TIMEOUT_SECS", "7")
    with ImageClient("doubao") as images:
        images.text_to_image("x", size="1024x1024")
    assert sandbox.requests[0].body["model"] == "doubao-seedream-4-0-250828"
    assert sandbox.requests[0].body["size"] == "1024x1024"


@pytest.mark.parametrize("bad", ["", "  ", None, 5, "\ud800"])
def test_prompts_are_checked_before_anything_is_sent(sandbox: Sandbox, bad: Any) -> None:
    """Blank, no text, or no Unicode."""
    with client(sandbox) as images, pytest.raises(errors.InvalidInputError, match="prompt"):
        images.text_to_image(bad)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "options",
    [
        {"size": "huge"},
        {"seed": {1}},
        {"seed": float("nan")},
        {"x": "\udfff"},
        {"extra_body": 5},
        {"extra_headers": 5},
    ],
)
def test_options_that_are_no_json_are_refused(sandbox: Sandbox, options: dict[str, Any]) -> None:
    """A clear error, and nothing is sent."""
    with client(sandbox) as images, pytest.raises(ValueError):
        images.text_to_image("x", **options)
    assert sandbox.requests == []


def test_the_key_is_in_no_message(sandbox: Sandbox) -> None:
    """A vendor that echoes the key does not get it into our errors."""
    sandbox.answer(
        401, {"error": {"code": "AuthenticationError", "message": "bad key k-secret-canary"}}
    )
    with (
        client(sandbox, api_key="k-secret-canary") as images,
        pytest.raises(errors.AuthenticationError) as caught,
    ):
        images.text_to_image("x")
    assert "canary" not in str(caught.value) + repr(caught.value.body) + repr(images)


def test_hints_say_what_to_do(sandbox: Sandbox) -> None:
    """A model that was never opened: the console is named."""
    sandbox.answer(404, {"error": {"code": "ModelNotOpen", "message": "not open"}})
    with client(sandbox) as images, pytest.raises(errors.NotFoundError, match="activate the model"):
        images.text_to_image("x")


@respx.mock
def test_the_wire_with_httpx_mocked() -> None:
    """What httpx is told to send, without a server: method, address, bearer token, JSON."""
    route = respx.post("https://ark.cn-beijing.volces.com/api/v3/images/generations").mock(
        httpx.Response(200, json=OK)
    )
    with ImageClient("volcengine", api_key="k") as images:
        result = images.text_to_image("x", size="2560x1440", size_policy="exact")
    assert route.call_count == 1
    request = route.calls.last.request
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.content)["size"] == "2560x1440"
    assert result.url == OK["data"][0]["url"]
    assert (result.width, result.height) == (2560, 1440)


def test_the_body_is_compact_utf8(wire: Wire) -> None:
    """Chinese is sent as it is, not as escapes."""
    wire.script(http(200, OK))
    with client(wire) as images:
        images.text_to_image("猫")
    assert "猫".encode() in wire.requests[0]
    assert body_of(wire.requests[0])["prompt"] == "猫"
    assert b"accept-encoding: identity" in wire.requests[0].lower()


def test_a_whole_answer_counts_though_the_connection_was_cut(wire: Wire) -> None:
    """
    The JSON is complete, and the picture paid: the framing's promise of more is not worth losing
    it.
    """
    wire.script(http(200, OK, length=5000), Reset)
    with ImageClient("volcengine", api_key="k", base_url=wire.url, timeout=AMPLE) as client:
        assert client.text_to_image("a cat").has_url
    assert len(wire.requests) == 1


def test_a_picture_beside_an_error_is_not_thrown_away(wire: Wire) -> None:
    """``data`` is read before ``error``."""
    wire.script(http(200, {**OK, "error": {"code": "InternalServiceError", "message": "later"}}))
    with ImageClient("volcengine", api_key="k", base_url=wire.url, timeout=AMPLE) as client:
        assert client.text_to_image("a cat").has_url
