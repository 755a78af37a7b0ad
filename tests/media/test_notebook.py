"""Results in a notebook: readable, bounded, and no HTML but our own."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert set(Tags(text).found) <= {"figure", "img", "figcaption", "em"}
    assert 'src="javascript' not in text


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
