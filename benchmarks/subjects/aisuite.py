"""aisuite; its Gemini is Vertex AI's own SDK, its Bedrock takes no address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from subjects.world import KEY, OPENAI_MODEL, World


def _openai(world: World) -> tuple[Any, dict[str, Any]]:
    import aisuite

    client = aisuite.Client({"openai": {"api_key": KEY, "base_url": f"{world.http}/v1"}})
    request: dict[str, Any] = {"model": f"openai:{OPENAI_MODEL}", "messages": world.conversation()}
    if world.tools:
        request["tools"] = world.openai_tools()
    return client, request


def openai_call(world: World) -> Callable[[], str]:
    client, request = _openai(world)

    def call() -> str:
        reply = client.chat.completions.create(**request)
        assert reply.choices[0].finish_reason == "stop"
        return reply.choices[0].message.content or ""

    return call


def openai_stream(world: World) -> Callable[[], Iterator[str]]:
    client, request = _openai(world)

    def stream() -> Iterator[str]:
        for chunk in client.chat.completions.create(
            **request, stream=True, stream_options={"include_usage": True}
        ):
            for choice in chunk.choices:
                yield choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    yield call.function.arguments or ""

    return stream
