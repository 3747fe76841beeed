"""State of a run in progress, shown by one of two views: `live_view.py` redraws, `plain_progress.py` adds lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from atm.metrics.live_status import LiveStatus
from atm.models import figures
from atm.plan.forecast import forecast, most_at_once
from atm.plan.load_plan import LoadPlan

if TYPE_CHECKING:
    # At run time this would bring pydantic into the path to the first request.
    pass


@dataclass(frozen=True, slots=True)
class Course:
    """What was known before the start."""

    name: str
    load: str
    """`open 500/s · up to 64 users`."""
    engine: str
    seed: int
    endpoints: tuple[str, ...]
    warm_up_seconds: float = 0.0
    seconds: float | None = None
    """The whole planned length, warm-up included; None where a total of requests decides."""
    total_requests: int | None = None
    limit: int | None = None
    """The most requests in flight."""
    cores: int = 1
    """Of the machine that sends."""
    keys: str = "Ctrl-C stops and reports · again quits at once"
    """What can be typed while it goes on."""

    @property
    def facts(self) -> str:
        return " · ".join((self.load, self.engine, f"seed {self.seed}"))


class ProgressView(Protocol):
    """Shows a run on stderr while it goes on."""

    def start(self) -> None:
        """The run begins now."""

    def update(self, standing: LiveStatus) -> None:
        """A second has passed."""

    def tick(self) -> None:
        """A quarter of a second has passed."""

    def stopping(self, text: str) -> None:
        """The run was told to stop, or to cancel; `text` says what it waits for."""

    def close(self) -> None:
        """The run has ended; leave the terminal as it was."""


class NoView:
    """For `--quiet`."""

    def start(self) -> None: ...

    def update(self, standing: LiveStatus) -> None: ...

    def tick(self) -> None: ...

    def stopping(self, text: str) -> None: ...

    def close(self) -> None: ...


def course_of(plan: LoadPlan, engine: str, cores: int) -> Course:
    """The course of a plan."""
    ahead = forecast(plan)
    return Course(
        name=plan.name,
        load=planned_load(plan),
        engine=engine,
        seed=plan.seed,
        endpoints=plan.endpoints,
        warm_up_seconds=ahead.warm_up_seconds,
        seconds=ahead.total_seconds,
        total_requests=plan.total_requests,
        limit=most_at_once(plan.load),
        cores=cores,
    )


def planned_load(plan: LoadPlan) -> str:
    """The load of a plan in a few words: `open 500/s · up to 64 users`, `closed · 10 users`."""
    load = plan.load
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
