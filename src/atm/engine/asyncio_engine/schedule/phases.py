"""Name the phase of its profile that a lane is in."""

from __future__ import annotations

from atm.plan.load_plan import Lane, Segment


class Phases:
    """`warm_up`, `load`, `drain`, or in stages `ramp_up`, `hold`, `ramp_down`."""

    def __init__(self, lane: Lane) -> None:
        self._warm_up = lane.load.warm_up_ns
        segments = lane.load.segments
        self._is_flat = len(segments) == 1 and segments[0].start == segments[0].end
        self._ends: list[tuple[int | None, str]] = []
        elapsed = self._warm_up
        for segment in segments:
            elapsed += segment.duration_ns or 0
            self._ends.append((None if segment.duration_ns is None else elapsed, _name(segment)))

    def at(self, elapsed: int, shift: int, is_draining: bool) -> str:
        """Return the phase at, or just before, `elapsed` ns of the lane; `shift` is the barrier time so far."""
        if elapsed <= self._warm_up:
            return "warm_up"
        if is_draining:
            return "drain"
        if self._is_flat:
            return "load"
        within = elapsed - shift
        return next((name for end, name in self._ends if end is None or within <= end), self._ends[-1][1])


def _name(segment: Segment) -> str:
    if segment.duration_ns is None or segment.start == segment.end:
        return "hold"
    return "ramp_up" if segment.end > segment.start else "ramp_down"
