from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter

from atm.testing import TargetServer
from atm.testing.target_server import Outcome, RequestRow, Stats
from atm.testing.target_server.distributions import status_of, uniform
from atm.testing.target_server.recorder import NO_ROW, OTHER_ROUTES, ROUTE_NAMES_LIMIT, Recorder
from tests.testing.wire import Wire, request

STATUS = "/status?ok=200&other=503&share=0.1&seed=4&as=status"
ROUTES = ["/", "/delay/1", STATUS, "/chunked", "/bytes/70000"]
CLIENTS = 24
REQUESTS_EACH = 125


async def _client(port: int, number: int) -> tuple[Counter[int], int]:
    """One keep-alive connection; gives back the statuses it saw and the bytes that it read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses: Counter[int] = Counter()
    read = 0
    for turn in range(REQUESTS_EACH):
        writer.write(request(ROUTES[(number + turn) % len(ROUTES)], f"X-Request-Number: {number * 1000 + turn}"))
        head = await reader.readuntil(b"\r\n\r\n")
        read += len(head)
        statuses[int(head[9:12])] += 1
        if b"chunked" in head:
            read += len(await reader.readuntil(b"0\r\n\r\n"))
        else:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            read += len(await reader.readexactly(length))
    writer.close()
    await writer.wait_closed()
    return statuses, read


def test_under_concurrent_load_the_record_is_what_the_clients_saw(target: TargetServer) -> None:
    async def load() -> list[tuple[Counter[int], int]]:
        return await asyncio.gather(*(_client(target.port, number) for number in range(CLIENTS)))

    began = time.monotonic_ns()
    seen = asyncio.run(load())
    stats, rows = target.settled_stats(), target.record()
    # Not before: a client may have read an answer whole before its server came round to noting that it was handed over.
    ended = time.monotonic_ns()
    total = CLIENTS * REQUESTS_EACH
    assert (stats.received, stats.completed, stats.aborted, stats.broken, stats.rows) == (total, total, 0, 0, total)
    assert stats.statuses == sum((statuses for statuses, _ in seen), Counter())
    assert stats.connections_accepted == CLIENTS
    assert [row.number for row in rows] == list(range(1, total + 1))
    assert sum(row.sent_bytes for row in rows) == sum(read for _, read in seen)
    assert {row.client_number for row in rows} == {c * 1000 + t for c in range(CLIENTS) for t in range(REQUESTS_EACH)}
    assert all(began < row.arrived_ns < (row.answered_ns or 0) < ended for row in rows)
    shares = [row for row in rows if row.route == "status"]
    assert [row.route_number for row in shares] == list(range(1, len(shares) + 1))
    assert [row.status for row in shares] == [status_of(200, 503, 0.1, 4, row.route_number) for row in shares]


def test_pipelined_requests_are_answered_in_order(target: TargetServer) -> None:
    paths = ["/delay/20", "/fixed?bytes=1", "/delay/5", "/bytes/200000", "/chunked"] * 20
    with Wire(target.port) as wire:
        wire.send(b"".join(request(path) for path in paths))
        lengths = [len(wire.answer().body) for _ in paths]
    assert lengths == [14, 1, 14, 200_000, 64] * 20
    assert target.stats().completed == 100


def test_measurement_routes_and_their_connections_are_not_counted(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.get("/")
        stats = [target.stats() for _ in range(3)][-1]
        assert (stats.received, stats.connections_accepted, stats.connections_open) == (1, 1, 1)


def test_a_reset_counts_from_one_again_and_forgets_what_is_in_flight(target: TargetServer) -> None:
    with Wire(target.port) as wire, Wire(target.port) as other:
        wire.get("/")
        other.send(request("/delay/50"))
        while not target.stats().in_progress:
            pass
        target.reset()
        other.answer()
        wire.get("/")
        assert (target.stats().received, target.stats().completed) == (1, 1)
        assert [(row.number, row.route_number) for row in target.record()] == [(1, 1)]


def test_beyond_its_limit_the_record_only_counts_and_says_so() -> None:
    with TargetServer(max_rows=3, capture=2) as target, Wire(target.port) as wire:
        for path in ("/", "/headers", "/", "/"):
            wire.get(path)
        stats = target.stats()
        assert (stats.received, stats.completed, stats.rows, stats.rows_dropped) == (4, 4, 3, 1)
        assert len(target.record()) == 3
        assert [row.number for row in target.record(since=2)] == [3]
        assert [(one.route, one.raw) for one in target.captured()] == [
            ("/", request("/")),
            ("/headers", request("/headers")),
        ]


def test_pages_of_the_record_join_without_a_gap(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        one = wire.get("/")
        for _ in range(45):
            wire.send(request("/") * 500)
            wire.exactly(500 * (len(one.head) + len(one.body)))
    rows = target.record()
    assert [row.number for row in rows] == list(range(1, 22_502))


def test_too_many_route_names_share_one() -> None:
    recorder = Recorder(max_rows=10)
    for number in range(ROUTE_NAMES_LIMIT + 5):
        recorder.counter(f"/{number}")
    assert recorder.counter("/new").name == OTHER_ROUTES
    assert recorder.counter("/1").name == "/1"


def test_rows_and_counts_survive_json() -> None:
    recorder = Recorder(max_rows=2)
    counter = recorder.counter("/a")
    row = recorder.arrive(counter, 7, 100, 3)
    recorder.completed(counter, row, 200, 150, 5, 60)
    recorder.arrive(counter, 8, 101, -1)
    assert recorder.arrive(counter, 9, 102, -1) == NO_ROW
    first, second = (RequestRow.from_json(one) for one in recorder.rows(0, 10))
    assert first == RequestRow(1, "/a", 1, 7, 100, 150, 200, Outcome.COMPLETED, 3, 5, 60)
    assert first.service_ns == 50
    assert (second.outcome, second.status, second.service_ns) == (Outcome.IN_PROGRESS, None, None)
    extra = {"connections_accepted": 3, "connections_open": 1, "tokens_issued": 0, "stalls": 0}
    stats = Stats.from_json(recorder.counts() | extra)
    assert stats.routes["/a"].in_progress == stats.in_progress == 2


def test_the_seeded_numbers_are_uniform_and_do_not_depend_on_their_neighbours() -> None:
    values = [uniform(7, number) for number in range(20_000)]
    assert abs(sum(values) / len(values) - 0.5) < 0.01
    deciles = Counter(int(value * 10) for value in values)
    assert all(1800 < deciles[decile] < 2200 for decile in range(10))
    pairs = sum((a - 0.5) * (b - 0.5) for a, b in itertools.pairwise(values)) / len(values)
    assert abs(pairs) < 0.002
    assert uniform(7, 5) != uniform(8, 5) != uniform(8, 5, 1)
