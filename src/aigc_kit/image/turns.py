"""
Gemini's images as a conversation: what was asked and answered, kept to be sent again with its
signatures.

The image of an answer must come back in the part and with the signature it had; Vertex AI and the
Developer API refuse each other's. Source:
https://ai.google.dev/gemini-api/docs/thought-signatures, pydantic-ai 2.68.0 (live 2026-10-27), read
2026-11-22.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any

from aigc_kit.errors import AIGCError, BadRequestError
from aigc_kit.image.references import Reference
from aigc_kit.media.result import ImageResult, Part, Turn

_SIGNATURE = re.compile(r"thought.?signature", re.IGNORECASE)

REFUSED = {
    "feature": "edit",
    "details": "the conversation was refused; the image was sent as a reference instead",
}


def turn_of(
    home: str, prompt: str, references: Sequence[Reference], answered: Sequence[Part]
) -> Turn | None:
    """The turn, or None where nothing of the answer is signed: it cannot be sent again."""
    if not any(part.signature for part in answered):
        return None
    inputs = (Part(data=one.data, mime_type=one.mime_type) for one in references)
    return Turn(home, (Part(text=prompt), *inputs), tuple(answered))


def part_of(text: str, image: ImageResult | None, signature: Any) -> Part | None:
    """A part of an answer; None for one without anything in it."""
    signed = signature if isinstance(signature, str) else ""
    if image is not None and not image.has_base64:
        return None  # in Google's own storage
    if image is not None:
        return Part(data=image.data, mime_type=image.mime_type, signature=signed)
    if not text and not signed:
        return None
    return Part(text=text, signature=signed)


def earlier_than(
    previous: ImageResult | None, home: str, *, images: int, total: int
) -> tuple[Turn, ...]:
    """
    The conversation that an edit goes on with; empty where the image is a reference.

    Args:
        home: where signatures hold that were given before.
        images: how many the model takes in one request; ``total``: bytes of all of them.
    """
    turns = previous.turns if previous is not None else ()
    sizes = [len(part.data) for part in _parts(turns) if part.data]
    fits = len(sizes) <= images and sum(sizes) <= total
    return turns if fits and all(turn.home == home for turn in turns) else ()


def contents_of(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The conversation as ``contents`` of a request."""
    contents: list[dict[str, Any]] = []
    for turn in turns:
        contents.append({"role": "user", "parts": [_as_json(part) for part in turn.asked]})
        contents.append({"role": "model", "parts": [_as_json(part) for part in turn.answered]})
    return contents


def is_refused(error: AIGCError) -> bool:
    """Whether a signature was refused, at no cost."""
    refused = isinstance(error, BadRequestError) and error.billed == "no"
    return refused and _SIGNATURE.search(str(error)) is not None


def _parts(turns: Iterable[Turn]) -> list[Part]:
    return [part for turn in turns for part in (*turn.asked, *turn.answered)]


def _as_json(part: Part) -> dict[str, Any]:
    made: dict[str, Any] = {"text": part.text}
    if part.data:
        data = base64.b64encode(part.data).decode("ascii")
        made = {"inlineData": {"mimeType": part.mime_type, "data": data}}
    if part.signature:
        made["thoughtSignature"] = part.signature
    return made
