"""Renditions: pure bytes to bytes, and beside the picture in the store."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageCms
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from aigc_kit import ImageClient, errors
from aigc_kit.image import ImageGroup, ImageProvider, ImageResult, Rendition, render
from aigc_kit.media.renditions import attempted
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, StoredObject
from tests.images import animated, make

THUMBS = (Rendition("full"), Rendition("large", side=16), Rendition("small", side=6))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><AIGC>{"Label":"1"}</AIGC></x:xmpmeta>'


def opened(data: bytes) -> PIL.Image.Image:
    picture = PIL.Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_one_decode_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are those of the card, in the order asked for; the file is opened once."""
    opens: list[Any] = []
    real = PIL.Image.open
    monkeypatch.setattr(
        PIL.Image, "open", lambda *args, **options: opens.append(args) or real(*args, **options)
    )
    made = render(make(size=(24, 16)), [THUMBS[2], THUMBS[0], THUMBS[1]])
    assert len(opens) == 1
    assert [(one.rendition.name, one.width, one.height) for one in made] == [
        ("small", 6, 4),
        ("full", 24, 16),
        ("large", 16, 11),
    ]
    assert [opened(one.data).size for one in made] == [(6, 4), (24, 16), (16, 11)]
    assert {opened(one.data).format for one in made} == {"WEBP"}


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.lists(st.one_of(st.none(), st.integers(1, 120)), min_size=1, max_size=4),
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]),
    st.sampled_from(["image/webp", "image/jpeg", "image/png"]),
)
def test_every_size(size: tuple[int, int], sides: list[int | None], form: str, kind: str) -> None:
    """Nothing is enlarged, proportions hold within a pixel, and the numbers are the file's own."""
    wanted = [Rendition(f"r{place}", side=side, mime_type=kind) for place, side in enumerate(sides)]
    for one, side in zip(render(make(form, size), wanted), sides, strict=True):
        assert (one.width, one.height) == opened(one.data).size
        assert max(one.width, one.height) == min(max(size), side or 1000)
        factor = max(one.width, one.height) / max(size)
        assert abs(one.width - size[0] * factor) <= 1
        assert abs(one.height - size[1] * factor) <= 1


