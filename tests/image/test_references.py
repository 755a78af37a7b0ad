"""Reference pictures of every kind and of every malice."""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.image.references import Limits, resolve
from aigc_kit.media import decoding, sniff
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from aigc_kit.transport.download import Fetched
from tests.images import animated, make
from tests.wire import Wire, http

LIMITS = Limits(
    count=3, types=frozenset({"image/png", "image/jpeg", "image/webp"}), what="the test"
)
PNG = make()


def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


def test_every_kind_of_reference(tmp_path: Path) -> None:
    """Address, data URI, bytes, path, PIL picture, earlier result: all become checked bytes."""
    path = tmp_path / "wrong.jpg"
    path.write_bytes(PNG)
    uri = "data:image/JPEG;base64," + base64.b64encode(PNG).decode()
    for given in (
        "https://x.example/a",
        uri,
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        path,
        ImageResult.from_bytes(PNG),
    ):
        (found,) = resolve(given, LIMITS, lambda url: PNG)
        assert (found.data, found.mime_type) == (PNG, "image/png")
    (found,) = resolve(Image.new("RGB", (20, 10)), LIMITS, no_fetch)
    assert sniff.dimensions(found.data) == (20, 10)
    (found,) = resolve(
        ImageResult(url="https://x.example/a"), LIMITS, lambda url: url.encode() and PNG
    )
    assert found.data == PNG


