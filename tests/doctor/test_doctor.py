"""The doctor: what it finds in broken setups, in both languages, and what it asks of a vendor."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from aigc_kit.doctor import Context, Finding, diagnose, worst
from aigc_kit.doctor import vendors as facts
from aigc_kit.doctor.findings import OFFLINE, ONLINE, masked
from aigc_kit.doctor.online import PROBES
from aigc_kit.doctor.texts import TEXTS
from aigc_kit.errors import UnknownProviderError
from aigc_kit.image.gemini import provider as gemini_images
from aigc_kit.image.volcengine import provider as seedream
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import R2Storage, S3Storage
from aigc_kit.transport.probe import ask

HAN = re.compile(r"[\u4e00-\u9fff]")
KEY = "canary-0123456789abcdefghij"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine: no home, no certificates of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "BEDROCK_REGION",
        "OPENAI_COMPAT_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def found(findings: list[Finding], code: str) -> Finding:
    """The finding with this code; a readable failure where there is none."""
    matching = [finding for finding in findings if finding.code == code]
    assert matching, f"no {code} in {[(f.level, f.code, f.subject) for f in findings]}"
    return matching[0]


BROKEN = {
    "a copy of .env.example": (
        {
            "VOLCENGINE_API_KEY": "your-api-key",
            "R2_ENDPOINT": "https://xxx.r2.cloudflarestorage.com",
            "R2_BUCKET_NAME": "pictures",
        },
        [("error", "placeholder"), ("error", "r2_placeholder"), ("error", "r2_missing")],
    ),
    "two keys and a plan's URL": (
        {
            "VOLCENGINE_API_KEY": KEY,
            "ARK_API_KEY": KEY + "2",
            "ARK_BASE_URL": "https://ark.cn-beijing.volces.com/api/coding/v3",
        },
        [("warning", "key_shadowed"), ("info", "plan_url"), ("warning", "plan_images")],
    ),
    "models of last year": (
        {
            "DEEPSEEK_API_KEY": KEY,
            "DEEPSEEK_MODEL": "deepseek-chat",
            "GEMINI_API_KEY": KEY,
            "GEMINI_IMAGE_MODEL": "gemini-3-pro-image-preview",
        },
        [("error", "model_retired")],
    ),
    "Google credentials that are not there": (
        {
            "GOOGLE_CLOUD_PROJECT": "shop",
            "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json",
            "GOOGLE_CLOUD_LOCATION": "us-central1",
            "GEMINI_API_KEY": KEY,
        },
        [
            ("error", "google_file_missing"),
            ("warning", "google_location"),
            ("info", "google_key_unused"),
        ],
    ),
    "a SOCKS proxy, half an AWS key and an endpoint as the public domain": (
        {
            "ALL_PROXY": "foo://user:geheim@127.0.0.1:1080",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_PROFILE": "nobody",
            "SSL_CERT_FILE": "/nowhere.pem",
            "R2_ACCESS_KEY_ID": KEY,
            "R2_ACCESS_KEY_SECRET": KEY,
            "R2_ENDPOINT": "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
            "R2_BUCKET_NAME": "pictures",
        },
        [
            ("error", "proxy_scheme"),
            ("error", "aws_half"),
            ("error", "aws_profile_missing"),
            ("error", "aws_no_region"),
            ("error", "certificates_missing"),
            ("warning", "r2_no_domain"),
        ],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_setup_is_told_with_its_fix_in_both_languages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """And no secret stands in any text."""
    variables, expected = BROKEN[name]
    set_all(monkeypatch, variables)
    findings = list(diagnose(journal=str(tmp_path / "journal")))
    for level, code in expected:
        finding = found(findings, code)
        assert finding.level == level
        assert finding.fix("en")
        assert HAN.search(finding.fix("zh"))
    for finding in findings:
        texts = [finding.text("en"), finding.fix("en"), finding.text("zh"), finding.fix("zh")]
        assert not any(KEY in text or "geheim" in text for text in texts)
    assert worst(findings) == max(
        (level for level, _ in expected), key=["info", "warning", "error"].index
    )


def test_a_good_setup_has_no_error_and_no_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, {"DEEPSEEK_API_KEY": KEY, "VOLCENGINE_API_KEY": KEY})
    findings = list(diagnose(journal=str(tmp_path)))
    assert worst(findings) == "info"
    assert found(findings, "key").values["value"] == "***ghij"
    assert "deepseek" not in found(findings, "idle").values["names"]


def test_a_vendor_that_was_named_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names those that are not set up are one line."""
    findings = list(diagnose(["kimi"]))
    assert found(findings, "key_missing").subject == "moonshot"
    assert "MOONSHOT_API_KEY" in found(findings, "key_missing").fix("en")
    with pytest.raises(UnknownProviderError, match="did you mean 'deepseek'"):
        list(diagnose(["deepsek"]))


