"""
A picture that was paid for is not lost and not paid for twice: the spool, idempotency keys, and a
process that is killed.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.image.entries import Item
from aigc_kit.image.journal import Journal
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, StoredObject
from tests.images import make
from tests.wire import AMPLE, Reset, Wire, http

PICTURE = make()


class Flaky(LocalStorage):
    """A store that fails as often as it is told; counts what it was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, base_url="https://assets.example.com")
        self.failures = 0
        self.uploads: list[str] = []

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        if self.failures:
            self.failures -= 1
            raise errors.StorageError("the disk is full", key=key)
        self.uploads.append(key)
        return super().upload_bytes(data, key, content_type=content_type)


@pytest.fixture
def store(tmp_path: Path) -> Flaky:
    return Flaky(tmp_path / "store")


@pytest.fixture(params=["gemini", "volcengine"])
def client(
    request: pytest.FixtureRequest, sandbox: Sandbox, store: Flaky, tmp_path: Path
) -> Iterator[ImageClient]:
    with ImageClient(
        request.param,
        storage=store,
        keep_urls=True,
        spool_dir=tmp_path / "spool",
        timeout=AMPLE,
        **sandbox.image_options(request.param),
    ) as made:
        yield made


def paid(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" for request in sandbox.requests)


def left(tmp_path: Path) -> list[str]:
    """What is unfinished; marks of finished purchases stay for a while."""
    return sorted(path.name for path in (tmp_path / "spool").iterdir() if path.suffix != ".done")


def test_nothing_stays_in_the_spool(client: ImageClient, sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither after a good call nor after one that failed before it was paid for."""
    assert client.text_to_image("a cat").url.startswith("https://assets.example.com/")
    assert left(tmp_path) == []
    sandbox.answer(400, {})
    with pytest.raises(errors.BadRequestError):
        client.text_to_image("a cat")
    with pytest.raises(errors.InvalidInputError):
        client.text_to_image("a cat", size="huge")
    assert left(tmp_path) == []


def test_a_failed_upload_waits_in_the_spool(
    client: ImageClient, store: Flaky, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Another client finishes it; the picture is paid for once."""
    store.failures = 1
    with pytest.raises(errors.StorageError) as caught:
        client.text_to_image("a cat")
    assert caught.value.result.has_base64
    assert len(left(tmp_path)) == 2
    group = client.resume_spool()
    assert [image.url for image in group] == [group[0].url]
    assert group.errors == []
    assert group[0].metadata["model"]
    assert group[0].metadata["attempts"][0]["outcome"] == "ok"
    assert store.exists(group[0].metadata["storage_key"])
    assert (paid(sandbox), len(store.uploads), left(tmp_path)) == (1, 1, [])
    assert len(client.resume_spool()) == 0


def test_store_empties_the_spool(client: ImageClient, store: Flaky, tmp_path: Path) -> None:
    """
    ``client.store`` with the error's result does what resuming does; who comes second does not
    upload again.
    """
    store.failures = 1
    with pytest.raises(errors.StorageError) as caught:
        client.text_to_image("a cat")
    assert client.store(caught.value.result).url
    assert left(tmp_path) == []
    store.failures = 1
    with pytest.raises(errors.StorageError) as caught:
        client.text_to_image("a dog")
    (resumed,) = client.resume_spool()
    assert client.store(caught.value.result).url == resumed.url
    assert len(store.uploads) == 2


def test_an_upload_that_fails_again_stays(
    client: ImageClient, store: Flaky, tmp_path: Path
) -> None:
    """The spool keeps it, the error says so."""
    store.failures = 2
    with pytest.raises(errors.StorageError):
        client.text_to_image("a cat")
    group = client.resume_spool()
    assert (len(group), [type(error) for error in group.errors]) == (0, [errors.StorageError])
    assert group.errors[0].result.has_base64
    assert len(client.resume_spool()) == 1


def test_many_resume_at_once(client: ImageClient, store: Flaky, tmp_path: Path) -> None:
    """Eight threads, twelve orders: each is uploaded by one of them."""
    store.failures = 12
    for number in range(12):
        with pytest.raises(errors.StorageError):
            client.text_to_image(f"a cat {number}")
    start = threading.Barrier(8)

    def resume(_: int) -> int:
        start.wait()
        return len(client.resume_spool())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(resume, range(8))) == 12
    assert len(store.uploads) == len(set(store.uploads)) == 12
    assert left(tmp_path) == []


def test_a_group_is_spooled_picture_by_picture(
    sandbox: Sandbox, store: Flaky, tmp_path: Path
) -> None:
    """Of a group the failed uploads stay, each in an order of its own."""
    for vendor in ("volcengine", "gemini"):
        with ImageClient(
            vendor,
            storage=store,
            keep_urls=True,
            spool_dir=tmp_path / "spool",
            **sandbox.image_options(vendor),
        ) as client:
            store.failures = 2
            group = client.text_to_images(f"{vendor} seasons", n=4, size="2K")
            assert [error.index for error in group.errors] == [0, 1]
            assert len(group) == 2
            assert client.store(group.errors[1].result).url
            assert len(client.resume_spool()) == 1
        if vendor == "volcengine":  # the sandbox's Gemini draws the same picture each time
            assert len(store.uploads) == len(set(store.uploads)) == 4
    assert left(tmp_path) == []


def test_other_pictures_of_a_reply_are_kept_too(sandbox: Sandbox, store: Flaky) -> None:
    """Group fields passed through ``text_to_image``: every picture gets an address that lasts."""
    with ImageClient(
        "volcengine", storage=store, keep_urls=True, **sandbox.image_options("volcengine")
    ) as client:
        wish = {
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 3},
        }
        result = client.text_to_image("a cat", size="2K", **wish)
    urls = [result.url, *(entry["url"] for entry in result.metadata["others"])]
    assert len(set(urls)) == 3
    assert all(url.startswith("https://assets.example.com/") for url in urls)
    json.dumps(result.metadata)


