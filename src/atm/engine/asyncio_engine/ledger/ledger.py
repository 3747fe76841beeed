"""The ledger of a run: collects the current second and emits it as an interval; holds counts that span seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from atm.engine.asyncio_engine.ledger.code_books import CodeBooks
from atm.engine.asyncio_engine.ledger.data_books import DataBooks
from atm.engine.asyncio_engine.ledger.endpoint_figures import Counts, EndpointFigures, as_histogram, bucketed
from atm.engine.asyncio_engine.ledger.health import Health
from atm.engine.asyncio_engine.ledger.iteration_sampler import IterationSampler
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.ledger.sampler import Sampler
from atm.metrics.code_interval import NO_CODE
from atm.metrics.interval import EndpointInterval, FailureGroup, Interval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER, SECOND

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.ledger.own_books import OwnBooks


class LoadState(NamedTuple):
    """The state of the load at the end of a second."""

    phase: str
    offered: float
    """Arrivals due since the start of the run."""
    users: int
    in_flight: int
    waiting: int


class IterationBooks:
    """Iterations of one flow in the current second, warm-up or measured load."""

    __slots__ = (
        "_active_time",
        "_time",
        "code_ns",
        "completed",
        "drained",
        "failed",
        "flow",
        "started",
        "unfinished",
        "warm_up",
    )

    def __init__(self, flow: int, *, warm_up: bool) -> None:
        self.flow = flow
        self.warm_up = warm_up
        self._clear()

    def complete(self, time: int, active_time: int) -> None:
        """Count an iteration that came to its end, with its time in ns, and that without think time."""
        self.completed += 1
        bucketed(self._time, time)
        bucketed(self._active_time, active_time)

    def take(self) -> IterationInterval | None:
        """Return the counts since the last call, None if there were none."""
        if not (self.started or self.completed or self.failed or self.unfinished or self.code_ns):
            return None
        taken = IterationInterval(
            self.flow,
            self.warm_up,
            self.started,
            self.completed,
            self.failed,
            self.unfinished,
            as_histogram(self._time),
            as_histogram(self._active_time),
            self.drained,
            self.code_ns,
        )
        self._clear()
        return taken

    def _clear(self) -> None:
        self.started = self.completed = self.failed = self.unfinished = self.drained = self.code_ns = 0
        self._time: Counts = defaultdict(int)
        self._active_time: Counts = defaultdict(int)


class CheckBooks:
    """Evaluations of the plan's checks in the current second, warm-up or measured load, by index."""

    def __init__(self, checks: int, *, warm_up: bool) -> None:
        self._warm_up = warm_up
        self._counts = [[0, 0] for _ in range(checks)]
        self._touched: set[int] = set()

    def grow(self, checks: int) -> None:
        """Make room for checks that are used first."""
        self._counts += [[0, 0] for _ in range(checks - len(self._counts))]

    def count(self, check: int, *, passed: bool) -> None:
        """Count an evaluation."""
        self._counts[check][passed] += 1
        self._touched.add(check)

    def take(self) -> list[CheckInterval]:
        """Return the counts since the last call, in the order of the checks."""
        taken = []
        for check in sorted(self._touched):
            failed, passed = self._counts[check]
            taken.append(CheckInterval(check, self._warm_up, passed, failed))
            self._counts[check] = [0, 0]
        self._touched.clear()
        return taken


