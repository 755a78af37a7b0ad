"""``ImageClient``: the registry of providers, and what happens around a call: checks, storage, warnings."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any

from aigc_kit.errors import (
    AIGCError,
    ConfigurationError,
    InvalidInputError,
    InvalidReplyError,
    StorageError,
    UnknownProviderError,
)
from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult
from aigc_kit.storage.base import Storage, StoredObject, check_key
from aigc_kit.transport import sniff
from aigc_kit.transport.download import Downloader, DownloadError, origin

ENTRY_POINTS = "aigc_kit.image_providers"

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
    """Fill the registry: the vendors of this package, then those of installed packages. Loads none of them."""
    with _registry_lock:
        if _registry:
            return
        for names, home in (
            (("volcengine", "doubao", "seedream", "ark"), "aigc_kit.image.volcengine:VolcengineProvider"),
            (("gemini", "google"), "aigc_kit.image.gemini:GeminiImageProvider"),
        ):
            _registry.update(dict.fromkeys(names, home))
        for point in entry_points(group=ENTRY_POINTS):
            _registry.setdefault(point.name.lower(), point.value)


def _factory(name: str) -> ProviderFactory:
    _ensure_registered()
    found = _registry.get(name.strip().lower())
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


class ImageClient:
    """
    Pictures from one vendor, each with an address.

    Shared by threads; close it, or use it as a context manager.
    """

    def __init__(
        self,
        provider: str | ImageProvider,
        *,
        storage: Storage | None = None,
        storage_key_prefix: str = "aigc/images",
        keep_urls: bool = False,
        allow_private_hosts: bool = False,
        **provider_options: Any,
    ) -> None:
        """
        Args:
            provider: a name (``"volcengine"``, ``"gemini"``, an alias, a registered one) or an instance.
            storage: where pictures without an address go.
            storage_key_prefix: keys are ``<prefix>/<SHA-256 of the bytes>.<type>``.
            keep_urls: store pictures that came with an address too; a vendor's link dies after a day.
            allow_private_hosts: let reference and result pictures come from private addresses (an intranet).
            provider_options: see the provider's class.

        Raises:
            ConfigurationError: an unknown provider, a missing credential or an option that makes no sense.
            InvalidInputError: ``storage_key_prefix`` breaks the rules for keys.
        """
        self._closed = True
        if storage is not None and not callable(getattr(storage, "upload_bytes", None)):
            raise ConfigurationError(f"storage must be an aigc_kit.storage.Storage, got {type(storage).__name__}")
        if keep_urls and storage is None:
            raise ConfigurationError("keep_urls=True stores pictures: pass storage too")
        self.storage = storage
        self.storage_key_prefix = _checked_prefix(storage_key_prefix)
        self.keep_urls = keep_urls
        self._own_provider = isinstance(provider, str)
        if isinstance(provider, str):
            self.provider = _factory(provider)(**provider_options)
        elif provider_options:
            raise ConfigurationError(
                f"a provider instance has its options already: {', '.join(map(repr, provider_options))} are for a name"
            )
        else:
            self.provider = provider
        if not isinstance(self.provider, ImageProvider):
            raise ConfigurationError(f"provider must be a name or an ImageProvider, got {type(self.provider).__name__}")
        stores = _origins(getattr(storage, "origins", ()))
        self._guard: dict[str, Any] = {"allow_private_hosts": allow_private_hosts, "trusted": stores}
        self._references = Downloader(**self._guard)
        self._results_guard = {**self._guard, "trusted": stores | _origins(self.provider.origins)}
        self._results = Downloader(**self._results_guard)
        if self._own_provider:
            self.provider.use_downloader(self._references)
        self._closed = False

    def __repr__(self) -> str:
        return f"ImageClient({self.provider.name!r}, storage={self.storage!r})"

    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **options: Any) -> ImageResult:
        """
        One picture from a text.

        Args:
            prompt: what to draw.
            size: ``"WIDTHxHEIGHT"`` in pixels, a ratio ``"16:9"`` or a tier ``"2K"``.
            options: the vendor's own fields, and ``timeout`` (seconds), ``max_retries``, ``model`` for this call.

        Raises:
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed; ``billed`` tells whether it costs.
            StorageError: the picture is paid and in ``error.result``; ``store`` finishes it.
        """
        check_prompt(prompt)
        with self._named():
            return self._finish(self.provider.text_to_image(prompt, size=size, **options), size)

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
        with self._named():
            result = self.provider.image_to_image(prompt, reference_images=reference_images, size=size, **options)
            return self._finish(result, size)

    def text_to_images(self, prompt: str, *, n: int, size: str = "1024x1024", **options: Any) -> ImageGroup:
        """
        Up to ``n`` pictures: one request where the vendor makes groups, else one request each.

        What came is in ``images``, what failed in ``errors``, each with its ``index``; a picture whose upload failed
        is in the ``result`` of its ``StorageError``.

        Raises:
            AIGCError: see ``text_to_image``; a ``ProviderError`` only when not a single picture came.
        """
        return self._group(prompt, n, size, None, options)

    def image_to_images(
        self, prompt: str, *, reference_images: Any, n: int, size: str = "1024x1024", **options: Any
    ) -> ImageGroup:
        """Like ``text_to_images``, with reference pictures."""
        return self._group(prompt, n, size, reference_images, options)

    def store(self, result: ImageResult) -> ImageResult:
        """
        Finish what a failed upload left: give a paid picture its address. Never asks the vendor for another one.

        A result that already lies in the store comes back as it is.

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
            return result
        with self._named():
            return self._upload(result)

    def close(self) -> None:
        """Give connections back. A provider or storage that was passed in stays open."""
        if self._closed:
            return
        self._closed = True
        if self._own_provider:
            self.provider.close()
        self._references.close()
        self._results.close()

    def __enter__(self) -> ImageClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"{type(self).__name__} was not closed", ResourceWarning, stacklevel=2, source=self)
            self.close()

    def _group(self, prompt: str, n: int, size: str, given: Any, options: dict[str, Any]) -> ImageGroup:
        check_prompt(prompt)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
            raise InvalidInputError(f"n must be a whole number from 1 to 100, got {n!r}")
        with self._named():
            group = self.provider.image_group(prompt, n=n, size=size, reference_images=given, **options)
            done = ImageGroup(errors=list(group.errors))
            for place, result in enumerate(group.images):
                try:
                    done.images.append(self._finish(result, size))
                except AIGCError as error:
                    error.index = place
                    done.errors.append(self._completed(error))
            return done

    def _finish(self, result: ImageResult, size: Any) -> ImageResult:
        """What follows the payment: hold, verify, upload, address."""
        if not isinstance(result, ImageResult):
            raise InvalidReplyError(
                f"provider {self.provider.name!r} returned {type(result).__name__} instead of an ImageResult",
                billed="unknown",
            )
        result.provider = result.provider or self.provider.name
        result.metadata.setdefault("requested_size", str(size))
        result.metadata.setdefault("warnings", [])
        result.__dict__["_guard"] = self._results_guard
        if result.has_base64:
            self._verify(result)
        elif not result.url:
            raise _with(InvalidReplyError("the provider gave neither bytes nor an address", billed="unknown"), result)
        if self.storage is not None and (not result.url or self.keep_urls):
            return self._upload(result)
        if not result.url:
            _warn(result, "storage", "the picture has no address: pass storage= to give it one; its bytes are in .data")
        return result

    def _verify(self, result: ImageResult) -> None:
        try:
            data = result.data
        except InvalidReplyError as error:
            raise _with(error, result) from error.__cause__
        kind = sniff.mime_type(data)
        if not kind:
            raise _with(
                InvalidReplyError(f"the vendor gave {len(data)} bytes that are no picture", billed="yes"), result
            )
        result.mime_type = kind
        width, height = sniff.dimensions(data)
        if width and height:
            result.metadata |= {"width": width, "height": height}
        if not sniff.is_whole(data):
            _warn(result, "picture", "the end of the file is missing; it may not show in full")

    def _upload(self, result: ImageResult) -> ImageResult:
        if self.storage is None:
            return result
        if not result.has_base64:
            self._fetch(result)
        data = result.data
        key = result.metadata.get("storage_key") or (
            f"{self.storage_key_prefix}/{hashlib.sha256(data).hexdigest()}{sniff.extension(result.mime_type)}".lstrip(
                "/"
            )
        )
        result.metadata["storage_key"] = key
        try:
            stored = self.storage.upload_bytes(data, key, content_type=result.mime_type or "application/octet-stream")
        except StorageError as error:
            raise _with(error, result) from error.__cause__
        except Exception as error:
            # An application's own store may raise anything; the paid picture must come out with it.
            failure = StorageError(f"the storage failed: {type(error).__name__}: {str(error)[:300]}", key=key)
            raise _with(failure, result) from error
        if not isinstance(stored, StoredObject) or not stored.url:
            failure = StorageError(f"the storage gave no address but {type(stored).__name__}", key=key)
            raise _with(failure, result)
        result.url = stored.url
        result.metadata["storage_key"] = stored.key
        return result

    def _fetch(self, result: ImageResult) -> None:
        """Bring a vendor's picture here: without the API key, checked to be a whole picture."""
        problem, retryable = "", True
        for _ in range(3):
            try:
                data = self._results.fetch(result.url, timeout=120.0).data
            except DownloadError as error:
                problem, retryable = str(error), error.retryable
                if not retryable:
                    break
                continue
            if sniff.mime_type(data) and sniff.is_whole(data):
                result.metadata.setdefault("source_url", result.url)
                result.__dict__["_data"] = data
                self._verify(result)
                return
            problem = f"{len(data)} bytes came from the vendor's address, and they are no whole picture"
        raise _with(StorageError(f"the picture could not be kept: {problem}", retryable=retryable), result)

    def _named(self) -> _Named:
        return _Named(self._completed)

    def _completed(self, error: AIGCError) -> AIGCError:
        error.provider = error.provider or self.provider.name
        error.model = error.model or str(getattr(self.provider, "model", "") or "")
        return error


class _Named:
    """Errors that pass get the provider's and the model's name where they lack it."""

    def __init__(self, complete: Callable[[AIGCError], AIGCError]) -> None:
        self._complete = complete

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, AIGCError):
            self._complete(error)


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
        check_key(f"{trimmed}/{'0' * 64}.webp")
    return trimmed


def _origins(addresses: Iterable[str]) -> frozenset[tuple[str, int]]:
    return frozenset(found for found in map(origin, addresses) if found)


def _warn(result: ImageResult, feature: str, details: str) -> None:
    entry = {"feature": feature, "details": details}
    if entry not in result.metadata["warnings"]:
        result.metadata["warnings"].append(entry)


def _with(error: Any, result: ImageResult) -> Any:
    error.result = result
    return error
