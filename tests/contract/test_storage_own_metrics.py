"""The contract of `SeriesStore` for the metrics that a test declares, for every storage: no value is lost."""

from __future__ import annotations

import pytest

from atm.config import Settings
from atm.metrics.interval import Interval
from atm.metrics.own_interval import OwnInterval
from atm.models.outcome import RunStatus
from atm.models.own_metric import SCALE
from atm.storage import Batch, StorageInterface, open_storage
from atm.storage.records import Finish, Lease
from tests.storage.builders import at, interval, new_run

pytestmark = pytest.mark.anyio

SECONDS = 75
WARM_UP = 3


def own(metric: int, number: int, *, warm_up: bool) -> OwnInterval:
    """Return values of a trend (0), a counter (1) or a gauge (2)."""
    part = OwnInterval(metric, warm_up)
    for value in range(1, 20):
        billionths = SCALE * value * (number + 1) // 7 + 10**20 * (value == 19)
        part.count += 1
        if metric != 2:
            part.total += billionths
        if metric != 1:
            part.least = billionths if part.least is None else min(part.least, billionths)
            part.most = billionths if part.most is None else max(part.most, billionths)
        if metric == 0:
            part.values.record(billionths)
        if metric == 2:
            part.last, part.last_ns = -billionths, number * 10**9 + value
    return part


def second(number: int) -> Interval:
    warm_up = number < WARM_UP
    made = interval(number, warm_up=warm_up)
    # The gauge is set now and then.
    made.own = [own(metric, number, warm_up=warm_up) for metric in (0, 1, 2) if metric < 2 or number % 10 == 3]
    return made


HISTORY = [second(number) for number in range(SECONDS)]


def added_up(seconds: list[Interval], metric: int, *, warm_up: bool = False) -> OwnInterval:
    total = OwnInterval(metric, warm_up)
    for one in seconds:
        for part in one.own:
            if (part.metric, part.warm_up) == (metric, warm_up):
                total.merge(part)
    return total


async def recorded(storage: StorageInterface, seconds: int = SECONDS) -> Lease:
    run = (await storage.runs.create(new_run())).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    lease = Lease(run.id, "token")
    for first in range(0, seconds, 20):
        part = tuple(HISTORY[first : min(first + 20, seconds)])
        await storage.series.append(lease, Batch(first_interval=first, intervals=part))
    return lease


async def test_intervals_come_back_with_their_values(storage: StorageInterface) -> None:
    lease = await recorded(storage)
    assert [one.own for one in await storage.series.intervals(lease.run_id)] == [one.own for one in HISTORY]


@pytest.mark.parametrize("has_ended", [False, True])
async def test_every_window_is_the_sum_of_its_seconds(storage: StorageInterface, has_ended: bool) -> None:
    lease = await recorded(storage)
    if has_ended:
        await storage.leases.finish(lease, Finish(RunStatus.COMPLETED, at(200)))
    for start, end in ((0, None), (3, 4), (7, 71), (59, 61)):
        window = await storage.series.window(lease.run_id, start, end, scenarios=0)
        for metric in (0, 1, 2):
            expected = added_up(HISTORY[start:end], metric)
            assert window.own.get((metric, False), OwnInterval(metric, warm_up=False)) == expected
    assert not (await storage.series.window(lease.run_id)).own


@pytest.mark.parametrize("resolution", [1, 10, 60, 0])
async def test_points_have_the_figures_of_their_span(storage: StorageInterface, resolution: int) -> None:
    lease = await recorded(storage)
    points = (await storage.series.scenarios(lease.run_id, resolution, 0)).own
    trends = [point for point in points if point.part.metric == 0 and not point.part.warm_up]
    assert len(trends) == -(-SECONDS // resolution if resolution else -1) - (WARM_UP if resolution == 1 else 0)
    for point in points:
        seconds = HISTORY[point.start : point.start + (resolution or SECONDS)]
        total = added_up(seconds, point.part.metric, warm_up=point.part.warm_up)
        assert list(point.percentiles) == total.percentiles((50, 90, 95, 99))
        total.values = point.part.values
        assert point.part == total


async def test_another_process_continues_where_one_stopped(storage: StorageInterface, settings: Settings) -> None:
    lease = await recorded(storage, seconds=33)
    other = await open_storage(settings)
    try:
        await other.series.append(lease, Batch(first_interval=33, intervals=tuple(HISTORY[33:])))
        await other.leases.finish(lease, Finish(RunStatus.COMPLETED, at(200)))
        window = await other.series.window(lease.run_id, scenarios=0)
        assert window.own[2, False] == added_up(HISTORY, 2)
        assert window.own[0, True] == added_up(HISTORY, 0, warm_up=True)
    finally:
        await other.close()


async def test_a_run_without_own_metrics_stores_none(storage: StorageInterface) -> None:
    run = (await storage.runs.create(new_run())).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    await storage.series.append(Lease(run.id, "token"), Batch(intervals=(interval(0),)))
    assert not (await storage.series.scenarios(run.id, 1, 0)).own
