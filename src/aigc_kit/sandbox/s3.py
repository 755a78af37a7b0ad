"""
A bucket as Cloudflare R2 keeps it: PUT (also where there is none), HEAD, GET and DELETE of objects, signature v4, SHA-256 checked, checksum trailers refused.

Source: https://developers.cloudflare.com/r2/api/s3/api/ and .../api/error-codes/, read 2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib

from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

ROOT = "/s3/"
_STATUS = {"NoSuchKey": 404, "Unauthorized": 401, "InvalidAccessKeyId": 403, "BadDigest": 400, "NotImplemented": 501,
           "PreconditionFailed": 412}  # fmt: skip


def handle(request: Request, state: State) -> Answer | None:
    """The reply of the store, or None for a path that is not one of its."""
    if not request.path.startswith(ROOT):
        return None
    authorization = request.headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256"):
        return _error("Unauthorized", "Unauthorized")
    if state.api_key and f"Credential={state.api_key}/" not in authorization:
        return _error("InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.")
    name = request.path.lstrip("/")
    if request.method == "PUT":
        if "x-amz-trailer" in request.headers:
            return _error("Unauthorized", "Unauthorized")
        told = request.headers.get("x-amz-checksum-sha256")
        digest = base64.b64encode(hashlib.sha256(request.raw).digest()).decode()
        if told is not None and told != digest:
            return _error("BadDigest", "The SHA-256 you specified did not match what was received.")
        if request.headers.get("if-none-match") == "*" and name in state.files:
            return _error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        state.keep(name, request.raw, request.headers.get("content-type", "application/octet-stream"))
        state.described[name] = {
            header: value for header, value in request.headers.items() if header.startswith("x-amz-meta-")
        }
        return Answer(200, b"", {"etag": f'"{hashlib.md5(request.raw, usedforsecurity=False).hexdigest()}"'})
    found = state.files.get(name)
    if request.method == "DELETE":
        state.files.pop(name, None)
        return Answer(204, b"", {})
    if request.method not in ("HEAD", "GET"):
        return _error("NotImplemented", "A header or query you provided implies functionality that is not implemented.")
    if found is None:
        return _error("NoSuchKey", "The specified key does not exist.")
    data, kind, _ = found
    etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
    described = state.described.get(name, {})
    return Answer(200, data, {"content-type": kind, "etag": f'"{etag}"', **described})


def _error(code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(_STATUS[code], body, {"content-type": "application/xml"})
