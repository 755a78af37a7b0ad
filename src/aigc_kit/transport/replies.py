"""Replies of vendors: reading their JSON, and turning status, code and message into one typed error."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from aigc_kit import errors
from aigc_kit.errors import Billed, ProviderError
from aigc_kit.settings import Secret
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.exchange import MAX_ERROR_BYTES, Reply
from aigc_kit.transport.rate_limits import wait_in

MAX_MESSAGE = 600
"""Characters of a vendor's own message that an error repeats."""

_SURE_KEY = 16
"""Characters of a key that no other text has by chance."""

_REQUEST_ID_HEADERS = (
    "x-request-id", "x-deepseek-request-id", "x-amzn-requestid", "x-client-request-id", "x-goog-request-id",
)  # fmt: skip
_REQUEST_ID_IN_TEXT = re.compile(r"[Rr]equest [Ii][Dd]: ?([\w-]{8,})")
_LONG_BLOB = re.compile(r"[A-Za-z0-9+/_=-]{120,}|(?:[A-Za-z0-9+/_=-]{50,}(?:\\[rn]|\s)+){2,}[A-Za-z0-9+/_=-]*")
"""base64, in one piece or in lines."""


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
            for value in secret.shown():
                if len(value) >= 6:  # shorter ones are placeholders, and parts of words
                    for written in _spellings(value):
                        text = text.replace(written, "***")
        return _LONG_BLOB.sub(lambda found: f"<{len(found.group())} characters>", text)

    def clean(self, value: Any, depth: int = 0) -> Any:
        """A decoded JSON value without secrets in its texts and names: what was escaped is not any more."""
        if isinstance(value, str):
            return self.redact(value)
        if depth > _DEEPEST and isinstance(value, (dict, list)):
            return "nested too deeply"
        if isinstance(value, list):
            return [self.clean(inner, depth + 1) for inner in value]
        if isinstance(value, dict):
            return {self.redact(str(name)): self.clean(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**100:
            return "a long number"
        return value

    def masked(self, raw: bytes) -> bytes:
        """A body without the key that some vendors repeat in it; shorter keys could be a part of an image's base64."""
        for secret in self.secrets:
            for value in secret.shown():
                if len(value) >= _SURE_KEY and value.encode() in raw:
                    raw = raw.replace(value.encode(), b"***")
        return raw

    def without_secrets(self, error: BaseException) -> BaseException | None:
        """The error as a cause, or None when it or what caused it repeats a secret."""
        link: BaseException | None = error
        while link is not None:
            if self.redact(str(link)) != str(link):
                return None
            link = link.__cause__ or link.__context__
        return error


_DEEPEST = 100


def _spellings(secret: str) -> set[str]:
    """A secret as a vendor's text may repeat it: as it is, in JSON with escaped slashes (PHP), in a URL, in HTML."""
    escaped = json.dumps(secret)[1:-1]
    return {secret, escaped, escaped.replace("/", "\\/"), quote(secret, safe=""), quote(secret), html.escape(secret)}


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
    body = _decoded(raw)
    if body is _BROKEN:
        body = asked.redact(raw.decode("utf-8", "replace"))[:MAX_MESSAGE]
    return error_from_body(asked, body, status=status, headers=headers)


def error_from_body(asked: Asked, body: Any, *, status: int, headers: Mapping[str, str]) -> ProviderError:
    """The typed error for a decoded error body; ``status`` 200 where the vendor hid it in a success."""
    body = asked.clean(body)
    code, message = code_and_message(body)
    inner = _inner_status(body, code)
    effective = inner if status < 400 and inner else status
    effective = effective if effective >= 400 else _TYPES.get(_type_of(body), effective)
    if 300 <= status < 400 and headers.get("location"):
        message = (
            f"a redirect to {asked.redact(headers['location'])[:300]}, which is not followed; is that the base_url?"
        )
    verdict = (asked.judge and asked.judge(effective, code, message)) or verdict_of(effective)
    if asked.paid and effective >= 500:  # whatever its code says, it may have run
        verdict = verdict_of(effective)
    message = message[:MAX_MESSAGE] or ("an empty error" if status >= 400 else "a reply that makes no sense")
    request_id = asked.redact(request_id_of(headers, message, body))
    details: dict[str, Any] = {
        "provider": asked.provider,
        "model": asked.model,
        "request_id": request_id,
        "status_code": status,
        "code": code,
        "body": body,
        "retryable": verdict.retryable,
        "retry_after": retry_after_of(headers, body, message),
        "billed": _billed(verdict.kind, status, effective),
    }
    if issubclass(verdict.kind, errors.ContentFilterError):
        details["reason"] = code
    said = f"{status} {code}".strip() if code != str(status) else str(status)
    hint = f" (request id {request_id})" if request_id and not _REQUEST_ID_IN_TEXT.search(message) else ""
    return verdict.kind(f"{asked.provider} answered {said}: {message}{hint}", **details)


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
    return "unknown" if ran or issubclass(kind, (errors.ServerError, errors.InvalidReplyError)) else "no"


_HOLDERS = ("error", "Error", "errors", "fault", "header", "base_resp", "ResponseMetadata", "Response")
"""Members that hold the error itself, in the order in which they are believed."""
_CODES = ("code", "Code", "error_code", "status_code", "errorCode", "err_code", "errcode", "type", "__type")
_MESSAGES = (
    "message", "Message", "msg", "error_msg", "status_msg", "errorMessage", "error_message", "errmsg", "err_msg",
    "error_description", "detail", "description", "title", "reason", "faultstring", "error", "failed_generation",
)  # fmt: skip


def code_and_message(body: Any) -> tuple[str, str]:
    """
    The vendor's code and words from any of the shapes in use.

    ``{"error": {"code", "message"}}``, ``[{"error": ...}]``, ``{"error": "text"}``, ``{"code", "message" | "msg"}``,
    ``{"detail": ...}`` (FastAPI), ``{"errors": [...]}`` (Cloudflare), ``{"base_resp": ...}`` (MiniMax), ``{"error_code",
    "error_msg"}`` (Qianfan), ``choices[].error`` and ``metadata.raw`` (OpenRouter), Tencent's and Volcengine's
    ``Response`` and ``ResponseMetadata``, or plain text. Google's ``status`` word is preferred over its numeric code.
    """
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return "", _plain(body)
    error = _error_within(body)
    if not isinstance(error, dict):
        return _first_word(body, _CODES), _plain(error) or _plain(body.get("message"))
    code, message = _google_word(error) or _first_word(error, _CODES), _first_text(error)
    if not code and error is not body:
        code = _first_word(body, _CODES)
    raw = _raw_of(error)
    if raw is not None:  # a gateway repeats what its own vendor said
        inner_code, inner_message = code_and_message(raw)
        if inner_message and inner_message not in message:
            message = f"{message}: {inner_message}" if message else inner_message
            code = inner_code or code
    return code, message


def _error_within(body: dict[str, Any]) -> Any:
    """What of the body is about the error: a member of it, or the body itself."""
    for choice in _dicts(body.get("choices")):
        if choice.get("error"):
            return choice["error"]
    for name in _HOLDERS:
        inner = body.get(name)
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, dict) and inner:
            nested = inner.get("Error")
            return nested if isinstance(nested, dict) else inner
        if isinstance(inner, str) and inner.strip():
            described = any(isinstance(body.get(other), str) for other in _MESSAGES if other != name)
            return body if described else inner
    return body


def _google_word(error: dict[str, Any]) -> str:
    for detail in _dicts(error.get("details")):
        if isinstance(detail.get("reason"), str) and detail["reason"]:
            return _word(detail["reason"])
    status = error.get("status")
    return _word(status) if isinstance(status, str) else ""


def _first_word(holder: dict[str, Any], names: Iterable[str]) -> str:
    return next((word for word in (_word(holder.get(name)) for name in names) if word), "")


def _first_text(error: dict[str, Any]) -> str:
    for name in _MESSAGES:
        value = error.get(name)
        if isinstance(value, list):
            value = "; ".join(_one_of_many(item) for item in value[:5])
        if isinstance(value, dict):
            value = _first_text(value) or _plain(value)
        text = _plain(value)
        if text:
            return text
    return ""


def _one_of_many(item: Any) -> str:
    """An entry of a list of violations, with the place it speaks of."""
    if not isinstance(item, dict):
        return _plain(item)
    place = item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    text = _first_text(item) or _plain(item)
    return f"{where}: {text}" if where else text


def _raw_of(error: dict[str, Any]) -> Any:
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str) and raw.lstrip().startswith(("{", "[")):
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return raw
    return raw


