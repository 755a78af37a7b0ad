"""
One typed error for every way in which a request can fail: by status, code and message, or below
HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, NamedTuple
from urllib.parse import quote

from aigc_kit import errors
from aigc_kit.errors import Billed, ProviderError
from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.encoding import BROKEN, loaded, valid
from aigc_kit.transport.error_bodies import code_and_message, dicts, inner_status, type_of
from aigc_kit.transport.rate_limits import wait_in

MAX_MESSAGE = 600
"""Characters of a vendor's own message that an error repeats."""

_SURE_KEY = 16
"""Characters of a key that no other text has by chance, where it has digits and letters of many kinds."""

_REQUEST_ID_HEADERS = (
    "x-request-id",
    "x-deepseek-request-id",
    "x-amzn-requestid",
    "x-client-request-id",
    "x-goog-request-id",
)
_REQUEST_ID_IN_TEXT = re.compile(r"[Rr]equest [Ii][Dd]: ?([\w-]{8,})")
_LONG_BLOB = re.compile(
    r"[A-Za-z0-9+/_=-]{120,}|(?:[A-Za-z0-9+/_=-]{50,}(?:\\[rn]|\s)+){2,}[A-Za-z0-9+/_=-]*"
)
"""base64, in one piece or in lines."""


class Verdict(NamedTuple):
    """What a vendor's error code means, where it is not what the HTTP status says."""

    kind: type[ProviderError]
    retryable: bool = False


# The word in ``error.type`` or ``error.code`` where no status tells. Ark's words first, then
# OpenAI's (whose events of streams have a code alone) and those of its kin; Kimi's:
# https://platform.moonshot.cn/docs/api/chat, read 2026-11-27.
_TYPES = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "insufficient_quota": 402,
    "server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
    "rate_limit_exceeded": 429,
    "rate_limit_reached_error": 429,
    "engine_overloaded_error": 429,
    "internal_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
}

Judge = Callable[[int, str, str], Verdict | None]
"""(status, code, message) -> what it means, or None: what the status says."""


