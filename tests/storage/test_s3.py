"""S3 and R2 against a real server on a socket, and against one that shows every byte."""

from __future__ import annotations

import base64
import hashlib
import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from aigc_kit.errors import ConfigurationError, MissingCredentialError, StorageError
from aigc_kit.storage import R2Storage, S3Storage, Storage, StoredObject
from aigc_kit.storage.base import public_base
from tests.storage.contract import Reader, StorageContract
from tests.tls import certificate
from tests.wire import Reset, Wire, http

_numbers = itertools.count()


def admin(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def bucket(s3_server: str) -> Iterator[str]:
    name = f"bucket-{next(_numbers)}"
    client = admin(s3_server)
    client.create_bucket(Bucket=name)
    yield name
    client.close()


def r2(url: str, bucket: str = "b", **options: Any) -> R2Storage:
    return R2Storage("key-id", "canary-secret", url, bucket, "assets.example.com", **options)


class TestR2Storage(StorageContract):
    @pytest.fixture
    def storage(self, s3_server: str, bucket: str) -> Iterator[Storage]:
        storage = r2(s3_server, bucket)
        yield storage
        storage.close()

    @pytest.fixture
    def read(self, s3_server: str, bucket: str) -> Iterator[Reader]:
        client = admin(s3_server)
        yield lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.close()

    def test_public_urls_are_those_of_the_domain(self, storage: Storage) -> None:
        """Quoted once, whatever letters the key has."""
        stored = storage.upload_bytes(b"x", "a b/猫+(1)~é.png", content_type="image/png")
        assert stored.url == "https://assets.example.com/a%20b/%E7%8C%AB%2B%281%29~%C3%A9.png"
        assert (stored.bucket, len(stored.etag)) == (storage.bucket, 32)  # type: ignore[attr-defined]

    def test_what_the_object_carries(self, storage: Storage, s3_server: str, bucket: str) -> None:
        """Type and cache control, for browsers and for Cloudflare."""
        storage.upload_bytes(b"x", "h.png", content_type="image/png")
        client = admin(s3_server)
        head = client.head_object(Bucket=bucket, Key="h.png")
        client.close()
        assert head["ContentType"] == "image/png"
        assert head["CacheControl"] == "public, max-age=31536000, immutable"


class TestS3Storage(StorageContract):
    @pytest.fixture
    def storage(self, s3_server: str, bucket: str) -> Iterator[Storage]:
        storage = S3Storage(
            bucket,
            endpoint_url=s3_server,
            region="us-east-1",
            access_key_id="a",
            secret_access_key="b",
        )
        yield storage
        storage.close()

    @pytest.fixture
    def read(self, s3_server: str, bucket: str) -> Iterator[Reader]:
        client = admin(s3_server)
        yield lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.close()


def test_a_bucket_that_does_not_exist(s3_server: str) -> None:
    """The error names bucket, server and what is wrong; it is not retryable."""
    storage = r2(s3_server, "no-such-bucket")
    with pytest.raises(StorageError, match=r"(?s)NoSuchBucket.*does not exist") as caught:
        storage.upload_bytes(b"x", "k.png", content_type="image/png")
    storage.close()
    assert (caught.value.key, caught.value.retryable) == ("k.png", False)
    assert "canary" not in str(caught.value) + repr(storage)


def headers(request: bytes) -> dict[str, str]:
    lines = request.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_what_leaves_on_plain_http(wire: Wire) -> None:
    """
    Path style, signature v4 for region auto, the SHA-256 of the bytes, no checksum trailer, no wait
    for a 100.
    """
    wire.script(http(200, b"", headers={"etag": '"abc"'}))
    storage = r2(wire.url, "bucket")
    stored = storage.upload_bytes(b"content", "a/b.png", content_type="image/png")
    storage.close()
    (request,) = wire.requests
    sent = headers(request)
    assert request.startswith(b"PUT /bucket/a/b.png HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\ncontent")
    assert "/auto/s3/aws4_request" in sent["authorization"]
    digest = hashlib.sha256(b"content").digest()
    assert sent["x-amz-checksum-sha256"] == base64.b64encode(digest).decode()
    assert sent["x-amz-content-sha256"] == digest.hex()
    assert sent["content-length"] == "7"
    for absent in (
        "expect",
        "x-amz-trailer",
        "x-amz-checksum-crc32",
        "content-encoding",
        "transfer-encoding",
        "x-amz-acl",
    ):
        assert absent not in sent
    assert stored.etag == "abc"


def test_a_known_digest_is_what_leaves(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not hashed again; a subclass's own ``upload_bytes`` is used."""

    class Own(S3Storage):
        def upload_bytes(self, data: bytes, key: str, *, content_type: str) -> StoredObject:
            return super().upload_bytes(b"own " + data, key, content_type=content_type)

    wire.script(http(200, b"", headers={"etag": '"x"'}))
    for kind in (S3Storage, Own):
        store = kind(
            "b", endpoint_url=wire.url, region="auto", access_key_id="a", secret_access_key="b"
        )
        store.upload_hashed(b"data", "k", content_type="image/png", sha256=b"\0" * 32)
        store.close()
    monkeypatch.setattr(S3Storage, "upload_bytes", lambda *args, **options: "patched")
    with S3Storage(
        "b", endpoint_url=wire.url, region="auto", access_key_id="a", secret_access_key="b"
    ) as patched:
        assert (
            patched.upload_hashed(b"data", "k", content_type="image/png", sha256=b"") == "patched"
        )  # type: ignore[comparison-overlap]
    first, second = wire.requests
    assert b"x-amz-checksum-sha256: " + base64.b64encode(b"\0" * 32) in first
    assert base64.b64encode(hashlib.sha256(b"own data").digest()) in second
    assert second.endswith(b"own data")


def test_what_leaves_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    https is where boto3's defaults would add a trailer that R2 refuses: one plain PUT of known
    length.
    """
    context, authority = certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    with Wire(tls=context) as secure:
        secure.script(http(200, b"", headers={"etag": '"e"'}))
        storage = r2(secure.url, "bucket")
        storage.upload_bytes(b"content", "k.png", content_type="image/png")
        storage.close()
        sent = headers(secure.requests[0])
    assert sent["content-length"] == "7"
    assert (
        sent["x-amz-checksum-sha256"]
        == base64.b64encode(hashlib.sha256(b"content").digest()).decode()
    )
    assert sent["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    for absent in ("expect", "x-amz-trailer", "content-encoding", "transfer-encoding"):
        assert absent not in sent


def test_an_unknown_certificate(tmp_path: Path) -> None:
    """TLS is checked."""
    context, _ = certificate(tmp_path)
    with Wire(tls=context) as secure:
        storage = r2(secure.url, max_retries=0)
        with pytest.raises(StorageError, match="SSL"):
            storage.upload_bytes(b"x", "k", content_type="text/plain")
        storage.close()
        assert secure.requests == []


def test_nothing_of_the_machine_leaks_in(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed_port: int
) -> None:
    """
    With explicit keys no profile, config file, proxy, token or endpoint of the machine is used.
    """
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = virtual\nretry_mode = adaptive\nmax_attempts = 9\n"
    )
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "missing",
        "AWS_SESSION_TOKEN": "canary-token",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
        "HTTP_PROXY": f"http://127.0.0.1:{closed_port}",
        "AWS_MAX_ATTEMPTS": "9",
    }.items():
        monkeypatch.setenv(name, value)
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    storage = r2(wire.url)
    storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()
    assert wire.requests[0].startswith(b"PUT /b/k ")
    assert b"canary" not in wire.requests[0]
    assert b"x-amz-checksum-crc32" not in wire.requests[0].lower()


def test_the_machines_chain_serves_who_gives_no_keys(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 on AWS: variables, profiles and roles."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    storage = S3Storage("b", endpoint_url=wire.url)
    storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()
    assert "Credential=from-env/" in headers(wire.requests[0])["authorization"]
    assert "/eu-west-1/s3/" in headers(wire.requests[0])["authorization"]


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire) -> None:
    """The error says what to pass or set."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    storage = S3Storage("b", endpoint_url=wire.url, region="auto")
    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID"):
        storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()
    assert wire.requests == []


@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        (http(500, b"<Error><Code>InternalError</Code></Error>"), 3),
        (http(503, b"<Error><Code>SlowDown</Code></Error>"), 3),
        (http(429, b"<Error><Code>TooManyRequests</Code></Error>"), 3),
        (http(400, b"<Error><Code>IncompleteBody</Code></Error>"), 3),
        (http(502, b"<html>"), 3),
        (http(400, b"<Error><Code>InvalidDigest</Code></Error>"), 1),
        (http(401, b"<Error><Code>Unauthorized</Code></Error>"), 1),
        (http(403, b"<Error><Code>AccessDenied</Code></Error>"), 1),
        (http(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"), 1),
        (http(301, b""), 1),
    ],
)
def test_which_failures_are_tried_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, failure: bytes, requests: int
) -> None:
    """A PUT changes nothing when repeated, so what may pass is repeated; what cannot is not."""
    monkeypatch.setattr("aigc_kit.transport.retry.FIRST_WAIT", 0.01)
    wire.script(failure)
    storage = r2(wire.url)
    with pytest.raises(StorageError) as caught:
        storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()
    assert len(wire.requests) == requests
    assert caught.value.retryable is (requests == 3)


def test_a_refused_look_up_says_what_is_wrong(wire: Wire) -> None:
    """HEAD has no body, so the status alone must do."""
    wire.script(http(403, b""))
    storage = r2(wire.url)
    with pytest.raises(StorageError, match=r"failed: 403 \(.*the keys are wrong"):
        storage.exists("k")
    storage.close()


def test_a_cut_is_tried_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload succeeds in the end."""
    monkeypatch.setattr("aigc_kit.transport.retry.FIRST_WAIT", 0.01)
    wire.script(Reset)
    wire.script(http(200, b"")[:20], Reset)
    wire.script(http(200, b"", headers={"etag": '"e"'}))
    storage = r2(wire.url)
    storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()
    assert len(wire.requests) == 3


def test_a_changed_upload_is_an_error(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that counted another digest."""
    monkeypatch.setattr("aigc_kit.transport.retry.FIRST_WAIT", 0.01)
    wire.script(http(200, b"", headers={"x-amz-checksum-sha256": "AAAA"}))
    storage = r2(wire.url)
    with pytest.raises(StorageError, match="another SHA-256"):
        storage.upload_bytes(b"x", "k", content_type="text/plain")
    storage.close()


def test_the_environment_supplies_r2(
    monkeypatch: pytest.MonkeyPatch, s3_server: str, bucket: str
) -> None:
    """The document's five variables; each missing one is named."""
    values = {
        "R2_BUCKET_NAME": bucket,
        "R2_ENDPOINT": s3_server,
        "R2_ACCESS_KEY_ID": "a",
        "R2_ACCESS_KEY_SECRET": "b",
    }
    monkeypatch.setenv("R2_PUBLIC_DOMAIN", "assets.example.com/")
    for name, value in values.items():
        with pytest.raises((ConfigurationError, MissingCredentialError), match=name):
            R2Storage()
        monkeypatch.setenv(name, value)
    with R2Storage() as storage:
        assert (
            storage.upload_bytes(b"x", "k", content_type="text/plain").url
            == "https://assets.example.com/k"
        )


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("cdn.example.com", "https://cdn.example.com"),
        ("https://cdn.example.com/", "https://cdn.example.com"),
        ("http://localhost:9000/b/", "http://localhost:9000/b"),
        ("cdn.example.com/img", "https://cdn.example.com/img"),
        (" https://cdn.example.com// ", "https://cdn.example.com"),
    ],
)
def test_public_domains(given: str, base: str) -> None:
    """With or without scheme, slash, port and path."""
    assert public_base(given, what="x") == base


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "https://",
        "ftp://x",
        "https://x?y",
        "https://x#y",
        "https://u:p@x",
        "a b",
        "x:y",
        "x\\y",
    ],
)
def test_bad_public_domains(bad: str) -> None:
    """Query, fragment, credentials, spaces."""
    with pytest.raises(ConfigurationError, match="must be a domain") as caught:
        public_base(bad, what="public_domain")
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"access_key_id": "x"}, "belong together"),
        ({"timeout": 0}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_pool_connections": 0}, "max_pool_connections"),
        ({"endpoint_url": "x"}, "base_url"),
    ],
)
def test_bad_options(options: dict[str, Any], match: str) -> None:
    """Refused when the storage is made."""
    with pytest.raises(ConfigurationError, match=match):
        S3Storage(**{"bucket": "b", **options})


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"region": "eu-west-1"}, "https://b.s3.eu-west-1.amazonaws.com/k"),
        ({}, "https://b.s3.us-east-1.amazonaws.com/k"),
        ({"bucket": "b.c", "region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com/b.c/k"),
        ({"region": "cn-north-1"}, "https://b.s3.cn-north-1.amazonaws.com.cn/k"),
        ({"endpoint_url": "http://h:1/"}, "http://h:1/b/k"),
        ({"public_base_url": "cdn.x.y"}, "https://cdn.x.y/k"),
    ],
)
def test_the_buckets_own_url(options: dict[str, Any], url: str) -> None:
    """On AWS, on another server, behind a domain."""
    assert S3Storage(**{"bucket": "b", **options}).url_of("k") == url


