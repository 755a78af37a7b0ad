"""Where jobs come from: JSONL, CSV, tables, iterables. Nothing is held in memory."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aigc_kit.batch.jobs import Defaults, Job, check_references, job_of
from aigc_kit.batch.line import Kind
from aigc_kit.batch.seen import Seen
from aigc_kit.errors import InvalidInputError

_MOST_PROBLEMS = 10
_ROWS = 1024
"""Rows of a table that are taken at once."""

_NESTED = ("references", "reference_images", "options", "metadata", "messages", "texts", "provider")
"""Columns of a CSV file whose cell is JSON where it looks like it."""


class Source:
    """
    Jobs that can be read from the start again, or once.

    ``again``: whether it can. ``total``: how many there are, None until that is known.
    """

    def __init__(self, jobs: Any, defaults: Defaults) -> None:
        """
        Args:
            jobs: the path of a ``.jsonl``, ``.ndjson``, ``.csv`` or ``.tsv`` file, a pandas
                DataFrame, a pyarrow Table, RecordBatch or RecordBatchReader, or an iterable of
                dicts.

        Raises:
            InvalidInputError: it is none of these.
        """
        self._jobs = jobs
        self._defaults = defaults
        self._folder = Path()
        self.what = "job"
        if isinstance(jobs, (str, os.PathLike)):
            path = Path(jobs).expanduser()
            _check_file(path)
            self._jobs, self._folder, self.what = path, path.parent, "line"
        elif isinstance(jobs, (Mapping, bytes)) or not (
            isinstance(jobs, Iterable) or hasattr(jobs, "schema")
        ):
            raise InvalidInputError(
                "jobs must be a list of dicts, the path of a JSONL or CSV file, or a pandas or"
                f" pyarrow table; got {type(jobs).__name__}"
            )
        self.again = not isinstance(self._jobs, Iterator) and not hasattr(jobs, "read_next_batch")
        self.total: int | None = None

    def check(self, verify: Callable[[Job], object] = lambda job: None) -> list[tuple[Kind, str]]:
        """
        Read all jobs and count them: (kind, provider) of everybody who may be asked.

        Args:
            verify: raises ``InvalidInputError`` for a job that cannot be run; ``"done"`` of one that
                needs its references no more.

        Raises:
            InvalidInputError: some cannot; the message has the first ten.
        """
        problems: list[str] = []
        wrong = count = 0
        asked: dict[tuple[Kind, str], None] = {}
        with Seen() as seen:
            for number, row in self._rows():
                count += 1
                try:
                    job = self._job(number, row, seen)
                    asked.update(dict.fromkeys((job.kind, name) for name in job.providers))
                    self._verified(number, job, verify)
                except InvalidInputError as error:
                    wrong += 1
                    problems += [str(error)] * (len(problems) < _MOST_PROBLEMS)
        if wrong:
            more = f"\n... and {wrong - len(problems)} more" if wrong > len(problems) else ""
            raise InvalidInputError(
                f"{wrong} of {count} jobs cannot be run, and nothing was sent:\n"
                + "\n".join(problems)
                + more
            )
        self.total = count
        return list(asked)

    def _verified(self, number: int, job: Job, verify: Callable[[Job], object]) -> None:
        try:
            if verify(job) != "done":
                check_references(job)
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.what} {number}: {error}") from None

    def __iter__(self) -> Iterator[Job]:
        return self.jobs()

    def jobs(self) -> Generator[Job, None, None]:
        """
        Every job, from the first. Close it when you leave it early.

        Raises:
            InvalidInputError: a row is not a job, or has the id of another one.
        """
        with Seen() as seen:
            for number, row in self._rows():
                job = self._job(number, row, seen)
                if not self.again:  # which were checked before
                    self._verified(number, job, lambda job: None)
                yield job

    def _job(self, number: int, row: Any, seen: Seen) -> Job:
        try:
            if isinstance(row, InvalidInputError):
                raise row
            if not isinstance(row, Mapping):
                raise InvalidInputError(f"a job must be a dict, got {type(row).__name__}")
            job = job_of(row, self._defaults, self._folder)
            if not job.providers:
                raise InvalidInputError(
                    "no provider: name one in the job, or for all jobs with provider="
                )
            return self._unique(job, row, seen, number)
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.what} {number}: {error}") from None

    def _unique(self, job: Job, row: Mapping[str, Any], seen: Seen, number: int) -> Job:
        before = seen.get(job.id)
        if before is None:
            seen.put(job.id, str(number))
            return job
        if row.get("id") is not None:
            raise InvalidInputError(f"id {job.id!r} is the id of {self.what} {before} too")
        # The same row again without an id: another image of the same prompt.
        count = int(seen.get(f"{job.id}\0") or 1) + 1
        seen.put(f"{job.id}\0", str(count))
        return Job(**{**vars(job), "id": f"{job.id}-{count}"})

    def _rows(self) -> Iterator[tuple[int, Any]]:
        """(number as a person counts, row); a row that cannot be read is its error."""
        jobs: Any = self._jobs
        if isinstance(jobs, Path):
            return _csv(jobs) if jobs.suffix.lower() in (".csv", ".tsv") else _jsonl(jobs)
        if hasattr(jobs, "to_batches"):  # pyarrow.Table, Dataset
            return _arrow(_batches(jobs))
        if hasattr(jobs, "read_next_batch"):  # pyarrow.RecordBatchReader
            return _arrow(jobs)
        if hasattr(jobs, "to_pylist") and hasattr(jobs, "schema"):  # pyarrow.RecordBatch
            return _arrow([jobs])
        if hasattr(jobs, "itertuples"):  # pandas.DataFrame
            return _pandas(jobs)
        return enumerate(jobs, 1)


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".csv", ".tsv"):
        raise InvalidInputError(
            f"the jobs' file must be .jsonl, .ndjson, .csv or .tsv, got {str(path)!r}"
        )
    if not path.is_file():
        raise InvalidInputError(f"the jobs' file {str(path)!r} does not exist")


def parsed_line(text: str) -> Any:
    """One line of JSONL as a row, or its error."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return InvalidInputError(f"it is not JSON: {error}")
    if not isinstance(row, Mapping):
        return InvalidInputError(f"it must be a JSON object, got {type(row).__name__}")
    return row


