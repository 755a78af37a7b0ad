"""``acl`` and ``extra_args``: refused before an image is paid for, not at its upload."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from aigc_kit.errors import ConfigurationError
from aigc_kit.storage import R2Storage, S3Storage
from aigc_kit.storage.arguments import CANNED, OTHERS, TEXTS

OPTIONS: dict[str, Any] = {
    "region": "us-east-1",
    "access_key_id": "id",
    "secret_access_key": "secret-0123456789",
    "public_base_url": "https://a.example.com",
}


def test_the_arguments_are_those_of_boto3() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    members = model.operation_model("PutObject").input_shape.members
    assert members.keys() >= TEXTS | OTHERS
    texts = {name for name in TEXTS | OTHERS if members[name].type_name == "string"}
    assert texts == TEXTS
    assert {*members["ACL"].enum, "default"} == set(CANNED)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"extra_args": {"StorageKlass": "IA"}}, "did you mean 'StorageClass'"),
        ({"extra_args": {5: "x"}}, "extra_args has 5"),
        ({"extra_args": {"StorageClass": 5}}, r"extra_args\['StorageClass'\] must be a text"),
        ({"extra_args": {"Key": "x"}}, "which the storage sets itself"),
        ({"extra_args": {"CacheControl": "x"}}, "pass it as cache_control"),
        ({"extra_args": "IA"}, "must be a dict"),
        ({"acl": "public"}, "acl must be one of 'private'"),
        ({"acl": ""}, "acl must be a canned ACL"),
    ],
)
def test_what_boto3_would_refuse_is_refused_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        S3Storage("pictures", **OPTIONS, **given)


def test_what_boto3_takes_is_taken() -> None:
    S3Storage("b", **OPTIONS, extra_args={"StorageClass": "IA", "BucketKeyEnabled": True})
    R2Storage(
        access_key_id="i",
        access_key_secret="secret-0123456789",
        endpoint="https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
        bucket="b",
        extra_args={"ContentDisposition": "inline"},
    )
