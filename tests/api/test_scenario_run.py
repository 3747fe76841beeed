"""A run of scenarios on a server: the stored series, the window and the result agree with each other and the target."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ended

STEPS = ("browse/list", "browse/open", "order/list")


def spec(target: TargetServer) -> dict[str, Any]:
    checks = {"ok": "status == 200", "accepted": "status == 202"}
    return {
        "name": "shop",
        "base_url": target.url,
        "load": {"rate": 40},
        "duration": 2,
        "scenarios": {
            "browse": {
                "weight": 3,
                "steps": [{"GET": "/", "name": "list", "checks": checks}, {"GET": "/", "name": "open"}],
            },
            "order": {"steps": [{"GET": "/", "name": "list", "checks": {"ok": "status == 200"}}]},
        },
        "thresholds": ["check ok > 99%", "browse: iteration p95 < 60s"],
    }


def test_a_run_of_scenarios_is_counted_the_same_everywhere(client: httpx.Client, target: TargetServer) -> None:
    run_id = client.post("/runs", json={"spec": spec(target)}).json()["id"]
    named: list[list[str]] = []
    so_far: set[tuple[str, str]] = set()
    for run in while_running(client, run_id):
        named.append([entry["name"] for entry in run["endpoint_metrics"]])
        so_far |= {(entry["method"], entry["url"]) for entry in run["endpoint_metrics"]}
    assert list(STEPS) in named
    assert all(names in ([], list(STEPS)) for names in named)
    assert ended(client, run_id)["status"] == "completed"
    result = client.get(f"/runs/{run_id}/result").json()
    assert so_far == {(entry["method"], entry["url"]) for entry in result["endpoint_metrics"]} == {("GET", "/")}
    browse, order = result["scenarios"]
    assert browse["due"] + order["due"] == 80
    for scenario in (browse, order):
        assert scenario["started"] == scenario["completed"] + scenario["failed"] + scenario["unfinished"]
        assert scenario["iteration_time"]["p50_ms"] >= scenario["active_time"]["p50_ms"] > 0
    assert [step["endpoint"] for scenario in (browse, order) for step in scenario["steps"]] == list(STEPS)
    requests = {entry["name"]: entry["total_requests"] for entry in result["endpoint_metrics"]}
    assert sum(requests.values()) == target.settled_stats().received
    window = client.get(f"/runs/{run_id}/intervals", params={"merge": "true"}).json()["window"]
    for stored, reported in zip(window["scenarios"], result["scenarios"], strict=True):
        assert {**stored, "iterations_per_second": 0} == {**reported, "iterations_per_second": 0}
    assert window["checks"] == result["checks"]
    counts = {(check["name"], check["endpoint"]): (check["passed"], check["failed"]) for check in result["checks"]}
    assert counts["ok", "browse/list"] == (requests["browse/list"], 0)
    assert counts["accepted", "browse/list"] == (0, requests["browse/list"])
    assert [threshold["passed"] for threshold in result["thresholds"]] == [True, True]


def test_requests_before_the_first_iteration_are_in_no_total(client: httpx.Client, target: TargetServer) -> None:
    """Neither in the result nor in the stored seconds, nor after a bundle has carried the run elsewhere."""
    login = {"POST": "/echo", "name": "login", "body": "me"}
    journey = {"before_user": [login], "steps": [{"GET": "/", "name": "list"}]}
    plan = {
        "name": "shop",
        "base_url": target.url,
        "load": {"users": 4},
        "total_requests": 30,
        "scenarios": {"order": journey},
    }
    run_id = client.post("/runs", json={"spec": plan}).json()["id"]
    assert ended(client, run_id)["status"] == "completed"
    result = client.get(f"/runs/{run_id}/result").json()
    assert result["scenarios"][0]["before_user"][0]["started"] == 4
    assert target.settled_stats().received == 34
    bundle = client.get(f"/runs/{run_id}/bundle").content
    assert client.post("/import/bundle", params={"id": "copy"}, content=bundle).status_code == 201
    for run in (run_id, "copy"):
        metrics = client.get(f"/runs/{run}/result").json()["metrics"]
        assert metrics["total_requests"] == 30
        for resolution in ("0", "1", "10", "60"):
            answer = client.get(f"/runs/{run}/intervals", params={"merge": "true", "resolution": resolution}).json()
            for series in (answer["points"], answer["window"]["endpoints"]):
                assert sum(point["started"] for point in series) == metrics["total_requests"]
                assert sum(point["ok"] for point in series) == metrics["successful_requests"]
            (whole,) = answer["window"]["endpoints"]
            assert whole["bytes_received"] == metrics["total_bytes_received"]
            assert whole["latency"]["p99_ms"] == metrics["latency_p99_ms"]
            assert whole["statuses"] == metrics["status_code_counts"]
        samples = client.get(f"/runs/{run}/distribution").json()["samples"]
        assert samples == metrics["total_requests"]
        logins = client.get(f"/runs/{run}/intervals", params={"endpoint": "order/before_user/login"}).json()
        assert sum(point["started"] for point in logins["points"]) == 4


@pytest.mark.parametrize(
    ("order", "model"), [({"rate": 10}, "open"), ({"users": 1, "max_rate": 10}, "mixed")], ids=["open", "mixed"]
)
def test_the_figures_so_far_know_the_loads_of_scenarios(
    client: httpx.Client, target: TargetServer, order: dict[str, Any], model: str
) -> None:
    """Arrivals are offered only where all loads are open, as in the result."""
    journeys = {
        "browse": {"load": {"rate": 20}, "steps": [{"GET": "/", "name": "list"}, {"GET": "/", "name": "open"}]},
        "order": {"load": order, "steps": [{"GET": "/", "name": "list"}, {"GET": "/", "name": "open"}]},
    }
    plan = {"name": "shop", "base_url": target.url, "duration": 3, "scenarios": journeys}
    run_id = client.post("/runs", json={"spec": plan}).json()["id"]
    measured = [run["metrics"] for run in while_running(client, run_id) if run["metrics"]["total_requests"]]
    result = client.get(f"/runs/{run_id}/result").json()
    assert result["run"]["model"] == model
    assert (result["metrics"]["offered_rate"] is None) == (model == "mixed")
    assert measured
    assert {metrics["offered_rate"] is None for metrics in measured} == {model == "mixed"}


def test_one_sample_is_named_by_iteration_step_and_place(client: httpx.Client, target: TargetServer) -> None:
    steps = [
        {"repeat": 2, "steps": [{"GET": "/", "name": "list"}]},
        {"POST": "/echo", "name": "order", "body": "one"},
    ]
    plan = {
        "name": "shop",
        "base_url": target.url,
        "load": {"users": 1},
        "total_requests": 1,
        "scenarios": {"browse": {"steps": steps}},
    }
    run_id = client.post("/runs", json={"spec": plan}).json()["id"]
    assert ended(client, run_id)["status"] == "completed"
    samples = client.get(f"/runs/{run_id}/samples").json()
    assert [sample["request_number"] for sample in samples] == [1, 1, 1]

    def at(**query: Any) -> Any:
        return client.get(f"/runs/{run_id}/requests/1", params=query).json()

    named = [at(endpoint="browse/list"), at(endpoint="browse/list", nth=2), at(endpoint="browse/order")]
    by_start = sorted(samples, key=lambda sample: sample["at_seconds"])
    assert [sample["at_seconds"] for sample in named] == [sample["at_seconds"] for sample in by_start]
    assert [at(nth=nth) for nth in (1, 2, 3)] == named
    assert at() == named[0]
    missing = client.get(f"/runs/{run_id}/requests/1", params={"endpoint": "browse/list", "nth": 3})
    assert (missing.status_code, missing.json()["code"]) == (404, "sample_not_found")
    assert missing.json()["detail"] == f"run {run_id} has no sample number 3 of request 1 at 'browse/list'"
    assert missing.json()["errors"][0]["hint"] == "sampled requests: 2 of browse/list"
    assert at(endpoint="browse/pay")["errors"][0]["hint"] == "sampled requests: 2 of browse/list, 1 of browse/order"


def while_running(client: httpx.Client, run_id: str) -> Iterator[Any]:
    """Yield what the API says of a run until it has ended."""
    while True:
        answer = client.get(f"/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        run = answer.json()
        if run["status"] not in ("pending", "running"):
            return
        yield run
        time.sleep(0.1)


def test_a_scenario_that_starts_late_has_a_rate_of_its_own_time(client: httpx.Client, target: TargetServer) -> None:
    early = {"load": {"rate": 20}, "steps": [{"GET": "/fixed", "name": "a"}]}
    late = {"load": {"rate": 20}, "start_after": "2s", "steps": [{"GET": "/fixed", "name": "b"}]}
    scenarios = {"early": early, "late": late}
    test = {"name": "late", "base_url": target.url, "duration": 4, "scenarios": scenarios, "thresholds": []}
    run_id = client.post("/runs", json={"spec": test}).json()["id"]
    assert ended(client, run_id)["status"] == "completed"
    windows: list[dict[str, int]] = [{}, {"start": 2, "end": 4}, {"start": 1, "end": 3}]
    for window in windows:
        parameters: dict[str, str | int] = {"merge": "true", **window}
        found = client.get(f"/runs/{run_id}/intervals", params=parameters).json()["window"]["scenarios"][1]
        planned = min(window.get("end", 4), 4) - 2
        # Over the whole window it would be a half or two thirds of this.
        assert found["iterations_per_second"] == pytest.approx(found["completed"] / planned, rel=0.2), window
