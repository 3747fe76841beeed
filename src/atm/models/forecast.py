"""The forecast of a plan: duration, requests, load level over time. Computed by `atm.plan.forecast`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from atm.dataclass import dataclass


class Phase(StrEnum):
    """A part of a load; after the last one, a run also drains."""

    WARM_UP = "warm_up"
    LOAD = "load"
    """The measured load at a constant level."""
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
    """Null if only a number of requests ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Figures that follow from a plan alone; the target can only make them smaller."""

    warm_up_seconds: float
    seconds: float | None
    """Length of the measured load; null if only a number of requests ends it, so the target decides."""
    requests: int | None
    """Requests of the measured load: due in the open model, at most in the closed one; null if the target decides.
    For random arrivals, the mean."""
    peak: float
    """The highest level, warm-up included."""
    points: Sequence[LevelPoint]
    """Corners of the level, warm-up included, joined by lines; two at the same time are a jump. A load without an end
    has its last point at the start of its last phase."""
    phases: Sequence[ForecastPhase]
    most_seconds: float | None
    """Upper bound of the sending time, warm-up included; null if no time limits it."""
    most_requests: int | None
    """Upper bound of the requests, warm-up included; null if only the target's speed limits them."""

    @property
    def total_seconds(self) -> float | None:
        """The whole planned duration, warm-up included."""
        return None if self.seconds is None else self.warm_up_seconds + self.seconds
