"""The transport alone, over real connections to a small server on the same loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from atm.engine.asyncio_engine.transport.dialer import Dialer
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.transport.pool import Pool
from atm.engine.asyncio_engine.transport.reading_limits import ReadingLimits
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.models.outcome import Outcome
from atm.plan.load_plan import Connections, Origin, Proxy
from tests.contract.plans import plan

pytestmark = pytest.mark.anyio

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Counted:
    """Connections, counted."""

    def __init__(self) -> None:
        self.dials = self.open = self.losses = 0

    def dialled(self) -> None:
        self.dials += 1

    def opened(self) -> None:
        self.open += 1

    def closed(self) -> None:
        self.open -= 1

    def lost(self) -> None:
        self.losses += 1

    def connected(self, duration: int) -> None:
        assert duration >= 0

    secured = resolved = connected


class Sent:
    """An exchange; `ended` holds how it ended."""

    def __init__(self, data: bytes = GET, *, is_idempotent: bool = True, known: KnownResponse | None = None) -> None:
        self.data = data
        self.origin = 0
        self.head_only = data.startswith(b"HEAD")
        self.closes_connection = False
        self.known = known or KnownResponse()
        self.wants_body = True
        self.is_idempotent = is_idempotent
        self.has_redialled = False
        self.has_secret_body = False
        self.secret_headers = frozenset({"x-key"})
        self.hops = self.sent = self.received = 0
        self.ended: asyncio.Future[tuple[int, bytes] | tuple[Outcome, str]] = asyncio.get_running_loop().create_future()

    def responded(self, answer: Response, now: int) -> None:
        assert now >= answer.first_byte > 0
        self.marks = (answer.sets_cookie, answer.is_encoded)
        self.ended.set_result((answer.status, answer.body))

    def failed(self, outcome: Outcome, message: str, now: int, answer: Response | None = None) -> None:
        assert answer is None or now >= answer.first_byte
        self.ended.set_result((outcome, message))

    def redialled(self) -> None:
        self.has_redialled = True


class Bench:
    """A pool that sends to a server."""

    def __init__(self, port: int, connections: Connections | None = None, limits: ReadingLimits | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.plan = plan(Origin("http", "h", port, addresses=("127.0.0.1",)), connections=connections)
        self.events = Counted()
        self.crashes: list[BaseException] = []
        dialer = Dialer(loop, self.plan, {}, self.events, limits or ReadingLimits(None, 1_000))
        self.pool = Pool(loop, dialer, self.crashes.append)

    def send(self, sent: Sent) -> None:
        kept = self.pool.by_origin.get(sent.origin)
        if kept is None:
            self.pool.dial(sent, sent.origin)
        else:
            kept.send(sent)

    async def exchange(self, sent: Sent | None = None) -> tuple[int, bytes] | tuple[Outcome, str]:
        sent = sent or Sent()
        self.send(sent)
        return await asyncio.wait_for(sent.ended, 10)


async def serving(serve: Serve) -> tuple[asyncio.Server, int]:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def answering(*answers: bytes) -> Serve:
    """Answers each request of a connection with the next of them, and closes after the last."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)

    return serve


async def test_a_connection_is_kept_and_used_again() -> None:
    server, port = await serving(answering(OK, OK, OK))
    async with server:
        bench = Bench(port)
        assert [await bench.exchange() for _ in range(2)] == [(200, b"ok")] * 2
        assert (bench.events.dials, bench.events.open) == (1, 1)
        bench.pool.close()
        await asyncio.sleep(0)
        assert bench.events.open == 0
    assert bench.crashes == []


async def test_an_exchange_that_closes_its_connection_is_the_last_on_it() -> None:
    server, port = await serving(answering(OK, OK))
    async with server:
        bench = Bench(port)
        for _ in range(2):
            sent = Sent()
            sent.closes_connection = True
            assert await bench.exchange(sent) == (200, b"ok")
        assert bench.events.dials == 2


