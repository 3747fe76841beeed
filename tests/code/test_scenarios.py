"""Scenarios in code against a server whose own record is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import atm
from atm.cli.report.details import beyond_limit_of_names
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import Outcome, RunOutcome
from atm.testing import TargetServer
from tests.code.files import ran, requests_of, written

FLOW = """
@atm.scenario(weight=3)
async def checkout(user: atm.User) -> None:
    cart = await user.get("/fixed?x=1", name="cart", headers={"X-Own": "1"})
    cart.check("is there", cart.status == 200)
    with user.group("inner"):
        order = await user.post("/echo", json={"n": user.iteration, "é": "ü"}, expect=(200, "4xx"))
        order.check("even", user.iteration % 2 == 0)
    await user.get(f"/status/404?n={user.iteration}", expect="2xx")


@atm.scenario
async def browse(user: atm.User) -> None:
    await user.get("/health")
"""


def test_counts_are_those_of_the_target(tmp_path: Path, target: TargetServer) -> None:
    result = ran(tmp_path, target, FLOW, total_requests=200, concurrency=5)
    assert requests_of(result) == {
        "checkout/cart": 150,
        "checkout/inner/POST /echo": 150,
        "checkout/GET /status/404": 150,
        "browse/GET /health": 50,
    }
    stats = target.settled_stats()
    assert stats.received == result.metrics.total_requests == 500
    assert result.metrics.status_code_counts == dict(stats.statuses)
    assert Counter(row.route for row in target.record()) == {
        "/fixed": 150,
        "/echo": 150,
        "/status/404": 150,
        "/health": 50,
    }
    books = {scenario.name: (scenario.started, scenario.completed, scenario.failed) for scenario in result.scenarios}
    assert books == {"checkout": (150, 150, 0), "browse": (50, 50, 0)}
    assert all(step.reached_share == 1.0 for scenario in result.scenarios for step in scenario.steps)
    assert {check.name: (check.passed, check.failed) for check in result.checks} == {
        "is there": (150, 0),
        "even": (75, 75),
    }
    failed = {(failure.endpoint, failure.outcome): failure.count for failure in result.failures}
    assert failed == {
        ("checkout/inner/POST /echo", Outcome.CHECK_FAILED): 75,
        ("checkout/GET /status/404", Outcome.UNEXPECTED_STATUS): 150,
    }
    entry = next(entry for entry in result.endpoint_metrics if entry.name == "checkout/GET /status/404")
    assert (entry.method, entry.url) == ("GET", f"{target.url}/status/404")
    assert {sample.scenario for sample in result.sampled_iterations} == {"checkout", "browse"}


YAML = """
name: shop
base_url: {url}
total_requests: 40
concurrency: 1
seed: 1
headers: {{X-Spec: a}}
auth: {{type: bearer, token: secret-token}}
scenarios:
  s:
    headers: {{X-Scenario: b, Accept: text/plain}}
    {flow}
"""
STEPS = """steps:
      - GET: /shop/products?size=2
        name: list
        headers: {X-Own: c, X-Spec: d}
      - POST: /echo?a=b%20c
        name: order
        json: {product: 7, text: "ä \\"q\\"", list: [1, 2.5, null, true]}
      - {PUT: /echo, name: form, form: {a: "1 2", b: "é"}}
      - {DELETE: /fixed, name: gone}
"""
CODE = """
async def s(user):
    await user.get("/shop/products?size=2", name="list", headers={"X-Own": "c", "X-Spec": "d"})
    await user.post(
        "/echo", name="order", params={"a": "b c"}, json={"product": 7, "text": 'ä "q"', "list": [1, 2.5, None, True]}
    )
    await user.put("/echo", name="form", data={"a": "1 2", "b": "é"})
    await user.delete("/fixed", name="gone")
