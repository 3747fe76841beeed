"""Every framing of an answer, and answers that are none."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atm.engine.base import Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections
from atm.testing import TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import ANY_STATUS, closed, http, plan, step
from tests.examples import examples


def raw(answer: bytes, **query: str) -> str:
    text = base64.urlsafe_b64encode(answer).decode()
    return "/raw?" + "&".join(
        [f"base64={text.replace('=', '%3D')}", *(f"{key}={value}" for key, value in query.items())]
    )


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/chunked?chunks=7&size=1000&trailers=3", 7000),
        ("/chunked?chunks=3&size=10&every_ms=3", 30),
        ("/bytes/3000000", 3_000_000),
        ("/until-close?bytes=5000", 5000),
        ("/early-hints?count=3", 0),
        ("/slow?bytes=20&seconds=0.05", 20),
        ("/gzip?bytes=100000", 100),
        ("/status/204", 0),
        ("/status/304", 0),
    ],
)
def test_answers_of_every_framing_are_read_to_their_end(
    engine: Engine, target: TargetServer, path: str, size: int
) -> None:
    ran = run(engine, plan(http(target), step(path, expected=ANY_STATUS), load=closed(3), total=9))
    assert ran.total().ok == 9
    assert ran.total().statuses == target.settled_stats().statuses
    assert ran.total().bytes_received == sum(row.sent_bytes for row in target.record())
    assert ran.total().bytes_received >= 9 * size
    assert ran.generated("connections_lost") == 0


@pytest.mark.parametrize("path", ["/bytes/1000", "/chunked", "/fixed", "/status/404"])
def test_the_answer_to_head_has_no_body_and_keeps_the_connection(
    engine: Engine, target: TargetServer, path: str
) -> None:
    ran = run(engine, plan(http(target), step(path, method="HEAD", expected=ANY_STATUS), load=closed(2), total=20))
    assert ran.total().ok == 20
    assert len({row.connection for row in target.record()}) == 2


def test_an_answer_before_the_request_has_ended_is_accepted(engine: Engine, target: TargetServer) -> None:
    one = step("/early-answer", method="POST", body="x" * 2_000_000, expected=((413, 413),))
    ran = run(engine, plan(http(target), one, load=closed(1), total=3))
    assert ran.total().statuses == {413: 3}
    assert ran.total().ok == 3


_OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (_OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", Outcome.PROTOCOL_ERROR),
        (_OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Content-Length: -5\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"Content-Length: 99999999999999999999999\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (_OK + b"no colon here\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"220 mail.test ESMTP\r\n", Outcome.PROTOCOL_ERROR),
        (b"", Outcome.CONNECTION_CLOSED),
        (b"H", Outcome.CONNECTION_CLOSED),
        (_OK + b"Content-Length: 10000000000\r\n\r\nsome", Outcome.CONNECTION_CLOSED),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nok", Outcome.CONNECTION_CLOSED),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Outcome.CONNECTION_CLOSED),
        (_OK + b"\r\nuntil the end", Outcome.OK),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Outcome.OK),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Outcome.OK),
        (_OK + b"Content-Length: 0\r\nX: " + b"y" * 66_000 + b"\r\n\r\n", Outcome.RESPONSE_TOO_LARGE),
    ],
)
@pytest.mark.parametrize("split", [{}, {"at_a_time": "1"}], ids=["whole", "byte by byte"])
def test_hostile_answers_end_as_they_should(
    engine: Engine, target: TargetServer, answer: bytes, outcome: Outcome, split: dict[str, str]
) -> None:
    small = len(answer) < 5_000
    query = "".join(f"&{key}={value if small else 1000}" for key, value in split.items())
    if small:
        one = step(raw(answer, then="close") + query, expected=ANY_STATUS, timeout=3)
    else:
        body = answer.decode("latin-1")
        one = step("/raw?then=close" + query, method="POST", body=body, expected=ANY_STATUS, timeout=3)
    ran = run(engine, plan(http(target), one, load=closed(2), total=4))
    assert ran.total().outcomes == {outcome: 4}, ran.failures


def test_bytes_after_an_answer_close_the_connection_and_fail_nothing(engine: Engine, target: TargetServer) -> None:
    answer = _OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ran = run(engine, plan(http(target), step(raw(answer, then="keep", complete="200")), load=closed(1), total=6))
    assert ran.total().ok == 6
    assert len({row.connection for row in target.record()}) == 6


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_cut_at_every_byte_is_never_taken_for_whole(engine: Engine, target: TargetServer, seed: int) -> None:
    answer = [
        _OK + b"Content-Length: 12\r\nX-A: b\r\n\r\nhello, world",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _OK + b"Content-Length: 1\r\n\r\n1",
    ][seed]
    steps = [step(raw(answer, then="close", cut=str(cut)), expected=ANY_STATUS) for cut in range(len(answer))]
    ran = run(engine, plan(http(target), *steps, load=closed(4), total=len(steps)))
    assert ran.total().outcomes == {Outcome.CONNECTION_CLOSED: len(steps)}


@given(st.binary(max_size=200), st.integers(0, 2**32))
@settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_bytes_break_the_engine(engine: Engine, target: TargetServer, noise: bytes, seed: int) -> None:
    base = bytearray(_OK + b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    dice = random.Random(seed)
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(base))
        base[at : at + dice.randrange(4)] = noise[: dice.randrange(5)]
    answers = [noise, bytes(base), _OK + noise, _OK + b"Content-Length: 5\r\n\r\n" + noise]
    steps = [step(raw(answer, then="close"), expected=ANY_STATUS, timeout=2) for answer in answers]
    ran = run(
        engine, plan(http(target), *steps, load=closed(4), total=8, connections=Connections(max_response_bytes=100))
    )
    assert set(ran.total().outcomes) <= {
        Outcome.OK, Outcome.PROTOCOL_ERROR, Outcome.CONNECTION_CLOSED, Outcome.RESPONSE_TOO_LARGE,
    }  # fmt: skip