async def test_a_kept_connection_that_the_server_closed_is_dialled_again_for_idempotent_requests_only() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        # Read the next request, so that the close meets it on its way.
        await reader.readuntil(b"\r\n\r\n")

    server, port = await serving(serve)
    async with server:
        bench = Bench(port)
        await bench.exchange()
        again = Sent()
        assert await bench.exchange(again) == (200, b"ok")
        assert again.has_redialled
        assert again.sent == 2 * len(GET)
        closed = (Outcome.CONNECTION_CLOSED, "closed before any byte of the answer")
        assert await bench.exchange(Sent(is_idempotent=False)) == closed
        assert bench.events.losses == 2


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (b"", (Outcome.CONNECTION_CLOSED, "closed before any byte of the answer")),
        (OK[:-1], (Outcome.CONNECTION_CLOSED, "closed in the middle of the answer")),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok")),
        (b"SSH-2.0-x\r\n", (Outcome.PROTOCOL_ERROR, None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, (Outcome.RESPONSE_TOO_LARGE, None)),
    ],
)
async def test_answers_end_an_exchange(answer: bytes, ended: tuple[object, object]) -> None:
    server, port = await serving(answering(answer))
    async with server:
        bench = Bench(port, limits=ReadingLimits(5_000, 1_000))
        outcome, message = await bench.exchange()
        assert outcome == ended[0]
        assert ended[1] in (None, message)


_LONGER = OK.replace(b"2\r", b"3\r") + b"!"
_OTHER = OK.replace(b"200 OK", b"404 No")
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + OK


@pytest.mark.parametrize(
    ("answers", "bodies"),
    [
        ((OK, OK, OK.replace(b"ok", b"no"), OK), [b"ok", b"ok", b"no", b"ok"]),
        ((OK, _LONGER, OK, OK), [b"ok", b"ok!", b"ok", b"ok"]),
        ((OK, _CHUNKED, _CHUNKED, OK), [b"ok"] * 4),
        ((OK, _INTERIM, OK, _INTERIM), [b"ok"] * 4),
        ((_OTHER, OK, OK, _OTHER), [b"ok"] * 4),
    ],
)
async def test_answers_that_are_equal_or_nearly_so_are_told_apart(
    answers: Sequence[bytes], bodies: list[bytes]
) -> None:
    server, port = await serving(answering(*answers))
    async with server:
        bench = Bench(port)
        known = KnownResponse()
        exchanges = [Sent(known=known) for _ in answers]
        ended = [await bench.exchange(sent) for sent in exchanges]
        assert ended == [(404 if answer is _OTHER else 200, body) for answer, body in zip(answers, bodies, strict=True)]
        assert [sent.received for sent in exchanges] == [len(answer) for answer in answers]
        assert bench.events.dials == 1


@pytest.mark.parametrize("last", [OK + b"surplus", OK[:-1], OK.replace(b"OK", b"OK\r\nConnection: close"), b""])
async def test_a_known_answer_does_not_hide_how_a_connection_ends(last: bytes) -> None:
    ends = []
    for known in (KnownResponse(), None):
        server, port = await serving(answering(OK, OK, last))
        async with server:
            bench = Bench(port)
            exchanges = [Sent(is_idempotent=False, known=known) for _ in range(3)]
            ended = [await bench.exchange(sent) for sent in exchanges]
            await asyncio.sleep(0)
            ends.append((ended, [sent.received for sent in exchanges], bench.events.losses, bench.events.dials))
    assert ends[0] == ends[1]


async def test_cookies_and_encodings_of_equal_answers_are_seen_each_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    with_cookie = head + b"sEt-cookie: a=b\r\n\r\nok"
    with_encoding = head + b"Content-encoding: x\r\n\r\nok"
    answers = (OK, OK, with_cookie, with_cookie, with_encoding, with_encoding, OK, OK)
    server, port = await serving(answering(*answers))
    async with server:
        bench = Bench(port)
        known = KnownResponse()
        marks = []
        for _ in answers:
            sent = Sent(known=known)
            await bench.exchange(sent)
            marks.append(sent.marks)
    assert marks == [(False, False)] * 2 + [(True, False)] * 2 + [(False, True)] * 2 + [(False, False)] * 2


