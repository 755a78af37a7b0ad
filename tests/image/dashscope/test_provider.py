"""DashScope: what leaves, what comes back, and tasks that outlive their process."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aigc_kit import ImageClient, errors
from aigc_kit.image import receipts, tasks
from aigc_kit.image.dashscope.models import MODELS, model_of
from aigc_kit.image.dashscope.provider import native
from aigc_kit.image.dashscope.request import sized, to_body
from aigc_kit.image.dashscope.response import from_response
from aigc_kit.sandbox import Sandbox, dashscope_images
from aigc_kit.storage import LocalStorage
from aigc_kit.transport import codes
from aigc_kit.transport.failures import RequestContext
from tests.images import make
from tests.wire import Reset, Wire, http

TASK = "wan2.7-image"
CONTEXT = RequestContext("dashscope", "m", paid=True, judge=codes.openai)


@pytest.fixture(autouse=True)
def looks_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashscope_images, "LOOKS", 0)


def client(server: Sandbox | Wire, **options: Any) -> ImageClient:
    if isinstance(server, Sandbox):
        own = server.image_options("dashscope")
    else:
        own = {"api_key": "k-123456", "base_url": server.url}
    return ImageClient("dashscope", **{"max_retries": 0, "timeout": 20, **own, **options})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com"),
        ("https://dashscope-intl.aliyuncs.com/api/v1/", "https://dashscope-intl.aliyuncs.com"),
        ("https://w.cn-beijing.maas.aliyuncs.com", "https://w.cn-beijing.maas.aliyuncs.com"),
    ],
)
def test_the_url_of_the_chat_serves_images_too(given: str, expected: str) -> None:
    assert native(given) == expected + "/api/v1"


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        ("qwen-image-3.0", "1024x1024", "1024*1024"),
        ("qwen-image-3.0", "2K", "2048*2048"),
        ("qwen-image-3.0", "4000x4000", "2048*2048"),
        ("wan2.7-image-pro", "4K", "4K"),
        ("wan2.7-image", "2K", "2K"),
        ("wan2.2-t2i-plus", "1920x1080", "1424*800"),
        ("a-model-of-tomorrow", "777x333", "777*333"),
    ],
)
def test_a_size_is_said_with_an_asterisk_or_a_tier(model: str, size: str, sent: str) -> None:
    assert sized(size, model_of(model), policy="nearest", editing=False).sent == sent


def test_four_k_is_for_text_alone() -> None:
    assert sized("4K", model_of("wan2.7-image-pro"), policy="nearest", editing=True).sent != "4K"


def test_an_exact_size_is_refused_with_the_nearest() -> None:
    with pytest.raises(errors.InvalidInputError, match="nearest legal"):
        sized("100x100", model_of("qwen-image-3.0"), policy="exact", editing=False)


def body_for(model: str, **options: Any) -> tuple[str, dict[str, Any]]:
    known = model_of(model)
    size = sized("1024x1024", known, policy="nearest", editing=False)
    return to_body(
        "a cat", name=model, model=known, size=size, n=1, references=None, options=options
    )


def test_one_message_for_the_new_protocols_and_a_prompt_for_the_old() -> None:
    path, body = body_for("qwen-image-3.0", negative_prompt="dogs", seed=3)
    assert path == "/services/aigc/multimodal-generation/generation"
    assert body == {
        "model": "qwen-image-3.0",
        "input": {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]},
        "parameters": {"n": 1, "size": "1024*1024", "negative_prompt": "dogs", "seed": 3},
    }
    path, body = body_for("wan2.5-t2i-preview", negative_prompt="dogs")
    assert path == "/services/aigc/text2image/image-synthesis"
    assert body["input"] == {"prompt": "a cat", "negative_prompt": "dogs"}
    assert body["parameters"]["n"] == 1


@pytest.mark.parametrize(
    "options",
    [{"negative_prompt": "x" * 501}, {"seed": -1}, {"seed": True}, {"enable_sequential": True}],
)
def test_what_dashscope_refuses_is_refused_before(options: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInputError):
        body_for("qwen-image-3.0", **options)


def test_every_choice_and_every_part_is_read() -> None:
    parts = [{"text": "a better prompt"}, {"image": "https://a.example/1.png"}]
    more = [{"image": "https://a.example/2.png"}]
    output = {"choices": [{"message": {"content": parts}}, {"message": {"content": more}}]}
    usage = {"image_count": 2, "width": 1024, "height": 768}
    body = {"output": output, "usage": usage, "request_id": "r1"}
    group = from_response(body, CONTEXT, {"model": "m", "warnings": []})
    assert [image.url for image in group] == ["https://a.example/1.png", "https://a.example/2.png"]
    first = group[0].metadata
    assert (first["width"], first["height"], first["request_id"]) == (1024, 768, "r1")
    assert first["revised_prompt"] == "a better prompt"
    assert first["expires_at"] > "2026"


def test_bytes_in_the_place_of_a_link_are_the_image() -> None:
    """Relays inline it."""
    data = make("PNG", (64, 64))
    encoded = base64.b64encode(data).decode()
    for given in (f"data:image/png;base64,{encoded}", encoded):
        body = {"output": {"choices": [{"message": {"content": [{"image": given}]}}]}}
        (image,) = from_response(body, CONTEXT, {"model": "m", "warnings": []})
        assert image.data == data


def test_a_task_may_succeed_in_part() -> None:
    results = [
        {"url": "https://a.example/1.png"},
        {"code": "DataInspectionFailed", "message": "no"},
    ]
    group = from_response({"output": {"results": results}}, CONTEXT, {})
    assert len(group.images) == 1
    [error] = group.errors
    assert isinstance(error, errors.ContentFilterError)
    assert (error.index, error.billed) == (1, "no")


@pytest.mark.parametrize(
    ("body", "kind", "billed"),
    [
        ({"code": "Throttling.RateQuota", "message": "slow"}, errors.RateLimitError, "no"),
        ({"output": {"choices": []}}, errors.InvalidReplyError, "unknown"),
        ({}, errors.InvalidReplyError, "unknown"),
    ],
)
def test_a_200_without_an_image_says_what_it_is(
    body: dict[str, Any], kind: type[Exception], billed: str
) -> None:
    with pytest.raises(kind) as caught:
        from_response(body, CONTEXT, {})
    assert caught.value.billed == billed  # type: ignore[attr-defined]


def models() -> list[str]:
    names = ("qwen-image-3.0", "qwen-image-2.1-pro", TASK, "wan2.6-t2i", "wan2.5-t2i-preview")
    return [*names, "wan2.2-t2i-flash", "z-image-turbo"]


@pytest.mark.parametrize("model", models())
def test_every_protocol_draws(sandbox: Sandbox, tmp_path: Path, model: str) -> None:
    store = LocalStorage(tmp_path)
    with client(sandbox, model=model, storage=store, keep_urls=True) as images:
        result = images.text_to_image("一只猫", size="16:9")
    assert result.url.startswith("file://")
    assert result.metadata["warnings"] == []
    assert result.width > result.height
    asked = [request for request in sandbox.requests if request.method == "POST"]
    assert len(asked) == 1


def test_references_are_inlined(sandbox: Sandbox) -> None:
    with client(sandbox) as images:
        images.image_to_image("as a drawing", reference_images=[make(), make("JPEG")])
    content = sandbox.requests[0].body["input"]["messages"][0]["content"]
    assert [list(part) for part in content] == [["image"], ["image"], ["text"]]
    assert content[0]["image"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("model", ["qwen-image-3.0", TASK])
def test_references_can_go_into_the_vendors_storage(sandbox: Sandbox, model: str) -> None:
    """The key goes to DashScope alone; the request names what was put there."""
    given = [make("PNG", (300, 300)), make("JPEG", (300, 300))]
    with client(sandbox, model=model, upload_references=True) as images:
        images.image_to_image("a cat", reference_images=given)
    stored = [r for r in sandbox.requests if r.path == "/dashscope-instant/"]
    assert len(stored) == 2
    assert all("authorization" not in request.headers for request in stored)
    drawn = next(r for r in sandbox.requests if "generation" in r.path)
    assert drawn.headers["x-dashscope-ossresourceresolve"] == "enable"
    named = [part["image"] for part in drawn.body["input"]["messages"][0]["content"][:2]]
    assert all(name.startswith("oss://dashscope-instant/") for name in named)
    assert {sandbox.files[name[6:]][0] for name in named} == set(given)


def test_a_place_that_is_none_costs_nothing(wire: Wire) -> None:
    wire.script(http(200, {"data": {"policy": "p"}}))
    with (
        client(wire, upload_references=True) as images,
        pytest.raises(errors.InvalidReplyError, match="no place for a reference") as caught,
    ):
        images.image_to_image("a cat", reference_images=make("PNG", (300, 300)))
    assert caught.value.billed == "no"


def test_too_many_references_are_refused_before_sending(sandbox: Sandbox) -> None:
    with client(sandbox) as images, pytest.raises(errors.ReferenceImageError):
        images.image_to_image("x", reference_images=[make()] * 4)
    sandbox.assert_nothing_requested()


def test_several_images_are_one_request_where_the_model_makes_them(sandbox: Sandbox) -> None:
    with client(sandbox) as images:
        assert len(images.text_to_images("cats", n=3)) == 3
        assert len(images.text_to_images("cats", n=7)) == 7
    posts = [request.body["parameters"]["n"] for request in sandbox.requests]
    assert posts[0] == 3
    assert sum(posts[1:]) == 7


def test_an_error_beside_images_does_not_lose_them(wire: Wire) -> None:
    link = f"{wire.url}/1.png"
    output = {"choices": [{"message": {"content": [{"image": link}]}}]}
    wire.script(http(200, {"output": output, "code": "PartlyDone", "message": "one of two"}))
    with client(wire) as images:
        assert images.text_to_image("a cat").url == link


def test_progress_is_told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashscope_images, "LOOKS", 1)
    seen: list[tasks.Progress] = []
    with client(sandbox, model=TASK) as images:
        images.text_to_image("a cat", on_progress=seen.append)
    assert [one.status for one in seen] == ["RUNNING"]
    assert seen[0].task_id.startswith("task-")


def test_a_failed_task_costs_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    own = {"storage": LocalStorage(tmp_path / "s"), "spool_dir": tmp_path / "spool"}
    with client(sandbox, model=TASK, **own) as images:
        with pytest.raises(errors.ContentFilterError) as caught:
            images.text_to_image("[blocked image] a cat")
        assert images.resume_spool().errors == []
    assert caught.value.billed == "no"


@pytest.fixture
def shop(sandbox: Sandbox, tmp_path: Path) -> tuple[Sandbox, dict[str, Any]]:
    options = {
        "model": TASK,
        "storage": LocalStorage(tmp_path / "store", base_url="https://cdn.example.com"),
        "keep_urls": True,
        "spool_dir": tmp_path / "spool",
    }
    return sandbox, options


def posts(box: Sandbox) -> int:
    return sum(request.method == "POST" for request in box.requests)


def test_a_task_that_outlives_its_call_is_collected_and_not_paid_again(
    shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    with client(box, **options) as images:
        with pytest.raises(errors.OutcomeUnknownError, match="collects its images") as caught:
            images.text_to_image("a cat", idempotency_key="k", timeout=0.5)
        assert caught.value.code == "TaskRunning"
        assert caught.value.billed == "unknown"
        monkeypatch.setattr(dashscope_images, "LOOKS", 0)
        result = images.text_to_image("a cat", idempotency_key="k")
    assert result.url.startswith("https://cdn.example.com/")
    assert result.metadata["requested_size"] == "1024x1024"
    assert posts(box) == 1


def test_another_process_collects_the_task(
    shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    unknown = pytest.raises(errors.OutcomeUnknownError)
    with client(box, **options) as images, unknown:
        images.text_to_images("cats", n=2, timeout=0.5)
    monkeypatch.setattr(dashscope_images, "LOOKS", 0)
    with client(box, **options) as images:
        group = images.resume_spool()
        assert group.errors == []
        assert len(group) == 2
        assert images.resume_spool().images == []
    assert group[0].cost is not None
    assert posts(box) == 1


def test_a_lost_connection_while_waiting_is_not_the_end(wire: Wire) -> None:
    link = f"{wire.url}/1.png"
    done = {"task_status": "SUCCEEDED", "results": [{"url": link}]}
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}}))
    wire.script(Reset)
    wire.script(http(503, {"code": "InternalError", "message": "later"}))
    wire.script(http(200, {"output": done}))
    with client(wire, model=TASK) as images:
        assert images.text_to_image("a cat").url == link
    assert sum(request.startswith(b"POST") for request in wire.requests) == 1


def test_a_task_that_nobody_knows_any_more_is_told_and_can_be_dropped(
    shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    unknown = pytest.raises(errors.OutcomeUnknownError)
    with client(box, **options) as images:
        with unknown:
            images.text_to_image("a cat", timeout=0.5)
        box.tasks.clear()
        [error] = images.resume_spool().errors
        assert isinstance(error, errors.OutcomeUnknownError)
        assert "it is too old" in str(error)
        images.resume_spool(forget=True)
        assert images.resume_spool().errors == []


@pytest.fixture
def left(shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that ran when its process ended, and is done by now."""
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    unknown = pytest.raises(errors.OutcomeUnknownError)
    with client(box, **options) as images, unknown:
        images.text_to_image("a cat", timeout=0.5)
    monkeypatch.setattr(dashscope_images, "LOOKS", 0)


