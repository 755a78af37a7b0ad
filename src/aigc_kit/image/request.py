"""``ImageRequest``: what an application asks for, checked once and passed down unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aigc_kit import settings
from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.image.fingerprint import digest, identity
from aigc_kit.image.options import Fields, check_names, drop_n
from aigc_kit.image.watching import Watcher
from aigc_kit.media.labels.label import ContentLabel
from aigc_kit.media.result import ImageResult
from aigc_kit.settings import spelled

DEFAULT_SIZE = "1024x1024"
"""EXIF's tag."""


@dataclass(frozen=True)
class ImageRequest:
    """
    One request for ``n`` images.

    ``reference_images``: as the application gave them, None for an image from text alone.
    ``options``: fields of the vendor and per-call options that a dialect reads. ``timeout``,
    ``max_retries`` and ``model`` are None where the provider's own hold. ``place``: of its first
    image among those that were asked for. ``mask``: as the application gave it. ``on_image``: told
    of images as they come. ``previous``: the only reference, when it is to be edited in a
    conversation. ``on_receipt``: told of what collects the images of a task, before anybody waits
    for it.
    """

    prompt: str
    size: str = DEFAULT_SIZE
    reference_images: Any = None
    n: int = 1
    model: str | None = None
    timeout: float | None = None
    max_retries: int | None = None
    retry_ambiguous: bool = False
    idempotency_key: str | None = None
    place: int = 0
    mask: Any = None
    label: ContentLabel | None = None
    on_image: Watcher | None = field(default=None, compare=False)
    previous: ImageResult | None = field(default=None, compare=False)
    on_receipt: Callable[[dict[str, Any]], None] | None = field(default=None, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def checked(
        cls,
        prompt: Any,
        *,
        size: Any = DEFAULT_SIZE,
        reference_images: Any = None,
        n: Any = 1,
        options: Mapping[str, Any],
        fields: Fields | None = None,
    ) -> ImageRequest:
        """
        Args:
            fields: what the providers take beside our own options.

        Raises:
            InvalidInputError, ConfigurationError: something in it cannot be meant.
        """
        check_prompt(prompt)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
            raise InvalidInputError(f"n must be a whole number from 1 to 100, got {spelled(n)}")
        if not isinstance(size, str):
            raise InvalidInputError(
                f"size must be a str like '1024x1024', got {type(size).__name__}"
            )
        known = fields or Fields()
        rest = dict(options)
        mask, on_image = rest.pop("mask", None), rest.pop("on_image", None)
        label = checked_label(rest.pop("label", None))
        if mask is not None and reference_images is None:
            raise InvalidInputError(
                "mask says which part of a reference image changes: pass it to image_to_image"
            )
        if on_image is not None and not isinstance(on_image, Watcher):
            on_image = Watcher(on_image)
        drop_n(rest, known)
        check_names(rest, known)
        for name in known.vendors & rest.keys():
            if isinstance(rest[name], Mapping):
                check_names(rest[name], known, inside=name)
        if isinstance(reference_images, Iterator) and not hasattr(reference_images, "read"):
            reference_images = list(reference_images)
        key = rest.pop("idempotency_key", None)
        if key is not None and (not isinstance(key, str) or not key.strip()):
            raise InvalidInputError(
                f"idempotency_key must be a text that is not blank, got {spelled(key)}"
            )
        return cls(
            prompt,
            size,
            reference_images,
            n,
            idempotency_key=_encodable(key),
            mask=mask,
            label=label,
            on_image=on_image,
            **_terms(rest),
            options=rest,
        )

    def kwargs(self) -> dict[str, Any]:
        """The options as an application's provider gets them."""
        terms = {"model": self.model, "timeout": self.timeout, "max_retries": self.max_retries}
        given = {name: value for name, value in terms.items() if value is not None}
        if self.retry_ambiguous:
            given["retry_ambiguous"] = True
        if self.mask is not None:
            given["mask"] = self.mask
        return {**self.options, **given}

    def within(self, timeout: float | None) -> ImageRequest:
        """The same, with this many seconds left."""
        return self if timeout is None else replace(self, timeout=max(timeout, 0.001))

    def one(self, place: int) -> ImageRequest:
        """A request for one of the images."""
        return replace(self, n=1, place=place)

    def fingerprint(
        self, asked: Iterable[tuple[str, str]], n: int, label: ContentLabel | None = None
    ) -> dict[str, str]:
        """
        What tells this request from another one: a digest of each part. It holds none of them.

        Args:
            asked: (provider, model) of everybody who may be asked.
            n: how many images were asked for together.
            label: that the images get.
        """
        options = {
            name: value
            for name, value in self.options.items()
            if name not in ("extra_headers", "on_progress")
        }
        parts: dict[str, Any] = {
            "prompt": self.prompt,
            "size": self.size,
            "model": list(asked),
            "options": options,
        }
        if self.reference_images is not None:
            parts["reference_images"] = identity(self.reference_images)
        if self.mask is not None:
            parts["mask"] = identity(self.mask)
        if n > 1:
            parts["n"] = n
        if label is not None:
            parts["label"] = [
                label.producer,
                label.text,
                label.corner,
                label.kind,
                label.propagator,
            ]
        return {name: digest(value) for name, value in parts.items()}


def checked_label(label: Any) -> ContentLabel | None:
    """
    Raises:
        ConfigurationError: it is not a label, or cannot be drawn on this machine.
    """
    if label is None:
        return None
    if not isinstance(label, ContentLabel):
        raise ConfigurationError(
            f"label must be a ContentLabel(producer='...'), got {spelled(label)}"
        )
    if label.text:
        from aigc_kit.media.labels.mark import check_font

        check_font()
    return label


def _terms(rest: dict[str, Any]) -> dict[str, Any]:
    """The options that mean the same for every vendor, taken out of ``rest``."""
    timeout, retries, model = (
        rest.pop("timeout", None),
        rest.pop("max_retries", None),
        rest.pop("model", None),
    )
    if model is not None and (not isinstance(model, str) or model.isspace()):
        raise InvalidInputError(f"model must be the name of one, got {spelled(model)}")
    if timeout is not None:
        timeout = settings.seconds(timeout, default=0)
    if retries is not None:
        retries = settings.whole_number(retries, name="max_retries")
    return {
        "timeout": timeout,
        "max_retries": retries,
        "model": model or None,
        "retry_ambiguous": settings.switch(rest.pop("retry_ambiguous", False), "retry_ambiguous"),
    }


def addressed(
    request: ImageRequest, everyone: frozenset[str], own_names: frozenset[str], fields: Fields
) -> ImageRequest:
    """
    The request as one of several vendors gets it: the common options, and those under its own name.

    Raises:
        ConfigurationError: options that are not a dict, or make no sense.
    """
    options = {name: value for name, value in request.options.items() if name not in everyone}
    own: dict[str, Any] = {}
    for name in own_names:
        given = request.options.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise ConfigurationError(
                f"{name} must be a dict of options for {name}, got {type(given).__name__}"
            )
        own |= given
    if "idempotency_key" in own:
        raise ConfigurationError(
            "idempotency_key is for the whole call: pass it beside the vendors' options"
        )
    terms = {name: value for name, value in _terms(own).items() if value}
    options |= own
    size = _size_of(options, request.size, fields)
    return replace(request, size=size, options=options, **terms)


def _size_of(options: dict[str, Any], size: str, fields: Fields) -> str:
    """
    ``aspect_ratio``, which other libraries have, as the size of a vendor without such a field.
    """
    ratio = options.get("aspect_ratio")
    if ratio is None or fields.open or "aspect_ratio" in fields.names:
        return size
    if size not in (DEFAULT_SIZE, ratio):
        raise InvalidInputError(
            f"size={size!r} and aspect_ratio={spelled(ratio)} contradict each other: pass size alone"
        )
    del options["aspect_ratio"]
    if not isinstance(ratio, str):
        raise InvalidInputError(f"aspect_ratio must be a str like '16:9', got {spelled(ratio)}")
    return ratio


def check_prompt(prompt: Any) -> None:
    """
    Raises:
        InvalidInputError: not a text, blank, or not valid Unicode.
    """
    if not isinstance(prompt, str):
        raise InvalidInputError(f"prompt must be a str, got {type(prompt).__name__}")
    if not prompt.strip():
        raise InvalidInputError(f"prompt must say something, got {prompt[:20]!r}")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"prompt is not valid Unicode: a lone surrogate {prompt[error.start]!r} at {error.start}"
        ) from None


def _encodable(key: str | None) -> str | None:
    if key is not None:
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(
                f"idempotency_key must be valid Unicode, got {spelled(key)}"
            ) from None
    return key
