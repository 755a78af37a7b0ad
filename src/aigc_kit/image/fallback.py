"""Several vendors in a row: the next is asked only when the one before surely sent no bill."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aigc_kit.errors import AIGCError, ConfigurationError
from aigc_kit.image.base import ImageGroup, ImageProvider, ImageResult, NoGroupError
from aigc_kit.transport.download import Downloader
from aigc_kit.transport.policy import surely_unbilled

SHARED = frozenset({"timeout", "max_retries", "size_policy", "retry_ambiguous"})
"""Options that mean the same for every vendor and go to each that knows them."""


class Fallback(ImageProvider):
    """
    Providers in the order in which they are asked.

    Size and references are mapped anew for each. A result's ``metadata["attempts"]`` tells who was asked and what came of it;
    so does ``error.attempts``. ``timeout`` of a call is for all of them together.
    """

    def __init__(
        self, providers: Sequence[ImageProvider], names: Sequence[Collection[str]], owned: Sequence[bool]
    ) -> None:
        """
        Args:
            names: under which a call's options may address each provider.
            owned: whether to close it, and let it fetch with our downloader.
        """
        self.providers = list(providers)
        self._names = [frozenset(known) for known in names]
        self._owned = list(owned)

    @property
    def name(self) -> str:
        return self.providers[0].name

    @property
    def model(self) -> str:
        return str(getattr(self.providers[0], "model", "") or "")

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(address for provider in self.providers for address in provider.origins)

    def text_to_image(self, prompt: str, *, size: str = "1024x1024", **kwargs: Any) -> ImageResult:
        def ask(provider: ImageProvider, options: dict[str, Any]) -> ImageGroup:
            return ImageGroup([provider.text_to_image(prompt, size=size, **options)])

        return self._first(ask, kwargs).images[0]

    def image_to_image(
        self, prompt: str, *, reference_images: Any, size: str = "1024x1024", **kwargs: Any
    ) -> ImageResult:
        def ask(provider: ImageProvider, options: dict[str, Any]) -> ImageGroup:
            return ImageGroup(
                [provider.image_to_image(prompt, reference_images=reference_images, size=size, **options)]
            )

        return self._first(ask, kwargs).images[0]

    def makes_groups(self, **kwargs: Any) -> bool:
        return self.providers[0].makes_groups(**self._options(0, kwargs))

    def image_group(self, prompt: str, *, n: int, size: str, reference_images: Any = None, **kwargs: Any) -> ImageGroup:
        """
        A group of the first that delivers one.

        Raises:
            NoGroupError: it is the turn of a vendor that makes none.
        """

        def ask(provider: ImageProvider, options: dict[str, Any]) -> ImageGroup:
            if not provider.makes_groups(**options):
                raise NoGroupError(f"{provider.name} makes one picture a request")
            return provider.image_group(prompt, n=n, size=size, reference_images=reference_images, **options)

        return self._first(ask, kwargs)

    def use_downloader(self, downloader: Downloader) -> None:
        for provider, own in zip(self.providers, self._owned, strict=True):
            if own:
                provider.use_downloader(downloader)

    def close(self) -> None:
        for provider, own in zip(self.providers, self._owned, strict=True):
            if own:
                provider.close()

    def _first(self, ask: Callable[[ImageProvider, dict[str, Any]], ImageGroup], given: dict[str, Any]) -> ImageGroup:
        prepared = [self._options(place, given) for place in range(len(self.providers))]
        attempts: list[dict[str, Any]] = []
        started = time.monotonic()
        for place, (provider, options) in enumerate(zip(self.providers, prepared, strict=True)):
            timeout = options.get("timeout")
            limit = float(timeout) if isinstance(timeout, (int, float)) and timeout > 0 else float("inf")
            if place and limit != float("inf"):
                options["timeout"] = max(limit - (time.monotonic() - started), 0.001)
            try:
                group = ask(provider, options)
            except NoGroupError:
                raise
            except AIGCError as error:
                error.provider = error.provider or provider.name
                attempts.append(_attempt(error, str(options.get("model") or getattr(provider, "model", "") or "")))
                late = time.monotonic() - started >= limit
                if place + 1 == len(self.providers) or late or not surely_unbilled(error):
                    error.attempts = attempts
                    raise
                continue
            for result in group.images:
                if isinstance(result, ImageResult):
                    _tell(result, attempts)
            return group
        raise AssertionError("a fallback has providers")

    def _options(self, place: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """What this provider gets: the common options, and those under its own name."""
        everyone = frozenset[str]().union(*self._names)
        if given.get("model") is not None:
            raise ConfigurationError(
                f"model={given['model']!r} is for one vendor: say whose, e.g. {self.name}={{'model': {given['model']!r}}}"
            )
        options = {name: value for name, value in given.items() if name not in everyone}
        for name in self._names[place]:
            own = given.get(name)
            if own is not None:
                if not isinstance(own, Mapping):
                    raise ConfigurationError(f"{name} must be a dict of options for {name}, got {type(own).__name__}")
                options |= own
        return options


def _attempt(error: AIGCError, model: str) -> dict[str, Any]:
    return {
        "provider": error.provider, "model": error.model or model, "requests": error.tries,
        "outcome": type(error).__name__, "billed": getattr(error, "billed", "no"),
        "status_code": getattr(error, "status_code", None),
    }  # fmt: skip


def _tell(result: ImageResult, attempts: list[dict[str, Any]]) -> None:
    result.metadata["attempts"] = [*attempts, *result.metadata.get("attempts", [])]
    for entry in attempts:
        details = f"{entry['provider']} was asked first and answered with {entry['outcome']}; it sent no bill"
        result.metadata.setdefault("warnings", []).append({"feature": "fallback", "details": details})


def shared_out(
    given: Mapping[str, Any], factories: Sequence[Callable[..., Any]], names: Sequence[Collection[str]]
) -> list[dict[str, Any]]:
    """
    A client's options, shared out among its providers.

    Those under a provider's name are its own; of the others each goes to the one provider that knows it, or to all that know
    it when it means the same for every vendor.

    Raises:
        ConfigurationError: an option that nobody knows, or that more than one would understand differently.
    """
    options: list[dict[str, Any]] = [{} for _ in factories]
    for name, value in given.items():
        owners = [place for place, known in enumerate(names) if name in known]
        if owners:
            if not isinstance(value, Mapping):
                raise ConfigurationError(f"{name} must be a dict of options for {name}, got {type(value).__name__}")
            for place in owners:
                options[place] |= value
            continue
        knowing = [place for place, factory in enumerate(factories) if name in inspect.signature(factory).parameters]
        if not knowing or (len(knowing) > 1 and name not in SHARED):
            example = min(names[0]) if names else "gemini"
            why = "is known to none of the providers" if not knowing else "would mean another thing for each provider"
            raise ConfigurationError(f"option {name!r} {why}: say whose it is, e.g. {example}={{{name!r}: ...}}")
        for place in knowing:
            options[place][name] = value
    return options