def _jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield number, InvalidInputError(f"it is not UTF-8: {error}")
                continue
            if text.strip():
                yield number, parsed_line(text)


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    # utf-8-sig: Excel writes a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=separator, strict=True)
        try:
            names = reader.fieldnames or []
            if len(names) == 1 and ";" in names[0]:
                raise InvalidInputError(
                    f"{path.name}: the columns must be separated by commas, got {names[0]!r}; a spreadsheet saves them as"
                    " 'CSV (comma delimited)', or take a .tsv file"
                )
            if len(set(names)) < len(names):
                raise InvalidInputError(f"{path.name}: a column is there twice: {names}")
            for row in reader:
                if any(row.values()):  # spreadsheets write rows of separators alone
                    yield reader.line_num, _cells(row)
        except UnicodeDecodeError as error:
            raise InvalidInputError(
                f"{path.name} is not UTF-8 ({error}): save it as 'CSV UTF-8'"
            ) from None
        except csv.Error as error:
            raise InvalidInputError(f"{path.name}, line {reader.line_num}: {error}") from None


def _cells(row: Mapping[Any, Any]) -> Any:
    if None in row:
        return InvalidInputError("it has more cells than the header has columns")
    return {name: _cell(name, text) for name, text in row.items() if text}


def _cell(name: str, text: str) -> Any:
    begins = text.lstrip().startswith(("[", "{"))
    is_own = name.startswith("metadata.") and not begins
    if not (name in _NESTED and begins) and not name.startswith(("options.", "metadata.")):
        return text
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    # Metadata come out as they went in: 12E4 and 1.10 are names of articles and versions.
    return text if is_own and json.dumps(value) != text else value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _batches(table: Any) -> Iterator[Any]:
    try:
        yield from table.to_batches(max_chunksize=_ROWS)
    except TypeError:  # a Dataset names it otherwise
        yield from table.to_batches(batch_size=_ROWS)


def _arrow(batches: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            for row in batch.slice(start, _ROWS).to_pylist():
                number += 1
                yield number, row


def _pandas(table: Any) -> Iterator[tuple[int, Any]]:
    names = [str(name) for name in table.columns]
    for number, values in enumerate(table.itertuples(index=False, name=None), 1):
        yield (
            number,
            {
                name: _scalar(value)
                for name, value in zip(names, values, strict=True)
                if not _is_gap(value)
            },
        )


def _is_gap(value: Any) -> bool:
    """None, NaN, NaT and ``pandas.NA``, which is neither equal to itself nor different."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _scalar(value: Any) -> Any:
    """A numpy number as Python's own, and whole where it is: a column with a gap is of floats."""
    if type(value).__module__ == "numpy":
        value = value.tolist()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
