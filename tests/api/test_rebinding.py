"""A name that is not what it was when it was checked: no engine dials where the server may not load.

The server resolves names by a hosts file of the test's own, in a mount namespace of its own.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended

pytestmark = pytest.mark.timeout(300)

ALLOWED, DENIED, METADATA = "127.0.0.1", "127.0.0.9", "169.254.169.254"
NAME = "rebound.example"


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


def run(client: httpx.Client, asked: dict[str, Any]) -> Any:
    answer = client.post("/runs", json={"spec": asked})
    assert answer.status_code == 202, answer.text
    return ended(client, answer.json()["id"])


@pytest.mark.parametrize("engine", ["auto", "asyncio"])
def test_a_name_that_changes_while_a_run_goes_on_changes_nothing(
    client: httpx.Client, target: TargetServer, names: Names, engine: str
) -> None:
    names.lead_to(ALLOWED)
    asked = spec(target, requests_per_second=20, duration=2, total_requests=None, engine=engine)
    run_id = client.post("/runs", json={"spec": asked}).json()["id"]
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


def test_of_several_addresses_only_those_that_are_allowed_are_dialled(
    client: httpx.Client, target: TargetServer, names: Names
) -> None:
    names.lead_to("fe80::1", ALLOWED)
    assert run(client, spec(target))["metrics"]["successful_requests"] == 10
    assert target.settled_stats().received == 10


@pytest.mark.parametrize("address", [DENIED, METADATA])
def test_a_redirect_to_a_name_is_checked_by_its_address(
    client: httpx.Client, target: TargetServer, names: Names, address: str
) -> None:
    names.lead_to(address)
    there = f"http://{NAME}:{httpx.URL(target.url).port}"
    asked = spec(target, url=f"{target.url}/redirect/1?to={there}", redirects=3, total_requests=1)
    redirected = run(client, asked)
    [sample] = client.get(f"/runs/{redirected['id']}/samples").json()
    assert address in sample["message"]
    assert "may not load" in sample["message"] or "not among the hosts" in sample["message"]
    assert target.settled_stats().received == 1


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
    assert "may not be asked" in failed["error_message"]
    assert target.settled_stats().received == 0


def test_names_are_not_looked_up_again_during_a_run_where_no_engine_could_check_them(
    client: httpx.Client, target: TargetServer
) -> None:
    answer = client.post("/runs", json={"spec": spec(target, resolve_every=1)})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
