"""OpenAI's images and those who copied them: what leaves, what comes back, how it fails."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import openai
import pytest
from PIL import Image

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.image.openai.vendors import VENDORS
from aigc_kit.sandbox import Sandbox
from tests.images import make
from tests.wire import AMPLE, Wire, http


def client(sandbox: Sandbox, name: str = "openai", **options: Any) -> ImageClient:
    given = {**sandbox.image_options(name), "timeout": AMPLE, "allow_private_hosts": True}
    return ImageClient(name, **{**given, **options})


def mask_of(size: tuple[int, int]) -> bytes:
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    image.putpixel((1, 1), (0, 0, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_one_post_for_text(sandbox: Sandbox) -> None:
    """Model, prompt and size; no ``response_format``, which these models refuse."""
    with client(sandbox) as images:
        result = images.text_to_image("一只橘猫", size="1536x1024", quality="low")
    (sent,) = sandbox.requests
    assert (sent.method, sent.path) == ("POST", "/openai/v1/images/generations")
    assert sent.body == {
        "model": "gpt-image-2.6-flare",
        "prompt": "一只橘猫",
        "size": "1536x1024",
        "quality": "low",
    }
    assert (result.width, result.height, result.mime_type) == (1536, 1024, "image/png")
    assert result.metadata["usage"]["output_tokens"] == 196
    assert result.metadata["request_id"].startswith("req_")
    assert json.loads(json.dumps(result.metadata)) == result.metadata


def test_references_and_mask_are_files_of_a_form(sandbox: Sandbox) -> None:
    """Several references have brackets; every part has a name and a type."""
    with client(sandbox) as images:
        images.image_to_image(
            "night", reference_images=[make(), make("JPEG")], mask=mask_of((24, 16)), quality="low"
        )
        images.image_to_image("night", reference_images=make())
    first, second = (request.body for request in sandbox.requests)
    assert sandbox.requests[0].path == "/openai/v1/images/edits"
    assert first.count(b'name="image[]"; filename="image_') == 2
    assert b'name="mask"; filename="mask.png"\r\nContent-Type: image/png' in first
    assert b'name="image"; filename="image_0.png"' in second


def test_several_images_are_one_request(sandbox: Sandbox) -> None:
    """Up to ten; more are asked for one by one."""
    with client(sandbox) as images:
        group = images.text_to_images("cats", n=3, quality="low")
    assert len(group) == 3
    assert sandbox.requests[0].body["n"] == 3
    assert len(sandbox.requests) == 1
    sandbox.reset()
    picture = base64.b64encode(make()).decode()
    sandbox.answer(200, {"data": [{"b64_json": picture}]}, times=11)
    with client(sandbox) as images:
        assert len(images.text_to_images("cats", n=11)) == 11
    assert len(sandbox.requests) == 11


def test_fewer_images_than_were_asked_for_are_a_warning(sandbox: Sandbox) -> None:
    picture = base64.b64encode(make()).decode()
    sandbox.answer(200, {"data": [{"b64_json": picture}]})
    with client(sandbox) as images:
        (only,) = images.text_to_images("cats", n=3)
    assert "n" in [entry["feature"] for entry in only.metadata["warnings"]]


def test_a_blocked_prompt_costs_nothing_and_says_why(sandbox: Sandbox) -> None:
    with client(sandbox) as images, pytest.raises(errors.ContentFilterError) as caught:
        images.text_to_image("[blocked]")
    assert (caught.value.code, caught.value.billed) == ("moderation_blocked", "no")
    assert caught.value.reason == "violence"
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quality": "hd"}, "quality must be one of"),
        ({"quality": "max", "model": "gpt-image-2"}, "quality must be one of"),
        ({"background": "transparent", "output_format": "jpeg"}, "transparent"),
        ({"output_compression": 50}, "output_compression needs"),
        ({"output_compression": 101, "output_format": "webp"}, "from 0 to 100"),
        ({"partial_images": 4}, "from 0 to 3"),
        ({"markup": b"x"}, "markup is for"),
        ({"mask": b"x"}, "mask says which part"),
        ({"on_image": "x"}, "on_image must be a function"),
        ({"extra_body": []}, "extra_body must be a dict"),
        ({"family": "dall-e-3"}, "family must be one of"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(
    sandbox: Sandbox, options: dict[str, Any], said: str
) -> None:
    with client(sandbox) as images, pytest.raises(errors.AIGCError, match=said):
        images.text_to_image("x", **options)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (make(), "opaque everywhere"),
        (mask_of((10, 10)), "make them equal"),
        (b"nothing", "not an image"),
        ([mask_of((24, 16))] * 2, "pass one"),
    ],
)
def test_a_mask_is_checked_before_anything_is_sent(sandbox: Sandbox, mask: Any, said: str) -> None:
    with client(sandbox) as images, pytest.raises(errors.ReferenceImageError, match=said):
        images.image_to_image("x", reference_images=make(), mask=mask)
    assert sandbox.requests == []


@pytest.mark.parametrize("name", ["volcengine", "gemini", "glm", "siliconflow", "xai"])
def test_a_mask_is_refused_where_the_vendor_has_none(sandbox: Sandbox, name: str) -> None:
    """Alone, and when it is one of several: nothing was sent to any of them."""
    with (
        client(sandbox, name) as images,
        pytest.raises(errors.UnsupportedFeatureError, match="mask"),
    ):
        images.image_to_image("x", reference_images=make(), mask=mask_of((24, 16)))
    both = [("openai", sandbox.image_options("openai")), (name, sandbox.image_options(name))]
    with (
        ImageClient(both) as images,
        pytest.raises(errors.UnsupportedFeatureError, match=name),
    ):
        images.image_to_image("x", reference_images=make(), mask=mask_of((24, 16)))
    assert sandbox.requests == []


def test_partial_images_are_told_while_they_come(sandbox: Sandbox) -> None:
    """With their number; the finished image comes last, as the call's result."""
    seen: list[ImageResult] = []
    with client(sandbox) as images:
        result = images.text_to_image("x", on_image=seen.append, partial_images=2)
    assert [image.metadata.get("partial") for image in seen] == [0, 1, None]
    assert seen[-1] is result
    assert sandbox.requests[0].body["stream"] is True
    assert result.metadata["usage"]["total_tokens"] > 0
    assert all(image.width == 1024 for image in seen)


