"""Attacks on the API, each from outside, as an attacker would."""

from __future__ import annotations

import asyncio
import gzip
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from atm.config import Settings
from atm.storage import open_storage
from atm.storage.api_keys import ApiKey, Role, hash_api_key
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended

SERVER_KEY = secrets.token_urlsafe(32)
KEYS = {role: secrets.token_urlsafe(24) for role in Role}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server with keys, behind a trusted proxy, that may load one name only."""
    data_dir = tmp_path_factory.mktemp("locked") / "data"
    asyncio.run(_store_keys(data_dir))
    server = ApiServer(
        data_dir,
        API_TEST_MACHINE_API_KEY=SERVER_KEY,
        ATM_ALLOWED_HOSTS="atm.example",
        ATM_CORS_ORIGINS="https://dashboard.example",
        ATM_ALLOWED_TARGETS="127.0.0.1,*.internal.example",
        ATM_MAX_BODY_BYTES="20000",
        ATM_MAX_DURATION="60",
        ATM_MAX_USERS="20",
        ATM_MAX_RATE="500",
        SECRET_OF_THE_SERVER="do-not-tell",
    )
    yield server.ready()
    server.stop()


async def _store_keys(data_dir: Path) -> None:
    storage = await open_storage(Settings(data_dir=data_dir))
    for role, key in KEYS.items():
        await storage.keys.add(ApiKey(role.value, role.value, role, hash_api_key(key), datetime.now(UTC)))
    await storage.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def test_without_a_key_only_this_machine_is_answered(server: ApiServer) -> None:
    assert httpx.get(f"{server.url}/api/v1/runs", trust_env=False, verify=False).status_code == 200
    for headers in (
        {"Host": "attacker.example"},
        {"Host": f"attacker.example:{server.port}"},
        {"Host": f"127.0.0.1.attacker.example:{server.port}"},
        {"Host": f"127.0.0.1:{server.port}@attacker.example"},
        {"Host": f"[::1].attacker.example:{server.port}"},
        {"Host": "localhost.attacker.example."},
        {"Host": "0.0.0.0"},
        {"Host": ""},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ):
        answer = httpx.get(f"{server.url}/api/v1/runs", headers=headers, trust_env=False, verify=False)
        assert code(answer) == (403, "no_key_yet"), headers


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "10.0.0.1"])
def test_without_a_key_another_address_is_refused_however_the_app_was_started(tmp_path: Path, address: str) -> None:
    from atm.api.app import create_app

    async def scenario() -> None:
        app = create_app(Settings(data_dir=tmp_path))
        far = httpx.ASGITransport(app, client=(address, 5000))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=far, base_url="http://127.0.0.1") as client,
        ):
            assert code(await client.get("/api/v1/runs")) == (403, "no_key_yet")
            assert (await client.get("/health/live")).status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/api/v1/runs", "/atm/api/v1/runs", "/atm/metrics"])
def test_below_a_path_of_a_proxy_a_key_is_asked_for_whether_that_path_was_taken_off_or_not(
    tmp_path: Path, path: str
) -> None:
    from atm.api.app import create_app

    async def scenario() -> None:
        settings = Settings(data_dir=tmp_path, root_path="/atm", API_TEST_MACHINE_API_KEY=SecretStr(SERVER_KEY))
        app = create_app(settings)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
        ):
            assert code(await client.get(path)) == (401, "key_needed")
            assert (await client.get(path, headers={"X-API-Key": SERVER_KEY})).status_code == 200
            assert (await client.get("/atm/health/live")).status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "origin", ["https://attacker.example", "null", "http://127.0.0.1.attacker.example", "http://127.0.0.1"]
)
def test_a_page_of_another_site_may_not_post(server: ApiServer, origin: str) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/runs",
        content=b'{"spec": {"name": "x", "url": "http://127.0.0.1/"}}',
        headers={"Origin": origin, "Content-Type": "application/json"},
        trust_env=False,
        verify=False,
    )
    assert code(answer) == (403, "cross_origin")
    own = httpx.post(
        f"{server.url}/api/v1/specs/validate",
        json={"spec": {}},
        headers={"Origin": server.url},
        trust_env=False,
        verify=False,
    )
    assert own.status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_page_whose_name_was_rebound_to_this_machine_is_refused(
    server: ApiServer, locked: ApiServer, method: str
) -> None:
    # To the browser it is the page's own server: Host and Origin agree, and it sends no key.
    for each, refusal in ((server, (403, "no_key_yet")), (locked, (421, "unknown_host"))):
        name = f"attacker.example:{each.port}"
        for headers in ({"Host": name}, {"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}):
            for path in ("/api/v1/runs", "/api/v1/session", "/api/v1/events", "/metrics", "/"):
                answer = httpx.request(method, f"{each.url}{path}", headers=headers, trust_env=False, verify=False)
                assert code(answer) == refusal, (path, headers)


def test_a_web_socket_of_a_page_whose_name_was_rebound_is_refused(server: ApiServer) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect
    from websockets.typing import Origin

    name = f"attacker.example:{server.port}"
    with socket.create_connection(("127.0.0.1", server.port)) as connection, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{name}/api/v1/runs/any/ws", origin=Origin(f"http://{name}"), sock=connection, proxy=None)
    assert refused.value.response.status_code == 403


def test_a_web_socket_of_another_site_is_refused(server: ApiServer) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect
    from websockets.typing import Origin

    address = f"{server.url.replace('http', 'ws')}/api/v1/runs/any/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin("https://attacker.example"), proxy=None)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": SERVER_KEY[:-1]},
        {"X-API-Key": hash_api_key(SERVER_KEY)},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SERVER_KEY}"},
        {"Cookie": "atm_session=forged"},
        {"Cookie": f"atm_session={hash_api_key(SERVER_KEY)}"},
    ],
)
def test_what_is_no_key_opens_nothing(locked: ApiServer, headers: dict[str, str]) -> None:
    for path in ("/api/v1/runs", "/metrics", "/api/v1/storage/status", "/api/v1/openapi.json", "/api/v1/events"):
        answer = httpx.get(f"{locked.url}{path}", headers=headers, trust_env=False, verify=False)
        assert code(answer) == (401, "key_needed"), path
    assert httpx.get(f"{locked.url}/health/ready", headers=headers, trust_env=False, verify=False).status_code == 200


def test_a_key_opens_by_header_and_by_bearer(locked: ApiServer) -> None:
    for headers in (
        {"X-API-Key": SERVER_KEY},
        {"Authorization": f"Bearer {SERVER_KEY}"},
        {"X-API-Key": KEYS[Role.VIEWER]},
    ):
        assert httpx.get(f"{locked.url}/api/v1/runs", headers=headers, trust_env=False, verify=False).status_code == 200


def test_a_viewer_may_look_and_change_nothing(locked: ApiServer) -> None:
    changes = (
        *("POST /runs", "DELETE /runs/x", "POST /tests/sync", "PUT /tests/x", "PATCH /runs/x"),
        *("POST /schedules", "PUT /schedules/x", "DELETE /schedules/x", "POST /schedules/x/pause"),
    )
    viewing, operating = {"X-API-Key": KEYS[Role.VIEWER]}, {"X-API-Key": KEYS[Role.OPERATOR]}
    with locked.client(**viewing) as viewer, locked.client(**operating) as operator:
        for change in changes:
            method, path = change.split()
            assert code(viewer.request(method, path, json={})) == (403, "role_too_low"), path
        assert operator.delete("/runs/x").status_code == 404
        assert viewer.get("/schedules").status_code == 200
        assert viewer.get("/session").json() == {"role": "viewer", "name": "viewer", "expires_at": None}


def test_keys_are_for_admins(locked: ApiServer) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        with locked.client(**{"X-API-Key": KEYS[role]}) as lower:
            calls = (
                ("GET", "/keys", None),
                ("POST", "/keys", {"name": "mine", "role": "admin"}),
                ("POST", "/keys", {"name": "mine", "role": role.value}),
                ("DELETE", "/keys/admin", None),
                ("DELETE", f"/keys/{role.value}", None),
            )
            for method, path, body in calls:
                assert code(lower.request(method, path, json=body)) == (403, "role_too_low"), (role, method)
    with locked.client() as anonymous:
        assert code(anonymous.get("/keys")) == (401, "key_needed")
    with locked.client(**{"X-API-Key": KEYS[Role.ADMIN]}) as admin:
        assert {"admin", "operator", "viewer"} <= {each["name"] for each in admin.get("/keys").json()["keys"]}
        made = admin.post("/keys", json={"name": " nightly ", "role": "viewer"})
        assert (made.status_code, made.json()["name"], made.json()["role"]) == (201, "nightly", "viewer")
        assert code(admin.post("/keys", json={"name": "nightly"})) == (409, "name_taken")
        assert admin.post("/keys", json={"name": "a\nb"}).status_code == 422
        assert admin.post("/keys", json={"name": "b", "role": "root"}).status_code == 422
        key = made.json()["key"]
        assert key not in admin.get("/keys").text + locked.log()
        with locked.client(**{"X-API-Key": key}) as viewer:
            assert viewer.get("/session").json()["role"] == "viewer"
            assert code(viewer.get("/keys")) == (403, "role_too_low")
            assert admin.delete("/keys/nightly").status_code == 200
            _until(lambda: viewer.get("/runs").status_code == 401)
        assert code(admin.delete("/keys/nightly")) == (404, "key_not_found")
    files = [path for path in locked.data_dir.rglob("*") if path.is_file()]
    assert not [path.name for path in files if key.encode() in path.read_bytes()]


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(locked: ApiServer) -> None:
    with locked.client() as browser:
        assert code(browser.post("/session", json={"key": "wrong"})) == (401, "key_unknown")
        entered = browser.post("/session", json={"key": KEYS[Role.OPERATOR]})
        assert entered.json()["role"] == "operator"
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert KEYS[Role.OPERATOR].lower() not in cookie
        assert browser.get("/runs").status_code == 200
        assert code(browser.post("/runs", json={}, headers={"Origin": "https://attacker.example"})) == (
            403,
            "cross_origin",
        )
        assert browser.delete("/session").status_code == 204
        assert browser.get("/runs").status_code == 401


def test_a_revoked_key_and_its_sessions_open_nothing(locked: ApiServer) -> None:
    key = secrets.token_urlsafe(24)

    async def change(*, revoke: bool) -> None:
        storage = await open_storage(Settings(data_dir=locked.data_dir))
        if revoke:
            await storage.keys.revoke("leaver", datetime.now(UTC))
        else:
            await storage.keys.add(ApiKey("leaver", "leaver", Role.ADMIN, hash_api_key(key), datetime.now(UTC)))
        await storage.close()

    asyncio.run(change(revoke=False))
    with locked.client() as browser, locked.client(**{"X-API-Key": key}) as program:
        assert browser.post("/session", json={"key": key}).status_code == 200
        assert (browser.get("/runs").status_code, program.get("/runs").status_code) == (200, 200)
        asyncio.run(change(revoke=True))
        _until(lambda: (browser.get("/runs").status_code, program.get("/runs").status_code) == (401, 401))


def test_the_host_must_be_one_of_ours(locked: ApiServer) -> None:
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        assert client.get("/runs", headers={"Host": "atm.example"}).status_code == 200
        assert code(client.get("/runs", headers={"Host": "rebound.example"})) == (421, "unknown_host")


def test_cors_is_closed_but_for_the_origins_that_are_named(locked: ApiServer) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    with locked.client() as client:
        named = client.options("/runs", headers={"Origin": "https://dashboard.example", **preflight})
        assert named.headers["access-control-allow-origin"] == "https://dashboard.example"
        other = client.options("/runs", headers={"Origin": "https://attacker.example", **preflight})
        assert "access-control-allow-origin" not in other.headers


def test_the_environment_of_the_server_is_not_to_be_had(locked: ApiServer) -> None:
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        for name in ("SECRET_OF_THE_SERVER", "API_TEST_MACHINE_API_KEY", "PATH"):
            spec = {"name": "x", "url": "http://127.0.0.1/", "headers": {"X": f"{{{{env:{name}}}}}"}}
            assert code(client.post("/runs", json={"spec": spec})) == (422, "env_not_allowed")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://169.254.169.254/latest/meta-data/"},
        {"url": "http://[fe80::1]/"},
        {"url": "http://[::ffff:169.254.169.254]/"},
        {"url": "http://[64:ff9b::a9fe:a9fe]/"},
        {"url": "http://[fd00:ec2::254]/"},
        {"url": "http://10.0.0.1/"},
        {"proxy": "http://169.254.169.254:80"},
        {"connect_to": ["127.0.0.1:80:169.254.169.254:80"]},
        {
            "auth": {
                "type": "oauth2_client_credentials",
                "token_url": "http://169.254.169.254/token",
                "client_id": "a",
                "client_secret": "b",
            }
        },
    ],
)
def test_a_target_that_is_not_allowed_is_refused_before_anything_is_sent(
    locked: ApiServer, changes: dict[str, Any]
) -> None:
    spec = {"name": "x", "url": "http://127.0.0.1/", **changes}
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        answer = client.post("/runs", json={"spec": spec})
    assert code(answer) == (422, "target_not_allowed"), answer.text


@pytest.mark.parametrize("host", ["2852039166", "0xA9FEA9FE", "169.254.43518", "localhost.attacker.internal.example"])
def test_a_name_that_leads_to_a_forbidden_address_is_not_dialled(locked: ApiServer, host: str) -> None:
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        answer = client.post("/runs", json={"spec": {"name": "x", "url": f"http://{host}/", "total_requests": 1}})
        if answer.status_code == 422:
            return
        run = ended(client, answer.json()["id"])
    assert run["status"] == "failed"
    assert run["metrics"] is None


def test_a_redirect_to_a_forbidden_address_is_not_followed(locked: ApiServer, target: TargetServer) -> None:
    spec = {
        "name": "redirected",
        "url": f"{target.url}/redirect/1?to=http://169.254.169.254",
        "redirects": 3,
        "total_requests": 1,
    }
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        answer = client.post("/runs", json={"spec": spec})
        assert answer.status_code == 202, answer.text
        run = ended(client, answer.json()["id"])
        [sample] = client.get(f"/runs/{run['id']}/samples").json()
    assert "may not load" in sample["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"requests_per_second": 501},
        {"duration": "2h"},
        {"concurrency": 21},
        {"load": {"model": "closed", "stages": [{"duration": 5, "target": 100}]}},
    ],
)
def test_caps_hold(locked: ApiServer, changes: dict[str, Any]) -> None:
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        answer = client.post("/runs", json={"spec": {"name": "x", "url": "http://127.0.0.1/", **changes}})
    assert code(answer) == (422, "beyond_cap")


def test_files_of_the_server_are_not_read(locked: ApiServer) -> None:
    spec = {"name": "x", "url": "https://127.0.0.1/", "tls": {"ca": "/etc/passwd"}}
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        answer = client.post("/runs", json={"spec": spec})
    assert code(answer) == (422, "file_not_allowed")


def test_a_body_beyond_the_limit_is_refused_said_or_sent(locked: ApiServer) -> None:
    with locked.client(**{"X-API-Key": SERVER_KEY, "Content-Type": "application/json"}) as client:
        assert code(client.post("/runs", content=b" " * 20_001)) == (413, "body_too_large")
        chunks = (b" " * 5_000 for _ in range(10))
        assert client.post("/runs", content=chunks).status_code == 413


def test_a_key_in_a_spec_is_nowhere_to_be_read(locked: ApiServer, target: TargetServer) -> None:
    secret = f"very-{secrets.token_hex(8)}"
    spec = {
        "name": "secret",
        "url": f"{target.url}/echo?access_token={secret}",
        "headers": {"X-API-Key": secret},
        "auth": {"type": "basic", "username": "me", "password": secret},
        "total_requests": 2,
    }
    with locked.client(**{"X-API-Key": SERVER_KEY}) as client:
        run_id = client.post("/runs", json={"spec": spec}).json()["id"]
        run = ended(client, run_id)
        assert run["metrics"]["total_requests"] == 2
        parts = ("", "/result", "/samples", "/requests/1", "/intervals", "/distribution", "/events")
        shown = [client.get(f"/runs/{run_id}{rest}").text for rest in parts]
        shown.append(gzip.decompress(client.get(f"/runs/{run_id}/bundle").content).decode())
        shown.append(client.get(f"/compare?a={run_id}&b={run_id}").text)
        assert client.post("/tests", json={"spec": spec}).status_code == 201
        shown += [client.get(rest).text for rest in ("/tests", "/tests/secret", "/history", "/runs?text=secret")]
    assert secret not in "".join(shown)
    files = [path for path in locked.data_dir.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if secret.encode() in path.read_bytes()]


def test_raw_nonsense_on_the_port_is_survived(locked: ApiServer) -> None:
    twice = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    for nonsense in (b"\x16\x03\x01\x02", b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 100_000, twice):
        with socket.create_connection(("127.0.0.1", locked.port), timeout=60) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert httpx.get(f"{locked.url}/health/live", trust_env=False, verify=False).status_code == 200


def _until(condition: Any) -> None:
    import time

    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_settings_and_keys_do_not_show_what_they_hold() -> None:
    key = ApiKey("id", "name", Role.ADMIN, "hush", datetime.now(UTC))
    assert "hush" not in repr(Settings(server_api_key=SecretStr("hush"))) + repr(key)
