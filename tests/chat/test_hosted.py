"""Back ends that serve models of others: the request of each, from their wire."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from aigc_kit.chat import vendors
from tests.vendor import (
    ASK,
    TOOLS,
    Response,
    Vendor,
    ask,
    call_delta,
    calling,
    completion,
    delta,
    error,
    events,
    json_response,
    tool_result,
)

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
        ("xai", "grok-3-mini", {"type": "enabled"}, "reasoning_effort", "low"),
        ("groq", "qwen/qwen3-32b", {"type": "enabled"}, "reasoning_effort", "default"),
        ("groq", "qwen/qwen3-32b", OFF, "reasoning_effort", "none"),
        ("groq", "openai/gpt-oss-120b", OFF, "reasoning_effort", "low"),
        ("mistral", "magistral-medium-latest", {"type": "enabled"}, "prompt_mode", "reasoning"),
        ("hunyuan", "hy4", ON, "thinking", ON),
        ("hunyuan", "minimax-m3", ON, "thinking", {"type": "adaptive"}),
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


def test_openrouters_one_field_for_thinking() -> None:
    """The caller's effort wins; ``max`` is called ``xhigh`` there."""
    model = "anthropic/claude-sonnet-4.6"
    said = body("openrouter", model, thinking={"type": "enabled"}, reasoning_effort="high")
    assert said["reasoning"] == {"effort": "high"}
    assert "reasoning_effort" not in said
    assert body("openrouter", model, reasoning_effort="max")["reasoning"] == {"effort": "xhigh"}


def test_openrouter_has_no_rules_of_openais_own_endpoint() -> None:
    for model in ("openai/gpt-6-luna", "openai/gpt-6.2-astra"):
        said = body("openrouter", model, tools=TOOLS, max_tokens=5)
        assert said["max_tokens"] == 5
        assert said["tools"]
        assert "reasoning_effort" not in said


def reasoned(
    name: str, model: str, *replies: Response, stream: bool = False
) -> list[dict[str, Any]]:
    """The history of the second request, after a tool call."""
    with Vendor(*replies, completion("done")) as vendor:
        chat = vendor.client(name, model=model)
        result = ask(chat, stream=stream, tools=TOOLS)
        chat.chat([*ASK, result.message, tool_result("call_1")], tools=TOOLS)
        sent: list[dict[str, Any]] = vendor.body["messages"]
        return sent


TEXT, SEALED = "reasoning.text", "reasoning.encrypted"


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (
            [
                {"type": TEXT, "text": "think", "index": 0},
                {"type": TEXT, "text": None, "signature": "sig", "index": 0},
            ],
            [{"type": TEXT, "text": "think", "signature": "sig", "index": 0}],
        ),
        (
            [
                {"type": TEXT, "text": "th", "signature": "sig", "index": 0},
                {"type": TEXT, "text": "ink", "signature": None, "index": 0},
            ],
            [{"type": TEXT, "text": "think", "signature": "sig", "index": 0}],
        ),
        (
            [
                {"type": SEALED, "data": "AAA", "id": "t1"},
                {"type": SEALED, "data": "BBB", "id": "t2"},
            ],
            [
                {"type": SEALED, "data": "AAA", "id": "t1"},
                {"type": SEALED, "data": "BBB", "id": "t2"},
            ],
        ),
    ],
)
def test_streamed_details_go_back_as_they_came(pieces: Any, whole: Any) -> None:
    stream = events(
        *[delta(reasoning_details=[piece]) for piece in pieces],
        call_delta("{}", id="call_1", name="get_weather"),
        delta("tool_calls"),
    )
    sent = reasoned("openrouter", "a/b", stream, stream=True)
    assert sent[1]["reasoning_details"] == whole


def test_ids_of_openais_own_store_stay_away() -> None:
    details = [{"type": SEALED, "data": "xx", "id": "rs_1", "index": 0}]
    sent = reasoned("openrouter", "openai/gpt-6-luna", calling(reasoning_details=details))
    assert sent[1]["reasoning_details"] == [{"type": SEALED, "data": "xx", "index": 0}]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ollama", "deepseek-r1:8b"),
        ("vllm", "deepseek-ai/DeepSeek-V4"),
        ("groq", "moonshotai/kimi-k2-instruct"),
        ("openrouter", "deepseek/deepseek-v4-pro"),
    ],
)
def test_reasoning_goes_back_in_the_field_in_which_it_came(name: str, model: str) -> None:
    turn = reasoned(name, model, calling(reasoning="think"))[1]
    assert turn["reasoning"] == "think"
    assert "reasoning_content" not in turn


def test_of_two_fields_one_goes_back() -> None:
    details = [{"type": TEXT, "text": "think", "index": 0}]
    for name in ("openrouter", "minimax"):
        turn = reasoned(name, "m", calling(reasoning_content="think", reasoning_details=details))[1]
        assert turn["reasoning_details"] == details
        assert "reasoning_content" not in turn


def test_details_alone_are_read() -> None:
    details = [{"type": TEXT, "text": "hm", "index": 0}]
    with Vendor(completion("hi", reasoning_details=details)) as vendor:
        result = vendor.client("openrouter", model="m").chat(ASK)
    assert (result.content, result.reasoning_content) == ("hi", "hm")


