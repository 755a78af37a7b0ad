"""
A run in the vendors' own batches: submit, wait, collect; also after a crash, and days later.

What costs money is the request that makes a batch. Before it leaves, the ledger has the file's id; when
its response is lost, the vendor's list of batches tells whether there is one of that file, and it is
taken over instead of being made again. Responses are given to the same calls as live ones are, so that
images are stored, errors typed and costs counted in the same way.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from aigc_kit import errors
from aigc_kit.batch.clients import Spec, release
from aigc_kit.batch.clock import Clock
from aigc_kit.batch.engine import Counts
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.line import Kind
from aigc_kit.batch.progress import Progress, shown
from aigc_kit.batch.seen import Seen
from aigc_kit.batch.setup import Run
from aigc_kit.batch.stops import Stops
from aigc_kit.batch.vendor import blocking
from aigc_kit.batch.vendor.ledger import OPEN, Batch, Ledger
from aigc_kit.batch.vendor.results import Results, outcome_of, refused, without_result
from aigc_kit.batch.vendor.service import Answered, Service, may_exist, text_of
from aigc_kit.batch.vendor.services import INSTEAD, OFFERS, Offer
from aigc_kit.batch.worker import Outcome, Terms, ask, failed, tried
from aigc_kit.errors import AIGCError, ConfigurationError, InvalidInputError, ProviderError
from aigc_kit.transport.offline import Taken, request_of

FIRST_POLL = 15.0
LONGEST_POLL = 300.0
"""Seconds between two looks at the batches."""

NOT_THERE_AFTER = 600.0
"""Seconds after which a batch that the vendor does not list is not expected to appear any more."""


def run(run: Run, asked: list[tuple[Kind, str]]) -> tuple[Counts, dict[str, float]]:
    """
    Run all jobs in batches of the vendors.

    Raises:
        ConfigurationError: a vendor has no batches for this, or the jobs cannot be read twice.
        StorageError: the manifest or the ledger cannot be written.
    """
    if not run.source.again:
        raise ConfigurationError(
            "mode='vendor' reads the jobs again when their results come: pass a file, a list or a table, not an iterator"
        )
    families = {run.family(kind, named.partition(":")[0]) for kind, named in asked}
    if families and families <= blocking.FAMILIES:
        return blocking.run(run, asked)
    for kind, named in asked:
        _offer(run, kind, named.partition(":")[0])
    with Ledger(run.manifest.folder) as ledger, Batches(run, ledger) as batches:
        batches.run()
    return batches.counts, {}


def _offer(run: Run, kind: Kind, provider: str) -> Offer:
    family = run.family(kind, provider)
    offer = OFFERS.get(family)
    if offer is None or kind not in offer.most:
        own = INSTEAD.get(family) or f"there are {', '.join(sorted(OFFERS))}"
        raise ConfigurationError(
            f"{provider!r} has no batches for kind {kind!r}: {own}. Run them with mode='live'"
        )
    return offer


class Batches:
    """The batches of one run; a context manager."""

    def __init__(self, run: Run, ledger: Ledger) -> None:
        self.counts = Counts(progress=Progress(total=run.source.total))
        self._run = run
        self._ledger = ledger
        self._services: dict[str, Service] = {}
        self._specs: dict[tuple[Kind, str], Spec] = {}
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._clock = Clock()
        self._shown = shown(run.settings.progress)
        self._collected: set[str] = set()
        self._missing: dict[str, int] = {}
        """Jobs that are not among these any more; their results stay where they are."""
        self._unsettled = 0
        """Jobs that have their results, and could not be finished on this machine."""
        self._gone: dict[str, str] = {}
        """Batches that their vendor does not have any more, and what it said."""
        self._stuck: ProviderError | None = None
        self._members = Seen()
        """Id of a job -> the batch that it is in."""

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *exc: object) -> None:
        for service in self._services.values():
            service.close()
        for spec in self._specs.values():
            release([spec.key, spec.asking().key])
        self._members.close()
        self._shown.close()

    def run(self) -> None:
        """Submit what is not at a vendor yet, wait, and collect what comes."""
        with Stops(self._events) as stops:
            for batch in self._ledger.in_state(*OPEN, "fetched", "refused", "lost"):
                for name in self._ledger.ids(batch.key):
                    self._members.put(name, batch.key)
            if self._run.settings.retry_ambiguous:
                self._give_up()
            self._submit(stops)
            while True:
                self._advance(stops)
                self._collect()
                if self._stuck is not None:
                    raise self._stuck
                if not self._under_way() or stops.signal or not self._wait(stops):
                    break
            self.counts.interrupted = stops.signal
        left = self._under_way()
        self.counts.exhausted = True
        self.counts.not_run = self.counts.at_vendor = sum(batch.jobs for batch in left)
        if self._missing:
            self.counts.notes.append(
                f"{sum(self._missing.values())} jobs of earlier batches are not among these; their results are kept in"
                f" {str(self._ledger.folder)!r}"
            )
        if self._unsettled:
            self.counts.notes.append(
                f"{self._unsettled} jobs have their results and could not be finished here: resume=True and mode='vendor' does"
                " it without a second payment"
            )
        if left:
            self.counts.notes.append(
                f"{len(left)} batches with {self.counts.not_run} jobs are at the vendor: collect them with resume=True and"
                " mode='vendor' (aigc-kit batch --resume --vendor-batch)"
            )

    def _under_way(self) -> list[Batch]:
        return [batch for batch in self._ledger.in_state(*OPEN) if batch.key not in self._gone]

    # ---- submitting

    def _give_up(self) -> None:
        """Forget the batches that their vendors do not have any more: their jobs are paid for again."""
        for batch in self._ledger.in_state("submitted"):
            self._look(batch)
            if batch.key in self._gone:
                for name in self._ledger.ids(batch.key):
                    self._members.put(name, "")
                self._ledger.close(batch)

    def _submit(self, stops: Stops) -> None:
        """Write the requests of every job that is new into files, and make batches of them."""
        with ExitStack() as stack:
            open_files: dict[tuple[Kind, str, str, str], _Part] = {}
            for job in self._run.source:
                if stops.signal:
                    break
                left = self._run.left(job)
                if left == "done":
                    self.counts.progress.skipped += 1
                elif self._members.get(job.id) or (left == "open" and self._recalled(job)):
                    continue
                elif left == "open" and not self._run.settings.retry_ambiguous:
                    self.counts.progress.unknown += 1  # its line says so already
                else:
                    self._take(job, open_files, stack)
            for part in open_files.values():
                if not stops.signal:
                    self._make(part)

    def _recalled(self, job: Job) -> bool:
        """Whether an earlier run paid for the image of this job; it is finished then."""
        if job.kind != "image":
            return False
        (provider, model), *others = (name.partition(":")[::2] for name in job.providers)
        asked = tuple((self._spec("image", name), own or job.model) for name, own in others)
        terms = Terms(model or job.model, recall=True, others=asked)
        outcome = tried(self._spec("image", provider), job, terms)
        if outcome.status != "done" and not outcome.paid:
            return False
        self._write(job, outcome)
        return True

    def _take(
        self, job: Job, parts: dict[tuple[Kind, str, str, str], _Part], stack: ExitStack
    ) -> None:
        """The job's request, into the file of its kind, vendor, model and endpoint."""
        provider, _, model = job.providers[0].partition(":")
        model = model or job.model
        offer = _offer(self._run, job.kind, provider)
        try:
            taken = self._request(job, provider, model)
            where = (job.kind, provider, model, taken.url.partition("?")[0])
            part = parts.get(where)
            if part is None:
                spec = self._spec(job.kind, provider)
                service = offer.open(provider, taken, spec.options)
                part = parts[where] = stack.enter_context(
                    _Part(self._ledger, service, job.kind, provider, model)
                )
            line = text_of(part.service.line(job.id, taken))
            if len(line) > offer.bytes:
                raise InvalidInputError(
                    f"the request has {len(line):,} bytes, and {provider}'s batches take {offer.bytes:,}"
                )
        except AIGCError as error:
            self._write(job, failed(error, job, self._spec(job.kind, provider)))
            return
        if part.names and (
            len(part.names) >= offer.most[job.kind] or part.size + len(line) > offer.bytes
        ):
            self._make(part)
            part.begin()
        part.add(job.id, line)
        self._members.put(job.id, part.key)

    def _request(self, job: Job, provider: str, model: str) -> Taken:
        """
        Raises:
            AIGCError: the job cannot be asked for, or not in one request.
        """
        spec = self._spec(job.kind, provider).asking()
        taken = request_of(lambda: ask(spec, job, model))
        if job.kind == "embedding":
            sent = json.loads(taken.body).get("input")
            if isinstance(sent, list) and len(sent) != max(len(job.texts), 1):
                raise InvalidInputError(
                    f"the job has {len(job.texts)} texts, and one request takes {len(sent)}: split it into several jobs"
                )
        return taken

    def _spec(self, kind: Kind, provider: str) -> Spec:
        known = self._specs.get((kind, provider))
        if known is None:
            known = self._specs[kind, provider] = self._run.spec(kind, provider)
        return known

    def _make(self, part: _Part) -> None:
        """Upload a file and make its batch; a failure is for ``_advance`` to repeat."""
        if not part.names:
            return
        batch = self._ledger.put(part.sealed(), at=time.time())
        self.counts.tries += batch.jobs
        self._services[batch.key] = part.service
        part.lent = True
        self._begin(batch)

    def _begin(self, batch: Batch) -> None:
        """One step or more of a batch that is not at the vendor yet, as far as it goes now."""
        service = self._service(batch)
        if batch.state == "creating":
            self._found(batch, service)
            return
        if batch.state == "prepared":
            try:
                file = service.upload(self._ledger.requests(batch.key))
            except AIGCError as error:
                self._put_off(batch, error)
                return
            batch = self._ledger.put(batch, state="uploaded", file=file, at=time.time())
        batch = self._ledger.put(batch, state="creating", at=time.time())
        try:
            name = service.create(batch.file, batch.key)
        except ProviderError as error:
            if not may_exist(error):  # else the vendor's list tells
                batch = self._ledger.put(batch, state="uploaded", at=time.time())
                self._put_off(batch, error)
            return
        self._ledger.put(batch, state="submitted", id=name, at=time.time())

    def _found(self, batch: Batch, service: Service) -> None:
        """Take over a batch whose id was lost on the way."""
        name = service.find(batch.file, batch.key)
        if name:
            self._ledger.put(batch, state="submitted", id=name, at=time.time())
        elif time.time() - batch.at > NOT_THERE_AFTER:
            self._ledger.put(batch, state="lost", at=time.time())

    def _put_off(self, batch: Batch, error: AIGCError) -> None:
        """Later again, or never: nothing was paid for."""
        if getattr(error, "retryable", False):
            return
        told = failed(error, _nobody(batch), self._spec(batch.kind, batch.provider))
        self._ledger.put(batch, state="refused", error=told.error, at=time.time())

    def _service(self, batch: Batch) -> Service:
        """
        The vendor's service; of an earlier process's batch, with the credentials of its first job's
        request.

        Raises:
            ConfigurationError: none of its jobs is among these.
        """
        found = self._services.get(batch.key)
        if found is not None:
            return found
        for job in self._run.source:
            if self._members.get(job.id) == batch.key:
                taken = self._request(job, batch.provider, batch.model)
                options = self._spec(batch.kind, batch.provider).options
                offer = _offer(self._run, batch.kind, batch.provider)
                made = offer.open(batch.provider, taken, options)
                self._services[batch.key] = made
                return made
        raise ConfigurationError(
            f"none of the jobs of {batch.provider}'s batch {batch.id or batch.key} is among these: pass the jobs that it was"
            " made of"
        )

    # ---- waiting

    def _advance(self, stops: Stops) -> None:
        """Look at every batch that is not here yet."""
        for batch in self._ledger.in_state(*OPEN):
            if stops.signal:
                return
            if batch.state == "submitted":
                self._look(batch)
                continue
            try:
                self._begin(batch)
            except ProviderError as error:
                self._repeat_later(error)

    def _look(self, batch: Batch) -> None:
        """Fetch the results of a batch that has ended."""
        if batch.key in self._gone:
            return
        service = self._service(batch)
        try:
            look = service.look(batch.id)
            if look.ended:
                self._fetch(batch, service, look.files)
                self._ledger.put(batch, state="fetched", said=look.said, at=time.time())
        except errors.NotFoundError as error:
            self._gone[batch.key] = str(error)
        except ProviderError as error:
            self._repeat_later(error)

    def _repeat_later(self, error: ProviderError) -> None:
        """Nothing is lost by waiting; what does not pass by itself ends the run after the others are collected."""
        if not error.retryable and self._stuck is None:
            self._stuck = error

    def _fetch(self, batch: Batch, service: Service, files: tuple[str, ...]) -> None:
        """All results, whole, on this machine: the vendor keeps them for a day or two."""
        path = self._ledger.results(batch.key)
        beside = path.with_suffix(".part")
        try:
            with open(beside, "wb") as out:
                for name in files:
                    for piece in service.content(name):
                        out.write(piece)
                    out.write(b"\n")
                out.flush()
                os.fsync(out.fileno())
            os.replace(beside, path)
        except ProviderError:  # a broken connection is an OSError too
            raise
        except OSError as error:
            raise errors.StorageError(f"{str(path)!r} cannot be written: {error}") from error

    def _wait(self, stops: Stops) -> bool:
        """Until the next look; False when the run does not wait."""
        if not self._run.settings.wait:
            return False
        youngest = max(batch.at for batch in self._under_way())
        pause = min(max((time.time() - youngest) / 10, FIRST_POLL), LONGEST_POLL)
        until = self._clock.now() + pause
        self._shown.update(self.counts.progress)
        while (left := until - self._clock.now()) > 0 and not stops.signal:
            self._clock.wait(self._events, left)
        return not stops.signal

    # ---- collecting

    def _collect(self) -> None:
        """Give every response that is here to its job, in one pass over the jobs."""
        batches = {
            batch.key: batch
            for batch in (
                *self._ledger.in_state("fetched", "refused", "lost"),
                *(batch for batch in self._ledger.in_state(*OPEN) if batch.key in self._gone),
            )
            if batch.key not in self._collected
        }
        if not batches:
            return
        with ExitStack() as stack:
            results = {
                key: stack.enter_context(
                    Results(self._ledger.results(key), self._service(batch).answer)
                )
                for key, batch in batches.items()
                if batch.state == "fetched"
            }
            workers = stack.enter_context(
                ThreadPoolExecutor(self._run.settings.concurrency, thread_name_prefix="aigc-batch")
            )
            found, kept = self._give_out(batches, results, workers)
        self._run.manifest.sync()
        self._collected.update(batches)
        self._unsettled += kept.total()
        for batch in batches.values():
            if found[batch.key] < batch.jobs:
                self._missing[batch.key] = batch.jobs - found[batch.key]
            elif not kept[batch.key] and batch.key not in self._gone:
                self._ledger.close(batch)

    def _give_out(
        self, batches: dict[str, Batch], results: dict[str, Results], workers: ThreadPoolExecutor
    ) -> tuple[Counter[str], Counter[str]]:
        """How many jobs of each batch are among these, and how many of them are not finished."""
        found, kept = Counter[str](), Counter[str]()
        under_way: deque[tuple[Job, Batch, Future[Outcome]]] = deque()

        def end(job: Job, batch: Batch, done: Future[Outcome]) -> None:
            outcome = done.result()
            kept[batch.key] += outcome.local and batch.state == "fetched"
            self._write(job, outcome)

        for job in self._run.source:
            batch = batches.get(self._members.get(job.id) or "")
            if batch is None:
                continue
            found[batch.key] += 1
            if self._run.left(job) != "done":
                held = results.get(batch.key)
                answer = None if held is None else held.of(self._service(batch).name(job.id))
                under_way.append((job, batch, workers.submit(self._outcome, job, batch, answer)))
            if len(under_way) >= 2 * self._run.settings.concurrency:
                end(*under_way.popleft())
        for job, batch, done in under_way:
            end(job, batch, done)
        return found, kept

    def _outcome(self, job: Job, batch: Batch, answer: Answered | None) -> Outcome:
        if batch.state == "refused":
            return refused(batch)
        if answer is None:
            return without_result(job, batch, self._gone.get(batch.key, ""))
        price = _offer(self._run, job.kind, batch.provider).price
        return outcome_of(self._spec(job.kind, batch.provider), job, batch, answer, price)

    def _write(self, job: Job, outcome: Outcome) -> None:
        line = self._run.record(job, outcome, 1)
        progress = self.counts.progress
        setattr(progress, line.status, getattr(progress, line.status) + 1)
        if self._run.settings.on_line is not None:
            self._run.settings.on_line(line)
        self._shown.update(progress)


