"""What a vendor says in the body of an error, in any of the shapes in use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_HOLDERS = (
    "error",
    "Error",
    "errors",
    "fault",
    "header",
    "base_resp",
    "ResponseMetadata",
    "Response",
)
"""Members that hold the error itself, in the order in which they are believed."""
_CODES = (
    "code",
    "Code",
    "error_code",
    "status_code",
    "errorCode",
    "err_code",
    "errcode",
    "type",
    "__type",
)
_MESSAGES = (
    "message",
    "Message",
    "msg",
    "error_msg",
    "status_msg",
    "errorMessage",
    "error_message",
    "errmsg",
    "err_msg",
    "error_description",
    "detail",
    "description",
    "title",
    "reason",
    "faultstring",
    "error",
    "failed_generation",
)


def code_and_message(body: Any) -> tuple[str, str]:
    """
    The vendor's code and words from any of the shapes in use.

    ``{"error": {"code", "message"}}``, ``[{"error": ...}]``, ``{"error": "text"}``,
    ``{"code", "message" | "msg"}``, ``{"detail": ...}`` (FastAPI), ``{"errors": [...]}``
    (Cloudflare), ``{"base_resp": ...}`` (MiniMax), ``{"error_code", "error_msg"}`` (Qianfan),
    ``choices[].error`` and ``metadata.raw`` (OpenRouter), Tencent's and Volcengine's ``Response``
    and ``ResponseMetadata``, or plain text. Google's ``status`` word is preferred over its numeric
    code.
    """
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return "", plain_text(body)
    error = error_within(body)
    if not isinstance(error, dict):
        return _first_word(body, _CODES), plain_text(error) or plain_text(body.get("message"))
    code, message = _google_word(error) or _first_word(error, _CODES), _first_text(error)
    if _is_daily(error) and "per day" not in message.lower():
        message = f"{message} (per day)".strip()
    if not code and error is not body:
        code = _first_word(body, _CODES)
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata):
        code = "content_filter"  # OpenRouter's 403, which is no missing permission
    raw = _raw_of(error)
    if raw is not None:  # a gateway repeats what its own vendor said
        inner_code, inner_message = code_and_message(raw)
        if inner_message and inner_message not in message:
            message = f"{message}: {inner_message}" if message else inner_message
            code = inner_code or code
    return code, message


def error_within(body: dict[str, Any]) -> Any:
    """What of the body is about the error: a member of it, or the body itself."""
    for choice in dicts(body.get("choices")):
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
            described = any(
                isinstance(body.get(other), str) for other in _MESSAGES if other != name
            )
            return body if described else inner
    return body


def _google_word(error: dict[str, Any]) -> str:
    for detail in dicts(error.get("details")):
        if isinstance(detail.get("reason"), str) and detail["reason"]:
            return _word(detail["reason"])
    status = error.get("status")
    return _word(status) if isinstance(status, str) else ""


def _is_daily(error: dict[str, Any]) -> bool:
    """Whether Google's quota is one of a day: only the id of the quota says so."""
    violations = (
        violation
        for detail in dicts(error.get("details"))
        for violation in dicts(detail.get("violations"))
    )
    return any("PerDay" in str(violation.get("quotaId")) for violation in violations)


def _first_word(holder: dict[str, Any], names: Iterable[str]) -> str:
    return next((word for word in (_word(holder.get(name)) for name in names) if word), "")


def _first_text(error: dict[str, Any]) -> str:
    for name in _MESSAGES:
        value = error.get(name)
        if isinstance(value, list):
            value = "; ".join(_one_of_many(item) for item in value[:5])
        if isinstance(value, dict):
            value = _first_text(value) or plain_text(value)
        text = plain_text(value)
        if text:
            return text
    return ""


def _one_of_many(item: Any) -> str:
    """An entry of a list of violations, with the place it speaks of."""
    if not isinstance(item, dict):
        return plain_text(item)
    place = item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    text = _first_text(item) or plain_text(item)
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


_RESULTS = ("candidates", "output", "data", "images")


def is_said(error: Any) -> bool:
    """
    Whether the value of an ``error`` field says anything: one-api writes one with empty fields, or a
    code of 0, beside responses that are right; unverified, 2026-11-27.
    """
    if isinstance(error, Mapping):
        return any(value not in ("0", "null") and bool(value) for value in error.values())
    return bool(error)


def is_error(body: Any) -> bool:
    """
    Whether a body that came with a 200 says that the request failed, in any vendor's shape.

    MiniMax's ``base_resp`` stands beside every answer; only a status that is not 0 is an error.
    """
    if isinstance(body, list):
        return bool(body) and isinstance(body[0], dict) and is_said(body[0].get("error"))
    if not isinstance(body, dict):
        return False
    if is_said(body.get("error")) or body.get("error_code") or body.get("error_msg"):
        return True
    inner = body.get("base_resp")
    if isinstance(inner, dict) and inner.get("status_code"):
        return True
    choices = body.get("choices")
    if choices:
        return any(is_said(choice.get("error")) for choice in dicts(choices))
    for name in _RESULTS:
        if body.get(name):
            return False
    if body.get("success") is False or body.get("object") == "error" or body.get("type") == "error":
        return True
    if body.get("errors") or body.get("detail") or body.get("fault"):
        return True
    has_code = _word(body.get("code")) not in ("", "0", "200")
    return has_code and any(
        isinstance(body.get(name), str) for name in ("message", "msg", "Message")
    )


def dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def type_of(body: Any) -> str:
    error = error_within(body) if isinstance(body, dict) else None
    word = error.get("type") if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""


def _word(value: Any) -> str:
    return str(value)[:100] if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def plain_text(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else ""
        if value is None
        else json.dumps(value, ensure_ascii=False)
    )
    if is_html(text):
        title = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE)
        return f"an HTML page{f' ({title.group(1).strip()})' if title else ''} instead of JSON"
    return " ".join(text.split())


def is_html(text: str) -> bool:
    return bool(re.match(r"\s*<(!doctype|html|head|body|\?xml)", text, re.IGNORECASE))


def inner_status(body: Any, code: str) -> int:
    """The HTTP status that some vendors repeat as the error's code or status."""
    if re.fullmatch(r"[45]\d\d", code):
        return int(code)
    error = body[0] if isinstance(body, list) and body else body
    error = error_within(error) if isinstance(error, dict) else None
    for name in ("code", "status", "status_code", "http_code"):
        value = error.get(name) if isinstance(error, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return 0