def test_an_exception_of_the_application_costs_no_image(sandbox: Sandbox) -> None:
    """It is a warning of the result, and the function is not called again."""
    calls: list[int] = []

    def fails(image: ImageResult) -> None:
        calls.append(1)
        raise ValueError("no such canvas")

    with client(sandbox) as images:
        result = images.text_to_image("x", on_image=fails, partial_images=2)
    assert result.data
    assert len(calls) == 1
    assert any("no such canvas" in entry["details"] for entry in result.metadata["warnings"])


def test_a_stream_that_breaks_keeps_the_last_partial_image(sandbox: Sandbox) -> None:
    """The outcome is unknown, and the request is not sent again."""
    seen: list[ImageResult] = []
    event = {
        "type": "image_generation.partial_image",
        "b64_json": base64.b64encode(make()).decode(),
        "partial_image_index": 0,
    }
    body = [f"data: {json.dumps(event)}\n\n".encode()]
    sandbox.answer(200, body, headers={"content-type": "text/event-stream"})
    with client(sandbox) as images, pytest.raises(errors.OutcomeUnknownError) as caught:
        images.text_to_image("x", on_image=seen.append)
    assert isinstance(caught.value.result, ImageResult)
    assert caught.value.result.data == make() == seen[0].data
    assert len(sandbox.requests) == 1


