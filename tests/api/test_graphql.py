"""GraphQL queries against a real server: the same answers as REST, limits, errors."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from graphql import (
    OperationDefinitionNode,
    OperationType,
    build_schema,
    get_introspection_query,
    parse,
    validate,
)

from atm.testing import TargetServer
from tests.api.graphql import answer, post
from tests.api.server import ApiServer, ended
from tools.repository import ROOT

ALIASES = " ".join(f"a{number}: id" for number in range(31))


@pytest.fixture(scope="module")
def run_id(server: ApiServer, running_target: TargetServer) -> str:
    """A finished run with two endpoints."""
    spec = {
        "name": "graphql",
        "endpoints": [
            {"name": "ok", "url": f"{running_target.url}/bytes/10", "headers": {"Authorization": "Bearer hidden"}},
            {"name": "missing", "url": f"{running_target.url}/status/404"},
        ],
        "total_requests": 20,
        "concurrency": 2,
    }
    with server.client() as client:
        created = client.post("/runs", json={"spec": spec, "tags": ["graphql"], "notes": "a note"})
        assert created.status_code == 202, created.text
        return str(ended(client, created.json()["id"])["id"])


def test_a_run_has_the_fields_of_rest(server: ApiServer, client: httpx.Client, run_id: str) -> None:
    query = """query ($id: ID!) { run(id: $id) {
        id name notes tags status outcome passed requestsCompleted createdAt spec failureReasons
        metrics { totalRequests failedRequests latencyP95Ms errorRate statusCodeCounts }
        endpointMetrics { name totalRequests }
        result { run { seed } verdict { measurement exitCode } thresholds { expression passed actual } }
        intervals(resolution: "0", endpoint: ["ok", "*"], merge: true) {
            resolution endpoints points { endpoint started latency { p95Ms } } window { endpoints { endpoint ok } } }
        distribution { samples }
        samples(endpoint: "missing") { endpoint status requestHeaders }
        workers { name }
    } }"""
    run = answer(server, query, id=run_id[:13])["run"]
    rest = client.get(f"/runs/{run_id}").json()
    assert run["id"] == run_id
    assert run["status"] == "COMPLETED"
    assert run["outcome"] == rest["outcome"].upper()
    for name, field in {"notes": "notes", "requestsCompleted": "requests_completed", "spec": "spec"}.items():
        assert run[name] == rest[field]
    assert run["metrics"]["latencyP95Ms"] == rest["metrics"]["latency_p95_ms"]
    assert run["metrics"]["statusCodeCounts"] == rest["metrics"]["status_code_counts"]
    assert [entry["totalRequests"] for entry in run["endpointMetrics"]] == [10, 10]
    intervals = client.get(
        f"/runs/{run_id}/intervals", params={"resolution": "0", "endpoint": ["ok", "*"], "merge": True}
    )
    shown = [point["latency"]["p95Ms"] for point in run["intervals"]["points"]]
    assert shown == [point["latency"]["p95_ms"] for point in intervals.json()["points"]]
    assert run["distribution"]["samples"] == 20
    assert {sample["status"] for sample in run["samples"]} == {404}
    assert "hidden" not in json.dumps(run)


def test_runs_are_paged_as_relay_pages_them(server: ApiServer, client: httpx.Client, run_id: str) -> None:
    for _ in range(2):
        again = client.post(f"/runs/{run_id}/rerun", json={}).json()["id"]
        client.post(f"/runs/{again}/cancel")
        ended(client, again)
    query = """query ($after: String) { runs(first: 2, after: $after, tag: "graphql") {
        totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    page = answer(server, query)["runs"]
    assert page["totalCount"] == 3
    assert page["pageInfo"]["hasNextPage"] is True
    following = answer(server, query, after=page["pageInfo"]["endCursor"])["runs"]
    assert following["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": following["edges"][0]["cursor"],
        "endCursor": following["edges"][0]["cursor"],
    }
    listed = [edge["node"]["id"] for edge in (*page["edges"], *following["edges"])]
    assert listed == [run["id"] for run in client.get("/runs", params={"tag": "graphql"}).json()["runs"]]


def test_queries_come_by_get_too(server: ApiServer, client: httpx.Client) -> None:
    got = client.get(f"{server.url}/graphql", params={"query": "{ storage { kind } }"})
    assert got.json() == {"data": {"storage": {"kind": "sqlite"}}}


@pytest.mark.parametrize(
    ("query", "code", "path"),
    [
        ('{ run(id: "f00") { id } }', "run_not_found", ["run"]),
        ("{ runs(first: 0) { totalCount } }", "greater_than_equal", ["runs"]),
        ('{ runs(after: "x") { totalCount } }', "bad_cursor", ["runs"]),
        ("{ nothing }", "graphql_invalid", None),
        ("{ run(", "graphql_syntax", None),
        (f"{{ runs {{ edges {{ node {{ {ALIASES} }} }} }} }}", "too_many_aliases", None),
        ("{ runs(first: 200) { edges { node { intervals { start } } } } }", "query_too_costly", None),
        (f"{{ {'storage { kind } ' * 700} }}", "too_many_tokens", None),
        (f"{{ storage {{ {'kind ' * 1200} }} }}", "too_many_fields", None),
        (f"{{ __schema {{ types {{ {'fields { type { ' * 7} name {'} }' * 7} }} }} }}", "query_too_deep", None),
        (f"{{ a{' { a' * 900}{' }' * 900} }}", "query_too_deep", None),
    ],
)
def test_an_error_has_a_code_and_its_place(server: ApiServer, query: str, code: str, path: list[str] | None) -> None:
    document = post(server, query).json()
    assert [entry["extensions"]["code"] for entry in document["errors"]] == [code], document
    assert document["errors"][0].get("path") == path
    assert document["errors"][0]["message"]


def test_what_is_no_operation_gets_a_problem_document(server: ApiServer, client: httpx.Client) -> None:
    url = f"{server.url}/graphql"
    for given in (
        client.post(url, json={}),
        client.post(url, content=b"x"),
        client.post(url, json=[]),
        client.get(url),
    ):
        assert given.status_code == 400, given.text
        assert given.json()["code"] == "bad_graphql_request"
    assert client.put(url, json={}).status_code == 405


def test_nested_fragments_do_not_multiply_the_work(server: ApiServer) -> None:
    parts = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60)]
    query = "{ ...f0 } " + " ".join(parts) + " fragment f60 on Query { storage { kind } }"
    codes = [entry["extensions"]["code"] for entry in post(server, query).json()["errors"]]
    assert codes == ["too_many_fields", "query_too_costly"]


