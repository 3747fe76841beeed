"""A name that is not what it was when it was checked: no engine dials where the server may not load.

The server resolves names by a hosts file of the test's own, in a mount namespace of its own.
"""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer, ended
from tests.contract import engines

pytestmark = pytest.mark.timeout(300)

ALLOWED, DENIED, METADATA = "127.0.0.1", "127.0.0.9", "169.254.169.254"
NAME = "rebound.example"
ENGINES = [name for name in ("native", "asyncio") if name in engines.ENGINES]


class Names:
    """The hosts file of the server."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lead_to(self, *addresses: str) -> None:
        # In place: the server has this file mounted, and not whatever comes by its name.
        self._path.write_text("".join(f"{address} {NAME}\n" for address in addresses))


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    made = Names(tmp_path_factory.mktemp("names") / "hosts")
    made.lead_to(ALLOWED)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, names: Names) -> Iterator[ApiServer]:
    mounting = f'mount --bind "{names._path}" /etc/hosts && exec "$@"'
    wrapped = ("unshare", "--mount", "sh", "-c", mounting, "sh")
    tried = subprocess.run([*wrapped, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"names cannot be changed here without root: {tried.stderr.strip()}")
    started = ApiServer(tmp_path_factory.mktemp("rebinding") / "data", within=wrapped, ATM_ALLOWED_TARGETS=ALLOWED)
    yield started.ready()
    started.stop()


@pytest.fixture(autouse=True)
def trap(target: TargetServer) -> Iterator[None]:
    """Where the server must not dial: the target's port at another address."""
    with socket.create_server((DENIED, httpx.URL(target.url).port or 0)) as listener:
        listener.setblocking(False)
        yield
        with pytest.raises(BlockingIOError):
            listener.accept()


def spec(target: TargetServer, path: str = "/fixed", **fields: Any) -> dict[str, Any]:
    url = f"http://{NAME}:{httpx.URL(target.url).port}{path}"
    # Every request dials anew.
    return {"name": "rebound", "url": url, "total_requests": 10, "keep_alive": False, **fields}


def run(client: httpx.Client, document: dict[str, Any]) -> Any:
    answer = client.post("/runs", json={"spec": document})
    assert answer.status_code == 202, answer.text
    return ended(client, answer.json()["id"])


@pytest.mark.parametrize("engine", ["auto", "asyncio"])
def test_a_name_that_changes_while_a_run_goes_on_changes_nothing(
    client: httpx.Client, target: TargetServer, names: Names, engine: str
) -> None:
    names.lead_to(ALLOWED)
    document = spec(target, requests_per_second=20, duration=2, total_requests=None, engine=engine)
    run_id = client.post("/runs", json={"spec": document}).json()["id"]
    while not target.stats().received:
        time.sleep(0.02)
    names.lead_to(DENIED)
    ended_run = ended(client, run_id)
    assert (ended_run["status"], ended_run["metrics"]["successful_requests"]) == ("completed", 40)
    assert target.settled_stats().received == 40


@pytest.mark.parametrize("address", [DENIED, METADATA])
def test_a_name_that_was_allowed_when_it_was_checked_is_not_dialled_where_it_leads_at_the_start(
    client: httpx.Client, target: TargetServer, names: Names, address: str
) -> None:
    names.lead_to(ALLOWED)
    assert client.post("/specs/validate", json={"spec": spec(target)}).json()["valid"]
    names.lead_to(address)
    failed = run(client, spec(target))
    assert (failed["status"], failed["metrics"]) == ("failed", None)
    assert address in failed["error_message"]
    tried = client.post("/specs/try", json={"spec": spec(target)})
    assert (tried.status_code, address in tried.text) == (502, True)
    assert target.settled_stats().received == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_of_several_addresses_only_those_that_are_allowed_are_dialled_at_first_and_by_redirects(
    client: httpx.Client, target: TargetServer, names: Names, engine: str
) -> None:
    names.lead_to("fe80::1", DENIED, ALLOWED)
    there = f"http://{NAME}:{httpx.URL(target.url).port}"
    led = {"name": "led", "url": f"{target.url}/redirect/1?to={there}"}
    endpoints = [{"name": "direct", "url": f"{there}/fixed"}, led]
    document = {"name": "several", "endpoints": endpoints, "keep_alive": False, "redirects": 3, "total_requests": 12}
    followed = run(client, {**document, "engine": engine})
    assert followed["metrics"]["successful_requests"] == 12
    assert followed["engine"] == engine
    assert target.settled_stats().received == 6 + 2 * 6


