"""
Facts about vendors that speak ``chat/completions``: a table, no code that talks.

Each row has its source. Patterns are matched against the whole model id, case-insensitively; unknown models pass through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aigc_kit.transport import codes
from aigc_kit.transport.replies import Judge


@dataclass(frozen=True, eq=False)
class Vendor:
    """
    One back end.

    ``variables``: of the key, in order. ``international``: the twin outside of China. ``json_schema``: models with native
    JSON schema; the others get ``json_object`` and the schema in the system prompt. ``echo_reasoning``: models that want
    ``reasoning_content`` on every assistant turn once tools are in the request; ``reasoning_pad`` where there is none.
    ``refused``: (models, parameters) that the vendor refuses or ignores; they are left out, with a warning.
    """

    name: str
    base_url: str
    variables: tuple[str, ...]
    model: str
    base_url_variables: tuple[str, ...] = ()
    international: str = ""
    max_tokens: str = "max_tokens"
    both_max_tokens: bool = False
    json_schema: str = ".*"
    echo_reasoning: str = ""
    reasoning_pad: str = ""
    empty_tool_result: str = ""
    thinking: str = "passed"
    always_thinks: str = ""
    forced_choice: str = "passed"
    refused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ignored_while_thinking: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    image_addresses: bool = True
    bare_base64: bool = False
    keeps_developer: bool = False
    judge: Judge = codes.openai

    def matches(self, pattern: str, model: str) -> bool:
        return bool(pattern) and re.fullmatch(pattern, model, re.IGNORECASE) is not None


SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
OPENAI_REASONING = r"(gpt-[56]|o\d).*"
OPENAI_NO_TOOLS = r"gpt-(6-astra|6\.1-sol|6\.2-(astra|sol)).*"
"""Tools only through the Responses API. Source: OpenAI's "Using GPT-6.2" guide, quoted 2026-11-18."""
OPENAI_TOOLS_WITHOUT_EFFORT = r"gpt-(5\.[67]|6-|6\.1-terra).*"
"""Tools on chat completions only with ``reasoning_effort: "none"``. Source: BerriAI/litellm#34569 and others."""

VENDORS = {
    vendor.name: vendor
    for vendor in (
        # https://platform.openai.com/docs/api-reference/chat and the deprecations page, read 2026-11-22.
        Vendor(
            "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "gpt-6-luna",
            base_url_variables=("OPENAI_BASE_URL",), max_tokens="max_completion_tokens", thinking="effort",
            keeps_developer=True,
        ),
        # https://api-docs.deepseek.com, and the vendor's own harness client, read 2026-11-22. json_schema answers 400,
        # max_completion_tokens is ignored, reasoning_content is demanded back in every conversation with tools.
        Vendor(
            "deepseek", "https://api.deepseek.com", ("DEEPSEEK_API_KEY",), "deepseek-flash",
            base_url_variables=("DEEPSEEK_BASE_URL",), json_schema="", echo_reasoning=".*", empty_tool_result="(empty)",
            forced_choice="not while thinking", ignored_while_thinking=SAMPLING[:4],
        ),
        # https://docs.bigmodel.cn and https://docs.z.ai, read 2026-11-22. Documents of json_schema contradict each other.
        Vendor(
            "glm", "https://open.bigmodel.cn/api/paas/v4",
            ("ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "BIGMODEL_API_KEY"), "glm-5.3-flash",
            base_url_variables=("ZAI_BASE_URL", "ZHIPUAI_BASE_URL"), international="https://api.z.ai/api/paas/v4",
            json_schema="", echo_reasoning=".*", always_thinks=r"glm-5\.3.*", forced_choice="auto only",
            ranges={"temperature": (0.01, 0.99), "top_p": (0.01, 0.99)}, bare_base64=True, judge=codes.glm,
        ),
        # https://www.volcengine.com/docs/82379/1494384, read 2026-11-22.
        Vendor(
            "volcengine", "https://ark.cn-beijing.volces.com/api/v3", ("VOLCENGINE_API_KEY", "ARK_API_KEY"),
            "doubao-seed-2-1-lite-260915", base_url_variables=("VOLCENGINE_BASE_URL", "ARK_BASE_URL"),
            international="https://ark.ap-southeast.bytepluses.com/api/v3", both_max_tokens=True,
            json_schema=r"(?!doubao-seed-1-6-lite-251015$).*", thinking="type", judge=codes.ark,
        ),
        # https://platform.moonshot.cn/docs, read 2026-11-22. Sampling parameters are fixed.
        Vendor(
            "moonshot", "https://api.moonshot.cn/v1", ("MOONSHOT_API_KEY", "KIMI_API_KEY"), "kimi-k3",
            base_url_variables=("MOONSHOT_BASE_URL",), international="https://api.moonshot.ai/v1",
            max_tokens="max_completion_tokens", echo_reasoning=".*", reasoning_pad=" ", always_thinks=r"kimi-k(3|2\.7-code).*",
            forced_choice="not on kimi-k2.6 and kimi-k2.7", image_addresses=False,
            refused=((r"kimi-.*", SAMPLING[:4]),),
        ),
        # https://help.aliyun.com/zh/model-studio, read 2026-11-22.
        Vendor(
            "dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1", ("DASHSCOPE_API_KEY",), "qwen3.8-flash",
            base_url_variables=("DASHSCOPE_BASE_URL",),
            international="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            json_schema=r"qwen3\.(7-(plus|flash|max)|8-(max|flash)).*", thinking="enable_thinking",
            refused=((r".*", ("frequency_penalty",)),), ranges={"temperature": (0.0, 1.99)},
        ),
        Vendor("openai_compat", "", ("OPENAI_COMPAT_API_KEY",), "", base_url_variables=("OPENAI_COMPAT_BASE_URL",),
               both_max_tokens=True),
    )
}  # fmt: skip

ALIASES = {
    "zhipu": "glm", "zai": "glm", "doubao": "volcengine", "ark": "volcengine", "kimi": "moonshot", "qwen": "dashscope",
}  # fmt: skip
