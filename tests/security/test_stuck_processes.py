"""A process that hangs is killed: a stopped runner after a cancel and at the limit of a run, a stopped try."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from atm.plan.compile import compile_plan
from atm.runs.trials import TooManyTrialsError, Trials, TrialTimeoutError
from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer, ended
from tests.runs.installation import processes_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    data = tmp_path_factory.mktemp("stuck") / "data"
    started = ApiServer(data, ATM_MAX_DURATION="2s", ATM_MAX_CONCURRENT_RUNS="2")
    yield started.ready()
    started.stop()


def runner_of(run_id: str) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "runner" not in (found := processes_of(run_id)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found["runner"]


def started_run(client: httpx.Client, target: TargetServer, name: str) -> str:
    spec = {"name": name, "url": f"{target.url}/delay/20", "total_requests": 10**6, "concurrency": 1}
    spec["graceful_stop"] = 0.1
    run: str = client.post("/runs", json={"spec": spec}).json()["id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while client.get(f"/runs/{run}").json()["status"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return run


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_a_runner_that_hangs_is_killed_and_its_run_ends_truthfully(
    server: ApiServer, running_target: TargetServer
) -> None:
    with server.client() as client:
        cancelled, overdue = (started_run(client, running_target, name) for name in ("cancelled", "overdue"))
        stuck = [runner_of(run) for run in (cancelled, overdue)]
        for pid in stuck:
            os.kill(pid, signal.SIGSTOP)
        waiting = client.post("/runs", json={"spec": {"name": "next", "url": running_target.url, "total_requests": 1}})
        client.post(f"/runs/{cancelled}/cancel")
        first, second = ended(client, cancelled), ended(client, overdue)
        assert first["status"] == "cancelled"
        assert first["error_message"] == "the load process did not react to cancel within 10 s and was killed"
        assert second["status"] == "failed"
        assert second["error_message"] == "the load process ran longer than ATM_MAX_DURATION (2 s) and was killed"
        assert all(is_gone(pid) for pid in stuck)
        assert ended(client, waiting.json()["id"])["status"] == "completed"


def children(module: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parts = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(parts[1]) == os.getpid() and module in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_try_that_hangs_is_killed_and_no_more_than_a_few_are_under_way(
    tmp_path: Path, running_target: TargetServer
) -> None:
    test = compile_plan({"name": "slow", "url": f"{running_target.url}/delay/60000", "engine": "asyncio"}, {})

    async def scenario() -> int:
        trials = Trials(tmp_path, seconds=2, grace_seconds=0.5, most=1)
        one = asyncio.create_task(trials.run(test))
        while not (pids := children(b"atm.runs.trial_process")):  # noqa: ASYNC110 (a process is no event)
            await asyncio.sleep(0.01)
        os.kill(pids[0], signal.SIGSTOP)
        with pytest.raises(TooManyTrialsError):
            await trials.run(test)
        with pytest.raises(TrialTimeoutError):
            await one
        assert trials.in_progress == 0
        return pids[0]

    assert is_gone(asyncio.run(scenario()))


def test_a_try_leaves_a_line_in_the_log_and_the_server_answers_meanwhile(
    server: ApiServer, running_target: TargetServer
) -> None:
    with server.client() as client:
        hostile = {
            "name": "hostile",
            "url": f"{running_target.url}/fixed?bytes=60000",
            "engine": "asyncio",
            "expect_body": {"regex": "^(([a-z .])+.)+[A-Z]([a-z ])+$"},
        }
        answer = client.post("/specs/try", json={"spec": hostile})
        assert answer.status_code == 200, answer.text
        assert answer.json()["exchanges"][0]["outcome"] in ("ok", "check_failed")
        assert client.get(f"{server.url}/health/live").status_code == 200
    assert "of 'hostile': 1 endpoints, 1 exchanges" in server.log()