def test_a_stream_that_ends_with_an_error_is_that_error(sandbox: Sandbox) -> None:
    error = {"error": {"code": "moderation_blocked", "message": "safety_violations=[sexual]."}}
    body = [b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"]
    sandbox.answer(200, body, headers={"content-type": "text/event-stream"})
    with client(sandbox) as images, pytest.raises(errors.ContentFilterError) as caught:
        images.text_to_image("x", stream=True)
    assert caught.value.reason == "sexual"
    assert caught.value.billed == "unknown"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524])
def test_a_server_error_is_never_repeated(sandbox: Sandbox, status: int) -> None:
    sandbox.answer(status, {"error": {"message": "upstream"}})
    with client(sandbox) as images, pytest.raises(errors.ServerError) as caught:
        images.text_to_image("x")
    assert caught.value.billed == "unknown"
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("status", "error", "kind", "billed"),
    [
        (429, {"code": "rate_limit_exceeded"}, errors.RateLimitError, "no"),
        (429, {"code": "insufficient_quota"}, errors.QuotaExceededError, "no"),
        (400, {"code": "billing_hard_limit_reached"}, errors.QuotaExceededError, "no"),
        (400, {"code": "content_policy_violation"}, errors.ContentFilterError, "no"),
        (400, {"code": "contentFilter"}, errors.ContentFilterError, "no"),
        (403, {"message": "must be verified"}, errors.PermissionDeniedError, "no"),
        (404, {"code": "DeploymentNotFound"}, errors.NotFoundError, "no"),
    ],
)
def test_refusals(
    sandbox: Sandbox, status: int, error: dict[str, str], kind: type[Exception], billed: str
) -> None:
    sandbox.answer(status, {"error": error}, times=3, headers={"retry-after": "0"})
    with client(sandbox) as images, pytest.raises(kind) as caught:
        images.text_to_image("x")
    assert caught.value.billed == billed  # type: ignore[attr-defined]


def test_a_blocked_azure_resource_is_not_a_moderation_of_the_prompt(sandbox: Sandbox) -> None:
    said = (
        "Your resource has been temporarily blocked because we detected behavior that may violate"
        " our content policy."
    )
    sandbox.answer(403, {"error": {"code": "Forbidden", "message": said}})
    with client(sandbox) as images, pytest.raises(errors.PermissionDeniedError):
        images.text_to_image("x")


def test_a_paid_answer_without_an_image_is_an_error(sandbox: Sandbox) -> None:
    """It may have been billed: the error says so, and repeats what a chat model said."""
    for body in ({"data": []}, {"data": None}, {"data": [{}]}, {"created": 1}, {"task_id": "t"}):
        sandbox.answer(200, body)
        with client(sandbox) as images, pytest.raises(errors.InvalidReplyError) as caught:
            images.text_to_image("x")
        assert caught.value.billed == "unknown"


def test_azure_by_its_v1_url_takes_the_deployment_as_model(sandbox: Sandbox) -> None:
    with (
        client(sandbox, model="my-deployment", family="gpt-image-2") as images,
        pytest.raises(errors.NotFoundError),
    ):
        images.text_to_image("x", size="1000x1000")
    assert sandbox.requests[0].body["model"] == "my-deployment"
    assert sandbox.requests[0].body["size"] == "1008x1008"


def test_the_url_of_an_azure_deployment(sandbox: Sandbox) -> None:
    """The key has a header of its own, the version is in the URL, and no model is sent."""
    url = f"{sandbox.url}/openai/deployments/drawing"
    with client(sandbox, base_url=url, api_version="2025-04-01-preview") as images:
        assert images.text_to_image("x").data
        assert images.image_to_image("x", reference_images=make()).data
    for sent in sandbox.requests:
        assert sent.query == {"api-version": "2025-04-01-preview"}
        assert "authorization" not in sent.headers
    assert "model" not in sandbox.requests[0].body
    with pytest.raises(errors.ConfigurationError, match="needs api_version"):
        client(sandbox, base_url=url)
    with pytest.raises(errors.ConfigurationError, match="api_version"):
        client(sandbox, api_version="2025-04-01-preview")