def is_error(body: Any) -> bool:
    """
    Whether a body that came with a 200 says that the request failed, in any vendor's shape.

    MiniMax's ``base_resp`` stands beside every answer; only a status that is not 0 is an error.
    """
    if isinstance(body, list):
        return bool(body) and isinstance(body[0], dict) and bool(body[0].get("error"))
    if not isinstance(body, dict):
        return False
    if body.get("error") or body.get("error_code") or body.get("error_msg"):
        return True
    if any(choice.get("error") for choice in _dicts(body.get("choices"))):
        return True
    if any(body.get(name) for name in ("choices", "candidates", "output", "data", "images")):
        return False
    inner = body.get("base_resp")
    if isinstance(inner, dict) and inner.get("status_code"):
        return True
    if body.get("success") is False or body.get("object") == "error" or body.get("type") == "error":
        return True
    if body.get("errors") or body.get("detail") or body.get("fault"):
        return True
    has_code = _word(body.get("code")) not in ("", "0", "200")
    return has_code and any(isinstance(body.get(name), str) for name in ("message", "msg", "Message"))


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _type_of(body: Any) -> str:
    error = _error_within(body) if isinstance(body, dict) else None
    word = error.get("type") if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""


def _word(value: Any) -> str:
    return str(value)[:100] if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if is_html(text):
        title = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE)
        return f"an HTML page{f' ({title.group(1).strip()})' if title else ''} instead of JSON"
    return " ".join(text.split())


