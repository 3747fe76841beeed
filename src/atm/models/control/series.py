"""The intervals of a run, in any window and resolution."""

from __future__ import annotations

from pydantic import Field

from atm.dataclass import dataclass
from atm.models.control.base import Answer
from atm.models.outcome import Outcome
from atm.models.run_figures import CheckFigures, OwnFigures, ScenarioMetrics, Spread


class PointView(Answer):
    """One period of one endpoint (null: of all together), separate for warm-up and measured load."""

    start: int
    endpoint: str | None
    warm_up: bool
    started: int
    completed: int
    ok: int
    failed: int
    missed: int
    outcomes: dict[Outcome, int]
    statuses: dict[int, int]
    bytes_received: int
    bytes_sent: int
    latency: Spread
    ok_latency: Spread
    adjusted_latency: Spread
    service: Spread
    first_byte: Spread


class GeneratorView(Answer):
    """The load generator in one period."""

    start: int
    phase: str
    duration_seconds: float
    offered_rate: float
    users: int
    in_flight: int
    waiting: int
    stalls: int
    longest_stall_ms: float
    cpu_share: float
    busiest_thread_share: float
    memory_bytes: int
    open_connections: int
    schedule_lag: Spread


class IterationPointView(Answer):
    """The iterations of one scenario in one period, separate for warm-up and measured load."""

    start: int
    scenario: str
    warm_up: bool
    started: int
    completed: int
    failed: int
    unfinished: int
    iteration_time: Spread
    """Of completed iterations, think time included."""
    active_time: Spread
    """The same without think time."""


class CheckPointView(Answer):
    """The evaluations of one check in one period, separate for warm-up and measured load."""

    start: int
    check: str
    endpoint: str
    warm_up: bool
    passed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPointView(OwnFigures):
    """The values of one metric that the test declares in one period, separate for warm-up and measured load."""

    start: int
    warm_up: bool


class MergedPointView(PointView):
    """A whole window of one endpoint, from merged histograms."""

    failed_latency: Spread
    """Of failed responses, and of timeouts at the time waited."""


class WindowView(Answer):
    """A window merged from histograms: its exact percentiles, not averages of percentiles."""

    start: int
    end: int
    endpoints: list[MergedPointView]
    """One for each requested endpoint, and for warm-up if the window includes it."""
    scenarios: list[ScenarioMetrics] = Field([])
    """The measured load of each scenario; empty for a spec without scenarios."""
    checks: list[CheckFigures] = Field([])
    own_metrics: list[OwnFigures] = Field([])
    """The measured values of the metrics that the test declares."""


class IntervalsView(Answer):
    """GET /runs/{id}/intervals."""

    run_id: str
    resolution: int
    """Seconds per point; 0: the whole run."""
    start: int
    end: int | None
    endpoints: list[str]
    """Names of all endpoints of the run."""
    points: list[PointView]
    generator: list[GeneratorView]
    iterations: list[IterationPointView] = Field([])
    """Of all scenarios; empty for a spec without scenarios."""
    checks: list[CheckPointView] = Field([])
    own_metrics: list[OwnPointView] = Field([])
    """Of the metrics that the test declares, where values were recorded."""
    window: WindowView | None
    """With `merge=true`."""
    last_event: int = 0
    """The number of the last stored event: the `after` for continuing with the stream."""
