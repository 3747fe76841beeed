"""Workers on a real Ray cluster of three nodes: what only this transport does."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atm.fleet import messages
from atm.fleet.ray_access import check_access
from atm.fleet.ray_session import RaySession, Versions, too_few_nodes, version_problem
from atm.fleet.ray_transport import RayTransport
from atm.fleet.transport import FleetError, Link
from atm.models.ray_address import RayAddress
from tests.fleet.ray_cluster import RayCluster, parent

PATIENCE = 60.0


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 4 * PATIENCE))


async def pid_of(link: Link) -> int:
    answer = messages.decode_answer(await link.call(messages.encode(messages.Describe()), PATIENCE))
    assert isinstance(answer, messages.Description)
    return answer.pid


def test_no_secret_is_in_rays_logs_objects_or_memory(ray_cluster: RayCluster, ray_session: RaySession) -> None:
    secret = secrets.token_hex(24)
    # Ray keeps arguments of 100 KiB and more in its object store.
    large = {"token": secret, "long": secret * 20_000}

    async def scenario() -> None:
        transport = RayTransport(ray_cluster.address, session=ray_session)
        try:
            [link] = await transport.open(1)
            for values in ({"token": secret}, large):
                answer = await link.call(messages.encode(messages.SetSecrets(values)), PATIENCE)
                assert isinstance(messages.decode_answer(answer), messages.Done)
            worker = await pid_of(link)
            assert _holds(worker, secret.encode()), "this would not find a secret"
            carriers = [pid for pid in ray_cluster.processes() if pid not in (worker, parent(worker))]
            assert len(carriers) > 5
            assert [pid for pid in carriers if _holds(pid, secret.encode())] == []
        finally:
            await transport.close()
        assert ray_cluster.logs_with(secret) == []

    run(scenario)


def _holds(pid: int, needle: bytes) -> bool:
    """Whether the memory of a process, shared memory of the object store included, contains some bytes."""
    try:
        regions = Path(f"/proc/{pid}/maps").read_text().splitlines()
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        return False
    try:
        for region in regions:
            span, access = region.split()[:2]
            start, end = (int(bound, 16) for bound in span.split("-"))
            if access[:2] == "rw" and end - start < 1 << 28 and needle in _memory(memory, start, end - start):
                return True
        return False
    finally:
        os.close(memory)


def _memory(file: int, start: int, length: int) -> bytes:
    try:
        return os.pread(file, length, start)
    except OSError:  # Not all regions can be read.
        return b""


def test_all_of_ray_listens_on_loopback_only(ray_cluster: RayCluster) -> None:
    listening = set(_listening_sockets())
    own = set()
    for pid in ray_cluster.processes():
        try:
            links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        own |= {link for link in links if link.startswith("socket:[")}
    addresses = {address for inode, address in listening if inode in own}
    assert len(addresses) > 10
    assert {address.rpartition(":")[0] for address in addresses} <= {"0100007F", "0000000000000000FFFF00000100007F"}


def _listening_sockets() -> list[tuple[str, str]]:
    """Each listening TCP socket of this machine, and its address in hexadecimal digits as Linux prints it."""
    sockets = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                address, _, port = fields[1].rpartition(":")
                sockets.append((f"socket:[{fields[9]}]", f"{address}:{port}"))
    return sockets


def test_without_the_token_or_with_another_one_nothing_is_connected(
    ray_cluster: RayCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert check_access(ray_cluster.address, allow_open=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert _refusal(ray_cluster.address) == "cluster_token_missing"
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    assert _refusal(ray_cluster.address) == "cluster_token_refused"
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "absent"))
    assert _refusal(ray_cluster.address) == "cluster_token_unreadable"
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(ray_cluster.token + "\n")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    assert check_access(ray_cluster.address, allow_open=False)


def test_a_second_connection_of_a_process_is_refused(ray_cluster: RayCluster, ray_session: RaySession) -> None:
    assert len(ray_session.nodes()) == 3
    with pytest.raises(FleetError) as caught:
        RaySession.connect(ray_cluster.address)
    [problem] = caught.value.problems
    assert problem.code == "cluster_connected"
    assert len(ray_session.nodes()) == 3


def test_where_no_cluster_is_the_error_says_so() -> None:
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert _refusal(RayAddress("127.0.0.1", port)) == "cluster_unreachable"


def test_a_cluster_that_demands_no_token_is_used_on_loopback_only() -> None:
    grpc = pytest.importorskip("grpc")
    server = grpc.server(ThreadPoolExecutor(1))
    answer = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("ray.rpc.RayletDriver", {"ClusterInfo": answer})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert not check_access(RayAddress("127.0.0.1", port), allow_open=False)
        # Linux connects this address to loopback, but it is not one.
        other_machine = RayAddress("0.0.0.0", port)
        assert _refusal(other_machine) == "cluster_open"
        assert not check_access(other_machine, allow_open=True)
    finally:
        server.stop(None)


def test_another_version_of_ray_or_of_python_is_a_problem_with_both_named() -> None:
    here = Versions("2.60.0", "3.11.7")
    assert version_problem(here, Versions("2.60.0", "3.11.2")) is None
    for there in (Versions("2.59.0", "3.11.7"), Versions("2.60.0", "3.12.7")):
        problem = version_problem(here, there)
        assert problem is not None
        assert f"Ray {there.ray} and Python {there.python}" in problem.what
        assert "Ray 2.60.0 and Python 3.11.7" in problem.what


def test_a_cluster_without_places_says_how_to_get_them() -> None:
    none, one = too_few_nodes(2, 0, 60), too_few_nodes(2, 1, 60)
    assert none.what == "the Ray cluster has no node with cores for workers"
    assert "ray start --address=" in none.hint
    assert "could not place 2 workers within 60 s: it has 1 node with cores" in one.what
    assert one.hint.startswith("--workers 1 or fewer")


def _refusal(address: RayAddress, allow_open: bool = False) -> str:
    with pytest.raises(FleetError) as caught:
        check_access(address, allow_open)
    return caught.value.problems[0].code