def test_a_task_is_asked_for_where_it_runs(
    shop: tuple[Sandbox, dict[str, Any]], left: None
) -> None:
    box, options = shop
    spool = {name: options[name] for name in ("storage", "keep_urls", "spool_dir")}
    with Sandbox() as other:
        chain: list[Any] = [
            ("dashscope", {**place.image_options("dashscope"), "model": TASK})
            for place in (other, box)
        ]
        with client(other, **options) as images:
            [error] = images.resume_spool(forget=True).errors
            assert isinstance(error, errors.OutcomeUnknownError)
            assert error.code == "TaskElsewhere"
            assert box.image_options("dashscope")["base_url"] in str(error)
        with ImageClient(chain, **spool) as images:
            assert len(images.resume_spool(forget=True).images) == 1
        other.assert_nothing_requested()
    assert posts(box) == 1


def test_a_client_of_another_vendor_leaves_a_task_alone(
    shop: tuple[Sandbox, dict[str, Any]], left: None
) -> None:
    box, options = shop
    spool = {name: options[name] for name in ("storage", "keep_urls", "spool_dir")}
    with ImageClient("volcengine", **box.image_options("volcengine"), **spool) as images:
        for forget in (False, True):
            assert len(images.resume_spool(forget=forget).errors) == 1
    with client(box, **options) as images:
        assert len(images.resume_spool().images) == 1


