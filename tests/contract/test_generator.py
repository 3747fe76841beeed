"""What a run says about the load generator itself, and what it does when the generator was held up."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from atm.engine.base import Engine
from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval, Interval
from atm.plan.load_plan import Load, LoadPlan
from atm.testing import TargetServer
from tests.contract.engines import ENGINES
from tests.contract.plans import MILLISECOND, closed, http, opened, plan, step
from tests.contract.running import in_a_process, run, running, told_by

FREEZE = 0.3


def frozen(name: str, made: LoadPlan, target: TargetServer) -> tuple[EndpointInterval, list[Interval]]:
    """Run `made` in a process that is stopped for `FREEZE` seconds, some time after its first requests."""
    child = in_a_process(name, made)
    while target.stats().received < 20:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(FREEZE)
    os.kill(child.pid, signal.SIGCONT)
    return told_by(child)


def lag_of(intervals: list[Interval]) -> Histogram:
    return Histogram.merged(*(interval.generator.schedule_lag for interval in intervals))


@pytest.mark.parametrize("name", ENGINES)
def test_a_stall_of_the_generator_is_caught_up_and_shown(name: str, target: TargetServer) -> None:
    total, intervals = frozen(name, plan(http(target), load=opened(200), duration=0.8), target)
    assert total.started == total.ok == 160
    assert total.missed == total.waited == 0
    lag = lag_of(intervals)
    late = lag.total - lag.count_at_or_below(20 * MILLISECOND)
    assert late == pytest.approx(200 * (FREEZE - 0.02), abs=8)
    assert (lag.maximum or 0) / 1e9 == pytest.approx(FREEZE, abs=0.04)
    # Lateness of ours is in the response times, never in the service times.
    assert (total.response_ok.maximum or 0) > 0.25e9
    assert (total.service.maximum or 0) < 0.15e9
    stalls = [interval.generator for interval in intervals]
    assert sum(each.stalls for each in stalls) >= 1
    assert max(each.longest_stall_ns for each in stalls) / 1e9 == pytest.approx(FREEZE, abs=0.04)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("policy", "skipped"),
    [({"catch_up": "none"}, 200 * (FREEZE - 0.01)), ({"catch_up_max_ns": 100 * MILLISECOND}, 200 * (FREEZE - 0.1))],
    ids=["none", "full within 100 ms"],
)
def test_what_is_not_caught_up_is_skipped(
    name: str, target: TargetServer, policy: dict[str, object], skipped: float
) -> None:
    load = opened(200, **policy)
    total, intervals = frozen(name, plan(http(target), load=load, duration=0.8), target)
    assert total.skipped == pytest.approx(skipped, abs=8)
    assert total.started + total.skipped == total.due == 160
    assert total.started == target.settled_stats().completed
    assert lag_of(intervals).total == total.started
    assert (lag_of(intervals).maximum or 0) < 140 * MILLISECOND


@pytest.mark.parametrize("load", [closed(8), opened(400)], ids=["closed", "open"])
def test_a_caller_that_blocks_its_own_loop_holds_nothing_up(engine: Engine, target: TargetServer, load: Load) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.4)
        ran = await running(engine, plan(http(target), step("/delay/2"), load=load, duration=0.6))
        rows = target.record()
        busy = [row for row in rows if 0.15e9 < row.arrived_ns - rows[0].arrived_ns < 0.45e9]
        assert len(busy) / len(rows) == pytest.approx(0.5, abs=0.1)
        assert (ran.lag.percentile(95) or 0) < 5 * MILLISECOND

    asyncio.run(main())


def test_a_quiet_run_has_no_stalls_and_little_lag(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=opened(300), duration=0.5))
    assert (ran.lag.percentile(50) or 0) < MILLISECOND
    # Other work on this machine may hold us up once in a while; what is asked is that it is told.
    assert ran.generated("longest_stall_ns") <= max(ran.lag.maximum or 0, 100 * MILLISECOND)
    first = ran.intervals[0].generator
    assert 0 < first.cpu_seconds < 0.5
    assert 0 < first.busiest_thread_share <= 1
    assert 0 <= first.steal_share <= 1


@pytest.mark.prove
@pytest.mark.parametrize("name", ENGINES)
def test_memory_does_not_grow_with_the_number_of_requests(name: str, target: TargetServer) -> None:
    total, intervals = told_by(in_a_process(name, plan(http(target), load=closed(16), total=300_000)))
    assert total.ok == 300_000
    memory = [interval.generator.memory_bytes for interval in intervals]
    assert memory[-1] - memory[1] < 5_000_000
