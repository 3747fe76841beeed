"""Progress without a terminal: a line after 1 s, then every 5 s, at each phase change and each new kind of failure."""

from __future__ import annotations

from atm.cli.output import Surface
from atm.cli.progress import Course
from atm.cli.text import Paper
from atm.metrics.live_status import LiveStatus
from atm.metrics.snapshot import Snapshot
from atm.models import figures
from atm.models.outcome import Outcome

FIRST_SECONDS = 1.0
EVERY_SECONDS = 5.0


class PlainView:
    """Writes progress lines to stderr, without cursor control."""

    def __init__(self, course: Course, surface: Surface) -> None:
        self._course = course
        self._surface = surface
        self._phase = ""
        self._next = FIRST_SECONDS
        self._failures: set[Outcome] = set()
        self._lost: set[str] = set()

    def start(self) -> None:
        self._print(f"atm  {self._course.name}  {self._course.facts}")

    def update(self, status: LiveStatus) -> None:
        snapshot = status.snapshot
        for error in snapshot.so_far.errors:
            if error.outcome not in self._failures:
                self._failures.add(error.outcome)
                self._print(f"{figures.clock(error.last_seconds)} first {error.outcome}: {error.message}")
        for worker in snapshot.workers:
            if worker.state == "lost" and worker.name not in self._lost:
                self._lost.add(worker.name)
                self._print(f"{figures.clock(worker.delta)} {worker.name} lost: {worker.message}")
        changed = bool(self._phase) and snapshot.second.phase != self._phase
        self._phase = snapshot.second.phase
        # Intervals are not exactly whole seconds; the tolerance treats 4.99 as 5.
        if changed or snapshot.elapsed_seconds >= self._next - 0.05:
            self._print(progress_line(snapshot))
            self._next = (snapshot.elapsed_seconds + 0.05) // EVERY_SECONDS * EVERY_SECONDS + EVERY_SECONDS

    def tick(self) -> None: ...

    def stopping(self, text: str) -> None:
        self._print(text)

    def notice(self, text: str) -> None:
        if text:
            self._print(text)

    def close(self) -> None: ...

    def _print(self, text: str) -> None:
        paper: Paper = self._surface.paper
        self._surface.lines([paper.line(text)])


def progress_line(snapshot: Snapshot) -> str:
    """Format `00:35 hold  499.8/500 /s  p50 12.4 ms  p95 50.2 ms  p99 176 ms  failed 38 (0.22 %)  in flight 7`."""
    second, so_far = snapshot.second, snapshot.so_far
    arrivals = f"/{figures.rate(second.offered_rate)}" if second.offered_rate else ""
    offered = "" if so_far.scenarios else arrivals
    phase = "warm-up" if second.warm_up else second.phase.replace("_", "-")
    parts = [
        f"{figures.clock(snapshot.elapsed_seconds)} {phase}",
        f"{figures.rate(second.requests_per_second)}{offered} /s",
        f"p50 {figures.time(so_far.latency_p50_ms)}",
        f"p95 {figures.time(so_far.latency_p95_ms)}",
        f"p99 {figures.time(so_far.latency_p99_ms)}",
        f"failed {figures.count(so_far.failed)}" + (f" ({figures.share(so_far.error_rate)})" if so_far.failed else ""),
        f"in flight {figures.count(second.in_flight)}",
    ]
    if so_far.scenarios:
        ended = sum(scenario.iterations_per_second for scenario in so_far.scenarios)
        failed = sum(scenario.failed for scenario in so_far.scenarios)
        parts.append(
            f"iterations {figures.rate(ended)}{arrivals} /s" + (f" ({figures.count(failed)} failed)" if failed else "")
        )
    if failed_checks := sum(check.failed for check in so_far.checks):
        parts.append(f"checks failed {figures.count(failed_checks)}")
    if so_far.missed:
        parts.append(f"missed {figures.count(so_far.missed)}")
    return "  ".join(parts)
