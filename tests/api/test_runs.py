"""Runs over HTTP: a real server, a real storage, a real target."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended, events


def spec(target: TargetServer, path: str = "/fixed", **fields: Any) -> dict[str, Any]:
    return {"name": "over http", "url": target.url + path, **fields}


def post(client: httpx.Client, document: dict[str, Any], **more: Any) -> str:
    answer = client.post("/runs", json={"spec": document, **more})
    assert answer.status_code == 202, answer.text
    run_id: str = answer.json()["id"]
    return run_id


def test_a_run_is_watched_from_its_start_to_its_end(client: httpx.Client, target: TargetServer) -> None:
    run_id = post(client, spec(target, requests_per_second=50, duration=2), tags=["smoke", "api"], notes="first")
    messages = list(events(client, run_id))
    numbered = [(int(number), kind) for number, kind, _ in messages if number]
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    assert numbered[0][1] == "started"
    assert numbered[-1][1] == "finished"
    assert sum(data["completed"] for _, kind, data in messages if kind == "interval") == 100
    assert messages[-1][2]["status"] == "completed"
    run = client.get(f"/runs/{run_id}").json()
    assert (run["status"], run["tags"], run["notes"]) == ("completed", ["api", "smoke"], "first")
    assert run["metrics"]["total_requests"] == target.settled_stats().received == 100
    result = client.get(f"/runs/{run_id}/result").json()
    report = client.get(f"/runs/{run_id}/report.md")
    assert report.headers["content-type"] == "text/markdown; charset=utf-8"
    assert f"Run `{run_id}`" in report.text
    page = client.get(f"/runs/{run_id}/report.html")
    assert page.text.startswith("<!doctype html>")
    assert "sandbox" in page.headers["content-security-policy"]
    document = client.get(f"/runs/{run_id}/report.pdf")
    assert document.content.startswith(b"%PDF-")
    assert document.headers["content-type"] == "application/pdf"
    for saved in (report, page, document):
        assert saved.headers["content-disposition"].startswith("attachment; filename=")
        assert saved.headers["x-content-type-options"] == "nosniff"
    assert result["metrics"] == run["metrics"]
    # A client that reconnects with the last id receives the events after it, each once.
    later = [int(number) for number, _, _ in events(client, run_id, last="3") if number]
    assert later == list(range(4, len(numbered) + 1))
    view = client.get(f"/runs/{run_id}/intervals", params={"merge": True}).json()
    assert sum(point["ok"] for point in view["points"]) == 100
    [whole] = view["window"]["endpoints"]
    assert whole["latency"]["p99_ms"] == pytest.approx(run["metrics"]["latency_p99_ms"], rel=0.002)
    samples = client.get(f"/runs/{run_id}/samples").json()
    number = samples[0]["request_number"]
    assert client.get(f"/runs/{run_id}/requests/{number}").json()["response_ms"] == samples[0]["response_ms"]
    assert client.get(f"/runs/{run_id}/requests/101").status_code == 404
    assert all(
        each["reason"] == "slowest"
        for each in client.get(f"/runs/{run_id}/samples", params={"reason": "slowest"}).json()
    )
    windows = [
        client.get(f"/runs/{run_id}/samples", params={"start": second, "end": second + 1}).json()
        for second in range(len(view["generator"]))
    ]
    in_one = [each["request_number"] for kept in windows for each in kept]
    assert sorted(in_one) == sorted(each["request_number"] for each in samples)
    assert client.get(f"/runs/{run_id}/samples", params={"start": 2, "end": 2}).status_code == 422


@pytest.fixture(scope="module")
def fixed(server: ApiServer, running_target: TargetServer) -> str:
    """A run of ten fast requests that has ended."""
    with server.client() as client:
        run_id = post(client, spec(running_target, total_requests=10))
        ended(client, run_id)
    return run_id


def test_a_web_socket_tells_the_same(server: ApiServer, client: httpx.Client, fixed: str) -> None:
    import json

    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    run_id = fixed
    address = f"{server.url.replace('http', 'ws')}/api/v1/runs/{run_id}/ws"
    with connect(address, proxy=None) as socket:
        messages = [json.loads(message) for message in socket]
    streamed = [data for _, kind, data in events(client, run_id) if kind != "progress"]
    assert [each for each in messages if each["kind"] != "progress"] == streamed
    with connect(address.replace(run_id, "nothing"), proxy=None) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


def test_a_run_is_cancelled_and_can_be_run_again_and_deleted(client: httpx.Client, target: TargetServer) -> None:
    run_id = post(client, spec(target, requests_per_second=20, duration=60))
    for _, kind, _ in events(client, run_id):
        if kind == "interval":
            break
    assert client.delete(f"/runs/{run_id}").status_code == 409
    cancelled = client.post(f"/runs/{run_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["id"]) == (200, run_id)
    assert ended(client, run_id)["status"] == "cancelled"
    assert client.post(f"/runs/{run_id}/cancel").json()["message"] == "the run is cancelled"
    again = client.post(f"/runs/{run_id}/rerun").json()["id"]
    assert client.get(f"/runs/{again}").json()["spec"] == client.get(f"/runs/{run_id}").json()["spec"]
    client.post(f"/runs/{again}/cancel")
    ended(client, again)
    assert client.delete(f"/runs/{again}").status_code == 200
    assert client.get(f"/runs/{again}").status_code == 404


def test_the_list_filters_and_pages_without_loss(client: httpx.Client, target: TargetServer) -> None:
    ids = [post(client, spec(target, total_requests=1), tags=["paging"]) for _ in range(5)]
    # Those that wait end at once, without a process of their own.
    for run_id in ids[::-1]:
        client.post(f"/runs/{run_id}/cancel")
        ended(client, run_id)
    first = client.get("/runs", params={"tag": "paging", "limit": 2}).json()
    assert first["total"] == 5
    seen = [run["id"] for run in first["runs"]]
    cursor = first["next"]
    while cursor:
        page = client.get("/runs", params={"tag": "paging", "limit": 2, "cursor": cursor}).json()
        seen += [run["id"] for run in page["runs"]]
        cursor = page["next"]
    assert seen == ids[::-1]
    assert client.get("/runs", params={"tag": "paging", "limit": 1, "offset": 4}).json()["runs"][0]["id"] == ids[0]
    assert client.get("/runs", params={"tag": "paging", "text": "OVER h"}).json()["total"] == 5
    assert client.get("/runs", params={"tag": "paging", "status": "running"}).json()["total"] == 0


def test_a_spec_is_refused_with_all_its_problems_and_their_places(client: httpx.Client) -> None:
    answer = client.post("/runs", json={"spec": {"name": "", "url": "nowhere", "conncurrency": 3}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert {error["path"] for error in document["errors"]} == {"name", "url", "conncurrency"}
    assert document["detail"].endswith("(and 2 more)")
    assert document["request_id"] == answer.headers["x-request-id"]
    same = client.post("/specs/validate", json={"spec": {"name": "", "url": "nowhere", "conncurrency": 3}})
    assert (same.status_code, same.json()["valid"]) == (200, False)
    assert same.json()["errors"] == document["errors"]
    assert same.json()["load"]["forecast"]["requests"] == 100


def test_a_spec_is_answered_with_its_load_over_time_whatever_else_is_wrong(client: httpx.Client) -> None:
    spec = {"name": "draft", "url": "", "load": {"rate": 50, "max_in_flight": 8, "warm_up": 2}, "duration": 10}
    answer = client.post("/specs/validate", json={"spec": spec}).json()
    assert (answer["valid"], answer["plan"]) == (False, None)
    load = answer["load"]
    assert (load["model"], load["most_at_once"], load["forecast"]["seconds"]) == ("open", 8, 10)
    assert load["forecast"]["points"][-1] == {"at": 12, "level": 50}
    assert client.post("/specs/validate", json={"spec": {**spec, "duration": "soon"}}).json()["load"] is None


def test_scenarios_are_answered_with_the_sum_of_their_loads(client: httpx.Client) -> None:
    steps = [{"GET": "/"}]
    scenarios = {"browse": {"load": {"rate": 30}, "steps": steps}, "order": {"load": {"rate": 20}, "steps": steps}}
    spec = {"name": "shop", "base_url": "http://127.0.0.1:1", "scenarios": scenarios, "duration": 10}
    load = client.post("/specs/validate", json={"spec": spec}).json()["load"]
    assert (load["model"], load["forecast"]["requests"], load["forecast"]["peak"]) == ("open", 500, 50)
    scenarios["order"]["load"] = {"users": 5}
    load = client.post("/specs/validate", json={"spec": spec}).json()["load"]
    assert (load["model"], load["forecast"]["requests"]) == ("mixed", None)


def test_a_trial_of_a_scenario_is_answered_with_its_steps_and_checks(
    client: httpx.Client, running_target: TargetServer
) -> None:
    steps = [
        {"GET": "/shop/products?size=3", "name": "list", "extract": {"product": "$.items[*].id | last"}},
        {"repeat": 2, "steps": [{"GET": "/shop/products/{{product}}", "name": "open", "checks": ["$.stock exists"]}]},
        {"when": 'product == ""', "steps": [{"GET": "/fixed", "name": "never", "checks": {"fine": "status == 200"}}]},
    ]
    spec = {"name": "shop", "base_url": running_target.url, "scenarios": {"browse": {"steps": steps}}}
    answer = client.post("/specs/try", json={"spec": spec}).json()
    assert [each["endpoint"] for each in answer["exchanges"]] == ["browse/list", "browse/open"]
    assert [(each["name"], each["endpoint"], each["passed"], each["failed"]) for each in answer["checks"]] == [
        ("$.stock exists", "browse/open", 2, 0),
        ("fine", "browse/never", 0, 0),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/runs/..%2f..%2fetc", None, 404),
        ("GET", "/runs/%00", None, 400),
        ("GET", "/runs?limit=0", None, 422),
        ("GET", "/runs?limit=201", None, 422),
        ("GET", "/runs?cursor=%C3%A4", None, 422),
        ("GET", "/runs?since=yesterday", None, 422),
        ("GET", "/runs?since=2026-01-01T00:00:00", None, 422),
        ("POST", "/runs", b"{", 422),
        ("POST", "/runs", b"[]", 422),
        ("POST", "/runs", b'{"spec": null}', 422),
        ("POST", "/runs", b'{"spec": {"name": "\\ud800", "url": "http://127.0.0.1/"}}', 422),
        ("POST", "/runs", b'{"spec": ' + b"[" * 3000 + b"]" * 3000 + b"}", 422),
        ("POST", "/runs", b'{"spec": ' + b"[" * 200_000, 422),
        ("POST", "/runs", b"\xff\xfe", 422),
        ("PUT", "/runs", b"{}", 405),
        ("GET", "/compare?a=x&b=y", None, 404),
    ],
)
def test_bad_input_is_a_clear_refusal_and_never_a_fault_of_ours(
    client: httpx.Client, method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["detail"]
    assert document["errors"]
    assert "Traceback" not in answer.text


def test_a_key_of_the_caller_makes_one_run(client: httpx.Client, target: TargetServer) -> None:
    headers = {"Idempotency-Key": "build-7"}
    document = {"spec": spec(target, total_requests=1)}
    first = client.post("/runs", json=document, headers=headers).json()
    again = client.post("/runs", json=document, headers=headers).json()
    assert first["id"] == again["id"]
    other = client.post("/runs", json={"spec": spec(target, total_requests=2)}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    client.post(f"/runs/{first['id']}/cancel")
    ended(client, first["id"])


def test_two_runs_are_compared(client: httpx.Client, target: TargetServer, fixed: str) -> None:
    runs = [fixed, post(client, spec(target, "/delay/300", total_requests=10))]
    ended(client, runs[1])
    answer = client.get("/compare", params={"a": runs[0], "b": runs[1]}).json()
    p50 = next(each for each in answer["differences"] if each["name"] == "latency_p50_ms")
    assert p50["b"] > p50["a"]
    assert p50["better"] is False
    assert p50["change"] == pytest.approx((p50["b"] - p50["a"]) / p50["a"])
    curve = {point["percentile"]: point for point in answer["curve"]}
    assert curve[50]["b_ms"] == pytest.approx(p50["b"], rel=0.002)
    assert "their specs differ in url" in answer["notes"]


def test_tests_are_kept_changed_run_and_found_in_the_history(client: httpx.Client, target: TargetServer) -> None:
    secret = {"type": "bearer_token", "token": "kept-secret"}
    document = {**spec(target, total_requests=3), "name": "kept", "auth": secret}
    made = client.post("/tests", json={"spec": document, "tags": ["t"]})
    assert made.status_code == 201, made.text
    assert "kept-secret" not in made.text
    assert client.post("/tests", json={"spec": document}).status_code == 409
    shown = client.get("/tests/kept").json()["spec"]
    assert shown["auth"]["token"] == "***"
    changed = client.put("/tests/kept", json={"spec": {**shown, "total_requests": 4}})
    assert changed.status_code == 200, changed.text
    elsewhere = client.put("/tests/kept", json={"spec": {**shown, "url": "http://127.0.0.2:9/steal"}})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "credentials_needed")
    run_id = client.post("/tests/kept/run").json()["id"]
    assert ended(client, run_id)["metrics"]["total_requests"] == 4
    assert client.post("/tests/kept/enabled", json={"enabled": False}).json()["enabled"] is False
    nothing = client.post("/tests/run-all").json()
    assert (nothing["runs"], nothing["skipped"], nothing["total_tests"]) == ([], [], 0)
    assert client.delete("/tests/kept").status_code == 200
    assert "kept" in client.post("/tests/sync").json()["created"]
    assert client.get("/tests/kept").json()["runs"] == 1
    for each in client.get("/tests").json()["tests"]:
        client.delete(f"/tests/{each['id']}")


def test_a_curl_command_becomes_a_spec_that_runs(client: httpx.Client, target: TargetServer) -> None:
    command = f"curl -X POST '{target.url}/echo' -H 'X-Trace: 1' --data-raw '{{\"a\": 1}}' --retry 3 -s"
    answer = client.post("/import/curl", json={"command": command}).json()
    assert answer["notes"] == ["--retry is ignored: a load test counts failures instead of hiding them"]
    run = ended(client, post(client, {**answer["spec"], "total_requests": 2}))
    assert run["metrics"]["successful_requests"] == 2


def test_the_list_is_watched_and_prometheus_reads_the_run_that_has_just_ended(
    server: ApiServer, client: httpx.Client, target: TargetServer
) -> None:
    import json

    from prometheus_client.parser import text_string_to_metric_families

    run_id = ""
    with client.stream("GET", "/events", timeout=40) as response:
        for line in response.iter_lines():
            if line.startswith(("data: ", "retry")):
                if not run_id:
                    run_id = post(client, spec(target, total_requests=25))
                    continue
                change = json.loads(line.removeprefix("data: "))
                if change["id"] == run_id and change["run"]["status"] == "completed":
                    break
        else:
            raise AssertionError("the stream ended")
    text = httpx.get(f"{server.url}/metrics", trust_env=False, verify=False).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    mine = {sample.name: sample.value for sample in samples if sample.labels.get("run") == run_id}
    assert mine["atm_http_requests_total"] == 25
    assert mine["atm_http_request_duration_seconds_count"] == 25
