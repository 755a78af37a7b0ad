"""
What goes by a model's name, wherever it is served. Pure.

Each pattern is matched against the bare name (``bare``), case-insensitively, and has its source.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Claude, by generation. Sources: docs.aws.amazon.com/bedrock (claude-messages-adaptive-thinking),
# pydantic-ai's profiles with notes of live calls, read 2026-11-22.
CLAUDE = r".*(anthropic|claude).*"
CLAUDE_BUDGET = r".*claude-(3-7|haiku-4[.-]5|(opus|sonnet)-4(?![.-][6-9])).*"
"""Thinking with a budget in tokens."""
CLAUDE_ADAPTIVE = r".*claude-((opus|sonnet)-4[.-][6-8]|(opus|sonnet|haiku)-5|fable|mythos).*"
"""Thinking with an effort."""
CLAUDE_ALWAYS_THINKS = r".*claude-(opus-5[.-]5|fable|mythos).*"
CLAUDE_NO_FORCED_TOOL = r".*claude-(fable|mythos)-5.*|.*claude-(opus|sonnet)-5[.-]5.*"
CLAUDE_NO_SAMPLING = r".*claude-(opus-(4[.-]7|4[.-]8|5)|sonnet-5|haiku-5[.-]5|fable|mythos).*"
CONVERSE_NO_SAMPLING = r"(.*\.)?(openai\.gpt-(5[.-]6|6)|xai\.grok).*"
"""Others that refuse temperature and top_p on Bedrock. Source: pydantic-ai, read 2026-11-25."""
CLAUDE_ONE_SAMPLING = r".*claude-(sonnet-4[.-][56]|haiku-4[.-]5|opus-4[.-][56]).*"
"""Temperature or top_p, not both."""
CLAUDE_NO_PREFILL = r".*claude-((opus|sonnet)-4[.-][6-9]|(opus|sonnet|haiku)-5|fable|mythos).*"
"""A history that ends with the assistant is refused. Source: langchain-ai/deepagents#1585."""

# OpenAI. Source: https://platform.openai.com/docs/api-reference/chat, the deprecations page,
# openai/openai-dotnet#877.
OPENAI = r"(gpt-(?!oss)|chatgpt-|o\d).*"
OPENAI_NOT_REASONING = r"gpt-5(\.\d+)?-chat.*"
OPENAI_REASONING = rf"(?!{OPENAI_NOT_REASONING})(gpt-[56]|o\d).*"
OPENAI_REASONING_WHEN_ASKED = r"(?!.*(-pro|codex))gpt-5\.[1-4].*"
"""
Reason only with an effort; the others do without one. Source: pydantic-ai-slim 2.68
``profiles/openai.py``, read 2026-11-25.
"""
OPENAI_NO_TOOLS = r"gpt-(6-astra|6\.1-sol|6\.2-(astra|sol)).*"
"""
Tools only through the Responses API. Source: OpenAI's "Using GPT-6.2" guide, quoted 2026-11-18.
"""
OPENAI_TOOLS_WITHOUT_EFFORT = r"gpt-(5\.[67]|6-|6\.1-terra).*"
"""
Tools on chat completions only with ``reasoning_effort: "none"``. Source: BerriAI/litellm#34569 and
others.
"""
OPENAI_RESPONSES_ONLY = r".*-pro(-\d{4}.*)?|.*codex.*|.*deep-research.*|computer-use.*"
"""
Not served by chat completions. Source: ``types/shared/responses_model.py`` of openai 3.54, read
2026-11-25.
"""
OPENAI_RESPONSES_WITH_TOOLS = rf"{OPENAI_NO_TOOLS}|gpt-(5\.[5-9]|6).*"
"""
Reason unless told not to, and refuse tools on chat completions while they do. Source:
pydantic-ai-slim 2.68 ``profiles/openai.py``, read 2026-11-25.
"""
OPENAI_RESPONSES_WITH_EFFORT = r"gpt-5\.4.*"
"""Refuse tools on chat completions when an effort is asked for. Same source."""
OPENAI_EFFORTS = (
    (OPENAI_NO_TOOLS, ("low", "medium", "high")),
    (r"gpt-5-pro.*", ("high",)),
    (r"gpt-5-codex.*", ("low", "medium", "high")),
    (r"gpt-5(-mini|-nano)?(-\d{4}.*)?", ("minimal", "low", "medium", "high")),
    (r"gpt-(5\.[1-9]|6).*", ("none", "low", "medium", "high")),
    (r"o\d.*", ("low", "medium", "high")),
)
"""``reasoning_effort`` by generation, lowest first."""

GEMINI_BUDGET = r"gemini-(1|2)\..*"
"""
Models with a thinking budget, without validated signatures, and without JSON output beside tools.
"""
GEMINI_NO_PREFILL = r"gemini-(3\.[6-9]|[4-9]|\d\d).*"
"""
Requests that end with a model turn are refused. Source: ai.google.dev, "What's new in Gemini 3.6".
"""
NO_SYSTEM_TEXT = r".*(mistral-7b|mixtral-8x7b|titan-text|gemma).*"
"""Source: danny-avila/LibreChat#6456, 567-labs/instructor#1753."""

CONVERSE_GRAMMAR = (
    r".*(claude-(sonnet|haiku)-4-5|claude-opus-4-[5-8]|claude-sonnet-4-6|claude-(opus|sonnet|haiku)-5|qwen3|gemma-3-(12|27)b"
    r"|ministral-3|mistral-large-3|magistral-small|minimax-m2|nemotron-nano|kimi|glm).*"
)
"""
Answers and arguments held to a schema by Bedrock: ``outputConfig.textFormat``, ``toolSpec.strict``.
Source: AWS's structured output page and live notes, 2026-11-22.
"""
NOVA = r".*nova.*"
MISTRAL = r".*(mistral|ministral|magistral|codestral|devstral|pixtral|voxtral).*"


def bare(model: str) -> str:
    """
    The name without what relays and clouds put around it: ``models/``, ``google/``,
    ``Pro/deepseek-ai/``,
    ``publishers/google/models/``, ``:free``.
    """
    name = model.strip().rpartition("/")[2] if "arn:" not in model else model
    return re.sub(r"(:free|:nitro|:floor|:thinking|:exacto|:extended|@latest)$", "", name.lower())


@lru_cache(maxsize=4096)
def matches(pattern: str, model: str) -> bool:
    """Whether the model, under any of its names, fits the pattern; an empty pattern fits none."""
    return bool(pattern) and re.fullmatch(pattern, bare(model), re.IGNORECASE) is not None
