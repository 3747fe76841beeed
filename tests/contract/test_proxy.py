from __future__ import annotations

import base64
import socket

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin, Proxy, Tls
from atm.plan.targets import TargetRules
from atm.testing import ProxyServer, TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import closed, http, https, plan, step

pytestmark = pytest.mark.needs(Capability.PROXY)

CREDENTIALS = "Basic " + base64.b64encode(b"user:pass").decode()


def through(proxy: ProxyServer, slot: str = "") -> Proxy:
    return Proxy(Origin("http", "127.0.0.1", proxy.port, addresses=("127.0.0.1",)), slot)


def test_http_goes_through_a_proxy_in_absolute_form(engine: Engine, target: TargetServer) -> None:
    with ProxyServer(username="user", password="pass") as proxy:
        one = step("/echo/raw?x=1", method="POST", body="hello")
        made = plan(http(target), one, load=closed(2), total=6, connections=Connections(proxy=through(proxy, "p")))
        ran = run(engine, made, {"p": CREDENTIALS})
        assert ran.total().ok == 6
        forwarded = proxy.requests()
        assert {request.target for request in forwarded} == {f"http://127.0.0.1:{target.port}/echo/raw?x=1"}
        names = [name for name, _ in forwarded[0].headers]
        assert names == ["Host", "Content-Length", "Proxy-Authorization"]
        assert all(CREDENTIALS not in str(sample) for sample in ran.samples)


@pytest.mark.needs(Capability.TLS)
def test_https_goes_through_a_tunnel(engine: Engine, target: TargetServer) -> None:
    with ProxyServer(username="user", password="pass") as proxy:
        connections = Connections(proxy=through(proxy, "p"), tls=Tls(ca_pem=target.ca_file.read_text()))
        made = plan(https(target), load=closed(3), total=60, connections=connections)
        assert run(engine, made, {"p": CREDENTIALS}).total().ok == 60
        tunnels = [request for request in proxy.requests() if request.method == "CONNECT"]
        assert [tunnel.target for tunnel in tunnels] == [f"127.0.0.1:{target.tls_port}"] * 3


@pytest.mark.needs(Capability.REDIRECTS, Capability.TARGET_RULES)
def test_a_proxy_is_not_asked_for_what_may_not_be_loaded(engine: Engine, target: TargetServer) -> None:
    with ProxyServer() as proxy:
        rules = TargetRules(("127.0.0.*",))
        connections = Connections(proxy=through(proxy), redirects=3, targets=rules)
        for host in ("elsewhere.test", "169.254.169.254"):
            one = step(f"/redirect/1?to=http://{host}")
            ran = run(engine, plan(http(target), one, total=2, connections=connections))
            [(outcome, message)] = ran.failures
            assert (outcome, host in message) == (Outcome.DNS_ERROR, True)
        assert [request.target for request in proxy.requests() if "redirect" not in request.target] == []


def test_a_proxy_that_refuses_is_a_connect_error(engine: Engine, target: TargetServer) -> None:
    with ProxyServer(username="user", password="pass") as proxy:
        connections = Connections(proxy=through(proxy), tls=Tls(insecure=True))
        ran = run(engine, plan(https(target), load=closed(1), total=2, connections=connections))
        assert ran.failures == {(Outcome.CONNECT_ERROR, "proxy answered 407 to CONNECT"): 2}


def test_a_proxy_that_is_not_there_is_a_connect_error(engine: Engine, target: TargetServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = Proxy(Origin("http", "127.0.0.1", taken.getsockname()[1], addresses=("127.0.0.1",)))
        ran = run(engine, plan(http(target), total=2, connections=Connections(proxy=proxy)))
    assert ran.failures == {(Outcome.CONNECT_ERROR, "connection refused"): 2}
