"""Labels on the way from the payment to the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, ImageProvider, ImageResult
from aigc_kit.errors import ConfigurationError, IdempotencyConflictError, StorageError
from aigc_kit.image import ContentLabel, Rendition, read_labels
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.images import make

LABEL = ContentLabel(producer="示例公司")


def client(sandbox: Sandbox, path: Path, provider: str = "gemini", **options: Any) -> ImageClient:
    given = {**sandbox.image_options(provider), "storage": LocalStorage(path), **options}
    return ImageClient(provider, allow_private_hosts=True, **given)


def stored(path: Path, key: str) -> bytes:
    return (path / key).read_bytes()


@pytest.mark.parametrize("provider", ["gemini", "volcengine", "openai"])
def test_the_image_and_its_copies_have_the_label(
    sandbox: Sandbox, tmp_path: Path, provider: str
) -> None:
    """Images that come as a URL are fetched for it."""
    copies = [
        Rendition("thumb", side=128),
        Rendition("jpeg", mime_type="image/jpeg"),
        Rendition("png", side=64, mime_type="image/png"),
    ]
    with client(sandbox, tmp_path, provider, label=LABEL, renditions=copies) as images:
        result = images.text_to_image(
            "a cat", size="1024x1024" if provider != "volcengine" else "2K"
        )
    key = result.metadata["storage_key"]
    found = read_labels(stored(tmp_path, key)).aigc
    assert found["ContentProducer"] == "示例公司"
    assert found["ProduceID"]
    assert result.metadata["label"]["aigc"] == found
    assert read_labels(result.data).aigc == found
    for copy in result.metadata["renditions"].values():
        assert read_labels(stored(tmp_path, copy["key"])).aigc == found


def test_a_call_may_have_its_own_label(sandbox: Sandbox, tmp_path: Path) -> None:
    own = ContentLabel(producer="other", produce_id="mine", visible=True)
    with client(sandbox, tmp_path, label=LABEL) as images:
        group = images.text_to_images("a cat", n=2, size="1K", label=own)
    assert {image.metadata["label"]["aigc"]["ContentProducer"] for image in group} == {"other"}
    assert {image.metadata["label"]["visible"] for image in group} == {"AI生成"}


def test_without_a_storage_the_bytes_have_it(sandbox: Sandbox) -> None:
    """The vendor's own URL leads to an image without the label, so that it is not given out."""
    options = sandbox.image_options("volcengine")
    with ImageClient("volcengine", label=LABEL, allow_private_hosts=True, **options) as images:
        result = images.text_to_image("a cat", size="2K")
    assert result.url == ""
    assert read_labels(result.data).aigc["ContentProducer"] == "示例公司"


def test_the_original_can_be_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    with client(sandbox, tmp_path, label=ContentLabel(producer="p", keep_original=True)) as images:
        result = images.text_to_image("a cat", size="1K")
    original = stored(tmp_path, result.metadata["original"]["key"])
    assert read_labels(original).aigc == {}
    assert read_labels(stored(tmp_path, result.metadata["storage_key"])).aigc["Label"] == "1"


class Broken(LocalStorage):
    """One that takes nothing while it is told to."""

    broken = True

    def upload_bytes(self, *args: Any, **options: Any) -> Any:
        if Broken.broken:
            raise StorageError("the disk is full")
        return super().upload_bytes(*args, **options)


def test_what_was_left_in_the_journal_is_labelled_later(sandbox: Sandbox, tmp_path: Path) -> None:
    """By another client that has no label itself, and by ``store``."""
    Broken.broken = True
    given: dict[str, Any] = {"storage": Broken(tmp_path / "s"), "spool_dir": tmp_path / "j"}
    with client(sandbox, tmp_path, label=LABEL, **given) as images:
        with pytest.raises(StorageError):
            images.text_to_image("a cat", size="1K")
        with pytest.raises(StorageError) as caught:
            images.text_to_image("a dog", size="1K")
        Broken.broken = False
        later = images.store(caught.value.result)  # type: ignore[arg-type]
    assert read_labels(later.data).aigc["ContentProducer"] == "示例公司"
    with client(sandbox, tmp_path, **given) as images:
        (resumed,) = images.resume_spool().images
    assert read_labels(resumed.data).aigc["ContentProducer"] == "示例公司"


