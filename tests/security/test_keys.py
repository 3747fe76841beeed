"""Keys: hard to guess, limited in what they open, and slow to try."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.access.names import look_of
from atm.access.strength import is_strong
from atm.api.throttle import REFILL_SECONDS, WRONG_KEYS, Throttle
from atm.config import load_settings
from atm.errors import SettingsError
from tests.api.server import ApiServer, ended
from tests.cli.program import atm
from tests.contract.postgresql import PostgresqlServer
from tests.examples import examples
from tests.security.attack import command
from tests.security.sockets import eventually

pytestmark = pytest.mark.timeout(300)

ADMIN = secrets.token_hex(16)
PROXY = "127.0.0.1"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.prove)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Behind a proxy that it trusts, so that clients have addresses."""
    environment = {"API_TEST_MACHINE_API_KEY": ADMIN, "ATM_TRUSTED_PROXIES": PROXY}
    if request.param == "postgresql":
        database: PostgresqlServer = request.getfixturevalue("postgresql")
        database.sql("TRUNCATE runs, test_configs, api_keys, schedules, sessions, audit_log CASCADE", "atm")
        environment["ATM_DATABASE_URL"] = database.url("atm")
    started = ApiServer(tmp_path_factory.mktemp("keys") / "data", workers=1, **environment).ready()
    # Its only run keeps all others waiting: they are made to be counted.
    holder = {**SPEC, "total_requests": 3600, "requests_per_second": 1}
    run = ask(started, "POST", "/runs", json={"spec": holder}).json()["id"]
    yield started
    with started.client(**{"X-API-Key": ADMIN}) as client:
        client.post(f"/runs/{run}/cancel")
        ended(client, run)
    started.stop()


def ask(
    server: ApiServer, method: str, path: str, key: str = ADMIN, address: str = "", **options: Any
) -> httpx.Response:
    headers = {"X-API-Key": key, **({"X-Forwarded-For": address} if address else {})}
    return httpx.request(
        method, f"{server.url}/api/v1{path}", headers=headers, trust_env=False, verify=False, timeout=60, **options
    )


