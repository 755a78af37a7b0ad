"""
One purchase: whatever strikes between asking and paying, nothing is paid for twice and nothing is
lost.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import gc
import json
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, ImageProvider, ImageResult, errors
from aigc_kit.image.lookup import LAG_SECONDS
from aigc_kit.image.volcengine.provider import VolcengineProvider
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage, StoredObject
from tests.image.inject import JobTimeout, Trace
from tests.images import make
from tests.wire import Reset, Wire, http

IMAGE = make()
ARK = {"data": [{"b64_json": base64.b64encode(IMAGE).decode()}]}
GEMINI = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {
                        "inlineData": {
                            "mimeType": "image/png",
                            "data": base64.b64encode(IMAGE).decode(),
                        }
                    }
                ]
            },
            "finishReason": "STOP",
        }
    ]
}
REFUSED = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}


def vendors(request: bytes) -> list[bytes]:
    """Both vendors on one URL."""
    return [http(200, ARK if b"images/generations" in request.split(b"\r\n")[0] else GEMINI)]


@pytest.fixture
def both() -> Iterator[Wire]:
    with Wire() as server:
        server.scripts.append(vendors)
        yield server


def client(server: Wire, folder: Path, vendor: Any = "volcengine", **options: Any) -> ImageClient:
    given: dict[str, Any] = {
        "storage": LocalStorage(folder / "store", base_url="https://assets.example.com"),
        "spool_dir": folder / "spool",
        "timeout": 20,
        "max_retries": 0,
        **options,
    }
    if isinstance(vendor, list):
        own = {"gemini": {"api_key": "k-123456", "base_url": server.url}}
        own["volcengine"] = {"api_key": "k-123456", "base_url": server.url + "/api/v3"}
        return ImageClient(vendor, **own, **given)
    url = server.url + ("/api/v3" if vendor == "volcengine" else "")
    return ImageClient(vendor, api_key="k-123456", base_url=url, **given)


def paid(server: Wire) -> int:
    return sum(request.startswith(b"POST") for request in server.requests)


def images(folder: Path) -> list[Path]:
    return list((folder / "store").rglob("*.png"))


# ---- an exception at any line


def injected(
    kind: type[BaseException], at: int, vendor: Any, folder: Path
) -> tuple[str, int, bool, bool]:
    """
    (where it was raised or "", payments, whether the image is known, whether the exception came out
    as it is).
    """
    with Wire() as server:
        refusing = isinstance(vendor, list)

        def reply(request: bytes) -> list[bytes]:
            if refusing and b"generateContent" in request.split(b"\r\n")[0]:
                return [http(400, REFUSED)]
            return vendors(request)

        server.scripts.append(reply)
        counted = 2 if refusing else 1
        begun: Callable[[], bool] = lambda: len(server.requests) >= counted  # noqa: E731
        trace, out = Trace(kind, at, begun), None
        made = client(server, folder, vendor)
        try:
            with trace:
                made.text_to_image("x", idempotency_key="k")
        except BaseException as error:
            out = error
        with made, client(server, folder, vendor) as later:
            left = later.resume_spool()
            held = getattr(out, "result", None) is not None
            known = bool(left.images or left.errors or images(folder) or held)
            with contextlib.suppress(errors.AIGCError):
                later.text_to_image("x", idempotency_key="k", timeout=1)
        posts = paid(server) - (
            sum(b"generateContent" in r.split(b"\r\n")[0] for r in server.requests)
            if refusing
            else 0
        )
        came_out = out is None or isinstance(out, kind)
        del out  # its frames hold what the exception tore away
        gc.collect()
        return trace.where, posts, known or posts > 1, came_out


STEP = int(os.environ.get("INJECT_STEP", "37"))
"""Every how many lines; 1 tries all of them."""


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # sockets that the exception tore away
@pytest.mark.parametrize("kind", [JobTimeout, KeyboardInterrupt])
@pytest.mark.parametrize("vendor", ["volcengine", "gemini", ["gemini", "volcengine"]], ids=str)
def test_an_exception_at_any_line_pays_once_and_loses_nothing(
    vendor: Any, kind: Any, tmp_path: Path
) -> None:
    with Wire() as server:
        server.scripts.append(vendors)
        client(server, tmp_path / "warm", vendor).close()
        with client(server, tmp_path / "warm", vendor) as warm:
            warm.text_to_image("every import is done")
    wrong: list[str] = []
    step = STEP if kind is JobTimeout else 3 * STEP  # they leave by the same way
    at, tried = 1 + STEP // 2, 0
    while True:
        where, posts, known, own = injected(kind, at, vendor, tmp_path / str(at))
        if not where:
            break
        tried, at = tried + 1, at + step
        if posts != 1 or not known or not own:
            wrong.append(f"{where}: paid {posts} times, known {known}, came out as it is {own}")
    assert wrong == []
    assert tried > 3


@pytest.mark.parametrize("kind", ["function", "method"])
@pytest.mark.parametrize("raised", [JobTimeout("late"), TimeoutError("late"), MemoryError()])
@pytest.mark.parametrize("key", [None, "order-1"])
def test_a_time_limit_comes_out_as_it_is(
    wire: Wire, tmp_path: Path, raised: Exception, key: Any, kind: str
) -> None:
    """
    RQ, Celery and others raise their own from a signal handler; the payment is remembered.

    https://github.com/rq/rq/blob/master/rq/timeouts.py
    """

    class Limit:
        def handler(self, *_: object) -> None:
            raise raised

    def handler(*_: object) -> None:
        raise raised

    wire.script(2.0, http(200, ARK))
    wire.script(http(200, ARK))
    before = signal.signal(signal.SIGALRM, Limit().handler if kind == "method" else handler)
    try:
        with client(wire, tmp_path) as made:
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(type(raised)) as caught:
                made.text_to_image("a cat", idempotency_key=key)
            assert caught.value is raised
            left = made.resume_spool()
            assert [type(error) for error in left.errors] == [errors.OutcomeUnknownError]
            if key:
                with pytest.raises(errors.OutcomeUnknownError):
                    made.text_to_image("a cat", idempotency_key=key)
                assert paid(wire) == 1
                assert made.text_to_image("a cat", idempotency_key=key, retry_ambiguous=True).url
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Own(ImageProvider):
    """An application's provider that fails after its request has left."""

    name = "own"

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.paid = 0

    def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
        self.paid += 1
        if self.failures:
            raise self.failures.pop(0)
        return ImageResult.from_bytes(IMAGE)

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "", **kwargs: Any
    ) -> ImageResult:
        return self.text_to_image(prompt)


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("x"),
        MemoryError(),
        KeyboardInterrupt(),
        errors.ServerError("x"),
        errors.AIGCError("x"),
    ],
)
def test_a_providers_own_exception_proves_nothing(
    tmp_path: Path, failure: BaseException, spooled: bool
) -> None:
    """
    It comes out as it is, and the key is not paid for again unasked; with a journal or without one.
    """
    provider = Own(failure)
    options: dict[str, Any] = {"spool_dir": tmp_path / "spool"} if spooled else {}
    with ImageClient(provider, storage=LocalStorage(tmp_path / "store"), **options) as made:
        with pytest.raises(type(failure)):
            made.text_to_image("x", idempotency_key="k")
        with pytest.raises(errors.OutcomeUnknownError):
            made.text_to_image("x", idempotency_key="k")
        assert provider.paid == 1
        assert made.text_to_image("x", idempotency_key="k", retry_ambiguous=True).url


