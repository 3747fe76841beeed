"""A first test without a server of one's own."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.api.server import ApiServer, ended, events


def test_the_demo_runs_the_quickstart_test_against_a_target_that_ends_with_the_server(tmp_path: Path) -> None:
    server = ApiServer(tmp_path).ready()
    try:
        with server.client() as client:
            answer = client.post("/demo")
            assert answer.status_code == 202, answer.text
            for _, kind, _ in events(client, answer.json()["id"]):
                if kind == "interval":
                    # It would run for ten more.
                    client.post(f"/runs/{answer.json()['id']}/cancel", params={"graceful": True})
            run = ended(client, answer.json()["id"])
            assert run["status"] == "completed", run["error_message"]
            assert (run["name"], run["tags"]) == ("quickstart", ["demo"])
            assert run["metrics"]["successful_requests"] > 0
            base = run["spec"]["variables"]["base"]
            assert httpx.URL(base).host == "127.0.0.1"
            assert httpx.get(base).status_code == 200

            again = client.post("/demo").json()["id"]
            client.post(f"/runs/{again}/cancel")
            assert again != run["id"]
            # One target serves them all.
            assert ended(client, again)["spec"]["variables"]["base"] == base
    finally:
        assert server.stop() in (0, -signal.SIGTERM), server.log()
    with pytest.raises(httpx.ConnectError):
        httpx.get(base)
