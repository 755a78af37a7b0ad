"""
Objects that come in parts (``upload_fileobj`` of boto3 from 8 MiB on), and those that are copied.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html and its
neighbours, read 2026-11-27.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.state import State

_XML = {"content-type": "application/xml"}
_PART = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")


def handle(request: Request, state: State, name: str) -> Answer | None:
    """The response to a request of a multipart upload or of a copy, else None."""
    if request.method == "POST" and "uploads" in request.query:
        return _begin(request, state, name)
    mark = request.query.get("uploadId")
    if mark is not None:
        return _of_upload(request, state, name, mark)
    source = request.headers.get("x-amz-copy-source")
    if request.method == "PUT" and source is not None:
        return _copy(request, state, name, unquote(source))
    return None


def _begin(request: Request, state: State, name: str) -> Answer:
    mark = hashlib.sha256(f"{name} {len(state.tasks)}".encode()).hexdigest()[:24]
    kind = request.headers.get("content-type", "binary/octet-stream")
    state.tasks[mark] = {"name": name, "kind": kind, "parts": {}}
    bucket, _, key = name.removeprefix("s3/").partition("/")
    body = (
        "<InitiateMultipartUploadResult>"
        f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key><UploadId>{mark}</UploadId>"
        "</InitiateMultipartUploadResult>"
    )
    return Answer(200, body, _XML)


def _of_upload(request: Request, state: State, name: str, mark: str) -> Answer:
    upload = state.tasks.get(mark)
    if upload is None or upload.get("name") != name:
        return _error(404, "NoSuchUpload", "The specified multipart upload does not exist.")
    parts: dict[int, bytes] = upload["parts"]
    if request.method == "PUT":
        parts[int(request.query.get("partNumber", "0"))] = request.raw
        return Answer(200, b"", {"etag": etag(request.raw)})
    if request.method == "DELETE":
        del state.tasks[mark]
        return Answer(204, b"")
    if request.method != "POST":
        return _error(501, "NotImplemented", "Parts are not listed here.")
    wanted = [int(number) for number in _PART.findall(request.raw)]
    if not wanted or wanted != sorted(wanted) or not all(number in parts for number in wanted):
        return _error(400, "InvalidPart", "One or more of the specified parts could not be found.")
    data = b"".join(parts[number] for number in wanted)
    state.keep(name, data, upload["kind"], always=True)
    state.described[name] = {}
    del state.tasks[mark]
    return Answer(
        200,
        f"<CompleteMultipartUploadResult><ETag>{escape(etag(data))}</ETag></CompleteMultipartUploadResult>",
        _XML,
    )


def _copy(request: Request, state: State, name: str, source: str) -> Answer:
    found = state.files.get("s3/" + source.partition("?")[0].removeprefix("/"))
    if found is None:
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    data, kind, _ = found
    state.keep(name, data, kind, always=True)
    state.described[name] = dict(state.described.get("s3/" + source.removeprefix("/"), {}))
    body = f"<CopyObjectResult><ETag>{escape(etag(data))}</ETag></CopyObjectResult>"
    return Answer(200, body, _XML)


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _error(status: int, code: str, message: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, body, _XML)
