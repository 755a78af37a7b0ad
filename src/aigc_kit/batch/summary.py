"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from aigc_kit.batch.manifest import read_manifest


@dataclass(kw_only=True)
class Summary:
    """
    What is in the manifest after a run, and what the run did.

    Args:
        folder: the run's directory.
        jobs: how many the source has; None for an iterator that was not read to its end.
        done, failed, unknown: jobs of the manifest by their last line's status.
        paid_waiting: of the failed ones, those whose image is paid for and waits to be stored;
            resuming finishes them.
        not_run: jobs that this run did not come to; resuming runs them.
        at_vendor: of these, those in batches at a vendor; resuming with ``mode="vendor"`` collects
            them.
        skipped: jobs that were done before this run.
        tries, repeats: requests to workers in this run, and how many of them were repetitions.
        costs: ``{provider: {currency: amount}}`` of the done and the failed.
        perhaps: the same, at most, of what may have been charged without a result.
        without_cost: done jobs whose price is not known.
        seconds: how long this run took.
        learned: ``{"provider:model": requests per minute}`` that 429s taught.
        interrupted: whether Ctrl-C or SIGTERM ended it.
        stopped: why it ended before all jobs were run, ``""`` when it did not.
        cause: the error behind ``stopped``, as a line has it, or None.
        errors: ``{type: how many}`` of the failed and the unknown.
        notes: what else should be known.
        gallery: the path of the run's page, "" without one.
    """

    folder: str
    jobs: int | None = None
    done: int = 0
    failed: int = 0
    unknown: int = 0
    paid_waiting: int = 0
    not_run: int = 0
    at_vendor: int = 0
    skipped: int = 0
    tries: int = 0
    repeats: int = 0
    costs: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    perhaps: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    without_cost: int = 0
    seconds: float = 0.0
    learned: dict[str, float] = field(default_factory=dict[str, float])
    interrupted: bool = False
    stopped: str = ""
    cause: dict[str, Any] | None = None
    errors: dict[str, int] = field(default_factory=dict[str, int])
    notes: list[str] = field(default_factory=list[str])
    gallery: str = ""

    @property
    def ok(self) -> bool:
        """Whether every job is done."""
        return not (self.failed or self.unknown or self.not_run or self.interrupted or self.stopped)

    def add_manifest(self) -> None:
        """Count what the manifest has; every job once."""
        costs, perhaps = _Sums(), _Sums()
        for line in read_manifest(Path(self.folder)):
            setattr(self, line.status, getattr(self, line.status) + 1)
            if line.error is not None:
                kind = str(line.error.get("type"))
                self.errors[kind] = self.errors.get(kind, 0) + 1
            waits = line.status == "failed" and (line.error or {}).get("type") == "StorageError"
            self.paid_waiting += waits and line.billed == "yes"
            if line.cost is None:
                self.without_cost += line.status == "done"
            elif line.status == "done" or line.billed == "yes":
                costs.add(line.provider, line.cost)
            else:
                perhaps.add(line.provider, line.cost)
        self.costs, self.perhaps = costs.amounts(), perhaps.amounts()

    def to_dict(self) -> dict[str, Any]:
        """JSON with keys that stay."""
        return {"ok": self.ok, **vars(self)}


class _Sums:
    """Exact sums by provider and currency."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Decimal] = {}

    def add(self, provider: str, cost: dict[str, Any]) -> None:
        amount, key = cost.get("amount"), (provider, str(cost.get("currency") or ""))
        if isinstance(amount, (int, float)):
            self._sums[key] = self._sums.get(key, Decimal(0)) + Decimal(repr(amount))

    def amounts(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for (provider, currency), amount in sorted(self._sums.items()):
            found.setdefault(provider, {})[currency] = float(amount)
        return found
