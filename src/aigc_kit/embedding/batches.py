"""
Many texts in requests that the vendor takes: split, sent, put together in order.

Every text gets exactly one vector, whatever a response says: one that has another number of vectors
or other places than were asked is not guessed at, its texts are asked for again one by one.
"""

from __future__ import annotations

import contextvars
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aigc_kit.embedding import estimate, vectors
from aigc_kit.embedding.base import EmbeddingResult, EmbeddingUsage
from aigc_kit.embedding.call import Call
from aigc_kit.embedding.rows import MOST_NUMBERS, TOO_MANY, UNKNOWN_SIZE, Model
from aigc_kit.errors import (
    AIGCError,
    BadRequestError,
    ContextLengthExceededError,
    InvalidReplyError,
)
from aigc_kit.transport.deadline import Deadline, Exchange, mark_sent


@dataclass
class Part:
    """
    What one response says. ``vectors``: for each text that was sent, in order; None where the
    response does not say which one it is.
    """

    vectors: list[array[float] | None]
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    model: str = ""
    request_id: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])


Ask = Callable[[list[str], Deadline], Part]
"""Send texts once."""


def in_order(found: Sequence[tuple[Any, Any]], count: int) -> list[array[float] | None]:
    """
    The vectors of a response by the places that it names.

    Args:
        found: (place, vector) of each entry; place None where the entry names none.
        count: texts that were sent.

    A single text has the single vector, whatever its place says. Entries without places count by
    position when there are as many as texts; places that begin with 1 do when all are there. A place
    that is named twice, or that no text has, is not believed, and nothing is when there are more
    vectors than texts, or one for several: gateways of Gemini merge the texts of a request into one
    vector of place 0.
    """
    if len(found) > count or (len(found) == 1 and count > 1):
        return [None] * count
    if count == 1 and len(found) == 1:
        return [vectors.vector_of(found[0][1])]
    places = [place for place, _ in found]
    if all(place is None for place in places):
        if len(found) != count:
            return [None] * count
        return [vectors.vector_of(value) for _, value in found]
    made: list[array[float] | None] = [None] * count
    told = Counter(place for place in places if type(place) is int)
    first = 1 if told[count] and not told[0] else 0
    if first and len(told) < count:  # each may be the one or the other
        return made
    for place, value in found:
        if type(place) is int and first <= place < count + first and told[place] == 1:
            made[place - first] = vectors.vector_of(value)
    return made


