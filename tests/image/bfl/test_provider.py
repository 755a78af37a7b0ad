"""FLUX: what leaves, what comes back, and tasks that outlive their process."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, errors
from aigc_kit.image.bfl.models import model_of
from aigc_kit.image.bfl.request import sized, to_body
from aigc_kit.image.bfl.response import from_response, usage_of
from aigc_kit.sandbox import Sandbox, bfl
from aigc_kit.storage import LocalStorage
from aigc_kit.transport.failures import RequestContext
from tests.images import make
from tests.wire import Reset, Wire, http

CONTEXT = RequestContext("bfl", "m", paid=True)


@pytest.fixture(autouse=True)
def looks_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfl, "LOOKS", 0)


def client(server: Sandbox | Wire, **options: Any) -> ImageClient:
    if isinstance(server, Sandbox):
        own = server.image_options("bfl")
    else:
        own = {"api_key": "key-of-bfl-123", "base_url": server.url}
    return ImageClient(
        "bfl", **{"max_retries": 0, "timeout": 20, "allow_private_hosts": True, **own, **options}
    )


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        ("flux-3-image", "1024x1024", {"width": 1024, "height": 1024}),
        ("flux-3-image", "4K", {"width": 2880, "height": 2880}),
        ("flux-2-pro", "1000x777", {"width": 1008, "height": 784}),
        ("flux-2-pro", "2K", {"width": 2048, "height": 2048}),
        ("flux-pro-1.1", "16:9", {"width": 1376, "height": 768}),
        ("flux-kontext-pro", "1920x1080", {"aspect_ratio": "16:9"}),
        ("flux-pro-1.1-ultra", "3:4", {"aspect_ratio": "3:4"}),
    ],
)
def test_sizes(model: str, size: str, sent: dict[str, Any]) -> None:
    made = sized(size, model_of(model), policy="nearest").fields
    if "width" not in sent or size[0] in "13":
        assert made.keys() == sent.keys()
    if "aspect_ratio" in sent or size == "1024x1024":
        assert made == sent
    for side in made.values():
        if isinstance(side, int):
            assert side % 16 == 0


def test_an_exact_size_is_refused_with_the_nearest() -> None:
    with pytest.raises(errors.InvalidInputError, match="nearest"):
        sized("1001x1001", model_of("flux-2-pro"), policy="exact")


def test_references_have_the_models_own_fields(sandbox: Sandbox) -> None:
    given = [make("PNG", (64, 64)), make("JPEG", (64, 64))]
    for model, names in (
        ("flux-3-image", ["images"]),
        ("flux-2-pro", ["input_image", "input_image_2"]),
    ):
        with client(sandbox, model=model) as images:
            images.image_to_image("a cat", reference_images=given)
        body = next(r.body for r in reversed(sandbox.requests) if r.method == "POST")
        assert [name for name in body if "image" in name] == names
        first = body["images"][0] if names == ["images"] else body["input_image"]
        assert b64decode(first) == given[0]
    with client(sandbox) as images, pytest.raises(errors.ReferenceImageError):
        images.image_to_image("a cat", reference_images=given * 6)


def test_options_reach_the_model_and_wrong_ones_do_not() -> None:
    known = model_of("flux-2-flex")
    size = sized("1024x1024", known, policy="nearest")
    body = to_body(
        "a cat",
        model=known,
        size=size,
        references=None,
        options={"seed": 3, "safety_tolerance": 2, "steps": None},
        extra={"webhook_url": "https://example.com"},
    )
    assert body == {
        "prompt": "a cat",
        "width": 1024,
        "height": 1024,
        "seed": 3,
        "safety_tolerance": 2,
        "webhook_url": "https://example.com",
    }
    with pytest.raises(errors.InvalidInputError, match="safety_tolerance"):
        to_body("a", model=known, size=size, references=None, options={"safety_tolerance": 9})


def test_an_image_with_its_price(sandbox: Sandbox, tmp_path: Path) -> None:
    with client(sandbox, storage=LocalStorage(tmp_path), keep_urls=True) as images:
        result = images.text_to_image("a cat", size="1024x768", seed=7)
    assert (result.provider, result.mime_type) == ("bfl", "image/jpeg")
    assert (result.width, result.height) == (1024, 768)
    assert result.metadata["usage"]["credits"] == 4.0
    assert result.cost is not None
    assert (result.cost["amount"], result.cost["currency"]) == (0.04, "USD")
    assert result.metadata["expires_at"]
    first = sandbox.requests[0]
    assert (first.path, first.headers["x-key"]) == ("/bfl/v1/flux-3-image", "***")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Request Moderated", errors.ContentFilterError),
        ("Content Moderated", errors.ContentFilterError),
        ("Error", errors.ServerError),
        ("Failed", errors.ServerError),
    ],
)
def test_a_task_that_failed_is_its_error(status: str, kind: type[errors.ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        from_response({"id": "t", "status": status, "result": None}, CONTEXT, {})
    assert (caught.value.code, caught.value.billed) == (status, "unknown")


def test_a_result_without_a_link_may_be_billed() -> None:
    with pytest.raises(errors.InvalidReplyError) as caught:
        from_response({"status": "Ready", "result": {"sample": 5}}, CONTEXT, {})
    assert caught.value.billed == "unknown"


@pytest.mark.parametrize("cost", [None, "4", True, []])
def test_a_price_that_makes_no_sense_is_none(cost: Any) -> None:
    assert "cost" not in usage_of({"cost": cost, "output_mp": 1.5})


def submitted(url: str, **more: Any) -> bytes:
    return json.dumps({"id": "t1", "polling_url": url, "cost": 4, **more}).encode()


@pytest.mark.parametrize(
    "answers",
    [
        [{"status": "Ready", "result": {"sample": "LINK"}}],
        [{"id": "t1", "status": "ready", "result": {"sample": "LINK"}}],
        [{"data": [{"url": "LINK"}]}],
        [{"id": 5}, {"status": "Ready", "result": {"sample": "LINK"}}],
        [{"task_id": "t1"}, {"status": "succeeded", "result": {"sample": "LINK"}}],
    ],
)
def test_the_response_decides_whether_it_is_a_task(wire: Wire, answers: list[Any]) -> None:
    link = f"{wire.url}/1.jpg"
    for answer in answers:
        wire.script(http(200, json.loads(json.dumps(answer).replace("LINK", link))))
    with client(wire) as images:
        assert images.text_to_image("a cat").url == link


def test_a_response_without_a_task_and_an_image_may_be_billed(wire: Wire) -> None:
    wire.script(http(200, {"queued": True}))
    with client(wire) as images, pytest.raises(errors.InvalidReplyError, match="queued") as caught:
        images.text_to_image("a cat")
    assert caught.value.billed == "unknown"


@pytest.mark.parametrize("key", ["k", None])
def test_a_task_that_ended_badly_does_not_lock_its_key(
    wire: Wire, tmp_path: Path, key: str | None
) -> None:
    """It is told until it is dropped, or bought again when that is said."""
    failed = http(200, {"id": "t1", "status": "Content Moderated"})
    begun = http(200, json.loads(submitted(f"{wire.url}/get_result?id=t1")))
    done = http(200, {"id": "t1", "status": "Ready", "result": {"sample": f"{wire.url}/1.jpg"}})
    options = {"storage": LocalStorage(tmp_path / "s"), "spool_dir": tmp_path / "spool"}
    with client(wire, keep_urls=True, **options) as images:
        for each in (begun, failed):
            wire.script(each)
        with pytest.raises(errors.ContentFilterError) as caught:
            images.text_to_image("a cat", idempotency_key=key)
        assert caught.value.billed == "unknown"
        if key:
            wire.script(failed)
            with pytest.raises(errors.ContentFilterError):
                images.text_to_image("a cat", idempotency_key=key)
            for each in (failed, begun, done, http(200, make("JPEG", (64, 64)))):
                wire.script(each)
            assert images.text_to_image("a cat", idempotency_key=key, retry_ambiguous=True).url
        else:
            for _ in range(2):
                wire.script(failed)
            assert len(images.resume_spool().errors) == 1
            assert len(images.resume_spool(forget=True).errors) == 1
        assert images.resume_spool().errors == []


def test_the_key_goes_to_no_other_host(wire: Wire) -> None:
    """A polling URL of another host is not used; the configured host is asked instead."""
    link = f"{wire.url}/1.jpg"
    wire.script(http(200, json.loads(submitted("https://evil.example.com/v1/get_result?id=t1"))))
    wire.script(http(200, {"id": "t1", "status": "Ready", "result": {"sample": link}}))
    with client(wire) as images:
        assert images.text_to_image("a cat").url == link
    assert wire.requests[1].startswith(b"GET /get_result?id=t1 ")


def test_a_lost_connection_while_waiting_is_not_the_end(wire: Wire) -> None:
    link = f"{wire.url}/1.jpg"
    wire.script(http(200, json.loads(submitted(f"{wire.url}/get_result?id=t1"))))
    wire.script(Reset)
    wire.script(http(503, {"detail": "later"}))
    wire.script(http(200, {"id": "t1", "status": "Ready", "result": {"sample": link}}))
    with client(wire) as images:
        assert images.text_to_image("a cat").url == link
    assert sum(request.startswith(b"POST") for request in wire.requests) == 1


def posts(box: Sandbox) -> int:
    return sum(request.method == "POST" for request in box.requests)


def test_a_task_that_outlives_its_call_is_collected_and_not_paid_again(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "storage": LocalStorage(tmp_path / "store"),
        "keep_urls": True,
        "spool_dir": tmp_path / "spool",
    }
    monkeypatch.setattr(bfl, "LOOKS", 99)
    with client(sandbox, **options) as images:
        with pytest.raises(errors.OutcomeUnknownError, match="collects its images") as caught:
            images.text_to_image("a cat", idempotency_key="k", timeout=0.5)
        with pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("a dog", timeout=0.5)
    assert caught.value.code == "TaskRunning"
    monkeypatch.setattr(bfl, "LOOKS", 0)
    with client(sandbox, **options) as images:
        assert images.text_to_image("a cat", idempotency_key="k").metadata["usage"]["credits"] == 4
        (resumed,) = images.resume_spool().images
    assert resumed.cost is not None
    assert posts(sandbox) == 2


def test_a_task_that_nobody_knows_any_more(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"storage": LocalStorage(tmp_path / "s"), "spool_dir": tmp_path / "spool"}
    monkeypatch.setattr(bfl, "LOOKS", 99)
    with client(sandbox, **options) as images:
        with pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("a cat", timeout=0.5)
        sandbox.tasks.clear()
        [error] = images.resume_spool().errors
        assert isinstance(error, errors.OutcomeUnknownError)
        assert error.code == "TaskUnknown"
        images.resume_spool(forget=True)
        assert images.resume_spool().errors == []


def test_flux_is_another_name(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFL_API_KEY", sandbox.api_key)
    monkeypatch.setenv("BFL_BASE_URL", sandbox.url + bfl.PREFIX)
    monkeypatch.setenv("BFL_IMAGE_MODEL", "flux-2-pro")
    with ImageClient("flux") as images:
        assert images.text_to_image("a cat").metadata["model"] == "flux-2-pro"


PIXELS = make("PNG", (64, 64))


@pytest.mark.parametrize(
    "result",
    [
        {"sample": f"data:image/png;base64,{b64encode(PIXELS).decode()}"},
        {"sample": ["https://x.example/a.png"]},
        {"samples": ["https://x.example/a.png"]},
        {"url": "https://x.example/a.png"},
    ],
)
def test_a_relays_result_is_read(result: dict[str, Any]) -> None:
    (image,) = from_response({"status": "Ready", "result": result}, CONTEXT, {})
    assert image.url == "https://x.example/a.png" or image.data == PIXELS
    assert bool(image.url) == ("expires_at" in image.metadata)


def test_what_is_nearly_an_image_is_in_the_error() -> None:
    body = {"status": "Ready", "result": {"said": "see https://x.example/a.png"}}
    with pytest.raises(errors.InvalidReplyError, match="no sample") as caught:
        from_response(body, CONTEXT, {})
    assert caught.value.result.url == "https://x.example/a.png"
