"""What an image provider is, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aigc_kit import errors
from aigc_kit.errors import AIGCError, UnsupportedFeatureError
from aigc_kit.image.options import Fields
from aigc_kit.image.request import DEFAULT_SIZE, ImageRequest, addressed
from aigc_kit.media import sniff
from aigc_kit.media.result import ImageResult as ImageResult
from aigc_kit.settings import revealed

if TYPE_CHECKING:
    from aigc_kit.transport.download import Downloader

TASK_RUNNING, TASK_UNKNOWN, TASK_ELSEWHERE = "TaskRunning", "TaskUnknown", "TaskElsewhere"
"""``OutcomeUnknownError.code`` of a task: it goes on; the vendor does not know it."""


@dataclass
class ImageGroup:
    """
    Images that were asked for together. ``images``: in order; ``errors``: one for each that failed.

    An error's ``index`` is its place among those that were asked for, from 0.
    """

    images: list[ImageResult] = field(default_factory=list[ImageResult])
    errors: list[AIGCError] = field(default_factory=list[AIGCError])

    def _repr_html_(self) -> str:
        """In a notebook: the images beside each other, and what failed."""
        from aigc_kit.media.notebook import group_html

        return group_html(self.images, self.errors)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageResult]:
        return iter(self.images)

    def __getitem__(self, place: int) -> ImageResult:
        return self.images[place]


class ImageProvider(ABC):
    """
    One vendor's dialect. Subclass it to add a vendor; ``ImageClient`` does storage, checks and
    warnings around it.

    Methods are called from several threads. Options that the signature does not name arrive in
    ``kwargs``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The registry's name."""

    @abstractmethod
    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **kwargs: Any) -> ImageResult:
        """An image from a text."""

    @abstractmethod
    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **kwargs: Any
    ) -> ImageResult:
        """An image from a text and reference images (see ``aigc_kit.image.references``)."""

    def makes_groups(self, **kwargs: Any) -> bool:
        """
        Whether one request of these options can give several images; then ``image_group`` makes it.
        """
        return False

    def image_group(
        self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any
    ) -> ImageGroup:
        """
        Up to ``n`` images of one request; only asked of a provider whose ``makes_groups`` says so.

        Raises:
            UnsupportedFeatureError: it makes one image a request; nothing was sent.
        """
        raise UnsupportedFeatureError(f"{self.name} makes one image a request")

    @property
    def origins(self) -> tuple[str, ...]:
        """
        Addresses the user named (``base_url``): images may be fetched from there without a guard.
        """
        return ()

    def use_downloader(self, downloader: Downloader) -> None:  # noqa: B027 - only who fetches needs it
        """Fetch references with this one, which knows what the user allows."""

    def close(self) -> None:  # noqa: B027 - a provider may have nothing to close
        """Give connections back."""


class NoGroupError(UnsupportedFeatureError):
    """Whoever would make the group makes one image per request: ask for them one by one."""


class VendorProvider(ImageProvider):
    """
    A vendor of this package: one method from a checked request to everything that came.

    ``fields``: the vendor's own names for options of a call.
    """

    fields: frozenset[str] = frozenset()
    takes_mask: bool = False
    """Whether a request with ``mask`` can be made."""

    @abstractmethod
    def generate(self, request: ImageRequest) -> ImageGroup:
        """
        One request. Errors of a part have their place in ``index``; the images take the places that
        are left, in order.

        Raises:
            AIGCError: nothing came; ``billed`` tells whether it costs.
        """

    def text_to_image(self, prompt: str, *, size: str = DEFAULT_SIZE, **kwargs: Any) -> ImageResult:
        return first_of(self.generate(self._request(prompt, size, None, kwargs)))

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = DEFAULT_SIZE, **kwargs: Any
    ) -> ImageResult:
        return first_of(self.generate(self._request(prompt, size, reference_images, kwargs)))

    def image_group(
        self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any
    ) -> ImageGroup:
        return self.generate(self._request(prompt, size, reference_images, kwargs, n))

    def _request(
        self, prompt: str, size: str, references: Any, options: dict[str, Any], n: int = 1
    ) -> ImageRequest:
        known = Fields(self.fields, open=False)
        request = ImageRequest.checked(
            prompt,
            size=size,
            reference_images=references,
            n=n,
            options=options,
            fields=known,
        )
        check_mask(self, request)
        return addressed(request, frozenset(), frozenset(), known)


def check_mask(provider: ImageProvider, request: ImageRequest) -> None:
    """
    Raises:
        UnsupportedFeatureError: the request has a mask, and the vendor has none. Nothing was sent.
    """
    if request.mask is None or not isinstance(provider, VendorProvider) or provider.takes_mask:
        return
    raise UnsupportedFeatureError(
        f"mask: {provider.name} takes none; say in the prompt which part is to change, or use a"
        " provider with masks such as 'openai'"
    )


