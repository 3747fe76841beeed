"""When a trigger is due: pure functions from a moment to the next one.

APScheduler's own trigger searches cron fields on a wall clock that is never changed; `time_zones.py` converts wall
clock times to moments. This avoids two errors of the library: 3.11 fires a daily 02:30 twice in the night in which
clocks go back, and at a time that does not exist in the night in which they go forward. The rules:

- A time in a gap is due once, at the first moment after it, together with others of the same gap.
- A time in a fold is due once, the first time it is shown, when the schedule names fixed times; and both times when it
  goes in steps (`*` or `*/15` as minute or hour), so that what happens every 15 minutes goes on doing so.

Intervals and dates need no library: an interval is whole microseconds from its anchor (the library adds floating-point
seconds to the last time, and drifts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Protocol

from atm.errors import Problem, SpecError
from atm.models.schedule import CronTrigger, DateTrigger, IntervalTrigger, Trigger
from atm.schedules.time_zones import moments, zone

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger as LibraryTrigger

HORIZON = timedelta(days=366 * 41)
"""Nothing that ever happens is further away: a 29th of February on a given weekday comes within 40 years."""
MOST_MISSED = 1000
"""Missed due times are counted up to this number."""
_BEYOND = timedelta(hours=25)
"""More than clocks are ever put forward or back at once: Samoa left out a day."""
_LAST = datetime.max.replace(tzinfo=UTC) - HORIZON - 2 * _BEYOND
_INSTANT = timedelta(microseconds=1)

FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = r"(\*|\d+(-\d+)?)(/\d+)?"
_WEEKDAY = "(mon|tue|wed|thu|fri|sat|sun)"
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_PARTS = {
    # The library ignores what follows a name it knows (`mon-fri/2`, `lastly`), so we look first.
    "minute": _NUMBERS,
    "hour": _NUMBERS,
    "day": rf"{_NUMBERS}|last|(1st|2nd|3rd|4th|5th|last) +{_WEEKDAY}",
    "month": rf"{_NUMBERS}|{_MONTH}(-{_MONTH})?",
    "day_of_week": rf"{_NUMBERS}|{_WEEKDAY}(-{_WEEKDAY})?",
}


class DueTimes(Protocol):
    """When something is due."""

    def next(self, after: datetime) -> datetime | None:
        """The first due time after that moment, UTC; None when there is none any more."""
        ...


def due_times(trigger: Trigger, anchor: datetime, start: datetime | None, end: datetime | None) -> DueTimes:
    """The due times of a trigger, within [start, end].

    An interval counts from `start`, which is then its first due time; without one from `anchor`, when the schedule was
    made, which is none. Raises SpecError for what cannot be: an unknown zone, a field that makes no sense.
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
        # A due time at the start itself counts.
        earliest = after if self.start is None or self.start <= after else self.start - _INSTANT
        found = self.inner.next(earliest)
        return None if found is None or (self.end is not None and found > self.end) else found


@dataclass(frozen=True, slots=True)
class DateTimes:
    """Once."""

    at: datetime

    def next(self, after: datetime) -> datetime | None:
        return self.at if self.at > after else None


@dataclass(frozen=True, slots=True)
class IntervalTimes:
    """`first`, and every `length` after it: exact, however long it has been."""

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
    """The times that match cron fields on the clocks of a zone."""

    def __init__(self, trigger: CronTrigger) -> None:
        """Raises SpecError."""
        self.zone: tzinfo = zone(trigger.timezone)
        self.fields = fields_of(trigger)
        self._library = _library_trigger(self.fields)
        self.in_steps = any(_in_steps(self._field(name)) for name in ("minute", "hour"))

    def next(self, after: datetime) -> datetime | None:
        if after > _LAST:
            return None
        found: datetime | None = None
        for shown in self._shown(after):
            times = moments(shown, self.zone)[: 2 if self.in_steps else 1]
            later = [each for each in times if each > after]
            found = min([*later, found] if found is not None else later, default=None)
            if times[0] > after:
                # The first moments of what is shown later are later too, or the same.
                break
        return found

    def _shown(self, after: datetime) -> Iterator[datetime]:
        """What the clocks show at due times, in order, from where one may come after that moment."""
        before, now, then = (_offset(after + by, self.zone) for by in (-_BEYOND, timedelta(0), _BEYOND))
        # Where clocks are put back, what they have shown already they may be about to show again.
        again = max(before - now, before - then, now - then, timedelta(0))
        shown = after.astimezone(self.zone).replace(tzinfo=UTC) - again
        self._library.end_date = shown + HORIZON
        while (following := self._library.get_next_fire_time(None, shown)) is not None:
            yield following.replace(tzinfo=None)
            shown = following + _INSTANT

    def _field(self, name: str) -> str:
        return next(str(field) for field in self._library.fields if field.name == name)


