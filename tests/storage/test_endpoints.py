"""
Endpoints as people write them: corrected, or refused when the store is made; and URLs that a
browser can open.
"""

from __future__ import annotations

import itertools
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from aigc_kit import ImageClient
from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage, R2Storage, S3Storage
from aigc_kit.storage.local import _refused_by_windows
from tests.images import make
from tests.tls import certificate
from tests.wire import Wire, http

ACCOUNT = "https://0123456789abcdef.r2.cloudflarestorage.com"
_numbers = itertools.count()


def s3(bucket: str = "pics", **options: Any) -> S3Storage:
    return S3Storage(
        bucket, **{"access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret", **options}
    )


def r2(endpoint: str, domain: str | None = "assets.example.com", **options: Any) -> R2Storage:
    return R2Storage("AKIAEXAMPLE", "secret", endpoint, "pics", domain, **options)


@pytest.mark.parametrize("end", ["", "/", "/pics", "/pics/"])
def test_a_bucket_behind_the_endpoint_is_taken_off(wire: Wire, end: str) -> None:
    """Cloudflare's "S3 API" line has it. https://github.com/wayjam/picgo-plugin-s3/issues/55"""
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    with r2(wire.url + end) as store:
        assert (
            store.upload_bytes(b"x", "a/b.png", content_type="image/png").url
            == "https://assets.example.com/a/b.png"
        )
    assert wire.requests[0].startswith(b"PUT /pics/a/b.png ")


VIRTUAL = {
    "https://oss-cn-hangzhou.aliyuncs.com": "https://pics.oss-cn-hangzhou.aliyuncs.com/k",
    "https://s3.oss-cn-hangzhou.aliyuncs.com": "https://pics.s3.oss-cn-hangzhou.aliyuncs.com/k",
    "https://tos-s3-cn-beijing.volces.com": "https://pics.tos-s3-cn-beijing.volces.com/k",
    "https://cos.ap-guangzhou.myqcloud.com": "https://pics.cos.ap-guangzhou.myqcloud.com/k",
    "https://obs.cn-north-4.myhuaweicloud.com": "https://pics.obs.cn-north-4.myhuaweicloud.com/k",
}


@pytest.mark.parametrize("bucket_in_the_host", [False, True])
@pytest.mark.parametrize("endpoint", VIRTUAL)
def test_services_that_refuse_path_style_get_the_other(
    endpoint: str, bucket_in_the_host: bool
) -> None:
    """https://github.com/lakeFS/lakeFS/issues/3613 https://github.com/apache/opendal/issues/6549"""
    given = endpoint.replace("https://", "https://pics.") if bucket_in_the_host else endpoint
    store = s3(endpoint_url=given)
    bare, _, signature = store.url_of("k").partition("?")  # their hosts show no images
    assert bare == VIRTUAL[endpoint]
    assert "X-Amz-Signature=" in signature
    shown = s3(endpoint_url=given, public_base_url="https://cdn.example.com")
    assert shown.url_of("k") == "https://cdn.example.com/k"
    url = urlsplit(store.presigned_url("k"))
    assert (url.netloc, url.path) == (urlsplit(VIRTUAL[endpoint]).netloc, "/k")
    assert "/aws4_request" in parse_qs(url.query)["X-Amz-Credential"][0]
    store.close()


@pytest.mark.parametrize("endpoint", ["https://minio.example.com", "http://10.0.0.5:9000", ACCOUNT])
def test_others_keep_path_style(endpoint: str) -> None:
    url = s3(endpoint_url=endpoint, region="auto").url_of("k")
    assert url.partition("?")[0] == f"{endpoint}/pics/k"
    assert ("X-Amz-Signature=" in url) is (endpoint == ACCOUNT)  # which the public cannot read
    assert s3(endpoint_url="https://minio.example.com", addressing_style="virtual").url_of("k") == (
        "https://pics.minio.example.com/k"
    )


def test_a_host_that_begins_with_the_bucket_must_be_explained() -> None:
    """A host of that name cannot be distinguished from a bucket in it."""
    with pytest.raises(ConfigurationError, match="addressing_style"):
        s3("minio", endpoint_url="https://minio.example.com")
    assert s3("minio", endpoint_url="https://minio.example.com", addressing_style="path").url_of(
        "k"
    ) == ("https://minio.example.com/minio/k")
    assert s3("minio", endpoint_url="https://minio.example.com", addressing_style="virtual").url_of(
        "k"
    ) == ("https://minio.example.com/k")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dash.cloudflare.com/0123/r2/default/buckets/pics",
        "https://s3.console.aws.amazon.com/s3/buckets/pics",
        "https://us-east-1.console.aws.amazon.com/s3/buckets/pics",
        "https://oss.console.aliyun.com/bucket/oss-cn-hangzhou/pics",
        "https://console.volcengine.com/tos/bucket",
        "https://console.cloud.tencent.com/cos/bucket",
    ],
)
def test_a_dashboard_is_not_an_endpoint(endpoint: str) -> None:
    for make_store in (
        lambda: r2(endpoint),
        lambda: s3(endpoint_url=endpoint),
        lambda: r2(ACCOUNT, endpoint),
    ):
        with pytest.raises(ConfigurationError, match="dashboard"):
            make_store()


