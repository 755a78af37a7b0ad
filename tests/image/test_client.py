"""``ImageClient``: the registry, results, storage, loss, groups, life cycle."""

from __future__ import annotations

import base64
import copy
import dataclasses
import gc
import importlib.metadata
import io
import json
import pickle
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aigc_kit import ImageClient, ImageProvider, ImageResult, errors
from aigc_kit.image import ImageGroup, client, register_provider
from aigc_kit.registry import Registry
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, Storage, StoredObject
from tests.images import make
from tests.waits import within
from tests.wire import SHORT, Wire, http

PNG = make()


class Painter(ImageProvider):
    """A provider of an application."""

    def __init__(self, answer: Any = None, **options: Any) -> None:
        self.answer = answer
        self.options = options
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False

    @property
    def name(self) -> str:
        return "painter"

    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **kwargs: Any) -> Any:
        self.calls.append(("text", prompt, size, kwargs))
        return (
            self.answer() if callable(self.answer) else self.answer or ImageResult.from_bytes(PNG)
        )

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **kwargs: Any
    ) -> Any:
        self.calls.append(("image", prompt, size, reference_images, kwargs))
        return self.text_to_image(prompt, size=size, **kwargs)

    def close(self) -> None:
        self.closed = True


class Broken(Storage):
    """A storage that fails as often as it is told."""

    def __init__(self, *failures: Exception, inner: Storage) -> None:
        self.failures = list(failures)
        self.inner = inner
        self.keys: list[str] = []

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        self.keys.append(key)
        if self.failures:
            raise self.failures.pop(0)
        return self.inner.upload_bytes(data, key, content_type=content_type)

    def exists(self, key: str) -> StoredObject | None:
        return self.inner.exists(key)


def test_the_documents_five_fields() -> None:
    """``ImageResult`` is a dataclass of just these, with these defaults."""
    assert [field.name for field in dataclasses.fields(ImageResult)] == [
        "url",
        "base64",
        "mime_type",
        "provider",
        "metadata",
    ]
    assert dataclasses.asdict(ImageResult()) == {
        "url": "",
        "base64": "",
        "mime_type": "",
        "provider": "",
        "metadata": {},
    }
    assert ImageResult().metadata is not ImageResult().metadata


def test_a_result_from_base64_and_from_bytes() -> None:
    """Both give both; base64 is made when it is read."""
    text = base64.b64encode(PNG).decode()
    from_text, from_bytes = ImageResult(base64=text), ImageResult.from_bytes(PNG)
    for result in (
        from_text,
        from_bytes,
        pickle.loads(pickle.dumps(from_bytes)),
        copy.deepcopy(from_bytes),
    ):
        assert (result.data, result.base64, result.has_base64, result.has_url) == (
            PNG,
            text,
            True,
            False,
        )
        assert (result.width, result.height) == (24, 16)
    assert from_bytes.__dict__["_text"] == ""
    from_bytes.base64 = base64.b64encode(b"other").decode()
    assert from_bytes.data == b"other"
    assert ImageResult(base64="data:image/png;base64," + text).data == PNG
    with pytest.raises(errors.InvalidReplyError):
        ImageResult(base64="!!!").data  # noqa: B018


def test_a_result_without_bytes() -> None:
    """Only an address: no bytes, no network, sizes from what the vendor said."""
    result = ImageResult(
        url="https://x.example/a.png?sig=canary", metadata={"width": 10, "height": 20}
    )
    assert (result.data, result.has_base64, result.has_url, result.width, result.height) == (
        b"",
        False,
        True,
        10,
        20,
    )
    assert "canary" not in repr(result)
    assert ImageResult(url="https://x.example/a.png").width == 0


def test_saving(tmp_path: Path) -> None:
    """With the suffix given, or the one of the type; directories are made."""
    result = ImageResult.from_bytes(PNG)
    assert result.save(tmp_path / "deep" / "cat") == tmp_path / "deep" / "cat.png"
    assert result.save(str(tmp_path / "x.dat")).read_bytes() == PNG
    assert result.to_pil().size == (24, 16)
    with pytest.raises(errors.InvalidReplyError, match="cannot be decoded"):
        ImageResult.from_bytes(PNG[:50]).to_pil()