def test_mistral_on_azure_has_its_own_limit() -> None:
    said = body("azure", "dep", family="mistral-large", max_tokens=5)
    assert {name: said[name] for name in said if "max" in name} == {"max_tokens": 5}


def test_azure_reaches_responses() -> None:
    """Where chat completions refuse tools, as at OpenAI itself."""
    with Vendor(error(500, "x")) as vendor:
        chat = vendor.client("azure", model="dep", family="gpt-6.2-astra", max_retries=0)
        with pytest.raises(errors.AIGCError):
            chat.chat(ASK, tools=TOOLS)
        assert vendor.paths == ["/v1/responses"]


@pytest.mark.parametrize(
    ("name", "model", "native", "said"),
    [
        ("ollama", "gpt-oss:120b-cloud", False, True),
        ("ollama", "qwen3:8b", True, False),
        ("vllm", "q", True, True),
        ("together", "q", True, True),
    ],
)
def test_a_schema_is_said_where_it_does_not_bind(
    name: str, model: str, native: bool, said: bool
) -> None:
    sent = body(name, model, response_format=FORMAT)
    assert (sent["response_format"]["type"] == "json_schema") is native
    assert ("properties" in sent["messages"][0]["content"]) is said


def test_minimax_says_what_failed_beside_its_choices() -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}}
    base = {"status_code": 1027, "status_msg": "output new_sensitive"}
    with Vendor(json_response({"choices": [choice], "base_resp": base})) as vendor:
        chat = vendor.client("minimax", model="MiniMax-M3")
        with pytest.raises(errors.ContentFilterError):
            chat.chat(ASK)
    fine = {"status_code": 0, "status_msg": ""}
    with Vendor(json_response({"choices": [choice], "base_resp": fine})) as vendor:
        vendor.client("minimax", model="MiniMax-M3").chat(ASK)


def test_a_model_of_xai_that_does_not_reason_takes_stop() -> None:
    assert body("xai", "grok-4-1-fast-non-reasoning", stop=["x"])["stop"] == ["x"]


def test_a_host_says_who_it_is() -> None:
    """Behind ``openai_compat`` too: the URL is known."""
    found = vendors.facts(
        vendors.row_of("openai_compat"),
        base_url="https://api.mistral.ai/v1",
        model="mistral-large-latest",
    )
    own = vendors.facts(
        vendors.row_of("mistral"),
        base_url="https://api.mistral.ai/v1",
        model="mistral-large-latest",
    )
    for name in ("renamed", "no_prefill", "refused", "names", "ends_tools", "call_id"):
        assert getattr(found, name) == getattr(own, name), name
    assert found.name == "openai_compat"


@pytest.mark.parametrize(
    "url",
    [
        "https://r.openai.azure.com/openai/deployments/g/chat/completions?api-version=2024-10-21",
        "https://r.openai.azure.com/openai/v1/?api-version=preview",
        "https://r.openai.azure.com/openai/deployments/g",
        "https://r.OpenAI.Azure.com/",
    ],
)
def test_the_target_uri_of_azure_works_as_pasted(url: str) -> None:
    with ChatClient("azure", api_key="k", model="g", base_url=url) as chat:
        assert chat.provider.base_url.lower() == "https://r.openai.azure.com/openai/v1"


@pytest.mark.parametrize("name", ["ollama", "vllm", "lmstudio"])
def test_the_root_of_a_server_is_enough(name: str) -> None:
    with ChatClient(name, model="m", base_url="http://127.0.0.1:11434/") as chat:
        assert chat.provider.base_url == "http://127.0.0.1:11434/v1"


def test_moderation_at_openrouter_is_no_missing_permission() -> None:
    said = {"code": 403, "message": "Input rejected", "metadata": {"reasons": ["harassment"]}}
    with (
        Vendor(json_response({"error": said}, status=403)) as vendor,
        pytest.raises(errors.ContentFilterError),
    ):
        vendor.client("openrouter", model="m").chat(ASK)


@pytest.mark.parametrize("name", ["azure", "vllm"])
def test_files_that_are_not_taken_are_refused(name: str) -> None:
    part = {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    }
    with Vendor(completion("x")) as vendor:
        chat = vendor.client(name, model="m")
        with pytest.raises(errors.UnsupportedFeatureError, match="no files"):
            chat.chat([{"role": "user", "content": [part]}])
        assert vendor.bodies == []


def test_groq_repeats_a_call_that_its_model_spoiled() -> None:
    failed = error(
        400, "Failed to call a function", code="tool_use_failed", failed_generation="<f>"
    )
    with Vendor(failed, completion("x")) as vendor:
        assert vendor.client("groq", model="m", max_retries=1).chat(ASK, tools=TOOLS).content == "x"
    usage = events(
        {
            **delta("stop", content="a"),
            "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        }
    )
    with Vendor(usage) as vendor:
        assert ask(vendor.client("groq", model="m"), stream=True).usage.total_tokens == 7


def test_short_ids_stay_legal_when_two_meet() -> None:
    taken = sha256(b"call_1").hexdigest()[:9]
    calls = [
        {"id": mark, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for mark in (taken, "call_1")
    ]
    history = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls),
    ]
    sent = body("mistral", "mistral-large-latest", history)["messages"]
    marks = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(marks)) == 2
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", mark) for mark in marks)
    assert [turn["tool_call_id"] for turn in sent[2:4]] == marks
