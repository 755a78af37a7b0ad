"""any-llm, with a client that is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from subjects.world import (
    BEDROCK_MODEL,
    GEMINI_MODEL,
    KEY,
    OPENAI_MODEL,
    REGION,
    World,
    for_each_vendor,
)

_MODELS = {"openai": OPENAI_MODEL, "gemini": GEMINI_MODEL, "bedrock": BEDROCK_MODEL}


def _made(vendor: str, world: World) -> tuple[Any, dict[str, Any]]:
    from any_llm import AnyLLM

    if vendor == "bedrock":
        os.environ |= {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
        }
        client = AnyLLM.create("bedrock", api_base=world.http)
    else:
        base = f"{world.http}/v1" if vendor == "openai" else world.http
        client = AnyLLM.create(vendor, api_key=KEY, api_base=base)
    request: dict[str, Any] = {"model": _MODELS[vendor], "messages": world.conversation()}
    if world.tools:
        request["tools"] = world.openai_tools()
    return client, request


def _call(vendor: str, world: World) -> Callable[[], str]:
    client, request = _made(vendor, world)

    def call() -> str:
        reply = client.completion(**request)
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage.total_tokens == 29
        return reply.choices[0].message.content or ""

    return call


def _stream(vendor: str, world: World) -> Callable[[], Iterator[str]]:
    client, request = _made(vendor, world)
    wish = {"stream_options": {"include_usage": True}} if vendor == "openai" else {}

    def stream() -> Iterator[str]:
        for chunk in client.completion(**request, stream=True, **wish):
            for choice in chunk.choices:
                yield choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    yield call.function.arguments or ""

    return stream


openai_call, gemini_call, bedrock_call = for_each_vendor(_call)
openai_stream, gemini_stream, bedrock_stream = for_each_vendor(_stream)
