"""``aigc-kit batch``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from aigc_kit.cli import _failures, _providers, _runs, _stores, _terminal


@click.command("batch", short_help="Run many jobs, and resume them.")
@click.argument("jobs", metavar="JOBS")
@click.option(
    "-o", "--out", required=True, metavar="DIR", help="The run's directory: manifest and journal."
)
@click.option(
    "-p",
    "--provider",
    shell_complete=_providers.complete("images"),
    help="Of jobs that name none; 'a,b' asks b when a is down or charged nothing.",
)
@click.option(
    "--kind",
    type=click.Choice(["image", "chat", "embedding"]),
    default="image",
    show_default=True,
    help="Of jobs that do not say.",
)
@click.option("-m", "--model", default="", help="Of jobs that name none.")
@click.option("-s", "--size", help="Of jobs that name none; unset: 1024x1024.")
@click.option("--resume", is_flag=True, help="Go on with the run that is in --out.")
@click.option(
    "--retry-ambiguous", is_flag=True, help="Pay again for jobs whose outcome is unknown."
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="RATE",
    help="60/min for each vendor, or PROVIDER[:MODEL]=60/min. Repeat it for several.",
)
@click.option("--concurrency", type=click.IntRange(1), help="Calls at once; unset: 16.")
@click.option(
    "--max-attempts", type=click.IntRange(1), default=5, show_default=True, help="Tries of one job."
)
@click.option(
    "--store",
    default="local",
    metavar="STORE",
    show_default=True,
    help="local, r2, oss, cos, tos, minio, or s3://BUCKET.",
)
@click.option("--endpoint", metavar="URL", help="The endpoint of --store.")
@click.option("--public-domain", metavar="URL", help="Where the public reads --store.")
@click.option("--prefix", metavar="KEY", help="Of keys in --store; unset: aigc/images.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of every call, such as seed=7. Repeat it for several.",
)
@click.option("--timeout", type=float, help="Seconds for one call.")
@click.option("--no-thumbnails", is_flag=True, help="Store the images alone.")
@click.option(
    "--vendor-batch",
    is_flag=True,
    help="Use the vendor's own batches: within a day, at half price.",
)
@click.option("--no-wait", is_flag=True, help="Submit vendor batches; --resume collects them.")
@click.option("--no-gallery", is_flag=True, help="Write no gallery.html.")
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="The scheduler of a dask.distributed cluster, such as tcp://host:8786.",
)
@_terminal.json_option
@_terminal.session
def command(session: _terminal.Session, /, jobs: str, as_json: bool, **given: Any) -> int:
    """Run the jobs of a JSONL or CSV file ("-": JSONL from stdin), and print the manifest's path.

    A run that was stopped or killed goes on with --resume: what is done is skipped, what was paid
    for is finished, and an unknown outcome is reported and not paid for again.
    """
    from aigc_kit.batch.summary import Summary
    from aigc_kit.errors import AIGCError

    language = session.chosen_language()
    try:
        with _cluster(given) as (executor, concurrency):
            summary = _run(jobs, given, executor, concurrency)
    except AIGCError as error:
        if not isinstance(error.result, Summary):
            raise _failures.failed(error, session, in_json=as_json, paid=True) from None
        summary = error.result  # jobs before the wrong line of stdin were run
    except (KeyboardInterrupt, SystemExit) as stop:
        summary = getattr(stop, "result", None)
        if summary is None:
            raise
        _tell(summary, language, as_json=as_json)
        code = stop.code if isinstance(stop, SystemExit) else _failures.INTERRUPTED
        raise _failures.Finished(int(code or 0)) from None
    _tell(summary, language, as_json=as_json)
    code = _runs.exit_code(summary, waits=not given["no_wait"])
    if code:
        raise _failures.Finished(code)
    return 0


def _run(jobs: str, given: dict[str, Any], executor: Any, concurrency: int | None) -> Any:
    from aigc_kit.batch.run import THUMBNAIL, run_batch

    options = dict(_terminal.pairs(given["options"]))
    if given["timeout"] is not None:
        options["timeout"] = given["timeout"]
    size = {} if given["size"] is None else {"size": given["size"]}
    with _store(given) as store:
        return run_batch(
            _lines_of_stdin() if jobs == "-" else _terminal.plain_text(jobs),
            given["out"],
            provider=_provider(given),
            kind=given["kind"],
            model=given["model"],
            options=options,
            storage=store,
            storage_key_prefix=given["prefix"],
            renditions=() if given["no_thumbnails"] else (THUMBNAIL,),
            executor=executor,
            concurrency=concurrency,
            limits=_limits(given["rates"]),
            resume=given["resume"],
            retry_ambiguous=given["retry_ambiguous"],
            max_attempts=given["max_attempts"],
            gallery=not given["no_gallery"],
            mode="vendor" if given["vendor_batch"] else "live",
            wait=not given["no_wait"],
            **size,
        )


def _tell(summary: Any, language: str, *, as_json: bool) -> None:
    if as_json:
        _terminal.document(summary.to_dict())
        return
    from pathlib import Path

    from aigc_kit.batch.manifest import FILE

    _terminal.answer(_terminal.plain_text(str(Path(summary.folder) / FILE)))
    _runs.tell(summary, language)


def _lines_of_stdin() -> Iterator[Any]:
    from aigc_kit.batch.sources import parsed_line

    for number, line in enumerate(sys.stdin):
        text = line if number else line.removeprefix("\ufeff")  # PowerShell's pipes
        if text.strip():
            yield parsed_line(text)


_DEFAULTS = {
    "image": ("images", "AIGC_KIT_IMAGE_PROVIDER"),
    "chat": ("chat", "AIGC_KIT_CHAT_PROVIDER"),
}


def _provider(given: dict[str, Any]) -> str | None:
    """As given, else the one that the other commands would ask; jobs may name their own."""
    from aigc_kit.errors import MissingCredentialError

    if given["provider"]:
        return str(given["provider"])
    if given["kind"] not in _DEFAULTS:
        return None
    with contextlib.suppress(MissingCredentialError):
        return _providers.provider_or_default(None, *_DEFAULTS[given["kind"]])
    return None


def _limits(rates: tuple[str, ...]) -> dict[str, str]:
    """
    Raises:
        click.UsageError: a limit is given twice.
    """
    found: dict[str, str] = {}
    for rate in rates:
        name, equals, value = rate.rpartition("=")
        key = name.strip().lower() if equals else "*"
        if key in found:
            raise click.UsageError(f"--rate is given twice for {key!r}")
        found[key] = value
    return found


def _store(given: dict[str, Any]) -> Any:
    """The store of --store; None for the run's own directory."""
    if given["store"] == "local":
        return contextlib.nullcontext()
    return _stores.store_of(
        given["store"], endpoint=given["endpoint"], public=given["public_domain"]
    )


@contextlib.contextmanager
def _cluster(given: dict[str, Any]) -> Iterator[tuple[Any, int | None]]:
    """
    The executor of the cluster and how many calls it takes at once; (None, ...) without one.

    Raises:
        click.UsageError: there is no cluster, or it has no workers.
    """
    address = given["dask"]
    if not address:
        yield None, given["concurrency"]
        return
    try:
        from distributed import Client
    except ImportError:
        raise click.UsageError(
            "--dask needs dask.distributed: pip install 'aigc-kit[dask]'"
        ) from None
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--dask {address!r} cannot be reached: {error}") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise click.UsageError(f"the cluster at {address!r} has no workers")
        yield client.get_executor(), given["concurrency"] or threads