@pytest.mark.parametrize(
    "failure",
    [errors.InvalidInputError("x"), errors.BadRequestError("x"), errors.RateLimitError("x")],
)
def test_a_refusal_frees_the_key(tmp_path: Path, failure: BaseException) -> None:
    provider = Own(failure)
    with ImageClient(
        provider, storage=LocalStorage(tmp_path / "s"), spool_dir=tmp_path / "spool"
    ) as made:
        with pytest.raises(type(failure)):
            made.text_to_image("x", idempotency_key="k")
        assert made.resume_spool().errors == []
        assert made.text_to_image("x", idempotency_key="k").url
    assert provider.paid == 2


def test_a_time_limit_in_a_group_carries_what_was_paid_for(tmp_path: Path) -> None:
    class Limited(Own):
        def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
            if self.paid == 2:
                signal.raise_signal(signal.SIGUSR1)
            return super().text_to_image(prompt)

    def handler(*_: object) -> None:
        raise JobTimeout

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with (
            ImageClient(Limited(), storage=LocalStorage(tmp_path)) as made,
            pytest.raises(JobTimeout) as caught,
        ):
            made.text_to_images("x", n=4)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(caught.value.result.images) == 2  # type: ignore[attr-defined]


def test_an_applications_subclass_of_a_vendor_is_asked_in_its_own_way(
    both: Wire, tmp_path: Path
) -> None:
    """Its ``text_to_image`` runs, not the vendor's ``generate`` behind its back."""

    class Mine(VolcengineProvider):
        seen: list[str] = []  # noqa: RUF012

        def text_to_image(
            self, prompt: str, *, size: str = "1024x1024", **kwargs: Any
        ) -> ImageResult:
            self.seen.append(prompt)
            return super().text_to_image(f"mine: {prompt}", size=size, **kwargs)

    with ImageClient(
        Mine(api_key="k-123456", base_url=both.url), storage=LocalStorage(tmp_path)
    ) as made:
        assert made.text_to_image("a cat", timeout=9, watermark=True).has_base64
    assert Mine.seen == ["a cat"]
    assert "mine: a cat" in both.requests[0].decode()


