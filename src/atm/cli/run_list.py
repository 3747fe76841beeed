"""Render runs for `atm list` and `atm status`. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from atm.cli.text import Line, Paper, Style, cells, short_id
from atm.models import figures
from atm.models.outcome import Measurement, RunOutcome, RunStatus

_LABEL_END = 13


class ListedRun(Protocol):
    """The fields of a run that a list shows, from a server or from the storage of this machine."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> RunStatus: ...
    @property
    def outcome(self) -> RunOutcome: ...
    @property
    def measurement(self) -> Measurement | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def requests_completed(self) -> int: ...
    @property
    def latency_p95_ms(self) -> float | None: ...
    @property
    def requests_per_second(self) -> float | None: ...
    @property
    def error_rate(self) -> float | None: ...


class DetailedRun(ListedRun, Protocol):
    """The fields that `atm status` shows as well."""

    @property
    def url(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def total_requests(self) -> int | None: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def completed_at(self) -> datetime | None: ...
    @property
    def passed(self) -> bool | None: ...
    @property
    def failure_reasons(self) -> Sequence[str]: ...
    @property
    def error_message(self) -> str | None: ...
    @property
    def cancel_requested(self) -> str | None: ...
    @property
    def engine(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def notes(self) -> str: ...
    @property
    def spec(self) -> Mapping[str, Any]: ...


def age(at: datetime, now: datetime) -> str:
    """Return the age (`3 h ago`) up to a week, then the date."""
    seconds = (now - at).total_seconds()
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h"), (604_800, 86_400, "days")):
        if seconds < limit:
            return f"{max(int(seconds / size), 0)} {unit} ago"
    return at.astimezone().strftime("%Y-%m-%d")


def run_lines(runs: Sequence[ListedRun], paper: Paper, now: datetime) -> list[Line]:
    """Return a header line and one line per run, newest first."""
    ids = 1 + paper.signs.width + 1
    names = ids + 10
    end = paper.width
    ends = (end - 37, end - 25, end - 15, end)
    head = paper.line().to(ids).add("run", Style.DIM).to(names).add("name", Style.DIM)
    for name, column in zip(("p95", "rate", "failed", "age"), ends, strict=True):
        head.right(name, column, Style.DIM)
    lines = [head]
    for run in runs:
        sign, style = _sign(run, paper)
        line = paper.line(" ").add(sign, style).to(ids).add(short_id(run.id)).to(names)
        if run.status in (RunStatus.PENDING, RunStatus.RUNNING) or run.requests_per_second is None:
            state = _state(run)
            line.add(paper.fitted(run.name, max(end - names - 16 - cells(state) - 2, 8)))
            line.right(state, ends[2]).right(age(run.created_at, now), ends[3], Style.DIM)
        else:
            line.add(paper.fitted(run.name, max(ends[0] - 11 - names, 8)))
            line.right(figures.time(run.latency_p95_ms), ends[0])
            line.right(f"{figures.rate(run.requests_per_second)} /s", ends[1])
            failed = bool(run.error_rate)
            line.right(figures.share(run.error_rate or 0.0), ends[2], Style.FAIL if failed else Style.PLAIN)
            line.right(age(run.created_at, now), ends[3], Style.DIM)
        lines.append(line)
    return lines


def _sign(run: ListedRun, paper: Paper) -> tuple[str, Style]:
    return outcome_sign(run.outcome, paper, is_suspect=run.measurement is Measurement.SUSPECT)


def outcome_sign(outcome: RunOutcome, paper: Paper, *, is_suspect: bool = False) -> tuple[str, Style]:
    """Return the sign of an outcome and its style."""
    signs = paper.signs
    if outcome is RunOutcome.PASSED and is_suspect:
        return signs.warning, Style.WARN
    return {
        RunOutcome.QUEUED: (" " * signs.width, Style.PLAIN),
        RunOutcome.RUNNING: (" " * signs.width, Style.PLAIN),
        RunOutcome.PASSED: (signs.passed, Style.PASS),
        RunOutcome.FAILED: (signs.failed, Style.FAIL),
        RunOutcome.INVALID: (signs.warning, Style.WARN),
        RunOutcome.STOPPED: (signs.stopped, Style.WARN),
        RunOutcome.CANCELLED: (signs.stopped, Style.WARN),
        RunOutcome.ERROR: (signs.failed, Style.FAIL),
    }[outcome]


def _state(run: ListedRun) -> str:
    if run.status is RunStatus.RUNNING:
        return f"running, {figures.counted(run.requests_completed, 'request')}"
    return str(run.outcome)


def status_lines(run: DetailedRun, paper: Paper, now: datetime) -> list[Line]:
    """Return everything about a run except its timeline, without empty fields."""
    sign, style = _sign(run, paper)
    line = paper.line(" ").add(sign, style).add(f" {run.outcome}", style)
    line.add(f"  {paper.fitted(run.name, max(paper.width - 40, 20))}", Style.BOLD)
    lines = [line.right(f"run {short_id(run.id)}", paper.width, Style.DIM)]
    for label, fact in _facts(run, now):
        first, *rest = paper.wrapped(fact, _LABEL_END)
        lines += [paper.line(f" {label}", Style.DIM).to(_LABEL_END).add(first.plain.strip()), *rest]
    shown = short_id(run.id)
    command = f"`atm watch {shown}`" if run.completed_at is None else f"`atm show {shown}`"
    return [*lines, paper.line(" next", Style.DIM).to(_LABEL_END).hint(command)]


def _facts(run: DetailedRun, now: datetime) -> list[tuple[str, str]]:
    requests = figures.count(run.requests_completed)
    if run.total_requests:
        requests += f" of {figures.count(run.total_requests)}"
    facts = [
        ("sends", f"{run.method} {run.url}" + (" and more" if len(run.spec.get("endpoints") or ()) > 1 else "")),
        ("created", _moment(run.created_at, now)),
        ("started", _moment(run.started_at, now) if run.started_at else ""),
        ("ended", _moment(run.completed_at, now) if run.completed_at else ""),
        ("completed", requests if run.started_at else ""),
        ("thresholds", "hold" if run.passed else ""),
        ("why", _why(run)),
        ("measurement", str(run.measurement or "")),
        ("error", run.error_message or ""),
        ("stopping", "requested" if run.cancel_requested and run.completed_at is None else ""),
        ("engine", run.engine),
        ("from", run.source),
        ("tags", ", ".join(run.tags)),
        ("notes", run.notes),
    ]
    return [(label, fact) for label, fact in facts if fact]


def _why(run: DetailedRun) -> str:
    """Return why the run did not pass, without the error message, which has its own line."""
    return "; ".join(reason for reason in run.failure_reasons if reason != run.error_message)


def _moment(at: datetime, now: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {age(at, now)}"
