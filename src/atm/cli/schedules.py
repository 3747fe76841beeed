"""Render schedules, firings and deliveries for `atm schedule`. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from atm.cli.run_list import age
from atm.cli.text import Line, Paper, Style, short_id
from atm.models import figures
from atm.models.schedule import DeliveryStatus, DeliveryView, FiringOutcome, FiringView, ScheduleView

_LABEL_END = 13
_STRIP = 12
"""Number of recent firings shown as signs."""
_ENDED_EARLY = (FiringOutcome.STOPPED, FiringOutcome.CANCELLED)
_BAD = (FiringOutcome.FAILED, FiringOutcome.ERROR)
_QUIET = (FiringOutcome.QUEUED, FiringOutcome.STARTED)


def schedule_lines(schedules: Sequence[ScheduleView], paper: Paper, now: datetime) -> list[Line]:
    """Return a header line and one line per schedule."""
    names = 1 + paper.signs.width + 1
    triggers = max(paper.width - 46, names + 12)
    head = paper.line().to(names).add("name", Style.DIM).to(triggers).add("when", Style.DIM)
    lines = [head.right("runs", paper.width - 14, Style.DIM).right("next", paper.width, Style.DIM)]
    for schedule in schedules:
        last = next((firing for firing in schedule.recent if firing.outcome not in _QUIET), None)
        sign, style = sign_of(last.outcome, paper) if last else (" ", Style.PLAIN)
        line = paper.line(" ").add(sign, style).to(names)
        line.add(paper.fitted(schedule.name, triggers - names - 2)).to(triggers)
        line.add(paper.fitted(schedule.describes, paper.width - 20 - triggers))
        line.right(figures.count(schedule.run_count), paper.width - 14)
        lines.append(line.right(_next(schedule, now), paper.width))
    return lines


def _next(schedule: ScheduleView, now: datetime) -> str:
    if not schedule.enabled:
        return "paused"
    return "ended" if schedule.next_due is None else ahead(schedule.next_due, now)


def ahead(at: datetime, now: datetime) -> str:
    """Return the time until `at` (`in 3 h`) up to a week, then the date."""
    seconds = (at - now).total_seconds()
    if seconds <= 0:
        return "now"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h"), (604_800, 86_400, "days")):
        if seconds < limit:
            return f"in {max(int(seconds / size), 1)} {unit}"
    return at.astimezone(UTC).strftime("%Y-%m-%d")


def sign_of(outcome: FiringOutcome, paper: Paper) -> tuple[str, Style]:
    """Return the sign of an outcome and its style."""
    signs = paper.signs
    if outcome is FiringOutcome.PASSED:
        return signs.passed, Style.PASS
    if outcome in _BAD:
        return signs.failed, Style.FAIL
    if outcome in _QUIET:
        return " " * signs.width, Style.PLAIN
    return (signs.stopped if outcome in _ENDED_EARLY else signs.warning), Style.WARN


def one_lines(schedule: ScheduleView, paper: Paper, now: datetime) -> list[Line]:
    """Return everything about one schedule, without empty fields."""
    state = "paused" if not schedule.enabled else "ended" if schedule.next_due is None else "waiting"
    head = paper.line(f" {schedule.name}", Style.BOLD).right(state, paper.width)
    lines = [head]
    for label, fact in _facts(schedule, now):
        first, *rest = paper.wrapped(fact, _LABEL_END)
        lines += [paper.line(f" {label}", Style.DIM).to(_LABEL_END).add(first.plain.strip()), *rest]
    if schedule.recent:
        line = paper.line(" recent", Style.DIM).to(_LABEL_END)
        for firing in reversed(schedule.recent[:_STRIP]):
            sign, style = sign_of(firing.outcome, paper)
            line.add(f"{sign.strip() or '.'} ", style)
        lines.append(line)
    last = schedule.last_run
    commands = f"`atm schedule firings {_quoted(schedule.name)}`"
    if last is not None:
        commands = f"`atm show {short_id(last.id)}` · {commands}"
    return [*lines, paper.line(" next", Style.DIM).to(_LABEL_END).hint(commands)]


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)


def _facts(schedule: ScheduleView, now: datetime) -> Iterator[tuple[str, str]]:
    yield "when", schedule.describes
    what = schedule.test if schedule.spec is None else str(schedule.spec.get("name", ""))
    yield "runs", f"test {what}" if schedule.spec is None else f"its own spec, {what}"
    if schedule.next_due is not None and schedule.enabled:
        yield "due", f"{moment(schedule.next_due)}, {ahead(schedule.next_due, now)}"
    if schedule.start_date is not None:
        yield "from", moment(schedule.start_date)
    if schedule.end_date is not None:
        yield "until", moment(schedule.end_date)
    if schedule.max_runs is not None:
        yield "count", f"{figures.count(schedule.run_count)} of {figures.counted(schedule.max_runs, 'run')}"
    else:
        yield "count", figures.counted(schedule.run_count, "run")
    yield "overlap", str(schedule.overlap)
    yield "missed", f"{schedule.misfire.replace('_', ' ')}, after {schedule.misfire_grace_seconds} s"
    if schedule.jitter_seconds:
        yield "jitter", f"up to {schedule.jitter_seconds} s"
    if schedule.tags:
        yield "tags", ", ".join(schedule.tags)
    for channel in schedule.notify:
        yield "notify", f"{channel['url']} on {', '.join(channel['on'])}"
    if schedule.description:
        yield "notes", schedule.description


def moment(at: datetime) -> str:
    """Format a point in time to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def firing_lines(firings: Sequence[FiringView], paper: Paper) -> list[Line]:
    """Return a header line and one line per entry, newest first, with remarks below an entry."""
    outcomes = 1 + paper.signs.width + 1
    dues = outcomes + 11
    lines = [paper.line().to(outcomes).add("outcome", Style.DIM).to(dues).add("due", Style.DIM)]
    lines[0].to(dues + 25).add("run", Style.DIM).right("late", paper.width, Style.DIM)
    for firing in firings:
        sign, style = sign_of(firing.outcome, paper)
        line = paper.line(" ").add(sign, style).to(outcomes).add(str(firing.outcome), style).to(dues)
        line.add(moment(firing.due)).to(dues + 25).add(short_id(firing.run_id) if firing.run_id else "")
        late = max((firing.fired_at - firing.due).total_seconds() * 1e3, 0.0)
        lines.append(line.right(figures.time(late), paper.width))
        remarks = [f"{firing.missed} due times before it were missed"] if firing.missed else []
        remarks += [firing.error] if firing.error else []
        lines += [line for text in remarks for line in paper.wrapped(text, dues, Style.DIM)]
    return lines


