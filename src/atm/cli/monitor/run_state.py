"""The state of the screen of one run: filled from events while it runs, then from its result. Without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from atm.cli.event_status import EventStatus, course_of_events
from atm.cli.live_view import Moment, frame
from atm.cli.monitor.charts import chart_lines
from atm.cli.progress import Course
from atm.cli.report import report_lines
from atm.cli.run_list import outcome_sign, status_lines
from atm.cli.text import Line, Paper, Style, cells, short_id
from atm.metrics.live_status import LiveStatus
from atm.models import figures
from atm.models.control.runs import RunView
from atm.models.events import AnyRunEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.outcome import Measurement, RunStatus
from atm.models.run import RunResult
from atm.models.run_figures import Stretch

ALL_ROWS = 1000
"""The screen scrolls, so tables show all rows."""
LATE_SECONDS = 2.0
"""The clock of a run advances for this long after its last second, then waits for the next."""


class RunState:
    """One run as far as it is known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.run: RunView | None = None
        self.result: RunResult | None = None
        self.message = ""
        """Action in progress, such as waiting for requests in flight."""
        self.forget_events()

    def forget_events(self) -> None:
        """Start again with the first event, after a lost connection."""
        self._course: Course | None = None
        self._status: LiveStatus | None = None
        self._figures = EventStatus()
        self._seconds: list[Stretch] = []
        self._seen_at = self._clock()

    @property
    def has_ended(self) -> bool:
        return self.run is not None and self.run.completed_at is not None

    @property
    def points(self) -> Sequence[Stretch]:
        """The seconds so far, or the timeline of the result."""
        return self.result.timeline if self.result is not None else self._seconds

    def add(self, event: AnyRunEvent) -> None:
        """Take in the next event."""
        assert self.run is not None
        if isinstance(event, StartedEvent):
            self._course = course_of_events(self.run.name, self.run.spec, event, "")
        elif isinstance(event, IntervalEvent):
            self._status = self._figures.after(event)
            self._seconds.append(event)
            self._seen_at = self._clock()
        elif isinstance(event, ProgressEvent):
            self.message = _waiting(event)

    def head(self, paper: Paper, lost: str) -> list[Line]:
        """Return the line at the top, and a second one while something is being waited for."""
        run = self.run
        if run is None:
            return [paper.line(f" {lost or 'loading'}", Style.WARN if lost else Style.DIM)]
        sign, style = outcome_sign(run.outcome, paper, is_suspect=run.measurement is Measurement.SUSPECT)
        line = paper.line(" ").add(f"{sign} {run.outcome}  ", style)
        end = f"run {short_id(run.id)}"
        line.add(paper.fitted(run.name, max(paper.width - line.width - cells(end) - 2, 8)), Style.BOLD)
        lines = [line.right(end, paper.width, Style.DIM)]
        if lost and not self.has_ended:
            last = f", last data {figures.clock(self._status.snapshot.elapsed_seconds)}" if self._status else ""
            lines.append(paper.line(" ").add(paper.fitted(f"reconnecting{last}: {lost}", paper.width - 1), Style.WARN))
        elif self.message and not self.has_ended:
            lines.append(paper.line(" ").add(paper.fitted(self.message, paper.width - 1), Style.WARN))
        return lines

    def charts(self, paper: Paper, height: int) -> list[Line]:
        """Return the charts; none before the first second."""
        return chart_lines(self.points, height, paper) if self.points else []

    def body(self, paper: Paper, now: datetime) -> list[Line]:
        """Return the figures: of the run in progress, of the result, or what else is known of the run."""
        if self.result is not None:
            return report_lines(self.result, paper, saved=True)
        if self.run is None:
            return []
        if self._course is None or self.has_ended:
            return status_lines(self.run, paper, now)[1:]
        elapsed = 0.0
        if self._status is not None:
            late = min(self._clock() - self._seen_at, LATE_SECONDS)
            elapsed = self._status.snapshot.elapsed_seconds + late
        # The last five rows: blank, both verdicts, blank, the keys of `atm run`. The verdicts go to the top.
        lines = frame(self._course, self._status, Moment(elapsed, ALL_ROWS), paper)
        return [*lines[:2], *lines[-4:-2], *lines[2:-5]]


def _waiting(event: ProgressEvent) -> str:
    if event.cancelling:
        return "stopping: waiting for requests in flight"
    if event.status is RunStatus.PENDING and event.queue_position:
        return f"queued: {figures.counted(event.queue_position, 'run')} ahead of it"
    return ""
