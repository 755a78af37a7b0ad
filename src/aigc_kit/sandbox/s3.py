"""
Buckets as Cloudflare R2 keeps them, and by their hosts (through an HTTP proxy) as Aliyun OSS,
Tencent COS and Volcengine TOS do: PUT, HEAD, GET, DELETE and lists of objects.

``If-None-Match: *`` holds; signatures are v4 and are checked, also those of presigned URLs; SHA-256
is checked, and checksum trailers are refused. What is in a bucket can be read without a signature
below ``PUBLIC``, as from a domain that is connected to it.

Source: https://developers.cloudflare.com/r2/api/s3/api/ and .../api/error-codes/, read 2026-11-22;
https://cloud.tencent.com/document/product/436/102489,
https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3,
apache/opendal#6549, read 2026-11-26.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from email.utils import formatdate
from xml.sax.saxutils import escape

from aigc_kit.sandbox import s3_parts
from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.s3_parts import etag as _etag
from aigc_kit.sandbox.sigv4 import is_right, signature_of
from aigc_kit.sandbox.state import State

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language")
"""Headers that an object keeps, beside its metadata."""

ROOT = "/s3/"
PUBLIC = "/public/"


@dataclass(frozen=True)
class _Service:
    """
    A service that has the bucket in its host. ``path_style``: how it refuses a bucket in the path;
    ``chunked``: likewise a checksum behind the body, ``acl``: likewise a public object.
    """

    host: str
    path_style: str
    chunked: str = "NotImplemented"
    acl: str = ""


_SERVICES = {
    "oss": _Service(
        r"(s3\.)?oss-(?P<region>[a-z0-9-]+)\.aliyuncs\.com",
        "SecondLevelDomainForbidden",
        acl="AccessDenied",
    ),
    "cos": _Service(r"cos\.(?P<region>[a-z0-9-]+)\.myqcloud\.com", "PathStyleDomainForbidden"),
    "tos": _Service(r"tos-s3-(?P<region>[a-z0-9-]+)\.volces\.com", "InvalidPathAccess"),
}
ENDPOINTS = {
    "oss": "http://oss-cn-hangzhou.aliyuncs.com",
    "cos": "http://cos.ap-guangzhou.myqcloud.com",
    "tos": "http://tos-s3-cn-beijing.volces.com",
}
"""Of the services that are reached through a proxy."""
_STATUS = {
    "NoSuchKey": 404,
    "NoSuchBucket": 404,
    "Unauthorized": 401,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "ExpiredRequest": 400,
    "BadDigest": 400,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "SecondLevelDomainForbidden": 403,
    "PathStyleDomainForbidden": 403,
    "InvalidPathAccess": 403,
}
_NOT_IMPLEMENTED = "A header or query you provided implies functionality that is not implemented."


def handle(request: Request, state: State) -> Answer | None:
    """The response of the store, or None for a path that is not below ``ROOT`` or ``PUBLIC``."""
    if request.path.startswith(PUBLIC):
        return _read_in_public(request, state)
    inside = _in_the_host(request)
    if inside is None and not request.path.startswith(ROOT):
        return None
    refused = _refusal(request, state) or (inside and _service_refusal(request, *inside))
    if refused is not None:
        return refused
    if inside is None:
        bucket, _, key = request.path.removeprefix(ROOT).partition("/")
    else:
        bucket, key = inside[1]["bucket"], request.path.removeprefix("/")
    if state.buckets is not None and bucket not in state.buckets:
        return _error("NoSuchBucket", "The specified bucket does not exist.")
    if not key:
        return _bucket(request, state, bucket)
    name = f"s3/{bucket}/{key}"
    in_parts = s3_parts.handle(request, state, name)
    if in_parts is not None:
        return in_parts
    method = _METHODS.get(request.method)
    if method is None or any(map(_is_sub_resource, request.query)):
        return _error("NotImplemented", _NOT_IMPLEMENTED)
    return method(request, state, name)


def _is_sub_resource(name: str) -> bool:
    """``?acl``, ``?tagging``: a PUT of one is not a PUT of the object."""
    return not name.lower().startswith(("x-amz-", "x-id", "response-", "versionid"))


def _in_the_host(request: Request) -> tuple[_Service, re.Match[str]] | None:
    host = request.headers.get("host", "").partition(":")[0]
    for service in _SERVICES.values():
        told = re.fullmatch(rf"((?P<bucket>.+)\.)?{service.host}", host)
        if told:
            return service, told
    return None


def _service_refusal(request: Request, service: _Service, told: re.Match[str]) -> Answer | None:
    """What a service in China refuses that R2 takes."""
    if not told["bucket"]:
        return _error(service.path_style, "Please use virtual hosted style to access.")
    headers = request.headers
    if "x-amz-trailer" in headers or "aws-chunked" in headers.get("content-encoding", ""):
        return _error(service.chunked, "Aws MultiChunkedEncoding is not supported.")
    if service.acl and headers.get("x-amz-acl", "private") != "private":
        return _error(service.acl, "Put public object acl is not allowed")
    signature = signature_of(request)
    region = signature.scope.split("/")[1] if signature else ""
    if region != told["region"]:
        return _error(
            "AuthorizationHeaderMalformed",
            f"The region '{region}' is wrong; expecting '{told['region']}'",
        )
    return None


def _refusal(request: Request, state: State) -> Answer | None:
    signature = signature_of(request)
    if signature is None:
        return _error("Unauthorized", "Unauthorized")
    if not state.api_key:
        return None
    if signature.access_key != state.api_key:
        return _error(
            "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records."
        )
    if signature.is_over():
        return _error("ExpiredRequest", "The presigned URL has expired.")
    if not is_right(request, signature, state.secret):
        return _error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided."
            " Check your secret access key and signing method.",
        )
    return None


def _read_in_public(request: Request, state: State) -> Answer:
    if request.method not in ("GET", "HEAD"):
        return _error("Unauthorized", "Unauthorized")
    return _get(request, state, "s3/" + request.path.removeprefix(PUBLIC))


def _bucket(request: Request, state: State, bucket: str) -> Answer:
    if request.method == "HEAD":
        return Answer(200, b"")
    if request.method != "GET" or request.query.get("list-type") != "2":
        return _error("NotImplemented", _NOT_IMPLEMENTED)
    head, prefix = f"s3/{bucket}/", request.query.get("prefix", "")
    keys = sorted(name.removeprefix(head) for name in state.files if name.startswith(head + prefix))
    after = request.query.get("continuation-token") or request.query.get("start-after") or ""
    fold = request.query.get("delimiter") or ""
    folder = after if fold and after.endswith(fold) else None
    keys = [key for key in keys if key > after and not (folder and key.startswith(folder))]
    found = _folded(keys, prefix, fold)
    most = int(request.query.get("max-keys", "1000"))
    page, rest = found[:most], found[most:]
    listed = "".join(_listed(entry, head, state) for entry in page)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
        f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        f"{token}{listed}</ListBucketResult>"
    )
    return Answer(200, body, {"content-type": "application/xml"})


def _folded(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """Keys, and in the place of those behind a delimiter what stands before it."""
    if not delimiter:
        return keys
    found: dict[str, None] = {}
    for key in keys:
        folder, there, _ = key[len(prefix) :].partition(delimiter)
        found[prefix + folder + there if there else key] = None
    return list(found)


def _listed(entry: str, head: str, state: State) -> str:
    kept = state.files.get(head + entry)
    if kept is None:
        return f"<CommonPrefixes><Prefix>{escape(entry)}</Prefix></CommonPrefixes>"
    return (
        f"<Contents><Key>{escape(entry)}</Key><Size>{len(kept[0])}</Size>"
        f"<ETag>{escape(_etag(kept[0]))}</ETag></Contents>"
    )


def _put(request: Request, state: State, name: str) -> Answer:
    if "x-amz-trailer" in request.headers:
        return _error("Unauthorized", "Unauthorized")
    told = request.headers.get("x-amz-checksum-sha256")
    digest = base64.b64encode(hashlib.sha256(request.raw).digest()).decode()
    if told is not None and told != digest:
        return _error("BadDigest", "The SHA-256 you specified did not match what was received.")
    if request.headers.get("if-none-match") == "*" and name in state.files:
        return _error(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold."
        )
    state.keep(
        name,
        request.raw,
        request.headers.get("content-type", "application/octet-stream"),
        always=True,
    )
    state.described[name] = {
        header: value
        for header, value in request.headers.items()
        if header.startswith("x-amz-meta-") or header in _KEPT
    }
    state.described[name]["last-modified"] = formatdate(usegmt=True)
    return Answer(200, b"", {"etag": _etag(request.raw)})


def _delete(request: Request, state: State, name: str) -> Answer:
    state.files.pop(name, None)
    state.described.pop(name, None)
    return Answer(204, b"", {})


def _get(request: Request, state: State, name: str) -> Answer:
    found = state.files.get(name)
    if found is None:
        return _error("NoSuchKey", "The specified key does not exist.")
    data, kind, _ = found
    headers = {"content-type": kind, "etag": _etag(data), **state.described.get(name, {})}
    told = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if told is None or not (told[1] or told[2]):
        return Answer(200, data, headers)
    start = int(told[1]) if told[1] else max(len(data) - int(told[2]), 0)
    last = min(int(told[2]), len(data) - 1) if told[1] and told[2] else len(data) - 1
    headers["content-range"] = f"bytes {start}-{last}/{len(data)}"
    return Answer(206, data[start : last + 1], headers)


_METHODS = {"PUT": _put, "DELETE": _delete, "HEAD": _get, "GET": _get}


def _error(code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(_STATUS[code], body, {"content-type": "application/xml"})
