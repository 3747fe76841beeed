"""Schedules of shares, without a clock or a socket: together they decide what the schedule of one engine decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.schedule.closed_schedule import ClosedSchedule
from atm.engine.asyncio_engine.schedule.open_schedule import OpenSchedule
from atm.engine.asyncio_engine.schedule.schedule import Arrival
from atm.models.outcome import StopReason
from atm.plan.load_plan import Load, LoadPlan, Segment
from atm.plan.pacer import NEVER, SECOND
from atm.plan.share import WHOLE, Share
from tests.contract.plans import MILLISECOND, plan, step
from tests.engine.asyncio_engine.test_schedule import EPOCH, Log, Numbered
from tests.examples import examples
from tests.strategies import shares

levels = st.sampled_from([0.0, 1.0, 7.0, 40.0, 150.0])
stages = st.lists(st.builds(Segment, levels, levels, st.integers(1, SECOND // 2)), min_size=1, max_size=3).map(tuple)
open_loads = st.builds(
    Load,
    st.just("open"),
    stages,
    warm_up_ns=st.sampled_from([0, SECOND // 10]),
    warm_up_level=levels,
    arrival=st.sampled_from(["even", "poisson"]),
)
closed_loads = st.builds(
    Load,
    st.just("closed"),
    st.lists(
        st.builds(Segment, st.integers(0, 20).map(float), st.integers(0, 20).map(float), st.just(20 * MILLISECOND)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


def made(load: Load, share: Share, selection: str = "weighted", **fields: Any) -> LoadPlan:
    return plan((), step(), step(), step(), load=load, selection=selection, weights=(1, 5, 2), share=share, **fields)


def arrivals(load_plan: LoadPlan) -> tuple[list[Arrival], tuple[int | None, StopReason] | None]:
    """What the schedule starts, each as soon as it is due, and how it ends."""
    log = Log()
    schedule: OpenSchedule[Numbered] = OpenSchedule(load_plan, 0, log, log.clock, 10)
    schedule.start(EPOCH)
    while schedule.is_sending:
        before = len(log.begun)
        due = schedule.on_time(log.now)
        for user, _, _ in log.begun[before:]:
            schedule.user_free(user, log.now)
        assert due < NEVER or not schedule.is_sending
        log.now = max(log.now, due)
    return [arrival for _, arrival, _ in log.begun], log.end


@given(
    shares(),
    open_loads,
    st.sampled_from(["round_robin", "weighted"]),
    st.integers(0, 99),
    st.none() | st.integers(1, 60),
)
@examples(100)
def test_arrivals_of_all_shares_are_those_of_one_engine(
    dealt: tuple[Share, ...], load: Load, selection: str, seed: int, total: int | None
) -> None:
    expected, end = arrivals(made(load, WHOLE, selection, seed=seed, total=total))
    found: list[Arrival] = []
    for share in dealt:
        own, own_end = arrivals(made(load, share, selection, seed=seed, total=total))
        assert own_end == end
        found += own
    assert sorted(found) == expected


def closed_schedule(load_plan: LoadPlan) -> tuple[ClosedSchedule[Numbered], Log]:
    log = Log()
    schedule: ClosedSchedule[Numbered] = ClosedSchedule(load_plan, 0, log, log.clock)
    schedule.start(EPOCH)
    return schedule, log


@given(shares(), closed_loads, st.none() | st.integers(1, 200))
@examples(100)
def test_users_of_all_shares_follow_the_profile_and_number_what_they_do_apart(
    dealt: tuple[Share, ...], load: Load, last: int | None
) -> None:
    def limited(load_plan: LoadPlan) -> LoadPlan:
        return replace(load_plan, lanes=(replace(load_plan.lanes[0], last_number=last),))

    whole = closed_schedule(limited(made(load, WHOLE)))
    apart = [closed_schedule(limited(made(load, share))) for share in dealt]
    done = {id(log): 0 for _, log in (whole, *apart)}
    for tick in range(70):
        for schedule, log in (whole, *apart):
            log.now = EPOCH + tick * MILLISECOND
            schedule.on_time(log.now)
            # Every iteration takes one tick.
            begun = log.begun[done[id(log)] :]
            done[id(log)] = len(log.begun)
            for user, _, _ in begun:
                schedule.user_free(user, log.now)
        if last is None:
            assert sum(len(schedule.users) for schedule, _ in apart) == len(whole[0].users)
    numbers = [[arrival.number for _, arrival, _ in log.begun] for _, log in apart]
    together = [number for own in numbers for number in own]
    assert len(set(together)) == len(together)
    for share, own in zip(dealt, numbers, strict=True):
        assert own == [share.index(serial) + 1 for serial in range(len(own))]
    if last is not None:
        assert max(together, default=0) <= last
