"""aigc-kit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from subjects.world import (
    ARK_MODEL,
    BEDROCK_MODEL,
    BUCKET,
    GEMINI_MODEL,
    GEMINI_PICTURE_MODEL,
    KEY,
    PROMPT,
    REGION,
    SIDES,
    World,
    for_each_vendor,
    photo,
)


def _client(vendor: str, world: World) -> Any:
    from aigc_kit import ChatClient

    if vendor == "openai":
        return ChatClient("openai", api_key=KEY, base_url=f"{world.http}/v1", model="gpt-6-luna")
    if vendor == "gemini":
        return ChatClient("gemini", api_key=KEY, base_url=world.http, model=GEMINI_MODEL)
    return ChatClient(
        "bedrock",
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        region=REGION,
        base_url=world.http,
        model=BEDROCK_MODEL,
    )


def _call(vendor: str, world: World) -> Callable[[], str]:
    client, messages, tools = (
        _client(vendor, world),
        world.conversation(),
        world.openai_tools() or None,
    )

    def call() -> str:
        result = client.chat(messages, tools=tools)
        assert result.finish_reason == "stop"
        assert result.usage.total_tokens == 29
        return result.content

    return call


def _stream(vendor: str, world: World) -> Callable[[], Iterator[str]]:
    client, messages, tools = (
        _client(vendor, world),
        world.conversation(),
        world.openai_tools() or None,
    )

    def stream() -> Iterator[str]:
        with client.chat_stream(messages, tools=tools) as chunks:
            for chunk in chunks:
                yield chunk.delta_content
                for call in chunk.tool_calls:
                    yield call.arguments
            assert chunks.result.usage.prompt_tokens == 19

    return stream


openai_call, gemini_call, bedrock_call = for_each_vendor(_call)
openai_stream, gemini_stream, bedrock_stream = for_each_vendor(_stream)


def openai_embed(world: World) -> Callable[[], str]:
    from aigc_kit import EmbeddingClient

    client = EmbeddingClient(
        "openai",
        api_key=KEY,
        base_url=f"{world.http}/v1",
        model="text-embedding-3-small",
        encoding_format="base64",  # as to OpenAI's own host, and as the SDK does anywhere
    )
    texts = [f"text number {number}" for number in range(200)]

    def embed() -> str:
        result = client.embed(texts)
        return f"{len(result.vectors)} {result.dimensions} {result.usage.total_tokens}"

    return embed


def gemini_picture(world: World) -> Callable[[], bytes]:
    from aigc_kit import ImageClient

    client = ImageClient("gemini", api_key=KEY, base_url=world.http, model=GEMINI_PICTURE_MODEL)
    return lambda: client.text_to_image(PROMPT).data


def _storage(world: World) -> Any:
    from aigc_kit.storage import S3Storage

    return S3Storage(
        BUCKET, endpoint_url=world.https, region=REGION, access_key_id=KEY, secret_access_key=KEY
    )


def gemini_picture_stored(world: World) -> Callable[[], bytes]:
    from aigc_kit import ImageClient

    client = ImageClient(
        "gemini",
        api_key=KEY,
        base_url=world.http,
        model=GEMINI_PICTURE_MODEL,
        storage=_storage(world),
    )

    def draw() -> bytes:
        result = client.text_to_image(PROMPT)
        assert result.url.startswith(world.https)
        return result.data

    return draw


def gemini_references(world: World) -> Callable[[], bytes]:
    from upstream import noise

    from aigc_kit import ImageClient

    client = ImageClient("gemini", api_key=KEY, base_url=world.http, model=GEMINI_PICTURE_MODEL)
    references = [noise(300)] * world.references
    return lambda: client.image_to_image(PROMPT, reference_images=references).data


def _ark(world: World, **options: Any) -> Any:
    from aigc_kit import ImageClient

    return ImageClient(
        "volcengine", api_key=KEY, base_url=f"{world.http}/api/v3", model=ARK_MODEL, **options
    )


def ark_picture(world: World) -> Callable[[], bytes]:
    client = _ark(world)
    return lambda: client.text_to_image(PROMPT, size="2048x2048").download()


def ark_picture_kept(world: World) -> Callable[[], bytes]:
    """In a store that costs nothing."""
    from aigc_kit.storage import Storage, StoredObject

    class Memory(Storage):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            return StoredObject(f"memory:{key}", key, len(data), content_type)

        def exists(self, key: str) -> StoredObject | None:
            return None

    client = _ark(world, storage=Memory(), keep_urls=True)
    return lambda: client.text_to_image(PROMPT, size="2048x2048").data


def _renditions(data: bytes) -> Callable[[], str]:
    from aigc_kit.image import Rendition, render

    wanted = [Rendition("full"), *(Rendition(f"side-{side}", side=side) for side in SIDES)]
    return lambda: " ".join(
        f"{made.width}x{made.height}" for made in render(data, wanted) if made.data[:4] == b"RIFF"
    )


def renditions_photo(world: World) -> Callable[[], str]:
    return _renditions(photo())


def renditions_noise(world: World) -> Callable[[], str]:
    from upstream import noise

    return _renditions(noise(2048))
