"""`atm fleet check` on a real Ray cluster."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import atm
from atm.fleet.check import FleetCheck, check_fleet
from atm.fleet.ray_session import RaySession
from atm.fleet.ray_transport import RayTransport
from atm.fleet.transport import FleetError
from atm.testing import TargetServer
from atm.version import VERSION
from tests.fleet.ray_cluster import RayCluster

OTHER_VERSION = "9.8.7"


@pytest.fixture
def other_version(tmp_path: Path) -> Path:
    """A directory with this program in another version."""
    source = Path(atm.__file__).parent
    shutil.copytree(source, tmp_path / "atm", ignore=shutil.ignore_patterns("static", "__pycache__"))
    version = tmp_path / "atm" / "version.py"
    text = version.read_text()
    assert VERSION in text
    version.write_text(text.replace(VERSION, OTHER_VERSION))
    return tmp_path


def fleet_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Ray's connection is global."""
    command = [sys.executable, "-m", "atm", "fleet", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env={**os.environ, "COLUMNS": "200"})


def test_all_nodes_are_in_the_table_and_one_of_another_version_fails_the_check(
    ray_cluster: RayCluster, other_version: Path, target: TargetServer
) -> None:
    ray_cluster.add_node(imports_from=other_version)
    try:
        done = fleet_check("--on", str(ray_cluster.address), "--target", target.url)
        _, here, *nodes = done.stdout.splitlines()
        assert done.returncode == 2, done
        assert here.split()[:2] == ["here", VERSION]
        versions = sorted(node.split("on ")[1].split()[1] for node in nodes[:4])
        assert versions == sorted([VERSION, VERSION, VERSION, OTHER_VERSION])
        assert done.stdout.count("127.0.0.1 in ") == 4
        assert done.stderr.count("error: ") == 1
        assert f"differs: atm {OTHER_VERSION} (here {VERSION}), engine " in done.stderr
        assert target.settled_stats().received == 0
    finally:
        ray_cluster.remove_newest_node()


def test_as_many_workers_as_nodes_are_compared_and_say_which_targets_are_not_there(
    ray_cluster: RayCluster, ray_session: RaySession, target: TargetServer
) -> None:
    async def scenario() -> FleetCheck:
        with pytest.raises(FleetError) as caught:
            await RayTransport(ray_cluster.address, session=ray_session, place_seconds=0.5).open(5, 4)
        [problem] = caught.value.problems
        assert problem.code == "too_few_nodes"
        assert "it has 3 nodes with cores" in problem.what
        assert problem.hint.startswith("--workers 3 or fewer")
        transport = RayTransport(ray_cluster.address, session=ray_session, place_seconds=2)
        try:
            links = await transport.open(5, 2)
            host = os.uname().nodename
            assert [link.name for link in links] == [f"worker {number} on {host}" for number in (1, 2, 3)]
            return await check_fleet(links, [("localhost", target.port), ("does-not-exist.invalid", 80)])
        finally:
            await transport.close()

    result = asyncio.run(scenario())
    assert result.problems == []
    for node in result.nodes:
        here = result.here
        assert (node.description.cores, node.description.host) == (here.cores, here.host)
        # Processes of one machine have the same clock.
        assert abs(node.clock.offset_ns) <= node.clock.error_ns
        reached, absent = node.reaches.values()
        assert reached.problem == ""
        assert reached.connect_ns > 0
        assert absent.problem
    assert len(result.unreached) == 3


def test_the_document_has_everything_for_programs(ray_cluster: RayCluster, target: TargetServer) -> None:
    check_document(str(ray_cluster.address), target)


@pytest.mark.prove
def test_ray_local_is_started_for_one_command(target: TargetServer) -> None:
    pytest.importorskip("ray")
    check_document("ray:local", target)


def check_document(cluster: str, target: TargetServer) -> None:
    done = fleet_check("--on", cluster, "--workers", "2", "--target", target.url, "--json")
    assert done.returncode == 0, done
    document = json.loads(done.stdout)
    assert document["problems"] == []
    assert document["here"]["version"] == VERSION
    assert [node["ray"] for node in document["nodes"]] == [document["here"]["ray"]] * 2
    assert all(node["targets"][f"127.0.0.1:{target.port}"]["problem"] == "" for node in document["nodes"])
    assert target.settled_stats().received == 0


def test_without_ray_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "grpc.py").write_text("raise ImportError('not here')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "atm", "fleet", "check", "--on", "ray://127.0.0.1:10001"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: Ray is not installed here [ray_not_installed]",
        "  hint: pip install 'api-test-machine[ray]'",
    ]
