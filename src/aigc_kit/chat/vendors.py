"""
Facts about back ends that speak ``chat/completions``: tables, no code that talks.

Each row has its source. Patterns are matched against the bare model name (``models.bare``),
case-insensitively; unknown models pass through. ``facts`` puts together what the row, the host, the
model and the caller's profile say, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

from aigc_kit.chat import models
from aigc_kit.chat.hosted import HOSTED
from aigc_kit.chat.vendor import OPENAI_MODEL, OPENAI_RESPONSES, SAMPLING, row
from aigc_kit.chat.vendor import Vendor as Vendor
from aigc_kit.errors import ConfigurationError
from aigc_kit.settings import spelled, suggestion
from aigc_kit.transport import codes
from aigc_kit.vendors import ALIASES, Account, relay_of

VENDORS = {
    vendor.name: vendor
    for vendor in (
        # https://platform.openai.com/docs/api-reference/chat and the deprecations page, read
        # 2026-11-22.
        row(
            "openai",
            "gpt-6-luna",
            message_fields=("audio",),
            **OPENAI_RESPONSES,
            **OPENAI_MODEL,
        ),
        # https://api-docs.deepseek.com, and the vendor's own harness client, read 2026-11-22.
        # json_schema answers 400, max_completion_tokens is ignored, reasoning_content is demanded
        # back in every conversation with tools.
        row(
            "deepseek",
            "deepseek-flash",
            json_schema="",
            echo_reasoning=".*",
            empty_tool_result="(empty)",
            forced_choice="not while thinking",
            thinks_by_default=".*",
            ignored_while_thinking=SAMPLING[:4],
            message_fields=("prefix",),
        ),
        # https://docs.bigmodel.cn and https://docs.z.ai, read 2026-11-22. Documents of json_schema
        # contradict each other.
        row(
            "glm",
            "glm-5.3-flash",
            json_schema="",
            echo_reasoning=".*",
            always_thinks=r"glm-5\.3.*",
            # pydantic-ai's profile of Z.AI, read 2026-11-25
            efforts=((r"glm-5\.3.*", ("low", "high", "max")),),
            forced_choice="auto only",
            ranges={"temperature": (0.01, 0.99), "top_p": (0.01, 0.99)},
            bare_base64=True,
            judge=codes.glm,
        ),
        # https://www.volcengine.com/docs/82379/1494384, read 2026-11-22.
        row(
            "volcengine",
            "doubao-seed-2-1-lite-260915",
            both_max_tokens=True,
            json_schema=r"(?!doubao-seed-1-6-lite-251015$).*",
            thinking="type",
            efforts=((r"doubao-.*", ("minimal", "low", "medium", "high")),),
            refused=((r"doubao-seed-.*", (*SAMPLING[4:], "stop", "logit_bias")),),
            # volcengine-ark-runtime 5.0.54: create() has no include, its reasoning items no
            # encrypted_content. Read 2026-11-25.
            encrypted_reasoning=False,
            judge=codes.ark,
        ),
        # https://platform.moonshot.cn/docs, read 2026-11-22. Sampling parameters are fixed.
        row(
            "moonshot",
            "kimi-k3",
            max_tokens="max_completion_tokens",
            echo_reasoning=".*",
            reasoning_pad=" ",
            always_thinks=r"kimi-k(3|2\.7-code).*",
            # pydantic-ai's provider of Moonshot, read 2026-11-25
            efforts=((r"kimi-k3.*", ("low", "high", "max")),),
            no_forced_choice=r"kimi-k2\.[67].*",
            image_addresses=False,
            refused=((r"kimi-.*", SAMPLING[:4]),),
            message_fields=("partial",),
            schema_dialect="mfjs",
            tool_name=r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}",
        ),
        # https://help.aliyun.com/zh/model-studio, cloudwego/eino#994,
        # agentscope-ai/agentscope#1608, read 2026-11-22. While a model thinks, JSON output and a
        # forced tool_choice are refused; open-source Qwen3 thinks in streams only.
        row(
            "dashscope",
            "qwen3.8-flash",
            json_schema=r"qwen3\.(7-(plus|flash|max)|8-(max|flash)).*",
            thinking="enable_thinking",
            json_while_thinking=False,
            forced_choice="not while thinking",
            always_thinks=r"(qwq|qvq|.*-thinking).*",
            thinks_by_default=r"qwen3\.[5-9].*|qwen3-\d+(\.\d+)?b(-a\d+b)?",
            cache_control=True,
            thinks_streaming_only=r"qwen3-\d+(\.\d+)?b(-a\d+b)?|(qwq|qvq).*",
            refused=((r".*", ("frequency_penalty",)),),
            ranges={"temperature": (0.0, 1.99)},
            message_fields=("partial",),
        ),
        *HOSTED,
        row(
            "openai_compat",
            "",
            both_max_tokens=True,
            passes_fields=True,
            cache_control=True,
        ),
    )
}

_DEEPSEEK = {"echo_reasoning": ".*", "empty_tool_result": "(empty)", "keeps_developer": False}
_MODELS: tuple[tuple[str, dict[str, Any]], ...] = (
    # "The reasoning_content in the thinking mode must be passed back": danny-avila/LibreChat#13366,
    # earendil-works/pi#4047.
    (r".*deepseek.*", _DEEPSEEK),
    (
        r".*kimi.*",
        {
            "echo_reasoning": ".*",
            "reasoning_pad": " ",
            "schema_dialect": "mfjs",
            "keeps_developer": False,
        },
    ),
    (r".*glm-[45].*", {"echo_reasoning": ".*", "keeps_developer": False}),
    # Arguments whose schema is a $ref come as text: pydantic/pydantic-ai#10243.
    (r".*glm-5.*", {"schema_dialect": "inlined"}),
    (
        models.CLAUDE,
        {
            "refused": ((models.CLAUDE_NO_SAMPLING, SAMPLING[:4]),),
            "one_sampling": models.CLAUDE_ONE_SAMPLING,
            "no_prefill": models.CLAUDE_NO_PREFILL,
            "no_forced_choice": models.CLAUDE_NO_FORCED_TOOL,
            "keeps_developer": False,
        },
    ),
    # Ids of nine letters and digits: https://docs.mistral.ai, vercel/ai
    # convert-to-mistral-chat-messages, read 2026-11-25.
    # pydantic-ai#6593: Azure refuses max_completion_tokens for them.
    (
        models.MISTRAL,
        {
            "call_id": r"[a-zA-Z0-9]{9}",
            "message_fields": ("prefix",),
            "max_tokens": "max_tokens",
        },
    ),
)
"""What a model needs wherever it is served, in the words of ``Vendor``."""

_HOSTS: tuple[tuple[str, dict[str, Any]], ...] = (
    # Models in the cloud do not keep to a schema: pydantic/pydantic-ai#4917.
    (r"(.+\.)?ollama\.com", {"json_schema": ""}),
)
"""What a host needs beside its row."""

_THERE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    # https://docs.mistral.ai, litellm mistral, read 2026-11-25.
    ("mistral", r"magistral.*", {"thinking": "prompt mode"}),
    # MiniMax's models refuse "enabled": cloud.tencent.com/developer/article/2779936.
    ("hunyuan", r"minimax.*", {"thinking": "adaptive"}),
)
"""What a model needs at one vendor: (vendor, models, facts)."""

_OPENAI_HOST = re.compile(
    r"(.+\.)?openai\.com|.+\.openai\.azure\.com|.+\.services\.ai\.azure\.com", re.IGNORECASE
)


def row_of(name: str) -> Vendor:
    """The row of a vendor's name or alias; a name without a row is a relay of that name."""
    found = VENDORS.get(ALIASES.get(name, name))
    if found is not None:
        return found
    relay = relay_of(name)
    return replace(
        VENDORS["openai_compat"],
        name=name,
        variables=relay.variables,
        needs_key=relay.needs_key,
        base_url_variables=relay.base_url_variables,
    )


