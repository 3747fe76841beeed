from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from atm.errors import TargetServerError
from atm.testing import TargetServer
from atm.testing.target_server import Stats, serve
from atm.testing.target_server.addresses import Addresses
from atm.testing.target_server.options import ServerOptions
from atm.testing.target_server.server import Server
from atm.testing.target_server.tokens import TokenMode
from tests.steadiness import allowed
from tests.testing.wire import Wire, request

SOURCE = str(Path(__file__).parents[2] / "src")


def _exchange(stream: socket.socket, data: bytes) -> bytes:
    stream.sendall(data)
    return stream.recv(65536)


def _read_to_the_end(stream: socket.socket) -> None:
    while stream.recv(65536):
        pass


def _refused(stream: socket.socket) -> bool:
    """With TLS 1.3 a client learns only by its first read that its certificate was not good enough."""
    try:
        return _exchange(stream, request("/")) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_stall_holds_all_answers_back_and_then_lets_them_go(target: TargetServer) -> None:
    target.stall(0.3)
    began = time.monotonic_ns()
    with Wire(target.port) as one, Wire(target.port) as other:
        one.send(request("/"))
        other.send(request("/delay/10"))
        assert target.stats().in_progress == 2, "it accepts and reads meanwhile"
        assert one.answer().status == other.answer().status == 200
    assert time.monotonic_ns() - began >= 280_000_000
    (span,) = target.stalls()
    assert 0.3e9 <= span[1] - span[0] < 0.3e9 + allowed(0.1e9)
    assert all(row.answered_ns is not None and row.answered_ns >= span[1] for row in target.record())


def test_a_stall_can_be_scheduled_from_the_first_request() -> None:
    with TargetServer(stall_after=0.1, stall_seconds=1) as target, Wire(target.port) as wire:
        wire.get("/")
        first = target.record()[0].arrived_ns
        while not target.stalls():
            wire.get("/delay/1")
        ((began, ended),) = target.stalls()
        assert 0.09e9 <= began - first < 0.1e9 + allowed(0.1e9)
        assert 1e9 <= ended - began < 1e9 + allowed(0.1e9)
        # The request in progress when the stall begins waits until it ends; no request is answered during it.
        answered = [row.answered_ns or 0 for row in target.record()]
        assert max(answered) >= ended
        assert not [moment for moment in answered if began < moment < ended]


def test_a_reset_drops_what_was_planned(target: TargetServer) -> None:
    target.stall(5, after=0.05)
    target.set_token_mode(TokenMode.NEVER, expires_in=7)
    target.reset()
    with Wire(target.port) as wire:
        assert wire.get("/delay/100").status == 200
        assert wire.get("/oauth/token", method="POST", body=b"x").status == 400
        assert wire.get("/").status == 200
    assert target.stats().stalls == 0


