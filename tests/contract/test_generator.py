"""What a run says about the load generator itself, and what it does when the generator was held up."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from itertools import pairwise

import pytest

from atm.engine.base import Engine
from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval, Interval
from atm.plan.load_plan import Load, LoadPlan
from atm.testing import TargetServer
from tests.contract.engine_runs import in_a_process, run, running, told_by
from tests.contract.engines import ENGINES
from tests.contract.plans import MILLISECOND, closed, http, opened, plan, step
from tests.steadiness import allowed

FREEZE = 0.3


def frozen(name: str, made: LoadPlan, target: TargetServer) -> tuple[EndpointInterval, list[Interval], float]:
    """Run `made` in a process that is stopped for `FREEZE` seconds some time after its first requests.

    Return the events of the run, and the seconds that it was actually stopped.
    """
    child = in_a_process(name, made)
    while target.stats().received < 20:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    time.sleep(FREEZE)
    seconds = time.monotonic() - stopped
    os.kill(child.pid, signal.SIGCONT)
    return *told_by(child), seconds


def lag_of(intervals: list[Interval]) -> Histogram:
    return Histogram.merged(*(interval.generator.schedule_lag for interval in intervals))


@pytest.mark.parametrize("name", ENGINES)
def test_a_stall_of_the_generator_is_caught_up_and_shown(name: str, target: TargetServer) -> None:
    total, intervals, seconds = frozen(name, plan(http(target), load=opened(200), duration=0.8), target)
    assert total.started == total.ok == 160
    assert total.missed == total.waited == 0
    lag = lag_of(intervals)
    longest = (lag.maximum or 0) / 1e9
    assert seconds - 0.04 <= longest <= seconds + allowed(0.04)
    # The k-th of them is late by what was left of the stall; catching up takes a moment more.
    late = lag.total - lag.count_at_or_below(20 * MILLISECOND)
    assert 200 * (seconds - 0.02) - 8 <= late <= 200 * (longest - 0.02) + allowed(8)
    # Lateness of ours is in the response times, never in the service times: but of those that were in flight then.
    slow = [times.total - times.count_at_or_below(150 * MILLISECOND) for times in (total.response_ok, total.service)]
    assert slow[0] >= 200 * (seconds - 0.15) - 8
    assert slow[1] <= allowed(2)
    stalls = [interval.generator for interval in intervals]
    assert sum(each.stalls for each in stalls) >= 1
    assert seconds - 0.04 <= max(each.longest_stall_ns for each in stalls) / 1e9 <= seconds + allowed(0.04)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("policy", "caught_up"),
    [({"catch_up": "none"}, 0.01), ({"catch_up_max_ns": 100 * MILLISECOND}, 0.1)],
    ids=["none", "full within 100 ms"],
)
def test_what_is_not_caught_up_is_skipped(
    name: str, target: TargetServer, policy: dict[str, object], caught_up: float
) -> None:
    load = opened(200, **policy)
    total, intervals, seconds = frozen(name, plan(http(target), load=load, duration=0.8), target)
    stalled = sum(interval.generator.stalled_ns for interval in intervals) / 1e9
    assert 200 * (seconds - caught_up) - 8 <= total.skipped <= 200 * (stalled - caught_up) + 8
    assert total.started + total.skipped == total.due == 160
    assert total.started == target.settled_stats().completed
    assert lag_of(intervals).total == total.started
    # Whatever was later than that was not sent.
    assert (lag_of(intervals).maximum or 0) / 1e9 < caught_up + allowed(0.04)
    assert (lag_of(intervals).maximum or 0) / 1e9 < seconds


@pytest.mark.parametrize("load", [closed(8), opened(400)], ids=["closed", "open"])
def test_a_caller_that_blocks_its_own_loop_holds_nothing_up(engine: Engine, target: TargetServer, load: Load) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.4)
        ran = await running(engine, plan(http(target), step("/delay/2"), load=load, duration=0.6))
        rows = target.record()
        arrived = [row.arrived_ns for row in rows]
        busy = [each for each in arrived if 0.15e9 < each - arrived[0] < 0.45e9]
        assert len(busy) / len(rows) == pytest.approx(0.5, abs=min(0.3, allowed(0.1)))
        # It would have been silent for 0.4 s.
        assert max(later - earlier for earlier, later in pairwise(arrived)) < min(0.3, allowed(0.1)) * 1e9
        assert (ran.lag.percentile(95) or 0) < allowed(5 * MILLISECOND)

    asyncio.run(main())


def test_a_quiet_run_has_no_stalls_and_little_lag(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=opened(300), duration=0.5))
    assert (ran.lag.percentile(50) or 0) < allowed(MILLISECOND)
    # Other work on this machine may cause stalls; they must be reported.
    assert ran.generated("longest_stall_ns") <= (ran.lag.maximum or 0) + allowed(10 * MILLISECOND)
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