def test_a_damaged_order_is_an_error_and_stays(
    client: ImageClient, store: Flaky, tmp_path: Path
) -> None:
    """Nothing is thrown away because it cannot be read."""
    store.failures = 1
    with pytest.raises(errors.StorageError):
        client.text_to_image("a cat")
    (order,) = (tmp_path / "spool").glob("*.order")
    order.write_bytes(order.read_bytes()[:-1])
    (error,) = client.resume_spool().errors
    assert isinstance(error, errors.StorageError)
    assert "damaged" in str(error)
    assert order.exists()


def test_a_full_disk_does_not_lose_what_the_memory_has(
    client: ImageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is uploaded all the same, with a warning."""
    real = json.dumps

    def full(value: Any, **options: Any) -> str:
        if isinstance(value, dict) and value.get("state") == "paid":
            raise errors.StorageError("no space left on device")
        return real(value, **options)

    monkeypatch.setattr("aigc_kit.image.journal.json.dumps", full)
    result = client.text_to_image("a cat")
    assert result.url.startswith("https://assets.example.com/")
    assert [
        entry["feature"] for entry in result.metadata["warnings"] if entry["feature"] == "spool"
    ] == ["spool"]


@pytest.mark.parametrize("bad", ["/dev/null/x", 5, ""])
def test_a_spool_that_cannot_be_is_refused(bad: Any, store: Flaky) -> None:
    """When the client is made, not when a picture is paid for."""
    with pytest.raises(errors.ConfigurationError, match="spool_dir"):
        ImageClient("volcengine", api_key="k", storage=store, spool_dir=bad)


def test_a_spool_needs_a_storage(tmp_path: Path) -> None:
    """And resuming needs a spool."""
    with pytest.raises(errors.ConfigurationError, match="storage"):
        ImageClient("volcengine", api_key="k", spool_dir=tmp_path)
    with (
        ImageClient("volcengine", api_key="k") as client,
        pytest.raises(errors.ConfigurationError, match="spool_dir"),
    ):
        client.resume_spool()


def test_locks(tmp_path: Path) -> None:
    """One holder at a time, whichever way the file came and went."""
    journal = Journal(tmp_path)
    entry = journal.take("a")
    assert entry is not None
    assert journal.take("a") is None
    entry.paid(
        [
            Item(place, ImageResult.from_bytes(data))
            for place, data in enumerate((b"1", b"", b"23"))
        ],
        {"x": "猫"},
    )
    entry.close()
    entry.close()
    with journal.take("a") as entry:
        record = entry.read()
        assert record is not None
        assert (record.state, record.facts["x"]) == ("paid", "猫")
        assert [item.result.data for item in record.items] == [b"1", b"", b"23"]
        entry.remove()
        assert entry.read() is None
    assert list(tmp_path.iterdir()) == []
    inside: list[int] = []

    def work(_: int) -> None:
        for _ in range(50):
            with journal.take("b", wait=30):
                inside.append(1)
                assert len(inside) == 1
                inside.clear()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


# ---- idempotency keys


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_the_same_key_is_paid_for_once(
    sandbox: Sandbox, store: Flaky, tmp_path: Path, vendor: str, spooled: bool
) -> None:
    """
    Again, from another client, and from sixteen threads at once: the stored picture, without a
    request.
    """
    options: dict[str, Any] = {"storage": store, **sandbox.image_options(vendor)}
    if spooled:
        options["spool_dir"] = tmp_path / "spool"
    with ImageClient(vendor, **options) as client:
        first = client.text_to_image("a cat", idempotency_key="order-猫")
        again = client.text_to_image("a cat", idempotency_key="order-猫")
        assert first.url == again.url
    with ImageClient(vendor, **options) as client, ThreadPoolExecutor(16) as pool:
        assert (
            client.text_to_image("a cat", idempotency_key="order-猫").mime_type == first.mime_type
        )
        assert again.metadata["attempts"] == [
            {
                "provider": vendor,
                "model": first.metadata["model"],
                "requests": 0,
                "outcome": "stored",
            }
        ]
        calls = [
            pool.submit(client.text_to_image, "a dog", idempotency_key="order-2") for _ in range(16)
        ]
        assert len({call.result().url for call in calls}) == 1
        assert client.text_to_image("a cat", idempotency_key="order-3").url != first.url
    assert paid(sandbox) == 3


def test_a_key_survives_a_failed_upload(
    client: ImageClient, store: Flaky, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The bytes in the spool are uploaded by the next call with the key; nothing is paid for again."""
    store.failures = 1
    with pytest.raises(errors.StorageError):
        client.text_to_image("a cat", idempotency_key="k")
    assert client.text_to_image("a cat", idempotency_key="k").url.startswith(
        "https://assets.example.com/"
    )
    assert (paid(sandbox), left(tmp_path)) == (1, [])


def test_a_key_with_a_group(client: ImageClient, store: Flaky, sandbox: Sandbox) -> None:
    """Each picture of a group has its own place; all come back in order."""
    first = client.text_to_images("seasons", n=3, size="2K", idempotency_key="k")
    requests = paid(sandbox)
    again = client.text_to_images("seasons", n=3, size="2K", idempotency_key="k")
    assert [image.url for image in again] == [image.url for image in first]
    assert len({image.url for image in first}) == 3
    assert paid(sandbox) == requests


@pytest.mark.parametrize("bad", ["", "  ", 5, b"k"])
def test_bad_keys_are_refused(client: ImageClient, sandbox: Sandbox, bad: Any) -> None:
    """Before anything is paid."""
    with pytest.raises(errors.InvalidInputError, match="idempotency_key"):
        client.text_to_image("a cat", idempotency_key=bad)
    assert paid(sandbox) == 0


def test_a_key_needs_a_storage(sandbox: Sandbox) -> None:
    """There is nowhere to look otherwise."""
    with (
        ImageClient("gemini", **sandbox.image_options("gemini")) as client,
        pytest.raises(errors.ConfigurationError, match="storage"),
    ):
        client.text_to_image("a cat", idempotency_key="k")
    assert paid(sandbox) == 0


def test_a_look_up_that_fails_pays_nothing(
    client: ImageClient, store: Flaky, sandbox: Sandbox
) -> None:
    """Whatever the store raises."""

    def broken(key: str) -> None:
        raise RuntimeError("boom")

    store.exists = broken  # type: ignore[assignment]
    with pytest.raises(errors.StorageError, match="boom"):
        client.text_to_image("a cat", idempotency_key="k")
    assert paid(sandbox) == 0


# ---- a process that is killed


@pytest.fixture
def vendor_server() -> Iterator[Wire]:
    """Both vendors on one address, with a small picture."""
    with Wire() as server:
        inline = {
            "inlineData": {"mimeType": "image/png", "data": base64.b64encode(PICTURE).decode()}
        }
        gemini = {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP"}]}

        def reply(request: bytes) -> list[bytes]:
            line = request.split(b"\r\n")[0]
            if b"image-generation" in line:
                return [http(200, {"output": {"task_id": "t1", "task_status": "PENDING"}})]
            if b"/tasks/t1" in line:
                part = {"image": f"{server.url}/picture.png"}
                done = {"task_status": "SUCCEEDED", "choices": [{"message": {"content": [part]}}]}
                return [http(200, {"output": done})]
            if b"/flux-" in line:
                polling = f"{server.url}/bfl-task?id=t1"
                return [http(200, {"id": "t1", "polling_url": polling, "cost": 4})]
            if b"/bfl-task" in line:
                sample = {"sample": f"{server.url}/picture.png"}
                return [http(200, {"id": "t1", "status": "Ready", "result": sample})]
            if request.startswith(b"GET"):
                return [http(200, PICTURE)]
            if b"/refuse/" in request.split(b"\r\n")[0]:
                return [
                    http(
                        400, {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
                    )
                ]
            ark = {"data": [{"url": f"{server.url}/picture.png"}]}
            return [
                http(200, ark if b"images/generations" in request.split(b"\r\n")[0] else gemini)
            ]

        server.scripts.append(reply)
        yield server


@pytest.mark.parametrize("vendor", ["gemini", "volcengine", "fallback", "dashscope"])
def test_killed_at_every_line(
    vendor_server: Wire, tmp_path: Path, vendor: str, capsys: Any
) -> None:
    """
    SIGKILL at each line between the question and the address; then another process resumes.

    The picture is in the store, or its payment is reported as unknown, or nothing was paid. It is
    never there twice, and never paid for twice unless the user asks for it with
    ``retry_ambiguous``.
    """
    command = [sys.executable, "-m", "tests.kill_steps", vendor, vendor_server.url, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1800, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    posts = Counter(
        request.split(b" ")[1].decode().split("/")[1]
        for request in vendor_server.requests
        if request.startswith(b"POST") and b"/refuse/" not in request.split(b"\r\n")[0]
    )
    tally: Counter[str] = Counter()
    for entry in steps:
        assert entry["killed"]
        resumed, problems = entry["resumed"]
        count = posts[str(entry["step"])]
        assert problems in ([], ["OutcomeUnknownError"]), entry
        assert len(entry["stored"]) <= 1, entry
        assert len(entry["stored_at_the_end"]) == 1, entry
        assert entry["again"].startswith("https://assets.example.com/"), entry
        assert [name for name in entry["spool"] if not name.endswith((".lock", ".done"))] == [], (
            entry
        )
        assert entry["guarded"] is bool(problems), entry
        if problems:
            assert not entry["stored"]
            tally["payment unknown, and reported"] += 1
            assert count <= 2
        elif entry["stored"]:
            tally["stored after resuming" if resumed else "stored before"] += 1
            assert count == 1
        else:
            tally["nothing paid"] += 1
            assert count == 1
    assert tally["stored after resuming"] > 20
    with capsys.disabled():
        print(f"\n{vendor}: killed {len(steps)} times: {dict(tally)}; lost 0, paid twice unasked 0")


# ---- what is not known is not paid for again


def test_an_unknown_outcome_guards_its_key(wire: Wire, store: Flaky, tmp_path: Path) -> None:
    """
    After a cut the same key is refused, also after resuming, until the user says so; a refusal by
    the vendor is none.
    """
    picture = {"data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}
    wire.script(http(400, {}))
    wire.script(Reset)
    wire.script(http(200, picture))
    options: dict[str, Any] = {
        "api_key": "k",
        "base_url": wire.url,
        "storage": store,
        "spool_dir": tmp_path / "spool",
    }
    with ImageClient("volcengine", max_retries=0, **options) as client:
        with pytest.raises(errors.BadRequestError):
            client.text_to_image("a cat", idempotency_key="k")
        for _ in range(2):
            with pytest.raises(errors.OutcomeUnknownError):
                client.text_to_image("a cat", idempotency_key="k")
        (told,) = client.resume_spool().errors
        assert isinstance(told, errors.OutcomeUnknownError)
        with pytest.raises(errors.OutcomeUnknownError, match="retry_ambiguous"):
            client.text_to_image("a cat", idempotency_key="k")
        assert len(wire.requests) == 2
        assert client.text_to_image("a cat", idempotency_key="k", retry_ambiguous=True).url
        assert client.text_to_image("a cat", idempotency_key="k").url
    assert len(wire.requests) == 3


def test_a_refused_second_try_does_not_lift_the_guard(
    wire: Wire, store: Flaky, tmp_path: Path
) -> None:
    """What an earlier call may have paid is not known better because a later one was refused."""
    wire.script(Reset)
    wire.script(http(400, {}))
    options: dict[str, Any] = {
        "api_key": "k",
        "base_url": wire.url,
        "storage": store,
        "spool_dir": tmp_path / "spool",
    }
    with ImageClient("volcengine", max_retries=0, **options) as client:
        with pytest.raises(errors.OutcomeUnknownError):
            client.text_to_image("a cat", idempotency_key="k")
        with pytest.raises(errors.BadRequestError):
            client.text_to_image("a cat", idempotency_key="k", retry_ambiguous=True)
        with pytest.raises(errors.OutcomeUnknownError):
            client.text_to_image("a cat", idempotency_key="k")
    assert len(wire.requests) == 2


def test_forgetting_is_a_wish(wire: Wire, store: Flaky, tmp_path: Path) -> None:
    """``resume_spool(forget=True)`` lets the key be paid for again."""
    wire.script(Reset)
    wire.script(http(200, {"data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}))
    options: dict[str, Any] = {
        "api_key": "k",
        "base_url": wire.url,
        "storage": store,
        "spool_dir": tmp_path / "spool",
    }
    with ImageClient("volcengine", **options) as client:
        with pytest.raises(errors.OutcomeUnknownError):
            client.text_to_image("a cat", idempotency_key="k")
        assert len(client.resume_spool(forget=True).errors) == 1
        assert client.text_to_image("a cat", idempotency_key="k").url


def three(wire: Wire) -> None:
    """A group of three pictures."""
    entries = [
        {"b64_json": base64.b64encode(PICTURE + bytes([place])).decode()} for place in range(3)
    ]
    wire.script(http(200, {"data": entries}))


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_keyed_group_comes_back_whole_and_in_order(
    wire: Wire, store: Flaky, tmp_path: Path, failures: int
) -> None:
    """Uploads that failed are finished by the next call with the key."""
    three(wire)
    options: dict[str, Any] = {
        "api_key": "k",
        "base_url": wire.url,
        "storage": store,
        "spool_dir": tmp_path / "spool",
    }
    with ImageClient("volcengine", **options) as client:
        store.failures = failures
        first = client.text_to_images("cats", n=3, idempotency_key="k")
        assert [error.index for error in first.errors] == list(range(failures))
        again = client.text_to_images("cats", n=3, idempotency_key="k")
        assert again.errors == []
        kept = [(store.root / image.metadata["storage_key"]).read_bytes() for image in again]
    assert kept == [PICTURE + bytes([place]) for place in range(3)]
    assert (len(wire.requests), left(tmp_path)) == (1, [])


def test_a_gap_in_a_keyed_group_is_told(wire: Wire, store: Flaky) -> None:
    """
    Without a journal the client itself remembers the failed upload; for another client it is only
    in its error.
    """
    three(wire)
    options: dict[str, Any] = {"api_key": "k", "base_url": wire.url, "storage": store}
    with (
        ImageClient("volcengine", **options) as client,
        ImageClient("volcengine", **options) as other,
    ):
        store.failures = 1
        client.text_to_images("cats", n=3, idempotency_key="k")
        gap = other.text_to_images("cats", n=3, idempotency_key="k")
        whole = client.text_to_images("cats", n=3, idempotency_key="k")
    assert (len(gap), [error.index for error in gap.errors]) == (2, [0])
    assert (len(whole), whole.errors) == (3, [])
    assert len(wire.requests) == 1


def test_storing_one_of_a_group_leaves_the_others(wire: Wire, store: Flaky, tmp_path: Path) -> None:
    """They share an order; it goes with the last."""
    three(wire)
    options: dict[str, Any] = {
        "api_key": "k",
        "base_url": wire.url,
        "storage": store,
        "spool_dir": tmp_path / "spool",
    }
    with ImageClient("volcengine", **options) as client:
        store.failures = 3
        group = client.text_to_images("cats", n=3)
        assert client.store(group.errors[0].result).url
        assert client.store(group.errors[0].result).url
        assert len(client.resume_spool()) == 2
    assert left(tmp_path) == []


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A fork while an entry is open: its end in the parent is its end."""
    journal = Journal(tmp_path)
    reading, writing = os.pipe()
    with journal.take("a", wait=1) as entry:
        entry.asked({"x": 1})
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent has looked
            os._exit(0)
    again = journal.take("a")
    os.close(writing)
    os.close(reading)
    os.waitpid(pid, 0)
    assert again is not None
    again.close()


@pytest.mark.parametrize(
    "entry",
    [
        b'{"state":"of tomorrow","at":1,"blobs":[]}\n',
        b'{"state":"asked","at":1,"receipt":{"expires":"soon"},"blobs":[]}\n',
    ],
)
def test_an_entry_of_another_version_stays(sandbox: Sandbox, tmp_path: Path, entry: bytes) -> None:
    options = {**sandbox.image_options("gemini"), "spool_dir": tmp_path / "spool"}
    with ImageClient("gemini", storage=LocalStorage(tmp_path / "store"), **options) as images:
        images.resume_spool()
        (tmp_path / "spool" / "abc.order").write_bytes(entry)
        assert len(images.resume_spool().errors) == 1
        assert (tmp_path / "spool" / "abc.order").exists()
