"""From a line of a batch's results to the outcome of its job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from aigc_kit import errors
from aigc_kit.batch.clients import Spec
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.seen import Seen
from aigc_kit.batch.vendor.ledger import Batch
from aigc_kit.batch.vendor.service import Answered
from aigc_kit.batch.worker import Outcome, Terms, failed, tried
from aigc_kit.prices.cost import EXACT
from aigc_kit.transport.offline import answered


class Results:
    """
    A file of results, found by job: vendors write them in any order. A context manager.

    Memory does not grow with it: the table has the place of each line.
    """

    def __init__(self, path: Path, read: Callable[[Mapping[str, Any]], Answered | None]) -> None:
        self._read = read
        self._places = Seen()
        self._file = open(path, "rb")  # noqa: SIM115 - closed with this object
        at = 0
        for raw in self._file:
            found = self._answer(raw)
            if found is not None:
                self._places.put(found.id, str(at))
            at += len(raw)

    def of(self, name: str) -> Answered | None:
        """What the vendor answered to this job, None where the results do not have it."""
        at = self._places.get(name)
        if at is None:
            return None
        self._file.seek(int(at))
        return self._answer(self._file.readline())

    def _answer(self, raw: bytes) -> Answered | None:
        try:
            line = json.loads(raw)
        except ValueError:
            return None
        return self._read(line) if isinstance(line, dict) else None

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._places.close()


def outcome_of(spec: Spec, job: Job, batch: Batch, answer: Answered, price: str | None) -> Outcome:
    """What the call that was live would have made of this response, at the batch's price."""
    if job.kind == "chat":  # another request could not be answered
        job = replace(job, options={**job.options, "max_repairs": 0})
    terms = Terms(batch.model, retry_ambiguous=True)  # it was paid for with the batch
    outcome = answered(
        lambda: tried(spec, job, terms),
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
    )
    outcome.started = batch.at
    outcome.provider = outcome.provider or batch.provider
    outcome.metadata["batch"] = {"id": batch.id, "key": batch.key}
    if outcome.local and outcome.error is not None and answer.status == 200:
        outcome.status = "failed"
        outcome.error["billed"] = "yes"  # by the vendor, whatever failed here
    if outcome.cost is not None and not _is_priced(answer.body):
        outcome.cost = _reduced(outcome.cost, price)
    return outcome


def _is_priced(body: bytes) -> bool:
    """Whether the response itself names the tier, so that its price is that of a batch already."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("service_tier") == "batch"


def _reduced(cost: dict[str, Any], price: str | None) -> dict[str, Any]:
    if price is None:
        return {**cost, "upper_bound": True}
    amount = EXACT.multiply(Decimal(repr(cost["amount"])), Decimal(price))
    return {**cost, "amount": round(float(amount), 12), "tier": "batch"}


def refused(batch: Batch) -> Outcome:
    """Of a job whose batch the vendor did not take."""
    return Outcome(
        status="failed",
        provider=batch.provider,
        model=batch.model,
        error=batch.error,
        started=time.time(),
    )


def without_result(job: Job, batch: Batch, gone: str = "") -> Outcome:
    """
    Of a job that the results do not have, or whose batch cannot be found.

    Args:
        gone: what the vendor said of a batch that it made and does not have any more.
    """
    error: errors.AIGCError
    if gone:
        error = errors.OutcomeUnknownError(
            f"{batch.provider} does not have batch {batch.id} or its results any more ({gone}): it may have run. Are the key"
            " and the base URL those that it was made with? It is made again only with retry_ambiguous=True",
            provider=batch.provider,
            model=batch.model,
            billed="unknown",
        )
    elif batch.state == "lost":
        error = errors.OutcomeUnknownError(
            f"the request that made the batch got no response, and {batch.provider} lists no batch of its file: it may"
            " run all the same. It is sent again only with retry_ambiguous=True",
            provider=batch.provider,
            model=batch.model,
            billed="unknown",
        )
    elif batch.said:
        error = errors.ProviderError(
            f"{batch.provider}'s batch {batch.id} did not run this job: {batch.said}",
            provider=batch.provider,
            model=batch.model,
            billed="no",
        )
    else:
        error = errors.OutcomeUnknownError(
            f"{batch.provider}'s batch {batch.id} has ended without a result of this job",
            provider=batch.provider,
            model=batch.model,
            billed="unknown",
        )
    outcome = failed(error, job, Spec(key="", kind=job.kind, provider=batch.provider))
    if isinstance(error, errors.OutcomeUnknownError):  # of any kind: a batch is never made twice
        outcome.status = "unknown"
    outcome.started = time.time()
    return outcome