def test_a_task_of_another_service_can_be_dropped_when_it_has_expired(
    shop: tuple[Sandbox, dict[str, Any]], left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, options = shop
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(receipts, "time", SimpleNamespace(time=lambda: tomorrow))
    with Sandbox() as other, client(other, **options) as images:
        assert len(images.resume_spool().errors) == 1
        [error] = images.resume_spool(forget=True).errors
        assert "forget=True" in str(error)
        assert images.resume_spool().errors == []


def test_each_account_of_a_service_is_asked_for_a_task(wire: Wire, tmp_path: Path) -> None:
    link = f"{wire.url}/1.png"
    done = {"task_status": "SUCCEEDED", "results": [{"url": link}]}
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}}))
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "RUNNING"}}))
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "UNKNOWN"}}))
    wire.script(http(200, {"output": done}))
    chain: list[Any] = [
        ("dashscope", {"api_key": key, "base_url": wire.url, "model": TASK, "max_retries": 0})
        for key in ("first-key", "second-key")
    ]
    own = {"storage": LocalStorage(tmp_path / "s"), "spool_dir": tmp_path / "spool"}
    with ImageClient(chain, **own) as images:
        with pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("a cat", timeout=0.5)
        group = images.resume_spool(forget=True)
    assert [image.url for image in group] == [link]
    assert [b"second-key" in request for request in wire.requests] == [False] * 3 + [True]


