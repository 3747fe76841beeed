"""Compute the due times of triggers: pure functions from a moment to the next due time.

APScheduler's trigger matches cron fields on a wall clock without daylight saving changes; `time_zones.py` converts wall
clock times to moments. This avoids two bugs of the library: 3.11 fires a daily 02:30 twice in the night in which clocks
go back, and at a nonexistent time in the night in which they go forward. The rules:

- A time in a gap is due once, at the first moment after the gap, together with others of the same gap.
- A time in a fold is due once, at its first occurrence, when the schedule names fixed times; and at both when it uses
  steps (`*` or `*/15` as minute or hour), so that a 15 minute interval is kept.

Intervals and dates need no library: an interval is whole microseconds from its anchor (the library adds floating-point
seconds to the last time, and drifts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Protocol

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.schedule import CronTrigger, DateTrigger, IntervalTrigger, Trigger
from atm.schedules.time_zones import moments, zone

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger as LibraryTrigger

HORIZON = timedelta(days=366 * 41)
"""How far ahead to search: the rarest match, a 29th of February on a given weekday, recurs within 40 years."""
MOST_MISSED = 1000
"""The limit for counting missed due times."""
_BEYOND = timedelta(hours=25)
"""More than any clock change: Samoa skipped a day."""
_LAST = datetime.max.replace(tzinfo=UTC) - HORIZON - 2 * _BEYOND
_INSTANT = timedelta(microseconds=1)

FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = r"(\*|\d+(-\d+)?)(/\d+)?"
_WEEKDAY = "(mon|tue|wed|thu|fri|sat|sun)"
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_PARTS = {
    # The library ignores anything after a known name (`mon-fri/2`, `lastly`), so fields are checked first.
    "minute": _NUMBERS,
    "hour": _NUMBERS,
    "day": rf"{_NUMBERS}|last|(1st|2nd|3rd|4th|5th|last) +{_WEEKDAY}",
    "month": rf"{_NUMBERS}|{_MONTH}(-{_MONTH})?",
    "day_of_week": rf"{_NUMBERS}|{_WEEKDAY}(-{_WEEKDAY})?",
}


class DueTimes(Protocol):
    """A sequence of due times."""

    def next(self, after: datetime) -> datetime | None:
        """Return the first due time (UTC) after a moment; None when there are no more."""
        ...


def due_times(trigger: Trigger, anchor: datetime, start: datetime | None, end: datetime | None) -> DueTimes:
    """Return the due times of a trigger within [start, end].

    The first due time of an interval is `start`, or one interval after `anchor`, the creation of the schedule. Raises
    SpecError for an unknown time zone or an invalid field.
    """
    inner: DueTimes
    if isinstance(trigger, CronTrigger):
        inner = CronTimes(trigger)
    elif isinstance(trigger, IntervalTrigger):
        length = timedelta(seconds=trigger.total_seconds)
        first = start.astimezone(UTC) if start is not None else anchor.astimezone(UTC) + length
        inner = IntervalTimes(first, length)
    else:
        inner = DateTimes(_moment_of(trigger))
    return _Within(inner, start.astimezone(UTC) if start else None, end.astimezone(UTC) if end else None)


@dataclass(frozen=True, slots=True)
class _Within:
    inner: DueTimes
    start: datetime | None
    end: datetime | None

    def next(self, after: datetime) -> datetime | None:
        # A due time exactly at the start is included.
        earliest = after if self.start is None or self.start <= after else self.start - _INSTANT
        due = self.inner.next(earliest)
        return None if due is None or (self.end is not None and due > self.end) else due


@dataclass(frozen=True, slots=True)
class DateTimes:
    """A single due time."""

    at: datetime

    def next(self, after: datetime) -> datetime | None:
        return self.at if self.at > after else None


@dataclass(frozen=True, slots=True)
class IntervalTimes:
    """`first` and every `length` after it, without drift."""

    first: datetime
    length: timedelta

    def next(self, after: datetime) -> datetime | None:
        if after < self.first:
            return self.first
        try:
            return self.first + ((after - self.first) // self.length + 1) * self.length
        except OverflowError:
            return None


class CronTimes:
    """The times that match cron fields in a time zone."""

    def __init__(self, trigger: CronTrigger) -> None:
        """Raises SpecError."""
        self.zone: tzinfo = zone(trigger.timezone)
        self.fields = fields_of(trigger)
        self._library = _library_trigger(self.fields)
        self.in_steps = any(_in_steps(self._field(name)) for name in ("minute", "hour"))

    def next(self, after: datetime) -> datetime | None:
        if after > _LAST:
            return None
        earliest: datetime | None = None
        for wall_time in self._wall_times(after):
            times = moments(wall_time, self.zone)[: 2 if self.in_steps else 1]
            later = [moment for moment in times if moment > after]
            earliest = min([*later, earliest] if earliest is not None else later, default=None)
            if times[0] > after:
                # Later wall clock times have the same or a later first moment.
                break
        return earliest

    def _wall_times(self, after: datetime) -> Iterator[datetime]:
        """Yield matching wall clock times in order, starting early enough for any due time after `after`."""
        before, now, then = (_offset(after + by, self.zone) for by in (-_BEYOND, timedelta(0), _BEYOND))
        # When clocks go back, times that have passed may repeat.
        repeated = max(before - now, before - then, now - then, timedelta(0))
        wall_time = after.astimezone(self.zone).replace(tzinfo=UTC) - repeated
        self._library.end_date = wall_time + HORIZON
        while (following := self._library.get_next_fire_time(None, wall_time)) is not None:
            yield following.replace(tzinfo=None)
            wall_time = following + _INSTANT

    def _field(self, name: str) -> str:
        return next(str(field) for field in self._library.fields if field.name == name)


def _offset(moment: datetime, time_zone: tzinfo) -> timedelta:
    return moment.astimezone(time_zone).utcoffset() or timedelta(0)


def _in_steps(field: str) -> bool:
    return any(part.startswith("*") or "/" in part for part in field.split(","))


def _library_trigger(fields: dict[str, str]) -> LibraryTrigger:
    from apscheduler.triggers.cron import CronTrigger as LibraryTrigger

    for name, text in fields.items():
        for part in re.split(" *, *", text.strip()):
            if not re.fullmatch(_PARTS[name], part, re.IGNORECASE):
                raise _bad_field(name, f"{part!r} is invalid")
    try:
        return LibraryTrigger(**fields, timezone=UTC)
    except ValueError as error:
        field = next((name for name, text in fields.items() if not _fits(name, text)), "expression")
        raise _bad_field(field, str(error)) from error


def _fits(name: str, text: str) -> bool:
    from apscheduler.triggers.cron import CronTrigger as LibraryTrigger

    try:
        LibraryTrigger(**{name: text}, timezone=UTC)
    except ValueError:
        return False
    return True


def _bad_field(name: str, what: str) -> SpecError:
    examples = {"day": "`1`, `*/2`, `last`, `2nd tue`", "month": "`6`, `jan-mar`", "day_of_week": "`mon-fri`, `sat`"}
    hint = f"For example {examples.get(name, '`0`, `30`, `*/15`, `8-18`')}"
    return SpecError(Problem(f"cron field {name}: {what}", "bad_trigger", path=f"trigger.{name}", hint=hint))


_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The nicknames of crontab(5)."""