def test_downloading(wire: Wire) -> None:
    """Guarded; what comes must be a picture; then it is kept."""
    wire.script(http(200, PNG))
    wire.script(http(200, b"<html>"))
    url = wire.url + "/x.png"
    with pytest.raises(errors.NoImageError, match="refused"):
        ImageResult(url=url).download()
    with pytest.raises(errors.NoImageError, match="neither"):
        ImageResult().download()
    with ImageClient(Painter(lambda: ImageResult(url=url)), allow_private_hosts=True) as images:
        result = images.text_to_image("x")
        assert result.download() == result.download() == result.data == PNG
        assert result.mime_type == "image/png"
        with pytest.raises(errors.NoImageError, match="not an image"):
            images.text_to_image("x").download()
    assert len(wire.requests) == 2


def test_notebooks() -> None:
    """An address is a link, bytes are inline, and nothing breaks out of the attribute."""
    link = ImageResult(url="https://x.example/a.png")._repr_html_()
    assert 'href="https://x.example/a.png"' in link
    assert "src=" not in link
    assert 'src="data:image/webp;base64,' in ImageResult.from_bytes(PNG, metadata={})._repr_html_()
    assert "<script" not in ImageResult(url='https://x/"><script>')._repr_html_()


def test_repr_has_no_base64() -> None:
    """However large the picture is."""
    assert len(repr(ImageResult(base64=base64.b64encode(PNG * 100).decode()))) < 150


def test_the_document_way_to_add_a_provider() -> None:
    """A subclass with a name and two methods; registered by name, or passed as an instance."""
    register_provider("my_provider", Painter, aliases=["mine"])
    for name in ("my_provider", "MINE"):
        with ImageClient(name, color="red") as images:
            result = images.text_to_image("x", size="3x4", extra=1)
            assert images.provider.options == {"color": "red"}  # type: ignore[attr-defined]
        assert (result.provider, result.mime_type, result.width) == ("painter", "image/png", 24)
        assert images.provider.closed  # type: ignore[attr-defined]
    painter = Painter()
    with ImageClient(painter) as images:
        images.image_to_image("x", reference_images=["anything"], size="any size")
    assert painter.calls[0] == ("image", "x", "any size", ["anything"], {})
    assert not painter.closed


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package publishes a provider."""
    point = importlib.metadata.EntryPoint(
        "published", "tests.image.test_client:Painter", client.ENTRY_POINTS
    )
    lost = importlib.metadata.EntryPoint("lost", "no.such.module:X", client.ENTRY_POINTS)
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda group: [point, lost] if group == client.ENTRY_POINTS else [],
    )
    monkeypatch.setattr(client, "registry", Registry("image provider", client.ENTRY_POINTS))
    with ImageClient("published") as images:
        assert images.provider.name == "painter"
    with pytest.raises(errors.ConfigurationError, match="cannot be loaded"):
        ImageClient("lost")
    assert "volcengine" in client.registry.names()


def test_unknown_providers() -> None:
    """The error lists the known ones."""
    with pytest.raises(
        errors.UnknownProviderError, match=r"'midjourney'.*doubao.*gemini.*volcengine"
    ):
        ImageClient("midjourney")


@pytest.mark.parametrize("alias", ["volcengine", "doubao", "seedream", "ark", "Volcengine "])
def test_aliases_have_one_name(alias: str) -> None:
    """The registry's name is in the results."""
    with ImageClient(alias, api_key="k") as images:
        assert images.provider.name == "volcengine"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"provider": Painter(), "api_key": "k"}, "has its options already"),
        ({"provider": 5}, "name or an ImageProvider"),
        ({"provider": Painter(), "storage": "s3://x"}, "must be an aigc_kit.storage.Storage"),
        ({"provider": Painter(), "keep_urls": True}, "pass storage too"),
        ({"provider": Painter(), "storage_key_prefix": "/abs"}, "storage key"),
        ({"provider": Painter(), "storage_key_prefix": "a/../b"}, "storage key"),
        ({"provider": Painter(), "storage_key_prefix": "x" * 1000}, "storage key"),
        ({"provider": Painter(), "storage_key_prefix": None}, "must be a str"),
    ],
)
def test_bad_arguments_are_refused_when_the_client_is_made(
    arguments: dict[str, Any], match: str
) -> None:
    """Before anything is paid."""
    with pytest.raises(ValueError, match=match):
        ImageClient(**arguments)


