"""No address leads past the key, however it is written."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.api.server import PATIENCE_SECONDS, ApiServer
from tests.examples import PROFILE
from tests.security.attack import encoded, raw

KEY = secrets.token_urlsafe(32)
SECRET = b"atm_runs"
"""What /metrics answers to those who may ask."""


@pytest.fixture(scope="module", params=["", "/atm"], ids=["at the root", "below a path"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    data_dir = tmp_path_factory.mktemp("paths") / "data"
    started = ApiServer(data_dir, API_TEST_MACHINE_API_KEY=KEY, ATM_ROOT_PATH=request.param)
    yield started.ready()
    started.stop()


CONTROL = [f"%{number:02X}" for number in (*range(0x20), 0x7F)] + ["%C2%85", "%C2%9F", "%E2%80%A8", "%E2%80%A9"]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"DELETE"])
def test_control_characters_in_a_path_are_refused(server: ApiServer, method: bytes) -> None:
    # In `make test` each character is in two of the eight paths. A path is refused before its method is looked at: of
    # the other methods fewer are sent.
    step = 1 if PROFILE == "prove" else 4 if method == b"GET" else 24
    paths = (b"/metrics", b"/api/v1/runs", b"/api/v1/openapi.json", b"/health/live")
    for number, (prefix, path) in enumerate(itertools.product((b"", b"/atm"), paths)):
        for written in CONTROL[number % step :: step]:
            for target in (
                path + written.encode(),
                written.encode() + path,
                path[:4] + written.encode() + path[4:],
            ):
                target = prefix + (target if target.startswith(b"/") else b"/" + target)
                status, answer = raw(server.port, encoded(target, method))
                assert status == 400, (target, answer[:300])
                assert SECRET not in answer


ODD = (
    *(b"//metrics", b"/./metrics", b"/x/../metrics", b"/%2e/metrics", b"/metrics/", b"/metrics%20", b"/metrics%2F"),
    *(b"/METRICS", b"/metrics;x", b"/metrics%3B", b"/metrics%EF%BB%BF", b"/metrics%E2%80%8B", b"/%6detrics", b"/\xff"),
    *(b"/metrics%C0%80", b"/metrics%FF", b"\\metrics", b"/metrics%23", b"/metrics%3F", b"metrics", b"*", b"/metrics\t"),
    *(b"http://127.0.0.1/metrics", b"http://x/metrics", b"/api/v1//runs", b"/api/v1/runs%E2%80%8B", b"/api%2Fv1/runs"),
)


def test_no_spelling_of_an_address_shows_what_needs_a_key(server: ApiServer) -> None:
    for prefix in (b"", b"/atm", b"/atm/atm"):
        for odd in ODD:
            for method in (b"GET", b"HEAD", b"POST", b"OPTIONS", b"get"):
                status, answer = raw(server.port, encoded(prefix + odd, method))
                assert SECRET not in answer, odd
                assert b'"runs"' not in answer, odd
                # 200 is the dashboard's page alone.
                assert status < 500, (odd, answer)
                assert status != 200 or b"<!doctype html" in answer.lower() or method == b"HEAD", (odd, answer[:300])


def test_every_route_needs_a_principal_but_those_that_are_named(server: ApiServer) -> None:
    open_paths = {"/health", "/health/live", "/health/ready"}
    named = {*open_paths, *(f"/api/v1{path}" for path in open_paths)}
    document = httpx.get(
        f"{server.url}/api/v1/openapi.json",
        headers={"X-API-Key": KEY},
        trust_env=False,
        verify=False,
        timeout=PATIENCE_SECONDS,
    ).json()
    asked_for = 0
    for path, methods in document["paths"].items():
        for method in methods:
            if path in named or (method, path) == ("post", "/api/v1/session"):
                continue
            filled = path.replace("{", "").replace("}", "")
            answer = httpx.request(method, server.url + filled, trust_env=False, verify=False)
            assert answer.status_code == 401, (method, path, answer.text)
            asked_for += 1
    assert asked_for > 40


def test_a_request_that_no_guard_judged_is_nobodys(tmp_path: object) -> None:
    from starlette.requests import HTTPConnection

    from atm.api import deps
    from atm.api.errors import ApiError

    for state in ({}, {"principal": None}):
        scope = {"type": "http", "state": state, "headers": [], "path": "/", "query_string": b""}
        with pytest.raises(ApiError) as refused:
            deps.require_principal(HTTPConnection(scope))
        assert refused.value.status == 401
