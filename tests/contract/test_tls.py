from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin, Tls
from atm.testing import TargetServer
from atm.testing.certificates import Authority
from tests.contract.engine_runs import run
from tests.contract.engines import ENGINES
from tests.contract.plans import closed, http, https, opened, plan, step

pytestmark = pytest.mark.needs(Capability.TLS)


def trusting(target: TargetServer, **fields: object) -> Connections:
    return Connections(tls=Tls(ca_pem=target.ca_file.read_text(), **fields))  # type: ignore[arg-type]


def test_an_own_authority_is_trusted_in_addition(engine: Engine, target: TargetServer) -> None:
    made = plan(https(target), step("/fixed"), load=closed(4), total=200, connections=trusting(target))
    ran = run(engine, made)
    assert ran.total().ok == 200
    assert target.settled_stats().completed == 200
    assert len({row.connection for row in target.record()}) == 4
    assert sum(interval.generator.tls.total for interval in ran.intervals) == 4
    assert sum(interval.generator.connect.total for interval in ran.intervals) == 4


def test_an_unknown_authority_is_a_tls_error(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(https(target), load=closed(2), total=6))
    assert ran.total().outcomes == {Outcome.TLS_ERROR: 6}
    ((_, message),) = ran.failures
    assert message.startswith("certificate not trusted: ")
    assert target.settled_stats().received == 0


def test_a_certificate_for_another_name_is_a_tls_error_unless_named(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(https(target, "other.test"), load=closed(1), total=2, connections=trusting(target)))
    assert ran.total().outcomes == {Outcome.TLS_ERROR: 2}
    named = trusting(target, server_name="localhost")
    assert run(engine, plan(https(target, "other.test"), total=2, connections=named)).total().ok == 2


def test_insecure_takes_any_certificate(engine: Engine, target: TargetServer) -> None:
    made = plan(https(target, "other.test"), load=closed(2), total=20, connections=Connections(tls=Tls(insecure=True)))
    assert run(engine, made).total().ok == 20