@pytest.mark.parametrize(
    ("variables", "level", "code"),
    [
        ({"DEEPSEEK_API_KEY": "'Bearer abc'"}, "info", "key_wrapped"),
        ({"DEEPSEEK_API_KEY": "sk-１２３"}, "error", "key_characters"),
        (
            {"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_BASE_URL": "api.deepseek.com"},
            "error",
            "base_url_bad",
        ),
        (
            {"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_BASE_URL": "http://relay.shop.cn/v1"},
            "warning",
            "base_url_http",
        ),
        (
            {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://api.openai.com/api"},
            "warning",
            "base_url_path",
        ),
        (
            {"MOONSHOT_API_KEY": KEY, "MOONSHOT_BASE_URL": "https://api.moonshot.ai/v1"},
            "info",
            "international",
        ),
        ({"ZAI_API_KEY": KEY, "ZHIPU_API_KEY": KEY}, "info", "key_same"),
        ({"VOLCENGINE_API_KEY": "your-api-key", "ARK_API_KEY": KEY}, "warning", "placeholder"),
        (
            {"VOLCENGINE_API_KEY": KEY, "VOLCENGINE_IMAGE_MODEL": "doubao-seedraem-9"},
            "info",
            "model_unknown",
        ),
        (
            {"VOLCENGINE_API_KEY": KEY, "VOLCENGINE_IMAGE_MODEL": "ep-20261101-abc"},
            "info",
            "model_endpoint",
        ),
        (
            {"GOOGLE_GENAI_USE_VERTEXAI": "false", "GOOGLE_CLOUD_PROJECT": "shop"},
            "error",
            "google_no_key",
        ),
        ({"GOOGLE_CLOUD_PROJECT": "your-project"}, "error", "google_project_placeholder"),
        ({"GOOGLE_CLOUD_PROJECT": "shop"}, "warning", "google_no_credentials"),
        (
            {
                "AWS_BEARER_TOKEN_BEDROCK": KEY,
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": KEY,
            },
            "info",
            "aws_bearer_wins",
        ),
        ({"AWS_ENDPOINT_URL": "http://localhost:4566"}, "warning", "aws_endpoint"),
        ({"HTTPS_PROXY": "http://user:geheim@proxy.shop.cn:3128"}, "info", "proxy"),
    ],
)
def test_each_trap_has_its_finding(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], level: str, code: str
) -> None:
    set_all(monkeypatch, variables)
    finding = found(list(diagnose()), code)
    assert finding.level == level
    assert "geheim" not in finding.text("en")


R2 = {
    "R2_ACCESS_KEY_ID": KEY,
    "R2_ACCESS_KEY_SECRET": KEY,
    "R2_ENDPOINT": "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
    "R2_BUCKET_NAME": "pictures",
    "R2_PUBLIC_DOMAIN": "img.shop.cn",
}


