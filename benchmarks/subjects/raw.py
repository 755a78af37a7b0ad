"""The vendors' own SDKs, as their documentation shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from subjects.world import (
    ARK_MODEL,
    BUCKET,
    GEMINI_MODEL,
    GEMINI_PICTURE_MODEL,
    KEY,
    OPENAI_MODEL,
    PROMPT,
    REGION,
    SIDES,
    World,
    photo,
)


def _openai(world: World) -> tuple[Any, dict[str, Any]]:
    from openai import OpenAI

    request: dict[str, Any] = {"model": OPENAI_MODEL, "messages": world.conversation()}
    if world.tools:
        request["tools"] = world.openai_tools()
    return OpenAI(api_key=KEY, base_url=f"{world.http}/v1"), request


def openai_call(world: World) -> Callable[[], str]:
    client, request = _openai(world)

    def call() -> str:
        reply = client.chat.completions.create(**request)
        choice = reply.choices[0]
        assert choice.finish_reason == "stop"
        assert not choice.message.tool_calls
        assert reply.usage.total_tokens == 29
        return choice.message.content or ""

    return call


def openai_embed(world: World) -> Callable[[], str]:
    from openai import OpenAI

    client = OpenAI(api_key=KEY, base_url=f"{world.http}/v1")
    texts = [f"text number {number}" for number in range(200)]

    def embed() -> str:
        reply = client.embeddings.create(model="text-embedding-3-small", input=texts)
        vectors = [entry.embedding for entry in reply.data]
        return f"{len(vectors)} {len(vectors[-1])} {reply.usage.total_tokens}"

    return embed


def openai_stream(world: World) -> Callable[[], Iterator[str]]:
    client, request = _openai(world)

    def stream() -> Iterator[str]:
        usage = None
        with client.chat.completions.create(
            **request, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            for chunk in chunks:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    yield choice.delta.content or ""
                    for call in choice.delta.tool_calls or ():
                        yield call.function.arguments or ""
        assert usage.prompt_tokens == 19

    return stream


def _gemini(world: World) -> Any:
    from google import genai

    return genai.Client(api_key=KEY, http_options={"base_url": world.http})


def gemini_call(world: World) -> Callable[[], str]:
    client = _gemini(world)
    contents, config = world.gemini()

    def call() -> str:
        reply = client.models.generate_content(model=GEMINI_MODEL, contents=contents, config=config)
        assert reply.candidates[0].finish_reason == "STOP"
        assert not reply.function_calls
        assert reply.usage_metadata.total_token_count == 29
        return reply.text

    return call


def gemini_stream(world: World) -> Callable[[], Iterator[str]]:
    client = _gemini(world)
    contents, config = world.gemini()

    def stream() -> Iterator[str]:
        usage = None
        for chunk in client.models.generate_content_stream(
            model=GEMINI_MODEL, contents=contents, config=config
        ):
            usage = chunk.usage_metadata or usage
            yield chunk.text or ""
        assert usage.prompt_token_count == 19

    return stream


def _bedrock(world: World) -> Any:
    import boto3

    return boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=world.http,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
    )


def bedrock_call(world: World) -> Callable[[], str]:
    client, request = _bedrock(world), world.converse()

    def call() -> str:
        reply = client.converse(**request)
        assert reply["stopReason"] == "end_turn"
        assert reply["usage"]["totalTokens"] == 29
        return "".join(block.get("text", "") for block in reply["output"]["message"]["content"])

    return call


def bedrock_stream(world: World) -> Callable[[], Iterator[str]]:
    client, request = _bedrock(world), world.converse()

    def stream() -> Iterator[str]:
        usage = None
        for event in client.converse_stream(**request)["stream"]:
            if "contentBlockDelta" in event:
                yield event["contentBlockDelta"]["delta"].get("text", "")
            elif "metadata" in event:
                usage = event["metadata"]["usage"]
        assert usage["inputTokens"] == 19

    return stream


def gemini_picture(world: World) -> Callable[[], bytes]:
    client = _gemini(world)
    config = {
        "response_modalities": ["IMAGE"],
        "image_config": {"aspect_ratio": "1:1", "image_size": "1K"},
    }

    def draw() -> bytes:
        reply = client.models.generate_content(
            model=GEMINI_PICTURE_MODEL, contents=PROMPT, config=config
        )
        return next(
            part.inline_data.data for part in reply.candidates[0].content.parts if part.inline_data
        )

    return draw


def gemini_picture_stored(world: World) -> Callable[[], bytes]:
    """With the checksums that R2 takes."""
    import uuid

    import boto3
    from botocore.config import Config

    draw = gemini_picture(world)
    config = Config(
        request_checksum_calculation="when_required", response_checksum_validation="when_required"
    )
    store = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=world.https,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=config,
    )

    def draw_and_store() -> bytes:
        data = draw()
        key = f"aigc/images/{uuid.uuid4()}.png"
        store.put_object(Bucket=BUCKET, Key=key, Body=data, ContentType="image/png")
        return data

    return draw_and_store


def ark_picture(world: World) -> Callable[[], bytes]:
    """Ark has no SDK here: two plain requests."""
    import httpx2

    client = httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=300)
    body = {"model": ARK_MODEL, "prompt": PROMPT, "size": "2048x2048", "watermark": False}

    def draw() -> bytes:
        reply = (
            client.post(f"{world.http}/api/v3/images/generations", json=body)
            .raise_for_status()
            .json()
        )
        return client.get(reply["data"][0]["url"]).raise_for_status().content

    return draw


def ark_picture_kept(world: World) -> Callable[[], bytes]:
    """With a key made of what the picture is."""
    import hashlib

    draw = ark_picture(world)

    def draw_and_name() -> bytes:
        data = draw()
        assert f"aigc/images/{hashlib.sha256(data).hexdigest()}.png"
        return data

    return draw_and_name


def _renditions(data: bytes) -> Callable[[], str]:
    """
    Pillow as its tutorial shows it: open, ``thumbnail`` (which has a ``reducing_gap`` of its own),
    save.
    """
    import io

    from PIL import Image

    def made(side: int) -> str:
        picture = Image.open(io.BytesIO(data))
        picture.thumbnail((side, side))
        picture.save(io.BytesIO(), "WEBP")
        return f"{picture.width}x{picture.height}"

    return lambda: " ".join(map(made, (2048, *SIDES)))


def renditions_photo(world: World) -> Callable[[], str]:
    return _renditions(photo())


def renditions_noise(world: World) -> Callable[[], str]:
    from upstream import noise

    return _renditions(noise(2048))
