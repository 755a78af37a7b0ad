"""
The tool loop as a stream: a Python function is the tool; its events and the answer arrive as they
    happen.
"""

from __future__ import annotations

from aigc_kit import ChatClient
from aigc_kit.sandbox import Sandbox


def get_weather(city: str) -> dict[str, object]:
    """
    The weather of a city.

    Args:
        city: in English
    """
    return {"city": city, "temperature": 22}


def main() -> None:
    question = [{"role": "user", "content": "[all tools] How warm is it in Xi'an?"}]
    with Sandbox() as sandbox, ChatClient("deepseek", **sandbox.chat_options("deepseek")) as client:
        with client.chat_with_tools_stream(question, [get_weather]) as stream:
            for chunk in stream:
                if chunk.tool is not None:
                    print(f"[{chunk.tool.kind}: {chunk.tool.call.name}] {chunk.tool.output}")
                print(chunk.delta_content, end="", flush=True)
        print(
            f"\n{stream.result.usage.total_tokens} tokens in {len(stream.result.messages)} messages"
        )


if __name__ == "__main__":
    main()
