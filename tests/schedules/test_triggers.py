"""When triggers are due: all by arguments, no clock is read."""

# ruff: noqa: DTZ001 (what clocks on a wall show has no zone)
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atm.errors import SpecError
from atm.models.schedule import CronTrigger, DateTrigger, IntervalTrigger
from atm.schedules.time_zones import moments
from atm.schedules.triggers import MOST_MISSED, CronTimes, DueTimes, describe, due_times, missed, upcoming
from tests.examples import examples

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Auckland",
    "Antarctica/Troll",
)


def cron(expression: str, timezone: str = "UTC", **fields: Any) -> CronTimes:
    return CronTimes(CronTrigger(expression=expression, timezone=timezone, **fields))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def shown(times: DueTimes, after: datetime, count: int, zone: ZoneInfo) -> list[str]:
    """What the clocks show at the next due times, with their offset."""
    return [f"{each.astimezone(zone):%m-%d %H:%M %z}" for each in upcoming(times, after, count)]


# Clocks put forward and back


def test_a_daily_time_in_the_gap_is_due_once_at_the_first_moment_after_it() -> None:
    assert shown(cron("30 2 * * *", "Europe/Berlin"), utc(2026, 3, 28, 12), 2, BERLIN) == [
        "03-29 03:00 +0200",
        "03-30 02:30 +0200",
    ]


def test_a_daily_time_in_the_fold_is_due_once_the_first_time_it_is_shown() -> None:
    assert shown(cron("30 2 * * *", "Europe/Berlin"), utc(2026, 10, 24, 12), 2, BERLIN) == [
        "10-25 02:30 +0200",
        "10-26 02:30 +0100",
    ]


def test_steps_go_on_in_both_hours_of_a_fold() -> None:
    times = upcoming(cron("*/15 * * * *", "America/New_York"), utc(2026, 11, 1, 4, 50), 12)
    assert {after - before for before, after in pairwise(times)} == {timedelta(minutes=15)}
    both = [f"{each.astimezone(NEW_YORK):%H:%M}" for each in times]
    assert both[1:9] == ["01:15", "01:30", "01:45", "01:00", "01:15", "01:30", "01:45", "02:00"]


def test_steps_of_one_hour_alone_go_on_in_both_of_a_fold() -> None:
    times = cron("*/30 1 * * *", "America/New_York")
    assert shown(times, utc(2026, 11, 1, 0), 5, NEW_YORK) == [
        "11-01 01:00 -0400",
        "11-01 01:30 -0400",
        "11-01 01:00 -0500",
        "11-01 01:30 -0500",
        "11-02 01:00 -0500",
    ]


def test_a_fixed_minute_of_every_hour_is_due_in_both_hours_of_a_fold() -> None:
    times = upcoming(cron("30 * * * *", "Europe/Berlin"), utc(2026, 10, 24, 22), 6)
    assert {after - before for before, after in pairwise(times)} == {timedelta(hours=1)}


def test_several_times_in_one_gap_are_due_once() -> None:
    assert shown(cron("0,20,40 2 * * *", "America/New_York"), utc(2026, 3, 8, 0), 2, NEW_YORK) == [
        "03-08 03:00 -0400",
        "03-09 02:00 -0400",
    ]
    assert shown(cron("0 2,3 * * *", "America/New_York"), utc(2026, 3, 8, 6), 2, NEW_YORK) == [
        "03-08 03:00 -0400",
        "03-09 02:00 -0400",
    ]


def test_half_hour_changes_and_a_day_that_was_left_out() -> None:
    assert shown(cron("15 2 * * *", "Australia/Lord_Howe"), utc(2026, 10, 3, 0), 1, LORD_HOWE) == ["10-04 02:30 +1100"]
    apia = ZoneInfo("Pacific/Apia")
    assert shown(cron("0 12 * * *", "Pacific/Apia"), utc(2011, 12, 29, 0), 3, apia) == [
        "12-29 12:00 -1000",
        "12-31 00:00 +1400",
        "12-31 12:00 +1400",
    ]


