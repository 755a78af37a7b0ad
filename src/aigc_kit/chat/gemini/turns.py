"""A history as Gemini takes it: system texts and contents. Pure, but for fetching images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.chat import models
from aigc_kit.chat.gemini.draft import DEVELOPER, VERTEX, Draft
from aigc_kit.chat.messages import arguments_object, plain_json
from aigc_kit.chat.parts import audio_of, file_of, hoisted, image_of, image_url, spoken, text_of
from aigc_kit.errors import InvalidInputError

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""
For calls that another vendor made. Source: the thought-signatures page, section on foreign
histories.
"""

_CONTINUE = "(continue)"

_URI_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jfif": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
}


def to_contents(
    request: Draft, turns: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """
    (system texts, contents): roles ``user`` and ``model``; results of one turn together, in the
    order of its calls.

    Signatures stay on their part and go back only to the back end that made them; ids go back only
    when Gemini issued them.
    """
    request.vendor_ids = _vendor_ids(request, turns)
    turns = _without_images_in_results(request, spoken(turns, request.warn, "gemini"))
    system: list[str] = []
    history = _History(request)
    for turn in turns:
        if turn["role"] in ("system", "developer"):
            history.end_results()
            system += _said(turn["content"])
        else:
            history.add(turn)
    history.end_results()
    return _finished(request, system, history.contents)


def _without_images_in_results(request: Draft, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Older models take no images inside of function responses; a user turn behind has them."""
    if not request.fits(models.GEMINI_BUDGET):
        return turns
    turns, moved = hoisted(turns, from_tools=True, from_assistant=False)
    if moved:
        request.warn(
            "images",
            f"{moved} images or files of tool results were sent in the user turn behind them",
        )
    return turns


def _said(content: Any) -> list[str]:
    """The text of a system turn, unless it is blank."""
    text = text_of(content)
    return [text] if text.strip() else []


@dataclass
class _History:
    """
    The contents, turn by turn.

    ``calls``: of the last assistant turn.
    ``results``: call id -> content, gathered until the next turn that is not a result.
    """

    request: Draft
    contents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    calls: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    results: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, turn: dict[str, Any]) -> None:
        """A turn of the user, the assistant or a tool."""
        if turn["role"] == "tool":
            self.results[turn["tool_call_id"]] = turn["content"]
            return
        self.end_results()
        if turn["role"] != "assistant":
            _add_user_parts(self.contents, _parts(self.request, turn["content"]))
            return
        self.calls = turn.get("tool_calls") or []
        parts = _model_parts(self.request, turn)
        if parts:
            self.contents.append({"role": "model", "parts": parts})

    def end_results(self) -> None:
        """The gathered results as one turn, in the order of the calls."""
        if not self.results:
            return
        answered = [call for call in self.calls if call["id"] in self.results]
        parts = [_to_response(self.request, call, self.results) for call in answered]
        self.contents.append({"role": "user", "parts": parts})
        self.results = {}


def _add_user_parts(contents: list[dict[str, Any]], parts: list[dict[str, Any]]) -> None:
    before = contents[-1] if contents else None
    if (
        before
        and before["role"] == "user"
        and not any("functionResponse" in part for part in before["parts"])
    ):
        before["parts"] += parts
    else:
        contents.append({"role": "user", "parts": parts})


def _finished(
    request: Draft, system: list[str], contents: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """The history with what the API demands at its ends."""
    model = request.call.model
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, {"role": "user", "parts": [{"text": "."}]})
    if system and request.fits(models.NO_SYSTEM_TEXT):
        contents[0]["parts"][:0] = [{"text": text} for text in system]
        request.warn(
            "messages", f"{model} takes no system text; it stands in front of the first user turn"
        )
        system = []
    if contents[-1]["role"] == "model" and request.fits(models.GEMINI_NO_PREFILL):
        contents.append({"role": "user", "parts": [{"text": _CONTINUE}]})
        request.warn(
            "messages",
            f"{model} refuses a history that ends with the assistant; a user turn was added",
        )
    if not request.fits(models.GEMINI_BUDGET):
        _sign_foreign_calls(contents)
    return system, contents


def _parts(request: Draft, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content if content.strip() else "(empty)"}]
    parts = [made for made in (_part(request, part) for part in content) if made is not None]
    return parts or [{"text": "(empty)"}]


def _part(request: Draft, part: Mapping[str, Any]) -> dict[str, Any] | None:
    if "cache_control" in part:
        request.warn(
            "cache_control",
            "Gemini caches by itself, or by cached_content; the marks were left out",
        )
    kind = part["type"]
    if kind in ("text", "refusal"):
        return {"text": part[kind]} if part[kind].strip() else None
    if kind in ("image_url", "video_url"):
        return _linked(request, part, kind)
    if kind == "input_audio":
        return _inline(audio_of(part))
    if kind == "file":
        uri = (
            part["file"].get("file_url")
            or part["file"].get("file_id")
            or part["file"].get("file_data")
        )
        if isinstance(uri, str) and uri.startswith("gs://"):
            return _file_data(request, uri, part["file"])
        return _inline(file_of(part, request.downloader, request.deadline))
    raise InvalidInputError(
        f"Gemini cannot take a part of type {kind!r}; text, image_url, video_url, input_audio and file are understood"
    )


def _inline(media: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media.mime_type, "data": media.base64}}


def _linked(request: Draft, part: Mapping[str, Any], kind: str) -> dict[str, Any]:
    holder = part[kind]
    url = image_url(part) if kind == "image_url" else _video_url(holder)
    if url.startswith("gs://"):
        return _file_data(request, url, holder if isinstance(holder, Mapping) else {})
    if kind == "image_url":
        return _inline(image_of(url, request.downloader, request.deadline))
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        return {"inlineData": {"mimeType": head[5:].partition(";")[0], "data": data}}
    return {"fileData": {"fileUri": url, "mimeType": _type_of_uri(url, {})}}


def _video_url(holder: Any) -> str:
    if isinstance(holder, Mapping):
        return str(holder.get("url"))
    return str(holder)


def _file_data(request: Draft, uri: str, holder: Mapping[str, Any]) -> dict[str, Any]:
    if request.backend == DEVELOPER:
        raise InvalidInputError(
            f"the Developer API cannot read {uri[:80]!r}; gs:// belongs to Vertex AI: pass the bytes"
        )
    return {"fileData": {"fileUri": uri, "mimeType": _type_of_uri(uri, holder)}}


def _type_of_uri(uri: str, holder: Mapping[str, Any]) -> str:
    told = holder.get("mime_type") or holder.get("format")
    if isinstance(told, str) and "/" in told:
        return told
    ending = uri.partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()
    if ending not in _URI_TYPES:
        raise InvalidInputError(
            f"the type of {uri[:120]!r} is unknown; say it beside the URL: {{'url': ..., 'mime_type': 'image/png'}}"
        )
    return _URI_TYPES[ending]


def _own(holder: Mapping[str, Any], request: Draft) -> Mapping[str, Any]:
    """What this back end left on a turn or a call; nothing of the other one's."""
    extra = holder.get("extra_content")
    if extra is None or not isinstance(extra, Mapping):
        return {}
    for name, backend in (("google", ""), ("vertex", VERTEX)):
        own = extra.get(name)
        if (
            isinstance(own, Mapping)
            and (own.get("backend") or backend or request.backend) == request.backend
        ):
            return own
    return {}


def _signed(part: dict[str, Any], signature: Any) -> dict[str, Any]:
    return (
        {**part, "thoughtSignature": signature}
        if isinstance(signature, str) and signature
        else part
    )


def _model_parts(request: Draft, turn: dict[str, Any]) -> list[dict[str, Any]]:
    kept = _own(turn, request)
    parts = _kept_parts(request, turn, kept.get("parts"))
    if parts is None:
        parts = []
        text = text_of(turn.get("content"))
        if text.strip():
            parts.append(_signed({"text": text}, kept.get("thought_signature")))
        parts += _images_of(request, turn)
    for call in turn.get("tool_calls") or ():
        own = _own(call, request)
        function: dict[str, Any] = {
            "name": request.names.sent(call["function"]["name"]),
            "args": arguments_object(call["function"].get("arguments")),
        }
        if request.vendor_ids.get(call["id"]):
            function = {"id": request.vendor_ids[call["id"]], **function}
        parts.append(_signed({"functionCall": function}, own.get("thought_signature")))
    return parts


def _images_of(request: Draft, turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The images of an assistant's turn, in its content or under ``images``."""
    content, own = turn.get("content"), turn.get("images")
    if own is None and isinstance(content, str):
        return []
    listed = [*content] if isinstance(content, (list, tuple)) else []
    listed += own if isinstance(own, list) else []
    found = [
        part
        for part in listed
        if isinstance(part, Mapping) and part.get("type") not in ("text", "refusal")
    ]
    return [made for made in (_part(request, part) for part in found) if made is not None]


def _kept_parts(
    request: Draft, turn: Mapping[str, Any], segments: Any
) -> list[dict[str, Any]] | None:
    """
    The turn's parts as Gemini made them; None where the turn was changed since, or is not Gemini's.
    """
    if not isinstance(segments, list) or not all(
        isinstance(segment, Mapping) for segment in segments
    ):
        return None
    texts = [segment["text"] for segment in segments if isinstance(segment.get("text"), str)]
    if "".join(texts) != text_of(turn.get("content")):
        return None
    images = turn.get("images")
    parts: list[dict[str, Any]] = []
    for segment in segments:
        signature = segment.get("thought_signature")
        place = segment.get("image")
        if isinstance(place, int) and isinstance(images, list) and 0 <= place < len(images):
            made = _part(request, images[place])
        elif isinstance(segment.get("part"), Mapping):
            made = dict(segment["part"])
        else:
            made = {"text": segment.get("text", "")} if segment.get("text") or signature else None
        if made is not None:
            parts.append(_signed(made, signature))
    return parts


def _to_response(
    request: Draft, call: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, Any]:
    content = results[call["id"]]
    text = text_of(content)
    value = plain_json(text)
    # The API reads "$ref" inside of a response as a reference of its own.
    response = value if isinstance(value, dict) and '"$ref"' not in text else {"output": text}
    made: dict[str, Any] = {
        "name": request.names.sent(call["function"]["name"]),
        "response": response,
    }
    if isinstance(content, (list, tuple)):
        found = [
            _part(request, part) for part in content if part["type"] not in ("text", "refusal")
        ]
        media = [part for part in found if part is not None]
        if media:
            made["parts"] = media
    own = request.vendor_ids.get(call["id"])
    if own:
        made = {"id": own, **made}
    return {"functionResponse": made}


def _vendor_ids(request: Draft, turns: list[dict[str, Any]]) -> dict[str, str]:
    """
    Call id -> the id that Gemini itself gave, where that is unique in the conversation; other calls
    are paired by order.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for turn in turns:
        calls = turn.get("tool_calls")
        if not calls:
            continue
        own = [_own(call, request).get("id") for call in calls]
        for call, mark in zip(calls, own, strict=True):
            if isinstance(mark, str) and mark and mark not in seen and own.count(mark) == 1:
                found[call["id"]] = mark
        seen |= {mark for mark in own if isinstance(mark, str)}
    return found


def _sign_foreign_calls(contents: list[dict[str, Any]]) -> None:
    """Give the first call of each step of the current turn the skip signature where it has none."""
    start = max(
        (
            place
            for place, content in enumerate(contents)
            if content["role"] == "user"
            and any("functionResponse" not in part for part in content["parts"])
        ),
        default=0,
    )
    for content in contents[start:]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if content["role"] == "model" and first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = SKIP_SIGNATURE
