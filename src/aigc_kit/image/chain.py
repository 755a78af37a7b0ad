"""The providers of a client, in the order in which they are asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc_kit.errors import ConfigurationError
from aigc_kit.image.base import ImageProvider, VendorProvider, check_mask
from aigc_kit.image.options import Fields
from aigc_kit.image.request import ImageRequest, addressed
from aigc_kit.transport.download import Downloader

SHARED = frozenset({"timeout", "max_retries", "size_policy", "retry_ambiguous"})
"""Options that mean the same for every vendor and go to each that knows them."""


@dataclass(frozen=True)
class Link:
    """
    One provider. ``names``: under which a call's options may address it. ``owned``: whether the
    client closes it.
    """

    provider: ImageProvider
    names: frozenset[str] = frozenset()
    owned: bool = True

    @property
    def fields(self) -> Fields:
        return Fields(
            getattr(self.provider, "fields", frozenset()),
            open=not isinstance(self.provider, VendorProvider),
        )


class Chain:
    """
    One provider or several. The next is asked only when the one before certainly charged nothing.

    Size and references are mapped again for each. A result's ``metadata["attempts"]`` and
    ``error.attempts`` tell which providers were asked and with what outcome. ``timeout`` of a call is for all of
    them together.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = list(links)
        self.fields = Fields(
            frozenset[str]().union(*(link.fields.names for link in links)),
            frozenset[str]().union(*(link.names for link in links))
            if len(links) > 1
            else frozenset(),
            any(link.fields.open for link in links),
        )

    @property
    def providers(self) -> list[ImageProvider]:
        return [link.provider for link in self.links]

    @property
    def name(self) -> str:
        return self.links[0].provider.name

    @property
    def model(self) -> str:
        return model_of(self.links[0].provider)

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(url for link in self.links for url in link.provider.origins)

    def requests(self, request: ImageRequest) -> list[ImageRequest]:
        """
        The request as each provider gets it; all are made before anybody is asked.

        Raises:
            ConfigurationError: an option that cannot be meant for all of them, or a mask that one
                of them does not take.
        """
        for link in self.links:
            check_mask(link.provider, request)
        if len(self.links) > 1 and request.model is not None:
            raise ConfigurationError(
                f"model={request.model!r} is for one vendor: say whose, e.g. {self.name}={{'model': {request.model!r}}}"
            )
        return [
            addressed(
                request,
                self.fields.vendors,
                link.names if len(self.links) > 1 else frozenset(),
                link.fields,
            )
            for link in self.links
        ]

    def asked(self, request: ImageRequest) -> list[tuple[str, str]]:
        """(provider, model) of everybody who may be asked."""
        each = zip(self.links, self.requests(request), strict=True)
        return [(link.provider.name, own.model or model_of(link.provider)) for link, own in each]

    def makes_groups(self, request: ImageRequest) -> bool:
        """Whether the first of them makes several images in one request."""
        return self.links[0].provider.makes_groups(**self.requests(request)[0].kwargs())

    def use_downloader(self, downloader: Downloader) -> None:
        for link in self.links:
            if link.owned:
                link.provider.use_downloader(downloader)

    def close(self) -> None:
        for link in self.links:
            if link.owned:
                link.provider.close()


def model_of(provider: ImageProvider) -> str:
    return str(getattr(provider, "model", "") or "")


def shared_out(
    given: Mapping[str, Any],
    factories: Sequence[Callable[..., Any]],
    names: Sequence[Collection[str]],
) -> list[dict[str, Any]]:
    """
    A client's options, shared out among its providers.

    Those under a provider's name are its own; of the others each goes to the one provider that
    knows it, or to all that know it when it means the same for every vendor.

    Raises:
        ConfigurationError: an unknown option, or one that several providers would accept
            differently.
    """
    options: list[dict[str, Any]] = [{} for _ in factories]
    for name, value in given.items():
        owners = [place for place, known in enumerate(names) if name in known]
        if owners:
            if not isinstance(value, Mapping):
                raise ConfigurationError(
                    f"{name} must be a dict of options for {name}, got {type(value).__name__}"
                )
            for place in owners:
                options[place] |= value
            continue
        knowing = [
            place
            for place, factory in enumerate(factories)
            if name in inspect.signature(factory).parameters
        ]
        if not knowing or (len(knowing) > 1 and name not in SHARED):
            example = min(names[0]) if names else "gemini"
            why = (
                "is known to none of the providers"
                if not knowing
                else "would mean another thing for each provider"
            )
            raise ConfigurationError(
                f"option {name!r} {why}: say whose it is, e.g. {example}={{{name!r}: ...}}"
            )
        for place in knowing:
            options[place][name] = value
    return options