def test_the_tls_helper_makes_a_server_context(tmp_path: Path) -> None:
    """What the TLS tests stand on."""
    context, authority = certificate(tmp_path)
    assert isinstance(context, ssl.SSLContext)
    assert authority.exists()


@pytest.mark.parametrize(
    "reply", [http(200, b"<html>login</html>"), http(202, b""), http(204, b"")]
)
def test_a_200_of_something_else_is_not_an_upload(wire: Wire, reply: bytes) -> None:
    """No S3 server answers a PUT without an ETag: the object is looked up before it counts."""
    wire.script(reply)
    wire.script(http(404, b""))
    storage = R2Storage("a", "b", wire.url, "bucket", "assets.example.com", max_retries=0)
    with storage, pytest.raises(StorageError, match="like no S3 server does"):
        storage.upload_bytes(b"x", "k", content_type="text/plain")
    assert [request.split(b" ")[0] for request in wire.requests] == [b"PUT", b"HEAD"]


@pytest.mark.parametrize("interim", [102, 103])
def test_interim_responses_are_passed_over(wire: Wire, interim: int) -> None:
    """A 103 before a 503 is not a success."""
    hint = f"HTTP/1.1 {interim} X\r\nlink: x\r\n\r\n".encode()
    wire.script(hint + hint + http(503, b"<Error><Code>SlowDown</Code></Error>"))
    storage = R2Storage("a", "b", wire.url, "bucket", "assets.example.com", max_retries=0)
    with storage, pytest.raises(StorageError, match="503"):
        storage.upload_bytes(b"x", "k", content_type="text/plain")
