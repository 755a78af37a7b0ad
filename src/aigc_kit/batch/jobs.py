"""One job: what a row of a batch asks for, checked before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from aigc_kit.batch.line import KINDS, Kind, plain
from aigc_kit.errors import InvalidInputError
from aigc_kit.image.request import DEFAULT_SIZE, check_prompt
from aigc_kit.settings import spelled, suggestion

_LONGEST_ID = 200

_FIELDS = (
    "id",
    "kind",
    "prompt",
    "size",
    "references",
    "provider",
    "model",
    "messages",
    "texts",
    "options",
    "metadata",
)
_ALSO = {"reference_images": "references", "aspect_ratio": "size", "input": "texts"}
"""Other names of a field that are taken too."""

_NOT_OPTIONS = {
    "idempotency_key": "the job's id is the key",
    "retry_ambiguous": "pass it to run_batch",
    "max_retries": "the batch sends again by itself: max_attempts of run_batch",
    "on_image": "a batch has on_line",
    "n": "one job makes one image: write n jobs",
    "stream": "a batch waits for the whole answer",
    **dict.fromkeys(_FIELDS, "it is a field of the job itself"),
}


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a job has that does not say otherwise."""

    kind: Kind = "image"
    providers: tuple[str, ...] = ()
    model: str = ""
    size: str = DEFAULT_SIZE
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    One job, checked and complete.

    ``providers``: who is asked, in order. ``digest``: of what the row itself asks for, whoever is
    asked and with whatever defaults; the same ``id`` with another digest is another job.
    """

    id: str
    kind: Kind
    prompt: str
    size: str
    references: tuple[Any, ...]
    providers: tuple[str, ...]
    model: str
    messages: tuple[Any, ...]
    texts: tuple[str, ...]
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    digest: str


def job_of(row: Mapping[str, Any], defaults: Defaults, folder: Path) -> Job:
    """
    The job of one row.

    Fields: ``id`` (unset: made from the row's content), ``kind``, ``prompt``, ``size``,
    ``references`` (one or a list: URLs, ``data:`` URIs, paths, or what ``image_to_image`` takes),
    ``provider`` (a name, or a list: the next is asked when one certainly charged nothing),
    ``model``, ``messages`` (chat; unset: the prompt), ``texts`` (embeddings; unset: the prompt),
    ``options`` (of the call and the vendor), ``metadata`` (goes to the manifest as it is). A column
    ``options.seed`` is the option ``seed``, a column ``metadata.sku`` is metadata.

    Args:
        folder: where relative paths of references begin.

    Raises:
        InvalidInputError: something in it cannot be meant.
    """
    fields = _sorted_out(row)
    kind = _kind(fields.get("kind"), defaults)
    options = {**defaults.options, **checked_options(fields["options"])}
    messages = _messages(fields.get("messages"), kind)
    texts = _texts(fields.get("texts"), kind)
    prompt = _prompt(fields.get("prompt"), kind, messages, texts)
    references = _references(fields.get("references"), kind, folder)
    model = _text(fields, "model") or defaults.model
    own_size = _text(fields, "size")
    name = _id(fields.get("id"))
    if not name and not all(_is_lasting(reference) for reference in references):
        raise InvalidInputError(
            "a job whose reference is an object in memory needs an id: a resumed run could not tell"
            " it from another one"
        )
    named = [_named(reference) for reference in references]
    content = [kind, prompt, own_size, named, messages, texts, plain(fields["options"])]
    return Job(
        id=name or _digest([*content, plain(row)])[:20],
        kind=kind,
        prompt=prompt,
        size=(own_size or defaults.size) if kind == "image" else "",
        references=references,
        providers=_providers(fields.get("provider")) or defaults.providers,
        model=model,
        messages=messages,
        texts=texts,
        options=options,
        metadata=fields["metadata"],
        digest=_digest(content)[:16],
    )


def _sorted_out(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are set, under their own names; dotted columns in ``options`` and ``metadata``."""
    found: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {"options": {}, "metadata": {}}
    for name, value in row.items():
        if value is None:
            continue
        parent, dot, rest = str(name).partition(".")
        if dot and parent in nested and rest:
            nested[parent][rest] = value
            continue
        field_name = _ALSO.get(str(name), str(name))
        if field_name not in _FIELDS:
            raise InvalidInputError(
                f"unknown field {name!r}{suggestion(str(name), _FIELDS)}; a vendor's option goes"
                f" into 'options' or a column 'options.{name}', a column of yours into"
                f" 'metadata.{name}'"
            )
        if field_name in found:
            raise InvalidInputError(f"{field_name!r} is given twice, once as {name!r}")
        found[field_name] = value
    for name, values in nested.items():
        given = found.get(name, {})
        if not isinstance(given, Mapping):
            raise InvalidInputError(f"{name} must be an object, got {spelled(given)}")
        found[name] = {**{str(key): value for key, value in given.items()}, **values}
    return found


def _kind(value: Any, defaults: Defaults) -> Kind:
    if value is None:
        return defaults.kind
    if value not in KINDS:
        raise InvalidInputError(f"kind must be one of {', '.join(KINDS)}, got {spelled(value)}")
    return cast(Kind, value)


def _id(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInputError(f"id must be a text or a whole number, got {spelled(value)}")
    text = str(value).strip()
    if not text or len(text) > _LONGEST_ID or not text.isprintable():
        raise InvalidInputError(
            f"id must be 1 to {_LONGEST_ID} printable characters, got {spelled(value)}"
        )
    return text


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be a text that is not blank, got {spelled(value)}")
    return value.strip()


def _providers(value: Any) -> tuple[str, ...]:
    return () if value is None else provider_names(value)


def provider_names(value: Any) -> tuple[str, ...]:
    """
    ``"a"``, ``"a,b"`` or ``["a", "b"]`` as names in order.

    Raises:
        InvalidInputError: none of these.
    """
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(
        isinstance(name, str) and name.strip() for name in names
    ):
        raise InvalidInputError(
            f"provider must be a name like 'volcengine' or a list of names, got {spelled(value)}"
        )
    if not names:
        raise InvalidInputError("provider is an empty list: name at least one")
    return tuple(dict.fromkeys(_spelled_alike(name) for name in names))


def _spelled_alike(named: str) -> str:
    """A provider's name in lower case; a model's stays."""
    name, colon, model = named.strip().partition(":")
    return f"{name.strip().lower()}{colon}{model.strip()}"


def checked_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Raises:
        InvalidInputError: one of them is not an option of a job's call.
    """
    for name in options:
        if name in _NOT_OPTIONS:
            raise InvalidInputError(f"{name!r} is not an option of a job: {_NOT_OPTIONS[name]}")
    return options


def _messages(value: Any, kind: Kind) -> tuple[Any, ...]:
    if value is None:
        return ()
    if kind != "chat":
        raise InvalidInputError(f"messages are for kind 'chat', and this job's kind is {kind!r}")
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidInputError(f"messages must be a list of messages, got {spelled(value)}")
    return tuple(value)


def _texts(value: Any, kind: Kind) -> tuple[str, ...]:
    if value is None:
        return ()
    if kind != "embedding":
        raise InvalidInputError(f"texts are for kind 'embedding', and this job's kind is {kind!r}")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not texts:
        raise InvalidInputError(f"texts must be a list of texts, got {spelled(value)}")
    for text in texts:
        check_prompt(text)
    return tuple(texts)


def _prompt(value: Any, kind: Kind, messages: Sequence[Any], texts: Sequence[str]) -> str:
    if value is None and (messages or texts):
        return texts[0] if texts else _said_last(messages)
    if value is None:
        raise InvalidInputError(f"prompt is missing: a job of kind {kind!r} needs it")
    check_prompt(value)
    if messages or texts:
        other = "messages" if messages else "texts"
        raise InvalidInputError(f"prompt and {other} are both given: one of them is what is sent")
    return str(value)


def _said_last(messages: Sequence[Any]) -> str:
    """The last text of the user, for the manifest."""
    for message in reversed(messages):
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, str):
            return content
    return ""


def _references(value: Any, kind: Kind, folder: Path) -> tuple[Any, ...]:
    if value is None:
        return ()
    if kind != "image":
        raise InvalidInputError(f"references are for kind 'image', and this job's kind is {kind!r}")
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    return tuple(_reference(item, folder) for item in items)


def _reference(item: Any, folder: Path) -> Any:
    if isinstance(item, str) and item.lower().startswith(("http://", "https://", "data:")):
        return item
    if not isinstance(item, (str, os.PathLike)):
        return item
    return folder / Path(item).expanduser()


def check_references(job: Job) -> None:
    """
    Raises:
        InvalidInputError: a file is not there. Of a job that is done it may be gone.
    """
    for item in job.references:
        if isinstance(item, Path) and not item.is_file():
            raise InvalidInputError(
                f"reference {str(item)!r} is neither a URL nor a file that is there"
            )


def _named(reference: Any) -> str:
    """What tells a reference from another one, without reading a file."""
    if isinstance(reference, (bytes, bytearray, memoryview)):
        return blake2b(reference, digest_size=16).hexdigest()
    if isinstance(reference, (str, os.PathLike)):
        return str(reference)
    return type(reference).__name__  # its text may have its place in memory


def _is_lasting(reference: Any) -> bool:
    """Whether another process would see the same reference."""
    return isinstance(reference, (str, bytes, bytearray, memoryview, os.PathLike))


def _digest(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, default=str, sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
