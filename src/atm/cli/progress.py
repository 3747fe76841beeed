"""The protocol of the two progress views, `live_view.py` and `plain_progress.py`, and the course that they show."""

from __future__ import annotations

from typing import Protocol

from atm.dataclass import dataclass
from atm.metrics.live_status import LiveStatus
from atm.models import figures
from atm.plan.forecast import forecast, most_in_flight
from atm.plan.load_plan import Load, LoadPlan
from atm.plan.outline import data_in, scenarios_of


@dataclass(frozen=True, slots=True)
class Course:
    """The planned course of a run, known before it starts."""

    name: str
    load: str
    """`open 500/s · up to 64 users`."""
    engine: str
    seed: int
    endpoints: tuple[str, ...]
    warm_up_seconds: float = 0.0
    seconds: float | None = None
    """Planned length including warm-up; None if the number of requests ends the run."""
    total_requests: int | None = None
    limit: int | None = None
    """The most requests in flight."""
    cores: int = 1
    """Usable cores of the load generator."""
    keys: str = "Ctrl-C stops and reports · again quits at once"
    """Keys available during the run."""
    scenarios: tuple[str, ...] = ()
    """Names of the scenarios; empty for a spec of endpoints."""
    data: tuple[str, ...] = ()
    """Names of the sources of test data whose rows are counted."""
    workers: int = 0
    """Number of workers; 0 for a run in one process."""
    own_metrics: tuple[str, ...] = ()
    """Names of the metrics that the test declares."""

    @property
    def facts(self) -> str:
        return " · ".join((self.load, self.engine, f"seed {self.seed}"))


class ProgressView(Protocol):
    """Shows a run in progress on stderr."""

    def start(self) -> None:
        """Called when the run starts."""

    def update(self, status: LiveStatus) -> None:
        """Called after each interval of a second."""

    def tick(self) -> None:
        """Called every quarter of a second."""

    def stopping(self, text: str) -> None:
        """Called when the run is being stopped or cancelled, with a message."""

    def notice(self, text: str) -> None:
        """Called when `setup` or `teardown` begins, and with an empty text when the load sends."""

    def close(self) -> None:
        """Called when the run has ended; restores the terminal."""


class NoView:
    """The view of `--quiet`: shows nothing."""

    def start(self) -> None: ...

    def update(self, status: LiveStatus) -> None: ...

    def tick(self) -> None: ...

    def stopping(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def close(self) -> None: ...


def course_of(plan: LoadPlan, engine: str, cores: int, workers: int = 0) -> Course:
    """Return the course of a plan, on this many workers; 0 for one process."""
    ahead = forecast(plan)
    return Course(
        name=plan.name,
        load=planned_loads(plan),
        engine=engine,
        seed=plan.seed,
        endpoints=plan.endpoints,
        warm_up_seconds=ahead.warm_up_seconds,
        seconds=ahead.total_seconds,
        total_requests=plan.total,
        scenarios=tuple(scenario.name for scenario in scenarios_of(plan)),
        data=tuple(source.name for source in data_in(plan) if source.is_counted),
        limit=most_in_flight(plan),
        cores=cores,
        workers=workers,
        own_metrics=tuple(metric.name for metric in plan.own_metrics),
    )


_NAMED_LANES = 3
"""Most lanes to describe by name."""


def planned_loads(plan: LoadPlan) -> str:
    """Describe the load of a plan; of several lanes each by its name: `browse: open 40/s · order: closed, 50 users`."""
    if len(plan.lanes) == 1:
        return planned_load(plan.lanes[0].load)
    if len(plan.lanes) > _NAMED_LANES:
        return f"{len(plan.lanes)} loads side by side"
    return " · ".join(f"{lane.name}: {planned_load(lane.load).replace(' · ', ', ')}" for lane in plan.lanes)


def planned_load(load: Load) -> str:
    """Describe a load: `open 500/s · up to 64 users`, `closed · 10 users`."""
    levels = [level for segment in load.segments for level in (segment.start, segment.end)]
    varies = min(levels) != max(levels)
    span = f"{figures.rate(min(levels))} to {figures.rate(max(levels))}" if varies else figures.rate(max(levels))
    if load.model == "closed":
        users = "user" if not varies and max(levels) == 1 else "users"
        return f"closed · {span} {users}" + (f" · at most {figures.rate(load.max_rate)}/s" if load.max_rate else "")
    text = f"open {span}/s" + (" poisson" if load.arrival == "poisson" else "")
    if load.max_in_flight:
        text += f" · up to {figures.count(load.max_in_flight)} {'user' if load.max_in_flight == 1 else 'users'}"
    return text
