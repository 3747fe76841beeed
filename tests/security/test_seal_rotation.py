"""Another sealing key: nothing is lost, whenever the process that makes it is killed, and servers keep running."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.storage import open_storage, upgrade_storage
from atm.storage.key_rotation import Rotation, rotate_seal
from atm.storage.records import Lease
from atm.storage.seal import Sealer
from tests.api.server import ApiServer, ended
from tests.contract.postgresql import PostgresqlServer
from tests.security.listener import Recorder
from tests.storage.builders import completed, new_run

pytestmark = pytest.mark.timeout(400)

RUNS = 60
SECRET = "STORED-b7a3d5824c1e97b60d4f8a25"


STORAGES = ("sqlite", "json", "postgresql")
IN_PROOFS = tuple(pytest.param(storage, marks=pytest.mark.prove) for storage in STORAGES[1:])


@pytest.fixture(params=STORAGES)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {"ATM_DATA_DIR": str(tmp_path / "data")}
    if request.param == "json":
        settings["ATM_STORAGE_TYPE"] = "json"
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        name = f"rotation_{os.getpid()}_{time.monotonic_ns()}"
        server.sql(f"CREATE DATABASE {name}")
        settings["ATM_DATABASE_URL"] = server.url(name)
        asyncio.run(upgrade_storage(settings_of(settings)))
    return settings


def settings_of(environment: dict[str, Any]) -> Settings:
    url = environment.get("ATM_DATABASE_URL")
    return Settings(
        data_dir=Path(environment["ATM_DATA_DIR"]),
        storage_type=StorageType(environment.get("ATM_STORAGE_TYPE", "sqlite")),
        database_url=SecretStr(url) if url else None,
    )


def _atm(environment: dict[str, Any], *words: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
    return subprocess.Popen(
        [sys.executable, "-m", "atm", *words],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sealed_values(settings: Settings) -> list[bytes]:
    """Everything that is sealed, read by a reseal that changes nothing."""

    async def read() -> list[bytes]:
        found: list[bytes] = []
        storage = await open_storage(settings)
        try:
            await storage.upkeep.reseal(lambda sealed: found.append(sealed))
        finally:
            await storage.close()
        return found

    return asyncio.run(read())


def opened_by(key: bytes, values: list[bytes]) -> int:
    count = 0
    for value in values:
        with suppress(InvalidToken):
            Fernet(key).decrypt(value)
            count += 1
    return count


async def runs_of_earlier(settings: Settings) -> None:
    """Runs that have ended, each with a sealed spec."""
    storage = await open_storage(settings)
    sealer = Sealer(settings)
    try:
        for number in range(RUNS):
            run_id = f"earlier-{number}"
            await storage.runs.create(new_run(run_id, sealed=sealer.seal({"spec": json.dumps({"token": SECRET})})))
            await storage.leases.claim("test", f"token-{number}", 1)
            await storage.leases.finish(Lease(run_id, f"token-{number}"), completed(run_id))
    finally:
        await storage.close()


def stored(client: httpx.Client, url: str) -> tuple[str, str]:
    """Store credentials in a test, a run and a schedule; ids of the test and of the run."""
    spec = {"name": "with-token", "url": url, "total_requests": 1, "auth": {"type": "bearer", "token": SECRET}}
    test = client.post("/tests", json={"spec": spec})
    assert test.status_code == 201, test.text
    run = client.post(f"/tests/{test.json()['id']}/run").json()["id"]
    ended(client, run)
    notify = [{"type": "webhook", "url": url, "secret": SECRET}]
    trigger = {"type": "cron", "expression": "0 3 * * *"}
    made = client.post(
        "/schedules", json={"name": "nightly", "test": "with-token", "trigger": trigger, "notify": notify}
    )
    assert made.status_code == 201, made.text
    return test.json()["id"], run


def killed_in_the_middle(environment: dict[str, Any]) -> bytes:
    """Kill rotations until one is killed when a part of the values is sealed anew; the key before it."""
    settings = settings_of(environment)
    for _ in range(20):
        before = settings.key_file.read_bytes()
        process = _atm(environment, "keys", "rotate-seal", "--json")
        asyncio.run(_until_one_is_sealed_anew(settings, process, before))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        new = settings.key_file.read_bytes().split()[0]
        values = sealed_values(settings)
        done = opened_by(new, values)
        assert done + opened_by(before, values) == len(values)
        if 0 < done < len(values):
            return before
        completing = _atm(environment, "keys", "rotate-seal", "--json")
        completing.communicate()
        assert completing.returncode == 0
    pytest.fail("no kill came in the middle")


async def _until_one_is_sealed_anew(settings: Settings, process: subprocess.Popen[str], before: bytes) -> None:
    """Look at one of the values only, as reading all takes as long as sealing them anew."""
    while process.poll() is None and settings.key_file.read_bytes().split()[0] == before:  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.005)
    new = settings.key_file.read_bytes().split()[0]
    storage = await open_storage(settings)
    try:
        while process.poll() is None:
            sealed = (await storage.runs.get("earlier-0")).sealed
            assert sealed is not None
            if opened_by(new, [sealed]):
                return
    finally:
        await storage.close()


def check_interrupted(settings: Settings, before: bytes, count: int) -> None:
    """Both keys are in the file, and each of this number of values opens with one of them."""
    assert settings.key_file.read_bytes().split()[1:] == [before]
    values = sealed_values(settings)
    assert len(values) == count
    sealer = Sealer(settings)
    assert all(SECRET in json.dumps(sealer.open(value)) for value in values)


def check_completed(environment: dict[str, Any], before: bytes, count: int) -> None:
    """The next rotation completes the work: this number of values, and the key file, know the new key alone."""
    settings = settings_of(environment)
    new = settings.key_file.read_bytes().split()[0]
    process = _atm(environment, "keys", "rotate-seal", "--json")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["resumed"] is True
    assert report["unreadable"] == 0
    assert report["resealed"] > 0
    assert settings.key_file.read_bytes() == new
    assert settings.key_file.stat().st_mode & 0o777 == 0o600
    values = sealed_values(settings)
    assert opened_by(new, values) == len(values) == count
    assert opened_by(before, values) == 0


@pytest.mark.parametrize("environment", STORAGES[1:], indirect=True)
def test_a_rotation_that_is_killed_loses_nothing_and_is_completed_later(environment: dict[str, Any]) -> None:
    settings = settings_of(environment)
    asyncio.run(runs_of_earlier(settings))
    before = killed_in_the_middle(environment)
    check_interrupted(settings, before, RUNS)
    check_completed(environment, before, RUNS)


@pytest.mark.parametrize("environment", [STORAGES[0], *IN_PROOFS], indirect=True)
def test_a_server_goes_on_during_a_rotation_that_is_killed_and_completed_later(
    environment: dict[str, Any], recorder: Recorder
) -> None:
    settings = settings_of(environment)
    asyncio.run(runs_of_earlier(settings))
    server = ApiServer(settings.data_dir, **environment).ready()
    try:
        with server.client() as client:
            test, run = stored(client, f"http://127.0.0.1:{recorder.port}/")
        before = killed_in_the_middle(environment)
        check_interrupted(settings, before, RUNS + 3)

        # The server that has been running all the time opens what is sealed with either key, and seals with the new.
        with server.client() as client:
            again = client.post(f"/runs/{run}/rerun").json()["id"]
            assert ended(client, again)["status"] == "completed"
        assert recorder.received.count(SECRET.encode()) == 2

        check_completed(environment, before, RUNS + 4)
        with server.client() as client:
            assert ended(client, client.post(f"/tests/{test}/run").json()["id"])["status"] == "completed"
    finally:
        server.stop()
    assert "Traceback" not in server.log()
    assert SECRET not in server.log()


async def _one_value(settings: Settings) -> bytes:
    sealed = Sealer(settings).seal({"spec": SECRET})
    assert sealed is not None
    storage = await open_storage(settings)
    try:
        await storage.runs.create(new_run(sealed=sealed))
    finally:
        await storage.close()
    return sealed


def test_from_the_key_file_to_a_key_of_the_environment_and_to_another_one(tmp_path: Path) -> None:
    first, second = SecretStr("a" * 40), SecretStr("b" * 40)
    in_file = Settings(data_dir=tmp_path)
    asyncio.run(_one_value(in_file))
    steps = [
        Settings(data_dir=tmp_path, secret_key=first),
        Settings(data_dir=tmp_path, secret_key=second, old_secret_key=first),
        Settings(data_dir=tmp_path, old_secret_key=second),
    ]
    value = b""
    for settings in steps:
        done = asyncio.run(_rotated(settings))
        assert (done.resealed, done.unreadable) == (1, 0)
        alone = Settings(data_dir=tmp_path / "empty", secret_key=settings.secret_key)
        if settings.secret_key is None:
            alone = Settings(data_dir=tmp_path)
        [value] = sealed_values(in_file)
        assert Sealer(alone).open(value) == {"spec": SECRET}
    # A key that is not known any more: nothing is changed, and it is said.
    in_file.key_file.write_bytes(Fernet.generate_key())
    done = asyncio.run(_rotated(in_file))
    assert (done.resealed, done.unreadable) == (0, 1)
    assert sealed_values(in_file) == [value]


async def _rotated(settings: Settings) -> Rotation:
    storage = await open_storage(settings)
    try:
        return await rotate_seal(storage, settings, settle_seconds=0.01)
    finally:
        await storage.close()
