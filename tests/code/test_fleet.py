"""Scenarios in code on several worker processes: names are merged by name, and counts add up exactly."""

from __future__ import annotations

from pathlib import Path

from atm.testing import TargetServer
from tests.code.files import ran, requests_of

CODE = """
@atm.scenario
async def s(user):
    page = await user.get("/fixed", name="page")
    # Each worker announces these in another order, and some only one of them.
    kind = user.number % 3
    other = await user.get("/health", name=f"kind {kind}")
    other.check(f"check {kind}", user.iteration % 2)
    if user.number == 2 and user.iteration > 200:
        late = await user.get("/fixed", name="late")
    if user.iteration % 50 == 0:
        raise ValueError("boom")
"""


def test_names_and_counts_of_all_workers_are_merged(tmp_path: Path, target: TargetServer) -> None:
    result = ran(tmp_path, target, CODE, total_requests=400, concurrency=5, fleet={"processes": 3})
    counts = requests_of(result)
    assert result.fleet is not None
    assert len(result.fleet.workers) == 3
    assert counts["s/page"] == 400
    assert counts["s/kind 0"] + counts["s/kind 1"] + counts["s/kind 2"] == 400
    stats = target.settled_stats()
    assert stats.received == sum(counts.values())
    (scenario,) = result.scenarios
    assert (scenario.started, scenario.completed + scenario.failed) == (400, 400)
    (raised,) = result.exceptions
    assert raised.message.startswith("ValueError: boom (shop.py:")
    assert raised.count == scenario.failed > 0
    reached = {step.name: (step.reached, step.not_reached) for step in scenario.steps}
    # Every iteration sends at most one request of each name.
    assert reached == {name.removeprefix("s/"): (count, 400 - count) for name, count in counts.items()}
    evaluated = {check.name: check.passed + check.failed for check in result.checks}
    assert evaluated == {f"check {kind}": counts[f"s/kind {kind}"] for kind in range(3)}