def test_a_model_that_ends_is_a_warning(sandbox: Sandbox) -> None:
    with client(sandbox, model="gpt-image-1.5") as images:
        result = images.text_to_image("x", size="16:9")
    details = [entry["details"] for entry in result.metadata["warnings"]]
    assert any("2026-12-01" in text and "gpt-image-2.6-flare" in text for text in details)
    assert result.metadata["sent_size"] == "1536x1024"


# ---- the others


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendor_draws_edits_or_says_that_it_cannot(sandbox: Sandbox, name: str) -> None:
    """Through its own wire, with its own words for sizes and references."""
    with client(sandbox, name) as images:
        result = images.text_to_image("a cat", size="16:9")
        assert result.url or result.data
        assert result.provider == name
        assert len(images.text_to_images("cats", n=2)) == 2
        with pytest.raises(errors.ContentFilterError):
            images.text_to_image("[blocked]")
        if VENDORS[name].references == 0:
            with pytest.raises(errors.ReferenceImageError, match="takes none"):
                images.image_to_image("night", reference_images=make())
            return
        edited = images.image_to_image("night", reference_images=[make(), make("JPEG")])
        assert edited.url or edited.data


def test_what_glm_gets(sandbox: Sandbox) -> None:
    """The key and the base of its chat; the watermark only when it is asked for."""
    with client(sandbox, "zhipu") as images:
        result = images.text_to_image("猫", size="16:9")
        images.text_to_image("猫", watermark=False)
    first, second = (request.body for request in sandbox.requests)
    assert first == {"model": "glm-image", "prompt": "猫", "size": "1728x960"} or (
        first["size"] == "2048x1152"
    )
    assert second["watermark_enabled"] is False
    assert result.metadata["expires_at"]


def test_what_siliconflow_gets(sandbox: Sandbox) -> None:
    """Pixels in a field of its own; an edit model takes no size; images are numbered fields."""
    with client(sandbox, "siliconflow") as images:
        images.text_to_image("x", size="1024x768", negative_prompt="dog")
        edited = images.image_to_image(
            "x", reference_images=[make(), make()], model="Qwen/Qwen-Image-Edit", size="512x512"
        )
        images.text_to_images("x", n=2, model="Kwai-Kolors/Kolors")
    first, second, third = (request.body for request in sandbox.requests)
    assert (first["image_size"], first["negative_prompt"]) == ("1024x768", "dog")
    assert {"image", "image2"} <= second.keys()
    assert "image_size" not in second
    assert "size" in [entry["feature"] for entry in edited.metadata["warnings"]]
    assert third["batch_size"] == 2


def test_what_xai_gets(sandbox: Sandbox) -> None:
    """A ratio and a resolution; references as objects of JSON."""
    with client(sandbox, "xai") as images:
        images.text_to_image("x", size="1920x1080")
        images.image_to_image("x", reference_images=make(), size="2K")
        images.image_to_image("x", reference_images=[make(), make()], size="1:1")
    first, second, third = (request.body for request in sandbox.requests)
    assert (first["aspect_ratio"], first["resolution"]) == ("16:9", "1k")
    assert second["image"]["url"].startswith("data:image/png;base64,")
    assert second["resolution"] == "2k"
    assert len(third["images"]) == 2


def test_what_openrouter_gets(sandbox: Sandbox) -> None:
    """A chat with an image as its answer; the cost that it reports is in the usage."""
    with client(sandbox, "openrouter", model="google/gemini-3-pro-image") as images:
        result = images.image_to_image("x", reference_images=make(), size="2752x1536")
    (sent,) = sandbox.requests
    assert sent.body["modalities"] == ["image", "text"]
    assert sent.body["image_config"] == {"aspect_ratio": "16:9", "image_size": "2K"}
    assert [part["type"] for part in sent.body["messages"][0]["content"]] == ["text", "image_url"]
    assert result.metadata["usage"]["cost"] == 0.0387


