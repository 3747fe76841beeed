"""Runs on the workers of a real Ray cluster: counts are those of the target, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
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
from tests.fleet.ray_cluster import RayCluster, parent
from tests.fleet.test_fleet_engine import check_books_after_loss, check_reassigned, numbers, sent

PATIENCE = 60.0
SECONDS_WITH_LOSS = 14
"""What is left of it after the loss: a worker that cannot be reached is given 5 seconds to end."""


def best_engine() -> Engine:
    return next(engine for name in PREFERENCE if (engine := LOADERS[name]()))


class Workers(RayTransport):
    """Remembers the processes of its workers."""

    pids: list[int]
    nodes: list[int]
    """The processes that Ray runs on their nodes."""

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        links = await super().open(count, least)
        describe = messages.encode(messages.Describe())
        answers = [messages.decode_answer(await link.call(describe, PATIENCE)) for link in links]
        self.pids = [answer.pid for answer in answers if isinstance(answer, messages.Description)]
        self.nodes = [parent(parent(pid)) for pid in self.pids]
        return links


async def run_fleet(
    cluster: RayCluster,
    session: RaySession,
    made: LoadPlan,
    *,
    once: tuple[Callable[[], bool], Callable[[Control, Workers], object]] | None = None,
    on_loss: OnLoss = OnLoss.CONTINUE,
    values: Mapping[str, str] | None = None,
    at_the_end: Callable[[], object] = lambda: None,
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
        report = await fleet.run(replace(made, engine=engine.name), values or {}, intervals.append, control)  # type: ignore[arg-type]
    finally:
        await fleet.close()
        at_the_end()
        if watching:
            watching.cancel()
    for pid in workers.pids:
        await has_ended(pid)
    return Ran(report, intervals, 0.0), workers


def test_three_nodes_send_what_one_engine_would_send(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100), total=200)
    ran, workers = asyncio.run(run_fleet(ray_cluster, ray_session, made))
    assert len(set(workers.nodes)) == 3
    check_books(ran, made)
    assert (ran.total().started, ran.total().ok) == (200, 200)
    assert numbers(target) == list(range(1, 201))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.report.fleet is not None
    assert [worker.requests for worker in ran.report.fleet.workers] == [67, 67, 66]
    assert [worker.state for worker in ran.report.fleet.workers] == ["ended"] * 3
    assert open_connections(target) == 0


def test_the_load_of_a_removed_node_is_sent_by_the_others_and_nothing_is_sent_twice(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    removed = -1
    secret = secrets.token_hex(24)

    def remove(_: Control, workers: Workers) -> None:
        nonlocal removed
        removed = ray_cluster.away_from_head(workers.pids)
        # The loop of the controller must not wait for it.
        threading.Thread(target=ray_cluster.remove_node_of, args=(workers.pids[removed],)).start()

    headers = (NUMBERED, ("X-Token", "{{secret:token}}"))
    made = plan(http(target), step("/", headers=headers), load=opened(40), duration=SECONDS_WITH_LOSS)
    try:
        once = (received(target, 20), remove)
        ran, _ = asyncio.run(
            run_fleet(ray_cluster, ray_session, made, once=once, on_loss=OnLoss.REASSIGN, values={"token": secret})
        )
    finally:
        ray_cluster.add_node()
    assert ran.report.fleet is not None
    states = [worker.state for worker in ran.report.fleet.workers]
    assert states == ["lost" if number == removed else "ended" for number in range(3)]
    assert f"worker {removed + 1} on " in ran.report.worker_lost
    assert "; the others send it from " in ran.report.worker_lost
    check_reassigned(ran, made, target, removed, SECONDS_WITH_LOSS)
    assert set(sent(target, rb"X-Token: (\w+)")) == {secret}
    assert ray_cluster.logs_with(secret) == []
    assert open_connections(target) == 0


def test_a_node_that_hangs_ends_the_run_which_names_it(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    hanging = -1
    stopped: list[int] = []

    def hang(_: Control, workers: Workers) -> None:
        nonlocal hanging
        hanging = ray_cluster.away_from_head(workers.pids)
        stopped.extend(ray_cluster.processes_of_node(workers.pids[hanging]))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    def wake() -> None:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(40), duration=300)
    once = (received(target, 20), hang)
    try:
        ran, _ = asyncio.run(
            run_fleet(ray_cluster, ray_session, made, once=once, on_loss=OnLoss.ABORT, at_the_end=wake)
        )
    finally:
        wake()
        ray_cluster.replace_node(stopped[0])
    check_books_after_loss(ran, made)
    assert ran.report.stop_reason is StopReason.FAILED
    assert ran.report.fleet is not None
    states = [worker.state for worker in ran.report.fleet.workers]
    assert states == ["lost" if number == hanging else "ended" for number in range(3)]
    assert f"worker {hanging + 1} on " in ran.report.worker_lost
    assert open_connections(target) == 0


def test_nothing_is_left_of_a_run_whose_command_was_killed(ray_cluster: RayCluster, target: TargetServer) -> None:
    before = set(ray_cluster.workers())
    address = str(ray_cluster.address)
    command = [sys.executable, "-m", "atm", "run", target.url, "--rate", "50", "--duration", "300s", "--quiet"]
    with subprocess.Popen([*command, "--on", address, "--workers", "2"], stderr=subprocess.PIPE, text=True) as run:
        try:
            deadline = time.monotonic() + 2 * PATIENCE
            while target.stats().received < 20 and run.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            assert run.poll() is None, run.communicate()
            started = set(ray_cluster.workers()) - before
            assert len(started) == 2
        finally:
            run.kill()
    deadline = time.monotonic() + PATIENCE
    while any(map(is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in started if is_running(pid)] == []
    assert open_connections(target) == 0
