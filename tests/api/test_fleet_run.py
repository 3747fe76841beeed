"""A run on several processes of a server: stored with its workers, within the limit, and cancelled with all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.contract.engine_runs import open_connections

CLUSTER = "ray://head.test:10001"


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory: Path = tmp_path_factory.mktemp("fleet")
    server = ApiServer(directory, ATM_MAX_PROCESSES="2", ATM_FLEET_CLUSTERS=CLUSTER).ready()
    try:
        with server.client() as client:
            yield client
    finally:
        server.stop()


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {"name": "fleet", "url": f"{target.url}/", "load": {"rate": 50}, "fleet": {"processes": 2}, **fields}


def test_a_run_on_a_server_has_its_workers_in_the_stored_result(allowing: httpx.Client, target: TargetServer) -> None:
    run_id = allowing.post("/runs", json={"spec": spec(target, duration=2)}).json()["id"]
    assert ended(allowing, run_id)["status"] == "completed"
    result = allowing.get(f"/runs/{run_id}/result").json()
    assert [worker["requests"] for worker in result["fleet"]["workers"]] == [50, 50]
    assert result["metrics"]["total_requests"] == target.settled_stats().completed == 100


def test_more_processes_than_the_server_allows_are_refused(allowing: httpx.Client, target: TargetServer) -> None:
    answer = allowing.post("/runs", json={"spec": spec(target, duration=2, fleet={"processes": 3})})
    assert answer.status_code == 422
    assert "this server allows 2" in answer.text


def test_the_limits_of_a_server_name_its_clusters_and_no_other_cluster_is_accepted(
    allowing: httpx.Client, target: TargetServer
) -> None:
    limits = allowing.get("/server").json()["limits"]
    assert (limits["max_processes"], limits["fleet_clusters"]) == (2, [CLUSTER])

    def errors(cluster: str) -> list[dict[str, Any]]:
        fleet = {"on": cluster, "workers": 2}
        answer = allowing.post("/specs/validate", json={"spec": spec(target, duration=2, fleet=fleet)}).json()
        found: list[dict[str, Any]] = answer["errors"]
        return found

    assert errors(CLUSTER) == []
    [refused] = errors("ray://other.test:10001")
    assert f"Allowed: {CLUSTER}" in refused["hint"]


def test_a_run_in_progress_has_its_workers_in_the_run_the_events_and_the_metrics(
    allowing: httpx.Client, target: TargetServer
) -> None:
    run_id = allowing.post("/runs", json={"spec": spec(target, duration=300)}).json()["id"]
    while not (workers := (run := allowing.get(f"/runs/{run_id}").json()).get("workers")):
        assert run["status"] in ("pending", "running")
        time.sleep(0.1)
    assert [worker["name"] for worker in workers] == ["worker 1", "worker 2"]
    assert {worker["state"] for worker in workers} == {"running"}
    assert {worker["share"] for worker in workers} == {0.5}
    assert all(worker["measurement"] in ("valid", "suspect", "invalid") for worker in workers)
    exported = allowing.get(allowing.base_url.join("/metrics")).text
    assert f'atm_worker_up{{host="{workers[0]["host"]}",run="{run_id}",test="fleet",worker="worker 1"}} 1.0' in exported
    with allowing.stream("GET", f"/runs/{run_id}/events") as events:
        seconds = (json.loads(line[6:]) for line in events.iter_lines() if line.startswith('data: {"second"'))
        assert [worker["name"] for worker in next(seconds)["workers"]] == ["worker 1", "worker 2"]
    while target.stats().received < 50:
        assert allowing.get(f"/runs/{run_id}").json()["status"] == "running"
        time.sleep(0.1)
    assert allowing.post(f"/runs/{run_id}/cancel").status_code == 200
    assert ended(allowing, run_id)["status"] == "cancelled"
    assert "workers" not in allowing.get(f"/runs/{run_id}").json()
    # It leaves no worker behind.
    assert open_connections(target, 30) == 0
