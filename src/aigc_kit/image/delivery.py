"""
What follows the payment: fetch links that die, verify, upload, make renditions. What fails stays in
the journal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, unquote

from aigc_kit import log, tracing
from aigc_kit.errors import (
    AIGCError,
    InvalidInputError,
    InvalidReplyError,
    StorageError,
)
from aigc_kit.image import labelling
from aigc_kit.image.base import ImageGroup, ImageResult, warn
from aigc_kit.image.entries import Entry, Item, failure_facts
from aigc_kit.media import sniff
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.renditions import Rendered, Rendition, attempted
from aigc_kit.media.result import Access
from aigc_kit.storage.base import Storage, StoredObject
from aigc_kit.transport.download import Downloader, DownloadError
from aigc_kit.transport.encoding import sha256_of
from aigc_kit.transport.interrupts import callers_own

FETCH_SECONDS = 120.0
"""For one copy of a vendor's image, its three tries included."""

KEYED_TYPES = (".jpg", ".png", ".webp", "")
"""
How keys made from an idempotency key end; the image's type is not known before it is paid for.
"""

_REQUEST, _PROVIDER, _MODEL, _SIZE = "aigc-request", "aigc-provider", "aigc-model", "aigc-size"
"""The metadata of an object that was bought with an idempotency key."""


