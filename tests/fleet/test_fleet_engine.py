"""Several worker processes as one engine: its counts are those of the target, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from typing import Any

import pytest

from atm.engine.base import Control, Engine, EngineReport
from atm.engine.native_engine import NativeEngine
from atm.errors import EngineError
from atm.fleet import worker
from atm.fleet.fleet_engine import FleetEngine
from atm.fleet.local_processes import LocalProcesses
from atm.fleet.records import OnLoss
from atm.fleet.transport import FleetError, Link
from atm.metrics.interval import Interval
from atm.models import figures
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import SECOND, Pacer
from atm.plan.randomness import lane_seed
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, check_books, open_connections, received, until
from tests.contract.engines import ENGINES
from tests.contract.plans import NUMBERED, closed, http, opened, plan, step
from tests.fleet.processes import has_ended

ENGINE_NAMES = [name for name in ("native", "asyncio") if name in ENGINES]


class Workers(LocalProcesses):
    """Remembers the process ids of its workers."""

    def __init__(self) -> None:
        super().__init__()
        self.pids: list[int] = []

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        links = await super().open(count, least)
        self.pids = [link.pid for link in self._links]
        return links


async def run_fleet(
    engine: Engine,
    made: LoadPlan,
    count: int = 2,
    *,
    secrets: dict[str, str] | None = None,
    on_loss: OnLoss = OnLoss.ABORT,
    once: tuple[Callable[[], bool], Callable[[Control, Workers], object]] | None = None,
) -> tuple[Ran, Workers]:
    """Run a plan on worker processes; `once` is what to do when something has become true."""
    workers, control = Workers(), Control()
    fleet = FleetEngine(engine, workers, count, on_loss=on_loss)
    intervals: list[Interval] = []

    async def act(is_time: Callable[[], bool], do: Callable[[Control, Workers], object]) -> None:
        await until(is_time)
        do(control, workers)

    watching = asyncio.create_task(act(*once)) if once else None
    try:
        await fleet.open(made)
        report = await fleet.run(replace(made, engine=engine.name), secrets or {}, intervals.append, control)  # type: ignore[arg-type]
    finally:
        await fleet.close()
        if watching:
            watching.cancel()
    for pid in workers.pids:
        await has_ended(pid)
    return Ran(report, intervals, 0.0), workers


@pytest.fixture(params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]()


def sent(target: TargetServer, pattern: bytes) -> list[str]:
    """What a pattern matches in each request, in the order in which they arrived."""
    matches = (re.search(pattern, request.raw or b"") for request in target.captured())
    return [match[1].decode() for match in matches if match]


def numbers(target: TargetServer) -> list[int]:
    return sorted(map(int, sent(target, rb"X-Request-Number: (\d+)")))


def test_two_workers_send_what_one_engine_would_send(target: TargetServer, engine: Engine) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100), total=151)
    ran, _ = asyncio.run(run_fleet(engine, made))
    check_books(ran, made)
    assert (ran.total().started, ran.total().ok) == (151, 151)
    assert numbers(target) == list(range(1, 152))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.report.fleet is not None
    assert [worker.requests for worker in ran.report.fleet.workers] == [76, 75]
    assert [worker.state for worker in ran.report.fleet.workers] == ["ended", "ended"]


def test_users_are_divided_and_iterations_have_numbers_of_their_own(target: TargetServer, engine: Engine) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=closed(5), total=300)
    ran, _ = asyncio.run(run_fleet(engine, made, 3))
    check_books(ran, made)
    assert ran.total().ok == 300
    assert len(set(numbers(target))) == 300


def test_a_renewed_secret_reaches_every_worker(target: TargetServer, engine: Engine) -> None:
    made = plan(http(target), step("/", headers=(("X-Token", "{{secret:token}}"),)), load=opened(100), duration=60)

    def renew(control: Control, _: Workers) -> None:
        control.set_secret("token", "new")
        asyncio.get_running_loop().call_later(1.0, control.stop)

    asyncio.run(run_fleet(engine, made, secrets={"token": "old"}, once=(received(target, 50), renew)))
    tokens = sent(target, rb"X-Token: (\w+)")
    assert set(tokens) == {"old", "new"}
    assert tokens[-20:] == ["new"] * 20


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_stop_and_cancel_end_every_worker(target: TargetServer, engine: Engine, how: str) -> None:
    made = plan(http(target), load=opened(100), duration=300)

    def end(control: Control, _: Workers) -> None:
        control.stop() if how == "stop" else control.cancel()

    ran, _ = asyncio.run(run_fleet(engine, made, once=(received(target, 120), end)))
    check_books(ran, made)
    assert ran.report.stop_reason is (StopReason.STOPPED if how == "stop" else StopReason.CANCELLED)
    assert open_connections(target) == 0


def check_books_after_loss(ran: Ran, made: LoadPlan) -> None:
    check_books(replace(ran, report=replace(ran.report, worker_lost="")), made)


def kill_second(_: Control, workers: Workers) -> None:
    os.kill(workers.pids[1], signal.SIGKILL)


def stop_second(_: Control, workers: Workers) -> None:
    os.kill(workers.pids[1], signal.SIGSTOP)


@pytest.mark.parametrize("lose", [kill_second, stop_second])
def test_a_lost_worker_ends_the_run_which_names_it_and_its_part(
    target: TargetServer, lose: Callable[[Control, Workers], object]
) -> None:
    made = plan(http(target), load=opened(100), duration=300)
    ran, _ = asyncio.run(run_fleet(NativeEngine(), made, once=(received(target, 220), lose)))
    check_books_after_loss(ran, made)
    assert ran.report.stop_reason is StopReason.FAILED
    assert "worker 2" in ran.report.worker_lost
    assert "50.0 % of the load" in ran.report.worker_lost
    assert ran.report.fleet is not None
    assert [worker.state for worker in ran.report.fleet.workers] == ["ended", "lost"]
    assert open_connections(target) == 0


def test_with_continue_the_others_go_on_and_the_arrivals_of_the_lost_one_are_missed(target: TargetServer) -> None:
    made = plan(http(target), load=opened(100), duration=5)
    ran, _ = asyncio.run(
        run_fleet(NativeEngine(), made, on_loss=OnLoss.CONTINUE, once=(received(target, 150), kill_second))
    )
    check_books_after_loss(ran, made)
    assert [worker.state for worker in ran.intervals[0].workers] == ["running", "running"]
    lost = ran.intervals[-2].workers[1]
    assert (lost.state, lost.requests_per_second, lost.in_flight) == ("lost", 0.0, 0)
    assert "SIGKILL" in lost.message
    total = ran.total()
    assert total.due == 500
    assert total.skipped > 0
    assert total.started + total.skipped == 500
    assert ran.report.stop_reason is StopReason.DURATION
    assert "worker 2" in ran.report.worker_lost


@pytest.mark.parametrize("lose", [kill_second, stop_second])
def test_with_reassign_the_others_send_what_is_due_later_and_nothing_is_sent_twice(
    target: TargetServer, engine: Engine, lose: Callable[[Control, Workers], object]
) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100, arrival="poisson"), duration=8)
    ran, _ = asyncio.run(run_fleet(engine, made, 3, on_loss=OnLoss.REASSIGN, once=(received(target, 150), lose)))
    check_reassigned(ran, made, target, lost=1, seconds=8)


def check_reassigned(ran: Ran, made: LoadPlan, target: TargetServer, lost: int, seconds: int) -> None:
    """Compare a run of three workers, of which one was lost, with the schedule and with what the target received."""
    check_books_after_loss(ran, made)
    seed = lane_seed(made.seed, 0)
    assert ran.report.fleet is not None
    since = ran.report.fleet.workers[lost].replaced_from_seconds
    assert since is not None
    lost_second = next(interval.second for interval in ran.intervals if interval.workers[lost].state == "lost")
    starts = list(enumerate(takewhile(lambda at: at < seconds * SECOND, Pacer(made.lanes[0].load, seed).starts()), 1))
    own = [(number, moment) for number, moment in starts if number % 3 == (lost + 1) % 3 and moment < since * SECOND]
    missed = {number for number, moment in own if moment >= lost_second * SECOND}
    # One that was due just before the end of a second may have been started, and counted, in the next one.
    may_be_missed = {number for number, moment in own if moment >= (lost_second - 1) * SECOND}
    found = numbers(target)
    assert len(found) == len(set(found))
    assert {number for number, _ in starts} - set(found) <= may_be_missed
    assert len(missed) <= ran.total().skipped <= len(may_be_missed)
    assert ran.total().due == len(starts)
    assert f"the others send it from {figures.duration(since)} on" in ran.report.worker_lost


class OneDies(Workers):
    """The second of its workers dies before it gets a plan."""

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        links = await super().open(count, least)
        os.kill(self.pids[1], signal.SIGKILL)
        return links


@pytest.mark.parametrize("least", [None, 2])
def test_with_min_workers_the_run_starts_without_one_that_is_not_ready(target: TargetServer, least: int | None) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100), total=100)
    fleet = FleetEngine(NativeEngine(), OneDies(), 3, min_workers=least)

    async def scenario() -> EngineReport:
        try:
            await fleet.open(made)
            return await fleet.run(replace(made, engine="native"), {}, lambda _: None, Control())
        finally:
            await fleet.close()

    if least is None:
        with pytest.raises(FleetError, match="worker 2 was killed by SIGKILL"):
            asyncio.run(scenario())
        assert target.stats().received == 0
        return
    report = asyncio.run(scenario())
    assert numbers(target) == list(range(1, 101))
    assert report.fleet is not None
    assert [(worker.state, worker.share) for worker in report.fleet.workers] == [
        ("ended", 0.5),
        ("ended", 0.5),
        ("missing", 0.0),
    ]
    assert "worker 2 was killed by SIGKILL" in report.fleet.missing[0].message
    assert not report.worker_lost


def test_when_all_workers_are_lost_the_run_fails_with_what_they_reported(target: TargetServer) -> None:
    made = plan(http(target), load=opened(100), duration=300)

    def kill_all(_: Control, workers: Workers) -> None:
        for pid in workers.pids:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(EngineError, match="all workers were lost"):
        asyncio.run(run_fleet(NativeEngine(), made, once=(received(target, 120), kill_all)))


def test_workers_of_another_version_are_named_before_any_request(
    target: TargetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "VERSION", "99.0")
    with pytest.raises(FleetError) as caught:
        asyncio.run(run_fleet(NativeEngine(), plan(http(target), load=opened(10), duration=1)))
    assert [problem.code for problem in caught.value.problems] == ["worker_version"] * 2
    assert "99.0" in caught.value.problems[0].what
    assert target.stats().received == 0


def test_data_rows_are_used_once_over_all_workers(target: TargetServer, engine: Engine, tmp_path: Any) -> None:
    from atm.library import compile_spec

    (tmp_path / "rows.csv").write_text("id\n" + "".join(f"row{number}\n" for number in range(200)))
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"""
name: once
base_url: {target.url}
data: {{rows: {{file: rows.csv, per: iteration, pick: once}}}}
scenarios:
  read:
    load: {{users: 6}}
    duration: 60s
    steps: [{{GET: "/?row={{{{rows.id}}}}"}}]
"""
    )
    made = replace(compile_spec(spec).plan, origins=(replace(http(target)),))
    ran, _ = asyncio.run(run_fleet(engine, made, 2))
    rows = sent(target, rb"row=(\w+)")
    assert len(set(rows)) == len(rows)
    assert sum(part.used for interval in ran.intervals for part in interval.data) == len(rows)
    assert len(rows) == 200
