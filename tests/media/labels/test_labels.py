"""Labels in files: written without touching the image, read back by us and by exiftool."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw
from PIL.PngImagePlugin import PngInfo

from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image import ContentLabel, label_image, read_labels
from aigc_kit.media.labels import xmp
from aigc_kit.media.labels.containers import pieces, with_xmp, xmp_of
from aigc_kit.media.labels.mark import SHARE
from tests.images import make

EXIFTOOL = shutil.which("exiftool")
needs_exiftool = pytest.mark.skipif(
    EXIFTOOL is None, reason="needs exiftool: apt-get install libimage-exiftool-perl"
)
LABEL = ContentLabel(producer="示例公司", produce_id="req-1")
FIELDS = {
    "Label": "1",
    "ContentProducer": "示例公司",
    "ProduceID": "req-1",
    "ReservedCode1": "",
    "ContentPropagator": "",
    "PropagateID": "",
    "ReservedCode2": "",
}
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"><photoshop:Credit>Made with Google AI'
    "</photoshop:Credit></rdf:Description></rdf:RDF></x:xmpmeta>"
    + " " * 2000
    + '<?xpacket end="w"?>'
)


def image(form: str, **options: Any) -> bytes:
    """One with detail, so that encoding it again would show."""
    picture = Image.effect_noise((120, 90), 60).convert(options.pop("mode", "RGB"))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    return exif.tobytes()


FILES = {
    "png": lambda: image("PNG"),
    "transparent png": lambda: image("PNG", mode="RGBA"),
    "palette png": lambda: image("PNG", mode="P"),
    "jpeg": lambda: image("JPEG"),
    "progressive jpeg": lambda: image("JPEG", progressive=True),
    "jpeg with exif": lambda: image("JPEG", exif=_exif()),
    "webp": lambda: image("WEBP"),
    "lossless webp": lambda: image("WEBP", lossless=True),
    "transparent webp": lambda: image("WEBP", mode="RGBA", lossless=True),
    "webp with xmp": lambda: image("WEBP", xmp=PACKET.encode()),
    "jpeg with xmp": lambda: image("JPEG", xmp=PACKET.encode()),
    "png with xmp": lambda: with_xmp(image("PNG"), PACKET),
}


def pixels(data: bytes) -> bytes:
    opened = Image.open(io.BytesIO(data))
    opened.load()
    return opened.convert("RGBA").tobytes()


@pytest.mark.parametrize("name", FILES)
def test_the_implicit_label_is_written_and_read(name: str) -> None:
    """The image itself stays byte for byte, and what was in its XMP too."""
    data = FILES[name]()
    made = label_image(data, LABEL)
    assert made.aigc == FIELDS
    labels = read_labels(made.data)
    assert (labels.aigc, labels.form) == (FIELDS, "xmp")
    assert labels.source_type == xmp.GENERATED
    assert pixels(made.data) == pixels(data)
    if "xmp" in name:
        assert "Made with Google AI" in xmp_of(made.data)
    again = label_image(made.data, LABEL)
    assert again.data == made.data
    assert xmp_of(again.data).count("AIGC>") == 2


@needs_exiftool
@pytest.mark.parametrize("name", FILES)
def test_another_reader_finds_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(label_image(FILES[name](), LABEL).data)
    done = subprocess.run(
        [str(EXIFTOOL), "-j", "-G1", "-validate", "-warning", "-XMP:all", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    (told,) = json.loads(done.stdout)
    by_name = {key.rpartition(":")[2].lower(): value for key, value in told.items()}
    value = by_name["aigc"]
    assert (json.loads(value) if isinstance(value, str) else value) == FIELDS
    assert by_name["digitalsourcetype"] in (xmp.GENERATED, "Trained Algorithmic Media")
    if "xmp" in name:
        assert by_name["credit"] == "Made with Google AI"


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
@pytest.mark.parametrize("size", [(300, 200), (1024, 1536), (90, 700)])
def test_the_visible_label(form: str, kind: str, size: tuple[int, int]) -> None:
    """In the corner, its letters a twentieth of the shorter side high, and the file labelled."""
    plain = io.BytesIO()
    Image.new("RGB", size, (90, 120, 150)).save(plain, form)
    made = label_image(plain.getvalue(), ContentLabel(producer="p", produce_id="1", visible=True))
    assert read_labels(made.data).aigc["ContentProducer"] == "p"
    drawn = Image.open(io.BytesIO(made.data)).convert("RGB")
    before = Image.open(io.BytesIO(plain.getvalue())).convert("RGB")
    assert drawn.size == size
    white = [
        (x, y)
        for x in range(size[0])
        for y in range(size[1])
        if min(drawn.getpixel((x, y))) > 200  # type: ignore[arg-type, type-var]
    ]
    xs, ys = [x for x, _ in white], [y for _, y in white]
    assert max(ys) - min(ys) + 1 >= SHARE * min(size) * 0.95
    assert min(xs) > 0.4 * size[0] or size[0] < 100
    assert min(ys) > 0.5 * size[1]
    corner = (2, 2, size[0] // 3, size[1] // 3)
    if form == "PNG":
        assert drawn.crop(corner).tobytes() == before.crop(corner).tobytes()


def test_corners_and_texts() -> None:
    data = io.BytesIO()
    Image.new("RGB", (400, 400), (0, 0, 90)).save(data, "PNG")
    for corner in ("bottom right", "bottom left", "top right", "top left"):
        label = ContentLabel(producer="p", visible="人工智能生成", corner=corner)  # type: ignore[arg-type]
        drawn = Image.open(io.BytesIO(label_image(data.getvalue(), label).data)).convert("L")
        box = drawn.point(lambda value: 255 if value > 150 else 0).getbbox()
        assert box is not None
        assert (box[0] > 150) is ("right" in corner)
        assert (box[1] > 200) is ("bottom" in corner)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"producer": ""}, "producer must be"),
        ({"producer": "p", "visible": "made by a machine"}, "AI or 人工智能"),
        ({"producer": "p", "visible": "AI"}, "AI or 人工智能"),
        ({"producer": "p", "corner": "middle"}, "corner must be one of"),
        ({"producer": "p", "kind": "maybe"}, "kind must be one of"),
        ({"producer": "p\n"}, "printable"),
        ({"producer": "p", "produce_id": 5}, "produce_id must be a text"),
    ],
)
def test_a_label_that_makes_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ContentLabel(**options)


def test_another_producers_label_is_kept() -> None:
    """The service that publishes it stands in the label's second half."""
    theirs = label_image(image("PNG"), ContentLabel(producer="doubao", produce_id="d-1")).data
    made = label_image(theirs, LABEL)
    assert made.aigc["ContentProducer"] == "doubao"
    assert made.aigc["ProduceID"] == "d-1"
    assert made.aigc["ContentPropagator"] == "示例公司"
    assert made.aigc["PropagateID"] == "req-1"
    assert "'doubao'" in made.warnings[0]