def test_a_pause_freezes_the_whole_process(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.get("/")
        pause = target.pause(0.3)
        while not pause.began_ns:
            time.sleep(0.001)
        wire.get("/")
        pause.wait()
        assert time.monotonic_ns() >= pause.ended_ns
        assert 0.3e9 <= pause.ended_ns - pause.began_ns < 0.3e9 + allowed(0.2e9)
    assert target.record()[1].arrived_ns >= pause.ended_ns - 1_000_000


def test_it_stops_while_it_is_frozen() -> None:
    with TargetServer() as target:
        pause = target.pause(60)
        while not pause.began_ns:
            time.sleep(0.001)
    assert pause.ended_ns - pause.began_ns < 5e9


def test_tls_with_an_authority_of_its_own(target: TargetServer) -> None:
    context = ssl.create_default_context(cafile=str(target.ca_file))
    for name in ("localhost", "127.0.0.1"):
        plain = socket.create_connection(("127.0.0.1", target.tls_port))
        with context.wrap_socket(plain, server_hostname=name) as stream:
            assert stream.version() == "TLSv1.3"
            assert _exchange(stream, request("/")).startswith(b"HTTP/1.1 200 OK")
            stream.sendall(request("/bytes/3000000"))
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 3_000_000:
                received += stream.recv(1 << 20)
    assert target.settled_stats().completed == 4
    assert target.https_url == f"https://127.0.0.1:{target.tls_port}"


def test_a_reset_over_tls_is_a_reset(target: TargetServer) -> None:
    context = ssl.create_default_context(cafile=str(target.ca_file))
    plain = socket.create_connection(("127.0.0.1", target.tls_port))
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        stream.sendall(request("/reset"))
        with socket.socket(fileno=stream.detach()) as beneath, pytest.raises(ConnectionResetError):
            _read_to_the_end(beneath)
    assert target.settled_stats().broken == 1


def test_a_client_certificate_can_be_demanded() -> None:
    with TargetServer(client_certificate=True) as target:
        context = ssl.create_default_context(cafile=str(target.ca_file))
        bare = context.wrap_socket(
            socket.create_connection(("127.0.0.1", target.tls_port)), server_hostname="localhost"
        )
        with bare:
            assert _refused(bare)
        context.load_cert_chain(target.client_files.certificate, target.client_files.key)
        plain = socket.create_connection(("127.0.0.1", target.tls_port))
        with context.wrap_socket(plain, server_hostname="localhost") as stream:
            assert _exchange(stream, request("/")).startswith(b"HTTP/1.1 200 OK")
        directory = target.ca_file.parent
    assert not directory.exists(), "keys do not stay behind"


def test_it_listens_on_ipv6_and_on_both() -> None:
    with TargetServer(host="::1") as target:
        assert target.url == f"http://[::1]:{target.port}"
        with Wire(target.port, "::1") as wire:
            assert wire.get("/").status == 200
    with TargetServer(host="localhost") as target:
        for host in ("127.0.0.1", "::1"):
            with Wire(target.port, host) as wire:
                assert wire.get("/").status == 200
        assert target.stats().connections_accepted == 2


def test_a_port_in_use_is_said_with_who_uses_it() -> None:
    with TargetServer() as first:
        port, pid = first.port, first.pid
        with pytest.raises(TargetServerError) as caught:
            TargetServer(port=port).start()
    (problem,) = caught.value.problems
    assert problem.what.startswith(f"port {port} on 127.0.0.1 is in use by process {pid} (python")
    assert problem.code == "port_in_use"
    assert problem.hint == f"Take another port, such as {port + 1}, or 0 for a free one"


def test_only_this_machine_may_reach_it() -> None:
    with pytest.raises(TargetServerError, match=r"does not listen on 0\.0\.0\.0, only on this machine itself"):
        TargetServer(host="0.0.0.0")


def test_a_bad_certificate_and_a_server_that_does_not_run_are_said(tmp_path: Path) -> None:
    certificate = tmp_path / "bad.pem"
    certificate.write_text("nothing")
    with pytest.raises(TargetServerError, match="the TLS certificate does not load"):
        TargetServer(certificate_file=str(certificate), key_file=str(certificate), tls_port=0).start()
    server = TargetServer()
    with pytest.raises(TargetServerError, match="this target server is not running"):
        server.stats()
    with server, pytest.raises(TargetServerError, match="has no TLS listener"):
        _ = server.https_url
    server.stop()


def test_a_server_that_died_is_said_and_leaves_no_zombie() -> None:
    with TargetServer() as target:
        pid = target.pid
        os.kill(pid, signal.SIGKILL)
        while _alive(pid):
            time.sleep(0.001)
        with pytest.raises(TargetServerError, match="the target server does not respond"):
            target.stats()
    assert not Path(f"/proc/{pid}").exists()


def test_an_error_of_the_servers_own_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty_target.py").write_text(
        "import runpy\n"
        "from atm.testing.target_server.exchange import Exchange\n"
        "Exchange.later = None\n"
        "runpy.run_module('atm.testing.target_server', run_name='__main__')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("atm.testing.target_server.target._MODULE", "faulty_target")
    target = TargetServer().start()
    with Wire(target.port) as wire:
        wire.send(request("/delay/1"))
        assert wire.everything() == b""
    message = r"reported an internal error: (.|\n)*'NoneType' object is not callable"
    with pytest.raises(TargetServerError, match=message):
        target.stop()


@pytest.mark.parametrize("frozen", [False, True])
def test_it_dies_with_its_parent_even_when_frozen(frozen: bool) -> None:
    script = (
        "import os, signal, time\n"
        "from atm.testing import TargetServer\n"
        "target = TargetServer().start()\n"
        f"{'target.pause(600); time.sleep(0.1)' if frozen else ''}\n"
        "print(target.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCE}, text=True
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 60
    while _alive(child):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_is_an_async_context_manager_too() -> None:
    async def use() -> int:
        async with TargetServer() as target:
            reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
            writer.write(request("/"))
            await reader.readline()
            writer.close()
            return target.stats().received

    assert asyncio.run(use()) == 1


def test_serve_runs_in_the_foreground_until_interrupted() -> None:
    ready: list[Addresses] = []

    def use(addresses: Addresses) -> None:
        ready.append(addresses)

        def interrupt() -> None:
            with Wire(addresses.port) as wire:
                wire.get("/")
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()

    stats = serve(on_ready=use)
    assert len(ready) == 1
    assert stats.completed == 1


def test_asyncios_own_loop_serves_the_same() -> None:
    """What runs where uvloop is not installed, here beside it in a thread."""
    ready: Future[tuple[Server, Addresses]] = Future()
    stop = threading.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = Server(ServerOptions(), loop)
        ready.set_result((server, await server.listen()))
        await loop.run_in_executor(None, stop.wait)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        server, addresses = ready.result(10)
        with Wire(addresses.port) as wire:
            assert wire.get("/").status == 200
            assert wire.get("/delay/5").body == b"after a delay\n"
            assert len(wire.get("/bytes/5000000").body) == 5_000_000
            assert len(wire.get("/until-close?bytes=300000").body) == 300_000
        with Wire(addresses.port) as wire:
            wire.send(request("/reset"))
            with pytest.raises(ConnectionResetError):
                wire.everything()
        stats = Stats.from_json(server.stats())
        assert (stats.completed, stats.broken, stats.in_progress) == (4, 1, 0)
    finally:
        stop.set()
        thread.join()


def test_it_may_hold_as_many_connections_as_the_system_allows() -> None:
    with TargetServer() as target:
        limits = Path(f"/proc/{target.pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard


def test_the_server_brings_nothing_heavy_with_it() -> None:
    code = "import sys, atm.testing.target_server.foreground; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    modules = set(loaded.stdout.split())
    assert not modules & {"pydantic", "httpx", "jwt", "cryptography", "typer", "rich", "atm.models", "atm.engine"}
