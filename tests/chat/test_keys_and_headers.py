"""Keys in every form, headers that are sent, and headers that come back; on three wire dialects."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    completion,
    converse_response,
    converse_text,
    delta,
    error,
    events,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    outcome,
)

DIALECTS = ["openai_compat", "gemini", "bedrock"]
PLAIN = {
    "openai_compat": completion("ok"),
    "gemini": gemini_response("ok"),
    "bedrock": converse_response("ok"),
}
STREAMED = {
    "openai_compat": events(delta("stop", content="ok"), USAGE_CHUNK),
    "gemini": gemini_stream(gemini_chunk("ok", reason="STOP")),
    "bedrock": converse_text("ok"),
}
FIRST, SECOND = "sk-first-1234567890", "sk-second-123456789"


def client(vendor: Vendor, dialect: str, **options: Any) -> ChatClient:
    """With an API key on each dialect; Bedrock's is a bearer token."""
    if dialect == "bedrock":
        options |= {"aws_access_key_id": None, "aws_secret_access_key": None}
    return vendor.client(dialect, **options)


def keys(vendor: Vendor) -> list[str]:
    """The key of each request."""
    return [
        headers.get("x-goog-api-key") or headers["authorization"].removeprefix("Bearer ")
        for headers in vendor.headers
    ]


# ---- keys


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_secret_of_pydantic_is_a_key_like_its_text(dialect: str) -> None:
    with Vendor(PLAIN[dialect]) as vendor:
        made = client(vendor, dialect, api_key=SecretStr(FIRST))
        assert made.chat(ASK).content == "ok"
        assert keys(vendor) == [FIRST]
        assert FIRST not in repr(made) + repr(vars(made.provider))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_a_function_is_asked_for_the_key_of_each_request(
    dialect: str, stream: bool, wrap: Any
) -> None:
    now = [FIRST]
    with Vendor((STREAMED if stream else PLAIN)[dialect]) as vendor:
        made = client(vendor, dialect, api_key=lambda: wrap(now[0]))
        ask(made, stream=stream)
        now[0] = SECOND
        ask(made, stream=stream)
        assert keys(vendor) == [FIRST, SECOND]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_that_changed_between_two_tries_is_sent_with_the_second(dialect: str) -> None:
    made = itertools.count()
    with Vendor(error(503, "busy"), PLAIN[dialect]) as vendor:
        assert (
            client(vendor, dialect, max_retries=1, api_key=lambda: f"sk-{next(made):010}")
            .chat(ASK)
            .content
            == "ok"
        )
        first, second = keys(vendor)
    assert first < second


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_error_shows_a_key_of_now_or_before(dialect: str) -> None:
    now = [FIRST]
    with Vendor(PLAIN[dialect], error(401, f"{FIRST} was replaced by {SECOND}")) as vendor:
        made = client(vendor, dialect, api_key=lambda: now[0])
        made.chat(ASK)
        now[0] = SECOND
        found = outcome(lambda: made.chat(ASK))
    assert isinstance(found, errors.AuthenticationError)
    shown = str(found) + repr(found.body) + repr(found.__cause__)
    assert FIRST not in shown
    assert SECOND not in shown


def _fails() -> str:
    raise OSError("the vault is closed")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "function", [_fails, lambda: None, lambda: " ", lambda: "schlüssel"], ids=range(4)
)
def test_a_function_without_a_key_sends_nothing(dialect: str, function: Callable[[], Any]) -> None:
    with Vendor(PLAIN[dialect]) as vendor:
        with pytest.raises(errors.MissingCredentialError):
            client(vendor, dialect, api_key=function).chat(ASK)
        assert vendor.requests == []


def module_key() -> str:
    return FIRST


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("key", [module_key, SecretStr(FIRST)], ids=["function", "SecretStr"])
def test_a_client_with_any_kind_of_key_is_pickled(dialect: str, key: Any) -> None:
    with Vendor(PLAIN[dialect]) as vendor:
        stored = pickle.dumps(
            client(vendor, dialect, api_key=key, default_headers={"X-Api-Key": "abc-123456"})
        )
        with pickle.loads(stored) as copy:
            assert copy.chat(ASK).content == "ok"
        assert keys(vendor) == [FIRST]
        assert vendor.headers[0]["x-api-key"] == "abc-123456"


