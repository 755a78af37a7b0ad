"""
What vendors' error codes mean where their HTTP status does not say it: tables, each with its source
and date.
"""

from __future__ import annotations

import re

from aigc_kit import errors
from aigc_kit.transport.failures import Verdict
from aigc_kit.transport.rate_limits import wait_in

# https://www.volcengine.com/docs/82379/1299023, read 2026-11-22.
_ARK: dict[str, Verdict] = {
    "ContentSecurityDetectionError": Verdict(errors.ServerError, retryable=True),
    "AccountOverdueError": Verdict(errors.QuotaExceededError),
    "InvalidSubscription": Verdict(errors.QuotaExceededError),
    "QuotaExceeded": Verdict(errors.QuotaExceededError),
    "SetLimitExceeded": Verdict(errors.QuotaExceededError),
    "InvalidAccountStatus": Verdict(errors.AuthenticationError),
    "AuthenticationError": Verdict(errors.AuthenticationError),
    "AccessDenied": Verdict(errors.PermissionDeniedError),
    "ModelNotOpen": Verdict(errors.NotFoundError),
    "UnsupportedModel": Verdict(errors.NotFoundError),
    "OutofContextError": Verdict(errors.ContextLengthExceededError),
    "InternalServiceError": Verdict(errors.ServerError, retryable=True),
    "ServerOverloaded": Verdict(errors.RateLimitError, retryable=True),
    "RequestBurstTooFast": Verdict(errors.RateLimitError, retryable=True),
    "InflightBatchsizeExceeded": Verdict(errors.RateLimitError, retryable=True),
}


def _ark_code(code: str) -> Verdict | None:
    if "SensitiveContentDetected" in code or "RiskDetection" in code:
        return Verdict(errors.ContentFilterError)
    return _ARK.get(code) or _ARK.get(code.split(".")[0])


def ark(status: int, code: str, message: str) -> Verdict | None:
    """Volcengine Ark and BytePlus ModelArk."""
    stem = code.split(".")[0]
    if found := _ark_code(code):
        return found
    if stem == "InvalidEndpointOrModel":
        return Verdict(errors.NotFoundError)
    if stem.endswith("RateLimitExceeded") or stem == "RateLimitExceeded":
        return Verdict(errors.RateLimitError, retryable=True)
    if stem == "OperationDenied":
        return Verdict(errors.PermissionDeniedError)
    by_words = _by_words(status, message)
    if by_words is not None and by_words.kind is errors.ContextLengthExceededError:
        return by_words
    if stem.startswith(("Invalid", "Missing")) and status < 400:
        return Verdict(errors.BadRequestError)
    return by_words


# google.rpc.Status words; https://cloud.google.com/apis/design/errors, read 2026-11-22.
_GOOGLE: dict[str, Verdict] = {
    "API_KEY_INVALID": Verdict(errors.AuthenticationError),
    "API_KEY_EXPIRED": Verdict(errors.AuthenticationError),
    "UNAUTHENTICATED": Verdict(errors.AuthenticationError),
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": Verdict(errors.AuthenticationError),
    "PERMISSION_DENIED": Verdict(errors.PermissionDeniedError),
    "IAM_PERMISSION_DENIED": Verdict(errors.PermissionDeniedError),
    "NOT_FOUND": Verdict(errors.NotFoundError),
    "CANCELLED": Verdict(errors.ServerError),
    "BILLING_DISABLED": Verdict(errors.QuotaExceededError),
}
_GOOGLE_TOO_LONG = re.compile(r"input token count .* exceeds the maximum", re.IGNORECASE)
_GOOGLE_DAILY = re.compile(r"per\s?day", re.IGNORECASE)


def google(status: int, code: str, message: str) -> Verdict | None:
    """Gemini on Vertex AI and on the Developer API."""
    if status == 400 and _GOOGLE_TOO_LONG.search(message):
        return Verdict(errors.ContextLengthExceededError)
    if status == 429 and (_GOOGLE_DAILY.search(message) or _GOOGLE_DAILY.search(code)):
        return Verdict(errors.QuotaExceededError)
    if status == 400 and "billing" in message.lower() and code == "FAILED_PRECONDITION":
        return Verdict(errors.QuotaExceededError)
    relayed = (
        openai(status, code, message) if code.islower() else None
    )  # new-api; unverified, 2026-11-27
    return _GOOGLE.get(code) or relayed


# https://docs.bigmodel.cn/cn/api/api-code, read 2026-11-22. The codes are numbers as text.
_GLM_QUOTA = frozenset({"1110", "1111", "1112", "1113", "1121", "1304", "1308", "1309", "1310"})
_GLM_BUSY = frozenset({"1302", "1303", "1305"})


