"""Attacks by what lies in the working directory: code that our processes would import, data that they would trust."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import atm
from atm.config import Settings
from atm.errors import SettingsError
from atm.mcp_server.backend import Backend
from atm.notifications.apprise_channel import AppriseChannel
from atm.plan.targets import TargetRules
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.notifications.documents import message
from tests.runs.installation import processes_of, spec

pytestmark = pytest.mark.timeout(300)

ATM = Path(sys.executable).with_name("atm")
PLANTED = (
    "asyncio",
    "json",
    "apprise",
    "multiprocessing",
    "sitecustomize",
    "usercustomize",
    "uvicorn",
    "pydantic",
    "ssl",
)
MAY_START_PROCESSES = {"child_process.py", "api/workers.py"}
"""`workers` by uvicorn, whose children ignore the working directory as well (`protect_workers`)."""


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a cloned project with modules that say who has imported them."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    # An empty entry of an import path is the working directory.
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    return folder


def ran(trap: Path) -> str:
    """The planted modules that were imported."""
    found = trap.parent / "ran"
    return found.read_text() if found.exists() else ""


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST", "PYTHON"))}
    return {**plain, **more}


def test_the_server_of_an_mcp_server_imports_nothing_from_there(trap: Path) -> None:
    async def call() -> None:
        settings = Settings(data_dir=trap.parent / "own")
        backend = Backend(settings, dict(os.environ))
        try:
            await (await backend.control()).runs()
        finally:
            await backend.close()

    asyncio.run(call())
    assert ran(trap) == ""


def test_a_notification_imports_nothing_from_there(trap: Path) -> None:
    channel = AppriseChannel(TargetRules(("hooks.example",)), timeout_seconds=50)
    with pytest.raises(Exception, match="not among the hosts"):
        asyncio.run(channel.send(message("json://127.0.0.1:9/hook", "apprise"), 0.0))
    assert ran(trap) == ""


def test_workers_recorders_and_runners_import_nothing_from_there(trap: Path, running_target: TargetServer) -> None:
    command = [str(ATM), "serve", "--port=0", "--workers=2", "--for-parent"]
    started = subprocess.Popen(
        command,
        env=environment(ATM_DATA_DIR=str(trap.parent / "own")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert started.stdout is not None
        url = json.loads(started.stdout.readline())["url"]
        with httpx.Client(base_url=f"{url}/api/v1", trust_env=False, verify=False, timeout=240) as client:
            made = client.post("/runs", json={"spec": spec(running_target, total_requests=2)})
            assert ended(client, made.json()["id"])["status"] == "completed"
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        for pipe in (started.stdin, started.stdout):
            assert pipe is not None
            pipe.close()
    assert ran(trap) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="environments of processes are read from /proc")
def test_the_processes_of_a_run_hold_no_secrets_of_the_server(tmp_path: Path, running_target: TargetServer) -> None:
    secrets = {
        "API_TEST_MACHINE_API_KEY": "3b8e1f6a0c95d27e48b1a7f3c06d9e52",
        "ATM_API_KEY": "71c4f09ab25e8d3361fe0b97d8a2c546",
        "ATM_MCP_KEY": "d05b9e17f3a8264cc1907be4538df26a",
        "ATM_SECRET_KEY": "5e27d1c0849fba6330c5e8f1b97a4d62",
        "AWS_SECRET_ACCESS_KEY": "of-a-neighbour-555",
    }
    server = ApiServer(tmp_path / "data", workers=1, within=(), **secrets).ready()
    try:
        with server.client(**{"X-API-Key": secrets["API_TEST_MACHINE_API_KEY"]}) as client:
            document = spec(running_target, requests_per_second=5, duration=600)
            run_id = client.post("/runs", json={"spec": document}).json()["id"]
            while len(found := processes_of(run_id)) < 2:
                time.sleep(0.1)
            for name, pid in found.items():
                variables = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
                assert [secret for secret in secrets.values() if secret in variables] == [], name
                assert "PATH=" in variables
                # A recorder works in the directory of the spools.
                assert Path(f"/proc/{pid}/cwd").resolve().is_relative_to(tmp_path / "data"), name
            client.post(f"/runs/{run_id}/cancel")
            ended(client, run_id)
    finally:
        server.stop()


def test_one_module_starts_processes() -> None:
    """A new place must go through `atm.child_process`, or be named here with its reason."""
    root = Path(atm.__file__).parent
    modules = {"os", "subprocess", "asyncio", "multiprocessing", "pty", "webbrowser"}
    starters = {"Popen", "create_subprocess_exec", "create_subprocess_shell", "system", "popen", "posix_spawn", "run"}
    starters |= {"execv", "execve", "execvp", "check_output", "check_call", "call", "Process", "spawnv", "fork", "open"}
    places = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in starters:
                owner = getattr(node.func.value, "id", "")
                starts = owner in modules and (owner, node.func.attr) not in (("os", "open"), ("asyncio", "run"))
                if starts or node.func.attr in ("create_subprocess_exec", "Popen"):
                    places.add(str(path.relative_to(root)))
            elif isinstance(node, ast.ClassDef | ast.ImportFrom) and any(
                getattr(item, "id", getattr(item, "name", "")) in ("Multiprocess", "Popen", "ProcessPoolExecutor")
                for item in (*getattr(node, "bases", ()), *getattr(node, "names", ()))
            ):
                places.add(str(path.relative_to(root)))
    assert places == MAY_START_PROCESSES


@pytest.fixture(scope="module")
def attackers_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacker")
    planted_data(folder)
    return folder / "data"


def planted_data(folder: Path) -> None:
    """What an attacker commits: an installation with whatever it holds, its marker copied from a real one."""
    made = subprocess.run(
        [str(ATM), "list"], env=environment(ATM_DATA_DIR="data"), cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert (folder / "data" / "atm.db").exists()


@pytest.mark.parametrize(
    "command",
    [
        *(["list"], ["serve", "--port=0"], ["mcp"]),
        *(pytest.param([group, "list"], marks=pytest.mark.prove) for group in ("schedule", "keys")),
    ],
)
def test_a_planted_data_directory_is_not_used(trap: Path, attackers_data: Path, command: list[str]) -> None:
    shutil.copytree(attackers_data, trap / "data")
    before = (trap / "data" / "atm.db").stat().st_mtime_ns
    done = subprocess.run(
        [str(ATM), *command], env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 2, done
    assert "./data looks like a data directory of this program" in done.stderr
    assert "export ATM_DATA_DIR=./data" in done.stderr
    assert (trap / "data" / "atm.db").stat().st_mtime_ns == before


def test_a_directory_data_of_something_else_is_left_alone(trap: Path) -> None:
    (trap / "data").mkdir()
    (trap / "data" / "table.csv").write_text("a,b\n")
    done = subprocess.run([str(ATM), "list"], env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (trap / "data").iterdir()] == ["table.csv"]
    assert (trap.parent / "share" / "api-test-machine" / "atm.db").exists()


def test_a_data_directory_that_was_named_once_is_used_by_itself(trap: Path) -> None:
    planted_data(trap)
    done = subprocess.run([str(ATM), "list"], env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert not (trap.parent / "share").exists()
    # The same bytes at another place are another directory.
    elsewhere = trap.parent / "copy"
    elsewhere.mkdir()
    subprocess.run(["cp", "-a", str(trap / "data"), str(elsewhere / "data")], check=True)
    done = subprocess.run(
        [str(ATM), "list"], env=environment(), cwd=elsewhere, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 2
    assert "export ATM_DATA_DIR=./data" in done.stderr


def test_a_data_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from atm import data_directory

    (tmp_path / "data").mkdir()
    someone = os.stat(tmp_path).st_uid + 4711
    monkeypatch.setattr("os.geteuid", lambda: someone)
    if os.stat(tmp_path).st_uid == 0:
        # What root owns is trusted, as root is; creating a directory of another user needs root.
        os.chown(tmp_path / "data", someone + 1, -1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        data_directory.prepare(tmp_path / "data")


def test_the_server_of_a_read_only_mcp_server_fires_no_schedules(tmp_path: Path, running_target: TargetServer) -> None:
    async def go() -> tuple[int, int]:
        settings = Settings(data_dir=tmp_path / "own")
        backend = Backend(settings, environment(ATM_DATA_DIR="elsewhere"))
        client = await backend.control()
        schedule: dict[str, Any] = {
            "name": "often",
            "spec": spec(running_target, total_requests=1),
            "trigger": {"type": "interval", "seconds": 1},
        }
        try:
            url, key = client.url, {"X-API-Key": backend._child.key}  # type: ignore[union-attr]
            async with httpx.AsyncClient(
                base_url=f"{url}/api/v1", headers=key, trust_env=False, verify=False, timeout=240
            ) as http:
                made = await http.post("/schedules", json=schedule)
                assert made.status_code == 201, made.text
                while not await _runs(http):  # noqa: ASYNC110 (another process fires)
                    await asyncio.sleep(0.2)
        finally:
            await backend.close()
        reader = Backend(settings.model_copy(update={"mcp_read_only": True}), environment())
        client = await reader.control()
        try:
            url, key = client.url, {"X-API-Key": reader._child.key}  # type: ignore[union-attr]
            async with httpx.AsyncClient(
                base_url=f"{url}/api/v1", headers=key, trust_env=False, verify=False, timeout=240
            ) as http:
                before = await _runs(http)
                await asyncio.sleep(2.5)
                return before, await _runs(http)
        finally:
            await reader.close()

    before, after = asyncio.run(go())
    assert after == before


async def _runs(http: httpx.AsyncClient) -> int:
    return int((await http.get("/runs")).json()["total"])


def open_to_others(directory: Path) -> list[str]:
    """What in it, itself included, others may read or enter."""
    paths = [directory, *directory.rglob("*")]
    return sorted(
        f"{path.relative_to(directory.parent)} {stat.S_IMODE(path.stat().st_mode):o}"
        for path in paths
        if path.name != "server.log" and stat.S_IMODE(path.stat().st_mode) & 0o077
    )


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
@pytest.mark.parametrize("storage", ["sqlite", "json"])
def test_other_users_can_read_nothing_of_an_installation(
    tmp_path: Path, running_target: TargetServer, storage: str
) -> None:
    data = tmp_path / "data"
    for attempt in ("new", "upgraded"):
        server = ApiServer(data, ATM_STORAGE_TYPE=storage).ready()
        try:
            with server.client() as client:
                schedule = {
                    "name": f"later {attempt}",
                    "spec": spec(running_target, total_requests=1),
                    "trigger": {"type": "date", "run_date": f"{datetime.now(UTC).year + 1}-01-01T00:00:00Z"},
                }
                assert client.post("/schedules", json=schedule).status_code == 201
                client.post("/tests", json={"spec": spec(running_target, name=attempt)})
                if attempt == "new":
                    made = client.post("/runs", json={"spec": spec(running_target, total_requests=3)})
                    ended(client, made.json()["id"])
            assert open_to_others(data) == [], attempt
        finally:
            server.stop()
        assert open_to_others(data) == [], attempt
        # As an older version has left it; the key file is not repaired in silence (`atm.storage.seal`).
        for path in [data, *data.rglob("*")]:
            if path.name not in ("secret.key", "server.log"):
                path.chmod(0o755 if path.is_dir() else 0o644)