def facts(
    row: Vendor, *, base_url: str, model: str, profile: Mapping[str, Any] | str | None = None
) -> Vendor:
    """
    What this model needs at this back end.

    Args:
        profile: fields of ``Vendor`` that the caller knows better, or the name of another row.
    """
    host = (urlsplit(base_url).hostname or "").lower()
    found = _at(row, host)
    name = found.home or found.name
    if found.passes_fields and found.openai_rules and models.matches(models.OPENAI, model):
        found = replace(found, **_of_openais_model(name, model))
    if name in _ANY_MODEL or found.passes_fields:
        for pattern, changes in _MODELS:
            if models.matches(pattern, model):
                found = replace(found, **changes)
    for vendor, pattern, changes in _THERE:
        if vendor == name and models.matches(pattern, model):
            found = replace(found, **changes)
    for pattern, changes in _HOSTS:
        if re.fullmatch(pattern, host):
            found = replace(found, **changes)
    return replace(found, **checked_profile(profile)) if profile else found


def _of_openais_model(name: str, model: str) -> dict[str, Any]:
    """What a model of OpenAI needs behind a relay, or on Azure."""
    changes = dict(OPENAI_MODEL)
    if name != "azure":  # a relay may translate: only OpenAI's own endpoint is known to refuse
        changes["no_tools"] = ""
    if not models.matches(models.OPENAI_REASONING, model):
        del changes["max_tokens"]
    return changes