# ---- who was asked


def test_the_journal_names_who_was_asked_last(tmp_path: Path) -> None:
    """
    The first refuses, the second may have been paid: whoever looks at the first one's console pays
    twice.

    https://github.com/Comfy-Org/comfy-python-sdk/pull/79
    """
    with Wire() as server:
        answers: list[Any] = [Reset, http(200, ARK)]

        def reply(request: bytes) -> list[Any]:
            if b"generateContent" in request.split(b"\r\n")[0]:
                return [http(400, REFUSED)]
            return [answers.pop(0) if len(answers) > 1 else answers[0]]

        server.scripts.append(reply)
        with client(server, tmp_path, ["gemini", "volcengine"]) as made:
            for _ in range(2):
                with pytest.raises(errors.OutcomeUnknownError) as caught:
                    made.text_to_image("a cat", size="2048x2048", idempotency_key="k")
                assert caught.value.provider == "volcengine"
                assert "seedream" in caught.value.model
            (told,) = made.resume_spool().errors
            assert (told.provider, "volcengine" in str(told)) == ("volcengine", True)
            first = made.text_to_image("a dog", size="2048x2048", idempotency_key="other")
            again = made.text_to_image("a dog", size="2048x2048", idempotency_key="other")
        assert first.provider == again.provider == "volcengine"
        assert again.metadata["attempts"] == [
            {
                "provider": "volcengine",
                "model": first.metadata["model"],
                "requests": 0,
                "outcome": "stored",
            }
        ]


def test_an_error_of_several_vendors_does_not_name_the_first(both: Wire, tmp_path: Path) -> None:
    """An image that was not requested belongs to no request."""

    class Away(LocalStorage):
        def exists(self, key: str) -> StoredObject | None:
            raise OSError("away")

    with (
        client(both, tmp_path, ["gemini", "volcengine"], storage=Away(tmp_path)) as made,
        pytest.raises(errors.StorageError) as caught,
    ):
        made.text_to_image("a cat", idempotency_key="k")
    assert (caught.value.provider, paid(both)) == ("", 0)


# ---- the same key


@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
@pytest.mark.parametrize("where", ["this client", "another client", "another journal"])
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"prompt": "a passport photo for customer B"}, "prompt"),
        ({"size": "16:9"}, "size"),
        ({"model": "gemini-3.1-flash-image"}, "model"),
        ({"seed": 7}, "options"),
    ],
)
def test_a_key_with_another_request_is_refused(
    both: Wire, tmp_path: Path, vendor: str, where: str, change: dict[str, Any], part: str
) -> None:
    """https://docs.stripe.com/api/idempotent_requests"""
    first = {"prompt": "a cat for customer A", "size": "1:1", "idempotency_key": "k"}
    with client(both, tmp_path, vendor) as one, client(both, tmp_path, vendor) as two:
        url = one.text_to_image(**first).url  # type: ignore[arg-type]
        places = {"another journal": tmp_path / "other", "another client": tmp_path / "spool"}
        other = client(both, tmp_path, vendor, spool_dir=places[where]) if where in places else one
        with (
            other if other is not one else contextlib.nullcontext(),
            pytest.raises(errors.IdempotencyConflictError, match=part),
        ):
            other.text_to_image(**{**first, **change})
        again = two.text_to_image(**first)  # type: ignore[arg-type]
        assert (again.url, again.metadata["warnings"], paid(both)) == (url, [], 1)
        assert again.metadata["requested_size"] == "1:1"


def test_other_references_are_another_request(both: Wire, tmp_path: Path) -> None:
    with client(both, tmp_path) as made:
        made.image_to_image("x", reference_images=[make(size=(30, 30))], idempotency_key="k")
        made.image_to_image("x", reference_images=iter([make(size=(30, 30))]), idempotency_key="k")
        with pytest.raises(errors.IdempotencyConflictError, match="reference_images"):
            made.image_to_image("x", reference_images=[make(size=(31, 30))], idempotency_key="k")
        with pytest.raises(errors.IdempotencyConflictError, match="reference_images"):
            made.text_to_image("x", idempotency_key="k")
    assert paid(both) == 1


def test_a_fingerprint_shows_nothing(both: Wire, tmp_path: Path) -> None:
    """Neither the journal nor the object has the prompt."""
    with client(both, tmp_path) as made:
        made.text_to_image("a very private wish", idempotency_key="k")
    (mark,) = (tmp_path / "spool").glob("*.done")
    assert b"private" not in mark.read_bytes()
    (image,) = images(tmp_path)
    assert "private" not in "".join(
        os.getxattr(image, name).decode() for name in os.listxattr(image)
    )


class Lagging(LocalStorage):
    """``exists`` sees nothing of what was put."""

    def exists(self, key: str) -> StoredObject | None:
        return None


