"""Credentials that a server keeps: they go nowhere else, and stand in nothing that it answers or writes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from tests.api.server import ApiServer, ended
from tests.security.listener import Recorder

TOKEN, KEY, VARIABLE = "STORED-bearer-token", "STORED-api-key", "STORED-variable"
SECRETS = (TOKEN, KEY, VARIABLE)
TRIGGER = {"type": "interval", "seconds": 86_400}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(
        tmp_path_factory.mktemp("secrets") / "data",
        ATM_ENV_ALLOW="ALLOWED_VALUE",
        ALLOWED_VALUE="STORED-environment",
        TARGET_THIEF="127.0.0.1:1",
    )
    yield started.ready()
    started.stop()


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def home() -> Iterator[Recorder]:
    opened = Recorder()
    yield opened
    opened.close()


def spec(home: Recorder) -> dict[str, Any]:
    """A test of two endpoints, each with credentials of its own, and some that both share."""
    return {
        "name": "pay",
        "total_requests": 2,
        "variables": {"n": "2", "api_token": VARIABLE},
        "headers": {"X-Api-Key": KEY},
        "endpoints": [
            {
                "name": "a",
                "url": f"http://127.0.0.1:{home.port}/users/{{{{n}}}}",
                "auth": {"type": "bearer_token", "token": TOKEN},
                "headers": {"X-V": "{{api_token}}"},
            },
            {"name": "b", "url": f"http://localhost:{home.port}/open", "headers": {"X-Api-Key": ""}},
        ],
    }


GRANT = {"type": "oauth2_client_credentials", "client_id": "a"}

Attack = Callable[[dict[str, Any], int], None]


def _set(*path: str | int) -> Callable[[Any], Attack]:
    def to(value: Any) -> Attack:
        def change(spec: dict[str, Any], thief: int) -> None:
            place: Any = spec
            for part in path[:-1]:
                place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
            place[path[-1]] = json.loads(json.dumps(value).replace("THIEF", str(thief)))

        return change

    return to


def _port_by_variable(spec: dict[str, Any], thief: int) -> None:
    url = spec["endpoints"][0]["url"]
    spec["variables"]["n"] = str(thief)[-1]
    spec["endpoints"][0]["url"] = f"{url.rpartition(':')[0]}:{str(thief)[:-1]}{{{{n}}}}/steal"


def _swapped_hosts(spec: dict[str, Any], thief: int) -> None:
    first, second = spec["endpoints"]
    first["url"], second["url"] = second["url"], first["url"]


def _renamed(spec: dict[str, Any], thief: int) -> None:
    first, second = spec["endpoints"]
    first["name"], second["name"] = "b", "a"
    second["auth"], second["headers"] = first.pop("auth"), first.pop("headers")


ATTACKS: dict[str, Attack] = {
    "a port by a variable": _port_by_variable,
    "another port": _set("endpoints", 0, "url")("http://127.0.0.1:THIEF/"),
    "a host by a variable": _set("endpoints", 0, "url")("http://127.0.0.1{{n}}.evil.example/"),
    "a host of the environment": _set("endpoints", 0, "url")("http://{{target:THIEF}}/"),
    "another scheme": _set("endpoints", 0, "url")("https://127.0.0.1/users/{{n}}"),
    "the other endpoint's host": _swapped_hosts,
    "the other endpoint's name": _renamed,
    "a shared header to another host": _set("endpoints", 1, "headers")({}),
    "a shared variable to another host": _set("endpoints", 1, "headers")({"X-Api-Key": "", "X-V": "{{api_token}}"}),
    "a variable into a body for another host": _set("endpoints", 1, "body")("{{api_token}}"),
    "a variable into a URL of another host": _set("endpoints", 1, "url")("http://127.0.0.1:THIEF/{{api_token}}"),
    "connect_to": _set("connect_to")(["::127.0.0.1:THIEF"]),
    "a proxy": _set("proxy")("http://127.0.0.1:THIEF"),
    "no certificate checks": _set("tls")({"insecure": True}),
    "another server name": _set("tls")({"server_name": "evil.example"}),
    "redirects": _set("redirects")(5),
    "a token server": _set("endpoints", 0, "auth")(
        {**GRANT, "token_url": "http://127.0.0.1:THIEF/", "client_secret": "{{api_token}}"}
    ),
    "one more endpoint": lambda spec, thief: spec["endpoints"].append(
        {"name": "c", "url": f"http://127.0.0.1:{thief}/", "headers": {"X-V": "{{api_token}}"}}
    ),
}  # fmt: skip


def kept(client: httpx.Client, spec: dict[str, Any], name: str = "pay") -> dict[str, Any]:
    client.delete(f"/tests/{name}")
    answer = client.post("/tests", json={"spec": {**spec, "name": name}})
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()["spec"]
    assert not leaks(answer.text)
    return shown


def leaks(text: str) -> list[str]:
    return [secret for secret in (*SECRETS, "STORED-environment") if secret.lower() in text.lower()]


@pytest.fixture(scope="module")
def stored(server: ApiServer) -> Iterator[tuple[dict[str, Any], str]]:
    """The spec of a kept test, a schedule and a run as it is shown, and the run's id."""
    home = Recorder()
    with server.client() as client:
        shown = kept(client, spec(home), "stored")
        run = ended(client, client.post("/tests/stored/run").json()["id"])
        body = {"name": "stored", "trigger": TRIGGER, "spec": {**spec(home), "name": "stored"}, "enabled": False}
        assert client.post("/schedules", json=body).status_code == 201
        yield shown, run["id"]
    home.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_stored_credential_does_not_leave_for_another_place(
    client: httpx.Client, stored: tuple[dict[str, Any], str], recorder: Recorder, attack: str
) -> None:
    shown, run = stored
    changed = deepcopy(shown)
    ATTACKS[attack](changed, recorder.port)
    answers = [
        client.put("/tests/stored", json={"spec": changed}),
        client.post(f"/runs/{run}/rerun", json={"spec": changed}),
        client.post("/tests", json={"spec": {**changed, "name": "copy"}, "from_run": run}),
        client.put("/schedules/stored", json={"name": "stored", "trigger": TRIGGER, "spec": changed, "enabled": False}),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert not leaks(answer.text)
    assert client.get("/tests/stored").json()["spec"] == shown
    assert recorder.received == b""


def test_a_change_that_leads_nowhere_else_keeps_its_credentials(client: httpx.Client, home: Recorder) -> None:
    shown = kept(client, spec(home))
    shown["total_requests"] = 4
    shown["endpoints"][0]["url"] = f"http://127.0.0.1:{home.port}/other/{{{{n}}}}?q=1"
    shown["endpoints"].reverse()
    assert client.put("/tests/pay", json={"spec": shown}).status_code == 200
    before = len(home.received)
    run = ended(client, client.post("/tests/pay/run").json()["id"])
    assert run["status"] == "completed"
    received = home.received[before:].decode()
    assert received.count(TOKEN) == received.count(VARIABLE) == received.count(KEY) == 2
    for head in received.split("\r\n\r\n"):
        assert not ("/open" in head and "STORED" in head)


PLACES: dict[str, dict[str, Any]] = {
    "a file of authorities": {"tls": {"ca": "{{api_token}}"}},
    "a certificate": {"tls": {"cert": "{{api_token}}"}},
    "a key": {"tls": {"cert": "x.pem", "key": "a/{{api_token}}"}},
    "a port": {"url": "http://127.0.0.1:80{{api_token}}/"},
    "a host": {"url": "http://{{api_token}}.example/"},
    "a scheme": {"url": "{{api_token}}://h/"},
    "a whole URL": {"url": "{{api_token}}"},
    "a host of the environment": {"url": "http://{{env:ALLOWED_VALUE}}/"},
    "a port of the environment": {"url": "http://h:{{env:ALLOWED_VALUE}}/"},
    "a proxy's host": {"proxy": "http://{{api_token}}/"},
    "a proxy's port": {"proxy": "http://p:{{env:ALLOWED_VALUE}}"},
    "an expected text": {"expect_body": {"contains": "x {{api_token}} y"}},
    "an expected text of the environment": {"expect_body": "{{env:ALLOWED_VALUE}}"},
    "a token server's host": {
        "auth": {**GRANT, "token_url": "http://{{api_token}}/", "client_secret": "b"},
    },
    "a header with a line break": {"headers": {"X-A": "\n{{api_token}}"}},
    "a user name with a colon": {"auth": {"type": "basic", "username": "{{api_token}}:", "password": "{{api_token}}"}},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_problem_never_shows_a_credential(
    client: httpx.Client, server: ApiServer, home: Recorder, place: str
) -> None:
    url = f"http://127.0.0.1:{home.port}/"
    base = {"name": "pay", "url": url, "total_requests": 1, "variables": {"api_token": VARIABLE}}
    kept(client, base)
    changed = {**base, "variables": {"api_token": "***"}, **PLACES[place]}
    answers = [
        client.put("/tests/pay", json={"spec": changed}),
        client.post("/specs/validate", json={"spec": {**base, **PLACES[place]}}),
        client.post("/specs/try", json={"spec": {**base, **PLACES[place]}}),
        client.post("/runs", json={"spec": {**base, **PLACES[place]}}),
    ]
    assert [answer.status_code for answer in answers] == [422, 200, 422, 422], [each.text for each in answers]
    assert answers[1].json()["valid"] is False
    for answer in answers:
        assert not leaks(answer.text), answer.text
    assert not leaks(server.log())


BODIES: tuple[Any, ...] = (
    "user=ada&password=STORED-bearer-token&x=1",
    "user%5Bpassword%5D=STORED-bearer-token",
    '{"user": "ada", "password": "STORED-bearer-token"}',
    '{"login": "{\\"passcode\\": \\"STORED-bearer-token\\"}"}',
    '{"tokens": ["STORED-bearer-token"]}',
    "<login><wsse:Password>STORED-bearer-token</wsse:Password></login>",
    'mutation { login(user: "ada", password: "STORED-bearer-token") { id } }',
    '--x\r\nContent-Disposition: form-data; name="secret_key"\r\n\r\nSTORED-bearer-token\r\n--x--',
    {"user": "ada", "dbpassword": "STORED-bearer-token"},
    {"credentials": {"user": "ada", "value": ["STORED-bearer-token"]}},
    {"form": [{"name": "otp", "value": "STORED-bearer-token"}]},
    {"text": "password=STORED-bearer-token"},
)
HEADERS = [
    *(
        "Ocp-Apim-Subscription-Key",
        "X-Auth-Key",
        "X-Functions-Key",
        "DD-APPLICATION-KEY",
        "DD-API-KEY",
        "PRIVATE-TOKEN",
    ),
    *(
        "X-Vault-Token",
        "X-Shopify-Access-Token",
        "CF-Access-Client-Secret",
        "X-Hub-Signature-256",
        "X-Session-Id",
        "X-Auth",
    ),
    *("X-CSRF-Token", "X-Acme-Key"),
]
NAMES = [
    *(
        "secret_key",
        "client_secret",
        "otp",
        "jwt",
        "sig",
        "signature",
        "session",
        "passcode",
        "dbpassword",
        "auth",
        "pass",
    ),
    *(
        "authtoken",
        "clientsecret",
        "apiKey",
        "accessToken",
        "sessionId",
        "connectionString",
        "password2",
        "newPassword",
    ),
    *("AccountKey", "code_verifier", "verification_code", "pin"),
]


def test_what_is_kept_and_shown_holds_no_credential(client: httpx.Client, server: ApiServer, home: Recorder) -> None:
    url = f"http://127.0.0.1:{home.port}/"
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTVE9SRUQifQ.STORED-bearer-token"
    endpoints: list[dict[str, Any]] = [
        {"name": f"body {number}", "url": url, "method": "POST", "body": body} for number, body in enumerate(BODIES)
    ]
    endpoints += [{"name": name, "url": url, "headers": {name: TOKEN}} for name in HEADERS]
    endpoints += [{"name": f"query {name}", "url": f"{url}?a=1&{name}={TOKEN}"} for name in NAMES]
    endpoints += [{"name": f"field {name}", "url": url, "body": {name: TOKEN}} for name in NAMES]
    endpoints += [
        {"name": "shape", "url": f"{url}{jwt}/x?q={jwt}", "headers": {"X-A": jwt, "X-B": f"Bearer {jwt}"}},
        {"name": "shape in a body", "url": url, "body": {"a": jwt}},
        {"name": "said", "url": f"{url}{{{{plain}}}}", "headers": {"X-A": "{{plain}}"}, "body": "{{plain}}{{v}}"},
    ]  # fmt: skip
    whole = {
        "name": "pay",
        "description": f"log in with password={TOKEN}",
        "variables": {"plain": {"value": TOKEN, "secret": True}, "v": jwt, **dict.fromkeys(NAMES, TOKEN)},
        "endpoints": endpoints,
        "total_requests": len(endpoints),
        "distribution_strategy": "round_robin",
    }
    shown = kept(client, whole)
    assert client.put("/tests/pay", json={"spec": shown}).status_code == 200
    for engine in ("native", "asyncio"):
        before = len(home.received)
        run = ended(client, client.post("/runs", json={"spec": {**whole, "engine": engine}}).json()["id"])
        assert run["status"] == "completed", run
        assert home.received[before:].decode().count(TOKEN) >= len(endpoints)
        for path in ("", "/result", "/samples", "/bundle"):
            answer = client.get(f"/runs/{run['id']}{path}")
            assert answer.status_code == 200, (path, answer.text)
            text = gzip.decompress(answer.content).decode() if path == "/bundle" else answer.text
            assert not leaks(text), (engine, path, text[max(0, text.find("STORED") - 200) :][:300])
    for file in server.data_dir.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file
