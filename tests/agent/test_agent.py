"""`atm agent` and `atm serve` side by side on one storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atm.testing import TargetServer
from tests.agent.test_schedules_api import until
from tests.api.server import ApiServer
from tests.cli.program import environment

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def agent(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    data_dir.mkdir()
    with (data_dir / "agent.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atm", "agent"], env=environment(data_dir), stderr=log, start_new_session=True
        )
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_an_agent_alone_fires_carries_out_and_ends_when_it_is_asked_to(
    data_dir: Path, agent: subprocess.Popen[bytes], target: TargetServer
) -> None:
    api = ApiServer(data_dir, ATM_AGENT="off")
    try:
        with api.ready().client() as client:
            trigger = {"type": "interval", "seconds": 1}
            spec = {"name": "shop", "url": f"{target.url}/fixed", "total_requests": 3}
            body = {"name": "by the agent", "trigger": trigger, "spec": spec, "max_runs": 2, "overlap": "queue"}
            assert client.post("/schedules", json=body).status_code == 201

            def firings() -> Any:
                return client.get("/schedules/by the agent/firings").json()["firings"]

            done = until(firings, lambda all_: [each["outcome"] for each in all_] == ["passed", "passed"])
            # The server has its agent switched off: both were claimed by the other process.
            assert {int(each["claimed_by"].rpartition(":")[2]) for each in done} == {agent.pid}
    finally:
        api.stop()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(30) == 0
    assert b"the agent has ended" in (data_dir / "agent.log").read_bytes()
