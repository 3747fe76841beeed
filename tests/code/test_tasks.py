"""Code may await anything, and start tasks of its own: their time and their requests are the scenario's."""

from __future__ import annotations

from pathlib import Path

from atm.testing import TargetServer
from tests.code.files import ran, requests_of


def test_time_in_tasks_is_that_of_the_scenario_that_started_them(tmp_path: Path, target: TargetServer) -> None:
    code = """
    import time

    def spin():
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass

    @atm.scenario
    async def gathers(user):
        async def inner():
            spin()

        async def part():
            await user.get("/fixed", name="part")
            await asyncio.create_task(inner())

        await asyncio.gather(part(), part())

    @atm.scenario
    async def modest(user):
        await user.get("/delay/5", name="one")
    """
    target.reset()
    result = ran(tmp_path, target, code, duration="1s", concurrency=4)
    reasons = {reason.code: reason for reason in result.verdict.reasons}
    assert reasons["code"].actual > 0.2
    assert '"gathers"' in reasons["code"].what
    assert sum(requests_of(result).values()) == target.stats().received
    gathers = next(scenario for scenario in result.scenarios if scenario.name == "gathers")
    assert requests_of(result)["gathers/part"] >= 2 * gathers.completed > 0


def test_whatever_code_awaits_between_requests_every_request_is_counted(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        first = await user.get("/fixed", name="first")
        await asyncio.sleep(0)
        await user.get("/fixed", name="second")
        await asyncio.sleep(0.001)
        try:
            async with asyncio.timeout(0.02):
                await user.get("/delay/200", name="abandoned")
        except TimeoutError:
            pass
        await user.get("/fixed", name="third")
        await asyncio.wait_for(user.get("/fixed", name="waited for"), 10)
        both = await asyncio.gather(user.get("/fixed", name="both"), user.get("/fixed", name="both"))
        task = asyncio.current_task()
        await user.think(0.3)
        assert task is asyncio.current_task() and all(response.ok for response in both)
        first.check("late", True)
    """
    target.reset()
    result = ran(tmp_path, target, code, total_requests=4, concurrency=2)
    assert not result.exceptions
    assert requests_of(result) == {
        "s/first": 4,
        "s/second": 4,
        "s/abandoned": 4,
        "s/third": 4,
        "s/waited for": 4,
        "s/both": 8,
    }
    assert sum(requests_of(result).values()) == target.stats().received
    (late,) = result.checks
    assert (late.endpoint, late.passed) == ("s/first", 4)


def test_code_that_cancels_itself_fails_its_iteration(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        await user.get("/fixed")
        asyncio.current_task().cancel()
        await user.get("/fixed")
    """
    result = ran(tmp_path, target, code, total_requests=3, concurrency=1)
    (scenario,) = result.scenarios
    assert (scenario.started, scenario.failed) == (3, 3)
    assert "cancelled its own task" in result.exceptions[0].message
