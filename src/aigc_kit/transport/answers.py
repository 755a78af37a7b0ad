"""The JSON of a response, checked: an error in a 200 is raised here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aigc_kit import errors
from aigc_kit.errors import ProviderError
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.encoding import BROKEN, loaded
from aigc_kit.transport.error_bodies import is_error, is_html, plain_text
from aigc_kit.transport.failures import (
    RequestContext,
    error_from_body,
    error_of,
    failure_of,
    request_id_of,
)
from aigc_kit.transport.http import MAX_ERROR_BYTES, Response


@dataclass(slots=True)
class Answer:
    """
    A finished response. ``json``: what ``read`` made of its body; ``headers`` have lower-case
    names.
    """

    status: int
    json: Any
    request_id: str
    headers: Mapping[str, str]


def answer_of(
    context: RequestContext,
    response: Response,
    deadline: Deadline,
    read: Callable[[RequestContext, bytes, Mapping[str, str]], Any] | None = None,
) -> Answer:
    """
    A successful response, read to its end and checked.

    Args:
        read: the body to its value; unset: ``json_of``.

    Raises:
        ProviderError: the response is an error, could not be read to its end, or makes no sense.
    """
    found = (read or json_of)(context, body_of(context, response, deadline), response.headers)
    return Answer(
        response.status, found, request_id_of(response.headers, body=found), response.headers
    )


def whole_json(raw: bytes) -> bool:
    """Whether these bytes are a whole JSON object, though the connection was cut behind them."""
    return raw[:1] == b"{" and isinstance(loaded(raw), dict)


_CHAT: dict[str, int] = {"limit": 16 * 1024 * 1024, "inflated": 4 * 1024 * 1024}
"""
Bytes of a response that holds no image. A parsed value takes many times its text, and 38 KB of a
unrequested compression hold 40 MB.
https://cheatsheetseries.owasp.org/cheatsheets/Denial_of_Service_Cheat_Sheet.html
"""


def body_of(context: RequestContext, response: Response, deadline: Deadline) -> bytes:
    """
    The bytes of a successful response; of one that was cut, when its JSON is whole.

    Raises:
        ProviderError: the response is not a success, or it could not be read to its end.
    """
    try:
        if response.status != 200:
            raise error_of(
                context,
                response.status,
                response.headers,
                response.read(deadline, limit=MAX_ERROR_BYTES),
            )
        return context.masked(response.read(deadline, **({} if context.paid else _CHAT)))
    except WireError as error:
        if response.status != 200:
            raise error_of(context, response.status, response.headers, b"") from error
        if whole_json(error.came):
            return context.masked(error.came)
        raise failure_of(context, error, deadline, response.headers) from error


def json_of(
    context: RequestContext, raw: bytes, headers: Mapping[str, str], *, paid_in: str = ""
) -> dict[str, Any]:
    """
    The JSON object of a successful response.

    Raises:
        InvalidReplyError: it is none.
        ProviderError: it is an error in a 200.
    """
    body = loaded(raw)
    if body is BROKEN:
        raise not_json(context, raw, request_id=request_id_of(headers))
    return checked_object(context, body, headers, paid_in=paid_in)


def not_json(
    context: RequestContext, raw: bytes, *, request_id: str = ""
) -> errors.InvalidReplyError:
    """The error of a 200 whose body is not JSON."""
    text = raw[:2000].decode("utf-8", "replace")
    said = plain_text(context.redact(text))[:200]
    hint = "; is base_url missing /v1?" if is_html(text) else ""
    return errors.InvalidReplyError(
        f"{context.provider} answered 200 with {len(raw)} bytes that are not JSON: {said!r}{hint}",
        provider=context.provider,
        model=context.model,
        request_id=request_id,
        status_code=200,
        billed="unknown",
    )


def decoded(raw: bytes) -> Any:
    """
    The JSON value of a body, also with an end mark of a stream behind it; None when there is none.
    """
    body = loaded(raw)
    if body is not BROKEN:
        return body
    try:
        text = raw.decode("utf-8")
        value, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        return None
    rest = text[end:].strip()
    return value if rest in ("data: [DONE]", "data:[DONE]", "[DONE]") else None


def checked_object(
    context: RequestContext, body: Any, headers: Mapping[str, str], *, paid_in: str = ""
) -> dict[str, Any]:
    """
    ``body`` when it is a JSON object without an error in it.

    Args:
        paid_in: the field of what was paid for; where it has something, an error beside it does not
            throw that away.
    """
    if paid_in and isinstance(body, dict) and body.get(paid_in):
        return body
    if is_error(body):
        raise vendor_error(context, body, headers)
    if not isinstance(body, dict):
        raise errors.InvalidReplyError(
            f"{context.provider} answered 200 with JSON that is not an object but {type(body).__name__}",
            provider=context.provider,
            model=context.model,
            request_id=request_id_of(headers),
            status_code=200,
            billed="unknown",
        )
    return body


def vendor_error(context: RequestContext, body: Any, headers: Mapping[str, str]) -> ProviderError:
    """The typed error of a body that came with a 200 and ``is_error``."""
    inner = body[0] if isinstance(body, list) else body
    return error_from_body(context, inner, status=200, headers=headers)
