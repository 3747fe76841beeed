from __future__ import annotations

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections
from atm.testing import TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import ANY_STATUS, MILLISECOND, closed, http, plan, step
from tests.steadiness import allowed

pytestmark = pytest.mark.needs(Capability.REDIRECTS)

FOLLOWING = Connections(redirects=5)


def heads(target: TargetServer) -> list[str]:
    return [(request.raw or b"").split(b"\r\n\r\n")[0].decode() for request in target.captured()]


def test_redirects_are_answers_unless_followed(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step("/redirect/3", expected=((302, 302),)), total=3))
    assert ran.total().ok == 3
    assert ran.total().redirect_hops == 0
    assert target.settled_stats().received == 3


def test_a_chain_is_one_request_and_its_time_runs_to_the_end(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step("/redirect/4"), load=closed(2), total=10, connections=FOLLOWING))
    total = ran.total()
    assert total.ok == total.started == 10
    assert total.statuses == {200: 10}
    assert total.redirect_hops == 40
    assert target.settled_stats().received == 50
    assert total.bytes_received == sum(row.sent_bytes for row in target.record())
    assert len({row.connection for row in target.record()}) == 2


def test_at_the_limit_the_redirect_itself_is_judged(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step("/redirect/loop"), total=2, connections=FOLLOWING))
    assert ran.failures == {(Outcome.UNEXPECTED_STATUS, "302, expected 2xx"): 2}
    assert ran.total().redirect_hops == 10


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (302, "POST", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "HEAD", "HEAD"),
        (302, "GET", "GET"),
    ],
)
def test_the_method_and_the_body_follow_the_status(
    engine: Engine, target: TargetServer, status: int, method: str, after: str
) -> None:
    body = None if method in ("GET", "HEAD") else "hello"
    one = step(
        f"/redirect/1?status={status}", method=method, body=body, expected=ANY_STATUS, headers=(("Accept", "*/*"),)
    )
    ran = run(engine, plan(http(target), one, connections=FOLLOWING))
    assert ran.total().ok == 1
    second = heads(target)[1].split("\r\n")
    assert second[0].startswith(f"{after} ")
    assert "Accept: */*" in second
    assert ("Content-Length: 5" in second) == (after == method and body is not None)
    assert f"Host: 127.0.0.1:{target.port}" in second


def test_credentials_are_dropped_across_origins(engine: Engine, target: TargetServer) -> None:
    one = step(
        f"/redirect/1?to=http://localhost:{target.port}",
        headers=(("Authorization", "Bearer x"), ("X-Key", "{{secret:key}}"), ("Cookie", "a=b"), ("X-Kept", "yes")),
    )
    ran = run(engine, plan(http(target), one, load=closed(2), total=4, connections=FOLLOWING), {"key": "sesame"})
    assert ran.total().ok == 4
    later = [head for head in heads(target) if "Host: localhost" in head]
    assert len(later) == 4
    assert all("X-Kept: yes" in head for head in later)
    assert not any(word in head for head in later for word in ("Bearer", "sesame", "a=b"))
    within = step("/redirect/1", headers=(("Authorization", "Bearer x"), ("X-Key", "{{secret:key}}")))
    target.reset()
    run(engine, plan(http(target), within, connections=FOLLOWING), {"key": "sesame"})
    assert "sesame" in heads(target)[1]


def test_the_timeout_covers_the_whole_chain(engine: Engine, target: TargetServer) -> None:
    one = step("/redirect/1?to=http://127.0.0.1:1", timeout=2)
    refused = run(engine, plan(http(target), one, connections=FOLLOWING))
    assert refused.failures == {(Outcome.CONNECT_ERROR, "connection refused"): 1}
    assert refused.total().redirect_hops == 1
    endless = Connections(redirects=10**9)
    ran = run(engine, plan(http(target), step("/redirect/loop", timeout=0.15), connections=endless))
    assert ran.total().outcomes == {Outcome.TIMEOUT: 1}
    assert 150 * MILLISECOND <= (ran.total().service.maximum or 0) < 150 * MILLISECOND + allowed(20 * MILLISECOND)


def test_an_unknown_host_behind_a_redirect_is_a_dns_error(engine: Engine, target: TargetServer) -> None:
    one = step("/redirect/1?to=http://nowhere.invalid")
    ran = run(engine, plan(http(target), one, connections=FOLLOWING))
    assert ran.failures == {(Outcome.DNS_ERROR, 'the name "nowhere.invalid" does not exist'): 1}


@pytest.mark.parametrize(
    ("status", "method"), [(307, "POST"), (308, "POST"), (307, "PATCH"), (302, "PUT"), (301, "PUT")]
)
def test_a_body_with_a_secret_is_not_sent_to_another_origin(
    engine: Engine, target: TargetServer, status: int, method: str
) -> None:
    elsewhere = f"/redirect/1?status={status}&to=http://localhost:{target.port}"
    one = step(elsewhere, method=method, body='{"password":"{{secret:key}}"}')
    ran = run(engine, plan(http(target), one, connections=FOLLOWING), {"key": "sesame"})
    message = f"{status} to another origin not followed: the request body holds a secret"
    assert ran.failures == {(Outcome.UNEXPECTED_STATUS, message): 1}
    assert ran.total().redirect_hops == 0
    assert not any("Host: localhost" in head for head in heads(target))


@pytest.mark.parametrize(
    ("status", "where", "body"),
    [(303, "localhost", "{{secret:key}}"), (307, "", "{{secret:key}}"), (307, "localhost", "a")],
)
def test_a_redirect_that_takes_no_secret_elsewhere_is_followed(
    engine: Engine, target: TargetServer, status: int, where: str, body: str
) -> None:
    to = f"&to=http://{where}:{target.port}" if where else ""
    one = step(f"/redirect/1?status={status}{to}", method="POST", body=body)
    ran = run(engine, plan(http(target), one, connections=FOLLOWING), {"key": "sesame"})
    assert ran.total().ok == 1
    assert ran.total().redirect_hops == 1
