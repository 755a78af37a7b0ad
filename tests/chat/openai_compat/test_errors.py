"""
Errors of OpenAI-compatible back ends as users reported them: what the vendor said, its class, and
whether to retry.
"""

from __future__ import annotations

from typing import Any

import pytest

from aigc_kit import errors
from tests.vendor import (
    ASK,
    USAGE_CHUNK,
    Response,
    Vendor,
    completion,
    delta,
    error,
    events,
    json_response,
    outcome,
    read,
    unless_refused,
)

MODERATED = {
    "code": "data_inspection_failed",
    "message": "Output data may contain inappropriate content.",
}
TOO_LONG = {
    "code": "context_length_exceeded",
    "type": "invalid_request_error",
    "message": "This model's maximum context length is 8192 tokens",
}
BAD_KEY = {
    "code": "invalid_api_key",
    "message": "Incorrect API key",
    "type": "invalid_request_error",
}

# ---- errors inside a stream


@pytest.mark.parametrize("before", [[], [delta(content="he")]], ids=["at once", "after a piece"])
@pytest.mark.parametrize(
    ("provider", "event"),
    [
        pytest.param("qwen", MODERATED, id="moderation"),
        pytest.param("openai_compat", TOO_LONG, id="too long"),
        pytest.param("openai_compat", BAD_KEY, id="bad key"),
    ],
)
def test_an_error_event_says_whether_to_retry_and_keeps_its_code(
    provider: str, event: dict[str, Any], before: list[Any]
) -> None:
    """
    Source: https://github.com/UKGovernmentBEIS/inspect_ai/issues/5110 and
    https://github.com/666ghj/BettaFish/issues/108
    """
    with Vendor(events(*before, {"error": event}, done=False)) as vendor:
        result = outcome(lambda: read(vendor.client(provider).chat_stream(ASK)))
    assert isinstance(result, errors.ProviderError)
    assert (result.retryable, result.code) == (False, event["code"])


def test_a_rate_limit_before_any_piece_is_retried_like_a_plain_call() -> None:
    """
    Nothing had come, so the call is sent again; or it is the plain call's error.

    Source: https://github.com/666ghj/BettaFish/issues/108
    """
    limited = events({"error": {"code": 429, "message": "Rate limit exceeded"}}, done=False)
    with Vendor(limited, events(delta(content="ok"), delta("stop"), USAGE_CHUNK)) as vendor:
        result = outcome(lambda: read(vendor.client(max_retries=2).chat_stream(ASK)))
    assert getattr(result, "content", "") == "ok" or type(result) is errors.RateLimitError


# ---- error bodies of other shapes

OPENROUTER = {
    "error": {
        "message": "Provider returned error",
        "code": 400,
        "metadata": {
            "raw": '{"error":{"message":"This model\'s maximum context length is 65536 tokens"}}',
            "provider_name": "DeepSeek",
        },
    }
}
CHOICE = {
    "choices": [
        {
            "index": 0,
            "message": {"content": ""},
            "finish_reason": "error",
            "error": {"code": 502, "message": "Upstream idle timeout"},
        }
    ]
}


@pytest.mark.parametrize(
    ("provider", "status", "body", "words", "kind"),
    [
        pytest.param(
            "openai_compat",
            401,
            {"detail": "Invalid API key"},
            "Invalid API key",
            errors.AuthenticationError,
            id="FastAPI, 401",
        ),
        pytest.param(
            "openai_compat",
            422,
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Input should be a valid string"}]},
            "Input should be a valid string",
            errors.BadRequestError,
            id="FastAPI, 422",
        ),
        pytest.param(
            "openai_compat",
            400,
            {"success": False, "errors": [{"code": 5006, "message": "AiError: bad input"}]},
            "AiError: bad input",
            errors.BadRequestError,
            id="Cloudflare",
        ),
        pytest.param(
            "openai_compat",
            200,
            {
                "choices": None,
                "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"},
            },
            "insufficient balance",
            errors.QuotaExceededError,
            id="MiniMax, arrears under 200",
        ),
        pytest.param(
            "openai_compat",
            200,
            {"error_code": 336003, "error_msg": "the max length of current question is 20000"},
            "the max length of current question",
            errors.AIGCError,
            id="Qianfan under 200",
        ),
        pytest.param(
            "glm",
            200,
            {"code": 500, "msg": "404 NOT_FOUND", "success": False},
            "404 NOT_FOUND",
            errors.AIGCError,
            id="Zhipu under 200",
        ),
        pytest.param(
            "openai_compat",
            200,
            {
                "code": 50505,
                "message": "Model service overloaded. Please try again later.",
                "data": None,
            },
            "Model service overloaded",
            errors.AIGCError,
            id="SiliconFlow under 200",
        ),
        pytest.param(
            "openai_compat",
            400,
            OPENROUTER,
            "maximum context length is 65536",
            errors.ContextLengthExceededError,
            id="OpenRouter, metadata.raw",
        ),
        pytest.param(
            "openai_compat",
            200,
            CHOICE,
            "Upstream idle timeout",
            errors.AIGCError,
            id="OpenRouter, choices[].error",
        ),
    ],
)
def test_an_error_body_of_any_shape_tells_the_vendors_own_words(
    provider: str, status: int, body: Any, words: str, kind: type[errors.AIGCError]
) -> None:
    """
    In its own status or hidden in a 200; ``AIGCError`` stands for any class.

    Source: https://github.com/langgenius/dify-official-plugins/issues/2008 and
    https://github.com/adrianlyjak/obsidian-aloud-tts/issues/114
    """
    with (
        Vendor(json_response(body, status=status)) as vendor,
        pytest.raises(errors.AIGCError) as caught,
    ):
        vendor.client(provider).chat(ASK)
    assert words in str(caught.value)
    assert kind is errors.AIGCError or type(caught.value) is kind


