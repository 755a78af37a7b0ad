"""What boto3 raises and what Bedrock's messages mean, as errors of this library."""

from __future__ import annotations

import re

from aigc_kit import errors
from aigc_kit.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    InvalidReplyError,
    MissingCredentialError,
    ProviderError,
)
from aigc_kit.transport import aws
from aigc_kit.transport.aws import AwsError
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.failures import RequestContext, Verdict, error_from_body, failure_of

_GONE = re.compile(
    r"end of (its )?life|marked by provider as legacy|no longer (available|supported)|deprecated",
    re.IGNORECASE,
)
_STATUS = {
    "throttlingexception": 429,
    "modelnotreadyexception": 429,
    "toomanyrequestsexception": 429,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
    "modelstreamerrorexception": 424,
    "modelerrorexception": 424,
    "modeltimeoutexception": 408,
    "validationexception": 400,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "servicequotaexceededexception": 400,
}


def judge(status: int, code: str, message: str) -> Verdict | None:
    """What Bedrock's messages mean where status and code do not say it."""
    text = message.lower()
    if (
        "on-demand throughput" in text
        or "model identifier is invalid" in text
        or _GONE.search(text)
    ):
        return Verdict(errors.NotFoundError)
    # FTUFormNotFilled comes as a 404: Anthropic's use case form was not sent in.
    form = code.lower() == "ftuformnotfilled" or "use case details" in text
    if form or "don't have access to the model" in text or "not authorized" in text:
        return Verdict(errors.PermissionDeniedError)
    if re.search(
        r"input is too long|exceed context limit|prompt is too long|too many total text bytes", text
    ):
        return Verdict(errors.ContextLengthExceededError)
    if code.lower() in (
        "unrecognizedclientexception",
        "invalidsignatureexception",
        "expiredtokenexception",
        "incompletesignature",
    ):
        return Verdict(errors.AuthenticationError)
    # "Too many tokens per day, please wait before trying again": not within a call. Unverified,
    # 2026-11-27.
    if code.lower() == "servicequotaexceededexception" or (status == 429 and "per day" in text):
        return Verdict(errors.QuotaExceededError)
    if code.lower() == "modelnotreadyexception":
        return Verdict(errors.RateLimitError, retryable=True)
    if code.lower() == "modelstreamerrorexception":
        # "Retry your request.": API reference of ConverseStream, read 2026-11-27.
        return Verdict(errors.ServerError, retryable=True)
    return None


_WAYS_TO_SIGN_IN = (
    "pass api_key, or aws_access_key_id and aws_secret_access_key, or set AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)


def translated(
    error: AwsError, context: RequestContext, deadline: Deadline, *, current_models: str
) -> ProviderError | ConfigurationError | InvalidInputError:
    """
    The typed error for what boto3 raised.

    Args:
        current_models: what to say where a model is gone or unknown.
    """
    if error.usage and error.code == "ParamValidationError":
        said = context.redact(" ".join(str(error).split()))[:500]
        return InvalidInputError(
            f"bedrock cannot take the request: {said}", provider="bedrock", model=context.model
        )
    if error.sign_in:
        return AuthenticationError(
            f"bedrock: signing in to AWS failed on this machine ({context.redact(str(error))[:300]});"
            f" {aws.advice_for(error.code)}",
            code=error.code,
            provider="bedrock",
            model=context.model,
        )
    if error.usage:
        lacking = "Credentials" in error.code or error.code == "ProfileNotFound"
        kind = MissingCredentialError if lacking else ConfigurationError
        return kind(
            f"bedrock: {error}; {_WAYS_TO_SIGN_IN}", provider="bedrock", model=context.model
        )
    if error.code == aws.INVALID_REPLY:
        return InvalidReplyError(
            f"bedrock answered with what cannot be read ({context.redact(str(error))[:200]}); is base_url right?",
            provider="bedrock",
            model=context.model,
            billed="unknown",
        )
    status = error.status or _STATUS.get(error.code.lower(), 0)
    if not status and error.code:
        status = 500
    if not status:
        return failure_of(
            context, WireError(str(error), sent=error.sent, timed_out=error.timed_out), deadline
        )
    message = context.redact(str(error))
    if "on-demand throughput" in message.lower():
        message += "; put a geography in front, e.g. 'us.', 'eu.', 'apac.' or 'global.'"
    elif _GONE.search(message) or "model identifier is invalid" in message.lower():
        message += f"; current models: {current_models}"
    body = {"error": {"code": error.code, "message": message}}
    headers = {
        **error.headers,
        **({"x-amzn-requestid": error.request_id} if error.request_id else {}),
    }
    found = error_from_body(context, body, status=status, headers=headers)
    if (
        isinstance(found, errors.NotFoundError)
        and "current models" not in message
        and "geography" not in message
    ):
        found.args = (f"{found}; current models: {current_models}",)
    return found
