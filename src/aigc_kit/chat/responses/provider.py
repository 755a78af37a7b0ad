"""The wire of ``/responses``; the provider of ``chat/completions`` sends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigc_kit.chat.assembler import Assembler
from aigc_kit.chat.call import Call
from aigc_kit.chat.responses.request import Request, to_body
from aigc_kit.chat.responses.response import ResponseReader
from aigc_kit.chat.vendors import Vendor
from aigc_kit.chat.wire import Wire
from aigc_kit.transport.failures import RequestContext


def _request(
    call: Call,
    turns: list[dict[str, Any]],
    vendor: Vendor,
    *,
    stream: bool,
    fetch: Callable[[str], str],
    origin: str,
) -> Request:
    return to_body(call, turns, vendor, stream=stream, origin=origin)


def _reader(
    request: Request, assembler: Assembler, context: RequestContext, origin: str
) -> ResponseReader:
    return ResponseReader(assembler, context, origin, request.call.model)


RESPONSES = Wire("/responses", _request, _reader, "responses:")