def test_a_midnight_that_does_not_exist() -> None:
    santiago = ZoneInfo("America/Santiago")
    assert shown(cron("0 0 * * *", "America/Santiago"), utc(2026, 9, 5, 12), 2, santiago) == [
        "09-06 01:00 -0300",
        "09-07 00:00 -0300",
    ]


@given(
    zone=st.sampled_from(ZONES),
    after=st.datetimes(datetime(2001, 1, 1), datetime(2036, 12, 1)).map(lambda each: each.replace(tzinfo=UTC)),
    minute=st.sampled_from(["0", "30", "59", "*/15", "7-59/20", "0,45"]),
    hour=st.sampled_from(["0", "1", "2", "3", "23", "*", "*/2", "1-3", "0,2"]),
    near_a_change=st.booleans(),
)
@examples(40)
def test_due_times_are_those_of_a_clock_that_is_watched_minute_by_minute(
    zone: str, after: datetime, minute: str, hour: str, near_a_change: bool
) -> None:
    """The oracle goes through every minute of two days and asks what the clocks show: another way to the same."""
    where = ZoneInfo(zone)
    if near_a_change:
        after = _next_change(after, where) - timedelta(hours=3, seconds=11)
    times = cron(f"{minute} {hour} * * *", zone)
    until = after + timedelta(days=2)
    expected = _watched(after, until, where, minute, hour, times.in_steps)
    found = [each for each in upcoming(times, after, 400) if each <= until]
    assert found == expected


def _next_change(after: datetime, where: ZoneInfo) -> datetime:
    for day in range(400):
        moment = after + timedelta(days=day)
        if moment.astimezone(where).utcoffset() != (moment + timedelta(days=1)).astimezone(where).utcoffset():
            return moment + timedelta(hours=12)
    return after


def _watched(
    after: datetime, until: datetime, where: ZoneInfo, minute: str, hour: str, in_steps: bool
) -> list[datetime]:
    """Every due moment, found by stepping through moments and never by turning what is shown into one."""
    wanted = {(h, m) for h in _values(hour, 24) for m in _values(minute, 60)}
    found = []
    # From before anything that may be shown for the second time.
    moment = (after - timedelta(hours=27)).replace(second=0, microsecond=0)
    last: datetime | None = None
    seen: set[datetime] = set()
    while moment <= until:
        local = moment.astimezone(where).replace(tzinfo=None)
        due = False
        if (local.hour, local.minute) in wanted and (in_steps or local not in seen):
            due = True
        if last is not None and local - last > timedelta(minutes=1):
            skipped = last + timedelta(minutes=1)
            while skipped < local:
                due = due or (skipped.hour, skipped.minute) in wanted
                skipped += timedelta(minutes=1)
        seen.add(local)
        last = local
        if due and moment > after:
            found.append(moment)
        moment += timedelta(minutes=1)
    return found


def _values(field: str, size: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 0 if span == "*" else int(first)
        end = size - 1 if span == "*" or (step and not last) else int(last or first)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


@given(
    zone=st.sampled_from(ZONES),
    at=st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda each: each.replace(microsecond=0)),
)
@settings(max_examples=300)
def test_moments_of_a_shown_time_are_what_the_zone_says(zone: str, at: datetime) -> None:
    where = ZoneInfo(zone)
    found = moments(at, where)
    exact = [each for each in found if each.astimezone(where).replace(tzinfo=None) == at]
    if exact:
        assert list(found) == exact
        assert len(found) in (1, 2)
    else:
        [moment] = found
        just_before = moment - timedelta(seconds=1)
        assert just_before.astimezone(where).replace(tzinfo=None) < at < moment.astimezone(where).replace(tzinfo=None)


# The calendar


