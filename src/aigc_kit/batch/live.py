"""``mode="live"``: every job is a call of its own, now."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager

from aigc_kit.batch.clients import client_of, release
from aigc_kit.batch.clock import Clock
from aigc_kit.batch.engine import Counts, Engine, Plan
from aigc_kit.batch.line import Kind
from aigc_kit.batch.progress import shown
from aigc_kit.batch.routes import Routes
from aigc_kit.batch.setup import Run


def run(run: Run, asked: list[tuple[Kind, str]]) -> tuple[Counts, dict[str, float]]:
    """
    Run all jobs; (what was done, requests per minute that 429s taught).

    Args:
        asked: (kind, provider) of everybody who may be asked, as far as that is known.

    Raises:
        ConfigurationError: a client cannot be made. Nothing was sent.
        AIGCError: see ``Engine.run``.
    """
    settings = run.settings
    clock = Clock()
    routes = Routes(settings.limits, run.spec, run.family, clock.now)
    try:
        if settings.is_local:
            for kind, named in asked:
                client_of(routes.spec(kind, named.partition(":")[0]))
        with (
            _executor(settings.executor, settings.concurrency) as executor,
            closing(run.source.jobs()) as jobs,
        ):
            engine = Engine(
                jobs,
                routes,
                executor,
                Plan(
                    concurrency=settings.concurrency,
                    max_attempts=settings.max_attempts,
                    retry_ambiguous=settings.retry_ambiguous,
                    carry=run.carry,
                    record=run.record,
                    left=run.left,
                    on_line=settings.on_line,
                ),
                clock=clock,
                shown=shown(settings.progress),
                total=run.source.total,
            )
            engine.run()
    except KeyboardInterrupt:
        raise  # the second one: calls are under way, and their clients stay open
    except BaseException:
        release(spec.key for spec in routes.specs())
        raise
    release(spec.key for spec in routes.specs())
    return engine.counts, routes.learned()


@contextmanager
def _executor(given: Executor | None, concurrency: int) -> Iterator[Executor]:
    if given is not None:
        yield given
        return
    own = ThreadPoolExecutor(concurrency, thread_name_prefix="aigc-batch")
    try:
        yield own
    except KeyboardInterrupt:
        own.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        own.shutdown(wait=False)
