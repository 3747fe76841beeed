"""The tables of the live view: endpoints, and the workers of a run on several. Pure.

How many rows each has depends only on the course of the run and the terminal, so the view does not jump.
"""

from __future__ import annotations

from atm.cli.progress import Course
from atm.cli.text import Line, Paper, Style
from atm.dataclass import dataclass
from atm.metrics.snapshot import Snapshot
from atm.models import figures
from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import Measurement
from atm.models.outline import OTHER_ENDPOINT
from atm.models.run_figures import EndpointSoFar

_LEAST_WORKERS = 2
"""Workers get at least this many rows, else half of what is left."""
_WORKER_COLUMNS = (("rate", 11), ("lag p99", 9), ("CPU", 7), ("in flight", 11), ("share", 8))
_STATE_WIDTH = 12
_STYLES = {Measurement.INVALID: Style.FAIL, Measurement.SUSPECT: Style.WARN}
_ORDER = (Measurement.INVALID, Measurement.SUSPECT, Measurement.VALID)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows below the heads of the tables."""

    endpoints: int
    workers: int


def table_rows(course: Course, left: int, endpoints_known: int) -> TableRows:
    """Divide the rows that are left on a terminal; the head of the endpoints is not one of them."""
    if not course.workers:
        return TableRows(max(0, min(endpoints_known, left)), 0)
    left -= 1
    workers = min(course.workers, max(left // 2, _LEAST_WORKERS))
    endpoints = max(0, min(endpoints_known, left - workers))
    return TableRows(endpoints, max(0, min(course.workers, left - endpoints)))


def endpoint_entries(course: Course, snapshot: Snapshot | None) -> list[tuple[str, EndpointSoFar | None]]:
    """Return the endpoints to show, by name: those of the plan, and those that code has announced so far."""
    if snapshot is None:
        return [(name, None) for name in course.endpoints]
    other = f"/{OTHER_ENDPOINT}"
    return [
        (entry.name, entry) for entry in snapshot.so_far.endpoints if entry.started or not entry.name.endswith(other)
    ]


def endpoint_lines(course: Course, snapshot: Snapshot | None, room: int, paper: Paper) -> list[Line]:
    """Return the head of the endpoints and `room` rows."""
    ends = [paper.width - 43 + 10 * number for number in range(5)]
    ends[4] = paper.width
    head = paper.line(" endpoint", Style.DIM)
    for name, end in zip(("rate", "p50", "p95", "p99", "failed"), ends, strict=True):
        head.right(name, end, Style.DIM)
    entries = endpoint_entries(course, snapshot)
    cut = len(entries) > room
    lines = [head]
    for name, entry in entries[: max(room - 1, 0) if cut else room]:
        line = paper.line(" ").add(paper.fitted(name, ends[0] - 12))
        if entry is not None:
            line.right(f"{figures.rate(entry.requests_per_second)}/s", ends[0])
            for value, end in zip(
                (entry.latency_p50_ms, entry.latency_p95_ms, entry.latency_p99_ms), ends[1:4], strict=True
            ):
                line.right(figures.time(value), end)
            line.right(figures.count(entry.failed), ends[4], Style.FAIL if entry.failed else Style.PLAIN)
        lines.append(line)
    if cut and room:
        lines.append(paper.line(f" {len(entries) - room + 1} more", Style.DIM))
    return lines


def worker_lines(snapshot: Snapshot | None, room: int, paper: Paper) -> list[Line]:
    """Return the head of the workers and `room` rows: lost ones, then the worst measurements, then the latest."""
    ends = _worker_ends(paper)
    head = paper.line(" worker", Style.DIM)
    for (name, _), end in zip(_WORKER_COLUMNS, ends, strict=True):
        head.right(name, end, Style.DIM)
    lines = [head.to(ends[-1] + 2).add("state", Style.DIM)]
    workers = sorted(snapshot.workers, key=_urgency) if snapshot else []
    shown = workers if len(workers) <= room else workers[: max(room - 1, 0)]
    lines += [_worker(worker, ends, paper) for worker in shown]
    if room and len(shown) < len(workers):
        lines.append(paper.line(paper.text(f" … and {len(workers) - len(shown)} more"), Style.DIM))
    return lines + [paper.line() for _ in range(room + 1 - len(lines))]


def _worker_ends(paper: Paper) -> list[int]:
    ends = [paper.width - _STATE_WIDTH]
    for _, width in reversed(_WORKER_COLUMNS[1:]):
        ends.insert(0, ends[0] - width)
    return ends


def _worker(worker: WorkerSecond, ends: list[int], paper: Paper) -> Line:
    line = paper.line(" ").add(paper.fitted(worker.name, ends[0] - _WORKER_COLUMNS[0][1]))
    if worker.state == "running":
        line.right(f"{figures.rate(worker.requests_per_second)}/s", ends[0])
        line.right(figures.time(worker.schedule_lag_p99_ms), ends[1])
        line.right(figures.percent(worker.cpu_share), ends[2]).right(figures.count(worker.in_flight), ends[3])
    line.right(figures.share(worker.share), ends[4])
    if worker.state == "lost":
        # Since the last second that arrived.
        return line.add(f"  lost {figures.clock(worker.delta)}", Style.FAIL)
    if worker.measurement is not Measurement.VALID:
        return line.add(f"  {worker.measurement}", _STYLES[worker.measurement])
    return line.add(f"  {worker.state}")


def _urgency(worker: WorkerSecond) -> tuple[bool, int, float]:
    return worker.state != "lost", _ORDER.index(worker.measurement), -(worker.schedule_lag_p99_ms or 0.0)