def test_keys_are_content_hashes(tmp_path: Path) -> None:
    """The same picture has one key; the prefix may be empty."""
    storage = LocalStorage(tmp_path)
    with ImageClient(Painter(), storage=storage) as images:
        first, second = images.text_to_image("a"), images.text_to_image("b")
    assert first.url == second.url
    assert first.metadata["storage_key"].startswith("aigc/images/")
    with ImageClient(Painter(), storage=storage, storage_key_prefix="") as images:
        key = images.text_to_image("a").metadata["storage_key"]
    assert "/" not in key
    assert key.endswith(".png")
    with ImageClient(Painter(), storage=storage, storage_key_prefix="图片/a/") as images:
        assert images.text_to_image("a").metadata["storage_key"].startswith("图片/a/")


@pytest.mark.parametrize(
    "failure",
    [
        errors.StorageError("disk full", key="k"),
        OSError("disk"),
        RuntimeError("app"),
        KeyError("x"),
    ],
)
def test_a_failed_upload_loses_nothing(tmp_path: Path, failure: Exception) -> None:
    """
    The error carries the paid picture; ``store`` finishes without another generation, under the
    same key.
    """
    painter, storage = Painter(), Broken(failure, inner=LocalStorage(tmp_path))
    with ImageClient(painter, storage=storage) as images:
        with pytest.raises(errors.StorageError) as caught:
            images.text_to_image("x")
        result = caught.value.result
        assert result.data == PNG
        assert result.url == ""
        assert caught.value.provider == "painter"
        done = images.store(result)
        assert done.url.startswith("file://")
        assert images.store(done).url == done.url
    assert len(painter.calls) == 1
    assert len(set(storage.keys)) == 1
    assert len(storage.keys) == 2


def test_a_failed_upload_survives_a_process_border(tmp_path: Path) -> None:
    """Error and result can be pickled, and finished elsewhere."""
    storage = Broken(OSError("disk"), inner=LocalStorage(tmp_path))
    with (
        ImageClient(Painter(), storage=storage) as images,
        pytest.raises(errors.StorageError) as caught,
    ):
        images.text_to_image("x")
    result = pickle.loads(pickle.dumps(caught.value)).result
    with ImageClient(Painter(), storage=LocalStorage(tmp_path)) as images:
        assert images.store(result).url.startswith("file://")


@pytest.mark.parametrize("answer", [None, "https://x", StoredObject("", "k", 1, "image/png")])
def test_a_storage_that_gives_no_address(answer: Any, tmp_path: Path) -> None:
    """An application's storage that forgets to return is a storage error, too."""

    class Forgetful(Broken):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> Any:
            return answer

    with ImageClient(Painter(), storage=Forgetful(inner=LocalStorage(tmp_path))) as images:
        with pytest.raises(errors.StorageError, match="URL") as caught:
            images.text_to_image("x")
        assert caught.value.result.data == PNG


def test_store_needs_something_to_store(tmp_path: Path) -> None:
    """A client with storage, and a result with bytes or an address."""
    with ImageClient(Painter()) as images, pytest.raises(errors.ConfigurationError):
        images.store(ImageResult.from_bytes(PNG))
    with ImageClient(Painter(), storage=LocalStorage(tmp_path)) as images:
        for bad in (ImageResult(), None, "x"):
            with pytest.raises(errors.InvalidInputError):
                images.store(bad)  # type: ignore[arg-type]
        foreign = ImageResult(base64=base64.b64encode(PNG).decode(), mime_type="image/png")
        assert images.store(foreign).url.endswith(".png")


def test_no_storage_keeps_the_bytes_and_warns() -> None:
    """A result without an address says so."""
    with ImageClient(Painter()) as images:
        result = images.text_to_image("x")
    assert result.data == PNG
    assert result.metadata["warnings"] == [
        {
            "feature": "storage",
            "details": "the image has no URL: pass storage= to give it one; its bytes are in .data",
        }
    ]


@pytest.mark.parametrize(
    "answer", ["https://x/y.png", 5, [1], ImageResult(base64="aGVsbG8="), lambda: ImageResult()]
)
def test_providers_that_answer_nonsense(answer: Any) -> None:
    """Not a result, no picture, nothing at all."""
    with ImageClient(Painter(answer)) as images, pytest.raises(errors.InvalidReplyError):
        images.text_to_image("x")


def test_half_a_picture_is_told() -> None:
    """Base64 of a cut file is kept, with a warning."""
    with ImageClient(Painter(ImageResult.from_bytes(PNG[:-10]))) as images:
        result = images.text_to_image("x")
    assert any(entry["feature"] == "image" for entry in result.metadata["warnings"])