class Delivery:
    """Gives paid images their URL. Shared by threads."""

    def __init__(
        self,
        storage: Storage | None,
        prefix: str,
        *,
        keep_urls: bool,
        renditions: tuple[Rendition, ...],
        label: ContentLabel | None = None,
        downloader: Downloader,
        access: Access,
    ) -> None:
        """
        Args:
            prefix: of keys, without a trailing slash.
            renditions: made of each image that is stored.
            label: of each image whose call has no other.
            downloader: fetches what the vendor's links lead to.
            access: what ``result.download`` may reach.
        """
        self.storage = storage
        self.prefix = prefix
        self.keep_urls = keep_urls
        self.renditions = renditions
        self.label = label
        self._downloader = downloader
        self._access = access

    def close(self) -> None:
        self._downloader.close()

    def deliver(
        self,
        entry: Entry,
        items: Sequence[Item],
        facts: dict[str, Any],
        errors: Sequence[AIGCError] = (),
        *,
        again: bool = False,
    ) -> ImageGroup:
        """
        Every image with its URL, or an error that has it; what failed stays in the entry.

        Args:
            facts: who was asked for what.
            errors: of the images that did not come.
            again: what may be in the store already is looked up first.

        Raises:
            BaseException: only what is not the library's: Ctrl-C, an application's time limit.
                ``result`` has the images.
        """
        done = ImageGroup(errors=list(errors))
        stored: list[Item] = []
        left: list[Item] = []
        try:
            unfetched = self._bring(entry, items, facts)
            for item in items:
                try:
                    if item.place in unfetched:
                        raise unfetched[item.place]
                    result = self._finish(item, facts, again=again)
                    done.images.append(result)
                    _log(result, resumed=again)
                    stored.append(item)
                except AIGCError as error:
                    done.errors.append(_placed(error, item))
                    if isinstance(error, StorageError):
                        left.append(item)
            failures = failure_facts(done.errors)
            self._close(entry, stored, left, {**facts, "failures": failures} if failures else facts)
        except BaseException as error:
            carry(error, [item.result for item in items], done.errors)
            raise
        done.errors.sort(key=lambda error: -1 if error.index is None else error.index)
        return done

    def store(
        self,
        result: ImageResult,
        name: str = "",
        facts: dict[str, Any] | None = None,
        *,
        again: bool = False,
    ) -> ImageResult:
        """
        Upload it, fetched first where only a URL is here.

        Args:
            name: its storage key without the type, where that is not the digest of its bytes.

        Raises:
            StorageError: it failed; ``result`` has the image.
        """
        facts = facts or ({"label": self.label.to_dict()} if self.label else {})
        try:
            item = Item(0, result, name)
            return self._kept(item, facts, self._labelled(item, facts), again=again)
        except BaseException as error:
            carry(error, [result])
            raise

    def _bring(
        self, entry: Entry, items: Sequence[Item], facts: dict[str, Any]
    ) -> dict[int, StorageError]:
        """Fetch what is behind URLs that die, and record it before anything is uploaded."""
        failed: dict[int, StorageError] = {}
        fetched = False
        for item in items:
            result = item.result
            if result.has_base64 or not result.url or not self._keeps(item, facts):
                continue
            try:
                self._fetch(result)
                fetched = True
            except StorageError as error:
                failed[item.place] = error
        if fetched:
            with contextlib.suppress(StorageError):  # the entry as it was has the URLs
                entry.paid(items, facts)
        return failed

    def _keeps(self, item: Item, facts: dict[str, Any]) -> bool:
        return self.storage is not None and (
            not item.result.url or self.keep_urls or bool(item.name) or bool(facts.get("label"))
        )

    def _close(
        self, entry: Entry, stored: Sequence[Item], left: Sequence[Item], facts: dict[str, Any]
    ) -> None:
        """The entry keeps what has no URL yet."""
        if not left:
            with tracing.span("journal.done"):
                entry.done(stored, facts)
            return
        label = facts.get("label")
        for item in left:
            if entry.name or item.name or label:
                item.result.metadata["pending"] = {
                    "entry": entry.name,
                    "place": item.place,
                    "name": item.name,
                    **({"label": label} if label else {}),
                }
        with contextlib.suppress(StorageError):  # then the entry as it was has them, and others
            entry.paid(left, facts)

    def _finish(self, item: Item, facts: dict[str, Any], *, again: bool) -> ImageResult:
        result = item.result
        result.provider = result.provider or str(facts.get("provider", ""))
        result.metadata.setdefault("requested_size", str(facts.get("requested_size", "")))
        result.metadata.setdefault("warnings", [])
        result.allow(self._access)
        if result.has_base64:
            _verify(result)
        elif not result.url:
            raise _with(
                InvalidReplyError("the provider gave neither bytes nor a URL", billed="unknown"),
                result,
            )
        original = self._labelled(item, facts)
        if self._keeps(item, facts):
            return self._kept(item, facts, original, again=again)
        if not result.url:
            warn(
                result,
                "storage",
                "the image has no URL: pass storage= to give it one; its bytes are in .data",
            )
        elif self.renditions:
            warn(
                result, "renditions", "none was made: the image is not stored; pass keep_urls=True"
            )
        return result

    def _labelled(self, item: Item, facts: dict[str, Any]) -> bytes:
        return labelling.write(item, facts, self._fetch, stored=self.storage is not None)

    def _kept(
        self, item: Item, facts: dict[str, Any], original: bytes, *, again: bool
    ) -> ImageResult:
        try:
            done = self._upload(item, facts, again=again)
        except StorageError:
            if original:  # what comes next labels it again, and keeps the original then
                labelling.undo(item.result, original)
            raise
        if original and self.storage is not None:
            labelling.keep_original(done, original, self.storage)
        return done

    def _upload(self, item: Item, facts: dict[str, Any], *, again: bool) -> ImageResult:
        result = item.result
        if self.storage is None:
            return result
        if not result.has_base64:
            self._fetch(result)
        key, sha256 = self._key(item, result.data)
        stored = self._in_storage(result, key, sha256, facts, again=again)
        fault = self._fault_of(stored)
        if fault:
            raise _with(StorageError(fault, key=key), result)
        if not stored.url:
            warn(
                result,
                "storage",
                "the image is stored and has no URL: the storage has no public_domain",
            )
        result.url = stored.url
        result.metadata["storage_key"] = stored.key
        if stored.expires_at:
            result.metadata["expires_at"] = stored.expires_at
        result.metadata.pop("pending", None)
        self.add_renditions(result, key)
        return result

    def _in_storage(
        self,
        result: ImageResult,
        key: str,
        sha256: bytes | None,
        facts: dict[str, Any],
        *,
        again: bool,
    ) -> Any:
        """The image's object: looked up where it may be in the store already, else uploaded."""
        data = result.data
        content_type = result.mime_type or "application/octet-stream"
        try:
            stored = self.look_up(key) if again else None
            if stored is not None and stored.size == len(data):
                return stored
            told = {"key": key, "bytes": len(data)}
            with tracing.span("storage.upload", facts=told):
                return self._put(data, key, content_type, sha256, facts)
        except StorageError as error:
            raise _with(error, result) from error.__cause__
        except InvalidInputError as error:
            raise _with(
                StorageError(f"the storage refused the image: {error}", key=key), result
            ) from error
        except Exception as error:
            if callers_own(error, inside_of=self.storage):
                raise
            # An application's own store may raise anything; the paid image must come out with it.
            failure = StorageError(
                f"the storage failed: {type(error).__name__}: {str(error)[:300]}", key=key
            )
            raise _with(failure, result) from error

    def _fault_of(self, stored: Any) -> str:
        """What is wrong with the object that the storage gave; "" where nothing is."""
        if not isinstance(stored, StoredObject):
            return f"the storage gave {type(stored).__name__} instead of a StoredObject with a URL"
        if not stored.url and not getattr(self.storage, "without_urls", False):
            return "the storage gave no URL"
        return ""

    def _key(self, item: Item, data: bytes) -> tuple[str, bytes | None]:
        """(storage key, SHA-256 of the bytes where the key is made from it)."""
        kind = sniff.extension(item.result.mime_type)
        known = item.result.metadata.get("storage_key")
        if item.name:
            return known or f"{item.name}{kind if kind in KEYED_TYPES else ''}", None
        sha256 = sha256_of(data).digest()
        return known or f"{self.prefix}/{sha256.hex()}{kind}".lstrip("/"), sha256

    def _put(
        self, data: bytes, key: str, content_type: str, sha256: bytes | None, facts: dict[str, Any]
    ) -> Any:
        if not isinstance(self.storage, Storage):
            return cast(Storage, self.storage).upload_bytes(data, key, content_type=content_type)
        if sha256 is not None:
            return self.storage.upload_hashed(data, key, content_type=content_type, sha256=sha256)
        return self.storage.upload_described(
            data, key, content_type=content_type, metadata=_object_metadata(facts)
        )

    def look_up(self, key: str) -> StoredObject | None:
        """
        The object in the store, or None.

        Raises:
            StorageError: the store failed.
        """
        try:
            with tracing.span("storage.look_up", facts={"key": key}):
                found = self.storage.exists(key) if self.storage is not None else None
        except AIGCError:
            raise
        except Exception as error:
            if callers_own(error, inside_of=self.storage):
                raise
            raise StorageError(
                f"the storage failed: {type(error).__name__}: {str(error)[:300]}", key=key
            ) from error
        usable = isinstance(found, StoredObject) and (
            found.url or getattr(self.storage, "without_urls", False)
        )
        return found if usable else None

    def found(self, name: str) -> tuple[ImageResult, dict[str, str]] | None:
        """
        (the image that was bought under this name, the fingerprint of its request as far as the
        store knows it).

        Raises:
            StorageError: the store failed.
        """
        for end in KEYED_TYPES:
            stored = self.look_up(name + end)
            # Whether an application's own storage tells a size is not known.
            if stored is not None and stored.size == 0 and _is_ours(self.storage):
                raise StorageError(
                    "what the storage has under this idempotency_key is empty, as after a full disk: remove the object, and"
                    " the key can buy the image again",
                    key=stored.key,
                )
            if stored is not None:
                told = stored.metadata
                result = ImageResult(
                    stored.url, "", stored.content_type, unquote(told.get(_PROVIDER, ""))
                )
                known = {
                    "model": unquote(told.get(_MODEL, "")),
                    "requested_size": unquote(told.get(_SIZE, "")),
                }
                result.metadata = {
                    **{n: v for n, v in known.items() if v},
                    "storage_key": stored.key,
                }
                if stored.expires_at:
                    result.metadata["expires_at"] = stored.expires_at
                return result, _fingerprint(told.get(_REQUEST, ""))
        return None

    def completed(self, result: ImageResult, name: str) -> ImageResult:
        """A result that was found again: readable, and with the renditions that it lacks."""
        result.allow(self._access)
        self.add_renditions(result, name + sniff.extension(result.mime_type))
        return result

    def add_renditions(self, result: ImageResult, key: str = "") -> None:
        """
        Store what ``metadata["renditions"]`` lacks; of an image without bytes, look it up.

        What fails is a warning: the image itself is paid for and has its URL.
        """
        found = result.metadata.get("renditions")
        found = found if isinstance(found, dict) else {}
        wanted = [one for one in self.renditions if one.name not in found]
        if not wanted or self.storage is None:
            return
        result.metadata["renditions"] = found
        warnings = result.metadata.get("warnings")
        if isinstance(warnings, list):  # those of an earlier try
            warnings[:] = [
                old
                for old in warnings
                if not (isinstance(old, dict) and old.get("feature") == "renditions")
            ]
        base = (key or str(result.metadata["storage_key"])).removesuffix(
            sniff.extension(result.mime_type)
        )
        data = result.data if result.has_base64 else b""
        made, faults = attempted(data, wanted) if data else ([], dict[str, str]())
        copies = {copy.rendition.name: copy for copy in made}
        for rendition in wanted:
            name, copy = rendition.name, copies.get(rendition.name)
            if name in faults:
                warn(result, "renditions", f"{name} was not made: the image {faults[name]}")
                continue
            try:
                copy = labelling.copied(result, copy)
                stored = _stored(result, base + rendition.suffix, rendition, copy, self.storage)
                found[name] = _rendition(stored, rendition, copy)
            except Exception as error:
                if callers_own(error, inside_of=self.storage):
                    raise
                warn(result, "renditions", f"{name}: {type(error).__name__}: {str(error)[:300]}")

    def _fetch(self, result: ImageResult) -> None:
        """Bring a vendor's image here: without the API key, checked to be a whole image."""
        try:
            fetched = self._downloader.fetch(
                result.url, timeout=FETCH_SECONDS, problem=_problem, inflate=True
            )
        except DownloadError as error:
            dead = _expired(result)
            failure = StorageError(
                f"the image could not be fetched: {error}{dead}",
                retryable=error.retryable and not dead,
            )
            raise _with(failure, result) from error
        result.metadata.setdefault("source_url", result.url)
        result.hold(fetched.data)
        _verify(result)


