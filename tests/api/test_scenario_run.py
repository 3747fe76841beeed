"""A run of scenarios on a server: the stored series, the window and the result agree with each other and the target."""

from __future__ import annotations

import time
from typing import Any

import httpx

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
    assert ended(client, run_id)["status"] == "completed"
    result = client.get(f"/runs/{run_id}/result").json()
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


def test_the_figures_so_far_name_the_steps(client: httpx.Client, target: TargetServer) -> None:
    run_id = client.post("/runs", json={"spec": spec(target)}).json()["id"]
    named: list[list[str]] = []
    while True:
        answer = client.get(f"/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        if answer.json()["status"] not in ("pending", "running"):
            break
        named.append([entry["name"] for entry in answer.json()["endpoint_metrics"]])
        time.sleep(0.05)
    assert list(STEPS) in named
    assert all(names in ([], list(STEPS)) for names in named)