@pytest.mark.parametrize("engine", ENGINES)
def test_a_redirect_is_checked_by_its_address_however_it_is_written(
    client: httpx.Client, target: TargetServer, names: Names, engine: str
) -> None:
    names.lead_to(DENIED)
    port = httpx.URL(target.url).port
    # The last one is an address as one number.
    ways = (NAME, DENIED, METADATA, f"[::ffff:{DENIED}]", str(int(ipaddress.ip_address(METADATA))))
    endpoints = [{"name": way, "url": f"{target.url}/redirect/1?to=http://{way}:{port}"} for way in ways]
    document = {"name": "led", "endpoints": endpoints, "redirects": 3, "total_requests": len(ways), "engine": engine}
    redirected = run(client, document)
    samples = client.get(f"/runs/{redirected['id']}/samples").json()
    assert {sample["endpoint"] for sample in samples} == set(ways)
    assert {sample["outcome"] for sample in samples} == {"dns_error"}
    assert all("may not load" in each["message"] or "not among the hosts" in each["message"] for each in samples)
    assert redirected["engine"] == engine
    assert target.settled_stats().received == len(ways)


def test_a_token_server_is_checked_by_its_address(client: httpx.Client, target: TargetServer, names: Names) -> None:
    names.lead_to(DENIED)
    auth = {
        "type": "oauth2_client_credentials",
        "token_url": f"http://{NAME}:{httpx.URL(target.url).port}/oauth/token",
        "client_id": "a",
        "client_secret": "b",
    }
    failed = run(client, spec(target, url=f"{target.url}/fixed", auth=auth))
    assert failed["status"] == "failed"
    assert "is not an allowed target" in failed["error_message"]
    assert target.settled_stats().received == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_that_is_looked_up_again_is_judged_again(
    client: httpx.Client, target: TargetServer, names: Names, engine: str
) -> None:
    """DNS rebinding: checked at one address, and another one a moment later."""
    names.lead_to(ALLOWED)
    document = spec(target, requests_per_second=50, duration=60, total_requests=None, resolve_every="100ms")
    run_id = client.post("/runs", json={"spec": {**document, "engine": engine}}).json()["id"]
    _wait_for(lambda: target.stats().received > 0)
    names.lead_to(DENIED)
    _wait_for(lambda: bool(client.get(f"/runs/{run_id}/samples", params={"outcome": "dns_error"}).json()))
    before = target.stats().received
    # Back where it may be dialled, among addresses that may not.
    names.lead_to(METADATA, DENIED, ALLOWED)
    _wait_for(lambda: target.stats().received > before)
    client.post(f"/runs/{run_id}/cancel", params={"graceful": True})
    after = ended(client, run_id)
    assert after["engine"] == engine
    assert target.settled_stats().received == after["metrics"]["successful_requests"]
    samples = client.get(f"/runs/{run_id}/samples").json()
    assert {sample["outcome"] for sample in samples} == {"ok", "dns_error"}
    refused = [sample["message"] for sample in samples if sample["outcome"] == "dns_error"]
    assert all(DENIED in message and NAME in message for message in refused)


def test_names_are_looked_up_again_no_more_often_than_name_servers_bear(
    client: httpx.Client, target: TargetServer
) -> None:
    answer = client.post("/runs", json={"spec": spec(target, resolve_every="99ms")})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "beyond_cap")
    assert answer.json()["errors"][0]["path"] == "resolve_every"


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
