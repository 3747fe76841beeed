"""The contract of `SeriesStore` for scenarios and checks, for every storage: nothing of an interval is lost."""

from __future__ import annotations

import pytest

from atm.config import Settings
from atm.metrics.code_interval import AnnouncedCheck, AnnouncedEndpoint, BlockingGroup, CodeInterval, RaisedGroup
from atm.metrics.interval import Interval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.metrics.spread import spread
from atm.models.outcome import RunStatus
from atm.storage import Batch, StorageInterface, open_storage
from atm.storage.records import Finish, Lease
from atm.storage.series.rows import ALL
from tests.metrics.seconds import MS, check, iterations
from tests.storage.builders import at, interval, new_run

pytestmark = pytest.mark.anyio

SECONDS = 75
WARM_UP = 3


def second(number: int) -> Interval:
    warm_up = number < WARM_UP
    made = interval(number, warm_up=warm_up)
    times = [100.0 + 7 * number + 3 * place for place in range(20)]
    made.iterations = [
        iterations(0, times, think_ms=40.0, warm_up=warm_up, started=25, failed=2, unfinished=1),
        iterations(1, times[:5], warm_up=warm_up, drained=1),
    ]
    if number == WARM_UP:
        made.iterations.insert(0, iterations(0, times[:2], warm_up=True))
    if number in (5, 40):
        made.code = CodeInterval(
            (AnnouncedEndpoint(7 + number, 1, f"buy/{number}", "GET", "http://shop/"),),
            (AnnouncedCheck(number, "good", 7 + number),),
            (RaisedGroup(1, False, "ValueError: x (shop.py:3)", 2, 5, 9, "Traceback\n  é"),),
            (BlockingGroup(1, "buy (shop.py:4): time.sleep(1)", 3, 10**9),),
        )
    made.checks = [check(0, 20, number % 3, warm_up=warm_up), check(7, 0, 1, warm_up=warm_up)]
    return made


HISTORY = [second(number) for number in range(SECONDS)]


async def recorded(storage: StorageInterface, seconds: int = SECONDS, at_once: int = 20) -> Lease:
    run = (await storage.runs.create(new_run())).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    lease = Lease(run.id, "token")
    for first in range(0, seconds, at_once):
        part = tuple(HISTORY[first : min(first + at_once, seconds)])
        await storage.series.append(lease, Batch(first_interval=first, intervals=part))
    return lease


def added_up(seconds: list[Interval], flow: int, *, warm_up: bool = False) -> IterationInterval:
    total = IterationInterval(flow, warm_up)
    for one in seconds:
        for part in one.iterations:
            if (part.flow, part.warm_up) == (flow, warm_up):
                total.merge(part)
    return total


def evaluated(seconds: list[Interval], index: int) -> CheckInterval:
    total = CheckInterval(index, warm_up=False)
    for one in seconds:
        for part in one.checks:
            if part.check == index and not part.warm_up:
                total.merge(part)
    return total


async def test_intervals_come_back_with_their_iterations_and_checks(storage: StorageInterface) -> None:
    lease = await recorded(storage)
    stored = await storage.series.intervals(lease.run_id)
    for one, original in zip(stored, HISTORY, strict=True):
        by_flow = sorted(original.iterations, key=lambda part: (part.flow, not part.warm_up))
        assert (one.iterations, one.checks) == (by_flow, original.checks)


@pytest.mark.parametrize("has_ended", [False, True])
async def test_every_window_is_the_sum_of_its_seconds(storage: StorageInterface, has_ended: bool) -> None:
    lease = await recorded(storage)
    if has_ended:
        await storage.leases.finish(lease, Finish(RunStatus.COMPLETED, at(200)))
    for start, end in ((0, None), (0, SECONDS), (3, 4), (7, 71), (59, 61), (20, 30)):
        window = await storage.series.window(lease.run_id, start, end, scenarios=2)
        seconds = HISTORY[start:end]
        for flow in (0, 1):
            assert window.iterations[flow, False] == added_up(seconds, flow)
        assert window.checks[0, False] == evaluated(seconds, 0)
        assert window.checks[7, False] == evaluated(seconds, 7)
    whole = await storage.series.window(lease.run_id, scenarios=2)
    assert whole.iterations[0, True] == added_up(HISTORY, 0, warm_up=True)
    assert not (await storage.series.window(lease.run_id)).iterations


