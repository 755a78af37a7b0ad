"""An application as others write them: it makes its own clients, and knows nothing of a sandbox."""

import openai

from aigc_kit import ChatClient, ImageClient


def describe(product: str) -> str:
    with ChatClient("deepseek") as chat:
        answer = chat.chat([{"role": "user", "content": f"Describe {product}"}])
    return answer.content


def translate(text: str) -> str:
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": f"Translate: {text}"}]
        )
    return answer.choices[0].message.content or ""


def draw(product: str, storage: object) -> str:
    with ImageClient("gemini", storage=storage) as images:
        return images.text_to_image(product).url


def call_home() -> None:
    with ChatClient("deepseek", api_key="sk-real", base_url="https://api.deepseek.com") as chat:
        chat.chat([{"role": "user", "content": "hello"}], max_retries=0, timeout=5)