JSON_TEXT = '{"Label":"1","ContentProducer":"doubao","ProduceID":"x"}'


def _png_text() -> bytes:
    info = PngInfo()
    info.add_text("AIGC", JSON_TEXT)
    return image("PNG", pnginfo=info)


def _attribute() -> bytes:
    about = f"TC260:AIGC='{JSON_TEXT}' xmlns:TC260='{xmp.NAMESPACE}'"
    text = PACKET.replace('rdf:about=""', f'rdf:about="" {about}')
    return with_xmp(image("PNG"), text)


def _user_comment() -> bytes:
    body = b"ASCII\0\0\0" + json.dumps({"AIGC": json.loads(JSON_TEXT)}).encode()
    entry = struct.pack("<HHII", 0x9286, 7, len(body), 44)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1)
    exif += struct.pack("<HHII", 0x8769, 4, 1, 26) + b"\0\0\0\0"
    exif += struct.pack("<H", 1) + entry + b"\0\0\0\0" + body
    return image("JPEG", exif=exif)


def _segment() -> bytes:
    data = image("JPEG")
    body = b"AIGC" + JSON_TEXT.encode()
    return data[:2] + b"\xff\xe9" + struct.pack(">H", len(body) + 2) + body + data[2:]


@pytest.mark.parametrize(
    ("made", "form"),
    [
        (_png_text, "png text"),
        (_attribute, "xmp"),
        (_user_comment, "exif"),
        (_segment, "segment"),
    ],
)
def test_the_forms_of_others_are_read(made: Any, form: str) -> None:
    labels = read_labels(made())
    assert labels.aigc["ContentProducer"] == "doubao"
    assert labels.form == form


def signed(form: str) -> bytes:
    """A file with a box where C2PA has its manifest; nobody validates it here."""
    data = image(form)
    if form == "PNG":
        body = b"caBX" + b"jumb"
        chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:33] + chunk + data[33:]
    if form == "JPEG":
        box = b"JP\0\x01\0\0\0\x01" + b"\0\0\0\x10jumb"
        return data[:2] + b"\xff\xeb" + struct.pack(">H", len(box) + 2) + box + data[2:]
    body = data[12:] + b"C2PA" + (4).to_bytes(4, "little") + b"jumb"
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_signature_is_told(form: str) -> None:
    """Its manifest stays in the file, and is not valid any more."""
    data = signed(form)
    assert read_labels(data).c2pa
    made = label_image(data, LABEL)
    assert read_labels(made.data).c2pa
    assert "signature invalid" in made.warnings[0]
    drawn = label_image(data, ContentLabel(producer="p", visible=True))
    assert not read_labels(drawn.data).c2pa
    assert any("removed the manifest" in warning for warning in drawn.warnings)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF"])
def test_types_without_room_become_png(form: str) -> None:
    made = label_image(make(form), LABEL)
    assert read_labels(made.data).aigc == FIELDS
    assert made.data.startswith(b"\x89PNG")
    assert "encoded as PNG" in made.warnings[0]


