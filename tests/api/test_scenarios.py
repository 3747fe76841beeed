"""What the API tells of the scenarios and checks of a run: result, series, windows, events and metrics."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from atm.metrics.interval import Interval
from tests.api.server import ApiServer
from tests.api.stored_shop import store_shop
from tests.metrics.shop import shop_result, shop_seconds


@dataclass
class Shop:
    server: ApiServer
    run_id: str

    def get(self, path: str, **query: str) -> httpx.Response:
        with self.server.client() as client:
            response = client.get(f"/runs/{self.run_id}{path}", params=query)
        assert response.status_code == 200, response.text
        return response


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop") / "data"
    directory.mkdir()
    run_id = store_shop(directory, shop_result(), shop_seconds())
    server = ApiServer(directory)
    yield Shop(server.ready(), run_id)
    server.stop()


def test_the_result_has_scenarios_and_checks(shop: Shop) -> None:
    result = shop.get("/result").json()
    assert [(entry["name"], entry["due"], entry["completed"]) for entry in result["scenarios"]] == [
        ("browse", 33, 20),
        ("order", 10, 10),
    ]
    assert result["checks"][1]["passed_share"] == 0.95


def test_the_series_has_points_of_scenarios_and_checks(shop: Shop) -> None:
    answer = shop.get("/intervals", resolution="1").json()
    browse = [point for point in answer["iterations"] if point["scenario"] == "browse"]
    assert [(point["start"], point["warm_up"], point["completed"]) for point in browse] == [
        (0, True, 5),
        (1, False, 10),
        (2, False, 6),
        (3, False, 4),
    ]
    assert browse[1]["iteration_time"]["p50_ms"] == pytest.approx(1000, rel=1e-3)
    judged = [point for point in answer["checks"] if point["check"] == "in stock known"]
    assert [(point["start"], point["passed"], point["failed"]) for point in judged] == [
        (1, 10, 0),
        (2, 5, 1),
        (3, 4, 0),
    ]
    assert {point["endpoint"] for point in judged} == {"browse/open"}


def test_a_window_has_the_figures_of_its_seconds(shop: Shop) -> None:
    whole = shop.get("/intervals", merge="true").json()["window"]
    browse = whole["scenarios"][0]
    assert (browse["due"], browse["completed"], browse["failed"], browse["unfinished"]) == (33, 20, 8, 2)
    assert browse["iterations_per_second"] == 8.0
    assert [step["reached"] for step in browse["steps"]] == [28, 20]
    second = shop.get("/intervals", merge="true", start="2", end="3").json()["window"]
    assert [step["reached"] for step in second["scenarios"][0]["steps"]] == [12, 6]
    assert second["scenarios"][0]["iteration_time"]["p95_ms"] == pytest.approx(2000, rel=1e-3)
    assert (second["checks"][1]["passed"], second["checks"][1]["failed"]) == (5, 1)


def test_events_tell_scenarios_so_far(shop: Shop) -> None:
    lines = shop.get("/events").text.splitlines()
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    started, *seconds = [event for event in data if event["kind"] in ("started", "interval")]
    assert [scenario["name"] for scenario in started["scenarios"]] == ["browse", "order"]
    assert started["checks"][0] == {"name": "status == 200", "endpoint": 0}
    assert [event["so_far"]["scenarios"][0]["completed"] for event in seconds] == [0, 10, 16, 20]
    assert [event["so_far"]["scenarios"][0]["iterations_per_second"] for event in seconds[1:]] == [10.0, 6.0, 4.0]
    assert seconds[-1]["so_far"]["checks"][1]["failed"] == 1


def test_prometheus_gets_iterations_and_checks(shop: Shop) -> None:
    with httpx.Client(trust_env=False) as client:
        text = client.get(f"{shop.server.url}/metrics").text
    labels = f'run="{shop.run_id}",scenario="browse",test="shop"'
    of_check = f'check="in stock known",endpoint="browse/open",result="failed",run="{shop.run_id}",test="shop"'
    lines = text.splitlines()
    completed = f'atm_iterations_total{{outcome="completed",{labels}}} 20.0'
    assert completed in lines
    assert f"atm_iteration_duration_seconds_count{{{labels}}} 20.0" in lines
    assert f"atm_checks_total{{{of_check}}} 1.0" in lines


def test_the_bundle_of_a_run_keeps_its_iterations(shop: Shop) -> None:
    lines = gzip.decompress(shop.get("/bundle").content).decode().splitlines()
    intervals = [document["interval"] for document in map(json.loads, lines) if "interval" in document]
    exported = [Interval.from_bytes(json.dumps(interval).encode()) for interval in intervals]
    assert [second.iterations for second in exported] == [second.iterations for second in shop_seconds()]
    assert [second.checks for second in exported] == [second.checks for second in shop_seconds()]


def test_a_comparison_has_scenarios_and_checks(shop: Shop) -> None:
    with shop.server.client() as client:
        answer = client.get("/compare", params={"a": shop.run_id, "b": shop.run_id}).json()
    browse = answer["scenarios"][0]
    changes = {difference["name"]: difference for difference in browse["differences"]}
    assert browse["name"] == "browse"
    assert changes["iteration_time_p95_ms"]["a"] == pytest.approx(3000, rel=1e-3)
    assert (changes["iterations_per_second"]["change"], changes["failed"]["b"]) == (0.0, 8)
    assert [(check["name"], check["a"]["failed"]) for check in answer["checks"]][:2] == [
        ("status == 200", 0),
        ("in stock known", 1),
    ]