@pytest.mark.parametrize("status", ["RUNNING", "QUEUED_ELSEWHERE", "", None])
def test_a_key_whose_task_runs_is_not_paid_for_again(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str | None
) -> None:
    monkeypatch.setattr(receipts, "COLLECT_SECONDS", 0.3)
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}}))
    for _ in range(4):
        wire.script(http(200, {} if status is None else {"output": {"task_status": status}}))
    own = {"storage": LocalStorage(tmp_path / "s"), "spool_dir": tmp_path / "spool", "model": TASK}
    with client(wire, **own) as images:
        for again in (False, True):
            with pytest.raises(errors.OutcomeUnknownError, match="collects its images"):
                images.text_to_image(
                    "a cat", idempotency_key="k", timeout=0.5, retry_ambiguous=again
                )
        [error] = images.resume_spool(forget=True).errors
    assert getattr(error, "code", "") == "TaskRunning"
    assert sum(request.startswith(b"POST") for request in wire.requests) == 1


def test_a_key_whose_task_is_forgotten_is_paid_for_again_when_told(
    shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    with client(box, **options) as images:
        with pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("a cat", idempotency_key="k", timeout=0.5)
        box.tasks.clear()
        monkeypatch.setattr(dashscope_images, "LOOKS", 0)
        with pytest.raises(errors.OutcomeUnknownError, match="retry_ambiguous=True") as caught:
            images.text_to_image("a cat", idempotency_key="k")
        assert caught.value.code == "TaskUnknown"
        result = images.text_to_image("a cat", idempotency_key="k", retry_ambiguous=True)
    assert result.url.startswith("https://cdn.example.com/")
    assert posts(box) == 2


@pytest.mark.parametrize(
    "odd", [{}, {"code": "Throttling.RateQuota", "message": "slow down"}, {"output": None}]
)
def test_a_look_that_says_nothing_of_the_task_is_repeated(wire: Wire, odd: dict[str, Any]) -> None:
    link = f"{wire.url}/1.png"
    wire.script(http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}}))
    wire.script(http(200, odd))
    wire.script(http(200, {"output": {"task_status": "SUCCEEDED", "results": [{"url": link}]}}))
    with client(wire, model=TASK) as images:
        assert images.text_to_image("a cat").url == link


