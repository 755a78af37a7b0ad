"""
A bucket as Cloudflare R2 keeps it: PUT, HEAD, GET and DELETE of objects.

``If-None-Match: *`` holds; signatures are v4, SHA-256 is checked, and checksum trailers are
refused.

Source: https://developers.cloudflare.com/r2/api/s3/api/ and .../api/error-codes/, read 2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib

from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

ROOT = "/s3/"
_STATUS = {
    "NoSuchKey": 404,
    "Unauthorized": 401,
    "InvalidAccessKeyId": 403,
    "BadDigest": 400,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
}


def handle(request: Request, state: State) -> Answer | None:
    """The response of the store, or None for a path that is not below ``ROOT``."""
    if not request.path.startswith(ROOT):
        return None
    authorization = request.headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256"):
        return _error("Unauthorized", "Unauthorized")
    if state.api_key and f"Credential={state.api_key}/" not in authorization:
        return _error(
            "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records."
        )
    name = request.path.lstrip("/")
    method = _METHODS.get(request.method)
    if method is None:
        return _error(
            "NotImplemented",
            "A header or query you provided implies functionality that is not implemented.",
        )
    return method(request, state, name)


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
    state.keep(name, request.raw, request.headers.get("content-type", "application/octet-stream"))
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
