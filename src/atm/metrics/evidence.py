"""The input of the measurement verdict: the generator's figures, taken from a collector."""

from __future__ import annotations

from atm.dataclass import dataclass
from atm.metrics.collector import Collector
from atm.models.fleet_figures import FleetFigures
from atm.models.outcome import Outcome
from atm.models.outline import OpenLane
from atm.models.run_figures import BlockingFigures

LAG_SUSPECT_MS = 1.0
LAG_SUSPECT_SHARE = 0.1
LAG_INVALID_MS = 10.0


def lag_limits_ms(service_p50_ms: float | None) -> tuple[float, float]:
    """Return above which schedule lag a measurement is suspect, and invalid."""
    service = service_p50_ms or 0.0
    return max(LAG_SUSPECT_MS, LAG_SUSPECT_SHARE * service), max(LAG_INVALID_MS, service)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Facts about a run's generator that its intervals do not hold."""

    engine: str = ""
    """`native` or `asyncio`."""
    cores: int = 1
    """Cores available to the engine."""
    poisson: bool = False
    """Arrivals are random, so their number differs from the integral of the rate."""
    worker_lost: str = ""
    """The message of a load thread or machine that died; empty if none did."""
    fleet: FleetFigures | None = None
    """The workers of a run on several of them."""
    other_run: str = ""
    """The name or id of another run on this host at the same time; empty if there was none."""
    open_lanes: tuple[OpenLane, ...] | None = None
    """Of a run with several loads, those that are open; None for a run with one."""
    cancelled: bool = False
    """The run was cancelled, and the requests in flight with it."""


@dataclass(frozen=True, slots=True)
class LaneEvidence:
    """The arrivals of one open load among several, in the measured load."""

    name: str
    started: int
    missed: int
    skipped: int

    @property
    def due(self) -> int:
        return self.started + self.missed


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures to judge, of the measured load. Times in ns."""

    circumstances: Circumstances
    window_ns: int
    started: int = 0
    """Requests."""
    iterations: int | None = None
    """Iterations of open scenarios that started: their arrivals; None where each request is an arrival."""
    has_prepared_users: bool = False
    """Arrivals wait for users who are prepared in the background."""
    missed: int = 0
    dropped: int = 0
    skipped: int = 0
    queued_at_end: int = 0
    waited: int = 0
    unfinished: int = 0
    generator_errors: int = 0
    generator_error: str = ""
    """The most frequent message of a generator error."""
    offered: float = 0.0
    """Arrivals due; 0 in the closed model."""
    offered_while_free: float = 0.0
    """Of these, those in seconds in which a user was free throughout."""
    unaccounted: float = 0.0
    """Arrivals due that the engine neither started nor counted as missed."""
    lanes: tuple[LaneEvidence, ...] = ()
    """Of a run with several loads: its open ones. A lane may have few arrivals, so each is judged alone."""
    saturated_seconds: float = 0.0
    lag_p99_ns: float | None = None
    service_p50_ns: float | None = None
    service_mean_ns: float | None = None
    """None where no arrival waited or was missed, too."""
    stalled_ns: int = 0
    longest_stall_ns: int = 0
    intervals: int = 0
    busy_intervals: int = 0
    busy_seconds: float = 0.0
    busiest_share: float = 0.0
    """The highest CPU share of the busiest thread in any interval, 0..1 of one core."""
    steal_share: float = 0.0
    users: int = 0
    """The limit of requests in flight; 0 if unknown."""
    code_share: float = 0.0
    """Share of the time that the engine's loop spent in the code of scenarios, 0..1; of several workers on average."""
    code_scenario: str = ""
    """The scenario whose code took the most of it."""
    blocking: tuple[BlockingFigures, ...] = ()
    """Calls of code that blocked the loop, the longest first."""

    @property
    def due(self) -> int:
        """Arrivals that were due: requests, or iterations; of several loads, those of the open ones."""
        return sum(lane.due for lane in self.lanes) if self.lanes else self.arrivals + self.missed

    @property
    def arrivals(self) -> int:
        """Arrivals that started."""
        return self.started if self.iterations is None else self.iterations

    @property
    def achieved_rate(self) -> float:
        """Arrivals started per second of the window; of several loads, those of the open ones."""
        started = sum(lane.started for lane in self.lanes) if self.lanes else self.arrivals
        return started * 1e9 / self.window_ns if self.window_ns > 0 else 0.0

    @property
    def offered_rate(self) -> float:
        """Arrivals due per second of the window."""
        return self.offered * 1e9 / self.window_ns if self.window_ns > 0 else 0.0