def glm(status: int, code: str, message: str) -> Verdict | None:
    """Zhipu GLM; arrears (1113) come as 429."""
    if code in _GLM_QUOTA:
        return Verdict(errors.QuotaExceededError)
    if code in _GLM_BUSY:
        return Verdict(errors.RateLimitError, retryable=True)
    if code in ("1000", "1001", "1002", "1003", "1004"):
        return Verdict(errors.AuthenticationError)
    if code in ("1220", "1221", "1222"):
        return Verdict(errors.PermissionDeniedError)
    if code == "1301":
        return Verdict(errors.ContentFilterError)
    if code == "1261":
        return Verdict(errors.ContextLengthExceededError)
    if code == "1211":
        return Verdict(errors.NotFoundError)
    if re.fullmatch(r"12\d\d", code):
        return _by_words(status, message) or Verdict(errors.BadRequestError)
    return openai(status, code, message)


def tokenhub(status: int, code: str, message: str) -> Verdict | None:
    """
    Tencent's TokenHub, whose 402 is a model that was not switched on.

    Source: https://cloud.tencent.com/developer/article/2779936, 2026-11-09.
    """
    found = openai(status, code, message)
    if found is None and status == 402:
        return Verdict(errors.PermissionDeniedError)
    return found


# Words of back ends in use, hosted, relayed or on one's own machine, where neither status nor code
# tells. Sources: the vendors' error pages as below, llama.cpp, SGLang, vLLM, LM Studio and new-api;
# MoonshotAI/kimi-cli#2011, QwenLM/Qwen-Agent#615, langgenius/dify#2406, read 2026-11-26; xAI, GitHub
# Models and text-generation-inference, 2026-11-27.
_TOO_LONG = (
    r"maximum context length|context_length|context length|context window|context size|(prompt|input|message)s? (is|are) too"
    r" long|exceeds? the (model's )?max|exceed(s|ed)? (the )?(model )?(token|context|input length) limit|model token limit"
    r"|range of input length|input length .{0,60}exceed|exceed.{0,40}(context|max_model_len|n_ctx|prompt length)"
    r"|`inputs` tokens .{0,40}must be <=|max(imum)? size: \d+ tokens|exceed(s|ed)? max(imum)? (message )?tokens"
    r"|n_ctx|max_seq_len|maximum prompt length|longer than the (model's )?context|too many (input )?tokens|max length of current question|token count .{0,40}exceeds"
    r"|上下文(长度|窗口)|(输入|提示).{0,10}(过长|超长|超过)|超出.{0,12}(长度|上下文|token)"
)
_NO_MONEY = (
    r"insufficient (account )?(balance|quota|credit|funds)|exceeded your current quota|(free (tier|quota|trial)|quota|credit"
    r"|balance).{0,40}(exhausted|used up|depleted|run out)|account (is )?(in arrears|overdue|suspended)|account has been"
    r" suspended|out of credits|(credit )?balance is too low|used all (available |your )?credits|spend(ing)? limit|key limit exceeded|not enough (balance|credit)|payment required|billing (hard )?limit|overdue balance|recharge"
    r"|余额不足|欠费|额度(已|不足|用尽|已用完)|配额(不足|已用)|账户.{0,6}(欠费|余额)|资源包"
)
_MODERATED = (
    r"content exists risk|(inappropriate|sensitive|unsafe|prohibited|high[- ]risk) content|considered high risk|content"
    r" (management )?policy|content[ _]filter|content moderation|moderation (failed|blocked|rejected)|risk control|was flagged|flagged (by|for)"
    r"|violat\w+ .{0,40}(usage|content) (polic|guideline)|safety_check_type|data_?inspection|safety (system|policy|filter)|censor"
    r"|敏感(内容|信息|词)|内容(安全|违规|审核)|违规内容|不安全|风控"
)
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "exceeded_current_quota_error",
        "arrearage",
        "insufficient_balance",
        "throttling.allocationquota",
        "insufficient_user_quota",
        "quota_exceeded",
        "allocationquota.freetieronly",
        "freetieronly",
        "prepaidbilloverdue",
        "postpaidbilloverdue",
        "commoditynotpurchased",
        "pre_consume_token_quota_failed",
        "account_deactivated",
    }
)
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "datainspectionfailed",
        "sensitive_words_detected",
        "censorship_blocked",
        "content_moderation",
        "prompt_blocked",
        "moderation_blocked",
        "responsibleaipolicyviolation",
        "content_blocked",
        "contentfilter",
        "ipinfringementsuspect",
        "safety",
    }
)
_LONG_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "string_above_max_length",
        "max_tokens_exceeded",
        "context_window_exceeded",
        "request_too_large",
        "tokens_limit_reached",
    }
)

