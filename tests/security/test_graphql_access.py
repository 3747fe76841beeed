"""GraphQL has the access rules of REST: roles, tags, quotas, origins, audit; by HTTP and by WebSocket."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from atm.testing import TargetServer
from tests.api.graphql import answer, error, post
from tests.api.server import ApiServer

ADMIN = secrets.token_hex(16)
START = "mutation ($input: NewRunInput!) { startRun(input: $input) { id status run { name tags source } } }"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("graphql") / "data", API_TEST_MACHINE_API_KEY=ADMIN).ready()
    yield started
    started.stop()


def new_key(server: ApiServer, name: str, **fields: Any) -> str:
    with server.client(**{"X-API-Key": ADMIN}) as client:
        created = client.post("/keys", json={"name": name, **fields})
    assert created.status_code == 201, created.text
    return str(created.json()["key"])


def spec_of(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {"name": "g", "url": f"{target.url}/bytes/10", "total_requests": 4, "concurrency": 1, **fields}


@contextmanager
def socket(server: ApiServer, key: str | None = ADMIN, **options: Any) -> Iterator[ClientConnection]:
    """A WebSocket on which `connection_init` was sent, with the key in its payload."""
    url = server.url.replace("http", "ws", 1) + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, **options) as opened:
        payload = {} if key is None else {"X-API-Key": key}
        opened.send(json.dumps({"type": "connection_init", "payload": payload}))
        yield opened


def messages(opened: ClientConnection, query: str, **variables: Any) -> Iterator[Any]:
    """What the server sends for an operation, until it is complete."""
    assert json.loads(opened.recv())["type"] == "connection_ack"
    payload = {"query": query, "variables": variables}
    opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
    while True:
        message = json.loads(opened.recv(timeout=120))
        if message["type"] == "ping":
            continue
        if message["type"] == "complete":
            return
        yield message["payload"]
        if message["type"] == "error":
            return


def test_without_a_valid_key_nothing_is_answered(server: ApiServer) -> None:
    assert post(server, "{ storage { kind } }").status_code == 401
    assert post(server, "{ storage { kind } }", key="wrong-key-of-some-length").status_code == 401
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{server.url}/graphql", params={"query": "{ storage { kind } }"}).status_code == 401
        page = client.get(f"{server.url}/graphql", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_viewer_reads_and_changes_nothing(server: ApiServer, running_target: TargetServer) -> None:
    viewer = new_key(server, "viewer", role="viewer")
    assert answer(server, "{ runs { totalCount } }", key=viewer) is not None
    refused = error(server, START, key=viewer, input={"spec": spec_of(running_target)})
    assert (refused["extensions"]["code"], refused["path"]) == ("role_too_low", ["startRun"])
    with socket(server, viewer) as opened:
        [payload] = messages(opened, START, input={"spec": spec_of(running_target)})
    assert payload["errors"][0]["extensions"]["code"] == "role_too_low"
    assert answer(server, "{ runs { totalCount } }", key=viewer)["runs"]["totalCount"] == 0


def test_a_key_with_tags_and_a_quota_is_limited(server: ApiServer, running_target: TargetServer) -> None:
    key = new_key(server, "team", tags=["a"], runs_per_hour=1)
    given = {"spec": spec_of(running_target)}
    foreign = answer(server, START, key=ADMIN, input={**given, "tags": ["b"]})["startRun"]["id"]
    for query, variables in (
        (START, {"input": {**given, "tags": ["b"]}}),
        ("mutation ($id: ID!) { deleteRun(id: $id) { id } }", {"id": foreign}),
        ("mutation ($id: ID!) { cancelRun(id: $id) { id } }", {"id": foreign[:13].upper()}),
        ("mutation { syncTests { total } }", {}),
    ):
        refused = error(server, query, key=key, **variables)
        assert refused["extensions"]["code"] == "out_of_scope", refused
    assert answer(server, START, key=key, input={**given, "tags": ["a"]})["startRun"]["run"]["tags"] == ["a"]
    assert error(server, START, key=key, input={**given, "tags": ["a"]})["extensions"]["code"] == "quota_used"
    with server.client(**{"X-API-Key": key}) as client:
        # The same rule by REST: an object is the same by the start of its id.
        assert client.delete(f"/runs/{foreign[:13]}").json()["code"] == "out_of_scope"


def test_each_change_is_in_the_audit_log_once(server: ApiServer, running_target: TargetServer) -> None:
    made = answer(server, START, key=ADMIN, input={"spec": spec_of(running_target), "tags": ["audited"]})["startRun"]
    error(server, 'mutation { cancelRun(id: "f00") { id } }', key=ADMIN)
    with socket(server) as opened:
        annotate = 'mutation ($id: ID!) { annotateRun(id: $id, input: {notes: "n"}) { notes } }'
        assert [payload["data"] for payload in messages(opened, annotate, id=made["id"])] == [
            {"annotateRun": {"notes": "n"}}
        ]
    with server.client(**{"X-API-Key": ADMIN}) as client:
        entries = client.get("/audit", params={"limit": 3}).json()["entries"]
    assert [(entry["action"], entry["outcome"], entry["object_id"]) for entry in entries] == [
        ("run.annotate", "done", made["id"]),
        ("run.cancel", "refused", "f00"),
        ("run.create", "done", made["id"]),
    ]


def test_a_get_changes_nothing(server: ApiServer, running_target: TargetServer) -> None:
    params = {"query": START, "variables": json.dumps({"input": {"spec": spec_of(running_target, name="by get")}})}
    with httpx.Client(trust_env=False, headers={"X-API-Key": ADMIN}) as client:
        refused = client.get(f"{server.url}/graphql", params=params)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_graphql_request")
    assert answer(server, '{ runs(name: "by get") { totalCount } }', key=ADMIN)["runs"]["totalCount"] == 0


def test_pages_of_other_sites_are_refused(server: ApiServer) -> None:
    with httpx.Client(trust_env=False, headers={"X-API-Key": ADMIN, "Origin": "https://evil.example"}) as client:
        refused = client.post(f"{server.url}/graphql", json={"query": "{ storage { kind } }"})
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_origin")
    with pytest.raises(InvalidStatus), socket(server, additional_headers={"Origin": "https://evil.example"}):
        pass


@pytest.mark.parametrize("key", [None, "wrong-key-of-some-length"])
def test_a_socket_needs_a_key(server: ApiServer, key: str | None) -> None:
    with socket(server, key) as opened, pytest.raises(ConnectionClosed) as closed:
        opened.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_the_events_of_a_run_and_the_list_of_runs(server: ApiServer, running_target: TargetServer) -> None:
    made = answer(server, START, key=ADMIN, input={"spec": spec_of(running_target)})["startRun"]["id"]
    query = """subscription ($id: ID!) { runEvents(id: $id) { __typename
        ... on StartedEvent { sequence endpoints } ... on IntervalEvent { sequence soFar { completed } }
        ... on FinishedEvent { sequence outcome passed } } }"""
    with socket(server) as opened:
        events = [payload["data"]["runEvents"] for payload in messages(opened, query, id=made)]
    stored = [event for event in events if event.get("sequence")]
    assert [event["sequence"] for event in stored] == list(range(1, len(stored) + 1)) or len(stored) >= 3
    assert stored[-1]["__typename"] == "FinishedEvent"
    assert stored[-1]["outcome"] == "PASSED"
    assert max(event["soFar"]["completed"] for event in stored if "soFar" in event) == 4
    with socket(server) as opened:
        first = next(messages(opened, "subscription { listChanges { kind id run { name } } }"))
    assert first["data"]["listChanges"]["kind"] == "run"
    with socket(server) as opened:
        [missing] = messages(opened, query, id="f00")
    assert missing["errors"][0]["extensions"]["code"] == "run_not_found"


def test_a_revoked_key_ends_its_sockets(server: ApiServer) -> None:
    key = new_key(server, "revoked", role="viewer")
    with socket(server, key) as opened:
        next(messages(opened, "subscription { listChanges { id } }"))
        with server.client(**{"X-API-Key": ADMIN}) as client:
            assert client.delete("/keys/revoked").status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            list(iter(lambda: opened.recv(timeout=60), None))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_an_operation_by_http_is_no_subscription(server: ApiServer) -> None:
    refused = error(server, "subscription { listChanges { id } }", key=ADMIN)
    assert refused["extensions"]["code"] == "subscription_needs_websocket"


def test_tests_and_schedules(server: ApiServer, running_target: TargetServer) -> None:
    create = "mutation ($input: NewTestInput!) { createTest(input: $input) { id name tags } }"
    test = answer(server, create, key=ADMIN, input={"spec": spec_of(running_target, name="kept"), "tags": ["t"]})
    problem = error(server, create, key=ADMIN, input={"spec": {"name": "bad", "url": "x", "method": "G ET"}})
    assert {entry["code"] for entry in problem["extensions"]["errors"]} >= {"bad_method"}
    plan = "mutation ($input: ScheduleInput!) { createSchedule(input: $input) { id describes test enabled } }"
    given = {"name": "nightly", "test": "kept", "trigger": {"type": "cron", "expression": "0 3 * * *"}}
    assert answer(server, plan, key=ADMIN, input=given)["createSchedule"]["test"] == "kept"
    paused = answer(server, 'mutation { pauseSchedule(id: "nightly") { enabled trigger { __typename } } }', key=ADMIN)
    assert paused == {"pauseSchedule": {"enabled": False, "trigger": {"__typename": "CronTrigger"}}}
    listed = answer(server, "{ tests { name lastRun { id } } schedules { name firings: recent { due } } }", key=ADMIN)
    assert listed["tests"] == [{"name": "kept", "lastRun": None}]
    assert listed["schedules"] == [{"name": "nightly", "firings": []}]
    invalid = error(server, create, key=ADMIN, input={"spec": {"name": "y"}, "tags": [""]})
    assert invalid["extensions"]["errors"][0]["path"] == "input.tags.0"
    answer(server, 'mutation { deleteSchedule(id: "nightly") { id } }', key=ADMIN)
    made = test["createTest"]["id"]
    assert answer(server, 'mutation { deleteTest(id: "kept") { id } }', key=ADMIN)["deleteTest"]["id"] == made
