"""``ImageClient``: the registry of providers, and the calls that applications make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict, Unpack, overload

from aigc_kit.client import Client, constructor, public
from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError
from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult, first_of
from aigc_kit.image.chain import Chain, Link, shared_out
from aigc_kit.image.delivery import Delivery
from aigc_kit.image.journal import Journal
from aigc_kit.image.options import CallOptions, given_references
from aigc_kit.image.purchase import Purchases
from aigc_kit.image.request import (
    DEFAULT_SIZE,
    ImageRequest,
    check_prompt,
    checked_label,
)
from aigc_kit.image.watching import Watcher
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.renditions import Rendition
from aigc_kit.media.renditions import checked as checked_renditions
from aigc_kit.media.result import Access
from aigc_kit.registry import Registry
from aigc_kit.settings import Secret, for_factory, switch
from aigc_kit.storage.base import Storage, check_key
from aigc_kit.transport.addresses import origin
from aigc_kit.transport.download import Downloader

ENTRY_POINTS = "aigc_kit.image_providers"

ProviderFactory = Callable[..., ImageProvider]

registry = Registry(
    "image provider",
    ENTRY_POINTS,
    {
        "{name!r} chats but does not draw: use ChatClient({name!r})": (
            "aigc_kit.chat.client:provider_names"
        )
    },
)


_OPENAI = "aigc_kit.image.openai.provider"


def register_provider(name: str, provider: ProviderFactory, *, aliases: Iterable[str] = ()) -> None:
    """
    Make ``ImageClient(name)`` build this provider. A name that exists is replaced.

    Args:
        provider: a subclass of ``ImageProvider``, or a function that makes one from the client's
            provider options.
    """
    _ensure_registered()
    registry.add((name, *aliases), provider)


def _ensure_registered() -> None:
    """Fill the registry with the vendors of this package. Loads none of them."""
    registry.fill(
        [
            (
                ("volcengine", "doubao", "seedream", "ark"),
                "aigc_kit.image.volcengine.provider:VolcengineProvider",
            ),
            (("gemini", "google"), "aigc_kit.image.gemini.provider:GeminiImageProvider"),
            (
                ("dashscope", "qwen", "wan"),
                "aigc_kit.image.dashscope.provider:DashScopeProvider",
            ),
            (("openai",), f"{_OPENAI}:OpenAIImageProvider"),
            (("openai_compat",), f"{_OPENAI}:CompatImageProvider"),
            (("glm", "zhipu", "zai"), f"{_OPENAI}:GLMImageProvider"),
            (("siliconflow",), f"{_OPENAI}:SiliconFlowImageProvider"),
            (("openrouter",), f"{_OPENAI}:OpenRouterImageProvider"),
            (("xai",), f"{_OPENAI}:XAIImageProvider"),
            (("bfl", "flux"), "aigc_kit.image.bfl.provider:BFLProvider"),
        ]
    )


def provider_names() -> dict[str, list[str]]:
    """Every provider that draws, installed ones too: name -> aliases. Loads none of them."""
    _ensure_registered()
    return registry.families()


def _factory(name: str) -> ProviderFactory:
    _ensure_registered()
    factory: ProviderFactory = registry.load(name)
    return factory


def _made_by_name(name: str, options: dict[str, Any]) -> Any:
    factory = _factory(name)
    return factory(**for_factory(factory, options))


def _in_a_row(items: Sequence[Any], options: dict[str, Any]) -> Chain:
    """The chain of these names, (name, options) pairs and instances."""
    if not items:
        raise ConfigurationError("provider is an empty list: name at least one")
    entries: list[tuple[Any, dict[str, Any]]] = []
    for item in items:
        pair = isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[1], Mapping)
        entries.append((item[0], dict(item[1])) if pair else (item, {}))
    named = [place for place, (item, _) in enumerate(entries) if isinstance(item, str)]
    shared = shared_out(
        options,
        [_factory(entries[place][0]) for place in named],
        [_names_of(entries[place][0]) for place in named],
    )
    links: list[Link] = []
    for place, (item, own) in enumerate(entries):
        made = (
            _made_by_name(item, {**shared[named.index(place)], **own})
            if isinstance(item, str)
            else item
        )
        if not isinstance(made, ImageProvider):
            raise ConfigurationError(
                f"provider {place} must be a name or an ImageProvider, got {type(made).__name__}"
            )
        by_name = isinstance(item, str)
        links.append(
            Link(made, frozenset(_names_of(item) if by_name else {made.name}), owned=by_name)
        )
    return Chain(links)


def _names_of(name: str) -> set[str]:
    """The name and its aliases."""
    return registry.same_as(name.strip().lower())


class SeedreamOptions(TypedDict, total=False):
    """Options of ``ImageClient("volcengine")``; see ``VolcengineProvider``."""

    api_key: str | Secret | None
    base_url: str | None
    region: Literal["cn", "intl"] | None
    model: str | None
    timeout: float | None
    family: str | None
    watermark: bool
    size_policy: Literal["nearest", "exact"]
    max_retries: int
    inline_references: bool


class GeminiOptions(TypedDict, total=False):
    """Options of ``ImageClient("gemini")``; see ``GeminiImageProvider``."""

    model: str | None
    project: str | None
    location: str | None
    credentials: Any
    api_key: str | Secret | None
    base_url: str | None
    timeout: float | None
    vertexai: bool | None
    size_policy: Literal["nearest", "exact"]
    max_retries: int


class ImageClient(Client):
    """
    Images from one vendor or several, each with a URL.

    Shared by threads; close it, or use it as a context manager.
    """

    provider: ImageProvider | Chain
    _log_area = "image"

    @overload
    def __init__(
        self,
        provider: Literal["volcengine", "doubao", "seedream", "ark"],
        *,
        storage: Storage | None = None,
        storage_key_prefix: str = "aigc/images",
        keep_urls: bool = False,
        allow_private_hosts: bool = False,
        spool_dir: str | os.PathLike[str] | None = None,
        renditions: Sequence[Rendition] = (),
        download_proxy: str | None = None,
        label: ContentLabel | None = None,
        **provider_options: Unpack[SeedreamOptions],
    ) -> None: ...

    @overload
    def __init__(
        self,
        provider: Literal["gemini", "google"],
        *,
        storage: Storage | None = None,
        storage_key_prefix: str = "aigc/images",
        keep_urls: bool = False,
        allow_private_hosts: bool = False,
        spool_dir: str | os.PathLike[str] | None = None,
        renditions: Sequence[Rendition] = (),
        download_proxy: str | None = None,
        label: ContentLabel | None = None,
        **provider_options: Unpack[GeminiOptions],
    ) -> None: ...

    @overload
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
        download_proxy: str | None = None,
        label: ContentLabel | None = None,
        **provider_options: Any,
    ) -> None: ...

    @constructor
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
        download_proxy: str | None = None,
        label: ContentLabel | None = None,
        **provider_options: Any,
    ) -> None:
        """
        Args:
            provider: a name (``"volcengine"``, ``"gemini"``, an alias, a registered one), an
                instance, or a list of these (or of ``(name, options)``): the next is asked when the
                one before certainly charged nothing.
            storage: where images without a URL go.
            storage_key_prefix: keys are ``<prefix>/<SHA-256 of the bytes>.<type>``.
            keep_urls: store images that came with a URL too; a vendor's link dies after a day.
            allow_private_hosts: let reference and result images come from private addresses (an
                intranet).
            spool_dir: a directory for the journal, where paid bytes are until they have their URL;
                ``resume_spool`` finishes them after a crash. It may be shared by threads and
                processes of one machine.
            renditions: copies to store beside each image, ``[Rendition("thumb", side=512)]``; their
                URLs and sizes are in ``metadata["renditions"]`` by name. One that cannot be made is
                a warning.
            download_proxy: ``"http://host:port"`` for references and links; the machine's own
                proxies are not used for them.
            label: written into each image and each copy, ``ContentLabel(producer="...")``; a call may
                have its own. Images that come as a URL are fetched and stored for it.
            provider_options: see the provider's class. With a list, ``gemini={"model": ...}`` is
                for one of them.

        Raises:
            ConfigurationError: an unknown provider, a missing credential or an option that makes no
                sense.
            InvalidInputError: ``storage_key_prefix`` breaks the rules for keys.
        """
        if isinstance(storage, type):
            raise ConfigurationError(
                f"storage must be an object, got the class {storage.__name__}: write {storage.__name__}(...)"
            )
        if storage is not None and not callable(getattr(storage, "upload_bytes", None)):
            raise ConfigurationError(
                f"storage must be an aigc_kit.storage.Storage, got {type(storage).__name__}"
            )
        switch(keep_urls, "keep_urls")
        switch(allow_private_hosts, "allow_private_hosts")
        if keep_urls and storage is None:
            raise ConfigurationError("keep_urls=True stores images: pass storage too")
        if spool_dir is not None and storage is None:
            raise ConfigurationError(
                "spool_dir keeps images until the storage has them: pass storage too"
            )
        if renditions and storage is None:
            raise ConfigurationError("renditions are stored beside their image: pass storage too")
        self.storage = storage
        self.renditions = checked_renditions(renditions)
        self.storage_key_prefix = _checked_prefix(storage_key_prefix)
        self.keep_urls = keep_urls
        self._own_provider = isinstance(provider, (str, list, tuple))
        self.provider, self._chain = self._made(provider, provider_options)
        proxy = _checked_proxy(download_proxy)
        bases = tuple(getattr(storage, "public_bases", ()))
        vendors = _origins(self.provider.origins)
        guard: dict[str, Any] = {
            "allow_private_hosts": allow_private_hosts,
            "bases": bases,
            "proxy": proxy,
        }
        self._references = Downloader(**guard)
        access = Access(
            allow_private_hosts,
            vendors | _origins(getattr(storage, "origins", ())),
            proxy,
            tuple(getattr(storage, "roots", ())),
        )
        delivery = Delivery(
            storage,
            self.storage_key_prefix,
            keep_urls=keep_urls,
            renditions=self.renditions,
            label=checked_label(label),
            downloader=Downloader(trusted=vendors, **guard),
            access=access,
        )
        self._journal = None if spool_dir is None else Journal(spool_dir)
        self._purchases = Purchases(self._chain, self._journal, delivery)
        if self._own_provider:
            self._chain.use_downloader(self._references)
        self._closed = False

    def _described(self) -> str:
        return f"ImageClient({self.provider.name!r}, storage={self.storage!r})"

    def _made(self, provider: Any, options: dict[str, Any]) -> tuple[ImageProvider | Chain, Chain]:
        if isinstance(provider, (list, tuple)):
            chain = _in_a_row(provider, options)
            return chain, chain
        if isinstance(provider, str):
            made: Any = _made_by_name(provider, options)
        elif options:
            raise ConfigurationError(
                f"a provider instance has its options already: {', '.join(map(repr, options))} are for a name"
            )
        else:
            made = provider
        if not isinstance(made, ImageProvider):
            raise ConfigurationError(
                f"provider must be a name or an ImageProvider, got {type(made).__name__}"
            )
        return made, Chain([Link(made, owned=self._own_provider)])

    @public
    def text_to_image(
        self, prompt: str, *, size: str = "1024x1024", **options: Unpack[CallOptions]
    ) -> ImageResult:
        """
        One image from a text.

        Args:
            prompt: what to draw.
            size: ``"WIDTHxHEIGHT"`` in pixels, a ratio ``"16:9"`` or a tier ``"2K"``.
            options: the vendor's own fields, and for this call ``timeout`` (seconds),
                ``max_retries``, ``model``; ``idempotency_key``: a text of yours; the same key gives
                the stored image again instead of a second payment (needs ``storage``).
                ``retry_ambiguous=True``: ask again even when the first request may have run.

        Raises:
            ConfigurationError, InvalidInputError: nothing was sent.
            ProviderError: the vendor failed; ``billed`` tells whether it costs.
            StorageError: the image is paid and in ``error.result``; ``store`` finishes it.
        """
        return self._made_one(self._request(prompt, size, None, 1, options))

    @public
    def image_to_image(
        self,
        prompt: str,
        *,
        reference_images: Any = None,
        size: str = "1024x1024",
        **options: Unpack[CallOptions],
    ) -> ImageResult:
        """
        One image from a text and reference images.

        Args:
            reference_images: one or a list of http(s) URL, ``data:`` URI, bytes, ``pathlib.Path``,
                PIL image, ``ImageResult``.

        Raises:
            ReferenceImageError: a reference cannot be used; nothing was sent.
            ConfigurationError, InvalidInputError, ProviderError, StorageError: see
            ``text_to_image``.
        """
        rest = dict(options)
        check_prompt(prompt)
        given = given_references(reference_images, rest, "image_to_image")
        return self._made_one(self._request(prompt, size, given, 1, rest))

    @public
    def edit(self, image: ImageResult, prompt: str, /, **options: Any) -> ImageResult:
        """
        Another image, made from an earlier result of any client.

        Where the first provider is the one that made it, and can go on with a conversation (Gemini),
        it does; otherwise the image is the reference.

        Args:
            options: those of ``image_to_image``; ``size`` is the image's where it is unset.

        Raises:
            InvalidInputError: ``image`` is not an ``ImageResult``, or other references are given.
            AIGCError: see ``image_to_image``.
        """
        if not isinstance(image, ImageResult):
            raise InvalidInputError(f"image must be an ImageResult, got {type(image).__name__}")
        if "reference_images" in options:
            raise InvalidInputError(
                "edit has one reference, the image itself: several go to image_to_image"
            )
        size = options.pop("size", None) or image.metadata.get("requested_size") or DEFAULT_SIZE
        request = self._request(prompt, size, [image], 1, options)
        return self._made_one(replace(request, previous=image))

    @public
    def text_to_images(
        self, prompt: str, *, n: int, size: str = "1024x1024", **options: Unpack[CallOptions]
    ) -> ImageGroup:
        """
        Up to ``n`` images: one request where the vendor makes groups, else one request each.

        What came is in ``images``, what failed in ``errors``, each with its ``index``; an image
        whose upload failed is in the ``result`` of its ``StorageError``. More may come than were
        asked for: all are in ``images``. ``timeout`` is for all of them together; without it each
        request has the client's.

        Raises:
            AIGCError: see ``text_to_image``; a ``ProviderError`` only when not a single image came.
        """
        return self._group(self._request(prompt, size, None, n, options))

    @public
    def image_to_images(
        self,
        prompt: str,
        *,
        reference_images: Any = None,
        n: int,
        size: str = "1024x1024",
        **options: Unpack[CallOptions],
    ) -> ImageGroup:
        """Like ``text_to_images``, with reference images."""
        rest = dict(options)
        check_prompt(prompt)
        given = given_references(reference_images, rest, "image_to_images")
        return self._group(self._request(prompt, size, given, n, rest))

    @public
    def recall(
        self,
        key: str,
        prompt: str,
        /,
        *,
        reference_images: Any = None,
        size: str = "1024x1024",
        **options: Unpack[CallOptions],
    ) -> ImageResult | None:
        """
        The image that was bought with this idempotency key before, stored now where it was not;
        None when nothing is known of the key. Never pays.

        Args:
            key: the ``idempotency_key`` of the call that bought it.
            prompt: this and the rest as in that call.

        Raises:
            OutcomeUnknownError: the vendor was asked, and no response was recorded.
            IdempotencyConflictError: the key belongs to another request.
            StorageError: the look-up failed, or the paid image could not be stored again.
        """
        given = {**options, "idempotency_key": key, "retry_ambiguous": False}
        group = self._purchases.recall(self._request(prompt, size, reference_images, 1, given))
        return None if group is None else self._owned(first_of(group))

    @public
    def store(self, result: ImageResult) -> ImageResult:
        """
        Finish what a failed upload left: give a paid image its address. Never asks the vendor for
        another one.

        A result that already lies in the store comes back as it is, with the renditions that it
        lacked where its bytes are here (``result.download()`` brings them).

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
            raise InvalidInputError("the result has neither bytes nor a URL to store")
        if (
            result.metadata.get("storage_key")
            and result.url
            and result.url != result.metadata.get("source_url")
        ):
            if result.has_base64:
                self._purchases.delivery.add_renditions(result)
            return self._owned(result)
        return self._owned(self._purchases.store(result))

    @public
    def resume_spool(self, *, forget: bool = False) -> ImageGroup:
        """
        Finish what a crash left in ``spool_dir``: images that were paid for and have no address
        yet. Never pays.

        Orders that another thread or process works on are left to it. ``images``: those that have
        their address now;
        ``errors``: a ``StorageError`` for each that failed again, and an ``OutcomeUnknownError``
        for each payment whose outcome is unknown, because a process died or no answer came: it
        may have been billed.

        Args:
            forget: such payments are told once by themselves, but those with an ``idempotency_key``
                each time, and the key is not paid for again; True forgets these too.

        Raises:
            ConfigurationError: the client has no ``spool_dir``.
        """
        switch(forget, "forget")
        if self._journal is None:
            raise ConfigurationError("resume_spool needs a client with spool_dir")
        return self._told(self._purchases.resume(forget=forget))

    def completed(self, error: AIGCError) -> AIGCError:
        """
        The error with the provider's and the model's name where it lacks them and there is one
        provider alone.
        """
        if len(self._chain.links) > 1:
            return error
        return super().completed(error)

    def _release(self) -> None:
        super()._release()
        self._references.close()
        self._purchases.delivery.close()

    def _request(
        self, prompt: Any, size: Any, references: Any, n: Any, options: Mapping[str, Any]
    ) -> ImageRequest:
        watched = options.get("on_image")
        if watched is not None:
            options = {**options, "on_image": Watcher(watched, self._owned)}
        return ImageRequest.checked(
            prompt,
            size=size,
            reference_images=references,
            n=n,
            options=options,
            fields=self._chain.fields,
        )

    def _made_one(self, request: ImageRequest) -> ImageResult:
        return self._owned(first_of(self._purchases.buy(request)))

    def _owned(self, image: ImageResult) -> ImageResult:
        """The image, which this client edits."""
        image.made_by(self)
        return image

    def _group(self, request: ImageRequest) -> ImageGroup:
        return self._told(self._purchases.buy_group(request))

    def _told(self, group: ImageGroup) -> ImageGroup:
        for error in group.errors:
            self.completed(error)
        for image in group.images:
            self._owned(image)
        return group


def _checked_prefix(prefix: Any) -> str:
    if not isinstance(prefix, str):
        raise InvalidInputError(f"storage_key_prefix must be a str, got {type(prefix).__name__}")
    trimmed = prefix.removesuffix("/")
    if trimmed:
        check_key(f"{trimmed}/{'0' * 64}.{'n' * 40}.webp")
    return trimmed


def _checked_proxy(proxy: Any) -> str:
    if proxy is None:
        return ""
    if not isinstance(proxy, str) or origin(proxy) is None:
        raise ConfigurationError(
            "download_proxy must be a URL like 'http://proxy.example.com:3128'"
        )
    return proxy


def _origins(urls: Iterable[str]) -> frozenset[tuple[str, int]]:
    return frozenset(found for found in map(origin, urls) if found)
