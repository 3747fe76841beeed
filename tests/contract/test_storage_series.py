"""The contract of `SeriesStore`, for every storage: any window equals the sum of its seconds."""

from __future__ import annotations

import pytest

from atm.config import Settings
from atm.errors import ConflictError
from atm.metrics.histogram import Histogram
from atm.metrics.interval import HISTOGRAMS, EndpointInterval, Interval
from atm.metrics.timeline import milliseconds
from atm.models.outcome import RunStatus
from atm.storage import Batch, StorageInterface, Written, open_storage
from atm.storage.records import Finish, Lease
from atm.storage.series.rows import ALL, IntervalPoint
from atm.storage.upkeep import RetentionPolicy
from tests.storage.builders import at, completed, event, interval, merged, new_run, sample

pytestmark = pytest.mark.anyio

SECONDS = 135
HISTORY = [interval(second) for second in range(SECONDS)]


async def running(storage: StorageInterface) -> Lease:
    run = (await storage.runs.create(new_run())).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    return Lease(run.id, "token")


async def recorded(storage: StorageInterface, *, seconds: int = SECONDS, at_once: int = 30) -> Lease:
    """Create a running run with the first seconds of `HISTORY`."""
    lease = await running(storage)
    for first in range(0, seconds, at_once):
        part = tuple(HISTORY[first : min(first + at_once, seconds)])
        await storage.series.append(lease, Batch(first_interval=first, intervals=part))
    return lease


def added_up(intervals: list[Interval], endpoint: int | None) -> EndpointInterval:
    """What a window must be: every second of it, one after the other."""
    total = EndpointInterval(ALL if endpoint is None else endpoint)
    for each in intervals:
        for part in each.endpoints:
            if endpoint is None or part.endpoint == endpoint:
                total.merge(part)
    return total


async def assert_windows_add_up(storage: StorageInterface, run_id: str) -> None:
    bounds = [
        (0, None),
        (0, SECONDS),
        (0, 1),
        (134, 135),
        (1, 134),
        (59, 61),
        (60, 120),
        (7, 131),
        (20, 30),
        (130, 999),
    ]
    for start, end in bounds:
        window = await storage.series.window(run_id, start, end, [ALL, 0, 1])
        seconds = HISTORY[start:end]
        assert (window.start, window.end) == (start, start + len(seconds)) or end in (None, SECONDS, 999)
        assert window.endpoints[0, False] == added_up(seconds, 0)
        assert window.endpoints[1, False] == added_up(seconds, 1)
        assert window.endpoints[ALL, False] == added_up(seconds, None)


async def test_intervals_come_back_as_they_were_appended(storage: StorageInterface) -> None:
    lease = await running(storage)
    warm = interval(1, warm_up=True)
    warm.endpoints = [part for pair in zip(warm.endpoints, interval(1).endpoints, strict=True) for part in pair]
    mine = (interval(0), warm, interval(5, endpoints=1))
    written = await storage.series.append(lease, Batch(intervals=mine, requests_completed=60))
    assert written == Written(3, 0, 0)
    assert await storage.series.intervals(lease.run_id) == list(mine)
    assert await storage.series.intervals(lease.run_id, 1, 5) == [warm]
    assert (await storage.runs.get(lease.run_id)).summary.requests_completed == 60


async def test_what_is_stored_already_is_left_out_and_a_gap_is_refused(storage: StorageInterface) -> None:
    lease = await running(storage)
    first = Batch(0, tuple(HISTORY[:3]), (event(1), event(2)), 0, (sample(1),))
    assert await storage.series.append(lease, first) == Written(3, 2, 1)
    assert await storage.series.append(lease, first) == Written(3, 2, 1)
    replay = Batch(1, tuple(HISTORY[1:6]), (event(2), event(3)), 0, (sample(1), sample(2)))
    assert await storage.series.append(lease, replay) == Written(6, 3, 2)
    for gap in (
        Batch(first_interval=7, intervals=(HISTORY[7],)),
        Batch(events=(event(5),)),
        Batch(first_sample=3, samples=(sample(4),)),
        Batch(first_interval=6, intervals=(HISTORY[6],), events=(event(4), event(6))),
    ):
        with pytest.raises(ConflictError) as caught:
            await storage.series.append(lease, gap)
        assert caught.value.problems[0].code == "sequence_gap"
    assert await storage.series.written(lease.run_id) == Written(6, 3, 2)
    assert await storage.series.intervals(lease.run_id) == HISTORY[:6]
    assert [each.sequence for each in await storage.series.events(lease.run_id)] == [1, 2, 3]
    assert [each.request_number for each in await storage.series.samples(lease.run_id)] == [1, 2]