@pytest.mark.parametrize(
    ("change", "level", "code"),
    [
        ({}, "ok", "r2_domain"),
        ({"R2_PUBLIC_DOMAIN": ""}, "warning", "r2_no_domain"),
        ({"R2_PUBLIC_DOMAIN": "pub-0123.r2.dev"}, "warning", "r2_dev"),
        ({"R2_PUBLIC_DOMAIN": R2["R2_ENDPOINT"]}, "error", "store_refused"),
        ({"R2_ENDPOINT": "https://s3.shop.cn"}, "warning", "r2_endpoint"),
        ({"R2_ENDPOINT": "not a url"}, "error", "store_refused"),
        ({"R2_BUCKET_NAME": ""}, "error", "r2_missing"),
    ],
)
def test_the_settings_of_r2_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], level: str, code: str
) -> None:
    set_all(monkeypatch, R2 | change)
    assert found(list(diagnose()), code).level == level


def test_a_store_whose_own_domain_downloads_needs_another_one() -> None:
    keys = {"access_key_id": "k", "secret_access_key": "s"}
    with S3Storage(
        "pictures", endpoint_url="https://oss-cn-hangzhou.aliyuncs.com", **keys
    ) as store:
        findings = list(diagnose(store=store))
    assert "virtual style" in found(findings, "s3").text("en")
    assert found(findings, "s3_default_domain").level == "warning"


def test_a_file_and_an_environment_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins, which surprises whoever edits ``.env``."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    findings = list(diagnose(dotenv={"DEEPSEEK_API_KEY": "another", "ARK_API_KEY": "your-key"}))
    assert [f.values["variable"] for f in findings if f.code == "dotenv_shadowed"] == [
        "DEEPSEEK_API_KEY"
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"type": "service_account", "project_id": "shop"}', "google_file"),
        ("{", "google_file_broken"),
        ('{"installed": {}}', "google_file_kind"),
        ("[]", "google_file_kind"),
    ],
)
def test_google_credentials_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, code: str
) -> None:
    file = tmp_path / "密钥.json"
    file.write_text(content, "utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert found(list(diagnose(["gemini"])), code)


@pytest.mark.parametrize(
    ("hours", "code"), [(None, "aws_sso_absent"), (-1, "aws_sso_expired"), (1, "")]
)
def test_the_sso_session_of_a_profile_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hours: int | None, code: str
) -> None:
    folder = tmp_path / "home" / ".aws"
    (folder / "sso" / "cache").mkdir(parents=True)
    (folder / "config").write_text(
        "[profile work]\nsso_session = corp\nregion = eu-west-1\n[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\n"
    )
    (folder / "sso" / "cache" / "broken.json").write_text("{")
    if hours is not None:
        end = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        token = {"startUrl": "https://corp.awsapps.com/start", "expiresAt": end}
        (folder / "sso" / "cache" / "1.json").write_text(json.dumps(token))
    monkeypatch.setenv("AWS_PROFILE", "work")
    findings = list(diagnose(["bedrock"]))
    assert found(findings, "aws_region").values["region"] == "eu-west-1"
    codes = {finding.code for finding in findings if finding.code.startswith("aws_sso")}
    assert codes == ({code} if code else set())


def test_the_journal_is_looked_at(tmp_path: Path) -> None:
    """Looking leaves no directory behind."""
    new = tmp_path / "a" / "journal"
    assert found(list(diagnose(journal=str(new))), "journal").level == "ok"
    assert not new.exists()
    (tmp_path / "file").write_text("")
    assert found(list(diagnose(journal=str(tmp_path / "file" / "journal"))), "journal_unwritable")
    (tmp_path / "x.entry").write_text("{}")


def vendors_of(box: Sandbox) -> dict[str, str]:
    return {
        "DEEPSEEK_API_KEY": box.api_key,
        "DEEPSEEK_BASE_URL": f"{box.url}/deepseek",
        "VOLCENGINE_API_KEY": box.api_key,
        "VOLCENGINE_BASE_URL": box.ark_url,
        "ZAI_API_KEY": box.api_key,
        "ZAI_BASE_URL": f"{box.url}/api/paas/v4",
        "DASHSCOPE_API_KEY": box.api_key,
        "DASHSCOPE_BASE_URL": f"{box.url}/compatible-mode/v1",
        "MOONSHOT_API_KEY": box.api_key,
        "MOONSHOT_BASE_URL": f"{box.url}/moonshot/v1",
        "OPENAI_API_KEY": box.api_key,
        "OPENAI_BASE_URL": f"{box.url}/openai/v1",
        "GEMINI_API_KEY": box.api_key,
        "GOOGLE_GEMINI_BASE_URL": box.url,
        "AWS_ACCESS_KEY_ID": box.api_key,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": box.url,
    }


