"""Back ends that serve models of others: the request of each, from their wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from tests.vendor import ASK, TOOLS, Response, Vendor, completion, delta, events

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}


def body(name: str, model: str, messages: Any = ASK, **options: Any) -> dict[str, Any]:
    with Vendor(completion('{"name": "a"}')) as vendor, vendor.client(name, model=model) as chat:
        chat.chat(messages, **options)
        return vendor.bodies[0]


@pytest.mark.parametrize(
    ("name", "model", "field"),
    [
        ("openrouter", "anthropic/claude-sonnet-4.6", "max_tokens"),
        ("azure", "my-deployment", "max_completion_tokens"),
        ("ollama", "qwen3:8b", "max_tokens"),
        ("qianfan", "ernie-5.0", "max_completion_tokens"),
        ("mistral", "mistral-medium-latest", "max_tokens"),
        ("groq", "openai/gpt-oss-120b", "max_completion_tokens"),
        ("together", "meta-llama/Llama-4", "max_tokens"),
    ],
)
def test_the_limit_has_the_vendors_name(name: str, model: str, field: str) -> None:
    sent = body(name, model, max_tokens=7)
    assert {key: sent[key] for key in sent if "max" in key} == {field: 7}


def test_mistral_takes_only_what_it_knows() -> None:
    """Source: litellm 1.110.2 llms/mistral: unknown fields are 422, ids are of nine characters."""
    with (
        Vendor(events(delta("stop", content="hi"))) as vendor,
        vendor.client("mistral", model="mistral-medium-latest") as chat,
    ):
        list(chat.chat_stream(ASK, seed=3))
        assert "stream_options" not in vendor.bodies[0]
        assert vendor.bodies[0]["random_seed"] == 3
        assert "seed" not in vendor.bodies[0]
    call = {"id": "call_abc-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_abc-1", "content": "ok"},
    ]
    _, turn, result = body("mistral", "mistral-medium-latest", history)["messages"]
    mark = turn["tool_calls"][0]["id"]
    assert mark == result["tool_call_id"]
    assert len(mark) == 9
    assert mark.isalnum()


def test_mistral_ends_with_the_user_unless_the_turn_is_a_prefix() -> None:
    start = {"role": "assistant", "content": "Once"}
    assert body("mistral", "mistral-large-latest", [*ASK, start])["messages"][-1]["role"] == "user"
    marked = {**start, "prefix": True}
    assert body("mistral", "mistral-large-latest", [*ASK, marked])["messages"][-1] == marked


def test_groq_has_no_json_mode_with_tools_or_in_a_stream() -> None:
    """Source: litellm 1.110.2 llms/groq. The schema is in the prompt instead."""
    plain = body("groq", "openai/gpt-oss-120b", response_format=FORMAT)
    assert plain["response_format"] == {"type": "json_object"}
    with_tools = body("groq", "openai/gpt-oss-120b", response_format=FORMAT, tools=TOOLS)
    assert "response_format" not in with_tools
    assert "name" in with_tools["messages"][0]["content"]


def test_xai_leaves_out_what_its_reasoning_models_refuse() -> None:
    sent = body("xai", "grok-4.1-fast", stop=["x"], presence_penalty=1.0, temperature=0.5)
    assert "stop" not in sent
    assert "presence_penalty" not in sent
    assert sent["temperature"] == 0.5


def test_minimax_reports_in_a_200() -> None:
    """``base_resp`` before the choices. Source: litellm 1.110.2 llms/minimax."""
    said = {
        "choices": None,
        "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"},
    }
    with (
        Vendor(Response(json.dumps(said).encode())) as vendor,
        vendor.client("minimax", model="MiniMax-M3") as chat,
        pytest.raises(errors.QuotaExceededError, match="insufficient balance"),
    ):
        chat.chat(ASK)


@pytest.mark.parametrize(
    "url",
    [
        "https://res.openai.azure.com",
        "https://res.openai.azure.com/",
        "https://res.openai.azure.com/openai",
        "https://res.services.ai.azure.com/openai/v1/",
    ],
)
def test_azure_is_reached_from_its_endpoint(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal and ``AZURE_OPENAI_ENDPOINT`` show the resource; the API is below it."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", url)
    with ChatClient("azure", api_key="k", model="d", family="gpt-6-luna") as chat:
        assert chat.provider.base_url == url.split(".com")[0] + ".com/openai/v1"


def test_azure_needs_a_url() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"<resource>\.openai\.azure\.com"):
        ChatClient("azure", api_key="k", model="d")
    with pytest.raises(errors.MissingCredentialError, match="AZURE_OPENAI_API_KEY"):
        ChatClient("azure", base_url="https://res.openai.azure.com", model="d")


@pytest.mark.parametrize("name", ["ollama", "vllm", "lmstudio"])
def test_servers_on_ones_own_machine_need_no_key(name: str) -> None:
    with (
        Vendor(completion("hi")) as vendor,
        ChatClient(name, model="m", base_url=vendor.url) as chat,
    ):
        assert chat.chat(ASK).content == "hi"


ON, OFF = {"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}


@pytest.mark.parametrize(
    ("name", "model", "wish", "field", "sent"),
    [
        ("openrouter", "anthropic/claude-sonnet-4.6", ON, "reasoning", {"max_tokens": 2000}),
        ("openrouter", "anthropic/claude-sonnet-4.6", OFF, "reasoning", {"enabled": False}),
        (
            "openrouter",
            "x-ai/grok-4.1-fast",
            {"type": "enabled"},
            "reasoning",
            {"effort": "medium"},
        ),
        ("together", "deepseek-ai/DeepSeek-V3.2", OFF, "reasoning", {"enabled": False}),
        ("vllm", "Qwen/Qwen3-8B", OFF, "chat_template_kwargs", {"enable_thinking": False}),
        ("vllm", "Qwen/Qwen3-8B", ON, "chat_template_kwargs", {"enable_thinking": True}),
        ("minimax", "MiniMax-M3", ON, "thinking", {"type": "adaptive"}),
        ("minimax", "MiniMax-M3", OFF, "thinking", {"type": "disabled"}),
        ("siliconflow", "Qwen/Qwen3-8B", ON, "thinking_budget", 2000),
        ("ollama", "qwen3:8b", OFF, "reasoning_effort", "none"),
        ("ollama", "gpt-oss:20b", {"type": "enabled"}, "reasoning_effort", "medium"),
        ("xai", "grok-4.1-fast", {"type": "enabled"}, "reasoning_effort", "low"),
        ("mistral", "mistral-medium-latest", {"type": "enabled"}, "reasoning_effort", "medium"),
    ],
)
def test_the_wish_to_think_is_said_as_each_reads_it(
    name: str, model: str, wish: Any, field: str, sent: Any
) -> None:
    said = body(name, model, thinking=wish)
    assert said[field] == sent
    assert field == "thinking" or "thinking" not in said


def test_vllm_gets_one_system_message_at_the_front() -> None:
    """https://github.com/pydantic/pydantic-ai/issues/5812"""
    history = [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": "in English"},
        *ASK,
    ]
    first, second = body("vllm", "Qwen/Qwen3-8B", history)["messages"]
    assert first == {"role": "system", "content": "be brief\n\nin English"}
    assert second["role"] == "user"


def test_lmstudio_has_no_json_mode_without_a_schema() -> None:
    assert "response_format" not in body("lmstudio", "m", response_format={"type": "json_object"})
    assert body("lmstudio", "m", response_format=FORMAT)["response_format"]["type"] == "json_schema"


def test_mistral_wants_an_assistant_behind_results_and_no_names() -> None:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "hello", "name": "ann"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "f", "content": "ok"},
        *ASK,
    ]
    sent = body("mistral", "mistral-large-latest", history)["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert "name" not in sent[0]


def test_xai_gets_tools_without_strict() -> None:
    strict = [{**TOOLS[0], "function": {**TOOLS[0]["function"], "strict": True}}]
    assert "strict" not in body("xai", "grok-4.1-fast", tools=strict)["tools"][0]["function"]
    assert body("together", "m", tools=strict)["tools"][0]["function"]["strict"] is True
