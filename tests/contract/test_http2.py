"""HTTP/2 against a second implementation of it, and against servers that break it."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin, Proxy, Tls
from atm.plan.load_plan import BodyCheck, Step
from atm.testing import Http2Server, ProxyServer
from tests.contract.engine_runs import Ran, resident_bytes, run
from tests.contract.plans import ANY_STATUS, NUMBERED, closed, opened, plan, step
from tests.steadiness import allowed

pytestmark = pytest.mark.needs(Capability.HTTP2)

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
STREAM = b"STRM"
"""Where the server puts the number of the request's stream."""
CONNECTION = b"\0\0\0\0"
OK = b"\x88"
"""`:status: 200` from the static table."""


def frame(kind: int, flags: int, stream: bytes, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream + payload


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, 0, CONNECTION, name.to_bytes(2, "big") + value.to_bytes(4, "big"))


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def head(*fields: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, STREAM, OK + b"".join(fields))


def raw(data: bytes, *, times: int = 1, then: str = "hang", timeout: float = 5) -> Step:
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return step(f"/raw?base64={text}&times={times}&then={then}", expected=ANY_STATUS, timeout=timeout)


@pytest.fixture(scope="module")
def one_server() -> Iterator[Http2Server]:
    with Http2Server() as server:
        yield server


@pytest.fixture
def server(one_server: Http2Server) -> Http2Server:
    """One server for all tests, its record emptied for each."""
    one_server.reset()
    return one_server


def cleartext(server: Http2Server) -> Origin:
    return Origin("http", "127.0.0.1", server.port, addresses=("127.0.0.1",))


def over_tls(server: Http2Server) -> Origin:
    return Origin("https", "127.0.0.1", server.tls_port, addresses=("127.0.0.1",))


def two(streams: int = 1, **fields: Any) -> Connections:
    return Connections(http_version="2", streams_per_connection=streams, **fields)


def trusting(server: Http2Server, streams: int = 1, version: Any = "2") -> Connections:
    tls = Tls(ca_pem=server.ca_file.read_text())
    return Connections(http_version=version, streams_per_connection=streams, tls=tls)


def messages(engine: Engine, server: Http2Server, cases: Mapping[str, Step], **fields: Any) -> dict[str, str]:
    """With what message each of `cases` failed, by its name; each has a connection of its own."""
    made = plan(cleartext(server), *cases.values(), load=closed(1), total=len(cases), connections=two(), **fields)
    names = list(cases)
    found = {names[group.endpoint]: f"{group.outcome}: {group.message}" for group in run(engine, made).failure_groups}
    return {name: found.get(name, "no failure") for name in names}


# What keeps to the protocol


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_requests_are_what_the_plan_says_and_answers_what_the_server_says(
    engine: Engine, server: Http2Server, scheme: str
) -> None:
    origin = over_tls(server) if scheme == "https" else cleartext(server)
    steps = (
        step("/bytes/100000", headers=(NUMBERED, ("X-Mixed-Case", "Value"))),
        step("/echo", method="POST", body="number {{request_number}}", checks=(BodyCheck("regex", "^number [0-9]+$"),)),
        step("/status/404"),
        step("/status/204"),
        step("/bytes/5", method="HEAD"),
        step("/trailers"),
        step("/hints"),
        step("/delay/20"),
    )
    connections = trusting(server, 4) if scheme == "https" else two(4)
    ran = run(engine, plan(origin, *steps, load=closed(8), total=80, connections=connections))
    assert ran.total().ok == 70
    assert ran.failures == {(Outcome.UNEXPECTED_STATUS, "404, expected 2xx"): 10}
    record = server.record()
    assert record.faults == ()
    assert record.connections == 2
    assert 1 < record.most_streams <= 4
    assert len(record.requests) == 80
    assert all(row.whole and not row.reset for row in record.requests)
    assert {row.authority for row in record.requests} == {"target.test"}
    assert {row.scheme for row in record.requests} == {scheme}
    first = [row for row in record.requests if row.path == "/bytes/100000"]
    assert {row.headers[1] for row in first} == {("x-mixed-case", "Value")}
    assert sorted(int(row.headers[0][1]) for row in first) == list(range(1, 80, 8))
    bodies = [row.body_bytes for row in record.requests if row.method == "POST"]
    assert sorted(bodies) == sorted(len(f"number {number}") for number in range(2, 81, 8))
    assert ran.total(0).bytes_received > 10 * 100_000


