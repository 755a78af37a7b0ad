"""Parts of a message's content: what an application may pass, and the bytes behind a part."""

from __future__ import annotations

import base64
import io
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc_kit.errors import InvalidInputError
from aigc_kit.media import pixels, sniff
from aigc_kit.media.decoding import ImageFault
from aigc_kit.media.result import ImageResult
from aigc_kit.settings import spelled
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.download import Downloader, DownloadError
from aigc_kit.transport.encoding import decode_base64

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bytes of one file that is read into a message; no vendor takes more inline."""

_SCHEMES = ("https", "http", "data", "gs", "s3", "ms")

_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)


def mime_of(data: bytes) -> str:
    """
    The type of an image, PDF or audio file, from its first bytes; ``""`` when it is none of them.
    """
    found = sniff.mime_type(data)
    if found:
        return found
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")


def as_content(content: Any, where: str) -> Any:
    """
    The content as text or a list of OpenAI parts; None stays None.

    Images, PDF and audio may be bytes, ``pathlib.Path``, PIL images or ``ImageResult``, alone or in
    a list.

    Raises:
        InvalidInputError: it is none of these; says where.
    """
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return [_part(part, where) for part in content]
    if is_media(content):
        return [_part(content, where)]
    raise InvalidInputError(
        f"{where} has content of type {type(content).__name__}; expected text, a list of parts, or an image"
    )


def is_media(value: Any) -> bool:
    """Whether the object is an image, a file or bytes that can be a part of a message."""
    return isinstance(value, (bytes, bytearray, Path, ImageResult)) or _is_pil(value)


def is_image(value: Any) -> bool:
    """Whether the object is an image: PIL's, an ``ImageResult``, or the bytes of one."""
    if isinstance(value, (bytes, bytearray)):
        return bool(sniff.mime_type(bytes(value)))
    return isinstance(value, ImageResult) or _is_pil(value)


def media_part(value: Any, where: str) -> dict[str, Any]:
    """The part for an object of which ``is_media`` is true."""
    if isinstance(value, ImageResult):
        return _image_part(_result_url(value, where))
    if _is_pil(value):
        return _bytes_part(_png_of(value, where), where, "")
    if isinstance(value, Path):
        return _bytes_part(_read(value, where), where, value.name)
    return _bytes_part(bytes(value), where, "")


def _is_pil(value: Any) -> bool:
    return any(
        kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(value).__mro__
    )


def _part(part: Any, where: str) -> dict[str, Any]:
    if is_media(part):
        part = media_part(part, where)
    elif hasattr(part, "model_dump") and not isinstance(part, type):
        part = part.model_dump(mode="json", exclude_none=True)
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(kind, str):
        raise InvalidInputError(
            f"{where} has a part that is not a dict with 'type': {spelled(part)[:60]}"
        )
    check = _CHECKS.get(kind)
    return check(part, where) if check else dict(part)