def test_a_store_that_lags_causes_no_second_payment(
    both: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The journal knows for a day that it was paid; after a while the image must be there, or that is
    told.
    """
    with client(both, tmp_path, storage=Lagging(tmp_path)) as made:
        url = made.text_to_image("a cat", idempotency_key="k").url
        again = made.text_to_image("a cat", idempotency_key="k")
        assert (again.url, again.metadata["model"]) == (url, made.provider.model)  # type: ignore[union-attr]
        assert [entry["feature"] for entry in again.metadata["warnings"]] == ["storage"]
        real = time.time
        monkeypatch.setattr("time.time", lambda: real() + LAG_SECONDS + 1)
        with pytest.raises(errors.StorageError, match="not in the storage any more"):
            made.text_to_image("a cat", idempotency_key="k")
        assert paid(both) == 1
        monkeypatch.setattr("time.time", lambda: real() + 90_000)
        made.resume_spool()
        assert list((tmp_path / "spool").iterdir()) == []


def test_a_client_without_a_journal_remembers_what_it_could_not_deliver(
    both: Wire, tmp_path: Path
) -> None:
    class Away(LocalStorage):
        away = True

        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            if self.away:
                raise OSError("away")
            return super().upload_bytes(data, key, content_type=content_type)

    store = Away(tmp_path)
    with client(both, tmp_path, storage=store, spool_dir=None) as made:
        for _ in range(2):
            with pytest.raises(errors.StorageError) as caught:
                made.text_to_image("a cat", idempotency_key="k")
            assert caught.value.retryable is False
        store.away = False
        assert made.text_to_image("a cat", idempotency_key="k").url
        assert made.text_to_image("a cat", idempotency_key="k").url
    assert paid(both) == 1


# ---- results in an application's hands


@pytest.mark.parametrize(
    "change",
    [
        copy.copy,
        copy.deepcopy,
        lambda result: pickle.loads(pickle.dumps(result)),
        lambda result: dataclasses.replace(result, metadata={**result.metadata, "order": 4711}),
        lambda result: dataclasses.replace(result, metadata={}),
        lambda result: ImageResult(base64=result.base64),
    ],
)
@pytest.mark.parametrize("key", [None, "k"])
def test_a_copy_of_a_result_finishes_its_entry(
    both: Wire, tmp_path: Path, change: Any, key: Any
) -> None:
    class Away(LocalStorage):
        uploads = 0

        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            self.uploads += 1
            if self.uploads == 1:
                raise errors.StorageError("away")
            return super().upload_bytes(data, key, content_type=content_type)

    store = Away(tmp_path / "store")
    with client(both, tmp_path, storage=store) as made:
        with pytest.raises(errors.StorageError) as caught:
            made.text_to_image("a cat", idempotency_key=key)
        done = made.store(change(caught.value.result))
        assert "pending" not in done.metadata
        assert len(made.resume_spool()) == 0
        assert store.uploads == 2
        if key:
            assert made.text_to_image("a cat", idempotency_key=key).url == done.url
    assert [path for path in (tmp_path / "spool").iterdir() if path.suffix != ".done"] == []


def test_several_images_of_one_response_are_in_the_journal_once(wire: Wire, tmp_path: Path) -> None:
    """Both can be had afterwards; nothing is squashed before it is delivered."""
    pair = [os.urandom(20_000) for _ in range(2)]
    big = [make() + data for data in pair]
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}
        for data in big
    ]
    wire.script(http(200, {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}))

    class Away(LocalStorage):
        away = True

        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            if self.away:
                raise errors.StorageError("away")
            return super().upload_bytes(data, key, content_type=content_type)

    store = Away(tmp_path / "store")
    with client(wire, tmp_path, "gemini", storage=store) as made:
        with pytest.raises(errors.StorageError) as caught:
            made.text_to_image("a cat")
        assert caught.value.result.data == big[0]
        assert (
            caught.value.result.metadata["others"][0]["base64"] == base64.b64encode(big[1]).decode()
        )
        (entry,) = (tmp_path / "spool").glob("*.order")
        assert entry.stat().st_size < sum(map(len, big)) + 4000
        store.away = False
        group = made.resume_spool()
    assert [image.data for image in group] == big
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize(("blocked", "refused"), [(1, 2), (0, 1), (0, 2), (2, 0)])
def test_one_numbering_for_a_group(wire: Wire, tmp_path: Path, blocked: int, refused: int) -> None:
    """
    The place among those that were asked for. https://github.com/Comfy-Org/ComfyUI/issues/9952
    """
    drawn = [make(size=(20 + place, 20)) for place in range(3)]
    entries: list[Any] = [{"b64_json": base64.b64encode(data).decode()} for data in drawn]
    entries[blocked] = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}}
    wire.script(http(200, {"data": entries}))

    class Picky(LocalStorage):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            if data == drawn[refused]:
                raise ConnectionError("away")
            return super().upload_bytes(data, key, content_type=content_type)

    with client(wire, tmp_path, storage=Picky(tmp_path / "store")) as made:
        group = made.text_to_images("cats", n=3, size="2048x2048", idempotency_key="k")
    told = {error.index: type(error) for error in group.errors}
    assert told == {blocked: errors.ContentFilterError, refused: errors.StorageError}
    assert [error.index for error in group.errors] == sorted(told)
    (rest,) = {0, 1, 2} - set(told)
    assert group[0].data == drawn[rest]


# ---- what cannot be finished


def test_a_dead_link_can_be_forgotten(tmp_path: Path) -> None:
    """
    Told, kept while asked for, freed by ``forget``.
    https://docs.byteplus.com/en/docs/ModelArk/1541523
    """
    with Wire() as server:
        status = {"now": 403}

        def reply(request: bytes) -> list[bytes]:
            if request.startswith(b"POST"):
                # made 25 hours ago: the link has expired
                link = {"url": f"{server.url}/link-{paid(server)}.png"}
                return [http(200, {"created": time.time() - 90_000, "data": [link]})]
            return [
                http(200, IMAGE)
                if status["now"] == 200 or b"link-1" not in request
                else http(status["now"], b"")
            ]

        server.scripts.append(reply)
        with client(server, tmp_path, keep_urls=True) as made:
            with pytest.raises(errors.StorageError, match="expired at"):
                made.text_to_image("a cat", idempotency_key="k")
            for _ in range(2):
                assert [type(error) for error in made.resume_spool().errors] == [
                    errors.StorageError
                ]
            with pytest.raises(errors.StorageError):
                made.text_to_image("a cat", idempotency_key="k")
            assert paid(server) == 1
            assert len(made.resume_spool(forget=True).errors) == 1
            assert made.resume_spool().errors == []
            assert made.text_to_image("a cat", idempotency_key="k").url
        assert paid(server) == 2


def test_what_can_still_be_saved_is_never_forgotten(both: Wire, tmp_path: Path) -> None:
    """Bytes that wait for a store that is away."""

    class Away(LocalStorage):
        away = True

        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            if self.away:
                raise OSError("away")
            return super().upload_bytes(data, key, content_type=content_type)

    store = Away(tmp_path / "store")
    with client(both, tmp_path, storage=store) as made:
        with pytest.raises(errors.StorageError):
            made.text_to_image("a cat")
        assert len(made.resume_spool(forget=True).errors) == 1
        store.away = False
        assert len(made.resume_spool(forget=True)) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"state": "paid", "images": 5, "blobs": []}\n', b"[]\n"]
)
def test_a_damaged_entry_is_told_and_can_be_forgotten(
    both: Wire, tmp_path: Path, damage: bytes
) -> None:
    class Away(LocalStorage):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            raise OSError("away")

    with client(both, tmp_path, storage=Away(tmp_path / "store")) as made:
        with pytest.raises(errors.StorageError):
            made.text_to_image("a cat", idempotency_key="k")
        (entry,) = (tmp_path / "spool").glob("*.order")
        entry.write_bytes(damage)
        with pytest.raises(errors.StorageError, match="damaged"):
            made.text_to_image("a cat", idempotency_key="k")
        assert [type(error) for error in made.resume_spool().errors] == [errors.StorageError]
        assert entry.exists()
        made.resume_spool(forget=True)
        assert made.resume_spool().errors == []
    assert paid(both) == 1


def test_entries_are_for_their_owner_alone(both: Wire, tmp_path: Path) -> None:
    """And links that someone put there are not followed."""

    class Away(LocalStorage):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            raise OSError("away")

    target = tmp_path / "target"
    target.write_text("mine")
    old = os.umask(0)
    try:
        with client(both, tmp_path, storage=Away(tmp_path / "store")) as made:
            with pytest.raises(errors.StorageError):
                made.text_to_image("a cat", idempotency_key="k")
            (entry,) = (tmp_path / "spool").glob("*.order")
            assert [path.stat().st_mode & 0o077 for path in (entry, tmp_path / "spool")] == [0, 0]
            entry.unlink()
            entry.symlink_to(target)
            entry.with_suffix(".part").symlink_to(target)
            with pytest.raises(errors.StorageError):
                made.text_to_image("a cat", idempotency_key="k", retry_ambiguous=True)
    finally:
        os.umask(old)
    assert target.read_text() == "mine"


# ---- two machines with one store


def machine(sandbox: Sandbox, folder: Path, name: str, **options: Any) -> ImageClient:
    storage = R2Storage(**sandbox.storage_options())
    given = {
        **sandbox.image_options("volcengine"),
        "storage": storage,
        "spool_dir": folder / name,
        **options,
    }
    return ImageClient("volcengine", **given)


def test_two_machines_with_one_store_pay_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """The second finds the claim of the first and waits for its image."""
    sandbox.answer(200, ARK, path="images/generations", delay=1.0, times=2)
    from aigc_kit.image import journal

    found: list[str] = []

    def buy(name: str) -> None:
        with machine(sandbox, tmp_path, name) as made:
            found.append(made.text_to_image("a cat", size="2K", idempotency_key="k").url)

    threads = [threading.Thread(target=buy, args=(name,)) for name in "ab"]
    real = journal.alone
    journal.alone = lambda name, wait: real(f"{threading.get_ident()}{name}", wait)  # type: ignore[assignment]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        journal.alone = real
    assert len(set(found)) == 1
    assert sum(request.method == "POST" for request in sandbox.requests) == 1
    assert not [name for name in sandbox.files if name.endswith(".claim")]


def test_a_claim_of_a_machine_that_died_is_not_bought_over(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        machine(sandbox, tmp_path, "a", max_retries=0) as first,
        machine(sandbox, tmp_path, "b") as second,
    ):
        sandbox.fail("close", path="images/generations")
        with pytest.raises(errors.OutcomeUnknownError):
            first.text_to_image("a cat", size="2K", idempotency_key="k")
        with pytest.raises(errors.StorageError, match="another call"):
            second.text_to_image("a cat", size="2K", idempotency_key="k", timeout=0.5)
        real = time.time
        monkeypatch.setattr("aigc_kit.image.claims.time.time", lambda: real() + 1000)
        with pytest.raises(errors.OutcomeUnknownError, match="another machine"):
            second.text_to_image("a cat", size="2K", idempotency_key="k", timeout=0.5)
        assert sum(request.method == "POST" for request in sandbox.requests) == 1
        assert second.text_to_image(
            "a cat", size="2K", idempotency_key="k", retry_ambiguous=True
        ).url


def test_the_next_vendor_keeps_the_claim_of_an_unknown_outcome(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """What the first vendor refused for nothing does not free what the second may have sold."""
    chain: list[Any] = [(n, sandbox.image_options(n)) for n in ("gemini", "volcengine")]
    for name in ("a", "b"):
        sandbox.answer(400, {"error": {"message": "no"}}, path=":generateContent")
        sandbox.fail("close", path="images/generations")
        storage = R2Storage(**sandbox.storage_options())
        given = {"storage": storage, "spool_dir": tmp_path / name, "max_retries": 0}
        with ImageClient(chain, **given) as images, pytest.raises(errors.AIGCError):
            images.text_to_image("a cat", size="2K", idempotency_key="k", timeout=2)
    paths = [request.path for request in sandbox.requests if request.method == "POST"]
    assert sum(path.endswith("images/generations") for path in paths) == 1


def test_a_claim_whose_response_was_lost_is_ones_own(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("reset", path=".claim")
    with machine(sandbox, tmp_path, "a") as made:
        assert made.text_to_image("a cat", size="2K", idempotency_key="k", timeout=20).url
    assert not [name for name in sandbox.files if name.endswith(".claim")]


def test_a_refusal_and_forgetting_give_the_claim_back(sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        machine(sandbox, tmp_path, "a", max_retries=0) as first,
        machine(sandbox, tmp_path, "b") as second,
    ):
        sandbox.answer(400, {}, path="images/generations")
        with pytest.raises(errors.BadRequestError):
            first.text_to_image("a cat", size="2K", idempotency_key="k")
        sandbox.fail("close", path="images/generations")
        with pytest.raises(errors.OutcomeUnknownError):
            first.text_to_image("a cat", size="2K", idempotency_key="k")
        first.resume_spool(forget=True)
        assert second.text_to_image("a cat", size="2K", idempotency_key="k", timeout=9).url


def test_a_store_without_conditional_puts_is_used_as_it_is(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.answer(501, b"<Error><Code>NotImplemented</Code></Error>", path=".claim")
    with machine(sandbox, tmp_path, "a") as made:
        assert made.text_to_image("a cat", size="2K", idempotency_key="k").url
        assert made.text_to_image("a dog", size="2K", idempotency_key="l").url
    assert sum(".claim" in request.path for request in sandbox.requests) == 1


def test_facts_of_a_purchase_are_in_the_object(sandbox: Sandbox, tmp_path: Path) -> None:
    """
    An image that another machine finds again tells who made it, and nothing that is not known.
    """
    with (
        machine(sandbox, tmp_path, "a") as first,
        machine(sandbox, tmp_path, "b", model="ep-1") as second,
    ):
        made = first.text_to_image("a cat", size="2048×2048", idempotency_key="k")
        with pytest.raises(errors.IdempotencyConflictError, match="model"):
            second.text_to_image("a cat", size="2048×2048", idempotency_key="k")
    with machine(sandbox, tmp_path, "c") as third:
        again = third.text_to_image("a cat", size="2048×2048", idempotency_key="k")
    assert (again.url, again.provider) == (made.url, "volcengine")
    assert again.metadata["model"] == made.metadata["model"]
    assert again.metadata["requested_size"] == "2048×2048"
    assert json.loads(json.dumps(again.metadata)) == again.metadata


# ---- names


@pytest.mark.parametrize(
    "name",
    [
        "idempotencykey",
        "idempotency_keys",
        "idempotent_key",
        "idempotencyKey",
        "retry_ambigous",
        "time_out",
        "timeouts",
        "max_retry",
        "retries",
        "sizes",
        "size_polcy",
        "refrence_images",
        "extra_header",
        "extrabody",
    ],
)
@pytest.mark.parametrize("vendor", ["volcengine", "gemini", ["gemini", "volcengine"]], ids=str)
def test_a_misspelt_option_is_refused_before_anything_is_paid(
    both: Wire, tmp_path: Path, vendor: Any, name: str
) -> None:
    """https://github.com/dramaclaw/dramaclaw/issues/160"""
    with client(both, tmp_path, vendor) as made:
        with pytest.raises(errors.ConfigurationError, match="did you mean"):
            made.text_to_image("a cat", **{name: "x"})
        with pytest.raises(errors.ConfigurationError, match="did you mean"):
            made.text_to_images("a cat", n=2, **{name: "x"})
        if isinstance(vendor, list):
            with pytest.raises(errors.ConfigurationError, match="in gemini"):
                made.text_to_image("a cat", gemini={name: "x"})
    assert paid(both) == 0


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n": 3}, "text_to_images"),
        ({"num_images": 3}, "text_to_images"),
        ({"quality": "hd"}, "size"),
        ({"negative_prompt": "dogs"}, "prompt"),
        ({"image": "x"}, "image_to_image"),
        ({"images": ["x"]}, "image_to_image"),
        ({"reference_images": ["x"]}, "image_to_image"),
        ({"width": 512}, "size"),
        ({"api_key": "k"}, "ImageClient"),
        ({"storage": None}, "ImageClient"),
    ],
)
@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
def test_names_of_other_libraries_are_refused_with_the_right_one(
    both: Wire, tmp_path: Path, vendor: str, options: dict[str, Any], match: str
) -> None:
    with client(both, tmp_path, vendor) as made, pytest.raises(ValueError, match=match):
        made.text_to_image("a cat", **options)
    assert paid(both) == 0


