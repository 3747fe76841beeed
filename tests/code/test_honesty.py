"""Time in code is measured apart, and code that blocks the load generator is named and judged."""

from __future__ import annotations

from pathlib import Path

from atm.models.outcome import Measurement
from atm.testing import TargetServer
from tests.code.files import ran


def test_busy_code_makes_the_measurement_suspect_and_is_named(tmp_path: Path, target: TargetServer) -> None:
    code = """
    import time

    @atm.scenario
    async def greedy(user):
        await user.get("/fixed")
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass

    @atm.scenario
    async def modest(user):
        await user.get("/delay/5")
    """
    result = ran(tmp_path, target, code, duration="1s", concurrency=4)
    reasons = {reason.code: reason for reason in result.verdict.reasons}
    assert result.verdict.measurement is not Measurement.VALID
    assert reasons["code"].actual > 0.2
    assert '"greedy"' in reasons["code"].what


def test_a_blocking_call_is_named_with_its_line(tmp_path: Path, target: TargetServer) -> None:
    code = """
    import time

    @atm.scenario
    async def sleeper(user):
        await user.get("/fixed")
        time.sleep(0.3)
    """
    result = ran(tmp_path, target, code, duration="2s", concurrency=1)
    (blocking,) = result.blocking
    assert blocking.scenario == "sleeper"
    assert blocking.place == "sleeper (shop.py:11): time.sleep(0.3)"
    assert blocking.count >= 3
    assert blocking.seconds > 0.2 * blocking.count
    assert "blocking" in {reason.code for reason in result.verdict.reasons}


def test_code_that_waits_is_quiet(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        await user.get("/delay/20")
        await asyncio.sleep(0.01)
        await user.think(0.01)
    """
    result = ran(tmp_path, target, code, duration="1s", concurrency=2)
    assert not result.blocking
    assert "code" not in {reason.code for reason in result.verdict.reasons}
    (scenario,) = result.scenarios
    assert scenario.iteration_time.p50_ms is not None
    assert scenario.active_time.p50_ms is not None
    assert scenario.iteration_time.p50_ms - scenario.active_time.p50_ms > 5