def evidence_of(collector: Collector, window_ns: int, circumstances: Circumstances) -> Evidence:
    """Return the evidence of the intervals in `collector`; `window_ns` without barriers."""
    total, generator = collector.total, collector.generator
    # Allow for one arrival: its fraction at the end of a profile is a rounding effect.
    # Of several loads, each open one is judged by its own arrivals.
    is_comparable = not circumstances.poisson and circumstances.open_lanes is None
    waiting = collector.last.generator.waiting if collector.last else 0
    accounted = collector.arrivals + total.missed + collector.warm_up_due + waiting + 1
    unaccounted = generator.offered - accounted if is_comparable else 0.0
    lanes = tuple(_lane_evidence(collector, lane) for lane in circumstances.open_lanes or ())
    messages = [group for group in collector.failures.groups() if group.outcome is Outcome.GENERATOR_ERROR]
    return Evidence(
        circumstances=circumstances,
        window_ns=window_ns,
        started=total.started,
        iterations=collector.scenarios.arrivals if collector.scenarios.has_arrivals else None,
        has_prepared_users=collector.scenarios.has_prepared_users,
        missed=total.missed,
        dropped=total.dropped,
        skipped=total.skipped,
        queued_at_end=total.queued_at_end,
        waited=total.waited,
        unfinished=total.outcomes.get(Outcome.UNFINISHED, 0),
        generator_errors=total.outcomes.get(Outcome.GENERATOR_ERROR, 0),
        generator_error=messages[0].message if messages else "",
        offered=measured_offered(collector)
        if circumstances.open_lanes is None
        else float(sum(lane.due for lane in lanes)),
        offered_while_free=generator.offered_while_free,
        lanes=lanes,
        unaccounted=max(unaccounted, 0.0),
        saturated_seconds=generator.saturated_seconds,
        lag_p99_ns=generator.schedule_lag.percentile(99),
        service_p50_ns=total.service.percentile(50),
        # It takes a pass over all buckets.
        service_mean_ns=total.service.mean if total.missed or total.waited else None,
        stalled_ns=generator.stalled_ns,
        longest_stall_ns=generator.longest_stall_ns,
        intervals=generator.intervals,
        busy_intervals=generator.busy_intervals,
        busy_seconds=generator.busy_seconds,
        busiest_share=generator.busiest_highest,
        steal_share=generator.steal_share,
        users=generator.users,
        code_share=_code_share(collector, circumstances),
        code_scenario=_slowest_code(collector),
        blocking=tuple(collector.code.blocking(collector.scenarios.scenarios)),
    )


def _code_share(collector: Collector, circumstances: Circumstances) -> float:
    seconds = collector.generator.seconds * (len(circumstances.fleet.workers) if circumstances.fleet else 1)
    return sum(part.code_ns for part in collector.scenarios.iterations) / 1e9 / seconds if seconds else 0.0


def _slowest_code(collector: Collector) -> str:
    parts = collector.scenarios.iterations
    slowest = max(parts, key=lambda part: part.code_ns, default=None)
    return collector.scenarios.scenarios[slowest.flow].name if slowest and slowest.code_ns else ""


def _lane_evidence(collector: Collector, lane: OpenLane) -> LaneEvidence:
    parts = [collector.measured[endpoint] for endpoint in lane.endpoints]
    iterations = collector.scenarios.iterations
    # In a plan of single requests an iteration is one request, and iterations are not counted.
    counted = [iterations[flow].started for flow in lane.flows] if iterations else [part.started for part in parts]
    return LaneEvidence(
        lane.name, sum(counted), sum(part.missed for part in parts), sum(part.skipped for part in parts)
    )


def measured_offered(collector: Collector) -> float:
    """Return the arrivals due in the measured load; 0 in the closed model.

    Intervals do not say which of them belong to warm-up, but all of warm-up's arrivals are accounted for.
    """
    return max(collector.generator.offered - collector.warm_up_due, 0.0) if collector.generator.offered else 0.0
