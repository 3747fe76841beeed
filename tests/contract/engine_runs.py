"""Running a plan on an engine, and what came of it."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from atm.engine.base import Control, Engine, EngineReport
from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval, FailureGroup, Interval
from atm.metrics.sample import IterationSample, Sample
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan
from atm.testing import TargetServer


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run."""

    report: EngineReport
    intervals: list[Interval]
    seconds: float
    """Wall time of the whole call."""

    def total(self, endpoint: int | None = None, *, warm_up: bool = False) -> EndpointInterval:
        """The figures of the measured load (or of warm-up), of one endpoint or of all."""
        total = EndpointInterval(endpoint or 0, warm_up)
        for interval in self.intervals:
            for each in interval.endpoints:
                if each.warm_up == warm_up and endpoint in (None, each.endpoint):
                    total.merge(each)
        return total

    @property
    def failures(self) -> dict[tuple[Outcome, str], int]:
        """How many failures there were of each kind and message."""
        groups: dict[tuple[Outcome, str], int] = {}
        for group in self.failure_groups:
            key = (group.outcome, group.message)
            groups[key] = groups.get(key, 0) + group.count
        return groups

    @property
    def failure_groups(self) -> list[FailureGroup]:
        return [group for interval in self.intervals for group in interval.failures]

    @property
    def samples(self) -> list[Sample]:
        return [sample for interval in self.intervals for sample in interval.samples]

    @property
    def sampled_iterations(self) -> list[IterationSample]:
        return [sample for interval in self.intervals for sample in interval.sampled_iterations]

    @property
    def lag(self) -> Histogram:
        return Histogram.merged(*(interval.generator.schedule_lag for interval in self.intervals))

    def generated(self, name: str) -> int:
        """The sum of a figure of the generator."""
        return int(sum(getattr(interval.generator, name) for interval in self.intervals))


async def running(
    engine: Engine,
    plan: LoadPlan,
    secrets: Mapping[str, str] | None = None,
    control: Control | None = None,
    on_interval: Callable[[Interval], None] | None = None,
    starts_at_ns: int | None = None,
) -> Ran:
    intervals: list[Interval] = []

    def keep(interval: Interval) -> None:
        intervals.append(interval)
        if on_interval:
            on_interval(interval)

    began = time.monotonic()
    report = await engine.run(plan, secrets or {}, keep, control or Control(), starts_at_ns)
    ran = Ran(report, intervals, time.monotonic() - began)
    check_books(ran, plan)
    return ran


def run(
    engine: Engine,
    plan: LoadPlan,
    secrets: Mapping[str, str] | None = None,
    control: Control | None = None,
    *,
    at: Mapping[float, Callable[[Control], None]] | None = None,
    once: tuple[Callable[[], bool], Callable[[Control], None]] | None = None,
) -> Ran:
    """Run `plan` to its end, and do something with its control meanwhile.

    `at` maps seconds after the start to actions; `once` what to do when something has become true, which no
    busy machine can make too early.
    """
    control = control or Control()

    async def main() -> Ran:
        loop = asyncio.get_running_loop()
        for seconds, act in (at or {}).items():
            loop.call_later(seconds, act, control)
        watching = loop.create_task(_act(*once, control)) if once else None
        try:
            return await running(engine, plan, secrets, control)
        finally:
            if watching:
                watching.cancel()

    return asyncio.run(main())


async def _act(is_time: Callable[[], bool], act: Callable[[Control], None], control: Control) -> None:
    await until(is_time)
    act(control)


async def until(is_time: Callable[[], bool]) -> None:
    """Wait for something to become true in another process."""
    while not await asyncio.to_thread(is_time):  # noqa: ASYNC110 (that process sets no event of ours)
        await asyncio.sleep(0.002)


def received(target: TargetServer, count: int) -> Callable[[], bool]:
    """Return a condition for `once`: the target has received this number of requests."""
    return lambda: target.stats().received >= count


def longest_delay_ns(ran: Ran) -> int:
    """The longest time by which the engine was late or held up, by its own account."""
    return max(ran.lag.maximum or 0, *(interval.generator.longest_stall_ns for interval in ran.intervals))


