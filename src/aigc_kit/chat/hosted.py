"""
Back ends that serve models of others, on their machines or on yours. Data.

Source: litellm 1.110.2, pydantic-ai-slim 2.68 and the vendors' documents, read 2026-11-25. What is
not verified is said so; a row says no more than what is known.
"""

from __future__ import annotations

from aigc_kit.chat.vendor import OPENAI_MODEL, OPENAI_RESPONSES, SAMPLING, Vendor, row
from aigc_kit.transport import codes

_ENABLE = {"thinking": "enable_thinking"}

HOSTED: tuple[Vendor, ...] = (
    # pydantic-ai openrouter.py, langchain-ai/langchain#37777: max_tokens alone, whatever the model;
    # reasoning_details go back unchanged, without ids.
    row(
        "openrouter",
        "",
        passes_fields=True,
        cache_control=True,
        reasoning_ids=False,
        openai_rules=False,
        thinking="reasoning",
    ),
    # Thinking by enable_thinking and thinking_budget; JSON schema by model is unverified.
    row("siliconflow", "", json_schema="", **_ENABLE),
    # The deployment's name says nothing: pass family=. No file parts in chat. litellm
    # azure/common_utils.py; MicrosoftDocs.
    row("azure", "", passes_fields=True, files=False, **OPENAI_MODEL, **OPENAI_RESPONSES),
    # ollama/ollama#12362, pydantic-ai#4917: images only as bytes; a schema binds local models alone.
    row(
        "ollama",
        "",
        json_schema=r"(?!.*-cloud$).*",
        image_addresses=False,
        passes_fields=True,
        thinking="effort",
    ),
    # vllm-project/vllm#44216, pydantic-ai vllm.py.
    # pydantic-ai#5812: many templates take one system message, at the front.
    row(
        "vllm",
        "",
        passes_fields=True,
        thinking="template",
        schema_in_prompt=True,
        files=False,
        one_system=True,
        strict_tools=False,
    ),
    # JSON schema is what it needs; json_object is unverified.
    row("lmstudio", "", passes_fields=True, image_addresses=False, json_object=False),
    # litellm minimax: <think> in the content, or reasoning_details, which go back; no JSON schema and
    # no forced choice (unverified).
    row(
        "minimax",
        "",
        json_schema="",
        forced_choice="auto or none",
        thinking="adaptive",
        passes_fields=True,
        cache_control=True,
    ),
    # https://cloud.tencent.com/developer/article/2779936: thinking in the body, by model.
    row("hunyuan", "", passes_fields=True, judge=codes.tokenhub),
    row("qianfan", "", max_tokens="max_completion_tokens", **_ENABLE),
    row("stepfun", "", passes_fields=True),
    # litellm xai: reasoning models take neither stop nor penalties; completion_tokens leave the
    # reasoning out (usage_of adds it).
    row(
        "xai",
        "",
        thinking="effort",
        efforts=((r"grok-3-mini.*", ("low", "high")),),
        always_thinks=r"grok-(4|5|code)(?!.*non-reasoning).*",
        strict_tools=False,
        refused=((r"grok-(3-mini|4|5|code)(?!.*non-reasoning).*", (*SAMPLING[2:4], "stop")),),
    ),
    # litellm mistral: unknown fields are 422, usage comes unasked; ids of nine letters and digits; no
    # names but of tools, and an assistant turn behind their results.
    row(
        "mistral",
        "",
        stream_usage=False,
        thinking="effort",
        call_id=r"[a-zA-Z0-9]{9}",
        no_prefill=".*",
        names=False,
        ends_tools=True,
        message_fields=("prefix",),
        renamed=(("seed", "random_seed"),),
        refused=((r".*", ("logprobs", "top_logprobs")),),
    ),
    # litellm groq: no JSON mode together with tools or a stream.
    row(
        "groq",
        "",
        max_tokens="max_completion_tokens",
        json_schema="",
        json_with_tools=False,
        thinking="effort",
        efforts=(
            (r"qwen.*", ("none", "default")),
            (r"gpt-oss.*", ("low", "medium", "high")),
        ),
        refused=((r".*", ("logprobs", "top_logprobs", "logit_bias")),),
    ),
    row(
        "together",
        "",
        schema_in_prompt=True,
        thinking="reasoning switch",
        no_forced_choice=r"deepseek-v4.*",
        passes_fields=True,
    ),
    # litellm modelscope: contents that are lists of text are joined, which is done for every vendor.
    row("modelscope", "", json_schema="", **_ENABLE),
)
