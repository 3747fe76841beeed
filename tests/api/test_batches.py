"""Batches over the API: choice of tests, state, cancel, reports, repeated requests, and a restart of the server."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer
from tests.cli.program import atm


@pytest.fixture(scope="module")
def batch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("batches") / "data", ATM_MAX_CONCURRENT_RUNS="2")
    yield started.ready()
    started.stop()


@pytest.fixture
def control(batch_server: ApiServer, target: TargetServer) -> Iterator[httpx.Client]:
    with batch_server.client() as client:
        for name, tags in (("fast", ["smoke"]), ("other", ["smoke", "slow"])):
            spec = {"name": name, "url": f"{target.url}/users", "total_requests": 5, "concurrency": 1}
            assert client.post("/tests", json={"spec": spec, "tags": tags}).status_code == 201
        spec = {"name": "off", "url": f"{target.url}/users", "duration": "5m", "requests_per_second": 5}
        assert client.post("/tests", json={"spec": spec, "enabled": False, "tags": ["smoke"]}).status_code == 201
        yield client
        for name in ("fast", "other", "off"):
            client.delete(f"/tests/{name}")


def ended(client: httpx.Client, batch: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        view: dict[str, Any] = client.get(f"/batches/{batch}").json()
        if view["completed_at"]:
            return view
        assert time.monotonic() < deadline, view
        time.sleep(0.3)


def test_a_batch_has_an_outcome_its_tests_and_reports(control: httpx.Client, batch_server: ApiServer) -> None:
    answer = control.post("/tests/run-all", json={"repetitions": 2, "max_concurrency": 1, "tags": ["smoke"]})
    assert answer.status_code == 202, answer.text
    started = answer.json()
    batch = started["batch_id"]
    assert str(uuid.UUID(batch)) == batch
    assert started["run_ids"] == [run["id"] for run in started["runs"]]
    assert len(started["run_ids"]) == 2 * started["total_tests"] == 4
    view = ended(control, batch)
    assert [(test["name"], len(test["runs"])) for test in view["tests"]] == [("fast", 2), ("other", 2)]
    assert [run["id"] for test in view["tests"] for run in test["runs"]] == started["run_ids"]
    # A busy machine can make any measurement invalid.
    assert view["outcome"] in ("passed", "invalid")
    assert (view["total_runs"], sum(view["outcomes"].values()), view["max_concurrency"]) == (4, 4, 1)
    assert control.get("/batches").json()["batches"][0]["id"] == batch
    listed = control.get("/runs", params={"batch": batch, "order": "oldest"}).json()["runs"]
    spans = sorted((run["started_at"], run["completed_at"]) for run in listed)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
    assert sorted(run["id"] for run in listed) == sorted(started["run_ids"])
    junit = control.get(f"/batches/{batch}/report.xml")
    suites = ElementTree.fromstring(junit.content)
    assert [suite.get("name") for suite in suites] == ["fast", "fast", "other", "other"]
    markdown = control.get(f"/batches/{batch}/report.md").text
    assert "| fast (2 of 2) | " in markdown
    assert control.post(f"/batches/{batch}/cancel").json()["cancelled"] == 0
    shown = atm(batch_server.data_dir, "batch", "show", batch[:8], "--server", batch_server.url)
    assert (shown.code, "2/2 other" in shown.out) == (0, True), shown.err
    listing = atm(batch_server.data_dir, "batch", "list", "--server", batch_server.url)
    assert batch[:8] in listing.out
    report = control.get("/tests/report", params={"tag": "smoke"})
    assert (report.headers["content-type"], report.content[:5]) == ("application/pdf", b"%PDF-")
    file = batch_server.data_dir / "tests.pdf"
    written = atm(batch_server.data_dir, "tests", "report", "-o", str(file), "--server", batch_server.url)
    assert (written.code, file.read_bytes()[:5]) == (0, b"%PDF-"), written.err
    actions = [entry["action"] for entry in control.get("/audit", params={"object_id": batch}).json()["entries"]]
    assert "batch.create" in actions


def test_a_repeated_request_starts_one_batch_and_another_request_with_its_key_is_a_conflict(
    control: httpx.Client,
) -> None:
    key = {"Idempotency-Key": "release-7"}
    body = {"tests": ["fast"]}
    first, second = (control.post("/tests/run-all", json=body, headers=key).json() for _ in range(2))
    assert (first["batch_id"], first["run_ids"]) == (second["batch_id"], second["run_ids"])
    assert ended(control, first["batch_id"])["total_runs"] == 1
    other = control.post("/tests/run-all", json={**body, "repetitions": 2}, headers=key)
    assert other.status_code == 409


def test_what_cannot_be_a_batch_is_refused(control: httpx.Client) -> None:
    missing = control.post("/tests/run-all", json={"tests": ["fast", "gone"]})
    assert missing.status_code == 404
    assert control.get("/batches/gone").status_code == 404
    assert control.post("/batches/gone/cancel").status_code == 404
    assert control.get("/batches/gone/report.xml").status_code == 404
    nothing = control.post("/tests/run-all", json={"tests": ["off"]}).json()
    assert (nothing["run_ids"], nothing["message"]) == ([], "0 runs of 0 tests accepted")


def test_a_batch_is_cancelled_with_its_queued_runs(control: httpx.Client) -> None:
    body = {"tests": ["off"], "enabled_only": False, "repetitions": 3, "max_concurrency": 1}
    batch = control.post("/tests/run-all", json=body).json()["batch_id"]
    assert control.post(f"/batches/{batch}/cancel").json()["cancelled"] == 3
    view = ended(control, batch)
    assert (view["outcome"], view["outcomes"]) == ("cancelled", {"cancelled": 3})


def test_the_command_line_runs_a_batch_and_waits_for_it(control: httpx.Client, batch_server: ApiServer) -> None:
    del control
    flags = ("--server", batch_server.url, "--tag", "slow", "--repetitions", "2")
    said = atm(batch_server.data_dir, "batch", "run", *flags)
    assert said.code in (0, 4), said.err
    assert "2/2 other" in said.out
    nothing = atm(batch_server.data_dir, "batch", "run", "--server", batch_server.url, "--tag", "none")
    assert (nothing.code, "[no_tests]" in nothing.err) == (2, True)


def test_a_batch_continues_after_a_restart_of_the_server(tmp_path: Path, target: TargetServer) -> None:
    server = ApiServer(tmp_path / "data", ATM_MAX_RUNS="1").ready()
    try:
        with server.client() as client:
            spec = {"name": "again", "url": f"{target.url}/delay/100", "total_requests": 10, "concurrency": 1}
            assert client.post("/tests", json={"spec": spec}).status_code == 201
            batch = client.post("/tests/run-all", json={"repetitions": 2}).json()["batch_id"]
            assert client.get(f"/batches/{batch}").json()["completed_at"] is None
        server.stop()
        server = ApiServer(tmp_path / "data").ready()
        with server.client() as client:
            view = ended(client, batch)
        assert view["total_runs"] == 2
        assert view["outcome"] in ("passed", "invalid")
    finally:
        server.stop()
