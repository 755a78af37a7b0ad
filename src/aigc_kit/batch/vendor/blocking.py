"""
Batches of Ark: a call for each job, which waits until the vendor has time for it.

There is no file and no id: ``POST {base}/batch/chat/completions`` (or ``/embeddings``) on a batch
endpoint answers within hours, and a connection that is lost takes the response with it. So the jobs
run as live ones do, and wait. Source: volcengine-ark-runtime 5.0.54 ``resources/batch``, read
2026-11-26.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aigc_kit.batch import live
from aigc_kit.batch.clients import release
from aigc_kit.batch.engine import Counts
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.line import Kind
from aigc_kit.batch.setup import Run
from aigc_kit.batch.worker import ask
from aigc_kit.errors import ConfigurationError
from aigc_kit.transport.offline import request_of

FAMILIES = frozenset({"volcengine"})

SECONDS = 86_400.0
"""How long a call waits where ``client_options`` say nothing."""

_ENDPOINT = "ep-bi-"
_ENDS = ("/chat/completions", "/embeddings/multimodal", "/embeddings")


def run(run: Run, asked: list[tuple[Kind, str]]) -> tuple[Counts, dict[str, float]]:
    """
    Raises:
        ConfigurationError: a job is an image, a model is not a batch endpoint, or the run is not
            to wait.
        AIGCError: see ``live.run``.
    """
    if not run.settings.wait:
        raise ConfigurationError(
            "wait=False leaves batches at the vendor, and Ark's calls wait for their responses: leave it out"
        )
    options: dict[str, Any] = {}
    for job in run.source:
        provider, model = _target(job)
        if job.kind == "image":
            raise ConfigurationError(
                f"job {job.id!r} is an image, and Ark has no batches of images: run it with mode='live'"
            )
        if not model.startswith(_ENDPOINT):
            raise ConfigurationError(
                f"job {job.id!r} asks for model {model!r}: Ark's batches take the id of a batch endpoint, '{_ENDPOINT}...'"
            )
        if provider not in options:
            options[provider] = _options(run, job, provider, model)
    changed = {**run.settings.client_options, **options}
    return live.run(run.with_settings(replace(run.settings, client_options=changed)), asked)


def _target(job: Job) -> tuple[str, str]:
    """(provider, model)"""
    provider, _, model = job.providers[0].partition(":")
    return provider, model or job.model


def _options(run: Run, job: Job, provider: str, model: str) -> dict[str, Any]:
    """The client's options, at the URL of batches."""
    spec = run.spec(job.kind, provider).asking()
    try:
        url = request_of(lambda: ask(spec, job, model)).url.partition("?")[0]
    finally:
        release([spec.key])
    base = next((url.removesuffix(end) for end in _ENDS if url.endswith(end)), url)
    return {
        "timeout": SECONDS,
        "max_retries": 0,
        **spec.options,
        "base_url": base.removesuffix("/batch") + "/batch",
    }
