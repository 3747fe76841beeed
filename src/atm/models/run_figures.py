"""Figures of a run, each declared once: computed by the collector, carried by storage, events and the API.

Plain dataclasses, so that the live view of `atm run` needs no pydantic; pydantic models accept them unchanged. Times
are in ms and end in `_ms`; None is no data, and +∞ ("Infinity" in JSON) means that the percentile includes failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, Literal

from atm.dataclass import dataclass
from atm.models.figures import count, duration, own_value
from atm.models.outcome import Outcome
from atm.models.own_metric import OwnKind


class _FigureSchema:
    """Called by pydantic for a JSON Schema."""

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"const": "Infinity", "type": "string"}]}


Figure = Annotated[float, _FigureSchema()] | None
"""A number in the unit of its name, null without samples, +∞ as the string "Infinity" in JSON."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Distribution of a time, in ms: null without samples, "Infinity" if the percentile includes failures."""

    min_ms: Figure
    mean_ms: Figure
    p50_ms: Figure
    p90_ms: Figure
    p95_ms: Figure
    p99_ms: Figure
    p99_9_ms: Figure
    max_ms: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A period of a run: its percentiles, null where nothing finished."""

    second: int
    """Its start, in seconds since the start of the run."""
    phase: str
    """The phase at its end."""
    warm_up: bool
    duration_seconds: float
    offered_rate: float
    """Arrivals due per second; 0 in the closed model."""
    started: int
    completed: int
    failed: int
    latency_p50_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_max_ms: Figure
    in_flight: int
    schedule_lag_p99_ms: Figure
    cpu_share: float
    """Share of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePoint(Stretch):
    """One point of the timeline of a result: one second, or more in a long run."""

    errors: dict[Outcome, int] = field(default_factory=dict)
    """Failures by their kind; no zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second(Stretch):
    """One second of a run in progress."""

    requests_per_second: float
    """Completed."""
    outcomes: dict[Outcome, int]
    """How requests ended in this second, by outcome; no zeros."""
    missed: int
    users: int
    waiting: int
    busiest_thread_share: float
    """Share of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSoFar:
    """One endpoint since the start of the measured load."""

    name: str
    requests_per_second: float
    """Completed in the last second."""
    started: int
    completed: int
    failed: int
    latency_p50_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSoFar:
    """Failures of one kind with one message so far, over all endpoints."""

    outcome: Outcome
    message: str
    count: int
    last_seconds: float
    """When the last one ended, since the start of the run."""

    @property
    def label(self) -> str:
        """The short name: an unexpected status (`503`), else the kind (`connect error`)."""
        if self.outcome is Outcome.UNEXPECTED_STATUS:
            return self.message.split(",", 1)[0]
        return self.outcome.value.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReach:
    """How many ended iterations of a scenario sent a request of this step; the steps in order read as a funnel."""

    name: str
    """Within its scenario: `list`."""
    endpoint: str
    """Under which its requests are counted: `browse/list`."""
    reached: int
    """Ended iterations with at least one request of this step."""
    not_reached: int
    """Ended iterations without one."""
    reached_share: float | None
    """reached / ended, 0..1; null before an iteration has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBefore:
    """A step that each user of a scenario sends before its first iteration; its requests are in no total."""

    name: str
    """Within its scenario: `login`."""
    endpoint: str
    """Under which its requests are counted: `order/before_user/login`."""
    started: int
    """Requests of the measured load, without those of the warm-up."""
    completed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFigures:
    """The iterations of one scenario: `due = started + missed`, `started = completed + failed + unfinished`."""

    name: str
    due: int
    started: int
    missed: int
    completed: int
    """The iteration came to its end."""
    failed: int
    """A step failed that ends the iteration."""
    iteration_error_rate: float
    """failed / (completed + failed), 0..1; 0 before an iteration has ended."""
    iteration_time: Spread
    """Of completed iterations, from the intended start to the end of the last step."""
    active_time: Spread
    """The same without think time."""
    steps: Sequence[StepReach]
    before_user: Sequence[StepBefore] = ()
    """What each user does before its first iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioMetrics(ScenarioFigures):
    """One scenario over the whole measured load."""

    unfinished: int
    """In progress when the run ended."""
    iterations_per_second: float
    """Completed inside the window, per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSoFar(ScenarioFigures):
    """One scenario since the start of the measured load."""

    iterations_per_second: float
    """Completed in the last second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFigures:
    """Evaluations of one check at one endpoint in the measured load."""

    name: str
    endpoint: str
    passed: int
    failed: int
    passed_share: float | None
    """passed / (passed + failed), 0..1; null without an evaluation."""

    @property
    def evaluated(self) -> int:
        return self.passed + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFigures:
    """Exceptions of one kind that ended iterations of a scenario in code."""

    scenario: str
    message: str
    """`ValueError: no stock (shop.py:12)`."""
    count: int
    first_seconds: float
    """When the first one ended its iteration, since the start of the run."""
    last_seconds: float
    traceback: str = ""
    """Of the first one; kept for the first few kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingFigures:
    """A place in code that kept the load generator from doing anything else."""

    scenario: str
    """The scenario that ran; empty if unknown."""
    place: str
    """`time.sleep in checkout (shop.py:12)`."""
    count: int
    seconds: float
    """Altogether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFigures:
    """Rows of one source of test data that iterations, or per user users, began with, warm-up included.

    A source per use has none: its rows are not counted.
    """

    name: str
    rows: int
    used: int
    """Different rows."""
    repeated: int
    """How often one of them was used again."""
    used_up_second: int | None
    """The second since the start of the run in which the last unused row was used; null if rows are left."""

    @property
    def described(self) -> str:
        """`10 of 10 rows used, 441 times again, all after 1 s`."""
        text = f"{count(self.used)} of {count(self.rows)} rows used"
        if self.repeated:
            text += f", {count(self.repeated)} times again"
        if self.used_up_second is not None:
            text += f", all after {self.used_up_second + 1} s"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFigures:
    """The values of a metric that the test declares, over a span of the measured load.

    A counter has `total` and `rate`, a trend `total`, the extremes, the mean and the percentiles, a gauge the extremes
    and `last`. The others are null, as is what needs a value where there is none.
    """

    name: str
    kind: OwnKind
    unit: str
    """As declared; empty without one."""
    count: int
    """Number of values."""
    total: float | None = None
    """Their sum."""
    rate: float | None = None
    """What was added inside the window, per second."""
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    last: float | None = None
    """The latest value."""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What reports show, each with its name: `total` and `12,345`, `p95` and `9.5 ms`."""
        if self.kind is OwnKind.COUNTER:
            return (
                ("total", own_value(self.total, self.unit)),
                ("rate", own_value(self.rate, f"{self.unit}/s" if self.unit else "/s")),
            )
        names = ("last", "min", "max") if self.kind is OwnKind.GAUGE else ("p50", "p95", "p99", "mean", "min", "max")
        values = tuple((name, own_value(getattr(self, name), self.unit)) for name in names)
        return values if self.kind is OwnKind.GAUGE else (*values, ("count", count(self.count)))

    @property
    def described(self) -> str:
        """`total 12,345 · rate 33.3 /s`; `no values` without one."""
        if not self.count and self.kind is not OwnKind.COUNTER:
            return "no values"
        return " · ".join(f"{name} {value}" for name, value in self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFigures:
    """What `setup` or `teardown` did; none of it is part of the load's figures."""

    status: Literal["passed", "failed", "stopped", "skipped"]
    """`stopped`: the run was stopped during it; `skipped`: a further Ctrl-C ended it, or prevented it."""
    steps: int
    """Number of requests sent."""
    seconds: float
    failed_step: str = ""
    """The first step that failed: `setup/POST /login`; empty if none did, or if the time limit ended it."""
    message: str = ""
    """Why it failed or was ended."""
    hint: str = ""
    """How to fix it."""

    @property
    def described(self) -> str:
        """`failed at setup/POST /login: 500, expected 200-399 · 2 steps in 0.12 s`."""
        noun = "step" if self.steps == 1 else "steps"
        place = f" at {self.failed_step}" if self.failed_step else ""
        message = f": {self.message}" if self.message else ""
        return f"{self.status}{place}{message} · {self.steps} {noun} in {duration(self.seconds)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresSoFar:
    """The measured load up to the end of this second; during warm-up, the warm-up."""

    due: int
    started: int
    ok: int
    failed: int
    completed: int
    generator_errors: int
    missed: int
    waited: int
    error_rate: float
    """Failed / completed; 0 when nothing completed."""
    latency_p50_ms: Figure
    latency_p90_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_max_ms: Figure
    schedule_lag_p99_ms: Figure
    endpoints: Sequence[EndpointSoFar]
    errors: Sequence[ErrorSoFar]
    """Most frequent first."""
    scenarios: Sequence[ScenarioSoFar] = ()
    """In the order of the spec; empty for a spec without scenarios."""
    checks: Sequence[CheckFigures] = ()
    """In the order of the spec; empty for a spec without named checks."""
    data: Sequence[DataFigures] = ()
    """In the order of the spec, warm-up included; empty for a spec without test data."""
    exceptions: Sequence[ExceptionFigures] = ()
    """Most frequent first, without tracebacks; empty for a spec without code."""
    own_metrics: Sequence[OwnFigures] = ()
    """In the order of their declaration; empty for a test that declares none."""
