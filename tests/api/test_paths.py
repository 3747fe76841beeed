"""What the guard judges is what a route is found for, however an address is written."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from atm.api.paths import normalise_path, route_path

PIECES = ("/", "//", "atm", "/atm", "api", "/api/v1/runs", "/health", ".", "..", "%2F", "*", "?", "\\", "é", "ATM")
PATHS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
ROOTS = st.sampled_from(("", "/", "/atm", "/atm/", "/a", "/atm/atm", "/api"))


async def _answered(_request: Request) -> Response:
    return Response()


EVERYTHING = Route("/{path:path}", _answered)


@given(PATHS, ROOTS, ROOTS)
@example("*", "/atm", "")
@example("", "", "")
@example("/atm", "/atm", "")
@example("/atm/atm/api/v1/runs", "/atm", "")
@example("/atmapi", "/atm", "")
def test_the_router_finds_what_the_guard_has_judged(path: str, of_settings: str, of_server: str) -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "root_path": of_server, "headers": []}
    normalise_path(scope, of_settings)
    judged = route_path(scope)
    match, found = EVERYTHING.matches(scope)
    if judged:
        assert match is Match.FULL
        assert f"/{found['path_params']['path']}" == judged
    else:
        # The root itself, asked for without a slash.
        assert match is Match.NONE
    before = dict(scope)
    normalise_path(scope, of_settings)
    assert (scope, route_path(scope)) == (before, judged)
