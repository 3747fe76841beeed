"""Requests made from the OpenAPI document, hundreds of them: no fault of ours, and nothing that it does not say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.examples import PROFILE
from tests.runs.installation import spec

DOCUMENT = Path(__file__).parents[2] / "openapi.json"
CASES = 400 if PROFILE == "prove" else 3
"""For each operation."""
NEVER_ENDS = "/api/v1/events"
KEY = {"X-API-Key": "b7Qm2xVt9KsLw4Zr8NcFy6Hd"}
"""It opens everything, also after a request has made the first of other keys."""

OPERATIONS = sorted(
    (method, path)
    for path, operations in json.loads(DOCUMENT.read_text())["paths"].items()
    for method in operations
    if path != NEVER_ENDS
)


@cache
def schema() -> Any:
    """Return the document with its hook. All processes collect these tests: only one of them imports schemathesis."""
    import schemathesis

    document = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text())).exclude(path=NEVER_ENDS)
    document.hook(map_path_parameters)
    return document


@cache
def checked() -> list[Any]:
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as specified

    return [
        checks.not_a_server_error,
        specified.status_code_conformance,
        specified.content_type_conformance,
        specified.response_headers_conformance,
        specified.response_schema_conformance,
    ]


class Known:
    """What requests may ask for that is really there."""

    url = ""
    runs: tuple[str, ...] = ()
    test = ""


def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """In every other request an id that exists; what is deleted is not among them."""
    if not path_parameters or context.operation.method.upper() == "DELETE":
        return path_parameters
    found = dict(path_parameters)
    if "run_id" in found and len(str(found["run_id"])) % 2:
        found["run_id"] = Known.runs[len(str(found["run_id"])) // 2 % len(Known.runs)]
    if "test" in found and len(str(found["test"])) % 2:
        found["test"] = Known.test
    return found


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, running_target: TargetServer) -> Iterator[ApiServer]:
    """A server that may load this machine only, with some history, and with a run that keeps all others waiting."""
    server = ApiServer(
        tmp_path_factory.mktemp("fuzz") / "data",
        API_TEST_MACHINE_API_KEY=KEY["X-API-Key"],
        ATM_ALLOWED_TARGETS="127.0.0.1",
        ATM_MAX_RATE="100",
        ATM_MAX_USERS="10",
    ).ready()
    with server.client(**KEY) as client:
        runs = []
        for path, requests in (("/fixed", 20), ("/status/500", 5)):
            submitted = spec(running_target, path, total_requests=requests)
            runs.append(client.post("/runs", json={"spec": submitted}).json()["id"])
            ended(client, runs[-1])
        submitted = spec(running_target, name="kept")
        Known.test = client.post("/tests", json={"spec": submitted}).json()["id"]
        slow = spec(running_target, requests_per_second=1, duration=3600)
        holder = client.post("/runs", json={"spec": slow}).json()["id"]
        Known.runs = tuple(runs)
        Known.url = server.url
        yield server
        client.post(f"/runs/{holder}/cancel")
        ended(client, holder)
    log = server.log()
    server.stop()
    assert "Traceback" not in log


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_server_does_what_the_document_says(method: str, path: str, fuzzed: ApiServer) -> None:
    from schemathesis import GenerationMode

    operation = schema()[path][method]
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
    @given(case=good | bad if operation.query or operation.body or operation.headers else good)
    def probe(case: Any) -> None:
        answer = case.call(base_url=fuzzed.url, headers=KEY, timeout=240)
        case.validate_response(answer, checks=checked())

    probe()


def test_the_server_is_well_after_all_of_it(fuzzed: ApiServer) -> None:
    assert httpx.get(f"{fuzzed.url}/health/ready", trust_env=False, verify=False).status_code == 200
