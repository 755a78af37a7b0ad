"""pydantic-ai's direct requests, without an agent."""

from __future__ import annotations

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


def _model(vendor: str, world: World, name: str = GEMINI_MODEL) -> Any:
    if vendor == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel(
            OPENAI_MODEL, provider=OpenAIProvider(base_url=f"{world.http}/v1", api_key=KEY)
        )
    if vendor == "gemini":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(name, provider=GoogleProvider(api_key=KEY, base_url=world.http))
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    provider = BedrockProvider(
        region_name=REGION, base_url=world.http, aws_access_key_id=KEY, aws_secret_access_key=KEY
    )
    return BedrockConverseModel(BEDROCK_MODEL, provider=provider)


def _request(vendor: str, world: World) -> dict[str, Any]:
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    first, *rest = world.conversation()
    messages: list[Any] = [ModelRequest(parts=[SystemPromptPart(content=first["content"])])]
    for turn in rest:
        if turn["role"] == "user":
            messages.append(ModelRequest(parts=[UserPromptPart(content=turn["content"])]))
        else:
            messages.append(ModelResponse(parts=[TextPart(content=turn["content"])]))
    tools = [
        ToolDefinition(
            name=function["name"],
            description=function["description"],
            parameters_json_schema=function["parameters"],
        )
        for function in world.functions()
    ]
    parameters = ModelRequestParameters(function_tools=tools, allow_text_output=True)
    return {
        "model": _model(vendor, world),
        "messages": messages,
        "model_request_parameters": parameters,
    }


def _call(vendor: str, world: World) -> Callable[[], str]:
    from pydantic_ai.direct import model_request_sync

    request = _request(vendor, world)

    def call() -> str:
        reply = model_request_sync(**request)
        assert reply.usage.total_tokens == 29
        return "".join(part.content for part in reply.parts)

    return call


def _stream(vendor: str, world: World) -> Callable[[], Iterator[str]]:
    from pydantic_ai.direct import model_request_stream_sync
    from pydantic_ai.messages import (
        PartDeltaEvent,
        PartStartEvent,
        TextPart,
        TextPartDelta,
        ToolCallPart,
        ToolCallPartDelta,
    )

    request = _request(vendor, world)

    def stream() -> Iterator[str]:
        with model_request_stream_sync(**request) as events:
            for event in events:
                match event:
                    case (
                        PartStartEvent(part=TextPart(content=text))
                        | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                    ):
                        yield text
                    case PartStartEvent(part=ToolCallPart(args=str(text))):
                        yield text
                    case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=str(text))):
                        yield text

    return stream


openai_call, gemini_call, bedrock_call = for_each_vendor(_call)
openai_stream, gemini_stream, bedrock_stream = for_each_vendor(_stream)


def gemini_picture(world: World) -> Callable[[], bytes]:
    from pydantic_ai.direct import model_request_sync
    from pydantic_ai.messages import ModelRequest, UserPromptPart
    from pydantic_ai.models import ModelRequestParameters

    model = _model("gemini", world, GEMINI_PICTURE_MODEL)
    messages = [ModelRequest(parts=[UserPromptPart(content=PROMPT)])]
    parameters = ModelRequestParameters(allow_image_output=True)

    def draw() -> bytes:
        reply = model_request_sync(model, messages, model_request_parameters=parameters)
        return next(part.content.data for part in reply.parts if part.part_kind == "file")

    return draw