def _offset(moment: datetime, where: tzinfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta(0)


def _in_steps(field: str) -> bool:
    return any(part.startswith("*") or "/" in part for part in field.split(","))


def _library_trigger(fields: dict[str, str]) -> LibraryTrigger:
    from apscheduler.triggers.cron import CronTrigger as LibraryTrigger

    for name, text in fields.items():
        for part in re.split(" *, *", text.strip()):
            if not re.fullmatch(_PARTS[name], part, re.IGNORECASE):
                raise _bad_field(name, f"{part!r} makes no sense there")
    try:
        return LibraryTrigger(**fields, timezone=UTC)
    except ValueError as error:
        named = next((name for name, text in fields.items() if not _fits(name, text)), "expression")
        raise _bad_field(named, str(error)) from error


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
"""What crontab(5) calls nicknames."""


def fields_of(trigger: CronTrigger) -> dict[str, str]:
    """The fields of a trigger, an `expression` taken apart. Raises SpecError."""
    if trigger.expression is None:
        found = {name: getattr(trigger, name) for name in FIELDS}
        return {name: text for name, text in found.items() if text is not None}
    written = trigger.expression.strip()
    if written.startswith("@"):
        written = _nickname(written)
    parts = written.split()
    if len(parts) != len(FIELDS):
        what = f"an expression has five fields, {trigger.expression[:60]!r} has {len(parts)}"
        hint = "minute hour day month day-of-week, for example `30 2 * * mon-fri`"
        raise SpecError(Problem(what, "bad_trigger", path="trigger.expression", hint=hint))
    minute, hour, day, month, weekday = parts
    # `?`, of Quartz and of cloud schedulers, is no condition on that field.
    day, weekday = ("*" if text == "?" else text for text in (day, weekday))
    if day != "*" and weekday != "*":
        what = "day of month and day of week together mean either of them in a crontab, and both of them here"
        hint = "use the fields `day` and `day_of_week` for both, or two schedules for either"
        raise SpecError(Problem(what, "bad_trigger", path="trigger.expression", hint=hint))
    return {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": _weekdays(weekday)}


def _nickname(text: str) -> str:
    """The five fields of a crontab's nickname. Raises SpecError."""
    if expression := _NICKNAMES.get(text.lower()):
        return expression
    hint = (
        "an interval is written `--every 15m`" if text.lower().startswith("@every") else ", ".join(sorted(_NICKNAMES))
    )
    raise SpecError(
        Problem(f"{text[:60]!r} is no time that comes again", "bad_trigger", path="trigger.expression", hint=hint)
    )


def _weekdays(text: str) -> str:
    """Days of a crontab (0 and 7 are Sunday) as names, which mean the same everywhere."""
    found: list[str] = []
    for part in text.lower().split(","):
        number = re.fullmatch(r"(\d)(?:-(\d))?(?:/(\d))?", part)
        if number is None:
            found.append(part)
            continue
        first, last, step = (None if each is None else int(each) for each in number.groups())
        assert first is not None
        final = last if last is not None else 6 if step else first
        if max(first, final) > 7 or final < first or step == 0:
            raise _bad_field("day_of_week", f"{part!r} is no range of 0 to 7")
        found += [_DAYS[day % 7] for day in range(first, final + 1, step or 1)]
    return ",".join(dict.fromkeys(found))


def _moment_of(trigger: DateTrigger) -> datetime:
    if trigger.run_date.tzinfo is not None:
        return trigger.run_date.astimezone(UTC)
    return moments(trigger.run_date, zone(trigger.timezone))[0]


def upcoming(times: DueTimes, after: datetime, count: int) -> list[datetime]:
    """The next due times, `count` at most."""
    found: list[datetime] = []
    following = times.next(after)
    while following is not None and len(found) < count:
        found.append(following)
        following = times.next(following)
    return found


@dataclass(frozen=True, slots=True)
class Missed:
    """Due times that went by: the last of them, and how many (`MOST_MISSED` stands for as many or more)."""

    last: datetime
    count: int


def missed(times: DueTimes, first: datetime, now: datetime) -> Missed:
    """The due times from `first`, which is one, to `now`; however many there are, it takes a moment."""
    last, count = first, 1
    while (following := times.next(last)) is not None and following <= now:
        last, count = following, count + 1
        if count == MOST_MISSED:
            return Missed(_last_until(times, last, now), count)
    return Missed(last, count)


def _last_until(times: DueTimes, known: datetime, now: datetime) -> datetime:
    """The last due time at or before `now`, by halving: `known` is one."""
    low, high = known, now
    while high - low > _INSTANT:
        middle = low + (high - low) // 2
        following = times.next(middle)
        if following is not None and following <= now:
            low = following
        else:
            high = middle
    return low


def describe(trigger: Trigger) -> str:
    """A trigger in words."""
    if isinstance(trigger, IntervalTrigger):
        parts = [(getattr(trigger, unit), unit) for unit in ("days", "hours", "minutes", "seconds")]
        said = [f"{number} {unit if number > 1 else unit[:-1]}" for number, unit in parts if number]
        return "every " + " ".join(said)
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