def test_names_of_other_libraries_that_can_be_meant_are(both: Wire, tmp_path: Path) -> None:
    with client(both, tmp_path) as ark, client(both, tmp_path, "gemini") as gemini:
        ark.text_to_image("a cat", n=1, aspect_ratio="16:9")  # type: ignore[call-arg]
        gemini.text_to_image("a cat", n=1, aspect_ratio="16:9")  # type: ignore[call-arg]
        ark.image_to_image("a cat", image=make(size=(30, 30)))  # type: ignore[call-arg]
        gemini.image_to_image("a cat", images=[make(size=(30, 30))])  # type: ignore[call-arg]
        with pytest.raises(errors.InvalidInputError, match="contradict"):
            ark.text_to_image("a cat", size="1:1", aspect_ratio="16:9")
        with pytest.raises(errors.ReferenceImageError, match="reference_images"):
            ark.image_to_image("a cat")
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in both.requests]
    assert (bodies[0]["size"], "n" in bodies[0], "aspect_ratio" in bodies[0]) == (
        "2848x1600",
        False,
        False,
    )
    assert bodies[1]["generationConfig"]["imageConfig"]["aspectRatio"] == "16:9"
    assert bodies[2]["image"].startswith("data:image/png")
    assert "inlineData" in bodies[3]["contents"][0]["parts"][1]


