"""Replies of vendors: reading their JSON, and turning status, code and message into one typed error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from aigc_kit import errors
from aigc_kit.errors import Billed, ProviderError
from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.exchange import Reply

MAX_ERROR_BYTES = 1024 * 1024
MAX_MESSAGE = 600
"""Characters of a vendor's own message that an error repeats."""

_REQUEST_ID_HEADERS = (
    "x-request-id", "x-deepseek-request-id", "x-amzn-requestid", "x-client-request-id", "x-goog-request-id",
)  # fmt: skip
_REQUEST_ID_IN_TEXT = re.compile(r"[Rr]equest [Ii][Dd]: ?([\w-]{8,})")
_LONG_BLOB = re.compile(r"[A-Za-z0-9+/_=-]{120,}")


class Verdict(NamedTuple):
    """What a vendor's error code means, where it is not what the HTTP status says."""

    kind: type[ProviderError]
    retryable: bool = False


# The word in ``error.type`` where no status tells. Ark's words first, then OpenAI's and those of its kin.
_TYPES = {
    "BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404, "TooManyRequests": 429,
    "InternalServerError": 500,
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "rate_limit_error": 429, "insufficient_quota": 402, "server_error": 500, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip

Judge = Callable[[int, str, str], Verdict | None]
"""(status, code, message) -> what it means, or None: what the status says."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Who is asked, for the errors' sake. ``secrets`` never appear in one."""

    provider: str
    model: str = ""
    paid: bool = False
    judge: Judge | None = None
    secrets: tuple[Secret, ...] = ()

    def redact(self, text: str) -> str:
        for secret in self.secrets:
            if len(secret.reveal()) >= 6:  # shorter ones are placeholders, and parts of words
                text = text.replace(secret.reveal(), "***")
        return _LONG_BLOB.sub(lambda found: f"<{len(found.group())} characters>", text)

    def without_secrets(self, error: BaseException) -> BaseException | None:
        """The error as a cause, or None when it or what caused it repeats a secret."""
        link: BaseException | None = error
        while link is not None:
            if self.redact(str(link)) != str(link):
                return None
            link = link.__cause__ or link.__context__
        return error


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


def error_of(asked: Asked, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
    """The typed error for a reply that is not a success."""
    text = asked.redact(raw.decode("utf-8", "replace"))
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        body = text[:MAX_MESSAGE]
    return error_from_body(asked, body, status=status, headers=headers)


def error_from_body(asked: Asked, body: Any, *, status: int, headers: Mapping[str, str]) -> ProviderError:
    """The typed error for a decoded error body; ``status`` 200 where the vendor hid it in a success."""
    code, message = code_and_message(body)
    inner = _inner_status(body)
    effective = inner if status < 400 and inner else status
    effective = effective if effective >= 400 else _TYPES.get(_type_of(body), effective)
    verdict = (asked.judge and asked.judge(effective, code, message)) or verdict_of(effective)
    if asked.paid and effective >= 500:  # whatever its code says, it may have run
        verdict = verdict_of(effective)
    message = message[:MAX_MESSAGE] or ("an empty error" if status >= 400 else "a reply that makes no sense")
    request_id = request_id_of(headers, message, body)
    details: dict[str, Any] = {
        "provider": asked.provider,
        "model": asked.model,
        "request_id": request_id,
        "status_code": status,
        "code": code,
        "body": body,
        "retryable": verdict.retryable,
        "retry_after": retry_after_of(headers, body),
        "billed": _billed(verdict.kind, effective),
    }
    if issubclass(verdict.kind, errors.ContentFilterError):
        details["reason"] = code
    said = f"{status} {code}".strip() if code != str(status) else str(status)
    hint = f" (request id {request_id})" if request_id and not _REQUEST_ID_IN_TEXT.search(message) else ""
    return verdict.kind(f"{asked.provider} answered {said}: {message}{hint}", **details)


_MAY_HAVE_RUN = frozenset({408, 409, 425, 499})
"""Refusals that a request may meet which is running, or has run, already."""


def _billed(kind: type[ProviderError], status: int) -> Billed:
    if status in _MAY_HAVE_RUN:
        return "unknown"
    if issubclass(kind, (errors.ServerError, errors.InvalidReplyError)) or not 400 <= status < 500:
        return "no" if issubclass(kind, (errors.ContentFilterError, errors.RateLimitError)) else "unknown"
    return "no"


def code_and_message(body: Any) -> tuple[str, str]:
    """
    The vendor's code and words from any of the shapes in use.

    ``{"error": {"code", "message"}}``, ``[{"error": ...}]``, ``{"error": "text"}``, ``{"code", "message" | "msg"}``,
    ``{"message"}``, or plain text. Google's ``status`` word is preferred over its numeric code.
    """
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return "", _plain(body)
    error = body.get("error", body)
    if not isinstance(error, dict):
        return _word(body.get("code")), _plain(error) or _plain(body.get("message"))
    reason = next(
        (d["reason"] for d in _dicts(error.get("details")) if isinstance(d.get("reason"), str) and d["reason"]), ""
    )
    status = error.get("status")
    code = _word(reason or (status if isinstance(status, str) else None) or error.get("code") or error.get("type")
                 or error.get("__type"))  # fmt: skip
    return code, _plain(error.get("message") or error.get("msg") or error.get("Message") or "")


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _type_of(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    word = error.get("type") if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""


def _word(value: Any) -> str:
    return str(value)[:100] if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE):
        title = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE)
        return f"an HTML page{f' ({title.group(1).strip()})' if title else ''} instead of JSON"
    return " ".join(text.split())


def _inner_status(body: Any) -> int:
    """The HTTP status that some vendors repeat as ``error.code``."""
    error = body[0] if isinstance(body, list) and body else body
    error = error.get("error") if isinstance(error, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 0


def request_id_of(headers: Mapping[str, str], message: str = "", body: Any = None) -> str:
    """The vendor's id of this request, from a header, the body or the message; ``""`` when it gives none."""
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


def retry_after_of(headers: Mapping[str, str], body: Any = None) -> float | None:
    """
    Seconds that the vendor asks to wait, 0 or more.

    Read from ``retry-after-ms``, ``Retry-After`` in seconds or as a date, ``x-amz-retry-after`` (ms), or Google's
    ``RetryInfo.retryDelay`` (``"7.5s"``).
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
        try:
            then = parsedate_to_datetime(value)
            from datetime import UTC, datetime

            return max(0.0, ((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError, OverflowError):
            pass
    holder = body[0] if isinstance(body, list) and body else body
    error = holder.get("error") if isinstance(holder, dict) else None
    for detail in _dicts(error.get("details") if isinstance(error, dict) else None):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            return _number(delay[:-1])
    return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return min(number, 1e9) if number >= 0 else None


def failure_of(
    asked: Asked, error: WireError, deadline: Deadline, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The typed error for an exchange that failed below HTTP; ``headers`` where the reply's head had come."""
    request_id = request_id_of(headers or {})
    context: dict[str, Any] = {"provider": asked.provider, "model": asked.model, "request_id": request_id}
    detail = asked.redact(str(error))
    elapsed = deadline.elapsed()
    if error.too_large:
        return errors.InvalidReplyError(f"{asked.provider}: {detail}", billed="unknown", **context)
    if error.sent and asked.paid:
        return errors.OutcomeUnknownError(
            f"{asked.provider} may or may not have run the request: no complete answer after {elapsed:.1f} s ({detail})."
            " It is not sent again, for it could be billed twice; look at the vendor's console before you do"
            + (f" (request id {request_id})" if request_id else ""),
            elapsed=elapsed,
            **context,
        )
    billed: Billed = "unknown" if error.sent else "no"
    if error.timed_out:
        what = "did not answer" if error.sent else "could not be reached"
        return errors.ProviderTimeoutError(
            f"{asked.provider} {what} within {elapsed:.1f} s ({detail})", retryable=True, billed=billed, **context
        )
    what = "broke the connection" if error.sent else "could not be reached"
    return errors.ConnectionFailedError(f"{asked.provider} {what} ({detail})", retryable=True, billed=billed, **context)


def whole_json(raw: bytes) -> bool:
    """Whether these bytes are a whole JSON object, though the connection was cut behind them."""
    return raw[:1] == b"{" and isinstance(_decoded(raw), dict)


def body_of(asked: Asked, reply: Reply, deadline: Deadline) -> bytes:
    """
    The bytes of a successful reply; of one that was cut, when its JSON is whole.

    Raises:
        ProviderError: the reply is no success, or it could not be read to its end.
    """
    try:
        if reply.status != 200:
            raise error_of(asked, reply.status, reply.headers, reply.read(deadline, limit=MAX_ERROR_BYTES))
        return reply.read(deadline)
    except WireError as error:
        if reply.status != 200:
            raise error_of(asked, reply.status, reply.headers, b"") from error
        if whole_json(error.came):
            return error.came
        raise failure_of(asked, error, deadline, reply.headers) from error


def json_of(asked: Asked, raw: bytes, headers: Mapping[str, str], *, paid_in: str = "") -> dict[str, Any]:
    """
    The JSON object of a successful reply.

    Raises:
        InvalidReplyError: it is none.
        ProviderError: it is an error in a 200.
    """
    body = _decoded(raw)
    if body is _BROKEN:
        said = _plain(asked.redact(raw[:2000].decode("utf-8", "replace")))[:200]
        raise errors.InvalidReplyError(
            f"{asked.provider} answered 200 with {len(raw)} bytes that are no JSON: {said!r}",
            provider=asked.provider, model=asked.model, request_id=request_id_of(headers), status_code=200,
            billed="unknown",
        )  # fmt: skip
    return checked_object(asked, body, headers, paid_in=paid_in)


_BROKEN = object()


def _decoded(raw: bytes) -> Any:
    """The JSON, or ``_BROKEN``; not an exception, which would carry the whole text along as its context."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _BROKEN


def _redacted(asked: Asked, body: Any) -> Any:
    """The body without secrets: as JSON where it still is JSON, else as text (a long number is a blob too)."""
    text = ""
    try:
        text = asked.redact(json.dumps(body, ensure_ascii=False))
        return json.loads(text)
    except RecursionError:
        return {"error": "an error that is nested too deeply"}
    except ValueError:
        return {"error": text[:MAX_MESSAGE]}


def checked_object(asked: Asked, body: Any, headers: Mapping[str, str], *, paid_in: str = "") -> dict[str, Any]:
    """
    ``body`` when it is a JSON object without an error in it.

    Args:
        paid_in: the field of what was paid for; where it has something, an error beside it does not throw that away.
    """
    if paid_in and isinstance(body, dict) and body.get(paid_in):
        return body
    if isinstance(body, list) and body and isinstance(body[0], dict) and body[0].get("error"):
        body = body[0]
    if isinstance(body, dict) and body.get("error"):
        raise error_from_body(asked, _redacted(asked, body), status=200, headers=headers)
    if not isinstance(body, dict):
        raise errors.InvalidReplyError(
            f"{asked.provider} answered 200 with JSON that is no object but {type(body).__name__}",
            provider=asked.provider, model=asked.model, request_id=request_id_of(headers), status_code=200,
            billed="unknown",
        )  # fmt: skip
    return body