def fields_of(trigger: CronTrigger) -> dict[str, str]:
    """Return the fields of a trigger, splitting its `expression`. Raises SpecError."""
    if trigger.expression is None:
        given = {name: getattr(trigger, name) for name in FIELDS}
        return {name: text for name, text in given.items() if text is not None}
    written = trigger.expression.strip()
    if written.startswith("@"):
        written = _nickname(written)
    parts = written.split()
    if len(parts) != len(FIELDS):
        what = f"an expression has five fields, {trigger.expression[:60]!r} has {len(parts)}"
        hint = "minute hour day month day-of-week, for example `30 2 * * mon-fri`"
        raise SpecError(Problem(what, "bad_trigger", path="trigger.expression", hint=hint))
    minute, hour, day, month, weekday = parts
    # `?`, used by Quartz and cloud schedulers, matches any value.
    day, weekday = ("*" if text == "?" else text for text in (day, weekday))
    if day != "*" and weekday != "*":
        what = "a crontab matches day of month or day of week when both are set; atm would require both"
        hint = "use the fields `day` and `day_of_week` to require both, or two schedules for either"
        raise SpecError(Problem(what, "bad_trigger", path="trigger.expression", hint=hint))
    return {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": _weekdays(weekday)}


def _nickname(text: str) -> str:
    """Return the five fields of a crontab nickname. Raises SpecError."""
    if expression := _NICKNAMES.get(text.lower()):
        return expression
    hint = "write an interval as `--every 15m`" if text.lower().startswith("@every") else ", ".join(sorted(_NICKNAMES))
    raise SpecError(
        Problem(f"{text[:60]!r} is not a known nickname", "bad_trigger", path="trigger.expression", hint=hint)
    )


def _weekdays(text: str) -> str:
    """Return the days of a crontab (0 and 7 are Sunday) as names, as the library numbers days differently."""
    names: list[str] = []
    for part in text.lower().split(","):
        match = re.fullmatch(r"(\d)(?:-(\d))?(?:/(\d))?", part)
        if match is None:
            names.append(part)
            continue
        first, last, step = (None if digits is None else int(digits) for digits in match.groups())
        assert first is not None
        final = last if last is not None else 6 if step else first
        if max(first, final) > 7 or final < first or step == 0:
            raise _bad_field("day_of_week", f"{part!r} is not a range within 0 to 7")
        names += [_DAYS[day % 7] for day in range(first, final + 1, step or 1)]
    return ",".join(dict.fromkeys(names))


def _moment_of(trigger: DateTrigger) -> datetime:
    if trigger.run_date.tzinfo is not None:
        return trigger.run_date.astimezone(UTC)
    return moments(trigger.run_date, zone(trigger.timezone))[0]


def upcoming(times: DueTimes, after: datetime, count: int) -> list[datetime]:
    """Return the next due times, at most `count`."""
    dues: list[datetime] = []
    following = times.next(after)
    while following is not None and len(dues) < count:
        dues.append(following)
        following = times.next(following)
    return dues


@dataclass(frozen=True, slots=True)
class Missed:
    """Due times that have passed: the last of them, and how many (`MOST_MISSED` means that many or more)."""

    last: datetime
    count: int


def missed(times: DueTimes, first: datetime, now: datetime) -> Missed:
    """Return the due times from `first`, which is one, until `now`, in bounded time."""
    last, count = first, 1
    while (following := times.next(last)) is not None and following <= now:
        last, count = following, count + 1
        if count == MOST_MISSED:
            return Missed(_last_until(times, last, now), count)
    return Missed(last, count)


def _last_until(times: DueTimes, first: datetime, now: datetime) -> datetime:
    """Return the last due time at or before `now`, by bisection from the due time `first`."""
    low, high = first, now
    while high - low > _INSTANT:
        middle = low + (high - low) // 2
        following = times.next(middle)
        if following is not None and following <= now:
            low = following
        else:
            high = middle
    return low


def describe(trigger: Trigger) -> str:
    """Describe a trigger for people."""
    if isinstance(trigger, IntervalTrigger):
        parts = [(getattr(trigger, unit), unit) for unit in ("days", "hours", "minutes", "seconds")]
        terms = [f"{number} {unit if number > 1 else unit[:-1]}" for number, unit in parts if number]
        return "every " + " ".join(terms)
    if isinstance(trigger, DateTrigger):
        return f"once, at {_moment_of(trigger):%Y-%m-%d %H:%M:%S} UTC"
    fields = fields_of(trigger)
    minute, hour = fields.get("minute", ""), fields.get("hour", "")
    rest = {name: text for name, text in fields.items() if name in FIELDS[2:] and text != "*"}
    if minute.isdecimal() and hour.isdecimal() and set(rest) <= {"day_of_week"}:
        days = f"on {rest['day_of_week']}" if rest else "every day"
        return f"{days} at {int(hour):02}:{int(minute):02} ({trigger.timezone})"
    written = " ".join(f"{name}={text}" for name, text in fields.items() if text != "*")
    return f"cron {written or 'every minute'} ({trigger.timezone})"
