"""Schedules through years of virtual time: nothing sleeps, nothing is mocked but the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atm.config import Settings
from atm.models.control.tests import TestRequest
from atm.models.outcome import RunStatus, StopReason
from atm.models.schedule import FiringOutcome
from atm.runs.service import RunService
from atm.schedules.scheduler import Scheduler
from atm.storage.records import CancelRequest, Finish, RunQuery, RunSource
from atm.storage.seal import Sealer
from atm.storage.test_configs import TestConfig
from tests.schedules.wall_clock import SPEC, ToolServices, WallClock

pytestmark = pytest.mark.anyio

EVERY_MINUTE = {"type": "interval", "minutes": 1}
HOOK = {"type": "webhook", "url": "https://hooks.example/T0/secret"}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


async def test_each_due_time_makes_one_run_that_says_where_it_came_from(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, tags=["night", "shop"])
    await desk.until(utc(2026, 1, 1, 0, 5, 30))
    assert await desk.dues() == [utc(2026, 1, 1, 0, minute) for minute in range(1, 6)]
    page = await desk.storage.runs.page(RunQuery())
    assert {run.id for run in page.runs} == {each.run_id for each in await desk.firings()}
    assert {(run.source, run.tags) for run in page.runs} == {(RunSource.SCHEDULE, ("night", "shop"))}
    assert (await desk.storage.schedules.all())[0].run_count == 5


@pytest.mark.parametrize(
    ("first", "days"),
    [
        pytest.param(utc(2025, 12, 31, 12), 365, id="the year", marks=pytest.mark.prove),
        pytest.param(utc(2026, 3, 25, 12), 7, id="forward"),
        pytest.param(utc(2026, 10, 21, 12), 7, id="back"),
    ],
)
async def test_a_daily_test_runs_once_a_day_through_both_nights_of_the_clocks(
    desk: ToolServices, first: datetime, days: int
) -> None:
    desk.clock.put(first)
    await desk.make({"type": "cron", "hour": "2", "minute": "30", "timezone": "Europe/Berlin"})
    await desk.until(first + timedelta(days=days), late=timedelta(hours=8))
    dues = await desk.dues()
    assert len(dues) == days
    # Noticed 8 h late, which is beyond the grace time: each is made up for once, none is doubled.
    nights = {utc(2026, 3, 29, 1, 0), utc(2026, 10, 25, 0, 30)}
    assert nights & set(dues) == {night for night in nights if first < night < first + timedelta(days=days)}
    assert utc(2026, 10, 25, 1, 30) not in dues
    assert all(each.missed == 0 for each in await desk.firings())


async def test_every_quarter_of_an_hour_goes_on_through_the_night_in_which_clocks_go_back(desk: ToolServices) -> None:
    desk.clock.put(utc(2026, 10, 24, 23, 59))
    await desk.make({"type": "cron", "minute": "*/15", "timezone": "Europe/Berlin"})
    await desk.until(utc(2026, 10, 25, 3, 0))
    dues = await desk.dues()
    assert dues == [utc(2026, 10, 25) + timedelta(minutes=15 * number) for number in range(13)]


async def test_a_leap_day_comes_every_four_years_and_the_last_of_a_month_every_month(desk: ToolServices) -> None:
    await desk.make({"type": "cron", "expression": "0 0 29 2 *"}, name="leap")
    await desk.make({"type": "cron", "day": "last", "hour": "0"}, name="ends")
    await desk.until(utc(2034, 1, 1))
    leap, ends = [
        [each.due for each in reversed(await desk.service.firings(name, limit=1000))] for name in ("leap", "ends")
    ]
    assert leap == [utc(2028, 2, 29), utc(2032, 2, 29)]
    assert len(ends) == 96
    assert utc(2028, 2, 29) in ends
    assert utc(2027, 2, 28) in ends


async def test_after_a_long_downtime_what_was_missed_is_made_up_for_once(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE)
    await desk.until(utc(2026, 1, 1, 0, 2))
    desk.clock.put(utc(2026, 1, 1, 9, 0, 30))
    await desk.scheduler.fire_due()
    *_, last = await desk.firings()
    assert (last.due, last.missed, last.outcome) == (utc(2026, 1, 1, 9), 9 * 60 - 3, FiringOutcome.STARTED)
    assert await desk.runs() == 3
    await desk.until(utc(2026, 1, 1, 9, 2))
    assert (await desk.dues())[-2:] == [utc(2026, 1, 1, 9, 1), utc(2026, 1, 1, 9, 2)]


async def test_years_of_downtime_are_dealt_with_in_a_moment(desk: ToolServices) -> None:
    await desk.make({"type": "interval", "seconds": 1})
    desk.clock.put(utc(2036, 1, 1))
    await desk.scheduler.fire_due()
    [firing] = await desk.firings()
    assert (firing.due, firing.missed) == (utc(2036, 1, 1), 999)
    assert await desk.runs() == 1


async def test_a_schedule_that_does_not_catch_up_says_what_it_missed(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, misfire="skip")
    desk.clock.put(utc(2026, 1, 1, 9, 0, 30))
    await desk.scheduler.fire_due()
    missed, started = await desk.firings()
    # 9:00 is half a minute ago, which is within the grace time of a minute.
    assert (missed.due, missed.missed, missed.outcome) == (utc(2026, 1, 1, 8, 59), 538, FiringOutcome.MISSED)
    assert missed.error == "539 due times missed, noticed more than 60 s late"
    assert (started.due, started.outcome) == (utc(2026, 1, 1, 9), FiringOutcome.STARTED)
    assert await desk.runs() == 1


async def test_what_is_noticed_within_the_grace_time_runs_each_by_itself(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, misfire="skip", misfire_grace_seconds=600)
    desk.clock.put(utc(2026, 1, 1, 0, 5, 30))
    await desk.scheduler.fire_due()
    assert await desk.dues() == [utc(2026, 1, 1, 0, minute) for minute in range(1, 6)]


async def test_a_clock_that_jumps_ahead_and_is_put_right_fires_nothing_twice_and_stops_for_nothing(
    desk: ToolServices,
) -> None:
    await desk.make(EVERY_MINUTE)
    await desk.until(utc(2026, 1, 1, 0, 3))
    desk.clock.put(utc(2027, 1, 1))
    await desk.scheduler.fire_due()
    assert (await desk.dues())[-1] == utc(2027, 1, 1)
    desk.clock.put(utc(2026, 1, 1, 0, 3, 30))
    await desk.scheduler.realign()
    await desk.until(utc(2026, 1, 1, 0, 6))
    assert await desk.dues() == [
        *(utc(2026, 1, 1, 0, minute) for minute in range(1, 7)),
        utc(2027, 1, 1),
    ]


async def test_a_clock_that_is_put_back_fires_nothing_again(desk: ToolServices) -> None:
    await desk.make({"type": "date", "run_date": "2026-01-01T00:03:00Z"}, name="once")
    await desk.until(utc(2026, 1, 1, 0, 4))
    assert await desk.runs() == 1
    desk.clock.put(utc(2026, 1, 1, 0, 1))
    await desk.scheduler.realign()
    assert (await desk.service.find("once")).next_due == utc(2026, 1, 1, 0, 3)
    await desk.until(utc(2026, 1, 1, 0, 5))
    assert await desk.runs() == 1
    assert (await desk.service.find("once")).next_due is None


async def test_start_and_end_dates_and_the_number_of_runs_are_limits(desk: ToolServices) -> None:
    await desk.make(
        {"type": "interval", "minutes": 10}, name="dated", start_date="2026-01-01T01:00Z", end_date="2026-01-01T01:30Z"
    )
    await desk.make(EVERY_MINUTE, name="counted", max_runs=3)
    await desk.until(utc(2026, 1, 1, 3))
    dated = [each.due for each in reversed(await desk.service.firings("dated"))]
    assert dated == [utc(2026, 1, 1, 1, minute) for minute in (0, 10, 20, 30)]
    counted = [each.due for each in reversed(await desk.service.firings("counted"))]
    assert counted == [utc(2026, 1, 1, 0, minute) for minute in (1, 2, 3)]
    found = await desk.service.find("counted")
    assert (found.run_count, found.next_due) == (3, None)


async def test_jitter_starts_later_and_never_changes_what_is_due(desk: ToolServices) -> None:
    await desk.make({"type": "interval", "hours": 1}, jitter_seconds=600)
    await desk.until(utc(2026, 1, 3), late=timedelta(seconds=20))
    firings = await desk.firings()
    assert [each.due for each in firings] == [utc(2026, 1, 1) + timedelta(hours=n) for n in range(1, len(firings) + 1)]
    late = [(each.fired_at - each.due).total_seconds() for each in firings]
    assert len(late) in (46, 47, 48)
    assert 20 <= min(late) < 170
    assert 470 < max(late) <= 620
    assert len(set(late)) > 10


async def test_a_run_that_has_not_ended_is_waited_for_or_gone_past_or_run_beside(desk: ToolServices) -> None:
    for overlap in ("skip", "queue", "allow"):
        await desk.make(EVERY_MINUTE, name=overlap, overlap=overlap)
    await desk.until(utc(2026, 1, 1, 0, 3))
    outcomes = {
        name: [each.outcome.value for each in reversed(await desk.service.firings(name))]
        for name in ("skip", "queue", "allow")
    }
    assert outcomes == {
        "skip": ["started", "skipped", "skipped"],
        "queue": ["started", "queued", "queued"],
        "allow": ["started", "started", "started"],
    }


async def test_queued_firings_start_one_after_another(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, overlap="queue")
    await desk.until(utc(2026, 1, 1, 0, 3))
    for done in range(1, 4):
        assert await desk.runs() == done
        await desk.end_run()
        await desk.scheduler.follow()
        await desk.scheduler.follow()
    assert await desk.outcomes() == [FiringOutcome.PASSED] * 3


async def test_two_agents_fire_a_due_time_once(desk: ToolServices, settings: Settings) -> None:
    runs = RunService(desk.storage, settings, Sealer(settings), environment={}, clock=desk.clock)
    other = Scheduler(desk.storage, Sealer(settings), runs, clock=desk.clock, name="other:2")
    await desk.make(EVERY_MINUTE)
    fired: dict[str, int] = {"desk": 0, "other": 0}
    for _ in range(20):
        desk.clock.pass_(minutes=1)
        first, second = (desk.scheduler, other) if fired["desk"] <= fired["other"] else (other, desk.scheduler)
        done = (await first.fire_due(), await second.fire_due())
        assert done == (1, 0)
        fired["desk" if first is desk.scheduler else "other"] += 1
    assert {each.claimed_by for each in await desk.firings()} == {"desk:1", "other:2"}
    assert await desk.runs() == 20


@pytest.mark.parametrize(
    ("passed", "finish", "outcome", "error"),
    [
        (True, None, FiringOutcome.PASSED, None),
        (None, None, FiringOutcome.INVALID, "the measurement is invalid"),
        (False, None, FiringOutcome.FAILED, "p95 < 10ms: actual 12.5 ms"),
        (
            None,
            Finish(RunStatus.FAILED, utc(2026, 1, 2), error_message="no name resolves", stop_reason=StopReason.FAILED),
            FiringOutcome.ERROR,
            "no name resolves",
        ),
        (
            None,
            Finish(RunStatus.COMPLETED, utc(2026, 1, 2), stop_reason=StopReason.STOPPED),
            FiringOutcome.STOPPED,
            None,
        ),
        (
            None,
            Finish(RunStatus.CANCELLED, utc(2026, 1, 2), stop_reason=StopReason.CANCELLED),
            FiringOutcome.CANCELLED,
            None,
        ),
    ],
)
async def test_a_firing_ends_as_its_run_does(
    desk: ToolServices, passed: bool | None, finish: Finish | None, outcome: FiringOutcome, error: str | None
) -> None:
    await desk.make(EVERY_MINUTE)
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    await desk.scheduler.follow()
    assert await desk.outcomes() == [FiringOutcome.STARTED]
    await desk.end_run(passed=passed, finish=finish)
    await desk.scheduler.follow()
    [firing] = await desk.firings()
    assert (firing.outcome, firing.error) == (outcome, error)


async def test_a_run_that_was_deleted_ends_its_firing(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE)
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    [firing] = await desk.firings()
    assert firing.run_id is not None
    await desk.storage.leases.request_cancel(firing.run_id, CancelRequest.NOW, desk.clock.now())
    await desk.storage.runs.delete(firing.run_id)
    await desk.scheduler.follow()
    [firing] = await desk.firings()
    assert (firing.outcome, firing.error) == (FiringOutcome.CANCELLED, "its run was deleted before it ended")


async def test_failures_are_told_each_time_and_recovery_once(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, notify=[HOOK])
    for passed in (True, False, False, True, True, False, True):
        await desk.pass_by(passed)
    assert await desk.events() == ["failure", "failure", "recovery", "failure", "recovery"]


async def test_always_is_told_of_everything_that_ended(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, notify=[{**HOOK, "on": ["always"]}], overlap="skip")
    for passed in (True, False, True):
        await desk.pass_by(passed)
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    [run] = (await desk.storage.runs.page(RunQuery(status=RunStatus.PENDING))).runs
    await desk.storage.leases.request_cancel(run.id, CancelRequest.NOW, desk.clock.now())
    await desk.scheduler.follow()
    # The due time that was skipped has no end to tell of.
    assert await desk.events() == ["success", "failure", "recovery", "cancelled"]


async def test_a_firing_that_cannot_start_is_a_failure_that_is_told(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE, spec={**SPEC, "variables": {"a": "1"}}, notify=[HOOK])
    [schedule] = await desk.storage.schedules.all()
    broken = {**SPEC, "url": "http://127.0.0.1:9/{{unset}}"}
    await desk.storage.schedules.replace(replace(schedule, spec=broken, sealed=None))
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    [firing] = await desk.firings()
    assert firing.outcome is FiringOutcome.ERROR
    assert "unset" in (firing.error or "")
    assert await desk.events() == ["failure"]
    assert await desk.runs() == 0


async def keep_test(desk: ToolServices, **changes: Any) -> TestConfig:
    body = TestRequest(spec={"name": "kept", "url": "http://127.0.0.1:9/kept"})
    now = desk.clock.now()
    config = TestConfig("kept-id", "kept", body.spec, now, now, tags=("of-the-test",), **changes)
    await desk.storage.tests.add(config)
    return config


async def test_a_kept_test_is_run_as_it_is_when_it_is_due(desk: ToolServices) -> None:
    config = await keep_test(desk)
    await desk.make(EVERY_MINUTE, test="kept", tags=["of-the-schedule"])
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    changed = replace(config, spec={"name": "kept", "url": "http://127.0.0.1:9/changed"})
    await desk.storage.tests.replace(changed)
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    await desk.storage.tests.replace(replace(changed, enabled=False))
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    await desk.storage.tests.delete("kept-id")
    desk.clock.pass_(minutes=1)
    await desk.scheduler.fire_due()
    runs = (await desk.storage.runs.page(RunQuery())).runs
    assert [run.url for run in reversed(runs)] == ["http://127.0.0.1:9/kept", "http://127.0.0.1:9/changed"]
    assert {run.tags for run in runs} == {("of-the-schedule", "of-the-test")}
    outcomes = [(each.outcome.value, each.error) for each in await desk.firings()]
    assert outcomes[2:] == [
        ("skipped", "the test 'kept' is disabled"),
        ("error", "there is no test 'kept' any more"),
    ]


async def test_secrets_reach_the_run_and_not_the_rows(desk: ToolServices, settings: Settings) -> None:
    spec = {**SPEC, "auth": {"type": "bearer_token", "token": "hush-hush"}}
    made = await desk.make(EVERY_MINUTE, spec=spec, notify=[{**HOOK, "secret": "also-a-secret"}])
    assert "hush-hush" not in repr(made)
    assert "also-a-secret" not in repr(made)
    await desk.pass_by(False)
    [run] = (await desk.storage.runs.page(RunQuery())).runs
    whole = Sealer(settings).open((await desk.storage.runs.get(run.id)).sealed)
    assert "hush-hush" in whole["spec"]
    [delivery] = await desk.storage.deliveries.of_schedule(made.id)
    assert (delivery.channel, "also-a-secret" in repr(delivery)) == ("https://hooks.example/***", False)
    assert delivery.document["failure_reasons"] == ["p95 < 10ms: actual 12.5 ms"]


async def test_nobody_fires_what_is_paused_and_nothing_is_made_up_for_when_it_goes_on(desk: ToolServices) -> None:
    await desk.make(EVERY_MINUTE)
    await desk.until(utc(2026, 1, 1, 0, 2))
    await desk.service.enable("nightly", enabled=False)
    await desk.until(utc(2026, 1, 1, 2))
    assert len(await desk.firings()) == 2
    resumed = await desk.service.enable("nightly", enabled=True)
    assert resumed.next_due == utc(2026, 1, 1, 2, 1)
    await desk.until(utc(2026, 1, 1, 2, 2))
    assert [each.missed for each in await desk.firings()] == [0, 0, 0, 0]


def test_the_clock_of_these_tests_goes_back() -> None:
    clock = WallClock(utc(2026, 1, 1))
    clock.put(utc(2025, 1, 1))
    assert clock.now() == utc(2025, 1, 1)
