"""One question to three vendors: streamed, and as structured output."""

from __future__ import annotations

from aigc_kit import ChatClient
from aigc_kit.sandbox import Sandbox

MESSAGES = [{"role": "user", "content": "Invent a character"}]
CHARACTER = {
    "type": "json_schema",
    "json_schema": {
        "name": "character",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "role": {"type": "string"}},
            "required": ["name"],
        },
    },
}


def main() -> None:
    with Sandbox() as sandbox:
        for vendor in ("openai", "deepseek", "volcengine"):
            with ChatClient(vendor, **sandbox.chat_options(vendor)) as client:
                for chunk in client.chat_stream(MESSAGES):
                    print(chunk.delta_content, end="", flush=True)
                result = client.chat(MESSAGES, response_format=CHARACTER)
                print(f"\n{vendor}: {result.parsed} ({result.warnings[0]['details'][:30]})")


if __name__ == "__main__":
    main()
