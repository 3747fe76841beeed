"""One second of a run: reported by every engine, spooled by the runner, stored, and added up by the collector.

The wire format is one JSON object per second (histograms as base64 of HdrHistogram's V2 encoding), identical from the
native engine, over the runner's pipe and in the spool file. All times are nanoseconds since the start of the run, i.e.
the intended start of the first request, warm-up included. Everything except `started` and the missed arrivals is binned
by the second in which the request finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.code_interval import NO_CODE, CodeInterval
from atm.metrics.histogram import Histogram
from atm.metrics.interval_fields import counts_of, decoded, encoded, histograms_of
from atm.metrics.own_interval import OwnInterval
from atm.metrics.sample import IterationSample, Sample
from atm.metrics.scenario_interval import CheckInterval, DataInterval, IterationInterval
from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import FAILED, FULL_RESPONSES, Outcome

HISTOGRAMS = (
    "response_ok",
    "response_failed",
    "response_timeout",
    "service",
    "first_byte",
    "error_time",
    "waits",
    "waits_at_end",
)
"""The histograms of an `EndpointInterval`, by field name."""

COUNTS = (
    "started",
    "dropped",
    "skipped",
    "queued_at_end",
    "waited",
    "drained_ok",
    "drained_failed",
    "redirect_hops",
    "redialled",
    "bytes_received",
    "bytes_sent",
    "clamped",
    "not_reached",
)
"""The plain counters of an `EndpointInterval`, by field name."""


@dataclass(slots=True)
class EndpointInterval:
    """One second of one endpoint, separate for warm-up and measured load (by the intended start of each request)."""

    endpoint: int
    """Index into the plan's `endpoints`."""
    warm_up: bool = False

    started: int = 0
    """Requests whose actual start is in this second, including generator errors."""
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    """Requests that ended in this second, by outcome; no zeros."""
    statuses: dict[int, int] = field(default_factory=dict)
    """Full responses (ok, unexpected_status, check_failed) by status code; no zeros."""

    dropped: int = 0
    """Missed arrivals: no free user, and `on_saturation` is `drop`."""
    skipped: int = 0
    """Missed arrivals: skipped by the catch-up policy after a stall of the generator."""
    queued_at_end: int = 0
    """Missed arrivals: still waiting for a user when sending ended."""
    waited: int = 0
    """Arrivals that found no free user, waited, and were started in this second."""
    drained_ok: int = 0
    """Of `outcomes`, the ok ones that finished after the end of sending (outside the window)."""
    drained_failed: int = 0
    """Of `outcomes`, the failed ones that finished after the end of sending."""
    redirect_hops: int = 0
    redialled: int = 0
    """Keep-alive connections that the server had closed between requests and that were redialled."""
    bytes_received: int = 0
    """Bytes of responses read from the connection (head and body, after TLS, before decompression)."""
    bytes_sent: int = 0
    clamped: int = 0
    """Samples over one hour, recorded as one hour."""
    not_reached: int = 0
    """Iterations that ended (completed or failed) in this second without a request of this step."""
    apart: bool = False
    """A step of `before_user`, which is in no total of the run. Set when it is stored: engines do not report it."""

    response_ok: Histogram = field(default_factory=Histogram)
    """Response time (from the intended start) of ok requests."""
    response_failed: Histogram = field(default_factory=Histogram)
    """Response time of full responses that failed (unexpected_status, check_failed)."""
    response_timeout: Histogram = field(default_factory=Histogram)
    """Response time of timeouts, up to the timeout."""
    service: Histogram = field(default_factory=Histogram)
    """Service time (from the actual start) of full responses and timeouts."""
    first_byte: Histogram = field(default_factory=Histogram)
    """From the actual start to the first byte of the (last) response, of full responses."""
    error_time: Histogram = field(default_factory=Histogram)
    """Response time of every other failure (refused, reset, protocol and TLS errors, …)."""
    waits: Histogram = field(default_factory=Histogram)
    """How long the `waited` arrivals waited for a user."""
    waits_at_end: Histogram = field(default_factory=Histogram)
    """How long the `queued_at_end` arrivals had waited when sending ended."""

    @property
    def missed(self) -> int:
        return self.dropped + self.skipped + self.queued_at_end

    @property
    def due(self) -> int:
        return self.started + self.missed

    @property
    def ok(self) -> int:
        return self.outcomes.get(Outcome.OK, 0)

    @property
    def failed(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome in FAILED)

    @property
    def completed(self) -> int:
        return self.ok + self.failed

    @property
    def full_responses(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome in FULL_RESPONSES)

    def response(self) -> Histogram:
        """The latency of the API: ok, failed and timed-out response times merged."""
        return Histogram.merged(self.response_ok, self.response_failed, self.response_timeout)

    def response_not_ok(self) -> Histogram:
        """Response times of failed responses, and of timeouts at the time waited."""
        return Histogram.merged(self.response_failed, self.response_timeout)

    def merge(self, other: EndpointInterval, histograms: Sequence[str] = HISTOGRAMS) -> None:
        """Add the figures of `other` (the same endpoint, or another one for totals), and of its histograms these."""
        for name in COUNTS:
            if count := getattr(other, name):
                setattr(self, name, getattr(self, name) + count)
        for name in histograms:
            if histogram := getattr(other, name):
                getattr(self, name).merge(histogram)
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros and empty histograms."""
        document: dict[str, Any] = {"endpoint": self.endpoint, "warm_up": self.warm_up}
        if self.apart:
            document["apart"] = True
        document.update(counts_of(self, COUNTS))
        if self.outcomes:
            document["outcomes"] = {outcome.value: count for outcome, count in self.outcomes.items()}
        if self.statuses:
            document["statuses"] = {str(status): count for status, count in self.statuses.items()}
        document.update(histograms_of(self, HISTOGRAMS))
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EndpointInterval:
        """Read the output of `to_json`. Raises ValueError, KeyError or TypeError on anything else."""
        interval = cls(
            endpoint=int(document["endpoint"]),
            warm_up=bool(document["warm_up"]),
            apart=bool(document.get("apart", False)),
            outcomes={Outcome(name): int(count) for name, count in document.get("outcomes", {}).items()},
            statuses={int(status): int(count) for status, count in document.get("statuses", {}).items()},
        )
        for name in COUNTS:
            setattr(interval, name, int(document.get(name, 0)))
        for name in HISTOGRAMS:
            if name in document:
                setattr(interval, name, decoded(document[name]))
        return interval


@dataclass(slots=True)
class GeneratorInterval:
    """The load generator in this second: input of the measurement verdict."""

    schedule_lag: Histogram = field(default_factory=Histogram)
    """Actual minus intended start of each request that had a free user (ns); 0 for the closed model without a rate."""
    stalls: int = 0
    """How often the engine's event loop woke up more than 10 ms late."""
    stalled_ns: int = 0
    """Total time lost in those stalls."""
    longest_stall_ns: int = 0
    cpu_seconds: float = 0.0
    """CPU time of the whole process in this second."""
    busiest_thread_share: float = 0.0
    """CPU share of the busiest engine thread, 0..1 of one core."""
    steal_share: float = 0.0
    """Share of the machine's CPU time stolen by the hypervisor, 0..1."""
    memory_bytes: int = 0
    """Resident memory of the process at the end of the second."""
    users: int = 0
    """Existing virtual users (closed model), or the limit of iterations in progress (open model; 0 = unlimited)."""
    in_flight: int = 0
    """Requests in flight at the end of the second; users who think have none."""
    waiting: int = 0
    """Arrivals waiting for a free user at the end of the second."""
    open_connections: int = 0
    dials: int = 0
    """Connections dialled in this second."""
    connections_lost: int = 0
    """Connections that the target closed or reset."""
    connect: Histogram = field(default_factory=Histogram)
    """TCP connect times of opened connections."""
    tls: Histogram = field(default_factory=Histogram)
    """TLS handshake times."""
    dns: Histogram = field(default_factory=Histogram)
    """Name resolution times (before the start, or at a re-resolution)."""
    saturated: bool = False
    """No user was free at some time in this second (open model)."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros and empty histograms."""
        document: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value:
                document[name] = encoded(value) if isinstance(value, Histogram) else value
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> GeneratorInterval:
        """Read the output of `to_json`. Raises ValueError or TypeError on anything else."""
        values = {name: value for name, value in document.items() if name in cls.__slots__}
        for name in ("schedule_lag", "connect", "tls", "dns"):
            if name in values:
                values[name] = decoded(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one kind with one message at one endpoint within one second."""

    endpoint: int
    warm_up: bool
    outcome: Outcome
    message: str
    """The message, at most 200 characters, without values that differ per request: `503, expected 201`."""
    count: int
    first_ns: int
    last_ns: int
    """Finish of the first and of the last one."""


@dataclass(slots=True)
class Interval:
    """One second of a run over all endpoints."""

    second: int
    """Seconds since the start of the run: this interval covers [second, second + 1)."""
    phase: str
    """`warm_up`, `load`, `drain`, or in stages `ramp_up`, `hold`, `ramp_down`: the phase at the end of the second."""
    duration_ns: int = 1_000_000_000
    """Shorter for the last interval of a run."""
    offered: float = 0.0
    """Arrivals (open) due in this second; 0 in the closed model."""
    endpoints: list[EndpointInterval] = field(default_factory=list)
    generator: GeneratorInterval = field(default_factory=GeneratorInterval)
    failures: list[FailureGroup] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    iterations: list[IterationInterval] = field(default_factory=list)
    """Empty for a plan whose flows all have one step and no program: there, an iteration is one request."""
    checks: list[CheckInterval] = field(default_factory=list)
    data: list[DataInterval] = field(default_factory=list)
    sampled_iterations: list[IterationSample] = field(default_factory=list)
    code: CodeInterval = NO_CODE
    """What scenarios in code announce and report."""
    own: list[OwnInterval] = field(default_factory=list)
    """Values of the metrics that the test declares."""
    workers: list[WorkerSecond] = field(default_factory=list)
    """Of a run on several workers, each of them, for live views; storage keeps them in events only."""

    def to_bytes(self) -> bytes:
        """Return one JSON object in UTF-8, without a line feed."""
        document: dict[str, Any] = {
            "second": self.second,
            "phase": self.phase,
            "duration_ns": self.duration_ns,
            "offered": self.offered,
            "endpoints": [endpoint.to_json() for endpoint in self.endpoints],
            "generator": self.generator.to_json(),
        }
        if self.failures:
            document["failures"] = [_fields(failure) for failure in self.failures]
        if self.samples:
            document["samples"] = [sample.to_json() for sample in self.samples]
        if self.sampled_iterations:
            document["sampled_iterations"] = [sample.to_json() for sample in self.sampled_iterations]
        if self.iterations:
            document["iterations"] = [iteration.to_json() for iteration in self.iterations]
        if self.checks:
            document["checks"] = [check.to_json() for check in self.checks]
        if self.data:
            document["data"] = [part.to_json() for part in self.data]
        if self.code:
            document["code"] = self.code.to_json()
        if self.own:
            document["own"] = [part.to_json() for part in self.own]
        if self.workers:
            document["workers"] = [_fields(worker) for worker in self.workers]
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Interval:
        """Read the output of `to_bytes` (or of the native engine). Raises ValueError on anything else."""
        try:
            document = json.loads(data)
            return cls(
                second=int(document["second"]),
                phase=str(document["phase"]),
                duration_ns=int(document["duration_ns"]),
                offered=float(document["offered"]),
                endpoints=[EndpointInterval.from_json(part) for part in document["endpoints"]],
                generator=GeneratorInterval.from_json(document["generator"]),
                failures=[
                    FailureGroup(**{**part, "outcome": Outcome(part["outcome"])})
                    for part in document.get("failures", ())
                ],
                samples=[Sample.from_json(part) for part in document.get("samples", ())],
                sampled_iterations=[IterationSample.from_json(part) for part in document.get("sampled_iterations", ())],
                iterations=[IterationInterval.from_json(part) for part in document.get("iterations", ())],
                checks=[CheckInterval(**part) for part in document.get("checks", ())],
                data=[DataInterval.from_json(part) for part in document.get("data", ())],
                code=CodeInterval.from_json(document["code"]) if "code" in document else NO_CODE,
                own=[OwnInterval.from_json(part) for part in document.get("own", ())],
                workers=[WorkerSecond.from_json(part) for part in document.get("workers", ())],
            )
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not an interval: {error!r}") from error


def _fields(part: FailureGroup | WorkerSecond) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}
