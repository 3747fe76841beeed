"""Own metrics of hooks, of locustfiles, and of several files in one spec."""

from __future__ import annotations

from pathlib import Path

import pytest

import atm
from atm.errors import SpecError
from atm.testing import TargetServer
from tests.code import test_hooks as hooks
from tests.code.files import written
from tests.code.locust_runs import run as run_locust
from tests.code.test_own_metrics import of

HOOKS = """
seen = atm.Counter("seen")
sizes = atm.Trend("sizes", unit="B")

def setup(context):
    seen.add(1000)

def teardown(context):
    seen.add(1000)

async def before_request(request, user):
    await asyncio.sleep(0)
    seen.add()

def after_response(response, user):
    sizes.add(len(response.body))
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_hooks_count_what_the_target_received(tmp_path: Path, target: TargetServer, processes: int) -> None:
    flow = hooks.steps("- GET: /fixed\n- GET: /fixed?bytes=40\n")
    settings = {"fleet": f"{{processes: {processes}}}"} if processes > 1 else {}
    rules = '["metric seen total >= 40"]'
    result = hooks.ran(tmp_path, target, HOOKS, flow, total_requests=20, concurrency=2, thresholds=rules, **settings)
    assert of(result, "seen").total == result.metrics.total_requests == target.settled_stats().received == 40
    sizes = of(result, "sizes")
    assert (sizes.count, sizes.min, sizes.max, sizes.p50, sizes.total) == (40, 20, 40, 20, 1200)
    assert [rule.passed for rule in result.thresholds] == [True]


LOCUSTFILE = """
import atm
from locust import HttpUser, constant, task

sent = atm.Counter("sent")


class Shopper(HttpUser):
    wait_time = constant(0.01)

    @task
    def shop(self):
        self.client.get("/fixed")
        sent.add()
"""


def test_a_locustfile_records_values(tmp_path: Path, target: TargetServer) -> None:
    path = tmp_path / "locustfile.py"
    path.write_text(LOCUSTFILE)
    result = run_locust(tmp_path, path, target, "--users", "3", "--duration", "1s")
    (sent,) = result["own_metrics"]
    assert sent["total"] > 0
    # A user that is stopped while it waits for a response has sent a request and recorded nothing.
    assert 0 <= result["metrics"]["total_requests"] - sent["total"] <= 3


def test_a_conflict_between_files_and_an_unknown_metric_are_refused(tmp_path: Path, target: TargetServer) -> None:
    code = "@atm.scenario\nasync def s(user):\n    await user.get('/fixed')\n"
    written(tmp_path, 'x = atm.Counter("x")\n' + code, "one.py")
    written(tmp_path, 'x = atm.Gauge("x", unit="kg")\n' + code, "two.py")
    scenarios = "scenarios: {a: {code: 'one.py:s'}, b: {code: 'two.py:s'}}\n"
    spec = tmp_path / "shop.yaml"
    spec.write_text(f"name: shop\nbase_url: {target.url}\nthresholds: ['metric y > 1']\n{scenarios}")
    with pytest.raises(SpecError) as caught:
        atm.run_sync(str(spec))
    said = {problem.place.partition(",")[0]: problem.what for problem in caught.value.problems}
    assert 'the metric "x" is declared as a counter in one.py, and as a gauge in kg in two.py' in said.values()
    assert any('names a metric "y", which the test does not declare' in what for what in said.values())
    assert all("shop.yaml" in place for place in said)