def new_key(server: ApiServer, name: str, **fields: Any) -> str:
    answer = ask(server, "POST", "/keys", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


@pytest.mark.parametrize("variable", ["API_TEST_MACHINE_API_KEY", "ATM_MCP_KEY"])
def test_a_key_that_can_be_guessed_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for weak in (
        "a",
        "secret",
        "a" * 64,
        "password" * 8,
        "0123456789abcdef" * 2,
        "abcdefghijklmnopqrstuvwxyz",
        "01" * 64,
    ):
        monkeypatch.setenv(variable, weak)
        with pytest.raises(SettingsError) as refused:
            load_settings()
        assert f"{variable} is too easy to guess" in str(refused.value)
        assert len(weak) < 10 or weak not in str(refused.value)
    monkeypatch.setenv(variable, secrets.token_hex(16))
    load_settings()


def test_a_server_does_not_start_with_such_a_key(tmp_path: Path) -> None:
    done = command(tmp_path, "serve", "--port=0", API_TEST_MACHINE_API_KEY="a")
    assert done.returncode == 2, done.stderr
    assert "openssl rand" in done.stderr


@given(st.integers(16, 40), st.sampled_from(["hex", "urlsafe"]))
@examples(300)
def test_sixteen_random_bytes_are_always_enough(size: int, form: str) -> None:
    assert is_strong(secrets.token_hex(size) if form == "hex" else secrets.token_urlsafe(size))


@given(st.text(max_size=12), st.integers(1, 40))
@examples(300)
def test_what_repeats_a_little_is_never_enough(part: str, times: int) -> None:
    assert not is_strong((part * times)[:200])


@pytest.mark.parametrize(
    "name",
    [
        *(
            "local",
            "LOCAL",
            "Iocal",
            "ｌｏｃａｌ",
            "l0cal",
            "API_TEST_MACHINE_API_KEY",
            "api-test-machine-api-key",
            "server",
        ),
        *(
            "schedule",
            "mcp",
            "",
            "   ",
            "a\u202eb",
            "a\u200bb",
            "a\nb",
            "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        ),
        *("сi", "аbc", "асе", "αbc", "ορο", "x" * 129, "a\u0000b"),
    ],
)
def test_names_that_mislead_are_refused(server: ApiServer, name: str) -> None:
    answer = ask(server, "POST", "/keys", json={"name": name})
    assert answer.status_code == 422, answer.text


def test_a_name_has_one_spelling_and_no_look_alike(server: ApiServer) -> None:
    made = ask(server, "POST", "/keys", json={"name": "  ｎｉｇｈｔｌｙ   café "})
    assert (made.status_code, made.json()["name"]) == (201, "nightly café")
    for same in ("nightly café", "nightly cafe\u0301", "NIGHTLY CAFÉ", "nightly cafe", "nlghtly cafe", "nightly-café"):
        assert ask(server, "POST", "/keys", json={"name": same}).status_code == 409, same
    assert look_of("rn") == look_of("m")


def test_the_command_line_refuses_the_same_names(tmp_path: Path) -> None:
    for name in ("local", "аdmin", "a\u202eb"):
        done = atm(tmp_path, "keys", "create", name)
        assert done.code == 2, done.out
        assert "NAME" in done.err


def test_an_expired_key_opens_nothing(tmp_path: Path) -> None:
    done = atm(tmp_path, "keys", "create", "short", "--expires", "1s", "--json")
    key = json.loads(done.out)["key"]
    server = ApiServer(tmp_path).ready()
    try:
        eventually(lambda: ask(server, "GET", "/runs", key).status_code == 401)
        with server.client() as browser:
            assert browser.post("/session", json={"key": key}).status_code == 401
        assert "short (expired)" in server.log()
    finally:
        server.stop()


def test_a_key_opens_only_to_its_networks(server: ApiServer) -> None:
    key = new_key(server, "office", networks=["10.1.0.0/16", "2001:db8::/32"])
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"):
        assert ask(server, "GET", "/runs", key, inside).status_code == 200, inside
    for outside in ("10.2.0.1", "127.0.0.1", "2001:db9::1", ""):
        answer = ask(server, "GET", "/runs", key, outside)
        assert (answer.status_code, answer.json()["code"]) == (403, "network_not_allowed"), outside
        signing_in = ask(server, "POST", "/session", "", outside, json={"key": key})
        assert signing_in.status_code == 401
    cookie = ask(server, "POST", "/session", "", "10.1.0.1", json={"key": key}).cookies["atm_session"]
    stolen = {"Cookie": f"atm_session={cookie}", "X-Forwarded-For": "192.0.2.1"}
    assert httpx.get(f"{server.url}/api/v1/runs", headers=stolen, trust_env=False, verify=False).status_code == 403
    assert ask(server, "POST", "/keys", json={"name": "nowhere", "networks": ["10.1.0.0/33"]}).status_code == 422


def test_wrong_keys_are_slowed_down_by_address_and_named_in_the_log(server: ApiServer) -> None:
    revoked = new_key(server, "former")
    assert ask(server, "DELETE", "/keys/former").status_code == 200
    attacker = "192.0.2.66"
    first = [ask(server, "GET", "/runs", secrets.token_hex(16), attacker).status_code for _ in range(WRONG_KEYS)]
    assert first == [401] * WRONG_KEYS
    for _ in range(3):
        answer = ask(server, "GET", "/runs", secrets.token_hex(16), attacker)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_wrong_keys")
        assert int(answer.headers["retry-after"]) >= 1
    # A valid key that was not used from there before waits too; others do not.
    assert ask(server, "GET", "/runs", ADMIN, attacker).status_code == 429
    signing_in = ask(server, "POST", "/session", "", attacker, json={"key": ADMIN})
    assert (signing_in.status_code, signing_in.json()["code"]) == (429, "too_many_wrong_keys")
    assert ask(server, "GET", "/runs", ADMIN, "192.0.2.67").status_code == 200
    # Repeating the same old key is not guessing, and blocks no client.
    for _ in range(WRONG_KEYS * 3):
        assert ask(server, "GET", "/runs", revoked, "192.0.2.68").status_code == 401
    assert ask(server, "GET", "/runs", ADMIN, "192.0.2.68").status_code == 200
    lines = [json.loads(line) for line in server.log().splitlines() if "invalid key from" in line]
    assert any(line["address"] == attacker and line["key"] == "unknown" for line in lines)
    assert any(line["address"] == "192.0.2.68" and line["key"] == "former (revoked)" for line in lines)
    assert revoked not in server.log()


def test_those_who_were_let_in_before_are_not_locked_out() -> None:
    throttle = Throttle()
    throttle.succeeded("192.0.2.1", "good")
    for number in range(1000):
        throttle.failed("192.0.2.1", str(number), 0.0)
    assert throttle.wait_seconds("192.0.2.1", "good", 0.0) == 0
    assert throttle.wait_seconds("192.0.2.1", "new", 0.0) > 0
    assert throttle.wait_seconds("::ffff:192.0.2.1", "new", 0.0) > 0
    assert throttle.wait_seconds("192.0.2.2", "new", 0.0) == 0
    assert throttle.wait_seconds("192.0.2.1", "new", 1000 * REFILL_SECONDS) == 0
    for number in range(WRONG_KEYS):
        throttle.failed(f"2001:db8::{number:x}", str(number), 0.0)
    assert throttle.wait_seconds("2001:db8::ffff", "new", 0.0) > 0
    assert throttle.wait_seconds("2001:db8:0:1::1", "new", 0.0) == 0


SPEC = {"name": "scoped", "url": "http://127.0.0.1:9/", "total_requests": 1}


def test_a_key_with_tags_changes_only_what_has_one_of_them(server: ApiServer) -> None:
    key = new_key(server, "team-a", tags=["a", "both"])

    def made(path: str, **body: Any) -> str:
        answer = ask(server, "POST", path, json=body)
        assert answer.status_code in (201, 202), answer.text
        return str(answer.json()["id"])

    foreign_run, own_run = made("/runs", spec=SPEC, tags=["b"]), made("/runs", spec=SPEC, tags=["a"])
    foreign = made("/tests", spec={**SPEC, "name": "of b"}, tags=["b"])
    own = made("/tests", spec={**SPEC, "name": "of a"}, tags=["a"])
    trigger = {"trigger": {"type": "date", "run_date": "2999-01-01T00:00:00Z"}}
    schedule = {"name": "of b", "test": "of b", "tags": ["b"], **trigger}
    schedule_made = ask(server, "POST", "/schedules", json=schedule)
    refused: list[tuple[str, str, Any]] = [
        ("POST", "/runs", {"spec": SPEC}),
        ("POST", "/runs", {"spec": SPEC, "tags": ["b"]}),
        ("POST", "/runs", {"spec": SPEC, "tags": ["A"]}),
        ("POST", f"/runs/{foreign_run}/rerun", {"tags": ["a"]}),
        ("POST", f"/runs/{own_run}/rerun", {"tags": ["b"]}),
        ("PATCH", f"/runs/{foreign_run}", {"tags": ["a"]}),
        ("PATCH", f"/runs/{own_run}", {"tags": []}),
        ("POST", f"/runs/{foreign_run}/cancel", None),
        ("DELETE", f"/runs/{foreign_run}", None),
        ("POST", "/tests", {"spec": {**SPEC, "name": "new"}}),
        ("POST", "/tests", {"spec": SPEC, "tags": ["a"], "from_run": foreign_run}),
        ("PUT", f"/tests/{foreign}", {"spec": SPEC, "tags": ["a"]}),
        ("PUT", f"/tests/{own}", {"spec": SPEC, "tags": ["b"]}),
        ("DELETE", "/tests/of b", None),
        ("POST", f"/tests/{foreign}/run", None),
        ("POST", f"/tests/{foreign}/enabled", {"enabled": False}),
        ("POST", "/tests/run-all", None),
        ("POST", "/tests/sync", None),
        ("POST", "/demo", None),
        ("POST", "/specs/try", {"spec": SPEC}),
        ("POST", "/import/bundle", None),
        ("POST", "/schedules", {**schedule, "name": "x", "tags": ["a"]}),
        ("POST", "/schedules", {**schedule, "name": "x", "test": "of a", "tags": ["b"]}),
    ]
    if schedule_made.status_code == 201:
        refused += [
            ("DELETE", "/schedules/of b", None),
            ("POST", "/schedules/of b/pause", None),
            ("POST", "/schedules/of b/resume", None),
            ("PUT", "/schedules/of b", {**schedule, "tags": ["a"]}),
        ]
    for method, path, body in refused:
        answer = ask(server, method, path, key, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "out_of_scope"), (method, path, body, answer.text)
    for method, path, body in (
        ("POST", "/runs", {"spec": SPEC, "tags": ["b", "both"]}),
        ("PATCH", f"/runs/{own_run}", {"notes": "mine"}),
        ("POST", f"/tests/{own}/run", None),
        ("POST", "/specs/validate", {"spec": SPEC}),
        ("GET", f"/runs/{foreign_run}", None),
    ):
        assert ask(server, method, path, key, json=body).status_code in (200, 201, 202), (method, path)
    assert schedule_made.status_code == 201, schedule_made.text
    assert ask(server, "POST", "/keys", json={"name": "x", "role": "admin", "tags": ["a"]}).status_code == 422


def test_a_quota_holds_however_many_come_at_once(server: ApiServer) -> None:
    import concurrent.futures

    key = new_key(server, "metered", runs_per_hour=3)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, "POST", "/runs", key, json={"spec": SPEC}), range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 7
    assert ask(server, "POST", "/demo", key).status_code == 429
    for method, path in (("POST", "/tests/run-all"), ("POST", "/schedules")):
        assert ask(server, method, path, key, json={}).status_code in (403, 422)
