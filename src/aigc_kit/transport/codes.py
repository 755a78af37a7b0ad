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
