"""Progress without a terminal: a line after a second, then every five, at each phase, at each new kind of failure."""

from __future__ import annotations

from atm.cli.output import Surface
from atm.cli.progress import Course, Standing
from atm.cli.text import Paper
from atm.metrics.snapshot import Snapshot
from atm.models import figures
from atm.models.outcome import Outcome

FIRST_SECONDS = 1.0
EVERY_SECONDS = 5.0


class PlainView:
    """Writes lines to stderr, no cursor codes."""

    def __init__(self, course: Course, surface: Surface) -> None:
        self._course = course
        self._surface = surface
        self._phase = ""
        self._next = FIRST_SECONDS
        self._failures: set[Outcome] = set()

    def start(self) -> None:
        self._say(f"atm  {self._course.name}  {self._course.facts}")

    def update(self, standing: Standing) -> None:
        snapshot = standing.snapshot
        for error in snapshot.errors:
            if error.outcome not in self._failures:
                self._failures.add(error.outcome)
                self._say(f"{figures.clock(error.last_seconds)} first {error.outcome}: {error.message}")
        changed = bool(self._phase) and snapshot.phase != self._phase
        self._phase = snapshot.phase
        # The seconds of a run are not quite whole in the clock of whoever looks; the tolerance keeps 4.99 with 5.
        if changed or snapshot.elapsed_seconds >= self._next - 0.05:
            self._say(progress_line(snapshot))
            self._next = (snapshot.elapsed_seconds + 0.05) // EVERY_SECONDS * EVERY_SECONDS + EVERY_SECONDS

    def tick(self) -> None: ...

    def stopping(self, text: str) -> None:
        self._say(text)

    def close(self) -> None: ...

    def _say(self, text: str) -> None:
        paper: Paper = self._surface.paper
        self._surface.lines([paper.line(text)])


def progress_line(snapshot: Snapshot) -> str:
    """`00:35 hold  499.8/500 /s  p50 12.4 ms  p95 50.2 ms  p99 176 ms  failed 38 (0.22 %)  in flight 7`."""
    offered = f"/{figures.rate(snapshot.offered_rate)}" if snapshot.offered_rate else ""
    phase = "warm-up" if snapshot.warm_up else snapshot.phase.replace("_", "-")
    parts = [
        f"{figures.clock(snapshot.elapsed_seconds)} {phase}",
        f"{figures.rate(snapshot.requests_per_second)}{offered} /s",
        f"p50 {figures.time(snapshot.latency_p50_ms)}",
        f"p95 {figures.time(snapshot.latency_p95_ms)}",
        f"p99 {figures.time(snapshot.latency_p99_ms)}",
        f"failed {figures.count(snapshot.failed)}"
        + (f" ({figures.share(snapshot.error_rate)})" if snapshot.failed else ""),
        f"in flight {figures.count(snapshot.in_flight)}",
    ]
    if snapshot.missed:
        parts.append(f"missed {figures.count(snapshot.missed)}")
    return "  ".join(parts)
