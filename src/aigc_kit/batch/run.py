"""``run_batch``: the whole of a run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from importlib import import_module
from pathlib import Path
from typing import Any

from aigc_kit.batch import setup
from aigc_kit.batch.engine import Counts
from aigc_kit.batch.gallery import write_gallery
from aigc_kit.batch.jobs import Defaults, checked_options, provider_names
from aigc_kit.batch.limits import Limit, limits_of
from aigc_kit.batch.line import KINDS, Kind, Line
from aigc_kit.batch.manifest import FILE, Manifest
from aigc_kit.batch.progress import Progress
from aigc_kit.batch.sources import Source
from aigc_kit.batch.summary import Summary
from aigc_kit.batch.vendor.ledger import waiting
from aigc_kit.errors import ConfigurationError, InvalidInputError, StorageError
from aigc_kit.image.request import DEFAULT_SIZE
from aigc_kit.media.renditions import Rendition
from aigc_kit.settings import spelled, suggestion, switch, whole_number

MODES = {"live": "aigc_kit.batch.live:run", "vendor": "aigc_kit.batch.vendor.run:run"}
"""How jobs are run -> ``module:function`` of ``(Run, asked) -> (Counts, learned)``."""

THUMBNAIL = Rendition("thumb", side=320)

CONCURRENCY = 16

_PREFIX = "aigc/images"


def run_batch(
    jobs: Any,
    out: str | os.PathLike[str],
    *,
    provider: str | Sequence[str] | None = None,
    kind: Kind = "image",
    model: str = "",
    size: str = DEFAULT_SIZE,
    options: Mapping[str, Any] | None = None,
    client_options: Mapping[str, Any] | None = None,
    storage: Any = None,
    storage_key_prefix: str | None = None,
    renditions: Iterable[Rendition] = (THUMBNAIL,),
    spool_dir: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    concurrency: int | None = None,
    limits: str | float | Limit | Mapping[str, Any] | None = None,
    resume: bool = False,
    retry_ambiguous: bool = False,
    max_attempts: int = 5,
    progress: bool | Callable[[Progress], object] | None = None,
    on_line: Callable[[Line], object] | None = None,
    gallery: bool = True,
    mode: str = "live",
    wait: bool = True,
) -> Summary:
    """
    Run any number of jobs, and write a line for each into ``out/manifest.jsonl``.

    All jobs of a file, list or table are checked before anything is sent; those of an iterator when
    they come. A job's id is the idempotency key of its image: however often a run is killed and
    resumed, an image is paid for once, and a job with an unknown outcome is reported, not paid
    for again.

    Args:
        jobs: the path of a JSONL or CSV file, a pandas or pyarrow table, or an iterable of dicts;
            fields: see ``aigc_kit.batch.jobs.job_of``.
        out: the run's directory: manifest, journal, and images where no ``storage`` is passed.
        provider: who is asked by jobs that do not say: ``"volcengine"``, ``"gemini:MODEL"``; a list
            (or ``"a,b"``): the next is asked when one is down or certainly charged nothing.
        kind: of jobs that do not say: ``"image"``, ``"chat"`` or ``"embedding"``.
        model, size, options: of jobs that do not say; ``options`` are those of a call.
        client_options: of the clients, by provider: ``{"volcengine": {"api_key": ...}}``.
        storage: where images go; workers on several machines need one that they share.
        storage_key_prefix: of keys in ``storage``, ``"aigc/images"`` unless set; runs that share a
            store and have the same ids for different jobs need different ones.
        renditions: copies to store beside each image; the smallest is the line's ``thumbnail``.
        spool_dir: the journal of paid images, on each worker's machine; unset: ``out/journal``.
        executor: any ``concurrent.futures.Executor``; unset: threads of this process. It is not
            shut down.
        concurrency: calls at the same time; unset: the executor's workers, where it says how many
            it has, else 16.
        limits: ``"60/min"`` for each vendor, or ``{"volcengine": "60/min", "gemini:MODEL":
            Limit(images=10, concurrency=4)}``. Without one, and below one, 429s and ``Retry-After``
            teach the pace.
        resume: go on with the run that is in ``out``: what is done is skipped, what is paid is
            finished, what failed without being charged is run again.
        retry_ambiguous: pay again for jobs whose outcome is unknown.
        max_attempts: tries of one job by one vendor; 429s do not count.
        progress: unset: a bar where stderr is a terminal; False: none; a function: it is called
            with a ``Progress``.
        on_line: called with each line, in this thread, after it is written.
        gallery: whether ``out/gallery.html`` is written at the end (``write_gallery``).
        mode: ``"live"``: a call for each job. ``"vendor"``: files of requests that the vendor runs
            within a day, at half the price (OpenAI, Gemini's Developer API, DashScope, GLM,
            Bedrock), or calls that wait for as long (Volcengine).
        wait: of ``"vendor"``: until the batches have ended; False: submit, collect what has ended,
            and return. ``resume=True`` collects the rest, days later too.

    Returns:
        What is in the manifest, what it cost, and what was not run.

    Raises:
        ConfigurationError, InvalidInputError: nothing was sent (of an iterator: after what was
            begun is finished; then ``result`` is the summary).
        StorageError: the manifest cannot be written. What was begun is in the journal.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after calls under way were finished;
            ``result`` is the summary. A second one does not wait for them.
    """
    names = () if provider is None else provider_names(provider)
    began = time.monotonic()
    folder = Path(out).expanduser().resolve()
    settings = setup.Settings(
        defaults=Defaults(
            kind=_kind(kind),
            providers=names,
            model=_text(model, "model"),
            size=_text(size, "size"),
            options=checked_options(options or {}),
        ),
        client_options=setup.checked_client_options(client_options, names),
        storage=setup.local_store(folder) if storage is None else storage,
        storage_key_prefix=_prefix(storage_key_prefix, storage),
        spool_dir=str(Path(spool_dir).expanduser() if spool_dir else folder / setup.JOURNAL),
        renditions=tuple(renditions),
        executor=executor,
        concurrency=_concurrency(concurrency, executor),
        limits=limits_of(limits),
        retry_ambiguous=switch(retry_ambiguous, "retry_ambiguous"),
        max_attempts=whole_number(max_attempts, name="max_attempts") or 1,
        progress=progress,
        on_line=on_line,
        wait=switch(wait, "wait"),
    )
    runner = _runner(mode)
    for name, value in (("resume", resume), ("gallery", gallery)):
        switch(value, name)
    source = Source(jobs, settings.defaults)
    _check_folder(folder, resume=resume, mode=mode)
    with Manifest(folder) as manifest, manifest.seen() as seen:
        run = setup.Run(source, manifest, seen, settings)
        asked = [(settings.defaults.kind, name) for name in names]
        if source.again:
            asked = source.check(run.left)
        setup.check_limits(settings.limits, [name for _, name in asked])
        try:
            counts, learned = runner(run, asked)
        except InvalidInputError as error:  # in the middle of an iterator
            manifest.sync()
            begun = _summary(manifest, Counts(), {}, time.monotonic() - began)
            if begun.done or begun.unknown or begun.paid_waiting:
                begun.stopped = str(error)
                error.result = begun
            raise
        manifest.sync()
        summary = _summary(manifest, counts, learned, time.monotonic() - began)
        if gallery:
            _show(summary)
    return _returned(summary, counts)


def _prefix(given: str | None, storage: Any) -> str:
    if given is not None:
        return given
    return "" if storage is None else _PREFIX


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a text, got {spelled(value)}")
    return value


def _kind(kind: Any) -> Kind:
    if kind not in KINDS:
        raise ConfigurationError(f"kind must be one of {', '.join(KINDS)}, got {spelled(kind)}")
    return kind  # type: ignore[no-any-return]


def _runner(mode: Any) -> Callable[..., tuple[Counts, dict[str, float]]]:
    if not isinstance(mode, str) or mode not in MODES:
        raise ConfigurationError(
            f"mode must be one of {', '.join(MODES)}, got {spelled(mode)}"
            f"{suggestion(str(mode), MODES)}"
        )
    module, _, name = MODES[mode].partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]


def _concurrency(given: Any, executor: Any) -> int:
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ConfigurationError(
            "executor must be a concurrent.futures.Executor, such as client.get_executor() of"
            f" dask.distributed; got {type(executor).__name__}"
        )
    if given is None:
        own = getattr(executor, "_max_workers", None)  # of the standard library's and of loky's
        return own if isinstance(own, int) and own > 0 else CONCURRENCY
    number = whole_number(given, name="concurrency")
    if not number:
        raise ConfigurationError("concurrency must be 1 or more, got 0")
    return number


def _check_folder(folder: Path, *, resume: bool, mode: str) -> None:
    path = folder / FILE
    there = path.is_file() and path.stat().st_size > 0
    if there and not resume:
        raise ConfigurationError(
            f"{str(folder)!r} has the manifest of an earlier run: pass resume=True to go on with it,"
            " or choose another directory"
        )
    open_batches = 0 if mode == "vendor" else waiting(folder)
    if open_batches:
        raise ConfigurationError(
            f"{open_batches} batches of {str(folder)!r} are at the vendor, and their jobs would be paid for twice: collect them"
            " with resume=True and mode='vendor' (aigc-kit batch --resume --vendor-batch)"
        )


def _summary(
    manifest: Manifest, counts: Counts, learned: dict[str, float], seconds: float
) -> Summary:
    progress = counts.progress
    summary = Summary(
        folder=str(manifest.folder),
        jobs=progress.total,
        skipped=progress.skipped,
        at_vendor=counts.at_vendor,
        tries=counts.tries,
        repeats=counts.repeats,
        seconds=round(seconds, 3),
        learned=learned,
        interrupted=bool(counts.interrupted),
        stopped=counts.stopped,
        cause=counts.cause,
        notes=list(counts.notes),
    )
    if counts.exhausted and summary.jobs is None:
        summary.jobs = progress.finished + counts.not_run
    rest = counts.not_run
    summary.not_run = rest if summary.jobs is None else max(summary.jobs - progress.finished, 0)
    if manifest.repaired:
        summary.notes.append(
            f"{manifest.repaired} bytes of a torn last line were cut off the manifest"
        )
    if manifest.damaged:
        summary.notes.append(
            f"{manifest.damaged} lines of the manifest cannot be read; their jobs were taken again"
        )
    summary.add_manifest()
    return summary


def _show(summary: Summary) -> None:
    """The page of the run; a run does not fail for want of it."""
    try:
        summary.gallery = str(write_gallery(summary.folder))
    except StorageError as error:
        summary.notes.append(f"the gallery could not be written: {error}")


def _returned(summary: Summary, counts: Counts) -> Summary:
    if not counts.interrupted:
        return summary
    stop: BaseException = KeyboardInterrupt()
    if counts.interrupted == signal.SIGTERM:
        stop = SystemExit(128 + signal.SIGTERM)
    stop.result = summary  # type: ignore[attr-defined]
    raise stop
