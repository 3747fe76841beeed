"""Where connections go: connect-to, names that move, and what the sockets are like."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from atm.engine.base import Capability, Control, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin, Tls
from atm.testing import TargetServer
from tests.contract.engine_runs import received, run, told_by
from tests.contract.engines import ENGINES
from tests.contract.moving_name import BEFORE, IN_A_MOUNT_NAMESPACE
from tests.contract.plans import closed, http, plan, step

RESOLVING = [name for name, make in ENGINES.items() if Capability.RE_RESOLUTION in make().capabilities]


def test_connect_to_dials_elsewhere_and_still_asks_for_the_name(engine: Engine, target: TargetServer) -> None:
    origin = Origin(
        "http", "api.example.com", 80, connect_host="127.0.0.1", connect_port=target.port, addresses=("127.0.0.1",)
    )
    # The way back to the same name leads to the same place, on the same connection.
    one = step("/redirect/1?to=http://api.example.com")
    ran = run(engine, plan(origin, one, load=closed(1), total=3, connections=Connections(redirects=1)))
    assert ran.total().ok == 3
    assert ran.total().redirect_hops == 3
    assert ran.generated("dials") == 1
    heads = [(request.raw or b"").decode() for request in target.captured()]
    assert [head.split("\r\n")[1] for head in heads] == ["Host: target.test", "Host: api.example.com"] * 3
    assert all(sample.url.startswith("http://api.example.com/") for sample in ran.samples)


@pytest.mark.needs(Capability.TLS)
def test_connect_to_changes_nothing_about_who_is_trusted(engine: Engine, target: TargetServer) -> None:
    trust = Connections(tls=Tls(ca_pem=target.ca_file.read_text()))
    known = Origin(
        "https", "localhost", 443, connect_host="127.0.0.1", connect_port=target.tls_port, addresses=("127.0.0.1",)
    )
    assert run(engine, plan(known, total=2, connections=trust)).total().ok == 2
    other = replace(known, host="other.test")
    assert run(engine, plan(other, total=2, connections=trust)).total().outcomes == {Outcome.TLS_ERROR: 2}


@pytest.mark.parametrize("what_moves", ["origin", "proxy"])
@pytest.mark.parametrize("name", RESOLVING)
def test_a_name_that_moves_is_followed(name: str, what_moves: str) -> None:
    if subprocess.run([*IN_A_MOUNT_NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("another /etc/hosts needs `unshare --user --mount`, which this system does not allow")
    command = [*IN_A_MOUNT_NAMESPACE, sys.executable, "-m", "tests.contract.moving_name", name, what_moves]
    total, intervals = told_by(subprocess.Popen(command, stdout=subprocess.PIPE))
    # The second address does not respond: it accepts and closes, once, and then the run is stopped.
    assert total.ok >= BEFORE
    assert total.outcomes.keys() - {Outcome.OK} <= {Outcome.CONNECTION_CLOSED, Outcome.UNFINISHED}
    assert total.started > total.ok
    assert sum(interval.generator.dns.total for interval in intervals) >= 2


@pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="sockets are found by /proc/self/fd, as only Linux has it"
)
def test_small_requests_leave_at_once(engine: Engine, target: TargetServer) -> None:
    no_delay: list[int] = []

    def look(control: Control) -> None:
        for name in os.listdir("/proc/self/fd"):
            try:
                if not stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                    continue
                # A copy, so that closing it closes nothing of the engine's.
                with socket.socket(fileno=os.dup(int(name))) as one:
                    if one.getpeername()[:2] == ("127.0.0.1", target.port):
                        no_delay.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            except OSError:
                continue  # closed meanwhile, or it leads nowhere
        control.cancel()

    run(engine, plan(http(target), step("/never"), load=closed(3), duration=20), once=(received(target, 3), look))
    assert [bool(value) for value in no_delay] == [True] * 3