async def test_any_window_is_what_its_seconds_add_up_to(storage: StorageInterface) -> None:
    lease = await recorded(storage)
    await assert_windows_add_up(storage, lease.run_id)
    await storage.leases.finish(lease, completed(lease.run_id))
    await assert_windows_add_up(storage, lease.run_id)


async def test_a_window_brings_only_the_histograms_that_are_asked_for(storage: StorageInterface) -> None:
    lease = await recorded(storage, seconds=75)
    window = await storage.series.window(lease.run_id, 3, 75, [1], ["service"])
    part = window.endpoints[1, False]
    assert part.service == merged(HISTORY[3:75], 1, "service")
    assert all(not getattr(part, name) for name in HISTOGRAMS if name != "service")
    assert part.ok == 72 * 20


async def test_points_have_the_figures_of_the_merged_seconds(storage: StorageInterface) -> None:
    lease = await recorded(storage)

    async def check(resolution: int, starts: list[int]) -> None:
        for endpoints in (None, [0, 1]):
            points = await storage.series.points(lease.run_id, resolution, endpoints=endpoints)
            wanted = [None] if endpoints is None else endpoints
            assert [(each.start, each.endpoint) for each in points] == [(s, e) for s in starts for e in wanted]
            for point in points:
                assert_figures(point, HISTORY[point.start : point.start + (resolution or SECONDS)])

    for _ in range(2):
        await check(1, list(range(SECONDS)))
        await check(10, list(range(0, SECONDS, 10)))
        await check(60, [0, 60, 120])
        await check(600, [0])
        await check(3600, [0])
        await check(0, [0])
        if (await storage.runs.get(lease.run_id)).status is RunStatus.RUNNING:
            await storage.leases.finish(lease, completed(lease.run_id))
    some = await storage.series.points(lease.run_id, 10, 20, 41)
    assert [each.start for each in some] == [20, 30, 40]


def assert_figures(point: IntervalPoint, seconds: list[Interval]) -> None:
    truth = added_up(seconds, point.endpoint)
    assert point.outcomes == truth.outcomes
    assert point.statuses == truth.statuses
    assert point.counts["started"] == truth.started
    assert point.counts["bytes_received"] == truth.bytes_received
    for found, histogram in ((point.latency, truth.response()), (point.service, truth.service)):
        assert found.p50_ms == milliseconds(histogram.percentile(50))
        assert found.p99_9_ms == milliseconds(histogram.percentile(99.9))
        assert found.max_ms == milliseconds(histogram.maximum)
        assert found.min_ms == milliseconds(histogram.minimum)
    assert point.ok_latency.p95_ms == milliseconds(truth.response_ok.percentile(95))
    assert point.adjusted_latency.p95_ms == milliseconds(truth.response_ok.percentile(95, truth.failed))
    assert point.adjusted_latency.p99_ms == float("inf")


async def test_a_resolution_that_is_not_kept_is_refused(storage: StorageInterface) -> None:
    lease = await recorded(storage, seconds=3)
    with pytest.raises(ValueError, match="a resolution is one of 1, 10, 60, 600, 3600 seconds"):
        await storage.series.points(lease.run_id, 5)