def test_a_relay_is_asked_for_one_image_at_a_time(sandbox: Sandbox) -> None:
    """Some bill n images and give one; ``profile`` says otherwise of one that does not."""
    with client(sandbox, "openai_compat") as images:
        assert len(images.text_to_images("x", n=2)) == 2
    assert len(sandbox.requests) == 2
    with client(sandbox, "openai_compat", profile={"group": 4}) as images:
        assert len(images.text_to_images("x", n=2)) == 2
    assert len(sandbox.requests) == 3
    with pytest.raises(errors.ConfigurationError, match="no fact 'groop'"):
        client(sandbox, "openai_compat", profile={"groop": 4})


def test_the_fallback_maps_sizes_and_references_for_each(sandbox: Sandbox) -> None:
    """A refusal of the first costs nothing; the next gets the size in its own words."""
    sandbox.answer(429, {"error": {"code": "rate_limit_exceeded"}}, path="/openai/", times=9)
    names = ["openai", "glm", "xai"]
    chain = [(name, sandbox.image_options(name)) for name in names]
    with ImageClient(chain, allow_private_hosts=True, max_retries=0) as images:
        result = images.image_to_image("x", reference_images=make(), size="1920x1080")
    assert result.provider == "xai"
    assert [entry["provider"] for entry in result.metadata["attempts"]] == names
    assert sandbox.requests[-1].body["aspect_ratio"] == "16:9"


def test_the_sandbox_speaks_to_the_vendors_sdk(sandbox: Sandbox) -> None:
    """The raw openai SDK, whole, edited and streamed."""
    with openai.OpenAI(api_key=sandbox.api_key, base_url=f"{sandbox.url}/openai/v1") as sdk:
        assert len(sdk.images.generate(model="gpt-image-2", prompt="x", n=2).data or []) == 2
        files = [("a.png", make()), ("b.png", make())]
        assert sdk.images.edit(model="gpt-image-2", prompt="x", image=files).data
        events = sdk.images.generate(model="gpt-image-2", prompt="x", stream=True, partial_images=1)
        assert [event.type for event in events] == [
            "image_generation.partial_image",
            "image_generation.completed",
        ]
        with pytest.raises(openai.NotFoundError):
            sdk.images.generate(model="dall-e-3", prompt="x")


COMPLETED = {
    "type": "image_generation.completed",
    "b64_json": base64.b64encode(make()).decode(),
}
BLOCKED = {"type": "error", "error": {"code": "moderation_blocked", "message": "blocked"}}


def streamed(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


@pytest.mark.parametrize(
    ("events", "cut", "kind"),
    [
        ([COMPLETED, BLOCKED], False, errors.ContentFilterError),
        ([COMPLETED], True, errors.OutcomeUnknownError),
    ],
)
def test_the_error_of_a_later_image_is_told(
    events: list[dict[str, Any]], cut: bool, kind: type[Exception]
) -> None:
    head = {"content-type": "text/event-stream"}
    body = streamed(*events)
    length = len(body) + 100 if cut else None
    with Wire() as wire:
        wire.scripts.append([http(200, body, headers=head, length=length)])
        options = {"api_key": "key-of-openai", "base_url": wire.url, "max_retries": 0}
        with ImageClient("openai", timeout=AMPLE, **options) as images:
            group = images.text_to_images("a cat", n=2, stream=True)
    assert [type(error) for error in group.errors] == [kind]
    assert (len(group.images), group.errors[0].index) == (1, 1)
    assert group.images[0].metadata["warnings"][0]["feature"] != "n"


def test_an_error_behind_the_last_image_is_none_of_the_group(sandbox: Sandbox) -> None:
    head = {"Content-Type": "text/event-stream"}
    sandbox.answer(200, streamed(COMPLETED, COMPLETED, BLOCKED), headers=head)
    with client(sandbox) as images:
        group = images.text_to_images("a cat", n=2, stream=True)
    assert (len(group.images), group.errors) == (2, [])
