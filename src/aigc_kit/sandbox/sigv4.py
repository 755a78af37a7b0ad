"""
Signatures of AWS, version 4: in a header, or in the query of a presigned URL.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html, read 2026-11-26.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from aigc_kit.sandbox.http import Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True)
class Signature:
    """``scope``: day, region, service and ``aws4_request``. ``at``: as it was written."""

    access_key: str
    scope: str
    headers: tuple[str, ...]
    value: str
    at: str
    expires: int | None

    def is_over(self) -> bool:
        """Whether a presigned URL has expired."""
        if self.expires is None:
            return False
        began = datetime.strptime(self.at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.now(UTC) > began + timedelta(seconds=self.expires)


def signature_of(request: Request) -> Signature | None:
    """The signature of a request, None where it has none of this version."""
    written = request.headers.get("authorization", "")
    if written.startswith(_ALGORITHM):
        fields = dict(re.findall(r"(\w+)=([^,\s]+)", written))
        at = request.headers.get("x-amz-date", "")
        return _signature(fields, "Credential", "SignedHeaders", "Signature", at, None)
    query = request.query
    if query.get("X-Amz-Algorithm") == _ALGORITHM:
        expires = query.get("X-Amz-Expires", "")
        seconds = int(expires) if expires.isdigit() else 0
        at = query.get("X-Amz-Date", "")
        names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature")
        return _signature(query, *names, at, seconds)
    return None


def _signature(
    fields: Mapping[str, str],
    credential: str,
    headers: str,
    value: str,
    at: str,
    expires: int | None,
) -> Signature | None:
    key, _, scope = fields.get(credential, "").partition("/")
    names = tuple(fields.get(headers, "").split(";"))
    if not scope or not re.fullmatch(r"\d{8}T\d{6}Z", at):
        return None
    return Signature(key, scope, names, fields.get(value, ""), at, expires)


def is_right(request: Request, signature: Signature, secret: str, *, twice: bool = False) -> bool:
    """
    Whether this secret made the signature.

    Args:
        twice: the path is encoded twice, as by every service but S3.
    """
    path = quote(request.path, safe="/" + _UNRESERVED)
    if twice:
        path = quote(path, safe="/" + _UNRESERVED)
    query = "&".join(
        f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}"
        for name, value in sorted(request.query.items())
        if name != "X-Amz-Signature"
    )
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signature.headers
    )
    digest = request.headers.get("x-amz-content-sha256") or hashlib.sha256(request.raw).hexdigest()
    if signature.expires is not None:
        digest = "UNSIGNED-PAYLOAD"
    whole = "\n".join([request.method, path, query, headers, ";".join(signature.headers), digest])
    text = "\n".join(
        [_ALGORITHM, signature.at, signature.scope, hashlib.sha256(whole.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in signature.scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, signature.value)
