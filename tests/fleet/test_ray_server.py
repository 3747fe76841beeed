"""Runs on a real Ray cluster, started, followed, stopped and cancelled over the HTTP API of a server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer, ended, events
from tests.contract.engine_runs import open_connections
from tests.fleet.processes import is_running
from tests.fleet.ray_cluster import RayCluster


@pytest.fixture(scope="module")
def client(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = ApiServer(tmp_path_factory.mktemp("ray"), ATM_FLEET_CLUSTERS=str(ray_cluster.address)).ready()
    try:
        with server.client() as client:
            yield client
    finally:
        server.stop()


def started(client: httpx.Client, cluster: RayCluster, target: TargetServer, **fleet: Any) -> str:
    spec = {"name": "on ray", "url": f"{target.url}/", "load": {"rate": 40}, "duration": 300}
    answer = client.post("/runs", json={"spec": {**spec, "fleet": {"on": str(cluster.address), "workers": 2, **fleet}}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_run_on_a_cluster_is_followed_and_stopped(
    ray_cluster: RayCluster, client: httpx.Client, target: TargetServer
) -> None:
    run_id = started(client, ray_cluster, target)
    for _, kind, data in events(client, run_id):
        if kind == "interval" and data["second"] >= 1:
            assert [worker["state"] for worker in data["workers"]] == ["running", "running"]
            assert [worker["name"].partition(" on ")[0] for worker in data["workers"]] == ["worker 1", "worker 2"]
            break
    assert client.post(f"/runs/{run_id}/cancel", params={"graceful": True}).status_code == 200
    assert ended(client, run_id)["outcome"] == "stopped"
    result = client.get(f"/runs/{run_id}/result").json()
    assert result["metrics"]["total_requests"] == target.settled_stats().completed
    assert result["run"]["engine_reason"].endswith(f"on 2 workers of {ray_cluster.address}")
    assert ray_cluster.workers() == []
    assert open_connections(target, 30) == 0


def test_a_cancelled_run_on_a_cluster_leaves_nothing_behind_even_of_a_stopped_worker(
    ray_cluster: RayCluster, client: httpx.Client, target: TargetServer
) -> None:
    run_id = started(client, ray_cluster, target, on_loss="continue")
    while target.stats().received < 60:
        assert client.get(f"/runs/{run_id}").json()["status"] in ("pending", "running")
    workers = ray_cluster.workers()
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGSTOP)
    assert client.post(f"/runs/{run_id}/cancel").status_code == 200
    assert ended(client, run_id)["status"] == "cancelled"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ray_cluster.workers() == []
    assert open_connections(target, 30) == 0