@pytest.mark.parametrize(
    "domain",
    [
        ACCOUNT,
        "0123456789abcdef.r2.cloudflarestorage.com",
        ACCOUNT + "/pics",
        "https://pics." + ACCOUNT[8:],
        "https://0123456789abcdef.eu.r2.cloudflarestorage.com",
    ],
)
def test_r2s_endpoint_is_never_public(domain: str) -> None:
    """https://github.com/usememos/memos/issues/1191"""
    for make_store in (
        lambda: r2(ACCOUNT, domain),
        lambda: s3(endpoint_url=ACCOUNT, public_base_url=domain),
    ):
        with pytest.raises(ConfigurationError, match="the public cannot read"):
            make_store()
    assert (
        r2(ACCOUNT, "pub-0123456789abcdef.r2.dev").url_of("k")
        == "https://pub-0123456789abcdef.r2.dev/k"
    )


@pytest.mark.parametrize(
    ("endpoint", "public"),
    [
        ("http://10.0.0.5:9000", "http://10.0.0.5:9000"),
        (None, "https://s3.eu-west-1.amazonaws.com"),
        ("https://oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com"),
    ],
)
def test_a_public_url_without_the_bucket_is_refused(endpoint: str | None, public: str) -> None:
    with pytest.raises(ConfigurationError, match="without the bucket"):
        s3(endpoint_url=endpoint, region="eu-west-1", public_base_url=public)
    parts = urlsplit(public)
    s3(endpoint_url=endpoint, region="eu-west-1", public_base_url=f"{public}/pics")
    if not parts.netloc[0].isdigit():
        s3(
            endpoint_url=endpoint,
            region="eu-west-1",
            public_base_url=f"https://pics.{parts.netloc}",
        )


# ---- what each store wants