def _text(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = part["type"]
    if not isinstance(part.get(kind), str):
        raise InvalidInputError(f"{where} has a {kind} part without a text")
    check_text(part[kind], where)
    return dict(part)


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    rest = dict(image) if isinstance(image, Mapping) else {}
    if is_media(url):
        made = media_part(url, where)
        if made["type"] != "image_url":
            raise InvalidInputError(
                f"{where} has an image_url part with a file that is not an image"
            )
        url = made["image_url"]["url"]
        return {**part, "image_url": {**rest, "url": url}}
    if not isinstance(url, str) or url.partition(":")[0].lower() not in _SCHEMES:
        raise InvalidInputError(
            f"{where} has an image_url part without a URL; expected {{'url': 'https://...'}}, a data: URI, bytes or a path"
        )
    return dict(part)


def _audio(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    audio = part.get("input_audio")
    data = audio.get("data") if isinstance(audio, Mapping) else None
    if not isinstance(audio, Mapping) or not isinstance(data, (str, bytes)) or not data:
        raise InvalidInputError(
            f"{where} has an input_audio part without {{'data': '<base64>', 'format': 'wav'}}; got {spelled(audio)[:60]}"
        )
    if isinstance(data, bytes):
        return {**part, "input_audio": {**audio, "data": base64.b64encode(data).decode("ascii")}}
    return dict(part)


def _file(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    file = part.get("file")
    if not isinstance(file, Mapping) or not (
        file.get("file_data") or file.get("file_id") or file.get("file_url")
    ):
        raise InvalidInputError(
            f"{where} has a file part without {{'file_data': 'data:application/pdf;base64,...'}}; got {spelled(file)[:60]}"
        )
    data = file.get("file_data")
    if is_media(data):
        return {
            **part,
            "file": {**media_part(data, where).get("file", {}), **_without(file, "file_data")},
        }
    return dict(part)


def _without(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in holder.items() if key != name}


_CHECKS = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def check_text(text: str, where: str) -> None:
    """
    Raises:
        InvalidInputError: the text holds half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{where} is not valid Unicode: a lone surrogate {text[error.start]!r}"
        ) from None


def _result_url(result: ImageResult, where: str) -> str:
    if result.has_base64:
        return data_uri(result.data, result.mime_type or sniff.mime_type(result.data))
    if result.url:
        return result.url
    raise InvalidInputError(f"{where} has an ImageResult with neither bytes nor a URL")


def _png_of(image: Any, where: str) -> bytes:
    buffer = io.BytesIO()
    try:
        made = pixels.plain(image)  # upright: PNG takes no Exif along
        made.save(buffer, "PNG", icc_profile=made.info.get("icc_profile"), exif=b"")
    except (ImageFault, OSError, ValueError) as error:
        raise InvalidInputError(
            f"{where} has a PIL image that cannot be sent: it {error}"
        ) from error
    return buffer.getvalue()


def _read(path: Path, where: str) -> bytes:
    try:
        if not path.is_file():
            raise InvalidInputError(f"{where} has the path {str(path)!r}, which is not a file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInputError(
                f"{where} has the file {str(path)!r} of {path.stat().st_size} bytes; {MAX_FILE_BYTES} are the limit"
            )
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(
            f"{where} has the path {str(path)!r}, which cannot be read: {error}"
        ) from error


def _bytes_part(data: bytes, where: str, name: str) -> dict[str, Any]:
    kind = mime_of(data)
    if kind.startswith("image/"):
        return _image_part(data_uri(data, kind))
    if kind.startswith("audio/"):
        audio = {"data": base64.b64encode(data).decode("ascii"), "format": _audio_format(kind)}
        return {"type": "input_audio", "input_audio": audio}
    kind = kind or _document_type(name)
    if not kind:
        raise InvalidInputError(
            f"{where} has {len(data)} bytes that are not an image, a PDF or audio; they begin with {data[:8]!r}"
        )
    return {
        "type": "file",
        "file": {"filename": name or "document.pdf", "file_data": data_uri(data, kind)},
    }


def _audio_format(kind: str) -> str:
    return {"audio/mpeg": "mp3"}.get(kind, kind.partition("/")[2])


def _image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def image_url(part: Mapping[str, Any]) -> str:
    """The URL of an ``image_url`` part."""
    image = part["image_url"]
    return str(image.get("url") if isinstance(image, Mapping) else image)


@dataclass(frozen=True)
class Media:
    """The bytes of a part. ``name``: of a file, ``""`` where it has none."""

    data: bytes
    mime_type: str
    name: str = ""

    @property
    def base64(self) -> str:
        return base64.b64encode(self.data).decode("ascii")


def image_of(url: str, downloader: Downloader, deadline: Deadline) -> Media:
    """
    The image behind a ``data:`` URI or an http(s) URL; its type is detected from the bytes.

    Raises:
        InvalidInputError: it cannot be fetched or decoded, or is not an image.
    """
    data = _bytes_behind(url, "image", downloader, deadline)
    kind = sniff.mime_type(data)
    if not kind:
        raise InvalidInputError(
            f"the image of a message is not an image: {len(data)} bytes beginning with {data[:8]!r}"
        )
    return Media(data, kind)


def file_of(part: Mapping[str, Any], downloader: Downloader, deadline: Deadline) -> Media:
    """
    The document of a ``file`` part.

    Raises:
        InvalidInputError: it has no data, or cannot be fetched or decoded.
    """
    file = part["file"]
    source = file.get("file_data") or file.get("file_url")
    if not isinstance(source, str):
        raise InvalidInputError(
            "a file part with file_id belongs to the vendor that issued it; pass file_data"
        )
    data = _bytes_behind(source, "file", downloader, deadline)
    named = str(file.get("filename") or "")
    told = source[5:].partition(",")[0].partition(";")[0] if source.startswith("data:") else ""
    told = "" if told in ("application/octet-stream", "binary/octet-stream") else told
    kind = told or _document_type(named) or mime_of(data)
    if not kind:
        raise InvalidInputError(
            "the type of a file part is unknown; pass file_data='data:application/pdf;base64,...'"
        )
    return Media(data, kind, named)


_DOCUMENT_TYPES = {
    "md": "text/markdown",
    "csv": "text/csv",
    "txt": "text/plain",
    "html": "text/html",
    "htm": "text/html",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""By the name's ending; the machine's own table would differ from machine to machine."""


def _document_type(name: str) -> str:
    ending = name.rpartition(".")[2].lower()
    return _DOCUMENT_TYPES.get(ending) or mimetypes.guess_type(name)[0] or ""


def audio_of(part: Mapping[str, Any]) -> Media:
    """
    The sound of an ``input_audio`` part.

    Raises:
        InvalidInputError: it is not base64.
    """
    audio = part["input_audio"]
    try:
        data = decode_base64(audio["data"])
    except ValueError as error:
        raise InvalidInputError(f"the audio of a message cannot be decoded: {error}") from error
    named = str(audio.get("format") or "").lower().lstrip(".")
    kind = mime_of(data) or mimetypes.guess_type(f"a.{named}")[0] or ""
    if not kind.startswith("audio/"):
        kind = f"audio/{named or 'wav'}"
    return Media(data, kind.replace("x-wav", "wav"))


def _bytes_behind(source: str, what: str, downloader: Downloader, deadline: Deadline) -> bytes:
    try:
        if source[:5].lower() == "data:":
            return decode_base64(source)
        if "://" not in source[:10]:
            return decode_base64(source)
        return downloader.fetch(source, timeout=min(deadline.left(), 60)).data
    except (DownloadError, ValueError) as error:
        raise InvalidInputError(f"the {what} of a message cannot be used: {error}") from error


def text_of(content: Any) -> str:
    """
    The text of a message's content: the text itself, or its text parts joined with nothing between;
    the words of a refusal are text too.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    parts = [part for part in content if isinstance(part, Mapping)]
    texts = (part.get("text", part.get("refusal")) for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def other_parts(content: Any) -> list[dict[str, Any]]:
    """The parts of a content that are not text."""
    if not isinstance(content, (list, tuple)):
        return []
    return [dict(part) for part in content if part["type"] not in ("text", "refusal")]


def spoken(
    turns: list[dict[str, Any]], warn: Callable[[str, str], None], vendor: str
) -> list[dict[str, Any]]:
    """
    The history for a vendor that has neither refusals, whose words become the turn's text, nor
    names of speakers, which are left out with a warning.
    """
    if any(turn.get("name") and turn["role"] != "tool" for turn in turns):
        warn("name", f"{vendor} has no names of speakers in a message; they were left out")
    return [with_refusal(turn) if turn.get("refusal") else turn for turn in turns]


def with_refusal(turn: dict[str, Any]) -> dict[str, Any]:
    """The turn with the words of its refusal as its text, where it has no other."""
    refusal = turn["refusal"]
    if not isinstance(refusal, str) or text_of(turn.get("content")).strip():
        return turn
    return {**turn, "content": refusal}


def hoisted(
    turns: list[dict[str, Any]], *, from_tools: bool, from_assistant: bool
) -> tuple[list[dict[str, Any]], int]:
    """
    (the history with images and files moved to the next user turn, how many parts were moved).

    For vendors that take text alone in tool results or in the assistant's turns. Parts of tool
    results follow the last result of their turn.
    """
    made: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    moved = 0
    for turn in turns:
        role = turn["role"]
        if waiting and role not in ("tool", "system", "developer"):
            if role == "user":
                turn = {**turn, "content": [*waiting, *_as_parts(turn["content"])]}
            else:
                made.append({"role": "user", "content": waiting})
            waiting = []
        movable = (role == "tool" and from_tools) or (role == "assistant" and from_assistant)
        has_parts = "images" in turn or not isinstance(turn.get("content"), str)
        found = parts_to_move(turn) if movable and has_parts else []
        if found:
            moved += len(found)
            told = (
                "These belong to the tool result above:"
                if role == "tool"
                else "These belong to your answer above:"
            )
            waiting += [{"type": "text", "text": told}, *found]
            turn = {**_without(turn, "images"), "content": _text_alone(turn, role)}
        made.append(turn)
    if waiting:
        made.append({"role": "user", "content": waiting})
    return made, moved


def parts_to_move(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    The images and files of a tool result or an assistant's turn, in its content or under
    ``images``.
    """
    own = turn.get("images") if turn["role"] == "assistant" else None
    listed = (
        [dict(part) for part in own if isinstance(part, Mapping)] if isinstance(own, list) else []
    )
    return [*other_parts(turn.get("content")), *listed]


def _text_alone(turn: Mapping[str, Any], role: str) -> str:
    text = text_of(turn.get("content"))
    return text or ("(see the next message)" if role == "tool" else "")


def _as_parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