@pytest.mark.parametrize(
    ("form", "kind"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_what_needs_no_change_is_not_encoded_again(form: str, kind: str) -> None:
    """The very same bytes, without a decoder."""
    data = make(form)
    full, capped, other = render(
        data,
        [
            Rendition("a", mime_type=kind),
            Rendition("b", side=24, mime_type=kind),
            Rendition("c", side=10),
        ],
    )
    assert full.data is data
    assert capped.data is data
    assert opened(other.data).size == (10, 7)


def test_a_small_copy_looks_like_the_picture() -> None:
    """Scaled step by step or at once: within what the eye and WebP allow."""
    gradient = PIL.Image.linear_gradient("L").resize((640, 640)).convert("RGB")
    out = io.BytesIO()
    gradient.save(out, "PNG")
    made = render(
        out.getvalue(), [Rendition(f"s{side}", side=side, quality=95) for side in (320, 160, 40)]
    )
    for one in made:
        wanted = gradient.resize((one.width, one.height), PIL.Image.Resampling.LANCZOS).tobytes()
        got = opened(one.data).convert("RGB").tobytes()
        assert max(abs(a - b) for a, b in zip(wanted, got, strict=True)) <= 12


def test_transparency() -> None:
    """WebP and PNG keep it, JPEG is laid on white."""
    clear = make(mode="RGBA")
    clear = _saved(PIL.Image.new("RGBA", (20, 20), (200, 0, 0, 0)))
    webp, png, jpeg = render(
        clear,
        [
            Rendition("w", side=10),
            Rendition("p", 10, "image/png"),
            Rendition("j", 10, "image/jpeg"),
        ],
    )
    assert opened(webp.data).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert opened(png.data).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert min(opened(jpeg.data).convert("RGB").getpixel((5, 5))) >= 250  # type: ignore[type-var,arg-type]


def _saved(picture: PIL.Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["image/webp", "image/jpeg", "image/png"])
@pytest.mark.parametrize(
    ("mode", "value", "grey"),
    [
        ("1", 1, 255),
        ("L", 120, 120),
        ("P", 7, None),
        ("LA", (120, 255), 120),
        ("I;16", 120 * 256, 120),
        ("CMYK", (0, 0, 0, 255), 0),
    ],
)
def test_modes(mode: str, value: Any, grey: int | None, kind: str) -> None:
    """Every mode that a decoder gives comes out as the same grey."""
    form = "TIFF" if mode == "CMYK" else "PNG"
    (one,) = render(
        _saved(PIL.Image.new(mode, (30, 20), value), form),
        [Rendition("x", side=12, mime_type=kind)],
    )
    pixel = opened(one.data).convert("L").getpixel((3, 3))
    assert grey is None or abs(pixel - grey) <= 3  # type: ignore[operator]


def test_a_palette_with_transparency() -> None:
    """It stays clear where it was."""
    picture = PIL.Image.new("P", (20, 20), 3)
    picture.putpalette([9] * 768)
    (one,) = render(_saved(picture, transparency=3), [Rendition("x", side=8)])
    assert opened(one.data).convert("RGBA").getpixel((4, 4))[3] == 0  # type: ignore[index]


def test_it_is_turned_as_its_exif_says() -> None:
    """And the mark is gone, so that it is not rotated twice."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    (one,) = render(make("JPEG", (24, 16), exif=exif), [Rendition("x", side=12)])
    assert (one.width, one.height) == (8, 12)
    assert opened(one.data).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kind", ["image/webp", "image/jpeg", "image/png"])
def test_labels_and_colours_are_kept(source: str, kind: str) -> None:
    """Exif and XMP, where laws want the mark of generated content, and the colour profile."""
    exif = PIL.Image.Exif()
    exif[0x010E] = "made by a model"
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    if source == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    else:
        options["xmp"] = XMP
    (one,) = render(make(source, **options), [Rendition("x", side=12, mime_type=kind)])
    got = opened(one.data)
    assert got.getexif()[0x010E] == "made by a model"
    assert got.info["xmp"].strip(b"\0") == XMP
    assert got.info["icc_profile"] == profile


def test_labels_too_long_for_a_jpeg_are_left_out() -> None:
    """They cost no picture."""
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * 100_000)
    (one,) = render(make(pnginfo=info), [Rendition("x", mime_type="image/jpeg")])
    assert opened(one.data).size == (24, 16)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(form: str) -> None:
    """Its colour, and one frame; also where the type would do as it is."""
    for one in render(
        animated(form),
        [Rendition("x", side=12), Rendition("y"), Rendition("z", mime_type="image/png")],
    ):
        picture = opened(one.data)
        assert getattr(picture, "n_frames", 1) == 1
        assert abs(picture.convert("RGB").getpixel((3, 3))[0] - 10) <= 4  # type: ignore[index,operator]


def test_one_that_cannot_be_written_is_no_fault_of_the_others() -> None:
    """
    WebP holds no side of 16384 pixels; the public function says so, the other way gives what can be
    made.
    """
    wide = make(size=(16384, 20))
    made, faults = attempted(wide, [Rendition("full"), Rendition("thumb", side=50)])
    assert [one.rendition.name for one in made] == ["thumb"]
    assert "WebP holds 16383" in faults["full"]
    with pytest.raises(errors.InvalidInputError, match="WebP holds 16383"):
        render(wide, [Rendition("full")])


def test_a_small_file_of_many_pixels_is_refused() -> None:
    """Before it is decoded: nothing that a vendor makes has that many."""
    big = _saved(PIL.Image.new("1", (12000, 12000)))
    assert len(big) < 20_000
    with pytest.raises(errors.InvalidInputError, match="12000x12000 pixels"):
        render(big, [Rendition("x", side=64)])


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_broken_exif_makes_no_broken_picture(form: str) -> None:
    """It is left out."""
    (one,) = render(make(form, exif=b"Exif\0\0garbage"), [Rendition("x", side=12)])
    assert opened(one.data).size == (12, 8)


def test_a_turned_picture_is_made_anew_where_its_type_would_do() -> None:
    """So that all of them stand the same way."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    whole, small = render(
        make("WEBP", (30, 20), exif=exif), [Rendition("x"), Rendition("y", side=15)]
    )
    assert (opened(whole.data).size, opened(small.data).size) == ((20, 30), (10, 15))


def test_profiles_that_do_not_fit_are_left_out() -> None:
    """One of greys in a coloured picture, and one that no PNG could hold."""
    grey = bytearray(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())
    large = bytes(grey) + b"x" * 1_000_001
    grey[16:20] = b"GRAY"
    for profile in (bytes(grey), large):
        (one,) = render(
            make("JPEG", icc_profile=profile), [Rendition("x", side=12, mime_type="image/png")]
        )
        assert "icc_profile" not in opened(one.data).info


def test_a_long_comment_and_sixteen_bits() -> None:
    """What one format holds and the other does not."""
    gif = make("GIF", comment=b"c" * 70_000)
    assert render(gif, [Rendition("x", mime_type="image/jpeg")])
    tiff = io.BytesIO()
    PIL.Image.new("I;16B", (20, 20), 30000).save(tiff, "TIFF")
    (one,) = render(tiff.getvalue(), [Rendition("x", side=10, mime_type="image/png")])
    assert abs(opened(one.data).convert("L").getpixel((2, 2)) - 117) <= 2  # type: ignore[operator]


@pytest.mark.parametrize("data", [b"", b"no picture", make()[:60], make("JPEG", (300, 300))[:400]])
def test_what_is_not_an_image(data: bytes) -> None:
    """An error of ours that says so."""
    with pytest.raises(errors.InvalidInputError, match="the image"):
        render(data, THUMBS)


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a/b"},
        {"name": "x" * 41},
        {"name": 3},
        {"side": 0},
        {"side": True},
        {"side": 1.5},
        {"side": 20_000},
        {"mime_type": "image/gif"},
        {"quality": 0},
        {"quality": 101},
        {"method": 7},
        {"method": -1},
    ],
    ids=str,
)
def test_bad_renditions(options: dict[str, Any]) -> None:
    """Refused where they are made, with what was wrong."""
    with pytest.raises(errors.ConfigurationError, match="must be"):
        Rendition(**{"name": "x", **options})


