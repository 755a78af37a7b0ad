"""LiteLLM."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from subjects.world import (
    BEDROCK_MODEL,
    GEMINI_MODEL,
    GEMINI_PICTURE_MODEL,
    KEY,
    OPENAI_MODEL,
    PROMPT,
    REGION,
    World,
    for_each_vendor,
)


def _request(vendor: str, world: World) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": world.conversation()}
    if world.tools:
        request["tools"] = world.openai_tools()
    if vendor == "openai":
        return {
            "model": f"openai/{OPENAI_MODEL}",
            "api_key": KEY,
            "api_base": f"{world.http}/v1",
            **request,
        }
    if vendor == "gemini":
        base = f"{world.http}/v1beta/models/{GEMINI_MODEL}"
        return {"model": f"gemini/{GEMINI_MODEL}", "api_key": KEY, "api_base": base, **request}
    return {
        "model": f"bedrock/converse/{BEDROCK_MODEL}",
        "aws_access_key_id": KEY,
        "aws_secret_access_key": KEY,
        "aws_region_name": REGION,
        "aws_bedrock_runtime_endpoint": world.http,
        **request,
    }


def _call(vendor: str, world: World) -> Callable[[], str]:
    import litellm

    request = _request(vendor, world)

    def call() -> str:
        reply = litellm.completion(**request)
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage.total_tokens == 29
        return reply.choices[0].message.content or ""

    return call


def _stream(vendor: str, world: World) -> Callable[[], Iterator[str]]:
    import litellm

    request = _request(vendor, world)

    def stream() -> Iterator[str]:
        usage = None
        for chunk in litellm.completion(
            **request, stream=True, stream_options={"include_usage": True}
        ):
            usage = getattr(chunk, "usage", None) or usage
            for choice in chunk.choices:
                yield choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    yield call.function.arguments or ""
        assert usage.prompt_tokens == 19

    return stream


openai_call, gemini_call, bedrock_call = for_each_vendor(_call)
openai_stream, gemini_stream, bedrock_stream = for_each_vendor(_stream)


def gemini_picture(world: World) -> Callable[[], bytes]:
    import litellm

    base = f"{world.http}/v1beta/models/{GEMINI_PICTURE_MODEL}"

    def draw() -> bytes:
        reply = litellm.completion(
            model=f"gemini/{GEMINI_PICTURE_MODEL}",
            api_key=KEY,
            api_base=base,
            modalities=["image"],
            messages=[{"role": "user", "content": PROMPT}],
        )
        return base64.b64decode(
            reply.choices[0].message.images[0]["image_url"]["url"].partition(",")[2]
        )

    return draw
