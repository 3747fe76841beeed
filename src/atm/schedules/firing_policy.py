"""What is to be done about a due time that has come: pure, with the moment and the chance as arguments."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from atm.errors import Problem, SpecError
from atm.models.schedule import Misfire, Trigger
from atm.schedules.triggers import DueTimes, due_times, missed
from atm.storage.schedules import Schedule

_TRIGGER: TypeAdapter[Trigger] = TypeAdapter(Trigger)


@dataclass(frozen=True, slots=True)
class Decision:
    """The due time to be dealt with, how, and when the next one comes."""

    due: datetime
    missed: int
    """Due times before it that are dealt with in it."""
    runs: bool
    """False: it was missed, and the schedule does not catch up."""
    next_due: datetime | None
    next_at: datetime | None


def trigger_of(schedule: Schedule) -> Trigger:
    """The trigger of a schedule as storage keeps it. Raises SpecError for one that a newer version has written."""
    try:
        return _TRIGGER.validate_python(dict(schedule.trigger))
    except ValidationError as error:
        what = f"the trigger of {schedule.name!r} makes no sense to this version"
        raise SpecError(Problem(what, "bad_trigger", path="trigger")) from error


def times_of(schedule: Schedule) -> DueTimes:
    """When a schedule is due. Raises SpecError where that is not known any more: a zone that is gone."""
    anchor = schedule.created_at.replace(microsecond=0)
    return due_times(trigger_of(schedule), anchor, schedule.start_date, schedule.end_date)


def decide(schedule: Schedule, times: DueTimes, now: datetime, chance: random.Random) -> Decision:
    """What to do at `now` about a schedule whose `next_at` has come.

    Noticed within the grace time, a due time is dealt with alone, and those after it follow one by one. Later than that
    all that were missed are dealt with together: in one run for the last due time there was, or, where the schedule
    does not catch up, in none; a due time that is still within the grace time is then left to itself.
    """
    assert schedule.next_due is not None
    assert schedule.next_at is not None
    first = schedule.next_due
    grace = timedelta(seconds=schedule.misfire_grace_seconds)
    if now - schedule.next_at <= grace:
        return _dealing(schedule, times, first, 0, chance, runs=True)
    if schedule.misfire is Misfire.SKIP:
        gone = missed(times, first, max(first, now - grace))
        return _dealing(schedule, times, gone.last, gone.count - 1, chance, runs=False)
    gone = missed(times, first, max(first, now))
    return _dealing(schedule, times, gone.last, gone.count - 1, chance, runs=True)


def with_jitter(due: datetime | None, schedule: Schedule, chance: random.Random) -> datetime | None:
    """When a due time is to be fired: at it, or later by up to the schedule's jitter."""
    if due is None or not schedule.jitter_seconds:
        return due
    return due + timedelta(seconds=chance.uniform(0, schedule.jitter_seconds))


def is_put_back(schedule: Schedule, times: DueTimes, now: datetime) -> datetime | None:
    """The due time that a schedule should wait for, where its clock was put back and it waits for a later one.

    None where nothing is to be changed. What was dealt with before the clock was put back is not dealt with again: its
    firing is there.
    """
    if not schedule.enabled or (schedule.max_runs is not None and schedule.run_count >= schedule.max_runs):
        return None
    following = times.next(now)
    if following is None or (schedule.next_due is not None and schedule.next_due <= following):
        return None
    return following


def _dealing(
    schedule: Schedule, times: DueTimes, due: datetime, before: int, chance: random.Random, *, runs: bool
) -> Decision:
    following = times.next(due)
    return Decision(due, before, runs, following, with_jitter(following, schedule, chance))