def test_a_server_whose_answers_always_differ_is_not_remembered_each_time() -> None:
    known = KnownResponse()
    for number in range(1_000):
        known.learn(OK.replace(b"\r\n\r\n", b"\r\nX: %d\r\n\r\n" % number), 200, 2)
    assert b"X: 63" in known.head


async def test_a_refused_dial_and_a_name_without_an_address_are_failures() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert await Bench(port).exchange() == (Outcome.CONNECT_ERROR, "connection refused")
    bench = Bench(port)
    dialer = bench.pool._dialer  # an origin as resolution leaves it
    dialer.origins[0] = replace(dialer.origins[0], addresses=(), resolve_error="no such name")
    assert await bench.exchange() == (Outcome.DNS_ERROR, "no such name")


async def test_what_is_let_go_reports_nothing() -> None:
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()

    server, port = await serving(serve)
    async with server:
        bench = Bench(port)
        dialling, waiting = Sent(), Sent()
        bench.send(dialling)
        assert bench.pool.abort(0) is None
        bench.send(waiting)
        await arrived.wait()
        assert bench.pool.abort(0) is not None
        await asyncio.sleep(0.01)
        assert not dialling.ended.done()
        assert not waiting.ended.done()
        assert bench.events.open == 0


class Redirecting:
    """An answer that points elsewhere, and the origins that it may point to."""

    first_byte = received = body_bytes = 1
    head_status = None
    body = b""
    sets_cookie = is_encoded = False

    def __init__(self, status: int, location: str) -> None:
        self.status = status
        self.raw = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\n\r\n".encode()
        self.origins = [Origin("http", "h", 80), Origin("http", "other", 81)]

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        return next(n for n, one in enumerate(self.origins) if (one.scheme, one.host, one.port) == (scheme, host, port))


POST = b"POST /a HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nContent-Length: 1\r\n\r\nx"


@pytest.mark.parametrize(
    ("status", "location", "expected"),
    [
        (303, "/b", b"GET /b HTTP/1.1\r\nHost: h\r\nX-Key: k\r\n\r\n"),
        (307, "b?c=d e", b"POST /b?c=d%20e HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nContent-Length: 1\r\n\r\nx"),
        (307, "http://other:81", b"POST / HTTP/1.1\r\nHost: other:81\r\nContent-Length: 1\r\n\r\nx"),
        (302, "ftp://other/", None),
        (302, "http://[bad/", None),
        (302, "http://[fe80::1%25lo]/", None),
    ],
)
async def test_a_redirect_rewrites_the_request(status: int, location: str, expected: bytes | None) -> None:
    answer = Redirecting(status, location)
    redirects = Redirects(plan(answer.origins[0], connections=Connections(redirects=1)), answer)
    sent = Sent(POST)
    assert redirects.follow(sent, answer) == (expected is not None)
    assert sent.data == (expected or POST)
    # At the limit the redirect is the answer.
    if expected:
        assert not redirects.follow(sent, answer)


async def test_a_secret_body_goes_to_no_other_origin() -> None:
    for status, location, withheld in (
        (307, "http://other:81", True),
        (307, "/b", False),
        (303, "http://other:81", False),
    ):
        answer = Redirecting(status, location)
        redirects = Redirects(plan(answer.origins[0], connections=Connections(redirects=1)), answer)
        sent = Sent(POST)
        assert not redirects.withholds(sent, answer)
        sent.has_secret_body = True
        assert redirects.withholds(sent, answer) == withheld


async def test_a_redirect_through_a_proxy_keeps_the_whole_url() -> None:
    answer = Redirecting(302, "http://other:81/b")
    connections = Connections(redirects=1, proxy=Proxy(Origin("http", "proxy", 3128)))
    redirects = Redirects(plan(answer.origins[0], connections=connections), answer)
    sent = Sent(b"GET http://h/a HTTP/1.1\r\nHost: h\r\nProxy-Authorization: p\r\nAuthorization: a\r\n\r\n")
    assert redirects.follow(sent, answer)
    assert sent.data == (b"GET http://other:81/b HTTP/1.1\r\nHost: other:81\r\nProxy-Authorization: p\r\n\r\n")