def test_fields_of_a_vendor_still_go_through(both: Wire, tmp_path: Path) -> None:
    """
    Those that are known, new ones that resemble nothing of ours, and any name by ``extra_body``.
    """
    with client(both, tmp_path) as made:
        made.text_to_image(
            "x", guidance_scale=2.5, brand_new=1, extra_body={"time_out": 3, "quality": "x"}
        )  # type: ignore[call-arg]
    sent = json.loads(both.requests[0].partition(b"\r\n\r\n")[2])
    assert (sent["guidance_scale"], sent["brand_new"], sent["time_out"], sent["quality"]) == (
        2.5,
        1,
        3,
        "x",
    )


def test_an_applications_provider_may_have_such_names(tmp_path: Path) -> None:
    """Its fields are its own; a misspelt option of ours is refused there too."""
    with ImageClient(Own(), storage=LocalStorage(tmp_path)) as made:
        assert made.text_to_image("x", quality="hd", negative_prompt="y", width=5)  # type: ignore[call-arg]
        with pytest.raises(errors.ConfigurationError, match="idempotency_key"):
            made.text_to_image("x", idempotencykey="k")  # type: ignore[call-arg]


def test_a_closed_client_refuses_to_send(both: Wire, tmp_path: Path) -> None:
    made = client(both, tmp_path)
    made.close()
    with pytest.raises(errors.ConfigurationError, match="was closed"):
        made.text_to_image("x")
    assert paid(both) == 0