class Ledger:
    """Counts on the engine's thread. Times: ns of the monotonic clock."""

    def __init__(self, plan: LoadPlan, masker: Masker, on_interval: Callable[[Interval], None]) -> None:
        endpoints = range(len(plan.endpoints))
        flows = range(len(plan.flows))
        self.warm_up = [EndpointFigures(endpoint, warm_up=True) for endpoint in endpoints]
        self.measured = [EndpointFigures(endpoint, warm_up=False) for endpoint in endpoints]
        self._iterations = {
            warm_up: [IterationBooks(flow, warm_up=warm_up) for flow in flows] for warm_up in (True, False)
        }
        self._checks = {warm_up: CheckBooks(len(plan.checks), warm_up=warm_up) for warm_up in (True, False)}
        self.data = DataBooks(plan.data, is_shared=plan.share.of > 1)
        self.health = Health()
        self.sampler = Sampler(plan.sampling, len(plan.endpoints), masker)
        self.iteration_sampler = IterationSampler(plan, masker)
        self.code = CodeBooks(plan, masker) if plan.has_code else None
        """None in a plan without code."""
        self.own = _own_books(plan, self)
        """Values of the metrics that the test declares; None if it declares none."""
        self.counts_iterations = any(flow.counts_iterations for flow in plan.flows)
        """False where each iteration is a single request, whose figures already cover it."""
        self._on_interval = on_interval
        self._second = plan.share.from_ns // SECOND
        self._offered = 0.0
        self.epoch = 0
        """The start of the run: the intended start of the first request."""
        self.second_end = NEVER
        """The end of the current second; call `roll` before counting anything later."""
        self.roll: Callable[[int], None] = _not_begun
        """Emits the seconds that have ended by a given time; set by `begin`, because it needs the state of the load."""

    def begin(self, epoch: int, roll: Callable[[int], None]) -> None:
        """Start the first second."""
        self.epoch = epoch
        self.second_end = epoch + (self._second + 1) * SECOND
        self.sampler.epoch = self.iteration_sampler.epoch = epoch
        self.roll = roll
        if self.own is not None:
            self.own.begin()

    def books(self, flow: int, *, is_warm_up: bool) -> IterationBooks:
        """Return the iteration books of a flow."""
        return self._iterations[is_warm_up][flow]

    def checks(self, *, is_warm_up: bool) -> CheckBooks:
        """Return the books of the plan's checks."""
        return self._checks[is_warm_up]

    def code_endpoint(self, flow: int, name: str, method: str, url: str) -> int:
        """Return the endpoint of a name in a scenario in code, which may be new."""
        assert self.code is not None
        index = self.code.endpoint(flow, name, method, url)
        while len(self.measured) < self.code.endpoints:
            self.warm_up.append(EndpointFigures(len(self.warm_up), warm_up=True))
            self.measured.append(EndpointFigures(len(self.measured), warm_up=False))
            self.sampler.add_endpoint()
        return index

    def count_code_check(self, name: str, endpoint: int, *, passed: bool, is_warm_up: bool) -> int | None:
        """Count a check of a scenario in code, which may be new; return its index, None beyond the limit."""
        assert self.code is not None
        index = self.code.checks.get((name, endpoint))
        if index is None:
            index = self.code.new_check(name, endpoint)
            if index is None:
                return None
            for books in self._checks.values():
                books.grow(len(self.code.checks))
        self._checks[is_warm_up].count(index, passed=passed)
        return index

    def end_second(self, state: LoadState) -> None:
        """Emit the full second that has ended, and start the next one."""
        self._emit(SECOND, state)
        self._second += 1
        self.second_end += SECOND

    def end_last_second(self, end: int, state: LoadState) -> None:
        """Emit the last, partial second, up to `end`."""
        self._emit(max(1, end - self.second_end + SECOND), state)

    def _emit(self, duration: int, state: LoadState) -> None:
        if self.code is not None:
            for (endpoint, warm_up), count in self.code.not_reached().items():
                (self.warm_up if warm_up else self.measured)[endpoint].count_not_reached(count)
        endpoints, failures = self._taken()
        interval = Interval(
            second=self._second,
            phase=state.phase,
            duration_ns=duration,
            offered=state.offered - self._offered,
            endpoints=endpoints,
            generator=self.health.take(state.users, state.in_flight, state.waiting),
            failures=failures,
            samples=self.sampler.take(),
            iterations=self._taken_iterations(),
            checks=self._taken_checks(),
            data=self.data.take(),
            sampled_iterations=self.iteration_sampler.take(),
            code=NO_CODE if self.code is None else self.code.take(),
            own=[] if self.own is None else self.own.take(),
        )
        self._offered = state.offered
        self._on_interval(interval)

    def _taken(self) -> tuple[list[EndpointInterval], list[FailureGroup]]:
        """Return the figures per endpoint, in order, warm-up before measured load."""
        intervals: list[EndpointInterval] = []
        failures: list[FailureGroup] = []
        for pair in zip(self.warm_up, self.measured, strict=True):
            for figures in pair:
                taken = figures.take()
                if taken:
                    intervals.append(taken[0])
                    failures.extend(taken[1])
        return intervals, failures

    def _taken_iterations(self) -> list[IterationInterval]:
        """Return the books per flow, in order, warm-up before measured load; empty if each iteration is one request."""
        if not self.counts_iterations:
            return []
        pairs = zip(self._iterations[True], self._iterations[False], strict=True)
        return [taken for pair in pairs for books in pair if (taken := books.take())]

    def _taken_checks(self) -> list[CheckInterval]:
        """Return the evaluations per check, in order, warm-up before measured load."""
        taken = [*self._checks[True].take(), *self._checks[False].take()]
        return sorted(taken, key=lambda check: check.check)


def _own_books(plan: LoadPlan, ledger: Ledger) -> OwnBooks | None:
    if not plan.own_metrics:
        return None
    # Imported here because few tests declare metrics.
    from atm.engine.asyncio_engine.ledger.own_books import OwnBooks

    return OwnBooks(plan.own_metrics, plan.warm_up_ns, ledger)


def _not_begun(_now: int) -> None:
    raise AssertionError("the first second has not begun")
