"""Code on a server: only from the directory that its operator has allowed, and never in the server's own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.code.files import written

CODE = """
import os, pathlib
pathlib.Path(__file__).with_name(f"imported-{os.getpid()}").touch()

async def buy(user):
    await user.get("/fixed", name="page")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "code").mkdir()
    written(folder / "code", CODE, "buy.py")
    written(folder, CODE, "outside.py")
    (folder / "code" / "link.py").symlink_to(folder / "outside.py")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("server") / "data", ATM_CODE_DIR=str(folder / "code")).ready()
    yield started
    started.stop()


def spec(target: TargetServer, code: str) -> dict[str, Any]:
    return {"name": "s", "base_url": target.url, "total_requests": 20, "scenarios": {"s": {"code": code}}}


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_code_of_the_allowed_directory_runs_in_the_runner(
    client: httpx.Client, server: ApiServer, folder: Path, target: TargetServer
) -> None:
    created = client.post("/runs", json={"spec": spec(target, "buy.py:buy")})
    assert created.status_code == 202, created.text
    run_id = created.json()["id"]
    assert ended(client, run_id)["status"] == "completed"
    result = client.get(f"/runs/{run_id}/result").json()
    assert [(entry["name"], entry["total_requests"]) for entry in result["endpoint_metrics"]] == [("s/page", 20)]
    assert target.settled_stats().received == 20
    answer = client.get(f"/runs/{run_id}/intervals", params={"endpoint": "s/page"}).json()
    assert sum(point["started"] for point in answer["points"]) == 20
    importers = {int(path.name.partition("-")[2]) for path in (folder / "code").glob("imported-*")}
    assert importers
    assert server.process.pid not in importers


@pytest.mark.parametrize("code", ["../outside.py:buy", "link.py:buy", "/etc/passwd.py:buy", "./../outside.py:buy"])
def test_nothing_outside_of_the_directory_is_read(
    client: httpx.Client, folder: Path, target: TargetServer, code: str
) -> None:
    refused = client.post("/runs", json={"spec": spec(target, code)})
    assert refused.status_code == 422
    assert "code_not_allowed" in refused.text
    assert not list(folder.glob("imported-*"))


def test_a_mistake_in_a_file_is_reported_with_its_line(
    client: httpx.Client, folder: Path, target: TargetServer
) -> None:
    written(folder / "code", "raise ValueError('no')\n", "broken.py")
    refused = client.post("/specs/validate", json={"spec": spec(target, "broken.py:buy")})
    assert "broken.py:4: ValueError: no" in refused.text


def test_a_dry_run_shows_the_steps_of_code_and_its_exception(
    client: httpx.Client, folder: Path, target: TargetServer
) -> None:
    code = """
    @atm.scenario
    async def pay(user):
        await user.get("/users", name="list")
        raise ValueError("no stock")
    """
    written(folder / "code", code, "pay.py")
    answer = client.post("/specs/try", json={"spec": spec(target, "pay.py:pay")})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert [(step["endpoint"], step["status"]) for step in document["exchanges"]] == [("s/list", 200)]
    [exception] = document["exceptions"]
    assert exception["message"].startswith("ValueError: no stock (pay.py:")
    assert "Traceback" in exception["traceback"]