def late_arrivals(ran: Ran, rate: float) -> float:
    """How many arrivals can come in the longest time by which the engine was held up."""
    return rate * longest_delay_ns(ran) / 1e9


def in_a_process(name: str, plan: LoadPlan, *, files: str = "") -> subprocess.Popen[bytes]:
    """Start an engine in a process of its own; `told_by` reads what it says.

    `files` are arguments of `ulimit`: how many file descriptors it may have.
    """
    command = [sys.executable, "-m", "tests.contract.child", name]
    if files:
        command = ["sh", "-c", f'ulimit {files} && exec "$@"', "sh", *command]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin
    child.stdin.write(plan.to_bytes())
    child.stdin.close()
    return child


def told_by(child: subprocess.Popen[bytes]) -> tuple[EndpointInterval, list[Interval]]:
    """The sum and the intervals of a run in a process of its own, once it has ended."""
    assert child.stdout
    with child.stdout as lines:
        intervals = [Interval.from_bytes(line) for line in lines]
    assert child.wait(100) == 0
    total = EndpointInterval(0)
    for interval in intervals:
        for each in interval.endpoints:
            total.merge(each)
    return total, intervals


def open_connections(target: TargetServer, seconds: float = 2.0) -> int:
    """How many connections the target has left, once it has had time to notice those that were closed."""
    deadline = time.monotonic() + seconds
    while (left := target.stats().connections_open) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def resident_bytes() -> int:
    """The memory of this process now; a test that asks is skipped where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        pytest.skip("memory is read from /proc/self/statm, which only Linux has")
    gc.collect()
    return int(pages) * int(os.sysconf("SC_PAGE_SIZE"))


def check_books(ran: Ran, plan: LoadPlan) -> None:
    """What holds for every run of every engine, whatever happened in it."""
    first = plan.share.from_ns // 1_000_000_000
    assert [interval.second for interval in ran.intervals] == list(range(first, first + len(ran.intervals)))
    assert all(interval.duration_ns == 1_000_000_000 for interval in ran.intervals[:-1])
    for warm_up in (False, True):
        for endpoint in (None, *range(len(plan.endpoints))):
            total = ran.total(endpoint, warm_up=warm_up)
            outcomes = total.outcomes
            generator_errors = outcomes.get(Outcome.GENERATOR_ERROR, 0)
            unfinished = outcomes.get(Outcome.UNFINISHED, 0)
            assert total.started == total.ok + total.failed + generator_errors + unfinished
            assert sum(total.statuses.values()) == total.full_responses
            assert total.response_ok.total == total.ok
            assert total.response_timeout.total == outcomes.get(Outcome.TIMEOUT, 0)
            assert total.response_failed.total == total.full_responses - total.ok
            assert total.service.total == total.full_responses + total.response_timeout.total
            assert total.first_byte.total == total.full_responses
            assert total.error_time.total == total.failed - total.response_failed.total - total.response_timeout.total
            assert total.waits.total == total.waited
            assert total.waits_at_end.total == total.queued_at_end
            assert total.drained_ok <= total.ok
            assert total.drained_failed <= total.failed
    failed = sum(
        count
        for warm_up in (False, True)
        for outcome, count in ran.total(warm_up=warm_up).outcomes.items()
        if outcome not in (Outcome.OK, Outcome.UNFINISHED)
    )
    assert sum(group.count for group in ran.failure_groups) == failed
    for interval in ran.intervals:
        assert Interval.from_bytes(interval.to_bytes()) == interval
    for sample in ran.sampled_iterations:
        check_iteration(sample)
    report = ran.report
    assert 0 <= report.window_start_ns <= report.window_end_ns
    assert report.worker_lost == ""


def check_iteration(iteration: IterationSample) -> None:
    """What holds for every sampled iteration: its times follow each other, and its parts have them."""
    before = iteration.intended_ns
    for step in iteration.steps:
        request = step.sample
        assert request.request_number == iteration.number
        assert before <= request.intended_ns <= request.actual_ns <= request.finish_ns
        assert request.first_byte_ns is None or request.actual_ns <= request.first_byte_ns <= request.finish_ns
        before = request.finish_ns
    assert before <= iteration.finish_ns
    assert iteration.reason != "failure" or iteration.has_failure
    assert iteration.reason != "slowest" or iteration.is_completed