async def test_the_generators_own_figures_are_kept_too(storage: StorageInterface) -> None:
    lease = await recorded(storage, seconds=75)
    seconds = await storage.series.generator(lease.run_id, 1, 3, 5)
    assert [each.generator for each in seconds] == [HISTORY[3].generator, HISTORY[4].generator]
    [first, second] = await storage.series.generator(lease.run_id, 60)
    assert (first.start, second.start) == (0, 60)
    assert first.generator.cpu_seconds == pytest.approx(60 * 0.25)
    assert first.generator.busiest_thread_share == pytest.approx(0.5)
    assert (first.generator.dials, first.generator.in_flight) == (60, 6)
    assert (first.arrivals_offered, second.arrivals_offered) == (60 * 21, 15 * 21)
    assert (first.duration_ns, first.phase) == (60 * 10**9, "load")
    lag = Histogram.merged(*(each.generator.schedule_lag for each in HISTORY[:60]))
    assert first.schedule_lag.p99_ms == milliseconds(lag.percentile(99))


@pytest.mark.parametrize("cut", [25, 60, *(pytest.param(cut, marks=pytest.mark.prove) for cut in (1, 10, 134))])
async def test_a_writer_that_takes_over_goes_on_where_the_rows_end(settings: Settings, cut: int) -> None:
    before, after = await open_storage(settings), await open_storage(settings)
    lease = await recorded(before, seconds=cut, at_once=7)
    written = await after.series.written(lease.run_id)
    assert written.next_interval == cut
    for second in range(cut, min(cut + 12, SECONDS)):
        await after.series.append(lease, Batch(first_interval=second, intervals=(HISTORY[second],)))
    await after.series.append(lease, Batch(first_interval=cut, intervals=tuple(HISTORY[cut:])))
    # The one that had died comes back with an old picture, and replays.
    replayed = await before.series.append(lease, Batch(first_interval=0, intervals=tuple(HISTORY)))
    assert replayed.next_interval == SECONDS
    await before.leases.finish(lease, completed(lease.run_id))
    await assert_windows_add_up(after, lease.run_id)
    for resolution, starts in ((10, list(range(0, SECONDS, 10))), (60, [0, 60, 120]), (0, [0])):
        points = await after.series.points(lease.run_id, resolution)
        assert [each.start for each in points] == starts
        for point in points:
            assert_figures(point, HISTORY[point.start : point.start + (resolution or SECONDS)])
    await before.close()
    await after.close()


async def test_a_run_that_died_keeps_every_second_in_every_resolution(storage: StorageInterface) -> None:
    lease = await recorded(storage, seconds=125)
    [seen] = await storage.leases.states()
    assert await storage.leases.expire(seen, "killed", at(500))
    assert await storage.series.intervals(lease.run_id) == HISTORY[:125]
    for resolution, starts in ((10, list(range(0, 125, 10))), (60, [0, 60, 120]), (0, [0])):
        points = await storage.series.points(lease.run_id, resolution)
        assert [each.start for each in points] == starts
        for point in points:
            assert_figures(point, HISTORY[point.start : min(point.start + (resolution or SECONDS), 125)])
    # Its open stretches are written down before its seconds go.
    await storage.upkeep.prune(RetentionPolicy(seconds_for=at(1) - at(0)), at(600))
    assert await storage.series.intervals(lease.run_id) == []
    for resolution, starts in ((10, list(range(0, 125, 10))), (60, [0, 60, 120]), (0, [0])):
        assert [each.start for each in await storage.series.points(lease.run_id, resolution)] == starts


async def test_where_the_seconds_are_pruned_a_window_widens_and_says_so(storage: StorageInterface) -> None:
    lease = await recorded(storage)
    await storage.leases.finish(lease, Finish(RunStatus.FAILED, at(100), error_message="x"))
    await storage.upkeep.prune(RetentionPolicy(seconds_for=at(1) - at(0)), at(600))
    window = await storage.series.window(lease.run_id, 13, 68, [0])
    assert (window.start, window.end) == (10, 70)
    assert window.endpoints[0, False] == added_up(HISTORY[10:70], 0)
    last = await storage.series.window(lease.run_id, 125, 135, [0])
    assert last.endpoints[0, False] == added_up(HISTORY[120:], 0)
