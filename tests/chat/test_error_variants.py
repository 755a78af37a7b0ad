"""
Siblings of the errors that users reported: other vendors' words, shapes and statuses, in streams
and in other dialects.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    EVENTS,
    FRAMES,
    USAGE,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    block_delta,
    completion,
    converse_response,
    converse_stream,
    converse_text,
    delta,
    error,
    events,
    frame,
    gemini_chunk,
    gemini_response,
    gemini_stream,
    json_response,
    outcome,
    read,
)


def failure(
    response: Response, provider: str = "openai_compat", *, stream: bool = False
) -> errors.ProviderError:
    with Vendor(response) as vendor, pytest.raises(errors.ProviderError) as caught:
        ask(vendor.client(provider), stream=stream)
    return caught.value


# ---- what an error means: siblings by vendor

TOO_LONG = {
    # https://github.com/ggml-org/llama.cpp/issues/19774
    "llama.cpp": (
        400,
        {
            "error": {
                "code": 400,
                "message": "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 4390,
                "n_ctx": 4096,
            }
        },
    ),
    "llama.cpp with a status of its own": (
        500,
        {
            "error": {
                "code": 500,
                "message": "Context size has been exceeded.",
                "type": "server_error",
            }
        },
    ),
    # https://github.com/abetlen/llama-cpp-python/issues/416
    "llama-cpp-python": (
        400,
        {"error": {"message": "Requested tokens (2285) exceed context window of 2048"}},
    ),
    # https://github.com/QwenLM/Qwen3/issues/1321
    "SGLang": (
        400,
        {
            "object": "error",
            "message": "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/237
    "LM Studio": (
        400,
        {
            "error": "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with"
            " context length of only 4096 tokens, which is not enough."
        },
    ),
    # https://github.com/anomalyco/opencode/issues/11141
    "LM Studio's truncation": (
        400,
        {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"},
    ),
    # https://github.com/chatboxai/chatbox/issues/2060
    "SiliconFlow": (
        400,
        {
            "code": 20015,
            "message": "length of prompt_tokens (68957) must be less than max_seq_len (65536).",
            "data": None,
        },
    ),
    # https://github.com/continuedev/continue/issues/10993
    "SiliconFlow with the answer": (
        400,
        {
            "code": 20015,
            "message": "max_total_tokens (33802) must be less than or equal to max_seq_len (32768)",
        },
    ),
    # https://github.com/THUDM/LongBench/issues/104
    "vLLM": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 131072 tokens. However, you requested 351430 tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "Claude behind a relay": (
        400,
        {
            "error": {
                "message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input"
                " length or `max_tokens` and try again (request id: 20260101)",
                "type": "new_api_error",
                "code": "invalid_request",
            }
        },
    ),
    "Gemini behind a relay": (
        400,
        {
            "error": {
                "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                "type": "upstream_error",
            }
        },
    ),
    "xAI": (
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
    ),
    # https://github.com/huggingface/text-generation-inference, router/src/validation.rs
    "text-generation-inference": (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs`"
            " tokens and 100 `max_new_tokens`",
            "error_type": "validation",
        },
    ),
    "GitHub Models": (
        413,
        {
            "error": {
                "code": "tokens_limit_reached",
                "message": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
            }
        },
    ),
    "Ark": (
        400,
        {
            "error": {
                "code": "InvalidParameter",
                "message": "Total tokens of image and text exceed max message tokens",
            }
        },
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("status", "body"), TOO_LONG.values(), ids=TOO_LONG)
def test_a_prompt_that_is_too_long_is_told_apart_in_every_vendors_words(
    status: int, body: Any, stream: bool
) -> None:
    found = failure(json_response(body, status=status), stream=stream)
    assert type(found) is errors.ContextLengthExceededError
    assert not found.retryable


@pytest.mark.parametrize(
    ("provider", "message", "code"),
    [
        (
            "openai",
            "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
            None,
        ),
        (
            "qwen",
            "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
            None,
        ),
        (
            "deepseek",
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            "invalid_request_error",
        ),
        ("openai_compat", "Array too long: 'tools' has 200 items, the maximum is 128", None),
        ("openai_compat", "stop: the maximum number of stop sequences is 4", None),
    ],
)
def test_a_limit_that_is_not_the_contexts_is_a_bad_request(
    provider: str, message: str, code: str | None
) -> None:
    assert type(failure(error(400, message, code=code), provider)) is errors.BadRequestError


NO_MONEY = {
    # https://github.com/popjane/free_chatgpt_api/issues/78
    "new-api": (
        "openai_compat",
        403,
        {
            "error": {
                "message": "user quota is not enough (request id: 202502281247138307582052662997)",
                "type": "new_api_error",
                "param": "",
                "code": "insufficient_user_quota",
            }
        },
    ),
    # https://github.com/QuantumNous/new-api/issues/6929
    "new-api in Chinese": (
        "openai_compat",
        403,
        {
            "error": {
                "message": "用户额度不足, 剩余额度: ＄-0.000002 (request id: 2026081909331357925358)",
                "type": "new_api_error",
            }
        },
    ),
    # https://github.com/Wei-Shaw/sub2api/issues/890
    "sub2api": (
        "openai_compat",
        403,
        {"code": "INSUFFICIENT_BALANCE", "message": "Insufficient account balance"},
    ),
    "SiliconFlow": (
        "openai_compat",
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None},
    ),
    "Kimi": (
        "kimi",
        429,
        {
            "error": {
                "message": "Your account is suspended, please check your plan and billing details",
                "type": "exceeded_current_quota_error",
            }
        },
    ),
    "DashScope's arrears": (
        "qwen",
        400,
        {
            "error": {
                "code": "Arrearage",
                "message": "Access denied, please make sure your account is in good standing.",
            }
        },
    ),
    "DashScope's free tier in a relay": (
        "openai_compat",
        403,
        {
            "error": {
                "code": "AllocationQuota.FreeTierOnly",
                "message": "The free tier of the model has been exhausted.",
            }
        },
    ),
    "Ark behind a relay": (
        "openai_compat",
        403,
        {
            "error": {
                "code": "AccountOverdueError",
                "message": "The request failed because your account has an overdue",
            }
        },
    ),
    "OpenRouter": (
        "openai_compat",
        402,
        {"error": {"code": 402, "message": "This request requires more credits"}},
    ),
    "MiniMax": (
        "openai_compat",
        200,
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    ),
    "Claude behind a relay": (
        "openai_compat",
        400,
        {
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API.",
            }
        },
    ),
    "xAI": (
        "openai_compat",
        429,
        {
            "error": "Your team has either used all available credits or reached its monthly spending limit."
        },
    ),
    "xAI's other status": (
        "openai_compat",
        403,
        {
            "error": "Your team has either used all available credits or reached its monthly spending limit."
        },
    ),
    "OpenRouter's limit of a key": (
        "openai_compat",
        403,
        {"error": {"code": 403, "message": "Key limit exceeded (total limit)."}},
    ),
    # QuantumNous/new-api, model/token.go
    "new-api's used up token": (
        "openai_compat",
        401,
        {"error": {"type": "new_api_error", "message": "该令牌额度已用尽 TokenStatusExhausted"}},
    ),
}


@pytest.mark.parametrize(("provider", "status", "body"), NO_MONEY.values(), ids=NO_MONEY)
def test_an_account_without_money_is_told_apart_in_every_vendors_words(
    provider: str, status: int, body: Any
) -> None:
    found = failure(json_response(body, status=status), provider)
    assert type(found) is errors.QuotaExceededError
    assert not found.retryable


MODERATED = {
    "xAI": (
        "openai_compat",
        403,
        {
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
    ),
    "Kimi": (
        "kimi",
        400,
        {
            "error": {
                "message": "The request was rejected because it was considered high risk",
                "type": "content_filter",
            }
        },
    ),
    "DeepSeek behind a relay": (
        "openai_compat",
        400,
        {
            "error": {
                "message": "Content Exists Risk",
                "type": "invalid_request_error",
                "code": "invalid_request_error",
            }
        },
    ),
    # https://github.com/QuantumNous/new-api/issues/6657
    "new-api": (
        "openai_compat",
        500,
        {
            "error": {
                "message": "user sensitive words detected",
                "type": "new_api_error",
                "code": "sensitive_words_detected",
            }
        },
    ),
    # OpenRouter's moderation is a 403 that is not about the key.
    "OpenRouter": (
        "openai_compat",
        403,
        {
            "error": {
                "code": 403,
                "message": "Your chosen model requires moderation and your input was flagged",
                "metadata": {"reasons": ["sexual"], "flagged_input": "..."},
            }
        },
    ),
    "Ark behind a relay": (
        "openai_compat",
        400,
        {
            "error": {
                "code": "InputTextSensitiveContentDetected",
                "message": "The request failed because the input text",
            }
        },
    ),
    "GLM behind a relay": (
        "openai_compat",
        400,
        {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}},
    ),
    "Azure": (
        "openai_compat",
        400,
        {
            "error": {
                "code": "content_filter",
                "message": "The response was filtered",
                "innererror": {"content_filter_result": {"hate": {"filtered": True}}},
            }
        },
    ),
    "StepFun": (
        "openai_compat",
        451,
        {"error": {"message": "censorship_blocked", "type": "censorship_blocked"}},
    ),
    "DashScope in a status of its own": (
        "qwen",
        400,
        {
            "error": {
                "code": "DataInspectionFailed",
                "message": "Input data may contain inappropriate content.",
            }
        },
    ),
    "MiniMax": (
        "openai_compat",
        200,
        {"base_resp": {"status_code": 1026, "status_msg": "new_sensitive"}},
    ),
}


@pytest.mark.parametrize(("provider", "status", "body"), MODERATED.values(), ids=MODERATED)
def test_moderation_is_told_apart_in_every_vendors_words(
    provider: str, status: int, body: Any
) -> None:
    found = failure(json_response(body, status=status), provider)
    assert type(found) is errors.ContentFilterError
    assert not found.retryable


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            403,
            {"error": {"message": "You have no access to the content of this project"}},
            errors.PermissionDeniedError,
        ),
        (
            429,
            {"error": {"message": "Rate limit reached: 8000 tokens per min, balance 10"}},
            errors.RateLimitError,
        ),
        (
            401,
            {"error": {"message": "Invalid token (request id: 1)", "type": "new_api_error"}},
            errors.AuthenticationError,
        ),
        (
            503,
            {"error": {"message": "当前分组上游负载已饱和，请稍后再试", "type": "new_api_error"}},
            errors.ServerError,
        ),
    ],
)
def test_words_that_only_resemble_a_class_keep_the_class_of_their_status(
    status: int, body: Any, kind: type[errors.ProviderError]
) -> None:
    assert type(failure(json_response(body, status=status))) is kind


# ---- error bodies: siblings by shape

SHAPES = {
    "vLLM, flat": (
        404,
        {
            "object": "error",
            "message": "The model `x` does not exist.",
            "type": "NotFoundError",
            "code": 404,
        },
        "The model `x` does not exist.",
        errors.NotFoundError,
    ),
    "Ollama": (
        404,
        {"error": "model 'x' not found, try pulling it first"},
        "try pulling it",
        errors.NotFoundError,
    ),
    "xAI": (
        403,
        {"code": "The caller does not have permission", "error": "Your team has no access"},
        "Your team has no access",
        errors.PermissionDeniedError,
    ),
    "Mistral's detail": (
        422,
        {
            "object": "error",
            "message": {
                "detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]
            },
        },
        "Extra inputs are not permitted",
        errors.BadRequestError,
    ),
    "LiteLLM's detail": (
        400,
        {"detail": {"error": {"message": "team budget"}}},
        "team budget",
        errors.BadRequestError,
    ),
    "FastAPI's list of texts": (
        400,
        {"detail": ["first fault", "second"]},
        "first fault",
        errors.BadRequestError,
    ),
    "a list of texts": (400, {"errors": ["first fault"]}, "first fault", errors.BadRequestError),
    "an AWS gateway": (
        403,
        {"Message": "User is not authorized"},
        "not authorized",
        errors.PermissionDeniedError,
    ),
    "Spring": (
        404,
        {"timestamp": 1, "status": 404, "error": "Not Found", "path": "/v1/x"},
        "Not Found",
        errors.NotFoundError,
    ),
    "DashScope's own": (
        401,
        {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"},
        "Invalid API-key",
        errors.AuthenticationError,
    ),
    "an error in an error": (
        400,
        {"error": {"error": {"message": "the inner words"}}},
        "the inner words",
        errors.BadRequestError,
    ),
    "OAuth": (
        401,
        {"error": "invalid_client", "error_description": "the secret is wrong"},
        "the secret is wrong",
        errors.AuthenticationError,
    ),
    "msg": (400, {"code": 1, "msg": "the words"}, "the words", errors.BadRequestError),
    "a list": (400, [{"error": {"message": "the words"}}], "the words", errors.BadRequestError),
}


@pytest.mark.parametrize(("status", "body", "words", "kind"), SHAPES.values(), ids=SHAPES)
def test_an_error_body_of_another_shape_tells_its_words_too(
    status: int, body: Any, words: str, kind: type[errors.ProviderError]
) -> None:
    found = failure(json_response(body, status=status))
    assert words in str(found)
    assert type(found) is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            errors.AuthenticationError,
        ),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, errors.RateLimitError),
        (
            {"code": 401, "msg": "令牌已过期或验证不正确", "success": False},
            errors.AuthenticationError,
        ),
        ({"code": 429, "msg": "slow down", "success": False}, errors.RateLimitError),
        ({"error": {"code": 503, "message": "no provider"}}, errors.ServerError),
        ({"detail": "Invalid API key"}, errors.ProviderError),
    ],
    ids=["MiniMax, key", "MiniMax, rate", "Zhipu, key", "Zhipu, rate", "OpenRouter", "FastAPI"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_error_hidden_in_a_200_has_its_class(
    body: Any, kind: type[errors.ProviderError], stream: bool
) -> None:
    found = failure(json_response(body), stream=stream)
    assert isinstance(found, kind)
    assert not isinstance(found, errors.StreamInterruptedError)


@pytest.mark.parametrize(
    "more",
    [
        {"base_resp": {"status_code": 0, "status_msg": ""}},
        {"error": None},
        {"code": 0, "message": "success"},
        {"code": 200, "msg": "ok", "success": True},
        {"errors": []},
        {"detail": None},
    ],
    ids=lambda more: next(iter(more)),
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_field_that_says_all_is_well_is_not_an_error(more: dict[str, Any], stream: bool) -> None:
    whole = json.loads(completion("hello").body)
    chunks = [
        {**delta(content="hello"), **more},
        {**delta("stop"), **more},
        {**USAGE_CHUNK, **more},
    ]
    response = events(*chunks) if stream else json_response({**whole, **more})
    with Vendor(response) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert (result.content, result.finish_reason) == ("hello", "stop")


def test_an_error_in_a_choice_keeps_the_text_that_was_paid_for() -> None:
    """OpenRouter, when its upstream fails in the middle."""
    message = {"role": "assistant", "content": "half an answer"}
    fault = {"code": 502, "message": "Upstream idle timeout"}
    choice = {"index": 0, "message": message, "finish_reason": "error", "error": fault}
    found = failure(json_response({"choices": [choice], "usage": USAGE}))
    assert "Upstream idle timeout" in str(found)
    assert found.result.content == "half an answer"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_error_of_a_gemini_relay_in_a_200_has_its_class(stream: bool) -> None:
    body = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}
    found = failure(json_response(body), "gemini", stream=stream)
    assert type(found) is errors.RateLimitError
    assert "Resource exhausted" in str(found)


# ---- errors inside a stream: siblings by shape and dialect

MODERATION_EVENT = {"error": {"code": "data_inspection_failed", "message": "inappropriate content"}}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}}
EVENT_SHAPES = {
    "OpenRouter": (
        {
            "id": "c1",
            "error": {"code": 502, "message": "Provider disconnected"},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        },
        "Provider disconnected",
        True,
    ),
    "a text": ({"error": "Internal server error"}, "Internal server error", None),
    "SiliconFlow": (
        {"code": 50505, "message": "Model service overloaded.", "data": None},
        "overloaded",
        None,
    ),
    "MiniMax": (
        {"base_resp": {"status_code": 1027, "status_msg": "output sensitive"}},
        "output sensitive",
        False,
    ),
    "vLLM, flat": (
        {"object": "error", "message": "the prompt is bad", "type": "BadRequestError", "code": 400},
        "the prompt is bad",
        False,
    ),
    "new-api": (
        {
            "error": {
                "message": "user quota is not enough",
                "type": "new_api_error",
                "code": "insufficient_user_quota",
            }
        },
        "user quota is not enough",
        False,
    ),
}


@pytest.mark.parametrize("before", [[], [delta(content="he")]], ids=["at once", "after a piece"])
@pytest.mark.parametrize(("event", "words", "retryable"), EVENT_SHAPES.values(), ids=EVENT_SHAPES)
def test_an_error_event_of_any_shape_tells_its_words(
    event: Any, words: str, retryable: bool | None, before: list[Any]
) -> None:
    found = failure(events(*before, event, done=False), stream=True)
    assert words in str(found)
    assert retryable is None or found.retryable is retryable


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b'event: error\ndata: {"message": "the words", "code": "invalid_api_key"}\n\n',
            id="event: error",
        ),
        pytest.param(
            b'{"error": {"message": "the words", "code": "invalid_api_key"}}\n', id="a bare line"
        ),
    ],
)
@pytest.mark.parametrize("before", [[], [delta(content="he")]], ids=["at once", "after a piece"])
def test_an_error_that_is_no_data_line_is_read(raw: bytes, before: list[Any]) -> None:
    found = failure(events(*before, raw, done=False), stream=True)
    assert "the words" in str(found)
    assert (found.code, found.retryable) == ("invalid_api_key", False)


def test_an_error_body_named_events_is_the_plain_calls_error() -> None:
    body = b'{"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}'
    found = failure(Response(body, content_type=EVENTS), stream=True)
    assert type(found) is errors.AuthenticationError


@pytest.mark.parametrize(
    "first",
    [
        pytest.param([delta(role="assistant", content="")], id="a role"),
        pytest.param([{**USAGE_CHUNK, "usage": None}], id="no choices"),
        pytest.param([b": PING\n\n"], id="a comment"),
    ],
)
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            {"code": "context_length_exceeded", "message": "too long"},
            errors.ContextLengthExceededError,
        ),
        ({"code": "invalid_api_key", "message": "bad key"}, errors.AuthenticationError),
        ({"code": "data_inspection_failed", "message": "inappropriate"}, errors.ContentFilterError),
    ],
    ids=["too long", "bad key", "moderation"],
)
def test_an_error_before_the_first_content_is_the_plain_calls_error(
    first: list[Any], event: dict[str, Any], kind: type[errors.ProviderError]
) -> None:
    found = failure(events(*first, {"error": event}, done=False), stream=True)
    assert type(found) is kind


LIMITED = {"error": {"code": 429, "message": "Rate limit exceeded", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.parametrize(
    ("provider", "limited", "answer"),
    [
        pytest.param(
            "openai_compat",
            events(delta(role="assistant"), LIMITED, done=False),
            events(delta("stop", content="ok")),
            id="chat/completions",
        ),
        pytest.param(
            "gemini",
            gemini_stream(LIMITED),
            gemini_stream(gemini_chunk("ok", reason="STOP")),
            id="gemini",
        ),
        pytest.param(
            "bedrock",
            Response(
                content_type=FRAMES,
                pieces=[
                    frame("messageStart", {"role": "assistant"}),
                    frame(
                        "throttlingException", {"message": "Too many requests"}, kind="exception"
                    ),
                ],
            ),
            converse_text("ok"),
            id="bedrock",
        ),
    ],
)
def test_a_limit_before_the_first_content_is_retried(
    provider: str, limited: Response, answer: Response
) -> None:
    with Vendor(limited, answer) as vendor:
        result = read(vendor.client(provider, max_retries=1).chat_stream(ASK))
    assert result.content == "ok"
    assert len(vendor.requests) == 2


def test_nothing_is_retried_after_the_first_content() -> None:
    with Vendor(events(delta(content="he"), LIMITED, done=False)) as vendor:
        result = outcome(lambda: read(vendor.client(max_retries=2).chat_stream(ASK)))
    assert type(result) is errors.StreamInterruptedError
    assert result.partial.content == "he"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("provider", "response", "code", "retryable"),
    [
        pytest.param(
            "openai_compat",
            events(delta(content="he"), MODERATION_EVENT, done=False),
            "data_inspection_failed",
            False,
            id="chat/completions",
        ),
        pytest.param(
            "gemini",
            gemini_stream(gemini_chunk("he"), OVERLOADED),
            "UNAVAILABLE",
            True,
            id="gemini, overloaded",
        ),
        pytest.param(
            "gemini",
            gemini_stream(
                gemini_chunk("he"),
                {"error": {"code": 400, "message": "bad part", "status": "INVALID_ARGUMENT"}},
            ),
            "INVALID_ARGUMENT",
            False,
            id="gemini, bad request",
        ),
        pytest.param(
            "gemini",
            gemini_stream(gemini_chunk("he"), json.dumps(OVERLOADED).encode() + b"\n"),
            "UNAVAILABLE",
            True,
            id="gemini, a bare line",
        ),
        pytest.param(
            "gemini",
            gemini_stream(gemini_chunk("he"), json.dumps([OVERLOADED], indent=2).encode() + b"\n"),
            "UNAVAILABLE",
            True,
            id="gemini, a bare array",
        ),
        pytest.param(
            "bedrock",
            Response(
                content_type=FRAMES,
                pieces=[
                    block_delta(0, text="he"),
                    frame("throttlingException", {"message": "slow"}, kind="exception"),
                ],
            ),
            "throttlingException",
            True,
            id="bedrock, throttled",
        ),
        pytest.param(
            "bedrock",
            Response(
                content_type=FRAMES,
                pieces=[
                    block_delta(0, text="he"),
                    frame("validationException", {"message": "bad"}, kind="exception"),
                ],
            ),
            "validationException",
            False,
            id="bedrock, bad request",
        ),
    ],
)
def test_an_interrupted_stream_takes_code_and_retryable_from_its_cause(
    provider: str, response: Response, code: str, retryable: bool
) -> None:
    found = failure(response, provider, stream=True)
    assert type(found) is errors.StreamInterruptedError
    assert (found.code.lower(), found.retryable) == (code.lower(), retryable)
    cause = found.__cause__
    assert isinstance(cause, errors.ProviderError)
    assert (found.status_code, found.code) == (cause.status_code, cause.code)
    assert found.partial.content == "he"


def test_a_cut_connection_stays_retryable() -> None:
    found = failure(events(delta(content="he"), done=False, cut=True), stream=True)
    assert type(found) is errors.StreamInterruptedError
    assert found.retryable


# ---- what people paste: siblings


@pytest.mark.parametrize(
    "ending",
    ["/v1/", "/v1/chat/completions/", "/v1/chat/completions?x=1", "/v1 ", "/v1\n", "/v1#"],
)
def test_a_base_url_as_people_paste_it_works_or_is_refused(ending: str) -> None:
    with Vendor(completion("ok")) as vendor:
        result = outcome(lambda: vendor.client(base_url=vendor.url + ending).chat(ASK))
    right = [path.split("?")[0] for path in vendor.paths] == ["/v1/chat/completions"]
    assert right or type(result) is errors.ConfigurationError


@pytest.mark.parametrize(
    "key",
    [
        "bearer sk-abc123",
        " sk-abc123\n",
        '"sk-abc123"',
        "Bearer  sk-abc123",
        "Authorization: Bearer sk-abc123",
    ],
)
def test_a_key_as_people_paste_it_works_or_is_refused(key: str) -> None:
    with Vendor(completion("ok")) as vendor:
        result = outcome(lambda: vendor.client(api_key=key).chat(ASK))
    sent = [headers.get("authorization") for headers in vendor.headers]
    assert sent == ["Bearer sk-abc123"] or isinstance(result, errors.ConfigurationError)
    assert "sk-abc123" not in str(result)


def test_a_pasted_key_in_a_variable_works_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COMPAT_API_KEY", "Bearer sk-abc123")
    with Vendor(completion("ok")) as vendor:
        result = outcome(lambda: vendor.client(api_key=None).chat(ASK))
    sent = [headers.get("authorization") for headers in vendor.headers]
    assert sent == ["Bearer sk-abc123"] or isinstance(result, errors.ConfigurationError)


def test_the_endpoint_of_gemini_as_base_url_works_or_is_refused() -> None:
    ending = "/v1beta/models/gemini-3.8-flash:generateContent"
    with Vendor(gemini_response("ok")) as vendor:
        result = outcome(
            lambda: vendor.client("gemini", api_key="AIza-test", base_url=vendor.url + ending).chat(
                ASK
            )
        )
    assert vendor.paths == [ending] or type(result) is errors.ConfigurationError


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_redirect_is_told_and_its_target_never_sees_the_key(status: int, stream: bool) -> None:
    with Vendor(completion("stolen")) as other:
        moved = Response(status=status, headers={"location": f"{other.url}/v2/chat/completions"})
        with Vendor(moved) as vendor:
            result = outcome(lambda: ask(vendor.client(), stream=stream))
    assert isinstance(result, errors.ProviderError)
    assert "/v2/chat/completions" in str(result)
    assert other.requests == []


# ---- all of an answer blocked, after it was thought about


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", ["openai_compat", "bedrock", "gemini"])
def test_an_answer_blocked_after_its_reasoning_is_the_same_error_plain_and_streamed(
    provider: str, stream: bool
) -> None:
    thought = {"text": "hm", "thought": True}
    thinks = block_delta(0, reasoningContent={"text": "hm"})
    reasoning = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    responses = {
        ("openai_compat", False): completion("", finish="content_filter", reasoning_content="hm"),
        ("openai_compat", True): events(delta(reasoning_content="hm"), delta("content_filter")),
        ("gemini", False): gemini_response(thought, reason="SAFETY"),
        ("gemini", True): gemini_stream(gemini_chunk(thought), gemini_chunk(reason="SAFETY")),
        ("bedrock", False): converse_response(reasoning, stop="content_filtered"),
        ("bedrock", True): converse_stream(thinks, stop="content_filtered"),
    }
    with Vendor(responses[provider, stream]) as vendor:
        found = outcome(lambda: ask(vendor.client(provider), stream=stream))
    assert type(found) is errors.ContentFilterError


# ---- codes of a stream, which has no status of its own

SOON = "Rate limit reached, try again in 0.01s"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "tokens", "code": "rate_limit_exceeded"}, errors.RateLimitError),
        ({"type": "engine_overloaded_error"}, errors.RateLimitError),
        ({"type": "rate_limit_reached_error"}, errors.RateLimitError),
        ({"code": "server_error"}, errors.ServerError),
        ({"code": "internal_error"}, errors.ServerError),
        ({"code": "service_unavailable"}, errors.ServerError),
    ],
)
def test_an_error_in_a_200_is_tried_again_by_its_code(said: dict[str, str], kind: Any) -> None:
    failed = {"error": {"message": SOON, **said}}
    with Vendor(events(failed), completion("fine")) as vendor:
        assert read(vendor.client(max_retries=1).chat_stream(ASK)).content == "fine"
    for response, stream in ((events(failed), True), (json_response(failed), False)):
        found = failure(response, stream=stream)
        assert (type(found), found.retryable, found.retry_after) == (kind, True, 0.01)


# ---- an answer that fails before its first content


@pytest.mark.parametrize("reason", ["insufficient_system_resource", "network_error"])
def test_a_failing_reason_before_any_content_is_tried_again(reason: str) -> None:
    with Vendor(events(delta(reason)), completion("fine")) as vendor:
        assert read(vendor.client(max_retries=1).chat_stream(ASK)).content == "fine"
    with Vendor(events(delta(reason))) as vendor:
        found = outcome(lambda: read(vendor.client().chat_stream(ASK)))
    assert (type(found), found.retryable) == (errors.ServerError, True)


def test_the_next_vendor_is_asked_after_a_failing_reason() -> None:
    with Vendor(events(delta("network_error"))) as first, Vendor(completion("fine")) as second:
        options = [(name, vendor) for name, vendor in (("deepseek", first), ("qwen", second))]
        chain = [
            (name, {"api_key": "k" * 20, "base_url": f"{vendor.url}/v1", "max_retries": 0})
            for name, vendor in options
        ]
        with ChatClient(chain) as chat:
            result = read(chat.chat_stream(ASK))
    assert (result.content, result.provider) == ("fine", "dashscope")


def test_a_daily_quota_of_gemini_is_not_tried_again() -> None:
    """Only the id of the quota says that it is one of a day."""
    quota = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
    }
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
    said = {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota.",
        "details": [quota, retry],
    }
    found = failure(json_response({"error": said}, status=429), "gemini")
    assert (type(found), found.retryable) == (errors.QuotaExceededError, False)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"code": "IPInfringementSuspect", "message": "suspected"}, errors.ContentFilterError),
        (
            403,
            {
                "code": "Forbidden",
                "message": "Your resource has been temporarily blocked because we detected behavior"
                " that may violate our content policy.",
            },
            errors.PermissionDeniedError,
        ),
    ],
)
def test_codes_that_say_more_than_their_words(
    status: int, said: dict[str, str], kind: type[Exception]
) -> None:
    assert type(failure(json_response({"error": said}, status=status))) is kind
