"""LangChain's three packages."""

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


def _model(vendor: str, world: World) -> Any:
    model: Any
    if vendor == "openai":
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(
            model=OPENAI_MODEL,
            api_key=KEY,
            base_url=f"{world.http}/v1",
            stream_usage=True,
            use_responses_api=False,
        )
    elif vendor == "gemini":
        from langchain_google_genai import ChatGoogleGenerativeAI

        model = ChatGoogleGenerativeAI(model=GEMINI_MODEL, google_api_key=KEY, base_url=world.http)
    else:
        from langchain_aws import ChatBedrockConverse

        model = ChatBedrockConverse(
            model=BEDROCK_MODEL,
            region_name=REGION,
            endpoint_url=world.http,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
        )
    return model.bind_tools(world.openai_tools()) if world.tools else model


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)


def _call(vendor: str, world: World) -> Callable[[], str]:
    model, messages = _model(vendor, world), world.conversation()

    def call() -> str:
        reply = model.invoke(messages)
        assert reply.usage_metadata["total_tokens"] == 29
        return _text(reply.content)

    return call


def _stream(vendor: str, world: World) -> Callable[[], Iterator[str]]:
    model, messages = _model(vendor, world), world.conversation()

    def stream() -> Iterator[str]:
        for chunk in model.stream(messages):
            yield _text(chunk.content)
            for call in chunk.tool_call_chunks:
                yield call["args"] or ""

    return stream


openai_call, gemini_call, bedrock_call = for_each_vendor(_call)
openai_stream, gemini_stream, bedrock_stream = for_each_vendor(_stream)


def gemini_picture(world: World) -> Callable[[], bytes]:
    from langchain_google_genai import ChatGoogleGenerativeAI, Modality

    model = ChatGoogleGenerativeAI(
        model=GEMINI_PICTURE_MODEL,
        google_api_key=KEY,
        base_url=world.http,
        response_modalities=[Modality.IMAGE],
    )

    def draw() -> bytes:
        parts = model.invoke(PROMPT).content
        address = next(part for part in parts if isinstance(part, dict) and "image_url" in part)[
            "image_url"
        ]["url"]
        return base64.b64decode(address.partition(",")[2])

    return draw
