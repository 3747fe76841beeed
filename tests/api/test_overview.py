"""What the server says about itself and its storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from atm.testing import TargetServer
from atm.version import VERSION
from tests.api.server import ApiServer, ended


def test_the_overview_of_the_storage_counts_by_day_and_by_test(client: httpx.Client, target: TargetServer) -> None:
    ids = []
    for name, threshold in (("often", "error_rate < 1%"), ("often", "p99 < 0.000001ms")):
        spec = {"name": name, "url": f"{target.url}/fixed", "total_requests": 3, "thresholds": [threshold]}
        answer = client.post("/runs", json={"spec": spec})
        ids.append(answer.json()["id"])
    runs = [ended(client, each) for each in ids]
    view = client.get("/storage/overview", params={"days": 3}).json()
    assert view["status"]["schema_version"] == view["schema_latest"]
    assert len(view["days"]) == 3
    # A midnight may lie between the runs, and other tests share the server.
    assert sum(day["runs"] for day in view["days"]) >= 2
    assert runs[-1]["created_at"][:10] in {day["day"] for day in view["days"]}
    # On a busy machine a measurement may be invalid, and then its run is neither.
    assert sum(day["failed"] for day in view["days"]) >= sum(run["outcome"] == "failed" for run in runs)
    assert sum(day["passed"] for day in view["days"]) >= sum(run["outcome"] == "passed" for run in runs)
    counted = {each["name"]: each["runs"] for each in view["top_tests"]}
    assert counted["often"] == 2
    assert list(counted.values()) == sorted(counted.values(), reverse=True)
    assert view["oldest"] <= view["newest"]
    kept = client.post("/tests", json={"spec": {"name": "often", "url": f"{target.url}/fixed"}})
    assert kept.status_code == 201, kept.text
    [with_recent] = [
        each for each in client.get("/tests", params={"recent": 5}).json()["tests"] if each["name"] == "often"
    ]
    assert [each["id"] for each in with_recent["recent"]] == [ids[1], ids[0]]
    [without] = [each for each in client.get("/tests").json()["tests"] if each["name"] == "often"]
    assert without["recent"] == []
    client.delete("/tests/often")


def test_the_server_says_which_engines_it_has_and_what_it_allows(tmp_path: Path) -> None:
    server = ApiServer(
        tmp_path, ATM_MAX_RATE="500", ATM_MAX_DURATION="10m", ATM_ALLOWED_TARGETS="127.0.0.1", ATM_RETENTION_RUNS="90d"
    )
    try:
        with server.ready().client() as client:
            view = client.get("/server").json()
            assert view["version"] == VERSION
            assert view["has_keys"] is False
            assert {each["name"]: each["installed"] for each in view["engines"]}["asyncio"] is True
            limits = view["limits"]
            assert (limits["max_rate"], limits["max_users"], limits["max_duration_seconds"]) == (500, None, 600)
            assert limits["allowed_targets"] == ["127.0.0.1"]
            empty = client.get("/storage/overview").json()
            assert (empty["oldest"], empty["newest"], empty["top_tests"]) == (None, None, [])
            assert len(empty["days"]) == 30
            assert empty["retention"]["runs_seconds"] == 90 * 86400
    finally:
        server.stop()


def test_an_edited_run_and_a_test_saved_from_it_keep_the_credentials_that_nobody_saw(
    client: httpx.Client, target: TargetServer
) -> None:
    spec = {
        "name": "edited",
        "url": f"{target.url}/auth/bearer?token=hush",
        "auth": {"type": "bearer_token", "token": "hush"},
        "total_requests": 2,
        "concurrency": 1,
        "thresholds": ["error_rate < 1%"],
    }
    first = client.post("/runs", json={"spec": spec}).json()["id"]
    shown = ended(client, first)["spec"]
    assert shown["auth"]["token"] == "***"
    _check_a_test_saved_from_it(client, first, shown)
    again = client.post(f"/runs/{first}/rerun", json={"spec": {**shown, "total_requests": 3}, "tags": ["edited"]})
    assert again.status_code == 202, again.text
    run = ended(client, again.json()["id"])
    assert (run["metrics"]["successful_requests"], run["tags"]) == (3, ["edited"])
    elsewhere = client.post(f"/runs/{first}/rerun", json={"spec": {**shown, "url": "http://127.0.0.1:9/"}})
    assert elsewhere.status_code == 422
    assert elsewhere.json()["code"] == "credentials_needed"
    assert client.post("/runs", json={"spec": shown}).status_code == 422


def _check_a_test_saved_from_it(client: httpx.Client, first: str, shown: dict[str, Any]) -> None:
    assert client.post("/tests", json={"spec": shown}).json()["code"] == "credentials_needed"
    elsewhere = {**shown, "url": "http://127.0.0.1:9/"}
    refused = client.post("/tests", json={"spec": elsewhere, "from_run": first})
    assert (refused.status_code, refused.json()["code"]) == (422, "credentials_needed")
    assert client.post("/tests", json={"spec": shown, "from_run": "nowhere"}).status_code == 404
    saved = client.post("/tests", json={"spec": shown, "from_run": first})
    assert saved.status_code == 201, saved.text
    assert saved.json()["spec"]["auth"]["token"] == "***"
    run = ended(client, client.post("/tests/edited/run").json()["id"])
    assert (run["passed"], run["metrics"]["total_requests"]) == (True, 2)
