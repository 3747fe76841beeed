"""One numbering for the names that the workers of a run announce, each in its own: merged by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.metrics.code_interval import NO_CODE, AnnouncedCheck, AnnouncedEndpoint, CodeInterval
from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.sample import IterationSample
from atm.plan.load_plan import LoadPlan

MOST_ENDPOINTS = 500
"""Most names of requests in one scenario over all workers; further ones are counted together."""

_Place = tuple[int, bool]
"""The index of a flow, and whether it is warm-up."""


@dataclass(slots=True)
class _Worker:
    """The numbers of one worker, with those of the run."""

    endpoints: dict[int, int] = field(default_factory=dict)
    checks: dict[int, int] = field(default_factory=dict)
    ended: Counter[_Place] = field(default_factory=Counter)
    """Its iterations that had ended before this second."""


class CodeNames:
    """The names of scenarios in code over all workers of a run; does nothing for a plan without code."""

    def __init__(self, plan: LoadPlan, workers: int) -> None:
        self._has_code = plan.has_code
        self._planned = len(plan.endpoints)
        self._planned_checks = len(plan.checks)
        self._endpoints = {name: index for index, name in enumerate(plan.endpoints)}
        self._others = {flow: planned.steps[0].endpoint for flow, planned in enumerate(plan.flows) if planned.steps}
        self._of_flow: dict[int, list[int]] = {flow: [] for flow in range(len(plan.flows))}
        """Announced endpoints, by flow."""
        self._described: set[int] = set()
        self._checks: dict[tuple[str, int], int] = {}
        self._workers = [_Worker() for _ in range(workers)]

    def renumbered(self, parts: Sequence[tuple[int, Interval]]) -> list[Interval]:
        """Return the same second of several workers, each with its index, in the numbers of the run."""
        if not self._has_code:
            return [interval for _, interval in parts]
        new: set[int] = set()
        before = [dict(worker.endpoints) for worker in self._workers]
        announced = [self._announced(worker, interval.code, new) for worker, interval in parts]
        return [
            self._renumbered(worker, interval, code, before[worker], new)
            for (worker, interval), code in zip(parts, announced, strict=True)
        ]

    def _announced(self, worker: int, code: CodeInterval, new: set[int]) -> CodeInterval:
        """Learn what a worker announces; return what is new to the run."""
        if not code:
            return NO_CODE
        numbers = self._workers[worker]
        endpoints: list[AnnouncedEndpoint] = []
        checks: list[AnnouncedCheck] = []
        for endpoint in code.endpoints:
            index = self._endpoint(endpoint, new)
            numbers.endpoints[endpoint.index] = index
            if index not in self._described:
                self._described.add(index)
                endpoints.append(replace(endpoint, index=index))
        for check in code.checks:
            place = (check.name, self._number(numbers.endpoints, check.endpoint))
            if place not in self._checks:
                self._checks[place] = self._planned_checks + len(self._checks)
                checks.append(AnnouncedCheck(self._checks[place], *place))
            numbers.checks[check.index] = self._checks[place]
        return replace(code, endpoints=tuple(endpoints), checks=tuple(checks))

    def _endpoint(self, endpoint: AnnouncedEndpoint, new: set[int]) -> int:
        if endpoint.index < self._planned:
            return endpoint.index
        index = self._endpoints.get(endpoint.name)
        if index is None:
            of_flow = self._of_flow[endpoint.scenario]
            if len(of_flow) >= MOST_ENDPOINTS:
                return self._others[endpoint.scenario]
            index = self._endpoints[endpoint.name] = len(self._endpoints)
            of_flow.append(index)
            new.add(index)
        return index

    def _number(self, numbers: dict[int, int], index: int) -> int:
        return index if index < self._planned else numbers[index]

    def _renumbered(
        self, worker: int, interval: Interval, code: CodeInterval, before: dict[int, int], new: set[int]
    ) -> Interval:
        numbers = self._workers[worker]

        def endpoint(index: int) -> int:
            return self._number(numbers.endpoints, index)

        def check(index: int) -> int:
            return index if index < self._planned_checks else numbers.checks[index]

        def iteration(sample: IterationSample) -> IterationSample:
            steps = tuple(
                replace(
                    step,
                    sample=replace(step.sample, endpoint=endpoint(step.sample.endpoint)),
                    checks=tuple((check(index), passed) for index, passed in step.checks),
                )
                for step in sample.steps
            )
            return replace(sample, steps=steps)

        return replace(
            interval,
            endpoints=[
                *(replace(part, endpoint=endpoint(part.endpoint)) for part in interval.endpoints),
                *self._not_reached(numbers, interval, set(before.values()), new),
            ],
            failures=[replace(group, endpoint=endpoint(group.endpoint)) for group in interval.failures],
            samples=[replace(sample, endpoint=endpoint(sample.endpoint)) for sample in interval.samples],
            sampled_iterations=[iteration(sample) for sample in interval.sampled_iterations],
            checks=[replace(part, check=check(part.check)) for part in interval.checks],
            code=code,
        )

    def _not_reached(
        self, worker: _Worker, interval: Interval, announced_here: set[int], new: set[int]
    ) -> list[EndpointInterval]:
        """Return the iterations of a worker that ended without the endpoints that only others have announced.

        What a worker announces later it counts for all its iterations: those counted here before are taken back.
        """
        ended: Counter[_Place] = Counter()
        for part in interval.iterations:
            ended[part.flow, part.warm_up] += part.completed + part.failed
        announced = set(worker.endpoints.values())
        parts: list[EndpointInterval] = []
        for (flow, warm_up), before in {**dict.fromkeys(ended, 0), **worker.ended}.items():
            now = ended[flow, warm_up]
            for endpoint in self._of_flow[flow]:
                if endpoint in announced_here or (endpoint in announced and endpoint in new):
                    continue
                earlier = before if endpoint in new else 0
                count = -before if endpoint in announced else earlier + now
                if count:
                    parts.append(EndpointInterval(endpoint, warm_up, not_reached=count))
        worker.ended.update(ended)
        return parts
