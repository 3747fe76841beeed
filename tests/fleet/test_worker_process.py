"""One worker process: it runs a plan as the engine alone would, and leaves nothing behind without its controller."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from atm.engine.base import Command
from atm.fleet import messages
from atm.fleet.local_processes import ProcessLink
from atm.fleet.messages import WorkerState
from atm.metrics.interval import EndpointInterval, Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.testing import TargetServer
from tests.contract.engine_runs import open_connections, received, until
from tests.contract.engines import ENGINES
from tests.contract.plans import http, opened, plan
from tests.fleet.processes import has_ended, load_threads

PATIENCE = 60.0


async def ask(link: ProcessLink, message: messages.Message) -> messages.Answer:
    return messages.decode_answer(await link.call(messages.encode(message), PATIENCE))


async def pull(link: ProcessLink, acknowledged: int) -> messages.PulledLoad:
    answer = await ask(link, messages.Pull((acknowledged,)))
    assert isinstance(answer, messages.Pulled)
    (load,) = answer.loads
    return load


async def started(link: ProcessLink, made: LoadPlan) -> int:
    """Start the plan in 0.2 s, and return the process id."""
    description = await ask(link, messages.Describe())
    assert isinstance(description, messages.Description)
    for message in (
        messages.Prepare(made.to_bytes()),
        messages.SetSecrets({}),
        messages.Start(time.monotonic_ns() + 200_000_000),
    ):
        assert await ask(link, message) == messages.Done()
    return description.pid


async def to_the_end(link: ProcessLink) -> tuple[list[bytes], messages.PulledLoad]:
    seconds: list[bytes] = []
    while True:
        pulled = await pull(link, len(seconds))
        assert not pulled.seconds or pulled.first == len(seconds) + 1
        seconds += pulled.seconds
        if pulled.state is WorkerState.ENDED:
            return seconds, pulled
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("engine", [name for name in ("native", "asyncio") if name in ENGINES])
def test_a_worker_sends_the_plan_and_its_seconds_add_up(
    target: TargetServer, engine: Literal["native", "asyncio"]
) -> None:
    made = replace(plan(http(target), load=opened(100), total=150), engine=engine)

    async def scenario() -> None:
        link = await ProcessLink.start("worker 1")
        try:
            await started(link, made)
            seconds, last = await to_the_end(link)
        finally:
            await link.kill()
        total = EndpointInterval(0)
        intervals = [Interval.from_bytes(second) for second in seconds]
        for interval in intervals:
            for part in interval.endpoints:
                total.merge(part)
        assert [interval.second for interval in intervals] == list(range(len(intervals)))
        assert (total.started, total.ok) == (150, 150)
        assert last.failure is None
        assert last.report is not None
        assert last.report.stop_reason is StopReason.TOTAL
        assert target.settled_stats().completed == 150

    asyncio.run(scenario())


@pytest.mark.skipif("native" not in ENGINES, reason="its load threads")
@pytest.mark.parametrize("most_threads", [1, 3])
def test_a_native_worker_has_no_more_load_threads_than_it_is_given(target: TargetServer, most_threads: int) -> None:
    # 100,000 a second would have 5 threads. None is sent: the start is too far away.
    made = replace(plan(http(target), load=opened(100_000), duration=60), engine="native")

    async def scenario() -> None:
        link = await ProcessLink.start("worker 1", most_threads)
        try:
            description = await ask(link, messages.Describe())
            assert isinstance(description, messages.Description)
            for message in (
                messages.Prepare(made.to_bytes()),
                messages.SetSecrets({}),
                messages.Start(time.monotonic_ns() + 60_000_000_000),
            ):
                assert await ask(link, message) == messages.Done()
            # The answer comes when all threads were started; each sets its name itself.
            await ask(link, messages.ReadClock())
            expected = [f"atm-load-{number}" for number in range(most_threads)]
            await until(lambda: load_threads(description.pid) == expected)
        finally:
            await link.kill()

    asyncio.run(scenario())


def test_seconds_are_kept_until_they_are_acknowledged(target: TargetServer) -> None:
    async def scenario() -> None:
        link = await ProcessLink.start("worker 1")
        try:
            await started(link, plan(http(target), load=opened(20), duration=1.2))
            seconds, _ = await to_the_end(link)
            again = await pull(link, 0)
            assert (again.first, list(again.seconds)) == (len(seconds), seconds[-1:])
            assert (await pull(link, len(seconds))).seconds == ()
        finally:
            await link.kill()

    asyncio.run(scenario())


def test_a_command_before_the_start_ends_the_run_at_its_start(target: TargetServer) -> None:
    async def scenario() -> None:
        link = await ProcessLink.start("worker 1")
        try:
            assert await ask(link, messages.SendCommand(Command.CANCEL)) == messages.Done()
            await started(link, plan(http(target), load=opened(20), duration=60))
            _, last = await to_the_end(link)
            assert last.report is not None
            assert last.report.stop_reason is StopReason.CANCELLED
        finally:
            await link.kill()

    asyncio.run(scenario())


def test_a_plan_that_cannot_be_run_is_refused_with_its_problem(target: TargetServer) -> None:
    async def scenario() -> None:
        link = await ProcessLink.start("worker 1")
        try:
            answer = await ask(link, messages.Prepare(replace(plan(http(target)), needs=("telepathy",)).to_bytes()))
            assert isinstance(answer, messages.Refused)
            assert answer.code == "engine_cannot"
            assert isinstance(await ask(link, messages.Start(0)), messages.Refused)
        finally:
            await link.kill()

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["its pipe closes", "it is silent"])
def test_a_worker_without_its_controller_ends_and_keeps_what_was_not_fetched(
    target: TargetServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    async def scenario() -> None:
        link = await ProcessLink.start("worker 1")
        try:
            pid = await started(link, plan(http(target), load=opened(50), duration=300))
            await until(received(target, 80))
            if how == "its pipe closes":
                link.close_pipe()
            await has_ended(pid)
        finally:
            await link.kill()

    asyncio.run(scenario())
    assert open_connections(target) == 0
    (file,) = tmp_path.glob("atm-worker-*.jsonl")
    assert file.stat().st_mode & 0o077 == 0
    seconds = [Interval.from_bytes(line) for line in file.read_bytes().splitlines()]
    assert [second.second for second in seconds] == list(range(len(seconds)))
    assert sum(part.started for second in seconds for part in second.endpoints) >= 80
