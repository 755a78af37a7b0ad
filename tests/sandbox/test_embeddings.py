"""The vendors' own SDKs get embeddings from the sandbox, and are refused in the vendors' words."""

from __future__ import annotations

import json
from typing import Any

import boto3
import httpx
import openai
import pytest
from botocore.exceptions import ClientError
from google import genai
from google.genai import types

from aigc_kit.sandbox import Sandbox


def test_the_openai_sdk(sandbox: Sandbox) -> None:
    """It asks for base64 by itself, and reads both forms to the same numbers."""
    base_url = sandbox.embedding_options("openai")["base_url"]
    with openai.OpenAI(api_key=sandbox.api_key, base_url=base_url, max_retries=0) as client:
        packed = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
        plain = client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], encoding_format="float"
        )
        assert sandbox.requests[0].body["encoding_format"] == "base64"
        assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
        with pytest.raises(openai.BadRequestError, match="empty string"):
            client.embeddings.create(model="text-embedding-3-small", input=[""])
        with pytest.raises(openai.BadRequestError, match="array too long"):
            client.embeddings.create(model="text-embedding-3-small", input=["a"] * 2049)
        with pytest.raises(openai.BadRequestError, match="300000 tokens per request"):
            client.embeddings.create(model="text-embedding-3-small", input=["word " * 6000] * 50)


def test_the_google_sdk_joins_a_list_of_texts(sandbox: Sandbox) -> None:
    """One vector for two texts, as at the vendor; two for two contents."""
    options = types.HttpOptions(base_url=sandbox.url)
    with genai.Client(vertexai=False, api_key=sandbox.api_key, http_options=options) as client:
        joined = client.models.embed_content(model="gemini-embedding-2", contents=["a", "b"])
        assert len(joined.embeddings or []) == 1
        contents: Any = [types.Content(parts=[types.Part(text=text)]) for text in "ab"]
        apart = client.models.embed_content(model="gemini-embedding-2", contents=contents)
        assert len(apart.embeddings or []) == 2


def test_boto3(sandbox: Sandbox) -> None:
    """Titan's body and the header with its tokens; Cohere's limit."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=sandbox.url,
        aws_access_key_id=sandbox.api_key,
        aws_secret_access_key="secret",
    )
    response = client.invoke_model(
        modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "hello"})
    )
    body = json.loads(response["body"].read())
    assert len(body["embedding"]) == 1024
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == body["inputTextTokenCount"]
    texts = {"texts": ["a"] * 97, "input_type": "search_document"}
    with pytest.raises(ClientError, match="maximum item count: 96"):
        client.invoke_model(modelId="cohere.embed-v4:0", body=json.dumps(texts))
    client.close()


def test_ark_gives_one_vector_for_all_parts(sandbox: Sandbox) -> None:
    """``data`` is an object."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    response = httpx.post(
        f"{sandbox.ark_url}/embeddings/multimodal",
        json={"model": "doubao-embedding-vision-251215", "input": parts},
        headers={"authorization": f"Bearer {sandbox.api_key}"},
    )
    assert len(response.json()["data"]["embedding"]) == 2048
