"""What a plan will do: its length, its requests, and its level over time. Computed by `atm.plan.forecast`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """A part of a load; a run also drains after its last one."""

    WARM_UP = "warm_up"
    LOAD = "load"
    """The measured load, where its level is constant."""
    RAMP_UP = "ramp_up"
    HOLD = "hold"
    RAMP_DOWN = "ramp_down"


@dataclass(frozen=True, slots=True)
class LevelPoint:
    """A corner of the level over time."""

    at: float
    """Seconds since the start of the run, warm-up included."""
    level: float
    """Users, or arrivals per second."""


@dataclass(frozen=True, slots=True)
class ForecastPhase:
    """A phase with its planned start and end, in seconds since the start of the run."""

    phase: Phase
    start: float
    end: float | None
    """Null where only a number of requests ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What follows from a plan alone; what the target does can only make it less."""

    warm_up_seconds: float
    seconds: float | None
    """Length of the measured load; null where only a number of requests ends it, and so the target decides."""
    requests: int | None
    """Requests of the measured load: due in the open model, at most in the closed one; null where the target decides.
    Of random arrivals it is the mean."""
    peak: float
    """The highest level, warm-up included."""
    points: Sequence[LevelPoint]
    """Corners of the level, warm-up included, joined by lines; two at one moment are a jump. A load without an end in
    time has a last point at the start of its last phase."""
    phases: Sequence[ForecastPhase]
    most_seconds: float | None
    """An upper bound of how long it sends, warm-up included; null when no time bounds it."""
    most_requests: int | None
    """An upper bound of the requests, warm-up included; null when only the target's speed bounds them."""

    @property
    def total_seconds(self) -> float | None:
        """The whole planned length, warm-up included."""
        return None if self.seconds is None else self.warm_up_seconds + self.seconds