def delivery_lines(deliveries: Sequence[DeliveryView], paper: Paper, now: datetime) -> list[Line]:
    """Return a header line and one line per entry, newest first, with remarks below an entry."""
    events = 1 + paper.signs.width + 1
    states = events + 11
    places = states + 11
    lines = [paper.line().to(events).add("event", Style.DIM).to(states).add("state", Style.DIM)]
    lines[0].to(places).add("to", Style.DIM).right("age", paper.width, Style.DIM)
    for delivery in deliveries:
        sign, style = _delivery_sign(delivery.status, paper)
        line = paper.line(" ").add(sign, style).to(events).add(delivery.event).to(states)
        line.add(str(delivery.status), style).to(places)
        line.add(paper.fitted(delivery.channel, max(paper.width - places - 12, 8)))
        lines.append(line.right(age(delivery.created_at, now), paper.width))
        remark = f"attempt {delivery.attempts}: {delivery.error}" if delivery.error else ""
        if remark and delivery.next_attempt_at is not None:
            remark += f"; next attempt {ahead(delivery.next_attempt_at, now)}"
        if remark:
            lines += paper.wrapped(remark, places, Style.DIM)
    return lines


def _delivery_sign(status: DeliveryStatus, paper: Paper) -> tuple[str, Style]:
    if status is DeliveryStatus.DELIVERED:
        return paper.signs.passed, Style.PASS
    if status is DeliveryStatus.FAILED:
        return paper.signs.failed, Style.FAIL
    return " " * paper.signs.width, Style.PLAIN
