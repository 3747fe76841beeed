"""The server as a process: start-up, logs, and its runs after it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from atm.config import Settings
from atm.models.outcome import RunStatus
from atm.storage import open_storage
from atm.storage.records import FINAL, Run
from atm.testing import TargetServer
from tests.api.server import ApiServer, events, free_port
from tests.runs.installation import processes_of, spec
from tests.steadiness import allowed

SHUTDOWN_SECONDS = 7.0
"""Five for responses in progress, and the rest for what comes after."""


def kept(data_dir: Path, run_id: str, *, until_ended: bool = False) -> Run:
    """A run as storage has it."""

    async def read() -> Run:
        storage = await open_storage(Settings(data_dir=data_dir))
        try:
            async with asyncio.timeout(240):
                while (run := await storage.runs.get(run_id)).status not in FINAL and until_ended:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            return run
        finally:
            await storage.close()

    return asyncio.run(read())


def sending(client: httpx.Client, run_id: str) -> str:
    """The run when it has sent something."""
    deadline = time.monotonic() + 240
    while not client.get(f"/runs/{run_id}").json()["requests_completed"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return run_id


def test_a_server_that_ends_leaves_its_runs_to_themselves_and_a_log(tmp_path: Path, target: TargetServer) -> None:
    server = ApiServer(tmp_path).ready()
    with server.client() as client:
        accepted = client.post("/runs", json={"spec": spec(target, requests_per_second=20, duration=4)})
        run_id = sending(client, accepted.json()["id"])
    assert server.stop() in (0, -signal.SIGTERM)
    run = kept(tmp_path, run_id, until_ended=True)
    assert (run.status, run.summary.requests_completed) == (RunStatus.COMPLETED, 80)
    deadline = time.monotonic() + 240
    while processes_of(run_id):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert list((tmp_path / "spool").iterdir()) == []
    # The log is JSON Lines with the ids of requests and runs.
    lines = [json.loads(line) for line in server.log().splitlines()]
    of_request = [each for each in lines if each.get("request_id") == accepted.headers["x-request-id"]]
    assert [each["message"] for each in of_request] == ["POST /api/v1/runs 202"]
    assert {each["message"] for each in lines if each.get("run_id") == run_id} >= {f"run {run_id} claimed"}


def test_a_server_that_is_told_so_cancels_its_runs_when_it_ends_whoever_watches(
    tmp_path: Path, target: TargetServer
) -> None:
    server = ApiServer(tmp_path, ATM_CANCEL_RUNS_ON_SHUTDOWN="true").ready()
    kinds: list[str] = []

    def watch() -> None:
        with server.client() as watcher:
            try:
                kinds.extend(kind for _, kind, _ in events(watcher, run_id))
            except httpx.TransportError:
                kinds.append("cut off")

    with server.client() as client:
        accepted = client.post("/runs", json={"spec": spec(target, requests_per_second=20, duration=600)})
        run_id = sending(client, accepted.json()["id"])
        thread = threading.Thread(target=watch)
        thread.start()
        while "interval" not in kinds:
            time.sleep(0.2)
    signalled = time.monotonic()
    server.stop()
    assert time.monotonic() - signalled < allowed(SHUTDOWN_SECONDS)
    thread.join(240)
    assert not thread.is_alive()
    assert kept(tmp_path, run_id).status is RunStatus.CANCELLED
    assert processes_of(run_id) == {}


def test_atm_serve_serves_and_says_that_a_port_is_taken(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "atm", "serve", "--port", str(port), "--data-dir"]
    with subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        try:
            _answers(f"http://127.0.0.1:{port}/health/ready")
            assert httpx.get(f"http://127.0.0.1:{port}/api/v1/runs", trust_env=False, verify=False).json()["runs"] == []
            other = [*command, str(tmp_path / "other")]
            second = subprocess.run(other, capture_output=True, text=True, timeout=240, check=False)
        finally:
            process.terminate()
        assert process.wait(240) in (0, -signal.SIGTERM, 130)
    assert (tmp_path / "atm.db").exists()
    assert second.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use [port_in_use]" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_uvicorn_serves_the_app_and_it_is_closed_until_there_is_a_key(tmp_path: Path, workers: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "atm.api.app:app", f"--port={port}", f"--workers={workers}"]
    environment = {**os.environ, "ATM_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            _answers(f"http://127.0.0.1:{port}/health/ready")
            address = f"http://127.0.0.1:{port}/api/v1/runs"
            assert httpx.get(address, trust_env=False, verify=False).status_code == 200
            far = httpx.get(address, headers={"X-Forwarded-For": "192.0.2.1"}, trust_env=False, verify=False)
            assert far.status_code == 403
            # uvicorn by itself would wait for an open stream without a limit.
            with httpx.stream(
                "GET", f"http://127.0.0.1:{port}/api/v1/events", timeout=240, trust_env=False, verify=False
            ) as response:
                lines = response.iter_lines()
                assert next(lines).startswith("retry: ")
                process.terminate()
                assert [line for line in lines if line.startswith("data: ")] == []
        finally:
            process.terminate()
        process.wait(240)


def _answers(address: str) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            if httpx.get(address, trust_env=False, verify=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)