def test_users_share_connections_as_the_plan_says(engine: Engine, server: Http2Server) -> None:
    made = plan(cleartext(server), step("/delay/5"), load=closed(12), total=120, connections=two(5))
    assert run(engine, made).total().ok == 120
    record = server.record()
    assert record.connections == 3
    assert record.most_streams == 5


def test_a_server_that_allows_fewer_streams_is_obeyed(engine: Engine) -> None:
    with Http2Server(max_streams=2) as narrow:
        made = plan(cleartext(narrow), step("/delay/5"), load=closed(8), total=80, connections=two(8))
        ran = run(engine, made)
        assert ran.total().ok == 80
        record = narrow.record()
    assert (record.connections, record.most_streams, record.faults) == (1, 2, ())


def test_bodies_keep_within_the_windows_of_the_server(engine: Engine) -> None:
    with Http2Server(window=1_000) as narrow:
        body = "b" * 50_000
        steps = (step("/echo", method="POST", body=body), step("/bytes/200000"))
        ran = run(engine, plan(cleartext(narrow), *steps, load=closed(4), total=16, connections=two(4)))
        assert ran.total().ok == 16, ran.failures
        record = narrow.record()
    assert record.faults == ()
    assert {row.body_bytes for row in record.requests if row.method == "POST"} == {50_000}


def test_a_window_that_never_opens_ends_in_the_timeout(engine: Engine, server: Http2Server) -> None:
    one = step("/unread", method="POST", body="b" * 200_000, timeout=0.3)
    ran = run(engine, plan(cleartext(server), one, load=closed(1), total=2, connections=two()))
    assert ran.failures == {(Outcome.TIMEOUT, "no full answer in 0.3 s"): 2}
    assert server.record().faults == ()


def test_http_1_is_spoken_where_alpn_says_so(engine: Engine) -> None:
    with Http2Server(protocols=["h2"]) as server:
        ran = run(engine, plan(over_tls(server), load=closed(2), total=6, connections=trusting(server, version="auto")))
        assert ran.total().ok == 6
        assert len(server.record().requests) == 6
    with Http2Server(protocols=[]) as server:
        ran = run(engine, plan(over_tls(server), load=closed(2), total=4, connections=trusting(server)))
        assert ran.failures == {(Outcome.TLS_ERROR, "the target does not speak HTTP/2"): 4}


def test_a_proxy_is_tunnelled_through(engine: Engine, server: Http2Server) -> None:
    with ProxyServer() as proxy:
        place = Proxy(Origin("http", "127.0.0.1", proxy.port, addresses=("127.0.0.1",)))
        connections = replace(trusting(server, 4), proxy=place)
        ran = run(engine, plan(over_tls(server), load=closed(8), total=40, connections=connections))
        assert ran.total().ok == 40, ran.failures
        tunnels = [(request.method, request.target) for request in proxy.requests()]
    assert tunnels == [("CONNECT", f"127.0.0.1:{server.tls_port}")] * 2
    assert server.record().connections == 2


def test_a_body_over_the_limit_is_too_large_and_gives_up_its_stream(engine: Engine, server: Http2Server) -> None:
    steps = (step("/bytes/1000"), step("/bytes/1001"), step("/bytes/50000000"))
    limited = two(3, max_response_bytes=1000)
    ran = run(engine, plan(cleartext(server), *steps, load=closed(3), total=12, connections=limited))
    assert ran.failures == {(Outcome.RESPONSE_TOO_LARGE, "over 1000 bytes"): 8}
    assert ran.total(0).ok == 4
    assert ran.total().bytes_received < 5_000_000
    record = server.record()
    assert (record.connections, record.faults) == (1, ())


