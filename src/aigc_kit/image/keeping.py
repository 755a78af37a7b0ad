"""What follows the payment: hold, verify, upload, address. And what comes before it: is the picture there already?"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    InvalidReplyError,
    OutcomeUnknownError,
    StorageError,
)
from aigc_kit.image import copies, orders
from aigc_kit.image.base import ImageGroup, ImageResult, warn
from aigc_kit.image.renditions import Rendition
from aigc_kit.image.turns import LONGEST, turn
from aigc_kit.storage.base import Storage, StoredObject
from aigc_kit.storage.spool import Order, Spool
from aigc_kit.transport import sniff
from aigc_kit.transport.download import Downloader, DownloadError

FETCH_SECONDS = 120.0
"""For one copy of a vendor's picture, its three tries included."""

KEYED_TYPES = (".jpg", ".png", ".webp", "")
"""How keys made from an idempotency key end; the picture's type is not known before it is paid for."""


class Keeper:
    """Gives paid pictures their address, and remembers them until they have it. Shared by threads."""

    def __init__(
        self, storage: Storage | None, prefix: str, *, keep_urls: bool, spool: Spool | None, guard: dict[str, Any],
        renditions: tuple[Rendition, ...] = (),
    ) -> None:  # fmt: skip
        """
        Args:
            prefix: of keys, without a trailing slash.
            guard: of downloads, see ``Downloader``.
            renditions: made of each picture that is stored.
        """
        self.storage = storage
        self.prefix = prefix
        self.keep_urls = keep_urls
        self.spool = spool
        self.renditions = renditions
        self._guard = guard
        self._downloader = Downloader(**guard)

    def close(self) -> None:
        self._downloader.close()

    def buy(
        self, pay: Callable[[], ImageGroup], *, size: Any, facts: dict[str, Any], key: str | None = None,
        place: int = 0, n: int = 1, wait: float = 600.0, retry_ambiguous: bool = False,
    ) -> ImageGroup:  # fmt: skip
        """
        Pay and keep what came; or, with a ``key`` that was paid for before, what lies in the store or the spool.

        Args:
            facts: who is asked, for the spool and for results that were found.
            key: the user's idempotency key; ``place``: of the first picture under it, ``n``: how many there are at most.
            wait: seconds for another thread or process that is buying with the same key.

        Raises:
            OutcomeUnknownError: a process died while it was paying for ``key``, and ``retry_ambiguous`` is not set.
            StorageError: the look-up or the spool failed; nothing was paid.
            AIGCError: what ``pay`` raised.
        """
        with self._alone(key, place, wait) as order:
            found = self._found(order, key, place, n, facts, retry_ambiguous)
            if found is not None:
                return found
            guarded = key is not None and order is not None and order.read() is not None
            if order is not None:
                order.write({"state": "asked", "at": time.time(), "size": str(size), "key": key or "", **facts})
            try:
                group = pay()
            except Exception as error:
                # With a key the order stays where the vendor may have run it, now or in an earlier call: the next call must
                # not pay unasked.
                if order is not None and not guarded and (key is None or getattr(error, "billed", "no") != "unknown"):
                    order.remove()
                raise
            for index, result in enumerate(group.images):
                if isinstance(result, ImageResult):
                    result.__dict__["_place"] = index
                    if key is not None:
                        result.__dict__["_keyed"] = self.keyed(key, place + index)
            self._hold(order, group.images, size, key, facts)
            return self._finished(order, group, size, facts, keyed=key is not None)

    def store(self, result: ImageResult) -> ImageResult:
        """
        Finish what a failed upload left.

        Raises:
            StorageError: it failed again; ``error.result`` is the result.
        """
        name = result.__dict__.get("_order")
        if self.spool is None or not name:
            return self._upload(result)
        order = self.spool.take(name, wait=FETCH_SECONDS)
        if order is None:
            raise _with(StorageError("another process is storing this picture right now", retryable=True), result)
        with order:
            held = order.read()
            done = self._upload(result, look_first=held is None)
            if held is not None:
                orders.forget(order, held, result.__dict__.get("_place", 0))
            return done

    def resume(self, *, forget: bool) -> ImageGroup:
        """
        Finish every order of the spool that nobody works on.

        ``images``: those that have their address now. ``errors``: a ``StorageError`` for each that failed again, and an
        ``OutcomeUnknownError`` for each payment whose outcome is not known. The latter is told once; with an idempotency
        key it stays, so that the key is not paid for twice, until ``forget``.
        """
        done = ImageGroup()
        for name in self.spool.names() if self.spool is not None else ():
            order = self.spool.take(name) if self.spool is not None else None
            if order is None:
                continue
            with order:
                try:
                    held = order.read()
                except StorageError as error:
                    done.errors.append(error)
                    continue
                if held is None:
                    continue
                facts, blobs = held
                if facts.get("state") == "asked":
                    done.errors.append(_unknown(facts))
                    if forget or not facts.get("key"):
                        order.remove()
                    continue
                part = self._finished(
                    order, ImageGroup(orders.restored(facts, blobs)), facts.get("size"), facts, look_first=True,
                    keyed=bool(facts.get("key")),
                )  # fmt: skip
                done.images += part.images
                done.errors += part.errors
        return done

    @contextlib.contextmanager
    def _alone(self, key: str | None, place: int, wait: float) -> Iterator[Order | None]:
        """Nobody else buys with this key inside; the order to write into, when there is a spool."""
        if key is None:
            order = self.spool.new() if self.spool is not None else None
            with order or contextlib.nullcontext():
                yield order
            return
        if self.storage is None:
            raise ConfigurationError("idempotency_key finds a picture in the storage: pass storage to the client")
        name = self.keyed(key, place)
        busy = StorageError(f"somebody else has been buying with this idempotency_key for {wait:.0f} s", key=name, retryable=True)  # fmt: skip
        with turn(name, wait) as mine:
            if not mine:
                raise busy
            order = None
            if self.spool is not None:
                order = self.spool.take(
                    "key-" + hashlib.sha256(name.encode()).hexdigest()[:32], wait=min(wait, LONGEST)
                )
                if order is None:
                    raise busy
            with order or contextlib.nullcontext():
                yield order

    def keyed(self, key: str, index: int, extension: str = "") -> str:
        """The storage key of the picture that is bought with this idempotency key."""
        digest = hashlib.sha256(f"{index}:{key}".encode()).hexdigest()
        return f"{self.prefix}/{digest}{extension}".lstrip("/")

    def _found(
        self, order: Order | None, key: str | None, place: int, n: int, facts: dict[str, Any], retry_ambiguous: bool
    ) -> ImageGroup | None:
        """What was bought with the key before, in its places; None when it must be paid for."""
        if key is None:
            return None
        held = order.read() if order is not None else None
        kept = ImageGroup()
        if held is not None and held[0].get("state") != "asked":  # paid, and not all of it uploaded
            old, blobs = held
            kept = self._finished(
                order, ImageGroup(orders.restored(old, blobs)), old.get("size"), old, look_first=True, keyed=True
            )
        there = {result.__dict__.get("_place", 0): result for result in kept.images}
        missing = {error.index for error in kept.errors}
        for index in range(n):
            if index not in there and index not in missing:
                stored = next(
                    filter(None, (self._look(self.keyed(key, place + index, end)) for end in KEYED_TYPES)), None
                )
                if stored is not None:
                    there[index] = _from_store(stored, facts)
                    there[index].__dict__["_asked_key"] = self.keyed(
                        key, place + index, sniff.extension(stored.content_type)
                    )
                    self.add_renditions(there[index])
        if not there and not kept.errors:
            if held is None or retry_ambiguous:
                return None
            raise _unknown(held[0])
        for index in set(range(max(there, default=0))) - set(there) - missing:
            gap = StorageError(
                f"picture {index} of this idempotency_key is not in the storage: its upload failed, and only the error of that"
                " call has it", key=self.keyed(key, place + index),
            )  # fmt: skip
            gap.index = index
            kept.errors.append(gap)
        return ImageGroup([there[index] for index in sorted(there)], kept.errors)

    def _look(self, key: str) -> StoredObject | None:
        try:
            found = self.storage.exists(key) if self.storage is not None else None
        except AIGCError:
            raise
        except Exception as error:
            raise StorageError(f"the storage failed: {type(error).__name__}: {str(error)[:300]}", key=key) from error
        return found if isinstance(found, StoredObject) and found.url else None

    def _hold(
        self, order: Order | None, results: Sequence[ImageResult], size: Any, key: str | None, facts: dict[str, Any]
    ) -> None:
        """Paid: from here on the disk has it, when there is a spool."""
        if order is None:
            return
        try:
            orders.write(order, results, size, key or "", facts)
        except Exception as error:  # noqa: BLE001 - nothing that fails here may lose what the memory has
            for result in results:
                warn(result, "spool", f"the picture is not in the spool: {type(error).__name__}: {str(error)[:200]}")

    def _finished(
        self, order: Order | None, group: ImageGroup, size: Any, facts: dict[str, Any], *, look_first: bool = False,
        keyed: bool = False,
    ) -> ImageGroup:  # fmt: skip
        done = ImageGroup(errors=list(group.errors))
        left: list[ImageResult] = []
        unfetched = self._brought(order, group.images, size, facts, keep=keyed)
        for place, result in enumerate(group.images):
            if isinstance(result, ImageResult):
                result.provider = result.provider or str(facts.get("provider", ""))
            try:
                if place in unfetched:
                    raise unfetched[place]
                done.images.append(self._finish(result, size, look_first=look_first, keep=keyed))
            except AIGCError as error:
                error.index = result.__dict__.get("_place", place) if isinstance(result, ImageResult) else place
                done.errors.append(error)
                if isinstance(error, StorageError):
                    left.append(result)
            except BaseException as error:  # Ctrl-C: the caller can still reach what was paid
                if len(group.images) > 1:
                    with contextlib.suppress(AttributeError):
                        error.result = ImageGroup([*done.images, *group.images[place:]], done.errors)  # type: ignore[attr-defined]
                raise
        if order is not None:
            self._leave(order, left, size, facts)
        return done

    def _brought(
        self, order: Order | None, results: Sequence[ImageResult], size: Any, facts: dict[str, Any], *, keep: bool
    ) -> dict[int, StorageError]:
        """Fetch what lies at addresses that die, and put it on the disk before anything is uploaded."""
        failed: dict[int, StorageError] = {}
        fetched = False
        for place, result in enumerate(results):
            if isinstance(result, ImageResult) and not result.has_base64 and result.url and self._keeps(result, keep):
                try:
                    self._fetch(result)
                    fetched = True
                except StorageError as error:
                    failed[place] = error
        if fetched and order is not None:
            with contextlib.suppress(StorageError):  # the order as it was has the addresses
                orders.write(order, results, size, facts.get("key", ""), facts)
        return failed

    def _keeps(self, result: ImageResult, keep: bool) -> bool:
        return self.storage is not None and (not result.url or self.keep_urls or keep)

    @staticmethod
    def _leave(order: Order, left: list[ImageResult], size: Any, facts: dict[str, Any]) -> None:
        """The order keeps what has no address yet."""
        if not left:
            order.remove()
            return
        for result in left:
            result.__dict__["_order"] = order.name
        with contextlib.suppress(StorageError):  # then the order as it was has them, and others
            orders.write(order, left, size, facts.get("key", ""), facts)

    def _finish(self, result: ImageResult, size: Any, *, look_first: bool, keep: bool) -> ImageResult:
        if not isinstance(result, ImageResult):
            raise InvalidReplyError(
                f"the provider returned {type(result).__name__} instead of an ImageResult", billed="unknown"
            )
        result.metadata.setdefault("requested_size", str(size))
        result.metadata.setdefault("warnings", [])
        result.__dict__["_guard"] = self._guard
        if result.has_base64:
            _verify(result)
        elif not result.url:
            raise _with(InvalidReplyError("the provider gave neither bytes nor an address", billed="unknown"), result)
        if self._keeps(result, keep):
            return self._upload(result, look_first=look_first)
        if not result.url:
            warn(result, "storage", "the picture has no address: pass storage= to give it one; its bytes are in .data")
        elif self.renditions:
            warn(result, "renditions", "none was made: the picture is not stored; pass keep_urls=True")
        return result

    def _upload(self, result: ImageResult, *, look_first: bool = False) -> ImageResult:
        if self.storage is None:
            return result
        if not result.has_base64:
            self._fetch(result)
        data = result.data
        kind = sniff.extension(result.mime_type)
        keyed = result.__dict__.get("_keyed")
        sha256 = None if keyed else hashlib.sha256(data).digest()
        if sha256 is None:
            fresh = f"{keyed}{kind if kind in KEYED_TYPES else ''}"
        else:
            fresh = f"{self.prefix}/{sha256.hex()}{kind}".lstrip("/")
        key = result.metadata.get("storage_key") or fresh
        try:
            stored = self._look(key) if look_first else None
            if stored is None or stored.size != len(data):
                stored = self._put(data, key, result.mime_type or "application/octet-stream", sha256)
        except StorageError as error:
            raise _with(error, result) from error.__cause__
        except InvalidInputError as error:
            raise _with(StorageError(f"the storage refused the picture: {error}", key=key), result) from error
        except Exception as error:
            # An application's own store may raise anything; the paid picture must come out with it.
            failure = StorageError(f"the storage failed: {type(error).__name__}: {str(error)[:300]}", key=key)
            raise _with(failure, result) from error
        except BaseException as error:  # Ctrl-C: the caller can still reach what was paid
            with contextlib.suppress(AttributeError):
                _with(error, result)
            raise
        if not isinstance(stored, StoredObject) or not stored.url:
            failure = StorageError(f"the storage gave no address but {type(stored).__name__}", key=key)
            raise _with(failure, result)
        result.url = stored.url
        result.metadata["storage_key"] = stored.key
        result.__dict__["_asked_key"] = key
        try:
            self.add_renditions(result)
        except BaseException as error:
            with contextlib.suppress(AttributeError):
                _with(error, result)
            raise
        return result

    def _put(self, data: bytes, key: str, content_type: str, sha256: bytes | None) -> Any:
        if sha256 is not None and isinstance(self.storage, Storage):
            return self.storage.upload_hashed(data, key, content_type=content_type, sha256=sha256)
        return cast(Storage, self.storage).upload_bytes(data, key, content_type=content_type)

    def add_renditions(self, result: ImageResult) -> None:
        """Those that it lacks, beside the picture in the store."""
        if self.storage is not None:
            copies.add(result, self.renditions, self.storage)

    def _fetch(self, result: ImageResult) -> None:
        """Bring a vendor's picture here: without the API key, checked to be a whole picture."""

        def problem(data: bytes) -> str:
            return "" if sniff.mime_type(data) and sniff.is_whole(data) else "that are no whole picture"

        try:
            data = self._downloader.fetch(result.url, timeout=FETCH_SECONDS, problem=problem).data
        except DownloadError as error:
            failure = StorageError(f"the picture could not be kept: {error}", retryable=error.retryable)
            raise _with(failure, result) from error
        result.metadata.setdefault("source_url", result.url)
        result.__dict__["_data"] = data
        _verify(result)


