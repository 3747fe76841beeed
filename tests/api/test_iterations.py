"""Sampled iterations of a run on a server, from both of its storages of samples: the result, and a run in progress."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from atm.client import ControlClient
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    login = {
        "POST": "/echo",
        "name": "login",
        "json": {"user": "{{iteration}}"},
        "extract": {"token": "$.method", "path": "$.target"},
        "checks": {"ok": "status == 200", "slow": {"check": "time > 10m", "counts_only": True}},
    }
    steps = [login, {"think": "2ms"}, {"GET": "/status/503", "name": "open"}]
    return {
        "name": "sampled",
        "base_url": target.url,
        "concurrency": 1,
        "total_requests": 8,
        "scenarios": {"shop": {"steps": steps}},
        **fields,
    }


@pytest.fixture(scope="module")
def sampled(server: ApiServer, running_target: TargetServer) -> str:
    """A run that has ended."""
    with server.client() as client:
        run_id: str = client.post("/runs", json={"spec": spec(running_target)}).json()["id"]
        ended(client, run_id)
    return run_id


def test_the_sampled_iterations_of_a_run_are_listed_and_read(client: httpx.Client, sampled: str) -> None:
    run_id = sampled
    listed = client.get(f"/runs/{run_id}/iterations").json()
    by_reason: dict[str, list[int]] = {}
    for entry in listed:
        by_reason.setdefault(entry["reason"], []).append(entry["number"])
        assert (entry["scenario"], entry["user"], entry["outcome"]) == ("shop", 1, "completed")
        assert (entry["requests"], entry["failed_step"]) == (2, "shop/open")
    assert by_reason["first"] == [1, 2]
    assert by_reason["failure"] == [3, 4, 5]
    assert client.get(f"/runs/{run_id}/iterations", params={"reason": "first"}).json() == listed[:2]
    assert client.get(f"/runs/{run_id}/iterations", params={"scenario": "none"}).json() == []
    for entry in listed:
        one = client.get(f"/runs/{run_id}/iterations/{entry['number']}", params={"scenario": "shop"}).json()
        login, opened = one["steps"]
        assert login["request_body"] == f'{{"user":"{entry["number"]}"}}'
        assert login["checks"] == [{"name": "ok", "passed": True}, {"name": "slow", "passed": False}]
        assert login["values"] == [{"name": "token", "value": "***"}, {"name": "path", "value": "/echo"}]
        assert (login["think_ms"], opened["think_ms"]) == (0, 2)
        assert (opened["status"], opened["outcome"]) == (503, "unexpected_status")
        assert one["time_ms"] == entry["time_ms"] >= one["active_ms"] + 2 - 1e-6
    announced = [
        json.loads(line.removeprefix("data: "))
        for line in client.get(f"/runs/{run_id}/events").text.splitlines()
        if line.startswith("data: ") and '"kind":"iteration"' in line.replace(" ", "")
    ]
    assert {event["number"] for event in announced} == {1, 2, 3, 4, 5}
    assert {(event["scenario"], event["outcome"]) for event in announced} == {("shop", "completed")}
    result = client.get(f"/runs/{run_id}/result").json()
    assert [entry["number"] for entry in result["sampled_iterations"]] == [entry["number"] for entry in listed]
    assert {sample["endpoint"] for sample in result["samples"]} == {"shop/login", "shop/open"}
    missing = client.get(f"/runs/{run_id}/iterations/99")
    assert missing.status_code == 404
    assert "sampled iterations: shop 1, shop 2" in missing.text
    assert client.get("/runs/no-such-run/iterations").status_code == 404


def test_a_run_in_progress_has_its_first_iterations(client: httpx.Client, target: TargetServer) -> None:
    endless = spec(target, duration=60)
    del endless["total_requests"]
    run_id = client.post("/runs", json={"spec": endless}).json()["id"]
    while not client.get(f"/runs/{run_id}/iterations").json():
        assert client.get(f"/runs/{run_id}").json()["status"] in ("pending", "running")
        time.sleep(0.1)
    assert client.get(f"/runs/{run_id}/iterations/1").json()["steps"][1]["status"] == 503
    assert all(sample["endpoint"] for sample in client.get(f"/runs/{run_id}/samples").json())
    client.post(f"/runs/{run_id}/cancel")
    ended(client, run_id)


def test_the_client_reads_iterations(server: ApiServer, sampled: str) -> None:
    async def read() -> None:
        async with ControlClient(server.url) as control:
            first, second = await control.iterations(sampled, scenario="shop", reason="first")
            assert (first.number, second.number) == (1, 2)
            assert (await control.iteration(sampled, 2, scenario="shop")).time_ms == second.time_ms

    asyncio.run(read())
