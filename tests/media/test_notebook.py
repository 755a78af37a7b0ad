"""Results in a notebook: readable, bounded, and no HTML but our own."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aigc_kit import ChatResult, ImageResult
from aigc_kit.chat.base import ToolCall
from aigc_kit.errors import ContentFilterError
from aigc_kit.image import ImageGroup
from aigc_kit.media.notebook import without_html
from tests.images import make

EVIL = "\"'><script>alert(1)</script>"


class Tags(HTMLParser):
    """The tags of a text, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


def image(**options: Any) -> ImageResult:
    known = {"model": "m", "width": 900, "height": 600}
    return ImageResult.from_bytes(make(size=(900, 600)), provider="p", metadata=known | options)


def test_an_image_is_a_small_preview_with_its_facts() -> None:
    text = image(warnings=[{"feature": "size", "details": "changed"}])._repr_html_()
    assert 'src="data:image/webp;base64,' in text
    assert "p · m · 900 x 600" in text
    assert "size: changed" in text
    assert len(text) < 100_000


def test_bytes_that_are_no_image_are_said_so() -> None:
    assert "no image" in ImageResult.from_bytes(b"nothing", metadata={})._repr_html_()


@pytest.mark.parametrize("url", ["javascript:alert(1)", f"https://x.example/{EVIL}", f"x{EVIL}"])
def test_a_url_brings_no_tags(url: str) -> None:
    text = ImageResult(url=url, provider=EVIL, metadata={"model": EVIL})._repr_html_()
    assert set(Tags(text).found) <= {"figure", "a", "figcaption", "em"}
    assert '="javascript' not in text


def test_a_url_is_a_link_and_is_not_fetched_by_the_page() -> None:
    text = ImageResult(url="https://assets.example.com/cat.png")._repr_html_()
    assert '<a href="https://assets.example.com/cat.png" target="_blank" rel="noopener' in text
    assert "img" not in Tags(text).found


@pytest.mark.parametrize(
    "url",
    [
        "https://ark.example.com/cat.png?X-Tos-Signature=5ec7e7",
        "https://me:5ec7e7@example.com/cat.png",
        "https://example.com/cat.png?5ec7e7#top",
        "http://[5ec7e7?5ec7e7",
    ],
)
def test_a_signature_is_not_saved_in_the_notebook(url: str) -> None:
    assert "5ec7e7" not in ImageResult(url=url)._repr_html_().replace("http://[5ec7e7", "")


@pytest.mark.parametrize(
    "result",
    [
        ImageResult(base64="%%%", url="https://example.com/a.png"),
        ImageResult.from_bytes(make()[:100]),
        ImageResult.from_bytes(make(), metadata={"width": 9, "warnings": 5, "model": ["m"]}),
        ImageResult.from_bytes(make(), metadata={"warnings": [3, {"feature": None}]}),
    ],
)
def test_what_is_odd_is_displayed_all_the_same(result: ImageResult) -> None:
    assert result._repr_html_().startswith("<figure")


@pytest.mark.parametrize("mode", ["P", "LA", "I;16", "CMYK", "1"])
def test_every_kind_of_pixels_has_a_small_preview(mode: str) -> None:
    out = io.BytesIO()
    noise = Image.effect_noise((900, 700), 120).convert("L")
    form = "TIFF" if mode == "CMYK" else "PNG"
    options = {"transparency": 0} if mode == "P" else {}
    noise.convert(mode).save(out, form, **options)
    text = ImageResult.from_bytes(out.getvalue())._repr_html_()
    [data] = re.findall('base64,([^"]+)', text)
    assert len(data) <= 134_000
    preview = Image.open(io.BytesIO(base64.b64decode(data)))
    assert max(preview.size) in (256, 512)
    assert (preview.mode == "RGBA") == (mode == "P")


def test_a_preview_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (400, 200), "red").save(out, "JPEG", exif=exif)
    [data] = re.findall('base64,([^"]+)', ImageResult.from_bytes(out.getvalue())._repr_html_())
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (200, 400)


def test_a_group_shows_its_images_and_its_errors() -> None:
    text = ImageGroup([image(), image()], [ContentFilterError(EVIL, reason="r")])._repr_html_()
    assert Tags(text).found.count("img") == 2
    assert "ContentFilterError" in text
    assert "script" not in Tags(text).found


def test_an_answer_is_markdown_with_folded_reasoning_and_its_calls() -> None:
    call = ToolCall("c", "get_weather", '{"city": "`x`"}')
    result = ChatResult(content="**bold**", reasoning_content=f"hm {EVIL}", tool_calls=[call])
    text = result._repr_markdown_()
    assert "**bold**" in text
    assert '- `get_weather({"city": "\'x\'"})`' in text
    assert set(Tags(text).found) == {"details", "summary"}


def test_code_of_an_answer_stays_as_it_is() -> None:
    text = "see `a < b` and\n```html\n<b>bold</b>\n```\nthen <b>not</b> and 1 < 2"
    assert without_html(text) == text.replace("<b>not</b>", "&lt;b>not&lt;/b>")


@given(st.text())
def test_no_tag_outside_of_code_survives(text: str) -> None:
    outside = text.replace("`", "")
    assert Tags(without_html(outside)).found == []