def test_a_throttled_submission_in_a_200_is_sent_again(wire: Wire) -> None:
    link = f"{wire.url}/1.png"
    wire.script(http(200, {"code": "Throttling.RateQuota", "message": "slow down"}))
    answer = {"choices": [{"message": {"content": [{"image": link}]}}]}
    wire.script(http(200, {"output": answer}))
    with client(wire, max_retries=1) as images:
        assert images.text_to_image("a cat").url == link


def test_a_running_task_is_not_dropped(
    shop: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, options = shop
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    monkeypatch.setattr(receipts, "COLLECT_SECONDS", 0.3)
    with client(box, **options) as images:
        with pytest.raises(errors.OutcomeUnknownError):
            images.text_to_image("a cat", timeout=0.5)
        assert len(images.resume_spool(forget=True).errors) == 1
        monkeypatch.setattr(dashscope_images, "LOOKS", 0)
        assert len(images.resume_spool().images) == 1
    assert posts(box) == 1


def test_a_task_without_an_id_is_unknown(wire: Wire) -> None:
    wire.script(http(200, {"output": {"task_status": "PENDING"}}))
    refused = pytest.raises(errors.InvalidReplyError, match="without an image")
    with client(wire, model=TASK) as images, refused as caught:
        images.text_to_image("a cat")
    assert caught.value.billed == "unknown"


@pytest.mark.parametrize("model", [TASK, "qwen-image-3.0"])
@pytest.mark.parametrize(
    "answers",
    [
        [{"output": {"choices": [{"message": {"content": [{"image": "LINK"}]}}]}}],
        [{"output": {"task_status": "SUCCEEDED", "task_id": "t1", "results": [{"url": "LINK"}]}}],
        [
            {"output": {"task_id": 777, "task_status": "PENDING"}},
            {"output": {"task_status": "SUCCEEDED", "results": [{"url": "LINK"}]}},
        ],
    ],
    ids=["at once", "at once, with a task", "later"],
)
def test_the_response_decides_whether_it_is_a_task(
    wire: Wire, model: str, answers: list[Any]
) -> None:
    """Relays wait for a task, or begin one for a model that answers at once elsewhere."""
    link = f"{wire.url}/1.png"
    for answer in answers:
        wire.script(http(200, json.loads(json.dumps(answer).replace("LINK", link))))
    with client(wire, model=model) as images:
        assert images.text_to_image("a cat").url == link


def test_a_task_that_answers_404_is_not_known(wire: Wire) -> None:
    """After a few looks: it may stand in a queue first."""
    link, gone = f"{wire.url}/1.png", http(404, {"code": "NotFound", "message": "no such task"})
    begun = http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}})
    done = http(200, {"output": {"task_status": "SUCCEEDED", "results": [{"url": link}]}})
    for each in (begun, gone, done, begun, gone, gone, gone):
        wire.script(each)
    with client(wire, model=TASK) as images:
        assert images.text_to_image("a cat").url == link
        with pytest.raises(errors.OutcomeUnknownError) as caught:
            images.text_to_image("a cat")
    assert caught.value.code == "TaskUnknown"


