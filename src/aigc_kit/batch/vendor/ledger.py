"""
What is known of the batches at the vendors: an append-only file, synced before the next step is taken.

A batch is ``prepared`` (its file of requests is whole), ``uploaded``, ``creating`` (the request that
costs money leaves), ``submitted`` (its id is known), ``fetched`` (the results are here) and ``closed``
(every job has its line). ``refused``: the vendor took none of it; ``lost``: whether there is one is not
known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from aigc_kit.batch.appender import Appender, whole_lines
from aigc_kit.batch.line import Kind
from aigc_kit.errors import ConfigurationError

FILE = "batches.jsonl"
FOLDER = "vendor"

State = Literal[
    "prepared", "uploaded", "creating", "submitted", "fetched", "refused", "lost", "closed"
]
OPEN: tuple[State, ...] = ("prepared", "uploaded", "creating", "submitted")
"""States in which the vendor has something to do yet."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """
    One batch. ``key``: our own name of it. ``jobs``: how many; ``file``: the id of its file at
    the vendor, ``id``: its own; ``at``: when it came into its state, in Unix time; ``error``: of a refused one, as a line
    of the manifest has it; ``said``: why the vendor did not run all of it.
    """

    key: str
    provider: str
    kind: Kind
    model: str
    jobs: int
    state: State = "prepared"
    file: str = ""
    id: str = ""
    at: float = 0.0
    error: dict[str, Any] | None = None
    said: str = ""


def waiting(folder: Path) -> int:
    """How many batches of this run's directory have not given their results yet. Changes nothing."""
    states: dict[str, str] = {}
    if (folder / FILE).is_file():
        for _, raw in whole_lines(folder / FILE):
            if _is_entry(raw):
                entry = json.loads(raw)
                states[entry["key"]] = entry.get("state", "")
    return sum(state in (*OPEN, "fetched") for state in states.values())


class Ledger:
    """The batches of a run's directory; a context manager."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ConfigurationError: it cannot be written.
        """
        self.folder = folder / FOLDER
        self.batches: dict[str, Batch] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lines = Appender(folder / FILE, is_whole=_is_entry, sync_seconds=0.0)
        except OSError as error:
            raise ConfigurationError(
                f"{str(folder / FILE)!r} cannot be written: {error}"
            ) from error
        known = {each.name for each in fields(Batch)}
        for _, raw in whole_lines(folder / FILE):
            if _is_entry(raw):
                entry = json.loads(raw)
                batch = Batch(**{name: entry[name] for name in entry if name in known})
                self.batches[batch.key] = batch
        for path in self.folder.iterdir():  # of a process that ended before it wrote the entry
            if path.name.partition(".")[0] not in self.batches:
                path.unlink(missing_ok=True)

    def put(self, batch: Batch, **changes: Any) -> Batch:
        """
        Write down what is known now, and have the disk take it.

        Raises:
            StorageError: it cannot be written.
        """
        batch = replace(batch, **changes)
        self._lines.append(json.dumps(vars(batch), ensure_ascii=False, default=str).encode())
        self._lines.sync()
        self.batches[batch.key] = batch
        return batch

    def in_state(self, *states: State) -> list[Batch]:
        return [batch for batch in self.batches.values() if batch.state in states]

    # ---- files of a batch

    def requests(self, key: str) -> Path:
        """What was, or will be, sent."""
        return self.folder / f"{key}.requests.jsonl"

    def results(self, key: str) -> Path:
        """What came back."""
        return self.folder / f"{key}.results.jsonl"

    def _ids(self, key: str) -> Path:
        return self.folder / f"{key}.ids.jsonl"

    def keep_ids(self, key: str, names: list[str]) -> None:
        """Write down whose jobs are in the batch, in one piece."""
        text = "".join(json.dumps(name) + "\n" for name in names)
        beside = self._ids(key).with_suffix(".part")
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._ids(key))

    def ids(self, key: str) -> Iterator[str]:
        """The ids of its jobs."""
        with open(self._ids(key), encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def close(self, batch: Batch) -> None:
        """Every job of it has its line: its files are not needed any more."""
        self.put(batch, state="closed")
        for path in (self.requests(batch.key), self.results(batch.key), self._ids(batch.key)):
            path.unlink(missing_ok=True)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self._lines.close()


def _is_entry(raw: bytes) -> bool:
    try:
        entry = json.loads(raw)
    except ValueError:
        return False
    needed = ("key", "provider", "kind", "model", "jobs")
    return isinstance(entry, dict) and all(name in entry for name in needed)