def test_the_systems_roots_are_trusted(engine: Engine, target: TargetServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(https(target), load=closed(1), total=2)
    assert run(engine, made).total().outcomes == {Outcome.TLS_ERROR: 2}
    # By this variable a system says where its roots are; engines look each time that a run begins.
    monkeypatch.setenv("SSL_CERT_FILE", str(target.ca_file))
    assert run(engine, made).total().ok == 2


@pytest.mark.parametrize(
    ("host", "server_name", "expected_name"),
    [("localhost", "", "localhost"), ("other.test", "localhost", "localhost"), ("127.0.0.1", "", None)],
    ids=["the host", "another name", "none for an address"],
)
def test_the_server_is_asked_for_by_name(
    engine: Engine, tmp_path: Path, host: str, server_name: str, expected_name: str | None
) -> None:
    authority = Authority(tmp_path)
    files = authority.server("localhost", "127.0.0.1")
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)  # None continues

    def serve(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as stream:
            while b"\r\n\r\n" not in stream.recv(4096):
                pass
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        origin = Origin("https", host, listener.getsockname()[1], addresses=("127.0.0.1",))
        trust = Connections(tls=Tls(ca_pem=authority.ca_file.read_text(), server_name=server_name))
        ran = run(engine, plan(origin, total=1, connections=trust))
        served.result()
    assert ran.total().ok == 1
    assert names == [expected_name]


def test_tls_with_a_server_that_speaks_none_is_a_tls_error(engine: Engine, target: TargetServer) -> None:
    origin = replace(http(target), scheme="https")
    ran = run(engine, plan(origin, step(timeout=2), total=2))
    assert ran.failures.keys() <= {
        (Outcome.TLS_ERROR, "wrong version number"),
        (Outcome.TLS_ERROR, "record layer failure"),
    }
    assert ran.total().outcomes == {Outcome.TLS_ERROR: 2}


def test_large_bodies_and_open_ends_work_over_tls(engine: Engine, target: TargetServer) -> None:
    steps = (step("/bytes/1000000"), step("/until-close?bytes=5000"), step("/chunked?chunks=10&size=5000"))
    ran = run(engine, plan(https(target), *steps, load=closed(3), total=12, connections=trusting(target)))
    assert ran.total().ok == 12
    assert ran.total().bytes_received == sum(row.sent_bytes for row in target.record())


@pytest.mark.skipif("native" not in ENGINES, reason="the native engine is not built here (set-up says why)")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_native_engine_resumes_sessions(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority = Authority(tmp_path)
    files = authority.server("localhost", "127.0.0.1")
    resumed: list[bool | None] = []

    def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
        for _ in range(6):
            with context.wrap_socket(listener.accept()[0], server_side=True) as stream:
                resumed.append(stream.session_reused)
                while b"\r\n\r\n" not in stream.recv(4096):
                    pass
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(files.certificate, files.key)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener, context)
        origin = Origin("https", "localhost", listener.getsockname()[1], addresses=("127.0.0.1",))
        trust = Connections(tls=Tls(ca_pem=authority.ca_file.read_text()))
        ran = run(ENGINES["native"](), plan(origin, load=closed(1), total=6, connections=trust))
        served.result()
    assert ran.total().ok == 6
    assert resumed == [False, True, True, True, True, True]
    assert sum(interval.generator.tls.total for interval in ran.intervals) == 6


def test_a_cancel_during_handshakes_leaves_nothing_behind(engine: Engine, target: TargetServer) -> None:
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):  # at the end, when the listener is shut down
            while True:
                accepted.append(silent.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as silent:
        Thread(target=accept, daemon=True).start()
        place = replace(https(target), port=silent.getsockname()[1])
        one = step(timeout=3600)
        made = plan(place, one, load=opened(300), duration=3600, connections=trusting(target))
        ran = run(engine, made, once=(lambda: len(accepted) > 10, lambda control: control.cancel()))
        silent.shutdown(socket.SHUT_RDWR)
    assert ran.total().outcomes.keys() == {Outcome.UNFINISHED}
    assert ran.total().outcomes[Outcome.UNFINISHED] > 10
    for connection in accepted:
        with connection:
            connection.settimeout(60)
            with suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass


def test_a_timeout_covers_the_handshake(engine: Engine, target: TargetServer) -> None:
    freeze = target.pause(0.5)
    made = plan(https(target), step(timeout=0.1), load=opened(100), duration=0.2, connections=trusting(target))
    ran = run(engine, made)
    freeze.wait()
    assert ran.total().outcomes[Outcome.TIMEOUT] > 10
    assert ran.total().outcomes.keys() <= {Outcome.TIMEOUT, Outcome.OK}


@pytest.fixture(scope="module")
def strict_target() -> Iterator[TargetServer]:
    with TargetServer(client_certificate=True) as server:
        yield server


@pytest.mark.needs(Capability.CLIENT_CERTIFICATE)
def test_a_client_certificate_is_shown_where_one_is_demanded(engine: Engine, strict_target: TargetServer) -> None:
    files = strict_target.client_files
    shown = trusting(strict_target, certificate_pem=files.certificate.read_text(), key_slot="key")
    made = plan(https(strict_target), load=closed(2), total=20, connections=shown)
    assert run(engine, made, {"key": files.key.read_text()}).total().ok == 20
    bare = run(engine, plan(https(strict_target), total=2, connections=trusting(strict_target)))
    assert bare.total().ok == 0
    assert bare.total().failed == 2
    assert bare.total().outcomes.keys() <= {Outcome.TLS_ERROR, Outcome.CONNECTION_CLOSED}


def test_ipv6_and_names_are_dialled(engine: Engine, tmp_path: Path) -> None:
    with TargetServer(host="::1", tls=True) as target:
        plain = Origin("http", "::1", target.port, addresses=("::1",))
        assert run(engine, plan(plain, load=closed(2), total=10)).total().ok == 10
        secure = Origin("https", "::1", target.tls_port, addresses=("::1",))
        made = plan(secure, load=closed(2), total=10, connections=trusting(target))
        assert run(engine, made).total().ok == 10
