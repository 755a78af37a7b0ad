"""A run before it begins: what was passed, checked and put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from aigc_kit.batch.clients import Spec
from aigc_kit.batch.engine import Left
from aigc_kit.batch.jobs import Defaults, Job
from aigc_kit.batch.limits import Limit
from aigc_kit.batch.line import KINDS, Kind, Line
from aigc_kit.batch.manifest import Manifest
from aigc_kit.batch.record import Places, line_of
from aigc_kit.batch.seen import Seen
from aigc_kit.batch.sources import Source
from aigc_kit.batch.worker import Outcome
from aigc_kit.errors import ConfigurationError, InvalidInputError
from aigc_kit.settings import hidden, spelled, suggestion

IMAGES = "images"
JOURNAL = "journal"

_WINGS: dict[Kind, str] = {
    "image": "aigc_kit.image.client",
    "chat": "aigc_kit.chat.client",
    "embedding": "aigc_kit.embedding.client",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    What ``run_batch`` was told; see there. ``mode`` functions get it with the rest of a ``Run``.
    """

    defaults: Defaults
    client_options: Mapping[str, Any]
    storage: Any
    storage_key_prefix: str
    spool_dir: str
    renditions: tuple[Any, ...]
    executor: Executor | None
    concurrency: int
    limits: Mapping[str, Limit]
    retry_ambiguous: bool
    max_attempts: int
    progress: Any
    on_line: Callable[[Line], object] | None
    wait: bool = True

    @property
    def is_local(self) -> bool:
        """Whether the workers are threads of this process."""
        return self.executor is None or isinstance(self.executor, ThreadPoolExecutor)


class Run:
    """
    One run: its jobs, its manifest, what an earlier run left, and how clients are made.

    A mode is a function ``run(run: Run) -> Counts`` that takes ``run.source``, leaves out the jobs
    whose ``left()`` is ``"done"``, and calls ``record`` for every job that ends.
    """

    def __init__(self, source: Source, manifest: Manifest, seen: Seen, settings: Settings) -> None:
        self.source = source
        self.manifest = manifest
        self.settings = settings
        self._seen = seen
        self._places = Places(manifest.folder, settings.storage)
        self._name = secrets.token_hex(8)
        self._families: dict[Kind, dict[str, str]] = {}

    def with_settings(self, settings: Settings) -> Run:
        """The same run, told something else."""
        return Run(self.source, self.manifest, self._seen, settings)

    def left(self, job: Job) -> Left:
        """
        What an earlier run left of this job.

        Raises:
            InvalidInputError: its id was used for something else.
        """
        known = self._seen.get(job.id)
        if known is None:
            return "nothing"
        word, _, digest = known.partition(" ")
        if word == "failed":
            return "nothing"
        if digest and digest != job.digest:
            raise InvalidInputError(
                f"id {job.id!r} was used in this directory for another prompt, size, references or"
                " options: give the job another id, or the run another directory"
            )
        return "done" if word == "done" else "open"

    def record(self, job: Job, outcome: Outcome, attempts: int) -> Line:
        """
        Write down what became of a job.

        Raises:
            StorageError: the manifest cannot be written.
        """
        if outcome.vectors is not None:
            self.manifest.append_vectors(job.id, outcome.vectors)
        line = line_of(job, outcome, attempts, self._places)
        self.manifest.append(line)
        return line

    def carry(self, job: Job) -> Job:
        """
        The job as it leaves for a worker: one on another machine gets the bytes of references.

        Raises:
            InvalidInputError: a reference is gone.
        """
        if self.settings.is_local or not job.references:
            return job
        return replace(job, references=tuple(_bytes_of(item) for item in job.references))

    def spec(self, kind: Kind, provider: str) -> Spec:
        """How a worker makes the client for this provider."""
        settings = self.settings
        return Spec(
            key=f"{self._name} {kind} {provider}",
            kind=kind,
            provider=provider,
            options=self._options_of(kind, provider),
            storage=settings.storage,
            storage_key_prefix=settings.storage_key_prefix,
            spool_dir=settings.spool_dir,
            renditions=settings.renditions,
        )

    def family(self, kind: Kind, provider: str) -> str:
        """The first name of a provider that has several."""
        known = self._families.get(kind)
        if known is None:
            names: dict[str, list[str]] = import_module(_WINGS[kind]).provider_names()
            known = {alias: name for name, aliases in names.items() for alias in aliases}
            self._families[kind] = known
        return known.get(provider, provider)

    def _options_of(self, kind: Kind, provider: str) -> dict[str, Any]:
        given = self.settings.client_options
        for name in (provider, self.family(kind, provider)):
            if name in given:
                return dict(given[name])
        return {}


def _bytes_of(reference: Any) -> Any:
    if not isinstance(reference, Path):
        return reference
    try:
        return reference.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"reference {str(reference)!r} cannot be read: {error}") from error


def checked_client_options(given: Any, providers: tuple[str, ...]) -> dict[str, Any]:
    """
    ``{"volcengine": {"api_key": ...}}``; for one provider its options by themselves will do.

    Raises:
        ConfigurationError: it is neither.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"client_options must be a dict of options by provider, got {spelled(given)}"
        )
    names = [provider.partition(":")[0] for provider in providers]
    nested = all(isinstance(value, Mapping) for value in given.values())
    if nested and (any(name in given for name in names) or len(names) != 1):
        return {str(name).strip().lower(): hidden(dict(value)) for name, value in given.items()}
    if len(names) != 1:
        raise ConfigurationError(
            "client_options must say whose options they are: {'volcengine': {...}}; there are"
            f" {len(names)} providers"
        )
    return {names[0]: hidden(dict(given))}


def check_limits(limits: Mapping[str, Limit], providers: Iterable[str]) -> None:
    """
    Raises:
        ConfigurationError: a limit names an unknown provider.
    """
    known = {provider.partition(":")[0] for provider in providers} | {"*"}
    for kind in KINDS:
        names: dict[str, list[str]] = import_module(_WINGS[kind]).provider_names()
        known.update(names, *names.values())
    for name in limits:
        if name.partition(":")[0] not in known:
            raise ConfigurationError(
                f"limits has {name!r}, which is not a provider of this run"
                f"{suggestion(name.partition(':')[0], known)}"
            )


def local_store(folder: Path) -> Any:
    """The directory where images go when no storage is passed."""
    from aigc_kit.storage.local import LocalStorage

    return LocalStorage(folder / IMAGES)
