"""
Where each vendor is and which variables name its key: facts that every wing reads.

One row for each account with a vendor, whatever it is used for. Sources: the vendors' API
references as named in ``aigc_kit.chat.vendors``, read 2026-11-22.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, eq=False)
class Account:
    """
    One vendor's API.

    - ``variables``: of the key, in order.
    - ``base_url_variables``: of the URL, in order.
    - ``prefixes``: of the other variables (``<PREFIX>_MODEL``, ``<PREFIX>_TIMEOUT_SECS``).
    - ``international``: the same API outside of China (``region="intl"``).
    """

    name: str
    base_url: str
    variables: tuple[str, ...]
    base_url_variables: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    international: str = ""


ACCOUNTS = {
    account.name: account
    for account in (
        Account(
            "openai",
            "https://api.openai.com/v1",
            ("OPENAI_API_KEY",),
            ("OPENAI_BASE_URL",),
        ),
        Account(
            "deepseek",
            "https://api.deepseek.com",
            ("DEEPSEEK_API_KEY",),
            ("DEEPSEEK_BASE_URL",),
        ),
        Account(
            "glm",
            "https://open.bigmodel.cn/api/paas/v4",
            ("ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "BIGMODEL_API_KEY"),
            ("ZAI_BASE_URL", "ZHIPUAI_BASE_URL"),
            prefixes=("ZAI", "ZHIPUAI", "ZHIPU", "BIGMODEL"),
            international="https://api.z.ai/api/paas/v4",
        ),
        Account(
            "volcengine",
            "https://ark.cn-beijing.volces.com/api/v3",
            ("VOLCENGINE_API_KEY", "ARK_API_KEY"),
            ("VOLCENGINE_BASE_URL", "ARK_BASE_URL"),
            prefixes=("ARK",),
            international="https://ark.ap-southeast.bytepluses.com/api/v3",
        ),
        Account(
            "moonshot",
            "https://api.moonshot.cn/v1",
            ("MOONSHOT_API_KEY", "KIMI_API_KEY"),
            ("MOONSHOT_BASE_URL",),
            international="https://api.moonshot.ai/v1",
        ),
        Account(
            "dashscope",
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            ("DASHSCOPE_API_KEY",),
            ("DASHSCOPE_BASE_URL",),
            international="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ),
        # https://docs.siliconflow.cn, read 2026-11-25.
        Account(
            "siliconflow",
            "https://api.siliconflow.cn/v1",
            ("SILICONFLOW_API_KEY",),
            ("SILICONFLOW_BASE_URL",),
            international="https://api.siliconflow.com/v1",
        ),
        # litellm 1.110.2 llms/openrouter, read 2026-11-25.
        Account(
            "openrouter",
            "https://openrouter.ai/api/v1",
            ("OPENROUTER_API_KEY",),
            ("OPENROUTER_BASE_URL",),
        ),
        # xai-sdk 1.21.0, litellm 1.110.2 llms/xai, read 2026-11-25.
        Account(
            "xai",
            "https://api.x.ai/v1",
            ("XAI_API_KEY",),
            ("XAI_BASE_URL",),
        ),
        Account(
            "openai_compat",
            "",
            ("OPENAI_COMPAT_API_KEY",),
            ("OPENAI_COMPAT_BASE_URL",),
        ),
    )
}

ALIASES = {
    "zhipu": "glm",
    "zai": "glm",
    "doubao": "volcengine",
    "ark": "volcengine",
    "kimi": "moonshot",
    "qwen": "dashscope",
}


def account_of(name: str) -> Account | None:
    """The row of a vendor's name or alias."""
    return ACCOUNTS.get(ALIASES.get(name, name))


def is_openai_host(base_url: str) -> bool:
    """Whether the URL is OpenAI's own: the only host that may see an organisation or a project."""
    host = urlsplit(base_url).hostname or ""
    return bool(re.fullmatch(r"(.+\.)?openai\.com", host, re.IGNORECASE))


def relay_of(name: str) -> Account:
    """The variables of a vendor without a row: those that its name makes."""
    stem = re.sub(r"[^A-Z0-9]+", "_", name.upper())
    return Account(name, "", (f"{stem}_API_KEY",), (f"{stem}_BASE_URL",))


def prefixes_of(account: Account) -> list[str]:
    """
    What the account's variables begin with: its name, its aliases and its other names, in
    capitals.
    """
    aliases = [alias for alias, name in ALIASES.items() if name == account.name]
    names = [account.name, *account.prefixes, *aliases]
    return list(dict.fromkeys(name.upper().replace("-", "_").replace(".", "_") for name in names))
