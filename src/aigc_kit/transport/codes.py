"""What vendors' error codes mean where their HTTP status does not say it: tables, each with its source and date."""

from __future__ import annotations

import re

from aigc_kit import errors
from aigc_kit.transport.replies import Verdict

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


def ark(status: int, code: str, message: str) -> Verdict | None:
    """Volcengine Ark and BytePlus ModelArk."""
    stem = code.split(".")[0]
    if found := _ARK.get(code) or _ARK.get(stem):
        return found
    if "SensitiveContentDetected" in code or "RiskDetection" in code:
        return Verdict(errors.ContentFilterError)
    if stem == "InvalidEndpointOrModel":
        return Verdict(errors.NotFoundError)
    if stem.endswith("RateLimitExceeded") or stem == "RateLimitExceeded":
        return Verdict(errors.RateLimitError, retryable=True)
    if stem == "OperationDenied":
        return Verdict(errors.PermissionDeniedError)
    if stem.startswith(("Invalid", "Missing")) and status < 400:
        return Verdict(errors.BadRequestError)
    return None


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
    return _GOOGLE.get(code)


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
    return Verdict(errors.BadRequestError) if re.fullmatch(r"12\d\d", code) else openai(status, code, message)


_TOO_LONG = re.compile(
    r"maximum context length|context_length|prompt is too long|exceeds? the (model's )?max", re.IGNORECASE
)


def openai(status: int, code: str, message: str) -> Verdict | None:
    """
    OpenAI and those who kept its codes: DeepSeek, Kimi, Qwen and most local servers.

    Source: https://platform.openai.com/docs/guides/error-codes, https://api-docs.deepseek.com/quick_start/error_codes and
    https://help.aliyun.com/zh/model-studio/error-code, read 2026-11-22.
    """
    word = code.lower()
    if word in ("insufficient_quota", "billing_hard_limit_reached", "exceeded_current_quota_error", "arrearage"):
        return Verdict(errors.QuotaExceededError)
    if word in ("content_filter", "content_policy_violation", "data_inspection_failed", "datainspectionfailed"):
        return Verdict(errors.ContentFilterError)
    if word == "context_length_exceeded" or (status == 400 and _TOO_LONG.search(message)):
        return Verdict(errors.ContextLengthExceededError)
    if word in ("model_not_found", "modelnotfound"):
        return Verdict(errors.NotFoundError)
    if word in ("invalid_api_key", "invalidapikey"):
        return Verdict(errors.AuthenticationError)
    return None