@pytest.mark.parametrize("resolution", [1, 10, 60, 0])
async def test_points_have_the_figures_of_their_span(storage: StorageInterface, resolution: int) -> None:
    lease = await recorded(storage)
    points = await storage.series.scenarios(lease.run_id, resolution, 2)
    measured = [point for point in points.iterations if point.flow == 0 and not point.warm_up]
    assert len(measured) == -(-SECONDS // resolution if resolution else -1) - (WARM_UP if resolution == 1 else 0)
    for point in measured:
        total = added_up(HISTORY[point.start : point.start + (resolution or SECONDS)], 0)
        assert (point.started, point.completed, point.failed, point.unfinished) == (
            total.started,
            total.completed,
            total.failed,
            total.unfinished,
        )
        assert point.iteration_time.p95_ms == pytest.approx(spread(total.time).p95_ms, abs=1e-5)
        assert point.active_time.max_ms == pytest.approx(spread(total.active_time).max_ms, abs=1e-5)
    judged = [point for point in points.checks if point.check == 0 and not point.warm_up]
    assert sum(point.failed for point in judged) == evaluated(HISTORY, 0).failed


@pytest.mark.parametrize("has_ended", [False, True])
async def test_endpoints_apart_are_in_no_row_of_all_together(
    storage: StorageInterface, settings: Settings, has_ended: bool
) -> None:
    """Whichever process wrote the seconds; the endpoint has rows of its own."""
    history = [interval(number) for number in range(SECONDS)]
    for one in history:
        one.endpoints[1].apart = True
    run = (await storage.runs.create(new_run())).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    lease = Lease(run.id, "token")
    await storage.series.append(lease, Batch(intervals=tuple(history[:33])))
    other = await open_storage(settings)
    try:
        await other.series.append(lease, Batch(first_interval=33, intervals=tuple(history[33:])))
        if has_ended:
            await other.leases.finish(lease, Finish(RunStatus.COMPLETED, at(200)))
        for resolution in (1, 10, 60, 0):
            together = await other.series.points(lease.run_id, resolution)
            login = await other.series.points(lease.run_id, resolution, endpoints=[1])
            items = await other.series.points(lease.run_id, resolution, endpoints=[0])
            assert [point.counts for point in together] == [point.counts for point in items]
            assert [point.latency for point in together] == [point.latency for point in items]
            assert sum(point.counts["started"] for point in login) == 21 * SECONDS
        window = await other.series.window(lease.run_id, 3, 72, [ALL, 0, 1])
        assert window.endpoints[ALL, False].outcomes == window.endpoints[0, False].outcomes
        assert window.endpoints[1, False].started == 21 * 69
        assert await other.series.intervals(lease.run_id) == history
    finally:
        await other.close()


async def test_another_process_continues_where_one_stopped(storage: StorageInterface, settings: Settings) -> None:
    """Its rollup is restored from the rows of this one."""
    lease = await recorded(storage, seconds=33)
    other = await open_storage(settings)
    try:
        rest = tuple(HISTORY[33:])
        await other.series.append(lease, Batch(first_interval=33, intervals=rest))
        await other.leases.finish(lease, Finish(RunStatus.COMPLETED, at(200)))
        window = await other.series.window(lease.run_id, scenarios=2)
        assert window.iterations[0, False] == added_up(HISTORY, 0)
        points = await other.series.scenarios(lease.run_id, 60, 2)
        first = next(point for point in points.iterations if point.flow == 1 and not point.warm_up)
        assert first.completed == added_up(HISTORY[:60], 1).completed
    finally:
        await other.close()


def test_times_differ_between_the_seconds() -> None:
    assert added_up(HISTORY, 0).time.maximum != added_up(HISTORY[:10], 0).time.maximum
    assert (added_up(HISTORY, 0).time.minimum or 0) > MS
