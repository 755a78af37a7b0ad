"""
Images and files as parts of messages, SDK objects and results as messages, images in answers; on
three dialects.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage
from PIL import Image
from pydantic import BaseModel

from aigc_kit import ImageResult, errors
from tests.vendor import (
    ASK,
    IMAGE_PART,
    PNG,
    PNG_BASE64,
    TOOLS,
    USAGE_CHUNK,
    Vendor,
    ask,
    block_delta,
    block_start,
    block_stop,
    completion,
    converse_response,
    converse_stream,
    delta,
    events,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    refused,
    sent_blocks,
    sent_parts,
    tool_call,
    tool_result,
    unless_refused,
)

DIALECTS = ["openai_compat", "gemini", "bedrock"]
PLAIN = {
    "openai_compat": completion("ok"),
    "gemini": gemini_response("ok"),
    "bedrock": converse_response("ok"),
}
PDF = b"%PDF-1.4 text"


def media(dialect: str, body: dict[str, Any]) -> list[bytes]:
    """The bytes of every image and file in a request."""
    if dialect == "gemini":
        inline = [part["inlineData"]["data"] for part in sent_parts(body) if "inlineData" in part]
        return [base64.b64decode(data) for data in inline]
    if dialect == "bedrock":
        blocks = [block.get("image") or block.get("document") for block in sent_blocks(body)]
        return [base64.b64decode(block["source"]["bytes"]) for block in blocks if block]
    parts = [
        part
        for each in body["messages"]
        if isinstance(each["content"], list)
        for part in each["content"]
    ]
    urls = [
        part.get("image_url", {}).get("url") or part.get("file", {}).get("file_data")
        for part in parts
    ]
    return [base64.b64decode(url.partition(",")[2]) for url in urls if url]


def sent(dialect: str, content: Any) -> list[bytes]:
    with Vendor(PLAIN[dialect]) as vendor:
        vendor.client(dialect).chat([{"role": "user", "content": content}])
        return media(dialect, vendor.body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.pdf").write_bytes(PDF)
    return tmp_path


# ---- what may be a part


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["bytes", "bytearray", "path", "result"])
@pytest.mark.parametrize("place", ["content", "a part", "an image_url", "its url"])
def test_an_image_of_any_kind_is_sent_with_its_bytes(
    dialect: str, kind: str, place: str, folder: Path
) -> None:
    value = {
        "bytes": PNG,
        "bytearray": bytearray(PNG),
        "path": folder / "a.png",
        "result": ImageResult.from_bytes(PNG),
    }[kind]
    contents = {
        "content": value,
        "a part": [{"type": "text", "text": "what is it?"}, value],
        "an image_url": [{"type": "image_url", "image_url": value}],
        "its url": [{"type": "image_url", "image_url": {"url": value}}],
    }
    assert sent(dialect, contents[place]) == [PNG]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_pdf_is_sent_as_a_file(dialect: str, folder: Path) -> None:
    given = [{"type": "text", "text": "read"}, folder / "a.pdf", PDF]
    assert sent(dialect, given) == [PDF, PDF]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "LA"])
def test_a_pil_image_of_any_mode_is_sent_as_a_png_of_its_size(dialect: str, mode: str) -> None:
    (data,) = sent(dialect, Image.new(mode, (3, 2)))
    with Image.open(io.BytesIO(data)) as found:
        assert (found.format, found.size) == ("PNG", (3, 2))


def test_a_pil_photo_that_lies_on_its_side_is_sent_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif)
    with Image.open(buffer) as photo:
        (data,) = sent("openai_compat", photo)
        assert photo.size == (40, 20)  # the caller's own is as it was
    with Image.open(io.BytesIO(data)) as found:
        assert found.size == (20, 40)


def test_a_pil_image_that_cannot_be_read_is_refused() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
    cut = Image.open(io.BytesIO(buffer.getvalue()[:600]))
    with Vendor(completion("ok")) as vendor:
        assert refused(
            unless_refused(lambda: vendor.client().chat([{"role": "user", "content": cut}])), vendor
        )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "content",
    [
        b"no image",
        [b""],
        Path("/nowhere/a.png"),
        ImageResult(),
        5,
        [{"text": "no type"}],
        [None],
        {"a": 1},
    ],
    ids=str,
)
def test_what_is_no_content_is_refused_with_its_place(dialect: str, content: Any) -> None:
    with Vendor(PLAIN[dialect]) as vendor:
        result = unless_refused(
            lambda: vendor.client(dialect).chat([*ASK, {"role": "user", "content": content}])
        )
    assert refused(result, vendor)
    assert "message 1" in str(result)


# ---- objects as messages


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_message_of_the_openai_sdk_is_sent_like_its_dict(dialect: str) -> None:
    plain = {"role": "assistant", "content": None, "tool_calls": [tool_call()]}
    with Vendor(PLAIN[dialect]) as vendor:
        for message in (plain, ChatCompletionMessage.model_validate(plain)):
            result = vendor.client(dialect).chat(
                [*ASK, message, tool_result("call_1")], tools=TOOLS
            )
            assert result.warnings == []
        one, other = vendor.bodies
    assert one == other


class Note(BaseModel):
    role: str = "user"
    content: str = "hello"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_and_models_are_messages_and_stay_what_they_are(dialect: str) -> None:
    with Vendor(PLAIN[dialect]) as vendor:
        client = vendor.client(dialect)
        result = client.chat([Note()])
        history = [Note(), result, Note(content="more")]
        client.chat(history)
        objects = vendor.body
        client.chat([*ASK, result.message, {"role": "user", "content": "more"}])
        assert vendor.body == objects
    assert history[1] is result


@pytest.mark.parametrize(
    "message", [5, None, "hello", Note, object(), {"content": "x"}, Note(role="robot")]
)
def test_what_is_no_message_is_refused_with_its_place(message: Any) -> None:
    with (
        Vendor(completion("ok")) as vendor,
        pytest.raises(errors.InvalidInputError, match="message 1"),
    ):
        vendor.client().chat([*ASK, message])


# ---- images in answers

DRAWN = {
    ("openai_compat", False): completion("here", images=[IMAGE_PART]),
    ("openai_compat", True): events(
        delta(content="here"), delta("stop", images=[IMAGE_PART]), USAGE_CHUNK
    ),
    ("gemini", False): gemini_response(
        "here", {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}
    ),
    ("gemini", True): gemini_stream(
        gemini_chunk("here"),
        gemini_chunk({"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}, reason="STOP"),
    ),
    ("bedrock", False): converse_response(
        "here", {"image": {"format": "png", "source": {"bytes": PNG_BASE64}}}
    ),
    ("bedrock", True): converse_stream(
        block_delta(0, text="here"),
        block_stop(0),
        block_start(1, image={"format": "png"}),
        block_delta(1, image={"source": {"bytes": PNG_BASE64}}),
        block_stop(1),
    ),
}


@pytest.mark.parametrize(("dialect", "stream"), DRAWN, ids=str)
def test_an_image_in_an_answer_is_in_the_result_and_goes_back_with_its_message(
    dialect: str, stream: bool
) -> None:
    with Vendor(DRAWN[dialect, stream], PLAIN[dialect]) as vendor:
        client = vendor.client(dialect)
        result = ask(client, stream=stream)
        assert (result.content, [image.data for image in result.images]) == ("here", [PNG])
        assert (result.images[0].mime_type, result.images[0].provider) == ("image/png", dialect)
        client.chat(
            [
                *ASK,
                json.loads(json.dumps(result.message)),
                {"role": "user", "content": "make it blue"},
            ]
        )
        assert media(dialect, vendor.body) == [PNG]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_chunk_of_an_image_has_it_once(dialect: str) -> None:
    with Vendor(DRAWN[dialect, True]) as vendor, vendor.client(dialect).chat_stream(ASK) as stream:
        found = [image for chunk in stream for image in chunk.images]
        assert found == stream.result.images
    assert [image.data for image in found] == [PNG]