def guide() -> list[str]:
    """The operations in the guide."""
    page = (ROOT / "docs/guide/graphql.md").read_text(encoding="utf-8")
    return re.findall(r"```graphql\n(.*?)```", page, flags=re.DOTALL)


def test_the_operations_of_the_guide(server: ApiServer, client: httpx.Client, run_id: str) -> None:
    spec = client.get(f"/runs/{run_id}").json()["written_spec"]
    spec["endpoints"][0].pop("headers")
    given = {"run": run_id, "other": run_id, "after": None, "spec": spec}
    kinds = []
    for operation in guide():
        [definition] = parse(operation).definitions
        assert isinstance(definition, OperationDefinitionNode)
        kinds.append(definition.operation.value)
        names = [variable.variable.name.value for variable in definition.variable_definitions or ()]
        if definition.operation is OperationType.SUBSCRIPTION:
            assert validate(build_schema((ROOT / "schema.graphql").read_text()), parse(operation)) == []
        else:
            data = answer(server, operation, **{name: given[name] for name in names})
            assert all(value is not None for value in data.values())
    assert kinds.count("query") == 4
    assert kinds.count("mutation") == kinds.count("subscription") == 2
    # Other tests count the requests of this target.
    for run in client.get("/runs", params={"limit": 10}).json()["runs"]:
        client.post(f"/runs/{run['id']}/cancel")
        ended(client, run["id"])


def test_introspection_is_allowed(server: ApiServer) -> None:
    names: Any = {kind["name"] for kind in answer(server, get_introspection_query())["__schema"]["types"]}
    assert {"Run", "RunConnection", "Schedule", "Figure"} <= names
