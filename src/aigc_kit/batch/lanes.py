"""Jobs that wait for their turn: those that may leave, and those that come again at the end."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from aigc_kit.batch.circuit import Circuit
from aigc_kit.batch.jobs import Job
from aigc_kit.batch.limits import Load
from aigc_kit.batch.routes import Route
from aigc_kit.batch.worker import Outcome


@dataclass(eq=False)
class Ticket:
    """
    A job on its way.

    ``place``: of the route that is asked now. ``barred``: places that refused it for good.
    ``tries``: of this route, without 429s, which are ``limited``. ``given``: how often a worker got
    it. ``again``: pay although it may have been paid for. ``outcome``: of the last try.
    """

    job: Job
    routes: list[Route]
    load: Load
    recall: bool = False
    place: int = 0
    barred: set[int] = field(default_factory=set[int])
    tries: int = 0
    limited: int = 0
    given: int = 0
    again: bool = False
    outcome: Outcome | None = None
    sent_at: float = 0.0

    @property
    def route(self) -> Route:
        return self.routes[self.place]

    def others(self) -> Iterator[int]:
        """Places that may still be asked instead of this one, in order."""
        for place in range(len(self.routes)):
            if place != self.place and place not in self.barred:
                yield place

    def leave_for(self, place: int) -> None:
        self.place, self.tries = place, 0


class Lanes:
    """A lane for each route, so that a slow vendor does not hold up the others."""

    def __init__(self, store: Circuit) -> None:
        """
        Args:
            store: of the images' store: without it, nothing is bought.
        """
        self._store = store
        self._lanes: OrderedDict[Route, deque[Ticket]] = OrderedDict()
        self.waiting = 0
        self.given_up: list[Ticket] = []

    def add(self, ticket: Ticket) -> None:
        self._lanes.setdefault(ticket.route, deque()).append(ticket)
        self.waiting += 1

    def routes(self) -> list[Route]:
        return list(self._lanes)

    def next(self, now: float) -> tuple[Ticket | None, float]:
        """
        A ticket whose route is free, or None and the seconds until there may be one. The routes
        take turns. Tickets without a vendor left go to ``given_up``.
        """
        wait = math.inf
        for route in list(self._lanes):
            lane = self._lanes[route]
            while lane and self._moved(lane[0]):
                lane.popleft()
                self.waiting -= 1
            if not lane:
                del self._lanes[route]
                continue
            own = self._wait_of(lane[0], now)
            if own <= 0:
                self._lanes.move_to_end(route)
                self.waiting -= 1
                return lane.popleft(), 0.0
            wait = min(wait, own)
        return None, wait

    def _wait_of(self, ticket: Ticket, now: float) -> float:
        store = self._store.wait(now) if ticket.job.kind == "image" else 0.0
        return store if ticket.recall else max(store, ticket.route.wait(now))

    def _moved(self, ticket: Ticket) -> bool:
        """Whether it left its lane: for a vendor that responds, or because no vendor is left."""
        if ticket.recall or not ticket.route.circuit.is_open:
            return False
        others = list(ticket.others())
        up = [place for place in others if not ticket.routes[place].circuit.is_open]
        if not up and ticket.route.circuit.dead is not None:
            up = [place for place in others if ticket.routes[place].circuit.dead is None]
        if up:
            ticket.leave_for(up[0])
            self.add(ticket)
            return True
        if ticket.route.circuit.dead is None:
            return False
        self.given_up.append(ticket)
        return True


class Later:
    """Tickets that come again, at the end of the queue and not before their time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Ticket]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, ticket: Ticket, at: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, ticket))

    def wait(self, now: float) -> float:
        """Seconds until the first one may come, 0 for now."""
        return max(self._heap[0][0] - now, 0.0)

    def pop(self) -> Ticket:
        return heapq.heappop(self._heap)[2]

    def emptied(self) -> Iterator[Ticket]:
        while self._heap:
            yield self.pop()
