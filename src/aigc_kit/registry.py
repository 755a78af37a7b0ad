"""One registry of providers by name, used by both wings: this package's own, registered ones, installed ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from aigc_kit.errors import ConfigurationError, UnknownProviderError
from aigc_kit.settings import suggestion

Factory = Callable[..., Any]


class Registry:
    """
    Names in lower case, each a factory or where one is: ``module:attribute``, imported at first use.

    A name that is not registered is looked for in the installed packages.
    """

    def __init__(
        self, kind: str, entry_point_group: str, elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            kind: what is registered, for messages: ``"image provider"``.
            elsewhere: what a name may be instead, as the end of a sentence with ``{name}`` ->
                ``module:function`` that lists such names. It is called only to explain an unknown
                name: the wings do not import each other.
        """
        self.kind = kind
        self.group = entry_point_group
        self._elsewhere = dict(elsewhere or {})
        self._lock = threading.Lock()
        self._entries: dict[str, Factory | str] = {}

    def fill(self, entries: Iterable[tuple[Iterable[str], Factory | str]]) -> None:
        """Add this package's own providers, once."""
        with self._lock:
            if not self._entries:
                for names, factory in entries:
                    self._entries.update(dict.fromkeys(names, factory))

    def add(self, names: Iterable[str], factory: Factory | str) -> None:
        """Register a provider under each of these names; a name that exists is replaced."""
        with self._lock:
            self._entries.update((name.lower(), factory) for name in names)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """What is registered inside is gone afterwards: a test leaves nothing to the next one."""
        before = dict(self._entries)
        try:
            yield
        finally:
            with self._lock:
                self._entries = before

    def get(self, name: str) -> Factory | str | None:
        """What is registered or installed under the name."""
        if name not in self._entries:
            with self._lock:
                self._entries = {**_installed(self.group), **self._entries}
        return self._entries.get(name)

    def items(self) -> list[tuple[str, Factory | str]]:
        return sorted(self._entries.items(), key=lambda entry: entry[0])

    def names(self) -> list[str]:
        return [name for name, _ in self.items()]

    def families(self) -> dict[str, list[str]]:
        """
        Each provider once, under the name that it was given first -> its aliases; installed ones
        too.
        """
        with self._lock:
            self._entries = {**self._entries, **_installed(self.group), **self._entries}
        found: dict[str, list[str]] = {}
        for name, factory in self._entries.items():
            home = next((first for first in found if self._entries[first] == factory), None)
            if home is None:
                found[name] = []
            else:
                found[home].append(name)
        return found

    def same_as(self, name: str) -> set[str]:
        """The name and its aliases."""
        return {other for other, found in self._entries.items() if found == self._entries[name]}

    def load(
        self, name: str, *, more: Iterable[str] = (), found: Factory | str | None = None
    ) -> Any:
        """
        The factory of a name.

        Args:
            more: names that exist beside the registered ones.
            found: what the caller has found under it already.

        Raises:
            UnknownProviderError: the name is not known.
            ConfigurationError: its module cannot be imported, or what is there cannot be called.
        """
        key = name.strip().lower()
        found = found or self.get(key)
        if found is None:
            known = sorted({*self._entries, *more})
            advice = self._advice(key) or suggestion(key, known)
            raise UnknownProviderError(
                f"no {self.kind} {name!r}; there are: {', '.join(known)}{advice}"
            )
        if not isinstance(found, str):
            return found
        try:
            return _imported(found)
        except Exception as error:  # a plugin's module may raise anything while it is imported
            raise ConfigurationError(
                f"{self.kind} {name!r} cannot be loaded from {found!r}{_owner(self.group, key)}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _advice(self, name: str) -> str:
        """Where this name does exist, ``""`` where it does not."""
        for sentence, place in self._elsewhere.items():
            module, _, attribute = place.partition(":")
            names: dict[str, list[str]] = getattr(import_module(module), attribute)()
            if name in names or any(name in aliases for aliases in names.values()):
                return "; " + sentence.format(name=name)
        return ""


def _imported(place: str) -> Any:
    """What is at ``module:attribute``; the attribute may have dots, and what follows it in brackets are extras."""
    from importlib.metadata import EntryPoint

    factory = EntryPoint("", place, "").load()
    if not callable(factory):
        raise TypeError(f"expected a class or a function, got {type(factory).__name__}")
    return factory


def _owner(group: str, name: str) -> str:
    """The installed package that offers the name, for a message; ``""`` for this package's own."""
    from importlib.metadata import entry_points

    owners = {
        f"{point.dist.name} {point.dist.version}"
        for point in entry_points(group=group)
        if point.name.lower() == name and point.dist is not None
    }
    return f" (installed by {', '.join(sorted(owners))}: update or uninstall it)" if owners else ""


def _installed(group: str) -> dict[str, str]:
    """What installed packages offer: name in lower case -> ``module:attribute``. Loads none of them."""
    from importlib.metadata import entry_points

    return {point.name.lower(): point.value for point in entry_points(group=group)}