def test_a_leap_day_comes_every_four_years_and_not_in_2100() -> None:
    times = cron("0 6 29 2 *")
    assert [each.year for each in upcoming(times, utc(2026, 1, 1), 3)] == [2028, 2032, 2036]
    assert [each.year for each in upcoming(times, utc(2095, 1, 1), 2)] == [2096, 2104]


def test_a_leap_day_on_a_weekday_is_found_however_far_it_is() -> None:
    trigger = CronTrigger(day="29", month="2", day_of_week="mon", hour="0", minute="0")
    assert CronTimes(trigger).next(utc(2072, 3, 1)) == utc(2112, 2, 29)


def test_the_last_day_of_months_is_the_last_one() -> None:
    times = CronTimes(CronTrigger(day="last", hour="0", minute="0"))
    found = [(each.month, each.day) for each in upcoming(times, utc(2028, 1, 1), 4)]
    assert found == [(1, 31), (2, 29), (3, 31), (4, 30)]


def test_the_31st_is_left_out_of_months_without_one() -> None:
    assert [each.month for each in upcoming(cron("0 0 31 * *"), utc(2026, 1, 1), 4)] == [1, 3, 5, 7]


def test_a_date_that_never_comes_is_never_due() -> None:
    assert cron("0 0 30 2 *").next(utc(2026, 1, 1)) is None


@pytest.mark.parametrize(("written", "days"), [("0", {6}), ("7", {6}), ("1-5", {0, 1, 2, 3, 4}), ("5-7", {4, 5, 6})])
def test_days_of_a_crontab_count_from_sunday(written: str, days: set[int]) -> None:
    assert {each.weekday() for each in upcoming(cron(f"0 0 * * {written}"), utc(2026, 1, 1), 14)} == days


def test_days_of_a_field_count_from_monday() -> None:
    times = CronTimes(CronTrigger(day_of_week="0", hour="0", minute="0"))
    assert {each.weekday() for each in upcoming(times, utc(2026, 1, 1), 3)} == {0}


