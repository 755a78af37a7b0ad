"""
Buckets as Cloudflare R2 keeps them: PUT, HEAD, GET, DELETE and lists of objects.

``If-None-Match: *`` holds; signatures are v4 and are checked, also those of presigned URLs; SHA-256
is checked, and checksum trailers are refused. What is in a bucket can be read without a signature
below ``PUBLIC``, as from a domain that is connected to it.

Source: https://developers.cloudflare.com/r2/api/s3/api/ and .../api/error-codes/, read 2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib
from xml.sax.saxutils import escape

from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.sigv4 import is_right, signature_of
from aigc_kit.sandbox.state import State

ROOT = "/s3/"
PUBLIC = "/public/"
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
}
_NOT_IMPLEMENTED = "A header or query you provided implies functionality that is not implemented."


def handle(request: Request, state: State) -> Answer | None:
    """The response of the store, or None for a path that is not below ``ROOT`` or ``PUBLIC``."""
    if request.path.startswith(PUBLIC):
        return _read_in_public(request, state)
    if not request.path.startswith(ROOT):
        return None
    refused = _refusal(request, state)
    if refused is not None:
        return refused
    bucket, _, key = request.path.removeprefix(ROOT).partition("/")
    if state.buckets is not None and bucket not in state.buckets:
        return _error("NoSuchBucket", "The specified bucket does not exist.")
    if not key:
        return _bucket(request, state, bucket)
    method = _METHODS.get(request.method)
    if method is None:
        return _error("NotImplemented", _NOT_IMPLEMENTED)
    return method(request, state, request.path.lstrip("/"))


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
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(state.files[head + key][0])}</Size>"
        f"<ETag>{escape(_etag(state.files[head + key][0]))}</ETag></Contents>"
        for key in keys
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
        f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>{contents}"
        "</ListBucketResult>"
    )
    return Answer(200, body, {"content-type": "application/xml"})


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
        if header.startswith("x-amz-meta-")
    }
    return Answer(200, b"", {"etag": _etag(request.raw)})


def _delete(request: Request, state: State, name: str) -> Answer:
    state.files.pop(name, None)
    return Answer(204, b"", {})


def _get(request: Request, state: State, name: str) -> Answer:
    found = state.files.get(name)
    if found is None:
        return _error("NoSuchKey", "The specified key does not exist.")
    data, kind, _ = found
    return Answer(
        200, data, {"content-type": kind, "etag": _etag(data), **state.described.get(name, {})}
    )


_METHODS = {"PUT": _put, "DELETE": _delete, "HEAD": _get, "GET": _get}


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _error(code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(_STATUS[code], body, {"content-type": "application/xml"})