# ---- what a status alone does not say


@pytest.mark.parametrize(
    ("provider", "status", "message", "code", "kind"),
    [
        (
            "kimi",
            400,
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 287431)",
            "invalid_request_error",
            errors.ContextLengthExceededError,
        ),
        (
            "qwen",
            400,
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
            "invalid_parameter_error",
            errors.ContextLengthExceededError,
        ),
        (
            "qwen",
            403,
            "The free tier of the model has been exhausted.",
            "AllocationQuota.FreeTierOnly",
            errors.QuotaExceededError,
        ),
        (
            "qwen",
            429,
            "Allocated quota exceeded, please increase your quota limit.",
            "Throttling.AllocationQuota",
            errors.QuotaExceededError,
        ),
        (
            "qwen",
            429,
            "Requests rate limit exceeded",
            "Throttling.RateQuota",
            errors.RateLimitError,
        ),
        ("hunyuan", 402, "the model is not activated", "", errors.PermissionDeniedError),
        ("hunyuan", 402, "账户余额不足", "", errors.QuotaExceededError),
        ("deepseek", 402, "Insufficient Balance", "", errors.QuotaExceededError),
        (
            "deepseek",
            400,
            "Content Exists Risk",
            "invalid_request_error",
            errors.ContentFilterError,
        ),
        (
            "kimi",
            400,
            "Invalid request: unknown field foo",
            "invalid_request_error",
            errors.BadRequestError,
        ),
        ("qwen", 403, "Model access denied.", "Model.AccessDenied", errors.PermissionDeniedError),
    ],
)
def test_length_quota_and_moderation_have_their_own_class_under_a_plain_status(
    provider: str, status: int, message: str, code: str, kind: type[errors.AIGCError]
) -> None:
    """
    Source: https://github.com/MoonshotAI/kimi-cli/issues/2011,
    https://github.com/QwenLM/Qwen-Agent/issues/615 and
    https://github.com/langgenius/dify/issues/2406
    """
    with (
        Vendor(error(status, message, code=code, type=code)) as vendor,
        pytest.raises(errors.AIGCError) as caught,
    ):
        vendor.client(provider).chat(ASK, model="m")
    assert type(caught.value) is kind


# ---- what people paste


def test_the_whole_endpoint_as_base_url_works_or_is_refused() -> None:
    """Source: https://github.com/ogkalu2/comic-translate/issues/265"""
    with Vendor(completion("ok")) as vendor:
        result = unless_refused(
            lambda: vendor.client(base_url=f"{vendor.url}/v1/chat/completions").chat(ASK)
        )
    assert vendor.paths == ["/v1/chat/completions"] or type(result) is errors.ConfigurationError


def test_a_key_that_begins_with_bearer_works_or_is_refused() -> None:
    """Source: https://github.com/ogkalu2/comic-translate/issues/265"""
    with Vendor(completion("ok")) as vendor:
        result = unless_refused(lambda: vendor.client(api_key="Bearer sk-abc123").chat(ASK))
    keys = [headers.get("authorization") for headers in vendor.headers]
    assert keys == ["Bearer sk-abc123"] or type(result) is errors.ConfigurationError


def test_a_redirected_post_tells_the_new_url() -> None:
    """Source: https://github.com/ogkalu2/comic-translate/issues/265"""
    moved = Response(status=308, headers={"location": "/v2/chat/completions"})
    with Vendor(moved) as vendor, pytest.raises(errors.AIGCError, match="/v2/chat/completions"):
        vendor.client().chat(ASK)