@pytest.mark.parametrize("given", ["thumb", [{"name": "x"}], [Rendition("a"), Rendition("a")], 3])
def test_bad_lists(given: Any, tmp_path: Path, sandbox: Sandbox) -> None:
    """Refused when the client is made."""
    with pytest.raises(errors.ConfigurationError, match="rendition"):
        ImageClient(
            "gemini",
            storage=LocalStorage(tmp_path),
            renditions=given,
            **sandbox.image_options("gemini"),
        )


def test_they_need_a_store(sandbox: Sandbox) -> None:
    """Refused when the client is made."""
    with pytest.raises(errors.ConfigurationError, match="pass storage"):
        ImageClient("gemini", renditions=[Rendition("x")], **sandbox.image_options("gemini"))


class Store(LocalStorage):
    """Refuses keys that have this in them."""

    refused = "nothing"

    def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
        if self.refused in key:
            raise RuntimeError("out of order")
        return super().upload_bytes(data, key, content_type=content_type)


SPECS = (Rendition("full"), Rendition("thumb", side=256), Rendition("same", mime_type="image/png"))


def client(sandbox: Sandbox, store: Store, vendor: str = "gemini", **options: Any) -> ImageClient:
    return ImageClient(
        vendor, storage=store, renditions=SPECS, **options, **sandbox.image_options(vendor)
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
def test_each_picture_has_them_beside_it(
    sandbox: Sandbox, store: Store, vendor: str, tmp_path: Path
) -> None:
    """
    Addresses, keys, sizes and types are those of files that are there; a copy that is the picture
    itself is its address.
    """
    with client(sandbox, store, vendor, keep_urls=True) as images:
        result = images.text_to_image(
            "a lake", size="1024x1024", **({"output_format": "png"} if vendor != "gemini" else {})
        )
    key = result.metadata["storage_key"]
    made = result.metadata["renditions"]
    assert list(made) == ["full", "thumb", "same"]
    assert made["thumb"]["key"] == key.removesuffix(".png").removesuffix(".jpg") + ".thumb.webp"
    for name, entry in made.items():
        data = (tmp_path / "store" / entry["key"]).read_bytes()
        assert (len(data), opened(data).size) == (entry["size"], (entry["width"], entry["height"]))
        assert opened(data).get_format_mimetype() == entry["mime_type"]
        assert entry["url"].endswith(entry["key"])
        assert name in ("same", "full") or max(opened(data).size) == 256
    if key.endswith(".png"):
        assert made["same"]["url"] == result.url
    assert {warning["feature"] for warning in result.metadata["warnings"]} <= {"size"}


@pytest.mark.parametrize("refused", [".thumb.", ".webp"])
def test_one_that_fails_is_a_warning(sandbox: Sandbox, store: Store, refused: str) -> None:
    """The picture and the other renditions have their addresses."""
    store.refused = refused
    with client(sandbox, store) as images:
        result = images.text_to_image("a lake")
    assert result.url
    assert "thumb" not in result.metadata["renditions"]
    assert "same" in result.metadata["renditions"]
    assert ("full" in result.metadata["renditions"]) == (refused == ".thumb.")
    assert {warning["feature"] for warning in result.metadata["warnings"]} == {"renditions"}


def test_a_failed_upload_is_finished_with_them(sandbox: Sandbox, store: Store) -> None:
    """``store`` makes them too, and does not pay."""
    store.refused = "aigc"
    with client(sandbox, store) as images:
        with pytest.raises(errors.StorageError) as caught:
            images.text_to_image("a lake")
        store.refused = "nothing"
        result = images.store(caught.value.result)
    assert list(result.metadata["renditions"]) == ["full", "thumb", "same"]


def test_a_picture_found_by_its_key_has_them(sandbox: Sandbox, store: Store) -> None:
    """Looked up in the store; one that is not there is a warning."""
    with client(sandbox, store) as images:
        first = images.text_to_image("a lake", idempotency_key="order-1")
        again = images.text_to_image("a lake", idempotency_key="order-1")
    assert len([one for one in sandbox.requests if "generateContent" in one.path]) == 1
    for name in ("full", "thumb"):
        entry = dict(first.metadata["renditions"][name])
        del entry["width"], entry["height"]
        assert again.metadata["renditions"][name] == entry
    assert [warning["details"].split(":")[0] for warning in again.metadata["warnings"]] in (
        [],
        ["same"],
    )


def test_a_picture_that_is_not_kept_has_none(sandbox: Sandbox, store: Store) -> None:
    """And says why."""
    with client(sandbox, store, "volcengine") as images:
        result = images.text_to_image("a lake", size="2048x2048")
    assert "renditions" not in result.metadata
    assert "keep_urls" in result.metadata["warnings"][-1]["details"]


class Painter(ImageProvider):
    """Gives these bytes, alone or as a group; counts its pictures."""

    name = "painter"

    def __init__(self, *pictures: bytes) -> None:
        self.pictures = pictures
        self.paid = 0

    def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
        self.paid += 1
        return ImageResult.from_bytes(self.pictures[(self.paid - 1) % len(self.pictures)])

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "", **kwargs: Any
    ) -> ImageResult:
        return self.text_to_image(prompt)

    def makes_groups(self, **kwargs: Any) -> bool:
        return kwargs.get("grouped", False)

    def image_group(
        self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any
    ) -> ImageGroup:
        return ImageGroup([self.text_to_image(prompt) for _ in range(n)])