def test_a_timeout_gives_up_its_stream_and_leaves_the_others_alone(engine: Engine, server: Http2Server) -> None:
    steps = (step("/never", timeout=0.1), step("/delay/20"))
    ran = run(engine, plan(cleartext(server), *steps, load=closed(4), total=20, connections=two(4)))
    assert ran.total(0).outcomes == {Outcome.TIMEOUT: 10}
    assert ran.total(1).outcomes == {Outcome.OK: 10}
    record = server.record()
    assert record.connections == 1
    assert [row.reset for row in record.requests if row.path == "/never"] == [True] * 10
    assert record.faults == ()


def test_the_open_model_shares_connections_too(engine: Engine, server: Http2Server) -> None:
    made = plan(cleartext(server), step("/delay/30"), load=opened(200), total=60, connections=two(10))
    assert run(engine, made).total().ok == 60
    assert server.record().connections <= 2


# What says goodbye


def test_a_request_that_was_refused_is_sent_once_more(engine: Engine, server: Http2Server) -> None:
    for path in ("/goaway?at=before", "/reset?code=7"):
        server.reset()
        one = step(path, method="POST", body="x")
        ran = run(engine, plan(cleartext(server), one, load=closed(1), total=5, connections=two()))
        assert ran.failures == {(Outcome.CONNECTION_CLOSED, "request refused by the target"): 5}
        assert ran.total().redialled == 5
        assert len(server.record().requests) == 10


def test_a_goodbye_fails_nothing_that_is_answered(engine: Engine, server: Http2Server) -> None:
    steps = (step("/goaway?at=after"), step("/goaway?at=mid"), step("/bytes/10"))
    ran = run(engine, plan(cleartext(server), *steps, load=closed(1), total=30, connections=two()))
    assert ran.total().outcomes == {Outcome.OK: 30}, ran.failures
    record = server.record()
    assert len(record.requests) == 30 + ran.total().redialled
    assert record.faults == ()
    assert 20 <= record.connections <= 22


def test_a_reset_stream_fails_one_request_and_no_other(engine: Engine, server: Http2Server) -> None:
    steps = (step("/reset?code=8"), step("/reset?code=2&after=1"), step("/reset?code=99"), step("/delay/5"))
    ran = run(engine, plan(cleartext(server), *steps, load=closed(4), total=40, connections=two(4)))
    prefix = "stream reset by the target: "
    assert ran.failures == {
        (Outcome.CONNECTION_CLOSED, prefix + "CANCEL"): 10,
        (Outcome.CONNECTION_CLOSED, prefix + "INTERNAL_ERROR"): 10,
        (Outcome.CONNECTION_CLOSED, prefix + "error code 99"): 10,
    }
    assert ran.total(3).ok == 10
    assert server.record().connections == 1


def test_a_connection_that_ends_is_told_by_how_far_the_answer_was(engine: Engine, server: Http2Server) -> None:
    cases = {"before": step("/close", method="POST", body=""), "reset": step("/close?reset=1", method="POST", body="")}
    cases |= {"within": step("/close?head=1"), "reset within": step("/close?head=1&reset=1")}
    assert messages(engine, server, cases) == {
        "before": "connection_closed: closed before any byte of the answer",
        "reset": "connection_closed: reset by the target",
        "within": "connection_closed: closed in the middle of the answer",
        "reset within": "connection_closed: reset by the target",
    }


# What breaks the protocol