@dataclass(eq=False, slots=True)
class RequestContext:
    """Who is context, for the errors' sake. ``secrets`` never appear in one."""

    provider: str
    model: str = ""
    paid: bool = False
    judge: Judge | None = None
    secrets: tuple[Secret, ...] = ()

    def redact(self, text: str) -> str:
        for secret in self.secrets:
            for value in secret.shown():
                if len(value) >= 6:  # shorter ones are placeholders, and parts of words
                    for written in _spellings(value):
                        text = text.replace(written, "***")
        return _LONG_BLOB.sub(lambda found: f"<{len(found.group())} characters>", valid(text))

    def clean(self, value: Any, depth: int = 0) -> Any:
        """
        A decoded JSON value without secrets in its texts and names: what was escaped is not any
        more.
        """
        if isinstance(value, str):
            return self.redact(value)
        if depth > _DEEPEST and isinstance(value, (dict, list)):
            return "nested too deeply"
        if isinstance(value, list):
            return [self.clean(inner, depth + 1) for inner in value]
        if isinstance(value, dict):
            return {
                self.redact(str(name)): self.clean(inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**100:
            return "a long number"
        return value

    def masked(self, raw: bytes) -> bytes:
        """
        A body without the key that some vendors repeat in it; shorter keys could be a part of an
        image's base64.
        """
        for secret in self.secrets:
            for value in secret.shown():
                if _is_random(value) and value.encode() in raw:
                    raw = raw.replace(value.encode(), b"***")
        return raw

    def all_masked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """``masked`` for many pieces; the loop over them does not leave C."""
        for secret in self.secrets:
            for value in secret.shown():
                if _is_random(value):
                    pieces = map(methodcaller("replace", value.encode(), b"***"), pieces)
        return pieces

    def without_secrets(self, error: BaseException) -> BaseException | None:
        """The error as a cause, or None when it or what caused it repeats a secret."""
        link: BaseException | None = error
        while link is not None:
            if self.redact(str(link)) != str(link):
                return None
            link = link.__cause__ or link.__context__
        return error


_DEEPEST = 100


def _is_random(key: str) -> bool:
    """
    Whether a text with this key in it repeats the key: placeholders of local servers
    (``sk-no-key-required``) stand in the answers of models too.
    """
    if len(key) < _SURE_KEY or len(set(key)) < _SURE_KEY // 2:
        return False
    return any(map(str.isdigit, key)) and any(map(str.isalpha, key))


def _spellings(secret: str) -> set[str]:
    """
    A secret as a vendor's text may repeat it: as it is, in JSON with escaped slashes (PHP), in a
    URL, in HTML.
    """
    from html import escape

    escaped = json.dumps(secret)[1:-1]
    return {
        secret,
        escaped,
        escaped.replace("/", "\\/"),
        quote(secret, safe=""),
        quote(secret),
        escape(secret),
    }


def verdict_of(status: int) -> Verdict:
    """The meaning of a status by itself."""
    exact = {
        401: Verdict(errors.AuthenticationError),
        402: Verdict(errors.QuotaExceededError),
        403: Verdict(errors.PermissionDeniedError),
        404: Verdict(errors.NotFoundError),
        408: Verdict(errors.ServerError, retryable=True),
        409: Verdict(errors.BadRequestError, retryable=True),
        424: Verdict(errors.ServerError),
        429: Verdict(errors.RateLimitError, retryable=True),
    }
    if status in exact:
        return exact[status]
    if status >= 500:
        return Verdict(errors.ServerError, retryable=True)
    if status >= 400:
        return Verdict(errors.BadRequestError)
    return Verdict(errors.ServerError) if status == 200 else Verdict(errors.InvalidReplyError)


def error_of(
    context: RequestContext, status: int, headers: Mapping[str, str], raw: bytes
) -> ProviderError:
    """The typed error for a response that is not a success."""
    body = loaded(raw)
    if body is BROKEN:
        body = context.redact(raw.decode("utf-8", "replace"))[:MAX_MESSAGE]
    return error_from_body(context, body, status=status, headers=headers)


def error_from_body(
    context: RequestContext, body: Any, *, status: int, headers: Mapping[str, str]
) -> ProviderError:
    """
    The typed error for a decoded error body; ``status`` 200 where the vendor hid it in a success.
    """
    body = context.clean(body)
    code, message = code_and_message(body)
    inner = inner_status(body, code)
    effective = inner if status < 400 and inner else status
    if effective < 400:
        effective = _TYPES.get(type_of(body)) or _TYPES.get(code.lower(), effective)
    if 300 <= status < 400 and headers.get("location"):
        message = f"a redirect to {context.redact(headers['location'])[:300]}, which is not followed; is that the base_url?"
    verdict = (context.judge and context.judge(effective, code, message)) or verdict_of(effective)
    if context.paid and effective >= 500:  # whatever its code says, it may have run
        verdict = verdict_of(effective)
    message = message[:MAX_MESSAGE] or (
        "an empty error" if status >= 400 else "a response that makes no sense"
    )
    request_id = context.redact(request_id_of(headers, message, body))
    details: dict[str, Any] = {
        "provider": context.provider,
        "model": context.model,
        "request_id": request_id,
        "status_code": status,
        "code": code,
        "body": body,
        # The vendor knows better than its status. openai 3.57 ``_should_retry``, read 2026-11-27.
        "retryable": verdict.retryable and headers.get("x-should-retry") != "false",
        "retry_after": retry_after_of(headers, body, message),
        "billed": _billed(verdict.kind, status, effective),
    }
    if issubclass(verdict.kind, errors.ContentFilterError):
        details["reason"] = code
    said = f"{status} {code}".strip() if code != str(status) else str(status)
    hint = (
        f" (request id {request_id})"
        if request_id and not _REQUEST_ID_IN_TEXT.search(message)
        else ""
    )
    return verdict.kind(f"{context.provider} answered {said}: {message}{hint}", **details)


_MAY_HAVE_RUN = frozenset({408, 409, 425, 444, 460, 499})
"""
Refusals that a request may meet which is running, or has run, already.

444 and 499 are nginx's, 460 is AWS's load balancer's: the connection ended before the response.
"""


def _billed(kind: type[ProviderError], told: int, status: int) -> Billed:
    """
    Args:
        told: the status of the response; ``status``: the one that its body repeats.
    """
    ran = told < 400 or not 400 <= status < 500 or status in _MAY_HAVE_RUN
    return (
        "unknown"
        if ran or issubclass(kind, (errors.ServerError, errors.InvalidReplyError))
        else "no"
    )


def request_id_of(headers: Mapping[str, str], message: str = "", body: Any = None) -> str:
    """
    The vendor's id of this request, from a header, the body or the message; ``""`` when it gives
    none.
    """
    for name in _REQUEST_ID_HEADERS:
        if headers.get(name):
            return headers[name]
    if isinstance(body, dict):
        for holder in (body, body.get("error")):
            found = holder.get("request_id") if isinstance(holder, dict) else None
            if isinstance(found, str):
                return found
    told = _REQUEST_ID_IN_TEXT.search(message)
    return told.group(1) if told else ""


def retry_after_of(headers: Mapping[str, str], body: Any = None, message: str = "") -> float | None:
    """
    Seconds that the vendor asks to wait, 0 or more.

    Read from ``retry-after-ms``, ``Retry-After`` in seconds or as a date, ``x-amz-retry-after``
    (ms), Google's ``RetryInfo.retryDelay`` (``"7.5s"``), or the message ("Please try again in
    2.5s").
    """
    for name in ("retry-after-ms", "x-amz-retry-after"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("retry-after")
    if value:
        seconds = _number(value)
        if seconds is not None:
            return seconds
        from datetime import UTC, datetime
        from email.utils import parsedate_to_datetime

        try:
            then = parsedate_to_datetime(value)
            return max(
                0.0,
                (
                    (then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)
                ).total_seconds(),
            )
        except (ValueError, TypeError, OverflowError):
            pass
    holder = body[0] if isinstance(body, list) and body else body
    error = holder.get("error") if isinstance(holder, dict) else None
    for detail in dicts(error.get("details") if isinstance(error, dict) else None):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            return _number(delay[:-1])
    return wait_in(message) if message else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return min(number, 1e9) if number >= 0 else None


def failure_of(
    context: RequestContext,
    error: WireError,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
) -> ProviderError:
    """
    The typed error for an exchange that failed below HTTP; ``headers`` where the response's head
    had come.
    """
    request_id = request_id_of(headers or {})
    details: dict[str, Any] = {
        "provider": context.provider,
        "model": context.model,
        "request_id": request_id,
    }
    detail = context.redact(str(error))
    elapsed = deadline.elapsed()
    if error.too_large:
        return errors.InvalidReplyError(
            f"{context.provider}: {detail}", billed="unknown", **details
        )
    if error.sent and context.paid:
        return errors.OutcomeUnknownError(
            f"{context.provider} may or may not have run the request: no complete answer after {elapsed:.1f} s ({detail})."
            " It is not sent again, for it could be billed twice; look at the vendor's console before you do"
            + (f" (request id {request_id})" if request_id else ""),
            elapsed=elapsed,
            **details,
        )
    billed: Billed = "unknown" if error.sent else "no"
    if error.timed_out:
        what = "did not answer" if error.sent else "could not be reached"
        return errors.ProviderTimeoutError(
            f"{context.provider} {what} within {elapsed:.1f} s ({detail})",
            retryable=True,
            billed=billed,
            **details,
        )
    what = "broke the connection" if error.sent else "could not be reached"
    return errors.ConnectionFailedError(
        f"{context.provider} {what} ({detail})", retryable=True, billed=billed, **details
    )


def sdk_fault(context: RequestContext, error: Exception, *, sent: bool) -> ProviderError:
    """The error of a call that failed inside of the vendor's SDK: never the caller's input."""
    said = context.redact(f"{type(error).__name__}: {str(error)[:200]}")
    when = "after the request was sent" if sent else "before anything was sent"
    return ProviderError(
        f"{context.provider}: the SDK failed {when} ({said})",
        provider=context.provider,
        model=context.model,
        billed="unknown" if sent else "no",
    )