def test_a_half_copy_is_not_kept(wire: Wire, tmp_path: Path) -> None:
    """A download that is no whole picture is tried again, then an error with the result."""
    wire.script(http(200, PNG[:-10]))
    options = {"storage": LocalStorage(tmp_path), "keep_urls": True, "allow_private_hosts": True}
    with ImageClient(Painter(lambda: ImageResult(url=wire.url + "/x.png")), **options) as images:
        with pytest.raises(errors.StorageError, match="not a whole image") as caught:
            images.text_to_image("x")
        assert len(wire.requests) == 3
        wire.scripts[:] = [(http(200, PNG),)]
        done = images.store(caught.value.result)
    assert done.url.startswith("file://")
    assert done.metadata["source_url"].startswith(wire.url)
    assert done.data == PNG


def test_groups_keep_what_came(tmp_path: Path) -> None:
    """A failed upload in a group is an error with its picture; the others have addresses."""
    storage = Broken(OSError("disk"), inner=LocalStorage(tmp_path))
    with ImageClient(Painter(lambda: ImageResult.from_bytes(PNG)), storage=storage) as images:
        group = images.text_to_images("x", n=3)
        assert isinstance(group, ImageGroup)
        assert (len(group), [error.index for error in group.errors]) == (2, [0])
        assert images.store(group.errors[0].result).url
        group = images.image_to_images("x", n=2, reference_images=[PNG])
    assert len(group) == 2


@pytest.mark.parametrize("bad", [0, -1, 101, 1.5, "2", True, None])
def test_n_is_checked(bad: Any) -> None:
    """1 to 100."""
    with (
        ImageClient(Painter()) as images,
        pytest.raises(errors.InvalidInputError, match="n must be"),
    ):
        images.text_to_images("x", n=bad)


def test_metadata_is_json(sandbox: Sandbox, tmp_path: Path) -> None:
    """For every vendor; the prompt is not in it."""
    for vendor in ("volcengine", "gemini"):
        options = sandbox.image_options(vendor)
        with ImageClient(
            vendor, storage=LocalStorage(tmp_path), keep_urls=True, **options
        ) as images:
            metadata = images.text_to_image("canary prompt").metadata
        assert json.loads(json.dumps(metadata)) == metadata
        assert "canary" not in json.dumps(metadata)
        expected = {
            "model",
            "requested_size",
            "sent_size",
            "width",
            "height",
            "request_id",
            "usage",
            "warnings",
            "attempts",
        }
        assert expected <= set(metadata)