VIOLATIONS = {
    "a frame over 16 KiB": b"\xff" * 9,
    "data on the connection": frame(DATA, 0, CONNECTION, b"x"),
    "headers on a stream of ours that is not open": frame(HEADERS, END_HEADERS, b"\0\0\x7f\xff", OK),
    "headers on a stream of the server": frame(HEADERS, END_HEADERS, b"\0\0\0\x02", OK),
    "a push": frame(PUSH_PROMISE, END_HEADERS, STREAM, b"\0\0\0\x02\x82"),
    "continuation of nothing": frame(CONTINUATION, END_HEADERS, STREAM, OK),
    "a ping within a header block": frame(HEADERS, 0, STREAM, OK) + frame(PING, 0, CONNECTION, bytes(8)),
    "continuation of another stream": frame(HEADERS, 0, STREAM, OK) + frame(CONTINUATION, 4, b"\0\0\x7f\xff"),
    "an index that is not there": frame(HEADERS, END_HEADERS, STREAM, b"\xff\x80\x01"),
    "index 0": frame(HEADERS, END_HEADERS, STREAM, b"\x80"),
    "a string without its end": frame(HEADERS, END_HEADERS, STREAM, OK + b"\0\x7fabc"),
    "an integer without an end": frame(HEADERS, END_HEADERS, STREAM, b"\xff" * 50),
    "Huffman padding that is none": frame(HEADERS, END_HEADERS, STREAM, OK + b"\0\x81\x00\x81\x00"),
    "a table over its limit": frame(HEADERS, END_HEADERS, STREAM, b"\x3f\xe1\xff\x03" + OK),
    "the window overflows": frame(WINDOW_UPDATE, 0, CONNECTION, b"\x7f\xff\xff\xff"),
    "a window update of nothing": frame(WINDOW_UPDATE, 0, CONNECTION, bytes(4)),
    "an initial window over the limit": setting(4, 1 << 31),
    "a frame size below the limit": setting(5, 100),
    "settings that offer push": setting(2, 1),
    "settings of half a pair": frame(SETTINGS, 0, CONNECTION, bytes(7)),
    "settings on a stream": frame(SETTINGS, 0, STREAM),
    "a short ping": frame(PING, 0, CONNECTION, bytes(7)),
    "a short goodbye": frame(GOAWAY, 0, CONNECTION, bytes(7)),
    "padding over the frame": frame(DATA, 8, STREAM, b"\xff"),
    "garbage": b"\x00\x00\x05\x00\x00\x00\x00\x00\x00garbage",
}
MALFORMED = {
    "no status": frame(HEADERS, END_HEADERS, STREAM, literal(b"x-a", b"b")),
    "two statuses": frame(HEADERS, END_HEADERS, STREAM, OK + OK),
    "status 99": frame(HEADERS, END_HEADERS, STREAM, literal(b":status", b"099")),
    "status after a field": frame(HEADERS, END_HEADERS, STREAM, literal(b"x-a", b"b") + OK),
    "upper case": head(literal(b"X-A", b"b")),
    "a line break in a value": head(literal(b"x-a", b"b\r\nc: d")),
    "NUL in a value": head(literal(b"x-a", b"b\0")),
    "Connection": head(literal(b"connection", b"close")),
    "a request's pseudo-header": head(literal(b":path", b"/")),
    "data before the head": frame(DATA, 0, STREAM, b"x"),
    "an end before the head": frame(DATA, END_STREAM, STREAM),
    "too little body": head(literal(b"content-length", b"5")) + frame(DATA, END_STREAM, STREAM, b"x"),
    "too much body": head(literal(b"content-length", b"5")) + frame(DATA, END_STREAM, STREAM, b"x" * 6),
    "two lengths": head(literal(b"content-length", b"5"), literal(b"content-length", b"6")),
    "1xx that ends": frame(HEADERS, END_HEADERS | END_STREAM, STREAM, literal(b":status", b"103")),
    "101": frame(HEADERS, END_HEADERS, STREAM, literal(b":status", b"101")),
}


def test_what_breaks_the_protocol_is_a_protocol_error_and_ends_the_connection(
    engine: Engine, server: Http2Server
) -> None:
    cases = {name: raw(data) for name, data in VIOLATIONS.items()}
    found = messages(engine, server, cases)
    assert {name: text.partition(": ")[0] for name, text in found.items()} == dict.fromkeys(cases, "protocol_error")
    assert all(text.startswith("protocol_error: not HTTP/2: ") for text in found.values())
    record = server.record()
    assert len(record.requests) == len(cases)
    assert record.connections == len(cases)
    # It was said why, each time.
    assert len(record.goodbyes) == len(cases)
    assert "NO_ERROR" not in record.goodbyes


