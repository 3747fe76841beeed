"""A run that goes on elsewhere, as the live view shows it: from its events to the same course and standing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from atm.cli.progress import Course, course_of
from atm.errors import SpecError
from atm.metrics.live_status import LiveStatus
from atm.metrics.snapshot import Snapshot
from atm.models.events import IntervalEvent, StartedEvent
from atm.models.run_figures import Second
from atm.plan.compile import compile_plan

RECENT_SECONDS = 60
LEAVES = "Ctrl-C leaves, and the run goes on"


class _Anything(Mapping[str, str]):
    """An environment in which everything is set: what the run was sent with is known only where it runs."""

    def __getitem__(self, name: str) -> str:
        return "-"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def course_of_events(name: str, spec: Mapping[str, Any], started: StartedEvent, keys: str) -> Course:
    """What was known before the start, from a stored spec (credentials masked) and the first event."""
    cores = started.cores or 1
    try:
        plan = compile_plan(spec, _Anything(), default_seed=started.seed, read_file=lambda _name: b"")
    except SpecError:
        # A mask may stand where only a real value can be read; what the event says is enough to go by.
        seconds = started.planned_seconds
        return Course(
            name=name,
            load=f"{len(started.endpoints)} endpoints" if len(started.endpoints) > 1 else "1 endpoint",
            engine=started.engine,
            seed=started.seed,
            endpoints=tuple(started.endpoints),
            warm_up_seconds=started.warm_up_seconds,
            seconds=None if seconds is None else started.warm_up_seconds + seconds,
            total_requests=started.planned_requests,
            cores=cores,
            keys=keys,
        )
    course = course_of(plan.plan, started.engine, cores)
    return Course(**{**{field: getattr(course, field) for field in course.__dataclass_fields__}, "keys": keys})


class EventStatus:
    """How a run stands, from the seconds that it tells."""

    def __init__(self) -> None:
        self._recent: deque[Second] = deque(maxlen=RECENT_SECONDS)

    def after(self, second: IntervalEvent) -> LiveStatus:
        """Take the next second."""
        self._recent.append(second)
        far = second.so_far
        return LiveStatus(Snapshot.of(tuple(self._recent), far), far.thresholds, far.measurement, far.reason)