def _is_ours(storage: Any) -> bool:
    return type(storage).__module__.startswith("aigc_kit.")


def _log(result: ImageResult, *, resumed: bool) -> None:
    known = result.metadata
    model = str(known.get("model") or "")
    place = str(known.get("storage_key") or "")
    log.delivered(result.provider, model, place, bool(result.url), resumed=resumed)
    if known.get("warnings"):
        log.warnings("image", result.provider, model, known["warnings"])


def _problem(data: bytes) -> str:
    return "" if sniff.mime_type(data) and sniff.is_whole(data) else "that are not a whole image"


def _expired(result: ImageResult) -> str:
    """When the vendor's link died, as the end of a sentence; "" while it should live."""
    told = result.metadata.get("expires_at")
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        return ""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return f"; the vendor's link expired at {told}" if at <= datetime.now(UTC) else ""


def is_lost(error: AIGCError) -> bool:
    """
    Whether an image that could not be stored never can be: there is a link alone, and it is dead.
    """
    result = error.result
    if (
        not isinstance(error, StorageError)
        or not isinstance(result, ImageResult)
        or result.has_base64
    ):
        return False
    cause = error.__cause__
    return isinstance(cause, DownloadError) and (not cause.retryable or bool(_expired(result)))


def carry(
    error: BaseException, results: Sequence[ImageResult], errors: Iterable[AIGCError] = ()
) -> None:
    """Let whoever catches it reach what was paid for."""
    if not results or getattr(error, "result", None) is not None:
        return
    with contextlib.suppress(AttributeError, TypeError):
        error.result = results[0] if len(results) == 1 else ImageGroup(list(results), list(errors))  # type: ignore[attr-defined]


