"""Add up the intervals of a run: totals, timeline, failures, samples, and the health of the generator.

Memory depends on the number of endpoints and of buckets in use, not on the number of requests; `timeline.py` and
`samples.py` document the other limits. Warm-up and measured load are kept separate throughout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.metrics.code_interval import CodeInterval
from atm.metrics.code_totals import CodeTotals
from atm.metrics.histogram import Histogram
from atm.metrics.interval import HISTOGRAMS, EndpointInterval, GeneratorInterval, Interval
from atm.metrics.own_totals import OwnTotals
from atm.metrics.samples import FailureLog, IterationShelf, SampleShelf
from atm.metrics.scenarios import ScenarioTotals
from atm.metrics.snapshot import Snapshot, figures_so_far
from atm.metrics.test_data import DataTotals
from atm.metrics.timeline import Timeline
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.models.outline import CheckName, DataSource, EndpointDescription, ScenarioSteps, endpoints_apart
from atm.models.own_metric import OwnMetric
from atm.models.run_figures import Second

SPARKLINE_SECONDS = 60
_UNKNOWN = EndpointDescription("", "", "")
BUSY_THREAD_SHARE = 0.85
"""CPU share of one core above which an engine thread may be the limit."""
SHORTEST_JUDGED_NS = 100_000_000
"""CPU shares of shorter intervals, at the end of a run, are ignored: the CPU clock is too coarse for them."""
_SHARE_STEPS = 1000


def _require_next(kind: str, index: int, length: int) -> None:
    if index != length:
        raise ValueError(f"{kind} {index} announced after {length} others")


@dataclass(slots=True)
class GeneratorTotals:
    """The load generator during the measured load; its connections and memory over the whole run."""

    schedule_lag: Histogram = field(default_factory=Histogram)
    stalls: int = 0
    stalled_ns: int = 0
    longest_stall_ns: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    """Of the measured load, including draining."""
    steal_seconds: float = 0.0
    """Sum of interval lengths (s) times the share of CPU stolen in them."""
    intervals: int = 0
    """Intervals of at least `SHORTEST_JUDGED_NS` in which measured load was sent."""
    busy_intervals: int = 0
    """Of these, those whose busiest thread exceeded `BUSY_THREAD_SHARE`."""
    busy_seconds: float = 0.0
    """Length of these."""
    busiest_highest: float = 0.0
    busiest_shares: dict[int, int] = field(default_factory=dict)
    """`intervals` by the share of their busiest thread, in thousandths."""
    offered: float = 0.0
    """Arrivals due over the whole run."""
    offered_while_free: float = 0.0
    """Arrivals due in seconds of measured load in which a user was free throughout."""
    saturated_seconds: float = 0.0
    """Length of the other seconds: those in which no user was free at some time."""
    users: int = 0
    """The most virtual users, or the limit in flight (open model); 0 = unlimited or unknown."""
    max_in_flight: int = 0
    memory_peak_bytes: int = 0
    connections_lost: int = 0
    connect: Histogram = field(default_factory=Histogram)
    tls: Histogram = field(default_factory=Histogram)
    dns: Histogram = field(default_factory=Histogram)

    def add(self, interval: Interval, *, sending: bool) -> None:
        """Add one second; `sending`: measured requests were due in it."""
        generator = interval.generator
        self.offered += interval.offered
        self.users = max(self.users, generator.users)
        self.max_in_flight = max(self.max_in_flight, generator.in_flight)
        self.memory_peak_bytes = max(self.memory_peak_bytes, generator.memory_bytes)
        self.connections_lost += generator.connections_lost
        for name in ("connect", "tls", "dns"):
            getattr(self, name).merge(getattr(generator, name))
        if interval.phase != "warm_up":
            self._add_measured(generator, interval.duration_ns / 1e9)
        if sending:
            self._add_sending(interval)

    def _add_measured(self, generator: GeneratorInterval, seconds: float) -> None:
        self.schedule_lag.merge(generator.schedule_lag)
        self.stalls += generator.stalls
        self.stalled_ns += generator.stalled_ns
        self.longest_stall_ns = max(self.longest_stall_ns, generator.longest_stall_ns)
        self.cpu_seconds += generator.cpu_seconds
        self.seconds += seconds
        self.steal_seconds += generator.steal_share * seconds

    def _add_sending(self, interval: Interval) -> None:
        if interval.duration_ns >= SHORTEST_JUDGED_NS:
            self._add_busiest_thread(interval.generator.busiest_thread_share, interval.duration_ns / 1e9)
        if interval.generator.saturated:
            self.saturated_seconds += interval.duration_ns / 1e9
        else:
            self.offered_while_free += interval.offered

    def _add_busiest_thread(self, share: float, seconds: float) -> None:
        step = round(min(max(share, 0.0), 1.0) * _SHARE_STEPS)
        self.intervals += 1
        self.busiest_highest = max(self.busiest_highest, share)
        self.busiest_shares[step] = self.busiest_shares.get(step, 0) + 1
        if share > BUSY_THREAD_SHARE:
            self.busy_intervals += 1
            self.busy_seconds += seconds

    @property
    def busiest_thread_share(self) -> float:
        """The median over `intervals`, to a thousandth; 0 if there are none."""
        seen = 0
        for step in sorted(self.busiest_shares):
            seen += self.busiest_shares[step]
            if 2 * seen >= self.intervals:
                return step / _SHARE_STEPS
        return 0.0

    @property
    def cpu_share(self) -> float:
        """CPU seconds per second of the measured load, in cores."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    @property
    def steal_share(self) -> float:
        """Share of the machine's CPU stolen during the measured load."""
        return self.steal_seconds / self.seconds if self.seconds else 0.0


