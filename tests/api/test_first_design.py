"""The contract of the first design, as its clients use it: what they send is taken, and they find what they read."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer

pytestmark = pytest.mark.timeout(180)

PATHS = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())["paths"]
ROUTES = sorted((method.upper(), path) for path, operations in PATHS.items() for method in operations)
ENDED = ("completed", "cancelled", "failed")
SPEC_FIELDS = {
    *("name", "description", "url", "method", "headers", "body", "endpoints", "distribution_strategy"),
    *("total_requests", "concurrency", "requests_per_second", "timeout_seconds", "thresholds"),
    *("expected_status_codes", "variables", "auth"),
}


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def started(client: httpx.Client, **spec: Any) -> str:
    answer = client.post("/runs", json={"spec": {"name": "first", **spec}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def until(client: httpx.Client, run_id: str, done: Any, seconds: float = 150) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not done(view := client.get(f"/runs/{run_id}").json()):
        assert time.monotonic() < deadline, view
        time.sleep(0.1)
    found: dict[str, Any] = view
    return found


def has_ended(view: dict[str, Any]) -> bool:
    return view["status"] in ENDED


def test_the_command_line_polls_a_run_from_its_first_moment_and_cancels_it(
    client: httpx.Client, target: TargetServer
) -> None:
    run_id = started(client, url=f"{target.url}/fixed", requests_per_second=20, duration=60)
    assert uuid.UUID(run_id).version == 4
    first = client.get(f"/runs/{run_id}").json()
    assert first["metrics"]["total_requests"] >= 0
    assert set(first["spec"]) >= SPEC_FIELDS
    assert first["spec"]["timeout_seconds"] == 30.0
    # Sampled requests can be stored after the counts of their second.
    until(client, run_id, lambda view: view["sampled_requests"])
    seen = until(client, run_id, lambda view: view["metrics"]["successful_requests"] >= 20)
    assert seen["status"] == "running"
    assert seen["metrics"]["latency_p95_ms"] > 0
    assert seen["sampled_requests"][0]["status_code"] == 200
    later = until(client, run_id, lambda view: view["metrics"]["total_requests"] > seen["metrics"]["total_requests"])
    assert later["metrics"]["successful_requests"] >= seen["metrics"]["successful_requests"]
    [entry] = later["endpoint_metrics"]
    assert entry["metrics"]["total_requests"] == entry["total_requests"] == later["metrics"]["total_requests"]
    assert entry["endpoint_name"] == entry["name"]
    cancelled = client.post(f"/runs/{run_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["id"]) == (200, run_id)
    until(client, run_id, has_ended)
    deleted = client.delete(f"/runs/{run_id}")
    assert (deleted.status_code, deleted.json()["id"], deleted.json()["deleted"]) == (200, run_id, True)


def test_live_figures_are_those_of_the_stream(client: httpx.Client, target: TargetServer) -> None:
    run_id = started(client, url=f"{target.url}/delay/5", requests_per_second=50, duration=4)
    until(client, run_id, lambda view: view["metrics"]["successful_requests"] > 0)
    view = until(client, run_id, has_ended)
    intervals = client.get(f"/runs/{run_id}/intervals?resolution=0").json()
    [whole] = [point for point in intervals["points"] if point["endpoint"] is None]
    assert whole["completed"] == view["metrics"]["successful_requests"] + view["metrics"]["failed_requests"]
    assert whole["latency"]["p95_ms"] == view["metrics"]["latency_p95_ms"]


def test_a_run_is_found_by_the_beginning_of_its_id_and_in_capitals(client: httpx.Client, target: TargetServer) -> None:
    run_id = started(client, url=f"{target.url}/fixed", total_requests=3)
    until(client, run_id, has_ended)
    for written in (run_id[:8], run_id.upper(), run_id[:8].upper()):
        for path in ("", "/result", "/samples", "/intervals"):
            assert client.get(f"/runs/{written}{path}").status_code == 200, (written, path)
    assert client.get("/runs/" + "0" * 30).status_code == 404


def test_what_is_answered_can_be_sent_back(client: httpx.Client, target: TargetServer) -> None:
    for spec in (
        {"url": f"{target.url}/fixed", "total_requests": 3},
        {"url": f"{target.url}/fixed", "duration": 1, "concurrency": 1, "timeout_seconds": 5},
        {"url": f"{target.url}/fixed", "load": {"users": 1}, "total_requests": 2, "thresholds": ["p99 < 9s"]},
        {"endpoints": [{"name": "a", "url": f"{target.url}/fixed"}], "total_requests": 2},
        {"scenarios": {"a": {"load": {"rate": 9}, "steps": [{"GET": f"{target.url}/fixed"}]}}, "duration": 1},
        {"scenarios": {"a": {"load": {"users": 1}, "steps": [{"GET": f"{target.url}/fixed"}]}}},
    ):
        first = started(client, **spec)
        view = client.get(f"/runs/{first}").json()
        again = client.post("/runs", json={"spec": view["spec"]})
        assert again.status_code == 202, again.text
        second = client.get(f"/runs/{again.json()['id']}").json()
        # What waits ends at once, without a process of its own.
        for run_id in (again.json()["id"], first):
            client.post(f"/runs/{run_id}/cancel")
        assert second["spec"] == view["spec"]
        assert (second["total_requests"], second["concurrency"]) == (view["total_requests"], view["concurrency"])


def test_a_request_is_read_by_its_number(client: httpx.Client, target: TargetServer) -> None:
    run_id = started(client, url=f"{target.url}/fixed", total_requests=40, concurrency=1)
    view = until(client, run_id, has_ended)
    kept = {each["request_number"] for each in view["sampled_requests"]}
    number = max(kept)
    found = client.get(f"/runs/{run_id}/requests/{number}").json()
    assert (found["request_number"], found["endpoint_name"]) == (number, found["endpoint"])
    assert (found["latency_ms"], found["status_code"]) == (found["response_ms"], 200)
    assert found["request_url"] == f"{target.url}/fixed"
    assert {"Host", "host"} & set(found["request_headers"])
    missing = min(set(range(1, 41)) - kept)
    answer = client.get(f"/runs/{run_id}/requests/{missing}")
    assert (answer.status_code, answer.json()["code"]) == (404, "sample_not_found")


def test_the_monitor_reads_health_runs_and_schedules(client: httpx.Client, target: TargetServer) -> None:
    health = client.get("/health").json()
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None
    body = {
        "name": "monitored",
        "trigger": {"type": "interval", "hours": 5},
        "test_name": "kept for the monitor",
    }
    kept = {"spec": {"name": "kept for the monitor", "url": f"{target.url}/fixed", "total_requests": 2}}
    assert client.post("/tests", json=kept).status_code == 201
    made = client.post("/schedules", json=body)
    assert made.status_code == 201, made.text
    listed = client.get("/schedules").json()
    [view] = [each for each in listed["schedules"] if each["name"] == "monitored"]
    assert listed["total"] == len(listed["schedules"])
    assert (view["test_name"], view["trigger_type"], view["paused"]) == ("kept for the monitor", "interval", False)
    assert client.post("/schedules/monitored/pause").json()["paused"] is True
    conflict = client.post("/schedules", json={**body, "name": "both", "test": "another"})
    assert conflict.status_code == 422
    gone = client.delete("/schedules/monitored")
    assert (gone.status_code, gone.json()["id"]) == (200, view["id"])
    assert client.delete("/tests/kept for the monitor").json()["deleted"] is True


def test_the_list_of_tests_has_both_names_and_a_sync_says_how_many_it_made(client: httpx.Client) -> None:
    listed = client.get("/tests").json()
    assert (listed["configs"], listed["total"]) == (listed["tests"], len(listed["tests"]))
    synced = client.post("/tests/sync").json()
    assert synced["synced"] == len(synced["created"])
    for name in synced["created"]:
        client.delete(f"/tests/{name}")


def test_storage_says_what_it_is_by_both_sets_of_names(client: httpx.Client) -> None:
    view = client.get("/storage/status").json()
    assert view["storage_type"] == view["kind"]
    assert view["database_path"] == view["location"]
    assert view["database_size_bytes"] == view["size_bytes"]
    assert view["total_runs"] == sum(view["runs"].values())


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_no_route_takes_what_it_does_not_know(client: httpx.Client, method: str, path: str) -> None:
    values = dict.fromkeys(("test", "schedule", "key"), "x")
    shown = path
    for part in path.split("/"):
        if part.startswith("{"):
            name = part[1:-1].partition(":")[0]
            value = "00000000-0000-4000-8000-000000000000" if name == "run_id" else "1" if name == "number" else "x"
            shown = shown.replace(part, values.get(name, value))
    whole = client.base_url.copy_with(path=shown)
    answer = client.request(method, whole, params={"bogus_parameter": "1"})
    codes = [each["code"] for each in answer.json()["errors"]]
    assert (answer.status_code, "unknown_parameter" in codes) == (422, True), answer.text
    takes_any_bytes = path.endswith("/bundle") or (method == "PUT" and path.endswith("/files/{file}"))
    if method == "GET" or takes_any_bytes:
        return
    answer = client.request(method, whole, json={"bogus_field": 1})
    errors = answer.json()["errors"]
    assert answer.status_code == 422, answer.text
    assert any(each["path"] == "body.bogus_field" for each in errors), errors
