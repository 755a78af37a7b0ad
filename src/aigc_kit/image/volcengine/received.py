"""A response's bytes, or the events of a stream -> one object with ``data``."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from aigc_kit.errors import (
    AIGCError,
    ContentFilterError,
    ProviderError,
)
from aigc_kit.image import unusual
from aigc_kit.media import sniff
from aigc_kit.transport import json_images, sse
from aigc_kit.transport.answers import body_of, checked_object, json_of
from aigc_kit.transport.deadline import Deadline, WireError, deadline_of
from aigc_kit.transport.failures import RequestContext, error_from_body, failure_of, request_id_of
from aigc_kit.transport.http import Response


def read(
    response: Response, context: RequestContext, deadline: Deadline
) -> tuple[dict[str, Any], str]:
    """
    (answer, request id): a JSON object, or the events of a stream gathered into the same shape.
    """
    kind = response.headers.get("content-type", "")
    if response.status == 200 and "event-stream" in kind:
        answer = _gathered(response, context, deadline)
    else:
        answer = _answer(_body(context, response, deadline), context, response.headers)
    return answer, request_id_of(response.headers)


def _body(context: RequestContext, response: Response, deadline: Deadline) -> bytes:
    try:
        return body_of(context, response, deadline)
    except AIGCError as error:
        came = getattr(error.__cause__, "came", b"")
        error.result = unusual.salvaged(came) if came else None
        raise


def _answer(raw: bytes, context: RequestContext, headers: Mapping[str, str]) -> dict[str, Any]:
    """
    The response as one object with ``data``, whatever a relay has made of it.

    Raises:
        ProviderError: an error in a 200, or nothing that can be read; ``result`` has what was found
            in it.
    """
    if sniff.mime_type(raw):  # the image itself
        return {"data": [{"b64_json": base64.b64encode(raw).decode("ascii")}]}
    documents = json_images.documents(raw)
    try:
        if documents is None:
            return json_of(context, raw, headers)
        if len(documents) != 1 or raw.lstrip()[:1] == b"[":
            documents = (
                [_of_several(documents, context)]
                if all(isinstance(one, dict) for one in documents)
                else documents
            )
        return checked_object(context, documents[0] if documents else [], headers, paid_in="data")
    except ProviderError as error:
        error.result = unusual.salvaged(raw) if documents is None else unusual.look(documents).any()
        if isinstance(error, ContentFilterError) and error.result is None:
            error.billed = "no"  # "failed images are not billed", the reference page says
        raise


def _of_several(documents: list[dict[str, Any]], context: RequestContext) -> dict[str, Any]:
    """Events of a stream, objects with ``data`` each, or entries without anything around them."""
    if any(str(one.get("type", "")).startswith("image_generation") for one in documents):
        answer, cut, _ = _of_events(documents, context, {})
        return answer if answer["data"] or cut is None else {"error": documents[-1].get("error")}
    if len(documents) == 1 and ("data" in documents[0] or "error" in documents[0]):
        return documents[0]
    lists = [one["data"] for one in documents if isinstance(one.get("data"), list)]
    return {"data": [entry for entries in lists for entry in entries] if lists else documents}


def _of_events(
    events: Iterable[dict[str, Any]], context: RequestContext, headers: Mapping[str, str]
) -> tuple[dict[str, Any], AIGCError | None, bool]:
    """(what was received, the error that ended it, whether the stream said that it is complete)."""
    answer: dict[str, Any] = {"data": []}
    cut: AIGCError | None = None
    finished = False
    for event in events:
        kind = str(event.get("type", ""))
        if kind.endswith(("partial_succeeded", "partial_failed")):
            answer["data"].append(event)
        elif kind.endswith("completed"):
            finished = True
            answer["usage"] = event.get("usage")
            if event.get("b64_json") or event.get(
                "url"
            ):  # OpenAI's events have the image in the last one
                answer["data"].append(event)
        elif event.get("error"):
            cut = error_from_body(context, event, status=200, headers=headers)
        for name in ("model", "created"):
            if event.get(name):
                answer.setdefault(name, event[name])
        if (
            not kind
            and not event.get("error")
            and (found := event.get("data") or event.get("choices"))
        ):
            answer["data"] += found if isinstance(found, list) else [found]
    answer["data"] = _in_their_places(answer["data"])
    return answer, cut, finished


def _in_their_places(entries: list[Any]) -> list[Any]:
    """In the order of their ``image_index``, where every one has its own."""
    places = [entry.get("image_index") if isinstance(entry, dict) else None for entry in entries]
    if all(isinstance(place, int) for place in places) and len(set(places)) == len(places):
        return sorted(entries, key=lambda entry: entry["image_index"])
    return entries


def _gathered(response: Response, context: RequestContext, deadline: Deadline) -> dict[str, Any]:
    """
    The events of ``stream=true`` as one response: what was received before a cut is kept, and the cut is
    its last error.

    Source: https://www.volcengine.com/docs/82379/1824137, read 2026-11-22.
    """
    events: list[dict[str, Any]] = []
    finished = False
    broken: WireError | None = None
    try:
        with deadline_of(deadline):
            for raw in map(context.masked, sse.events(response.chunks())):
                if raw.strip() == b"[DONE]":
                    finished = True
                    break
                events.append(_event(raw))
    except WireError as error:
        broken = error
    finally:
        response.drain()
    answer, cut, complete = _of_events(events, context, response.headers)
    if cut is None and broken is not None:
        cut = failure_of(context, broken, deadline, response.headers)
    if cut is None and not (finished or complete):
        when = "it was complete" if answer["data"] else "anything came"
        cut = failure_of(
            context,
            WireError(f"the stream ended before {when}", sent=True),
            deadline,
            response.headers,
        )
    if cut is not None and not answer["data"]:
        cut.result = unusual.look(events).any()
        raise cut
    answer["cut"] = cut
    return answer


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
