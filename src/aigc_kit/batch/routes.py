"""Who may be asked for a job, at what pace, and whether they answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aigc_kit.batch.circuit import Circuit
from aigc_kit.batch.clients import Spec
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.limits import Limit, Load, Pace
from aigc_kit.batch.line import Kind
from aigc_kit.batch.worker import Outcome

_ANSWER_TOKENS = 500
"""Tokens of an answer that are reserved where a job sets no ``max_tokens``; the usage corrects it."""


@dataclass(eq=False)
class Route:
    """
    One vendor and model. ``paces``: the vendor's and the model's own; all of them must be free.
    """

    name: str
    spec: Spec
    model: str
    paces: list[Pace]
    circuit: Circuit = field(default_factory=Circuit)

    def wait(self, now: float) -> float:
        """Seconds until a job may leave by it, 0 for now, inf for not before something ends."""
        return max(self.circuit.wait(now), *(pace.ready(now) for pace in self.paces))

    def left(self, load: Load, now: float) -> None:
        self.circuit.left()
        for pace in self.paces:
            pace.left(load, now)

    def came(self, outcome: Outcome, load: Load, sent_at: float, now: float) -> None:
        """What the outcome of a job says of this vendor."""
        for pace in self.paces:
            if outcome.trouble == "limited":
                pace.refused(load, sent_at, outcome.retry_after, now)
            else:
                pace.came(load, Load(load.images, outcome.tokens), now)
        if outcome.trouble == "limited":
            self.circuit.passed()
        elif outcome.trouble == "down":
            self.circuit.failed(now)
        elif outcome.trouble == "refused" and outcome.error is not None:
            self.circuit.refused(outcome.error)
        elif outcome.trouble in ("store", "lost", "before"):
            self.circuit.passed()
        else:
            self.circuit.worked()


class Routes:
    """The routes of a run. Each vendor's pace is shared by its models."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        make_spec: Callable[[Kind, str], Spec],
        family_of: Callable[[Kind, str], str],
        now: Callable[[], float],
    ) -> None:
        """
        Args:
            limits: by ``"provider"``, ``"provider:model"`` or ``"*"``.
            family_of: the first name of a vendor that has several.
        """
        self._limits = limits
        self._make_spec = make_spec
        self._family_of = family_of
        self._now = now
        self._specs: dict[tuple[Kind, str], Spec] = {}
        self._vendors: dict[tuple[Kind, str], Pace] = {}
        self._routes: dict[tuple[Kind, str, str], Route] = {}

    def of(self, job: Job) -> list[Route]:
        """Who may be asked for it, in order."""
        return [self._route(job, named) for named in job.providers]

    def all(self) -> list[Route]:
        return list(self._routes.values())

    def specs(self) -> list[Spec]:
        return list(self._specs.values())

    def spec(self, kind: Kind, provider: str) -> Spec:
        """How the client of this provider is made."""
        found = self._specs.get((kind, provider))
        if found is None:
            found = self._specs[kind, provider] = self._make_spec(kind, provider)
        return found

    def learned(self) -> dict[str, float]:
        """Requests per minute that 429s taught, by route."""
        found = {route.name: route.paces[-1].learned for route in self._routes.values()}
        return {name: round(rate, 2) for name, rate in found.items() if rate is not None}

    def _route(self, job: Job, named: str) -> Route:
        provider, _, model = named.partition(":")
        model = model or job.model
        key = (job.kind, provider, model)
        found = self._routes.get(key)
        if found is None:
            found = self._routes[key] = self._made(*key)
        return found

    def _made(self, kind: Kind, provider: str, model: str) -> Route:
        family = self._family_of(kind, provider)
        spec = self.spec(kind, provider)
        vendor = self._vendors.get((kind, family))
        if vendor is None:
            named = self._limits.get(provider) or self._limits.get(family)
            given = named or self._limits.get("*") or Limit()
            vendor = self._vendors[kind, family] = Pace(given, self._now())
        own = self._limits.get(f"{provider}:{model}".lower()) or self._limits.get(
            f"{family}:{model}".lower()
        )
        paces = [vendor, Pace(own or Limit(), self._now())]
        return Route(f"{family}:{model}" if model else family, spec, model, paces)


def load_of(job: Job) -> Load:
    """What one request for this job takes of the limits, estimated."""
    if job.kind == "image":
        return Load(images=1)
    size = sum(len(text) for text in job.texts) or len(job.prompt)
    size = max(size, sum(_length(message) for message in job.messages))
    if job.kind == "embedding":
        return Load(tokens=math.ceil(size / 4))
    answer = job.options.get("max_tokens")
    most = answer if isinstance(answer, int) else _ANSWER_TOKENS
    return Load(tokens=math.ceil(size / 4) + most)


def _length(message: object) -> int:
    content = message.get("content") if isinstance(message, Mapping) else None
    return len(content) if isinstance(content, str) else len(str(content or ""))
