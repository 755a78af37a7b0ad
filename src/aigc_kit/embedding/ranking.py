"""Rerank: the request that most vendors share, and what is believed of its response. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigc_kit.embedding.base import RankedDocument
from aigc_kit.embedding.call import Call, checked_texts
from aigc_kit.errors import ConfigurationError, InvalidInputError, InvalidReplyError
from aigc_kit.settings import spelled
from aigc_kit.transport.encoding import merged

_OF_EMBEDDINGS = ("dimensions", "input_type", "normalize", "as_numpy")


def checked(query: Any, documents: Any, top_n: Any) -> tuple[str, list[str], int]:
    """
    Raises:
        InvalidInputError: one of them makes no sense.
    """
    if not isinstance(query, str) or not query.strip():
        raise InvalidInputError(f"query must be a text that is not blank, got {spelled(query)}")
    found = checked_texts(documents, "documents")
    if top_n is None:
        return query, found, len(found)
    if isinstance(top_n, bool) or not isinstance(top_n, int) or top_n < 1:
        raise InvalidInputError(f"top_n must be a whole number of at least 1, got {spelled(top_n)}")
    return query, found, min(top_n, len(found))


def refuse_options_of_embed(given: dict[str, Any]) -> None:
    """
    Raises:
        ConfigurationError: an option that only vectors have.
    """
    for name in _OF_EMBEDDINGS:
        if given.get(name) is not None:
            raise ConfigurationError(f"{name!r} is an option of embed, not of rerank: leave it out")


def to_body(query: str, documents: list[str], top_n: int, call: Call) -> dict[str, Any]:
    """Cohere's form: https://docs.jina.ai, vLLM ``/v1/rerank``, read 2026-11-25."""
    body: dict[str, Any] = {
        "model": call.model,
        "query": query,
        "documents": documents,
        "top_n": top_n,
        "return_documents": False,
    }
    body |= call.extra
    return merged(body, call.extra_body)


def from_response(
    body: dict[str, Any], documents: Sequence[str], top_n: int, call: Call
) -> list[RankedDocument]:
    """
    The documents, the best first. ``output`` is the native form of DashScope, ``data`` Voyage's.

    Raises:
        InvalidReplyError: a place that no document has, one that comes twice, a score that is not a
            number, or fewer documents than were asked for.
    """
    holder = body.get("output") if isinstance(body.get("output"), dict) else body
    entries = holder.get("results", holder.get("data")) if isinstance(holder, dict) else None
    if not isinstance(entries, list):
        raise _invalid(call, "answered without a list of results")
    found: dict[int, RankedDocument] = {}
    for entry in entries:
        place = entry.get("index") if isinstance(entry, dict) else None
        score = entry.get("relevance_score", entry.get("score")) if place is not None else None
        if type(place) is not int or not 0 <= place < len(documents) or place in found:
            raise _invalid(call, f"answered with the index {spelled(place)}")
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not abs(score) < 1e300:
            raise _invalid(call, f"answered with the score {spelled(score)}")
        found[place] = RankedDocument(place, float(score), documents[place])
    if len(found) < top_n:
        raise _invalid(call, f"ranked {len(found)} documents, although {top_n} were asked for")
    return sorted(found.values(), key=lambda ranked: -ranked.score)[:top_n]


def _invalid(call: Call, what: str) -> InvalidReplyError:
    return InvalidReplyError(
        f"{call.provider} {what}",
        provider=call.provider,
        model=call.model,
        status_code=200,
        billed="yes",
    )
