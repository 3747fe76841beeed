"""Sessions and streams end when they are ended, or when their key is revoked, on every worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from atm.api.auth import CACHED_SECONDS
from atm.api.revocation import RECHECK_SECONDS
from tests.api.server import ApiServer
from tests.contract.postgresql import PostgresqlServer

pytestmark = pytest.mark.timeout(400)

WORKERS = 2


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.prove)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Two workers, and a first key that an admin has."""
    environment: dict[str, str] = {}
    if request.param == "postgresql":
        database: PostgresqlServer = request.getfixturevalue("postgresql")
        database.sql("TRUNCATE runs, test_configs, api_keys, schedules, sessions, audit_log CASCADE", "atm")
        environment["ATM_DATABASE_URL"] = database.url("atm")
    started = ApiServer(tmp_path_factory.mktemp("sessions") / "data", workers=WORKERS, **environment).ready()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def admin(server: ApiServer) -> str:
    answer = httpx.post(
        f"{server.url}/api/v1/keys", json={"name": "root-key", "role": "admin"}, trust_env=False, verify=False
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def new_key(server: ApiServer, admin: str, name: str, **fields: Any) -> str:
    with server.client(**{"X-API-Key": admin}) as client:
        answer = client.post("/keys", json={"name": name, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])


def signed_in(server: ApiServer, key: str) -> str:
    """The cookie of a new session."""
    with server.client() as browser:
        answer = browser.post("/session", json={"key": key})
        assert answer.status_code == 200, answer.text
        return str(answer.cookies["atm_session"])


def statuses(server: ApiServer, headers: dict[str, str]) -> set[int]:
    """What connections of their own are answered: the system deals them out to the workers."""
    return {
        httpx.get(f"{server.url}/api/v1/runs", headers=headers, trust_env=False, verify=False).status_code
        for _ in range(WORKERS * 4)
    }


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_promised_two_seconds_are_what_the_parts_add_up_to() -> None:
    assert CACHED_SECONDS + RECHECK_SECONDS < 2


def test_the_first_key_ends_local_access_at_once(server: ApiServer, admin: str) -> None:
    assert statuses(server, {"X-API-Key": admin}) == {200}
    assert statuses(server, {}) == {401}


def test_logout_ends_the_session_on_every_worker(server: ApiServer, admin: str) -> None:
    cookie = {"Cookie": f"atm_session={signed_in(server, admin)}"}
    other = {"Cookie": f"atm_session={signed_in(server, admin)}"}
    assert statuses(server, cookie) == statuses(server, other) == {200}
    answer = httpx.delete(f"{server.url}/api/v1/session", headers=cookie, trust_env=False, verify=False)
    assert answer.status_code == 204
    until(lambda: statuses(server, cookie) == {401})
    assert statuses(server, other) == {200}


def test_sessions_are_listed_and_each_is_revocable(server: ApiServer, admin: str) -> None:
    viewer_key = new_key(server, admin, "looker", role="viewer")
    mine, its = signed_in(server, admin), signed_in(server, viewer_key)
    with server.client(Cookie=f"atm_session={mine}") as boss, server.client(Cookie=f"atm_session={its}") as viewer:
        all_of_them = boss.get("/sessions").json()["sessions"]
        assert {"root-key", "looker"} <= {each["name"] for each in all_of_them}
        assert [each["current"] for each in all_of_them].count(True) == 1
        assert mine not in str(all_of_them)
        [own] = viewer.get("/sessions").json()["sessions"]
        assert (own["name"], own["current"], own["address"]) == ("looker", True, "127.0.0.1")
        of_boss = next(each["id"] for each in all_of_them if each["current"])
        assert viewer.delete(f"/sessions/{of_boss}").status_code == 404
        assert boss.get("/runs").status_code == 200
        assert boss.delete(f"/sessions/{own['id']}").status_code == 204
        until(lambda: statuses(server, {"Cookie": f"atm_session={its}"}) == {401})
        assert boss.delete(f"/sessions/{own['id']}").status_code == 404
        # A viewer may end its own.
        again = signed_in(server, viewer_key)
        with server.client(Cookie=f"atm_session={again}") as back:
            [own] = back.get("/sessions").json()["sessions"]
            assert back.delete(f"/sessions/{own['id']}").status_code == 204


class Stream(threading.Thread):
    """An open stream of events, as a browser has it."""

    def __init__(self, server: ApiServer, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._url, self._headers = f"{server.url}/api/v1/events", headers
        self.opened, self.ended = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with httpx.stream(
            "GET", self._url, headers=self._headers, timeout=None, trust_env=False, verify=False
        ) as response:
            assert response.status_code == 200
            for _ in response.iter_raw():
                self.opened.set()
        self.ended.set()


def test_revoking_a_key_ends_its_sessions_and_open_streams_on_every_worker(server: ApiServer, admin: str) -> None:
    key = new_key(server, admin, "leaving")
    cookie = signed_in(server, key)
    run = _pending_run(server, admin)
    by_key, by_cookie = {"X-API-Key": key}, {"Cookie": f"atm_session={cookie}"}
    streams = [Stream(server, headers) for headers in (by_key, by_cookie) for _ in range(WORKERS)]
    staying = Stream(server, {"X-API-Key": admin})
    address = f"{server.url.replace('http', 'ws')}/api/v1/runs/{run}/ws"
    with ExitStack() as opened:
        opened.callback(_cancel, server, admin, run)
        sockets = [
            opened.enter_context(connect(address, additional_headers=headers, proxy=None))
            for headers in (by_key, by_cookie)
        ]
        assert all(each.opened.wait(60) for each in [*streams, staying])
        with server.client(**{"X-API-Key": admin}) as client:
            assert client.delete("/keys/leaving").status_code == 200
        assert all(each.ended.wait(60) for each in streams)
        for socket in sockets:
            with pytest.raises(ConnectionClosed) as closed:
                _read_to_the_end(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
        assert statuses(server, by_key) == statuses(server, by_cookie) == {401}
        assert not staying.ended.is_set()


def _read_to_the_end(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=60)


def _cancel(server: ApiServer, admin: str, run: str) -> None:
    with server.client(**{"X-API-Key": admin}) as client:
        client.post(f"/runs/{run}/cancel")


def _pending_run(server: ApiServer, admin: str) -> str:
    """A run that lasts: its target accepts no connection."""
    spec = {"name": "lasting", "url": "http://127.0.0.1:9/", "requests_per_second": 1, "duration_seconds": 600}
    with server.client(**{"X-API-Key": admin}) as client:
        answer = client.post("/runs", json={"spec": spec})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def test_a_session_does_not_outlive_its_key(server: ApiServer, admin: str) -> None:
    key = new_key(server, admin, "short", expires_in_seconds=60)
    with server.client() as browser:
        answer = browser.post("/session", json={"key": key})
    listed = httpx.get(f"{server.url}/api/v1/keys", headers={"X-API-Key": admin}, trust_env=False, verify=False).json()[
        "keys"
    ]
    [record] = [each for each in listed if each["name"] == "short"]
    assert answer.json()["expires_at"] <= record["expires_at"]


def test_after_the_last_key_nobody_is_let_in_until_a_local_command_says_so(tmp_path: Path) -> None:
    from tests.security.attack import command

    server = ApiServer(tmp_path / "data").ready()
    try:
        made = httpx.post(
            f"{server.url}/api/v1/keys", json={"name": "only", "role": "admin"}, trust_env=False, verify=False
        ).json()
        with server.client(**{"X-API-Key": made["key"]}) as client:
            until(lambda: statuses(server, {}) == {401})
            assert command(server.data_dir, "keys", "release").returncode != 0
            assert client.delete("/keys/only").status_code == 200
        until(lambda: statuses(server, {"X-API-Key": made["key"]}) == {401})
        time.sleep(CACHED_SECONDS)
        assert statuses(server, {}) == {401}
        released = command(server.data_dir, "keys", "release")
        assert released.returncode == 0, released.stderr
        until(lambda: statuses(server, {}) == {200})
    finally:
        server.stop()