def test_the_type_is_told_from_the_bytes() -> None:
    """A data URI that lies is corrected, in lower case."""
    uri = "data:image/PNG;base64," + base64.b64encode(make("JPEG")).decode()
    (found,) = resolve([uri], LIMITS, no_fetch)
    assert found.data_uri().startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([], "empty"),
        ([PNG] * 4, "takes 3"),
        (5, "list of images"),
        ([None], "NoneType is none of"),
        (["/etc/passwd"], "pathlib.Path"),
        (["file:///etc/passwd"], "not an http"),
        (["data:image/png,abc"], "must be base64"),
        (["data:image/png;base64,!!!"], "not base64"),
        ([b""], "0 bytes"),
        ([b"hello, this is text"], "not an image of a known type"),
        ([b"<svg xmlns='http://www.w3.org/2000/svg'/>"], "not an image"),
        ([Path("/nonexistent/x.png")], "cannot be read"),
        ([Path("/tmp")], "cannot be read"),
        ([Path("a\0b")], "cannot be read"),
        ([ImageResult()], "neither bytes nor a URL"),
        ([PNG[:-20]], "cut"),
        ([make("JPEG", (200, 200))[:-200]], "cut or broken"),
        ([make("WEBP")[:40]], "cut or broken"),
        ([make("GIF")[:30]], "cut or broken"),
        ([PNG[:40] + b"\0" * 50], "cut or broken"),
        ([b"\0\0\0\x18ftypheic" + b"\0" * 100], "convert it to JPEG or PNG"),
        ([b"8BPS\0\1" + b"\0" * 100], "not an image"),
        ([b"SIMPLE  =                    T"], "not an image"),
        ([b"%!PS-Adobe-3.0 EPSF-3.0\n"], "not an image"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_is_refused(given: Any, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A clear error that says which picture and why; here pillow-heif, which reads HEIC, is not
    installed.
    """
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(errors.ReferenceImageError, match=match) as caught:
        resolve(given, LIMITS, no_fetch)
    if isinstance(given, list) and len(given) == 1:
        assert caught.value.index == 0


def test_the_index_says_which() -> None:
    """The second of three."""
    with pytest.raises(errors.ReferenceImageError, match="reference image 1") as caught:
        resolve([PNG, b"x", PNG], LIMITS, no_fetch)
    assert caught.value.index == 1


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(12000, 12000), (60000, 60000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_from_their_header(size: tuple[int, int]) -> None:
    """Before Pillow allocates anything, and without its process-wide warning."""
    with pytest.raises(errors.ReferenceImageError, match="are the limit"):
        resolve(bomb(*size), LIMITS, no_fetch)


def test_a_tiff_bomb_is_refused_from_its_header() -> None:
    """TIFF tells its size in tags."""
    tags = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 50000), (257, 50000))
    )
    data = b"II*\0" + struct.pack("<IH", 8, 2) + tags + b"\0" * 64
    assert sniff.dimensions(data) == (50000, 50000)
    with pytest.raises(errors.ReferenceImageError, match="are the limit"):
        resolve(data, LIMITS, no_fetch)


def test_polyglots_are_what_their_first_bytes_say() -> None:
    """A PNG with HTML behind it is a PNG; HTML with a PNG behind it is nothing."""
    (found,) = resolve(PNG + b"<script>", LIMITS, no_fetch)
    assert found.mime_type == "image/png"
    with pytest.raises(errors.ReferenceImageError):
        resolve(b"<html>" + PNG, LIMITS, no_fetch)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(make("JPEG", mode="CMYK"), id="CMYK"),
        pytest.param(animated("GIF"), id="animated GIF"),
        pytest.param(animated("WEBP"), id="animated WebP"),
        pytest.param(make("GIF", mode="P"), id="palette"),
        pytest.param(make("TIFF", mode="I;16"), id="16 bit"),
        pytest.param(make("AVIF"), id="AVIF"),
        pytest.param(make("BMP"), id="BMP"),
    ],
)
def test_conversions(data: bytes) -> None:
    """What a vendor cannot read becomes a PNG of the first frame."""
    (found,) = resolve(data, LIMITS, no_fetch)
    assert found.mime_type == "image/png"
    assert Image.open(io.BytesIO(found.data)).size == (24, 16)
    assert Image.open(io.BytesIO(found.data)).mode in ("RGB", "RGBA", "L")


def test_conversion_turns_as_exif_says() -> None:
    """The tag is lost with the conversion, so the pixels are turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (found,) = resolve(make("TIFF", exif=exif), LIMITS, no_fetch)
    assert sniff.dimensions(found.data) == (16, 24)


def test_limits_of_sides_ratio_and_bytes() -> None:
    """Each with what the vendor needs."""
    for size, limits, match in (
        ((10, 10), Limits(1, LIMITS.types, min_side=15), "at least 15"),
        ((200, 10), Limits(1, LIMITS.types, max_ratio=16), "up to 16:1"),
        ((100, 100), Limits(1, LIMITS.types, bytes=50), "50 at most"),
        ((100, 100), Limits(1, LIMITS.types, pixels=5000), "5000 in all"),
    ):
        with pytest.raises(errors.ReferenceImageError, match=match):
            resolve(make(size=size), limits, no_fetch)


def test_heic_passes_where_the_vendor_reads_it() -> None:
    """Pillow cannot check it; the vendor can."""
    data = b"\0\0\0\x18ftypheic" + b"\0" * 8 + b"ispe" + struct.pack(">III", 0, 640, 480)
    (found,) = resolve(data, Limits(1, frozenset({"image/heic"})), no_fetch)
    assert found.mime_type == "image/heic"
    assert sniff.dimensions(data) == (640, 480)


def test_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An animation without end is refused."""
    monkeypatch.setattr(decoding, "MAX_FRAMES", 2)
    with pytest.raises(errors.ReferenceImageError, match="more than 2 frames"):
        resolve(animated(), LIMITS, no_fetch)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_dimensions_from_the_header(form: str) -> None:
    """Type and pixels of every format, without decoding; half a header gives none."""
    data = make(form, (33, 21))
    assert sniff.mime_type(data) == f"image/{form.lower()}"
    assert sniff.dimensions(data) == (33, 21)
    assert sniff.is_whole(data)
    for length in range(min(len(data), 60)):
        assert len(sniff.dimensions(data[:length])) == 2


def test_webp_variants() -> None:
    """Lossy, lossless and extended."""
    for options in (
        {"lossless": True},
        {"lossless": False},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
    ):
        assert sniff.dimensions(make("WEBP", (300, 200), "RGB", **options)) == (300, 200)


def test_addresses_are_guarded(sandbox: Sandbox, wire: Wire) -> None:
    """
    A private address is refused before anything is paid, for both vendors; the option allows it.
    """
    wire.script(http(200, PNG))
    address = f"{wire.url}/a.png"
    for vendor in ("gemini", "volcengine"):
        options = sandbox.image_options(vendor)
        with ImageClient(vendor, **options) as images:
            for bad in (
                address,
                "http://169.254.169.254/latest",
                "http://localhost:1/x",
                "https://127.0.0.1/x",
            ):
                with pytest.raises(errors.ReferenceImageError, match="refused") as caught:
                    images.image_to_image("x", reference_images=[bad])
                assert caught.value.index == 0
    assert sandbox.requests == []
    assert wire.requests == []
    with ImageClient(
        "volcengine", allow_private_hosts=True, **sandbox.image_options("volcengine")
    ) as images:
        images.image_to_image("x", reference_images=[address])
    assert sandbox.requests[0].body["image"].startswith("data:image/png;base64,")
    assert b"authorization" not in wire.requests[0].lower()


def test_the_storages_own_address_is_not_guarded(
    sandbox: Sandbox, wire: Wire, tmp_path: Path
) -> None:
    """The user named it; a neighbour port stays forbidden."""
    wire.script(http(200, PNG))
    storage = LocalStorage(tmp_path, base_url=wire.url)
    with ImageClient("gemini", storage=storage, **sandbox.image_options("gemini")) as images:
        images.image_to_image("x", reference_images=[f"{wire.url}/a.png"])
        with pytest.raises(errors.ReferenceImageError, match="refused"):
            images.image_to_image("x", reference_images=[f"{sandbox.url}/a.png"])


# ---- real photos


def grainy(width: int, height: int) -> Image.Image:
    """Small as JPEG or AVIF, large as PNG."""
    sky = Image.linear_gradient("L").resize((width, height))
    noise = [Image.effect_noise((width, height), 40) for _ in range(3)]
    return Image.merge("RGB", [ImageChops.blend(sky, layer, 0.5) for layer in noise])


def as_file(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


TIGHT = Limits(
    3,
    frozenset({"image/png", "image/jpeg", "image/webp"}),
    bytes=400_000,
    shrink=True,
    what="the model",
)


@pytest.mark.parametrize(
    ("form", "options"),
    [("AVIF", {"quality": 40, "speed": 10}), ("JPEG", {"quality": 30}), ("TIFF", {}), ("PNG", {})],
)
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "RGBA"])
def test_what_is_too_large_is_made_smaller(form: str, options: dict[str, Any], mode: str) -> None:
    """And that is told where something was lost."""
    if (mode, form) in {("CMYK", "PNG"), ("CMYK", "AVIF"), ("RGBA", "JPEG")}:
        pytest.skip("there is no such file")
    data = as_file(grainy(1200, 900).convert(mode), form, **options)
    (found,) = resolve(data, TIGHT, no_fetch)
    made = Image.open(io.BytesIO(found.data))
    assert len(found.data) <= TIGHT.bytes
    assert made.width / made.height == pytest.approx(4 / 3, abs=0.01)
    assert found.mime_type == f"image/{str(made.format).lower()}"
    assert bool(found.notes) is (
        made.size != (1200, 900) or len(data) > TIGHT.bytes or form in ("PNG", "TIFF")
    )


def test_an_exact_policy_refuses_instead(sandbox: Sandbox) -> None:
    with ImageClient("gemini", **sandbox.image_options("gemini")) as images:
        large = as_file(grainy(2000, 1800), "PNG")
        with pytest.raises(errors.ReferenceImageError, match="7000000 at most"):
            images.image_to_image("x", reference_images=large, size="1:1", size_policy="exact")
        result = images.image_to_image("x", reference_images=large, size="1:1")
    assert "reference_images" in [entry["feature"] for entry in result.metadata["warnings"]]
    assert sum(request.method == "POST" for request in sandbox.requests) == 1


def test_a_result_can_be_the_next_reference(sandbox: Sandbox) -> None:
    with ImageClient("volcengine", **sandbox.image_options("volcengine")) as images:
        first = ImageResult.from_bytes(as_file(grainy(2200, 2200), "PNG"))
        assert len(first.data) > 10_000_000
        images.image_to_image("x", reference_images=first, size="2K")
    sent = sandbox.requests[0].body["image"]
    assert len(base64.b64decode(sent.partition(",")[2])) <= 10_000_000


def test_more_pixels_than_the_vendor_takes_become_fewer() -> None:
    limits = Limits(1, LIMITS.types, pixels=5000, shrink=True)
    (found,) = resolve(make(size=(200, 100)), limits, no_fetch)
    width, height = sniff.dimensions(found.data)
    assert width * height <= 5000
    assert width == pytest.approx(2 * height, abs=2)


def test_all_together_fit_into_one_request() -> None:
    three = [as_file(grainy(500, 400), "PNG") for _ in range(3)]
    size = sum(map(len, three))
    with pytest.raises(errors.ReferenceImageError, match="together"):
        resolve(three, Limits(3, LIMITS.types, total=size - 1), no_fetch)
    found = resolve(three, Limits(3, LIMITS.types, total=size // 2, shrink=True), no_fetch)
    assert sum(len(one.data) for one in found) <= size // 2


def test_an_mpo_is_sent_as_its_first_jpeg() -> None:
    """https://github.com/python-pillow/Pillow/issues/1138"""
    photo = grainy(400, 300)
    data = as_file(photo, "MPO", save_all=True, append_images=[photo.resize((40, 30))])
    (found,) = resolve(data, LIMITS, no_fetch)
    assert (found.mime_type, data.startswith(found.data), len(found.data) < len(data)) == (
        "image/jpeg",
        True,
        True,
    )


@pytest.mark.parametrize("vendor", ["gemini", "volcengine"])
@pytest.mark.parametrize("form", ["object", "bytes", "path"])
def test_a_photo_is_upright_in_whatever_form_it_comes(
    sandbox: Sandbox, tmp_path: Path, vendor: str, form: str
) -> None:
    """https://github.com/sgl-project/sglang/issues/33449"""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_file(Image.new("RGB", (60, 40), "red"), "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(data)
    given = {"object": Image.open(io.BytesIO(data)), "bytes": data, "path": tmp_path / "a.jpg"}[
        form
    ]
    with ImageClient(vendor, **sandbox.image_options(vendor)) as images:
        images.image_to_image("x", reference_images=given)
    body = sandbox.requests[0].body
    text = (
        body["image"].partition(",")[2]
        if vendor == "volcengine"
        else body["contents"][0]["parts"][1]["inlineData"]["data"]
    )
    sent = Image.open(io.BytesIO(base64.b64decode(text)))
    assert (sent.size, sent.getexif().get(0x0112, 1)) == ((40, 60), 1)


DOWNLOAD = "Error while downloading: https://assets.example.com/a.png, status code: 403"


@pytest.mark.parametrize(
    "message", [DOWNLOAD, "failed to fetch the image", "timeout while accessing image url"]
)
def test_a_reference_that_ark_cannot_fetch_is_sent_inline_once(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """
    Free of charge: a 400 costs nothing. https://github.com/pollinations/pollinations/issues/5143
    """
    refusal = http(
        400, {"error": {"code": "InvalidParameter", "message": message, "param": "image"}}
    )
    wire.script(refusal)
    wire.script(http(200, {"data": [{"url": "https://files.example.com/x.png"}]}))
    fetched: list[str] = []

    def fetch(self: Any, url: str, **_: Any) -> Fetched:
        fetched.append(url)
        return Fetched(PNG, "image/png", url)

    monkeypatch.setattr("aigc_kit.transport.download.Downloader.fetch", fetch)
    with ImageClient("volcengine", api_key="k-123456", base_url=wire.url) as images:
        result = images.image_to_image("x", reference_images="https://assets.example.com/a.png")
    first, second = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in wire.requests)
    assert first["image"] == fetched[0] == "https://assets.example.com/a.png"
    assert second["image"].startswith("data:image/png")
    assert "reference_images" in [entry["feature"] for entry in result.metadata["warnings"]]
    assert result.metadata["attempts"][0]["requests"] == 2


def test_a_400_for_another_reason_is_not_sent_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.script(
        http(
            400,
            {
                "error": {
                    "code": "InvalidParameter",
                    "message": "The parameter `prompt` is too long.",
                }
            },
        )
    )
    with (
        ImageClient("volcengine", api_key="k-123456", base_url=wire.url) as images,
        pytest.raises(errors.BadRequestError),
    ):
        images.image_to_image("x", reference_images="https://assets.example.com/a.png")
    assert len(wire.requests) == 1


def test_inline_references_are_fetched_here(wire: Wire, sandbox: Sandbox) -> None:
    wire.script(http(200, PNG))
    options = sandbox.image_options("volcengine")
    with ImageClient(
        "volcengine", inline_references=True, allow_private_hosts=True, **options
    ) as images:
        images.image_to_image("x", reference_images=f"{wire.url}/a.png")
    assert sandbox.requests[0].body["image"].startswith("data:")


def test_a_transparent_image_of_many_pixels_is_written_small() -> None:
    """As a mask from Pillow is: a vendor without WebP gets the PNG."""
    mask = Image.new("RGBA", (6000, 4000), (0, 0, 0, 255))
    limits = Limits(count=1, types=("image/png",), bytes=4_000_000, pixels=36_000_000, what="m")
    (found,) = resolve([mask], limits, lambda url: b"", is_public=lambda url: False)
    assert found.mime_type == "image/png"
    assert len(found.data) < 4_000_000
