"""How a run of code ends: by stop and cancel, in code that waits and in code that blocks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import atm
from atm.engine.base import Control
from atm.models.outcome import RunStatus, StopReason
from atm.models.run import RunResult
from atm.testing import TargetServer
from tests.code.files import written

WAITS = {
    "sleeps": "await asyncio.sleep(600)",
    "thinks": "await user.think(600)",
    "swallows": """
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass""",
    "requests": "await user.get('/never')",
}


def ended(path: Path, *, cancel: bool) -> tuple[RunResult, float]:
    """Run a file, end the run after its first second, and return the result and how long the end took."""
    control = Control()
    at = 0.0

    def second(_interval: atm.Interval) -> None:
        nonlocal at
        if not at:
            at = time.monotonic()
            control.cancel() if cancel else control.stop()

    result = asyncio.run(atm.run(str(path), on_interval=second, control=control))
    return result, time.monotonic() - at


@pytest.mark.parametrize(
    ("wait", "cancel"),
    [("sleeps", True), ("swallows", True), ("requests", True), ("thinks", False), ("swallows", False)],
)
def test_code_that_waits_ends_soon_and_its_iterations_are_unfinished(
    tmp_path: Path, target: TargetServer, wait: str, cancel: bool
) -> None:
    code = f"atm.test(base_url={target.url!r}, duration='60s', concurrency=3)\n@atm.scenario\nasync def s(user):\n"
    path = written(tmp_path, f"{code}    await user.get('/fixed')\n    {WAITS[wait].strip()}\n")
    result, _ = ended(path, cancel=cancel)
    (scenario,) = result.scenarios
    assert (scenario.started, scenario.unfinished) == (3, 3)
    assert result.run.stop_reason is (StopReason.CANCELLED if cancel else StopReason.STOPPED)
    assert not result.exceptions


IN_A_PROCESS = """
import asyncio, json, os, sys
import atm
from atm.engine.base import Control

control = Control()
result = asyncio.run(atm.run(sys.argv[1], on_interval=lambda _second: control.stop(), control=control))
[scenario] = result.scenarios
ended = scenario.completed + scenario.failed + scenario.unfinished
metrics = result.metrics
parts = metrics.successful_requests + metrics.failed_requests + metrics.unfinished
counts = [metrics.total_requests, parts, scenario.started, ended]
print(json.dumps([result.run.status, result.run.error, counts]), flush=True)
os._exit(0)
"""
"""The thread that the code blocks keeps its connections as long as its process lives."""


@pytest.mark.parametrize("call", ["time.sleep(600)", "while True: pass"], ids=["sleep", "loop"])
def test_code_that_blocks_the_loop_is_named_and_given_up(tmp_path: Path, target: TargetServer, call: str) -> None:
    code = f"import time\natm.test(base_url={target.url!r}, duration='60s', concurrency=3)\n@atm.scenario\n"
    code += "async def s(user):\n    await user.get('/fixed')\n    await user.think(1.2)\n"
    code += "    await user.get('/fixed')\n"
    code += f"    await user.get('/fixed')\n    {call}\n"
    path = written(tmp_path, code)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    status, error, (requests, ended, iterations, iterations_ended) = json.loads(done.stdout)
    assert status == RunStatus.FAILED
    assert "while code blocked it: s (shop.py:12)" in error
    # Three before the pause, and what was counted in the second in which the code blocked.
    assert requests == ended > 3
    assert iterations == iterations_ended == 3
