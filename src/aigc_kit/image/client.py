"""``ImageClient``: the registry of providers, and what happens around a call: checks, storage, warnings."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from aigc_kit import settings
from aigc_kit.edge import Client, public, published
from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    ProviderError,
    ProviderTimeoutError,
    ReferenceImageError,
    UnknownProviderError,
)
from aigc_kit.image import references
from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult, NoGroupError, as_json, next_may_succeed
from aigc_kit.image.fallback import Fallback, shared_out
from aigc_kit.image.keeping import Keeper
from aigc_kit.image.renditions import Rendition
from aigc_kit.image.renditions import checked as checked_renditions
from aigc_kit.settings import spelled
from aigc_kit.storage.base import Storage, check_key
from aigc_kit.storage.spool import Spool
from aigc_kit.transport.download import Downloader, origin

ENTRY_POINTS = "aigc_kit.image_providers"

LONGEST_TURN = 600.0
"""Seconds that a call waits for another one with the same idempotency key, unless it has a ``timeout``."""

ProviderFactory = Callable[..., ImageProvider]

_registry: dict[str, ProviderFactory | str] = {}
_registry_lock = threading.Lock()


def register_provider(name: str, provider: ProviderFactory, *, aliases: Iterable[str] = ()) -> None:
    """
    Make ``ImageClient(name)`` build this provider. A name that exists is replaced.

    Args:
        provider: a subclass of ``ImageProvider``, or a function that makes one from the client's provider options.
    """
    _ensure_registered()
    with _registry_lock:
        for each in (name, *aliases):
            _registry[each.lower()] = provider


def _ensure_registered() -> None:
    """Fill the registry with the vendors of this package. Loads none of them."""
    with _registry_lock:
        if _registry:
            return
        for names, home in (
            (("volcengine", "doubao", "seedream", "ark"), "aigc_kit.image.volcengine:VolcengineProvider"),
            (("gemini", "google"), "aigc_kit.image.gemini:GeminiImageProvider"),
        ):
            _registry.update(dict.fromkeys(names, home))


def _known(name: str) -> ProviderFactory | str | None:
    """What the name stands for; installed packages are searched for names that nobody here has."""
    _ensure_registered()
    if name not in _registry:
        with _registry_lock:
            _registry.update({**published(ENTRY_POINTS), **_registry})
    return _registry.get(name)


def _factory(name: str) -> ProviderFactory:
    found = _known(name.strip().lower())
    if found is None:
        raise UnknownProviderError(f"no image provider {name!r}; there are: {', '.join(sorted(_registry))}")
    if not isinstance(found, str):
        return found
    module, _, attribute = found.partition(":")
    try:
        factory: ProviderFactory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"image provider {name!r} cannot be loaded from {found!r}: {error}") from error
    return factory


def _in_a_row(items: Sequence[Any], options: dict[str, Any]) -> ImageProvider:
    """The fallback over these names, (name, options) pairs and instances."""
    if not items:
        raise ConfigurationError("provider is an empty list: name at least one")
    entries: list[tuple[Any, dict[str, Any]]] = []
    for item in items:
        pair = isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[1], Mapping)
        entries.append((item[0], dict(item[1])) if pair else (item, {}))
    named = [place for place, (item, _) in enumerate(entries) if isinstance(item, str)]
    shared = shared_out(
        options, [_factory(entries[place][0]) for place in named], [_names_of(entries[place][0]) for place in named]
    )
    providers: list[ImageProvider] = []
    for place, (item, own) in enumerate(entries):
        made = _factory(item)(**{**shared[named.index(place)], **own}) if isinstance(item, str) else item
        if not isinstance(made, ImageProvider):
            raise ConfigurationError(f"provider {place} must be a name or an ImageProvider, got {type(made).__name__}")
        providers.append(made)
    names = [_names_of(item) if isinstance(item, str) else {item.name} for item, _ in entries]
    return Fallback(providers, names, [isinstance(item, str) for item, _ in entries])


def _names_of(name: str) -> set[str]:
    """The name and its aliases."""
    home = _registry[name.strip().lower()]
    return {other for other, found in _registry.items() if found == home}


class ImageClient(Client):
    """
    Pictures from one vendor, each with an address.

    Shared by threads; close it, or use it as a context manager.
    """

    provider: ImageProvider

    def __init__(
        self,
        provider: str | ImageProvider | Sequence[Any],
        *,
        storage: Storage | None = None,
        storage_key_prefix: str = "aigc/images",
        keep_urls: bool = False,
        allow_private_hosts: bool = False,
        spool_dir: str | os.PathLike[str] | None = None,
        renditions: Sequence[Rendition] = (),
        **provider_options: Any,
    ) -> None:
        """
        Args:
            provider: a name (``"volcengine"``, ``"gemini"``, an alias, a registered one), an instance, or a list of these
                (or of ``(name, options)``): the next is asked when the one before surely sent no bill.
            storage: where pictures without an address go.
            storage_key_prefix: keys are ``<prefix>/<SHA-256 of the bytes>.<type>``.
            keep_urls: store pictures that came with an address too; a vendor's link dies after a day.
            allow_private_hosts: let reference and result pictures come from private addresses (an intranet).
            spool_dir: a directory where paid bytes lie until they have their address; ``resume_spool`` finishes them
                after a crash. It may be shared by threads and processes of one machine.
            renditions: copies to store beside each picture, ``[Rendition("thumb", side=512)]``; their addresses and sizes
                are in ``metadata["renditions"]`` by name. One that cannot be made is a warning.
            provider_options: see the provider's class. With a list, ``gemini={"model": ...}`` is for one of them.

        Raises:
            ConfigurationError: an unknown provider, a missing credential or an option that makes no sense.
            InvalidInputError: ``storage_key_prefix`` breaks the rules for keys.
        """
        if storage is not None and not callable(getattr(storage, "upload_bytes", None)):
            raise ConfigurationError(f"storage must be an aigc_kit.storage.Storage, got {type(storage).__name__}")
        if keep_urls and storage is None:
            raise ConfigurationError("keep_urls=True stores pictures: pass storage too")
        if spool_dir is not None and storage is None:
            raise ConfigurationError("spool_dir keeps pictures until the storage has them: pass storage too")
        if renditions and storage is None:
            raise ConfigurationError("renditions are stored beside their picture: pass storage too")
        self.storage = storage
        self.renditions = checked_renditions(renditions)
        self.storage_key_prefix = _checked_prefix(storage_key_prefix)
        self.keep_urls = keep_urls
        self._own_provider = isinstance(provider, (str, list, tuple))
        if isinstance(provider, str):
            self.provider = _factory(provider)(**provider_options)
        elif isinstance(provider, (list, tuple)):
            self.provider = _in_a_row(provider, provider_options)
        elif provider_options:
            raise ConfigurationError(
                f"a provider instance has its options already: {', '.join(map(repr, provider_options))} are for a name"
            )
        else:
            self.provider = cast(ImageProvider, provider)
        if not isinstance(self.provider, ImageProvider):
            raise ConfigurationError(f"provider must be a name or an ImageProvider, got {type(self.provider).__name__}")
        stores = _origins(getattr(storage, "origins", ()))
        self._guard: dict[str, Any] = {"allow_private_hosts": allow_private_hosts, "trusted": stores}
        self._references = Downloader(**self._guard)
        self._keeper = Keeper(
            storage, self.storage_key_prefix, keep_urls=keep_urls, spool=None if spool_dir is None else Spool(spool_dir),
            guard={**self._guard, "trusted": stores | _origins(self.provider.origins)}, renditions=self.renditions,
        )  # fmt: skip
        if self._own_provider:
            self.provider.use_downloader(self._references)
        self._closed = False

    def __repr__(self) -> str:
        return f"ImageClient({self.provider.name!r}, storage={self.storage!r})"

    @public
    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **options: Any) -> ImageResult:
        """
        One picture from a text.

        Args:
            prompt: what to draw.
            size: ``"WIDTHxHEIGHT"`` in pixels, a ratio ``"16:9"`` or a tier ``"2K"``.
            options: the vendor's own fields, and for this call ``timeout`` (seconds), ``max_retries``, ``model``;
                ``idempotency_key``: a text of yours; the same key gives the stored picture again instead of a second
                bill (needs ``storage``). ``retry_ambiguous=True``: ask again even when the first request may have run.

        Raises:
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed; ``billed`` tells whether it costs.
            StorageError: the picture is paid and in ``error.result``; ``store`` finishes it.
        """
        check_prompt(prompt)
        return self._single(lambda rest: self.provider.text_to_image(prompt, size=size, **rest), size, options)

    @public
    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **options: Any
    ) -> ImageResult:
        """
        One picture from a text and reference pictures.

        Args:
            reference_images: one or a list of http(s) address, ``data:`` URI, bytes, ``pathlib.Path``, PIL picture,
                ``ImageResult``.

        Raises:
            ReferenceImageError: a reference cannot be used; nothing was sent.
            ConfigurationError, InvalidInputError, ProviderError, StorageError: see ``text_to_image``.
        """
        check_prompt(prompt)
        if reference_images is None:
            raise ReferenceImageError("reference_images is None: image_to_image needs at least one picture")

        def ask(rest: dict[str, Any]) -> ImageResult:
            return self.provider.image_to_image(prompt, reference_images=reference_images, size=size, **rest)

        return self._single(ask, size, options)

    @public
    def text_to_images(self, prompt: str, *, n: int, size: str = "1024x1024", **options: Any) -> ImageGroup:
        """
        Up to ``n`` pictures: one request where the vendor makes groups, else one request each.

        What came is in ``images``, what failed in ``errors``, each with its ``index``; a picture whose upload failed
        is in the ``result`` of its ``StorageError``. ``timeout`` is for all of them together; without it each request has
        the client's.

        Raises:
            AIGCError: see ``text_to_image``; a ``ProviderError`` only when not a single picture came.
        """
        return self._group(prompt, n, size, None, options)

    @public
    def image_to_images(
        self, prompt: str, *, reference_images: Any, n: int, size: str = "1024x1024", **options: Any
    ) -> ImageGroup:
        """Like ``text_to_images``, with reference pictures."""
        if reference_images is None:
            raise ReferenceImageError("reference_images is None: image_to_images needs at least one picture")
        return self._group(prompt, n, size, reference_images, options)

    @public
    def store(self, result: ImageResult) -> ImageResult:
        """
        Finish what a failed upload left: give a paid picture its address. Never asks the vendor for another one.

        A result that already lies in the store comes back as it is, with the renditions that it lacked where its bytes
        are here (``result.download()`` brings them).

        Raises:
            ConfigurationError: the client has no storage.
            InvalidInputError: the result has neither bytes nor an address.
            StorageError: it failed again; ``error.result`` is the result.
        """
        if self.storage is None:
            raise ConfigurationError("store needs a client with storage")
        if not isinstance(result, ImageResult):
            raise InvalidInputError(f"result must be an ImageResult, got {type(result).__name__}")
        if not result.has_base64 and not result.url:
            raise InvalidInputError("the result has neither bytes nor an address to store")
        if result.metadata.get("storage_key") and result.url and result.url != result.metadata.get("source_url"):
            if result.has_base64:
                self._keeper.add_renditions(result)
            return result
        return self._keeper.store(result)

    @public
    def resume_spool(self, *, forget: bool = False) -> ImageGroup:
        """
        Finish what a crash left in ``spool_dir``: pictures that were paid for and have no address yet. Never pays.

        Orders that another thread or process works on are left to it. ``images``: those that have their address now;
        ``errors``: a ``StorageError`` for each that failed again, and an ``OutcomeUnknownError`` for each payment whose outcome
        nobody knows, because a process died or no answer came: it may have been billed.

        Args:
            forget: such payments are told once by themselves, but those with an ``idempotency_key`` each time, and the key
                is not paid for again; True forgets these too.

        Raises:
            ConfigurationError: the client has no ``spool_dir``.
        """
        if self._keeper.spool is None:
            raise ConfigurationError("resume_spool needs a client with spool_dir")
        group = self._keeper.resume(forget=forget)
        for error in group.errors:
            self.completed(error)
        return group

    def _release(self) -> None:
        super()._release()
        self._references.close()
        self._keeper.close()

    def _single(
        self, ask: Callable[[dict[str, Any]], ImageResult], size: Any, options: dict[str, Any], *, index: int = 0
    ) -> ImageResult:
        def pay() -> ImageGroup:
            if options.get("timeout") is not None:  # the wait for a turn is a part of it
                rest["timeout"] = max(terms["wait"] - (time.monotonic() - started), 0.001)
            result = ask(rest)
            others = result.__dict__.pop("_others", []) if isinstance(result, ImageResult) else []
            return ImageGroup([result, *others])

        started = time.monotonic()
        rest, terms = self._terms(options, size)
        group = self._keeper.buy(pay, size=size, place=index, **terms)
        lost = [error for error in group.errors if not error.index]
        if lost:
            raise lost[0]
        first, *others = group.images
        if others or group.errors:
            first.metadata["others"] = [as_json(picture) for picture in others]
            unkept = [error.result for error in group.errors if isinstance(error.result, ImageResult)]
            first.metadata["others"] += [as_json(picture) for picture in unkept]
        return first

    def _terms(self, options: dict[str, Any], size: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the provider gets, what the keeper must know)."""
        rest = dict(options)
        key = rest.pop("idempotency_key", None)
        if key is not None and (not isinstance(key, str) or not key.strip()):
            raise InvalidInputError(f"idempotency_key must be a text that is not blank, got {spelled(key)}")
        timeout = rest.get("timeout")
        wait = LONGEST_TURN if timeout is None else settings.seconds(timeout, default=0)
        model = rest.get("model") or getattr(self.provider, "model", "") or ""
        if not isinstance(model, str):
            raise InvalidInputError(f"model must be a str, got {type(model).__name__}")
        if not isinstance(size, str):
            raise InvalidInputError(f"size must be a str like '1024x1024', got {type(size).__name__}")
        facts = {"provider": self.provider.name, "model": model, "requested_size": size}
        return rest, {"key": key, "facts": facts, "wait": wait, "retry_ambiguous": bool(rest.get("retry_ambiguous"))}

    def _group(self, prompt: str, n: int, size: str, given: Any, options: dict[str, Any]) -> ImageGroup:
        check_prompt(prompt)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
            raise InvalidInputError(f"n must be a whole number from 1 to 100, got {spelled(n)}")
        rest, terms = self._terms(options, size)
        if n > 1 and self.provider.makes_groups(**rest):
            pay: Callable[[], ImageGroup] = lambda: self.provider.image_group(  # noqa: E731
                prompt, n=n, size=size, reference_images=given, **rest
            )
            try:
                done = self._keeper.buy(pay, size=size, n=n, **terms)
            except NoGroupError:
                return self._one_by_one(prompt, n, size, given, options)
            for error in done.errors:
                self.completed(error)
            return done
        return self._one_by_one(prompt, n, size, given, options)

    def _one_by_one(self, prompt: str, n: int, size: str, given: Any, options: dict[str, Any]) -> ImageGroup:
        """``n`` requests, each kept before the next; after an error that the next would meet as well, no more."""
        if given is not None:
            given = references.listed(given)

        def ask(rest: dict[str, Any]) -> ImageResult:
            if given is None:
                return self.provider.text_to_image(prompt, size=size, **rest)
            return self.provider.image_to_image(prompt, reference_images=given, size=size, **rest)

        group = ImageGroup()
        timeout = options.get("timeout")
        timed = isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 < timeout < float("inf")
        end = time.monotonic() + (float(timeout) if timed and timeout is not None else 0.0)
        for index in range(n):
            if timed and index:
                left = end - time.monotonic()
                if left <= 0:
                    late = ProviderTimeoutError(
                        f"{timeout} s were over before picture {index} was asked for", retryable=True
                    )
                    late.index = index
                    group.errors.append(self.completed(late))
                    break
                options = {**options, "timeout": left}
            try:
                group.images.append(self._single(ask, size, options, index=index))
            except AIGCError as error:
                error.index = index
                group.errors.append(self.completed(error))
                if not next_may_succeed(error):
                    break
            except BaseException as error:
                if not isinstance(error, Exception) or not group.images:
                    current = getattr(error, "result", None)
                    if isinstance(current, ImageResult):
                        group.images.append(current)
                    with contextlib.suppress(AttributeError):
                        error.result = group  # type: ignore[attr-defined]  # what was paid for until then
                    raise
                # A provider of the application's own may raise anything; what was bought before must come out.
                failure = ProviderError(
                    f"the provider failed: {type(error).__name__}: {str(error)[:300]}", billed="unknown"
                )
                failure.index, failure.__cause__ = index, error
                group.errors.append(self.completed(failure))
                break
        if not group.images and group.errors and not any(error.result for error in group.errors):
            raise group.errors[0]
        return group


def check_prompt(prompt: Any) -> None:
    """
    Raises:
        InvalidInputError: not a text, blank, or no valid Unicode.
    """
    if not isinstance(prompt, str):
        raise InvalidInputError(f"prompt must be a str, got {type(prompt).__name__}")
    if not prompt.strip():
        raise InvalidInputError(f"prompt must say something, got {prompt[:20]!r}")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"prompt is no valid Unicode: a lone surrogate {prompt[error.start]!r} at {error.start}"
        ) from None


def _checked_prefix(prefix: Any) -> str:
    if not isinstance(prefix, str):
        raise InvalidInputError(f"storage_key_prefix must be a str, got {type(prefix).__name__}")
    trimmed = prefix.removesuffix("/")
    if trimmed:
        check_key(f"{trimmed}/{'0' * 64}.{'n' * 40}.webp")
    return trimmed


def _origins(addresses: Iterable[str]) -> frozenset[tuple[str, int]]:
    return frozenset(found for found in map(origin, addresses) if found)