# ---- headers that are sent


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_default_headers_go_with_every_request_and_a_calls_own_win(
    dialect: str, stream: bool
) -> None:
    with Vendor((STREAMED if stream else PLAIN)[dialect]) as vendor:
        made = vendor.client(dialect, default_headers={"X-Team": "blue", "X-Run": "1"})
        ask(made, stream=stream)
        ask(made, stream=stream, extra_headers={"X-Run": "2"})
        assert [(each["x-team"], each["x-run"]) for each in vendor.headers] == [
            ("blue", "1"),
            ("blue", "2"),
        ]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "value", [{"X-Team": 1}, {"Content-Length": "5"}, {"a b": "c"}, "X-Team: blue"], ids=str
)
def test_default_headers_that_http_cannot_carry_are_refused_with_the_options_name(
    dialect: str, value: Any
) -> None:
    with (
        Vendor() as vendor,
        pytest.raises((errors.ConfigurationError, errors.InvalidInputError)) as caught,
    ):
        vendor.client(dialect, default_headers=value)
    assert "default_headers" in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["default_headers", "extra_headers"])
def test_no_error_shows_a_credential_of_a_header(dialect: str, name: str) -> None:
    """Gateways have headers for keys of their own."""
    given = {name: {"X-Gateway-Key": "gateway-123456", "X-Authorization": "Basic dXNlcjpwYXNz"}}
    with Vendor(error(401, "no access for gateway-123456 and dXNlcjpwYXNz")) as vendor:
        made = vendor.client(dialect, **(given if name == "default_headers" else {}))
        found = outcome(lambda: made.chat(ASK, **(given if name == "extra_headers" else {})))
    assert isinstance(found, errors.AuthenticationError)
    assert "gateway-123456" not in str(found) + repr(found.body)
    assert "dXNlcjpwYXNz" not in str(found) + repr(found.body)
    assert "gateway-123456" not in repr(vars(made.provider)) + repr(made.provider._made_from)


# ---- headers that come back


def with_headers(response: Response, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        response.body,
        response.status,
        response.content_type,
        {**response.headers, **named},
        response.pieces,
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_result_has_the_responses_headers_and_its_rate_limits(dialect: str, stream: bool) -> None:
    limits = {
        "x_ratelimit_remaining_requests": "59",
        "x_ratelimit_reset_tokens": "1m30s",
        "X_Trace": "t-1",
    }
    with Vendor(with_headers((STREAMED if stream else PLAIN)[dialect], **limits)) as vendor:
        result = ask(vendor.client(dialect), stream=stream)
    assert result.headers["x-trace"] == "t-1"
    assert result.rate_limits == {"remaining_requests": 59.0, "reset_tokens": 90.0}


def test_a_result_without_limits_has_none() -> None:
    with Vendor(completion("ok")) as vendor:
        assert vendor.client().chat(ASK).rate_limits == {}


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 2.5s.", 2.5),
        ("Please try again in 1m30s", 90.0),
        ("please retry after 20ms", 0.02),
        ("Please wait 3 minutes before you try again", 180.0),
        ("Rate limit reached for gpt-6 in org-1 on requests per min: 3", None),
    ],
)
def test_the_wait_that_a_message_asks_for_is_retry_after(
    message: str, seconds: float | None
) -> None:
    with Vendor(error(429, message)) as vendor:
        found = outcome(lambda: vendor.client().chat(ASK))
    assert isinstance(found, errors.RateLimitError)
    assert found.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_a_header_is_believed_before_the_message() -> None:
    limited = error(429, "try again in 20s")
    with Vendor(with_headers(limited, retry_after="3")) as vendor:
        assert outcome(lambda: vendor.client().chat(ASK)).retry_after == 3.0


def test_a_reset_that_is_a_point_of_time_reads_as_seconds_from_now() -> None:
    """OpenRouter sends milliseconds since 1970."""
    later = time.time() + 60
    sent = {
        "x_ratelimit_reset": str(int(later * 1000)),
        "x_ratelimit_reset_tokens": str(int(later)),
    }
    with Vendor(with_headers(completion("ok"), **sent)) as vendor:
        found = vendor.client().chat(ASK).rate_limits
    assert set(found) == {"reset", "reset_tokens"}
    assert all(0 <= seconds <= 61 for seconds in found.values())


def test_a_limit_that_is_not_a_number_is_left_out() -> None:
    with Vendor(
        with_headers(completion("ok"), x_ratelimit_reset="nan", x_ratelimit_limit="inf")
    ) as vendor:
        assert vendor.client().chat(ASK).rate_limits == {}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "You exceeded your current quota, please check your plan. Please retry in 20s.",
            errors.RateLimitError,
        ),
        (
            "You exceeded your current quota: 50 requests per day. Please retry in 20s.",
            errors.QuotaExceededError,
        ),
        ("You exceeded your current quota, please check your plan.", errors.QuotaExceededError),
    ],
)
def test_a_quota_that_is_there_again_soon_is_a_rate_limit(message: str, kind: Any) -> None:
    """Gemini's words at its compatible endpoint."""
    with Vendor(error(429, message, code=429)) as vendor:
        assert type(outcome(lambda: vendor.client().chat(ASK))) is kind