def headers(request: bytes) -> dict[str, str]:
    lines = request.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_a_store_that_takes_no_checksum_gets_a_signed_digest(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Backblaze B2 refuses ``x-amz-checksum-sha256``.
    https://github.com/cyberduck/cyberduck/issues/15841
    """
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **o: real("127.0.0.1" if "backblazeb2" in str(host) else host, *a, **o),
    )
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    with s3(
        endpoint_url=f"http://s3.us-west-004.backblazeb2.com:{wire.port}",
        public_base_url="f.example.com",
    ) as store:
        store.upload_bytes(b"x", "k", content_type="image/png")
    sent = headers(wire.requests[0])
    assert "x-amz-checksum-sha256" not in sent
    assert len(sent["x-amz-content-sha256"]) == 64
    assert "/us-west-004/s3/" in sent["authorization"]


def test_acl_and_further_arguments_are_sent(wire: Wire) -> None:
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    extra = {"StorageClass": "STANDARD_IA"}
    with s3(endpoint_url=wire.url, region="auto", acl="public-read", extra_args=extra) as store:
        store.upload_bytes(b"x", "k", content_type="image/png")
    sent = headers(wire.requests[0])
    assert (sent["x-amz-acl"], sent["x-amz-storage-class"]) == ("public-read", "STANDARD_IA")


def test_a_ca_of_ones_own(tmp_path: Path) -> None:
    context, authority = certificate(tmp_path)
    with Wire(tls=context) as secure:
        secure.script(http(200, b"", headers={"etag": '"e"'}))
        with s3(
            endpoint_url=secure.url,
            region="auto",
            verify=authority,
            public_base_url="a.example.com",
        ) as store:
            assert store.upload_bytes(b"x", "k", content_type="image/png").etag == "e"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"addressing_style": "host"}, "addressing_style"),
        ({"verify": False}, "verify"),
        ({"verify": "/no/such/file"}, "no such file"),
        ({"acl": 5}, "acl"),
        ({"extra_args": "x"}, "extra_args"),
        ({"extra_args": {"Body": b"x"}}, "sets itself"),
        ({"access_key_secret": "again"}, "two names"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        s3(endpoint_url="https://minio.example.com", **options)


def test_both_names_of_the_secret_are_understood(wire: Wire) -> None:
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    for store in (
        S3Storage(
            "b", endpoint_url=wire.url, region="auto", access_key_id="a", access_key_secret="b"
        ),
        R2Storage("a", None, wire.url, "b", "d.example.com", secret_access_key="b"),
    ):
        with store:
            assert store.upload_bytes(b"x", "k", content_type="image/png").etag == "e"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("SecondLevelDomainForbidden", "addressing_style"),
        ("PathStyleDomainForbidden", "addressing_style"),
        ("InvalidPathAccess", "addressing_style"),
        ("AuthorizationHeaderMalformed", "region"),
        ("AccessControlListNotSupported", "acl"),
        ("RequestTimeTooSkewed", "clock"),
    ],
)
def test_errors_name_the_setting(wire: Wire, code: str, hint: str) -> None:
    wire.script(http(403, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()))
    with s3(endpoint_url=wire.url, region="auto") as store, pytest.raises(StorageError, match=hint):
        store.upload_bytes(b"x", "k", content_type="image/png")


# ---- URLs that a browser can open


@pytest.fixture
def bucket(s3_server: str) -> Iterator[str]:
    name = f"open-{next(_numbers)}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_server,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=name, ACL="public-read")
    yield name
    client.close()


def opened(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        data: bytes = response.read()
        return data


@pytest.mark.parametrize(
    "key", ["a/b.png", "图片/橘猫 1.png", "a+b (c)~!'*&=@:,;$.png", "%41.png", "?#.png"]
)
@pytest.mark.parametrize("kind", ["S3", "S3 signed", "R2 without a domain", "R2", "local"])
def test_every_url_leads_to_the_object(
    s3_server: str, bucket: str, tmp_path: Path, kind: str, key: str
) -> None:
    options: dict[str, Any] = {"access_key_id": "a", "access_key_secret": "b"}
    if kind in ("S3", "R2"):
        options["extra_args"] = {"ACL": "public-read"}
    store: Any = {
        "S3": lambda: S3Storage(
            bucket, endpoint_url=f"{s3_server}/{bucket}", region="us-east-1", **options
        ),
        "S3 signed": lambda: S3Storage(
            bucket, endpoint_url=s3_server, region="us-east-1", **options
        ),
        "R2 without a domain": lambda: R2Storage(endpoint=s3_server, bucket=bucket, **options),
        "R2": lambda: R2Storage(
            endpoint=s3_server, bucket=bucket, public_domain=f"{s3_server}/{bucket}", **options
        ),
        "local": lambda: LocalStorage(tmp_path),
    }[kind]()
    with store:
        stored = store.upload_bytes(key.encode(), key, content_type="image/png")
        found = store.exists(key)
        signed = [store.presigned_url(key, expires=60)] if kind == "S3 signed" else []
        for url in signed or (stored.url, found.url):
            assert opened(url) == key.encode()


@pytest.mark.parametrize("expires", [0, -1, 604_801, 1.5, True, None])
def test_signatures_live_a_week_at_most(expires: Any) -> None:
    """boto3 signs 604,801 without a word; the server refuses later."""
    with (
        s3(endpoint_url=ACCOUNT, region="auto") as store,
        pytest.raises(InvalidInputError, match="expires"),
    ):
        store.presigned_url("k", expires=expires)


def test_an_image_of_a_private_bucket_has_a_signed_url(sandbox: Sandbox) -> None:
    options = {**sandbox.storage_options(), "public_domain": None}
    with (
        R2Storage(**options) as store,
        ImageClient("gemini", storage=store, **sandbox.image_options("gemini")) as images,
    ):
        result = images.text_to_image("a cat")
    assert "X-Amz-Signature" in result.url
    assert result.metadata["expires_at"].endswith("Z")
    assert "X-Amz" not in repr(result)


def test_local_results_that_are_found_again_can_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    with ImageClient(
        "gemini", storage=LocalStorage(tmp_path), **sandbox.image_options("gemini")
    ) as images:
        first = images.text_to_image("a cat", idempotency_key="k")
        again = images.text_to_image("a cat", idempotency_key="k")
        assert not again.has_base64
        assert again.download() == first.data
        outside = tmp_path.parent / "outside.png"
        outside.write_bytes(make())
        again.url = outside.as_uri()
        again.base64 = ""
        with pytest.raises(Exception, match="not in the client's storage"):
            again.download()


@pytest.mark.parametrize(
    "key", ["con.png", "a/NUL", "aux", "COM1.txt", "lpt9.png", "a/con.tar.gz", "a./b", "b ", "..."]
)
def test_names_that_windows_refuses_are_refused(tmp_path: Path, key: str) -> None:
    store = LocalStorage(tmp_path)
    for call in (
        lambda: store.upload_bytes(b"x", key, content_type="image/png"),
        lambda: store.exists(key),
    ):
        with pytest.raises(InvalidInputError, match="Windows"):
            call()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("segment", "refused"), [("a?b", True), ("a:b", True), ("a*b", True), ("a b", False)]
)
def test_what_only_windows_refuses_is_refused_there(segment: str, refused: bool) -> None:
    assert _refused_by_windows(segment, here=True) is refused
    assert not _refused_by_windows(segment, here=False)


def test_the_public_url_of_r2_is_not_its_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="public_domain"):
        r2("https://pub-0123456789abcdef.r2.dev")


@pytest.mark.parametrize(
    "endpoint",
    [ACCOUNT.removeprefix("https://"), f"{ACCOUNT.removeprefix('https://')}/", ACCOUNT],
)
def test_an_endpoint_may_be_a_host_as_consoles_show_it(endpoint: str) -> None:
    assert r2(endpoint, "cdn.example.com").url_of("k") == "https://cdn.example.com/k"