@pytest.mark.parametrize(
    ("trigger", "where"),
    [
        ({"expression": "30 2 * *"}, "trigger.expression"),
        ({"expression": "0 0 1 * mon"}, "trigger.expression"),
        ({"expression": "60 2 * * *"}, "trigger.minute"),
        ({"minute": "*/0"}, "trigger.minute"),
        ({"hour": "24"}, "trigger.hour"),
        ({"day_of_week": "mon-fri/2"}, "trigger.day_of_week"),
        ({"day": "lastly"}, "trigger.day"),
        ({"month": "juniper"}, "trigger.month"),
        ({"hour": "5-2"}, "trigger.hour"),
        ({"hour": "1", "timezone": "Europe/Berln"}, "trigger.timezone"),
        ({"hour": "1", "timezone": "../../etc/passwd"}, "trigger.timezone"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(trigger: dict[str, str], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        CronTimes(CronTrigger.model_validate(trigger))
    assert caught.value.problems[0].path == where
    assert caught.value.problems[0].hint


# Intervals and dates


@given(
    seconds=st.integers(1, 10**6),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)).map(lambda each: each.replace(tzinfo=UTC)),
)
def test_an_interval_stays_on_its_grid_for_ever(seconds: int, after: datetime) -> None:
    made = utc(2020, 1, 1)
    found = due_times(IntervalTrigger(seconds=seconds), made, None, None).next(after)
    assert found is not None
    assert found > after
    assert (found - made) % timedelta(seconds=seconds) == timedelta(0)
    assert found - after <= timedelta(seconds=seconds) or found == made + timedelta(seconds=seconds)


def test_an_interval_is_elapsed_time_whatever_the_clocks_show() -> None:
    times = due_times(IntervalTrigger(days=1), utc(2026, 3, 28, 1), None, None)
    assert upcoming(times, utc(2026, 3, 28, 1), 2) == [utc(2026, 3, 29, 1), utc(2026, 3, 30, 1)]


def test_an_interval_begins_with_its_start_date() -> None:
    start = utc(2026, 5, 1)
    times = due_times(IntervalTrigger(hours=1), utc(2026, 1, 1), start, start + timedelta(hours=2))
    assert upcoming(times, utc(2026, 1, 1), 9) == [start, start + timedelta(hours=1), start + timedelta(hours=2)]


def test_a_date_is_due_once() -> None:
    trigger = DateTrigger(run_date=datetime(2026, 3, 29, 2, 30), timezone="Europe/Berlin")
    times = due_times(trigger, utc(2026, 1, 1), None, None)
    assert upcoming(times, utc(2026, 1, 1), 5) == [utc(2026, 3, 29, 1, 0)]
    assert times.next(utc(2026, 3, 29, 1)) is None
    aware = DateTrigger(run_date=datetime.fromisoformat("2026-07-01T12:00:00+02:00"))
    assert due_times(aware, utc(2026, 1, 1), None, None).next(utc(2026, 1, 1)) == utc(2026, 7, 1, 10)


def test_start_and_end_are_themselves_due_times_when_they_match() -> None:
    start, end = utc(2026, 6, 1, 6), utc(2026, 6, 3, 6)
    times = due_times(CronTrigger(expression="0 6 * * *"), utc(2026, 1, 1), start, end)
    assert upcoming(times, utc(2026, 1, 1), 9) == [start, start + timedelta(days=1), end]


# Downtime


def test_missed_times_are_counted_and_the_last_of_them_found() -> None:
    times = cron("0 * * * *")
    went_by = missed(times, utc(2026, 1, 1, 1), utc(2026, 1, 1, 5, 30))
    assert (went_by.last, went_by.count) == (utc(2026, 1, 1, 5), 5)


def test_years_of_downtime_take_a_moment() -> None:
    times = due_times(IntervalTrigger(seconds=1), utc(2016, 1, 1), None, None)
    went_by = missed(times, utc(2016, 1, 1, 0, 0, 1), utc(2026, 1, 1, 0, 0, 0, 500_000))
    assert (went_by.last, went_by.count) == (utc(2026, 1, 1), MOST_MISSED)
    every_minute = missed(cron("* * * * *", "Europe/Berlin"), utc(2016, 1, 1), utc(2026, 1, 1, 0, 0, 30))
    assert (every_minute.last, every_minute.count) == (utc(2026, 1, 1), MOST_MISSED)


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (CronTrigger(expression="30 2 * * *", timezone="Europe/Berlin"), "every day at 02:30 (Europe/Berlin)"),
        (CronTrigger(expression="0 9 * * 1-5"), "on mon,tue,wed,thu,fri at 09:00 (UTC)"),
        (CronTrigger(minute="*/15"), "cron minute=*/15 (UTC)"),
        (IntervalTrigger(hours=1, minutes=30), "every 1 hour 30 minutes"),
        (DateTrigger(run_date=datetime(2026, 1, 2, 3, 4)), "once, at 2026-01-02 03:04:00 UTC"),
    ],
)
def test_triggers_are_said_in_words(trigger: Any, words: str) -> None:
    assert describe(trigger) == words


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("0 12 ? * mon", "0 12 * * mon"),
        ("0 12 1 * ?", "0 12 1 * *"),
        ("0 12 ? * ?", "0 12 * * *"),
    ],
)
def test_nicknames_and_question_marks_mean_what_crontabs_mean(written: str, plain: str) -> None:
    start = utc(2026, 3, 1)
    assert upcoming(cron(written), start, 5) == upcoming(cron(plain), start, 5)


@pytest.mark.parametrize("written", ["@every 5m", "@reboot", "@dayly", "@", "? ? ? ? ?"])
def test_what_is_no_crontab_has_a_hint(written: str) -> None:
    with pytest.raises(SpecError) as caught:
        cron(written)
    assert caught.value.problems[0].hint
