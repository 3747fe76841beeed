"""`setup` and `teardown` of runs on a server: each once, however the run ends, and no secret of theirs is stored."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from atm.errors import SpecError
from atm.models.outcome import RunStatus, StopReason
from atm.plan.targets import TargetRules
from atm.runs.policy import Policy
from atm.testing import TargetServer
from tests.runs.installation import Installation
from tests.steadiness import allowed

pytestmark = pytest.mark.anyio


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {
        "name": "hooks",
        "base_url": target.url,
        "duration": 60,
        "load": {"users": 2},
        # The target makes the secret up: the spec does not hold it.
        "setup": [{"GET": "/echo?as=setup", "extract": {"token": {"json": "$.headers[0][1]", "secret": True}}}],
        "scenarios": {"s": {"steps": [{"GET": "/echo?as=load", "headers": {"X-Own": "{{token}}-{{token}}"}}]}},
        "teardown": [{"GET": "/fixed?as=teardown", "headers": {"X-Own": "{{token}}"}}],
        **fields,
    }


def check_once(target: TargetServer) -> int:
    """Setup came exactly once and first, teardown exactly once and last; return the requests between them."""
    target.settled_stats()
    routes = [row.route for row in target.record()]
    assert (routes[0], routes[-1]) == ("setup", "teardown")
    assert (routes.count("setup"), routes.count("teardown")) == (1, 1)
    return routes.count("load")


@pytest.mark.parametrize("graceful", [False, True])
async def test_teardown_follows_a_cancel(installation: Installation, target: TargetServer, graceful: bool) -> None:
    created = await installation.service.create(spec(target))
    await installation.sending(created.run.id)
    await installation.service.cancel(created.run.id, graceful=graceful)
    run = await installation.ended(created.run.id)
    ends = (RunStatus.COMPLETED, StopReason.STOPPED) if graceful else (RunStatus.CANCELLED, StopReason.CANCELLED)
    assert (run.status, run.summary.stop_reason) == ends
    assert check_once(target) > 0
    result = await installation.storage.runs.result(run.id)
    assert result is not None
    assert result.setup is not None
    assert result.teardown is not None
    assert (result.setup.status, result.teardown.status) == ("passed", "passed")
    secret = f"127.0.0.1:{target.port}"
    assert all(
        secret not in pair[1] for sample in result.samples for pair in sample.request_headers if pair[0] == "X-Own"
    )


async def test_a_failed_setup_ends_the_run_with_the_reason(installation: Installation, target: TargetServer) -> None:
    created = await installation.service.create(
        spec(target, setup=[{"GET": "/status/503?as=setup", "extract": {"token": "status"}}])
    )
    run = await installation.ended(created.run.id)
    assert run.status is RunStatus.FAILED
    assert check_once(target) == 0
    result = await installation.storage.runs.result(run.id)
    assert result is not None
    assert result.setup is not None
    assert result.setup.message == "503, expected 200, 201 or 204"
    assert result.run.error == "setup failed: setup/GET /status/503: 503, expected 200, 201 or 204"


async def test_a_cancel_during_setup_ends_the_run_soon(installation: Installation, target: TargetServer) -> None:
    steps = [{"GET": "/fixed?as=setup", "extract": {"token": "status"}}, {"think": "1h"}]
    created = await installation.service.create(spec(target, setup=steps, teardown=[{"GET": "/fixed?as=teardown"}]))
    await installation.until(created.run.id, lambda run: run.status is RunStatus.RUNNING)
    while not target.stats().received:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    requested = time.monotonic()
    await installation.service.cancel(created.run.id)
    run = await installation.ended(created.run.id)
    assert time.monotonic() - requested < allowed(5)
    assert run.status is RunStatus.CANCELLED
    assert check_once(target) == 0


def test_the_targets_of_both_are_judged_like_those_of_the_load(target: TargetServer) -> None:
    policy = Policy(targets=TargetRules.of(("127.0.0.1",)))
    for name in ("setup", "teardown"):
        extract = {"token": "status"} if name == "setup" else {}
        with pytest.raises(SpecError) as caught:
            policy.compile(spec(target, **{name: [{"GET": "http://10.1.2.3/", "extract": extract}]}), {}, 1)
        [problem] = caught.value.problems
        assert (problem.code, problem.path) == ("target_not_allowed", name)
    test = policy.compile(spec(target), {}, 1)
    assert [plan.connections.targets for plan in test.plans] == [policy.targets] * 3
