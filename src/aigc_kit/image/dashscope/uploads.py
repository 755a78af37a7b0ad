"""
DashScope's temporary storage: references of up to 48 hours, for one model and account.

Source: dashscope 2.0.2 ``utils/oss_utils.py``,
https://www.alibabacloud.com/help/en/model-studio/get-temporary-file-url, read 2026-11-25.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

from aigc_kit.errors import InvalidReplyError
from aigc_kit.image.references import Reference
from aigc_kit.media import sniff
from aigc_kit.settings import Headers
from aigc_kit.transport.answers import answer_of, json_of
from aigc_kit.transport.clients import HttpTransport
from aigc_kit.transport.deadline import Deadline, WireError
from aigc_kit.transport.failures import RequestContext, error_of, failure_of

RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}
"""A header of the request that names such a reference."""

_NEEDED = ("policy", "signature", "upload_dir", "upload_host", "oss_access_key_id")


def uploaded(
    reference: Reference,
    transport: HttpTransport,
    model: str,
    *,
    context: RequestContext,
    deadline: Deadline,
    headers: Headers,
) -> Reference:
    """
    The reference as an ``oss://`` URL. Costs nothing.

    Args:
        context: of a request that is not paid for.

    Raises:
        ProviderError: the vendor gives no place, or the store refuses the file.
    """
    policy = _policy(transport, model, context, deadline, headers)
    key = f"{policy['upload_dir']}/{secrets.token_hex(8)}{sniff.extension(reference.mime_type)}"
    fields = {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "x-oss-object-acl": policy.get("x_oss_object_acl", "private"),
        "x-oss-forbid-overwrite": policy.get("x_oss_forbid_overwrite", "true"),
        "key": key,
        "success_action_status": "200",
    }
    mark = f"aigc-kit-{secrets.token_hex(16)}"
    store = HttpTransport("")  # another service's host: it does not get the key
    try:
        response = store.send(
            "POST",
            policy["upload_host"],
            _form(fields, reference, mark),
            context,
            deadline,
            None,
            f"multipart/form-data; boundary={mark}",
        )
        raw = response.read(deadline)
    except WireError as error:
        raise failure_of(context, error, deadline) from error
    finally:
        store.close()
    if not 200 <= response.status < 300:
        raise error_of(context, response.status, response.headers, raw)
    return Reference(address=f"oss://{key}", mime_type=reference.mime_type, notes=reference.notes)


def _policy(
    transport: HttpTransport,
    model: str,
    context: RequestContext,
    deadline: Deadline,
    headers: Headers,
) -> dict[str, str]:
    path = f"/uploads?action=getPolicy&model={quote(model, safe='')}"
    response = transport.get(path, context=context, deadline=deadline, headers=headers)
    answer = cast(dict[str, Any], answer_of(context, response, deadline, json_of).json)
    data = answer.get("data")
    found = data if isinstance(data, Mapping) else {}
    host = urlsplit(str(found.get("upload_host") or ""))
    lacks = [name for name in _NEEDED if not isinstance(found.get(name), str)]
    if lacks or host.scheme not in ("https", "http") or not host.hostname:
        raise InvalidReplyError(
            f"dashscope gave no place for a reference: {', '.join(lacks) or 'upload_host'} is missing",
            provider=context.provider,
            model=context.model,
            status_code=200,
            billed="no",
            body=context.clean(answer),
        )
    return {str(name): str(value) for name, value in found.items()}


def _form(fields: Mapping[str, str], reference: Reference, mark: str) -> bytes:
    """The fields in their order, the file at the end, as OSS wants it."""
    head = "".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="reference"\r\n'
        f"Content-Type: {reference.mime_type}\r\n\r\n"
    )
    return head.encode() + reference.data + f"\r\n--{mark}--\r\n".encode()