def test_one_that_is_the_picture_itself_is_found_again(store: Store) -> None:
    """Under the picture's own address, in a repeated call too."""
    with ImageClient(
        Painter(make("WEBP")), storage=store, renditions=[Rendition("full"), Rendition("t", side=9)]
    ) as images:
        first = images.text_to_image("x", idempotency_key="k")
        again = images.text_to_image("x", idempotency_key="k")
    assert (
        first.metadata["renditions"]["full"]["url"]
        == again.metadata["renditions"]["full"]["url"]
        == again.url
    )
    assert again.metadata["renditions"]["t"]["url"] == first.metadata["renditions"]["t"]["url"]
    assert again.metadata["warnings"] == []


def test_one_that_failed_is_made_later(store: Store) -> None:
    """
    ``store`` of a stored picture completes it, and the warning goes; of a found one after its bytes
    were fetched.
    """
    painter = Painter(make())
    with ImageClient(painter, storage=store, renditions=[Rendition("t", side=9)]) as images:
        store.refused = ".t."
        result = images.text_to_image("x", idempotency_key="k")
        assert result.metadata["renditions"] == {}
        assert len(result.metadata["warnings"]) == 1
        store.refused = "nothing"
        assert images.store(result) is result
        assert result.metadata["warnings"] == []
        assert result.metadata["renditions"]["t"]["width"] == 9
    assert painter.paid == 1


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("where", [".t.", "picture"])
def test_ctrl_c_loses_no_picture(store: Store, grouped: bool, where: str) -> None:
    """All that was paid for comes out with it, stored or not."""

    class Interrupted(Store):
        seen = 0

        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            self.seen += (".t." in key) == (where == ".t.")
            if self.seen == 2 and (".t." in key) == (where == ".t."):
                raise KeyboardInterrupt
            return super().upload_bytes(data, key, content_type=content_type)

    painter = Painter(*(make(size=(20 + place, 16)) for place in range(4)))
    storage = Interrupted(store.root)
    with (
        ImageClient(painter, storage=storage, renditions=[Rendition("t", side=9)]) as images,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        images.text_to_images("x", n=4, grouped=grouped)
    left = caught.value.result  # type: ignore[attr-defined]
    assert len({picture.data for picture in left.images}) == painter.paid == (4 if grouped else 2)


def test_odd_stores_and_providers(store: Store) -> None:
    """A store with keys of its own, and metadata that are not ours."""

    class Own(Store):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            done = super().upload_bytes(data, key, content_type=content_type)
            return StoredObject(done.url, f"root/{done.key}", done.size, content_type)

    class Odd(Painter):
        def text_to_image(self, prompt: str, *, size: str = "", **kwargs: Any) -> ImageResult:
            result = super().text_to_image(prompt)
            result.metadata |= {"renditions": "mine", "warnings": ["mine"]}
            return result

    with ImageClient(
        Odd(make()), storage=Own(store.root), renditions=[Rendition("t", side=9)]
    ) as images:
        made = images.text_to_image("x").metadata["renditions"]["t"]
    assert made["key"].count("root/") == 1
    assert made["url"].endswith(made["key"].removeprefix("root/"))