class _Part:
    """A file of requests that grows; a context manager."""

    def __init__(
        self, ledger: Ledger, service: Service, kind: Kind, provider: str, model: str
    ) -> None:
        self.service = service
        self.lent = False
        self._ledger = ledger
        self._facts: dict[str, Any] = {"kind": kind, "provider": provider, "model": model}
        self.begin()

    def begin(self) -> None:
        """The next file, for another batch of the same service."""
        self.key = f"aigc-{secrets.token_hex(8)}"
        self.names: list[str] = []
        self.size = 0
        self._file = open(self._ledger.requests(self.key), "wb")  # noqa: SIM115 - closed by sealed

    def add(self, name: str, line: bytes) -> None:
        self._file.write(line + b"\n")
        self.names.append(name)
        self.size += len(line) + 1

    def sealed(self) -> Batch:
        """The batch of what is in the file, which is whole on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._ledger.keep_ids(self.key, self.names)
        return Batch(key=self.key, jobs=len(self.names), **self._facts)

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._file.closed:  # nothing was made of it
            self._file.close()
            self._ledger.requests(self.key).unlink(missing_ok=True)
        if not self.lent:
            self.service.close()


def _nobody(batch: Batch) -> Job:
    """For the error of a whole batch."""
    return Job(
        id="",
        kind=batch.kind,
        prompt="",
        size="",
        references=(),
        providers=(batch.provider,),
        model=batch.model,
        messages=(),
        texts=(),
        options={},
        metadata={},
        digest="",
    )