"""


def test_code_sends_the_bytes_and_keeps_the_books_of_the_same_steps(tmp_path: Path, target: TargetServer) -> None:
    (tmp_path / "steps.yaml").write_text(YAML.format(url=target.url, flow=STEPS))
    (tmp_path / "code.yaml").write_text(YAML.format(url=target.url, flow="code: flow.py:s"))
    written(tmp_path, CODE, "flow.py")
    results, sent = [], []
    for name in ("steps.yaml", "code.yaml"):
        target.settled_stats()
        target.reset()
        results.append(atm.run_sync(str(tmp_path / name)))
        target.settled_stats()
        sent.append([request.raw for request in target.captured()])
    assert len(sent[0]) == 160
    assert sent[0] == sent[1]
    steps, code = results
    assert requests_of(steps) == requests_of(code)
    assert steps.metrics.errors_by_type == code.metrics.errors_by_type
    assert steps.metrics.status_code_counts == code.metrics.status_code_counts
    assert [(s.name, s.started, s.completed, [step.name for step in s.steps]) for s in steps.scenarios] == [
        (s.name, s.started, s.completed, [step.name for step in s.steps]) for s in code.scenarios
    ]
    assert code.run.engine == "asyncio"


def test_cookies_and_redirects_are_those_of_a_scenario(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def login(user):
        created = await user.post("/shop/accounts", json={"name": f"u{user.iteration}", "password": "p"}, expect="2xx")
        login = await user.post("/shop/login", json={"name": f"u{user.iteration}", "password": "p"})
        cart = await user.get("/shop/cart")
        cart.check("has a session", cart.status == 200)
        hop = await user.get("/redirect/2")
        hop.check("followed", hop.status == 200)
    """
    result = ran(tmp_path, target, code, total_requests=4, concurrency=2, redirects=5)
    assert {check.name: (check.passed, check.failed) for check in result.checks} == {
        "has a session": (4, 0),
        "followed": (4, 0),
    }
    assert result.metrics.redirect_hops == 8