def is_html(text: str) -> bool:
    return bool(re.match(r"\s*<(!doctype|html|head|body|\?xml)", text, re.IGNORECASE))


def _inner_status(body: Any, code: str) -> int:
    """The HTTP status that some vendors repeat as the error's code or status."""
    if re.fullmatch(r"[45]\d\d", code):
        return int(code)
    error = body[0] if isinstance(body, list) and body else body
    error = _error_within(error) if isinstance(error, dict) else None
    for name in ("code", "status", "status_code", "http_code"):
        value = error.get(name) if isinstance(error, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return 0


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


def retry_after_of(headers: Mapping[str, str], body: Any = None, message: str = "") -> float | None:
    """
    Seconds that the vendor asks to wait, 0 or more.

    Read from ``retry-after-ms``, ``Retry-After`` in seconds or as a date, ``x-amz-retry-after`` (ms), Google's
    ``RetryInfo.retryDelay`` (``"7.5s"``), or the message ("Please try again in 2.5s").
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
    return wait_in(message) if message else None


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


def sdk_fault(asked: Asked, error: Exception, *, sent: bool) -> ProviderError:
    """The error of a call that failed inside of the vendor's SDK: never the caller's input."""
    said = asked.redact(f"{type(error).__name__}: {str(error)[:200]}")
    when = "after the request was sent" if sent else "before anything was sent"
    return ProviderError(
        f"{asked.provider}: the SDK failed {when} ({said})",
        provider=asked.provider,
        model=asked.model,
        billed="unknown" if sent else "no",
    )


def whole_json(raw: bytes) -> bool:
    """Whether these bytes are a whole JSON object, though the connection was cut behind them."""
    return raw[:1] == b"{" and isinstance(_decoded(raw), dict)


_CHAT: dict[str, int] = {"limit": 16 * 1024 * 1024, "inflated": 4 * 1024 * 1024}
"""
Bytes of a response that holds no image. A parsed value takes many times its text, and 38 KB of a compression that nobody asked
for hold 40 MB. https://cheatsheetseries.owasp.org/cheatsheets/Denial_of_Service_Cheat_Sheet.html
"""


def body_of(asked: Asked, reply: Reply, deadline: Deadline) -> bytes:
    """
    The bytes of a successful reply; of one that was cut, when its JSON is whole.

    Raises:
        ProviderError: the reply is no success, or it could not be read to its end.
    """
    try:
        if reply.status != 200:
            raise error_of(asked, reply.status, reply.headers, reply.read(deadline, limit=MAX_ERROR_BYTES))
        return asked.masked(reply.read(deadline, **({} if asked.paid else _CHAT)))
    except WireError as error:
        if reply.status != 200:
            raise error_of(asked, reply.status, reply.headers, b"") from error
        if whole_json(error.came):
            return asked.masked(error.came)
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
        raise not_json(asked, raw, request_id=request_id_of(headers))
    return checked_object(asked, body, headers, paid_in=paid_in)


def not_json(asked: Asked, raw: bytes, *, request_id: str = "") -> errors.InvalidReplyError:
    """The error of a 200 whose body is not JSON."""
    text = raw[:2000].decode("utf-8", "replace")
    said = _plain(asked.redact(text))[:200]
    hint = "; is base_url missing /v1?" if is_html(text) else ""
    return errors.InvalidReplyError(
        f"{asked.provider} answered 200 with {len(raw)} bytes that are not JSON: {said!r}{hint}",
        provider=asked.provider,
        model=asked.model,
        request_id=request_id,
        status_code=200,
        billed="unknown",
    )


def decoded(raw: bytes) -> Any:
    """The JSON value of a body, also with an end mark of a stream behind it; None when there is none."""
    body = _decoded(raw)
    if body is not _BROKEN:
        return body
    try:
        text = raw.decode("utf-8")
        value, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        return None
    rest = text[end:].strip()
    return value if rest in ("data: [DONE]", "data:[DONE]", "[DONE]") else None


_BROKEN = object()


def _decoded(raw: bytes) -> Any:
    """The JSON, or ``_BROKEN``; not an exception, which would carry the whole text along as its context."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _BROKEN


def checked_object(asked: Asked, body: Any, headers: Mapping[str, str], *, paid_in: str = "") -> dict[str, Any]:
    """
    ``body`` when it is a JSON object without an error in it.

    Args:
        paid_in: the field of what was paid for; where it has something, an error beside it does not throw that away.
    """
    if paid_in and isinstance(body, dict) and body.get(paid_in):
        return body
    if is_error(body):
        raise vendor_error(asked, body, headers)
    if not isinstance(body, dict):
        raise errors.InvalidReplyError(
            f"{asked.provider} answered 200 with JSON that is no object but {type(body).__name__}",
            provider=asked.provider, model=asked.model, request_id=request_id_of(headers), status_code=200,
            billed="unknown",
        )  # fmt: skip
    return body


def vendor_error(asked: Asked, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The typed error of a body that came with a 200 and ``is_error``."""
    inner = body[0] if isinstance(body, list) else body
    return error_from_body(asked, inner, status=200, headers=headers)
