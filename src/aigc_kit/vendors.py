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
    - ``example``: of a URL, where there is none of its own.
    - ``needs_key``: off for relays and for servers on one's own machine.
    """

    name: str
    base_url: str
    variables: tuple[str, ...]
    base_url_variables: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    international: str = ""
    needs_key: bool = True
    example: str = "http://localhost:8000/v1"


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
        # https://docs.bfl.ai, read 2026-11-25.
        Account("bfl", "https://api.bfl.ai/v1", ("BFL_API_KEY",), ("BFL_BASE_URL",)),
        # pydantic-ai-slim 2.68 providers/azure.py, litellm 1.110.2 llms/azure, read 2026-11-25. The
        # resource is the caller's.
        Account(
            "azure",
            "",
            ("AZURE_OPENAI_API_KEY",),
            ("AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"),
            prefixes=("AZURE_OPENAI",),
            example="https://<resource>.openai.azure.com/openai/v1",
        ),
        # pydantic-ai-slim 2.68 providers/{ollama,vllm}.py, litellm 1.110.2 llms/lm_studio, read
        # 2026-11-25.
        Account(
            "ollama",
            "http://127.0.0.1:11434/v1",
            ("OLLAMA_API_KEY",),
            ("OLLAMA_BASE_URL",),
            needs_key=False,
        ),
        Account(
            "vllm",
            "http://127.0.0.1:8000/v1",
            ("VLLM_API_KEY",),
            ("VLLM_BASE_URL",),
            needs_key=False,
        ),
        Account(
            "lmstudio",
            "http://127.0.0.1:1234/v1",
            ("LM_STUDIO_API_KEY",),
            ("LM_STUDIO_BASE_URL", "LM_STUDIO_API_BASE"),
            prefixes=("LM_STUDIO",),
            needs_key=False,
        ),
        # litellm 1.110.2 llms/minimax, read 2026-11-25. Keys of the two are not interchangeable.
        Account(
            "minimax",
            "https://api.minimaxi.com/v1",
            ("MINIMAX_API_KEY",),
            ("MINIMAX_BASE_URL",),
            international="https://api.minimax.io/v1",
        ),
        # The Hunyuan platform was closed on 2026-09-30; its models are on TokenHub.
        # https://cloud.tencent.com/document/product/1729/131925, read 2026-11-25.
        Account(
            "hunyuan",
            "https://tokenhub.tencentcloudmaas.com/v1",
            ("TOKENHUB_API_KEY", "TENCENT_API_KEY", "HUNYUAN_API_KEY"),
            ("TOKENHUB_BASE_URL", "HUNYUAN_BASE_URL"),
            prefixes=("TOKENHUB",),
            international="https://tokenhub-intl.tencentcloudmaas.com/v1",
        ),
        # https://ai.baidu.com/ai-doc/WENXINWORKSHOP/wm9cvs292, read 2026-11-25.
        Account(
            "qianfan",
            "https://qianfan.baidubce.com/v2",
            ("QIANFAN_API_KEY",),
            ("QIANFAN_BASE_URL",),
        ),
        # Unverified: no package or page was found fresh on 2026-11-25.
        Account(
            "stepfun",
            "https://api.stepfun.com/v1",
            ("STEPFUN_API_KEY", "STEP_API_KEY"),
            ("STEPFUN_BASE_URL",),
            prefixes=("STEP",),
            international="https://api.stepfun.ai/v1",
        ),
        # litellm 1.110.2 llms/{mistral,groq,modelscope}, pydantic-ai-slim 2.68 providers/together.py,
        # read 2026-11-25.
        Account(
            "mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), ("MISTRAL_BASE_URL",)
        ),
        Account("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), ("GROQ_BASE_URL",)),
        Account(
            "together", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",), ("TOGETHER_BASE_URL",)
        ),
        Account(
            "modelscope",
            "https://api-inference.modelscope.cn/v1",
            ("MODELSCOPE_API_KEY", "MODELSCOPE_SDK_TOKEN"),
            ("MODELSCOPE_BASE_URL",),
        ),
        Account(
            "openai_compat",
            "",
            ("OPENAI_COMPAT_API_KEY",),
            ("OPENAI_COMPAT_BASE_URL",),
            needs_key=False,
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
    "azure_openai": "azure",
    "tokenhub": "hunyuan",
    "tencent": "hunyuan",
    "ernie": "qianfan",
    "baidu": "qianfan",
    "step": "stepfun",
    "grok": "xai",
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
    return Account(name, "", (f"{stem}_API_KEY",), (f"{stem}_BASE_URL",), needs_key=False)


def prefixes_of(account: Account) -> list[str]:
    """
    What the account's variables begin with: its name, its aliases and its other names, in
    capitals.
    """
    aliases = [alias for alias, name in ALIASES.items() if name == account.name]
    names = [account.name, *account.prefixes, *aliases]
    return list(dict.fromkeys(name.upper().replace("-", "_").replace(".", "_") for name in names))
