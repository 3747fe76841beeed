"""The schedule alone: no clock, no socket, and what it decides is written down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from atm.engine.asyncio_engine.schedule.closed_schedule import ClosedSchedule
from atm.engine.asyncio_engine.schedule.legs import legs_of
from atm.engine.asyncio_engine.schedule.open_schedule import OpenSchedule
from atm.engine.asyncio_engine.schedule.phases import Phases
from atm.engine.asyncio_engine.schedule.schedule import Arrival
from atm.models.outcome import StopReason
from atm.plan.connections import Origin
from atm.plan.load_plan import Load, LoadPlan, PreparedUsers, Segment
from atm.plan.pacer import NEVER, SECOND
from tests.contract.plans import MILLISECOND, closed, opened, plan, step

EPOCH = 1_000 * SECOND


class Numbered:
    """A user that writes down what it begins."""

    def __init__(self, number: int, log: Log) -> None:
        self.number = number
        self._log = log
        self.not_before = 0
        self.is_prepared = True

    def prepare(self, flow: int, now: int, is_warm_up: bool) -> None:
        assert (flow, is_warm_up) == (0, False)
        self._log.prepared.append((self.number, (now - EPOCH) // MILLISECOND))

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        if self._log.pace:
            self.not_before = intended + self._log.pace
        self._log.begun.append((self, Arrival(number, flow, intended, is_warm_up), now))


class Log:
    """Decisions, written down; the clock of the schedule is `now`."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.pace = 0
        self.users: dict[int, Numbered] = {}
        self.begun: list[tuple[Numbered, Arrival, int]] = []
        self.prepared: list[tuple[int, int]] = []
        self.retired: list[int] = []
        self.missed_arrivals: list[tuple[int, str]] = []
        self.waits: list[tuple[int, int]] = []
        self.late: list[int] = []
        self.end: tuple[int | None, StopReason] | None = None
        self.known_end = NEVER
        self.is_saturated = False
        self.settled = 0

    def clock(self) -> int:
        return self.now

    def new_user(self) -> Numbered:
        user = Numbered(len(self.users) + 1, self)
        self.users[user.number] = user
        return user

    def retire(self, user: Numbered) -> None:
        self.retired.append(user.number)

    def wake_at(self, at: int) -> None:
        assert at >= EPOCH - SECOND

    def end_known(self, at: int) -> None:
        self.known_end = at

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        self.end = (at, reason)

    def settle(self) -> None:
        self.settled += 1

    def started_late(self, by: int) -> None:
        self.late.append(by)

    def waited(self, arrival: Arrival, waited: int) -> None:
        self.waits.append((arrival.number, waited))

    def missed(self, arrival: Arrival, kind: Literal["dropped", "skipped"]) -> None:
        self.missed_arrivals.append((arrival.number, kind))

    def missed_at_end(self, arrival: Arrival, waited: int) -> None:
        self.missed_arrivals.append((arrival.number, f"waited {waited}"))

    def saturated(self) -> None:
        self.is_saturated = True

    @property
    def intended(self) -> list[int]:
        """In milliseconds since the start."""
        return [(arrival.intended - EPOCH) // MILLISECOND for _, arrival, _ in self.begun]


def made_plan(load: Load, flows: int = 1, **fields: Any) -> LoadPlan:
    return plan(Origin("http", "h", 80), *(step() for _ in range(flows)), load=load, **fields)


def open_schedule(load: Load, flows: int = 1, ceiling: int = 100, **fields: Any) -> tuple[OpenSchedule[Numbered], Log]:
    log = Log()
    schedule = OpenSchedule(made_plan(load, flows, **fields), 0, log, log.clock, ceiling)
    schedule.start(EPOCH)
    return schedule, log


def prepared_schedule(prepared: PreparedUsers, load: Load) -> tuple[OpenSchedule[Numbered], Log]:
    log = Log()
    made = made_plan(replace(load, max_in_flight=prepared.users), duration=10)
    made = replace(made, lanes=(replace(made.lanes[0], prepared=prepared),))
    schedule = OpenSchedule(made, 0, log, log.clock, ceiling=100)
    schedule.start(EPOCH)
    return schedule, log


def closed_schedule(load: Load, flows: int = 1, **fields: Any) -> tuple[ClosedSchedule[Numbered], Log]:
    log = Log()
    schedule = ClosedSchedule(made_plan(load, flows, **fields), 0, log, log.clock)
    schedule.start(EPOCH)
    return schedule, log


def at(schedule: OpenSchedule[Numbered] | ClosedSchedule[Numbered], log: Log, milliseconds: float) -> int:
    """Let the moment come; returns when the schedule wants to look again, in ms."""
    log.now = EPOCH + int(milliseconds * MILLISECOND)
    following = schedule.on_time(log.now)
    return following if following == NEVER else (following - EPOCH) // MILLISECOND


def test_arrivals_begin_when_they_are_due_and_the_last_free_user_takes_the_next() -> None:
    schedule, log = open_schedule(opened(100), total=5)
    assert at(schedule, log, 0) == 10
    assert at(schedule, log, 25) == 30
    assert log.intended == [0, 10, 20]
    assert log.late == [0, 15 * MILLISECOND, 5 * MILLISECOND]
    assert schedule.in_flight == 3
    schedule.user_free(log.users[1], log.now)
    schedule.user_free(log.users[3], log.now)
    at(schedule, log, 30)
    assert log.begun[-1][0].number == 3
    at(schedule, log, 40)
    arrival = Arrival(5, 0, EPOCH + 40 * MILLISECOND, is_warm_up=False)
    assert log.begun[-1] == (log.users[1], arrival, log.now)
    # The window ends one gap after the last arrival, known before it is over.
    assert log.known_end == EPOCH + 50 * MILLISECOND
    assert schedule.is_sending
    assert at(schedule, log, 50) == NEVER
    assert log.end == (EPOCH + 50 * MILLISECOND, StopReason.TOTAL)
    assert schedule.offered_by(EPOCH + SECOND) == pytest.approx(5)


def test_without_a_free_user_arrivals_wait_and_those_left_are_missed() -> None:
    schedule, log = open_schedule(opened(100, max_in_flight=1), duration=1)
    for milliseconds in (0, 10, 20):
        at(schedule, log, milliseconds)
    assert log.is_saturated
    assert schedule.waiting == 2
    log.now = EPOCH + 25 * MILLISECOND
    schedule.user_free(log.users[1], log.now)
    assert log.waits == [(2, 15 * MILLISECOND)]
    schedule.stop(EPOCH + 27 * MILLISECOND)
    assert log.missed_arrivals == [(3, f"waited {7 * MILLISECOND}")]
    schedule.user_free(log.users[1], log.now)
    assert log.settled == 1


def test_without_a_free_user_arrivals_are_dropped_where_the_plan_says_so() -> None:
    schedule, log = open_schedule(opened(100, max_in_flight=1, on_saturation="drop"), duration=1)
    for milliseconds in (0, 10, 20):
        at(schedule, log, milliseconds)
    assert log.missed_arrivals == [(2, "dropped"), (3, "dropped")]
    assert schedule.waiting == 0


def test_arrivals_that_are_noticed_too_late_are_skipped_without_catching_up() -> None:
    schedule, log = open_schedule(opened(100, catch_up="none"), duration=1)
    at(schedule, log, 0)
    at(schedule, log, 35)
    assert log.missed_arrivals == [(2, "skipped"), (3, "skipped")]
    assert log.intended == [0, 30]


def test_users_prepare_before_the_load_and_take_arrivals_in_turn() -> None:
    schedule, log = prepared_schedule(PreparedUsers(3, 100, 40 * MILLISECOND), opened(10))
    assert at(schedule, log, -50) == -40
    assert [at(schedule, log, milliseconds) for milliseconds in (-40, -30, -20)] == [-30, -20, 0]
    assert log.prepared == [(1, -40), (2, -30), (3, -20)]
    for number in (2, 1):
        schedule.user_free(log.users[number], log.now)
    for milliseconds in (0, 100, 200):
        at(schedule, log, milliseconds)
    # The third arrival waits for the user that is still preparing.
    assert [user.number for user, _, _ in log.begun] == [2, 1]
    assert (log.is_saturated, schedule.waiting, schedule.in_flight) == (True, 1, 3)
    schedule.user_free(log.users[3], log.now)
    assert [user.number for user, _, _ in log.begun] == [2, 1, 3]
    for number in (1, 2):
        schedule.user_free(log.users[number], log.now)
    at(schedule, log, 300)
    assert log.begun[-1][0].number == 1


def test_a_user_who_failed_or_lost_its_session_prepares_again_a_second_later_at_the_rate() -> None:
    schedule, log = prepared_schedule(PreparedUsers(2, 4, 500 * MILLISECOND), opened(0.5))
    at(schedule, log, -500)
    at(schedule, log, -250)
    schedule.user_not_prepared(log.users[1], log.now)
    schedule.user_free(log.users[2], log.now)
    at(schedule, log, 0)
    schedule.user_stopped(log.users[2], EPOCH)
    assert log.retired == [2]
    assert at(schedule, log, 0) == 750
    assert at(schedule, log, 750) == 1000
    at(schedule, log, 1000)
    assert log.prepared[2:] == [(1, 750), (2, 1000)]
    schedule.stop(EPOCH + SECOND)
    schedule.user_not_prepared(log.users[1], EPOCH + SECOND)
    assert (log.settled, at(schedule, log, 3000)) == (1, NEVER)
    assert len(log.prepared) == 4


def test_a_burst_of_arrivals_is_served_in_several_turns() -> None:
    schedule, log = open_schedule(opened(1_000), duration=1)
    assert at(schedule, log, 99) == 99
    assert 0 < len(log.begun) < 100
    while at(schedule, log, 99) == 99:
        pass
    assert log.intended == list(range(100))


def test_a_barrier_moves_all_that_follows() -> None:
    schedule, log = open_schedule(opened(100), flows=2, total=4, selection="sequential")
    at(schedule, log, 0)
    at(schedule, log, 10)
    assert at(schedule, log, 20) == NEVER
    schedule.user_free(log.users[1], log.now)
    assert at(schedule, log, 30) == NEVER
    schedule.user_free(log.users[2], log.now)
    at(schedule, log, 50)
    assert schedule.shift == 30 * MILLISECOND
    at(schedule, log, 60)
    assert [(arrival.flow, (arrival.intended - EPOCH) // MILLISECOND) for _, arrival, _ in log.begun] == [
        (0, 0),
        (0, 10),
        (1, 50),
        (1, 60),
    ]


def test_warm_up_comes_first_and_is_marked() -> None:
    schedule, log = open_schedule(opened(100, warm_up_ns=20 * MILLISECOND, warm_up_level=100.0), total=2)
    for milliseconds in (0, 10, 20, 30):
        at(schedule, log, milliseconds)
    assert [arrival.is_warm_up for _, arrival, _ in log.begun] == [True, True, False, False]


def test_each_user_begins_again_when_it_is_free_until_the_total() -> None:
    schedule, log = closed_schedule(closed(2), total=5)
    at(schedule, log, 0)
    assert len(log.begun) == len(schedule.users) == schedule.in_flight == 2
    for milliseconds in (3, 5, 9):
        log.now = EPOCH + milliseconds * MILLISECOND
        schedule.user_free(log.begun[-1][0], log.now)
    assert log.intended == [0, 0, 3, 5, 9]
    assert schedule.is_sending
    # The total is started: the end is the last finish.
    schedule.user_free(log.begun[-1][0], log.now)
    assert log.end == (None, StopReason.TOTAL)
    assert not schedule.is_sending


def test_users_come_and_go_with_the_profile() -> None:
    load = Load("closed", (Segment(1, 1, SECOND), Segment(3, 3, SECOND), Segment(1, 1, SECOND)))
    schedule, log = closed_schedule(load)
    assert at(schedule, log, 0) == 1_000
    assert at(schedule, log, 1_000) == 2_000
    assert schedule.user_count == 3
    at(schedule, log, 2_000)
    assert log.retired == []  # they are busy
    for user in (1, 2):
        schedule.user_free(log.users[user], log.now)
    assert log.retired == [1, 2]
    assert at(schedule, log, 3_000) == NEVER
    assert log.end == (EPOCH + 3 * SECOND, StopReason.STAGES)


def test_a_rate_limit_is_a_token_for_each_start() -> None:
    schedule, log = closed_schedule(closed(3, max_rate=100.0), total=4)
    assert at(schedule, log, 0) == 10
    assert at(schedule, log, 10) == 20
    assert at(schedule, log, 21) == NEVER
    assert log.intended == [0, 10, 20]
    assert log.late == [0, 0, MILLISECOND]
    schedule.user_free(log.users[1], log.now)
    at(schedule, log, 30)
    assert log.intended == [0, 10, 20, 30]


def paced_schedule(load: Load, pace: int, **fields: Any) -> tuple[ClosedSchedule[Numbered], Log]:
    made = made_plan(load, **fields)
    made = replace(made, flows=tuple(replace(flow, pace_ns=pace) for flow in made.flows))
    log = Log()
    log.pace = pace
    schedule = ClosedSchedule(made, 0, log, log.clock)
    schedule.start(EPOCH)
    return schedule, log


def test_a_pace_holds_each_user_back_and_counts_lateness() -> None:
    schedule, log = paced_schedule(closed(2), 50 * MILLISECOND, total=5)
    at(schedule, log, 0)
    first, second = (user for user, _, _ in log.begun)
    schedule.user_free(first, EPOCH + 10 * MILLISECOND)
    schedule.user_free(second, EPOCH + 70 * MILLISECOND)
    # The second took longer than its pace, and begins again at once; the first is due, and noticed late.
    assert [(user, arrival.intended - EPOCH) for user, arrival, _ in log.begun[2:]] == [(second, 70 * MILLISECOND)]
    at(schedule, log, 75)
    user, arrival, now = log.begun[3]
    assert (user, arrival.intended, now) == (first, EPOCH + 50 * MILLISECOND, EPOCH + 75 * MILLISECOND)
    assert log.late[-1] == 25 * MILLISECOND
    schedule.user_free(first, EPOCH + 80 * MILLISECOND)
    assert at(schedule, log, 90) == 100
    at(schedule, log, 100)
    assert len(log.begun) == 5
    schedule.user_free(first, EPOCH + 101 * MILLISECOND)
    assert log.end == (None, StopReason.TOTAL)


def test_a_rate_limit_gives_no_token_to_a_user_that_waits_for_its_pace() -> None:
    schedule, log = paced_schedule(closed(2, max_rate=100), 500 * MILLISECOND, duration=10)
    at(schedule, log, 0)
    at(schedule, log, 10)
    first, second = (user for user, _, _ in log.begun)
    schedule.user_free(first, EPOCH + 11 * MILLISECOND)
    second.not_before = 0
    schedule.user_free(second, EPOCH + 12 * MILLISECOND)
    at(schedule, log, 20)
    assert [(user, arrival.intended - EPOCH) for user, arrival, _ in log.begun[2:]] == [(second, 20 * MILLISECOND)]


def test_the_load_ends_when_every_user_has_stopped() -> None:
    schedule, log = closed_schedule(closed(2), duration=10)
    at(schedule, log, 0)
    first, second = (user for user, _, _ in log.begun)
    schedule.user_stopped(first, EPOCH + 1)
    at(schedule, log, 1)
    assert (schedule.user_count, schedule.in_flight, len(log.begun)) == (1, 1, 2)
    assert log.end is None
    schedule.user_stopped(second, EPOCH + 2 * MILLISECOND)
    assert log.end == (EPOCH + 2 * MILLISECOND, StopReason.STOPPED)


def test_a_user_that_stops_after_the_last_start_ends_the_load_by_its_total() -> None:
    schedule, log = closed_schedule(closed(1), total=1)
    at(schedule, log, 0)
    schedule.user_stopped(log.begun[0][0], EPOCH + 1)
    assert log.end == (None, StopReason.TOTAL)


def test_users_that_have_stopped_leave_first_and_are_not_replaced() -> None:
    segments = (Segment(3, 3, SECOND), Segment(2, 2, SECOND), Segment(3, 3, SECOND))
    schedule, log = closed_schedule(Load("closed", segments))
    at(schedule, log, 0)
    schedule.user_stopped(log.begun[1][0], EPOCH + 1)
    stopped = log.begun[1][0].number
    at(schedule, log, 500)
    assert len(log.users) == 3
    at(schedule, log, 1000)
    assert log.retired == [stopped]
    at(schedule, log, 2000)
    assert (len(log.users), schedule.user_count) == (4, 3)


def test_a_user_that_failed_by_our_own_fault_rests() -> None:
    schedule, log = closed_schedule(closed(1), duration=1)
    at(schedule, log, 0)
    schedule.user_failed(log.users[1], log.now)
    assert at(schedule, log, 50) == 100
    assert len(log.begun) == 1
    at(schedule, log, 100)
    assert log.intended == [0, 100]


def test_a_closed_barrier_waits_for_every_user() -> None:
    schedule, log = closed_schedule(closed(2), flows=2, total=4, selection="sequential")
    at(schedule, log, 0)
    schedule.user_free(log.users[1], EPOCH + MILLISECOND)
    assert at(schedule, log, 1) == NEVER
    assert len(log.begun) == 2
    schedule.user_free(log.users[2], EPOCH + 5 * MILLISECOND)
    at(schedule, log, 5)
    assert [arrival.flow for _, arrival, _ in log.begun] == [0, 0, 1, 1]
    assert schedule.shift == 4 * MILLISECOND


def test_legs_share_the_time_or_the_total() -> None:
    by_time = legs_of(made_plan(closed(1), 3, duration=3, selection="sequential").lanes[0])
    assert [(leg.flow, leg.count, leg.end_ns) for leg in by_time] == [
        (0, None, SECOND),
        (1, None, 2 * SECOND),
        (2, None, 3 * SECOND),
    ]
    by_total = legs_of(made_plan(closed(1), 3, total=2, selection="sequential").lanes[0])
    assert [(leg.flow, leg.count) for leg in by_total] == [(0, 1), (1, 1)]
    assert len(legs_of(made_plan(closed(1), 3, total=2).lanes[0])) == 1


def test_phases_are_named_after_the_profile() -> None:
    stages = (Segment(0, 10, SECOND), Segment(10, 10, SECOND), Segment(10, 0, SECOND))
    phases = Phases(made_plan(Load("closed", stages, warm_up_ns=SECOND, warm_up_level=1.0)).lanes[0])
    names = [phases.at(second * SECOND, 0, is_draining=False) for second in range(1, 5)]
    assert names == ["warm_up", "ramp_up", "hold", "ramp_down"]
    assert phases.at(4 * SECOND, SECOND, is_draining=False) == "hold"
    assert phases.at(5 * SECOND, 0, is_draining=True) == "drain"
    assert Phases(made_plan(closed(1), total=1).lanes[0]).at(SECOND, 0, is_draining=False) == "load"
