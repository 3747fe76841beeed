"""Attacks on what a server may dial, and on its caps."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from atm.notifications.apprise_channel import AppriseChannel
from atm.notifications.channel import SendError
from atm.plan.targets import TargetRules
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.notifications.documents import message
from tests.runs.installation import spec
from tests.security.sockets import resident_bytes

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    data = tmp_path_factory.mktemp("ssrf") / "data"
    started = ApiServer(data, ATM_MAX_RATE="10", ATM_MAX_REQUESTS="15", ATM_MAX_USERS="4").ready()
    yield started
    started.stop()


LOAD = {"concurrency": 2, "total_requests": 5}
"""Below each cap of the server."""


def codes(server: ApiServer, **fields: Any) -> list[str]:
    with server.client() as client:
        answer = client.post("/specs/validate", json={"spec": {"name": "a", **LOAD, **fields}}).json()
    return [error["code"] for error in answer["errors"]]


@pytest.mark.parametrize("host", ["0xa9fea9fe", "metadata.google.internal", "localhost", "0251.0376.0251.0376"])
def test_names_do_not_pass_through_a_proxy_unjudged(server: ApiServer, host: str) -> None:
    assert codes(server, url=f"http://{host}/", proxy="http://127.0.0.1:3128") != []
    assert codes(server, url="http://127.0.0.1:9/", proxy="http://127.0.0.1:3128") == []
    assert codes(server, url="http://127.0.0.1:9/", proxy="http://127.0.0.1:3128", redirects=3) == [
        "target_not_allowed"
    ]


def test_caps_hold_for_users_without_a_rate(server: ApiServer, running_target: TargetServer) -> None:
    with server.client() as client:
        document = spec(running_target, concurrency=4, duration="60s")
        run = ended(client, client.post("/runs", json={"spec": document}).json()["id"])
        result = client.get(f"/runs/{run['id']}/result").json()
    assert result["metrics"]["successful_requests"] <= 15
    # 15 requests at 10 per second take 1.4 seconds from the first to the last.
    assert result["metrics"]["duration_seconds"] > 1
    assert codes(server, url="http://127.0.0.1:9/", total_requests=16) == ["beyond_cap"]
    load = {"model": "closed", "users": 2, "max_rate": 11}
    assert codes(server, url="http://127.0.0.1:9/", load=load, concurrency=None) == ["beyond_cap"]


@pytest.mark.anyio
@pytest.mark.parametrize("option", ["template", "keyfile", "attach"])
async def test_options_of_an_apprise_url_read_no_files(tmp_path: Path, option: str) -> None:
    file = tmp_path / "secret.json"
    file.write_text(json.dumps({"type": "service_account", "text": "a secret"}))
    channel = AppriseChannel(TargetRules(("hooks.example",)), timeout_seconds=100)
    for url in (f"msteams://a@b/c/d/?{option}={file}", f"fcm://project/device?{option}={file}"):
        with pytest.raises(SendError) as caught:
            await channel.send(message(url, "apprise"), 0.0)
        assert "a secret" not in str(caught.value)


class _Bomb(BaseHTTPRequestHandler):
    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def test_a_token_server_cannot_fill_the_memory(server: ApiServer) -> None:
    _Bomb.body = gzip.compress(b" " * 200_000_000, 1)
    bomb = HTTPServer(("127.0.0.1", 0), _Bomb)
    threading.Thread(target=bomb.serve_forever, daemon=True).start()
    try:
        before = resident_bytes(server.process.pid)
        auth = {"type": "oauth2_client_credentials", "client_id": "a", "client_secret": "b"}
        auth["token_url"] = f"http://127.0.0.1:{bomb.server_port}/"
        document = {"name": "a", "url": "http://127.0.0.1:9/", **LOAD}
        with server.client() as client:
            answer = client.post("/specs/try", json={"spec": {**document, "auth": auth}})
        assert answer.status_code == 502
        assert "gave no token" in answer.text
        assert resident_bytes(server.process.pid) - before < 60_000_000
    finally:
        bomb.shutdown()
        bomb.server_close()