def test_recall_finds_what_a_key_bought_and_never_pays(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing, then the image; another request with the key is refused."""
    with ImageClient(
        "volcengine", storage=LocalStorage(tmp_path), **sandbox.image_options("volcengine")
    ) as client:
        assert client.recall("job-1", "a cat", size="2K") is None
        bought = client.text_to_image("a cat", size="2K", idempotency_key="job-1")
        sandbox.reset()
        found = client.recall("job-1", "a cat", size="2K")
        assert found is not None
        assert found.url == bought.url
        with pytest.raises(errors.IdempotencyConflictError):
            client.recall("job-1", "a dog", size="2K")
        assert [request.method for request in sandbox.requests if request.method == "POST"] == []


def test_recall_says_that_an_outcome_is_unknown(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also with retry_ambiguous: it never pays."""
    with ImageClient(
        "volcengine",
        storage=LocalStorage(tmp_path / "store"),
        spool_dir=tmp_path / "spool",
        **sandbox.image_options("volcengine"),
    ) as client:
        sandbox.fail("close")
        with pytest.raises(errors.OutcomeUnknownError):
            client.text_to_image("a cat", size="2K", idempotency_key="job-1")
        posts = len(sandbox.requests)
        with pytest.raises(errors.OutcomeUnknownError):
            client.recall("job-1", "a cat", size="2K", retry_ambiguous=True)
        assert len(sandbox.requests) == posts


# ---- what is not known stays unknown, whatever is asked now


@pytest.mark.parametrize(
    "change", [{"prompt": "another"}, {"size": "16:9"}, {"model": "gemini-3.1-flash-image"}]
)
def test_an_unknown_outcome_is_not_hidden_by_another_request(
    sandbox: Sandbox, tmp_path: Path, change: dict[str, Any]
) -> None:
    first = {"prompt": "a cat", "size": "1:1", "idempotency_key": "k", "max_retries": 0}
    options = {**sandbox.image_options("gemini"), "spool_dir": tmp_path / "spool"}
    with ImageClient("gemini", storage=LocalStorage(tmp_path / "store"), **options) as made:
        sandbox.fail("close")
        with pytest.raises(errors.OutcomeUnknownError):
            made.text_to_image(**first)
        with pytest.raises(errors.OutcomeUnknownError, match=r"another one; it differs in the "):
            made.text_to_image(**{**first, **change})
        assert len(sandbox.requests) == 1
        bought = made.text_to_image(**{**first, **change, "retry_ambiguous": True})
        assert made.text_to_image(**{**first, **change}).url == bought.url
        with pytest.raises(errors.IdempotencyConflictError):
            made.text_to_image(**first)
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize("blocked", [0, 1])
@pytest.mark.parametrize("journal", [False, True])
def test_a_group_found_again_tells_why_images_are_missing(
    sandbox: Sandbox, tmp_path: Path, blocked: int, journal: bool
) -> None:
    options = {**sandbox.image_options("volcengine"), "keep_urls": True}
    if journal:
        options["spool_dir"] = tmp_path / "spool"
    storage = LocalStorage(tmp_path / "store")
    prompt = f"x [blocked image {blocked}]"
    with ImageClient("volcengine", storage=storage, allow_private_hosts=True, **options) as made:
        for again in (False, True):
            group = made.text_to_images(prompt, n=2, size="2K", idempotency_key="k")
            (error,) = group.errors
            assert (len(group.images), error.index) == (1, blocked)
            if journal or not again:
                assert isinstance(error, errors.ContentFilterError)
                assert error.billed == "no" or not again
    assert sum(request.method == "POST" for request in sandbox.requests) == 1


def test_an_empty_object_is_not_an_image(sandbox: Sandbox, tmp_path: Path) -> None:
    """After a full disk, or a copy that was cut."""
    options = {**sandbox.image_options("gemini"), "storage": LocalStorage(tmp_path)}
    with ImageClient("gemini", **options) as made:
        key = made.text_to_image("a cat", idempotency_key="k").metadata["storage_key"]
        (tmp_path / key).write_bytes(b"")
        with pytest.raises(errors.StorageError, match="is empty") as caught:
            made.text_to_image("a cat", idempotency_key="k")
    with ImageClient("gemini", **options) as other:
        (tmp_path / caught.value.key).unlink()
        assert other.text_to_image("a cat", idempotency_key="k").url
    assert len(sandbox.requests) == 2
