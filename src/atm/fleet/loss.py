"""The books of each worker, and what its loss adds to them, so that the counts of a run still add up exactly.

A lost worker's requests in flight count as unfinished. Its arrivals from then on, and those that waited for a user, are
missed (`skipped`: the generator was the cause); none of them is sent again.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from atm.engine.asyncio_engine.schedule.legs import selector_of
from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.scenario_interval import IterationInterval
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import scenarios_in
from atm.plan.pacer import NEVER, Pacer
from atm.plan.randomness import lane_seed

_Place = tuple[int, bool]
"""The index of a flow or endpoint, and whether it is warm-up."""


class WorkerBooks:
    """Counts what a worker reported, and after its loss fills the gaps in the seconds of the others."""

    def __init__(self, plan: LoadPlan) -> None:
        """`plan` is that of the worker, with its share."""
        self._plan = plan
        self._has_iterations = bool(scenarios_in(plan.flows))
        self._in_flight: Counter[_Place] = Counter()
        self._running: Counter[_Place] = Counter()
        self._taken: Counter[_Place] = Counter()
        """Arrivals of each flow of the open model that were started or missed."""
        self._due: Counter[_Place] = Counter()
        self._first_steps = {flow.steps[0].endpoint: index for index, flow in enumerate(plan.flows) if flow.steps}
        self._arrivals = _merged_arrivals(plan)
        self._next = next(self._arrivals, None)

    def add(self, interval: Interval) -> None:
        """Add a second that the worker reported."""
        for part in interval.endpoints:
            place = (part.endpoint, part.warm_up)
            self._in_flight[place] += part.started - sum(part.outcomes.values())
            flow = self._first_steps.get(part.endpoint)
            if flow is not None:
                self._taken[flow, part.warm_up] += part.missed + (0 if self._has_iterations else part.started)
        for iteration in interval.iterations:
            place = (iteration.flow, iteration.warm_up)
            self._running[place] += iteration.started - iteration.completed - iteration.failed - iteration.unfinished
            self._taken[place] += iteration.started

    def gap(self, second: int, until_ns: int, phase: str) -> Interval:
        """Return what to add to a second of the run after the loss: the arrivals due before `until_ns`.

        The first call adds all that was in flight. Calls come with ascending seconds.
        """
        gap = Interval(second, phase, duration_ns=0)
        for (endpoint, warm_up), count in self._in_flight.items():
            if count > 0:
                part = EndpointInterval(endpoint, warm_up, outcomes={Outcome.UNFINISHED: count})
                gap.endpoints.append(part)
        for (flow, warm_up), count in self._running.items():
            if count > 0:
                gap.iterations.append(IterationInterval(flow, warm_up, unfinished=count))
        self._in_flight.clear()
        self._running.clear()
        for (flow, warm_up), missed in self._missed(until_ns).items():
            endpoint = self._plan.flows[flow].steps[0].endpoint
            gap.endpoints.append(EndpointInterval(endpoint, warm_up, skipped=missed))
            gap.offered += missed
        return gap

    def _missed(self, until_ns: int) -> Counter[_Place]:
        while self._next is not None and self._next[0] < until_ns:
            _, flow, warm_up = self._next
            self._due[flow, warm_up] += 1
            self._next = next(self._arrivals, None)
        missed = +Counter({place: due - self._taken[place] for place, due in self._due.items()})
        self._taken.update(missed)
        return missed


def _merged_arrivals(plan: LoadPlan) -> Iterator[tuple[int, int, bool]]:
    """Yield the intended start, the flow and whether it is warm-up, of every arrival of the share, by time."""
    return heapq.merge(*(_arrivals(plan, index) for index, lane in enumerate(plan.lanes) if lane.load.model == "open"))


def _arrivals(plan: LoadPlan, index: int) -> Iterator[tuple[int, int, bool]]:
    lane, share = plan.lanes[index], plan.share
    pacer = Pacer(lane.load, lane_seed(plan.seed, index))
    select = selector_of(plan, index)
    last = None if lane.total is None else pacer.warm_up_arrivals + lane.total
    end = NEVER if lane.planned_ns is None else lane.load.warm_up_ns + lane.planned_ns
    mine = frozenset(share.residues)
    for offset, moment in enumerate(islice(pacer.starts(), last)):
        if moment >= end:
            return
        if offset % share.of in mine and moment + lane.start_ns >= share.from_ns:
            yield moment + lane.start_ns, select(offset + 1), moment < lane.load.warm_up_ns