def plan(texts: Sequence[str], facts: Model, call: Call) -> list[list[int]]:
    """
    The places of the texts of each request: as many as the model takes, in order.

    Every request has a text at least, however long it is.
    """
    if facts.is_single:
        return [[place] for place in range(len(texts))]
    size = call.dimensions or facts.size or UNKNOWN_SIZE
    wanted = call.options.batch_size or facts.texts or len(texts)
    most = min(wanted, max(MOST_NUMBERS // size, 1))
    made: list[list[int]] = []
    batch: list[int] = []
    spent = 0
    for place, text in enumerate(texts):
        need = estimate.at_most(text) if facts.tokens else 0
        if batch and (len(batch) >= most or (facts.tokens and spent + need > facts.tokens)):
            made.append(batch)
            batch, spent = [], 0
        batch.append(place)
        spent += need
    return [*made, batch] if batch else made


def embed_all(call: Call, facts: Model, ask: Ask) -> EmbeddingResult:
    """
    One vector for each text of the call.

    Raises:
        ProviderError: a request failed for good; ``result`` has the vectors that came.
    """
    gathered = _Gathered(call, facts, ask)
    batches = plan(call.texts, facts, call)
    error = gathered.run(batches)
    if error is not None:
        if any(vector is not None for vector in gathered.vectors):
            error.result = gathered.result(whole=False)
        raise error
    return gathered.result(whole=True)


class _Stopped(Exception):
    """Another request of the call failed: this one is not sent."""


class _Gathered:
    """What the requests of one call have brought; its threads write to places of their own."""

    def __init__(self, call: Call, facts: Model, ask: Ask) -> None:
        self._call = call
        self._facts = facts
        self._ask = ask
        self._stopped = False
        self._parts: list[tuple[int, Part]] = []
        """(first place, part); appended by several threads."""
        self._tries: list[int] = []
        self.vectors: list[array[float] | None] = [None] * len(call.texts)

    def run(self, batches: list[list[int]]) -> AIGCError | None:
        """Send everything; the failure of the first batch that failed."""
        workers = min(self._call.options.concurrency, len(batches))
        if workers <= 1:
            return self._one_by_one(batches)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="aigc-kit embed")
        try:
            futures = [
                pool.submit(contextvars.copy_context().run, self._guarded, batch)
                for batch in batches
            ]
            failed = self._failure_of(futures)
        except BaseException:
            # Ctrl-C or a worker's time limit: what is on its way ends by its own deadline.
            self._stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown(wait=True)
        return failed

    def _one_by_one(self, batches: list[list[int]]) -> AIGCError | None:
        try:
            for batch in batches:
                self._fill(batch)
        except AIGCError as error:
            return error
        return None

    def _guarded(self, batch: list[int]) -> tuple[bool, BaseException | None]:
        """A batch in a thread of its own: whether anything was sent, and what it failed with."""
        with Exchange() as exchange:
            try:
                self._fill(batch)
            except _Stopped:
                return exchange.sent, None
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                self._stopped = True
                return exchange.sent, error
            return exchange.sent, None

    def _failure_of(self, futures: list[Future[Any]]) -> AIGCError | None:
        """
        Wait for all; requests on their way are paid for, so their vectors are taken too.

        Raises:
            Exception: what is not an error of ours.
        """
        first: AIGCError | None = None
        foreign: BaseException | None = None
        for future in futures:
            sent, error = future.result()
            if sent:
                mark_sent()
            if isinstance(error, AIGCError):
                first = first or error
            else:
                foreign = foreign or error
        if foreign is not None:
            raise foreign
        return first

    def _fill(self, batch: list[int]) -> None:
        """
        The vectors of these places.

        Raises:
            AIGCError: they cannot be had.
        """
        try:
            part = self._sent(batch)
        except BadRequestError as error:
            if len(batch) == 1:
                error.index = batch[0]
            if len(batch) == 1 or not _may_fit_when_smaller(error):
                raise
            # The estimate was too low, or the server takes fewer texts than its row says.
            self._call.warn("batch_size", f"{len(batch)} texts were refused: sent in halves")
            half = len(batch) // 2
            self._fill(batch[:half])
            self._fill(batch[half:])
            return
        fault: InvalidReplyError | None = None
        for place, vector in zip(batch, part.vectors, strict=True):
            try:
                self.vectors[place] = None if vector is None else self._checked(vector, place, part)
            except InvalidReplyError as error:  # the others of this response were paid for
                fault = fault or error
        if fault is not None:
            raise fault
        lacking = [place for place in batch if self.vectors[place] is None]
        if not lacking:
            return
        if len(batch) == 1:
            raise self._invalid("answered one text with no vector, or with several", batch[0], part)
        self._call.warn(
            "vectors",
            f"a response to {len(batch)} texts does not say which vector is whose: {len(lacking)} were sent again, one by one",
        )
        for place in lacking:
            self._fill([place])

    def _sent(self, batch: list[int]) -> Part:
        texts = [self._call.texts[place] for place in batch]

        def attempt(deadline: Deadline) -> Part:
            if self._stopped:
                raise _Stopped
            return self._ask(texts, deadline)

        try:
            part, tries = self._call.options.policy.run(attempt, self._call.deadline)
        except AIGCError as error:
            self._tries.append(error.tries)
            raise
        self._tries.append(tries)
        self._parts.append((batch[0], part))
        return part

    def _checked(self, vector: array[float], place: int, part: Part) -> array[float]:
        """
        The vector with the size that was asked for.

        Raises:
            InvalidReplyError: it has another one.
        """
        wanted = self._call.dimensions
        if wanted is None or len(vector) == wanted:
            return vector
        if self._facts.cuts_here and len(vector) > wanted:
            return vectors.normalised(vectors.cut(vector, wanted))
        raise self._invalid(
            f"answered dimensions={wanted} with {len(vector)} numbers; the model cannot change its size: leave dimensions out",
            place,
            part,
        )

    def _invalid(self, what: str, place: int, part: Part) -> InvalidReplyError:
        error = InvalidReplyError(
            f"{self._call.provider} {what}",
            provider=self._call.provider,
            model=self._call.model,
            request_id=part.request_id,
            status_code=200,
            billed="yes",
        )
        error.index = place
        return error

    def result(self, *, whole: bool) -> EmbeddingResult:
        """
        Args:
            whole: every text has its vector.

        Raises:
            InvalidReplyError: the vectors have different sizes.
        """
        parts = [part for _, part in sorted(self._parts, key=lambda entry: entry[0])]
        sizes = {len(vector) for vector in self.vectors if vector is not None}
        self._normalise()
        as_array = whole and self._call.numpy is not None and len(sizes) <= 1
        found = EmbeddingResult(
            vectors=[] if as_array else vectors.lists(self.vectors),
            dimensions=max(sizes, default=self._call.dimensions or 0),
            model=self._model(parts),
            provider=self._call.provider,
            request_ids=[part.request_id for part in parts if part.request_id],
            attempts=sum(self._tries),
            metadata={"requests": len(parts)},
            headers=self._parts[-1][1].headers if self._parts else {},
        )
        for part in parts:
            found.usage.add(part.usage)
            tokens = max(part.usage.prompt_tokens, part.usage.total_tokens)
            found.spent.append((part.model, tokens))
        found.warnings = list(self._call.warnings)
        if len(sizes) <= 1:
            if as_array:
                found.vectors = self._array(found.dimensions)
            return found
        place = next(
            place
            for place, vector in enumerate(self.vectors)
            if vector is not None and len(vector) != found.dimensions
        )
        error = self._invalid(
            f"answered with vectors of different sizes: {sorted(sizes)}", place, parts[0]
        )
        error.result = found
        raise error

    def _normalise(self) -> None:
        if not self._call.normalize:
            return
        self.vectors = [
            None if vector is None else vectors.normalised(vector) for vector in self.vectors
        ]
        if any(vector is not None and not any(vector) for vector in self.vectors):
            self._call.warn("normalize", "a vector of zeros cannot be normalised")

    def _array(self, dimensions: int) -> Any:
        whole = [vector for vector in self.vectors if vector is not None]
        return vectors.matrix(whole, self._call.numpy, dimensions)

    def _model(self, parts: list[Part]) -> str:
        names = list(dict.fromkeys(part.model for part in parts if part.model))
        if len(names) > 1:
            self._call.warn(
                "model",
                f"several models answered, whose vectors may not be comparable: {', '.join(names)}",
            )
        return names[0] if names else self._call.model


def _may_fit_when_smaller(error: BadRequestError) -> bool:
    if isinstance(error, ContextLengthExceededError) or error.status_code == 413:
        return True
    return bool(TOO_MANY.search(str(error)))
