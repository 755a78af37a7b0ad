"""
What a worker does: one job with the process's own client, and its outcome as plain data.

A worker may be a thread, another process or another machine. It gets pickled arguments, builds its
clients once and returns an ``Outcome``; it raises nothing of the library's. Whether a job that was
begun before may be paid for is decided by its journal entry and by the store's claim, so a job that
a scheduler runs again, because its first worker died, does not pay again.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aigc_kit import errors
from aigc_kit.batch.clients import Spec, client_of
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.line import Kind, Status, plain
from aigc_kit.errors import AIGCError, InvalidInputError

Trouble = Literal["", "limited", "down", "refused", "store", "lost", "before", "other"]
"""
What a failure says about the vendor. ``before``: no provider was asked, because of an earlier call.
"""

_TROUBLES: tuple[tuple[type[AIGCError], Trouble], ...] = (
    (errors.RateLimitError, "limited"),
    (errors.AuthenticationError, "refused"),
    (errors.PermissionDeniedError, "refused"),
    (errors.NotFoundError, "refused"),
    (errors.QuotaExceededError, "refused"),
    (errors.MissingCredentialError, "refused"),
    (errors.UnknownProviderError, "refused"),
    (errors.ServerError, "down"),
    (errors.ConnectionFailedError, "down"),
    (errors.OutcomeUnknownError, "down"),
    (errors.StorageError, "store"),
)


@dataclass(frozen=True)
class Terms:
    """
    How this try of a job differs from another one.

    ``recall``: look for what was bought, and do not pay. ``retry_ambiguous``: pay although it may
    have been paid for. ``others``: who may have been asked for it in an earlier run.
    """

    model: str = ""
    recall: bool = False
    retry_ambiguous: bool = False
    others: tuple[tuple[Spec, str], ...] = ()


@dataclass(kw_only=True)
class Outcome:
    """
    What came of one try: the fields of a ``Line``, and what the coordinator steers by.

    ``paid``: whether the image is paid for and waits in the journal. ``local``: whether it failed on
    this machine or at the store, and not at the vendor. ``tokens``: that were used. ``vectors``: of
    an embedding.
    """

    status: Status
    provider: str = ""
    model: str = ""
    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    cost: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    started: float = 0.0
    seconds: float = 0.0
    trouble: Trouble = ""
    retry_after: float | None = None
    paid: bool = False
    local: bool = False
    tokens: float = 0
    vectors: list[Any] | None = None

    @property
    def retryable(self) -> bool:
        return bool(self.error and self.error["retryable"])

    @property
    def unbilled(self) -> bool:
        """Whether it certainly cost nothing."""
        return bool(self.error and self.error["billed"] == "no")


def work(spec: Spec, job: Job, terms: Terms) -> Outcome:
    """One try of one job."""
    began, started = time.monotonic(), time.time()
    with _undisturbed():
        outcome = tried(spec, job, terms)
    outcome.started, outcome.seconds = started, round(time.monotonic() - began, 3)
    outcome.provider = outcome.provider or spec.provider
    return outcome


def tried(spec: Spec, job: Job, terms: Terms) -> Outcome:
    """What came of a job with this process's client; ``work`` adds when and how long."""
    try:
        client = client_of(spec)
    except AIGCError as error:  # so would every other job of this vendor
        return replace(failed(error, job, spec), trouble="refused")
    try:
        return _CALLS[job.kind](client, job, terms)
    except AIGCError as error:
        return failed(error, job, spec)
    except Exception as error:  # noqa: BLE001 - an application's own provider or store raises anything
        return replace(failed(_foreign(error), job, spec), local=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """
    Ctrl-C goes to every process of a terminal. The coordinator stops giving out work; what a worker
    process has begun, it finishes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or multiprocessing.parent_process() is None:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _image(client: Any, job: Job, terms: Terms) -> Outcome:
    options = _image_options(job, terms.model)
    if terms.recall:
        return _recalled(client, job, options, terms)
    try:
        call = client.image_to_image if job.references else client.text_to_image
        result = call(
            job.prompt,
            idempotency_key=job.id,
            max_retries=0,  # the coordinator sends again, at the pace of all workers
            retry_ambiguous=terms.retry_ambiguous,
            **options,
        )
    except errors.IdempotencyConflictError:
        # Of an earlier run, in which a fallback drew it; or really another request.
        found = _drawn_by_another(job, terms)
        if found is None:
            raise
        result = found
    return _of_image(result)


def ask(spec: Spec, job: Job, model: str) -> None:
    """
    The job's call without journal, store or repetition: for those who take its request.

    Raises:
        AIGCError: it cannot be asked for.
    """
    client = client_of(spec)
    given: dict[str, Any] = {"model": model} if model else {}
    if job.kind == "image":
        call = client.image_to_image if job.references else client.text_to_image
        call(job.prompt, max_retries=0, **_image_options(job, model))
    elif job.kind == "chat":
        client.chat(_messages(job), max_retries=0, **job.options, **given)
    else:
        client.embed(_texts(job), max_retries=0, **job.options, **given)


def _messages(job: Job) -> list[Any]:
    return list(job.messages) or [{"role": "user", "content": job.prompt}]


def _texts(job: Job) -> list[str]:
    return list(job.texts) or [job.prompt]


def _image_options(job: Job, model: str) -> dict[str, Any]:
    options = {**job.options, "size": job.size}
    if model:
        options["model"] = model
    if job.references:
        options["reference_images"] = list(job.references)
    return options


def _recalled(client: Any, job: Job, options: dict[str, Any], terms: Terms) -> Outcome:
    try:
        result = client.recall(job.id, job.prompt, **options)
    except errors.IdempotencyConflictError:
        result = _drawn_by_another(job, terms)
        if result is None:
            raise
    if result is None:
        raise errors.OutcomeUnknownError(
            "an earlier run asked for this image, and neither the journal nor the store knows what"
            " became of it: it may have been billed. It is paid for again only with"
            " retry_ambiguous=True"
        )
    return _of_image(result)


def _drawn_by_another(job: Job, terms: Terms) -> Any:
    """The stored image of this job, where one of the others drew it."""
    for spec, model in terms.others:
        options = _image_options(job, model)
        try:
            found = client_of(spec).recall(job.id, job.prompt, **options)
        except AIGCError:
            continue
        if found is not None:
            return found
    return None


def _of_image(result: Any) -> Outcome:
    return Outcome(
        status="done",
        provider=result.provider,
        model=str(result.metadata.get("model") or ""),
        url=result.url,
        metadata=plain(result.metadata),
        cost=_cost_of(result) or result.metadata.get("bought_for"),
    )


def _chat(client: Any, job: Job, terms: Terms) -> Outcome:
    messages = _messages(job)
    options = {**job.options, **({"model": terms.model} if terms.model else {})}
    result = client.chat(messages, max_retries=0, **options)
    metadata: dict[str, Any] = {
        "content": result.content,
        "finish_reason": result.finish_reason,
        "usage": plain(_fields(result.usage)),
        "request_id": result.request_id,
        "warnings": list(result.warnings),
    }
    if result.reasoning_content:
        metadata["reasoning_content"] = result.reasoning_content
    if result.tool_calls:
        metadata["tool_calls"] = [_fields(call) for call in result.tool_calls]
    if result.parsed is not None:
        metadata["parsed"] = plain(result.parsed)
    if result.images:
        lost = f"the answer has {len(result.images)} images, which a batch of chats does not store"
        metadata["warnings"].append({"feature": "images", "details": lost})
    return Outcome(
        status="done",
        provider=result.provider,
        model=result.model,
        metadata=metadata,
        cost=_cost_of(result),
        tokens=_tokens(result.usage),
    )


def _embedding(client: Any, job: Job, terms: Terms) -> Outcome:
    texts = _texts(job)
    options = {**job.options, **({"model": terms.model} if terms.model else {})}
    result = client.embed(texts, max_retries=0, **options)
    tolist = getattr(result.vectors, "tolist", None)
    return Outcome(
        status="done",
        provider=result.provider,
        model=result.model,
        metadata={
            "dimensions": result.dimensions,
            "usage": plain(_fields(result.usage)),
            "request_id": result.request_id,
            "warnings": list(result.warnings),
        },
        cost=_cost_of(result),
        tokens=_tokens(result.usage),
        vectors=tolist() if callable(tolist) else result.vectors,
    )


_CALLS: dict[Kind, Callable[[Any, Job, Terms], Outcome]] = {
    "image": _image,
    "chat": _chat,
    "embedding": _embedding,
}


def _cost_of(result: Any) -> dict[str, Any] | None:
    cost = getattr(result, "cost", None)
    return dict(cost) if isinstance(cost, dict) else None


def _fields(value: Any) -> dict[str, Any]:
    names = getattr(value, "__dataclass_fields__", ())
    return {name: getattr(value, name) for name in names}


def _tokens(usage: Any) -> float:
    total = getattr(usage, "total_tokens", 0)
    return float(total) if isinstance(total, (int, float)) else 0.0


def failed(error: AIGCError, job: Job, spec: Spec) -> Outcome:
    """The outcome of a job that ended with this error."""
    billed = _billed(error)
    status: Status = "unknown" if job.kind == "image" and billed == "unknown" else "failed"
    metadata: dict[str, Any] = {}
    if error.request_id:
        metadata["request_id"] = error.request_id
    if error.attempts:
        metadata["attempts"] = plain(error.attempts)
    return Outcome(
        status=status,
        provider=error.provider or spec.provider,
        model=error.model,
        metadata=metadata,
        cost=(_cost_of(error) or _cost_of(error.result)) if billed != "no" else None,
        error={
            "type": type(error).__name__,
            "code": str(getattr(error, "code", "") or ""),
            "message": str(error),
            "hint": error.hint,
            "retryable": bool(getattr(error, "retryable", False)),
            "billed": billed,
        },
        trouble=_trouble_of(error),
        retry_after=getattr(error, "retry_after", None),
        paid=isinstance(error, errors.StorageError) and error.result is not None,
        local=not isinstance(error, (errors.ProviderError, errors.StructuredOutputError)),
    )


def _trouble_of(error: AIGCError) -> Trouble:
    if isinstance(error, errors.OutcomeUnknownError) and not error.tries:
        return "before"
    return next((word for kind, word in _TROUBLES if isinstance(error, kind)), "other")


def _billed(error: AIGCError) -> str:
    if isinstance(error, errors.ProviderError):
        return error.billed
    if isinstance(error, errors.StructuredOutputError):
        return "yes"
    return "no" if error.result is None else "yes"


def _foreign(error: Exception) -> AIGCError:
    failure = errors.ProviderError(
        f"the provider failed: {type(error).__name__}: {str(error)[:300]}", billed="unknown"
    )
    failure.__cause__ = error
    return failure


def _is_unpicklable(error: BaseException) -> bool:
    """What pickle raises is not always its own."""
    if isinstance(error, pickle.PicklingError):
        return True
    return isinstance(error, (TypeError, AttributeError)) and "pickle" in str(error)


def lost(error: BaseException, job: Job) -> Outcome:
    """The worker, or the way to it, failed: what it did is not known here."""
    if _is_unpicklable(error):  # it never left
        told = InvalidInputError(f"the job cannot be sent to a worker: {str(error)[:300]}")
        return failed(told, job, Spec(key="", kind=job.kind, provider=""))
    return Outcome(
        status="unknown" if job.kind == "image" else "failed",
        error={
            "type": type(error).__name__,
            "code": "",
            "message": f"the worker was lost: {type(error).__name__}: {str(error)[:300]}",
            "hint": "",
            "retryable": True,
            "billed": "unknown",
        },
        started=time.time(),
        trouble="lost",
    )