def test_an_exception_fails_its_iteration_and_is_reported_with_its_place(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def buy(user):
        await user.get("/fixed")
        if user.iteration % 4 == 0:
            raise ValueError("no stock")
        if user.iteration % 5 == 0:
            user.fail("gave up")
    """
    result = ran(tmp_path, target, code, total_requests=20, concurrency=3)
    (scenario,) = result.scenarios
    assert (scenario.started, scenario.completed, scenario.failed) == (20, 12, 8)
    raised = {group.message: group.count for group in result.exceptions}
    assert raised == {"ValueError: no stock (shop.py:10)": 5, "gave up (shop.py:12)": 3}
    assert 'raise ValueError("no stock")' in result.exceptions[0].traceback
    assert "code_user" not in result.exceptions[0].traceback
    assert result.metrics.failed_requests == 0
    assert result.verdict.outcome is RunOutcome.FAILED
    assert "8 of 20 iterations failed" in "".join(failure_reasons(result))


@pytest.mark.parametrize(("policy", "most"), [("stop_run", 3), ("stop_user", 2)])
def test_a_policy_decides_what_follows_an_exception(
    tmp_path: Path, target: TargetServer, policy: str, most: int
) -> None:
    code = f"""
    @atm.scenario(on_exception={policy!r})
    async def buy(user):
        await user.get("/delay/20")
        raise RuntimeError
    """
    result = ran(tmp_path, target, code, total_requests=500, concurrency=2)
    (scenario,) = result.scenarios
    assert scenario.failed == result.exceptions[0].count >= 1
    assert scenario.started <= most


def test_the_outcome_can_be_decided_until_the_end_of_a_block(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        async with user.get("/status/404", name="accepted") as response:
            await asyncio.sleep(0)
            response.succeed()
        async with user.get("/fixed", name="refused") as response:
            await asyncio.sleep(0)
            response.fail("not enough")
        late = await user.get("/fixed", name="late")
        await user.think(0)
        late.check("counted only", False)
        try:
            late.fail("too late")
        except RuntimeError as error:
            late.check("refused", "too late" in str(error))
    """
    result = ran(tmp_path, target, code, total_requests=6, concurrency=1)
    failed = {entry.name: entry.failed_requests for entry in result.endpoint_metrics}
    assert failed == {"s/accepted": 0, "s/refused": 6, "s/late": 0}
    assert result.failures[0].message == "not enough"
    assert {check.name: check.failed for check in result.checks} == {"counted only": 6, "refused": 0}


def test_several_requests_of_a_user_are_in_flight_together(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        async def one(n):
            response = await user.get(f"/delay/{n}", name="part")
            response.check("ok", response.ok)
        await asyncio.gather(*(one(10) for _ in range(3)))
        async with asyncio.timeout(5):
            await asyncio.wait_for(user.get("/fixed"), 5)
    """
    result = ran(tmp_path, target, code, total_requests=5, concurrency=1)
    assert requests_of(result) == {"s/part": 15, "s/GET /fixed": 5}
    assert result.checks[0].passed == 15
    assert result.metrics.failed_requests == 0
    assert target.settled_stats().received == 20
    assert len({row.connection for row in target.record()}) == 3


def test_a_request_that_is_not_awaited_fails_the_iteration(tmp_path: Path, target: TargetServer) -> None:
    result = ran(tmp_path, target, "@atm.scenario\nasync def s(user):\n    user.get('/fixed')\n", total_requests=2)
    assert "not awaited" in result.exceptions[0].message
    assert target.settled_stats().received == 0


def test_failed_requests_are_responses_with_an_error(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        late = await user.get("/delay/3000", timeout=0.05)
        late.check("timeout", late.outcome == "timeout" and not late.ok and late.status == 0)
        closed = await user.get("/close")
        closed.check("closed", closed.outcome == "connection_closed" and closed.error != "")
        try:
            closed.raise_for_status()
        except atm.RequestFailedError as error:
            closed.check("raised", error.response is closed)
    """
    result = ran(tmp_path, target, code, total_requests=2, concurrency=2)
    assert all(check.failed == 0 and check.passed == 2 for check in result.checks)
    assert len(result.checks) == 3
    assert result.metrics.errors_by_type == {Outcome.TIMEOUT: 2, Outcome.CONNECTION_CLOSED: 2}


def test_names_beyond_the_limit_are_counted_together(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        await user.get(f"/fixed?n={user.iteration}", name=f"page {user.iteration}")
    """
    result = ran(tmp_path, target, code, total_requests=510, concurrency=4)
    counts = requests_of(result)
    assert len(counts) == 501
    assert counts["s/(other)"] == 10
    assert beyond_limit_of_names(result).startswith("10 requests with further names counted under (other): give")
    assert sum(counts.values()) == 510


def test_thresholds_name_endpoints_and_checks_of_code(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        page = await user.get("/fixed", name="page")
        page.check("good", user.iteration % 2)
    """
    rules = ["s/page: error_rate < 60%", "s/page: p99 < 60s for 1s", "check good > 40%", "s/never: rps > 1"]
    result = ran(tmp_path, target, code, duration="2s", concurrency=1, thresholds=rules)
    assert [threshold.passed for threshold in result.thresholds] == [True, True, True, False]
    assert {entry.name for entry in result.endpoint_metrics} == {"s/page", "s/never"}


def test_an_open_load_starts_its_iterations_on_time_with_new_users(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        assert user.number == user.iteration and "seen" not in user.variables
        user.variables["seen"] = True
        await user.get("/fixed")
    """
    result = ran(tmp_path, target, code, duration="1s", requests_per_second=50)
    (scenario,) = result.scenarios
    assert (scenario.due, scenario.failed) == (50, 0)
    assert scenario.started == target.settled_stats().received


def test_the_same_seed_gives_the_same_random_numbers_and_rows(tmp_path: Path, target: TargetServer) -> None:
    code = """
    @atm.scenario
    async def s(user):
        row = user.data("people")
        await user.get("/fixed", params={"r": user.random.randrange(10**9), "who": row["name"]}, name="page")
    """
    data = {"people": {"rows": [{"name": "ann"}, {"name": "bob"}], "per": "iteration"}}
    sent = []
    for _ in range(2):
        target.settled_stats()
        target.reset()
        result = ran(tmp_path, target, code, total_requests=6, concurrency=1, seed=7, data=data)
        target.settled_stats()
        sent.append([request.raw for request in target.captured()])
        assert [(source.used, source.repeated) for source in result.data] == [(2, 4)]
    assert sent[0] == sent[1]
    assert len(set(sent[0])) == 6


def test_the_spec_s_credentials_stay_with_its_origin(tmp_path: Path, target: TargetServer) -> None:
    other = target.url.replace("127.0.0.1", "localhost")
    code = f"""
    @atm.scenario
    async def s(user):
        here = await user.get("/headers", name="here")
        there = await user.get("{other}/headers", name="there")
        here.check("has it", "top-secret" in here.text)
        there.check("has it not", "top-secret" not in there.text)
    """
    result = ran(tmp_path, target, code, total_requests=2, auth={"type": "bearer", "token": "top-secret"})
    assert {check.name: check.failed for check in result.checks} == {"has it": 0, "has it not": 0}
    assert "top-secret" not in result.model_dump_json()


def test_code_and_steps_run_side_by_side(tmp_path: Path, target: TargetServer) -> None:
    written(tmp_path, "async def buy(user):\n    await user.get('/fixed', name='page')\n", "buy.py")
    spec = f"""
name: mixed
base_url: {target.url}
duration: 1s
scenarios:
  steps: {{load: {{rate: 20}}, steps: [{{GET: /health, name: page}}]}}
  code: {{load: {{rate: 30}}, code: "buy.py:buy"}}
"""
    (tmp_path / "mixed.yaml").write_text(spec)
    result = atm.run_sync(str(tmp_path / "mixed.yaml"))
    assert requests_of(result) == {"steps/page": 20, "code/page": 30}
    assert [scenario.due for scenario in result.scenarios] == [20, 30]
    assert target.settled_stats().received == 50


def test_code_needs_the_asyncio_engine(tmp_path: Path, target: TargetServer) -> None:
    with pytest.raises(atm.AtmError, match="the native engine cannot do Python code"):
        ran(tmp_path, target, FLOW, engine="native")
