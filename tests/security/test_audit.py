"""Every change is in the audit log, with who, from where, what, when and what came of it."""

from __future__ import annotations

import getpass
import json
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.api.audit import ACTIONS, READS
from tests.api.server import ApiServer
from tests.cli.program import atm
from tests.contract.postgresql import PostgresqlServer

pytestmark = pytest.mark.timeout(300)

ADMIN = secrets.token_hex(16)
SPEC = {"name": "written down", "url": "http://127.0.0.1:9/", "total_requests": 1}
FILLED = {
    "run_id": "no-such-run",
    "batch": "no-such-batch",
    "test": "no such test",
    "schedule": "no such",
    "key": "no such",
    "session_id": "none",
    "file": "none.csv",
}


STORAGES = ["sqlite", *(pytest.param(storage, marks=pytest.mark.prove) for storage in ("postgresql", "json"))]


@pytest.fixture(scope="module", params=STORAGES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    environment = {"API_TEST_MACHINE_API_KEY": ADMIN, "ATM_TRUSTED_PROXIES": "127.0.0.1"}
    if request.param == "postgresql":
        database: PostgresqlServer = request.getfixturevalue("postgresql")
        database.sql("TRUNCATE runs, test_configs, api_keys, schedules, sessions, audit_log CASCADE", "atm")
        environment["ATM_DATABASE_URL"] = database.url("atm")
    if request.param == "json":
        environment["ATM_STORAGE_TYPE"] = "json"
    started = ApiServer(tmp_path_factory.mktemp("audit") / "data", workers=1, **environment).ready()
    yield started
    started.stop()


@pytest.fixture
def admin(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client(**{"X-API-Key": ADMIN, "X-Forwarded-For": "192.0.2.9"}) as client:
        yield client


def entries(admin: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def test_every_route_that_changes_something_leaves_an_entry(server: ApiServer, admin: httpx.Client) -> None:
    document = admin.get("/openapi.json").json()
    changing = [
        (method.upper(), path, operation["operationId"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in ("post", "put", "patch", "delete")
    ]
    # GraphQL is in no OpenAPI document; tests/security/test_graphql_access.py has its entries.
    assert {name for _, _, name in changing} == set(ACTIONS) | READS - {"graphql"}
    for method, path, name in changing:
        filled = path.removeprefix("/api/v1").format(**FILLED)
        body = {"key": ADMIN} if name == "create_session" else {}
        answer = admin.request(method, filled, json=None if method == "DELETE" else body)
        written = [each for each in entries(admin, limit=5) if each["request_id"] == answer.headers["x-request-id"]]
        if name in READS:
            assert written == [], name
            continue
        assert len(written) == 1, (name, answer.text)
        [entry] = written
        assert entry["action"] == ACTIONS[name]
        assert (entry["actor"], entry["address"]) == ("API_TEST_MACHINE_API_KEY", "192.0.2.9"), name
        assert entry["status"] == answer.status_code
        assert entry["outcome"] == ("done" if answer.status_code < 400 else "refused"), name
        named = [each for each in FILLED if f"{{{each}}}" in path]
        assert entry["object_id"] == FILLED[named[0]] if named and answer.status_code >= 400 else True, entry


def test_an_entry_names_who_did_what_to_which_object(server: ApiServer, admin: httpx.Client) -> None:
    key = admin.post("/keys", json={"name": "worker"}).json()
    with server.client(**{"X-API-Key": key["key"], "X-ATM-Source": "mcp", "X-Forwarded-For": "192.0.2.5"}) as agent:
        run = agent.post("/runs", json={"spec": SPEC}).json()["id"]
        refused = agent.get("/audit")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_too_low")
    [entry] = entries(admin, object_id=run)
    assert {
        name: entry[name] for name in ("actor_kind", "actor", "source", "address", "action", "outcome", "key_id")
    } == {
        "actor_kind": "key",
        "actor": "worker",
        "source": "mcp",
        "address": "192.0.2.5",
        "action": "run.create",
        "outcome": "done",
        "key_id": key["id"],
    }
    assert abs(datetime.fromisoformat(entry["at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    made = next(each for each in entries(admin, action="key.") if each["object_id"] == key["id"])
    assert "worker" in made["detail"]
    assert key["key"] not in json.dumps(entries(admin, limit=500))
    with httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False, verify=False, timeout=60) as browser:
        browser.post("/session", json={"key": key["key"]})
        browser.delete(f"/runs/{run}")
    of_session = next(each for each in entries(admin, object_id=run) if each["action"] == "run.delete")
    assert (of_session["actor_kind"], of_session["actor"]) == ("session", "worker")
    opened = next(each for each in entries(admin, action="session.create", actor="worker"))
    assert of_session["session_id"] == opened["session_id"]


def test_what_a_low_role_tried_is_written_down_and_what_strangers_tried_is_not(
    server: ApiServer, admin: httpx.Client
) -> None:
    viewer = admin.post("/keys", json={"name": "onlooker", "role": "viewer"}).json()["key"]
    with server.client(**{"X-API-Key": viewer}) as client:
        assert client.delete("/tests/x").status_code == 403
        assert client.post("/keys", json={"name": "x"}).status_code == 403
    assert {each["outcome"] for each in entries(admin, actor="onlooker")} == {"refused"}
    before = len(entries(admin, limit=500))
    with server.client(**{"X-API-Key": "wrong"}) as anonymous:
        for _ in range(5):
            assert anonymous.delete("/runs/x").status_code == 401
            assert anonymous.post("/session", json={"key": "wrong"}).status_code == 401
    assert len(entries(admin, limit=500)) == before


def test_no_route_changes_or_removes_entries(admin: httpx.Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert admin.request(method, "/audit").status_code == 405
        assert admin.request(method, "/audit/x").status_code == 404


def test_the_log_is_read_page_by_page(admin: httpx.Client) -> None:
    for number in range(5):
        admin.delete(f"/runs/page-{number}")
    found: list[str] = []
    cursor = None
    for _ in range(100):
        answer = admin.get(
            "/audit", params={"limit": 2, "action": "run.delete", **({"cursor": cursor} if cursor else {})}
        )
        found += [each["object_id"] for each in answer.json()["entries"]]
        cursor = answer.json()["next"]
        if cursor is None:
            break
    assert found[:5] == [f"page-{number}" for number in (4, 3, 2, 1, 0)]
    assert admin.get("/audit", params={"cursor": "invented"}).status_code == 422


def test_schedules_are_written_down(server: ApiServer, admin: httpx.Client) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    body = {"name": "at once", "spec": SPEC, "trigger": {"type": "date", "run_date": soon}}
    answer = admin.post("/schedules", json=body)
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 120
    while not (fired := entries(admin, actor="at once")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (fired[0]["actor_kind"], fired[0]["action"], fired[0]["outcome"]) == ("schedule", "run.create", "done")
    assert admin.get(f"/runs/{fired[0]['object_id']}").status_code == 200


def test_the_command_line_writes_down_what_it_changes_and_reads_the_log(tmp_path: Path) -> None:
    for arguments in (
        ("keys", "create", "ci"),
        ("keys", "revoke", "ci"),
        ("keys", "release"),
        ("db", "prune", "--keep", "10"),
        ("db", "prune", "--keep", "10", "--dry-run"),
    ):
        done = atm(tmp_path, *arguments)
        assert done.code == 0, done.err
    listed = atm(tmp_path, "audit", "--json")
    assert listed.code == 0, listed.err
    found = json.loads(listed.out)["entries"]
    assert [each["action"] for each in found] == ["storage.prune", "installation.release", "key.revoke", "key.create"]
    assert {(each["actor_kind"], each["actor"]) for each in found} == {("shell", getpass.getuser())}
    assert "key.revoke" in atm(tmp_path, "audit", "--action", "key").out
    assert "key" not in atm(tmp_path, "audit", "--action", "storage.prune").out


def test_without_a_key_the_account_is_named(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "data").ready()
    try:
        with server.client() as client:
            client.delete("/runs/x")
            [entry] = client.get("/audit").json()["entries"]
        assert (entry["actor_kind"], entry["actor"], entry["outcome"]) == ("local", getpass.getuser(), "refused")
    finally:
        server.stop()
