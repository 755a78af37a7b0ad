"""
What the command line and the doctor know of each vendor: variables, plans, retired models, and the
cheapest request that costs nothing.

Variables and URLs come from ``aigc_kit.vendors``; the rest stands here, with its source and date. A
provider without a row has the variables that its name makes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from importlib import import_module

from aigc_kit.chat.vendors import VENDORS
from aigc_kit.settings import is_placeholder, variable
from aigc_kit.vendors import account_of, prefixes_of, relay_of

WINGS = {"images": "aigc_kit.image.client", "chat": "aigc_kit.chat.client"}
"""What a provider may do -> the module whose ``provider_names`` lists those that do it."""


@dataclass(frozen=True)
class Retired:
    """Models that end, or have ended. ``models``: a pattern; ``on``: the day; ``use``: what instead."""

    models: str
    on: date
    use: str
    source: str


@dataclass(frozen=True)
class Probe:
    """
    A request that costs nothing and needs a good key.

    ``means``: a key of ``online.PROBES``. ``path``: behind the base URL, ``{model}`` is the model.
    ``body``: of a POST. ``good``: statuses that prove the key; one above 399 is a refusal of the
    request itself, which is checked only after the key.
    """

    means: str = "bearer"
    method: str = "GET"
    path: str = "/models"
    body: str = ""
    good: tuple[int, ...] = (200,)
    source: str = ""


@dataclass(frozen=True)
class Facts:
    """
    One vendor.

    - ``keys``: variables of the API key, the first that is set wins; ``instead``: variables that
      make a key unnecessary.
    - ``base_urls``, ``models``: variables of the base URL and of the models' names.
    - ``home``, ``international``: the vendor's own URLs.
    - ``console``: where keys are made.
    - ``plans``: (pattern of a base URL's path, name of the plan whose keys work there alone).
    - ``key_optional``: a local server asks for none.
    """

    name: str
    keys: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    base_urls: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    home: str = ""
    international: str = ""
    console: str = ""
    plans: tuple[tuple[str, str], ...] = ()
    retired: tuple[Retired, ...] = ()
    probe: Probe | None = None
    default_models: tuple[tuple[str, str], ...] = ()
    key_optional: bool = False
    known: bool = True

    @property
    def timeouts(self) -> tuple[str, ...]:
        """Variables of the time that a call may take."""
        return tuple(
            f"{each.removesuffix('_MODEL')}_TIMEOUT_SECS"
            for each in self.models
            if each.endswith("_MODEL") and not each.endswith(("IMAGE_MODEL", "EMBEDDING_MODEL"))
        )

    @property
    def key_variable(self) -> str:
        """The variable whose key is used, ``""`` when there is none."""
        return next((name for name in self.keys if _filled(name)), "")

    @property
    def configured(self) -> bool:
        """Whether the environment has what a client of this vendor needs."""
        if any(_filled(name) for name in (*self.keys, *self.instead)):
            return True
        return self.key_optional and any(_filled(name) for name in self.base_urls)

    @property
    def base_url(self) -> str:
        """The URL that a client would use, as it was given."""
        return variable(*self.base_urls) or self.home

    def model_for(self, wing: str) -> str:
        """The model that a client of this wing would use."""
        names = [name for name in self.models if ("IMAGE" in name) == (wing == "images")]
        return variable(*names) or dict(self.default_models).get(wing, "")

    def retirement_of(self, model: str) -> Retired | None:
        """The row that says when this model ends, or None."""
        bare = model.lower().rpartition("/")[2]
        return next((row for row in self.retired if re.fullmatch(row.models, bare)), None)


def _filled(name: str) -> bool:
    return bool(variable(name)) and not is_placeholder(variable(name))


_DEPRECATIONS = "https://platform.openai.com/docs/deprecations"
_OPENAI_RETIRED = (
    # Read 2026-11-22.
    Retired(
        r"gpt-4\.1-nano.*|o[134]-mini.*|o1|o1-\d.*|o1-preview|gpt-4-turbo.*|gpt-3\.5-turbo.*",
        date(2026, 10, 23),
        "gpt-6-luna",
        _DEPRECATIONS,
    ),
    Retired(r"dall-e-[23]", date(2026, 5, 12), "gpt-image-2", _DEPRECATIONS),
    Retired(r"gpt-image-1", date(2026, 10, 23), "gpt-image-2", _DEPRECATIONS),
    Retired(
        r"gpt-image-1-mini|gpt-image-1\.5.*|chatgpt-image-latest",
        date(2026, 12, 1),
        "gpt-image-2.6-flare",
        _DEPRECATIONS,
    ),
    Retired(
        r"gpt-5(-mini|-nano)?(-\d{4}.*)?|o3(-\d.*)?",
        date(2026, 12, 11),
        "gpt-6-luna",
        _DEPRECATIONS,
    ),
    Retired(r"gpt-4\.1(-mini)?(-\d.*)?|gpt-4o.*", date(2027, 1, 14), "gpt-6-luna", _DEPRECATIONS),
    Retired(r"gpt-5\.1(-\d{4}.*)?|gpt-5\.4-nano.*", date(2027, 4, 1), "gpt-6-luna", _DEPRECATIONS),
)
_GEMINI_RETIRED = (
    # Read 2026-11-22.
    Retired(
        r"gemini-3-pro-image-preview",
        date(2026, 6, 25),
        "gemini-3-pro-image",
        "https://ai.google.dev/gemini-api/docs/deprecations",
    ),
    Retired(
        r"gemini-3\.1-flash-image-preview",
        date(2026, 6, 25),
        "gemini-3.1-flash-image",
        "https://ai.google.dev/gemini-api/docs/deprecations",
    ),
    Retired(
        r"imagen-.*",
        date(2026, 8, 17),
        "gemini-3-pro-image",
        "azmym/gemini-mcp v0.2.1 (unverified)",
    ),
)
_QWEN_IMAGES = r"qwen-image(-(plus|max|edit|edit-plus|edit-max))?"

_MODELS = Probe(source="https://platform.openai.com/docs/api-reference/models/list")

_OWN: dict[str, Facts] = {
    "openai": Facts(
        "openai",
        models=("OPENAI_IMAGE_MODEL",),
        console="https://platform.openai.com/api-keys",
        retired=_OPENAI_RETIRED,
        probe=_MODELS,
    ),
    "deepseek": Facts(
        "deepseek",
        console="https://platform.deepseek.com/api_keys",
        retired=(
            # Read 2026-11-22.
            Retired(
                r"deepseek-(chat|reasoner)",
                date(2026, 7, 24),
                "deepseek-flash",
                "https://api-docs.deepseek.com/news",
            ),
        ),
        probe=replace(_MODELS, source="https://api-docs.deepseek.com/api/list-models"),
    ),
    "glm": Facts(
        "glm",
        console="https://open.bigmodel.cn/usercenter/apikeys",
        # https://docs.z.ai, docs.continue.dev (z.ai), read 2026-11-26.
        plans=((r".*/api/coding/paas/v4", "GLM Coding Plan"),),
        # No list of models is documented; a request without messages is refused with 1214 or 1210,
        # which is not billed. https://docs.bigmodel.cn/cn/api/api-code, read 2026-11-22.
        probe=Probe(
            method="POST",
            path="/chat/completions",
            body='{"model": "{model}", "messages": []}',
            good=(400,),
            source="https://docs.bigmodel.cn/cn/api/api-code",
        ),
    ),
    "volcengine": Facts(
        "volcengine",
        models=("VOLCENGINE_IMAGE_MODEL",),
        console="https://console.volcengine.com/ark/region:ark+cn-beijing/apiKey",
        # volcengine/ark-cli skills, read 2026-11-22: a plan key on /api/v3, or the reverse, is 401.
        plans=((r".*/api/coding/v3", "Coding Plan"), (r".*/api/plan/v3", "Agent Plan")),
        # An illegal size is refused after the key and the model were checked, and costs nothing.
        # Measured by third parties, 2026-11-22.
        probe=Probe(
            method="POST",
            path="/images/generations",
            body='{"model": "{model}", "prompt": "probe", "size": "1x1"}',
            good=(400,),
            source="https://www.volcengine.com/docs/82379/1541523",
        ),
        default_models=(("images", "doubao-seedream-4-5-251128"),),
    ),
    "moonshot": Facts(
        "moonshot",
        console="https://platform.moonshot.cn/console/api-keys",
        retired=(
            # Read 2026-11-22.
            Retired(
                r"kimi-k2\.5.*|moonshot-v1-.*",
                date(2026, 8, 31),
                "kimi-k3",
                "https://platform.moonshot.cn/docs",
            ),
        ),
        probe=replace(_MODELS, source="https://platform.moonshot.cn/docs/api/chat"),
    ),
    "dashscope": Facts(
        "dashscope",
        models=("DASHSCOPE_IMAGE_MODEL",),
        default_models=(("images", "qwen-image-3.0"),),
        console="https://bailian.console.aliyun.com/?tab=model#/api-key",
        retired=(
            # Read 2026-11-25.
            Retired(
                _QWEN_IMAGES,
                date(2026, 10, 10),
                "qwen-image-3.0",
                "https://help.aliyun.com/zh/model-studio/legacy-models",
            ),
        ),
        # The list is not documented for the compatible mode; a request without messages is refused
        # after the key was checked.
        probe=Probe(
            method="POST",
            path="/chat/completions",
            body='{"model": "{model}", "messages": []}',
            good=(400,),
            source="https://help.aliyun.com/zh/model-studio/error-code",
        ),
    ),
    # https://docs.siliconflow.cn/cn/api-reference/models/get-model-list, read 2026-11-26.
    "siliconflow": Facts(
        "siliconflow",
        models=("SILICONFLOW_IMAGE_MODEL",),
        console="https://cloud.siliconflow.cn/account/ak",
        probe=replace(
            _MODELS, source="https://docs.siliconflow.cn/cn/api-reference/models/get-model-list"
        ),
    ),
    # The list of models is public there; the key itself is what /key describes.
    # https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key, read 2026-11-26.
    "openrouter": Facts(
        "openrouter",
        models=("OPENROUTER_IMAGE_MODEL",),
        console="https://openrouter.ai/settings/keys",
        probe=Probe(
            path="/key",
            source="https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key",
        ),
    ),
    "xai": Facts(
        "xai",
        models=("XAI_IMAGE_MODEL",),
        console="https://console.x.ai",
        probe=replace(_MODELS, source="https://docs.x.ai/docs/api-reference"),
    ),
    "bfl": Facts(
        "bfl",
        models=("BFL_IMAGE_MODEL",),
        console="https://dashboard.bfl.ai",
        # A task that does not exist, asked for with the key.
        probe=Probe(
            means="x-key", path="/get_result?id=aigc-kit-doctor", source="https://docs.bfl.ai"
        ),
    ),
    **{
        name: Facts(name, console=console, probe=_MODELS)
        for name, console in (
            (
                "minimax",
                "https://platform.minimaxi.com/user-center/basic-information/interface-key",
            ),
            ("hunyuan", "https://console.cloud.tencent.com/tokenhub"),
            ("qianfan", "https://console.bce.baidu.com/iam/#/iam/apikey/list"),
            ("stepfun", "https://platform.stepfun.com/interface-key"),
            ("mistral", "https://console.mistral.ai/api-keys"),
            ("groq", "https://console.groq.com/keys"),
            ("together", "https://api.together.ai/settings/api-keys"),
            ("modelscope", "https://modelscope.cn/my/myaccesstoken"),
            ("azure", "https://ai.azure.com"),
        )
    },
    **{
        name: Facts(name, key_optional=True, probe=_MODELS)
        for name in ("ollama", "vllm", "lmstudio")
    },
    "openai_compat": Facts("openai_compat", key_optional=True, probe=_MODELS),
    "gemini": Facts(
        "gemini",
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        instead=("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),
        models=("GEMINI_IMAGE_MODEL", "GEMINI_MODEL"),
        console="https://aistudio.google.com/apikey",
        retired=_GEMINI_RETIRED,
        # Counting tokens is free. https://ai.google.dev/gemini-api/docs/tokens and
        # https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/get-token-count, read
        # 2026-11-26.
        probe=Probe(means="google", source="https://ai.google.dev/gemini-api/docs/tokens"),
        default_models=(("images", "gemini-3-pro-image"), ("chat", "gemini-3.8-flash")),
    ),
    "bedrock": Facts(
        "bedrock",
        keys=("AWS_BEARER_TOKEN_BEDROCK",),
        instead=("AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
        models=("BEDROCK_MODEL",),
        console="https://console.aws.amazon.com/bedrock",
        retired=(
            # awslabs/threat-composer#290, browser-use/browser-use#5448, read 2026-11-22.
            Retired(
                r".*claude-sonnet-4-20250514.*",
                date(2026, 10, 14),
                "global.anthropic.claude-sonnet-4-6",
                "browser-use/browser-use#5448",
            ),
            Retired(
                r".*nova-premier.*",
                date(2026, 9, 14),
                "amazon.nova-2-lite-v1:0",
                "strands-agents/samples#299",
            ),
            Retired(
                r".*claude-opus-4-1-.*",
                date(2027, 1, 8),
                "global.anthropic.claude-opus-5-5",
                "strands-agents/samples#299",
            ),
            Retired(
                r".*claude-sonnet-4-5-.*",
                date(2027, 4, 8),
                "global.anthropic.claude-sonnet-4-6",
                "strands-agents/samples#299",
            ),
        ),
        # A conversation without messages is refused as ValidationException, after signature and
        # rights were checked.
        probe=Probe(
            means="aws",
            source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        ),
        default_models=(("chat", "global.anthropic.claude-sonnet-4-6"),),
    ),
}


def facts_of(name: str) -> Facts:
    """What is known of a provider by its own name; by its name alone where it has no row."""
    account = account_of(name)
    own = _OWN.get(name)
    if account is None:
        return own or _by_name(name)
    own = own or Facts(name, probe=_MODELS, known=False)
    chats = VENDORS.get(name)
    default = (("chat", chats.model),) if chats is not None else ()
    return replace(
        own,
        keys=account.variables,
        base_urls=account.base_url_variables,
        models=(*(f"{prefix}_MODEL" for prefix in prefixes_of(account)), *own.models),
        home=account.base_url,
        international=account.international,
        default_models=(*default, *own.default_models),
    )


def _by_name(name: str) -> Facts:
    relay = relay_of(name)
    stem = prefixes_of(relay)[0]
    return Facts(
        name,
        keys=relay.variables,
        base_urls=relay.base_url_variables,
        models=(f"{stem}_MODEL", f"{stem}_IMAGE_MODEL"),
        known=False,
    )


def wings() -> dict[str, dict[str, list[str]]]:
    """Each wing -> its providers -> their aliases, as the registries have them at this moment."""
    return {wing: import_module(module).provider_names() for wing, module in WINGS.items()}


def providers() -> list[str]:
    """Every provider's own name, those that draw first."""
    return list(dict.fromkeys(name for names in wings().values() for name in names))


def canonical(name: str, wing: str = "") -> str:
    """The provider's own name for a name or an alias; the name itself where it is unknown."""
    for known, names in wings().items():
        for own, aliases in names.items():
            if wing in ("", known) and name in (own, *aliases):
                return own
    return name


def first_configured(wing: str) -> str:
    """
    The first provider of a wing that the environment has all for: the key, and for chat a model and
    a URL. Else the first with a key, whose error says what is missing; ``""`` when there is none.
    """
    found = [facts for facts in map(facts_of, wings()[wing]) if facts.configured]
    ready = [facts for facts in found if wing != "chat" or _can_chat(facts)]
    return next((facts.name for facts in (*ready, *found)), "")


def _can_chat(facts: Facts) -> bool:
    row = VENDORS.get(facts.name)
    return row is None or bool(facts.model_for("chat") and facts.base_url)


R2 = (
    ("R2_ACCESS_KEY_ID",),
    ("R2_ACCESS_KEY_SECRET", "R2_SECRET_ACCESS_KEY"),
    ("R2_ENDPOINT",),
    ("R2_BUCKET_NAME",),
)
"""The variables that ``R2Storage()`` needs; any of a group."""


def r2_is_set() -> bool:
    """Whether any of R2's variables is set."""
    return any(variable(*names) for names in (*R2, ("R2_PUBLIC_DOMAIN",)))
