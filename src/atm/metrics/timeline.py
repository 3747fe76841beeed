"""The timeline of a run as points for plots, in bounded memory for any length of run.

Every second is added to points of 1, 10, 60, 600 and 3,600 seconds at once, each computed from the histograms of its
span: coarse points are exact, nothing is averaged or interpolated, and no histogram is retained. A resolution with more
than `MOST_POINTS` points is dropped, and `points` returns the finest remaining one: seconds for the first hour, then 10
s up to ten hours, 60 s up to sixty, and so on. Spans are aligned to the start of the run and split at the end of
warm-up: a point belongs to one or the other. In that second and shortly after, requests of the warm-up may still
finish; the point includes them, because they loaded the target.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.models.outcome import FAILED, Outcome
from atm.models.run_figures import Second, TimelinePoint

MOST_POINTS = 3600
RESOLUTIONS = (1, 10, 60, 600, 3600)
"""Seconds per point. The last resolution is never dropped: a year of hourly points is 8,760 points."""
_PERCENTS = (50, 95, 99)


def milliseconds(nanoseconds: float | None) -> float | None:
    """Convert ns to the `_ms` of results; None and ∞ are unchanged."""
    return None if nanoseconds is None else nanoseconds / 1e6


@dataclass(slots=True)
class _Span:
    """A point that is still being filled."""

    second: int
    warm_up: bool
    phase: str = ""
    duration_ns: int = 0
    offered: float = 0.0
    started: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    response: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    in_flight: int = 0
    cpu_seconds: float = 0.0

    def add(self, other: _Span) -> None:
        self.phase = other.phase
        self.duration_ns += other.duration_ns
        self.offered += other.offered
        self.started += other.started
        self.outcomes.update(other.outcomes)
        self.response.merge(other.response)
        self.lag.merge(other.lag)
        self.in_flight = other.in_flight
        self.cpu_seconds += other.cpu_seconds

    def stretch(self) -> dict[str, Any]:
        """Return the fields of a `Stretch`."""
        seconds = self.duration_ns / 1e9
        failed = sum(self.outcomes[outcome] for outcome in FAILED)
        p50, p95, p99 = self.response.percentiles(_PERCENTS)
        return {
            "second": self.second,
            "phase": self.phase,
            "warm_up": self.warm_up,
            "duration_seconds": seconds,
            "offered_rate": self.offered / seconds if seconds else 0.0,
            "started": self.started,
            "completed": self.outcomes[Outcome.OK] + failed,
            "failed": failed,
            "latency_p50_ms": milliseconds(p50),
            "latency_p95_ms": milliseconds(p95),
            "latency_p99_ms": milliseconds(p99),
            "latency_max_ms": milliseconds(self.response.maximum),
            "in_flight": self.in_flight,
            "schedule_lag_p99_ms": milliseconds(self.lag.percentile(99)),
            "cpu_share": self.cpu_seconds / seconds if seconds else 0.0,
        }

    def point(self) -> TimelinePoint:
        errors = {outcome: count for outcome, count in self.outcomes.items() if outcome in FAILED and count}
        return TimelinePoint(**self.stretch(), errors=errors)


class _Level:
    """The points of one resolution; the last may be incomplete."""

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        self.points: list[TimelinePoint] = []
        self.open: _Span | None = None

    def add(self, span: _Span) -> None:
        start = span.second - span.second % self.resolution
        if self.open and (self.open.second - self.open.second % self.resolution, self.open.warm_up) != (
            start,
            span.warm_up,
        ):
            self.points.append(self.open.point())
            self.open = None
        if self.open is None:
            self.open = _Span(span.second, span.warm_up)
        self.open.add(span)

    def all(self) -> list[TimelinePoint]:
        return [*self.points, self.open.point()] if self.open else list(self.points)


class Timeline:
    """Takes the seconds of a run in order, warm-up and measured load together, and stores points."""

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most_points = most_points
        self._levels = [_Level(resolution) for resolution in RESOLUTIONS]

    def add(self, interval: Interval) -> Second:
        """Add one second; return its figures."""
        generator = interval.generator
        outcomes: Counter[Outcome] = Counter()
        response = Histogram()
        for part in interval.endpoints:
            outcomes.update(part.outcomes)
            for histogram in (part.response_ok, part.response_failed, part.response_timeout):
                response.merge(histogram)
        span = _Span(
            second=interval.second,
            warm_up=interval.phase == "warm_up",
            phase=interval.phase,
            duration_ns=interval.duration_ns,
            offered=interval.offered,
            started=sum(part.started for part in interval.endpoints),
            outcomes=outcomes,
            response=response,
            lag=generator.schedule_lag,
            in_flight=generator.in_flight,
            cpu_seconds=generator.cpu_seconds,
        )
        for level in self._levels:
            level.add(span)
        if len(self._levels) > 1 and len(self._levels[0].points) >= self._most_points:
            del self._levels[0]
        stretch = span.stretch()
        return Second(
            **stretch,
            requests_per_second=stretch["completed"] * 1e9 / span.duration_ns if span.duration_ns else 0.0,
            outcomes={outcome: count for outcome, count in outcomes.items() if count},
            missed=sum(part.missed for part in interval.endpoints),
            users=generator.users,
            waiting=generator.waiting,
            busiest_thread_share=generator.busiest_thread_share,
        )

    @property
    def resolution(self) -> int:
        """Seconds of one point."""
        return self._levels[0].resolution

    def points(self) -> list[TimelinePoint]:
        """Return the run so far in the finest remaining resolution; the last point may still grow."""
        return self._levels[0].all()