def _verify(result: ImageResult) -> None:
    try:
        data = result.data
    except InvalidReplyError as error:
        raise _with(error, result) from error.__cause__
    kind = sniff.mime_type(data)
    if not kind:
        raise _with(InvalidReplyError(f"the vendor gave {len(data)} bytes that are no picture", billed="yes"), result)
    result.mime_type = kind
    width, height = sniff.dimensions(data)
    if width and height:
        result.metadata |= {"width": width, "height": height}
    if not sniff.is_whole(data):
        warn(result, "picture", "the end of the file is missing; it may not show in full")


def _from_store(stored: StoredObject, facts: dict[str, Any]) -> ImageResult:
    attempt = {
        "provider": facts.get("provider", ""),
        "model": facts.get("model", ""),
        "requests": 0,
        "outcome": "stored",
    }
    metadata = {
        "model": facts.get("model", ""), "requested_size": facts.get("requested_size", ""), "warnings": [],
        "attempts": [attempt], "storage_key": stored.key,
    }  # fmt: skip
    return ImageResult(stored.url, "", stored.content_type, facts.get("provider", ""), metadata)


def _unknown(facts: dict[str, Any]) -> OutcomeUnknownError:
    elapsed = max(0.0, time.time() - float(facts.get("at") or 0))
    return OutcomeUnknownError(
        f"{facts.get('provider') or 'the vendor'} was asked for a picture {elapsed:.0f} s ago, and no answer was kept: it may"
        " have been billed. It is not asked again for the same idempotency_key unless you pass retry_ambiguous=True; look at"
        " the vendor's console before you do",
        elapsed=elapsed, provider=str(facts.get("provider") or ""), model=str(facts.get("model") or ""),
    )  # fmt: skip


def _with(error: Any, result: ImageResult) -> Any:
    error.result = result
    return error
