"""An application's own provider gets its options and headers as they were written, also after pickling."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ChatClient, ChatProvider, ChatResult, ImageClient, ImageProvider, ImageResult
from aigc_kit.chat import register_provider as register_chat
from aigc_kit.image import ImageGroup
from aigc_kit.image import register_provider as register_image
from aigc_kit.storage import LocalStorage
from tests.images import make

SEEN: list[dict[str, Any]] = []
OPTIONS: dict[str, Any] = {
    "api_key": "text-key",
    "token": "t",
    "credentials": {"private_key": "p"},
    "settings": {"api_key": "inner"},
    "keys": ["a", "b"],
}
HEADERS = {"Authorization": "Bearer x", "X-Plain": "y"}


class Painter(ImageProvider):
    name = "painter"

    def __init__(self, **options: Any) -> None:
        SEEN.append(options)

    def text_to_image(self, prompt: str, *, size: str = "1x1", **kwargs: Any) -> ImageResult:
        SEEN.append(kwargs)
        return ImageResult(url="https://example.com/a.png")

    def image_to_image(
        self, prompt: str, *, reference_images: Any = None, size: str = "1x1", **kwargs: Any
    ) -> ImageResult:
        SEEN.append(kwargs)
        return ImageResult(url="https://example.com/a.png")


class Talker(ChatProvider):
    name = "talker"

    def __init__(self, **options: Any) -> None:
        SEEN.append({name: value for name, value in options.items() if name in OPTIONS})

    def chat(self, messages: Any, **kwargs: Any) -> ChatResult:
        SEEN.append(kwargs)
        return ChatResult(content="hello", finish_reason="stop")

    def chat_stream(self, messages: Any, **kwargs: Any) -> Iterator[Any]:
        SEEN.append(kwargs)
        return iter(())


@pytest.fixture(autouse=True)
def registered() -> None:
    SEEN.clear()
    register_image("own_painter", Painter)
    register_chat("own_talker", Talker)


def test_an_image_provider_by_name_gets_text() -> None:
    with ImageClient("own_painter", **OPTIONS) as client:
        assert SEEN == [OPTIONS]
        client.text_to_image("x", extra_headers=HEADERS)
        client.image_to_image("x", reference_images=["u"], extra_headers=HEADERS)
        assert [seen["extra_headers"] for seen in SEEN[1:]] == [HEADERS, HEADERS]
        assert "text-key" not in repr(vars(client))
        pickle.loads(pickle.dumps(client)).close()
        assert SEEN[-1] == OPTIONS


def test_an_image_provider_of_a_chain_gets_text() -> None:
    chain: list[Any] = [("own_painter", OPTIONS), ("volcengine", {"api_key": "k"})]
    with ImageClient(chain) as client:
        assert SEEN == [OPTIONS]
        client.text_to_image("x", extra_headers=HEADERS)
        assert SEEN[-1]["extra_headers"] == HEADERS


def test_a_chat_provider_by_name_gets_text() -> None:
    with ChatClient("own_talker", **OPTIONS) as client:
        assert SEEN == [OPTIONS]
        client.chat([{"role": "user", "content": "hi"}], extra_headers=HEADERS)
        assert SEEN[-1]["extra_headers"] == HEADERS
        pickle.loads(pickle.dumps(client)).close()
        assert SEEN[-1] == OPTIONS


PNG = make()
TEXT = base64.b64encode(PNG).decode()


def one(**more: Any) -> ImageResult:
    return ImageResult(base64=TEXT, **more)


@pytest.mark.parametrize(
    ("made", "count"),
    [
        ([one()], 1),
        ((one(), one()), 2),
        (ImageGroup([one(), one()]), 2),
        (PNG, 1),
        (bytearray(PNG), 1),
        (one(metadata=None), 1),
        (one(metadata={"width": "64px"}), 1),
        (one(metadata={"warnings": None}), 1),
        (ImageResult(base64=base64.b64encode(PNG)), 1),  # type: ignore[arg-type]
        (one(url=5), 1),
    ],
)
def test_an_image_in_another_wrapping_is_not_lost(made: Any, count: int, tmp_path: Path) -> None:
    """It is paid for, whatever the application's provider made of it."""

    class Mine(ImageProvider):
        name = "mine"

        def text_to_image(self, prompt: str, *, size: str = "", **options: Any) -> Any:
            return made

        def image_to_image(
            self, prompt: str, *, reference_images: Any, size: str = "", **options: Any
        ) -> Any:
            return made

    options = {"storage": LocalStorage(tmp_path), "spool_dir": tmp_path / "spool"}
    with ImageClient(Mine(), **options) as client:
        result = client.text_to_image("x")
    assert result.data == PNG
    assert result.url
    assert len(result.metadata.get("others", [])) == count - 1
