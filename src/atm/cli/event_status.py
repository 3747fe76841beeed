"""Build the live view's input from the events of a run that another process executes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from atm.cli.progress import Course, planned_load
from atm.metrics.live_status import LiveStatus
from atm.metrics.snapshot import Snapshot
from atm.models import figures
from atm.models.events import IntervalEvent, StartedEvent
from atm.models.run_figures import Second
from atm.plan.forecast import load_of, most_at_once

RECENT_SECONDS = 60
LEAVES = "Ctrl-C stops watching; the run continues"


def course_of_events(name: str, spec: Mapping[str, Any], started: StartedEvent, keys: str) -> Course:
    """Build the course from the started event; only the description of the load comes from the stored spec."""
    planned = load_of(spec)
    endpoints = figures.counted(len(started.endpoints), "endpoint")
    seconds = started.planned_seconds
    return Course(
        name=name,
        load=planned_load(planned[0]) if planned else endpoints,
        engine=started.engine,
        seed=started.seed,
        endpoints=tuple(started.endpoints),
        warm_up_seconds=started.warm_up_seconds,
        seconds=None if seconds is None else started.warm_up_seconds + seconds,
        total_requests=started.planned_requests,
        limit=most_at_once(planned[0]) if planned else None,
        cores=started.cores or 1,
        keys=keys,
        scenarios=tuple(scenario.name for scenario in started.scenarios),
        workers=_workers(spec),
        own_metrics=tuple(metric.name for metric in started.own_metrics),
    )


def _workers(spec: Mapping[str, Any]) -> int:
    fleet = spec.get("fleet") or {}
    return int(fleet.get("workers") or fleet.get("processes") or 0)


class EventStatus:
    """Live status from the interval events of a run."""

    def __init__(self) -> None:
        self._recent: deque[Second] = deque(maxlen=RECENT_SECONDS)

    def after(self, second: IntervalEvent) -> LiveStatus:
        """Add the next interval and return the status after it."""
        self._recent.append(second)
        so_far = second.so_far
        snapshot = Snapshot.of(tuple(self._recent), so_far, second.workers, tuple(second.own_metrics))
        return LiveStatus(snapshot, so_far.thresholds, so_far.measurement, so_far.reason)
