"""A response's bytes -> one object of Gemini's shape, whatever a relay has made of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from aigc_kit.errors import (
    ProviderError,
)
from aigc_kit.image import unusual
from aigc_kit.media import sniff
from aigc_kit.transport import json_images
from aigc_kit.transport.answers import answer_of, checked_object, json_of
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.failures import RequestContext, failure_of
from aigc_kit.transport.http import Response

Blob = bytes | json_images.Unread


def read(
    response: Response, context: RequestContext, deadline: Deadline
) -> tuple[dict[str, Any], list[Blob]]:
    if response.status != 200:
        return answer_of(context, response, deadline).json, []
    cut: list[WireError] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from response.chunks()
        except WireError as error:
            cut.append(error)

    try:
        with deadline_of(deadline):
            raw, found = json_images.read(chunks(), length=response.length)
            raw = context.masked(raw)
    finally:
        response.close()
    documents = json_images.documents(raw)
    if cut and (documents is None or not unusual.look(documents, found).images):
        failure = failure_of(context, cut[0], deadline, response.headers)
        failure.result = unusual.salvaged(raw, found)
        raise failure from cut[0]
    return _answer(raw, documents, found, context, response.headers), found


def _answer(
    raw: bytes,
    documents: list[Any] | None,
    found: list[Blob],
    context: RequestContext,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """
    The response as one object, whatever a relay has made of it: a list, events of a stream,
    OpenAI's shape.

    Raises:
        ProviderError: an error in a 200, or nothing that can be read; ``result`` has what was found
            in it.
    """
    if sniff.mime_type(raw):  # the image itself
        return {
            "candidates": [
                {
                    "content": {
                        "parts": [{"inlineData": {"data": base64.b64encode(raw).decode("ascii")}}]
                    }
                }
            ]
        }
    try:
        if documents is None:
            return json_of(context, raw, headers)
        whole = _merged(documents)
        if isinstance(whole, dict) and whole.get("error") and unusual.look(whole, found).images:
            return dict(whole)
        return checked_object(context, whole if documents else [], headers)
    except ProviderError as error:
        error.result = (
            unusual.salvaged(raw, found)
            if documents is None
            else unusual.look(documents, found).any()
        )
        raise


def _merged(documents: list[Any]) -> Any:
    """Several responses as one: candidates follow each other, of the rest the last word counts."""
    if len(documents) == 1:
        return documents[0]
    if not all(isinstance(one, dict) for one in documents):
        return {"images": documents}
    whole: dict[str, Any] = {}
    for one in documents:
        for name, value in one.items():
            if isinstance(value, list) and isinstance(whole.get(name), list):
                whole[name] = [*whole[name], *value]
            else:
                whole[name] = value
    return whole