def _placed(error: AIGCError, item: Item) -> AIGCError:
    error.index = item.place
    error.result = error.result or item.result
    error.provider = error.provider or item.result.provider
    error.model = error.model or str(item.result.metadata.get("model") or "")
    if hasattr(error, "retryable"):
        error.retryable = (
            False  # the same call would pay again; ``client.store(error.result)`` does not
        )
    return error


def _verify(result: ImageResult) -> None:
    try:
        data = result.data
    except InvalidReplyError as error:
        raise _with(error, result) from error.__cause__
    kind = sniff.mime_type(data)
    if not kind:
        raise _with(
            InvalidReplyError(
                f"the vendor gave {len(data)} bytes that are not an image", billed="yes"
            ),
            result,
        )
    result.mime_type = kind
    width, height = sniff.dimensions(data)
    if width and height:
        from aigc_kit.image.sizes import pixels_of  # tables that only images need

        result.metadata |= {"width": width, "height": height}
        wanted = pixels_of(
            result.metadata.get("sent_size"), str(result.metadata.get("model") or "")
        )
        if wanted and wanted != (width, height):
            requested = result.metadata.get("requested_size") or result.metadata.get("sent_size")
            warn(
                result,
                "size",
                f"{requested} was asked for, {wanted[0]}x{wanted[1]} was due, {width}x{height} came",
            )
    if not sniff.is_whole(data):
        warn(result, "image", "the end of the file is missing; it may not show in full")


