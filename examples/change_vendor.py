"""Start on one vendor, continue on another: the history is plain JSON."""

from __future__ import annotations

import json

from aigc_kit import ChatClient
from aigc_kit.sandbox import Sandbox

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def main() -> None:
    history: list[dict[str, object]] = [{"role": "user", "content": "How warm is it in Xi'an?"}]
    with Sandbox() as sandbox:
        for vendor in ("bedrock", "deepseek", "gemini", "openai"):
            with ChatClient(vendor, **sandbox.chat_options(vendor)) as client:
                result = client.chat_with_tools(
                    history, TOOLS, tool_executor=lambda name, args: {"temperature": 22}
                )
            history = json.loads(json.dumps(result.messages))
            print(f"{vendor:9} {len(history):2} messages: {result.content}")
            history.append({"role": "user", "content": "And tomorrow?"})


if __name__ == "__main__":
    main()