def generated(provider: ImageProvider, request: ImageRequest) -> ImageGroup:
    """
    Ask a provider: one of this package, or an application's own through its two public methods.

    Raises:
        NoGroupError: ``request`` is for several, and the provider makes one per request.
        Exception: whatever an application's provider raises.
    """
    options = request.kwargs()
    if request.n > 1 and not provider.makes_groups(**options):
        raise NoGroupError(f"{provider.name} makes one image per request")
    if isinstance(provider, VendorProvider) and not _is_overridden(provider):
        return provider.generate(request)
    options = revealed(options)
    if request.n > 1:
        return provider.image_group(
            request.prompt,
            n=request.n,
            size=request.size,
            reference_images=request.reference_images,
            **options,
        )
    made: Any
    if request.reference_images is None:
        made = provider.text_to_image(request.prompt, size=request.size, **options)
    else:
        made = provider.image_to_image(
            request.prompt,
            reference_images=request.reference_images,
            size=request.size,
            **options,
        )
    return ImageGroup(_images_in(made) or [made])


def _images_in(made: Any) -> list[ImageResult]:
    """
    What an application's provider returned, as images: it is paid for, so that a list, a group or
    bytes will do. Empty where there are none.
    """
    if isinstance(made, (bytes, bytearray, memoryview)):
        data = bytes(made)
        return [ImageResult.from_bytes(data)] if sniff.mime_type(data) else []
    if isinstance(made, ImageResult):
        if not isinstance(made.url, str):
            made.url = ""
        made.metadata = dict(made.metadata) if isinstance(made.metadata, Mapping) else {}
        if not isinstance(made.metadata.get("warnings", []), list):
            del made.metadata["warnings"]
        return [made]
    if isinstance(made, (list, tuple, ImageGroup)):
        return [image for each in made for image in _images_in(each)]
    return []


def _is_overridden(provider: VendorProvider) -> bool:
    """Whether an application's subclass does something of its own in the public methods."""
    public = ("text_to_image", "image_to_image")
    if any(name in vars(provider) for name in public):
        return True
    for kind in type(provider).__mro__:
        if "generate" in vars(kind):
            return False
        if any(name in vars(kind) for name in public):
            return True
    return False


def places_of(group: ImageGroup) -> list[int]:
    """
    The place of each image among those that were asked for: those that no error has, in order.
    """
    taken = {error.index for error in group.errors}
    free = (
        place
        for place in range(
            len(group.images) + len(taken) + max((i or 0 for i in taken), default=0) + 1
        )
        if place not in taken
    )
    return [next(free) for _ in group.images]


def first_of(group: ImageGroup) -> ImageResult:
    """
    The first image of a group that was asked for as one; the others stay in its metadata.

    Raises:
        AIGCError: the first image did not come, or could not be stored; ``result`` has what was
            paid for.
    """
    lost = [error for error in group.errors if not error.index]
    unstored = [error.result for error in group.errors if isinstance(error.result, ImageResult)]
    if lost and (not group.images or lost[0].result is not None):
        _accompany(lost[0].result, [*group.images, *unstored], group)
        raise lost[0]
    if not group.images:
        raise group.errors[0]
    first, *more = group.images
    _accompany(first, [*more, *unstored], group)
    return first


def _accompany(first: Any, others: list[ImageResult], group: ImageGroup) -> None:
    others = [other for other in others if other is not first]
    unread = [error for error in group.errors if error.result is None]
    if not isinstance(first, ImageResult) or not (others or unread):
        return
    first.metadata["others"] = [as_json(other) for other in others]
    if unread:
        first.metadata["errors"] = [f"{type(error).__name__}: {error}" for error in unread]
    warn(
        first,
        "group",
        f"{len(others) + 1} images and {len(unread)} errors came; this is the first, the rest is in"
        " metadata['others']. text_to_images and image_to_images give all of them",
    )


def warn(result: Any, feature: str, details: str) -> None:
    """Say so in the result's ``warnings``, once."""
    entry = {"feature": feature, "details": details}
    if isinstance(result, ImageResult) and entry not in result.metadata.setdefault("warnings", []):
        result.metadata["warnings"].append(entry)


def as_json(result: ImageResult) -> dict[str, Any]:
    """An image as an entry of another one's ``metadata["others"]``."""
    entry: dict[str, Any] = {"url": result.url, "mime_type": result.mime_type}
    if result.has_base64:
        entry["base64"] = result.base64
    return {
        **entry,
        **{
            name: result.metadata[name]
            for name in ("width", "height", "expires_at", "layer")
            if name in result.metadata
        },
    }


def next_may_succeed(error: AIGCError) -> bool:
    """Whether the same request may fare better, seen from the one before it."""
    hopeless = (
        errors.ConfigurationError,
        errors.InvalidInputError,
        errors.AuthenticationError,
        errors.PermissionDeniedError,
        errors.NotFoundError,
        errors.QuotaExceededError,
        errors.BadRequestError,
        errors.ConnectionFailedError,
    )
    return not isinstance(error, hopeless)
