"""Metrics that a Python file declares: in reports, in the history, over the API, and for Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.cli.program import atm
from tests.code.files import written

CODE = """
atm.test(base_url={url!r}, duration="3s", load={{"users": 2, "warm_up": 1}}, thresholds=["metric paid > 5 €"])
orders = atm.Counter("orders")
paid = atm.Counter("paid", unit="€")
size = atm.Trend("basket size")
stock = atm.Gauge("stock")
never = atm.Trend("never")


@atm.scenario
async def shop(user):
    await user.get("/delay/20", name="list")
    orders.add()
    paid.add(9.99)
    size.add(user.iteration % 5)
    stock.set(1000 - user.iteration)
"""


def own(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {metric["name"]: metric for metric in document["own_metrics"]}


def test_own_metrics_are_in_every_view(tmp_path: Path, target: TargetServer) -> None:
    path = written(tmp_path, CODE.format(url=target.url))
    data = tmp_path / "data"
    files = [f"-o{tmp_path / name}" for name in ("r.html", "r.csv", "r.json", "r.md")]
    said = atm(data, "run", str(path), *files, f"--junit={tmp_path / 'r.xml'}")
    # 4 where a busy machine makes the measurement invalid.
    assert said.code in (0, 4), said.err
    result = json.loads((tmp_path / "r.json").read_text())
    total = result["metrics"]["total_requests"]
    figures = own(result)
    assert list(figures) == ["orders", "paid", "basket size", "stock", "never"]
    assert figures["orders"]["total"] == total
    assert figures["paid"]["total"] == round(total * 9.99, 2)
    assert (figures["basket size"]["min"], figures["basket size"]["max"]) == (0, 4)
    assert figures["never"]["p95"] is None
    assert "metric paid total > 5 €" in said.out
    shown = atm(data, "show", result["run"]["id"]).out
    for text in (said.out, shown, (tmp_path / "r.md").read_text(), (tmp_path / "r.html").read_text()):
        assert "basket size" in text
        assert f"{total:,}" in text
    assert "basket size" in (tmp_path / "r.csv").read_text()
    assert "metric paid total &gt; 5 €" in (tmp_path / "r.xml").read_text()
    server = ApiServer(data).ready()
    try:
        with server.client() as client:
            run = f"/runs/{result['run']['id']}"
            assert client.get(f"{run}/result").json()["own_metrics"] == result["own_metrics"]
            answer = client.get(f"{run}/intervals?merge=true").json()
            merged = own(answer["window"])
            for name, metric in figures.items():
                same = {key: value for key, value in merged[name].items() if key != "rate"}
                assert same == {key: value for key, value in metric.items() if key != "rate"}
            points = [point for point in answer["own_metrics"] if point["name"] == "orders"]
            assert sum(point["total"] for point in points if not point["warm_up"]) == total
            warm_up = sum(point["total"] for point in points if point["warm_up"])
            assert warm_up == result["metrics"]["warm_up_requests"] > 0
            part = client.get(f"{run}/intervals?merge=true&start=2&end=3").json()
            inside = next(point for point in points if point["start"] == 2)
            assert own(part["window"])["orders"]["total"] == inside["total"]
            events = client.get(f"{run}/events").text
            assert events.count('"own_metrics"') >= 4
            compared = client.get("/compare", params={"a": result["run"]["id"], "b": result["run"]["id"]}).json()
            assert [entry["name"] for entry in compared["own_metrics"]] == list(figures)
            assert all(entry["a"] == entry["b"] == figures[entry["name"]] for entry in compared["own_metrics"])
            exported = client.get(f"{server.url}/metrics").text
            assert f'metric="orders",run="{result["run"]["id"]}",test="shop",unit=""}} {total}.0' in exported
            assert 'atm_own_gauge{metric="stock"' in exported
    finally:
        server.stop()
