"""The course of a run as points for plots, in bounded memory however long the run is.

Every second feeds points of 1, 10, 60, 600 and 3,600 seconds at once, each computed from the histograms of its own span
while they pass: a coarse point is as exact as a fine one, nothing is averaged or interpolated, and no histogram is kept
for later. A resolution with more than `MOST_POINTS` points is given up, and `points` answers in the finest one that is
left: seconds for the first hour, then 10 s up to ten hours, 60 s up to sixty, and so on. Spans are aligned to the start
of the run and are cut where warm-up ends: a point is of one or of the other. In the second in which that happens, and
for a while after it, requests of the warm-up may still finish; they are in the point, as the target had to answer them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.models.outcome import FAILED, Outcome

MOST_POINTS = 3600
RESOLUTIONS = (1, 10, 60, 600, 3600)
"""Seconds of one point. The last one is never given up: a year of points of an hour is 8,760 of them."""
_PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Point:
    """One span of the timeline; fewer than a thousand bytes, unlike the `TimelinePoint` of results. Times in ns."""

    second: int
    phase: str
    warm_up: bool
    duration_ns: int
    offered: float
    started: int
    completed: int
    failed: int
    p50_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    maximum_ns: int | None
    in_flight: int
    lag_p99_ns: float | None
    cpu_seconds: float
    errors: tuple[tuple[Outcome, int], ...]

    @property
    def seconds(self) -> float:
        return self.duration_ns / 1e9


def milliseconds(nanoseconds: float | None) -> float | None:
    """Nanoseconds as the `_ms` of results; None and ∞ stay what they are."""
    return None if nanoseconds is None else nanoseconds / 1e6


@dataclass(slots=True)
class _Span:
    """A point that is still filling up."""

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

    def point(self) -> Point:
        p50, p95, p99 = self.response.percentiles(_PERCENTS)
        failures = {outcome: count for outcome, count in self.outcomes.items() if outcome in FAILED and count}
        failed = sum(failures.values())
        return Point(
            second=self.second,
            phase=self.phase,
            warm_up=self.warm_up,
            duration_ns=self.duration_ns,
            offered=self.offered,
            started=self.started,
            completed=self.outcomes[Outcome.OK] + failed,
            failed=failed,
            p50_ns=p50,
            p95_ns=p95,
            p99_ns=p99,
            maximum_ns=self.response.maximum,
            in_flight=self.in_flight,
            lag_p99_ns=self.lag.percentile(99),
            cpu_seconds=self.cpu_seconds,
            errors=tuple(failures.items()),
        )


class _Level:
    """The points of one resolution, the last of them perhaps still open."""

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        self.points: list[Point] = []
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

    def all(self) -> list[Point]:
        return [*self.points, self.open.point()] if self.open else list(self.points)


class Timeline:
    """Takes the seconds of a run in order, warm-up and measured load together, and remembers points."""

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most_points = most_points
        self._levels = [_Level(resolution) for resolution in RESOLUTIONS]

    def add(self, interval: Interval) -> Point:
        """Add one second; returns its point."""
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
        return span.point()

    @property
    def resolution(self) -> int:
        """Seconds of one point."""
        return self._levels[0].resolution

    def points(self) -> list[Point]:
        """The run so far in the finest resolution that is left; the last point may still grow."""
        return self._levels[0].all()
