"""Error bodies, codes and waits -> typed errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from aigc_kit import errors
from aigc_kit.settings import Secret
from aigc_kit.transport import answers, codes, failures
from aigc_kit.transport.error_bodies import code_and_message
from aigc_kit.transport.failures import RequestContext, error_from_body, retry_after_of

CONTEXT = RequestContext("vendor", "model")


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, None, 7),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250"}, None, 0.25),
        ({"x-amz-retry-after": "100"}, None, 0.1),
        ({"retry-after": "-5"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "99999999999999"}, None, 1e9),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, 0),
        ({}, {"error": {"details": [{"retryDelay": "7.5s"}]}}, 7.5),
        ({}, [{"error": {"details": [{}, 5, {"retryDelay": "39s"}]}}], 39),
        ({}, {"error": {"details": [{"retryDelay": "x"}]}}, None),
        ({}, {"error": "x"}, None),
    ],
)
def test_waits_that_vendors_ask_for(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    """Seconds, milliseconds, a date, or Google's duration."""
    assert retry_after_of(headers, body) == seconds


def test_a_date_in_the_future() -> None:
    """RFC 9110's other form of Retry-After."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    found = retry_after_of({"retry-after": then})
    assert found is not None
    assert 3000 < found <= 3600


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "A.B", "message": "m"}}, "A.B", "m"),
        ({"error": {"code": 429, "status": "EXHAUSTED", "message": "m"}}, "EXHAUSTED", "m"),
        ([{"error": {"code": 5, "message": "m"}}], "5", "m"),
        ({"error": "text"}, "", "text"),
        ({"code": "1302", "msg": "m"}, "1302", "m"),
        ({"message": "m"}, "", "m"),
        ({"error": {"type": "t", "message": None}}, "t", ""),
        ({"error": {"message": {"a": 1}}}, "", '{"a": 1}'),
        ("<html><title> Bad Gateway </title>", "", "an HTML page (Bad Gateway) instead of JSON"),
        ("  <!DOCTYPE html>", "", "an HTML page instead of JSON"),
        (None, "", ""),
        ([], "", "[]"),
        ({"error": {"code": True}}, "", ""),
    ],
)
def test_error_bodies_of_every_shape(body: Any, code: str, message: str) -> None:
    """Code and words are found wherever vendors put them."""
    assert code_and_message(body) == (code, message)


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_is_an_error(status: int) -> None:
    """No status is a surprise; 5xx may have been billed."""
    error = error_from_body(CONTEXT, {}, status=status, headers={})
    assert isinstance(error, errors.ProviderError)
    assert type(error) is not errors.ProviderError
    assert error.status_code == status
    ran = isinstance(error, errors.ServerError) or status in (409, 425, 444, 460, 499)
    assert error.billed == ("unknown" if ran else "no")


def test_messages_are_short_and_clean() -> None:
    """No key, no base64, no endless text."""
    asked = RequestContext("vendor", secrets=(Secret("canary-key"),))
    raw = (
        b'{"error": {"message": "key canary-key, picture '
        + b"A" * 500
        + b" "
        + b"word " * 500
        + b'"}}'
    )
    error = failures.error_of(asked, 400, {}, raw)
    assert "canary" not in str(error) + repr(error.body)
    assert "A" * 120 not in str(error)
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invalid_request_error", errors.BadRequestError),
        ("authentication_error", errors.AuthenticationError),
        ("overloaded_error", errors.ServerError),
        ("Forbidden", errors.PermissionDeniedError),
        ("new", errors.ServerError),
    ],
)
def test_errors_in_a_200_are_told_by_their_type(kind: str, status: type[Exception]) -> None:
    """Where neither status nor code says anything."""
    body = {"error": {"type": kind, "message": "m"}}
    with pytest.raises(status):
        answers.checked_object(CONTEXT, body, {})


def test_googles_words() -> None:
    """A few that differ from their status."""
    assert codes.google(429, "RESOURCE_EXHAUSTED", "per minute") is None
    found = codes.google(400, "FAILED_PRECONDITION", "billing is disabled")
    assert found is not None
    assert found.kind is errors.QuotaExceededError