def test_a_packet_that_is_too_long_for_a_jpeg_gives_way() -> None:
    long = PACKET.replace(" " * 2000, "").replace("Made with Google AI", "x" * 64_800)
    made = label_image(image("JPEG", xmp=long.encode()), LABEL)
    assert read_labels(made.data).aigc == FIELDS
    assert any("no room" in warning for warning in made.warnings)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_damaged_files_raise_nothing_else(form: str) -> None:
    """Cut and changed at random places: a label or a typed error, and a reader that never fails."""
    chance = random.Random(5)
    whole = label_image(image(form), LABEL).data
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(2, len(data))] = chance.randrange(256)
        data = data[: chance.randint(4, len(data))]
        read_labels(bytes(data))
        list(pieces(bytes(data), "image/png"))
        try:
            made = label_image(bytes(data), LABEL)
        except InvalidInputError:
            continue
        assert read_labels(made.data).aigc["ProduceID"]


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "not xml",
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/></x:xmpmeta>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        PACKET + "\0\0",
        PACKET.replace("rdf:", "r:").replace("xmlns:rdf", "xmlns:r"),
    ],
)
def test_packets_of_any_kind(packet: str) -> None:
    made = xmp.packet(FIELDS, packet)
    assert json.loads(xmp.label_in(made)) == FIELDS
    if "Google" in packet:
        assert "Made with Google AI" in made


def test_the_mark_is_seen_on_white_and_on_black() -> None:
    for shade in (0, 255):
        page = Image.new("RGB", (500, 500), (shade,) * 3)
        ImageDraw.Draw(page)
        out = io.BytesIO()
        page.save(out, "PNG")
        drawn = label_image(out.getvalue(), ContentLabel(producer="p", visible=True)).data
        low, high = Image.open(io.BytesIO(drawn)).convert("L").getextrema()
        assert high - low > 80  # type: ignore[operator]


LONG = "本图片由人工智能（AI）大模型自动生成，仅供参考，请注意甄别真伪"


def changed(data: bytes, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where something was drawn on a gray image."""
    drawn = Image.open(io.BytesIO(data)).convert("RGB")
    box = ImageChops.difference(drawn, Image.new("RGB", size, (90, 120, 60))).getbbox()
    assert box is not None
    return box


def gray(size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (90, 120, 60)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("size", [(1024, 1024), (576, 1024), (1024, 576)])
@pytest.mark.parametrize("corner", ["bottom right", "top left"])
def test_a_long_text_is_broken_into_lines(size: tuple[int, int], corner: Any) -> None:
    label = ContentLabel(producer="x", visible=LONG, corner=corner)
    left, top, right, bottom = changed(label_image(gray(size), label).data, size)
    assert min(left, top, size[0] - right, size[1] - bottom) > 0


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="too small for the visible label"):
        label_image(gray((64, 20)), ContentLabel(producer="x", visible=LONG))


@pytest.mark.parametrize("text", ["AI-生成", "AI·生成", "AI 一键生成", "AI生成。"])
def test_flat_letters_do_not_make_the_text_large(text: str) -> None:
    size = (1024, 1024)
    plain = changed(label_image(gray(size), ContentLabel(producer="x", visible=True)).data, size)
    box = changed(label_image(gray(size), ContentLabel(producer="x", visible=text)).data, size)
    assert box[3] - box[1] < 1.3 * (plain[3] - plain[1])


def animated(form: str) -> bytes:
    first, out = Image.effect_noise((320, 240), 60).convert("RGB"), io.BytesIO()
    first.save(out, form, save_all=True, append_images=[first.rotate(90)])
    return out.getvalue()


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_a_visible_label_does_not_end_an_animation(form: str) -> None:
    with pytest.raises(InvalidInputError, match="is animated"):
        label_image(animated(form), ContentLabel(producer="x", visible=True))
    made = label_image(animated(form), ContentLabel(producer="x"))
    assert Image.open(io.BytesIO(made.data)).n_frames == 2
    assert made.warnings == []


def test_frames_that_are_lost_are_told() -> None:
    made = label_image(animated("GIF"), ContentLabel(producer="x"))
    assert "1 frames behind the first are gone" in made.warnings[0]


@pytest.mark.parametrize("prefix", ["tc-260", "tc.260", "_x"])
def test_a_label_under_another_prefix_gives_way(prefix: str) -> None:
    value = '{"Label":"1","ContentProducer":"Doubao"}'
    packet = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF"
        " xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        f"<rdf:Description rdf:about='' xmlns:{prefix}='{xmp.NAMESPACE}'>"
        f"<{prefix}:AIGC>{value}</{prefix}:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "JPEG", xmp=packet.encode())
    made = label_image(out.getvalue(), ContentLabel(producer="x"))
    assert read_labels(made.data).aigc == made.aigc
    assert made.aigc["ContentProducer"] == "Doubao"
