"""The live view: a frame of fixed height on stderr, redrawn four times a second and erased at the end.

`frame` is pure: from status to styled lines. `LiveView` writes frames to a terminal. Rich's Live is not used because
the view shares a thread with the load: a frame here costs about a third of a millisecond and no import.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from atm.cli.live_lines import data_line, own_metrics_line
from atm.cli.live_tables import endpoint_entries, endpoint_lines, table_rows, worker_lines
from atm.cli.output import WIDEST, Surface
from atm.cli.progress import Course
from atm.cli.text import Line, Paper, Style, cells
from atm.dataclass import dataclass
from atm.metrics.live_status import LiveStatus
from atm.metrics.snapshot import Snapshot
from atm.models import figures

REDRAWS_PER_SECOND = 4
SPARKS = 17
"""Width of a sparkline on 80 columns; it grows with the terminal, up to 57 columns."""
_LABEL_END = 14
_ASIDE = 35
_FRAME_ROWS = 16
"""Rows of a frame without endpoints and workers, including blank ones."""
_SCENARIO_ROWS = 2
"""Further rows of a frame with scenarios."""
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-~=+*#"


@dataclass(frozen=True, slots=True)
class Moment:
    """The inputs of a frame that change with time and terminal."""

    elapsed_seconds: float
    """Since the start of the run."""
    rows: int = 24
    stopping: str = ""
    """Message after Ctrl-C, or while `setup` or `teardown` runs; else empty."""


def frame(course: Course, status: LiveStatus | None, moment: Moment, paper: Paper) -> list[Line]:
    """Return the rows of one frame. Their number depends only on course and terminal, so the view does not jump."""
    snapshot = status.snapshot if status else None
    lines = [_title(course, paper), _progress(course, snapshot, moment, paper), paper.line()]
    lines += _figures(course, snapshot, moment, paper)
    if course.scenarios:
        lines += [_iterations(snapshot, paper), _checks(snapshot, paper)]
    if course.data:
        lines.append(data_line(snapshot, paper, _LABEL_END))
    if course.own_metrics:
        lines.append(own_metrics_line(snapshot, paper, _LABEL_END))
    lines += [paper.line(), *_tables(course, snapshot, moment, paper)]
    lines += [paper.line(), _measurement(course, status, paper)]
    lines += [_thresholds(status, paper), paper.line(), _hint(course, moment, paper)]
    return lines


def _title(course: Course, paper: Paper) -> Line:
    facts = paper.text(course.facts)
    if cells(facts) > paper.width - 28:
        facts = paper.fitted(facts, max(paper.width - 28, 20))
    name = paper.fitted(course.name, paper.width - 8 - cells(facts))
    return paper.line(" atm  ", Style.DIM).add(name, Style.BOLD).right(facts, paper.width, Style.DIM)


def _progress(course: Course, snapshot: Snapshot | None, moment: Moment, paper: Paper) -> Line:
    phase = "start"
    if snapshot is not None:
        phase = "warm-up" if snapshot.second.warm_up else snapshot.second.phase.replace("_", "-")
    done, end = _done(course, snapshot, moment)
    length = paper.width - 9 - cells(end) - 2
    line = paper.line(f" {phase}").to(9)
    filled = int(done * length * 2 + 0.5)
    full, half = divmod(min(filled, length * 2), 2)
    if not paper.unicode:
        line.add("=" * full + "-" * (length - full))
    else:
        line.add("━" * full + "╸" * half).add("━" * (length - full - half), Style.DIM)
    return line.right(end, paper.width)


def _done(course: Course, snapshot: Snapshot | None, moment: Moment) -> tuple[float, str]:
    elapsed = moment.elapsed_seconds
    if course.seconds:
        share = min(elapsed / course.seconds, 1.0)
        elapsed = min(elapsed, course.seconds) if snapshot is None or snapshot.second.phase != "drain" else elapsed
        times = f"{figures.clock(elapsed)} / {figures.clock(course.seconds)}"
    elif course.total_requests:
        started = snapshot.so_far.started if snapshot is not None and not snapshot.second.warm_up else 0
        share = min(started / course.total_requests, 1.0)
        times = f"{figures.count(started)} of {figures.count(course.total_requests)}  {figures.clock(elapsed)}"
    else:
        return 0.0, figures.clock(elapsed)
    return share, f"{figures.percent(share):>5}  {times}"


def _figures(course: Course, snapshot: Snapshot | None, moment: Moment, paper: Paper) -> list[Line]:
    if snapshot is None:
        labels = ("rate", "p99 now", "response", "failed", "in flight")
        return [paper.line(f" {label}", Style.DIM).to(_LABEL_END).add(figures.NO_DATA, Style.DIM) for label in labels]

    def row(label: str) -> Line:
        return paper.line(f" {label}", Style.DIM).to(_LABEL_END)

    sparks = min(SPARKS + max(paper.width - 80, 0), 57)
    offered = "" if course.scenarios else _of_offered(snapshot)
    rates = row("rate").add(f"{figures.rate(snapshot.second.requests_per_second)} /s{offered}").to(_ASIDE)
    rates.add(sparkline(snapshot.rates, sparks, paper, worst=min)).right("last 60 s", paper.width, Style.DIM)
    p99s = [value for value in snapshot.p99s_ms if value is not None]
    times = row("p99 now").add(figures.time(snapshot.second.latency_p99_ms)).to(_ASIDE)
    times.add(sparkline(snapshot.p99s_ms, sparks, paper, worst=max))
    if p99s:
        times.right(f"peak {figures.time(max(p99s))}", paper.width, Style.DIM)
    response = row("response")
    far = snapshot.so_far
    values = (far.latency_p50_ms, far.latency_p95_ms, far.latency_p99_ms, far.latency_max_ms)
    for name, value in zip(("p50", "p95", "p99", "max"), values, strict=True):
        response.add(f"{name} ", Style.DIM).add(f"{figures.time(value):<8}  ")
    response.right("warm-up" if snapshot.second.warm_up else "so far", paper.width, Style.DIM)
    flying = row("in flight").add(figures.count(snapshot.second.in_flight))
    # The limit of scenarios is on iterations, also those that think.
    flying.add(f" of {figures.count(course.limit)}" if course.limit and not course.scenarios else "")
    if snapshot.second.offered_rate or snapshot.so_far.missed:
        flying.to(_ASIDE + 2).add("missed ", Style.DIM).add(figures.count(snapshot.so_far.missed))
    if snapshot.second.waiting:
        flying.add("   waiting ", Style.DIM).add(figures.count(snapshot.second.waiting))
    return [rates, times, response, _failed(snapshot, moment, row("failed"), paper), flying]


def _failed(snapshot: Snapshot, moment: Moment, line: Line, paper: Paper) -> Line:
    if not snapshot.so_far.failed:
        return line.add(f"none of {figures.count(snapshot.so_far.completed)}")
    line.add(figures.count(snapshot.so_far.failed), Style.FAIL)
    line.add(f" of {figures.count(snapshot.so_far.completed)} ({figures.share(snapshot.so_far.error_rate)})   ")
    ago = ""
    if snapshot.last_failure_seconds is not None:
        seconds = max(0, int(moment.elapsed_seconds - snapshot.last_failure_seconds))
        ago = f"last {figures.planned(seconds) if seconds else '0 s'} ago"
    shown: list[str] = []
    for error in snapshot.so_far.errors:
        more = [*shown, paper.text(f"{error.label} ×{figures.count(error.count)}")]
        if line.width + cells(paper.text(" · ".join([*more, ago]))) > paper.width:
            break
        shown = more
    return line.add(" · ".join(part for part in (*shown, ago) if part))


def _of_offered(snapshot: Snapshot) -> str:
    return f" of {figures.rate(snapshot.second.offered_rate)}" if snapshot.second.offered_rate else ""


def _iterations(snapshot: Snapshot | None, paper: Paper) -> Line:
    """Iterations per second of all scenarios and of each, and how many failed."""
    line = paper.line(" iterations", Style.DIM).to(_LABEL_END)
    entries = snapshot.so_far.scenarios if snapshot else ()
    if not entries:
        return line.add(figures.NO_DATA, Style.DIM)
    rate = figures.rate(sum(entry.iterations_per_second for entry in entries))
    line.add(f"{rate} /s{_of_offered(snapshot) if snapshot else ''}   ")
    failed = sum(entry.failed for entry in entries)
    ended = failed + sum(entry.completed for entry in entries)
    end = f"failed {figures.count(failed)} of {figures.count(ended)}"
    shown: list[str] = []
    for entry in entries if len(entries) > 1 else ():
        part = f"{paper.fitted(entry.name, 20)} {figures.rate(entry.iterations_per_second)}"
        if line.width + cells(" · ".join([*shown, part])) + cells(end) + 2 > paper.width:
            break
        shown.append(part)
    return line.add(paper.text(" · ").join(shown)).right(end, paper.width, Style.FAIL if failed else Style.DIM)


def _checks(snapshot: Snapshot | None, paper: Paper) -> Line:
    """How many evaluations of checks failed so far, and of which checks."""
    line = paper.line(" checks", Style.DIM).to(_LABEL_END)
    checks = snapshot.so_far.checks if snapshot else ()
    evaluated = sum(check.evaluated for check in checks)
    if not evaluated:
        return line.add(figures.NO_DATA, Style.DIM)
    failed = sorted((check for check in checks if check.failed), key=lambda check: -check.failed)
    if not failed:
        return line.add(f"none of {figures.count(evaluated)} failed")
    line.add(figures.count(sum(check.failed for check in failed)), Style.FAIL)
    line.add(f" of {figures.count(evaluated)} failed   ")
    shown: list[str] = []
    for check in failed:
        part = paper.text(f"{paper.fitted(check.name, 30)} ×{figures.count(check.failed)}")
        if shown and line.width + cells(" · ".join([*shown, part])) > paper.width:
            break
        shown.append(part)
    return line.add(paper.fitted(paper.text(" · ").join(shown), paper.width - line.width))


def sparkline(
    values: Sequence[float | None], width: int, paper: Paper, worst: Callable[[Sequence[float]], float]
) -> str:
    """Draw `values`, newest last, in `width` columns, scaled from 0 to their maximum.

    A column shows the worst of its values; one without data is blank.
    """
    levels = _LEVELS if paper.unicode else _ASCII_LEVELS
    highest = max((value for value in values if value is not None), default=0.0)
    if not values or not highest:
        return levels[0] * min(len(values), width)
    columns = min(width, len(values))
    drawn = []
    for column in range(columns):
        part = values[column * len(values) // columns : (column + 1) * len(values) // columns]
        present = [value for value in part if value is not None]
        drawn.append(levels[min(int(worst(present) / highest * len(levels)), len(levels) - 1)] if present else " ")
    return "".join(drawn)


def _tables(course: Course, snapshot: Snapshot | None, moment: Moment, paper: Paper) -> list[Line]:
    taken = _FRAME_ROWS + (_SCENARIO_ROWS if course.scenarios else 0) + bool(course.data) + bool(course.own_metrics)
    rows = table_rows(course, moment.rows - taken, len(endpoint_entries(course, snapshot)))
    lines = endpoint_lines(course, snapshot, rows.endpoints, paper)
    return lines + worker_lines(snapshot, rows.workers, paper) if course.workers else lines


def _measurement(course: Course, status: LiveStatus | None, paper: Paper) -> Line:
    line = paper.line(" measurement", Style.DIM).to(_LABEL_END)
    if status is None or status.measurement is None:
        return line.add(figures.NO_DATA, Style.DIM)
    signs = paper.signs
    sign, style = {
        "valid": (signs.passed, Style.PASS),
        "suspect": (signs.warning, Style.WARN),
        "invalid": (signs.failed, Style.FAIL),
    }[status.measurement.value]
    line.add(sign, style).add(f" {status.measurement.value} so far")
    snapshot = status.snapshot
    facts = []
    if status.reason:
        facts.append(status.reason)
    else:
        if snapshot.so_far.schedule_lag_p99_ms is not None:
            facts.append(f"lag p99 {figures.time(snapshot.so_far.schedule_lag_p99_ms)}")
        cores = "1 core" if course.cores == 1 else f"{course.cores} cores"
        facts.append(f"CPU {figures.percent(snapshot.second.cpu_share / course.cores)} of {cores}")
    text = paper.text("   " + " · ".join(facts))
    return line.add(text if line.width + cells(text) <= paper.width else _cut(text, paper.width - line.width, paper))


def _cut(text: str, width: int, paper: Paper) -> str:
    return text[: max(width - len(paper.ellipsis), 0)] + paper.ellipsis


def _thresholds(status: LiveStatus | None, paper: Paper) -> Line:
    if status is None or not status.thresholds:
        return paper.line()
    line = paper.line(" thresholds", Style.DIM).to(_LABEL_END)
    measured = [threshold for threshold in status.thresholds if threshold.actual is not None]
    failed = [threshold for threshold in measured if not threshold.passed]
    holding = len(measured) - len(failed)
    rest = len(status.thresholds) - len(measured)
    end = f"{paper.signs.passed.strip()} {holding} {'holds' if holding == 1 else 'hold'}" if holding else ""
    if rest:
        end += f"{'   ' if end else ''}{rest} without data"
    for number, threshold in enumerate(failed):
        text = paper.text(f" {threshold.expression}: {threshold.measured}   ")
        more = f"{len(failed) - number} more failed   "
        if number and line.width + len(paper.signs.failed) + cells(text) + cells(end) > paper.width:
            line.add(more, Style.FAIL)
            break
        line.add(paper.signs.failed.strip(), Style.FAIL).add(paper.fitted(text, paper.width - line.width))
    if line.width + cells(end) <= paper.width:
        line.add(end, Style.PASS if holding else Style.DIM)
    return line


def _hint(course: Course, moment: Moment, paper: Paper) -> Line:
    if moment.stopping:
        return paper.line(" ").add(paper.fitted(moment.stopping, paper.width - 1), Style.WARN)
    return paper.line(f" {course.keys}", Style.DIM)


class LiveView:
    """Draw frames on a terminal, in place."""

    def __init__(self, course: Course, surface: Surface, clock: Callable[[], float] = time.monotonic) -> None:
        self._course = course
        self._surface = surface
        self._clock = clock
        self._status: LiveStatus | None = None
        self._seen_at = 0.0
        self._stopping = ""
        self._drawn = 0
        self._size = (0, 0)

    def start(self) -> None:
        self._seen_at = self._clock()
        self._draw()

    def update(self, status: LiveStatus) -> None:
        self._status = status
        self._seen_at = self._clock()

    def tick(self) -> None:
        self._draw()

    def stopping(self, text: str) -> None:
        self._stopping = text
        self._draw()

    def notice(self, text: str) -> None:
        self.stopping(text)

    def close(self) -> None:
        """Erase the frame and show the cursor again."""
        # Line by line: clearing a whole screen at once puts a copy of it into the scrollback of some terminals.
        blank = "\x1b[2K\r\n" * self._drawn
        self._surface.write(f"\r{self._up()}{blank}{self._up()}\x1b[2K\x1b[?25h")
        self._drawn = 0

    def _up(self) -> str:
        return f"\x1b[{self._drawn}A" if self._drawn else ""

    def _draw(self) -> None:
        columns, rows = self._terminal_size()
        paper = Paper(min(columns, WIDEST), self._surface.paper.unicode)
        elapsed = self._clock() - self._seen_at
        if self._status is not None:
            # The next interval may be late: advance the clock for at most two seconds, then wait for it.
            elapsed = self._status.snapshot.elapsed_seconds + min(elapsed, 2.0)
        lines = frame(self._course, self._status, Moment(elapsed, rows, self._stopping), paper)[: rows - 1]
        # The number of rows after the terminal has rewrapped lines is unknown, so a new size clears the screen.
        start = f"\r{self._up()}" if self._size in ((columns, rows), (0, 0)) else "\x1b[H\x1b[2J"
        color = self._surface.color
        # Erase before writing: after a full line the cursor is on its last character.
        body = "".join(f"\x1b[2K{clipped(line, columns).rendered(color)}\r\n" for line in lines)
        self._surface.write(f"\x1b[?2026h\x1b[?25l{start}{body}\x1b[J\x1b[?2026l")
        self._drawn, self._size = len(lines), (columns, rows)

    def _terminal_size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._surface.stream.fileno())
        except OSError:
            return 80, 24
        # A terminal of unknown size reports 0.
        return size.columns or 80, size.lines or 24


def clipped(line: Line, width: int) -> Line:
    """Return `line` cut off after `width` columns."""
    if line.width <= width:
        return line
    short = Line(line.paper)
    for text, style in line.spans:
        room = width - short.width
        if room <= 0:
            break
        while cells(text) > room:
            text = text[:-1]
        short.spans.append((text, style))
    return short