# The part before the dot of DashScope's codes, which come in a 200 too.
# https://help.aliyun.com/zh/model-studio/error-code, read 2026-11-25.
_STEMS: dict[str, Verdict] = {
    "throttling": Verdict(errors.RateLimitError, retryable=True),
}

# MiniMax's base_resp, Qianfan's and SiliconFlow's numbers. Sources: litellm minimax, cnblogs
# liuscraft 21705488, docs.siliconflow.cn, cloud.baidu.com WENXINWORKSHOP; unverified where the
# vendor's page was not reachable, 2026-11-25.
_NUMBERS: dict[str, Verdict] = {
    "1002": Verdict(errors.RateLimitError, retryable=True),
    "1004": Verdict(errors.AuthenticationError),
    "1008": Verdict(errors.QuotaExceededError),
    "1026": Verdict(errors.ContentFilterError),
    "1027": Verdict(errors.ContentFilterError),
    "1039": Verdict(errors.RateLimitError, retryable=True),
    "2013": Verdict(errors.BadRequestError),
    "2049": Verdict(errors.AuthenticationError),
    "20012": Verdict(errors.NotFoundError),
    "20015": Verdict(errors.BadRequestError),
    "30001": Verdict(errors.QuotaExceededError),
    "30011": Verdict(errors.QuotaExceededError),
    "50505": Verdict(errors.ServerError, retryable=True),
    "336003": Verdict(errors.BadRequestError),
    "336007": Verdict(errors.ContextLengthExceededError),
    "336100": Verdict(errors.ServerError, retryable=True),
}


def openai(status: int, code: str, message: str) -> Verdict | None:
    """
    OpenAI and those who kept its codes: DeepSeek, Kimi, Qwen, gateways and most local servers.

    Source: https://platform.openai.com/docs/guides/error-codes,
    https://api-docs.deepseek.com/quick_start/error_codes and
    https://help.aliyun.com/zh/model-studio/error-code, read 2026-11-22.
    """
    word = code.lower()
    if word == "forbidden" and "temporarily blocked" in message.lower():
        return Verdict(
            errors.PermissionDeniedError
        )  # Azure: the whole account, not this prompt (pollinations#12067)
    if word in _QUOTA_CODES:
        return Verdict(errors.QuotaExceededError)
    if word in _FILTER_CODES:
        return Verdict(errors.ContentFilterError)
    if word in _LONG_CODES:
        return Verdict(errors.ContextLengthExceededError)
    if word in ("tool_use_failed", "json_validate_failed"):  # Groq: the model's own mistake
        return Verdict(errors.BadRequestError, retryable=True)
    if word == "rate_limit_exceeded" and status == 413:
        return Verdict(errors.RateLimitError)
    if word in ("model_not_found", "modelnotfound", "model_not_exist", "model_not_supported"):
        return Verdict(errors.NotFoundError)
    if word in (
        "invalid_api_key",
        "invalidapikey",
        "incorrect_api_key",
        "unauthorized",
        "invalid_authentication_error",
    ):
        return Verdict(errors.AuthenticationError)
    by_code = _NUMBERS.get(word) or _STEMS.get(word.split(".")[0])
    return _by_words(status, message) or by_code or _ark_code(code)


def _says(pattern: str, message: str) -> bool:
    """Compiled when a request first fails: it takes as long as importing a module."""
    return re.search(pattern, message, re.IGNORECASE) is not None


def _by_words(status: int, message: str) -> Verdict | None:
    """
    What the vendor's words say where its code does not. A 429 or a 5xx is what it is, but for
    money.

    Gemini says "exceeded your current quota" of a minute's limit too, and when to retry.
    """
    refused = status in (200, 400, 403, 413, 422)
    if (refused or status == 500) and _says(_TOO_LONG, message):
        return Verdict(errors.ContextLengthExceededError)
    soon = status == 429 and wait_in(message) is not None and not _GOOGLE_DAILY.search(message)
    if (refused or status in (401, 402, 429)) and not soon and _says(_NO_MONEY, message):
        return Verdict(errors.QuotaExceededError)
    if (refused or status == 451) and _says(_MODERATED, message):
        return Verdict(errors.ContentFilterError)
    if status == 200 and re.search(
        r"overload|try again later|too busy|繁忙|稍后", message, re.IGNORECASE
    ):
        return Verdict(errors.ServerError, retryable=True)
    return None
