"""What an error says of itself to people, in both languages."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import pytest

from aigc_kit import errors
from aigc_kit.chat.vendors import VENDORS
from aigc_kit.hints import ROWS, hint_for, language
from aigc_kit.hints.lookup import row_for
from aigc_kit.transport import codes
from tests.error_codes import _VENDORS, PAGES, document

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIGC_KIT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("provider", "code", "message", "said"),
    [
        ("volcengine", "ModelNotOpen", "", "Activate it"),
        ("volcengine", "InvalidEndpointOrModel.ModelIDAccessDisabled", "", "ep-"),
        ("volcengine", "InvalidEndpointOrModel.NotFound", "", "full id"),
        ("volcengine", "OutputImageSensitiveContentDetected.PolicyViolation", "", "copyright"),
        ("volcengine", "InputTextRiskDetection", "", "refused the prompt"),
        ("volcengine", "RateLimitExceeded.EndpointRPMExceeded", "", "IPM"),
        (
            "volcengine",
            "InvalidParameter",
            "image size must be at least 3686400 pixels",
            "size_policy",
        ),
        ("gemini", "NOT_FOUND", "Publisher Model was not found", "global"),
        (
            "gemini",
            "PERMISSION_DENIED",
            "Vertex AI API has not been used in project 1",
            "services enable",
        ),
        ("gemini", "PERMISSION_DENIED", "denied on resource", "aiplatform.user"),
        ("glm", "1113", "", "arrears"),
        ("deepseek", "", "Insufficient Balance", "top_up"),
        ("deepseek", "invalid_api_key", "", "doctor"),
        ("moonshot", "exceeded_current_quota_error", "", "platform.moonshot.cn"),
        ("dashscope", "Throttling.AllocationQuota", "", "higher quota"),
        ("dashscope", "Throttling.RateQuota", "", "main account"),
        ("bedrock", "ValidationException", "with on-demand throughput isn’t supported", "global."),
        ("bedrock", "ExpiredTokenException", "", "sso login"),
        ("acme", "context_length_exceeded", "", "Shorten"),
        ("acme", "", "[Errno 111] Connection refused", "Nothing listens"),
        ("acme", "", "[SSL: CERTIFICATE_VERIFY_FAILED]", "SSL_CERT_FILE"),
    ],
)
def test_a_known_failure_says_how_to_mend_it(
    provider: str, code: str, message: str, said: str
) -> None:
    error = errors.ProviderError(message, provider=provider, code=code)
    assert said in error.hint
    assert HAN.search(error.hint_in("zh"))


def test_a_failed_upload_has_the_hint_of_its_store() -> None:
    error = errors.StorageError("failed", provider="gemini", code="SecondLevelDomainForbidden")
    assert "addressing_style='virtual'" in error.hint
    assert "client.store" in errors.StorageError("the disk is full").hint


def test_a_code_that_nobody_knows_has_the_hint_of_its_class_or_none() -> None:
    assert "Copy the key" in errors.AuthenticationError("no", provider="acme", code="E42").hint
    assert errors.AIGCError("?").hint == ""
    assert errors.BadRequestError("?", provider="acme", code="E42").hint == ""


def test_a_code_of_one_vendor_means_nothing_at_another() -> None:
    assert errors.BadRequestError("x", provider="deepseek", code="1113").hint == ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "AIGC_KIT_LANG": "en"}, "en"),
        ({"LANG": "C", "AIGC_KIT_LANG": "zh"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_that_of_the_variable_then_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected
    assert language("zh") == "zh"
    hint = errors.RateLimitError("x").hint
    assert bool(HAN.search(hint)) == (expected == "zh")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.vendor}-{row.kind or row.codes}")
def test_every_row_is_complete_in_both_languages(row: object) -> None:
    assert isinstance(row, type(ROWS[0]))
    assert row.cause.endswith(".")
    assert row.remedy.endswith((".", "?"))
    assert row.cause_zh.endswith("。")
    assert row.remedy_zh.endswith(("。", "？"))
    assert HAN.search(row.cause_zh)
    assert HAN.search(row.remedy_zh)
    assert not HAN.search(row.cause + row.remedy)
    assert not re.search(
        r"[\u4e00-\u9fff][,;:(]|[,;(][\u4e00-\u9fff]", row.cause_zh + row.remedy_zh
    )
    assert row.source
    assert re.fullmatch(r"2026-\d\d-\d\d", row.date)
    assert row.vendor in _VENDORS


def test_every_code_that_the_library_judges_has_a_hint() -> None:
    """A code in ``transport.codes`` has a row, or the class that it becomes has one."""
    judged = [("volcengine", code, codes.ark) for code in codes._ARK]
    judged += [("gemini", code, codes.google) for code in codes._GOOGLE if code != "CANCELLED"]
    judged += [("glm", code, codes.glm) for code in codes._GLM_QUOTA | codes._GLM_BUSY]
    judged += [
        ("openai", code, codes.openai)
        for code in codes._QUOTA_CODES | codes._FILTER_CODES | codes._LONG_CODES
    ]
    missing = []
    for provider, code, judge in judged:
        verdict = judge(400, code, "")
        assert verdict is not None
        if not verdict.kind("x", provider=provider, code=code).hint:
            missing.append(code)
    assert missing == []
    own = {code for provider, code, _ in judged if provider in ("volcengine", "glm")}
    assert [
        c for c in own if not row_for("volcengine", c, "", []) and not row_for("glm", c, "", [])
    ] == []


def test_rows_name_vendors_that_exist() -> None:
    relays = {"minimax"}
    known = {*VENDORS, "ark", "google", "aws", "s3", "any", *relays}
    assert {row.vendor for row in ROWS} <= known


@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_error_codes_is_the_table(name: str) -> None:
    """Otherwise run ``python -m tests.error_codes --write``."""
    assert PAGES[name].read_text("utf-8") == document(name)


def test_the_table_is_imported_when_it_is_read() -> None:
    code = (
        "import sys; from aigc_kit import errors; e = errors.RateLimitError('x');"
        " print('aigc_kit.hints' in sys.modules, bool(e.hint), 'aigc_kit.hints' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_an_error_that_was_pickled_has_its_hint() -> None:
    error = errors.NotFoundError("x", provider="volcengine", code="ModelNotOpen")
    assert pickle.loads(pickle.dumps(error)).hint == error.hint != ""


def test_a_huge_message_takes_no_time() -> None:
    """A relay may answer with a page; patterns look at its head."""
    error = errors.ProviderError("tools " * 500_000, provider="openai")
    assert error.hint == ""
    assert hint_for(ValueError("x")) is None