def test_the_next_vendor_is_not_asked_while_a_task_may_run(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashscope_images, "LOOKS", 99)
    own = {**sandbox.image_options("dashscope"), "model": TASK}
    chain: list[Any] = [("dashscope", own), ("volcengine", sandbox.image_options("volcengine"))]
    with ImageClient(chain) as images, pytest.raises(errors.OutcomeUnknownError):
        images.text_to_image("a cat", timeout=0.5)
    assert not any("/api/v3/" in request.path for request in sandbox.requests)


def test_the_next_vendor_is_asked_after_a_refusal(sandbox: Sandbox) -> None:
    chain: list[Any] = [
        ("dashscope", {**sandbox.image_options("dashscope"), "max_retries": 0}),
        ("volcengine", sandbox.image_options("volcengine")),
    ]
    sandbox.answer(400, {"code": "Arrearage", "message": "no money"}, path="/multimodal")
    with ImageClient(chain) as images:
        result = images.text_to_image("a cat", size="16:9")
    assert result.provider == "volcengine"
    assert result.metadata["attempts"][0]["outcome"] == "QuotaExceededError"


def test_an_error_names_the_models_of_today(sandbox: Sandbox) -> None:
    refused = pytest.raises(errors.NotFoundError, match=r"qwen-image-3\.0")
    with client(sandbox, model="qwen-image-9") as images, refused:
        images.text_to_image("a cat")


def test_every_family_has_a_name_that_it_matches() -> None:
    assert all(model_of(name) in MODELS for name in models())


def test_fewer_images_than_asked_for_are_told() -> None:
    link = {"url": "https://x.example/a.png"}
    facts = {"model": "m", "warnings": [], "asked": 2}
    group = from_response({"output": {"results": [link]}}, CONTEXT, facts)
    assert group.images[0].metadata["warnings"][0]["feature"] == "n"
    assert "asked" not in group.images[0].metadata
    group = from_response({"output": {"results": [{"url": None}, link]}}, CONTEXT, facts)
    assert ([error.index for error in group.errors], len(group.images)) == ([0], 1)
    assert group.images[0].metadata["warnings"] == []


@pytest.mark.parametrize("n", [2, 5, 12])
def test_an_image_set_is_one_paid_request(sandbox: Sandbox, n: int) -> None:
    """Also above the four images of a request without ``enable_sequential``."""
    options = sandbox.image_options("dashscope")
    with ImageClient("dashscope", model="wan2.7-image", **options) as client:
        before = len(sandbox.requests)
        group = client.text_to_images("a cat in each season", n=n, enable_sequential=True)
        paid = [one for one in sandbox.requests[before:] if one.method == "POST"]
    assert len(group.images) == n
    assert [one.body["parameters"]["n"] for one in paid] == [n]


def test_a_set_that_is_too_large_is_refused_before(sandbox: Sandbox) -> None:
    options = sandbox.image_options("dashscope")
    with ImageClient("dashscope", model="wan2.7-image", **options) as client:
        before = len(sandbox.requests)
        with pytest.raises(errors.InvalidInputError, match=r"n=13.*at most 12"):
            client.text_to_images("a cat", n=13, enable_sequential=True)
        assert len(sandbox.requests) == before


def test_more_images_than_a_request_makes_are_single_ones(sandbox: Sandbox) -> None:
    options = sandbox.image_options("dashscope")
    with ImageClient("dashscope", model="wan2.7-image", **options) as client:
        assert len(client.text_to_images("a cat", n=5).images) == 5
