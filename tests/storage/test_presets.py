"""
OSS, COS, TOS and MinIO: the storage contract against each service's refusals, and what is refused
before.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from aigc_kit import ImageClient
from aigc_kit.errors import ConfigurationError, MissingCredentialError, StorageError
from aigc_kit.image import ContentLabel, Rendition
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import COSStorage, MinIOStorage, OSSStorage, S3Storage, Storage, TOSStorage
from tests.storage.contract import Reader, StorageContract
from tests.storage.test_s3 import admin

STORES: dict[str, type[S3Storage]] = {"oss": OSSStorage, "cos": COSStorage, "tos": TOSStorage}
BUCKETS = {"oss": "pictures", "cos": "pictures-1250000000", "tos": "pictures"}
_OVER = datetime(2026, 1, 1, tzinfo=UTC)
KEYS: dict[str, Any] = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "canary-secret"}
_numbers = itertools.count()


def made(name: str, **options: Any) -> S3Storage:
    return STORES[name](BUCKETS[name], **{**KEYS, **options})


class _InTheHost(StorageContract):
    """A service reached by its own host, through the sandbox as an HTTP proxy."""

    name = ""

    @pytest.fixture
    def storage(self, sandbox: Sandbox) -> Iterator[Storage]:
        options = sandbox.storage_options(BUCKETS[self.name], self.name)
        with STORES[self.name](**options, public_base_url="assets.example.com") as storage:
            yield storage

    @pytest.fixture
    def read(self, sandbox: Sandbox) -> Reader:
        return lambda key: sandbox.files[f"s3/{BUCKETS[self.name]}/{key}"][0]


class TestOSS(_InTheHost):
    name = "oss"


class TestCOS(_InTheHost):
    name = "cos"


class TestTOS(_InTheHost):
    name = "tos"


class TestMinIO(StorageContract):
    @pytest.fixture
    def bucket(self, s3_server: str) -> str:
        name = f"minio-{next(_numbers)}"
        client = admin(s3_server)
        client.create_bucket(Bucket=name)
        client.close()
        return name

    @pytest.fixture
    def storage(self, s3_server: str, bucket: str) -> Iterator[Storage]:
        public = f"{s3_server}/{bucket}"
        with MinIOStorage(
            bucket, endpoint_url=s3_server, public_base_url=public, **KEYS
        ) as storage:
            yield storage

    @pytest.fixture
    def read(self, s3_server: str, bucket: str) -> Iterator[Reader]:
        client = admin(s3_server)
        yield lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.close()


@pytest.mark.parametrize("name", STORES)
def test_without_a_public_domain_urls_are_presigned(name: str, sandbox: Sandbox) -> None:
    """By signature v4, for a week; the service gives the bytes."""
    options = sandbox.storage_options(BUCKETS[name], name)
    with STORES[name](**options) as store:
        stored = store.upload_bytes(b"bytes", "a b/猫.png", content_type="image/png")
    query = parse_qs(urlsplit(stored.url).query)
    assert query["X-Amz-Expires"] == ["604800"]
    end = datetime.fromisoformat(stored.expires_at)
    assert timedelta(days=6.9) < end - datetime.now(UTC) <= timedelta(days=7)
    with httpx.Client(proxy=sandbox.url) as browser:
        assert browser.get(stored.url).content == b"bytes"


@pytest.mark.parametrize("name", STORES)
def test_what_the_services_refuse(name: str, sandbox: Sandbox) -> None:
    """The sandbox refuses as they do, so that the contract above can fail."""
    options = sandbox.storage_options(BUCKETS[name], name)
    with (
        STORES[name](**options, addressing_style="path") as store,
        pytest.raises(StorageError, match=r"Forbidden|InvalidPathAccess"),
    ):
        store.upload_bytes(b"x", "k", content_type="text/plain")


def test_oss_refuses_a_public_object(sandbox: Sandbox) -> None:
    options = sandbox.storage_options("pictures", "oss")
    with (
        OSSStorage(**options, acl="public-read") as store,
        pytest.raises(StorageError, match="AccessDenied"),
    ):
        store.upload_bytes(b"x", "k", content_type="text/plain")


VARIABLES = {
    "oss": {
        "OSS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "OSS_ACCESS_KEY_SECRET": "canary-secret",
        "OSS_REGION": "cn-hangzhou",
        "OSS_BUCKET": "pictures",
    },
    "cos": {
        "TENCENTCLOUD_SECRET_ID": "AKIAEXAMPLE",
        "TENCENTCLOUD_SECRET_KEY": "canary-secret",
        "COS_REGION": "ap-guangzhou",
        "COS_BUCKET": "pictures-1250000000",
    },
    "tos": {
        "TOS_ACCESS_KEY": "AKIAEXAMPLE",
        "TOS_SECRET_KEY": "canary-secret",
        "TOS_ENDPOINT": "tos-cn-beijing.volces.com",
        "TOS_BUCKET": "pictures",
    },
    "minio": {
        "MINIO_ACCESS_KEY": "AKIAEXAMPLE",
        "MINIO_SECRET_KEY": "canary-secret",
        "MINIO_ENDPOINT": "http://127.0.0.1:9000",
        "MINIO_BUCKET": "pictures",
    },
}
HOSTS = {
    "oss": "pictures.oss-cn-hangzhou.aliyuncs.com",
    "cos": "pictures-1250000000.cos.ap-guangzhou.myqcloud.com",
    "tos": "pictures.tos-s3-cn-beijing.volces.com",
    "minio": "127.0.0.1:9000",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_the_variables_of_their_sdks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint follows from the region; a missing key and a missing bucket are named."""
    kind = {**STORES, "minio": MinIOStorage}[name]
    for variable, value in VARIABLES[name].items():
        monkeypatch.setenv(variable, value)
    with kind() as store:
        assert urlsplit(store.url_of("k")).netloc == HOSTS[name]
        assert "canary" not in repr(store) + store.url_of("k")
        again = pickle.loads(pickle.dumps(store))
        assert urlsplit(again.url_of("k")).netloc == HOSTS[name]
    for variable in VARIABLES[name]:
        monkeypatch.delenv(variable)
        with pytest.raises((MissingCredentialError, ConfigurationError)) as caught:
            kind()
        words = ("region",) if variable == "TOS_ENDPOINT" else variable.lower().split("_")[-1:]
        assert all(word in str(caught.value).lower() for word in words)
        monkeypatch.setenv(variable, VARIABLES[name][variable])


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("oss", {}, "OSSStorage needs region, e.g. 'cn-hangzhou': pass it or set OSS_REGION"),
        ("oss", {"region": "Hangzhou"}, "region must be like 'cn-hangzhou', got 'Hangzhou'"),
        ("oss", {"endpoint_url": "https://oss-accelerate.aliyuncs.com"}, "needs region"),
        ("cos", {"region": "ap-guangzhou", "bucket": "pictures"}, "pictures-1250000000"),
        ("oss", {"region": "cn-hangzhou", "bucket": "my.pictures"}, "bucket must be like"),
        ("oss", {"region": "cn-hangzhou", "bucket": '"pictures"'}, "bucket must be like"),
        ("oss", {"region": "cn-hangzhou", "bucket": "your-bucket"}, "needs bucket"),
        ("oss", {"region": "cn-hangzhou-internal"}, "region must be like"),
        (
            "oss",
            {"region": "cn-beijing", "endpoint_url": "https://oss-cn-shanghai.aliyuncs.com"},
            "is not that of",
        ),
        ("oss", {"endpoint_url": "https://cos.ap-guangzhou.myqcloud.com"}, "is Tencent COS"),
        ("oss", {"endpoint_url": "https://img.example.cn"}, "needs region"),
        (
            "oss",
            {"endpoint_url": "https://oss-cn-hangzhou-internal.aliyuncs.com"},
            "network alone: pass public_base_url",
        ),
        (
            "oss",
            {"region": "cn-hangzhou", "session_token": "t", "session_expires": _OVER},
            "session_expires is over",
        ),
        ("oss", {"region": "cn-hangzhou", "cache_control": "a\nb"}, "cache_control must be"),
        ("oss", {"endpoint_url": "https://oss.console.aliyun.com"}, "dashboard"),
        ("oss", {"region": "cn-hangzhou", "session_token": "t"}, "session_expires"),
        (
            "oss",
            {
                "region": "cn-hangzhou",
                "session_token": "t",
                "session_expires": datetime(2027, 1, 1),
            },
            "time zone",
        ),
        ("oss", {"region": "cn-hangzhou", "extra_args": {"CacheControl": "x"}}, "cache_control"),
        ("tos", {"region": "cn-beijing", "access_key_secret": "x"}, "two names"),
        (
            "tos",
            {"endpoint_url": "https://10.0.0.5:9000", "addressing_style": "virtual"},
            "IP address",
        ),
        (
            "tos",
            {"region": "cn-beijing", "public_base_url": "https://tos-cn-beijing.volces.com"},
            "without the bucket",
        ),
    ],
)
def test_what_is_refused_at_once(name: str, options: dict[str, Any], says: str) -> None:
    given = dict(options)
    with pytest.raises(ConfigurationError, match=says):
        STORES[name](given.pop("bucket", BUCKETS[name]), **{**KEYS, **given})