class Collector:
    """Takes the intervals of one run in order, from any engine; its figures can be read at any time."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        scenarios: Sequence[ScenarioSteps] = (),
        checks: Sequence[CheckName] = (),
        data: Sequence[DataSource] = (),
        own_metrics: Sequence[OwnMetric] = (),
        warm_up_ns: int = 0,
        first_per_endpoint: int = 2,
        failures_per_kind: int = 3,
        slowest: int = 10,
        is_only_judged: bool = False,
    ) -> None:
        """`is_only_judged`: only what the verdict needs: no timeline and, of histograms, the total service time."""
        self.endpoints = tuple(endpoints)
        """Names, in the order of the plan."""
        self.warm_up_ns = warm_up_ns
        """Planned length of the warm-up."""
        self.measured = [EndpointInterval(endpoint=index) for index in range(len(self.endpoints))]
        """Measured load of each endpoint so far."""
        self.total = EndpointInterval(endpoint=-1)
        """Measured load of all endpoints together."""
        self.warm_up = EndpointInterval(endpoint=-1, warm_up=True)
        """Warm-up of all endpoints together."""
        self.endpoints_apart = endpoints_apart(scenarios)
        """Endpoints that are in neither of the two."""
        self.apart = EndpointInterval(endpoint=-1)
        """Those of all endpoints that are in no total, warm-up included."""
        self.scenarios = ScenarioTotals(scenarios, checks)
        """Measured iterations and checks so far."""
        self.data = DataTotals(data)
        """Rows of test data used so far."""
        self.own = OwnTotals(own_metrics)
        """Values of the metrics that the test declares."""
        self.announced: dict[int, EndpointDescription] = {}
        """The endpoints that scenarios in code have announced, by index."""
        self.endpoint_scenarios: dict[int, int] = {}
        """The scenario of each endpoint that is not in the plan."""
        self.code = CodeTotals()
        """Exceptions and blocking calls of scenarios in code."""
        self.generator = GeneratorTotals()
        self.timeline = Timeline()
        self._is_only_judged = is_only_judged
        self._histograms = () if is_only_judged else HISTOGRAMS
        """Of each endpoint."""
        self._total_histograms = ("service",) if is_only_judged else HISTOGRAMS
        self.failures = FailureLog()
        """Of the measured load."""
        self.warm_up_failures = FailureLog()
        self.samples = SampleShelf(first_per_endpoint, failures_per_kind, slowest)
        self.sampled_iterations = IterationShelf(len(scenarios))
        self.window_ns = 0
        """The measured window so far: complete and partial seconds after warm-up and before draining."""
        self.end_ns = 0
        """End of the last interval, since the start of the run."""
        self.last: Interval | None = None
        self._recent: deque[Second] = deque(maxlen=SPARKLINE_SECONDS)

    def add(self, interval: Interval) -> None:
        """Add one second.

        Raises ValueError if it is not later than the previous one, or has an unknown endpoint, scenario or check.
        """
        if self.last is not None and interval.second <= self.last.second:
            raise ValueError(f"second {interval.second} after second {self.last.second}: intervals come in order")
        measured_started = 0
        if interval.code:
            self._add_code(interval.code)
        for part in interval.endpoints:
            if not 0 <= part.endpoint < len(self.measured):
                raise ValueError(f"endpoint {part.endpoint} of {len(self.measured)} in second {interval.second}")
            if part.endpoint in self.endpoints_apart:
                self.apart.merge(part, self._histograms)
                if not part.warm_up:
                    self.measured[part.endpoint].merge(part, self._histograms)
            elif part.warm_up:
                self.warm_up.merge(part, self._histograms)
            else:
                measured_started += part.started
                self.measured[part.endpoint].merge(part, self._histograms)
                self.total.merge(part, self._total_histograms)
        self.scenarios.add(interval)
        self.data.add(interval)
        self.own.add(interval.own, interval.duration_ns / 1e9)
        for group in interval.failures:
            (self.warm_up_failures if group.warm_up else self.failures).add(group)
        self.samples.add_all(interval.samples)
        self.sampled_iterations.add_all(interval.sampled_iterations)
        sending = interval.phase not in ("warm_up", "drain") or measured_started > 0
        self.generator.add(interval, sending=sending)
        if not self._is_only_judged:
            self._recent.append(self.timeline.add(self._without_those_apart(interval)))
        self._advance(interval)

    def _add_code(self, code: CodeInterval) -> None:
        """Add the names that scenarios in code have used first, and what the code reports."""
        for endpoint in code.endpoints:
            description = EndpointDescription(endpoint.name, endpoint.method, endpoint.url)
            self.announced[endpoint.index] = description
            if endpoint.index < len(self.measured):
                continue
            _require_next("endpoint", endpoint.index, len(self.measured))
            self.endpoints = (*self.endpoints, endpoint.name)
            self.measured.append(EndpointInterval(endpoint=endpoint.index))
            self.endpoint_scenarios[endpoint.index] = endpoint.scenario
        self.scenarios.announce(code)
        self.code.add(code)

    def described(self, planned: Sequence[EndpointDescription]) -> list[EndpointDescription]:
        """Return name, method and URL of each endpoint: of those of the plan, and of those announced so far."""
        descriptions = [*planned, *([_UNKNOWN] * (len(self.measured) - len(planned)))]
        return [self.announced.get(index, description) for index, description in enumerate(descriptions)]

    def _without_those_apart(self, interval: Interval) -> Interval:
        if not self.endpoints_apart:
            return interval
        parts = [part for part in interval.endpoints if part.endpoint not in self.endpoints_apart]
        return replace(interval, endpoints=parts)

    def _advance(self, interval: Interval) -> None:
        start_ns = interval.second * 1_000_000_000
        self.end_ns = start_ns + interval.duration_ns
        if interval.phase not in ("warm_up", "drain"):
            self.window_ns += max(self.end_ns - max(start_ns, self.warm_up_ns), 0)
        # Its samples and histograms have been added; what remains of the last second is small.
        self.last = Interval(
            second=interval.second,
            phase=interval.phase,
            duration_ns=interval.duration_ns,
            offered=interval.offered,
            endpoints=interval.endpoints,
            generator=interval.generator,
            iterations=interval.iterations,
            workers=interval.workers,
        )

    @property
    def arrivals(self) -> int:
        """Measured arrivals that started: iterations of open scenarios, else requests."""
        return self.scenarios.arrivals if self.scenarios.has_arrivals else self.total.started

    @property
    def warm_up_due(self) -> int:
        """Arrivals due in the warm-up, started or missed."""
        if self.scenarios.has_arrivals:
            return self.scenarios.warm_up_arrivals + self.warm_up.missed
        return self.warm_up.due

    @property
    def answered(self) -> int:
        """Number of requests of the whole run, warm-up included, that got any response, even an unreadable one."""
        kinds = (*FULL_RESPONSES, Outcome.PROTOCOL_ERROR, Outcome.RESPONSE_TOO_LARGE)
        return sum(part.outcomes.get(kind, 0) for part in (self.total, self.warm_up, self.apart) for kind in kinds)

    @property
    def completed(self) -> int:
        """Number of requests of the whole run, warm-up included, that ended by themselves."""
        return self.total.completed + self.warm_up.completed + self.apart.completed

    def snapshot(self) -> Snapshot:
        """Return the live view's figures, after the last added interval."""
        workers = self.last.workers if self.last else ()
        return Snapshot.of(tuple(self._recent), figures_so_far(self), workers, self.own.last)