def test_online_every_vendor_is_asked_what_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    set_all(monkeypatch, vendors_of(sandbox))
    findings = list(diagnose(is_online=True))
    reached = {finding.subject for finding in findings if finding.code == "reached"}
    assert reached == {
        "volcengine",
        "gemini",
        "dashscope",
        "deepseek",
        "glm",
        "moonshot",
        "openai",
        "bedrock",
    }
    assert [f for f in findings if f.level in ("error", "warning")] == []
    paid = [
        r
        for r in sandbox.requests
        if r.path.endswith(("/completions", "/generations", ":generateContent", "/converse"))
    ]
    assert all(answered_nothing(record.body) for record in paid)


def answered_nothing(body: object) -> bool:
    """A body that no vendor would bill: no message, or a size of one pixel."""
    assert isinstance(body, dict)
    return not body.get("messages") if "messages" in body else body.get("size") == "1x1"


def test_online_nothing_is_wrong_in_the_sandboxes_environment(sandbox: Sandbox) -> None:
    with sandbox.environment():
        findings = list(diagnose(is_online=True))
        configured = {name for name in facts.providers() if facts.facts_of(name).configured}
    reached = {finding.subject for finding in findings if finding.code == "reached"}
    assert reached == configured
    assert {"openrouter", "groq", "ollama", "azure"} <= reached
    assert [f.text("en") for f in findings if f.level == "error"] == []