def test_a_malformed_answer_fails_one_request_and_no_other(engine: Engine, server: Http2Server) -> None:
    cases = {name: raw(data) for name, data in MALFORMED.items()}
    found = messages(engine, server, cases)
    assert {name: text.partition(": ")[0] for name, text in found.items()} == dict.fromkeys(cases, "protocol_error")
    assert server.record().connections == 1


def test_bytes_that_are_no_http_2_are_a_protocol_error(engine: Engine, server: Http2Server) -> None:
    control = Origin("http", "127.0.0.1", server.control_port, addresses=("127.0.0.1",))
    ran = run(engine, plan(control, step("/never", timeout=2), total=2, connections=two()))
    assert set(ran.total().outcomes) <= {Outcome.PROTOCOL_ERROR, Outcome.CONNECTION_CLOSED}


FLOODS = {
    "settings": setting(3, 100),
    "acknowledgements": frame(SETTINGS, 1, CONNECTION),
    "pings": frame(PING, 0, CONNECTION, bytes(8)),
    "priorities": frame(PRIORITY, 0, STREAM, bytes(5)),
    "window updates": frame(WINDOW_UPDATE, 0, CONNECTION, b"\0\0\0\1"),
    "unknown frames": frame(0xAA, 0, CONNECTION, b"?"),
    "1xx": frame(HEADERS, END_HEADERS, STREAM, literal(b":status", b"103")),
}


def test_floods_end_the_connection_and_leave_no_memory_behind(engine: Engine, server: Http2Server) -> None:
    cases = {name: raw(data, times=60_000) for name, data in FLOODS.items()}
    before = resident_bytes()
    found = messages(engine, server, cases)
    assert {name: text.partition(": too")[0] for name, text in found.items()} == dict.fromkeys(
        cases, "protocol_error: not HTTP/2"
    )
    assert resident_bytes() - before < 20_000_000


def test_header_blocks_without_measure_are_too_large_or_a_flood(engine: Engine, server: Http2Server) -> None:
    cases = {
        "continuations without an end": raw(frame(HEADERS, 0, STREAM, OK) + frame(CONTINUATION, 0, STREAM) * 2_000),
        "a repeated field": raw(
            frame(HEADERS, END_HEADERS, STREAM, OK + b"\x40\x03x-a\x7f\x81\x1e" + b"y" * 4_000 + b"\xbe" * 4_000)
        ),
    }
    assert messages(engine, server, cases) == {
        "continuations without an end": "protocol_error: not HTTP/2: a header block in too many frames",
        "a repeated field": "response_too_large: headers over 64 KiB",
    }


def test_hostile_answers_leave_no_memory_behind(engine: Engine, server: Http2Server) -> None:
    cases = [raw(data, then=then) for data in (*VIOLATIONS.values(), *MALFORMED.values()) for then in ("hang", "close")]
    cases += [step("/close"), step("/reset"), step("/goaway?at=before"), step("/never", timeout=0.01)]

    def storm() -> Ran:
        made = plan(cleartext(server), *cases, load=closed(16), total=1_500, connections=two(4))
        return run(engine, made)

    storm()
    before = resident_bytes()
    ended = [storm().total() for _ in itertools.repeat(None, 2)]
    assert [total.completed for total in ended] == [1_500, 1_500]
    assert resident_bytes() - before < 6_000_000


def test_a_cancel_closes_shared_connections(engine: Engine, server: Http2Server) -> None:
    made = plan(cleartext(server), step("/never", timeout=30), load=closed(20), duration=20, connections=two(10))
    ran = run(engine, made, at={0.3: lambda control: control.cancel()})
    assert ran.total().outcomes == {Outcome.UNFINISHED: 20}
    assert ran.seconds < 0.3 + allowed(0.7)
