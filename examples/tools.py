"""
The model calls a tool, gets its result, and answers; the history is ready for the next question.
"""

from __future__ import annotations

import json

from aigc_kit import ChatClient
from aigc_kit.sandbox import Sandbox

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def execute(name: str, args_json: str) -> dict[str, object]:
    return {"city": json.loads(args_json)["city"], "temperature": 22}


def main() -> None:
    with Sandbox() as sandbox, ChatClient("deepseek", **sandbox.chat_options("deepseek")) as client:
        question = [{"role": "user", "content": "How warm is it in Xi'an?"}]
        result = client.chat_with_tools(question, TOOLS, tool_executor=execute)
        print(result.content)
        print([message["role"] for message in result.messages])


if __name__ == "__main__":
    main()