def test_presigned_urls_end_with_the_session() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    with made("oss", region="oss-cn-shanghai", session_token="t", session_expires=soon) as store:
        query = parse_qs(urlsplit(store.url_of("k")).query)
        assert 3500 < int(query["X-Amz-Expires"][0]) <= 3600


def test_an_accelerated_endpoint_is_signed_for_its_region() -> None:
    with made(
        "oss", region="cn-hangzhou", endpoint_url="https://oss-accelerate.aliyuncs.com"
    ) as store:
        url = urlsplit(store.url_of("k"))
        assert url.netloc == "pictures.oss-accelerate.aliyuncs.com"
        assert "/cn-hangzhou/s3/" in parse_qs(url.query)["X-Amz-Credential"][0]


def test_claims_only_where_the_service_has_them() -> None:
    """A PUT with ``If-None-Match`` that a service ignores would be no claim."""
    for name in STORES:
        region = "ap-guangzhou" if name == "cos" else "cn-beijing"
        with made(name, region=region) as store:
            assert not store.claims
    with MinIOStorage("pics", endpoint_url="http://127.0.0.1:9000", **KEYS) as store:
        assert store.claims


def test_an_acl_that_the_service_does_not_have() -> None:
    with pytest.raises(ConfigurationError, match="Cloudflare R2 has no ACLs"):
        S3Storage(
            "b", endpoint_url="https://0123abc.r2.cloudflarestorage.com", acl="public-read", **KEYS
        )


