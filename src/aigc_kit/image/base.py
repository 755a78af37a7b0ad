"""What a picture provider is, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aigc_kit import errors
from aigc_kit.errors import AIGCError, UnsupportedFeatureError
from aigc_kit.media.result import ImageResult as ImageResult

if TYPE_CHECKING:
    from aigc_kit.transport.download import Downloader


@dataclass
class ImageGroup:
    """Pictures of one request. ``images``: what came, in order; ``errors``: what did not, each with ``.index``."""

    images: list[ImageResult] = field(default_factory=list[ImageResult])
    errors: list[AIGCError] = field(default_factory=list[AIGCError])

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageResult]:
        return iter(self.images)

    def __getitem__(self, place: int) -> ImageResult:
        return self.images[place]


class ImageProvider(ABC):
    """
    One vendor's dialect. Subclass it to add a vendor; ``ImageClient`` does storage, checks and warnings around it.

    Methods are called from several threads. Options that the signature does not name arrive in ``kwargs``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The registry's name."""

    @abstractmethod
    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **kwargs: Any) -> ImageResult:
        """A picture from a text."""

    @abstractmethod
    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **kwargs: Any
    ) -> ImageResult:
        """A picture from a text and reference pictures (see ``aigc_kit.image.references``)."""

    def makes_groups(self, **kwargs: Any) -> bool:
        """Whether one request of these options can give several pictures; then ``image_group`` makes it."""
        return False

    def image_group(self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any) -> ImageGroup:
        """Up to ``n`` pictures of one request; only asked of a provider whose ``makes_groups`` says so."""
        raise UnsupportedFeatureError(f"{self.name} makes one picture a request")

    @property
    def origins(self) -> tuple[str, ...]:
        """Addresses the user named (``base_url``): pictures may be fetched from there without a guard."""
        return ()

    def use_downloader(self, downloader: Downloader) -> None:  # noqa: B027 - only who fetches needs it
        """Fetch references with this one, which knows what the user allows."""

    def close(self) -> None:  # noqa: B027 - a provider may have nothing to close
        """Give connections back."""


class NoGroupError(UnsupportedFeatureError):
    """Whoever would make the group makes one picture a request: ask for them one by one."""


def only_picture(group: ImageGroup) -> ImageResult:
    """The first picture of a reply to a request for one; others that came with it stay in its metadata."""
    if not group.images:
        raise group.errors[0]
    first, *more = group.images
    if more or group.errors:
        first.__dict__["_others"] = more
        first.metadata["others"] = [as_json(picture) for picture in more]
        first.metadata["warnings"].append(
            {
                "feature": "group",
                "details": f"{len(group.images)} pictures and {len(group.errors)} errors came; this is the first, the"
                " rest is in metadata['others']. Use text_to_images or image_to_images for all of them",
            }
        )
        if group.errors:
            first.metadata["errors"] = [f"{type(error).__name__}: {error}" for error in group.errors]
    return first


def warn(result: Any, feature: str, details: str) -> None:
    """Say so in the result's ``warnings``, once."""
    entry = {"feature": feature, "details": details}
    if isinstance(result, ImageResult) and entry not in result.metadata.setdefault("warnings", []):
        result.metadata["warnings"].append(entry)


def as_json(picture: ImageResult) -> dict[str, Any]:
    """A picture as an entry of another one's ``metadata["others"]``."""
    entry: dict[str, Any] = {"url": picture.url, "mime_type": picture.mime_type}
    if picture.has_base64:
        entry["base64"] = picture.base64
    return {**entry, **{name: picture.metadata[name] for name in ("width", "height", "expires_at", "layer")
                        if name in picture.metadata}}  # fmt: skip


def next_may_succeed(error: AIGCError) -> bool:
    """Whether the same request may fare better, seen from the one before it."""
    hopeless = (
        errors.ConfigurationError, errors.InvalidInputError, errors.AuthenticationError, errors.PermissionDeniedError, errors.NotFoundError,
        errors.QuotaExceededError, errors.BadRequestError, errors.ConnectionFailedError,
    )  # fmt: skip
    return not isinstance(error, hopeless)
