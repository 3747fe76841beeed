"""Pages of other sites and ports change nothing, and a request has one key."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.server import ApiServer
from tests.security.sockets import head, sent, status

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("site") / "data", API_TEST_MACHINE_API_KEY=KEY).ready()
    yield started
    started.stop()


@pytest.mark.parametrize(
    "line",
    [
        *("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: null", "Origin: http://127.0.0.1:1"),
        *("Origin: http://127.0.0.1", "Origin: https://evil.example", "Origin: http://["),
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_a_page_of_another_site_or_port_changes_nothing(server: ApiServer, line: str, kind: str) -> None:
    cookie = httpx.post(f"{server.url}/api/v1/session", json={"key": KEY}, trust_env=False).cookies
    signed_in = "; ".join(f"{name}={value}" for name, value in cookie.items())
    for method, path in (("POST", "/api/v1/tests"), ("DELETE", "/api/v1/runs/x"), ("DELETE", "/api/v1/session")):
        lines = [f"Cookie: {signed_in}", f"Content-Type: {kind}", "Content-Length: 2", line]
        assert status(sent(server.port, head(method, path, server.port, *lines) + b"{}")) == 403


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-API-Key: {KEY}", "X-API-Key: wrong"],
        ["X-API-Key: wrong", f"X-API-Key: {KEY}"],
        [f"Authorization: Bearer {KEY}", "Authorization: Bearer wrong"],
        ["Authorization: Bearer wrong", f"Authorization: Bearer {KEY}"],
    ],
)
def test_a_request_with_two_keys_is_refused(server: ApiServer, lines: list[str]) -> None:
    assert status(sent(server.port, head("GET", "/api/v1/runs", server.port, *lines))) == 400
