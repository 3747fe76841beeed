"""Runs on the workers of a real Ray cluster: counts are those of the target, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from atm.engine.base import Control, Engine
from atm.engine.choose import LOADERS, PREFERENCE
from atm.fleet import messages
from atm.fleet.fleet_engine import FleetEngine
from atm.fleet.ray_session import RaySession
from atm.fleet.ray_transport import RayTransport
from atm.fleet.records import OnLoss
from atm.fleet.transport import Link
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, check_books, open_connections, received, until
from tests.contract.plans import NUMBERED, http, opened, plan, step
from tests.fleet.processes import has_ended, is_running
from tests.fleet.ray_cluster import RayCluster, descendants
from tests.fleet.test_fleet_engine import numbers

PATIENCE = 60.0


def best_engine() -> Engine:
    return next(engine for name in PREFERENCE if (engine := LOADERS[name]()))


class Workers(RayTransport):
    """Remembers the process ids of its workers."""

    pids: list[int]

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        links = await super().open(count, least)
        describe = messages.encode(messages.Describe())
        answers = [messages.decode_answer(await link.call(describe, PATIENCE)) for link in links]
        self.pids = [answer.pid for answer in answers if isinstance(answer, messages.Description)]
        return links


async def run_fleet(
    cluster: RayCluster,
    session: RaySession,
    made: LoadPlan,
    *,
    once: tuple[Callable[[], bool], Callable[[Control, Workers], object]] | None = None,
    on_loss: OnLoss = OnLoss.CONTINUE,
) -> tuple[Ran, Workers]:
    """Run a plan on three workers; `once` is what to do when something has become true."""
    engine, control = best_engine(), Control()
    workers = Workers(cluster.address, session=session)
    fleet = FleetEngine(engine, workers, 3, on_loss=on_loss)
    intervals: list[Interval] = []

    async def act(is_time: Callable[[], bool], do: Callable[[Control, Workers], object]) -> None:
        await until(is_time)
        do(control, workers)

    watching = asyncio.create_task(act(*once)) if once else None
    try:
        await fleet.open(made)
        report = await fleet.run(replace(made, engine=engine.name), {}, intervals.append, control)  # type: ignore[arg-type]
    finally:
        await fleet.close()
        if watching:
            watching.cancel()
    for pid in workers.pids:
        await has_ended(pid)
    return Ran(report, intervals, 0.0), workers


def test_three_nodes_send_what_one_engine_would_send(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100), total=200)
    ran, _ = asyncio.run(run_fleet(ray_cluster, ray_session, made))
    check_books(ran, made)
    assert (ran.total().started, ran.total().ok) == (200, 200)
    assert numbers(target) == list(range(1, 201))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.report.fleet is not None
    assert [worker.requests for worker in ran.report.fleet.workers] == [67, 67, 66]
    assert [worker.state for worker in ran.report.fleet.workers] == ["ended"] * 3
    assert open_connections(target) == 0


def test_a_node_removed_in_mid_run_is_named_and_its_requests_are_missed(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    removed = -1

    def remove(_: Control, workers: Workers) -> None:
        nonlocal removed
        removed = ray_cluster.away_from_head(workers.pids)
        # The loop of the controller must not wait for it.
        threading.Thread(target=ray_cluster.remove_node_of, args=(workers.pids[removed],)).start()

    made = plan(http(target), load=opened(60), duration=12)
    try:
        once = (received(target, 100), remove)
        ran, _ = asyncio.run(run_fleet(ray_cluster, ray_session, made, once=once))
    finally:
        ray_cluster.add_node()
    assert ran.report.fleet is not None
    states = [worker.state for worker in ran.report.fleet.workers]
    assert states == ["lost" if number == removed else "ended" for number in range(3)]
    assert f"worker {removed + 1} on " in ran.report.worker_lost
    # All arrivals of the schedule are in the books: sent by the others, or missed.
    total = ran.total()
    assert total.missed > 0
    assert total.started + total.missed == 720
    assert open_connections(target) == 0


def test_a_stopped_worker_is_lost_and_cancel_ends_the_others(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    def stop_then_cancel(control: Control, workers: Workers) -> None:
        os.kill(workers.pids[2], signal.SIGSTOP)
        asyncio.get_running_loop().call_later(5.0, control.cancel)

    made = plan(http(target), load=opened(60), duration=300)
    once = (received(target, 60), stop_then_cancel)
    ran, _ = asyncio.run(run_fleet(ray_cluster, ray_session, made, once=once))
    assert ran.report.stop_reason is StopReason.CANCELLED
    assert ran.report.fleet is not None
    assert ran.report.fleet.workers[2].state == "lost"
    assert open_connections(target) == 0


def test_nothing_is_left_of_a_run_whose_command_was_killed(ray_cluster: RayCluster, target: TargetServer) -> None:
    before = set(_workers(ray_cluster))
    address = str(ray_cluster.address)
    command = [sys.executable, "-m", "atm", "run", target.url, "--rate", "50", "--duration", "300s", "--quiet"]
    with subprocess.Popen([*command, "--on", address, "--workers", "2"], stderr=subprocess.PIPE, text=True) as run:
        try:
            deadline = time.monotonic() + 2 * PATIENCE
            while target.stats().received < 100 and run.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            assert run.poll() is None, run.communicate()
            started = set(_workers(ray_cluster)) - before
            assert len(started) == 2
        finally:
            run.kill()
    deadline = time.monotonic() + PATIENCE
    while any(map(is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in started if is_running(pid)] == []
    assert open_connections(target) == 0


def _workers(cluster: RayCluster) -> list[int]:
    """The worker processes on the cluster's nodes."""
    found = []
    for pid in descendants(cluster.process.pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"atm.fleet.worker_process" in file.read():
                    found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