def _at(row: Vendor, host: str) -> Vendor:
    """The row of the host: a relay's name says nothing of who is behind its URL."""
    moved = row.name == "openai" and not _OPENAI_HOST.fullmatch(host)
    if not moved and (row.name in VENDORS and row.name != "openai_compat"):
        return row
    known = VENDORS.get(_row_at(host), VENDORS["openai_compat"])
    identity = {each.name: getattr(row, each.name) for each in fields(Account)}
    found = replace(known, **identity, model=row.model, home=known.name)
    return (
        replace(found, keeps_developer=True) if moved and known.name == "openai_compat" else found
    )


def _row_at(host: str) -> str:
    """The vendor whose own host this is, "" where it is nobody's."""
    if host in ("", "127.0.0.1", "localhost"):
        return ""
    for vendor in VENDORS.values():
        for url in (vendor.base_url, vendor.international):
            if url and urlsplit(url).hostname == host:
                return vendor.name
    return ""


_ANY_MODEL = frozenset(
    {
        "volcengine",
        "dashscope",
        "siliconflow",
        "hunyuan",
        "qianfan",
        "together",
        "modelscope",
        "groq",
    }
)
"""Vendors that serve other vendors' models too."""

_IDENTITY = frozenset({"model", *(each.name for each in fields(Account))})


def checked_profile(profile: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """
    Fields of ``Vendor`` from a dict of them, or from another row.

    Raises:
        ConfigurationError: it is neither.
    """
    if not profile:
        return {}
    known = {each.name: each for each in fields(Vendor) if each.name not in _IDENTITY}
    if isinstance(profile, str):
        name = ALIASES.get(profile, profile)
        if name not in VENDORS:
            raise ConfigurationError(
                f"profile {profile!r} is not a row; there are: {', '.join(sorted(VENDORS))}{suggestion(profile, VENDORS)}"
            )
        return {each: getattr(VENDORS[name], each) for each in known}
    if not isinstance(profile, Mapping):
        raise ConfigurationError(
            f"profile must be a dict or the name of a row, got {spelled(profile)}"
        )
    for name in profile:
        if name not in known:
            raise ConfigurationError(
                f"profile has no fact {name!r}; there are: {', '.join(known)}{suggestion(str(name), known)}"
            )
        _check_fact(name, profile[name])
    return dict(profile)


_WORDS = {
    "thinking": (
        "passed",
        "type",
        "adaptive",
        "effort",
        "enable_thinking",
        "template",
        "reasoning",
        "reasoning switch",
        "prompt mode",
    ),
    "forced_choice": ("passed", "auto only", "auto or none", "not while thinking"),
    "schema_dialect": ("", "mfjs", "inlined"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}
"""Facts that are one of a few words."""
_NOT_PATTERNS = frozenset({*_WORDS, "reasoning_pad", "empty_tool_result"})


def _check_fact(name: str, value: Any) -> None:
    """
    Raises:
        ConfigurationError: the fact has another type, is not one of its words, or is not a regular
            expression.
    """
    standard = getattr(VENDORS["openai_compat"], name)
    kind = (list, tuple) if isinstance(standard, tuple) else type(standard)
    if not callable(standard) and not isinstance(value, kind):
        raise ConfigurationError(
            f"profile's {name} must be like {standard!r}, got {spelled(value)}"
        )
    words = _WORDS.get(name)
    if words and value not in words:
        raise ConfigurationError(
            f"profile's {name} must be one of {', '.join(map(repr, words))}, got {value!r}"
        )
    if not isinstance(value, str) or name in _NOT_PATTERNS:
        return
    try:
        re.compile(value)
    except re.error as error:
        raise ConfigurationError(
            f"profile's {name} is not a regular expression: {value!r} ({error})"
        ) from None