def test_a_result_of_another_client_is_labelled_when_it_is_stored(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with client(sandbox, tmp_path, storage=None) as other:
        result = other.text_to_image("a cat", size="1K")
    with client(sandbox, tmp_path, label=LABEL) as images:
        assert read_labels(images.store(result).data).aigc["ContentProducer"] == "示例公司"


def test_what_cannot_be_meant_is_refused_before_the_payment(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="label must be a ContentLabel"):
        client(sandbox, tmp_path, label="p")
    with client(sandbox, tmp_path) as images:
        with pytest.raises(ConfigurationError, match="label must be a ContentLabel"):
            images.text_to_image("a cat", label={"producer": "p"})  # type: ignore[arg-type]
        monkeypatch.setattr("aigc_kit.fonts.cjk_font", lambda size: None)
        with pytest.raises(ConfigurationError, match=r"install aigc-kit\[fonts\]"):
            images.text_to_image("a cat", label=ContentLabel(producer="p", visible=True))
    assert sandbox.requests == []


def test_geminis_labels_are_another_thing(sandbox: Sandbox, tmp_path: Path) -> None:
    """Of billing, not of images."""
    with client(sandbox, tmp_path) as images:
        images.text_to_image("a cat", size="1K", labels={"team": "shop"})


def test_what_an_error_has_is_stored_with_the_label_of_its_call(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Without a journal or a key nothing else remembers it."""
    sandbox.answer(404, b"gone", path="/ark-content", times=1)
    with client(sandbox, tmp_path, "volcengine", keep_urls=True) as images:
        with pytest.raises(StorageError) as caught:
            images.text_to_image("a cat", size="2K", label=LABEL)
        result = images.store(caught.value.result)
    assert read_labels(stored(tmp_path, result.metadata["storage_key"])).aigc["Label"] == "1"
    assert "pending" not in result.metadata


def test_one_key_is_of_one_label(sandbox: Sandbox, tmp_path: Path) -> None:
    """An image that was bought without it is not given out as if it had it."""
    with client(sandbox, tmp_path) as images:
        images.text_to_image("a cat", idempotency_key="bare")
        labelled = images.text_to_image("a cat", idempotency_key="labelled", label=LABEL)
    with client(sandbox, tmp_path, label=LABEL) as images:
        with pytest.raises(IdempotencyConflictError, match="label"):
            images.text_to_image("a cat", idempotency_key="bare")
        found = images.text_to_image("a cat", idempotency_key="labelled")
        again = images.text_to_image(
            "a cat",
            idempotency_key="labelled",
            label=ContentLabel(producer="示例公司", produce_id="another"),
        )
    assert found.url == again.url == labelled.url
    assert len(sandbox.requests) == 2


def test_the_journal_tells_the_label_of_an_image_that_is_found_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    options = {"label": LABEL, "spool_dir": tmp_path / "spool"}
    with client(sandbox, tmp_path / "images", **options) as images:
        first = images.text_to_image("a cat", idempotency_key="k")
        assert (
            images.text_to_image("a cat", idempotency_key="k").metadata["label"]
            == (first.metadata["label"])
        )


@pytest.mark.parametrize("journal", [False, True])
def test_the_original_outlives_a_failed_upload(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: bool
) -> None:
    storage = Broken(tmp_path / "store")
    monkeypatch.setattr(Broken, "broken", True)
    options: dict[str, Any] = {"spool_dir": tmp_path / "spool"} if journal else {}
    label = ContentLabel(producer="p", keep_original=True)
    with client(sandbox, tmp_path, storage=storage, label=label, **options) as images:
        with pytest.raises(StorageError) as caught:
            images.text_to_image("a cat", size="1K")
        monkeypatch.setattr(Broken, "broken", False)
        if journal:
            (result,) = images.resume_spool()
        else:
            result = images.store(caught.value.result)
    original = stored(tmp_path / "store", result.metadata["original"]["key"])
    assert read_labels(original).aigc == {}
    assert read_labels(stored(tmp_path / "store", result.metadata["storage_key"])).aigc


class Careless(ImageProvider):
    """Has a ``label`` of its own in the metadata."""

    name = "careless"

    def __init__(self, **options: Any) -> None: ...

    def text_to_image(self, prompt: str, *, size: str = "1x1", **kwargs: Any) -> ImageResult:
        told = {"label": {"aigc": {"Label": "1"}, "visible": ""} if prompt == "copied" else "cat"}
        return ImageResult.from_bytes(make("PNG", (64, 64)), mime_type="image/png", metadata=told)

    def image_to_image(
        self, prompt: str, reference_images: Any, *, size: str = "1x1", **kwargs: Any
    ) -> ImageResult:
        return self.text_to_image(prompt)


@pytest.mark.parametrize("prompt", ["copied", "own"])
def test_metadata_called_label_does_not_stand_for_one(prompt: str) -> None:
    with ImageClient(Careless(), label=LABEL) as images:
        result = images.text_to_image(prompt)
    assert read_labels(result.data).aigc["ContentProducer"] == "示例公司"
    assert result.metadata["label"]["aigc"]["ContentProducer"] == "示例公司"
    with ImageClient(Careless()) as images:
        assert images.text_to_image("own").metadata["label"] == "cat"