def _object_metadata(facts: dict[str, Any]) -> dict[str, str]:
    """What an object tells of its purchase: ASCII, and nothing that was asked for in words."""
    told = {
        _REQUEST: ";".join(
            f"{name}={digest}" for name, digest in (facts.get("fingerprint") or {}).items()
        ),
        _PROVIDER: facts.get("provider"),
        _MODEL: facts.get("model"),
        _SIZE: facts.get("requested_size"),
    }
    return {name: quote(str(value)[:200], safe="=;:/_.-") for name, value in told.items() if value}


def _fingerprint(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in unquote(text).split(";") if "=" in part)
    return {name: digest for name, _, digest in parts}


def _stored(
    result: ImageResult, key: str, rendition: Rendition, copy: Rendered | None, storage: Storage
) -> Any:
    """The rendition in the store; one that keeps everything is the image itself."""
    keeps_all = rendition.side is None and rendition.mime_type == result.mime_type
    if keeps_all and (copy is None or copy.data is result.data):
        size = len(copy.data) if copy else 0
        return StoredObject(result.url, str(result.metadata["storage_key"]), size, result.mime_type)
    if copy is None:
        return storage.exists(key)
    return storage.upload_bytes(copy.data, key, content_type=rendition.mime_type)


def _rendition(stored: Any, rendition: Rendition, copy: Rendered | None) -> dict[str, Any]:
    """What ``metadata`` says of it: JSON. Sizes of one that was looked up are not known."""
    if not isinstance(stored, StoredObject) or not stored.url:
        raise StorageError("it has no URL in the store")
    entry: dict[str, Any] = {
        "url": str(stored.url),
        "key": str(stored.key),
        "mime_type": rendition.mime_type,
    }
    if stored.expires_at:
        entry["expires_at"] = stored.expires_at
    if stored.size:
        entry["size"] = int(stored.size)
    return entry | ({"width": copy.width, "height": copy.height} if copy else {})


def _with(error: Any, result: ImageResult) -> Any:
    error.result = result
    return error