def test_online_a_path_that_is_not_there_is_told_without_a_model(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", sandbox.api_key)
    monkeypatch.setenv("GROQ_BASE_URL", f"{sandbox.url}/nowhere")
    (told,) = [f for f in diagnose(["groq"], is_online=True) if f.code == "not_found"]
    assert f"({sandbox.url}/nowhere)" in told.text("en")


def test_online_a_wrong_key_is_told_with_the_vendors_hint(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    for name, value in vendors_of(sandbox).items():
        monkeypatch.setenv(name, KEY if value == sandbox.api_key else value)
    findings = list(diagnose(is_online=True))
    refused = {f.subject: f for f in findings if f.code in ("refused", "failed", "not_found")}
    assert set(refused) == {
        "volcengine",
        "gemini",
        "dashscope",
        "deepseek",
        "glm",
        "moonshot",
        "openai",
        "bedrock",
    }
    assert {f.code for f in refused.values()} == {"refused"}
    assert "Coding plan" in refused["volcengine"].fix("en")
    assert HAN.search(refused["volcengine"].fix("zh"))
    assert found(findings, "plan_keys")
    assert not any(KEY in f.text("en") for f in findings)


def test_online_a_model_that_is_not_served_is_told(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    set_all(monkeypatch, vendors_of(sandbox))
    monkeypatch.setenv("DEEPSEEK_MODEL", "deepseek-v5")
    monkeypatch.setenv("VOLCENGINE_IMAGE_MODEL", "doubao-seedream-9-9-270101")
    findings = list(diagnose(["deepseek", "volcengine"], is_online=True))
    assert found(findings, "model_not_listed").values["model"] == "deepseek-v5"
    assert found(findings, "not_found").subject == "volcengine"


def test_online_a_clock_that_is_off_and_a_dead_port_are_told(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, closed_port: int
) -> None:
    set_all(monkeypatch, vendors_of(sandbox))
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed_port}/v1")
    sandbox.answer(
        200,
        {"data": []},
        headers={"date": "Wed, 01 Jan 2025 00:00:00 GMT"},
        path="/deepseek/models",
    )
    findings = list(diagnose(["deepseek", "openai"], is_online=True))
    assert found(findings, "clock").subject == "deepseek"
    assert found(findings, "failed").subject == "openai"


def test_online_the_store_is_written_read_and_cleaned(sandbox: Sandbox) -> None:
    """The sandbox's bucket is not readable without a signature: that is reported."""
    options = {**sandbox.storage_options(), "public_domain": f"{sandbox.url}/s3/pictures"}
    with R2Storage(**options) as store:
        findings = list(diagnose(["deepseek"], store=store, is_online=True))
    assert found(findings, "uploaded").level == "ok"
    assert found(findings, "public_refused").values["status"] == "401"
    assert found(findings, "deleted").level == "ok"
    assert sandbox.files == {}
    elsewhere = sandbox.url.replace("127.0.0.1", "localhost")
    sandbox.answer(
        200, b"aigc-kit doctor", headers={"content-disposition": "attachment"}, path="/public/"
    )
    with R2Storage(**{**options, "public_domain": f"{elsewhere}/public"}) as store:
        findings = list(diagnose(["deepseek"], store=store, is_online=True))
    assert found(findings, "public").level == "ok"
    assert found(findings, "public_attachment").level == "warning"
    with R2Storage(**{**sandbox.storage_options(), "access_key_id": "wrong"}) as store:
        findings = list(diagnose(["deepseek"], store=store, is_online=True))
    assert "access key id" in found(findings, "upload_failed").fix("en")


@pytest.mark.parametrize("code", TEXTS)
def test_every_text_is_in_both_languages_with_the_same_values(code: str) -> None:
    text = TEXTS[code]
    names = [
        {name for _, name, _, _ in string.Formatter().parse(each) if name}
        for each in (text.en + text.en_fix, text.zh + text.zh_fix)
    ]
    assert {name.removesuffix("_en") for name in names[0]} == {
        name.removesuffix("_zh") for name in names[1]
    }
    assert bool(text.en_fix) == bool(text.zh_fix)
    assert HAN.search(text.zh) or code == "certificates_own"
    assert not HAN.search(text.en + text.en_fix)


def test_stores_of_china_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables of their SDKs: what would be used, and what would be refused."""
    for name, value in {
        "OSS_ACCESS_KEY_ID": "k",
        "OSS_ACCESS_KEY_SECRET": "s",
        "OSS_BUCKET": "pictures",
        "OSS_REGION": "cn-hangzhou",
        "COS_SECRET_ID": "k",
        "COS_SECRET_KEY": "s",
        "COS_BUCKET": "pictures",
    }.items():
        monkeypatch.setenv(name, value)
    found = {(each.code, each.subject): each for each in diagnose()}
    assert ("s3", "s3://pictures") in found
    assert ("s3_default_domain", "s3://pictures") in found
    assert "pictures-1250000000" in found["store_refused", "cos"].text("en")


def test_every_provider_has_its_facts_and_a_free_request() -> None:
    """A new vendor needs a row in ``aigc_kit.doctor.vendors``; this names those that lack one."""
    missing = [name for name in facts.providers() if not facts.facts_of(name).known]
    assert missing == []
    unprobed = [name for name in facts.providers() if facts.facts_of(name).probe is None]
    assert unprobed == []
    for name in facts.providers():
        row = facts.facts_of(name)
        assert row.probe is not None
        assert row.probe.means in PROBES
        assert row.keys
        assert row.console or row.key_optional


def test_a_provider_without_a_row_has_the_variables_of_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACME_IMAGES_API_KEY", KEY)
    row = facts.facts_of("acme-images")
    assert row.configured
    assert not row.known
    assert row.key_variable == "ACME_IMAGES_API_KEY"


def test_default_models_are_those_of_the_providers() -> None:
    """And none of them has ended."""
    assert facts.facts_of("gemini").model_for("images") == gemini_images.MODEL
    assert facts.facts_of("volcengine").model_for("images") == seedream.MODEL
    for name in facts.providers():
        row = facts.facts_of(name)
        for wing in facts.WINGS:
            ending = row.retirement_of(row.model_for(wing))
            assert ending is None or ending.on > date(2026, 11, 26)


@pytest.mark.parametrize(
    ("provider", "model", "ended"),
    [
        ("openai", "gpt-4o-mini", "2027-01-14"),
        ("openai", "o3", "2026-12-11"),
        ("openai", "o3-mini", "2026-10-23"),
        ("openai", "gpt-5-mini", "2026-12-11"),
        ("openai", "gpt-5.6-sol", ""),
        ("openai", "gpt-image-2.6-flare", ""),
        ("moonshot", "moonshot-v1-8k", "2026-08-31"),
        ("dashscope", "qwen-image-edit-plus", "2026-10-10"),
        ("dashscope", "qwen-image-3.0", ""),
        ("bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", "2026-10-14"),
        ("bedrock", "global.anthropic.claude-sonnet-4-6", ""),
    ],
)
def test_the_end_of_a_model_is_known(provider: str, model: str, ended: str) -> None:
    row = facts.facts_of(provider).retirement_of(model)
    assert (row.on.isoformat() if row else "") == ended


def test_checks_are_registered_and_secrets_are_masked() -> None:
    assert {"keys", "models", "google", "aws", "proxies", "r2", "journal"} <= set(OFFLINE)
    assert {"providers", "store"} <= set(ONLINE)
    assert (masked("short"), masked(KEY)) == ("***", "***ghij")
    assert replace(facts.facts_of("glm"), keys=()).key_variable == ""
    assert Context(["a"]).timeout == 20.0


def test_a_probe_returns_what_is_not_json_as_none(sandbox: Sandbox) -> None:
    sandbox.answer(200, b"<html>", path="/page")
    answered = ask("GET", f"{sandbox.url}/page")
    assert (answered.status, answered.body, answered.size) == (200, None, 6)


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTPS_PROXY": "http://["},
        {"HTTPS_PROXY": "http://h:port"},
        {"SSL_CERT_FILE": "a" * 5000},
        {"HOME": "~nobody-here", "AWS_PROFILE": "x", "GOOGLE_CLOUD_PROJECT": "shop"},
        {"GOOGLE_APPLICATION_CREDENTIALS": "/", "AWS_CONFIG_FILE": "/dev/null", "AWS_PROFILE": "x"},
        {"DEEPSEEK_API_KEY": "\udce6{0}%s", "DEEPSEEK_BASE_URL": "http://[::1"},
        {
            "R2_ENDPOINT": "http://[",
            "R2_ACCESS_KEY_ID": "k",
            "R2_ACCESS_KEY_SECRET": "s",
            "R2_BUCKET_NAME": "b",
        },
    ],
)
def test_no_setup_is_too_broken(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Every check ends, and every text can be made."""
    set_all(monkeypatch, variables)
    for journal in ("~nobody-here/x", "a" * 5000, "\udcff"):
        for finding in diagnose(journal=journal):
            assert finding.code != "check_failed", finding
            assert finding.text("en")
            assert finding.text("zh")


@pytest.mark.parametrize("value", ["abc", "-5", "0"])
def test_a_timeout_that_clients_refuse_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    set_all(monkeypatch, {"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_TIMEOUT_SECS": value})
    finding = found(list(diagnose(["deepseek"])), "setting_bad")
    assert (finding.level, finding.values["variable"]) == ("error", "DEEPSEEK_TIMEOUT_SECS")


def test_a_url_of_openai_without_its_path_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://api.openai.com"})
    assert found(list(diagnose(["openai"])), "base_url_path").level == "warning"


def test_online_a_web_page_is_no_answer(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front page of a relay whose base URL has no ``/v1``."""
    sandbox.answer(200, "<html>welcome</html>", path="/deepseek/", times=None)
    set_all(monkeypatch, vendors_of(sandbox))
    findings = list(diagnose(["deepseek"], is_online=True))
    assert "missing /v1" in found(findings, "failed").text("en")


def test_the_environment_of_the_sandbox_is_in_order(sandbox: Sandbox) -> None:
    with sandbox.environment():
        findings = list(diagnose(["deepseek"], is_online=True))
    assert [finding for finding in findings if finding.level == "error"] == []
