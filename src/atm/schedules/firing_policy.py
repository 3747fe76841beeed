"""Decide what to do with a due time: fire it, skip it, or record it as missed. Pure: no clock, no global randomness."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from pydantic import ConfigDict, TypeAdapter, ValidationError

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.schedule import Misfire, Trigger
from atm.schedules.triggers import DueTimes, due_times, missed
from atm.storage.schedules import Schedule

_TRIGGER: TypeAdapter[Trigger] = TypeAdapter(Trigger, config=ConfigDict(defer_build=True))


@dataclass(frozen=True, slots=True)
class Decision:
    """The due time to handle, whether it runs, and the next due time."""

    due: datetime
    missed: int
    """Earlier due times that this decision covers."""
    runs: bool
    """False: the due time was missed, and the schedule does not catch up."""
    next_due: datetime | None
    next_at: datetime | None


def trigger_of(schedule: Schedule) -> Trigger:
    """Return the trigger of a stored schedule. Raises SpecError for a trigger written by a newer version."""
    try:
        return _TRIGGER.validate_python(dict(schedule.trigger))
    except ValidationError as error:
        what = f"this version cannot read the trigger of {schedule.name!r}"
        raise SpecError(Problem(what, "bad_trigger", path="trigger")) from error


def times_of(schedule: Schedule) -> DueTimes:
    """Return the due times of a schedule. Raises SpecError when its time zone no longer exists."""
    anchor = schedule.created_at.replace(microsecond=0)
    return due_times(trigger_of(schedule), anchor, schedule.start_date, schedule.end_date)


def decide(schedule: Schedule, times: DueTimes, now: datetime, random_source: random.Random) -> Decision:
    """Decide at `now` what to do with a schedule whose `next_at` has passed.

    Within the grace time a due time is handled alone, and later ones follow one by one. After the grace time all missed
    due times are handled together: by one run for the last of them or, when the schedule does not catch up, by none; a
    due time still within the grace time is then left for its own decision.
    """
    assert schedule.next_due is not None
    assert schedule.next_at is not None
    first = schedule.next_due
    grace = timedelta(seconds=schedule.misfire_grace_seconds)
    if now - schedule.next_at <= grace:
        return _decision(schedule, times, first, 0, random_source, runs=True)
    if schedule.misfire is Misfire.SKIP:
        passed = missed(times, first, max(first, now - grace))
        return _decision(schedule, times, passed.last, passed.count - 1, random_source, runs=False)
    passed = missed(times, first, max(first, now))
    return _decision(schedule, times, passed.last, passed.count - 1, random_source, runs=True)


def with_jitter(due: datetime | None, schedule: Schedule, random_source: random.Random) -> datetime | None:
    """Return when to fire a due time: delayed at random by up to the schedule's jitter."""
    if due is None or not schedule.jitter_seconds:
        return due
    return due + timedelta(seconds=random_source.uniform(0, schedule.jitter_seconds))


def realigned_due(schedule: Schedule, times: DueTimes, now: datetime) -> datetime | None:
    """Return the due time that a schedule should wait for when the clock was set back and it waits for a later one.

    None when nothing needs to change. Due times handled before the clock was set back have a firing, and are not fired
    again.
    """
    if not schedule.enabled or (schedule.max_runs is not None and schedule.run_count >= schedule.max_runs):
        return None
    following = times.next(now)
    if following is None or (schedule.next_due is not None and schedule.next_due <= following):
        return None
    return following


def _decision(
    schedule: Schedule, times: DueTimes, due: datetime, before: int, random_source: random.Random, *, runs: bool
) -> Decision:
    following = times.next(due)
    return Decision(due, before, runs, following, with_jitter(following, schedule, random_source))