def test_an_open_client_is_told() -> None:
    """
    A client that was not closed warns; a closed one does not, nor does one that was never made.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ImageClient(Painter())
        ImageClient(Painter()).close()
        with pytest.raises(errors.UnknownProviderError):
            ImageClient("nobody")
        gc.collect()
    assert [entry.category for entry in caught] == [ResourceWarning]


def test_one_client_serves_many_threads(sandbox: Sandbox, tmp_path: Path) -> None:
    """The right answer to each."""
    sizes = ["512x512", "1024x1024", "1376x768", "768x1376"] * 3
    found: dict[int, tuple[int, int]] = {}
    with ImageClient(
        "gemini", storage=LocalStorage(tmp_path), **sandbox.image_options("gemini")
    ) as images:

        def paint(number: int) -> None:
            result = images.text_to_image(f"picture {number}", size=sizes[number])
            found[number] = (result.width, result.height)

        threads = [threading.Thread(target=paint, args=(number,)) for number in range(len(sizes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = {
        "512x512": (1024, 1024),
        "1024x1024": (1024, 1024),
        "1376x768": (1376, 768),
        "768x1376": (768, 1376),
    }
    assert found == {number: expected[size] for number, size in enumerate(sizes)}


def test_a_timeout_is_for_the_whole_group(sandbox: Sandbox) -> None:
    """Pictures that were not asked for in time are told, and cost nothing."""
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(make()).decode()}}
    reply = {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP"}]}
    with ImageClient("gemini", **sandbox.image_options("gemini")) as client:
        sandbox.answer(200, reply, times=2)
        client.text_to_image("warm")
        sandbox.requests.clear()
        sandbox.answer(200, reply, delay=3600, times=99)
        with within(SHORT):
            group = client.text_to_images("cats", n=100, timeout=SHORT)
    assert (len(group), len(sandbox.requests)) == (1, 2)
    assert group.errors[-1].index is not None
    assert "cats" not in str(group.errors[-1])


# ---- options that are on or off


@pytest.mark.parametrize("value", ["false", "no", 0, 1, "True"])
@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("gemini", "keep_urls"),
        ("gemini", "allow_private_hosts"),
        ("gemini", "vertexai"),
        ("volcengine", "inline_references"),
        ("volcengine", "watermark"),
        ("dashscope", "upload_references"),
    ],
)
def test_a_word_is_no_switch_of_a_client(
    sandbox: Sandbox, tmp_path: Path, provider: str, name: str, value: Any
) -> None:
    options = {**sandbox.image_options(provider), "storage": LocalStorage(tmp_path), name: value}
    with pytest.raises(errors.ConfigurationError, match=f"{name} must be True or False"):
        ImageClient(provider, **options)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("gemini", "retry_ambiguous"),
        ("volcengine", "inline_references"),
        ("volcengine", "watermark"),
        ("dashscope", "prompt_extend"),
        ("openai", "stream"),
        ("bfl", "prompt_upsampling"),
    ],
)
def test_a_word_is_no_switch_of_a_call(sandbox: Sandbox, provider: str, name: str) -> None:
    with (
        ImageClient(provider, **sandbox.image_options(provider)) as images,
        pytest.raises(errors.ConfigurationError, match=f"{name} must be True or False, got 'no'"),
    ):
        images.text_to_image("a cat", **{name: "no"})
    assert sandbox.requests == []


# ---- what tells one reference from another


def palette(color: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", (256, 256))
    image.putpalette(list(color) * 256)
    return image


def turned(orientation: int) -> Image.Image:
    image = Image.new("RGB", (256, 256), "white")
    image.getexif()[0x0112] = orientation
    return image


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (palette((255, 0, 0)), palette((0, 0, 255))),
        (Image.new("RGB", (512, 256), "white"), Image.new("RGB", (256, 512), "white")),
        (Image.new("L", (300, 100)), Image.new("RGB", (100, 100))),
        (turned(1), turned(6)),
    ],
)
def test_images_of_equal_bytes_are_not_one_reference(
    sandbox: Sandbox, tmp_path: Path, one: Image.Image, other: Image.Image
) -> None:
    options = {**sandbox.image_options("gemini"), "storage": LocalStorage(tmp_path)}
    with ImageClient("gemini", **options) as images:
        first = images.image_to_image("x", reference_images=one, idempotency_key="k")
        again = images.image_to_image("x", reference_images=one, idempotency_key="k")
        assert first.url == again.url
        with pytest.raises(errors.IdempotencyConflictError, match="reference_images"):
            images.image_to_image("x", reference_images=other, idempotency_key="k")
    assert len(sandbox.requests) == 1


def test_an_open_file_is_no_reference(sandbox: Sandbox) -> None:
    with (
        ImageClient("gemini", **sandbox.image_options("gemini")) as images,
        pytest.raises(
            errors.ReferenceImageError, match=r"got a BytesIO: pass the bytes, \.read\(\)"
        ),
    ):
        images.image_to_image("x", reference_images=io.BytesIO(make()))
    assert sandbox.requests == []


@pytest.mark.parametrize("key", [None, "k"])
def test_a_cut_image_is_the_same_error_with_and_without_a_key(
    sandbox: Sandbox, tmp_path: Path, key: str | None
) -> None:
    options = {**sandbox.image_options("gemini"), "storage": LocalStorage(tmp_path)}
    path = tmp_path / "cut.jpg"
    path.write_bytes(make("JPEG", (400, 300))[:900])
    with ImageClient("gemini", **options) as images, Image.open(path) as reference:
        with pytest.raises(errors.ReferenceImageError):
            images.image_to_image("x", reference_images=reference, idempotency_key=key)
        image = images.image_to_image(
            "x", reference_images=memoryview(make() * 2)[: len(make())], idempotency_key=key
        )
    assert image.url


def test_a_blank_model_is_refused(sandbox: Sandbox) -> None:
    with (
        ImageClient("gemini", **sandbox.image_options("gemini")) as images,
        pytest.raises(errors.InvalidInputError, match="model must be the name"),
    ):
        images.text_to_image("x", model="  ")


def test_a_class_of_a_store_is_not_a_store() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"write LocalStorage\(\.\.\.\)"):
        ImageClient("volcengine", api_key="k" * 20, storage=LocalStorage)  # type: ignore[arg-type]
