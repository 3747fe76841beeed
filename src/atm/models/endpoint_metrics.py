"""The figures of a result: of the whole run and of each endpoint."""

from __future__ import annotations

from atm.models.outcome import Outcome
from atm.models.run_figures import Figure
from atm.models.samples import ResultModel


class EndpointMetrics(ResultModel):
    """The figures of the measured load (without warm-up), of one endpoint or, as `Metrics`, of all together."""

    total_requests: int
    """Requests started."""
    successful_requests: int
    failed_requests: int
    generator_errors: int
    unfinished: int
    due: int
    missed: int
    dropped: int
    skipped: int
    queued_at_end: int
    arrivals_waited: int
    latency_min_ms: Figure
    latency_max_ms: Figure
    latency_mean_ms: Figure
    latency_p50_ms: Figure
    latency_p90_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_p99_9_ms: Figure
    service_min_ms: Figure
    service_max_ms: Figure
    service_mean_ms: Figure
    service_p50_ms: Figure
    service_p90_ms: Figure
    service_p95_ms: Figure
    service_p99_ms: Figure
    service_p99_9_ms: Figure
    first_byte_min_ms: Figure
    first_byte_max_ms: Figure
    first_byte_mean_ms: Figure
    first_byte_p50_ms: Figure
    first_byte_p90_ms: Figure
    first_byte_p95_ms: Figure
    first_byte_p99_ms: Figure
    first_byte_p99_9_ms: Figure
    ok_latency_min_ms: Figure
    ok_latency_max_ms: Figure
    ok_latency_mean_ms: Figure
    ok_latency_p50_ms: Figure
    ok_latency_p90_ms: Figure
    ok_latency_p95_ms: Figure
    ok_latency_p99_ms: Figure
    ok_latency_p99_9_ms: Figure
    failed_latency_min_ms: Figure = None
    """Of failed requests: full responses, and timeouts at the time waited."""
    failed_latency_max_ms: Figure = None
    failed_latency_mean_ms: Figure = None
    failed_latency_p50_ms: Figure = None
    failed_latency_p90_ms: Figure = None
    failed_latency_p95_ms: Figure = None
    failed_latency_p99_ms: Figure = None
    failed_latency_p99_9_ms: Figure = None
    adjusted_latency_min_ms: Figure
    adjusted_latency_max_ms: Figure
    adjusted_latency_mean_ms: Figure
    adjusted_latency_p50_ms: Figure
    adjusted_latency_p90_ms: Figure
    adjusted_latency_p95_ms: Figure
    adjusted_latency_p99_ms: Figure
    adjusted_latency_p99_9_ms: Figure
    wait_p50_ms: Figure
    wait_p99_ms: Figure
    wait_max_ms: Figure
    requests_per_second: float
    """Completed inside the window, per second."""
    throughput: float
    """Ok inside the window, per second."""
    offered_rate: Figure
    """Planned arrivals per second; null in the closed model. Of the whole run with open scenarios: iterations."""
    achieved_rate: float
    """Started, per second of the window. Of the whole run with open scenarios: iterations."""
    error_rate: float
    """Failed / completed, 0..1; 0 when nothing completed."""
    errors_by_type: dict[Outcome, int]
    status_code_counts: dict[int, int]
    total_bytes_received: int
    total_bytes_sent: int
    redirect_hops: int
    redialled: int
    clamped: int


class Metrics(EndpointMetrics):
    """The figures of the whole measured load."""

    duration_seconds: float
    """Length of the window."""
    drain_seconds: float
    barrier_seconds: float
    warm_up_seconds: float
    warm_up_requests: int
    """Requests started during warm-up, which are excluded from all figures here."""


class NamedEndpointMetrics(EndpointMetrics):
    """The figures of one endpoint."""

    name: str
    method: str
    url: str
    """As written in the spec, with templates, secrets masked."""

    @property
    def endpoint_name(self) -> str:
        """`name`, under its name in the first design."""
        return self.name

    @property
    def metrics(self) -> EndpointMetrics:
        """The figures, nested as in the first design."""
        return self