def test_r2_is_signed_for_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's AWS region is."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with S3Storage("b", endpoint_url="https://0123abc.r2.cloudflarestorage.com", **KEYS) as store:
        assert (
            "/auto/s3/" in parse_qs(urlsplit(store.presigned_url("k")).query)["X-Amz-Credential"][0]
        )


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://img.example.cn",
        "http://cn-hangzhou.oss.aliyuncs.com",
        "http://oss-cn-hangzhou.aliyuncs.com.",
    ],
)
def test_a_preset_keeps_its_services_rules_at_any_host(endpoint: str) -> None:
    """Its own domain, its dualstack host: no claims, the bucket in the host, no checksum header."""
    with made("oss", region="cn-hangzhou", endpoint_url=endpoint) as store:
        assert not store.claims
        url = urlsplit(store.url_of("k"))
        assert url.netloc == "pictures." + urlsplit(endpoint).netloc.rstrip(".")
        assert "/cn-hangzhou/s3/" in parse_qs(url.query)["X-Amz-Credential"][0]
        assert not store._settings.checksum


def test_an_endpoint_says_its_region_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_REGION", "cn-hangzhou")
    with made("oss", endpoint_url="https://oss-cn-shanghai.aliyuncs.com") as store:
        query = parse_qs(urlsplit(store.url_of("k")).query)
        assert "/cn-shanghai/s3/" in query["X-Amz-Credential"][0]
    with COSStorage("pics-1250000000", region="ap-shanghai-fsi", **KEYS) as store:
        assert ".ap-shanghai-fsi." in store.url_of("k")


def credentials(store: S3Storage) -> tuple[str, str, str]:
    held = store._settings
    found = (held.access_key_id, held.secret_access_key, held.session_token)
    return tuple(each.reveal() if each else "" for each in found)  # type: ignore[return-value]


def test_keys_and_token_are_of_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the environment goes with no key that was passed, and no two SDKs are mixed."""
    monkeypatch.setenv("OSS_SESSION_TOKEN", "env-token")
    with made("oss", region="cn-hangzhou") as store:
        assert credentials(store) == ("AKIAEXAMPLE", "canary-secret", "")
    for name, value in {
        "COS_SECRET_KEY": "cos-key",
        "COS_SECRET_ID": "your-key",
        "TENCENTCLOUD_SECRET_ID": "tc-id",
        "TENCENTCLOUD_SECRET_KEY": "tc-key",
        "COS_SESSION_TOKEN": "cos-token",
    }.items():
        monkeypatch.setenv(name, value)
    with COSStorage("pics-1250000000", region="ap-guangzhou") as store:
        assert credentials(store) == ("tc-id", "tc-key", "")
    with pytest.raises(MissingCredentialError, match="secret_access_key is missing"):
        COSStorage("pics-1250000000", region="ap-guangzhou", access_key_id="mine")


def test_no_url_lives_longer_than_its_session() -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    with made("oss", region="cn-hangzhou", session_token="t", session_expires=soon) as store:
        query = parse_qs(urlsplit(store.presigned_url("k", expires=604_800)).query)
        assert int(query["X-Amz-Expires"][0]) <= 300
        store._session_expires = _OVER
        with pytest.raises(StorageError, match="no URL can be signed"):
            store.url_of("k")


def test_a_result_found_again_says_when_its_url_dies(sandbox: Sandbox) -> None:
    """So do its renditions and the original."""
    label = ContentLabel(producer="p", keep_original=True)
    with OSSStorage(**sandbox.storage_options("pictures", "oss")) as store:
        for turn in range(2):
            with ImageClient(
                "gemini",
                **sandbox.image_options("gemini"),
                storage=store,
                renditions=[Rendition("web", 64)],
                label=label,
            ) as client:
                known = client.text_to_image("a cat", idempotency_key="k1").metadata
            assert known["expires_at"], turn
            assert known["renditions"]["web"]["expires_at"]
            if turn == 0:
                assert known["original"]["expires_at"]
